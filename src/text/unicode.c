#include "text/unicode.h"

#include "text/unicode_tables.h"

#include <stdlib.h>

/* Index of the row whose range holds c, or SIZE_MAX; rows are sorted and begin with {first, last}. */
static size_t find_row(const void *rows, size_t count, size_t size, uint32_t c)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        uint32_t range[2];
        memcpy(range, (const char *)rows + middle * size, sizeof range);
        if (c < range[0])
            high = middle;
        else if (c > range[1])
            low = middle + 1;
        else
            return middle;
    }
    return SIZE_MAX;
}

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define FIND(table, c) ((c) < (table)[0].first ? SIZE_MAX : find_row(table, COUNT(table), sizeof((table)[0]), c))

utf8proc_category_t we_unicode_category(uint32_t c)
{
    size_t row = FIND(unicode_added, c);
    return row != SIZE_MAX ? (utf8proc_category_t)unicode_added[row].category : utf8proc_category((utf8proc_int32_t)c);
}

bool we_unicode_each_added(we_unicode_visit *visit, void *context)
{
    for (size_t i = 0; i < COUNT(unicode_added); i++)
        if (!visit(context, unicode_added[i].first, unicode_added[i].last, (utf8proc_category_t)unicode_added[i].category))
            return false;
    return true;
}

bool we_unicode_is_space(uint32_t c)
{
    if (c < 0x80)
        return c == ' ' || (c >= 9 && c <= 13);
    return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
           c == 0x205F || c == 0x3000;
}

bool we_unicode_is_word(uint32_t c)
{
    if (c < 0x80)
        return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || c == '_' || (c >= 'a' && c <= 'z');
    switch (we_unicode_category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
        return true;
    default: /* join controls, and symbols that are alphabetic */
        return c == 0x200C || c == 0x200D || (c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) ||
               (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189);
    }
}

bool we_unicode_is_numeric(uint32_t c)
{
    if (c < 0x80)
        return c >= '0' && c <= '9';
    size_t row = FIND(unicode_numeric, c);
    if (row != SIZE_MAX)
        return unicode_numeric[row].value;
    utf8proc_category_t k = we_unicode_category(c);
    return k == UTF8PROC_CATEGORY_ND || k == UTF8PROC_CATEGORY_NL || k == UTF8PROC_CATEGORY_NO;
}

bool we_unicode_is_punctuation(uint32_t c)
{
    if (c < 0x80)
        return (c >= 0x21 && c <= 0x2F) || (c >= 0x3A && c <= 0x40) || (c >= 0x5B && c <= 0x60) || (c >= 0x7B && c <= 0x7E);
    size_t row = FIND(unicode_punctuation, c);
    if (row != SIZE_MAX)
        return unicode_punctuation[row].value;
    utf8proc_category_t k = we_unicode_category(c);
    return k >= UTF8PROC_CATEGORY_PC && k <= UTF8PROC_CATEGORY_PO;
}

bool we_unicode_is_mark(uint32_t c)
{
    if (c < 0x300)
        return false;
    size_t row = FIND(unicode_marks, c);
    if (row != SIZE_MAX)
        return unicode_marks[row].value;
    utf8proc_category_t k = we_unicode_category(c);
    return k == UTF8PROC_CATEGORY_MN || k == UTF8PROC_CATEGORY_MC || k == UTF8PROC_CATEGORY_ME;
}

bool we_unicode_is_nonspacing(uint32_t c)
{
    if (c < 0x300)
        return false;
    size_t row = FIND(unicode_nonspacing, c);
    return row != SIZE_MAX ? unicode_nonspacing[row].value : we_unicode_category(c) == UTF8PROC_CATEGORY_MN;
}

bool we_unicode_is_other(uint32_t c)
{
    if (c < 0x80)
        return c < 0x20 || c == 0x7F;
    size_t row = FIND(unicode_other, c);
    if (row != SIZE_MAX)
        return unicode_other[row].value;
    utf8proc_category_t k = we_unicode_category(c);
    return k == UTF8PROC_CATEGORY_CC || k == UTF8PROC_CATEGORY_CF || k == UTF8PROC_CATEGORY_CO;
}

