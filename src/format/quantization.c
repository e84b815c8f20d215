#include "format/quantization.h"

#include <stdio.h>

static const char *quant_text(struct we_quant quant, char out[64])
{
    snprintf(out, 64, "%s, %u bits, group size %u", we_quant_mode_name(quant.mode), quant.bits, quant.group_size);
    return out;
}

/* {"mode", "bits", "group_size"}; what is missing is the mode's default. */
static we_status read_quant(const struct we_json *json, const char *where, struct we_quant *quant, struct we_error *error)
{
    struct we_config config = {json, where};
    struct we_str mode_name = we_str_c("affine");
    we_status status = we_config_string(&config, "mode", &mode_name, error);
    if (status != WE_OK)
        return status;
    enum we_quant_mode mode;
    if (!we_quant_mode_from_name(mode_name, &mode))
        return we_error_set(error, WE_UNSUPPORTED,
                            "%s: the quantisation mode \"%.*s\" is not known; affine, mxfp4, mxfp8 and nvfp4 are", where,
                            WE_STR_ARG(mode_name));
    *quant = we_quant_defaults(mode);
    status = we_config_u32(&config, "bits", &quant->bits, error);
    if (status == WE_OK)
        status = we_config_u32(&config, "group_size", &quant->group_size, error);
    if (status == WE_OK && !we_quant_valid(*quant)) {
        char text[64];
        return we_error_set(error, WE_UNSUPPORTED,
                            "%s: a quantisation of %s does not exist: affine has 2, 3, 4, 5, 6 or 8 bits and groups of 32, 64 "
                            "or 128, mxfp4 4 bits and groups of 32, mxfp8 8 and 32, nvfp4 4 and 16",
                            where, quant_text(*quant, text));
    }
    return status;
}

static we_status parse_block(const struct we_json *block, const char *where, struct we_quantization *quantization,
                             struct we_error *error)
{
    if (block->kind != WE_JSON_OBJECT)
        return we_error_set(error, WE_INVALID_FORMAT, "%s: \"quantization\" is %s, where an object was expected", where,
                            we_json_kind_name(block->kind));
    quantization->present = true;
    quantization->block = block;
    return read_quant(block, where, &quantization->defaults, error);
}

/* An object that says something; NULL otherwise. */
static const struct we_json *get_block(const struct we_json *json, const char *key)
{
    const struct we_json *block = we_json_get(json, key);
    if (block == NULL || block->kind == WE_JSON_NULL || (block->kind == WE_JSON_BOOL && !block->boolean) ||
        (block->kind == WE_JSON_OBJECT && block->count == 0))
        return NULL;
    return block;
}

/* What other programs write. Their weights lie otherwise than MLX's: by columns, or in tensors of other names. */
static const struct {
    const char *method, *advice;
} other_methods[] = {
    {"awq", "; mlx_lm.convert makes one of those with 4 bits"},
    {"gptq", "; mlx_lm.convert makes one of those with 4 bits and no g_idx"},
    {"compressed-tensors", ", or convert the unquantised model with mlx_lm.convert -q"},
    {"modelopt", ", or convert the unquantised model with mlx_lm.convert -q --q-mode nvfp4"},
    {"bitnet", ""},
};

static we_status refuse_method(const char *where, const struct we_json *block, struct we_str name, struct we_error *error)
{
    const char *advice = ", or convert the unquantised model with mlx_lm.convert -q";
    for (size_t i = 0; i < sizeof other_methods / sizeof *other_methods; i++)
        if (we_str_equal_c(name, other_methods[i].method))
            advice = other_methods[i].advice;
    const struct we_json *format = we_json_get(block, "format");
    const bool named = format && format->kind == WE_JSON_STRING;
    return we_error_set(error, WE_UNSUPPORTED,
                        "%s: the weights are quantised by the method \"%.*s\"%s%.*s, whose files are not read; take a conversion "
                        "of the model to MLX format%s",
                        where, WE_STR_ARG(name), named ? ", format " : "", named ? (int)format->string.length : 0,
                        named ? format->string.data : "", advice);
}

we_status we_quantization_parse(const struct we_config *config, struct we_quantization *quantization, struct we_error *error)
{
    *quantization = (struct we_quantization){.where = config->where};
    const struct we_json *block = get_block(config->json, "quantization");
    if (block)
        return parse_block(block, config->where, quantization, error);
    block = get_block(config->json, "quantization_config");
    if (block == NULL)
        block = get_block(we_json_get(config->json, "text_config"), "quantization_config");
    if (block == NULL)
        return WE_OK;
    const struct we_json *method = we_json_get(block, "quant_method");
    if (method == NULL && we_json_get(block, "group_size") && we_json_get(block, "bits"))
        return parse_block(block, config->where, quantization, error); /* MLX's own block under the other name */
    if (method && method->kind == WE_JSON_STRING && we_str_equal_c(method->string, "fp8"))
        return WE_OK; /* float8 with factors for its blocks becomes bfloat16 (remake.h) */
    struct we_str name = method && method->kind == WE_JSON_STRING ? method->string : we_str_c("unknown");
    enum we_quant_mode mode;
    if (we_quant_mode_from_name(name, &mode) && mode != WE_QUANT_AFFINE) { /* MLX's own layout, named after its mode */
        *quantization = (struct we_quantization){true, we_quant_defaults(mode), block, config->where};
        return WE_OK;
    }
    return refuse_method(config->where, block, name, error);
}

