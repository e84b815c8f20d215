/* Gemma 1, 2 and 3: RMS norms with weights around 0, GELU, embeddings times the root of their width; Gemma 2 has norms after
 * blocks too, and caps on scores and logits; Gemma 3 norms of queries and keys, and layers with a window and a base of rope of
 * their own. Defaults as in mlx-lm's models/gemma.py, gemma2.py, gemma3_text.py and gemma3.py. */
#include "arch/families.h"

#include <math.h>

static void begin(struct we_build *b)
{
    b->norm.weight_offset = 1;
    b->decoder->embedding_multiplier = (float)sqrt((double)b->c.hidden_size);
}

static struct we_layer_parts parts_of(struct we_build *b, const struct we_rope *rope, enum we_activation activation)
{
    struct we_layer_parts l = {.attention = we_usual_attention(b, rope), .feed_forward = {.activation = activation}};
    we_build_scope(b, "model.layers.%u.", b->layer);
    we_build_qkvo(b, "self_attn.", false, false, &l.attention);
    we_build_mlp(b, "mlp.", b->c.intermediate_size, false, &l.feed_forward);
    we_build_norm(b, "input_layernorm", &l.attention_norm);
    return l;
}

static void build_post_norms(struct we_build *b, struct we_layer_parts *l)
{
    we_build_norm(b, "post_attention_layernorm", &l->attention_post_norm);
    we_build_norm(b, "pre_feedforward_layernorm", &l->feed_forward_norm);
    we_build_norm(b, "post_feedforward_layernorm", &l->feed_forward_post_norm);
}

static float scale_of(struct we_build *b)
{
    if (!(b->c.query_pre_attn_scalar > 0))
        we_build_refuse(b, WE_INVALID_FORMAT, "query_pre_attn_scalar is %g, where a positive number was expected",
                        (double)b->c.query_pre_attn_scalar);
    return (float)(1 / sqrt((double)b->c.query_pre_attn_scalar));
}

static void describe_gemma(struct we_build *b)
{
    begin(b);
    struct we_rope rope;
    struct we_rope_config config = we_usual_rope(b, b->c.head_dim);
    config.unscaled = true;
    we_build_rope(b, &config, &rope);
    while (b->status == WE_OK && b->layer < b->c.num_hidden_layers) {
        struct we_layer_parts l = parts_of(b, &rope, WE_ACTIVATION_GELU);
        we_build_norm(b, "post_attention_layernorm", &l.feed_forward_norm);
        we_build_layer(b, &l);
    }
    we_build_ends(b, &(struct we_ends){.tie = WE_TIED});
}

static void describe_gemma2(struct we_build *b)
{
    begin(b);
    struct we_rope rope;
    struct we_rope_config config = we_usual_rope(b, b->c.head_dim);
    config.unscaled = true;
    we_build_rope(b, &config, &rope);
    if (!(b->c.attn_logit_softcapping > 0 && b->c.final_logit_softcapping > 0))
        we_build_refuse(b, WE_INVALID_FORMAT,
                        "attn_logit_softcapping is %g and final_logit_softcapping %g, where positive numbers were expected",
                        (double)b->c.attn_logit_softcapping, (double)b->c.final_logit_softcapping);
    b->decoder->final_logit_softcapping = b->c.final_logit_softcapping;
    while (b->status == WE_OK && b->layer < b->c.num_hidden_layers) {
        struct we_layer_parts l = parts_of(b, &rope, WE_ACTIVATION_GELU_TANH);
        l.attention.scale = scale_of(b);
        l.attention.logit_softcapping = b->c.attn_logit_softcapping;
        build_post_norms(b, &l);
        we_build_layer(b, &l);
    }
    we_build_ends(b, &(struct we_ends){.tie = WE_TIED});
}

