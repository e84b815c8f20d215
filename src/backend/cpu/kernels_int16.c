/* Quantised weights times activations of 16-bit integers: sums of integer products are exact within a group, and only the
 * groups' sums are added in float32. The weights stay packed and are read once, from end to end, for up to MOST tokens. The
 * integers of the activations are in the weights' order. */
#include "backend/cpu/kernels_integers.h"

#if defined(HAS_INT16) && !defined(HAS_STRIPS) /* which take all that comes here */

enum {
    CHUNK = 8 * LANES, /* values in a vector of nibbles */
    HALF = 2 * LANES,  /* values in a vector of int16 */
    ROWS = 4,          /* that go side by side */
    BROAD = 2,         /* up to so many tokens; else half as many rows, for want of registers */
    AHEAD = 1024,      /* bytes that are asked for in advance */
    MOST = 4, /* tokens */
    GROUPS = WE_CPU_BLOCK / 32 + LANES
};

size_t KERNEL(int16_bytes)(uint32_t width)
{
    return integer_bytes(width);
}

/* ---- packing ---- */

INLINE void pack_unit(const bool nibbles, const float *x, size_t at, size_t width, int16_t *q, float *floats)
{
    int16_t natural[UNIT];
    round_unit(32767.0f, x, at, width, natural, floats);
    if (!nibbles) {
        memcpy(q, natural, sizeof natural);
        return;
    }
    for (uint32_t c = 0; c < UNIT; c += CHUNK)
        for (uint32_t w = 0; w < HALF; w++)
            for (uint32_t j = 0; j < 4; j++)
                q[c + j * HALF + w] = natural[c + 4 * w + j];
}

void KERNEL(pack_int16)(const float *const *rows, uint32_t num_rows, uint32_t width, void *out)
{
    (void)num_rows; /* a block is one row */
    pack_integers(pack_unit, false, rows[0], width, out);
}

void KERNEL(pack_int16_nibbles)(const float *const *rows, uint32_t num_rows, uint32_t width, void *out)
{
    (void)num_rows;
    pack_integers(pack_unit, true, rows[0], width, out);
}

/* ---- products ---- */

/* Where some rows of the tensor begin, and the activations. */
struct operands {
    const struct we_cpu_matrix *matrix;
    const uint8_t *data[ROWS], *scales[ROWS], *biases[ROWS];
    struct group_rows groups;
    const int16_t *q[MOST];
    const float *scale[MOST], *sum[MOST]; /* for the matrix's groups */
};

/* Of one block: scale of the weights times scale of the activations. */
typedef float group_scales[ROWS][MOST][GROUPS];
typedef vf row_sums[ROWS][MOST];

/* Inputs of one block: the products of scales, and the biases' share added to `sums`. */
INLINE void load_groups(const enum we_dtype dtype, const int rows, const int tokens, const struct operands *o, uint32_t first,
                        uint32_t count, group_scales scales, vf (*sums)[MOST])
{
    for (uint32_t i = 0; i < count; i += LANES) {
        const uint32_t n = count - i < LANES ? count - i : LANES;
        UNROLL
        for (int r = 0; r < rows; r++) {
            vf s = n == LANES ? load_floats(dtype, o->scales[r], first + i) : load_floats_n(dtype, o->scales[r], first + i, n);
            vf b = n == LANES ? load_floats(dtype, o->biases[r], first + i) : load_floats_n(dtype, o->biases[r], first + i, n);
            UNROLL
            for (int t = 0; t < tokens; t++) {
                v_store(scales[r][t] + i, v_mul(s, v_load(o->scale[t] + first + i)));
                sums[r][t] = v_fma(b, v_load(o->sum[t] + first + i), sums[r][t]);
            }
        }
    }
}

/* dots[r][t] = weights[r] . x[t], or, unless `begin`, added to them. */
INLINE void add_dots(const bool begin, const int rows, const int tokens, const vh *weights, const struct operands *o, uint32_t at,
                     vi dots[ROWS][MOST])
{
    UNROLL
    for (int t = 0; t < tokens; t++) {
        const vh x = h_load(o->q[t] + at);
        UNROLL
        for (int r = 0; r < rows; r++)
            dots[r][t] = begin ? i_multiply(weights[r], x) : i_dot(dots[r][t], weights[r], x);
    }
}

