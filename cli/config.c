/* config: every setting, its effective value, and where that stands. */
#include "config.h"

#include "args.h"
#include "json_line.h"
#include "layout.h"
#include "terminal.h"

#include "base/json.h"
#include "config/parse.h"
#include "config/profiles.h"

#include <stdio.h>
#include <whisperengine_tools.h>

static const struct we_option options[] = {
    {"--json", NULL, NULL, "print one JSON object"},
    {"--markdown", NULL, NULL, "print docs/configuration.md: what can be set, not what is"},
};

/* What the model on this machine prefers is a layer of the values. A model that cannot be opened has none. */
static void ask_model(const struct we_args *args)
{
    const char *name = we_settings_text(args->settings, WE_SETTING_MODEL);
    struct we_model_options model_options;
    struct we_sampling sampling;
    struct we_model *model;
    struct we_error ignored;
    if (name == NULL || we_is_address(name))
        return;
    we_model_options_init(&model_options);
    we_settings_model_options(args->settings, &model_options);
    model_options.max_sequences = 1;
    if (we_model_open(name, &model_options, &model, &ignored) != WE_OK)
        return;
    we_sampling_init(&sampling, model);
    we_settings_use_model(args->settings, &sampling);
    we_model_close(model);
}

static const char *source_name(enum we_source source)
{
    static const char *const names[] = {"default", "model", "file", "environment", "flag"};
    return names[source];
}

/* ---- the forms ---- */

/* A line for each, folded where the terminal is narrow: nothing is left out. */
static bool print_lines(const struct we_args *args)
{
    enum { KEY = 20, VALUE = 26 };
    const char *file = we_settings_file(args->settings);
    bool ok = true;
    for (int i = 0; ok && i < WE_NUM_SETTINGS; i++) {
        enum we_setting_id id = (enum we_setting_id)i;
        struct we_buf value = {0};
        we_settings_show(args->settings, id, &value);
        we_make_printable(&value);
        bool set = value.length || we_settings_is_set(args->settings, id);
        ok = !value.failed;
        if (ok)
            we_print_fact(KEY, we_setting_row(id)->key, "%-*s  %s", VALUE, value.length ? value.data : "-",
                          set ? we_settings_origin(args->settings, id) : "not set");
        we_buf_free(&value);
    }
    if (ok && file)
        we_out_printf("\nThe file is %s.\n", file);
    else if (ok)
        we_out_c("\nThere is no .env file.\n");
    return ok;
}

static void json_value(struct we_json_line *json, const struct we_settings *settings, enum we_setting_id id)
{
    const struct we_setting *row = we_setting_row(id);
    struct we_buf text = {0};
    struct we_parsed parsed;
    we_settings_show(settings, id, &text);
    if (text.length == 0 && !we_settings_is_set(settings, id))
        we_json_text(json, "value", NULL);
    else if (row->type == WE_SETTING_INTEGER || row->type == WE_SETTING_BYTES)
        we_json_integer(json, "value", we_settings_integer(settings, id));
    else if (row->type == WE_SETTING_NUMBER && text.data && we_setting_parse(row, text.data, &parsed))
        we_json_number(json, "value", parsed.number);
    else if (row->type == WE_SETTING_SWITCH)
        we_json_bool(json, "value", we_settings_integer(settings, id) != 0);
    else
        we_json_str(json, "value", we_buf_str(&text));
    json->buf.failed |= text.failed;
    we_buf_free(&text);
}

static bool print_json(const struct we_args *args)
{
    struct we_json_line json = {0};
    const char *name, *nearest;
    uint32_t line;
    we_json_open(&json, NULL, '{');
    we_json_text(&json, "file", we_settings_file(args->settings));
    we_json_open(&json, "settings", '[');
    for (int i = 0; i < WE_NUM_SETTINGS; i++) {
        enum we_setting_id id = (enum we_setting_id)i;
        struct we_setting_place place = we_settings_place(args->settings, id);
        struct we_error problem;
        we_json_open(&json, NULL, '{');
        we_json_text(&json, "key", we_setting_row(id)->key);
        json_value(&json, args->settings, id);
        we_json_text(&json, "source", source_name(place.source));
        we_json_text(&json, "origin", we_settings_origin(args->settings, id));
        we_json_text(&json, "variable", place.variable);
        we_json_text(&json, "file", place.file);
        if (place.line)
            we_json_integer(&json, "line", place.line);
        else
            we_json_text(&json, "line", NULL);
        bool wrong = we_settings_check_one(args->settings, id, &problem) != WE_OK;
        we_json_text(&json, "problem", wrong ? problem.message : NULL);
        we_json_close(&json, '}');
    }
    we_json_close(&json, ']');
    we_json_open(&json, "unreadable", '[');
    for (size_t i = 0; we_settings_unreadable(args->settings, i, &line, &nearest); i++) {
        we_json_open(&json, NULL, '{');
        we_json_integer(&json, "line", line);
        we_json_text(&json, "problem", nearest);
        we_json_close(&json, '}');
    }
    we_json_close(&json, ']');
    we_json_open(&json, "mistyped", '[');
    for (size_t i = 0; we_settings_mistyped(args->settings, i, &name, &line, &nearest); i++) {
        we_json_open(&json, NULL, '{');
        we_json_text(&json, "name", name);
        we_json_integer(&json, "line", line);
        we_json_text(&json, "nearest", nearest);
        we_json_close(&json, '}');
    }
    we_json_close(&json, ']');
    we_json_close(&json, '}');
    return we_json_print(&json);
}

/* Wrong values, and names that are nearly ours, on standard error. Returns the exit status. */
static int report_problems(const struct we_args *args)
{
    int status = WE_EXIT_OK;
    struct we_error problem;
    const char *name, *nearest, *what;
    uint32_t line;
    we_out_flush();
    for (int i = 0; i < WE_NUM_SETTINGS; i++)
        if (we_settings_check_one(args->settings, (enum we_setting_id)i, &problem) != WE_OK)
            status = we_fail(args->command, &problem);
    for (size_t i = 0; we_settings_unreadable(args->settings, i, &line, &what); i++)
        fprintf(stderr, "%s:%u: passed over: %s\n", we_settings_file(args->settings), line, what);
    for (size_t i = 0; we_settings_mistyped(args->settings, i, &name, &line, &nearest); i++)
        fprintf(stderr, "%s:%u: %s is no name of a setting; did you mean %s?\n", we_settings_file(args->settings), line, name,
                nearest);
    return status;
}

static int run_command(const struct we_args *args)
{
    bool as_json = we_args_has(args, "--json");
    if (we_args_has(args, "--markdown")) {
        if (as_json)
            return we_usage_error(args->command, "--json and --markdown are two forms; give one");
        we_config_docs();
        return WE_EXIT_OK;
    }
    ask_model(args);
    if (!(as_json ? print_json(args) : print_lines(args)))
        return we_fail_text(args->command, "out of memory for the settings");
    return report_problems(args);
}

const struct we_command we_command_config = {
    .name = "config",
    .summary = "every setting: its value, and where that comes from",
    .synopsis = "[--json] [OPTIONS]",
    .options = options,
    .num_options = sizeof options / sizeof *options,
    .settings = (UINT64_C(1) << WE_NUM_SETTINGS) - 1,
    .takes_wrong_settings = true,
    .details = "First that is set wins: flag, environment, .env, the model's generation_config.json, the default. Values that "
               "are secret are "
               "not shown. A wrong value is named, counts as not set here, and makes the exit status 1.",
    .examples = "whisperengine config\n"
                "whisperengine config --temp 0 --json",
    .run = run_command,
};
