#include "arch/bind.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

const char *we_bind_name(const struct we_arch_source *source, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof text)
        return NULL;
    return we_arena_copy(source->arena, we_str(text, (size_t)n));
}

/* Remembers that a tensor is used. */
static we_status note_used(struct we_bindings *bindings, const struct we_tensor *tensor, struct we_error *error)
{
    if (bindings->count == bindings->capacity) {
        size_t capacity = bindings->capacity ? bindings->capacity * 2 : 256;
        const struct we_tensor **more = realloc(bindings->tensors, capacity * sizeof *more);
        if (more == NULL)
            return we_error_memory(error, "the list of tensors");
        bindings->tensors = more;
        bindings->capacity = capacity;
    }
    bindings->tensors[bindings->count++] = tensor;
    return WE_OK;
}

static we_status note_linear(struct we_bindings *bindings, const struct we_model_tensor *linear, struct we_error *error)
{
    if (bindings->num_linears == bindings->linears_capacity) {
        size_t capacity = bindings->linears_capacity ? bindings->linears_capacity * 2 : 256;
        struct we_model_tensor *more = realloc(bindings->linears, capacity * sizeof *more);
        if (more == NULL)
            return we_error_memory(error, "the list of tensors");
        bindings->linears = more;
        bindings->linears_capacity = capacity;
    }
    bindings->linears[bindings->num_linears++] = *linear;
    return WE_OK;
}

/* The tensor MODULE.SUFFIX; NULL if there is none. */
static we_status find(const struct we_arch_source *source, const char *module, const char *suffix,
                      const struct we_tensor **tensor, struct we_error *error)
{
    char name[300];
    int n = snprintf(name, sizeof name, "%s.%s", module, suffix);
    *tensor = n > 0 && (size_t)n < sizeof name ? we_safetensors_find(source->weights, we_str(name, (size_t)n)) : NULL;
    return *tensor ? note_used(source->bindings, *tensor, error) : WE_OK;
}

static we_status missing(const struct we_arch_source *source, const char *module, const char *suffix, const char *shape,
                         struct we_error *error)
{
    return we_error_set(error, WE_INVALID_FORMAT,
                        "the weights lack the tensor %s.%s %s, which %s calls for; the download may be incomplete, or the "
                        "config may belong to another model",
                        module, suffix, shape, source->config.where);
}

static we_status wrong_shape(const struct we_arch_source *source, const struct we_tensor *tensor, const char *expected,
                             struct we_error *error)
{
    char found[128];
    return we_error_set(error, WE_INVALID_FORMAT, "%s: tensor %.*s has the shape %s, but %s calls for %s", tensor->file,
                        WE_STR_ARG(tensor->name), we_tensor_shape_text(tensor, found), source->config.where, expected);
}

/* A vector of floats of `length` values. */
static we_status bind_vector(const struct we_arch_source *source, const char *module, const char *suffix, uint32_t length,
                             struct we_vector *vector, struct we_error *error)
{
    const struct we_tensor *tensor;
    we_status status = find(source, module, suffix, &tensor, error);
    if (status != WE_OK)
        return status;
    char expected[48];
    snprintf(expected, sizeof expected, "[%u]", length);
    if (tensor == NULL)
        return missing(source, module, suffix, expected, error);
    if (tensor->num_dims != 1 || tensor->shape[0] != length)
        return wrong_shape(source, tensor, expected, error);
    if (!we_dtype_is_float(tensor->dtype))
        return we_error_set(error, WE_UNSUPPORTED, "%s: tensor %.*s has the type %s, where F32, F16 or BF16 was expected",
                            tensor->file, WE_STR_ARG(tensor->name), we_dtype_name(tensor->dtype));
    *vector = (struct we_vector){tensor->data, tensor->dtype, length};
    return WE_OK;
}

we_status we_bind_rms_norm(const struct we_arch_source *source, const char *module, uint32_t width, float eps,
                           struct we_norm *norm, struct we_error *error)
{
    if (module == NULL)
        return we_error_memory(error, "the name of a module");
    *norm = (struct we_norm){.kind = WE_NORM_RMS, .width = width, .eps = eps};
    return bind_vector(source, module, "weight", width, &norm->weight, error);
}

