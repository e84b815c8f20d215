#include "arch/bind.h"

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

/* Whether the tensor is (count, rows, columns), (rows, columns) without a count, or either without columns. */
static bool has_shape(const struct we_tensor *tensor, uint32_t count, uint32_t rows, uint32_t columns)
{
    const uint64_t shape[] = {count, rows, columns};
    const uint32_t skip = count ? 0 : 1, dims = (columns ? 3 : 2) - skip;
    if (tensor->num_dims != dims)
        return false;
    for (uint32_t i = 0; i < dims; i++)
        if (tensor->shape[i] != shape[skip + i])
            return false;
    return true;
}

static const char *shape_text(char text[64], uint32_t count, uint32_t rows, uint32_t columns)
{
    char last[16] = "", first[16] = "";
    if (columns)
        snprintf(last, sizeof last, ", %u", columns);
    if (count)
        snprintf(first, sizeof first, "%u, ", count);
    snprintf(text, 64, "[%s%u%s]", first, rows, last);
    return text;
}

/* A vector has memory of its own, unless it is large: the part of a file that is mapped around it, up to 2 MB, stays in memory
 * as long as it is read there, also when the weights beside it have moved elsewhere. */
static we_status keep_vector(const struct we_arch_source *source, struct we_vector *vector, struct we_error *error)
{
    enum { MOST_BYTES = 256 * 1024 };
    const size_t bytes = vector->length * we_dtype_size(vector->dtype);
    if (bytes > MOST_BYTES)
        return WE_OK;
    void *own = we_arena_alloc(source->arena, bytes);
    if (own == NULL)
        return we_error_memory(error, "a vector of the model");
    vector->data = memcpy(own, vector->data, bytes);
    return WE_OK;
}

/* Floats: (length), or with a count (count, length). They stay in the file. */
static we_status bind_floats(const struct we_arch_source *source, const char *module, const char *suffix, uint32_t count,
                             uint32_t length, struct we_vector *vector, struct we_error *error)
{
    const struct we_tensor *tensor;
    we_status status = find(source, module, suffix, &tensor, error);
    if (status != WE_OK)
        return status;
    char expected[64];
    if (tensor == NULL)
        return missing(source, module, suffix, shape_text(expected, count, length, 0), error);
    if (!has_shape(tensor, count, length, 0))
        return wrong_shape(source, tensor, shape_text(expected, count, length, 0), error);
    if (!we_dtype_is_float(tensor->dtype))
        return we_error_set(error, WE_UNSUPPORTED, "%s: tensor %.*s has the type %s, where F32, F16 or BF16 was expected",
                            tensor->file, WE_STR_ARG(tensor->name), we_dtype_name(tensor->dtype));
    *vector = (struct we_vector){tensor->data, tensor->dtype, (count ? count : 1) * length};
    return WE_OK;
}

static we_status bind_vector(const struct we_arch_source *source, const char *module, const char *suffix, uint32_t count,
                             uint32_t length, struct we_vector *vector, struct we_error *error)
{
    we_status status = bind_floats(source, module, suffix, count, length, vector, error);
    return status == WE_OK ? keep_vector(source, vector, error) : status;
}

we_status we_bind_array(const struct we_arch_source *source, const char *module, uint32_t rows, uint32_t in,
                        struct we_linear *linear, struct we_error *error)
{
    if (module == NULL)
        return we_error_memory(error, "the name of a module");
    struct we_vector values = {0};
    we_status status = bind_floats(source, module, "weight", rows, in, &values, error);
    *linear = (struct we_linear){.data = values.data, .dtype = values.dtype, .rows = rows, .in = in, .name = module};
    return status;
}

we_status we_bind_vector(const struct we_arch_source *source, const char *module, const char *suffix, uint32_t count,
                         uint32_t length, struct we_vector *vector, struct we_error *error)
{
    if (module == NULL)
        return we_error_memory(error, "the name of a module");
    return bind_vector(source, module, suffix, count, length, vector, error);
}

we_status we_bind_taps(const struct we_arch_source *source, const char *module, uint32_t count, uint32_t length,
                       struct we_vector *vector, struct we_error *error)
{
    const struct we_tensor *tensor;
    if (module == NULL)
        return we_error_memory(error, "the name of a module");
    we_status status = find(source, module, "weight", &tensor, error);
    if (status != WE_OK)
        return status;
    char expected[64];
    snprintf(expected, sizeof expected, "[%u, %u, 1]", count, length);
    if (tensor == NULL)
        return missing(source, module, "weight", expected, error);
    if (!has_shape(tensor, count, length, 1))
        return wrong_shape(source, tensor, expected, error);
    if (!we_dtype_is_float(tensor->dtype))
        return we_error_set(error, WE_UNSUPPORTED, "%s: tensor %.*s has the type %s, where F32, F16 or BF16 was expected",
                            tensor->file, WE_STR_ARG(tensor->name), we_dtype_name(tensor->dtype));
    *vector = (struct we_vector){tensor->data, tensor->dtype, count * length};
    return keep_vector(source, vector, error);
}

