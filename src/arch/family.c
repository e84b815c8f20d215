#include "arch/family.h"

#include <math.h>
#include <stdio.h>

/* ---- the config ---- */

void we_build_refuse(struct we_build *b, we_status status, const char *format, ...)
{
    if (b->status != WE_OK)
        return;
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    b->status = we_error_set(b->error, status, "%s: %s", b->source->config.where, text);
}

static we_status read_key(const struct we_config *config, const struct we_key *key, struct we_keys *keys,
                          struct we_error *error)
{
    void *value = (char *)keys + key->offset;
    switch (key->kind) {
    case WE_KEY_U32: {
        const bool required = key->required && *(uint32_t *)value == 0;
        return required ? we_config_require_u32(config, key->name, value, error)
                        : we_config_u32(config, key->name, value, error);
    }
    case WE_KEY_FLOAT: {
        const bool required = key->required && *(float *)value == 0;
        return required ? we_config_require_float(config, key->name, value, error)
                        : we_config_float(config, key->name, value, error);
    }
    default:
        return we_config_bool(config, key->name, value, error);
    }
}

/* Dimensions beyond these are no model's; they keep every later product far from overflow. */
static void check_sizes(struct we_build *b)
{
    struct we_keys *c = &b->c;
    const struct {
        const char *key;
        uint32_t value, most;
    } sizes[] = {
        {"hidden_size", c->hidden_size, 1u << 20},
        {"num_hidden_layers", c->num_hidden_layers, 4096},
        {"intermediate_size", c->intermediate_size, 1u << 22},
        {"num_attention_heads", c->num_attention_heads, 4096},
        {"vocab_size", c->vocab_size, 1u << 24},
        {"num_key_value_heads", c->num_key_value_heads, c->num_attention_heads},
        {"head_dim", c->head_dim, 4096},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (sizes[i].value < 1 || sizes[i].value > sizes[i].most)
            we_build_refuse(b, WE_INVALID_FORMAT, "%s is %u, where a number from 1 to %u was expected", sizes[i].key,
                            sizes[i].value, sizes[i].most);
    if (b->status == WE_OK && c->num_attention_heads % c->num_key_value_heads != 0)
        we_build_refuse(b, WE_INVALID_FORMAT, "num_attention_heads %u is no multiple of num_key_value_heads %u",
                        c->num_attention_heads, c->num_key_value_heads);
    if (c->num_experts > 1u << 16 || (c->num_experts && c->num_experts_per_tok > c->num_experts) ||
        c->num_experts_per_tok > 256 || c->moe_intermediate_size > 1u << 22 || c->shared_intermediate_size > 1u << 22 ||
        c->num_shared_experts > 1u << 10)
        we_build_refuse(b, WE_INVALID_FORMAT,
                        "%u experts of %u values, %u of them for a token, and %u shared ones of %u values; these are not the "
                        "sizes of a model",
                        c->num_experts, c->moe_intermediate_size, c->num_experts_per_tok, c->num_shared_experts,
                        c->shared_intermediate_size);
}

void we_build_begin(struct we_build *b)
{
    struct we_keys *c = &b->c;
    for (size_t i = 0; b->status == WE_OK && i < b->family->num_keys; i++)
        b->status = read_key(&b->source->config, &b->family->keys[i], c, b->error);
    if (b->status != WE_OK)
        return;
    if (c->num_key_value_heads == 0)
        c->num_key_value_heads = c->num_attention_heads;
    if (c->head_dim == 0 && c->num_attention_heads)
        c->head_dim = c->hidden_size / c->num_attention_heads;
    check_sizes(b);
    struct we_layer *layers = NULL;
    if (b->status == WE_OK && (layers = we_arena_array(b->source->arena, c->num_hidden_layers, sizeof *layers)) == NULL)
        b->status = we_error_memory(b->error, "the description of the layers");
    struct we_decoder *d = b->decoder;
    d->layers = layers;
    d->hidden_size = c->hidden_size;
    d->vocab_size = c->vocab_size;
    d->num_layers = d->num_states = layers ? c->num_hidden_layers : 0;
    d->context_length = c->max_position_embeddings;
    d->embedding_multiplier = d->logit_multiplier = 1;
    b->norm = (struct we_norm){.kind = WE_NORM_RMS, .eps = c->norm_eps};
}

bool we_build_is_null(const struct we_build *b, const char *key)
{
    const struct we_json *value = we_json_get(b->source->config.json, key);
    return value && value->kind == WE_JSON_NULL;
}

/* ---- weights ---- */

void we_build_scope(struct we_build *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(b->scope, sizeof b->scope, format, args);
    va_end(args);
}

/* The whole name of a module, in the arena. */
static const char *name_of(struct we_build *b, const char *prefix, const char *module)
{
    const char *outer = b->source->prefix ? b->source->prefix : "";
    return we_bind_name(b->source, "%s%s%s%s", outer, b->scope, prefix, module);
}

uint32_t we_layer_of(struct we_str name)
{
    static const char before[] = "layers.";
    const size_t begin = we_str_find(name, we_str_c(before), 0);
    size_t at = begin + sizeof before - 1;
    uint32_t layer = 0;
    if (begin == SIZE_MAX || at >= name.length || name.data[at] < '0' || name.data[at] > '9')
        return UINT32_MAX;
    for (; at < name.length && name.data[at] >= '0' && name.data[at] <= '9'; at++)
        layer = layer < 1u << 20 ? 10 * layer + (uint32_t)(name.data[at] - '0') : layer;
    return layer;
}

bool we_build_has(struct we_build *b, const char *module)
{
    const char *name = b->status == WE_OK ? name_of(b, "", module) : NULL;
    return name && we_bind_exists(b->source, name, "weight");
}

void we_build_experts(struct we_build *b, const char *module, uint32_t count, uint32_t rows, uint32_t in, bool bias,
                      struct we_linear *linear)
{
    if (b->status == WE_OK)
        b->status = we_bind_linear(b->source, name_of(b, "", module), count, rows, in, bias, linear, b->error);
}

void we_build_linear(struct we_build *b, const char *module, uint32_t rows, uint32_t in, bool bias, struct we_linear *linear)
{
    we_build_experts(b, module, 0, rows, in, bias, linear);
}

void we_build_array(struct we_build *b, const char *module, uint32_t rows, uint32_t in, struct we_linear *linear)
{
    if (b->status == WE_OK)
        b->status = we_bind_array(b->source, name_of(b, "", module), rows, in, linear, b->error);
}

void we_build_vector(struct we_build *b, const char *module, const char *name, uint32_t length, struct we_vector *vector)
{
    if (b->status == WE_OK)
        b->status = we_bind_vector(b->source, name_of(b, "", module), name, 0, length, vector, b->error);
}

void we_build_taps(struct we_build *b, const char *module, uint32_t count, uint32_t length, struct we_vector *vector)
{
    if (b->status == WE_OK)
        b->status = we_bind_taps(b->source, name_of(b, "", module), count, length, vector, b->error);
}

void we_build_norm_each(struct we_build *b, const char *module, uint32_t count, uint32_t width, struct we_norm *norm)
{
    if (b->status != WE_OK)
        return;
    const char *name = name_of(b, "", module);
    *norm = b->norm;
    norm->width = width;
    b->status = we_bind_vector(b->source, name, "weight", count, width, &norm->weight, b->error);
    if (b->status == WE_OK && b->norm_bias)
        b->status = we_bind_vector(b->source, name, "bias", count, width, &norm->bias, b->error);
}

void we_build_norm_over(struct we_build *b, const char *module, uint32_t width, struct we_norm *norm)
{
    we_build_norm_each(b, module, 0, width, norm);
}

void we_build_norm(struct we_build *b, const char *module, struct we_norm *norm)
{
    we_build_norm_over(b, module, b->c.hidden_size, norm);
}

/* ---- parts of layers ---- */

struct we_rope_config we_usual_rope(const struct we_build *b, uint32_t rotary_dim)
{
    return (struct we_rope_config){.rotary_dim = rotary_dim,
                                   .interleaved = b->c.rope_traditional,
                                   .default_theta = b->family->defaults.rope_theta,
                                   .max_position_embeddings = b->c.max_position_embeddings,
                                   .original_max_position_embeddings = b->c.original_max_position_embeddings};
}

void we_build_rope(struct we_build *b, const struct we_rope_config *config, struct we_rope *rope)
{
    *rope = (struct we_rope){0};
    if (b->status == WE_OK && config->rotary_dim > b->c.head_dim)
        we_build_refuse(b, WE_INVALID_FORMAT, "rope over %u values of heads of %u", config->rotary_dim, b->c.head_dim);
    if (b->status == WE_OK)
        b->status = we_rope_build(b->source, config, rope, &b->decoder->rope_switch_length, b->error);
}

struct we_attention we_usual_attention(const struct we_build *b, const struct we_rope *rope)
{
    return (struct we_attention){.num_attention_heads = b->c.num_attention_heads,
                                 .num_key_value_heads = b->c.num_key_value_heads,
                                 .head_dim = b->c.head_dim,
                                 .v_head_dim = b->c.head_dim,
                                 .rope = *rope,
                                 .scale = (float)(1 / sqrt((double)b->c.head_dim))};
}

/* A linear under a prefix. */
static void build_under(struct we_build *b, const char *prefix, const char *module, uint32_t count, uint32_t rows, uint32_t in,
                        bool bias, struct we_linear *linear)
{
    if (b->status == WE_OK)
        b->status = we_bind_linear(b->source, name_of(b, prefix, module), count, rows, in, bias, linear, b->error);
}

void we_build_qkvo(struct we_build *b, const char *prefix, bool bias, bool out_bias, struct we_attention *a)
{
    const uint32_t hidden = b->c.hidden_size;
    const uint32_t q_rows = a->num_attention_heads * a->head_dim, kv_rows = a->num_key_value_heads * a->head_dim;
    build_under(b, prefix, "q_proj", 0, q_rows, hidden, bias, &a->q_proj);
    build_under(b, prefix, "k_proj", 0, kv_rows, hidden, bias, &a->k_proj);
    build_under(b, prefix, "v_proj", 0, kv_rows, hidden, bias, &a->v_proj);
    build_under(b, prefix, "o_proj", 0, hidden, q_rows, out_bias, &a->o_proj);
}

void we_build_fused_qkv(struct we_build *b, const char *module, bool bias, struct we_attention *a)
{
    const uint32_t q_rows = a->num_attention_heads * a->head_dim, kv_rows = a->num_key_value_heads * a->head_dim;
    struct we_linear fused = {0};
    we_build_linear(b, module, q_rows + 2 * kv_rows, b->c.hidden_size, bias, &fused);
    a->q_proj = we_linear_view(&fused, 0, q_rows);
    a->k_proj = we_linear_view(&fused, q_rows, kv_rows);
    a->v_proj = we_linear_view(&fused, q_rows + kv_rows, kv_rows);
}

void we_build_mlp(struct we_build *b, const char *prefix, uint32_t inner, bool bias, struct we_feed_forward *f)
{
    build_under(b, prefix, "gate_proj", 0, inner, b->c.hidden_size, bias, &f->gate_proj);
    build_under(b, prefix, "up_proj", 0, inner, b->c.hidden_size, bias, &f->up_proj);
    build_under(b, prefix, "down_proj", 0, b->c.hidden_size, inner, bias, &f->down_proj);
}

void we_build_switch(struct we_build *b, const char *prefix, uint32_t inner, bool bias, struct we_moe *moe)
{
    const uint32_t count = b->c.num_experts, hidden = b->c.hidden_size;
    if (count == 0 || b->c.num_experts_per_tok == 0 || inner == 0)
        we_build_refuse(b, WE_INVALID_FORMAT, "%u experts of %u values, %u of them for a token; each must be at least 1", count,
                        inner, b->c.num_experts_per_tok);
    moe->num_experts = count;
    moe->top_k = b->c.num_experts_per_tok;
    if (moe->routed_scaling_factor == 0)
        moe->routed_scaling_factor = 1;
    build_under(b, prefix, "gate_proj", count, inner, hidden, bias, &moe->experts.gate_proj);
    build_under(b, prefix, "up_proj", count, inner, hidden, bias, &moe->experts.up_proj);
    build_under(b, prefix, "down_proj", count, hidden, inner, bias, &moe->experts.down_proj);
}

void we_slide(struct we_build *b, struct we_attention *a)
{
    if (b->c.sliding_window == 0)
        we_build_refuse(b, WE_INVALID_FORMAT, "layer %u has a sliding window, but sliding_window is absent", b->layer);
    a->mask = WE_MASK_SLIDING;
    a->window = b->c.sliding_window;
}

bool we_build_layer_type(struct we_build *b, bool sliding, struct we_attention *a)
{
    if (b->status != WE_OK)
        return false;
    const struct we_json *types = we_json_get(b->source->config.json, "layer_types");
    if (types && types->kind != WE_JSON_NULL) {
        if (types->kind != WE_JSON_ARRAY || types->count != b->c.num_hidden_layers) {
            we_build_refuse(b, WE_INVALID_FORMAT, "layer_types must be an array of num_hidden_layers = %u strings",
                            b->c.num_hidden_layers);
            return false;
        }
        const struct we_json *type = &types->items[b->layer];
        const struct we_str name = type->kind == WE_JSON_STRING ? type->string : we_str_c("no string");
        sliding = we_str_equal_c(name, "sliding_attention");
        if (!sliding && !we_str_equal_c(name, "full_attention"))
            we_build_refuse(b, WE_UNSUPPORTED,
                            "layer_types[%u] is '%.*s'; full_attention and sliding_attention are implemented", b->layer,
                            WE_STR_ARG(name));
    }
    if (sliding)
        we_slide(b, a);
    return sliding;
}

void we_build_layer(struct we_build *b, const struct we_layer_parts *parts)
{
    if (b->status != WE_OK)
        return;
    struct memory {
        struct we_layer_parts parts;
        struct we_block blocks[4];
        struct we_step steps[3];
    } *m = we_arena_alloc(b->source->arena, sizeof *m);
    if (m == NULL) {
        b->status = we_error_memory(b->error, "the description of a layer");
        return;
    }
    m->parts = *parts;
    m->blocks[0] = (struct we_block){.kind = WE_BLOCK_ATTENTION,
                                     .op.attention = &m->parts.attention,
                                     .pre_norm = parts->attention_norm,
                                     .post_norm = parts->attention_post_norm,
                                     .state = parts->attention.shares_kv ? parts->kv_layer : b->layer};
    m->blocks[1] = (struct we_block){.kind = WE_BLOCK_FEED_FORWARD,
                                     .op.feed_forward = &m->parts.feed_forward,
                                     .pre_norm = parts->feed_forward_norm,
                                     .post_norm = parts->feed_forward_post_norm,
                                     .state = WE_NO_STATE};
    if (parts->short_conv.length) {
        m->blocks[0].kind = WE_BLOCK_SHORT_CONV;
        m->blocks[0].op.short_conv = &m->parts.short_conv;
    }
    if (parts->gated_delta.num_value_heads) {
        m->blocks[0].kind = WE_BLOCK_GATED_DELTA;
        m->blocks[0].op.gated_delta = &m->parts.gated_delta;
    }
    if (parts->mamba2.num_heads) {
        m->blocks[0].kind = WE_BLOCK_MAMBA2;
        m->blocks[0].op.mamba2 = &m->parts.mamba2;
    }
    if (parts->latent_attention.num_attention_heads) {
        m->blocks[0].kind = WE_BLOCK_LATENT_ATTENTION;
        m->blocks[0].op.latent_attention = &m->parts.latent_attention;
    }
    if (parts->moe.num_experts && !parts->beside) {
        m->blocks[1].kind = WE_BLOCK_MOE;
        m->blocks[1].op.moe = &m->parts.moe;
    }
    m->blocks[2] = (struct we_block){.kind = WE_BLOCK_MOE,
                                     .op.moe = &m->parts.moe,
                                     .pre_norm = parts->experts_norm,
                                     .post_norm = parts->experts_post_norm,
                                     .state = WE_NO_STATE};
    m->blocks[3] = (struct we_block){.kind = WE_BLOCK_LAYER_INPUT,
                                     .op.layer_input = &m->parts.input,
                                     .post_norm = parts->input_post_norm,
                                     .state = WE_NO_STATE};
    const float multiplier = parts->residual_multiplier != 0 ? parts->residual_multiplier : 1;
    uint32_t count = 0;
    if (!parts->no_mixer)
        m->steps[count++] =
            (struct we_step){.blocks = m->blocks, .num_blocks = parts->parallel ? 2 : 1, .residual_multiplier = multiplier};
    if (!parts->parallel && !parts->no_feed_forward)
        m->steps[count++] =
            (struct we_step){m->blocks + 1, parts->beside ? 2 : 1, multiplier, .post_norm = parts->step_post_norm};
    if (parts->input.gate_proj.data)
        m->steps[count++] = (struct we_step){.blocks = m->blocks + 3, .num_blocks = 1, .residual_multiplier = multiplier};
    m->steps[count - 1].stream_multiplier = parts->stream_multiplier;
    ((struct we_layer *)b->decoder->layers)[b->layer++] = (struct we_layer){m->steps, count};
}

/* ---- the ends ---- */

/* What mlx-lm removes from checkpoints: old tables of rope, the head of a model that is said to have none, and what the
 * family names. */
static bool is_passed_over(const void *context, struct we_str name)
{
    const struct we_build *b = context;
    const char *outer = b->source->prefix ? b->source->prefix : "";
    if (we_str_find(name, we_str_c("rotary_emb.inv_freq"), 0) != SIZE_MAX)
        return true;
    for (size_t i = 0; i < sizeof b->family->passed_over / sizeof *b->family->passed_over && b->family->passed_over[i]; i++)
        if (we_str_find(name, we_str_c(b->family->passed_over[i]), 0) != SIZE_MAX)
            return true;
    if (*outer && (we_str_find(name, we_str_c("vision_tower"), 0) != SIZE_MAX ||
                   we_str_find(name, we_str_c("multi_modal_projector"), 0) != SIZE_MAX))
        return true;
    if (b->is_passed_over && b->is_passed_over(b, name))
        return true;
    char head[64];
    snprintf(head, sizeof head, "%slm_head.", outer);
    return b->tied && we_str_starts_with(name, we_str_c(head));
}

void we_build_ends(struct we_build *b, const struct we_ends *ends)
{
    struct we_decoder *d = b->decoder;
    const char *head = ends->lm_head ? ends->lm_head : "lm_head";
    we_build_scope(b, "%s", "");
    we_build_linear(b, ends->embed_tokens ? ends->embed_tokens : "model.embed_tokens", d->vocab_size, d->hidden_size, false,
                    &d->embed_tokens);
    if (d->norm.kind == WE_NORM_NONE)
        we_build_norm(b, ends->norm ? ends->norm : "model.norm", &d->norm);
    if (b->status != WE_OK)
        return;
    switch (ends->tie) {
    case WE_TIE_BY_CONFIG:
        b->tied = b->c.tie_word_embeddings;
        break;
    case WE_TIED_WITHOUT_HEAD: {
        const char *name = name_of(b, "", head);
        b->tied = name && !we_bind_exists(b->source, name, "weight");
        break;
    }
    default:
        b->tied = ends->tie == WE_TIED;
    }
    if (b->tied)
        d->lm_head = d->embed_tokens;
    else
        we_build_linear(b, head, d->vocab_size, d->hidden_size, ends->head_bias, &d->lm_head);
    if (b->status == WE_OK)
        b->status = we_bind_check_unused(b->source, is_passed_over, b, b->error);
}
