/* The format: 8 bytes (little-endian) with the length of the header, the header (JSON: name -> dtype, shape, data_offsets),
 * then the data, to which the offsets are relative. */
#include "format/safetensors.h"

#include "base/fs.h"
#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_HEADER = 100 * 1000 * 1000, MAX_INDEX = 256 << 20 };

struct we_safetensors {
    struct we_arena arena;     /* paths, and names that the header has escaped */
    struct we_tensor *tensors; /* (count), sorted by name once all files are read */
    size_t count, capacity;
    struct we_file_map *maps; /* (num_maps) */
    size_t num_maps;
    uint64_t bytes;
};

/* ---- one file ---- */

struct header {
    struct we_safetensors *set;
    struct we_json_reader reader;
    const char *file;
    struct we_str json;
    const unsigned char *data; /* what follows the header */
    uint64_t data_size;
    struct we_error *error;
};

static uint64_t read_u64_le(const unsigned char *p)
{
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--)
        value = value << 8 | p[i];
    return value;
}

static we_status damaged(struct header *h, struct we_str name, const char *what)
{
    return we_error_set(h->error, WE_INVALID_FORMAT, "%s: tensor '%.*s': %s", h->file, WE_STR_ARG(name), what);
}

static bool points_into(struct we_str text, struct we_str whole)
{
    return (uintptr_t)text.data >= (uintptr_t)whole.data && (uintptr_t)text.data < (uintptr_t)whole.data + whole.length;
}

static we_status read_shape(struct header *h, struct we_tensor *tensor)
{
    struct we_json_reader *r = &h->reader;
    tensor->num_dims = 0;
    if (!we_json_enter_array(r))
        return r->status;
    while (we_json_next_element(r)) {
        if (tensor->num_dims == WE_MAX_DIMS)
            return we_error_set(h->error, WE_UNSUPPORTED, "%s: tensor '%.*s' has more than %d dimensions", h->file,
                                WE_STR_ARG(tensor->name), WE_MAX_DIMS);
        if (!we_json_read_u64(r, &tensor->shape[tensor->num_dims++]))
            return r->status;
    }
    return r->status;
}

static we_status read_offsets(struct header *h, uint64_t offsets[2])
{
    struct we_json_reader *r = &h->reader;
    int n = 0;
    if (!we_json_enter_array(r))
        return r->status;
    while (we_json_next_element(r)) {
        uint64_t value;
        if (!we_json_read_u64(r, &value))
            return r->status;
        if (n < 2)
            offsets[n] = value;
        n++;
    }
    if (r->status == WE_OK && n != 2)
        we_json_fail(r, "data_offsets has %d numbers, where 2 were expected", n);
    return r->status;
}

static we_status check_tensor(struct header *h, struct we_tensor *tensor, const uint64_t offsets[2])
{
    uint64_t need = we_dtype_size(tensor->dtype), found = offsets[1] - offsets[0];
    bool overflow = false, empty = false;
    for (uint32_t i = 0; i < tensor->num_dims; i++) {
        empty = empty || tensor->shape[i] == 0;
        overflow = __builtin_mul_overflow(need, tensor->shape[i], &need) || overflow;
    }
    if (empty)
        need = 0;
    else if (overflow)
        return damaged(h, tensor->name, "the product of its shape overflows 64 bits");
    if (offsets[0] > offsets[1])
        return damaged(h, tensor->name, "it ends before it begins; the file is damaged");
    if (offsets[1] > h->data_size)
        return we_error_set(
            h->error, WE_INVALID_FORMAT,
            "%s: tensor '%.*s' ends at byte %llu of the data, but the file has only %llu bytes of data: it is cut "
            "short or damaged; fetch it again",
            h->file, WE_STR_ARG(tensor->name), (unsigned long long)offsets[1], (unsigned long long)h->data_size);
    if (need != found) {
        char shape[128];
        return we_error_set(h->error, WE_INVALID_FORMAT,
                            "%s: tensor '%.*s' of type %s and shape %s needs %llu bytes, but its offsets span %llu", h->file,
                            WE_STR_ARG(tensor->name), we_dtype_name(tensor->dtype), we_tensor_shape_text(tensor, shape),
                            (unsigned long long)need, (unsigned long long)found);
    }
    tensor->data = h->data + offsets[0];
    tensor->size = found;
    return WE_OK;
}

