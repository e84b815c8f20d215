/* Methods of strings that take them apart. The parts share the text of the whole. */
#include "text/jinja_methods.h"

/* ---- stripping ---- */

static bool has_character(struct we_str set, struct we_str character)
{
    return we_str_find(set, character, 0) != SIZE_MAX; /* whole characters of UTF-8 never match in the middle of one */
}

struct we_jvalue we_jstrip(struct we_jrun *run, struct we_jvalue string, struct we_jvalue characters, bool left, bool right)
{
    struct we_str text = we_jtext(string);
    if (characters.kind == WE_J_MISSING || characters.kind == WE_J_NONE)
        return we_jcharge_bytes(run, text.length) ? we_jpart(string, we_jstrip_space(text, left, right)) : we_jfailed();
    if (!we_jarg_string(run, "the characters to strip", characters))
        return we_jfailed();
    struct we_str set = we_jtext(characters);
    size_t start = 0, end = text.length, size;
    for (; left && start < end; start += size) {
        we_jchar_at(text, start, &size);
        if (!has_character(set, we_str(text.data + start, size)))
            break;
        if (!we_jcharge_bytes(run, set.length))
            return we_jfailed();
    }
    while (right && end > start) {
        size_t at = end - 1;
        while (at > start && ((unsigned char)text.data[at] & 0xC0) == 0x80)
            at--;
        if (!has_character(set, we_str(text.data + at, end - at)))
            break;
        if (!we_jcharge_bytes(run, set.length))
            return we_jfailed();
        end = at;
    }
    return we_jpart(string, we_str(text.data + start, end - start));
}

static struct we_jvalue method_strip(struct we_jrun *run, struct we_jvalue *a)
{
    return we_jstrip(run, a[0], a[1], true, true);
}

static struct we_jvalue method_lstrip(struct we_jrun *run, struct we_jvalue *a)
{
    return we_jstrip(run, a[0], a[1], true, false);
}

static struct we_jvalue method_rstrip(struct we_jrun *run, struct we_jvalue *a)
{
    return we_jstrip(run, a[0], a[1], false, true);
}

static struct we_jvalue method_removeprefix(struct we_jrun *run, struct we_jvalue *a)
{
    if (!we_jarg_string(run, "the prefix", a[1]) || !we_jcharge_bytes(run, a[1].length))
        return we_jfailed();
    bool there = we_str_starts_with(we_jtext(a[0]), we_jtext(a[1]));
    return there ? we_jpart(a[0], we_str(a[0].text + a[1].length, a[0].length - a[1].length)) : a[0];
}

static struct we_jvalue method_removesuffix(struct we_jrun *run, struct we_jvalue *a)
{
    if (!we_jarg_string(run, "the suffix", a[1]) || !we_jcharge_bytes(run, a[1].length))
        return we_jfailed();
    bool there = we_str_ends_with(we_jtext(a[0]), we_jtext(a[1]));
    return there ? we_jpart(a[0], we_str(a[0].text, a[0].length - a[1].length)) : a[0];
}

/* ---- splitting ---- */

/* The start of the last run of characters in `text` that are (or are not) white space. */
static size_t last_run(struct we_str text, bool space)
{
    size_t end = text.length;
    while (end > 0) {
        size_t at = end - 1, size;
        while (at > 0 && ((unsigned char)text.data[at] & 0xC0) == 0x80)
            at--;
        if (we_jis_space(we_jchar_at(text, at, &size)) != space)
            break;
        end = at;
    }
    return end;
}

static bool split_space(struct we_jrun *run, struct we_jvalue string, int64_t most, bool back, struct we_jcollect *parts)
{
    struct we_str text = we_jtext(string);
    for (;;) {
        text = we_jstrip_space(text, !back, back);
        if (text.length == 0)
            return true;
        struct we_str word = text;
        if (most == 0) {
            text.length = 0;
        } else if (back) {
            size_t start = last_run(text, false);
            word = we_str(text.data + start, text.length - start);
            text.length = start;
        } else {
            size_t end = 0, size;
            while (end < text.length && !we_jis_space(we_jchar_at(text, end, &size)))
                end += size;
            word.length = end;
            text = we_str(text.data + end, text.length - end);
        }
        most -= most > 0;
        if (!we_jcollect_add(run, parts, we_jpart(string, word)))
            return false;
    }
}

static bool split_text(struct we_jrun *run, struct we_jvalue string, struct we_str separator, int64_t most, bool back,
                       struct we_jcollect *parts)
{
    struct we_str text = we_jtext(string);
    while (most != 0) {
        size_t at;
        if (!(back ? we_jsearch_last(run, text, separator, &at) : we_jsearch(run, text, separator, 0, &at)))
            return false;
        if (at == SIZE_MAX)
            break;
        size_t after = at + separator.length;
        struct we_str before = we_str(text.data, at), behind = we_str(text.data + after, text.length - after);
        if (!we_jcollect_add(run, parts, we_jpart(string, back ? behind : before)))
            return false;
        text = back ? before : behind;
        most -= most > 0;
    }
    return we_jcollect_add(run, parts, we_jpart(string, text));
}

