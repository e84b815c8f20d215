/* validate: the checks, with a mark for each. */
#include "validate.h"

#include "input.h"
#include "layout.h"
#include "progress.h"
#include "terminal.h"

#include "base/system.h"
#include "config/profiles.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const struct we_option options[] = {
    {"--full", NULL, NULL, "compare every file with its hash, however large"},
    {"--no-speed", NULL, NULL, "measure nothing"},
    {"--json", NULL, NULL, "print one JSON object"},
};

enum { NAME_WIDTH = 18, HINT_INDENT = 8 };

/* ---- telling ---- */

static const char *mark_name(enum we_check_mark mark)
{
    static const char *const names[] = {"passed", "warning", "failed", "skipped"};
    return names[mark];
}

static const char *mark_sign(enum we_check_mark mark)
{
    static const char *const signs[] = {"✓", "!", "✗", "–"}, *const words[] = {"ok  ", "warn", "FAIL", "skip"};
    return we_terminal_utf8() ? signs[mark] : words[mark];
}

static void print_heading(struct we_validation *v, const char *group)
{
    we_out_printf("%s%s%c%s%s\n", v->group ? "\n" : "", we_terminal_style(STDOUT_FILENO, WE_STYLE_BOLD), toupper(group[0]),
                  group + 1, we_terminal_style(STDOUT_FILENO, WE_STYLE_NONE));
}

/* Lines, set in by `at`; the first one begins there. Messages hold names of files and words of servers. */
static void print_text(const char *text, unsigned at)
{
    struct we_buf line = {0};
    const unsigned width = we_terminal_is(STDOUT_FILENO) ? we_terminal_width(STDOUT_FILENO) : 1u << 20;
    for (bool first = true; *text; first = false) {
        size_t length = strcspn(text, "\n");
        we_buf_clear(&line);
        we_buf_append(&line, we_str(text, length));
        we_make_printable(&line);
        if (!line.failed)
            we_print_folded(line.data, width, at, first ? at : 0);
        text += length;
        text += *text == '\n';
    }
    we_buf_free(&line);
}

static void print_check(struct we_validation *v, const struct we_check *check)
{
    static const enum we_style styles[] = {WE_STYLE_GOOD, WE_STYLE_WARNING, WE_STYLE_ERROR, WE_STYLE_DIM};
    const char *off = we_terminal_style(STDOUT_FILENO, WE_STYLE_NONE), *sign = mark_sign(check->mark);
    const bool narrow = we_terminal_width(STDOUT_FILENO) < 60;
    const unsigned begin = 2 + (unsigned)we_text_width(we_str_c(sign)) + 1;
    if (v->group == NULL || strcmp(v->group, check->group) != 0)
        print_heading(v, check->group);
    we_out_printf("  %s%s%s ", we_terminal_style(STDOUT_FILENO, styles[check->mark]), sign, off);
    if (narrow)
        we_out_printf("%s\n%*s", check->name, (int)begin, "");
    else
        we_out_printf("%-*s", NAME_WIDTH, check->name);
    print_text(check->text, begin + (narrow ? 0 : NAME_WIDTH));
    if (check->hint) /* never folded: it is to be pasted */
        we_out_printf("%*s%stry:%s  %s\n", HINT_INDENT - 4, "", we_terminal_style(STDOUT_FILENO, WE_STYLE_DIM), off,
                      check->hint);
    we_out_flush();
}

static void keep_check(struct we_validation *v, const struct we_check *check)
{
    we_json_open(&v->json, NULL, '{');
    we_json_text(&v->json, "group", check->group);
    we_json_text(&v->json, "name", check->name);
    we_json_text(&v->json, "status", mark_name(check->mark));
    we_json_text(&v->json, "message", check->text);
    we_json_text(&v->json, "hint", check->hint);
    we_json_close(&v->json, '}');
}

bool we_validation_tell(void *context, const struct we_check *check)
{
    struct we_validation *v = context;
    we_spinner_stop();
    v->counts[check->mark]++;
    if (v->as_json)
        keep_check(v, check);
    else
        print_check(v, check);
    v->group = we_validation_text(v, "%s", check->group);
    if (v->step)
        we_spinner_start(v->step);
    return true;
}

void we_validation_step(void *context, const char *what)
{
    struct we_validation *v = context;
    v->step = what;
    we_spinner_stop();
    if (what)
        we_spinner_start(what);
}

const char *we_validation_text(struct we_validation *v, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *text = we_arena_vformat(&v->arena, format, args);
    va_end(args);
    return text ? text : "";
}

void we_validation_check(struct we_validation *v, const char *group, enum we_check_mark mark, const char *name,
                         const char *hint, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *text = we_arena_vformat(&v->arena, format, args);
    va_end(args);
    we_validation_tell(v, &(struct we_check){group, name, mark, text ? text : "", hint});
}

/* ---- the order ---- */

struct first_model {
    struct we_validation *v;
    const char *name;
};

static bool take_first(void *context, const struct we_store_entry *entry)
{
    struct first_model *first = context;
    if (entry->complete)
        first->name = we_validation_text(first->v, "%s", entry->name);
    return !entry->complete;
}

