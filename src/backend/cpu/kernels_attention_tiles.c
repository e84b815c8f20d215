/* Attention of a tile of queries: packing, softmax and the running sums. Scores are to base 2, so that a weight is a
 * polynomial and a power of two; weights are rounded to bfloat16. */
#include "backend/cpu/kernels_attention_tiles.h"

#ifdef HAS_BF16
#include <math.h>

/* ---- memory ---- */

static struct tile_layout layout_of(uint32_t head_dim, uint32_t v_head_dim, uint8_t *state, uint8_t *work)
{
    struct tile_layout l = {.pairs = head_dim / 2, .columns = (v_head_dim + BLOCK - 1) / BLOCK};
    /* Equal steps: tiles keep one shape, and no padding of keys is needed, which could not be trusted to be numbers. */
    l.steps = (l.pairs + BLOCK - 1) / BLOCK;
    while (l.pairs % l.steps)
        l.steps++;
    l.per_step = l.pairs / l.steps;
    l.queries = state;
    l.sums = l.queries + (size_t)ROW_BLOCKS * l.steps * TILE_BYTES;
    l.max = (float *)(l.sums + (size_t)ROW_BLOCKS * l.columns * TILE_BYTES);
    l.sum = l.max + WE_CPU_TILE_QUERIES;
    l.weights = work;
    l.scores = (float *)(work + (size_t)ROW_BLOCKS * STEPS * TILE_BYTES);
    l.edges = (uint8_t *)(l.scores + (size_t)WE_CPU_TILE_QUERIES * SCORE_STRIDE);
    return l;
}

/* Head sizes that are no multiple of a step may need one step for each pair. */
size_t KERNEL(tile_state_bytes)(uint32_t head_dim, uint32_t v_head_dim)
{
    const size_t tiles = (size_t)ROW_BLOCKS * (head_dim / 2 + (v_head_dim + BLOCK - 1) / BLOCK);
    return tiles * TILE_BYTES + 2 * WE_CPU_TILE_QUERIES * sizeof(float);
}

size_t KERNEL(tile_work_bytes)(uint32_t head_dim, uint32_t v_head_dim)
{
    (void)head_dim;
    const size_t tiles = (size_t)ROW_BLOCKS * STEPS + 2 * ((v_head_dim + BLOCK - 1) / BLOCK);
    return tiles * TILE_BYTES + (size_t)WE_CPU_TILE_QUERIES * SCORE_STRIDE * sizeof(float);
}

INLINE uint8_t *row_of(uint8_t *tiles, uint32_t tiles_in_block, uint32_t row)
{
    return tiles + (size_t)(row / BLOCK) * tiles_in_block * TILE_BYTES + row % BLOCK * 64;
}

void KERNEL(tile_begin)(const struct we_cpu_attend_tile *t)
{
    const struct tile_layout l = layout_of(t->head_dim, t->v_head_dim, t->state, t->work);
    const __m512 scale = _mm512_set1_ps(t->scale * 1.44269504088896341f);
    memset(l.queries, 0, (size_t)((uint8_t *)l.max - l.queries));
    for (uint32_t r = 0; r < t->num_rows; r++) {
        uint8_t *to = row_of(l.queries, l.steps, r);
        for (uint32_t s = 0; s < l.steps; s++) {
            const float *q = t->q[r] + (size_t)s * 2 * l.per_step;
            const uint32_t low = 2 * l.per_step < BLOCK ? 2 * l.per_step : BLOCK, high = 2 * l.per_step - low;
            const __m512 a = _mm512_mul_ps(v_load_n(q, low), scale), b = _mm512_mul_ps(v_load_n(q + low, high), scale);
            _mm512_storeu_si512(to + (size_t)s * TILE_BYTES, (__m512i)_mm512_cvtne2ps_pbh(b, a));
        }
        l.max[r] = t->has_sinks ? t->sink[r] * 1.44269504088896341f : -INFINITY;
        l.sum[r] = t->has_sinks ? 1.0f : 0.0f;
    }
}

void KERNEL(tile_end)(const struct we_cpu_attend_tile *t, float *const *out)
{
    const struct tile_layout l = layout_of(t->head_dim, t->v_head_dim, t->state, t->work);
    for (uint32_t r = 0; r < t->num_rows; r++) {
        const uint8_t *from = row_of(l.sums, l.columns, r);
        const __m512 sum = _mm512_set1_ps(l.sum[r]);
        for (uint32_t c = 0; c < l.columns; c++)
            v_store_n(out[r] + c * BLOCK, _mm512_div_ps(_mm512_loadu_ps(from + c * TILE_BYTES), sum), column_width(t, c));
    }
}

/* ---- softmax ---- */

/* 2^x for x <= 0, to 8e-5: bfloat16 has 4e-3. */
INLINE __m512 power_of_two(__m512 x)
{
    const __m512 f = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    __m512 p = _mm512_set1_ps(0.07802452147f);
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.2260671556f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.6958335638f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.9999251962f));
    return _mm512_scalef_ps(p, x);
}

INLINE __m512 score_at(const float *scores, uint32_t p)
{
    return _mm512_loadu_ps(scores + p);
}

