/* Files and folders. Paths are terminated strings. */
#ifndef WE_BASE_FS_H
#define WE_BASE_FS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

/* A file mapped read-only, or bytes on the heap where mapping is not possible. */
struct we_file_map {
    const void *data;
    size_t size;
    bool mapped;
};

/* WE_NOT_FOUND if there is none, WE_IO_ERROR otherwise. An empty file gives size 0 and a non-NULL pointer. */
we_status we_file_map(const char *path, struct we_file_map *map, struct we_error *error);
void we_file_unmap(struct we_file_map *map);
/* These bytes of a mapped file will not be read for now: the system may take their memory back. They are still there. */
void we_file_release(const void *data, size_t size);
/* The same, where the bytes are of a mapped file. */
void we_file_map_release(const struct we_file_map *map, const void *data, size_t size);

/* Reads a whole file into `buf`, at most `limit` bytes (0: 1 GiB); more is WE_INVALID_FORMAT. "-" is not special. */
we_status we_file_read(const char *path, size_t limit, struct we_buf *buf, struct we_error *error);

/* Writes to a temporary file beside `path`, syncs it, then renames: `path` is never half written. A file that is there
 * keeps its permissions, and a link to it stays a link. */
we_status we_file_write(const char *path, struct we_str data, struct we_error *error);

/* The same in pieces, for large files: begin, write..., then commit or abort (which removes the temporary file). */
struct we_file_writer {
    int fd;
    char *path, *temporary;
    uint64_t written, on_its_way; /* bytes; those that the disk has been asked to write */
};
we_status we_file_writer_begin(struct we_file_writer *writer, const char *path, struct we_error *error);
we_status we_file_writer_write(struct we_file_writer *writer, const void *data, size_t size, struct we_error *error);
we_status we_file_writer_commit(struct we_file_writer *writer, struct we_error *error);
void we_file_writer_abort(struct we_file_writer *writer); /* also after a commit, where it does nothing */

bool we_path_exists(const char *path);
bool we_path_is_directory(const char *path);
/* Size in bytes, following links; 0 if there is no such file. */
uint64_t we_path_size(const char *path);

/* Creates a folder and its parents; one that exists is fine. */
we_status we_make_directories(const char *path, struct we_error *error);

/* "a/b", in the arena; a second part that begins with '/' stands alone. NULL when memory is out. */
char *we_path_join(struct we_arena *arena, const char *a, const char *b);
/* What follows the last '/' of a path. */
const char *we_path_base(const char *path);

/* The names in a folder, without "." and "..", sorted by bytes, in the arena. */
we_status we_list_directory(const char *path, struct we_arena *arena, char ***names, size_t *count, struct we_error *error);

#endif
