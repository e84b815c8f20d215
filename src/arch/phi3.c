/* Phi-3, Phi-3.5 and Phi-4: fused qkv_proj and gate_up_proj, longrope. Defaults as in mlx-lm's models/phi3.py. */
#include "arch/families.h"

static void describe(struct we_build *b)
{
    const uint32_t hidden = b->c.hidden_size, inner = b->c.intermediate_size;
    if (!(b->c.partial_rotary_factor > 0 && b->c.partial_rotary_factor <= 1))
        we_build_refuse(b, WE_INVALID_FORMAT, "partial_rotary_factor is %g, where a number above 0, at most 1, was expected",
                        (double)b->c.partial_rotary_factor);
    struct we_rope rope;
    const struct we_rope_config config = we_usual_rope(b, (uint32_t)((float)b->c.head_dim * b->c.partial_rotary_factor));
    we_build_rope(b, &config, &rope);
    while (b->status == WE_OK && b->layer < b->c.num_hidden_layers) {
        struct we_layer_parts l = {.attention = we_usual_attention(b, &rope)};
        struct we_linear gate_up_proj = {0};
        we_build_scope(b, "model.layers.%u.", b->layer);
        we_build_fused_qkv(b, "self_attn.qkv_proj", false, &l.attention);
        we_build_linear(b, "self_attn.o_proj", hidden, b->c.num_attention_heads * b->c.head_dim, false, &l.attention.o_proj);
        we_build_linear(b, "mlp.gate_up_proj", 2 * inner, hidden, false, &gate_up_proj);
        l.feed_forward.gate_proj = we_linear_view(&gate_up_proj, 0, inner);
        l.feed_forward.up_proj = we_linear_view(&gate_up_proj, inner, inner);
        we_build_linear(b, "mlp.down_proj", hidden, inner, false, &l.feed_forward.down_proj);
        we_build_norm(b, "input_layernorm", &l.attention_norm);
        we_build_norm(b, "post_attention_layernorm", &l.feed_forward_norm);
        we_build_layer(b, &l);
    }
    we_build_ends(b, &(struct we_ends){0});
}

static const struct we_key keys[] = {WE_SIZES,
                                     WE_RMS_NORM_EPS,
                                     WE_U32(original_max_position_embeddings),
                                     WE_BOOL(rope_traditional),
                                     WE_BOOL(tie_word_embeddings),
                                     WE_FLOAT(partial_rotary_factor)};
const struct we_family we_family_phi3 = {
    .models = "Phi-3, Phi-3.5, Phi-4",
    WE_KEYS(keys),
    .defaults = {.rope_theta = 10000,
                 .max_position_embeddings = 131072,
                 .original_max_position_embeddings = 4096,
                 .partial_rotary_factor = 1},
    .describe = describe,
};