/* Every sliding_window_pattern-th layer sees all positions, and has the base rope_theta, scaled. */
static void describe_gemma3(struct we_build *b)
{
    begin(b);
    struct we_rope global, local;
    struct we_rope_config config = we_usual_rope(b, b->c.head_dim);
    config.layer_type = "full_attention";
    we_build_rope(b, &config, &global);
    config = (struct we_rope_config){
        .rotary_dim = b->c.head_dim, .theta = b->c.rope_local_base_freq, .unscaled = true, .layer_type = "sliding_attention"};
    we_build_rope(b, &config, &local);
    if (b->status == WE_OK && b->c.sliding_window_pattern == 0)
        we_build_refuse(b, WE_INVALID_FORMAT, "sliding_window_pattern is 0, where a positive number was expected");
    /* mlx-lm rounds the root to bfloat16, as the model was trained. */
    b->decoder->embedding_multiplier = we_f32_from_bf16(we_bf16_from_f32(b->decoder->embedding_multiplier));
    while (b->status == WE_OK && b->layer < b->c.num_hidden_layers) {
        const bool slides = (b->layer + 1) % b->c.sliding_window_pattern != 0;
        struct we_layer_parts l = parts_of(b, slides ? &local : &global, WE_ACTIVATION_GELU_TANH);
        l.attention.scale = scale_of(b);
        we_build_norm_over(b, "self_attn.q_norm", b->c.head_dim, &l.attention.q_norm);
        we_build_norm_over(b, "self_attn.k_norm", b->c.head_dim, &l.attention.k_norm);
        if (slides)
            we_slide(b, &l.attention);
        build_post_norms(b, &l);
        we_build_layer(b, &l);
    }
    we_build_ends(b, &(struct we_ends){.tie = WE_TIED_WITHOUT_HEAD});
}

static const struct we_key gemma_keys[] = {WE_SIZES, WE_RMS_NORM_EPS, WE_NEED_U32(head_dim), WE_BOOL(rope_traditional)};
const struct we_family we_family_gemma = {
    .models = "Gemma",
    WE_KEYS(gemma_keys),
    .defaults = {.rope_theta = 10000},
    .describe = describe_gemma,
};

static const struct we_key gemma2_keys[] = {WE_SIZES,
                                            WE_RMS_NORM_EPS,
                                            WE_NEED_U32(head_dim),
                                            WE_BOOL(rope_traditional),
                                            WE_FLOAT(attn_logit_softcapping),
                                            WE_FLOAT(final_logit_softcapping),
                                            WE_FLOAT(query_pre_attn_scalar)};
const struct we_family we_family_gemma2 = {
    .models = "Gemma 2",
    WE_KEYS(gemma2_keys),
    .defaults = {.rope_theta = 10000,
                 .attn_logit_softcapping = 50,
                 .final_logit_softcapping = 30,
                 .query_pre_attn_scalar = 144},
    .describe = describe_gemma2,
};

#define GEMMA3_KEYS                                                                                                            \
    WE_U32(hidden_size), WE_U32(num_hidden_layers), WE_U32(intermediate_size), WE_U32(num_attention_heads),                    \
        WE_U32(num_key_value_heads), WE_U32(head_dim), WE_U32(max_position_embeddings), WE_FLOAT_AS("rms_norm_eps", norm_eps), \
        WE_FLOAT(rope_local_base_freq), WE_FLOAT(query_pre_attn_scalar), WE_U32(sliding_window),                               \
        WE_U32(sliding_window_pattern)
#define GEMMA3_DEFAULTS                                                                                                        \
    .hidden_size = 1152, .num_hidden_layers = 26, .intermediate_size = 6912, .head_dim = 256, .norm_eps = 1e-6f,               \
    .rope_theta = 1000000, .rope_local_base_freq = 10000, .query_pre_attn_scalar = 256, .sliding_window = 512,                 \
    .sliding_window_pattern = 6, .max_position_embeddings = 32768
static const struct we_key gemma3_text_keys[] = {GEMMA3_KEYS, WE_U32(vocab_size)};
const struct we_family we_family_gemma3_text = {
    .models = "Gemma 3, text",
    WE_KEYS(gemma3_text_keys),
    .defaults = {GEMMA3_DEFAULTS, .num_attention_heads = 4, .num_key_value_heads = 1, .vocab_size = 262144},
    .describe = describe_gemma3,
};

/* Within gemma3, whose outer config has the size of the vocabulary. */
static const struct we_key gemma3_keys[] = {GEMMA3_KEYS};
const struct we_family we_family_gemma3 = {
    .models = "Gemma 3 (its text part)",
    WE_KEYS(gemma3_keys),
    .defaults = {GEMMA3_DEFAULTS, .num_attention_heads = 8, .num_key_value_heads = 4, .vocab_size = 262208},
    .describe = describe_gemma3,
};

const struct we_family *we_text_part_gemma3(const struct we_config *outer, const struct we_config *text, struct we_keys *keys,
                                            struct we_error *error)
{
    (void)text;
    *keys = we_family_gemma3.defaults;
    return we_config_u32(outer, "vocab_size", &keys->vocab_size, error) == WE_OK ? &we_family_gemma3 : NULL;
}
