/* Gemma 4: layers that share keys and values, inputs of every layer, values that are raw keys, experts beside a feed-forward.
 * Defaults as in mlx-lm's models/gemma4_text.py and gemma4.py. */
#include "arch/families.h"

#include <math.h>

enum { NUM_TYPES = 2 }; /* of layers: full, sliding */

static void build_rope(struct we_build *b, bool slides, struct we_rope *rope)
{
    const char *type = slides ? "sliding_attention" : "full_attention";
    const struct we_json *all = we_json_get(b->source->config.json, "rope_parameters");
    const uint32_t dim = b->c.head_dim;
    if (!slides && b->c.global_head_dim)
        b->c.head_dim = b->c.global_head_dim;
    struct we_rope_config config = we_usual_rope(b, b->c.head_dim);
    config.layer_type = type;
    config.theta = 10000;
    if (all && all->kind == WE_JSON_OBJECT) {
        const struct we_json *own = we_json_get(all, type), *theta = we_json_get(own, "rope_theta");
        config.theta = theta && theta->kind == WE_JSON_NUMBER && theta->number > 0 ? (float)theta->number : config.theta;
        config.unscaled = own == NULL;
    } else if (!slides) {
        config.theta = 1000000;
        config.type = "proportional";
        config.partial_rotary_factor = 0.25f;
    }
    we_build_rope(b, &config, rope);
    b->c.head_dim = dim;
}

static uint32_t first_shared(const struct we_build *b)
{
    return b->c.num_hidden_layers - b->c.num_kv_shared_layers;
}

/* layers: by type, the last one that has keys and values of its own. */
static void build_attention(struct we_build *b, const struct we_rope ropes[NUM_TYPES], uint32_t layers[NUM_TYPES],
                            struct we_layer_parts *l)
{
    struct we_attention *a = &l->attention;
    *a = we_usual_attention(b, &ropes[0]);
    a->scale = 1;
    const bool slides = we_build_layer_type(b, (b->layer + 1) % b->c.sliding_window_pattern != 0, a);
    const bool raw = b->c.attention_k_eq_v && !slides;
    a->rope = ropes[slides];
    a->head_dim = a->v_head_dim = !slides && b->c.global_head_dim ? b->c.global_head_dim : b->c.head_dim;
    if (raw && b->c.num_global_key_value_heads)
        a->num_key_value_heads = b->c.num_global_key_value_heads;
    if (a->num_attention_heads % a->num_key_value_heads != 0)
        we_build_refuse(b, WE_INVALID_FORMAT, "num_attention_heads %u is no multiple of num_global_key_value_heads %u",
                        a->num_attention_heads, a->num_key_value_heads);
    const uint32_t hidden = b->c.hidden_size, q_rows = a->num_attention_heads * a->head_dim;
    const uint32_t kv_rows = a->num_key_value_heads * a->head_dim;
    we_build_linear(b, "self_attn.q_proj", q_rows, hidden, false, &a->q_proj);
    we_build_linear(b, "self_attn.o_proj", hidden, q_rows, false, &a->o_proj);
    we_build_norm_over(b, "self_attn.q_norm", a->head_dim, &a->q_norm);
    a->shares_kv = b->layer >= first_shared(b);
    if (a->shares_kv) {
        l->kv_layer = layers[slides];
        if (l->kv_layer == WE_NO_STATE)
            we_build_refuse(b, WE_INVALID_FORMAT, "layer %u shares keys and values, but no layer of its type has any",
                            b->layer);
        return;
    }
    layers[slides] = b->layer;
    we_build_linear(b, "self_attn.k_proj", kv_rows, hidden, false, &a->k_proj);
    if (!raw)
        we_build_linear(b, "self_attn.v_proj", kv_rows, hidden, false, &a->v_proj);
    we_build_norm_over(b, "self_attn.k_norm", a->head_dim, &a->k_norm);
    a->v_norm = b->norm;
    a->v_norm.width = a->head_dim;
}

/* The router's norm has weights of its own, and what it gives is divided by the root of its width. */
static void build_router(struct we_build *b, struct we_moe *moe)
{
    const uint32_t hidden = b->c.hidden_size;
    struct we_vector scale = {0};
    we_build_linear(b, "router.proj", b->c.num_experts, hidden, false, &moe->router);
    we_build_vector(b, "router", "per_expert_scale", b->c.num_experts, &moe->expert_scale);
    we_build_vector(b, "router", "scale", hidden, &scale);
    if (b->status != WE_OK)
        return;
    float *weights = we_arena_array(b->source->arena, hidden, sizeof *weights);
    if (weights == NULL) {
        b->status = we_error_memory(b->error, "the norm of a router");
        return;
    }
    const float root = (float)(1 / sqrt((double)hidden));
    for (uint32_t i = 0; i < hidden; i++)
        weights[i] = we_load_float(scale.data, scale.dtype, i) * root;
    moe->router_norm = b->norm;
    moe->router_norm.width = hidden;
    moe->router_norm.weight = (struct we_vector){weights, WE_F32, hidden};
}

