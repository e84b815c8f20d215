/* Compiled with WE_CPU_ISA as the sources whose tiles are emulated. */
#include "isas.h"

#include "backend/cpu/kernels.h"

#include <string.h>

static struct we_cpu_kernels kernels;

static const struct we_cpu_kernels *find(const char *name)
{
    const struct we_cpu_kernels *all[WE_CPU_MAX_ISAS];
    const uint32_t count = we_cpu_kernels_list(all);
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(all[i]->name, name) == 0)
            return all[i];
    return NULL;
}

uint32_t test_isas(const struct we_cpu_kernels *isas[WE_CPU_MAX_ISAS])
{
    const struct we_cpu_kernels *rest = find("avx512bf16");
    if (rest == NULL)
        return 0;
    kernels = *rest;
    kernels.name = KERNEL_TEXT(WE_CPU_ISA);
    kernels.forms[WE_CPU_FORM_BF16].multiply = KERNEL(multiply_bf16);
    kernels.tile_state_bytes = KERNEL(tile_state_bytes);
    kernels.tile_work_bytes = KERNEL(tile_work_bytes);
    kernels.tile_begin = KERNEL(tile_begin);
    kernels.tile_chunk = KERNEL(tile_chunk);
    kernels.tile_end = KERNEL(tile_end);
    isas[0] = &kernels;
    return 1;
}

const struct we_cpu_kernels *test_isa_twin(void)
{
    return find("amx");
}
