/* One request and its answer, over connections that are kept. */
#ifndef WE_REMOTE_TRANSFER_H
#define WE_REMOTE_TRANSFER_H

#include "base/buf.h"
#include "base/error.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>

/* Connections that nobody uses at the moment. Starts with we_lines_init. */
struct we_lines {
    pthread_mutex_t mutex;
    struct we_line *free;
};
void we_lines_init(struct we_lines *lines);
void we_lines_free(struct we_lines *lines);

struct we_transfer {
    const char *url, *key;                      /* key: or NULL */
    const char *body;                           /* JSON to be sent; NULL: it is a GET */
    double connection_timeout, request_timeout; /* seconds; 0: without end */
    const atomic_bool *cancel;                  /* may be NULL */
    /* Gets the answer's bytes once its status is known; false: enough, which ends the transfer well. */
    bool (*on_bytes)(void *context, struct we_str bytes);
    void *context;
    /* Filled in: */
    long status;             /* HTTP; 0: no answer */
    bool connected;          /* to the server */
    bool enough, cancelled;  /* how it ended, if not by itself */
    bool is_stream, is_text; /* the kind of the answer: server-sent events; a page or plain text */
    uint64_t retry_after;    /* seconds; 0: not stated */
    struct we_buf location;  /* of a redirect */
    struct we_buf reason;    /* the library's words, if it failed */
};

/* CURLE_OK: there was an answer, with any status, or it was enough or cancelled. The timeouts end with
 * CURLE_OPERATION_TIMEDOUT. */
CURLcode we_transfer_run(struct we_lines *lines, struct we_transfer *transfer);
void we_transfer_free(struct we_transfer *transfer);

#endif