/* Scales or biases of a quantised linear: (rows, in / group_size). */
static we_status check_groups(const struct we_arch_source *source, const struct we_tensor *tensor, enum we_dtype dtype,
                              uint32_t rows, uint32_t groups, struct we_error *error)
{
    char expected[48];
    snprintf(expected, sizeof expected, "[%u, %u]", rows, groups);
    if (tensor->num_dims != 2 || tensor->shape[0] != rows || tensor->shape[1] != groups)
        return wrong_shape(source, tensor, expected, error);
    if (tensor->dtype != dtype)
        return we_error_set(error, WE_INVALID_FORMAT, "%s: tensor %.*s has the type %s, where %s was expected", tensor->file,
                            WE_STR_ARG(tensor->name), we_dtype_name(tensor->dtype), we_dtype_name(dtype));
    return WE_OK;
}

static we_status bind_quantized(const struct we_arch_source *source, struct we_quant quant, const struct we_tensor *weight,
                                const struct we_tensor *scales, const struct we_tensor *biases, struct we_linear *linear,
                                struct we_error *error)
{
    bool affine = quant.mode == WE_QUANT_AFFINE;
    if (linear->in % quant.group_size != 0)
        return we_error_set(error, WE_INVALID_FORMAT, "%s: %u columns are no multiple of the group size %u", linear->name,
                            linear->in, quant.group_size);
    char expected[48];
    uint32_t words = (uint32_t)(we_quant_row_bytes(quant, linear->in) / 4);
    snprintf(expected, sizeof expected, "[%u, %u]", linear->rows, words);
    if (weight->num_dims != 2 || weight->shape[0] != linear->rows || weight->shape[1] != words)
        return wrong_shape(source, weight, expected, error);
    if (weight->dtype != WE_U32)
        return we_error_set(error, WE_INVALID_FORMAT, "%s: tensor %.*s has the type %s, where U32 (packed) was expected",
                            weight->file, WE_STR_ARG(weight->name), we_dtype_name(weight->dtype));
    if (scales == NULL)
        return missing(source, linear->name, "scales", "", error);
    enum we_dtype dtype = affine ? scales->dtype : WE_U8;
    if (affine && !we_dtype_is_float(dtype))
        return we_error_set(error, WE_UNSUPPORTED, "%s: tensor %.*s has the type %s, where F32, F16 or BF16 was expected",
                            scales->file, WE_STR_ARG(scales->name), we_dtype_name(dtype));
    uint32_t groups = we_quant_row_groups(quant, linear->in);
    we_status status = check_groups(source, scales, dtype, linear->rows, groups, error);
    if (status == WE_OK && affine && biases == NULL)
        return missing(source, linear->name, "biases", "", error);
    if (status == WE_OK && affine)
        status = check_groups(source, biases, dtype, linear->rows, groups, error);
    linear->scales = scales->data;
    linear->biases = affine ? biases->data : NULL;
    linear->dtype = dtype;
    linear->mode = quant.mode;
    linear->bits = quant.bits;
    linear->group_size = quant.group_size;
    return status;
}

we_status we_bind_linear(const struct we_arch_source *source, const char *module, uint32_t rows, uint32_t in, bool bias,
                         struct we_linear *linear, struct we_error *error)
{
    if (module == NULL)
        return we_error_memory(error, "the name of a module");
    *linear = (struct we_linear){.rows = rows, .in = in, .name = module};
    const struct we_tensor *weight, *scales, *biases;
    we_status status = find(source, module, "weight", &weight, error);
    if (status == WE_OK)
        status = find(source, module, "scales", &scales, error);
    if (status == WE_OK)
        status = find(source, module, "biases", &biases, error);
    if (status != WE_OK)
        return status;
    char expected[48];
    snprintf(expected, sizeof expected, "[%u, %u]", rows, in);
    if (weight == NULL)
        return missing(source, module, "weight", expected, error);
    struct we_quant quant;
    status = we_quantization_for(&source->quantization, module, weight, scales, biases, in, &quant, error);
    if (status != WE_OK)
        return status;
    linear->data = weight->data;
    if (quant.mode != WE_QUANT_NONE) {
        status = bind_quantized(source, quant, weight, scales, biases, linear, error);
    } else if (weight->num_dims != 2 || weight->shape[0] != rows || weight->shape[1] != in) {
        status = wrong_shape(source, weight, expected, error);
    } else if (!we_dtype_is_float(weight->dtype)) {
        status = we_error_set(error, WE_UNSUPPORTED,
                              "%s: tensor %.*s has the type %s, where F32, F16 or BF16 was expected, or quantised weights "
                              "with scales",
                              weight->file, WE_STR_ARG(weight->name), we_dtype_name(weight->dtype));
    } else {
        linear->dtype = weight->dtype;
    }
    if (status == WE_OK) {
        bool packed = quant.mode != WE_QUANT_NONE;
        struct we_model_tensor noted = {weight, true, in, quant, packed ? scales : NULL, packed ? biases : NULL};
        status = note_linear(source->bindings, &noted, error);
    }
    if (status == WE_OK && bias)
        status = bind_vector(source, module, "bias", rows, &linear->bias, error);
    return status;
}

