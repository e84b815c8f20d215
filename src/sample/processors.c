#include "sample/processors.h"

#include <stdlib.h>
#include <string.h>

we_status we_processors_init(struct we_processors *p, const struct we_sampling *sampling, uint32_t vocab_size,
                             struct we_error *error)
{
    *p = (struct we_processors){.repetition = sampling->repetition_penalty,
                                .presence = sampling->presence_penalty,
                                .frequency = sampling->frequency_penalty,
                                .vocab_size = vocab_size};
    if (sampling->num_logit_bias) {
        p->bias = calloc(sampling->num_logit_bias, sizeof *p->bias);
        if (p->bias == NULL)
            return we_error_memory(error, "logit_bias");
        memcpy(p->bias, sampling->logit_bias, sampling->num_logit_bias * sizeof *p->bias);
        p->num_bias = sampling->num_logit_bias;
    }
    if ((p->repetition == 0 || p->repetition == 1) && p->presence == 0 && p->frequency == 0)
        return WE_OK;
    p->context = sampling->repetition_context ? sampling->repetition_context : WE_DEFAULT_REPETITION_CONTEXT;
    p->recent = calloc(p->context, sizeof *p->recent);
    p->unique = calloc(p->context, sizeof *p->unique);
    return p->recent && p->unique ? WE_OK : we_error_memory(error, "the tokens that penalties see");
}

void we_processors_free(struct we_processors *p)
{
    free(p->bias);
    free(p->recent);
    free(p->unique);
    *p = (struct we_processors){0};
}

void we_processors_accept(struct we_processors *p, uint32_t token)
{
    if (p->recent == NULL)
        return;
    p->recent[p->next] = token;
    p->next = p->next + 1 == p->context ? 0 : p->next + 1;
    if (p->used < p->context)
        p->used++;
}

static int compare_tokens(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Fills `unique` with each token once, without those that have no logit. */
static size_t unique_tokens(struct we_processors *p)
{
    memcpy(p->unique, p->recent, p->used * sizeof *p->unique);
    qsort(p->unique, p->used, sizeof *p->unique, compare_tokens);
    size_t n = 0;
    for (size_t i = 0; i < p->used; i++)
        if (p->unique[i] < p->vocab_size && (n == 0 || p->unique[i] != p->unique[n - 1]))
            p->unique[n++] = p->unique[i];
    return n;
}

void we_processors_apply(struct we_processors *p, float *logits)
{
    for (size_t i = 0; i < p->num_bias; i++)
        logits[p->bias[i].token] += p->bias[i].bias;
    if (p->used == 0)
        return;
    size_t n = unique_tokens(p);
    if (p->repetition != 0 && p->repetition != 1)
        for (size_t i = 0; i < n; i++) {
            float *x = &logits[p->unique[i]];
            *x = *x < 0 ? *x * p->repetition : *x / p->repetition;
        }
    if (p->presence != 0)
        for (size_t i = 0; i < n; i++)
            logits[p->unique[i]] -= p->presence;
    if (p->frequency != 0) /* subtracted once for each occurrence: a product would round otherwise */
        for (size_t i = 0; i < p->used; i++)
            if (p->recent[i] < p->vocab_size)
                logits[p->recent[i]] -= p->frequency;
}
