/* Tables of rope against what mlx-lm's classes hold (make_rope_goldens.py). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "arch/bind.h"
#include "base/fs.h"

static void build(const struct we_json *golden, enum we_rope_compat compat, struct we_arena *arena, struct we_rope *rope,
                  uint32_t *switch_length)
{
    struct we_arch_source source = {
        .config = {we_json_get(golden, "config"), "config.json"}, .arena = arena, .rope_compat = compat};
    struct we_rope_config config = {
        .rotary_dim = (uint32_t)we_json_get(golden, "dims")->integer,
        .max_position_embeddings = (uint32_t)we_json_get(golden, "max_position_embeddings")->integer,
        .original_max_position_embeddings = (uint32_t)we_json_get(golden, "original")->integer,
    };
    struct we_error error;
    if (we_rope_build(&source, &config, rope, switch_length, &error) != WE_OK)
        fail_msg("%s", error.message);
}

static void assert_close(const float *values, const struct we_json *expected, uint32_t count)
{
    assert_int_equal(expected->count, count);
    for (uint32_t i = 0; i < count; i++) /* mlx computes the powers in float32 */
        assert_true(fabs(values[i] - expected->items[i].number) <= 4e-6 * expected->items[i].number);
}

static void equals_mlx_lm(void **state)
{
    (void)state;
    struct we_arena arena = {0};
    struct we_buf text = {0};
    struct we_json *goldens;
    assert_int_equal(we_file_read(TEST_DATA "/rope_goldens.json", 0, &text, NULL), WE_OK);
    assert_int_equal(we_json_parse(we_buf_str(&text), NULL, &arena, &goldens, NULL), WE_OK);
    assert_true(goldens->count >= 7);
    bool saw_switch = false;
    for (size_t i = 0; i < goldens->count; i++) {
        const struct we_json *golden = &goldens->items[i];
        struct we_rope rope;
        uint32_t switch_length = 0;
        build(golden, WE_ROPE_PAPER, &arena, &rope, &switch_length);
        assert_close(rope.inv_freq[WE_ROPE_SHORT], we_json_get(golden, "short"), rope.rotary_dim / 2);
        assert_close(rope.inv_freq[WE_ROPE_LONG], we_json_get(golden, "long"), rope.rotary_dim / 2);
        for (int mode = 0; mode < 2; mode++)
            assert_true(fabs(rope.mscale[mode] - we_json_get(golden, "mscale")->number) < 1e-6);
        assert_int_equal(switch_length, we_json_get(golden, "original")->integer);
        if (switch_length == 0)
            continue;
        saw_switch = true;
        switch_length = 0;
        build(golden, WE_ROPE_MLX, &arena, &rope, &switch_length); /* always the long factors */
        assert_int_equal(switch_length, 0);
        assert_close(rope.inv_freq[WE_ROPE_SHORT], we_json_get(golden, "long"), rope.rotary_dim / 2);
    }
    assert_true(saw_switch);
    we_buf_free(&text);
    we_arena_free(&arena);
}

static void refuses_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *config, *message;
    } cases[] = {
        {"{\"rope_scaling\": {\"rope_type\": \"spiral\", \"factor\": 2}}", "spiral"},
        {"{\"rope_scaling\": {\"type\": \"linear\"}}", "factor"},
        {"{\"rope_scaling\": {\"type\": \"linear\", \"factor\": -1}}", "factor"},
        {"{\"rope_scaling\": {\"type\": \"linear\", \"factor\": \"two\"}}", "factor"},
        {"{\"rope_scaling\": {\"type\": \"longrope\", \"long_factor\": [1, 2], \"short_factor\": [1]}}", "original_max"},
        {"{\"rope_theta\": 0}", "rope_theta"},
        {"{\"rope_scaling\": 3}", "rope_scaling"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct we_arena arena = {0};
        struct we_json *json;
        struct we_error error = {0};
        struct we_rope rope;
        uint32_t switch_length = 0;
        assert_int_equal(we_json_parse(we_str_c(cases[i].config), NULL, &arena, &json, NULL), WE_OK);
        struct we_arch_source source = {.config = {json, "config.json"}, .arena = &arena};
        struct we_rope_config config = {.rotary_dim = 16};
        assert_int_not_equal(we_rope_build(&source, &config, &rope, &switch_length, &error), WE_OK);
        if (strstr(error.message, cases[i].message) == NULL)
            fail_msg("'%s' does not name %s", error.message, cases[i].message);
        we_arena_free(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_mlx_lm),
        cmocka_unit_test(refuses_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
