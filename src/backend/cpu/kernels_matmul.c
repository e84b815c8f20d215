/* Matrix times activations. Few tokens: weights stay packed and go from memory through registers once for all tokens
 * ("direct"). More: a panel of rows is unpacked into the cache, then multiplied by tiles of 4 rows x TILE_TOKENS.
 * Both add the same products in the same order: vector i of a row's block of WE_CPU_BLOCK inputs into one accumulator of
 * LANES, the lanes at the block's end, and the blocks in order. */
#include "backend/cpu/kernels.h"

enum {
    ROWS = 4,                        /* rows that go side by side, to hide the latency of the additions */
    BLOCK_GROUPS = WE_CPU_BLOCK / 16 /* most groups in a block */
};

/* Where ROWS rows of the tensor begin. */
struct row_data {
    const uint8_t *data[ROWS], *scales[ROWS], *biases[ROWS];
};

enum { MORE_GROUPS = 4 };
/* Scales and biases of ROWS rows in one block as floats, with MORE_GROUPS of zeros after them. For nibbles NIBBLE_OFFSET is
 * taken off, in the bias. */
struct group_values {
    float scale[ROWS][BLOCK_GROUPS + MORE_GROUPS], bias[ROWS][BLOCK_GROUPS + MORE_GROUPS];
};

/* Rows past the last one repeat it; their results are dropped. */
static void row_data_at(const struct we_cpu_matrix *m, uint32_t row, uint32_t end, struct row_data *rows)
{
    const struct we_linear *l = m->linear;
    for (uint32_t r = 0; r < ROWS; r++) {
        size_t at = we_linear_tensor_row(l, row + r < end ? row + r : end - 1);
        rows->data[r] = (const uint8_t *)l->data + at * m->row_bytes;
        rows->scales[r] = l->scales ? (const uint8_t *)l->scales + at * m->group_row_bytes : NULL;
        rows->biases[r] = l->biases ? (const uint8_t *)l->biases + at * m->group_row_bytes : NULL;
    }
}

INLINE void load_row_groups(enum we_dtype dtype, const uint8_t *scales, const uint8_t *biases, uint32_t first, uint32_t count,
                            float offset, float *scale, float *bias)
{
    vf minus = v_set1(-offset);
    uint32_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        vf s = load_floats(dtype, scales, first + i), b = load_floats(dtype, biases, first + i);
        v_store(scale + i, s);
        v_store(bias + i, offset != 0 ? v_fma(minus, s, b) : b);
    }
    if (i < count) {
        vf s = load_floats_n(dtype, scales, first + i, count - i), b = load_floats_n(dtype, biases, first + i, count - i);
        v_store_n(scale + i, s, count - i);
        v_store_n(bias + i, offset != 0 ? v_fma(minus, s, b) : b, count - i);
    }
    memset(scale + count, 0, MORE_GROUPS * sizeof *scale);
    memset(bias + count, 0, MORE_GROUPS * sizeof *bias);
}

/* Scales of a byte each, without biases. */
INLINE void load_small_scales(const enum we_quant_mode mode, const uint8_t *scales, uint32_t count, float *scale)
{
    for (uint32_t i = 0; i < count; i += LANES) {
        const uint32_t n = count - i < LANES ? count - i : LANES;
        v_store_n(scale + i, mode == WE_QUANT_NVFP4 ? v_load_e4m3_n(scales + i, n) : v_load_e8m0_n(scales + i, n), n);
    }
    memset(scale + count, 0, MORE_GROUPS * sizeof *scale);
}

