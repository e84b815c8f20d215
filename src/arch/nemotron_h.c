/* Families with Mamba 2 in most layers: Nemotron-H and Nemotron 3, Granite 4. Defaults as in mlx-lm's models/nemotron_h.py and
 * granitemoehybrid.py. */
#include "arch/families.h"

#include <math.h>
#include <stdio.h>

static void build_mamba2(struct we_build *b, const char *module, bool bias, uint32_t norm_parts, struct we_mamba2 *m)
{
    const struct we_keys *c = &b->c;
    char name[64];
    if (c->state_heads == 0 || c->state_heads > 1u << 14 || c->state_groups == 0 || c->state_heads % c->state_groups != 0 ||
        c->state_keys == 0 || c->state_keys > 4096 || c->state_values == 0 || c->state_values > 4096 || c->conv_length == 0 ||
        c->conv_length > 64)
        we_build_refuse(b, WE_INVALID_FORMAT,
                        "Mamba 2 with %u heads of %u values, a state of %u for each, %u groups, and a convolution over %u "
                        "positions; these are not the sizes of a model",
                        c->state_heads, c->state_values, c->state_keys, c->state_groups, c->conv_length);
    if (b->status != WE_OK)
        return;
    const uint32_t inner = c->state_heads * c->state_values, width = inner + 2 * c->state_groups * c->state_keys;
    m->num_heads = c->state_heads;
    m->head_dim = c->state_values;
    m->num_groups = c->state_groups;
    m->state_size = c->state_keys;
    m->conv_length = c->conv_length;
    snprintf(name, sizeof name, "%s.in_proj", module);
    we_build_linear(b, name, inner + width + c->state_heads, c->hidden_size, bias, &m->in_proj);
    snprintf(name, sizeof name, "%s.out_proj", module);
    we_build_linear(b, name, c->hidden_size, inner, bias, &m->out_proj);
    snprintf(name, sizeof name, "%s.conv1d", module);
    we_build_taps(b, name, width, c->conv_length, &m->conv);
    if (c->conv_bias)
        we_build_vector(b, name, "bias", width, &m->conv_bias);
    we_build_vector(b, module, "A_log", c->state_heads, &m->a_log);
    we_build_vector(b, module, "dt_bias", c->state_heads, &m->dt_bias);
    we_build_vector(b, module, "D", c->state_heads, &m->d);
    snprintf(name, sizeof name, "%s.norm", module);
    we_build_norm_over(b, name, inner, &m->norm);
    m->norm.width = inner / norm_parts;
}

/* time_step_limit, if it is there. */
static void read_limits(struct we_build *b, struct we_mamba2 *m)
{
    const float *limits = NULL;
    uint32_t count = 0;
    if (b->status == WE_OK)
        b->status = we_config_floats(&b->source->config, "time_step_limit", b->source->arena, &limits, &count, b->error);
    if (b->status != WE_OK || limits == NULL)
        return;
    if (count != 2)
        we_build_refuse(b, WE_INVALID_FORMAT, "time_step_limit has %u numbers, where 2 were expected", count);
    else
        m->dt_min = limits[0], m->dt_max = limits[1];
}

/* ---- nemotron_h ---- */

static char kind_of(const struct we_json *list, uint32_t layer)
{
    static const struct {
        const char *name;
        char kind;
    } names[] = {{"full_attention", '*'},
                 {"attention", '*'},
                 {"linear_attention", 'M'},
                 {"mamba", 'M'},
                 {"conv", 'M'},
                 {"moe", 'E'},
                 {"mlp", '-'}};
    if (list->kind == WE_JSON_STRING)
        return list->string.data[layer];
    if (list->items[layer].kind != WE_JSON_STRING)
        return 0;
    const struct we_str name = list->items[layer].string;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (we_str_equal_c(name, names[i].name))
            return names[i].kind;
    return name.length == 1 ? name.data[0] : 0;
}

