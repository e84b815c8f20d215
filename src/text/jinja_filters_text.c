/* Filters that make text. */
#include "text/jinja_filters.h"

#include "text/jinja_methods.h"

#include <stdio.h>

static struct we_jvalue change_case(struct we_jrun *run, struct we_jvalue value, enum we_jcase to)
{
    value = we_jsoft_string(run, value);
    return value.kind == WE_J_FAILED ? value : we_jchange_case(run, value, to);
}

static struct we_jvalue filter_upper(struct we_jrun *run, struct we_jvalue *a)
{
    return change_case(run, a[0], WE_J_UPPER);
}

static struct we_jvalue filter_lower(struct we_jrun *run, struct we_jvalue *a)
{
    return change_case(run, a[0], WE_J_LOWER);
}

static struct we_jvalue filter_capitalize(struct we_jrun *run, struct we_jvalue *a)
{
    return change_case(run, a[0], WE_J_CAPITALIZE);
}

static bool begins_word(uint32_t c)
{
    return c == '-' || c == '(' || c == '{' || c == '[' || c == '<' || we_jis_space(c);
}

/* Unlike str.title: words begin after white space and opening brackets only. */
static struct we_jvalue filter_title(struct we_jrun *run, struct we_jvalue *a)
{
    struct we_jvalue value = we_jsoft_string(run, a[0]);
    if (value.kind == WE_J_FAILED)
        return value;
    struct we_str text = we_jtext(value);
    size_t begin = we_jtext_begin(run);
    for (size_t at = 0, size; at < text.length;) {
        size_t start = at;
        bool separator = begins_word(we_jchar_at(text, at, &size));
        size_t first = size;
        while (at < text.length && begins_word(we_jchar_at(text, at, &size)) == separator)
            at += size;
        struct we_str head = we_str(text.data + start, first), tail = we_str(text.data + start + first, at - start - first);
        if (!we_jwrite_case(run, head, WE_J_UPPER) || !we_jwrite_case(run, tail, WE_J_LOWER))
            return we_jfailed();
    }
    return we_jtext_end(run, begin);
}

static struct we_jvalue filter_trim(struct we_jrun *run, struct we_jvalue *a)
{
    struct we_jvalue value = we_jsoft_string(run, a[0]);
    return value.kind == WE_J_FAILED ? value : we_jstrip(run, value, a[1], true, true);
}

static struct we_jvalue filter_replace(struct we_jrun *run, struct we_jvalue *a)
{
    struct we_jvalue text = we_jto_string(run, a[0]), old = we_jto_string(run, a[1]), new = we_jto_string(run, a[2]);
    int64_t count = -1;
    if (text.kind == WE_J_FAILED || old.kind == WE_J_FAILED || new.kind == WE_J_FAILED ||
        (a[3].kind != WE_J_NONE && !we_jarg_int(run, a[3], -1, &count)))
        return we_jfailed();
    return we_jreplace(run, text, we_jtext(old), we_jtext(new), count);
}

static struct we_jvalue filter_string(struct we_jrun *run, struct we_jvalue *a)
{
    return we_jsoft_string(run, a[0]);
}

static struct we_jvalue filter_safe(struct we_jrun *run, struct we_jvalue *a)
{
    return we_jmarkup(we_jsoft_string(run, a[0]));
}

static struct we_jvalue filter_escape(struct we_jrun *run, struct we_jvalue *a)
{
    return we_jescape(run, a[0]);
}

static struct we_jvalue filter_forceescape(struct we_jrun *run, struct we_jvalue *a)
{
    struct we_jvalue text = we_jto_string(run, a[0]);
    return text.kind == WE_J_FAILED ? text : we_jescape(run, text);
}

static struct we_jvalue filter_center(struct we_jrun *run, struct we_jvalue *a)
{
    int64_t width;
    struct we_jvalue text = we_jsoft_string(run, a[0]);
    if (text.kind == WE_J_FAILED || !we_jarg_int(run, a[1], 80, &width))
        return we_jfailed();
    return we_jpad(run, text, width, we_str_c(" "), WE_J_PAD_BOTH);
}

static struct we_jvalue filter_format(struct we_jrun *run, const struct we_jargs *args)
{
    struct we_jvalue text = we_jsoft_string(run, args->values[0]), arguments;
    if (text.kind == WE_J_FAILED)
        return text;
    if (args->count > 1 && args->num_named)
        return we_jfail(run, "can't handle positional and keyword arguments at the same time");
    if (args->num_named) {
        struct we_jargs named = *args;
        named.count = 0;
        arguments = we_jdict(run, WE_J_DICT);
        if (arguments.kind == WE_J_FAILED || !we_jdict_fill(run, arguments.dict, &named))
            return we_jfailed();
    } else {
        arguments = we_jlist(run, WE_J_TUPLE, args->count - 1);
        if (arguments.kind == WE_J_FAILED)
            return arguments;
        if (args->count > 1)
            memcpy(arguments.list->items, args->values + 1, (args->count - 1) * sizeof *args->values);
    }
    return we_jformat_percent(run, text, arguments);
}

