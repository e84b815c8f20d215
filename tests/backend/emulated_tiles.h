/* The tile instructions of AMX that kernels use, in C: included before a kernel's source, in place of the compiler's. So tiles
 * are tested on machines without them, and what they read and write is under the sanitizers' eyes, which see no instruction. */
#ifndef WE_TESTS_BACKEND_EMULATED_TILES_H
#define WE_TESTS_BACKEND_EMULATED_TILES_H

#include <immintrin.h>

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#define WE_TILES_EMULATED

struct emulated_tile {
    uint8_t rows[16][64];
};
struct emulated_tiles {
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t column_bytes[16];
        uint8_t rows[16];
    } config;
    struct emulated_tile tiles[8];
};
static _Thread_local struct emulated_tiles emulated;

static inline void emulated_check(int tile)
{
    assert(emulated.config.palette == 1 && "tiles are used before they are configured");
    assert(emulated.config.rows[tile] >= 1 && emulated.config.rows[tile] <= 16 && emulated.config.column_bytes[tile] >= 4 &&
           emulated.config.column_bytes[tile] <= 64 && "a tile is used that is not configured");
}

static inline void emulated_configure(const void *config)
{
    memcpy(&emulated.config, config, sizeof emulated.config);
    assert(emulated.config.palette == 1 && emulated.config.start_row == 0);
    for (int i = 0; i < 16; i++)
        assert(emulated.config.rows[i] <= (i < 8 ? 16 : 0) && emulated.config.column_bytes[i] <= (i < 8 ? 64 : 0));
    memset(emulated.tiles, 0, sizeof emulated.tiles);
}

static inline void emulated_release(void)
{
    memset(&emulated, 0, sizeof emulated);
}

static inline void emulated_zero(int tile)
{
    emulated_check(tile);
    memset(&emulated.tiles[tile], 0, sizeof emulated.tiles[tile]);
}

/* What a tile has beyond its configured rows and columns becomes zero. */
static inline void emulated_load(int tile, const void *base, size_t stride)
{
    emulated_zero(tile);
    for (uint32_t r = 0; r < emulated.config.rows[tile]; r++)
        memcpy(emulated.tiles[tile].rows[r], (const uint8_t *)base + r * stride, emulated.config.column_bytes[tile]);
}

static inline void emulated_store(int tile, void *base, size_t stride)
{
    emulated_check(tile);
    for (uint32_t r = 0; r < emulated.config.rows[tile]; r++)
        memcpy((uint8_t *)base + r * stride, emulated.tiles[tile].rows[r], emulated.config.column_bytes[tile]);
}

/* Numbers that are too small for their exponent count as zero. */
static inline float emulated_flush(float value)
{
    return fabsf(value) < FLT_MIN ? 0.0f : value;
}

static inline float emulated_bf16(const uint8_t *p)
{
    uint16_t half;
    memcpy(&half, p, sizeof half);
    const uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return emulated_flush(value);
}

/* sums (rows, columns) += a (rows, pairs) . b (pairs, columns), as the manual of the processor has it: the products of first
 * and of second halves are summed apart. */
static inline void emulated_dot_bf16(int sums, int a, int b)
{
    emulated_check(sums), emulated_check(a), emulated_check(b);
    const uint32_t rows = emulated.config.rows[sums], columns = emulated.config.column_bytes[sums] / 4;
    const uint32_t pairs = emulated.config.column_bytes[a] / 4;
    assert(emulated.config.rows[a] == rows && emulated.config.rows[b] == pairs &&
           emulated.config.column_bytes[b] / 4 == columns && "tiles that do not fit each other");
    for (uint32_t r = 0; r < rows; r++)
        for (uint32_t c = 0; c < columns; c++) {
            float parts[2] = {0, 0}, sum;
            for (uint32_t p = 0; p < pairs; p++)
                for (uint32_t half = 0; half < 2; half++)
                    parts[half] =
                        emulated_flush(fmaf(emulated_bf16(emulated.tiles[a].rows[r] + 4 * p + 2 * half),
                                            emulated_bf16(emulated.tiles[b].rows[p] + 4 * c + 2 * half), parts[half]));
            memcpy(&sum, emulated.tiles[sums].rows[r] + 4 * c, sizeof sum);
            sum = emulated_flush(emulated_flush(sum) + emulated_flush(parts[0] + parts[1]));
            memcpy(emulated.tiles[sums].rows[r] + 4 * c, &sum, sizeof sum);
        }
}

#undef _tile_loadconfig
#undef _tile_release
#undef _tile_zero
#undef _tile_loadd
#undef _tile_stored
#undef _tile_dpbf16ps
#define _tile_loadconfig emulated_configure
#define _tile_release emulated_release
#define _tile_zero emulated_zero
#define _tile_loadd(tile, base, stride) emulated_load(tile, base, (size_t)(stride))
#define _tile_stored(tile, base, stride) emulated_store(tile, base, (size_t)(stride))
#define _tile_dpbf16ps emulated_dot_bf16

#endif
