/* The command line of one subcommand, parsed. */
#ifndef WE_CLI_ARGS_H
#define WE_CLI_ARGS_H

#include "command.h"

struct we_arg {
    const struct we_option *option;
    const char *value; /* NULL for a switch */
};

struct we_args {
    const struct we_command *command;
    struct we_settings *settings;
    struct we_error file_problem; /* why .env was left out, for a command that takes that; status WE_OK: it was not */
    struct we_arg *given;        /* (num_given), in the order of the command line */
    size_t num_given;
    const char **operands;       /* (num_operands) */
    size_t num_operands;
};

/* Parses what follows the command's name, reads .env, and checks every setting. True: *args is filled (release it with
 * we_args_free) and the command should run. False: *exit_status says how the program ends; help or the error is printed. */
bool we_args_parse(const struct we_command *command, int argc, char **argv, struct we_args *args, int *exit_status);
void we_args_free(struct we_args *args);

/* The last value that was given for an option of the command ("--prompt"), or NULL. */
const char *we_args_text(const struct we_args *args, const char *name);
bool we_args_has(const struct we_args *args, const char *name);

/* A number in [min, max], `initial` if it was not given. False: a message was printed. */
bool we_args_u32(const struct we_args *args, const char *name, uint32_t min, uint32_t max, uint32_t initial, uint32_t *value);

/* "whisperengine COMMAND: MESSAGE", and for a usage error where help is; both return the exit status. */
int we_usage_error(const struct we_command *command, const char *format, ...) WE_PRINTF(2, 3);
int we_fail(const struct we_command *command, const struct we_error *error);
/* The same form, for what does not end the program. */
void we_warn(const struct we_command *command, const char *format, ...) WE_PRINTF(2, 3);
int we_fail_text(const struct we_command *command, const char *format, ...) WE_PRINTF(2, 3);

#endif
