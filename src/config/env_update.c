#include "config/env_update.h"

#include "base/fs.h"
#include "config/env.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_TRIES = 20 }; /* while another program saves the file again and again */

/* The file behind links; *exists says whether it is there. A link that leads nowhere is an error: what takes its place would
 * not be what the link means. */
static we_status resolve(const char *path, char **file, bool *exists, struct we_error *error)
{
    struct stat st;
    *exists = stat(path, &st) == 0;
    if (!*exists && errno != ENOENT)
        return we_error_errno(error, WE_IO_ERROR, errno, "%s", path);
    if (!*exists && lstat(path, &st) == 0)
        return we_error_set(error, WE_IO_ERROR,
                            "%s is a link to a file that is not there\nmake that file, or remove the link, and try again",
                            path);
    *file = *exists ? realpath(path, NULL) : strdup(path);
    if (*file)
        return WE_OK;
    return errno == ENOMEM ? we_error_memory(error, "a path") : we_error_errno(error, WE_IO_ERROR, errno, "%s", path);
}

/* Other updates wait here until ours has ended. Not every file system can lock a folder; then the comparison before the rename
 * has to do. */
static int lock_folder(const char *file)
{
    char *folder = strdup(file);
    if (folder == NULL)
        return -1;
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = '\0';
    int fd = open(slash ? folder : ".", O_RDONLY | O_CLOEXEC | O_DIRECTORY);
    free(folder);
    while (fd >= 0 && flock(fd, LOCK_EX) != 0 && errno == EINTR)
        continue;
    return fd;
}

/* Writes beside the file, up to the last step. `like`: whose permissions and owner it gets; NULL: for its owner alone. */
static we_status prepare(struct we_file_writer *writer, const char *file, struct we_str text, const struct stat *like,
                         struct we_error *error)
{
    we_status status = we_file_writer_begin(writer, file, error);
    if (status != WE_OK)
        return status;
    if (fchmod(writer->fd, 0600) != 0)
        status = we_error_errno(error, WE_IO_ERROR, errno, "%s: its permissions cannot be set", file);
    if (status == WE_OK)
        status = we_file_writer_write(writer, text.data, text.length, error);
    if (status == WE_OK && like) {
        if ((like->st_uid != geteuid() || like->st_gid != getegid()) && fchown(writer->fd, like->st_uid, like->st_gid) != 0)
            errno = 0; /* only root can, and then it should; another group may not be given away */
        if (fchmod(writer->fd, like->st_mode & 0777) != 0)
            status = we_error_errno(error, WE_IO_ERROR, errno, "%s: its permissions cannot be set", file);
    }
    if (status != WE_OK)
        we_file_writer_abort(writer);
    return status;
}

static we_status read_now(const char *file, bool exists, struct we_buf *text, struct we_error *error)
{
    struct we_error problem;
    we_buf_clear(text);
    we_status status = we_file_read(file, WE_ENV_MAX_FILE, text, &problem);
    if (status == WE_NOT_FOUND && !exists)
        return WE_OK;
    if (status != WE_OK && error)
        *error = problem;
    return status;
}

/* True: the file still holds `text` (or is still not there). */
static bool is_unchanged(const char *file, bool exists, struct we_str text)
{
    struct we_buf now = {0};
    bool there = we_path_exists(file);
    bool same = there == exists && read_now(file, exists, &now, NULL) == WE_OK && we_str_equal(we_buf_str(&now), text);
    we_buf_free(&now);
    return same;
}

/* One attempt; *again: another program wrote the file meanwhile. */
static we_status update_once(const char *path, const char *file, bool exists, const struct we_env_change *changes, size_t count,
                             struct we_env_updated *done, bool *again, struct we_error *error)
{
    struct we_buf old = {0}, new = {0};
    struct we_file_writer writer = {.fd = -1}, backup = {.fd = -1};
    struct stat st;
    *again = false;
    we_status status = read_now(file, exists, &old, error);
    if (status == WE_OK && exists && stat(file, &st) != 0)
        status = we_error_errno(error, WE_IO_ERROR, errno, "%s", file);
    if (status == WE_OK)
        status = we_env_rewrite(we_buf_str(&old), path, changes, count, &new, error);
    if (status != WE_OK || we_str_equal(we_buf_str(&old), we_buf_str(&new)))
        goto done;
    status = prepare(&writer, file, we_buf_str(&new), exists ? &st : NULL, error);
    if (status == WE_OK && exists) {
        status = prepare(&backup, done->backup, we_buf_str(&old), &st, error);
        if (status == WE_OK)
            status = we_file_writer_commit(&backup, error);
        if (status != WE_OK)
            we_error_prefix(error, "nothing was changed, because the backup failed");
    }
    if (status != WE_OK)
        goto done;
    *again = !is_unchanged(file, exists, we_buf_str(&old));
    if (!*again)
        status = we_file_writer_commit(&writer, error);
    done->changed = status == WE_OK && !*again;
done:
    we_file_writer_abort(&writer);
    we_file_writer_abort(&backup);
    we_buf_free(&old);
    we_buf_free(&new);
    return status;
}

we_status we_env_update(const char *path, const struct we_env_change *changes, size_t count, struct we_env_updated *done,
                        struct we_error *error)
{
    *done = (struct we_env_updated){0};
    bool exists = false, again = true;
    we_status status = resolve(path, &done->file, &exists, error);
    int lock = status == WE_OK ? lock_folder(done->file) : -1;
    struct we_buf backup = {0};
    for (int i = 0; status == WE_OK && again; i++) {
        if (i == MOST_TRIES) {
            status = we_error_set(error, WE_IO_ERROR, "%s: another program keeps writing it; nothing was changed", path);
            break;
        }
        exists = we_path_exists(done->file); /* another update may have made it meanwhile */
        if (exists && done->backup == NULL) {
            we_buf_printf(&backup, "%s.backup", done->file);
            done->backup = we_buf_take(&backup);
            if (done->backup == NULL)
                status = we_error_memory(error, "a path");
        }
        if (status == WE_OK)
            status = update_once(path, done->file, exists, changes, count, done, &again, error);
    }
    if (lock >= 0)
        close(lock);
    if (status != WE_OK)
        we_env_updated_clear(done);
    return status;
}

void we_env_updated_clear(struct we_env_updated *done)
{
    free(done->file);
    free(done->backup);
    *done = (struct we_env_updated){0};
}
