#include "backend/cpu/plan.h"

#include <stdlib.h>

enum { MOST_MATRICES = 8 }; /* of a block */

static we_status check_vector(const struct we_vector *vector, const char *what, struct we_error *error)
{
    if (vector->data && !we_dtype_is_float(vector->dtype))
        return we_error_set(error, WE_UNSUPPORTED, "%s of type %s; the CPU back-end computes with F32, F16 and BF16", what,
                            we_dtype_name(vector->dtype));
    return WE_OK;
}

/* `width`: what the norm must be of, if it is there. */
static we_status check_norm(const struct we_norm *norm, uint32_t width, const char *what, struct we_error *error)
{
    if (norm->kind == WE_NORM_NONE)
        return WE_OK;
    if (norm->kind != WE_NORM_RMS && norm->kind != WE_NORM_LAYER)
        return we_error_set(error, WE_UNSUPPORTED, "%s: the CPU back-end has no norm of kind %d", what, (int)norm->kind);
    if (norm->width != width)
        return we_error_set(error, WE_UNSUPPORTED, "%s over %u values; the CPU back-end has it over %u", what, norm->width,
                            width);
    we_status status = check_vector(&norm->weight, what, error);
    return status == WE_OK ? check_vector(&norm->bias, what, error) : status;
}

/* Of queries or keys: over each head, or over all of them. */
static we_status check_head_norm(const struct we_attention *a, const struct we_norm *norm, uint32_t heads, const char *what,
                                 struct we_error *error)
{
    const bool whole = norm->width == heads * a->head_dim && heads > 1;
    if (norm->kind != WE_NORM_NONE && whole && a->norm_after_rope)
        return we_error_set(error, WE_UNSUPPORTED, "%s over all heads after rope; the CPU back-end has it before", what);
    const struct we_vector *vectors[] = {&norm->weight, &norm->bias};
    for (int i = 0; i < 2; i++)
        if (norm->kind != WE_NORM_NONE && vectors[i]->data && vectors[i]->length != norm->width &&
            (whole || vectors[i]->length != heads * norm->width))
            return we_error_set(error, WE_INVALID_FORMAT, "%s has %u weights, for %u heads of %u", what, vectors[i]->length,
                                heads, a->head_dim);
    return check_norm(norm, whole ? norm->width : a->head_dim, what, error);
}

/* An adapter's A, which reads the same activations as the matrix, in a form of its own. */
static we_status make_lora(const struct we_load_options *options, struct we_cpu_plan *plan, struct we_cpu_matrix *m,
                           struct we_error *error)
{
    struct we_cpu_matrix *a = &plan->loras[plan->num_loras++];
    we_status status = we_cpu_matrix_init(a, &m->linear->lora->a, error);
    if (status == WE_OK && a->linear->in != m->linear->in)
        status = we_error_set(error, WE_INVALID_FORMAT, "%s: an adapter for %u inputs, where there are %u",
                              m->linear->name ? m->linear->name : "a matrix", a->linear->in, m->linear->in);
    for (enum we_phase phase = WE_PHASE_PREFILL; status == WE_OK && phase <= WE_PHASE_DECODE; phase++)
        a->form[phase] = we_cpu_form_of(plan->kernels, a, options->precision, phase);
    m->lora_a = a;
    m->lora_rows = m->linear;
    return status;
}

/* A matrix that must be there, of a shape. rows 0: any. */
static we_status make_matrix(const struct we_load_options *options, struct we_cpu_plan *plan, struct we_cpu_matrix *m,
                             const struct we_linear *linear, uint32_t rows, uint32_t in, const char *what,
                             struct we_error *error)
{
    if (linear->data == NULL)
        return we_error_set(error, WE_UNSUPPORTED, "the CPU back-end has no such block without %s", what);
    we_status status = we_cpu_matrix_init(m, linear, error);
    if (status == WE_OK && ((rows && linear->rows != rows) || linear->in != in))
        status = we_error_set(error, WE_INVALID_FORMAT, "%s: %s of %u x %u, where %u x %u was expected",
                              linear->name ? linear->name : "the decoder", what, linear->rows, linear->in,
                              rows ? rows : linear->rows, in);
    for (enum we_phase phase = WE_PHASE_PREFILL; status == WE_OK && phase <= WE_PHASE_DECODE; phase++)
        m->form[phase] = we_cpu_form_of(plan->kernels, m, options->precision, phase);
    return status == WE_OK && linear->lora ? make_lora(options, plan, m, error) : status;
}

/* A matrix that products read: with activations in its forms. */
static void want(struct we_cpu_plan *plan, struct we_cpu_matrix *m, bool wanted[2][WE_CPU_FORM_COUNT])
{
    plan->weights[plan->num_weights++] = m;
    wanted[WE_PHASE_PREFILL][m->form[WE_PHASE_PREFILL]] = true;
    wanted[WE_PHASE_DECODE][m->form[WE_PHASE_DECODE]] = true;
    if (m->lora_a) {
        wanted[WE_PHASE_PREFILL][m->lora_a->form[WE_PHASE_PREFILL]] = true;
        wanted[WE_PHASE_DECODE][m->lora_a->form[WE_PHASE_DECODE]] = true;
    }
}

static uint32_t rope_slot(struct we_cpu_plan *plan, const struct we_rope *rope)
{
    for (uint32_t i = 0; i < plan->num_ropes; i++) {
        const struct we_rope *r = plan->ropes[i];
        if (r->rotary_dim == rope->rotary_dim && r->ntk_length == rope->ntk_length && r->inv_freq[0] == rope->inv_freq[0] &&
            r->inv_freq[1] == rope->inv_freq[1] && r->mscale[0] == rope->mscale[0] && r->mscale[1] == rope->mscale[1])
            return i;
    }
    plan->ropes[plan->num_ropes] = rope;
    return plan->num_ropes++;
}

static void widen(struct we_cpu_shape *shape, uint32_t width)
{
    if (width > shape->width)
        shape->width = width;
}