static we_status add_tensor(struct header *h, const struct we_tensor *tensor)
{
    struct we_safetensors *set = h->set;
    if (set->count == set->capacity) {
        size_t capacity = set->capacity ? set->capacity * 2 : 256;
        struct we_tensor *more = realloc(set->tensors, capacity * sizeof *more);
        if (more == NULL)
            return we_error_memory(h->error, h->file);
        set->tensors = more;
        set->capacity = capacity;
    }
    set->tensors[set->count++] = *tensor;
    set->bytes += tensor->size;
    return WE_OK;
}

static we_status read_tensor(struct header *h, struct we_str name)
{
    struct we_json_reader *r = &h->reader;
    struct we_tensor tensor = {.name = name, .file = h->file};
    if (!points_into(name, h->json)) {
        tensor.name.data = we_arena_copy(&h->set->arena, name);
        if (tensor.name.data == NULL)
            return we_error_memory(h->error, h->file);
    }
    uint64_t offsets[2] = {0, 0};
    unsigned seen = 0;
    struct we_str key, text;
    if (!we_json_enter_object(r))
        return r->status;
    while (we_json_next_key(r, &key)) {
        we_status status = WE_OK;
        if (we_str_equal_c(key, "dtype")) {
            if (!we_json_read_string(r, &text))
                return r->status;
            tensor.dtype = we_dtype_from_name(text);
            if (tensor.dtype == WE_DTYPE_NONE)
                return we_error_set(h->error, WE_UNSUPPORTED, "%s: tensor '%.*s' has the type '%.*s', which is not known",
                                    h->file, WE_STR_ARG(tensor.name), WE_STR_ARG(text));
            seen |= 1;
        } else if (we_str_equal_c(key, "shape")) {
            status = read_shape(h, &tensor);
            seen |= 2;
        } else if (we_str_equal_c(key, "data_offsets")) {
            status = read_offsets(h, offsets);
            seen |= 4;
        } else if (!we_json_skip(r)) {
            return r->status;
        }
        if (status != WE_OK)
            return status;
    }
    if (r->status != WE_OK)
        return r->status;
    if (seen != 7)
        return damaged(h, tensor.name,
                       seen & 1 ? (seen & 2 ? "its data_offsets are missing" : "its shape is missing")
                                : "its dtype is missing");
    we_status status = check_tensor(h, &tensor, offsets);
    return status == WE_OK ? add_tensor(h, &tensor) : status;
}

static int compare_data(const void *a, const void *b)
{
    const struct we_tensor *x = a, *y = b;
    if (x->data != y->data)
        return (uintptr_t)x->data < (uintptr_t)y->data ? -1 : 1;
    return x->size < y->size ? -1 : x->size > y->size;
}

/* Bytes between tensors are allowed, bytes that two of them share are not. */
static we_status check_overlap(struct header *h, size_t first)
{
    struct we_tensor *tensors = h->set->tensors;
    size_t count = h->set->count, last = first;
    bool sorted = true;
    for (size_t i = first + 1; i < count && sorted; i++)
        sorted = compare_data(&tensors[i - 1], &tensors[i]) <= 0;
    if (!sorted)
        qsort(tensors + first, count - first, sizeof *tensors, compare_data);
    for (size_t i = first + 1; i < count; i++) {
        if (tensors[i].size && tensors[last].size &&
            (uintptr_t)tensors[i].data - (uintptr_t)tensors[last].data < tensors[last].size)
            return we_error_set(h->error, WE_INVALID_FORMAT, "%s: the data of the tensors '%.*s' and '%.*s' overlap", h->file,
                                WE_STR_ARG(tensors[last].name), WE_STR_ARG(tensors[i].name));
        if (tensors[i].size)
            last = i;
    }
    return WE_OK;
}

static we_status read_entries(struct header *h)
{
    struct we_json_reader *r = &h->reader;
    struct we_str key;
    size_t first = h->set->count;
    if (!we_json_enter_object(r))
        return r->status;
    while (we_json_next_key(r, &key)) {
        if (we_str_equal_c(key, "__metadata__")) {
            if (!we_json_skip(r))
                return r->status;
            continue;
        }
        we_status status = read_tensor(h, key);
        if (status != WE_OK)
            return status;
    }
    we_status status = we_json_finish(r);
    return status == WE_OK ? check_overlap(h, first) : status;
}

