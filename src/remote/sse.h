/* Server-sent events (the HTML standard, section 9.2), as an endpoint streams a reply: the data of each event, as they come. */
#ifndef WE_REMOTE_SSE_H
#define WE_REMOTE_SSE_H

#include "base/buf.h"

enum { WE_SSE_MAX_EVENT = 16 << 20 }; /* bytes */

/* Starts as {0}. */
struct we_sse {
    struct we_buf line, data;
    bool after_return; /* the last byte was a CR: an LF now belongs to it */
    bool has_data;     /* the event has a data line, perhaps an empty one */
    bool begun;        /* a byte order mark may come only before */
};
void we_sse_free(struct we_sse *sse);

/* Gets the data of one event; returns false to stop. */
typedef bool we_sse_fn(void *context, struct we_str data);

enum we_sse_outcome { WE_SSE_GOES_ON, WE_SSE_STOPPED, WE_SSE_TOO_LONG };
/* Reads bytes, cut anywhere. TOO_LONG: an event is over WE_SSE_MAX_EVENT, or memory is out. */
enum we_sse_outcome we_sse_feed(struct we_sse *sse, struct we_str bytes, we_sse_fn *on_event, void *context);
/* At the end of the stream: an event whose empty line is missing, if its last line is whole. */
enum we_sse_outcome we_sse_finish(struct we_sse *sse, we_sse_fn *on_event, void *context);

#endif
