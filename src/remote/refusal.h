/* Why an endpoint did not answer, in words that say what to do. */
#ifndef WE_REMOTE_REFUSAL_H
#define WE_REMOTE_REFUSAL_H

#include "base/error.h"
#include "base/str.h"

#include <curl/curl.h>

struct we_asked {
    const char *address; /* as it may be shown */
    const char *model;   /* or NULL */
    const char *key;     /* or NULL: never shown, also where the endpoint repeats it */
    double connection_timeout, request_timeout;
};

/* An answer with an HTTP status that is no success. names: the models that are there, if they are known. */
struct we_refusal {
    long status;
    uint64_t retry_after; /* seconds; 0: not stated */
    const char *location; /* of a redirect, or NULL */
    struct we_str body;
    const char *const *names; /* (num_names) */
    size_t num_names;
};
we_status we_refusal_explain(const struct we_asked *asked, const struct we_refusal *refusal, struct we_error *error);

/* A transfer that failed. reason: the library's words; received: bytes of the reply's text that came before. */
we_status we_failure_explain(const struct we_asked *asked, CURLcode code, const char *reason, bool connected, size_t received,
                             struct we_error *error);

/* What the endpoint itself says went wrong, in the midst of a reply or before it. */
we_status we_problem_explain(const struct we_asked *asked, struct we_str problem, struct we_error *error);

/* "; these are there: a, b, c", the nearest to `wanted` (or NULL) first. */
void we_names_list(const char *wanted, const char *const *names, size_t count, char *out, size_t size);

#endif