static void build_feed_forward(struct we_build *b, struct we_layer_parts *l)
{
    const uint32_t wide = b->c.use_double_wide_mlp && b->layer >= first_shared(b) && first_shared(b) > 0 ? 2 : 1;
    l->feed_forward.activation = WE_ACTIVATION_GELU_TANH;
    we_build_mlp(b, "mlp.", b->c.intermediate_size * wide, false, &l->feed_forward);
    we_build_norm(b, "pre_feedforward_layernorm", &l->feed_forward_norm);
    we_build_norm(b, "post_feedforward_layernorm", &l->step_post_norm);
    if (!b->c.enable_moe_block)
        return;
    l->beside = true;
    l->moe = (struct we_moe){.norm_topk_prob = true, .experts.activation = WE_ACTIVATION_GELU_TANH};
    we_build_switch(b, "experts.switch_glu.", b->c.moe_intermediate_size, false, &l->moe);
    build_router(b, &l->moe);
    we_build_norm(b, "post_feedforward_layernorm_1", &l->feed_forward_post_norm);
    we_build_norm(b, "pre_feedforward_layernorm_2", &l->experts_norm);
    we_build_norm(b, "post_feedforward_layernorm_2", &l->experts_post_norm);
}

static void build_layer(struct we_build *b, const struct we_rope ropes[NUM_TYPES], uint32_t layers[NUM_TYPES])
{
    struct we_layer_parts l = {0};
    struct we_vector scalar = {0};
    const uint32_t width = b->c.hidden_size_per_layer_input;
    we_build_scope(b, "model.layers.%u", b->layer);
    we_build_vector(b, "", "layer_scalar", 1, &scalar);
    we_build_scope(b, "model.layers.%u.", b->layer);
    build_attention(b, ropes, layers, &l);
    we_build_norm(b, "input_layernorm", &l.attention_norm);
    we_build_norm(b, "post_attention_layernorm", &l.attention_post_norm);
    build_feed_forward(b, &l);
    if (width) {
        l.input = (struct we_layer_input){.activation = WE_ACTIVATION_GELU_TANH, .index = b->layer};
        we_build_linear(b, "per_layer_input_gate", width, b->c.hidden_size, false, &l.input.gate_proj);
        we_build_linear(b, "per_layer_projection", b->c.hidden_size, width, false, &l.input.out_proj);
        we_build_norm(b, "post_per_layer_input_norm", &l.input_post_norm);
    }
    if (b->status == WE_OK)
        l.stream_multiplier = we_load_float(scalar.data, scalar.dtype, 0);
    we_build_layer(b, &l);
}

static void build_inputs(struct we_build *b)
{
    const uint32_t width = b->c.hidden_size_per_layer_input, rows = b->c.num_hidden_layers * width;
    if (width == 0)
        return;
    struct we_layer_inputs *inputs = &b->decoder->layer_inputs;
    if (b->c.vocab_size_per_layer_input < b->c.vocab_size)
        we_build_refuse(b, WE_UNSUPPORTED, "vocab_size_per_layer_input is %u, less than the vocabulary's %u tokens",
                        b->c.vocab_size_per_layer_input, b->c.vocab_size);
    *inputs = (struct we_layer_inputs){.width = width,
                                       .embed_multiplier = (float)sqrt((double)width),
                                       .proj_multiplier = (float)(1 / sqrt((double)b->c.hidden_size)),
                                       .multiplier = (float)sqrt(0.5)};
    we_build_scope(b, "model.");
    we_build_linear(b, "embed_tokens_per_layer", b->c.vocab_size_per_layer_input, rows, false, &inputs->embed_tokens);
    we_build_linear(b, "per_layer_model_projection", rows, b->c.hidden_size, false, &inputs->proj);
    we_build_norm_over(b, "per_layer_projection_norm", width, &inputs->norm);
}

