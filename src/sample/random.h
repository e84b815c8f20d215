/* MLX's random numbers: Threefry 2x32 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011), with keys
 * that are split for each draw. The state after we_random_seed(r, s) and n draws is that of mx.random.seed(s) and n
 * calls of mx.random functions without a key. */
#ifndef WE_SAMPLE_RANDOM_H
#define WE_SAMPLE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct we_random {
    uint32_t key[2];
};

void we_random_seed(struct we_random *random, uint64_t seed);

/* The words that `key` stands for: mx.random.bits((count,), key=key). */
void we_random_bits(const uint32_t key[2], uint32_t *words, size_t count);

/* One number in [0, 1): mx.random.uniform(). */
float we_random_uniform(struct we_random *random);

#endif
