/* Changes of the logits before anything is sampled: bias and penalties, as mlx-lm's make_logits_processors. */
#ifndef WE_SAMPLE_PROCESSORS_H
#define WE_SAMPLE_PROCESSORS_H

#include "base/error.h"

enum { WE_DEFAULT_REPETITION_CONTEXT = 20, WE_MAX_REPETITION_CONTEXT = 1 << 20 };

struct we_processors {
    float repetition, presence, frequency; /* repetition 0: off */
    struct we_logit_bias *bias;            /* (num_bias) */
    size_t num_bias;
    uint32_t *recent; /* (context): the last tokens, a ring; NULL if no penalty is on */
    uint32_t *unique; /* (context): scratch */
    uint32_t context, used, next;
    uint32_t vocab_size;
};

/* Takes the values, which the caller has checked, and copies the bias. */
we_status we_processors_init(struct we_processors *processors, const struct we_sampling *sampling, uint32_t vocab_size,
                             struct we_error *error);
void we_processors_free(struct we_processors *processors);
void we_processors_accept(struct we_processors *processors, uint32_t token);
void we_processors_apply(struct we_processors *processors, float *logits);

#endif
