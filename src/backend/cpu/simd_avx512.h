/* simd.h for AVX-512 (F, BW, VL, DQ). */
#include <immintrin.h>

enum { LANES = 16, NIBBLE_BLOCK = 64 };
#define TARGET_TILE 6 /* tokens in a tile; with 32 registers */
#define TARGET_DIRECT 4 /* most tokens of a direct product */
#define TARGET_ATTEND 4 /* vectors side by side in attention */
#define TARGET_PAIRS 8 /* queries side by side in attention over pairs */
#define NIBBLE_OFFSET 16.0f
/* Where value k of 64 stands: its lane in the vector of its nibble. */
#define NIBBLE_POSITION(k) (16 * ((k) & 3) + 8 * ((k) >> 2 & 1) + (k) / 8)

typedef __m512 vf;

INLINE vf v_zero(void) { return _mm512_setzero_ps(); }
INLINE vf v_set1(float x) { return _mm512_set1_ps(x); }
INLINE vf v_load(const void *p) { return _mm512_loadu_ps(p); }
INLINE void v_store(float *p, vf v) { _mm512_storeu_ps(p, v); }
INLINE vf v_add(vf a, vf b) { return _mm512_add_ps(a, b); }
INLINE vf v_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
INLINE vf v_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
INLINE vf v_div(vf a, vf b) { return _mm512_div_ps(a, b); }
INLINE vf v_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
/* A NaN in b is the result. */
INLINE vf v_max(vf a, vf b) { return _mm512_max_ps(a, b); }
INLINE vf v_min(vf a, vf b) { return _mm512_min_ps(a, b); }

/* The first n lanes, n <= LANES; the others are 0 and not touched in memory. */
INLINE __mmask16 v_first(size_t n) { return (__mmask16)_cvtu32_mask16((1u << n) - 1); }
INLINE vf v_load_n(const void *p, size_t n) { return _mm512_maskz_loadu_ps(v_first(n), p); }
INLINE void v_store_n(float *p, vf v, size_t n) { _mm512_mask_storeu_ps(p, v_first(n), v); }

INLINE vf v_from_bf16(__m256i h) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16)); }
INLINE __m256i v_load_16(const void *p) { return _mm256_loadu_si256((const __m256i_u *)p); }
INLINE __m256i v_load_16_n(const void *p, size_t n) { return _mm256_maskz_loadu_epi16(v_first(n), p); }
INLINE vf v_load_bf16(const void *p) { return v_from_bf16(v_load_16(p)); }
INLINE vf v_load_bf16_n(const void *p, size_t n) { return v_from_bf16(v_load_16_n(p, n)); }
INLINE vf v_load_f16(const void *p) { return _mm512_cvtph_ps(v_load_16(p)); }
INLINE vf v_load_f16_n(const void *p, size_t n) { return _mm512_cvtph_ps(v_load_16_n(p, n)); }
/* LANES pairs of bfloat16: their first, and their second numbers. */
INLINE void v_load_pairs(const void *p, vf *first, vf *second)
{
    __m512i raw = _mm512_loadu_si512(p);
    *first = _mm512_castsi512_ps(_mm512_slli_epi32(raw, 16));
    *second = _mm512_castsi512_ps(_mm512_and_si512(raw, _mm512_set1_epi32((int)0xFFFF0000)));
}
INLINE vf v_load_u8(const void *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i_u *)p)));
}

INLINE __m128 v_sum_256(__m256 s)
{
    return _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
}
INLINE float v_sum(vf v)
{
    __m128 s = v_sum_256(_mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1)));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
/* out[i] = v_sum of the i-th. */
INLINE void v_sum4(vf a, vf b, vf c, vf d, float out[4])
{
    vf ab = _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xEE));
    vf cd = _mm512_add_ps(_mm512_shuffle_f32x4(c, d, 0x44), _mm512_shuffle_f32x4(c, d, 0xEE));
    vf s = _mm512_add_ps(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xDD));
    s = _mm512_add_ps(s, _mm512_permute_ps(s, 0x4E));
    s = _mm512_add_ps(s, _mm512_permute_ps(s, 0xB1));
    s = _mm512_permutexvar_ps(_mm512_set_epi32(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12, 8, 4, 0), s);
    _mm_storeu_ps(out, _mm512_castps512_ps128(s));
}
INLINE float v_max_lane(vf v) { return _mm512_reduce_max_ps(v); }

