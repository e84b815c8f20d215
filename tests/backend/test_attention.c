/* The kernels of attention of every instruction set that this machine has, against float64. */
#include "backend/cpu/cpu.h"
#include "tensor/dtype.h"

#include "isas.h"
#include "random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { POSITIONS = 1024, PAGES = POSITIONS / WE_PAGE_POSITIONS };

static const struct we_cpu_kernels *isas[WE_CPU_MAX_ISAS];
static uint32_t num_isas;

/* ---- keys and values, in pages of one kind ---- */

struct cache {
    uint32_t head_dim, v_head_dim;
    enum we_dtype dtype;
    float *keys, *values;         /* (POSITIONS, head_dim), (POSITIONS, v_head_dim): as the pages hold them */
    uint8_t *k[PAGES], *v[PAGES]; /* of just the bytes that they need */
};

/* Where number d of the key, or of the value, of a position lies in its page, in numbers. */
static size_t key_at(const struct cache *c, uint32_t position, uint32_t d)
{
    const uint32_t p = position % WE_PAGE_POSITIONS;
    if (c->dtype == WE_F32)
        return (size_t)d * WE_PAGE_POSITIONS + p;
    return ((size_t)(p / 16) * (c->head_dim / 2) + d / 2) * 32 + p % 16 * 2 + d % 2;
}
static size_t value_at(const struct cache *c, uint32_t position, uint32_t d)
{
    const uint32_t p = position % WE_PAGE_POSITIONS, block = d / 16 * 16;
    if (c->dtype == WE_F32)
        return (size_t)p * c->v_head_dim + d;
    const uint32_t width = c->v_head_dim - block < 16 ? c->v_head_dim - block : 16;
    return (size_t)block * WE_PAGE_POSITIONS + (size_t)(p / 2) * 2 * width + (d - block) * 2 + p % 2;
}

static float *key_number(const struct cache *c, uint32_t position, uint32_t d)
{
    return &c->keys[(size_t)position * c->head_dim + d];
}
static float *value_number(const struct cache *c, uint32_t position, uint32_t d)
{
    return &c->values[(size_t)position * c->v_head_dim + d];
}

static void put(const struct cache *c, uint8_t *page, size_t at, float value)
{
    if (c->dtype == WE_F32)
        ((float *)page)[at] = value;
    else
        ((uint16_t *)page)[at] = we_bf16_from_f32(value);
}

static void set_position(const struct cache *c, uint32_t p)
{
    for (uint32_t d = 0; d < c->head_dim; d++)
        put(c, c->k[p / WE_PAGE_POSITIONS], key_at(c, p, d), *key_number(c, p, d));
    for (uint32_t d = 0; d < c->v_head_dim; d++)
        put(c, c->v[p / WE_PAGE_POSITIONS], value_at(c, p, d), *value_number(c, p, d));
}

static void poison(const struct cache *c, uint32_t p)
{
    for (uint32_t d = 0; d < c->head_dim; d++)
        put(c, c->k[p / WE_PAGE_POSITIONS], key_at(c, p, d), NAN);
    for (uint32_t d = 0; d < c->v_head_dim; d++)
        put(c, c->v[p / WE_PAGE_POSITIONS], value_at(c, p, d), NAN);
}

static void cache_make(struct cache *c, enum we_dtype dtype, uint32_t head_dim, uint32_t v_head_dim, uint64_t *seed)
{
    *c = (struct cache){.head_dim = head_dim, .v_head_dim = v_head_dim, .dtype = dtype};
    c->keys = malloc(sizeof(float) * POSITIONS * head_dim);
    c->values = malloc(sizeof(float) * POSITIONS * v_head_dim);
    for (size_t i = 0; i < (size_t)POSITIONS * head_dim; i++)
        c->keys[i] = random_normal(seed);
    for (size_t i = 0; i < (size_t)POSITIONS * v_head_dim; i++)
        c->values[i] = random_normal(seed);
    for (size_t i = 0; dtype == WE_BF16 && i < (size_t)POSITIONS * head_dim; i++)
        c->keys[i] = we_f32_from_bf16(we_bf16_from_f32(c->keys[i]));
    for (size_t i = 0; dtype == WE_BF16 && i < (size_t)POSITIONS * v_head_dim; i++)
        c->values[i] = we_f32_from_bf16(we_bf16_from_f32(c->values[i]));
    for (uint32_t p = 0; p < PAGES; p++) {
        c->k[p] = malloc(we_dtype_size(dtype) * WE_PAGE_POSITIONS * head_dim);
        c->v[p] = malloc(we_dtype_size(dtype) * WE_PAGE_POSITIONS * v_head_dim);
    }
    for (uint32_t p = 0; p < POSITIONS; p++)
        set_position(c, p);
}

