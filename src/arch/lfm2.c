/* LFM2, dense and with experts: short convolutions, and attention in some layers. Defaults as in mlx-lm's models/lfm2.py and
 * lfm2_moe.py. */
#include "arch/families.h"

/* Layers of attention: full_attn_idxs, or those that layer_types calls full_attention. */
static bool has_attention(struct we_build *b)
{
    const struct we_json *config = b->source->config.json;
    const struct we_json *list = we_json_get(config, "full_attn_idxs"), *types = we_json_get(config, "layer_types");
    if (list && list->kind == WE_JSON_ARRAY) {
        for (size_t i = 0; i < list->count; i++)
            if (list->items[i].is_integer && list->items[i].integer == b->layer)
                return true;
        return false;
    }
    if (types && types->kind == WE_JSON_ARRAY && types->count == b->c.num_hidden_layers)
        return types->items[b->layer].kind == WE_JSON_STRING && we_str_equal_c(types->items[b->layer].string, "full_attention");
    we_build_refuse(b, WE_INVALID_FORMAT, "full_attn_idxs or layer_types must say which of the %u layers have attention",
                    b->c.num_hidden_layers);
    return false;
}

static void build_attention(struct we_build *b, const struct we_rope *rope, struct we_layer_parts *l)
{
    const uint32_t hidden = b->c.hidden_size, dim = b->c.head_dim;
    const uint32_t q_rows = b->c.num_attention_heads * dim, kv_rows = b->c.num_key_value_heads * dim;
    l->attention = we_usual_attention(b, rope);
    we_build_linear(b, "self_attn.q_proj", q_rows, hidden, false, &l->attention.q_proj);
    we_build_linear(b, "self_attn.k_proj", kv_rows, hidden, false, &l->attention.k_proj);
    we_build_linear(b, "self_attn.v_proj", kv_rows, hidden, false, &l->attention.v_proj);
    we_build_linear(b, "self_attn.out_proj", hidden, q_rows, false, &l->attention.o_proj);
    we_build_norm_over(b, "self_attn.q_layernorm", dim, &l->attention.q_norm);
    we_build_norm_over(b, "self_attn.k_layernorm", dim, &l->attention.k_norm);
}

static void build_conv(struct we_build *b, struct we_short_conv *conv)
{
    const uint32_t hidden = b->c.hidden_size;
    conv->length = b->c.conv_length;
    we_build_linear(b, "conv.in_proj", 3 * hidden, hidden, b->c.use_bias, &conv->in_proj);
    we_build_linear(b, "conv.out_proj", hidden, hidden, b->c.use_bias, &conv->out_proj);
    we_build_taps(b, "conv.conv", hidden, conv->length, &conv->weight);
    if (b->c.use_bias)
        we_build_vector(b, "conv.conv", "bias", hidden, &conv->bias);
}

static void describe(struct we_build *b, void (*build_feed_forward)(struct we_build *, struct we_layer_parts *))
{
    struct we_rope rope;
    struct we_rope_config config = we_usual_rope(b, b->c.head_dim);
    config.unscaled = true;
    we_build_rope(b, &config, &rope);
    if (b->c.conv_length == 0 || b->c.conv_length > 64)
        we_build_refuse(b, WE_INVALID_FORMAT, "conv_L_cache is %u, where a number from 1 to 64 was expected", b->c.conv_length);
    while (b->status == WE_OK && b->layer < b->c.num_hidden_layers) {
        struct we_layer_parts l = {0};
        we_build_scope(b, "model.layers.%u.", b->layer);
        if (has_attention(b))
            build_attention(b, &rope, &l);
        else
            build_conv(b, &l.short_conv);
        build_feed_forward(b, &l);
        we_build_norm(b, "operator_norm", &l.attention_norm);
        we_build_norm(b, "ffn_norm", &l.feed_forward_norm);
        we_build_layer(b, &l);
    }
    we_build_ends(b, &(struct we_ends){.norm = "model.embedding_norm", .tie = WE_TIED});
}

