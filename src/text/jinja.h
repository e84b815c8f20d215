/* Jinja templates as chat templates use them: transformers' sandboxed environment with trim_blocks, lstrip_blocks
 * and loop controls. A template is immutable and may be shared by threads; a rendering is bounded in memory, depth and
 * steps, so that a hostile template ends with an error. */
#ifndef WE_TEXT_JINJA_H
#define WE_TEXT_JINJA_H

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"

struct we_jinja; /* opaque */

/* Errors name template, line and column; a construct that is not supported is named. `source` is copied. */
we_status we_jinja_parse(struct we_str source, const char *name, struct we_jinja **jinja, struct we_error *error);
void we_jinja_free(struct we_jinja *jinja);

struct we_jinja_limits {
    size_t memory; /* bytes; 0: 64 MiB */
    uint64_t steps; /* evaluated nodes; 0: a number that takes less than a second */
    int64_t now;   /* seconds since 1970 for strftime_now; 0: the clock's */
};

/* Renders with the members of `variables` (a JSON object) as global variables. WE_TEMPLATE_ERROR if the template
 * raises: the message holds its text. */
we_status we_jinja_render(const struct we_jinja *jinja, const struct we_json *variables, const struct we_jinja_limits *limits,
                          struct we_buf *out, struct we_error *error);

#endif
