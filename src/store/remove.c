#include "base/buf.h"
#include "base/fs.h"
#include "store/lock.h"
#include "store/places.h"
#include "store/record.h"

#include <whisperengine_tools.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_DEPTH = 8 };

/* Removes a folder and what is in it; a link goes, what it leads to stays. */
static we_status remove_tree(const char *path, int depth, uint64_t *freed, struct we_error *error)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return errno == ENOENT ? WE_OK : we_error_errno(error, WE_IO_ERROR, errno, "%s", path);
    if (!S_ISDIR(st.st_mode)) {
        if (unlink(path) != 0)
            return we_error_errno(error, WE_IO_ERROR, errno, "%s cannot be removed", path);
        *freed += S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
        return WE_OK;
    }
    if (depth == MOST_DEPTH)
        return we_error_set(error, WE_IO_ERROR, "%s: more folders within folders than a model has; it was not removed", path);
    struct we_arena arena = {0};
    char **names;
    size_t count = 0;
    we_status status = we_list_directory(path, &arena, &names, &count, error);
    for (size_t i = 0; status == WE_OK && i < count; i++) {
        char *inner = we_path_join(&arena, path, names[i]);
        status = inner ? remove_tree(inner, depth + 1, freed, error) : we_error_memory(error, path);
    }
    we_arena_free(&arena);
    if (status == WE_OK && rmdir(path) != 0)
        status = we_error_errno(error, WE_IO_ERROR, errno, "%s cannot be removed", path);
    return status;
}

/* Weights or configuration of its own, or a download's record: no folder of other models. */
static bool looks_like_model(const char *path)
{
    struct we_arena arena = {0};
    char **names;
    size_t count = 0;
    bool found = we_is_model_directory(path);
    (void)we_list_directory(path, &arena, &names, &count, NULL);
    for (size_t i = 0; !found && i < count; i++)
        found = we_str_ends_with(we_str_c(names[i]), we_str_c(".safetensors")) || strcmp(names[i], WE_RECORD_NAME) == 0;
    we_arena_free(&arena);
    return found;
}

/* It leaves its name first, in one step: half a model is never seen. */
static we_status remove_locked(const char *own, const char *doomed, uint64_t *freed, struct we_error *error)
{
    struct stat st;
    bool is_link = lstat(own, &st) == 0 && S_ISLNK(st.st_mode);
    we_status status = remove_tree(doomed, 0, freed, error); /* of an earlier time that was interrupted */
    if (status == WE_OK && is_link)
        return unlink(own) == 0 ? WE_OK : we_error_errno(error, WE_IO_ERROR, errno, "%s cannot be removed", own);
    if (status == WE_OK && rename(own, doomed) != 0)
        status = we_error_errno(error, WE_IO_ERROR, errno, "%s cannot be removed", own);
    return status == WE_OK ? remove_tree(doomed, 0, freed, error) : status;
}

static we_status remove_model(const struct we_places *places, const char *name, const char *own, struct we_arena *arena,
                              uint64_t *freed, struct we_error *error)
{
    struct we_lock lock = {.fd = -1};
    struct we_buf doomed = {0};
    char *lock_path = we_model_lock_path(places->mlx, name, arena);
    size_t parent = (size_t)(we_path_base(own) - own);
    we_buf_printf(&doomed, "%.*s.%s.removed", (int)parent, own, own + parent);
    we_status status = lock_path == NULL || doomed.failed ? we_error_memory(error, name) : WE_OK;
    if (status == WE_OK)
        status = we_lock_take(&lock, lock_path, NULL, NULL, NULL, error);
    if (status == WE_OK)
        status = remove_locked(own, doomed.data, freed, error);
    we_lock_release(&lock);
    we_buf_free(&doomed);
    char *folder = strchr(name, '/') ? we_arena_copy(arena, we_str(own, parent)) : NULL;
    if (status == WE_OK && folder)
        (void)rmdir(folder); /* ORG, where this was its last model */
    return status;
}

we_status we_store_remove(const char *models_dir, const char *name, uint64_t *freed, struct we_error *error)
{
    struct we_arena arena = {0};
    struct we_places places;
    char *found = NULL;
    *freed = 0;
    if (strncmp(name, "mlx://", 6) == 0)
        name += 6;
    we_status status = we_places_init(&places, models_dir, &arena, error);
    bool is_name = name[0] && name[0] != '/' && name[0] != '.' && strstr(name, "/.") == NULL && name[strlen(name) - 1] != '/';
    const char *slash = strchr(name, '/');
    if (status == WE_OK && (!is_name || (slash && strchr(slash + 1, '/'))))
        status = we_error_set(error, WE_INVALID_ARGUMENT,
                              "%.300s: a model is removed by its name, ORG/NAME, as \"whisperengine list\" shows it; another "
                              "directory is yours to remove",
                              name);
    char *own = status == WE_OK ? we_path_join(&arena, places.mlx, name) : NULL;
    if (status == WE_OK && own == NULL)
        status = we_error_memory(error, name);
    if (status == WE_OK && looks_like_model(own)) {
        status = remove_model(&places, name, own, &arena, freed, error);
    } else if (status == WE_OK) {
        struct we_buf text = {0};
        we_buf_printf(&text, "mlx://%s", name);
        status = text.failed ? we_error_memory(error, name) : we_store_find(models_dir, text.data, &found, error);
        we_buf_free(&text);
        if (status == WE_OK)
            status = we_error_set(error, WE_UNSUPPORTED,
                                  "%s is in the Hugging Face cache, which other programs use too; it was not removed\n"
                                  "it is in %s",
                                  name, found);
    }
    free(found);
    we_arena_free(&arena);
    return status;
}
