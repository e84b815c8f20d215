/* The fast loops of every instruction set that this machine has, bit by bit: against mlx (quant_goldens.bin) and, on values of
 * all sizes, against the scalar reference, which is tested against mlx too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fs.h"
#include "tensor/quantize.h"

#include <math.h>
#include <stdlib.h>

enum { ROWS = 3, IN = 128, COUNT = 35 * 128 /* not a whole number of what a kernel does at once */ };

static const struct we_quantizer *quantizers[4];
static size_t num_quantizers;

static uint64_t random_state = 1;

static uint32_t random_u32(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 32);
}

/* Values that meet ties, zeros of both signs, subnormal numbers and every exponent that all the types have. */
static float random_value(uint32_t kind)
{
    uint32_t r = random_u32();
    float sign = r & 1 ? -1.0f : 1.0f;
    if (kind == 5) /* what no model should hold */
        return r & 6 ? sign * ldexpf((float)(r >> 8), 100 + (int)(r >> 3 & 3)) : r & 8 ? sign * INFINITY : NAN;
    switch (kind % 4) {
    case 0:
        return sign * (float)(r >> 8) * 0x1p-24f;
    case 1:
        return sign * (float)(r >> 8 & 31) * 0.25f;
    case 2:
        return sign * ldexpf((float)(r >> 8), (int)(random_u32() % 50) - 60);
    default:
        return r & 6 ? sign * 0.0f : sign * ldexpf((float)(r >> 20), -150 + (int)(random_u32() % 100));
    }
}

static const struct we_quant formats[] = {
    {WE_QUANT_AFFINE, 2, 32},  {WE_QUANT_AFFINE, 2, 64},  {WE_QUANT_AFFINE, 2, 128}, {WE_QUANT_AFFINE, 3, 32},
    {WE_QUANT_AFFINE, 3, 64},  {WE_QUANT_AFFINE, 3, 128}, {WE_QUANT_AFFINE, 4, 32},  {WE_QUANT_AFFINE, 4, 64},
    {WE_QUANT_AFFINE, 4, 128}, {WE_QUANT_AFFINE, 5, 32},  {WE_QUANT_AFFINE, 5, 64},  {WE_QUANT_AFFINE, 5, 128},
    {WE_QUANT_AFFINE, 6, 32},  {WE_QUANT_AFFINE, 6, 64},  {WE_QUANT_AFFINE, 6, 128}, {WE_QUANT_AFFINE, 8, 32},
    {WE_QUANT_AFFINE, 8, 64},  {WE_QUANT_AFFINE, 8, 128}, {WE_QUANT_MXFP4, 4, 32},   {WE_QUANT_MXFP8, 8, 32},
    {WE_QUANT_NVFP4, 4, 16},
};
static const enum we_dtype dtypes[] = {WE_F32, WE_F16, WE_BF16};

struct parts {
    unsigned char *packed, *scales, *biases; /* of exactly their size, at odd addresses */
    size_t packed_size, scales_size, biases_size;
};

static unsigned char *odd(size_t size)
{
    unsigned char *p = malloc(size + 1);
    assert_non_null(p);
    memset(p, 0xA5, size + 1);
    return p + 1;
}

static struct parts new_parts(struct we_quant quant, enum we_dtype dtype, size_t count)
{
    bool affine = quant.mode == WE_QUANT_AFFINE;
    struct parts p = {.packed_size = count / 8 * quant.bits, .scales_size = count / quant.group_size};
    p.scales_size *= affine ? we_dtype_size(dtype) : 1;
    p.biases_size = affine ? p.scales_size : 0;
    p.packed = odd(p.packed_size);
    p.scales = odd(p.scales_size);
    p.biases = odd(p.biases_size);
    return p;
}

static void free_parts(struct parts *p)
{
    free(p->packed - 1);
    free(p->scales - 1);
    free(p->biases - 1);
}

static void assert_same(const char *isa, struct we_quant quant, const char *what, const void *found, const void *expected,
                        size_t size)
{
    if (size && memcmp(found, expected, size) != 0)
        fail_msg("%s: %s %u bits, group %u: the %s differ", isa, we_quant_mode_name(quant.mode), quant.bits, quant.group_size,
                 what);
}

