/* Conversions between float types, against the arithmetic of double; names and sizes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tensor/tensor.h"

#include <math.h>

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

/* The definition: sign, exponent, mantissa. */
static double f16_value(uint32_t bits)
{
    double sign = bits & 0x8000 ? -1 : 1;
    int exponent = bits >> 10 & 31, mantissa = bits & 0x3FF;
    if (exponent == 31)
        return mantissa ? NAN : sign * INFINITY;
    return sign * (exponent ? ldexp(1024 + mantissa, exponent - 25) : ldexp(mantissa, -24));
}

static void test_f16_all(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 65536; bits++) {
        float value = we_f32_from_f16((uint16_t)bits);
        double expected = f16_value(bits);
        if (isnan(expected)) {
            assert_true(isnan(value));
            assert_true(isnan(f16_value(we_f16_from_f32(value))));
            continue;
        }
        assert_true(value == (float)expected && (signbit(value) != 0) == (bits >> 15 != 0));
        assert_int_equal(we_f16_from_f32(value), bits);
    }
}

/* Halfway between neighbours goes to the even one; a hair beside it to the nearer. */
static void test_f16_rounding(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 0x7BFF; bits++) {
        float middle = (float)((f16_value(bits) + f16_value(bits + 1)) / 2);
        assert_int_equal(we_f16_from_f32(middle), bits + (bits & 1));
        assert_int_equal(we_f16_from_f32(-middle), 0x8000 + bits + (bits & 1));
        assert_int_equal(we_f16_from_f32(nextafterf(middle, 0)), bits);
        assert_int_equal(we_f16_from_f32(nextafterf(middle, INFINITY)), bits + 1);
    }
    assert_int_equal(we_f16_from_f32(65519.996f), 0x7BFF);
    assert_int_equal(we_f16_from_f32(65520.0f), 0x7C00);
    assert_int_equal(we_f16_from_f32(-3e38f), 0xFC00);
}

static void test_bf16(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 65536; bits++) {
        float value = we_f32_from_bf16((uint16_t)bits);
        if (isnan(value)) {
            assert_true(isnan(we_f32_from_bf16(we_bf16_from_f32(value))));
            continue;
        }
        assert_int_equal(we_bf16_from_f32(value), bits);
        if ((bits & 0x7FFF) >= 0x7F80)
            continue;
        assert_int_equal(we_bf16_from_f32(float_of(bits << 16 | 0x8000)), bits + (bits & 1));
        assert_int_equal(we_bf16_from_f32(float_of(bits << 16 | 0x7FFF)), bits);
        assert_int_equal(we_bf16_from_f32(float_of(bits << 16 | 0x8001)), bits + 1);
    }
    assert_true(isnan(we_f32_from_bf16(we_bf16_from_f32(float_of(0x7F800001)))));
}

static void test_unaligned(void **state)
{
    (void)state;
    static const enum we_dtype types[] = {WE_F32, WE_F16, WE_BF16};
    for (int t = 0; t < 3; t++) {
        unsigned char bytes[64] = {0};
        float out[5];
        for (int i = 0; i < 5; i++)
            we_store_float(bytes + 3, types[t], (size_t)i, (float)(i - 2) * 1.5f);
        we_floats_to_f32(bytes + 3, types[t], 5, out);
        for (int i = 0; i < 5; i++) {
            assert_true(out[i] == (float)(i - 2) * 1.5f);
            assert_true(we_load_float(bytes + 3, types[t], (size_t)i) == out[i]);
        }
        assert_int_equal(bytes[2], 0);
        assert_int_equal(bytes[3 + 5 * we_dtype_size(types[t])], 0);
    }
}

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t size;
    } types[] = {{"F32", 4}, {"F16", 2}, {"BF16", 2}, {"F64", 8}, {"U8", 1},   {"I8", 1},      {"U16", 2},     {"I16", 2},
                 {"U32", 4}, {"I32", 4}, {"U64", 8},  {"I64", 8}, {"BOOL", 1}, {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"F8_E8M0", 1}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        enum we_dtype dtype = we_dtype_from_name(we_str_c(types[i].name));
        assert_int_not_equal(dtype, WE_DTYPE_NONE);
        assert_string_equal(we_dtype_name(dtype), types[i].name);
        assert_int_equal(we_dtype_size(dtype), types[i].size);
    }
    assert_int_equal(we_dtype_from_name(we_str_c("F4")), WE_DTYPE_NONE);
    assert_int_equal(we_dtype_from_name(we_str_c("none")), WE_DTYPE_NONE);
    assert_int_equal(we_dtype_from_name(we_str_c("f32")), WE_DTYPE_NONE);
}

static void test_shape_text(void **state)
{
    (void)state;
    char text[128];
    struct we_tensor t = {.num_dims = 2, .shape = {2, 3}};
    assert_string_equal(we_tensor_shape_text(&t, text), "[2, 3]");
    assert_int_equal(we_tensor_count(&t), 6);
    t.num_dims = 0;
    assert_string_equal(we_tensor_shape_text(&t, text), "[]");
    assert_int_equal(we_tensor_count(&t), 1);
    t.num_dims = WE_MAX_DIMS;
    for (int i = 0; i < WE_MAX_DIMS; i++)
        t.shape[i] = UINT64_MAX;
    assert_true(strlen(we_tensor_shape_text(&t, text)) < 128); /* the longest there can be */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f16_all),   cmocka_unit_test(test_f16_rounding), cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_unaligned), cmocka_unit_test(test_names),        cmocka_unit_test(test_shape_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
