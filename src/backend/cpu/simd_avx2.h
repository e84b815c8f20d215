/* simd.h for AVX2 with FMA and F16C. */
#include <immintrin.h>

enum { LANES = 8, NIBBLE_BLOCK = 64 };
#define TARGET_TILE 3 /* tokens in a tile; with 16 registers */
#define TARGET_DIRECT 2 /* most tokens of a direct product */
#define TARGET_ATTEND 2 /* vectors side by side in attention */
#define TARGET_PAIRS 4 /* queries side by side in attention over pairs */
#define NIBBLE_OFFSET 0.0f
/* Where value k of 64 stands: its lane in the vector of its nibble. */
#define NIBBLE_POSITION(k) (8 * ((k) & 7) + (k) / 8)

typedef __m256 vf;

INLINE vf v_zero(void) { return _mm256_setzero_ps(); }
INLINE vf v_set1(float x) { return _mm256_set1_ps(x); }
INLINE vf v_load(const void *p) { return _mm256_loadu_ps(p); }
INLINE void v_store(float *p, vf v) { _mm256_storeu_ps(p, v); }
INLINE vf v_add(vf a, vf b) { return _mm256_add_ps(a, b); }
INLINE vf v_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
INLINE vf v_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
INLINE vf v_div(vf a, vf b) { return _mm256_div_ps(a, b); }
INLINE vf v_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
/* A NaN in b is the result. */
INLINE vf v_max(vf a, vf b) { return _mm256_max_ps(a, b); }
INLINE vf v_min(vf a, vf b) { return _mm256_min_ps(a, b); }

/* The first n lanes, n <= LANES; the others are 0 and not touched in memory. */
INLINE __m256i v_first(size_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0));
}
INLINE vf v_load_n(const void *p, size_t n) { return _mm256_maskload_ps((const float *)p, v_first(n)); }
INLINE void v_store_n(float *p, vf v, size_t n) { _mm256_maskstore_ps(p, v_first(n), v); }

INLINE vf v_from_bf16(__m128i h) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16)); }
INLINE __m128i v_load_16(const void *p) { return _mm_loadu_si128((const __m128i_u *)p); }
INLINE __m128i v_load_16_n(const void *p, size_t n)
{
    uint16_t part[8] = {0};
    memcpy(part, p, n * 2);
    return v_load_16(part);
}
INLINE vf v_load_bf16(const void *p) { return v_from_bf16(v_load_16(p)); }
INLINE vf v_load_bf16_n(const void *p, size_t n) { return v_from_bf16(v_load_16_n(p, n)); }
INLINE vf v_load_f16(const void *p) { return _mm256_cvtph_ps(v_load_16(p)); }
INLINE vf v_load_f16_n(const void *p, size_t n) { return _mm256_cvtph_ps(v_load_16_n(p, n)); }
/* LANES pairs of bfloat16: their first, and their second numbers. */
INLINE void v_load_pairs(const void *p, vf *first, vf *second)
{
    __m256i raw = _mm256_loadu_si256((const __m256i_u *)p);
    *first = _mm256_castsi256_ps(_mm256_slli_epi32(raw, 16));
    *second = _mm256_castsi256_ps(_mm256_and_si256(raw, _mm256_set1_epi32((int)0xFFFF0000)));
}
INLINE vf v_load_u8(const void *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i_u *)p)));
}

