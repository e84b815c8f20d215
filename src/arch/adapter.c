#include "arch/adapter.h"

#include "base/fs.h"
#include "format/model_config.h"
#include "format/safetensors.h"

#include <math.h>
#include <stdlib.h>

enum { MOST_RANK = 1 << 16 };

/* The tensors of one module of the adapter, and what becomes of them. */
struct module {
    struct we_str name;
    const struct we_tensor *a, *b, *m;
    struct we_lora *lora;   /* NULL: no layer of the model has used it yet */
    uint32_t experts, rows; /* experts 0: none; rows of one */
    uint32_t used_rows;     /* of the views that use it, the last one's end */
};

struct adapter {
    const char *where; /* of its config */
    struct we_arena *arena;
    struct we_decoder *decoder;
    struct we_error *error;
    struct we_safetensors *weights;
    struct module *modules; /* (count), sorted by name */
    size_t count;
    float scale;
    bool dora, full;
    uint32_t rank, first_layer; /* from which on layers may be adapted */
    const struct we_json *keys; /* the modules of a layer, or of the model, that may be adapted; NULL: all */
};

/* ---- reading ---- */

static we_status read_type(struct adapter *x, const char *directory, struct we_config *config)
{
    struct we_str type = we_str_c("lora");
    if (!we_path_is_directory(directory))
        return we_error_set(x->error, WE_NOT_FOUND,
                            "%s: there is no such directory; an adapter has adapter_config.json and adapters.safetensors",
                            directory);
    we_status status = we_config_open_file(directory, "adapter_config.json", x->arena, config, x->error);
    if (status == WE_OK) {
        x->where = config->where;
        status = we_config_string(config, "fine_tune_type", &type, x->error);
    }
    if (status != WE_OK)
        return status;
    x->dora = we_str_equal_c(type, "dora");
    x->full = we_str_equal_c(type, "full");
    if (!x->dora && !x->full && !we_str_equal_c(type, "lora"))
        return we_error_set(x->error, WE_UNSUPPORTED, "%s: fine_tune_type '%.*s' is not supported; lora, dora and full are",
                            x->where, WE_STR_ARG(type));
    return WE_OK;
}

static we_status open_weights(struct adapter *x, const char *directory)
{
    char *path = we_path_join(x->arena, directory, "adapters.safetensors");
    return path ? we_safetensors_open_file(path, &x->weights, x->error) : we_error_memory(x->error, "an adapter");
}

we_status we_adapter_replace(const char *directory, struct we_arena *arena, struct we_safetensors **weights,
                             struct we_error *error)
{
    struct adapter x = {.arena = arena, .error = error};
    struct we_config config;
    we_status status = read_type(&x, directory, &config);
    if (status != WE_OK || !x.full)
        return status;
    status = open_weights(&x, directory);
    if (status == WE_OK)
        status = we_safetensors_replace(weights, x.weights, error);
    if (status != WE_OK)
        we_safetensors_close(x.weights);
    return status;
}

static we_status read_config(struct adapter *x, const char *directory)
{
    struct we_config config, parameters = {0};
    we_status status = read_type(x, directory, &config);
    if (status != WE_OK || x->full)
        return status;
    const struct we_json *layers = we_json_get(config.json, "num_layers");
    if (layers == NULL || !layers->is_integer)
        return we_error_set(x->error, WE_INVALID_FORMAT, "%s: \"num_layers\" is no whole number", x->where);
    /* As mlx-lm counts: the last ones; none or less means all. */
    if (layers->integer > 0 && (uint64_t)layers->integer < x->decoder->num_layers)
        x->first_layer = x->decoder->num_layers - (uint32_t)layers->integer;
    status = we_config_object(&config, "lora_parameters", x->arena, &parameters, x->error);
    if (status == WE_OK && parameters.json == NULL)
        status = we_error_set(x->error, WE_INVALID_FORMAT, "%s: there is no \"lora_parameters\"", x->where);
    if (status == WE_OK)
        status = we_config_require_float(&parameters, "scale", &x->scale, x->error);
    if (status == WE_OK)
        status = we_config_require_u32(&parameters, "rank", &x->rank, x->error);
    if (status != WE_OK)
        return status;
    if (x->rank == 0 || x->rank > MOST_RANK)
        return we_error_set(x->error, WE_INVALID_FORMAT, "%s: \"rank\" is %u", x->where, x->rank);
    const struct we_json *keys = we_json_get(parameters.json, "keys");
    x->keys = keys && keys->kind == WE_JSON_ARRAY ? keys : NULL;
    return WE_OK;
}