bool we_bind_exists(const struct we_arch_source *source, const char *module, const char *suffix)
{
    char name[300];
    int n = snprintf(name, sizeof name, "%s.%s", module, suffix);
    return n > 0 && (size_t)n < sizeof name && we_safetensors_find(source->weights, we_str(name, (size_t)n)) != NULL;
}

/* Scales or biases of a quantised linear: (rows, in / group_size). */
static we_status check_groups(const struct we_arch_source *source, const struct we_tensor *tensor, enum we_dtype dtype,
                              const struct we_linear *linear, uint32_t groups, struct we_error *error)
{
    char expected[64];
    if (!has_shape(tensor, linear->count, linear->rows, groups))
        return wrong_shape(source, tensor, shape_text(expected, linear->count, linear->rows, groups), error);
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
    char expected[64];
    uint32_t words = (uint32_t)(we_quant_row_bytes(quant, linear->in) / 4);
    if (!has_shape(weight, linear->count, linear->rows, words))
        return wrong_shape(source, weight, shape_text(expected, linear->count, linear->rows, words), error);
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
    we_status status = check_groups(source, scales, dtype, linear, groups, error);
    if (status == WE_OK && affine && biases == NULL)
        return missing(source, linear->name, "biases", "", error);
    if (status == WE_OK && affine)
        status = check_groups(source, biases, dtype, linear, groups, error);
    linear->scales = scales->data;
    linear->biases = affine ? biases->data : NULL;
    linear->dtype = dtype;
    linear->mode = quant.mode;
    linear->bits = quant.bits;
    linear->group_size = quant.group_size;
    return status;
}

we_status we_bind_linear(const struct we_arch_source *source, const char *module, uint32_t count, uint32_t rows, uint32_t in,
                         bool bias, struct we_linear *linear, struct we_error *error)
{
    if (module == NULL)
        return we_error_memory(error, "the name of a module");
    *linear = (struct we_linear){.rows = rows, .in = in, .count = count, .next = rows, .name = module};
    const struct we_tensor *weight, *scales, *biases;
    we_status status = find(source, module, "weight", &weight, error);
    if (status == WE_OK)
        status = find(source, module, "scales", &scales, error);
    if (status == WE_OK)
        status = find(source, module, "biases", &biases, error);
    if (status != WE_OK)
        return status;
    char expected[64];
    if (weight == NULL)
        return missing(source, module, "weight", shape_text(expected, count, rows, in), error);
    struct we_quant quant;
    status = we_quantization_for(&source->quantization, module, weight, scales, biases, in, &quant, error);
    if (status != WE_OK)
        return status;
    linear->data = weight->data;
    if (quant.mode != WE_QUANT_NONE) {
        status = bind_quantized(source, quant, weight, scales, biases, linear, error);
    } else if (!has_shape(weight, count, rows, in)) {
        status = wrong_shape(source, weight, shape_text(expected, count, rows, in), error);
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
        status = bind_vector(source, module, "bias", count, rows, &linear->bias, error);
    return status;
}

struct we_linear we_linear_view(const struct we_linear *fused, uint32_t first, uint32_t rows)
{
    struct we_linear view = *fused;
    view.first = fused->first + first;
    view.rows = rows;
    return view;
}

static int compare_pointers(const void *a, const void *b)
{
    const struct we_tensor *x = *(const struct we_tensor *const *)a, *y = *(const struct we_tensor *const *)b;
    return x < y ? -1 : x > y;
}

we_status we_bind_check_unused(const struct we_arch_source *source, bool (*is_passed_over)(const void *, struct we_str),
                               const void *context, struct we_error *error)
{
    struct we_bindings *used = source->bindings;
    if (used->count)
        qsort(used->tensors, used->count, sizeof *used->tensors, compare_pointers);
    for (size_t i = 0; i < we_safetensors_count(source->weights); i++) {
        const struct we_tensor *tensor = we_safetensors_at(source->weights, i);
        if (is_passed_over(context, tensor->name) ||
            bsearch(&tensor, used->tensors, used->count, sizeof *used->tensors, compare_pointers))
            continue;
        return we_error_set(error, WE_INVALID_FORMAT,
                            "%s: tensor %.*s is not one that %s calls for; the config may belong to another model",
                            tensor->file, WE_STR_ARG(tensor->name), source->config.where);
    }
    return WE_OK;
}
