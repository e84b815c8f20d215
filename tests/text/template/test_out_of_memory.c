/* Each allocation of reading and rendering a template fails once: the error says so, nothing leaks, nothing crashes. */
#include "failing_memory.h"
#include "support.h"

#include "text/chat_template.h"

#include <stdio.h>
#include <unistd.h>

static struct we_str source, request;
static const char *folder; /* of a model; NULL: the template is `source` */
static bool wrong_status;
static struct we_buf expected; /* the prompt when nothing fails */

static bool render_once(void)
{
    struct we_chat_template *chat_template = NULL;
    struct we_error error = {0};
    struct we_buf out = {0};
    we_status status = folder ? we_chat_template_open(folder, &chat_template, &error)
                              : we_chat_template_parse(source, "template", NULL, &chat_template, &error);
    if (status == WE_OK)
        status = we_chat_template_render(chat_template, request, &out, &error);
    if (status != WE_OK && (status != WE_OUT_OF_MEMORY || error.message[0] == '\0')) {
        wrong_status = true;
        print_error("status %d, '%s'\n", status, error.message);
    }
    if (status == WE_OK && !we_str_equal(we_buf_str(&out), we_buf_str(&expected))) {
        wrong_status = true;
        print_error("a failure was passed over: another prompt\n");
    }
    we_chat_template_close(chat_template);
    we_buf_free(&out);
    return status == WE_OK;
}

static void check(const char *what, struct we_str prompt)
{
    we_buf_free(&expected);
    we_buf_append(&expected, prompt);
    wrong_status = false;
    long survived = survive_failures(render_once);
    if (survived < 3 || wrong_status)
        fail_msg("%s: survived %ld failures", what, survived);
}

/* Every template with the requests that it can render: the first and the last of them, and those with tools. */
static void test_templates(void **state)
{
    const struct we_json *tree = ((struct golden *)*state)->tree;
    const struct we_json *templates = golden_get(tree, "templates"), *requests = golden_get(tree, "requests");
    folder = NULL;
    for (size_t i = 0; i < templates->count; i++) {
        const struct we_json *prompts = &golden_get(tree, "prompts")->items[i];
        for (size_t j = 0; j < requests->count; j++) {
            char what[100];
            source = templates->items[i].string;
            request = requests->items[j].string;
            if (prompts->items[j].kind != WE_JSON_STRING)
                continue;
            snprintf(what, sizeof what, "%.*s, request %zu", WE_STR_ARG(templates->keys[i]), j);
            check(what, prompts->items[j].string);
        }
    }
}

/* What takes much memory, and what takes it in other ways. */
static void test_expressions(void **state)
{
    (void)state;
    static const char *const sources[] = {
        "{{ 'a' * 300000 }}{{ range(3000) | list }}",
        "{{ ('1' * 200) | float }}{{ ('1' * 200) | float(2) }}{{ '%s' % ('1' * 5000) }}",
        "{% for i in range(2000) %}{{ i }}{% set x = 'abc' * 100 %}{% endfor %}",
        "{{ dict(a=range(3000) | map('string') | list) | tojson(indent=2) | length }}",
        "{% macro m(a) %}{{ a }}{{ caller() }}{% endmacro %}{% for i in range(200) %}{% call m(i) %}x{% endcall %}{% endfor %}",
        "{{ range(3000) | map('string') | sort | unique | join(',') | upper | replace('1', 'one') | length }}",
        "{{ strftime_now('%Y') }}{{ 'x\\u00e9\\n' ~ \"\\x41\" }}{{ 1.5e10 ~ 0.1 }}",
    };
    folder = NULL;
    request = we_str_c("{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}]}");
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        struct we_chat_template *chat_template;
        struct we_buf prompt = {0};
        source = we_str_c(sources[i]);
        assert_int_equal(we_chat_template_parse(source, "template", NULL, &chat_template, NULL), WE_OK);
        assert_int_equal(we_chat_template_render(chat_template, request, &prompt, NULL), WE_OK);
        we_chat_template_close(chat_template);
        check(sources[i], we_buf_str(&prompt));
        we_buf_free(&prompt);
    }
}

static void put(const char *name, const char *text)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(we_file_write(path, we_str_c(text), NULL), WE_OK);
}

static void test_folder(void **state)
{
    (void)state;
    static char name[] = "/tmp/we-template-XXXXXX";
    static const char *const files[] = {"tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"};
    char path[200];
    folder = mkdtemp(name);
    assert_non_null(folder);
    put(files[0],
        "{\"bos_token\": \"<s>\", \"eos_token\": {\"content\": \"</s>\"}, \"extra_special_tokens\": {\"x_token\": \"<x>\"},"
        "\"chat_template\": [{\"name\": \"default\", \"template\": \"{{ bos_token }}\"},"
        "{\"name\": \"tool_use\", \"template\": \"T\"}]}");
    put(files[1], "{\"eos_token\": \"<e>\"}");
    request = we_str_c("{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}]}");
    check("tokenizer_config.json", we_str_c("<s>"));
    put(files[2], "{{ eos_token }}{{ x_token }}{{ messages[0].content }}");
    check("chat_template.jinja", we_str_c("<e><x>x"));
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        unlink(path);
    }
    assert_int_equal(rmdir(folder), 0);
}

static int free_cases(void **state)
{
    we_buf_free(&expected);
    return golden_free(state);
}

static int read_cases(void **state)
{
    if (golden_read(state, "chat_cases.json") != 0)
        return -1;
    set_clock(golden_get(((struct golden *)*state)->tree, "now")->integer);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_templates),
        cmocka_unit_test(test_expressions),
        cmocka_unit_test(test_folder),
    };
    return cmocka_run_group_tests(tests, read_cases, free_cases);
}
