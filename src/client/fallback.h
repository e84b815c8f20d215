/* Who answers where the configured model on this machine cannot be used: LM Studio, then Ollama. */
#ifndef WE_CLIENT_FALLBACK_H
#define WE_CLIENT_FALLBACK_H

#include "config/settings.h"

#include <whisperengine_tools.h>

/* Whether a failure to open `name`, the configured model, may lead to another one: it is a model on this machine that the
 * configuration names, and the fallback is on. */
bool we_may_fall_back(const struct we_settings *settings, const char *name);

/* Tries them in turn; `error` says why the configured model cannot be used. True: *model is open, and *who ("LM Studio")
 * answers. False: nobody does, and `error` says that too. */
bool we_fall_back(const struct we_settings *settings, const struct we_model_options *options, struct we_model **model,
                  const char **who, struct we_error *error);

/* The chain, one by one: "LM Studio", where it answers, and a model of it if it answers now. */
size_t we_fallback_count(void);
const char *we_fallback_name(size_t index);
const char *we_fallback_address(const struct we_settings *settings, size_t index);
bool we_fallback_open(const struct we_settings *settings, size_t index, const struct we_model_options *options,
                      struct we_model **model);

#endif
