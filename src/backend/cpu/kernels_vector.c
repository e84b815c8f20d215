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

/* The share of the normal distribution below x, to 4e-7: half the complementary error function of |x| / sqrt 2, which is
 * e^-z^2 times a polynomial in 1 / (1 + z / 2) (fitted by least squares). */
INLINE vf normal_below(vf x)
{
    const vf one = v_set1(1.0f), z = v_mul(v_max(v_sub(v_zero(), x), x), v_set1(0.707106781187f));
    const vf t = v_div(one, v_fma(z, v_set1(0.5f), one));
    vf p = v_set1(-0.05874678811f);
    p = v_fma(p, t, v_set1(0.2829966742f));
    p = v_fma(p, t, v_set1(-0.4839159724f));
    p = v_fma(p, t, v_set1(0.2742883066f));
    p = v_fma(p, t, v_set1(-0.02400422507f));
    p = v_fma(p, t, v_set1(0.2015683263f));
    p = v_fma(p, t, v_set1(0.2433893525f));
    p = v_fma(p, t, v_set1(0.282335567f));
    p = v_fma(p, t, v_set1(0.2820887175f));
    const vf beyond = v_mul(v_mul(p, v_mul(t, v_set1(0.5f))), v_exp(v_sub(v_zero(), v_mul(z, z))));
    return v_from(x, 0.0f, v_sub(one, beyond), beyond);
}

/* x * sigmoid(factor * x) */
INLINE vf sigmoid_times(vf x, vf factor)
{
    return v_div(x, v_add(v_set1(1.0f), v_exp(v_sub(v_zero(), v_mul(factor, x)))));
}

INLINE vf activated(enum we_activation activation, const struct we_feed_forward *f, vf gate, vf up)
{
    switch (activation) {
    case WE_ACTIVATION_GELU:
        return v_mul(v_mul(gate, normal_below(gate)), up);
    case WE_ACTIVATION_GELU_TANH: { /* (1 + tanh u) / 2 = sigmoid(2 u) */
        const vf factor = v_fma(v_mul(gate, gate), v_set1(1.5957691216057308f * 0.044715f), v_set1(1.5957691216057308f));
        return v_mul(sigmoid_times(gate, factor), up);
    }
    case WE_ACTIVATION_RELU_SQUARED: {
        const vf positive = v_max(v_zero(), gate);
        return v_mul(v_mul(positive, positive), up);
    }
    case WE_ACTIVATION_SWIGLU_CLIPPED: {
        const vf limit = v_set1(f->limit);
        const vf clipped = v_min(limit, v_max(v_sub(v_zero(), limit), up));
        return v_mul(sigmoid_times(v_min(limit, gate), v_set1(f->alpha)), v_add(clipped, v_set1(1.0f)));
    }
    case WE_ACTIVATION_SIGMOID:
        return v_div(up, v_add(v_set1(1.0f), v_exp(v_sub(v_zero(), gate))));
    default:
        return v_mul(sigmoid_times(gate, v_set1(1.0f)), up);
    }
}

INLINE void activate(enum we_activation activation, const struct we_feed_forward *f, const float *gate, const float *up,
                     uint32_t count, float *out)
{
    const vf one = v_set1(1.0f);
    uint32_t i = 0;
    for (; i + LANES <= count; i += LANES)
        v_store(out + i, activated(activation, f, v_load(gate + i), up ? v_load(up + i) : one));
    if (i < count)
        v_store_n(out + i, activated(activation, f, v_load_n(gate + i, count - i), up ? v_load_n(up + i, count - i) : one),
                  count - i);
}

void KERNEL(activate)(const struct we_feed_forward *f, const float *gate, const float *up, uint32_t count, float *out)
{
    switch (f->activation) {
    case WE_ACTIVATION_GELU:
        activate(WE_ACTIVATION_GELU, f, gate, up, count, out);
        break;
    case WE_ACTIVATION_GELU_TANH:
        activate(WE_ACTIVATION_GELU_TANH, f, gate, up, count, out);
        break;
    case WE_ACTIVATION_RELU_SQUARED:
        activate(WE_ACTIVATION_RELU_SQUARED, f, gate, up, count, out);
        break;
    case WE_ACTIVATION_SWIGLU_CLIPPED:
        activate(WE_ACTIVATION_SWIGLU_CLIPPED, f, gate, up, count, out);
        break;
    case WE_ACTIVATION_SIGMOID:
        activate(WE_ACTIVATION_SIGMOID, f, gate, up, count, out);
        break;
    default:
        activate(WE_ACTIVATION_SILU, f, gate, up, count, out);
    }
}

void KERNEL(softcap)(float cap, uint32_t count, float *x)
{
    const vf most = v_set1(cap), inverse = v_set1(1.0f / cap);
    uint32_t i = 0;
    for (; i + LANES <= count; i += LANES)
        v_store(x + i, v_mul(most, v_tanh(v_mul(v_load(x + i), inverse))));
    if (i < count)
        v_store_n(x + i, v_mul(most, v_tanh(v_mul(v_load_n(x + i, count - i), inverse))), count - i);
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
