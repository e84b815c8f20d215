/* Methods of strings that search and classify. */
#include "text/jinja_methods.h"

/* The bytes between the characters `start` and `end` of a search; false when it failed. *from > *to: nothing there. */
static bool search_range(struct we_jrun *run, struct we_str text, const struct we_jvalue *bounds, size_t *from, size_t *to)
{
    *from = 0;
    *to = text.length;
    if (bounds[0].kind == WE_J_MISSING && bounds[1].kind == WE_J_MISSING)
        return we_jcharge_bytes(run, text.length);
    int64_t length = (int64_t)we_jcharacters(text), at[2] = {0, length};
    for (int i = 0; i < 2; i++) {
        if (bounds[i].kind == WE_J_NONE || bounds[i].kind == WE_J_MISSING)
            continue;
        if (!we_jarg_int(run, bounds[i], 0, &at[i]))
            return false;
        if (at[i] < 0)
            at[i] = at[i] < -length ? 0 : at[i] + length;
    }
    if (at[1] > length)
        at[1] = length;
    if (at[0] > at[1]) {
        *from = 1;
        *to = 0;
        return true;
    }
    *from = we_joffset(text, (size_t)at[0]);
    *to = we_joffset(text, (size_t)at[1]);
    return we_jcharge_bytes(run, 4 * text.length);
}

/* Counts the work that it does: a needle that nearly matches everywhere is no way to spend time without end. */
bool we_jsearch(struct we_jrun *run, struct we_str text, struct we_str needle, size_t from, size_t *at)
{
    *at = SIZE_MAX;
    if (from > text.length || needle.length > text.length - from)
        return true;
    if (needle.length == 0) {
        *at = from;
        return true;
    }
    const char *end = text.data + text.length - needle.length + 1, *place = text.data + from;
    size_t tries = 0;
    if (!we_jcharge(run, 1))
        return false;
    while (place < end && (place = memchr(place, needle.data[0], (size_t)(end - place))) != NULL) {
        bool near = place[needle.length - 1] == needle.data[needle.length - 1];
        if (near && memcmp(place, needle.data, needle.length) == 0) {
            *at = (size_t)(place - text.data);
            break;
        }
        if ((near || ++tries % 8 == 0) && !we_jcharge_bytes(run, near ? needle.length : 1))
            return false;
        place++;
    }
    return true;
}

bool we_jsearch_last(struct we_jrun *run, struct we_str text, struct we_str needle, size_t *at)
{
    *at = SIZE_MAX;
    if (needle.length > text.length)
        return true;
    for (size_t place = text.length - needle.length + 1; place-- > 0;) {
        if (needle.length && text.data[place] != needle.data[0])
            continue;
        if (needle.length == 0 || memcmp(text.data + place, needle.data, needle.length) == 0) {
            *at = place;
            return true;
        }
        if (!we_jcharge_bytes(run, needle.length))
            return false;
    }
    return we_jcharge_bytes(run, text.length);
}

static struct we_jvalue find(struct we_jrun *run, const struct we_jvalue *a, bool last, bool must)
{
    struct we_str text = we_jtext(a[0]);
    size_t from, to;
    if (!we_jarg_string(run, "the text to find", a[1]) || !search_range(run, text, a + 2, &from, &to))
        return we_jfailed();
    size_t at = SIZE_MAX;
    if (from <= to) {
        struct we_str part = we_str(text.data + from, to - from), needle = we_jtext(a[1]);
        if (!(last ? we_jsearch_last(run, part, needle, &at) : we_jsearch(run, part, needle, 0, &at)))
            return we_jfailed();
    }
    if (at == SIZE_MAX)
        return must ? we_jfail(run, "substring not found") : we_jint(-1);
    return we_jint((int64_t)we_jcharacters(we_str(text.data, from + at)));
}

static struct we_jvalue method_find(struct we_jrun *run, struct we_jvalue *a)
{
    return find(run, a, false, false);
}

