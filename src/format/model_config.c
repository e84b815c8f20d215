#include "format/model_config.h"

#include "base/fs.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

enum { MAX_CONFIG = 16 << 20 };

we_status we_config_open_file(const char *directory, const char *name, struct we_arena *arena, struct we_config *config,
                              struct we_error *error)
{
    *config = (struct we_config){0};
    char *path = we_path_join(arena, directory, name);
    if (path == NULL)
        return we_error_memory(error, name);
    struct we_buf text = {0};
    struct we_json *tree = NULL;
    we_status status = we_file_read(path, MAX_CONFIG, &text, error);
    if (status == WE_OK)
        status = we_json_parse(we_buf_str(&text), path, arena, &tree, error);
    if (status == WE_OK && tree->kind != WE_JSON_OBJECT)
        status =
            we_error_set(error, WE_INVALID_FORMAT, "%s: an object was expected, not %s", path, we_json_kind_name(tree->kind));
    we_buf_free(&text);
    if (status == WE_OK)
        *config = (struct we_config){tree, path};
    return status;
}

we_status we_config_open(const char *directory, struct we_arena *arena, struct we_config *config, struct we_error *error)
{
    if (!we_path_exists(directory)) {
        *config = (struct we_config){0};
        return we_error_set(error, WE_NOT_FOUND, "%s: there is no such directory", directory);
    }
    we_status status = we_config_open_file(directory, "config.json", arena, config, error);
    if (status == WE_NOT_FOUND)
        return we_error_set(error, WE_NOT_FOUND, "%s: this is no model directory: it has no config.json", directory);
    return status;
}

/* What was found, for a message. */
static const char *describe(const struct we_json *value, char out[80])
{
    switch (value->kind) {
    case WE_JSON_BOOL:
        return value->boolean ? "true" : "false";
    case WE_JSON_NUMBER:
        snprintf(out, 80, "%.*s", (int)(value->string.length > 60 ? 60 : value->string.length), value->string.data);
        return out;
    case WE_JSON_STRING:
        snprintf(out, 80, "\"%.*s\"", (int)(value->string.length > 60 ? 60 : value->string.length), value->string.data);
        return out;
    default:
        return we_json_kind_name(value->kind);
    }
}

static we_status mismatch(const struct we_config *config, const char *key, const char *expected, const struct we_json *found,
                          struct we_error *error)
{
    char text[80];
    return we_error_set(error, WE_INVALID_FORMAT, "%s: \"%s\" is %s, where %s was expected", config->where, key,
                        describe(found, text), expected);
}

/* NULL if absent or null. */
static const struct we_json *get(const struct we_config *config, const char *key)
{
    const struct we_json *value = we_json_get(config->json, key);
    return value && value->kind != WE_JSON_NULL ? value : NULL;
}

static const char expected_u32[] = "an integer from 0 to 4294967295";
static const char expected_float[] = "a number";

/* 8192.0 counts as an integer. */
static bool to_u32(const struct we_json *value, uint32_t *out)
{
    if (value->kind != WE_JSON_NUMBER || !(value->number >= 0 && value->number <= UINT32_MAX) ||
        value->number != floor(value->number))
        return false;
    *out = (uint32_t)value->number;
    return true;
}

/* transformers writes a number that is not finite as {"__float__": "Infinity"}. */
static bool to_float(const struct we_json *value, float *out)
{
    const struct we_json *tag = we_json_get(value, "__float__");
    if (tag && tag->kind == WE_JSON_STRING) {
        static const struct {
            const char *name;
            float value;
        } tags[] = {{"Infinity", INFINITY}, {"-Infinity", -INFINITY}, {"NaN", NAN}};
        for (size_t i = 0; i < sizeof tags / sizeof *tags; i++)
            if (we_str_equal_c(tag->string, tags[i].name)) {
                *out = tags[i].value;
                return true;
            }
        return false;
    }
    if (value->kind != WE_JSON_NUMBER || (isfinite(value->number) && fabs(value->number) > FLT_MAX))
        return false;
    *out = (float)value->number;
    return true;
}

we_status we_config_u32(const struct we_config *config, const char *key, uint32_t *value, struct we_error *error)
{
    const struct we_json *found = get(config, key);
    return found == NULL || to_u32(found, value) ? WE_OK : mismatch(config, key, expected_u32, found, error);
}

we_status we_config_float(const struct we_config *config, const char *key, float *value, struct we_error *error)
{
    const struct we_json *found = get(config, key);
    return found == NULL || to_float(found, value) ? WE_OK : mismatch(config, key, expected_float, found, error);
}

