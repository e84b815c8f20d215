/* Typed values of a config: defaults, wrong types and ranges, with messages that name file, key and value. */
#include "test_files.h"

#include "format/model_config.h"

#include <math.h>

static struct we_arena arena;
static struct we_config config;
static struct we_error error;

static int open_values(void **state)
{
    if (make_folder(state) != 0)
        return -1;
    put_text(
        "config.json",
        "{\"n\": 12, \"whole\": 8192.0, \"half\": 0.5, \"minus\": -1, \"big\": 4294967296, \"huge\": 1e300, \"yes\": true, "
        "\"no\": false, \"nothing\": null, \"text\": \"abc\", \"inf\": Infinity, \"tagged\": {\"__float__\": \"-Infinity\"}, "
        "\"badtag\": {\"__float__\": \"x\"}, \"list\": [1, 2.5, Infinity], \"ids\": [1, 2, 3], \"bad\": [1, \"x\"], "
        "\"empty\": [], \"inner\": {\"n\": 3, \"m\": \"x\"}, \"max\": 4294967295}");
    return we_config_open(test_folder, &arena, &config, &error) == WE_OK ? 0 : -1;
}

static int close_values(void **state)
{
    we_arena_free(&arena);
    return remove_folder(state);
}

#define HAS(text) assert_non_null(strstr(error.message, text))

static void test_u32(void **state)
{
    (void)state;
    uint32_t value = 7;
    assert_int_equal(we_config_u32(&config, "absent", &value, &error), WE_OK);
    assert_int_equal(we_config_u32(&config, "nothing", &value, &error), WE_OK);
    assert_int_equal(value, 7);
    assert_int_equal(we_config_u32(&config, "n", &value, &error), WE_OK);
    assert_int_equal(value, 12);
    assert_int_equal(we_config_u32(&config, "whole", &value, &error), WE_OK);
    assert_int_equal(value, 8192);
    assert_int_equal(we_config_u32(&config, "max", &value, &error), WE_OK);
    assert_int_equal(value, UINT32_MAX);
    static const char *const bad[] = {"half", "minus", "big", "huge", "yes", "text", "list", "inner", "inf"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(we_config_u32(&config, bad[i], &value, &error), WE_INVALID_FORMAT);
        HAS("config.json");
        HAS(bad[i]);
        HAS("an integer from 0 to 4294967295");
    }
    assert_int_equal(value, UINT32_MAX);
    assert_int_equal(we_config_u32(&config, "text", &value, &error), WE_INVALID_FORMAT);
    HAS("\"text\" is \"abc\"");
    assert_int_equal(we_config_u32(&config, "minus", &value, &error), WE_INVALID_FORMAT);
    HAS("\"minus\" is -1");
    assert_int_equal(we_config_require_u32(&config, "nothing", &value, &error), WE_INVALID_FORMAT);
    HAS("\"nothing\" is missing");
    assert_int_equal(we_config_require_u32(&config, "n", &value, &error), WE_OK);
}

