/* Strips of quantised weights times activations of 16-bit integers, taken apart into two planes of bytes, n = 256 h + l:
 * products of bytes with bytes are the widest there are, and weights of 4 bits become bytes in two instructions. Sums of
 * integers are exact within a group; only the groups' sums are added in float32, over the inputs in order.
 *
 * A packed row: for each 8 inputs 8 bytes of h and as many of l, as h_planes arranges them; then what kernels_integers.h
 * says. */
#include "backend/cpu/kernels_integers.h"
#include "backend/cpu/strips.h"

#ifdef HAS_STRIPS

#include <assert.h>
#include <stdalign.h>

enum {
    HALF = 2 * LANES,
    MOST = 8,           /* tokens that share a pass over a strip */
    NEAR = 512,         /* bytes that are asked for in advance, into the first cache */
    FAR = 4096,         /* and into the second */
    SLAB = WE_CPU_BLOCK /* inputs that all tokens meet before the next */
};

/* How the scratch memory is used. */
struct panel {
    alignas(64) uint8_t strip[LANES * (SLAB + SLAB / 32 * 8)];
    alignas(64) float sums[WE_CPU_PIECE_TOKENS][LANES];
};
static_assert(sizeof(struct panel) <= WE_CPU_PANEL_BYTES, "the scratch memory is too small");

size_t KERNEL(strip_bytes)(uint32_t width)
{
    return integer_bytes(width);
}

/* ---- packing ---- */

INLINE void pack_unit(const bool nibbles, const float *x, size_t at, size_t width, int16_t *q, float *floats)
{
    int16_t natural[UNIT];
    round_unit(TWO_BYTES, x, at, width, natural, floats);
    for (uint32_t i = 0; i < UNIT; i += HALF)
        i_store(q + i, h_planes(nibbles, h_load(natural + i)));
}

void KERNEL(pack_strip_bytes)(const float *const *rows, uint32_t num_rows, uint32_t width, void *out)
{
    (void)num_rows; /* a block is one row */
    pack_integers(pack_unit, false, rows[0], width, out);
}

void KERNEL(pack_strip_nibbles)(const float *const *rows, uint32_t num_rows, uint32_t width, void *out)
{
    (void)num_rows;
    pack_integers(pack_unit, true, rows[0], width, out);
}

/* ---- products ---- */

/* The activations of some tokens, from the first input of a slab on. */
struct activations {
    const uint8_t *planes[MOST];
    const float *scale[MOST], *sum[MOST]; /* for the matrix's groups */
};

/* The lines of one group by all tokens. More sums than two for each token keep the products from waiting for each other. */
INLINE void dot_group(const bool nibbles, const int lines, const int tokens, const uint8_t *p, const struct activations *x, size_t at,
                      vi *dots)
{
    const int ways = tokens <= 4 ? 2 : 1;
    vi high[MOST][2], low[MOST][2];
    UNROLL
    for (int t = 0; t < tokens; t++)
        for (int w = 0; w < ways; w++)
            high[t][w] = low[t][w] = i_zero();
    UNROLL
    for (int i = 0; i < lines; i++) {
        const uint8_t *line = p + (size_t)i * sizeof(vi);
        const vi raw = i_load(line);
        v_prefetch(line, NEAR);
        v_prefetch_far(line, FAR);
        const vi first = nibbles ? i_low_nibbles(raw) : raw, second = nibbles ? i_high_nibbles(raw) : i_zero();
        UNROLL
        for (int t = 0; t < tokens; t++) {
            const uint8_t *planes = x->planes[t] + at + (size_t)i * (nibbles ? 16 : 8);
            const int w = nibbles ? 0 : i % ways;
            high[t][w] = i_dot_bytes(high[t][w], first, i_repeat(planes));
            if (nibbles) {
                high[t][ways - 1] = i_dot_bytes(high[t][ways - 1], second, i_repeat(planes + 4));
                low[t][0] = i_dot_bytes(low[t][0], first, i_repeat(planes + 8));
                low[t][ways - 1] = i_dot_bytes(low[t][ways - 1], second, i_repeat(planes + 12));
            } else {
                low[t][w] = i_dot_bytes(low[t][w], first, i_repeat(planes + 4));
            }
        }
    }
    UNROLL
    for (int t = 0; t < tokens; t++) {
        const vi h = ways == 2 ? i_add(high[t][0], high[t][1]) : high[t][0];
        const vi l = ways == 2 ? i_add(low[t][0], low[t][1]) : low[t][0];
        dots[t] = i_add(i_shift_left(h, 8), l);
    }
}

/* sums[t] (LANES) += the strip's `groups` groups . x[t]. */
INLINE void dot_slab(const bool nibbles, const int shift, const int tokens, enum we_dtype dtype, const uint8_t *strip,
                     uint32_t groups, const struct activations *x, float (*out)[LANES])
{
    const int lines = 1 << (shift - (nibbles ? 3 : 2));
    const size_t scale_bytes = dtype == WE_F32 ? 4 : 2;
    vf sums[MOST];
    UNROLL
    for (int t = 0; t < tokens; t++)
        sums[t] = v_load(out[t]);
    for (uint32_t g = 0; g < groups; g++) {
        vi dots[MOST];
        const vf scale = load_floats(dtype, strip, 0), bias = load_floats(dtype, strip, LANES);
        v_prefetch(strip, NEAR);
        v_prefetch_far(strip, FAR);
        strip += 2 * LANES * scale_bytes;
        dot_group(nibbles, lines, tokens, strip, x, (size_t)g << (shift + 1), dots);
        strip += (size_t)lines * sizeof(vi);
        UNROLL
        for (int t = 0; t < tokens; t++) {
            sums[t] = v_fma(bias, v_set1(x->sum[t][g]), sums[t]);
            sums[t] = v_fma(v_mul(v_from_i32(dots[t]), v_set1(x->scale[t][g])), scale, sums[t]);
        }
    }
    UNROLL
    for (int t = 0; t < tokens; t++)
        v_store(out[t], sums[t]);
}

