#include "format/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct we_error error;
    (void)we_safetensors_check(data, size, &error);
    return 0;
}
