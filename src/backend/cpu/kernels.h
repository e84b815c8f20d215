/* Names of the kernels of one instruction set. Each source file that includes this is compiled once for each set, with
 * WE_CPU_ISA defined as its name. */
#ifndef WE_BACKEND_CPU_KERNELS_H
#define WE_BACKEND_CPU_KERNELS_H

#include "backend/cpu/cpu.h"
#include "backend/cpu/simd.h"

#define KERNEL_JOIN2(name, isa) we_cpu_##name##_##isa
#define KERNEL_JOIN(name, isa) KERNEL_JOIN2(name, isa)
#define KERNEL(name) KERNEL_JOIN(name, WE_CPU_ISA)
#define KERNEL_TEXT2(isa) #isa
#define KERNEL_TEXT(isa) KERNEL_TEXT2(isa)

/* Loops over a constant number of rows, tokens or vectors, whose arrays must become registers. */
#define UNROLL _Pragma("GCC unroll 16")

size_t KERNEL(float_bytes)(uint32_t width);
void KERNEL(pack_floats)(const float *const *rows, uint32_t num_rows, uint32_t width, void *out);
void KERNEL(pack_nibble_floats)(const float *const *rows, uint32_t num_rows, uint32_t width, void *out);
void KERNEL(multiply)(const struct we_cpu_matrix *matrix, uint32_t first, uint32_t count, const void *x, size_t row_bytes,
                      uint32_t tokens, float *out, size_t out_stride, void *panel);
size_t KERNEL(int16_bytes)(uint32_t width);
void KERNEL(pack_int16)(const float *const *rows, uint32_t num_rows, uint32_t width, void *out);
void KERNEL(pack_int16_nibbles)(const float *const *rows, uint32_t num_rows, uint32_t width, void *out);
void KERNEL(multiply_int16)(const struct we_cpu_matrix *matrix, uint32_t first, uint32_t count, const void *x, size_t row_bytes,
                            uint32_t tokens, float *out, size_t out_stride, void *panel);
void KERNEL(make_strip)(const struct we_cpu_matrix *matrix, uint32_t first, uint32_t group, uint32_t groups, uint8_t *out);
size_t KERNEL(strip_bytes)(uint32_t width);
void KERNEL(pack_strip_bytes)(const float *const *rows, uint32_t num_rows, uint32_t width, void *out);
void KERNEL(pack_strip_nibbles)(const float *const *rows, uint32_t num_rows, uint32_t width, void *out);
void KERNEL(multiply_strips)(const struct we_cpu_matrix *matrix, uint32_t first, uint32_t count, const void *x, size_t row_bytes,
                             uint32_t tokens, float *out, size_t out_stride, void *panel);
size_t KERNEL(bf16_bytes)(uint32_t width);
void KERNEL(pack_bf16)(const float *const *rows, uint32_t num_rows, uint32_t width, void *out);
void KERNEL(multiply_bf16)(const struct we_cpu_matrix *matrix, uint32_t first, uint32_t count, const void *x, size_t row_bytes,
                           uint32_t tokens, float *out, size_t out_stride, void *panel);
#if !defined(WE_CPU_PLAIN) && defined(__AVX512VNNI__) && defined(__AVX512VBMI__)
#define HAS_PLANES
#endif
size_t KERNEL(planes_bytes)(uint32_t width);
void KERNEL(pack_planes_bytes)(const float *const *rows, uint32_t num_rows, uint32_t width, void *out);
void KERNEL(pack_planes_nibbles)(const float *const *rows, uint32_t num_rows, uint32_t width, void *out);
void KERNEL(pack_planes_threes)(const float *const *rows, uint32_t num_rows, uint32_t width, void *out);
void KERNEL(pack_planes_crumbs)(const float *const *rows, uint32_t num_rows, uint32_t width, void *out);
void KERNEL(multiply_planes)(const struct we_cpu_matrix *matrix, uint32_t first, uint32_t count, const void *x,
                             size_t row_bytes, uint32_t tokens, float *out, size_t out_stride, void *panel);
/* Inputs [k, k + n) of a row as floats, in the order of the F32 forms. k is a multiple of 128; out is written up to a multiple of 64. */
void KERNEL(unpack_part)(const struct we_cpu_matrix *matrix, uint32_t row, uint32_t k, uint32_t n, float *out);
void KERNEL(add_bias)(const struct we_linear *linear, uint32_t first, uint32_t count, uint32_t tokens, float *out,
                      size_t out_stride);
void KERNEL(unpack_row)(const struct we_cpu_matrix *matrix, uint32_t row, float *out);
void KERNEL(norm)(const struct we_norm *norm, const float *x, float *out);
void KERNEL(rope)(float *x, uint32_t width, const float *cosine, const float *sine, uint32_t pairs, bool interleaved,
                  float scale);
void KERNEL(activate)(const struct we_feed_forward *f, const float *gate, const float *up, uint32_t count, float *out);
void KERNEL(softcap)(float cap, uint32_t count, float *x);
void KERNEL(add_scaled)(float *y, float a, const float *x, uint32_t count);
void KERNEL(convolve)(const float *const *rows, const float *taps, size_t stride, uint32_t length, const float *bias,
                      uint32_t count, float *out);
void KERNEL(recur)(const struct we_cpu_recur *recur);
void KERNEL(attend)(struct we_cpu_attend *attend);
void KERNEL(attend_pairs)(struct we_cpu_attend *attend);
void KERNEL(keep_pairs)(const struct we_cpu_keep *keep);
size_t KERNEL(tile_state_bytes)(uint32_t head_dim, uint32_t v_head_dim);
size_t KERNEL(tile_work_bytes)(uint32_t head_dim, uint32_t v_head_dim);
void KERNEL(tile_begin)(const struct we_cpu_attend_tile *tile);
void KERNEL(tile_chunk)(const struct we_cpu_attend_tile *tile, uint32_t begin, const void *const *k, const void *const *v);
void KERNEL(tile_end)(const struct we_cpu_attend_tile *tile, float *const *out);
/* Scores [begin, end), whole pages of which a row sees [first, last), become weights e^(score - max). */
void KERNEL(soften)(float *scores, uint32_t begin, uint32_t end, uint32_t first, uint32_t last, float *max, float *sum);
void KERNEL(merge)(float *max, float *sum, float *out, float chunk_max, float chunk_sum, const float *chunk_out,
                   uint32_t width);

/* LANES elements of an array from `index`; _n: only the first n, the others 0. */
INLINE vf load_floats(enum we_dtype dtype, const void *data, size_t index)
{
    const uint8_t *p = (const uint8_t *)data + (dtype == WE_F32 ? 4 : 2) * index;
    if (dtype == WE_F32)
        return v_load(p);
    return dtype == WE_F16 ? v_load_f16(p) : v_load_bf16(p);
}
INLINE vf load_floats_n(enum we_dtype dtype, const void *data, size_t index, size_t n)
{
    const uint8_t *p = (const uint8_t *)data + (dtype == WE_F32 ? 4 : 2) * index;
    if (dtype == WE_F32)
        return v_load_n(p, n);
    return dtype == WE_F16 ? v_load_f16_n(p, n) : v_load_bf16_n(p, n);
}

#endif
