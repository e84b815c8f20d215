/* Memory that is released all at once: one arena for a model, one for a request. */
#ifndef WE_BASE_ARENA_H
#define WE_BASE_ARENA_H

#include "base/error.h"
#include "base/str.h"

#include <stdarg.h>

struct we_arena_chunk;

/* Starts as {0}. */
struct we_arena {
    struct we_arena_chunk *chunks;
    size_t used;  /* bytes handed out or left over at ends of chunks, for the limit and for reports */
    size_t limit; /* most bytes; 0: no limit */
};

void we_arena_free(struct we_arena *arena);

/* Zeroed, aligned to 16 bytes; NULL when memory is out or the limit is passed. Size 0 gives a valid pointer. */
void *we_arena_alloc(struct we_arena *arena, size_t size);

/* count * size, checked for overflow. */
void *we_arena_array(struct we_arena *arena, size_t count, size_t size);

/* A terminated copy. */
char *we_arena_copy(struct we_arena *arena, struct we_str text);

/* As vsnprintf has it, cut at a whole character where it is longer than 2047 bytes. */
char *we_arena_vformat(struct we_arena *arena, const char *format, va_list args) WE_PRINTF(2, 0);

#endif
