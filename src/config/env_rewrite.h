/* Changing variables of a .env file: the value of a line is replaced where it stands, and every other byte stays as it is. */
#ifndef WE_CONFIG_ENV_REWRITE_H
#define WE_CONFIG_ENV_REWRITE_H

#include "base/buf.h"
#include "base/error.h"

struct we_env_change {
    const char *name, *value;
};

/* Appends `text` with the changes to `out`. The line that counts (the last one of that name) gets the value, quoted if it must
 * be; `export`, blanks and comments around it stay. A variable that is not there comes at the end, in a line that ends as the
 * others do. Reading the result gives exactly the values of the changes, and as many others as before. Lines that cannot be
 * read stay too. WE_INVALID_FORMAT ("PATH:LINE: ..."): the text is none that can be read, or such a line is of that name, or
 * would swallow the change; WE_INVALID_ARGUMENT: a name or value that no line can hold. */
we_status we_env_rewrite(struct we_str text, const char *path, const struct we_env_change *changes, size_t count,
                         struct we_buf *out, struct we_error *error);

#endif
