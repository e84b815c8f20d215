#include "weights.h"

#include "random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static size_t size_of(enum we_dtype dtype)
{
    return dtype == WE_F32 ? 4 : 2;
}

void *test_floats_make(enum we_dtype dtype, uint32_t count, uint32_t offset, double center, double deviation, uint64_t *seed,
                       void **block)
{
    *block = malloc(count * size_of(dtype) + offset);
    void *data = (char *)*block + offset;
    for (uint32_t i = 0; i < count; i++)
        we_store_float(data, dtype, i, (float)(center + deviation * random_normal(seed)));
    return data;
}

static void make_plain(struct test_weights *w, uint32_t offset, double scale, uint64_t *seed)
{
    struct we_linear *l = &w->linear;
    l->data = test_floats_make(l->dtype, l->rows * l->in, offset, 0, scale, seed, &w->blocks[0]);
    for (size_t i = 0; i < (size_t)l->rows * l->in; i++)
        w->values[i] = we_load_float(l->data, l->dtype, i);
}

static void put_bits(uint8_t *row, size_t bit, uint32_t bits, uint32_t value)
{
    for (uint32_t b = 0; b < bits; b++, bit++)
        row[bit / 8] |= (uint8_t)((value >> b & 1) << (bit % 8));
}

static void make_affine(struct test_weights *w, uint32_t offset, double scale, uint64_t *seed)
{
    struct we_linear *l = &w->linear;
    const uint32_t groups = l->rows * (l->in / l->group_size), most = (1u << l->bits) - 1;
    const size_t row_bytes = (size_t)l->in * l->bits / 8;
    uint8_t *data = calloc(1, l->rows * row_bytes + offset);
    w->blocks[0] = data;
    data += offset;
    void *scales = test_floats_make(l->dtype, groups, offset, 0, 0, seed, &w->blocks[1]);
    void *biases = test_floats_make(l->dtype, groups, offset, 0, 0, seed, &w->blocks[2]);
    for (uint32_t g = 0; g < groups; g++) {
        /* As a quantiser makes them: of either sign, now and then a group of zeros or one that is all bias. */
        double s = scale * 3.5 / most * (1 + 0.3 * random_float(seed)) * (random_u32(seed) & 1 ? 1 : -1);
        double b = -s * most / 2 * (1 + 0.2 * random_float(seed));
        if (random_u32(seed) % 16 == 0)
            s = 0, b = random_u32(seed) & 1 ? 0 : b;
        we_store_float(scales, l->dtype, g, (float)s);
        we_store_float(biases, l->dtype, g, (float)b);
    }
    for (uint32_t r = 0; r < l->rows; r++)
        for (uint32_t k = 0; k < l->in; k++) {
            uint32_t q = random_u32(seed) & most;
            size_t g = (size_t)r * (l->in / l->group_size) + k / l->group_size;
            put_bits(data + r * row_bytes, (size_t)k * l->bits, l->bits, q);
            w->values[(size_t)r * l->in + k] =
                (double)we_load_float(scales, l->dtype, g) * q + (double)we_load_float(biases, l->dtype, g);
        }
    l->data = data;
    l->scales = scales;
    l->biases = biases;
}

/* mxfp4, mxfp8, nvfp4: any bytes but NaN, and scales as a quantiser makes them. The values are the reference's. */
static void make_small_floats(struct test_weights *w, uint32_t offset, double scale, uint64_t *seed)
{
    struct we_linear *l = &w->linear;
    const struct we_quant quant = {l->mode, l->bits, l->group_size};
    const uint32_t groups = l->in / l->group_size;
    const size_t row_bytes = we_quant_row_bytes(quant, l->in);
    w->blocks[0] = malloc(l->rows * row_bytes + offset);
    w->blocks[1] = malloc((size_t)l->rows * groups + offset);
    uint8_t *data = (uint8_t *)w->blocks[0] + offset, *scales = (uint8_t *)w->blocks[1] + offset;
    for (size_t i = 0; i < l->rows * row_bytes; i++) {
        data[i] = (uint8_t)(random_u32(seed) >> 8);
        if (l->bits == 8 && (data[i] & 0x7F) == 0x7F)
            data[i] ^= 1;
    }
    const bool nv = l->mode == WE_QUANT_NVFP4; /* whose scales have 8 steps for a power of two */
    const int power = (int)lrint(log2(scale / (l->bits == 8 ? 110 : 2.9))), middle = nv ? 8 * (7 + power) : 127 + power;
    for (size_t i = 0; i < (size_t)l->rows * groups; i++) {
        int s = middle + (nv ? (int)(random_u32(seed) % 24) - 12 : (int)(random_u32(seed) % 4) - 2);
        scales[i] = (uint8_t)(s < 0 || random_u32(seed) % 64 == 0 ? 0 : s);
        if (nv && random_u32(seed) % 4 == 0)
            scales[i] |= 0x80;
    }
    float *row = malloc(l->in * sizeof *row);
    for (uint32_t r = 0; r < l->rows; r++) {
        we_dequantize_row(quant, data + r * row_bytes, scales + (size_t)r * groups, NULL, WE_U8, l->in, row);
        for (uint32_t k = 0; k < l->in; k++)
            w->values[(size_t)r * l->in + k] = row[k];
    }
    free(row);
    l->data = data;
    l->scales = scales;
}

void test_weights_make(struct test_weights *w, struct test_format format, uint32_t rows, uint32_t in, uint32_t offset,
                       bool bias, double scale, uint64_t *seed)
{
    *w = (struct test_weights){.linear = {.dtype = format.dtype, .mode = format.mode, .bits = format.bits,
                                          .group_size = format.group_size, .rows = rows, .in = in, .name = "test"}};
    w->values = malloc((size_t)rows * in * sizeof *w->values);
    if (format.mode == WE_QUANT_NONE)
        make_plain(w, offset, scale, seed);
    else if (format.mode == WE_QUANT_AFFINE)
        make_affine(w, offset, scale, seed);
    else
        make_small_floats(w, offset, scale, seed);
    if (bias) {
        w->linear.bias = (struct we_vector){.dtype = format.dtype == WE_U8 ? WE_BF16 : format.dtype, .length = rows};
        w->linear.bias.data = test_floats_make(w->linear.bias.dtype, rows, offset, 0, 1, seed, &w->blocks[3]);
    }
}

double test_weights_bias(const struct test_weights *w, size_t row)
{
    return w->linear.bias.data ? we_load_float(w->linear.bias.data, w->linear.bias.dtype, row) : 0;
}

void test_weights_free(struct test_weights *w)
{
    free(w->values);
    for (int i = 0; i < 4; i++)
        free(w->blocks[i]);
}
