#include "format/safetensors.h"

#include "base/fs.h"
#include "base/json.h"

#include <stdlib.h>

struct entry {
    char *name;
    enum we_dtype dtype;
    uint32_t num_dims;
    uint64_t shape[WE_MAX_DIMS];
    uint64_t begin, end; /* offsets in the data */
};

struct we_safetensors_writer {
    char *path;
    struct entry *entries; /* (count) */
    size_t count, capacity;
    uint64_t declared, written; /* bytes of data */
    struct we_file_writer file;
    bool begun;
};

we_status we_safetensors_writer_new(const char *path, struct we_safetensors_writer **writer, struct we_error *error)
{
    *writer = NULL;
    struct we_safetensors_writer *w = calloc(1, sizeof *w);
    if (w)
        w->path = strdup(path);
    if (w == NULL || w->path == NULL) {
        free(w);
        return we_error_memory(error, path);
    }
    w->file.fd = -1;
    *writer = w;
    return WE_OK;
}

we_status we_safetensors_writer_declare(struct we_safetensors_writer *w, const char *name, enum we_dtype dtype,
                                        uint32_t num_dims, const uint64_t *shape, struct we_error *error)
{
    if (w->begun || num_dims > WE_MAX_DIMS || we_dtype_size(dtype) == 0)
        return we_error_set(error, WE_INVALID_ARGUMENT, "%s: tensor '%s' cannot be declared: %s", w->path, name,
                            w->begun ? "the header is written already" : "more than 8 dimensions, or no type");
    uint64_t size = we_dtype_size(dtype), end;
    bool overflow = false;
    for (uint32_t i = 0; i < num_dims; i++)
        overflow = __builtin_mul_overflow(size, shape[i], &size) || overflow;
    if (overflow || __builtin_add_overflow(w->declared, size, &end))
        return we_error_set(error, WE_INVALID_ARGUMENT, "%s: tensor '%s' is larger than 64 bits can tell", w->path, name);
    if (w->count == w->capacity) {
        size_t capacity = w->capacity ? w->capacity * 2 : 64;
        struct entry *more = realloc(w->entries, capacity * sizeof *more);
        if (more == NULL)
            return we_error_memory(error, w->path);
        w->entries = more;
        w->capacity = capacity;
    }
    struct entry entry = {strdup(name), dtype, num_dims, {0}, w->declared, end};
    if (entry.name == NULL)
        return we_error_memory(error, w->path);
    for (uint32_t i = 0; i < num_dims; i++)
        entry.shape[i] = shape[i];
    w->entries[w->count++] = entry;
    w->declared = end;
    return WE_OK;
}

static void write_header(const struct we_safetensors_writer *w, const char *const *metadata, struct we_buf *out)
{
    we_buf_append_byte(out, '{');
    if (metadata) {
        we_buf_append_c(out, "\"__metadata__\":{");
        for (size_t i = 0; metadata[i] && metadata[i + 1]; i += 2) {
            we_buf_append_c(out, i ? "," : "");
            we_json_write_string(out, we_str_c(metadata[i]), false);
            we_buf_append_byte(out, ':');
            we_json_write_string(out, we_str_c(metadata[i + 1]), false);
        }
        we_buf_append_byte(out, '}');
    }
    for (size_t i = 0; i < w->count; i++) {
        const struct entry *entry = &w->entries[i];
        we_buf_append_c(out, i || metadata ? "," : "");
        we_json_write_string(out, we_str_c(entry->name), false);
        we_buf_printf(out, ":{\"dtype\":\"%s\",\"shape\":[", we_dtype_name(entry->dtype));
        for (uint32_t d = 0; d < entry->num_dims; d++)
            we_buf_printf(out, "%s%llu", d ? "," : "", (unsigned long long)entry->shape[d]);
        we_buf_printf(out, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)entry->begin, (unsigned long long)entry->end);
    }
    we_buf_append_byte(out, '}');
    while (out->length % 8 != 0 && !out->failed) /* so that the data begins at a multiple of 8 */
        we_buf_append_byte(out, ' ');
}

we_status we_safetensors_writer_begin(struct we_safetensors_writer *w, const char *const *metadata, struct we_error *error)
{
    if (w->begun)
        return we_error_set(error, WE_INVALID_ARGUMENT, "%s: the header is written already", w->path);
    struct we_buf out = {0};
    we_buf_append(&out, we_str("\0\0\0\0\0\0\0\0", 8)); /* the length, known later */
    write_header(w, metadata, &out);
    we_status status = out.failed ? we_error_memory(error, w->path) : we_file_writer_begin(&w->file, w->path, error);
    if (status == WE_OK) {
        w->begun = true;
        uint64_t length = out.length - 8;
        for (int i = 0; i < 8; i++)
            out.data[i] = (char)(length >> 8 * i);
        status = we_file_writer_write(&w->file, out.data, out.length, error);
    }
    we_buf_free(&out);
    return status;
}

we_status we_safetensors_writer_write(struct we_safetensors_writer *w, const void *data, size_t size, struct we_error *error)
{
    if (!w->begun || size > w->declared - w->written)
        return we_error_set(error, WE_INVALID_ARGUMENT, "%s: %s", w->path,
                            w->begun ? "more data than was declared" : "data before the header");
    w->written += size;
    return we_file_writer_write(&w->file, data, size, error);
}

we_status we_safetensors_writer_commit(struct we_safetensors_writer *w, struct we_error *error)
{
    if (!w->begun || w->written != w->declared)
        return we_error_set(error, WE_INVALID_ARGUMENT, "%s: %llu bytes were written, but %llu declared", w->path,
                            (unsigned long long)w->written, (unsigned long long)w->declared);
    return we_file_writer_commit(&w->file, error);
}

void we_safetensors_writer_free(struct we_safetensors_writer *w)
{
    if (w == NULL)
        return;
    we_file_writer_abort(&w->file);
    for (size_t i = 0; i < w->count; i++)
        free(w->entries[i].name);
    free(w->entries);
    free(w->path);
    free(w);
}
