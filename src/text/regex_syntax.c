/* From Oniguruma's Ruby syntax to PCRE2's. The two differ in options, in intervals, in the letters after a backslash,
 * in the data behind \w, \s and \p{}, and in sets: PCRE2 10 knows neither nested classes nor &&. A set that PCRE2
 * cannot write as one class becomes look-aheads before a single character. */
#include "text/regex.h"

#include "text/regex_fold.h"
#include "text/regex_sets.h"
#include "text/unicode.h"

#include <ctype.h>
#include <stdlib.h>

enum { MAX_DEPTH = 100 };

struct translator {
    struct we_str pattern;
    size_t at;
    struct we_buf *out;
    struct we_error *error;
    we_status status; /* sticky */
    unsigned depth;
    bool ignore_case;
    unsigned behind;  /* look-behinds around, in which a character is one character */
    struct we_folds folds;
    uint32_t *run;    /* (run_count): characters that are not written yet, where case does not count */
    size_t run_count, run_capacity;
};

static bool fail(struct translator *t, we_status status, const char *what)
{
    if (t->status == WE_OK)
        t->status = we_error_set(t->error, status, "the regular expression \"%.*s\": %s, at byte %zu", WE_STR_ARG(t->pattern), what,
                                 t->at);
    return false;
}

static int peek(const struct translator *t, size_t ahead)
{
    return t->at + ahead < t->pattern.length ? (unsigned char)t->pattern.data[t->at + ahead] : -1;
}

static bool accept(struct translator *t, const char *text)
{
    if (!we_str_starts_with(we_str(t->pattern.data + t->at, t->pattern.length - t->at), we_str_c(text)))
        return false;
    t->at += strlen(text);
    return true;
}

/* ---- characters ---- */

static void put_character(struct we_buf *out, uint32_t c)
{
    if (c < 0x80 && isalnum((int)c))
        we_buf_append_byte(out, (char)c);
    else
        we_buf_printf(out, "\\x{%X}", c);
}

