/* Attention of a tile of queries: products of bfloat16 pairs by vectors. */
#include "backend/cpu/kernels_attention_tiles.h"

#ifdef HAS_BF16
enum { ROWS = 8 }; /* queries side by side */

INLINE __m512bh pair_of(const uint8_t *p)
{
    int32_t pair;
    memcpy(&pair, p, sizeof pair);
    return (__m512bh)_mm512_set1_epi32(pair);
}

/* ---- sums of values ---- */

/* `two`: two whole blocks of columns; otherwise one, of `width`. */
INLINE void add_values(const int rows, const bool two, const struct tile_layout *l, uint32_t row, const struct tile_values *v,
                       uint32_t begin, uint32_t end, uint32_t column, uint32_t width)
{
    __m512 sums[ROWS][2];
    const __mmask16 mask = (__mmask16)((1u << width) - 1);
    uint8_t *out = l->sums + (size_t)(row / BLOCK) * l->columns * TILE_BYTES + column * TILE_BYTES + row % BLOCK * 64;
    UNROLL
    for (int r = 0; r < rows; r++) {
        sums[r][0] = _mm512_loadu_ps(out + r * 64);
        sums[r][1] = two ? _mm512_loadu_ps(out + TILE_BYTES + r * 64) : _mm512_setzero_ps();
    }
    for (uint32_t s = begin / STEP; s < end / STEP; s++) {
        const uint8_t *weights = l->weights + (size_t)(row / BLOCK * STEPS + s) * TILE_BYTES + row % BLOCK * 64;
        const uint8_t *first = values_at(&v[s], column, width), *second = two ? values_at(&v[s], column + 1, width) : first;
        for (uint32_t i = 0; i < BLOCK; i++, weights += 4) {
            __m512bh a = (__m512bh)_mm512_maskz_loadu_epi32(mask, first + i * width * 4), b = a;
            if (two)
                b = (__m512bh)_mm512_loadu_si512(second + i * width * 4);
            UNROLL
            for (int r = 0; r < rows; r++) {
                const __m512bh w = pair_of(weights + r * 64);
                sums[r][0] = _mm512_dpbf16_ps(sums[r][0], w, a);
                if (two)
                    sums[r][1] = _mm512_dpbf16_ps(sums[r][1], w, b);
            }
        }
    }
    UNROLL
    for (int r = 0; r < rows; r++) {
        _mm512_storeu_ps(out + r * 64, sums[r][0]);
        if (two)
            _mm512_storeu_ps(out + TILE_BYTES + r * 64, sums[r][1]);
    }
}

/* Calls of `call` with the constant number of rows of each block of ROWS. */
#define EACH_ROWS(t, call)                                                                                                     \
    for (uint32_t row = 0; row < (t)->num_rows; row += ROWS)                                                                   \
        switch ((t)->num_rows - row < ROWS ? (t)->num_rows - row : ROWS) {                                                     \
        case 1:                                                                                                                \
            call(1);                                                                                                           \
            break;                                                                                                             \
        case 2:                                                                                                                \
            call(2);                                                                                                           \
            break;                                                                                                             \
        case 3:                                                                                                                \
            call(3);                                                                                                           \
            break;                                                                                                             \
        case 4:                                                                                                                \
            call(4);                                                                                                           \
            break;                                                                                                             \
        case 5:                                                                                                                \
            call(5);                                                                                                           \
            break;                                                                                                             \
        case 6:                                                                                                                \
            call(6);                                                                                                           \
            break;                                                                                                             \
        case 7:                                                                                                                \
            call(7);                                                                                                           \
            break;                                                                                                             \
        default:                                                                                                               \
            call(8);                                                                                                           \
            break;                                                                                                             \
        }

void KERNEL(tile_columns)(const struct we_cpu_attend_tile *t, const struct tile_layout *l, const struct tile_values *v,
                          uint32_t begin, uint32_t end, uint32_t column)
{
    for (; (column + 2) * BLOCK <= t->v_head_dim; column += 2) {
#define BOTH(rows) add_values(rows, true, l, row, v, begin, end, column, BLOCK)
        EACH_ROWS(t, BOTH)
    }
    for (; column < l->columns; column++) {
#define ONE(rows) add_values(rows, false, l, row, v, begin, end, column, column_width(t, column))
        EACH_ROWS(t, ONE)
    }
}

/* ---- scores ---- */

#ifndef HAS_TILES
INLINE void score_step(const int rows, const struct tile_layout *l, uint32_t row, const void *const *k, uint32_t p)
{
    __m512 sums[ROWS][2];
    const uint8_t *first = keys_at(l, k, p), *second = keys_at(l, k, p + BLOCK);
    UNROLL
    for (int r = 0; r < rows; r++)
        sums[r][0] = sums[r][1] = _mm512_setzero_ps();
    for (uint32_t s = 0; s < l->steps; s++) {
        const uint8_t *q = l->queries + (size_t)(row / BLOCK * l->steps + s) * TILE_BYTES + row % BLOCK * 64;
        for (uint32_t i = 0; i < l->per_step; i++, q += 4, first += 64, second += 64) {
            const __m512bh a = (__m512bh)_mm512_loadu_si512(first), b = (__m512bh)_mm512_loadu_si512(second);
            UNROLL
            for (int r = 0; r < rows; r++) {
                const __m512bh pair = pair_of(q + r * 64);
                sums[r][0] = _mm512_dpbf16_ps(sums[r][0], pair, a);
                sums[r][1] = _mm512_dpbf16_ps(sums[r][1], pair, b);
            }
        }
    }
    UNROLL
    for (int r = 0; r < rows; r++) {
        _mm512_storeu_ps(l->scores + (size_t)(row + (uint32_t)r) * SCORE_STRIDE + p, sums[r][0]);
        _mm512_storeu_ps(l->scores + (size_t)(row + (uint32_t)r) * SCORE_STRIDE + p + BLOCK, sums[r][1]);
    }
}

void KERNEL(tile_scores)(const struct we_cpu_attend_tile *t, const struct tile_layout *l, const void *const *k, uint32_t begin,
                         uint32_t end)
{
    for (uint32_t p = begin; p < end; p += STEP) {
#define SCORE(rows) score_step(rows, l, row, k, p)
        EACH_ROWS(t, SCORE)
    }
}

void KERNEL(tile_values)(const struct we_cpu_attend_tile *t, const struct tile_layout *l, const struct tile_values *v,
                         uint32_t begin, uint32_t end)
{
    KERNEL(tile_columns)(t, l, v, begin, end, 0);
}
#endif
#endif
