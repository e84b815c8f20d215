/* Hostile templates and requests end with an error, in bounded time, memory and stack. */
#include "support.h"

#include "text/chat_template.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/resource.h>

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

/* Of processor time: the limit of steps takes less than a second, but not on every machine. */
enum {
    MOST_SECONDS = SANITIZED ? 200 : 15,
    MOST_STEPS = SANITIZED ? 2000000 : 0 /* the default */,
    MOST_MEGABYTES = 300,
    STACK = SANITIZED ? 32 << 20 : 1 << 20
};

/* A template: `before`, then `piece` and `closing` so many times, with `middle` between them, then `after`. */
struct hostile {
    const char *before, *piece;
    size_t times;
    const char *middle, *closing, *after;
    const char *words; /* of the error; NULL: it is rendered */
};

#define LONG "takes too long"
#define MEMORY "takes too long|of memory" /* whichever comes first */
#define DEEP "nests too deeply"
#define OVER(body) "{% for a in range(100000) %}" body "{% endfor %}"
#define GROW(start, body) "{% set n = namespace(x=" start ") %}{% for a in range(100000) %}{% set n.x = " body " %}{% endfor %}"
#define NEST(start, body) "{% set n = namespace(x=" start ") %}{% for a in range(5000) %}{% set n.x = " body " %}{% endfor %}"

