#include "convert/convert.h"

#include "base/fs.h"
#include "base/json.h"
#include "format/safetensors.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    CHUNK = 4 << 20, /* bytes converted at once, while the chunk before is written */
    PIECE = 1 << 20, /* bytes written between two reports of progress */
    SHARE = 32 << 10 /* bytes that a worker takes at a time */
};

struct writing {
    const struct we_gguf *gguf;
    const struct we_gguf_plan *plan;
    const struct we_convert_options *options;
    struct we_safetensors_writer *writer;
    struct we_pool *pool;
    unsigned char *chunks[2]; /* (chunk_rows * row) each: one is filled while the other is written */
    size_t chunk_sizes[2];
    unsigned char *scales, *biases; /* of a whole weight, since they come after its packed values */
    size_t scales_size, biases_size;
    uint64_t done, total;
    struct we_error *error;
};

/* Rows of a weight, converted by all workers, while the first one writes the rows before. */
struct phase {
    struct writing *writing;
    const struct we_gguf_weight *weight;
    uint32_t first, count, share; /* rows; share: that are taken at a time */
    size_t row, groups;           /* bytes of a row, and of its scales */
    unsigned char *out;
    const unsigned char *finished; /* (finished_size): to be written */
    size_t finished_size;
    we_status status; /* of writing */
    atomic_uint next;
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

static bool grow(unsigned char **buffer, size_t *size, size_t need)
{
    if (need <= *size)
        return true;
    unsigned char *more = realloc(*buffer, need);
    if (more == NULL)
        return false;
    *buffer = more;
    *size = need;
    return true;
}

static we_status too_large(const struct writing *w, const struct we_gguf_weight *weight)
{
    return we_error_set(w->error, WE_UNSUPPORTED, "tensor '%.*s' has values that %s cannot hold; choose another type or none",
                        WE_STR_ARG(weight->tensor->name), we_dtype_name(weight->dtype));
}

static void run_phase(void *context, uint32_t worker)
{
    struct phase *p = context;
    const struct we_gguf_weight *weight = p->weight;
    struct writing *w = p->writing;
    if (worker == 0)
        p->status = write_bytes(w, p->finished, p->finished_size);
    for (uint32_t at; (at = atomic_fetch_add(&p->next, p->share)) < p->count;) {
        uint32_t end = p->count - at < p->share ? p->count : at + p->share;
        bool ok = true;
        for (uint32_t i = at; i < end; i++) {
            const unsigned char *source = we_gguf_source_row(weight, p->first + i);
            unsigned char *out = p->out + i * p->row;
            size_t group = (size_t)(p->first + i) * p->groups;
            ok = ok && (p->groups ? we_gguf_convert_blocks(weight, source, out, w->scales + group, w->biases + group)
                                  : we_gguf_convert_floats(weight, source, out));
        }
        if (!ok)
            atomic_store(&p->failed, true);
    }
}

static we_status write_weight(struct writing *w, const struct we_gguf_weight *weight)
{
    bool quantised = weight->quant.mode != WE_QUANT_NONE;
    size_t element = we_dtype_size(weight->dtype);
    size_t row = quantised ? we_quant_row_bytes(weight->quant, weight->in) : weight->in * element;
    size_t groups = quantised ? we_quant_row_groups(weight->quant, weight->in) * element : 0;
    size_t rows_at_once = row < CHUNK ? CHUNK / row : 1, total_groups = groups * weight->rows;
    rows_at_once = rows_at_once < weight->rows ? rows_at_once : weight->rows;
    if (!grow(&w->chunks[0], &w->chunk_sizes[0], rows_at_once * row) ||
        !grow(&w->chunks[1], &w->chunk_sizes[1], rows_at_once * row) || !grow(&w->scales, &w->scales_size, total_groups) ||
        !grow(&w->biases, &w->biases_size, total_groups))
        return we_error_memory(w->error, "the rows of a tensor");
    struct phase p = {.writing = w, .weight = weight, .row = row, .groups = groups};
    p.share = row < SHARE ? (uint32_t)(SHARE / row) : 1;
    for (uint32_t chunk = 0; p.first < weight->rows; chunk++) {
        p.out = w->chunks[chunk % 2];
        p.count = weight->rows - p.first < rows_at_once ? weight->rows - p.first : (uint32_t)rows_at_once;
        atomic_store(&p.next, 0);
        we_pool_run(w->pool, run_phase, &p);
        if (p.status != WE_OK)
            return p.status;
        if (atomic_load(&p.failed))
            return too_large(w, weight);
        p.first += p.count;
        p.finished = p.out;
        p.finished_size = p.count * row;
    }
    we_gguf_release(w->gguf, weight->tensor);
    we_status status = write_bytes(w, p.finished, p.finished_size);
    if (status == WE_OK)
        status = write_bytes(w, w->scales, total_groups);
    return status == WE_OK ? write_bytes(w, w->biases, total_groups) : status;
}

/* ---- names ---- */

/* The tensors that a weight becomes: one, or weight, scales and biases. */
static uint32_t part_count(const struct we_gguf_weight *weight)
{
    return weight->quant.mode == WE_QUANT_NONE ? 1 : 3;
}

static const char *part_name(const struct we_gguf_weight *weight, uint32_t part, char out[160])
{
    static const char *const suffixes[] = {"", "scales", "biases"};
    snprintf(out, 160, "%s.%s", weight->module, part ? suffixes[part] : weight->suffix);
    return out;
}

static void shard_name(size_t shard, size_t shards, char out[64])
{
    if (shards == 1)
        snprintf(out, 64, "model.safetensors");
    else
        snprintf(out, 64, "model-%05zu-of-%05zu.safetensors", shard + 1, shards);
}

static we_status declare(struct writing *w, const struct we_gguf_weight *weight)
{
    char name[160];
    for (uint32_t part = 0; part < part_count(weight); part++) {
        bool packed = weight->quant.mode != WE_QUANT_NONE && part == 0;
        uint64_t columns = weight->in;
        if (weight->quant.mode != WE_QUANT_NONE)
            columns =
                packed ? we_quant_row_bytes(weight->quant, weight->in) / 4 : we_quant_row_groups(weight->quant, weight->in);
        uint64_t shape[2] = {weight->rows, columns};
        we_status status = we_safetensors_writer_declare(
            w->writer, part_name(weight, part, name), packed ? WE_U32 : weight->dtype, weight->vector ? 1 : 2, shape, w->error);
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
        status = declare(w, &w->plan->weights[i]);
    if (status == WE_OK)
        status = we_safetensors_writer_begin(w->writer, metadata, w->error);
    for (size_t i = first; i < end && status == WE_OK; i++)
        status = write_weight(w, &w->plan->weights[i]);
    if (status == WE_OK)
        status = we_safetensors_writer_commit(w->writer, w->error);
    we_safetensors_writer_free(w->writer);
    w->writer = NULL;
    return status;
}

/* The weight after the last one of the shard that begins with `first`. */
static size_t shard_end(const struct we_gguf_plan *plan, size_t first, uint64_t shard_bytes)
{
    uint64_t bytes = we_gguf_weight_bytes(&plan->weights[first]);
    size_t end = first + 1;
    while (end < plan->count && bytes + we_gguf_weight_bytes(&plan->weights[end]) <= shard_bytes)
        bytes += we_gguf_weight_bytes(&plan->weights[end++]);
    return end;
}

struct index_entry {
    char name[160], file[64];
};

static int compare_entries(const void *a, const void *b)
{
    return strcmp(((const struct index_entry *)a)->name, ((const struct index_entry *)b)->name);
}

/* model.safetensors.index.json, as mlx-lm writes it. */
static we_status write_index(struct writing *w, const char *path, uint64_t shard_bytes, size_t shards)
{
    const struct we_gguf_plan *plan = w->plan;
    struct index_entry *entries = calloc(plan->count * 3, sizeof *entries);
    if (entries == NULL)
        return we_error_memory(w->error, path);
    size_t count = 0, shard = 0, end = shard_end(plan, 0, shard_bytes);
    uint64_t parameters = 0;
    for (size_t i = 0; i < plan->count; i++) {
        if (i == end) {
            shard++;
            end = shard_end(plan, i, shard_bytes);
        }
        for (uint32_t part = 0; part < part_count(&plan->weights[i]); part++, count++) {
            part_name(&plan->weights[i], part, entries[count].name);
            shard_name(shard, shards, entries[count].file);
        }
        parameters += we_gguf_weight_parameters(&plan->weights[i]);
    }
    qsort(entries, count, sizeof *entries, compare_entries);
    struct we_buf out = {0};
    we_buf_printf(&out,
                  "{\n    \"metadata\": {\n        \"total_size\": %llu,\n        \"total_parameters\": %llu\n    },\n"
                  "    \"weight_map\": {",
                  (unsigned long long)w->total, (unsigned long long)parameters);
    for (size_t i = 0; i < count; i++)
        we_buf_printf(&out, "%s\n        \"%s\": \"%s\"", i ? "," : "", entries[i].name, entries[i].file);
    we_buf_append_c(&out, "\n    }\n}\n");
    we_status status = out.failed ? we_error_memory(w->error, path) : we_file_write(path, we_buf_str(&out), w->error);
    we_buf_free(&out);
    free(entries);
    return status;
}

static we_status write_all(struct writing *w, const char *directory, uint64_t shard_bytes)
{
    struct we_arena arena = {0};
    const struct we_gguf_plan *plan = w->plan;
    size_t shards = 0;
    for (size_t i = 0; i < plan->count; i = shard_end(plan, i, shard_bytes))
        shards++;
    we_status status = WE_OK;
    size_t first = 0;
    for (size_t shard = 0; shard < shards && status == WE_OK; shard++) {
        char name[64];
        shard_name(shard, shards, name);
        char *path = we_path_join(&arena, directory, name);
        size_t end = shard_end(plan, first, shard_bytes);
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

we_status we_gguf_weights_write(const struct we_gguf *gguf, const struct we_gguf_plan *plan, const char *directory,
                                uint64_t shard_bytes, const struct we_convert_options *options, struct we_error *error)
{
    struct writing w = {.gguf = gguf, .plan = plan, .options = options, .error = error};
    for (size_t i = 0; i < plan->count; i++)
        w.total += we_gguf_weight_bytes(&plan->weights[i]);
    we_status status = we_convert_pool(&w.pool, error);
    if (status == WE_OK)
        status = write_all(&w, directory, shard_bytes);
    we_pool_free(w.pool);
    free(w.chunks[0]);
    free(w.chunks[1]);
    free(w.scales);
    free(w.biases);
    return status;
}