static we_status check_attention(const struct we_attention *a, struct we_error *error)
{
    uint32_t heads = a->num_attention_heads, kv_heads = a->num_key_value_heads, v_dim = a->v_head_dim;
    if (heads == 0 || kv_heads == 0 || heads % kv_heads != 0 || a->head_dim == 0 || v_dim == 0 ||
        (uint64_t)heads * a->head_dim > WE_CPU_MAX_WIDTH || (uint64_t)heads * v_dim > WE_CPU_MAX_WIDTH)
        return we_error_set(error, WE_INVALID_FORMAT, "attention with %u heads, %u key/value heads, head size %u and %u", heads,
                            kv_heads, a->head_dim, v_dim);
    if (a->rope.rotary_dim > a->head_dim || a->rope.rotary_dim % 2 != 0)
        return we_error_set(error, WE_INVALID_FORMAT, "rotary embedding of %u values in heads of %u", a->rope.rotary_dim,
                            a->head_dim);
    if (a->rope.rotary_dim && (a->rope.inv_freq[0] == NULL || a->rope.inv_freq[1] == NULL))
        return we_error_set(error, WE_INVALID_FORMAT, "rotary embedding without frequencies");
    if (a->mask != WE_MASK_CAUSAL && a->mask != WE_MASK_SLIDING)
        return we_error_set(error, WE_UNSUPPORTED, "the CPU back-end has no attention mask of kind %d", (int)a->mask);
    if (a->mask == WE_MASK_SLIDING && a->window == 0)
        return we_error_set(error, WE_INVALID_FORMAT, "attention with a sliding window of 0 positions");
    if (a->q_growth != 0.0f && a->q_period == 0)
        return we_error_set(error, WE_INVALID_FORMAT, "queries that grow with their position every 0 positions");
    if (a->logit_softcapping < 0.0f)
        return we_error_set(error, WE_INVALID_FORMAT, "attention scores capped at %g", (double)a->logit_softcapping);
    if (a->sinks.data && a->sinks.length != heads)
        return we_error_set(error, WE_INVALID_FORMAT, "%u attention sinks for %u heads", a->sinks.length, heads);
    if (a->shares_kv && (a->k_proj.data || a->v_proj.data))
        return we_error_set(error, WE_INVALID_FORMAT,
                            "attention with another block's keys and values has projections of its own");
    if (!a->shares_kv && a->v_proj.data == NULL && a->head_dim != v_dim)
        return we_error_set(error, WE_INVALID_FORMAT, "keys of %u values as values of %u", a->head_dim, v_dim);
    we_status status = check_vector(&a->sinks, "attention sinks", error);
    if (status == WE_OK)
        status = check_norm(&a->v_norm, v_dim, "the norm of values", error);
    if (status == WE_OK)
        status = check_head_norm(a, &a->q_norm, heads, "the norm of queries", error);
    return status == WE_OK ? check_head_norm(a, &a->k_norm, kv_heads, "the norm of keys", error) : status;
}

/* seen: positions of the window of its group that it needs at least; 0: all. */
static we_status plan_state(const struct we_kv_layout *layout, uint32_t k_width, uint32_t v_width, uint32_t seen,
                            struct we_cpu_block *b, struct we_error *error)
{
    const uint32_t state = b->block->state;
    if (state >= layout->num_entries)
        return we_error_set(error, WE_UNSUPPORTED, "the CPU back-end has no attention without a KV cache of its own");
    const struct we_kv_entry *entry = &layout->entries[state];
    uint32_t window = layout->groups[entry->group].window;
    if (entry->k_width != k_width || entry->v_width != v_width || (window && (seen == 0 || seen > window)))
        return we_error_set(error, WE_INVALID_ARGUMENT, "the KV layout is not that of this decoder (entry %u)", state);
    b->group = entry->group;
    b->k_offset = 0;
    for (uint32_t i = 0; i < layout->num_entries; i++) {
        const struct we_kv_entry *other = &layout->entries[i];
        if (other->group == entry->group && other->index < entry->index)
            b->k_offset += ((size_t)other->k_width + other->v_width) * WE_PAGE_POSITIONS;
    }
    b->v_offset = b->k_offset + (size_t)k_width * WE_PAGE_POSITIONS;
    if (b->v_offset + (size_t)v_width * WE_PAGE_POSITIONS > layout->groups[entry->group].page_values)
        return we_error_set(error, WE_INVALID_ARGUMENT, "the KV layout's pages are too small for its entries (entry %u)",
                            state);
    return WE_OK;
}

/* What attention.c needs of the heads. rope: as it lives in the decoder. */
static void plan_heads(struct we_cpu_plan *plan, struct we_cpu_block *b, const struct we_attention *a,
                       const struct we_rope *rope)
{
    b->attention = a;
    plan->max_head_dim = a->head_dim > plan->max_head_dim ? a->head_dim : plan->max_head_dim;
    plan->max_v_head_dim = a->v_head_dim > plan->max_v_head_dim ? a->v_head_dim : plan->max_v_head_dim;
    plan->max_pairs = rope->rotary_dim / 2 > plan->max_pairs ? rope->rotary_dim / 2 : plan->max_pairs;
    b->rope = rope_slot(plan, rope);
}

/* Rows of `width` values, in `inner` or elsewhere, are packed in inner_forms. */
static void plan_inner(struct we_cpu_plan *plan, uint32_t width)
{
    plan->inner_in = width > plan->inner_in ? width : plan->inner_in;
}

