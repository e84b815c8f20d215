/* The .env reader: what each line means, and what is refused with file and line. */
#include "config/env.h"

#include "base/fs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
/* after those that it needs */
#include <cmocka.h>

#if defined(__linux__)
#include "failing_memory.h"
#endif

/* The process environment of these tests. */
static const char *lookup(void *context, const char *name)
{
    assert_string_equal(context, "context");
    return strcmp(name, "HOME") == 0 ? "/home/me" : strcmp(name, "EMPTY") == 0 ? "" : NULL;
}

static we_status parse_all(struct we_str text, struct we_env *env, struct we_error *error)
{
    char context[] = "context";
    return we_env_parse(text, "x/.env", lookup, context, env, error);
}

/* The same, where a line that cannot be read is an error. */
static we_status parse(struct we_str text, struct we_env *env, struct we_error *error)
{
    we_status status = parse_all(text, env, error);
    if (status == WE_OK && env->num_problems) {
        status = we_env_problem_error(env, &env->problems[0], error);
        we_env_free(env);
    }
    return status;
}

static void test_values(void **state)
{
    (void)state;
    const struct {
        const char *text, *value; /* of A; NULL: not set */
    } table[] = {
        /* plain */
        {"A=1", "1"},
        {"A=1\n", "1"},
        {"A=1\r\n", "1"},
        {"A = 1", "1"},
        {"\t A\t=\t1 \t", "1"},
        {"A=", ""},
        {"A=   \n", ""},
        {"A=two words", "two words"},
        {"export A=1", "1"},
        {"export\tA=1", "1"},
        {"A=a=b=c", "a=b=c"},
        {"\xEF\xBB\xBF"
         "A=1",
         "1"},
        {"A=C:\\new\\table", "C:\\new\\table"},
        {"A=it's", "it's"},
        {"A=say \"hi\"", "say \"hi\""},
        {"A=1\nA=2", "2"},
        {"A=http://localhost:1234/v1", "http://localhost:1234/v1"},
        {"A=\xC3\xA9\xE2\x82\xAC", "\xC3\xA9\xE2\x82\xAC"},
        {"A.b-c=1", NULL},
        {"A\n", NULL},
        {"export A", NULL},
        {"A # later", NULL},
        {"export=1\nA=${export}", "1"},
        {"export = 1\nA=${export}", "1"},
        {"", NULL},
        {"\n\n\n", NULL},
        {"B=1\n\n  \n# A=3\n  # A=4\nA=2", "2"},
        /* comments */
        {"A=1 # one", "1"},
        {"A=1\t# one", "1"},
        {"A=1#one", "1#one"},
        {"A=#fff", "#fff"},
        {"A= # nothing", ""},
        {"A=\"1 # 2\" # 3", "1 # 2"},
        {"A='1 # 2'# 3", "1 # 2"},
        {"A=a # b # c", "a"},
        /* quotes */
        {"A=\"\"", ""},
        {"A=''", ""},
        {"A=\" 1 \"", " 1 "},
        {"A='\"'", "\""},
        {"A=\"'\"", "'"},
        {"A=\"a\\nb\\tc\\rd\"", "a\nb\tc\rd"},
        {"A=\"a\\\"b\\\\c\\$d\\x\"", "a\"b\\c$d\\x"},
        {"A='a\\nb'", "a\\nb"},
        {"A='it\\'s \\\\'", "it's \\"},
        {"A=\"one\ntwo\"\nB=3", "one\ntwo"},
        {"A='one\r\ntwo'", "one\ntwo"},
        {"A=\"a\rb\"", "a\rb"},
        {"A=\"x\"   ", "x"},
        /* references */
        {"B=b\nA=${B}c", "bc"},
        {"B=b\nA=\"<${B}>\"", "<b>"},
        {"B=b\nA='${B}'", "${B}"},
        {"A=${HOME}/models", "/home/me/models"},
        {"HOME=/elsewhere\nA=${HOME}", "/home/me"},
        {"A=${MISSING}", ""},
        {"A=${MISSING:-x y}", "x y"},
        {"A=${MISSING-x}", "x"},
        {"A=${EMPTY:-x}", "x"},
        {"A=${EMPTY-x}", ""},
        {"A=${HOME:-x}", "/home/me"},
        {"A=${A}", ""},
        {"A=1\nA=${A}2", "12"},
        {"A=$HOME", "$HOME"},
        {"A=pa$$word", "pa$$word"},
        {"A=$", "$"},
        {"A=${", "${"},
        {"A=${}", "${}"},
        {"A=${HOME", "${HOME"},
        {"A=${HO ME}", "${HO ME}"},
        {"A=${HOME+x}", "${HOME+x}"},
        {"A=${HOME # c", "${HOME"},
        {"A=\"${HOME\n}\"", "${HOME\n}"},
        {"B=1\nC=${B}${B}\nA=${C}${C}", "1111"},
        {"A=${9}", "${9}"},
        {"a.b=1\nA=${a.b}", "1"},
        {"A=\"\\${HOME}\"", "${HOME}"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct we_env env;
        struct we_error error;
        if (parse(we_str_c(table[i].text), &env, &error) != WE_OK)
            fail_msg("%s: %s", table[i].text, error.message);
        const struct we_env_entry *entry = we_env_get(&env, "A");
        if ((entry == NULL) != (table[i].value == NULL) || (entry && strcmp(entry->value, table[i].value) != 0))
            fail_msg("%s: A is <%s>, but must be <%s>", table[i].text, entry ? entry->value : "not set",
                     table[i].value ? table[i].value : "not set");
        we_env_free(&env);
    }
}

static void test_errors_name_file_and_line(void **state)
{
    (void)state;
    const struct {
        const char *text;
        const char *message;
    } table[] = {
        {"A=1\n=2", "x/.env:2: NAME=VALUE was expected"},
        {"A 1", "x/.env:1: NAME=VALUE"},
        {"\n\n9A=1", "x/.env:3: NAME=VALUE"},
        {"A: 1", "x/.env:1: "},
        {"<html>", "x/.env:1: "},
        {"A=1\nB=\"a\nb\nc", "x/.env:2: the quote (\") is never closed"},
        {"A='", "x/.env:1: the quote (') is never closed"},
        {"A=\"a\nb\" c", "x/.env:2: there is text after the closing quote"},
        {"A=\"1\nB=\"2\"", "x/.env:2: there is text"},
        {"A=\"\\", "never closed"},
        {"A=\"1\n2\"\nB=3\nC C", "x/.env:4: "},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct we_env env;
        struct we_error error = {0};
        assert_int_equal(parse(we_str_c(table[i].text), &env, &error), WE_INVALID_FORMAT);
        if (strstr(error.message, table[i].message) == NULL)
            fail_msg("<%s>: \"%s\" does not say \"%s\"", table[i].text, error.message, table[i].message);
        assert_true(env.count == 0 && env.entries == NULL && env.arena.chunks == NULL);
    }
    struct we_env env;
    struct we_error error;
    assert_int_equal(parse(we_str("A=1\n\0B=2", 8), &env, &error), WE_INVALID_FORMAT);
    assert_non_null(strstr(error.message, "NUL"));
}

static void test_lines_that_cannot_be_read(void **state)
{
    (void)state;
    struct we_env env;
    struct we_error error;
    const char *text = "set -a\n"
                       "B: 1\n"
                       "export C=\"x\"y\n"
                       "D='never closed\n"
                       "A=1\n"
                       "[section]\n"
                       "E=2 # it is\n"
                       "2FA=3\n"
                       "F=4";
    const struct {
        const char *name;
        uint32_t line;
    } problems[] = {{"set", 1}, {"B", 2}, {"C", 3}, {"D", 4}, {"", 6}, {"", 8}};
    assert_int_equal(parse_all(we_str_c(text), &env, &error), WE_OK);
    assert_int_equal(env.num_problems, sizeof problems / sizeof *problems);
    for (size_t i = 0; i < env.num_problems; i++) {
        assert_string_equal(env.problems[i].name, problems[i].name);
        assert_int_equal(env.problems[i].line, problems[i].line);
    }
    assert_int_equal(env.count, 3);
    assert_string_equal(we_env_get(&env, "A")->value, "1");
    assert_int_equal(we_env_get(&env, "E")->line, 7);
    assert_string_equal(we_env_get(&env, "F")->value, "4");
    we_env_free(&env);
    assert_int_equal(parse_all(we_str_c("<html>\n<p>hello</p>\n"), &env, &error), WE_INVALID_FORMAT); /* none can be read */
    assert_non_null(strstr(error.message, "x/.env:1: "));
    struct we_buf many = {0};
    we_buf_append_c(&many, "A=1\n");
    while (many.length < (size_t)WE_ENV_MAX_FILE - 20)
        we_buf_append_c(&many, many.length % 2 ? "B=\"\n" : "B=' x\n");
    assert_int_equal(parse_all(we_buf_str(&many), &env, &error), WE_OK); /* and at once */
    assert_int_equal(env.num_problems, WE_ENV_MAX_PROBLEMS);
    we_env_free(&env);
    we_buf_free(&many);
}

static void test_lines_and_order(void **state)
{
    (void)state;
    struct we_env env;
    struct we_error error;
    assert_int_equal(parse(we_str_c("\n#\nA=1\nB='x\ny'\nC=2\n"), &env, &error), WE_OK);
    assert_int_equal(env.count, 3);
    assert_string_equal(env.path, "x/.env");
    assert_string_equal(env.entries[0].name, "A");
    assert_int_equal(we_env_get(&env, "A")->line, 3);
    assert_int_equal(we_env_get(&env, "B")->line, 4);
    assert_int_equal(we_env_get(&env, "C")->line, 6);
    assert_null(we_env_get(&env, "c"));
    we_env_free(&env);
    we_env_free(&env);
}

/* Values that grow by referring to each other, and sizes over the limits. */
static void test_limits(void **state)
{
    (void)state;
    struct we_buf text = {0};
    struct we_env env;
    struct we_error error;
    we_buf_append_c(&text, "A=0123456789\n");
    for (int i = 0; i < 100; i++)
        we_buf_append_c(&text, "A=${A}${A}\n");
    assert_int_equal(parse(we_buf_str(&text), &env, &error), WE_INVALID_FORMAT);
    assert_non_null(strstr(error.message, "x/.env:14: the value is longer"));
    we_buf_clear(&text);
    we_buf_append_c(&text, "A=");
    for (int i = 0; i < 60000; i++)
        we_buf_append_byte(&text, 'x');
    for (int i = 0; i < 900; i++)
        we_buf_append_c(&text, "\nB=${A}");
    assert_int_equal(parse(we_buf_str(&text), &env, &error), WE_INVALID_FORMAT);
    assert_non_null(strstr(error.message, "8 MiB"));
    we_buf_clear(&text);
    for (int i = 0; i < WE_ENV_MAX_ENTRIES; i++)
        we_buf_append_c(&text, "A=1\n");
    assert_int_equal(parse(we_buf_str(&text), &env, &error), WE_OK);
    we_env_free(&env);
    we_buf_append_c(&text, "A=1\n");
    assert_int_equal(parse(we_buf_str(&text), &env, &error), WE_INVALID_FORMAT);
    assert_non_null(strstr(error.message, "x/.env:1025: more than 1024"));
    while (text.length <= WE_ENV_MAX_FILE)
        we_buf_append_c(&text, "\n");
    assert_int_equal(parse(we_buf_str(&text), &env, &error), WE_INVALID_FORMAT);
    assert_non_null(strstr(error.message, "larger than"));
    we_buf_clear(&text);
    we_buf_append_c(&text, "A=\"");
    for (int i = 0; i < 20000; i++)
        we_buf_append_c(&text, "${a");
    we_buf_append_c(&text, "\"");
    assert_int_equal(parse(we_buf_str(&text), &env, &error), WE_OK); /* and at once */
    we_env_free(&env);
    we_buf_free(&text);
}

static void test_files(void **state)
{
    (void)state;
    char folder[] = "/tmp/we-env-XXXXXX", path[64];
    struct we_env env;
    struct we_error error;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/.env", folder);
    assert_int_equal(we_env_read(path, NULL, NULL, &env, &error), WE_NOT_FOUND);
    assert_non_null(strstr(error.message, path));
    assert_int_equal(we_env_read(folder, NULL, NULL, &env, &error), WE_INVALID_FORMAT);
    assert_int_equal(we_file_write(path, we_str_c("A=${HOME}1\n"), &error), WE_OK);
    assert_int_equal(we_env_read(path, NULL, NULL, &env, &error), WE_OK);
    assert_string_equal(we_env_get(&env, "A")->value, "1");
    we_env_free(&env);
    unlink(path);
    rmdir(folder);
}

#if defined(__linux__)
static bool read_some(void)
{
    struct we_env env;
    struct we_error error = {0};
    we_status status =
        we_env_parse(we_str_c("A=1\nB=\"${A} a long value that needs memory to grow, more than 64 bytes of it\"\n"), ".env",
                     NULL, NULL, &env, &error);
    if (status != WE_OK && (status != WE_OUT_OF_MEMORY || env.entries || strstr(error.message, "out of memory") == NULL))
        abort();
    we_env_free(&env);
    return status == WE_OK;
}

static void test_memory_runs_out(void **state)
{
    (void)state;
    assert_true(survive_failures(read_some) >= 3);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_errors_name_file_and_line),
        cmocka_unit_test(test_lines_that_cannot_be_read),
        cmocka_unit_test(test_lines_and_order),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_files),
#if defined(__linux__)
        cmocka_unit_test(test_memory_runs_out),
#endif
    };
    return cmocka_run_group_tests_name("env", tests, NULL, NULL);
}