size_t we_unicode_lower(uint32_t c, uint32_t lower[2])
{
    if (c < 0x80) {
        lower[0] = c >= 'A' && c <= 'Z' ? c + 32 : c;
        return 1;
    }
    if (c == 0x130) { /* the one character whose lower case is two */
        lower[0] = 'i';
        lower[1] = 0x307;
        return 2;
    }
    size_t row = FIND(unicode_lower, c);
    lower[0] = row != SIZE_MAX ? (uint32_t)((int32_t)c + unicode_lower[row].delta)
                               : (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
    return 1;
}

/* ---- normalisation forms ---- */

struct points {
    utf8proc_int32_t *data;
    size_t count, capacity;
};

static bool reserve(struct points *p, size_t more)
{
    if (more <= p->capacity - p->count)
        return true;
    size_t capacity = p->capacity + p->capacity / 2 + more + 64;
    utf8proc_int32_t *data = capacity <= SIZE_MAX / sizeof *data ? realloc(p->data, capacity * sizeof *data) : NULL;
    if (data == NULL)
        return false;
    p->data = data;
    p->capacity = capacity;
    return true;
}

static unsigned combining_class(utf8proc_int32_t c)
{
    return (unsigned)utf8proc_get_property(c)->combining_class;
}

/* Stable sort by combining class: by insertion when there are few, else by counting. */
static bool sort_marks(utf8proc_int32_t *marks, size_t n)
{
    if (n <= 32) {
        for (size_t i = 1; i < n; i++) {
            utf8proc_int32_t c = marks[i];
            unsigned class = combining_class(c);
            size_t j = i;
            for (; j > 0 && combining_class(marks[j - 1]) > class; j--)
                marks[j] = marks[j - 1];
            marks[j] = c;
        }
        return true;
    }
    size_t start[257] = {0};
    utf8proc_int32_t *sorted = malloc(n * sizeof *sorted);
    if (sorted == NULL)
        return false;
    for (size_t i = 0; i < n; i++)
        start[(combining_class(marks[i]) & 0xFF) + 1]++;
    for (size_t k = 1; k < 257; k++)
        start[k] += start[k - 1];
    for (size_t i = 0; i < n; i++)
        sorted[start[combining_class(marks[i]) & 0xFF]++] = marks[i];
    memcpy(marks, sorted, n * sizeof *sorted);
    free(sorted);
    return true;
}

/* Canonical order of what was decomposed, composition where the form composes, then out. */
static bool finish_segment(enum we_unicode_form form, struct points *p, struct we_buf *out)
{
    for (size_t i = 0; i < p->count;) {
        if (combining_class(p->data[i]) == 0) {
            i++;
            continue;
        }
        size_t end = i + 1;
        while (end < p->count && combining_class(p->data[end]) != 0)
            end++;
        if (!sort_marks(p->data + i, end - i))
            return false;
        i = end;
    }
    utf8proc_ssize_t n = (utf8proc_ssize_t)p->count;
    if (form == WE_NFC || form == WE_NFKC)
        n = utf8proc_normalize_utf32(p->data, n, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    for (utf8proc_ssize_t i = 0; i < n; i++)
        we_buf_append_utf8(out, (uint32_t)p->data[i]);
    p->count = 0;
    return n >= 0 && !out->failed;
}

/* Characters that are the same in every text of the form, unless something that is not follows them. */
static bool is_settled(enum we_unicode_form form, uint32_t c)
{
    return c < (form == WE_NFC ? 0x300u : 0x80u) || (c >= 0x4E00 && c <= 0x9FFF);
}

bool we_unicode_normalize(enum we_unicode_form form, struct we_str text, struct we_buf *out)
{
    utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE;
    if (form == WE_NFKC || form == WE_NFKD)
        options |= UTF8PROC_COMPAT;
    struct points points = {0};
    size_t i = 0;
    bool ok = true;
    while (ok && i < text.length) {
        size_t run = i, last = i; /* a run of settled characters, and where its last one begins */
        while (i < text.length) {
            size_t next = i;
            if (!is_settled(form, we_unicode_next(text, &next)))
                break;
            last = i;
            i = next;
        }
        if (i < text.length)
            i = last; /* what follows may combine with it */
        ok = we_buf_append(out, we_str(text.data + run, i - run));
        bool first = true;
        while (ok && i < text.length) {
            size_t next = i;
            uint32_t c = we_unicode_next(text, &next);
            if (!first && is_settled(form, c))
                break;
            first = false;
            if (FIND(unicode_opaque, c) != SIZE_MAX) {
                ok = finish_segment(form, &points, out) && we_buf_append(out, we_str(text.data + i, next - i));
            } else if ((ok = reserve(&points, 32))) { /* no decomposition is longer than 18 */
                utf8proc_ssize_t n =
                    utf8proc_decompose_char((utf8proc_int32_t)c, points.data + points.count, 32, options, NULL);
                ok = n >= 0 && n <= 32;
                points.count += ok ? (size_t)n : 0;
            }
            i = next;
        }
        ok = ok && finish_segment(form, &points, out);
    }
    free(points.data);
    return ok;
}

/* ---- repair ---- */

/* Length of the longest prefix of s that begins a character; s does not begin with a whole one. */
static size_t broken_length(struct we_str s)
{
    const unsigned char *p = (const unsigned char *)s.data;
    if (p[0] < 0xC2 || p[0] > 0xF4)
        return 1;
    size_t need = we_unicode_length(p[0]), n = 1;
    unsigned low = p[0] == 0xE0 ? 0xA0 : p[0] == 0xF0 ? 0x90 : 0x80, high = p[0] == 0xED ? 0x9F : p[0] == 0xF4 ? 0x8F : 0xBF;
    while (n < need && n < s.length && p[n] >= low && p[n] <= high) {
        n++;
        low = 0x80;
        high = 0xBF;
    }
    return n;
}

bool we_unicode_repair(struct we_str text, struct we_buf *out)
{
    size_t i = 0;
    while (i < text.length) {
        struct we_str rest = we_str(text.data + i, text.length - i);
        size_t valid = we_utf8_valid_prefix(rest);
        we_buf_append(out, we_str(rest.data, valid));
        i += valid;
        if (i < text.length) {
            we_buf_append_utf8(out, 0xFFFD);
            i += broken_length(we_str(text.data + i, text.length - i));
        }
    }
    return !out->failed;
}
