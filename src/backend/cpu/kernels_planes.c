/* Quantised weights that have no strips (2, 3, 5 and 6 bits, and e2m1) times activations of two bytes: dot products of
 * unsigned and signed bytes, with the high and the low byte of each activation, whose sums are exact within a group. The
 * weights stay packed and are read once, from end to end, for up to MOST tokens.
 *
 * Weights are unpacked a unit at a time, into VECTORS of 64 bytes, in the order that costs least; the activations are brought
 * into it when they are packed:
 *   bytes    unit  64: the values in order, for 6 and 5 bits
 *   nibbles  unit 128: those of even index, those of odd index
 *   threes   unit 128: of each 8 the first 4, of each 8 the last 4
 *   crumbs   unit 256: of each 4 the first, the second, the third, the fourth
 * So lane l of a sum of bytes is of unit / 16 values in a row, which lie in one group.
 *
 * A packed row: for each vector 64 high bytes and 64 low ones, as value = 256 * high + low; then for groups of 16, 32, 64 and
 * 128 their scales and their sums (of the rounded values), so that
 * w . x = sum over groups of scale_w * scale_x * (q_w . q_x) + bias_w * sum_x. */
#include "backend/cpu/kernels_integers.h"

#ifdef HAS_PLANES

enum {
    LEAST = 4,       /* log2 of the smallest group */
    MOST_UNIT = 256, /* rows are padded to it */
    MOST_VECTORS = 4,
    ROWS = 4,     /* that go side by side */
    MOST = 4,     /* tokens */
    AHEAD = 2048, /* bytes that are asked for in advance */
    GROUPS = WE_CPU_BLOCK / 16,
    MORE_GROUPS = 16
};

enum order { BYTES, NIBBLES, THREES, CRUMBS };

INLINE uint32_t vectors_of(const enum order order)
{
    return order == BYTES ? 1 : order == CRUMBS ? 4 : 2;
}

static size_t padded_units(uint32_t width)
{
    return ((size_t)width + MOST_UNIT - 1) / MOST_UNIT * MOST_UNIT;
}

size_t KERNEL(planes_bytes)(uint32_t width)
{
    const size_t p = padded_units(width), floats = groups_at(p, LEAST, 8) + LANES;
    return (2 * p + floats * sizeof(float) + 63) / 64 * 64 + 64;
}

/* ---- packing ---- */

/* Values in order, as bytes, to the vectors of a unit; out: `apart` bytes from one to the next. */
INLINE void arrange(const enum order order, const uint8_t *in, uint8_t *out, size_t apart)
{
    if (order == BYTES) {
        memcpy(out, in, 64);
        return;
    }
    const uint32_t vectors = vectors_of(order);
    for (uint32_t v = 0; v < vectors; v++) {
        uint8_t from[64];
        for (uint32_t i = 0; i < 64; i++)
            from[i] = (uint8_t)(order == NIBBLES  ? 2 * i + v
                                : order == THREES ? 8 * (i / 4) + 4 * v + i % 4
                                                  : (4 * i + v) % 128);
        const __m512i pick = _mm512_loadu_si512(from);
        __m512i all = _mm512_permutex2var_epi8(_mm512_loadu_si512(in), pick, _mm512_loadu_si512(in + 64));
        if (order == CRUMBS) {
            const __m512i last = _mm512_permutex2var_epi8(_mm512_loadu_si512(in + 128), pick, _mm512_loadu_si512(in + 192));
            all = _mm512_mask_mov_epi8(all, 0xFFFFFFFF00000000u, last);
        }
        _mm512_storeu_si512(out + v * apart, all);
    }
}

