/* Inside the store of conversations: what its files share. */
#ifndef WE_DESKTOP_CONVERSATIONS_STORE_H
#define WE_DESKTOP_CONVERSATIONS_STORE_H

#include "conversations.h"
#include "conversations_sql.h"

#include <pthread.h>

enum {
    WE_CONVERSATIONS_APPLICATION = 0x57454331, /* "WEC1": in the header of the database, as its application_id */
    WE_BUSY_MS = 250,                          /* how long a call waits for another process */
    WE_LONGEST_TITLE = 200,                    /* characters */
    WE_LONGEST_TEXT = 64 << 20                 /* bytes of one message */
};

/* What a value of conversations.removed means, beside the time when a person removed it. */
enum { WE_CONVERSATION_KEPT = 0 };

struct we_conversations {
    char *path;           /* NULL: in memory */
    char id[33];          /* random: tells whose journals lie beside the file */
    pthread_mutex_t lock; /* of `sql` */
    struct we_sql sql;
    pthread_mutex_t search_lock;
    struct we_sql search; /* a second connection, so that a search does not hold up the others; not used in memory */

    /* the keeper */
    pthread_t keeper;
    bool has_keeper;
    pthread_mutex_t keeper_lock;
    pthread_cond_t keeper_wakes;
    bool dirty, stop;
    struct we_reply *replies;          /* that are open */
    struct we_ended_journal *journals; /* of replies that ended: removed once the database is on the disk */
};

/* A connection for long work: one of its own, or in memory that of the store, locked. */
struct we_long_work {
    struct we_sql own, *sql;
    struct we_conversations *store;
};
we_status we_long_work_begin(struct we_long_work *work, struct we_conversations *store, struct we_error *error);
void we_long_work_end(struct we_long_work *work);

/* What was written is to reach the disk soon. */
void we_conversations_touch(struct we_conversations *store);

int64_t we_now_ms(void);

/* `text` itself, or a copy in `scratch` with U+FFFD in place of NULs and of bytes that are no UTF-8. */
we_status we_clean_text(struct we_str text, struct we_buf *scratch, struct we_str *clean, struct we_error *error);
/* One line of at most WE_LONGEST_TITLE characters, appended. */
void we_clean_title(struct we_str text, struct we_buf *out);

/* ---- schema (conversations_schema.c) ---- */

/* Refuses what is foreign or newer, without changing it; *version 0: the database is empty. */
we_status we_schema_check(struct we_sql *sql, int64_t *version, struct we_error *error);
/* Brings it from any older version to the newest. */
we_status we_schema_migrate(struct we_sql *sql, struct we_error *error);
int64_t we_schema_version(void);
/* For tests: only to `version`. */
we_status we_schema_migrate_to(struct we_sql *sql, int64_t version, struct we_error *error);

/* ---- messages (conversations_messages.c) ---- */

/* Within a transaction. parent 0: none; figures NULL: not known. */
struct we_new_message {
    int64_t conversation, parent, created;
    bool hidden; /* a sibling is shown */
    struct we_str role, text;
    enum we_message_state state;
    const char *model, *problem;
    const struct we_figures *figures;
};
we_status we_message_insert(struct we_sql *sql, const struct we_new_message *message, int64_t *id, struct we_error *error);
/* Of all the siblings of `message`, it alone is shown. */
we_status we_message_show(struct we_sql *sql, int64_t conversation, int64_t parent, int64_t message, struct we_error *error);
we_status we_no_conversation(int64_t id, struct we_error *error);
we_status we_load_conversation(struct we_sql *sql, int64_t id, struct we_arena *arena, struct we_conversation **conversation,
                               struct we_error *error);
/* Columns from `first` on, as "state, model, problem, prompt_tokens, cached_tokens, generation_tokens, prompt_seconds,
 * generation_seconds, time_to_first_token" selects them. Returns false when memory is out. */
bool we_read_message_columns(sqlite3_stmt *statement, int first, struct we_arena *arena, struct we_message *message);
/* A copy in the arena; NULL for null, and when memory is out. */
char *we_copy_column(sqlite3_stmt *statement, int column, struct we_arena *arena);

/* ---- journals (conversations_journal.c) ---- */

/* Puts in place what is journalled beside the database and belongs to no living process. */
we_status we_journals_recover(struct we_conversations *store, struct we_error *error);
/* For the keeper: syncs the open ones to the disk. */
void we_journals_sync(struct we_conversations *store);
/* For the keeper: takes the list of those that have ended, and removes them when the database is on the disk, or gives it back.
 */
struct we_ended_journal *we_journals_take_ended(struct we_conversations *store);
void we_journals_remove_ended(struct we_conversations *store, struct we_ended_journal *list, bool on_disk);

/* ---- import and export (conversations_import.c, conversations_export.c) ---- */

struct we_imported_message {
    struct we_message message; /* `id` is that of the file, `parent` an index + 1 of messages, 0: none */
    bool shown;
};
struct we_imported {
    struct we_str title, system, model;
    bool has_system, has_model, has_own_title;
    int64_t created, updated;
    struct we_imported_message *messages; /* (num_messages); a parent stands before its children */
    size_t num_messages;
};
/* Reads and checks a whole file; what is found lives in the arena. */
we_status we_import_parse(struct we_str text, const char *name, struct we_arena *arena, struct we_imported **conversations,
                          size_t *count, struct we_error *error);
const char *we_message_state_name(enum we_message_state state);

#endif
