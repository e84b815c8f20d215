#include "store/places.h"

#include "base/fs.h"
#include "store/record.h"

#include <stdlib.h>
#include <sys/stat.h>

enum { LARGEST_REF = 1 << 16 };

/* ---- the two roots ---- */

static const char *absolute_variable(const char *name)
{
    const char *value = getenv(name);
    return value && value[0] == '/' ? value : NULL;
}

static const char *home(void)
{
    const char *value = getenv("HOME");
    return value && value[0] ? value : NULL;
}

/* ./models where someone works in a folder set up for it, else the folder for data of this user. */
static const char *default_models_dir(struct we_arena *arena)
{
    const char *data = absolute_variable("XDG_DATA_HOME");
    if (we_path_exists("models") || we_path_exists(".env") || (data == NULL && home() == NULL))
        return "models";
    return data ? we_path_join(arena, data, "whisperengine/models")
                : we_path_join(arena, home(), ".local/share/whisperengine/models");
}

/* As huggingface_hub finds it; sets *none if no variable leads anywhere. */
static const char *hub_cache(struct we_arena *arena, bool *none)
{
    const char *cache = getenv("HF_HUB_CACHE"), *hf_home = getenv("HF_HOME"), *xdg = absolute_variable("XDG_CACHE_HOME");
    if (cache && cache[0])
        return we_arena_copy(arena, we_str_c(cache));
    if (hf_home && hf_home[0])
        return we_path_join(arena, hf_home, "hub");
    if (xdg)
        return we_path_join(arena, xdg, "huggingface/hub");
    *none = home() == NULL;
    return *none ? NULL : we_path_join(arena, home(), ".cache/huggingface/hub");
}

we_status we_places_init(struct we_places *places, const char *models_dir, struct we_arena *arena, struct we_error *error)
{
    bool no_hub = false;
    const char *models = models_dir && models_dir[0] ? models_dir : default_models_dir(arena);
    places->mlx = models ? we_path_join(arena, models, "mlx") : NULL;
    places->hub = hub_cache(arena, &no_hub);
    if (places->mlx == NULL || (places->hub == NULL && !no_hub))
        return we_error_memory(error, "a path");
    return WE_OK;
}

/* ---- what is there ---- */

static bool has_file(const char *folder, const char *name)
{
    char path[4096];
    size_t n = strlen(folder), m = strlen(name);
    if (n + m + 2 > sizeof path)
        return false;
    memcpy(path, folder, n);
    path[n] = '/';
    memcpy(path + n + 1, name, m + 1);
    return we_path_exists(path) && !we_path_is_directory(path);
}

bool we_is_model_directory(const char *path)
{
    return has_file(path, "config.json");
}

