/* The steps that drop tokens before one is drawn, in mlx-lm's order: top-p, min-p, XTC, top-k. */
#ifndef WE_SAMPLE_FILTERS_H
#define WE_SAMPLE_FILTERS_H

#include "sample/exponential.h"

#include <stdbool.h>
#include <stdint.h>

/* The tokens still in play. Dropping one shortens the lists; their order stays. */
struct we_candidates {
    float *values;         /* (count): log-probabilities, none of them -inf or NaN */
    uint32_t *tokens;      /* (count), ascending */
    size_t count;          /* at least 1, also after every step */
    uint32_t *keys, *more; /* (vocab_size) each: scratch */
    bool sorted;           /* keys begins with those of the values, the largest first */
    we_exp_block *exp_block;
};

/* Keeps the most likely tokens that together have `top_p` of the mass; 0 < top_p < 1. Equals of the last one stay. */
void we_filter_top_p(struct we_candidates *c, float top_p);

/* Drops tokens below the largest log-probability + log_min_p, but never the `keep` most likely ones (of equals, those
 * with the highest ids). */
void we_filter_min_p(struct we_candidates *c, float log_min_p, size_t keep);

/* "Exclude top choices": drops every token more likely than the least likely one over `threshold`. */
void we_filter_xtc(struct we_candidates *c, float threshold, const uint32_t *spared, size_t num_spared);

/* Keeps the k most likely tokens (of equals, those with the lowest ids); k >= 1. */
void we_filter_top_k(struct we_candidates *c, size_t k);

/* The largest of count >= 1 values. */
float we_largest(const float *values, size_t count);

#endif
