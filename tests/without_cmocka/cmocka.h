/* What our tests use of cmocka, for processors that there is no cmocka for: a build with -Dcompute_only=true finds this
 * header in its place. A test ends at its first failure; the others go on. */
#ifndef TESTS_WITHOUT_CMOCKA_H
#define TESTS_WITHOUT_CMOCKA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct CMUnitTest {
    const char *name;
    void (*run)(void **state);
    int (*setup)(void **state);
    int (*teardown)(void **state);
    void *initial_state;
};

static jmp_buf check_end;
static int check_failed, check_skipped;

__attribute__((noreturn, format(printf, 3, 4))) static inline void check_fail(const char *file, int line, const char *format,
                                                                              ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s:%d: ", file, line);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    check_failed = 1;
    longjmp(check_end, 1);
}

__attribute__((noreturn)) static inline void check_skip(void)
{
    check_skipped = 1;
    longjmp(check_end, 1);
}

static inline void check_same(const char *file, int line, const char *text, const void *a, const void *b, size_t size)
{
    if (memcmp(a, b, size) != 0)
        check_fail(file, line, "%s: the bytes differ", text);
}

static inline void check_strings(const char *file, int line, const char *a, const char *b)
{
    if (strcmp(a, b) != 0)
        check_fail(file, line, "\"%s\" is not \"%s\"", a, b);
}

static inline void check_integers(const char *file, int line, const char *text, uint64_t a, uint64_t b, int same)
{
    if ((a == b) != same)
        check_fail(file, line, "%s: %#llx, %#llx", text, (unsigned long long)a, (unsigned long long)b);
}

static inline void check_range(const char *file, int line, const char *text, uint64_t a, uint64_t least, uint64_t most)
{
    if (a < least || a > most)
        check_fail(file, line, "%s: %llu is not from %llu to %llu", text, (unsigned long long)a, (unsigned long long)least,
                   (unsigned long long)most);
}

#define assert_true(condition) ((condition) ? (void)0 : check_fail(__FILE__, __LINE__, "not true: %s", #condition))
#define assert_false(condition) ((condition) ? check_fail(__FILE__, __LINE__, "true: %s", #condition) : (void)0)
#define assert_non_null(pointer) assert_true((pointer) != NULL)
#define assert_null(pointer) assert_true((pointer) == NULL)
#define assert_ptr_equal(a, b) assert_true((const void *)(a) == (const void *)(b))
#define assert_int_equal(a, b) check_integers(__FILE__, __LINE__, #a " == " #b, (uint64_t)(a), (uint64_t)(b), 1)
#define assert_int_not_equal(a, b) check_integers(__FILE__, __LINE__, #a " != " #b, (uint64_t)(a), (uint64_t)(b), 0)
#define assert_in_range(a, least, most) check_range(__FILE__, __LINE__, #a, (uint64_t)(a), (uint64_t)(least), (uint64_t)(most))
#define assert_string_equal(a, b) check_strings(__FILE__, __LINE__, a, b)
#define assert_memory_equal(a, b, size) check_same(__FILE__, __LINE__, #a " == " #b, a, b, size)
#define fail_msg(...) check_fail(__FILE__, __LINE__, __VA_ARGS__)
#define skip() check_skip()
#define print_message(...) printf(__VA_ARGS__)
#define cmocka_unit_test_setup_teardown(run, setup, teardown) ((struct CMUnitTest){#run, run, setup, teardown, NULL})
#define cmocka_unit_test_setup(run, setup) cmocka_unit_test_setup_teardown(run, setup, NULL)
#define cmocka_unit_test_teardown(run, teardown) cmocka_unit_test_setup_teardown(run, NULL, teardown)
#define cmocka_unit_test(run) cmocka_unit_test_setup_teardown(run, NULL, NULL)
#define cmocka_run_group_tests(tests, setup, teardown) check_run(tests, sizeof(tests) / sizeof *(tests))

static inline void check_one(const struct CMUnitTest *test)
{
    static void *state;
    state = test->initial_state;
    check_failed = check_skipped = 0;
    printf("[ RUN     ] %s\n", test->name);
    fflush(stdout);
    if (test->setup && test->setup(&state) != 0)
        check_failed = 1;
    else if (setjmp(check_end) == 0)
        test->run(&state);
    if (test->teardown && test->teardown(&state) != 0)
        check_failed = 1;
    printf("[ %s ] %s\n", check_failed ? "FAILED " : check_skipped ? "SKIPPED" : "     OK", test->name);
}

/* The number of failures. */
static inline int check_run(const struct CMUnitTest *tests, size_t count)
{
    int failures = 0;
    for (size_t i = 0; i < count; i++) {
        check_one(&tests[i]);
        failures += check_failed;
    }
    printf("%zu tests, %d failed\n", count, failures);
    return failures;
}

#endif