/* `shifted` holds an integer n in its low bits, as v_exp makes it: 2^n, -126 <= n <= 127. */
INLINE vf v_power_of_two(vf shifted)
{
    __m512i bits = _mm512_slli_epi32(_mm512_castps_si512(shifted), 23);
    return _mm512_castsi512_ps(_mm512_add_epi32(bits, _mm512_set1_epi32(0x3F800000)));
}
/* v, but 0 where x < limit. */
INLINE vf v_zero_below(vf v, vf x, float limit)
{
    return _mm512_mask_mov_ps(v, _mm512_cmp_ps_mask(x, _mm512_set1_ps(limit), _CMP_LT_OQ), _mm512_setzero_ps());
}

/* 32 bytes in both halves; rotating brings one nibble of each 32-bit word to the top of the mantissa. */
typedef __m512i vn;
INLINE vn v_nibbles_load(const void *p)
{
    return _mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i_u *)p));
}
INLINE vn v_nibbles_load_n(const void *p, size_t words)
{
    return _mm512_broadcast_i64x4(_mm256_maskz_loadu_epi32((__mmask8)((1u << words) - 1), p));
}
INLINE vf v_nibble(vn raw, int j)
{
    const __m512i turns = _mm512_mask_mov_epi32(_mm512_set1_epi32(19 - 4 * j), 0xFF00, _mm512_set1_epi32((35 - 4 * j) & 31));
    __m512i q = _mm512_rolv_epi32(raw, turns);
    /* (q & mask) | bits of 16.0 */
    return _mm512_castsi512_ps(
        _mm512_ternarylogic_epi32(q, _mm512_set1_epi32(0x00780000), _mm512_set1_epi32(0x41800000), 0xEA));
}

/* 32 values of `bits` each as floats, from 4 * bits bytes: value i of 16 from the two bytes at i * bits / 8, shifted. */
#define HAS_UNPACK_32
INLINE void v_unpack_32(uint32_t bits, const uint8_t *p, float out[32])
{
    const __m512i at = _mm512_mullo_epi32(_mm512_set1_epi32((int)bits),
                                          _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0));
    const __m512i byte = _mm512_srli_epi32(at, 3), next = _mm512_slli_epi32(_mm512_add_epi32(byte, _mm512_set1_epi32(1)), 8);
    const __m512i spread = _mm512_or_si512(_mm512_or_si512(byte, next), _mm512_set1_epi32((int)0x80800000)),
                  shifts = _mm512_and_si512(at, _mm512_set1_epi32(7)), mask = _mm512_set1_epi32((1 << bits) - 1);
    const __mmask16 load = v_first(2 * bits);
    for (int i = 0; i < 32; i += 16, p += 2 * bits) {
        __m512i raw = _mm512_broadcast_i32x4(_mm_maskz_loadu_epi8(load, p));
        __m512i q = _mm512_srlv_epi32(_mm512_shuffle_epi8(raw, spread), shifts);
        v_store(out + i, _mm512_cvtepi32_ps(_mm512_and_si512(q, mask)));
    }
}

/* The nibble as e2m1: the lookup reads the four low bits. */
INLINE vf v_nibble_e2m1(vn raw, int j)
{
    const vf values = _mm512_set_ps(-6, -4, -3, -2, -1.5f, -1, -0.5f, -0.0f, 6, 4, 3, 2, 1.5f, 1, 0.5f, 0);
    const __m512i turns = _mm512_mask_mov_epi32(_mm512_set1_epi32(4 * j), 0xFF00, _mm512_set1_epi32(4 * j + 16));
    return _mm512_permutexvar_ps(_mm512_srlv_epi32(raw, turns), values);
}
/* Bytes, in 16 bits each, as e4m3, of which 0x7F is NaN. As float16 they have but another bias. */
INLINE vf v_from_e4m3(__m256i bytes)
{
    __m256i magnitude = _mm256_and_si256(_mm256_slli_epi16(bytes, 7), _mm256_set1_epi16(0x3F80));
    __m256i nan = _mm256_and_si256(_mm256_add_epi16(magnitude, _mm256_set1_epi16(0x80)), _mm256_set1_epi16(0x4000));
    __m256i sign = _mm256_and_si256(_mm256_slli_epi16(bytes, 8), _mm256_set1_epi16((short)0x8000));
    return _mm512_mul_ps(_mm512_cvtph_ps(_mm256_or_si256(_mm256_or_si256(magnitude, nan), sign)), _mm512_set1_ps(256.0f));
}
INLINE vf v_load_e4m3(const void *p) { return v_from_e4m3(_mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i_u *)p))); }
INLINE vf v_load_e4m3_n(const void *p, size_t n)
{
    return v_from_e4m3(_mm256_cvtepu8_epi16(_mm_maskz_loadu_epi8(v_first(n), p)));
}
/* LANES bytes as powers of two (e8m0), the first n of them. */
INLINE vf v_load_e8m0_n(const void *p, size_t n)
{
    __m512i bits = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(v_first(n), p));
    /* 0 is 2^-127, which has no exponent */
    return _mm512_castsi512_ps(_mm512_mask_mov_epi32(_mm512_slli_epi32(bits, 23), _mm512_testn_epi32_mask(bits, bits),
                                                     _mm512_set1_epi32(0x00400000)));
}

