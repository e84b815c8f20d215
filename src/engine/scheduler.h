/* The one generation loop: waiting and running sequences share batches, prompts being read in chunks beside the decode of
 * others. There is no thread of its own: the threads that wait for tokens take turns in driving the executor. */
#ifndef WE_ENGINE_SCHEDULER_H
#define WE_ENGINE_SCHEDULER_H

#include "backend/backend.h"
#include "kv/prefix.h"
#include "sample/sampler.h"

#include <stdatomic.h>

enum { WE_QUEUE_LENGTH = 16 }; /* tokens that a sequence may be ahead of the thread that reads them */

struct we_scheduler; /* opaque */
struct we_sequence;  /* opaque; a reply that is being generated */

struct we_scheduler_options {
    const struct we_backend *backend;
    struct we_executor *executor;        /* outlives the scheduler */
    const struct we_decoder *decoder;
    const struct we_kv_layout *layout;
    const uint32_t *num_pages;           /* (num_groups), as the executor was loaded with */
    uint32_t num_slots;                  /* likewise; of sequences that run at the same time there are fewer */
    uint32_t context_length;             /* positions of a sequence */
    uint32_t max_rows, max_sequences, max_logit_rows; /* as the executor was loaded with */
};

we_status we_scheduler_new(const struct we_scheduler_options *options, struct we_scheduler **scheduler, struct we_error *error);
void we_scheduler_free(struct we_scheduler *scheduler);

struct we_sequence_options {
    const uint32_t *prompt;              /* (prompt_length), at least 1; copied */
    uint32_t prompt_length;
    uint32_t max_tokens;
    const uint32_t *end_tokens;          /* (num_end_tokens), borrowed until the sequence is removed */
    size_t num_end_tokens;
    struct we_sampler *sampler;          /* borrowed likewise; has accepted the prompt */
};

/* Puts a sequence into the queue. WE_CONTEXT_FULL if the prompt leaves no room for one token. */
we_status we_scheduler_add(struct we_scheduler *scheduler, const struct we_sequence_options *options,
                           struct we_sequence **sequence, struct we_error *error);
void we_scheduler_remove(struct we_scheduler *scheduler, struct we_sequence *sequence);

struct we_sequence_event {
    bool reading;                        /* likewise: `read` tokens of the prompt have been read by now */
    bool finished;                       /* then there is no token */
    enum we_finish_reason finish_reason;
    uint32_t token;
    uint32_t read;
};

/* Waits for the sequence's next token, for its end, or for more of its prompt to be read, driving the executor if nobody does. `cancel` (may be NULL) is looked
 * at between batches. Events come in order; after `finished` it must not be called again. */
we_status we_scheduler_next(struct we_scheduler *scheduler, struct we_sequence *sequence, const atomic_bool *cancel,
                            struct we_sequence_event *event, struct we_error *error);

/* Sequences of so many positions that can run at the same time. */
uint32_t we_scheduler_room(const struct we_scheduler *scheduler, uint32_t positions);

/* Forgets what finished sequences have left in the KV cache; their pages are free for the next ones. */
void we_scheduler_forget(struct we_scheduler *scheduler);

/* Positions of the prompt that were found in the KV cache, and when (we_clock) the prompt had been read. */
uint32_t we_sequence_cached(const struct we_sequence *sequence);
double we_sequence_prompt_end(const struct we_sequence *sequence);

/* Runs `ids` through the model, in chunks of prefill or in steps of decode, and hands out the logits (vocab_size) that
 * follow each. Waits for the batch that is under way, and keeps others waiting. */
typedef bool we_scheduler_logits_fn(void *context, size_t index, const float *logits);
we_status we_scheduler_logits(struct we_scheduler *scheduler, enum we_phase phase, const uint32_t *ids, uint32_t count,
                              we_scheduler_logits_fn *on_row, void *context, struct we_error *error);

#endif
