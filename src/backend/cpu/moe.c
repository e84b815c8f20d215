/* Mixture of experts: a router chooses experts for each row; rows are grouped by expert, so that each chosen expert's weights
 * are read once for all its rows, and those of the others not at all.
 *
 * Phases: norms, router and choice of each row | grouping, by one worker | packing | gate and up products | packing | down
 * products | sums. Shared experts, which all rows pass, take part in the same phases. A row's choice and the order of its
 * sum do not depend on the rows beside it. Where experts read something narrower than the stream (latent), a product comes
 * before the first packing, and one after the sums. */
#include "backend/cpu/executor.h"

#include <math.h>

enum { ROWS_AT_ONCE = 8, PACK_ROWS = WE_CPU_MOST_BLOCK_ROWS };

/* ---- router ---- */

/* Scores of all experts, in place of their logits. */
static void score_experts(const struct we_moe *moe, float *scores)
{
    const uint32_t count = moe->num_experts;
    float most = scores[0], sum = 0;
    for (uint32_t i = 1; i < count; i++)
        most = scores[i] > most ? scores[i] : most;
    for (uint32_t i = 0; i < count; i++) {
        scores[i] = moe->score == WE_ROUTER_SIGMOID ? 1 / (1 + expf(-scores[i])) : expf(scores[i] - most);
        sum += scores[i];
    }
    for (uint32_t i = 0; moe->score == WE_ROUTER_SOFTMAX && i < count; i++)
        scores[i] /= sum;
}

/* The greatest of [begin, end) that is not NaN-like chosen before; ties take the lowest. */
static uint32_t greatest_of(const float *values, uint32_t begin, uint32_t end)
{
    uint32_t best = begin;
    for (uint32_t i = begin + 1; i < end; i++)
        if (values[i] > values[best])
            best = i;
    return best;
}

/* Leaves the experts of the best groups; the others' ranks become 0, as mlx-lm has it. */
static void keep_groups(const struct we_moe *moe, float *scores, float *rank)
{
    const uint32_t size = moe->num_experts / moe->num_groups;
    float sums[WE_CPU_MOST_EXPERT_GROUPS];
    bool kept[WE_CPU_MOST_EXPERT_GROUPS] = {false};
    for (uint32_t g = 0; g < moe->num_groups; g++) {
        const uint32_t begin = g * size, best = greatest_of(rank, begin, begin + size);
        float second = -INFINITY;
        for (uint32_t i = begin; i < begin + size; i++)
            second = i != best && rank[i] > second ? rank[i] : second;
        sums[g] = moe->best_of_group ? rank[best] : rank[best] + second;
    }
    for (uint32_t k = 0; k < moe->top_groups; k++) {
        const uint32_t best = greatest_of(sums, 0, moe->num_groups);
        kept[best] = true;
        sums[best] = -INFINITY;
    }
    for (uint32_t i = 0; i < moe->num_experts; i++) {
        rank[i] = kept[i / size] ? rank[i] : 0;
        scores[i] = kept[i / size] || !moe->best_of_group ? scores[i] : 0;
    }
}

/* The best experts and their weights, from the logits; rank: scratch (num_experts). */
static void choose(const struct we_moe *moe, float *scores, float *rank, uint32_t *chosen, float *weights)
{
    const struct we_vector *bias = &moe->correction_bias;
    score_experts(moe, scores);
    for (uint32_t i = 0; i < moe->num_experts; i++)
        rank[i] = scores[i] + (bias->data ? we_load_float(bias->data, bias->dtype, i) : 0);
    if (moe->num_groups > 1 && moe->top_groups < moe->num_groups)
        keep_groups(moe, scores, rank);
    float sum = 0;
    for (uint32_t k = 0; k < moe->top_k; k++) {
        const uint32_t best = greatest_of(rank, 0, moe->num_experts);
        chosen[k] = best;
        weights[k] = scores[best];
        rank[best] = -INFINITY;
        sum += scores[best];
    }
    const float divisor = moe->norm_topk_prob ? sum + moe->norm_eps : 1;
    for (uint32_t k = 0; k < moe->top_k; k++)
        weights[k] = weights[k] / divisor * moe->routed_scaling_factor;
}

