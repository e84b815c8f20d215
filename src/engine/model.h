/* A loaded model: what the public handle holds. */
#ifndef WE_ENGINE_MODEL_H
#define WE_ENGINE_MODEL_H

#include "arch/arch.h"
#include "base/arena.h"
#include "engine/scheduler.h"
#include "format/remake.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

struct we_remote;

struct we_model {
    struct we_model_info info;
    struct we_arena arena;
    struct we_config config;
    struct we_safetensors *weights;
    struct we_decoder decoder;
    struct we_kv_layout layout;
    const struct we_backend *backend;
    struct we_executor *executor;
    struct we_scheduler *scheduler;
    struct we_tokenizer *tokenizer;         /* NULL: the directory has no tokenizer.json */
    struct we_chat_template *chat_template; /* NULL: it has no template */
    const uint32_t *end_tokens;
    uint32_t num_end_tokens;
    struct we_sampling sampling;            /* defaults, generation_config.json included */
    struct we_remote *remote; /* an endpoint that runs it: then what is above but info is empty. NULL: it runs here */
};

/* Config, weights and description of a directory, without a back-end: for summaries too. The parts live in the arena; the
 * caller closes the weights. to_run: else the data of some weights must not be read (see we_weights_open). adapter: its
 * directory, or NULL; what it puts beside the weights is still to be applied. */
we_status we_model_describe(const char *path, bool to_run, const char *adapter, enum we_rope_compat rope_compat,
                            struct we_arena *arena, struct we_config *config, struct we_safetensors **weights,
                            struct we_decoder *decoder, struct we_error *error);

/* Sampling defaults and end tokens, from the files in info.path, config and tokenizer. */
we_status we_model_read_generation_config(struct we_model *model, struct we_error *error);

/* Weights counted before quantisation, and the bytes that decode reads for each token. */
void we_decoder_count(const struct we_decoder *decoder, uint64_t *num_parameters, uint64_t *token_bytes);

/* Rows of a view, of all experts. */
static inline uint64_t we_linear_rows(const struct we_linear *linear)
{
    return (uint64_t)linear->rows * (linear->count ? linear->count : 1);
}
/* Bytes that a linear's tensor rows take in the file, of its view. */
uint64_t we_linear_bytes(const struct we_linear *linear);

#endif