static we_status plan_attention(const struct we_load_options *options, struct we_cpu_plan *plan, struct we_cpu_block *b,
                                struct we_error *error)
{
    const struct we_attention *a = b->block->op.attention;
    const uint32_t hidden = options->decoder->hidden_size;
    we_status status = check_attention(a, error);
    if (status != WE_OK)
        return status;
    if (options->layout->dtype == WE_BF16 && a->head_dim % 2)
        return we_error_set(error, WE_UNSUPPORTED,
                            "heads of %u values, which is odd; the CPU back-end has them with a cache of F32 only (precision "
                            "exact)",
                            a->head_dim);
    uint32_t q_width = a->num_attention_heads * a->head_dim, out_width = a->num_attention_heads * a->v_head_dim;
    uint32_t k_width = a->num_key_value_heads * a->head_dim, v_width = a->num_key_value_heads * a->v_head_dim;
    if ((status = make_matrix(options, plan, &b->q, &a->q_proj, q_width, hidden, "q_proj", error)) != WE_OK ||
        (!a->shares_kv &&
         (status = make_matrix(options, plan, &b->k, &a->k_proj, k_width, hidden, "k_proj", error)) != WE_OK) ||
        (a->v_proj.data &&
         (status = make_matrix(options, plan, &b->v, &a->v_proj, v_width, hidden, "v_proj", error)) != WE_OK) ||
        (status = make_matrix(options, plan, &b->o, &a->o_proj, hidden, out_width, "o_proj", error)) != WE_OK ||
        (a->gate_proj.data &&
         (status = make_matrix(options, plan, &b->head_gate, &a->gate_proj, out_width, hidden, "gate_proj", error)) != WE_OK) ||
        (status = plan_state(options->layout, k_width, v_width, a->mask == WE_MASK_SLIDING ? a->window : 0, b, error)) != WE_OK)
        return status;
    if (b->head_gate.linear) {
        want(plan, &b->head_gate, plan->hidden_forms);
        widen(&plan->gate, out_width);
    }
    want(plan, &b->q, plan->hidden_forms);
    if (b->k.linear)
        want(plan, &b->k, plan->hidden_forms);
    if (b->v.linear)
        want(plan, &b->v, plan->hidden_forms);
    want(plan, &b->o, plan->inner_forms);
    widen(&plan->q, q_width);
    widen(&plan->k, k_width);
    widen(&plan->v, v_width);
    widen(&plan->inner, out_width);
    plan_inner(plan, out_width);
    plan_heads(plan, b, a, &a->rope);
    return WE_OK;
}

/* Matrices of all heads: a view for each. */
static we_status make_heads(const struct we_load_options *options, struct we_cpu_plan *plan, struct we_cpu_matrix *m,
                            const struct we_linear *linear, uint32_t heads, uint32_t rows, uint32_t in, const char *what,
                            struct we_error *error)
{
    we_status status = make_matrix(options, plan, m, linear, rows, in, what, error);
    if (status == WE_OK && (linear->count != heads || linear->block != 0))
        return we_error_set(error, WE_INVALID_FORMAT, "%s: %u heads, where %u were expected",
                            linear->name ? linear->name : what, linear->count, heads);
    if (status == WE_OK) {
        want(plan, m, plan->head_forms);
        plan->max_head_in = in > plan->max_head_in ? in : plan->max_head_in;
    }
    return status;
}

static we_status check_latent(const struct we_latent_attention *a, enum we_dtype kv_dtype, struct we_error *error)
{
    const uint32_t heads = a->num_attention_heads, most = WE_CPU_MAX_WIDTH / (heads ? heads : 1);
    if (heads == 0 || a->nope_head_dim == 0 || a->v_head_dim == 0 || a->latent_dim == 0 || a->nope_head_dim > most ||
        a->v_head_dim > most || a->latent_dim > most || a->rope_head_dim > most - a->latent_dim ||
        a->rope_head_dim > most - a->nope_head_dim)
        return we_error_set(error, WE_INVALID_FORMAT,
                            "latent attention with %u heads of %u and %u values, values of %u, and a latent of %u", heads,
                            a->nope_head_dim, a->rope_head_dim, a->v_head_dim, a->latent_dim);
    if (a->rope_head_dim % 2 != 0 || a->rope.rotary_dim != a->rope_head_dim ||
        (a->rope.rotary_dim && (a->rope.inv_freq[0] == NULL || a->rope.inv_freq[1] == NULL)))
        return we_error_set(error, WE_INVALID_FORMAT, "rotary embedding of %u values, where %u, an even number, were expected",
                            a->rope.rotary_dim, a->rope_head_dim);
    if (kv_dtype == WE_BF16 && a->latent_dim % 2)
        return we_error_set(error, WE_UNSUPPORTED,
                            "a latent of %u values, which is odd; the CPU back-end has it with a cache of F32 only (precision "
                            "exact)",
                            a->latent_dim);
    we_status status = check_norm(&a->latent_norm, a->latent_dim, "the norm of the latent", error);
    return status == WE_OK ? check_norm(&a->q_a_norm, a->q_a_proj.rows, "the norm of q_a_proj", error) : status;
}

