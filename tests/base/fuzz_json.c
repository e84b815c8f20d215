/* The tree, skipping, and writing back: a text that is read must be found again in what is written of it. */
#include "base/json.h"

#include <math.h>
#include <stdlib.h>

static void write_value(struct we_buf *out, const struct we_json *value)
{
    switch (value->kind) {
    case WE_JSON_BOOL:
        we_buf_append_c(out, value->boolean ? "true" : "false");
        return;
    case WE_JSON_NUMBER:
        we_buf_append(out, value->string);
        return;
    case WE_JSON_STRING:
        we_json_write_string(out, value->string, false);
        return;
    case WE_JSON_ARRAY:
    case WE_JSON_OBJECT:
        we_buf_append_byte(out, value->kind == WE_JSON_ARRAY ? '[' : '{');
        for (size_t i = 0; i < value->count; i++) {
            we_buf_append_c(out, i ? "," : "");
            if (value->kind == WE_JSON_OBJECT) {
                we_json_write_string(out, value->keys[i], true);
                we_buf_append_byte(out, ':');
            }
            write_value(out, &value->items[i]);
        }
        we_buf_append_byte(out, value->kind == WE_JSON_ARRAY ? ']' : '}');
        return;
    default:
        we_buf_append_c(out, "null");
    }
}

static bool same(const struct we_json *a, const struct we_json *b)
{
    if (a->kind != b->kind || a->count != b->count || a->boolean != b->boolean || a->is_integer != b->is_integer ||
        a->integer != b->integer || !we_str_equal(a->string, b->string) ||
        (a->number != b->number && !(isnan(a->number) && isnan(b->number))))
        return false;
    for (size_t i = 0; i < a->count; i++)
        if ((a->kind == WE_JSON_OBJECT && !we_str_equal(a->keys[i], b->keys[i])) || !same(&a->items[i], &b->items[i]))
            return false;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct we_arena arena = {0};
    struct we_json *tree, *again;
    struct we_error error;
    struct we_json_reader reader;
    struct we_buf out = {0};
    struct we_str text = we_str((const char *)data, size);
    we_status status = we_json_parse(text, "fuzz", &arena, &tree, &error);
    we_json_reader_init(&reader, text, "fuzz", &error);
    we_json_skip(&reader);
    if (we_json_finish(&reader) != status)
        abort();
    we_json_reader_free(&reader);
    if (status == WE_OK) {
        write_value(&out, tree);
        if (we_json_parse(we_buf_str(&out), "fuzz", &arena, &again, &error) != WE_OK || !same(tree, again))
            abort();
    }
    we_buf_free(&out);
    we_arena_free(&arena);
    return 0;
}
