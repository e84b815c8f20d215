/* use: which model the configuration names, and the switch to another one. */
#include "args.h"
#include "input.h"
#include "interrupt.h"
#include "json_line.h"
#include "layout.h"
#include "terminal.h"

#include "base/fs.h"
#include "client/models.h"
#include "config/env_update.h"
#include "config/profiles.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static const struct we_option options[] = {
    {"--no-check", NULL, NULL, "do not ask the endpoint whether it is there and has the model"},
    {"--json", NULL, NULL, "print one JSON object"},
};

/* ---- what is configured ---- */

/* What each profile has: shown text in `model`, whether a model is here in `state`. */
static bool look(const struct we_args *args, enum we_profile profile, bool is_now, struct we_arena *arena, struct we_buf *model,
                 const char **state)
{
    const char *name = we_profile_model(args->settings, profile, arena);
    const char *effective = we_settings_text(args->settings, WE_SETTING_MODEL);
    *state = "";
    if (is_now) /* the environment may say something else than .env */
        name = effective;
    if (name == NULL)
        return false;
    we_show_address(name, model);
    const char *remote = we_settings_text(args->settings, WE_SETTING_REMOTE_MODEL);
    if (is_now && profile != WE_PROFILE_MLX && remote && strchr(name, '#') == NULL)
        we_buf_printf(model, "#%s", remote);
    we_make_printable(model);
    if (profile == WE_PROFILE_MLX) {
        struct we_error ignored;
        char *path = NULL;
        bool here = we_store_find(we_settings_text(args->settings, WE_SETTING_MODELS_DIR), name, &path, &ignored) == WE_OK;
        free(path);
        *state = here ? "here" : "not here";
    }
    return true;
}

static int show(const struct we_args *args)
{
    const char *effective = we_settings_text(args->settings, WE_SETTING_MODEL);
    enum we_profile now = effective ? we_profile_of(args->settings, effective) : WE_NUM_PROFILES;
    bool as_json = we_args_has(args, "--json"), ok = true;
    struct we_arena arena = {0};
    struct we_json_line json = {0};
    struct we_table table = {.columns = 4};
    we_table_add(&table, (const char *[]){"PROFILE", "MODEL OR ADDRESS", "STATE", "SET BY"});
    we_json_open(&json, NULL, '{');
    we_json_text(&json, "profile", effective ? we_profile_name(now) : NULL);
    we_json_text(&json, "origin", effective ? we_settings_origin(args->settings, WE_SETTING_MODEL) : NULL);
    we_json_text(&json, "file", we_settings_file(args->settings));
    we_json_open(&json, "profiles", '{');
    for (int i = 0; ok && i < WE_NUM_PROFILES; i++) {
        enum we_profile profile = (enum we_profile)i;
        struct we_buf model = {0};
        const char *state;
        char name[16];
        bool has = look(args, profile, profile == now, &arena, &model, &state);
        snprintf(name, sizeof name, "%s %s", profile == now ? "*" : " ", we_profile_name(profile));
        we_table_add(&table, (const char *[]){name, has ? model.data : "-", state,
                                              profile == now ? we_settings_origin(args->settings, WE_SETTING_MODEL) : ""});
        we_json_text(&json, we_profile_name(profile), has ? model.data : NULL);
        ok = !model.failed;
        we_buf_free(&model);
    }
    we_json_close(&json, '}');
    we_json_close(&json, '}');
    if (ok)
        ok = as_json ? we_json_print(&json) : we_table_print(&table);
    if (ok && !as_json && effective == NULL)
        fputs("No model is configured yet: 'whisperengine use ORG/NAME' chooses one that 'whisperengine list' shows.\n",
              stderr);
    we_buf_free(&json.buf);
    we_table_free(&table);
    we_arena_free(&arena);
    return ok ? WE_EXIT_OK : we_fail_text(args->command, "out of memory for the list");
}

/* ---- the switch ---- */

