/* What the quantised types of GGUF hold. */
#ifndef WE_CONVERT_GGUF_DECODE_H
#define WE_CONVERT_GGUF_DECODE_H

#include "tensor/quant.h"

enum { WE_GGUF_LARGEST_BLOCK = 256 };

struct we_gguf_format {
    uint32_t type;
    uint32_t values, bytes; /* of a block */
    uint32_t group;         /* values that share a scale */
    struct we_quant quant;  /* what it becomes in MLX */
    bool exact;             /* ... with the same values; else it is quantised again */
};
/* NULL for floats, and for types that cannot be converted. */
const struct we_gguf_format *we_gguf_format(uint32_t type);

struct we_gguf_block {
    uint8_t numbers[WE_GGUF_LARGEST_BLOCK];
    float scales[WE_GGUF_LARGEST_BLOCK / 16], biases[WE_GGUF_LARGEST_BLOCK / 16]; /* of each group; affine */
    uint8_t codes[WE_GGUF_LARGEST_BLOCK / 16];                                    /* the others' scales */
};
/* One block of a type that has a format. */
void we_gguf_decode(uint32_t type, const unsigned char *source, struct we_gguf_block *block);

#endif
