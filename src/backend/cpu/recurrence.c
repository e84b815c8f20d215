/* Gated delta and Mamba 2. Phases: convolutions, and what sets each head's rates | the recurrence of each head, and the state
 * that is left | gates and norms. Positions are taken one after the other in either phase of a sequence, so that neither the
 * cuts of a prompt nor its company change a bit; heads and blocks of their values are the pieces that workers share. */
#include "backend/cpu/executor.h"

#include <math.h>

enum { ROWS_AT_ONCE = 8 };

static uint32_t blocks_of(const struct we_cpu_recurrence *r)
{
    return (r->values + WE_CPU_STATE_COLUMNS - 1) / WE_CPU_STATE_COLUMNS;
}

static uint32_t ceil_div(uint32_t a, uint32_t b)
{
    return (a + b - 1) / b;
}

/* ---- constants ---- */

static float *take_floats(float **at, size_t count)
{
    float *taken = *at;
    *at += count;
    return taken;
}

static void load_vector(const struct we_vector *vector, float *out)
{
    for (uint32_t i = 0; i < vector->length; i++)
        out[i] = we_load_float(vector->data, vector->dtype, i);
}

void we_cpu_recurrence_prepare(struct we_cpu_block *b)
{
    struct we_cpu_recurrence *r = &b->recurrence;
    const struct we_gated_delta *g = b->block->kind == WE_BLOCK_GATED_DELTA ? b->block->op.gated_delta : NULL;
    const struct we_mamba2 *m = g ? NULL : b->block->op.mamba2;
    const struct we_vector *conv = g ? &g->conv : &m->conv;
    float *at = r->constants;
    r->taps = take_floats(&at, (size_t)r->conv_length * r->conv_width);
    for (uint32_t t = 0; t < r->conv_length; t++)
        for (uint32_t i = 0; i < r->conv_width; i++)
            r->taps[(size_t)t * r->conv_width + i] = we_load_float(conv->data, conv->dtype, (size_t)i * r->conv_length + t);
    float *bias = take_floats(&at, r->conv_width);
    r->conv_bias = m && m->conv_bias.data ? bias : NULL;
    if (r->conv_bias)
        load_vector(&m->conv_bias, r->conv_bias);
    r->decay = take_floats(&at, r->heads);
    r->dt_bias = take_floats(&at, r->heads);
    r->skip = take_floats(&at, r->heads); /* zeros, unless there is one */
    load_vector(g ? &g->a_log : &m->a_log, r->decay);
    for (uint32_t h = 0; h < r->heads; h++)
        r->decay[h] = -expf(r->decay[h]);
    load_vector(g ? &g->dt_bias : &m->dt_bias, r->dt_bias);
    if (m)
        load_vector(&m->d, r->skip);
    r->unit_queries = take_floats(&at, r->keys);
    r->unit_keys = take_floats(&at, r->keys);
    for (uint32_t k = 0; k < r->keys; k++) {
        r->unit_queries[k] = 1.0f / (float)r->keys;
        r->unit_keys[k] = 1.0f / sqrtf((float)r->keys);
    }
}

/* ---- convolutions and rates ---- */

static float *state_of(const struct we_executor *e, const struct we_cpu_recurrence *r, we_slot slot)
{
    return e->slots + slot * e->plan.slot_floats + r->slot_at;
}

/* The last inputs of the convolution, in a slot. */
static float *inputs_of(const struct we_executor *e, const struct we_cpu_recurrence *r, we_slot slot)
{
    return state_of(e, r, slot) + (size_t)r->heads * blocks_of(r) * r->keys * WE_CPU_STATE_COLUMNS;
}

/* The input of the convolution `after` rows into a span (from -(conv_length - 1) on); NULL: it is before the beginning. */
static const float *input_at(const struct we_executor *e, const struct we_cpu_recurrence *r, const struct we_cpu_span *s,
                             int64_t after)
{
    if (after >= 0)
        return e->q + (size_t)(s->first_row + after) * e->plan.q.stride + r->conv_at;
    if (s->position == 0)
        return NULL;
    return inputs_of(e, r, s->state_in) + (size_t)(r->conv_length - 1 + after) * r->conv_width;
}

static float softplus(float x)
{
    return (x > 0 ? x : 0) + log1pf(expf(-fabsf(x)));
}