/* MOST_UNIT values, of which the first stands at `at` in the row. */
INLINE void pack_unit(const enum order order, const float *x, size_t at, size_t width, uint8_t *bytes, float *floats)
{
    int16_t q[MOST_UNIT];
    uint8_t high[MOST_UNIT], low[MOST_UNIT];
    float scale[MOST_UNIT / UNIT], sums[MOST_UNIT / 16];
    for (uint32_t i = 0; i < MOST_UNIT / UNIT; i++)
        scale[i] = round_values(TWO_BYTES, x + i * UNIT, q + i * UNIT);
    for (uint32_t i = 0; i < MOST_UNIT; i += 32) {
        const __m512i v = _mm512_loadu_si512(q + i);
        _mm256_storeu_si256((__m256i_u *)(low + i), _mm512_cvtepi16_epi8(v));
        _mm256_storeu_si256((__m256i_u *)(high + i),
                            _mm512_cvtepi16_epi8(_mm512_srai_epi16(_mm512_add_epi16(v, _mm512_set1_epi16(128)), 8)));
        const __m512i pairs = _mm512_madd_epi16(v, _mm512_set1_epi16(1));
        sums[i / 16] = (float)_mm512_mask_reduce_add_epi32(0x00FF, pairs);
        sums[i / 16 + 1] = (float)_mm512_mask_reduce_add_epi32(0xFF00, pairs);
    }
    const uint32_t unit = 64 * vectors_of(order);
    for (uint32_t i = 0; i < MOST_UNIT; i += unit) {
        arrange(order, high + i, bytes + 2 * (at + i), 128);
        arrange(order, low + i, bytes + 2 * (at + i) + 64, 128);
    }
    for (uint32_t i = 0; i < MOST_UNIT / UNIT; i++)
        store_groups(LEAST, scale[i], sums + i * (UNIT / 16), at + i * UNIT, width, floats);
}

INLINE void pack_row(const enum order order, const float *x, uint32_t width, void *out)
{
    const size_t p = padded_units(width);
    float *floats = (float *)((uint8_t *)out + 2 * p);
    size_t k = 0;
    for (; k + MOST_UNIT <= width; k += MOST_UNIT)
        pack_unit(order, x + k, k, p, out, floats);
    if (k < width) {
        float last[MOST_UNIT] = {0};
        memcpy(last, x + k, (width - k) * sizeof *x);
        pack_unit(order, last, k, p, out, floats);
    }
    memset(floats + groups_at(p, LEAST, 8), 0, LANES * sizeof *floats);
}

#define PACK(name, order)                                                                                                      \
    void KERNEL(name)(const float *const *rows, uint32_t num_rows, uint32_t width, void *out)                                  \
    {                                                                                                                          \
        (void)num_rows; /* a block is one row */                                                                               \
        pack_row(order, rows[0], width, out);                                                                                  \
    }
PACK(pack_planes_bytes, BYTES)
PACK(pack_planes_nibbles, NIBBLES)
PACK(pack_planes_threes, THREES)
PACK(pack_planes_crumbs, CRUMBS)

/* ---- weights ---- */

/* What unpacking needs besides the weights. */
struct plan {
    __m512i bytes, shifts[2], mask;
    __m512i groups; /* for each lane, its group in the unit */
    uint32_t bits, unit_groups;
};

/* Kinds of weights that are unpacked alike. */
enum kind { KIND_2, KIND_3, KIND_BITS /* 5 and 6 */, KIND_E2M1, KIND_COUNT };

INLINE enum order order_of(const enum kind kind)
{
    return kind == KIND_2 ? CRUMBS : kind == KIND_3 ? THREES : kind == KIND_E2M1 ? NIBBLES : BYTES;
}

static struct plan make_plan(const struct we_cpu_matrix *m, enum kind kind)
{
    const uint32_t bits = m->linear->bits, unit = 64 * vectors_of(order_of(kind)), each = kind == KIND_3 ? 16 : 8;
    struct plan plan = {.bits = bits, .unit_groups = unit >> m->group_shift ? unit >> m->group_shift : 1};
    uint8_t bytes[64], shifts[2][64];
    int32_t groups[LANES];
    for (uint32_t i = 0; i < 64; i++) {
        /* The bytes of `each` values come into 64 bits, from where a value is any 8 bits. */
        bytes[i] = (uint8_t)(i / 8 * each * bits / 8 + i % 8);
        if (kind == KIND_3) {
            shifts[0][i] = (uint8_t)((i % 8 / 4 * 8 + i % 4) * bits);
            shifts[1][i] = (uint8_t)((i % 8 / 4 * 8 + i % 4 + 4) * bits);
        } else {
            shifts[0][i] = shifts[1][i] = (uint8_t)(i % 8 * bits);
        }
    }
    for (uint32_t l = 0; l < LANES; l++)
        groups[l] = (int32_t)(l * plan.unit_groups / LANES);
    plan.bytes = _mm512_loadu_si512(bytes);
    plan.shifts[0] = _mm512_loadu_si512(shifts[0]);
    plan.shifts[1] = _mm512_loadu_si512(shifts[1]);
    plan.mask = _mm512_set1_epi8((char)((1 << bits) - 1));
    plan.groups = _mm512_loadu_si512(groups);
    return plan;
}

