/* Deleting for good, and looking after the file. */
#include "conversations_store.h"

/* In pieces, so that others get their turn between them. */
static we_status delete_some(struct we_sql *sql, int64_t before, int64_t *deleted, struct we_error *error)
{
    we_status status = we_sql_begin(sql, error);
    if (status != WE_OK)
        return status;
    status =
        before
            ? we_sql_run(sql, error,
                         "DELETE FROM conversations WHERE id IN (SELECT id FROM conversations WHERE removed >= 0 "
                         "AND updated < ? LIMIT 20)",
                         "i", before)
            : we_sql_run(sql, error,
                         "DELETE FROM conversations WHERE id IN (SELECT id FROM conversations WHERE removed > 0 LIMIT 20)", "");
    *deleted = status == WE_OK ? sqlite3_changes(sql->db) : 0;
    return we_sql_end(sql, status, error);
}

we_status we_conversations_purge(struct we_conversations *store, int64_t before, size_t *count, struct we_error *error)
{
    struct we_long_work work;
    int64_t deleted = 1;
    size_t all = 0;
    we_status status = we_long_work_begin(&work, store, error);
    while (status == WE_OK && deleted) {
        status = delete_some(work.sql, before, &deleted, error);
        if (status == WE_OK)
            all += (size_t)deleted;
    }
    if (count)
        *count = all;
    we_long_work_end(&work);
    return status;
}

we_status we_conversations_clear(struct we_conversations *store, struct we_error *error)
{
    struct we_long_work work;
    we_status status = we_long_work_begin(&work, store, error);
    if (status != WE_OK)
        return status;
    status = we_sql_begin(work.sql, error);
    if (status == WE_OK) {
        status = we_sql_run(work.sql, error, "DELETE FROM conversations", "");
        if (status == WE_OK)
            status = we_sql_run(work.sql, error, "DELETE FROM notes WHERE key <> 'store'", "");
        status = we_sql_end(work.sql, status, error);
    }
    we_long_work_end(&work);
    return status;
}

we_status we_conversations_compact(struct we_conversations *store, struct we_error *error)
{
    struct we_long_work work;
    we_status status = we_long_work_begin(&work, store, error);
    if (status != WE_OK)
        return status;
    /* The index keeps what was deleted until it is written anew. */
    status = we_sql_run(work.sql, error, "INSERT INTO found (found) VALUES ('optimize')", "");
    if (status == WE_OK)
        status = we_sql_script(work.sql, "VACUUM", error);
    if (status == WE_OK && store->path)
        status =
            we_sql_fail(work.sql, sqlite3_wal_checkpoint_v2(work.sql->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL), error);
    we_long_work_end(&work);
    return status;
}

we_status we_conversations_check(struct we_conversations *store, struct we_error *error)
{
    struct we_long_work work;
    sqlite3_stmt *s;
    bool found = false;
    we_status status = we_long_work_begin(&work, store, error);
    if (status != WE_OK)
        return status;
    status = we_sql_query(work.sql, &s, error, "PRAGMA integrity_check(1)", "");
    if (status == WE_OK)
        status = we_sql_step(work.sql, s, &found, error);
    if (found) {
        struct we_str text = we_sql_text(s, 0);
        if (!we_str_equal_c(text, "ok"))
            status =
                we_error_set(error, WE_INVALID_FORMAT,
                             "%s is damaged: %.*s\nexport what is still readable, then set the file aside and begin with an "
                             "empty one",
                             store->path ? store->path : "the database in memory", WE_STR_ARG(text));
        sqlite3_reset(s);
    }
    if (status == WE_OK)
        status = we_sql_run(work.sql, error, "INSERT INTO found (found, rank) VALUES ('integrity-check', 1)", "");
    we_long_work_end(&work);
    return status;
}
