/* A conversation: a list of messages, whose common beginning the KV cache remembers from turn to turn. */
#include "engine/generate.h"

#include "base/json.h"

#include <stdlib.h>

struct message {
    char *role, *content;
    size_t length; /* of the content, which may hold NULs */
};

struct we_session {
    struct we_model *model;
    struct message *messages; /* (count); the system message, if any, is the first */
    size_t count, capacity;
    struct we_buf json;
    atomic_bool cancel;
};

we_status we_session_new(struct we_model *model, struct we_session **session, struct we_error *error)
{
    *session = calloc(1, sizeof **session);
    if (*session == NULL)
        return we_error_memory(error, "a session");
    (*session)->model = model;
    return WE_OK;
}

static void free_messages(struct message *messages, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(messages[i].role);
        free(messages[i].content);
    }
}

void we_session_free(struct we_session *session)
{
    if (session == NULL)
        return;
    free_messages(session->messages, session->count);
    free(session->messages);
    we_buf_free(&session->json);
    free(session);
}

static bool has_system(const struct we_session *session)
{
    return session->count && strcmp(session->messages[0].role, "system") == 0;
}

static char *copy_text(struct we_str text)
{
    char *copy = malloc(text.length + 1);
    if (copy == NULL)
        return NULL;
    if (text.length)
        memcpy(copy, text.data, text.length);
    copy[text.length] = '\0';
    return copy;
}

/* Inserts a message at `index`. */
static we_status insert(struct we_session *session, size_t index, struct we_str role, struct we_str content,
                        struct we_error *error)
{
    if (session->count == session->capacity) {
        size_t capacity = session->capacity ? session->capacity * 2 : 8;
        struct message *more = realloc(session->messages, capacity * sizeof *more);
        if (more == NULL)
            return we_error_memory(error, "a message");
        session->messages = more;
        session->capacity = capacity;
    }
    struct message message = {copy_text(role), copy_text(content), content.length};
    if (message.role == NULL || message.content == NULL) {
        free_messages(&message, 1);
        return we_error_memory(error, "a message");
    }
    memmove(session->messages + index + 1, session->messages + index, (session->count - index) * sizeof message);
    session->messages[index] = message;
    session->count++;
    return WE_OK;
}

static void truncate(struct we_session *session, size_t count)
{
    free_messages(session->messages + count, session->count - count);
    session->count = count;
}

we_status we_session_set_system(struct we_session *session, const char *text, struct we_error *error)
{
    if (text) {
        we_status status = insert(session, 0, we_str_c("system"), we_str_c(text), error);
        if (status != WE_OK)
            return status;
    }
    size_t old = text ? 1 : 0;
    if (session->count > old && strcmp(session->messages[old].role, "system") == 0) {
        free_messages(session->messages + old, 1);
        memmove(session->messages + old, session->messages + old + 1, (session->count - old - 1) * sizeof *session->messages);
        session->count--;
    }
    return WE_OK;
}

void we_session_clear(struct we_session *session)
{
    truncate(session, has_system(session) ? 1 : 0);
}

void we_session_cancel(struct we_session *session)
{
    atomic_store(&session->cancel, true);
}

void we_session_set_model(struct we_session *session, struct we_model *model)
{
    session->model = model;
}

we_status we_session_messages(struct we_session *session, const char **json, struct we_error *error)
{
    struct we_buf *out = &session->json;
    we_buf_clear(out);
    we_buf_append_c(out, "{\"messages\": [");
    for (size_t i = 0; i < session->count; i++) {
        we_buf_append_c(out, i ? ", {\"role\": " : "{\"role\": ");
        we_json_write_string(out, we_str_c(session->messages[i].role), false);
        we_buf_append_c(out, ", \"content\": ");
        we_json_write_string(out, we_str(session->messages[i].content, session->messages[i].length), false);
        we_buf_append_byte(out, '}');
    }
    we_buf_append_c(out, "]}");
    *json = out->data;
    if (out->failed) {
        we_buf_free(out);
        return we_error_memory(error, "the conversation");
    }
    return WE_OK;
}

/* Adds the messages of a parsed conversation to an empty session. */
static we_status add_messages(struct we_session *session, const struct we_json *messages, struct we_error *error)
{
    if (messages == NULL || messages->kind != WE_JSON_ARRAY)
        return we_error_set(error, WE_INVALID_FORMAT, "a conversation must be an object with an array \"messages\"");
    for (size_t i = 0; i < messages->count; i++) {
        const struct we_json *role = we_json_get(&messages->items[i], "role");
        const struct we_json *content = we_json_get(&messages->items[i], "content");
        if (role == NULL || role->kind != WE_JSON_STRING || content == NULL || content->kind != WE_JSON_STRING)
            return we_error_set(error, WE_INVALID_FORMAT, "message %zu of the conversation needs \"role\" and \"content\", both strings",
                                i + 1);
        we_status status = insert(session, session->count, role->string, content->string, error);
        if (status != WE_OK)
            return status;
    }
    return WE_OK;
}

we_status we_session_set_messages(struct we_session *session, const char *json, struct we_error *error)
{
    struct we_arena arena = {0};
    struct we_json *tree;
    struct we_session fresh = {0};
    we_status status = we_json_parse(we_str_c(json), NULL, &arena, &tree, error);
    if (status == WE_OK)
        status = add_messages(&fresh, we_json_get(tree, "messages"), error);
    we_arena_free(&arena);
    struct we_session *loser = status == WE_OK ? session : &fresh;
    free_messages(loser->messages, loser->count);
    free(loser->messages);
    if (status == WE_OK) {
        session->messages = fresh.messages;
        session->count = fresh.count;
        session->capacity = fresh.capacity;
    }
    return status;
}

we_status we_session_send(struct we_session *session, const char *text, const struct we_request *request,
                          struct we_result *result, struct we_error *error)
{
    *result = (struct we_result){0};
    atomic_store(&session->cancel, false);
    size_t before = session->count;
    struct we_request turn = *request;
    turn.text = NULL;
    turn.ids = NULL;
    we_status status = insert(session, session->count, we_str_c("user"), we_str_c(text), error);
    if (status == WE_OK)
        status = we_session_messages(session, &turn.messages, error);
    if (status == WE_OK)
        status = we_generate_cancellable(session->model, &turn, &session->cancel, result, error);
    struct we_buf reply = {0};
    if (status == WE_OK) {
        if (turn.prefill_response)
            we_buf_append_c(&reply, turn.prefill_response);
        we_buf_append(&reply, we_str(result->text, result->text_length));
        status = reply.failed ? we_error_memory(error, "a message")
                              : insert(session, session->count, we_str_c("assistant"), we_buf_str(&reply), error);
    }
    we_buf_free(&reply);
    if (status != WE_OK)
        truncate(session, before);
    return status;
}