/* The list of layers, whose length is their number. */
static const struct we_json *read_pattern(struct we_build *b)
{
    static const char *const keys[] = {"hybrid_override_pattern", "layers_block_type", "layer_types"};
    const struct we_json *list = NULL;
    for (size_t i = 0; i < 3 && (list == NULL || list->kind == WE_JSON_NULL); i++)
        list = we_json_get(b->source->config.json, keys[i]);
    const size_t count = list == NULL ? 0 : list->kind == WE_JSON_STRING ? list->string.length : list->count;
    if (list == NULL || (list->kind != WE_JSON_STRING && list->kind != WE_JSON_ARRAY) || count == 0 || count > 4096) {
        we_build_refuse(b, WE_INVALID_FORMAT, "hybrid_override_pattern or layers_block_type must tell the kind of each layer");
        return NULL;
    }
    struct we_layer *layers = we_arena_array(b->source->arena, count, sizeof *layers);
    if (layers == NULL && b->status == WE_OK)
        b->status = we_error_memory(b->error, "the description of the layers");
    b->c.num_hidden_layers = b->decoder->num_layers = b->decoder->num_states = layers ? (uint32_t)count : 0;
    b->decoder->layers = layers;
    return list;
}

static void build_dense(struct we_build *b, const char *module, uint32_t inner, struct we_feed_forward *f)
{
    char name[64];
    f->activation = WE_ACTIVATION_RELU_SQUARED;
    snprintf(name, sizeof name, "%s.up_proj", module);
    we_build_linear(b, name, inner, b->c.hidden_size, b->c.mlp_bias, &f->up_proj);
    snprintf(name, sizeof name, "%s.down_proj", module);
    we_build_linear(b, name, b->c.hidden_size, inner, b->c.mlp_bias, &f->down_proj);
}

static void build_experts(struct we_build *b, struct we_moe *moe)
{
    const struct we_keys *c = &b->c;
    uint32_t latent = 0;
    if (b->status == WE_OK)
        b->status = we_config_u32(&b->source->config, "moe_latent_size", &latent, b->error);
    if (latent > 1u << 20)
        we_build_refuse(b, WE_INVALID_FORMAT, "moe_latent_size is %u, where a number from 1 to %u was expected", latent,
                        1u << 20);
    if (c->num_experts == 0 || c->num_experts_per_tok == 0 || c->moe_intermediate_size == 0)
        we_build_refuse(b, WE_INVALID_FORMAT, "%u experts of %u values, %u of them for a token; each must be at least 1",
                        c->num_experts, c->moe_intermediate_size, c->num_experts_per_tok);
    *moe = (struct we_moe){.num_experts = c->num_experts,
                           .top_k = c->num_experts_per_tok,
                           .score = WE_ROUTER_SIGMOID,
                           .num_groups = c->n_group,
                           .top_groups = c->topk_group,
                           .norm_topk_prob = c->norm_topk_prob && c->num_experts_per_tok > 1,
                           .norm_eps = 1e-20f,
                           .routed_scaling_factor = c->routed_scaling_factor};
    moe->experts.activation = WE_ACTIVATION_RELU_SQUARED;
    const uint32_t stream = latent ? latent : c->hidden_size;
    we_build_experts(b, "mixer.switch_mlp.fc1", c->num_experts, c->moe_intermediate_size, stream, false, &moe->experts.up_proj);
    we_build_experts(b, "mixer.switch_mlp.fc2", c->num_experts, stream, c->moe_intermediate_size, false,
                     &moe->experts.down_proj);
    if (latent) {
        we_build_linear(b, "mixer.fc1_latent_proj", latent, c->hidden_size, c->mlp_bias, &moe->latent_in);
        we_build_linear(b, "mixer.fc2_latent_proj", c->hidden_size, latent, c->mlp_bias, &moe->latent_out);
    }
    we_build_array(b, "mixer.gate", c->num_experts, c->hidden_size, &moe->router);
    we_build_vector(b, "mixer.gate", "e_score_correction_bias", c->num_experts, &moe->correction_bias);
    if (c->num_shared_experts)
        build_dense(b, "mixer.shared_experts", c->shared_intermediate_size ? c->shared_intermediate_size : c->intermediate_size,
                    &moe->shared);
}

