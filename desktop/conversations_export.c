/* Conversations as Markdown and as JSON. */
#include "conversations_store.h"

#include "base/json.h"

#include <inttypes.h>
#include <time.h>

const char *we_message_state_name(enum we_message_state state)
{
    static const char *const names[WE_NUM_MESSAGE_STATES] = {"whole", "streaming", "stopped", "cut", "failed", "interrupted"};
    return names[state];
}

/* ---- Markdown ---- */

static void write_local_time(struct we_buf *out, int64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm parts;
    char text[64];
    if (localtime_r(&seconds, &parts) && strftime(text, sizeof text, "%Y-%m-%d %H:%M", &parts))
        we_buf_append_c(out, text);
}

/* Each line of a text that stands for itself. */
static void write_quoted(struct we_buf *out, const char *text)
{
    for (const char *line = text; *line;) {
        size_t length = strcspn(line, "\n");
        we_buf_append_c(out, length ? "> " : ">");
        we_buf_append(out, we_str(line, length));
        we_buf_append_byte(out, '\n');
        line += length + (line[length] == '\n');
    }
}

/* On one line, where marks of Markdown mean nothing. */
static void write_escaped(struct we_buf *out, const char *text)
{
    for (; *text; text++) {
        if (strchr("\\`*_[]<>#|~", *text))
            we_buf_append_byte(out, '\\');
        we_buf_append_byte(out, *text);
    }
}

static void write_note(struct we_buf *out, const struct we_message *m)
{
    static const char *const notes[WE_NUM_MESSAGE_STATES] = {[WE_MESSAGE_STREAMING] = "not ended yet",
                                                             [WE_MESSAGE_STOPPED] = "stopped",
                                                             [WE_MESSAGE_CUT] = "cut at the limit of tokens",
                                                             [WE_MESSAGE_FAILED] = "failed",
                                                             [WE_MESSAGE_INTERRUPTED] =
                                                                 "the program ended in the middle of it"};
    if (notes[m->state] == NULL)
        return;
    we_buf_printf(out, "\n*(%s", notes[m->state]);
    if (m->problem) {
        we_buf_append_c(out, ": ");
        write_escaped(out, m->problem);
    }
    we_buf_append_c(out, ")*\n");
}

static void write_markdown(struct we_buf *out, const struct we_conversation *c)
{
    we_buf_append_c(out, "# ");
    write_escaped(out, c->title[0] ? c->title : "Conversation");
    we_buf_append_c(out, "\n\n");
    write_local_time(out, c->created);
    we_buf_append_byte(out, '\n');
    if (c->system && c->system[0]) {
        we_buf_append_c(out, "\nSystem prompt:\n\n");
        write_quoted(out, c->system);
    }
    for (size_t i = 0; i < c->num_messages; i++) {
        const struct we_message *m = &c->messages[i];
        we_buf_append_c(out, "\n## ");
        if (strcmp(m->role, "user") == 0)
            we_buf_append_c(out, "You");
        else if (strcmp(m->role, "assistant") == 0)
            write_escaped(out, m->model && m->model[0] ? m->model : "Assistant");
        else
            write_escaped(out, m->role);
        we_buf_append_c(out, " \xC2\xB7 ");
        write_local_time(out, m->created);
        we_buf_append_c(out, "\n\n");
        we_buf_append(out, we_str(m->text, m->length));
        if (m->length == 0 || m->text[m->length - 1] != '\n')
            we_buf_append_byte(out, '\n');
        write_note(out, m);
    }
}

we_status we_conversations_export_markdown(struct we_conversations *store, int64_t id, struct we_buf *out,
                                           struct we_error *error)
{
    struct we_arena arena = {0};
    struct we_long_work work;
    struct we_conversation *conversation;
    we_status status = we_long_work_begin(&work, store, error);
    if (status != WE_OK)
        return status;
    status = we_load_conversation(work.sql, id, &arena, &conversation, error);
    we_long_work_end(&work);
    if (status == WE_OK) {
        write_markdown(out, conversation);
        if (out->failed)
            status = we_error_memory(error, "a document");
    }
    we_arena_free(&arena);
    return status;
}

