#define _GNU_SOURCE
/* The store of conversations under faults: each call of the system and each allocation that can fail does so once; a process is
 * killed in the middle of a reply; other programs hold the file. What was told to be kept must be there afterwards. */
#include "store_support.h"

#include "../failing_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>

/* ---- SQLite's calls of the system, by a layer over its own ---- */

struct faulty_file {
    sqlite3_file base;
    sqlite3_file *real;
};

static sqlite3_vfs *real_vfs, faulty_vfs;
static long calls_left = -1; /* until one fails; -1: none does */
static int failure = SQLITE_IOERR;
static bool goes_on; /* once it failed, it fails ever after */
static pthread_t main_thread;
static int syncs_of_main;

static int fails(int code)
{
    long left = __atomic_load_n(&calls_left, __ATOMIC_SEQ_CST);
    if (left < 0)
        return goes_on && left == -2 ? code : 0;
    if (__atomic_fetch_sub(&calls_left, 1, __ATOMIC_SEQ_CST) > 0)
        return 0;
    __atomic_store_n(&calls_left, goes_on ? -2 : -1, __ATOMIC_SEQ_CST);
    return code;
}

#define REAL(f) (((struct faulty_file *)(f))->real)
#define CALL(f, method, ...) REAL(f)->pMethods->method(REAL(f), ##__VA_ARGS__)

static int f_close(sqlite3_file *f)
{
    int code = REAL(f)->pMethods ? CALL(f, xClose) : SQLITE_OK;
    sqlite3_free(REAL(f));
    return code;
}
static int f_read(sqlite3_file *f, void *data, int n, sqlite3_int64 at)
{
    int code = failure == SQLITE_IOERR ? fails(SQLITE_IOERR_READ) : 0;
    return code ? code : CALL(f, xRead, data, n, at);
}
static int f_write(sqlite3_file *f, const void *data, int n, sqlite3_int64 at)
{
    int code = fails(failure == SQLITE_IOERR ? SQLITE_IOERR_WRITE : failure);
    return code ? code : CALL(f, xWrite, data, n, at);
}
static int f_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    int code = failure == SQLITE_IOERR ? fails(SQLITE_IOERR_TRUNCATE) : 0;
    return code ? code : CALL(f, xTruncate, size);
}
static int f_sync(sqlite3_file *f, int flags)
{
    if (pthread_equal(pthread_self(), main_thread))
        syncs_of_main++;
    int code = failure == SQLITE_IOERR ? fails(SQLITE_IOERR_FSYNC) : 0;
    return code ? code : CALL(f, xSync, flags);
}
static int f_size(sqlite3_file *f, sqlite3_int64 *size)
{
    int code = failure == SQLITE_IOERR ? fails(SQLITE_IOERR_FSTAT) : 0;
    return code ? code : CALL(f, xFileSize, size);
}
static int f_lock(sqlite3_file *f, int level)
{
    int code = failure == SQLITE_IOERR ? fails(SQLITE_IOERR_LOCK) : 0;
    return code ? code : CALL(f, xLock, level);
}
static int f_unlock(sqlite3_file *f, int level)
{
    return CALL(f, xUnlock, level);
}
static int f_reserved(sqlite3_file *f, int *out)
{
    return CALL(f, xCheckReservedLock, out);
}
static int f_control(sqlite3_file *f, int op, void *arg)
{
    return CALL(f, xFileControl, op, arg);
}
static int f_sector(sqlite3_file *f)
{
    return CALL(f, xSectorSize);
}
static int f_device(sqlite3_file *f)
{
    return CALL(f, xDeviceCharacteristics);
}
static int f_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
    int code = failure == SQLITE_IOERR ? fails(SQLITE_IOERR_SHMMAP) : 0;
    return code ? code : CALL(f, xShmMap, page, size, extend, out);
}
static int f_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
    return CALL(f, xShmLock, offset, n, flags);
}
static void f_barrier(sqlite3_file *f)
{
    CALL(f, xShmBarrier);
}
static int f_unmap(sqlite3_file *f, int remove)
{
    return CALL(f, xShmUnmap, remove);
}

static const sqlite3_io_methods faulty_methods = {2,        f_close, f_read,     f_write,    f_truncate, f_sync,
                                                  f_size,   f_lock,  f_unlock,   f_reserved, f_control,  f_sector,
                                                  f_device, f_map,   f_shm_lock, f_barrier,  f_unmap};