static void compare_with_reference(struct we_quant quant, enum we_dtype from, enum we_dtype to, uint32_t kind)
{
    unsigned char *values = odd(COUNT * we_dtype_size(from)), *rounded = odd(COUNT * we_dtype_size(to));
    float *floats = malloc(COUNT * sizeof *floats), *back = malloc(COUNT * sizeof *back);
    assert_true(floats && back);
    for (size_t i = 0; i < COUNT; i++) {
        we_store_float(values, from, i, kind == 4 ? random_value((uint32_t)(i / 32 % 4)) : random_value(kind));
        we_store_float(rounded, to, i, we_load_float(values, from, i));
        floats[i] = we_load_float(rounded, to, i);
    }
    bool affine = quant.mode == WE_QUANT_AFFINE;
    struct parts expected = new_parts(quant, to, COUNT);
    we_quantize_row(quant, floats, COUNT, to, expected.packed, expected.scales, affine ? expected.biases : NULL);
    we_dequantize_row(quant, expected.packed, expected.scales, affine ? expected.biases : NULL, affine ? to : WE_U8, COUNT,
                      back);
    for (size_t k = 0; k < num_quantizers; k++) {
        const struct we_quantizer *q = quantizers[k];
        struct parts found = new_parts(quant, to, COUNT);
        q->quantize(quant, values, from, to, COUNT, found.packed, found.scales, affine ? found.biases : NULL);
        assert_same(q->isa, quant, "packed weights", found.packed, expected.packed, expected.packed_size);
        assert_same(q->isa, quant, "scales", found.scales, expected.scales, expected.scales_size);
        assert_same(q->isa, quant, "biases", found.biases, expected.biases, expected.biases_size);
        unsigned char *again = odd(COUNT * sizeof *back);
        if (!affine || to == WE_F32) { /* in float32 there is nothing to round on the way */
            q->dequantize(quant, found.packed, found.scales, affine ? found.biases : NULL, to, COUNT, again, WE_F32);
            assert_same(q->isa, quant, "dequantised values", again, back, COUNT * sizeof *back);
        }
        free(again - 1);
        free_parts(&found);
    }
    free_parts(&expected);
    free(values - 1);
    free(rounded - 1);
    free(floats);
    free(back);
}

static void test_as_reference(void **state)
{
    (void)state;
    for (size_t f = 0; f < sizeof formats / sizeof *formats; f++)
        for (uint32_t from = 0; from < 3; from++)
            for (uint32_t to = 0; to < 3; to++)
                for (uint32_t kind = 0; kind < (formats[f].mode == WE_QUANT_AFFINE ? 6 : 5); kind++)
                    compare_with_reference(formats[f], dtypes[from], dtypes[to], kind);
}

struct record {
    uint32_t mode, bits, group, dtype, rows, in, scale_bytes, has_values;
};

static void test_as_mlx(void **state)
{
    (void)state;
    struct we_buf file = {0};
    assert_int_equal(we_file_read(TEST_DATA "/quant_goldens.bin", 0, &file, NULL), WE_OK);
    const unsigned char *p = (const unsigned char *)file.data, *end = p + file.length, *weights = p;
    p += (size_t)3 * ROWS * IN * 4;
    int rows = 0;
    while (p < end) {
        struct record r;
        memcpy(&r, p, sizeof r);
        p += sizeof r;
        struct we_quant quant = {(enum we_quant_mode)r.mode, r.bits, r.group};
        struct parts found = new_parts(quant, (enum we_dtype)r.dtype, IN);
        for (uint32_t row = 0; row < r.rows; row++, rows++) {
            const unsigned char *w = weights + ((size_t)(r.dtype - 1) * ROWS + row) * IN * 4;
            for (size_t k = 0; k < num_quantizers; k++) {
                quantizers[k]->quantize(quant, w, WE_F32, (enum we_dtype)r.dtype, IN, found.packed, found.scales, found.biases);
                assert_same(quantizers[k]->isa, quant, "packed weights", found.packed, p, found.packed_size);
                assert_same(quantizers[k]->isa, quant, "scales", found.scales, p + found.packed_size, found.scales_size);
                assert_same(quantizers[k]->isa, quant, "biases", found.biases, p + found.packed_size + found.scales_size,
                            found.biases_size);
            }
            p += found.packed_size + found.scales_size + found.biases_size + (r.has_values ? IN * 4 : 0);
        }
        free_parts(&found);
    }
    assert_ptr_equal(p, end);
    assert_int_equal(rows, (18 + 3) * 3 * ROWS);
    we_buf_free(&file);
}