static struct we_jvalue filter_indent(struct we_jrun *run, struct we_jvalue *a)
{
    int first = we_jflag(run, a[2]), blank = we_jflag(run, a[3]);
    int64_t width = 4;
    struct we_str unit = we_str_c(" ");
    if (first < 0 || blank < 0)
        return we_jfailed();
    if (a[0].kind == WE_J_UNDEFINED)
        return we_jfail_undefined(run, a[0]);
    if (!we_jarg_string(run, "the text to indent", a[0]))
        return we_jfailed();
    if (a[1].kind == WE_J_STRING) {
        unit = we_jtext(a[1]);
        width = 1;
    } else if (!we_jarg_int(run, a[1], 4, &width)) {
        return we_jfailed();
    }
    size_t times = width > 0 ? (size_t)width : 0, begin = we_jtext_begin(run);
    struct we_jvalue text = we_jstring(we_jtext(a[0]));
    struct we_jvalue lines = we_jsplit_lines(run, we_jconcat(run, we_jtext(text), we_str_c("\n")), false);
    if (lines.kind == WE_J_FAILED || (first && !we_jwrite_repeat(run, unit, times)))
        return we_jfailed();
    for (size_t i = 0; i < lines.list->count; i++) {
        struct we_str line = we_jtext(lines.list->items[i]);
        bool indented = i > 0 && (blank || line.length);
        if ((i > 0 && !we_jwrite_c(run, "\n")) || (indented && !we_jwrite_repeat(run, unit, times)) || !we_jwrite(run, line))
            return we_jfailed();
    }
    text = we_jtext_end(run, begin);
    return a[0].flags & WE_J_MARKUP ? we_jmarkup(text) : text;
}

static struct we_jvalue filter_truncate(struct we_jrun *run, struct we_jvalue *a)
{
    int64_t length, leeway;
    int kill_words = we_jflag(run, a[2]);
    struct we_jvalue end = a[3].kind == WE_J_MISSING ? we_jstring_c("...") : a[3];
    if (a[4].kind == WE_J_NONE)
        a[4] = we_jkind_value(WE_J_MISSING);
    if (kill_words < 0 || !we_jarg_int(run, a[1], 255, &length) || !we_jarg_int(run, a[4], 5, &leeway) ||
        !we_jarg_string(run, "the end", end) || !we_jcharge_bytes(run, end.length))
        return we_jfailed();
    int64_t end_length = (int64_t)we_jcharacters(we_jtext(end));
    if (length < end_length || leeway < 0)
        return we_jfail(run, "truncate expects a length of at least its end's, and a leeway of at least 0");
    size_t characters;
    if (a[0].kind != WE_J_STRING) {
        if (!we_jlength(run, a[0], &characters))
            return we_jfailed();
        if (length > INT64_MAX - leeway || (int64_t)characters <= length + leeway)
            return a[0];
        return we_jfail(run, "truncate of a value of type '%s'", we_jtype_name(a[0]));
    }
    struct we_str text = we_jtext(a[0]);
    if (!we_jcharge_bytes(run, text.length))
        return we_jfailed();
    characters = we_jcharacters(text);
    if (length > INT64_MAX - leeway || (int64_t)characters <= length + leeway)
        return a[0];
    text.length = we_joffset(text, (size_t)(length - end_length));
    if (!kill_words) {
        size_t space = text.length;
        while (space > 0 && text.data[space - 1] != ' ')
            space--;
        if (space > 0)
            text.length = space - 1;
    }
    return we_jconcat(run, text, we_jtext(end));
}

static struct we_jvalue filter_wordcount(struct we_jrun *run, struct we_jvalue *a)
{
    struct we_jvalue value = we_jsoft_string(run, a[0]);
    if (value.kind == WE_J_FAILED || !we_jcharge_characters(run, we_jtext(value)))
        return we_jfailed();
    int64_t count = 0;
    bool inside = false;
    for (size_t at = 0, size; at < value.length; at += size) {
        uint32_t c = we_jchar_at(we_jtext(value), at, &size);
        bool word = c == '_' || we_jis_class(c, WE_J_ALNUM);
        count += word && !inside;
        inside = word;
    }
    return we_jint(count);
}

/* ---- for web pages ---- */

static bool write_quoted(struct we_jrun *run, struct we_jvalue value, bool query)
{
    struct we_jvalue text = we_jto_string(run, value);
    bool fine = text.kind != WE_J_FAILED && we_jcharge_characters(run, we_jtext(text));
    for (size_t i = 0; fine && i < text.length; i++) {
        unsigned char c = (unsigned char)text.text[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c && strchr("_.-~", c)) ||
                     (c == '/' && !query);
        char escaped[4];
        snprintf(escaped, sizeof escaped, "%%%02X", c);
        fine = plain ? we_jwrite(run, we_str(text.text + i, 1)) : we_jwrite_c(run, query && c == ' ' ? "+" : escaped);
    }
    return fine;
}