typedef void slab_function(enum we_dtype dtype, const uint8_t *strip, uint32_t groups, const struct activations *x,
                           float (*out)[LANES]);

#define SLAB_FUNCTION(name, nibbles, shift, tokens)                                                                            \
    static void name##shift##_##tokens(enum we_dtype dtype, const uint8_t *strip, uint32_t groups, const struct activations *x,     \
                                       float (*out)[LANES])                                                                    \
    {                                                                                                                          \
        if (dtype == WE_BF16)                                                                                                  \
            dot_slab(nibbles, shift, tokens, WE_BF16, strip, groups, x, out);                                                  \
        else                                                                                                                   \
            dot_slab(nibbles, shift, tokens, dtype, strip, groups, x, out);                                                    \
    }
#define SLAB_FUNCTIONS(name, nibbles, shift)                                                                                   \
    SLAB_FUNCTION(name, nibbles, shift, 1) SLAB_FUNCTION(name, nibbles, shift, 2) SLAB_FUNCTION(name, nibbles, shift, 4)       \
    SLAB_FUNCTION(name, nibbles, shift, 8)
#define NAMES(name, shift)                                                                                                     \
    {                                                                                                                          \
        name##shift##_1, name##shift##_2, name##shift##_4, name##shift##_8                                                     \
    }
SLAB_FUNCTIONS(nibbles, true, 5)
SLAB_FUNCTIONS(nibbles, true, 6)
SLAB_FUNCTIONS(nibbles, true, 7)
SLAB_FUNCTIONS(bytes, false, 5)
SLAB_FUNCTIONS(bytes, false, 6)
SLAB_FUNCTIONS(bytes, false, 7)
static slab_function *const slab_functions[2][3][4] = {
    {NAMES(bytes, 5), NAMES(bytes, 6), NAMES(bytes, 7)},
    {NAMES(nibbles, 5), NAMES(nibbles, 6), NAMES(nibbles, 7)},
};

/* Inputs from `k` on, `groups` groups, by all tokens. */
static void multiply_slab(const struct we_cpu_matrix *m, const uint8_t *strip, uint32_t k, uint32_t groups, const uint8_t *x,
                          size_t row_bytes, uint32_t tokens, float (*sums)[LANES])
{
    const size_t p = padded(m->linear->in), at = groups_at(p, LEAST_GROUP, m->group_shift) + (k >> m->group_shift);
    slab_function *const *functions = slab_functions[m->format == WE_CPU_NIBBLES][m->group_shift - 5];
    for (uint32_t t = 0; t < tokens;) {
        const uint32_t left = tokens - t;
        const int which = left >= 8 ? 3 : left >= 4 ? 2 : left >= 2 ? 1 : 0;
        struct activations some;
        for (uint32_t i = 0; i < 1u << which; i++) {
            const uint8_t *row = x + (t + i) * row_bytes;
            some.planes[i] = row + 2 * (size_t)k;
            some.scale[i] = (const float *)(row + 2 * p) + at;
            some.sum[i] = some.scale[i] + (p >> m->group_shift);
        }
        functions[which](m->linear->dtype, strip, groups, &some, sums + t);
        t += 1u << which;
    }
}

/* LANES rows from `row` on, a multiple of LANES, to panel->sums. */
static void multiply_strip(const struct we_cpu_matrix *m, uint32_t row, const uint8_t *x, size_t row_bytes, uint32_t tokens,
                           struct panel *panel)
{
    const uint8_t *strip = m->strips ? m->strips + row / LANES * we_cpu_strip_bytes(m, LANES) : NULL;
    const size_t group_bytes = we_cpu_strip_group_bytes(m, LANES);
    memset(panel->sums, 0, tokens * sizeof *panel->sums);
    for (uint32_t k = 0; k < m->linear->in; k += SLAB) {
        const uint32_t n = m->linear->in - k < SLAB ? m->linear->in - k : SLAB, group = k >> m->group_shift;
        const uint32_t groups = n >> m->group_shift;
        if (strip == NULL)
            KERNEL(make_strip)(m, row, group, groups, panel->strip);
        multiply_slab(m, strip ? strip + group * group_bytes : panel->strip, k, groups, x, row_bytes, tokens, panel->sums);
    }
}

void KERNEL(multiply_strips)(const struct we_cpu_matrix *m, uint32_t first, uint32_t count, const void *x, size_t row_bytes,
                             uint32_t tokens, float *out, size_t out_stride, void *scratch)
{
    struct panel *panel = scratch;
    const uint32_t end = first + count;
    for (uint32_t row = first / LANES * LANES; row < end; row += LANES) {
        const uint32_t from = row < first ? first : row, to = end - row < LANES ? end : row + LANES;
        multiply_strip(m, row, x, row_bytes, tokens, panel);
        for (uint32_t t = 0; t < tokens; t++)
            memcpy(out + t * out_stride + (from - first), panel->sums[t] + (from - row), (to - from) * sizeof *out);
    }
    if (m->linear->bias.data)
        KERNEL(add_bias)(m->linear, first, count, tokens, out, out_stride);
}

#endif
