/* Compiled once for each instruction set (meson.build), over the vectors of quantize_simd.h. Nothing here may round otherwise
 * than mlx does. Groups are multiples of 16 values, so vectors have at most as many; as many groups as a vector has lanes are
 * worked on together, so that what is done once for a group is done for all of them at once. */
#include "tensor/quantize.h"
#include "tensor/quantize_simd.h"

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)

enum { LARGEST_GROUP = 128, BATCH = LANES * LARGEST_GROUP /* values that are worked on together, at most */ };

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
        for (; i + 8 / (bits) + 1 < words; i++) /* all eight bytes: what is too much is written over by the next */            \
            memcpy(out + (bits)*i, &x[i], 8);                                                                                  \
        for (; i < words; i++)                                                                                                 \
            memcpy(out + (bits)*i, &x[i], bits);                                                                               \
        break
#define STORE_NARROW(bits, type)                                                                                               \
    case bits:                                                                                                                 \
        for (; i < words; i++) {                                                                                               \
            type narrow = (type)x[i];                                                                                          \
            memcpy(out + (bits)*i, &narrow, bits);                                                                             \
        }                                                                                                                      \
        break
#define LOAD_WORDS(bits)                                                                                                       \
    case bits:                                                                                                                 \
        for (size_t i = 0; i < words; i++)                                                                                     \
            memcpy(&x[i], packed + (bits)*i, bits);                                                                            \
        break

static inline void pack(const uint8_t *values, uint32_t bits, size_t count, unsigned char *out)
{
    uint64_t x[BATCH / 8];
    size_t words = count / 8, i = 0;
    if (bits == 8) {
        memcpy(out, values, count);
        return;
    }
    memcpy(x, values, count);
    for (size_t n = 0; n < words; n++) { /* neighbours move together: pairs of bytes, then of 16 bits, then of 32 */
        uint64_t w = x[n];
        w = (w & 0x00FF00FF00FF00FFu) | (w >> 8 & 0x00FF00FF00FF00FFu) << bits;
        w = (w & 0x0000FFFF0000FFFFu) | (w >> 16 & 0x0000FFFF0000FFFFu) << 2 * bits;
        x[n] = (w & 0x00000000FFFFFFFFu) | (w >> 32) << 4 * bits;
    }
    switch (bits) {
        STORE_NARROW(2, uint16_t);
        STORE_WORDS(3);
        STORE_NARROW(4, uint32_t);
        STORE_WORDS(5);
        STORE_WORDS(6);
    }
}

static inline void unpack(const unsigned char *packed, uint32_t bits, size_t count, uint8_t *out)
{
    uint64_t x[BATCH / 8] = {0};
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
    for (size_t at = 0; at < count; at += BATCH, out += BATCH / 8 * bits)
        pack(values + at, bits, count - at < BATCH ? count - at : BATCH, out);
}

/* Some groups, one after the other; what belongs to each of them stands in the lanes. */
struct batch {
    uint32_t groups, vectors; /* at most LANES; of one group */
    floats w[BATCH / LANES];
    uint8_t q[BATCH];
};

/* ---- affine ---- */

/* A NaN is passed over, as mlx's comparisons do. */
static inline void find_ranges(const struct batch *b, floats *low, floats *high)
{
    float l[LANES] = {0}, h[LANES] = {0};
    for (uint32_t g = 0; g < b->groups; g++) {
        floats lows = all_floats(INFINITY), highs = all_floats(-INFINITY);
        for (uint32_t i = 0; i < b->vectors; i++) {
            lows = lesser(b->w[g * b->vectors + i], lows);
            highs = greater(b->w[g * b->vectors + i], highs);
        }
        l[g] = least(lows);
        h[g] = greatest(highs);
    }
    memcpy(low, l, sizeof l);
    memcpy(high, h, sizeof h);
}

