/* The pieces of the client: events, chunks, bodies of requests, and errors in words. */
#include "base/json.h"
#include "remote/body.h"
#include "remote/chunk.h"
#include "remote/refusal.h"
#include "remote/sse.h"

#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* after those that it needs */
#include <cmocka.h>

#if defined(__linux__)
#include "failing_memory.h"
#endif

/* ---- events ---- */

struct events {
    struct we_buf all; /* "<data><data>" */
    size_t count, stop_after;
};

static bool take(void *context, struct we_str data)
{
    struct events *e = context;
    we_buf_append_byte(&e->all, '<');
    we_buf_append(&e->all, data);
    we_buf_append_byte(&e->all, '>');
    return ++e->count != e->stop_after;
}

static void assert_events(struct we_str stream, size_t piece, const char *expected)
{
    struct we_sse sse = {0};
    struct events e = {0};
    for (size_t at = 0; at < stream.length; at += piece) {
        size_t n = stream.length - at < piece ? stream.length - at : piece;
        assert_int_equal(we_sse_feed(&sse, we_str(stream.data + at, n), take, &e), WE_SSE_GOES_ON);
    }
    assert_int_equal(we_sse_finish(&sse, take, &e), WE_SSE_GOES_ON);
    if (!we_str_equal_c(we_buf_str(&e.all), expected))
        fail_msg("in pieces of %zu: %s, not %s", piece, e.all.data, expected);
    we_buf_free(&e.all);
    we_sse_free(&sse);
}