static we_status plan_latent_attention(const struct we_load_options *options, struct we_cpu_plan *plan, struct we_cpu_block *b,
                                       struct we_error *error)
{
    const struct we_latent_attention *a = b->block->op.latent_attention;
    const uint32_t hidden = options->decoder->hidden_size, heads = a->num_attention_heads;
    we_status status = check_latent(a, options->layout->dtype, error);
    if (status != WE_OK)
        return status;
    const bool low = a->q_a_proj.data != NULL;
    const uint32_t rank = low ? a->q_a_proj.rows : hidden, q_width = heads * (a->nope_head_dim + a->rope_head_dim);
    const uint32_t k_width = a->rope_head_dim + a->latent_dim, v_width = heads * a->v_head_dim;
    if ((low && (status = make_matrix(options, plan, &b->q_a, &a->q_a_proj, rank, hidden, "q_a_proj", error)) != WE_OK) ||
        (status = make_matrix(options, plan, &b->q, &a->q_proj, q_width, rank, "q_proj", error)) != WE_OK ||
        (a->rope_head_dim && (status = make_matrix(options, plan, &b->k, &a->rope_proj, a->rope_head_dim, hidden,
                                                   "the projection of rope keys", error)) != WE_OK) ||
        (status = make_matrix(options, plan, &b->v, &a->latent_proj, a->latent_dim, hidden, "the projection of the latent",
                              error)) != WE_OK ||
        (status = make_heads(options, plan, &b->embed_q, &a->embed_q, heads, a->latent_dim, a->nope_head_dim, "embed_q",
                             error)) != WE_OK ||
        (status = make_heads(options, plan, &b->unembed_out, &a->unembed_out, heads, a->v_head_dim, a->latent_dim,
                             "unembed_out", error)) != WE_OK ||
        (status = make_matrix(options, plan, &b->o, &a->o_proj, hidden, v_width, "o_proj", error)) != WE_OK ||
        (status = plan_state(options->layout, k_width, 0, 0, b, error)) != WE_OK)
        return status;
    if (low)
        want(plan, &b->q_a, plan->hidden_forms);
    want(plan, &b->q, low ? plan->inner_forms : plan->hidden_forms);
    if (b->k.linear)
        want(plan, &b->k, plan->hidden_forms);
    want(plan, &b->v, plan->hidden_forms);
    want(plan, &b->o, plan->inner_forms);
    plan_inner(plan, v_width);
    if (low)
        plan_inner(plan, rank);
    widen(&plan->q, q_width > v_width ? q_width : v_width);
    widen(&plan->k, k_width);
    widen(&plan->v, low ? rank : 0);
    widen(&plan->normed, low ? rank : 0);
    widen(&plan->inner, heads * a->latent_dim);
    widen(&plan->latent_q, heads * k_width);
    plan->max_latent_dim = a->latent_dim > plan->max_latent_dim ? a->latent_dim : plan->max_latent_dim;
    b->absorbed = (struct we_attention){.num_attention_heads = heads,
                                        .num_key_value_heads = 1,
                                        .head_dim = k_width,
                                        .v_head_dim = a->latent_dim,
                                        .rope = a->rope,
                                        .scale = a->scale};
    plan_heads(plan, b, &b->absorbed, &a->rope);
    return WE_OK;
}

static we_status plan_feed_forward(const struct we_load_options *options, struct we_cpu_plan *plan, struct we_cpu_block *b,
                                   struct we_error *error)
{
    const struct we_feed_forward *f = b->block->op.feed_forward;
    const uint32_t hidden = options->decoder->hidden_size, inner = f->up_proj.rows;
    if ((unsigned)f->activation >= WE_ACTIVATION_COUNT)
        return we_error_set(error, WE_UNSUPPORTED, "the CPU back-end has no activation function of kind %d",
                            (int)f->activation);
    we_status status = WE_OK;
    if ((f->gate_proj.data &&
         (status = make_matrix(options, plan, &b->gate, &f->gate_proj, inner, hidden, "gate_proj", error)) != WE_OK) ||
        (status = make_matrix(options, plan, &b->up, &f->up_proj, inner, hidden, "up_proj", error)) != WE_OK ||
        (status = make_matrix(options, plan, &b->down, &f->down_proj, hidden, inner, "down_proj", error)) != WE_OK)
        return status;
    if (b->gate.linear)
        want(plan, &b->gate, plan->hidden_forms);
    want(plan, &b->up, plan->hidden_forms);
    want(plan, &b->down, plan->inner_forms);
    widen(&plan->up, inner);
    plan_inner(plan, inner);
    return WE_OK;
}

/* The matrices of experts must have a view for each. */
static we_status check_experts(const struct we_moe *moe, const struct we_linear *linear, struct we_error *error)
{
    if (linear->data && (linear->count != moe->num_experts || linear->block != 0))
        return we_error_set(error, WE_INVALID_FORMAT, "%s: %u experts, where %u were expected",
                            linear->name ? linear->name : "experts", linear->count, moe->num_experts);
    return WE_OK;
}

static we_status check_moe(const struct we_moe *moe, struct we_error *error)
{
    we_status status = check_vector(&moe->correction_bias, "the correction bias of a router", error);
    if (status == WE_OK)
        status = check_vector(&moe->expert_scale, "the scales of experts", error);
    if (status == WE_OK && moe->expert_scale.data && moe->expert_scale.length != moe->num_experts)
        status = we_error_set(error, WE_INVALID_FORMAT, "%u scales of %u experts", moe->expert_scale.length, moe->num_experts);
    if (status == WE_OK && (moe->num_experts == 0 || moe->num_experts > WE_CPU_MOST_EXPERTS || moe->top_k == 0 ||
                            moe->top_k > moe->num_experts || (unsigned)moe->experts.activation >= WE_ACTIVATION_COUNT ||
                            (moe->correction_bias.data && moe->correction_bias.length != moe->num_experts)))
        status = we_error_set(error, WE_INVALID_FORMAT, "a mixture of %u experts, %u for a row; 1 to %d experts were expected",
                              moe->num_experts, moe->top_k, (int)WE_CPU_MOST_EXPERTS);
    if (status == WE_OK && moe->num_groups > 1 &&
        (moe->num_groups > WE_CPU_MOST_EXPERT_GROUPS || moe->num_experts % moe->num_groups != 0 ||
         (moe->num_experts / moe->num_groups < 2 && !moe->best_of_group) || moe->top_groups == 0 ||
         moe->top_groups > moe->num_groups))
        status = we_error_set(error, WE_INVALID_FORMAT, "%u experts in %u groups of which %u are taken", moe->num_experts,
                              moe->num_groups, moe->top_groups);
    if (status == WE_OK)
        status = check_experts(moe, &moe->experts.gate_proj, error);
    if (status == WE_OK)
        status = check_experts(moe, &moe->experts.up_proj, error);
    return status == WE_OK ? check_experts(moe, &moe->experts.down_proj, error) : status;
}

static void be_exact(const struct we_cpu_plan *plan, struct we_cpu_matrix *m)
{
    if (m->linear)
        m->form[0] = m->form[1] = we_cpu_form_of(plan->kernels, m, WE_PRECISION_EXACT, WE_PHASE_PREFILL);
}

