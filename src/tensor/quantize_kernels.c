/* Compiled once for each instruction set (meson.build), over vectors as GCC and Clang have them in C. Nothing here may round
 * otherwise than mlx does. Groups are multiples of 16 values, so vectors have at most as many. */
#include "tensor/quantize.h"

#include <math.h>

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)

#if defined(__AVX512F__)
enum { LANES = 16 };
#elif defined(__AVX2__)
enum { LANES = 8 };
#else
enum { LANES = 4 };
#endif
enum { LARGEST_GROUP = 128 };

typedef float floats __attribute__((vector_size(4 * LANES)));
typedef int32_t ints __attribute__((vector_size(4 * LANES)));
typedef uint32_t uints __attribute__((vector_size(4 * LANES)));
typedef uint16_t halves __attribute__((vector_size(2 * LANES)));
typedef uint8_t bytes __attribute__((vector_size(LANES)));

/* Bit for bit; a condition is all ones or all zeros. */
static inline floats as_floats(uints v)
{
    return (floats)v;
}

static inline uints as_uints(floats v)
{
    return (uints)v;
}

static inline uints choose(ints condition, uints a, uints b)
{
    return ((uints)condition & a) | (~(uints)condition & b);
}

static inline floats choose_floats(ints condition, floats a, floats b)
{
    return as_floats(choose(condition, as_uints(a), as_uints(b)));
}

/* Of numbers below 2^31. */
static inline ints below(uints a, uint32_t b)
{
    return (ints)a < (ints)((uints){0} + b);
}

/* ---- types of floats ---- */

static inline floats f32_of_f16(halves h)
{
    uints wide = __builtin_convertvector(h, uints), magnitude = wide & 0x7FFFu, sign = (wide & 0x8000u) << 16;
    uints subnormal = as_uints(as_floats(magnitude + 0x3F000000u) - 0.5f); /* units of 2^-24: the last bits of 0.5 */
    uints normal = (magnitude << 13) + choose(below(magnitude, 0x7C00u), (uints){0} + (112u << 23), (uints){0} + (224u << 23));
    return as_floats(choose(below(magnitude, 0x400u), subnormal, normal) | sign);
}

/* Nearest, ties to even; a NaN stays one. */
static inline halves f16_of_f32(floats value)
{
    uints bits = as_uints(value), sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7FFFFFFFu;
    ints tiny = below(magnitude, 0x38800000u);
    uints subnormal = as_uints(as_floats(choose(tiny, magnitude, (uints){0})) + 0.5f) - 0x3F000000u;
    uints normal = (magnitude + 0xFFFu + (magnitude >> 13 & 1u) - (112u << 23)) >> 13;
    uints result = choose(tiny, subnormal, normal);
    result = choose(below(magnitude, 0x477FF000u), result, (uints){0} + 0x7C00u);
    result = choose(below(magnitude, 0x7F800001u), result, 0x7E00u | (magnitude >> 13 & 0x3FFu));
    return __builtin_convertvector(result | sign, halves);
}

