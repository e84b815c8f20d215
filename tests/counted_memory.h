/* Counts the bytes that are allocated: include this in one file of a test that is linked with
 * -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup,--wrap=free (Linux). */
#ifndef WE_TESTS_COUNTED_MEMORY_H
#define WE_TESTS_COUNTED_MEMORY_H

#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>

static atomic_size_t memory_now, memory_peak; /* bytes, as large as the allocator really made them */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *data, size_t size);
char *__real_strdup(const char *text);
void __real_free(void *data);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *data, size_t size);
char *__wrap_strdup(const char *text);
void __wrap_free(void *data);

/* Begins to count anew: what there is, in bytes. */
static size_t memory_from_now(void)
{
    memory_peak = memory_now;
    return memory_now;
}

/* The most that there was since. */
static size_t memory_most(void)
{
    return memory_peak;
}

static void *memory_count(void *data)
{
    size_t now = atomic_fetch_add(&memory_now, malloc_usable_size(data)) + malloc_usable_size(data);
    if (now > memory_peak) /* two threads at once may miss one another's peak: the tests use one */
        memory_peak = now;
    return data;
}

void *__wrap_malloc(size_t size)
{
    return memory_count(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return memory_count(__real_calloc(count, size));
}

void *__wrap_realloc(void *data, size_t size)
{
    size_t before = malloc_usable_size(data);
    /* Where the block moves, both exist for a moment. */
    void *moved = memory_count(__real_realloc(data, size));
    if (moved)
        atomic_fetch_sub(&memory_now, before);
    return moved;
}

char *__wrap_strdup(const char *text)
{
    return memory_count(__real_strdup(text));
}

void __wrap_free(void *data)
{
    atomic_fetch_sub(&memory_now, malloc_usable_size(data));
    __real_free(data);
}

#endif
