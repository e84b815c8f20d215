/* The list of conversations, and what one has beside its messages. */
#include "conversations_store.h"

#include <inttypes.h>

we_status we_no_conversation(int64_t id, struct we_error *error)
{
    return we_error_set(error, WE_NOT_FOUND, "there is no conversation %" PRId64 ": it was removed", id);
}

we_status we_clean_text(struct we_str text, struct we_buf *scratch, struct we_str *clean, struct we_error *error)
{
    *clean = text.data ? text : we_str("", 0);
    if (text.length > WE_LONGEST_TEXT)
        return we_error_set(error, WE_INVALID_ARGUMENT, "the text has %zu bytes; a message has at most %d", text.length,
                            (int)WE_LONGEST_TEXT);
    if (text.length == 0 || (memchr(text.data, 0, text.length) == NULL && we_utf8_valid_prefix(text) == text.length))
        return WE_OK;
    we_buf_clear(scratch);
    while (text.length) {
        uint32_t c;
        size_t n = we_utf8_decode(text, &c);
        if (n == 0 || c == 0)
            we_buf_append_utf8(scratch, 0xFFFD);
        else
            we_buf_append(scratch, we_str(text.data, n));
        n = n ? n : 1;
        text.data += n;
        text.length -= n;
    }
    *clean = we_buf_str(scratch);
    return scratch->failed ? we_error_memory(error, "a text") : WE_OK;
}

void we_clean_title(struct we_str text, struct we_buf *out)
{
    size_t characters = 0;
    bool space = false;
    while (text.length && characters < WE_LONGEST_TITLE) {
        uint32_t c = 0;
        size_t n = we_utf8_decode(text, &c);
        if (n == 0) {
            c = 0xFFFD;
            n = 1;
        }
        text.data += n;
        text.length -= n;
        if (c <= 0x20 || c == 0x7F || c == 0xA0 || c == 0x2028 || c == 0x2029) {
            space = characters > 0;
            continue;
        }
        if (space && ++characters < WE_LONGEST_TITLE)
            we_buf_append_byte(out, ' ');
        if (characters++ < WE_LONGEST_TITLE)
            we_buf_append_utf8(out, c);
        space = false;
    }
}

/* ---- the list ---- */

we_status we_conversations_list(struct we_conversations *store, size_t offset, size_t limit, we_conversation_fn *visit,
                                void *context, struct we_error *error)
{
    sqlite3_stmt *statement;
    bool found = true;
    pthread_mutex_lock(&store->lock);
    we_status status = we_sql_query(&store->sql, &statement, error,
                                    "SELECT id, created, updated, title, model FROM conversations WHERE removed = 0 "
                                    "ORDER BY updated DESC, id DESC LIMIT ? OFFSET ?",
                                    "ii", limit ? (int64_t)limit : (int64_t)-1, (int64_t)offset);
    while (status == WE_OK && found) {
        status = we_sql_step(&store->sql, statement, &found, error);
        if (status != WE_OK || !found)
            break;
        const struct we_conversation_row row = {
            .id = sqlite3_column_int64(statement, 0),
            .created = sqlite3_column_int64(statement, 1),
            .updated = sqlite3_column_int64(statement, 2),
            .title = (const char *)sqlite3_column_text(statement, 3),
            .model = (const char *)sqlite3_column_text(statement, 4),
        };
        if (row.title == NULL) {
            status = we_error_memory(error, "the list of conversations");
            sqlite3_reset(statement);
        } else if (!visit(context, &row)) {
            sqlite3_reset(statement);
            break;
        }
    }
    pthread_mutex_unlock(&store->lock);
    return status;
}

we_status we_conversations_count(struct we_conversations *store, size_t *count, struct we_error *error)
{
    int64_t n = 0;
    pthread_mutex_lock(&store->lock);
    we_status status = we_sql_number(
        &store->sql, &n, error, "SELECT count(*) FROM conversations INDEXED BY conversations_by_time WHERE removed = 0", "");
    pthread_mutex_unlock(&store->lock);
    *count = (size_t)n;
    return status;
}

/* ---- one conversation ---- */

