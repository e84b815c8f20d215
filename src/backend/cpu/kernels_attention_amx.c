/* Attention of a tile of queries: products of bfloat16 pairs by the tiles of AMX. Tiles 0 to 3 are sums, of two blocks of
 * rows times two blocks of positions or columns; 4 and 5 the rows' pairs, 6 and 7 those of positions or columns. */
#include "backend/cpu/kernels_attention_tiles.h"

#ifdef HAS_TILES
#include <stdalign.h>

/* pairs: of a row's block that a step multiplies. */
static void configure(const struct we_cpu_attend_tile *t, uint32_t pairs)
{
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t column_bytes[16];
        uint8_t rows[16];
    } alignas(64) config = {.palette = 1};
    const uint32_t above = t->num_rows < BLOCK ? t->num_rows : BLOCK, below = t->num_rows - above;
    for (int i = 0; i < 8; i++) {
        const uint32_t rows = i >= 6 ? pairs : i == 2 || i == 3 || i == 5 ? below : above;
        config.rows[i] = (uint8_t)rows;
        config.column_bytes[i] = (uint16_t)(rows == 0 ? 0 : i == 4 || i == 5 ? pairs * 4 : 64);
    }
    finish_stores(&config);
    _tile_loadconfig(&config);
}

INLINE void score_steps(const bool below, const struct tile_layout *l, const void *const *k, uint32_t begin, uint32_t end)
{
    const long stride = SCORE_STRIDE * sizeof(float);
    const size_t step_bytes = (size_t)l->per_step * 64;
    for (uint32_t p = begin; p < end; p += STEP) {
        const uint8_t *first = keys_at(l, k, p), *second = keys_at(l, k, p + BLOCK), *q = l->queries;
        float *out = l->scores + p;
        _tile_zero(0);
        _tile_zero(1);
        if (below) {
            _tile_zero(2);
            _tile_zero(3);
        }
        for (uint32_t s = 0; s < l->steps; s++, first += step_bytes, second += step_bytes, q += TILE_BYTES) {
            _tile_loadd(4, q, 64);
            _tile_loadd(6, first, 64);
            _tile_loadd(7, second, 64);
            _tile_dpbf16ps(0, 4, 6);
            _tile_dpbf16ps(1, 4, 7);
            if (below) {
                _tile_loadd(5, q + (size_t)l->steps * TILE_BYTES, 64);
                _tile_dpbf16ps(2, 5, 6);
                _tile_dpbf16ps(3, 5, 7);
            }
        }
        _tile_stored(0, out, stride);
        _tile_stored(1, out + BLOCK, stride);
        if (below) {
            _tile_stored(2, out + BLOCK * SCORE_STRIDE, stride);
            _tile_stored(3, out + BLOCK * SCORE_STRIDE + BLOCK, stride);
        }
    }
}

void KERNEL(tile_scores)(const struct we_cpu_attend_tile *t, const struct tile_layout *l, const void *const *k, uint32_t begin,
                         uint32_t end)
{
    configure(t, l->per_step);
    finish_stores(l);
    if (t->num_rows > BLOCK)
        score_steps(true, l, k, begin, end);
    else
        score_steps(false, l, k, begin, end);
}

/* Whole blocks of columns: one or two. */
INLINE void add_values(const bool below, const bool two, const struct tile_layout *l, const struct tile_values *v,
                       uint32_t begin, uint32_t end, uint32_t column)
{
    uint8_t *above_out = l->sums + (size_t)column * TILE_BYTES, *below_out = above_out + (size_t)l->columns * TILE_BYTES;
    _tile_loadd(0, above_out, 64);
    if (two)
        _tile_loadd(1, above_out + TILE_BYTES, 64);
    if (below) {
        _tile_loadd(2, below_out, 64);
        if (two)
            _tile_loadd(3, below_out + TILE_BYTES, 64);
    }
    for (uint32_t s = begin / STEP; s < end / STEP; s++) {
        _tile_loadd(4, l->weights + (size_t)s * TILE_BYTES, 64);
        _tile_loadd(6, values_at(&v[s], column, BLOCK), 64);
        _tile_dpbf16ps(0, 4, 6);
        if (two) {
            _tile_loadd(7, values_at(&v[s], column + 1, BLOCK), 64);
            _tile_dpbf16ps(1, 4, 7);
        }
        if (below) {
            _tile_loadd(5, l->weights + (size_t)(STEPS + s) * TILE_BYTES, 64);
            _tile_dpbf16ps(2, 5, 6);
            if (two)
                _tile_dpbf16ps(3, 5, 7);
        }
    }
    _tile_stored(0, above_out, 64);
    if (two)
        _tile_stored(1, above_out + TILE_BYTES, 64);
    if (below) {
        _tile_stored(2, below_out, 64);
        if (two)
            _tile_stored(3, below_out + TILE_BYTES, 64);
    }
}

INLINE void add_all_values(const bool below, const struct tile_layout *l, const struct tile_values *v, uint32_t begin,
                           uint32_t end, uint32_t columns)
{
    uint32_t c = 0;
    for (; c + 2 <= columns; c += 2)
        add_values(below, true, l, v, begin, end, c);
    if (c < columns)
        add_values(below, false, l, v, begin, end, c);
}

void KERNEL(tile_values)(const struct we_cpu_attend_tile *t, const struct tile_layout *l, const struct tile_values *v,
                         uint32_t begin, uint32_t end)
{
    const uint32_t columns = t->v_head_dim / BLOCK;
    if (l->per_step != BLOCK)
        configure(t, BLOCK);
    finish_stores(l);
    if (t->num_rows > BLOCK)
        add_all_values(true, l, v, begin, end, columns);
    else
        add_all_values(false, l, v, begin, end, columns);
    _tile_release(); /* so that a switch of threads need not keep the tiles */
    if (columns < l->columns)
        KERNEL(tile_columns)(t, l, v, begin, end, columns);
}
#endif