static we_status plan_shared_experts(const struct we_load_options *options, struct we_cpu_plan *plan, struct we_cpu_block *b,
                                     struct we_error *error)
{
    const struct we_feed_forward *f = &b->block->op.moe->shared;
    const uint32_t hidden = options->decoder->hidden_size, inner = f->up_proj.rows;
    we_status status;
    if ((unsigned)f->activation >= WE_ACTIVATION_COUNT)
        return we_error_set(error, WE_UNSUPPORTED, "the CPU back-end has no activation function of kind %d",
                            (int)f->activation);
    if ((f->gate_proj.data &&
         (status = make_matrix(options, plan, &b->shared_gate_proj, &f->gate_proj, inner, hidden, "gate_proj", error)) !=
             WE_OK) ||
        (status = make_matrix(options, plan, &b->shared_up, &f->up_proj, inner, hidden, "up_proj", error)) != WE_OK ||
        (status = make_matrix(options, plan, &b->shared_down, &f->down_proj, hidden, inner, "down_proj", error)) != WE_OK)
        return status;
    if (b->shared_gate_proj.linear)
        want(plan, &b->shared_gate_proj, plan->hidden_forms);
    want(plan, &b->shared_up, plan->hidden_forms);
    want(plan, &b->shared_down, plan->inner_forms);
    widen(&plan->inner, inner);
    plan_inner(plan, inner);
    return WE_OK;
}

static we_status plan_moe(const struct we_load_options *options, struct we_cpu_plan *plan, struct we_cpu_block *b,
                          struct we_error *error)
{
    const struct we_moe *moe = b->block->op.moe;
    const struct we_feed_forward *f = &moe->experts;
    const uint32_t hidden = options->decoder->hidden_size, inner = f->up_proj.rows;
    const uint32_t stream = moe->latent_in.data ? moe->latent_in.rows : hidden;
    we_status status = check_moe(moe, error);
    if (status != WE_OK ||
        (f->gate_proj.data &&
         (status = make_matrix(options, plan, &b->gate, &f->gate_proj, inner, stream, "gate_proj", error)) != WE_OK) ||
        (status = make_matrix(options, plan, &b->up, &f->up_proj, inner, stream, "up_proj", error)) != WE_OK ||
        (status = make_matrix(options, plan, &b->down, &f->down_proj, stream, inner, "down_proj", error)) != WE_OK ||
        (status = make_matrix(options, plan, &b->router, &moe->router, moe->num_experts, hidden, "router", error)) != WE_OK ||
        (moe->shared_gate.data &&
         (status = make_matrix(options, plan, &b->shared_gate, &moe->shared_gate, 1, hidden, "shared_gate", error)) != WE_OK) ||
        (moe->latent_in.data &&
         ((status = make_matrix(options, plan, &b->latent_in, &moe->latent_in, stream, hidden, "latent_in", error)) != WE_OK ||
          (status = make_matrix(options, plan, &b->latent_out, &moe->latent_out, hidden, stream, "latent_out", error)) !=
              WE_OK)) ||
        (moe->shared.up_proj.data && (status = plan_shared_experts(options, plan, b, error)) != WE_OK))
        return status;
    if ((status = check_norm(&moe->router_norm, hidden, "the norm of a router", error)) != WE_OK)
        return status;
    be_exact(plan, &b->router);
    be_exact(plan, &b->shared_gate);
    if (b->gate.linear)
        want(plan, &b->gate, b->expert_forms);
    want(plan, &b->up, b->expert_forms);
    want(plan, &b->down, b->expert_inner_forms);
    for (int p = 0; p < 2; p++)
        for (int form = 0; form < WE_CPU_FORM_COUNT; form++) {
            plan->expert_forms[p][form] = plan->expert_forms[p][form] || b->expert_forms[p][form];
            plan->expert_inner_forms[p][form] = plan->expert_inner_forms[p][form] || b->expert_inner_forms[p][form];
        }
    widen(&plan->expert_inner, inner);
    widen(&plan->expert_stream, stream);
    if (b->latent_in.linear) {
        want(plan, &b->latent_in, plan->hidden_forms);
        want(plan, &b->latent_out, plan->inner_forms);
        widen(&plan->inner, stream);
        widen(&plan->latent, stream);
    }
    plan->most_experts = moe->num_experts > plan->most_experts ? moe->num_experts : plan->most_experts;
    plan->most_top_k = moe->top_k > plan->most_top_k ? moe->top_k : plan->most_top_k;
    return WE_OK;
}

static we_status plan_short_conv(const struct we_load_options *options, struct we_cpu_plan *plan, struct we_cpu_block *b,
                                 struct we_error *error)
{
    const struct we_short_conv *c = b->block->op.short_conv;
    const uint32_t hidden = options->decoder->hidden_size;
    we_status status;
    if (c->length == 0 || c->length > WE_CPU_MOST_TAPS || hidden > WE_CPU_MAX_WIDTH / 3)
        return we_error_set(error, WE_UNSUPPORTED, "a convolution over %u positions; the CPU back-end has 1 to %d", c->length,
                            (int)WE_CPU_MOST_TAPS);
    if (c->weight.data == NULL || c->weight.length != hidden * c->length || (c->bias.data && c->bias.length != hidden))
        return we_error_set(error, WE_INVALID_FORMAT,
                            "a convolution with %u weights and %u biases, for %u values of %u positions", c->weight.length,
                            c->bias.length, hidden, c->length);
    if ((status = check_vector(&c->weight, "the weights of a convolution", error)) != WE_OK ||
        (status = check_vector(&c->bias, "the bias of a convolution", error)) != WE_OK ||
        (status = make_matrix(options, plan, &b->in, &c->in_proj, 3 * hidden, hidden, "in_proj", error)) != WE_OK ||
        (status = make_matrix(options, plan, &b->out, &c->out_proj, hidden, hidden, "out_proj", error)) != WE_OK ||
        (status = plan_state(options->layout, hidden, 0, c->length, b, error)) != WE_OK)
        return status;
    want(plan, &b->in, plan->hidden_forms);
    want(plan, &b->out, plan->inner_forms);
    widen(&plan->q, 3 * hidden);
    widen(&plan->inner, hidden);
    plan_inner(plan, hidden);
    return WE_OK;
}

