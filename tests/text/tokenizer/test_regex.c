/* Regular expressions: where they match, against Oniguruma as the `tokenizers` package runs it (make_regex_goldens.py); what
 * is refused; and that no pattern hangs. */
#include "support.h"

#include "base/str.h"
#include "text/regex.h"

#include <stdlib.h>
#include <time.h>

/* ---- goldens ---- */

/* What a scan finds, as the golden file tells it: steps between the edges of matches that are not empty, and the places of
 * empty ones, other than the ends of the text and of other matches. */
static void scan(const struct we_regex *regex, struct we_str text, struct we_ids *steps, struct we_ids *cuts)
{
    struct we_regex_state state = {0};
    struct we_regex_scan s;
    struct we_error error;
    uint32_t last = 0, edges = 0;
    bool found = true;
    size_t start, end;
    steps->count = cuts->count = 0;
    we_regex_scan_begin(&s, regex, &state, text);
    for (;;) {
        if (we_regex_scan_next(&s, &found, &start, &end, &error) != WE_OK)
            fail_msg("%s", error.message);
        if (!found)
            break;
        assert_true(start <= end && end <= text.length && start >= last);
        if (start == end) {
            if (start > 0 && start < text.length && (edges == 0 || start != last))
                cuts->data[cuts->count++] = (uint32_t)start;
            continue;
        }
        if (cuts->count && cuts->data[cuts->count - 1] == start)
            cuts->count--; /* an edge as well */
        steps->data[steps->count++] = (uint32_t)start - last;
        steps->data[steps->count++] = (uint32_t)(end - start);
        last = (uint32_t)end;
        edges++;
    }
    we_regex_state_free(&state);
}

static bool same(const struct we_ids *a, const struct we_ids *b)
{
    return a->count == b->count && (a->count == 0 || memcmp(a->data, b->data, a->count * sizeof *a->data) == 0);
}

static void print_ids(const char *what, const struct we_ids *ids)
{
    print_error("  %s", what);
    for (size_t i = 0; i < ids->count; i++)
        print_error(" %u", ids->data[i]);
    print_error("\n");
}

static void test_goldens(void **state)
{
    (void)state;
    const struct we_json *file = golden_file("regex_goldens.json"), *cases = we_json_get(file, "cases");
    size_t wrong = 0;
    assert_non_null(cases);
    assert_true(cases->count > 350);
    struct we_ids expected_steps = {0}, expected_cuts = {0}, steps = {0}, cuts = {0};
    for (size_t i = 0; i < cases->count; i++) {
        const struct we_json *one = cases->items[i].items;
        struct we_str pattern = one[0].string,
                      text = one[1].kind == WE_JSON_STRING ? one[1].string : we_json_get(file, "text")->string;
        struct we_error error;
        struct we_regex *regex;
        if (we_regex_compile(pattern, &regex, &error) != WE_OK)
            fail_msg("%s", error.message);
        golden_ids(&one[2], &expected_steps);
        golden_ids(&one[3], &expected_cuts);
        char *exact = malloc(text.length);
        steps.data = realloc(steps.data, (2 * text.length + 2) * sizeof *steps.data);
        cuts.data = realloc(cuts.data, (text.length + 2) * sizeof *cuts.data);
        assert_true(exact && steps.data && cuts.data);
        memcpy(exact, text.data, text.length);
        scan(regex, we_str(exact, text.length), &steps, &cuts);
        if (!same(&steps, &expected_steps) || !same(&cuts, &expected_cuts)) {
            print_error("\"%.*s\" in \"%.*s\"\n", WE_STR_ARG(pattern), WE_STR_ARG(text));
            print_ids("found", &steps);
            print_ids("expected", &expected_steps);
            print_ids("found cuts", &cuts);
            print_ids("expected cuts", &expected_cuts);
            wrong++;
        }
        free(exact);
        we_regex_free(regex);
    }
    we_ids_free(&expected_steps);
    we_ids_free(&expected_cuts);
    we_ids_free(&steps);
    we_ids_free(&cuts);
    assert_int_equal(wrong, 0);
}

/* ---- errors ---- */