/* The width of the feed-forward, which may be adjusted. */
static void build_dense(struct we_build *b, struct we_layer_parts *l)
{
    uint32_t inner = b->c.intermediate_size;
    if (b->c.adjusts_width) {
        inner = (uint32_t)(2 * (uint64_t)inner / 3);
        if (b->c.width_multiplier != 0)
            inner = (uint32_t)(b->c.width_multiplier * (float)inner);
        const uint32_t unit = b->c.width_unit ? b->c.width_unit : 1;
        inner = (inner + unit - 1) / unit * unit;
    }
    we_build_linear(b, "feed_forward.w1", inner, b->c.hidden_size, false, &l->feed_forward.gate_proj);
    we_build_linear(b, "feed_forward.w3", inner, b->c.hidden_size, false, &l->feed_forward.up_proj);
    we_build_linear(b, "feed_forward.w2", b->c.hidden_size, inner, false, &l->feed_forward.down_proj);
}

static void describe_lfm2(struct we_build *b)
{
    describe(b, build_dense);
}

#define LFM2_KEYS                                                                                                              \
    WE_SIZES, WE_NEED_FLOAT(norm_eps), WE_BOOL_AS("conv_bias", use_bias), WE_NEED_U32_AS("conv_L_cache", conv_length)
static const struct we_key lfm2_keys[] = {
    LFM2_KEYS, WE_U32_AS("block_ff_dim", intermediate_size), WE_BOOL_AS("block_auto_adjust_ff_dim", adjusts_width),
    WE_FLOAT_AS("block_ffn_dim_multiplier", width_multiplier), WE_U32_AS("block_multiple_of", width_unit)};
const struct we_family we_family_lfm2 = {
    .models = "LFM2",
    WE_KEYS(lfm2_keys),
    .defaults = {.rope_theta = 1000000},
    .describe = describe_lfm2,
};

static void build_experts(struct we_build *b, struct we_layer_parts *l)
{
    if (b->layer < b->c.first_k_dense_replace) {
        we_build_mlp(b, "feed_forward.", b->c.intermediate_size, false, &l->feed_forward);
        return;
    }
    l->moe = (struct we_moe){.score = WE_ROUTER_SIGMOID,
                             .norm_topk_prob = b->c.norm_topk_prob,
                             .norm_eps = 1e-6f,
                             .routed_scaling_factor = b->c.routed_scaling_factor};
    we_build_switch(b, "feed_forward.switch_mlp.", b->c.moe_intermediate_size, false, &l->moe);
    we_build_linear(b, "feed_forward.gate", b->c.num_experts, b->c.hidden_size, false, &l->moe.router);
    if (b->c.has_expert_bias)
        we_build_vector(b, "feed_forward", "expert_bias", b->c.num_experts, &l->moe.correction_bias);
}

static void describe_lfm2_moe(struct we_build *b)
{
    describe(b, build_experts);
}

static const struct we_key lfm2_moe_keys[] = {LFM2_KEYS,
                                              WE_NEED_U32(moe_intermediate_size),
                                              WE_NEED_U32(num_experts),
                                              WE_NEED_U32(num_experts_per_tok),
                                              WE_BOOL(norm_topk_prob),
                                              WE_BOOL_AS("use_expert_bias", has_expert_bias),
                                              WE_U32_AS("num_dense_layers", first_k_dense_replace),
                                              WE_FLOAT(routed_scaling_factor)};
const struct we_family we_family_lfm2_moe = {
    .models = "LFM2 MoE (8B-A1B)",
    WE_KEYS(lfm2_moe_keys),
    .defaults = {.rope_theta = 1000000, .routed_scaling_factor = 1},
    .quant_predicate = "{\"*feed_forward.gate\": {\"bits\": 8, \"group_size\": 64}}",
    .keeps_dtype = "expert_bias",
    .describe = describe_lfm2_moe,
};
