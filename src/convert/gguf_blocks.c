/* Blocks of GGUF: 32 values each. Element j of a block of 4 or 5 bits shares a byte with element j + 16, and the fifth
 * bits stand together, a bit for each element; MLX has the values of a row in one stream of bits.
 *   Q4_0: d, 16 bytes         w = d (q - 8)          Q4_1: d, m, 16 bytes        w = d q + m
 *   Q5_0: d, 4, 16 bytes      w = d (q - 16)         Q5_1: d, m, 4, 16 bytes     w = d q + m
 *   Q8_0: d, 32 signed bytes  w = d q, and q + 128 is the same bits with the highest turned over */
#include "convert/convert.h"

#include <math.h>

struct block_layout {
    uint32_t bytes;   /* of a block */
    uint32_t values;  /* offset of the low bits */
    uint32_t fifth;   /* offset of the fifth bits; 0: none */
    bool has_minimum; /* m, else the bias is -offset * d */
    float offset;
};

static struct block_layout layout(uint32_t type)
{
    switch (type) {
    case WE_GGML_Q4_0:
        return (struct block_layout){18, 2, 0, false, 8};
    case WE_GGML_Q4_1:
        return (struct block_layout){20, 4, 0, true, 0};
    case WE_GGML_Q5_0:
        return (struct block_layout){22, 6, 2, false, 16};
    case WE_GGML_Q5_1:
        return (struct block_layout){24, 8, 4, true, 0};
    default:
        return (struct block_layout){34, 2, 0, false, 128};
    }
}

enum we_dtype we_gguf_float_type(uint32_t type)
{
    return type == WE_GGML_F32 ? WE_F32 : type == WE_GGML_F16 ? WE_F16 : WE_BF16;
}

size_t we_gguf_row_bytes(const struct we_gguf_weight *w)
{
    if (w->quant.mode == WE_QUANT_NONE)
        return (size_t)w->in * we_dtype_size(we_gguf_float_type(w->tensor->type));
    return (size_t)w->in / 32 * layout(w->tensor->type).bytes;
}

const unsigned char *we_gguf_source_row(const struct we_gguf_weight *w, uint32_t row)
{
    if (w->permuted_heads) { /* dimension pairs (i, i + half) of a head stand next to each other in the file */
        uint32_t size = w->rows / w->permuted_heads, half = size / 2, head = row / size, at = row % size;
        row = head * size + (at % half) * 2 + at / half;
    }
    return (const unsigned char *)w->tensor->data + row * we_gguf_row_bytes(w);
}

static void block_scale(const struct block_layout *l, const unsigned char *block, float *scale, float *bias)
{
    *scale = we_load_float(block, WE_F16, 0);
    *bias = l->has_minimum ? we_load_float(block, WE_F16, 1) : -l->offset * *scale;
}

/* Elements 2k and 2k + 1 come from the bytes 2k and 2k + 1: low halves for the first 16 elements, high ones after. */
static void pack_4_bits(const unsigned char *values, unsigned char *out)
{
    for (int k = 0; k < 8; k++) {
        unsigned a = values[2 * k], b = values[2 * k + 1];
        out[k] = (unsigned char)((a & 15) | b << 4);
        out[k + 8] = (unsigned char)(a >> 4 | (b & 0xF0));
    }
}

/* Eight values of 5 bits fill five bytes. */
static void pack_5_bits(const unsigned char *values, const unsigned char *fifth, unsigned char *out)
{
    for (int group = 0; group < 4; group++) {
        uint64_t bits = 0;
        for (int i = 0; i < 8; i++) {
            int j = group * 8 + i;
            uint64_t q = (j < 16 ? values[j] & 15u : values[j - 16] >> 4u) | (fifth[j / 8] >> (j % 8) & 1u) << 4;
            bits |= q << (5 * i);
        }
        for (int i = 0; i < 5; i++)
            out[group * 5 + i] = (unsigned char)(bits >> (8 * i));
    }
}

