/* What the sampler is built of: MLX's random numbers, its exponential, sorting and selecting. */
#include "base/fs.h"
#include "base/json.h"
#include "sample/exponential.h"
#include "sample/order.h"
#include "sample/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* after those that it needs */
#include <cmocka.h>

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float unit(uint32_t word)
{
    float u = (float)word / 0x1p32f;
    return u < 1 ? u : 0x1.fffffep-1f;
}

static void check_numbers(const struct we_json *item)
{
    struct we_random random;
    uint32_t words[16];
    we_random_seed(&random, strtoull(we_json_get(item, "seed")->string.data, NULL, 10));
    const struct we_json *split = we_json_get(item, "split"), *several = we_json_get(item, "several");
    for (size_t i = 0; i < split->count; i++) {
        we_random_bits(random.key, words, split->items[i].count);
        for (size_t j = 0; j < split->items[i].count; j++)
            assert_int_equal(words[j], split->items[i].items[j].integer);
    }
    for (size_t i = 0; i < several->count; i++) {
        we_random_bits(random.key, words, several->items[i].count);
        for (size_t j = 0; j < several->items[i].count; j++)
            assert_int_equal(bits_of(unit(words[j])), several->items[i].items[j].integer);
    }
    const struct we_json *uniform = we_json_get(item, "uniform");
    assert_true(split->count == 3 && several->count == 4 && uniform->count == 4);
    for (size_t i = 0; i < uniform->count; i++)
        assert_int_equal(bits_of(we_random_uniform(&random)), uniform->items[i].integer);
}

static void test_random_numbers_are_those_of_mlx(void **state)
{
    (void)state;
    struct we_buf text = {0};
    struct we_arena arena = {0};
    struct we_json *tree;
    struct we_error error;
    assert_int_equal(we_file_read(TEST_DATA "/sampler_goldens.json", 0, &text, &error), WE_OK);
    assert_int_equal(we_json_parse(we_buf_str(&text), "sampler_goldens.json", &arena, &tree, &error), WE_OK);
    const struct we_json *list = we_json_get(tree, "random");
    assert_true(list && list->count == 5);
    for (size_t i = 0; i < list->count; i++)
        check_numbers(&list->items[i]);
    we_arena_free(&arena);
    we_buf_free(&text);
}

/* Near the true exponential, the same bits in every form, exact where the sampler relies on it. */
static void test_exponential(void **state)
{
    (void)state;
    float in[WE_EXP_BLOCK], out[WE_EXP_BLOCK], generic[WE_EXP_BLOCK];
    struct we_random random;
    we_random_seed(&random, 3);
    for (int round = 0; round < 200; round++) {
        for (int i = 0; i < WE_EXP_BLOCK; i++)
            in[i] = we_random_uniform(&random) * (round % 2 ? -90.0f : -2.0f);
        in[0] = 0;
        in[1] = -INFINITY;
        in[2] = -88.0f;
        in[3] = -88.00001f;
        in[4] = -0.34657359f; /* about where the integer part changes */
        in[5] = -1e30f;
        we_exp_block_best()(in, 0, out);
        we_exp_block_generic(in, 0, generic);
        assert_memory_equal(out, generic, sizeof out);
        assert_true(out[0] == 1 && out[1] == 0 && out[3] == 0 && out[5] == 0);
        for (int i = 6; i < WE_EXP_BLOCK; i++)
            if (in[i] > -87)
                assert_true(fabs((double)out[i] - exp((double)in[i])) <= 2e-5 * exp((double)in[i]));
    }
    for (size_t n = 1; n < 2 * WE_EXP_BLOCK; n += 37) { /* a part of a block; the order of the sum */
        float values[2 * WE_EXP_BLOCK], sum = 0;
        for (size_t i = 0; i < n; i++) {
            values[i] = we_random_uniform(&random);
            float one[WE_EXP_BLOCK];
            we_exp_some(we_exp_block_generic, &values[i], 0.5f, one, 1);
            sum += one[0];
        }
        assert_int_equal(bits_of(we_exp_sum(we_exp_block_best(), values, 0.5f, n)), bits_of(sum));
    }
}

static int descending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return x > y ? -1 : x < y;
}

static void test_order(void **state)
{
    (void)state;
    enum { MOST = 5000 };
    static float values[MOST];
    static uint32_t keys[MOST], other[MOST];
    struct we_random random;
    we_random_seed(&random, 8);
    for (int round = 0; round < 300; round++) {
        size_t n = (size_t)(we_random_uniform(&random) * (round % 3 ? 40 : MOST)) + 1;
        float spread = round % 5 == 0 ? 4 : 1000;
        for (size_t i = 0; i < n; i++) {
            values[i] = (we_random_uniform(&random) - 0.5f) * spread;
            if (round % 5 < 2)
                values[i] = rintf(values[i]) + 0.0f; /* ties */
            keys[i] = we_order_key(values[i]);
            assert_true(we_order_value(keys[i]) == values[i]);
        }
        qsort(values, n, sizeof *values, descending);
        size_t rank = (size_t)(we_random_uniform(&random) * (float)n), below;
        memcpy(other, keys, n * sizeof *keys);
        assert_true(we_order_value(we_order_select(other, n, rank, &below)) == values[rank]);
        assert_true(below <= rank && values[below] == values[rank] && (below == 0 || values[below - 1] > values[rank]));
        we_order_sort(keys, other, n);
        for (size_t i = 0; i < n; i++)
            assert_true(we_order_value(keys[i]) == values[i]);
    }
    we_order_sort(keys, other, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_numbers_are_those_of_mlx),
        cmocka_unit_test(test_exponential),
        cmocka_unit_test(test_order),
    };
    return cmocka_run_group_tests_name("numbers", tests, NULL, NULL);
}
