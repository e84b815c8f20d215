/* The tables, and how an older database becomes a newer one. */
#include "conversations_store.h"

#include <inttypes.h>
#include <stdio.h>

/* Each step is one version: never changed once released, only added to.
 * messages.parent 0: a first message. Of the messages with one parent (in one conversation), one is shown. */
static const char *const steps[] = {
    "CREATE TABLE conversations ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " title TEXT NOT NULL DEFAULT '',"
    " own_title INTEGER NOT NULL DEFAULT 0," /* the person gave it */
    " system TEXT, model TEXT,"
    " draft TEXT NOT NULL DEFAULT '',"
    " created INTEGER NOT NULL, updated INTEGER NOT NULL,"
    " removed INTEGER NOT NULL DEFAULT 0" /* when; 0: it is there; below 0: an import that is not ended */
    ") STRICT;"
    "CREATE INDEX conversations_by_time ON conversations (removed, updated DESC, id DESC);"
    "CREATE TABLE messages ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " conversation INTEGER NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,"
    " parent INTEGER NOT NULL, shown INTEGER NOT NULL,"
    " role TEXT NOT NULL, text TEXT NOT NULL,"
    " created INTEGER NOT NULL, state INTEGER NOT NULL,"
    " model TEXT, problem TEXT,"
    " prompt_tokens INTEGER NOT NULL DEFAULT 0, cached_tokens INTEGER NOT NULL DEFAULT 0,"
    " generation_tokens INTEGER NOT NULL DEFAULT 0,"
    " prompt_seconds REAL NOT NULL DEFAULT 0, generation_seconds REAL NOT NULL DEFAULT 0,"
    " time_to_first_token REAL NOT NULL DEFAULT 0"
    ") STRICT;"
    "CREATE INDEX messages_by_parent ON messages (conversation, parent);"
    "CREATE INDEX messages_that_stream ON messages (id) WHERE state = 1;"
    "CREATE TABLE notes (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;"
    "INSERT INTO notes VALUES ('store', lower(hex(randomblob(16))));",

    /* Parts of words are found too, in any script: hence three characters at a time. */
    "CREATE VIRTUAL TABLE found USING fts5 (text, content='messages', content_rowid='id', tokenize='trigram');"
    "CREATE TRIGGER message_added AFTER INSERT ON messages BEGIN"
    " INSERT INTO found (rowid, text) VALUES (new.id, new.text);"
    "END;"
    "CREATE TRIGGER message_deleted AFTER DELETE ON messages BEGIN"
    " INSERT INTO found (found, rowid, text) VALUES ('delete', old.id, old.text);"
    "END;"
    "CREATE TRIGGER message_changed AFTER UPDATE OF text ON messages BEGIN"
    " INSERT INTO found (found, rowid, text) VALUES ('delete', old.id, old.text);"
    " INSERT INTO found (rowid, text) VALUES (new.id, new.text);"
    "END;"
    "INSERT INTO found (rowid, text) SELECT id, text FROM messages;",
};

int64_t we_schema_version(void)
{
    return (int64_t)(sizeof steps / sizeof steps[0]);
}

we_status we_schema_check(struct we_sql *sql, int64_t *version, struct we_error *error)
{
    int64_t application = 0, tables = 0;
    we_status status = we_sql_number(sql, &application, error, "PRAGMA application_id", "");
    if (status == WE_OK)
        status = we_sql_number(sql, version, error, "PRAGMA user_version", "");
    if (status == WE_OK)
        status = we_sql_number(sql, &tables, error, "SELECT count(*) FROM sqlite_schema", "");
    if (status != WE_OK)
        return status;
    if (application == 0 && *version == 0 && tables == 0)
        return WE_OK;
    if (application != WE_CONVERSATIONS_APPLICATION || *version <= 0)
        return we_error_set(error, WE_INVALID_FORMAT,
                            "%s is the database of another program\nit is left as it is: set another folder (DATA_DIR), or set "
                            "the file aside",
                            sql->path);
    if (*version > we_schema_version())
        return we_error_set(error, WE_UNSUPPORTED,
                            "%s was written by a newer version of WhisperEngine (its tables are of version %" PRId64
                            ", this program knows %" PRId64 ")\nit is left as it is: install the newer version, or set another "
                            "folder (DATA_DIR)",
                            sql->path, *version, we_schema_version());
    /* Fails if these are not the tables that the version promises. */
    status = we_sql_number(sql, &tables, error,
                           "SELECT count(*) FROM (SELECT id, title, own_title, system, model, draft, created, updated, removed "
                           "FROM conversations LIMIT 1), (SELECT id, conversation, parent, shown, role, text, created, state, "
                           "model, problem, prompt_tokens, cached_tokens, generation_tokens, prompt_seconds, "
                           "generation_seconds, time_to_first_token FROM messages LIMIT 1), (SELECT key, value FROM notes)",
                           "");
    if (status == WE_OK && *version >= 2)
        status = we_sql_number(sql, &tables, error, "SELECT count(*) FROM (SELECT rowid FROM found LIMIT 1)", "");
    return status;
}

we_status we_schema_migrate_to(struct we_sql *sql, int64_t target, struct we_error *error)
{
    int64_t version = 0;
    we_status status = we_sql_begin(sql, error);
    if (status != WE_OK)
        return status;
    /* Again, now that no other process can change it. */
    status = we_schema_check(sql, &version, error);
    bool older = version < target;
    for (; status == WE_OK && version < target; version++)
        status = we_sql_script(sql, steps[version], error);
    if (status == WE_OK && older) {
        char pragma[96];
        snprintf(pragma, sizeof pragma, "PRAGMA application_id = %d; PRAGMA user_version = %" PRId64,
                 WE_CONVERSATIONS_APPLICATION, version);
        status = we_sql_script(sql, pragma, error);
    }
    return we_sql_end(sql, status, error);
}

we_status we_schema_migrate(struct we_sql *sql, struct we_error *error)
{
    return we_schema_migrate_to(sql, we_schema_version(), error);
}