static int v_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out)
{
    (void)vfs;
    struct faulty_file *file = (struct faulty_file *)f;
    file->base.pMethods = NULL;
    int code = fails(failure == SQLITE_IOERR ? SQLITE_CANTOPEN : failure);
    if (code)
        return code;
    file->real = sqlite3_malloc(real_vfs->szOsFile);
    if (file->real == NULL)
        return SQLITE_NOMEM;
    memset(file->real, 0, (size_t)real_vfs->szOsFile);
    code = real_vfs->xOpen(real_vfs, name, file->real, flags, out);
    if (code == SQLITE_OK)
        file->base.pMethods = &faulty_methods;
    else
        sqlite3_free(file->real);
    return code;
}

static int v_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    (void)vfs;
    int code = failure == SQLITE_IOERR ? fails(SQLITE_IOERR_DELETE) : 0;
    return code ? code : real_vfs->xDelete(real_vfs, name, sync);
}

static void install_vfs(void)
{
    real_vfs = sqlite3_vfs_find(NULL);
    faulty_vfs = *real_vfs;
    faulty_vfs.zName = "faulty";
    faulty_vfs.szOsFile = sizeof(struct faulty_file);
    faulty_vfs.xOpen = v_open;
    faulty_vfs.xDelete = v_delete;
    assert_int_equal(sqlite3_vfs_register(&faulty_vfs, 1), SQLITE_OK);
}

/* ---- SQLite's memory ---- */

static sqlite3_mem_methods real_memory;
static long sqlite_countdown = -1;

static bool sqlite_memory_fails(void)
{
    long left = __atomic_load_n(&sqlite_countdown, __ATOMIC_SEQ_CST);
    return left >= 0 && __atomic_fetch_sub(&sqlite_countdown, 1, __ATOMIC_SEQ_CST) == 0;
}
static void *m_malloc(int size)
{
    return sqlite_memory_fails() ? NULL : real_memory.xMalloc(size);
}
static void *m_realloc(void *data, int size)
{
    return sqlite_memory_fails() ? NULL : real_memory.xRealloc(data, size);
}

static void install_memory(void)
{
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory), SQLITE_OK);
    sqlite3_mem_methods mine = real_memory;
    mine.xMalloc = m_malloc;
    mine.xRealloc = m_realloc;
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_MALLOC, &mine), SQLITE_OK);
}

/* ---- our own calls, for journals ---- */

ssize_t __real_pwrite64(int fd, const void *data, size_t size, off64_t at);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t size, off64_t at);
static long pwrites_left = -1;
static bool disk_is_full;

ssize_t __wrap_pwrite64(int fd, const void *data, size_t size, off64_t at)
{
    if (disk_is_full || (pwrites_left >= 0 && pwrites_left-- == 0)) {
        errno = ENOSPC;
        /* A disk fills up in the middle of a piece. */
        return size > 1 && !disk_is_full ? __real_pwrite64(fd, data, size / 2, at) : -1;
    }
    return __real_pwrite64(fd, data, size, at);
}

/* ---- the work that is disturbed ---- */

/* What the calls that succeeded have promised. */
static struct {
    bool conversation, question, reply, renamed;
    int64_t id, message;
} promised;

static const char reply_text[] = "a reply that consists of a few pieces";

static we_status work_with(struct we_conversations *store)
{
    struct we_reply *reply = NULL;
    struct we_arena arena = {0};
    struct we_conversation *loaded;
    struct we_buf json = {0};
    struct rows rows = {0};
    int64_t id, question;
    we_status status = we_conversations_new(store, "system", "model", &id, &error);
    if (status != WE_OK)
        goto done;
    promised.conversation = true;
    promised.id = id;
    if ((status = we_conversations_add(store, id, 0, "user", we_str_c("question"), &question, &error)) != WE_OK)
        goto done;
    promised.question = true;
    if ((status = we_reply_begin(store, id, question, "model", &reply, &error)) != WE_OK)
        goto done;
    for (size_t i = 0; i < sizeof reply_text - 1 && status == WE_OK; i += 4)
        status = we_reply_append(reply, reply_text + i, sizeof reply_text - 1 - i < 4 ? sizeof reply_text - 1 - i : 4, &error);
    if (status != WE_OK)
        goto done;
    promised.reply = true; /* it was shown, whatever comes */
    promised.message = we_reply_message(reply);
    if ((status = we_reply_finish(reply, WE_MESSAGE_WHOLE, NULL, NULL, &error)) != WE_OK)
        goto done;
    reply = NULL;
    if ((status = we_conversations_rename(store, id, "title", &error)) != WE_OK)
        goto done;
    promised.renamed = true;
    if ((status = we_conversations_load(store, id, &arena, &loaded, &error)) != WE_OK ||
        (status = we_conversations_request(store, id, 0, &json, &error)) != WE_OK ||
        (status = we_conversations_search(store, "pieces", 0, collect_row, &rows, &error)) != WE_OK ||
        (status = we_conversations_set_draft(store, id, "draft", &error)) != WE_OK ||
        (status = we_conversations_export_json(store, &id, 1, &json, &error)) != WE_OK)
        goto done;
    assert_int_equal(loaded->num_messages, 2);
    assert_int_equal(rows.count, 1);
done:
    we_reply_leave(reply);
    we_arena_free(&arena);
    we_buf_free(&json);
    return status;
}