static int hex_digit(int c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static uint32_t read_hex(struct translator *t, size_t least, size_t most)
{
    uint32_t value = 0;
    size_t n = 0;
    for (; n < most && hex_digit(peek(t, 0)) >= 0; n++, t->at++)
        value = value << 4 | (uint32_t)hex_digit(peek(t, 0));
    if (n < least)
        fail(t, WE_INVALID_FORMAT, "hexadecimal digits are missing");
    return value;
}

static uint32_t check_point(struct translator *t, uint32_t c)
{
    if (c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) {
        fail(t, WE_INVALID_FORMAT, "this is no character");
        return 0xFFFD;
    }
    return c;
}

/* \xHH from 0x80 on are bytes of a UTF-8 character; the backslash, x and digits of the first were read. */
static uint32_t read_raw_bytes(struct translator *t, uint32_t first)
{
    char bytes[4] = {(char)first};
    size_t n = 1;
    uint32_t c;
    while (we_utf8_decode(we_str(bytes, n), &c) == 0) {
        if (n == 4 || !accept(t, "\\x") || peek(t, 0) == '{') {
            fail(t, WE_UNSUPPORTED, "bytes that are no UTF-8 character");
            return 0xFFFD;
        }
        bytes[n++] = (char)read_hex(t, 1, 2);
    }
    return c;
}

/* After a backslash: true, and the character in *c, if what stands there means one. */
static bool read_escaped_character(struct translator *t, uint32_t *c, bool in_class)
{
    static const char from[] = "tnrfvae", to[] = "\t\n\r\f\v\a\x1B";
    int k = peek(t, 0);
    const char *found = k > 0 ? strchr(from, k) : NULL;
    if (found) {
        *c = (unsigned char)to[found - from];
        t->at++;
    } else if (in_class && k == 'b') {
        *c = 8;
        t->at++;
    } else if (k == 'x' && peek(t, 1) == '{') {
        t->at += 2;
        *c = check_point(t, read_hex(t, 1, 8));
        if (!accept(t, "}"))
            fail(t, WE_INVALID_FORMAT, "'}' was expected");
    } else if (k == 'x') {
        t->at++;
        *c = read_hex(t, 0, 2);
        if (*c >= 0x80)
            *c = read_raw_bytes(t, *c);
    } else if (k == 'u') {
        t->at++;
        *c = check_point(t, read_hex(t, 4, 4));
    } else if (k == '0') {
        *c = 0;
        t->at++;
        for (int i = 0; i < 2 && peek(t, 0) >= '0' && peek(t, 0) <= '7'; i++, t->at++)
            *c = *c * 8 + (uint32_t)(peek(t, 0) - '0');
    } else if (k < 0) {
        return fail(t, WE_INVALID_FORMAT, "a backslash at the end");
    } else if (k < 0x80 && isalnum(k) && strchr(in_class ? "cCMpPdDsSwWhHRXNO" : "cCMpPdDsSwWhHRXNObBAzZGKkgyY123456789", k)) {
        return false;
    } else {
        *c = we_unicode_next(t->pattern, &t->at);
    }
    return t->status == WE_OK;
}

/* ---- sets ---- */

/* A set of characters: a union of PCRE2 class items and of `others`, expressions of one character each, joined by
 * '|'; then perhaps negated. */
struct set {
    struct we_buf items, others;
    bool negated;
    bool wide; /* not only ASCII characters, one by one or in ranges */
};

enum { SET_LIMIT = 256 * 1024 }; /* bytes of a set: each && copies it */
#define NEW_SET {.items = {.limit = SET_LIMIT}, .others = {.limit = SET_LIMIT}}

static void set_free(struct set *set)
{
    we_buf_free(&set->items);
    we_buf_free(&set->others);
}

/* Appends an expression that matches one character of the set; atomic, since there is but one way to do that. */
static bool put_set(struct translator *t, struct we_buf *out, const struct set *set)
{
    if (set->items.failed || set->others.failed)
        return fail(t, WE_OUT_OF_MEMORY, "out of memory");
    if (set->others.length == 0) {
        we_buf_append_c(out, set->negated ? "[^" : "[");
        we_buf_append(out, we_buf_str(&set->items));
        return we_buf_append_c(out, "]");
    }
    we_buf_append_c(out, set->negated ? "(?:(?!" : "(?>");
    if (set->items.length) {
        we_buf_append_c(out, "[");
        we_buf_append(out, we_buf_str(&set->items));
        we_buf_append_c(out, "]|");
    }
    we_buf_append(out, we_buf_str(&set->others));
    return we_buf_append_c(out, set->negated ? ")(?s:.))" : ")");
}

/* Unites `set` with `more`. */
static bool add_set(struct translator *t, struct set *set, const struct set *more)
{
    set->wide = set->wide || more->wide || more->negated;
    if (!more->negated && more->others.length == 0)
        return we_buf_append(&set->items, we_buf_str(&more->items)) || fail(t, WE_OUT_OF_MEMORY, "out of memory");
    if (set->others.length)
        we_buf_append_c(&set->others, "|");
    return put_set(t, &set->others, more);
}

/* \d \D \s \S \w \W \h \H \p{...} \P{...}, the backslash read; false without an error if it is none of them. */
static bool read_named_set(struct translator *t, struct set *set, bool in_class)
{
    int k = peek(t, 0);
    struct we_str name;
    bool negated = false;
    if (k == 'p' || k == 'P') {
        negated = k == 'P';
        t->at++;
        if (!accept(t, "{"))
            return fail(t, WE_INVALID_FORMAT, "'{' was expected after \\p");
        if (accept(t, "^"))
            negated = !negated;
        size_t start = t->at;
        while (peek(t, 0) >= 0 && peek(t, 0) != '}')
            t->at++;
        name = we_str(t->pattern.data + start, t->at - start);
        if (!accept(t, "}"))
            return fail(t, WE_INVALID_FORMAT, "'}' was expected after a property");
    } else if (k > 0 && strchr("dDsSwWhH", k)) {
        negated = isupper(k) != 0;
        int lower = tolower(k);
        name = we_str_c(lower == 'd' ? "digit" : lower == 's' ? "space" : lower == 'w' ? "word" : "xdigit");
        t->at++;
    } else {
        return false;
    }
    bool inverse, is_word = we_str_equal_c(name, "word") || we_str_equal_c(name, "Word");
    if (is_word && in_class) /* there it is [:word:], without the superscript digits of \w */
        t->status = we_regex_posix_set(we_str_c("word"), &set->items, &inverse, t->error);
    else
        t->status = we_regex_property(name, &set->items, &inverse, t->error);
    if (t->status != WE_OK)
        return false;
    set->negated = negated != inverse;
    set->wide = true;
    return true;
}

static bool read_class(struct translator *t, struct set *set);

/* [:name:] inside of a class, "[:" not yet read; false without an error if there is none. */
static bool read_posix_set(struct translator *t, struct set *set)
{
    size_t start = t->at + 2;
    bool negated = start < t->pattern.length && t->pattern.data[start] == '^';
    start += negated;
    size_t end = start;
    while (end < t->pattern.length && isalpha((unsigned char)t->pattern.data[end]))
        end++;
    if (!we_str_starts_with(we_str(t->pattern.data + end, t->pattern.length - end), we_str_c(":]")))
        return false;
    bool inverse;
    we_status status = we_regex_posix_set(we_str(t->pattern.data + start, end - start), &set->items, &inverse, t->error);
    t->at = end + 2;
    if (status != WE_OK) {
        t->status = status;
        return false;
    }
    set->negated = negated != inverse;
    set->wide = true;
    return true;
}

/* One element of a class: a character in *c (returns 1), a set united into `set` (returns 2), or an error (0). */
static int read_element(struct translator *t, struct set *set, uint32_t *c)
{
    struct set inner = NEW_SET;
    int kind = 0;
    if (peek(t, 0) == '[') {
        bool found = peek(t, 1) == ':' && read_posix_set(t, &inner);
        if (!found && t->status == WE_OK) {
            t->at++;
            found = read_class(t, &inner);
        }
        kind = found && add_set(t, set, &inner) ? 2 : 0;
    } else if (accept(t, "\\")) {
        if (read_escaped_character(t, c, true))
            kind = 1;
        else if (t->status == WE_OK && read_named_set(t, &inner, true))
            kind = add_set(t, set, &inner) ? 2 : 0;
        else if (t->status == WE_OK)
            fail(t, WE_UNSUPPORTED, "this escape in a class");
    } else {
        *c = we_unicode_next(t->pattern, &t->at);
        kind = 1;
    }
    set_free(&inner);
    return kind;
}

/* Elements up to "]" or "&&", which stay unread. */
static bool read_union(struct translator *t, struct set *set, bool first)
{
    while (t->status == WE_OK) {
        int k = peek(t, 0);
        if (k < 0)
            return fail(t, WE_INVALID_FORMAT, "a class that does not end");
        if (set->items.failed || set->others.failed)
            return fail(t, WE_OUT_OF_MEMORY, "out of memory");
        if ((k == ']' && !first) || (k == '&' && peek(t, 1) == '&'))
            return true;
        first = false;
        uint32_t low, high;
        int kind = read_element(t, set, &low);
        if (kind != 1)
            continue;
        high = low;
        if (peek(t, 0) == '-' && peek(t, 1) >= 0 && peek(t, 1) != ']' && !(peek(t, 1) == '&' && peek(t, 2) == '&')) {
            t->at++;
            if (peek(t, 0) == '[' || read_element(t, set, &high) != 1)
                return fail(t, WE_INVALID_FORMAT, "a range in a class that does not end in a character");
            if (high < low)
                return fail(t, WE_INVALID_FORMAT, "an empty range in a class");
        }
        set->wide = set->wide || high >= 0x80;
        put_character(&set->items, low);
        if (high != low) {
            we_buf_append_c(&set->items, "-");
            put_character(&set->items, high);
        }
    }
    return false;
}

/* A class, "[" read. */
static bool read_class(struct translator *t, struct set *set)
{
    if (++t->depth > MAX_DEPTH)
        return fail(t, WE_UNSUPPORTED, "too many things inside each other");
    bool negated = accept(t, "^");
    bool ok = read_union(t, set, true);
    while (ok && accept(t, "&&")) {
        /* The intersection: what the right side matches where the left side does too. */
        struct set right = NEW_SET, both = NEW_SET;
        ok = read_union(t, &right, false);
        if (ok && ((set->items.length == 0 && set->others.length == 0) || (right.items.length == 0 && right.others.length == 0)))
            ok = fail(t, WE_UNSUPPORTED, "an empty side of && in a class");
        if (ok) {
            we_buf_append_c(&both.others, "(?=");
            ok = put_set(t, &both.others, set);
            we_buf_append_c(&both.others, ")");
            ok = ok && put_set(t, &both.others, &right);
        }
        set_free(&right);
        set_free(set);
        both.wide = true;
        *set = both;
    }
    if (ok && !accept(t, "]"))
        ok = fail(t, WE_INVALID_FORMAT, "']' was expected");
    if (ok && set->items.length == 0 && set->others.length == 0)
        ok = fail(t, WE_INVALID_FORMAT, "an empty class");
    set->negated = negated;
    t->depth--;
    return ok;
}

/* ---- expressions ---- */

static bool read_alternatives(struct translator *t);

/* (?imx-imx) or (?imx-imx:...), "(?" read. Without a colon the options hold to the end of the group around, whose
 * further alternatives then belong to this point: a(?i)b|c is a(?i:b|c). */
static bool read_options(struct translator *t)
{
    we_buf_append_c(t->out, "(?");
    bool off = false, outside = t->ignore_case, ok;
    for (;; t->at++) {
        int k = peek(t, 0);
        if (k == 'i') {
            we_buf_append_c(t->out, "i");
            t->ignore_case = !off;
        } else if (k == 'm') { /* "." is every character */
            we_buf_append_c(t->out, "s");
        } else if (k == '-' && !off) {
            we_buf_append_c(t->out, "-");
            off = true;
        } else if (k != 'x' || !off) { /* x is off anyway */
            break;
        }
    }
    we_buf_append_c(t->out, ":");
    if (accept(t, ":"))
        ok = (read_alternatives(t) && accept(t, ")")) || fail(t, WE_INVALID_FORMAT, "')' was expected");
    else if (accept(t, ")"))
        ok = read_alternatives(t);
    else
        ok = fail(t, WE_UNSUPPORTED, "this option of a group");
    t->ignore_case = outside;
    return ok && we_buf_append_c(t->out, ")");
}

/* A group, "(" read. Groups need not capture, since references to them are refused. */
static bool read_group(struct translator *t)
{
    static const char *const openings[] = {"?:", "?=", "?!", "?>", "?<=", "?<!"};
    if (accept(t, "?#")) {
        while (peek(t, 0) >= 0 && peek(t, 0) != ')')
            t->at++;
        return accept(t, ")") || fail(t, WE_INVALID_FORMAT, "a comment that does not end");
    }
    const char *opening = "?:";
    bool known = peek(t, 0) != '?';
    for (size_t i = 0; !known && i < sizeof openings / sizeof openings[0]; i++) {
        known = accept(t, openings[i]);
        opening = known ? openings[i] : opening;
    }
    if (!known && (peek(t, 1) == '<' || peek(t, 1) == '\'')) { /* a name, which nothing can ask for */
        int close = peek(t, 1) == '<' ? '>' : '\'';
        t->at += 2;
        while (peek(t, 0) >= 0 && peek(t, 0) != close)
            t->at++;
        if (peek(t, 0) < 0)
            return fail(t, WE_INVALID_FORMAT, "the name of a group that does not end");
        t->at++;
        known = true;
    }
    if (!known) {
        if (peek(t, 1) < 0 || !strchr("imx-", peek(t, 1)))
            return fail(t, WE_UNSUPPORTED, "this kind of group");
        t->at++;
        return read_options(t);
    }
    we_buf_append_c(t->out, "(");
    we_buf_append_c(t->out, opening);
    bool outside = t->ignore_case, is_behind = opening[1] == '<';
    t->behind += is_behind;
    if (!read_alternatives(t) || !accept(t, ")"))
        return fail(t, WE_INVALID_FORMAT, "')' was expected");
    t->behind -= is_behind;
    t->ignore_case = outside;
    return we_buf_append_c(t->out, ")");
}

/* ---- characters and classes where case does not count ---- */

/* Writes the characters that wait. */
static bool put_run(struct translator *t)
{
    size_t count = t->run_count;
    t->run_count = 0;
    return count == 0 || we_folds_put_run(&t->folds, t->run, count, t->out);
}

/* A character, which one that follows may make part of a sequence: it waits. */
static bool add_to_run(struct translator *t, uint32_t c)
{
    if (t->run_count == t->run_capacity) {
        size_t capacity = 2 * t->run_capacity + 64;
        uint32_t *run = realloc(t->run, capacity * sizeof *run);
        if (run == NULL)
            return fail(t, WE_OUT_OF_MEMORY, "out of memory");
        t->run = run;
        t->run_capacity = capacity;
    }
    t->run[t->run_count++] = c;
    return true;
}

static bool put_folded_class(struct translator *t, const struct set *set)
{
    struct set positive = *set;
    struct we_buf expression = {0};
    positive.negated = false;
    bool ok = put_set(t, &expression, &positive);
    if (ok)
        t->status = we_folds_put_class(&t->folds, we_buf_str(&expression), set->negated, t->behind == 0, t->out, t->error);
    we_buf_free(&expression);
    return ok && t->status == WE_OK;
}

/* ---- atoms ---- */

static bool read_interval(struct translator *t, unsigned *low, unsigned *high, bool *exact);

static bool is_quantified(struct translator *t)
{
    size_t at = t->at;
    unsigned low, high;
    bool exact;
    int k = peek(t, 0);
    bool is = k == '*' || k == '+' || k == '?' || (k == '{' && read_interval(t, &low, &high, &exact));
    t->at = at;
    return is;
}

/* A literal character. */
static bool put_literal(struct translator *t, uint32_t c, size_t *start)
{
    if (!t->ignore_case || t->behind) {
        put_character(t->out, c);
        return true;
    }
    we_folds_find(&t->folds);
    if (!is_quantified(t))
        return add_to_run(t, c);
    if (!put_run(t))
        return false;
    *start = t->out->length;
    return add_to_run(t, c) && put_run(t);
}

static bool read_escape(struct translator *t, size_t *start)
{
    uint32_t c;
    if (read_escaped_character(t, &c, false))
        return put_literal(t, c, start);
    struct set set = NEW_SET;
    if (!put_run(t))
        return false;
    *start = t->out->length;
    bool ok = t->status == WE_OK && read_named_set(t, &set, false);
    if (ok && t->ignore_case) { /* outside of a class properties keep their case; newer PCRE2 would not */
        we_buf_append_c(t->out, "(?-i:");
        ok = put_set(t, t->out, &set) && we_buf_append_c(t->out, ")");
    } else if (ok) {
        ok = put_set(t, t->out, &set);
    }
    set_free(&set);
    if (ok || t->status != WE_OK || t->out->failed)
        return ok;
    int k = peek(t, 0);
    t->at++;
    switch (k) {
    case 'R':
    case 'X':
    case 'A':
    case 'z':
    case 'Z':
    case 'G':
    case 'K':
        return we_buf_printf(t->out, "\\%c", k);
    case 'N':
        return we_buf_append_c(t->out, "[^\\n]");
    case 'O':
        return we_buf_append_c(t->out, "(?s:.)");
    case 'b':
    case 'B': { /* with the same \w as everywhere else */
        struct we_buf word = {0};
        bool inverse;
        t->status = we_regex_property(we_str_c("word"), &word, &inverse, t->error);
        if (t->status == WE_OK)
            we_buf_printf(t->out, k == 'b' ? "(?-i:(?<=[%s])(?![%s])|(?<![%s])(?=[%s]))" : "(?-i:(?<=[%s])(?=[%s])|(?<![%s])(?![%s]))",
                          word.data, word.data, word.data, word.data);
        we_buf_free(&word);
        return t->status == WE_OK;
    }
    default:
        t->at--;
        return fail(t, WE_UNSUPPORTED, k >= '1' && k <= '9' ? "a reference to a group" : "this escape");
    }
}

/* Reads "{n}", "{n,}", "{,m}" or "{n,m}", where it is one; else nothing, and returns false. */
static bool read_interval(struct translator *t, unsigned *low, unsigned *high, bool *exact)
{
    size_t start = t->at;
    unsigned bounds[2] = {0, UINT32_MAX};
    bool given[2] = {false, false};
    t->at++;
    *exact = true;
    for (int i = 0; i < 2; i++) {
        unsigned value = 0;
        for (; peek(t, 0) >= '0' && peek(t, 0) <= '9'; t->at++) {
            value = value > 100000 ? value : value * 10 + (unsigned)(peek(t, 0) - '0');
            given[i] = true;
        }
        if (given[i])
            bounds[i] = value;
        if (i == 0 && !accept(t, ","))
            break;
        if (i == 0)
            *exact = false;
    }
    if (*exact)
        bounds[1] = bounds[0];
    if ((!given[0] && !given[1]) || !accept(t, "}")) {
        t->at = start;
        return false;
    }
    *low = bounds[0];
    *high = bounds[1];
    if (*low > *high)
        fail(t, WE_UNSUPPORTED, "an interval whose first number is the larger");
    return true;
}

/* Puts "(?:" before and ")" behind what was written since `start`. */
static bool wrap(struct translator *t, size_t start)
{
    if (!we_buf_append_c(t->out, "(?:)"))
        return fail(t, WE_OUT_OF_MEMORY, "out of memory");
    memmove(t->out->data + start + 3, t->out->data + start, t->out->length - 4 - start);
    memcpy(t->out->data + start, "(?:", 3);
    t->out->data[t->out->length - 1] = ')';
    return true;
}

/* The quantifiers behind what was written since `start`. */
static bool read_quantifiers(struct translator *t, size_t start)
{
    for (unsigned count = 0;; count++) {
        int k = peek(t, 0);
        unsigned low, high;
        bool exact = false, again = count > 0;
        if (count > 8)
            return fail(t, WE_UNSUPPORTED, "too many quantifiers in a row");
        if (k == '*' || k == '+' || k == '?') {
            t->at++;
            if (again && !wrap(t, start))
                return false;
            we_buf_append_byte(t->out, (char)k);
            if (accept(t, "?"))
                we_buf_append_byte(t->out, '?');
            else if (accept(t, "+"))
                we_buf_append_byte(t->out, '+');
        } else if (k == '{' && read_interval(t, &low, &high, &exact)) {
            if (t->status != WE_OK || (again && !wrap(t, start)))
                return false;
            if (high == UINT32_MAX)
                we_buf_printf(t->out, "{%u,}", low);
            else
                we_buf_printf(t->out, "{%u,%u}", low, high);
            if (!exact && accept(t, "?")) /* "{n}?" is an optional "{n}", and "{n,m}+" a repeated "{n,m}" */
                we_buf_append_byte(t->out, '?');
        } else {
            return true;
        }
    }
}

/* *start: where in the output the atom begins, for its quantifiers. */
static bool read_atom(struct translator *t, bool *repeatable, size_t *start)
{
    int k = peek(t, 0);
    *repeatable = true;
    if (k > 0 && strchr("([.^$", k) && !put_run(t))
        return false;
    *start = t->out->length;
    switch (k) {
    case '(':
        t->at++;
        return read_group(t);
    case '[': {
        struct set set = NEW_SET;
        t->at++;
        bool ok = read_class(t, &set);
        if (ok && t->ignore_case && set.wide) {
            we_folds_find(&t->folds);
            ok = put_folded_class(t, &set);
        } else if (ok) {
            ok = put_set(t, t->out, &set);
        }
        set_free(&set);
        return ok;
    }
    case '\\':
        t->at++;
        return read_escape(t, start);
    case '.':
        t->at++;
        return we_buf_append_byte(t->out, '.');
    case '^':
    case '$':
        t->at++;
        *repeatable = false;
        return we_buf_append_byte(t->out, (char)k);
    case '*':
    case '+':
    case '?':
        return fail(t, WE_INVALID_FORMAT, "nothing to repeat");
    case '{': {
        unsigned low, high;
        bool exact;
        if (read_interval(t, &low, &high, &exact))
            return fail(t, WE_INVALID_FORMAT, "nothing to repeat");
        break;
    }
    default:
        break;
    }
    return put_literal(t, we_unicode_next(t->pattern, &t->at), start);
}

/* Alternatives up to ")" or the end, which stay unread. */
static bool read_alternatives(struct translator *t)
{
    if (++t->depth > MAX_DEPTH)
        return fail(t, WE_UNSUPPORTED, "too many things inside each other");
    bool ok = true;
    while (ok && t->status == WE_OK && !t->out->failed && peek(t, 0) >= 0 && peek(t, 0) != ')') {
        size_t start;
        bool repeatable;
        if (accept(t, "|"))
            ok = put_run(t) && we_buf_append_byte(t->out, '|');
        else
            ok = read_atom(t, &repeatable, &start) && (!repeatable || read_quantifiers(t, start));
    }
    ok = ok && put_run(t);
    if (t->out->failed)
        fail(t, WE_OUT_OF_MEMORY, "it is too large");
    else if (!ok) /* without another reason */
        fail(t, WE_OUT_OF_MEMORY, "out of memory");
    t->depth--;
    return t->status == WE_OK;
}

we_status we_regex_translate(struct we_str pattern, struct we_buf *out, struct we_error *error)
{
    struct translator t = {.pattern = pattern, .out = out, .error = error};
    if (we_utf8_valid_prefix(pattern) != pattern.length)
        fail(&t, WE_INVALID_FORMAT, "it is no UTF-8");
    else if (read_alternatives(&t) && t.at < pattern.length)
        fail(&t, WE_INVALID_FORMAT, "')' without a '('");
    else if (t.status == WE_OK)
        we_buf_append(out, we_str("", 0)); /* so that there is a terminated string, even an empty one */
    if (t.status == WE_OK && out->failed)
        fail(&t, WE_OUT_OF_MEMORY, "out of memory");
    free(t.run);
    we_folds_free(&t.folds);
    return t.status;
}