static bool is_commit(struct we_str name)
{
    for (size_t i = 0; i < name.length; i++) {
        char c = name.data[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_'))
            return false;
    }
    return name.length != 0;
}

/* The snapshot that refs/main names; NULL if that leads nowhere. */
static we_status main_snapshot(const char *refs, const char *snapshots, struct we_arena *arena, char **path,
                               struct we_error *error)
{
    struct we_buf text = {0};
    struct we_error ignored;
    we_status status = we_file_read(refs, LARGEST_REF, &text, &ignored);
    *path = NULL;
    if (status == WE_OK) {
        struct we_str commit = we_buf_str(&text);
        while (commit.length && strchr(" \t\r\n", commit.data[commit.length - 1]))
            commit.length--;
        if (is_commit(commit)) {
            char *name = we_arena_copy(arena, commit);
            *path = name ? we_path_join(arena, snapshots, name) : NULL;
            status = *path ? WE_OK : we_error_memory(error, refs);
        }
    }
    we_buf_free(&text);
    if (*path && !we_is_model_directory(*path))
        *path = NULL;
    return status == WE_OUT_OF_MEMORY ? we_error_memory(error, refs) : WE_OK;
}

static we_status newest_snapshot(const char *snapshots, struct we_arena *arena, char **path, struct we_error *error)
{
    char **names;
    size_t count;
    struct we_error ignored;
    *path = NULL;
    we_status status = we_list_directory(snapshots, arena, &names, &count, &ignored);
    if (status != WE_OK)
        return status == WE_OUT_OF_MEMORY ? we_error_memory(error, snapshots) : WE_OK;
    struct timespec newest = {0};
    for (size_t i = 0; i < count; i++) {
        char *candidate = we_path_join(arena, snapshots, names[i]);
        if (candidate == NULL)
            return we_error_memory(error, snapshots);
        struct stat st;
        if (stat(candidate, &st) != 0 || !we_is_model_directory(candidate))
            continue;
#if defined(__APPLE__)
        struct timespec time = st.st_mtimespec;
#else
        struct timespec time = st.st_mtim;
#endif
        bool newer = time.tv_sec > newest.tv_sec || (time.tv_sec == newest.tv_sec && time.tv_nsec > newest.tv_nsec);
        if (*path == NULL || newer) {
            newest = time;
            *path = candidate;
        }
    }
    return WE_OK;
}

we_status we_hub_snapshot(const char *hub, const char *folder, struct we_arena *arena, char **path, struct we_error *error)
{
    *path = NULL;
    char *repository = we_path_join(arena, hub, folder);
    char *snapshots = repository ? we_path_join(arena, repository, "snapshots") : NULL;
    char *refs = repository ? we_path_join(arena, repository, "refs/main") : NULL;
    if (snapshots == NULL || refs == NULL)
        return we_error_memory(error, "a path");
    we_status status = main_snapshot(refs, snapshots, arena, path, error);
    if (status == WE_OK && *path == NULL)
        status = newest_snapshot(snapshots, arena, path, error);
    return status;
}

/* ---- all models ---- */

struct listing {
    struct we_arena *arena;
    struct we_place *places;
    size_t count, capacity;
    struct we_error *error;
};

static we_status add(struct listing *l, const char *name, const char *path, bool in_hub_cache)
{
    if (l->count == l->capacity) {
        size_t capacity = l->capacity ? 2 * l->capacity : 16;
        struct we_place *more = realloc(l->places, capacity * sizeof *more);
        if (more == NULL)
            return we_error_memory(l->error, "the list of models");
        l->places = more;
        l->capacity = capacity;
    }
    l->places[l->count++] = (struct we_place){name, path, in_hub_cache};
    return WE_OK;
}

/* The names in a folder; none if it does not exist or may not be read. */
static we_status names_in(struct listing *l, const char *folder, char ***names, size_t *count)
{
    we_status status = we_list_directory(folder, l->arena, names, count, l->error);
    if (status == WE_OK || status == WE_OUT_OF_MEMORY)
        return status;
    *count = 0;
    return WE_OK;
}

static bool has_weights_or_record(const char *path, struct we_arena *arena)
{
    char **names;
    size_t count;
    struct we_error ignored;
    if (we_list_directory(path, arena, &names, &count, &ignored) != WE_OK)
        return false;
    for (size_t i = 0; i < count; i++)
        if (we_str_ends_with(we_str_c(names[i]), we_str_c(".safetensors")) || strcmp(names[i], WE_RECORD_NAME) == 0)
            return true;
    return false;
}

/* The models of one ORG. */
static we_status list_organisation(struct listing *l, const char *org, const char *folder)
{
    char **names;
    size_t count;
    we_status status = names_in(l, folder, &names, &count);
    for (size_t i = 0; status == WE_OK && i < count; i++) {
        if (names[i][0] == '.')
            continue;
        char *path = we_path_join(l->arena, folder, names[i]), *name = we_path_join(l->arena, org, names[i]);
        if (path == NULL || name == NULL)
            status = we_error_memory(l->error, "a path");
        else if (we_is_model_directory(path) || has_weights_or_record(path, l->arena))
            status = add(l, name, path, false);
    }
    return status;
}

static we_status list_mlx(struct listing *l, const char *mlx)
{
    char **names;
    size_t count;
    we_status status = names_in(l, mlx, &names, &count);
    for (size_t i = 0; status == WE_OK && i < count; i++) {
        if (names[i][0] == '.')
            continue;
        char *path = we_path_join(l->arena, mlx, names[i]);
        if (path == NULL)
            status = we_error_memory(l->error, mlx);
        else if (we_is_model_directory(path)) /* a NAME without an ORG */
            status = add(l, names[i], path, false);
        else
            status = list_organisation(l, names[i], path);
    }
    return status;
}

static we_status list_hub(struct listing *l, const char *hub)
{
    char **names;
    size_t count;
    we_status status = names_in(l, hub, &names, &count);
    for (size_t i = 0; status == WE_OK && i < count; i++) {
        struct we_str prefix = we_str_c("models--"), folder = we_str_c(names[i]);
        if (!we_str_starts_with(folder, prefix) || folder.length == prefix.length)
            continue;
        char *path, *name = we_arena_alloc(l->arena, folder.length);
        status = name ? we_hub_snapshot(hub, names[i], l->arena, &path, l->error) : we_error_memory(l->error, hub);
        if (status != WE_OK || path == NULL)
            continue;
        struct we_str rest = we_str(folder.data + prefix.length, folder.length - prefix.length);
        size_t dashes = we_str_find(rest, we_str_c("--"), 0);
        memcpy(name, rest.data, rest.length);
        if (dashes != SIZE_MAX) {
            name[dashes] = '/';
            memmove(name + dashes + 1, name + dashes + 2, rest.length - dashes - 2);
        }
        name[rest.length - (dashes != SIZE_MAX)] = '\0';
        status = add(l, name, path, true);
    }
    return status;
}

static int compare_places(const void *a, const void *b)
{
    const struct we_place *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : (int)x->in_hub_cache - (int)y->in_hub_cache;
}

we_status we_places_list(const struct we_places *places, struct we_arena *arena, struct we_place **list, size_t *count,
                         struct we_error *error)
{
    *list = NULL;
    *count = 0;
    struct listing l = {.arena = arena, .error = error};
    we_status status = list_mlx(&l, places->mlx);
    if (status == WE_OK && places->hub)
        status = list_hub(&l, places->hub);
    if (status == WE_OK && l.count) {
        qsort(l.places, l.count, sizeof *l.places, compare_places);
        *list = we_arena_array(arena, l.count, sizeof **list);
        if (*list)
            memcpy(*list, l.places, l.count * sizeof **list);
        else
            status = we_error_memory(error, "the list of models");
        *count = status == WE_OK ? l.count : 0;
    }
    free(l.places);
    return status;
}
