/* Methods of strings that make other strings. */
#include "text/jinja_methods.h"

struct we_jvalue we_jreplace(struct we_jrun *run, struct we_jvalue string, struct we_str old, struct we_str new, int64_t count)
{
    struct we_str text = we_jtext(string);
    if (!we_jcharge_bytes(run, text.length))
        return we_jfailed();
    size_t at = 0, begin = we_jtext_begin(run), next;
    bool fine = true, changed = false;
    while (fine && count != 0 && (fine = we_jsearch(run, text, old, at, &next)) && next != SIZE_MAX) {
        if (old.length == 0) { /* before each character, and at the end */
            size_t size = 0;
            if (next < text.length)
                we_jchar_at(text, next, &size);
            fine = we_jwrite(run, new) && we_jwrite(run, we_str(text.data + next, size));
            at = next + (size ? size : 1);
        } else {
            fine = we_jwrite(run, we_str(text.data + at, next - at)) && we_jwrite(run, new);
            at = next + old.length;
        }
        changed = true;
        count -= count > 0;
    }
    if (!changed)
        return fine ? string : we_jfailed();
    if (at < text.length)
        fine = fine && we_jwrite(run, we_str(text.data + at, text.length - at));
    if (!fine)
        return we_jfailed();
    struct we_jvalue result = we_jtext_end(run, begin);
    return string.flags & WE_J_MARKUP ? we_jmarkup(result) : result;
}

static struct we_jvalue method_replace(struct we_jrun *run, struct we_jvalue *a)
{
    int64_t count;
    if (!we_jarg_string(run, "the text to replace", a[1]) || !we_jarg_string(run, "the replacement", a[2]) ||
        !we_jarg_int(run, a[3], -1, &count))
        return we_jfailed();
    struct we_jvalue new = a[0].flags & WE_J_MARKUP ? we_jescape(run, a[2]) : a[2];
    return new.kind == WE_J_FAILED ? new : we_jreplace(run, a[0], we_jtext(a[1]), we_jtext(new), count);
}

struct we_jvalue we_jchange_case(struct we_jrun *run, struct we_jvalue string, enum we_jcase to)
{
    size_t begin = we_jtext_begin(run);
    if (!we_jwrite_case(run, we_jtext(string), to))
        return we_jfailed();
    struct we_jvalue result = we_jtext_end(run, begin);
    return string.flags & WE_J_MARKUP ? we_jmarkup(result) : result;
}

static struct we_jvalue method_upper(struct we_jrun *run, struct we_jvalue *a)
{
    return we_jchange_case(run, a[0], WE_J_UPPER);
}

static struct we_jvalue method_lower(struct we_jrun *run, struct we_jvalue *a)
{
    return we_jchange_case(run, a[0], WE_J_LOWER);
}

static struct we_jvalue method_title(struct we_jrun *run, struct we_jvalue *a)
{
    return we_jchange_case(run, a[0], WE_J_TITLE);
}

static struct we_jvalue method_capitalize(struct we_jrun *run, struct we_jvalue *a)
{
    return we_jchange_case(run, a[0], WE_J_CAPITALIZE);
}

static struct we_jvalue method_swapcase(struct we_jrun *run, struct we_jvalue *a)
{
    return we_jchange_case(run, a[0], WE_J_SWAP);
}

static struct we_jvalue method_casefold(struct we_jrun *run, struct we_jvalue *a)
{
    return we_jchange_case(run, a[0], WE_J_FOLD);
}

struct we_jvalue we_jpad(struct we_jrun *run, struct we_jvalue string, int64_t width, struct we_str fill, enum we_jside side)
{
    struct we_str text = we_jtext(string);
    int64_t length = (int64_t)we_jcharacters(text);
    if (width <= length)
        return string;
    size_t total = (size_t)(width - length), begin = we_jtext_begin(run);
    /* Python gives the odd one to the left if the width is odd too. */
    size_t left = side == WE_J_PAD_LEFT ? total : side == WE_J_PAD_RIGHT ? 0 : total / 2 + (total & (size_t)width & 1);
    if (!we_jwrite_repeat(run, fill, left) || !we_jwrite(run, text) || !we_jwrite_repeat(run, fill, total - left))
        return we_jfailed();
    struct we_jvalue result = we_jtext_end(run, begin);
    return string.flags & WE_J_MARKUP ? we_jmarkup(result) : result;
}

static struct we_jvalue pad(struct we_jrun *run, const struct we_jvalue *a, enum we_jside side)
{
    int64_t width;
    struct we_jvalue fill = a[2].kind == WE_J_MISSING ? we_jstring_c(" ") : a[2];
    if (!we_jarg_int(run, a[1], 0, &width) || !we_jarg_string(run, "the fill character", fill))
        return we_jfailed();
    if (we_jcharacters(we_jtext(fill)) != 1)
        return we_jfail(run, "The fill character must be exactly one character long");
    return we_jpad(run, a[0], width, we_jtext(fill), side);
}

static struct we_jvalue method_center(struct we_jrun *run, struct we_jvalue *a)
{
    return pad(run, a, WE_J_PAD_BOTH);
}

static struct we_jvalue method_ljust(struct we_jrun *run, struct we_jvalue *a)
{
    return pad(run, a, WE_J_PAD_RIGHT);
}

static struct we_jvalue method_rjust(struct we_jrun *run, struct we_jvalue *a)
{
    return pad(run, a, WE_J_PAD_LEFT);
}