/* ---- recurrences ---- */

/* What is common: r has the sizes, and where values lie. */
static we_status plan_recurrence(const struct we_load_options *options, struct we_cpu_plan *plan, struct we_cpu_block *b,
                                 const struct we_vector *conv, const struct we_vector *conv_bias,
                                 const struct we_vector *const heads[3], struct we_error *error)
{
    struct we_cpu_recurrence *r = &b->recurrence;
    static const char *const names[] = {"a_log", "dt_bias", "d"};
    if (b->block->state >= options->layout->num_entries || options->layout->entries[b->block->state].group != WE_NO_GROUP)
        return we_error_set(error, WE_INVALID_ARGUMENT, "the KV layout is not that of this decoder (entry %u)",
                            b->block->state);
    if (r->conv_length == 0 || r->conv_length > WE_CPU_MOST_TAPS)
        return we_error_set(error, WE_UNSUPPORTED, "a convolution over %u positions; the CPU back-end has 1 to %d",
                            r->conv_length, (int)WE_CPU_MOST_TAPS);
    if (conv->data == NULL || conv->length != r->conv_width * r->conv_length ||
        (conv_bias->data && conv_bias->length != r->conv_width))
        return we_error_set(error, WE_INVALID_FORMAT,
                            "a convolution with %u weights and %u biases, for %u values of %u positions", conv->length,
                            conv_bias->length, r->conv_width, r->conv_length);
    we_status status = check_vector(conv, "the weights of a convolution", error);
    if (status == WE_OK)
        status = check_vector(conv_bias, "the bias of a convolution", error);
    for (int i = 0; status == WE_OK && i < 3; i++) {
        if (heads[i] && (heads[i]->data == NULL || heads[i]->length != r->heads))
            return we_error_set(error, WE_INVALID_FORMAT, "%u values of %s for %u heads", heads[i]->length, names[i], r->heads);
        status = heads[i] ? check_vector(heads[i], names[i], error) : WE_OK;
    }
    const size_t columns = (r->values + WE_CPU_STATE_COLUMNS - 1) / WE_CPU_STATE_COLUMNS * WE_CPU_STATE_COLUMNS;
    r->slot_at = plan->slot_floats;
    plan->slot_floats += r->heads * columns * r->keys + (size_t)(r->conv_length - 1) * r->conv_width;
    plan->slot_floats = (plan->slot_floats + 15) / 16 * 16;
    r->num_constants = (size_t)(r->conv_length + 1) * r->conv_width + 3 * (size_t)r->heads + 2 * (size_t)r->keys;
    widen(&plan->q, (r->decays_at > r->gate_at ? r->decays_at : r->gate_at) + r->heads);
    widen(&plan->k, r->conv_width);
    widen(&plan->inner, r->heads * r->values);
    plan_inner(plan, r->heads * r->values);
    return status;
}

/* Sizes within reason, so that sums of them are, too. */
static we_status check_recurrence(const struct we_cpu_recurrence *r, struct we_error *error)
{
    if (r->heads == 0 || r->key_heads == 0 || r->heads % r->key_heads != 0 || r->keys == 0 || r->values == 0 ||
        (uint64_t)r->heads * r->values > WE_CPU_MAX_WIDTH / 8 || (uint64_t)r->heads * r->keys > WE_CPU_MAX_WIDTH / 8)
        return we_error_set(error, WE_INVALID_FORMAT, "a recurrence of %u heads, %u of keys, of %u keys and %u values",
                            r->heads, r->key_heads, r->keys, r->values);
    return WE_OK;
}

static we_status plan_gated_delta(const struct we_load_options *options, struct we_cpu_plan *plan, struct we_cpu_block *b,
                                  struct we_error *error)
{
    const struct we_gated_delta *g = b->block->op.gated_delta;
    const uint32_t hidden = options->decoder->hidden_size, heads = g->num_value_heads;
    struct we_cpu_recurrence *r = &b->recurrence;
    *r = (struct we_cpu_recurrence){.heads = heads,
                                    .key_heads = g->num_key_heads,
                                    .keys = g->key_head_dim,
                                    .values = g->value_head_dim,
                                    .conv_length = g->conv_length,
                                    .corrects = true};
    we_status status = check_recurrence(r, error);
    if (status != WE_OK)
        return status;
    const uint32_t keys = r->key_heads * r->keys, values = heads * r->values;
    r->conv_width = 2 * keys + values;
    r->gate_at = r->conv_width;
    r->rates_at = r->gate_at + values;
    r->decays_at = r->rates_at + heads;
    r->keys_at = keys;
    r->values_at = 2 * keys;
    const struct we_vector none = {0}, *const vectors[] = {&g->a_log, &g->dt_bias, NULL};
    if ((status = make_matrix(options, plan, &b->q, &g->q_proj, keys, hidden, "q_proj", error)) != WE_OK ||
        (status = make_matrix(options, plan, &b->k, &g->k_proj, keys, hidden, "k_proj", error)) != WE_OK ||
        (status = make_matrix(options, plan, &b->v, &g->v_proj, values, hidden, "v_proj", error)) != WE_OK ||
        (status = make_matrix(options, plan, &b->z, &g->z_proj, values, hidden, "z_proj", error)) != WE_OK ||
        (status = make_matrix(options, plan, &b->b, &g->b_proj, heads, hidden, "b_proj", error)) != WE_OK ||
        (status = make_matrix(options, plan, &b->a, &g->a_proj, heads, hidden, "a_proj", error)) != WE_OK ||
        (status = make_matrix(options, plan, &b->out, &g->out_proj, hidden, values, "out_proj", error)) != WE_OK ||
        (status = check_norm(&g->norm, r->values, "the norm of heads", error)) != WE_OK)
        return status;
    struct we_cpu_matrix *const in[] = {&b->q, &b->k, &b->v, &b->z, &b->b, &b->a};
    for (int i = 0; i < 6; i++)
        want(plan, in[i], plan->hidden_forms);
    want(plan, &b->out, plan->inner_forms);
    return plan_recurrence(options, plan, b, &g->conv, &none, vectors, error);
}

