/* Files that can be made again, in the user's cache folder: $XDG_CACHE_HOME/whisperengine, or ~/.cache/whisperengine. Where
 * there is none, or it cannot be written, nothing is kept, and nobody is told. */
#ifndef WE_BASE_CACHE_H
#define WE_BASE_CACHE_H

#include "base/str.h"

/* Reads a whole file, if it is there, is the user's own and no one else can write it. *data is the caller's (free), aligned as
 * malloc does it. */
bool we_cache_read(const char *name, size_t limit, void **data, size_t *size);

/* Writes a file under a temporary name, then renames it. Of the files whose names begin as `name` does up to its first '-',
 * only the `most` that were used last are kept. */
void we_cache_write(const char *name, struct we_str data, size_t most);

#endif
