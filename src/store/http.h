/* Requests to the Hub and to where it redirects. The token goes to the Hub alone; redirects are followed here, not by the
 * library, so that no other host ever sees it. */
#ifndef WE_STORE_HTTP_H
#define WE_STORE_HTTP_H

#include "base/buf.h"
#include "base/error.h"

#include <curl/curl.h>

struct we_http {
    const char *endpoint;                          /* "https://huggingface.co": no slash at its end */
    const char *token;                             /* or NULL */
    uint32_t retries;                              /* of a request that fails again and again */
    bool (*go_on)(void *context);                  /* asked often; false: stop */
    void (*note)(void *context, const char *text); /* what a user may want to know */
    void *context;
};

struct we_http_reply {
    long status;          /* HTTP status; 0: no answer */
    char error_code[64];  /* X-Error-Code of the Hub, or "" */
    uint64_t retry_after; /* seconds; 0: not stated */
    uint64_t range_start; /* of a 206; UINT64_MAX: not stated */
};

/* Once before all others; also checks that the endpoint is an address. */
we_status we_http_start(const struct we_http *http, struct we_error *error);

/* Percent-encodes; slashes stay if `path`. */
void we_http_escape(struct we_buf *out, const char *text, bool path);

/* One request: the handle of the library and what came of it. Starts as {0}. */
struct we_http_request {
    CURL *easy;
    struct curl_slist *headers;
    char message[CURL_ERROR_SIZE];
    struct we_http_reply reply;
    uint32_t redirects;
    char *url;      /* the next or current address */
    char host[128]; /* for messages: an address behind a redirect may hold secrets */
};

/* Makes the handle ready for `url` (copied). on_body: as the library's write callback. */
we_status we_http_request_begin(const struct we_http *http, struct we_http_request *request, const char *url,
                                curl_write_callback on_body, void *context, struct we_error *error);
void we_http_request_free(struct we_http_request *request);

/* What a request ended with. */
enum we_http_outcome { WE_HTTP_DONE, WE_HTTP_REDIRECT, WE_HTTP_RETRY, WE_HTTP_FAILED };
/* DONE: reply.status is there, not always 200. REDIRECT: request->url is the next address; begin again with it. RETRY: it may
 * go better later; *error says what went wrong. FAILED: *error says why. */
enum we_http_outcome we_http_request_end(const struct we_http *http, struct we_http_request *request, CURLcode code,
                                         struct we_error *error);

/* Seconds to wait before the attempt'th retry (from 0). False: the server asks for more patience than a program has. */
bool we_http_delay(uint32_t attempt, const struct we_http_reply *reply, double *seconds);

/* A GET with redirects and retries; appends to `body`, whose limit holds. WE_OK: reply->status says what the server said. */
we_status we_http_get(const struct we_http *http, const char *url, struct we_buf *body, struct we_http_reply *reply,
                      struct we_error *error);

#endif
