/* What the file of a family is written with: the keys of its config with their defaults, and a builder that binds layers.
 * A builder remembers its first failure and does nothing afterwards, so a family reads as a list of what it has. */
#ifndef WE_ARCH_FAMILY_H
#define WE_ARCH_FAMILY_H

#include "arch/bind.h"

#include <stddef.h>

/* Values of a config, by the names of their keys. A family lists those that it reads (WE_U32, ...); the others keep its
 * defaults. Names that vary from family to family are read into one: norm_eps, ... */
struct we_keys {
    uint32_t hidden_size, num_hidden_layers, intermediate_size, num_attention_heads, num_key_value_heads, head_dim, vocab_size;
    uint32_t max_position_embeddings, original_max_position_embeddings, sliding_window, sliding_window_pattern;
    uint32_t no_rope_layer_interval, dim_model_base, rotary_dim;
    uint32_t global_head_dim, num_global_key_value_heads, num_kv_shared_layers, hidden_size_per_layer_input,
        vocab_size_per_layer_input;
    uint32_t kv_lora_rank, q_lora_rank, v_head_dim, qk_nope_head_dim;
    uint32_t num_experts, num_experts_per_tok, moe_intermediate_size, shared_intermediate_size, num_shared_experts, n_group,
        topk_group, first_k_dense_replace, conv_length, width_unit, decoder_sparse_step, moe_layer_start_index,
        moe_layer_end_index;
    uint32_t full_attention_interval, state_heads, state_groups, state_keys, state_values; /* of gated delta and Mamba 2 */
    float norm_eps, rope_theta, rope_local_base_freq, partial_rotary_factor;
    float query_pre_attn_scalar, attn_logit_softcapping, final_logit_softcapping;
    float logit_scale, logits_scaling, attention_multiplier, embedding_multiplier, residual_multiplier;
    float scale_depth, scale_emb, routed_scaling_factor, router_jitter_noise, width_multiplier;
    bool attention_bias, attention_out_bias, mlp_bias, use_bias, layer_norm_bias, use_qk_norm, use_parallel_residual;
    bool attention_k_eq_v, use_double_wide_mlp, enable_moe_block;
    bool rope_traditional, tie_word_embeddings, norm_topk_prob, norm_head, has_expert_bias, has_shared_expert, adjusts_width, conv_bias;
};

enum we_key_kind { WE_KEY_U32 = 0, WE_KEY_FLOAT, WE_KEY_BOOL };
struct we_key {
    const char *name;
    enum we_key_kind kind;
    bool required; /* unless the family has a default other than 0 */
    size_t offset; /* in struct we_keys */
};
#define WE_U32_AS(key, field)                                                                                                  \
    {                                                                                                                          \
        key, WE_KEY_U32, false, offsetof(struct we_keys, field)                                                                \
    }
#define WE_FLOAT_AS(key, field)                                                                                                \
    {                                                                                                                          \
        key, WE_KEY_FLOAT, false, offsetof(struct we_keys, field)                                                              \
    }
#define WE_BOOL_AS(key, field)                                                                                                 \
    {                                                                                                                          \
        key, WE_KEY_BOOL, false, offsetof(struct we_keys, field)                                                               \
    }
#define WE_U32(field) WE_U32_AS(#field, field)
#define WE_FLOAT(field) WE_FLOAT_AS(#field, field)
#define WE_BOOL(field) WE_BOOL_AS(#field, field)
#define WE_NEED_U32_AS(key, field)                                                                                             \
    {                                                                                                                          \
        key, WE_KEY_U32, true, offsetof(struct we_keys, field)                                                                 \
    }
#define WE_NEED_FLOAT_AS(key, field)                                                                                           \
    {                                                                                                                          \
        key, WE_KEY_FLOAT, true, offsetof(struct we_keys, field)                                                               \
    }
#define WE_NEED_U32(field) WE_NEED_U32_AS(#field, field)
#define WE_NEED_FLOAT(field) WE_NEED_FLOAT_AS(#field, field)
/* The sizes of nearly every family. */
#define WE_SIZES                                                                                                               \
    WE_NEED_U32(hidden_size), WE_NEED_U32(num_hidden_layers), WE_NEED_U32(intermediate_size),                                  \
        WE_NEED_U32(num_attention_heads), WE_NEED_U32(vocab_size), WE_U32(num_key_value_heads),                                \
        WE_U32(max_position_embeddings)
#define WE_RMS_NORM_EPS WE_NEED_FLOAT_AS("rms_norm_eps", norm_eps)

struct we_build {
    const struct we_arch_source *source;
    struct we_decoder *decoder;
    struct we_error *error;
    we_status status; /* the first failure */
    struct we_keys c;
    struct we_norm norm; /* the family's usual norm, without weights; `norm_bias`: its norms have biases */
    bool norm_bias;
    char scope[96]; /* before the names of modules: "model.layers.3." */
    uint32_t layer; /* layers so far */
    bool tied;
    const struct we_family *family;
    bool (*is_passed_over)(const struct we_build *build,
                           struct we_str tensor); /* further tensors that are not needed, or NULL */
};

struct we_family {
    const char *models;     /* what people know it by */
    const char *model_type; /* which of its names is no alias; NULL: the shortest */
    const struct we_key *keys;
    size_t num_keys;
    struct we_keys defaults;
    void (*describe)(struct we_build *build);
    const char *passed_over[6];                /* parts of names of tensors that are not needed */
    const char *quant_predicate, *keeps_dtype; /* for those who convert: see struct we_model_tensors */
};
#define WE_KEYS(array) .keys = array, .num_keys = sizeof array / sizeof *array

