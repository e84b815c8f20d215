/* Imported conversations into the database: in pieces, so that the window goes on, and unseen until all of them are there. */
#include "conversations_store.h"

struct import {
    struct we_conversations *store;
    struct we_sql *sql;
    int64_t marker;  /* conversations.removed of those that are being imported; below 0 */
    size_t in_piece; /* bytes and messages of the transaction that runs */
    bool begun;
    size_t done, total; /* messages */
    bool (*on_progress)(void *context, size_t done, size_t total);
    void *context;
    struct we_buf scratch;
    struct we_error *error;
};

enum { PIECE = 1 << 20, MESSAGE_COST = 4096 };

static we_status end_piece(struct import *import, we_status status)
{
    if (import->begun) {
        import->begun = false;
        status = we_sql_end(import->sql, status, import->error);
        we_conversations_touch(import->store);
    }
    if (status == WE_OK && import->on_progress && !import->on_progress(import->context, import->done, import->total))
        status = we_error_set(import->error, WE_CANCELLED, "the import was stopped; nothing was added");
    return status;
}

static we_status begin_piece(struct import *import)
{
    if (import->begun)
        return WE_OK;
    we_status status = we_sql_begin(import->sql, import->error);
    import->begun = status == WE_OK;
    import->in_piece = 0;
    return status;
}

static we_status add_conversation(struct import *import, const struct we_imported *c, int64_t now, int64_t *id)
{
    struct we_buf title = {0};
    struct we_str system = {0};
    we_clean_title(c->title, &title);
    we_status status = title.failed ? we_error_memory(import->error, "an import") : WE_OK;
    if (status == WE_OK && c->has_system)
        status = we_clean_text(c->system, &import->scratch, &system, import->error);
    int64_t created = c->created ? c->created : now, updated = c->updated ? c->updated : created;
    if (status == WE_OK)
        status = we_sql_run(import->sql, import->error,
                            "INSERT INTO conversations (title, own_title, system, model, created, updated, removed) "
                            "VALUES (?, ?, ?, ?, ?, ?, ?)",
                            "sistiii", we_buf_str(&title), (int64_t)(c->has_own_title && title.length), system,
                            c->has_model ? c->model.data : NULL, created, updated, import->marker);
    if (status == WE_OK)
        *id = sqlite3_last_insert_rowid(import->sql->db);
    we_buf_free(&title);
    return status;
}

static we_status add_messages(struct import *import, const struct we_imported *c, int64_t conversation, int64_t now,
                              struct we_arena *arena)
{
    we_status status = WE_OK;
    int64_t *ids = we_arena_array(arena, c->num_messages + 1, sizeof *ids);
    if (ids == NULL)
        return we_error_memory(import->error, "an import");
    for (size_t i = 0; i < c->num_messages && status == WE_OK; i++) {
        const struct we_message *m = &c->messages[i].message;
        struct we_new_message new = {.conversation = conversation,
                                     .parent = ids[m->parent],
                                     .hidden = !c->messages[i].shown,
                                     .created = m->created   ? m->created
                                                : c->created ? c->created
                                                             : now,
                                     .role = we_str_c(m->role),
                                     .state = m->state,
                                     .model = m->model,
                                     .problem = m->problem,
                                     .figures = &m->figures};
        status = begin_piece(import);
        if (status == WE_OK)
            status = we_clean_text(we_str(m->text, m->length), &import->scratch, &new.text, import->error);
        if (status == WE_OK)
            status = we_message_insert(import->sql, &new, &ids[i + 1], import->error);
        import->done++;
        import->in_piece += m->length + MESSAGE_COST;
        if (status == WE_OK && import->in_piece > PIECE)
            status = end_piece(import, status);
    }
    return status;
}

static we_status add_all(struct import *import, const struct we_imported *list, size_t count, struct we_import *result,
                         struct we_arena *arena)
{
    int64_t now = we_now_ms(), newest = INT64_MIN;
    we_status status = WE_OK;
    for (size_t i = 0; i < count && status == WE_OK; i++) {
        int64_t id = 0;
        status = begin_piece(import);
        if (status == WE_OK)
            status = add_conversation(import, &list[i], now, &id);
        if (status == WE_OK)
            status = add_messages(import, &list[i], id, now, arena);
        int64_t updated = list[i].updated ? list[i].updated : list[i].created ? list[i].created : now;
        if (updated >= newest) {
            newest = updated;
            result->newest = id;
        }
    }
    if (count || status != WE_OK)
        status = end_piece(import, status);
    if (status == WE_OK)
        status = we_sql_run(import->sql, import->error, "UPDATE conversations SET removed = 0 WHERE removed = ?", "i",
                            import->marker);
    return status;
}

we_status we_conversations_import(struct we_conversations *store, struct we_str text, const char *name,
                                  bool (*on_progress)(void *context, size_t done, size_t total), void *context,
                                  struct we_import *result, struct we_error *error)
{
    struct we_arena arena = {0};
    struct we_long_work work = {0};
    struct import import = {
        .store = store, .marker = -we_now_ms(), .on_progress = on_progress, .context = context, .error = error};
    struct we_imported *list;
    size_t count;
    *result = (struct we_import){0};
    we_status status = we_import_parse(text, name, &arena, &list, &count, error);
    for (size_t i = 0; i < count; i++)
        import.total += list[i].num_messages;
    if (status == WE_OK)
        status = we_long_work_begin(&work, store, error);
    if (status != WE_OK)
        goto done;
    import.sql = work.sql;
    status = add_all(&import, list, count, result, &arena);
    /* What cannot be taken back now is taken back when the store is opened the next time. */
    if (status != WE_OK)
        we_sql_run(work.sql, NULL, "DELETE FROM conversations WHERE removed = ?", "i", import.marker);
    if (status == WE_OK) {
        result->num_conversations = count;
        result->num_messages = import.total;
    } else {
        *result = (struct we_import){0};
    }
done:
    we_long_work_end(&work);
    we_buf_free(&import.scratch);
    we_arena_free(&arena);
    return status;
}
