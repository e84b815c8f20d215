#include "args.h"

#include "help.h"
#include "progress.h"
#include "terminal.h"

#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- errors ---- */

/* The lines of a message after the first are set in, so that they read as one. */
static void print_message(const struct we_command *command, const char *message)
{
    const char *on = we_terminal_style(STDERR_FILENO, WE_STYLE_ERROR), *off = we_terminal_style(STDERR_FILENO, WE_STYLE_NONE);
    struct we_buf line = {0};
    we_buf_printf(&line, "%swhisperengine%s%s:%s ", on, command ? " " : "", command ? command->name : "", off);
    for (const char *p = message; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '\n')
            we_buf_append_c(&line, "\n  ");
        else if (c >= 0x20 && c != 0x7F)
            we_buf_append_byte(&line, *p);
        else
            we_buf_printf(&line, "\\x%02X", c); /* names of files and tensors may hold anything */
    }
    we_buf_append_byte(&line, '\n');
    we_spinner_stop();
    fputs(line.failed ? "whisperengine: out of memory\n" : line.data, stderr);
    we_buf_free(&line);
}

int we_usage_error(const struct we_command *command, const char *format, ...)
{
    char message[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    print_message(command, message);
    fprintf(stderr, "Try 'whisperengine help%s%s'.\n", command ? " " : "", command ? command->name : "");
    return WE_EXIT_USAGE;
}

int we_fail(const struct we_command *command, const struct we_error *error)
{
    if (error->status == WE_CANCELLED)
        return WE_EXIT_INTERRUPTED;
    print_message(command, error->message);
    return WE_EXIT_FAILED;
}

int we_fail_text(const struct we_command *command, const char *format, ...)
{
    char message[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    print_message(command, message);
    return WE_EXIT_FAILED;
}

void we_warn(const struct we_command *command, const char *format, ...)
{
    char message[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    print_message(command, message);
}

/* ---- parsing ---- */

static const struct we_option common_options[] = { /* the first one where there are settings */
    {"--config-file", NULL, "FILE", "read this .env file instead of ./.env", WE_VALUE_FILE},
    {"--help", "-h", NULL, "show this help"},
};

static bool option_is(const struct we_option *option, const char *flag)
{
    return strcmp(option->name, flag) == 0 || (option->alias && strcmp(option->alias, flag) == 0);
}

static const struct we_option *find_option(const struct we_command *command, const char *flag)
{
    for (size_t i = 0; i < command->num_options; i++)
        if (option_is(&command->options[i], flag))
            return &command->options[i];
    for (size_t i = command->settings ? 0 : 1; i < sizeof common_options / sizeof *common_options; i++)
        if (option_is(&common_options[i], flag))
            return &common_options[i];
    return NULL;
}

/* A setting's flag, as an option. */
static struct we_option option_of(const struct we_setting *setting)
{
    struct we_option option = {setting->flag, setting->alias, setting->argument, setting->help, WE_VALUE_ANY, setting->choices};
    if (setting->id == WE_SETTING_MODEL)
        option.kind = WE_VALUE_MODEL;
    else if (setting->type == WE_SETTING_PATH)
        option.kind = strcmp(setting->argument, "DIR") == 0 ? WE_VALUE_DIRECTORY : WE_VALUE_FILE;
    return option;
}

bool we_command_flag(const struct we_command *command, size_t index, struct we_option *flag)
{
    if (index < command->num_options) {
        *flag = command->options[index];
        return true;
    }
    index -= command->num_options;
    for (int id = 0; id < WE_NUM_SETTINGS; id++)
        if ((command->settings >> id & 1) && we_setting_row(id)->flag && index-- == 0) {
            *flag = option_of(we_setting_row(id));
            return true;
        }
    index += command->settings ? 0 : 1; /* no settings: no --config-file */
    if (index < sizeof common_options / sizeof *common_options)
        *flag = common_options[index];
    return index < sizeof common_options / sizeof *common_options;
}

static const struct we_setting *find_setting(const struct we_command *command, const char *flag)
{
    const struct we_setting *setting = we_setting_by_flag(flag);
    return setting && (command->settings >> setting->id & 1) ? setting : NULL;
}

static bool is_unbuilt(const struct we_command *command, const char *flag)
{
    char word[64];
    int n = snprintf(word, sizeof word, " %s ", flag);
    return command->unbuilt && n > 0 && (size_t)n < sizeof word && strstr(command->unbuilt, word);
}

static void consider(const char *flag, const char *candidate, const char **best, size_t *best_distance)
{
    if (candidate == NULL || strncmp(candidate, "--", 2) != 0)
        return;
    size_t distance = we_str_distance(we_str_c(flag), we_str_c(candidate));
    size_t length = strlen(flag);
    if (length > 4 && strncmp(flag, candidate, length) == 0)
        distance = 1; /* the beginning of it */
    if (distance < *best_distance) {
        *best_distance = distance;
        *best = candidate;
    }
}

static int unknown_flag(const struct we_command *command, const char *flag)
{
    if (is_unbuilt(command, flag))
        return we_usage_error(command, "%s is not built yet", flag);
    const char *best = NULL;
    size_t distance = strlen(flag) / 3 + 1;
    struct we_option option;
    for (size_t i = 0; we_command_flag(command, i, &option); i++) {
        consider(flag, option.name, &best, &distance);
        consider(flag, option.alias, &best, &distance);
    }
    if (best)
        return we_usage_error(command, "there is no option %s; did you mean %s?", flag, best);
    return we_usage_error(command, "there is no option %s", flag);
}

struct parser {
    const struct we_command *command;
    struct we_args *args;
    struct {
        const struct we_setting *setting;
        const char *value;
    } * settings; /* applied when .env has been read */
    size_t num_settings;
    int argc, at;
    char **argv;
    bool help;
    int status;
};

/* Splits "--flag=value" and "-mVALUE"; `flag` has room for `size` bytes. */
static const char *split_flag(const struct we_command *command, const char *word, char *flag, size_t size)
{
    size_t length = strcspn(word, "=");
    const char *value = word[length] ? word + length + 1 : NULL;
    if (word[1] != '-' && word[1] && word[2] && word[2] != '=') {
        char letter[3] = {'-', word[1], '\0'};
        const struct we_option *option = find_option(command, letter);
        bool takes_value = (option && option->argument) || find_setting(command, letter);
        bool whole = is_unbuilt(command, word) || find_option(command, word);
        if (takes_value && !whole) {
            length = 2;
            value = word + 2;
        }
    }
    snprintf(flag, size, "%.*s", (int)(length < size ? length : size - 1), word);
    return value;
}

static bool parse_flag(struct parser *p, const char *word)
{
    char flag[128];
    const char *value = split_flag(p->command, word, flag, sizeof flag);
    const struct we_option *option = find_option(p->command, flag);
    const struct we_setting *setting = option ? NULL : find_setting(p->command, flag);
    if (option == NULL && setting == NULL) {
        p->status = unknown_flag(p->command, flag);
        return false;
    }
    const char *argument = option ? option->argument : setting->argument ? setting->argument : "VALUE";
    if (argument && value == NULL) {
        if (p->at >= p->argc) {
            p->status = we_usage_error(p->command, "%s takes a value: %s %s", flag, flag, argument);
            return false;
        }
        value = p->argv[p->at++];
    } else if (argument == NULL && value) {
        p->status = we_usage_error(p->command, "%s takes no value, but was given '%s'", flag, value);
        return false;
    }
    if (option == &common_options[1])
        p->help = true;
    if (option) {
        p->args->given[p->args->num_given++] = (struct we_arg){option, value};
    } else {
        p->settings[p->num_settings].setting = setting;
        p->settings[p->num_settings++].value = value;
    }
    return true;
}

static bool parse_words(struct parser *p)
{
    bool options_ended = false;
    while (p->at < p->argc) {
        const char *word = p->argv[p->at++];
        if (!options_ended && strcmp(word, "--") == 0)
            options_ended = true;
        else if (!options_ended && word[0] == '-' && word[1]) {
            if (!parse_flag(p, word))
                return false;
        } else
            p->args->operands[p->args->num_operands++] = word;
    }
    return true;
}

static bool check_operands(struct parser *p)
{
    size_t n = p->args->num_operands;
    const struct we_command *command = p->command;
    if (n > command->max_operands) {
        const char *extra = p->args->operands[command->max_operands];
        if (command->max_operands == 0 && find_option(command, "--prompt"))
            p->status =
                we_usage_error(command, "'%s' is one word too many: a prompt is given as -p '...', a model as -m MODEL", extra);
        else
            p->status = we_usage_error(command, "'%s' is one word too many", extra);
        return false;
    }
    if (n < command->min_operands) {
        p->status = we_usage_error(command, "something is missing: whisperengine %s %s", command->name, command->synopsis);
        return false;
    }
    return true;
}

static bool apply_settings(struct parser *p)
{
    struct we_error error;
    if (p->command->settings == 0)
        return true; /* a broken .env must not keep someone from reading the help */
    const char *file = we_args_text(p->args, "--config-file");
    we_status status = p->command->takes_broken_file
                           ? we_settings_open_anyway(file, &p->args->settings, &p->args->file_problem, &error)
                           : we_settings_open(file, &p->args->settings, &error);
    if (status != WE_OK) {
        p->status = we_fail(p->command, &error);
        return false;
    }
    for (size_t i = 0; i < p->num_settings; i++)
        if (we_settings_set(p->args->settings, p->settings[i].setting->id, p->settings[i].value, &error) != WE_OK) {
            p->status = we_usage_error(p->command, "%s", error.message);
            return false;
        }
    if (!p->command->takes_wrong_settings && we_settings_check(p->args->settings, &error) != WE_OK) {
        p->status = we_usage_error(p->command, "%s", error.message);
        return false;
    }
    if (we_settings_export(p->args->settings, &error) != WE_OK) {
        p->status = we_fail(p->command, &error);
        return false;
    }
    return true;
}

bool we_args_parse(const struct we_command *command, int argc, char **argv, struct we_args *args, int *exit_status)
{
    size_t room = argc > 0 ? (size_t)argc : 1;
    struct parser p = {.command = command, .args = args, .argc = argc, .argv = argv, .status = WE_EXIT_FAILED};
    *args = (struct we_args){
        .command = command, .given = calloc(room, sizeof *args->given), .operands = calloc(room, sizeof *args->operands)};
    p.settings = calloc(room, sizeof *p.settings);
    bool run = false;
    if (args->given == NULL || args->operands == NULL || p.settings == NULL) {
        p.status = we_fail_text(command, "out of memory");
    } else if (parse_words(&p)) {
        if (p.help) {
            we_help_command(command);
            p.status = we_out_finish(WE_EXIT_OK);
        } else {
            run = check_operands(&p) && apply_settings(&p);
        }
    }
    free(p.settings);
    *exit_status = p.status;
    if (!run)
        we_args_free(args);
    return run;
}

void we_args_free(struct we_args *args)
{
    we_settings_free(args->settings);
    free(args->given);
    free(args->operands);
    *args = (struct we_args){0};
}

/* ---- looking at what was given ---- */

const char *we_args_text(const struct we_args *args, const char *name)
{
    for (size_t i = args->num_given; i-- > 0;)
        if (strcmp(args->given[i].option->name, name) == 0)
            return args->given[i].value;
    return NULL;
}

bool we_args_has(const struct we_args *args, const char *name)
{
    for (size_t i = 0; i < args->num_given; i++)
        if (strcmp(args->given[i].option->name, name) == 0)
            return true;
    return false;
}

bool we_args_u32(const struct we_args *args, const char *name, uint32_t min, uint32_t max, uint32_t initial, uint32_t *value)
{
    *value = initial;
    const char *text = we_args_text(args, name);
    if (text == NULL)
        return true;
    uint64_t number = 0;
    size_t digits = strspn(text, "0123456789");
    bool ok = digits > 0 && digits <= 10 && text[digits] == '\0';
    for (size_t i = 0; ok && i < digits; i++)
        number = number * 10 + (uint64_t)(text[i] - '0');
    if (!ok || number < min || number > max) {
        we_usage_error(args->command, "%s takes a whole number from %u to %u, not '%s'", name, min, max, text);
        return false;
    }
    *value = (uint32_t)number;
    return true;
}
