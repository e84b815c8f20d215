#include "tensor/tensor.h"

#include <stdio.h>

uint64_t we_tensor_count(const struct we_tensor *tensor)
{
    uint64_t count = 1;
    for (uint32_t i = 0; i < tensor->num_dims; i++)
        count *= tensor->shape[i];
    return count;
}

const char *we_tensor_shape_text(const struct we_tensor *tensor, char out[128])
{
    size_t used = 1;
    out[0] = '[';
    for (uint32_t i = 0; i < tensor->num_dims && used < 100; i++)
        used += (size_t)snprintf(out + used, 128 - used, "%s%llu", i ? ", " : "", (unsigned long long)tensor->shape[i]);
    snprintf(out + used, 128 - used, "]");
    return out;
}