static struct we_jvalue split(struct we_jrun *run, const struct we_jvalue *a, bool back)
{
    struct we_jcollect parts = {0};
    int64_t most;
    bool space = a[1].kind == WE_J_MISSING || a[1].kind == WE_J_NONE;
    if (!we_jarg_int(run, a[2], -1, &most) ||
        !(space ? we_jcharge_characters(run, we_jtext(a[0])) : we_jcharge_bytes(run, a[0].length)))
        return we_jfailed();
    if (!space && !we_jarg_string(run, "the separator", a[1]))
        return we_jfailed();
    if (!space && a[1].length == 0)
        return we_jfail(run, "empty separator");
    if (!(space ? split_space(run, a[0], most, back, &parts) : split_text(run, a[0], we_jtext(a[1]), most, back, &parts)))
        return we_jfailed();
    for (size_t i = 0, j = parts.list.count; back && i + 1 < j; i++) {
        struct we_jvalue swap = parts.list.items[i];
        parts.list.items[i] = parts.list.items[--j];
        parts.list.items[j] = swap;
    }
    return we_jcollect_end(run, &parts, WE_J_LIST);
}

static struct we_jvalue method_split(struct we_jrun *run, struct we_jvalue *a)
{
    return split(run, a, false);
}

static struct we_jvalue method_rsplit(struct we_jrun *run, struct we_jvalue *a)
{
    return split(run, a, true);
}

static bool is_line_end(uint32_t c)
{
    return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

struct we_jvalue we_jsplit_lines(struct we_jrun *run, struct we_jvalue string, bool keep_ends)
{
    struct we_str text = we_jtext(string);
    struct we_jcollect lines = {0};
    if (!we_jcharge_characters(run, text))
        return we_jfailed();
    for (size_t start = 0; start < text.length;) {
        size_t end = start, size = 0;
        uint32_t c = 0;
        while (end < text.length && !is_line_end(c = we_jchar_at(text, end, &size)))
            end += size;
        size_t next = end < text.length ? end + size : end;
        if (end < text.length && c == '\r' && next < text.length && text.data[next] == '\n')
            next++;
        if (!we_jcollect_add(run, &lines, we_jpart(string, we_str(text.data + start, (keep_ends ? next : end) - start))))
            return we_jfailed();
        start = next;
    }
    return we_jcollect_end(run, &lines, WE_J_LIST);
}

static struct we_jvalue method_splitlines(struct we_jrun *run, struct we_jvalue *a)
{
    int keep = a[1].kind == WE_J_MISSING ? 0 : we_jtruth(run, a[1]);
    return keep < 0 ? we_jfailed() : we_jsplit_lines(run, a[0], keep);
}

static struct we_jvalue partition(struct we_jrun *run, const struct we_jvalue *a, bool back)
{
    if (!we_jarg_string(run, "the separator", a[1]))
        return we_jfailed();
    struct we_str text = we_jtext(a[0]), separator = we_jtext(a[1]);
    if (separator.length == 0)
        return we_jfail(run, "empty separator");
    size_t at;
    if (!we_jcharge_bytes(run, text.length) ||
        !(back ? we_jsearch_last(run, text, separator, &at) : we_jsearch(run, text, separator, 0, &at)))
        return we_jfailed();
    struct we_jvalue parts = we_jlist(run, WE_J_TUPLE, 3);
    if (parts.kind == WE_J_FAILED)
        return parts;
    struct we_str nothing = we_str("", 0), before = back ? nothing : text, middle = nothing, after = back ? text : nothing;
    if (at != SIZE_MAX) {
        before = we_str(text.data, at);
        middle = we_str(text.data + at, separator.length);
        after = we_str(text.data + at + separator.length, text.length - at - separator.length);
    }
    parts.list->items[0] = we_jpart(a[0], before);
    parts.list->items[1] = we_jpart(a[0], middle);
    parts.list->items[2] = we_jpart(a[0], after);
    return parts;
}

static struct we_jvalue method_partition(struct we_jrun *run, struct we_jvalue *a)
{
    return partition(run, a, false);
}

static struct we_jvalue method_rpartition(struct we_jrun *run, struct we_jvalue *a)
{
    return partition(run, a, true);
}

const struct we_jcallable we_jstring_split_methods[] = {
    {"lstrip", 1, 2, {0}, method_lstrip, NULL},
    {"partition", 2, 2, {0}, method_partition, NULL},
    {"removeprefix", 2, 2, {0}, method_removeprefix, NULL},
    {"removesuffix", 2, 2, {0}, method_removesuffix, NULL},
    {"rpartition", 2, 2, {0}, method_rpartition, NULL},
    {"rsplit", 1, 3, {0, "sep", "maxsplit"}, method_rsplit, NULL},
    {"rstrip", 1, 2, {0}, method_rstrip, NULL},
    {"split", 1, 3, {0, "sep", "maxsplit"}, method_split, NULL},
    {"splitlines", 1, 2, {0, "keepends"}, method_splitlines, NULL},
    {"strip", 1, 2, {0}, method_strip, NULL},
    {0},
};