INLINE void load_groups(const enum we_cpu_format format, const struct we_cpu_matrix *m, const struct row_data *rows,
                        int num_rows, uint32_t k, uint32_t n, struct group_values *g)
{
    const uint32_t first = k >> m->group_shift, count = n >> m->group_shift;
    const float offset = format == WE_CPU_NIBBLES ? NIBBLE_OFFSET : 0.0f;
    const enum we_dtype dtype = m->linear->dtype;
    for (int r = 0; r < num_rows; r++) {
        if (dtype == WE_U8)
            load_small_scales(m->linear->mode, rows->scales[r] + first, count, g->scale[r]);
        else if (dtype == WE_BF16)
            load_row_groups(WE_BF16, rows->scales[r], rows->biases[r], first, count, offset, g->scale[r], g->bias[r]);
        else if (dtype == WE_F16)
            load_row_groups(WE_F16, rows->scales[r], rows->biases[r], first, count, offset, g->scale[r], g->bias[r]);
        else
            load_row_groups(WE_F32, rows->scales[r], rows->biases[r], first, count, offset, g->scale[r], g->bias[r]);
    }
}

/* 32 values of `bits` each, from 4 * bits bytes: 8 at a time fill whole bytes. */
static void unpack_32(uint32_t bits, const uint8_t *p, float out[32])
{
#ifdef HAS_UNPACK_32
    v_unpack_32(bits, p, out);
#else
    const uint64_t mask = (1u << bits) - 1;
    for (int i = 0; i < 32; i += 8, p += bits) {
        uint64_t word = 0;
        for (uint32_t b = 0; b < bits; b++)
            word |= (uint64_t)p[b] << (8 * b);
        for (int j = 0; j < 8; j++, word >>= bits)
            out[i + j] = (float)(word & mask);
    }
#endif
}

/* ---- one vector of weights, in each format: the only places that turn bits into weights for a product ---- */

/* Of a block of nibbles. `groups`: their size, if a block has several; else 0. */
INLINE vf group_vector(const int groups, const struct we_cpu_matrix *m, const float *values, uint32_t k)
{
    if (groups == 16)
        return v_groups16(values + k / 16);
    return groups == 32 ? v_groups32(values + k / 32) : v_set1(values[k >> m->group_shift]);
}

INLINE vf weight_nibble(const enum we_cpu_format format, vn raw, int j, vf scale, vf bias)
{
    return format == WE_CPU_E2M1 ? v_mul(v_nibble_e2m1(raw, j), scale) : v_fma(v_nibble(raw, j), scale, bias);
}

INLINE vf weight_byte(const enum we_cpu_format format, const uint8_t *p, vf scale, vf bias)
{
    return format == WE_CPU_E4M3 ? v_mul(v_load_e4m3(p), scale) : v_fma(v_load_u8(p), scale, bias);
}

INLINE vf weight_plain(const enum we_cpu_format format, const uint8_t *row, uint32_t k, uint32_t n)
{
    const enum we_dtype dtype = format == WE_CPU_F32 ? WE_F32 : format == WE_CPU_F16 ? WE_F16 : WE_BF16;
    return n == LANES ? load_floats(dtype, row, k) : load_floats_n(dtype, row, k, n);
}

/* ---- direct ---- */

enum { MOST_TOKENS = (int)TILE_TOKENS > (int)WE_CPU_MAX_DIRECT ? (int)TILE_TOKENS : (int)WE_CPU_MAX_DIRECT };
typedef vf tile_sums[ROWS][MOST_TOKENS];

INLINE void add_products(const int tokens, const int r, vf w, const vf *x, tile_sums sums)
{
    UNROLL
    for (int t = 0; t < tokens; t++)
        sums[r][t] = v_fma(w, x[t], sums[r][t]);
}

INLINE void load_tokens(const int tokens, const float *x, size_t x_stride, vf *out)
{
    UNROLL
    for (int t = 0; t < tokens; t++)
        out[t] = v_load(x + (size_t)t * x_stride);
}

