#include "base/fs.h"
#include "base/json.h"
#include "store/places.h"
#include "store/record.h"

#include <whisperengine_tools.h>

#include <stdlib.h>
#include <sys/stat.h>

enum { MOST_DEPTH = 4, LARGEST_INDEX = 256 << 20 };

/* Sizes and times of the files in a folder and the folders in it. */
static we_status measure(const char *folder, int depth, struct we_arena *arena, struct we_store_entry *entry, bool *has_weights,
                         struct we_error *error)
{
    char **names;
    size_t count;
    we_status status = we_list_directory(folder, arena, &names, &count, error);
    if (status != WE_OK)
        return status == WE_OUT_OF_MEMORY ? status : WE_OK; /* it may have gone meanwhile */
    for (size_t i = 0; status == WE_OK && i < count; i++) {
        char *path = we_path_join(arena, folder, names[i]);
        struct stat st, link;
        if (path == NULL)
            return we_error_memory(error, "a path");
        if (stat(path, &st) != 0 || lstat(path, &link) != 0)
            continue;
        if (S_ISDIR(st.st_mode) && !S_ISLNK(link.st_mode) && depth < MOST_DEPTH)
            status = measure(path, depth + 1, arena, entry, has_weights, error);
        if (!S_ISREG(st.st_mode))
            continue;
        entry->bytes += (uint64_t)st.st_size;
        if (depth == 0 && st.st_size > 0 && we_str_ends_with(we_str_c(names[i]), we_str_c(".safetensors"))) {
            *has_weights = true;
            if (st.st_atime > entry->last_used)
                entry->last_used = (int64_t)st.st_atime;
        }
    }
    return status;
}

/* Is the file that the index names there? It may only name files beside itself. */
static bool shard_is_there(const char *folder, struct we_str name, struct we_arena *arena)
{
    if (name.length == 0 || name.length > 255 || memchr(name.data, '/', name.length) || memchr(name.data, '\0', name.length))
        return false;
    char *file = we_arena_copy(arena, name);
    char *path = file ? we_path_join(arena, folder, file) : NULL;
    return path && we_path_size(path) > 0;
}

/* Walks over "weight_map"; a shard is looked up once in a run of tensors that share it. */
static bool shards_are_there(const char *folder, struct we_str index, const char *name, struct we_arena *arena)
{
    struct we_json_reader reader;
    struct we_error ignored;
    struct we_buf last = {0};
    struct we_str key, shard;
    bool complete = true, found = false;
    we_json_reader_init(&reader, index, name, &ignored);
    if (we_json_enter_object(&reader))
        while (complete && we_json_next_key(&reader, &key)) {
            if (found || !we_str_equal_c(key, "weight_map")) {
                we_json_skip(&reader);
                continue;
            }
            found = true;
            if (!we_json_enter_object(&reader))
                break;
            while (complete && we_json_next_key(&reader, &key) && we_json_read_string(&reader, &shard)) {
                if (last.length && we_str_equal(shard, we_buf_str(&last)))
                    continue;
                complete = shard_is_there(folder, shard, arena);
                we_buf_clear(&last);
                we_buf_append(&last, shard);
            }
        }
    complete = complete && found && reader.status == WE_OK && !last.failed;
    we_buf_free(&last);
    we_json_reader_free(&reader);
    return complete;
}

static we_status is_complete(const char *folder, bool has_weights, struct we_arena *arena, bool *complete,
                             struct we_error *error)
{
    *complete = false;
    if (!has_weights || !we_is_model_directory(folder) || we_is_unfinished(folder))
        return WE_OK;
    char *path = we_path_join(arena, folder, "model.safetensors.index.json");
    if (path == NULL)
        return we_error_memory(error, "a path");
    *complete = !we_path_exists(path);
    if (*complete)
        return WE_OK;
    struct we_buf index = {0};
    struct we_error problem;
    we_status status = we_file_read(path, LARGEST_INDEX, &index, &problem);
    if (status == WE_OK)
        *complete = shards_are_there(folder, we_buf_str(&index), path, arena);
    we_buf_free(&index);
    return status == WE_OUT_OF_MEMORY ? we_error_memory(error, path) : WE_OK;
}

we_status we_model_is_complete(const char *path, struct we_arena *arena, bool *complete, struct we_error *error)
{
    struct we_store_entry entry = {0};
    bool has_weights = false;
    *complete = false;
    we_status status = measure(path, 0, arena, &entry, &has_weights, error);
    return status == WE_OK ? is_complete(path, has_weights, arena, complete, error) : status;
}

we_status we_store_list(const char *models_dir, we_store_fn *visit, void *context, struct we_error *error)
{
    struct we_arena arena = {0};
    struct we_places places;
    struct we_place *list = NULL;
    size_t count = 0;
    we_status status = we_places_init(&places, models_dir, &arena, error);
    if (status == WE_OK)
        status = we_places_list(&places, &arena, &list, &count, error);
    for (size_t i = 0; status == WE_OK && i < count; i++) {
        struct we_arena scratch = {0};
        struct we_store_entry entry = {.name = list[i].name, .path = list[i].path, .in_hub_cache = list[i].in_hub_cache};
        bool has_weights = false;
        status = measure(entry.path, 0, &scratch, &entry, &has_weights, error);
        if (status == WE_OK)
            status = is_complete(entry.path, has_weights, &scratch, &entry.complete, error);
        we_arena_free(&scratch);
        if (status == WE_OK && !visit(context, &entry))
            break;
    }
    we_arena_free(&arena);
    return status;
}
