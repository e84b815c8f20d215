#include "text/chat_request.h"

#include "text/jinja_run.h"

/* Put behind the message that is to be continued, and found again in the prompt; the same text as transformers',
 * since a template may trim or count it. */
#define TAG "CONTINUE_FINAL_MESSAGE_TAG "

static const char *const reasoning_fields[] = {"reasoning_content", "thinking", "reasoning"};

static we_status bad(struct we_error *error, const char *message)
{
    return we_error_set(error, WE_INVALID_ARGUMENT, "chat request: %s", message);
}

static we_status no_memory(struct we_error *error)
{
    return we_error_memory(error, "a chat request");
}

bool we_chat_set(struct we_arena *arena, struct we_chat_variables *variables, struct we_str name, struct we_json value)
{
    for (size_t i = 0; i < variables->count; i++) {
        if (we_str_equal(variables->names[i], name)) {
            variables->values[i] = value;
            return true;
        }
    }
    if (variables->count == variables->capacity) {
        size_t capacity = variables->capacity ? 2 * variables->capacity : 16;
        struct we_str *names = we_arena_array(arena, capacity, sizeof *names);
        struct we_json *values = we_arena_array(arena, capacity, sizeof *values);
        if (names == NULL || values == NULL)
            return false;
        if (variables->count) {
            memcpy(names, variables->names, variables->count * sizeof *names);
            memcpy(values, variables->values, variables->count * sizeof *values);
        }
        *variables = (struct we_chat_variables){.names = names, .values = values, .count = variables->count, .capacity = capacity};
    }
    variables->names[variables->count] = name;
    variables->values[variables->count++] = value;
    return true;
}

static bool is_true(const struct we_json *json)
{
    if (json == NULL || json->kind == WE_JSON_NULL)
        return false;
    switch (json->kind) {
    case WE_JSON_BOOL:
        return json->boolean;
    case WE_JSON_NUMBER:
        return json->number != 0;
    case WE_JSON_STRING:
        return json->string.length > 0;
    default:
        return json->count > 0;
    }
}

static bool all_objects(const struct we_json *json)
{
    if (json->kind != WE_JSON_ARRAY)
        return false;
    for (size_t i = 0; i < json->count; i++)
        if (json->items[i].kind != WE_JSON_OBJECT)
            return false;
    return true;
}

static struct we_json *member(struct we_json *object, struct we_str name)
{
    for (size_t i = 0; i < object->count; i++)
        if (we_str_equal(object->keys[i], name))
            return &object->items[i];
    return NULL;
}

/* ---- messages ---- */

static void add_member(struct we_json *object, struct we_str name, struct we_json value)
{
    struct we_json *known = member(object, name);
    if (known) {
        *known = value;
        return;
    }
    object->keys[object->count] = name;
    object->items[object->count++] = value;
}

/* Without the keys whose value is null, and with reasoning under both of the names that templates read. */
static bool prepare_message(struct we_arena *arena, const struct we_json *message, struct we_json *result)
{
    const struct we_json *reasoning = NULL;
    for (size_t i = 0; i < 3 && (reasoning == NULL || reasoning->kind == WE_JSON_NULL); i++)
        reasoning = we_json_get(message, reasoning_fields[i]);
    bool reasons = reasoning && reasoning->kind != WE_JSON_NULL;
    *result = (struct we_json){.kind = WE_JSON_OBJECT};
    result->keys = we_arena_array(arena, message->count + 2, sizeof *result->keys);
    result->items = we_arena_array(arena, message->count + 2, sizeof *result->items);
    if (result->keys == NULL || result->items == NULL)
        return false;
    if (reasons)
        add_member(result, we_str_c("thinking"), *reasoning);
    for (size_t i = 0; i < message->count; i++) {
        if (message->items[i].kind == WE_JSON_NULL)
            continue;
        if (reasons && we_str_equal_c(message->keys[i], "thinking")) {
            add_member(result, message->keys[i], message->items[i]);
        } else { /* keys of an object are distinct */
            result->keys[result->count] = message->keys[i];
            result->items[result->count++] = message->items[i];
        }
    }
    if (reasons)
        add_member(result, we_str_c("reasoning_content"), *reasoning);
    return true;
}

