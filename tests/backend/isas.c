#include "isas.h"

#include <stddef.h>

uint32_t test_isas(const struct we_cpu_kernels *isas[WE_CPU_MAX_ISAS])
{
    return we_cpu_kernels_list(isas);
}

const struct we_cpu_kernels *test_isa_twin(void)
{
    return NULL;
}
