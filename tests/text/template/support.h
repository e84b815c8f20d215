/* Golden files and a fixed clock for the tests of templates. */
#ifndef TEMPLATE_SUPPORT_H
#define TEMPLATE_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/json.h"

struct golden {
    struct we_arena arena;
    struct we_json *tree;
};

/* cmocka's setup of a group: *state becomes the golden file of TEST_DATA, parsed. */
int golden_read(void **state, const char *name);
int golden_free(void **state);

/* A member that must be there. */
const struct we_json *golden_get(const struct we_json *object, const char *key);

/* What time() tells from now on: seconds since 1970. Local time is UTC. */
void set_clock(int64_t now);

/* Prints both where they begin to differ. */
void print_difference(const char *what, struct we_str expected, struct we_str found);

#endif
