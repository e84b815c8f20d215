#include "store/lock.h"

#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Is the open file still the one of that name? Whoever held it before may have removed it. */
static bool is_current(int fd, const char *path)
{
    struct stat mine, there;
    return fstat(fd, &mine) == 0 && stat(path, &there) == 0 && mine.st_dev == there.st_dev && mine.st_ino == there.st_ino;
}

we_status we_lock_take(struct we_lock *lock, const char *path, void (*on_wait)(void *), bool (*go_on)(void *), void *context,
                       struct we_error *error)
{
    bool waited = false;
    *lock = (struct we_lock){.fd = -1, .path = strdup(path)};
    if (lock->path == NULL)
        return we_error_memory(error, path);
    for (;;) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (fd < 0)
            return we_error_errno(error, WE_IO_ERROR, errno, "%s cannot be written", path);
        int errnum = flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
        if (errnum == 0 && is_current(fd, path)) {
            lock->fd = fd;
            return WE_OK;
        }
        close(fd);
        if (errnum == 0)
            continue;
        if (errnum != EWOULDBLOCK && errnum != EINTR)
            return we_error_errno(error, WE_IO_ERROR, errnum, "%s cannot be locked", path);
        if (!waited && on_wait)
            on_wait(context);
        waited = true;
        if (go_on && !go_on(context))
            return we_error_set(error, WE_CANCELLED, "stopped");
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
}

void we_lock_release(struct we_lock *lock)
{
    if (lock->path && lock->fd >= 0) {
        unlink(lock->path);
        close(lock->fd);
    }
    free(lock->path);
    *lock = (struct we_lock){.fd = -1};
}

char *we_model_lock_path(const char *mlx, const char *name, struct we_arena *arena)
{
    struct we_buf path = {0};
    const char *slash = strrchr(name, '/');
    we_buf_printf(&path, "%s/%.*s.%s.lock", mlx, slash ? (int)(slash - name) + 1 : 0, name, slash ? slash + 1 : name);
    char *copy = path.failed ? NULL : we_arena_copy(arena, we_buf_str(&path));
    we_buf_free(&path);
    return copy;
}
