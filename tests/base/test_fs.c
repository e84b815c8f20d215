/* Files: reading, mapping, writing in one piece or none at all, folders, and what the system refuses. */
#if defined(__linux__)
#define _GNU_SOURCE
#endif
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/page_cache.h"

#include "failing_memory.h"

#include <errno.h>
#include <linux/magic.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- a folder for each test ---- */

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/we-base-XXXXXX");
    return mkdtemp(folder) && chmod(folder, 0755) == 0 ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[256];
    snprintf(command, sizeof command, "chmod -R u+rwx %s && rm -rf %s", folder, folder);
    return system(command);
}

/* The path of a name in the folder; valid until the next call but seven. */
static const char *in(const char *name)
{
    static char paths[8][200];
    static int next;
    char *path = paths[next++ & 7];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void put(const char *name, const char *text)
{
    FILE *file = fopen(in(name), "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void assert_content(const char *name, const char *text)
{
    struct we_buf buf = {0};
    assert_int_equal(we_file_read(in(name), 0, &buf, NULL), WE_OK);
    assert_true(we_str_equal_c(we_buf_str(&buf), text));
    we_buf_free(&buf);
}

static size_t count_names(const char *path)
{
    struct we_arena arena = {0};
    char **names;
    size_t count;
    assert_int_equal(we_list_directory(path, &arena, &names, &count, NULL), WE_OK);
    we_arena_free(&arena);
    return count;
}

static void assert_message(const struct we_error *error, we_status status, we_status expected, const char *needle)
{
    if (status != expected || error->status != expected || strstr(error->message, needle) == NULL)
        fail_msg("status %d (%d), where %d and '%s' were expected: %s", status, error->status, expected, needle,
                 error->message);
}

/* ---- calls that fail, by injection ---- */

enum call { CALL_NONE, CALL_WRITE, CALL_FSYNC, CALL_CLOSE, CALL_RENAME, CALL_MMAP };
static enum call failing_call;
static int failing_errno, calls_before; /* calls that succeed before the one that fails */
static bool short_writes;

static bool refuses(enum call call)
{
    if (failing_call != call || calls_before-- != 0)
        return false;
    errno = failing_errno;
    return true;
}

ssize_t __real_write(int fd, const void *data, size_t size);
int __real_fsync(int fd);
int __real_close(int fd);
int __real_rename(const char *from, const char *to);
void *__real_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);
ssize_t __wrap_write(int fd, const void *data, size_t size);
int __wrap_fsync(int fd);
int __wrap_close(int fd);
int __wrap_rename(const char *from, const char *to);
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *at, size_t size, int protection, int flags, int fd, off_t offset);

ssize_t __wrap_write(int fd, const void *data, size_t size)
{
    if (refuses(CALL_WRITE))
        return -1;
    if (short_writes && size > 3) {
        static int turn;
        if (turn++ % 4 == 3) {
            errno = EINTR;
            return -1;
        }
        size = 3;
    }
    return __real_write(fd, data, size);
}

int __wrap_fsync(int fd)
{
    return refuses(CALL_FSYNC) ? -1 : __real_fsync(fd);
}

int __wrap_close(int fd)
{
    if (!refuses(CALL_CLOSE))
        return __real_close(fd);
    int errnum = errno;
    __real_close(fd);
    errno = errnum;
    return -1;
}

int __wrap_rename(const char *from, const char *to)
{
    return refuses(CALL_RENAME) ? -1 : __real_rename(from, to);
}

void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    return refuses(CALL_MMAP) ? MAP_FAILED : __real_mmap(at, size, protection, flags, fd, offset);
}

/* What mmap is called where offsets of 64 bits are a choice. */
void *__wrap_mmap64(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    return __wrap_mmap(at, size, protection, flags, fd, offset);
}

static void fail_call(enum call call, int errnum, int before)
{
    failing_call = call;
    failing_errno = errnum;
    calls_before = before;
}

/* ---- reading ---- */

