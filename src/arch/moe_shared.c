/* Mixtures with shared experts and some dense layers: GLM-4.5 and 4.6, dots.llm1, ERNIE 4.5, Ling (bailing_moe). Defaults as in
 * mlx-lm's models/glm4_moe.py, dots1.py, ernie4_5_moe.py and bailing_moe.py. */
#include "arch/families.h"

#include <math.h>
#include <stdio.h>

/* ---- sigmoid routers with a correction that only chooses: glm4_moe, dots1 ---- */

static void describe_corrected(struct we_build *b, uint32_t rotary_dim, bool unscaled, const char *experts, enum we_tie tie)
{
    const struct we_moe moe = {.score = WE_ROUTER_SIGMOID,
                               .num_groups = b->c.n_group,
                               .top_groups = b->c.topk_group,
                               .norm_topk_prob = b->c.norm_topk_prob && b->c.num_experts_per_tok > 1,
                               .routed_scaling_factor = b->c.routed_scaling_factor};
    struct we_rope rope;
    struct we_rope_config config = we_usual_rope(b, rotary_dim);
    config.unscaled = unscaled;
    we_build_rope(b, &config, &rope);
    while (b->status == WE_OK && b->layer < b->c.num_hidden_layers) {
        struct we_layer_parts l = {.attention = we_usual_attention(b, &rope)};
        we_build_scope(b, "model.layers.%u.", b->layer);
        we_build_qkvo(b, "self_attn.", b->c.attention_bias, false, &l.attention);
        if (b->c.use_qk_norm) {
            we_build_norm_over(b, "self_attn.q_norm", b->c.head_dim, &l.attention.q_norm);
            we_build_norm_over(b, "self_attn.k_norm", b->c.head_dim, &l.attention.k_norm);
        }
        we_build_norm(b, "input_layernorm", &l.attention_norm);
        we_build_norm(b, "post_attention_layernorm", &l.feed_forward_norm);
        if (b->layer < b->c.first_k_dense_replace) {
            we_build_mlp(b, "mlp.", b->c.intermediate_size, b->c.mlp_bias, &l.feed_forward);
        } else {
            l.moe = moe;
            we_build_switch(b, experts, b->c.moe_intermediate_size, false, &l.moe);
            we_build_array(b, "mlp.gate", b->c.num_experts, b->c.hidden_size, &l.moe.router);
            we_build_vector(b, "mlp.gate", "e_score_correction_bias", b->c.num_experts, &l.moe.correction_bias);
            if (b->c.num_shared_experts)
                we_build_mlp(b, "mlp.shared_experts.", b->c.moe_intermediate_size * b->c.num_shared_experts, b->c.mlp_bias,
                             &l.moe.shared);
        }
        we_build_layer(b, &l);
    }
    we_build_ends(b, &(struct we_ends){.tie = tie});
}

/* The layer that predicts further tokens stands after the last one. */
static bool is_extra_layer(const struct we_build *b, struct we_str name)
{
    char prefix[48];
    snprintf(prefix, sizeof prefix, "model.layers.%u", b->c.num_hidden_layers);
    return we_str_starts_with(name, we_str_c(prefix));
}

static void describe_glm4_moe(struct we_build *b)
{
    b->is_passed_over = is_extra_layer;
    describe_corrected(b, (uint32_t)((float)b->c.head_dim * b->c.partial_rotary_factor), true, "mlp.switch_mlp.", WE_UNTIED);
}

#define CORRECTED_KEYS                                                                                                         \
    WE_SIZES, WE_RMS_NORM_EPS, WE_NEED_U32(moe_intermediate_size), WE_NEED_U32_AS("n_routed_experts", num_experts),            \
        WE_U32_AS("n_shared_experts", num_shared_experts), WE_NEED_U32(num_experts_per_tok), WE_U32(first_k_dense_replace),    \
        WE_U32(n_group), WE_U32(topk_group), WE_NEED_FLOAT(routed_scaling_factor), WE_BOOL(norm_topk_prob)
