/* The tests after `is`. */
#include "text/jinja_methods.h"
#include "text/jinja_run.h"

static struct we_jvalue answer(int truth)
{
    return truth < 0 ? we_jfailed() : we_jbool(truth);
}

#define KIND_TEST(name, condition)                                                  \
    static struct we_jvalue name(struct we_jrun *run, struct we_jvalue *a)          \
    {                                                                               \
        (void)run;                                                                  \
        return we_jbool(condition);                                                 \
    }
KIND_TEST(test_defined, a[0].kind != WE_J_UNDEFINED)
KIND_TEST(test_undefined, a[0].kind == WE_J_UNDEFINED)
KIND_TEST(test_none, a[0].kind == WE_J_NONE)
KIND_TEST(test_boolean, a[0].kind == WE_J_BOOL)
KIND_TEST(test_false, a[0].kind == WE_J_BOOL && !a[0].boolean)
KIND_TEST(test_true, a[0].kind == WE_J_BOOL && a[0].boolean)
KIND_TEST(test_integer, a[0].kind == WE_J_INT || a[0].kind == WE_J_BIG)
KIND_TEST(test_float, a[0].kind == WE_J_FLOAT)
KIND_TEST(test_number, we_jis_number(a[0]) || a[0].kind == WE_J_BIG)
KIND_TEST(test_string, a[0].kind == WE_J_STRING)
KIND_TEST(test_mapping, a[0].kind == WE_J_DICT)
KIND_TEST(test_iterable, we_jis_iterable(a[0]) || a[0].kind == WE_J_LOOP)
KIND_TEST(test_sequence, we_jhas_length(a[0]) && a[0].kind != WE_J_VIEW && a[0].kind != WE_J_LOOP)
KIND_TEST(test_escaped, a[0].kind == WE_J_STRING && a[0].flags & WE_J_MARKUP)
KIND_TEST(test_sameas, we_jidentical(a[0], a[1]))
KIND_TEST(test_callable, a[0].kind == WE_J_METHOD || a[0].kind == WE_J_FUNCTION || a[0].kind == WE_J_MACRO ||
                             a[0].kind == WE_J_LOOP || a[0].kind == WE_J_JOINER || a[0].kind == WE_J_BLOCK ||
                             a[0].kind == WE_J_UNDEFINED)

static struct we_jvalue remainder_is(struct we_jrun *run, struct we_jvalue value, struct we_jvalue divisor, int64_t rest)
{
    struct we_jvalue remainder = we_jbinary(run, WE_J_MOD, value, divisor);
    return remainder.kind == WE_J_FAILED ? remainder : answer(we_jequal(run, remainder, we_jint(rest)));
}

static struct we_jvalue test_odd(struct we_jrun *run, struct we_jvalue *a)
{
    return remainder_is(run, a[0], we_jint(2), 1);
}

static struct we_jvalue test_even(struct we_jrun *run, struct we_jvalue *a)
{
    return remainder_is(run, a[0], we_jint(2), 0);
}

static struct we_jvalue test_divisibleby(struct we_jrun *run, struct we_jvalue *a)
{
    return remainder_is(run, a[0], a[1], 0);
}

static struct we_jvalue all_case(struct we_jrun *run, struct we_jvalue value, bool upper)
{
    struct we_jvalue text = we_jto_string(run, value);
    return text.kind == WE_J_FAILED ? text : we_jbool(we_jis_all_case(we_jtext(text), upper));
}

static struct we_jvalue test_lower(struct we_jrun *run, struct we_jvalue *a)
{
    return all_case(run, a[0], false);
}

static struct we_jvalue test_upper(struct we_jrun *run, struct we_jvalue *a)
{
    return all_case(run, a[0], true);
}

static struct we_jvalue exists(struct we_jrun *run, struct we_jvalue name, bool filter)
{
    uint64_t hash;
    if (!we_jhash(run, name, &hash))
        return we_jfailed();
    if (name.kind != WE_J_STRING)
        return we_jbool(false);
    struct we_str text = we_jtext(name);
    return we_jbool(filter ? we_jfind_filter(text) != NULL : we_jfind_test(text) != NULL);
}

