/* Granite and MiniCPM: llama with factors on embeddings, residuals, scores and logits. Defaults as in mlx-lm's
 * models/granite.py and minicpm.py. */
#include "arch/families.h"

#include <math.h>

static void describe_layers(struct we_build *b, float residual_multiplier, float scale)
{
    struct we_rope rope;
    const struct we_rope_config config = we_usual_rope(b, b->c.head_dim);
    we_build_rope(b, &config, &rope);
    while (b->status == WE_OK && b->layer < b->c.num_hidden_layers) {
        struct we_layer_parts l = {.attention = we_usual_attention(b, &rope), .residual_multiplier = residual_multiplier};
        if (scale != 0)
            l.attention.scale = scale;
        we_build_scope(b, "model.layers.%u.", b->layer);
        we_build_qkvo(b, "self_attn.", b->c.attention_bias, b->c.attention_bias, &l.attention);
        we_build_mlp(b, "mlp.", b->c.intermediate_size, b->c.mlp_bias, &l.feed_forward);
        we_build_norm(b, "input_layernorm", &l.attention_norm);
        we_build_norm(b, "post_attention_layernorm", &l.feed_forward_norm);
        we_build_layer(b, &l);
    }
}

static void describe_granite(struct we_build *b)
{
    b->decoder->embedding_multiplier = b->c.embedding_multiplier;
    b->decoder->logit_multiplier = 1 / b->c.logits_scaling;
    describe_layers(b, b->c.residual_multiplier, b->c.attention_multiplier);
    we_build_ends(b, &(struct we_ends){0});
}

static const struct we_key granite_keys[] = {WE_SIZES,
                                             WE_RMS_NORM_EPS,
                                             WE_NEED_FLOAT(logits_scaling),
                                             WE_NEED_FLOAT(attention_multiplier),
                                             WE_NEED_FLOAT(embedding_multiplier),
                                             WE_NEED_FLOAT(residual_multiplier),
                                             WE_BOOL(attention_bias),
                                             WE_BOOL(mlp_bias),
                                             WE_BOOL(tie_word_embeddings)};
const struct we_family we_family_granite = {
    .models = "Granite 3",
    WE_KEYS(granite_keys),
    .defaults = {.rope_theta = 10000, .tie_word_embeddings = true},
    .quant_predicate = "{\"*self_attn.o_proj\": {\"bits\": 8, \"group_size\": 64}, \"*mlp.down_proj\": {\"bits\": 8, "
                       "\"group_size\": 64}, \"lm_head\": {\"bits\": 8, \"group_size\": 64}}",
    .describe = describe_granite,
};

static void describe_minicpm(struct we_build *b)
{
    b->decoder->embedding_multiplier = b->c.scale_emb;
    if (!b->c.tie_word_embeddings)
        b->decoder->logit_multiplier = (float)b->c.dim_model_base / (float)b->c.hidden_size;
    describe_layers(b, (float)(b->c.scale_depth / sqrt((double)b->c.num_hidden_layers)), 0);
    we_build_ends(b, &(struct we_ends){.tie = b->c.tie_word_embeddings ? WE_TIED : WE_TIED_WITHOUT_HEAD});
}

static const struct we_key minicpm_keys[] = {WE_SIZES,
                                             WE_RMS_NORM_EPS,
                                             WE_NEED_U32(dim_model_base),
                                             WE_NEED_FLOAT(scale_depth),
                                             WE_NEED_FLOAT(scale_emb),
                                             WE_BOOL(rope_traditional),
                                             WE_BOOL(tie_word_embeddings)};
const struct we_family we_family_minicpm = {
    .models = "MiniCPM",
    WE_KEYS(minicpm_keys),
    .defaults = {.rope_theta = 1000000},
    .describe = describe_minicpm,
};
