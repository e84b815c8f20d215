/* Real chat templates, which are not part of this tree: what we make of the requests of real_cases.json has the hashes of
 * what transformers makes of them. Skips where the folder with the templates is absent. */
#include "support.h"

#include "text/chat_template.h"

#include <stdio.h>
#include <stdlib.h>

static const char *templates_folder(void)
{
    const char *folder = getenv("WE_TEST_TEMPLATES");
    return folder ? folder : SOURCE_ROOT "/../shared/data/templates";
}

static void print_hash(struct we_str text, char out[9])
{
    uint64_t value = 0xCBF29CE484222325u; /* FNV-1a */
    for (size_t i = 0; i < text.length; i++)
        value = (value ^ (unsigned char)text.data[i]) * 0x100000001B3u;
    snprintf(out, 9, "%08x", (unsigned)(value >> 32));
}

static bool check_prompt(const char *name, size_t number, const struct we_chat_template *chat_template, struct we_str request,
                         const struct we_json *expected)
{
    struct we_error error = {0};
    struct we_buf out = {0};
    char hash[9];
    bool right;
    we_status status = we_chat_template_render(chat_template, request, &out, &error);
    print_hash(we_buf_str(&out), hash);
    if (expected->kind == WE_JSON_STRING)
        right = status == WE_OK && we_str_equal_c(expected->string, hash);
    else if (expected->kind == WE_JSON_OBJECT)
        right =
            status == WE_TEMPLATE_ERROR && we_str_ends_with(we_str_c(error.message), golden_get(expected, "raised")->string);
    else
        right = status != WE_OK && error.message[0];
    if (!right)
        print_error("%s, request %zu: status %d, '%s', prompt %.*s\n", name, number, status,
                    status == WE_OK ? "" : error.message, WE_STR_ARG(we_buf_str(&out)));
    we_buf_free(&out);
    return right;
}

/* False if the template is another one than the golden file was made of. */
static bool check_template(const char *name, const struct we_json *expected, const struct we_json *requests, size_t *wrong)
{
    char path[1000], hash[9];
    struct we_buf source = {0};
    struct we_chat_template *chat_template;
    struct we_error error;
    const struct we_json *prompts = golden_get(expected, "prompts");
    snprintf(path, sizeof path, "%s/%s", templates_folder(), name);
    if (we_file_read(path, 0, &source, &error) != WE_OK)
        fail_msg("%s", error.message);
    print_hash(we_buf_str(&source), hash);
    bool known = we_str_equal_c(golden_get(expected, "hash")->string, hash);
    if (known && we_chat_template_parse(we_buf_str(&source), name, NULL, &chat_template, &error) != WE_OK)
        fail_msg("%s", error.message);
    assert_int_equal(prompts->count, requests->count);
    for (size_t i = 0; known && i < requests->count; i++)
        *wrong += !check_prompt(name, i, chat_template, requests->items[i].string, &prompts->items[i]);
    if (known)
        we_chat_template_close(chat_template);
    else
        print_error("%s has changed: make real_cases.json again\n", name);
    we_buf_free(&source);
    return known;
}

static void test_real_templates(void **state)
{
    const struct we_json *tree = ((struct golden *)*state)->tree;
    const struct we_json *templates = golden_get(tree, "templates"), *requests = golden_get(tree, "requests");
    size_t wrong = 0, changed = 0;
    if (!we_path_is_directory(templates_folder())) {
        print_message("skipped: there are no templates in %s\n", templates_folder());
        skip();
    }
    assert_true(templates->count >= 35 && requests->count >= 100);
    for (size_t i = 0; i < templates->count; i++) {
        char name[200];
        snprintf(name, sizeof name, "%.*s", WE_STR_ARG(templates->keys[i]));
        changed += !check_template(name, &templates->items[i], requests, &wrong);
    }
    if (wrong || changed)
        fail_msg("%zu of %zu prompts are wrong, %zu templates have changed", wrong, templates->count * requests->count,
                 changed);
}

/* ---- a long conversation ---- */

enum { TURNS = 200, TURN_BYTES = 5000 };

