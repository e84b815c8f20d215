/* Manual pages, made of the rows of commands and settings. */
#ifndef WE_CLI_MANUAL_H
#define WE_CLI_MANUAL_H

#include "command.h"

/* whisperengine-COMMAND(1), or whisperengine(1) if it is NULL, to standard output, in the macros of man(7). */
void we_manual(const struct we_command *command);

#endif
