#include "network.h"

#include "random.h"

#include <math.h>
#include <stdlib.h>

/* ---- making ---- */

static struct we_linear tensor(struct test_network *n, struct test_format format, uint32_t rows, uint32_t in, bool bias)
{
    struct test_weights *w = &n->tensors[n->num_tensors++];
    test_weights_make(w, format, rows, in, n->num_tensors % 4, bias, 1.0 / sqrt(in), &n->seed);
    return w->linear;
}

static struct we_linear view(struct we_linear linear, uint32_t first, uint32_t rows)
{
    linear.first = first;
    linear.rows = rows;
    return linear;
}

static float *vector(struct test_network *n, uint32_t length, float center, float spread)
{
    float *values = we_arena_array(&n->arena, length, sizeof *values);
    for (uint32_t i = 0; i < length; i++)
        values[i] = center + spread * random_normal(&n->seed);
    return values;
}

/* Over `width` values; with weights for each of `count` parts. */
static struct we_norm norm_each(struct test_network *n, uint32_t count, uint32_t width)
{
    struct we_norm norm = {.kind = n->shape.layer_norms ? WE_NORM_LAYER : WE_NORM_RMS, .width = width, .eps = 1e-5f};
    norm.weight = (struct we_vector){vector(n, count * width, 1, 0.2f), WE_F32, count * width};
    if (n->shape.layer_norms)
        norm.bias = (struct we_vector){vector(n, count * width, 0, 0.1f), WE_F32, count * width};
    return norm;
}

static struct we_norm norm(struct test_network *n, uint32_t width)
{
    return norm_each(n, 1, width);
}

static const struct we_attention *attention(struct test_network *n, uint32_t layer, const float *frequencies)
{
    const struct test_network_shape *s = &n->shape;
    struct we_attention *a = we_arena_alloc(&n->arena, sizeof *a);
    *a = (struct we_attention){.num_attention_heads = s->heads, .num_key_value_heads = s->kv_heads, .head_dim = s->head_dim,
                               .v_head_dim = s->v_head_dim, .scale = 1.0f / sqrtf((float)s->head_dim)};
    uint32_t q = s->heads * s->head_dim, k = s->kv_heads * s->head_dim, v = s->kv_heads * s->v_head_dim;
    if (s->fused) {
        struct we_linear all = tensor(n, s->format, q + k + v, s->hidden, s->bias);
        a->q_proj = view(all, 0, q), a->k_proj = view(all, q, k), a->v_proj = view(all, q + k, v);
    } else {
        a->q_proj = tensor(n, s->format, q, s->hidden, s->bias);
        a->shares_kv = s->own_layers && layer >= s->own_layers;
        if (!a->shares_kv)
            a->k_proj = tensor(n, s->format, k, s->hidden, s->bias);
        if (!a->shares_kv && !s->raw_values)
            a->v_proj = tensor(n, s->format, v, s->hidden, s->bias);
    }
    if (s->value_norms && !a->shares_kv)
        a->v_norm = (struct we_norm){.kind = WE_NORM_RMS, .width = s->v_head_dim, .eps = 1e-5f};
    a->o_proj = tensor(n, s->format, s->hidden, s->heads * s->v_head_dim, s->bias);
    if (s->head_norms) {
        a->q_norm = norm_each(n, s->own_head_norms ? s->heads : 1, s->head_dim);
        a->k_norm = norm_each(n, s->own_head_norms ? s->kv_heads : 1, s->head_dim);
    } else if (s->whole_norms) {
        a->q_norm = norm(n, q), a->k_norm = norm(n, k);
    }
    if (s->head_gates)
        a->gate_proj = tensor(n, s->format, s->heads * s->v_head_dim, s->hidden, s->bias);
    a->norm_after_rope = s->norm_after_rope;
    a->logit_softcapping = s->softcap;
    a->q_growth = s->q_growth, a->q_period = 37;
    if (s->sinks)
        a->sinks = (struct we_vector){vector(n, s->heads, 0.5f, 1), WE_F32, s->heads};
    a->rope = (struct we_rope){.rotary_dim = s->rotary_dim, .interleaved = s->interleaved,
                               .inv_freq = {frequencies, frequencies + s->rotary_dim / 2}, .mscale = {1.0f, 1.25f}};
    if (s->window && layer % 2 == 1)
        a->mask = WE_MASK_SLIDING, a->window = s->window;
    return a;
}