struct we_linear we_linear_view(const struct we_linear *fused, uint32_t first, uint32_t rows)
{
    struct we_linear view = *fused;
    view.first = fused->first + first;
    view.rows = rows;
    return view;
}

float we_attention_scale(uint32_t head_dim)
{
    return (float)(1 / sqrt((double)head_dim));
}

static int compare_pointers(const void *a, const void *b)
{
    const struct we_tensor *x = *(const struct we_tensor *const *)a, *y = *(const struct we_tensor *const *)b;
    return x < y ? -1 : x > y;
}

/* What mlx-lm removes from checkpoints: old tables of rope, and the head of a model that is said to have none. */
static bool is_passed_over(struct we_str name, bool tied)
{
    return we_str_find(name, we_str_c("self_attn.rotary_emb.inv_freq"), 0) != SIZE_MAX ||
           (tied && we_str_starts_with(name, we_str_c("lm_head.")));
}

static we_status check_unused(const struct we_arch_source *source, bool tied, struct we_error *error)
{
    struct we_bindings *used = source->bindings;
    qsort(used->tensors, used->count, sizeof *used->tensors, compare_pointers);
    for (size_t i = 0; i < we_safetensors_count(source->weights); i++) {
        const struct we_tensor *tensor = we_safetensors_at(source->weights, i);
        if (is_passed_over(tensor->name, tied) ||
            bsearch(&tensor, used->tensors, used->count, sizeof *used->tensors, compare_pointers))
            continue;
        return we_error_set(error, WE_INVALID_FORMAT,
                            "%s: tensor %.*s is not one that %s calls for; the config may belong to another model", tensor->file,
                            WE_STR_ARG(tensor->name), source->config.where);
    }
    return WE_OK;
}

we_status we_bind_layer_norms(const struct we_arch_source *source, uint32_t index, uint32_t hidden_size, float eps,
                              struct we_norm *input_norm, struct we_norm *post_attention_norm, struct we_error *error)
{
    we_status status = we_bind_rms_norm(source, we_bind_name(source, "model.layers.%u.input_layernorm", index), hidden_size, eps,
                                        input_norm, error);
    if (status == WE_OK)
        status = we_bind_rms_norm(source, we_bind_name(source, "model.layers.%u.post_attention_layernorm", index), hidden_size,
                                  eps, post_attention_norm, error);
    return status;
}

we_status we_build_layer(const struct we_arch_source *source, const struct we_attention *attention,
                         const struct we_norm *attention_norm, const struct we_feed_forward *feed_forward,
                         const struct we_norm *feed_forward_norm, uint32_t state, struct we_layer *layer,
                         struct we_error *error)
{
    struct parts {
        struct we_attention attention;
        struct we_feed_forward feed_forward;
        struct we_block blocks[2];
        struct we_step steps[2];
    } *parts = we_arena_alloc(source->arena, sizeof *parts);
    if (parts == NULL)
        return we_error_memory(error, "the description of a layer");
    parts->attention = *attention;
    parts->feed_forward = *feed_forward;
    parts->blocks[0] = (struct we_block){
        .kind = WE_BLOCK_ATTENTION, .op.attention = &parts->attention, .pre_norm = *attention_norm, .state = state};
    parts->blocks[1] = (struct we_block){.kind = WE_BLOCK_FEED_FORWARD,
                                         .op.feed_forward = &parts->feed_forward,
                                         .pre_norm = *feed_forward_norm,
                                         .state = WE_NO_STATE};
    for (int i = 0; i < 2; i++)
        parts->steps[i] = (struct we_step){.blocks = &parts->blocks[i], .num_blocks = 1, .residual_multiplier = 1};
    *layer = (struct we_layer){parts->steps, 2};
    return WE_OK;
}