INLINE void nibble_block(const enum we_cpu_format format, const int tokens, const vn *raw, const vf *scale, const vf *bias,
                         const float *x, size_t x_stride, tile_sums sums)
{
    UNROLL
    for (int j = 0; j < NIBBLE_VECTORS; j++) {
        vf xv[WE_CPU_MAX_DIRECT];
        load_tokens(tokens, x + j * LANES, x_stride, xv);
        UNROLL
        for (int r = 0; r < ROWS; r++)
            add_products(tokens, r, weight_nibble(format, raw[r], j, scale[r], bias[r]), xv, sums);
    }
}

/* `k` is where the block begins in the row, x there. */
INLINE void dot_nibbles(const enum we_cpu_format format, const int groups, const int tokens, const struct we_cpu_matrix *m,
                        const struct row_data *rows, const struct group_values *g, uint32_t k, uint32_t n, const float *x,
                        size_t x_stride, tile_sums sums)
{
    const size_t ahead = ROWS * m->row_bytes; /* in a matrix that is walked row after row, this comes next */
    uint32_t i = 0;
    vn raw[ROWS];
    vf scale[ROWS], bias[ROWS] = {v_zero()}; /* e2m1 has none */
    for (; i + NIBBLE_BLOCK <= n; i += NIBBLE_BLOCK) {
        UNROLL
        for (int r = 0; r < ROWS; r++) {
            const uint8_t *p = rows->data[r] + (k + i) / 2;
            raw[r] = v_nibbles_load(p);
            v_prefetch(p, ahead);
            scale[r] = group_vector(groups, m, g->scale[r], i);
            if (format == WE_CPU_NIBBLES)
                bias[r] = group_vector(groups, m, g->bias[r], i);
        }
        nibble_block(format, tokens, raw, scale, bias, x + i, x_stride, sums);
    }
    if (i == n)
        return;
    /* A part of a block, of small groups; the rest of it meets groups of zeros. */
    for (int r = 0; r < ROWS; r++) {
        raw[r] = v_nibbles_load_n(rows->data[r] + (k + i) / 2, (n - i) / 8);
        scale[r] = group_vector(groups, m, g->scale[r], i);
        if (format == WE_CPU_NIBBLES)
            bias[r] = group_vector(groups, m, g->bias[r], i);
    }
    nibble_block(format, tokens, raw, scale, bias, x + i, x_stride, sums);
}

INLINE void dot_bytes(const enum we_cpu_format format, const int tokens, const struct we_cpu_matrix *m,
                      const struct row_data *rows, const struct group_values *g, uint32_t k, uint32_t n, const float *x,
                      size_t x_stride, tile_sums sums)
{
    const size_t ahead = ROWS * m->row_bytes;
    for (uint32_t i = 0; i < n; i += 32) {
        vf scale[ROWS], bias[ROWS] = {v_zero()};
        UNROLL
        for (int r = 0; r < ROWS; r++) {
            scale[r] = v_set1(g->scale[r][i >> m->group_shift]);
            if (format == WE_CPU_BYTES)
                bias[r] = v_set1(g->bias[r][i >> m->group_shift]);
            v_prefetch(rows->data[r] + k + i, ahead);
        }
        UNROLL
        for (int j = 0; j < 32; j += LANES) {
            vf xv[WE_CPU_MAX_DIRECT];
            load_tokens(tokens, x + i + j, x_stride, xv);
            UNROLL
            for (int r = 0; r < ROWS; r++)
                add_products(tokens, r, weight_byte(format, rows->data[r] + k + i + j, scale[r], bias[r]), xv, sums);
        }
    }
}

INLINE void dot_bits(const int tokens, const struct we_cpu_matrix *m, const struct row_data *rows, const struct group_values *g,
                     uint32_t k, uint32_t n, const float *x, size_t x_stride, tile_sums sums)
{
    const uint32_t bits = m->linear->bits;
    for (uint32_t i = 0; i < n; i += 32) {
        float q[ROWS][32];
        for (int r = 0; r < ROWS; r++)
            unpack_32(bits, rows->data[r] + (size_t)(k + i) / 8 * bits, q[r]);
        for (int j = 0; j < 32; j += LANES) {
            vf xv[WE_CPU_MAX_DIRECT];
            load_tokens(tokens, x + i + j, x_stride, xv);
            UNROLL
            for (int r = 0; r < ROWS; r++) {
                vf scale = v_set1(g->scale[r][i >> m->group_shift]), bias = v_set1(g->bias[r][i >> m->group_shift]);
                add_products(tokens, r, v_fma(v_load(q[r] + j), scale, bias), xv, sums);
            }
        }
    }
}

