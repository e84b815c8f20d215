/* Blocks of GGUF, unpacked: a number for each value, and for each group of them a scale and a bias, so that a value is
 * scale * number + bias, exactly as the format has it (the products are exact in float32, and there is one rounding at most).
 *   Q4_0 d, 16 bytes; Q4_1 d m, 16; Q5_0 d, 4, 16; Q5_1 d m, 4, 16; Q8_0 d, 32: one group of 32. Element j shares a byte with j
 * + 16 the K types: blocks of 256 in groups of 16 (Q2_K, Q3_K, Q6_K) or 32, whose scales are small whole numbers times d
 *   IQ4_NL, IQ4_XS: 4 bits choose one of 16 numbers of 8 bits, in groups of 32
 *   MXFP4, NVFP4: 4 bits are a small float; groups of 32 and 16 with a scale of one byte */
#include "convert/gguf_decode.h"

#include "format/gguf.h"
#include "tensor/dtype.h"

static float half_at(const unsigned char *p)
{
    return we_load_float(p, WE_F16, 0);
}

/* Low halves of `bytes` bytes, then their high ones. */
static void split_nibbles(const unsigned char *p, uint32_t bytes, uint8_t *out)
{
    for (uint32_t j = 0; j < bytes; j++) {
        out[j] = p[j] & 15;
        out[j + bytes] = p[j] >> 4;
    }
}

static void add_fifth_bits(const unsigned char *bits, uint8_t *numbers)
{
    for (uint32_t j = 0; j < 32; j++)
        numbers[j] |= (uint8_t)((bits[j / 8] >> (j % 8) & 1) << 4);
}

static void set_group(struct we_gguf_block *b, uint32_t group, float scale, float bias)
{
    b->scales[group] = scale;
    b->biases[group] = bias;
}

static void decode_simple(uint32_t type, const unsigned char *p, struct we_gguf_block *b)
{
    bool minimum = type == WE_GGML_Q4_1 || type == WE_GGML_Q5_1, five = type == WE_GGML_Q5_0 || type == WE_GGML_Q5_1;
    float d = half_at(p), offset = type == WE_GGML_Q4_0 ? 8 : type == WE_GGML_Q5_0 ? 16 : 128;
    set_group(b, 0, d, minimum ? half_at(p + 2) : -offset * d);
    p += minimum ? 4 : 2;
    if (type == WE_GGML_Q8_0) {
        for (uint32_t j = 0; j < 32; j++)
            b->numbers[j] = p[j] ^ 0x80;
        return;
    }
    split_nibbles(p + (five ? 4 : 0), 16, b->numbers);
    if (five)
        add_fifth_bits(p, b->numbers);
}

/* Each half of the block has 32 bytes; the s-th pair of bits of byte i belongs to value 32 s + i of it. */
static void split_pairs(const unsigned char *p, uint8_t *out)
{
    for (uint32_t half = 0; half < 2; half++)
        for (uint32_t s = 0; s < 4; s++)
            for (uint32_t i = 0; i < 32; i++)
                out[half * 128 + s * 32 + i] = p[half * 32 + i] >> 2 * s & 3;
}

/* 16 bytes of scales and minimums, 64 of values, d, dmin */
static void decode_q2_k(const unsigned char *p, struct we_gguf_block *b)
{
    float d = half_at(p + 80), dmin = half_at(p + 82);
    split_pairs(p + 16, b->numbers);
    for (uint32_t g = 0; g < 16; g++)
        set_group(b, g, d * (float)(p[g] & 15), -(dmin * (float)(p[g] >> 4)));
}

/* 32 bytes of third bits (a bit for each 32 values in each), 64 of low bits, 12 of scales, d */
static void decode_q3_k(const unsigned char *p, struct we_gguf_block *b)
{
    const unsigned char *s = p + 96;
    float d = half_at(p + 108);
    split_pairs(p + 32, b->numbers);
    for (uint32_t i = 0; i < 256; i++)
        b->numbers[i] |= (uint8_t)((p[i % 32] >> i / 32 & 1) << 2);
    for (uint32_t g = 0; g < 16; g++) {
        int low = g < 8 ? s[g] & 15 : s[g - 8] >> 4, high = s[8 + g % 4] >> 2 * (g / 4) & 3;
        float scale = d * (float)((low | high << 4) - 32);
        set_group(b, g, scale, -4 * scale);
    }
}

/* 12 bytes hold eight scales and eight minimums of 6 bits. */
static void set_scales_and_minimums(const unsigned char *s, float d, float dmin, struct we_gguf_block *b)
{
    for (uint32_t g = 0; g < 4; g++) {
        uint32_t scale = (s[8 + g] & 15u) | (s[g] >> 2 & 0x30u), minimum = s[8 + g] >> 4 | (s[4 + g] >> 2 & 0x30u);
        set_group(b, g, d * (float)(s[g] & 63), -(dmin * (float)(s[4 + g] & 63)));
        set_group(b, 4 + g, d * (float)scale, -(dmin * (float)minimum));
    }
}

/* d, dmin, 12 bytes of scales and minimums, (Q5_K: 32 of fifth bits,) 128 of values: low halves of 32 bytes, then their high
 * ones */
static void decode_q4_k(const unsigned char *p, bool five, struct we_gguf_block *b)
{
    const unsigned char *fifth = p + 16, *values = p + (five ? 48 : 16);
    set_scales_and_minimums(p + 4, half_at(p), half_at(p + 2), b);
    for (uint32_t pair = 0; pair < 4; pair++)
        split_nibbles(values + pair * 32, 32, b->numbers + pair * 64);
    for (uint32_t i = 0; i < 256 && five; i++)
        b->numbers[i] |= (uint8_t)((fifth[i % 32] >> i / 32 & 1) << 4);
}