/* Each choice's weight is its share among the logits near it (Liu et al., 2023, without its noise). */
static void choose_sparsemixer(const struct we_moe *moe, const float *logits, float *rank, uint32_t *chosen, float *weights)
{
    for (uint32_t i = 0; i < moe->num_experts; i++)
        rank[i] = logits[i];
    for (uint32_t k = 0; k < moe->top_k; k++) {
        const uint32_t best = greatest_of(rank, 0, moe->num_experts);
        const float top = rank[best];
        float sum = 0;
        for (uint32_t i = 0; i < moe->num_experts; i++) {
            const float size = fabsf(logits[i]) > top ? fabsf(logits[i]) : top;
            if ((top - logits[i]) / size <= 2 * moe->jitter)
                sum += expf(rank[i] - top); /* 0 for those chosen before */
        }
        chosen[k] = best;
        weights[k] = moe->routed_scaling_factor / sum;
        rank[best] = -INFINITY;
    }
}

static const uint8_t *pack_f32(struct we_cpu_worker *w, const struct we_cpu_matrix *m, const float *const *rows, uint32_t count)
{
    const struct we_cpu_form_kernels *kernels = &w->kernels->forms[m->form[0]];
    const size_t row_bytes = kernels->row_bytes(m->linear->in);
    for (uint32_t i = 0; i < count; i++)
        kernels->pack(rows + i, 1, m->linear->in, w->scratch->router_x + i * row_bytes);
    return w->scratch->router_x;
}

/* out (count, rows of the matrix): always exact, so that precision does not change the choice of experts more than need be. */
static void multiply_exact(struct we_cpu_worker *w, const struct we_cpu_matrix *m, const float *const *rows, uint32_t count,
                           float *out)
{
    const struct we_cpu_form_kernels *kernels = &w->kernels->forms[m->form[0]];
    const uint8_t *x = pack_f32(w, m, rows, count);
    kernels->multiply(m, 0, m->linear->rows, x, kernels->row_bytes(m->linear->in), count, out, m->linear->rows,
                      w->scratch->panel);
}

/* Rows [first, first + count): normed into block_out, their experts chosen. */
static void route(struct we_cpu_worker *w, const struct we_cpu_block *b, uint32_t first, uint32_t count)
{
    struct we_executor *e = w->executor;
    const struct we_moe *moe = b->block->op.moe;
    struct we_cpu_scratch *s = w->scratch;
    const float *rows[ROWS_AT_ONCE];
    float gates[ROWS_AT_ONCE];
    for (uint32_t i = 0; i < count; i++) {
        const size_t at = (first + i) * e->plan.hidden.stride;
        if (b->block->pre_norm.kind != WE_NORM_NONE)
            w->kernels->norm(&b->block->pre_norm, w->stream + at, e->block_out + at);
        else
            memcpy(e->block_out + at, w->stream + at, e->plan.hidden.width * sizeof(float));
        rows[i] = e->block_out + at;
    }
    const float *others[ROWS_AT_ONCE];
    for (uint32_t i = 0; moe->router_norm.kind != WE_NORM_NONE && i < count; i++) {
        float *other = s->normed + i * e->plan.normed.stride;
        w->kernels->norm(&moe->router_norm, w->stream + (first + i) * e->plan.hidden.stride, other);
        others[i] = other;
    }
    multiply_exact(w, &b->router, moe->router_norm.kind != WE_NORM_NONE ? others : rows, count, s->router);
    for (uint32_t i = 0; i < count; i++) {
        float *scores = s->router + (size_t)i * moe->num_experts;
        const size_t at = (size_t)(first + i) * moe->top_k;
        if (moe->score == WE_ROUTER_SPARSEMIXER)
            choose_sparsemixer(moe, scores, s->rank, e->moe.chosen + at, e->moe.weights + at);
        else
            choose(moe, scores, s->rank, e->moe.chosen + at, e->moe.weights + at);
        for (uint32_t k = 0; moe->expert_scale.data && k < moe->top_k; k++)
            e->moe.weights[at + k] *= we_load_float(moe->expert_scale.data, moe->expert_scale.dtype, e->moe.chosen[at + k]);
    }
    if (b->shared_gate.linear)
        multiply_exact(w, &b->shared_gate, rows, count, gates);
    for (uint32_t i = 0; i < count; i++)
        e->moe.shared_weights[first + i] = b->shared_gate.linear ? 1 / (1 + expf(-gates[i])) : 1;
}