we_status we_conversations_new(struct we_conversations *store, const char *system, const char *model, int64_t *id,
                               struct we_error *error)
{
    struct we_buf scratch = {0};
    struct we_str prompt = {0};
    int64_t now = we_now_ms();
    we_status status = system ? we_clean_text(we_str_c(system), &scratch, &prompt, error) : WE_OK;
    if (status == WE_OK) {
        pthread_mutex_lock(&store->lock);
        status =
            we_sql_run(&store->sql, error, "INSERT INTO conversations (system, model, created, updated) VALUES (?, ?, ?, ?)",
                       "stii", prompt, model, now, now);
        if (status == WE_OK)
            *id = sqlite3_last_insert_rowid(store->sql.db);
        pthread_mutex_unlock(&store->lock);
        we_conversations_touch(store);
    }
    we_buf_free(&scratch);
    return status;
}

/* One change of one conversation that is there. */
static we_status change(struct we_conversations *store, int64_t id, struct we_error *error, const char *text,
                        struct we_str value)
{
    struct we_buf scratch = {0};
    struct we_str clean = value;
    we_status status = value.data ? we_clean_text(value, &scratch, &clean, error) : WE_OK;
    if (status == WE_OK) {
        pthread_mutex_lock(&store->lock);
        status = we_sql_run(&store->sql, error, text, "si", clean, id);
        if (status == WE_OK && sqlite3_changes(store->sql.db) == 0)
            status = we_no_conversation(id, error);
        pthread_mutex_unlock(&store->lock);
        we_conversations_touch(store);
    }
    we_buf_free(&scratch);
    return status;
}

we_status we_conversations_rename(struct we_conversations *store, int64_t id, const char *title, struct we_error *error)
{
    struct we_buf line = {0};
    we_clean_title(we_str_c(title), &line);
    we_status status = line.failed
                           ? we_error_memory(error, "a title")
                           : change(store, id, error,
                                    "UPDATE conversations SET title = ?1, own_title = ?1 <> '' WHERE id = ?2 AND removed = 0",
                                    we_buf_str(&line));
    we_buf_free(&line);
    return status;
}

/* Without the marks that Markdown begins lines with and sets words in, and cut after a word. */
static void title_of(struct we_str text, struct we_buf *out)
{
    enum { LONGEST = 60 };
    struct we_buf plain = {0};
    size_t line = 0, characters = 0;
    for (size_t i = 0; i < text.length && plain.length < 4096; i++) {
        char c = text.data[i];
        bool is_mark = strchr("*`~", c) && c != '\0';
        bool at_start = plain.length == line && (c == '#' || c == '>' || c == ' ' || c == '\t');
        if (!is_mark && !at_start)
            we_buf_append_byte(&plain, c);
        if (c == '\n')
            line = plain.length;
    }
    we_clean_title(we_buf_str(&plain), out);
    out->failed |= plain.failed;
    we_buf_free(&plain);
    size_t end = 0, word = 0;
    while (end < out->length && characters < LONGEST) {
        if (out->data[end] == ' ')
            word = end;
        uint32_t c;
        end += we_utf8_decode(we_str(out->data + end, out->length - end), &c);
        characters++;
    }
    if (end == out->length)
        return;
    if (out->data[end] != ' ' && word > end / 2)
        end = word;
    out->length = end;
    out->data[end] = '\0';
    we_buf_append_c(out, "\xE2\x80\xA6");
}

we_status we_conversations_suggest_title(struct we_conversations *store, int64_t id, const char *text, struct we_error *error)
{
    struct we_buf line = {0};
    title_of(we_str_c(text), &line);
    we_status status = line.failed
                           ? we_error_memory(error, "a title")
                           : change(store, id, error,
                                    "UPDATE conversations SET title = iif(own_title, title, ?1) WHERE id = ?2 AND removed = 0",
                                    we_buf_str(&line));
    we_buf_free(&line);
    return status;
}

we_status we_conversations_set_system(struct we_conversations *store, int64_t id, const char *system, struct we_error *error)
{
    return change(store, id, error, "UPDATE conversations SET system = ?1 WHERE id = ?2 AND removed = 0", we_str_c(system));
}

