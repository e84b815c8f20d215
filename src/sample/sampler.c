#include "sample/sampler.h"

#include "base/system.h"
#include "sample/filters.h"
#include "sample/processors.h"
#include "sample/random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct we_sampler {
    uint32_t vocab_size;
    float temperature, scale; /* scale: 1 / temperature */
    float top_p, log_min_p, xtc_probability, xtc_threshold;
    bool has_min_p;
    uint32_t min_tokens_to_keep, top_k;
    uint32_t *spared; /* (num_spared) */
    size_t num_spared;
    struct we_processors processors;
    struct we_random random;
    we_exp_block *exp_block;
    uint32_t *tokens, *keys, *more; /* (vocab_size) each; NULL when greedy */
};

/* ---- what the caller asks for ---- */

static we_status check_range(const char *name, float value, double min, double max, struct we_error *error)
{
    if ((double)value >= min && (double)value <= max)
        return WE_OK;
    return we_error_set(error, WE_INVALID_ARGUMENT, "%s is %g, but must be from %g to %g", name, (double)value, min, max);
}

/* The same for values whose 0 means off. */
static we_status check_range_or_0(const char *name, float value, double min, double max, struct we_error *error)
{
    if (value == 0 || ((double)value >= min && (double)value <= max))
        return WE_OK;
    return we_error_set(error, WE_INVALID_ARGUMENT, "%s is %g, but must be 0 or from %g to %g", name, (double)value, min, max);
}

static we_status check_bias(const struct we_sampling *s, uint32_t vocab_size, struct we_error *error)
{
    if (s->num_logit_bias && s->logit_bias == NULL)
        return we_error_set(error, WE_INVALID_ARGUMENT, "logit_bias is NULL, but num_logit_bias is %zu", s->num_logit_bias);
    for (size_t i = 0; i < s->num_logit_bias; i++) {
        const struct we_logit_bias *bias = &s->logit_bias[i];
        if (bias->token >= vocab_size)
            return we_error_set(error, WE_INVALID_ARGUMENT, "logit_bias names token %u, but the model's tokens are 0 to %u",
                                bias->token, vocab_size - 1);
        if (isnan(bias->bias) || bias->bias == INFINITY)
            return we_error_set(error, WE_INVALID_ARGUMENT, "logit_bias of token %u is %g, but must be a number or -infinity",
                                bias->token, (double)bias->bias);
    }
    return WE_OK;
}

static we_status check_sampling(const struct we_sampling *s, uint32_t vocab_size, struct we_error *error)
{
    if (vocab_size == 0)
        return we_error_set(error, WE_INVALID_ARGUMENT, "vocab_size is 0");
    we_status status = check_range_or_0("temperature", s->temperature, 1e-30, 1e30, error);
    if (status == WE_OK)
        status = check_range("top_p", s->top_p, 0, 1, error);
    if (status == WE_OK)
        status = check_range("min_p", s->min_p, 0, 1, error);
    if (status == WE_OK)
        status = check_range("xtc_probability", s->xtc_probability, 0, 1, error);
    if (status == WE_OK)
        status = check_range("xtc_threshold", s->xtc_threshold, 0, 0.5, error);
    if (status == WE_OK)
        status = check_range_or_0("repetition_penalty", s->repetition_penalty, 1e-3, 1e3, error);
    if (status == WE_OK)
        status = check_range("presence_penalty", s->presence_penalty, -1e3, 1e3, error);
    if (status == WE_OK)
        status = check_range("frequency_penalty", s->frequency_penalty, -1e3, 1e3, error);
    if (status == WE_OK && s->repetition_context > WE_MAX_REPETITION_CONTEXT)
        status = we_error_set(error, WE_INVALID_ARGUMENT, "repetition_context is %u, but must be at most %d",
                              s->repetition_context, WE_MAX_REPETITION_CONTEXT);
    return status == WE_OK ? check_bias(s, vocab_size, error) : status;
}

/* The decimal number that someone wrote to get this float. mlx-lm computes 1/temp and log(min_p) from it in double,
 * and the last bit of the float32 that comes out may depend on that. */
static double as_written(float value)
{
    char text[32];
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
        double written = strtod(text, NULL);
        if ((float)written == value)
            return written;
    }
    return (double)value;
}

static we_status allocate(struct we_sampler *s, const uint32_t *spared, size_t num_spared, struct we_error *error)
{
    if (num_spared) {
        s->spared = calloc(num_spared, sizeof *s->spared);
        if (s->spared == NULL)
            return we_error_memory(error, "the tokens that XTC spares");
        memcpy(s->spared, spared, num_spared * sizeof *spared);
        s->num_spared = num_spared;
    }
    if (s->temperature == 0)
        return WE_OK;
    s->tokens = calloc(s->vocab_size, sizeof *s->tokens);
    s->keys = calloc(s->vocab_size, sizeof *s->keys);
    s->more = calloc(s->vocab_size, sizeof *s->more);
    return s->tokens && s->keys && s->more ? WE_OK : we_error_memory(error, "the sampler's lists");
}

