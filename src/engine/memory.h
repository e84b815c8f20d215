/* How much memory a model will need, and what context it leaves room for: decided before anything is allocated. */
#ifndef WE_ENGINE_MEMORY_H
#define WE_ENGINE_MEMORY_H

#include "backend/backend.h"

enum {
    WE_MAX_ROWS = 512,            /* tokens in a batch */
    WE_MAX_LOGIT_ROWS = 64,
    WE_DEFAULT_SEQUENCES = 8,
    WE_UNKNOWN_CONTEXT = 131072,  /* for a config that does not tell */
};

struct we_memory_plan {
    uint32_t context_length;
    uint32_t num_pages;           /* of every group */
    uint32_t num_slots;           /* for the state of sequences; 0: the layout has none */
    uint64_t weight_bytes, scratch_bytes, kv_bytes; /* scratch: slots included; kv_bytes: of all pages, once they are used */
};

/* The options that do not depend on the user, or their defaults. */
struct we_load_options we_default_load_options(const struct we_decoder *decoder, const struct we_kv_layout *layout);

/* What an executor allocates beside the pages, with load->num_slots slots. */
we_status we_memory_scratch(const struct we_backend *backend, struct we_load_options *load, uint64_t *bytes,
                            struct we_error *error);

/* `load` has everything but num_pages; num_slots is set. requested_context 0: the model's, less if memory is short. WE_OUT_OF_MEMORY tells
 * what is needed, what there is, and what to change. */
we_status we_memory_plan(const char *path, uint64_t weight_bytes, uint32_t requested_context, uint64_t memory_limit,
                         const struct we_backend *backend, struct we_load_options *load, struct we_memory_plan *plan,
                         struct we_error *error);

#endif
