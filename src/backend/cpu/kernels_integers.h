/* Activations of 16-bit integers with a scale for each UNIT, for the kernels that multiply integers. After the integers of a
 * row come, for groups of 32, 64 and 128, their scales and their sums (of the rounded values), so that
 * w . x = sum over groups of scale_w * scale_x * (q_w . q_x) + bias_w * sum_x. */
#ifndef WE_BACKEND_CPU_KERNELS_INTEGERS_H
#define WE_BACKEND_CPU_KERNELS_INTEGERS_H

#include "backend/cpu/kernels.h"

#ifdef HAS_INT16

enum {
    UNIT = 128,
    LEAST_GROUP = 5,            /* log2 of the smallest group */
    TWO_BYTES = 127 * 256 + 127 /* the greatest value that two signed bytes hold */
};

INLINE size_t padded(uint32_t width)
{
    return ((size_t)width + UNIT - 1) / UNIT * UNIT;
}

/* Where the values for groups of 1 << shift begin, in floats after the integers: scales, then sums. The smallest groups
 * have 1 << least. */
INLINE size_t groups_at(size_t width, uint32_t least, uint32_t shift)
{
    size_t at = 0;
    for (uint32_t s = least; s < shift; s++)
        at += 2 * (width >> s);
    return at;
}

/* Of a packed row. */
INLINE size_t integer_bytes(uint32_t width)
{
    size_t p = padded(width), floats = groups_at(p, LEAST_GROUP, 8) + LANES;
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

/* UNIT values as integers up to `limit`; returns their scale. */
INLINE float round_values(const float limit, const float *x, int16_t *q)
{
    const float most = largest(x);
    const vf inverse = v_set1(most > 0 ? limit / most : 0.0f);
    for (uint32_t i = 0; i < UNIT; i += LANES)
        v_store_i16(q + i, v_mul(v_load(x + i), inverse));
    return most / limit;
}

/* The floats of UNIT values at `at` in a row of `width` (padded): `sums` are those of their smallest groups of integers. */
INLINE void store_groups(const uint32_t least, float scale, const float *sums, size_t at, size_t width, float *floats)
{
    for (uint32_t shift = least; shift <= 7; shift++) {
        float *scales = floats + groups_at(width, least, shift) + (at >> shift), *group_sums = scales + (width >> shift);
        const uint32_t each = 1u << (shift - least);
        for (uint32_t g = 0; g < (UNIT >> least) / each; g++) {
            float sum = 0;
            for (uint32_t i = 0; i < each; i++)
                sum += sums[g * each + i];
            scales[g] = scale;
            group_sums[g] = scale * sum;
        }
    }
}

/* The UNIT values x at `at` in a row of `width` (padded) become integers up to `limit`, and their part of the floats. */
INLINE void round_unit(const float limit, const float *x, size_t at, size_t width, int16_t *q, float *floats)
{
    const float scale = round_values(limit, x, q);
    float sums[4];
    for (uint32_t g = 0; g < 4; g++) {
        int32_t sum = 0;
        for (uint32_t i = 0; i < 32; i++)
            sum += q[32 * g + i];
        sums[g] = (float)sum;
    }
    store_groups(LEAST_GROUP, scale, sums, at, width, floats);
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
    memset(floats + groups_at(p, LEAST_GROUP, 8), 0, LANES * sizeof *floats);
}

/* Where the scales and biases of rows from `from` on stand; the mode may have no biases. */
struct group_rows {
    const uint8_t *scales, *biases;
    size_t from;
};

/* Scales and biases of a piece are copied to the panel first, from end to end: as streams beside those of the weights, a few
 * bytes for each row, they would come late. */
INLINE struct group_rows stage_groups(const struct we_cpu_matrix *m, uint32_t first, uint32_t count, uint8_t *panel)
{
    const size_t bytes = count * m->group_row_bytes;
    struct group_rows rows = {m->linear->scales, m->linear->biases, 0};
    if (m->linear->block || 2 * bytes > WE_CPU_PANEL_BYTES)
        return rows;
    rows.from = we_linear_tensor_row(m->linear, first);
    memcpy(panel, rows.scales + rows.from * m->group_row_bytes, bytes);
    rows.scales = panel;
    if (rows.biases) {
        memcpy(panel + bytes, rows.biases + rows.from * m->group_row_bytes, bytes);
        rows.biases = panel + bytes;
    }
    return rows;
}

#endif
#endif
