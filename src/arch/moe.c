/* Mixtures of experts built like llama: Mixtral, Qwen 2 and 3 MoE, OLMoE, Granite MoE, MiniMax M2, Phi-3.5-MoE. Defaults as in
 * mlx-lm's models/mixtral.py, qwen2_moe.py, qwen3_moe.py, olmoe.py, granitemoe.py, minimax.py and phimoe.py. */
#include "arch/families.h"

/* What the families of this file tell each other apart by. */
struct shape {
    bool qkv_bias, out_bias;
    enum { NO_NORMS = 0, HEAD_NORMS, WHOLE_NORMS } norms; /* of queries and keys */
    bool unscaled, mscales;                               /* of rope */
    uint32_t rotary_dim;                                  /* 0: whole heads */
    const char *router, *experts;                         /* modules of a layer */
    bool expert_bias;
    uint32_t inner;                   /* of an expert */
    float residual_multiplier, scale; /* 0: the usual */
    struct we_moe moe;
    void (*add)(struct we_build *build, struct we_layer_parts *parts); /* what else a layer has */
    bool (*is_dense)(struct we_build *build);                          /* whether this layer has no experts */
};

static void build_norms(struct we_build *b, const struct shape *s, struct we_attention *a)
{
    const uint32_t dim = b->c.head_dim;
    if (s->norms == NO_NORMS)
        return;
    const bool whole = s->norms == WHOLE_NORMS;
    we_build_norm_over(b, "self_attn.q_norm", whole ? dim * b->c.num_attention_heads : dim, &a->q_norm);
    we_build_norm_over(b, "self_attn.k_norm", whole ? dim * b->c.num_key_value_heads : dim, &a->k_norm);
}

static void describe_layers(struct we_build *b, const struct shape *s)
{
    struct we_rope rope;
    struct we_rope_config config = we_usual_rope(b, s->rotary_dim ? s->rotary_dim : b->c.head_dim);
    config.unscaled = s->unscaled;
    config.longrope_mscales = s->mscales;
    we_build_rope(b, &config, &rope);
    while (b->status == WE_OK && b->layer < b->c.num_hidden_layers) {
        struct we_layer_parts l = {.attention = we_usual_attention(b, &rope), .residual_multiplier = s->residual_multiplier};
        if (s->scale != 0)
            l.attention.scale = s->scale;
        we_build_scope(b, "model.layers.%u.", b->layer);
        we_build_qkvo(b, "self_attn.", s->qkv_bias, s->out_bias, &l.attention);
        build_norms(b, s, &l.attention);
        we_build_norm(b, "input_layernorm", &l.attention_norm);
        we_build_norm(b, "post_attention_layernorm", &l.feed_forward_norm);
        if (s->is_dense && s->is_dense(b)) {
            we_build_mlp(b, "mlp.", b->c.intermediate_size, false, &l.feed_forward);
        } else {
            l.moe = s->moe;
            we_build_switch(b, s->experts, s->inner, s->expert_bias, &l.moe);
            we_build_linear(b, s->router, b->c.num_experts, b->c.hidden_size, false, &l.moe.router);
            if (s->add)
                s->add(b, &l);
        }
        we_build_layer(b, &l);
    }
}

/* ---- mixtral ---- */

static void describe_mixtral(struct we_build *b)
{
    describe_layers(b, &(struct shape){.unscaled = true,
                                       .router = "block_sparse_moe.gate",
                                       .experts = "block_sparse_moe.switch_mlp.",
                                       .inner = b->c.intermediate_size,
                                       .moe = {.norm_topk_prob = true}});
    we_build_ends(b, &(struct we_ends){0});
}

static const struct we_key mixtral_keys[] = {WE_SIZES,
                                             WE_FLOAT_AS("rms_norm_eps", norm_eps),
                                             WE_U32(num_experts_per_tok),
                                             WE_U32_AS("num_local_experts", num_experts),
                                             WE_BOOL(rope_traditional),
                                             WE_BOOL(tie_word_embeddings)};
const struct we_family we_family_mixtral = {
    .models = "Mixtral",
    WE_KEYS(mixtral_keys),
    .defaults = {.vocab_size = 32000,
                 .hidden_size = 4096,
                 .intermediate_size = 14336,
                 .num_hidden_layers = 32,
                 .num_attention_heads = 32,
                 .num_key_value_heads = 8,
                 .num_experts_per_tok = 2,
                 .num_experts = 8,
                 .norm_eps = 1e-5f,
                 .rope_theta = 1000000},
    .describe = describe_mixtral,
};

/* ---- qwen ---- */

static void add_shared_expert(struct we_build *b, struct we_layer_parts *l)
{
    we_build_mlp(b, "mlp.shared_expert.", b->c.shared_intermediate_size, false, &l->moe.shared);
    we_build_linear(b, "mlp.shared_expert_gate", 1, b->c.hidden_size, false, &l->moe.shared_gate);
}

