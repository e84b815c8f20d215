/* A client of endpoints of OpenAI's API: LM Studio, Ollama, vLLM, SGLang, mlx_lm.server and others. */
#ifndef WE_REMOTE_REMOTE_H
#define WE_REMOTE_REMOTE_H

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

#include <stdatomic.h>

struct we_remote_options {
    const char *address;                        /* "https://HOST/v1", or with "#NAME" of a model behind it */
    const char *model;                          /* used where the address has none; may be NULL */
    const char *api_key;                        /* may be NULL */
    double connection_timeout, request_timeout; /* seconds; the second is for silence. 0: without end */
};

struct we_remote; /* opaque; may be used by several threads */

/* "http://" or "https://". */
bool we_remote_is_address(const char *name);

/* Asks the endpoint for its models, so that what cannot answer is found out now; without a name of a model it takes the only
 * one. The texts of the options are copied. */
we_status we_remote_open(const struct we_remote_options *options, struct we_remote **remote, struct we_error *error);
void we_remote_close(struct we_remote *remote);

const char *we_remote_address(const struct we_remote *remote); /* as it may be shown */
const char *we_remote_model(const struct we_remote *remote);   /* NULL: the endpoint chooses */
/* Models that the endpoint told of when it was opened. */
const char *const *we_remote_models(const struct we_remote *remote, size_t *count);

/* The models of an endpoint, without choosing one: as we_remote_open does, in the arena. */
we_status we_remote_list(const struct we_remote_options *options, struct we_arena *arena, const char *const **names,
                         size_t *count, struct we_error *error);

struct we_remote_reply {
    /* Gets text as it comes; false: stop. */
    bool (*on_text)(void *context, struct we_str text);
    void *context;
    const atomic_bool *cancel; /* may be NULL; looked at ten times a second */
    /* Filled in: */
    enum we_finish_reason finish_reason;
    bool stopped;                                             /* by on_text or cancel */
    uint32_t prompt_tokens, cached_tokens, generation_tokens; /* as the endpoint counts; pieces of text if it does not */
    double first_time, last_time;                             /* we_clock when text came; 0: none */
};

/* One reply. On an error what came before was told, and the counts are of that. */
we_status we_remote_generate(struct we_remote *remote, const struct we_request *request, struct we_remote_reply *reply,
                             struct we_error *error);

#endif
