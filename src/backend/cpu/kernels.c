/* The table of one instruction set. */
#include "backend/cpu/kernels.h"

#define EIGHT(k) \
    NIBBLE_POSITION(k), NIBBLE_POSITION(k + 1), NIBBLE_POSITION(k + 2), NIBBLE_POSITION(k + 3), NIBBLE_POSITION(k + 4), \
        NIBBLE_POSITION(k + 5), NIBBLE_POSITION(k + 6), NIBBLE_POSITION(k + 7)

static const uint8_t nibble_order[64] = {EIGHT(0), EIGHT(8), EIGHT(16), EIGHT(24), EIGHT(32), EIGHT(40), EIGHT(48), EIGHT(56)};

extern const struct we_cpu_kernels KERNEL(kernels);
const struct we_cpu_kernels KERNEL(kernels) = {
    .name = KERNEL_TEXT(WE_CPU_ISA),
    .nibble_order = nibble_order,
    .max_direct = MAX_DIRECT,
    .multiply = KERNEL(multiply),
    .unpack_row = KERNEL(unpack_row),
    .norm = KERNEL(norm),
    .rope = KERNEL(rope),
    .activate = KERNEL(activate),
    .add_scaled = KERNEL(add_scaled),
    .attend = KERNEL(attend),
    .merge = KERNEL(merge),
};
