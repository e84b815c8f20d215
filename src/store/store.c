#include "base/buf.h"
#include "base/fs.h"
#include "store/places.h"
#include "store/record.h"

#include <whisperengine_tools.h>

#include <stdlib.h>

/* ---- suggestions ---- */

/* Drops a last part that stands twice: "x-4bit-4bit" becomes "x-4bit". False if there is none. */
static bool undouble(char *name)
{
    size_t n = strlen(name), half = 0;
    while (half < n && name[n - 1 - half] != '-' && name[n - 1 - half] != '/')
        half++;
    if (half == n || half == 0 || name[n - 1 - half] != '-')
        return false;
    half++; /* with its dash */
    if (n < 2 * half || memcmp(name + n - half, name + n - 2 * half, half) != 0)
        return false;
    name[n - half] = '\0';
    return true;
}

struct suggestion {
    const char *name;
    size_t distance;
};

enum { MOST_SUGGESTIONS = 3 };

/* Edits between the names; where only one of them has an ORG, between the NAMEs. */
static size_t distance(const char *wanted, const char *name)
{
    size_t whole = we_str_distance(we_str_c(wanted), we_str_c(name));
    const char *a = we_path_base(wanted), *b = we_path_base(name);
    size_t base = we_str_distance(we_str_c(a), we_str_c(b));
    if (a == wanted || b == name)
        return base < whole ? base : whole;
    return base == 0 && whole > 1 ? 1 : whole; /* the right NAME under another ORG is near */
}

/* The nearest names, the best first. */
static size_t find_nearest(const char *wanted, const struct we_place *list, size_t count,
                           struct suggestion nearest[MOST_SUGGESTIONS])
{
    size_t n = 0, limit = strlen(we_path_base(wanted)) / 3 + 2;
    for (size_t i = 0; i < count; i++) {
        if (i && strcmp(list[i].name, list[i - 1].name) == 0)
            continue; /* in both places */
        struct suggestion s = {list[i].name, distance(wanted, list[i].name)};
        if (s.distance > limit)
            continue;
        size_t at = n < MOST_SUGGESTIONS ? n++ : n;
        while (at > 0 && nearest[at - 1].distance > s.distance) {
            if (at < MOST_SUGGESTIONS)
                nearest[at] = nearest[at - 1];
            at--;
        }
        if (at < MOST_SUGGESTIONS)
            nearest[at] = s;
    }
    return n;
}

/* "localhost:1234/v1": an address that lacks its scheme. */
static bool is_host_and_port(const char *name)
{
    size_t host = strcspn(name, ":/"), digits = name[host] == ':' ? strspn(name + host + 1, "0123456789") : 0;
    char behind = digits ? name[host + 1 + digits] : 'x';
    return host && digits && (behind == '/' || behind == '\0');
}

static we_status not_found(const struct we_places *places, const char *name, struct we_arena *arena, struct we_error *error)
{
    struct we_place *list;
    size_t count;
    if (is_host_and_port(name))
        return we_error_set(
            error, WE_NOT_FOUND,
            "no model \"%.200s\" is here; if it is the address of an endpoint, it has to begin with http:// or https://", name);
    char *single = we_arena_copy(arena, we_str_c(name));
    we_status status = single ? we_places_list(places, arena, &list, &count, error) : we_error_memory(error, name);
    if (status != WE_OK)
        return status;
    bool doubled = false;
    while (undouble(single))
        doubled = true;
    struct suggestion nearest[MOST_SUGGESTIONS];
    size_t n = find_nearest(single, list, count, nearest);
    struct we_buf text = {0};
    we_buf_printf(&text, "no model \"%.200s\" in %.200s", name, places->mlx);
    if (places->hub)
        we_buf_printf(&text, " or in the Hugging Face cache %.200s", places->hub);
    if (doubled)
        we_buf_printf(&text, "\nthe end of this name stands twice; use \"%.200s\"%s", single,
                      n && nearest[0].distance == 0 ? ", which is here" : "");
    else if (n)
        we_buf_append_c(&text, "\ndid you mean");
    for (size_t i = 0; i < n && !doubled; i++)
        we_buf_printf(&text, "%s \"%.100s\"", i == 0 ? "" : i + 1 < n ? "," : " or", nearest[i].name);
    if (n && !doubled)
        we_buf_append_c(&text, "?");
    we_buf_append_c(&text, count ? "\n\"whisperengine list\" shows the models that are here" : "\nthere is no model here yet");
    const char *slash = strchr(single, '/');
    if (slash && strchr(slash + 1, '/') == NULL && strlen(single) < 200)
        we_buf_printf(&text, "; \"whisperengine pull %s\" fetches it from the Hugging Face Hub", single);
    else
        we_buf_append_c(&text,
                        "; \"whisperengine pull ORG/NAME\" fetches one, \"whisperengine convert SOURCE DEST\" makes one");
    status = text.failed ? we_error_memory(error, name) : we_error_set(error, WE_NOT_FOUND, "%s", text.data);
    we_buf_free(&text);
    return status;
}

