#include "base/bandwidth.h"

#include "base/pool.h"
#include "base/system.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    HUGE_PAGE = 2 << 20,
    PIECE = 32 << 20,   /* bytes that are filled at a time */
    WINDOW = 256 << 20, /* bytes that are read and timed at a time */
    LEAST_BUFFER = WINDOW,
    CACHES = 4,             /* the buffer is so many times the largest cache, */
    MOST_BUFFER_MIB = 2048, /* but no larger than this, */
    SHARE_OF_MEMORY = 4,    /* nor than this part of what is available; */
    READINGS = 10,
    LINE = 64
};
static const double FILL_SECONDS = 1.5; /* nor than what can be touched in this time */

/* ---- reading ---- */

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi" /* vectors never cross a call here */
#endif
typedef uint64_t lanes __attribute__((vector_size(LINE), aligned(LINE)));

/* Adds up `bytes` bytes, a multiple of `streams` * 4 lines, in `streams` places side by side. Without prefetching, and
 * with narrower loads, one thread reads up to a third less. */
static inline __attribute__((always_inline)) uint64_t sum_bytes(const char *p, size_t bytes, size_t streams, size_t ahead)
{
    lanes sums[4] = {{0}};
    size_t part = bytes / streams, step = 4 / streams * LINE;
    for (size_t i = 0; i < part; i += step) {
        for (size_t s = 0; s < streams; s++) {
            const char *q = p + s * part + i;
            for (size_t line = 0; line < 4 / streams; line++) {
                __builtin_prefetch(q + line * LINE + ahead);
                sums[s * (4 / streams) + line] += *(const lanes *)(q + line * LINE);
            }
        }
    }
    lanes all = sums[0] + sums[1] + (sums[2] + sums[3]);
    uint64_t sum = 0;
    for (int i = 0; i < 8; i++)
        sum += all[i];
    return sum;
}

/* One stream is best where pages are huge, four where each small page makes the prefetcher start again. */
enum { NUM_PATTERNS = 2 };
typedef uint64_t sum_fn(const char *p, size_t bytes);

#define PATTERNS(suffix, attribute)                                                                                            \
    attribute static uint64_t sum_1_##suffix(const char *p, size_t bytes)                                                      \
    {                                                                                                                          \
        return sum_bytes(p, bytes, 1, 4096);                                                                                   \
    }                                                                                                                          \
    attribute static uint64_t sum_4_##suffix(const char *p, size_t bytes)                                                      \
    {                                                                                                                          \
        return sum_bytes(p, bytes, 4, 2048);                                                                                   \
    }                                                                                                                          \
    static sum_fn *const patterns_##suffix[NUM_PATTERNS] = {sum_1_##suffix, sum_4_##suffix};

PATTERNS(plain, )
#if defined(__x86_64__)
PATTERNS(avx2, __attribute__((target("avx2"))))
PATTERNS(avx512, __attribute__((target("avx512f"))))
#endif

static sum_fn *const *select_patterns(void)
{
#if defined(__x86_64__)
    struct we_cpu_features features;
    we_cpu_features(&features);
    if (features.avx512f)
        return patterns_avx512;
    if (features.avx2)
        return patterns_avx2;
#endif
    return patterns_plain;
}

/* ---- the buffer ---- */

struct measurement {
    char *buffer;
    size_t bytes, each; /* each: of a window, for one thread */
    size_t start;       /* of the window, or of what is filled */
    uint32_t threads;
    sum_fn *sum;
    uint64_t *sums; /* (threads): used, so that no read can be left out */
};

static size_t buffer_bytes(void)
{
    uint64_t bytes = we_cache_bytes() * CACHES, most = (uint64_t)MOST_BUFFER_MIB << 20, memory = we_memory_available();
    if (memory && memory / SHARE_OF_MEMORY < most)
        most = memory / SHARE_OF_MEMORY;
    bytes = bytes < most ? bytes : most;
    bytes = bytes > LEAST_BUFFER ? bytes : LEAST_BUFFER;
    return (size_t)bytes / PIECE * PIECE;
}

static void fill_part(void *context, uint32_t worker)
{
    struct measurement *m = context;
    size_t each = PIECE / m->threads, end = worker + 1 == m->threads ? (size_t)PIECE : (worker + 1) * each;
    memset(m->buffer + m->start + worker * each, 1, end - worker * each);
}

/* Every page must be one of its own: untouched ones would all be the same zeros. Stops when it takes too long. */
static void fill(struct measurement *m, struct we_pool *pool)
{
    double start = we_clock();
    size_t filled = 0;
    while (filled < m->bytes && (filled < LEAST_BUFFER || we_clock() - start < FILL_SECONDS)) {
        m->start = filled;
        we_pool_run(pool, fill_part, m);
        filled += PIECE;
    }
    m->bytes = filled;
}

static void read_part(void *context, uint32_t worker)
{
    struct measurement *m = context;
    m->sums[worker] += m->sum(m->buffer + m->start + worker * m->each, m->each);
}

we_status we_measure_read_bandwidth(uint32_t threads, double *bytes_per_second, struct we_error *error)
{
    *bytes_per_second = 0;
    struct we_pool *pool = NULL;
    we_status status = we_pool_new(threads, &pool, error);
    if (status != WE_OK)
        return status;
    struct measurement m = {.bytes = buffer_bytes(), .threads = threads};
    sum_fn *const *patterns = select_patterns();
    void *buffer = NULL;
    m.sums = calloc(threads, sizeof *m.sums);
    if (m.sums == NULL || posix_memalign(&buffer, HUGE_PAGE, m.bytes) != 0) {
        status = we_error_memory(error, "the buffer that bandwidth is measured with");
        goto done;
    }
#if defined(MADV_HUGEPAGE)
    madvise(buffer, m.bytes, MADV_HUGEPAGE);
#endif
    m.buffer = buffer;
    fill(&m, pool);
    m.each = WINDOW / threads / (16 * LINE) * (16 * LINE);
    for (size_t reading = 0; reading < READINGS; reading++) {
        /* From window to window: what a cache kept of one is gone when its turn comes again. */
        m.sum = patterns[reading % NUM_PATTERNS];
        m.start = reading % (m.bytes / WINDOW) * WINDOW;
        double start = we_clock();
        we_pool_run(pool, read_part, &m);
        double rate = (double)(m.each * threads) / (we_clock() - start);
        *bytes_per_second = rate > *bytes_per_second ? rate : *bytes_per_second;
    }
    volatile uint64_t sink = 0;
    for (uint32_t i = 0; i < threads; i++)
        sink += m.sums[i];
    (void)sink;
done:
    free(buffer);
    free(m.sums);
    we_pool_free(pool);
    return status;
}
