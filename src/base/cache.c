#include "base/cache.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { ABANDONED = 3600 /* seconds after which a temporary file is no one's any more */ };

/* NULL: there is none, or memory is out. */
static char *folder(struct we_arena *arena)
{
    const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (base && base[0] == '/')
        return we_path_join(arena, base, "whisperengine");
    return home && home[0] == '/' ? we_path_join(arena, home, ".cache/whisperengine") : NULL;
}

static bool read_all(int fd, char *data, size_t size)
{
    while (size) {
        ssize_t n = read(fd, data, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        data += n;
        size -= (size_t)n;
    }
    return true;
}

bool we_cache_read(const char *name, size_t limit, void **data, size_t *size)
{
    struct we_arena arena = {0};
    struct stat st;
    const char *directory = folder(&arena), *path = directory ? we_path_join(&arena, directory, name) : NULL;
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) : -1;
    *data = NULL;
    *size = 0;
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
        !(st.st_mode & (S_IWGRP | S_IWOTH)) && st.st_size > 0 && (uintmax_t)st.st_size <= limit) {
        *size = (size_t)st.st_size;
        *data = malloc(*size);
        if (*data && !read_all(fd, *data, *size)) {
            free(*data);
            *data = NULL;
        }
        (void)futimens(fd, NULL); /* when it was used last */
    }
    if (fd >= 0)
        close(fd);
    we_arena_free(&arena);
    return *data != NULL;
}

static bool write_all(int fd, struct we_str data)
{
    while (data.length) {
        ssize_t n = write(fd, data.data, data.length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        data = we_str(data.data + n, data.length - (size_t)n);
    }
    return true;
}

struct kept {
    const char *path;
    struct timespec used;
};

static int compare_used(const void *a, const void *b)
{
    const struct kept *x = a, *y = b;
    if (x->used.tv_sec != y->used.tv_sec)
        return x->used.tv_sec > y->used.tv_sec ? -1 : 1;
    return x->used.tv_nsec > y->used.tv_nsec ? -1 : x->used.tv_nsec < y->used.tv_nsec;
}

static struct timespec changed(const struct stat *st)
{
#ifdef __APPLE__
    return st->st_mtimespec;
#else
    return st->st_mtim;
#endif
}

/* Removes what is over `most` of a kind, and temporary files that someone left behind. */
static void prune(struct we_arena *arena, const char *directory, const char *name, size_t most)
{
    char **names;
    size_t count, n = 0;
    if (we_list_directory(directory, arena, &names, &count, NULL) != WE_OK)
        return;
    struct kept *kept = we_arena_array(arena, count, sizeof *kept);
    for (size_t i = 0; kept && i < count; i++) {
        struct stat st;
        const char *path = we_path_join(arena, directory, names[i]);
        if (strncmp(names[i], name, strcspn(name, "-") + 1) != 0 || path == NULL || stat(path, &st) != 0)
            continue;
        if (strstr(names[i], ".new-") == NULL)
            kept[n++] = (struct kept){path, changed(&st)};
        else if (time(NULL) - st.st_mtime > ABANDONED)
            unlink(path);
    }
    if (kept && n > most) {
        qsort(kept, n, sizeof *kept, compare_used);
        for (size_t i = most; i < n; i++)
            unlink(kept[i].path);
    }
}

void we_cache_write(const char *name, struct we_str data, size_t most)
{
    struct we_arena arena = {0};
    const char *directory = folder(&arena), *path = directory ? we_path_join(&arena, directory, name) : NULL;
    char *temporary = path ? we_arena_alloc(&arena, strlen(path) + 16) : NULL;
    if (temporary && we_make_directories(directory, NULL) == WE_OK) {
        strcat(strcpy(temporary, path), ".new-XXXXXX");
        int fd = mkstemp(temporary);
        if (fd >= 0) {
            bool ok = write_all(fd, data); /* not synced: a file that a crash cut short is known by its contents */
            ok = close(fd) == 0 && ok;
            if (!ok || rename(temporary, path) != 0)
                unlink(temporary);
            prune(&arena, directory, name, most);
        }
    }
    we_arena_free(&arena);
}
