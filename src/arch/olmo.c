/* OLMo 1, 2 and 3, and EXAONE 4. OLMo 1 has norms without weights and fused projections; OLMo 2 and 3 have norms after blocks
 * only, and norms of all queries and all keys together, EXAONE 4 of each head. Defaults as in mlx-lm's models/olmo.py,
 * olmo2.py, olmo3.py and exaone4.py. */
#include "arch/families.h"

static void describe_olmo(struct we_build *b)
{
    const uint32_t hidden = b->c.hidden_size, inner = b->c.intermediate_size / 2;
    struct we_rope rope;
    struct we_rope_config config = we_usual_rope(b, b->c.head_dim);
    config.unscaled = true;
    we_build_rope(b, &config, &rope);
    const struct we_norm norm = {.kind = WE_NORM_LAYER, .width = hidden, .eps = 1e-5f};
    while (b->status == WE_OK && b->layer < b->c.num_hidden_layers) {
        struct we_layer_parts l = {
            .attention = we_usual_attention(b, &rope), .attention_norm = norm, .feed_forward_norm = norm};
        struct we_linear ff_proj = {0};
        we_build_scope(b, "model.transformer.blocks.%u.", b->layer);
        we_build_fused_qkv(b, "att_proj", false, &l.attention);
        we_build_linear(b, "attn_out", hidden, hidden, false, &l.attention.o_proj);
        we_build_linear(b, "ff_proj", 2 * inner, hidden, false, &ff_proj);
        l.feed_forward.up_proj = we_linear_view(&ff_proj, 0, inner);
        l.feed_forward.gate_proj = we_linear_view(&ff_proj, inner, inner);
        we_build_linear(b, "ff_out", hidden, inner, false, &l.feed_forward.down_proj);
        we_build_layer(b, &l);
    }
    b->decoder->norm = norm;
    we_build_ends(b, &(struct we_ends){.embed_tokens = "model.transformer.wte", .lm_head = "model.transformer.ff_out"});
}

static const struct we_key olmo_keys[] = {WE_NEED_U32_AS("d_model", hidden_size),
                                          WE_NEED_U32_AS("n_layers", num_hidden_layers),
                                          WE_NEED_U32_AS("mlp_hidden_size", intermediate_size),
                                          WE_NEED_U32_AS("n_heads", num_attention_heads),
                                          WE_NEED_U32_AS("embedding_size", vocab_size),
                                          WE_BOOL(rope_traditional),
                                          WE_U32_AS("max_sequence_length", max_position_embeddings),
                                          WE_BOOL_AS("weight_tying", tie_word_embeddings)};
const struct we_family we_family_olmo = {
    .models = "OLMo",
    WE_KEYS(olmo_keys),
    .defaults = {.rope_theta = 10000},
    .describe = describe_olmo,
};

/* ---- norms after blocks ---- */

static struct we_layer_parts parts_of(struct we_build *b, const struct we_rope *rope, bool whole_norms)
{
    struct we_layer_parts l = {.attention = we_usual_attention(b, rope)};
    const uint32_t dim = b->c.head_dim;
    we_build_scope(b, "model.layers.%u.", b->layer);
    we_build_qkvo(b, "self_attn.", b->c.attention_bias, b->c.attention_bias, &l.attention);
    we_build_norm_over(b, "self_attn.q_norm", whole_norms ? dim * b->c.num_attention_heads : dim, &l.attention.q_norm);
    we_build_norm_over(b, "self_attn.k_norm", whole_norms ? dim * b->c.num_key_value_heads : dim, &l.attention.k_norm);
    we_build_mlp(b, "mlp.", b->c.intermediate_size, b->c.mlp_bias, &l.feed_forward);
    we_build_norm(b, "post_attention_layernorm", &l.attention_post_norm);
    we_build_norm(b, "post_feedforward_layernorm", &l.feed_forward_post_norm);
    return l;
}

static void describe_olmo2(struct we_build *b)
{
    struct we_rope rope;
    const struct we_rope_config config = we_usual_rope(b, b->c.head_dim);
    we_build_rope(b, &config, &rope);
    while (b->status == WE_OK && b->layer < b->c.num_hidden_layers) {
        const struct we_layer_parts l = parts_of(b, &rope, true);
        we_build_layer(b, &l);
    }
    we_build_ends(b, &(struct we_ends){0});
}

static const struct we_key olmo2_keys[] = {WE_SIZES,
                                           WE_RMS_NORM_EPS,
                                           WE_U32(head_dim),
                                           WE_BOOL(attention_bias),
                                           WE_BOOL(mlp_bias),
                                           WE_BOOL(rope_traditional),
                                           WE_BOOL(tie_word_embeddings)};
const struct we_family we_family_olmo2 = {
    .models = "OLMo 2",
    WE_KEYS(olmo2_keys),
    .defaults = {.rope_theta = 10000, .tie_word_embeddings = true},
    .describe = describe_olmo2,
};

/* Layers with a window have rope without scaling. */
static void describe_olmo3(struct we_build *b)
{
    struct we_rope full, sliding;
    struct we_rope_config config = we_usual_rope(b, b->c.head_dim);
    we_build_rope(b, &config, &full);
    config.unscaled = true;
    we_build_rope(b, &config, &sliding);
    while (b->status == WE_OK && b->layer < b->c.num_hidden_layers) {
        struct we_attention mask = {0};
        const bool slides = we_build_layer_type(b, (b->layer + 1) % 4 != 0, &mask);
        struct we_layer_parts l = parts_of(b, slides ? &sliding : &full, true);
        l.attention.mask = mask.mask;
        l.attention.window = mask.window;
        we_build_layer(b, &l);
    }
    we_build_ends(b, &(struct we_ends){0});
}

static const struct we_key olmo3_keys[] = {WE_SIZES,         WE_RMS_NORM_EPS,         WE_NEED_U32(sliding_window),
                                           WE_U32(head_dim), WE_BOOL(attention_bias), WE_BOOL(tie_word_embeddings)};
const struct we_family we_family_olmo3 = {
    .models = "OLMo 3",
    WE_KEYS(olmo3_keys),
    .defaults = {.rope_theta = 10000},
    .describe = describe_olmo3,
};

/* sliding_window_pattern says L for layers with a window and rope, G for those without both; without it no layer has a window,
 * and all have rope. */
static void describe_exaone4(struct we_build *b)
{
    const struct we_rope none = {0};
    struct we_rope rope;
    const struct we_rope_config config = we_usual_rope(b, b->c.head_dim);
    we_build_rope(b, &config, &rope);
    struct we_str pattern = {0};
    if (b->status == WE_OK)
        b->status = we_config_string(&b->source->config, "sliding_window_pattern", &pattern, b->error);
    while (b->status == WE_OK && b->layer < b->c.num_hidden_layers) {
        const bool slides = pattern.length && pattern.data[b->layer % pattern.length] == 'L';
        struct we_layer_parts l = parts_of(b, slides || pattern.length == 0 ? &rope : &none, false);
        if (slides)
            we_slide(b, &l.attention);
        we_build_layer(b, &l);
    }
    we_build_ends(b, &(struct we_ends){0});
}

static const struct we_key exaone4_keys[] = {WE_SIZES, WE_RMS_NORM_EPS, WE_NEED_U32(head_dim), WE_U32(sliding_window),
                                             WE_BOOL(tie_word_embeddings)};
const struct we_family we_family_exaone4 = {
    .models = "EXAONE 4",
    WE_KEYS(exaone4_keys),
    .defaults = {.rope_theta = 1000000},
    .describe = describe_exaone4,
};
