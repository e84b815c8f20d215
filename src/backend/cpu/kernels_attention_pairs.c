/* Pages of bfloat16 pairs: how rows get into them, and attention of a few queries over a chunk, in float32.
 *
 * A page is read once, in the order in which it lies. Numbers of even and of odd place in a pair are summed apart and added
 * at the end of a page; positions that a row does not see have weight 0, so its sums do not depend on the rows beside it. */
#include "backend/cpu/kernels.h"

enum { TILE = WE_CPU_TILE_LANES, PARTS = TILE / LANES, ROWS = TARGET_PAIRS, PAIRS = WE_PAGE_POSITIONS / 2 };

/* ---- into a page ---- */

/* To nearest, ties to even; NaN stays NaN. */
INLINE uint32_t bf16_bits(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    uint32_t rounded = (u + 0x7FFF + (u >> 16 & 1)) >> 16, nan = u >> 16 | 0x40;
    return (u & 0x7FFFFFFF) > 0x7F800000 ? nan : rounded;
}

static void keep_keys(const struct we_cpu_keep *keep, uint32_t row)
{
    const float *k = keep->k + row * keep->k_stride;
    const uint32_t slot = keep->slot + row, pairs = keep->head_dim / 2;
    uint8_t *to = (uint8_t *)keep->page_k + ((size_t)(slot / TILE) * pairs * TILE + slot % TILE) * 4;
    for (uint32_t i = 0; i < pairs; i++) {
        uint32_t pair = bf16_bits(k[2 * i]) | bf16_bits(k[2 * i + 1]) << 16;
        memcpy(to + (size_t)i * TILE * 4, &pair, sizeof pair);
    }
}

/* One half of each pair; the other half is another row's. */
static void keep_values(const struct we_cpu_keep *keep, uint32_t row)
{
    const float *v = keep->v + row * keep->v_stride;
    const uint32_t slot = keep->slot + row;
    for (uint32_t c = 0; c < keep->v_head_dim; c += TILE) {
        const uint32_t width = keep->v_head_dim - c < TILE ? keep->v_head_dim - c : TILE;
        uint16_t *to = (uint16_t *)keep->page_v + (size_t)c * WE_PAGE_POSITIONS + (size_t)slot / 2 * width * 2 + slot % 2;
        for (uint32_t i = 0; i < width; i++)
            to[2 * i] = (uint16_t)bf16_bits(v[c + i]);
    }
}

static void keep_two_values(const struct we_cpu_keep *keep, uint32_t row)
{
    const float *a = keep->v + row * keep->v_stride, *b = a + keep->v_stride;
    const uint32_t slot = keep->slot + row;
    for (uint32_t c = 0; c < keep->v_head_dim; c += TILE) {
        const uint32_t width = keep->v_head_dim - c < TILE ? keep->v_head_dim - c : TILE;
        uint32_t pairs[TILE];
        for (uint32_t i = 0; i < width; i++)
            pairs[i] = bf16_bits(a[c + i]) | bf16_bits(b[c + i]) << 16;
        memcpy((uint16_t *)keep->page_v + (size_t)c * WE_PAGE_POSITIONS + (size_t)slot * width, pairs, width * sizeof *pairs);
    }
}

void KERNEL(keep_pairs)(const struct we_cpu_keep *keep)
{
    for (uint32_t row = 0; row < keep->count; row++)
        keep_keys(keep, row);
    for (uint32_t row = 0; row < keep->count;) {
        if ((keep->slot + row) % 2 == 0 && row + 1 < keep->count) {
            keep_two_values(keep, row);
            row += 2;
        } else {
            keep_values(keep, row++);
        }
    }
}

/* ---- scores of one page ---- */