static void test_read(void **state)
{
    (void)state;
    struct we_error error = {0};
    struct we_buf buf = {0};
    struct we_file_map map;
    put("text", "some text");
    put("empty", "");
    assert_int_equal(we_file_read(in("text"), 9, &buf, &error), WE_OK); /* exactly as large as it may be */
    assert_string_equal(buf.data, "some text");
    we_buf_free(&buf);
    assert_message(&error, we_file_read(in("text"), 8, &buf, &error), WE_INVALID_FORMAT, "larger than the 8 bytes");
    we_buf_free(&buf);
    assert_int_equal(we_file_read(in("empty"), 0, &buf, &error), WE_OK);
    assert_int_equal(buf.length, 0);
    we_buf_free(&buf);
    assert_int_equal(we_file_map(in("text"), &map, &error), WE_OK);
    assert_true(map.mapped && map.size == 9 && memcmp(map.data, "some text", 9) == 0);
    we_file_unmap(&map);
    assert_true(map.size == 0 && map.data != NULL);
    we_file_unmap(&map);
    assert_int_equal(we_file_map(in("empty"), &map, &error), WE_OK);
    assert_true(map.size == 0 && map.data != NULL);
    we_file_unmap(&map);
    fail_call(CALL_MMAP, ENOMEM, 0);
    assert_message(&error, we_file_map(in("text"), &map, &error), WE_OUT_OF_MEMORY, "text: cannot be mapped");
    fail_call(CALL_MMAP, EACCES, 0);
    assert_message(&error, we_file_map(in("text"), &map, &error), WE_IO_ERROR, "text: cannot be mapped: Permission denied");
    fail_call(CALL_NONE, 0, 0);
}

/* What is no file: each reader names it, and none waits for a pipe. */
static void test_no_file(void **state)
{
    (void)state;
    put("text", "x");
    assert_int_equal(mkdir(in("dir"), 0777), 0);
    assert_int_equal(mkfifo(in("pipe"), 0666), 0);
    assert_int_equal(symlink("nowhere", in("dangling")), 0);
    assert_int_equal(symlink("loop", in("loop")), 0);
    assert_int_equal(symlink("text", in("link")), 0);
    static const struct {
        const char *name;
        we_status status;
        const char *message;
    } cases[] = {
        {"absent", WE_NOT_FOUND, "absent: No such file or directory"},
        {"text/x", WE_NOT_FOUND, "text/x: Not a directory"},
        {"dangling", WE_NOT_FOUND, "dangling: No such file"},
        {"loop", WE_IO_ERROR, "loop: Too many levels of symbolic links"},
        {"dir", WE_INVALID_FORMAT, "dir: a directory, where a file was expected"},
        {"pipe", WE_INVALID_FORMAT, "pipe: no regular file, where a file was expected"},
    };
    alarm(20);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct we_error error = {0};
        struct we_buf buf = {0};
        struct we_file_map map;
        assert_message(&error, we_file_read(in(cases[i].name), 0, &buf, &error), cases[i].status, cases[i].message);
        assert_message(&error, we_file_map(in(cases[i].name), &map, &error), cases[i].status, cases[i].message);
        assert_true(map.size == 0 && map.data != NULL);
        we_file_unmap(&map);
        we_buf_free(&buf);
    }
    alarm(0);
    assert_content("link", "x");
    assert_true(we_path_exists(in("link")) && !we_path_exists(in("dangling")) && we_path_is_directory(in("dir")));
    assert_true(!we_path_is_directory(in("text")) && we_path_size(in("link")) == 1 && we_path_size(in("absent")) == 0);
}

/* ---- writing ---- */

