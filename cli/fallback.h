/* Who answers where the configured model on this machine cannot be used: LM Studio, then Ollama. */
#ifndef WE_CLI_FALLBACK_H
#define WE_CLI_FALLBACK_H

#include "args.h"

#include <whisperengine_tools.h>

/* Whether a failure to open `name`, the model of the command line, may lead to another one: it is a model on this machine that
 * the configuration names, and the command takes --fallback, which is on. */
bool we_may_fall_back(const struct we_args *args, const char *name);

/* Tries them in turn, and says on standard error who answers in place of `name`, which failed as `error` says. False: nobody
 * does, and `error` says that too. */
bool we_fall_back(const struct we_args *args, const char *name, const struct we_model_options *options, struct we_model **model,
                  struct we_error *error);

/* The chain, one by one: "LM Studio", where it answers, and a model of it if it answers now. */
size_t we_fallback_count(void);
const char *we_fallback_name(size_t index);
const char *we_fallback_address(const struct we_args *args, size_t index);
bool we_fallback_open(const struct we_args *args, size_t index, const struct we_model_options *options, struct we_model **model);

#endif
