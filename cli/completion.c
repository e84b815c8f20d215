/* completion: scripts for shells, made from the rows of commands and settings. */
#include "args.h"
#include "terminal.h"

#include <string.h>

/* The words of "a|b|c", each between `before` and `after`. */
static void print_choices(const char *choices, const char *before, const char *after)
{
    while (*choices) {
        size_t length = strcspn(choices, "|");
        we_out_printf("%s%.*s%s", before, (int)length, choices, after);
        choices += length + (choices[length] ? 1 : 0);
    }
}

/* Inside single quotes: in all shells a quote ends them; `escaped` are further characters that need a backslash. */
static void print_quoted(const char *text, const char *quote, const char *escaped)
{
    for (; *text; text++) {
        if (*text == '\'')
            we_out_c(quote);
        else
            we_out_printf(strchr(escaped, *text) ? "\\%c" : "%c", *text);
    }
}

static const char *kind_name(enum we_value_kind kind)
{
    static const char *const names[] = {"none", "file", "directory", "model", "command"};
    return names[kind];
}

/* ---- bash ---- */

static const char bash_helpers[] =
    "# Adds the words that begin with what was typed.\n"
    "_whisperengine_add() {\n"
    "    local typed=$1 word\n"
    "    shift\n"
    "    for word; do\n"
    "        [[ $word == \"$typed\"* ]] && COMPREPLY+=(\"$word\")\n"
    "    done\n"
    "    return 0\n"
    "}\n"
    "\n"
    "# Adds the lines of standard input that do.\n"
    "_whisperengine_add_lines() {\n"
    "    local line\n"
    "    while IFS= read -r line; do\n"
    "        _whisperengine_add \"$1\" \"$line\"\n"
    "    done\n"
    "}\n"
    "\n"
    "_whisperengine() {\n"
    "    local typed=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} flags= kind= words= operand=none "
    "operand_words=\n"
    "    COMPREPLY=()\n"
    "    # --flag=value comes as three words.\n"
    "    if [[ $typed == = ]]; then\n"
    "        typed=\n"
    "    elif [[ $before == = ]]; then\n"
    "        before=${COMP_WORDS[COMP_CWORD-2]}\n"
    "    fi\n"
    "    if ((COMP_CWORD == 1)); then\n"
    "        _whisperengine_add \"$typed\" $_whisperengine_commands --help --version\n"
    "        return\n"
    "    fi\n"
    "    case ${COMP_WORDS[1]} in\n";

static const char bash_end[] =
    "    esac\n"
    "    if [[ -z $kind && $typed == -* ]]; then\n"
    "        _whisperengine_add \"$typed\" $flags\n"
    "        return\n"
    "    fi\n"
    "    if [[ -z $kind ]]; then\n"
    "        kind=$operand words=$operand_words\n"
    "    fi\n"
    "    case $kind in\n"
    "    words) _whisperengine_add \"$typed\" $words ;;\n"
    "    command) _whisperengine_add \"$typed\" $_whisperengine_commands ;;\n"
    "    file | directory | model)\n"
    "        _whisperengine_add \"$typed\" $words\n"
    "        compopt -o filenames 2>/dev/null\n"
    "        if [[ $kind == model ]]; then\n"
    "            _whisperengine_add_lines \"$typed\" < <(\"${COMP_WORDS[0]/#\\~/$HOME}\" list --names 2>/dev/null)\n"
    "            kind=directory\n"
    "        fi\n"
    "        if [[ $kind == directory ]]; then\n"
    "            _whisperengine_add_lines \"$typed\" < <(compgen -d -- \"$typed\")\n"
    "        else\n"
    "            _whisperengine_add_lines \"$typed\" < <(compgen -f -- \"$typed\")\n"
    "        fi\n"
    "        ;;\n"
    "    esac\n"
    "}\n"
    "complete -F _whisperengine whisperengine\n";

