/* Vectors of floats and of 32-bit integers for quantize_kernels.c, as GCC and Clang have them in C; where a compiler makes too
 * much of an expression, the instruction itself. What is rounded here is rounded as mlx rounds it. */
#ifndef WE_TENSOR_QUANTIZE_SIMD_H
#define WE_TENSOR_QUANTIZE_SIMD_H

#include "tensor/dtype.h"

#include <math.h>
#include <string.h>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
enum { LANES = 16 };
#elif defined(__AVX2__)
enum { LANES = 8 };
#else
enum { LANES = 4 };
#endif

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

static inline floats all_floats(float value)
{
    return (floats){0} + value;
}

static inline floats magnitude_of(floats v)
{
    return as_floats(as_uints(v) & 0x7FFFFFFFu);
}

/* If `a` is a NaN, or both are equal: `b`. */
static inline floats lesser(floats a, floats b)
{
#if defined(__AVX512F__)
    return (floats)_mm512_min_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
    return (floats)_mm256_min_ps((__m256)a, (__m256)b);
#else
    return choose_floats(a < b, a, b);
#endif
}

static inline floats greater(floats a, floats b)
{
#if defined(__AVX512F__)
    return (floats)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
    return (floats)_mm256_max_ps((__m256)a, (__m256)b);
#else
    return choose_floats(a > b, a, b);
#endif
}

/* Of all lanes, none of which is a NaN. */
static inline float greatest(floats v)
{
#if defined(__AVX512F__)
    return _mm512_reduce_max_ps((__m512)v);
#else
    float x[LANES];
    memcpy(x, &v, sizeof x);
    for (int n = LANES / 2; n; n /= 2)
        for (int k = 0; k < n; k++)
            x[k] = x[k + n] > x[k] ? x[k + n] : x[k];
    return x[0];
#endif
}

static inline float least(floats v)
{
#if defined(__AVX512F__)
    return _mm512_reduce_min_ps((__m512)v);
#else
    float x[LANES];
    memcpy(x, &v, sizeof x);
    for (int n = LANES / 2; n; n /= 2)
        for (int k = 0; k < n; k++)
            x[k] = x[k + n] < x[k] ? x[k + n] : x[k];
    return x[0];
#endif
}

/* count + 1 where a > b. */
static inline uints count_above(uints count, floats a, floats b)
{
#if defined(__AVX512F__)
    __mmask16 above = _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GT_OQ);
    return (uints)_mm512_mask_add_epi32((__m512i)count, above, (__m512i)count, _mm512_set1_epi32(1));
#else
    return count - (uints)(a > b);
#endif
}

static inline bool any_above(floats a, floats b)
{
#if defined(__AVX512F__)
    return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GT_OQ) != 0;
#elif defined(__AVX2__)
    return _mm256_movemask_ps(_mm256_cmp_ps((__m256)a, (__m256)b, _CMP_GT_OQ)) != 0;
#else
    ints above = a > b;
    int32_t all = 0;
    for (int k = 0; k < LANES; k++)
        all |= above[k];
    return all != 0;
#endif
}

/* The nearest whole number, ties to even; of 0 the sign is lost. */
static inline floats nearest_whole(floats v)
{
    floats m = magnitude_of(v), whole = (m + 0x1p23f) - 0x1p23f;
    return as_floats(as_uints(choose_floats(m < all_floats(0x1p23f), whole, m)) | (as_uints(v) & 0x80000000u));
}

/* The lanes as bytes or 16 bits, none of them too large, and back. */
static inline void store_bytes(uint8_t *out, uints v)
{
#if defined(__AVX512F__)
    _mm_storeu_si128((__m128i *)(void *)out, _mm512_cvtepi32_epi8((__m512i)v));
#elif defined(__AVX2__)
    __m128i words = _mm_packus_epi32(_mm256_castsi256_si128((__m256i)v), _mm256_extracti128_si256((__m256i)v, 1));
    _mm_storel_epi64((__m128i *)(void *)out, _mm_packus_epi16(words, words));
#else
    bytes b = __builtin_convertvector(v, bytes);
    memcpy(out, &b, sizeof b);
#endif
}

static inline uints load_bytes(const uint8_t *in)
{
#if defined(__AVX512F__)
    return (uints)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)in));
#elif defined(__AVX2__)
    return (uints)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)in));
#else
    bytes b;
    memcpy(&b, in, sizeof b);
    return __builtin_convertvector(b, uints);
#endif
}

static inline halves narrowed(uints v)
{
#if defined(__AVX512F__)
    return (halves)_mm512_cvtepi32_epi16((__m512i)v);
#elif defined(__AVX2__)
    return (halves)_mm_packus_epi32(_mm256_castsi256_si128((__m256i)v), _mm256_extracti128_si256((__m256i)v, 1));
#else
    return __builtin_convertvector(v, halves);
#endif
}

static inline uints widened(halves h)
{
#if defined(__AVX512F__)
    return (uints)_mm512_cvtepu16_epi32((__m256i)h);
#elif defined(__AVX2__)
    return (uints)_mm256_cvtepu16_epi32((__m128i)h);
#else
    return __builtin_convertvector(h, uints);
#endif
}

/* ---- types of floats ---- */

static inline floats f32_of_f16(halves h)
{
    uints wide = widened(h), magnitude = wide & 0x7FFFu, sign = (wide & 0x8000u) << 16;
    uints subnormal = as_uints(as_floats(magnitude + 0x3F000000u) - 0.5f); /* units of 2^-24: the last bits of 0.5 */
    uints normal = (magnitude << 13) + choose(below(magnitude, 0x7C00u), (uints){0} + (112u << 23), (uints){0} + (224u << 23));
    return as_floats(choose(below(magnitude, 0x400u), subnormal, normal) | sign);
}

/* Nearest, ties to even; a NaN stays one. */
static inline halves f16_of_f32(floats value)
{
#if defined(__AVX512F__)
    return (halves)_mm512_cvtps_ph((__m512)value, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#elif defined(__AVX2__)
    return (halves)_mm256_cvtps_ph((__m256)value, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
    uints bits = as_uints(value), sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7FFFFFFFu;
    ints tiny = below(magnitude, 0x38800000u);
    uints subnormal = as_uints(as_floats(choose(tiny, magnitude, (uints){0})) + 0.5f) - 0x3F000000u;
    uints normal = (magnitude + 0xFFFu + (magnitude >> 13 & 1u) - (112u << 23)) >> 13;
    uints result = choose(tiny, subnormal, normal);
    result = choose(below(magnitude, 0x477FF000u), result, (uints){0} + 0x7C00u);
    result = choose(below(magnitude, 0x7F800001u), result, 0x7E00u | (magnitude >> 13 & 0x3FFu));
    return narrowed(result | sign);
#endif
}

static inline halves bf16_of_f32(floats value)
{
    uints bits = as_uints(value), rounded = (bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16;
    ints number = below(bits & 0x7FFFFFFFu, 0x7F800001u);
    return narrowed(choose(number, rounded, bits >> 16 | 0x40u));
}

static inline floats f32_of_bf16(halves h)
{
    return as_floats(widened(h) << 16);
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

static inline bool any(ints condition)
{
    int32_t all = 0;
    for (int k = 0; k < LANES; k++)
        all |= condition[k];
    return all != 0;
}

#endif
