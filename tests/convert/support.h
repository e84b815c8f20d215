/* A folder for each test, and the tiny models of make_gguf_models.py. */
#ifndef TESTS_CONVERT_SUPPORT_H
#define TESTS_CONVERT_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fs.h"
#include "convert/convert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char test_folder[64];

static inline int make_folder(void **state)
{
    (void)state;
    snprintf(test_folder, sizeof test_folder, "/tmp/we-convert-XXXXXX");
    return mkdtemp(test_folder) ? 0 : -1;
}

static inline int remove_folder(void **state)
{
    (void)state;
    char command[160];
    snprintf(command, sizeof command, "chmod -R u+rwx %s && rm -rf %s", test_folder, test_folder);
    return system(command);
}

/* The path of a name in the folder; valid until the next call but seven. */
static inline const char *in_folder(const char *name)
{
    static char paths[8][400];
    static int next;
    char *path = paths[next++ & 7];
    snprintf(path, sizeof paths[0], "%s/%s", test_folder, name);
    return path;
}

static inline const char *model_file(const char *name)
{
    static char paths[8][400];
    static int next;
    char *path = paths[next++ & 7];
    snprintf(path, sizeof paths[0], "%s/models/%s.gguf", TEST_DATA, name);
    return path;
}

/* How many names there are in the folder, hidden ones too. */
static inline size_t count_names(void)
{
    struct we_arena arena = {0};
    char **names;
    size_t count;
    assert_int_equal(we_list_directory(test_folder, &arena, &names, &count, NULL), WE_OK);
    we_arena_free(&arena);
    return count;
}

static inline void assert_message(we_status status, const struct we_error *error, we_status expected, const char *needle)
{
    if (status != expected || (expected != WE_OK && (error->status != expected || strstr(error->message, needle) == NULL)))
        fail_msg("status %d (%d), where %d and '%s' were expected: %s", status, error->status, expected, needle,
                 status == WE_OK ? "" : error->message);
}

#endif
