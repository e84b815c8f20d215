/* Families with layer norms: Phi 1 and 2, StarCoder 2, StableLM, Nemotron. Defaults as in mlx-lm's models/phi.py,
 * starcoder2.py, stablelm.py and nemotron.py. */
#include "arch/families.h"

#include <stdio.h>

static void begin(struct we_build *b, float rotary_factor, bool unscaled, struct we_rope *rope)
{
    b->norm.kind = WE_NORM_LAYER;
    b->norm_bias = true;
    struct we_rope_config config = we_usual_rope(b, (uint32_t)((float)b->c.head_dim * rotary_factor));
    config.unscaled = unscaled;
    we_build_rope(b, &config, rope);
}

/* down(activation(up)), with names of its own. */
static void build_ungated(struct we_build *b, const char *up, const char *down, bool bias, enum we_activation activation,
                          struct we_feed_forward *f)
{
    f->activation = activation;
    we_build_linear(b, up, b->c.intermediate_size, b->c.hidden_size, bias, &f->up_proj);
    we_build_linear(b, down, b->c.hidden_size, b->c.intermediate_size, bias, &f->down_proj);
}

static void describe_phi(struct we_build *b)
{
    const uint32_t hidden = b->c.hidden_size, dim = b->c.head_dim;
    const uint32_t q_rows = b->c.num_attention_heads * dim, kv_rows = b->c.num_key_value_heads * dim;
    struct we_rope rope;
    begin(b, b->c.partial_rotary_factor, true, &rope);
    while (b->status == WE_OK && b->layer < b->c.num_hidden_layers) {
        struct we_layer_parts l = {.attention = we_usual_attention(b, &rope), .parallel = true};
        we_build_scope(b, "model.layers.%u.", b->layer);
        we_build_linear(b, "self_attn.q_proj", q_rows, hidden, true, &l.attention.q_proj);
        we_build_linear(b, "self_attn.k_proj", kv_rows, hidden, true, &l.attention.k_proj);
        we_build_linear(b, "self_attn.v_proj", kv_rows, hidden, true, &l.attention.v_proj);
        we_build_linear(b, "self_attn.dense", hidden, q_rows, true, &l.attention.o_proj);
        build_ungated(b, "mlp.fc1", "mlp.fc2", true, WE_ACTIVATION_GELU_TANH, &l.feed_forward);
        we_build_norm(b, "input_layernorm", &l.attention_norm);
        l.feed_forward_norm = l.attention_norm;
        we_build_layer(b, &l);
    }
    we_build_ends(b, &(struct we_ends){.norm = "model.final_layernorm", .tie = WE_UNTIED, .head_bias = true});
}

static const struct we_key phi_keys[] = {WE_SIZES, WE_FLOAT_AS("layer_norm_eps", norm_eps), WE_FLOAT(partial_rotary_factor)};
const struct we_family we_family_phi = {
    .models = "Phi-1.5, Phi-2",
    WE_KEYS(phi_keys),
    .defaults = {.hidden_size = 2560,
                 .num_hidden_layers = 32,
                 .num_attention_heads = 32,
                 .intermediate_size = 10240,
                 .vocab_size = 51200,
                 .max_position_embeddings = 2048,
                 .partial_rotary_factor = 0.4f,
                 .norm_eps = 1e-5f,
                 .rope_theta = 10000},
    .describe = describe_phi,
};

static void describe_starcoder2(struct we_build *b)
{
    struct we_rope rope;
    begin(b, 1, true, &rope);
    while (b->status == WE_OK && b->layer < b->c.num_hidden_layers) {
        struct we_layer_parts l = {.attention = we_usual_attention(b, &rope)};
        we_build_scope(b, "model.layers.%u.", b->layer);
        we_build_qkvo(b, "self_attn.", true, true, &l.attention);
        build_ungated(b, "mlp.c_fc", "mlp.c_proj", true, WE_ACTIVATION_GELU, &l.feed_forward);
        we_build_norm(b, "input_layernorm", &l.attention_norm);
        we_build_norm(b, "post_attention_layernorm", &l.feed_forward_norm);
        we_build_layer(b, &l);
    }
    we_build_ends(b, &(struct we_ends){0});
}

static const struct we_key starcoder2_keys[] = {WE_SIZES, WE_FLOAT_AS("norm_epsilon", norm_eps), WE_BOOL(tie_word_embeddings)};
const struct we_family we_family_starcoder2 = {
    .models = "StarCoder 2",
    WE_KEYS(starcoder2_keys),
    .defaults = {.norm_eps = 1e-5f, .vocab_size = 49152, .rope_theta = 100000, .tie_word_embeddings = true},
    .describe = describe_starcoder2,
};

/* ---- stablelm ---- */

