/* Qwen 3 Next and 3.5: gated delta in most layers, and attention with an output gate in every few. Defaults as in mlx-lm's
 * models/qwen3_next.py, qwen3_5.py and qwen3_5_moe.py. */
#include "arch/families.h"

/* Rows of a projection whose heads hold `all` rows each: those from `first` on, `rows` of each head. */
static struct we_linear of_heads(const struct we_linear *linear, uint32_t heads, uint32_t first, uint32_t rows, uint32_t all)
{
    struct we_linear view = *linear;
    view.first = first;
    view.block = rows;
    view.stride = all;
    view.rows = heads * rows;
    return view;
}

static void build_attention(struct we_build *b, const struct we_rope *rope, struct we_attention *a)
{
    const uint32_t hidden = b->c.hidden_size, dim = b->c.head_dim, heads = b->c.num_attention_heads;
    const uint32_t kv_rows = b->c.num_key_value_heads * dim;
    const bool bias = b->c.attention_bias;
    struct we_linear both = {0};
    *a = we_usual_attention(b, rope);
    we_build_linear(b, "self_attn.q_proj", 2 * heads * dim, hidden, bias, &both);
    a->q_proj = of_heads(&both, heads, 0, dim, 2 * dim);
    a->gate_proj = of_heads(&both, heads, dim, dim, 2 * dim);
    we_build_linear(b, "self_attn.k_proj", kv_rows, hidden, bias, &a->k_proj);
    we_build_linear(b, "self_attn.v_proj", kv_rows, hidden, bias, &a->v_proj);
    we_build_linear(b, "self_attn.o_proj", hidden, heads * dim, bias, &a->o_proj);
    we_build_norm_over(b, "self_attn.q_norm", dim, &a->q_norm);
    we_build_norm_over(b, "self_attn.k_norm", dim, &a->k_norm);
}

static void check_heads(struct we_build *b)
{
    const struct we_keys *c = &b->c;
    if (c->state_heads == 0 || c->state_heads > 4096 || c->state_groups == 0 || c->state_heads % c->state_groups != 0 ||
        c->state_keys == 0 || c->state_keys > 4096 || c->state_values == 0 || c->state_values > 4096)
        we_build_refuse(
            b, WE_INVALID_FORMAT,
            "linear attention with %u heads of %u values and %u heads of %u keys; these are not the sizes of a model",
            c->state_heads, c->state_values, c->state_groups, c->state_keys);
    if (c->conv_length == 0 || c->conv_length > 64)
        we_build_refuse(b, WE_INVALID_FORMAT, "linear_conv_kernel_dim is %u, where a number from 1 to 64 was expected",
                        c->conv_length);
    if (c->full_attention_interval == 0)
        we_build_refuse(b, WE_INVALID_FORMAT, "full_attention_interval is 0");
}

/* All but the projections. */
static void build_delta(struct we_build *b, struct we_gated_delta *g)
{
    const struct we_keys *c = &b->c;
    const uint32_t values = c->state_heads * c->state_values, keys = c->state_groups * c->state_keys;
    g->num_key_heads = c->state_groups;
    g->num_value_heads = c->state_heads;
    g->key_head_dim = c->state_keys;
    g->value_head_dim = c->state_values;
    g->conv_length = c->conv_length;
    we_build_taps(b, "linear_attn.conv1d", 2 * keys + values, c->conv_length, &g->conv);
    we_build_vector(b, "linear_attn", "A_log", c->state_heads, &g->a_log);
    we_build_vector(b, "linear_attn", "dt_bias", c->state_heads, &g->dt_bias);
    we_build_norm_over(b, "linear_attn.norm", c->state_values, &g->norm);
    we_build_linear(b, "linear_attn.out_proj", c->hidden_size, values, false, &g->out_proj);
}

