/* Attention of up to WE_CPU_ATTEND_F32_ROWS queries over a chunk of float32 of positions: scores with lanes over positions
 * (keys are kept transposed), one maximum for the chunk, then the values with lanes over their width. What a row gets does not
 * depend on the rows beside it: positions that it does not see have weight 0 in its sum, and their values are not touched. */
#include "backend/cpu/kernels.h"

#include <math.h>

enum { VECTORS = TARGET_ATTEND, STEP = VECTORS * LANES };

/* ---- scores of one page ---- */

INLINE void score_page(const int rows, const float *const *q, const float *k, uint32_t head_dim, float *scores)
{
    for (uint32_t c = 0; c < WE_PAGE_POSITIONS; c += STEP) {
        vf sums[WE_CPU_ATTEND_F32_ROWS][VECTORS];
        UNROLL
        for (int r = 0; r < rows; r++)
            UNROLL
        for (int v = 0; v < VECTORS; v++)
            sums[r][v] = v_zero();
        for (uint32_t d = 0; d < head_dim; d++) {
            vf kv[VECTORS];
            UNROLL
            for (int v = 0; v < VECTORS; v++)
                kv[v] = v_load(k + (size_t)d * WE_PAGE_POSITIONS + c + v * LANES);
            UNROLL
            for (int r = 0; r < rows; r++) {
                vf qd = v_set1(q[r][d]);
                UNROLL
                for (int v = 0; v < VECTORS; v++)
                    sums[r][v] = v_fma(qd, kv[v], sums[r][v]);
            }
        }
        UNROLL
        for (int r = 0; r < rows; r++)
            UNROLL
        for (int v = 0; v < VECTORS; v++)
            v_store(scores + r * WE_CPU_CHUNK + c + v * LANES, sums[r][v]);
    }
}

/* ---- weighted sum of values ---- */

/* Columns [c, c + width of the vectors) of out += weights[r][p] * v[p], p in [first, last). n: lanes of the last vector. */
INLINE void add_columns(const int rows, const int vectors, const float *weights, const void *const *pages, uint32_t width,
                        uint32_t c, uint32_t n, uint32_t first, uint32_t last, float *out)
{
    vf sums[WE_CPU_ATTEND_F32_ROWS][VECTORS];
    const bool whole = n == LANES;
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
    for (int v = 0; v < vectors; v++) {
        const float *p = out + (size_t)r * width + c + v * LANES;
        sums[r][v] = whole || v < vectors - 1 ? v_load(p) : v_load_n(p, n);
    }
    for (uint32_t p = first; p < last; p++) {
        const size_t at = (size_t)(p % WE_PAGE_POSITIONS) * width + c;
        const float *page = pages[p / WE_PAGE_POSITIONS];
        vf values[VECTORS];
        UNROLL
        for (int v = 0; v < vectors; v++)
            values[v] = whole || v < vectors - 1 ? v_load(page + at + v * LANES) : v_load_n(page + at + v * LANES, n);
        UNROLL
        for (int r = 0; r < rows; r++) {
            vf w = v_set1(weights[r * WE_CPU_CHUNK + p]);
            UNROLL
            for (int v = 0; v < vectors; v++)
                sums[r][v] = v_fma(w, values[v], sums[r][v]);
        }
    }
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
    for (int v = 0; v < vectors; v++) {
        float *p = out + (size_t)r * width + c + v * LANES;
        if (whole || v < vectors - 1)
            v_store(p, sums[r][v]);
        else
            v_store_n(p, sums[r][v], n);
    }
}

INLINE void add_values(const int rows, const float *weights, const void *const *pages, uint32_t width, uint32_t first,
                       uint32_t last, float *out)
{
    uint32_t c = 0;
    for (; c + STEP <= width; c += STEP)
        add_columns(rows, VECTORS, weights, pages, width, c, LANES, first, last, out);
    if (VECTORS > 2)
        for (; c + 2 * LANES <= width; c += 2 * LANES)
            add_columns(rows, 2, weights, pages, width, c, LANES, first, last, out);
    for (; c + LANES <= width; c += LANES)
        add_columns(rows, 1, weights, pages, width, c, LANES, first, last, out);
    if (c < width)
        add_columns(rows, 1, weights, pages, width, c, width - c, first, last, out);
}

typedef void score_function(const float *const *q, const void *k, uint32_t head_dim, float *scores);
typedef void value_function(const float *weights, const void *const *pages, uint32_t width, uint32_t first, uint32_t last,
                            float *out);
#define FOR_ROWS(rows)                                                                                                         \
    static void score_##rows(const float *const *q, const void *k, uint32_t head_dim, float *scores)                           \
    {                                                                                                                          \
        score_page(rows, q, k, head_dim, scores);                                                                              \
    }                                                                                                                          \
    static void value_##rows(const float *weights, const void *const *pages, uint32_t width, uint32_t first, uint32_t last,    \
                             float *out)                                                                                       \
    {                                                                                                                          \
        add_values(rows, weights, pages, width, first, last, out);                                                             \
    }
