/* The body of a request to an endpoint. */
#ifndef WE_REMOTE_BODY_H
#define WE_REMOTE_BODY_H

#include "base/buf.h"
#include "base/error.h"

/* How an endpoint is told to go on with the last message instead of answering it. */
enum we_continues {
    WE_CONTINUES_NOT, /* it cannot, or it is not known */
    WE_CONTINUES_BY_ITSELF,
    WE_CONTINUES_IF_ASKED /* by add_generation_prompt and continue_final_message */
};
/* By the "owned_by" of its models: which servers can. */
enum we_continues we_continues_of(struct we_str owner);

struct we_body_options {
    const char *model;           /* NULL: the endpoint chooses */
    bool without_usage;          /* it does not know "stream_options" */
    bool max_completion_tokens;  /* which is what it calls "max_tokens" */
    enum we_continues continues; /* a request with prefill_response */
};

/* Writes what asks for a stream: to /chat/completions where the request has messages, to /completions where it has text. What
 * is off is left out, since servers differ in what they know. WE_UNSUPPORTED: only a model in this process can do that;
 * WE_INVALID_FORMAT: the messages. */
we_status we_body_write(const struct we_request *request, const struct we_body_options *options, struct we_buf *body,
                        struct we_error *error);

#endif
