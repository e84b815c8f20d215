/* The filter tojson: Python's json.dumps, as transformers calls it. */
#include "text/jinja_filters.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

struct dump {
    struct we_jrun *run;
    bool ascii, sort_keys, indented;
    struct we_str indent, between_items, after_key;
    size_t level;
};

static bool dump_value(struct dump *dump, struct we_jvalue value);

static bool dump_unit(struct we_jrun *run, uint32_t unit)
{
    char text[8];
    snprintf(text, sizeof text, "\\u%04" PRIx32, unit & 0xFFFF);
    return we_jwrite_c(run, text);
}

static bool dump_character(struct dump *dump, uint32_t c)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    const char *found = c && c < 0x80 ? strchr(from, (int)c) : NULL;
    if (found) {
        char text[2] = {'\\', to[found - from]};
        return we_jwrite(dump->run, we_str(text, 2));
    }
    if (c < 0x10000)
        return dump_unit(dump->run, c);
    return dump_unit(dump->run, 0xD800 + ((c - 0x10000) >> 10)) && dump_unit(dump->run, 0xDC00 + ((c - 0x10000) & 0x3FF));
}

static bool dump_string(struct dump *dump, struct we_str text)
{
    struct we_jrun *run = dump->run;
    bool fine = we_jcharge_bytes(run, 2 * text.length) && we_jwrite_c(run, "\"");
    size_t plain = 0;
    for (size_t at = 0, size = 1; fine && at < text.length; at += size) {
        unsigned char byte = (unsigned char)text.data[at];
        size = 1;
        if (byte >= 0x20 && byte != '"' && byte != '\\' && (!dump->ascii || byte < 0x7F))
            continue;
        fine = we_jwrite(run, we_str(text.data + plain, at - plain)) && dump_character(dump, we_jchar_at(text, at, &size));
        plain = at + size;
    }
    return fine && we_jwrite(run, we_str(text.data + plain, text.length - plain)) && we_jwrite_c(run, "\"");
}

static bool dump_float(struct dump *dump, double value)
{
    char text[WE_J_FLOAT_TEXT];
    if (!isfinite(value))
        return we_jwrite_c(dump->run, isnan(value) ? "NaN" : value < 0 ? "-Infinity" : "Infinity");
    return we_jwrite(dump->run, we_str(text, we_jfloat_repr(value, text)));
}

/* The end of a line, if there are lines, and what the next one begins with. */
static bool dump_newline(struct dump *dump)
{
    return !dump->indented || (we_jwrite_c(dump->run, "\n") && we_jwrite_repeat(dump->run, dump->indent, dump->level));
}

static bool dump_list(struct dump *dump, const struct we_jlist *list)
{
    if (list->count == 0)
        return we_jwrite_c(dump->run, "[]");
    bool fine = we_jwrite_c(dump->run, "[");
    dump->level++;
    for (size_t i = 0; fine && i < list->count; i++)
        fine = (i == 0 || we_jwrite(dump->run, dump->between_items)) && dump_newline(dump) && dump_value(dump, list->items[i]);
    dump->level--;
    return fine && dump_newline(dump) && we_jwrite_c(dump->run, "]");
}

static bool dump_key(struct dump *dump, struct we_jvalue key)
{
    switch (key.kind) {
    case WE_J_STRING:
        return dump_string(dump, we_jtext(key));
    case WE_J_NONE:
    case WE_J_BOOL:
    case WE_J_INT:
    case WE_J_BIG:
    case WE_J_FLOAT:
        return we_jwrite_c(dump->run, "\"") && dump_value(dump, key) && we_jwrite_c(dump->run, "\"");
    default:
        we_jfail(dump->run, "keys must be str, int, float, bool or None, not %s", we_jtype_name(key));
        return false;
    }
}

/* Entries in the order of their keys. */
static struct we_jvalue sorted_entries(struct dump *dump, const struct we_jdict *dict)
{
    struct we_jargs none = {0};
    struct we_jvalue value = we_jkind_value(WE_J_DICT);
    value.dict = (struct we_jdict *)(uintptr_t)dict;
    struct we_jvalue items = we_jcall_callable(dump->run, we_jfind_method(value, we_str_c("items")), value, &none);
    struct we_jvalue attribute[1] = {we_jint(0)}; /* by key */
    struct we_str names[] = {we_str_c("attribute"), we_str_c("case_sensitive")};
    struct we_jvalue named[] = {attribute[0], we_jbool(true)};
    struct we_jargs args = {.names = names, .named = named, .num_named = 2};
    return items.kind == WE_J_FAILED ? items : we_jcall_callable(dump->run, we_jfind_filter(we_str_c("sort")), items, &args);
}

