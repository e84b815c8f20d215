/* The walk of a batch through the network, in phases that all workers share. */
#include "backend/cpu/executor.h"

#include <math.h>

enum { ROWS_AT_ONCE = 8 };

void we_cpu_end_phase(struct we_cpu_worker *w)
{
    /* No worker is in the phase before the last any more, nor in the one after next before this barrier. */
    if (w->index == 0)
        atomic_store_explicit(&w->executor->cursors[(w->phase + 2) % WE_CPU_CURSORS].value, 0, memory_order_relaxed);
    we_pool_barrier(w->executor->pool);
    w->phase++;
}

void we_cpu_arrange(const struct we_cpu_kernels *kernels, enum we_cpu_order order, const float *values, uint32_t first,
                    uint32_t count, float *row)
{
    if (order == WE_CPU_NATURAL) {
        memcpy(row + first, values, count * sizeof *row);
        return;
    }
    const uint8_t *place = kernels->nibble_order;
    for (uint32_t i = 0, k = first; i < count; i++, k++)
        row[(k & ~63u) + place[k & 63]] = values[i];
}

/* ---- the first phase: embeddings, and the angles of every row ---- */

static void fill_angles(struct we_executor *e, uint32_t row)
{
    const struct we_cpu_span *s = &e->spans[e->row_span[row]];
    const float position = (float)(s->position + (row - s->first_row));
    for (uint32_t i = 0; i < e->plan.num_ropes; i++) {
        const struct we_rope *rope = e->plan.ropes[i];
        float *cosine = e->angles + ((size_t)i * e->options.max_rows + row) * 2 * e->plan.max_pairs;
        float *sine = cosine + e->plan.max_pairs;
        for (uint32_t p = 0; p < rope->rotary_dim / 2; p++) {
            float angle = position * rope->inv_freq[s->rope_mode][p]; /* rounded to float32, as MLX does */
            cosine[p] = cosf(angle) * rope->mscale[s->rope_mode];
            sine[p] = sinf(angle) * rope->mscale[s->rope_mode];
        }
    }
}

static void embed(struct we_cpu_worker *w)
{
    struct we_executor *e = w->executor;
    const float multiplier = e->options.decoder->embedding_multiplier;
    for (uint32_t first; (first = we_cpu_take(w) * ROWS_AT_ONCE) < e->num_rows;)
        for (uint32_t row = first; row < first + ROWS_AT_ONCE && row < e->num_rows; row++) {
            float *x = e->stream + row * e->plan.hidden.stride;
            w->kernels->unpack_row(&e->plan.embed, e->tokens[row], x);
            if (multiplier != 1.0f)
                for (uint32_t i = 0; i < e->plan.hidden.width; i++)
                    x[i] *= multiplier;
            fill_angles(e, row);
        }
    we_cpu_end_phase(w);
}

/* ---- norms ---- */

/* The normed rows in each order that is wanted; `kept`: of the rows for output. */
struct inputs {
    const float *x[WE_CPU_ORDER_COUNT], *kept[WE_CPU_ORDER_COUNT];
};

static void norm_row(struct we_cpu_worker *w, const struct we_norm *norm, const float *row, float *const x[], uint32_t to)
{
    const struct we_cpu_plan *plan = &w->executor->plan;
    float *natural = x[WE_CPU_NATURAL] + to * plan->hidden.stride;
    if (norm->kind == WE_NORM_NONE)
        memcpy(natural, row, plan->hidden.width * sizeof *row);
    else
        w->kernels->norm(norm, row, natural);
    if (plan->orders[WE_CPU_NIBBLE_ORDER])
        we_cpu_arrange(w->kernels, WE_CPU_NIBBLE_ORDER, natural, 0, plan->hidden.width,
                       x[WE_CPU_NIBBLE_ORDER] + to * plan->hidden.stride);
}

