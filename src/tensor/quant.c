#include "tensor/quant.h"

#include <math.h>

static const struct {
    const char *name;
    struct we_quant defaults;
} modes[WE_QUANT_MODE_COUNT] = {
    [WE_QUANT_NONE] = {"none", {WE_QUANT_NONE, 0, 0}},     [WE_QUANT_AFFINE] = {"affine", {WE_QUANT_AFFINE, 4, 64}},
    [WE_QUANT_MXFP4] = {"mxfp4", {WE_QUANT_MXFP4, 4, 32}}, [WE_QUANT_MXFP8] = {"mxfp8", {WE_QUANT_MXFP8, 8, 32}},
    [WE_QUANT_NVFP4] = {"nvfp4", {WE_QUANT_NVFP4, 4, 16}},
};

const char *we_quant_mode_name(enum we_quant_mode mode)
{
    return modes[mode].name;
}

bool we_quant_mode_from_name(struct we_str name, enum we_quant_mode *mode)
{
    for (int i = WE_QUANT_AFFINE; i < WE_QUANT_MODE_COUNT; i++)
        if (we_str_equal_c(name, modes[i].name)) {
            *mode = (enum we_quant_mode)i;
            return true;
        }
    return false;
}

struct we_quant we_quant_defaults(enum we_quant_mode mode)
{
    return modes[mode].defaults;
}

bool we_quant_valid(struct we_quant quant)
{
    if (quant.mode <= WE_QUANT_NONE || quant.mode >= WE_QUANT_MODE_COUNT)
        return false;
    if (quant.mode == WE_QUANT_AFFINE)
        return ((quant.bits >= 2 && quant.bits <= 6) || quant.bits == 8) &&
               (quant.group_size == 32 || quant.group_size == 64 || quant.group_size == 128);
    return quant.bits == modes[quant.mode].defaults.bits && quant.group_size == modes[quant.mode].defaults.group_size;
}

size_t we_quant_row_bytes(struct we_quant quant, uint32_t in)
{
    return (size_t)in / 8 * quant.bits; /* groups are multiples of 8 */
}

uint32_t we_unpack_bits(const void *row, uint32_t bits, size_t i)
{
    const unsigned char *p = row;
    size_t at = i * bits;
    uint32_t shift = at & 7, value = p[at >> 3];
    if (shift + bits > 8)
        value |= (uint32_t)p[(at >> 3) + 1] << 8;
    return value >> shift & ((1u << bits) - 1);
}

/* ---- the small floats ---- */

static const float e2m1_values[16] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0.0f, -0.5f, -1, -1.5f, -2, -3, -4, -6};

/* The value of the nearest entry; a tie goes to the first one, and so does NaN. */
static uint32_t e2m1_from_f32(float value)
{
    uint32_t best = 0;
    float distance = fabsf(value - e2m1_values[0]);
    for (uint32_t i = 1; i < 16; i++) {
        float d = fabsf(value - e2m1_values[i]);
        if (d < distance) {
            distance = d;
            best = i;
        }
    }
    return best;
}

/* 4 bits of exponent (bias 7), 3 of mantissa; all ones are NaN. */
static float f32_from_e4m3(uint8_t bits)
{
    if ((bits & 0x7F) == 0x7F)
        return NAN;
    uint32_t exponent = bits >> 3 & 15, mantissa = bits & 7;
    float value = exponent ? ldexpf((float)(8 + mantissa), (int)exponent - 10) : (float)mantissa * 0x1p-9f;
    return bits & 0x80 ? -value : value;
}

/* Rounds to nearest, ties to even; saturates at 448. */
static uint8_t e4m3_from_f32(float value)
{
    uint8_t sign = signbit(value) ? 0x80 : 0;
    float magnitude = fabsf(value);
    if (!(magnitude < 464)) /* NaN too: halfway to the next value and beyond */
        return sign | 0x7E;
    if (magnitude < 0x1p-6f)
        return sign | (uint8_t)rintf(magnitude * 0x1p9f); /* 8 is the first normal number, encoded as it should */
    int exponent;
    float fraction = frexpf(magnitude, &exponent); /* [0.5, 1) */
    int mantissa = (int)rintf(fraction * 16);      /* 8 to 16 */
    return sign | (uint8_t)(((exponent + 6) << 3) + mantissa - 8);
}

/* The power of two that a byte stands for: 2^(bits - 127), beyond float32 for 0xFF. */
static float f32_from_e8m0(uint8_t bits)
{
    return ldexpf(1.0f, (int)bits - 127);
}

/* The least power of two that is not below `value` (so that no element saturates); 1 for zero. */
static uint8_t e8m0_above(float value)
{
    int exponent = 0;
    if (value > 0 && frexpf(value, &exponent) == 0.5f)
        exponent--;
    return (uint8_t)(127 + (exponent < -127 ? -127 : exponent > 127 ? 127 : exponent));
}

/* ---- from packed to float32 ---- */