INLINE void dot_plain(const enum we_cpu_format format, const int tokens, const struct we_cpu_matrix *m,
                      const struct row_data *rows, uint32_t k, uint32_t n, const float *x, size_t x_stride, tile_sums sums)
{
    const size_t size = format == WE_CPU_F32 ? 4 : 2, ahead = ROWS * m->row_bytes;
    uint32_t i = 0;
    vf xv[WE_CPU_MAX_DIRECT];
    for (; i + LANES <= n; i += LANES) {
        load_tokens(tokens, x + i, x_stride, xv);
        UNROLL
        for (int r = 0; r < ROWS; r++) {
            v_prefetch(rows->data[r] + (k + i) * size, ahead);
            add_products(tokens, r, weight_plain(format, rows->data[r], k + i, LANES), xv, sums);
        }
    }
    if (i == n)
        return;
    load_tokens(tokens, x + i, x_stride, xv);
    for (int r = 0; r < ROWS; r++)
        add_products(tokens, r, weight_plain(format, rows->data[r], k + i, n - i), xv, sums);
}

/* ROWS rows by `tokens` tokens, all of the inputs: out[t][r]. */
INLINE void dot_rows(const enum we_cpu_format format, const int groups, const int tokens, const struct we_cpu_matrix *m,
                     const struct row_data *rows, const float *x, size_t x_stride, float out[][ROWS])
{
    const uint32_t in = m->linear->in;
    struct group_values g;
    for (uint32_t k = 0; k < in; k += WE_CPU_BLOCK) {
        const uint32_t n = in - k < WE_CPU_BLOCK ? in - k : WE_CPU_BLOCK;
        tile_sums sums;
        UNROLL
        for (int r = 0; r < ROWS; r++)
            UNROLL
        for (int t = 0; t < tokens; t++)
            sums[r][t] = v_zero();
        const bool plain = format == WE_CPU_F32 || format == WE_CPU_F16 || format == WE_CPU_BF16;
        if (!plain)
            load_groups(format, m, rows, ROWS, k, n, &g);
        if (format == WE_CPU_NIBBLES || format == WE_CPU_E2M1)
            dot_nibbles(format, groups, tokens, m, rows, &g, k, n, x + k, x_stride, sums);
        else if (format == WE_CPU_BYTES || format == WE_CPU_E4M3)
            dot_bytes(format, tokens, m, rows, &g, k, n, x + k, x_stride, sums);
        else if (format == WE_CPU_BITS)
            dot_bits(tokens, m, rows, &g, k, n, x + k, x_stride, sums);
        else
            dot_plain(format, tokens, m, rows, k, n, x + k, x_stride, sums);
        UNROLL
        for (int t = 0; t < tokens; t++) {
            float s[ROWS];
            v_sum4(sums[0][t], sums[1][t], sums[2][t], sums[3][t], s);
            UNROLL
            for (int r = 0; r < ROWS; r++)
                out[t][r] = k == 0 ? s[r] : out[t][r] + s[r];
        }
    }
}

typedef void dot_function(const struct we_cpu_matrix *m, const struct row_data *rows, const float *x, size_t x_stride,
                          float out[][ROWS]);

#define DOT(name, format, groups, tokens)                                                                                      \
    static void name##tokens(const struct we_cpu_matrix *m, const struct row_data *rows, const float *x, size_t x_stride,      \
                             float out[][ROWS])                                                                                \
    {                                                                                                                          \
        dot_rows(format, groups, tokens, m, rows, x, x_stride, out);                                                           \
    }