static void describe_qwen2_moe(struct we_build *b)
{
    describe_layers(b, &(struct shape){.qkv_bias = true,
                                       .unscaled = true,
                                       .router = "mlp.gate",
                                       .experts = "mlp.switch_mlp.",
                                       .inner = b->c.moe_intermediate_size,
                                       .add = add_shared_expert});
    we_build_ends(b, &(struct we_ends){.tie = WE_UNTIED});
}

#define QWEN_KEYS                                                                                                              \
    WE_SIZES, WE_RMS_NORM_EPS, WE_NEED_U32(num_experts), WE_NEED_U32(num_experts_per_tok), WE_NEED_U32(moe_intermediate_size)
static const struct we_key qwen2_moe_keys[] = {
    QWEN_KEYS, WE_NEED_U32_AS("shared_expert_intermediate_size", shared_intermediate_size), WE_BOOL(rope_traditional)};
const struct we_family we_family_qwen2_moe = {
    .models = "Qwen 1.5 MoE, Qwen 2 MoE",
    WE_KEYS(qwen2_moe_keys),
    .defaults = {.rope_theta = 1000000},
    .describe = describe_qwen2_moe,
};

/* Layers of the list mlp_only_layers, and those between every decoder_sparse_step-th, are dense. */
static bool is_dense_qwen3(struct we_build *b)
{
    const struct we_json *list = we_json_get(b->source->config.json, "mlp_only_layers");
    if (list && list->kind == WE_JSON_ARRAY)
        for (size_t i = 0; i < list->count; i++)
            if (list->items[i].is_integer && list->items[i].integer == b->layer)
                return true;
    return b->c.num_experts == 0 || b->c.decoder_sparse_step == 0 || (b->layer + 1) % b->c.decoder_sparse_step != 0;
}

static void describe_qwen3_moe(struct we_build *b)
{
    describe_layers(b, &(struct shape){.norms = HEAD_NORMS,
                                       .unscaled = true,
                                       .router = "mlp.gate",
                                       .experts = "mlp.switch_mlp.",
                                       .inner = b->c.moe_intermediate_size,
                                       .moe = {.norm_topk_prob = b->c.norm_topk_prob},
                                       .is_dense = is_dense_qwen3});
    we_build_ends(b, &(struct we_ends){0});
}

static const struct we_key qwen3_moe_keys[] = {QWEN_KEYS, WE_NEED_U32(head_dim), WE_U32(decoder_sparse_step),
                                               WE_BOOL(norm_topk_prob), WE_BOOL(tie_word_embeddings)};
const struct we_family we_family_qwen3_moe = {
    .models = "Qwen 3 MoE (30B-A3B, 235B-A22B, Coder)",
    WE_KEYS(qwen3_moe_keys),
    .defaults = {.rope_theta = 1000000, .decoder_sparse_step = 1},
    .quant_predicate = "{\"*mlp.gate\": {\"bits\": 8, \"group_size\": 64}}",
    .describe = describe_qwen3_moe,
};

/* ---- olmoe ---- */

static void describe_olmoe(struct we_build *b)
{
    describe_layers(b, &(struct shape){.qkv_bias = b->c.attention_bias,
                                       .out_bias = b->c.attention_bias,
                                       .norms = WHOLE_NORMS,
                                       .router = "mlp.gate",
                                       .experts = "mlp.switch_mlp.",
                                       .expert_bias = b->c.mlp_bias,
                                       .inner = b->c.intermediate_size,
                                       .moe = {.norm_topk_prob = b->c.norm_topk_prob}});
    we_build_ends(b, &(struct we_ends){0});
}

static const struct we_key olmoe_keys[] = {WE_SIZES,
                                           WE_RMS_NORM_EPS,
                                           WE_NEED_U32(num_experts),
                                           WE_NEED_U32(num_experts_per_tok),
                                           WE_U32(head_dim),
                                           WE_BOOL(norm_topk_prob),
                                           WE_BOOL(attention_bias),
                                           WE_BOOL(mlp_bias),
                                           WE_BOOL(rope_traditional),
                                           WE_BOOL(tie_word_embeddings)};
const struct we_family we_family_olmoe = {
    .models = "OLMoE",
    WE_KEYS(olmoe_keys),
    .defaults = {.rope_theta = 10000, .tie_word_embeddings = true},
    .describe = describe_olmoe,
};

/* ---- granitemoe ---- */

static void describe_granitemoe(struct we_build *b)
{
    b->decoder->embedding_multiplier = b->c.embedding_multiplier;
    b->decoder->logit_multiplier = 1 / b->c.logits_scaling;
    describe_layers(b, &(struct shape){.qkv_bias = b->c.attention_bias,
                                       .out_bias = b->c.attention_bias,
                                       .router = "block_sparse_moe.router.layer",
                                       .experts = "block_sparse_moe.switch_mlp.",
                                       .inner = b->c.intermediate_size,
                                       .residual_multiplier = b->c.residual_multiplier,
                                       .scale = b->c.attention_multiplier,
                                       .moe = {.norm_topk_prob = true}});
    we_build_ends(b, &(struct we_ends){0});
}