static float small_float_scale(enum we_quant_mode mode, const void *scales, uint32_t group)
{
    uint8_t bits = ((const uint8_t *)scales)[group];
    return mode == WE_QUANT_NVFP4 ? f32_from_e4m3(bits) : f32_from_e8m0(bits);
}

void we_dequantize_row(struct we_quant quant, const void *weight, const void *scales, const void *biases,
                       enum we_dtype scale_dtype, uint32_t in, float *out)
{
    const unsigned char *p = weight;
    uint32_t groups = we_quant_row_groups(quant, in);
    for (uint32_t g = 0; g < groups; g++) {
        size_t start = (size_t)g * quant.group_size, end = start + quant.group_size;
        if (quant.mode == WE_QUANT_AFFINE) {
            float scale = we_load_float(scales, scale_dtype, g), bias = we_load_float(biases, scale_dtype, g);
            for (size_t i = start; i < end; i++)
                out[i] = scale * (float)we_unpack_bits(p, quant.bits, i) + bias;
            continue;
        }
        float scale = small_float_scale(quant.mode, scales, g);
        for (size_t i = start; i < end; i++)
            out[i] = scale * (quant.bits == 8 ? f32_from_e4m3(p[i]) : e2m1_values[p[i / 2] >> (i & 1) * 4 & 15]);
    }
}

/* ---- from float32 to packed ---- */

/* Values of a row are packed in order, into bytes that are zero before. */
static void pack_bits(unsigned char *row, uint32_t bits, size_t i, uint32_t value)
{
    size_t at = i * bits;
    uint32_t shift = at & 7;
    row[at >> 3] |= (unsigned char)(value << shift);
    if (shift + bits > 8)
        row[(at >> 3) + 1] |= (unsigned char)(value >> (8 - shift));
}

static void quantize_group_affine(struct we_quant quant, const float *w, size_t start, unsigned char *packed, float *scale_out,
                                  float *bias_out)
{
    float low = INFINITY, high = -INFINITY, top = (float)((1u << quant.bits) - 1);
    for (uint32_t i = 0; i < quant.group_size; i++) {
        low = w[i] < low ? w[i] : low;
        high = w[i] > high ? w[i] : high;
    }
    bool from_low = fabsf(low) > fabsf(high);
    float scale = (high - low) / top, bias = 0;
    scale = scale < 1e-7f ? 1e-7f : scale;
    scale = from_low ? scale : -scale;
    /* The end of greater magnitude is kept exact, and zero falls on a whole step. */
    float edge = from_low ? low : high, steps = rintf(edge / scale);
    if (steps != 0) {
        scale = edge / steps;
        bias = edge;
    }
    for (uint32_t i = 0; i < quant.group_size; i++) {
        float q = rintf((w[i] - bias) / scale);
        pack_bits(packed, quant.bits, start + i, !(q > 0) ? 0 : (uint32_t)(q > top ? top : q)); /* NaN gives 0 */
    }
    *scale_out = scale;
    *bias_out = bias;
}

static float round_to(float value, enum we_dtype dtype)
{
    if (dtype == WE_F16)
        return we_f32_from_f16(we_f16_from_f32(value));
    return dtype == WE_BF16 ? we_f32_from_bf16(we_bf16_from_f32(value)) : value;
}

static uint8_t quantize_group_float(struct we_quant quant, const float *w, size_t start, enum we_dtype dtype,
                                    unsigned char *packed)
{
    float largest = 0, scale;
    for (uint32_t i = 0; i < quant.group_size; i++)
        largest = fabsf(w[i]) > largest ? fabsf(w[i]) : largest;
    scale = round_to(largest / (quant.bits == 8 ? 448.0f : 6.0f), dtype);
    uint8_t scale_bits;
    if (quant.mode == WE_QUANT_NVFP4) {
        scale_bits = e4m3_from_f32(scale);
        scale = f32_from_e4m3(scale_bits);
    } else {
        scale_bits = e8m0_above(scale);
        scale = f32_from_e8m0(scale_bits);
    }
    for (uint32_t i = 0; i < quant.group_size; i++)
        pack_bits(packed, quant.bits, start + i, quant.bits == 8 ? e4m3_from_f32(w[i] / scale) : e2m1_from_f32(w[i] / scale));
    return scale_bits;
}

void we_quantize_row(struct we_quant quant, const float *w, uint32_t in, enum we_dtype scale_dtype, void *weight, void *scales,
                     void *biases)
{
    memset(weight, 0, we_quant_row_bytes(quant, in));
    uint32_t groups = we_quant_row_groups(quant, in);
    for (uint32_t g = 0; g < groups; g++) {
        size_t start = (size_t)g * quant.group_size;
        if (quant.mode == WE_QUANT_AFFINE) {
            float scale, bias;
            quantize_group_affine(quant, w + start, start, weight, &scale, &bias);
            we_store_float(scales, scale_dtype, g, scale);
            we_store_float(biases, scale_dtype, g, bias);
        } else {
            ((uint8_t *)scales)[g] = quantize_group_float(quant, w + start, start, scale_dtype, weight);
        }
    }
}