static struct we_jvalue method_rfind(struct we_jrun *run, struct we_jvalue *a)
{
    return find(run, a, true, false);
}

static struct we_jvalue method_index(struct we_jrun *run, struct we_jvalue *a)
{
    return find(run, a, false, true);
}

static struct we_jvalue method_rindex(struct we_jrun *run, struct we_jvalue *a)
{
    return find(run, a, true, true);
}

static struct we_jvalue method_count(struct we_jrun *run, struct we_jvalue *a)
{
    struct we_str text = we_jtext(a[0]), needle;
    size_t from, to;
    if (!we_jarg_string(run, "the text to count", a[1]) || !search_range(run, text, a + 2, &from, &to))
        return we_jfailed();
    if (from > to)
        return we_jint(0);
    struct we_str part = we_str(text.data + from, to - from);
    needle = we_jtext(a[1]);
    if (needle.length == 0)
        return we_jint((int64_t)we_jcharacters(part) + 1);
    int64_t count = -1;
    for (size_t at = 0; at != SIZE_MAX; at += at != SIZE_MAX ? needle.length : 0, count++)
        if (!we_jsearch(run, part, needle, at, &at))
            return we_jfailed();
    return we_jint(count);
}

/* startswith, endswith: of a text or of one of a tuple of texts. */
static struct we_jvalue begins_or_ends(struct we_jrun *run, const struct we_jvalue *a, bool ends)
{
    struct we_str text = we_jtext(a[0]);
    size_t from, to;
    if (!search_range(run, text, a + 2, &from, &to))
        return we_jfailed();
    struct we_str part = we_str(text.data + from, from <= to ? to - from : 0);
    size_t count = a[1].kind == WE_J_TUPLE ? a[1].list->count : 1;
    for (size_t i = 0; i < count; i++) {
        struct we_jvalue affix = a[1].kind == WE_J_TUPLE ? a[1].list->items[i] : a[1];
        if (affix.kind != WE_J_STRING)
            return we_jfail(run, "%s first arg must be str or a tuple of str, not %s", ends ? "endswith" : "startswith",
                            we_jtype_name(affix));
        if (i && !we_jcharge_bytes(run, affix.length < part.length ? affix.length : 1)) /* the first one is paid for */
            return we_jfailed();
        if (from <= to && (ends ? we_str_ends_with(part, we_jtext(affix)) : we_str_starts_with(part, we_jtext(affix))))
            return we_jbool(true);
    }
    return we_jbool(false);
}

static struct we_jvalue method_startswith(struct we_jrun *run, struct we_jvalue *a)
{
    return begins_or_ends(run, a, false);
}

static struct we_jvalue method_endswith(struct we_jrun *run, struct we_jvalue *a)
{
    return begins_or_ends(run, a, true);
}

/* ---- what a string consists of ---- */

bool we_jis_all_case(struct we_str text, bool upper)
{
    bool cased = false;
    for (size_t at = 0, size; at < text.length; at += size) {
        uint32_t c = we_jchar_at(text, at, &size);
        if (we_jis_title(c) || (upper ? we_jis_lower(c) : we_jis_upper(c)))
            return false;
        cased = cased || (upper ? we_jis_upper(c) : we_jis_lower(c));
    }
    return cased;
}

static bool is_title(struct we_str text)
{
    bool cased = false, in_word = false;
    for (size_t at = 0, size; at < text.length; at += size) {
        uint32_t c = we_jchar_at(text, at, &size);
        bool first = we_jis_upper(c) || we_jis_title(c), other = we_jis_lower(c);
        if ((first && in_word) || (other && !in_word))
            return false;
        in_word = first || other;
        cased = cased || in_word;
    }
    return cased;
}

enum kind { ALPHA, ALNUM, DECIMAL, DIGIT, NUMERIC, ASCII, PRINTABLE, SPACE, IDENTIFIER };

