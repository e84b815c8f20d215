/* Help texts, made of the rows of commands and settings. */
#ifndef WE_CLI_HELP_H
#define WE_CLI_HELP_H

#include "command.h"

/* Standard output: one command; all of them. */
void we_help_command(const struct we_command *command);
void we_help_overview(void);

/* A word that is no command: says so, with the nearest one. Returns the exit status. */
int we_unknown_command(const char *name);

#endif
