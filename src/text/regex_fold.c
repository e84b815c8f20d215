#include "text/regex_fold.h"

#include "text/unicode.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

/* ---- characters that fold to several ---- */

/* Ends of the characters that fold to several, and of those that have case. */
enum { FOLDS_END = 0xFB18, CASED_END = 0x1E944 };

static bool has_case(uint32_t c)
{
    utf8proc_category_t k = we_unicode_category(c);
    return k == UTF8PROC_CATEGORY_LU || k == UTF8PROC_CATEGORY_LL || k == UTF8PROC_CATEGORY_LT ||
           utf8proc_tolower((utf8proc_int32_t)c) != (utf8proc_int32_t)c ||
           utf8proc_toupper((utf8proc_int32_t)c) != (utf8proc_int32_t)c;
}

void we_folds_find(struct we_folds *folds)
{
    const size_t most = sizeof folds->rows / sizeof folds->rows[0];
    if (folds->count)
        return;
    for (uint32_t c = 0x80; c < FOLDS_END && folds->count < most; c = c == 0xD7FF ? 0xE000 : c + 1) {
        utf8proc_int32_t to[4];
        utf8proc_ssize_t n = utf8proc_decompose_char((utf8proc_int32_t)c, to, 4, UTF8PROC_CASEFOLD, NULL);
        if (n != 2 && n != 3)
            continue;
        struct we_fold *row = &folds->rows[folds->count++];
        *row = (struct we_fold){.from = c, .count = (uint32_t)n};
        for (utf8proc_ssize_t i = 0; i < n; i++)
            row->to[i] = (uint32_t)to[i];
    }
}

/* All characters that have case, or fold to several, as a text. */
static void find_cased(struct we_folds *folds)
{
    if (folds->cased.length)
        return;
    for (uint32_t c = 0; c < CASED_END; c = c == 0xD7FF ? 0xE000 : c + 1)
        if (has_case(c))
            we_buf_append_utf8(&folds->cased, c);
    for (size_t i = 0; i < folds->count; i++)
        if (!has_case(folds->rows[i].from))
            we_buf_append_utf8(&folds->cased, folds->rows[i].from);
}

void we_folds_free(struct we_folds *folds)
{
    we_buf_free(&folds->cased);
}

static uint32_t fold_one(uint32_t c)
{
    utf8proc_int32_t to[4];
    return utf8proc_decompose_char((utf8proc_int32_t)c, to, 4, UTF8PROC_CASEFOLD, NULL) == 1 ? (uint32_t)to[0] : c;
}

static bool same_folds(const struct we_fold *a, const struct we_fold *b)
{
    return a->count == b->count && memcmp(a->to, b->to, a->count * sizeof a->to[0]) == 0;
}

static void put_point(struct we_buf *out, uint32_t c)
{
    we_buf_printf(out, "\\x{%X}", c);
}

/* [all characters that fold as `row` does] */
static void put_sources(const struct we_folds *folds, const struct we_fold *row, struct we_buf *out)
{
    we_buf_append_c(out, "[");
    for (size_t i = 0; i < folds->count; i++)
        if (same_folds(&folds->rows[i], row))
            put_point(out, folds->rows[i].from);
    we_buf_append_c(out, "]");
}

static void put_sequence(const struct we_fold *row, struct we_buf *out)
{
    for (uint32_t i = 0; i < row->count; i++)
        put_point(out, row->to[i]);
}

/* ---- literal text ---- */

static const struct we_fold *find_source(const struct we_folds *folds, uint32_t c)
{
    for (size_t i = 0; i < folds->count; i++)
        if (folds->rows[i].from == c)
            return &folds->rows[i];
    return NULL;
}

static bool begins_with(const uint32_t *run, size_t count, const struct we_fold *row)
{
    if (row->count > count)
        return false;
    for (uint32_t i = 0; i < row->count; i++)
        if (fold_one(run[i]) != row->to[i])
            return false;
    return true;
}

/* The row whose sequence `run` begins with, the longest; or NULL. */
static const struct we_fold *find_sequence(const struct we_folds *folds, const uint32_t *run, size_t count)
{
    const struct we_fold *found = NULL;
    for (size_t i = 0; i < folds->count; i++)
        if (begins_with(run, count, &folds->rows[i]) && (found == NULL || folds->rows[i].count > found->count))
            found = &folds->rows[i];
    return found;
}

/* From left to right: what is part of one sequence is not looked at for another. */
bool we_folds_put_run(const struct we_folds *folds, const uint32_t *run, size_t count, struct we_buf *out)
{
    for (size_t i = 0; i < count && !out->failed;) {
        const struct we_fold *row = find_source(folds, run[i]);
        size_t length = 1;
        if (row == NULL && (row = find_sequence(folds, run + i, count - i)) != NULL)
            length = row->count;
        if (row) {
            we_buf_append_c(out, "(?:");
            put_sources(folds, row, out);
            we_buf_append_c(out, "|");
            put_sequence(row, out);
            we_buf_append_c(out, ")");
        } else {
            put_point(out, run[i]);
        }
        i += length;
    }
    return !out->failed;
}