static bool character_is(uint32_t c, size_t at, enum kind kind)
{
    switch (kind) {
    case ASCII:
        return c < 0x80;
    case PRINTABLE:
        return we_jis_printable(c);
    case SPACE:
        return we_jis_space(c);
    case IDENTIFIER:
        return we_jis_word(c) && (at > 0 || c == '_' || we_jis_class(c, WE_J_ALPHA));
    default:
        return we_jis_class(c, (enum we_jclass)kind); /* the first ones are the same */
    }
}

static struct we_jvalue all_are(struct we_jrun *run, struct we_jvalue string, enum kind kind)
{
    struct we_str text = we_jtext(string);
    if (!we_jcharge_characters(run, text))
        return we_jfailed();
    bool all = text.length > 0 || kind == ASCII || kind == PRINTABLE;
    for (size_t at = 0, size; all && at < text.length; at += size)
        all = character_is(we_jchar_at(text, at, &size), at, kind);
    return we_jbool(all);
}

#define ALL_ARE(name, kind)                                                         \
    static struct we_jvalue name(struct we_jrun *run, struct we_jvalue *a)          \
    {                                                                               \
        return all_are(run, a[0], kind);                                            \
    }
ALL_ARE(method_isalpha, ALPHA)
ALL_ARE(method_isalnum, ALNUM)
ALL_ARE(method_isdecimal, DECIMAL)
ALL_ARE(method_isdigit, DIGIT)
ALL_ARE(method_isnumeric, NUMERIC)
ALL_ARE(method_isascii, ASCII)
ALL_ARE(method_isprintable, PRINTABLE)
ALL_ARE(method_isspace, SPACE)
ALL_ARE(method_isidentifier, IDENTIFIER)

static struct we_jvalue method_islower(struct we_jrun *run, struct we_jvalue *a)
{
    return we_jcharge_characters(run, we_jtext(a[0])) ? we_jbool(we_jis_all_case(we_jtext(a[0]), false)) : we_jfailed();
}

static struct we_jvalue method_isupper(struct we_jrun *run, struct we_jvalue *a)
{
    return we_jcharge_characters(run, we_jtext(a[0])) ? we_jbool(we_jis_all_case(we_jtext(a[0]), true)) : we_jfailed();
}

static struct we_jvalue method_istitle(struct we_jrun *run, struct we_jvalue *a)
{
    return we_jcharge_characters(run, we_jtext(a[0])) ? we_jbool(is_title(we_jtext(a[0]))) : we_jfailed();
}

const struct we_jcallable we_jstring_search_methods[] = {
    {"count", 2, 4, {0}, method_count, NULL},
    {"endswith", 2, 4, {0}, method_endswith, NULL},
    {"find", 2, 4, {0}, method_find, NULL},
    {"index", 2, 4, {0}, method_index, NULL},
    {"rfind", 2, 4, {0}, method_rfind, NULL},
    {"rindex", 2, 4, {0}, method_rindex, NULL},
    {"startswith", 2, 4, {0}, method_startswith, NULL},
    {"isalnum", 1, 1, {0}, method_isalnum, NULL},
    {"isalpha", 1, 1, {0}, method_isalpha, NULL},
    {"isascii", 1, 1, {0}, method_isascii, NULL},
    {"isdecimal", 1, 1, {0}, method_isdecimal, NULL},
    {"isdigit", 1, 1, {0}, method_isdigit, NULL},
    {"isidentifier", 1, 1, {0}, method_isidentifier, NULL},
    {"islower", 1, 1, {0}, method_islower, NULL},
    {"isnumeric", 1, 1, {0}, method_isnumeric, NULL},
    {"isprintable", 1, 1, {0}, method_isprintable, NULL},
    {"isspace", 1, 1, {0}, method_isspace, NULL},
    {"istitle", 1, 1, {0}, method_istitle, NULL},
    {"isupper", 1, 1, {0}, method_isupper, NULL},
    {0},
};
