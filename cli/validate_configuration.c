/* What .env and the environment say, and whether what they name is there. */
#include "validate.h"

#include "base/fs.h"
#include "config/problems.h"
#include "config/profiles.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char GROUP[] = "configuration";

/* A path as one word of a shell, in single quotes if it needs them. */
static const char *quoted(struct we_validation *v, const char *path)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/";
    return path[strspn(path, plain)] == '\0' || strchr(path, '\'') ? path : we_validation_text(v, "'%s'", path);
}

static const char *origin(struct we_validation *v, enum we_setting_id id)
{
    return we_settings_origin(v->args->settings, id);
}

static void check_file(struct we_validation *v)
{
    const struct we_error *problem = &v->args->file_problem;
    const char *file = we_settings_file(v->args->settings);
    if (problem->status != WE_OK) {
        const char *given = we_args_text(v->args, "--config-file"), *path = given ? given : ".env";
        const char *hint = "whisperengine config --config-file /dev/null";
        if (problem->status == WE_IO_ERROR && we_path_exists(path))
            hint = we_validation_text(v, "chmod u+r %s", quoted(v, path));
        else if (problem->status == WE_INVALID_FORMAT && we_path_exists(path))
            hint = we_validation_text(v, "mv %s %s", quoted(v, path), quoted(v, we_validation_text(v, "%s.broken", path)));
        we_validation_check(v, GROUP, WE_CHECK_FAILED, "file", hint, "%s", problem->message);
    } else if (file) {
        size_t count = we_settings_env(v->args->settings)->count;
        we_validation_check(v, GROUP, WE_CHECK_PASSED, "file", NULL, "%s: %zu %s", file, count,
                            count == 1 ? "line that sets something" : "lines that set something");
    } else {
        we_validation_check(v, GROUP, WE_CHECK_SKIPPED, "file", NULL, "there is no .env; the defaults count");
    }
}

static void check_lines(struct we_validation *v)
{
    struct we_setting_problem *list;
    size_t count, set = 0, harmful = 0;
    struct we_error error;
    if (we_settings_problems(v->args->settings, &v->arena, &list, &count, &error) != WE_OK) {
        we_validation_check(v, GROUP, WE_CHECK_FAILED, "settings", "whisperengine config", "%s", error.message);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        we_validation_check(v, GROUP, list[i].harmless ? WE_CHECK_WARNING : WE_CHECK_FAILED, "settings",
                            list[i].correction ? list[i].correction : "whisperengine config", "%s", list[i].text);
        harmful += !list[i].harmless;
    }
    for (int id = 0; id < WE_NUM_SETTINGS; id++)
        set += we_settings_is_set(v->args->settings, (enum we_setting_id)id);
    if (harmful == 0)
        we_validation_check(v, GROUP, WE_CHECK_PASSED, "settings", NULL, "%zu of %d are set, all to values that they can have",
                            set, (int)WE_NUM_SETTINGS);
}

/* ---- what settings name ---- */

static void check_models_dir(struct we_validation *v)
{
    const enum we_setting_id id = WE_SETTING_MODELS_DIR;
    const char *path = we_settings_text(v->args->settings, id);
    if (path == NULL)
        return;
    if (!we_path_exists(path))
        we_validation_check(v, GROUP, WE_CHECK_WARNING, "models folder", we_validation_text(v, "mkdir -p %s", quoted(v, path)),
                            "%s is %s, which is not there", origin(v, id), path);
    else if (!we_path_is_directory(path))
        we_validation_check(v, GROUP, WE_CHECK_FAILED, "models folder", we_validation_text(v, "ls -l %s", quoted(v, path)),
                            "%s is %s, which is no folder", origin(v, id), path);
    else if (access(path, R_OK | X_OK) != 0)
        we_validation_check(v, GROUP, WE_CHECK_FAILED, "models folder", we_validation_text(v, "chmod u+rx %s", quoted(v, path)),
                            "%s is %s, which cannot be read: %s", origin(v, id), path, strerror(errno));
    else
        we_validation_check(v, GROUP, WE_CHECK_PASSED, "models folder", NULL, "%s", path);
}

static void check_system_prompt(struct we_validation *v)
{
    struct we_error error;
    char *text = NULL;
    if (!we_settings_is_set(v->args->settings, WE_SETTING_SYSTEM_PROMPT_FILE))
        return;
    const char *path = we_settings_text(v->args->settings, WE_SETTING_SYSTEM_PROMPT_FILE);
    if (we_settings_system_prompt(v->args->settings, &text, &error) != WE_OK)
        we_validation_check(v, GROUP, WE_CHECK_FAILED, "system prompt",
                            we_path_exists(path) ? we_validation_text(v, "chmod u+r %s", quoted(v, path))
                                                 : we_validation_text(v, "touch %s", quoted(v, path)),
                            "%s", error.message);
    else if (text && we_utf8_valid_prefix(we_str_c(text)) != strlen(text))
        we_validation_check(v, GROUP, WE_CHECK_FAILED, "system prompt", we_validation_text(v, "file %s", quoted(v, path)),
                            "%s: byte %zu is not UTF-8", path, we_utf8_valid_prefix(we_str_c(text)) + 1);
    else
        we_validation_check(v, GROUP, WE_CHECK_PASSED, "system prompt", NULL, "%s: %zu bytes", path, text ? strlen(text) : 0);
    free(text);
}

/* Addresses that lack their scheme, and the like. */
static void check_addresses(struct we_validation *v)
{
    static const enum we_setting_id ids[] = {WE_SETTING_HF_ENDPOINT, WE_SETTING_LM_STUDIO_URL, WE_SETTING_OLLAMA_URL,
                                             WE_SETTING_REMOTE_URL};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        const char *text = we_settings_text(v->args->settings, ids[i]), *name = we_setting_row(ids[i])->environment[0];
        if (text == NULL || we_is_address(text))
            continue;
        const char *at = strchr(text, '@'),
                   *shown = at ? we_validation_text(v, "********%s", at) : text; /* a password may stand there */
        struct we_setting_place place = we_settings_place(v->args->settings, ids[i]);
        const char *hint =
            place.file ? we_validation_text(v, "sed -i.bak '%us|=.*|=http://%s|' %s", place.line, text, quoted(v, place.file))
                       : we_validation_text(v, "export %s=%s", name, quoted(v, we_validation_text(v, "http://%s", text)));
        we_validation_check(
            v, GROUP, WE_CHECK_FAILED, "addresses", strchr(text, '|') || strchr(text, '@') ? "whisperengine config" : hint,
            "%s is \"%s\", but an address that begins with http:// or https:// was expected", origin(v, ids[i]), shown);
    }
}

/* Folders of programs that share the file. */
static void check_folders(struct we_validation *v)
{
    static const enum we_setting_id ids[] = {WE_SETTING_LOG_DIR, WE_SETTING_DATA_DIR};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        const char *path = we_settings_text(v->args->settings, ids[i]);
        if (path && we_path_exists(path) && !we_path_is_directory(path))
            we_validation_check(v, GROUP, WE_CHECK_WARNING, "folders", we_validation_text(v, "ls -l %s", quoted(v, path)),
                                "%s is %s, which is no folder", origin(v, ids[i]), path);
    }
}

void we_validate_configuration(struct we_validation *v)
{
    check_file(v);
    check_lines(v);
    check_models_dir(v);
    check_system_prompt(v);
    check_addresses(v);
    check_folders(v);
}
