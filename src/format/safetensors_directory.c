/* The weights of a model directory: one file, or the shards that an index names. */
#include "format/safetensors_set.h"

#include "base/json.h"

#include <stdlib.h>

enum { MAX_INDEX = 256 << 20 };

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
    if (!we_str_is_part(text, we_buf_str(&index->text)))
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
        return we_error_set(error, WE_NOT_FOUND,
                            "%s: it holds no weights (no *.safetensors file); the download may be incomplete", directory);
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
        status = we_safetensors_set_new(count, &set, error);
    for (size_t i = 0; i < count && status == WE_OK; i++) {
        char *path = we_path_join(&index->arena, directory, names[i]);
        status = path ? we_safetensors_set_add(set, path, error) : we_error_memory(error, directory);
        if (status == WE_NOT_FOUND && indexed)
            status = we_error_set(error, WE_INVALID_FORMAT,
                                  "%s names the file %s, which is missing: the download is incomplete", index->path, names[i]);
    }
    if (status == WE_OK)
        status = we_safetensors_set_finish(set, error);
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
