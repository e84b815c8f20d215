/* gpt-oss: attention with sinks, every second layer with a window, experts with biases and a clipped SwiGLU. Defaults as in
 * mlx-lm's models/gpt_oss.py. */
#include "arch/families.h"

static void describe(struct we_build *b)
{
    struct we_rope rope;
    const struct we_rope_config config = we_usual_rope(b, b->c.head_dim);
    we_build_rope(b, &config, &rope);
    while (b->status == WE_OK && b->layer < b->c.num_hidden_layers) {
        struct we_layer_parts l = {
            .attention = we_usual_attention(b, &rope),
            .moe = {.norm_topk_prob = true,
                    .experts = {.activation = WE_ACTIVATION_SWIGLU_CLIPPED, .limit = 7, .alpha = 1.702f}}};
        we_build_layer_type(b, b->layer % 2 == 0, &l.attention);
        we_build_scope(b, "model.layers.%u.", b->layer);
        we_build_qkvo(b, "self_attn.", true, true, &l.attention);
        we_build_vector(b, "self_attn", "sinks", b->c.num_attention_heads, &l.attention.sinks);
        we_build_switch(b, "mlp.experts.", b->c.intermediate_size, true, &l.moe);
        we_build_linear(b, "mlp.router", b->c.num_experts, b->c.hidden_size, true, &l.moe.router);
        we_build_norm(b, "input_layernorm", &l.attention_norm);
        we_build_norm(b, "post_attention_layernorm", &l.feed_forward_norm);
        we_build_layer(b, &l);
    }
    we_build_ends(b, &(struct we_ends){.tie = WE_UNTIED});
}

static const struct we_key keys[] = {WE_SIZES,
                                     WE_FLOAT_AS("rms_norm_eps", norm_eps),
                                     WE_U32(head_dim),
                                     WE_U32(sliding_window),
                                     WE_U32_AS("num_local_experts", num_experts),
                                     WE_U32(num_experts_per_tok)};
const struct we_family we_family_gpt_oss = {
    .models = "gpt-oss",
    WE_KEYS(keys),
    .defaults = {.num_hidden_layers = 36,
                 .num_experts = 128,
                 .num_experts_per_tok = 4,
                 .vocab_size = 201088,
                 .norm_eps = 1e-5f,
                 .hidden_size = 2880,
                 .intermediate_size = 2880,
                 .head_dim = 64,
                 .num_attention_heads = 64,
                 .num_key_value_heads = 8,
                 .sliding_window = 128,
                 .rope_theta = 150000},
    .quant_predicate = "{\"*router\": {\"bits\": 8, \"group_size\": 64}}",
    .describe = describe,
};
