#include "convert/directory.h"

#include "tensor/quantize.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* What a weight is made from. */
struct origin {
    const struct we_safetensors *set;
    const struct we_model_tensor *source;
    const struct we_quantizer *quantizer;
    const struct we_remade *weight, *scales, *biases; /* NULL: what stands in the file as it is, or is not there */
    bool dequantise;
};

enum { LONGEST_NAME = 300 };

/* ---- making rows ---- */

static uint64_t source_row_bytes(const struct we_model_tensor *source, uint64_t in)
{
    return source->quant.mode == WE_QUANT_NONE ? in * we_dtype_size(source->tensor->dtype) : in / 8 * source->quant.bits;
}

/* Rows that stand one after the other, in the file or in pieces of it. */
struct run {
    const unsigned char *data, *scales, *biases; /* of the first row */
    uint64_t count;
};

static const unsigned char *find_part(const struct we_tensor *tensor, const struct we_remade *remade, uint64_t row_bytes,
                                      uint64_t first, uint64_t *count)
{
    const unsigned char *data = (const unsigned char *)tensor->data + (remade ? 0 : first * row_bytes);
    if (remade)
        *count = we_remade_rows(remade, first, *count, &data);
    return data;
}

static struct run find_run(const struct origin *o, const struct we_weight *w, uint64_t first, uint64_t count)
{
    const struct we_model_tensor *source = o->source;
    struct run run = {.count = count};
    run.data = find_part(source->tensor, o->weight, source_row_bytes(source, w->in), first, &run.count);
    if (source->quant.mode == WE_QUANT_NONE)
        return run;
    const uint64_t groups = w->in / source->quant.group_size;
    if (source->scales)
        run.scales = find_part(source->scales, o->scales, groups * we_dtype_size(source->scales->dtype), first, &run.count);
    if (source->biases)
        run.biases = find_part(source->biases, o->biases, groups * we_dtype_size(source->biases->dtype), first, &run.count);
    return run;
}

/* As mlx does it: scales and biases in their new type, then the weights, which for the small floats are bfloat16. */
static bool dequantise(const struct origin *o, const struct we_weight *w, const struct run *run, unsigned char *out)
{
    enum { GROUPS = 64 };
    const struct we_model_tensor *source = o->source;
    struct we_quant quant = source->quant;
    bool affine = quant.mode == WE_QUANT_AFFINE, fits = true;
    uint64_t groups = w->in / quant.group_size * run->count, group_bytes = (uint64_t)quant.group_size / 8 * quant.bits;
    unsigned char scales[GROUPS * 4], biases[GROUPS * 4];
    size_t size = affine ? we_dtype_size(source->scales->dtype) : 1;
    for (uint64_t g = 0; g < groups; g += GROUPS) {
        uint64_t n = groups - g < GROUPS ? groups - g : GROUPS;
        const unsigned char *from = run->scales + g * size;
        if (affine) {
            fits = o->quantizer->cast(from, source->scales->dtype, n, scales, w->dtype) && fits;
            fits = o->quantizer->cast(run->biases + g * size, source->scales->dtype, n, biases, w->dtype) && fits;
        }
        o->quantizer->dequantize(quant, run->data + g * group_bytes, affine ? scales : from, affine ? biases : NULL,
                                 affine ? w->dtype : WE_U8, n * quant.group_size,
                                 out + g * quant.group_size * we_dtype_size(w->dtype), w->dtype);
    }
    return fits;
}

/* Quantised before and after: the packed weights stay, affine scales and biases may change their type. */
static bool copy_quantised(const struct origin *o, const struct we_weight *w, const struct run *run, unsigned char *out,
                           unsigned char *scales, unsigned char *biases)
{
    uint64_t groups = run->count * (w->in / w->quant.group_size);
    memcpy(out, run->data, run->count * we_weight_row_bytes(w));
    if (w->quant.mode != WE_QUANT_AFFINE) {
        memcpy(scales, run->scales, groups);
        return true;
    }
    enum we_dtype from = o->source->scales->dtype;
    bool fits = o->quantizer->cast(run->scales, from, groups, scales, w->dtype);
    return o->quantizer->cast(run->biases, from, groups, biases, w->dtype) && fits;
}

