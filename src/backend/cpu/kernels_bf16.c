/* Many tokens at a time, in bfloat16: a panel of weights is unpacked into the cache, scales and biases folded in, and sweeps
 * over the activations; products are added in float32, over the inputs in order, in a register or tile of its own for each
 * result.
 *
 * Both sides lie in tiles of 1 KB, 32 inputs each. Activations: (16 tokens, 32 inputs). Weights: (16 pairs of inputs, 16 rows,
 * 2), which is how strips (strips.h) unpack. */
#include "backend/cpu/strips.h"
#include "backend/cpu/kernels.h"

#ifdef HAS_BF16

#include <assert.h>
#include <stdalign.h>

enum {
    SIDE = 16,         /* tokens, and rows, in a tile */
    DEPTH = 32,        /* inputs in a tile */
    TILE = SIDE * DEPTH,
    STRIPS = 2,        /* in a panel */
    PANEL_ROWS = STRIPS * SIDE,
    MOST_INPUTS = 640, /* of a panel: with them it stays in the first-level cache */
    INPUTS = 512,      /* of each panel of a row that does not fit one */
    SUMS_STRIDE = WE_CPU_PIECE_ROWS + SIDE /* not a power of two: its rows lie in different sets of the cache */
};

/* How the scratch memory is used. */
struct panel {
    alignas(64) uint16_t weights[STRIPS][MOST_INPUTS / DEPTH * TILE];
    alignas(64) float sums[WE_CPU_PIECE_TOKENS][SUMS_STRIDE];
    union {
        alignas(64) uint8_t strip[SIDE * (MOST_INPUTS + MOST_INPUTS / 32 * 8)];
        alignas(64) uint16_t rows[SIDE][MOST_INPUTS + DEPTH];
    };
    alignas(64) float row[MOST_INPUTS + 64];
};
static_assert(sizeof(struct panel) <= WE_CPU_PANEL_BYTES, "the scratch memory is too small");
static_assert((int)SIDE == (int)LANES, "rows of a tile are lanes");

static uint32_t padded(uint32_t width)
{
    return (width + DEPTH - 1) / DEPTH * DEPTH;
}

size_t KERNEL(bf16_bytes)(uint32_t width)
{
    return (size_t)padded(width) * sizeof(uint16_t);
}

/* 32 floats as bfloat16. */
INLINE __m512i round_32(const float *p)
{
    return (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(p + 16), _mm512_loadu_ps(p));
}

/* ---- packing ---- */

void KERNEL(pack_bf16)(const float *const *rows, uint32_t num_rows, uint32_t width, void *packed)
{
    uint16_t *out = packed;
    for (uint32_t k = 0; k < width; k += DEPTH, out += TILE)
        for (uint32_t t = 0; t < SIDE; t++) {
            __m512i v = _mm512_setzero_si512();
            if (t < num_rows && k + DEPTH <= width) {
                v = round_32(rows[t] + k);
            } else if (t < num_rows) {
                float last[DEPTH] = {0};
                memcpy(last, rows[t] + k, (width - k) * sizeof *last);
                v = round_32(last);
            }
            _mm512_store_si512(out + t * DEPTH, v);
        }
}

/* ---- weights ---- */

/* scale * q + bias for the values q of `bits` bits from bit `at` on in each lane. 16 bits below the sign hold a float near
 * 2^bits whose mantissa takes q. */
INLINE __m512 weights_of(const int bits, __m512i raw, const int at, __m512 scale, __m512 bias)
{
    const __m512i mask = _mm512_set1_epi32(((1 << bits) - 1) << (23 - bits));
    const __m512i one = _mm512_set1_epi32((127 + bits) << 23);
    const __m512i turned = _mm512_rol_epi32(raw, (23 - bits - at) & 31);
    return _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_ternarylogic_epi32(turned, mask, one, 0xEA)), scale, bias);
}

/* A row of the weights' tile: the pair of inputs whose values begin at bits `first` and `second`. */
INLINE __m512i weight_pair(const int bits, __m512i raw, const int first, const int second, __m512 scale, __m512 bias)
{
    const __m512i side_by_side = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5,
                                                  20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    const __m512 a = weights_of(bits, raw, first, scale, bias), b = weights_of(bits, raw, second, scale, bias);
    return _mm512_permutexvar_epi16(side_by_side, (__m512i)_mm512_cvtne2ps_pbh(b, a));
}

INLINE void unpack_strip(const int bits, const struct we_cpu_matrix *m, const uint8_t *strip, uint32_t groups, uint16_t *out)
{
    const enum we_dtype dtype = m->linear->dtype;
    const uint32_t lines = 1u << we_cpu_line_shift(m);
    for (uint32_t g = 0; g < groups; g++) {
        const __m512 scale = load_floats(dtype, strip, 0), bias = load_floats(dtype, strip, LANES);
        const __m512 less = _mm512_fnmadd_ps(_mm512_set1_ps((float)(1 << bits)), scale, bias);
        strip += 2 * LANES * we_cpu_scale_bytes(m);
        for (uint32_t i = 0; i < lines; i++, strip += 64) {
            const __m512i raw = _mm512_loadu_si512(strip);
            v_prefetch_far(strip, 4096);
            UNROLL
            for (int at = 0; at < 32; at += 2 * bits, out += DEPTH)
                _mm512_store_si512(out, weight_pair(bits, raw, at, at + bits, scale, less));
        }
    }
}