/* The part behind "layers.N." of a module's name, and N; the whole name and UINT32_MAX if it is in no layer. */
static struct we_str within_layer(struct we_str name, uint32_t *layer)
{
    size_t at = we_str_find(name, we_str_c("layers."), 0), i = at + 7;
    *layer = UINT32_MAX;
    if (at == SIZE_MAX)
        return name;
    uint32_t number = 0;
    for (; i < name.length && name.data[i] >= '0' && name.data[i] <= '9' && number < 1000000; i++)
        number = number * 10 + (uint32_t)(name.data[i] - '0');
    if (i == at + 7 || i == name.length || name.data[i] != '.')
        return name;
    *layer = number;
    return we_str(name.data + i + 1, name.length - i - 1);
}

static bool is_listed(const struct we_json *keys, struct we_str name)
{
    for (size_t i = 0; i < keys->count; i++)
        if (keys->items[i].kind == WE_JSON_STRING && we_str_equal(keys->items[i].string, name))
            return true;
    return false;
}

static we_status refuse(const struct adapter *x, we_status status, const struct we_tensor *tensor, const char *what)
{
    return we_error_set(x->error, status, "%s: tensor %.*s: %s", tensor->file, WE_STR_ARG(tensor->name), what);
}

static we_status add_tensor(struct adapter *x, const struct we_tensor *tensor)
{
    size_t dot = tensor->name.length;
    while (dot > 0 && tensor->name.data[dot - 1] != '.')
        dot--;
    struct we_str suffix = we_str(tensor->name.data + dot, tensor->name.length - dot);
    bool is_a = we_str_equal_c(suffix, "lora_a"), is_b = we_str_equal_c(suffix, "lora_b");
    if (dot < 2 || (!is_a && !is_b && !(x->dora && we_str_equal_c(suffix, "m"))))
        return refuse(x, WE_INVALID_FORMAT, tensor, "not one that such an adapter has");
    if (!we_dtype_is_float(tensor->dtype))
        return refuse(x, WE_UNSUPPORTED, tensor, "its type is none of F32, F16 and BF16");
    struct we_str name = we_str(tensor->name.data, dot - 1);
    uint32_t layer;
    struct we_str key = within_layer(name, &layer);
    bool named = x->keys && is_listed(x->keys, name);
    if (!named && (layer == UINT32_MAX || layer < x->first_layer || (x->keys && !is_listed(x->keys, key))))
        return refuse(x, WE_INVALID_FORMAT, tensor, "adapter_config.json does not name its layer");
    struct module *module = x->count && we_str_equal(x->modules[x->count - 1].name, name) ? &x->modules[x->count - 1] : NULL;
    if (module == NULL) {
        module = &x->modules[x->count++];
        module->name = name;
    }
    *(is_a ? &module->a : is_b ? &module->b : &module->m) = tensor;
    return WE_OK;
}

static we_status read_weights(struct adapter *x, const char *directory)
{
    we_status status = open_weights(x, directory);
    if (status != WE_OK)
        return status;
    size_t count = we_safetensors_count(x->weights);
    x->modules = calloc(count + 1, sizeof *x->modules);
    if (x->modules == NULL)
        return we_error_memory(x->error, "an adapter");
    for (size_t i = 0; i < count && status == WE_OK; i++)
        status = add_tensor(x, we_safetensors_at(x->weights, i));
    for (size_t i = 0; i < x->count && status == WE_OK; i++)
        if (x->modules[i].a == NULL || x->modules[i].b == NULL)
            status = we_error_set(x->error, WE_INVALID_FORMAT, "%s: %.*s lacks lora_a or lora_b",
                                  we_safetensors_at(x->weights, 0)->file, WE_STR_ARG(x->modules[i].name));
    return status;
}

