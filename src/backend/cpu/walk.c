/* The walk of a batch through the network, in phases that all workers share. */
#include "backend/cpu/executor.h"

#include "base/system.h"

#include <math.h>

enum { ROWS_AT_ONCE = 8 };

uint32_t we_cpu_arrive(struct we_cpu_worker *w)
{
    /* No worker is in the phase before the last any more, nor in the one after next before this barrier. */
    struct we_executor *e = w->executor;
    const uint32_t next = (w->phase + 2) % WE_CPU_CURSORS;
    if (w->index == 0)
        atomic_store_explicit(&e->cursors[next].value, 0, memory_order_relaxed);
    atomic_store_explicit(&e->shares[next * e->threads + w->index].value, 0, memory_order_relaxed);
    return we_pool_arrive(e->pool);
}

void we_cpu_leave(struct we_cpu_worker *w, uint32_t ticket)
{
    we_pool_wait(w->executor->pool, ticket);
    w->phase++;
}

void we_cpu_end_phase(struct we_cpu_worker *w)
{
    we_cpu_leave(w, we_cpu_arrive(w));
}

/* ---- before all: weights come nearer ---- */

static void settle(struct we_cpu_worker *w)
{
    struct we_executor *e = w->executor;
    struct we_cpu_residence *r = &e->residence;
    const uint32_t left = r->num_pieces - r->settled;
    for (uint32_t i; (i = we_cpu_take(w)) < left;) {
        we_cpu_settle(r, r->settled + i);
        if (we_clock() >= r->deadline)
            break;
    }
    we_cpu_end_phase(w);
    if (w->index == 0) {
        const uint32_t taken = atomic_load_explicit(&e->cursors[(w->phase - 1) % WE_CPU_CURSORS].value, memory_order_relaxed);
        we_cpu_settled(r, taken < left ? taken : left);
    }
    we_cpu_end_phase(w);
}

/* ---- the first phase: embeddings, and the angles of every row ---- */

/* The inverse frequency of a pair at a position beyond the length that dynamic NTK begins at. */
static float ntk_frequency(const struct we_rope *rope, float position, uint32_t pair)
{
    const double dim = rope->rotary_dim, length = rope->ntk_length;
    const double growth = rope->ntk_factor * (position + 1.0) / length - (rope->ntk_factor - 1.0);
    return (float)pow(rope->theta * pow(growth, dim / (dim - 2)), -2.0 * pair / dim);
}

static void fill_angles(struct we_executor *e, uint32_t row)
{
    const struct we_cpu_span *s = &e->spans[e->row_span[row]];
    const float position = (float)(s->position + (row - s->first_row));
    for (uint32_t i = 0; i < e->plan.num_ropes; i++) {
        const struct we_rope *rope = e->plan.ropes[i];
        float *cosine = e->angles + ((size_t)i * e->options.max_rows + row) * 2 * e->plan.max_pairs;
        float *sine = cosine + e->plan.max_pairs;
        const bool grown = rope->ntk_length && position >= (float)rope->ntk_length;
        for (uint32_t p = 0; p < rope->rotary_dim / 2; p++) {
            const float frequency = grown ? ntk_frequency(rope, position, p) : rope->inv_freq[s->rope_mode][p];
            float angle = position * frequency; /* rounded to float32, as MLX does */
            cosine[p] = cosf(angle) * rope->mscale[s->rope_mode];
            sine[p] = sinf(angle) * rope->mscale[s->rope_mode];
        }
    }
}

static void embed(struct we_cpu_worker *w)
{
    struct we_executor *e = w->executor;
    const float multiplier = e->options.decoder->embedding_multiplier;
    for (uint32_t first; (first = we_cpu_take(w) * ROWS_AT_ONCE) < e->rows.count;)
        for (uint32_t row = first; row < first + ROWS_AT_ONCE && row < e->rows.count; row++) {
            float *x = e->stream + row * e->plan.hidden.stride;
            w->kernels->unpack_row(&e->plan.embed, e->tokens[row], x);
            if (e->options.decoder->embed_tokens.lora)
                we_cpu_lora_embed(&e->options.decoder->embed_tokens, e->tokens[row], x);
            if (multiplier != 1.0f)
                for (uint32_t i = 0; i < e->plan.hidden.width; i++)
                    x[i] *= multiplier;
            fill_angles(e, row);
        }
    we_cpu_end_phase(w);
}

/* ---- blocks ---- */

