#include "base/page_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__linux__)

enum { WINDOW_PAGES = 1 << 16 };

/* Pages of a part of the file that are in memory. */
static int count_pages(int fd, off_t at, size_t bytes, size_t page, unsigned char *in_memory, uint64_t *count)
{
    void *data = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE, fd, at); /* reads nothing */
    if (data == MAP_FAILED)
        return errno;
    int errnum = mincore(data, bytes, in_memory) == 0 ? 0 : errno;
    for (size_t i = 0; errnum == 0 && i < (bytes + page - 1) / page; i++)
        *count += in_memory[i] & 1;
    munmap(data, bytes);
    return errnum;
}

we_status we_page_cache_drop(const char *path, uint64_t *kept_bytes, uint64_t *file_bytes, struct we_error *error)
{
    *kept_bytes = *file_bytes = 0;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *in_memory = malloc(WINDOW_PAGES);
    if (in_memory == NULL)
        return we_error_memory(error, "a map of pages");
    struct stat st;
    uint64_t pages = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    int errnum = fd < 0 || fstat(fd, &st) != 0 ? errno : 0;
    if (errnum == 0 && S_ISREG(st.st_mode)) {
        (void)fdatasync(fd); /* a page that is not on the disk yet cannot be forgotten */
        errnum = posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        for (off_t at = 0; errnum == 0 && at < st.st_size; at += (off_t)(WINDOW_PAGES * page)) {
            const uint64_t rest = (uint64_t)(st.st_size - at), window = WINDOW_PAGES * page;
            errnum = count_pages(fd, at, (size_t)(rest < window ? rest : window), page, in_memory, &pages);
        }
        *file_bytes = (uint64_t)st.st_size;
        *kept_bytes = pages * page < *file_bytes ? pages * page : *file_bytes;
    }
    if (fd >= 0)
        close(fd);
    free(in_memory);
    return errnum ? we_error_errno(error, WE_IO_ERROR, errnum, "%s: cannot be dropped from the page cache", path) : WE_OK;
}

#else

we_status we_page_cache_drop(const char *path, uint64_t *kept_bytes, uint64_t *file_bytes, struct we_error *error)
{
    *kept_bytes = *file_bytes = 0;
    return we_error_set(error, WE_UNSUPPORTED, "%s: this system has no call that drops a file from memory", path);
}

#endif