/* n floats in the order of the kernels for nibbles, the last block padded, as bfloat16 in natural order. */
static void round_nibbles(const float *x, uint32_t n, uint16_t *out)
{
#define EIGHT(k)                                                                                                               \
    NIBBLE_POSITION(k), NIBBLE_POSITION(k + 1), NIBBLE_POSITION(k + 2), NIBBLE_POSITION(k + 3), NIBBLE_POSITION(k + 4),        \
        NIBBLE_POSITION(k + 5), NIBBLE_POSITION(k + 6), NIBBLE_POSITION(k + 7)
    static const uint16_t order[64] = {EIGHT(0), EIGHT(8), EIGHT(16), EIGHT(24), EIGHT(32), EIGHT(40), EIGHT(48), EIGHT(56)};
    for (uint32_t i = 0; i < n; i += 64) {
        const __m512i low = round_32(x + i), high = round_32(x + i + 32);
        _mm512_store_si512(out + i, _mm512_permutex2var_epi16(low, _mm512_loadu_si512(order), high));
        _mm512_store_si512(out + i + 32, _mm512_permutex2var_epi16(low, _mm512_loadu_si512(order + 32), high));
    }
}

/* Formats without strips: row by row, then turned. */
static void unpack_rows(const struct we_cpu_matrix *m, uint32_t first, uint32_t k, uint32_t n, struct panel *panel, uint16_t *out)
{
    for (uint32_t r = 0; r < SIDE; r++) {
        if (first + r >= we_cpu_all_rows(m)) {
            memset(panel->rows[r], 0, padded(n) * sizeof(uint16_t));
            continue;
        }
        KERNEL(unpack_part)(m, first + r, k, n, panel->row);
        if (we_cpu_has_nibbles(m->format)) {
            round_nibbles(panel->row, n, panel->rows[r]);
            continue;
        }
        memset(panel->row + n, 0, (padded(n) - n) * sizeof *panel->row);
        for (uint32_t i = 0; i < n; i += DEPTH)
            _mm512_store_si512(panel->rows[r] + i, round_32(panel->row + i));
    }
    for (uint32_t i = 0; i < n; i += DEPTH, out += TILE) {
        __m512i v[LANES];
        UNROLL
        for (uint32_t r = 0; r < SIDE; r++)
            v[r] = _mm512_load_si512(panel->rows[r] + i);
        i_transpose(v);
        UNROLL
        for (uint32_t r = 0; r < SIDE; r++)
            _mm512_store_si512(out + r * DEPTH, v[r]);
    }
}

/* SIDE rows from `first` on, of inputs [k, k + n), padded with zeros to whole tiles. */
static void unpack(const struct we_cpu_matrix *m, uint32_t first, uint32_t k, uint32_t n, struct panel *panel, uint16_t *out)
{
    if (first >= we_cpu_all_rows(m)) {
        memset(out, 0, (size_t)padded(n) * SIDE * sizeof *out);
        return;
    }
    if (!we_cpu_has_strips(m)) {
        unpack_rows(m, first, k, n, panel, out);
        return;
    }
    const uint32_t group = k >> m->group_shift, groups = n >> m->group_shift;
    const uint8_t *strip = panel->strip;
    if (m->strips && first % SIDE == 0)
        strip = m->strips + first / SIDE * we_cpu_strip_bytes(m, SIDE) + group * we_cpu_strip_group_bytes(m, SIDE);
    else
        KERNEL(make_strip)(m, first, group, groups, panel->strip);
    if (m->format == WE_CPU_NIBBLES)
        unpack_strip(4, m, strip, groups, out);
    else
        unpack_strip(8, m, strip, groups, out);
}

/* ---- sweeps: sums[token][row] (+)= activations . panel, n inputs, for blocks of tokens `x_stride` values apart ---- */

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

/* Tiles 0 to 3 are sums (two of tokens by two of rows), 4 and 5 activations, 6 and 7 weights. */
INLINE void sweep_tiles(const bool two, bool add, const struct panel *panel, const uint16_t *x, size_t x_stride, uint32_t n,
                        float *sums)
{
    const size_t bytes = SUMS_STRIDE * sizeof(float);
    float *below = sums + SIDE * (size_t)SUMS_STRIDE;
    finish_stores(panel);
    if (add) {
        _tile_loadd(0, sums, bytes);
        _tile_loadd(1, sums + SIDE, bytes);
        if (two) {
            _tile_loadd(2, below, bytes);
            _tile_loadd(3, below + SIDE, bytes);
        }
    } else {
        _tile_zero(0);
        _tile_zero(1);
        if (two) {
            _tile_zero(2);
            _tile_zero(3);
        }
    }
    for (uint32_t i = 0; i < n; i += DEPTH) {
        _tile_loadd(4, x + (size_t)i * SIDE, 64);
        _tile_loadd(6, panel->weights[0] + (size_t)i * SIDE, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, panel->weights[1] + (size_t)i * SIDE, 64);
        _tile_dpbf16ps(1, 4, 7);
        if (two) {
            _tile_loadd(5, x + x_stride + (size_t)i * SIDE, 64);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
        }
    }
    _tile_stored(0, sums, bytes);
    _tile_stored(1, sums + SIDE, bytes);
    if (two) {
        _tile_stored(2, below, bytes);
        _tile_stored(3, below + SIDE, bytes);
    }
}

