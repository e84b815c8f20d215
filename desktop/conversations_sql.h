/* A connection to SQLite as the store of conversations uses it: statements prepared once, arguments bound in one call, and
 * errors that say what to do. A connection is used by one thread at a time. */
#ifndef WE_DESKTOP_CONVERSATIONS_SQL_H
#define WE_DESKTOP_CONVERSATIONS_SQL_H

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

#include <sqlite3.h>

struct we_sql {
    sqlite3 *db;
    const char *path; /* for messages; borrowed */
    struct {
        const char *text; /* a literal: its address is the key */
        sqlite3_stmt *statement;
    } cache[64];
    size_t num_cached;
};

/* `path` is borrowed. flags as sqlite3_open_v2 has them. On failure nothing is open. */
we_status we_sql_open(struct we_sql *sql, const char *path, int flags, struct we_error *error);
void we_sql_close(struct we_sql *sql); /* zeroed is fine */

/* The error of a result code; WE_OK for a code that is none. */
we_status we_sql_fail(const struct we_sql *sql, int code, struct we_error *error);

/* Prepares `text` (a literal) or takes it from the cache, and binds: 'i' int64_t, 'd' double, 't' const char * (NULL: null),
 * 's' struct we_str. Texts must live until the statement is reset. */
we_status we_sql_query(struct we_sql *sql, sqlite3_stmt **statement, struct we_error *error, const char *text,
                       const char *types, ...);
/* The next row: *found false after the last one, and the statement is reset then, and on an error. */
we_status we_sql_step(struct we_sql *sql, sqlite3_stmt *statement, bool *found, struct we_error *error);
/* A statement without rows, or whose rows are not wanted. */
we_status we_sql_run(struct we_sql *sql, struct we_error *error, const char *text, const char *types, ...);
/* The first column of the first row; WE_NOT_FOUND, without a message, if there is no row. */
we_status we_sql_number(struct we_sql *sql, int64_t *value, struct we_error *error, const char *text, const char *types, ...);
/* Several statements, not prepared before. */
we_status we_sql_script(struct we_sql *sql, const char *text, struct we_error *error);

/* A transaction that writes; end commits it if the status is WE_OK, and else takes it back. Returns the first failure. */
we_status we_sql_begin(struct we_sql *sql, struct we_error *error);
we_status we_sql_end(struct we_sql *sql, we_status status, struct we_error *error);

/* A column: valid until the next step. */
struct we_str we_sql_text(sqlite3_stmt *statement, int column);

#endif
