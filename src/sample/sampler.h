/* From logits to a token, as mlx-lm's make_logits_processors and make_sampler do it, with MLX's random numbers.
 * For float32 logits and a seed the tokens are those of mlx-lm 0.32.2 on the CPU back-end of mlx 0.32.4, to the last bit: in
 * that version mx.random.categorical of one row inverts the cumulated distribution with one uniform number (earlier
 * ones add Gumbel noise). */
#ifndef WE_SAMPLE_SAMPLER_H
#define WE_SAMPLE_SAMPLER_H

#include "base/error.h"

struct we_sampler; /* opaque; of one sequence */

/* Checks the values (WE_INVALID_ARGUMENT names the one that is wrong, and its range) and copies what it needs.
 * `spared`: (num_spared) tokens that XTC never drops: newline and end tokens. */
we_status we_sampler_new(const struct we_sampling *sampling, uint32_t vocab_size, const uint32_t *spared, size_t num_spared,
                         struct we_sampler **sampler, struct we_error *error);
void we_sampler_free(struct we_sampler *sampler);

/* Tells the penalties of a token of the prompt or of the reply, in order. */
void we_sampler_accept(struct we_sampler *sampler, uint32_t token);

/* Picks the next token from `logits` (vocab_size), which it may overwrite. It does not accept it.
 * WE_INVALID_FORMAT if the logits are not finite (NaN, or all -inf). */
we_status we_sampler_pick(struct we_sampler *sampler, float *logits, uint32_t *token, struct we_error *error);

#endif
