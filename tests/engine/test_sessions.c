/* Conversations: two golden turns, what a failure and a cancelled reply leave behind, saving and loading. */
#include "support.h"

#include "base/str.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct conversation {
    struct we_arena arena;
    const struct we_json *json, *turns;
    struct we_model *model;
    struct we_session *session;
};

static void start(struct conversation *c, const struct we_model_options *options)
{
    char path[4096];
    *c = (struct conversation){0};
    snprintf(path, sizeof path, "%s/../models/golden/conversation.json", TEST_DATA);
    c->json = json_file(&c->arena, path);
    c->turns = we_json_get(c->json, "turns");
    c->model = open_model(model_path("llama-chat"), options);
    struct we_error error;
    if (we_session_new(c->model, &c->session, &error) != WE_OK ||
        we_session_set_system(c->session, "Answer in one word.", &error) != WE_OK)
        fail_msg("%s", error.message);
}

static void end(struct conversation *c)
{
    we_session_free(c->session);
    we_model_close(c->model);
    we_arena_free(&c->arena);
}

static struct we_request greedy(const struct conversation *c)
{
    struct we_request request;
    we_request_init(&request, c->model);
    request.sampling = (struct we_sampling){.min_tokens_to_keep = 1, .repetition_context = 20};
    request.max_tokens = 40;
    return request;
}

/* The messages of the golden conversation are system, user, assistant, user, assistant. */
static const struct we_json *golden_message(const struct conversation *c, size_t index)
{
    return we_json_get(&we_json_get(c->json, "messages")->items[index], "content");
}

static const char *user_text(struct conversation *c, size_t turn)
{
    return we_arena_copy(&c->arena, golden_message(c, 1 + 2 * turn)->string);
}

static void send_turn(struct conversation *c, size_t turn)
{
    struct we_request request = greedy(c);
    struct we_result result;
    struct we_error error;
    if (we_session_send(c->session, user_text(c, turn), &request, &result, &error) != WE_OK)
        fail_msg("%s", error.message);
    struct golden_reply golden = golden_reply_from_json(&c->turns->items[turn], &c->arena);
    char what[32];
    snprintf(what, sizeof what, "turn %zu", turn + 1);
    assert_int_equal(assert_reply(what, &result, &golden), golden.count);
    assert_int_equal(result.prompt_tokens, we_json_get(&c->turns->items[turn], "ids")->count);
    struct we_str text = we_json_get(&c->turns->items[turn], "text")->string;
    assert_int_equal(result.text_length, text.length);
    assert_memory_equal(result.text, text.data, text.length);
    we_result_clear(&result);
}

/* The session's messages are the first `count` of the golden ones. */
static void assert_messages(struct conversation *c, size_t count)
{
    const char *text;
    struct we_error error;
    struct we_json *tree;
    if (we_session_messages(c->session, &text, &error) != WE_OK ||
        we_json_parse(we_str_c(text), NULL, &c->arena, &tree, &error) != WE_OK)
        fail_msg("%s", error.message);
    const struct we_json *messages = we_json_get(tree, "messages");
    assert_non_null(messages);
    if (messages->count != count)
        fail_msg("there are %zu messages, where %zu were expected: %s", messages->count, count, text);
    for (size_t i = 0; i < count; i++) {
        assert_true(we_str_equal_c(we_json_get(&messages->items[i], "role")->string, i == 0  ? "system"
                                                                                     : i % 2 ? "user"
                                                                                             : "assistant"));
        assert_true(we_str_equal(we_json_get(&messages->items[i], "content")->string, golden_message(c, i)->string));
    }
}

static void test_turns(void **state)
{
    (void)state;
    struct conversation c;
    start(&c, NULL);
    assert_messages(&c, 1);
    send_turn(&c, 0);
    assert_messages(&c, 3);
    send_turn(&c, 1);
    assert_messages(&c, 5);
    we_session_clear(c.session);
    assert_messages(&c, 1);
    send_turn(&c, 0);
    send_turn(&c, 1);
    assert_messages(&c, 5);
    end(&c);
}

