/* Activations as float32 for the kernels of kernels_matmul.c. A row is padded with zeros to WE_CPU_ALIGN. */
#include "backend/cpu/kernels.h"

#define EIGHT(k)                                                                                                               \
    NIBBLE_POSITION(k), NIBBLE_POSITION(k + 1), NIBBLE_POSITION(k + 2), NIBBLE_POSITION(k + 3), NIBBLE_POSITION(k + 4),        \
        NIBBLE_POSITION(k + 5), NIBBLE_POSITION(k + 6), NIBBLE_POSITION(k + 7)

/* Value k of each 64 stands at nibble_order[k]. */
static const uint8_t nibble_order[64] = {EIGHT(0), EIGHT(8), EIGHT(16), EIGHT(24), EIGHT(32), EIGHT(40), EIGHT(48), EIGHT(56)};

/* One more cache line: rows of a power of two would share cache sets. */
size_t KERNEL(float_bytes)(uint32_t width)
{
    return (((size_t)width + WE_CPU_ALIGN - 1) / WE_CPU_ALIGN * WE_CPU_ALIGN + 16) * sizeof(float);
}

static uint32_t padded(uint32_t width)
{
    return (width + WE_CPU_ALIGN - 1) / WE_CPU_ALIGN * WE_CPU_ALIGN;
}

void KERNEL(pack_floats)(const float *const *rows, uint32_t num_rows, uint32_t width, void *out)
{
    float *x = out;
    (void)num_rows; /* a block is one row */
    memcpy(x, rows[0], width * sizeof *x);
    memset(x + width, 0, (padded(width) - width) * sizeof *x);
}

void KERNEL(pack_nibble_floats)(const float *const *rows, uint32_t num_rows, uint32_t width, void *out)
{
    float *x = out;
    (void)num_rows;
    const uint32_t whole = width / 64 * 64;
    for (uint32_t k = 0; k < whole; k += 64)
        for (uint32_t i = 0; i < 64; i++)
            x[k + nibble_order[i]] = rows[0][k + i];
    if (whole == width)
        return;
    memset(x + whole, 0, 64 * sizeof *x);
    for (uint32_t k = whole; k < width; k++)
        x[whole + nibble_order[k - whole]] = rows[0][k];
}
