#include "text/tokenizer_parts.h"

#include <stdio.h>

we_status we_parts_fail(struct we_parts_reader *reader, we_status status, const char *where, const char *format, ...)
{
    char message[700];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return we_error_set(reader->error, status, "%s: %s: %s", reader->name, where, message);
}

static we_status wrong_kind(struct we_parts_reader *reader, const struct we_json *value, const char *where, const char *key,
                            const char *expected)
{
    if (value == NULL)
        return we_parts_fail(reader, WE_INVALID_FORMAT, where, "\"%s\" is missing; %s was expected", key, expected);
    return we_parts_fail(reader, WE_INVALID_FORMAT, where, "\"%s\" is %s, where %s was expected", key,
                         we_json_kind_name(value->kind), expected);
}

static bool is_absent(const struct we_json *value)
{
    return value == NULL || value->kind == WE_JSON_NULL;
}

we_status we_parts_bool(struct we_parts_reader *reader, const struct we_json *object, const char *where, const char *key,
                        bool required, bool *value)
{
    const struct we_json *json = we_json_get(object, key);
    if (is_absent(json) && !required)
        return WE_OK;
    if (json == NULL || json->kind != WE_JSON_BOOL)
        return wrong_kind(reader, json, where, key, "a boolean");
    *value = json->boolean;
    return WE_OK;
}

we_status we_parts_string(struct we_parts_reader *reader, const struct we_json *object, const char *where, const char *key,
                          struct we_str *value)
{
    const struct we_json *json = we_json_get(object, key);
    if (json == NULL || json->kind != WE_JSON_STRING)
        return wrong_kind(reader, json, where, key, "a string");
    if (we_utf8_valid_prefix(json->string) != json->string.length)
        return we_parts_fail(reader, WE_INVALID_FORMAT, where, "\"%s\" is no UTF-8", key);
    *value = json->string;
    return WE_OK;
}

we_status we_parts_size(struct we_parts_reader *reader, const struct we_json *object, const char *where, const char *key,
                        size_t *value)
{
    const struct we_json *json = we_json_get(object, key);
    if (json == NULL || json->kind != WE_JSON_NUMBER || !json->is_integer || json->integer < 0)
        return wrong_kind(reader, json, where, key, "a whole number");
    *value = (size_t)json->integer;
    return WE_OK;
}

we_status we_parts_pattern(struct we_parts_reader *reader, const struct we_json *object, const char *where,
                           struct we_str *literal, struct we_regex **regex)
{
    const struct we_json *pattern = we_json_get(object, "pattern");
    *literal = (struct we_str){0};
    *regex = NULL;
    if (pattern == NULL || pattern->kind != WE_JSON_OBJECT || pattern->count != 1)
        return wrong_kind(reader, pattern, where, "pattern", "an object with \"String\" or \"Regex\"");
    struct we_str text;
    if (we_json_get(pattern, "String")) {
        we_status status = we_parts_string(reader, pattern, where, "String", &text);
        if (status != WE_OK || text.length) {
            *literal = text;
            return status;
        }
    } else {
        we_status status = we_parts_string(reader, pattern, where, "Regex", &text);
        if (status != WE_OK)
            return status;
    }
    we_status status = we_regex_compile(text, regex, reader->error);
    if (status != WE_OK)
        we_error_prefix(reader->error, "%s: %s", reader->name, where);
    return status;
}

we_status we_parts_unknown(struct we_parts_reader *reader, const char *where, struct we_str type)
{
    return we_parts_fail(reader, WE_UNSUPPORTED, where, "the type \"%.*s\" is not supported", WE_STR_ARG(type));
}

we_status we_parts_each(struct we_parts_reader *reader, const struct we_json *component, const char *where,
                        const char *members, we_parts_read *read, void *part)
{
    if (component->kind != WE_JSON_OBJECT)
        return we_parts_fail(reader, WE_INVALID_FORMAT, where, "%s, where an object was expected",
                             we_json_kind_name(component->kind));
    struct we_str type;
    we_status status = we_parts_string(reader, component, where, "type", &type);
    if (status != WE_OK || !we_str_equal_c(type, "Sequence"))
        return status != WE_OK ? status : read(reader, component, type, part);
    const struct we_json *list = we_json_get(component, members);
    if (list == NULL || list->kind != WE_JSON_ARRAY)
        return wrong_kind(reader, list, where, members, "an array");
    for (size_t i = 0; i < list->count && status == WE_OK; i++)
        status = we_parts_each(reader, &list->items[i], where, members, read, part);
    return status;
}
