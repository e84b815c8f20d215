/* The scalar reference of every quantisation, both ways: what the kernels of all back-ends are tested against.
 * Formats: MLX's affine (w = scale * q + bias), and the micro-scaled floats of OCP MX and NVFP4. */
#ifndef WE_TENSOR_QUANT_H
#define WE_TENSOR_QUANT_H

#include "base/error.h"
#include "tensor/dtype.h"

enum we_quant_mode { WE_QUANT_NONE = 0, WE_QUANT_AFFINE, WE_QUANT_MXFP4, WE_QUANT_MXFP8, WE_QUANT_NVFP4, WE_QUANT_MODE_COUNT };

struct we_quant {
    enum we_quant_mode mode;
    uint32_t bits, group_size;
};

/* "affine", "mxfp4", ...; "none". */
const char *we_quant_mode_name(enum we_quant_mode mode);
bool we_quant_mode_from_name(struct we_str name, enum we_quant_mode *mode);
/* The values that a mode takes where a config leaves them out: affine 4 bits, group 64. */
struct we_quant we_quant_defaults(enum we_quant_mode mode);
/* Whether the format exists: bits and group of its mode. */
bool we_quant_valid(struct we_quant quant);

/* Bytes of a row of `in` weights (packed), and the number of groups in it. `in` is a multiple of group_size. */
size_t we_quant_row_bytes(struct we_quant quant, uint32_t in);
static inline uint32_t we_quant_row_groups(struct we_quant quant, uint32_t in)
{
    return in / quant.group_size;
}

/* One row: `weight` packed (in) at any alignment; `scales` and, for affine, `biases` (in / group_size) of
 * `scale_dtype` (F32, F16 or BF16 for affine, U8 else); out (in). */
void we_dequantize_row(struct we_quant quant, const void *weight, const void *scales, const void *biases,
                       enum we_dtype scale_dtype, uint32_t in, float *out);

/* One row the other way, bit-equal to mlx's quantize: w (in) holds the weights; scales and biases are rounded to
 * scale_dtype after q was computed from the unrounded ones. For the other modes scale_dtype is the type that w was
 * converted from, in which mlx computes the scale (U8: none, the same as F32). */
void we_quantize_row(struct we_quant quant, const float *w, uint32_t in, enum we_dtype scale_dtype, void *weight, void *scales,
                     void *biases);

/* Element i of a packed row of `bits` wide values: bits [i*bits, (i+1)*bits) of the little-endian stream. */
uint32_t we_unpack_bits(const void *row, uint32_t bits, size_t i);

#endif