static void test_write(void **state)
{
    (void)state;
    struct we_error error;
    assert_int_equal(we_file_write(in("new"), we_str("a\0b", 3), &error), WE_OK);
    assert_int_equal(we_path_size(in("new")), 3);
    assert_int_equal(we_file_write(in("new"), we_str_c("second"), &error), WE_OK);
    assert_content("new", "second");
    assert_int_equal(we_file_write(in("new"), we_str(NULL, 0), &error), WE_OK);
    assert_content("new", "");
    assert_int_equal(count_names(folder), 1);
    short_writes = true; /* and signals in between */
    assert_int_equal(we_file_write(in("new"), we_str_c("written in pieces of three"), &error), WE_OK);
    short_writes = false;
    assert_content("new", "written in pieces of three");
    /* In the current folder: a name without a slash. */
    char old[4096];
    assert_non_null(getcwd(old, sizeof old));
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(we_file_write("bare", we_str_c("x"), &error), WE_OK);
    assert_int_equal(chdir(old), 0);
    assert_content("bare", "x");
}

static void test_writer(void **state)
{
    (void)state;
    struct we_file_writer writer, second;
    struct we_error error;
    put("file", "old");
    assert_int_equal(we_file_writer_begin(&writer, in("file"), &error), WE_OK);
    assert_int_equal(we_file_writer_write(&writer, "one ", 4, &error), WE_OK);
    assert_int_equal(we_file_writer_begin(&second, in("file"), &error), WE_OK); /* another one at the same time */
    assert_int_equal(we_file_writer_write(&second, "other", 5, &error), WE_OK);
    assert_content("file", "old");
    assert_int_equal(we_file_writer_write(&writer, "two", 3, &error), WE_OK);
    assert_int_equal(writer.written, 7);
    assert_int_equal(we_file_writer_commit(&writer, &error), WE_OK);
    we_file_writer_abort(&writer);
    assert_content("file", "one two");
    assert_int_equal(we_file_writer_commit(&second, &error), WE_OK);
    assert_content("file", "other");
    assert_int_equal(we_file_writer_begin(&writer, in("file"), &error), WE_OK);
    assert_int_equal(we_file_writer_write(&writer, "dropped", 7, &error), WE_OK);
    we_file_writer_abort(&writer);
    we_file_writer_abort(&writer);
    assert_content("file", "other");
    assert_int_equal(count_names(folder), 1);
}