/* Plain values, a whole number of groups. */
static bool make_plain(const struct origin *o, const struct we_weight *w, const void *values, uint64_t count,
                       unsigned char *out, unsigned char *scales, unsigned char *biases)
{
    enum we_dtype from = o->source->tensor->dtype;
    if (w->quant.mode == WE_QUANT_NONE)
        return o->quantizer->cast(values, from, count, out, w->dtype);
    o->quantizer->quantize(w->quant, values, from, w->dtype, count, out, scales, biases);
    if (w->dtype != WE_F16 || from == WE_F16 || w->quant.mode != WE_QUANT_AFFINE)
        return true;
    bool fits = true; /* a value that became infinite has made its scale so */
    for (uint64_t i = 0; i < count / w->quant.group_size; i++)
        fits = fits && isfinite(we_load_float(scales, w->dtype, i)) && isfinite(we_load_float(biases, w->dtype, i));
    return fits;
}

static bool make_run(const struct origin *o, const struct we_weight *w, const struct run *run, unsigned char *out,
                     unsigned char *scales, unsigned char *biases)
{
    if (o->dequantise)
        return dequantise(o, w, run, out);
    if (o->source->quant.mode != WE_QUANT_NONE)
        return copy_quantised(o, w, run, out, scales, biases);
    return make_plain(o, w, run->data, run->count * w->in, out, scales, biases);
}

/* Rows whose values are computed, in parts that fit into the cache. */
static bool make_computed(const struct origin *o, const struct we_weight *w, uint64_t first, uint64_t count, unsigned char *out,
                          unsigned char *scales, unsigned char *biases)
{
    enum { PART = 2048 }; /* values, a whole number of groups */
    unsigned char values[PART * 4];
    const uint64_t bits = w->quant.mode == WE_QUANT_NONE ? 8 * we_dtype_size(w->dtype) : w->quant.bits;
    const uint64_t size = w->quant.mode == WE_QUANT_AFFINE ? we_dtype_size(w->dtype) : 1;
    bool fits = true;
    for (uint64_t row = 0; row < count; row++)
        for (uint64_t column = 0, n; column < w->in; column += n) {
            n = w->in - column < PART ? w->in - column : PART;
            const uint64_t at = row * w->in + column, group = scales ? at / w->quant.group_size : 0;
            we_remade_values(o->weight, first + row, column, n, values);
            fits = make_plain(o, w, values, n, out + at * bits / 8, scales ? scales + group * size : NULL,
                              biases ? biases + group * size : NULL) &&
                   fits;
        }
    return fits;
}

static bool make_rows(const struct we_weight *w, uint64_t first, uint64_t count, unsigned char *out, unsigned char *scales,
                      unsigned char *biases)
{
    const struct origin *o = w->from;
    bool fits = true;
    if (o->weight && we_remade_is_made(o->weight))
        return make_computed(o, w, first, count, out, scales, biases);
    for (uint64_t done = 0; done < count;) {
        const struct run run = find_run(o, w, first + done, count - done);
        fits = make_run(o, w, &run, out + done * we_weight_row_bytes(w),
                        scales ? scales + done * we_weight_scale_row_bytes(w) : NULL,
                        biases ? biases + done * we_weight_bias_row_bytes(w) : NULL) &&
               fits;
        done += run.count;
    }
    return fits;
}

static void release_part(const struct origin *o, const struct we_tensor *tensor, const struct we_remade *remade)
{
    if (tensor && remade == NULL)
        we_safetensors_release(o->set, tensor->data, tensor->size);
    for (uint32_t i = 0; remade && i < remade->count; i++)
        we_safetensors_release(o->set, remade->pieces[i]->data, remade->pieces[i]->size);
}

/* Rows by themselves may be less than a page, so at the end of a weight all of it is released once more. */
static void release_rows(const struct we_weight *w, uint64_t first, uint64_t count)
{
    const struct origin *o = w->from;
    const bool turned = o->weight && o->weight->turned; /* each row is made of many: they are released at the end */
    const uint64_t row_bytes = o->weight ? o->weight->row_bytes : source_row_bytes(o->source, w->in);
    for (uint64_t done = 0, n; done < count && !turned; done += n) {
        n = count - done;
        const unsigned char *data = find_part(o->source->tensor, o->weight, row_bytes, first + done, &n);
        we_safetensors_release(o->set, data, n * row_bytes);
    }
    if (first + count < w->rows)
        return;
    release_part(o, o->weight ? o->source->tensor : NULL, o->weight);
    release_part(o, o->source->scales, o->scales);
    release_part(o, o->source->biases, o->biases);
}