/* Whether a value that is finite stays so. */
static bool stays_finite(const void *data, enum we_dtype dtype, size_t index, float value)
{
    return !isfinite(value) || isfinite(we_load_float(data, dtype, index));
}

bool we_gguf_convert_blocks(const struct we_gguf_weight *w, const unsigned char *source, unsigned char *packed, void *scales,
                            void *biases)
{
    const struct block_layout l = layout(w->tensor->type);
    bool ok = true;
    for (uint32_t g = 0; g < w->in / 32; g++, source += l.bytes) {
        unsigned char *out = packed + (size_t)g * 4 * w->quant.bits;
        if (w->quant.bits == 4)
            pack_4_bits(source + l.values, out);
        else if (w->quant.bits == 5)
            pack_5_bits(source + l.values, source + l.fifth, out);
        else
            for (int i = 0; i < 32; i++)
                out[i] = source[l.values + (uint32_t)i] ^ 0x80;
        float scale, bias;
        block_scale(&l, source, &scale, &bias);
        we_store_float(scales, w->dtype, g, scale);
        we_store_float(biases, w->dtype, g, bias);
        ok = ok && stays_finite(scales, w->dtype, g, scale) && stays_finite(biases, w->dtype, g, bias);
    }
    return ok;
}

bool we_gguf_convert_floats(const struct we_gguf_weight *w, const unsigned char *source, unsigned char *out)
{
    enum we_dtype type = we_gguf_float_type(w->tensor->type);
    bool ok = true;
    if (type == w->dtype) {
        memcpy(out, source, we_gguf_row_bytes(w));
        return true;
    }
    for (uint32_t i = 0; i < w->in; i++) {
        float value = we_load_float(source, type, i);
        we_store_float(out, w->dtype, i, value);
        ok = ok && stays_finite(out, w->dtype, i, value);
    }
    return ok;
}

static bool same(float a, float b)
{
    return a == b || (isnan(a) && isnan(b));
}

static void note_value(float value, bool *f16, bool *bf16)
{
    *f16 = *f16 && same(we_f32_from_f16(we_f16_from_f32(value)), value);
    *bf16 = *bf16 && same(we_f32_from_bf16(we_bf16_from_f32(value)), value);
}

void we_gguf_exactness(const struct we_gguf_weight *w, bool *f16, bool *bf16)
{
    enum we_dtype type = we_gguf_float_type(w->tensor->type);
    bool quantised = w->quant.mode != WE_QUANT_NONE;
    *f16 = true;
    *bf16 = !quantised && type != WE_F16; /* a float16 that came from elsewhere is rarely a bfloat16: not worth a look */
    if (!quantised && type == WE_F16)
        return;
    const struct block_layout l = layout(w->tensor->type);
    if (l.has_minimum && quantised)
        return; /* d and m are float16 in the file */
    size_t row_bytes = we_gguf_row_bytes(w);
    uint32_t grows = l.offset == 8 ? 3 : l.offset == 16 ? 4 : 7;
    bool look = true; /* bfloat16 holds what is bfloat16 already */
    for (uint32_t row = 0; row < w->rows && look; row++, look = *f16 || (*bf16 && type == WE_F32)) {
        const unsigned char *source = (const unsigned char *)w->tensor->data + row * row_bytes;
        if (!quantised) {
            for (uint32_t i = 0; i < w->in && (*f16 || *bf16); i++)
                note_value(we_load_float(source, type, i), f16, bf16);
            continue;
        }
        /* The bias is the scale times a power of two: the same digits, with an exponent that may be too large. */
        for (uint32_t g = 0; g < w->in / 32; g++, source += l.bytes) {
            uint32_t exponent = source[1] >> 2 & 31;
            *f16 = *f16 && (exponent == 31 || exponent + grows < 31);
        }
    }
}
