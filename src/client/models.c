#include "client/models.h"

#include "base/fs.h"

#include <stdlib.h>
#include <whisperengine_tools.h>

const char *we_model_short_name(const char *path)
{
    const char *scheme = strstr(path, "://"), *name = scheme ? strchr(path, '#') : NULL;
    if (scheme)
        return name ? name + 1 : path;
    const char *base = we_path_base(path);
    return *base ? base : path;
}

char *we_model_lasting_name(const struct we_settings *settings, const char *name, const char *path)
{
    struct we_error ignored;
    char *real = realpath(path, NULL), *other = NULL, *result = NULL;
    const char *plain = strncmp(name, "mlx://", 6) == 0 ? name + 6 : name;
    size_t at = real ? strlen(real) : 0;
    for (int slashes = 0; real && at > 0 && slashes < 2; at--)
        slashes += real[at - 1] == '/';
    const char *tail = real && at > 0 ? real + at + 1 : NULL; /* the last two parts of the path */
    const char *candidates[] = {plain, tail};
    bool elsewhere = we_settings_source(settings, WE_SETTING_MODELS_DIR) == WE_SOURCE_FLAG; /* the next command lacks it */
    for (size_t i = 0; i < 2 && result == NULL && !elsewhere; i++) {
        if (candidates[i] == NULL || candidates[i][0] == '/' || strchr(candidates[i], '/') == NULL)
            continue;
        struct we_buf as_name = {0}; /* a name, even where a folder of that name is at hand */
        we_buf_printf(&as_name, "mlx://%s", candidates[i]);
        if (!as_name.failed &&
            we_store_find(we_settings_text(settings, WE_SETTING_MODELS_DIR), as_name.data, &other, &ignored) == WE_OK) {
            char *there = realpath(other, NULL);
            if (there && real && strcmp(there, real) == 0)
                result = strdup(candidates[i]);
            free(there);
            free(other);
        }
        we_buf_free(&as_name);
    }
    if (result == NULL && real)
        result = strdup(real);
    free(real);
    return result;
}

we_status we_model_check_chat(const struct we_model *model, struct we_error *error)
{
    struct we_model_summary *summary;
    const char *path = we_model_info(model)->path;
    if (we_model_info(model)->endpoint)
        return WE_OK; /* which has its own template */
    if (!we_model_info(model)->has_tokenizer)
        return we_error_set(error, WE_UNSUPPORTED, "%s has no tokenizer.json, so it can continue ids (run --ids), but not talk",
                            path);
    we_status status = we_model_summary_open(path, &summary, error);
    if (status != WE_OK)
        return status;
    if (!we_model_summary_facts(summary)->has_chat_template)
        status = we_error_set(error, WE_UNSUPPORTED,
                              "%s has no chat template: it continues text, but does not answer. Try: whisperengine run -m %s "
                              "--ignore-chat-template -p 'Once upon a time'",
                              path, path);
    we_model_summary_close(summary);
    return status;
}
