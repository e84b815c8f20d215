/* Phi-3 and Phi-3.5: fused qkv_proj and gate_up_proj, longrope. Defaults as in mlx-lm's models/phi3.py. */
#include "arch/bind.h"
#include "arch/families.h"

struct phi3_config {
    struct we_common_config common;
    uint32_t head_dim, original_max_position_embeddings;
    bool rope_traditional, tie_word_embeddings;
    float partial_rotary_factor;
};

static we_status read_config(const struct we_arch_source *source, struct phi3_config *c, struct we_decoder *decoder,
                             struct we_error *error)
{
    const struct we_config *config = &source->config;
    *c = (struct phi3_config){.original_max_position_embeddings = 4096, .partial_rotary_factor = 1};
    we_status status = we_config_common(source, &c->common, decoder, error);
    if (status == WE_OK)
        status = we_config_u32(config, "original_max_position_embeddings", &c->original_max_position_embeddings, error);
    if (status == WE_OK)
        status = we_config_bool(config, "rope_traditional", &c->rope_traditional, error);
    if (status == WE_OK)
        status = we_config_bool(config, "tie_word_embeddings", &c->tie_word_embeddings, error);
    if (status == WE_OK)
        status = we_config_float(config, "partial_rotary_factor", &c->partial_rotary_factor, error);
    if (status != WE_OK)
        return status;
    if (c->common.max_position_embeddings == 0)
        c->common.max_position_embeddings = decoder->context_length = 131072;
    c->head_dim = c->common.hidden_size / c->common.num_attention_heads;
    if (c->head_dim == 0 || c->head_dim > 4096)
        return we_error_set(error, WE_INVALID_FORMAT,
                            "%s: hidden_size %u and num_attention_heads %u give a head of %u values; 1 to 4096 were expected",
                            config->where, c->common.hidden_size, c->common.num_attention_heads, c->head_dim);
    if (!(c->partial_rotary_factor > 0 && c->partial_rotary_factor <= 1))
        return we_error_set(error, WE_INVALID_FORMAT, "%s: partial_rotary_factor is %g, where a number above 0, at most 1, was "
                            "expected", config->where, (double)c->partial_rotary_factor);
    return WE_OK;
}

static we_status describe_layer(const struct we_arch_source *source, const struct phi3_config *c, const struct we_rope *rope,
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
        .mask = WE_MASK_CAUSAL,
        .scale = we_attention_scale(c->head_dim),
    };
    struct we_feed_forward feed_forward = {.activation = WE_ACTIVATION_SILU};
    struct we_linear qkv_proj, gate_up_proj;
    const struct {
        const char *name;
        uint32_t rows, in;
        struct we_linear *linear;
    } linears[] = {
        {"self_attn.qkv_proj", q_rows + 2 * kv_rows, hidden, &qkv_proj},
        {"self_attn.o_proj", hidden, q_rows, &attention.o_proj},
        {"mlp.gate_up_proj", 2 * ffn, hidden, &gate_up_proj},
        {"mlp.down_proj", hidden, ffn, &feed_forward.down_proj},
    };
    we_status status = WE_OK;
    for (size_t i = 0; status == WE_OK && i < sizeof linears / sizeof *linears; i++)
        status = we_bind_linear(source, we_bind_name(source, "model.layers.%u.%s", index, linears[i].name), linears[i].rows,
                                linears[i].in, false, linears[i].linear, error);
    struct we_norm input_norm, post_attention_norm;
    if (status == WE_OK)
        status = we_bind_layer_norms(source, index, hidden, c->common.rms_norm_eps, &input_norm, &post_attention_norm, error);
    if (status != WE_OK)
        return status;
    attention.q_proj = we_linear_view(&qkv_proj, 0, q_rows);
    attention.k_proj = we_linear_view(&qkv_proj, q_rows, kv_rows);
    attention.v_proj = we_linear_view(&qkv_proj, q_rows + kv_rows, kv_rows);
    feed_forward.gate_proj = we_linear_view(&gate_up_proj, 0, ffn);
    feed_forward.up_proj = we_linear_view(&gate_up_proj, ffn, ffn);
    return we_build_layer(source, &attention, &input_norm, &feed_forward, &post_attention_norm, index, layer, error);
}

we_status we_describe_phi3(const struct we_arch_source *source, struct we_decoder *decoder, struct we_error *error)
{
    struct phi3_config c;
    we_status status = read_config(source, &c, decoder, error);
    if (status != WE_OK)
        return status;
    struct we_rope_config rope_config = {.rotary_dim = (uint32_t)((float)c.head_dim * c.partial_rotary_factor),
                                         .interleaved = c.rope_traditional,
                                         .max_position_embeddings = c.common.max_position_embeddings,
                                         .original_max_position_embeddings = c.original_max_position_embeddings};
    struct we_rope rope;
    status = we_rope_build(source, &rope_config, &rope, &decoder->rope_switch_length, error);
    struct we_layer *layers = (struct we_layer *)decoder->layers;
    for (uint32_t i = 0; status == WE_OK && i < decoder->num_layers; i++)
        status = describe_layer(source, &c, &rope, i, &layers[i], error);
    if (status == WE_OK)
        status = we_bind_ends(source, c.tie_word_embeddings, c.common.rms_norm_eps, decoder, error);
    return status;
}