/* ---- finding ---- */

/* ORG/NAME or NAME: parts that are no "." or "..", of visible characters. */
static bool is_model_name(struct we_str name)
{
    size_t parts = 0;
    for (size_t at = 0; at <= name.length; parts++) {
        size_t slash = we_str_find(name, we_str_c("/"), at);
        struct we_str part = we_str(name.data + at, (slash == SIZE_MAX ? name.length : slash) - at);
        if (part.length == 0 || part.length > 200 || we_str_equal_c(part, ".") || we_str_equal_c(part, ".."))
            return false;
        for (size_t i = 0; i < part.length; i++)
            if ((unsigned char)part.data[i] < 0x20 || part.data[i] == 0x7F || part.data[i] == '\\')
                return false;
        at += part.length + 1;
    }
    return parts <= 2;
}

static we_status return_path(const char *path, char **result, struct we_error *error)
{
    *result = strdup(path);
    return *result ? WE_OK : we_error_memory(error, "a path");
}

/* Whether something in the folder is a folder: it may hold models, which nobody should remove. */
static bool holds_folders(const char *path)
{
    struct we_arena arena = {0};
    char **names;
    size_t count = 0;
    bool found = false;
    (void)we_list_directory(path, &arena, &names, &count, NULL);
    for (size_t i = 0; i < count && !found; i++) {
        char *inner = we_path_join(&arena, path, names[i]);
        found = inner && we_path_is_directory(inner);
    }
    we_arena_free(&arena);
    return found;
}

static we_status not_a_model(const char *path, struct we_error *error)
{
    if (we_path_is_directory(path) && holds_folders(path))
        return we_error_set(
            error, WE_INVALID_FORMAT,
            "%s is not a model directory: it has no config.json\n"
            "it holds other folders; a model is named as ORG/NAME, or by its own directory, and \"whisperengine "
            "list\" shows those that are here",
            path);
    if (we_path_is_directory(path))
        return we_error_set(error, WE_INVALID_FORMAT,
                            "%s is not a model directory: it has no config.json\n"
                            "a model directory holds config.json, *.safetensors and tokenizer.json; if a download or a "
                            "conversion was interrupted, remove the directory and start again",
                            path);
    if (we_str_ends_with(we_str_c(path), we_str_c(".gguf")))
        return we_error_set(error, WE_INVALID_ARGUMENT,
                            "%s is a GGUF file, and a model directory is expected\n"
                            "\"whisperengine convert %s DEST\" makes one of it",
                            path, path);
    return we_error_set(error, WE_INVALID_ARGUMENT, "%s is a file, and a model directory is expected", path);
}

static we_status unfinished(const char *path, const char *name, struct we_error *error)
{
    return we_error_set(error, WE_NOT_FOUND, "%s: its download did not end\n\"whisperengine pull %s\" fetches the rest", path,
                        name);
}

