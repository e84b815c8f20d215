/* Hostile templates and requests end with an error, in bounded steps, memory and stack. With an argument it prints what each
 * of them took. */
#include "support.h"

#include "hostile_cases.h"

#include "text/chat_template.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#ifdef COUNTED
#include "counted_memory.h"
#else
static size_t memory_from_now(void)
{
    return 0;
}
static size_t memory_most(void)
{
    return 0;
}
#endif

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

enum {
    MOST_STEPS = SANITIZED ? 2000000 : 0 /* the default */,
    MOST_BYTES = 64000000, /* of a template, its values and its text */
    STACK = SANITIZED ? 32 << 20 : 1 << 20
};

static bool shown; /* the program was called with "measure": what each case took is printed */

/* ---- one case, in a thread with little stack ---- */

struct work {
    struct we_str source, variables;
    we_status status;
    struct we_error error;
    struct we_jinja_use use;
    size_t bytes;            /* at most, at any moment */
    double parsing, seconds; /* of processor time */
};

static double processor_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void *work_in_thread(void *argument)
{
    struct work *work = argument;
    struct we_arena arena = {0};
    struct we_json *variables;
    struct we_jinja *jinja = NULL;
    struct we_buf out = {0};
    work->status = we_json_parse(work->variables, "variables", &arena, &variables, &work->error);
    size_t before = memory_from_now();
    double begin = processor_seconds();
    if (work->status == WE_OK)
        work->status = we_jinja_parse(work->source, "hostile", &jinja, &work->error);
    work->parsing = processor_seconds() - begin;
    if (work->status == WE_OK)
        work->status = we_jinja_render(jinja, variables, &(struct we_jinja_limits){.steps = MOST_STEPS, .use = &work->use},
                                       &out, &work->error);
    work->bytes = memory_most() - before;
    we_jinja_free(jinja);
    we_buf_free(&out);
    work->seconds = processor_seconds() - begin;
    we_arena_free(&arena);
    return NULL;
}

static void run_work(struct work *work)
{
    pthread_attr_t attributes;
    pthread_t thread;
    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setstacksize(&attributes, STACK), 0);
    assert_int_equal(pthread_create(&thread, &attributes, work_in_thread, work), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&attributes);
    size_t head = work->source.length < 60 ? work->source.length : 60, rest = work->source.length - head,
           tail = rest < 60 ? rest : 60;
    if (shown)
        printf("%6.3f s (parsing %5.3f) %8llu steps %6.1f MB  %.*s...%.*s\n", work->seconds, work->parsing,
               (unsigned long long)work->use.steps, 1e-6 * (double)work->bytes, (int)head, work->source.data, (int)tail,
               work->source.data + work->source.length - tail);
}

/* Whether one of the alternatives, which | separates, is in the message. */
static bool holds_one(const char *message, const char *words)
{
    for (;;) {
        size_t length = strcspn(words, "|");
        if (we_str_find(we_str_c(message), we_str(words, length), 0) != SIZE_MAX)
            return true;
        if (words[length] == '\0')
            return false;
        words += length + 1;
    }
}

/* @ becomes the number. */
static void append_numbered(struct we_buf *source, const char *piece, size_t number)
{
    for (; *piece; piece++)
        if (*piece == '@')
            we_buf_printf(source, "%zu", number);
        else
            we_buf_append_byte(source, *piece);
}

static bool check_case(const struct hostile *hostile)
{
    struct we_buf source = {0};
    we_buf_append_c(&source, hostile->before);
    for (size_t i = 0; i < hostile->times; i++)
        append_numbered(&source, hostile->piece, i);
    we_buf_append_c(&source, hostile->middle ? hostile->middle : "");
    for (size_t i = 0; hostile->closing && hostile->closing[0] && i < hostile->times; i++)
        we_buf_append_c(&source, hostile->closing);
    we_buf_append_c(&source, hostile->after ? hostile->after : "");
    assert_false(source.failed);
    struct work work = {.source = we_buf_str(&source), .variables = we_str_c("{}")};
    run_work(&work);
    bool right = hostile->words ? work.status != WE_OK && holds_one(work.error.message, hostile->words) : work.status == WE_OK;
    if (!right)
        print_error("%.200s: must %s %s; status %d, '%s'\n", source.data, hostile->words ? "fail with" : "be rendered",
                    hostile->words ? hostile->words : "", work.status, work.status == WE_OK ? "" : work.error.message);
    if (work.use.steps > WE_JINJA_STEPS)
        print_error("%.200s: took %llu steps\n", source.data, (unsigned long long)work.use.steps);
    if (work.bytes > MOST_BYTES)
        print_error("%.200s: took %.1f MB\n", source.data, 1e-6 * (double)work.bytes);
    we_buf_free(&source);
    return right && work.bytes <= MOST_BYTES && work.use.steps <= WE_JINJA_STEPS;
}

