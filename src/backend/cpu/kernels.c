/* The table of one instruction set. */
#include "backend/cpu/kernels.h"

enum { PANEL = WE_CPU_PANEL_ROWS, PIECE = WE_CPU_PIECE_ROWS };

#define PLANES(pack) {PANEL, 256, 4, 1, KERNEL(planes_bytes), KERNEL(pack), KERNEL(multiply_planes)}
#define STRIPS(pack) {PANEL, 256, LANES, 1, KERNEL(strip_bytes), KERNEL(pack), KERNEL(multiply_strips)}

extern const struct we_cpu_kernels KERNEL(kernels);
const struct we_cpu_kernels KERNEL(kernels) = {
    .name = KERNEL_TEXT(WE_CPU_ISA),
    .forms = {
        [WE_CPU_FORM_F32] = {PANEL, 256, 4, 1, KERNEL(float_bytes), KERNEL(pack_floats), KERNEL(multiply)},
        [WE_CPU_FORM_F32_NIBBLES] = {PANEL, 256, 4, 1, KERNEL(float_bytes), KERNEL(pack_nibble_floats), KERNEL(multiply)},
#if defined(HAS_INT16) && !defined(HAS_STRIPS)
        [WE_CPU_FORM_INT16] = {PANEL, 256, 4, 1, KERNEL(int16_bytes), KERNEL(pack_int16), KERNEL(multiply_int16)},
        [WE_CPU_FORM_INT16_NIBBLES] = {PANEL, 256, 4, 1, KERNEL(int16_bytes), KERNEL(pack_int16_nibbles), KERNEL(multiply_int16)},
#endif
#ifdef HAS_STRIPS
        [WE_CPU_FORM_STRIP_BYTES] = STRIPS(pack_strip_bytes),
        [WE_CPU_FORM_STRIP_NIBBLES] = STRIPS(pack_strip_nibbles),
#endif
#ifdef HAS_PLANES
        [WE_CPU_FORM_PLANES_BYTES] = PLANES(pack_planes_bytes),
        [WE_CPU_FORM_PLANES_NIBBLES] = PLANES(pack_planes_nibbles),
        [WE_CPU_FORM_PLANES_THREES] = PLANES(pack_planes_threes),
        [WE_CPU_FORM_PLANES_CRUMBS] = PLANES(pack_planes_crumbs),
#endif
#ifdef HAS_BF16
        [WE_CPU_FORM_BF16] = {PIECE, WE_CPU_PIECE_TOKENS, 32, 16, KERNEL(bf16_bytes), KERNEL(pack_bf16), KERNEL(multiply_bf16)},
#endif
    },
#ifdef HAS_BITS
    .int16_bits = true,
#endif
#ifdef HAS_STRIPS
    .strip_rows = LANES,
    .make_strip = KERNEL(make_strip),
#endif
    .unpack_row = KERNEL(unpack_row),
    .norm = KERNEL(norm),
    .rope = KERNEL(rope),
    .activate = KERNEL(activate),
    .softcap = KERNEL(softcap),
    .add_scaled = KERNEL(add_scaled),
    .convolve = KERNEL(convolve),
    .recur = KERNEL(recur),
    .attend = KERNEL(attend),
    .attend_pairs = KERNEL(attend_pairs),
    .keep_pairs = KERNEL(keep_pairs),
    .merge = KERNEL(merge),
#ifdef HAS_BF16
    .tile_state_bytes = KERNEL(tile_state_bytes),
    .tile_work_bytes = KERNEL(tile_work_bytes),
    .tile_begin = KERNEL(tile_begin),
    .tile_chunk = KERNEL(tile_chunk),
    .tile_end = KERNEL(tile_end),
#endif
};