INLINE __m512i load_bytes(const uint8_t *p, size_t count)
{
    return _mm512_maskz_loadu_epi8((__mmask64)-1 >> (64 - count), p);
}

/* A unit of weights as bytes; `size` bytes of them are there. */
INLINE void unpack_unit(const enum kind kind, const struct plan *plan, const uint8_t *p, size_t size, const bool whole,
                        __m512i w[MOST_VECTORS])
{
    const __m512i raw = whole && kind != KIND_3 && kind != KIND_BITS ? _mm512_loadu_si512(p) : load_bytes(p, size);
    switch (kind) {
    case KIND_2:
        w[0] = _mm512_and_si512(raw, plan->mask);
        w[1] = _mm512_and_si512(_mm512_srli_epi16(raw, 2), plan->mask);
        w[2] = _mm512_and_si512(_mm512_srli_epi16(raw, 4), plan->mask);
        w[3] = _mm512_and_si512(_mm512_srli_epi16(raw, 6), plan->mask);
        break;
    case KIND_3: {
        const __m512i spread = _mm512_permutexvar_epi8(plan->bytes, raw);
        w[0] = _mm512_and_si512(_mm512_multishift_epi64_epi8(plan->shifts[0], spread), plan->mask);
        w[1] = _mm512_and_si512(_mm512_multishift_epi64_epi8(plan->shifts[1], spread), plan->mask);
        break;
    }
    case KIND_BITS: {
        const __m512i spread = _mm512_permutexvar_epi8(plan->bytes, raw);
        w[0] = _mm512_and_si512(_mm512_multishift_epi64_epi8(plan->shifts[0], spread), plan->mask);
        break;
    }
    default: { /* KIND_E2M1 */
        /* twice the value, and 12 more */
        const __m512i values = _mm512_broadcast_i32x4(_mm_set_epi8(0, 4, 6, 8, 9, 10, 11, 12, 24, 20, 18, 16, 15, 14, 13, 12));
        w[0] = _mm512_shuffle_epi8(values, _mm512_and_si512(raw, plan->mask));
        w[1] = _mm512_shuffle_epi8(values, _mm512_and_si512(_mm512_srli_epi16(raw, 4), plan->mask));
    }
    }
}

/* ---- products ---- */

struct operands {
    const struct we_cpu_matrix *matrix;
    const uint8_t *data[ROWS], *scales[ROWS], *biases[ROWS];
    struct group_rows groups;
    const uint8_t *x[MOST];
    const float *scale[MOST], *sum[MOST]; /* for the matrix's groups */
};

/* Of one block: scale of the weights times scale of the activations. */
typedef float group_scales[MOST][GROUPS + MORE_GROUPS];

/* LANES groups from `first` on, of which n are there: the scales of the integers, and the biases. */
INLINE void load_affine(const enum kind kind, const enum we_dtype dtype, const struct operands *o, int r, uint32_t first,
                        uint32_t n, vf *scale, vf *bias)
{
    if (kind == KIND_E2M1) {
        const vf s =
            o->matrix->group_shift == 4 ? v_load_e4m3_n(o->scales[r] + first, n) : v_load_e8m0_n(o->scales[r] + first, n);
        *scale = v_mul(s, v_set1(0.5f));
        *bias = v_mul(s, v_set1(-6.0f));
    } else if (n == LANES) {
        *scale = load_floats(dtype, o->scales[r], first);
        *bias = load_floats(dtype, o->biases[r], first);
    } else {
        *scale = load_floats_n(dtype, o->scales[r], first, n);
        *bias = load_floats_n(dtype, o->biases[r], first, n);
    }
}

/* Of one block and row: the products of scales, and the biases' share. */
INLINE void load_row_groups(const enum kind kind, const enum we_dtype dtype, const int tokens, const struct operands *o, int r,
                            uint32_t first, uint32_t count, group_scales scales, vf *shares)
{
    for (uint32_t i = 0; i < count; i += LANES) {
        vf s, b;
        load_affine(kind, dtype, o, r, first + i, count - i < LANES ? count - i : LANES, &s, &b);
        UNROLL
        for (int t = 0; t < tokens; t++) {
            v_store(scales[t] + i, v_mul(s, v_load(o->scale[t] + first + i)));
            const vf sum = v_load(o->sum[t] + first + i);
            shares[t] = i == 0 ? v_mul(b, sum) : v_fma(b, sum, shares[t]);
        }
    }
    UNROLL
    for (int t = 0; t < tokens; t++)
        v_store(scales[t] + (count + LANES - 1) / LANES * LANES, v_zero()); /* a unit may have more of them */
}

