/* SmolLM2 against float32 mlx-lm: 20 prompts of 64 greedy tokens, seeded samples, the chat template. Skipped (77) where the
 * model is not: WE_TEST_MODEL, or models/mlx/HuggingFaceTB/SmolLM2-135M-Instruct-4bit in the source folder. */
#include "support.h"

#include "base/fs.h"
#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>

static struct we_arena arena;
static const struct we_json *goldens;
static struct we_model *model;

static const struct we_json *find_prompt(struct we_str name)
{
    const struct we_json *greedy = we_json_get(goldens, "greedy");
    for (size_t i = 0; i < greedy->count; i++)
        if (we_str_equal(we_json_get(&greedy->items[i], "name")->string, name))
            return &greedy->items[i];
    fail_msg("there is no prompt %.*s", WE_STR_ARG(name));
    return NULL;
}

static void test_greedy(void **state)
{
    (void)state;
    const struct we_json *greedy = we_json_get(goldens, "greedy");
    size_t compared = 0, ended = 0;
    assert_int_equal(greedy->count, 20);
    for (size_t i = 0; i < greedy->count; i++) {
        const char *name = we_arena_copy(&arena, we_json_get(&greedy->items[i], "name")->string);
        size_t num_ids;
        uint32_t *ids = json_u32s(&arena, we_json_get(&greedy->items[i], "ids"), &num_ids);
        struct golden_reply golden = golden_reply_from_json(&greedy->items[i], &arena);
        assert_int_equal(golden.count, 64);
        struct we_request request = greedy_request(model, ids, num_ids, 64);
        request.ignore_end_tokens = true;
        struct we_result result = generate(model, &request);
        compared += assert_reply(name, &result, &golden);
        we_result_clear(&result);
        /* With end tokens in force the reply is the beginning of that. */
        size_t end = 0;
        while (end < 64 && golden.tokens[end] != 2)
            end++;
        if (end == 64)
            continue;
        request.ignore_end_tokens = false;
        golden.stopped = true;
        golden.count = end;
        result = generate(model, &request);
        assert_reply(name, &result, &golden);
        we_result_clear(&result);
        ended++;
    }
    print_message("%zu of 1280 tokens compared\n", compared);
    assert_true(compared > 1200 && ended > 3);
}

static void test_samples(void **state)
{
    (void)state;
    const struct we_json *samples = we_json_get(goldens, "samples");
    assert_true(samples->count > 5);
    for (size_t i = 0; i < samples->count; i++) {
        const struct we_json *sample = &samples->items[i], *prompt = find_prompt(we_json_get(sample, "prompt")->string);
        size_t num_ids;
        uint32_t *ids = json_u32s(&arena, we_json_get(prompt, "ids"), &num_ids);
        struct golden_reply golden = golden_reply_from_json(sample, &arena);
        struct we_request request = greedy_request(model, ids, num_ids, (uint32_t)we_json_get(sample, "max_tokens")->integer);
        sampling_from_json(sample, &arena, &request.sampling);
        struct we_result result = generate(model, &request);
        char what[32];
        snprintf(what, sizeof what, "sample %zu", i);
        assert_reply(what, &result, &golden);
        we_result_clear(&result);
    }
}

/* The ids of each prompt come out of its messages or its text. */
static void test_prompts(void **state)
{
    (void)state;
    const struct we_json *greedy = we_json_get(goldens, "greedy");
    const char *path = we_model_info(model)->path;
    for (size_t i = 0; i < greedy->count; i++) {
        const struct we_json *entry = &greedy->items[i], *messages = we_json_get(entry, "messages");
        struct we_buf request = {0};
        char *text;
        size_t length, num_ids, num_expected;
        struct we_error error;
        if (messages) {
            we_buf_append_c(&request, "{\"messages\": [");
            for (size_t m = 0; m < messages->count; m++) {
                we_buf_append_c(&request, m ? ", {\"role\": " : "{\"role\": ");
                we_json_write_string(&request, we_json_get(&messages->items[m], "role")->string, false);
                we_buf_append_c(&request, ", \"content\": ");
                we_json_write_string(&request, we_json_get(&messages->items[m], "content")->string, false);
                we_buf_append_c(&request, "}");
            }
            we_buf_append_c(&request, "]}");
            if (we_render(path, NULL, request.data, &text, &length, &error) != WE_OK)
                fail_msg("%s", error.message);
            we_buf_free(&request);
        } else {
            struct we_str string = we_json_get(entry, "text")->string;
            text = strndup(string.data, length = string.length);
        }
        uint32_t *ids, *expected = json_u32s(&arena, we_json_get(entry, "ids"), &num_expected);
        if (we_tokenize(path, text, length, true, &ids, &num_ids, &error) != WE_OK)
            fail_msg("%s", error.message);
        assert_int_equal(num_ids, num_expected);
        assert_memory_equal(ids, expected, num_ids * sizeof *ids);
        free(ids);
        free(text);
    }
}

static void test_answer(void **state)
{
    (void)state;
    struct we_request request;
    we_request_init(&request, model);
    request.sampling = (struct we_sampling){.min_tokens_to_keep = 1, .repetition_context = 20};
    request.messages = "{\"messages\": [{\"role\": \"user\", \"content\": \"What is the capital of France?\"}]}";
    struct we_result result = generate(model, &request);
    assert_string_equal(result.text, "The capital of France is Paris.");
    assert_int_equal(result.finish_reason, WE_FINISH_STOP);
    we_result_clear(&result);
}

int main(void)
{
    const char *path = getenv("WE_TEST_MODEL");
    struct we_error error;
    if (path == NULL || *path == '\0')
        path = SOURCE_ROOT "/models/mlx/HuggingFaceTB/SmolLM2-135M-Instruct-4bit";
    if (!we_path_is_directory(path)) {
        fprintf(stderr, "skipped: there is no %s; `make run` makes it\n", path);
        return 77;
    }
    if (we_model_open(path, NULL, &model, &error) != WE_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    goldens = json_file(&arena, TEST_DATA "/smollm2.json");
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_greedy), cmocka_unit_test(test_samples),
                                       cmocka_unit_test(test_prompts), cmocka_unit_test(test_answer)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    we_model_close(model);
    we_arena_free(&arena);
    return failed;
}
