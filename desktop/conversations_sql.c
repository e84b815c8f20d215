#include "conversations_sql.h"

#include <stdarg.h>

we_status we_sql_fail(const struct we_sql *sql, int code, struct we_error *error)
{
    const char *path = sql->path ? sql->path : "the conversations in memory";
    const char *detail = sql->db ? sqlite3_errmsg(sql->db) : sqlite3_errstr(code);
    switch (code & 0xFF) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return WE_OK;
    case SQLITE_NOMEM:
        return we_error_memory(error, "the conversations");
    case SQLITE_INTERRUPT:
        return we_error_set(error, WE_CANCELLED, "stopped");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
        return we_error_set(
            error, WE_INVALID_FORMAT,
            "%s is damaged: %s\nthe file is left as it is: restore a copy of it, or set it aside and begin with "
            "an empty one",
            path, detail);
    case SQLITE_ERROR:
    case SQLITE_SCHEMA:
    case SQLITE_MISMATCH:
        return we_error_set(
            error, WE_INVALID_FORMAT,
            "%s has not the tables that conversations are kept in: %s\nthe file is left as it is: restore a copy "
            "of it, or set it aside and begin with an empty one",
            path, detail);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return we_error_set(error, WE_IO_ERROR, "%s is in use by another program\nclose that program, and try again", path);
    case SQLITE_FULL:
        return we_error_set(error, WE_IO_ERROR, "%s: the disk is full; nothing was changed\nmake room, and try again", path);
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_CANTOPEN:
        return we_error_set(
            error, WE_IO_ERROR,
            "%s cannot be written: %s\ncheck the permissions of the file and of its folder, and that the disk is "
            "not mounted read-only",
            path, detail);
    case SQLITE_TOOBIG:
        return we_error_set(error, WE_INVALID_ARGUMENT, "%s: the text is too long to be kept", path);
    case SQLITE_IOERR:
        if (code == SQLITE_IOERR_NOMEM)
            return we_error_memory(error, "the conversations");
        if (sql->db && sqlite3_system_errno(sql->db))
            return we_error_errno(error, WE_IO_ERROR, sqlite3_system_errno(sql->db), "%s: reading or writing failed", path);
        break;
    default:
        break;
    }
    return we_error_set(error, WE_IO_ERROR, "%s: reading or writing failed: %s\ncheck the disk, and try again", path, detail);
}