/* The second turn finds the first one in the cache, and says what a model says that never saw it. */
static void test_cache(void **state)
{
    (void)state;
    struct conversation c, fresh;
    start(&c, NULL);
    start(&fresh, NULL);
    struct we_request request = greedy(&c);
    struct we_result result, expected;
    struct we_error error;
    const char *text;
    char *system = we_arena_alloc(&c.arena, 401);
    for (int i = 0; i < 400; i++)
        system[i] = "the capital of France, "[i % 23];
    assert_int_equal(we_session_set_system(c.session, system, &error), WE_OK);
    if (we_session_send(c.session, "one two three", &request, &result, &error) != WE_OK)
        fail_msg("%s", error.message);
    assert_int_equal(result.cached_tokens, 0);
    uint32_t first = result.prompt_tokens;
    assert_true(first > 64);
    we_result_clear(&result);
    assert_int_equal(we_session_messages(c.session, &text, &error), WE_OK);
    assert_int_equal(we_session_set_messages(fresh.session, text, &error), WE_OK);
    if (we_session_send(c.session, "four", &request, &result, &error) != WE_OK ||
        we_session_send(fresh.session, "four", &request, &expected, &error) != WE_OK)
        fail_msg("%s", error.message);
    assert_true(result.cached_tokens >= first / 64 * 64 && result.cached_tokens < result.prompt_tokens);
    assert_int_equal(expected.cached_tokens, 0);
    assert_string_equal(result.text, expected.text);
    we_result_clear(&result);
    we_result_clear(&expected);
    end(&c);
    end(&fresh);
}

static void test_save_and_load(void **state)
{
    (void)state;
    struct conversation c;
    start(&c, NULL);
    send_turn(&c, 0);
    const char *text;
    struct we_error error;
    assert_int_equal(we_session_messages(c.session, &text, &error), WE_OK);
    char *saved = we_arena_copy(&c.arena, we_str_c(text));
    struct we_session *other;
    assert_int_equal(we_session_new(c.model, &other, &error), WE_OK);
    if (we_session_set_messages(other, saved, &error) != WE_OK)
        fail_msg("%s", error.message);
    we_session_free(c.session);
    c.session = other;
    assert_messages(&c, 3);
    static const char *const broken[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"messages\": 1}",
        "{\"messages\": [1]}",
        "{\"messages\": [{\"role\": \"user\"}]}",
        "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}, {\"role\": 1, \"content\": \"x\"}]}",
        "{\"messages\": []} x",
    };
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        error = (struct we_error){0};
        if (we_session_set_messages(c.session, broken[i], &error) == WE_OK)
            fail_msg("'%s' was taken for a conversation", broken[i]);
        assert_true(error.message[0]);
        assert_messages(&c, 3);
    }
    send_turn(&c, 1);
    assert_int_equal(we_session_set_messages(c.session, "{\"messages\": []}", &error), WE_OK);
    assert_int_equal(we_session_messages(c.session, &text, &error), WE_OK);
    assert_string_equal(text, "{\"messages\": []}");
    /* Models write anything, a NUL too. */
    static const char nul[] = "{\"messages\": [{\"role\": \"user\", \"content\": \"a\\u0000b\"}]}";
    assert_int_equal(we_session_set_messages(c.session, nul, &error), WE_OK);
    assert_int_equal(we_session_messages(c.session, &text, &error), WE_OK);
    assert_string_equal(text, nul);
    end(&c);
}

static void test_system(void **state)
{
    (void)state;
    struct conversation c;
    start(&c, NULL);
    struct we_error error;
    const char *text;
    send_turn(&c, 0);
    assert_int_equal(we_session_set_system(c.session, NULL, &error), WE_OK);
    assert_int_equal(we_session_set_system(c.session, NULL, &error), WE_OK);
    assert_int_equal(we_session_messages(c.session, &text, &error), WE_OK);
    assert_null(strstr(text, "system"));
    assert_int_equal(we_session_set_system(c.session, "Be kind.", &error), WE_OK);
    assert_int_equal(we_session_set_system(c.session, "Answer in one word.", &error), WE_OK);
    assert_messages(&c, 3);
    send_turn(&c, 1);
    end(&c);
}

/* A turn that fails leaves no trace. */
static void test_failures(void **state)
{
    (void)state;
    struct we_model_options options;
    we_model_options_init(&options);
    options.max_context = 256;
    struct conversation c;
    start(&c, &options);
    send_turn(&c, 0);
    struct we_request request = greedy(&c);
    struct we_result result;
    struct we_error error;
    char *longest = we_arena_alloc(&c.arena, 3001);
    memset(longest, '7', 3000);
    assert_int_equal(we_session_send(c.session, longest, &request, &result, &error), WE_CONTEXT_FULL);
    we_result_clear(&result);
    assert_messages(&c, 3);
    request.sampling.temperature = -3;
    assert_int_equal(we_session_send(c.session, "x", &request, &result, &error), WE_INVALID_ARGUMENT);
    we_result_clear(&result);
    assert_messages(&c, 3);
    /* A template that raises: the conversation was loaded with a role that it does not know. */
    struct we_session *other;
    assert_int_equal(we_session_new(c.model, &other, &error), WE_OK);
    assert_int_equal(we_session_set_messages(other, "{\"messages\": [{\"role\": \"wizard\", \"content\": \"x\"}]}", &error),
                     WE_OK);
    request = greedy(&c);
    assert_int_equal(we_session_send(other, "x", &request, &result, &error), WE_TEMPLATE_ERROR);
    assert_non_null(strstr(error.message, "wizard"));
    we_result_clear(&result);
    const char *text;
    assert_int_equal(we_session_messages(other, &text, &error), WE_OK);
    assert_string_equal(text, "{\"messages\": [{\"role\": \"wizard\", \"content\": \"x\"}]}");
    we_session_free(other);
    send_turn(&c, 1);
    assert_messages(&c, 5);
    end(&c);
}