/* Returns whether all of it went well; a failure must have a message. */
static bool do_work(void)
{
    struct we_conversations *store;
    memset(&promised, 0, sizeof promised);
    error = (struct we_error){0};
    we_status status = we_conversations_open(database, &store, &error);
    if (status == WE_OK) {
        status = work_with(store);
        we_conversations_close(store);
    }
    if (status != WE_OK && (error.status != status || error.message[0] == '\0'))
        fail_msg("status %d without a message", status);
    return status == WE_OK;
}

static void check_promises(void)
{
    struct we_arena arena = {0};
    struct we_conversation *c;
    struct we_conversations *store = open_store(database);
    ok(we_conversations_check(store, &error));
    if (promised.conversation) {
        ok(we_conversations_load(store, promised.id, &arena, &c, &error));
        assert_string_equal(c->system, "system");
        assert_string_equal(c->title, promised.renamed ? "title" : c->title);
        assert_true(c->num_messages >= (promised.question ? 1 : 0) + (size_t)promised.reply);
        if (promised.question)
            assert_string_equal(c->messages[0].text, "question");
        if (promised.reply)
            assert_string_equal(c->messages[1].text, reply_text);
        for (size_t i = 0; i < c->num_messages; i++)
            assert_int_not_equal(c->messages[i].state, WE_MESSAGE_STREAMING);
    }
    we_arena_free(&arena);
    we_conversations_close(store);
}

static void start_anew(void)
{
    remove_folder(NULL);
    assert_int_equal(make_folder(NULL), 0);
}

static void fail_each_call(int code, bool ever_after)
{
    long survived = 0;
    failure = code;
    goes_on = ever_after;
    for (long n = 0; n < 5000; n++) {
        start_anew();
        calls_left = n;
        bool done = do_work();
        bool met = calls_left < 0;
        calls_left = -1;
        if (!met) {
            assert_true(done);
            print_message("%ld calls failed, one at a time\n", survived);
            assert_true(survived > 20);
            goes_on = false;
            return;
        }
        check_promises();
        survived++;
    }
    fail_msg("the work never got through");
}

static void test_failing_system(void **state)
{
    (void)state;
    fail_each_call(SQLITE_IOERR, false);
}

static void test_failing_system_ever_after(void **state)
{
    (void)state;
    fail_each_call(SQLITE_IOERR, true);
}

static void test_full_disk(void **state)
{
    (void)state;
    fail_each_call(SQLITE_FULL, true);
}

static void test_full_disk_says_so(void **state)
{
    (void)state;
    int64_t id;
    struct we_conversations *store = open_store(database);
    int64_t c = new_conversation(store, "t");
    failure = SQLITE_FULL;
    goes_on = true;
    calls_left = 0;
    assert_int_equal(we_conversations_add(store, c, 0, "user", we_str_c("q"), &id, &error), WE_IO_ERROR);
    assert_non_null(strstr(error.message, "the disk is full"));
    calls_left = -1;
    goes_on = false;
    add(store, c, 0, "user", "q");
    assert_string_equal(path_of(store, c), "user:q");
    we_conversations_close(store);
}

