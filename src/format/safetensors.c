/* The format: 8 bytes (little-endian) with the length of the header, the header (JSON: name -> dtype, shape, data_offsets),
 * then the data, to which the offsets are relative. */
#include "format/safetensors_set.h"

#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_HEADER = 100 * 1000 * 1000 };

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
    if (!we_str_is_part(name, h->json)) {
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
    if (length == 0 || p[8] != '{')
        return we_error_set(error, WE_INVALID_FORMAT, "%s: its header is no JSON object: no safetensors file, or damaged",
                            file);
    size_t name_size = strlen(file) + sizeof " (header)";
    char *name = we_arena_alloc(&set->arena, name_size);
    if (name == NULL)
        return we_error_memory(error, file);
    snprintf(name, name_size, "%s (header)", file);
    we_json_reader_init(&h.reader, h.json, name, error);
    we_status status = read_entries(&h);
    we_json_reader_free(&h.reader);
    return status;
}

/* ---- the set ---- */

static int compare_name(const void *a, const void *b)
{
    return we_str_compare(((const struct we_tensor *)a)->name, ((const struct we_tensor *)b)->name);
}

we_status we_safetensors_set_finish(struct we_safetensors *set, struct we_error *error)
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

we_status we_safetensors_set_new(size_t num_files, struct we_safetensors **set, struct we_error *error)
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

we_status we_safetensors_set_add(struct we_safetensors *set, const char *path, struct we_error *error)
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

we_status we_safetensors_open_file(const char *path, struct we_safetensors **set, struct we_error *error)
{
    *set = NULL;
    struct we_safetensors *s = NULL;
    we_status status = we_safetensors_set_new(1, &s, error);
    if (status != WE_OK)
        return status;
    status = we_safetensors_set_add(s, path, error);
    if (status == WE_OK)
        status = we_safetensors_set_finish(s, error);
    if (status == WE_OK)
        *set = s;
    else
        we_safetensors_close(s);
    return status;
}

we_status we_safetensors_view(const struct we_tensor *tensors, size_t count, struct we_safetensors **set,
                              struct we_error *error)
{
    *set = NULL;
    struct we_safetensors *s = NULL;
    we_status status = we_safetensors_set_new(0, &s, error);
    if (status != WE_OK)
        return status;
    s->tensors = malloc(count * sizeof *tensors + !count);
    if (s->tensors == NULL) {
        we_safetensors_close(s);
        return we_error_memory(error, "the list of tensors");
    }
    if (count)
        memcpy(s->tensors, tensors, count * sizeof *tensors);
    s->count = s->capacity = count;
    for (size_t i = 0; i < count; i++)
        s->bytes += tensors[i].size;
    status = we_safetensors_set_finish(s, error);
    if (status == WE_OK)
        *set = s;
    else
        we_safetensors_close(s);
    return status;
}

/* The set's tensor that one of `above` takes the place of. */
static we_status find_replaced(const struct we_safetensors *set, const struct we_tensor *tensor, struct we_tensor **replaced,
                               struct we_error *error)
{
    struct we_tensor *t = (struct we_tensor *)we_safetensors_find(set, tensor->name); /* the caller's own, in memory */
    *replaced = t;
    bool alike = t && t->num_dims == tensor->num_dims && we_dtype_is_float(t->dtype) == we_dtype_is_float(tensor->dtype);
    for (uint32_t i = 0; alike && i < t->num_dims; i++)
        alike = t->shape[i] == tensor->shape[i];
    if (alike)
        return WE_OK;
    char found[128], there[128];
    return we_error_set(error, WE_INVALID_FORMAT, "%s: tensor %.*s of %s %s, where the model has %s %s", tensor->file,
                        WE_STR_ARG(tensor->name), we_dtype_name(tensor->dtype), we_tensor_shape_text(tensor, found),
                        t ? we_dtype_name(t->dtype) : "none of", t ? we_tensor_shape_text(t, there) : "this name");
}

we_status we_safetensors_replace(struct we_safetensors **set, struct we_safetensors *above, struct we_error *error)
{
    struct we_safetensors *view;
    we_status status = we_safetensors_view((*set)->tensors, (*set)->count, &view, error);
    for (size_t i = 0; i < above->count && status == WE_OK; i++) {
        struct we_tensor *replaced;
        status = find_replaced(view, &above->tensors[i], &replaced, error);
        if (status != WE_OK)
            break;
        view->bytes += above->tensors[i].size - replaced->size;
        *replaced = above->tensors[i];
    }
    if (status != WE_OK) {
        we_safetensors_close(view);
        return status;
    }
    view->below = above;
    above->below = *set;
    *set = view;
    return WE_OK;
}

we_status we_safetensors_check(const void *data, size_t size, struct we_error *error)
{
    struct we_safetensors *set = NULL;
    we_status status = we_safetensors_set_new(0, &set, error);
    if (status != WE_OK)
        return status;
    status = read_file(set, data, size, "safetensors", error);
    if (status == WE_OK)
        status = we_safetensors_set_finish(set, error);
    we_safetensors_close(set);
    return status;
}

void we_safetensors_close(struct we_safetensors *set)
{
    if (set == NULL)
        return;
    for (size_t i = 0; i < set->num_maps; i++)
        we_file_unmap(&set->maps[i]);
    we_safetensors_close(set->below);
    free(set->made);
    free(set->maps);
    free(set->tensors);
    we_arena_free(&set->arena);
    free(set);
}

bool we_safetensors_is_mapped(const struct we_safetensors *set)
{
    return set->made == NULL && (set->below == NULL || we_safetensors_is_mapped(set->below));
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

void we_safetensors_release(const struct we_safetensors *set, const void *data, size_t size)
{
    for (size_t i = 0; i < set->num_maps; i++) {
        const struct we_file_map *map = &set->maps[i];
        uintptr_t start = (uintptr_t)map->data, at = (uintptr_t)data;
        if (at >= start && at - start <= map->size && size <= map->size - (at - start))
            we_file_map_release(map, data, size);
    }
}