static const struct we_weight_maker maker = {make_rows, release_rows};

/* ---- the plan ---- */

static bool dtype_of(const char *name, size_t length, enum we_dtype *dtype)
{
    static const struct {
        const char *name;
        enum we_dtype dtype;
    } names[] = {{"float16", WE_F16}, {"bfloat16", WE_BF16}, {"float32", WE_F32}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (we_str_equal_c(we_str(name, length), names[i].name)) {
            *dtype = names[i].dtype;
            return true;
        }
    return false;
}

/* The type that all floats take: the option, else the config's torch_dtype, else (of a model in parts) text_config's dtype;
 * WE_DTYPE_NONE: each keeps its own. */
static we_status choose_dtype(const struct we_checkpoint *c, const struct we_convert_options *options, enum we_dtype *dtype,
                              struct we_error *error)
{
    *dtype = WE_DTYPE_NONE;
    if (options->dtype && !dtype_of(options->dtype, strlen(options->dtype), dtype))
        return we_error_set(error, WE_INVALID_ARGUMENT,
                            "the type '%s' is not known; weights can be float16, bfloat16 or float32", options->dtype);
    if (options->dtype)
        return WE_OK;
    const struct we_json *named = we_json_get(c->config.json, "torch_dtype");
    if (named == NULL || named->kind == WE_JSON_NULL)
        named = we_json_get(we_json_get(c->config.json, "text_config"), "dtype");
    if (named && named->kind == WE_JSON_STRING)
        (void)dtype_of(named->string.data, named->string.length, dtype);
    return WE_OK;
}

static bool keeps_dtype(const char *ends, struct we_str name)
{
    for (const char *p = ends; p && *p;) {
        size_t length = strcspn(p, " ");
        if (length && we_str_ends_with(name, we_str(p, length)))
            return true;
        p += length + (p[length] == ' ');
    }
    return false;
}

/* By file, and there by place: so the files are read from their beginning to their end. */
static int compare_places(const void *a, const void *b)
{
    const struct we_tensor *x = (*(const struct we_model_tensor *const *)a)->tensor,
                           *y = (*(const struct we_model_tensor *const *)b)->tensor;
    int files = strcmp(x->file, y->file);
    if (files != 0)
        return files;
    if (x->data != y->data)
        return (uintptr_t)x->data < (uintptr_t)y->data ? -1 : 1;
    return we_str_compare(x->name, y->name); /* parts of one tensor */
}

static bool is_weight(const struct we_model_tensor *t)
{
    return t->linear && t->tensor->num_dims >= 2 && we_str_ends_with(t->tensor->name, we_str_c(".weight"));
}

static void shape_of(const struct we_model_tensor *t, struct we_weight *w)
{
    const struct we_tensor *tensor = t->tensor;
    w->num_dims = tensor->num_dims;
    memcpy(w->shape, tensor->shape, sizeof w->shape);
    if (t->quant.mode != WE_QUANT_NONE)
        w->shape[w->num_dims - 1] = t->in;
    w->in = w->num_dims ? w->shape[w->num_dims - 1] : 1;
    w->rows = 1;
    for (uint32_t d = 0; d + 1 < w->num_dims; d++)
        w->rows *= w->shape[d];
}

struct planner {
    const struct we_checkpoint *checkpoint;
    const struct we_convert_options *options;
    struct we_arena *arena;
    struct we_new_model *model;
    struct we_predicate predicate;
    const struct we_quantizer *quantizer;
    enum we_dtype dtype;
    struct we_buf entry;
    struct we_error *error;
};

/* An entry in config.json: the predicate's, or, where the model had a quantisation before, all that is said. */
static void add_entry(struct planner *p, const char *module, struct we_quant quant)
{
    struct we_buf *out = &p->model->entries;
    if (p->entry.length == 0 && p->checkpoint->quantization.present && quant.mode != WE_QUANT_NONE) {
        char group_size[16];
        snprintf(group_size, sizeof group_size, "%u", quant.group_size);
        we_predicate_write_entry(&p->entry, group_size, quant.bits, we_quant_mode_name(quant.mode));
    }
    if (p->entry.length) {
        we_buf_append_c(out, ",\n        ");
        we_json_write_string(out, we_str_c(module), true);
        we_buf_append_c(out, ": ");
        we_buf_append(out, we_buf_str(&p->entry));
    }
    out->failed = out->failed || p->entry.failed;
    we_buf_clear(&p->entry);
}

static we_status plan_weight(struct planner *p, const struct we_model_tensor *source, struct we_weight *w)
{
    const struct we_checkpoint *c = p->checkpoint;
    struct we_str name = source->tensor->name;
    struct origin *origin = we_arena_alloc(p->arena, sizeof *origin);
    char *copy = we_arena_copy(p->arena, name);
    if (origin == NULL || copy == NULL)
        return we_error_memory(p->error, "the list of tensors");
    if (name.length > LONGEST_NAME || memchr(name.data, '\0', name.length))
        return we_error_set(p->error, WE_UNSUPPORTED, "%s: the name of the tensor '%.*s' is too long, or holds a NUL",
                            source->tensor->file, WE_STR_ARG(name));
    *origin = (struct origin){.set = c->set, .source = source, .quantizer = p->quantizer};
    origin->weight = we_remake_find(&c->remake, name);
    if (source->scales)
        origin->scales = we_remake_find(&c->remake, source->scales->name);
    if (source->biases)
        origin->biases = we_remake_find(&c->remake, source->biases->name);
    *w = (struct we_weight){.name = copy, .quant = source->quant, .maker = &maker, .from = origin};
    shape_of(source, w);
    bool quantised = source->quant.mode != WE_QUANT_NONE;
    w->dtype = source->quant.mode == WE_QUANT_AFFINE ? source->scales->dtype : source->tensor->dtype;
    if (p->dtype != WE_DTYPE_NONE && we_dtype_is_float(w->dtype) && !keeps_dtype(c->tensors.keeps_dtype, name))
        w->dtype = p->dtype;
    if (quantised && p->model->dequantise) {
        origin->dequantise = true;
        w->quant = (struct we_quant){WE_QUANT_NONE, 0, 0};
        w->dtype = source->quant.mode == WE_QUANT_AFFINE ? w->dtype : WE_BF16;
    }
    if (!p->model->quantise || quantised || !is_weight(source))
        return WE_OK;
    char *module = we_arena_copy(p->arena, we_str(name.data, name.length - strlen(".weight")));
    if (module == NULL)
        return we_error_memory(p->error, "the names of modules");
    we_status status = we_predicate_for(&p->predicate, module, w->in, &w->quant, &p->entry, p->error);
    if (status == WE_OK)
        add_entry(p, module, w->quant);
    return status;
}

static we_status plan_all(struct planner *p)
{
    const struct we_model_tensors *tensors = &p->checkpoint->tensors;
    struct we_weights *weights = &p->model->weights;
    const struct we_model_tensor **order = we_arena_array(p->arena, tensors->count, sizeof *order);
    weights->list = we_arena_array(p->arena, tensors->count, sizeof *weights->list);
    if (order == NULL || weights->list == NULL)
        return we_error_memory(p->error, "the list of tensors");
    for (size_t i = 0; i < tensors->count; i++)
        order[i] = &tensors->list[i];
    qsort(order, tensors->count, sizeof *order, compare_places);
    we_status status = WE_OK;
    uint64_t values = 0;
    for (size_t i = 0; i < tensors->count && status == WE_OK; i++) {
        status = plan_weight(p, order[i], &weights->list[weights->count]);
        if (status == WE_OK) {
            values += weights->list[weights->count].rows * weights->list[weights->count].in;
            weights->count++;
        }
    }
    p->model->bits_per_weight = values ? 8.0 * (double)we_weights_bytes(weights) / (double)values : 0;
    return status == WE_OK && p->model->entries.failed ? we_error_memory(p->error, "config.json") : status;
}

we_status we_checkpoint_plan(const struct we_checkpoint *checkpoint, const struct we_convert_options *options,
                             struct we_arena *arena, struct we_new_model *model, struct we_error *error)
{
    *model = (struct we_new_model){.quantise = options->quantize, .dequantise = options->dequantize};
    struct planner p = {checkpoint, options, arena, model, .quantizer = we_quantizer_best(), .error = error};
    we_status status = choose_dtype(checkpoint, options, &p.dtype, error);
    if (status == WE_OK && options->quantize)
        status = we_predicate_init(&p.predicate, options, &checkpoint->tensors, arena, error);
    model->quant = p.predicate.quant;
    if (status == WE_OK)
        status = plan_all(&p);
    we_buf_free(&p.entry);
    return status;
}
