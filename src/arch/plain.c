/* Families that are llama but for a few flags: Seed-OSS, ERNIE 4.5, Helium, InternLM 2 and 3, GLM-4. Defaults as in mlx-lm's
 * models/seed_oss.py, ernie4_5.py, helium.py, internlm2.py, internlm3.py and glm4.py. */
#include "arch/families.h"

struct biases {
    bool qkv, out, mlp;
};

static void describe(struct we_build *b, const struct we_rope_config *config, struct biases bias)
{
    struct we_rope rope;
    we_build_rope(b, config, &rope);
    while (b->status == WE_OK && b->layer < b->c.num_hidden_layers) {
        struct we_layer_parts l = {.attention = we_usual_attention(b, &rope)};
        we_build_scope(b, "model.layers.%u.", b->layer);
        we_build_qkvo(b, "self_attn.", bias.qkv, bias.out, &l.attention);
        we_build_mlp(b, "mlp.", b->c.intermediate_size, bias.mlp, &l.feed_forward);
        we_build_norm(b, "input_layernorm", &l.attention_norm);
        we_build_norm(b, "post_attention_layernorm", &l.feed_forward_norm);
        we_build_layer(b, &l);
    }
    we_build_ends(b, &(struct we_ends){0});
}

static void describe_seed_oss(struct we_build *b)
{
    const struct we_rope_config config = we_usual_rope(b, b->c.head_dim);
    describe(b, &config, (struct biases){b->c.attention_bias, b->c.attention_out_bias, b->c.mlp_bias});
}

static const struct we_key seed_oss_keys[] = {WE_SIZES,
                                              WE_RMS_NORM_EPS,
                                              WE_NEED_U32(head_dim),
                                              WE_BOOL(attention_bias),
                                              WE_BOOL(attention_out_bias),
                                              WE_BOOL(mlp_bias),
                                              WE_BOOL(rope_traditional),
                                              WE_BOOL(tie_word_embeddings)};
const struct we_family we_family_seed_oss = {
    .models = "Seed-OSS",
    WE_KEYS(seed_oss_keys),
    .defaults = {.rope_theta = 10000, .tie_word_embeddings = true},
    .describe = describe_seed_oss,
};

static void describe_ernie4_5(struct we_build *b)
{
    struct we_rope_config config = we_usual_rope(b, b->c.head_dim);
    config.unscaled = config.interleaved = true;
    describe(b, &config, (struct biases){b->c.use_bias, b->c.use_bias, b->c.use_bias});
}

static const struct we_key ernie4_5_keys[] = {WE_SIZES, WE_RMS_NORM_EPS, WE_U32(head_dim), WE_BOOL(use_bias),
                                              WE_BOOL(tie_word_embeddings)};
const struct we_family we_family_ernie4_5 = {
    .models = "ERNIE 4.5, dense",
    WE_KEYS(ernie4_5_keys),
    .defaults = {.rope_theta = 500000},
    .describe = describe_ernie4_5,
};

static void describe_helium(struct we_build *b)
{
    struct we_rope_config config = we_usual_rope(b, b->c.head_dim);
    config.unscaled = config.interleaved = true;
    /* mlx-lm's class has a head whatever the config says, and keeps it where the embedding is used in its place. */
    struct we_linear unused;
    if (b->c.tie_word_embeddings && we_bind_exists(b->source, "lm_head", "weight"))
        we_build_linear(b, "lm_head", b->c.vocab_size, b->c.hidden_size, false, &unused);
    describe(b, &config, (struct biases){b->c.attention_bias, false, b->c.mlp_bias});
}

static const struct we_key helium_keys[] = {WE_SIZES, WE_RMS_NORM_EPS, WE_BOOL(attention_bias), WE_BOOL(mlp_bias),
                                            WE_BOOL(tie_word_embeddings)};
const struct we_family we_family_helium = {
    .models = "Helium",
    WE_KEYS(helium_keys),
    .defaults = {.rope_theta = 100000},
    .describe = describe_helium,
};

static void describe_internlm3(struct we_build *b)
{
    const struct we_rope_config config = we_usual_rope(b, b->c.head_dim);
    describe(b, &config, (struct biases){b->c.attention_bias, b->c.attention_bias, b->c.use_bias});
}

static const struct we_key internlm3_keys[] = {WE_SIZES,
                                               WE_RMS_NORM_EPS,
                                               WE_BOOL_AS("qkv_bias", attention_bias),
                                               WE_BOOL_AS("bias", use_bias),
                                               WE_BOOL(rope_traditional),
                                               WE_BOOL(tie_word_embeddings)};
const struct we_family we_family_internlm3 = {
    .models = "InternLM 3",
    WE_KEYS(internlm3_keys),
    .defaults = {.rope_theta = 10000, .max_position_embeddings = 32768},
    .describe = describe_internlm3,
};

/* ---- internlm2: each KV head's queries, key and value lie together in one projection ---- */