static struct we_cpu_packing stream_packing(const struct we_cpu_worker *w, const struct we_norm *norm)
{
    struct we_executor *e = w->executor;
    return (struct we_cpu_packing){.rows = w->rows,
                                   .from = w->stream,
                                   .stride = e->plan.hidden.stride,
                                   .width = e->plan.hidden.width,
                                   .norm = norm,
                                   .forms = e->plan.hidden_forms,
                                   .shared = &e->x,
                                   .private = &w->scratch->x};
}

/* The rows for output among all rows. */
static struct we_cpu_packing kept_packing(const struct we_cpu_worker *w, const struct we_norm *norm)
{
    struct we_executor *e = w->executor;
    struct we_cpu_packing packing = stream_packing(w, norm);
    packing.rows = &e->kept_rows;
    packing.which = e->kept;
    packing.shared = &e->kept_x;
    packing.private = &w->scratch->kept_x;
    return packing;
}

/* The products of a matrix with the packed rows, one for each set. */
static uint32_t add_products(const struct we_cpu_worker *w, const struct we_cpu_packing *packing,
                             const struct we_cpu_matrix *matrix, float *out, size_t out_stride, struct we_cpu_product *products)
{
    for (uint32_t s = 0; s < packing->rows->num_sets; s++) {
        const struct we_cpu_set *set = &packing->rows->sets[s];
        const enum we_cpu_form form = matrix->form[set->phase];
        const struct we_cpu_form_kernels *kernels = &w->kernels->forms[form];
        products[s] = (struct we_cpu_product){
            .matrix = matrix,
            .form = form,
            .num_rows = set->count,
            .out = out + set->first * out_stride,
            .out_stride = out_stride,
            .x = packing->packed->x[form] + we_cpu_place(set, kernels->block_rows) * kernels->row_bytes(packing->width),
            .lora_x = we_cpu_lora_x(w, matrix, packing->packed, set->phase, set, 0, packing->width),
            .phase = set->phase};
    }
    return packing->rows->num_sets;
}

/* ---- what comes next ---- */

/* Products of a few rows are a question of memory: workers that wait for others begin to read what comes next. With more
 * rows packing has a phase of its own before. */
static void end_phase_before(struct we_cpu_worker *w, const struct we_cpu_matrix *const *matrices, uint32_t count,
                             const struct we_cpu_matrix *second)
{
    struct we_cpu_product products[WE_CPU_MOST_PRODUCTS];
    const struct we_cpu_rows *rows = w->rows;
    if (rows->num_sets != 1 || rows->count > WE_CPU_PRIVATE_ROWS || count == 0) {
        we_cpu_end_phase(w);
        return;
    }
    const enum we_phase phase = rows->sets[0].phase;
    for (uint32_t i = 0; i < count; i++)
        products[i] = (struct we_cpu_product){.matrix = matrices[i],
                                              .form = matrices[i]->form[phase],
                                              .second = second,
                                              .second_form = second ? second->form[phase] : WE_CPU_FORM_F32,
                                              .num_rows = rows->count};
    we_cpu_end_phase_before(w, products, count);
}

/* Ends the last phase of a block. */
static void end_block(struct we_cpu_worker *w)
{
    const struct we_cpu_block *next = w->next;
    if (next == NULL) {
        end_phase_before(w, (const struct we_cpu_matrix *[]){&w->executor->plan.head}, 1, NULL);
    } else if (next->block->kind == WE_BLOCK_ATTENTION) {
        const uint32_t count = next->k.linear == NULL ? 1 : next->v.linear == NULL ? 2 : 3;
        end_phase_before(w, (const struct we_cpu_matrix *[]){&next->q, &next->k, &next->v}, count, NULL);
    } else if (next->block->kind == WE_BLOCK_FEED_FORWARD) {
        const bool gated = next->gate.linear != NULL;
        end_phase_before(w, (const struct we_cpu_matrix *[]){gated ? &next->gate : &next->up}, 1, gated ? &next->up : NULL);
    } else if (next->block->kind == WE_BLOCK_SHORT_CONV) {
        end_phase_before(w, (const struct we_cpu_matrix *[]){&next->in}, 1, NULL);
    } else {
        we_cpu_end_phase(w);
    }
}

/* Ends a phase after which output_product comes. */
static void end_phase_before_output(struct we_cpu_worker *w, const struct we_cpu_matrix *matrix)
{
    end_phase_before(w, &matrix, 1, NULL);
}

