/* Llama 2, 3 and the models built alike (Mistral, SmolLM2, ...), and SmolLM3, some of whose layers have no rope. Defaults as in
 * mlx-lm's models/llama.py and smollm3.py. */
#include "arch/families.h"

#define LLAMA_KEYS                                                                                                             \
    WE_SIZES, WE_RMS_NORM_EPS, WE_U32(head_dim), WE_U32(sliding_window), WE_BOOL(attention_bias), WE_BOOL(mlp_bias),           \
        WE_BOOL(rope_traditional), WE_BOOL(tie_word_embeddings)

static void describe_layer(struct we_build *b, const struct we_rope *rope)
{
    struct we_layer_parts l = {.attention = we_usual_attention(b, rope)};
    we_build_layer_type(b, false, &l.attention);
    we_build_scope(b, "model.layers.%u.", b->layer);
    we_build_qkvo(b, "self_attn.", b->c.attention_bias, b->c.attention_bias, &l.attention);
    we_build_mlp(b, "mlp.", b->c.intermediate_size, b->c.mlp_bias, &l.feed_forward);
    we_build_norm(b, "input_layernorm", &l.attention_norm);
    we_build_norm(b, "post_attention_layernorm", &l.feed_forward_norm);
    we_build_layer(b, &l);
}

static void describe(struct we_build *b)
{
    struct we_rope rope;
    const struct we_rope_config config = we_usual_rope(b, b->c.head_dim);
    we_build_rope(b, &config, &rope);
    while (b->status == WE_OK && b->layer < b->c.num_hidden_layers)
        describe_layer(b, &rope);
    we_build_ends(b, &(struct we_ends){0});
}

static const struct we_key keys[] = {LLAMA_KEYS};
const struct we_family we_family_llama = {
    .models = "Llama 2 and 3, Mistral, SmolLM2 and others built alike",
    WE_KEYS(keys),
    .defaults = {.rope_theta = 10000, .tie_word_embeddings = true},
    .describe = describe,
};

/* ---- smollm3 ---- */

/* Whether this layer turns: by the list no_rope_layers, where 1 says that it does, or by no_rope_layer_interval. */
static bool has_rope(struct we_build *b)
{
    const struct we_json *list = we_json_get(b->source->config.json, "no_rope_layers");
    if (list == NULL || list->kind == WE_JSON_NULL)
        return b->c.no_rope_layer_interval == 0 || (b->layer + 1) % b->c.no_rope_layer_interval != 0;
    if (list->kind == WE_JSON_ARRAY && list->count == b->c.num_hidden_layers) {
        const struct we_json *item = &list->items[b->layer];
        if (item->kind == WE_JSON_NUMBER && item->is_integer)
            return item->integer != 0;
        if (item->kind == WE_JSON_BOOL)
            return item->boolean;
    }
    we_build_refuse(b, WE_INVALID_FORMAT, "no_rope_layers must be an array of num_hidden_layers = %u numbers",
                    b->c.num_hidden_layers);
    return false;
}

static void describe_smollm3(struct we_build *b)
{
    struct we_rope rope;
    const struct we_rope none = {0};
    const struct we_rope_config config = we_usual_rope(b, b->c.head_dim);
    we_build_rope(b, &config, &rope);
    while (b->status == WE_OK && b->layer < b->c.num_hidden_layers)
        describe_layer(b, has_rope(b) ? &rope : &none);
    we_build_ends(b, &(struct we_ends){0});
}

static const struct we_key smollm3_keys[] = {LLAMA_KEYS, WE_U32(no_rope_layer_interval)};
const struct we_family we_family_smollm3 = {
    .models = "SmolLM3",
    WE_KEYS(smollm3_keys),
    .defaults = {.rope_theta = 10000, .tie_word_embeddings = true, .no_rope_layer_interval = 4},
    .describe = describe_smollm3,
};
