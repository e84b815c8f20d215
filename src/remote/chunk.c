#include "remote/chunk.h"

#include "base/json.h"

static struct we_str string_of(const struct we_json *node)
{
    return node && node->kind == WE_JSON_STRING ? node->string : we_str(NULL, 0);
}

static bool is_error(const struct we_json *node)
{
    return node && (node->kind == WE_JSON_STRING || (node->kind == WE_JSON_OBJECT && node->count));
}

/* "error": a text or an object with a "message"; "detail": a text or a list of objects with a "msg"; "message". */
static struct we_str problem_of(const struct we_json *tree)
{
    const struct we_json *error = we_json_get(tree, "error"), *detail = we_json_get(tree, "detail");
    struct we_str text = string_of(error);
    if (text.data == NULL)
        text = string_of(we_json_get(error, "message"));
    if (text.data == NULL)
        text = string_of(detail);
    if (text.data == NULL && detail && detail->kind == WE_JSON_ARRAY && detail->count)
        text = string_of(we_json_get(&detail->items[0], "msg"));
    if (text.data == NULL)
        text = string_of(we_json_get(detail, "message"));
    if (text.data == NULL)
        text = string_of(we_json_get(tree, "message"));
    return text;
}

static uint32_t count_of(const struct we_json *object, const char *key)
{
    const struct we_json *node = we_json_get(object, key);
    return node && node->is_integer && node->integer >= 0 && node->integer <= UINT32_MAX ? (uint32_t)node->integer : 0;
}

static void read_usage(const struct we_json *usage, struct we_chunk *chunk)
{
    if (usage == NULL || usage->kind != WE_JSON_OBJECT)
        return;
    chunk->has_usage = true;
    chunk->prompt_tokens = count_of(usage, "prompt_tokens");
    chunk->generation_tokens = count_of(usage, "completion_tokens");
    chunk->cached_tokens = count_of(we_json_get(usage, "prompt_tokens_details"), "cached_tokens");
    if (chunk->cached_tokens > chunk->prompt_tokens)
        chunk->cached_tokens = chunk->prompt_tokens;
}

/* A content is a text, or parts of which the texts count. */
static bool read_content(const struct we_json *content, struct we_arena *arena, struct we_str *text)
{
    if (content == NULL || content->kind != WE_JSON_ARRAY) {
        *text = string_of(content);
        return true;
    }
    struct we_buf all = {0};
    for (size_t i = 0; i < content->count; i++)
        we_buf_append(&all, string_of(we_json_get(&content->items[i], "text")));
    char *copy = all.failed ? NULL : we_arena_copy(arena, we_buf_str(&all));
    *text = we_str(copy, copy ? all.length : 0);
    we_buf_free(&all);
    return copy != NULL;
}

/* The first choice: nobody asked for more. */
static bool read_choice(const struct we_json *choice, struct we_arena *arena, struct we_chunk *chunk)
{
    if (count_of(choice, "index") != 0)
        return true;
    const struct we_json *message = we_json_get(choice, "delta");
    if (message == NULL)
        message = we_json_get(choice, "message");
    const struct we_json *content = message ? we_json_get(message, "content") : we_json_get(choice, "text");
    struct we_str reason = string_of(we_json_get(choice, "finish_reason"));
    chunk->finished = reason.length > 0;
    chunk->finish_reason = we_str_equal_c(reason, "length") ? WE_FINISH_LENGTH : WE_FINISH_STOP;
    return read_content(content, arena, &chunk->text);
}

we_status we_chunk_parse(struct we_str json, struct we_arena *arena, struct we_chunk *chunk, struct we_error *error)
{
    struct we_json *tree;
    *chunk = (struct we_chunk){0};
    we_status status = we_json_parse(json, NULL, arena, &tree, error);
    if (status != WE_OK)
        return status;
    const struct we_json *choices = we_json_get(tree, "choices");
    bool has_choices = choices && choices->kind == WE_JSON_ARRAY;
    if (is_error(we_json_get(tree, "error")) || (!has_choices && problem_of(tree).data)) {
        chunk->problem = problem_of(tree);
        if (chunk->problem.data == NULL)
            chunk->problem = we_str_c("an error that it does not explain");
        return WE_OK;
    }
    if (tree->kind != WE_JSON_OBJECT || (!has_choices && we_json_get(tree, "usage") == NULL))
        return we_error_set(error, WE_INVALID_FORMAT, "an object with \"choices\" was expected");
    read_usage(we_json_get(tree, "usage"), chunk);
    for (size_t i = 0; has_choices && i < choices->count; i++)
        if (!read_choice(&choices->items[i], arena, chunk))
            return we_error_memory(error, "a reply");
    return WE_OK;
}

struct we_str we_models_owner(struct we_str json, struct we_arena *arena)
{
    struct we_json *tree;
    if (we_json_parse(json, NULL, arena, &tree, NULL) != WE_OK)
        return we_str_c("");
    const struct we_json *list = we_json_get(tree, "data");
    return string_of(list && list->kind == WE_JSON_ARRAY && list->count ? we_json_get(&list->items[0], "owned_by") : NULL);
}

bool we_models_parse(struct we_str json, struct we_arena *arena, const char ***names, size_t *count)
{
    struct we_json *tree;
    struct we_error ignored;
    *names = NULL;
    *count = 0;
    if (we_json_parse(json, NULL, arena, &tree, &ignored) != WE_OK)
        return false;
    const struct we_json *data = we_json_get(tree, "data");
    if (tree->kind != WE_JSON_OBJECT || data == NULL || (data->kind != WE_JSON_ARRAY && data->kind != WE_JSON_NULL))
        return false; /* Ollama without a model says null */
    *names = we_arena_array(arena, data->count + 1, sizeof **names);
    for (size_t i = 0; *names && i < data->count; i++) {
        struct we_str id = string_of(we_json_get(&data->items[i], "id"));
        if (id.length && memchr(id.data, '\0', id.length) == NULL && ((*names)[*count] = we_arena_copy(arena, id)) != NULL)
            (*count)++;
    }
    return *names != NULL;
}

struct we_str we_problem_parse(struct we_str body, struct we_arena *arena)
{
    enum { LONGEST = 300 };
    struct we_json *tree;
    struct we_error ignored;
    if (we_json_parse(body, NULL, arena, &tree, &ignored) == WE_OK)
        return problem_of(tree);
    struct we_str text = body;
    while (text.length && strchr(" \t\r\n", text.data[0]))
        text = we_str(text.data + 1, text.length - 1);
    if (text.length == 0 || text.data[0] == '<' || text.data[0] == '{')
        return we_str(NULL, 0); /* a page, or what should have been JSON */
    text.length = text.length > LONGEST ? LONGEST : text.length;
    text.length = we_utf8_valid_prefix(text);
    while (text.length && strchr(" \t\r\n", text.data[text.length - 1]))
        text.length--;
    char *copy = we_arena_copy(arena, text);
    return we_str(copy, copy ? text.length : 0);
}