/* ---- groups ---- */

/* Where the rows of a group begin in a form's buffer: at a block of their own. */
static const uint8_t *packed_group(const struct we_cpu_worker *w, const struct we_cpu_packed *packed, enum we_cpu_form form,
                                   const struct we_cpu_expert_group *group, uint32_t width)
{
    return packed->x[form] + group->place * w->kernels->forms[form].row_bytes(width);
}

/* Sorts the rows of a set by expert: slots, and a group for each expert that has any. */
static void group_set(struct we_executor *e, const struct we_moe *moe, const struct we_cpu_set *set)
{
    struct we_cpu_moe *m = &e->moe;
    uint32_t *next = m->counts;
    memset(next, 0, moe->num_experts * sizeof *next);
    const uint32_t begin = set->first * moe->top_k, end = (set->first + set->count) * moe->top_k;
    for (uint32_t i = begin; i < end; i++)
        next[m->chosen[i]]++;
    uint32_t slot = begin, place = m->num_groups ? m->groups[m->num_groups - 1].place : 0;
    if (m->num_groups)
        place += (m->groups[m->num_groups - 1].count + PACK_ROWS - 1) / PACK_ROWS * PACK_ROWS;
    for (uint32_t expert = 0; expert < moe->num_experts; expert++) {
        const uint32_t count = next[expert];
        next[expert] = slot;
        if (count == 0)
            continue;
        m->groups[m->num_groups++] = (struct we_cpu_expert_group){set->phase, expert, slot, count, place};
        slot += count;
        place += (count + PACK_ROWS - 1) / PACK_ROWS * PACK_ROWS;
    }
    for (uint32_t i = begin; i < end; i++) {
        m->slots[i] = next[m->chosen[i]]++;
        m->slot_rows[m->slots[i]] = i / moe->top_k;
    }
}

static void make_products(const struct we_cpu_worker *w, const struct we_cpu_block *b)
{
    struct we_executor *e = w->executor;
    struct we_cpu_moe *m = &e->moe;
    const struct we_moe *moe = b->block->op.moe;
    const uint32_t stream = b->up.linear->in, inner = b->up.linear->rows;
    for (uint32_t g = 0; g < m->num_groups; g++) {
        const struct we_cpu_expert_group *group = &m->groups[g];
        const struct we_cpu_matrix *first = b->gate.linear ? &b->gate : &b->up;
        const enum we_cpu_form form = first->form[group->phase], down = b->down.form[group->phase];
        struct we_cpu_product *up = &m->ups[g];
        *up = (struct we_cpu_product){.matrix = first,
                                      .first = group->expert * first->linear->next,
                                      .form = form,
                                      .x = packed_group(w, &m->x, form, group, stream),
                                      .lora_x = we_cpu_lora_x(w, first, &m->x, group->phase, NULL, group->place, stream),
                                      .phase = group->phase,
                                      .num_rows = group->count,
                                      .epilogue = WE_CPU_ACTIVATE,
                                      .feed_forward = &moe->experts,
                                      .out = m->inner + group->slot * e->plan.expert_inner.stride,
                                      .out_stride = e->plan.expert_inner.stride};
        if (b->gate.linear) {
            up->second = &b->up;
            up->second_first = group->expert * b->up.linear->next;
            up->second_form = b->up.form[group->phase];
            up->second_x = packed_group(w, &m->x, up->second_form, group, stream);
            up->second_lora_x = we_cpu_lora_x(w, &b->up, &m->x, group->phase, NULL, group->place, stream);
        }
        m->downs[g] =
            (struct we_cpu_product){.matrix = &b->down,
                                    .first = group->expert * b->down.linear->next,
                                    .form = down,
                                    .x = packed_group(w, &m->inner_x, down, group, inner),
                                    .lora_x = we_cpu_lora_x(w, &b->down, &m->inner_x, group->phase, NULL, group->place, inner),
                                    .phase = group->phase,
                                    .num_rows = group->count,
                                    .epilogue = WE_CPU_STORE,
                                    .out = m->out + group->slot * e->plan.expert_stream.stride,
                                    .out_stride = e->plan.expert_stream.stride};
    }
}

