/* How well a model foretells a text. */
#include "engine/model.h"
#include "engine/remote_model.h"

#include <math.h>
#include <stdlib.h>
#include <whisperengine_tools.h>

enum { DEFAULT_WINDOW = 512 };

struct scoring {
    const struct we_perplexity_options *options;
    uint32_t vocab_size;
    const uint32_t *targets;       /* (rows): what follows each id of the window */
    struct we_token_score *scores; /* (rows) */
    uint64_t done, total;
};

/* Sums of exponentials in pieces, so that float32 terms lose nothing in a large vocabulary. */
static double log_sum(const float *logits, uint32_t count, float largest)
{
    double sum = 0;
    for (uint32_t i = 0; i < count;) {
        float piece = 0;
        for (uint32_t end = count - i < 64 ? count : i + 64; i < end; i++)
            piece += expf(logits[i] - largest);
        sum += (double)piece;
    }
    return (double)largest + log(sum);
}

static bool score_row(void *context, size_t index, const float *logits)
{
    struct scoring *s = context;
    uint32_t top = 0;
    for (uint32_t i = 1; i < s->vocab_size; i++)
        top = logits[i] > logits[top] ? i : top;
    s->scores[index].loss = log_sum(logits, s->vocab_size, logits[top]) - (double)logits[s->targets[index]];
    s->scores[index].top = top;
    s->done++;
    return s->options->on_progress == NULL || s->options->on_progress(s->options->context, s->done, s->total);
}

static void summarise(const struct we_token_score *scores, size_t count, struct we_perplexity *result)
{
    double mean = 0, deviation = 0;
    for (size_t i = 0; i < count; i++)
        mean += scores[i].loss / (double)count;
    for (size_t i = 0; i < count; i++)
        deviation += (scores[i].loss - mean) * (scores[i].loss - mean);
    deviation = count > 1 ? sqrt(deviation / (double)(count - 1)) : 0;
    result->loss = mean;
    result->perplexity = exp(mean);
    result->standard_error = result->perplexity * deviation / sqrt((double)count);
}

we_status we_perplexity(struct we_model *model, const uint32_t *ids, size_t count, const struct we_perplexity_options *options,
                        struct we_perplexity *result, struct we_error *error)
{
    static const struct we_perplexity_options none;
    struct scoring s = {.options = options ? options : &none, .vocab_size = we_model_info(model)->vocab_size};
    size_t window = s.options->window ? s.options->window : DEFAULT_WINDOW;
    *result = (struct we_perplexity){0};
    we_status status = we_model_require_local(model, "a perplexity", error);
    if (status != WE_OK)
        return status;
    if (window < 2 || count < 2)
        return we_error_set(error, WE_INVALID_ARGUMENT,
                            "%zu ids in windows of %zu: at least two are needed, since it is the next one that is foretold",
                            count, window);
    if (window > count)
        window = count;
    size_t windows = count / window, rows = window - 1;
    if (s.options->max_windows && windows > s.options->max_windows)
        windows = s.options->max_windows;
    for (size_t i = 0; i < windows * window; i++)
        if (ids[i] >= s.vocab_size)
            return we_error_set(error, WE_INVALID_ARGUMENT, "id %zu is %u, but the model's vocab_size is %u", i, ids[i],
                                s.vocab_size);
    result->scores = calloc(windows * rows, sizeof *result->scores);
    if (result->scores == NULL)
        return we_error_memory(error, "the scores of the tokens");
    s.total = windows * rows;
    for (size_t w = 0; w < windows && status == WE_OK; w++) {
        s.targets = ids + w * window + 1;
        s.scores = result->scores + w * rows;
        status = we_logits(model, ids + w * window, rows, score_row, &s, error);
    }
    result->num_windows = windows;
    result->window = window;
    result->num_tokens = s.total;
    if (status == WE_OK)
        summarise(result->scores, s.total, result);
    else
        we_perplexity_clear(result);
    return status;
}

void we_perplexity_clear(struct we_perplexity *result)
{
    free(result->scores);
    *result = (struct we_perplexity){0};
}