static void describe_nemotron_h(struct we_build *b)
{
    const struct we_rope no_rope = {0};
    const struct we_json *pattern = read_pattern(b);
    while (b->status == WE_OK && b->layer < b->c.num_hidden_layers) {
        struct we_layer_parts l = {.attention = we_usual_attention(b, &no_rope)};
        const char kind = kind_of(pattern, b->layer);
        we_build_scope(b, "backbone.layers.%u.", b->layer);
        l.no_mixer = kind == '-' || kind == 'E';
        l.no_feed_forward = !l.no_mixer;
        we_build_norm(b, "norm", l.no_mixer ? &l.feed_forward_norm : &l.attention_norm);
        switch (kind) {
        case 'M':
            l.mamba2 = (struct we_mamba2){.dt_min = 0, .dt_max = INFINITY};
            read_limits(b, &l.mamba2);
            build_mamba2(b, "mixer", b->c.use_bias, b->c.state_groups, &l.mamba2);
            break;
        case '*':
            we_build_qkvo(b, "mixer.", b->c.attention_bias, b->c.attention_bias, &l.attention);
            break;
        case '-':
            build_dense(b, "mixer", b->c.intermediate_size, &l.feed_forward);
            break;
        case 'E':
            build_experts(b, &l.moe);
            break;
        default:
            we_build_refuse(b, WE_UNSUPPORTED,
                            "layer %u is of a kind that is not known; M (mamba), * (attention), - (mlp) and E (moe) are "
                            "implemented",
                            b->layer);
        }
        we_build_layer(b, &l);
    }
    we_build_ends(b, &(struct we_ends){.embed_tokens = "backbone.embeddings", .norm = "backbone.norm_f", .tie = WE_UNTIED});
}

static const struct we_key nemotron_h_keys[] = {WE_SIZES,
                                                WE_NEED_FLOAT_AS("layer_norm_epsilon", norm_eps),
                                                WE_U32(head_dim),
                                                WE_NEED_U32_AS("mamba_num_heads", state_heads),
                                                WE_NEED_U32_AS("mamba_head_dim", state_values),
                                                WE_NEED_U32_AS("ssm_state_size", state_keys),
                                                WE_NEED_U32_AS("conv_kernel", conv_length),
                                                WE_NEED_U32_AS("n_groups", state_groups),
                                                WE_BOOL(attention_bias),
                                                WE_BOOL_AS("mamba_proj_bias", use_bias),
                                                WE_BOOL(mlp_bias),
                                                WE_BOOL_AS("use_conv_bias", conv_bias),
                                                WE_U32(moe_intermediate_size),
                                                WE_U32_AS("moe_shared_expert_intermediate_size", shared_intermediate_size),
                                                WE_U32(n_group),
                                                WE_U32(topk_group),
                                                WE_U32_AS("n_routed_experts", num_experts),
                                                WE_U32_AS("n_shared_experts", num_shared_experts),
                                                WE_U32(num_experts_per_tok),
                                                WE_BOOL(norm_topk_prob),
                                                WE_FLOAT(routed_scaling_factor)};
const struct we_family we_family_nemotron_h = {
    .models = "Nemotron-H, Nemotron Nano 2, Nemotron 3",
    WE_KEYS(nemotron_h_keys),
    .defaults = {.num_hidden_layers = 1, .routed_scaling_factor = 1},
    .keeps_dtype = "e_score_correction_bias A_log",
    .describe = describe_nemotron_h,
    .passed_over = {"mtp."},
};

/* ---- granitemoehybrid ---- */

static bool has_mamba(struct we_build *b)
{
    const struct we_json *types = we_json_get(b->source->config.json, "layer_types");
    if (types && types->kind == WE_JSON_ARRAY && types->count == b->c.num_hidden_layers &&
        types->items[b->layer].kind == WE_JSON_STRING) {
        const struct we_str name = types->items[b->layer].string;
        if (we_str_equal_c(name, "mamba"))
            return true;
        if (we_str_equal_c(name, "attention"))
            return false;
        we_build_refuse(b, WE_UNSUPPORTED, "layer_types[%u] is '%.*s'; mamba and attention are implemented", b->layer,
                        WE_STR_ARG(name));
    }
    we_build_refuse(b, WE_INVALID_FORMAT, "layer_types must be an array of num_hidden_layers = %u strings",
                    b->c.num_hidden_layers);
    return false;
}

static void build_hybrid_experts(struct we_build *b, struct we_moe *moe)
{
    const uint32_t hidden = b->c.hidden_size, inner = b->c.shared_intermediate_size;
    struct we_linear both = {0};
    *moe = (struct we_moe){.norm_topk_prob = true};
    we_build_switch(b, "block_sparse_moe.switch_mlp.", b->c.intermediate_size, false, moe);
    we_build_linear(b, "block_sparse_moe.router.layer", b->c.num_experts, hidden, false, &moe->router);
    we_build_linear(b, "shared_mlp.input_linear", 2 * inner, hidden, false, &both);
    moe->shared.gate_proj = we_linear_view(&both, 0, inner);
    moe->shared.up_proj = we_linear_view(&both, inner, inner);
    we_build_linear(b, "shared_mlp.output_linear", hidden, inner, false, &moe->shared.down_proj);
}

