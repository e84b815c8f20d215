/* simd.h for AArch64: NEON as every such processor has it. */
#include <arm_neon.h>

enum { LANES = 4, NIBBLE_BLOCK = 32 };
#define TARGET_TILE 6  /* tokens in a tile; with 32 registers */
#define TARGET_DIRECT 4  /* most tokens of a direct product */
#define TARGET_ATTEND 4  /* vectors side by side in attention */
#define TARGET_PAIRS 8  /* queries side by side in attention over pairs */
#define NIBBLE_OFFSET 16.0f
/* Where value k of 64 stands: its lane in the vector of its nibble. */
#define NIBBLE_POSITION(k) (((k) & 32) + 4 * ((k) & 7) + ((k) >> 3 & 3))

typedef float32x4_t vf;

INLINE vf v_set1(float x) { return vdupq_n_f32(x); }
INLINE vf v_zero(void) { return vdupq_n_f32(0.0f); }
INLINE vf v_load(const void *p)
{
    vf v;
    memcpy(&v, p, sizeof v);
    return v;
}
INLINE void v_store(float *p, vf v) { memcpy(p, &v, sizeof v); }
INLINE vf v_add(vf a, vf b) { return vaddq_f32(a, b); }
INLINE vf v_sub(vf a, vf b) { return vsubq_f32(a, b); }
INLINE vf v_mul(vf a, vf b) { return vmulq_f32(a, b); }
INLINE vf v_div(vf a, vf b) { return vdivq_f32(a, b); }
INLINE vf v_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }
/* A NaN in b is the result; one in a is it too. */
INLINE vf v_max(vf a, vf b) { return vmaxq_f32(a, b); }
INLINE vf v_min(vf a, vf b) { return vminq_f32(a, b); }

/* The first n lanes, n <= LANES; the others are 0 and not touched in memory. */
INLINE vf v_load_n(const void *p, size_t n)
{
    float part[LANES] = {0};
    memcpy(part, p, n * sizeof *part);
    return v_load(part);
}
INLINE void v_store_n(float *p, vf v, size_t n) { memcpy(p, &v, n * sizeof *p); }

INLINE uint16x4_t v_load_16(const void *p)
{
    uint16x4_t h;
    memcpy(&h, p, sizeof h);
    return h;
}
INLINE uint16x4_t v_load_16_n(const void *p, size_t n)
{
    uint16_t part[LANES] = {0};
    memcpy(part, p, n * sizeof *part);
    return v_load_16(part);
}
INLINE vf v_from_bf16(uint16x4_t h) { return vreinterpretq_f32_u32(vshll_n_u16(h, 16)); }
INLINE vf v_load_bf16(const void *p) { return v_from_bf16(v_load_16(p)); }
INLINE vf v_load_bf16_n(const void *p, size_t n) { return v_from_bf16(v_load_16_n(p, n)); }
INLINE vf v_load_f16(const void *p) { return vcvt_f32_f16(vreinterpret_f16_u16(v_load_16(p))); }
INLINE vf v_load_f16_n(const void *p, size_t n) { return vcvt_f32_f16(vreinterpret_f16_u16(v_load_16_n(p, n))); }
/* LANES pairs of bfloat16: their first, and their second numbers. */
INLINE void v_load_pairs(const void *p, vf *first, vf *second)
{
    uint32x4_t raw;
    memcpy(&raw, p, sizeof raw);
    *first = vreinterpretq_f32_u32(vshlq_n_u32(raw, 16));
    *second = vreinterpretq_f32_u32(vandq_u32(raw, vdupq_n_u32(0xFFFF0000u)));
}
INLINE vf v_load_u8(const void *p)
{
    uint32_t four;
    memcpy(&four, p, sizeof four);
    return vcvtq_f32_u32(vmovl_u16(vget_low_u16(vmovl_u8(vcreate_u8(four)))));
}

INLINE float v_sum(vf v)
{
    float32x2_t s = vadd_f32(vget_low_f32(v), vget_high_f32(v));
    return vget_lane_f32(s, 0) + vget_lane_f32(s, 1);
}
/* out[i] = v_sum of the i-th. */
INLINE void v_sum4(vf a, vf b, vf c, vf d, float out[4])
{
    vf ab = vaddq_f32(vcombine_f32(vget_low_f32(a), vget_low_f32(b)), vcombine_f32(vget_high_f32(a), vget_high_f32(b)));
    vf cd = vaddq_f32(vcombine_f32(vget_low_f32(c), vget_low_f32(d)), vcombine_f32(vget_high_f32(c), vget_high_f32(d)));
    v_store(out, vpaddq_f32(ab, cd));
}
INLINE float v_max_lane(vf v) { return vmaxvq_f32(v); }

