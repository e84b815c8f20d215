#if defined(__linux__)
#define _GNU_SOURCE /* sync_file_range */
#endif
#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static we_status open_error(struct we_error *error, int errnum, const char *path)
{
    return we_error_errno(error, errnum == ENOENT || errnum == ENOTDIR ? WE_NOT_FOUND : WE_IO_ERROR, errnum, "%s", path);
}

/* Opens a regular file (folders and devices are refused) and tells its size. */
static we_status open_regular(const char *path, int *fd, size_t *size, struct we_error *error)
{
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); /* a pipe's end must not be waited for */
    if (*fd < 0)
        return open_error(error, errno, path);
    struct stat st;
    if (fstat(*fd, &st) != 0) {
        int errnum = errno;
        close(*fd);
        return we_error_errno(error, WE_IO_ERROR, errnum, "%s", path);
    }
    if (!S_ISREG(st.st_mode)) {
        close(*fd);
        return we_error_set(error, WE_INVALID_FORMAT, "%s: %s, where a file was expected", path,
                            S_ISDIR(st.st_mode) ? "a directory" : "no regular file");
    }
    *size = (size_t)st.st_size;
    return WE_OK;
}

we_status we_file_map(const char *path, struct we_file_map *map, struct we_error *error)
{
    *map = (struct we_file_map){.data = ""};
    int fd = -1;
    size_t size = 0;
    we_status status = open_regular(path, &fd, &size, error);
    if (status != WE_OK)
        return status;
    if (size) {
        void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED) {
            status = we_error_errno(error, errno == ENOMEM ? WE_OUT_OF_MEMORY : WE_IO_ERROR, errno, "%s: cannot be mapped", path);
        } else {
#if defined(MADV_HUGEPAGE)
            /* What is not in the page cache yet is read in large pages, which spare half the misses of the TLB later. */
            madvise(data, size, MADV_HUGEPAGE);
#endif
            *map = (struct we_file_map){data, size, true};
        }
    }
    close(fd);
    return status;
}

void we_file_unmap(struct we_file_map *map)
{
    if (map->mapped)
        munmap((void *)map->data, map->size);
    *map = (struct we_file_map){.data = ""};
}

void we_file_release(const void *data, size_t size)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t start = ((uintptr_t)data + page - 1) / page * page, end = ((uintptr_t)data + size) / page * page;
    if (end > start)
        (void)madvise((void *)start, end - start, MADV_DONTNEED);
}

void we_file_map_release(const struct we_file_map *map, const void *data, size_t size)
{
    if (map->mapped)
        we_file_release(data, size);
}

we_status we_file_read(const char *path, size_t limit, struct we_buf *buf, struct we_error *error)
{
    int fd = -1;
    size_t size = 0;
    we_status status = open_regular(path, &fd, &size, error);
    if (status != WE_OK)
        return status;
    if (limit == 0)
        limit = (size_t)1 << 30;
    for (;;) {
        if (size > limit) {
            status = we_error_set(error, WE_INVALID_FORMAT, "%s: larger than the %zu bytes that such a file may have", path, limit);
            break;
        }
        if (!we_buf_reserve(buf, size + 1)) {
            status = we_error_memory(error, path);
            break;
        }
        ssize_t n = read(fd, buf->data + buf->length, buf->capacity - buf->length - 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            status = we_error_errno(error, WE_IO_ERROR, errno, "%s", path);
            break;
        }
        if (n == 0)
            break;
        buf->length += (size_t)n;
        buf->data[buf->length] = '\0';
        if (buf->length > limit) {
            size = buf->length;
            continue;
        }
        size = limit < 4096 ? limit : 4096; /* it may have grown since */
    }
    close(fd);
    return status;
}