/* The weights of every head's norm are a tensor of their own: they are put together. */
static void build_head_norms(struct we_build *b, const char *module, uint32_t count, struct we_norm *norm)
{
    const uint32_t dim = b->c.head_dim;
    float *weights = b->status == WE_OK ? we_arena_array(b->source->arena, (size_t)count * dim, sizeof *weights) : NULL;
    if (b->status == WE_OK && weights == NULL)
        b->status = we_error_memory(b->error, "the norms of heads");
    b->norm_bias = false;
    for (uint32_t i = 0; b->status == WE_OK && i < count; i++) {
        struct we_norm one = {0};
        char name[64];
        snprintf(name, sizeof name, "%s.norms.%u", module, i);
        we_build_norm_over(b, name, dim, &one);
        if (b->status == WE_OK)
            we_floats_to_f32(one.weight.data, one.weight.dtype, dim, weights + (size_t)i * dim);
    }
    b->norm_bias = true;
    *norm = b->norm;
    norm->width = dim;
    norm->weight = (struct we_vector){weights, WE_F32, count * dim};
}

static void describe_stablelm(struct we_build *b)
{
    struct we_rope rope;
    begin(b, b->c.partial_rotary_factor, true, &rope);
    while (b->status == WE_OK && b->layer < b->c.num_hidden_layers) {
        struct we_layer_parts l = {.attention = we_usual_attention(b, &rope), .parallel = b->c.use_parallel_residual};
        we_build_scope(b, "model.layers.%u.", b->layer);
        we_build_qkvo(b, "self_attn.", b->c.attention_bias, false, &l.attention);
        if (b->c.use_qk_norm) {
            build_head_norms(b, "self_attn.q_layernorm", b->c.num_attention_heads, &l.attention.q_norm);
            build_head_norms(b, "self_attn.k_layernorm", b->c.num_key_value_heads, &l.attention.k_norm);
        }
        we_build_mlp(b, "mlp.", b->c.intermediate_size, false, &l.feed_forward);
        we_build_norm(b, "input_layernorm", &l.attention_norm);
        if (l.parallel)
            l.feed_forward_norm = l.attention_norm;
        else
            we_build_norm(b, "post_attention_layernorm", &l.feed_forward_norm);
        we_build_layer(b, &l);
    }
    we_build_ends(b, &(struct we_ends){.tie = WE_UNTIED});
}

static const struct we_key stablelm_keys[] = {WE_SIZES,
                                              WE_NEED_FLOAT_AS("layer_norm_eps", norm_eps),
                                              WE_BOOL_AS("use_qkv_bias", attention_bias),
                                              WE_NEED_FLOAT(partial_rotary_factor),
                                              WE_BOOL(use_parallel_residual),
                                              WE_BOOL_AS("qk_layernorm", use_qk_norm)};
const struct we_family we_family_stablelm = {
    .models = "StableLM 2, StableLM Zephyr",
    WE_KEYS(stablelm_keys),
    .defaults = {.rope_theta = 10000},
    .describe = describe_stablelm,
};

/* ---- nemotron: weights of norms around 0, squared ReLU ---- */

static void describe_nemotron(struct we_build *b)
{
    struct we_rope rope;
    begin(b, b->c.partial_rotary_factor, false, &rope);
    b->norm.weight_offset = 1;
    while (b->status == WE_OK && b->layer < b->c.num_hidden_layers) {
        struct we_layer_parts l = {.attention = we_usual_attention(b, &rope)};
        we_build_scope(b, "model.layers.%u.", b->layer);
        we_build_qkvo(b, "self_attn.", b->c.attention_bias, b->c.attention_bias, &l.attention);
        build_ungated(b, "mlp.up_proj", "mlp.down_proj", b->c.mlp_bias, WE_ACTIVATION_RELU_SQUARED, &l.feed_forward);
        we_build_norm(b, "input_layernorm", &l.attention_norm);
        we_build_norm(b, "post_attention_layernorm", &l.feed_forward_norm);
        we_build_layer(b, &l);
    }
    we_build_ends(b, &(struct we_ends){0});
}

static const struct we_key nemotron_keys[] = {WE_SIZES,
                                              WE_NEED_FLOAT(norm_eps),
                                              WE_U32(head_dim),
                                              WE_BOOL(attention_bias),
                                              WE_BOOL(mlp_bias),
                                              WE_FLOAT(partial_rotary_factor),
                                              WE_BOOL(tie_word_embeddings)};
const struct we_family we_family_nemotron = {
    .models = "Nemotron 4, Minitron",
    WE_KEYS(nemotron_keys),
    .defaults = {.rope_theta = 10000, .partial_rotary_factor = 0.5f},
    .describe = describe_nemotron,
};
