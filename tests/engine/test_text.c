/* Text in and out: streaming, stop strings, prefilled replies, cancelling, templates. With the tiny model that chats. */
#include "support.h"

#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>

static const char messages[] = "{\"messages\": [{\"role\": \"system\", \"content\": \"Answer in one word.\"}, "
                               "{\"role\": \"user\", \"content\": \"What is the capital of France?\"}]}";

/* What on_text was given. */
struct stream {
    struct we_buf text;
    size_t calls, stop_after; /* 0: never */
};

static bool collect(void *context, const char *text, size_t length)
{
    struct stream *stream = context;
    assert_true(length > 0);
    assert_int_equal(we_utf8_valid_prefix(we_str(text, length)), length);
    we_buf_append(&stream->text, we_str(text, length));
    stream->calls++;
    return stream->stop_after == 0 || stream->calls < stream->stop_after;
}

static struct we_request chat_request(const struct we_model *model, struct stream *stream, uint32_t max_tokens)
{
    struct we_request request;
    we_request_init(&request, model);
    request.messages = messages;
    request.sampling = (struct we_sampling){.min_tokens_to_keep = 1, .repetition_context = 20};
    request.max_tokens = max_tokens;
    request.on_text = collect;
    request.context = stream;
    return request;
}

static void assert_streamed(struct stream *stream, const struct we_result *result)
{
    assert_non_null(result->text);
    assert_int_equal(strlen(result->text) <= result->text_length, 1);
    assert_int_equal(stream->text.length, result->text_length);
    assert_memory_equal(we_buf_str(&stream->text).data, result->text, result->text_length);
}

static void test_streaming(void **state)
{
    (void)state;
    struct we_model *model = open_model(model_path("llama-chat"), NULL);
    assert_true(we_model_info(model)->has_tokenizer);
    uint64_t seeds = 12;
    for (uint64_t seed = 0; seed < seeds; seed++) {
        struct stream stream = {0};
        struct we_request request = chat_request(model, &stream, 120);
        request.ignore_end_tokens = seed % 2;
        request.sampling = (struct we_sampling){.temperature = 1.8f, .min_tokens_to_keep = 1, .has_seed = true, .seed = seed};
        struct we_result result = generate(model, &request);
        assert_streamed(&stream, &result);
        assert_int_equal(we_utf8_valid_prefix(we_str(result.text, result.text_length)), result.text_length);
        assert_true(result.time_to_first_token > 0);
        assert_true(stream.calls > 20);
        we_result_clear(&result);
        we_buf_free(&stream.text);
    }
    we_model_close(model);
}

/* Every piece of the reply as a stop string, and some that are not in it: the reply is what stands before, byte for byte,
 * and nothing of the string is ever streamed. */
static void test_stop(void **state)
{
    (void)state;
    struct we_model *model = open_model(model_path("llama-chat"), NULL);
    struct stream stream = {0};
    struct we_request request = chat_request(model, &stream, 40);
    struct we_result whole = generate(model, &request);
    assert_true(whole.text_length > 40);
    struct we_str text = we_str(whole.text, whole.text_length);
    size_t tried = 0;
    for (size_t from = 0; from < text.length; from++) {
        for (size_t length = 1; length <= 9 && from + length <= text.length; length += 2) {
            struct we_str piece = we_str(text.data + from, length);
            if (we_utf8_valid_prefix(piece) != length || memchr(piece.data, 0, length))
                continue;
            char string[16] = "";
            memcpy(string, piece.data, length);
            const char *stop[] = {"never in the reply", string};
            request.stop = stop;
            request.num_stop = 2;
            we_buf_clear(&stream.text);
            struct we_result result = generate(model, &request);
            size_t at = we_str_find(text, piece, 0);
            if (result.text_length != at || memcmp(result.text, text.data, at) != 0)
                fail_msg("stop string '%s' at %zu: the reply is '%s'", string, at, result.text);
            assert_streamed(&stream, &result);
            assert_int_equal(result.finish_reason, WE_FINISH_STOP);
            assert_true(result.generation_tokens <= whole.generation_tokens);
            we_result_clear(&result);
            tried++;
        }
    }
    assert_true(tried > 100);
    /* The beginning of a stop string that is never completed is given out in the end. */
    char almost[16];
    snprintf(almost, sizeof almost, "%.3s##", whole.text + whole.text_length - 3);
    const char *stop[] = {almost, ""};
    request.stop = stop;
    we_buf_clear(&stream.text);
    struct we_result result = generate(model, &request);
    assert_int_equal(result.text_length, whole.text_length);
    assert_memory_equal(result.text, whole.text, whole.text_length);
    assert_streamed(&stream, &result);
    assert_int_equal(result.finish_reason, WE_FINISH_LENGTH);
    we_result_clear(&result);
    we_result_clear(&whole);
    we_buf_free(&stream.text);
    we_model_close(model);
}