/* Queries, keys, values and gates alternate by the heads of keys. */
static void build_mixed_delta(struct we_build *b, struct we_gated_delta *g)
{
    const uint32_t hidden = b->c.hidden_size, heads = b->c.state_groups, each = b->c.state_heads / heads;
    const uint32_t keys = b->c.state_keys, values = each * b->c.state_values, all = 2 * keys + 2 * values;
    struct we_linear qkvz = {0}, ba = {0};
    we_build_linear(b, "linear_attn.in_proj_qkvz", heads * all, hidden, false, &qkvz);
    we_build_linear(b, "linear_attn.in_proj_ba", 2 * b->c.state_heads, hidden, false, &ba);
    g->q_proj = of_heads(&qkvz, heads, 0, keys, all);
    g->k_proj = of_heads(&qkvz, heads, keys, keys, all);
    g->v_proj = of_heads(&qkvz, heads, 2 * keys, values, all);
    g->z_proj = of_heads(&qkvz, heads, 2 * keys + values, values, all);
    g->b_proj = of_heads(&ba, heads, 0, each, 2 * each);
    g->a_proj = of_heads(&ba, heads, each, each, 2 * each);
    build_delta(b, g);
}

static void build_separate_delta(struct we_build *b, struct we_gated_delta *g)
{
    const uint32_t hidden = b->c.hidden_size, heads = b->c.state_heads, keys = b->c.state_groups * b->c.state_keys;
    const uint32_t values = heads * b->c.state_values;
    struct we_linear qkv = {0};
    we_build_linear(b, "linear_attn.in_proj_qkv", 2 * keys + values, hidden, false, &qkv);
    g->q_proj = we_linear_view(&qkv, 0, keys);
    g->k_proj = we_linear_view(&qkv, keys, keys);
    g->v_proj = we_linear_view(&qkv, 2 * keys, values);
    we_build_linear(b, "linear_attn.in_proj_z", values, hidden, false, &g->z_proj);
    we_build_linear(b, "linear_attn.in_proj_b", heads, hidden, false, &g->b_proj);
    we_build_linear(b, "linear_attn.in_proj_a", heads, hidden, false, &g->a_proj);
    build_delta(b, g);
}

static void build_experts(struct we_build *b, struct we_moe *moe)
{
    *moe = (struct we_moe){.norm_topk_prob = b->c.norm_topk_prob};
    we_build_switch(b, "mlp.switch_mlp.", b->c.moe_intermediate_size, false, moe);
    we_build_linear(b, "mlp.gate", b->c.num_experts, b->c.hidden_size, false, &moe->router);
    we_build_mlp(b, "mlp.shared_expert.", b->c.shared_intermediate_size, false, &moe->shared);
    we_build_linear(b, "mlp.shared_expert_gate", 1, b->c.hidden_size, false, &moe->shared_gate);
}

static void describe(struct we_build *b, const struct we_rope_config *config, bool (*has_experts)(const struct we_build *),
                     void (*build_mixer)(struct we_build *, struct we_gated_delta *))
{
    struct we_rope rope;
    check_heads(b);
    we_build_rope(b, config, &rope);
    while (b->status == WE_OK && b->layer < b->c.num_hidden_layers) {
        struct we_layer_parts l = {0};
        we_build_scope(b, "model.layers.%u.", b->layer);
        if ((b->layer + 1) % b->c.full_attention_interval == 0)
            build_attention(b, &rope, &l.attention);
        else
            build_mixer(b, &l.gated_delta);
        we_build_norm(b, "input_layernorm", &l.attention_norm);
        we_build_norm(b, "post_attention_layernorm", &l.feed_forward_norm);
        if (has_experts(b))
            build_experts(b, &l.moe);
        else
            we_build_mlp(b, "mlp.", b->c.intermediate_size, false, &l.feed_forward);
        we_build_layer(b, &l);
    }
    we_build_ends(b, &(struct we_ends){0});
}

/* ---- qwen3_next ---- */

static bool has_experts(const struct we_build *b)
{
    const struct we_json *list = we_json_get(b->source->config.json, "mlp_only_layers");
    if (list && list->kind == WE_JSON_ARRAY)
        for (size_t i = 0; i < list->count; i++)
            if (list->items[i].is_integer && list->items[i].integer == b->layer)
                return false;
    return b->c.num_experts > 0 && b->c.decoder_sparse_step && (b->layer + 1) % b->c.decoder_sparse_step == 0;
}