static void bash_command(const struct we_command *command)
{
    struct we_option flag;
    we_out_printf("    %s)\n        flags='", command->name);
    for (size_t i = 0; we_command_flag(command, i, &flag); i++)
        we_out_printf("%s%s", i ? " " : "", flag.name);
    we_out_c("'\n");
    if (command->operand_choices) {
        we_out_printf("        operand=%s operand_words='", command->operand_kind == WE_VALUE_MODEL ? "model" : "words");
        print_choices(command->operand_choices, " ", "");
        we_out_c("'\n");
    } else if (command->max_operands) {
        we_out_printf("        operand=%s\n", kind_name(command->operand_kind));
    }
    we_out_c("        case $before in\n");
    for (size_t i = 0; we_command_flag(command, i, &flag); i++) {
        if (flag.argument == NULL)
            continue;
        we_out_printf("        %s%s%s) ", flag.name, flag.alias ? " | " : "", flag.alias ? flag.alias : "");
        if (flag.choices) {
            we_out_c("kind=words words='");
            print_choices(flag.choices, " ", "");
            we_out_c("' ;;\n");
        } else {
            we_out_printf("kind=%s ;;\n", kind_name(flag.kind));
        }
    }
    we_out_c("        esac\n        ;;\n");
}

static void print_bash(void)
{
    we_out_c("# bash completion for whisperengine. To use it in this shell: source <(whisperengine completion bash)\n\n"
             "_whisperengine_commands='");
    for (size_t i = 0; i < we_num_commands; i++)
        we_out_printf("%s%s", i ? " " : "", we_commands[i]->name);
    we_out_c("'\n\n");
    we_out_c(bash_helpers);
    for (size_t i = 0; i < we_num_commands; i++)
        bash_command(we_commands[i]);
    we_out_c(bash_end);
}

/* ---- zsh ---- */

static void zsh_action(enum we_value_kind kind, const char *choices)
{
    static const char *const actions[] = {" ", "_files", "_directories", "_whisperengine_models", "_whisperengine_commands"};
    if (choices == NULL) {
        we_out_c(actions[kind]);
        return;
    }
    if (kind == WE_VALUE_MODEL) {
        we_out_c("{compadd");
        print_choices(choices, " ", "");
        we_out_c("; _whisperengine_models}");
        return;
    }
    we_out_c("(");
    print_choices(choices, " ", "");
    we_out_c(")");
}

static void zsh_command(const struct we_command *command)
{
    struct we_option flag;
    we_out_printf("        %s)\n            _arguments -s -S", command->name);
    for (size_t i = 0; we_command_flag(command, i, &flag); i++) {
        if (flag.alias)
            we_out_printf(" \\\n                '(%s %s)'{%s,%s}'[", flag.alias, flag.name, flag.alias, flag.name);
        else
            we_out_printf(" \\\n                '%s[", flag.name);
        print_quoted(flag.help, "'\\''", "[]\\");
        we_out_c("]");
        if (flag.argument) {
            we_out_printf(":%s:", flag.argument);
            zsh_action(flag.kind, flag.choices);
        }
        we_out_c("'");
    }
    for (uint32_t i = 0; i < command->max_operands; i++) {
        we_out_printf(" \\\n                '%u: :", i + 1);
        zsh_action(command->operand_kind, command->operand_choices);
        we_out_c("'");
    }
    we_out_c("\n            ;;\n");
}

static void print_zsh(void)
{
    we_out_c("#compdef whisperengine\n"
             "# zsh completion for whisperengine. Put it as _whisperengine into a folder of $fpath.\n\n"
             "_whisperengine_models() {\n"
             "    local -a models\n"
             "    models=(${(f)\"$(whisperengine list --names 2>/dev/null)\"})\n"
             "    compadd -a models\n"
             "    _directories\n"
             "}\n\n"
             "_whisperengine_commands() {\n"
             "    local -a commands\n"
             "    commands=(\n");
    for (size_t i = 0; i < we_num_commands; i++) {
        we_out_printf("        '%s:", we_commands[i]->name);
        print_quoted(we_commands[i]->summary, "'\\''", "\\");
        we_out_c("'\n");
    }
    we_out_c(
        "    )\n"
        "    _describe command commands\n"
        "}\n\n"
        "_whisperengine() {\n"
        "    local curcontext=$curcontext state line\n"
        "    _arguments -C '--help[show help]' '--version[show the version]' '1: :_whisperengine_commands' '*:: :->arguments'\n"
        "    if [[ $state == arguments ]]; then\n"
        "        case $words[1] in\n");
    for (size_t i = 0; i < we_num_commands; i++)
        zsh_command(we_commands[i]);
    we_out_c("        esac\n"
             "    fi\n"
             "}\n\n"
             "_whisperengine \"$@\"\n");
}