static we_status plan_mamba2(const struct we_load_options *options, struct we_cpu_plan *plan, struct we_cpu_block *b,
                             struct we_error *error)
{
    const struct we_mamba2 *m = b->block->op.mamba2;
    const uint32_t hidden = options->decoder->hidden_size;
    struct we_cpu_recurrence *r = &b->recurrence;
    *r = (struct we_cpu_recurrence){.heads = m->num_heads,
                                    .key_heads = m->num_groups,
                                    .keys = m->state_size,
                                    .values = m->head_dim,
                                    .conv_length = m->conv_length};
    we_status status = check_recurrence(r, error);
    if (status != WE_OK)
        return status;
    const uint32_t keys = r->key_heads * r->keys, values = r->heads * r->values;
    r->conv_width = 2 * keys + values;
    r->conv_at = values;
    r->rates_at = r->conv_at + r->conv_width;
    r->decays_at = r->rates_at + r->heads;
    r->keys_at = values;
    r->queries_at = values + keys;
    const struct we_vector *const vectors[] = {&m->a_log, &m->dt_bias, &m->d};
    if (m->norm.kind == WE_NORM_NONE || m->norm.width == 0 || values % m->norm.width != 0)
        return we_error_set(error, WE_UNSUPPORTED, "Mamba 2 with a norm over %u of %u values", m->norm.width, values);
    if ((status = make_matrix(options, plan, &b->in, &m->in_proj, r->decays_at, hidden, "in_proj", error)) != WE_OK ||
        (status = make_matrix(options, plan, &b->out, &m->out_proj, hidden, values, "out_proj", error)) != WE_OK ||
        (status = check_norm(&m->norm, m->norm.width, "the norm of a recurrence", error)) != WE_OK)
        return status;
    want(plan, &b->in, plan->hidden_forms);
    want(plan, &b->out, plan->inner_forms);
    return plan_recurrence(options, plan, b, &m->conv, &m->conv_bias, vectors, error);
}

static we_status plan_layer_input(const struct we_load_options *options, struct we_cpu_plan *plan, struct we_cpu_block *b,
                                  struct we_error *error)
{
    const struct we_layer_input *l = b->block->op.layer_input;
    const uint32_t hidden = options->decoder->hidden_size, width = options->decoder->layer_inputs.width;
    we_status status;
    if (l->index >= options->decoder->num_layers || (unsigned)l->activation >= WE_ACTIVATION_COUNT)
        return we_error_set(error, WE_INVALID_FORMAT, "the input of layer %u of %u, with an activation function of kind %d",
                            l->index, options->decoder->num_layers, (int)l->activation);
    if ((status = make_matrix(options, plan, &b->up, &l->gate_proj, width, hidden, "gate_proj", error)) != WE_OK ||
        (status = make_matrix(options, plan, &b->down, &l->out_proj, hidden, width, "out_proj", error)) != WE_OK)
        return status;
    b->input_gate.activation = l->activation;
    want(plan, &b->up, plan->hidden_forms);
    want(plan, &b->down, plan->inner_forms);
    widen(&plan->inner, width);
    plan_inner(plan, width);
    return WE_OK;
}

static we_status plan_layer_inputs(const struct we_load_options *options, struct we_cpu_plan *plan, struct we_error *error)
{
    const struct we_decoder *d = options->decoder;
    const struct we_layer_inputs *l = &d->layer_inputs;
    we_status status;
    if (l->width == 0)
        return WE_OK;
    if (d->num_layers == 0 || l->width > WE_CPU_MAX_WIDTH / d->num_layers || l->embed_tokens.rows < d->vocab_size)
        return we_error_set(error, WE_INVALID_FORMAT, "inputs of %u layers of %u values for %u tokens, of a vocabulary of %u",
                            d->num_layers, l->width, l->embed_tokens.rows, d->vocab_size);
    const uint32_t all = d->num_layers * l->width;
    if ((status = make_matrix(options, plan, &plan->layer_embed, &l->embed_tokens, 0, all, "the embedding for layers",
                              error)) != WE_OK ||
        (status = make_matrix(options, plan, &plan->layer_proj, &l->proj, all, d->hidden_size, "the projection for layers",
                              error)) != WE_OK ||
        (status = check_norm(&l->norm, l->width, "the norm of inputs of layers", error)) != WE_OK)
        return status;
    want(plan, &plan->layer_proj, plan->hidden_forms);
    widen(&plan->layer_inputs, all);
    return WE_OK;
}

static we_status plan_block(const struct we_load_options *options, struct we_cpu_plan *plan, const struct we_block *block,
                            struct we_error *error)
{
    const uint32_t hidden = options->decoder->hidden_size;
    struct we_cpu_block *b = &plan->blocks[plan->num_blocks];
    *b = (struct we_cpu_block){.block = block};
    we_status status;
    if ((status = check_norm(&block->pre_norm, hidden, "the norm before a block", error)) != WE_OK ||
        (status = check_norm(&block->post_norm, hidden, "the norm after a block", error)) != WE_OK)
        return status;
    switch (block->kind) {
    case WE_BLOCK_ATTENTION:
        status = plan_attention(options, plan, b, error);
        break;
    case WE_BLOCK_FEED_FORWARD:
        status = plan_feed_forward(options, plan, b, error);
        break;
    case WE_BLOCK_LAYER_INPUT:
        status = plan_layer_input(options, plan, b, error);
        break;
    case WE_BLOCK_LATENT_ATTENTION:
        status = plan_latent_attention(options, plan, b, error);
        break;
    case WE_BLOCK_SHORT_CONV:
        status = plan_short_conv(options, plan, b, error);
        break;
    case WE_BLOCK_GATED_DELTA:
        status = plan_gated_delta(options, plan, b, error);
        break;
    case WE_BLOCK_MAMBA2:
        status = plan_mamba2(options, plan, b, error);
        break;
    case WE_BLOCK_MOE:
        status = plan_moe(options, plan, b, error);
        break;
    default:
        status = we_error_set(error, WE_UNSUPPORTED, "the CPU back-end has no block of kind %d", (int)block->kind);
    }
    plan->num_blocks++;
    return status;
}

