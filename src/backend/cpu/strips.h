/* Rows of quantised weights side by side, so that lane r of a vector belongs to row r: no sum goes across lanes, and one
 * stream of memory feeds the kernels of both phases. A strip holds strip_rows rows of a matrix; for each group of inputs, one
 * after another, it has
 *   scales (strip_rows) and biases (strip_rows), in the matrix's dtype,
 *   lines (group_size * bits / 32): line i is bytes [4i, 4i + 4) of the group, of each row.
 * Rows past the last one are zeros. Kernels make strips of what the file has as they go, a few groups at a time, unless the
 * whole matrix was brought into strips before (residence.c): the numbers are the same. */
#ifndef WE_BACKEND_CPU_STRIPS_H
#define WE_BACKEND_CPU_STRIPS_H

#include "backend/cpu/cpu.h"

static inline size_t we_cpu_scale_bytes(const struct we_cpu_matrix *m)
{
    return m->linear->dtype == WE_F32 ? 4 : 2;
}

/* log2 of the lines in a group. */
static inline uint32_t we_cpu_line_shift(const struct we_cpu_matrix *m)
{
    return m->group_shift - (m->format == WE_CPU_NIBBLES ? 3 : 2);
}

static inline size_t we_cpu_strip_group_bytes(const struct we_cpu_matrix *m, uint32_t strip_rows)
{
    return strip_rows * (2 * we_cpu_scale_bytes(m) + ((size_t)4 << we_cpu_line_shift(m)));
}

static inline size_t we_cpu_strip_bytes(const struct we_cpu_matrix *m, uint32_t strip_rows)
{
    return (m->linear->in >> m->group_shift) * we_cpu_strip_group_bytes(m, strip_rows);
}

/* Rows that products may name: of all experts. */
static inline uint32_t we_cpu_all_rows(const struct we_cpu_matrix *m)
{
    const struct we_linear *l = m->linear;
    return l->count ? (l->count - 1) * l->next + l->rows : l->rows;
}

static inline bool we_cpu_has_strips(const struct we_cpu_matrix *m)
{
    return m->format == WE_CPU_NIBBLES || m->format == WE_CPU_BYTES;
}

#endif