/* Opens a new file beside the path: another thread, or a process that died, may have left one of the first names. */
static we_status open_temporary(struct we_file_writer *w, struct we_error *error)
{
    size_t size = strlen(w->path) + 48;
    w->temporary = malloc(size);
    if (w->temporary == NULL)
        return we_error_memory(error, "a path");
    for (int i = 0; w->fd < 0 && i < 1000; i++) {
        if (i == 0)
            snprintf(w->temporary, size, "%s.%ld.tmp", w->path, (long)getpid());
        else
            snprintf(w->temporary, size, "%s.%ld-%d.tmp", w->path, (long)getpid(), i);
        w->fd = open(w->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (w->fd < 0 && errno != EEXIST)
            break;
    }
    if (w->fd >= 0)
        return WE_OK;
    we_status status = we_error_errno(error, WE_IO_ERROR, errno, "%s: cannot be written", w->temporary);
    free(w->temporary); /* it is not ours to remove */
    w->temporary = NULL;
    return status;
}

we_status we_file_writer_begin(struct we_file_writer *w, const char *path, struct we_error *error)
{
    *w = (struct we_file_writer){.fd = -1};
    struct stat old;
    bool replaces = stat(path, &old) == 0;
    if (replaces && !S_ISREG(old.st_mode))
        return we_error_set(error, WE_IO_ERROR, "%s: %s, where a file is to be written", path,
                            S_ISDIR(old.st_mode) ? "a directory" : "no regular file");
    w->path = replaces ? realpath(path, NULL) : strdup(path); /* a link stays, and leads to the new file */
    we_status status = WE_OK;
    if (w->path)
        status = open_temporary(w, error);
    else if (replaces && errno != ENOMEM)
        status = we_error_errno(error, WE_IO_ERROR, errno, "%s: cannot be written", path);
    else
        status = we_error_memory(error, "a path");
    if (status == WE_OK && replaces)
        (void)fchmod(w->fd, old.st_mode & 0777);
    if (status != WE_OK)
        we_file_writer_abort(w);
    return status;
}

we_status we_file_writer_write(struct we_file_writer *w, const void *data, size_t size, struct we_error *error)
{
    enum { EARLY = 8 << 20 };
    const char *p = data;
    while (size) {
        ssize_t n = write(w->fd, p, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return we_error_errno(error, WE_IO_ERROR, errno, "%s: writing failed", w->temporary);
        p += n;
        size -= (size_t)n;
        w->written += (uint64_t)n;
    }
#if defined(__linux__)
    /* The disk begins with what is there, so that the sync at the end has less to wait for. */
    if (w->written - w->on_its_way >= EARLY) {
        (void)sync_file_range(w->fd, (off_t)w->on_its_way, (off_t)(w->written - w->on_its_way), SYNC_FILE_RANGE_WRITE);
        w->on_its_way = w->written;
    }
#else
    (void)EARLY;
#endif
    return WE_OK;
}

/* Syncs the folder, so that the new name is on the disk too. Not every file system can; that is no error. */
static void sync_parent(const char *path)
{
    char *copy = strdup(path);
    if (copy == NULL)
        return;
    char *slash = strrchr(copy, '/');
    if (slash)
        slash[slash == copy] = '\0';
    int fd = open(slash ? copy : ".", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    free(copy);
}

we_status we_file_writer_commit(struct we_file_writer *w, struct we_error *error)
{
    we_status status = WE_OK;
    if (fsync(w->fd) != 0 && errno != EINVAL && errno != ENOTSUP)
        status = we_error_errno(error, WE_IO_ERROR, errno, "%s: syncing failed", w->temporary);
    if (close(w->fd) != 0 && status == WE_OK)
        status = we_error_errno(error, WE_IO_ERROR, errno, "%s: closing failed", w->temporary);
    w->fd = -1;
    if (status == WE_OK && rename(w->temporary, w->path) != 0)
        status = we_error_errno(error, WE_IO_ERROR, errno, "%s: cannot be renamed to %s", w->temporary, w->path);
    if (status == WE_OK) {
        sync_parent(w->path);
        free(w->temporary);
        w->temporary = NULL;
    }
    we_file_writer_abort(w);
    return status;
}

void we_file_writer_abort(struct we_file_writer *w)
{
    if (w->path == NULL && w->temporary == NULL)
        return;
    if (w->fd >= 0)
        close(w->fd);
    if (w->temporary)
        unlink(w->temporary);
    free(w->temporary);
    free(w->path);
    *w = (struct we_file_writer){.fd = -1};
}

we_status we_file_write(const char *path, struct we_str data, struct we_error *error)
{
    struct we_file_writer writer;
    we_status status = we_file_writer_begin(&writer, path, error);
    if (status == WE_OK)
        status = we_file_writer_write(&writer, data.data, data.length, error);
    if (status == WE_OK)
        status = we_file_writer_commit(&writer, error);
    we_file_writer_abort(&writer);
    return status;
}

bool we_path_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

bool we_path_is_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

uint64_t we_path_size(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && st.st_size > 0 ? (uint64_t)st.st_size : 0;
}

we_status we_make_directories(const char *path, struct we_error *error)
{
    char *copy = strdup(path);
    if (copy == NULL)
        return we_error_memory(error, "a path");
    we_status status = WE_OK;
    for (char *p = copy + (copy[0] != '\0'); status == WE_OK; p++) {
        if (*p != '/' && *p != '\0')
            continue;
        char end = *p;
        *p = '\0';
        if (mkdir(copy, 0777) != 0 && (errno != EEXIST || !we_path_is_directory(copy)))
            status = we_error_errno(error, WE_IO_ERROR, errno, "%s: the folder cannot be made", copy);
        *p = end;
        if (end == '\0')
            break;
    }
    free(copy);
    return status;
}

char *we_path_join(struct we_arena *arena, const char *a, const char *b)
{
    if (b[0] == '/' || a[0] == '\0')
        return we_arena_copy(arena, we_str_c(b));
    size_t n = strlen(a), m = strlen(b);
    while (n > 1 && a[n - 1] == '/')
        n--;
    char *path = we_arena_alloc(arena, n + m + 2);
    if (path) {
        memcpy(path, a, n);
        path[n] = '/';
        memcpy(path + n + (a[n - 1] != '/'), b, m + 1);
    }
    return path;
}

const char *we_path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

we_status we_list_directory(const char *path, struct we_arena *arena, char ***names, size_t *count, struct we_error *error)
{
    *names = NULL;
    *count = 0;
    DIR *dir = opendir(path);
    if (dir == NULL)
        return open_error(error, errno, path);
    we_status status = WE_OK;
    char **list = NULL;
    size_t n = 0, capacity = 0;
    struct dirent *entry;
    while (status == WE_OK && (entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (n == capacity) {
            capacity = capacity ? capacity * 2 : 16;
            char **more = realloc(list, capacity * sizeof *list);
            if (more == NULL) {
                status = we_error_memory(error, path);
                break;
            }
            list = more;
        }
        list[n] = we_arena_copy(arena, we_str_c(entry->d_name));
        if (list[n++] == NULL)
            status = we_error_memory(error, path);
    }
    closedir(dir);
    if (status == WE_OK && n) {
        qsort(list, n, sizeof *list, compare_names);
        *names = we_arena_array(arena, n, sizeof **names);
        if (*names == NULL)
            status = we_error_memory(error, path);
        else
            memcpy(*names, list, n * sizeof *list);
    }
    *count = status == WE_OK ? n : 0;
    free(list);
    return status;
}