static const struct hostile cases[] = {
    /* time */
    {.before = OVER(OVER("")), .words = LONG},
    {.before = OVER(OVER("{{ loop.cycle(1, 2) }}")), .words = LONG},
    {.before = OVER("{% set x = range(100000) | list %}"), .words = MEMORY},
    {.before = OVER("{% set x = range(100000) | map('string') | unique | list %}"), .words = LONG},
    {.before = OVER("{% set x = range(100000) | sort(reverse=true) %}"), .words = LONG},
    {.before = OVER("{% set x = range(100000) | groupby('real') %}"), .words = LONG},
    {.before = "{% set l = range(100000) | list %}" OVER("{% set x = -1 in l %}"), .words = LONG},
    {.before = "{% set l = range(100000) | list %}" OVER("{% set x = l.count(1) %}"), .words = LONG},
    {.before = "{% set l = range(100000) | list %}" OVER("{% set x = l == l + [] %}"), .words = LONG},
#define LONG_STRING(expression)                                                                                                \
    {                                                                                                                          \
        .before =                                                                                                              \
            "{% set h = 'é' * 500000 ~ 'a' * 500000 %}{% set n = 'a' * 400000 ~ 'b' %}" OVER("{% set x = " expression " %}"),  \
        .words = MEMORY                                                                                                        \
    }
    LONG_STRING("h.find(n)"),
    LONG_STRING("h.rfind(n)"),
    LONG_STRING("h.rfind('b' ~ n)"),
    LONG_STRING("h.count(n)"),
    LONG_STRING("n in h"),
    LONG_STRING("h.split(n)"),
    LONG_STRING("h.rsplit(n)"),
    LONG_STRING("h.replace(n, '')"),
    LONG_STRING("h.strip('b' * 100000 ~ 'a')"),
    LONG_STRING("h | trim('ß' * 100000 ~ 'a')"),
    LONG_STRING("h[900000]"),
    LONG_STRING("h[900000:900001]"),
    LONG_STRING("h[::-1]"),
    LONG_STRING("h | upper"),
    LONG_STRING("h.title()"),
    LONG_STRING("h | length"),
    LONG_STRING("h == h ~ ''"),
    LONG_STRING("h < h ~ 'a'"),
    LONG_STRING("h.isalpha()"),
    LONG_STRING("h.islower()"),
    LONG_STRING("h.isprintable()"),
    LONG_STRING("h.startswith(h)"),
    LONG_STRING("h.endswith('a', 900000)"),
    LONG_STRING("h | last"),
    LONG_STRING("h | wordcount"),
    LONG_STRING("h | truncate(5)"),
    LONG_STRING("h | truncate(1000000, end=h)"),
    LONG_STRING("h | urlencode"),
    LONG_STRING("h | tojson"),
    LONG_STRING("h | e"),
    LONG_STRING("h | indent"),
    LONG_STRING("h | reverse"),
    LONG_STRING("h.splitlines()"),
    LONG_STRING("h.expandtabs()"),
    LONG_STRING("h.partition(n)"),
    LONG_STRING("h.casefold()"),
    LONG_STRING("h | title"),
    LONG_STRING("('0' * 100000) | int"),
    LONG_STRING("('1' * 100000) | float"),
    LONG_STRING("'%s' % h"),
    LONG_STRING("'{}'.format(h)"),
    LONG_STRING("{h: 1}"),
    LONG_STRING("[h] | unique | list"),
    LONG_STRING("[h, h] | string"),
    LONG_STRING("h ~ a"),
    LONG_STRING("h.center(1000001)"),
    LONG_STRING("h.zfill(1000001)"),
    /* memory */
    {.before = GROW("'a'", "n.x ~ n.x"), .words = MEMORY},
    {.before = GROW("'a'", "n.x + n.x"), .words = MEMORY},
    {.before = GROW("'a'", "n.x * 2"), .words = MEMORY},
    {.before = GROW("'a'", "n.x | replace('a', 'aa')"), .words = MEMORY},
    {.before = GROW("[1]", "n.x + n.x"), .words = MEMORY},
    {.before = GROW("[1]", "[n.x] + (n.x * 2)"), .words = MEMORY},
    {.before = "{% set n = namespace(x='a') %}" OVER("{% set n.x %}{{ n.x }}{{ n.x }}{% endset %}"), .words = MEMORY},
    {.before = OVER(OVER("some text that is written often, some text that is written often, some text that is written often")),
     .words = MEMORY},
    {.before = "{{ 'a' * 10000000000 }}", .words = MEMORY},
    {.before = "{{ ('a' * 60000000) ~ ('b' * 60000000) }}", .words = MEMORY},
    {.before = "{{ ([0] * 10000000000) | length }}", .words = MEMORY},
    {.before = "{{ ([0] * 9223372036854775807) | length }}", .words = MEMORY},
    {.before = "{{ range(1000000000) }}", .words = "Range too big"},
    {.before = "{{ ('a' * 10000) | replace('', 'b' * 10000) }}", .words = MEMORY},
    {.before = "{{ range(100000) | join('b' * 10000) }}", .words = MEMORY},
    {.before = "{{ ('a\n' * 1000) | indent(1000000000) }}", .words = MEMORY},
    {.before = "{{ 'a'.center(10000000000) }}", .words = MEMORY},
    {.before = "{{ 'a'.ljust(10000000000) }}", .words = MEMORY},
    {.before = "{{ 'a'.zfill(10000000000) }}", .words = MEMORY},
    {.before = "{{ ('\t' * 1000).expandtabs(1000000000) }}", .words = MEMORY},
    {.before = "{{ [[1]] | tojson(indent=1000000000) }}", .words = MEMORY},
    {.before = "{{ [1] | batch(1000000000, 'x') | list }}", .words = MEMORY},
    {.before = "{{ [1] | slice(1000000000) | list }}", .words = MEMORY},
    {.before = "{{ '%1000000000d' % 1 }}", .words = ""},
    {.before = "{{ '%.1000000000f' % 1 }}", .words = ""},
    {.before = "{{ '%*d' % (1000000000, 1) }}", .words = ""},
    {.before = "{{ '{:1000000000}'.format(1) }}", .words = ""},
    {.before = "{{ '{:.1000000000f}'.format(1.5) }}", .words = ""},
    {.before = "{{ '{:01000000000,d}'.format(1) }}", .words = ""},
    {.before = "{{ '{:99999999999999999999999}'.format(1) }}", .words = ""},
    {.before = "{{ ('{}' * 10000).format(*(['a' * 10000] * 10000)) }}", .words = MEMORY},
    {.before = "{{ ('a' * 30000000) | list | length }}", .words = MEMORY},
    {.before = "{{ ('\n' * 30000000).splitlines() | length }}", .words = MEMORY},
    {.before = "{{ strftime_now('%c' * 10000000) }}", .words = MEMORY},
    {.before = GROW("3", "n.x * n.x"), .words = ""},
    {.before = "{{ 2 ** 1000000000 }}", .words = ""},
    /* depth while it runs */
    {.before = "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", .words = DEEP},
    {.before = "{% macro m(a) %}{{ [1] | sort(attribute=m(a) | upper) }}{% endmacro %}{{ m(1) }}", .words = DEEP},
    {.before = "{% macro m(a) %}{% for x in [1] %}{% if 1 %}{% set z %}{% filter upper %}{% with %}{{ 1 + (2 * (m(a) ~ 'x') | "
               "length) }}"
               "{% endwith %}{% endfilter %}{% endset %}{% endif %}{% endfor %}{% endmacro %}{{ m(1) }}",
     .words = DEEP},
    {.before = "{% macro m() %}{{ caller() }}{% call m() %}x{% endcall %}{% endmacro %}{% call m() %}y{% endcall %}",
     .words = DEEP},
    {.before = "{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}", .words = DEEP},
    {.before = "{% block b %}{{ self.b() }}{% endblock %}", .words = DEEP},
    {.before = NEST("[1]", "[n.x]") "{{ n.x }}", .words = DEEP},
    {.before = NEST("[1]", "{'a': n.x}") "{{ n.x | tojson }}", .words = DEEP},
    {.before = NEST("(1,)", "(n.x,)") "{{ {n.x: 1} }}", .words = DEEP},
    {.before = NEST("[1]", "[n.x]") "{% set m = n.x %}" NEST("[1]", "[n.x]") "{{ n.x == m }}", .words = DEEP},
    {.before = NEST("[1]", "[n.x]") "{% set m = n.x %}" NEST("[1]", "[n.x]") "{{ n.x < m }}", .words = DEEP},
    {.before = NEST("[1]", "n.x | map('string')") "{{ n.x | list }}", .words = DEEP},
    {.before = NEST("[1]", "n.x | select") "{% for b in n.x %}{% endfor %}", .words = DEEP},
    /* width: a few lists that hold each other say much */
    {.before = GROW("[1]", "[n.x, n.x]") "{{ n.x }}", .words = ""},
    {.before = "{% set n = namespace(x=[1]) %}{% for a in range(90) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x }}",
     .words = MEMORY},
    {.before = "{% set n = namespace(x=[1]) %}{% for a in range(90) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x | tojson }}",
     .words = MEMORY},
    {.before =
         "{% set n = namespace(x=(1,), y=(1,)) %}{% for a in range(90) %}{% set n.x = (n.x, n.x) %}{% set n.y = (n.y, n.y) %}"
         "{% endfor %}{{ n.x == n.y }}",
     .words = LONG},
    {.before = "{% set n = namespace(x=(1,)) %}{% for a in range(90) %}{% set n.x = (n.x, n.x) %}{% endfor %}{{ {n.x: 1} }}",
     .words = LONG},
    /* what holds itself */
    {.before = "{% set n = namespace() %}{% set n.x = [n] %}{{ n }}"},
    {.before = "{% set n = namespace() %}{% set n.x = [n] %}{{ n.x | tojson }}", .words = ""},
    {.before =
         "{% set n = namespace(g=[1]) %}{% set n.g = [n.g] | map('first') %}{% for a in n.g %}{% for b in n.g %}{% endfor %}"
         "{% endfor %}"},
    {.before = "{% set l = namespace(g=[1]) %}{% set l.g = l.g | map('default', l) %}{{ l.g | list | length }}"},
    /* the parser's depth */
    {"{{ ", "(", 150000, "1", ")", " }}", ""},
    {"{{ ", "(", 90, "1", ")", " }}", NULL},
    {"{{ ", "[", 150000, "1", "]", " }}", ""},
    {"{{ ", "{1:", 150000, "1", "}", " }}", ""},
    {"{{ ", "(", 150000, "", "", "", ""},
    {"{{ ", "not ", 150000, "1", "", " }}", ""},
    {"{{ ", "-", 150000, "1", "", " }}", ""},
    {"{{ a", ".b", 150000, "", "", " }}", ""},
    {"{{ a", "[0]", 150000, "", "", " }}", ""},
    {"{{ ", "a[", 150000, "1", "]", " }}", ""},
    {"{{ a", "()", 150000, "", "", " }}", ""},
    {"{{ ", "a(", 150000, "", ")", " }}", ""},
    {"{{ a", "|upper", 150000, "", "", " }}", ""},
    {"{{ a", "|default(a", 90000, "", ")", " }}", ""},
    {"{{ a", " is defined", 90000, "", "", " }}", ""},
    {"{{ 1", "+1", 150000, "", "", " }}", ""},
    {"{{ 1", "**1", 150000, "", "", " }}", ""},
    {"{{ 1", " and 1", 150000, "", "", " }}", ""},
    {"{{ 1", " if 0 else 1", 80000, "", "", " }}", ""},
    {"{{ 1", "~1", 150000, "", "", " }}", NULL},
    {"{{ 1", " < 1", 150000, "", "", " }}", NULL},
    {"{{ ", "'a' ", 150000, "", "", " }}", NULL},
    {"{% if 1 %}", "{% if 1 %}", 50000, "", "{% endif %}", "{% endif %}", ""},
    {"{% if 0 %}", "{% elif 0 %}", 80000, "", "", "{% endif %}", NULL},
    {"", "{% for a in [1] %}", 30000, "", "{% endfor %}", "", ""},
    {"", "{% for a in ", 50000, "", "", "", ""},
    {"", "{% macro m() %}", 30000, "", "{% endmacro %}", "", ""},
    {"", "{% set a %}", 30000, "", "{% endset %}", "", ""},
    {"", "{%", 500000, "", "", "", ""},
    {"", "{{", 500000, "", "", "", ""},
    {"", "{#", 500000, "", "", "", ""},
    {"{%", " ", 1000000, "", "", "", ""},
    /* size */
    {"", "a", 1 << 20, "", "", "", NULL},
    {"", "a", (1 << 20) + 1, "", "", "", "at most 1048576"},
    {"", "{{ 1 }}", 140000, "", "", "", NULL},
    {"", "{% set a = 1 %}{% if a %}{% set b = 1 %}{% endif %}", 20000, "", "", "", NULL},
    {"", "{% for x in [1] %}{{ x }}{% endfor %}", 25000, "", "", "", NULL},
    {"", "{% macro m(a) %}{{ a }}{% endmacro %}", 25000, "", "", "", NULL},
};