/* The values of groups for the lanes of a block of nibbles: two groups of 32, or one. */
INLINE vf v_groups32(const float *p)
{
    double two;
    memcpy(&two, p, sizeof two);
    const __m512i pick = _mm512_set_epi32(1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0);
    return _mm512_permutevar_ps(_mm512_castpd_ps(_mm512_set1_pd(two)), pick);
}
/* The same of its four groups of 16. */
INLINE vf v_groups16(const float *p)
{
    const __m512i pick = _mm512_set_epi32(3, 3, 2, 2, 1, 1, 0, 0, 3, 3, 2, 2, 1, 1, 0, 0);
    return _mm512_permutevar_ps(_mm512_broadcast_f32x4(_mm_loadu_ps(p)), pick);
}

/* A hint; the address may be anywhere. */
INLINE void v_prefetch(const void *p, size_t ahead)
{
    _mm_prefetch((const void *)((uintptr_t)p + ahead), _MM_HINT_T0);
}
/* Into the second-level cache. */
INLINE void v_prefetch_far(const void *p, size_t ahead)
{
    _mm_prefetch((const void *)((uintptr_t)p + ahead), _MM_HINT_T1);
}

#if defined(__AVX512BF16__)
#define HAS_BF16
#endif
#if defined(__AMX_BF16__) || defined(WE_TILES_EMULATED) /* in a test */
#define HAS_TILES
/* gcc's tile intrinsics do not tell the compiler what memory they read: without this, stores may come too late for them, or
 * be left out. */
INLINE void finish_stores(const void *address)
{
    __asm__ volatile("" : : "r"(address) : "memory");
}
#endif

/* ---- integers ---- */

#define HAS_INT16
/* 2 * LANES int16, and LANES int32. */
typedef __m512i vh;
typedef __m512i vi;

INLINE vh h_load(const void *p)
{
    return _mm512_loadu_si512(p);
}
INLINE vh h_load_n(const void *p, size_t bytes)
{
    return _mm512_maskz_loadu_epi8(_cvtu64_mask64(((uint64_t)1 << bytes) - 1), p);
}
/* 2 * LANES bytes as int16. */
INLINE vh h_load_u8(const void *p)
{
    return _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i_u *)p));
}
/* Nibble j of each 16 bits. */
INLINE vh h_nibble(vh raw, int j)
{
    return _mm512_and_si512(_mm512_srli_epi16(raw, 4 * (unsigned)j), _mm512_set1_epi16(15));
}
/* Lane l: a[2l] * b[2l] + a[2l + 1] * b[2l + 1]; i_dot adds it to sum[l]. */
INLINE vi i_multiply(vh a, vh b) { return _mm512_madd_epi16(a, b); }
INLINE vi i_dot(vi sum, vh a, vh b)
{
#if defined(__AVX512VNNI__)
    return _mm512_dpwssd_epi32(sum, a, b);
#else
    return _mm512_add_epi32(sum, _mm512_madd_epi16(a, b));
#endif
}
INLINE vf v_from_i32(vi v)
{
    return _mm512_cvtepi32_ps(v);
}
/* Rounds to integers and stores them as LANES int16. */
INLINE void v_store_i16(int16_t *p, vf v)
{
    _mm256_storeu_si256((__m256i_u *)p, _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(v)));
}
INLINE int32_t i_sum(vi v)
{
    return _mm512_reduce_add_epi32(v);
}
/* The values of groups of 1 << shift values for LANES lanes of 8 values: 4 groups of 32, 2 of 64, or 1. Never reads more than
 * those, so that what was stored a moment ago is forwarded. */
INLINE vf v_groups(const int shift, const float *p)
{
    if (shift >= 7)
        return _mm512_set1_ps(p[0]);
    const __m512i pick = shift == 5 ? _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0)
                                    : _mm512_set_epi32(1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0);
    if (shift == 5)
        return _mm512_permutexvar_ps(pick, _mm512_castps128_ps512(_mm_loadu_ps(p)));
    double two;
    memcpy(&two, p, sizeof two);
    return _mm512_permutexvar_ps(pick, _mm512_castpd_ps(_mm512_castpd128_pd512(_mm_set_sd(two))));
}