static void test_errors(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        we_status status;
        const char *message;
    } cases[] = {
        {"(", WE_INVALID_FORMAT, "')' was expected"},
        {"(?:a", WE_INVALID_FORMAT, "')' was expected"},
        {"a)", WE_INVALID_FORMAT, "')' without a '('"},
        {"[", WE_INVALID_FORMAT, "a class that does not end"},
        {"[a", WE_INVALID_FORMAT, "a class that does not end"},
        {"[]", WE_INVALID_FORMAT, "a class that does not end"},
        {"[a&&", WE_INVALID_FORMAT, "a class that does not end"},
        {"[a&&]", WE_UNSUPPORTED, "an empty side of &&"},
        {"[z-a]", WE_INVALID_FORMAT, "an empty range"},
        {"[a-\\d]", WE_INVALID_FORMAT, "a range in a class that does not end in a character"},
        {"[a-[b]]", WE_INVALID_FORMAT, "a range in a class that does not end in a character"},
        {"[\\N]", WE_UNSUPPORTED, "this escape in a class"},
        {"[[:vowel:]]", WE_UNSUPPORTED, "the class [:vowel:]"},
        {"*", WE_INVALID_FORMAT, "nothing to repeat"},
        {"a|+", WE_INVALID_FORMAT, "nothing to repeat"},
        {"{2}", WE_INVALID_FORMAT, "nothing to repeat"},
        {"(?:?)", WE_INVALID_FORMAT, "nothing to repeat"},
        {"a{3,2}", WE_UNSUPPORTED, "an interval whose first number is the larger"},
        {"a{100000}", WE_UNSUPPORTED, "\"a{100000}\""},
        {"a\\", WE_INVALID_FORMAT, "a backslash at the end"},
        {"\\x{110000}", WE_INVALID_FORMAT, "this is no character"},
        {"\\x{D800}", WE_INVALID_FORMAT, "this is no character"},
        {"\\x{}", WE_INVALID_FORMAT, "hexadecimal digits are missing"},
        {"\\x{41", WE_INVALID_FORMAT, "'}' was expected"},
        {"\\u12", WE_INVALID_FORMAT, "hexadecimal digits are missing"},
        {"\\xff", WE_UNSUPPORTED, "bytes that are no UTF-8 character"},
        {"\\pL", WE_INVALID_FORMAT, "'{' was expected"},
        {"\\p{L", WE_INVALID_FORMAT, "'}' was expected"},
        {"\\p{}", WE_UNSUPPORTED, "the character property \"\""},
        {"\\p{Elvish}", WE_UNSUPPORTED, "Elvish"},
        {"\\p{L}{", WE_OK, ""},
        {"(a)\\1", WE_UNSUPPORTED, "a reference to a group"},
        {"(?<n>a)\\k<n>", WE_UNSUPPORTED, "this escape"},
        {"(?<n>a\\g<n>?)", WE_UNSUPPORTED, "this escape"},
        {"(?(1)a|b)", WE_UNSUPPORTED, "this kind of group"},
        {"(?R)", WE_UNSUPPORTED, "this kind of group"},
        {"(?~abc)", WE_UNSUPPORTED, "this kind of group"},
        {"(?x: a )", WE_UNSUPPORTED, "this option of a group"},
        {"(?#never ends", WE_INVALID_FORMAT, "a comment that does not end"},
        {"(?<name", WE_INVALID_FORMAT, "the name of a group that does not end"},
        {"(?'name", WE_INVALID_FORMAT, "the name of a group that does not end"},
        {"(?<=a+)b", WE_UNSUPPORTED, "lookbehind"},
        {"\xFF", WE_INVALID_FORMAT, "it is no UTF-8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct we_error error = {0};
        struct we_regex *regex;
        we_status status = we_regex_compile(we_str_c(cases[i].pattern), &regex, &error);
        if (status != cases[i].status || (status != WE_OK && (strstr(error.message, cases[i].message) == NULL || regex)))
            fail_msg("\"%s\": status %d: %s", cases[i].pattern, status, error.message);
        we_regex_free(regex);
    }
}

