/* What the command's own tests (tests/cli/test_validate.py) do not reach: the table of known replies against the goldens, each
 * type of values, and a caller who stops. */
#include "support.h"

#include "engine/validate.h"

#include <math.h>

static struct we_arena arena;

/* ---- known replies ---- */

static bool begins_with(const struct we_json *array, const uint32_t *ids, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (i >= array->count || array->items[i].integer != ids[i])
            return false;
    return true;
}

/* Each prompt of the table is one of the goldens, whole, and each reply is what stands there before the end token. */
static void test_known_replies(void **state)
{
    (void)state;
    const struct we_json *goldens = json_file(&arena, TEST_DATA "/smollm2.json"), *greedy = we_json_get(goldens, "greedy");
    const int64_t end = we_json_get(goldens, "end")->items[0].integer;
    assert_int_equal(we_num_known_models, 1);
    for (size_t r = 0; r < sizeof we_known_models[0].replies / sizeof *we_known_models[0].replies; r++) {
        const uint32_t *prompt = we_known_models[0].replies[r].prompt, *reply = we_known_models[0].replies[r].reply;
        const uint32_t num_prompt = we_known_models[0].replies[r].num_prompt,
                       num_reply = we_known_models[0].replies[r].num_reply;
        size_t found = 0;
        for (size_t i = 0; i < greedy->count; i++) {
            const struct we_json *ids = we_json_get(&greedy->items[i], "ids"),
                                 *tokens = we_json_get(&greedy->items[i], "tokens");
            const struct we_json *gaps = we_json_get(&greedy->items[i], "gaps");
            if (ids->count != num_prompt || !begins_with(ids, prompt, num_prompt))
                continue;
            found++;
            assert_true(begins_with(tokens, reply, num_reply));
            assert_int_equal(tokens->items[num_reply].integer, end);
            for (uint32_t t = 0; t < num_reply; t++) /* another order of summation must not pick another token */
                assert_true(gaps->items[t].number > 10 * CLOSE_CALL);
        }
        assert_int_equal(found, 1);
    }
}

/* ---- values ---- */

struct told {
    int counts[WE_CHECK_SKIPPED + 1];
    int stop_after; /* 0: never */
};

static bool on_check(void *context, const struct we_check *check)
{
    struct told *told = context;
    int all = 0;
    told->counts[check->mark]++;
    for (int i = 0; i <= WE_CHECK_SKIPPED; i++)
        all += told->counts[i];
    return told->stop_after == 0 || all < told->stop_after;
}

/* One tensor of `size` bytes as a part of a module; true: all its values are finite. */
static bool values_are_finite(enum we_dtype dtype, enum we_quant_mode mode, bool is_scale, const void *data, size_t size)
{
    struct told told = {.stop_after = 0};
    struct we_validate_options options = {.on_check = on_check, .context = &told};
    struct we_tensor part = {.name = {"part", 4}, .dtype = dtype, .num_dims = 1, .data = data, .size = size, .file = "file"};
    struct we_tensor other = part;
    part.shape[0] = other.shape[0] = size / we_dtype_size(dtype);
    other.size = 0;
    struct we_model_tensor module = {.tensor = is_scale ? &other : &part, .linear = true, .quant = {mode, 8, 32}};
    module.scales = is_scale ? &part : NULL;
    struct we_model_tensors tensors = {.list = &module, .count = 1};
    struct we_validator v = {.options = &options, .group = "files", .again = "again"};
    assert_int_equal(we_safetensors_view(&part, 1, &v.weights, NULL), WE_OK);
    bool result = we_validate_values(&v, &tensors, &(struct we_remake){0});
    assert_int_equal(told.counts[WE_CHECK_FAILED], result ? 0 : 1);
    assert_int_equal(told.counts[WE_CHECK_PASSED], result ? 1 : 0);
    we_safetensors_close(v.weights);
    we_arena_free(&v.arena);
    return result;
}

/* Every pattern of 16 bits, at every place of a word and of what is left behind the last one. */
static void test_values_of_16_bits(void **state)
{
    (void)state;
    const enum we_dtype dtypes[] = {WE_F16, WE_BF16};
    for (int d = 0; d < 2; d++)
        for (uint32_t bits = 0; bits <= UINT16_MAX; bits += bits < 0x7B00 || bits > 0x8100 ? 37 : 1) {
            uint16_t values[11];
            const size_t at = bits % 11;
            for (size_t i = 0; i < 11; i++)
                values[i] = i % 2 ? 0x3C01 : 0xBFFF;
            values[at] = (uint16_t)bits;
            const double value = (double)we_load_float(values, dtypes[d], at);
            assert_true(values_are_finite(dtypes[d], WE_QUANT_NONE, false, values, sizeof values) == (isfinite(value) != 0));
        }
}