/* LANES vectors: rows become columns. */
INLINE void i_transpose(vi v[LANES])
{
    vi a[16];
    _Pragma("GCC unroll 16")
    for (int i = 0; i < 16; i += 2) {
        a[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
        a[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
    }
    _Pragma("GCC unroll 16")
    for (int i = 0; i < 16; i += 4) {
        v[i] = _mm512_unpacklo_epi64(a[i], a[i + 2]);
        v[i + 1] = _mm512_unpackhi_epi64(a[i], a[i + 2]);
        v[i + 2] = _mm512_unpacklo_epi64(a[i + 1], a[i + 3]);
        v[i + 3] = _mm512_unpackhi_epi64(a[i + 1], a[i + 3]);
    }
    _Pragma("GCC unroll 16")
    for (int i = 0; i < 4; i++) {
        a[i] = _mm512_shuffle_i32x4(v[i], v[i + 4], 0x88);
        a[i + 4] = _mm512_shuffle_i32x4(v[i], v[i + 4], 0xDD);
        a[i + 8] = _mm512_shuffle_i32x4(v[i + 8], v[i + 12], 0x88);
        a[i + 12] = _mm512_shuffle_i32x4(v[i + 8], v[i + 12], 0xDD);
    }
    _Pragma("GCC unroll 16")
    for (int i = 0; i < 8; i++) {
        v[i] = _mm512_shuffle_i32x4(a[i], a[i + 8], 0x88);
        v[i + 8] = _mm512_shuffle_i32x4(a[i], a[i + 8], 0xDD);
    }
}

#if defined(__AVX512VNNI__)
#define HAS_STRIPS
INLINE vi i_zero(void) { return _mm512_setzero_si512(); }
INLINE vi i_load(const void *p) { return _mm512_loadu_si512(p); }
INLINE void i_store(void *p, vi v) { _mm512_storeu_si512(p, v); }
/* The first n 32-bit words, n <= LANES; the others are 0 and not touched. */
INLINE vi i_load_n(const void *p, size_t n) { return _mm512_maskz_loadu_epi32(v_first(n), p); }
/* As many 16-bit words, each in 32 bits; and the low halves of all lanes. */
INLINE vi i_load_u16_n(const void *p, size_t n) { return _mm512_cvtepu16_epi32(v_load_16_n(p, n)); }
INLINE void i_store_u16(void *p, vi v) { _mm256_storeu_si256((__m256i_u *)p, _mm512_cvtepi32_epi16(v)); }
INLINE vi i_add(vi a, vi b) { return _mm512_add_epi32(a, b); }
INLINE vi i_shift_left(vi v, int n) { return _mm512_slli_epi32(v, (unsigned)n); }
/* Four bytes, in every lane. */
INLINE vi i_repeat(const void *p)
{
    int32_t four;
    memcpy(&four, p, sizeof four);
    return _mm512_set1_epi32(four);
}
/* The low, and the high nibble of each byte. */
INLINE vi i_low_nibbles(vi v) { return _mm512_and_si512(v, _mm512_set1_epi8(15)); }
INLINE vi i_high_nibbles(vi v) { return _mm512_and_si512(_mm512_srli_epi16(v, 4), _mm512_set1_epi8(15)); }
/* Adds to each lane the four products of its bytes: of a without sign, of b with it. */
INLINE vi i_dot_bytes(vi sum, vi a, vi b) { return _mm512_dpbusd_epi32(sum, a, b); }
/* 2 * LANES integers n = 256 h + l, h and l bytes with sign. For each 8: nibbles: h0 h2 h4 h6, h1 h3 h5 h7, and so l;
 * else h0 to h3, l0 to l3, h4 to h7, l4 to l7. */
INLINE vh h_planes(const bool nibbles, vh n)
{
    const __m512i words = _mm512_xor_si512(_mm512_add_epi16(n, _mm512_set1_epi16(128)), _mm512_set1_epi16(128));
    const __m512i order = nibbles ? _mm512_set4_epi32(0x0E0A0602, 0x0C080400, 0x0F0B0703, 0x0D090501)
                                  : _mm512_set4_epi32(0x0E0C0A08, 0x0F0D0B09, 0x06040200, 0x07050301);
    return _mm512_shuffle_epi8(words, order);
}
#endif