/* The shared experts' products follow those of the groups. */
static uint32_t add_shared(const struct we_cpu_worker *w, const struct we_cpu_block *b)
{
    struct we_executor *e = w->executor;
    struct we_cpu_moe *m = &e->moe;
    if (b->shared_up.linear == NULL)
        return m->num_groups;
    for (uint32_t s = 0; s < w->rows->num_sets; s++) {
        const struct we_cpu_set *set = &w->rows->sets[s];
        const bool gated = b->shared_gate_proj.linear != NULL;
        const struct we_cpu_matrix *first = gated ? &b->shared_gate_proj : &b->shared_up;
        const enum we_cpu_form forms[] = {first->form[set->phase], b->shared_up.form[set->phase],
                                          b->shared_down.form[set->phase]};
        const uint32_t widths[] = {e->plan.hidden.width, e->plan.hidden.width, b->shared_up.linear->rows};
        const uint8_t *x[3];
        for (int i = 0; i < 3; i++) {
            const struct we_cpu_form_kernels *kernels = &w->kernels->forms[forms[i]];
            x[i] = (i < 2 ? &e->x : &e->inner_x)->x[forms[i]] +
                   we_cpu_place(set, kernels->block_rows) * kernels->row_bytes(widths[i]);
        }
        m->ups[m->num_groups + s] =
            (struct we_cpu_product){.matrix = first,
                                    .second = gated ? &b->shared_up : NULL,
                                    .form = forms[0],
                                    .second_form = forms[1],
                                    .x = x[0],
                                    .second_x = x[1],
                                    .lora_x = we_cpu_lora_x(w, first, &e->x, set->phase, set, 0, widths[0]),
                                    .second_lora_x =
                                        gated ? we_cpu_lora_x(w, &b->shared_up, &e->x, set->phase, set, 0, widths[1]) : NULL,
                                    .phase = set->phase,
                                    .num_rows = set->count,
                                    .epilogue = WE_CPU_ACTIVATE,
                                    .feed_forward = &b->block->op.moe->shared,
                                    .out = e->inner + set->first * e->plan.inner.stride,
                                    .out_stride = e->plan.inner.stride};
        m->downs[m->num_groups + s] =
            (struct we_cpu_product){.matrix = &b->shared_down,
                                    .form = forms[2],
                                    .x = x[2],
                                    .lora_x = we_cpu_lora_x(w, &b->shared_down, &e->inner_x, set->phase, set, 0, widths[2]),
                                    .phase = set->phase,
                                    .num_rows = set->count,
                                    .epilogue = WE_CPU_STORE,
                                    .out = e->block_out + set->first * e->plan.hidden.stride,
                                    .out_stride = e->plan.hidden.stride};
    }
    return m->num_groups + w->rows->num_sets;
}

/* ---- packing ---- */