/* Reads the keys, and fills the decoder's sizes. Derived: num_key_value_heads (num_attention_heads), head_dim (hidden_size /
 * num_attention_heads). */
void we_build_begin(struct we_build *build);
/* Fails, with a message that begins with the config's name. */
void we_build_refuse(struct we_build *build, we_status status, const char *format, ...) WE_PRINTF(3, 4);

/* Whether the config has the key with the value null, which is not the same as to lack it where the default is a number. */
bool we_build_is_null(const struct we_build *build, const char *key);

/* Names of modules that follow begin with it. */
void we_build_scope(struct we_build *build, const char *format, ...) WE_PRINTF(2, 3);

void we_build_linear(struct we_build *build, const char *module, uint32_t rows, uint32_t in, bool bias,
                     struct we_linear *linear);
/* The number in a name with "layers.3."; UINT32_MAX: there is none. */
uint32_t we_layer_of(struct we_str name);
/* Whether there is a tensor MODULE.weight. */
bool we_build_has(struct we_build *build, const char *module);
/* MODULE.weight (rows, in) that mlx-lm has as a mere array, never quantised. */
void we_build_array(struct we_build *build, const char *module, uint32_t rows, uint32_t in, struct we_linear *linear);
/* Experts: (count, rows, in). */
void we_build_experts(struct we_build *build, const char *module, uint32_t count, uint32_t rows, uint32_t in, bool bias,
                      struct we_linear *linear);
/* The family's usual norm over hidden_size; the same over `width`; with weights for each of `count` heads. */
void we_build_norm(struct we_build *build, const char *module, struct we_norm *norm);
void we_build_norm_over(struct we_build *build, const char *module, uint32_t width, struct we_norm *norm);
void we_build_norm_each(struct we_build *build, const char *module, uint32_t count, uint32_t width, struct we_norm *norm);
/* (count, length) of a tensor (count, length, 1). */
void we_build_taps(struct we_build *build, const char *module, uint32_t count, uint32_t length, struct we_vector *vector);
void we_build_vector(struct we_build *build, const char *module, const char *name, uint32_t length, struct we_vector *vector);

/* The usual rope of a family: the config's base and scaling over `rotary_dim` values. */
struct we_rope_config we_usual_rope(const struct we_build *build, uint32_t rotary_dim);
void we_build_rope(struct we_build *build, const struct we_rope_config *config, struct we_rope *rope);

/* Sizes, scale 1 / sqrt(head_dim), and the rope. */
struct we_attention we_usual_attention(const struct we_build *build, const struct we_rope *rope);
/* PREFIXq_proj, k_proj, v_proj, o_proj. */
void we_build_qkvo(struct we_build *build, const char *prefix, bool bias, bool out_bias, struct we_attention *attention);
/* Queries, keys and values one after the other in one projection. */
void we_build_fused_qkv(struct we_build *build, const char *module, bool bias, struct we_attention *attention);
/* PREFIXgate_proj, up_proj, down_proj. */
void we_build_mlp(struct we_build *build, const char *prefix, uint32_t inner, bool bias, struct we_feed_forward *f);
/* embed_q and unembed_out of latent attention from the one projection that they are parts of. */
void we_build_kv_b(struct we_build *build, const char *module, struct we_latent_attention *attention);
/* PREFIXgate_proj, ... of num_experts experts, each of `inner` values. */
void we_build_switch(struct we_build *build, const char *prefix, uint32_t inner, bool bias, struct we_moe *moe);

/* The mask of this layer by layer_types, if the config has it; then whether it is sliding. */
bool we_build_layer_type(struct we_build *build, bool sliding_by_default, struct we_attention *attention);
void we_slide(struct we_build *build, struct we_attention *attention);

/* The usual two blocks. Norms that are absent (zeros) are none. */
struct we_layer_parts {
    struct we_attention attention;
    struct we_feed_forward feed_forward; /* used if moe has no experts */
    struct we_moe moe;
    struct we_norm attention_norm, attention_post_norm, feed_forward_norm, feed_forward_post_norm;
    struct we_short_conv short_conv; /* used in place of attention if it has a length; */
    struct we_gated_delta gated_delta; /* if it has heads; */
    struct we_mamba2 mamba2;           /* likewise; */
    bool no_mixer, no_feed_forward;    /* the layer has only one of the two */
    struct we_latent_attention latent_attention; /* likewise */
    bool parallel;                   /* both read the same stream */
    float residual_multiplier;       /* 0: 1 */
    uint32_t kv_layer;               /* of attention that shares keys and values: whose they are */
    bool beside;                     /* the experts stand beside the feed-forward, in one step, with norms of their own: */
    struct we_norm experts_norm, experts_post_norm;
    struct we_norm step_post_norm; /* of that step, or of the feed-forward's */
    struct we_layer_input input;   /* a step of its own, if there is one */
    struct we_norm input_post_norm;
    float stream_multiplier; /* of the layer's last step; 0: 1 */
};
void we_build_layer(struct we_build *build, const struct we_layer_parts *parts);

/* The embedding, the final norm and the head; then it fails for a tensor that nothing used. */
enum we_tie { WE_TIE_BY_CONFIG = 0, WE_TIED, WE_UNTIED, WE_TIED_WITHOUT_HEAD };
struct we_ends {
    const char *embed_tokens, *norm, *lm_head; /* NULL: model.embed_tokens, model.norm, lm_head */
    enum we_tie tie;
    bool head_bias;
};
void we_build_ends(struct we_build *build, const struct we_ends *ends);

#endif