INLINE float v_sum(vf v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
/* out[i] = v_sum of the i-th. */
INLINE void v_sum4(vf a, vf b, vf c, vf d, float out[4])
{
    vf ab = _mm256_add_ps(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31));
    vf cd = _mm256_add_ps(_mm256_permute2f128_ps(c, d, 0x20), _mm256_permute2f128_ps(c, d, 0x31));
    vf s = _mm256_add_ps(_mm256_shuffle_ps(ab, cd, 0x44), _mm256_shuffle_ps(ab, cd, 0xEE)); /* a a c c, b b d d */
    s = _mm256_add_ps(s, _mm256_permute_ps(s, 0xB1));
    s = _mm256_permutevar8x32_ps(s, _mm256_set_epi32(0, 0, 0, 0, 6, 2, 4, 0));
    _mm_storeu_ps(out, _mm256_castps256_ps128(s));
}
INLINE float v_max_lane(vf v)
{
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

/* `shifted` holds an integer n in its low bits, as v_exp makes it: 2^n, -126 <= n <= 127. */
INLINE vf v_power_of_two(vf shifted)
{
    __m256i bits = _mm256_slli_epi32(_mm256_castps_si256(shifted), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(bits, _mm256_set1_epi32(0x3F800000)));
}
/* v, but 0 where x < limit. */
INLINE vf v_zero_below(vf v, vf x, float limit)
{
    return _mm256_andnot_ps(_mm256_cmp_ps(x, _mm256_set1_ps(limit), _CMP_LT_OQ), v);
}

typedef __m256i vn;
INLINE vn v_nibbles_load(const void *p) { return _mm256_loadu_si256((const __m256i_u *)p); }
INLINE vn v_nibbles_load_n(const void *p, size_t words) { return _mm256_maskload_epi32(p, v_first(words)); }
INLINE vf v_nibble(vn raw, int j)
{
    return _mm256_cvtepi32_ps(_mm256_and_si256(_mm256_srli_epi32(raw, 4 * j), _mm256_set1_epi32(15)));
}

/* 32 values of `bits` each as floats, from 4 * bits bytes: value i of 8 from the two bytes at i * bits / 8, shifted. */
#define HAS_UNPACK_32
INLINE void v_unpack_32(uint32_t bits, const uint8_t *p, float out[32])
{
    uint8_t bytes[32];
    int shifts[8];
    for (uint32_t i = 0; i < 8; i++) {
        bytes[4 * i] = (uint8_t)(i * bits / 8);
        bytes[4 * i + 1] = (uint8_t)(i * bits / 8 + 1); /* at most the byte after the last: it is masked away */
        bytes[4 * i + 2] = bytes[4 * i + 3] = 0x80;
        shifts[i] = (int)(i * bits % 8);
    }
    const __m256i spread = _mm256_loadu_si256((const __m256i_u *)bytes), by = _mm256_loadu_si256((const __m256i_u *)shifts),
                  mask = _mm256_set1_epi32((1 << bits) - 1);
    for (int i = 0; i < 32; i += 8, p += bits) {
        uint64_t raw = 0;
        if (bits >= 4) {
            uint32_t low, high;
            memcpy(&low, p, sizeof low);
            memcpy(&high, p + bits - 4, sizeof high);
            raw = low | (uint64_t)high << 8 * (bits - 4);
        } else {
            uint16_t low, high;
            memcpy(&low, p, sizeof low);
            memcpy(&high, p + bits - 2, sizeof high);
            raw = low | (uint64_t)high << 8 * (bits - 2);
        }
        __m256i q = _mm256_shuffle_epi8(_mm256_set1_epi64x((long long)raw), spread);
        v_store(out + i, _mm256_cvtepi32_ps(_mm256_and_si256(_mm256_srlv_epi32(q, by), mask)));
    }
}

/* The nibble as e2m1: the lookup reads the three low bits. */
INLINE vf v_nibble_e2m1(vn raw, int j)
{
    const vf values = _mm256_set_ps(6, 4, 3, 2, 1.5f, 1, 0.5f, 0);
    vf magnitude = _mm256_permutevar8x32_ps(values, _mm256_srli_epi32(raw, 4 * j));
    __m256i sign = _mm256_and_si256(_mm256_slli_epi32(raw, 28 - 4 * j), _mm256_set1_epi32((int)0x80000000));
    return _mm256_or_ps(magnitude, _mm256_castsi256_ps(sign));
}
/* Bytes, in 16 bits each, as e4m3, of which 0x7F is NaN. As float16 they have but another bias. */
INLINE vf v_from_e4m3(__m128i bytes)
{
    __m128i magnitude = _mm_and_si128(_mm_slli_epi16(bytes, 7), _mm_set1_epi16(0x3F80));
    __m128i nan = _mm_and_si128(_mm_add_epi16(magnitude, _mm_set1_epi16(0x80)), _mm_set1_epi16(0x4000));
    __m128i sign = _mm_and_si128(_mm_slli_epi16(bytes, 8), _mm_set1_epi16((short)0x8000));
    return _mm256_mul_ps(_mm256_cvtph_ps(_mm_or_si128(_mm_or_si128(magnitude, nan), sign)), _mm256_set1_ps(256.0f));
}
INLINE __m128i v_load_8(const void *p) { return _mm_loadl_epi64((const __m128i_u *)p); }
INLINE __m128i v_load_8_n(const void *p, size_t n)
{
    uint8_t part[8] = {0};
    memcpy(part, p, n);
    return v_load_8(part);
}
INLINE vf v_load_e4m3(const void *p) { return v_from_e4m3(_mm_cvtepu8_epi16(v_load_8(p))); }
INLINE vf v_load_e4m3_n(const void *p, size_t n) { return v_from_e4m3(_mm_cvtepu8_epi16(v_load_8_n(p, n))); }
/* LANES bytes as powers of two (e8m0), the first n of them. */
INLINE vf v_load_e8m0_n(const void *p, size_t n)
{
    __m256i bits = _mm256_cvtepu8_epi32(v_load_8_n(p, n));
    /* 0 is 2^-127, which has no exponent */
    __m256i least = _mm256_and_si256(_mm256_cmpeq_epi32(bits, _mm256_setzero_si256()), _mm256_set1_epi32(0x00400000));
    return _mm256_castsi256_ps(_mm256_or_si256(_mm256_slli_epi32(bits, 23), least));
}

/* The values of groups for the lanes of a block of nibbles: two groups of 32, or one. */
INLINE vf v_groups32(const float *p) { return _mm256_set_m128(_mm_set1_ps(p[1]), _mm_set1_ps(p[0])); }
/* The same of its four groups of 16. */
INLINE vf v_groups16(const float *p)
{
    return _mm256_permutevar8x32_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)), _mm256_set_epi32(3, 3, 2, 2, 1, 1, 0, 0));
}