/* A turn's text: prose, code with its quotes and line ends, and a letter of each length. */
static void append_text(struct we_buf *request, size_t turn)
{
    const size_t start = request->length;
    while (request->length - start < TURN_BYTES) {
        we_buf_printf(request, "In turn %zu somebody says: naïve 日本 😀.\\n```c\\nprintf(\\\"%%d\\\\n\\\", i);\\n```\\n", turn);
        we_buf_append_c(request,
                        "The quick brown fox jumps over the lazy dog, and <b>nobody</b> thinks of it & the rest.\\n\\n  ");
    }
}

/* 200 turns of 1 MB together; with tools every fourth turn calls one, and the next is its result. */
static void make_request(struct we_buf *request, bool tools)
{
    we_buf_append_c(request, "{\"messages\": [{\"role\": \"system\", \"content\": \"Be kind.\"}");
    for (size_t i = 0; i < TURNS; i++) {
        bool calls = tools && i % 4 == 1;
        we_buf_printf(request, ", {\"role\": \"%s\", \"content\": \"",
                      i % 2                 ? "assistant"
                      : tools && i % 4 == 2 ? "tool"
                                            : "user");
        append_text(request, i);
        we_buf_append_c(request,
                        calls ? "\", \"tool_calls\": [{\"id\": \"abcdefghi\", \"type\": \"function\", \"function\": {\"name\": "
                                "\"look\", \"arguments\": {\"at\": [1, 2.5, \"here\"]}}}]"
                        : tools && i % 4 == 2 ? "\", \"tool_call_id\": \"abcdefghi\", \"name\": \"look\""
                                              : "\"");
        we_buf_append_c(request, "}");
    }
    we_buf_append_c(request, "]");
    if (tools)
        we_buf_append_c(
            request, ", \"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"look\", \"description\": \"Looks.\", "
                     "\"parameters\": {\"type\": \"object\", \"properties\": {\"at\": {\"type\": \"array\"}}}}}]");
    we_buf_append_c(request, ", \"bos_token\": \"<s>\", \"eos_token\": \"</s>\", \"add_generation_prompt\": true}");
}

/* The limits of templates are no limits for real ones: what a template makes of it may be an error, but its own. */
static void test_a_long_conversation(void **state)
{
    const struct we_json *templates = golden_get(((struct golden *)*state)->tree, "templates");
    struct we_buf requests[2] = {{0}};
    size_t rendered = 0;
    if (!we_path_is_directory(templates_folder()))
        skip();
    make_request(&requests[0], false);
    make_request(&requests[1], true);
    assert_true(requests[0].length > 1000000 && !requests[1].failed);
    for (size_t i = 0; i < 2 * templates->count; i++) {
        char path[1000];
        struct we_buf source = {0}, out = {0};
        struct we_chat_template *chat_template;
        struct we_error error;
        snprintf(path, sizeof path, "%s/%.*s", templates_folder(), WE_STR_ARG(templates->keys[i / 2]));
        assert_int_equal(we_file_read(path, 0, &source, &error), WE_OK);
        assert_int_equal(we_chat_template_parse(we_buf_str(&source), path, NULL, &chat_template, &error), WE_OK);
        we_status status = we_chat_template_render(chat_template, we_buf_str(&requests[i % 2]), &out, &error);
        if (status != WE_OK && (strstr(error.message, "takes too long") || status == WE_OUT_OF_MEMORY))
            fail_msg("%s", error.message);
        rendered += status == WE_OK;
        we_chat_template_close(chat_template);
        we_buf_free(&source);
        we_buf_free(&out);
    }
    assert_true(rendered >= 55);
    we_buf_free(&requests[0]);
    we_buf_free(&requests[1]);
}

static int read_cases(void **state)
{
    if (golden_read(state, "real_cases.json") != 0)
        return -1;
    set_clock(golden_get(((struct golden *)*state)->tree, "now")->integer);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_real_templates), cmocka_unit_test(test_a_long_conversation)};
    return cmocka_run_group_tests(tests, read_cases, golden_free);
}