/* ---- a module ---- */

static we_status wrong_shape(const struct adapter *x, const struct we_tensor *tensor, const struct we_linear *linear)
{
    char shape[128];
    return we_error_set(x->error, WE_INVALID_FORMAT,
                        "%s: tensor %.*s has the shape %s, which is not that of rank %u for %s with %u inputs; the adapter may "
                        "be for another model",
                        tensor->file, WE_STR_ARG(tensor->name), we_tensor_shape_text(tensor, shape), x->rank, linear->name,
                        linear->in);
}

/* A is (in, rank), B (rank, rows); of experts (experts, rank, in) and (experts, rows, rank). */
static we_status check_shapes(const struct adapter *x, struct module *m, const struct we_linear *linear)
{
    const uint32_t experts = linear->count, dims = experts ? 3 : 2;
    const uint64_t *a = m->a->shape, *b = m->b->shape;
    if (m->a->num_dims != dims ||
        (experts ? a[0] != experts || a[1] != x->rank || a[2] != linear->in : a[0] != linear->in || a[1] != x->rank))
        return wrong_shape(x, m->a, linear);
    if (m->b->num_dims != dims || (experts ? b[0] != experts || b[2] != x->rank : b[0] != x->rank))
        return wrong_shape(x, m->b, linear);
    const uint64_t rows = b[1];
    if (rows == 0 || rows > UINT32_MAX / (experts ? experts : 1))
        return wrong_shape(x, m->b, linear);
    if (m->m && (m->m->num_dims != 1 || m->m->shape[0] != rows))
        return wrong_shape(x, m->m, linear);
    if (x->dora && experts)
        return refuse(x, WE_UNSUPPORTED, m->a, "there is no DoRA of experts");
    m->experts = experts;
    m->rows = (uint32_t)rows;
    return WE_OK;
}

/* Of an embedding A is (rows, rank) and B (rank, in): a row of it is what B adds to that row of the weights. */
static we_status check_embedding(const struct adapter *x, struct module *m, const struct we_linear *linear)
{
    const uint64_t *a = m->a->shape, *b = m->b->shape;
    if (m->a->num_dims != 2 || a[0] != linear->rows || a[1] != x->rank)
        return wrong_shape(x, m->a, linear);
    if (m->b->num_dims != 2 || b[0] != x->rank || b[1] != linear->in)
        return wrong_shape(x, m->b, linear);
    if (m->m && (m->m->num_dims != 1 || m->m->shape[0] != linear->rows))
        return wrong_shape(x, m->m, linear);
    if (x->dora && linear->mode != WE_QUANT_NONE)
        return refuse(x, WE_UNSUPPORTED, m->a, "there is no DoRA of a quantised embedding");
    m->rows = linear->rows;
    return WE_OK;
}

static we_status copy_embedding(struct adapter *x, struct module *m, const struct we_linear *linear)
{
    struct we_lora *lora = we_arena_alloc(x->arena, sizeof *lora);
    float *a = we_arena_array(x->arena, x->rank, (size_t)linear->in * sizeof *a);
    float *b = we_arena_array(x->arena, linear->rows, (size_t)x->rank * sizeof *b);
    if (lora == NULL || a == NULL || b == NULL)
        return we_error_memory(x->error, "an adapter");
    for (size_t i = 0; i < (size_t)x->rank * linear->in; i++)
        a[i] = we_load_float(m->b->data, m->b->dtype, i);
    for (size_t i = 0; i < (size_t)linear->rows * x->rank; i++)
        b[i] = x->scale * we_load_float(m->a->data, m->a->dtype, i);
    lora->rank = x->rank;
    lora->a = (struct we_linear){
        .data = a, .dtype = WE_F32, .rows = x->rank, .in = linear->in, .next = x->rank, .name = linear->name};
    lora->b = b;
    m->lora = lora;
    return WE_OK;
}