static we_status prepare_messages(struct we_arena *arena, const struct we_json *messages, struct we_json *result, struct we_error *error)
{
    if (messages == NULL)
        return bad(error, "\"messages\" is missing; it must be a list of messages, each with \"role\" and \"content\"");
    if (!all_objects(messages))
        return bad(error, "\"messages\" must be a list of objects");
    if (messages->count == 0)
        return bad(error, "\"messages\" is empty; at least one message is needed");
    *result = (struct we_json){.kind = WE_JSON_ARRAY, .count = messages->count};
    result->items = we_arena_array(arena, messages->count, sizeof *result->items);
    if (result->items == NULL)
        return no_memory(error);
    for (size_t i = 0; i < messages->count; i++)
        if (!prepare_message(arena, &messages->items[i], &result->items[i]))
            return no_memory(error);
    return WE_OK;
}

/* ---- continuing the final message ---- */

static bool equal_json(const struct we_json *a, const struct we_json *b)
{
    return a && b && a->kind == b->kind && a->kind == WE_JSON_STRING ? we_str_equal(a->string, b->string) : a && b && a->items == b->items;
}

static we_status add_tag(struct we_arena *arena, struct we_json *text, struct we_error *error)
{
    if (text->kind != WE_JSON_STRING)
        return bad(error, "continue_final_message: what is to be continued is no text");
    char *tagged = we_arena_array(arena, text->string.length + sizeof TAG, 1);
    if (tagged == NULL)
        return no_memory(error);
    if (text->string.length)
        memcpy(tagged, text->string.data, text->string.length);
    memcpy(tagged + text->string.length, TAG, sizeof TAG);
    text->string = we_str(tagged, text->string.length + sizeof TAG - 1);
    return WE_OK;
}

/* The last part of a list that has a text. */
static we_status tag_last_text(struct we_arena *arena, struct we_json *parts, struct we_chat_request *request, struct we_error *error)
{
    for (size_t i = parts->count; i-- > 0;) {
        struct we_json *text = parts->items[i].kind == WE_JSON_OBJECT ? member(&parts->items[i], we_str_c("text")) : NULL;
        if (text == NULL)
            continue;
        request->continued = text->string;
        return add_tag(arena, text, error);
    }
    return bad(error, "continue_final_message is set, but the final message holds no text to continue");
}

static we_status tag_message(struct we_arena *arena, struct we_json *message, struct we_str field, struct we_chat_request *request,
                             struct we_error *error)
{
    struct we_json *content = member(message, field);
    if (content == NULL)
        return we_error_set(error, WE_INVALID_ARGUMENT,
                            "chat request: continue_final_message is set, but the final message has no \"%.*s\" to continue",
                            WE_STR_ARG(field));
    request->continues = true;
    request->fields[request->num_fields++] = field;
    struct we_json final = *content;
    bool reasoning = false;
    for (size_t i = 0; i < 3; i++)
        reasoning = reasoning || we_str_equal_c(field, reasoning_fields[i]);
    for (size_t i = 0; i < 3 && reasoning; i++) { /* it has been copied under several names: any will do */
        request->num_fields = i ? request->num_fields : 0;
        if (equal_json(member(message, we_str_c(reasoning_fields[i])), &final))
            request->fields[request->num_fields++] = we_str_c(reasoning_fields[i]);
    }
    if (final.kind == WE_JSON_ARRAY)
        return tag_last_text(arena, &final, request, error);
    request->continued = final.string;
    we_status status = WE_OK;
    for (size_t i = 0; status == WE_OK && i < request->num_fields; i++)
        status = add_tag(arena, member(message, request->fields[i]), error);
    return status;
}

static bool contains_at(struct we_str text, const char *what)
{
    return we_str_find(text, we_str_c(what), 0) != SIZE_MAX;
}

