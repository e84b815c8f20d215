#include "peaks.h"

#include "base/system.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

enum {
    STEPS = 20000, /* of a loop in one timing: some tens of microseconds */
    TIMINGS = 400, /* the best one counts: it was not interrupted */
    SUMS = 12      /* independent ones, which hide the latency of the instruction */
};

#define UNROLL _Pragma("GCC unroll 16")

/* So that the compiler does not see that all sums have the same value, and keep one of them. */
#if defined(__x86_64__)
#define HIDE(vector) __asm__ volatile("" : "+x"(vector))
#elif defined(__aarch64__)
#define HIDE(vector) __asm__ volatile("" : "+w"(vector))
#else
#define HIDE(vector) __asm__ volatile("" : "+m"(vector))
#endif

/* `SUMS` sums in registers; `ONE` adds a product to one of them. Their total is returned, so that nothing is left out. */
#define LOOP(function, attributes, vector, zero, operand, ONE)                                                                 \
    attributes static float function(void)                                                                                     \
    {                                                                                                                          \
        vector sums[SUMS], a = operand, b = operand;                                                                           \
        HIDE(a);                                                                                                               \
        HIDE(b);                                                                                                               \
        UNROLL for (int i = 0; i < SUMS; i++)                                                                                  \
        {                                                                                                                      \
            sums[i] = zero;                                                                                                    \
            HIDE(sums[i]);                                                                                                     \
        }                                                                                                                      \
        for (int step = 0; step < STEPS; step++) {                                                                             \
            UNROLL for (int i = 0; i < SUMS; i++) sums[i] = ONE(sums[i], a, b);                                                \
        }                                                                                                                      \
        vector kept[SUMS]; /* an index that is no constant would keep the sums themselves in memory */                         \
        UNROLL for (int i = 0; i < SUMS; i++) kept[i] = sums[i];                                                               \
        float lanes[SUMS * (sizeof(vector) / sizeof(float))], total = 0;                                                       \
        memcpy(lanes, kept, sizeof kept);                                                                                      \
        for (size_t j = 0; j < sizeof lanes / sizeof *lanes; j++)                                                              \
            total += lanes[j];                                                                                                 \
        return total;                                                                                                          \
    }

typedef float loop_fn(void);

struct loop {
    struct peak peak;
    loop_fn *run;
    double operations; /* of one instruction */
    bool (*present)(const struct we_cpu_features *features);
};

#if defined(__x86_64__)

#define TARGET(features) __attribute__((target(features)))
/* A product and its addition, as assembly: a product that does not change would be computed once. */
#define MADD(vector, a, b, c)                                                                                                  \
    ({                                                                                                                         \
        vector sum_ = c, product_;                                                                                             \
        __asm__ volatile("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0" : "+x"(sum_), "=&x"(product_) : "x"(a), "x"(b));           \
        sum_;                                                                                                                  \
    })
#define MULTIPLY_ADD_128(c, a, b)                                                                                              \
    ({                                                                                                                         \
        __m128 sum_ = c, product_ = a;                                                                                         \
        __asm__ volatile("mulps %2, %1\n\taddps %1, %0" : "+x"(sum_), "+x"(product_) : "x"(b));                                \
        sum_;                                                                                                                  \
    })
#define FMA_256(c, a, b) _mm256_fmadd_ps(a, b, c)
#define FMA_512(c, a, b) _mm512_fmadd_ps(a, b, c)
#define MADD_256(c, a, b) MADD(__m256i, a, b, c)
#define MADD_512(c, a, b) MADD(__m512i, a, b, c)
#define DPWSSD(c, a, b) _mm512_dpwssd_epi32(c, a, b)
#define DPBUSD(c, a, b) _mm512_dpbusd_epi32(c, a, b)
#define DPBF16(c, a, b) _mm512_dpbf16_ps(c, (__m512bh)(a), (__m512bh)(b))

LOOP(run_plain, , __m128, _mm_setzero_ps(), _mm_set1_ps(1e-9f), MULTIPLY_ADD_128)
LOOP(run_fma_256, TARGET("avx2,fma"), __m256, _mm256_setzero_ps(), _mm256_set1_ps(1.0f), FMA_256)
LOOP(run_madd_256, TARGET("avx2"), __m256i, _mm256_setzero_si256(), _mm256_set1_epi16(1), MADD_256)
LOOP(run_fma_512, TARGET("avx512f"), __m512, _mm512_setzero_ps(), _mm512_set1_ps(1.0f), FMA_512)
LOOP(run_madd_512, TARGET("avx512f,avx512bw"), __m512i, _mm512_setzero_si512(), _mm512_set1_epi16(1), MADD_512)
LOOP(run_dpwssd, TARGET("avx512f,avx512bw,avx512vnni"), __m512i, _mm512_setzero_si512(), _mm512_set1_epi16(1), DPWSSD)
LOOP(run_dpbusd, TARGET("avx512f,avx512bw,avx512vnni"), __m512i, _mm512_setzero_si512(), _mm512_set1_epi8(1), DPBUSD)

LOOP(run_dpbf16, TARGET("avx512f,avx512bw,avx512bf16"), __m512, _mm512_setzero_ps(), (__m512)_mm512_set1_epi16(0x3F80), DPBF16)

static void configure_tiles(void *config)
{
    memset(config, 0, 64);
    uint8_t *bytes = config;
    bytes[0] = 1; /* palette */
    for (int i = 0; i < 8; i++) {
        bytes[16 + 2 * i] = 64; /* bytes of a row */
        bytes[48 + i] = 16;     /* rows */
    }
}