/* No rope where position_embedding_type is nope; the base of rope_parameters comes before that of the config itself. */
static void build_rope(struct we_build *b, struct we_rope *rope)
{
    struct we_str type = we_str_c("rope");
    struct we_rope_config config = we_usual_rope(b, b->c.head_dim);
    config.unscaled = true;
    struct we_config parameters = {0};
    *rope = (struct we_rope){0};
    if (b->status == WE_OK)
        b->status = we_config_string(&b->source->config, "position_embedding_type", &type, b->error);
    if (b->status == WE_OK)
        b->status = we_config_object(&b->source->config, "rope_parameters", b->source->arena, &parameters, b->error);
    if (b->status == WE_OK && parameters.json)
        b->status = we_config_float(&parameters, "rope_theta", &config.theta, b->error);
    if (!we_str_equal_c(type, "nope"))
        we_build_rope(b, &config, rope);
}

static void describe_granitemoehybrid(struct we_build *b)
{
    struct we_rope rope;
    build_rope(b, &rope);
    b->decoder->embedding_multiplier = b->c.embedding_multiplier;
    b->decoder->logit_multiplier = 1 / b->c.logits_scaling;
    while (b->status == WE_OK && b->layer < b->c.num_hidden_layers) {
        struct we_layer_parts l = {.attention = we_usual_attention(b, &rope), .residual_multiplier = b->c.residual_multiplier};
        l.attention.scale = b->c.attention_multiplier;
        we_build_scope(b, "model.layers.%u.", b->layer);
        we_build_norm(b, "input_layernorm", &l.attention_norm);
        we_build_norm(b, "post_attention_layernorm", &l.feed_forward_norm);
        if (has_mamba(b)) {
            l.mamba2 = (struct we_mamba2){.dt_min = 0.001f, .dt_max = 100};
            read_limits(b, &l.mamba2);
            build_mamba2(b, "mamba", b->c.use_bias, 1, &l.mamba2);
        } else {
            we_build_qkvo(b, "self_attn.", b->c.attention_bias, b->c.attention_bias, &l.attention);
        }
        if (b->c.num_experts)
            build_hybrid_experts(b, &l.moe);
        else
            we_build_mlp(b, "mlp.", b->c.intermediate_size, b->c.mlp_bias, &l.feed_forward);
        we_build_layer(b, &l);
    }
    we_build_ends(b, &(struct we_ends){0});
}

static const struct we_key granitemoehybrid_keys[] = {WE_SIZES,
                                                      WE_RMS_NORM_EPS,
                                                      WE_NEED_FLOAT(logits_scaling),
                                                      WE_NEED_FLOAT(attention_multiplier),
                                                      WE_NEED_FLOAT(embedding_multiplier),
                                                      WE_NEED_FLOAT(residual_multiplier),
                                                      WE_U32_AS("num_local_experts", num_experts),
                                                      WE_U32(num_experts_per_tok),
                                                      WE_U32(shared_intermediate_size),
                                                      WE_U32_AS("mamba_n_heads", state_heads),
                                                      WE_U32_AS("mamba_d_head", state_values),
                                                      WE_U32_AS("mamba_d_state", state_keys),
                                                      WE_U32_AS("mamba_d_conv", conv_length),
                                                      WE_U32_AS("mamba_n_groups", state_groups),
                                                      WE_BOOL_AS("mamba_proj_bias", use_bias),
                                                      WE_BOOL_AS("mamba_conv_bias", conv_bias),
                                                      WE_BOOL(attention_bias),
                                                      WE_BOOL(mlp_bias),
                                                      WE_BOOL(tie_word_embeddings)};
const struct we_family we_family_granitemoehybrid = {
    .models = "Granite 4",
    WE_KEYS(granitemoehybrid_keys),
    .defaults = {.rope_theta = 10000, .tie_word_embeddings = true},
    .quant_predicate = "{\"*router.layer\": {\"bits\": 8, \"group_size\": 64}}",
    .describe = describe_granitemoehybrid,
};
