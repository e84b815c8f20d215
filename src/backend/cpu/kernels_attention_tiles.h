/* Attention of a tile of queries over a chunk of positions: what its three parts share. The scores and the sums of values
 * are products of bfloat16 pairs, by tiles of the processor (kernels_attention_amx.c) or by vectors
 * (kernels_attention_bf16.c); kernels_attention_tiles.c does what is between. No row's result depends on the rows beside it. */
#ifndef WE_BACKEND_CPU_KERNELS_ATTENTION_TILES_H
#define WE_BACKEND_CPU_KERNELS_ATTENTION_TILES_H

#include "backend/cpu/kernels.h"

#ifdef HAS_BF16
enum {
    BLOCK = WE_CPU_TILE_LANES, /* rows, columns, and pairs in a tile of the processor */
    TILE_BYTES = BLOCK * 64,   /* of bfloat16 pairs, or of float32 */
    ROW_BLOCKS = WE_CPU_TILE_QUERIES / BLOCK,
    STEP = 2 * BLOCK, /* positions whose values are added at a time */
    STEPS = WE_CPU_PAIRS_CHUNK / STEP,
    SCORE_STRIDE = WE_CPU_PAIRS_CHUNK + 16 /* not a power of two, so that rows do not share cache sets */
};

/* Where things lie in state and work. Blocks of queries and weights are (row block, step, row, pairs of the step), those of
 * sums (row block, column block, row, column). */
struct tile_layout {
    uint32_t pairs;           /* of a key */
    uint32_t steps, per_step; /* pairs = steps * per_step, per_step <= BLOCK */
    uint32_t columns;         /* blocks of columns, the last one maybe narrower */
    uint8_t *queries;         /* state: (ROW_BLOCKS, steps) tiles */
    uint8_t *sums;            /* (ROW_BLOCKS, columns) tiles */
    float *max, *sum;         /* (WE_CPU_TILE_QUERIES); the scores are to base 2 */
    float *scores;            /* work: (WE_CPU_TILE_QUERIES, SCORE_STRIDE) */
    uint8_t *weights;         /* (ROW_BLOCKS, STEPS) tiles */
    uint8_t *edges;           /* (2, columns) tiles: values of steps that are not valid as a whole */
};

/* The values of the positions of one step. */
struct tile_values {
    const uint8_t *from;
    size_t stride; /* from one block of columns to the next */
    uint32_t half; /* of a page */
};
INLINE const uint8_t *values_at(const struct tile_values *v, uint32_t column, uint32_t width)
{
    return v->from + column * v->stride + (size_t)v->half * BLOCK * width * 4;
}
INLINE uint32_t column_width(const struct we_cpu_attend_tile *t, uint32_t column)
{
    const uint32_t left = t->v_head_dim - column * BLOCK;
    return left < BLOCK ? left : BLOCK;
}
/* The keys of BLOCK positions from p on. */
INLINE const uint8_t *keys_at(const struct tile_layout *l, const void *const *k, uint32_t p)
{
    return (const uint8_t *)k[p / WE_PAGE_POSITIONS] + (size_t)(p % WE_PAGE_POSITIONS / BLOCK) * l->pairs * BLOCK * 4;
}

/* Scores of positions [begin, end) of the chunk, whole steps; and what they add to the sums, with the values of each step.
 * columns: [column, columns). */
void KERNEL(tile_scores)(const struct we_cpu_attend_tile *t, const struct tile_layout *l, const void *const *k, uint32_t begin,
                         uint32_t end);
void KERNEL(tile_values)(const struct we_cpu_attend_tile *t, const struct tile_layout *l, const struct tile_values *v,
                         uint32_t begin, uint32_t end);
void KERNEL(tile_columns)(const struct we_cpu_attend_tile *t, const struct tile_layout *l, const struct tile_values *v,
                          uint32_t begin, uint32_t end, uint32_t column);
#endif

#endif