static void test_cancel(void **state)
{
    (void)state;
    struct we_model *model = open_model(model_path("llama-chat"), NULL);
    struct stream all = {0}, stream = {.stop_after = 3};
    struct we_request request = chat_request(model, &all, 40);
    struct we_result whole = generate(model, &request);
    request = chat_request(model, &stream, 40);
    struct we_result result = generate(model, &request);
    assert_int_equal(result.finish_reason, WE_FINISH_CANCELLED);
    assert_int_equal(stream.calls, 3);
    assert_streamed(&stream, &result);
    assert_true(result.text_length < whole.text_length);
    assert_memory_equal(result.text, whole.text, result.text_length);
    assert_true(result.generation_tokens >= 3 && result.generation_tokens < 40);
    we_result_clear(&result);
    we_result_clear(&whole);
    we_buf_free(&all.text);
    we_buf_free(&stream.text);
    we_model_close(model);
}

/* The golden first turn as messages, as text and as ids; a part of the reply given beforehand. */
static void test_prompts(void **state)
{
    (void)state;
    char path[4096];
    struct we_arena arena = {0};
    snprintf(path, sizeof path, "%s/../models/golden/conversation.json", TEST_DATA);
    const struct we_json *turn = &we_json_get(json_file(&arena, path), "turns")->items[0];
    struct golden_reply golden = golden_reply_from_json(turn, &arena);
    struct we_str text = we_json_get(turn, "text")->string;
    char *prompt = we_arena_copy(&arena, we_json_get(turn, "prompt")->string);
    size_t num_ids;
    uint32_t *ids = json_u32s(&arena, we_json_get(turn, "ids"), &num_ids);
    struct we_model *model = open_model(model_path("llama-chat"), NULL);
    struct stream stream = {0};
    for (int form = 0; form < 3; form++) {
        struct we_request request = chat_request(model, &stream, 40);
        if (form > 0)
            request.messages = NULL;
        if (form == 1)
            request.text = prompt;
        if (form == 2) {
            request.ids = ids;
            request.num_ids = num_ids;
        }
        struct we_result result = generate(model, &request);
        assert_int_equal(result.prompt_tokens, num_ids);
        assert_int_equal(assert_reply("the first turn", &result, &golden), golden.count);
        assert_int_equal(result.text_length, text.length);
        assert_memory_equal(result.text, text.data, text.length);
        we_result_clear(&result);
    }
    /* The prompt that the tools render is the golden one. */
    char *rendered;
    size_t length;
    struct we_error error;
    if (we_render(model_path("llama-chat"), NULL, messages, &rendered, &length, &error) != WE_OK)
        fail_msg("%s", error.message);
    assert_string_equal(rendered, prompt);
    free(rendered);
    struct we_request request = chat_request(model, &stream, 10), as_text = request;
    request.prefill_response = "The capital";
    struct we_buf joined = {0};
    we_buf_printf(&joined, "%sThe capital", prompt);
    as_text.messages = NULL;
    as_text.text = joined.data;
    struct we_result result = generate(model, &request), expected = generate(model, &as_text);
    assert_int_equal(result.prompt_tokens, expected.prompt_tokens);
    assert_true(result.prompt_tokens > num_ids);
    assert_string_equal(result.text, expected.text); /* what was given is not repeated */
    we_result_clear(&result);
    we_result_clear(&expected);
    as_text.prefill_response = "The";
    assert_int_equal(we_generate(model, &as_text, &result, &error), WE_INVALID_ARGUMENT);
    we_result_clear(&result);
    we_buf_free(&joined);
    we_buf_free(&stream.text);
    we_model_close(model);
    we_arena_free(&arena);
}

static void test_templates(void **state)
{
    (void)state;
    struct we_model *model = open_model(model_path("llama-chat"), NULL);
    static const struct {
        const char *messages;
        we_status status;
        const char *needle;
    } cases[] = {
        {"{\"messages\": [{\"role\": \"wizard\", \"content\": \"x\"}]}", WE_TEMPLATE_ERROR, "Unknown role: wizard"},
        {"{\"messages\": [{\"role\": \"user\"}]}", WE_TEMPLATE_ERROR, ""},
        {"{\"messages\": ", WE_INVALID_FORMAT, ""},
        {"[]", WE_INVALID_FORMAT, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct we_request request;
        we_request_init(&request, model);
        request.messages = cases[i].messages;
        request.max_tokens = 4;
        struct we_result result;
        struct we_error error = {0};
        we_status status = we_generate(model, &request, &result, &error);
        if (status != cases[i].status && !(cases[i].status == WE_INVALID_FORMAT && status == WE_INVALID_ARGUMENT))
            fail_msg("case %zu: status %d: %s", i, status, error.message);
        if (strstr(error.message, cases[i].needle) == NULL)
            fail_msg("case %zu: %s", i, error.message);
        we_result_clear(&result);
    }
    we_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streaming), cmocka_unit_test(test_stop),      cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_prompts),   cmocka_unit_test(test_templates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