/* The hint: a model that is here, else the one that everything is tested with. */
static void no_model(struct we_validation *v)
{
    struct first_model first = {.v = v};
    struct we_error ignored;
    (void)we_store_list(we_settings_text(v->args->settings, WE_SETTING_MODELS_DIR), take_first, &first, &ignored);
    we_validation_check(v, "files", WE_CHECK_FAILED, "model",
                        first.name ? we_validation_text(v, "whisperengine use %s", first.name)
                                   : "whisperengine pull HuggingFaceTB/SmolLM2-135M-Instruct-4bit",
                        "no model is named: neither by -m, nor by LLM_CHAT_API_URL, LLM_CHAT_MODEL or MLX_MODEL_NAME%s",
                        first.name ? "" : ", and none is here");
}

static we_status validate(struct we_validation *v, struct we_error *error)
{
    struct we_model_options model;
    const char *name = we_settings_text(v->args->settings, WE_SETTING_MODEL);
    we_model_options_init(&model);
    we_settings_model_options(v->args->settings, &model);
    const struct we_validate_options validate_options = {
        .model = &model,
        .full = we_args_has(v->args, "--full"),
        .no_speed = we_args_has(v->args, "--no-speed"),
        .on_check = we_validation_tell,
        .on_step = we_validation_step,
        .context = v,
    };
    we_status status = we_validate_platform(&validate_options, error);
    if (status == WE_OK)
        we_validate_configuration(v);
    if (status == WE_OK && (name == NULL || *name == '\0')) {
        no_model(v);
        return WE_OK;
    }
    if (status == WE_OK && !we_is_address(name))
        status = we_validate_model(name, &validate_options, error);
    we_validation_step(v, "asking who is configured");
    if (status == WE_OK)
        we_validate_pipeline(v, name);
    we_validation_step(v, NULL);
    return status;
}

static int finish(struct we_validation *v, double seconds)
{
    const uint32_t *n = v->counts;
    const bool failed = n[WE_CHECK_FAILED] > 0;
    const int status = failed ? WE_EXIT_FAILED : WE_EXIT_OK;
    if (!v->as_json) {
        const bool warned = n[WE_CHECK_WARNING] > 0;
        we_out_printf("\n%s%s%s: %u passed, %u %s, %u failed, %u skipped, in %.1f s\n",
                      we_terminal_style(STDOUT_FILENO, failed   ? WE_STYLE_ERROR
                                                       : warned ? WE_STYLE_WARNING
                                                                : WE_STYLE_GOOD),
                      failed   ? "It does not work as it is"
                      : warned ? "It works, with warnings"
                               : "All is well",
                      we_terminal_style(STDOUT_FILENO, WE_STYLE_NONE), n[WE_CHECK_PASSED], n[WE_CHECK_WARNING],
                      n[WE_CHECK_WARNING] == 1 ? "warning" : "warnings", n[WE_CHECK_FAILED], n[WE_CHECK_SKIPPED], seconds);
        return status;
    }
    we_json_close(&v->json, ']');
    we_json_bool(&v->json, "ok", !failed);
    for (int mark = 0; mark <= WE_CHECK_SKIPPED; mark++)
        we_json_integer(&v->json, mark_name((enum we_check_mark)mark), n[mark]);
    we_json_number(&v->json, "seconds", seconds);
    we_json_close(&v->json, '}');
    return we_json_print(&v->json) ? status : we_fail_text(v->args->command, "out of memory for the JSON object");
}

static int run_command(const struct we_args *args)
{
    struct we_validation v = {.args = args, .as_json = we_args_has(args, "--json")};
    struct we_error error;
    const double start = we_clock();
    if (v.as_json) {
        we_json_open(&v.json, NULL, '{');
        we_json_open(&v.json, "checks", '[');
    }
    int status = validate(&v, &error) == WE_OK ? finish(&v, we_clock() - start) : we_fail(args->command, &error);
    we_buf_free(&v.json.buf);
    we_arena_free(&v.arena);
    return status;
}

const struct we_command we_command_validate = {
    .name = "validate",
    .summary = "check machine, configuration, model and replies",
    .synopsis = "[-m MODEL] [--full] [--no-speed] [--json]",
    .options = options,
    .num_options = sizeof options / sizeof *options,
    .settings = WE_TAKES_STORE | WE_TAKES_DEVICE | WE_TAKES_ENDPOINT | WE_TAKES_SYSTEM_PROMPT,
    .takes_wrong_settings = true,
    .takes_broken_file = true,
    .details =
        "Looks at the platform, every line of the configuration, the files of the model (whole, and in agreement), the memory "
        "it needs, the tokens that come, the chat template, streaming, stop strings and seeds, the speed against this "
        "machine's "
        "own bandwidth, and at last asks whoever is configured for a reply. A check that fails tells what to do, and makes the "
        "exit "
        "status 1; a warning does not.",
    .examples = "whisperengine validate\n"
                "whisperengine validate -m ORG/NAME --full\n"
                "whisperengine validate --json",
    .run = run_command,
};