static void describe_qwen3_next(struct we_build *b)
{
    const struct we_rope_config config = we_usual_rope(b, (uint32_t)((float)b->c.head_dim * b->c.partial_rotary_factor));
    describe(b, &config, has_experts, build_mixed_delta);
}

#define DELTA_KEYS                                                                                                             \
    WE_SIZES, WE_NEED_FLOAT_AS("rms_norm_eps", norm_eps), WE_NEED_U32_AS("linear_num_value_heads", state_heads),               \
        WE_NEED_U32_AS("linear_num_key_heads", state_groups), WE_NEED_U32_AS("linear_key_head_dim", state_keys),               \
        WE_NEED_U32_AS("linear_value_head_dim", state_values), WE_NEED_U32_AS("linear_conv_kernel_dim", conv_length),          \
        WE_U32(head_dim), WE_U32(full_attention_interval), WE_U32(num_experts), WE_U32(num_experts_per_tok),                   \
        WE_U32(decoder_sparse_step), WE_U32_AS("shared_expert_intermediate_size", shared_intermediate_size),                   \
        WE_U32(moe_intermediate_size), WE_BOOL(norm_topk_prob), WE_BOOL(attention_bias), WE_BOOL(tie_word_embeddings)
static const struct we_key qwen3_next_keys[] = {DELTA_KEYS, WE_NEED_FLOAT(partial_rotary_factor)};
static const char quant_predicate[] = "{\"*mlp.gate\": {\"bits\": 8, \"group_size\": 64}, \"*shared_expert_gate\": {\"bits\": "
                                      "8, \"group_size\": 64}}";
const struct we_family we_family_qwen3_next = {
    .models = "Qwen 3 Next (80B-A3B)",
    WE_KEYS(qwen3_next_keys),
    .defaults = {.full_attention_interval = 4},
    .quant_predicate = quant_predicate,
    .describe = describe_qwen3_next,
    .passed_over = {"mtp."},
};

/* ---- qwen3_5 ---- */

static bool has_experts_everywhere(const struct we_build *b)
{
    return b->c.num_experts > 0;
}

static void describe_qwen3_5(struct we_build *b)
{
    struct we_config parameters = {0};
    float factor = 0.25f;
    if (b->status == WE_OK)
        b->status = we_config_object(&b->source->config, "rope_parameters", b->source->arena, &parameters, b->error);
    const struct we_json *given = we_json_get(b->source->config.json, "rope_parameters");
    if (b->status == WE_OK && given && (parameters.json == NULL || parameters.json->count == 0)) /* null or {} */
        parameters = b->source->config;
    if (b->status == WE_OK && parameters.json)
        b->status = we_config_float(&parameters, "partial_rotary_factor", &factor, b->error);
    struct we_rope_config config = we_usual_rope(b, (uint32_t)((float)b->c.head_dim * factor));
    config.parameters_only = true;
    describe(b, &config, has_experts_everywhere, build_separate_delta);
}

static const struct we_key qwen3_5_keys[] = {DELTA_KEYS};
const struct we_family we_family_qwen3_5 = {
    .models = "Qwen 3.5, dense and with experts",
    WE_KEYS(qwen3_5_keys),
    .defaults = {.hidden_size = 4096,
                 .intermediate_size = 14336,
                 .num_hidden_layers = 32,
                 .num_attention_heads = 32,
                 .norm_eps = 1e-6f,
                 .vocab_size = 151936,
                 .num_key_value_heads = 8,
                 .max_position_embeddings = 131072,
                 .state_heads = 64,
                 .state_groups = 16,
                 .state_keys = 192,
                 .state_values = 128,
                 .conv_length = 4,
                 .full_attention_interval = 4,
                 .decoder_sparse_step = 1,
                 .norm_topk_prob = true,
                 .rope_theta = 100000},
    .quant_predicate = quant_predicate,
    .keeps_dtype = "A_log",
    .describe = describe_qwen3_5,
    .passed_over = {"mtp.", "model.visual"},
};

const struct we_family *we_text_part_qwen3_5(const struct we_config *outer, const struct we_config *text, struct we_keys *keys,
                                             struct we_error *error)
{
    (void)outer;
    (void)text;
    (void)error;
    *keys = we_family_qwen3_5.defaults;
    return &we_family_qwen3_5;
}
