/* Vectors of LANES float32, in one form for each instruction set: kernels are written once over these and compiled for
 * each. Loads and stores take any alignment. v_fma is one rounding where the set has it; sums of lanes add lane i to
 * lane i + LANES/2, and so on by halves, in v_sum and v_sum4 alike, so that both give the same bits.
 *
 * Packed 4-bit weights are read in blocks of NIBBLE_BLOCK: v_nibbles_load, then NIBBLE_VECTORS times v_nibble. Lane l of
 * vector j is the value k with NIBBLE_POSITION(k) = j * LANES + l, plus NIBBLE_OFFSET. Activations are put into that order
 * once, which is cheaper than to bring the weights into theirs. */
#ifndef WE_BACKEND_CPU_SIMD_H
#define WE_BACKEND_CPU_SIMD_H

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

#endif
