/* remove: a model leaves the disk. */
#include "args.h"
#include "layout.h"
#include "terminal.h"

#include <stdio.h>
#include <string.h>
#include <whisperengine_tools.h>

static const struct we_option options[] = {
    {"--yes", "-y", NULL, "do not ask"},
};

/* On a terminal, asks; true: yes. */
static bool confirm(const char *name)
{
    char answer[16] = "";
    if (!we_terminal_is(STDIN_FILENO) || !we_terminal_is(STDERR_FILENO))
        return true;
    fprintf(stderr, "Remove %s from this machine? [y/N] ", name);
    fflush(stderr);
    if (fgets(answer, sizeof answer, stdin) == NULL)
        fputc('\n', stderr);
    return answer[0] == 'y' || answer[0] == 'Y';
}

static int run_command(const struct we_args *args)
{
    struct we_error error;
    uint64_t freed;
    char bytes[32];
    const char *name = args->operands[0];
    if (!we_args_has(args, "--yes") && !confirm(name)) {
        fputs("Nothing was removed.\n", stderr);
        return WE_EXIT_FAILED;
    }
    if (we_store_remove(we_settings_text(args->settings, WE_SETTING_MODELS_DIR), name, &freed, &error) != WE_OK)
        return we_fail(args->command, &error);
    fprintf(stderr, "%s is removed: %s are free again\n", name, we_format_bytes(freed, bytes, sizeof bytes));
    return WE_EXIT_OK;
}

const struct we_command we_command_remove = {
    .name = "remove",
    .summary = "remove a model from this machine",
    .synopsis = "MODEL [--yes]",
    .min_operands = 1,
    .max_operands = 1,
    .operand_kind = WE_VALUE_MODEL,
    .options = options,
    .num_options = sizeof options / sizeof *options,
    .settings = WE_TAKES(MODELS_DIR),
    .details = "Removes LOCAL_MODELS_DIR/mlx/ORG/NAME, also an unfinished download. On a terminal it asks first. A model in "
               "the Hugging "
               "Face cache is not touched: other programs use it.",
    .examples = "whisperengine remove mlx-community/SmolLM2-135M-Instruct-4bit",
    .run = run_command,
};
