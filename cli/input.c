#include "input.h"

#include "pull.h"

#include "base/fs.h"
#include "base/json.h"
#include "client/fallback.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { READ_SIZE = 1 << 16 };

we_status we_read_input(struct we_buf *buf, struct we_error *error)
{
    *buf = (struct we_buf){.limit = (size_t)1 << 30};
    for (;;) {
        if (!we_buf_reserve(buf, READ_SIZE))
            return we_error_set(error, WE_OUT_OF_MEMORY, "standard input: more than memory or 1 GiB holds");
        ssize_t n = read(STDIN_FILENO, buf->data + buf->length, READ_SIZE);
        if (n == 0)
            break;
        if (n < 0 && errno != EINTR)
            return we_error_errno(error, WE_IO_ERROR, errno, "standard input");
        buf->length += n > 0 ? (size_t)n : 0;
    }
    buf->data[buf->length] = '\0';
    return WE_OK;
}

we_status we_parse_ids(struct we_str json, const char *name, uint32_t **ids, size_t *count, struct we_error *error)
{
    struct we_json_reader reader;
    struct we_buf list = {0};
    we_json_reader_init(&reader, json, name, error);
    bool ok = we_json_enter_array(&reader);
    while (ok && we_json_next_element(&reader)) {
        uint32_t id;
        ok = we_json_read_u32(&reader, &id) && we_buf_append(&list, we_str((const char *)&id, sizeof id));
    }
    we_status status = we_json_finish(&reader);
    we_json_reader_free(&reader);
    *count = list.length / sizeof **ids;
    *ids = NULL;
    if (status == WE_OK && (list.failed || (*ids = malloc(list.length ? list.length : 1)) == NULL))
        status = we_error_memory(error, "a list of token ids");
    if (status == WE_OK && list.length)
        memcpy(*ids, list.data, list.length);
    we_buf_free(&list);
    return status;
}

int we_read_ids(const struct we_args *args, const char *option, uint32_t **ids, size_t *count)
{
    struct we_error error;
    struct we_buf input = {0};
    const char *text = we_args_text(args, option);
    bool from_input = strcmp(text, "-") == 0;
    we_status status = from_input ? we_read_input(&input, &error) : WE_OK;
    if (status == WE_OK)
        status = we_parse_ids(from_input ? we_buf_str(&input) : we_str_c(text), from_input ? "standard input" : option, ids, count,
                              &error);
    we_buf_free(&input);
    if (status == WE_OK && *count == 0) {
        free(*ids);
        *ids = NULL;
        return we_usage_error(args->command, "%s: the list is empty; a JSON list of token ids was expected, as '[1, 2, 3]'", option);
    }
    if (status == WE_INVALID_FORMAT && !from_input)
        return we_usage_error(args->command, "%s (a JSON list of token ids was expected, as '[1, 2, 3]')", error.message);
    return status == WE_OK ? WE_EXIT_OK : we_fail(args->command, &error);
}

we_status we_check_utf8(struct we_str text, const char *name, struct we_error *error)
{
    size_t valid = we_utf8_valid_prefix(text);
    if (valid == text.length)
        return WE_OK;
    return we_error_set(error, WE_INVALID_ARGUMENT, "%s: byte %zu (0x%02X) is not UTF-8", name, valid + 1,
                        (unsigned)(unsigned char)text.data[valid]);
}

/* ---- models ---- */

int we_model_name(const struct we_args *args, const char *operand, const char **name)
{
    *name = operand ? operand : we_settings_text(args->settings, WE_SETTING_MODEL);
    if (*name == NULL || **name == '\0')
        return we_usage_error(args->command,
                              "no model is named: give -m MODEL (a directory or ORG/NAME; 'whisperengine list' shows what "
                              "is there), or set LLM_CHAT_API_URL=mlx://ORG/NAME in .env");
    return WE_EXIT_OK;
}

int we_find_model(const struct we_args *args, const char *operand, char **path)
{
    const char *name;
    struct we_error error;
    *path = NULL;
    int status = we_model_name(args, operand, &name);
    if (status == WE_EXIT_OK &&
        we_store_find(we_settings_text(args->settings, WE_SETTING_MODELS_DIR), name, path, &error) != WE_OK)
        status = we_fail(args->command, &error);
    return status;
}

void we_options_of_model(const struct we_args *args, const char *name, bool exact, uint32_t sequences,
                         struct we_model_options *options)
{
    we_model_options_init(options);
    we_settings_model_options(args->settings, options);
    we_settings_endpoint_options(args->settings, name, options);
    options->max_sequences = sequences;
    if (exact && we_settings_source(args->settings, WE_SETTING_PRECISION) != WE_SOURCE_FLAG)
        options->precision = WE_PRECISION_EXACT;
}

static int open_named(const struct we_args *args, const char *name, bool exact, bool may_fall_back, uint32_t sequences,
                      struct we_model **model)
{
    struct we_error error;
    struct we_model_options options;
    *model = NULL;
    we_options_of_model(args, name, exact, sequences, &options);
    if (we_model_open(name, &options, model, &error) == WE_OK)
        return WE_EXIT_OK;
    const char *who;
    if (!may_fall_back || !we_fall_back(args->settings, &options, model, &who, &error))
        return we_fail(args->command, &error);
    we_warn(args->command, "%s cannot be used: %.*s\n%s answers in its place: %s", name, (int)strcspn(error.message, "\n"),
            error.message, who, we_model_info(*model)->path);
    return WE_EXIT_OK;
}

int we_open_named_model(const struct we_args *args, const char *name, bool exact, struct we_model **model)
{
    return open_named(args, name, exact, false, 1, model); /* the KV cache never grows beyond one context */
}

bool we_args_may_fall_back(const struct we_args *args, const char *name)
{
    return (args->command->settings & WE_TAKES(FALLBACK)) && we_may_fall_back(args->settings, name);
}

int we_open_model_for(const struct we_args *args, bool exact, uint32_t sequences, struct we_model **model)
{
    const char *name;
    *model = NULL;
    int status = we_model_name(args, NULL, &name);
    if (status == WE_EXIT_OK && !we_offer_to_fetch(args, name))
        return WE_EXIT_FAILED;
    return status == WE_EXIT_OK ? open_named(args, name, exact, !exact && we_args_may_fall_back(args, name), sequences, model)
                                : status;
}

int we_open_model(const struct we_args *args, bool exact, struct we_model **model)
{
    return we_open_model_for(args, exact, 1, model);
}