/* Adds the tensors of one file to the set. `file` lives as long as the set. */
static we_status read_file(struct we_safetensors *set, const void *bytes, size_t size, const char *file, struct we_error *error)
{
    const unsigned char *p = bytes;
    if (size < 8)
        return we_error_set(error, WE_INVALID_FORMAT, "%s: %zu bytes are too few for a safetensors file; fetch it again", file,
                            size);
    if (size > 8 && memcmp(p, "version ", 8) == 0)
        return we_error_set(
            error, WE_INVALID_FORMAT,
            "%s: this is a Git LFS pointer and not the weights themselves; run 'git lfs pull' where it came from", file);
    uint64_t length = read_u64_le(p);
    if (length > MAX_HEADER)
        return we_error_set(
            error, WE_INVALID_FORMAT,
            "%s: the header claims %llu bytes, more than the %d that are allowed: no safetensors file, or damaged", file,
            (unsigned long long)length, MAX_HEADER);
    if (length > size - 8)
        return we_error_set(error, WE_INVALID_FORMAT,
                            "%s: the header claims %llu bytes, but the file has %zu in all: it is cut short; fetch it again",
                            file, (unsigned long long)length, size);
    struct header h = {
        .set = set,
        .file = file,
        .json = we_str((const char *)p + 8, (size_t)length),
        .data = p + 8 + length,
        .data_size = size - 8 - length,
        .error = error,
    };
    we_json_reader_init(&h.reader, h.json, file, error);
    we_status status = read_entries(&h);
    we_json_reader_free(&h.reader);
    return status;
}

/* ---- the set ---- */

static int compare_name(const void *a, const void *b)
{
    return we_str_compare(((const struct we_tensor *)a)->name, ((const struct we_tensor *)b)->name);
}

static we_status sort_names(struct we_safetensors *set, struct we_error *error)
{
    struct we_tensor *t = set->tensors;
    if (set->count > 1)
        qsort(t, set->count, sizeof *t, compare_name);
    for (size_t i = 1; i < set->count; i++)
        if (we_str_equal(t[i - 1].name, t[i].name)) {
            if (t[i - 1].file == t[i].file)
                return we_error_set(error, WE_INVALID_FORMAT, "%s: the tensor '%.*s' occurs twice", t[i].file,
                                    WE_STR_ARG(t[i].name));
            return we_error_set(error, WE_INVALID_FORMAT, "the tensor '%.*s' occurs in both %s and %s", WE_STR_ARG(t[i].name),
                                t[i - 1].file, t[i].file);
        }
    return WE_OK;
}

static we_status new_set(size_t num_files, struct we_safetensors **set, struct we_error *error)
{
    struct we_safetensors *s = calloc(1, sizeof *s);
    if (s)
        s->maps = calloc(num_files ? num_files : 1, sizeof *s->maps);
    if (s == NULL || s->maps == NULL) {
        free(s);
        return we_error_memory(error, "the list of tensors");
    }
    *set = s;
    return WE_OK;
}

static we_status map_file(struct we_safetensors *set, const char *path, struct we_error *error)
{
    const char *file = we_arena_copy(&set->arena, we_str_c(path));
    if (file == NULL)
        return we_error_memory(error, path);
    struct we_file_map *map = &set->maps[set->num_maps];
    we_status status = we_file_map(file, map, error);
    if (status != WE_OK)
        return status;
    set->num_maps++;
    return read_file(set, map->data, map->size, file, error);
}

/* ---- a directory ---- */

struct index_entry {
    struct we_str tensor, file;
};

struct index {
    const char *path;
    struct index_entry *entries; /* (count); texts are in the arena or in `text` */
    size_t count, capacity;
    struct we_buf text;
    struct we_arena arena;
};

static we_status keep_text(struct index *index, struct we_str text, struct we_str *kept, struct we_error *error)
{
    *kept = text;
    if (!points_into(text, we_buf_str(&index->text)))
        kept->data = we_arena_copy(&index->arena, text);
    return kept->data ? WE_OK : we_error_memory(error, index->path);
}