/* Two times two operands, four sums, as a real product has them in the eight tiles. Configuring sets them to zero. */
#define TILES(function, features, DOT)                                                                                         \
    TARGET(features) static float function(void)                                                                               \
    {                                                                                                                          \
        uint8_t config[64];                                                                                                    \
        configure_tiles(config);                                                                                               \
        __asm__ volatile("" : : "r"(config) : "memory"); /* gcc does not know what the next one reads */                       \
        _tile_loadconfig(config);                                                                                              \
        for (int step = 0; step < STEPS / 100; step++) {                                                                       \
            UNROLL for (int i = 0; i < SUMS / 4; i++)                                                                          \
            {                                                                                                                  \
                DOT(0, 4, 6);                                                                                                  \
                DOT(1, 4, 7);                                                                                                  \
                DOT(2, 5, 6);                                                                                                  \
                DOT(3, 5, 7);                                                                                                  \
            }                                                                                                                  \
        }                                                                                                                      \
        _tile_release();                                                                                                       \
        return 0;                                                                                                              \
    }
TILES(run_tile_bf16, "amx-tile,amx-bf16", _tile_dpbf16ps)
TILES(run_tile_int8, "amx-tile,amx-int8", _tile_dpbssd)

static bool has_any(const struct we_cpu_features *f)
{
    return f != NULL;
}
static bool has_fma(const struct we_cpu_features *f)
{
    return f->avx2 && f->fma;
}
static bool has_avx512(const struct we_cpu_features *f)
{
    return f->avx512f && f->avx512bw;
}
static bool has_vnni(const struct we_cpu_features *f)
{
    return has_avx512(f) && f->avx512vnni;
}
static bool has_bf16(const struct we_cpu_features *f)
{
    return has_avx512(f) && f->avx512bf16;
}
static bool has_tile_bf16(const struct we_cpu_features *f)
{
    return f->amx_bf16;
}
static bool has_tile_int8(const struct we_cpu_features *f)
{
    return f->amx_int8;
}

static const struct loop loops[] = {
    {{"mulps + addps, 128 bits", "generic", "f32", 0}, run_plain, 2 * 4, has_any},
    {{"vfmadd, 256 bits", "avx2", "f32", 0}, run_fma_256, 2 * 8, has_fma},
    {{"vpmaddwd + vpaddd, 256 bits", "avx2", "int16", 0}, run_madd_256, 2 * 16, has_fma},
    {{"vfmadd, 512 bits", "avx512", "f32", 0}, run_fma_512, 2 * 16, has_avx512},
    {{"vpmaddwd + vpaddd, 512 bits", "avx512", "int16", 0}, run_madd_512, 2 * 32, has_avx512},
    {{"vpdpwssd, 512 bits", "avx512bf16", "int16", 0}, run_dpwssd, 2 * 32, has_vnni},
    {{"vpdpbusd, 512 bits", "avx512bf16", "int8", 0}, run_dpbusd, 2 * 64, has_vnni},
    {{"vdpbf16ps, 512 bits", "avx512bf16", "bf16", 0}, run_dpbf16, 2 * 32, has_bf16},
    {{"tdpbf16ps", "amx", "bf16", 0}, run_tile_bf16, 2 * 16 * 16 * 32 / 100.0, has_tile_bf16},
    {{"tdpbssd", "amx", "int8", 0}, run_tile_int8, 2 * 16 * 16 * 64 / 100.0, has_tile_int8},
};

#else

#if defined(__aarch64__)
#define FMA_128(c, a, b) vfmaq_f32(c, a, b)
LOOP(run_plain, , float32x4_t, vdupq_n_f32(0), vdupq_n_f32(1), FMA_128)
#else
typedef float four __attribute__((vector_size(16)));
#define MULTIPLY_ADD(c, a, b) ((c) + ((a) + (c)) * (b))
LOOP(run_plain, , four, ((four){0}), ((four){1e-9f, 1e-9f, 1e-9f, 1e-9f}), MULTIPLY_ADD)
#endif

static bool has_any(const struct we_cpu_features *f)
{
    return f != NULL;
}
static const struct loop loops[] = {{{"multiply and add, 128 bits", "generic", "f32", 0}, run_plain, 2 * 4, has_any}};

#endif

struct job {
    loop_fn *run;
    float *totals; /* (threads) */
};

static void run_loop(void *context, uint32_t worker)
{
    struct job *job = context;
    job->totals[worker * 16] += job->run();
}

size_t measure_peaks(struct we_pool *pool, uint32_t threads, struct peak peaks[MOST_PEAKS])
{
    struct we_cpu_features features;
    we_cpu_features(&features);
    struct job job = {.totals = calloc(threads, 16 * sizeof(float))};
    size_t count = 0;
    for (size_t i = 0; job.totals && i < sizeof loops / sizeof *loops; i++) {
        if (!loops[i].present(&features))
            continue;
        double best = 0;
        job.run = loops[i].run;
        for (int timing = 0; timing < TIMINGS; timing++) {
            double start = we_clock();
            we_pool_run(pool, run_loop, &job);
            double rate = loops[i].operations * SUMS * STEPS * threads / (we_clock() - start);
            best = rate > best ? rate : best;
        }
        peaks[count] = loops[i].peak;
        peaks[count++].gops = best / 1e9;
    }
    free(job.totals);
    return count;
}
