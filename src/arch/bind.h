/* Binding a description's weights to the tensors of the files, with every shape checked against the config. */
#ifndef WE_ARCH_BIND_H
#define WE_ARCH_BIND_H

#include "arch/arch.h"

/* The tensors that the description uses, so that those it does not use can be named, and what is known of them. */
struct we_bindings {
    const struct we_tensor **tensors;
    size_t count, capacity;
    struct we_model_tensor *linears; /* those that are weights of linear layers and embeddings */
    size_t num_linears, linears_capacity;
};

/* A linear layer, module.weight (rows, in), plain or quantised, and module.bias (rows) if `bias`. */
we_status we_bind_linear(const struct we_arch_source *source, const char *module, uint32_t rows, uint32_t in, bool bias,
                         struct we_linear *linear, struct we_error *error);

/* module.weight (width) of an RMS norm. */
we_status we_bind_rms_norm(const struct we_arch_source *source, const char *module, uint32_t width, float eps,
                           struct we_norm *norm, struct we_error *error);

/* Rows [first, first + rows) of a fused projection. */
struct we_linear we_linear_view(const struct we_linear *fused, uint32_t first, uint32_t rows);

/* A formatted name in the arena; NULL when memory is out. */
const char *we_bind_name(const struct we_arch_source *source, const char *format, ...) WE_PRINTF(2, 3);

/* ---- parts that families share ---- */

/* h = h + attention(norm(h)); h = h + ffn(norm(h)): the usual layer, in the arena. */
we_status we_build_layer(const struct we_arch_source *source, const struct we_attention *attention,
                         const struct we_norm *attention_norm, const struct we_feed_forward *feed_forward,
                         const struct we_norm *feed_forward_norm, uint32_t state, struct we_layer *layer,
                         struct we_error *error);

/* model.layers.INDEX.input_layernorm and post_attention_layernorm, of hidden_size. */
we_status we_bind_layer_norms(const struct we_arch_source *source, uint32_t index, uint32_t hidden_size, float eps,
                              struct we_norm *input_norm, struct we_norm *post_attention_norm, struct we_error *error);

/* The embedding, the final norm and the head: model.embed_tokens, model.norm, lm_head (or the embedding, if tied). The last
 * to be called: it fails for a tensor that nothing uses, which means that the weights are of another model than the
 * config. (Tables of rope, and a head beside a tied embedding, are passed over, as mlx-lm does.) */
we_status we_bind_ends(const struct we_arch_source *source, bool tied, float norm_eps, struct we_decoder *decoder,
                       struct we_error *error);

/* The keys that nearly every family has. */
struct we_common_config {
    uint32_t hidden_size, num_hidden_layers, intermediate_size, num_attention_heads, num_key_value_heads, vocab_size;
    uint32_t max_position_embeddings; /* 0: absent */
    float rms_norm_eps;
};
/* Reads them, checks their ranges (num_attention_heads a multiple of num_key_value_heads, ...), and fills the sizes
 * of the decoder, whose layers it allocates. */
we_status we_config_common(const struct we_arch_source *source, struct we_common_config *common, struct we_decoder *decoder,
                           struct we_error *error);

/* The usual scale of q . k: 1 / sqrt(head_dim). */
float we_attention_scale(uint32_t head_dim);

/* ---- rope (rope.c) ---- */

struct we_rope_config {
    uint32_t rotary_dim;
    bool interleaved;
    uint32_t max_position_embeddings;         /* for longrope; 0: absent */
    uint32_t original_max_position_embeddings; /* for longrope, unless rope_scaling has its own; 0: absent */
};
/* Reduces rope_theta and rope_scaling (or rope_parameters) of the config to tables. Types: default, linear, llama3, yarn, longrope (su). *switch_length is set for longrope as
 * we_decoder.rope_switch_length; it stays as it is for the others. Other types are refused by name. */
we_status we_rope_build(const struct we_arch_source *source, const struct we_rope_config *config, struct we_rope *rope,
                        uint32_t *switch_length, struct we_error *error);

#endif