static inline halves bf16_of_f32(floats value)
{
    uints bits = as_uints(value), rounded = (bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16;
    ints number = below(bits & 0x7FFFFFFFu, 0x7F800001u);
    return __builtin_convertvector(choose(number, rounded, bits >> 16 | 0x40u), halves);
}

static inline floats f32_of_bf16(halves h)
{
    return as_floats(__builtin_convertvector(h, uints) << 16);
}

static inline floats load(const unsigned char *p, enum we_dtype dtype, size_t index)
{
    floats v;
    halves h;
    if (dtype == WE_F32) {
        memcpy(&v, p + index * 4, sizeof v);
        return v;
    }
    memcpy(&h, p + index * 2, sizeof h);
    return dtype == WE_F16 ? f32_of_f16(h) : f32_of_bf16(h);
}

static inline void store(unsigned char *p, enum we_dtype dtype, size_t index, floats v)
{
    if (dtype == WE_F32) {
        memcpy(p + index * 4, &v, sizeof v);
        return;
    }
    halves h = dtype == WE_F16 ? f16_of_f32(v) : bf16_of_f32(v);
    memcpy(p + index * 2, &h, sizeof h);
}

static inline floats round_to(floats v, enum we_dtype dtype)
{
    return dtype == WE_F16 ? f32_of_f16(f16_of_f32(v)) : dtype == WE_BF16 ? f32_of_bf16(bf16_of_f32(v)) : v;
}

static inline float round_one(float value, enum we_dtype dtype)
{
    return round_to((floats){0} + value, dtype)[0];
}

static inline bool any(ints condition)
{
    int32_t all = 0;
    for (int k = 0; k < LANES; k++)
        all |= condition[k];
    return all != 0;
}

static inline bool cast_vectors(const unsigned char *values, enum we_dtype from, size_t count, unsigned char *out,
                                enum we_dtype to)
{
    uint32_t limit = to == WE_F16 ? 0x477FF000u : to == WE_BF16 ? 0x7F7F8000u : 0x7F800000u; /* what rounds to infinity */
    ints lost = {0};
    for (size_t i = 0; i < count; i += LANES) {
        floats v = load(values, from, i);
        uints magnitude = as_uints(v) & 0x7FFFFFFFu;
        lost |= ~below(magnitude, limit) & below(magnitude, 0x7F800000u);
        store(out, to, i, v);
    }
    return !any(lost);
}

static bool cast(const void *values, enum we_dtype from, size_t count, void *out, enum we_dtype to)
{
    size_t whole = count - count % LANES;
    bool finite = true;
    if (from == to) {
        if (count)
            memcpy(out, values, count * we_dtype_size(from));
        return true;
    }
    if (from == WE_F32)
        finite =
            to == WE_F16 ? cast_vectors(values, WE_F32, whole, out, WE_F16) : cast_vectors(values, WE_F32, whole, out, WE_BF16);
    else if (from == WE_F16)
        finite =
            to == WE_F32 ? cast_vectors(values, WE_F16, whole, out, WE_F32) : cast_vectors(values, WE_F16, whole, out, WE_BF16);
    else
        finite = to == WE_F32 ? cast_vectors(values, WE_BF16, whole, out, WE_F32)
                              : cast_vectors(values, WE_BF16, whole, out, WE_F16);
    for (size_t i = whole; i < count; i++) {
        float value = we_load_float(values, from, i);
        we_store_float(out, to, i, value);
        finite = finite && (!isfinite(value) || isfinite(we_load_float(out, to, i)));
    }
    return finite;
}

/* ---- packing: eight values of `bits` fill `bits` bytes (on a little-endian machine, as all of ours are) ---- */

#define STORE_WORDS(bits)                                                                                                      \
    case bits:                                                                                                                 \
        for (size_t i = 0; i < words; i++)                                                                                     \
            memcpy(out + (bits)*i, &x[i], bits);                                                                               \
        break
#define LOAD_WORDS(bits)                                                                                                       \
    case bits:                                                                                                                 \
        for (size_t i = 0; i < words; i++)                                                                                     \
            memcpy(&x[i], packed + (bits)*i, bits);                                                                            \
        break

static inline void pack(const uint8_t *values, uint32_t bits, size_t count, unsigned char *out)
{
    uint64_t x[LARGEST_GROUP / 8];
    size_t words = count / 8;
    if (bits == 8) {
        memcpy(out, values, count);
        return;
    }
    memcpy(x, values, count);
    for (size_t i = 0; i < words; i++) { /* neighbours move together: pairs of bytes, then of 16 bits, then of 32 */
        uint64_t w = x[i];
        w = (w & 0x00FF00FF00FF00FFu) | (w >> 8 & 0x00FF00FF00FF00FFu) << bits;
        w = (w & 0x0000FFFF0000FFFFu) | (w >> 16 & 0x0000FFFF0000FFFFu) << 2 * bits;
        x[i] = (w & 0x00000000FFFFFFFFu) | (w >> 32) << 4 * bits;
    }
    switch (bits) {
        STORE_WORDS(2);
        STORE_WORDS(3);
        STORE_WORDS(4);
        STORE_WORDS(5);
        STORE_WORDS(6);
    }
}

static inline void unpack(const unsigned char *packed, uint32_t bits, size_t count, uint8_t *out)
{
    uint64_t x[LARGEST_GROUP / 8] = {0};
    size_t words = count / 8;
    if (bits == 8) {
        memcpy(out, packed, count);
        return;
    }
    switch (bits) {
        LOAD_WORDS(2);
        LOAD_WORDS(3);
        LOAD_WORDS(4);
        LOAD_WORDS(5);
        LOAD_WORDS(6);
    }
    uint64_t four = (UINT64_C(1) << 4 * bits) - 1, two = ((UINT64_C(1) << 2 * bits) - 1) * 0x0000000100000001u,
             one = ((1u << bits) - 1) * 0x0001000100010001u;
    for (size_t i = 0; i < words; i++) {
        uint64_t w = (x[i] & four) | (x[i] >> 4 * bits) << 32;
        w = (w & two) | (w >> 2 * bits & two) << 16;
        x[i] = (w & one) | (w >> bits & one) << 8;
    }
    memcpy(out, x, count);
}

static void pack_row(const uint8_t *values, uint32_t bits, size_t count, void *packed)
{
    unsigned char *out = packed;
    for (size_t at = 0; at < count; at += LARGEST_GROUP, out += LARGEST_GROUP / 8 * bits)
        pack(values + at, bits, count - at < LARGEST_GROUP ? count - at : LARGEST_GROUP, out);
}

/* ---- affine ---- */

/* A NaN is passed over, as mlx's comparisons do. */
static inline void find_range(const floats *w, uint32_t vectors, float *low, float *high)
{
    floats lows = (floats){0} + INFINITY, highs = (floats){0} - INFINITY;
    for (uint32_t i = 0; i < vectors; i++) {
        lows = choose_floats(w[i] < lows, w[i], lows);
        highs = choose_floats(w[i] > highs, w[i], highs);
    }
    float l[LANES], h[LANES];
    memcpy(l, &lows, sizeof l);
    memcpy(h, &highs, sizeof h);
    for (int n = LANES / 2; n; n /= 2)
        for (int k = 0; k < n; k++) {
            l[k] = l[k + n] < l[k] ? l[k + n] : l[k];
            h[k] = h[k + n] > h[k] ? h[k + n] : h[k];
        }
    *low = l[0];
    *high = h[0];
}

static inline void quantize_affine(const floats *w, uint32_t vectors, uint32_t bits, unsigned char *packed, float *scale_out,
                                   float *bias_out)
{
    float low, high, top = (float)((1u << bits) - 1), bias = 0;
    find_range(w, vectors, &low, &high);
    bool from_low = fabsf(low) > fabsf(high);
    float scale = (high - low) / top;
    scale = scale < 1e-7f ? 1e-7f : scale;
    scale = from_low ? scale : -scale;
    float edge = from_low ? low : high, steps = rintf(edge / scale);
    if (steps != 0) { /* the end of greater magnitude is kept, and zero falls on a whole step */
        scale = edge / steps;
        bias = edge;
    }
    uint8_t q[LARGEST_GROUP];
    for (uint32_t i = 0; i < vectors; i++) {
        floats x = (w[i] - bias) / scale, zero = {0}; /* the unrounded ones */
        x = choose_floats(x > zero, x, zero);         /* NaN gives 0, too */
        x = choose_floats(x < zero + top, x, zero + top);
        /* Adding 2^23 rounds to the nearest whole number, ties to even, as rint does. */
        bytes b = __builtin_convertvector(as_uints(x + 0x1p23f) & 0xFFu, bytes);
        memcpy(q + i * LANES, &b, sizeof b);
    }
    pack(q, bits, (size_t)vectors * LANES, packed);
    *scale_out = scale;
    *bias_out = bias;
}

/* ---- small floats ---- */

/* 4 bits of exponent, 3 of mantissa; nearest, ties to even; saturates at 448, NaN too. */
static inline uints e4m3_of_f32(floats value)
{
    uints bits = as_uints(value), magnitude = bits & 0x7FFFFFFFu;
    ints tiny = below(magnitude, 0x3C800000u);
    uints subnormal = as_uints(as_floats(choose(tiny, magnitude, (uints){0})) + 0x1p14f) - 0x46800000u; /* units of 2^-9 */
    uints normal = (magnitude + 0x7FFFFu + (magnitude >> 20 & 1u) - (120u << 23)) >> 20;
    uints result = choose(tiny, subnormal, normal);
    result = choose(below(magnitude, 0x43E80000u), result, (uints){0} + 0x7Eu); /* 464: halfway to what would come next */
    return result | (bits >> 24 & 0x80u);
}

/* 0x7F reads as 480, as in mlx. */
static inline floats f32_of_e4m3(uints code)
{
    uints magnitude = code & 0x7Fu, subnormal = as_uints(__builtin_convertvector(magnitude, floats) * 0x1p-9f);
    uints normal = (magnitude << 20) + (120u << 23); /* 127 - 7, the difference of the exponents' biases */
    return as_floats(choose(below(magnitude, 8), subnormal, normal) | (code & 0x80u) << 24);
}

/* The nearest of 0 .5 1 1.5 2 3 4 6; a tie goes to the lesser magnitude, and what becomes zero has no sign. Infinity (a value
 * over a scale that became zero) is as far from all of them, and gives the first. */
static inline uints e2m1_of_f32(floats value)
{
    floats m = as_floats(as_uints(value) & 0x7FFFFFFFu), zero = {0};
    ints code = -((m > zero + 0.25f) + (m > zero + 0.75f) + (m > zero + 1.25f) + (m > zero + 1.75f) + (m > zero + 2.5f) +
                  (m > zero + 3.5f) + (m > zero + 5.0f)) &
                (m < zero + INFINITY);
    return (uints)code | (as_uints(value) >> 28 & 8u & (uints)(code > 0));
}

static inline floats f32_of_e2m1(uints code)
{
    uints magnitude = code & 7u, subnormal = as_uints(__builtin_convertvector(magnitude, floats) * 0.5f);
    uints normal = (magnitude << 22) + (126u << 23); /* one bit of mantissa; the exponent's bias is 1 */
    return as_floats(choose(below(magnitude, 2), subnormal, normal) | (code & 8u) << 28);
}

/* The least power of two that is not below `value` (so that no element saturates); 1 for zero. */
static inline uint8_t e8m0_above(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (!(value > 0))
        return 127;
    if (bits < 0x00800000u) /* subnormal: 2^-127 is the least there is */
        return bits > 0x00400000u;
    uint32_t exponent = (bits >> 23) + ((bits & 0x7FFFFFu) != 0);
    return (uint8_t)(exponent > 254 ? 254 : exponent);
}

static inline float f32_of_e8m0(uint8_t code)
{
    return code == 0 ? 0x1p-127f : as_floats((uints){0} + ((uint32_t)code << 23))[0]; /* 255: infinity, as 2^128 is */
}

static inline float scale_of(enum we_quant_mode mode, uint8_t code)
{
    return mode == WE_QUANT_NVFP4 ? f32_of_e4m3((uints){0} + code)[0] : f32_of_e8m0(code);
}

static inline uint8_t quantize_small(enum we_quant_mode mode, const floats *w, uint32_t vectors, enum we_dtype dtype,
                                     unsigned char *packed)
{
    floats largests = {0};
    for (uint32_t i = 0; i < vectors; i++) {
        floats m = as_floats(as_uints(w[i]) & 0x7FFFFFFFu);
        largests = choose_floats(m > largests, m, largests);
    }
    float largest = largests[0];
    for (int k = 1; k < LANES; k++)
        largest = largests[k] > largest ? largests[k] : largest;
    bool e4m3 = mode == WE_QUANT_MXFP8;
    float scale = round_one(largest / (e4m3 ? 448.0f : 6.0f), dtype);
    uint8_t code = mode == WE_QUANT_NVFP4 ? (uint8_t)e4m3_of_f32((floats){0} + scale)[0] : e8m0_above(scale), q[LARGEST_GROUP];
    scale = scale_of(mode, code);
    for (uint32_t i = 0; i < vectors; i++) {
        floats x = w[i] / scale;
        bytes b = __builtin_convertvector(e4m3 ? e4m3_of_f32(x) : e2m1_of_f32(x), bytes);
        memcpy(q + i * LANES, &b, sizeof b);
    }
    pack(q, e4m3 ? 8 : 4, (size_t)vectors * LANES, packed);
    return code;
}

/* ---- whole arrays ---- */

/* Called with constants, so that each type, mode and size of group gets loops of its own. */
static inline void quantize_groups(struct we_quant quant, const unsigned char *values, enum we_dtype from, enum we_dtype to,
                                   size_t count, unsigned char *packed, unsigned char *scales, unsigned char *biases)
{
    size_t groups = count / quant.group_size, group_bytes = (size_t)quant.group_size / 8 * quant.bits;
    uint32_t vectors = quant.group_size / LANES;
    floats w[LARGEST_GROUP / LANES];
    for (size_t g = 0; g < groups; g++, packed += group_bytes) {
        for (uint32_t i = 0; i < vectors; i++) {
            w[i] = load(values, from, g * quant.group_size + (size_t)i * LANES);
            if (from != to)
                w[i] = round_to(w[i], to);
        }
        if (quant.mode != WE_QUANT_AFFINE) {
            scales[g] = quantize_small(quant.mode, w, vectors, to, packed);
            continue;
        }
        float scale, bias;
        quantize_affine(w, vectors, quant.bits, packed, &scale, &bias);
        we_store_float(scales, to, g, scale);
        we_store_float(biases, to, g, bias);
    }
}

#define FORMATS(apply)                                                                                                         \
    apply(WE_QUANT_AFFINE, 32) apply(WE_QUANT_AFFINE, 64) apply(WE_QUANT_AFFINE, 128) apply(WE_QUANT_MXFP4, 32)                \
        apply(WE_QUANT_MXFP8, 32) apply(WE_QUANT_NVFP4, 16)

static void quantize(struct we_quant quant, const void *values, enum we_dtype from, enum we_dtype to, size_t count,
                     void *packed, void *scales, void *biases)
{
#define QUANTIZE(mode, size)                                                                                                   \
    case (mode) << 8 | (size):                                                                                                 \
        if (from == WE_F32)                                                                                                    \
            quantize_groups((struct we_quant){mode, quant.bits, size}, values, WE_F32, to, count, packed, scales, biases);     \
        else if (from == WE_F16)                                                                                               \
            quantize_groups((struct we_quant){mode, quant.bits, size}, values, WE_F16, to, count, packed, scales, biases);     \
        else                                                                                                                   \
            quantize_groups((struct we_quant){mode, quant.bits, size}, values, WE_BF16, to, count, packed, scales, biases);    \
        break;
    switch ((uint32_t)quant.mode << 8 | quant.group_size) {
        FORMATS(QUANTIZE)
    }
}

static inline void dequantize_groups(struct we_quant quant, const unsigned char *packed, const unsigned char *scales,
                                     const unsigned char *biases, enum we_dtype scale_dtype, size_t count,
                                     unsigned char *values, enum we_dtype to)
{
    size_t groups = count / quant.group_size, group_bytes = (size_t)quant.group_size / 8 * quant.bits;
    uint32_t vectors = quant.group_size / LANES;
    uint8_t q[LARGEST_GROUP];
    for (size_t g = 0; g < groups; g++, packed += group_bytes) {
        unpack(packed, quant.bits, quant.group_size, q);
        bool affine = quant.mode == WE_QUANT_AFFINE;
        float scale = affine ? we_load_float(scales, scale_dtype, g) : scale_of(quant.mode, scales[g]);
        float bias = affine ? we_load_float(biases, scale_dtype, g) : 0;
        for (uint32_t i = 0; i < vectors; i++) {
            bytes b;
            memcpy(&b, q + i * LANES, sizeof b);
            uints code = __builtin_convertvector(b, uints);
            floats v;
            if (affine) /* mlx multiplies, then adds, each in the type of the scales */
                v = round_to(__builtin_convertvector(code, floats) * scale, to) + bias;
            else
                v = (quant.mode == WE_QUANT_MXFP8 ? f32_of_e4m3(code) : f32_of_e2m1(code)) * scale;
            store(values, to, g * quant.group_size + (size_t)i * LANES, v);
        }
    }
}

static void dequantize(struct we_quant quant, const void *packed, const void *scales, const void *biases,
                       enum we_dtype scale_dtype, size_t count, void *values, enum we_dtype to)
{
#define DEQUANTIZE(mode, size)                                                                                                 \
    case (mode) << 8 | (size):                                                                                                 \
        dequantize_groups((struct we_quant){mode, quant.bits, size}, packed, scales, biases, scale_dtype, count, values, to);  \
        break;
    switch ((uint32_t)quant.mode << 8 | quant.group_size) {
        FORMATS(DEQUANTIZE)
    }
}

extern const struct we_quantizer JOIN(we_quantizer_, WE_QUANTIZE_ISA);
const struct we_quantizer JOIN(we_quantizer_, WE_QUANTIZE_ISA) = {TEXT(WE_QUANTIZE_ISA), quantize, dequantize, pack_row, cast};