static void sweep(bool add, const struct panel *panel, const uint16_t *x, size_t x_stride, uint32_t blocks, uint32_t n,
                  float *sums)
{
    uint32_t b = 0;
    for (; b + 2 <= blocks; b += 2)
        sweep_tiles(true, add, panel, x + b * x_stride, x_stride, n, sums + b * (size_t)SIDE * SUMS_STRIDE);
    if (b < blocks)
        sweep_tiles(false, add, panel, x + b * x_stride, x_stride, n, sums + b * (size_t)SIDE * SUMS_STRIDE);
}

#else

static void configure(void)
{
}

/* Half a block of tokens, in registers. */
static void sweep_registers(bool add, const struct panel *panel, const uint16_t *x, uint32_t n, float *sums)
{
    enum { TOKENS = SIDE / 2 };
    __m512 c[TOKENS][STRIPS];
    UNROLL
    for (int t = 0; t < TOKENS; t++)
        UNROLL
        for (int s = 0; s < STRIPS; s++)
            c[t][s] = add ? _mm512_loadu_ps(sums + t * (size_t)SUMS_STRIDE + s * SIDE) : _mm512_setzero_ps();
    for (uint32_t i = 0; i < n; i += DEPTH, x += TILE)
        for (uint32_t p = 0; p < DEPTH / 2; p++) {
            __m512bh w[STRIPS];
            UNROLL
            for (int s = 0; s < STRIPS; s++)
                w[s] = (__m512bh)_mm512_load_si512(panel->weights[s] + (size_t)i * SIDE + p * DEPTH);
            UNROLL
            for (int t = 0; t < TOKENS; t++) {
                const __m512bh pair = (__m512bh)i_repeat(x + t * DEPTH + 2 * p);
                UNROLL
                for (int s = 0; s < STRIPS; s++)
                    c[t][s] = _mm512_dpbf16_ps(c[t][s], pair, w[s]);
            }
        }
    UNROLL
    for (int t = 0; t < TOKENS; t++)
        UNROLL
        for (int s = 0; s < STRIPS; s++)
            _mm512_storeu_ps(sums + t * (size_t)SUMS_STRIDE + s * SIDE, c[t][s]);
}

static void sweep(bool add, const struct panel *panel, const uint16_t *x, size_t x_stride, uint32_t blocks, uint32_t n,
                  float *sums)
{
    for (uint32_t b = 0; b < blocks; b++)
        for (uint32_t half = 0; half < SIDE; half += SIDE / 2)
            sweep_registers(add, panel, x + b * x_stride + half * DEPTH, n, sums + (b * SIDE + half) * (size_t)SUMS_STRIDE);
}

#endif

/* ---- products ---- */

void KERNEL(multiply_bf16)(const struct we_cpu_matrix *m, uint32_t first, uint32_t count, const void *packed, size_t row_bytes,
                           uint32_t tokens, float *out, size_t out_stride, void *scratch)
{
    struct panel *panel = scratch;
    const uint32_t in = m->linear->in, inputs = in <= MOST_INPUTS ? in : INPUTS, blocks = (tokens + SIDE - 1) / SIDE;
    const size_t x_stride = row_bytes / sizeof(uint16_t) * SIDE;
    configure();
    for (uint32_t begin = 0; begin < count; begin += WE_CPU_PIECE_ROWS) {
        const uint32_t some = count - begin < WE_CPU_PIECE_ROWS ? count - begin : WE_CPU_PIECE_ROWS;
        /* The inputs outside: a part of the activations stays in the second-level cache while the rows pass by. */
        for (uint32_t k = 0; k < in; k += inputs) {
            const uint32_t n = in - k < inputs ? in - k : inputs;
            const uint16_t *x = (const uint16_t *)packed + (size_t)k * SIDE;
            for (uint32_t r = 0; r < some; r += PANEL_ROWS) {
                for (uint32_t s = 0; s < STRIPS; s++)
                    unpack(m, first + begin + r + s * SIDE, k, n, panel, panel->weights[s]);
                sweep(k > 0, panel, x, x_stride, blocks, padded(n), panel->sums[0] + r);
            }
        }
        for (uint32_t t = 0; t < tokens; t++)
            memcpy(out + t * out_stride + begin, panel->sums[t], some * sizeof *out);
    }
#ifdef HAS_TILES
    _tile_release();
#endif
    if (m->linear->bias.data)
        KERNEL(add_bias)(m->linear, first, count, tokens, out, out_stride);
}

#endif