/* vectors: of a tile's positions that are taken at a time. */
INLINE void score_page(const int rows, const int vectors, const float *const *q, const uint8_t *k, uint32_t pairs,
                       float *scores)
{
    for (uint32_t tile = 0; tile < WE_PAGE_POSITIONS / TILE; tile++)
        for (int part = 0; part < PARTS; part += vectors) {
            vf sums[ROWS][PARTS][2];
            UNROLL
            for (int r = 0; r < rows; r++)
                UNROLL
            for (int v = 0; v < vectors; v++)
                sums[r][v][0] = sums[r][v][1] = v_zero();
            const uint8_t *line = k + ((size_t)tile * pairs * TILE + (uint32_t)part * LANES) * 4;
            for (uint32_t i = 0; i < pairs; i++, line += TILE * 4) {
                vf keys[PARTS][2];
                UNROLL
                for (int v = 0; v < vectors; v++)
                    v_load_pairs(line + v * LANES * 4, &keys[v][0], &keys[v][1]);
                UNROLL
                for (int r = 0; r < rows; r++) {
                    vf even = v_set1(q[r][2 * i]), odd = v_set1(q[r][2 * i + 1]);
                    UNROLL
                    for (int v = 0; v < vectors; v++) {
                        sums[r][v][0] = v_fma(even, keys[v][0], sums[r][v][0]);
                        sums[r][v][1] = v_fma(odd, keys[v][1], sums[r][v][1]);
                    }
                }
            }
            UNROLL
            for (int r = 0; r < rows; r++)
                UNROLL
            for (int v = 0; v < vectors; v++)
                v_store(scores + r * WE_CPU_CHUNK + tile * TILE + (part + v) * LANES, v_add(sums[r][v][0], sums[r][v][1]));
        }
}

/* ---- weighted sum of the values of one page ---- */

struct columns {
    vf sums[ROWS][PARTS][2];
};

/* Pair i of positions; what the row does not see of it is not multiplied, as it may be NaN. */
INLINE void add_pair(struct columns *c, const int rows, const int vectors, const float *weights, const uint8_t *line,
                     uint32_t count, const bool even, const bool odd)
{
    vf values[PARTS][2];
    uint32_t tail[LANES];
    if (count < LANES) { /* the last columns of a page may be the end of memory */
        memset(tail, 0, sizeof tail);
        memcpy(tail, line, count * sizeof *tail);
        line = (const uint8_t *)tail;
    }
    UNROLL
    for (int j = 0; j < vectors; j++)
        v_load_pairs(line + j * LANES * 4, &values[j][0], &values[j][1]);
    UNROLL
    for (int r = 0; r < rows; r++) {
        vf first = v_set1(weights[r * WE_CPU_CHUNK]), second = v_set1(weights[r * WE_CPU_CHUNK + 1]);
        UNROLL
        for (int j = 0; j < vectors; j++) {
            if (even)
                c->sums[r][j][0] = v_fma(first, values[j][0], c->sums[r][j][0]);
            if (odd)
                c->sums[r][j][1] = v_fma(second, values[j][1], c->sums[r][j][1]);
        }
    }
}

/* `count` columns, all lanes of the vectors or, if it is one vector, fewer; positions [first, last) of the page. */
INLINE void add_columns(const int rows, const int vectors, const float *weights, const uint8_t *v, size_t line_bytes,
                        const uint32_t count, uint32_t first, uint32_t last, float *out, size_t out_stride)
{
    struct columns c;
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
    for (int j = 0; j < vectors; j++) {
        const float *p = out + r * out_stride + j * LANES;
        c.sums[r][j][0] = count < LANES ? v_load_n(p, count) : v_load(p);
        c.sums[r][j][1] = v_zero();
    }
    if (first % 2)
        add_pair(&c, rows, vectors, weights + first - 1, v + first / 2 * line_bytes, count, false, true);
    for (uint32_t i = (first + 1) / 2; i < last / 2; i++)
        add_pair(&c, rows, vectors, weights + 2 * i, v + i * line_bytes, count, true, true);
    if (last % 2)
        add_pair(&c, rows, vectors, weights + last - 1, v + last / 2 * line_bytes, count, true, false);
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
    for (int j = 0; j < vectors; j++) {
        float *p = out + r * out_stride + j * LANES;
        vf sum = v_add(c.sums[r][j][0], c.sums[r][j][1]);
        if (count < LANES)
            v_store_n(p, sum, count);
        else
            v_store(p, sum);
    }
}

