/* help: what there is, from the rows of commands and settings. */
#include "help.h"

#include "args.h"
#include "layout.h"
#include "manual.h"
#include "terminal.h"

#include <stdio.h>
#include <string.h>

enum { MARGIN = 2, COLUMN = 30, NARROW = 64, WIDEST = 100 };

static unsigned page_width(void)
{
    unsigned width = we_terminal_width(STDOUT_FILENO);
    return width > WIDEST ? WIDEST : width;
}

static void print_heading(const char *text)
{
    we_out_printf("\n%s%s%s\n", we_terminal_style(STDOUT_FILENO, WE_STYLE_BOLD), text, we_terminal_style(STDOUT_FILENO, WE_STYLE_NONE));
}

/* "  TERM      its text, folded". */
static void print_definition(const char *term, const char *text, unsigned column)
{
    unsigned width = page_width();
    if (width < NARROW) {
        column = 6;
        term += strspn(term, " ");
    }
    unsigned used = MARGIN + (unsigned)we_text_width(we_str_c(term));
    we_out_printf("%*s%s", MARGIN, "", term);
    if (used + 2 > column) {
        we_out_c("\n");
        used = 0;
    }
    we_print_folded(text, width, column, used);
}

static void print_lines(const char *lines)
{
    while (*lines) {
        size_t length = strcspn(lines, "\n");
        we_out_printf("%*s%.*s\n", MARGIN, "", (int)length, lines);
        lines += length + (lines[length] ? 1 : 0);
    }
}

/* "-m, --model MODEL"; aliases that are words come second. */
static void make_term(char *out, size_t size, const char *name, const char *alias, const char *argument)
{
    bool letter = alias && alias[1] != '-';
    snprintf(out, size, "%s%s%s%s%s%s%s", letter ? alias : "    ", letter ? ", " : "", name, alias && !letter ? ", " : "",
             alias && !letter ? alias : "", argument ? " " : "", argument ? argument : "");
}

static void print_setting(const struct we_setting *setting)
{
    char term[96], text[512];
    make_term(term, sizeof term, setting->flag, setting->alias, setting->argument);
    int used = snprintf(text, sizeof text, "%s", setting->help);
    if (setting->initial)
        used += snprintf(text + used, sizeof text - (size_t)used, " (%s)", setting->initial);
    if (setting->environment[0])
        snprintf(text + used, sizeof text - (size_t)used, " [%s]", setting->environment[0]);
    print_definition(term, text, COLUMN);
}

static void print_settings(const struct we_command *command, enum we_setting_group group, const char *heading)
{
    bool any = false;
    for (int id = 0; id < WE_NUM_SETTINGS; id++) {
        const struct we_setting *setting = we_setting_row(id);
        if (!(command->settings >> id & 1) || setting->group != group || setting->flag == NULL)
            continue;
        if (!any)
            print_heading(heading);
        any = true;
        print_setting(setting);
    }
}

void we_help_command(const struct we_command *command)
{
    char term[96];
    we_out_printf("Usage: whisperengine %s%s%s\n\n", command->name, command->synopsis ? " " : "", command->synopsis ? command->synopsis : "");
    we_out_printf("%c", command->summary[0] - ('a' <= command->summary[0] && command->summary[0] <= 'z' ? 'a' - 'A' : 0));
    we_out_printf("%s.\n", command->summary + 1);
    if (command->details) {
        we_out_c("\n");
        we_print_folded(command->details, page_width(), 0, 0);
    }
    print_heading("Options");
    for (size_t i = 0; i < command->num_options; i++) {
        const struct we_option *option = &command->options[i];
        make_term(term, sizeof term, option->name, option->alias, option->argument);
        print_definition(term, option->help, COLUMN);
    }
    if (command->settings)
        print_definition("    --config-file FILE", "read this .env file instead of ./.env", COLUMN);
    print_definition("-h, --help", "show this help", COLUMN);
    print_settings(command, WE_GROUP_MODEL, "Model");
    print_settings(command, WE_GROUP_REMOTE, "Endpoints");
    print_settings(command, WE_GROUP_SAMPLING, "Sampling");
    print_settings(command, WE_GROUP_DEVICE, "Device");
    if (command->settings) {
        we_out_c("\n");
        we_print_folded("In parentheses: what is used otherwise. In brackets: the variable that sets it, in the environment or in .env.",
                        page_width(), 0, 0);
    }
    if (command->examples) {
        print_heading(strchr(command->examples, '\n') ? "Examples" : "Example");
        print_lines(command->examples);
    }
}

void we_help_overview(void)
{
    we_out_c("Usage: whisperengine COMMAND [OPTIONS]\n\n");
    we_print_folded("Runs language models in MLX format, in this process.", page_width(), 0, 0);
    print_heading("Commands");
    for (size_t i = 0; i < we_num_commands; i++)
        print_definition(we_commands[i]->name, we_commands[i]->summary, 16);
    we_out_c("\n");
    we_print_folded("MODEL is a directory, or ORG/NAME below LOCAL_MODELS_DIR/mlx or in the Hugging Face cache. Without -m it is the one "
                    "that .env or the environment names (LLM_CHAT_API_URL=mlx://ORG/NAME).\n\n"
                    "Exit status: 0 done, 1 the work failed, 2 wrong usage, 130 stopped by Ctrl-C.\n\n"
                    "'whisperengine help COMMAND' tells more about one.",
                    page_width(), 0, 0);
}

int we_unknown_command(const char *name)
{
    if (we_command_is_planned(name))
        return we_usage_error(NULL, "'%s' is not built yet", name);
    const struct we_command *best = NULL;
    size_t best_distance = strlen(name) < 6 ? 2 : strlen(name) / 3 + 1;
    for (size_t i = 0; i < we_num_commands; i++) {
        size_t distance = we_str_distance(we_str_c(name), we_str_c(we_commands[i]->name));
        if (distance < best_distance) {
            best_distance = distance;
            best = we_commands[i];
        }
    }
    if (best)
        return we_usage_error(NULL, "there is no command '%s'; did you mean '%s'?", name, best->name);
    return we_usage_error(NULL, "there is no command '%s'", name);
}

static const struct we_option options[] = {
    {"--man", NULL, NULL, "print the manual page, for man"},
};

static int run_command(const struct we_args *args)
{
    const bool manual = we_args_has(args, "--man");
    if (args->num_operands == 0) {
        if (manual)
            we_manual(NULL);
        else
            we_help_overview();
        return WE_EXIT_OK;
    }
    const struct we_command *command = we_command_find(args->operands[0]);
    if (command == NULL)
        return we_unknown_command(args->operands[0]);
    if (manual)
        we_manual(command);
    else
        we_help_command(command);
    return WE_EXIT_OK;
}

const struct we_command we_command_help = {
    .name = "help",
    .summary = "this overview, or what one command takes",
    .synopsis = "[COMMAND]",
    .options = options,
    .num_options = sizeof options / sizeof *options,
    .max_operands = 1,
    .operand_kind = WE_VALUE_COMMAND,
    .examples = "whisperengine help run\n"
                "whisperengine help --man run | man -l -",
    .run = run_command,
};