/* ---- fish ---- */

static void fish_values(enum we_value_kind kind, const char *choices)
{
    if (choices) {
        we_out_c(" -x -a '");
        print_choices(choices, "", " ");
        if (kind == WE_VALUE_MODEL)
            we_out_c("(whisperengine list --names 2>/dev/null) (__fish_complete_directories)");
        we_out_c("'");
    } else if (kind == WE_VALUE_FILE) {
        we_out_c(" -r -F");
    } else if (kind == WE_VALUE_DIRECTORY) {
        we_out_c(" -x -a '(__fish_complete_directories)'");
    } else if (kind == WE_VALUE_MODEL) {
        we_out_c(" -x -a '(whisperengine list --names 2>/dev/null) (__fish_complete_directories)'");
    } else if (kind == WE_VALUE_COMMAND) {
        we_out_c(" -x -a '");
        for (size_t i = 0; i < we_num_commands; i++)
            we_out_printf("%s ", we_commands[i]->name);
        we_out_c("'");
    } else {
        we_out_c(" -x");
    }
}

static void fish_name(const char *name)
{
    if (name)
        we_out_printf(name[1] == '-' ? " -l %s" : name[2] ? " -o %s" : " -s %s", name + (name[1] == '-' ? 2 : 1));
}

static void fish_command(const struct we_command *command)
{
    struct we_option flag;
    for (size_t i = 0; we_command_flag(command, i, &flag); i++) {
        we_out_printf("complete -c whisperengine -n '__fish_seen_subcommand_from %s'", command->name);
        fish_name(flag.alias);
        fish_name(flag.name);
        if (flag.argument)
            fish_values(flag.kind, flag.choices);
        we_out_c(" -d '");
        print_quoted(flag.help, "\\'", "\\");
        we_out_c("'\n");
    }
    if (command->max_operands && (command->operand_choices || command->operand_kind != WE_VALUE_ANY)) {
        we_out_printf("complete -c whisperengine -n '__fish_seen_subcommand_from %s'", command->name);
        fish_values(command->operand_kind, command->operand_choices);
        we_out_c("\n");
    }
}

static void print_fish(void)
{
    we_out_c("# fish completion for whisperengine. Put it into ~/.config/fish/completions/whisperengine.fish.\n"
             "complete -c whisperengine -f\n"
             "complete -c whisperengine -n __fish_use_subcommand -l help -d 'show help'\n"
             "complete -c whisperengine -n __fish_use_subcommand -l version -d 'show the version'\n");
    for (size_t i = 0; i < we_num_commands; i++) {
        we_out_printf("complete -c whisperengine -n __fish_use_subcommand -a %s -d '", we_commands[i]->name);
        print_quoted(we_commands[i]->summary, "\\'", "\\");
        we_out_c("'\n");
    }
    for (size_t i = 0; i < we_num_commands; i++)
        fish_command(we_commands[i]);
}

static int run_command(const struct we_args *args)
{
    const char *shell = args->operands[0];
    if (strcmp(shell, "bash") == 0)
        print_bash();
    else if (strcmp(shell, "zsh") == 0)
        print_zsh();
    else if (strcmp(shell, "fish") == 0)
        print_fish();
    else
        return we_usage_error(args->command, "'%s' is no shell that completion is made for; these are: bash, zsh, fish", shell);
    return WE_EXIT_OK;
}

const struct we_command we_command_completion = {
    .name = "completion",
    .summary = "a script that completes commands, flags and models in a shell",
    .synopsis = "bash|zsh|fish",
    .min_operands = 1,
    .max_operands = 1,
    .operand_choices = "bash|zsh|fish",
    .details = "Prints the script. 'make install' puts it where the shells look for it.",
    .examples = "source <(whisperengine completion bash)",
    .run = run_command,
};