static const struct we_key glm4_moe_keys[] = {CORRECTED_KEYS, WE_NEED_U32(head_dim), WE_NEED_FLOAT(partial_rotary_factor),
                                              WE_BOOL(attention_bias), WE_BOOL(use_qk_norm)};
const struct we_family we_family_glm4_moe = {
    .models = "GLM-4.5, 4.6 and 4.7",
    WE_KEYS(glm4_moe_keys),
    .defaults = {.rope_theta = 1000000},
    .keeps_dtype = "e_score_correction_bias",
    .describe = describe_glm4_moe,
};

static void describe_dots1(struct we_build *b)
{
    describe_corrected(b, b->c.head_dim, false, "mlp.experts.", WE_TIE_BY_CONFIG);
}

static const struct we_key dots1_keys[] = {CORRECTED_KEYS, WE_U32(head_dim), WE_BOOL(mlp_bias), WE_BOOL(tie_word_embeddings)};
const struct we_family we_family_dots1 = {
    .models = "dots.llm1",
    WE_KEYS(dots1_keys),
    .defaults = {.rope_theta = 10000, .n_group = 1, .topk_group = 1, .use_qk_norm = true},
    .describe = describe_dots1,
};

/* ---- ernie4_5_moe ---- */

/* A layer index, or a list of them, of which the least or the greatest counts. */
static uint32_t layer_index(struct we_build *b, const char *key, bool greatest, uint32_t value)
{
    const uint32_t *values = NULL;
    uint32_t count = 0;
    if (b->status == WE_OK)
        b->status = we_config_u32s(&b->source->config, key, b->source->arena, &values, &count, b->error);
    for (uint32_t i = 0; b->status == WE_OK && i < count; i++)
        if (i == 0 || (greatest ? values[i] > value : values[i] < value))
            value = values[i];
    return value;
}

static enum we_router_score router_score(struct we_build *b, const char *key)
{
    struct we_str name = we_str_c("softmax");
    if (b->status == WE_OK)
        b->status = we_config_string(&b->source->config, key, &name, b->error);
    if (we_str_equal_c(name, "sigmoid"))
        return WE_ROUTER_SIGMOID;
    if (!we_str_equal_c(name, "softmax"))
        we_build_refuse(b, WE_UNSUPPORTED, "%s is '%.*s'; softmax and sigmoid are implemented", key, WE_STR_ARG(name));
    return WE_ROUTER_SOFTMAX;
}

static void describe_ernie4_5_moe(struct we_build *b)
{
    const struct we_moe moe = {.score = router_score(b, "moe_gate_act"), .norm_topk_prob = true};
    const uint32_t first = layer_index(b, "moe_layer_start_index", false, 0);
    const uint32_t last = layer_index(b, "moe_layer_end_index", true, b->c.num_hidden_layers - 1);
    const uint32_t inner = b->c.moe_intermediate_size ? b->c.moe_intermediate_size : b->c.intermediate_size;
    struct we_rope rope;
    struct we_rope_config config = we_usual_rope(b, b->c.head_dim);
    config.unscaled = config.interleaved = true;
    we_build_rope(b, &config, &rope);
    while (b->status == WE_OK && b->layer < b->c.num_hidden_layers) {
        struct we_layer_parts l = {.attention = we_usual_attention(b, &rope)};
        we_build_scope(b, "model.layers.%u.", b->layer);
        we_build_qkvo(b, "self_attn.", b->c.use_bias, b->c.use_bias, &l.attention);
        we_build_norm(b, "input_layernorm", &l.attention_norm);
        we_build_norm(b, "post_attention_layernorm", &l.feed_forward_norm);
        const uint32_t interval = b->c.decoder_sparse_step ? b->c.decoder_sparse_step : 1;
        if ((b->layer + 1) % interval == 0 && b->layer >= first && b->layer <= last) {
            l.moe = moe;
            we_build_switch(b, "mlp.switch_mlp.", inner, b->c.use_bias, &l.moe);
            we_build_linear(b, "mlp.gate", b->c.num_experts, b->c.hidden_size, false, &l.moe.router);
            if (b->c.num_shared_experts)
                we_build_mlp(b, "mlp.shared_experts.", inner * b->c.num_shared_experts, b->c.use_bias, &l.moe.shared);
        } else {
            we_build_mlp(b, "mlp.", b->c.intermediate_size, b->c.use_bias, &l.feed_forward);
        }
        we_build_layer(b, &l);
    }
    we_build_ends(b, &(struct we_ends){0});
}

