#include "sample/random.h"

static uint32_t rotate(uint32_t x, unsigned by)
{
    return x << by | x >> (32 - by);
}

/* 20 rounds over a pair of words, a word of the key injected after every fourth. */
static void threefry(const uint32_t key[2], uint32_t x0, uint32_t x1, uint32_t out[2])
{
    static const uint8_t rotations[2][4] = {{13, 15, 26, 6}, {17, 29, 16, 24}};
    const uint32_t ks[3] = {key[0], key[1], key[0] ^ key[1] ^ 0x1BD11BDAu};
    x0 += ks[0];
    x1 += ks[1];
    for (uint32_t group = 0; group < 5; group++) {
        for (int i = 0; i < 4; i++) {
            x0 += x1;
            x1 = rotate(x1, rotations[group % 2][i]) ^ x0;
        }
        x0 += ks[(group + 1) % 3];
        x1 += ks[(group + 2) % 3] + group + 1;
    }
    out[0] = x0;
    out[1] = x1;
}

void we_random_seed(struct we_random *random, uint64_t seed)
{
    random->key[0] = (uint32_t)(seed >> 32);
    random->key[1] = (uint32_t)seed;
}

/* Word i of the first half and word i of the second come from one counter pair; an odd count has a middle word of its own. */
void we_random_bits(const uint32_t key[2], uint32_t *words, size_t count)
{
    size_t half = count / 2, odd = count % 2;
    uint32_t pair[2];
    for (size_t i = 0; i < half; i++) {
        threefry(key, (uint32_t)i, (uint32_t)(half + odd + i), pair);
        words[i] = pair[0];
        words[half + odd + i] = pair[1];
    }
    if (odd) {
        threefry(key, (uint32_t)half, 0, pair);
        words[half] = pair[0];
    }
}

float we_random_uniform(struct we_random *random)
{
    uint32_t split[4], word;
    we_random_bits(random->key, split, 4);
    random->key[0] = split[0];
    random->key[1] = split[1];
    we_random_bits(split + 2, &word, 1);
    float u = (float)word / 0x1p32f;
    return u < 0x1p0f ? u : 0x1.fffffep-1f; /* the largest words round to 1 */
}
