/* Qwen 2, 2.5 and 3, and MiMo: llama with biases on queries, keys and values, or with norms of queries and keys. Defaults as in
 * mlx-lm's models/qwen2.py, qwen3.py and mimo.py. */
#include "arch/families.h"

static void describe(struct we_build *b, bool qkv_bias, bool norms)
{
    struct we_rope rope;
    const struct we_rope_config config = we_usual_rope(b, b->c.head_dim);
    we_build_rope(b, &config, &rope);
    while (b->status == WE_OK && b->layer < b->c.num_hidden_layers) {
        struct we_layer_parts l = {.attention = we_usual_attention(b, &rope)};
        we_build_scope(b, "model.layers.%u.", b->layer);
        we_build_qkvo(b, "self_attn.", qkv_bias, false, &l.attention);
        if (norms) {
            we_build_norm_over(b, "self_attn.q_norm", b->c.head_dim, &l.attention.q_norm);
            we_build_norm_over(b, "self_attn.k_norm", b->c.head_dim, &l.attention.k_norm);
        }
        we_build_mlp(b, "mlp.", b->c.intermediate_size, false, &l.feed_forward);
        we_build_norm(b, "input_layernorm", &l.attention_norm);
        we_build_norm(b, "post_attention_layernorm", &l.feed_forward_norm);
        we_build_layer(b, &l);
    }
    we_build_ends(b, &(struct we_ends){0});
}

static void describe_qwen2(struct we_build *b)
{
    describe(b, true, false);
}

static void describe_qwen3(struct we_build *b)
{
    describe(b, false, true);
}

static const struct we_key qwen2_keys[] = {WE_SIZES, WE_RMS_NORM_EPS, WE_BOOL(rope_traditional), WE_BOOL(tie_word_embeddings)};
const struct we_family we_family_qwen2 = {
    .models = "Qwen 2 and 2.5",
    WE_KEYS(qwen2_keys),
    .defaults = {.rope_theta = 1000000, .max_position_embeddings = 32768, .tie_word_embeddings = true},
    .describe = describe_qwen2,
};

static const struct we_key qwen3_keys[] = {WE_SIZES, WE_RMS_NORM_EPS, WE_NEED_U32(head_dim), WE_BOOL(tie_word_embeddings)};
const struct we_family we_family_qwen3 = {
    .models = "Qwen 3",
    WE_KEYS(qwen3_keys),
    .defaults = {.rope_theta = 1000000},
    .describe = describe_qwen3,
};

const struct we_family we_family_mimo = {
    .models = "MiMo",
    WE_KEYS(qwen2_keys),
    .defaults = {.rope_theta = 10000, .max_position_embeddings = 32768},
    .describe = describe_qwen2,
    .passed_over = {"model.mtp_layers."},
};
