/* Command R, Aya and Command R7B: attention and feed-forward read the same normed stream, logits have a factor. Defaults as in
 * mlx-lm's models/cohere.py and cohere2.py. */
#include "arch/families.h"

static struct we_layer_parts parts_of(struct we_build *b, const struct we_rope *rope)
{
    struct we_layer_parts l = {.attention = we_usual_attention(b, rope), .parallel = true};
    we_build_scope(b, "model.layers.%u.", b->layer);
    we_build_qkvo(b, "self_attn.", b->c.attention_bias, b->c.attention_bias, &l.attention);
    we_build_mlp(b, "mlp.", b->c.intermediate_size, false, &l.feed_forward);
    we_build_norm(b, "input_layernorm", &l.attention_norm);
    l.feed_forward_norm = l.attention_norm;
    return l;
}

static void begin(struct we_build *b, struct we_rope *rope)
{
    b->norm.kind = WE_NORM_LAYER;
    b->norm_bias = b->c.layer_norm_bias;
    b->decoder->logit_multiplier = b->c.logit_scale;
    struct we_rope_config config = we_usual_rope(b, b->c.head_dim);
    config.unscaled = config.interleaved = true;
    we_build_rope(b, &config, rope);
}

static void describe_cohere(struct we_build *b)
{
    struct we_rope rope;
    begin(b, &rope);
    while (b->status == WE_OK && b->layer < b->c.num_hidden_layers) {
        struct we_layer_parts l = parts_of(b, &rope);
        if (b->c.use_qk_norm) {
            b->norm_bias = false;
            we_build_norm_each(b, "self_attn.q_norm", b->c.num_attention_heads, b->c.head_dim, &l.attention.q_norm);
            we_build_norm_each(b, "self_attn.k_norm", b->c.num_key_value_heads, b->c.head_dim, &l.attention.k_norm);
            b->norm_bias = b->c.layer_norm_bias;
        }
        we_build_layer(b, &l);
    }
    we_build_ends(b, &(struct we_ends){.tie = WE_TIED});
}

/* Every sliding_window_pattern-th layer sees all positions, and has no rope. */
static void describe_cohere2(struct we_build *b)
{
    const struct we_rope none = {0};
    struct we_rope rope;
    begin(b, &rope);
    if (b->status == WE_OK && b->c.sliding_window_pattern == 0)
        we_build_refuse(b, WE_INVALID_FORMAT, "sliding_window_pattern is 0, where a positive number was expected");
    while (b->status == WE_OK && b->layer < b->c.num_hidden_layers) {
        const bool slides = (b->layer + 1) % b->c.sliding_window_pattern != 0;
        struct we_layer_parts l = parts_of(b, slides ? &rope : &none);
        if (slides)
            we_slide(b, &l.attention);
        we_build_layer(b, &l);
    }
    we_build_ends(b, &(struct we_ends){.tie = WE_TIED});
}

#define COHERE_KEYS                                                                                                            \
    WE_SIZES, WE_FLOAT_AS("layer_norm_eps", norm_eps), WE_FLOAT(logit_scale), WE_BOOL(attention_bias), WE_BOOL(layer_norm_bias)
static const struct we_key cohere_keys[] = {COHERE_KEYS, WE_BOOL(use_qk_norm)};
const struct we_family we_family_cohere = {
    .models = "Command R, Aya",
    WE_KEYS(cohere_keys),
    .defaults = {.hidden_size = 8192,
                 .num_hidden_layers = 40,
                 .intermediate_size = 22528,
                 .num_attention_heads = 64,
                 .num_key_value_heads = 64,
                 .rope_theta = 8000000,
                 .vocab_size = 256000,
                 .norm_eps = 1e-5f,
                 .logit_scale = 0.0625f},
    .describe = describe_cohere,
};

static const struct we_key cohere2_keys[] = {COHERE_KEYS, WE_U32(head_dim), WE_U32(sliding_window),
                                             WE_U32(sliding_window_pattern)};
const struct we_family we_family_cohere2 = {
    .models = "Command R7B, Command A",
    WE_KEYS(cohere2_keys),
    .defaults = {.hidden_size = 4096,
                 .head_dim = 128,
                 .num_hidden_layers = 32,
                 .intermediate_size = 14336,
                 .num_attention_heads = 32,
                 .num_key_value_heads = 8,
                 .rope_theta = 50000,
                 .vocab_size = 256000,
                 .norm_eps = 1e-5f,
                 .logit_scale = 0.0625f,
                 .sliding_window = 4096,
                 .sliding_window_pattern = 4},
    .describe = describe_cohere2,
};