/* Rows on their way to a matrix that does not read the stream. */
static struct we_cpu_packing inner_packing(const struct we_cpu_worker *w, const float *from, size_t stride, uint32_t width)
{
    struct we_executor *e = w->executor;
    return (struct we_cpu_packing){.rows = w->rows,
                                   .from = from,
                                   .stride = stride,
                                   .width = width,
                                   .forms = e->plan.inner_forms,
                                   .shared = &e->inner_x,
                                   .private = &w->scratch->x};
}

/* From rows of `from`, mostly `inner`, to the stream. */
static void output_product(struct we_cpu_worker *w, const struct we_cpu_matrix *matrix, const struct we_cpu_step *step,
                           const float *from, size_t stride)
{
    struct we_executor *e = w->executor;
    struct we_cpu_product products[WE_CPU_MOST_PRODUCTS];
    struct we_cpu_packing inner = inner_packing(w, from, stride, matrix->linear->in);
    we_cpu_pack(w, &inner, 1);
    uint32_t count = add_products(w, &inner, matrix, step->direct ? w->stream : e->block_out, e->plan.hidden.stride, products);
    for (uint32_t i = 0; i < count; i++) {
        products[i].epilogue = step->direct ? WE_CPU_ADD : WE_CPU_STORE;
        products[i].multiplier = step->residual_multiplier;
    }
    we_cpu_products(w, products, count);
    end_block(w);
}

/* Norms over all heads of a row together: a phase of its own. */
static void norm_rows(struct we_cpu_worker *w, const struct we_norm *norm, float *rows, size_t stride, uint32_t count)
{
    for (uint32_t first; (first = we_cpu_take(w) * ROWS_AT_ONCE) < count;)
        for (uint32_t row = first; row < first + ROWS_AT_ONCE && row < count; row++)
            w->kernels->norm(norm, rows + row * stride, rows + row * stride);
    we_cpu_end_phase(w);
}

static bool is_whole(const struct we_attention *a, const struct we_norm *norm)
{
    return norm->kind != WE_NORM_NONE && norm->width != a->head_dim;
}

/* The outputs of heads times the sigmoid of their gates: a phase of its own. */
static void gate_rows(struct we_cpu_worker *w, uint32_t width)
{
    struct we_executor *e = w->executor;
    static const struct we_feed_forward sigmoid = {.activation = WE_ACTIVATION_SIGMOID};
    for (uint32_t first; (first = we_cpu_take(w) * ROWS_AT_ONCE) < w->rows->count;)
        for (uint32_t row = first; row < first + ROWS_AT_ONCE && row < w->rows->count; row++) {
            float *x = e->inner + row * e->plan.inner.stride;
            w->kernels->activate(&sigmoid, e->gate + row * e->plan.gate.stride, x, width, x);
        }
    we_cpu_end_phase(w);
}

/* The rows that give output are the only ones from now on. */
static void go_on_with_kept(struct we_cpu_worker *w)
{
    w->pruned = true;
    w->stream = w->executor->kept_stream;
    w->rows = &w->executor->kept_rows;
}

/* prune: from the queries on, only rows for output are computed. */
static void attention_block(struct we_cpu_worker *w, const struct we_cpu_block *b, const struct we_cpu_step *step, bool prune)
{
    struct we_executor *e = w->executor;
    struct we_cpu_packing packings[] = {stream_packing(w, &b->block->pre_norm), kept_packing(w, &b->block->pre_norm)};
    packings[1].copy = e->kept_stream;
    we_cpu_pack(w, packings, prune ? 2 : 1);
    struct we_cpu_product products[WE_CPU_MOST_PRODUCTS];
    uint32_t count = add_products(w, &packings[prune], &b->q, e->q, e->plan.q.stride, products);
    if (b->k.linear)
        count += add_products(w, packings, &b->k, e->k, e->plan.k.stride, products + count);
    if (b->v.linear)
        count += add_products(w, packings, &b->v, e->v, e->plan.v.stride, products + count);
    if (b->head_gate.linear)
        count += add_products(w, &packings[prune], &b->head_gate, e->gate, e->plan.gate.stride, products + count);
    we_cpu_products(w, products, count);
    end_phase_before_output(w, &b->o); /* attention needs little of the cache, and of memory */
    if (prune)
        go_on_with_kept(w);
    const struct we_attention *a = b->block->op.attention;
    if (is_whole(a, &a->q_norm))
        norm_rows(w, &a->q_norm, e->q, e->plan.q.stride, w->rows->count);
    if (is_whole(a, &a->k_norm))
        norm_rows(w, &a->k_norm, e->k, e->plan.k.stride, e->rows.count);
    we_cpu_attention(w, b, e->q);
    end_phase_before_output(w, &b->o);
    if (b->head_gate.linear)
        gate_rows(w, a->num_attention_heads * a->v_head_dim);
    if (w->rows->count > 0)
        output_product(w, &b->o, step, e->inner, e->plan.inner.stride);
}