INLINE void dot_nibbles(const int shift, const int rows, const int tokens, const struct operands *o, uint32_t k, uint32_t n,
                        group_scales scales, vf (*sums)[MOST])
{
    for (uint32_t i = 0; i < n; i += CHUNK) {
        vh raw[ROWS], weights[ROWS];
        vi dots[ROWS][MOST];
        UNROLL
        for (int r = 0; r < rows; r++) {
            const uint8_t *p = o->data[r] + (k + i) / 2;
            raw[r] = i + CHUNK <= n ? h_load(p) : h_load_n(p, (n - i) / 2);
            v_prefetch(p, AHEAD);
        }
        UNROLL
        for (int j = 0; j < 4; j++) {
            UNROLL
            for (int r = 0; r < rows; r++)
                weights[r] = h_nibble(raw[r], j);
            add_dots(j == 0, rows, tokens, weights, o, k + i + j * HALF, dots);
        }
        UNROLL
        for (int r = 0; r < rows; r++)
            UNROLL
            for (int t = 0; t < tokens; t++)
                sums[r][t] = v_fma(v_from_i32(dots[r][t]), v_groups(shift, scales[r][t] + (i >> shift)), sums[r][t]);
    }
}

INLINE void add_group(const int rows, const int tokens, uint32_t group, vi dots[ROWS][MOST], group_scales scales, vf (*sums)[MOST])
{
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
        for (int t = 0; t < tokens; t++)
            sums[r][t] = v_fma(v_from_i32(dots[r][t]), v_set1(scales[r][t][group]), sums[r][t]);
}

INLINE void dot_bytes(const int shift, const int rows, const int tokens, const struct operands *o, uint32_t k, uint32_t n,
                      group_scales scales, vf (*sums)[MOST])
{
    const uint32_t unit = shift == 5 ? 32 : 64;
    for (uint32_t i = 0; i < n; i += unit) {
        vi dots[ROWS][MOST];
        UNROLL
        for (uint32_t j = 0; j < unit; j += HALF) {
            vh weights[ROWS];
            UNROLL
            for (int r = 0; r < rows; r++) {
                const uint8_t *p = o->data[r] + k + i + j;
                weights[r] = h_load_u8(p);
                if (j % 64 == 0)
                    v_prefetch(p, AHEAD);
            }
            add_dots(j == 0, rows, tokens, weights, o, k + i + j, dots);
        }
        add_group(rows, tokens, i >> shift, dots, scales, sums);
    }
}

#ifdef HAS_BITS
INLINE void dot_bits(const struct bits_plan *plan, const int rows, const int tokens, const struct operands *o, uint32_t k,
                     uint32_t n, group_scales scales, vf (*sums)[MOST])
{
    const uint32_t bits = o->matrix->linear->bits, shift = o->matrix->group_shift;
    for (uint32_t i = 0; i < n; i += HALF) {
        vh weights[ROWS];
        vi dots[ROWS][MOST];
        UNROLL
        for (int r = 0; r < rows; r++) {
            const uint8_t *p = o->data[r] + (size_t)(k + i) / 8 * bits;
            weights[r] = h_bits(plan, p);
            v_prefetch(p, AHEAD);
        }
        add_dots(true, rows, tokens, weights, o, k + i, dots);
        add_group(rows, tokens, i >> shift, dots, scales, sums);
    }
}
#endif

/* All inputs of `rows` rows. */
INLINE void dot_inputs(const enum we_cpu_format format, const int shift, const int rows, const int tokens,
                       const struct operands *o, vf (*sums)[MOST])
{
    const struct we_linear *l = o->matrix->linear;
    const uint32_t group_shift = format == WE_CPU_BITS ? o->matrix->group_shift : (uint32_t)shift;
    group_scales scales;
#ifdef HAS_BITS
    struct bits_plan plan;
    if (format == WE_CPU_BITS)
        plan = h_bits_plan(l->bits);
#endif
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
        for (int t = 0; t < tokens; t++)
            sums[r][t] = v_zero();
    for (uint32_t k = 0; k < l->in; k += WE_CPU_BLOCK) {
        const uint32_t n = l->in - k < WE_CPU_BLOCK ? l->in - k : WE_CPU_BLOCK;
        if (l->dtype == WE_BF16)
            load_groups(WE_BF16, rows, tokens, o, k >> group_shift, n >> group_shift, scales, sums);
        else if (l->dtype == WE_F16)
            load_groups(WE_F16, rows, tokens, o, k >> group_shift, n >> group_shift, scales, sums);
        else
            load_groups(WE_F32, rows, tokens, o, k >> group_shift, n >> group_shift, scales, sums);
        if (format == WE_CPU_NIBBLES)
            dot_nibbles(shift, rows, tokens, o, k, n, scales, sums);
        else if (format == WE_CPU_BYTES)
            dot_bytes(shift, rows, tokens, o, k, n, scales, sums);
#ifdef HAS_BITS
        else
            dot_bits(&plan, rows, tokens, o, k, n, scales, sums);
#endif
    }
}

/* Rows [first, first + count) by the tokens of `o`. ROWS rows go side by side that lie a quarter of the piece apart: as many
 * streams from memory, so that one goes on while another one enters a new page. */
