/* Quantised weights times activations of 16-bit integers: sums of integer products are exact within a group, and only the
 * groups' sums are added in float32. The weights stay packed and are read once, from end to end, for up to MOST tokens.
 *
 * A packed row: the integers, in the weights' order; then for groups of 32, 64 and 128 their scales and their sums (of the
 * rounded values), so that w . x = sum over groups of scale_w * scale_x * (q_w . q_x) + bias_w * sum_x. */
#include "backend/cpu/kernels.h"

#ifdef HAS_INT16

enum {
    UNIT = 128,        /* values with one scale */
    CHUNK = 8 * LANES, /* values in a vector of nibbles */
    HALF = 2 * LANES,  /* values in a vector of int16 */
    ROWS = 4,
    MOST = 4, /* tokens */
    GROUPS = WE_CPU_BLOCK / 32 + LANES
};

static size_t padded(uint32_t width)
{
    return ((size_t)width + UNIT - 1) / UNIT * UNIT;
}

/* Where the values for groups of 1 << shift begin, in floats after the integers: scales, then sums. */
INLINE size_t groups_at(size_t width, int shift)
{
    size_t at = 0;
    for (int s = 5; s < shift; s++)
        at += 2 * (width >> s);
    return at;
}

size_t KERNEL(int16_bytes)(uint32_t width)
{
    size_t p = padded(width), floats = groups_at(p, 8) + LANES;
    return (p * sizeof(int16_t) + floats * sizeof(float) + 63) / 64 * 64 + 64;
}

/* ---- packing ---- */

static float largest(const float *x)
{
    vf most = v_zero();
    for (uint32_t i = 0; i < UNIT; i += LANES) {
        vf v = v_load(x + i);
        most = v_max(most, v_max(v, v_sub(v_zero(), v)));
    }
    return v_max_lane(most);
}

static void pack_unit(const bool nibbles, const float *x, size_t at, size_t width, int16_t *q, float *floats)
{
    int16_t natural[UNIT];
    const float most = largest(x), scale = most / 32767.0f;
    const vf inverse = v_set1(most > 0 ? 32767.0f / most : 0.0f);
    for (uint32_t i = 0; i < UNIT; i += LANES)
        v_store_i16(natural + i, v_mul(v_load(x + i), inverse));
    float sums[4];
    for (uint32_t g = 0; g < 4; g++) {
        int32_t sum = 0;
        for (uint32_t i = 0; i < 32; i++)
            sum += natural[32 * g + i];
        sums[g] = (float)sum;
    }
    for (int shift = 5; shift <= 7; shift++) {
        float *scales = floats + groups_at(width, shift) + (at >> shift), *group_sums = scales + (width >> shift);
        const uint32_t each = 1u << (shift - 5);
        for (uint32_t g = 0; g < 4 / each; g++) {
            float sum = 0;
            for (uint32_t i = 0; i < each; i++)
                sum += sums[g * each + i];
            scales[g] = scale;
            group_sums[g] = scale * sum;
        }
    }
    if (!nibbles) {
        memcpy(q, natural, sizeof natural);
        return;
    }
    for (uint32_t c = 0; c < UNIT; c += CHUNK)
        for (uint32_t w = 0; w < HALF; w++)
            for (uint32_t j = 0; j < 4; j++)
                q[c + j * HALF + w] = natural[c + 4 * w + j];
}

INLINE void pack_row(const bool nibbles, const float *x, uint32_t width, void *out)
{
    const size_t p = padded(width);
    int16_t *q = out;
    float *floats = (float *)(q + p);
    size_t k = 0;
    for (; k + UNIT <= width; k += UNIT)
        pack_unit(nibbles, x + k, k, p, q + k, floats);
    if (k < width) {
        float last[UNIT] = {0};
        memcpy(last, x + k, (width - k) * sizeof *x);
        pack_unit(nibbles, last, k, p, q + k, floats);
    }
    memset(floats + groups_at(p, 8), 0, LANES * sizeof *floats);
}

void KERNEL(pack_int16)(const float *const *rows, uint32_t num_rows, uint32_t width, void *out)
{
    (void)num_rows; /* a block is one row */
    pack_row(false, rows[0], width, out);
}

void KERNEL(pack_int16_nibbles)(const float *const *rows, uint32_t num_rows, uint32_t width, void *out)
{
    (void)num_rows;
    pack_row(true, rows[0], width, out);
}

/* ---- products ---- */

/* One row of the tensor, and the activations. */
struct operands {
    const struct we_cpu_matrix *matrix;
    const uint8_t *data, *scales, *biases;
    const int16_t *q[MOST];
    const float *scale[MOST], *sum[MOST]; /* for the matrix's groups */
};

/* Inputs of one block: the products of scales by group, and the biases' share added to `sums`. */
INLINE void load_groups(const enum we_dtype dtype, const int tokens, const struct operands *o, uint32_t first, uint32_t count,
                        float scales[MOST][GROUPS], vf *sums)
{
    for (uint32_t i = 0; i < count; i += LANES) {
        const uint32_t n = count - i < LANES ? count - i : LANES;
        vf s = n == LANES ? load_floats(dtype, o->scales, first + i) : load_floats_n(dtype, o->scales, first + i, n);
        vf b = n == LANES ? load_floats(dtype, o->biases, first + i) : load_floats_n(dtype, o->biases, first + i, n);
        UNROLL
        for (int t = 0; t < tokens; t++) {
            v_store(scales[t] + i, v_mul(s, v_load(o->scale[t] + first + i)));
            sums[t] = v_fma(b, v_load(o->sum[t] + first + i), sums[t]);
        }
    }
}

