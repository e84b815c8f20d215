/* The documentation of the settings, made of their table. */
#include "config.h"

#include "command.h"
#include "terminal.h"

#include "config/parse.h"

#include <stdio.h>
#include <string.h>

static const char introduction[] =
    "# Configuration\n"
    "\n"
    "<!-- Made by 'whisperengine config --markdown' of src/config/settings_table.c. -->\n"
    "\n"
    "Every setting has a default. It may be set by a flag, by a variable of the environment, or by a line of `.env`; of these "
    "the first\n"
    "that says something wins, in this order. For sampling the model's `generation_config.json` comes after them, before the "
    "default.\n"
    "`whisperengine config` prints the values that are in effect and where each comes from.\n"
    "\n"
    "## The file\n"
    "`.env` is the one in the current folder, else `$XDG_CONFIG_HOME/whisperengine/.env` (`~/.config/whisperengine/.env`);\n"
    "`--config-file FILE` names another. Its lines:\n"
    "\n"
    "```sh\n"
    "# a comment\n"
    "MLX_MAX_TOKENS=512              # blanks around = are allowed, and so is a comment here\n"
    "export BOT_SYSTEM_PROMPT_FILE='my prompt.txt'\n"
    "LOCAL_MODELS_DIR=\"${HOME}/models\"    # ${NAME}: from the environment, else from a line above\n"
    "HF_HOME=${HF_HOME:-/data/hf}    # what follows :- is used where NAME is not set or empty\n"
    "```\n"
    "\n"
    "- In double quotes `\\n \\r \\t \\\" \\\\ \\$` are escapes, and `${NAME}` is expanded; in single quotes only `\\'` and "
    "`\\\\` are special. A quoted\n"
    "  value may span lines.\n"
    "- Of several lines with one name the last counts. An empty value counts as not set.\n"
    "- Names that are not listed here do no harm, nor do lines that cannot be read, unless they begin with a name that is;\n"
    "  `whisperengine config` tells of such lines, and of names that are nearly one of these.\n"
    "- Relative paths in the file are meant from its folder; `~/` is the home folder.\n"
    "- `whisperengine use` changes the lines that say which model, and leaves all others as they are.\n";

static const struct {
    enum we_setting_group group;
    const char *title, *text;
} groups[] = {
    {WE_GROUP_MODEL, "Model",
     "`LLM_CHAT_API_URL=mlx://ORG/NAME` is a model on this machine, and `http(s)://HOST/v1` an endpoint; `mlx:///DIRECTORY` is "
     "a directory.\n"
     "Where it is an endpoint, `LLM_CHAT_MODEL` is the name of a model there, else one of a model here."},
    {WE_GROUP_REMOTE, "Endpoints",
     "For addresses of OpenAI's API: LM Studio, Ollama, vLLM, SGLang, `mlx_lm.server` and others."},
    {WE_GROUP_SAMPLING, "Sampling", "The names and meanings are those of mlx-lm."},
    {WE_GROUP_DEVICE, "Device", NULL},
    {WE_GROUP_INTERFACE, "Interface and logs",
     "Names that files of the original application hold. The command itself needs none of them; `whisperengine config` checks "
     "them."},
};

/* Inside a table. */
static void print_cell(const char *text)
{
    we_out_c(" ");
    for (; *text; text++)
        we_out_printf(*text == '|' ? "\\%c" : "%c", *text);
    we_out_c(" |");
}

static void print_names(const struct we_setting *row)
{
    char text[160] = "";
    size_t used = 0;
    for (size_t i = 0; i < 4 && row->environment[i]; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s`%s`", i ? ", " : "", row->environment[i]);
    print_cell(text);
    text[0] = '\0';
    if (row->flag)
        snprintf(text, sizeof text, row->alias ? "`%s`, `%s`" : "`%s`", row->flag, row->alias);
    print_cell(text);
}

static void print_row(const struct we_setting *row)
{
    char text[256];
    we_out_c("|");
    print_names(row);
    if (row->type == WE_SETTING_SWITCH)
        snprintf(text, sizeof text, "1 or 0");
    else
        we_setting_expected(row, text, sizeof text);
    if (text[0] && text[strlen(text) - 1] == ',')
        text[strlen(text) - 1] = '\0';
    print_cell(text);
    snprintf(text, sizeof text, row->initial ? "`%s`" : "%s", row->initial ? row->initial : "");
    print_cell(text);
    snprintf(text, sizeof text, "%s%s", row->help, row->secret ? " (a secret, never shown)" : "");
    print_cell(text);
    we_out_c("\n");
}

void we_config_docs(void)
{
    we_out_c(introduction);
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        we_out_printf("\n## %s\n", groups[i].title);
        if (groups[i].text)
            we_out_printf("%s\n\n", groups[i].text);
        we_out_c("| variable | flag | values | default | what it is |\n| --- | --- | --- | --- | --- |\n");
        for (int id = 0; id < WE_NUM_SETTINGS; id++)
            if (we_setting_row((enum we_setting_id)id)->group == groups[i].group)
                print_row(we_setting_row((enum we_setting_id)id));
    }
}