#if TARGET_DIRECT == 4
#define DOTS(name, format, groups)                                                                                             \
    DOT(name, format, groups, 1) DOT(name, format, groups, 2) DOT(name, format, groups, 3) DOT(name, format, groups, 4)
#define DOT_NAMES(name)                                                                                                        \
    {                                                                                                                          \
        name##1, name##2, name##3, name##4                                                                                     \
    }
#else
#define DOTS(name, format, groups) DOT(name, format, groups, 1) DOT(name, format, groups, 2)
#define DOT_NAMES(name)                                                                                                        \
    {                                                                                                                          \
        name##1, name##2                                                                                                       \
    }
#endif
DOTS(dot_f32_, WE_CPU_F32, 0)
DOTS(dot_f16_, WE_CPU_F16, 0)
DOTS(dot_bf16_, WE_CPU_BF16, 0)
DOTS(dot_nibbles_, WE_CPU_NIBBLES, 0)
DOTS(dot_nibbles32_, WE_CPU_NIBBLES, 32)
DOTS(dot_bytes_, WE_CPU_BYTES, 0)
DOTS(dot_bits_, WE_CPU_BITS, 0)
DOTS(dot_e2m1_, WE_CPU_E2M1, 32)
DOTS(dot_e2m1_16_, WE_CPU_E2M1, 16)
DOTS(dot_e4m3_, WE_CPU_E4M3, 0)

static dot_function *const dot_functions[WE_CPU_FORMAT_COUNT][MAX_DIRECT] = {
    [WE_CPU_F32] = DOT_NAMES(dot_f32_),         [WE_CPU_F16] = DOT_NAMES(dot_f16_),     [WE_CPU_BF16] = DOT_NAMES(dot_bf16_),
    [WE_CPU_NIBBLES] = DOT_NAMES(dot_nibbles_), [WE_CPU_BYTES] = DOT_NAMES(dot_bytes_), [WE_CPU_BITS] = DOT_NAMES(dot_bits_),
    [WE_CPU_E2M1] = DOT_NAMES(dot_e2m1_),       [WE_CPU_E4M3] = DOT_NAMES(dot_e4m3_),
};
static dot_function *const dot_nibbles32[MAX_DIRECT] = DOT_NAMES(dot_nibbles32_),
                    *const dot_e2m1_16[MAX_DIRECT] = DOT_NAMES(dot_e2m1_16_);

static dot_function *dot_for(const struct we_cpu_matrix *m, uint32_t tokens)
{
    if (m->format == WE_CPU_NIBBLES && m->linear->group_size == 32)
        return dot_nibbles32[tokens - 1];
    if (m->format == WE_CPU_E2M1 && m->linear->group_size == 16)
        return dot_e2m1_16[tokens - 1];
    return dot_functions[m->format][tokens - 1];
}

static void multiply_direct(const struct we_cpu_matrix *m, uint32_t first, uint32_t count, const float *x, size_t x_stride,
                            uint32_t tokens, float *out, size_t out_stride)
{
    dot_function *dot = dot_for(m, tokens);
    for (uint32_t i = 0; i < count; i += ROWS) {
        struct row_data rows;
        float sums[WE_CPU_MAX_DIRECT][ROWS];
        row_data_at(m, first + i, first + count, &rows);
        dot(m, &rows, x, x_stride, sums);
        uint32_t n = count - i < ROWS ? count - i : ROWS;
        for (uint32_t t = 0; t < tokens; t++)
            memcpy(out + t * out_stride + i, sums[t], n * sizeof(float));
    }
}

/* ---- panels ---- */