/* A hint; the address may be anywhere. */
INLINE void v_prefetch(const void *p, size_t ahead)
{
    _mm_prefetch((const void *)((uintptr_t)p + ahead), _MM_HINT_T0);
}

/* ---- integers ---- */

#define HAS_INT16
/* 2 * LANES int16, and LANES int32. */
typedef __m256i vh;
typedef __m256i vi;

INLINE vh h_load(const void *p)
{
    return _mm256_loadu_si256((const __m256i_u *)p);
}
INLINE vh h_load_n(const void *p, size_t bytes)
{
    uint8_t part[32] = {0};
    memcpy(part, p, bytes);
    return h_load(part);
}
/* 2 * LANES bytes as int16. */
INLINE vh h_load_u8(const void *p)
{
    return _mm256_cvtepu8_epi16(v_load_16(p));
}
/* Nibble j of each 16 bits. */
INLINE vh h_nibble(vh raw, int j)
{
    return _mm256_and_si256(_mm256_srli_epi16(raw, 4 * j), _mm256_set1_epi16(15));
}
/* Lane l: a[2l] * b[2l] + a[2l + 1] * b[2l + 1]; i_dot adds it to sum[l]. */
INLINE vi i_multiply(vh a, vh b) { return _mm256_madd_epi16(a, b); }
INLINE vi i_dot(vi sum, vh a, vh b)
{
    return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
}
INLINE vf v_from_i32(vi v)
{
    return _mm256_cvtepi32_ps(v);
}
/* Rounds to integers and stores them as LANES int16. */
INLINE void v_store_i16(int16_t *p, vf v)
{
    __m256i q = _mm256_cvtps_epi32(v);
    _mm_storeu_si128((__m128i_u *)p, _mm_packs_epi32(_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1)));
}
INLINE int32_t i_sum(vi v)
{
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4E));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xB1)));
}
/* The values of groups of 1 << shift values for LANES lanes of 8 values: 2 groups of 32, or 1. */
INLINE vf v_groups(const int shift, const float *p)
{
    return shift >= 6 ? _mm256_set1_ps(p[0]) : v_groups32(p);
}
