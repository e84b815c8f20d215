/* Vectors of LANES float32, in one form for each instruction set: kernels are written once over these and compiled for
 * each. Loads and stores take any alignment. v_fma is one rounding where the set has it; sums of lanes add lane i to
 * lane i + LANES/2, and so on by halves, in v_sum and v_sum4 alike, so that both give the same bits.
 *
 * Packed 4-bit weights are read in blocks of NIBBLE_BLOCK: v_nibbles_load, then NIBBLE_VECTORS times v_nibble. Lane l of
 * vector j is the value k with NIBBLE_POSITION(k) = j * LANES + l, plus NIBBLE_OFFSET. Activations are put into that order
 * once, which is cheaper than to bring the weights into theirs. */
#ifndef WE_BACKEND_CPU_SIMD_H
#define WE_BACKEND_CPU_SIMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

/* WE_CPU_PLAIN: the compiler may know of more, but this is the form that needs nothing. */
#if defined(WE_CPU_PLAIN)
#include "backend/cpu/simd_generic.h"
#elif defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512DQ__)
#include "backend/cpu/simd_avx512.h"
#elif defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#include "backend/cpu/simd_avx2.h"
#elif defined(__aarch64__) && defined(__ARM_NEON) && !defined(__AARCH64EB__)
#include "backend/cpu/simd_neon.h"
#else
#include "backend/cpu/simd_generic.h"
#endif

enum { NIBBLE_VECTORS = NIBBLE_BLOCK / LANES, TILE_TOKENS = TARGET_TILE, MAX_DIRECT = TARGET_DIRECT };

/* e^x; 0 below -87, as for x < 88 the largest relative error is 2e-7. NaN stays NaN.
 * Cephes' reduction and polynomial: e^x = 2^n e^r with |r| <= ln 2 / 2. */
INLINE vf v_exp(vf x)
{
    const vf magic = v_set1(12582912.0f); /* 1.5 * 2^23: adding it rounds to an integer, in the low bits */
    vf clamped = v_min(v_set1(88.0f), v_max(v_set1(-87.5f), x));
    vf shifted = v_fma(clamped, v_set1(1.44269504088896341f), magic);
    vf n = v_sub(shifted, magic);
    vf r = v_fma(n, v_set1(-0.693359375f), clamped);
    r = v_fma(n, v_set1(2.12194440e-4f), r);
    vf p = v_set1(1.9875691500e-4f);
    p = v_fma(p, r, v_set1(1.3981999507e-3f));
    p = v_fma(p, r, v_set1(8.3334519073e-3f));
    p = v_fma(p, r, v_set1(4.1665795894e-2f));
    p = v_fma(p, r, v_set1(1.6666665459e-1f));
    p = v_fma(p, r, v_set1(5.0000001201e-1f));
    vf y = v_add(v_fma(p, v_mul(r, r), r), v_set1(1.0f));
    return v_zero_below(v_mul(y, v_power_of_two(shifted)), x, -87.0f);
}

/* a where x >= limit, else b. */
INLINE vf v_from(vf x, float limit, vf a, vf b)
{
    const vf one = v_zero_below(v_set1(1.0f), x, limit);
    return v_add(v_mul(one, a), v_mul(v_sub(v_set1(1.0f), one), b));
}

/* tanh x, to 3e-7 of itself: an odd polynomial (fitted by least squares) near 0, else (1 - e^-2|x|) / (1 + e^-2|x|). */
INLINE vf v_tanh(vf x)
{
    const vf one = v_set1(1.0f), size = v_max(v_sub(v_zero(), x), x);
    const vf near = v_min(v_set1(0.65f), v_max(v_set1(-0.65f), x)), z = v_mul(near, near);
    vf p = v_set1(2.06464381606e-3f);
    p = v_fma(p, z, v_set1(-8.09194635856e-3f));
    p = v_fma(p, z, v_set1(2.16663387403e-2f));
    p = v_fma(p, z, v_set1(-5.39405618458e-2f));
    p = v_fma(p, z, v_set1(1.33331578875e-1f));
    p = v_fma(p, z, v_set1(-3.33333296135e-1f));
    p = v_fma(v_mul(near, z), p, near);
    const vf e = v_exp(v_mul(size, v_set1(-2.0f)));
    const vf far = v_div(v_sub(one, e), v_add(one, e));
    return v_from(size, 0.6f, v_from(x, 0.0f, far, v_sub(v_zero(), far)), p);
}

#endif
