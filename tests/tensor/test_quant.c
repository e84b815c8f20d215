/* Quantising and dequantising, bit by bit against mlx; the formats that exist. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fs.h"
#include "tensor/quant.h"

#include <math.h>

enum { ROWS = 3, IN = 128, MAX_IN = 512 };

struct record {
    uint32_t mode, bits, group, dtype, rows, in, scale_bytes, has_values;
};

/* Copied to the end of a buffer, so that a read past the end is found, and at an odd address. */
static const unsigned char *place(unsigned char *buffer, size_t capacity, const void *data, size_t size)
{
    memcpy(buffer + capacity - size, data, size);
    return buffer + capacity - size;
}

static const unsigned char *check_row(const struct record *r, const unsigned char *weights, const unsigned char *p)
{
    struct we_quant quant = {(enum we_quant_mode)r->mode, r->bits, r->group};
    bool affine = quant.mode == WE_QUANT_AFFINE;
    enum we_dtype scale_dtype = (enum we_dtype)r->dtype;
    size_t packed_bytes = we_quant_row_bytes(quant, r->in);
    float w[MAX_IN], values[MAX_IN];
    unsigned char packed[MAX_IN + 1], scales[MAX_IN + 1], biases[MAX_IN + 1];
    memcpy(w, weights, r->in * sizeof *w);
    we_quantize_row(quant, w, r->in, scale_dtype, packed + 1, scales + 1, affine ? biases + 1 : NULL);
    assert_memory_equal(packed + 1, p, packed_bytes);
    assert_memory_equal(scales + 1, p + packed_bytes, r->scale_bytes);
    if (affine)
        assert_memory_equal(biases + 1, p + packed_bytes + r->scale_bytes, r->scale_bytes);
    unsigned char a[MAX_IN], b[MAX_IN], c[MAX_IN];
    const unsigned char *weight_at = place(a, sizeof a, p, packed_bytes),
                        *scales_at = place(b, sizeof b, p + packed_bytes, r->scale_bytes);
    p += packed_bytes + r->scale_bytes;
    const unsigned char *biases_at = affine ? place(c, sizeof c, p, r->scale_bytes) : NULL;
    p += affine ? r->scale_bytes : 0;
    we_dequantize_row(quant, weight_at, scales_at, biases_at, affine ? scale_dtype : WE_U8, r->in, values);
    if (r->has_values) {
        for (uint32_t i = 0; i < r->in; i++)
            assert_true(memcmp(&values[i], p + i * 4, 4) == 0 || values[i] == we_load_float(p, WE_F32, i));
        p += r->in * sizeof *values;
    }
    return p;
}

static void test_as_mlx(void **state)
{
    (void)state;
    struct we_buf file = {0};
    assert_int_equal(we_file_read(TEST_DATA "/quant_goldens.bin", 0, &file, NULL), WE_OK);
    const unsigned char *p = (const unsigned char *)file.data, *end = p + file.length;
    const unsigned char *weights = p;
    p += (size_t)3 * ROWS * IN * 4;
    int records = 0;
    for (; p < end; records++) {
        struct record r;
        memcpy(&r, p, sizeof r);
        p += sizeof r;
        assert_int_equal(r.rows, ROWS);
        assert_int_equal(r.in, IN);
        for (uint32_t row = 0; row < r.rows; row++)
            p = check_row(&r, weights + ((size_t)(r.dtype - 1) * ROWS + row) * IN * 4, p);
    }
    assert_ptr_equal(p, end);
    assert_int_equal(records, (18 + 3) * 3);
    we_buf_free(&file);
}

/* Every element and every scale of the small floats, NaN included. */
static void test_small_floats(void **state)
{
    (void)state;
    struct we_buf file = {0};
    assert_int_equal(we_file_read(TEST_DATA "/small_floats.bin", 0, &file, NULL), WE_OK);
    const char *p = file.data;
    for (int mode = WE_QUANT_MXFP4; mode <= WE_QUANT_NVFP4; mode++) {
        const struct we_quant quant = we_quant_defaults((enum we_quant_mode)mode);
        const uint32_t elements = quant.bits == 4 ? 16 : 256;
        const uint8_t scale_one = quant.mode == WE_QUANT_NVFP4 ? 0x38 : 127, one = quant.bits == 4 ? 0x22 : 0x38;
        for (uint32_t i = 0; i < elements + 256; i++, p += sizeof(float)) {
            uint8_t weight[32], scale = i < elements ? scale_one : (uint8_t)(i - elements);
            float out[32], expected;
            memset(weight, i >= elements ? one : quant.bits == 4 ? (int)(i | i << 4) : (int)i, sizeof weight);
            we_dequantize_row(quant, weight, &scale, NULL, WE_U8, quant.group_size, out);
            memcpy(&expected, p, sizeof expected);
            if (isnan(expected) ? !isnan(out[5]) : out[5] != expected)
                fail_msg("%s, byte %u: %a, where mlx has %a", we_quant_mode_name(quant.mode), i, out[5], expected);
        }
    }
    assert_ptr_equal(p, file.data + file.length);
    we_buf_free(&file);
}

