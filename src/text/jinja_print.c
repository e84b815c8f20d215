/* str() and repr(). */
#include "text/jinja_run.h"

#include <inttypes.h>
#include <stdio.h>

/* The containers that are being printed, so that one that holds itself ends. */
struct open {
    const struct open *outer;
    const void *container;
};

static bool print_repr(struct we_jrun *run, struct we_jvalue value, const struct open *open);

static bool print_format(struct we_jrun *run, const char *format, const char *text)
{
    char buffer[160];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    int n = snprintf(buffer, sizeof buffer, format, text);
#pragma GCC diagnostic pop
    return we_jwrite(run, we_str(buffer, n < 0 ? 0 : (size_t)n < sizeof buffer ? (size_t)n : sizeof buffer - 1));
}

static bool print_escaped(struct we_jrun *run, uint32_t c)
{
    char text[16];
    int n = snprintf(text, sizeof text, c < 0x100 ? "\\x%02" PRIx32 : c < 0x10000 ? "\\u%04" PRIx32 : "\\U%08" PRIx32, c);
    return we_jwrite(run, we_str(text, (size_t)n));
}

static bool print_string(struct we_jrun *run, struct we_str text)
{
    bool single = text.length && memchr(text.data, '\'', text.length), twice = text.length && memchr(text.data, '"', text.length);
    char quote = single && !twice ? '"' : '\'';
    bool fine = we_jcharge_bytes(run, 4 * text.length) && we_jwrite(run, we_str(&quote, 1));
    size_t plain = 0, at = 0;
    while (fine && at < text.length) {
        size_t size;
        uint32_t c = we_jchar_at(text, at, &size);
        static const char special[] = "\\\n\r\t";
        bool quoted = c == (uint32_t)quote || c == '\\';
        if (quoted || !we_jis_printable(c)) {
            fine = we_jwrite(run, we_str(text.data + plain, at - plain));
            const char *found = c && c < 0x80 ? strchr(special, (int)c) : NULL;
            if (quoted)
                fine = fine && we_jwrite_c(run, "\\") && we_jwrite(run, we_str(text.data + at, 1));
            else if (found)
                fine = fine && we_jwrite_c(run, c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t");
            else
                fine = fine && (c == ' ' ? we_jwrite_c(run, " ") : print_escaped(run, c));
            plain = at + size;
        }
        at += size;
    }
    return fine && we_jwrite(run, we_str(text.data + plain, at - plain)) && we_jwrite(run, we_str(&quote, 1));
}

static bool print_list(struct we_jrun *run, struct we_jvalue value, const struct open *open)
{
    bool list = value.kind == WE_J_LIST, fine = we_jwrite_c(run, list ? "[" : "(");
    for (size_t i = 0; fine && i < value.list->count; i++)
        fine = (i == 0 || we_jwrite_c(run, ", ")) && print_repr(run, value.list->items[i], open);
    return fine && we_jwrite_c(run, list ? "]" : value.list->count == 1 ? ",)" : ")");
}

static bool print_dict(struct we_jrun *run, const struct we_jdict *dict, const struct open *open)
{
    bool fine = we_jwrite_c(run, "{");
    for (size_t i = 0; fine && i < dict->count; i++)
        fine = (i == 0 || we_jwrite_c(run, ", ")) && print_repr(run, dict->entries[i].key, open) && we_jwrite_c(run, ": ") &&
               print_repr(run, dict->entries[i].value, open);
    return fine && we_jwrite_c(run, "}");
}

static bool print_view(struct we_jrun *run, const struct we_jview *view, const struct open *open)
{
    static const char *const names[] = {"dict_keys([", "dict_values([", "dict_items(["};
    bool fine = we_jwrite_c(run, names[view->which]);
    for (size_t i = 0; fine && i < view->dict->count; i++) {
        const struct we_jentry *entry = &view->dict->entries[i];
        fine = i == 0 || we_jwrite_c(run, ", ");
        if (view->which == WE_J_ITEMS)
            fine = fine && we_jwrite_c(run, "(") && print_repr(run, entry->key, open) && we_jwrite_c(run, ", ") &&
                   print_repr(run, entry->value, open) && we_jwrite_c(run, ")");
        else
            fine = fine && print_repr(run, view->which == WE_J_KEYS ? entry->key : entry->value, open);
    }
    return fine && we_jwrite_c(run, "])");
}

static bool print_container(struct we_jrun *run, struct we_jvalue value, const struct open *outer)
{
    const void *container = value.kind == WE_J_VIEW ? (const void *)value.view : (const void *)value.list;
    struct open open = {.outer = outer, .container = container};
    for (const struct open *o = outer; o; o = o->outer)
        if (o->container == container)
            return we_jwrite_c(run, value.kind == WE_J_LIST    ? "[...]"
                                    : value.kind == WE_J_TUPLE ? "(...)"
                                    : value.kind == WE_J_VIEW  ? "..."
                                                               : "{...}");
    if (!we_jenter(run) || !we_jcharge(run, 1 + run->depth / 16))
        return false;
    bool fine;
    if (we_jis_sequence(value))
        fine = print_list(run, value, &open);
    else if (value.kind == WE_J_VIEW)
        fine = print_view(run, value.view, &open);
    else
        fine = print_dict(run, value.dict, &open);
    we_jleave(run);
    return fine;
}

static bool print_range(struct we_jrun *run, const struct we_jrange *range)
{
    char text[96];
    if (range->step == 1)
        snprintf(text, sizeof text, "range(%" PRId64 ", %" PRId64 ")", range->start, range->stop);
    else
        snprintf(text, sizeof text, "range(%" PRId64 ", %" PRId64 ", %" PRId64 ")", range->start, range->stop, range->step);
    return we_jwrite_c(run, text);
}

static bool print_loop(struct we_jrun *run, struct we_jloop *loop)
{
    size_t length;
    char text[80];
    if (!we_jloop_length(run, loop, &length))
        return false;
    snprintf(text, sizeof text, "<LoopContext %" PRId64 "/%zu>", loop->index0 + 1, length);
    return we_jwrite_c(run, text);
}

/* What has no text of its own in Python either: there it shows an address. */
static bool print_object(struct we_jrun *run, struct we_jvalue value)
{
    switch (value.kind) {
    case WE_J_MACRO: {
        const struct we_jnode *target = value.macro->node->macro.macro->target;
        if (target == NULL)
            return we_jwrite_c(run, "<Macro anonymous>");
        return we_jwrite_c(run, "<Macro ") && print_string(run, target->name.text) && we_jwrite_c(run, ">");
    }
    case WE_J_METHOD:
        return print_format(run, "<built-in method %s>", value.method->callable->name);
    case WE_J_FUNCTION:
        return print_format(run, "<function %s>", value.function->name);
    default:
        return print_format(run, "<%s object>", we_jtype_name(value));
    }
}

static bool print_number(struct we_jrun *run, struct we_jvalue value)
{
    char text[WE_J_FLOAT_TEXT];
    size_t n = value.kind == WE_J_FLOAT ? we_jfloat_repr(value.number, text)
                                        : (size_t)snprintf(text, sizeof text, "%" PRId64, value.integer);
    return we_jwrite(run, we_str(text, n));
}

static bool print_repr(struct we_jrun *run, struct we_jvalue value, const struct open *open)
{
    if (!we_jcharge(run, 1))
        return false;
    switch (value.kind) {
    case WE_J_UNDEFINED:
        return we_jwrite_c(run, "Undefined");
    case WE_J_NONE:
        return we_jwrite_c(run, "None");
    case WE_J_BOOL:
        return we_jwrite_c(run, value.boolean ? "True" : "False");
    case WE_J_INT:
    case WE_J_FLOAT:
        return print_number(run, value);
    case WE_J_BIG:
        return we_jwrite(run, we_jtext(value));
    case WE_J_STRING:
        if (value.flags & WE_J_MARKUP)
            return we_jwrite_c(run, "Markup(") && print_string(run, we_jtext(value)) && we_jwrite_c(run, ")");
        return print_string(run, we_jtext(value));
    case WE_J_LIST:
    case WE_J_TUPLE:
    case WE_J_DICT:
    case WE_J_VIEW:
        return print_container(run, value, open);
    case WE_J_NAMESPACE:
        return we_jwrite_c(run, "<Namespace ") && print_container(run, value, open) && we_jwrite_c(run, ">");
    case WE_J_RANGE:
        return print_range(run, value.range);
    case WE_J_LOOP:
        return print_loop(run, value.loop);
    case WE_J_FAILED:
        return false;
    default:
        return print_object(run, value);
    }
}

bool we_jprint_repr(struct we_jrun *run, struct we_jvalue value)
{
    return print_repr(run, value, NULL);
}

bool we_jprint(struct we_jrun *run, struct we_jvalue value)
{
    if (value.kind == WE_J_STRING)
        return we_jwrite(run, we_jtext(value));
    return value.kind == WE_J_UNDEFINED || print_repr(run, value, NULL);
}

struct we_jvalue we_jto_string(struct we_jrun *run, struct we_jvalue value)
{
    if (value.kind == WE_J_STRING)
        return we_jstring(we_jtext(value));
    size_t begin = we_jtext_begin(run);
    return we_jprint(run, value) ? we_jtext_end(run, begin) : we_jfailed();
}

struct we_jvalue we_jsoft_string(struct we_jrun *run, struct we_jvalue value)
{
    return value.kind == WE_J_STRING ? value : we_jto_string(run, value);
}

bool we_jprint_undefined_message(struct we_jrun *run, const struct we_jundefined *undefined)
{
    if (undefined == NULL || undefined->hint) {
        const char *hint = undefined ? undefined->hint : "the value is undefined", *name = strchr(hint, '%');
        return we_jwrite(run, we_str(hint, name ? (size_t)(name - hint) : strlen(hint))) &&
               (name == NULL || (print_repr(run, undefined->name, NULL) && we_jwrite_c(run, name + 1)));
    }
    if (undefined->unsafe)
        return we_jwrite_c(run, "access to attribute ") && print_repr(run, undefined->name, NULL) && we_jwrite_c(run, " of '") &&
               we_jwrite_c(run, we_jtype_name(undefined->object)) && we_jwrite_c(run, "' object is unsafe.");
    if (undefined->object.kind == WE_J_MISSING)
        return print_repr(run, undefined->name, NULL) && we_jwrite_c(run, " is undefined");
    const char *type = undefined->object.kind == WE_J_NONE ? "None" : we_jtype_name(undefined->object);
    if (undefined->name.kind != WE_J_STRING)
        return we_jwrite_c(run, type) && we_jwrite_c(run, " object has no element ") && print_repr(run, undefined->name, NULL);
    return we_jwrite_c(run, "'") && we_jwrite_c(run, type) &&
           we_jwrite_c(run, undefined->object.kind == WE_J_NONE ? "' has no attribute " : " object' has no attribute ") &&
           print_repr(run, undefined->name, NULL);
}
