/* The template language: each case of jinja_cases.json gives the bytes that Jinja2 gives, and fails where Jinja2 fails. */
#include "support.h"

#include "text/jinja.h"

#include <stdio.h>

/* What our error says must hold what Jinja's says. */
static bool message_holds(const struct we_error *error, const struct we_json *detail)
{
    return detail->kind == WE_JSON_STRING && we_str_find(we_str_c(error->message), detail->string, 0) != SIZE_MAX;
}

static bool names_line(const struct we_error *error, const struct we_json *detail)
{
    char line[40];
    snprintf(line, sizeof line, "line %lld,", (long long)detail->integer);
    return strstr(error->message, line) != NULL;
}

static bool right_error(const struct we_json *expected, bool parsed, const struct we_error *error)
{
    struct we_str kind = expected->items[2].string;
    const struct we_json *detail = &expected->items[3];
    if (error->status != WE_TEMPLATE_ERROR || strncmp(error->message, "case: line ", 11) != 0)
        return false;
    if (we_str_equal_c(kind, "syntax"))
        return !parsed && names_line(error, detail);
    if (we_str_equal_c(kind, "raised") || we_str_equal_c(kind, "undefined"))
        return parsed && message_holds(error, detail);
    return true;
}

static bool check_case(const struct we_json *item, const struct we_json *variables)
{
    struct we_str source = item->items[0].string;
    const struct we_json *expected = &item->items[1];
    struct we_error error = {0};
    struct we_jinja *jinja = NULL;
    struct we_buf out = {0};
    const struct we_jinja_limits limits = {.now = 1767323045};
    we_status status = we_jinja_parse(source, "case", &jinja, &error);
    bool parsed = status == WE_OK, right;
    char what[400];
    if (parsed)
        status = we_jinja_render(jinja, variables, &limits, &out, &error);
    snprintf(what, sizeof what, "%.*s", WE_STR_ARG(source));
    if (expected->kind == WE_JSON_NULL) {
        right = status != WE_OK && right_error(item, parsed, &error);
        if (!right)
            print_error("%s\n  must fail (%.*s, %.*s); gave '%.*s', error '%s'\n", what, WE_STR_ARG(item->items[2].string),
                        WE_STR_ARG(item->items[3].string), WE_STR_ARG(we_buf_str(&out)), status == WE_OK ? "" : error.message);
    } else if (status != WE_OK) {
        right = false;
        print_error("%s\n  must not fail: %s\n", what, error.message);
    } else {
        right = we_str_equal(we_buf_str(&out), expected->string);
        if (!right)
            print_difference(what, expected->string, we_buf_str(&out));
    }
    we_buf_free(&out);
    we_jinja_free(jinja);
    return right;
}

static void test_every_case(void **state)
{
    struct golden *golden = *state;
    const struct we_json *cases = golden_get(golden->tree, "cases"), *variables = golden_get(golden->tree, "variables");
    size_t wrong = 0;
    assert_true(cases->count > 500);
    for (size_t i = 0; i < cases->count; i++)
        wrong += !check_case(&cases->items[i], variables);
    if (wrong)
        fail_msg("%zu of %zu cases are wrong", wrong, cases->count);
}

static int read_cases(void **state)
{
    return golden_read(state, "jinja_cases.json");
}

int main(void)
{
    set_clock(1767323045);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_case)};
    return cmocka_run_group_tests(tests, read_cases, golden_free);
}