we_status we_bind_ends(const struct we_arch_source *source, bool tied, float norm_eps, struct we_decoder *decoder,
                       struct we_error *error)
{
    decoder->embedding_multiplier = decoder->logit_multiplier = 1;
    we_status status = we_bind_linear(source, "model.embed_tokens", decoder->vocab_size, decoder->hidden_size, false,
                                      &decoder->embed_tokens, error);
    if (status == WE_OK)
        status = we_bind_rms_norm(source, "model.norm", decoder->hidden_size, norm_eps, &decoder->norm, error);
    if (status == WE_OK && tied)
        decoder->lm_head = decoder->embed_tokens;
    else if (status == WE_OK)
        status = we_bind_linear(source, "lm_head", decoder->vocab_size, decoder->hidden_size, false, &decoder->lm_head, error);
    return status == WE_OK ? check_unused(source, tied, error) : status;
}

/* Dimensions beyond these are no model's; they keep every later product far from overflow. */
static we_status check_range(const struct we_arch_source *source, const char *key, uint32_t value, uint32_t most,
                             struct we_error *error)
{
    if (value >= 1 && value <= most)
        return WE_OK;
    return we_error_set(error, WE_INVALID_FORMAT, "%s: %s is %u, where a number from 1 to %u was expected",
                        source->config.where, key, value, most);
}

we_status we_config_common(const struct we_arch_source *source, struct we_common_config *common, struct we_decoder *decoder,
                           struct we_error *error)
{
    const struct we_config *config = &source->config;
    *common = (struct we_common_config){0};
    const struct {
        const char *key;
        uint32_t *value, most;
    } required[] = {
        {"hidden_size", &common->hidden_size, 1u << 20},
        {"num_hidden_layers", &common->num_hidden_layers, 4096},
        {"intermediate_size", &common->intermediate_size, 1u << 22},
        {"num_attention_heads", &common->num_attention_heads, 4096},
        {"vocab_size", &common->vocab_size, 1u << 24},
    };
    we_status status = WE_OK;
    for (size_t i = 0; status == WE_OK && i < sizeof required / sizeof *required; i++) {
        status = we_config_require_u32(config, required[i].key, required[i].value, error);
        if (status == WE_OK)
            status = check_range(source, required[i].key, *required[i].value, required[i].most, error);
    }
    if (status == WE_OK)
        status = we_config_require_float(config, "rms_norm_eps", &common->rms_norm_eps, error);
    common->num_key_value_heads = common->num_attention_heads;
    if (status == WE_OK)
        status = we_config_u32(config, "num_key_value_heads", &common->num_key_value_heads, error);
    if (status == WE_OK)
        status = check_range(source, "num_key_value_heads", common->num_key_value_heads, common->num_attention_heads, error);
    if (status == WE_OK && common->num_attention_heads % common->num_key_value_heads != 0)
        status = we_error_set(error, WE_INVALID_FORMAT, "%s: num_attention_heads %u is no multiple of num_key_value_heads %u",
                              config->where, common->num_attention_heads, common->num_key_value_heads);
    if (status == WE_OK)
        status = we_config_u32(config, "max_position_embeddings", &common->max_position_embeddings, error);
    if (status != WE_OK)
        return status;
    struct we_layer *layers = we_arena_array(source->arena, common->num_hidden_layers, sizeof *layers);
    if (layers == NULL)
        return we_error_memory(error, "the description of the layers");
    decoder->layers = layers;
    decoder->hidden_size = common->hidden_size;
    decoder->vocab_size = common->vocab_size;
    decoder->num_layers = decoder->num_states = common->num_hidden_layers;
    decoder->context_length = common->max_position_embeddings;
    return WE_OK;
}
