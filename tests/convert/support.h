/* The tiny models of make_gguf_models.py. */
#ifndef WE_TESTS_CONVERT_SUPPORT_H
#define WE_TESTS_CONVERT_SUPPORT_H

#include "test_files.h"

#include "convert/convert.h"

static inline const char *model_file(const char *name)
{
    static char paths[8][400];
    static int next;
    char *path = paths[next++ & 7];
    snprintf(path, sizeof paths[0], "%s/models/%s.gguf", TEST_DATA, name);
    return path;
}

#endif
