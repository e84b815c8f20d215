#include "convert/weights.h"

#include "base/fs.h"
#include "base/json.h"
#include "convert/convert.h"
#include "format/safetensors.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    CHUNK = 4 << 20,  /* bytes made at once, while what was made before is written */
    PIECE = 1 << 20,  /* bytes written between two reports of progress */
    SHARE = 32 << 10, /* bytes that a worker takes at a time */
    NAME = 400        /* of a tensor, at most */
};

uint64_t we_weight_row_bytes(const struct we_weight *w)
{
    return w->quant.mode == WE_QUANT_NONE ? w->in * we_dtype_size(w->dtype) : w->in / 8 * w->quant.bits;
}

uint64_t we_weight_scale_row_bytes(const struct we_weight *w)
{
    if (w->quant.mode == WE_QUANT_NONE)
        return 0;
    return w->in / w->quant.group_size * (w->quant.mode == WE_QUANT_AFFINE ? we_dtype_size(w->dtype) : 1);
}

uint64_t we_weight_bias_row_bytes(const struct we_weight *w)
{
    return w->quant.mode == WE_QUANT_AFFINE ? we_weight_scale_row_bytes(w) : 0;
}

uint64_t we_weight_bytes(const struct we_weight *w)
{
    return w->rows * (we_weight_row_bytes(w) + we_weight_scale_row_bytes(w) + we_weight_bias_row_bytes(w));
}

uint64_t we_weights_bytes(const struct we_weights *weights)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < weights->count; i++)
        bytes += we_weight_bytes(&weights->list[i]);
    return bytes;
}

struct buffer {
    unsigned char *data;
    size_t size;
};

/* What is made and not yet written: rows of a weight, and, if they are its last ones, its scales and biases. */
struct finished {
    const unsigned char *data[3];
    size_t sizes[3];
};

struct writing {
    const struct we_weights *weights;
    const struct we_convert_options *options;
    struct we_safetensors_writer *writer;
    struct we_pool *pool;
    struct buffer chunks[2];            /* one is filled while the other is written */
    struct buffer scales[2], biases[2]; /* of a whole weight, since they come after its packed values; so are these */
    uint32_t chunk, weight;             /* those to be filled next */
    struct finished finished;
    uint64_t done, total;
    struct we_error *error;
};

/* Rows of a weight, made by all workers, while the first one writes what was made before. */
struct phase {
    struct writing *writing;
    const struct we_weight *weight;
    uint64_t first, count, share; /* rows; share: that are taken at a time */
    size_t row, scale_row, bias_row;
    unsigned char *out, *scales, *biases;
    we_status status; /* of writing */
    atomic_ullong next;
    atomic_bool failed; /* a value that the type cannot hold */
};

static we_status write_bytes(struct writing *w, const void *data, size_t size)
{
    const unsigned char *p = data;
    while (size) {
        size_t piece = size < PIECE ? size : PIECE;
        we_status status = we_safetensors_writer_write(w->writer, p, piece, w->error);
        if (status != WE_OK)
            return status;
        p += piece;
        size -= piece;
        w->done += piece;
        if (w->options && w->options->on_progress && !w->options->on_progress(w->options->context, w->done, w->total))
            return we_error_set(w->error, WE_CANCELLED, "the conversion was cancelled");
    }
    return WE_OK;
}

static we_status write_finished(struct writing *w)
{
    we_status status = WE_OK;
    for (int i = 0; i < 3 && status == WE_OK; i++)
        status = write_bytes(w, w->finished.data[i], w->finished.sizes[i]);
    w->finished = (struct finished){0};
    return status;
}

static bool grow(struct buffer *buffer, size_t need)
{
    if (need <= buffer->size)
        return true;
    unsigned char *more = realloc(buffer->data, need);
    if (more == NULL)
        return false;
    *buffer = (struct buffer){more, need};
    return true;
}

static we_status too_large(const struct writing *w, const struct we_weight *weight)
{
    return we_error_set(w->error, WE_UNSUPPORTED, "tensor '%s' has values that %s cannot hold; choose another type or none",
                        weight->name, we_dtype_name(weight->dtype));
}

static void run_phase(void *context, uint32_t worker)
{
    struct phase *p = context;
    if (worker == 0)
        p->status = write_finished(p->writing);
    for (uint64_t at; (at = atomic_fetch_add(&p->next, p->share)) < p->count;) {
        uint64_t count = p->count - at < p->share ? p->count - at : p->share, row = p->first + at;
        if (!p->weight->maker->make(p->weight, row, count, p->out + at * p->row,
                                    p->scale_row ? p->scales + row * p->scale_row : NULL,
                                    p->bias_row ? p->biases + row * p->bias_row : NULL))
            atomic_store(&p->failed, true);
    }
}