static struct we_jvalue method_zfill(struct we_jrun *run, struct we_jvalue *a)
{
    int64_t width;
    if (!we_jarg_int(run, a[1], 0, &width))
        return we_jfailed();
    struct we_str text = we_jtext(a[0]);
    size_t sign = text.length && (text.data[0] == '-' || text.data[0] == '+'), begin = we_jtext_begin(run);
    int64_t length = (int64_t)we_jcharacters(text);
    size_t zeros = width > length ? (size_t)(width - length) : 0;
    if (!we_jwrite(run, we_str(text.data, sign)) || !we_jwrite_repeat(run, we_str_c("0"), zeros) ||
        !we_jwrite(run, we_str(text.data + sign, text.length - sign)))
        return we_jfailed();
    struct we_jvalue result = we_jtext_end(run, begin);
    return a[0].flags & WE_J_MARKUP ? we_jmarkup(result) : result;
}

static struct we_jvalue method_expandtabs(struct we_jrun *run, struct we_jvalue *a)
{
    int64_t tab;
    if (!we_jarg_int(run, a[1], 8, &tab))
        return we_jfailed();
    struct we_str text = we_jtext(a[0]);
    size_t begin = we_jtext_begin(run), column = 0, stop = tab > 0 ? (size_t)tab : 0;
    for (size_t at = 0, size; at < text.length; at += size) {
        uint32_t c = we_jchar_at(text, at, &size);
        size_t spaces = c == '\t' && stop ? stop - column % stop : 0;
        if (!(c == '\t' ? we_jwrite_repeat(run, we_str_c(" "), spaces) : we_jwrite(run, we_str(text.data + at, size))))
            return we_jfailed();
        column = c == '\n' || c == '\r' ? 0 : column + (c == '\t' ? spaces : 1);
    }
    struct we_jvalue result = we_jtext_end(run, begin);
    return a[0].flags & WE_J_MARKUP ? we_jmarkup(result) : result;
}

static struct we_jvalue method_join(struct we_jrun *run, struct we_jvalue *a)
{
    struct we_jiter iter;
    struct we_jvalue item;
    size_t begin = we_jtext_begin(run), count = 0;
    bool markup = a[0].flags & WE_J_MARKUP;
    if (!we_jiter_start(run, a[1], &iter))
        return we_jfailed();
    int more;
    while ((more = we_jiter_next(run, &iter, &item)) == 1) {
        if (!markup && item.kind != WE_J_STRING)
            return we_jfail(run, "sequence item %zu: expected str instance, %s found", count, we_jtype_name(item));
        if (markup)
            item = we_jescape(run, item);
        if (item.kind == WE_J_FAILED || (count++ && !we_jwrite(run, we_jtext(a[0]))) || !we_jwrite(run, we_jtext(item)))
            return we_jfailed();
    }
    if (more < 0)
        return we_jfailed();
    struct we_jvalue result = we_jtext_end(run, begin);
    return markup ? we_jmarkup(result) : result;
}

static struct we_jvalue method_format(struct we_jrun *run, const struct we_jargs *args)
{
    struct we_jargs rest = *args;
    rest.values++;
    rest.count--;
    return we_jformat_braces(run, args->values[0], &rest);
}

static struct we_jvalue method_format_map(struct we_jrun *run, struct we_jvalue *a)
{
    if (a[1].kind != WE_J_DICT)
        return we_jfail(run, "format_map() of a %s, which is not supported", we_jtype_name(a[1]));
    size_t count = a[1].dict->count;
    struct we_str *names = we_jalloc(run, count, sizeof *names);
    struct we_jvalue *values = we_jalloc(run, count, sizeof *values);
    struct we_jargs args = {.names = names, .named = values};
    for (size_t i = 0; names && values && i < count; i++) {
        if (a[1].dict->entries[i].key.kind != WE_J_STRING)
            continue;
        names[args.num_named] = we_jtext(a[1].dict->entries[i].key);
        values[args.num_named++] = a[1].dict->entries[i].value;
    }
    return names && values ? we_jformat_braces(run, a[0], &args) : we_jfailed();
}

static struct we_jvalue method_unsupported(struct we_jrun *run, const struct we_jargs *args)
{
    (void)args;
    return we_jfail(run, "the string methods encode, translate and maketrans are not supported");
}

const struct we_jcallable we_jstring_change_methods[] = {
    {"capitalize", 1, 1, {0}, method_capitalize, NULL},
    {"casefold", 1, 1, {0}, method_casefold, NULL},
    {"center", 2, 3, {0}, method_center, NULL},
    {"encode", 1, 1, {0}, NULL, method_unsupported},
    {"expandtabs", 1, 2, {0, "tabsize"}, method_expandtabs, NULL},
    {"format", 1, 1, {0}, NULL, method_format},
    {"format_map", 2, 2, {0}, method_format_map, NULL},
    {"join", 2, 2, {0}, method_join, NULL},
    {"ljust", 2, 3, {0}, method_ljust, NULL},
    {"lower", 1, 1, {0}, method_lower, NULL},
    {"maketrans", 1, 1, {0}, NULL, method_unsupported},
    {"replace", 3, 4, {0}, method_replace, NULL},
    {"rjust", 2, 3, {0}, method_rjust, NULL},
    {"swapcase", 1, 1, {0}, method_swapcase, NULL},
    {"title", 1, 1, {0}, method_title, NULL},
    {"translate", 1, 1, {0}, NULL, method_unsupported},
    {"upper", 1, 1, {0}, method_upper, NULL},
    {"zfill", 2, 2, {0}, method_zfill, NULL},
    {0},
};
