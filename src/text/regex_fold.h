/* Ignoring case as Oniguruma does it, where PCRE2 does less: a class is closed under case as a whole, properties and
 * intersections included, and a character whose case folding is several ones ("ß", "ﬁ") is the same as those. For
 * regex_syntax.c. */
#ifndef WE_TEXT_REGEX_FOLD_H
#define WE_TEXT_REGEX_FOLD_H

#include "base/buf.h"
#include "base/error.h"

/* A character that folds to several. */
struct we_fold {
    uint32_t from, to[3], count;
};

struct we_folds {
    struct we_fold rows[128];
    size_t count;
    struct we_buf cased; /* found when first needed */
};
/* Finds the rows; starts with {0}, and does nothing the second time. */
void we_folds_find(struct we_folds *folds);
void we_folds_free(struct we_folds *folds);

/* Appends what matches the characters of `run`, one after the other, where case does not count. */
bool we_folds_put_run(const struct we_folds *folds, const uint32_t *run, size_t count, struct we_buf *out);

/* Appends what matches a class where case does not count. `set` is an expression of PCRE2 for one character, of the class
 * before it is negated, and where case counts. sequences: also with what some of its characters fold to. */
we_status we_folds_put_class(struct we_folds *folds, struct we_str set, bool negated, bool sequences, struct we_buf *out,
                             struct we_error *error);

#endif