static we_status add_entry(struct index *index, struct we_json_reader *r, struct we_str tensor, struct we_error *error)
{
    if (index->count == index->capacity) {
        size_t capacity = index->capacity ? index->capacity * 2 : 512;
        struct index_entry *more = realloc(index->entries, capacity * sizeof *more);
        if (more == NULL)
            return we_error_memory(error, index->path);
        index->entries = more;
        index->capacity = capacity;
    }
    struct index_entry *entry = &index->entries[index->count];
    we_status status = keep_text(index, tensor, &entry->tensor, error);
    struct we_str file;
    if (status == WE_OK && !we_json_read_string(r, &file))
        return r->status;
    if (status == WE_OK && (file.length == 0 || file.length > 255 || memchr(file.data, '/', file.length) ||
                            memchr(file.data, '\0', file.length) || we_str_equal_c(file, "..")))
        return we_error_set(error, WE_INVALID_FORMAT, "%s: '%.*s' is no name of a file beside it", index->path,
                            WE_STR_ARG(file));
    if (status == WE_OK)
        status = keep_text(index, file, &entry->file, error);
    index->count += status == WE_OK;
    return status;
}

static we_status read_weight_map(struct index *index, struct we_json_reader *r, struct we_error *error)
{
    struct we_str key;
    bool found = false;
    if (!we_json_enter_object(r))
        return r->status;
    while (we_json_next_key(r, &key)) {
        if (!we_str_equal_c(key, "weight_map")) {
            if (!we_json_skip(r))
                return r->status;
            continue;
        }
        found = true;
        if (!we_json_enter_object(r))
            return r->status;
        while (we_json_next_key(r, &key)) {
            we_status status = add_entry(index, r, key, error);
            if (status != WE_OK)
                return status;
        }
    }
    if (we_json_finish(r) != WE_OK)
        return r->status;
    if (!found || index->count == 0)
        return we_error_set(error, WE_INVALID_FORMAT, "%s: it has no \"weight_map\" that names the files of the tensors",
                            index->path);
    return WE_OK;
}

static we_status read_index(struct index *index, struct we_error *error)
{
    we_status status = we_file_read(index->path, MAX_INDEX, &index->text, error);
    if (status != WE_OK)
        return status;
    struct we_json_reader reader;
    we_json_reader_init(&reader, we_buf_str(&index->text), index->path, error);
    status = read_weight_map(index, &reader, error);
    we_json_reader_free(&reader);
    return status;
}

static int compare_files(const void *a, const void *b)
{
    return we_str_compare(*(const struct we_str *)a, *(const struct we_str *)b);
}

/* The distinct files of the index, sorted. */
static we_status index_files(struct index *index, char ***names, size_t *count, struct we_error *error)
{
    struct we_str *files = malloc(index->count * sizeof *files);
    *names = files ? we_arena_array(&index->arena, index->count, sizeof **names) : NULL;
    *count = 0;
    we_status status = *names ? WE_OK : we_error_memory(error, index->path);
    for (size_t i = 0; i < index->count && status == WE_OK; i++)
        files[i] = index->entries[i].file;
    if (status == WE_OK)
        qsort(files, index->count, sizeof *files, compare_files);
    for (size_t i = 0; i < index->count && status == WE_OK; i++) {
        if (i && we_str_equal(files[i], files[i - 1]))
            continue;
        (*names)[*count] = we_arena_copy(&index->arena, files[i]);
        if ((*names)[(*count)++] == NULL)
            status = we_error_memory(error, index->path);
    }
    free(files);
    return status;
}

static we_status check_index(const struct we_safetensors *set, const struct index *index, struct we_error *error)
{
    for (size_t i = 0; i < index->count; i++) {
        const struct index_entry *entry = &index->entries[i];
        const struct we_tensor *tensor = we_safetensors_find(set, entry->tensor);
        if (tensor == NULL || !we_str_equal_c(entry->file, we_path_base(tensor->file)))
            return we_error_set(error, WE_INVALID_FORMAT,
                                "%s says that %.*s holds the tensor '%.*s', but it does not: the files belong to different "
                                "versions, or one is damaged",
                                index->path, WE_STR_ARG(entry->file), WE_STR_ARG(entry->tensor));
    }
    return WE_OK;
}

static bool is_weights(const char *name, bool any)
{
    struct we_str s = we_str_c(name);
    if (!we_str_ends_with(s, we_str_c(".safetensors")) || name[0] == '.')
        return false;
    return any ? !we_str_starts_with(s, we_str_c("adapter")) : we_str_starts_with(s, we_str_c("model"));
}