/* ---- classes ---- */

/* The characters with case that an expression matches, as a text. */
static we_status find_members(const struct we_folds *folds, struct we_str set, struct we_buf *members, struct we_error *error)
{
    int result = PCRE2_ERROR_HEAP_FAILED;
    PCRE2_SIZE offset, at = 0;
    struct we_str text = we_buf_str(&folds->cased);
    struct we_buf pattern = {0};
    pcre2_match_data *match = pcre2_match_data_create(1, NULL);
    pcre2_code *code = NULL;
    we_buf_append_c(&pattern, "(?:");
    we_buf_append(&pattern, set);
    we_buf_append_c(&pattern, ")++");
    if (match && !pattern.failed)
        code = pcre2_compile((PCRE2_SPTR)pattern.data, pattern.length, PCRE2_UTF | PCRE2_NO_UTF_CHECK, &result, &offset, NULL);
    while (code && at < text.length) {
        result = pcre2_match(code, (PCRE2_SPTR)text.data, text.length, at, PCRE2_NO_UTF_CHECK, match, NULL);
        if (result < 0)
            break;
        const PCRE2_SIZE *span = pcre2_get_ovector_pointer(match);
        we_buf_append(members, we_str(text.data + span[0], span[1] - span[0]));
        at = span[1];
    }
    bool out_of_memory =
        pattern.failed || members->failed || match == NULL || result == (code ? PCRE2_ERROR_NOMEMORY : PCRE2_ERROR_HEAP_FAILED);
    bool failed = code == NULL || (result < 0 && result != PCRE2_ERROR_NOMATCH);
    pcre2_code_free(code);
    pcre2_match_data_free(match);
    we_buf_free(&pattern);
    if (out_of_memory)
        return we_error_memory(error, "a regular expression");
    if (!failed)
        return WE_OK;
    char reason[200] = "";
    pcre2_get_error_message(result, (PCRE2_UCHAR *)reason, sizeof reason);
    return we_error_set(error, WE_UNSUPPORTED, "a class of a regular expression: %s", reason);
}

static bool is_member(struct we_str members, uint32_t c)
{
    char text[4];
    return we_str_find(members, we_str(text, we_utf8_encode(c, text)), 0) != SIZE_MAX;
}

/* Appends a class of the characters with case that are not in `members`, but whose other forms are. */
static we_status put_other_forms(const struct we_folds *folds, struct we_str members, struct we_buf *out,
                                 struct we_error *error)
{
    struct we_buf class = {0}, closed = {0};
    we_buf_append_c(&class, "(?i)[");
    for (size_t i = 0; i < members.length;)
        put_point(&class, we_unicode_next(members, &i));
    we_buf_append_c(&class, "]");
    we_status status =
        class.failed ? we_error_memory(error, "a regular expression") : find_members(folds, we_buf_str(&class), &closed, error);
    struct we_str all = we_buf_str(&closed);
    size_t i = 0, k = 0, start = out->length;
    while (status == WE_OK && i < all.length) { /* both texts have the order of the characters with case */
        size_t next = k;
        uint32_t c = we_unicode_next(all, &i);
        if (k < members.length && we_unicode_next(members, &next) == c) {
            k = next;
            continue;
        }
        we_buf_append_c(out, out->length == start ? "|[" : "");
        put_point(out, c);
    }
    we_buf_append_c(out, out->length == start ? "" : "]");
    we_buf_free(&class);
    we_buf_free(&closed);
    return status;
}

we_status we_folds_put_class(struct we_folds *folds, struct we_str set, bool negated, bool sequences, struct we_buf *out,
                             struct we_error *error)
{
    struct we_buf found = {0};
    find_cased(folds);
    we_status status = find_members(folds, set, &found, error);
    struct we_str members = we_buf_str(&found);
    we_buf_append_c(out, negated ? "(?:(?!(?-i:" : "(?:(?-i:");
    we_buf_append(out, set);
    if (status == WE_OK && members.length)
        status = put_other_forms(folds, members, out, error);
    we_buf_append_c(out, ")");
    for (uint32_t length = 2; status == WE_OK && length <= 3 && sequences && !negated; length++) {
        for (size_t i = 0; i < folds->count; i++) {
            if (folds->rows[i].count != length || !is_member(members, folds->rows[i].from))
                continue;
            we_buf_append_c(out, "|");
            put_sequence(&folds->rows[i], out);
        }
    }
    we_buf_append_c(out, negated ? ")(?s:.))" : ")");
    we_buf_free(&found);
    return status;
}
