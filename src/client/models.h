/* Models as people name and use them. */
#ifndef WE_CLIENT_MODELS_H
#define WE_CLIENT_MODELS_H

#include "config/settings.h"

/* The last part of a model's path, for people; it points into the path. */
const char *we_model_short_name(const char *path);

/* The shortest lasting name of a model that was found at `path` by `name`: ORG/NAME where that leads to the same place, else
 * the path from the root, which means the same in every folder. The caller's (free); NULL: out of memory. */
char *we_model_lasting_name(const struct we_settings *settings, const char *name, const char *path);

/* What cannot answer messages is refused when it is chosen, not when the first message has been typed. WE_UNSUPPORTED: it has
 * no tokenizer or no chat template. */
we_status we_model_check_chat(const struct we_model *model, struct we_error *error);

#endif