static void test_hostile_templates(void **state)
{
    (void)state;
    size_t wrong = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        wrong += !check_case(&cases[i]);
    assert_int_equal(wrong, 0);
}

/* ---- hostile requests ---- */

static void check_value(const char *piece, size_t times, const char *middle, const char *closing, bool fine)
{
    struct we_buf json = {0};
    we_buf_append_c(&json, "{\"a\": ");
    for (size_t i = 0; i < times; i++)
        we_buf_append_c(&json, piece);
    we_buf_append_c(&json, middle);
    for (size_t i = 0; i < times; i++)
        we_buf_append_c(&json, closing);
    we_buf_append_c(&json, "}");
    struct work work = {.source =
                            we_str_c("{{ a }}{{ a | tojson(indent=1) }}{{ a == a }}{{ [a] < [a] }}{{ [a] | unique | list }}"),
                        .variables = we_buf_str(&json)};
    run_work(&work);
    if (fine ? work.status != WE_OK && strstr(work.error.message, "unhashable") == NULL : work.status == WE_OK)
        fail_msg("%s, %zu times: status %d, '%s'", piece, times, work.status, work.error.message);
    we_buf_free(&json);
}

static void test_hostile_values(void **state)
{
    (void)state;
    check_value("[", 200, "1", "]", true);
    check_value("{\"b\":", 200, "1", "}", true);
    check_value("[", 100000, "1", "]", false);
    check_value("[", 100000, "", "", false);
    check_value("{\"b\":", 100000, "1", "}", false);
    check_value("", 1, "\"", "", false);
    check_value("[1e999, -1e999, 1e-999],", 0, "[1e999, -1e999, 1e-999, 123456789012345678901234567890]", "", true);
}

/* A long conversation is none of these: the limits grow with the request. */
static void test_a_long_conversation(void **state)
{
    (void)state;
    static const char source[] =
        "{% for m in messages %}{% if m.role == 'user' and loop.index0 % 2 == 0 %}{{ '<u>' + m.content | trim + '</u>' }}"
        "{% else %}{{ m.content | replace('a', 'b') }}{% endif %}{% endfor %}";
    struct we_buf request = {0}, out = {0};
    struct we_chat_template *chat_template;
    struct we_error error;
    we_buf_append_c(&request, "{\"messages\": [");
    for (size_t i = 0; i < 20000; i++) {
        we_buf_append_c(&request, i ? ", {\"role\": \"user\", \"content\": \"" : "{\"role\": \"user\", \"content\": \"");
        for (size_t j = 0; j < 20; j++)
            we_buf_append_c(&request, "a few words that somebody wrote, ");
        we_buf_append_c(&request, "\"}");
    }
    we_buf_append_c(&request, "]}");
    assert_int_equal(we_chat_template_parse(we_str_c(source), "long", NULL, &chat_template, &error), WE_OK);
    if (we_chat_template_render(chat_template, we_buf_str(&request), &out, &error) != WE_OK)
        fail_msg("%s", error.message);
    assert_true(out.length > 12u << 20);
    we_chat_template_close(chat_template);
    we_buf_free(&request);
    we_buf_free(&out);
}

/* The limits that a caller sets. */
static void test_own_limits(void **state)
{
    (void)state;
    struct we_jinja *jinja;
    struct we_error error;
    struct we_buf out = {0};
    assert_int_equal(we_jinja_parse(we_str_c("{% for a in range(1000) %}{{ 'x' * 1000 }}{% endfor %}"), "t", &jinja, &error),
                     WE_OK);
    we_buf_append_c(&out, "kept");
    assert_int_equal(we_jinja_render(jinja, NULL, &(struct we_jinja_limits){.steps = 500}, &out, &error), WE_TEMPLATE_ERROR);
    assert_int_equal(we_jinja_render(jinja, NULL, &(struct we_jinja_limits){.memory = 500000}, &out, &error), WE_OUT_OF_MEMORY);
    assert_string_equal(out.data, "kept");
    assert_int_equal(we_jinja_render(jinja, NULL, NULL, &out, &error), WE_OK);
    assert_int_equal(out.length, 1000004);
    we_jinja_free(jinja);
    we_buf_free(&out);
}

int main(int argc, char **argv)
{
    (void)argv;
    shown = argc > 1;
    set_clock(1767323045);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile_templates),
        cmocka_unit_test(test_hostile_values),
        cmocka_unit_test(test_a_long_conversation),
        cmocka_unit_test(test_own_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
