/* Activations of 16-bit integers with a scale for each UNIT, for the kernels that multiply integers. After the integers of a
 * row come, for groups of 32, 64 and 128, their scales and their sums (of the rounded values), so that
 * w . x = sum over groups of scale_w * scale_x * (q_w . q_x) + bias_w * sum_x. */
#ifndef WE_BACKEND_CPU_KERNELS_INTEGERS_H
#define WE_BACKEND_CPU_KERNELS_INTEGERS_H

#include "backend/cpu/kernels.h"

#ifdef HAS_INT16

enum { UNIT = 128 };

INLINE size_t padded(uint32_t width)
{
    return ((size_t)width + UNIT - 1) / UNIT * UNIT;
}

/* Where the values for groups of 1 << shift begin, in floats after the integers: scales, then sums. */
INLINE size_t groups_at(size_t width, int shift)
{
    size_t at = 0;
    for (int s = 5; s < shift; s++)
        at += 2 * (width >> s);
    return at;
}

/* Of a packed row. */
INLINE size_t integer_bytes(uint32_t width)
{
    size_t p = padded(width), floats = groups_at(p, 8) + LANES;
    return (p * sizeof(int16_t) + floats * sizeof(float) + 63) / 64 * 64 + 64;
}

INLINE float largest(const float *x)
{
    vf most = v_zero();
    for (uint32_t i = 0; i < UNIT; i += LANES) {
        vf v = v_load(x + i);
        most = v_max(most, v_max(v, v_sub(v_zero(), v)));
    }
    return v_max_lane(most);
}

/* The UNIT values x at `at` in a row of `width` (padded) become integers up to `limit`, and their part of the floats. */
INLINE void round_unit(const float limit, const float *x, size_t at, size_t width, int16_t *q, float *floats)
{
    const float most = largest(x), scale = most / limit;
    const vf inverse = v_set1(most > 0 ? limit / most : 0.0f);
    for (uint32_t i = 0; i < UNIT; i += LANES)
        v_store_i16(q + i, v_mul(v_load(x + i), inverse));
    float sums[4];
    for (uint32_t g = 0; g < 4; g++) {
        int32_t sum = 0;
        for (uint32_t i = 0; i < 32; i++)
            sum += q[32 * g + i];
        sums[g] = (float)sum;
    }
    for (int shift = 5; shift <= 7; shift++) {
        float *scales = floats + groups_at(width, shift) + (at >> shift), *group_sums = scales + (width >> shift);
        const uint32_t each = 1u << (shift - 5);
        for (uint32_t g = 0; g < 4 / each; g++) {
            float sum = 0;
            for (uint32_t i = 0; i < each; i++)
                sum += sums[g * each + i];
            scales[g] = scale;
            group_sums[g] = scale * sum;
        }
    }
}

/* Packs UNIT values that stand at `at` in a row of `width` (padded): the integers to `q`, as its kernel reads them. */
typedef void unit_packer(const bool nibbles, const float *x, size_t at, size_t width, int16_t *q, float *floats);

INLINE void pack_integers(unit_packer *pack_unit, const bool nibbles, const float *x, uint32_t width, void *out)
{
    const size_t p = padded(width);
    int16_t *q = out;
    float *floats = (float *)(q + p);
    size_t k = 0;
    for (; k + UNIT <= width; k += UNIT)
        pack_unit(nibbles, x + k, k, p, q + k, floats);
    if (k < width) {
        float last[UNIT] = {0};
        memcpy(last, x + k, (width - k) * sizeof *x);
        pack_unit(nibbles, last, k, p, q + k, floats);
    }
    memset(floats + groups_at(p, 8), 0, LANES * sizeof *floats);
}

#endif
#endif