static struct we_jvalue test_filter(struct we_jrun *run, struct we_jvalue *a)
{
    return exists(run, a[0], true);
}

static struct we_jvalue test_test(struct we_jrun *run, struct we_jvalue *a)
{
    return exists(run, a[0], false);
}

static struct we_jvalue test_in(struct we_jrun *run, struct we_jvalue *a)
{
    return answer(we_jcontains(run, a[1], a[0]));
}

#define COMPARE_TEST(name, operator)                                                \
    static struct we_jvalue name(struct we_jrun *run, struct we_jvalue *a)          \
    {                                                                               \
        return answer(we_jcompare(run, operator, a[0], a[1]));                      \
    }
COMPARE_TEST(test_eq, WE_J_EQ)
COMPARE_TEST(test_ne, WE_J_NE)
COMPARE_TEST(test_gt, WE_J_GT)
COMPARE_TEST(test_ge, WE_J_GE)
COMPARE_TEST(test_lt, WE_J_LT)
COMPARE_TEST(test_le, WE_J_LE)

const struct we_jcallable *we_jfind_test(struct we_str name)
{
    static const struct we_jcallable tests[] = {
        {"defined", 1, 1, {0}, test_defined, NULL},
        {"undefined", 1, 1, {0}, test_undefined, NULL},
        {"none", 1, 1, {0}, test_none, NULL},
        {"string", 1, 1, {0}, test_string, NULL},
        {"mapping", 1, 1, {0}, test_mapping, NULL},
        {"iterable", 1, 1, {0}, test_iterable, NULL},
        {"sequence", 1, 1, {0}, test_sequence, NULL},
        {"true", 1, 1, {0}, test_true, NULL},
        {"false", 1, 1, {0}, test_false, NULL},
        {"boolean", 1, 1, {0}, test_boolean, NULL},
        {"number", 1, 1, {0}, test_number, NULL},
        {"integer", 1, 1, {0}, test_integer, NULL},
        {"float", 1, 1, {0}, test_float, NULL},
        {"callable", 1, 1, {0}, test_callable, NULL},
        {"escaped", 1, 1, {0}, test_escaped, NULL},
        {"odd", 1, 1, {0}, test_odd, NULL},
        {"even", 1, 1, {0}, test_even, NULL},
        {"divisibleby", 2, 2, {0, "num"}, test_divisibleby, NULL},
        {"lower", 1, 1, {0}, test_lower, NULL},
        {"upper", 1, 1, {0}, test_upper, NULL},
        {"filter", 1, 1, {0}, test_filter, NULL},
        {"test", 1, 1, {0}, test_test, NULL},
        {"sameas", 2, 2, {0, "other"}, test_sameas, NULL},
        {"in", 2, 2, {0, "seq"}, test_in, NULL},
        {"==", 2, 2, {0}, test_eq, NULL},
        {"eq", 2, 2, {0}, test_eq, NULL},
        {"equalto", 2, 2, {0}, test_eq, NULL},
        {"!=", 2, 2, {0}, test_ne, NULL},
        {"ne", 2, 2, {0}, test_ne, NULL},
        {">", 2, 2, {0}, test_gt, NULL},
        {"gt", 2, 2, {0}, test_gt, NULL},
        {"greaterthan", 2, 2, {0}, test_gt, NULL},
        {">=", 2, 2, {0}, test_ge, NULL},
        {"ge", 2, 2, {0}, test_ge, NULL},
        {"<", 2, 2, {0}, test_lt, NULL},
        {"lt", 2, 2, {0}, test_lt, NULL},
        {"lessthan", 2, 2, {0}, test_lt, NULL},
        {"<=", 2, 2, {0}, test_le, NULL},
        {"le", 2, 2, {0}, test_le, NULL},
    };
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
        if (we_str_equal_c(name, tests[i].name))
            return &tests[i];
    return NULL;
}