static const struct we_feed_forward *feed_forward(struct test_network *n)
{
    const struct test_network_shape *s = &n->shape;
    struct we_feed_forward *f = we_arena_alloc(&n->arena, sizeof *f);
    *f = (struct we_feed_forward){.activation = s->activation, .limit = 1.5f, .alpha = 1.702f};
    if (s->ungated) {
        f->up_proj = tensor(n, s->format, s->inner, s->hidden, s->bias);
    } else if (s->fused) {
        struct we_linear all = tensor(n, s->format, 2 * s->inner, s->hidden, s->bias);
        f->gate_proj = view(all, 0, s->inner), f->up_proj = view(all, s->inner, s->inner);
    } else {
        f->gate_proj = tensor(n, s->format, s->inner, s->hidden, s->bias);
        f->up_proj = tensor(n, s->format, s->inner, s->hidden, s->bias);
    }
    f->down_proj = tensor(n, s->format, s->hidden, s->inner, s->bias);
    return f;
}

/* Experts of one matrix each: (count * rows, in). */
static struct we_linear expert_tensor(struct test_network *n, uint32_t rows, uint32_t in)
{
    struct we_linear all = tensor(n, n->shape.format, n->shape.experts * rows, in, n->shape.bias);
    all.rows = all.next = rows;
    all.count = n->shape.experts;
    return all;
}

static const struct we_moe *mixture(struct test_network *n)
{
    const struct test_network_shape *s = &n->shape;
    struct we_moe *m = we_arena_alloc(&n->arena, sizeof *m);
    const uint32_t stream = s->expert_latent ? s->expert_latent : s->hidden;
    *m = (struct we_moe){.num_experts = s->experts,
                         .top_k = s->top_k,
                         .num_groups = s->expert_groups,
                         .top_groups = s->top_groups,
                         .score = s->score,
                         .best_of_group = s->best_of_group,
                         .norm_topk_prob = s->score == WE_ROUTER_SIGMOID,
                         .norm_eps = 1e-20f,
                         .routed_scaling_factor = 1.5f,
                         .jitter = 0.2f};
    m->experts = (struct we_feed_forward){.activation = s->activation, .limit = 1.5f, .alpha = 1.702f};
    if (s->fused) {
        struct we_linear all = expert_tensor(n, 2 * s->inner, stream);
        m->experts.gate_proj = view(all, 0, s->inner), m->experts.up_proj = view(all, s->inner, s->inner);
    } else {
        m->experts.gate_proj = expert_tensor(n, s->inner, stream),
        m->experts.up_proj = expert_tensor(n, s->inner, stream);
    }
    m->experts.down_proj = expert_tensor(n, stream, s->inner);
    m->router = tensor(n, (struct test_format){WE_QUANT_NONE, 0, 0, WE_F32}, s->experts, s->hidden, false);
    if (s->score == WE_ROUTER_SIGMOID)
        m->correction_bias = (struct we_vector){vector(n, s->experts, 0.5f, 0.3f), WE_F32, s->experts};
    if (s->router_norm) {
        m->router_norm = norm(n, s->hidden);
        m->expert_scale = (struct we_vector){vector(n, s->experts, 1, 0.5f), WE_F32, s->experts};
    }
    if (s->expert_latent) {
        m->latent_in = tensor(n, s->format, s->expert_latent, s->hidden, s->bias);
        m->latent_out = tensor(n, s->format, s->hidden, s->expert_latent, s->bias);
    }
    if (s->shared_expert)
        m->shared = *feed_forward(n);
    if (s->shared_gate)
        m->shared_gate = tensor(n, s->format, 1, s->hidden, false);
    return m;
}

static const struct we_short_conv *short_conv(struct test_network *n)
{
    const struct test_network_shape *s = &n->shape;
    struct we_short_conv *c = we_arena_alloc(&n->arena, sizeof *c);
    c->length = s->conv;
    c->in_proj = tensor(n, s->format, 3 * s->hidden, s->hidden, s->bias);
    c->out_proj = tensor(n, s->format, s->hidden, s->hidden, s->bias);
    c->weight = (struct we_vector){vector(n, s->hidden * s->conv, 0, 0.6f), WE_F32, s->hidden * s->conv};
    c->bias = (struct we_vector){vector(n, s->hidden, 0, 0.1f), WE_F32, s->hidden};
    return c;
}

