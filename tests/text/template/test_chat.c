/* Chat templates: requests with the templates of chat_cases.json give the prompts that transformers makes of them, and what
 * it refuses is refused. Then the same from folders as models have them. */
#include "support.h"

#include "text/chat_template.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* `expected`: a prompt, or null where transformers raises an error, or an object whose "raised" is what the template said. */
static bool check_prompt(const char *what, const struct we_chat_template *chat_template, struct we_str request,
                         const struct we_json *expected)
{
    struct we_error error = {0};
    struct we_buf out = {0};
    we_buf_append_c(&out, "before"); /* prompts are appended */
    we_status status = we_chat_template_render(chat_template, request, &out, &error);
    struct we_str found = we_str(out.data + 6, out.length - 6);
    bool right = true;
    if (expected->kind != WE_JSON_STRING) {
        const struct we_json *raised = we_json_get(expected, "raised");
        right = status != WE_OK && error.message[0] && found.length == 0;
        if (right && raised)
            right = status == WE_TEMPLATE_ERROR && we_str_ends_with(we_str_c(error.message), raised->string);
        if (!right)
            print_error("%s: must fail; status %d, '%s', prompt %.*s\n", what, status, error.message, WE_STR_ARG(found));
    } else if (status != WE_OK) {
        print_error("%s: must not fail: %s\n", what, error.message);
        right = false;
    } else if (!we_str_equal(found, expected->string)) {
        print_difference(what, expected->string, found);
        right = false;
    }
    right = right && memcmp(out.data, "before", 6) == 0;
    we_buf_free(&out);
    return right;
}

static void test_templates(void **state)
{
    const struct we_json *tree = ((struct golden *)*state)->tree;
    const struct we_json *templates = golden_get(tree, "templates"), *requests = golden_get(tree, "requests");
    size_t wrong = 0, count = 0;
    assert_true(templates->count >= 6 && requests->count >= 30);
    for (size_t i = 0; i < templates->count; i++) {
        struct we_chat_template *chat_template;
        struct we_error error;
        char what[100];
        const struct we_json *prompts = &golden_get(tree, "prompts")->items[i];
        snprintf(what, sizeof what, "%.*s", WE_STR_ARG(templates->keys[i]));
        assert_true(we_str_equal(golden_get(tree, "prompts")->keys[i], templates->keys[i]));
        assert_int_equal(prompts->count, requests->count);
        if (we_chat_template_parse(templates->items[i].string, what, NULL, &chat_template, &error) != WE_OK)
            fail_msg("%s", error.message);
        for (size_t j = 0; j < requests->count; j++, count++) {
            snprintf(what, sizeof what, "%.*s, request %zu", WE_STR_ARG(templates->keys[i]), j);
            wrong += !check_prompt(what, chat_template, requests->items[j].string, &prompts->items[j]);
        }
        we_chat_template_close(chat_template);
    }
    if (wrong)
        fail_msg("%zu of %zu prompts are wrong", wrong, count);
}

/* ---- folders ---- */

static void write_files(const char *folder, const struct we_json *files)
{
    char path[200];
    for (size_t i = 0; i < files->count; i++) {
        snprintf(path, sizeof path, "%s/additional_chat_templates", folder);
        if (we_str_starts_with(files->keys[i], we_str_c("additional_chat_templates/")))
            assert_int_equal(we_make_directories(path, NULL), WE_OK);
        snprintf(path, sizeof path, "%s/%.*s", folder, WE_STR_ARG(files->keys[i]));
        assert_int_equal(we_file_write(path, files->items[i].string, NULL), WE_OK);
    }
}

static void remove_files(const char *folder, const struct we_json *files)
{
    char path[200];
    for (size_t i = 0; i < files->count; i++) {
        snprintf(path, sizeof path, "%s/%.*s", folder, WE_STR_ARG(files->keys[i]));
        unlink(path);
    }
    snprintf(path, sizeof path, "%s/additional_chat_templates", folder);
    rmdir(path);
    assert_int_equal(rmdir(folder), 0);
}

