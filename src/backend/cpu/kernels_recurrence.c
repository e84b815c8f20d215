/* Kernels of mixers with a state: the convolution before it, and the recurrence itself. Positions follow each other, so what a
 * position gives does not depend on where a prompt is cut. Lanes are values of the state, which do not meet. */
#include "backend/cpu/kernels.h"

enum {
    VECTORS = WE_CPU_STATE_COLUMNS / LANES, /* of a row of a block of the state */
    CHAINS = VECTORS < 8 ? 8 / VECTORS : 1  /* sums side by side, so that none waits for the one before */
};

INLINE vf silu(vf x)
{
    return v_div(x, v_add(v_set1(1.0f), v_exp(v_sub(v_zero(), x))));
}

void KERNEL(convolve)(const float *const *rows, const float *taps, size_t stride, uint32_t length, const float *bias,
                      uint32_t count, float *out)
{
    uint32_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        vf sum = bias ? v_load(bias + i) : v_zero();
        for (uint32_t t = 0; t < length; t++)
            if (rows[t])
                sum = v_fma(v_load(taps + t * stride + i), v_load(rows[t] + i), sum);
        v_store(out + i, silu(sum));
    }
    if (i < count) {
        const uint32_t n = count - i;
        vf sum = bias ? v_load_n(bias + i, n) : v_zero();
        for (uint32_t t = 0; t < length; t++)
            if (rows[t])
                sum = v_fma(v_load_n(taps + t * stride + i, n), v_load_n(rows[t] + i, n), sum);
        v_store_n(out + i, silu(sum), n);
    }
}

/* The chains' sums, added in order. */
INLINE void add_chains(vf chains[CHAINS][VECTORS], vf sums[VECTORS])
{
    UNROLL for (int v = 0; v < VECTORS; v++) sums[v] = chains[0][v];
    UNROLL for (int c = 1; c < CHAINS; c++) UNROLL for (int v = 0; v < VECTORS; v++) sums[v] = v_add(sums[v], chains[c][v]);
}

/* sums = factors . state */
INLINE void sum_columns(const float *state, const float *factors, uint32_t keys, vf sums[VECTORS])
{
    vf chains[CHAINS][VECTORS];
    UNROLL for (int c = 0; c < CHAINS; c++) UNROLL for (int v = 0; v < VECTORS; v++) chains[c][v] = v_zero();
    uint32_t k = 0;
    for (; k + CHAINS <= keys; k += CHAINS)
        UNROLL for (int c = 0; c < CHAINS; c++) UNROLL for (int v = 0; v < VECTORS; v++) chains[c][v] =
            v_fma(v_set1(factors[k + c]), v_load(state + (k + c) * WE_CPU_STATE_COLUMNS + v * LANES), chains[c][v]);
    for (; k < keys; k++)
        UNROLL for (int v = 0; v < VECTORS; v++) chains[0][v] =
            v_fma(v_set1(factors[k]), v_load(state + k * WE_CPU_STATE_COLUMNS + v * LANES), chains[0][v]);
    add_chains(chains, sums);
}

/* One row of the state, of one key. */
INLINE void update_row(float *row, float key, float query, vf decay, const vf delta[VECTORS], vf sums[VECTORS])
{
    UNROLL for (int v = 0; v < VECTORS; v++)
    {
        const vf next = v_fma(v_set1(key), delta[v], v_mul(decay, v_load(row + v * LANES)));
        v_store(row + v * LANES, next);
        sums[v] = v_fma(v_set1(query), next, sums[v]);
    }
}

/* state = decay state + keys' delta; sums = queries . state */
INLINE void update_columns(float *state, const float *key, const float *query, uint32_t keys, float decay_by,
                           const vf delta[VECTORS], vf sums[VECTORS])
{
    const vf decay = v_set1(decay_by);
    vf chains[CHAINS][VECTORS];
    UNROLL for (int c = 0; c < CHAINS; c++) UNROLL for (int v = 0; v < VECTORS; v++) chains[c][v] = v_zero();
    uint32_t k = 0;
    for (; k + CHAINS <= keys; k += CHAINS)
        UNROLL for (int c = 0; c < CHAINS; c++)
            update_row(state + (k + c) * WE_CPU_STATE_COLUMNS, key[k + c], query[k + c], decay, delta, chains[c]);
    for (; k < keys; k++)
        update_row(state + k * WE_CPU_STATE_COLUMNS, key[k], query[k], decay, delta, chains[0]);
    add_chains(chains, sums);
}

INLINE void load_columns(const float *x, uint32_t columns, vf out[VECTORS])
{
    float padded[WE_CPU_STATE_COLUMNS] = {0};
    if (columns < WE_CPU_STATE_COLUMNS)
        memcpy(padded, x, columns * sizeof *x);
    const float *from = columns < WE_CPU_STATE_COLUMNS ? padded : x;
    UNROLL for (int v = 0; v < VECTORS; v++) out[v] = v_load(from + v * LANES);
}

INLINE void store_columns(const vf x[VECTORS], uint32_t columns, float *out)
{
    float padded[WE_CPU_STATE_COLUMNS];
    float *to = columns < WE_CPU_STATE_COLUMNS ? padded : out;
    UNROLL for (int v = 0; v < VECTORS; v++) v_store(to + v * LANES, x[v]);
    if (columns < WE_CPU_STATE_COLUMNS)
        memcpy(out, padded, columns * sizeof *out);
}

void KERNEL(recur)(const struct we_cpu_recur *r)
{
    for (uint32_t i = 0; i < r->rows; i++) {
        const float *q = r->q + i * r->stride, *k = r->k + i * r->stride;
        const float *rate = r->rate + i * r->rate_stride, decay = r->decay[i * r->rate_stride];
        vf value[VECTORS], delta[VECTORS], out[VECTORS];
        load_columns(r->v + i * r->stride, r->columns, value);
        if (r->corrects) {
            sum_columns(r->state, k, r->keys, delta);
            UNROLL for (int v = 0; v < VECTORS; v++) delta[v] =
                v_mul(v_set1(*rate), v_sub(value[v], v_mul(v_set1(decay), delta[v])));
        } else {
            UNROLL for (int v = 0; v < VECTORS; v++) delta[v] = v_mul(v_set1(*rate), value[v]);
        }
        update_columns(r->state, k, q, r->keys, decay, delta, out);
        UNROLL for (int v = 0; v < VECTORS; v++) out[v] = v_fma(v_set1(r->skip), value[v], out[v]);
        store_columns(out, r->columns, r->out + i * r->out_stride);
    }
}
