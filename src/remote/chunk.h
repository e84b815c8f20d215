/* What an endpoint says: a piece of a reply or a whole one, a list of models, an error. */
#ifndef WE_REMOTE_CHUNK_H
#define WE_REMOTE_CHUNK_H

#include "base/arena.h"
#include "base/error.h"

struct we_chunk {
    struct we_str text;    /* in the arena; empty: none */
    struct we_str problem; /* what went wrong, in the endpoint's words; data NULL: nothing */
    bool finished, has_usage;
    enum we_finish_reason finish_reason;
    uint32_t prompt_tokens, cached_tokens, generation_tokens; /* if has_usage */
};

/* Reads a "chat.completion.chunk", "chat.completion" or "text_completion". WE_INVALID_FORMAT: it is none of these. */
we_status we_chunk_parse(struct we_str json, struct we_arena *arena, struct we_chunk *chunk, struct we_error *error);

/* The names of a list of models, in the arena. False: it is no such list (or memory is out). */
bool we_models_parse(struct we_str json, struct we_arena *arena, const char ***names, size_t *count);

/* Whose the first of them is, "owned_by": how servers tell what they are. Empty: it is not said. */
struct we_str we_models_owner(struct we_str json, struct we_arena *arena);

/* The words of an answer that tells an error, in any of the usual forms, in the arena; what is no JSON stands for itself, cut.
 * Empty: there are none. */
struct we_str we_problem_parse(struct we_str body, struct we_arena *arena);

#endif
