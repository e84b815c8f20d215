#include "sample/exponential.h"

#include "base/system.h"

#include <stdint.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* MLX's method: 2^(n + f) with n = floor(x*log2(e) + 1/2), 2^f from Cephes' polynomial of degree 6, each step of it
 * fused. The constants and the order of the operations decide the last bits. */
static float exponential(float x)
{
    float clamped = x < -100.0f ? -100.0f : x; /* keeps the conversion to int defined for -inf */
    float y = clamped * 1.442695f;
    float floored = (float)(int32_t)y;
    floored -= floored > y ? 1.0f : 0.0f;
    float n = y - floored >= 0.5f ? floored + 1.0f : floored; /* floor(y + 0.5), with no rounding of the sum */
    float f = y - n;
    float p = 1.535336188319500e-4f;
    p = __builtin_fmaf(p, f, 1.339887440266574e-3f);
    p = __builtin_fmaf(p, f, 9.618437357674640e-3f);
    p = __builtin_fmaf(p, f, 5.550332471162809e-2f);
    p = __builtin_fmaf(p, f, 2.402264791363012e-1f);
    p = __builtin_fmaf(p, f, 6.931472028550421e-1f);
    p = __builtin_fmaf(p, f, 1.000000000000000f);
    uint32_t bits = (uint32_t)((int32_t)n + 127) << 23;
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    return x < -88.0f ? 0.0f : scale * p;
}

void we_exp_block_generic(const float *restrict in, float shift, float *restrict out)
{
    for (int i = 0; i < WE_EXP_BLOCK; i++)
        out[i] = exponential(in[i] - shift);
}

#if defined(__x86_64__)
/* The same operations, eight at a time. */
__attribute__((target("avx2,fma"))) static void exp_block_avx2(const float *restrict in, float shift, float *restrict out)
{
    const float c[] = {1.339887440266574e-3f, 9.618437357674640e-3f, 5.550332471162809e-2f,
                       2.402264791363012e-1f, 6.931472028550421e-1f, 1.000000000000000f};
    for (int i = 0; i < WE_EXP_BLOCK; i += 8) {
        __m256 x = _mm256_sub_ps(_mm256_loadu_ps(in + i), _mm256_set1_ps(shift));
        __m256 y = _mm256_mul_ps(_mm256_max_ps(x, _mm256_set1_ps(-100.0f)), _mm256_set1_ps(1.442695f));
        __m256 n = _mm256_floor_ps(y);
        __m256 up = _mm256_cmp_ps(_mm256_sub_ps(y, n), _mm256_set1_ps(0.5f), _CMP_GE_OQ);
        n = _mm256_add_ps(n, _mm256_and_ps(up, _mm256_set1_ps(1.0f)));
        __m256 f = _mm256_sub_ps(y, n), p = _mm256_set1_ps(1.535336188319500e-4f);
        for (int j = 0; j < 6; j++)
            p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(c[j]));
        __m256i scale = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
        __m256 gone = _mm256_cmp_ps(x, _mm256_set1_ps(-88.0f), _CMP_LT_OQ);
        _mm256_storeu_ps(out + i, _mm256_andnot_ps(gone, _mm256_mul_ps(_mm256_castsi256_ps(scale), p)));
    }
}
#endif

we_exp_block *we_exp_block_best(void)
{
#if defined(__x86_64__)
    struct we_cpu_features features;
    we_cpu_features(&features);
    if (features.avx2 && features.fma)
        return exp_block_avx2;
#endif
    return we_exp_block_generic;
}

void we_exp_some(we_exp_block *block, const float *in, float shift, float *out, size_t count)
{
    if (count == WE_EXP_BLOCK) {
        block(in, shift, out);
        return;
    }
    float padded[WE_EXP_BLOCK];
    for (size_t i = 0; i < WE_EXP_BLOCK; i++)
        padded[i] = i < count ? in[i] : shift;
    block(padded, shift, out);
}

float we_exp_sum(we_exp_block *block, const float *in, float shift, size_t count)
{
    float values[WE_EXP_BLOCK], sum = 0;
    for (size_t at = 0; at < count; at += WE_EXP_BLOCK) {
        size_t n = count - at < WE_EXP_BLOCK ? count - at : WE_EXP_BLOCK;
        we_exp_some(block, in + at, shift, values, n);
        for (size_t i = 0; i < n; i++)
            sum += values[i];
    }
    return sum;
}