/* A model on this machine: refused unless it is there. */
static int check_model(const struct we_args *args, const char *name, struct we_arena *arena, const char **model)
{
    struct we_error error;
    char *path;
    if (we_store_find(we_settings_text(args->settings, WE_SETTING_MODELS_DIR), name, &path, &error) != WE_OK)
        return we_fail(args->command, &error);
    char *lasting = we_model_lasting_name(args->settings, name, path);
    *model = lasting ? we_arena_copy(arena, we_str_c(lasting)) : NULL;
    free(lasting);
    free(path);
    return *model ? WE_EXIT_OK : we_fail_text(args->command, "out of memory");
}

/* ---- endpoints ---- */

struct names {
    const char *wanted, *nearest;
    size_t count, nearest_distance;
    bool found;
    struct we_buf list;
    struct we_arena *arena;
};

static bool take_name(void *context, const char *name)
{
    enum { MOST_LISTED = 8 };
    struct names *names = context;
    size_t distance = names->wanted ? we_str_distance(we_str_c(names->wanted), we_str_c(name)) : SIZE_MAX;
    names->found |= names->wanted && strcmp(names->wanted, name) == 0;
    if (distance < names->nearest_distance) {
        names->nearest_distance = distance;
        names->nearest = we_arena_copy(names->arena, we_str_c(name));
    }
    if (names->count++ < MOST_LISTED)
        we_buf_printf(&names->list, "%s%.100s", names->count > 1 ? ", " : "", name);
    return true;
}

/* An endpoint: refused if it has other models than the one that is named, or several and none is named. One that does not
 * answer may do so later. */
static int check_endpoint(const struct we_args *args, const char *model, struct we_arena *arena)
{
    struct we_error error;
    struct we_model_options model_options;
    struct we_str address, name;
    we_address_split(model, &address, &name);
    const char *plain = we_arena_copy(arena, address);
    struct names names = {.wanted = name.length ? name.data : NULL, .nearest_distance = name.length / 3 + 2, .arena = arena};
    if (plain == NULL)
        return we_fail_text(args->command, "out of memory");
    we_model_options_init(&model_options);
    we_settings_model_options(args->settings, &model_options);
    we_settings_endpoint_options(args->settings, model, &model_options);
    struct we_buf shown = {0};
    we_show_address(plain, &shown);
    int status = WE_EXIT_OK;
    we_status asked = we_endpoint_models(plain, &model_options, take_name, &names, &error);
    if (shown.failed || names.list.failed)
        status = we_fail_text(args->command, "out of memory");
    else if (asked == WE_INVALID_ARGUMENT)
        status = we_fail(args->command, &error);
    else if (asked != WE_OK)
        we_warn(args->command, "%s", error.message);
    else if (names.count && names.wanted && !names.found)
        status = we_fail_text(args->command, "%s has no model \"%s\"%s%s%s\nthese are there: %s", shown.data, names.wanted,
                              names.nearest ? "; did you mean \"" : "", names.nearest ? names.nearest : "",
                              names.nearest ? "\"?" : "", names.list.data);
    else if (names.count > 1 && !names.wanted)
        status = we_fail_text(args->command,
                              "%s has %zu models; which one?\n'whisperengine use %s#NAME' says it; these are there: %s",
                              shown.data, names.count, shown.data, names.list.data);
    we_buf_free(&names.list);
    we_buf_free(&shown);
    return status;
}

/* What the operand means: a profile's name, an address, or a model. */
static int choose(const struct we_args *args, struct we_arena *arena, const char **model)
{
    const char *operand = args->operands[0];
    enum we_profile profile;
    *model = operand;
    if (we_profile_by_name(operand, &profile)) {
        *model = we_profile_model(args->settings, profile, arena);
        if (*model == NULL && profile == WE_PROFILE_MLX)
            return we_fail_text(args->command, "no MLX model was used before\n'whisperengine use ORG/NAME' chooses one; "
                                               "'whisperengine list' shows those that are here");
        if (*model == NULL)
            return we_fail_text(args->command,
                                "no remote endpoint was used before\n'whisperengine use https://HOST/v1' chooses one");
    }
    if (!we_is_address(*model))
        return check_model(args, *model, arena, model);
    return we_args_has(args, "--no-check") ? WE_EXIT_OK : check_endpoint(args, *model, arena);
}

