#include "sample/order.h"

enum { DIGIT_BITS = 11, BUCKETS = 1 << DIGIT_BITS, DIGITS = 3 };

static uint32_t digit_of(uint32_t key, int digit)
{
    return key >> (digit * DIGIT_BITS) & (BUCKETS - 1);
}

/* Radix sort from the least digit, with the counts of all digits taken in one pass. */
void we_order_sort(uint32_t *keys, uint32_t *other, size_t count)
{
    uint32_t counts[DIGITS][BUCKETS] = {{0}};
    for (size_t i = 0; i < count; i++)
        for (int d = 0; d < DIGITS; d++)
            counts[d][digit_of(keys[i], d)]++;
    uint32_t *from = keys, *to = other;
    for (int d = 0; d < DIGITS; d++) {
        if (count == 0 || counts[d][digit_of(from[0], d)] == count)
            continue; /* all have this digit in common */
        uint32_t at = 0;
        for (int b = 0; b < BUCKETS; b++) {
            uint32_t n = counts[d][b];
            counts[d][b] = at;
            at += n;
        }
        for (size_t i = 0; i < count; i++)
            to[counts[d][digit_of(from[i], d)]++] = from[i];
        uint32_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != keys)
        memcpy(keys, from, count * sizeof *keys);
}

/* From the highest digit: counts the buckets, keeps the one that holds the rank, goes on with the next digit. */
uint32_t we_order_select(uint32_t *keys, size_t count, size_t rank, size_t *below)
{
    *below = 0;
    for (int d = DIGITS - 1; d >= 0; d--) {
        uint32_t counts[BUCKETS] = {0}, bucket = 0;
        for (size_t i = 0; i < count; i++)
            counts[digit_of(keys[i], d)]++;
        while (rank >= counts[bucket]) {
            rank -= counts[bucket];
            *below += counts[bucket++];
        }
        size_t kept = 0;
        for (size_t i = 0; i < count; i++)
            if (digit_of(keys[i], d) == bucket)
                keys[kept++] = keys[i];
        count = kept;
    }
    return keys[0];
}
