/* Opening and closing the store, setting a broken one aside, and the keeper: the thread that waits for the disk, so that no
 * other has to. */
#include "conversations_store.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    KEEPER_GATHERS_MS = 500, /* what is written in this time reaches the disk together */
    LONG_LOG = 4 << 20,      /* bytes */
    OPENING_BUSY_MS = 2000
};

int64_t we_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

we_status we_conversations_path(const char *data_dir, char **path, struct we_error *error)
{
    const char *xdg = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    struct we_buf buf = {0};
    *path = NULL;
    if (data_dir && data_dir[0])
        we_buf_append_c(&buf, data_dir);
    else if (xdg && xdg[0] == '/')
        we_buf_printf(&buf, "%s/whisperengine", xdg);
    else if (home && home[0] == '/')
        we_buf_printf(&buf, "%s/.local/share/whisperengine", home);
    else
        return we_error_set(error, WE_NOT_FOUND,
                            "there is no folder for conversations: HOME is not set\nset DATA_DIR or HOME, and start again");
    we_buf_append_c(&buf, "/conversations.db");
    *path = we_buf_take(&buf);
    return *path ? WE_OK : we_error_memory(error, "a path");
}

/* ---- connections ---- */

static void set_up_connection(struct we_sql *sql, int busy_ms)
{
    sqlite3_busy_timeout(sql->db, busy_ms);
    sqlite3_db_config(sql->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(sql->db, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);
}

/* A connection to a database that was checked. Commits do not wait for the disk; the keeper checkpoints. */
static we_status open_connection(struct we_conversations *store, struct we_sql *sql, int flags, struct we_error *error)
{
    we_status status = we_sql_open(sql, store->path, flags, error);
    if (status != WE_OK)
        return status;
    set_up_connection(sql, WE_BUSY_MS);
    status =
        we_sql_script(sql, "PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0; PRAGMA cell_size_check = ON", error);
    if (status != WE_OK)
        we_sql_close(sql);
    return status;
}

/* ---- the keeper ---- */

void we_conversations_touch(struct we_conversations *store)
{
    if (!store->has_keeper)
        return;
    pthread_mutex_lock(&store->keeper_lock);
    if (!store->dirty) /* else it is awake already */
        pthread_cond_signal(&store->keeper_wakes);
    store->dirty = true;
    pthread_mutex_unlock(&store->keeper_lock);
}

/* The first write into an empty log waits for the disk, to keep the log in order: those whom nobody waits for make it. */
static we_status begin_log(struct we_sql *sql, struct we_error *error)
{
    return we_sql_run(sql, error, "UPDATE notes SET value = value WHERE key = 'store'", "");
}

/* Brings the log to the disk: what was committed survives a power cut then. A long log is put into the database, too. */
static bool sync_log(struct we_conversations *store, struct we_sql *sql)
{
    struct we_buf path = {0};
    struct stat st = {0};
    int in_log = 0, written = 0;
    we_buf_printf(&path, "%s-wal", store->path);
    int fd = path.failed ? -1 : open(path.data, O_RDONLY | O_CLOEXEC);
    bool synced = fd >= 0 && fsync(fd) == 0 && fstat(fd, &st) == 0;
    if (fd >= 0)
        close(fd);
    we_buf_free(&path);
    if (sql->db && st.st_size >= LONG_LOG &&
        sqlite3_wal_checkpoint_v2(sql->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &in_log, &written) == SQLITE_OK &&
        in_log == written)
        begin_log(sql, NULL);
    return synced;
}

static void wait_until(struct we_conversations *store, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    while (!store->stop)
        if (pthread_cond_timedwait(&store->keeper_wakes, &store->keeper_lock, &until) == ETIMEDOUT)
            break;
}

static void *keep(void *context)
{
    struct we_conversations *store = context;
    struct we_sql sql;
    /* Without a connection of its own the log grows until the store closes. */
    open_connection(store, &sql, SQLITE_OPEN_READWRITE, NULL);
    pthread_mutex_lock(&store->keeper_lock);
    for (;;) {
        while (!store->dirty && !store->stop)
            pthread_cond_wait(&store->keeper_wakes, &store->keeper_lock);
        bool last = store->stop;
        if (!last)
            wait_until(store, KEEPER_GATHERS_MS);
        store->dirty = false;
        pthread_mutex_unlock(&store->keeper_lock);
        we_journals_sync(store);
        struct we_ended_journal *ended = we_journals_take_ended(store);
        we_journals_remove_ended(store, ended, sync_log(store, &sql));
        pthread_mutex_lock(&store->keeper_lock);
        if (last)
            break;
    }
    pthread_mutex_unlock(&store->keeper_lock);
    we_sql_close(&sql);
    return NULL;
}

static we_status start_keeper(struct we_conversations *store, struct we_error *error)
{
    int failed = pthread_create(&store->keeper, NULL, keep, store);
    if (failed)
        return we_error_errno(error, WE_OUT_OF_MEMORY, failed, "a thread for the conversations could not be started");
    store->has_keeper = true;
    return WE_OK;
}

static void stop_keeper(struct we_conversations *store)
{
    if (!store->has_keeper)
        return;
    pthread_mutex_lock(&store->keeper_lock);
    store->stop = true;
    pthread_cond_signal(&store->keeper_wakes);
    pthread_mutex_unlock(&store->keeper_lock);
    pthread_join(store->keeper, NULL);
    store->has_keeper = false;
}

/* ---- opening ---- */

/* The file for its owner alone, before SQLite makes it for everyone. */
static we_status make_file(const char *path, struct we_error *error)
{
    char *folder = strdup(path);
    if (folder == NULL)
        return we_error_memory(error, "a path");
    char *slash = strrchr(folder, '/');
    we_status status = WE_OK;
    if (slash && slash > folder) {
        *slash = '\0';
        status = we_make_directories(folder, error);
    }
    free(folder);
    if (status != WE_OK)
        return status;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    struct stat st;
    if (fd < 0)
        return we_error_errno(
            error, WE_IO_ERROR, errno,
            "%s cannot be written\ncheck the permissions of the file and of its folder, or set another folder "
            "(DATA_DIR)",
            path);
    bool is_file = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    close(fd);
    return is_file ? WE_OK
                   : we_error_set(error, WE_IO_ERROR, "%s is no file\nset another folder (DATA_DIR), or move it away", path);
}

/* Nothing of the file is changed until it is known to be ours. */
static we_status look_at_file(const char *path, struct we_error *error)
{
    struct we_sql sql;
    int64_t version = 0;
    we_status status = we_sql_open(&sql, path, SQLITE_OPEN_READWRITE, error);
    if (status != WE_OK)
        return status;
    set_up_connection(&sql, OPENING_BUSY_MS);
    sqlite3_db_config(sql.db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    status = we_schema_check(&sql, &version, error);
    if (status == WE_OK && sqlite3_db_readonly(sql.db, "main") == 1)
        status = we_sql_fail(&sql, SQLITE_READONLY, error);
    we_sql_close(&sql);
    return status;
}

static we_status prepare_database(struct we_conversations *store, struct we_error *error)
{
    struct we_sql *sql = &store->sql;
    sqlite3_busy_timeout(sql->db, OPENING_BUSY_MS);
    we_status status = we_sql_script(sql, "PRAGMA journal_mode = WAL; PRAGMA journal_size_limit = 4194304", error);
    if (status == WE_OK)
        status = we_schema_migrate(sql, error);
    sqlite3_stmt *statement;
    bool found = false;
    if (status == WE_OK)
        status = we_sql_query(sql, &statement, error, "SELECT value FROM notes WHERE key = 'store'", "");
    if (status == WE_OK)
        status = we_sql_step(sql, statement, &found, error);
    if (found) {
        snprintf(store->id, sizeof store->id, "%.*s", WE_STR_ARG(we_sql_text(statement, 0)));
        sqlite3_reset(statement);
    }
    if (status == WE_OK)
        status = we_sql_run(sql, error, "DELETE FROM conversations WHERE removed <> 0", "");
    if (status == WE_OK)
        status = begin_log(sql, error);
    sqlite3_busy_timeout(sql->db, WE_BUSY_MS);
    return status;
}

we_status we_conversations_open(const char *path, struct we_conversations **out, struct we_error *error)
{
    *out = NULL;
    struct we_conversations *store = calloc(1, sizeof *store);
    if (store == NULL)
        return we_error_memory(error, "the conversations");
    pthread_mutex_init(&store->lock, NULL);
    pthread_mutex_init(&store->search_lock, NULL);
    pthread_mutex_init(&store->keeper_lock, NULL);
    pthread_cond_init(&store->keeper_wakes, NULL);
    we_status status = WE_OK;
    if (path) {
        store->path = strdup(path);
        status = store->path ? make_file(path, error) : we_error_memory(error, "a path");
        if (status == WE_OK)
            status = look_at_file(path, error);
    }
    if (status == WE_OK)
        status = open_connection(store, &store->sql, SQLITE_OPEN_READWRITE | (path ? 0 : SQLITE_OPEN_MEMORY), error);
    if (status == WE_OK)
        status = prepare_database(store, error);
    if (status == WE_OK && path)
        status = we_journals_recover(store, error);
    if (status == WE_OK && path)
        status = open_connection(store, &store->search, SQLITE_OPEN_READWRITE, error);
    if (status == WE_OK && path)
        status = start_keeper(store, error);
    if (status != WE_OK) {
        we_conversations_close(store);
        return status;
    }
    we_conversations_touch(store);
    *out = store;
    return WE_OK;
}

void we_conversations_close(struct we_conversations *store)
{
    if (store == NULL)
        return;
    stop_keeper(store);
    we_sql_close(&store->search);
    we_sql_close(&store->sql);
    we_journals_remove_ended(store, we_journals_take_ended(store), false);
    pthread_mutex_destroy(&store->lock);
    pthread_mutex_destroy(&store->search_lock);
    pthread_mutex_destroy(&store->keeper_lock);
    pthread_cond_destroy(&store->keeper_wakes);
    free(store->path);
    free(store);
}

/* ---- setting aside ---- */

/* Renames without writing over what is there. */
static int rename_new(const char *from, const char *to)
{
    if (link(from, to) == 0)
        return unlink(from);
    if (errno != EPERM && errno != ENOSYS && errno != EOPNOTSUPP)
        return -1;
    /* A file system without hard links. */
    if (access(to, F_OK) == 0) {
        errno = EEXIST;
        return -1;
    }
    return rename(from, to);
}

/* What lies beside the database: its log, and journals of replies. */
static we_status set_companions_aside(const char *path, const char *aside, struct we_arena *arena, struct we_error *error)
{
    const char *base = we_path_base(path), *slash = strrchr(path, '/');
    char *folder = slash ? we_arena_copy(arena, we_str(path, slash == path ? 1 : (size_t)(slash - path))) : NULL, **names;
    size_t count, length = strlen(base);
    if (slash && folder == NULL)
        return we_error_memory(error, "a path");
    we_status status = we_list_directory(folder ? folder : ".", arena, &names, &count, error);
    for (size_t i = 0; status == WE_OK && i < count; i++) {
        if (strncmp(names[i], base, length) != 0 || names[i][length] != '-')
            continue;
        struct we_buf from = {0}, to = {0};
        we_buf_printf(&from, "%s%s", path, names[i] + length);
        we_buf_printf(&to, "%s%s", aside, names[i] + length);
        if (from.failed || to.failed)
            status = we_error_memory(error, "a path");
        else if (rename_new(from.data, to.data) != 0)
            status = we_error_errno(error, WE_IO_ERROR, errno, "%s cannot be renamed to %s", from.data, to.data);
        we_buf_free(&from);
        we_buf_free(&to);
    }
    return status;
}

we_status we_conversations_set_aside(const char *path, char **aside, struct we_error *error)
{
    struct we_arena arena = {0};
    struct we_buf name = {0};
    struct tm parts;
    time_t now = time(NULL);
    char stamp[32];
    *aside = NULL;
    strftime(stamp, sizeof stamp, "%Y-%m-%d-%H%M%S", localtime_r(&now, &parts));
    we_status status = WE_IO_ERROR;
    for (int n = 1; n <= 100; n++) {
        we_buf_clear(&name);
        we_buf_printf(&name, "%s.broken-%s", path, stamp);
        if (n > 1)
            we_buf_printf(&name, ".%d", n);
        if (name.failed) {
            status = we_error_memory(error, "a path");
            goto done;
        }
        if (rename_new(path, name.data) == 0) {
            status = WE_OK;
            break;
        }
        if (errno != EEXIST)
            break;
    }
    if (status != WE_OK)
        status = we_error_errno(error, errno == ENOENT ? WE_NOT_FOUND : WE_IO_ERROR, errno, "%s cannot be renamed to %s", path,
                                name.data);
    else
        status = set_companions_aside(path, name.data, &arena, error);
    if (status == WE_OK && (*aside = we_buf_take(&name)) == NULL)
        status = we_error_memory(error, "a path");
done:
    we_buf_free(&name);
    we_arena_free(&arena);
    return status;
}

/* ---- long work ---- */

we_status we_long_work_begin(struct we_long_work *work, struct we_conversations *store, struct we_error *error)
{
    *work = (struct we_long_work){.store = store};
    if (store->path == NULL) {
        pthread_mutex_lock(&store->lock);
        work->sql = &store->sql;
        return WE_OK;
    }
    we_status status = open_connection(store, &work->own, SQLITE_OPEN_READWRITE, error);
    if (status == WE_OK) {
        sqlite3_busy_timeout(work->own.db, OPENING_BUSY_MS);
        work->sql = &work->own;
    }
    return status;
}

void we_long_work_end(struct we_long_work *work)
{
    if (work->sql == NULL)
        return;
    if (work->sql == &work->own) {
        we_sql_close(&work->own);
        we_conversations_touch(work->store);
    } else {
        pthread_mutex_unlock(&work->store->lock);
    }
    work->sql = NULL;
}
