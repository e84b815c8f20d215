/* Short convolution: every value of a row meets its own past in the last few positions. What it needs of the past lies in
 * pages, as keys do, so that prompts are cut, shared and rolled back as those of attention are. A row reads its own position
 * from there too: rounding to the type of the cache does not depend on where a prompt is cut. */
#include "backend/cpu/executor.h"

enum { ROWS_AT_ONCE = 8 };

/* b * x of a position. */
static uint8_t *state_at(const struct we_executor *e, const struct we_cpu_block *b, const struct we_cpu_span *s,
                         uint32_t position)
{
    const we_page page = s->page_tables[b->group][position / WE_PAGE_POSITIONS];
    const size_t at = page * e->options.layout->groups[b->group].page_values + b->k_offset +
                      (size_t)(position % WE_PAGE_POSITIONS) * e->plan.hidden.width;
    return e->pages[b->group] + at * e->kv_size;
}

static void keep_row(const struct we_executor *e, const struct we_cpu_block *b, uint32_t row)
{
    const struct we_cpu_span *s = &e->spans[e->row_span[row]];
    const uint32_t width = e->plan.hidden.width;
    const float *in = e->q + row * e->plan.q.stride, *x = in + 2 * (size_t)width;
    uint8_t *out = state_at(e, b, s, s->position + (row - s->first_row));
    if (e->kv_dtype == WE_F32) {
        for (uint32_t i = 0; i < width; i++)
            ((float *)(void *)out)[i] = in[i] * x[i];
    } else {
        for (uint32_t i = 0; i < width; i++)
            ((uint16_t *)(void *)out)[i] = we_bf16_from_f32(in[i] * x[i]);
    }
}

static void add_tap(const struct we_executor *e, const uint8_t *state, const float *tap, float *sum)
{
    const uint32_t width = e->plan.hidden.width;
    if (e->kv_dtype == WE_F32) {
        for (uint32_t i = 0; i < width; i++)
            sum[i] += tap[i] * ((const float *)(const void *)state)[i];
    } else {
        for (uint32_t i = 0; i < width; i++)
            sum[i] += tap[i] * we_f32_from_bf16(((const uint16_t *)(const void *)state)[i]);
    }
}

/* taps: (length, hidden.stride) */
static void convolve_row(const struct we_executor *e, const struct we_cpu_block *b, uint32_t row, const float *taps)
{
    const struct we_short_conv *c = b->block->op.short_conv;
    const struct we_cpu_span *s = &e->spans[e->row_span[row]];
    const uint32_t width = e->plan.hidden.width, position = s->position + (row - s->first_row);
    const float *gate = e->q + row * e->plan.q.stride + width;
    float *out = e->inner + row * e->plan.inner.stride;
    memset(out, 0, width * sizeof *out);
    for (uint32_t t = position + 1 < c->length ? c->length - 1 - position : 0; t < c->length; t++)
        add_tap(e, state_at(e, b, s, position + t + 1 - c->length), taps + t * e->plan.hidden.stride, out);
    for (uint32_t i = 0; i < width; i++)
        out[i] = gate[i] * (out[i] + (c->bias.data ? we_load_float(c->bias.data, c->bias.dtype, i) : 0));
}

void we_cpu_short_conv(struct we_cpu_worker *w, const struct we_cpu_block *b)
{
    struct we_executor *e = w->executor;
    const struct we_short_conv *c = b->block->op.short_conv;
    for (uint32_t first; (first = we_cpu_take(w) * ROWS_AT_ONCE) < e->rows.count;)
        for (uint32_t row = first; row < first + ROWS_AT_ONCE && row < e->rows.count; row++)
            keep_row(e, b, row);
    we_cpu_end_phase(w);
    float *taps = w->scratch->normed;
    for (uint32_t t = 0; t < c->length; t++)
        for (uint32_t i = 0; i < e->plan.hidden.width; i++)
            taps[t * e->plan.hidden.stride + i] = we_load_float(c->weight.data, c->weight.dtype, (size_t)i * c->length + t);
    for (uint32_t first; (first = we_cpu_take(w) * ROWS_AT_ONCE) < e->rows.count;)
        for (uint32_t row = first; row < first + ROWS_AT_ONCE && row < e->rows.count; row++)
            convolve_row(e, b, row, taps);
}