/* A link leads to the new content, permissions stay, and what is no file is left alone. */
static void test_write_over(void **state)
{
    (void)state;
    struct we_error error;
    struct stat st;
    assert_int_equal(mkdir(in("other"), 0777), 0);
    put("other/secret", "old");
    assert_int_equal(chmod(in("other/secret"), 0600), 0);
    assert_int_equal(symlink("other/secret", in("link")), 0);
    assert_int_equal(we_file_write(in("link"), we_str_c("new"), &error), WE_OK);
    assert_content("other/secret", "new");
    assert_int_equal(lstat(in("link"), &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(stat(in("other/secret"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(count_names(in("other")), 1);
    assert_message(&error, we_file_write(in("other"), we_str_c("x"), &error), WE_IO_ERROR, "other: a directory, where a file");
    assert_message(&error, we_file_write("/dev/null", we_str_c("x"), &error), WE_IO_ERROR, "/dev/null: no regular file");
    assert_message(&error, we_file_write(in("absent/file"), we_str_c("x"), &error), WE_IO_ERROR, "No such file or directory");
    assert_int_equal(count_names(folder), 2);
}

/* Each call that may fail: the old content stays, and nothing is left beside it. */
static void test_write_failures(void **state)
{
    (void)state;
    static const struct {
        enum call call;
        int errnum, before;
        const char *message;
    } cases[] = {
        {CALL_WRITE, ENOSPC, 0, ".tmp: writing failed: No space left on device"},
        {CALL_WRITE, EIO, 0, ".tmp: writing failed: Input/output error"},
        {CALL_FSYNC, EIO, 0, ".tmp: syncing failed: Input/output error"},
        {CALL_FSYNC, ENOSPC, 0, ".tmp: syncing failed: No space left on device"},
        {CALL_CLOSE, EIO, 0, ".tmp: closing failed: Input/output error"},
        {CALL_RENAME, EACCES, 0, "file: Permission denied"},
    };
    put("file", "old");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct we_error error = {0};
        fail_call(cases[i].call, cases[i].errnum, cases[i].before);
        we_status status = we_file_write(in("file"), we_str_c("new"), &error);
        assert_int_equal(calls_before, -1); /* it was met */
        fail_call(CALL_NONE, 0, 0);
        assert_message(&error, status, WE_IO_ERROR, cases[i].message);
        assert_content("file", "old");
        assert_int_equal(count_names(folder), 1);
    }
    /* A file system that cannot sync is none the worse for it. */
    for (int i = 0; i < 2; i++) {
        fail_call(CALL_FSYNC, i ? ENOTSUP : EINVAL, i);
        assert_int_equal(we_file_write(in("file"), we_str_c(i ? "b" : "a"), NULL), WE_OK);
        fail_call(CALL_NONE, 0, 0);
        assert_content("file", i ? "b" : "a");
    }
    /* A full disk in the middle of a large file. */
    struct we_file_writer writer;
    struct we_error error = {0};
    assert_int_equal(we_file_writer_begin(&writer, in("file"), &error), WE_OK);
    assert_int_equal(we_file_writer_write(&writer, "first", 5, &error), WE_OK);
    fail_call(CALL_WRITE, ENOSPC, 0);
    assert_message(&error, we_file_writer_write(&writer, "second", 6, &error), WE_IO_ERROR, "No space left");
    fail_call(CALL_NONE, 0, 0);
    we_file_writer_abort(&writer);
    assert_content("file", "b");
    assert_int_equal(count_names(folder), 1);
}

static bool write_once(void)
{
    struct we_error error = {0};
    we_status status = we_file_write(in("memory"), we_str_c("x"), &error);
    if (status != WE_OK && (status != WE_OUT_OF_MEMORY || error.status != status))
        fail_msg("status %d: %s", status, error.message);
    struct we_arena arena = {0};
    char **names;
    size_t count = 0;
    if (status == WE_OK)
        status = we_list_directory(folder, &arena, &names, &count, &error);
    if (status == WE_OK)
        status = we_make_directories(in("a/b"), &error);
    struct we_buf buf = {0};
    if (status == WE_OK)
        status = we_file_read(in("memory"), 0, &buf, &error);
    if (status != WE_OK && (status != WE_OUT_OF_MEMORY || error.status != status))
        fail_msg("status %d: %s", status, error.message);
    we_buf_free(&buf);
    we_arena_free(&arena);
    return status == WE_OK;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    assert_true(survive_failures(write_once) >= 5);
    assert_int_equal(count_names(folder), 2);
}

/* ---- in a process of its own ---- */

typedef int child_fn(void);

/* The exit status of `work`, or 128 and the signal. */
static int in_child(child_fn *work)
{
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(work());
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int write_beyond_limit(void)
{
    struct rlimit limit = {1000, 1000};
    char data[4000] = {0};
    struct we_error error = {0};
    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        return 1;
    if (we_file_write(in("file"), we_str(data, sizeof data), &error) != WE_IO_ERROR || !strstr(error.message, "File too large"))
        return 2;
    return 0;
}

static void test_size_limit(void **state)
{
    (void)state;
    put("file", "old");
    assert_int_equal(in_child(write_beyond_limit), 0);
    assert_content("file", "old");
    assert_int_equal(count_names(folder), 1);
}

static int be_killed(void)
{
    struct we_file_writer writer;
    if (we_file_writer_begin(&writer, in("file"), NULL) != WE_OK || we_file_writer_write(&writer, "half", 4, NULL) != WE_OK)
        return 1;
    raise(SIGKILL);
    return 2;
}

/* What a killed process leaves is not under the name, and is in nobody's way. */
static void test_killed(void **state)
{
    (void)state;
    put("file", "old");
    assert_int_equal(in_child(be_killed), 128 + SIGKILL);
    assert_content("file", "old");
    assert_int_equal(count_names(folder), 2);
    char leftover[200];
    snprintf(leftover, sizeof leftover, "file.%ld.tmp", (long)getpid()); /* as if our number had been its */
    put(leftover, "left");
    assert_int_equal(we_file_write(in("file"), we_str_c("new"), NULL), WE_OK);
    assert_content("file", "new");
    assert_content(leftover, "left");
}

/* As a user without rights (the tests may run as root, who has all). */
static int use_without_rights(void)
{
    struct we_error error = {0};
    struct we_buf buf = {0};
    struct we_arena arena = {0};
    char **names;
    size_t count;
    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
        return 1;
    if (we_file_read(in("secret"), 0, &buf, &error) != WE_IO_ERROR || !strstr(error.message, "secret: Permission denied"))
        return 2;
    if (we_file_write(in("locked/file"), we_str_c("new"), &error) != WE_IO_ERROR ||
        !strstr(error.message, "cannot be written: Permission denied"))
        return 3;
    if (we_make_directories(in("locked/a/b"), &error) != WE_IO_ERROR ||
        !strstr(error.message, "locked/a: the folder cannot be made"))
        return 4;
    if (we_list_directory(in("closed"), &arena, &names, &count, &error) != WE_IO_ERROR ||
        !strstr(error.message, "Permission denied"))
        return 5;
    return 0;
}

static void test_rights(void **state)
{
    (void)state;
    put("secret", "x");
    assert_int_equal(chmod(in("secret"), 0), 0);
    assert_int_equal(mkdir(in("locked"), 0777), 0);
    put("locked/file", "old");
    assert_int_equal(chmod(in("locked"), 0555), 0);
    assert_int_equal(mkdir(in("closed"), 0), 0);
    assert_int_equal(in_child(use_without_rights), 0);
    assert_content("locked/file", "old");
    assert_int_equal(count_names(in("locked")), 1);
}

/* ---- readers while it is written ---- */

enum { VERSION_BYTES = 20000, VERSIONS = 100 };

static char shared_path[200]; /* in() is not made for threads */

static void *write_versions(void *error_count)
{
    char *data = malloc(VERSION_BYTES);
    for (int v = 0; data && v < VERSIONS; v++) {
        memset(data, 'a' + v % 26, VERSION_BYTES);
        if (we_file_write(shared_path, we_str(data, VERSION_BYTES), NULL) != WE_OK)
            ++*(int *)error_count;
    }
    free(data);
    return NULL;
}

static void test_atomic(void **state)
{
    (void)state;
    struct we_buf first = {0};
    for (int i = 0; i < VERSION_BYTES; i++)
        we_buf_append_byte(&first, 'a');
    snprintf(shared_path, sizeof shared_path, "%s/shared", folder);
    assert_int_equal(we_file_write(shared_path, we_buf_str(&first), NULL), WE_OK);
    we_buf_free(&first);
    pthread_t threads[2];
    int errors[2] = {0};
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_versions, &errors[i]), 0);
    for (int i = 0; i < 300; i++) {
        struct we_buf buf = {0};
        assert_int_equal(we_file_read(shared_path, 0, &buf, NULL), WE_OK);
        assert_int_equal(buf.length, VERSION_BYTES);
        for (size_t b = 1; b < buf.length; b++)
            if (buf.data[b] != buf.data[0])
                fail_msg("two versions in one file");
        we_buf_free(&buf);
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_true(errors[0] == 0 && errors[1] == 0);
    assert_int_equal(count_names(folder), 1);
}

/* ---- folders and paths ---- */

static void test_folders(void **state)
{
    (void)state;
    struct we_error error;
    struct we_arena arena = {0};
    char **names;
    size_t count;
    assert_int_equal(we_make_directories(in("a/b//c/"), &error), WE_OK);
    assert_int_equal(we_make_directories(in("a/b/c"), &error), WE_OK);
    assert_true(we_path_is_directory(in("a/b/c")));
    assert_int_equal(we_make_directories("/", &error), WE_OK);
    assert_message(&error, we_make_directories("", &error), WE_IO_ERROR, "the folder cannot be made");
    put("file", "x");
    assert_message(&error, we_make_directories(in("file"), &error), WE_IO_ERROR,
                   "file: the folder cannot be made: File exists");
    assert_message(&error, we_make_directories(in("file/x"), &error), WE_IO_ERROR, "file: the folder cannot be made");
    assert_int_equal(symlink("a", in("link")), 0);
    assert_int_equal(we_make_directories(in("link/d"), &error), WE_OK);
    assert_true(we_path_is_directory(in("a/d")));
    assert_int_equal(symlink("nowhere", in("dangling")), 0);
    assert_message(&error, we_make_directories(in("dangling/d"), &error), WE_IO_ERROR, "dangling: the folder cannot be made");

    for (int i = 0; i < 40; i++) {
        char name[16];
        snprintf(name, sizeof name, "a/%02d", 39 - i);
        put(name, "");
    }
    assert_int_equal(we_list_directory(in("a"), &arena, &names, &count, &error), WE_OK);
    assert_int_equal(count, 42);
    for (size_t i = 1; i < count; i++)
        assert_true(strcmp(names[i - 1], names[i]) < 0);
    assert_string_equal(names[41], "d");
    assert_int_equal(we_list_directory(in("a/d"), &arena, &names, &count, &error), WE_OK);
    assert_int_equal(count, 0);
    assert_int_equal(we_list_directory(in("absent"), &arena, &names, &count, &error), WE_NOT_FOUND);
    assert_int_equal(we_list_directory(in("file"), &arena, &names, &count, &error), WE_NOT_FOUND);
    we_arena_free(&arena);
}

static void test_paths(void **state)
{
    (void)state;
    struct we_arena arena = {0};
    static const char *const joins[][3] = {
        {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"a//", "b/c", "a/b/c"}, {"/", "b", "/b"},  {"//", "b", "/b"},
        {"", "b", "b"},    {"a", "/b", "/b"},  {"a", "", "a/"},         {".", "b", "./b"},
    };
    for (size_t i = 0; i < sizeof joins / sizeof *joins; i++)
        assert_string_equal(we_path_join(&arena, joins[i][0], joins[i][1]), joins[i][2]);
    assert_string_equal(we_path_base("a/b/c.txt"), "c.txt");
    assert_string_equal(we_path_base("c.txt"), "c.txt");
    assert_string_equal(we_path_base("a/"), "");
    we_arena_free(&arena);
}

/* A file is forgotten where its file system has another place for it, and nobody has it mapped. */
static void test_page_cache(void **state)
{
    (void)state;
    struct we_error error;
    uint64_t kept = 1, bytes = 0;
    static char data[1 << 20];
    memset(data, 7, sizeof data);
    assert_int_equal(we_file_write(in("dropped"), we_str(data, sizeof data), &error), WE_OK);
    assert_int_equal(we_page_cache_drop(in("dropped"), &kept, &bytes, &error), WE_OK);
    assert_int_equal(bytes, sizeof data);
    struct statfs system;
    assert_int_equal(statfs(in("dropped"), &system), 0);
    if (system.f_type == EXT4_SUPER_MAGIC)
        assert_true(kept < bytes / 4);
    assert_true(kept <= bytes);
    struct we_file_map map;
    assert_int_equal(we_file_map(in("dropped"), &map, &error), WE_OK);
    for (size_t i = 0; i < map.size; i++)
        assert_int_equal(((const char *)map.data)[i], 7);
    assert_int_equal(we_page_cache_drop(in("dropped"), &kept, &bytes, &error), WE_OK);
    assert_true(kept > bytes / 2); /* mapped, and so kept */
    we_file_unmap(&map);
    assert_int_equal(we_page_cache_drop(in("none"), &kept, &bytes, &error), WE_IO_ERROR);
    assert_non_null(strstr(error.message, "none"));
}

#define in_folder(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(test_read),       in_folder(test_no_file),        in_folder(test_write),         in_folder(test_writer),
        in_folder(test_write_over), in_folder(test_write_failures), in_folder(test_out_of_memory), in_folder(test_size_limit),
        in_folder(test_killed),     in_folder(test_rights),         in_folder(test_atomic),        in_folder(test_folders),
        in_folder(test_paths),      in_folder(test_page_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