/* The end of greater magnitude is kept, and zero falls on a whole step. */
static inline void find_scales(floats low, floats high, float top, floats *scale, floats *bias)
{
    ints from_low = magnitude_of(low) > magnitude_of(high);
    floats least_scale = all_floats(1e-7f), zero = {0};
    floats step = (high - low) / top;
    step = choose_floats(step < least_scale, least_scale, step);
    step = choose_floats(from_low, step, -step);
    floats edge = choose_floats(from_low, low, high), steps = nearest_whole(edge / step);
    *scale = choose_floats(steps != zero, edge / steps, step);
    *bias = choose_floats(steps != zero, edge, zero);
}

/* Division takes longer than all else. So the values are multiplied by 1 / scale, and only a group in which one comes close to
 * the middle between two steps is divided: both quotients differ by less than 2^-14, as they are below 256 or too large. */
static inline void quantize_steps(const floats *w, uint32_t vectors, float scale, float bias, float inverse, float top,
                                  uint8_t *q)
{
    const floats zero = {0}, tops = all_floats(top);
    floats farthest = {0};
    for (uint32_t i = 0; i < vectors; i++) {
        floats x = (w[i] - bias) * inverse;
        x = lesser(greater(x, zero), tops);
        floats whole = x + 0x1p23f; /* rounds to the nearest whole number, ties to even, as rint does */
        farthest = greater(magnitude_of(x - (whole - 0x1p23f)), farthest);
        store_bytes(q + i * LANES, as_uints(whole) & 0xFFu);
    }
    if (!any_above(farthest, all_floats(0.5f - 0x1p-14f)) && fabsf(scale) < 0x1p100f)
        return;
    for (uint32_t i = 0; i < vectors; i++) {
        floats x = (w[i] - bias) / scale;   /* the unrounded ones */
        x = lesser(greater(x, zero), tops); /* NaN gives 0, too */
        store_bytes(q + i * LANES, as_uints(x + 0x1p23f) & 0xFFu);
    }
}