/* In place of what the projections gave for a head. */
static void set_rates(const struct we_cpu_block *b, float *in, uint32_t h)
{
    const struct we_cpu_recurrence *r = &b->recurrence;
    float *rate = in + r->rates_at + h, *decay = in + r->decays_at + h;
    if (r->corrects) {
        *rate = 1 / (1 + expf(-*rate));
        *decay = expf(r->decay[h] * softplus(*decay + r->dt_bias[h]));
    } else {
        const struct we_mamba2 *m = b->block->op.mamba2;
        const float dt = softplus(*rate + r->dt_bias[h]);
        *rate = dt < m->dt_min ? m->dt_min : dt > m->dt_max ? m->dt_max : dt;
        *decay = expf(r->decay[h] * *rate);
    }
}

/* Queries of a head, then keys, then values. */
static void convolve_head(const struct we_cpu_worker *w, const struct we_cpu_block *b, uint32_t row, uint32_t unit)
{
    struct we_executor *e = w->executor;
    const struct we_cpu_recurrence *r = &b->recurrence;
    const struct we_cpu_span *s = &e->spans[e->row_span[row]];
    const bool is_query = unit < r->key_heads, is_key = !is_query && unit < 2 * r->key_heads;
    uint32_t first = is_query ? r->queries_at + unit * r->keys : r->keys_at + (unit - r->key_heads) * r->keys;
    if (!is_query && !is_key)
        first = r->values_at + (unit - 2 * r->key_heads) * r->values;
    const float *inputs[WE_CPU_MOST_TAPS];
    for (uint32_t t = 0; t < r->conv_length; t++) {
        inputs[t] = input_at(e, r, s, (int64_t)(row - s->first_row) + t + 1 - r->conv_length);
        inputs[t] = inputs[t] ? inputs[t] + first : NULL;
    }
    float *out = e->k + row * e->plan.k.stride + first;
    w->kernels->convolve(inputs, r->taps + first, r->conv_width, r->conv_length, r->conv_bias ? r->conv_bias + first : NULL,
                         is_query || is_key ? r->keys : r->values, out);
    if (!is_query && !is_key) {
        set_rates(b, e->q + row * e->plan.q.stride, unit - 2 * r->key_heads);
    } else if (r->corrects) {
        const struct we_norm norm = {.kind = WE_NORM_RMS,
                                     .width = r->keys,
                                     .eps = 1e-6f / (float)r->keys,
                                     .weight = {is_query ? r->unit_queries : r->unit_keys, WE_F32, r->keys}};
        w->kernels->norm(&norm, out, out);
    }
}

/* ---- the recurrence ---- */

static void run_rows(const struct we_cpu_worker *w, const struct we_cpu_recurrence *r, uint32_t row, uint32_t rows,
                     uint32_t head, uint32_t column, float *state)
{
    struct we_executor *e = w->executor;
    const float *in = e->q + row * e->plan.q.stride, *x = e->k + row * e->plan.k.stride;
    const uint32_t key_head = head / (r->heads / r->key_heads), left = r->values - column;
    const struct we_cpu_recur recur = {.q = x + r->queries_at + (size_t)key_head * r->keys,
                                       .k = x + r->keys_at + (size_t)key_head * r->keys,
                                       .v = x + r->values_at + (size_t)head * r->values + column,
                                       .stride = e->plan.k.stride,
                                       .rate = in + r->rates_at + head,
                                       .decay = in + r->decays_at + head,
                                       .rate_stride = e->plan.q.stride,
                                       .skip = r->skip[head],
                                       .rows = rows,
                                       .keys = r->keys,
                                       .columns = left < WE_CPU_STATE_COLUMNS ? left : WE_CPU_STATE_COLUMNS,
                                       .corrects = r->corrects,
                                       .state = state,
                                       .out = e->inner + row * e->plan.inner.stride + (size_t)head * r->values + column,
                                       .out_stride = e->plan.inner.stride};
    w->kernels->recur(&recur);
}

