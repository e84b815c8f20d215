/* Latent attention and mixtures of experts: DeepSeek V2 and V3, Kimi K2, GLM-4.7 Flash. Defaults as in mlx-lm's models/
 * deepseek_v3.py, deepseek_v2.py and glm4_moe_lite.py. */
#include "arch/families.h"

#include <math.h>
#include <stdio.h>

/* What the families of this file tell each other apart by. */
struct shape {
    float norm_eps;  /* of the norms of q_a_proj and of the latent; 0: the config's */
    bool keeps_kv_b; /* its two parts are one tensor, kv_b_proj */
    const char *rope; /* the type of rope, whatever the config says; NULL: as it says */
    struct we_moe moe;
};

/* ---- layers ---- */

static void build_heads(struct we_build *b, const struct shape *s, struct we_latent_attention *a)
{
    const uint32_t heads = a->num_attention_heads;
    if (s->keeps_kv_b) {
        we_build_kv_b(b, "self_attn.kv_b_proj", a);
        return;
    }
    we_build_experts(b, "self_attn.embed_q", heads, a->latent_dim, a->nope_head_dim, false, &a->embed_q);
    we_build_experts(b, "self_attn.unembed_out", heads, a->v_head_dim, a->latent_dim, false, &a->unembed_out);
}

static void build_attention(struct we_build *b, const struct shape *s, const struct we_latent_attention *usual,
                            struct we_latent_attention *a)
{
    *a = *usual;
    const struct we_norm norm = b->norm;
    const uint32_t hidden = b->c.hidden_size, rank = b->c.q_lora_rank, heads = a->num_attention_heads;
    const uint32_t q_rows = heads * (a->nope_head_dim + a->rope_head_dim);
    if (s->norm_eps != 0)
        b->norm.eps = s->norm_eps;
    if (rank) {
        we_build_linear(b, "self_attn.q_a_proj", rank, hidden, b->c.attention_bias, &a->q_a_proj);
        we_build_norm_over(b, "self_attn.q_a_layernorm", rank, &a->q_a_norm);
        we_build_linear(b, "self_attn.q_b_proj", q_rows, rank, false, &a->q_proj);
    } else {
        we_build_linear(b, "self_attn.q_proj", q_rows, hidden, false, &a->q_proj);
    }
    struct we_linear kv = {0};
    we_build_linear(b, "self_attn.kv_a_proj_with_mqa", a->latent_dim + a->rope_head_dim, hidden, b->c.attention_bias, &kv);
    a->latent_proj = we_linear_view(&kv, 0, a->latent_dim);
    a->rope_proj = we_linear_view(&kv, a->latent_dim, a->rope_head_dim);
    we_build_norm_over(b, "self_attn.kv_a_layernorm", a->latent_dim, &a->latent_norm);
    build_heads(b, s, a);
    we_build_linear(b, "self_attn.o_proj", hidden, heads * a->v_head_dim, b->c.attention_bias, &a->o_proj);
    b->norm = norm;
}

static void build_experts(struct we_build *b, const struct shape *s, struct we_layer_parts *l)
{
    l->moe = s->moe;
    we_build_switch(b, "mlp.switch_mlp.", b->c.moe_intermediate_size, false, &l->moe);
    we_build_array(b, "mlp.gate", b->c.num_experts, b->c.hidden_size, &l->moe.router);
    if (s->moe.score == WE_ROUTER_SIGMOID)
        we_build_vector(b, "mlp.gate", "e_score_correction_bias", b->c.num_experts, &l->moe.correction_bias);
    if (b->c.num_shared_experts)
        we_build_mlp(b, "mlp.shared_experts.", b->c.moe_intermediate_size * b->c.num_shared_experts, false, &l->moe.shared);
}

/* 1 / sqrt of the queries' width, and, where positions are stretched, the square of what that does to the scores. */
static float scale_of(struct we_build *b)
{
    double scale = 1 / sqrt((double)b->c.qk_nope_head_dim + b->c.head_dim);
    struct we_config scaling = {0};
    float factor = 1, mscale = 0;
    for (int i = 0; b->status == WE_OK && scaling.json == NULL && i < 2; i++)
        b->status =
            we_config_object(&b->source->config, i ? "rope_parameters" : "rope_scaling", b->source->arena, &scaling, b->error);
    if (b->status == WE_OK && scaling.json)
        b->status = we_config_float(&scaling, "factor", &factor, b->error);
    if (b->status == WE_OK && scaling.json)
        b->status = we_config_float(&scaling, "mscale_all_dim", &mscale, b->error);
    if (mscale != 0 && factor > 1) {
        const double s = 0.1 * (double)mscale * log((double)factor) + 1;
        scale *= s * s;
    }
    return (float)scale;
}