static struct we_vector floats(struct test_network *n, uint32_t length, float center, float spread)
{
    return (struct we_vector){vector(n, length, center, spread), WE_F32, length};
}

/* Rows of a tensor that alternates with others: `rows` of every `all` rows. */
static struct we_linear alternating(struct we_linear linear, uint32_t first, uint32_t rows, uint32_t all, uint32_t count)
{
    linear.first = first;
    linear.block = rows;
    linear.stride = all;
    linear.rows = rows * count;
    return linear;
}

static const struct we_gated_delta *gated_delta(struct test_network *n)
{
    const struct test_network_shape *s = &n->shape;
    struct we_gated_delta *g = we_arena_alloc(&n->arena, sizeof *g);
    const uint32_t each = s->delta_heads / s->key_heads, keys = s->state_keys, values = each * s->state_values;
    const uint32_t width = 2 * s->key_heads * keys + s->delta_heads * s->state_values;
    *g = (struct we_gated_delta){.num_key_heads = s->key_heads,
                                 .num_value_heads = s->delta_heads,
                                 .key_head_dim = keys,
                                 .value_head_dim = s->state_values,
                                 .conv_length = s->conv};
    const struct we_linear in = tensor(n, s->format, s->key_heads * (2 * keys + 2 * values), s->hidden, s->bias);
    const struct we_linear rates = tensor(n, s->format, 2 * s->delta_heads, s->hidden, s->bias);
    g->q_proj = alternating(in, 0, keys, 2 * keys + 2 * values, s->key_heads);
    g->k_proj = alternating(in, keys, keys, 2 * keys + 2 * values, s->key_heads);
    g->v_proj = alternating(in, 2 * keys, values, 2 * keys + 2 * values, s->key_heads);
    g->z_proj = alternating(in, 2 * keys + values, values, 2 * keys + 2 * values, s->key_heads);
    g->b_proj = alternating(rates, 0, each, 2 * each, s->key_heads);
    g->a_proj = alternating(rates, each, each, 2 * each, s->key_heads);
    g->out_proj = tensor(n, s->format, s->hidden, s->delta_heads * s->state_values, s->bias);
    g->conv = floats(n, width * s->conv, 0, 0.6f);
    g->a_log = floats(n, s->delta_heads, 0, 1);
    g->dt_bias = floats(n, s->delta_heads, 0, 1);
    g->norm = norm(n, s->state_values);
    return g;
}

static const struct we_mamba2 *mamba2(struct test_network *n)
{
    const struct test_network_shape *s = &n->shape;
    struct we_mamba2 *m = we_arena_alloc(&n->arena, sizeof *m);
    const uint32_t values = s->mamba_heads * s->state_values, keys = s->key_heads * s->state_keys;
    *m = (struct we_mamba2){.num_heads = s->mamba_heads,
                            .head_dim = s->state_values,
                            .num_groups = s->key_heads,
                            .state_size = s->state_keys,
                            .conv_length = s->conv,
                            .dt_min = 0.1f,
                            .dt_max = 1.5f};
    m->in_proj = tensor(n, s->format, 2 * values + 2 * keys + s->mamba_heads, s->hidden, s->bias);
    m->out_proj = tensor(n, s->format, s->hidden, values, s->bias);
    m->conv = floats(n, (values + 2 * keys) * s->conv, 0, 0.6f);
    if (s->bias)
        m->conv_bias = floats(n, values + 2 * keys, 0, 0.3f);
    m->a_log = floats(n, s->mamba_heads, 0, 1);
    m->dt_bias = floats(n, s->mamba_heads, 0, 1);
    m->d = floats(n, s->mamba_heads, 1, 0.5f);
    m->norm = norm_each(n, s->key_heads, values / s->key_heads);
    return m;
}

/* Matrices of all heads in one. */
static struct we_linear head_tensor(struct test_network *n, uint32_t rows, uint32_t in)
{
    struct we_linear all = tensor(n, n->shape.format, n->shape.heads * rows, in, false);
    all.rows = all.next = rows;
    all.count = n->shape.heads;
    return all;
}