static const struct we_key granitemoe_keys[] = {WE_SIZES,
                                                WE_RMS_NORM_EPS,
                                                WE_NEED_FLOAT(logits_scaling),
                                                WE_NEED_FLOAT(attention_multiplier),
                                                WE_NEED_FLOAT(embedding_multiplier),
                                                WE_NEED_FLOAT(residual_multiplier),
                                                WE_NEED_U32_AS("num_local_experts", num_experts),
                                                WE_NEED_U32(num_experts_per_tok),
                                                WE_BOOL(attention_bias),
                                                WE_BOOL(tie_word_embeddings)};
const struct we_family we_family_granitemoe = {
    .models = "Granite 3 MoE",
    WE_KEYS(granitemoe_keys),
    .defaults = {.rope_theta = 10000, .tie_word_embeddings = true},
    .quant_predicate = "{\"*block_sparse_moe.router.layer\": {\"bits\": 8, \"group_size\": 64}, \"*self_attn.o_proj\": "
                       "{\"bits\": 8, \"group_size\": 64}, \"*mlp.down_proj\": {\"bits\": 8, \"group_size\": 64}, \"lm_head\": "
                       "{\"bits\": 8, \"group_size\": 64}}",
    .describe = describe_granitemoe,
};

/* ---- minimax ---- */

static void add_correction(struct we_build *b, struct we_layer_parts *l)
{
    we_build_vector(b, "block_sparse_moe", "e_score_correction_bias", b->c.num_experts, &l->moe.correction_bias);
}

static void describe_minimax(struct we_build *b)
{
    describe_layers(b, &(struct shape){.norms = b->c.use_qk_norm ? WHOLE_NORMS : NO_NORMS,
                                       .unscaled = true,
                                       .rotary_dim = b->c.rotary_dim,
                                       .router = "block_sparse_moe.gate",
                                       .experts = "block_sparse_moe.switch_mlp.",
                                       .inner = b->c.intermediate_size,
                                       .moe = {.score = WE_ROUTER_SIGMOID, .norm_topk_prob = true, .norm_eps = 1e-20f},
                                       .add = add_correction});
    we_build_ends(b, &(struct we_ends){0});
}

static const struct we_key minimax_keys[] = {WE_SIZES,
                                             WE_RMS_NORM_EPS,
                                             WE_NEED_U32_AS("num_local_experts", num_experts),
                                             WE_NEED_U32(num_experts_per_tok),
                                             WE_NEED_U32(rotary_dim),
                                             WE_U32(head_dim),
                                             WE_BOOL(use_qk_norm),
                                             WE_BOOL(tie_word_embeddings)};
const struct we_family we_family_minimax = {
    .models = "MiniMax M2",
    WE_KEYS(minimax_keys),
    .defaults = {.rope_theta = 5000000, .use_qk_norm = true},
    .quant_predicate = "{\"*block_sparse_moe.gate\": {\"bits\": 8, \"group_size\": 64}}",
    .keeps_dtype = "e_score_correction_bias",
    .describe = describe_minimax,
};

/* ---- phimoe ---- */

static void describe_phimoe(struct we_build *b)
{
    b->norm.kind = WE_NORM_LAYER;
    b->norm_bias = true;
    describe_layers(b, &(struct shape){.qkv_bias = true,
                                       .out_bias = true,
                                       .mscales = true,
                                       .router = "block_sparse_moe.gate",
                                       .experts = "block_sparse_moe.switch_mlp.",
                                       .inner = b->c.intermediate_size,
                                       .moe = {.score = WE_ROUTER_SPARSEMIXER, .jitter = b->c.router_jitter_noise}});
    we_build_ends(b, &(struct we_ends){.tie = WE_UNTIED, .head_bias = true});
}

static const struct we_key phimoe_keys[] = {WE_SIZES,
                                            WE_FLOAT_AS("rms_norm_eps", norm_eps),
                                            WE_U32(original_max_position_embeddings),
                                            WE_U32_AS("num_local_experts", num_experts),
                                            WE_U32(num_experts_per_tok),
                                            WE_FLOAT(router_jitter_noise)};
const struct we_family we_family_phimoe = {
    .models = "Phi-3.5-MoE, Phi-mini-MoE",
    WE_KEYS(phimoe_keys),
    .defaults = {.vocab_size = 32064,
                 .hidden_size = 4096,
                 .intermediate_size = 6400,
                 .num_hidden_layers = 32,
                 .num_attention_heads = 32,
                 .num_key_value_heads = 8,
                 .max_position_embeddings = 131072,
                 .original_max_position_embeddings = 4096,
                 .norm_eps = 1e-6f,
                 .num_experts = 16,
                 .num_experts_per_tok = 2,
                 .rope_theta = 10000,
                 .router_jitter_noise = 0.01f},
    .describe = describe_phimoe,
};