static void test_other_model(void **state)
{
    (void)state;
    struct conversation c;
    start(&c, NULL);
    send_turn(&c, 0);
    struct we_model *again = open_model(model_path("llama-chat"), NULL);
    we_session_set_model(c.session, again);
    we_model_close(c.model);
    c.model = again;
    send_turn(&c, 1);
    assert_messages(&c, 5);
    /* A model without a tokenizer cannot chat, and says so. */
    struct we_model *mute = open_model(model_path("llama-float32"), NULL);
    we_session_set_model(c.session, mute);
    struct we_request request = greedy(&c);
    struct we_result result;
    struct we_error error;
    assert_int_equal(we_session_send(c.session, "x", &request, &result, &error), WE_UNSUPPORTED);
    we_result_clear(&result);
    assert_messages(&c, 5);
    we_session_set_model(c.session, c.model);
    we_model_close(mute);
    end(&c);
}

struct canceller {
    struct we_session *session;
    size_t calls;
};

static bool cancel_from_text(void *context, const char *text, size_t length)
{
    struct canceller *canceller = context;
    (void)text, (void)length;
    if (++canceller->calls == 2)
        we_session_cancel(canceller->session);
    return true;
}

static void test_cancel(void **state)
{
    (void)state;
    struct conversation c;
    start(&c, NULL);
    struct canceller canceller = {.session = c.session};
    struct we_request request = greedy(&c);
    request.on_text = cancel_from_text;
    request.context = &canceller;
    struct we_result result;
    struct we_error error;
    if (we_session_send(c.session, user_text(&c, 0), &request, &result, &error) != WE_OK)
        fail_msg("%s", error.message);
    assert_int_equal(result.finish_reason, WE_FINISH_CANCELLED);
    assert_true(result.generation_tokens >= 2 && result.generation_tokens < 40);
    /* What was said stands in the conversation. */
    const char *text;
    assert_int_equal(we_session_messages(c.session, &text, &error), WE_OK);
    struct we_json *tree;
    assert_int_equal(we_json_parse(we_str_c(text), NULL, &c.arena, &tree, &error), WE_OK);
    const struct we_json *messages = we_json_get(tree, "messages");
    assert_int_equal(messages->count, 3);
    assert_true(we_str_equal(we_json_get(&messages->items[2], "content")->string, we_str(result.text, result.text_length)));
    we_result_clear(&result);
    /* The cancellation is over. */
    we_session_clear(c.session);
    send_turn(&c, 0);
    end(&c);
}

struct delayed {
    struct we_session *session;
    atomic_bool started;
};

static bool note_start(void *context, const char *text, size_t length)
{
    struct delayed *delayed = context;
    (void)text, (void)length;
    atomic_store(&delayed->started, true);
    return true;
}

static void *cancel_soon(void *context)
{
    struct delayed *delayed = context;
    while (!atomic_load(&delayed->started))
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    we_session_cancel(delayed->session);
    return NULL;
}

static void test_cancel_from_another_thread(void **state)
{
    (void)state;
    struct conversation c;
    start(&c, NULL);
    struct delayed delayed = {.session = c.session};
    struct we_request request = greedy(&c);
    request.max_tokens = 900;
    request.ignore_end_tokens = true;
    request.on_text = note_start;
    request.context = &delayed;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, &delayed), 0);
    struct we_result result;
    struct we_error error;
    we_status status = we_session_send(c.session, user_text(&c, 0), &request, &result, &error);
    pthread_join(thread, NULL);
    assert_int_equal(status, WE_OK);
    assert_int_equal(result.finish_reason, WE_FINISH_CANCELLED);
    assert_true(result.generation_tokens < 900);
    we_result_clear(&result);
    end(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turns),         cmocka_unit_test(test_cache),
        cmocka_unit_test(test_save_and_load), cmocka_unit_test(test_system),
        cmocka_unit_test(test_failures),      cmocka_unit_test(test_other_model),
        cmocka_unit_test(test_cancel),        cmocka_unit_test(test_cancel_from_another_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
