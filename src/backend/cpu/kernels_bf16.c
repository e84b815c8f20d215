/* Many tokens at a time, in bfloat16: a panel of weights is unpacked into the cache, scales and biases folded in, and sweeps
 * over the activations; products are added in float32, over the inputs in order, in a register or tile of its own for each
 * result.
 *
 * Activations: blocks of 16 tokens, (inputs / 2, 16 tokens, 2), so that a cache line holds a pair of inputs of 16 tokens.
 * Results are gathered as (row, token) and turned to (token, row) at the end. */
#include "backend/cpu/kernels.h"

#ifdef HAS_BF16

#include <assert.h>
#include <stdalign.h>

enum {
    TOKENS = 16,                       /* in a block */
    PANEL_ROWS = 32,
    MOST_INPUTS = 640,                 /* of a panel: with them it stays in the first-level cache */
    INPUTS = 512,                      /* of each panel of a row that does not fit one */
    PANEL_STRIDE = MOST_INPUTS + 32,   /* not a power of two: its rows lie in different sets of the cache */
    SUMS_STRIDE = WE_CPU_PIECE_TOKENS + TOKENS
};

/* How the scratch memory is used. */
struct panel {
    alignas(64) uint16_t weights[PANEL_ROWS][PANEL_STRIDE];
    alignas(64) float sums[WE_CPU_PIECE_ROWS][SUMS_STRIDE]; /* (row, token) */
    alignas(64) float row[MOST_INPUTS + 64];
};
static_assert(sizeof(struct panel) <= WE_CPU_PANEL_BYTES, "the scratch memory is too small");

static uint32_t padded(uint32_t width)
{
    return (width + 63) / 64 * 64;
}

size_t KERNEL(bf16_bytes)(uint32_t width)
{
    return (size_t)padded(width) * sizeof(uint16_t);
}

/* ---- packing ---- */

/* 32 floats as bfloat16. */
INLINE __m512i round_32(const float *p)
{
    return (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(p + 16), _mm512_loadu_ps(p));
}

/* Rows become columns. */
INLINE void transpose(__m512i v[16])
{
    __m512i a[16];
    UNROLL
    for (int i = 0; i < 16; i += 2) {
        a[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
        a[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
    }
    UNROLL
    for (int i = 0; i < 16; i += 4) {
        v[i] = _mm512_unpacklo_epi64(a[i], a[i + 2]);
        v[i + 1] = _mm512_unpackhi_epi64(a[i], a[i + 2]);
        v[i + 2] = _mm512_unpacklo_epi64(a[i + 1], a[i + 3]);
        v[i + 3] = _mm512_unpackhi_epi64(a[i + 1], a[i + 3]);
    }
    UNROLL
    for (int i = 0; i < 4; i++) {
        a[i] = _mm512_shuffle_i32x4(v[i], v[i + 4], 0x88);
        a[i + 4] = _mm512_shuffle_i32x4(v[i], v[i + 4], 0xDD);
        a[i + 8] = _mm512_shuffle_i32x4(v[i + 8], v[i + 12], 0x88);
        a[i + 12] = _mm512_shuffle_i32x4(v[i + 8], v[i + 12], 0xDD);
    }
    UNROLL
    for (int i = 0; i < 8; i++) {
        v[i] = _mm512_shuffle_i32x4(a[i], a[i + 8], 0x88);
        v[i + 8] = _mm512_shuffle_i32x4(a[i], a[i + 8], 0xDD);
    }
}

/* 64 values of each row: pairs of the values at positions 2i and 2i + 1 of `order`. */
INLINE void pack_64(const bool nibbles, const float *const *rows, uint32_t num_rows, uint32_t k, uint16_t *out)
{
#define EIGHT(i) \
    NIBBLE_SOURCE(i), NIBBLE_SOURCE(i + 1), NIBBLE_SOURCE(i + 2), NIBBLE_SOURCE(i + 3), NIBBLE_SOURCE(i + 4), \
        NIBBLE_SOURCE(i + 5), NIBBLE_SOURCE(i + 6), NIBBLE_SOURCE(i + 7)
    static const uint16_t order[64] = {EIGHT(0), EIGHT(8), EIGHT(16), EIGHT(24), EIGHT(32), EIGHT(40), EIGHT(48), EIGHT(56)};
    __m512i low[TOKENS], high[TOKENS];
    for (uint32_t t = 0; t < num_rows; t++) {
        low[t] = round_32(rows[t] + k);
        high[t] = round_32(rows[t] + k + 32);
        if (nibbles) {
            __m512i all = low[t];
            low[t] = _mm512_permutex2var_epi16(all, _mm512_loadu_si512(order), high[t]);
            high[t] = _mm512_permutex2var_epi16(all, _mm512_loadu_si512(order + 32), high[t]);
        }
    }
    for (uint32_t t = num_rows; t < TOKENS; t++)
        low[t] = high[t] = _mm512_setzero_si512();
    transpose(low);
    transpose(high);
    for (uint32_t i = 0; i < 16; i++) {
        _mm512_storeu_si512(out + i * 32, low[i]);
        _mm512_storeu_si512(out + (i + 16) * 32, high[i]);
    }
}

INLINE void pack_block(const bool nibbles, const float *const *rows, uint32_t num_rows, uint32_t width, uint16_t *out)
{
    uint32_t k = 0;
    for (; k + 64 <= width; k += 64)
        pack_64(nibbles, rows, num_rows, k, out + (size_t)k * TOKENS);
    if (k == width)
        return;
    float last[TOKENS][64] = {0};
    const float *last_rows[TOKENS];
    for (uint32_t t = 0; t < num_rows; t++) {
        memcpy(last[t], rows[t] + k, (width - k) * sizeof(float));
        last_rows[t] = last[t];
    }
    pack_64(nibbles, last_rows, num_rows, 0, out + (size_t)k * TOKENS);
}

void KERNEL(pack_bf16)(const float *const *rows, uint32_t num_rows, uint32_t width, void *out)
{
    pack_block(false, rows, num_rows, width, out);
}

void KERNEL(pack_bf16_nibbles)(const float *const *rows, uint32_t num_rows, uint32_t width, void *out)
{
    pack_block(true, rows, num_rows, width, out);
}

/* ---- weights ---- */

/* Rows [first, first + count) of inputs [k, k + n), padded with zeros to 64 inputs and to whole rows. */
static void unpack(const struct we_cpu_matrix *m, uint32_t first, uint32_t count, uint32_t k, uint32_t n, struct panel *panel)
{
    const uint32_t whole = padded(n);
    for (uint32_t r = 0; r < PANEL_ROWS; r++) {
        uint16_t *to = panel->weights[r];
        if (r >= count) {
            memset(to, 0, whole * sizeof *to);
            continue;
        }
        KERNEL(unpack_part)(m, first + r, k, n, panel->row);
        if (!we_cpu_has_nibbles(m->format)) /* whose last block is padded, in its own order */
            memset(panel->row + n, 0, (whole - n) * sizeof *panel->row);
        for (uint32_t i = 0; i < whole; i += 32)
            _mm512_store_si512(to + i, round_32(panel->row + i));
    }
}

/* ---- sweeps: sums[row][token] (+)= panel . activations, n inputs, for blocks of tokens `x_stride` values apart ---- */

#ifdef HAS_TILES

static void configure(void)
{
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } config = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        config.bytes[i] = 64;
        config.rows[i] = 16;
    }
    finish_stores(&config);
    _tile_loadconfig(&config);
}