static void keep_row(struct we_cpu_worker *w, uint32_t row, float *const x[], float *const kept_x[], bool stream)
{
    struct we_executor *e = w->executor;
    const size_t stride = e->plan.hidden.stride, bytes = stride * sizeof(float);
    const uint32_t to = e->kept[row];
    if (to == UINT32_MAX)
        return;
    for (int order = 0; order < WE_CPU_ORDER_COUNT; order++)
        if (e->plan.orders[order])
            memcpy(kept_x[order] + to * stride, x[order] + row * stride, bytes);
    if (stream)
        memcpy(e->kept_stream + to * stride, w->stream + row * stride, bytes);
}

/* Norms all rows that are still computed. keep: also sets the rows for output apart, with their place in the stream.
 * Few rows: every worker does it all for itself, which is quicker than to wait for each other. */
static void norm_rows(struct we_cpu_worker *w, const struct we_norm *norm, bool keep, struct inputs *inputs)
{
    struct we_executor *e = w->executor;
    const size_t stride = e->plan.hidden.stride;
    const bool alone = w->num_rows <= WE_CPU_PRIVATE_ROWS;
    float *const *x = alone ? w->scratch->x : e->x, *const *kept_x = alone ? w->scratch->kept_x : e->kept_x;
    for (int order = 0; order < WE_CPU_ORDER_COUNT; order++) {
        inputs->x[order] = x[order];
        inputs->kept[order] = keep ? kept_x[order] : x[order];
    }
    if (alone) {
        for (uint32_t row = 0; row < w->num_rows; row++) {
            norm_row(w, norm, w->stream + row * stride, x, row);
            if (keep)
                keep_row(w, row, x, kept_x, w->index == 0);
        }
        return;
    }
    for (uint32_t first; (first = we_cpu_take(w) * ROWS_AT_ONCE) < w->num_rows;)
        for (uint32_t row = first; row < first + ROWS_AT_ONCE && row < w->num_rows; row++) {
            norm_row(w, norm, w->stream + row * stride, x, row);
            if (keep)
                keep_row(w, row, x, kept_x, true);
        }
    we_cpu_end_phase(w);
}

/* ---- blocks ---- */

static void output_product(struct we_cpu_worker *w, const struct we_cpu_matrix *matrix, const struct we_cpu_step *step)
{
    struct we_executor *e = w->executor;
    struct we_cpu_product product = {
        .matrix = matrix, .x = e->inner, .x_stride = e->plan.inner.stride, .num_rows = w->num_rows,
        .epilogue = step->direct ? WE_CPU_ADD : WE_CPU_STORE, .multiplier = step->residual_multiplier,
        .out = step->direct ? w->stream : e->block_out, .out_stride = e->plan.hidden.stride};
    we_cpu_products(w, &product, 1);
    we_cpu_end_phase(w);
}

static struct we_cpu_product input_product(const struct we_cpu_worker *w, const struct we_cpu_matrix *matrix,
                                           const float *const x[], float *out, size_t out_stride)
{
    return (struct we_cpu_product){.matrix = matrix, .x = x[we_cpu_matrix_order(matrix)],
                                   .x_stride = w->executor->plan.hidden.stride, .num_rows = w->num_rows,
                                   .out = out, .out_stride = out_stride};
}

/* prune: from the queries on, only rows for output are computed. */
static void attention_block(struct we_cpu_worker *w, const struct we_cpu_block *b, const struct we_cpu_step *step, bool prune)
{
    struct we_executor *e = w->executor;
    struct inputs inputs;
    norm_rows(w, &b->block->pre_norm, prune, &inputs);
    struct we_cpu_product products[] = {
        input_product(w, &b->q, inputs.kept, e->q, e->plan.q.stride),
        input_product(w, &b->k, inputs.x, e->k, e->plan.k.stride),
        input_product(w, &b->v, inputs.x, e->v, e->plan.v.stride),
    };
    if (prune)
        products[0].num_rows = e->num_kept;
    we_cpu_products(w, products, 3);
    we_cpu_end_phase(w);
    if (prune) {
        w->pruned = true;
        w->stream = e->kept_stream;
        w->num_rows = e->num_kept;
    }
    we_cpu_attention(w, b, e->q);
    we_cpu_end_phase(w);
    if (w->num_rows > 0)
        output_product(w, &b->o, step);
}

