/* The tiny models of make_gguf_models.py. */
#ifndef WE_TESTS_CONVERT_SUPPORT_H
#define WE_TESTS_CONVERT_SUPPORT_H

#include "test_files.h"

#include "convert/convert.h"

#include <signal.h>

static inline const char *model_file(const char *name)
{
    static char paths[8][400];
    static int next;
    char *path = paths[next++ & 7];
    snprintf(path, sizeof paths[0], "%s/models/%s.gguf", TEST_DATA, name);
    return path;
}

/* Reports of progress that end a conversion, and the process. */
static inline bool stop_half_way(void *context, uint64_t done, uint64_t total)
{
    (void)context;
    return done < total / 2;
}

static inline bool kill_half_way(void *context, uint64_t done, uint64_t total)
{
    (void)context;
    if (done >= total / 2)
        raise(SIGKILL);
    return true;
}

#endif