static const struct we_key ernie4_5_moe_keys[] = {WE_SIZES,
                                                  WE_RMS_NORM_EPS,
                                                  WE_U32(head_dim),
                                                  WE_NEED_U32_AS("moe_num_experts", num_experts),
                                                  WE_U32_AS("moe_k", num_experts_per_tok),
                                                  WE_U32(moe_intermediate_size),
                                                  WE_U32_AS("moe_num_shared_experts", num_shared_experts),
                                                  WE_U32_AS("moe_layer_interval", decoder_sparse_step),
                                                  WE_BOOL(use_bias),
                                                  WE_BOOL(tie_word_embeddings)};
const struct we_family we_family_ernie4_5_moe = {
    .models = "ERNIE 4.5 MoE",
    WE_KEYS(ernie4_5_moe_keys),
    .defaults = {.rope_theta = 500000, .num_experts_per_tok = 1, .decoder_sparse_step = 1},
    .describe = describe_ernie4_5_moe,
    .passed_over = {"mtp_block.", "mtp_linear_proj.", "mtp_hidden_norm.", "mtp_emb_norm.", "e_score_correction_bias"},
};

/* ---- bailing_moe ---- */

/* norm_head: the columns of the head have length 1. Plain weights may not have it yet: a copy has. */
static void norm_head(struct we_build *b)
{
    struct we_linear *head = &b->decoder->lm_head;
    if (b->status != WE_OK || head->mode != WE_QUANT_NONE || b->source->shapes_only)
        return;
    const size_t size = we_dtype_size(head->dtype);
    char *data = we_arena_array(b->source->arena, (size_t)head->rows * head->in, size);
    double *squares = we_arena_array(b->source->arena, head->in, sizeof *squares);
    if (data == NULL || squares == NULL) {
        b->status = we_error_memory(b->error, "the normed head");
        return;
    }
    for (size_t i = 0; i < (size_t)head->rows * head->in; i++) {
        const double value = we_load_float(head->data, head->dtype, i);
        squares[i % head->in] += value * value;
    }
    for (size_t i = 0; i < (size_t)head->rows * head->in; i++) {
        const float norm = (float)sqrt(squares[i % head->in]) + 1e-7f;
        we_store_float(data, head->dtype, i, we_load_float(head->data, head->dtype, i) / norm);
    }
    head->data = data;
}

static void describe_bailing_layer(struct we_build *b, const struct we_rope *rope, const struct we_moe *moe)
{
    const uint32_t hidden = b->c.hidden_size, q_rows = b->c.num_attention_heads * b->c.head_dim;
    struct we_layer_parts l = {.attention = we_usual_attention(b, rope)};
    we_build_scope(b, "model.layers.%u.", b->layer);
    we_build_fused_qkv(b, "attention.query_key_value", b->c.attention_bias, &l.attention);
    we_build_linear(b, "attention.dense", hidden, q_rows, b->c.use_bias, &l.attention.o_proj);
    if (b->c.use_qk_norm) {
        we_build_norm_over(b, "attention.query_layernorm", b->c.head_dim, &l.attention.q_norm);
        we_build_norm_over(b, "attention.key_layernorm", b->c.head_dim, &l.attention.k_norm);
    }
    we_build_norm(b, "input_layernorm", &l.attention_norm);
    we_build_norm(b, "post_attention_layernorm", &l.feed_forward_norm);
    if (b->layer < b->c.first_k_dense_replace) {
        we_build_mlp(b, "mlp.", b->c.intermediate_size, b->c.use_bias, &l.feed_forward);
    } else {
        const uint32_t shared = b->c.shared_intermediate_size ? b->c.shared_intermediate_size : b->c.moe_intermediate_size;
        l.moe = *moe;
        we_build_switch(b, "mlp.switch_mlp.", b->c.moe_intermediate_size, b->c.use_bias, &l.moe);
        we_build_linear(b, "mlp.gate.gate_proj", b->c.num_experts, hidden, false, &l.moe.router);
        if (b->c.has_expert_bias)
            we_build_vector(b, "mlp.gate", "expert_bias", b->c.num_experts, &l.moe.correction_bias);
        if (b->c.num_shared_experts && b->c.has_shared_expert)
            we_build_mlp(b, "mlp.shared_experts.", shared * b->c.num_shared_experts, b->c.use_bias, &l.moe.shared);
    }
    we_build_layer(b, &l);
}