static void recur_piece(const struct we_cpu_worker *w, const struct we_cpu_recurrence *r, const struct we_cpu_span *s,
                        uint32_t piece)
{
    const struct we_executor *e = w->executor;
    const uint32_t blocks = blocks_of(r), head = piece / blocks, column = piece % blocks * WE_CPU_STATE_COLUMNS;
    const size_t floats = (size_t)r->keys * WE_CPU_STATE_COLUMNS, at = piece * floats;
    float *state = state_of(e, r, s->state_out) + at;
    if (s->position == 0)
        memset(state, 0, floats * sizeof *state);
    else if (s->state_in != s->state_out)
        memcpy(state, state_of(e, r, s->state_in) + at, floats * sizeof *state);
    if (s->save_rows) {
        run_rows(w, r, s->first_row, s->save_rows, head, column, state);
        memcpy(state_of(e, r, s->save_slot) + at, state, floats * sizeof *state);
    }
    if (s->save_rows < s->num_rows)
        run_rows(w, r, s->first_row + s->save_rows, s->num_rows - s->save_rows, head, column, state);
}

/* What the convolution will need of a span after its first `rows` rows. Where the slot is the one that is read, later inputs
 * move towards earlier ones. */
static void keep_inputs(const struct we_executor *e, const struct we_cpu_recurrence *r, const struct we_cpu_span *s,
                        uint32_t rows, we_slot slot)
{
    float *out = inputs_of(e, r, slot);
    for (uint32_t i = 0; i + 1 < r->conv_length; i++) {
        const float *in = input_at(e, r, s, (int64_t)rows + i + 1 - r->conv_length);
        if (in)
            memcpy(out + (size_t)i * r->conv_width, in, r->conv_width * sizeof *out);
        else
            memset(out + (size_t)i * r->conv_width, 0, r->conv_width * sizeof *out);
    }
}

/* ---- gates and norms ---- */

static void finish_part(const struct we_cpu_worker *w, const struct we_cpu_block *b, uint32_t row, uint32_t part)
{
    struct we_executor *e = w->executor;
    const struct we_cpu_recurrence *r = &b->recurrence;
    static const struct we_feed_forward silu = {.activation = WE_ACTIVATION_SILU};
    const struct we_norm *norm = r->corrects ? &b->block->op.gated_delta->norm : &b->block->op.mamba2->norm;
    const struct we_norm own = we_norm_part(norm, part);
    const size_t at = (size_t)part * (r->corrects ? r->values : norm->width);
    const uint32_t width = r->corrects ? r->values : norm->width;
    float *x = e->inner + row * e->plan.inner.stride + at;
    const float *gate = e->q + row * e->plan.q.stride + r->gate_at + at;
    if (r->corrects && norm->kind != WE_NORM_NONE)
        w->kernels->norm(&own, x, x);
    w->kernels->activate(&silu, gate, x, width, x);
    if (!r->corrects)
        w->kernels->norm(&own, x, x);
}

/* ---- the whole ---- */

/* Calls for piece i of (rows in groups of ROWS_AT_ONCE, units). */
static void for_rows(struct we_cpu_worker *w, const struct we_cpu_block *b, uint32_t units,
                     void (*call)(const struct we_cpu_worker *, const struct we_cpu_block *, uint32_t row, uint32_t unit))
{
    const uint32_t count = w->executor->rows.count, pieces = ceil_div(count, ROWS_AT_ONCE) * units;
    for (uint32_t piece; (piece = we_cpu_take(w)) < pieces;) {
        const uint32_t first = piece / units * ROWS_AT_ONCE;
        for (uint32_t row = first; row < first + ROWS_AT_ONCE && row < count; row++)
            call(w, b, row, piece % units);
    }
}

void we_cpu_recurrence(struct we_cpu_worker *w, const struct we_cpu_block *b)
{
    struct we_executor *e = w->executor;
    const struct we_cpu_recurrence *r = &b->recurrence;
    for_rows(w, b, 2 * r->key_heads + r->heads, convolve_head);
    we_cpu_end_phase(w);
    const uint32_t pieces = r->heads * blocks_of(r) + 1; /* of a span; the last one is what the convolution keeps */
    for (uint32_t piece; (piece = we_cpu_take(w)) < pieces * e->num_spans;) {
        const struct we_cpu_span *s = &e->spans[piece / pieces];
        if (piece % pieces + 1 < pieces) {
            recur_piece(w, r, s, piece % pieces);
            continue;
        }
        if (s->save_rows)
            keep_inputs(e, r, s, s->save_rows, s->save_slot);
        keep_inputs(e, r, s, s->num_rows, s->state_out);
    }
    we_cpu_end_phase(w);
    const uint32_t width = r->corrects ? r->values : b->block->op.mamba2->norm.width;
    for_rows(w, b, r->heads * r->values / width, finish_part);
}
