/* Fetching a model, for `pull` and for commands that lack one. */
#ifndef WE_CLI_PULL_H
#define WE_CLI_PULL_H

#include "args.h"

#include <whisperengine_tools.h>

/* Fetches it with the settings of the command line, showing progress; `wanted` says the rest. Returns the exit status. */
int we_fetch_model(const struct we_args *args, const char *name, const struct we_pull_options *wanted);

/* If the model is not on this machine and someone sits at the terminal, asks whether to fetch it, and does. False: they said
 * yes and it failed, which was reported; else opening the model goes on, and tells what is missing. */
bool we_offer_to_fetch(const struct we_args *args, const char *name);

#endif
