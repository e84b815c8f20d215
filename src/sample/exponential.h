/* Sums of exponentials in float32, bit for bit as MLX's CPU back-end computes them: its polynomial for exp, and one
 * addition after the other. */
#ifndef WE_SAMPLE_EXPONENTIAL_H
#define WE_SAMPLE_EXPONENTIAL_H

#include <stddef.h>

enum { WE_EXP_BLOCK = 256 };

/* out[i] = exp(in[i] - shift) for i < WE_EXP_BLOCK. No difference may be NaN or above 88. */
typedef void we_exp_block(const float *restrict in, float shift, float *restrict out);

/* The fastest form for this processor; all give the same bits. */
we_exp_block *we_exp_block_best(void);
we_exp_block we_exp_block_generic;

/* out[i] = exp(in[i] - shift) for i < count <= WE_EXP_BLOCK; out has WE_EXP_BLOCK elements. */
void we_exp_some(we_exp_block *block, const float *in, float shift, float *out, size_t count);

/* exp(in[0] - shift) + exp(in[1] - shift) + ... from left to right. */
float we_exp_sum(we_exp_block *block, const float *in, float shift, size_t count);

#endif