/* `shifted` holds an integer n in its low bits, as v_exp makes it: 2^n, -126 <= n <= 127. */
INLINE vf v_power_of_two(vf shifted)
{
    return vreinterpretq_f32_u32(vaddq_u32(vshlq_n_u32(vreinterpretq_u32_f32(shifted), 23), vdupq_n_u32(0x3F800000u)));
}
/* v, but 0 where x < limit. */
INLINE vf v_zero_below(vf v, vf x, float limit)
{
    return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(v), vcltq_f32(x, vdupq_n_f32(limit))));
}

typedef uint32x4_t vn;
INLINE vn v_nibbles_load(const void *p)
{
    vn v;
    memcpy(&v, p, sizeof v);
    return v;
}
INLINE vn v_nibbles_load_n(const void *p, size_t words)
{
    uint8_t part[16] = {0};
    memcpy(part, p, words * 4);
    return v_nibbles_load(part);
}
/* The nibble goes to the top of the mantissa of 16.0; many processors shift and mask more often in a cycle than they
 * convert. */
INLINE vf v_nibble(vn raw, int j)
{
    vn q = j < 5 ? raw << (uint32_t)(19 - 4 * j) : raw >> (uint32_t)(4 * j - 19);
    return vreinterpretq_f32_u32((q & 0x00780000u) | 0x41800000u);
}