static struct we_linear grouped_view(const struct we_linear *fused, uint32_t first, uint32_t block, uint32_t stride,
                                     uint32_t rows)
{
    struct we_linear view = we_linear_view(fused, first, rows);
    view.block = block;
    view.stride = stride;
    return view;
}

static void describe_internlm2(struct we_build *b)
{
    const uint32_t hidden = b->c.hidden_size, inner = b->c.intermediate_size, dim = b->c.head_dim;
    const uint32_t heads = b->c.num_attention_heads, kv_heads = b->c.num_key_value_heads, group = heads / kv_heads * dim;
    const uint32_t stride = group + 2 * dim;
    struct we_rope rope;
    const struct we_rope_config config = we_usual_rope(b, dim);
    we_build_rope(b, &config, &rope);
    while (b->status == WE_OK && b->layer < b->c.num_hidden_layers) {
        struct we_layer_parts l = {.attention = we_usual_attention(b, &rope)};
        struct we_linear fused = {0};
        we_build_scope(b, "model.layers.%u.", b->layer);
        we_build_linear(b, "attention.wqkv", kv_heads * stride, hidden, b->c.use_bias, &fused);
        l.attention.q_proj = grouped_view(&fused, 0, group, stride, heads * dim);
        l.attention.k_proj = grouped_view(&fused, group, dim, stride, kv_heads * dim);
        l.attention.v_proj = grouped_view(&fused, group + dim, dim, stride, kv_heads * dim);
        we_build_linear(b, "attention.wo", hidden, heads * dim, b->c.use_bias, &l.attention.o_proj);
        we_build_linear(b, "feed_forward.w1", inner, hidden, false, &l.feed_forward.gate_proj);
        we_build_linear(b, "feed_forward.w3", inner, hidden, false, &l.feed_forward.up_proj);
        we_build_linear(b, "feed_forward.w2", hidden, inner, false, &l.feed_forward.down_proj);
        we_build_norm(b, "attention_norm", &l.attention_norm);
        we_build_norm(b, "ffn_norm", &l.feed_forward_norm);
        we_build_layer(b, &l);
    }
    we_build_ends(b, &(struct we_ends){.embed_tokens = "model.tok_embeddings", .lm_head = "output"});
}

static const struct we_key internlm2_keys[] = {WE_SIZES, WE_RMS_NORM_EPS, WE_BOOL_AS("bias", use_bias),
                                               WE_BOOL(rope_traditional), WE_BOOL(tie_word_embeddings)};
const struct we_family we_family_internlm2 = {
    .models = "InternLM 2 and 2.5",
    WE_KEYS(internlm2_keys),
    .defaults = {.rope_theta = 10000, .max_position_embeddings = 32768, .use_bias = true},
    .describe = describe_internlm2,
    .passed_over = {"attention.rope.inv_freq"},
};

/* ---- glm4: norms before and after blocks, half of each head turns ---- */

static void describe_glm4(struct we_build *b)
{
    const uint32_t hidden = b->c.hidden_size, inner = b->c.intermediate_size;
    struct we_rope rope;
    struct we_rope_config config = we_usual_rope(b, (uint32_t)((float)b->c.head_dim * b->c.partial_rotary_factor));
    config.unscaled = true;
    we_build_rope(b, &config, &rope);
    while (b->status == WE_OK && b->layer < b->c.num_hidden_layers) {
        struct we_layer_parts l = {.attention = we_usual_attention(b, &rope)};
        struct we_linear gate_up_proj = {0};
        we_build_scope(b, "model.layers.%u.", b->layer);
        we_build_qkvo(b, "self_attn.", b->c.attention_bias, false, &l.attention);
        we_build_linear(b, "mlp.gate_up_proj", 2 * inner, hidden, false, &gate_up_proj);
        l.feed_forward.gate_proj = we_linear_view(&gate_up_proj, 0, inner);
        l.feed_forward.up_proj = we_linear_view(&gate_up_proj, inner, inner);
        we_build_linear(b, "mlp.down_proj", hidden, inner, false, &l.feed_forward.down_proj);
        we_build_norm(b, "input_layernorm", &l.attention_norm);
        we_build_norm(b, "post_self_attn_layernorm", &l.attention_post_norm);
        we_build_norm(b, "post_attention_layernorm", &l.feed_forward_norm);
        we_build_norm(b, "post_mlp_layernorm", &l.feed_forward_post_norm);
        we_build_layer(b, &l);
    }
    we_build_ends(b, &(struct we_ends){.tie = WE_UNTIED});
}

static const struct we_key glm4_keys[] = {WE_SIZES,
                                          WE_RMS_NORM_EPS,
                                          WE_NEED_U32(head_dim),
                                          WE_BOOL(attention_bias),
                                          WE_NEED_FLOAT(partial_rotary_factor),
                                          WE_BOOL(rope_traditional)};
const struct we_family we_family_glm4 = {
    .models = "GLM-4, dense",
    WE_KEYS(glm4_keys),
    .defaults = {.rope_theta = 10000, .max_position_embeddings = 32768, .rope_traditional = true},
    .describe = describe_glm4,
};
