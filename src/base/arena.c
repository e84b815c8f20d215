#include "base/arena.h"

#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>

struct we_arena_chunk {
    struct we_arena_chunk *next;
    size_t size, used;
    alignas(16) unsigned char data[];
};

enum { CHUNK_SIZE = 64 * 1024 - 64 };

void we_arena_free(struct we_arena *arena)
{
    struct we_arena_chunk *chunk = arena->chunks;
    while (chunk) {
        struct we_arena_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
    arena->chunks = NULL;
    arena->used = 0;
}

void *we_arena_alloc(struct we_arena *arena, size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    size_t need = ((size ? size : 1) + 15) & ~(size_t)15;
    struct we_arena_chunk *chunk = arena->chunks;
    const bool large = need > CHUNK_SIZE / 4, fits = chunk && chunk->size - chunk->used >= need;
    /* What a full chunk has left at its end is no more to be had, and so counts as used. */
    const size_t lost = chunk && !fits && !large ? chunk->size - chunk->used : 0;
    if (arena->limit && (need > arena->limit || arena->used + lost > arena->limit - need))
        return NULL;
    if (!fits) {
        size_t capacity = large ? need : CHUNK_SIZE;
        struct we_arena_chunk *fresh = calloc(1, sizeof *fresh + capacity);
        if (fresh == NULL)
            return NULL;
        fresh->size = capacity;
        /* A large block goes behind the current chunk, which still has room. */
        if (chunk && large) {
            fresh->next = chunk->next;
            chunk->next = fresh;
        } else {
            fresh->next = chunk;
            arena->chunks = fresh;
        }
        chunk = fresh;
    }
    void *data = chunk->data + chunk->used;
    chunk->used += need;
    arena->used += need + lost;
    return data;
}

void *we_arena_array(struct we_arena *arena, size_t count, size_t size)
{
    if (size && count > SIZE_MAX / size)
        return NULL;
    return we_arena_alloc(arena, count * size);
}

char *we_arena_copy(struct we_arena *arena, struct we_str text)
{
    if (text.length > SIZE_MAX - 1)
        return NULL;
    char *copy = we_arena_alloc(arena, text.length + 1);
    if (copy && text.length)
        memcpy(copy, text.data, text.length);
    return copy;
}

char *we_arena_vformat(struct we_arena *arena, const char *format, va_list args)
{
    char text[2048];
    vsnprintf(text, sizeof text, format, args);
    text[we_utf8_valid_prefix(we_str_c(text))] = '\0';
    return we_arena_copy(arena, we_str_c(text));
}
