/* A template, a line with "====", and a chat request: whatever they are, there is a prompt or an error. */
#include "text/chat_request.h"
#include "text/jinja.h"

#include <stdlib.h>

static void must(bool condition)
{
    if (!condition)
        abort();
}

static void check_failed(const struct we_error *error, const struct we_buf *out)
{
    must(error->status != WE_OK && error->message[0] && out->length == 0);
    must(we_utf8_valid_prefix(we_str_c(error->message)) == strlen(error->message));
}

static void render(const struct we_jinja *jinja, struct we_str json)
{
    const struct we_jinja_limits limits = {.memory = 4 << 20, .steps = 100000, .now = 1767323045};
    struct we_arena arena = {0};
    struct we_chat_request request = {0};
    struct we_error error = {0};
    struct we_buf out = {0};
    if (we_chat_request_read(json, &arena, &request, &error) == WE_OK) {
        const struct we_chat_variables *variables = &request.variables;
        struct we_json object = {
            .kind = WE_JSON_OBJECT, .items = variables->values, .keys = variables->names, .count = variables->count};
        if (we_jinja_render(jinja, &object, &limits, &out, &error) != WE_OK)
            check_failed(&error, &out);
        else
            we_chat_request_cut(&request, &out, 0, &error);
        must(we_utf8_valid_prefix(we_buf_str(&out)) == out.length);
    } else {
        check_failed(&error, &out);
    }
    we_buf_free(&out);
    we_arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char separator[] = "\n====\n";
    struct we_str all = we_str((const char *)data, size),
                  json = we_str_c("{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}]}");
    size_t at = we_str_find(all, we_str_c(separator), 0);
    struct we_jinja *jinja = NULL;
    struct we_error error = {0};
    struct we_buf none = {0};
    if (at != SIZE_MAX) {
        json = we_str(all.data + at + sizeof separator - 1, size - at - (sizeof separator - 1));
        all.length = at;
    }
    if (we_jinja_parse(all, "fuzz", &jinja, &error) == WE_OK)
        render(jinja, json);
    else
        check_failed(&error, &none);
    we_jinja_free(jinja);
    return 0;
}
