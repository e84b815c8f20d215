/* A directory is built beside its final place, under a name that is the same each time, so that the next run finds what an
 * interrupted one has left. A lock on it tells a leftover from the work of a process that still runs. */
#include "convert/convert.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static we_status remove_folder(const char *path, int depth, struct we_error *error);

/* A link to a folder is none. */
static bool is_folder(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Removes what is in a directory; `depth` levels of folders, as many as we make. */
static we_status empty_directory(const char *path, int depth, struct we_error *error)
{
    struct we_arena arena = {0};
    char **names;
    size_t count;
    we_status status = we_list_directory(path, &arena, &names, &count, error);
    for (size_t i = 0; i < count && status == WE_OK; i++) {
        char *file = we_path_join(&arena, path, names[i]);
        if (file == NULL)
            status = we_error_memory(error, path);
        else if (depth > 0 && is_folder(file))
            status = remove_folder(file, depth - 1, error);
        else if (unlink(file) != 0 && errno != ENOENT)
            status = we_error_errno(error, WE_IO_ERROR, errno, "%s: it is in the way and cannot be removed", file);
    }
    we_arena_free(&arena);
    return status;
}

static we_status remove_folder(const char *path, int depth, struct we_error *error)
{
    we_status status = empty_directory(path, depth, error);
    if (status == WE_OK && rmdir(path) != 0)
        status = we_error_errno(error, WE_IO_ERROR, errno, "%s: it is in the way and cannot be removed", path);
    return status;
}

/* Opens and locks the temporary directory; it must still be the one of that name when we have the lock. */
static we_status lock_directory(struct we_output *o, struct we_error *error)
{
    if (mkdir(o->temporary, 0777) != 0 && errno != EEXIST)
        return we_error_errno(error, WE_IO_ERROR, errno, "%s: the folder cannot be made", o->temporary);
    o->lock = open(o->temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (o->lock < 0)
        return we_error_errno(error, WE_IO_ERROR, errno, "%s: it is in the way", o->temporary);
    struct stat ours, there;
    if (flock(o->lock, LOCK_EX | LOCK_NB) != 0 || fstat(o->lock, &ours) != 0 || lstat(o->temporary, &there) != 0 ||
        ours.st_ino != there.st_ino || ours.st_dev != there.st_dev) {
        close(o->lock);
        o->lock = -1;
        return we_error_set(error, WE_IO_ERROR, "%s: another conversion is writing it at this moment", o->path);
    }
    return WE_OK;
}

static we_status make_names(struct we_output *o, const char *path, struct we_error *error)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    o->path = strndup(path, length);
    o->temporary = malloc(length + 16);
    if (o->path == NULL || o->temporary == NULL)
        return we_error_memory(error, path);
    const char *name = we_path_base(o->path);
    if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return we_error_set(error, WE_INVALID_ARGUMENT, "'%s' names no new directory", path);
    snprintf(o->temporary, length + 16, "%.*s.%s.part", (int)(name - o->path), o->path, name);
    return WE_OK;
}

static we_status make_parent(const struct we_output *o, struct we_error *error)
{
    size_t length = (size_t)(we_path_base(o->path) - o->path);
    if (length <= 1)
        return WE_OK;
    char *parent = strndup(o->path, length - 1);
    if (parent == NULL)
        return we_error_memory(error, o->path);
    we_status status = we_make_directories(parent, error);
    free(parent);
    return status;
}

static we_status refuse_existing(const struct we_output *o, struct we_error *error)
{
    struct stat st;
    if (lstat(o->path, &st) != 0)
        return WE_OK;
    return we_error_set(error, WE_INVALID_ARGUMENT, "%s: it exists already; remove it, or choose another name", o->path);
}

we_status we_output_begin(struct we_output *o, const char *path, struct we_error *error)
{
    *o = (struct we_output){.lock = -1};
    we_status status = make_names(o, path, error);
    if (status == WE_OK)
        status = refuse_existing(o, error);
    if (status == WE_OK)
        status = make_parent(o, error);
    if (status == WE_OK)
        status = lock_directory(o, error);
    if (status == WE_OK)
        status = empty_directory(o->temporary, 1, error);
    if (status != WE_OK)
        we_output_abort(o);
    return status;
}

we_status we_output_check_space(const struct we_output *o, uint64_t bytes, struct we_error *error)
{
    struct statvfs fs;
    if (statvfs(o->temporary, &fs) != 0 || fs.f_blocks == 0)
        return WE_OK; /* unknown: writing will tell */
    uint64_t free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (free_bytes >= bytes)
        return WE_OK;
    char need[24], there[24];
    return we_error_set(error, WE_IO_ERROR, "%s: %s are needed, but only %s are free on the disk", o->path,
                        we_bytes_text(bytes, need), we_bytes_text(free_bytes, there));
}

/* The folder that holds the new one: its entry must be on the disk too. Not every file system can; that is no error. */
static void sync_parent(const struct we_output *o)
{
    size_t length = (size_t)(we_path_base(o->path) - o->path);
    char *parent = length > 1 ? strndup(o->path, length - 1) : strdup(length ? "/" : ".");
    int fd = parent ? open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    free(parent);
}

we_status we_output_commit(struct we_output *o, struct we_error *error)
{
    if (fsync(o->lock) != 0 && errno != EINVAL && errno != ENOTSUP)
        return we_error_errno(error, WE_IO_ERROR, errno, "%s: syncing failed", o->temporary);
    we_status status = refuse_existing(o, error); /* rename would take the place of an empty directory */
    if (status != WE_OK)
        return status;
    if (rename(o->temporary, o->path) != 0)
        return we_error_errno(error, WE_IO_ERROR, errno, "%s: cannot be renamed to %s", o->temporary, o->path);
    sync_parent(o);
    close(o->lock);
    o->lock = -1;
    return WE_OK;
}

void we_output_abort(struct we_output *o)
{
    if (o->lock >= 0) {
        (void)empty_directory(o->temporary, 1, NULL);
        (void)rmdir(o->temporary);
        close(o->lock);
    }
    free(o->path);
    free(o->temporary);
    *o = (struct we_output){.lock = -1};
}
