/* The messages of a conversation: counted, taken back, saved and loaded. */
#include "chat.h"

#include "base/fs.h"
#include "base/json.h"

#include <stdlib.h>

enum { LARGEST_FILE = 1 << 28 };

/* The messages as a tree in `arena`; *json is valid until the session changes. */
static we_status read_messages(struct we_session *session, struct we_arena *arena, const struct we_json **messages,
                               const char **json, struct we_error *error)
{
    struct we_json *tree;
    we_status status = we_session_messages(session, json, error);
    if (status == WE_OK)
        status = we_json_parse(we_str_c(*json), NULL, arena, &tree, error);
    if (status == WE_OK)
        *messages = we_json_get(tree, "messages");
    return status;
}

static struct we_str member(const struct we_json *message, const char *key)
{
    const struct we_json *value = we_json_get(message, key);
    return value ? value->string : we_str("", 0);
}

static bool has_role(const struct we_json *message, const char *role)
{
    return we_str_equal_c(member(message, "role"), role);
}

static char *copy_of(struct we_str text)
{
    return strndup(text.data ? text.data : "", text.length);
}

we_status we_chat_look(struct we_session *session, size_t *count, char **system, struct we_error *error)
{
    struct we_arena arena = {0};
    const struct we_json *messages = NULL;
    const char *json;
    *count = 0;
    *system = NULL;
    we_status status = read_messages(session, &arena, &messages, &json, error);
    if (status == WE_OK) {
        bool has_system = messages->count && has_role(&messages->items[0], "system");
        *count = messages->count - (has_system ? 1 : 0);
        if (has_system && (*system = copy_of(member(&messages->items[0], "content"))) == NULL)
            status = we_error_memory(error, "the system message");
    }
    we_arena_free(&arena);
    return status;
}

we_status we_chat_take_last(struct we_session *session, char **user, char **json, struct we_error *error)
{
    struct we_arena arena = {0};
    struct we_buf shorter = {0};
    const struct we_json *messages = NULL;
    const char *text;
    *user = *json = NULL;
    we_status status = read_messages(session, &arena, &messages, &text, error);
    if (status != WE_OK)
        goto done;
    size_t count = messages->count;
    if (count < 2 || !has_role(&messages->items[count - 2], "user") || !has_role(&messages->items[count - 1], "assistant")) {
        status = we_error_set(error, WE_NOT_FOUND, "there is no reply yet");
        goto done;
    }
    we_buf_append_c(&shorter, "{\"messages\": [");
    for (size_t i = 0; i + 2 < count; i++) {
        we_buf_append_c(&shorter, i ? ", {\"role\": " : "{\"role\": ");
        we_json_write_string(&shorter, member(&messages->items[i], "role"), false);
        we_buf_append_c(&shorter, ", \"content\": ");
        we_json_write_string(&shorter, member(&messages->items[i], "content"), false);
        we_buf_append_byte(&shorter, '}');
    }
    we_buf_append_c(&shorter, "]}");
    *user = copy_of(member(&messages->items[count - 2], "content"));
    *json = copy_of(we_str_c(text));
    if (shorter.failed || *user == NULL || *json == NULL)
        status = we_error_memory(error, "the conversation");
    else
        status = we_session_set_messages(session, shorter.data, error);
done:
    if (status != WE_OK) {
        free(*user);
        free(*json);
        *user = *json = NULL;
    }
    we_buf_free(&shorter);
    we_arena_free(&arena);
    return status;
}

/* ---- files ---- */

/* "~/" is the home folder. */
static char *expand(struct we_arena *arena, const char *path)
{
    const char *home = getenv("HOME");
    return path[0] == '~' && path[1] == '/' && home ? we_path_join(arena, home, path + 2)
                                                    : we_arena_copy(arena, we_str_c(path));
}

/* Refuses to overwrite what a person may have meant to keep. */
static we_status check_target(const char *path, struct we_error *error)
{
    if (!we_path_exists(path))
        return WE_OK;
    struct we_buf old = {0};
    struct we_arena arena = {0};
    struct we_json *tree;
    struct we_error ignored;
    bool ours = !we_path_is_directory(path) && we_file_read(path, LARGEST_FILE, &old, &ignored) == WE_OK &&
                (old.length == 0 || (we_json_parse(we_buf_str(&old), NULL, &arena, &tree, &ignored) == WE_OK &&
                                     we_json_get(tree, "messages") != NULL));
    we_arena_free(&arena);
    we_buf_free(&old);
    return ours ? WE_OK
                : we_error_set(error, WE_INVALID_ARGUMENT, "%s is there and is no saved conversation; choose another name",
                               path);
}

we_status we_chat_save(struct we_session *session, const char *path, struct we_error *error)
{
    struct we_arena arena = {0};
    struct we_buf text = {0};
    const char *json;
    const char *file = expand(&arena, path);
    we_status status = file ? check_target(file, error) : we_error_memory(error, path);
    if (status == WE_OK)
        status = we_session_messages(session, &json, error);
    if (status == WE_OK) {
        we_buf_append_c(&text, json);
        we_buf_append_byte(&text, '\n');
        status = text.failed ? we_error_memory(error, path) : we_file_write(file, we_buf_str(&text), error);
    }
    we_buf_free(&text);
    we_arena_free(&arena);
    return status;
}

we_status we_chat_load(struct we_session *session, const char *path, struct we_error *error)
{
    struct we_arena arena = {0};
    struct we_buf text = {0};
    const char *file = expand(&arena, path);
    we_status status = file ? we_file_read(file, LARGEST_FILE, &text, error) : we_error_memory(error, path);
    if (status == WE_OK && text.length && memchr(text.data, '\0', text.length))
        status = we_error_set(error, WE_INVALID_FORMAT, "a NUL byte, where JSON was expected");
    if (status == WE_OK) {
        status = we_session_set_messages(session, we_buf_str(&text).data, error);
        if (status != WE_OK)
            we_error_prefix(error, "%s", file);
    }
    we_buf_free(&text);
    we_arena_free(&arena);
    return status;
}