static void cache_free(struct cache *c)
{
    for (uint32_t p = 0; p < PAGES; p++)
        free(c->k[p]), free(c->v[p]);
    free(c->keys), free(c->values);
}

/* Attention of one query over positions [first, last): the values weighted by e^(score - greatest), not divided yet. */
static void reference(const struct cache *c, const float *q, uint32_t first, uint32_t last, double *greatest, double *sum,
                      double *out)
{
    double scores[POSITIONS];
    *greatest = -INFINITY;
    *sum = 0;
    for (uint32_t p = first; p < last; p++) {
        scores[p] = 0;
        for (uint32_t d = 0; d < c->head_dim; d++)
            scores[p] += (double)q[d] * *key_number(c, p, d);
        *greatest = fmax(*greatest, scores[p]);
    }
    for (uint32_t d = 0; d < c->v_head_dim; d++)
        out[d] = 0;
    for (uint32_t p = first; p < last; p++) {
        const double weight = exp(scores[p] - *greatest);
        *sum += weight;
        for (uint32_t d = 0; d < c->v_head_dim; d++)
            out[d] += weight * *value_number(c, p, d);
    }
}

/* ---- a few queries over one chunk ---- */

typedef void attend_function(struct we_cpu_attend *attend);

static void check_row(const struct cache *c, const float *q, uint32_t first, uint32_t last, float max, float sum,
                      const float *out)
{
    double greatest, total, want[256];
    reference(c, q, first, last, &greatest, &total, want);
    assert_true(fabs(max - greatest) <= 1e-5);
    assert_true(fabs(sum - total) <= 1e-5 * total);
    for (uint32_t d = 0; d < c->v_head_dim; d++)
        assert_true(fabs(out[d] - want[d]) <= 1e-5 * (1 + fabs(want[d])));
}

/* Each row alone gives the same bits. */
static void check_alone(const struct we_cpu_attend *a, attend_function *attend)
{
    float out[256];
    for (uint32_t r = 0; r < a->num_rows; r++) {
        struct we_cpu_attend alone = *a;
        alone.num_rows = 1, alone.q[0] = a->q[r], alone.first[0] = a->first[r], alone.last[0] = a->last[r];
        alone.out = out;
        attend(&alone);
        assert_memory_equal(&alone.max[0], &a->max[r], sizeof(float));
        assert_memory_equal(&alone.sum[0], &a->sum[r], sizeof(float));
        assert_memory_equal(out, a->out + r * a->v_head_dim, a->v_head_dim * sizeof(float));
    }
}

enum kind { ALL, NEIGHBOURS, WINDOWS, APART, KINDS };

static void check_chunk(const struct cache *c, attend_function *attend, uint32_t most_rows, uint32_t chunk, uint64_t *seed)
{
    const uint32_t head_dim = c->head_dim, v_head_dim = c->v_head_dim;
    float *q = malloc(sizeof(float) * most_rows * head_dim), *scores = malloc(sizeof(float) * most_rows * WE_CPU_CHUNK);
    float *out = malloc(sizeof(float) * most_rows * v_head_dim), *clean = malloc(sizeof(float) * most_rows * v_head_dim);
    for (uint32_t i = 0; i < most_rows * head_dim; i++)
        q[i] = random_normal(seed) / sqrtf((float)head_dim) * 2;
    for (uint32_t rows = 1; rows <= most_rows; rows++)
        for (enum kind kind = ALL; kind < KINDS; kind++) {
            struct we_cpu_attend a = {
                .num_rows = rows, .head_dim = head_dim, .v_head_dim = v_head_dim, .scores = scores, .out = out};
            uint32_t base = random_u32(seed) % (chunk - most_rows), first = UINT32_MAX, last = 0;
            for (uint32_t r = 0; r < rows; r++) {
                a.q[r] = q + r * head_dim;
                a.last[r] = kind == ALL ? chunk : base + 1 + r;
                a.first[r] = kind != WINDOWS ? 0 : a.last[r] > 3 ? a.last[r] - 3 : 0;
                if (kind == APART)
                    a.first[r] = r * (chunk / 9), a.last[r] = a.first[r] + 3;
                first = a.first[r] < first ? a.first[r] : first;
                last = a.last[r] > last ? a.last[r] : last;
            }
            for (uint32_t p = first / 64; p <= (last - 1) / 64; p++)
                a.k[p] = c->k[p], a.v[p] = c->v[p];
            attend(&a);
            for (uint32_t r = 0; r < rows; r++)
                check_row(c, a.q[r], a.first[r], a.last[r], a.max[r], a.sum[r], out + r * v_head_dim);
            check_alone(&a, attend);
            /* What a position that is not seen holds changes nothing. */
            memcpy(clean, out, sizeof(float) * rows * v_head_dim);
            for (uint32_t p = 0; p < chunk; p++)
                if (p < first || p >= last)
                    poison(c, p);
            attend(&a);
            assert_memory_equal(out, clean, sizeof(float) * rows * v_head_dim);
            for (uint32_t p = 0; p < chunk; p++)
                set_position(c, p);
        }
    free(q), free(scores), free(out), free(clean);
}