/* ---- JSON ---- */

static void write_time(struct we_buf *out, const char *key, int64_t ms)
{
    time_t seconds = (time_t)(ms / 1000 - (ms % 1000 < 0));
    struct tm parts;
    if (gmtime_r(&seconds, &parts))
        we_buf_printf(out, "\"%s\": \"%04d-%02d-%02dT%02d:%02d:%02d.%03dZ\"", key, parts.tm_year + 1900, parts.tm_mon + 1,
                      parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, (int)((ms % 1000 + 1000) % 1000));
    else
        we_buf_printf(out, "\"%s\": null", key);
}

static void write_text(struct we_buf *out, const char *key, struct we_str text)
{
    we_buf_printf(out, "\"%s\": ", key);
    if (text.data)
        we_json_write_string(out, text, false);
    else
        we_buf_append_c(out, "null");
}

static void write_seconds(struct we_buf *out, const char *key, double value)
{
    we_buf_printf(out, ", \"%s\": ", key);
    we_json_write_double(out, value);
}

static void write_figures(struct we_buf *out, const struct we_figures *f)
{
    if (f->prompt_tokens || f->generation_tokens) {
        we_buf_printf(out, ", \"prompt_tokens\": %" PRIu32 ", \"cached_tokens\": %" PRIu32 ", \"generation_tokens\": %" PRIu32,
                      f->prompt_tokens, f->cached_tokens, f->generation_tokens);
        write_seconds(out, "prompt_seconds", f->prompt_seconds);
        write_seconds(out, "generation_seconds", f->generation_seconds);
        write_seconds(out, "time_to_first_token", f->time_to_first_token);
    }
}

static we_status write_messages(struct we_sql *sql, int64_t conversation, struct we_buf *out, struct we_error *error)
{
    struct we_arena arena = {0};
    sqlite3_stmt *s;
    bool found = true, first = true;
    we_status status = we_sql_query(sql, &s, error,
                                    "SELECT id, parent, shown, role, text, created, state, model, problem, prompt_tokens, "
                                    "cached_tokens, generation_tokens, prompt_seconds, generation_seconds, time_to_first_token "
                                    "FROM messages WHERE conversation = ? ORDER BY id",
                                    "i", conversation);
    while (status == WE_OK && found) {
        status = we_sql_step(sql, s, &found, error);
        if (status != WE_OK || !found)
            break;
        struct we_message m = {.id = sqlite3_column_int64(s, 0), .parent = sqlite3_column_int64(s, 1)};
        struct we_str role = we_sql_text(s, 3), text = we_sql_text(s, 4);
        if (!we_read_message_columns(s, 6, &arena, &m) || !role.data || !text.data) {
            status = we_error_memory(error, "an export");
            sqlite3_reset(s);
            break;
        }
        we_buf_printf(out, "%s\n        {\"id\": %" PRId64 ", \"parent\": ", first ? "" : ",", m.id);
        if (m.parent)
            we_buf_printf(out, "%" PRId64, m.parent);
        else
            we_buf_append_c(out, "null");
        we_buf_printf(out, ", \"shown\": %s, ", sqlite3_column_int64(s, 2) ? "true" : "false");
        write_text(out, "role", role);
        we_buf_append_c(out, ", ");
        write_time(out, "created", sqlite3_column_int64(s, 5));
        we_buf_printf(out, ", \"state\": \"%s\"",
                      we_message_state_name(m.state == WE_MESSAGE_STREAMING ? WE_MESSAGE_INTERRUPTED : m.state));
        if (m.model) {
            we_buf_append_c(out, ", ");
            write_text(out, "model", we_str_c(m.model));
        }
        if (m.problem) {
            we_buf_append_c(out, ", ");
            write_text(out, "problem", we_str_c(m.problem));
        }
        write_figures(out, &m.figures);
        we_buf_append_c(out, ", ");
        write_text(out, "content", text);
        we_buf_append_byte(out, '}');
        first = false;
        we_arena_free(&arena);
    }
    we_arena_free(&arena);
    return status;
}