/* q_a_proj goes to v, which latent attention has no use for; keys are the rope part, then the latent. */
static void latent_attention_block(struct we_cpu_worker *w, const struct we_cpu_block *b, const struct we_cpu_step *step,
                                   bool prune)
{
    struct we_executor *e = w->executor;
    const struct we_latent_attention *a = b->block->op.latent_attention;
    const bool low = b->q_a.linear != NULL;
    struct we_cpu_packing packings[] = {stream_packing(w, &b->block->pre_norm), kept_packing(w, &b->block->pre_norm)};
    packings[1].copy = e->kept_stream;
    we_cpu_pack(w, packings, prune ? 2 : 1);
    struct we_cpu_product products[WE_CPU_MOST_PRODUCTS];
    uint32_t count = low ? add_products(w, &packings[prune], &b->q_a, e->v, e->plan.v.stride, products)
                         : add_products(w, &packings[prune], &b->q, e->q, e->plan.q.stride, products);
    if (b->k.linear)
        count += add_products(w, packings, &b->k, e->k, e->plan.k.stride, products + count);
    count += add_products(w, packings, &b->v, e->k + a->rope_head_dim, e->plan.k.stride, products + count);
    we_cpu_products(w, products, count);
    we_cpu_end_phase(w);
    if (prune)
        go_on_with_kept(w);
    if (low && w->rows->count > 0) {
        struct we_cpu_packing packing = inner_packing(w, e->v, e->plan.v.stride, b->q.linear->in);
        packing.norm = &a->q_a_norm;
        we_cpu_pack(w, &packing, 1);
        we_cpu_products(w, products, add_products(w, &packing, &b->q, e->q, e->plan.q.stride, products));
        we_cpu_end_phase(w);
    }
    we_cpu_latent_queries(w, b);
    we_cpu_end_phase(w);
    we_cpu_attention(w, b, e->latent_q);
    we_cpu_end_phase(w);
    if (w->rows->count == 0)
        return;
    we_cpu_latent_outputs(w, b);
    we_cpu_end_phase(w);
    output_product(w, &b->o, step, e->q, e->plan.q.stride);
}

static void short_conv_block(struct we_cpu_worker *w, const struct we_cpu_block *b, const struct we_cpu_step *step)
{
    struct we_executor *e = w->executor;
    struct we_cpu_packing packing = stream_packing(w, &b->block->pre_norm);
    we_cpu_pack(w, &packing, 1);
    struct we_cpu_product products[WE_CPU_MOST_PRODUCTS];
    we_cpu_products(w, products, add_products(w, &packing, &b->in, e->q, e->plan.q.stride, products));
    we_cpu_end_phase(w);
    we_cpu_short_conv(w, b);
    end_phase_before_output(w, &b->out);
    output_product(w, &b->out, step, e->inner, e->plan.inner.stride);
}

static void recurrence_block(struct we_cpu_worker *w, const struct we_cpu_block *b, const struct we_cpu_step *step)
{
    struct we_executor *e = w->executor;
    const struct we_cpu_recurrence *r = &b->recurrence;
    const struct we_cpu_matrix *const in[] = {&b->in, &b->q, &b->k, &b->v, &b->z, &b->b, &b->a};
    const uint32_t at[] = {0, r->queries_at, r->keys_at, r->values_at, r->gate_at, r->rates_at, r->decays_at};
    struct we_cpu_packing packing = stream_packing(w, &b->block->pre_norm);
    we_cpu_pack(w, &packing, 1);
    struct we_cpu_product products[WE_CPU_MOST_PRODUCTS];
    uint32_t count = 0;
    for (size_t i = 0; i < sizeof in / sizeof *in; i++)
        if (in[i]->linear)
            count += add_products(w, &packing, in[i], e->q + at[i], e->plan.q.stride, products + count);
    we_cpu_products(w, products, count);
    we_cpu_end_phase(w);
    we_cpu_recurrence(w, b);
    we_cpu_end_phase(w);
    output_product(w, &b->out, step, e->inner, e->plan.inner.stride);
}