static struct we_jvalue filter_urlencode(struct we_jrun *run, struct we_jvalue *a)
{
    size_t begin = we_jtext_begin(run);
    if (a[0].kind == WE_J_STRING || !we_jis_iterable(a[0]))
        return write_quoted(run, a[0], false) ? we_jtext_end(run, begin) : we_jfailed();
    struct we_jiter iter;
    struct we_jvalue item, items = a[0];
    if (items.kind == WE_J_DICT) { /* its pairs */
        struct we_jargs none = {0};
        items = we_jcall_callable(run, we_jfind_method(items, we_str_c("items")), items, &none);
    }
    if (!we_jiter_start(run, items, &iter))
        return we_jfailed();
    bool first = true;
    int more;
    while ((more = we_jiter_next(run, &iter, &item)) == 1) {
        struct we_jvalue pair = we_jto_list(run, item, WE_J_LIST);
        if (pair.kind != WE_J_FAILED && pair.list->count != 2)
            return we_jfail(run, "urlencode needs pairs of a key and a value");
        if (pair.kind == WE_J_FAILED || (!first && !we_jwrite_c(run, "&")) || !write_quoted(run, pair.list->items[0], true) ||
            !we_jwrite_c(run, "=") || !write_quoted(run, pair.list->items[1], true))
            return we_jfailed();
        first = false;
    }
    return more < 0 ? we_jfailed() : we_jtext_end(run, begin);
}

static struct we_jvalue filter_xmlattr(struct we_jrun *run, struct we_jvalue *a)
{
    int space = a[1].kind == WE_J_MISSING ? 1 : we_jtruth(run, a[1]);
    if (space < 0)
        return we_jfailed();
    if (a[0].kind == WE_J_UNDEFINED)
        return we_jfail_undefined(run, a[0]);
    if (a[0].kind != WE_J_DICT)
        return we_jfail(run, "'%s' object has no attribute 'items'", we_jtype_name(a[0]));
    size_t begin = we_jtext_begin(run);
    bool first = true;
    for (size_t i = 0; i < a[0].dict->count; i++) {
        const struct we_jentry *entry = &a[0].dict->entries[i];
        if (entry->value.kind == WE_J_NONE || entry->value.kind == WE_J_UNDEFINED)
            continue;
        if (!we_jarg_string(run, "an attribute's name", entry->key))
            return we_jfailed();
        for (size_t j = 0; j < entry->key.length; j++)
            if (entry->key.text[j] && strchr(" \t\n\r\f\v/>=", entry->key.text[j]))
                return we_jfail(run, "Invalid character in attribute name: '%.*s'", WE_STR_ARG(we_jtext(entry->key)));
        struct we_jvalue key = we_jescape(run, entry->key), value = key.kind == WE_J_FAILED ? key : we_jescape(run, entry->value);
        if (value.kind == WE_J_FAILED || ((!first || space) && !we_jwrite_c(run, " ")) || !we_jwrite(run, we_jtext(key)) ||
            !we_jwrite_c(run, "=\"") || !we_jwrite(run, we_jtext(value)) || !we_jwrite_c(run, "\""))
            return we_jfailed();
        first = false;
    }
    return we_jtext_end(run, begin);
}

const struct we_jcallable we_jfilters_text[] = {
    {"trim", 1, 2, {0, "chars"}, filter_trim, NULL},
    {"string", 1, 1, {0}, filter_string, NULL},
    {"replace", 3, 4, {0, "old", "new", "count"}, filter_replace, NULL},
    {"upper", 1, 1, {0}, filter_upper, NULL},
    {"lower", 1, 1, {0}, filter_lower, NULL},
    {"capitalize", 1, 1, {0}, filter_capitalize, NULL},
    {"title", 1, 1, {0}, filter_title, NULL},
    {"safe", 1, 1, {0}, filter_safe, NULL},
    {"e", 1, 1, {0}, filter_escape, NULL},
    {"escape", 1, 1, {0}, filter_escape, NULL},
    {"forceescape", 1, 1, {0}, filter_forceescape, NULL},
    {"indent", 1, 4, {0, "width", "first", "blank"}, filter_indent, NULL},
    {"center", 1, 2, {0, "width"}, filter_center, NULL},
    {"format", 1, 1, {0}, NULL, filter_format},
    {"truncate", 1, 5, {0, "length", "killwords", "end", "leeway"}, filter_truncate, NULL},
    {"wordcount", 1, 1, {0}, filter_wordcount, NULL},
    {"urlencode", 1, 1, {0}, filter_urlencode, NULL},
    {"xmlattr", 1, 2, {0, "autospace"}, filter_xmlattr, NULL},
    {0},
};
