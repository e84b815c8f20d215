/* Hunyuan, dense: norms of queries and keys after rope, whose base has a factor. Defaults as in mlx-lm's
 * models/hunyuan_v1_dense.py. */
#include "arch/families.h"

#include <math.h>

/* The base of rope, times alpha^(d / (d - 2)) if the scaling has an alpha. */
static float theta_of(struct we_build *b)
{
    float theta = b->family->defaults.rope_theta, alpha = 1;
    struct we_config scaling = {0};
    if (b->status == WE_OK)
        b->status = we_config_float(&b->source->config, "rope_theta", &theta, b->error);
    if (b->status == WE_OK)
        b->status = we_config_object(&b->source->config, "rope_scaling", b->source->arena, &scaling, b->error);
    if (b->status == WE_OK && scaling.json)
        b->status = we_config_float(&scaling, "alpha", &alpha, b->error);
    if (b->status == WE_OK && (!(alpha > 0) || b->c.head_dim <= 2))
        we_build_refuse(b, WE_INVALID_FORMAT,
                        "rope with alpha %g in heads of %u; it needs a positive number, and heads of more "
                        "than 2 values",
                        (double)alpha, b->c.head_dim);
    return (float)(theta * pow(alpha, (double)b->c.head_dim / ((double)b->c.head_dim - 2)));
}

static void describe(struct we_build *b)
{
    struct we_rope rope;
    const struct we_rope_config config = {.rotary_dim = b->c.head_dim, .theta = theta_of(b), .unscaled = true};
    we_build_rope(b, &config, &rope);
    while (b->status == WE_OK && b->layer < b->c.num_hidden_layers) {
        struct we_layer_parts l = {.attention = we_usual_attention(b, &rope)};
        we_build_scope(b, "model.layers.%u.", b->layer);
        we_build_qkvo(b, "self_attn.", b->c.attention_bias, b->c.attention_bias, &l.attention);
        if (b->c.use_qk_norm) {
            l.attention.norm_after_rope = true;
            we_build_norm_over(b, "self_attn.query_layernorm", b->c.head_dim, &l.attention.q_norm);
            we_build_norm_over(b, "self_attn.key_layernorm", b->c.head_dim, &l.attention.k_norm);
        }
        we_build_mlp(b, "mlp.", b->c.intermediate_size, false, &l.feed_forward);
        we_build_norm(b, "input_layernorm", &l.attention_norm);
        we_build_norm(b, "post_attention_layernorm", &l.feed_forward_norm);
        we_build_layer(b, &l);
    }
    we_build_ends(b, &(struct we_ends){0});
}

static const struct we_key keys[] = {
    WE_SIZES, WE_RMS_NORM_EPS, WE_U32(head_dim), WE_BOOL(attention_bias), WE_BOOL(use_qk_norm), WE_BOOL(tie_word_embeddings)};
const struct we_family we_family_hunyuan_v1_dense = {
    .models = "Hunyuan, dense",
    WE_KEYS(keys),
    .defaults = {.rope_theta = 10000, .max_position_embeddings = 32768, .use_qk_norm = true},
    .describe = describe,
};