static void test_float(void **state)
{
    (void)state;
    float value = 7;
    assert_int_equal(we_config_float(&config, "absent", &value, &error), WE_OK);
    assert_true(value == 7);
    assert_int_equal(we_config_float(&config, "n", &value, &error), WE_OK);
    assert_true(value == 12);
    assert_int_equal(we_config_float(&config, "half", &value, &error), WE_OK);
    assert_true(value == 0.5f);
    assert_int_equal(we_config_float(&config, "inf", &value, &error), WE_OK);
    assert_true(isinf(value));
    assert_int_equal(we_config_float(&config, "tagged", &value, &error), WE_OK);
    assert_true(isinf(value) && value < 0);
    static const char *const bad[] = {"huge", "yes", "text", "badtag", "inner", "list"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(we_config_float(&config, bad[i], &value, &error), WE_INVALID_FORMAT);
    assert_int_equal(we_config_require_float(&config, "absent", &value, &error), WE_INVALID_FORMAT);
}

static void test_others(void **state)
{
    (void)state;
    bool flag = true;
    assert_int_equal(we_config_bool(&config, "absent", &flag, &error), WE_OK);
    assert_true(flag);
    assert_int_equal(we_config_bool(&config, "no", &flag, &error), WE_OK);
    assert_false(flag);
    assert_int_equal(we_config_bool(&config, "n", &flag, &error), WE_INVALID_FORMAT);
    struct we_str text = we_str_c("default");
    assert_int_equal(we_config_string(&config, "absent", &text, &error), WE_OK);
    assert_true(we_str_equal_c(text, "default"));
    assert_int_equal(we_config_string(&config, "text", &text, &error), WE_OK);
    assert_true(we_str_equal_c(text, "abc"));
    assert_int_equal(we_config_string(&config, "n", &text, &error), WE_INVALID_FORMAT);
    HAS("a string was expected");
    assert_int_equal(we_config_require_string(&config, "absent", &text, &error), WE_INVALID_FORMAT);
}

static void test_inner(void **state)
{
    (void)state;
    struct we_config inner;
    uint32_t value = 0;
    assert_int_equal(we_config_object(&config, "absent", &arena, &inner, &error), WE_OK);
    assert_null(inner.json);
    assert_int_equal(we_config_u32(&inner, "n", &value, &error), WE_OK); /* of nothing: nothing */
    assert_int_equal(value, 0);
    assert_int_equal(we_config_object(&config, "inner", &arena, &inner, &error), WE_OK);
    assert_int_equal(we_config_u32(&inner, "n", &value, &error), WE_OK);
    assert_int_equal(value, 3);
    assert_int_equal(we_config_u32(&inner, "m", &value, &error), WE_INVALID_FORMAT);
    HAS("config.json: inner: \"m\"");
    assert_int_equal(we_config_object(&config, "list", &arena, &inner, &error), WE_INVALID_FORMAT);
}

static void test_arrays(void **state)
{
    (void)state;
    const float *floats;
    const uint32_t *ids;
    uint32_t count;
    assert_int_equal(we_config_floats(&config, "absent", &arena, &floats, &count, &error), WE_OK);
    assert_null(floats);
    assert_int_equal(we_config_floats(&config, "list", &arena, &floats, &count, &error), WE_OK);
    assert_int_equal(count, 3);
    assert_true(floats[1] == 2.5f && isinf(floats[2]));
    assert_int_equal(we_config_floats(&config, "bad", &arena, &floats, &count, &error), WE_INVALID_FORMAT);
    assert_int_equal(we_config_floats(&config, "n", &arena, &floats, &count, &error), WE_INVALID_FORMAT);
    assert_int_equal(we_config_u32s(&config, "n", &arena, &ids, &count, &error), WE_OK);
    assert_int_equal(count, 1);
    assert_int_equal(ids[0], 12);
    assert_int_equal(we_config_u32s(&config, "ids", &arena, &ids, &count, &error), WE_OK);
    assert_int_equal(count, 3);
    assert_int_equal(ids[2], 3);
    assert_int_equal(we_config_u32s(&config, "empty", &arena, &ids, &count, &error), WE_OK);
    assert_int_equal(count, 0);
    assert_int_equal(we_config_u32s(&config, "list", &arena, &ids, &count, &error), WE_INVALID_FORMAT);
    assert_int_equal(we_config_u32s(&config, "text", &arena, &ids, &count, &error), WE_INVALID_FORMAT);
}

static void test_files(void **state)
{
    (void)state;
    struct we_config other;
    assert_int_equal(we_config_open(in_folder("none"), &arena, &other, &error), WE_NOT_FOUND);
    HAS("no such directory");
    assert_int_equal(we_config_open_file(test_folder, "generation_config.json", &arena, &other, &error), WE_NOT_FOUND);
    unlink(in_folder("config.json"));
    assert_int_equal(we_config_open(test_folder, &arena, &other, &error), WE_NOT_FOUND);
    HAS("no model directory");
    static const char *const bad[] = {"", "[]", "{", "{\"a\": }", "{} {}", "\"x\"", "{\"a\": 01}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put_text("config.json", bad[i]);
        assert_int_equal(we_config_open(test_folder, &arena, &other, &error), WE_INVALID_FORMAT);
        HAS("config.json");
    }
}

#define WITH_VALUES(test) cmocka_unit_test_setup_teardown(test, open_values, close_values)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_VALUES(test_u32),   WITH_VALUES(test_float),  WITH_VALUES(test_others),
        WITH_VALUES(test_inner), WITH_VALUES(test_arrays), WITH_VALUES(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
