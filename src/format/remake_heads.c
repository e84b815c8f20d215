/* A quantised kv_b_proj of latent attention, as mlx-lm made models before the heads stood by themselves: its two parts are
 * quantised anew when such a model is loaded, since what makes keys is turned over. */
#include "format/remake_plan.h"

#include <stdio.h>

enum { PARTS = 6, LONGEST_NAME = 300 }; /* embed_q.weight, .scales, .biases; unembed_out likewise */

static struct we_tensor like(const struct we_tensor *from, enum we_dtype dtype, uint64_t heads, uint64_t rows, uint64_t columns)
{
    struct we_tensor t = *from;
    t.dtype = dtype;
    t.num_dims = 3;
    t.shape[0] = heads, t.shape[1] = rows, t.shape[2] = columns;
    t.size = heads * rows * columns * we_dtype_size(dtype);
    return t;
}

/* (heads, nope + value, latent) of any type of `size` bytes: the first rows of each head, turned. */
static void turn(const struct we_remake_heads *heads, uint64_t latent, const char *from, size_t size, char *to)
{
    for (uint64_t h = 0; h < heads->heads; h++, to += heads->nope * latent * size)
        for (uint64_t i = 0; i < heads->nope; i++) {
            const char *row = from + (h * (heads->nope + heads->value) + i) * latent * size;
            for (uint64_t k = 0; k < latent; k++)
                memcpy(to + (k * heads->nope + i) * size, row + k * size, size);
        }
}

/* Quantised values of one part, (rows, columns) of all heads together. */
static we_status quantise(const struct we_quantizer *quantizer, struct we_quant quant, const void *values,
                          struct we_tensor parts[3], struct we_arena *arena, struct we_error *error)
{
    void *data[3];
    for (int i = 0; i < 3; i++)
        parts[i].data = data[i] = we_arena_array(arena, (size_t)parts[i].size, 1);
    if (data[0] == NULL || data[1] == NULL || data[2] == NULL)
        return we_error_memory(error, "the parts of kv_b_proj");
    const enum we_dtype dtype = parts[1].dtype;
    quantizer->quantize(quant, values, dtype, dtype, (size_t)(parts[1].size / we_dtype_size(dtype) * quant.group_size), data[0],
                        data[1], data[2]);
    return WE_OK;
}

static we_status split_quantised(const struct we_remake_heads *heads, const struct we_tensor *weight,
                                 const struct we_tensor *scales, const struct we_tensor *biases, struct we_quant quant,
                                 bool with_data, struct we_arena *arena, struct we_tensor parts[PARTS], struct we_error *error)
{
    const uint64_t count_heads = heads->heads, both = heads->nope + heads->value, latent = scales->shape[1] * quant.group_size;
    const struct we_tensor *const from[3] = {weight, scales, biases};
    for (int i = 0; i < 3; i++) {
        const uint64_t share = i ? quant.group_size : 32; /* columns for one, or for `bits` of them */
        const uint64_t times = i ? 1 : quant.bits;
        parts[i] = like(from[i], from[i]->dtype, count_heads, latent, heads->nope * times / share);
        parts[3 + i] = like(from[i], from[i]->dtype, count_heads, heads->value, latent * times / share);
    }
    if (!with_data)
        return WE_OK;
    const struct we_quantizer *quantizer = we_quantizer_best();
    const enum we_dtype dtype = scales->dtype;
    const size_t size = we_dtype_size(dtype), count = (size_t)(count_heads * both * latent);
    struct we_arena scratch = {0};
    char *values = we_arena_array(&scratch, count, size), *part = we_arena_array(&scratch, count, size);
    we_status status = values && part ? WE_OK : we_error_memory(error, "the parts of kv_b_proj");
    if (status == WE_OK) {
        quantizer->dequantize(quant, weight->data, scales->data, biases->data, dtype, count, values, dtype);
        turn(heads, latent, values, size, part);
        status = quantise(quantizer, quant, part, parts, arena, error);
    }
    for (uint64_t h = 0; h < count_heads && status == WE_OK; h++)
        memcpy(part + h * heads->value * latent * size, values + (h * both + heads->nope) * latent * size,
               (size_t)(heads->value * latent) * size);
    if (status == WE_OK)
        status = quantise(quantizer, quant, part, parts + 3, arena, error);
    we_arena_free(&scratch);
    return status;
}

