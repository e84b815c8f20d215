/* The named sets of characters of Oniguruma, as items of a PCRE2 class. For regex_syntax.c. */
#ifndef WE_TEXT_REGEX_SETS_H
#define WE_TEXT_REGEX_SETS_H

#include "base/buf.h"
#include "base/error.h"

/* \p{NAME}: case, spaces, '_' and '-' do not matter. Appends class items; *inverse: the set is all but these. */
we_status we_regex_property(struct we_str name, struct we_buf *items, bool *inverse, struct we_error *error);
/* [:NAME:], which is not always \p{NAME}. */
we_status we_regex_posix_set(struct we_str name, struct we_buf *items, bool *inverse, struct we_error *error);

#endif
