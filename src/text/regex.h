/* Regular expressions as tokenizer.json means them: Oniguruma's Ruby syntax over UTF-8, run by PCRE2. */
#ifndef WE_TEXT_REGEX_H
#define WE_TEXT_REGEX_H

#include "base/buf.h"
#include "base/error.h"

struct we_regex; /* opaque; immutable, may be shared by threads */

/* WE_UNSUPPORTED names what PCRE2 has no form for; WE_INVALID_FORMAT says what is malformed. */
we_status we_regex_compile(struct we_str pattern, struct we_regex **regex, struct we_error *error);
void we_regex_free(struct we_regex *regex);

/* What matching needs, for one thread; made when first used. Starts as {0}. */
struct we_regex_state {
    void *match_data, *context, *stack;
};
void we_regex_state_free(struct we_regex_state *state);

/* The matches in a text, from left to right. An empty match right behind the last one is passed over. */
struct we_regex_scan {
    const struct we_regex *regex;
    struct we_regex_state *state;
    struct we_str text; /* valid UTF-8 */
    size_t at, last_end;
    bool matched;
};
void we_regex_scan_begin(struct we_regex_scan *scan, const struct we_regex *regex, struct we_regex_state *state,
                         struct we_str text);
/* *found tells whether there is a further match; it goes from *start to *end. Errors: out of memory, or a match that
 * would take too long. */
we_status we_regex_scan_next(struct we_regex_scan *scan, bool *found, size_t *start, size_t *end, struct we_error *error);

/* Appends PCRE2's form of a pattern (for UTF mode, multi-line, without UCP). For regex.c and its tests. */
we_status we_regex_translate(struct we_str pattern, struct we_buf *out, struct we_error *error);

#endif