/* Both with the rank as their last but one, or last, axis: (rank, in) and (rows, rank), for one expert after the other. */
static we_status copy_factors(struct adapter *x, struct module *m, const struct we_linear *linear)
{
    const uint32_t experts = m->experts ? m->experts : 1, rank = x->rank, in = linear->in, rows = m->rows;
    struct we_lora *lora = we_arena_alloc(x->arena, sizeof *lora);
    float *a = we_arena_array(x->arena, (size_t)experts * rank, (size_t)in * sizeof *a);
    float *b = we_arena_array(x->arena, (size_t)experts * rows, rank * sizeof *b);
    if (lora == NULL || a == NULL || b == NULL)
        return we_error_memory(x->error, "an adapter");
    for (size_t i = 0; i < (size_t)experts * rank * in; i++)
        a[i] = we_load_float(m->a->data, m->a->dtype, m->experts ? i : i % in * rank + i / in);
    for (size_t i = 0; i < (size_t)experts * rows * rank; i++)
        b[i] = x->scale * we_load_float(m->b->data, m->b->dtype, m->experts ? i : i % rank * rows + i / rank);
    lora->rank = rank;
    lora->a = (struct we_linear){
        .data = a, .dtype = WE_F32, .rows = rank, .in = in, .count = m->experts, .next = rank, .name = linear->name};
    lora->b = b;
    m->lora = lora;
    return WE_OK;
}

static void read_row(const struct we_linear *linear, size_t row, float *out)
{
    const char *data = linear->data, *scales = linear->scales, *biases = linear->biases;
    if (linear->mode == WE_QUANT_NONE) {
        we_floats_to_f32(data + row * linear->in * we_dtype_size(linear->dtype), linear->dtype, linear->in, out);
        return;
    }
    const struct we_quant quant = {linear->mode, linear->bits, linear->group_size};
    const size_t groups = row * we_quant_row_groups(quant, linear->in) * we_dtype_size(linear->dtype);
    we_dequantize_row(quant, data + row * we_quant_row_bytes(quant, linear->in), scales + groups,
                      biases ? biases + groups : NULL, linear->dtype, linear->in, out);
}

/* The row with what the adapter adds. */
static void adapted_row(const struct we_linear *linear, const struct we_lora *lora, size_t row, float *out)
{
    const float *a = lora->a.data, *b = lora->b + row * lora->rank;
    read_row(linear, row, out);
    if (linear->count)
        a += row / linear->next * lora->rank * linear->in;
    for (uint32_t r = 0; r < lora->rank; r++)
        for (uint32_t i = 0; i < linear->in; i++)
            out[i] += b[r] * a[(size_t)r * linear->in + i];
}

/* DoRA: the trained magnitude of each row over that of the adapted row. Without one, the row keeps its own. */
static we_status scale_rows(struct adapter *x, const struct module *m, const struct we_linear *linear)
{
    float *scales = we_arena_array(x->arena, m->rows, sizeof *scales), *row = malloc(linear->in * sizeof *row);
    if (scales == NULL || row == NULL) {
        free(row);
        return we_error_memory(x->error, "an adapter");
    }
    for (uint32_t i = 0; i < m->rows; i++) {
        double sum = 0, own = 0;
        if (m->m == NULL) {
            read_row(linear, i, row);
            for (uint32_t k = 0; k < linear->in; k++)
                own += (double)row[k] * (double)row[k];
        }
        adapted_row(linear, m->lora, i, row);
        for (uint32_t k = 0; k < linear->in; k++)
            sum += (double)row[k] * (double)row[k];
        const float magnitude = m->m ? we_load_float(m->m->data, m->m->dtype, i) : (float)sqrt(own);
        scales[i] = magnitude / (float)sqrt(sum);
    }
    m->lora->row_scales = scales;
    free(row);
    return WE_OK;
}

/* ---- the model ---- */

static int compare_name(const void *key, const void *module)
{
    return we_str_compare(*(const struct we_str *)key, ((const struct module *)module)->name);
}