static we_status write_conversation(struct we_sql *sql, int64_t id, bool first, struct we_buf *out, struct we_error *error)
{
    sqlite3_stmt *s;
    bool found = false;
    we_status status = we_sql_query(
        sql, &s, error,
        "SELECT title, own_title, system, model, created, updated FROM conversations WHERE id = ? AND removed = 0", "i", id);
    if (status == WE_OK)
        status = we_sql_step(sql, s, &found, error);
    if (status != WE_OK)
        return status;
    if (!found)
        return we_no_conversation(id, error);
    we_buf_append_c(out, first ? "\n    {" : ",\n    {");
    write_text(out, "title", we_sql_text(s, 0));
    we_buf_append_c(out, sqlite3_column_int64(s, 1) ? ", \"own_title\": true, " : ", \"own_title\": false, ");
    write_text(out, "system", we_sql_text(s, 2));
    we_buf_append_c(out, ", ");
    write_text(out, "model", we_sql_text(s, 3));
    we_buf_append_c(out, ",\n     ");
    write_time(out, "created", sqlite3_column_int64(s, 4));
    we_buf_append_c(out, ", ");
    write_time(out, "updated", sqlite3_column_int64(s, 5));
    we_buf_append_c(out, ",\n     \"messages\": [");
    sqlite3_reset(s);
    status = write_messages(sql, id, out, error);
    we_buf_append_c(out, "]}");
    if (status == WE_OK && out->failed)
        status = we_error_memory(error, "an export");
    return status;
}

static we_status all_ids(struct we_sql *sql, struct we_arena *arena, const int64_t **ids, size_t *count, struct we_error *error)
{
    sqlite3_stmt *s;
    int64_t n = 0;
    bool found = true;
    *count = 0;
    we_status status = we_sql_number(sql, &n, error, "SELECT count(*) FROM conversations WHERE removed = 0", "");
    int64_t *list = status == WE_OK ? we_arena_array(arena, (size_t)n, sizeof *list) : NULL;
    if (status == WE_OK && list == NULL)
        status = we_error_memory(error, "an export");
    if (status == WE_OK)
        status =
            we_sql_query(sql, &s, error, "SELECT id FROM conversations WHERE removed = 0 ORDER BY updated, id LIMIT ?", "i", n);
    while (status == WE_OK && found) {
        status = we_sql_step(sql, s, &found, error);
        if (found)
            list[(*count)++] = sqlite3_column_int64(s, 0);
    }
    *ids = list;
    return status;
}

we_status we_conversations_export_json(struct we_conversations *store, const int64_t *ids, size_t count, struct we_buf *out,
                                       struct we_error *error)
{
    struct we_arena arena = {0};
    struct we_long_work work;
    we_status status = we_long_work_begin(&work, store, error);
    if (status != WE_OK)
        return status;
    /* One moment for all of it. */
    bool begun = false;
    status = we_sql_run(work.sql, error, "BEGIN", "");
    begun = status == WE_OK;
    if (status == WE_OK && ids == NULL)
        status = all_ids(work.sql, &arena, &ids, &count, error);
    we_buf_append_c(out, "{\n  \"format\": \"whisperengine-conversations\",\n  \"version\": 1,\n  \"conversations\": [");
    for (size_t i = 0; i < count && status == WE_OK; i++)
        status = write_conversation(work.sql, ids[i], i == 0, out, error);
    we_buf_append_c(out, "\n  ]\n}\n");
    if (begun)
        sqlite3_exec(work.sql->db, "ROLLBACK", NULL, NULL, NULL);
    we_long_work_end(&work);
    we_arena_free(&arena);
    if (status == WE_OK && out->failed)
        status = we_error_memory(error, "an export");
    return status;
}