static void feed_forward_block(struct we_cpu_worker *w, const struct we_cpu_block *b, const struct we_cpu_step *step)
{
    struct we_executor *e = w->executor;
    struct we_cpu_packing packing = stream_packing(w, &b->block->pre_norm);
    we_cpu_pack(w, &packing, 1);
    struct we_cpu_product products[WE_CPU_MOST_PRODUCTS], second[WE_CPU_MOST_SETS];
    const bool gated = b->gate.linear != NULL;
    uint32_t count = add_products(w, &packing, gated ? &b->gate : &b->up, e->up, e->plan.up.stride, products);
    if (gated)
        add_products(w, &packing, &b->up, NULL, 0, second);
    for (uint32_t i = 0; i < count; i++) {
        if (gated) {
            products[i].second = &b->up;
            products[i].second_form = second[i].form;
            products[i].second_x = second[i].x;
            products[i].second_lora_x = second[i].lora_x;
        }
        products[i].epilogue = WE_CPU_ACTIVATE;
        products[i].feed_forward = b->block->op.feed_forward;
    }
    we_cpu_products(w, products, count);
    end_phase_before_output(w, &b->down);
    output_product(w, &b->down, step, e->up, e->plan.up.stride);
}

/* ---- inputs of layers ---- */

/* From the stream as it enters the first layer, and the tokens: e->layer_inputs. */
static void layer_inputs(struct we_cpu_worker *w)
{
    struct we_executor *e = w->executor;
    const struct we_layer_inputs *l = &e->options.decoder->layer_inputs;
    const size_t stride = e->plan.layer_inputs.stride;
    const uint32_t width = e->plan.layer_inputs.width;
    struct we_cpu_packing packing = stream_packing(w, NULL);
    struct we_cpu_product products[WE_CPU_MOST_PRODUCTS];
    we_cpu_pack(w, &packing, 1);
    we_cpu_products(w, products, add_products(w, &packing, &e->plan.layer_proj, e->layer_inputs, stride, products));
    we_cpu_end_phase(w);
    for (uint32_t row; (row = we_cpu_take(w)) < e->rows.count;) {
        float *out = e->layer_inputs + row * stride, *embedded = w->scratch->layer_row;
        w->kernels->unpack_row(&e->plan.layer_embed, e->tokens[row], embedded);
        for (uint32_t i = 0; i < width; i++)
            out[i] *= l->proj_multiplier;
        for (uint32_t i = 0; l->norm.kind != WE_NORM_NONE && i < width; i += l->width)
            w->kernels->norm(&l->norm, out + i, out + i);
        for (uint32_t i = 0; i < width; i++)
            out[i] = (out[i] + embedded[i] * l->embed_multiplier) * l->multiplier;
    }
    we_cpu_end_phase(w);
}

static void layer_input_block(struct we_cpu_worker *w, const struct we_cpu_block *b, const struct we_cpu_step *step)
{
    struct we_executor *e = w->executor;
    const uint32_t width = b->up.linear->rows, index = b->block->op.layer_input->index;
    struct we_cpu_packing packing = stream_packing(w, &b->block->pre_norm);
    struct we_cpu_product products[WE_CPU_MOST_PRODUCTS];
    we_cpu_pack(w, &packing, 1);
    const uint32_t count = add_products(w, &packing, &b->up, e->inner, e->plan.inner.stride, products);
    for (uint32_t i = 0; i < count; i++) {
        products[i].epilogue = WE_CPU_ACTIVATE;
        products[i].feed_forward = &b->input_gate;
    }
    we_cpu_products(w, products, count);
    we_cpu_end_phase(w);
    for (uint32_t first; (first = we_cpu_take(w) * ROWS_AT_ONCE) < w->rows->count;)
        for (uint32_t row = first; row < first + ROWS_AT_ONCE && row < w->rows->count; row++) {
            const size_t from = w->pruned ? e->kept[row] : row;
            const float *input = e->layer_inputs + from * e->plan.layer_inputs.stride + (size_t)index * width;
            float *out = e->inner + row * e->plan.inner.stride;
            for (uint32_t i = 0; i < width; i++)
                out[i] *= input[i];
        }
    we_cpu_end_phase(w);
    output_product(w, &b->down, step, e->inner, e->plan.inner.stride);
}

/* ---- steps ---- */