/* Weights in float32, with what the adapter adds: for layers that are small and read in other ways than most. */
static we_status fuse(struct adapter *x, struct we_linear *linear)
{
    const struct we_lora *lora = linear->lora;
    float *data = we_arena_array(x->arena, linear->rows, (size_t)linear->in * sizeof *data);
    if (data == NULL)
        return we_error_memory(x->error, "an adapter");
    for (uint32_t i = 0; i < linear->rows; i++) {
        const size_t from = we_linear_tensor_row(linear, i);
        float *row = data + (size_t)i * linear->in;
        adapted_row(linear, lora, from, row);
        for (uint32_t k = 0; lora->row_scales && k < linear->in; k++)
            row[k] *= lora->row_scales[from];
    }
    *linear = (struct we_linear){
        .data = data, .dtype = WE_F32, .rows = linear->rows, .in = linear->in, .bias = linear->bias, .name = linear->name};
    return WE_OK;
}

static we_status visit(struct adapter *x, const struct we_linear *constant, bool fuses)
{
    struct we_linear *linear = (struct we_linear *)constant; /* what lies in the model's arena is not constant yet */
    if (linear->data == NULL || linear->name == NULL)
        return WE_OK;
    const struct we_str name = we_str_c(linear->name);
    struct module *m = x->count ? bsearch(&name, x->modules, x->count, sizeof *x->modules, compare_name) : NULL;
    if (m == NULL)
        return WE_OK;
    we_status status = check_shapes(x, m, linear);
    if (status == WE_OK && m->lora == NULL) {
        status = copy_factors(x, m, linear);
        if (status == WE_OK && x->dora)
            status = scale_rows(x, m, linear);
    }
    if (status != WE_OK)
        return status;
    const size_t end = we_linear_tensor_row(linear, linear->rows - 1) + 1;
    if (end > m->rows)
        return wrong_shape(x, m->b, linear);
    m->used_rows = end > m->used_rows ? (uint32_t)end : m->used_rows;
    linear->lora = m->lora;
    return fuses ? fuse(x, linear) : WE_OK;
}

/* The embedding, and with it a head that shares its weights. */
static we_status visit_embedding(struct adapter *x)
{
    struct we_decoder *d = x->decoder;
    const struct we_str name = we_str_c(d->embed_tokens.name);
    struct module *m = x->count ? bsearch(&name, x->modules, x->count, sizeof *x->modules, compare_name) : NULL;
    if (m == NULL)
        return WE_OK;
    we_status status = check_embedding(x, m, &d->embed_tokens);
    if (status == WE_OK)
        status = copy_embedding(x, m, &d->embed_tokens);
    if (status == WE_OK && x->dora)
        status = scale_rows(x, m, &d->embed_tokens);
    if (status != WE_OK)
        return status;
    m->used_rows = m->rows;
    d->embed_tokens.lora = m->lora;
    if (d->lm_head.data == d->embed_tokens.data)
        d->lm_head.lora = m->lora;
    return WE_OK;
}

static we_status visit_feed_forward(struct adapter *x, const struct we_feed_forward *f)
{
    we_status status = visit(x, &f->gate_proj, false);
    if (status == WE_OK)
        status = visit(x, &f->up_proj, false);
    return status == WE_OK ? visit(x, &f->down_proj, false) : status;
}