/* Sums in 16 bits are rounded twice, as mlx rounds them: after the product and after the sum. */
static void test_two_roundings(void **state)
{
    (void)state;
    for (size_t k = 0; k < num_quantizers; k++)
        for (int d = 1; d < 3; d++) {
            struct we_quant quant = {WE_QUANT_AFFINE, 8, 32};
            unsigned char packed[32], scale[2], bias[2], out[64];
            for (int i = 0; i < 32; i++)
                packed[i] = (unsigned char)(i * 8 + 3);
            we_store_float(scale, dtypes[d], 0, 0.0123f);
            we_store_float(bias, dtypes[d], 0, -1.17f);
            quantizers[k]->dequantize(quant, packed, scale, bias, dtypes[d], 32, out, dtypes[d]);
            bool differs = false;
            for (size_t i = 0; i < 32; i++) {
                float s = we_load_float(scale, dtypes[d], 0), b = we_load_float(bias, dtypes[d], 0);
                unsigned char once[2], twice[2];
                we_store_float(once, dtypes[d], 0, s * (float)packed[i] + b);
                we_store_float(twice, dtypes[d], 0, s * (float)packed[i]);
                we_store_float(twice, dtypes[d], 0, we_load_float(twice, dtypes[d], 0) + b);
                assert_memory_equal(out + 2 * i, twice, 2);
                differs = differs || memcmp(once, twice, 2) != 0;
            }
            assert_true(differs);
        }
}

/* Every 16-bit number to the other types, and float32 of every exponent to 16 bits; odd counts. */
static void test_cast(void **state)
{
    (void)state;
    enum { HALVES = 65536 };
    unsigned char *values = odd(HALVES * 4), *out = odd(HALVES * 4), *expected = odd(HALVES * 4);
    for (int from = 0; from < 3; from++)
        for (int to = 0; to < 3; to++) {
            size_t size = we_dtype_size(dtypes[from]), to_size = we_dtype_size(dtypes[to]);
            for (uint32_t i = 0; i < HALVES; i++) {
                uint32_t bits = from ? i : i << 16 | (random_u32() & 0xFFFF);
                if (from == 0 && i % 4 == 0) /* halfway between two 16-bit numbers, or next to it */
                    bits = (i << 16 & 0xFFFF0000u) | ((i & 64 ? 0x8000u : 0x1000u) + i / 4 % 3 - 1);
                memcpy(values + i * size, &bits, size);
            }
            bool finite = true;
            for (size_t i = 0; i < HALVES; i++) {
                float value = we_load_float(values, dtypes[from], i);
                if (from == to)
                    memcpy(expected + i * size, values + i * size, size);
                else
                    we_store_float(expected, dtypes[to], i, value);
                finite = finite && (!isfinite(value) || isfinite(we_load_float(expected, dtypes[to], i)));
            }
            for (size_t k = 0; k < num_quantizers; k++) {
                memset(out, 0xA5, HALVES * 4);
                assert_int_equal(quantizers[k]->cast(values, dtypes[from], HALVES - 3, out, dtypes[to]), finite);
                if (memcmp(out, expected, (HALVES - 3) * to_size) != 0)
                    fail_msg("%s: %s to %s differs", quantizers[k]->isa, we_dtype_name(dtypes[from]),
                             we_dtype_name(dtypes[to]));
                for (size_t i = (HALVES - 3) * to_size; i < HALVES * to_size; i++)
                    assert_int_equal(out[i], 0xA5);
                assert_true(quantizers[k]->cast(values, dtypes[from], 0, out, dtypes[to]));
            }
        }
    free(values - 1);
    free(out - 1);
    free(expected - 1);
}

int main(void)
{
    num_quantizers = we_quantizers(quantizers);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_as_reference), cmocka_unit_test(test_as_mlx),
                                       cmocka_unit_test(test_two_roundings), cmocka_unit_test(test_cast)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
