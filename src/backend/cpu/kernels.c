/* The table of one instruction set. */
#include "backend/cpu/kernels.h"

extern const struct we_cpu_kernels KERNEL(kernels);
const struct we_cpu_kernels KERNEL(kernels) = {
    .name = KERNEL_TEXT(WE_CPU_ISA),
    .forms =
        {
            [WE_CPU_FORM_F32] = {1, KERNEL(float_bytes), KERNEL(pack_floats), KERNEL(multiply)},
            [WE_CPU_FORM_F32_NIBBLES] = {1, KERNEL(float_bytes), KERNEL(pack_nibble_floats), KERNEL(multiply)},
        },
    .unpack_row = KERNEL(unpack_row),
    .norm = KERNEL(norm),
    .rope = KERNEL(rope),
    .activate = KERNEL(activate),
    .add_scaled = KERNEL(add_scaled),
    .attend = KERNEL(attend),
    .merge = KERNEL(merge),
};