/* Tiles 0 to 3 are sums (two of rows by two of tokens), 4 and 5 weights, 6 and 7 activations. */
INLINE void sweep_tiles(const bool two, bool add, const struct panel *panel, const uint16_t *x, size_t x_stride, uint32_t n,
                        float *sums)
{
    const size_t bytes = SUMS_STRIDE * sizeof(float);
    float *below = sums + 16 * (size_t)SUMS_STRIDE;
    finish_stores(panel);
    if (add) {
        _tile_loadd(0, sums, bytes);
        _tile_loadd(2, below, bytes);
        if (two) {
            _tile_loadd(1, sums + TOKENS, bytes);
            _tile_loadd(3, below + TOKENS, bytes);
        }
    } else {
        _tile_zero(0);
        _tile_zero(2);
        if (two) {
            _tile_zero(1);
            _tile_zero(3);
        }
    }
    for (uint32_t i = 0; i < n; i += 32) {
        _tile_loadd(6, x + (size_t)i * TOKENS, 64);
        _tile_loadd(4, panel->weights[0] + i, sizeof panel->weights[0]);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(5, panel->weights[16] + i, sizeof panel->weights[0]);
        _tile_dpbf16ps(2, 5, 6);
        if (two) {
            _tile_loadd(7, x + x_stride + (size_t)i * TOKENS, 64);
            _tile_dpbf16ps(1, 4, 7);
            _tile_dpbf16ps(3, 5, 7);
        }
    }
    _tile_stored(0, sums, bytes);
    _tile_stored(2, below, bytes);
    if (two) {
        _tile_stored(1, sums + TOKENS, bytes);
        _tile_stored(3, below + TOKENS, bytes);
    }
}

static void sweep(bool add, const struct panel *panel, const uint16_t *x, size_t x_stride, uint32_t blocks, uint32_t n,
                  float *sums)
{
    uint32_t b = 0;
    for (; b + 2 <= blocks; b += 2)
        sweep_tiles(true, add, panel, x + b * x_stride, x_stride, n, sums + b * TOKENS);
    if (b < blocks)
        sweep_tiles(false, add, panel, x + b * x_stride, x_stride, n, sums + b * TOKENS);
}

#else

static void configure(void)
{
}