static void feed_forward_block(struct we_cpu_worker *w, const struct we_cpu_block *b, const struct we_cpu_step *step)
{
    struct we_executor *e = w->executor;
    struct inputs inputs;
    norm_rows(w, &b->block->pre_norm, false, &inputs);
    struct we_cpu_product product = input_product(w, &b->gate, inputs.x, e->inner, e->plan.inner.stride);
    product.second = &b->up;
    product.second_x = inputs.x[we_cpu_matrix_order(&b->up)];
    product.epilogue = WE_CPU_ACTIVATE;
    product.activation = b->block->op.feed_forward->activation;
    product.order = we_cpu_matrix_order(&b->down);
    we_cpu_products(w, &product, 1);
    we_cpu_end_phase(w);
    output_product(w, &b->down, step);
}

/* After a block of a step that is not direct: its norm, the sum of the step, and at last the stream. */
static void combine(struct we_cpu_worker *w, const struct we_cpu_block *b, const struct we_cpu_step *step, bool first, bool last)
{
    struct we_executor *e = w->executor;
    const uint32_t width = e->plan.hidden.width;
    for (uint32_t begin; (begin = we_cpu_take(w) * ROWS_AT_ONCE) < w->num_rows;)
        for (uint32_t row = begin; row < begin + ROWS_AT_ONCE && row < w->num_rows; row++) {
            size_t at = row * e->plan.hidden.stride;
            if (b->block->post_norm.kind != WE_NORM_NONE)
                w->kernels->norm(&b->block->post_norm, e->block_out + at, e->block_out + at);
            if (first)
                memcpy(e->step_sum + at, e->block_out + at, width * sizeof(float));
            else
                w->kernels->add_scaled(e->step_sum + at, 1.0f, e->block_out + at, width);
            if (last)
                w->kernels->add_scaled(w->stream + at, step->residual_multiplier, e->step_sum + at, width);
        }
    we_cpu_end_phase(w);
}

static void logits(struct we_cpu_worker *w)
{
    struct we_executor *e = w->executor;
    const struct we_decoder *d = e->options.decoder;
    const bool gather = !w->pruned && e->num_kept < e->num_rows;
    struct inputs inputs;
    norm_rows(w, &d->norm, gather, &inputs);
    struct we_cpu_product product = input_product(w, &e->plan.head, inputs.kept, e->logits, d->vocab_size);
    product.num_rows = e->num_kept;
    we_cpu_products(w, &product, 1);
    we_cpu_end_phase(w);
    if (d->logit_multiplier == 1.0f)
        return;
    for (uint32_t row; (row = we_cpu_take(w)) < e->num_kept;)
        for (uint32_t i = 0; i < d->vocab_size; i++)
            e->logits[(size_t)row * d->vocab_size + i] *= d->logit_multiplier;
}

void we_cpu_walk(void *context, uint32_t index)
{
    struct we_executor *e = context;
    struct we_cpu_worker worker = {.executor = e, .kernels = e->kernels, .scratch = &e->scratch[index], .index = index,
                                   .stream = e->stream, .num_rows = e->num_rows};
    struct we_cpu_worker *w = &worker;
    embed(w);
    for (uint32_t s = 0; s < e->plan.num_steps; s++) {
        const struct we_cpu_step *step = &e->plan.steps[s];
        for (uint32_t i = 0; i < step->num_blocks; i++) {
            const struct we_cpu_block *b = &e->plan.blocks[step->first_block + i];
            if (b->block->kind == WE_BLOCK_ATTENTION)
                attention_block(w, b, step, step->first_block + i == e->plan.prune_block && e->num_kept < e->num_rows);
            else
                feed_forward_block(w, b, step);
            if (w->num_rows == 0)
                return; /* keys and values were all that was wanted */
            if (!step->direct)
                combine(w, b, step, i == 0, i + 1 == step->num_blocks);
        }
    }
    if (e->num_kept > 0)
        logits(w);
}
