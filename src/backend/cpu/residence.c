#define _GNU_SOURCE /* MAP_ANONYMOUS, madvise */
#include "backend/cpu/residence.h"

#include "backend/cpu/strips.h"
#include "base/fs.h"
#include "base/system.h"

#include <stdlib.h>
#include <sys/mman.h>

enum {
    PIECE_BYTES = 256 * 1024,
    LARGE_PAGE = 2 << 20,
    MARGIN = 256 << 20 /* of memory that is left to others */
};

static size_t padded(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static bool in_strips(const struct we_cpu_plan *plan, const struct we_cpu_matrix *m)
{
    return plan->kernels->strip_rows && we_cpu_has_strips(m);
}

/* Experts that share a tensor with other views stay where they are. */
static bool stays(const struct we_cpu_matrix *m)
{
    return m->linear->count > 1 && m->linear->next != m->linear->rows;
}

static size_t bias_bytes(const struct we_cpu_matrix *m)
{
    const struct we_vector *bias = &m->linear->bias;
    return bias->data ? padded(we_cpu_all_rows(m) * we_dtype_size(bias->dtype)) : 0;
}

static size_t home_bytes(const struct we_cpu_plan *plan, const struct we_cpu_matrix *m)
{
    const size_t rows = we_cpu_all_rows(m), lanes = plan->kernels->strip_rows;
    if (in_strips(plan, m))
        return padded((rows + lanes - 1) / lanes * we_cpu_strip_bytes(m, (uint32_t)lanes));
    return padded(rows * m->row_bytes) + 2 * padded(rows * m->group_row_bytes) + bias_bytes(m);
}

/* Where rows that are copied as they are go: all of their data, then scales, biases, and the bias of the sums. */
static void plan_copy(struct we_cpu_home *home)
{
    const struct we_cpu_matrix *m = home->matrix;
    struct we_linear *l = &home->linear;
    *l = *m->linear;
    const size_t rows = we_cpu_all_rows(m);
    uint8_t *at = home->place;
    l->data = at;
    at += padded(rows * m->row_bytes);
    l->scales = l->scales ? at : NULL;
    at += padded(rows * m->group_row_bytes);
    l->biases = l->biases ? at : NULL;
    at += padded(rows * m->group_row_bytes);
    l->bias.data = l->bias.data ? at : NULL;
    l->first = l->block = l->stride = 0;
}

static bool map_memory(struct we_cpu_residence *r, size_t bytes)
{
    r->bytes = bytes + LARGE_PAGE;
    void *memory = mmap(NULL, r->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return false;
    r->memory = memory;
#if defined(MADV_HUGEPAGE)
    madvise(memory, r->bytes, MADV_HUGEPAGE);
#endif
    return true;
}

void we_cpu_residence_open(struct we_cpu_plan *plan, const struct we_load_options *options, struct we_cpu_residence *r)
{
    *r = (struct we_cpu_residence){.release = options->weights_mapped};
    if (options->precision != WE_PRECISION_FAST || options->no_repack)
        return;
    uint64_t bytes = 0, available = we_memory_available();
    for (uint32_t i = 0; i < plan->num_weights; i++)
        bytes += stays(plan->weights[i]) ? 0 : home_bytes(plan, plan->weights[i]);
    if (available < bytes + bytes / 8 + MARGIN || bytes == 0)
        return;
    r->homes = calloc(plan->num_weights, sizeof *r->homes);
    if (r->homes == NULL || !map_memory(r, bytes)) {
        we_cpu_residence_close(r);
        return;
    }
    uint8_t *place = (uint8_t *)(((uintptr_t)r->memory + LARGE_PAGE - 1) & ~(uintptr_t)(LARGE_PAGE - 1));
    for (uint32_t i = 0; i < plan->num_weights; i++) {
        struct we_cpu_home *home = &r->homes[r->count];
        struct we_cpu_matrix *m = plan->weights[i];
        if (stays(m))
            continue;
        const uint32_t rows = (uint32_t)(PIECE_BYTES / (m->row_bytes + 2 * m->group_row_bytes)) / 64 * 64;
        *home = (struct we_cpu_home){.matrix = m, .place = place, .first_piece = r->num_pieces, .rows = rows ? rows : 64};
        if (!in_strips(plan, m))
            plan_copy(home);
        r->num_pieces += (we_cpu_all_rows(m) + home->rows - 1) / home->rows;
        r->count++;
        place += home_bytes(plan, m);
    }
    r->kernels = plan->kernels;
}

void we_cpu_residence_close(struct we_cpu_residence *r)
{
    if (r->memory)
        munmap(r->memory, r->bytes);
    free(r->homes);
    *r = (struct we_cpu_residence){0};
}

static void copy_rows(void *to, const void *from, size_t row_bytes, const struct we_linear *l, uint32_t first, uint32_t end)
{
    if (from == NULL)
        return;
    for (uint32_t i = first; i < end; i++)
        memcpy((uint8_t *)to + i * row_bytes, (const uint8_t *)from + we_linear_tensor_row(l, i) * row_bytes, row_bytes);
}

/* Rows [first, end) are not read where they are any more. */
static void release_rows(const void *data, size_t row_bytes, const struct we_linear *l, uint32_t first, uint32_t end)
{
    for (uint32_t i = first, next; data && i < end; i = next) {
        next = l->block ? (i / l->block + 1) * l->block : end;
        next = next < end ? next : end;
        we_file_release((const uint8_t *)data + we_linear_tensor_row(l, i) * row_bytes, (next - i) * row_bytes);
    }
}

static void release_matrix(const struct we_cpu_matrix *m, const struct we_linear *l)
{
    release_rows(l->data, m->row_bytes, l, 0, we_cpu_all_rows(m));
    release_rows(l->scales, m->group_row_bytes, l, 0, we_cpu_all_rows(m));
    release_rows(l->biases, m->group_row_bytes, l, 0, we_cpu_all_rows(m));
}

void we_cpu_settle(const struct we_cpu_residence *r, uint32_t piece)
{
    const struct we_cpu_home *home = r->homes;
    while (home + 1 < r->homes + r->count && piece >= home[1].first_piece)
        home++;
    const struct we_cpu_matrix *m = home->matrix;
    const struct we_linear *l = m->linear;
    const uint32_t first = (piece - home->first_piece) * home->rows;
    const uint32_t rows = we_cpu_all_rows(m), end = rows - first < home->rows ? rows : first + home->rows;
    if (home->linear.data) {
        copy_rows((void *)home->linear.data, l->data, m->row_bytes, l, first, end);
        copy_rows((void *)home->linear.scales, l->scales, m->group_row_bytes, l, first, end);
        copy_rows((void *)home->linear.biases, l->biases, m->group_row_bytes, l, first, end);
        copy_rows((void *)home->linear.bias.data, l->bias.data, l->bias.data ? we_dtype_size(l->bias.dtype) : 0, l, first, end);
    } else {
        const uint32_t lanes = r->kernels->strip_rows;
        const size_t strip_bytes = we_cpu_strip_bytes(m, lanes);
        for (uint32_t row = first; row < end; row += lanes)
            r->kernels->make_strip(m, row, 0, l->in >> m->group_shift, home->place + row / lanes * strip_bytes);
    }
    if (r->release) /* those before too: a large page that reaches into this piece has brought them in again */
        release_rows(l->data, m->row_bytes, l, l->block ? first : 0, end);
}

void we_cpu_settled(struct we_cpu_residence *r, uint32_t count)
{
    const uint32_t before = r->settled;
    r->settled += count;
    for (uint32_t i = 0; i < r->count; i++) {
        struct we_cpu_home *home = &r->homes[i];
        const uint32_t end = i + 1 < r->count ? home[1].first_piece : r->num_pieces;
        if (end <= before || end > r->settled)
            continue;
        struct we_cpu_matrix *m = home->matrix;
        if (r->release)
            release_matrix(m, m->linear); /* with the pages that pieces shared */
        if (home->linear.data)
            m->linear = &home->linear;
        else
            m->strips = home->place;
    }
}