we_status we_sql_open(struct we_sql *sql, const char *path, int flags, struct we_error *error)
{
    *sql = (struct we_sql){.path = path};
    /* Whoever uses a connection has locked it. */
    int code = sqlite3_open_v2(path ? path : ":memory:", &sql->db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (code == SQLITE_OK)
        return WE_OK;
    we_status status = we_sql_fail(sql, code, error);
    we_sql_close(sql);
    return status;
}

void we_sql_close(struct we_sql *sql)
{
    for (size_t i = 0; i < sql->num_cached; i++)
        sqlite3_finalize(sql->cache[i].statement);
    sqlite3_close(sql->db);
    *sql = (struct we_sql){0};
}

static we_status prepare(struct we_sql *sql, const char *text, sqlite3_stmt **statement, struct we_error *error)
{
    for (size_t i = 0; i < sql->num_cached; i++)
        if (sql->cache[i].text == text) {
            *statement = sql->cache[i].statement;
            return WE_OK;
        }
    int code = sqlite3_prepare_v3(sql->db, text, -1, SQLITE_PREPARE_PERSISTENT, statement, NULL);
    if (code != SQLITE_OK)
        return we_sql_fail(sql, code, error);
    if (sql->num_cached == sizeof sql->cache / sizeof sql->cache[0])
        sqlite3_finalize(sql->cache[--sql->num_cached].statement);
    sql->cache[sql->num_cached].text = text;
    sql->cache[sql->num_cached++].statement = *statement;
    return WE_OK;
}

static we_status query(struct we_sql *sql, sqlite3_stmt **statement, struct we_error *error, const char *text,
                       const char *types, va_list args)
{
    we_status status = prepare(sql, text, statement, error);
    if (status != WE_OK)
        return status;
    int code = SQLITE_OK;
    for (int i = 0; types[i] && code == SQLITE_OK; i++) {
        if (types[i] == 'i') {
            code = sqlite3_bind_int64(*statement, i + 1, va_arg(args, int64_t));
        } else if (types[i] == 'd') {
            code = sqlite3_bind_double(*statement, i + 1, va_arg(args, double));
        } else {
            struct we_str s = types[i] == 't' ? we_str_c(va_arg(args, const char *)) : va_arg(args, struct we_str);
            code = s.data ? sqlite3_bind_text64(*statement, i + 1, s.data, s.length, SQLITE_STATIC, SQLITE_UTF8)
                          : sqlite3_bind_null(*statement, i + 1);
        }
    }
    if (code != SQLITE_OK) {
        status = we_sql_fail(sql, code, error);
        sqlite3_reset(*statement);
        sqlite3_clear_bindings(*statement);
    }
    return status;
}

we_status we_sql_query(struct we_sql *sql, sqlite3_stmt **statement, struct we_error *error, const char *text,
                       const char *types, ...)
{
    va_list args;
    va_start(args, types);
    we_status status = query(sql, statement, error, text, types, args);
    va_end(args);
    return status;
}

we_status we_sql_step(struct we_sql *sql, sqlite3_stmt *statement, bool *found, struct we_error *error)
{
    int code = sqlite3_step(statement);
    *found = code == SQLITE_ROW;
    if (*found)
        return WE_OK;
    we_status status = we_sql_fail(sql, code, error);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return status;
}

/* Runs it to the first row, if `value` is asked for, or to the end. */
static we_status run(struct we_sql *sql, int64_t *value, struct we_error *error, const char *text, const char *types,
                     va_list args)
{
    sqlite3_stmt *statement;
    bool found = true;
    we_status status = query(sql, &statement, error, text, types, args);
    if (status != WE_OK)
        return status;
    while (status == WE_OK && found) {
        status = we_sql_step(sql, statement, &found, error);
        if (status == WE_OK && value) {
            if (!found)
                return WE_NOT_FOUND;
            *value = sqlite3_column_int64(statement, 0);
            sqlite3_reset(statement);
            sqlite3_clear_bindings(statement);
            return WE_OK;
        }
    }
    return status;
}

we_status we_sql_run(struct we_sql *sql, struct we_error *error, const char *text, const char *types, ...)
{
    va_list args;
    va_start(args, types);
    we_status status = run(sql, NULL, error, text, types, args);
    va_end(args);
    return status;
}

we_status we_sql_number(struct we_sql *sql, int64_t *value, struct we_error *error, const char *text, const char *types, ...)
{
    va_list args;
    va_start(args, types);
    we_status status = run(sql, value, error, text, types, args);
    va_end(args);
    return status;
}

we_status we_sql_script(struct we_sql *sql, const char *text, struct we_error *error)
{
    return we_sql_fail(sql, sqlite3_exec(sql->db, text, NULL, NULL, NULL), error);
}

we_status we_sql_begin(struct we_sql *sql, struct we_error *error)
{
    return we_sql_run(sql, error, "BEGIN IMMEDIATE", "");
}

we_status we_sql_end(struct we_sql *sql, we_status status, struct we_error *error)
{
    if (status == WE_OK)
        status = we_sql_run(sql, error, "COMMIT", "");
    /* Some failures have taken it back already. */
    if (status != WE_OK && !sqlite3_get_autocommit(sql->db))
        sqlite3_exec(sql->db, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

struct we_str we_sql_text(sqlite3_stmt *statement, int column)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    return we_str(text, text ? (size_t)sqlite3_column_bytes(statement, column) : 0);
}