/* A row's scores [begin, end) of which it sees [first, last); its greatest score so far changes, and the sums with it. */
INLINE void soften_row(const struct we_cpu_attend_tile *t, const struct tile_layout *l, uint32_t r, uint32_t begin,
                       uint32_t end, uint32_t first, uint32_t last)
{
    float *scores = l->scores + (size_t)r * SCORE_STRIDE;
    uint8_t *weights = row_of(l->weights, STEPS, r);
    if (t->softcap != 0.0f)
        KERNEL(softcap)(t->softcap * 1.44269504088896341f, end - begin, scores + begin);
    for (uint32_t p = begin; p < first; p++)
        scores[p] = -INFINITY;
    for (uint32_t p = last; p < end; p++)
        scores[p] = -INFINITY;
    __m512 a = score_at(scores, begin), b = score_at(scores, begin + BLOCK);
    for (uint32_t p = begin + STEP; p < end; p += STEP) {
        a = _mm512_max_ps(a, score_at(scores, p));
        b = _mm512_max_ps(b, score_at(scores, p + BLOCK));
    }
    const float before = l->max[r], most = _mm512_reduce_max_ps(_mm512_max_ps(a, b));
    const float greatest = most > before ? most : before;
    const __m512 max = _mm512_set1_ps(greatest);
    a = b = _mm512_setzero_ps();
    for (uint32_t p = begin; p < end; p += STEP) {
        const __m512 x = power_of_two(_mm512_sub_ps(score_at(scores, p), max));
        const __m512 y = power_of_two(_mm512_sub_ps(score_at(scores, p + BLOCK), max));
        a = _mm512_add_ps(a, x);
        b = _mm512_add_ps(b, y);
        _mm512_storeu_si512(weights + p / STEP * TILE_BYTES, (__m512i)_mm512_cvtne2ps_pbh(y, x));
    }
    float sum = l->sum[r];
    if (greatest > before) {
        const __m512 factor = power_of_two(_mm512_set1_ps(before - greatest));
        uint8_t *sums = row_of(l->sums, l->columns, r);
        if (before > -INFINITY)
            for (uint32_t c = 0; c < l->columns; c++, sums += TILE_BYTES)
                _mm512_storeu_ps(sums, _mm512_mul_ps(_mm512_loadu_ps(sums), factor));
        sum *= _mm512_cvtss_f32(factor);
        l->max[r] = greatest;
    }
    l->sum[r] = sum + _mm512_reduce_add_ps(_mm512_add_ps(a, b));
}

static void soften_rows(const struct we_cpu_attend_tile *t, const struct tile_layout *l, uint32_t chunk, uint32_t begin,
                        uint32_t end)
{
    for (uint32_t r = 0; r < t->num_rows; r++) {
        const uint32_t from = t->first[r] > chunk + begin ? t->first[r] - chunk : begin;
        const uint32_t to = t->last[r] < chunk + end ? t->last[r] - chunk : end;
        if (t->last[r] > chunk + begin && from < to) {
            soften_row(t, l, r, begin, end, from, to);
            continue;
        }
        uint8_t *weights = row_of(l->weights, STEPS, r); /* it sees nothing of this chunk */
        for (uint32_t p = begin; p < end; p += STEP)
            memset(weights + p / STEP * TILE_BYTES, 0, 64);
    }
}

/* ---- values ---- */

/* The values of a step, 0 at positions that are not valid. */
static void copy_valid(const struct we_cpu_attend_tile *t, const struct tile_layout *l, const struct tile_values *from,
                       uint32_t position, uint8_t *to)
{
    for (uint32_t c = 0; c < l->columns; c++) {
        const uint32_t width = column_width(t, c);
        const uint8_t *v = values_at(from, c, width);
        uint32_t *pairs = (uint32_t *)(to + c * TILE_BYTES);
        for (uint32_t i = 0; i < BLOCK; i++, v += width * 4, pairs += width) {
            const uint32_t p = position + 2 * i;
            uint32_t mask = p >= t->valid_first && p < t->valid_last ? 0x0000FFFF : 0;
            mask |= p + 1 >= t->valid_first && p + 1 < t->valid_last ? 0xFFFF0000 : 0;
            memcpy(pairs, v, width * 4);
            for (uint32_t j = 0; j < width; j++)
                pairs[j] &= mask;
        }
    }
}

static void find_values(const struct we_cpu_attend_tile *t, const struct tile_layout *l, const void *const *v, uint32_t chunk,
                        uint32_t begin, uint32_t end, struct tile_values *values)
{
    for (uint32_t p = begin; p < end; p += STEP) {
        struct tile_values *step = &values[p / STEP];
        *step = (struct tile_values){v[p / WE_PAGE_POSITIONS], (size_t)WE_PAGE_POSITIONS / 2 * BLOCK * 4,
                                     p % WE_PAGE_POSITIONS / STEP};
        if (chunk + p >= t->valid_first && chunk + p + STEP <= t->valid_last)
            continue;
        uint8_t *edge = l->edges + (p == begin ? 0 : (size_t)l->columns * TILE_BYTES);
        copy_valid(t, l, step, chunk + p, edge);
        *step = (struct tile_values){edge, TILE_BYTES, 0};
    }
}

void KERNEL(tile_chunk)(const struct we_cpu_attend_tile *t, uint32_t chunk, const void *const *k, const void *const *v)
{
    const struct tile_layout l = layout_of(t->head_dim, t->v_head_dim, t->state, t->work);
    uint32_t first = UINT32_MAX, last = 0;
    for (uint32_t r = 0; r < t->num_rows; r++) {
        first = t->first[r] < first ? t->first[r] : first;
        last = t->last[r] > last ? t->last[r] : last;
    }
    if (last <= chunk || first >= chunk + WE_CPU_PAIRS_CHUNK)
        return;
    const uint32_t begin = first > chunk ? (first - chunk) / STEP * STEP : 0;
    const uint32_t end = last - chunk < WE_CPU_PAIRS_CHUNK ? (last - chunk + STEP - 1) / STEP * STEP : WE_CPU_PAIRS_CHUNK;
    struct tile_values values[STEPS];
    find_values(t, &l, v, chunk, begin, end, values);
    KERNEL(tile_scores)(t, &l, k, begin, end);
    soften_rows(t, &l, chunk, begin, end);
    KERNEL(tile_values)(t, &l, values, begin, end);
}
#endif