/* Some rows by some blocks of tokens, in registers. */
INLINE void sweep_registers(const int rows, const int blocks, bool add, const uint16_t *weights, const uint16_t *x,
                            size_t x_stride, uint32_t n, float *sums)
{
    __m512 c[8][4];
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
        for (int b = 0; b < blocks; b++)
            c[r][b] = add ? _mm512_loadu_ps(sums + r * (size_t)SUMS_STRIDE + b * TOKENS) : _mm512_setzero_ps();
    for (uint32_t i = 0; i < n; i += 2) {
        __m512bh xs[4];
        UNROLL
        for (int b = 0; b < blocks; b++)
            xs[b] = (__m512bh)_mm512_loadu_si512(x + b * x_stride + (size_t)i * TOKENS);
        UNROLL
        for (int r = 0; r < rows; r++) {
            int pair;
            memcpy(&pair, weights + (size_t)r * PANEL_STRIDE + i, sizeof pair);
            const __m512bh w = (__m512bh)_mm512_set1_epi32(pair);
            UNROLL
            for (int b = 0; b < blocks; b++)
                c[r][b] = _mm512_dpbf16_ps(c[r][b], w, xs[b]);
        }
    }
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
        for (int b = 0; b < blocks; b++)
            _mm512_storeu_ps(sums + r * (size_t)SUMS_STRIDE + b * TOKENS, c[r][b]);
}

static void sweep(bool add, const struct panel *panel, const uint16_t *x, size_t x_stride, uint32_t blocks, uint32_t n,
                  float *sums)
{
    uint32_t b = 0;
    for (; b + 3 <= blocks; b += 3)
        for (uint32_t r = 0; r < PANEL_ROWS; r += 8)
            sweep_registers(8, 3, add, panel->weights[r], x + b * x_stride, x_stride, n, sums + r * (size_t)SUMS_STRIDE + b * TOKENS);
    for (; b < blocks; b++)
        for (uint32_t r = 0; r < PANEL_ROWS; r += 8)
            sweep_registers(8, 1, add, panel->weights[r], x + b * x_stride, x_stride, n, sums + r * (size_t)SUMS_STRIDE + b * TOKENS);
}

#endif

/* ---- products ---- */

/* (row, token) to (token, row). */
static void turn(const struct panel *panel, uint32_t count, uint32_t tokens, float *out, size_t out_stride)
{
    for (uint32_t r = 0; r < count; r += 16) {
        const uint32_t rows = count - r < 16 ? count - r : 16;
        for (uint32_t t = 0; t < tokens; t += TOKENS) {
            const uint32_t some = tokens - t < TOKENS ? tokens - t : TOKENS;
            __m512i v[16];
            UNROLL
            for (uint32_t i = 0; i < 16; i++)
                v[i] = _mm512_loadu_si512(panel->sums[r + i] + t);
            transpose(v);
            float *to = out + t * out_stride + r;
            if (rows == 16 && some == TOKENS) {
                UNROLL
                for (uint32_t i = 0; i < 16; i++)
                    _mm512_storeu_si512(to + i * out_stride, v[i]);
                continue;
            }
            float columns[16][16];
            for (uint32_t i = 0; i < 16; i++)
                _mm512_storeu_si512(columns[i], v[i]);
            for (uint32_t i = 0; i < some; i++)
                memcpy(to + i * out_stride, columns[i], rows * sizeof(float));
        }
    }
}

void KERNEL(multiply_bf16)(const struct we_cpu_matrix *m, uint32_t first, uint32_t count, const void *packed, size_t row_bytes,
                           uint32_t tokens, float *out, size_t out_stride, void *scratch)
{
    struct panel *panel = scratch;
    const uint32_t in = m->linear->in, inputs = in <= MOST_INPUTS ? in : INPUTS, blocks = (tokens + TOKENS - 1) / TOKENS;
    const size_t x_stride = row_bytes / sizeof(uint16_t) * TOKENS;
    configure();
    for (uint32_t begin = 0; begin < count; begin += WE_CPU_PIECE_ROWS) {
        const uint32_t some = count - begin < WE_CPU_PIECE_ROWS ? count - begin : WE_CPU_PIECE_ROWS;
        /* The inputs outside: a part of the activations stays in the second-level cache while the rows pass by. */
        for (uint32_t k = 0; k < in; k += inputs) {
            const uint32_t n = in - k < inputs ? in - k : inputs;
            const uint16_t *x = (const uint16_t *)packed + (size_t)k * TOKENS;
            for (uint32_t r = 0; r < some; r += PANEL_ROWS) {
                unpack(m, first + begin + r, some - r < PANEL_ROWS ? some - r : PANEL_ROWS, k, n, panel);
                sweep(k > 0, panel, x, x_stride, blocks, padded(n), panel->sums[r]);
            }
        }
        turn(panel, some, tokens, out + begin, out_stride);
    }
#ifdef HAS_TILES
    _tile_release();
#endif
    if (m->linear->bias.data)
        KERNEL(add_bias)(m->linear, first, count, tokens, out, out_stride);
}

#endif
