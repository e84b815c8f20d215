/* What comes in: standard input, lists of ids, and the model that a command line names. */
#ifndef WE_CLI_INPUT_H
#define WE_CLI_INPUT_H

#include "args.h"

#include <whisperengine_tools.h>

#include "base/arena.h"
#include "base/buf.h"

/* Reads standard input to its end, at most 1 GiB. */
we_status we_read_input(struct we_buf *buf, struct we_error *error);

/* A JSON list of token ids; *ids is the caller's (free). `name` is for messages. */
we_status we_parse_ids(struct we_str json, const char *name, uint32_t **ids, size_t *count, struct we_error *error);

/* The list that an option holds, or, where it is "-", standard input. Returns an exit status. */
int we_read_ids(const struct we_args *args, const char *option, uint32_t **ids, size_t *count);

/* An error that says where, unless the text is UTF-8. */
we_status we_check_utf8(struct we_str text, const char *name, struct we_error *error);

/* The name of the model: `operand` or NULL, -m, environment, .env. Returns an exit status. */
int we_model_name(const struct we_args *args, const char *operand, const char **name);

/* Its directory; *path is the caller's (free). */
int we_find_model(const struct we_args *args, const char *operand, char **path);

/* Whether another one may answer in its place: the command takes --fallback, and see we_may_fall_back. */
bool we_args_may_fall_back(const struct we_args *args, const char *name);

/* What the settings of the command line say about opening it. */
void we_options_of_model(const struct we_args *args, const char *name, bool exact, uint32_t sequences,
                         struct we_model_options *options);
/* Opens it with the settings of the command line. exact: unless a flag says otherwise, whatever .env says. */
int we_open_model(const struct we_args *args, bool exact, struct we_model **model);
int we_open_named_model(const struct we_args *args, const char *name, bool exact, struct we_model **model);
/* The same, for so many sequences that run side by side. */
int we_open_model_for(const struct we_args *args, bool exact, uint32_t sequences, struct we_model **model);

#endif