/* Without an index: model*.safetensors, else all that are no adapters. */
static we_status plain_files(const char *directory, struct we_arena *arena, char ***names, size_t *count,
                             struct we_error *error)
{
    char **all;
    size_t n;
    we_status status = we_list_directory(directory, arena, &all, &n, error);
    if (status != WE_OK)
        return status;
    *names = all;
    *count = 0;
    for (int any = 0; any < 2 && *count == 0; any++)
        for (size_t i = 0; i < n; i++)
            if (is_weights(all[i], any)) {
                char *name = all[i];
                all[i] = all[*count]; /* the list stays whole for the second pass, in which nothing was found before */
                all[(*count)++] = name;
            }
    if (*count == 0)
        return we_error_set(error, WE_NOT_FOUND, "%s: it holds no weights (no *.safetensors file)", directory);
    return WE_OK;
}

static we_status open_files(const char *directory, struct index *index, bool indexed, struct we_safetensors **out,
                            struct we_error *error)
{
    char **names = NULL;
    size_t count = 0;
    we_status status = indexed ? read_index(index, error) : WE_OK;
    if (status == WE_OK)
        status =
            indexed ? index_files(index, &names, &count, error) : plain_files(directory, &index->arena, &names, &count, error);
    struct we_safetensors *set = NULL;
    if (status == WE_OK)
        status = new_set(count, &set, error);
    for (size_t i = 0; i < count && status == WE_OK; i++) {
        char *path = we_path_join(&index->arena, directory, names[i]);
        status = path ? map_file(set, path, error) : we_error_memory(error, directory);
        if (status == WE_NOT_FOUND && indexed)
            status = we_error_set(error, WE_INVALID_FORMAT,
                                  "%s names the file %s, which is missing: the download is incomplete", index->path, names[i]);
    }
    if (status == WE_OK)
        status = sort_names(set, error);
    if (status == WE_OK && indexed)
        status = check_index(set, index, error);
    if (status == WE_OK)
        *out = set;
    else
        we_safetensors_close(set);
    return status;
}

we_status we_safetensors_open(const char *directory, struct we_safetensors **set, struct we_error *error)
{
    *set = NULL;
    struct index index = {0};
    index.path = we_path_join(&index.arena, directory, "model.safetensors.index.json");
    we_status status = index.path ? WE_OK : we_error_memory(error, directory);
    if (status == WE_OK)
        status = open_files(directory, &index, we_path_exists(index.path), set, error);
    free(index.entries);
    we_buf_free(&index.text);
    we_arena_free(&index.arena);
    return status;
}

we_status we_safetensors_open_file(const char *path, struct we_safetensors **set, struct we_error *error)
{
    *set = NULL;
    struct we_safetensors *s;
    we_status status = new_set(1, &s, error);
    if (status != WE_OK)
        return status;
    status = map_file(s, path, error);
    if (status == WE_OK)
        status = sort_names(s, error);
    if (status == WE_OK)
        *set = s;
    else
        we_safetensors_close(s);
    return status;
}

we_status we_safetensors_check(const void *data, size_t size, struct we_error *error)
{
    struct we_safetensors *set;
    we_status status = new_set(0, &set, error);
    if (status != WE_OK)
        return status;
    status = read_file(set, data, size, "safetensors", error);
    if (status == WE_OK)
        status = sort_names(set, error);
    we_safetensors_close(set);
    return status;
}

void we_safetensors_close(struct we_safetensors *set)
{
    if (set == NULL)
        return;
    for (size_t i = 0; i < set->num_maps; i++)
        we_file_unmap(&set->maps[i]);
    free(set->maps);
    free(set->tensors);
    we_arena_free(&set->arena);
    free(set);
}

size_t we_safetensors_count(const struct we_safetensors *set)
{
    return set->count;
}

const struct we_tensor *we_safetensors_at(const struct we_safetensors *set, size_t index)
{
    return index < set->count ? &set->tensors[index] : NULL;
}

const struct we_tensor *we_safetensors_find(const struct we_safetensors *set, struct we_str name)
{
    size_t low = 0, high = set->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = we_str_compare(set->tensors[middle].name, name);
        if (order == 0)
            return &set->tensors[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

uint64_t we_safetensors_bytes(const struct we_safetensors *set)
{
    return set->bytes;
}