/* The last dimension: words of a weight, groups of scales. */
static uint64_t columns(const struct we_tensor *tensor)
{
    return tensor->num_dims ? tensor->shape[tensor->num_dims - 1] : 0;
}

static we_status contradiction(const struct we_quantization *q, const char *module, const struct we_tensor *weight,
                               const struct we_tensor *scales, uint32_t in, const char *claim, struct we_error *error)
{
    char weight_shape[128], scales_shape[128];
    return we_error_set(error, WE_INVALID_FORMAT,
                        "%s says that %s has %s and %u columns, but the weights in %s have the shape %s and the scales %s (%s)",
                        q->where, module, claim, in, weight->file, we_tensor_shape_text(weight, weight_shape),
                        we_tensor_shape_text(scales, scales_shape), we_dtype_name(scales->dtype));
}

static bool fits(struct we_quant quant, const struct we_tensor *weight, const struct we_tensor *scales, uint32_t in)
{
    return in % quant.group_size == 0 && columns(scales) == in / quant.group_size &&
           columns(weight) == we_quant_row_bytes(quant, in) / 4 && (scales->dtype == WE_U8) == (quant.mode != WE_QUANT_AFFINE);
}

/* The only format that the shapes allow. */
static bool infer(const struct we_tensor *weight, const struct we_tensor *scales, uint32_t in, struct we_quant *quant)
{
    uint64_t words = columns(weight), groups = columns(scales);
    if (in == 0 || groups == 0 || words > in || groups > in)
        return false;
    *quant = (struct we_quant){WE_QUANT_AFFINE, (uint32_t)(words * 32 / in), (uint32_t)(in / groups)};
    if (scales->dtype == WE_U8) {
        quant->mode = quant->bits == 8 ? WE_QUANT_MXFP8 : quant->group_size == 16 ? WE_QUANT_NVFP4 : WE_QUANT_MXFP4;
    }
    return we_quant_valid(*quant) && fits(*quant, weight, scales, in);
}

/* A module with an entry of its own. */
static we_status from_entry(const struct we_quantization *q, const struct we_json *entry, const char *module,
                            const struct we_tensor *weight, const struct we_tensor *scales, uint32_t in, struct we_quant *quant,
                            struct we_error *error)
{
    if (entry->kind == WE_JSON_OBJECT) {
        char where[512];
        snprintf(where, sizeof where, "%s: %s", q->where, module);
        we_status status = read_quant(entry, where, quant, error);
        if (status != WE_OK)
            return status;
    } else if (entry->kind == WE_JSON_BOOL) {
        *quant = entry->boolean ? q->defaults : (struct we_quant){WE_QUANT_NONE, 0, 0};
    } else {
        return we_error_set(error, WE_INVALID_FORMAT, "%s: the quantisation of %s is %s, where an object or false was expected",
                            q->where, module, we_json_kind_name(entry->kind));
    }
    char text[64];
    if (quant->mode == WE_QUANT_NONE) {
        if (scales)
            return we_error_set(error, WE_INVALID_FORMAT, "%s says that %s is not quantised, but %s holds its scales", q->where,
                                module, scales->file);
        return WE_OK;
    }
    if (scales == NULL)
        return we_error_set(error, WE_INVALID_FORMAT, "%s says that %s is quantised (%s), but the weights hold no %s.scales",
                            q->where, module, quant_text(*quant, text), module);
    if (!fits(*quant, weight, scales, in))
        return contradiction(q, module, weight, scales, in, quant_text(*quant, text), error);
    return WE_OK;
}

we_status we_quantization_for(const struct we_quantization *q, const char *module, const struct we_tensor *weight,
                              const struct we_tensor *scales, const struct we_tensor *biases, uint32_t in,
                              struct we_quant *quant, struct we_error *error)
{
    *quant = (struct we_quant){WE_QUANT_NONE, 0, 0};
    const struct we_json *entry = q->present ? we_json_get(q->block, module) : NULL;
    if (entry) {
        we_status status = from_entry(q, entry, module, weight, scales, in, quant, error);
        if (status != WE_OK)
            return status;
    } else if (scales) {
        if (!q->present)
            return we_error_set(
                error, WE_INVALID_FORMAT,
                "%s has no \"quantization\", but %s holds the scales of %s: the config belongs to another model", q->where,
                scales->file, module);
        if (!infer(weight, scales, in, quant))
            return contradiction(q, module, weight, scales, in, "a quantisation", error);
    }
    if (quant->mode == WE_QUANT_AFFINE && biases == NULL)
        return we_error_set(error, WE_INVALID_FORMAT, "%s: %s has scales, but the weights hold no %s.biases", scales->file,
                            module, module);
    return WE_OK;
}