/* Rows [begin, begin + count) of a group: of the stream, or of what came out of gate and up. */
static void pack_group(const struct we_cpu_worker *w, const struct we_cpu_block *b, const struct we_cpu_expert_group *group,
                       uint32_t begin, uint32_t count, bool inner, uint32_t width, const bool *forms)
{
    const struct we_executor *e = w->executor;
    const struct we_cpu_packed *to = inner ? &e->moe.inner_x : &e->moe.x;
    const float *rows[PACK_ROWS], *stream = b->latent_in.linear ? e->moe.latent : e->block_out;
    const size_t stride = b->latent_in.linear ? e->plan.latent.stride : e->plan.hidden.stride;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t slot = group->slot + begin + i;
        rows[i] = inner ? e->moe.inner + slot * e->plan.expert_inner.stride : stream + e->moe.slot_rows[slot] * stride;
    }
    for (int form = 0; form < WE_CPU_FORM_COUNT; form++) {
        if (!forms[form])
            continue;
        const struct we_cpu_form_kernels *kernels = &w->kernels->forms[form];
        const size_t row_bytes = kernels->row_bytes(width);
        uint8_t *out = to->x[form] + (group->place + begin) * row_bytes;
        for (uint32_t i = 0; i < count; i += kernels->block_rows, out += kernels->block_rows * row_bytes)
            kernels->pack(rows + i, count - i < kernels->block_rows ? count - i : kernels->block_rows, width, out);
    }
}

static void pack_groups(struct we_cpu_worker *w, const struct we_cpu_block *b, bool inner)
{
    const struct we_executor *e = w->executor;
    const uint32_t width = inner ? b->up.linear->rows : b->up.linear->in;
    uint32_t begin = 0, g = 0;
    for (uint32_t piece = we_cpu_take(w);; piece = we_cpu_take(w)) {
        uint32_t pieces = 0;
        for (; g < e->moe.num_groups; g++, begin += pieces) {
            pieces = (e->moe.groups[g].count + PACK_ROWS - 1) / PACK_ROWS;
            if (piece - begin < pieces)
                break;
        }
        if (g == e->moe.num_groups)
            break;
        const struct we_cpu_expert_group *group = &e->moe.groups[g];
        const uint32_t first = (piece - begin) * PACK_ROWS, left = group->count - first;
        pack_group(w, b, group, first, left < PACK_ROWS ? left : PACK_ROWS, inner, width,
                   inner ? b->expert_inner_forms[group->phase] : b->expert_forms[group->phase]);
    }
    we_cpu_end_phase(w);
}

/* All rows, for the shared experts, and for what the others read in place of the stream. */
static void pack_shared(struct we_cpu_worker *w, const struct we_cpu_block *b, bool inner)
{
    struct we_executor *e = w->executor;
    if (b->shared_up.linear == NULL && (inner || b->latent_in.linear == NULL))
        return;
    struct we_cpu_packing packing = {.rows = w->rows,
                                     .from = inner ? e->inner : e->block_out,
                                     .stride = inner ? e->plan.inner.stride : e->plan.hidden.stride,
                                     .width = inner ? b->shared_up.linear->rows : e->plan.hidden.width,
                                     .forms = inner ? e->plan.inner_forms : e->plan.hidden_forms,
                                     .shared = inner ? &e->inner_x : &e->x};
    we_cpu_pack(w, &packing, 1);
}

/* ---- latent: experts that read and give something narrower than the stream ---- */

/* Products of all rows, packed in `x`; ends the phase. */
static void multiply_all(struct we_cpu_worker *w, const struct we_cpu_matrix *matrix, const struct we_cpu_packed *x,
                         enum we_cpu_epilogue epilogue, float *out, size_t out_stride)
{
    struct we_cpu_product products[WE_CPU_MOST_SETS];
    for (uint32_t s = 0; s < w->rows->num_sets; s++) {
        const struct we_cpu_set *set = &w->rows->sets[s];
        const enum we_cpu_form form = matrix->form[set->phase];
        const struct we_cpu_form_kernels *kernels = &w->kernels->forms[form];
        products[s] = (struct we_cpu_product){.matrix = matrix,
                                              .form = form,
                                              .x = x->x[form] + we_cpu_place(set, kernels->block_rows) *
                                                                    kernels->row_bytes(matrix->linear->in),
                                              .lora_x = we_cpu_lora_x(w, matrix, x, set->phase, set, 0, matrix->linear->in),
                                              .phase = set->phase,
                                              .num_rows = set->count,
                                              .epilogue = epilogue,
                                              .multiplier = 1,
                                              .out = out + set->first * out_stride,
                                              .out_stride = out_stride};
    }
    we_cpu_products(w, products, w->rows->num_sets);
    we_cpu_end_phase(w);
}