/* Memory of SQLite and memory of ours. */
static void test_failing_memory(void **state)
{
    (void)state;
    long survived = 0;
    start_anew();
    assert_true(do_work());
    for (long n = 0; n < 20000; n += 1 + n / 40) {
        start_anew();
        sqlite_countdown = n;
        bool done = do_work();
        bool met = sqlite_countdown < 0;
        sqlite_countdown = -1;
        if (!met) {
            assert_true(done);
            break;
        }
        check_promises();
        survived++;
    }
    print_message("%ld allocations of SQLite failed\n", survived);
    assert_true(survived > 100);
    survived = 0;
    for (long n = 0; n < 5000; n += 1 + n / 40) {
        start_anew();
        memory_countdown = n;
        bool done = do_work();
        bool met = memory_countdown == -1;
        memory_countdown = -1;
        if (!met) {
            assert_true(done);
            break;
        }
        check_promises();
        survived++;
    }
    print_message("%ld allocations of the store failed\n", survived);
    assert_true(survived > 20);
}

static void test_failing_import(void **state)
{
    (void)state;
    static const char text[] =
        "{\"conversations\": [{\"title\": \"t\", \"system\": \"s\", \"messages\": [{\"id\": 4, \"role\": \"user\", "
        "\"content\": \"q\\n\"}, {\"role\": \"assistant\", \"parent\": 4, \"content\": \"r\", \"model\": \"m\"}]}]}";
    struct we_import result;
    for (int kind = 0; kind < 2; kind++)
        for (long n = 0;; n++) {
            struct we_conversations *store = open_store(NULL);
            memory_countdown = kind ? -1 : n;
            sqlite_countdown = kind ? n : -1;
            we_status status = we_conversations_import(store, we_str_c(text), "f", NULL, NULL, &result, &error);
            bool met = (kind ? sqlite_countdown : memory_countdown) < 0;
            memory_countdown = sqlite_countdown = -1;
            if (status == WE_OK)
                assert_string_equal(path_of(store, result.newest), "user:q\n|assistant:r");
            else
                assert_int_equal(status, WE_OUT_OF_MEMORY);
            assert_string_equal(list_of(store), status == WE_OK ? "t;" : "");
            we_conversations_close(store);
            if (!met) {
                assert_true(n > (kind ? 20 : 2));
                break;
            }
        }
}

/* The journal's disk is full: the reply goes on, and is told of once; when there is room again, the journal catches up. */
static void test_full_journal(void **state)
{
    (void)state;
    struct we_reply *reply;
    struct we_conversations *store = open_store(database);
    int64_t c = new_conversation(store, "t");
    disk_is_full = true;
    assert_int_equal(we_reply_begin(store, c, 0, "m", &reply, &error), WE_IO_ERROR);
    disk_is_full = false;
    assert_string_equal(path_of(store, c), "");
    ok(we_reply_begin(store, c, 0, "m", &reply, &error));
    ok(we_reply_append(reply, "one ", 4, &error));
    disk_is_full = true;
    assert_int_equal(we_reply_append(reply, "two ", 4, &error), WE_IO_ERROR);
    assert_non_null(strstr(error.message, "not safe from a crash"));
    ok(we_reply_append(reply, "three ", 6, &error));
    disk_is_full = false;
    pwrites_left = 0; /* half of it, then the rest */
    ok(we_reply_append(reply, "four ", 5, &error));
    ok(we_reply_append(reply, "five", 4, &error));
    we_reply_leave(reply);
    we_conversations_close(store);
    store = open_store(database);
    assert_string_equal(path_of(store, c), "assistant:one two three four five");
    we_conversations_close(store);
}

/* A reply that cannot be put into the database is kept, and is put there when it can. */
static void test_finish_again(void **state)
{
    (void)state;
    struct we_reply *reply;
    struct we_conversations *store = open_store(database);
    int64_t c = new_conversation(store, "t");
    ok(we_reply_begin(store, c, 0, "m", &reply, &error));
    ok(we_reply_append(reply, "kept", 4, &error));
    failure = SQLITE_FULL;
    goes_on = true;
    calls_left = 0;
    assert_int_equal(we_reply_finish(reply, WE_MESSAGE_WHOLE, NULL, NULL, &error), WE_IO_ERROR);
    calls_left = -1;
    goes_on = false;
    ok(we_reply_finish(reply, WE_MESSAGE_WHOLE, NULL, NULL, &error));
    assert_string_equal(path_of(store, c), "assistant:kept");
    we_conversations_close(store);
}

/* ---- the disk is not waited for ---- */