we_status we_sampler_new(const struct we_sampling *sampling, uint32_t vocab_size, const uint32_t *spared, size_t num_spared,
                         struct we_sampler **sampler, struct we_error *error)
{
    *sampler = NULL;
    we_status status = check_sampling(sampling, vocab_size, error);
    if (status != WE_OK)
        return status;
    struct we_sampler *s = calloc(1, sizeof *s);
    if (s == NULL)
        return we_error_memory(error, "a sampler");
    s->vocab_size = vocab_size;
    s->temperature = sampling->temperature;
    s->scale = s->temperature > 0 ? (float)(1.0 / as_written(s->temperature)) : 0;
    s->top_p = sampling->top_p;
    s->has_min_p = sampling->min_p > 0;
    s->log_min_p = s->has_min_p ? (float)log(as_written(sampling->min_p)) : 0;
    s->min_tokens_to_keep = sampling->min_tokens_to_keep;
    s->xtc_probability = sampling->xtc_probability;
    s->xtc_threshold = sampling->xtc_threshold;
    s->top_k = sampling->top_k;
    s->exp_block = we_exp_block_best();
    we_random_seed(&s->random, sampling->has_seed ? sampling->seed : we_random_u64());
    status = allocate(s, spared, num_spared, error);
    if (status == WE_OK)
        status = we_processors_init(&s->processors, sampling, vocab_size, error);
    if (status != WE_OK) {
        we_sampler_free(s);
        return status;
    }
    *sampler = s;
    return WE_OK;
}

void we_sampler_free(struct we_sampler *s)
{
    if (s == NULL)
        return;
    we_processors_free(&s->processors);
    free(s->spared);
    free(s->tokens);
    free(s->keys);
    free(s->more);
    free(s);
}

void we_sampler_accept(struct we_sampler *s, uint32_t token)
{
    we_processors_accept(&s->processors, token);
}

/* ---- a pick ---- */

static bool has_nan(const float *values, size_t count)
{
    unsigned found = 0;
    for (size_t i = 0; i < count; i++)
        found |= values[i] != values[i];
    return found != 0;
}

static float log_sum_exp(const struct we_sampler *s, const float *logits, float largest)
{
    return logf(we_exp_sum(s->exp_block, logits, largest, s->vocab_size)) + largest;
}

/* The first index of the largest log-probability. Where the subtraction of logsumexp rounds, logits that differ can
 * become equal, and then mlx-lm takes the first of them. log-probabilities of the largest are over -16, so that their
 * spacing is under 1e-6. */
static uint32_t pick_greedy(const struct we_sampler *s, const float *logits, float largest)
{
    const float near = 2e-6f;
    uint32_t first = 0;
    while (logits[first] < largest && !(largest - logits[first] < near))
        first++;
    if (logits[first] == largest)
        return first;
    float sum = log_sum_exp(s, logits, largest), best = largest - sum;
    while (logits[first] - sum < best)
        first++;
    return first;
}

static struct we_candidates make_candidates(struct we_sampler *s, float *logits, float largest)
{
    struct we_candidates c = {logits, s->tokens, 0, s->keys, s->more, false, s->exp_block};
    float sum = log_sum_exp(s, logits, largest);
    for (uint32_t i = 0; i < s->vocab_size; i++) {
        float value = logits[i] - sum;
        c.values[c.count] = value;
        c.tokens[c.count] = i;
        c.count += value != -INFINITY;
    }
    return c;
}

/* mx.random.categorical of one row: the place of a uniform number in the cumulated masses. Additions run from left to
 * right; tokens that were dropped would add zeros. */
static uint32_t draw(struct we_sampler *s, struct we_candidates *c)
{
    for (size_t i = 0; i < c->count; i++)
        c->values[i] *= s->scale;
    float largest = we_largest(c->values, c->count), masses[WE_EXP_BLOCK], sum = 0;
    float target = we_random_uniform(&s->random) * we_exp_sum(c->exp_block, c->values, largest, c->count);
    for (size_t at = 0; at < c->count; at += WE_EXP_BLOCK) {
        size_t n = c->count - at < WE_EXP_BLOCK ? c->count - at : WE_EXP_BLOCK;
        we_exp_some(c->exp_block, c->values + at, largest, masses, n);
        for (size_t i = 0; i < n; i++) {
            sum += masses[i];
            if (sum > target)
                return c->tokens[at + i];
        }
    }
    return c->tokens[c->count - 1]; /* not reached: the number is under 1 and the sum at least 1 */
}

we_status we_sampler_pick(struct we_sampler *s, float *logits, uint32_t *token, struct we_error *error)
{
    we_processors_apply(&s->processors, logits);
    float largest = we_largest(logits, s->vocab_size);
    if (has_nan(logits, s->vocab_size) || isinf(largest))
        return we_error_set(error, WE_INVALID_FORMAT,
                            "the logits are not finite (%s): the model's weights are damaged, or a computation overflowed",
                            largest == -INFINITY  ? "all are -infinity"
                            : largest == INFINITY ? "infinity"
                                                  : "NaN");
    if (s->temperature == 0) {
        *token = pick_greedy(s, logits, largest);
        return WE_OK;
    }
    struct we_candidates c = make_candidates(s, logits, largest);
    if (s->top_p > 0 && s->top_p < 1)
        we_filter_top_p(&c, s->top_p);
    if (s->has_min_p)
        we_filter_min_p(&c, s->log_min_p, s->min_tokens_to_keep);
    if (s->xtc_probability > 0 && !(we_random_uniform(&s->random) > s->xtc_probability))
        we_filter_xtc(&c, s->xtc_threshold, s->spared, s->num_spared);
    if (s->top_k > 0)
        we_filter_top_k(&c, s->top_k);
    *token = draw(s, &c);
    return WE_OK;
}
