/* JSON that options hold or that the engine takes. */
#ifndef WE_CLIENT_MESSAGES_H
#define WE_CLIENT_MESSAGES_H

#include "base/buf.h"
#include "base/error.h"

/* {"messages": [system?, user], variables of `config`...}: what we_request.messages takes. config: an object, or NULL. */
we_status we_messages_write(struct we_buf *out, const char *system_prompt, struct we_str user, const char *config,
                            struct we_error *error);

/* {"ID": BIAS, ...}; *bias is the caller's (free). */
we_status we_parse_logit_bias(const char *json, struct we_logit_bias **bias, size_t *count, struct we_error *error);

#endif