static we_status plan_layer(const struct we_load_options *options, struct we_cpu_plan *plan, const struct we_layer *layer,
                            struct we_error *error)
{
    for (uint32_t s = 0; s < layer->num_steps; s++) {
        const struct we_step *step = &layer->steps[s];
        struct we_cpu_step *planned = &plan->steps[plan->num_steps++];
        we_status status = check_norm(&step->post_norm, options->decoder->hidden_size, "the norm after a step", error);
        if (status != WE_OK)
            return status;
        *planned = (struct we_cpu_step){.first_block = plan->num_blocks,
                                        .num_blocks = step->num_blocks,
                                        .residual_multiplier = step->residual_multiplier,
                                        .stream_multiplier = step->stream_multiplier,
                                        .post_norm = &step->post_norm};
        planned->direct = step->stream_multiplier == 0 && step->post_norm.kind == WE_NORM_NONE && step->num_blocks == 1 &&
                          step->blocks[0].post_norm.kind == WE_NORM_NONE && step->blocks[0].kind != WE_BLOCK_MOE;
        plan->has_sums = plan->has_sums || !planned->direct;
        for (uint32_t i = 0; i < step->num_blocks; i++) {
            const enum we_block_kind kind = step->blocks[i].kind;
            if (kind == WE_BLOCK_ATTENTION && step->blocks[i].op.attention->shares_kv)
                ; /* it needs no rows but its own */
            else if (kind == WE_BLOCK_ATTENTION ||
                     kind == WE_BLOCK_LATENT_ATTENTION) /* rows may be dropped only where a step begins */
                plan->prune_block = i == 0 ? plan->num_blocks : UINT32_MAX;
            else if (step->blocks[i].state != WE_NO_STATE) /* it needs what came before, of all rows */
                plan->prune_block = UINT32_MAX;
            status = plan_block(options, plan, &step->blocks[i], error);
            if (status != WE_OK)
                return status;
        }
    }
    return WE_OK;
}

static size_t stride_of(uint32_t width)
{
    size_t padded = ((size_t)width + WE_CPU_ALIGN - 1) / WE_CPU_ALIGN * WE_CPU_ALIGN;
    return padded + 16; /* rows of a power of two would share cache sets */
}

static we_status plan_decoder(const struct we_load_options *options, struct we_cpu_plan *plan, struct we_error *error)
{
    const struct we_decoder *d = options->decoder;
    we_status status;
    if ((status = make_matrix(options, plan, &plan->embed, &d->embed_tokens, d->vocab_size, d->hidden_size, "embed_tokens",
                              error)) != WE_OK ||
        (status = make_matrix(options, plan, &plan->head, &d->lm_head, d->vocab_size, d->hidden_size, "lm_head", error)) !=
            WE_OK ||
        (status = check_norm(&d->norm, d->hidden_size, "the last norm", error)) != WE_OK)
        return status;
    want(plan, &plan->head, plan->hidden_forms);
    if ((status = plan_layer_inputs(options, plan, error)) != WE_OK)
        return status;
    for (uint32_t i = 0; i < d->num_layers; i++)
        if ((status = plan_layer(options, plan, &d->layers[i], error)) != WE_OK) {
            we_error_prefix(error, "layer %u", i);
            return status;
        }
    plan->hidden.width = d->hidden_size;
    widen(&plan->normed, d->hidden_size);
    struct we_cpu_shape *shapes[] = {&plan->hidden,
                                     &plan->q,
                                     &plan->k,
                                     &plan->v,
                                     &plan->inner,
                                     &plan->expert_inner,
                                     &plan->expert_stream,
                                     &plan->latent,
                                     &plan->gate,
                                     &plan->latent_q,
                                     &plan->normed,
                                     &plan->layer_inputs,
                                     &plan->up};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        shapes[i]->stride = stride_of(shapes[i]->width);
    return WE_OK;
}

we_status we_cpu_plan_make(const struct we_load_options *options, const struct we_cpu_kernels *kernels,
                           struct we_cpu_plan *plan, struct we_error *error)
{
    *plan = (struct we_cpu_plan){.kernels = kernels, .prune_block = UINT32_MAX};
    const struct we_decoder *d = options->decoder;
    size_t steps = 0, blocks = 0;
    for (uint32_t i = 0; i < d->num_layers; i++) {
        steps += d->layers[i].num_steps;
        for (uint32_t s = 0; s < d->layers[i].num_steps; s++)
            blocks += d->layers[i].steps[s].num_blocks;
    }
    plan->blocks = calloc(blocks + 1, sizeof *plan->blocks);
    plan->steps = calloc(steps + 1, sizeof *plan->steps);
    plan->ropes = calloc(blocks + 1, sizeof *plan->ropes);
    plan->weights = calloc(MOST_MATRICES * blocks + 2, sizeof *plan->weights);
    plan->loras = calloc(MOST_MATRICES * blocks + 4, sizeof *plan->loras);
    we_status status = plan->blocks && plan->steps && plan->ropes && plan->weights && plan->loras
                           ? plan_decoder(options, plan, error)
                           : we_error_memory(error, "the plan of the decoder");
    if (status != WE_OK)
        we_cpu_plan_free(plan);
    return status;
}

void we_cpu_plan_free(struct we_cpu_plan *plan)
{
    free(plan->blocks);
    free(plan->steps);
    free(plan->ropes);
    free(plan->weights);
    free(plan->loras);
    *plan = (struct we_cpu_plan){0};
}
