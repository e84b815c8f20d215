/* The text of a reply as it grows: what may be the beginning of a stop string is held back, the rest is told and kept. */
#ifndef WE_ENGINE_REPLY_TEXT_H
#define WE_ENGINE_REPLY_TEXT_H

#include "engine/stop.h"

struct we_reply_text {
    const struct we_request *request;
    struct we_stop stop;
    struct we_buf text;      /* what was told */
    bool stopped, cancelled; /* by a stop string; by on_text */
};

void we_reply_text_init(struct we_reply_text *reply, const struct we_request *request);
void we_reply_text_free(struct we_reply_text *reply);
/* WE_OUT_OF_MEMORY is the only error. */
we_status we_reply_text_add(struct we_reply_text *reply, struct we_str text, struct we_error *error);
/* At the end: tells what was held back, unless a stop string was found. */
we_status we_reply_text_end(struct we_reply_text *reply, struct we_error *error);

#endif
