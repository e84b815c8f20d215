/* Jinja templates as chat templates use them: transformers' sandboxed environment with trim_blocks, lstrip_blocks
 * and loop controls. A template is immutable and may be shared by threads; a rendering is bounded in memory, depth and
 * steps, so that a hostile template ends with an error. */
#ifndef WE_TEXT_JINJA_H
#define WE_TEXT_JINJA_H

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"

/* The bounds of what nobody has looked at: a model's template, and what it does with a request. A template and its rendering
 * take less than 64 MB and, also on a slow machine, less than a second. Of the real templates that
 * we know the longest has 17 kB, and with a conversation of 200 turns and 1 MB none takes more than 300,000 steps and 5 MB. */
enum {
    WE_JINJA_MOST_SOURCE = 256 << 10, /* bytes of a template */
    WE_JINJA_TREE_MEMORY = 24000000,  /* bytes that it may take once it is read */
    WE_JINJA_MEMORY = 60000000, /* bytes, the template's among them; the rest of the 64 MB is stack and what is not counted */
    WE_JINJA_STEPS = 5000000,   /* of 5 to 40 ns each, of a core of 2020 */
    /* For each byte of a request, whose values a template may copy, and walk through, several times. */
    WE_JINJA_MEMORY_PER_BYTE = 16,
    WE_JINJA_STEPS_PER_BYTE = 4,
};

struct we_jinja; /* opaque */

/* Errors name template, line and column; a construct that is not supported is named. `source` is copied. */
we_status we_jinja_parse(struct we_str source, const char *name, struct we_jinja **jinja, struct we_error *error);
void we_jinja_free(struct we_jinja *jinja);

/* What a rendering took; also where it failed. */
struct we_jinja_use {
    uint64_t steps;
    size_t memory; /* bytes: of the template, of the values, and of the text at its end */
};

struct we_jinja_limits {
    size_t memory;  /* bytes; 0: WE_JINJA_MEMORY */
    uint64_t steps; /* evaluated nodes; 0: WE_JINJA_STEPS */
    int64_t now;   /* seconds since 1970 for strftime_now; 0: the clock's */
    struct we_jinja_use *use; /* NULL, or where it is written */
};

/* Renders with the members of `variables` (a JSON object) as global variables. WE_TEMPLATE_ERROR if the template
 * raises: the message holds its text. */
we_status we_jinja_render(const struct we_jinja *jinja, const struct we_json *variables, const struct we_jinja_limits *limits,
                          struct we_buf *out, struct we_error *error);

#endif