/* The last rows are written while the next weight is made. */
static we_status write_weight(struct writing *w, const struct we_weight *weight)
{
    struct phase p = {.writing = w,
                      .weight = weight,
                      .row = we_weight_row_bytes(weight),
                      .scale_row = we_weight_scale_row_bytes(weight),
                      .bias_row = we_weight_bias_row_bytes(weight)};
    struct buffer *scales = &w->scales[w->weight], *biases = &w->biases[w->weight];
    w->weight ^= 1;
    uint64_t rows_at_once = p.row && p.row < CHUNK ? CHUNK / p.row : 1;
    rows_at_once = rows_at_once < weight->rows ? rows_at_once : weight->rows;
    p.share = p.row && p.row < SHARE ? SHARE / p.row : 1;
    if (!grow(scales, weight->rows * p.scale_row) || !grow(biases, weight->rows * p.bias_row))
        return we_error_memory(w->error, "the scales of a tensor");
    p.scales = scales->data;
    p.biases = biases->data;
    for (; p.first < weight->rows; p.first += p.count, w->chunk ^= 1) {
        if (!grow(&w->chunks[w->chunk], rows_at_once * p.row))
            return we_error_memory(w->error, "the rows of a tensor");
        p.out = w->chunks[w->chunk].data;
        p.count = weight->rows - p.first < rows_at_once ? weight->rows - p.first : rows_at_once;
        atomic_store(&p.next, 0);
        we_pool_run(w->pool, run_phase, &p);
        if (p.status != WE_OK)
            return p.status;
        if (atomic_load(&p.failed))
            return too_large(w, weight);
        weight->maker->release(weight, p.first, p.count);
        w->finished = (struct finished){{p.out}, {p.count * p.row}};
    }
    w->finished.data[1] = p.scales;
    w->finished.sizes[1] = weight->rows * p.scale_row;
    w->finished.data[2] = p.biases;
    w->finished.sizes[2] = weight->rows * p.bias_row;
    return WE_OK;
}

/* ---- names ---- */

/* The tensors that a weight becomes: one, or weight, scales and perhaps biases. */
static uint32_t part_count(const struct we_weight *weight)
{
    return weight->quant.mode == WE_QUANT_NONE ? 1 : weight->quant.mode == WE_QUANT_AFFINE ? 3 : 2;
}

static const char *part_name(const struct we_weight *weight, uint32_t part, char out[NAME])
{
    static const char *const suffixes[] = {"weight", "scales", "biases"};
    size_t module = strlen(weight->name) - (part ? strlen("weight") : 0);
    snprintf(out, NAME, "%.*s%s", (int)module, weight->name, part ? suffixes[part] : "");
    return out;
}

static void shard_name(size_t shard, size_t shards, char out[64])
{
    if (shards == 1)
        snprintf(out, 64, "model.safetensors");
    else
        snprintf(out, 64, "model-%05zu-of-%05zu.safetensors", shard + 1, shards);
}

static we_status declare(struct writing *w, const struct we_weight *weight)
{
    char name[NAME];
    bool quantised = weight->quant.mode != WE_QUANT_NONE;
    for (uint32_t part = 0; part < part_count(weight); part++) {
        uint64_t shape[WE_MAX_DIMS] = {0};
        memcpy(shape, weight->shape, sizeof shape);
        enum we_dtype dtype = weight->dtype;
        if (quantised && part == 0) {
            dtype = WE_U32;
            shape[weight->num_dims - 1] = we_weight_row_bytes(weight) / 4;
        } else if (quantised) {
            dtype = weight->quant.mode == WE_QUANT_AFFINE ? dtype : WE_U8;
            shape[weight->num_dims - 1] = weight->in / weight->quant.group_size;
        }
        we_status status =
            we_safetensors_writer_declare(w->writer, part_name(weight, part, name), dtype, weight->num_dims, shape, w->error);
        if (status != WE_OK)
            return status;
    }
    return WE_OK;
}

/* ---- shards ---- */

static we_status write_shard(struct writing *w, const char *path, size_t first, size_t end)
{
    static const char *const metadata[] = {"format", "mlx", NULL};
    we_status status = we_safetensors_writer_new(path, &w->writer, w->error);
    for (size_t i = first; i < end && status == WE_OK; i++)
        status = declare(w, &w->weights->list[i]);
    if (status == WE_OK)
        status = we_safetensors_writer_begin(w->writer, metadata, w->error);
    for (size_t i = first; i < end && status == WE_OK; i++)
        status = write_weight(w, &w->weights->list[i]);
    if (status == WE_OK)
        status = write_finished(w);
    if (status == WE_OK)
        status = we_safetensors_writer_commit(w->writer, w->error);
    we_safetensors_writer_free(w->writer);
    w->writer = NULL;
    return status;
}