/* Bits and group, as the shapes say. */
static we_status read_format(const struct we_remake_planner *p, const struct we_remake_heads *heads,
                             const struct we_tensor *weight, const struct we_tensor *scales, const struct we_tensor *biases,
                             struct we_quant *quant)
{
    static const uint32_t groups[] = {32, 64, 128};
    const uint64_t rows = (uint64_t)heads->heads * ((uint64_t)heads->nope + heads->value);
    char shape[128];
    *quant = (struct we_quant){WE_QUANT_AFFINE, 0, 0};
    const bool sound = scales && biases && weight->num_dims == 2 && weight->shape[0] == rows && scales->num_dims == 2 &&
                       we_dtype_is_float(scales->dtype) && scales->shape[0] == rows && scales->shape[1] &&
                       biases->dtype == scales->dtype && biases->num_dims == 2 && biases->shape[0] == rows &&
                       biases->shape[1] == scales->shape[1];
    for (size_t i = 0; sound && i < sizeof groups / sizeof *groups && quant->bits == 0; i++) {
        const uint64_t latent = scales->shape[1] * groups[i], bits = weight->shape[1] * 32 / latent;
        const struct we_quant fits = {WE_QUANT_AFFINE, bits <= 8 ? (uint32_t)bits : 0, groups[i]};
        if (latent == heads->latent && bits * latent == weight->shape[1] * 32 && we_quant_valid(fits))
            *quant = fits;
    }
    if (quant->bits && heads->nope % quant->group_size == 0)
        return WE_OK;
    return we_error_set(p->error, WE_UNSUPPORTED,
                        "%s: tensor '%.*s' is %s %s, where affine weights of %u x %u with scales and biases were expected, in "
                        "groups that divide the %u values that keys have",
                        weight->file, WE_STR_ARG(weight->name), we_dtype_name(weight->dtype),
                        we_tensor_shape_text(weight, shape), heads->heads * (heads->nope + heads->value), heads->latent,
                        heads->nope);
}

static struct we_tensor *find(struct we_remake_planner *p, struct we_str module, const char *end)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct we_str name = p->tensors[i].name;
        if (name.length == module.length + strlen(end) && we_str_starts_with(name, module) &&
            we_str_ends_with(name, we_str_c(end)))
            return &p->tensors[i];
    }
    return NULL;
}

we_status we_remake_quantised_heads(struct we_remake_planner *p, size_t index, const struct we_remake_heads *heads)
{
    static const char *const names[PARTS] = {"embed_q.weight",     "embed_q.scales",     "embed_q.biases",
                                             "unembed_out.weight", "unembed_out.scales", "unembed_out.biases"};
    struct we_tensor *weight = &p->tensors[index], parts[PARTS];
    const struct we_str module = we_str(weight->name.data, weight->name.length - strlen(".weight"));
    const struct we_str before = we_str(module.data, module.length - strlen("kv_b_proj"));
    struct we_tensor *scales = find(p, module, ".scales"), *biases = find(p, module, ".biases");
    struct we_quant quant;
    we_status status = read_format(p, heads, weight, scales, biases, &quant);
    if (status == WE_OK)
        status = split_quantised(heads, weight, scales, biases, quant, p->with_data, p->arena, parts, p->error);
    for (int i = 0; i < PARTS && status == WE_OK; i++) {
        char text[LONGEST_NAME];
        int n = snprintf(text, sizeof text, "%.*s%s", (int)before.length, before.data, names[i]);
        if (n < 0 || (size_t)n >= sizeof text)
            return we_error_set(p->error, WE_UNSUPPORTED, "the name of the tensor '%.*s' is too long", WE_STR_ARG(module));
        parts[i].name = we_str_c(we_arena_copy(p->arena, we_str(text, (size_t)n)));
        if (parts[i].name.data == NULL)
            return we_error_memory(p->error, "the names of tensors");
    }
    if (status != WE_OK)
        return status;
    *weight = parts[0];
    *scales = parts[1];
    *biases = parts[2];
    for (int i = 3; i < PARTS; i++)
        p->tensors[p->count++] = parts[i];
    p->changed = true;
    return WE_OK;
}