/* 128 bytes of low bits, 64 of high ones, 16 signed scales, d */
static void decode_q6_k(const unsigned char *p, struct we_gguf_block *b)
{
    float d = half_at(p + 208);
    uint8_t low[256];
    split_nibbles(p, 64, low);
    split_nibbles(p + 64, 64, low + 128);
    split_pairs(p + 128, b->numbers);
    for (uint32_t i = 0; i < 256; i++)
        b->numbers[i] = (uint8_t)(low[i] | b->numbers[i] << 4);
    for (uint32_t g = 0; g < 16; g++) {
        float scale = d * (float)(int8_t)p[192 + g];
        set_group(b, g, scale, -32 * scale);
    }
}

/* The numbers that 4 bits choose from, plus 128. */
static const uint8_t iq4_numbers[16] = {1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241};

static void choose_iq4(const unsigned char *p, uint8_t *out)
{
    split_nibbles(p, 16, out);
    for (uint32_t j = 0; j < 32; j++)
        out[j] = iq4_numbers[out[j]];
}

/* d, 2 bytes with two bits of each scale, 4 with the rest of them, 128 of values */
static void decode_iq4_xs(const unsigned char *p, struct we_gguf_block *b)
{
    uint32_t high = p[2] | (uint32_t)p[3] << 8;
    float d = half_at(p);
    for (uint32_t g = 0; g < 8; g++) {
        int scale = (int)((p[4 + g / 2] >> 4 * (g % 2) & 15u) | (high >> 2 * g & 3u) << 4) - 32;
        set_group(b, g, d * (float)scale, -128 * (d * (float)scale));
        choose_iq4(p + 8 + 16 * g, b->numbers + 32 * g);
    }
}

/* 4 scales, which are e4m3 without a sign and have no NaN but zero; 32 bytes of values */
static void decode_nvfp4(const unsigned char *p, struct we_gguf_block *b)
{
    for (uint32_t g = 0; g < 4; g++) {
        uint8_t scale = p[g] & 0x7F;
        b->codes[g] = p[g] == 0x7F ? 0 : scale;
        split_nibbles(p + 4 + 8 * g, 8, b->numbers + 16 * g);
    }
}

void we_gguf_decode(uint32_t type, const unsigned char *p, struct we_gguf_block *b)
{
    switch (type) {
    case WE_GGML_Q2_K:
        decode_q2_k(p, b);
        break;
    case WE_GGML_Q3_K:
        decode_q3_k(p, b);
        break;
    case WE_GGML_Q4_K:
    case WE_GGML_Q5_K:
        decode_q4_k(p, type == WE_GGML_Q5_K, b);
        break;
    case WE_GGML_Q6_K:
        decode_q6_k(p, b);
        break;
    case WE_GGML_IQ4_NL:
        set_group(b, 0, half_at(p), -128 * half_at(p));
        choose_iq4(p + 2, b->numbers);
        break;
    case WE_GGML_IQ4_XS:
        decode_iq4_xs(p, b);
        break;
    case WE_GGML_MXFP4:
        b->codes[0] = p[0];
        split_nibbles(p + 1, 16, b->numbers);
        break;
    case WE_GGML_NVFP4:
        decode_nvfp4(p, b);
        break;
    default:
        decode_simple(type, p, b);
    }
}

static const struct we_gguf_format formats[] = {
    {WE_GGML_Q4_0, 32, 18, 32, {WE_QUANT_AFFINE, 4, 32}, true},
    {WE_GGML_Q4_1, 32, 20, 32, {WE_QUANT_AFFINE, 4, 32}, true},
    {WE_GGML_Q5_0, 32, 22, 32, {WE_QUANT_AFFINE, 5, 32}, true},
    {WE_GGML_Q5_1, 32, 24, 32, {WE_QUANT_AFFINE, 5, 32}, true},
    {WE_GGML_Q8_0, 32, 34, 32, {WE_QUANT_AFFINE, 8, 32}, true},
    {WE_GGML_Q2_K, 256, 84, 16, {WE_QUANT_AFFINE, 8, 32}, false},
    {WE_GGML_Q3_K, 256, 110, 16, {WE_QUANT_AFFINE, 8, 32}, false},
    {WE_GGML_Q4_K, 256, 144, 32, {WE_QUANT_AFFINE, 4, 32}, true},
    {WE_GGML_Q5_K, 256, 176, 32, {WE_QUANT_AFFINE, 5, 32}, true},
    {WE_GGML_Q6_K, 256, 210, 16, {WE_QUANT_AFFINE, 8, 32}, false},
    {WE_GGML_IQ4_NL, 32, 18, 32, {WE_QUANT_AFFINE, 8, 32}, true},
    {WE_GGML_IQ4_XS, 256, 136, 32, {WE_QUANT_AFFINE, 8, 32}, true},
    {WE_GGML_MXFP4, 32, 17, 32, {WE_QUANT_MXFP4, 4, 32}, true},
    {WE_GGML_NVFP4, 64, 36, 16, {WE_QUANT_NVFP4, 4, 16}, true},
};

const struct we_gguf_format *we_gguf_format(uint32_t type)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (formats[i].type == type)
            return &formats[i];
    return NULL;
}