static const struct we_latent_attention *latent_attention(struct test_network *n, const float *frequencies)
{
    const struct test_network_shape *s = &n->shape;
    struct we_latent_attention *a = we_arena_alloc(&n->arena, sizeof *a);
    *a = (struct we_latent_attention){.num_attention_heads = s->heads, .nope_head_dim = s->nope, .rope_head_dim = s->rotary_dim,
                                      .v_head_dim = s->v_head_dim, .latent_dim = s->latent, .scale = 0.3f};
    const uint32_t q_rows = s->heads * (s->nope + s->rotary_dim);
    if (s->low_rank) {
        a->q_a_proj = tensor(n, s->format, s->low_rank, s->hidden, s->bias);
        a->q_a_norm = norm(n, s->low_rank);
    }
    a->q_proj = tensor(n, s->format, q_rows, s->low_rank ? s->low_rank : s->hidden, false);
    const struct we_linear both = tensor(n, s->format, s->latent + s->rotary_dim, s->hidden, s->bias);
    a->latent_proj = view(both, 0, s->latent), a->rope_proj = view(both, s->latent, s->rotary_dim);
    a->latent_norm = norm(n, s->latent);
    a->embed_q = head_tensor(n, s->latent, s->nope);
    a->unembed_out = head_tensor(n, s->v_head_dim, s->latent);
    a->o_proj = tensor(n, s->format, s->hidden, s->heads * s->v_head_dim, s->bias);
    a->rope = (struct we_rope){.rotary_dim = s->rotary_dim, .interleaved = s->interleaved,
                               .inv_freq = {frequencies, frequencies + s->rotary_dim / 2}, .mscale = {1.0f, 1.25f}};
    return a;
}

static const struct we_layer_input *layer_input(struct test_network *n, uint32_t index)
{
    const struct test_network_shape *s = &n->shape;
    struct we_layer_input *l = we_arena_alloc(&n->arena, sizeof *l);
    *l = (struct we_layer_input){.activation = s->activation, .index = index};
    l->gate_proj = tensor(n, s->format, s->layer_inputs, s->hidden, s->bias);
    l->out_proj = tensor(n, s->format, s->hidden, s->layer_inputs, s->bias);
    return l;
}

static struct we_layer_inputs layer_inputs(struct test_network *n)
{
    const struct test_network_shape *s = &n->shape;
    struct we_layer_inputs l = {
        .width = s->layer_inputs, .embed_multiplier = 1.5f, .proj_multiplier = 0.6f, .multiplier = 0.7f};
    l.embed_tokens = tensor(n, s->embed, s->vocab + 3, s->layers * s->layer_inputs, false);
    l.proj = tensor(n, s->format, s->layers * s->layer_inputs, s->hidden, s->bias);
    l.norm = norm(n, s->layer_inputs);
    return l;
}

/* The entry of the last layer of the same kind that has keys and values of its own. */
static uint32_t state_of(const struct test_network_shape *s, uint32_t layer)
{
    while (s->own_layers && layer >= s->own_layers)
        layer -= s->window ? 2 : 1;
    return layer;
}