/* Inputs [k, k + n) of row r of `rows` as weights, in the matrix's order, padded with zeros to whole vectors. */
INLINE void unpack_nibbles(const enum we_cpu_format format, const int groups, const struct we_cpu_matrix *m,
                           const uint8_t *data, const float *scales, const float *biases, uint32_t n, float *out)
{
    for (uint32_t i = 0; i < n; i += NIBBLE_BLOCK) {
        bool whole = i + NIBBLE_BLOCK <= n;
        vn raw = whole ? v_nibbles_load(data + i / 2) : v_nibbles_load_n(data + i / 2, (n - i) / 8);
        vf scale = group_vector(groups, m, scales, i);
        vf bias = format == WE_CPU_NIBBLES ? group_vector(groups, m, biases, i) : v_zero();
        UNROLL
        for (int j = 0; j < NIBBLE_VECTORS; j++)
            v_store(out + i + j * LANES, weight_nibble(format, raw, j, scale, bias));
    }
}

static void unpack_panel_row(const struct we_cpu_matrix *m, const struct row_data *rows, int r, const struct group_values *g,
                             uint32_t k, uint32_t n, float *out)
{
    const uint8_t *data = rows->data[r];
    const float *scales = g->scale[r], *biases = g->bias[r];
    switch (m->format) {
    case WE_CPU_NIBBLES:
        if (m->linear->group_size == 32)
            unpack_nibbles(WE_CPU_NIBBLES, 32, m, data + k / 2, scales, biases, n, out);
        else
            unpack_nibbles(WE_CPU_NIBBLES, 0, m, data + k / 2, scales, biases, n, out);
        break;
    case WE_CPU_E2M1:
        if (m->linear->group_size == 16)
            unpack_nibbles(WE_CPU_E2M1, 16, m, data + k / 2, scales, biases, n, out);
        else
            unpack_nibbles(WE_CPU_E2M1, 32, m, data + k / 2, scales, biases, n, out);
        break;
    case WE_CPU_BYTES:
        for (uint32_t i = 0; i < n; i += LANES)
            v_store(out + i, weight_byte(WE_CPU_BYTES, data + k + i, v_set1(scales[i >> m->group_shift]),
                                         v_set1(biases[i >> m->group_shift])));
        break;
    case WE_CPU_E4M3:
        for (uint32_t i = 0; i < n; i += LANES)
            v_store(out + i, weight_byte(WE_CPU_E4M3, data + k + i, v_set1(scales[i >> m->group_shift]), v_zero()));
        break;
    case WE_CPU_BITS:
        for (uint32_t i = 0; i < n; i += 32) {
            float q[32];
            unpack_32(m->linear->bits, data + (size_t)(k + i) / 8 * m->linear->bits, q);
            vf scale = v_set1(scales[i >> m->group_shift]), bias = v_set1(biases[i >> m->group_shift]);
            for (int j = 0; j < 32; j += LANES)
                v_store(out + i + j, v_fma(v_load(q + j), scale, bias));
        }
        break;
    default:
        for (uint32_t i = 0; i < n; i += LANES)
            v_store(out + i, weight_plain(m->format, data, k + i, n - i < LANES ? n - i : LANES));
    }
}

/* Rows [first, first + count) of inputs [k, k + n), count rounded up to ROWS. */
static void unpack_panel(const struct we_cpu_matrix *m, uint32_t first, uint32_t count, uint32_t k, uint32_t n, float *panel)
{
    for (uint32_t i = 0; i < count; i += ROWS) {
        struct row_data rows;
        struct group_values g;
        row_data_at(m, first + i, first + count, &rows);
        if (m->linear->mode != WE_QUANT_NONE)
            load_groups(m->format, m, &rows, ROWS, k, n, &g);
        for (int r = 0; r < ROWS; r++)
            unpack_panel_row(m, &rows, r, &g, k, n, panel + (i + (uint32_t)r) * WE_CPU_PANEL_STRIDE);
    }
}

