/* Floats in order: sorting and selecting without comparisons, in a time that no input can make long. */
#ifndef WE_SAMPLE_ORDER_H
#define WE_SAMPLE_ORDER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Unsigned integers in the opposite order of the floats they stand for (no NaNs): the largest float has the smallest key. */
static inline uint32_t we_order_key(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits >> 31 ? bits : ~bits & 0x7FFFFFFFu;
}

static inline float we_order_value(uint32_t key)
{
    uint32_t bits = key >> 31 ? key : ~key & 0x7FFFFFFFu;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Sorts keys[0..count) ascending, in place; `other` is as large and scratch. */
void we_order_sort(uint32_t *keys, uint32_t *other, size_t count);

/* The key that keys[rank] would be if they were sorted; *below tells how many are smaller. rank < count. The keys
 * are destroyed. */
uint32_t we_order_select(uint32_t *keys, size_t count, size_t rank, size_t *below);

#endif