static void make_layer(struct test_network *n, uint32_t index, const float *frequencies, struct we_layer *layer)
{
    const struct test_network_shape *s = &n->shape;
    struct we_block *blocks = we_arena_array(&n->arena, 4, sizeof *blocks);
    struct we_step *steps = we_arena_array(&n->arena, 3, sizeof *steps);
    blocks[0] = (struct we_block){.kind = WE_BLOCK_ATTENTION, .pre_norm = norm(n, s->hidden), .state = state_of(s, index)};
    if (s->delta_heads && index % 2 == 0)
        blocks[0].kind = WE_BLOCK_GATED_DELTA, blocks[0].op.gated_delta = gated_delta(n);
    else if (s->mamba_heads && index % 2 == 1)
        blocks[0].kind = WE_BLOCK_MAMBA2, blocks[0].op.mamba2 = mamba2(n);
    else if (s->conv && index % 2 == 0)
        blocks[0].kind = WE_BLOCK_SHORT_CONV, blocks[0].op.short_conv = short_conv(n);
    else if (s->latent && index % 2 == 0)
        blocks[0].kind = WE_BLOCK_LATENT_ATTENTION, blocks[0].op.latent_attention = latent_attention(n, frequencies);
    else
        blocks[0].op.attention = attention(n, index, frequencies);
    blocks[1] = (struct we_block){.kind = WE_BLOCK_FEED_FORWARD, .pre_norm = norm(n, s->hidden), .state = WE_NO_STATE};
    if (s->experts && !s->beside && index % 2 == 1)
        blocks[1].kind = WE_BLOCK_MOE, blocks[1].op.moe = mixture(n);
    else
        blocks[1].op.feed_forward = feed_forward(n);
    for (int i = 0; s->post_norms && i < 2; i++)
        blocks[i].post_norm = norm(n, s->hidden);
    float multiplier = s->residual_multiplier ? s->residual_multiplier : 1;
    if (s->parallel)
        steps[0] = (struct we_step){blocks, 2, multiplier};
    else
        steps[0] = (struct we_step){blocks, 1, multiplier}, steps[1] = (struct we_step){blocks + 1, 1, multiplier};
    *layer = (struct we_layer){steps, s->parallel ? 1 : 2};
    if (s->beside) {
        blocks[2] = (struct we_block){.kind = WE_BLOCK_MOE,
                                      .op.moe = mixture(n),
                                      .pre_norm = norm(n, s->hidden),
                                      .post_norm = norm(n, s->hidden),
                                      .state = WE_NO_STATE};
        steps[1].num_blocks = 2;
        steps[1].post_norm = norm(n, s->hidden);
    }
    if (s->layer_inputs) {
        blocks[3] = (struct we_block){.kind = WE_BLOCK_LAYER_INPUT,
                                      .op.layer_input = layer_input(n, index),
                                      .post_norm = norm(n, s->hidden),
                                      .state = WE_NO_STATE};
        steps[layer->num_steps++] = (struct we_step){blocks + 3, 1, multiplier};
    }
    steps[layer->num_steps - 1].stream_multiplier = s->stream_multiplier;
}

void test_network_make(struct test_network *n, const struct test_network_shape *shape, uint64_t seed)
{
    *n = (struct test_network){.shape = *shape, .seed = seed};
    n->tensors = calloc(shape->layers * 20 + 4, sizeof *n->tensors);
    float *frequencies = we_arena_array(&n->arena, shape->rotary_dim + 1, sizeof *frequencies);
    for (uint32_t i = 0; i < shape->rotary_dim; i++) /* short, then long */
        frequencies[i] = (float)pow(10000.0, -2.0 * (i % (shape->rotary_dim / 2)) / shape->rotary_dim) /
                         (i < shape->rotary_dim / 2 ? 1.0f : 3.0f);
    struct we_layer *layers = we_arena_array(&n->arena, shape->layers, sizeof *layers);
    struct we_decoder *d = &n->decoder;
    *d = (struct we_decoder){.model_type = "test",
                             .hidden_size = shape->hidden,
                             .vocab_size = shape->vocab,
                             .num_layers = shape->layers,
                             .num_states = shape->own_layers ? shape->own_layers : shape->layers,
                             .layers = layers};
    d->embed_tokens = tensor(n, shape->embed, shape->vocab, shape->hidden, false);
    d->lm_head = shape->tied ? d->embed_tokens : tensor(n, shape->format, shape->vocab, shape->hidden, false);
    for (uint32_t i = 0; i < shape->layers; i++)
        make_layer(n, i, frequencies, &layers[i]);
    if (shape->layer_inputs)
        d->layer_inputs = layer_inputs(n);
    d->norm = norm(n, shape->hidden);
    d->embedding_multiplier = shape->embedding_multiplier ? shape->embedding_multiplier : 1;
    d->logit_multiplier = shape->logit_multiplier ? shape->logit_multiplier : 1;
    d->final_logit_softcapping = shape->final_softcap;
}

void test_network_free(struct test_network *n)
{
    for (uint32_t i = 0; i < n->num_tensors; i++)
        test_weights_free(&n->tensors[i]);
    free(n->tensors);
    we_arena_free(&n->arena);
}