INLINE void load_groups(const enum kind kind, const int tokens, const struct operands *o, uint32_t first, uint32_t count,
                        group_scales *scales, vf (*shares)[MOST])
{
    const enum we_dtype dtype = o->matrix->linear->dtype;
    for (int r = 0; r < ROWS; r++) {
        if (kind == KIND_E2M1 || dtype == WE_BF16)
            load_row_groups(kind, WE_BF16, tokens, o, r, first, count, scales[r], shares[r]);
        else if (dtype == WE_F16)
            load_row_groups(kind, WE_F16, tokens, o, r, first, count, scales[r], shares[r]);
        else
            load_row_groups(kind, WE_F32, tokens, o, r, first, count, scales[r], shares[r]);
    }
}

/* A unit of weights by the tokens, added to their sums. */
INLINE void add_unit(const enum kind kind, const bool one_group, const int tokens, const struct plan *plan, const uint8_t *p,
                     size_t size, const bool whole, const struct operands *o, size_t k, const float *scales, vf *sums)
{
    const uint32_t vectors = vectors_of(order_of(kind));
    __m512i w[MOST_VECTORS];
    unpack_unit(kind, plan, p, size, whole, w);
    UNROLL
    for (int t = 0; t < tokens; t++) {
        const uint8_t *x = o->x[t] + 2 * k;
        __m512i dots = _mm512_setzero_si512();
        UNROLL
        for (uint32_t v = 0; v < vectors; v++)
            dots = _mm512_dpbusd_epi32(dots, w[v], _mm512_loadu_si512(x + 128 * v));
        dots = _mm512_slli_epi32(dots, 8);
        UNROLL
        for (uint32_t v = 0; v < vectors; v++)
            dots = _mm512_dpbusd_epi32(dots, w[v], _mm512_loadu_si512(x + 128 * v + 64));
        const float *p_scale = scales + (size_t)t * (GROUPS + MORE_GROUPS);
        const vf scale = one_group ? v_set1(*p_scale)
                                   : _mm512_permutexvar_ps(plan->groups, _mm512_castps256_ps512(_mm256_loadu_ps(p_scale)));
        sums[t] = v_fma(_mm512_cvtepi32_ps(dots), scale, sums[t]);
    }
}

/* All inputs of ROWS rows. */
INLINE void dot_inputs(const enum kind kind, const bool one_group, const int tokens, const struct plan *plan,
                       const struct operands *o, vf (*sums)[MOST])
{
    const uint32_t unit = 64 * vectors_of(order_of(kind)), shift = o->matrix->group_shift, in = o->matrix->linear->in;
    const size_t unit_bytes = unit / 8 * plan->bits;
    group_scales scales[ROWS];
    vf shares[ROWS][MOST];
    UNROLL
    for (int r = 0; r < ROWS; r++)
        UNROLL
    for (int t = 0; t < tokens; t++)
        sums[r][t] = v_zero();
    for (uint32_t k = 0; k < in; k += WE_CPU_BLOCK) {
        const uint32_t n = in - k < WE_CPU_BLOCK ? in - k : WE_CPU_BLOCK;
        size_t at = (size_t)k / 8 * plan->bits;
        load_groups(kind, tokens, o, k >> shift, n >> shift, scales, shares);
        UNROLL
        for (int r = 0; r < ROWS; r++)
            UNROLL
        for (int t = 0; t < tokens; t++)
            sums[r][t] = v_add(sums[r][t], shares[r][t]);
        uint32_t i = 0;
        for (; i + unit <= n; i += unit, at += unit_bytes)
            UNROLL
        for (int r = 0; r < ROWS; r++) {
            v_prefetch(o->data[r] + at, AHEAD);
            add_unit(kind, one_group, tokens, plan, o->data[r] + at, unit_bytes, true, o, k + i, scales[r][0] + (i >> shift),
                     sums[r]);
        }
        if (i == n)
            continue;
        UNROLL
        for (int r = 0; r < ROWS; r++)
            add_unit(kind, one_group, tokens, plan, o->data[r] + at, (size_t)(n - i) / 8 * plan->bits, false, o, k + i,
                     scales[r][0] + (i >> shift), sums[r]);
    }
}