we_status we_chat_request_cut(const struct we_chat_request *request, struct we_buf *prompt, size_t start, struct we_error *error)
{
    static const char bare[] = "CONTINUE_FINAL_MESSAGE_TAG";
    if (!request->continues)
        return WE_OK;
    struct we_str text = we_str(prompt->data ? prompt->data + start : "", prompt->length - start);
    struct we_str wanted = we_jstrip_space(request->continued, true, true);
    if (we_str_find(text, wanted, 0) == SIZE_MAX || !contains_at(text, bare))
        return bad(error, "continue_final_message is set, but the final message does not appear in the prompt after the template was "
                          "applied; the template may delete parts of it");
    size_t at = 0, next = 0;
    while ((next = we_str_find(text, we_str_c(bare), next)) != SIZE_MAX)
        at = next++;
    struct we_str kept = we_str(text.data, at);
    if (!we_str_starts_with(we_str(text.data + at, text.length - at), we_str_c(TAG)))
        kept = we_jstrip_space(kept, false, true); /* the template trimmed the message */
    prompt->length = start + kept.length;
    if (prompt->data)
        prompt->data[prompt->length] = '\0';
    return WE_OK;
}

/* ---- the request as a whole ---- */

static we_status check_lists(const struct we_json *tree, struct we_chat_request *request, struct we_error *error)
{
    const struct we_json *tools = we_json_get(tree, "tools"), *documents = we_json_get(tree, "documents");
    request->has_tools = tools && tools->kind != WE_JSON_NULL;
    if (request->has_tools && !all_objects(tools))
        return bad(error, "\"tools\" must be a list of JSON schemas (objects)");
    if (documents && documents->kind != WE_JSON_NULL && !all_objects(documents))
        return bad(error, "\"documents\" must be a list of objects with 'title' and 'text'");
    return WE_OK;
}

static we_status set_variables(struct we_arena *arena, const struct we_json *tree, struct we_json messages,
                               struct we_chat_request *request, struct we_error *error)
{
    static const char *const none[] = {"tools", "documents"};
    const struct we_json *continues = we_json_get(tree, "continue_final_message");
    struct we_chat_variables *variables = &request->variables;
    bool fine = true;
    for (size_t i = 0; i < 2; i++)
        fine = fine && we_chat_set(arena, variables, we_str_c(none[i]), (struct we_json){.kind = WE_JSON_NULL});
    fine = fine && we_chat_set(arena, variables, we_str_c("add_generation_prompt"),
                               (struct we_json){.kind = WE_JSON_BOOL, .boolean = !is_true(continues)});
    if (tree->count > 4096)
        return bad(error, "more than 4096 variables");
    for (size_t i = 0; fine && i < tree->count; i++)
        if (!we_str_equal_c(tree->keys[i], "continue_final_message"))
            fine = we_chat_set(arena, variables, tree->keys[i], tree->items[i]);
    fine = fine && we_chat_set(arena, variables, we_str_c("messages"), messages);
    return fine ? WE_OK : no_memory(error);
}

we_status we_chat_request_read(struct we_str json, struct we_arena *arena, struct we_chat_request *request, struct we_error *error)
{
    struct we_json *tree;
    struct we_json messages;
    if (json.length > (size_t)1 << 30)
        return bad(error, "it is larger than 1 GiB");
    we_status status = we_json_parse(json, "chat request", arena, &tree, error);
    if (status != WE_OK)
        return status;
    if (tree->kind != WE_JSON_OBJECT)
        return bad(error, "it must be an object with \"messages\"");
    const struct we_json *continues = we_json_get(tree, "continue_final_message");
    if ((status = prepare_messages(arena, we_json_get(tree, "messages"), &messages, error)) != WE_OK ||
        (status = check_lists(tree, request, error)) != WE_OK)
        return status;
    if (is_true(continues)) {
        if (is_true(we_json_get(tree, "add_generation_prompt")))
            return bad(error, "continue_final_message and add_generation_prompt are not compatible");
        struct we_str field = continues->kind == WE_JSON_STRING ? continues->string : we_str_c("content");
        status = tag_message(arena, &messages.items[messages.count - 1], field, request, error);
        if (status != WE_OK)
            return status;
    }
    return set_variables(arena, tree, messages, request, error);
}