static bool dump_dict(struct dump *dump, const struct we_jdict *dict)
{
    struct we_jvalue sorted = we_jnone();
    if (dict->count == 0)
        return we_jwrite_c(dump->run, "{}");
    if (dump->sort_keys && (sorted = sorted_entries(dump, dict)).kind == WE_J_FAILED)
        return false;
    bool fine = we_jwrite_c(dump->run, "{");
    dump->level++;
    for (size_t i = 0; fine && i < dict->count; i++) {
        const struct we_jvalue *pair = sorted.kind == WE_J_LIST ? sorted.list->items[i].list->items : NULL;
        struct we_jvalue key = pair ? pair[0] : dict->entries[i].key, value = pair ? pair[1] : dict->entries[i].value;
        fine = (i == 0 || we_jwrite(dump->run, dump->between_items)) && dump_newline(dump) && dump_key(dump, key) &&
               we_jwrite(dump->run, dump->after_key) && dump_value(dump, value);
    }
    dump->level--;
    return fine && dump_newline(dump) && we_jwrite_c(dump->run, "}");
}

static bool dump_value(struct dump *dump, struct we_jvalue value)
{
    struct we_jrun *run = dump->run;
    char text[24];
    bool fine;
    if (!we_jcharge(run, 1))
        return false;
    switch (value.kind) {
    case WE_J_NONE:
        return we_jwrite_c(run, "null");
    case WE_J_BOOL:
        return we_jwrite_c(run, value.boolean ? "true" : "false");
    case WE_J_INT:
        snprintf(text, sizeof text, "%" PRId64, value.integer);
        return we_jwrite_c(run, text);
    case WE_J_BIG:
        return we_jwrite(run, we_jtext(value));
    case WE_J_FLOAT:
        return dump_float(dump, value.number);
    case WE_J_STRING:
        return dump_string(dump, we_jtext(value));
    case WE_J_LIST:
    case WE_J_TUPLE:
    case WE_J_DICT:
        if (!we_jenter(run))
            return false;
        fine = value.kind == WE_J_DICT ? dump_dict(dump, value.dict) : dump_list(dump, value.list);
        we_jleave(run);
        return fine;
    case WE_J_FAILED:
        return false;
    default:
        we_jfail(run, "Object of type %s is not JSON serializable", we_jtype_name(value));
        return false;
    }
}

/* (item separator, key separator) */
static bool take_separators(struct dump *dump, struct we_jvalue separators)
{
    if (!we_jgiven(separators))
        return true;
    struct we_jvalue pair = we_jto_list(dump->run, separators, WE_J_LIST);
    if (pair.kind == WE_J_FAILED)
        return false;
    if (pair.list->count != 2) {
        we_jfail(dump->run, "separators must be a pair, (item, key)");
        return false;
    }
    if (!we_jarg_string(dump->run, "a separator", pair.list->items[0]) || !we_jarg_string(dump->run, "a separator", pair.list->items[1]))
        return false;
    dump->between_items = we_jtext(pair.list->items[0]);
    dump->after_key = we_jtext(pair.list->items[1]);
    return true;
}

struct we_jvalue we_jfilter_tojson(struct we_jrun *run, struct we_jvalue *a)
{
    int ascii = we_jflag(run, a[1]), sort_keys = we_jflag(run, a[4]);
    struct dump dump = {.run = run, .between_items = we_str_c(", "), .after_key = we_str_c(": ")};
    if (ascii < 0 || sort_keys < 0)
        return we_jfailed();
    dump.ascii = ascii;
    dump.sort_keys = sort_keys;
    if (we_jgiven(a[2])) {
        dump.indented = true;
        dump.between_items = we_str_c(",");
        int64_t width;
        if (a[2].kind == WE_J_STRING) {
            dump.indent = we_jtext(a[2]);
        } else {
            if (!we_jarg_int(run, a[2], 0, &width))
                return we_jfailed();
            struct we_jvalue spaces = we_jbinary(run, WE_J_MUL, we_jstring_c(" "), we_jint(width));
            if (spaces.kind == WE_J_FAILED)
                return spaces;
            dump.indent = we_jtext(spaces);
        }
    }
    size_t begin = we_jtext_begin(run);
    if (!take_separators(&dump, a[3]) || !dump_value(&dump, a[0]))
        return we_jfailed();
    return we_jtext_end(run, begin);
}