/* After a block of a step that is not direct: its norm, the sum of the step, and at last the stream. */
static void combine(struct we_cpu_worker *w, const struct we_cpu_block *b, const struct we_cpu_step *step, bool first,
                    bool last)
{
    struct we_executor *e = w->executor;
    const uint32_t width = e->plan.hidden.width;
    for (uint32_t begin; (begin = we_cpu_take(w) * ROWS_AT_ONCE) < w->rows->count;)
        for (uint32_t row = begin; row < begin + ROWS_AT_ONCE && row < w->rows->count; row++) {
            size_t at = row * e->plan.hidden.stride;
            if (b->block->post_norm.kind != WE_NORM_NONE)
                w->kernels->norm(&b->block->post_norm, e->block_out + at, e->block_out + at);
            if (first)
                memcpy(e->step_sum + at, e->block_out + at, width * sizeof(float));
            else
                w->kernels->add_scaled(e->step_sum + at, 1.0f, e->block_out + at, width);
            if (!last)
                continue;
            if (step->post_norm->kind != WE_NORM_NONE)
                w->kernels->norm(step->post_norm, e->step_sum + at, e->step_sum + at);
            w->kernels->add_scaled(w->stream + at, step->residual_multiplier, e->step_sum + at, width);
            for (uint32_t i = 0; step->stream_multiplier != 0 && i < width; i++)
                w->stream[at + i] *= step->stream_multiplier;
        }
    we_cpu_end_phase(w);
}

static void logits(struct we_cpu_worker *w)
{
    struct we_executor *e = w->executor;
    const struct we_decoder *d = e->options.decoder;
    const bool gather = !w->pruned && e->kept_rows.count < e->rows.count;
    struct we_cpu_packing packing = gather ? kept_packing(w, &d->norm) : stream_packing(w, &d->norm);
    struct we_cpu_product products[WE_CPU_MOST_PRODUCTS];
    we_cpu_pack(w, &packing, 1);
    we_cpu_products(w, products, add_products(w, &packing, &e->plan.head, e->logits, d->vocab_size, products));
    we_cpu_end_phase(w);
    if (d->logit_multiplier == 1.0f && d->final_logit_softcapping == 0.0f)
        return;
    for (uint32_t row; (row = we_cpu_take(w)) < e->kept_rows.count;) {
        float *logits = e->logits + (size_t)row * d->vocab_size;
        for (uint32_t i = 0; d->logit_multiplier != 1.0f && i < d->vocab_size; i++)
            logits[i] *= d->logit_multiplier;
        if (d->final_logit_softcapping != 0.0f)
            w->kernels->softcap(d->final_logit_softcapping, d->vocab_size, logits);
    }
}

void we_cpu_walk(void *context, uint32_t index)
{
    struct we_executor *e = context;
    struct we_cpu_worker worker = {.executor = e,
                                   .kernels = e->kernels,
                                   .scratch = &e->scratch[index],
                                   .index = index,
                                   .stream = e->stream,
                                   .rows = &e->rows};
    struct we_cpu_worker *w = &worker;
    if (!we_cpu_all_settled(&e->residence))
        settle(w);
    embed(w);
    if (e->plan.layer_inputs.width)
        layer_inputs(w);
    for (uint32_t s = 0; s < e->plan.num_steps; s++) {
        const struct we_cpu_step *step = &e->plan.steps[s];
        for (uint32_t i = 0; i < step->num_blocks; i++) {
            const struct we_cpu_block *b = &e->plan.blocks[step->first_block + i];
            w->next = step->first_block + i + 1 < e->plan.num_blocks ? b + 1 : NULL;
            const bool prune = step->first_block + i == e->plan.prune_block && e->kept_rows.count < e->rows.count;
            if (b->block->kind == WE_BLOCK_ATTENTION)
                attention_block(w, b, step, prune);
            else if (b->block->kind == WE_BLOCK_LATENT_ATTENTION)
                latent_attention_block(w, b, step, prune);
            else if (b->block->kind == WE_BLOCK_SHORT_CONV)
                short_conv_block(w, b, step);
            else if (b->block->kind == WE_BLOCK_LAYER_INPUT)
                layer_input_block(w, b, step);
            else if (b->recurrence.heads)
                recurrence_block(w, b, step);
            else if (b->block->kind == WE_BLOCK_FEED_FORWARD)
                feed_forward_block(w, b, step);
            else
                we_cpu_moe(w, b);
            if (w->rows->count == 0)
                return; /* keys and values were all that was wanted */
            if (!step->direct)
                combine(w, b, step, i == 0, i + 1 == step->num_blocks);
        }
    }
    if (e->kept_rows.count > 0)
        logits(w);
}
