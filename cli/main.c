#include "args.h"
#include "help.h"
#include "interrupt.h"
#include "terminal.h"

#include <stdio.h>
#include <string.h>

const struct we_command *const we_commands[] = {
    &we_command_run,     &we_command_chat,   &we_command_pull,       &we_command_list,
    &we_command_show,    &we_command_remove, &we_command_use,        &we_command_config,
    &we_command_validate, &we_command_convert, &we_command_bench, &we_command_perplexity, &we_command_tokenize,
    &we_command_detokenize, &we_command_render, &we_command_logits, &we_command_completion, &we_command_help,
};
const size_t we_num_commands = sizeof we_commands / sizeof *we_commands;

const struct we_command *we_command_find(const char *name)
{
    for (size_t i = 0; i < we_num_commands; i++)
        if (strcmp(we_commands[i]->name, name) == 0)
            return we_commands[i];
    return NULL;
}

bool we_command_is_planned(const char *name)
{
    static const char *const planned[] = {"compare", "batch", "serve"};
    for (size_t i = 0; i < sizeof planned / sizeof *planned; i++)
        if (strcmp(planned[i], name) == 0)
            return true;
    return false;
}

static int run_command(const struct we_command *command, int argc, char **argv)
{
    struct we_args args;
    int status;
    if (!we_args_parse(command, argc, argv, &args, &status))
        return status;
    status = command->run(&args);
    we_args_free(&args);
    return we_out_finish(status);
}

int main(int argc, char **argv)
{
    we_terminal_open();
    we_interrupt_open();
    const char *word = argc > 1 ? argv[1] : NULL;
    if (word == NULL) {
        dup2(STDERR_FILENO, STDOUT_FILENO); /* nobody asked for it */
        we_help_overview();
        return we_out_finish(WE_EXIT_USAGE);
    }
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        we_out_printf("whisperengine %s\n", we_version());
        return we_out_finish(WE_EXIT_OK);
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        word = "help";
    const struct we_command *command = we_command_find(word);
    if (command == NULL && word[0] == '-')
        return we_usage_error(NULL, "a command comes first, not '%s'", word);
    return command ? run_command(command, argc - 2, argv + 2) : we_unknown_command(word);
}