static void describe_bailing_moe(struct we_build *b)
{
    const struct we_moe moe = {.score = router_score(b, "score_function"),
                               .num_groups = b->c.n_group,
                               .top_groups = b->c.topk_group,
                               .norm_topk_prob = b->c.norm_topk_prob && b->c.num_experts_per_tok > 1,
                               .norm_eps = 1e-20f,
                               .routed_scaling_factor = b->c.routed_scaling_factor};
    const uint32_t partial = (uint32_t)((float)b->c.head_dim * b->c.partial_rotary_factor);
    struct we_rope rope;
    const struct we_rope_config config = we_usual_rope(b, b->c.rotary_dim ? b->c.rotary_dim : partial);
    we_build_rope(b, &config, &rope);
    while (b->status == WE_OK && b->layer < b->c.num_hidden_layers)
        describe_bailing_layer(b, &rope, &moe);
    we_build_ends(b, &(struct we_ends){.embed_tokens = "model.word_embeddings"});
    if (b->c.norm_head && !b->tied)
        norm_head(b);
}

static const struct we_key bailing_moe_keys[] = {WE_SIZES,
                                                 WE_RMS_NORM_EPS,
                                                 WE_NEED_U32(moe_intermediate_size),
                                                 WE_NEED_U32(num_experts),
                                                 WE_NEED_U32(num_experts_per_tok),
                                                 WE_U32(num_shared_experts),
                                                 WE_U32(first_k_dense_replace),
                                                 WE_U32(n_group),
                                                 WE_U32(topk_group),
                                                 WE_U32(rotary_dim),
                                                 WE_U32_AS("moe_shared_expert_intermediate_size", shared_intermediate_size),
                                                 WE_FLOAT(partial_rotary_factor),
                                                 WE_FLOAT(routed_scaling_factor),
                                                 WE_BOOL(norm_topk_prob),
                                                 WE_BOOL(use_bias),
                                                 WE_BOOL_AS("use_qkv_bias", attention_bias),
                                                 WE_BOOL(use_qk_norm),
                                                 WE_BOOL(norm_head),
                                                 WE_BOOL_AS("moe_router_enable_expert_bias", has_expert_bias),
                                                 WE_BOOL_AS("moe_router_enable_shared_expert", has_shared_expert),
                                                 WE_BOOL(tie_word_embeddings)};
const struct we_family we_family_bailing_moe = {
    .models = "Ling, Ring (bailing_moe)",
    WE_KEYS(bailing_moe_keys),
    .defaults = {.rope_theta = 600000,
                 .partial_rotary_factor = 1,
                 .routed_scaling_factor = 1,
                 .n_group = 1,
                 .topk_group = 4,
                 .has_shared_expert = true},
    .quant_predicate = "{\"*mlp.gate.gate_proj\": {\"bits\": 8, \"group_size\": 64}}",
    .keeps_dtype = "expert_bias",
    .describe = describe_bailing_moe,
};
