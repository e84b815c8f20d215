#include "manual.h"

#include "terminal.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <whisperengine.h>

/* ---- roff ---- */

/* Text of a line: what roff would take for itself is escaped, and a hyphen stays what a reader can paste. */
static void print_escaped(const char *text)
{
    for (; *text; text++) {
        if (*text == '\\')
            we_out_c("\\e");
        else if (*text == '-')
            we_out_c("\\-");
        else
            we_out_printf("%c", *text);
    }
}

/* Words of a line, in lines of the page's source that stay short; one that begins with a dot or a quote would be a command. */
static void print_words(const char *text, size_t length)
{
    enum { WIDEST = 76 };
    size_t column = 0;
    for (size_t at = 0; at < length;) {
        char word[512];
        size_t n = 0, width = 0;
        while (at + n < length && text[at + n] != ' ' && n + 1 < sizeof word)
            n++;
        snprintf(word, sizeof word, "%.*s", (int)n, text + at);
        for (const char *p = word; *p; p++)
            width += *p == '-' || *p == '\\' ? 2 : 1;
        if (n && column && column + 1 + width > WIDEST) {
            we_out_c("\n");
            column = 0;
        }
        if (n) {
            we_out_c(column ? " " : *word == '.' || *word == '\'' ? "\\&" : "");
            print_escaped(word);
            column += width + (column ? 1 : 0);
        }
        at += n + (at + n < length && text[at + n] == ' ');
    }
    we_out_c("\n");
}

/* Paragraphs with empty lines between them. */
static void print_paragraphs(const char *text)
{
    while (*text) {
        size_t length = strcspn(text, "\n");
        if (length == 0)
            we_out_c(".PP\n");
        else
            print_words(text, length);
        text += length + (text[length] ? 1 : 0);
    }
}

static void print_bold(const char *text)
{
    we_out_c("\\fB");
    print_escaped(text);
    we_out_c("\\fR");
}

/* The day for the foot of the page: that of the sources where a packager gives it, so that two builds agree. */
static void print_date(void)
{
    const char *epoch = getenv("SOURCE_DATE_EPOCH");
    char *end = NULL;
    long long seconds = epoch ? strtoll(epoch, &end, 10) : 0;
    time_t when = epoch && end != epoch && *end == '\0' ? (time_t)seconds : time(NULL);
    struct tm day;
    char text[32] = "";
    if (gmtime_r(&when, &day))
        strftime(text, sizeof text, "%Y-%m-%d", &day);
    we_out_c(text);
}

static void print_title(const char *name)
{
    we_out_c(".\\\" Made by 'whisperengine help --man'.\n.TH ");
    for (; *name; name++)
        we_out_printf("%c", *name >= 'a' && *name <= 'z' ? *name - 'a' + 'A' : *name);
    we_out_c(" 1 ");
    print_date();
    we_out_printf(" \"WhisperEngine %s\"\n", we_version());
}

/* ---- options ---- */

static void print_term(const char *name, const char *alias, const char *argument)
{
    const bool letter = alias && alias[1] != '-';
    we_out_c(".TP\n");
    print_bold(letter ? alias : name);
    if (alias) {
        we_out_c(", ");
        print_bold(letter ? name : alias);
    }
    if (argument) {
        we_out_c(" \\fI");
        print_escaped(argument);
        we_out_c("\\fR");
    }
    we_out_c("\n");
}

static void print_choices(const char *choices)
{
    we_out_c("One of ");
    for (const char *p = choices; *p;) {
        size_t length = strcspn(p, "|");
        char word[64];
        snprintf(word, sizeof word, "%.*s", (int)length, p);
        we_out_c(p == choices ? "" : ", ");
        print_bold(word);
        p += length + (p[length] ? 1 : 0);
    }
    we_out_c(".\n");
}

static void print_option(const struct we_option *option)
{
    print_term(option->name, option->alias, option->argument);
    print_paragraphs(option->help);
}

static void print_setting(const struct we_setting *setting)
{
    print_term(setting->flag, setting->alias, setting->argument);
    print_paragraphs(setting->help);
    if (setting->choices) {
        we_out_c(".br\n");
        print_choices(setting->choices);
    }
    if (setting->initial) {
        we_out_c(".br\nDefault: ");
        print_bold(setting->initial);
        we_out_c(".\n");
    }
    if (setting->environment[0]) {
        we_out_c(".br\nVariable: ");
        for (size_t i = 0; i < 4 && setting->environment[i]; i++) {
            we_out_c(i ? ", " : "");
            print_bold(setting->environment[i]);
        }
        we_out_c(".\n");
    }
}

