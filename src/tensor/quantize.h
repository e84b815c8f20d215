/* Whole arrays from floats to packed weights and back, as fast as the processor can, and bit-equal to what mlx makes of them
 * on the CPU (the scalar reference is quant.c). A row is a whole number of groups, and a group of whole bytes, so rows that
 * stand one after the other are one array. */
#ifndef WE_TENSOR_QUANTIZE_H
#define WE_TENSOR_QUANTIZE_H

#include "tensor/quant.h"

/* What one instruction set makes of it. No pointer need be aligned. */
struct we_quantizer {
    const char *isa; /* "generic", "avx2", "avx512" */

    /* `count` values, a multiple of group_size, of the type `from` (F32, F16, BF16), rounded to `to` before all else, as if the
     * weights had been of that type. `scales` and `biases` (affine only) are (count / group_size) of `to`, or of U8. */
    void (*quantize)(struct we_quant quant, const void *values, enum we_dtype from, enum we_dtype to, size_t count,
                     void *packed, void *scales, void *biases);

    /* The other way, with mlx's roundings: affine computes in the type of the scales, the other modes in `to`. Affine scales
     * are of the type `scale_dtype`, which is also the type of the result (`to` must be the same). */
    void (*dequantize)(struct we_quant quant, const void *packed, const void *scales, const void *biases,
                       enum we_dtype scale_dtype, size_t count, void *values, enum we_dtype to);

    /* (count) values of `bits` (2, 3, 4, 5, 6, 8), one in each byte, into a packed row; count is a multiple of 8. */
    void (*pack)(const uint8_t *values, uint32_t bits, size_t count, void *packed);

    /* Values of 4 bits of exponent and 3 of mantissa times `factor`, in bfloat16. */
    void (*scale_e4m3)(const void *codes, float factor, size_t count, void *out);

    /* From one type of floats to another (or the same); false if a finite value became infinite. */
    bool (*cast)(const void *values, enum we_dtype from, size_t count, void *out, enum we_dtype to);
};

/* The best one for this processor. Asking it may take microseconds: ask once. */
const struct we_quantizer *we_quantizer_best(void);
/* Those that this processor can run, the best one last; their number. */
size_t we_quantizers(const struct we_quantizer *list[4]);

#endif