/* The environment is stronger than .env: whoever switches should know. */
static void warn_of_environment(void)
{
    static const char *const names[] = {"LLM_CHAT_API_URL", "MLX_MODEL_NAME", "LLM_CHAT_MODEL"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        if (value && value[0])
            fprintf(stderr, "But %s is set in the environment too, which is stronger than the file: unset it.\n", names[i]);
    }
}

static void warn_of_key(const struct we_args *args, const char *model)
{
    const char *url = we_settings_in_file(args->settings, "LLM_CHAT_API_URL");
    bool moved = we_is_address(model) && !(url && we_is_address(url) && we_address_same_server(url, model));
    if (moved && we_settings_in_file(args->settings, "LLM_CHAT_API_KEY"))
        fputs("LLM_CHAT_API_KEY stays, and is sent to this address from now on.\n", stderr);
}

static void finish_first(void)
{
}

static int write_changes(const struct we_args *args, const char *model, struct we_arena *arena)
{
    struct we_env_change changes[WE_PROFILE_MOST_CHANGES];
    struct we_env_updated done = {0};
    struct we_error error;
    struct we_buf shown = {0};
    size_t count;
    char *file = NULL;
    if (!we_profile_changes(args->settings, model, arena, changes, &count))
        return we_fail_text(args->command, "out of memory");
    we_status status = we_settings_file_to_write(args->settings, &file, &error);
    char *folder = status == WE_OK ? we_arena_copy(arena, we_str(file, (size_t)(we_path_base(file) - file))) : NULL;
    if (folder && folder[0])
        status = we_make_directories(folder, &error);
    if (status == WE_OK) {
        signal(SIGXFSZ, SIG_IGN); /* a limit on the size of files is an error with a message */
        we_interrupt_handle(finish_first);
        status = we_env_update(file, changes, count, &done, &error);
        we_interrupt_handle(NULL);
    }
    if (status == WE_OK) {
        we_show_address(model, &shown);
        we_make_printable(&shown);
        fprintf(stderr, "%s: %s %s\n", file, done.changed ? "the model is now" : "the model already is",
                shown.failed ? "?" : shown.data);
        if (done.changed && done.backup)
            fprintf(stderr, "As it was: %s\n", done.backup);
        warn_of_key(args, model);
        warn_of_environment();
    }
    we_env_updated_clear(&done);
    we_buf_free(&shown);
    free(file);
    return status == WE_OK ? WE_EXIT_OK : we_fail(args->command, &error);
}

static int run_command(const struct we_args *args)
{
    struct we_arena arena = {0};
    const char *model;
    if (args->num_operands == 0)
        return show(args);
    if (we_args_has(args, "--json"))
        return we_usage_error(args->command, "--json is for 'whisperengine use' alone, which shows what is configured");
    int status = choose(args, &arena, &model);
    if (status == WE_EXIT_OK)
        status = write_changes(args, model, &arena);
    we_arena_free(&arena);
    return status;
}

const struct we_command we_command_use = {
    .name = "use",
    .summary = "the configured model, and the switch to another one",
    .synopsis = "[mlx|local|ollama|remote|MODEL|ADDRESS]",
    .max_operands = 1,
    .operand_kind = WE_VALUE_MODEL,
    .operand_choices = "mlx|local|ollama|remote",
    .options = options,
    .num_options = sizeof options / sizeof *options,
    .settings = WE_TAKES(MODELS_DIR) | WE_TAKES(CONNECTION_TIMEOUT),
    .takes_wrong_settings = true,
    .details = "Alone, shows what is configured. With a word, rewrites .env: mlx is the model on this machine that was used "
               "last, local LM "
               "Studio, ollama Ollama, remote the last other endpoint; MODEL is ORG/NAME or a directory, and has to be here; "
               "ADDRESS is an "
               "endpoint of OpenAI's API, as https://HOST/v1, and #NAME behind it names a model there.\n"
               "Only the lines that say which model are changed; comments and all other lines stay as they are. What the file "
               "was before "
               "is kept beside it, as .env.backup. What another profile used is remembered in the file.",
    .examples = "whisperengine use mlx-community/SmolLM2-135M-Instruct-4bit\n"
                "whisperengine use http://gpu-server:8000/v1#Qwen/Qwen3-8B\n"
                "whisperengine use mlx",
    .run = run_command,
};
