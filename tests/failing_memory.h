/* Allocation failures by injection: include this in one file of a test that is linked with
 * -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup (Linux), and run a piece of work once for each allocation. */
#ifndef WE_TESTS_FAILING_MEMORY_H
#define WE_TESTS_FAILING_MEMORY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static long memory_countdown = -1;    /* allocations until one fails; -1: none does */
static size_t memory_most = SIZE_MAX; /* larger allocations fail, too */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *data, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *data, size_t size);
char *__wrap_strdup(const char *text);

static bool memory_fails(void)
{
    return memory_countdown >= 0 && memory_countdown-- == 0;
}

void *__wrap_malloc(size_t size)
{
    return memory_fails() || size > memory_most ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return memory_fails() || (size && count > memory_most / size) ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *data, size_t size)
{
    return memory_fails() || size > memory_most ? NULL : __real_realloc(data, size);
}

char *__wrap_strdup(const char *text)
{
    return memory_fails() ? NULL : __real_strdup(text);
}

/* Lets the n-th allocation fail, for n = 0, 1, 2, ... until `work` gets through without meeting it. `work` returns true
 * when it succeeded, and must have cleaned up. Returns how many failures it survived, -1 if it never got through. */
static long survive_failures(bool (*work)(void))
{
    for (long n = 0; n < 100000; n++) {
        memory_countdown = n;
        bool done = work();
        bool met = memory_countdown == -1;
        memory_countdown = -1;
        if (!met)
            return done ? n : -1;
    }
    return -1;
}

#endif