we_status we_config_bool(const struct we_config *config, const char *key, bool *value, struct we_error *error)
{
    const struct we_json *found = get(config, key);
    if (found == NULL)
        return WE_OK;
    if (found->kind != WE_JSON_BOOL)
        return mismatch(config, key, "true or false", found, error);
    *value = found->boolean;
    return WE_OK;
}

we_status we_config_string(const struct we_config *config, const char *key, struct we_str *value, struct we_error *error)
{
    const struct we_json *found = get(config, key);
    if (found == NULL)
        return WE_OK;
    if (found->kind != WE_JSON_STRING)
        return mismatch(config, key, "a string", found, error);
    *value = found->string;
    return WE_OK;
}

we_status we_config_object(const struct we_config *config, const char *key, struct we_arena *arena, struct we_config *object,
                           struct we_error *error)
{
    const struct we_json *found = get(config, key);
    *object = (struct we_config){NULL, config->where};
    if (found == NULL)
        return WE_OK;
    if (found->kind != WE_JSON_OBJECT)
        return mismatch(config, key, "an object", found, error);
    size_t size = strlen(config->where) + strlen(key) + 4;
    char *where = we_arena_alloc(arena, size);
    if (where == NULL)
        return we_error_memory(error, config->where);
    snprintf(where, size, "%s: %s", config->where, key);
    *object = (struct we_config){found, where};
    return WE_OK;
}

/* The numbers of `key` as an array: (*count) items. */
static we_status numbers(const struct we_config *config, const char *key, bool or_one, const struct we_json **items,
                         uint32_t *count, struct we_error *error)
{
    const struct we_json *found = get(config, key);
    *items = NULL;
    *count = 0;
    if (found == NULL)
        return WE_OK;
    bool one = or_one && found->kind == WE_JSON_NUMBER;
    if ((!one && found->kind != WE_JSON_ARRAY) || found->count > UINT32_MAX)
        return mismatch(config, key, or_one ? "a number or an array of numbers" : "an array of numbers", found, error);
    *items = one ? found : found->items;
    *count = one ? 1 : (uint32_t)found->count;
    return WE_OK;
}

we_status we_config_floats(const struct we_config *config, const char *key, struct we_arena *arena, const float **values,
                           uint32_t *count, struct we_error *error)
{
    const struct we_json *items;
    *values = NULL;
    we_status status = numbers(config, key, false, &items, count, error);
    if (status != WE_OK || items == NULL)
        return status;
    float *out = we_arena_array(arena, *count, sizeof *out);
    if (out == NULL)
        return we_error_memory(error, config->where);
    for (uint32_t i = 0; i < *count; i++)
        if (!to_float(&items[i], &out[i]))
            return mismatch(config, key, "an array of numbers", &items[i], error);
    *values = out;
    return WE_OK;
}

we_status we_config_u32s(const struct we_config *config, const char *key, struct we_arena *arena, const uint32_t **values,
                         uint32_t *count, struct we_error *error)
{
    const struct we_json *items;
    *values = NULL;
    we_status status = numbers(config, key, true, &items, count, error);
    if (status != WE_OK || items == NULL)
        return status;
    uint32_t *out = we_arena_array(arena, *count, sizeof *out);
    if (out == NULL)
        return we_error_memory(error, config->where);
    for (uint32_t i = 0; i < *count; i++)
        if (!to_u32(&items[i], &out[i]))
            return mismatch(config, key, expected_u32, &items[i], error);
    *values = out;
    return WE_OK;
}

static we_status require(const struct we_config *config, const char *key, const char *expected, struct we_error *error)
{
    if (get(config, key))
        return WE_OK;
    return we_error_set(error, WE_INVALID_FORMAT, "%s: \"%s\" is missing (%s)", config->where, key, expected);
}

we_status we_config_require_u32(const struct we_config *config, const char *key, uint32_t *value, struct we_error *error)
{
    we_status status = require(config, key, expected_u32, error);
    return status == WE_OK ? we_config_u32(config, key, value, error) : status;
}

we_status we_config_require_float(const struct we_config *config, const char *key, float *value, struct we_error *error)
{
    we_status status = require(config, key, expected_float, error);
    return status == WE_OK ? we_config_float(config, key, value, error) : status;
}

we_status we_config_require_string(const struct we_config *config, const char *key, struct we_str *value,
                                   struct we_error *error)
{
    we_status status = require(config, key, "a string", error);
    return status == WE_OK ? we_config_string(config, key, value, error) : status;
}