INLINE void add_page(const int rows, const int vectors, const float *weights, const uint8_t *v, uint32_t width, uint32_t first,
                     uint32_t last, float *out)
{
    for (uint32_t block = 0; block < width; block += TILE, v += PAIRS * TILE * 4) {
        const uint32_t wide = width - block < TILE ? width - block : TILE;
        uint32_t c = 0;
        for (; c + (uint32_t)vectors * LANES <= wide; c += (uint32_t)vectors * LANES)
            add_columns(rows, vectors, weights, v + c * 4, wide * 4, (uint32_t)vectors * LANES, first, last, out + block + c,
                        width);
        for (; c + LANES <= wide; c += LANES)
            add_columns(rows, 1, weights, v + c * 4, wide * 4, LANES, first, last, out + block + c, width);
        if (c < wide)
            add_columns(rows, 1, weights, v + c * 4, wide * 4, wide - c, first, last, out + block + c, width);
    }
}

/* One or two queries alone would leave the sums waiting for each other: they take more positions or columns at a time. */
#define FOR_ROWS(rows)                                                                                                         \
    static void score_##rows(const float *const *q, const void *k, uint32_t pairs, float *scores)                              \
    {                                                                                                                          \
        score_page(rows, rows <= 2 ? PARTS : 1, q, k, pairs, scores);                                                          \
    }                                                                                                                          \
    static void value_##rows(const float *weights, const void *v, uint32_t width, uint32_t first, uint32_t last, float *out)   \
    {                                                                                                                          \
        add_page(rows, rows <= 2 ? PARTS : 1, weights, v, width, first, last, out);                                            \
    }
typedef void score_function(const float *const *q, const void *k, uint32_t pairs, float *scores);
typedef void value_function(const float *weights, const void *v, uint32_t width, uint32_t first, uint32_t last, float *out);
FOR_ROWS(1)
FOR_ROWS(2)
FOR_ROWS(3)
FOR_ROWS(4)
#if TARGET_PAIRS == 8
FOR_ROWS(5)
FOR_ROWS(6)
FOR_ROWS(7)
FOR_ROWS(8)
static score_function *const score_functions[ROWS] = {score_1, score_2, score_3, score_4, score_5, score_6, score_7, score_8};
static value_function *const value_functions[ROWS] = {value_1, value_2, value_3, value_4, value_5, value_6, value_7, value_8};
#else
static score_function *const score_functions[ROWS] = {score_1, score_2, score_3, score_4};
static value_function *const value_functions[ROWS] = {value_1, value_2, value_3, value_4};
#endif

void KERNEL(attend_pairs)(struct we_cpu_attend *a)
{
    uint32_t first = UINT32_MAX, last = 0;
    for (uint32_t r = 0; r < a->num_rows; r++) {
        first = a->first[r] < first ? a->first[r] : first;
        last = a->last[r] > last ? a->last[r] : last;
    }
    const uint32_t begin = first / WE_PAGE_POSITIONS * WE_PAGE_POSITIONS;
    const uint32_t end = (last + WE_PAGE_POSITIONS - 1) / WE_PAGE_POSITIONS * WE_PAGE_POSITIONS;
    for (uint32_t p = begin; p < end; p += WE_PAGE_POSITIONS)
        for (uint32_t r = 0; r < a->num_rows; r += ROWS) {
            const uint32_t rows = a->num_rows - r < ROWS ? a->num_rows - r : ROWS;
            score_functions[rows - 1](a->q + r, a->k[p / WE_PAGE_POSITIONS], a->head_dim / 2, a->scores + r * WE_CPU_CHUNK + p);
        }
    for (uint32_t r = 0; a->softcap != 0.0f && r < a->num_rows; r++)
        KERNEL(softcap)(a->softcap, end - begin, a->scores + r * WE_CPU_CHUNK + begin);
    for (uint32_t r = 0; r < a->num_rows; r++)
        KERNEL(soften)(a->scores + r * WE_CPU_CHUNK, begin, end, a->first[r], a->last[r], &a->max[r], &a->sum[r]);
    memset(a->out, 0, (size_t)a->num_rows * a->v_head_dim * sizeof(float));
    for (uint32_t p = begin; p < end; p += WE_PAGE_POSITIONS)
        for (uint32_t r = 0; r < a->num_rows; r += ROWS) {
            const uint32_t rows = a->num_rows - r < ROWS ? a->num_rows - r : ROWS;
            value_functions[rows - 1](a->scores + r * WE_CPU_CHUNK + p, a->v[p / WE_PAGE_POSITIONS], a->v_head_dim,
                                      first > p ? first - p : 0, last - p < WE_PAGE_POSITIONS ? last - p : WE_PAGE_POSITIONS,
                                      a->out + (size_t)r * a->v_head_dim);
        }
}
