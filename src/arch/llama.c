/* Llama 2, 3 and the models built alike (Mistral, SmolLM2, ...). Defaults as in mlx-lm's models/llama.py. */
#include "arch/bind.h"
#include "arch/families.h"

struct llama_config {
    struct we_common_config common;
    uint32_t head_dim, sliding_window;
    bool attention_bias, mlp_bias, rope_traditional, tie_word_embeddings;
    const struct we_json *layer_types; /* (num_hidden_layers) or NULL: all full */
};

static we_status read_config(const struct we_arch_source *source, struct llama_config *c, struct we_decoder *decoder,
                             struct we_error *error)
{
    const struct we_config *config = &source->config;
    *c = (struct llama_config){.tie_word_embeddings = true};
    we_status status = we_config_common(source, &c->common, decoder, error);
    if (status == WE_OK)
        status = we_config_u32(config, "head_dim", &c->head_dim, error);
    if (status == WE_OK)
        status = we_config_u32(config, "sliding_window", &c->sliding_window, error);
    if (status == WE_OK)
        status = we_config_bool(config, "attention_bias", &c->attention_bias, error);
    if (status == WE_OK)
        status = we_config_bool(config, "mlp_bias", &c->mlp_bias, error);
    if (status == WE_OK)
        status = we_config_bool(config, "rope_traditional", &c->rope_traditional, error);
    if (status == WE_OK)
        status = we_config_bool(config, "tie_word_embeddings", &c->tie_word_embeddings, error);
    if (status != WE_OK)
        return status;
    if (c->head_dim == 0)
        c->head_dim = c->common.hidden_size / c->common.num_attention_heads;
    if (c->head_dim == 0 || c->head_dim > 4096)
        return we_error_set(error, WE_INVALID_FORMAT, "%s: head_dim is %u, where a number from 1 to 4096 was expected",
                            config->where, c->head_dim);
    c->layer_types = we_json_get(config->json, "layer_types");
    if (c->layer_types && c->layer_types->kind == WE_JSON_NULL)
        c->layer_types = NULL;
    if (c->layer_types && (c->layer_types->kind != WE_JSON_ARRAY || c->layer_types->count != c->common.num_hidden_layers))
        return we_error_set(error, WE_INVALID_FORMAT, "%s: layer_types must be an array of num_hidden_layers = %u strings",
                            config->where, c->common.num_hidden_layers);
    return WE_OK;
}

/* Whether layer `index` sees a window only. */
static we_status layer_mask(const struct we_arch_source *source, const struct llama_config *c, uint32_t index,
                            struct we_attention *attention, struct we_error *error)
{
    attention->mask = WE_MASK_CAUSAL;
    if (c->layer_types == NULL || we_str_equal_c(c->layer_types->items[index].string, "full_attention"))
        return WE_OK;
    if (!we_str_equal_c(c->layer_types->items[index].string, "sliding_attention"))
        return we_error_set(error, WE_UNSUPPORTED,
                            "%s: layer_types[%u] is '%.*s'; full_attention and sliding_attention are implemented",
                            source->config.where, index, WE_STR_ARG(c->layer_types->items[index].string));
    if (c->sliding_window == 0)
        return we_error_set(error, WE_INVALID_FORMAT, "%s: layer_types[%u] is sliding_attention, but sliding_window is absent",
                            source->config.where, index);
    attention->mask = WE_MASK_SLIDING;
    attention->window = c->sliding_window;
    return WE_OK;
}

static we_status describe_layer(const struct we_arch_source *source, const struct llama_config *c, const struct we_rope *rope,
                                uint32_t index, struct we_layer *layer, struct we_error *error)
{
    uint32_t hidden = c->common.hidden_size, ffn = c->common.intermediate_size;
    uint32_t q_rows = c->common.num_attention_heads * c->head_dim, kv_rows = c->common.num_key_value_heads * c->head_dim;
    struct we_attention attention = {
        .num_attention_heads = c->common.num_attention_heads,
        .num_key_value_heads = c->common.num_key_value_heads,
        .head_dim = c->head_dim,
        .v_head_dim = c->head_dim,
        .rope = *rope,
        .scale = we_attention_scale(c->head_dim),
    };
    struct we_feed_forward feed_forward = {.activation = WE_ACTIVATION_SILU};
    const struct {
        const char *name;
        uint32_t rows, in;
        bool bias;
        struct we_linear *linear;
    } linears[] = {
        {"self_attn.q_proj", q_rows, hidden, c->attention_bias, &attention.q_proj},
        {"self_attn.k_proj", kv_rows, hidden, c->attention_bias, &attention.k_proj},
        {"self_attn.v_proj", kv_rows, hidden, c->attention_bias, &attention.v_proj},
        {"self_attn.o_proj", hidden, q_rows, c->attention_bias, &attention.o_proj},
        {"mlp.gate_proj", ffn, hidden, c->mlp_bias, &feed_forward.gate_proj},
        {"mlp.up_proj", ffn, hidden, c->mlp_bias, &feed_forward.up_proj},
        {"mlp.down_proj", hidden, ffn, c->mlp_bias, &feed_forward.down_proj},
    };
    we_status status = layer_mask(source, c, index, &attention, error);
    for (size_t i = 0; status == WE_OK && i < sizeof linears / sizeof *linears; i++)
        status = we_bind_linear(source, we_bind_name(source, "model.layers.%u.%s", index, linears[i].name), linears[i].rows,
                                linears[i].in, linears[i].bias, linears[i].linear, error);
    struct we_norm input_norm, post_attention_norm;
    if (status == WE_OK)
        status = we_bind_layer_norms(source, index, hidden, c->common.rms_norm_eps, &input_norm, &post_attention_norm, error);
    if (status == WE_OK)
        status = we_build_layer(source, &attention, &input_norm, &feed_forward, &post_attention_norm, index, layer, error);
    return status;
}

we_status we_describe_llama(const struct we_arch_source *source, struct we_decoder *decoder, struct we_error *error)
{
    struct llama_config c;
    we_status status = read_config(source, &c, decoder, error);
    if (status != WE_OK)
        return status;
    struct we_rope_config rope_config = {.rotary_dim = c.head_dim,
                                         .interleaved = c.rope_traditional,
                                         .max_position_embeddings = c.common.max_position_embeddings};
    struct we_rope rope;
    status = we_rope_build(source, &rope_config, &rope, &decoder->rope_switch_length, error);
    struct we_layer *layers = (struct we_layer *)decoder->layers;
    for (uint32_t i = 0; status == WE_OK && i < decoder->num_layers; i++)
        status = describe_layer(source, &c, &rope, i, &layers[i], error);
    if (status == WE_OK)
        status = we_bind_ends(source, c.tie_word_embeddings, c.common.rms_norm_eps, decoder, error);
    return status;
}