static void test_events(void **state)
{
    (void)state;
    const struct {
        const char *stream, *expected;
    } table[] = {
        {"data: a\n\ndata: b\n\n", "<a><b>"},
        {"data: a\r\n\r\ndata: b\r\n\r\n", "<a><b>"},
        {"data: a\r\rdata: b\r\r", "<a><b>"},
        {"data:a\n\n", "<a>"},
        {"data:  a\n\n", "< a>"},
        {"data: a\ndata: b\n\n", "<a\nb>"},
        {"data\n\n", "<>"},
        {"data:\n\n", "<>"},
        {": keepalive 1/2\n\ndata: a\n\n", "<a>"},
        {"event: message\nid: 7\nretry: 3\ndata: a\n\n", "<a>"},
        {"database: x\ndat: y\n\n", ""},
        {"\n\n\n", ""},
        {"\xEF\xBB\xBF"
         "data: a\n\n",
         "<a>"},
        {"data: {\"a\": \"\xE2\x82\xAC\"}\n\n", "<{\"a\": \"\xE2\x82\xAC\"}>"},
        {"data: a\n", "<a>"}, /* the empty line is missing */
        {"data: a\n\ndata: [DONE]", "<a><[DONE]>"},
        {"data: a\n\ndata: {\"cut", "<a>"}, /* half a line is no event */
        {"", ""},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        for (size_t piece = 1; piece <= 16; piece++)
            assert_events(we_str_c(table[i].stream), piece, table[i].expected);
}

static void test_events_end(void **state)
{
    (void)state;
    struct we_sse sse = {0};
    struct events e = {.stop_after = 2};
    assert_int_equal(we_sse_feed(&sse, we_str_c("data: a\n\ndata: b\n\ndata: c\n\n"), take, &e), WE_SSE_STOPPED);
    assert_string_equal(e.all.data, "<a><b>");
    we_buf_free(&e.all);
    we_sse_free(&sse);
    struct we_buf line = {0};
    while (line.length <= 1 << 20)
        we_buf_append_c(&line, "xxxxxxxxxxxxxxxx");
    enum we_sse_outcome outcome = WE_SSE_GOES_ON;
    we_sse_feed(&sse, we_str_c("data: "), take, &e);
    for (int i = 0; i < 20 && outcome == WE_SSE_GOES_ON; i++)
        outcome = we_sse_feed(&sse, we_buf_str(&line), take, &e);
    assert_int_equal(outcome, WE_SSE_TOO_LONG);
    we_sse_free(&sse);
    for (int i = 0; i < 20; i++) { /* many lines of one event */
        outcome = we_sse_feed(&sse, we_str_c("data: "), take, &e);
        outcome = outcome == WE_SSE_GOES_ON ? we_sse_feed(&sse, we_buf_str(&line), take, &e) : outcome;
        outcome = outcome == WE_SSE_GOES_ON ? we_sse_feed(&sse, we_str_c("\n"), take, &e) : outcome;
    }
    assert_int_equal(outcome, WE_SSE_TOO_LONG);
    we_sse_free(&sse);
    we_buf_free(&line);
    we_buf_free(&e.all);
}

/* ---- chunks ---- */

static void test_chunks(void **state)
{
    (void)state;
    const struct {
        const char *json, *text, *problem; /* problem NULL: none */
        int reason;                        /* -1: not finished */
        uint32_t prompt, cached, generated;
    } table[] = {
        {"{\"choices\": [{\"index\": 0, \"delta\": {\"content\": \"Hi\"}}]}", "Hi", NULL, -1, 0, 0, 0},
        {"{\"choices\": [{\"delta\": {\"role\": \"assistant\", \"content\": null}, \"finish_reason\": null}]}", "", NULL, -1, 0,
         0, 0},
        {"{\"choices\": [{\"delta\": {}, \"finish_reason\": \"stop\"}]}", "", NULL, WE_FINISH_STOP, 0, 0, 0},
        {"{\"choices\": [{\"delta\": {\"content\": \"x\"}, \"finish_reason\": \"length\"}]}", "x", NULL, WE_FINISH_LENGTH, 0, 0,
         0},
        {"{\"choices\": [{\"delta\": {\"tool_calls\": []}, \"finish_reason\": \"tool_calls\"}]}", "", NULL, WE_FINISH_STOP, 0,
         0, 0},
        {"{\"choices\": [{\"delta\": {\"reasoning_content\": \"hm\"}}]}", "", NULL, -1, 0, 0, 0},
        {"{\"choices\": [{\"index\": 1, \"delta\": {\"content\": \"other\"}}]}", "", NULL, -1, 0, 0, 0},
        {"{\"choices\": [{\"text\": \"Once\", \"finish_reason\": \"\"}]}", "Once", NULL, -1, 0, 0, 0},
        {"{\"choices\": [{\"message\": {\"content\": \"whole\"}, \"finish_reason\": \"stop\"}], \"usage\": {\"prompt_tokens\": "
         "3, "
         "\"completion_tokens\": 2}}",
         "whole", NULL, WE_FINISH_STOP, 3, 0, 2},
        {"{\"choices\": [], \"usage\": {\"prompt_tokens\": 9, \"completion_tokens\": 4, \"prompt_tokens_details\": "
         "{\"cached_tokens\": 5}}}",
         "", NULL, -1, 9, 5, 4},
        {"{\"choices\": [], \"usage\": {\"prompt_tokens\": 9, \"completion_tokens\": -4, \"prompt_tokens_details\": "
         "{\"cached_tokens\": 50}}}",
         "", NULL, -1, 9, 9, 0},
        {"{\"choices\": [], \"usage\": null}", "", NULL, -1, 0, 0, 0},
        {"{\"choices\": [{\"delta\": {\"content\": [{\"type\": \"text\", \"text\": \"a\"}, {\"type\": \"image\"}, {\"text\": "
         "\"b\"}]}}]}",
         "ab", NULL, -1, 0, 0, 0},
        {"{\"choices\": [{\"delta\": {\"content\": \"\\ud83d\\ude00\\u0000\"}}]}", "\xF0\x9F\x98\x80", NULL, -1, 0, 0, 0},
        {"{\"error\": {\"message\": \"no\", \"code\": 400}}", "", "no", -1, 0, 0, 0},
        {"{\"error\": \"no\"}", "", "no", -1, 0, 0, 0},
        {"{\"error\": {\"code\": 400}}", "", "an error that it does not explain", -1, 0, 0, 0},
        {"{\"error\": null, \"choices\": []}", "", NULL, -1, 0, 0, 0},
        {"{\"object\": \"error\", \"message\": \"too long\"}", "", "too long", -1, 0, 0, 0},
        {"{\"detail\": \"gone\"}", "", "gone", -1, 0, 0, 0},
        {"{\"detail\": [{\"loc\": [\"body\"], \"msg\": \"field required\"}]}", "", "field required", -1, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct we_arena arena = {0};
        struct we_chunk chunk;
        struct we_error error;
        if (we_chunk_parse(we_str_c(table[i].json), &arena, &chunk, &error) != WE_OK)
            fail_msg("%s: %s", table[i].json, error.message);
        bool right = chunk.text.length >= strlen(table[i].text) &&
                     memcmp(chunk.text.length ? chunk.text.data : "", table[i].text, strlen(table[i].text)) == 0 &&
                     (table[i].problem ? we_str_equal_c(chunk.problem, table[i].problem) : chunk.problem.data == NULL) &&
                     chunk.finished == (table[i].reason >= 0) &&
                     (!chunk.finished || (int)chunk.finish_reason == table[i].reason) &&
                     chunk.prompt_tokens == table[i].prompt && chunk.cached_tokens == table[i].cached &&
                     chunk.generation_tokens == table[i].generated;
        if (!right)
            fail_msg("%s: \"%.*s\", %.*s", table[i].json, WE_STR_ARG(chunk.text), WE_STR_ARG(chunk.problem));
        we_arena_free(&arena);
    }
    const char *const broken[] = {"", "x", "[]", "{}", "1", "{\"choices\": 1}", "{\"choices\": [", "{\"data\": []}"};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        struct we_arena arena = {0};
        struct we_chunk chunk;
        struct we_error error;
        assert_int_equal(we_chunk_parse(we_str_c(broken[i]), &arena, &chunk, &error), WE_INVALID_FORMAT);
        we_arena_free(&arena);
    }
}

static void test_lists_of_models(void **state)
{
    (void)state;
    struct we_arena arena = {0};
    const char **names;
    size_t count;
    assert_true(
        we_models_parse(we_str_c("{\"object\": \"list\", \"data\": [{\"id\": \"a/b\"}, {\"name\": \"x\"}, {\"id\": \"c\"}, "
                                 "{\"id\": \"\\u0000\"}]}"),
                        &arena, &names, &count));
    assert_int_equal(count, 2);
    assert_string_equal(names[0], "a/b");
    assert_string_equal(names[1], "c");
    assert_true(we_models_parse(we_str_c("{\"data\": null}"), &arena, &names, &count) && count == 0);
    assert_true(we_models_parse(we_str_c("{\"data\": []}"), &arena, &names, &count) && count == 0);
    const char *const none[] = {"", "[]", "{}", "{\"data\": 1}", "<html>", "{\"data\": ["};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_false(we_models_parse(we_str_c(none[i]), &arena, &names, &count));
    we_arena_free(&arena);
}

/* ---- bodies ---- */

static void assert_body(const struct we_request *request, const struct we_body_options *options, const char *expected)
{
    struct we_buf body = {0};
    struct we_error error;
    if (we_body_write(request, options, &body, &error) != WE_OK)
        fail_msg("%s", error.message);
    assert_string_equal(body.data, expected);
    struct we_arena arena = {0};
    struct we_json *tree;
    assert_int_equal(we_json_parse(we_buf_str(&body), NULL, &arena, &tree, &error), WE_OK);
    we_arena_free(&arena);
    we_buf_free(&body);
}

static void test_bodies(void **state)
{
    (void)state;
    const char *const stops[] = {"\n\n", "", "</s>", "c", "d", "e"};
    struct we_logit_bias bias[] = {{5, -1.5f}, {70000, 2}};
    struct we_request plain = {.text = "Once \"upon\"", .max_tokens = 16, .sampling = {.temperature = 0, .top_p = 0}};
    assert_body(&plain, &(struct we_body_options){.model = "org/name"},
                "{\"model\": \"org/name\", \"prompt\": \"Once \\\"upon\\\"\", \"stream\": true, \"stream_options\": "
                "{\"include_usage\": "
                "true}, \"max_tokens\": 16, \"temperature\": 0.0, \"top_p\": 1.0}");
    struct we_request full = {
        .messages =
            " {\"messages\" : [ {\"role\": \"user\", \"content\": \"\\u00e9\"} ], \"tools\": null, \"enable_thinking\": false,"
            "\"documents\":[1, 2]}",
        .max_tokens = 4294967295,
        .stop = stops,
        .num_stop = 6,
        .sampling = {.temperature = 0.7f,
                     .top_p = 0.9f,
                     .min_p = 0.05f,
                     .top_k = 40,
                     .xtc_probability = 1,
                     .xtc_threshold = 0.1f,
                     .repetition_penalty = 1.1f,
                     .presence_penalty = -0.5f,
                     .frequency_penalty = 0.25f,
                     .repetition_context = 64,
                     .logit_bias = bias,
                     .num_logit_bias = 2,
                     .seed = UINT64_MAX,
                     .has_seed = true}};
    assert_body(
        &full, &(struct we_body_options){.without_usage = true},
        "{\"messages\": [ {\"role\": \"user\", \"content\": \"\\u00e9\"} ], \"chat_template_kwargs\": {\"enable_thinking\": "
        "false, \"documents\": [1, 2]}, \"stream\": true, \"max_tokens\": 4294967295, \"temperature\": 0.7, \"top_p\": 0.9, "
        "\"min_p\": 0.05, \"top_k\": 40, \"xtc_probability\": 1.0, \"xtc_threshold\": 0.1, \"repetition_penalty\": 1.1, "
        "\"presence_penalty\": -0.5, \"frequency_penalty\": 0.25, \"repetition_context_size\": 64, \"logit_bias\": {\"5\": "
        "-1.5, "
        "\"70000\": 2.0}, \"seed\": 9223372036854775807, \"stop\": [\"\\n\\n\", \"</s>\", \"c\", \"d\"]}");
    full.messages = "{\"messages\": [], \"tools\": [{\"type\": \"function\"}]}";
    full.num_stop = 0;
    full.sampling = (struct we_sampling){.temperature = 1, .top_p = 1, .repetition_penalty = 1, .repetition_context = 20};
    assert_body(&full, &(struct we_body_options){.without_usage = true},
                "{\"messages\": [], \"tools\": [{\"type\": \"function\"}], \"stream\": true, \"max_tokens\": 4294967295, "
                "\"temperature\": 1.0, \"top_p\": 1.0}");
}

static void test_bodies_in_another_locale(void **state)
{
    (void)state;
    if (setlocale(LC_ALL, "de_DE.UTF-8") == NULL)
        skip();
    test_bodies(NULL);
    setlocale(LC_ALL, "C");
}

static void test_begun_replies(void **state)
{
    (void)state;
    struct we_request request = {
        .messages = "{\"messages\": [{\"role\": \"user\"} ]}", .prefill_response = "\"Well", .max_tokens = 3};
    const struct we_body_options asked = {.without_usage = true, .continues = we_continues_of(we_str_c("vllm"))};
    const struct we_body_options by_itself = {.without_usage = true, .continues = we_continues_of(we_str_c("library"))};
    assert_int_equal(we_continues_of(we_str_c("organization_owner")), WE_CONTINUES_NOT);
    assert_body(&request, &asked,
                "{\"messages\": [{\"role\": \"user\"} , {\"role\": \"assistant\", \"content\": \"\\\"Well\"}], "
                "\"add_generation_prompt\": false, \"continue_final_message\": true, \"stream\": true, \"max_tokens\": 3, "
                "\"temperature\": 0.0, \"top_p\": 1.0}");
    request.messages = "{\"messages\": [ ]}";
    assert_body(&request, &by_itself,
                "{\"messages\": [ {\"role\": \"assistant\", \"content\": \"\\\"Well\"}], \"stream\": true, \"max_tokens\": 3, "
                "\"temperature\": 0.0, \"top_p\": 1.0}");
}

static void test_what_cannot_be_asked(void **state)
{
    (void)state;
    const uint32_t ids[] = {1};
    const struct {
        struct we_request request;
        we_status status;
    } table[] = {
        {{.ids = ids, .num_ids = 1}, WE_UNSUPPORTED},
        {{.messages = "{\"messages\": []}", .prefill_response = "x"}, WE_UNSUPPORTED},
        {{.text = "x", .ignore_end_tokens = true}, WE_UNSUPPORTED},
        {{.text = NULL}, WE_INVALID_ARGUMENT},
        {{.text = "x", .messages = "{}"}, WE_INVALID_ARGUMENT},
        {{.messages = "{}"}, WE_INVALID_FORMAT},
        {{.messages = "[]"}, WE_INVALID_FORMAT},
        {{.messages = "{\"messages\": 1}"}, WE_INVALID_FORMAT},
        {{.messages = "{\"messages\": []"}, WE_INVALID_FORMAT},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct we_buf body = {0};
        struct we_error error = {0};
        assert_int_equal(we_body_write(&table[i].request, &(struct we_body_options){0}, &body, &error), table[i].status);
        assert_true(error.message[0]);
        we_buf_free(&body);
    }
}

/* ---- errors in words ---- */

static const struct we_asked with_key = {"http://h:1/v1", "org/model", "sk-secret", 10, 300};
static const struct we_asked without_key = {"http://h:1/v1", NULL, NULL, 10, 300};
static const char *const there[] = {"zebra", "org/modell", "apple", "berry", "cherry", "damson"};

static void test_refusals(void **state)
{
    (void)state;
    const struct {
        const struct we_asked *asked;
        struct we_refusal refusal;
        we_status status;
        const char *says[3];
    } table[] = {
        {&without_key, {.status = 401}, WE_IO_ERROR, {"asks for a key (HTTP 401)", "set LLM_CHAT_API_KEY"}},
        {&with_key, {.status = 401}, WE_IO_ERROR, {"does not accept the key", "check LLM_CHAT_API_KEY"}},
        {&with_key, {.status = 403}, WE_IO_ERROR, {"does not allow this (HTTP 403)", "no right"}},
        {&without_key, {.status = 403}, WE_IO_ERROR, {"set LLM_CHAT_API_KEY"}},
        {&with_key,
         {.status = 404, .names = there, .num_names = 6},
         WE_NOT_FOUND,
         {"no model \"org/model\"", "these are there: org/modell, ", "and 1 more"}},
        {&without_key, {.status = 404}, WE_NOT_FOUND, {"usually ends in /v1"}},
        {&without_key, {.status = 404, .body = {"Not Found", 9}}, WE_NOT_FOUND, {"usually ends in /v1"}},
        {&without_key, {.status = 404, .body = {"{\"error\": \"no such revision\"}", 29}}, WE_NOT_FOUND, {"no such revision"}},
        {&with_key, {.status = 429, .retry_after = 7}, WE_IO_ERROR, {"too many requests (HTTP 429)", "wait 7 seconds"}},
        {&with_key, {.status = 429, .retry_after = 1}, WE_IO_ERROR, {"wait 1 second"}},
        {&with_key, {.status = 429}, WE_IO_ERROR, {"try again later"}},
        {&with_key,
         {.status = 500, .body = {"{\"error\": {\"message\": \"CUDA out of memory\"}}", 44}},
         WE_IO_ERROR,
         {"a problem of its own (HTTP 500)", "CUDA out of memory", "its log"}},
        {&with_key,
         {.status = 503, .retry_after = 20, .body = {"<html>busy</html>", 17}},
         WE_IO_ERROR,
         {"HTTP 503", "wait 20 seconds"}},
        {&with_key,
         {.status = 302, .location = "https://login/"},
         WE_IO_ERROR,
         {"redirects to https://login/", "use that address"}},
        {&with_key,
         {.status = 400, .body = {"{\"error\": \"This model's maximum context length is 4096\"}", 56}},
         WE_CONTEXT_FULL,
         {"too long"}},
        {&with_key,
         {.status = 422, .body = {"{\"detail\": [{\"msg\": \"temperature too high\"}]}", 45}},
         WE_IO_ERROR,
         {"does not take the request (HTTP 422): temperature too high"}},
        {&with_key,
         {.status = 400, .body = {"{\"error\": \"bad key sk-secret, sk-secret\"}", 41}},
         WE_IO_ERROR,
         {"bad key ********, ********"}},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct we_error error = {0};
        assert_int_equal(we_refusal_explain(table[i].asked, &table[i].refusal, &error), table[i].status);
        assert_non_null(strstr(error.message, "http://h:1/v1"));
        assert_null(strstr(error.message, "sk-secret"));
        assert_null(strstr(error.message, "<html>"));
        for (int j = 0; j < 3 && table[i].says[j]; j++)
            if (strstr(error.message, table[i].says[j]) == NULL)
                fail_msg("\"%s\" does not say \"%s\"", error.message, table[i].says[j]);
    }
}

static void test_failures(void **state)
{
    (void)state;
    const struct {
        const char *address;
        CURLcode code;
        bool connected;
        size_t received;
        const char *says;
    } table[] = {
        {"http://localhost:1234/v1", CURLE_COULDNT_CONNECT, false, 0, "LM Studio"},
        {"http://127.0.0.1:11434/v1", CURLE_COULDNT_CONNECT, false, 0, "ollama serve"},
        {"http://localhost:8000/v1", CURLE_COULDNT_CONNECT, false, 0, "is the server running?"},
        {"http://gpu:1234/v1", CURLE_COULDNT_CONNECT, false, 0, "check the address"},
        {"http://gpu/v1", CURLE_COULDNT_RESOLVE_HOST, false, 0, "the network"},
        {"http://gpu/v1", CURLE_OPERATION_TIMEDOUT, false, 0, "no connection within 10 seconds (LLM_CONNECTION_TIMEOUT)"},
        {"http://gpu/v1", CURLE_OPERATION_TIMEDOUT, true, 0, "was silent for 300 seconds\nLLM_REQUEST_TIMEOUT"},
        {"http://gpu/v1", CURLE_OPERATION_TIMEDOUT, true, 9, "in the midst of the reply"},
        {"https://gpu/v1", CURLE_PEER_FAILED_VERIFICATION, true, 0, "certificate is not trusted"},
        {"https://gpu/v1", CURLE_SSL_CONNECT_ERROR, true, 0, "does it speak https?"},
        {"http://gpu/v1", CURLE_UNSUPPORTED_PROTOCOL, true, 0, "does not speak HTTP"},
        {"http://gpu/v1", CURLE_RECV_ERROR, true, 12, "in the midst of the reply, after 12 bytes"},
        {"http://gpu/v1", CURLE_GOT_NOTHING, true, 0, "broke off without a reply"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct we_asked asked = {table[i].address, NULL, NULL, 10, 300};
        struct we_error error = {0};
        assert_int_equal(we_failure_explain(&asked, table[i].code, "why", table[i].connected, table[i].received, &error),
                         WE_IO_ERROR);
        if (strstr(error.message, table[i].says) == NULL || strstr(error.message, table[i].address) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", error.message, table[i].says);
    }
}

#if defined(__linux__)
static bool parse_some(void)
{
    struct we_arena arena = {0};
    struct we_chunk chunk;
    struct we_error error;
    struct we_sse sse = {0};
    struct events e = {0};
    struct we_buf body = {0};
    struct we_request request = {.messages = "{\"messages\": [1, 2, 3], \"more\": \"variables of the template\"}",
                                 .max_tokens = 1};
    const char **names;
    size_t count;
    bool ok = we_chunk_parse(we_str_c("{\"choices\": [{\"delta\": {\"content\": [{\"text\": \"a\"}]}}]}"), &arena, &chunk,
                             &error) == WE_OK &&
              we_models_parse(we_str_c("{\"data\": [{\"id\": \"a/b\"}]}"), &arena, &names, &count) && count == 1 &&
              we_sse_feed(&sse, we_str_c("data: a\ndata: b\n\n"), take, &e) == WE_SSE_GOES_ON && !e.all.failed &&
              e.count == 1 && we_body_write(&request, &(struct we_body_options){"name", false}, &body, &error) == WE_OK;
    we_sse_free(&sse);
    we_buf_free(&e.all);
    we_buf_free(&body);
    we_arena_free(&arena);
    return ok;
}

static void test_memory_runs_out(void **state)
{
    (void)state;
    assert_true(survive_failures(parse_some) >= 8);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_events_end),
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_lists_of_models),
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_bodies_in_another_locale),
        cmocka_unit_test(test_begun_replies),
        cmocka_unit_test(test_what_cannot_be_asked),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_failures),
#if defined(__linux__)
        cmocka_unit_test(test_memory_runs_out),
#endif
    };
    return cmocka_run_group_tests_name("protocol", tests, NULL, NULL);
}
