/* A request for a prompt, prepared as transformers prepares it before a template sees it. */
#ifndef WE_TEXT_CHAT_REQUEST_H
#define WE_TEXT_CHAT_REQUEST_H

#include "base/json.h"

/* A list of variables that grows; names and values live elsewhere. */
struct we_chat_variables {
    struct we_str *names;
    struct we_json *values;
    size_t count, capacity;
};
/* Adds a variable or replaces the one of that name; false when memory is out. */
bool we_chat_set(struct we_arena *arena, struct we_chat_variables *variables, struct we_str name, struct we_json value);

struct we_chat_request {
    struct we_chat_variables variables; /* for the template */
    bool has_tools;
    bool continues;                /* the final message is to be continued */
    struct we_str continued;       /* what it holds */
    struct we_str fields[3];       /* (num_fields): one of these names must occur in the template */
    size_t num_fields;
};

/* `json`: the text of the request. `request->variables` may hold variables already (special tokens). Everything lives
 * in the arena, or in `json`. */
we_status we_chat_request_read(struct we_str json, struct we_arena *arena, struct we_chat_request *request,
                               struct we_error *error);

/* After rendering: cuts `prompt` (from byte `start` on) where the continued message ends. */
we_status we_chat_request_cut(const struct we_chat_request *request, struct we_buf *prompt, size_t start, struct we_error *error);

#endif
