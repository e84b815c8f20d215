#include "base/bandwidth.h"

#include "base/pool.h"
#include "base/system.h"

#include <stdlib.h>
#include <string.h>

enum { BUFFER_BYTES = 256 << 20, PASSES = 6, STEP = 16 };

struct measurement {
    const uint64_t *words;
    size_t words_each;
    uint64_t *sums; /* (threads): used, so that no read can be left out */
};

static uint64_t sum_words(const uint64_t *words, size_t count)
{
    uint64_t sums[STEP] = {0}, all = 0;
    for (size_t i = 0; i + STEP <= count; i += STEP) {
        __builtin_prefetch((const char *)(words + i) + 4096);
        for (int j = 0; j < STEP; j++)
            sums[j] += words[i + (size_t)j];
    }
    for (int j = 0; j < STEP; j++)
        all += sums[j];
    return all;
}

static void read_part(void *context, uint32_t worker)
{
    struct measurement *m = context;
    m->sums[worker] += sum_words(m->words + worker * m->words_each, m->words_each);
}

we_status we_measure_read_bandwidth(uint32_t threads, double *bytes_per_second, struct we_error *error)
{
    *bytes_per_second = 0;
    struct we_pool *pool = NULL;
    uint64_t *words = NULL, *sums = NULL;
    we_status status = we_pool_new(threads, &pool, error);
    if (status != WE_OK)
        return status;
    words = malloc(BUFFER_BYTES);
    sums = calloc(threads, sizeof *sums);
    if (words == NULL || sums == NULL) {
        status = we_error_memory(error, "the buffer that bandwidth is measured with");
        goto done;
    }
    memset(words, 1, BUFFER_BYTES); /* every page of its own: untouched ones would all be the same zeros */
    struct measurement m = {words, BUFFER_BYTES / sizeof *words / threads / STEP * STEP, sums};
    for (int pass = 0; pass < PASSES; pass++) {
        double start = we_clock();
        we_pool_run(pool, read_part, &m);
        double rate = (double)(m.words_each * threads * sizeof *words) / (we_clock() - start);
        *bytes_per_second = rate > *bytes_per_second ? rate : *bytes_per_second;
    }
    volatile uint64_t sink = 0;
    for (uint32_t i = 0; i < threads; i++)
        sink += sums[i];
    (void)sink;
done:
    free(words);
    free(sums);
    we_pool_free(pool);
    return status;
}