/* ---- hostile ---- */

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Patterns that would take for ever, large or deep ones: an error or an answer, and soon. */
static void test_hostile(void **state)
{
    (void)state;
    static const struct {
        const char *head, *body, *tail;
        size_t repeats;
        we_status status; /* of compiling */
    } cases[] = {
        {"(a+)+$", "", "", 0, WE_OK},
        {"(a|aa)+$", "", "", 0, WE_OK},
        {"(a*)*b", "", "", 0, WE_OK},
        {"(?:a?){30}a{30}b", "", "", 0, WE_OK},
        {"([a-z]+)*[0-9]", "", "", 0, WE_OK},
        {"(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)x", "", "", 0, WE_OK},
        {"(?=(a+)+$)b", "", "", 0, WE_OK},
        {"", "(", "a", 100000, WE_UNSUPPORTED},
        {"", "[", "a", 50000, WE_UNSUPPORTED},
        {"", "(?i:", "a", 10000, WE_UNSUPPORTED},
        {"", "(?:", "a", 99, WE_INVALID_FORMAT},
        {"a", "{1000}", "", 5, WE_UNSUPPORTED},
        {"a", "{9}", "", 9, WE_UNSUPPORTED},
        {"a", "**", "", 30000, WE_UNSUPPORTED},
        {"", "a|", "b", 3000, WE_OK},
        {"", "[\\p{L}&&[^\\p{Lu}]]", "", 3000, WE_UNSUPPORTED},
        {"[a", "&&\\w", "]", 15000, WE_UNSUPPORTED},
        {"", "\\b", "", 32000, WE_UNSUPPORTED},
        {"", "a", "", 65537, WE_UNSUPPORTED},
    };
    char text[4001];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '!';
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct we_error error = {0};
        struct we_regex *regex;
        struct we_buf pattern = {0};
        we_buf_append_c(&pattern, cases[i].head);
        for (size_t k = 0; k < cases[i].repeats; k++)
            we_buf_append_c(&pattern, cases[i].body);
        we_buf_append_c(&pattern, cases[i].tail);
        double begin = seconds();
        we_status status = we_regex_compile(we_buf_str(&pattern), &regex, &error);
        if (status != cases[i].status && !(cases[i].status == WE_UNSUPPORTED && status == WE_OUT_OF_MEMORY))
            fail_msg("%.60s: status %d: %s", pattern.data, status, error.message);
        if (status == WE_OK) {
            struct we_regex_state work = {0};
            struct we_regex_scan s;
            bool found = true;
            size_t start, end;
            we_regex_scan_begin(&s, regex, &work, we_str(text, sizeof text));
            while (found && status == WE_OK)
                status = we_regex_scan_next(&s, &found, &start, &end, &error);
            if (status != WE_OK && (status != WE_UNSUPPORTED || strstr(error.message, "cannot be matched here") == NULL))
                fail_msg("%.60s: status %d: %s", pattern.data, status, error.message);
            we_regex_state_free(&work);
        }
        double took = seconds() - begin;
        if (took > 10)
            fail_msg("%.60s took %.1f s", pattern.data, took);
        we_regex_free(regex);
        we_buf_free(&pattern);
    }
}

/* A limit is an error of that text alone: the state and the pattern can be used again. */
static void test_after_limit(void **state)
{
    (void)state;
    struct we_error error;
    struct we_regex *regex;
    struct we_regex_state work = {0};
    struct we_regex_scan s;
    bool found;
    size_t start, end;
    char text[60];
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '!';
    assert_int_equal(we_regex_compile(we_str_c("(?:a|aa|aaa)+[bc]"), &regex, &error), WE_OK);
    we_regex_scan_begin(&s, regex, &work, we_str(text, sizeof text));
    assert_int_equal(we_regex_scan_next(&s, &found, &start, &end, &error), WE_UNSUPPORTED);
    we_regex_scan_begin(&s, regex, &work, we_str_c("xaab"));
    assert_int_equal(we_regex_scan_next(&s, &found, &start, &end, &error), WE_OK);
    assert_true(found && start == 1 && end == 4);
    we_regex_state_free(&work);
    we_regex_free(regex);
}

/* A match that needs more than the small stack of the machine code gets a larger one. */
static void test_deep_match(void **state)
{
    (void)state;
    struct we_error error;
    struct we_regex *regex;
    struct we_regex_state work = {0};
    struct we_regex_scan s;
    bool found;
    size_t start, end, length = 20000;
    char *text = malloc(length);
    assert_non_null(text);
    memset(text, 'a', length);
    text[length - 1] = 'b';
    assert_int_equal(we_regex_compile(we_str_c("(?:(?:a|c)(?:a|c)?)*b"), &regex, &error), WE_OK);
    we_regex_scan_begin(&s, regex, &work, we_str(text, length));
    if (we_regex_scan_next(&s, &found, &start, &end, &error) != WE_OK)
        fail_msg("%s", error.message);
    assert_true(found && start == 0 && end == length);
    we_regex_state_free(&work);
    we_regex_free(regex);
    free(text);
}

/* An alternative that runs to the end of a long text and comes back is no reason to give up. */
static void test_long_run(void **state)
{
    (void)state;
    static const char pattern[] =
        "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
        "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
    struct we_error error;
    struct we_regex *regex;
    struct we_regex_state work = {0};
    size_t length = 3000000;
    char *text = malloc(length);
    assert_non_null(text);
    memset(text, ' ', length);
    assert_int_equal(we_regex_compile(we_str_c(pattern), &regex, &error), WE_OK);
    for (int last = 0; last < 2; last++) { /* before a letter the last space is the letter's */
        struct we_regex_scan s;
        bool found;
        size_t start, end;
        text[length - 1] = last ? 'a' : ' ';
        we_regex_scan_begin(&s, regex, &work, we_str(text, length));
        if (we_regex_scan_next(&s, &found, &start, &end, &error) != WE_OK)
            fail_msg("%s", error.message);
        assert_true(found && start == 0 && end == length - 2 * (size_t)last);
    }
    we_regex_state_free(&work);
    we_regex_free(regex);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_goldens),    cmocka_unit_test(test_errors),
                                       cmocka_unit_test(test_hostile),    cmocka_unit_test(test_after_limit),
                                       cmocka_unit_test(test_deep_match), cmocka_unit_test(test_long_run)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
