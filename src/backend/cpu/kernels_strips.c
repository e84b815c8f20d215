/* Strips (strips.h) of what the file has: words of a row become lanes. */
#include "backend/cpu/strips.h"
#include "backend/cpu/kernels.h"

#ifdef HAS_STRIPS

enum { AHEAD = 256 }; /* bytes that are asked for in advance */

/* Where the rows of a strip begin; NULL: none. */
struct strip_rows {
    const uint8_t *data[LANES], *scales[LANES], *biases[LANES];
};

static void find_rows(const struct we_cpu_matrix *m, uint32_t first, uint32_t group, struct strip_rows *rows)
{
    const struct we_linear *l = m->linear;
    const size_t data_at = (size_t)group << (we_cpu_line_shift(m) + 2), scale_at = group * we_cpu_scale_bytes(m);
    *rows = (struct strip_rows){0};
    for (uint32_t r = 0; r < LANES && first + r < we_cpu_all_rows(m); r++) {
        const size_t at = we_linear_tensor_row(l, first + r);
        rows->data[r] = (const uint8_t *)l->data + at * m->row_bytes + data_at;
        rows->scales[r] = (const uint8_t *)l->scales + at * m->group_row_bytes + scale_at;
        rows->biases[r] = (const uint8_t *)l->biases + at * m->group_row_bytes + scale_at;
    }
}

/* LANES words of each row, the first n of which exist, as n vectors. */
INLINE void load_columns(const uint8_t *const *rows, size_t at, uint32_t n, vi v[LANES])
{
    UNROLL
    for (int r = 0; r < LANES; r++) {
        v[r] = rows[r] == NULL ? i_zero() : n == LANES ? i_load(rows[r] + at) : i_load_n(rows[r] + at, n);
        v_prefetch(rows[r] + at, AHEAD);
    }
    i_transpose(v);
}

static void make_lines(const struct strip_rows *rows, uint32_t groups, uint32_t shift, size_t group_bytes, uint8_t *out)
{
    const uint32_t words = groups << shift;
    for (uint32_t w = 0; w < words; w += LANES) {
        const uint32_t n = words - w < LANES ? words - w : LANES;
        vi v[LANES];
        load_columns(rows->data, 4 * (size_t)w, n, v);
        for (uint32_t i = 0; i < n; i++)
            i_store(out + ((w + i) >> shift) * group_bytes + ((w + i) & ((1u << shift) - 1)) * sizeof(vi), v[i]);
    }
}

static void make_scales(const uint8_t *const *rows, uint32_t groups, size_t size, size_t group_bytes, uint8_t *out)
{
    for (uint32_t g = 0; g < groups; g += LANES) {
        const uint32_t n = groups - g < LANES ? groups - g : LANES;
        vi v[LANES];
        if (size == 4) {
            load_columns(rows, 4 * (size_t)g, n, v);
        } else {
            for (int r = 0; r < LANES; r++)
                v[r] = rows[r] ? i_load_u16_n(rows[r] + 2 * (size_t)g, n) : i_zero();
            i_transpose(v);
        }
        for (uint32_t i = 0; i < n; i++) {
            uint8_t *to = out + (g + i) * group_bytes;
            if (size == 4)
                i_store(to, v[i]);
            else
                i_store_u16(to, v[i]);
        }
    }
}

void KERNEL(make_strip)(const struct we_cpu_matrix *m, uint32_t first, uint32_t group, uint32_t groups, uint8_t *out)
{
    const size_t size = we_cpu_scale_bytes(m), group_bytes = we_cpu_strip_group_bytes(m, LANES);
    struct strip_rows rows;
    find_rows(m, first, group, &rows);
    make_scales(rows.scales, groups, size, group_bytes, out);
    make_scales(rows.biases, groups, size, group_bytes, out + LANES * size);
    make_lines(&rows, groups, we_cpu_line_shift(m), group_bytes, out + 2 * LANES * size);
}

#endif