FOR_ROWS(1)
FOR_ROWS(2)
FOR_ROWS(3)
FOR_ROWS(4)
FOR_ROWS(5)
FOR_ROWS(6)
static score_function *const score_functions[WE_CPU_ATTEND_F32_ROWS] = {score_1, score_2, score_3, score_4, score_5, score_6};
static value_function *const value_functions[WE_CPU_ATTEND_F32_ROWS] = {value_1, value_2, value_3, value_4, value_5, value_6};

/* ---- a chunk ---- */

void KERNEL(soften)(float *scores, uint32_t begin, uint32_t end, uint32_t first, uint32_t last, float *max, float *sum)
{
    for (uint32_t p = begin; p < first; p++)
        scores[p] = -INFINITY;
    for (uint32_t p = last; p < end; p++)
        scores[p] = -INFINITY;
    vf greatest = v_set1(-INFINITY), total = v_zero();
    for (uint32_t p = begin; p < end; p += LANES)
        greatest = v_max(greatest, v_load(scores + p));
    *max = v_max_lane(greatest);
    greatest = v_set1(*max);
    for (uint32_t p = begin; p < end; p += LANES) {
        vf e = v_exp(v_sub(v_load(scores + p), greatest));
        total = v_add(total, e);
        v_store(scores + p, e);
    }
    *sum = v_sum(total);
}

void KERNEL(attend)(struct we_cpu_attend *a)
{
    const uint32_t rows = a->num_rows;
    uint32_t first = UINT32_MAX, last = 0, common_first = 0, common_last = UINT32_MAX;
    for (uint32_t r = 0; r < rows; r++) {
        first = a->first[r] < first ? a->first[r] : first;
        last = a->last[r] > last ? a->last[r] : last;
        common_first = a->first[r] > common_first ? a->first[r] : common_first;
        common_last = a->last[r] < common_last ? a->last[r] : common_last;
    }
    const uint32_t begin = first / WE_PAGE_POSITIONS * WE_PAGE_POSITIONS;
    const uint32_t end = (last + WE_PAGE_POSITIONS - 1) / WE_PAGE_POSITIONS * WE_PAGE_POSITIONS;
    for (uint32_t p = begin; p < end; p += WE_PAGE_POSITIONS)
        score_functions[rows - 1](a->q, a->k[p / WE_PAGE_POSITIONS], a->head_dim, a->scores + p);
    for (uint32_t r = 0; a->softcap != 0.0f && r < rows; r++)
        KERNEL(softcap)(a->softcap, end - begin, a->scores + r * WE_CPU_CHUNK + begin);
    for (uint32_t r = 0; r < rows; r++)
        KERNEL(soften)(a->scores + r * WE_CPU_CHUNK, begin, end, a->first[r], a->last[r], &a->max[r], &a->sum[r]);

    memset(a->out, 0, (size_t)rows * a->v_head_dim * sizeof(float));
    if (common_first >= common_last)
        common_first = common_last = last; /* nothing that all see: every row alone */
    for (uint32_t r = 0; r < rows; r++)
        value_functions[0](a->scores + r * WE_CPU_CHUNK, a->v, a->v_head_dim, a->first[r],
                           a->last[r] < common_first ? a->last[r] : common_first, a->out + (size_t)r * a->v_head_dim);
    value_functions[rows - 1](a->scores, a->v, a->v_head_dim, common_first, common_last, a->out);
    for (uint32_t r = 0; r < rows; r++)
        if (a->last[r] > common_last)
            value_functions[0](a->scores + r * WE_CPU_CHUNK, a->v, a->v_head_dim, common_last, a->last[r],
                               a->out + (size_t)r * a->v_head_dim);
}

/* As v_exp, of one number. */
static float exp_one(float x)
{
    float lanes[LANES];
    v_store(lanes, v_exp(v_set1(x)));
    return lanes[0];
}

void KERNEL(merge)(float *max, float *sum, float *out, float chunk_max, float chunk_sum, const float *chunk_out, uint32_t width)
{
    float greatest = chunk_max > *max ? chunk_max : *max;
    float a = exp_one(*max - greatest), b = exp_one(chunk_max - greatest);
    *max = greatest;
    *sum = *sum * a + chunk_sum * b;
    vf av = v_set1(a), bv = v_set1(b);
    uint32_t i = 0;
    for (; i + LANES <= width; i += LANES)
        v_store(out + i, v_fma(v_load(chunk_out + i), bv, v_mul(v_load(out + i), av)));
    if (i < width)
        v_store_n(out + i, v_fma(v_load_n(chunk_out + i, width - i), bv, v_mul(v_load_n(out + i, width - i), av)), width - i);
}