/* The nibble as e2m1: twice its value is looked up in the highest byte, the others look beyond the table. */
INLINE vf v_nibble_e2m1(vn raw, int j)
{
    static const int8_t twice[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
    vn at = raw << (uint32_t)(28 - 4 * j) >> 4 | 0x00FFFFFFu;
    int8x16_t found = vqtbl1q_s8(vld1q_s8(twice), vreinterpretq_u8_u32(at));
    return vcvtq_n_f32_s32(vreinterpretq_s32_s8(found), 25);
}
/* LANES bytes as e4m3, of which 0x7F is NaN; _n: the first n. As float16 they have but another bias. */
INLINE vf v_load_e4m3_n(const void *p, size_t n)
{
    uint8_t part[8] = {0};
    memcpy(part, p, n);
    uint16x4_t bytes = vget_low_u16(vmovl_u8(vld1_u8(part)));
    uint16x4_t magnitude = vand_u16(vshl_n_u16(bytes, 7), vdup_n_u16(0x3F80));
    uint16x4_t nan = vand_u16(vadd_u16(magnitude, vdup_n_u16(0x80)), vdup_n_u16(0x4000));
    uint16x4_t sign = vand_u16(vshl_n_u16(bytes, 8), vdup_n_u16(0x8000));
    return vmulq_n_f32(vcvt_f32_f16(vreinterpret_f16_u16(vorr_u16(vorr_u16(magnitude, nan), sign))), 256.0f);
}
INLINE vf v_load_e4m3(const void *p) { return v_load_e4m3_n(p, LANES); }
/* LANES bytes as powers of two (e8m0), the first n of them. */
INLINE vf v_load_e8m0_n(const void *p, size_t n)
{
    uint8_t part[8] = {0};
    memcpy(part, p, n);
    uint32x4_t bits = vmovl_u16(vget_low_u16(vmovl_u8(vld1_u8(part))));
    uint32x4_t least = vandq_u32(vceqzq_u32(bits), vdupq_n_u32(0x00400000)); /* 0 is 2^-127, which has no exponent */
    return vreinterpretq_f32_u32(vorrq_u32(vshlq_n_u32(bits, 23), least));
}

/* The value of the group of a block of nibbles; such a block never holds two. */
INLINE vf v_groups32(const float *p) { return vdupq_n_f32(p[0]); }
/* The values of its two groups of 16. */
INLINE vf v_groups16(const float *p) { return vcombine_f32(vdup_n_f32(p[0]), vdup_n_f32(p[1])); }

/* A hint; the address may be anywhere. */
INLINE void v_prefetch(const void *p, size_t ahead)
{
    __builtin_prefetch((const void *)((uintptr_t)p + ahead));
}

/* ---- integers ---- */

#define HAS_INT16
/* 2 * LANES int16, and LANES int32. */
typedef int16x8_t vh;
typedef int32x4_t vi;

INLINE vh h_load(const void *p)
{
    vh v;
    memcpy(&v, p, sizeof v);
    return v;
}
INLINE vh h_load_n(const void *p, size_t bytes)
{
    uint8_t part[16] = {0};
    memcpy(part, p, bytes);
    return h_load(part);
}
/* 2 * LANES bytes as int16. */
INLINE vh h_load_u8(const void *p)
{
    uint8x8_t bytes;
    memcpy(&bytes, p, sizeof bytes);
    return vreinterpretq_s16_u16(vmovl_u8(bytes));
}
/* Nibble j of each 16 bits. */
INLINE vh h_nibble(vh raw, int j)
{
    return vreinterpretq_s16_u16(vreinterpretq_u16_s16(raw) >> (uint16_t)(4 * j) & 15);
}
/* Lane l: sum[l] + a[l] * b[l] + a[l + LANES] * b[l + LANES]. Other sets add pairs of neighbours; which products share a lane
 * does not matter, as all of them are of one group here. */
INLINE vi i_dot(vi sum, vh a, vh b)
{
    return vmlal_high_s16(vmlal_s16(sum, vget_low_s16(a), vget_low_s16(b)), a, b);
}
/* i_dot with a sum of zeros. */
INLINE vi i_multiply(vh a, vh b)
{
    return vmlal_high_s16(vmull_s16(vget_low_s16(a), vget_low_s16(b)), a, b);
}
INLINE vf v_from_i32(vi v)
{
    return vcvtq_f32_s32(v);
}
/* Rounds to integers and stores them as LANES int16. */
INLINE void v_store_i16(int16_t *p, vf v)
{
    int16x4_t q = vqmovn_s32(vcvtnq_s32_f32(v));
    memcpy(p, &q, sizeof q);
}
INLINE int32_t i_sum(vi v)
{
    return vaddvq_s32(v);
}
/* The values of groups of 1 << shift values for LANES lanes of 8 values: one group. */
INLINE vf v_groups(const int shift, const float *p)
{
    (void)shift;
    return vdupq_n_f32(p[0]);
}

#define HAS_BITS
/* How 2 * LANES values of some width become int16: value i from byte i * bits / 8 on, shifted by i * bits % 8. */
struct bits_plan {
    uint8x16_t bytes;
    int16x8_t shifts;
    uint16x8_t mask;
    uint32_t bits;
};
INLINE struct bits_plan h_bits_plan(uint32_t bits)
{
    uint8_t bytes[16];
    int16_t shifts[8];
    for (uint32_t i = 0; i < 8; i++) {
        bytes[2 * i] = (uint8_t)(i * bits / 8);
        bytes[2 * i + 1] = (uint8_t)(i * bits / 8 + 1);
        shifts[i] = (int16_t)-(int)(i * bits % 8);
    }
    struct bits_plan plan = {.mask = vdupq_n_u16((uint16_t)((1u << bits) - 1)), .bits = bits};
    memcpy(&plan.bytes, bytes, sizeof bytes);
    memcpy(&plan.shifts, shifts, sizeof shifts);
    return plan;
}
/* Reads `bits` bytes, the least and the most of them with loads that may overlap. */
INLINE vh h_bits(const struct bits_plan *plan, const void *p)
{
    const uint8_t *bytes = p;
    const uint32_t bits = plan->bits;
    uint64_t raw;
    if (bits >= 4) {
        uint32_t low, high;
        memcpy(&low, bytes, sizeof low);
        memcpy(&high, bytes + bits - 4, sizeof high);
        raw = low | (uint64_t)high << 8 * (bits - 4);
    } else {
        uint16_t low, high;
        memcpy(&low, bytes, sizeof low);
        memcpy(&high, bytes + bits - 2, sizeof high);
        raw = low | (uint64_t)high << 8 * (bits - 2);
    }
    uint8x16_t spread = vqtbl1q_u8(vcombine_u8(vcreate_u8(raw), vcreate_u8(0)), plan->bytes);
    return vreinterpretq_s16_u16(vandq_u16(vshlq_u16(vreinterpretq_u16_u8(spread), plan->shifts), plan->mask));
}
/* 32 values of `bits` each as floats, from 4 * bits bytes. */
#define HAS_UNPACK_32
INLINE void v_unpack_32(uint32_t bits, const uint8_t *p, float out[32])
{
    const struct bits_plan plan = h_bits_plan(bits);
    for (int i = 0; i < 32; i += 8, p += bits) {
        vh q = h_bits(&plan, p);
        v_store(out + i, vcvtq_f32_s32(vmovl_s16(vget_low_s16(q))));
        v_store(out + i + 4, vcvtq_f32_s32(vmovl_high_s16(q)));
    }
}
