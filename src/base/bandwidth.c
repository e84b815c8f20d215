#include "base/bandwidth.h"

#include "base/pool.h"
#include "base/system.h"

#include <stdlib.h>
#include <string.h>

enum { LARGEST = 256 << 20, SMALLEST = 32 << 20, PASSES = 8, STREAMS = 8 };

struct pass {
    const uint64_t *words;
    size_t num_words; /* a multiple of STREAMS for each worker */
    uint32_t threads;
    uint64_t sums[1024];
};

/* Adds up a contiguous part. Independent sums let the compiler keep many loads under way. */
static void read_part(void *context, uint32_t worker)
{
    struct pass *pass = context;
    size_t part = pass->num_words / pass->threads / STREAMS * STREAMS;
    const uint64_t *p = pass->words + worker * part;
    uint64_t sums[STREAMS] = {0};
    for (size_t i = 0; i < part; i += STREAMS)
        for (int s = 0; s < STREAMS; s++)
            sums[s] += p[i + s];
    for (int s = 1; s < STREAMS; s++)
        sums[0] += sums[s];
    pass->sums[worker] = sums[0];
}

we_status we_measure_read_bandwidth(uint32_t threads, double *bytes_per_second, struct we_error *error)
{
    struct we_pool *pool;
    we_status status = we_pool_new(threads, &pool, error);
    if (status != WE_OK)
        return status;
    size_t size = LARGEST;
    uint64_t *words = NULL;
    while (size >= SMALLEST && (words = aligned_alloc(4096, size)) == NULL)
        size /= 2;
    struct pass *pass = calloc(1, sizeof *pass);
    if (words == NULL || pass == NULL) {
        free(words);
        free(pass);
        we_pool_free(pool);
        return we_error_memory(error, "the measurement of bandwidth");
    }
    memset(words, 1, size);
    *pass = (struct pass){.words = words, .num_words = size / sizeof *words, .threads = threads};
    size_t read = pass->num_words / threads / STREAMS * STREAMS * threads * sizeof *words;
    *bytes_per_second = 0;
    uint64_t check = 0;
    for (int i = 0; i < PASSES; i++) {
        double start = we_clock();
        we_pool_run(pool, read_part, pass);
        double rate = (double)read / (we_clock() - start);
        *bytes_per_second = rate > *bytes_per_second ? rate : *bytes_per_second;
        for (uint32_t t = 0; t < threads; t++)
            check += pass->sums[t];
    }
    if (check == 0) /* never: every word is positive; it keeps the reads from being optimised away */
        *bytes_per_second = 0;
    free(words);
    free(pass);
    we_pool_free(pool);
    return WE_OK;
}