INLINE void dot_nibbles(const int shift, const int tokens, const struct operands *o, uint32_t k, uint32_t n,
                        float scales[MOST][GROUPS], vf *sums)
{
    for (uint32_t i = 0; i < n; i += CHUNK) {
        const uint8_t *p = o->data + (k + i) / 2;
        vh raw = i + CHUNK <= n ? h_load(p) : h_load_n(p, (n - i) / 2), w[4];
        UNROLL
        for (int j = 0; j < 4; j++)
            w[j] = h_nibble(raw, j);
        UNROLL
        for (int t = 0; t < tokens; t++) {
            const int16_t *x = o->q[t] + k + i;
            vi dot = i_zero();
            UNROLL
            for (int j = 0; j < 4; j++)
                dot = i_dot(dot, w[j], h_load(x + j * HALF));
            sums[t] = v_fma(v_from_i32(dot), v_groups(shift, scales[t] + (i >> shift)), sums[t]);
        }
    }
}

INLINE void dot_bytes(const int shift, const int tokens, const struct operands *o, uint32_t k, uint32_t n,
                      float scales[MOST][GROUPS], vf *sums)
{
    const uint32_t unit = shift == 5 ? 32 : 64;
    for (uint32_t i = 0; i < n; i += unit) {
        vh w[64 / HALF];
        UNROLL
        for (uint32_t j = 0; j < unit / HALF; j++)
            w[j] = h_load_u8(o->data + k + i + j * HALF);
        UNROLL
        for (int t = 0; t < tokens; t++) {
            vi dot = i_zero();
            UNROLL
            for (uint32_t j = 0; j < unit / HALF; j++)
                dot = i_dot(dot, w[j], h_load(o->q[t] + k + i + j * HALF));
            sums[t] = v_fma(v_from_i32(dot), v_set1(scales[t][i >> shift]), sums[t]);
        }
    }
}

#ifdef HAS_BITS
INLINE void dot_bits(const struct bits_plan *plan, const int tokens, const struct operands *o, uint32_t k, uint32_t n,
                     float scales[MOST][GROUPS], vf *sums)
{
    const uint32_t bits = o->matrix->linear->bits, shift = o->matrix->group_shift;
    for (uint32_t i = 0; i < n; i += HALF) {
        vh w = h_bits(plan, o->data + (size_t)(k + i) / 8 * bits);
        UNROLL
        for (int t = 0; t < tokens; t++)
            sums[t] = v_fma(v_from_i32(i_dot(i_zero(), w, h_load(o->q[t] + k + i))), v_set1(scales[t][i >> shift]), sums[t]);
    }
}
#endif

INLINE void dot_row(const enum we_cpu_format format, const int shift, const int tokens, const struct operands *o, vf *sums)
{
    const struct we_linear *l = o->matrix->linear;
    const uint32_t group_shift = format == WE_CPU_BITS ? o->matrix->group_shift : (uint32_t)shift;
    float scales[MOST][GROUPS];
#ifdef HAS_BITS
    struct bits_plan plan;
    if (format == WE_CPU_BITS)
        plan = h_bits_plan(l->bits);
#endif
    UNROLL
    for (int t = 0; t < tokens; t++)
        sums[t] = v_zero();
    for (uint32_t k = 0; k < l->in; k += WE_CPU_BLOCK) {
        const uint32_t n = l->in - k < WE_CPU_BLOCK ? l->in - k : WE_CPU_BLOCK;
        if (l->dtype == WE_BF16)
            load_groups(WE_BF16, tokens, o, k >> group_shift, n >> group_shift, scales, sums);
        else if (l->dtype == WE_F16)
            load_groups(WE_F16, tokens, o, k >> group_shift, n >> group_shift, scales, sums);
        else
            load_groups(WE_F32, tokens, o, k >> group_shift, n >> group_shift, scales, sums);
        if (format == WE_CPU_NIBBLES)
            dot_nibbles(shift, tokens, o, k, n, scales, sums);
        else if (format == WE_CPU_BYTES)
            dot_bytes(shift, tokens, o, k, n, scales, sums);
#ifdef HAS_BITS
        else
            dot_bits(&plan, tokens, o, k, n, scales, sums);
#endif
    }
}

/* Rows [first, first + count) by the tokens of `o`. */
INLINE void dot_rows(const enum we_cpu_format format, const int shift, const int tokens, struct operands *o, uint32_t first,
                     uint32_t count, float *out, size_t out_stride)
{
    const struct we_cpu_matrix *m = o->matrix;
    for (uint32_t i = 0; i < count; i += ROWS) {
        const uint32_t n = count - i < ROWS ? count - i : ROWS;
        vf sums[ROWS][MOST];
        for (uint32_t r = 0; r < ROWS; r++) {
            size_t row = we_linear_tensor_row(m->linear, first + i + (r < n ? r : n - 1));
            o->data = (const uint8_t *)m->linear->data + row * m->row_bytes;
            o->scales = (const uint8_t *)m->linear->scales + row * m->group_row_bytes;
            o->biases = (const uint8_t *)m->linear->biases + row * m->group_row_bytes;
            if (r < n)
                dot_row(format, shift, tokens, o, sums[r]);
            else
                UNROLL
            for (int t = 0; t < tokens; t++)
                sums[r][t] = v_zero();
        }
        UNROLL
        for (int t = 0; t < tokens; t++) {
            float four[ROWS];
            v_sum4(sums[0][t], sums[1][t], sums[2][t], sums[3][t], four);
            memcpy(out + t * out_stride + i, four, n * sizeof *four);
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
    (void)panel;
    const size_t p = padded(m->linear->in), at = groups_at(p, (int)m->group_shift);
    for (uint32_t begin = 0; begin < tokens; begin += MOST) {
        const uint32_t n = tokens - begin < MOST ? tokens - begin : MOST;
        struct operands o = {.matrix = m};
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
