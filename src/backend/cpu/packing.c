/* Activations on their way into products: normed, and packed into the forms that the matrices want. */
#include "backend/cpu/executor.h"

enum { ROWS_AT_ONCE = WE_CPU_MOST_BLOCK_ROWS };

static void pack_form(const struct we_cpu_worker *w, const struct we_cpu_packing *p, const struct we_cpu_set *set,
                      uint32_t begin, const float *const *rows, uint32_t count, enum we_cpu_form form,
                      const struct we_cpu_packed *to)
{
    const struct we_cpu_form_kernels *kernels = &w->kernels->forms[form];
    const size_t row_bytes = kernels->row_bytes(p->width);
    uint8_t *out = to->x[form] + (we_cpu_place(set, kernels->block_rows) + begin) * row_bytes;
    for (uint32_t i = 0; i < count; i += kernels->block_rows, out += kernels->block_rows * row_bytes)
        kernels->pack(rows + i, count - i < kernels->block_rows ? count - i : kernels->block_rows, p->width, out);
}

/* Rows [begin, begin + count) of a set. */
static void pack_rows(const struct we_cpu_worker *w, const struct we_cpu_packing *p, const struct we_cpu_set *set,
                      uint32_t begin, uint32_t count, const struct we_cpu_packed *to, bool copy)
{
    const float *rows[ROWS_AT_ONCE];
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t row = set->first + begin + i;
        rows[i] = p->from + (p->which ? p->which[row] : row) * p->stride;
        if (p->copy && copy)
            memcpy(p->copy + row * p->stride, rows[i], p->width * sizeof(float));
        if (p->norm && p->norm->kind != WE_NORM_NONE) {
            float *normed = w->scratch->normed + i * w->executor->plan.normed.stride;
            w->kernels->norm(p->norm, rows[i], normed);
            rows[i] = normed;
        }
    }
    for (int form = 0; form < WE_CPU_FORM_COUNT; form++)
        if (p->forms[set->phase][form])
            pack_form(w, p, set, begin, rows, count, form, to);
}

/* Few rows: every worker does it all for itself, which is quicker than to wait for each other. */
static void pack_alone(const struct we_cpu_worker *w, struct we_cpu_packing *p)
{
    p->packed = p->private;
    for (uint32_t s = 0; s < p->rows->num_sets; s++)
        pack_rows(w, p, &p->rows->sets[s], 0, p->rows->sets[s].count, p->private, w->index == 0);
}

struct job {
    struct we_cpu_packing *packing;
    const struct we_cpu_set *set;
};

void we_cpu_pack(struct we_cpu_worker *w, struct we_cpu_packing *packings, uint32_t count)
{
    struct job jobs[WE_CPU_MOST_PACKINGS * WE_CPU_MOST_SETS];
    uint32_t rows = 0, num_jobs = 0, begin = 0, j = 0;
    for (uint32_t i = 0; i < count; i++) {
        rows += packings[i].rows->count;
        packings[i].packed = packings[i].shared;
        for (uint32_t s = 0; s < packings[i].rows->num_sets; s++)
            jobs[num_jobs++] = (struct job){&packings[i], &packings[i].rows->sets[s]};
    }
    if (rows <= WE_CPU_PRIVATE_ROWS && packings->private) {
        for (uint32_t i = 0; i < count; i++)
            pack_alone(w, &packings[i]);
        return;
    }
    for (uint32_t piece = we_cpu_take(w);; piece = we_cpu_take(w)) {
        uint32_t pieces = 0;
        for (; j < num_jobs; j++, begin += pieces) {
            pieces = (jobs[j].set->count + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE;
            if (piece - begin < pieces)
                break;
        }
        if (j == num_jobs)
            break;
        uint32_t first = (piece - begin) * ROWS_AT_ONCE, left = jobs[j].set->count - first;
        pack_rows(w, jobs[j].packing, jobs[j].set, first, left < ROWS_AT_ONCE ? left : ROWS_AT_ONCE, jobs[j].packing->shared,
                  true);
    }
    we_cpu_end_phase(w);
}