static size_t check_folder(const struct we_json *tree, size_t number)
{
    const struct we_json *item = &golden_get(tree, "directories")->items[number], *prompts = golden_get(item, "prompts");
    const struct we_json *requests = golden_get(tree, "directory_requests");
    char folder[] = "/tmp/we-template-XXXXXX", what[60];
    struct we_chat_template *chat_template;
    struct we_error error;
    size_t wrong = 0;
    assert_int_equal(prompts->count, requests->count);
    assert_non_null(mkdtemp(folder));
    write_files(folder, golden_get(item, "files"));
    we_status status = we_chat_template_open(folder, &chat_template, &error);
    for (size_t i = 0; i < prompts->count; i++) {
        snprintf(what, sizeof what, "folder %zu, request %zu", number, i);
        if (status == WE_OK)
            wrong += !check_prompt(what, chat_template, requests->items[i].string, &prompts->items[i]);
        else if (prompts->items[i].kind == WE_JSON_STRING)
            wrong++, print_error("%s: %s\n", what, error.message);
    }
    we_chat_template_close(chat_template);
    remove_files(folder, golden_get(item, "files"));
    return wrong;
}

static void test_folders(void **state)
{
    const struct we_json *tree = ((struct golden *)*state)->tree;
    size_t count = golden_get(tree, "directories")->count, wrong = 0;
    assert_true(count >= 9);
    for (size_t i = 0; i < count; i++)
        wrong += check_folder(tree, i);
    assert_int_equal(wrong, 0);
}

/* Another template with the tokens of a folder. */
static void test_tokens_of_a_folder(void **state)
{
    (void)state;
    static const char config[] = "{\"bos_token\": \"<s>\", \"eos_token\": \"</s>\", \"chat_template\": \"{% nonsense\"}";
    static const char request[] = "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}], \"eos_token\": \"mine\"}";
    char folder[] = "/tmp/we-template-XXXXXX", path[200];
    struct we_chat_template *chat_template;
    struct we_error error;
    struct we_buf out = {0};
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/tokenizer_config.json", folder);
    struct we_str source = we_str_c("{{ bos_token }}{{ messages[0].content }}{{ eos_token }}");
    for (int with_config = 0; with_config < 2; with_config++) {
        if (with_config)
            assert_int_equal(we_file_write(path, we_str_c(config), NULL), WE_OK);
        assert_int_equal(we_chat_template_parse(source, "other", folder, &chat_template, &error), WE_OK);
        assert_int_equal(we_chat_template_render(chat_template, we_str_c(request), &out, &error), WE_OK);
        assert_string_equal(out.data, with_config ? "<s>xmine" : "xmine");
        we_chat_template_close(chat_template);
        we_buf_free(&out);
    }
    assert_int_equal(we_file_write(path, we_str_c("{"), NULL), WE_OK);
    assert_int_equal(we_chat_template_parse(source, "other", folder, &chat_template, &error), WE_INVALID_FORMAT);
    assert_null(chat_template);
    unlink(path);
    assert_int_equal(rmdir(folder), 0);
}

/* A folder with these files (name, content, ..., NULL) must be refused with a message that holds `words`. */
static void check_refused(const char *const *files, we_status expected, const char *words)
{
    char folder[] = "/tmp/we-template-XXXXXX", path[200];
    struct we_chat_template *chat_template = (struct we_chat_template *)1;
    struct we_error error = {0};
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; files[i]; i += 2) {
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        assert_int_equal(we_file_write(path, we_str_c(files[i + 1]), NULL), WE_OK);
    }
    we_status status = we_chat_template_open(folder, &chat_template, &error);
    if (status != expected || strstr(error.message, words) == NULL || chat_template)
        fail_msg("status %d instead of %d, '%s' instead of '%s'", status, expected, error.message, words);
    for (size_t i = 0; files[i]; i += 2) {
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        unlink(path);
    }
    assert_int_equal(rmdir(folder), 0);
}

