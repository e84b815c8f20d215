/* Kernels over one row of activations: norms, rotary embedding, activation functions. */
#include "backend/cpu/kernels.h"

#include <math.h>

static float sum_of(const float *x, uint32_t n)
{
    vf sum = v_zero();
    uint32_t i = 0;
    for (; i + LANES <= n; i += LANES)
        sum = v_add(sum, v_load(x + i));
    if (i < n)
        sum = v_add(sum, v_load_n(x + i, n - i));
    return v_sum(sum);
}

/* Of (x - mean)^2. */
static float sum_of_squares(const float *x, uint32_t n, float mean)
{
    vf sum = v_zero(), center = v_set1(mean);
    uint32_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vf d = v_sub(v_load(x + i), center);
        sum = v_fma(d, d, sum);
    }
    if (i < n) {
        float tail[LANES] = {0};
        for (uint32_t j = i; j < n; j++)
            tail[j - i] = x[j] - mean;
        sum = v_fma(v_load(tail), v_load(tail), sum);
    }
    return v_sum(sum);
}

void KERNEL(norm)(const struct we_norm *norm, const float *x, float *out)
{
    const uint32_t n = norm->width;
    const struct we_vector *weight = &norm->weight, *bias = &norm->bias;
    float mean = norm->kind == WE_NORM_LAYER ? sum_of(x, n) / (float)n : 0.0f;
    float inverse = 1.0f / sqrtf(sum_of_squares(x, n, mean) / (float)n + norm->eps);
    vf center = v_set1(mean), factor = v_set1(inverse), offset = v_set1(norm->weight_offset);
    for (uint32_t i = 0; i < n; i += LANES) {
        uint32_t m = n - i < LANES ? n - i : LANES;
        bool whole = m == LANES;
        vf y = v_mul(v_sub(whole ? v_load(x + i) : v_load_n(x + i, m), center), factor);
        if (weight->data)
            y = v_mul(y, v_add(whole ? load_floats(weight->dtype, weight->data, i)
                                     : load_floats_n(weight->dtype, weight->data, i, m),
                               offset));
        if (bias->data)
            y = v_add(y, whole ? load_floats(bias->dtype, bias->data, i) : load_floats_n(bias->dtype, bias->data, i, m));
        if (whole)
            v_store(out + i, y);
        else
            v_store_n(out + i, y, m);
    }
}

void KERNEL(rope)(float *x, uint32_t width, const float *cosine, const float *sine, uint32_t pairs, bool interleaved,
                  float scale)
{
    if (interleaved) {
        for (uint32_t i = 0; i < pairs; i++) {
            float a = x[2 * i], b = x[2 * i + 1];
            x[2 * i] = a * cosine[i] - b * sine[i];
            x[2 * i + 1] = b * cosine[i] + a * sine[i];
        }
    } else {
        for (uint32_t i = 0; i < pairs; i++) {
            float a = x[i], b = x[i + pairs];
            x[i] = a * cosine[i] - b * sine[i];
            x[i + pairs] = b * cosine[i] + a * sine[i];
        }
    }
    if (scale != 1.0f)
        for (uint32_t i = 0; i < width; i++)
            x[i] *= scale;
}

INLINE vf silu_times(vf gate, vf up)
{
    vf one = v_set1(1.0f);
    vf e = v_exp(v_sub(v_zero(), gate));
    return v_mul(v_div(gate, v_add(one, e)), up);
}

void KERNEL(activate)(enum we_activation activation, const float *gate, const float *up, uint32_t count, float *out)
{
    (void)activation; /* silu is the only one */
    uint32_t i = 0;
    for (; i + LANES <= count; i += LANES)
        v_store(out + i, silu_times(v_load(gate + i), v_load(up + i)));
    if (i < count)
        v_store_n(out + i, silu_times(v_load_n(gate + i, count - i), v_load_n(up + i, count - i)), count - i);
}

void KERNEL(add_scaled)(float *y, float a, const float *x, uint32_t count)
{
    uint32_t i = 0;
    vf factor = v_set1(a);
    for (; i + LANES <= count; i += LANES)
        v_store(y + i, v_fma(factor, v_load(x + i), v_load(y + i)));
    if (i < count)
        v_store_n(y + i, v_fma(factor, v_load_n(x + i, count - i), v_load_n(y + i, count - i)), count - i);
}