static void test_floats(void **state)
{
    (void)state;
    static const uint32_t dims[][2] = {{64, 64}, {96, 96}, {16, 16}, {20, 12}, {8, 100}, {128, 128}, {1, 1}, {256, 48}};
    uint64_t seed = 7;
    for (uint32_t i = 0; i < num_isas; i++)
        for (size_t d = 0; d < sizeof dims / sizeof *dims; d++) {
            struct cache c;
            cache_make(&c, WE_F32, dims[d][0], dims[d][1], &seed);
            check_chunk(&c, isas[i]->attend, WE_CPU_ATTEND_F32_ROWS, WE_CPU_CHUNK, &seed);
            cache_free(&c);
        }
}

static const uint32_t pair_dims[][2] = {{16, 16}, {32, 32}, {48, 48},   {64, 64},   {80, 80}, {96, 96},
                                        {8, 24},  {20, 20}, {128, 128}, {256, 256}, {2, 1},   {34, 35}};
enum { NUM_PAIR_DIMS = sizeof pair_dims / sizeof *pair_dims };

static void test_pairs(void **state)
{
    (void)state;
    uint64_t seed = 8;
    for (uint32_t i = 0; i < num_isas; i++)
        for (int d = 0; d < NUM_PAIR_DIMS; d++) {
            struct cache c;
            cache_make(&c, WE_BF16, pair_dims[d][0], pair_dims[d][1], &seed);
            check_chunk(&c, isas[i]->attend_pairs, WE_CPU_ATTEND_ROWS, WE_CPU_PAIRS_CHUNK, &seed);
            cache_free(&c);
        }
}

/* Rows that come to a page in pieces of any size fill it as it should be; what they do not fill stays. */
static void test_keep(void **state)
{
    (void)state;
    uint64_t seed = 9;
    for (uint32_t i = 0; i < num_isas; i++)
        for (int d = 0; d < NUM_PAIR_DIMS; d++)
            for (uint32_t most = 1; most <= 64; most += 9) {
                struct cache c;
                cache_make(&c, WE_BF16, pair_dims[d][0], pair_dims[d][1], &seed);
                const size_t k_bytes = 2 * 64 * (size_t)c.head_dim, v_bytes = 2 * 64 * (size_t)c.v_head_dim;
                uint8_t *k = malloc(k_bytes), *v = malloc(v_bytes);
                memcpy(k, c.k[0], k_bytes), memcpy(v, c.v[0], v_bytes);
                for (uint32_t p = 0; p < 61; p++)
                    poison(&c, p);
                for (uint32_t p = 0, count; p < 61; p += count) {
                    count = 1 + random_u32(&seed) % most;
                    count = count < 61 - p ? count : 61 - p;
                    isas[i]->keep_pairs(&(struct we_cpu_keep){key_number(&c, p, 0), value_number(&c, p, 0), c.head_dim,
                                                              c.v_head_dim, p, count, c.head_dim, c.v_head_dim, c.k[0],
                                                              c.v[0]});
                }
                assert_memory_equal(c.k[0], k, k_bytes);
                assert_memory_equal(c.v[0], v, v_bytes);
                free(k), free(v);
                cache_free(&c);
            }
}