/* The weight after the last one of the shard that begins with `first`. */
static size_t shard_end(const struct we_weights *weights, size_t first, uint64_t shard_bytes)
{
    uint64_t bytes = we_weight_bytes(&weights->list[first]);
    size_t end = first + 1;
    while (end < weights->count && bytes + we_weight_bytes(&weights->list[end]) <= shard_bytes)
        bytes += we_weight_bytes(&weights->list[end++]);
    return end;
}

struct index_entry {
    char name[NAME];
    size_t shard;
};

/* Whether the module of a tensor has others in it: mlx-lm does not count what such a module holds itself. */
static bool in_a_branch(const struct index_entry *entries, size_t count, const char *name)
{
    const char *dot = strrchr(name, '.');
    size_t length = dot ? (size_t)(dot - name) + 1 : 0, low = 0, high = count;
    while (low < high) { /* the first name that begins with "MODULE." */
        size_t middle = low + (high - low) / 2;
        if (strncmp(entries[middle].name, name, length) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < count && strncmp(entries[low].name, name, length) == 0; low++)
        if (strchr(entries[low].name + length, '.'))
            return true;
    return false;
}

static int compare_entries(const void *a, const void *b)
{
    return strcmp(((const struct index_entry *)a)->name, ((const struct index_entry *)b)->name);
}

/* model.safetensors.index.json, as mlx-lm writes it. */
static we_status write_index(struct writing *w, const char *path, uint64_t shard_bytes, size_t shards)
{
    const struct we_weights *weights = w->weights;
    struct index_entry *entries = calloc(weights->count * 3, sizeof *entries);
    if (entries == NULL)
        return we_error_memory(w->error, path);
    size_t count = 0, shard = 0, end = shard_end(weights, 0, shard_bytes);
    uint64_t parameters = 0;
    for (size_t i = 0; i < weights->count; i++) {
        if (i == end) {
            shard++;
            end = shard_end(weights, i, shard_bytes);
        }
        for (uint32_t part = 0; part < part_count(&weights->list[i]); part++, count++) {
            part_name(&weights->list[i], part, entries[count].name);
            entries[count].shard = shard;
        }
    }
    qsort(entries, count, sizeof *entries, compare_entries);
    for (size_t i = 0; i < weights->count; i++)
        parameters += in_a_branch(entries, count, weights->list[i].name) ? 0 : weights->list[i].rows * weights->list[i].in;
    struct we_buf out = {0};
    we_buf_printf(&out,
                  "{\n    \"metadata\": {\n        \"total_size\": %llu,\n        \"total_parameters\": %llu\n    },\n"
                  "    \"weight_map\": {",
                  (unsigned long long)w->total, (unsigned long long)parameters);
    for (size_t i = 0; i < count; i++) {
        char file[64];
        shard_name(entries[i].shard, shards, file);
        we_buf_append_c(&out, i ? ",\n        " : "\n        ");
        we_json_write_string(&out, we_str_c(entries[i].name), true);
        we_buf_printf(&out, ": \"%s\"", file);
    }
    we_buf_append_c(&out, "\n    }\n}\n");
    we_status status = out.failed ? we_error_memory(w->error, path) : we_file_write(path, we_buf_str(&out), w->error);
    we_buf_free(&out);
    free(entries);
    return status;
}

static we_status write_all(struct writing *w, const char *directory, uint64_t shard_bytes)
{
    struct we_arena arena = {0};
    const struct we_weights *weights = w->weights;
    size_t shards = 0;
    for (size_t i = 0; i < weights->count; i = shard_end(weights, i, shard_bytes))
        shards++;
    we_status status = WE_OK;
    size_t first = 0;
    for (size_t shard = 0; shard < shards && status == WE_OK; shard++) {
        char name[64];
        shard_name(shard, shards, name);
        char *path = we_path_join(&arena, directory, name);
        size_t end = shard_end(weights, first, shard_bytes);
        status = path ? write_shard(w, path, first, end) : we_error_memory(w->error, directory);
        first = end;
    }
    if (status == WE_OK) {
        char *path = we_path_join(&arena, directory, "model.safetensors.index.json");
        status = path ? write_index(w, path, shard_bytes, shards) : we_error_memory(w->error, directory);
    }
    we_arena_free(&arena);
    return status;
}

we_status we_weights_write(const struct we_weights *weights, const char *directory, uint64_t shard_bytes,
                           const struct we_convert_options *options, struct we_error *error)
{
    struct writing w = {.weights = weights, .options = options, .error = error, .total = we_weights_bytes(weights)};
    we_status status = we_convert_pool(&w.pool, error);
    if (status == WE_OK)
        status = write_all(&w, directory, shard_bytes);
    we_pool_free(w.pool);
    for (int i = 0; i < 2; i++) {
        free(w.chunks[i].data);
        free(w.scales[i].data);
        free(w.biases[i].data);
    }
    return status;
}