void KERNEL(unpack_part)(const struct we_cpu_matrix *m, uint32_t row, uint32_t k, uint32_t n, float *out)
{
    struct row_data rows;
    struct group_values g;
    row_data_at(m, row, row + 1, &rows);
    if (m->linear->mode != WE_QUANT_NONE)
        load_groups(m->format, m, &rows, 1, k, n, &g);
    unpack_panel_row(m, &rows, 0, &g, k, n, out);
}

/* ROWS rows of a panel by `tokens` tokens over n inputs (a multiple of LANES). */
INLINE void tile(const int tokens, const float *w, const float *x, size_t x_stride, uint32_t n, float out[][ROWS])
{
    tile_sums sums;
    UNROLL
    for (int r = 0; r < ROWS; r++)
        UNROLL
    for (int t = 0; t < tokens; t++)
        sums[r][t] = v_zero();
    for (uint32_t i = 0; i < n; i += LANES) {
        vf wv[ROWS];
        UNROLL
        for (int r = 0; r < ROWS; r++)
            wv[r] = v_load(w + r * WE_CPU_PANEL_STRIDE + i);
        UNROLL
        for (int t = 0; t < tokens; t++) {
            vf xv = v_load(x + (size_t)t * x_stride + i);
            UNROLL
            for (int r = 0; r < ROWS; r++)
                sums[r][t] = v_fma(wv[r], xv, sums[r][t]);
        }
    }
    UNROLL
    for (int t = 0; t < tokens; t++)
        v_sum4(sums[0][t], sums[1][t], sums[2][t], sums[3][t], out[t]);
}

typedef void tile_function(const float *w, const float *x, size_t x_stride, uint32_t n, float out[][ROWS]);
#define TILE(tokens)                                                                                                           \
    static void tile##tokens(const float *w, const float *x, size_t x_stride, uint32_t n, float out[][ROWS])                   \
    {                                                                                                                          \
        tile(tokens, w, x, x_stride, n, out);                                                                                  \
    }
TILE(1)
TILE(2) TILE(3)
#if TARGET_TILE == 6
    TILE(4) TILE(5) TILE(6) static tile_function *const tiles[TILE_TOKENS] = {tile1, tile2, tile3, tile4, tile5, tile6};
#else
    static tile_function *const tiles[TILE_TOKENS] = {tile1, tile2, tile3};
#endif

/* One panel by all tokens; adds to out unless this is the first block of inputs. */
static void multiply_panel(const float *panel, uint32_t count, uint32_t n, const float *x, size_t x_stride, uint32_t tokens,
                           bool add, float *out, size_t out_stride)
{
    for (uint32_t t = 0; t < tokens; t += TILE_TOKENS) {
        uint32_t m = tokens - t < TILE_TOKENS ? tokens - t : TILE_TOKENS;
        for (uint32_t i = 0; i < count; i += ROWS) {
            float sums[TILE_TOKENS][ROWS];
            tiles[m - 1](panel + i * WE_CPU_PANEL_STRIDE, x + t * x_stride, x_stride, n, sums);
            uint32_t rows = count - i < ROWS ? count - i : ROWS;
            for (uint32_t u = 0; u < m; u++) {
                float *to = out + (t + u) * out_stride + i;
                for (uint32_t r = 0; r < rows; r++)
                    to[r] = add ? to[r] + sums[u][r] : sums[u][r];
            }
        }
    }
}

void KERNEL(add_bias)(const struct we_linear *l, uint32_t first, uint32_t count, uint32_t tokens, float *out, size_t out_stride)
{
    for (uint32_t i = 0; i < count; i++) {
        float one[LANES];
        v_store(one, load_floats_n(l->bias.dtype, l->bias.data, we_linear_tensor_row(l, first + i), 1));
        for (uint32_t t = 0; t < tokens; t++)
            out[t * out_stride + i] += one[0];
    }
}

