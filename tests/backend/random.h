/* Numbers for tests: the same on every machine. */
#ifndef TESTS_BACKEND_RANDOM_H
#define TESTS_BACKEND_RANDOM_H

#include <math.h>
#include <stdint.h>

static inline uint32_t random_u32(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    uint32_t x = (uint32_t)((*state >> 18 ^ *state) >> 27), turn = (uint32_t)(*state >> 59);
    return x >> turn | x << (-turn & 31);
}

/* [-1, 1) */
static inline float random_float(uint64_t *state)
{
    return (float)(random_u32(state) >> 8) * 0x1p-23f - 1.0f;
}

/* About normal, with deviation 1. */
static inline float random_normal(uint64_t *state)
{
    float sum = 0;
    for (int i = 0; i < 12; i++)
        sum += random_float(state);
    return sum / 2;
}

#endif