static void test_main_thread_never_syncs(void **state)
{
    (void)state;
    struct we_conversations *store = open_store(database);
    syncs_of_main = 0;
    for (int round = 0; round < 3; round++) {
        /* Once more after a checkpoint has emptied the log. */
        ok(work_with(store));
        int64_t c = promised.id;
        for (int i = 0; i < 20; i++) {
            ok(we_conversations_set_draft(store, c, "draft", &error));
            add(store, c, 0, "user", "some text");
        }
        ok(we_conversations_remove(store, c, &error));
    }
    assert_int_equal(syncs_of_main, 0);
    we_conversations_close(store);
}

/* ---- other processes ---- */

static void test_locked_by_another(void **state)
{
    (void)state;
    struct we_sql other;
    struct we_conversations *store = open_store(database), *second;
    int64_t id, c = new_conversation(store, "t");
    ok(we_sql_open(&other, database, SQLITE_OPEN_READWRITE, &error));
    ok(we_sql_script(&other, "BEGIN IMMEDIATE", &error));
    assert_int_equal(we_conversations_new(store, NULL, NULL, &id, &error), WE_IO_ERROR);
    assert_non_null(strstr(error.message, "in use by another program"));
    assert_string_equal(list_of(store), "t;"); /* reading goes on */
    assert_int_equal(we_conversations_open(database, &second, &error), WE_IO_ERROR);
    assert_non_null(strstr(error.message, "in use by another program"));
    ok(we_sql_script(&other, "ROLLBACK", &error));
    we_sql_close(&other);
    add(store, c, 0, "user", "q");
    assert_string_equal(path_of(store, c), "user:q");
    we_conversations_close(store);
}

static void test_read_only(void **state)
{
    (void)state;
    char directory[128];
    we_conversations_close(open_store(database));
    snprintf(directory, sizeof directory, "%s/data", folder);
    assert_int_equal(chmod(database, 0444), 0);
    assert_int_equal(chmod(directory, 0555), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct we_conversations *store;
        if (geteuid() == 0 && (chmod(folder, 0755) != 0 || seteuid(65534) != 0))
            _exit(77);
        we_status status = we_conversations_open(database, &store, &error);
        bool right = status == WE_IO_ERROR && store == NULL && strstr(error.message, "cannot be written") &&
                     strstr(error.message, "permissions");
        if (!right)
            fprintf(stderr, "%d %s\n", status, error.message);
        _exit(right ? 0 : 1);
    }
    int result;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(chmod(directory, 0755), 0);
    assert_true(WIFEXITED(result));
    assert_int_equal(WEXITSTATUS(result), 0);
}

/* Streams until it is killed; tells through a pipe, after each piece, that this much was shown. */
static void stream_for_ever(int pipe_end)
{
    struct we_conversations *store;
    struct we_reply *reply;
    int64_t c;
    uint32_t shown = 0;
    if (we_conversations_open(database, &store, NULL) != WE_OK || we_conversations_new(store, NULL, NULL, &c, NULL) != WE_OK ||
        we_reply_begin(store, c, 0, "m", &reply, NULL) != WE_OK)
        _exit(1);
    for (uint32_t i = 0;; i++) {
        char piece[16];
        int length = snprintf(piece, sizeof piece, "%u ", i);
        if (we_reply_append(reply, piece, (size_t)length, NULL) != WE_OK)
            _exit(1);
        shown += (uint32_t)length;
        if (write(pipe_end, &shown, sizeof shown) != sizeof shown)
            _exit(1);
    }
}

static void kill_while_streaming(uint32_t at_least)
{
    int ends[2], result;
    uint32_t shown = 0, last;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(ends[0]);
        stream_for_ever(ends[1]);
    }
    close(ends[1]);
    while (shown < at_least) {
        assert_int_equal(read(ends[0], &shown, sizeof shown), sizeof shown);
        if (shown < 64) {
            /* While it lives, another process leaves its reply alone. */
            struct we_conversations *store = open_store(database);
            int64_t streaming;
            ok(we_sql_number(&store->sql, &streaming, &error, "SELECT count(*) FROM messages WHERE state = 1", ""));
            assert_int_equal(streaming, 1);
            we_conversations_close(store);
        }
    }
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFSIGNALED(result));
    while (read(ends[0], &last, sizeof last) == sizeof last)
        shown = last;
    close(ends[0]);

    struct we_conversations *store = open_store(database);
    struct we_arena arena = {0};
    struct we_conversation *c;
    struct we_buf expected = {0};
    struct rows rows = {0};
    ok(we_conversations_list(store, 0, 1, collect_row, &rows, &error));
    ok(we_conversations_load(store, rows.first, &arena, &c, &error));
    assert_int_equal(c->num_messages, 1);
    const struct we_message *m = &c->messages[0];
    assert_int_equal(m->state, WE_MESSAGE_INTERRUPTED);
    assert_true(m->length >= shown);
    for (uint32_t i = 0; expected.length < m->length; i++)
        we_buf_printf(&expected, "%u ", i);
    assert_memory_equal(expected.data, m->text, m->length);
    ok(we_conversations_check(store, &error));
    we_buf_free(&expected);
    we_arena_free(&arena);
    we_conversations_close(store);
}

