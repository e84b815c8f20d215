#include "support.h"

#include "base/fs.h"

#include <stdlib.h>

static struct we_arena arena;

__attribute__((destructor)) static void release(void)
{
    we_arena_free(&arena);
}

const struct we_json *golden_file(const char *name)
{
    struct we_error error;
    struct we_buf text = {0};
    struct we_json *tree = NULL;
    char *path = we_path_join(&arena, TEST_DATA, name);
    assert_non_null(path);
    if (we_file_read(path, 0, &text, &error) != WE_OK || we_json_parse(we_buf_str(&text), name, &arena, &tree, &error) != WE_OK)
        fail_msg("%s", error.message);
    we_buf_free(&text);
    return tree;
}

static const struct we_json *goldens(void)
{
    static const struct we_json *tree;
    if (tree == NULL)
        tree = golden_file("goldens.json");
    return tree;
}

const struct we_json *golden_cases(void)
{
    const struct we_json *cases = we_json_get(goldens(), "cases");
    assert_non_null(cases);
    assert_true(cases->count > 100);
    return cases;
}

const struct we_json *golden_case(const char *name)
{
    const struct we_json *cases = golden_cases();
    for (size_t i = 0; i < cases->count; i++)
        if (we_str_equal_c(we_json_get(&cases->items[i], "name")->string, name))
            return &cases->items[i];
    fail_msg("there is no case \"%s\"", name);
    return NULL;
}

struct we_buf golden_json(const struct we_json *golden)
{
    struct we_str json = we_json_get(golden, "json")->string;
    const struct we_json *parts = we_json_get(goldens(), "parts");
    struct we_buf out = {0};
    size_t last = 0, at;
    while ((at = we_str_find(json, we_str_c("\"@"), last)) != SIZE_MAX) {
        size_t end = we_str_find(json, we_str_c("\""), at + 1);
        assert_true(end != SIZE_MAX && end - at < 60);
        char name[64] = "";
        memcpy(name, json.data + at + 2, end - at - 2);
        const struct we_json *part = we_json_get(parts, name);
        assert_non_null(part);
        we_buf_append(&out, we_str(json.data + last, at - last));
        we_buf_append(&out, part->string);
        last = end + 1;
    }
    we_buf_append(&out, we_str(json.data + last, json.length - last));
    assert_false(out.failed);
    return out;
}

struct we_tokenizer *golden_tokenizer(const struct we_json *golden)
{
    struct we_error error;
    struct we_tokenizer *tokenizer;
    struct we_buf json = golden_json(golden);
    if (parse_exact(we_buf_str(&json), &tokenizer, &error) != WE_OK)
        fail_msg("%.*s: %s", WE_STR_ARG(we_json_get(golden, "name")->string), error.message);
    we_buf_free(&json);
    return tokenizer;
}

static unsigned hex_value(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a' + 10);
}

void golden_text(const struct we_json *text, struct we_buf *bytes)
{
    if (text->kind == WE_JSON_STRING) {
        we_buf_append(bytes, text->string);
        return;
    }
    struct we_str hex = we_json_get(text, "hex")->string;
    for (size_t i = 0; i + 1 < hex.length; i += 2)
        we_buf_append_byte(bytes, (char)(hex_value(hex.data[i]) << 4 | hex_value(hex.data[i + 1])));
}

void golden_ids(const struct we_json *list, struct we_ids *ids)
{
    assert_int_equal(list->kind, WE_JSON_ARRAY);
    ids->data = realloc(ids->data, (list->count + 1) * sizeof *ids->data);
    assert_non_null(ids->data);
    ids->capacity = list->count + 1;
    ids->count = list->count;
    for (size_t i = 0; i < list->count; i++)
        ids->data[i] = (uint32_t)list->items[i].integer;
}

we_status parse_exact(struct we_str json, struct we_tokenizer **tokenizer, struct we_error *error)
{
    char *copy = malloc(json.length ? json.length : 1);
    assert_non_null(copy);
    memcpy(copy, json.data, json.length);
    we_status status = we_tokenizer_parse(we_str(copy, json.length), "tokenizer.json", tokenizer, error);
    free(copy);
    return status;
}