/* A value whose bits are all written out: 3 bits, 8 values in 3 bytes. */
static void test_bit_stream(void **state)
{
    (void)state;
    const unsigned char row[] = {0x88, 0xC6, 0xFA};
    for (uint32_t i = 0; i < 8; i++)
        assert_int_equal(we_unpack_bits(row, 3, i), i);
    const unsigned char six[] = {0x41, 0x20, 0xFC};
    const uint32_t expected[] = {1, 1, 2, 63};
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(we_unpack_bits(six, 6, i), expected[i]);
}

static void test_not_finite(void **state)
{
    (void)state;
    float w[64], out[64];
    unsigned char packed[64], scales[16], biases[16];
    for (int i = 0; i < 64; i++)
        w[i] = i % 3 == 0 ? NAN : i % 3 == 1 ? INFINITY : -INFINITY;
    static const struct we_quant formats[] = {{WE_QUANT_AFFINE, 4, 32},
                                              {WE_QUANT_AFFINE, 8, 64},
                                              {WE_QUANT_MXFP4, 4, 32},
                                              {WE_QUANT_MXFP8, 8, 32},
                                              {WE_QUANT_NVFP4, 4, 16}};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) { /* any values, but no undefined behaviour */
        we_quantize_row(formats[i], w, 64, WE_F16, packed, scales, biases);
        we_dequantize_row(formats[i], packed, scales, biases, WE_F16, 64, out);
    }
}

static void test_formats(void **state)
{
    (void)state;
    static const struct {
        struct we_quant quant;
        bool valid;
    } cases[] = {
        {{WE_QUANT_AFFINE, 2, 32}, true},  {{WE_QUANT_AFFINE, 3, 64}, true},         {{WE_QUANT_AFFINE, 8, 128}, true},
        {{WE_QUANT_AFFINE, 7, 64}, false}, {{WE_QUANT_AFFINE, 1, 64}, false},        {{WE_QUANT_AFFINE, 9, 64}, false},
        {{WE_QUANT_AFFINE, 4, 16}, false}, {{WE_QUANT_AFFINE, 4, 0}, false},         {{WE_QUANT_AFFINE, 4, 256}, false},
        {{WE_QUANT_MXFP4, 4, 32}, true},   {{WE_QUANT_MXFP4, 4, 64}, false},         {{WE_QUANT_MXFP8, 8, 32}, true},
        {{WE_QUANT_MXFP8, 4, 32}, false},  {{WE_QUANT_NVFP4, 4, 16}, true},          {{WE_QUANT_NVFP4, 4, 32}, false},
        {{WE_QUANT_NONE, 0, 0}, false},    {{(enum we_quant_mode)99, 4, 32}, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(we_quant_valid(cases[i].quant), cases[i].valid);
    static const char *const names[] = {"affine", "mxfp4", "mxfp8", "nvfp4"};
    static const uint32_t bits[] = {4, 4, 8, 4}, groups[] = {64, 32, 32, 16};
    enum we_quant_mode mode;
    for (int i = 0; i < 4; i++) {
        assert_true(we_quant_mode_from_name(we_str_c(names[i]), &mode));
        assert_string_equal(we_quant_mode_name(mode), names[i]);
        assert_int_equal(we_quant_defaults(mode).bits, bits[i]);
        assert_int_equal(we_quant_defaults(mode).group_size, groups[i]);
    }
    assert_false(we_quant_mode_from_name(we_str_c("none"), &mode));
    assert_false(we_quant_mode_from_name(we_str_c("int4"), &mode));
    assert_int_equal(we_quant_row_bytes((struct we_quant){WE_QUANT_AFFINE, 5, 64}, 192), 120);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_mlx),
        cmocka_unit_test(test_small_floats),
        cmocka_unit_test(test_bit_stream),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_formats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