/* ROWS rows go side by side that lie as far apart as the piece allows: as many streams from memory, so that one goes on while
 * another one enters a new page. */
INLINE void dot_rows(const enum kind kind, const int tokens, struct operands *o, uint32_t first, uint32_t count, float *out,
                     size_t out_stride)
{
    const struct we_cpu_matrix *m = o->matrix;
    const struct plan plan = make_plan(m, kind);
    const uint32_t part = (count + ROWS - 1) / ROWS;
    for (uint32_t i = 0; i < part; i++) {
        vf sums[ROWS][MOST];
        for (uint32_t r = 0; r < ROWS; r++) {
            const uint32_t at = i + r * part;
            const size_t row = we_linear_tensor_row(m->linear, first + (at < count ? at : count - 1));
            o->data[r] = (const uint8_t *)m->linear->data + row * m->row_bytes;
            o->scales[r] = o->groups.scales + (row - o->groups.from) * m->group_row_bytes;
            o->biases[r] = o->groups.biases ? o->groups.biases + (row - o->groups.from) * m->group_row_bytes : NULL;
        }
        if (plan.unit_groups == 1)
            dot_inputs(kind, true, tokens, &plan, o, sums);
        else
            dot_inputs(kind, false, tokens, &plan, o, sums);
        UNROLL
        for (int t = 0; t < tokens; t++) {
            float four[ROWS];
            v_sum4(sums[0][t], sums[1][t], sums[2][t], sums[3][t], four);
            for (uint32_t r = 0; r < ROWS && i + r * part < count; r++)
                out[t * out_stride + i + r * part] = four[r];
        }
    }
}

typedef void dot_function(struct operands *o, uint32_t first, uint32_t count, float *out, size_t out_stride);

#define DOT(kind, tokens)                                                                                                      \
    static void dot_##kind##_##tokens(struct operands *o, uint32_t first, uint32_t count, float *out, size_t out_stride)       \
    {                                                                                                                          \
        dot_rows(kind, tokens, o, first, count, out, out_stride);                                                              \
    }
#define DOTS(kind) DOT(kind, 1) DOT(kind, 2) DOT(kind, 3) DOT(kind, 4)
#define DOT_NAMES(kind)                                                                                                        \
    {                                                                                                                          \
        dot_##kind##_1, dot_##kind##_2, dot_##kind##_3, dot_##kind##_4                                                         \
    }
DOTS(KIND_2)
DOTS(KIND_3)
DOTS(KIND_BITS)
DOTS(KIND_E2M1)
static dot_function *const dots[KIND_COUNT][MOST] = {
    [KIND_2] = DOT_NAMES(KIND_2),
    [KIND_3] = DOT_NAMES(KIND_3),
    [KIND_BITS] = DOT_NAMES(KIND_BITS),
    [KIND_E2M1] = DOT_NAMES(KIND_E2M1),
};

static enum kind kind_of(const struct we_cpu_matrix *m)
{
    if (m->format == WE_CPU_E2M1)
        return KIND_E2M1;
    return m->linear->bits == 2 ? KIND_2 : m->linear->bits == 3 ? KIND_3 : KIND_BITS;
}

void KERNEL(multiply_planes)(const struct we_cpu_matrix *m, uint32_t first, uint32_t count, const void *x, size_t row_bytes,
                             uint32_t tokens, float *out, size_t out_stride, void *panel)
{
    const size_t p = padded_units(m->linear->in), at = groups_at(p, LEAST, m->group_shift);
    const enum kind kind = kind_of(m);
    struct operands o = {.matrix = m};
    o.groups = stage_groups(m, first, count, panel);
    for (uint32_t begin = 0; begin < tokens; begin += MOST) {
        const uint32_t n = tokens - begin < MOST ? tokens - begin : MOST;
        for (uint32_t t = 0; t < n; t++) {
            o.x[t] = (const uint8_t *)x + (begin + t) * row_bytes;
            o.scale[t] = (const float *)(o.x[t] + 2 * p) + at;
            o.sum[t] = o.scale[t] + (p >> m->group_shift);
        }
        dots[kind][n - 1](&o, first, count, out + begin * out_stride, out_stride);
    }
    if (m->linear->bias.data)
        KERNEL(add_bias)(m->linear, first, count, tokens, out, out_stride);
}

#endif