static we_status visit_block(struct adapter *x, const struct we_block *block)
{
    const struct we_linear *linears[8] = {NULL};
    we_status status = WE_OK;
    if (block->kind == WE_BLOCK_ATTENTION) {
        const struct we_attention *a = block->op.attention;
        memcpy(linears, (const struct we_linear *[]){&a->q_proj, &a->k_proj, &a->v_proj, &a->gate_proj, &a->o_proj},
               5 * sizeof *linears);
    } else if (block->kind == WE_BLOCK_SHORT_CONV) {
        linears[0] = &block->op.short_conv->in_proj;
        linears[1] = &block->op.short_conv->out_proj;
    } else if (block->kind == WE_BLOCK_GATED_DELTA) {
        const struct we_gated_delta *d = block->op.gated_delta;
        memcpy(
            linears,
            (const struct we_linear *[]){&d->q_proj, &d->k_proj, &d->v_proj, &d->z_proj, &d->b_proj, &d->a_proj, &d->out_proj},
            7 * sizeof *linears);
    } else if (block->kind == WE_BLOCK_MAMBA2) {
        linears[0] = &block->op.mamba2->in_proj;
        linears[1] = &block->op.mamba2->out_proj;
    } else if (block->kind == WE_BLOCK_LATENT_ATTENTION) { /* embed_q and unembed_out are no linear layers for mlx-lm */
        const struct we_latent_attention *a = block->op.latent_attention;
        memcpy(linears, (const struct we_linear *[]){&a->q_a_proj, &a->q_proj, &a->latent_proj, &a->rope_proj, &a->o_proj},
               5 * sizeof *linears);
    } else if (block->kind == WE_BLOCK_LAYER_INPUT) {
        linears[0] = &block->op.layer_input->gate_proj;
        linears[1] = &block->op.layer_input->out_proj;
    } else if (block->kind == WE_BLOCK_FEED_FORWARD) {
        status = visit_feed_forward(x, block->op.feed_forward);
    } else if (block->kind == WE_BLOCK_MOE) {
        const struct we_moe *moe = block->op.moe;
        linears[0] = &moe->latent_in;
        linears[1] = &moe->latent_out;
        status = visit_feed_forward(x, &moe->experts);
        if (status == WE_OK)
            status = visit_feed_forward(x, &moe->shared);
        if (status == WE_OK)
            status = visit(x, &moe->router, true);
        if (status == WE_OK)
            status = visit(x, &moe->shared_gate, true);
    }
    for (int i = 0; i < 8 && linears[i] && status == WE_OK; i++)
        status = visit(x, linears[i], false);
    return status;
}

static we_status visit_all(struct adapter *x)
{
    struct we_decoder *d = x->decoder;
    we_status status = visit_embedding(x);
    for (uint32_t l = 0; l < d->num_layers && status == WE_OK; l++)
        for (uint32_t s = 0; s < d->layers[l].num_steps && status == WE_OK; s++)
            for (uint32_t b = 0; b < d->layers[l].steps[s].num_blocks && status == WE_OK; b++)
                status = visit_block(x, &d->layers[l].steps[s].blocks[b]);
    if (status == WE_OK)
        status = visit(x, &d->layer_inputs.proj, false);
    if (status == WE_OK && d->lm_head.data != d->embed_tokens.data)
        status = visit(x, &d->lm_head, false);
    for (size_t i = 0; i < x->count && status == WE_OK; i++) {
        const struct module *m = &x->modules[i];
        if (m->lora == NULL)
            status = refuse(x, WE_UNSUPPORTED, m->a,
                            "the model has no linear layer of this name to which an adapter can be applied");
        else if (m->used_rows != m->rows)
            status =
                we_error_set(x->error, WE_INVALID_FORMAT,
                             "%s: tensor %.*s is for %u outputs, where the model has %u; the adapter may be for another model",
                             m->b->file, WE_STR_ARG(m->b->name), m->rows, m->used_rows);
    }
    return status;
}

we_status we_adapter_apply(const char *directory, struct we_arena *arena, struct we_decoder *decoder, uint64_t *bytes,
                           struct we_error *error)
{
    struct adapter x = {.arena = arena, .decoder = decoder, .error = error};
    const size_t used = arena->used;
    we_status status = read_config(&x, directory);
    if (status == WE_OK && !x.full)
        status = read_weights(&x, directory);
    if (status == WE_OK)
        status = visit_all(&x);
    if (status == WE_OK) /* prefixes of prompts are not shared with the model without it */
        decoder->fingerprint = we_str_hash(we_str_c(directory), decoder->fingerprint);
    free(x.modules);
    we_safetensors_close(x.weights);
    *bytes = arena->used - used;
    return status;
}
