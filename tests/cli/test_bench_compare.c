/* What bench --compare calls noise. The limits are those of Welch's test with a hundredth, from tables of Student's t. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../cli/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct verdict_case {
    const char *name;
    enum we_bench_unit unit;
    struct we_bench_value before, now;
    enum we_bench_verdict verdict;
};

/* Three repeats each with deviation 1: error of the difference 0.8165, 4 degrees of freedom, t 4.604: 3.76 is the limit.
 * Ten each: 0.4472, 18 degrees, t 2.947 (of 15, the next one in the table below it): 1.318.
 * Deviations 1 and 0, three each: 0.5774, 2 degrees, t 9.925: 5.730. */
static const struct verdict_case verdict_cases[] = {
    {"decode", WE_BENCH_TOKENS_PER_SECOND, {100, 1, 3}, {103.7, 1, 3}, WE_BENCH_NOISE},
    {"decode", WE_BENCH_TOKENS_PER_SECOND, {100, 1, 3}, {103.8, 1, 3}, WE_BENCH_BETTER},
    {"decode", WE_BENCH_TOKENS_PER_SECOND, {100, 1, 3}, {96.3, 1, 3}, WE_BENCH_NOISE},
    {"decode", WE_BENCH_TOKENS_PER_SECOND, {100, 1, 3}, {96.2, 1, 3}, WE_BENCH_WORSE},
    {"decode", WE_BENCH_TOKENS_PER_SECOND, {100, 1, 10}, {101.3, 1, 10}, WE_BENCH_NOISE},
    {"decode", WE_BENCH_TOKENS_PER_SECOND, {100, 1, 10}, {101.4, 1, 10}, WE_BENCH_BETTER},
    {"decode", WE_BENCH_TOKENS_PER_SECOND, {100, 1, 3}, {105.7, 0, 3}, WE_BENCH_NOISE},
    {"decode", WE_BENCH_TOKENS_PER_SECOND, {100, 1, 3}, {105.8, 0, 3}, WE_BENCH_BETTER},
    /* less than 1 %, though far more than chance; and no spread at all */
    {"prefill", WE_BENCH_TOKENS_PER_SECOND, {100, 0.001, 9}, {100.9, 0.001, 9}, WE_BENCH_NOISE},
    {"prefill", WE_BENCH_TOKENS_PER_SECOND, {100, 0, 3}, {101.1, 0, 3}, WE_BENCH_BETTER},
    {"prefill", WE_BENCH_TOKENS_PER_SECOND, {100, 0, 3}, {100, 0, 3}, WE_BENCH_NOISE},
    /* of seconds less is better */
    {"load_hot", WE_BENCH_SECONDS, {0.1, 0.001, 3}, {0.2, 0.001, 3}, WE_BENCH_WORSE},
    {"load_hot", WE_BENCH_SECONDS, {0.2, 0.001, 3}, {0.1, 0.001, 3}, WE_BENCH_BETTER},
    {"read_bandwidth", WE_BENCH_BYTES_PER_SECOND, {1e9, 1e6, 3}, {2e9, 1e6, 3}, WE_BENCH_BETTER},
    /* one repeat tells nothing of its spread; memory needs none */
    {"decode", WE_BENCH_TOKENS_PER_SECOND, {100, 0, 1}, {200, 1, 3}, WE_BENCH_UNKNOWN},
    {"decode", WE_BENCH_TOKENS_PER_SECOND, {100, 1, 3}, {200, 0, 1}, WE_BENCH_UNKNOWN},
    {"peak_memory", WE_BENCH_BYTES, {1e9, 0, 1}, {1.02e9, 0, 1}, WE_BENCH_NOISE},
    {"peak_memory", WE_BENCH_BYTES, {1e9, 0, 1}, {1.04e9, 0, 1}, WE_BENCH_WORSE},
    {"peak_memory", WE_BENCH_BYTES, {1e9, 0, 1}, {0.96e9, 0, 1}, WE_BENCH_BETTER},
    {"decode", WE_BENCH_TOKENS_PER_SECOND, {0, 0, 3}, {10, 1, 3}, WE_BENCH_BETTER},
};

static void test_verdicts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof verdict_cases / sizeof *verdict_cases; i++) {
        const struct verdict_case *c = &verdict_cases[i];
        struct we_bench_report now = {0}, before = {0};
        we_bench_add(&before, c->name, 8, c->unit, c->before, 0);
        we_bench_add(&now, c->name, 8, c->unit, c->now, 0);
        we_bench_add(&now, c->name, 9, c->unit, c->now, 0); /* has no partner */
        we_bench_compare(&now, &before);
        if (now.lines.list[0].verdict != c->verdict)
            fail_msg("case %zu: %s, where %d was expected", i, we_bench_verdict_text(&now.lines.list[0]), c->verdict);
        assert_int_equal(now.lines.list[1].verdict, WE_BENCH_ALONE);
    }
}

static void test_values(void **state)
{
    (void)state;
    const double samples[] = {1, 2, 6};
    struct we_bench_value v = we_bench_value_of(samples, 3);
    assert_true(v.mean > 2.9999 && v.mean < 3.0001 && v.deviation > 2.6457 && v.deviation < 2.6458 && v.repeats == 3);
    v = we_bench_value_of(samples, 1);
    assert_true(v.mean == 1 && v.deviation == 0);
}

/* Files that are no such report are refused; one of an earlier version of the program is read. */
static const struct {
    const char *text, *message; /* NULL: it is good */
} files[] = {
    {"", "a value was expected"},
    {"[]", "this is not what"},
    {"{\"prefill_tps\": \"fast\"}", "this is not what"},
    {"{\"prefill_tps\": 1, \"measurements\": {}}", "this is not what"},
    {"{\"prefill_tps\": 1, \"measurements\": [1]}", "lacks its mean"},
    {"{\"prefill_tps\": 1, \"measurements\": [{\"measurement\": \"x\", \"mean\": 1, \"deviation\": -1, \"repeats\": 2}]}",
     "('x') lacks"},
    {"{\"prefill_tps\": 1, \"measurements\": [{\"mean\": 1, \"deviation\": 1, \"repeats\": 0}]}", "lacks its mean"},
    {"{\"prefill_tps\": 5.5, \"prefill_tps_deviation\": 0.5, \"decode_tps\": 2, \"load_seconds\": 1, \"repeats\": 4, "
     "\"prompt_tokens\": 64}",
     NULL},
};

static void test_files(void **state)
{
    (void)state;
    char path[] = "/tmp/we-bench-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct we_bench_report report;
        struct we_error error;
        assert_int_equal(pwrite(fd, files[i].text, strlen(files[i].text), 0), strlen(files[i].text));
        assert_int_equal(ftruncate(fd, (off_t)strlen(files[i].text)), 0);
        we_status status = we_bench_read(path, &report, &error);
        if (files[i].message) {
            assert_int_equal(status, WE_INVALID_FORMAT);
            assert_non_null(strstr(error.message, path));
            if (strstr(error.message, files[i].message) == NULL)
                fail_msg("file %zu: %s", i, error.message);
        } else {
            assert_int_equal(status, WE_OK);
            const struct we_bench_line *line = we_bench_find(&report, "prefill", 64);
            assert_true(line && line->value.mean == 5.5 && line->value.deviation == 0.5 && line->value.repeats == 4);
            assert_non_null(we_bench_find(&report, "decode", 64));
            assert_true(we_bench_find(&report, "load_hot", 0)->value.repeats == 1);
        }
        we_bench_report_clear(&report);
    }
    close(fd);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_verdicts), cmocka_unit_test(test_values),
                                       cmocka_unit_test(test_files)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