/* Looks below models_dir, then in the Hub's cache. `path` stays NULL if it is in neither. */
static we_status find_by_name(const struct we_places *places, const char *name, struct we_arena *arena, char **path,
                              struct we_error *error)
{
    char *own = we_path_join(arena, places->mlx, name);
    struct we_buf folder = {0};
    we_buf_append_c(&folder, "models--");
    for (const char *p = name; *p; p++)
        we_buf_append_c(&folder, *p == '/' ? "--" : (const char[]){*p, '\0'});
    we_status status = own == NULL || folder.failed ? we_error_memory(error, "a path") : WE_OK;
    char *snapshot = NULL;
    bool begun = status == WE_OK && we_is_unfinished(own);
    if (status == WE_OK && !begun && we_is_model_directory(own))
        status = return_path(own, path, error);
    else if (status == WE_OK && places->hub)
        status = we_hub_snapshot(places->hub, folder.data, arena, &snapshot, error);
    if (status == WE_OK && *path == NULL && snapshot)
        status = return_path(snapshot, path, error);
    else if (status == WE_OK && *path == NULL && begun)
        status = unfinished(own, name, error);
    else if (status == WE_OK && *path == NULL && we_path_is_directory(own) && strchr(name, '/'))
        status = not_a_model(own, error);
    we_buf_free(&folder);
    return status;
}

/* What begins with a scheme; *name becomes the part behind mlx://. */
static we_status check_scheme(const char **name, bool *only_name, struct we_error *error)
{
    const char *colon = strstr(*name, "://");
    *only_name = false;
    if (colon == NULL)
        return WE_OK;
    struct we_str scheme = we_str(*name, (size_t)(colon - *name));
    if (we_str_equal_c(scheme, "http") || we_str_equal_c(scheme, "https"))
        return we_error_set(
            error, WE_UNSUPPORTED,
            "%.300s: an http(s) address can be asked for replies ('run', 'chat'), but this needs a model's files\n"
            "give a model directory, ORG/NAME or mlx://ORG/NAME",
            *name);
    if (!we_str_equal_c(scheme, "mlx"))
        return we_error_set(error, WE_INVALID_ARGUMENT,
                            "%.300s: unknown scheme; a model is a directory, ORG/NAME or mlx://ORG/NAME", *name);
    *name = colon + 3;
    *only_name = (*name)[0] != '/'; /* mlx:///a/b is a directory, as with files */
    return WE_OK;
}

static we_status find(const char *models_dir, const char *name, struct we_arena *arena, char **path, struct we_error *error)
{
    bool only_name;
    const char *given = name;
    we_status status = check_scheme(&name, &only_name, error);
    if (status != WE_OK)
        return status;
    struct we_str trimmed = we_str_c(name);
    while (trimmed.length > 1 && trimmed.data[trimmed.length - 1] == '/')
        trimmed.length--;
    char *wanted = we_arena_copy(arena, trimmed);
    struct we_places places;
    status = wanted ? we_places_init(&places, models_dir, arena, error) : we_error_memory(error, "a path");
    if (status != WE_OK)
        return status;
    if (!only_name && we_is_unfinished(wanted))
        return unfinished(wanted, "ORG/NAME", error);
    if (!only_name && we_is_model_directory(wanted))
        return return_path(wanted, path, error);
    bool is_name = is_model_name(trimmed);
    if (is_name)
        status = find_by_name(&places, wanted, arena, path, error);
    if (status != WE_OK || *path)
        return status;
    if (!only_name && we_path_exists(wanted))
        return not_a_model(wanted, error);
    if (is_name)
        return not_found(&places, wanted, arena, error);
    if (only_name)
        return we_error_set(error, WE_INVALID_ARGUMENT, "%.300s: after mlx:// the name of a model is expected, as ORG/NAME",
                            given);
    return we_error_set(error, WE_NOT_FOUND,
                        "%.300s: there is no such directory\na model is a directory, ORG/NAME or "
                        "mlx://ORG/NAME; \"whisperengine list\" shows the models that are here",
                        given);
}

we_status we_store_find(const char *models_dir, const char *name, char **path, struct we_error *error)
{
    *path = NULL;
    if (name == NULL || name[0] == '\0')
        return we_error_set(error, WE_INVALID_ARGUMENT, "no model was named: give a directory, ORG/NAME or mlx://ORG/NAME");
    struct we_arena arena = {0};
    we_status status = find(models_dir, name, &arena, path, error);
    we_arena_free(&arena);
    return status;
}