static inline void quantize_affine(struct batch *b, uint32_t bits, floats *scales, floats *biases)
{
    const float top = (float)((1u << bits) - 1);
    floats low, high;
    find_ranges(b, &low, &high);
    find_scales(low, high, top, scales, biases);
    floats inverses = 1.0f / *scales;
    for (uint32_t g = 0; g < b->groups; g++)
        quantize_steps(b->w + g * b->vectors, b->vectors, (*scales)[g], (*biases)[g], inverses[g], top,
                       b->q + g * b->vectors * LANES);
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

/* The nearest of 0 .5 1 1.5 2 3 4 6 times the scale; a tie goes to the lesser magnitude, and what becomes zero has no sign.
 * Infinity is as far from all of them, and gives the first. As a scale has at most 4 bits of mantissa, its products with
 * the middles are exact, and a value is above one of them when mlx's quotient is above the middle. */
static inline uints e2m1_steps(floats value, float scale)
{
    floats m = magnitude_of(value), zero = {0};
    uints code = {0};
    code = count_above(code, m, zero + 0.25f * scale);
    code = count_above(code, m, zero + 0.75f * scale);
    code = count_above(code, m, zero + 1.25f * scale);
    code = count_above(code, m, zero + 1.75f * scale);
    code = count_above(code, m, zero + 2.5f * scale);
    code = count_above(code, m, zero + 3.5f * scale);
    code = count_above(code, m, zero + 5.0f * scale);
    code &= (uints)(m < all_floats(INFINITY));
    return code | (as_uints(value) >> 28 & 8u & (uints)((ints)code > 0));
}

static inline floats f32_of_e2m1(uints code)
{
    uints magnitude = code & 7u, subnormal = as_uints(__builtin_convertvector(magnitude, floats) * 0.5f);
    uints normal = (magnitude << 22) + (126u << 23); /* one bit of mantissa; the exponent's bias is 1 */
    return as_floats(choose(below(magnitude, 2), subnormal, normal) | (code & 8u) << 28);
}

/* The least power of two that is not below a value (so that no element saturates), at most 2^127; 1 for zero. */
static inline uints e8m0_above(floats value)
{
    uints bits = as_uints(value), one = (uints){0} + 1, exponent = (bits >> 23) - (uints)((ints)(bits & 0x7FFFFFu) > 0);
    exponent = choose(below(exponent, 255), exponent, one * 254u);
    uints subnormal = one & ~(uints)below(bits, 0x00400001u); /* 2^-127 is the least there is */
    return choose(value > (floats){0}, choose(below(bits, 0x00800000u), subnormal, exponent), one * 127u);
}

static inline floats f32_of_e8m0(uints code)
{
    return as_floats(choose(below(code, 1), (uints){0} + 0x00400000u, code << 23)); /* 255: infinity, as 2^128 is */
}

static inline floats scales_of(enum we_quant_mode mode, uints codes)
{
    return mode == WE_QUANT_NVFP4 ? f32_of_e4m3(codes) : f32_of_e8m0(codes);
}

/* The codes of the scales. */
static inline uints quantize_small(struct batch *b, enum we_quant_mode mode, enum we_dtype dtype)
{
    float largest[LANES] = {0};
    for (uint32_t g = 0; g < b->groups; g++) {
        floats most = {0};
        for (uint32_t i = 0; i < b->vectors; i++)
            most = greater(magnitude_of(b->w[g * b->vectors + i]), most);
        largest[g] = greatest(most);
    }
    floats scales;
    memcpy(&scales, largest, sizeof scales);
    scales = round_to(scales / (mode == WE_QUANT_MXFP8 ? 448.0f : 6.0f), dtype);
    uints codes = mode == WE_QUANT_NVFP4 ? e4m3_of_f32(scales) : e8m0_above(scales);
    scales = scales_of(mode, codes);
    floats inverses = 1.0f / scales; /* of powers of two, so exact */
    if (mode == WE_QUANT_NVFP4)      /* a value over zero is infinite, and that gives 0 */
        scales = choose_floats(scales > (floats){0}, scales, all_floats(INFINITY));
    for (uint32_t g = 0; g < b->groups; g++) {
        const floats *w = b->w + g * b->vectors;
        uint8_t *q = b->q + g * b->vectors * LANES;
        for (uint32_t i = 0; i < b->vectors; i++)
            store_bytes(q + i * LANES, mode == WE_QUANT_MXFP8 ? e4m3_of_f32(w[i] * inverses[g]) : e2m1_steps(w[i], scales[g]));
    }
    return codes;
}

/* ---- whole arrays ---- */

/* The first lanes, as many as there are groups. */
static inline void store_some(unsigned char *out, enum we_dtype dtype, size_t index, uint32_t count, floats v)
{
    unsigned char all[4 * LANES];
    store(all, dtype, 0, v);
    memcpy(out + index * we_dtype_size(dtype), all, count * we_dtype_size(dtype));
}

/* Called with constants, so that each type, mode and size of group gets loops of its own. */
static inline void quantize_groups(struct we_quant quant, const unsigned char *values, enum we_dtype from, enum we_dtype to,
                                   size_t count, unsigned char *packed, unsigned char *scales, unsigned char *biases)
{
    const size_t groups = count / quant.group_size;
    struct batch b;
    for (size_t g = 0; g < groups; g += b.groups) {
        b.vectors = quant.group_size / LANES;
        b.groups = groups - g < LANES ? (uint32_t)(groups - g) : LANES;
        for (uint32_t i = 0; i < b.groups * b.vectors; i++) {
            b.w[i] = load(values, from, g * quant.group_size + (size_t)i * LANES);
            if (from != to)
                b.w[i] = round_to(b.w[i], to);
        }
        if (quant.mode == WE_QUANT_AFFINE) {
            floats scale, bias;
            quantize_affine(&b, quant.bits, &scale, &bias);
            store_some(scales, to, g, b.groups, scale);
            store_some(biases, to, g, b.groups, bias);
        } else {
            uint8_t codes[LANES];
            store_bytes(codes, quantize_small(&b, quant.mode, to));
            memcpy(scales + g, codes, b.groups);
        }
        pack(b.q, quant.bits, (size_t)b.groups * quant.group_size, packed + g * quant.group_size / 8 * quant.bits);
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
    const bool affine = quant.mode == WE_QUANT_AFFINE;
    const size_t groups = count / quant.group_size, size = affine ? we_dtype_size(scale_dtype) : 1;
    const uint32_t vectors = quant.group_size / LANES;
    uint8_t q[BATCH];
    for (size_t g = 0; g < groups; g += LANES) {
        const uint32_t n = groups - g < LANES ? (uint32_t)(groups - g) : LANES;
        unsigned char some[4 * LANES] = {0};
        memcpy(some, scales + g * size, n * size);
        floats scale = affine ? load(some, scale_dtype, 0) : scales_of(quant.mode, load_bytes(some)), bias = {0};
        if (affine) {
            memcpy(some, biases + g * size, n * size);
            bias = load(some, scale_dtype, 0);
        }
        unpack(packed + g * quant.group_size / 8 * quant.bits, quant.bits, (size_t)n * quant.group_size, q);
        for (uint32_t k = 0; k < n; k++) {
            const floats s = all_floats(scale[k]), b = all_floats(bias[k]);
            for (size_t i = (size_t)k * vectors; i < (k + 1) * vectors; i++) {
                const uints code = load_bytes(q + i * LANES);
                floats v;
                if (affine) /* mlx multiplies, then adds, each in the type of the scales */
                    v = round_to(__builtin_convertvector(code, floats) * s, to) + b;
                else
                    v = (quant.mode == WE_QUANT_MXFP8 ? f32_of_e4m3(code) : f32_of_e2m1(code)) * s;
                store(values, to, g * quant.group_size + i * LANES, v);
            }
        }
    }
}

static void dequantize(struct we_quant quant, const void *packed, const void *scales, const void *biases,
                       enum we_dtype scale_dtype, size_t count, void *values, enum we_dtype to)
{
#define DEQUANTIZE(mode, size)                                                                                                 \
    case (mode) << 8 | (size):                                                                                                 \
        if (to == WE_BF16)                                                                                                     \
            dequantize_groups((struct we_quant){mode, quant.bits, size}, packed, scales, biases, scale_dtype, count, values,   \
                              WE_BF16);                                                                                        \
        else                                                                                                                   \
            dequantize_groups((struct we_quant){mode, quant.bits, size}, packed, scales, biases, scale_dtype, count, values,   \
                              to);                                                                                             \
        break;
    switch ((uint32_t)quant.mode << 8 | quant.group_size) {
        FORMATS(DEQUANTIZE)
    }
}

/* Here all ones are no number. */
static inline floats scaled_e4m3(const uint8_t *codes, float factor)
{
    const uints code = load_bytes(codes);
    const floats value = choose_floats(below(code & 0x7Fu, 0x7F), f32_of_e4m3(code), all_floats(NAN));
    return value * factor;
}

static void scale_e4m3(const void *codes, float factor, size_t count, void *out)
{
    const uint8_t *in = codes;
    const size_t whole = count - count % LANES;
    for (size_t i = 0; i < whole; i += LANES)
        store(out, WE_BF16, i, scaled_e4m3(in + i, factor));
    if (whole == count)
        return;
    uint8_t some[LANES] = {0};
    unsigned char made[2 * LANES];
    memcpy(some, in + whole, count - whole);
    store(made, WE_BF16, 0, scaled_e4m3(some, factor));
    memcpy((unsigned char *)out + 2 * whole, made, 2 * (count - whole));
}

extern const struct we_quantizer JOIN(we_quantizer_, WE_QUANTIZE_ISA);
const struct we_quantizer JOIN(we_quantizer_,
                               WE_QUANTIZE_ISA) = {TEXT(WE_QUANTIZE_ISA), quantize, dequantize, pack_row, scale_e4m3, cast};
