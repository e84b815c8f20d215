/* Perplexity against mlx-lm (make_perplexity_goldens.py): tiny models, and SmolLM2 where it is. */
#include "support.h"

#include "base/fs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static struct we_arena arena;
static const struct we_json *goldens;

static double number(const struct we_json *json, const char *key)
{
    return we_json_get(json, key)->number;
}

static void check(struct we_model *model, const uint32_t *ids, size_t count, uint32_t max_windows, const struct we_json *golden)
{
    struct we_perplexity found;
    struct we_error error;
    struct we_perplexity_options options = {.window = (uint32_t)number(golden, "window"), .max_windows = max_windows};
    if (we_perplexity(model, ids, count, &options, &found, &error) != WE_OK)
        fail_msg("%s", error.message);
    double expected = number(golden, "perplexity"), spread = number(golden, "standard_error");
    if (fabs(found.perplexity / expected - 1) > 2e-5 || fabs(found.standard_error / spread - 1) > 1e-4 ||
        fabs(found.perplexity / number(golden, "mlx_lm") - 1) > 1e-3)
        fail_msg("%s: %.9g ± %.9g, where %.9g ± %.9g was expected", we_model_info(model)->path, found.perplexity,
                 found.standard_error, expected, spread);
    assert_true(fabs(exp(found.loss) - found.perplexity) < 1e-9 * found.perplexity);
    assert_int_equal(found.window, options.window);
    assert_int_equal(found.num_tokens, found.num_windows * (found.window - 1));
    we_perplexity_clear(&found);
    assert_null(found.scores);
}

static void test_tiny_models(void **state)
{
    (void)state;
    const struct we_json *cases = we_json_get(goldens, "cases");
    assert_int_equal(cases->count, 5);
    for (size_t i = 0; i < cases->count; i++) {
        const char *name = we_arena_copy(&arena, we_json_get(&cases->items[i], "model")->string);
        size_t count;
        uint32_t *ids = json_u32s(&arena, we_json_get(&cases->items[i], "ids"), &count);
        struct we_model *model = open_model(model_path(name), NULL);
        check(model, ids, count, 0, &cases->items[i]);
        we_model_close(model);
    }
}

static bool stop_at(void *context, uint64_t done, uint64_t total)
{
    assert_true(done > 0 && done <= total);
    return done < *(uint64_t *)context;
}

static void test_edges(void **state)
{
    (void)state;
    struct we_model *model = open_model(model_path("llama-float32"), NULL);
    uint32_t vocab = we_model_info(model)->vocab_size, ids[100];
    struct we_perplexity found;
    struct we_error error;
    for (uint32_t i = 0; i < 100; i++)
        ids[i] = i * 7 % vocab;
    /* Fewer ids than a window: one window of all of them. Its scores are those of the logits. */
    assert_int_equal(we_perplexity(model, ids, 30, NULL, &found, &error), WE_OK);
    assert_true(found.num_windows == 1 && found.window == 30 && found.num_tokens == 29);
    double sum = 0;
    for (size_t i = 0; i < 29; i++) {
        assert_true(found.scores[i].loss > 0 && found.scores[i].top < vocab);
        sum += found.scores[i].loss;
    }
    assert_true(fabs(sum / 29 - found.loss) < 1e-9);
    we_perplexity_clear(&found);
    /* The rest is passed over, and so is what is beyond max_windows. */
    struct we_perplexity_options options = {.window = 30};
    assert_int_equal(we_perplexity(model, ids, 100, &options, &found, &error), WE_OK);
    assert_int_equal(found.num_windows, 3);
    double third = found.scores[2 * 29].loss;
    we_perplexity_clear(&found);
    assert_int_equal(we_perplexity(model, ids + 60, 30, &options, &found, &error), WE_OK);
    assert_true(found.scores[0].loss == third); /* each window begins with nothing */
    we_perplexity_clear(&found);
    options.max_windows = 2;
    assert_int_equal(we_perplexity(model, ids, 100, &options, &found, &error), WE_OK);
    assert_int_equal(found.num_windows, 2);
    we_perplexity_clear(&found);

    assert_int_equal(we_perplexity(model, ids, 1, NULL, &found, &error), WE_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "at least two are needed"));
    options.window = 1;
    assert_int_equal(we_perplexity(model, ids, 100, &options, &found, &error), WE_INVALID_ARGUMENT);
    ids[29] = vocab; /* the last one is only foretold, never read */
    assert_int_equal(we_perplexity(model, ids, 30, NULL, &found, &error), WE_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "id 29 is"));
    uint64_t most = 5;
    options = (struct we_perplexity_options){.window = 10, .on_progress = stop_at, .context = &most};
    assert_int_equal(we_perplexity(model, ids, 29, &options, &found, &error), WE_CANCELLED);
    assert_null(found.scores);
    we_model_close(model);
}

static void test_smollm2(void **state)
{
    (void)state;
    const char *path = getenv("WE_TEST_MODEL");
    path = path ? path : SOURCE_ROOT "/models/mlx/HuggingFaceTB/SmolLM2-135M-Instruct-4bit";
    if (!we_path_exists(path)) {
        print_message("%s is not here\n", path);
        skip();
    }
    const struct we_json *golden = we_json_get(goldens, "smollm2");
    struct we_buf text = {0};
    struct we_error error;
    uint32_t *ids;
    size_t count;
    assert_int_equal(we_file_read(TEST_DATA "/gate_text.txt", 0, &text, NULL), WE_OK);
    assert_int_equal(we_tokenize(path, text.data, text.length, true, &ids, &count, &error), WE_OK);
    assert_int_equal(count, number(golden, "count"));
    struct we_model *model = open_model(path, NULL);
    check(model, ids, count, (uint32_t)number(golden, "windows"), golden);
    we_model_close(model);
    free(ids);
    we_buf_free(&text);
}

static int open_goldens(void **state)
{
    (void)state;
    goldens = json_file(&arena, TEST_DATA "/perplexity.json");
    return 0;
}

static int close_goldens(void **state)
{
    (void)state;
    we_arena_free(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tiny_models), cmocka_unit_test(test_edges),
                                       cmocka_unit_test(test_smollm2)};
    return cmocka_run_group_tests(tests, open_goldens, close_goldens);
}
