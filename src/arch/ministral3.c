/* Ministral 3: queries grow with the logarithm of their position; everything about rope is in rope_parameters. And Mistral 3, a
 * model of text and images, whose text part is either this or llama. Defaults as in mlx-lm's models/ministral3.py and
 * mistral3.py. */
#include "arch/families.h"

static void describe(struct we_build *b)
{
    struct we_config parameters = {0};
    float beta = 0;
    uint32_t period = 0;
    if (b->status == WE_OK)
        b->status = we_config_object(&b->source->config, "rope_parameters", b->source->arena, &parameters, b->error);
    if (b->status == WE_OK && parameters.json == NULL)
        we_build_refuse(b, WE_INVALID_FORMAT, "rope_parameters is absent");
    if (b->status == WE_OK)
        b->status = we_config_require_float(&parameters, "llama_4_scaling_beta", &beta, b->error);
    if (b->status == WE_OK)
        b->status = we_config_require_u32(&parameters, "original_max_position_embeddings", &period, b->error);
    if (b->status == WE_OK && period == 0)
        we_build_refuse(b, WE_INVALID_FORMAT, "rope_parameters: original_max_position_embeddings is 0");
    struct we_rope rope;
    const struct we_rope_config config = we_usual_rope(b, b->c.head_dim);
    we_build_rope(b, &config, &rope);
    while (b->status == WE_OK && b->layer < b->c.num_hidden_layers) {
        struct we_layer_parts l = {.attention = we_usual_attention(b, &rope)};
        l.attention.q_growth = beta;
        l.attention.q_period = period;
        we_build_layer_type(b, false, &l.attention);
        we_build_scope(b, "model.layers.%u.", b->layer);
        we_build_qkvo(b, "self_attn.", false, false, &l.attention);
        we_build_mlp(b, "mlp.", b->c.intermediate_size, false, &l.feed_forward);
        we_build_norm(b, "input_layernorm", &l.attention_norm);
        we_build_norm(b, "post_attention_layernorm", &l.feed_forward_norm);
        we_build_layer(b, &l);
    }
    we_build_ends(b, &(struct we_ends){0});
}

static const struct we_key ministral3_keys[] = {WE_SIZES, WE_RMS_NORM_EPS, WE_U32(head_dim), WE_U32(sliding_window),
                                                WE_BOOL(tie_word_embeddings)};
const struct we_family we_family_ministral3 = {
    .models = "Ministral 3",
    WE_KEYS(ministral3_keys),
    .defaults = {.rope_theta = 10000, .tie_word_embeddings = true},
    .describe = describe,
};

const struct we_family *we_text_part_mistral3(const struct we_config *outer, const struct we_config *text, struct we_keys *keys,
                                              struct we_error *error)
{
    (void)outer;
    struct we_str type = we_str_c("mistral");
    if (we_config_string(text, "model_type", &type, error) != WE_OK)
        return NULL;
    const struct we_family *family = &we_family_llama;
    if (we_str_equal_c(type, "ministral3"))
        family = &we_family_ministral3;
    else if (we_str_equal_c(type, "mistral4")) {
        we_error_set(error, WE_UNSUPPORTED,
                     "%s: a text part of model_type 'mistral4' is not implemented; 'ministral3' and those "
                     "built like llama are",
                     text->where);
        return NULL;
    }
    *keys = family->defaults;
    keys->tie_word_embeddings = false;
    return family;
}
