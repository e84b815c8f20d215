/* simd.h for every other processor: four lanes in the compiler's own vectors, no intrinsics. It is also the plain form
 * to read first. Products and sums round separately (no fused multiply-add). */
#include "tensor/dtype.h"

enum { LANES = 4, NIBBLE_BLOCK = 32 };
#define TARGET_TILE 3 /* tokens in a tile; with 16 registers */
#define TARGET_DIRECT 2 /* most tokens of a direct product */
#define TARGET_ATTEND 2 /* vectors side by side in attention */
#define TARGET_PAIRS 4 /* queries side by side in attention over pairs */
#define NIBBLE_OFFSET 0.0f
/* Where value k of 64 stands: its lane in the vector of its nibble. */
#define NIBBLE_POSITION(k) (((k) & 32) + 4 * ((k) & 7) + ((k) >> 3 & 3))

typedef float vf __attribute__((vector_size(16)));
typedef uint32_t vn __attribute__((vector_size(16)));
typedef int32_t vi __attribute__((vector_size(16)));

INLINE vf v_set1(float x) { return (vf){x, x, x, x}; }
INLINE vf v_zero(void) { return v_set1(0.0f); }
INLINE vf v_load(const void *p)
{
    vf v;
    memcpy(&v, p, sizeof v);
    return v;
}
INLINE void v_store(float *p, vf v) { memcpy(p, &v, sizeof v); }
INLINE vf v_add(vf a, vf b) { return a + b; }
INLINE vf v_sub(vf a, vf b) { return a - b; }
INLINE vf v_mul(vf a, vf b) { return a * b; }
INLINE vf v_div(vf a, vf b) { return a / b; }
INLINE vf v_fma(vf a, vf b, vf c) { return a * b + c; }

INLINE vf v_select(vi mask, vf a, vf b) { return (vf)(((vi)a & mask) | ((vi)b & ~mask)); }
/* A NaN in b is the result. */
INLINE vf v_max(vf a, vf b) { return v_select(a > b, a, b); }
INLINE vf v_min(vf a, vf b) { return v_select(a < b, a, b); }

/* The first n lanes, n <= LANES; the others are 0 and not touched in memory. */
INLINE vf v_load_n(const void *p, size_t n)
{
    vf v = v_zero();
    memcpy(&v, p, n * sizeof(float));
    return v;
}
INLINE void v_store_n(float *p, vf v, size_t n) { memcpy(p, &v, n * sizeof *p); }

INLINE vf v_load_bf16_n(const void *p, size_t n)
{
    uint16_t h[LANES] = {0};
    memcpy(h, p, n * sizeof *h);
    vn bits = {h[0], h[1], h[2], h[3]};
    return (vf)(bits << 16);
}
INLINE vf v_load_bf16(const void *p) { return v_load_bf16_n(p, LANES); }
INLINE vf v_load_f16_n(const void *p, size_t n)
{
    uint16_t h[LANES] = {0};
    memcpy(h, p, n * sizeof *h);
    return (vf){we_f32_from_f16(h[0]), we_f32_from_f16(h[1]), we_f32_from_f16(h[2]), we_f32_from_f16(h[3])};
}
INLINE vf v_load_f16(const void *p) { return v_load_f16_n(p, LANES); }
/* LANES pairs of bfloat16: their first, and their second numbers. */
INLINE void v_load_pairs(const void *p, vf *first, vf *second)
{
    uint16_t h[2 * LANES];
    memcpy(h, p, sizeof h);
    vn a = {h[0], h[2], h[4], h[6]}, b = {h[1], h[3], h[5], h[7]};
    *first = (vf)(a << 16);
    *second = (vf)(b << 16);
}
INLINE vf v_load_u8(const void *p)
{
    uint8_t q[LANES];
    memcpy(q, p, sizeof q);
    return (vf){q[0], q[1], q[2], q[3]};
}

INLINE float v_sum(vf v) { return (v[0] + v[2]) + (v[1] + v[3]); }
/* out[i] = v_sum of the i-th. */
INLINE void v_sum4(vf a, vf b, vf c, vf d, float out[4])
{
    out[0] = v_sum(a), out[1] = v_sum(b), out[2] = v_sum(c), out[3] = v_sum(d);
}
INLINE float v_max_lane(vf v)
{
    float a = v[0] > v[2] ? v[0] : v[2], b = v[1] > v[3] ? v[1] : v[3];
    return a > b ? a : b;
}

/* `shifted` holds an integer n in its low bits, as v_exp makes it: 2^n, -126 <= n <= 127. */
INLINE vf v_power_of_two(vf shifted) { return (vf)(((vn)shifted << 23) + 0x3F800000u); }
/* v, but 0 where x < limit. */
INLINE vf v_zero_below(vf v, vf x, float limit) { return v_select(x < v_set1(limit), v_zero(), v); }

INLINE vn v_nibbles_load(const void *p)
{
    uint8_t b[4 * LANES];
    memcpy(b, p, sizeof b);
    vn v;
    for (int i = 0; i < LANES; i++)
        v[i] = b[4 * i] | (uint32_t)b[4 * i + 1] << 8 | (uint32_t)b[4 * i + 2] << 16 | (uint32_t)b[4 * i + 3] << 24;
    return v;
}
INLINE vn v_nibbles_load_n(const void *p, size_t words)
{
    uint8_t b[4 * LANES] = {0};
    memcpy(b, p, words * 4);
    return v_nibbles_load(b);
}
INLINE vf v_nibble(vn raw, int j) { return __builtin_convertvector((vi)(raw >> (uint32_t)(4 * j) & 15u), vf); }

/* The nibble as e2m1. */
INLINE vf v_nibble_e2m1(vn raw, int j)
{
    static const float values[16] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6, 0, -0.5f, -1, -1.5f, -2, -3, -4, -6};
    vn q = raw >> (uint32_t)(4 * j) & 15u;
    return (vf){values[q[0]], values[q[1]], values[q[2]], values[q[3]]};
}
/* LANES bytes as e4m3, of which 0x7F is NaN; _n: the first n. As float16 they have but another bias. */
INLINE vf v_load_e4m3_n(const void *p, size_t n)
{
    uint8_t q[LANES] = {0};
    float v[LANES];
    memcpy(q, p, n);
    for (int i = 0; i < LANES; i++) {
        uint32_t magnitude = (uint32_t)(q[i] & 0x7F) << 7;
        v[i] = 256 * we_f32_from_f16((uint16_t)(magnitude | ((magnitude + 0x80) & 0x4000) | (uint32_t)(q[i] & 0x80) << 8));
    }
    return v_load(v);
}
INLINE vf v_load_e4m3(const void *p) { return v_load_e4m3_n(p, LANES); }
/* LANES bytes as powers of two (e8m0), the first n of them. */
INLINE vf v_load_e8m0_n(const void *p, size_t n)
{
    uint8_t q[LANES] = {0};
    memcpy(q, p, n);
    vn bits = {q[0], q[1], q[2], q[3]};
    return (vf)(bits << 23 | ((vn)(bits == 0) & 0x00400000u)); /* 0 is 2^-127, which has no exponent */
}

/* The value of the group of a block of nibbles; such a block never holds two. */
INLINE vf v_groups32(const float *p) { return v_set1(p[0]); }
/* The values of its two groups of 16. */
INLINE vf v_groups16(const float *p) { return (vf){p[0], p[0], p[1], p[1]}; }

/* A hint; the address may be anywhere. */
INLINE void v_prefetch(const void *p, size_t ahead)
{
    __builtin_prefetch((const void *)((uintptr_t)p + ahead));
}
