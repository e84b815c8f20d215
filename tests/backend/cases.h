/* A whole test takes long on a processor that is emulated: with WE_TEST_EVERY=n it takes every n-th of its cases. */
#ifndef TESTS_BACKEND_CASES_H
#define TESTS_BACKEND_CASES_H

#include <stdbool.h>
#include <stdlib.h>

/* Whether the next case is one of them; the first always is. */
static inline bool next_case(void)
{
    static unsigned long count;
    const char *text = getenv("WE_TEST_EVERY");
    unsigned long every = text ? strtoul(text, NULL, 10) : 1;
    return count++ % (every ? every : 1) == 0;
}

#endif