we_status we_conversations_set_model(struct we_conversations *store, int64_t id, const char *model, struct we_error *error)
{
    return change(store, id, error, "UPDATE conversations SET model = ?1 WHERE id = ?2 AND removed = 0", we_str_c(model));
}

static const char new_draft[] = "new draft"; /* the note that keeps it */

we_status we_conversations_set_draft(struct we_conversations *store, int64_t id, const char *text, struct we_error *error)
{
    if (id == 0)
        return we_conversations_note(store, new_draft, text && text[0] ? text : NULL, error);
    return change(store, id, error, "UPDATE conversations SET draft = ?1 WHERE id = ?2 AND removed = 0",
                  we_str_c(text ? text : ""));
}

/* The first column of the first row, in the arena; NULL if there is none. */
static we_status read_text(struct we_conversations *store, struct we_arena *arena, const char **value, struct we_error *error,
                           const char *text, const char *key, int64_t id)
{
    sqlite3_stmt *statement;
    bool found = false;
    *value = NULL;
    pthread_mutex_lock(&store->lock);
    we_status status = key ? we_sql_query(&store->sql, &statement, error, text, "t", key)
                           : we_sql_query(&store->sql, &statement, error, text, "i", id);
    if (status == WE_OK)
        status = we_sql_step(&store->sql, statement, &found, error);
    if (found) {
        *value = we_copy_column(statement, 0, arena);
        if (*value == NULL)
            status = we_error_memory(error, "a text");
        sqlite3_reset(statement);
    }
    pthread_mutex_unlock(&store->lock);
    return status;
}

we_status we_conversations_draft(struct we_conversations *store, int64_t id, struct we_arena *arena, const char **text,
                                 struct we_error *error)
{
    we_status status =
        id ? read_text(store, arena, text, error, "SELECT draft FROM conversations WHERE id = ? AND removed = 0", NULL, id)
           : we_conversations_noted(store, new_draft, arena, text, error);
    if (status == WE_OK && *text == NULL) {
        if (id)
            return we_no_conversation(id, error);
        *text = "";
    }
    return status;
}

we_status we_conversations_note(struct we_conversations *store, const char *key, const char *value, struct we_error *error)
{
    struct we_buf scratch = {0};
    struct we_str clean = {0};
    we_status status = value ? we_clean_text(we_str_c(value), &scratch, &clean, error) : WE_OK;
    if (status == WE_OK) {
        pthread_mutex_lock(&store->lock);
        status = value ? we_sql_run(&store->sql, error, "REPLACE INTO notes VALUES ('note ' || ?, ?)", "ts", key, clean)
                       : we_sql_run(&store->sql, error, "DELETE FROM notes WHERE key = 'note ' || ?", "t", key);
        pthread_mutex_unlock(&store->lock);
        we_conversations_touch(store);
    }
    we_buf_free(&scratch);
    return status;
}

we_status we_conversations_noted(struct we_conversations *store, const char *key, struct we_arena *arena, const char **value,
                                 struct we_error *error)
{
    return read_text(store, arena, value, error, "SELECT value FROM notes WHERE key = 'note ' || ?", key, 0);
}

we_status we_conversations_remove(struct we_conversations *store, int64_t id, struct we_error *error)
{
    pthread_mutex_lock(&store->lock);
    we_status status = we_sql_run(&store->sql, error, "UPDATE conversations SET removed = ? WHERE id = ? AND removed = 0", "ii",
                                  we_now_ms(), id);
    if (status == WE_OK && sqlite3_changes(store->sql.db) == 0)
        status = we_no_conversation(id, error);
    pthread_mutex_unlock(&store->lock);
    we_conversations_touch(store);
    return status;
}

we_status we_conversations_restore(struct we_conversations *store, int64_t id, struct we_error *error)
{
    pthread_mutex_lock(&store->lock);
    we_status status =
        we_sql_run(&store->sql, error, "UPDATE conversations SET removed = 0 WHERE id = ? AND removed >= 0", "i", id);
    if (status == WE_OK && sqlite3_changes(store->sql.db) == 0)
        status = we_no_conversation(id, error);
    pthread_mutex_unlock(&store->lock);
    we_conversations_touch(store);
    return status;
}