static void test_killed_while_streaming(void **state)
{
    (void)state;
    kill_while_streaming(1);
    kill_while_streaming(5000);
    kill_while_streaming(200000);
}

/* Killed at any moment: what it was told to be kept is there. */
static void test_killed_while_writing(void **state)
{
    (void)state;
    for (uint32_t round = 1; round <= 8; round++) {
        start_anew();
        int ends[2], result;
        uint32_t kept = 0, last;
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            struct we_conversations *store;
            int64_t c, at = 0;
            close(ends[0]);
            if (we_conversations_open(database, &store, NULL) != WE_OK ||
                we_conversations_new(store, NULL, NULL, &c, NULL) != WE_OK)
                _exit(1);
            for (uint32_t i = 1;; i++) {
                if (we_conversations_add(store, c, at, "user", we_str_c("some text"), &at, NULL) != WE_OK ||
                    write(ends[1], &i, sizeof i) != sizeof i)
                    _exit(1);
            }
        }
        close(ends[1]);
        while (kept < round * 30)
            assert_int_equal(read(ends[0], &kept, sizeof kept), sizeof kept);
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, &result, 0), child);
        assert_true(WIFSIGNALED(result));
        while (read(ends[0], &last, sizeof last) == sizeof last)
            kept = last;
        close(ends[0]);
        struct we_conversations *store = open_store(database);
        int64_t count;
        ok(we_sql_number(&store->sql, &count, &error, "SELECT count(*) FROM messages", ""));
        assert_true(count >= kept);
        ok(we_conversations_check(store, &error));
        we_conversations_close(store);
    }
}

/* ---- threads ---- */

static struct we_conversations *shared;

static void *use_store(void *context)
{
    int64_t *failed = context;
    for (int i = 0; i < 20 && !*failed; i++) {
        struct we_arena arena = {0};
        struct we_conversation *c;
        struct rows rows = {0};
        struct we_reply *reply;
        int64_t id, message;
        *failed |= we_conversations_new(shared, NULL, NULL, &id, NULL) != WE_OK;
        *failed |= we_conversations_add(shared, id, 0, "user", we_str_c("a question"), &message, NULL) != WE_OK;
        *failed |= we_reply_begin(shared, id, message, "m", &reply, NULL) != WE_OK;
        if (*failed)
            break;
        for (int j = 0; j < 20; j++)
            *failed |= we_reply_append(reply, "piece ", 6, NULL) != WE_OK;
        *failed |= we_reply_finish(reply, WE_MESSAGE_WHOLE, NULL, NULL, NULL) != WE_OK;
        *failed |= we_conversations_search(shared, "piece", 3, collect_row, &rows, NULL) != WE_OK || rows.count == 0;
        *failed |= we_conversations_load(shared, id, &arena, &c, NULL) != WE_OK || c->num_messages != 2 ||
                   c->messages[1].length != 120;
        we_arena_free(&arena);
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    pthread_t threads[4];
    int64_t failed[4] = {0};
    size_t count;
    shared = open_store(database);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_store, &failed[i]), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(failed[i], 0);
    }
    ok(we_conversations_count(shared, &count, &error));
    assert_int_equal(count, 80);
    ok(we_conversations_check(shared, &error));
    we_conversations_close(shared);
}

int main(void)
{
    (void)survive_failures; /* here a promise is checked after each one */
    main_thread = pthread_self();
    install_memory();
    install_vfs();
    signal(SIGPIPE, SIG_IGN);
#define T(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        T(test_failing_system),
        T(test_failing_system_ever_after),
        T(test_full_disk),
        T(test_full_disk_says_so),
        T(test_failing_memory),
        T(test_failing_import),
        T(test_full_journal),
        T(test_finish_again),
        T(test_main_thread_never_syncs),
        T(test_locked_by_another),
        T(test_read_only),
        T(test_killed_while_streaming),
        T(test_killed_while_writing),
        T(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