void KERNEL(multiply)(const struct we_cpu_matrix *m, uint32_t first, uint32_t count, const void *packed, size_t row_bytes,
                      uint32_t tokens, float *out, size_t out_stride, void *panel)
{
    const uint32_t in = m->linear->in;
    const float *x = packed;
    const size_t x_stride = row_bytes / sizeof *x;
    if (tokens <= MAX_DIRECT) {
        multiply_direct(m, first, count, x, x_stride, tokens, out, out_stride);
    } else {
        /* With few tokens each weight is used but a few times: a panel in the first-level cache is best then. */
        const uint32_t height = tokens < 4 * TILE_TOKENS ? ROWS : WE_CPU_PANEL_ROWS;
        for (uint32_t i = 0; i < count; i += height) {
            const uint32_t rows = count - i < height ? count - i : height;
            for (uint32_t k = 0; k < in; k += WE_CPU_BLOCK) {
                const uint32_t n = in - k < WE_CPU_BLOCK ? in - k : WE_CPU_BLOCK;
                const uint32_t unit = we_cpu_has_nibbles(m->format) ? (uint32_t)NIBBLE_BLOCK : (uint32_t)LANES;
                unpack_panel(m, first + i, rows, k, n, panel);
                multiply_panel(panel, rows, (n + unit - 1) / unit * unit, x + k, x_stride, tokens, k > 0, out + i, out_stride);
            }
        }
    }
    if (m->linear->bias.data)
        KERNEL(add_bias)(m->linear, first, count, tokens, out, out_stride);
}

/* `count` values of a row from k on, at most 32; k is `at` in the groups' values. */
static void unpack_natural(const struct we_cpu_matrix *m, const uint8_t *row, uint32_t k, const struct group_values *g,
                           uint32_t at, uint32_t count, float *out)
{
    static const float e2m1[16] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6, 0, -0.5f, -1, -1.5f, -2, -3, -4, -6};
    const float *scales = g->scale[0], *biases = g->bias[0];
    float q[32];
    if (m->format == WE_CPU_E2M1) {
        for (uint32_t i = 0; i < count; i++)
            out[i] = e2m1[row[(k + i) / 2] >> (i & 1) * 4 & 15] * scales[(at + i) >> m->group_shift];
        return;
    }
    vf scale = v_set1(scales[at >> m->group_shift]);
    if (m->format == WE_CPU_E4M3) {
        for (uint32_t j = 0; j < 32; j += LANES)
            v_store(out + j, weight_byte(WE_CPU_E4M3, row + k + j, scale, v_zero()));
        return;
    }
    unpack_32(m->linear->bits, row + (size_t)k / 8 * m->linear->bits, q);
    vf bias = v_set1(biases[at >> m->group_shift]);
    for (uint32_t j = 0; j < 32; j += LANES)
        v_store(out + j, v_fma(v_load(q + j), scale, bias));
}

void KERNEL(unpack_row)(const struct we_cpu_matrix *m, uint32_t row, float *out)
{
    const struct we_linear *l = m->linear;
    struct row_data rows;
    row_data_at(m, row, row + 1, &rows);
    struct group_values g;
    for (uint32_t k = 0; k < l->in; k += WE_CPU_BLOCK) {
        const uint32_t n = l->in - k < WE_CPU_BLOCK ? l->in - k : WE_CPU_BLOCK;
        if (l->mode != WE_QUANT_NONE)
            load_groups(WE_CPU_BITS, m, &rows, 1, k, n, &g); /* without the offset of nibbles */
        if (l->mode == WE_QUANT_NONE) {
            for (uint32_t i = 0; i < n; i += LANES) {
                uint32_t some = n - i < LANES ? n - i : LANES;
                v_store_n(out + k + i, weight_plain(m->format, rows.data[0], k + i, some), some);
            }
            continue;
        }
        for (uint32_t i = 0; i < n; i += 32)
            unpack_natural(m, rows.data[0], k + i, &g, i, n - i < 32 ? n - i : 32, out + k + i);
    }
}