static void test_values_of_other_types(void **state)
{
    (void)state;
    const float good[] = {0, -0.0f, 1, 3.402823466e38f, -3.402823466e38f, 1e-45f, 5}, bad[] = {NAN, -NAN, INFINITY, -INFINITY};
    assert_true(values_are_finite(WE_F32, WE_QUANT_NONE, false, good, sizeof good));
    for (size_t b = 0; b < 4; b++)
        for (size_t at = 0; at < 7; at++) {
            float values[7];
            memcpy(values, good, sizeof values);
            values[at] = bad[b];
            assert_false(values_are_finite(WE_F32, WE_QUANT_NONE, false, values, sizeof values));
        }
    for (unsigned byte = 0; byte < 256; byte++) {
        unsigned char scales[13];
        memset(scales, 0x38, sizeof scales);
        scales[byte % 13] = (unsigned char)byte;
        assert_true(values_are_finite(WE_U8, WE_QUANT_NVFP4, true, scales, sizeof scales) == ((byte & 0x7F) != 0x7F));
        assert_true(values_are_finite(WE_U8, WE_QUANT_MXFP4, true, scales, sizeof scales) == (byte != 0xFF));
        assert_true(values_are_finite(WE_U8, WE_QUANT_MXFP8, true, scales, sizeof scales) == (byte != 0xFF));
        assert_true(values_are_finite(WE_U32, WE_QUANT_MXFP8, false, scales, 12) == ((byte & 0x7F) != 0x7F || byte % 13 == 12));
        assert_true(values_are_finite(WE_U32, WE_QUANT_AFFINE, false, scales, 12)); /* integers */
    }
}

/* ---- the callers ---- */

static void test_stopping(void **state)
{
    (void)state;
    struct told all = {.stop_after = 0};
    struct we_error error;
    struct we_validate_options options = {.on_check = on_check, .context = &all, .no_speed = true};
    const char *path = model_path("llama-chat");
    assert_int_equal(we_validate_platform(&options, &error), WE_OK);
    assert_int_equal(we_validate_model(path, &options, &error), WE_OK);
    int count = all.counts[WE_CHECK_PASSED] + all.counts[WE_CHECK_WARNING] + all.counts[WE_CHECK_SKIPPED];
    assert_int_equal(all.counts[WE_CHECK_FAILED], 0);
    assert_true(count > 20);
    for (int stop = 1; stop < 20; stop++) {
        struct told told = {.stop_after = stop};
        options.context = &told;
        we_status status = we_validate_platform(&options, &error);
        if (status == WE_OK)
            status = we_validate_model(path, &options, &error);
        assert_int_equal(status, WE_CANCELLED);
        assert_int_equal(told.counts[WE_CHECK_PASSED] + told.counts[WE_CHECK_WARNING] + told.counts[WE_CHECK_SKIPPED], stop);
    }
}

static void test_nobody_listens(void **state)
{
    (void)state;
    struct we_error error;
    struct we_validate_options options = {.no_speed = true};
    assert_int_equal(we_validate_model(model_path("llama-chat"), &options, &error), WE_OK);
    assert_int_equal(we_validate_model("no/such", &options, &error), WE_OK);
    assert_int_equal(we_validate_model(NULL, &options, &error), WE_OK);
}

static void test_shell_words(void **state)
{
    (void)state;
    struct we_validator v = {.group = ""};
    assert_string_equal(we_shell_word(&v, "org/name-4bit"), "org/name-4bit");
    assert_string_equal(we_shell_word(&v, ""), "''");
    assert_string_equal(we_shell_word(&v, "~/x"), "'~/x'");
    assert_string_equal(we_shell_word(&v, "a b"), "'a b'");
    assert_string_equal(we_shell_word(&v, "it's; rm $x"), "'it'\\''s; rm $x'");
    we_arena_free(&v.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_replies),         cmocka_unit_test(test_values_of_16_bits),
        cmocka_unit_test(test_values_of_other_types), cmocka_unit_test(test_stopping),
        cmocka_unit_test(test_nobody_listens),        cmocka_unit_test(test_shell_words),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    we_arena_free(&arena);
    return failed;
}