/* The sums of the experts, on their way back into the stream. */
static void leave_latent(struct we_cpu_worker *w, const struct we_cpu_block *b)
{
    struct we_executor *e = w->executor;
    struct we_cpu_packing packing = {.rows = w->rows,
                                     .from = e->moe.latent,
                                     .stride = e->plan.latent.stride,
                                     .width = b->latent_out.linear->in,
                                     .forms = e->plan.inner_forms,
                                     .shared = &e->inner_x};
    we_cpu_pack(w, &packing, 1);
    multiply_all(w, &b->latent_out, &e->inner_x, WE_CPU_ADD, e->block_out, e->plan.hidden.stride);
}

/* ---- the whole ---- */

static void add_outputs(struct we_cpu_worker *w, const struct we_cpu_block *b)
{
    struct we_executor *e = w->executor;
    const bool latent = b->latent_in.linear != NULL;
    const uint32_t width = e->plan.hidden.width, expert_width = b->down.linear->rows, top_k = b->block->op.moe->top_k;
    for (uint32_t first; (first = we_cpu_take(w) * ROWS_AT_ONCE) < w->rows->count;)
        for (uint32_t row = first; row < first + ROWS_AT_ONCE && row < w->rows->count; row++) {
            float *out = e->block_out + row * e->plan.hidden.stride;
            const float shared = e->moe.shared_weights[row];
            if (b->shared_up.linear == NULL)
                memset(out, 0, width * sizeof *out);
            for (uint32_t i = 0; b->shared_gate.linear && i < width; i++)
                out[i] *= shared;
            if (latent)
                out = memset(e->moe.latent + row * e->plan.latent.stride, 0, expert_width * sizeof *out);
            for (uint32_t k = 0; k < top_k; k++) {
                const size_t choice = (size_t)row * top_k + k;
                w->kernels->add_scaled(out, e->moe.weights[choice],
                                       e->moe.out + e->moe.slots[choice] * e->plan.expert_stream.stride, expert_width);
            }
        }
    we_cpu_end_phase(w);
    if (latent)
        leave_latent(w, b);
}

void we_cpu_moe(struct we_cpu_worker *w, const struct we_cpu_block *b)
{
    struct we_executor *e = w->executor;
    for (uint32_t first; (first = we_cpu_take(w) * ROWS_AT_ONCE) < w->rows->count;)
        route(w, b, first, w->rows->count - first < ROWS_AT_ONCE ? w->rows->count - first : ROWS_AT_ONCE);
    we_cpu_end_phase(w);
    if (w->index == 0) {
        e->moe.num_groups = 0;
        for (uint32_t s = 0; s < w->rows->num_sets; s++)
            group_set(e, b->block->op.moe, &w->rows->sets[s]);
        make_products(w, b);
        e->moe.num_products = add_shared(w, b);
    }
    we_cpu_end_phase(w);
    pack_shared(w, b, false);
    if (b->latent_in.linear)
        multiply_all(w, &b->latent_in, &e->x, WE_CPU_STORE, e->moe.latent, e->plan.latent.stride);
    pack_groups(w, b, false);
    we_cpu_products(w, e->moe.ups, e->moe.num_products);
    we_cpu_end_phase(w);
    pack_shared(w, b, true);
    pack_groups(w, b, true);
    we_cpu_products(w, e->moe.downs, e->moe.num_products);
    we_cpu_end_phase(w);
    add_outputs(w, b);
}