/* ---- one case, in a thread with little stack ---- */

struct work {
    struct we_str source, variables;
    we_status status;
    struct we_error error;
};

static void *work_in_thread(void *argument)
{
    struct work *work = argument;
    struct we_arena arena = {0};
    struct we_json *variables;
    struct we_jinja *jinja = NULL;
    struct we_buf out = {0};
    work->status = we_json_parse(work->variables, "variables", &arena, &variables, &work->error);
    if (work->status == WE_OK)
        work->status = we_jinja_parse(work->source, "hostile", &jinja, &work->error);
    if (work->status == WE_OK)
        work->status = we_jinja_render(jinja, variables, &(struct we_jinja_limits){.steps = MOST_STEPS}, &out, &work->error);
    we_jinja_free(jinja);
    we_buf_free(&out);
    we_arena_free(&arena);
    return NULL;
}

static double processor_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
           1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void run_work(struct work *work)
{
    pthread_attr_t attributes;
    pthread_t thread;
    double begin = processor_seconds();
    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setstacksize(&attributes, STACK), 0);
    assert_int_equal(pthread_create(&thread, &attributes, work_in_thread, work), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&attributes);
    double seconds = processor_seconds() - begin;
    if (seconds > MOST_SECONDS)
        fail_msg("%.200s: took %.1f seconds", work->source.data, seconds);
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

static bool check_case(const struct hostile *hostile)
{
    struct we_buf source = {0};
    we_buf_append_c(&source, hostile->before);
    for (size_t i = 0; i < hostile->times; i++)
        we_buf_append_c(&source, hostile->piece);
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
    we_buf_free(&source);
    return right;
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

static void test_memory_of_all(void **state)
{
    (void)state;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    long megabytes = usage.ru_maxrss / 1024;
#ifdef __APPLE__
    megabytes /= 1024;
#endif
    if (!SANITIZED && megabytes > MOST_MEGABYTES)
        fail_msg("%ld MB were used", megabytes);
}

int main(void)
{
    set_clock(1767323045);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile_templates),   cmocka_unit_test(test_hostile_values),
        cmocka_unit_test(test_a_long_conversation), cmocka_unit_test(test_own_limits),
        cmocka_unit_test(test_memory_of_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