INLINE void dot_rows(const enum we_cpu_format format, const int shift, const int tokens, struct operands *o, uint32_t first,
                     uint32_t count, float *out, size_t out_stride)
{
    const struct we_cpu_matrix *m = o->matrix;
    const int side = tokens <= BROAD ? ROWS : ROWS / 2;
    const uint32_t quarter = (count + ROWS - 1) / ROWS;
    for (uint32_t i = 0; i < quarter; i++) {
        row_sums sums;
        for (int r = 0; r < ROWS; r++) {
            uint32_t at = i + (uint32_t)r * quarter;
            size_t row = we_linear_tensor_row(m->linear, first + (at < count ? at : count - 1));
            o->data[r] = (const uint8_t *)m->linear->data + row * m->row_bytes;
            o->scales[r] = o->groups.scales + (row - o->groups.from) * m->group_row_bytes;
            o->biases[r] = o->groups.biases + (row - o->groups.from) * m->group_row_bytes;
        }
        dot_inputs(format, shift, side, tokens, o, sums);
        if (side < ROWS) {
            struct operands half = *o;
            for (int r = 0; r < ROWS / 2; r++) {
                half.data[r] = o->data[r + ROWS / 2];
                half.scales[r] = o->scales[r + ROWS / 2];
                half.biases[r] = o->biases[r + ROWS / 2];
            }
            dot_inputs(format, shift, side, tokens, &half, sums + ROWS / 2);
        }
        UNROLL
        for (int t = 0; t < tokens; t++) {
            float four[ROWS];
            v_sum4(sums[0][t], sums[1][t], sums[2][t], sums[3][t], four);
            for (uint32_t r = 0; r < ROWS && i + r * quarter < count; r++)
                out[t * out_stride + i + r * quarter] = four[r];
        }
    }
}

typedef void dot_function(struct operands *o, uint32_t first, uint32_t count, float *out, size_t out_stride);

#define DOT(name, format, shift, tokens)                                                                                       \
    static void name##shift##_##tokens(struct operands *o, uint32_t first, uint32_t count, float *out, size_t out_stride)      \
    {                                                                                                                          \
        dot_rows(format, shift, tokens, o, first, count, out, out_stride);                                                     \
    }
#define DOTS(name, format, shift)                                                                                              \
    DOT(name, format, shift, 1) DOT(name, format, shift, 2) DOT(name, format, shift, 3) DOT(name, format, shift, 4)
#define DOT_NAMES(name, shift)                                                                                                 \
    {                                                                                                                          \
        name##shift##_1, name##shift##_2, name##shift##_3, name##shift##_4                                                     \
    }
DOTS(nibbles, WE_CPU_NIBBLES, 5)
DOTS(nibbles, WE_CPU_NIBBLES, 6)
DOTS(nibbles, WE_CPU_NIBBLES, 7)
DOTS(bytes, WE_CPU_BYTES, 5)
DOTS(bytes, WE_CPU_BYTES, 6)
DOTS(bytes, WE_CPU_BYTES, 7)
static dot_function *const nibbles_dots[3][MOST] = {DOT_NAMES(nibbles, 5), DOT_NAMES(nibbles, 6), DOT_NAMES(nibbles, 7)};
static dot_function *const bytes_dots[3][MOST] = {DOT_NAMES(bytes, 5), DOT_NAMES(bytes, 6), DOT_NAMES(bytes, 7)};
#ifdef HAS_BITS
DOTS(bits, WE_CPU_BITS, 0)
static dot_function *const bits_dots[MOST] = DOT_NAMES(bits, 0);
#endif

static dot_function *dot_for(const struct we_cpu_matrix *m, uint32_t tokens)
{
#ifdef HAS_BITS
    if (m->format == WE_CPU_BITS)
        return bits_dots[tokens - 1];
#endif
    return (m->format == WE_CPU_NIBBLES ? nibbles_dots : bytes_dots)[m->group_shift - 5][tokens - 1];
}

void KERNEL(multiply_int16)(const struct we_cpu_matrix *m, uint32_t first, uint32_t count, const void *x, size_t row_bytes,
                            uint32_t tokens, float *out, size_t out_stride, void *panel)
{
    const size_t p = padded(m->linear->in), at = groups_at(p, LEAST_GROUP, m->group_shift);
    struct operands o = {.matrix = m};
    o.groups = stage_groups(m, first, count, panel);
    for (uint32_t begin = 0; begin < tokens; begin += MOST) {
        const uint32_t n = tokens - begin < MOST ? tokens - begin : MOST;
        for (uint32_t t = 0; t < n; t++) {
            o.q[t] = (const int16_t *)((const uint8_t *)x + (begin + t) * row_bytes);
            o.scale[t] = (const float *)(o.q[t] + p) + at;
            o.sum[t] = o.scale[t] + (p >> m->group_shift);
        }
        dot_for(m, n)(&o, first, count, out + begin * out_stride, out_stride);
    }
    if (m->linear->bias.data)
        KERNEL(add_bias)(m->linear, first, count, tokens, out, out_stride);
}

#endif