static void test_folders_that_are_refused(void **state)
{
    (void)state;
    check_refused((const char *const[]){NULL}, WE_NOT_FOUND, "there is no chat template");
    check_refused((const char *const[]){"tokenizer_config.json", "{\"bos_token\": \"<s>\"}", NULL}, WE_NOT_FOUND,
                  "there is no chat template");
    check_refused((const char *const[]){"tokenizer_config.json", "{\"chat_template\": null}", NULL}, WE_NOT_FOUND,
                  "there is no chat template");
    check_refused((const char *const[]){"tokenizer_config.json", "{\"chat_template\": 5}", NULL}, WE_INVALID_FORMAT,
                  "chat_template");
    check_refused((const char *const[]){"tokenizer_config.json", "{\"chat_template\": [5]}", NULL}, WE_INVALID_FORMAT,
                  "several chat templates");
    check_refused((const char *const[]){"tokenizer_config.json", "{", NULL}, WE_INVALID_FORMAT, "tokenizer_config.json");
    check_refused((const char *const[]){"tokenizer_config.json", "{\"chat_template\": \"{{\"}", NULL}, WE_TEMPLATE_ERROR,
                  "line 1");
    check_refused((const char *const[]){"chat_template.jinja", "a\n{% if %}", NULL}, WE_TEMPLATE_ERROR, "/chat_template.jinja: line 2");
}

/* ---- requests that are no requests ---- */

static void test_requests_that_are_refused(void **state)
{
    (void)state;
    static const char *const requests[][2] = {
        {"", "chat request"},
        {"[]", "object"},
        {"{}", "\"messages\" is missing"},
        {"{\"messages\": 5}", "list"},
        {"{\"messages\": []}", "empty"},
        {"{\"messages\": [\"x\"]}", "list of objects"},
        {"{\"messages\": {\"role\": \"user\"}}", "list of objects"},
        {"{\"messages\": [{\"role\": \"user\"}], \"tools\": \"x\"}", "tools"},
        {"{\"messages\": [{\"role\": \"user\"}], \"tools\": [1]}", "tools"},
        {"{\"messages\": [{\"role\": \"user\"}], \"documents\": [1]}", "documents"},
        {"{\"messages\": [{\"role\": \"user\"}], \"continue_final_message\": true}", "no \"content\" to continue"},
        {"{\"messages\": [{\"content\": 5}], \"continue_final_message\": true}", "no text"},
        {"{\"messages\": [{\"content\": []}], \"continue_final_message\": true}", "no text"},
        {"{\"messages\": [{\"content\": [{\"type\": \"image\"}]}], \"continue_final_message\": true}", "no text"},
        {"{\"messages\": [{\"role\": \"user\"}]} x", "chat request"},
    };
    static const char source[] = "{% for m in messages %}{{ m.content }}{% endfor %}";
    struct we_chat_template *chat_template;
    struct we_error error;
    assert_int_equal(we_chat_template_parse(we_str_c(source), "plain", NULL, &chat_template, &error), WE_OK);
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        struct we_buf out = {0};
        we_status status = we_chat_template_render(chat_template, we_str_c(requests[i][0]), &out, &error);
        if (status == WE_OK || strstr(error.message, requests[i][1]) == NULL || out.length)
            fail_msg("%s: status %d, '%s' instead of '%s'", requests[i][0], status, error.message, requests[i][1]);
        we_buf_free(&out);
    }
    we_chat_template_close(chat_template);
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
        cmocka_unit_test(test_folders),
        cmocka_unit_test(test_tokens_of_a_folder),
        cmocka_unit_test(test_folders_that_are_refused),
        cmocka_unit_test(test_requests_that_are_refused),
    };
    return cmocka_run_group_tests(tests, read_cases, golden_free);
}