static void check(struct we_build *b)
{
    const struct {
        const char *key;
        uint32_t value;
    } sizes[] = {{"kv_lora_rank", b->c.kv_lora_rank},
                 {"qk_rope_head_dim", b->c.head_dim},
                 {"qk_nope_head_dim", b->c.qk_nope_head_dim},
                 {"v_head_dim", b->c.v_head_dim},
                 {"moe_layer_freq", b->c.decoder_sparse_step}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (sizes[i].value < 1 || sizes[i].value > 1u << 13)
            we_build_refuse(b, WE_INVALID_FORMAT, "%s is %u, where a number from 1 to %u was expected", sizes[i].key,
                            sizes[i].value, 1u << 13);
    if (b->c.q_lora_rank > 1u << 20)
        we_build_refuse(b, WE_INVALID_FORMAT, "q_lora_rank is %u, where a number up to %u was expected", b->c.q_lora_rank,
                        1u << 20);
}

/* Layers that predict further tokens stand after the last one. */
static bool is_extra_layer(const struct we_build *b, struct we_str name)
{
    const uint32_t layer = we_layer_of(name);
    return layer != UINT32_MAX && layer >= b->c.num_hidden_layers;
}

static void describe(struct we_build *b, const struct shape *s)
{
    if (we_build_is_null(b, "q_lora_rank"))
        b->c.q_lora_rank = 0;
    if (we_build_is_null(b, "n_routed_experts"))
        b->c.num_experts = 0;
    if (we_build_is_null(b, "n_shared_experts"))
        b->c.num_shared_experts = 0;
    check(b);
    b->is_passed_over = is_extra_layer;
    struct we_latent_attention usual = {.num_attention_heads = b->c.num_attention_heads,
                                        .nope_head_dim = b->c.qk_nope_head_dim,
                                        .rope_head_dim = b->c.head_dim,
                                        .v_head_dim = b->c.v_head_dim,
                                        .latent_dim = b->c.kv_lora_rank,
                                        .scale = scale_of(b)};
    struct we_rope_config config = we_usual_rope(b, b->c.head_dim);
    config.interleaved = true;
    config.type = s->rope;
    we_build_rope(b, &config, &usual.rope);
    while (b->status == WE_OK && b->layer < b->c.num_hidden_layers) {
        struct we_layer_parts l = {0};
        we_build_scope(b, "model.layers.%u.", b->layer);
        build_attention(b, s, &usual, &l.latent_attention);
        we_build_norm(b, "input_layernorm", &l.attention_norm);
        we_build_norm(b, "post_attention_layernorm", &l.feed_forward_norm);
        if (b->c.num_experts && b->layer >= b->c.first_k_dense_replace && b->layer % b->c.decoder_sparse_step == 0)
            build_experts(b, s, &l);
        else
            we_build_mlp(b, "mlp.", b->c.intermediate_size, false, &l.feed_forward);
        we_build_layer(b, &l);
    }
    we_build_ends(b, &(struct we_ends){.tie = WE_UNTIED});
}

/* ---- the families ---- */

static void require_method(struct we_build *b, const char *key, const char *first, const char *second, struct we_str *value)
{
    if (b->status == WE_OK)
        b->status = we_config_string(&b->source->config, key, value, b->error);
    if (!we_str_equal_c(*value, first) && !we_str_equal_c(*value, second))
        we_build_refuse(b, WE_UNSUPPORTED, "%s is '%.*s'; %s%s%s is implemented", key, WE_STR_ARG(*value), first,
                        *second ? " or " : "", second);
}

static struct we_moe corrected(const struct we_build *b, float norm_eps)
{
    return (struct we_moe){.score = WE_ROUTER_SIGMOID,
                           .num_groups = b->c.n_group,
                           .top_groups = b->c.topk_group,
                           .norm_topk_prob = b->c.norm_topk_prob && b->c.num_experts_per_tok > 1,
                           .norm_eps = norm_eps,
                           .routed_scaling_factor = b->c.routed_scaling_factor};
}

static void describe_deepseek_v3(struct we_build *b)
{
    struct we_str method = we_str_c("noaux_tc");
    require_method(b, "topk_method", "noaux_tc", "", &method);
    describe(b, &(struct shape){.norm_eps = 1e-6f, .moe = corrected(b, 0)});
}

static void describe_glm4_moe_lite(struct we_build *b)
{
    struct we_str method = we_str_c("noaux_tc");
    require_method(b, "topk_method", "noaux_tc", "", &method);
    describe(b, &(struct shape){.moe = corrected(b, 1e-20f)});
}

/* mlx-lm computes yarn, whatever rope_scaling calls itself. */
static void describe_deepseek_v2(struct we_build *b)
{
    struct we_str method = we_str_c("greedy");
    const struct we_json *scaling = we_json_get(b->source->config.json, "rope_scaling");
    const struct we_json *named = we_json_get(b->source->config.json, "topk_method");
    if (named && named->kind == WE_JSON_STRING)
        method = named->string;
    struct we_moe moe = {.routed_scaling_factor = b->c.routed_scaling_factor, .best_of_group = true};
    if (we_str_equal_c(method, "group_limited_greedy")) {
        moe.num_groups = b->c.n_group;
        moe.top_groups = b->c.topk_group;
    }
    describe(b, &(struct shape){.norm_eps = 1e-6f,
                                .keeps_kv_b = true,
                                .rope = scaling && scaling->kind == WE_JSON_OBJECT ? "yarn" : NULL,
                                .moe = moe});
}

#define LATENT_KEYS                                                                                                            \
    WE_U32(vocab_size), WE_U32(hidden_size), WE_U32(intermediate_size), WE_U32(moe_intermediate_size),                         \
        WE_U32(num_hidden_layers), WE_U32(num_attention_heads), WE_U32_AS("n_shared_experts", num_shared_experts),             \
        WE_U32_AS("n_routed_experts", num_experts), WE_FLOAT(routed_scaling_factor), WE_U32(kv_lora_rank),                     \
        WE_U32(q_lora_rank), WE_U32_AS("qk_rope_head_dim", head_dim), WE_U32(v_head_dim), WE_U32(qk_nope_head_dim),            \
        WE_BOOL(norm_topk_prob), WE_U32(n_group), WE_U32(topk_group), WE_U32(num_experts_per_tok),                             \
        WE_U32_AS("moe_layer_freq", decoder_sparse_step), WE_U32(first_k_dense_replace), WE_U32(max_position_embeddings),      \
        WE_FLOAT_AS("rms_norm_eps", norm_eps), WE_BOOL(attention_bias)
#define DEEPSEEK_DEFAULTS                                                                                                      \
    .vocab_size = 102400, .hidden_size = 4096, .intermediate_size = 11008, .moe_intermediate_size = 1407,                      \
    .num_hidden_layers = 30, .num_attention_heads = 32, .routed_scaling_factor = 1, .kv_lora_rank = 512, .q_lora_rank = 1536,  \
    .head_dim = 64, .v_head_dim = 128, .qk_nope_head_dim = 128, .decoder_sparse_step = 1, .max_position_embeddings = 2048,     \
    .norm_eps = 1e-6f, .rope_theta = 10000
static const struct we_key latent_keys[] = {LATENT_KEYS};
const struct we_family we_family_deepseek_v2 = {
    .models = "DeepSeek V2 and V2 Lite",
    WE_KEYS(latent_keys),
    .defaults = {DEEPSEEK_DEFAULTS},
    .describe = describe_deepseek_v2,
};

const struct we_family we_family_deepseek_v3 = {
    .models = "DeepSeek V3 and R1, Kimi K2",
    .model_type = "deepseek_v3",
    WE_KEYS(latent_keys),
    .defaults = {DEEPSEEK_DEFAULTS, .norm_topk_prob = true, .n_group = 1, .topk_group = 1, .num_experts_per_tok = 1},
    .keeps_dtype = "e_score_correction_bias",
    .describe = describe_deepseek_v3,
    .passed_over = {"vision_model.", "mm_projector."},
};

const struct we_family we_family_glm4_moe_lite = {
    .models = "GLM-4.7 Flash",
    WE_KEYS(latent_keys),
    .defaults = {.vocab_size = 154880,
                 .hidden_size = 2048,
                 .intermediate_size = 10240,
                 .moe_intermediate_size = 1536,
                 .num_hidden_layers = 47,
                 .num_attention_heads = 20,
                 .num_shared_experts = 1,
                 .num_experts = 64,
                 .routed_scaling_factor = 1.8f,
                 .kv_lora_rank = 512,
                 .q_lora_rank = 768,
                 .head_dim = 64,
                 .qk_nope_head_dim = 192,
                 .v_head_dim = 256,
                 .norm_topk_prob = true,
                 .n_group = 1,
                 .topk_group = 1,
                 .num_experts_per_tok = 4,
                 .decoder_sparse_step = 1,
                 .first_k_dense_replace = 1,
                 .max_position_embeddings = 202752,
                 .norm_eps = 1e-5f,
                 .rope_theta = 1000000},
    .keeps_dtype = "e_score_correction_bias",
    .describe = describe_glm4_moe_lite,
};

const struct we_family *we_text_part_kimi(const struct we_config *outer, const struct we_config *text, struct we_keys *keys,
                                          struct we_error *error)
{
    (void)outer, (void)text, (void)error;
    *keys = we_family_deepseek_v3.defaults;
    return &we_family_deepseek_v3;
}