static const struct {
    enum we_setting_group group;
    const char *title;
} groups[] = {
    {WE_GROUP_MODEL, "Model"}, {WE_GROUP_REMOTE, "Endpoints"}, {WE_GROUP_SAMPLING, "Sampling"}, {WE_GROUP_DEVICE, "Device"}};

static void print_options(const struct we_command *command)
{
    const struct we_option config_file = {"--config-file", NULL, "FILE", "read this .env file instead of ./.env", 0, NULL};
    const struct we_option help = {"--help", "-h", NULL, "show this help", 0, NULL};
    we_out_c(".SH OPTIONS\n");
    for (size_t i = 0; i < command->num_options; i++)
        print_option(&command->options[i]);
    if (command->settings)
        print_option(&config_file);
    print_option(&help);
    for (size_t g = 0; g < sizeof groups / sizeof *groups; g++) {
        bool any = false;
        for (int id = 0; id < WE_NUM_SETTINGS; id++) {
            const struct we_setting *row = we_setting_row((enum we_setting_id)id);
            if (!(command->settings >> id & 1) || row->group != groups[g].group || row->flag == NULL)
                continue;
            if (!any)
                we_out_printf(".SS %s\n", groups[g].title);
            any = true;
            print_setting(row);
        }
    }
}

/* ---- pages ---- */

static void print_exit_status(void)
{
    we_out_c(".SH EXIT STATUS\n"
             "0: done. 1: the work failed. 2: wrong usage. 130: stopped by Ctrl\\-C.\n");
}

static void print_examples(const char *lines)
{
    we_out_c(".SH EXAMPLES\n.EX\n");
    print_escaped(lines);
    we_out_c("\n.EE\n");
}

static void print_command(const struct we_command *command)
{
    char name[64];
    snprintf(name, sizeof name, "whisperengine-%s", command->name);
    print_title(name);
    we_out_c(".SH NAME\n");
    print_escaped(name);
    we_out_c(" \\-\n");
    print_paragraphs(command->summary);
    we_out_printf(".SH SYNOPSIS\n.B whisperengine %s\n", command->name);
    if (command->synopsis)
        print_paragraphs(command->synopsis);
    if (command->details) {
        we_out_c(".SH DESCRIPTION\n");
        print_paragraphs(command->details);
    }
    print_options(command);
    print_exit_status();
    if (command->examples)
        print_examples(command->examples);
    we_out_c(".SH SEE ALSO\n.BR whisperengine (1)\n");
}

/* Every variable that is read, the settings without a flag too. */
static void print_variables(void)
{
    we_out_c(".SH ENVIRONMENT\n"
             "A flag comes first, then the environment, then a line of\n.IR .env ,\n"
             "then the default. For sampling the model's\n.I generation_config.json\ncomes before the default.\n");
    for (int id = 0; id < WE_NUM_SETTINGS; id++) {
        const struct we_setting *row = we_setting_row((enum we_setting_id)id);
        if (row->environment[0] == NULL)
            continue;
        we_out_c(".TP\n");
        for (size_t i = 0; i < 4 && row->environment[i]; i++) {
            we_out_c(i ? ", " : "");
            print_bold(row->environment[i]);
        }
        we_out_c("\n");
        print_paragraphs(row->help);
    }
}

static void print_overview(void)
{
    print_title("whisperengine");
    we_out_c(".SH NAME\nwhisperengine \\- run language models in MLX format\n"
             ".SH SYNOPSIS\n\\fBwhisperengine\\fR \\fICOMMAND\\fR [\\fIOPTIONS\\fR]\n.br\n"
             "\\fBwhisperengine \\-\\-version\\fR\n"
             ".SH DESCRIPTION\n");
    print_paragraphs(
        "Runs language models in MLX format in this process, and what belongs to that: it fetches, shows, converts and "
        "measures them.\n\n"
        "A MODEL is a directory, or ORG/NAME below LOCAL_MODELS_DIR/mlx or in the Hugging Face cache, or an address of "
        "OpenAI's API. Left out, it is the one that .env or the environment names (LLM_CHAT_API_URL=mlx://ORG/NAME).");
    we_out_c(".SH COMMANDS\n");
    for (size_t i = 0; i < we_num_commands; i++) {
        we_out_printf(".TP\n.BR whisperengine\\-%s (1)\n", we_commands[i]->name);
        print_paragraphs(we_commands[i]->summary);
    }
    print_variables();
    we_out_c(".SH FILES\n.TP\n.I .env\nin the current folder, else\n.IR $XDG_CONFIG_HOME/whisperengine/.env :\n"
             "the settings.\n.TP\n.I models/mlx/ORG/NAME\na model; another folder is named by LOCAL_MODELS_DIR.\n");
    print_exit_status();
}

void we_manual(const struct we_command *command)
{
    if (command)
        print_command(command);
    else
        print_overview();
}