/* What mlx-lm removes: towers, ranges of quantised activations, and projections of keys and values that are shared. */
static bool is_passed_over(const struct we_build *b, struct we_str name)
{
    static const char *const parts[] = {"audio_tower", "embed_audio", "embed_vision", "vision_embedder",     "input_max",
                                        "input_min",   "output_max",  "output_min",   "self_attn.rotary_emb"};
    static const char *const shared[] = {".self_attn.k_proj", ".self_attn.v_proj", ".self_attn.k_norm"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (we_str_find(name, we_str_c(parts[i]), 0) != SIZE_MAX)
            return true;
    const uint32_t layer = we_layer_of(name);
    for (size_t i = 0; i < sizeof shared / sizeof *shared && layer != UINT32_MAX; i++)
        if (we_str_find(name, we_str_c(shared[i]), 0) != SIZE_MAX && layer >= first_shared(b))
            return true;
    return false;
}

static void describe(struct we_build *b)
{
    if (we_build_is_null(b, "hidden_size_per_layer_input"))
        b->c.hidden_size_per_layer_input = 0;
    if (we_build_is_null(b, "final_logit_softcapping"))
        b->c.final_logit_softcapping = 0;
    if (we_build_is_null(b, "global_head_dim"))
        b->c.global_head_dim = 0;
    if (b->c.num_kv_shared_layers > b->c.num_hidden_layers || b->c.sliding_window_pattern == 0 ||
        b->c.hidden_size_per_layer_input > 1u << 16 || b->c.global_head_dim > 4096 ||
        b->c.vocab_size_per_layer_input > 1u << 24 || b->c.num_global_key_value_heads > b->c.num_attention_heads)
        we_build_refuse(b, WE_INVALID_FORMAT,
                        "num_kv_shared_layers %u of %u layers, sliding_window_pattern %u, hidden_size_per_layer_input %u, "
                        "global_head_dim %u, num_global_key_value_heads %u; these are not the sizes of a model",
                        b->c.num_kv_shared_layers, b->c.num_hidden_layers, b->c.sliding_window_pattern,
                        b->c.hidden_size_per_layer_input, b->c.global_head_dim, b->c.num_global_key_value_heads);
    struct we_rope ropes[NUM_TYPES];
    uint32_t layers[NUM_TYPES] = {WE_NO_STATE, WE_NO_STATE};
    b->is_passed_over = is_passed_over;
    b->decoder->embedding_multiplier = (float)sqrt((double)b->c.hidden_size);
    b->decoder->final_logit_softcapping = b->c.final_logit_softcapping;
    for (int slides = 0; slides < NUM_TYPES; slides++)
        build_rope(b, slides, &ropes[slides]);
    while (b->status == WE_OK && b->layer < b->c.num_hidden_layers)
        build_layer(b, ropes, layers);
    b->decoder->num_states = first_shared(b);
    build_inputs(b);
    we_build_ends(b, &(struct we_ends){0});
}

#define GEMMA4_KEYS                                                                                                            \
    WE_U32(hidden_size), WE_U32(num_hidden_layers), WE_U32(intermediate_size), WE_U32(num_attention_heads), WE_U32(head_dim),  \
        WE_U32(global_head_dim), WE_FLOAT_AS("rms_norm_eps", norm_eps), WE_U32(vocab_size_per_layer_input),                    \
        WE_U32(num_key_value_heads), WE_U32(num_global_key_value_heads), WE_U32(num_kv_shared_layers),                         \
        WE_U32(hidden_size_per_layer_input), WE_BOOL(rope_traditional), WE_U32(sliding_window),                                \
        WE_U32(sliding_window_pattern), WE_U32(max_position_embeddings), WE_BOOL(attention_k_eq_v),                            \
        WE_FLOAT(final_logit_softcapping), WE_BOOL(use_double_wide_mlp), WE_BOOL(enable_moe_block), WE_U32(num_experts),       \
        WE_U32_AS("top_k_experts", num_experts_per_tok), WE_U32(moe_intermediate_size), WE_BOOL(tie_word_embeddings)
#define GEMMA4_DEFAULTS                                                                                                        \
    .hidden_size = 1536, .num_hidden_layers = 35, .intermediate_size = 6144, .num_attention_heads = 8, .head_dim = 256,        \
    .global_head_dim = 512, .norm_eps = 1e-6f, .vocab_size = 262144, .vocab_size_per_layer_input = 262144,                     \
    .num_key_value_heads = 1, .num_kv_shared_layers = 20, .hidden_size_per_layer_input = 256, .sliding_window = 512,           \
    .sliding_window_pattern = 5, .max_position_embeddings = 131072, .final_logit_softcapping = 30,                             \
    .use_double_wide_mlp = true, .tie_word_embeddings = true
static const struct we_key gemma4_text_keys[] = {GEMMA4_KEYS, WE_U32(vocab_size)};
const struct we_family we_family_gemma4_text = {
    .models = "Gemma 4, text",
    WE_KEYS(gemma4_text_keys),
    .defaults = {GEMMA4_DEFAULTS},
    .quant_predicate = "{\"*router.proj\": {\"bits\": 8, \"group_size\": 64}}",
    .describe = describe,
};

/* Within gemma4, whose outer config has the size of the vocabulary. */
static const struct we_key gemma4_keys[] = {GEMMA4_KEYS};
const struct we_family we_family_gemma4 = {
    .models = "Gemma 4 (its text part)",
    WE_KEYS(gemma4_keys),
    .defaults = {GEMMA4_DEFAULTS},
    .quant_predicate = "{\"*router.proj\": {\"bits\": 8, \"group_size\": 64}}",
    .describe = describe,
};

const struct we_family *we_text_part_gemma4(const struct we_config *outer, const struct we_config *text, struct we_keys *keys,
                                            struct we_error *error)
{
    (void)text;
    *keys = we_family_gemma4.defaults;
    return we_config_u32(outer, "vocab_size", &keys->vocab_size, error) == WE_OK ? &we_family_gemma4 : NULL;
}
