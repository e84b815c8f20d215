/* Changing .env: which bytes change, what the result reads as, and the file on the disk under faults. */
#include "config/env_rewrite.h"

#include "base/fs.h"
#include "config/env.h"
#include "config/env_update.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
/* after those that it needs */
#include <cmocka.h>

#if defined(__linux__)
#include "failing_memory.h"
#endif

/* ---- bytes ---- */

static void test_bytes(void **state)
{
    (void)state;
    const struct {
        const char *before, *value, *after; /* A becomes `value` */
    } table[] = {
        {"", "1", "A=1\n"},
        {"B=2", "1", "B=2\nA=1\n"},
        {"B=2\n", "1", "B=2\nA=1\n"},
        {"B=2\r\n", "1", "B=2\r\nA=1\r\n"},
        {"B=2\r\nC=3", "1", "B=2\r\nC=3\r\nA=1\r\n"},
        {"\xEF\xBB\xBF", "1",
         "\xEF\xBB\xBF"
         "A=1\n"},
        {"# A=0\n", "1", "# A=0\nA=1\n"},
        {"A\n", "1", "A\nA=1\n"},
        {"A=0", "1", "A=1"},
        {"A=0\r\n", "1", "A=1\r\n"},
        {"A=0\nB=2\nA=3\nC=4\n", "1", "A=0\nB=2\nA=1\nC=4\n"},
        {"  export  A =  0  # why\nB\n", "1", "  export  A =  1  # why\nB\n"},
        {"A=\n", "1", "A=1\n"},
        {"A=   \n", "1", "A=1   \n"},
        {"A= # empty\n", "1", "A=1 # empty\n"},
        {"A=\"0\" # c\n", "1", "A=1 # c\n"},
        {"A=\"0\"# c\n", "1", "A='1'# c\n"},
        {"A='0\n0'\nB=2\n", "1", "A=1\nB=2\n"},
        {"A=0#0\n", "1", "A=1\n"},
        {"A=0\n", "", "A=\n"},
        {"A=0\n", "x y", "A=x y\n"},
        {"A=0\n", " x", "A=' x'\n"},
        {"A=0\n", "x ", "A='x '\n"},
        {"A=0\n", "x#y", "A='x#y'\n"},
        {"A=0\n", "${B}", "A='${B}'\n"},
        {"A=0\n", "$B", "A=$B\n"},
        {"A=0\n", "it's", "A=it's\n"},
        {"A=0\n", "'q'", "A=\"'q'\"\n"},
        {"A=0\n", "\"q\"", "A='\"q\"'\n"},
        {"A=0\n", "a\\b", "A=\"a\\\\b\"\n"},
        {"A=0\n", "a\nb\r", "A=\"a\\nb\\r\"\n"},
        {"A=0\n", "'${B}\"", "A=\"'\\${B}\\\"\"\n"},
        {"A=0\n", "\xC3\xA9\xE2\x82\xAC", "A=\xC3\xA9\xE2\x82\xAC\n"},
        {"A='1' # so it is\n", "1", "A='1' # so it is\n"}, /* as it was, however it is written */
        {"B=1\nA=${B}\n", "1", "B=1\nA=1\n"},              /* but not if it depends on another */
        {"A=0\nA", "1", "A=1\nA"},
        {"set -a\nA=0\n[x]\n", "1", "set -a\nA=1\n[x]\n"}, /* lines that cannot be read stay */
        {"B='x\nC=1", "it", "B='x\nC=1\nA=it\n"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct we_buf out = {0};
        struct we_error error = {0};
        struct we_env_change change = {"A", table[i].value};
        if (we_env_rewrite(we_str_c(table[i].before), ".env", &change, 1, &out, &error) != WE_OK)
            fail_msg("<%s>: %s", table[i].before, error.message);
        if (!we_str_equal_c(we_buf_str(&out), table[i].after))
            fail_msg("<%s>, A as <%s>: <%s>, but must be <%s>", table[i].before, table[i].value, out.data, table[i].after);
        struct we_env env;
        assert_int_equal(we_env_parse(we_buf_str(&out), ".env", NULL, NULL, &env, &error), WE_OK);
        assert_string_equal(we_env_get(&env, "A")->value, table[i].value);
        we_env_free(&env);
        we_buf_free(&out);
    }
}

static void test_several(void **state)
{
    (void)state;
    struct we_env_change changes[] = {{"B", "2"}, {"A", "1"}, {"C", "3"}, {"B", "4"}};
    struct we_buf out = {0};
    struct we_error error;
    assert_int_equal(we_env_rewrite(we_str_c("# x\nA=0\n\nB=0 # b\n"), ".env", changes, 4, &out, &error), WE_OK);
    assert_string_equal(out.data, "# x\nA=1\n\nB=4 # b\nC=3\n");
    we_buf_free(&out);
}

static void refuse(const char *text, const char *name, const char *value, we_status expected, const char *needle)
{
    struct we_env_change change = {name, value};
    struct we_buf out = {0};
    struct we_error error = {0};
    assert_int_equal(we_env_rewrite(we_str_c(text), "x/.env", &change, 1, &out, &error), expected);
    if (strstr(error.message, needle) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", error.message, needle);
    assert_int_equal(out.length, 0);
    we_buf_free(&out);
}

static void test_refusals(void **state)
{
    (void)state;
    refuse("!\n", "A", "1", WE_INVALID_FORMAT, "x/.env:1: ");
    refuse("B=1\nexport A: 2\n", "A", "1", WE_INVALID_FORMAT, "x/.env:2: ");
    refuse("B=1\nA=1\nA='2\n", "A", "3", WE_INVALID_FORMAT, "x/.env:3: the quote (') is never closed");
    refuse("C='x\nB=1\n", "A", "x'", WE_INVALID_FORMAT,
           "x/.env:1: the quote (') is never closed"); /* it would close there */
    refuse("", "", "1", WE_INVALID_ARGUMENT, "no name");
    refuse("", "9", "1", WE_INVALID_ARGUMENT, "no name");
    refuse("", "A B", "1", WE_INVALID_ARGUMENT, "no name");
    refuse("", "A=", "1", WE_INVALID_ARGUMENT, "no name");
    char *large = malloc(WE_ENV_MAX_VALUE + 2);
    memset(large, 'x', WE_ENV_MAX_VALUE + 1);
    large[WE_ENV_MAX_VALUE + 1] = '\0';
    refuse("", "A", large, WE_INVALID_ARGUMENT, "longer than");
    large[WE_ENV_MAX_VALUE] = '\0';
    struct we_buf text = {0};
    while (text.length < (size_t)WE_ENV_MAX_FILE - 100)
        we_buf_append_c(&text, "# a comment\n");
    refuse(text.data, "A", large, WE_INVALID_FORMAT, "larger than"); /* what could not be read again */
    we_buf_free(&text);
    free(large);
}

/* ---- files ---- */

static char folder[] = "/tmp/we-rewrite-XXXXXX";

static const char *in(const char *name)
{
    static char paths[4][128];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/we-rewrite-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "chmod -R u+w '%s' && rm -rf '%s'", folder, folder);
    return system(command) != 0;
}

static void put(const char *name, const char *text, mode_t mode)
{
    struct we_error error;
    assert_int_equal(we_file_write(in(name), we_str_c(text), &error), WE_OK);
    assert_int_equal(chmod(in(name), mode), 0);
}

static void assert_file(const char *name, const char *text, mode_t mode)
{
    struct we_buf buf = {0};
    struct stat st;
    assert_int_equal(we_file_read(in(name), 0, &buf, NULL), WE_OK);
    assert_true(we_str_equal_c(we_buf_str(&buf), text));
    we_buf_free(&buf);
    assert_int_equal(stat(in(name), &st), 0);
    assert_int_equal(st.st_mode & 0777, mode);
}

static size_t count_names(void)
{
    struct we_arena arena = {0};
    char **names;
    size_t count;
    assert_int_equal(we_list_directory(folder, &arena, &names, &count, NULL), WE_OK);
    we_arena_free(&arena);
    return count;
}

static const struct we_env_change to_one[] = {{"A", "1"}};

static we_status update(const char *name, struct we_error *error)
{
    struct we_env_updated done;
    we_status status = we_env_update(in(name), to_one, 1, &done, error);
    we_env_updated_clear(&done);
    return status;
}

static void test_file(void **state)
{
    (void)state;
    struct we_error error;
    struct we_env_updated done;
    put(".env", "A=0 # secret\nB=2\n", 0640);
    put(".env.backup", "older", 0666);
    assert_int_equal(we_env_update(in(".env"), to_one, 1, &done, &error), WE_OK);
    assert_true(done.changed);
    assert_non_null(strstr(done.backup, "/.env.backup"));
    we_env_updated_clear(&done);
    assert_file(".env", "A=1 # secret\nB=2\n", 0640);
    assert_file(".env.backup", "A=0 # secret\nB=2\n", 0640); /* as secret as the file itself */
    assert_int_equal(we_env_update(in(".env"), to_one, 1, &done, &error), WE_OK);
    assert_false(done.changed);
    we_env_updated_clear(&done);
    assert_file(".env.backup", "A=0 # secret\nB=2\n", 0640); /* nothing changed: it stays */
    assert_int_equal(count_names(), 2);
}

static void test_no_file_yet(void **state)
{
    (void)state;
    struct we_error error;
    struct we_env_updated done;
    assert_int_equal(we_env_update(in(".env"), to_one, 1, &done, &error), WE_OK);
    assert_true(done.changed && done.backup == NULL);
    we_env_updated_clear(&done);
    assert_file(".env", "A=1\n", 0600);
    assert_int_equal(count_names(), 1);
    put("empty", "", 0644);
    assert_int_equal(update("empty", &error), WE_OK);
    assert_file("empty", "A=1\n", 0644);
    assert_file("empty.backup", "", 0644);
}

static void test_links(void **state)
{
    (void)state;
    struct we_error error;
    struct stat st;
    assert_int_equal(mkdir(in("shared"), 0755), 0);
    put("shared/settings", "A=0\n", 0604);
    assert_int_equal(symlink("shared/settings", in("middle")), 0);
    assert_int_equal(symlink("middle", in(".env")), 0);
    assert_int_equal(update(".env", &error), WE_OK);
    assert_int_equal(lstat(in(".env"), &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_file("shared/settings", "A=1\n", 0604);
    assert_file("shared/settings.backup", "A=0\n", 0604);
    assert_int_equal(symlink("nowhere", in("dangling")), 0);
    assert_int_equal(update("dangling", &error), WE_IO_ERROR);
    assert_non_null(strstr(error.message, "a link to a file that is not there"));
    assert_int_equal(symlink("circle", in("circle")), 0);
    assert_int_equal(update("circle", &error), WE_IO_ERROR);
    assert_int_equal(update("shared", &error), WE_INVALID_FORMAT);
    assert_non_null(strstr(error.message, "a directory"));
}

static void test_backup_that_cannot_be_made(void **state)
{
    (void)state;
    struct we_error error;
    put(".env", "A=0\n", 0600);
    assert_int_equal(mkdir(in(".env.backup"), 0755), 0);
    assert_int_equal(update(".env", &error), WE_IO_ERROR);
    assert_non_null(strstr(error.message, "nothing was changed, because the backup failed"));
    assert_file(".env", "A=0\n", 0600);
    assert_int_equal(count_names(), 2);
}

static void test_read_only_folder(void **state)
{
    (void)state;
    struct we_error error = {0};
    put(".env", "A=0\n", 0666);
    assert_int_equal(chmod(folder, 0555), 0);
    pid_t child = fork(); /* root may write everywhere, so as somebody else */
    if (child == 0) {
        if (geteuid() == 0 && setuid(65534) != 0)
            _exit(2);
        bool said = update(".env", &error) == WE_IO_ERROR && strstr(error.message, "Permission denied");
        said = said && update("new", &error) == WE_IO_ERROR && strstr(error.message, "Permission denied");
        _exit(said ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(status, 0);
    assert_file(".env", "A=0\n", 0666);
    assert_int_equal(count_names(), 1);
}

/* Processes that each change a variable of their own, again and again: no change is lost. */
static void test_many_at_once(void **state)
{
    (void)state;
    enum { PROCESSES = 6, TURNS = 12 };
    pid_t children[PROCESSES];
    for (int i = 0; i < PROCESSES; i++)
        if ((children[i] = fork()) == 0) {
            char name[16], value[16];
            struct we_env_change change = {name, value};
            bool ok = true;
            snprintf(name, sizeof name, "V%d", i);
            for (int turn = 1; turn <= TURNS; turn++) {
                struct we_env_updated done;
                struct we_error error;
                snprintf(value, sizeof value, "%d", turn);
                ok = ok && we_env_update(in(".env"), &change, 1, &done, &error) == WE_OK;
                we_env_updated_clear(&done);
            }
            _exit(!ok);
        }
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    struct we_env env;
    struct we_error error;
    assert_int_equal(we_env_read(in(".env"), NULL, NULL, &env, &error), WE_OK);
    assert_int_equal(env.count, PROCESSES);
    for (size_t i = 0; i < env.count; i++)
        assert_string_equal(env.entries[i].value, "12");
    we_env_free(&env);
    assert_int_equal(count_names(), 2);
}

#if defined(__linux__)

/* ---- calls that fail ---- */

enum call { CALL_NONE, CALL_WRITE, CALL_FSYNC, CALL_RENAME, CALL_FCHMOD };
static enum call failing_call;
static int calls_before;           /* that succeed before the one that fails */
static void (*before_fsync)(void); /* what another program does meanwhile */

ssize_t __real_write(int fd, const void *data, size_t size);
int __real_fsync(int fd);
int __real_rename(const char *from, const char *to);
int __real_fchmod(int fd, mode_t mode);
ssize_t __wrap_write(int fd, const void *data, size_t size);
int __wrap_fsync(int fd);
int __wrap_rename(const char *from, const char *to);
int __wrap_fchmod(int fd, mode_t mode);

static bool refuses(enum call call)
{
    if (failing_call != call || calls_before-- != 0)
        return false;
    errno = call == CALL_WRITE ? ENOSPC : EIO;
    return true;
}

ssize_t __wrap_write(int fd, const void *data, size_t size)
{
    return refuses(CALL_WRITE) ? -1 : __real_write(fd, data, size);
}

int __wrap_fsync(int fd)
{
    if (before_fsync)
        before_fsync();
    return refuses(CALL_FSYNC) ? -1 : __real_fsync(fd);
}

int __wrap_rename(const char *from, const char *to)
{
    return refuses(CALL_RENAME) ? -1 : __real_rename(from, to);
}

int __wrap_fchmod(int fd, mode_t mode)
{
    return refuses(CALL_FCHMOD) ? -1 : __real_fchmod(fd, mode);
}

/* A full disk at every place where it can be met: an error in words, the file as it was, nothing left behind. */
static void test_every_failing_call(void **state)
{
    (void)state;
    const char *const words[] = {NULL, "No space left", "Input/output error", "Input/output error", "Input/output error"};
    for (int call = CALL_WRITE; call <= CALL_FCHMOD; call++) {
        int failures = 0;
        for (int n = 0; n < 8; n++) {
            struct we_error error = {0};
            put(".env", "A=0\n", 0600);
            unlink(in(".env.backup"));
            failing_call = (enum call)call;
            calls_before = n;
            we_status status = update(".env", &error);
            failing_call = CALL_NONE;
            if (status == WE_OK) {
                assert_file(".env", "A=1\n", 0600);
                continue;
            }
            failures++;
            assert_int_equal(status, WE_IO_ERROR);
            assert_non_null(strstr(error.message, words[call]));
            assert_file(".env", "A=0\n", 0600);
            assert_true(count_names() <= 2);
            assert_int_equal(access(in(".env.backup"), F_OK) == 0 ? 2 : 1, count_names());
        }
        assert_true(failures >= 2); /* for the file and for the backup */
    }
}

static int meddle_left;
static void meddle(void)
{
    if (meddle_left-- <= 0)
        return;
    before_fsync = NULL; /* this write is none of ours */
    char text[64];
    snprintf(text, sizeof text, "A=0\nEDITED=%d\n", meddle_left);
    put(".env", text, 0600);
    before_fsync = meddle;
}

static void test_an_editor_saves_meanwhile(void **state)
{
    (void)state;
    struct we_error error;
    put(".env", "A=0\n", 0600);
    meddle_left = 3;
    before_fsync = meddle;
    assert_int_equal(update(".env", &error), WE_OK);
    before_fsync = NULL;
    assert_file(".env", "A=1\nEDITED=0\n", 0600);
    assert_file(".env.backup", "A=0\nEDITED=0\n", 0600);
    meddle_left = 1000;
    put(".env", "A=0\n", 0600);
    before_fsync = meddle;
    assert_int_equal(update(".env", &error), WE_IO_ERROR);
    before_fsync = NULL;
    assert_non_null(strstr(error.message, "keeps writing it"));
    assert_int_equal(count_names(), 2);
}

static bool update_some(void)
{
    struct we_error error = {0};
    struct we_buf text = {0};
    we_status status = update(".env", &error);
    if (status != WE_OK && (status != WE_OUT_OF_MEMORY || strstr(error.message, "out of memory") == NULL))
        abort();
    long countdown = memory_countdown;
    memory_countdown = -1;
    if (we_file_read(in(".env"), 0, &text, NULL) != WE_OK || strncmp(text.data, status == WE_OK ? "A=1" : "A=0", 3) != 0)
        abort();
    we_buf_free(&text);
    put(".env", "A=0\nB='two # words'\n", 0600);
    memory_countdown = countdown;
    return status == WE_OK;
}

static void test_memory_runs_out(void **state)
{
    (void)state;
    put(".env", "A=0\nB='two # words'\n", 0600);
    assert_true(survive_failures(update_some) >= 8);
    assert_int_equal(count_names(), 2);
}
#endif

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_several),
        cmocka_unit_test(test_refusals),
        IN_FOLDER(test_file),
        IN_FOLDER(test_no_file_yet),
        IN_FOLDER(test_links),
        IN_FOLDER(test_backup_that_cannot_be_made),
        IN_FOLDER(test_read_only_folder),
        IN_FOLDER(test_many_at_once),
#if defined(__linux__)
        IN_FOLDER(test_every_failing_call),
        IN_FOLDER(test_an_editor_saves_meanwhile),
        IN_FOLDER(test_memory_runs_out),
#endif
    };
    return cmocka_run_group_tests_name("env_rewrite", tests, NULL, NULL);
}