/* Numbers that are no bfloat16 are rounded to nearest, ties to even. */
static void test_keep_rounds(void **state)
{
    (void)state;
    static const float numbers[] = {1.00390625f, 1.01171875f, 1.00390637f, -1.00390625f, 3.4e38f, 1e-40f, INFINITY, -0.0f};
    for (uint32_t i = 0; i < num_isas; i++) {
        uint16_t k[64 * 8] = {0}, v[64 * 8] = {0};
        isas[i]->keep_pairs(&(struct we_cpu_keep){numbers, numbers, 0, 0, 5, 1, 8, 8, k, v});
        for (uint32_t d = 0; d < 8; d++) {
            assert_int_equal(k[d / 2 * 32 + 5 * 2 + d % 2], we_bf16_from_f32(numbers[d]));
            assert_int_equal(v[2 * 2 * 8 + d * 2 + 1], we_bf16_from_f32(numbers[d]));
        }
        const float nan[2] = {NAN, -NAN};
        isas[i]->keep_pairs(&(struct we_cpu_keep){nan, nan, 0, 0, 0, 1, 2, 2, k, v});
        assert_true(isnan(we_f32_from_bf16(k[0])) && isnan(we_f32_from_bf16(k[1])) && isnan(we_f32_from_bf16(v[0])));
    }
}

/* ---- tiles of queries ---- */

struct tile_case {
    uint32_t position, rows, group, window; /* the first row's position; window 0: none */
};
static const struct tile_case tile_cases[] = {
    {0, 32, 1, 0},   {0, 5, 3, 0},    {0, 1, 1, 0},     {64, 10, 3, 0},  {250, 8, 4, 0},    {255, 2, 8, 0},
    {1000, 4, 8, 0}, {511, 32, 1, 0}, {300, 32, 1, 20}, {0, 32, 1, 31},  {0, 32, 1, 32},    {0, 32, 1, 33},
    {319, 8, 4, 64}, {320, 8, 4, 65}, {321, 8, 4, 63},  {700, 17, 1, 1}, {255, 16, 1, 300}, {256, 31, 1, 257},
};
enum { NUM_TILE_CASES = sizeof tile_cases / sizeof *tile_cases };

static void *aligned(size_t bytes)
{
    void *p = aligned_alloc(64, (bytes + 63) / 64 * 64);
    memset(p, 0xFF, bytes);
    return p;
}

static void run_tile(const struct we_cpu_kernels *kernels, const struct cache *c, struct we_cpu_attend_tile *t, float *out)
{
    float *outs[WE_CPU_TILE_QUERIES];
    uint32_t first = UINT32_MAX, last = 0;
    t->state = aligned(kernels->tile_state_bytes(c->head_dim, c->v_head_dim));
    t->work = aligned(kernels->tile_work_bytes(c->head_dim, c->v_head_dim));
    for (uint32_t r = 0; r < t->num_rows; r++) {
        outs[r] = out + (size_t)r * c->v_head_dim;
        first = t->first[r] < first ? t->first[r] : first;
        last = t->last[r] > last ? t->last[r] : last;
    }
    kernels->tile_begin(t);
    for (uint32_t begin = 0; begin < POSITIONS; begin += WE_CPU_PAIRS_CHUNK) {
        const void *k[WE_CPU_PAIRS_CHUNK_PAGES] = {0}, *v[WE_CPU_PAIRS_CHUNK_PAGES] = {0};
        for (uint32_t p = 0; p < WE_CPU_PAIRS_CHUNK_PAGES; p++) {
            const uint32_t at = begin + p * WE_PAGE_POSITIONS;
            if (at < last && at + WE_PAGE_POSITIONS > first)
                k[p] = c->k[at / WE_PAGE_POSITIONS], v[p] = c->v[at / WE_PAGE_POSITIONS];
        }
        kernels->tile_chunk(t, begin, k, v);
    }
    kernels->tile_end(t, outs);
    free(t->state), free(t->work);
}

