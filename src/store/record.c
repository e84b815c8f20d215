#include "store/record.h"

#include "base/fs.h"
#include "base/json.h"

#include <sys/stat.h>

enum { LARGEST_RECORD = 64 << 20 };

static char *text_of(const struct we_json *object, const char *key, struct we_arena *arena)
{
    const struct we_json *value = we_json_get(object, key);
    bool ok = value && value->kind == WE_JSON_STRING && memchr(value->string.data, '\0', value->string.length) == NULL;
    return ok ? we_arena_copy(arena, value->string) : NULL;
}

/* The paths of "replaced"; those that are unsafe are left out. */
static we_status read_replaced(const struct we_json *list, struct we_arena *arena, struct we_record *record,
                               struct we_error *error)
{
    size_t count = list && list->kind == WE_JSON_ARRAY ? list->count : 0;
    record->replaced = we_arena_array(arena, count + 1, sizeof *record->replaced);
    if (record->replaced == NULL)
        return we_error_memory(error, "a record");
    for (size_t i = 0; i < count; i++) {
        if (list->items[i].kind != WE_JSON_STRING || !we_hub_is_safe_path(list->items[i].string))
            continue;
        const char *path = we_arena_copy(arena, list->items[i].string);
        if (path == NULL)
            return we_error_memory(error, "a record");
        record->replaced[record->num_replaced++] = path;
    }
    return WE_OK;
}

static bool read_file(const struct we_json *entry, struct we_arena *arena, struct we_hub_file *file)
{
    const char *path = text_of(entry, "path", arena), *hash = text_of(entry, "hash", arena);
    const struct we_json *size = we_json_get(entry, "size");
    if (path == NULL || hash == NULL || size == NULL || !size->is_integer || size->integer < 0 ||
        !we_hub_is_safe_path(we_str_c(path)) || !we_is_hash(hash, strlen(hash)))
        return false;
    *file = (struct we_hub_file){path, {.size = (uint64_t)size->integer}};
    memcpy(file->identity.hex, hash, strlen(hash) + 1);
    return true;
}

we_status we_record_read(const char *folder, struct we_arena *arena, struct we_record *record, struct we_error *error)
{
    *record = (struct we_record){.revision = ""};
    struct we_buf text = {0};
    struct we_error ignored;
    struct we_json *tree = NULL;
    char *path = we_path_join(arena, folder, WE_RECORD_NAME);
    we_status status = path ? we_file_read(path, LARGEST_RECORD, &text, &ignored) : WE_OUT_OF_MEMORY;
    if (status == WE_OK)
        status = we_json_parse(we_buf_str(&text), path, arena, &tree, &ignored);
    we_buf_free(&text);
    if (status != WE_OK)
        return status == WE_OUT_OF_MEMORY ? we_error_memory(error, folder) : WE_OK;
    const char *name = text_of(tree, "name", arena), *commit = text_of(tree, "commit", arena);
    const char *revision = text_of(tree, "revision", arena);
    const struct we_json *files = we_json_get(tree, "files"), *complete = we_json_get(tree, "complete");
    if (name == NULL || commit == NULL || strlen(commit) != WE_GIT_HEX || !we_is_hash(commit, WE_GIT_HEX) || files == NULL ||
        files->kind != WE_JSON_ARRAY)
        return WE_OK;
    record->files = we_arena_array(arena, files->count + 1, sizeof *record->files);
    if (record->files == NULL)
        return we_error_memory(error, folder);
    for (size_t i = 0; i < files->count; i++)
        if (read_file(&files->items[i], arena, &record->files[record->count]))
            record->count++;
    record->name = name;
    record->revision = revision ? revision : "";
    memcpy(record->commit, commit, sizeof record->commit);
    record->complete = complete && complete->kind == WE_JSON_BOOL && complete->boolean && record->count == files->count;
    return read_replaced(we_json_get(tree, "replaced"), arena, record, error);
}

we_status we_record_write(const char *folder, const struct we_record *record, struct we_error *error)
{
    struct we_arena arena = {0};
    struct we_buf out = {0};
    we_buf_append_c(&out, "{\n  \"name\": ");
    we_json_write_string(&out, we_str_c(record->name), false);
    we_buf_append_c(&out, ",\n  \"revision\": ");
    we_json_write_string(&out, we_str_c(record->revision), false);
    we_buf_printf(&out, ",\n  \"commit\": \"%s\",\n  \"complete\": %s,\n  \"files\": [", record->commit,
                  record->complete ? "true" : "false");
    for (size_t i = 0; i < record->count; i++) {
        we_buf_printf(&out, "%s\n    {\"path\": ", i ? "," : "");
        we_json_write_string(&out, we_str_c(record->files[i].path), false);
        we_buf_printf(&out, ", \"size\": %llu, \"hash\": \"%s\"}", (unsigned long long)record->files[i].identity.size,
                      record->files[i].identity.hex);
    }
    we_buf_append_c(&out, "\n  ],\n  \"replaced\": [");
    for (size_t i = 0; i < record->num_replaced; i++) {
        we_buf_append_c(&out, i ? ", " : "");
        we_json_write_string(&out, we_str_c(record->replaced[i]), false);
    }
    we_buf_append_c(&out, "]\n}\n");
    char *path = we_path_join(&arena, folder, WE_RECORD_NAME);
    we_status status =
        path == NULL || out.failed ? we_error_memory(error, folder) : we_file_write(path, we_buf_str(&out), error);
    we_buf_free(&out);
    we_arena_free(&arena);
    return status;
}

const struct we_hub_file *we_record_find(const struct we_record *record, const char *path)
{
    for (size_t i = 0; i < record->count; i++)
        if (strcmp(record->files[i].path, path) == 0)
            return &record->files[i];
    return NULL;
}

bool we_record_owns(const struct we_record *record, const char *path)
{
    bool owns = we_record_find(record, path) != NULL;
    for (size_t i = 0; !owns && i < record->num_replaced; i++)
        owns = strcmp(record->replaced[i], path) == 0;
    return owns;
}

bool we_is_unfinished(const char *folder)
{
    struct we_arena arena = {0};
    struct we_record record;
    char *path = we_path_join(&arena, folder, WE_RECORD_NAME);
    bool unfinished = path && we_path_exists(path);
    if (unfinished)
        unfinished = we_record_read(folder, &arena, &record, NULL) != WE_OK || !record.complete;
    we_arena_free(&arena);
    return unfinished;
}

bool we_record_holds(const struct we_record *record, const char *folder)
{
    struct we_arena arena = {0};
    bool holds = record->name && record->complete;
    for (size_t i = 0; holds && i < record->count; i++) {
        struct stat st;
        char *path = we_path_join(&arena, folder, record->files[i].path);
        holds = path && stat(path, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == record->files[i].identity.size;
    }
    we_arena_free(&arena);
    return holds;
}