static void check_tile(const struct we_cpu_kernels *kernels, const struct cache *c, const struct tile_case *which,
                       uint64_t *seed)
{
    enum { MOST = WE_CPU_TILE_QUERIES };
    const size_t width = c->v_head_dim;
    float *q = malloc(sizeof(float) * MOST * c->head_dim), *out = malloc(sizeof(float) * MOST * width);
    float *again = malloc(sizeof(float) * MOST * width);
    struct we_cpu_attend_tile t = {.scale = 0.5f, .head_dim = c->head_dim, .v_head_dim = c->v_head_dim};
    t.num_rows = which->rows * which->group;
    assert_true(t.num_rows <= MOST);
    for (uint32_t i = 0; i < t.num_rows * c->head_dim; i++)
        q[i] = random_normal(seed) / sqrtf((float)c->head_dim) * 3;
    for (uint32_t r = 0; r < t.num_rows; r++) {
        t.q[r] = q + (size_t)r * c->head_dim;
        t.last[r] = which->position + r / which->group + 1;
        t.first[r] = which->window && t.last[r] > which->window ? t.last[r] - which->window : 0;
    }
    t.valid_first = t.first[0];
    t.valid_last = t.last[t.num_rows - 1];
    for (uint32_t p = 0; p < POSITIONS; p++)
        if (p < t.valid_first || p >= t.valid_last)
            poison(c, p);
    run_tile(kernels, c, &t, out);
    double errors = 0, squares = 0;
    for (uint32_t r = 0; r < t.num_rows; r++) {
        double greatest, sum, want[256];
        float scaled[256];
        for (uint32_t d = 0; d < c->head_dim; d++)
            scaled[d] = t.q[r][d] * t.scale;
        reference(c, scaled, t.first[r], t.last[r], &greatest, &sum, want);
        for (uint32_t d = 0; d < width; d++) {
            const double error = out[r * width + d] - want[d] / sum;
            errors += error * error;
            squares += want[d] / sum * want[d] / sum;
        }
    }
    if (!(sqrt(errors / squares) <= (c->head_dim < 16 ? 6e-3 : 4e-3))) /* few numbers average little */
        fail_msg("%s, heads of %u and %u, %u rows from %u: relative error %g", kernels->name, c->head_dim, c->v_head_dim,
                 which->rows, which->position, sqrt(errors / squares));
    if (test_isa_twin()) {
        run_tile(test_isa_twin(), c, &t, again);
        assert_memory_equal(again, out, sizeof(float) * width * t.num_rows);
    }
    /* Each row alone, and with more that is valid around it, gives the same bits. */
    for (uint32_t p = 0; p < POSITIONS; p++)
        set_position(c, p);
    for (uint32_t r = 0; r < t.num_rows; r++) {
        struct we_cpu_attend_tile alone = t;
        alone.num_rows = 1, alone.q[0] = t.q[r], alone.first[0] = t.first[r], alone.last[0] = t.last[r];
        alone.valid_first = r % 2 ? 0 : t.first[r];
        alone.valid_last = r % 2 ? POSITIONS : t.last[r];
        run_tile(kernels, c, &alone, again);
        assert_memory_equal(again, out + r * width, sizeof(float) * width);
    }
    free(q), free(out), free(again);
}

static void test_tiles(void **state)
{
    (void)state;
    uint64_t seed = 10;
    uint32_t tried = 0;
    for (uint32_t i = 0; i < num_isas; i++) {
        if (isas[i]->tile_begin == NULL)
            continue;
        tried++;
        for (int d = 0; d < NUM_PAIR_DIMS; d++) {
            struct cache c;
            cache_make(&c, WE_BF16, pair_dims[d][0], pair_dims[d][1], &seed);
            for (int j = 0; j < NUM_TILE_CASES; j++)
                check_tile(isas[i], &c, &tile_cases[j], &seed);
            cache_free(&c);
        }
    }
    if (tried == 0) {
        print_message("skipped: this processor has no products of bfloat16 pairs\n");
        skip();
    }
}

int main(void)
{
    num_isas = test_isas(isas);
    if (num_isas == 0)
        return 77; /* skipped: emulated tiles need AVX-512 with bfloat16 */
    const struct CMUnitTest of_tiles[] = {cmocka_unit_test(test_tiles)};
    const struct CMUnitTest all[] = {
        cmocka_unit_test(test_floats),      cmocka_unit_test(test_pairs), cmocka_unit_test(test_keep),
        cmocka_unit_test(test_keep_rounds), cmocka_unit_test(test_tiles),
    };
    return TEST_ONLY_TILES ? cmocka_run_group_tests(of_tiles, NULL, NULL) : cmocka_run_group_tests(all, NULL, NULL);
}
