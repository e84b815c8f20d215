/* Truth, equality, order, membership and length, as Python has them. */
#include "text/jinja_methods.h"

const char *we_jtype_name(struct we_jvalue value)
{
    static const char *const names[] = {
        "missing", "failed", "Undefined", "NoneType", "bool", "int", "int", "float", "str", "list", "tuple", "dict", "range",
        "view", "generator", "Namespace", "Macro", "LoopContext", "Cycler", "Joiner", "method", "function",
        "TemplateReference", "BlockReference"};
    static const char *const views[] = {"dict_keys", "dict_values", "dict_items"};
    if (value.kind == WE_J_VIEW)
        return views[value.view->which];
    if (value.kind == WE_J_ITERATOR)
        return value.iterator->type;
    if (value.kind == WE_J_STRING && value.flags & WE_J_MARKUP)
        return "Markup";
    return names[value.kind];
}

bool we_jhas_length(struct we_jvalue value)
{
    switch (value.kind) {
    case WE_J_UNDEFINED:
    case WE_J_STRING:
    case WE_J_LIST:
    case WE_J_TUPLE:
    case WE_J_DICT:
    case WE_J_RANGE:
    case WE_J_VIEW:
    case WE_J_LOOP:
        return true;
    default:
        return false;
    }
}

bool we_jlength(struct we_jrun *run, struct we_jvalue value, size_t *length)
{
    *length = 0;
    switch (value.kind) {
    case WE_J_UNDEFINED:
        return true;
    case WE_J_STRING:
        *length = we_jcharacters(we_jtext(value));
        return we_jcharge_bytes(run, value.length);
    case WE_J_LIST:
    case WE_J_TUPLE:
        *length = value.list->count;
        return true;
    case WE_J_DICT:
        *length = value.dict->count;
        return true;
    case WE_J_VIEW:
        *length = value.view->dict->count;
        return true;
    case WE_J_RANGE:
        *length = value.range->count;
        return true;
    case WE_J_LOOP:
        return we_jloop_length(run, value.loop, length);
    case WE_J_FAILED:
        return false;
    default:
        we_jfail(run, "object of type '%s' has no len()", we_jtype_name(value));
        return false;
    }
}

int we_jtruth(struct we_jrun *run, struct we_jvalue value)
{
    size_t length;
    switch (value.kind) {
    case WE_J_FAILED:
        return -1;
    case WE_J_UNDEFINED:
    case WE_J_NONE:
        return 0;
    case WE_J_BOOL:
        return value.boolean;
    case WE_J_INT:
        return value.integer != 0;
    case WE_J_FLOAT:
        return value.number != 0;
    case WE_J_STRING:
        return value.length != 0;
    default:
        if (!we_jhas_length(value))
            return 1;
        return we_jlength(run, value, &length) ? length != 0 : -1;
    }
}

bool we_jidentical(struct we_jvalue a, struct we_jvalue b)
{
    if (a.kind != b.kind)
        return false;
    switch (a.kind) {
    case WE_J_NONE:
        return true;
    case WE_J_BOOL:
        return a.boolean == b.boolean;
    case WE_J_INT: /* Python keeps one object of each small integer */
        return a.integer == b.integer && a.integer >= -5 && a.integer <= 256;
    case WE_J_FLOAT:
        return false;
    case WE_J_STRING:
        return a.text == b.text && a.length == b.length && a.flags == b.flags;
    default:
        return a.list == b.list;
    }
}

/* ---- equality ---- */

static int equal_numbers(struct we_jvalue a, struct we_jvalue b)
{
    if (a.kind != WE_J_FLOAT && b.kind != WE_J_FLOAT)
        return we_jas_int(a) == we_jas_int(b);
    if (a.kind == WE_J_FLOAT && b.kind == WE_J_FLOAT)
        return a.number == b.number;
    int64_t integer;
    struct we_jvalue real = a.kind == WE_J_FLOAT ? a : b, other = a.kind == WE_J_FLOAT ? b : a;
    return we_jdouble_to_int(real.number, &integer) && integer == we_jas_int(other);
}

static int equal_lists(struct we_jrun *run, const struct we_jlist *a, const struct we_jlist *b)
{
    if (a->count != b->count)
        return 0;
    if (a == b)
        return 1;
    if (!we_jenter(run))
        return -1;
    int equal = 1;
    for (size_t i = 0; equal == 1 && i < a->count; i++)
        equal = we_jcharge(run, 1) ? we_jequal(run, a->items[i], b->items[i]) : -1;
    we_jleave(run);
    return equal;
}

static int equal_dicts(struct we_jrun *run, const struct we_jdict *a, const struct we_jdict *b)
{
    if (a->count != b->count)
        return 0;
    if (a == b)
        return 1;
    if (!we_jenter(run))
        return -1;
    int equal = 1;
    for (size_t i = 0; equal == 1 && i < a->count; i++) {
        struct we_jvalue other;
        equal = we_jcharge(run, 1) ? we_jdict_get(run, b, a->entries[i].key, &other) : -1;
        if (equal == 1)
            equal = we_jequal(run, a->entries[i].value, other);
    }
    we_jleave(run);
    return equal;
}

static int equal_views(struct we_jrun *run, const struct we_jview *a, const struct we_jview *b)
{
    if (a == b)
        return 1;
    if (a->which != b->which || a->which == WE_J_VALUES)
        return 0;
    if (a->which == WE_J_ITEMS)
        return equal_dicts(run, a->dict, b->dict);
    if (a->dict->count != b->dict->count)
        return 0;
    int equal = 1;
    for (size_t i = 0; equal == 1 && i < a->dict->count; i++) {
        struct we_jvalue other;
        equal = we_jcharge(run, 1) ? we_jdict_get(run, b->dict, a->dict->entries[i].key, &other) : -1;
    }
    return equal;
}

int we_jequal(struct we_jrun *run, struct we_jvalue a, struct we_jvalue b)
{
    if (a.kind == WE_J_FAILED || b.kind == WE_J_FAILED)
        return -1;
    if (we_jis_number(a) && we_jis_number(b))
        return equal_numbers(a, b);
    if (a.kind != b.kind)
        return 0;
    switch (a.kind) {
    case WE_J_UNDEFINED:
    case WE_J_NONE:
        return 1;
    case WE_J_STRING:
    case WE_J_BIG:
        if (a.length != b.length)
            return 0;
        return we_jcharge_bytes(run, a.length) ? a.length == 0 || memcmp(a.text, b.text, a.length) == 0 : -1;
    case WE_J_LIST:
    case WE_J_TUPLE:
        return equal_lists(run, a.list, b.list);
    case WE_J_DICT:
        return equal_dicts(run, a.dict, b.dict);
    case WE_J_VIEW:
        return equal_views(run, a.view, b.view);
    case WE_J_RANGE:
        return a.range->count == b.range->count &&
               (a.range->count == 0 || (a.range->start == b.range->start &&
                                        (a.range->count == 1 || a.range->step == b.range->step)));
    case WE_J_METHOD:
        return a.method->callable == b.method->callable && we_jidentical(a.method->self, b.method->self);
    default:
        return we_jidentical(a, b);
    }
}

/* ---- order ---- */

/* The order of a known comparison's operands, as the operator sees it. */
static int by_operator(int order, const char *operator)
{
    bool or_equal = operator[1] == '=';
    return operator[0] == '<' ? (or_equal ? order <= 0 : order < 0) : (or_equal ? order >= 0 : order > 0);
}

static int order_numbers(struct we_jvalue a, struct we_jvalue b, const char *operator)
{
    if (a.kind != WE_J_FLOAT && b.kind != WE_J_FLOAT) {
        int64_t x = we_jas_int(a), y = we_jas_int(b);
        return by_operator((x > y) - (x < y), operator);
    }
    double x = we_jas_double(a), y = we_jas_double(b);
    if (x != x || y != y)
        return 0;
    int order = (x > y) - (x < y);
    if (order == 0 && a.kind != b.kind) { /* an integer may have lost digits on its way to a double */
        int64_t integer;
        if (a.kind == WE_J_FLOAT && we_jdouble_to_int(x, &integer))
            order = (integer > we_jas_int(b)) - (integer < we_jas_int(b));
        else if (b.kind == WE_J_FLOAT && we_jdouble_to_int(y, &integer))
            order = (we_jas_int(a) > integer) - (we_jas_int(a) < integer);
    }
    return by_operator(order, operator);
}

static int order_lists(struct we_jrun *run, const struct we_jlist *a, const struct we_jlist *b, const char *operator)
{
    size_t n = a->count < b->count ? a->count : b->count;
    if (!we_jenter(run))
        return -1;
    int result = -2;
    for (size_t i = 0; result == -2 && i < n; i++) {
        int equal = we_jcharge(run, 1) ? we_jequal(run, a->items[i], b->items[i]) : -1;
        if (equal < 0)
            result = -1;
        else if (!equal)
            result = we_jorder(run, a->items[i], b->items[i], operator);
    }
    we_jleave(run);
    return result != -2 ? result : by_operator((a->count > b->count) - (a->count < b->count), operator);
}

int we_jorder(struct we_jrun *run, struct we_jvalue a, struct we_jvalue b, const char *operator)
{
    if (a.kind == WE_J_FAILED || b.kind == WE_J_FAILED)
        return -1;
    if (we_jis_number(a) && we_jis_number(b))
        return order_numbers(a, b, operator);
    if (a.kind == WE_J_UNDEFINED || b.kind == WE_J_UNDEFINED) {
        we_jfail_undefined(run, a.kind == WE_J_UNDEFINED ? a : b);
        return -1;
    }
    if (a.kind == WE_J_STRING && b.kind == WE_J_STRING) {
        if (!we_jcharge_bytes(run, a.length < b.length ? a.length : b.length))
            return -1;
        return by_operator(we_str_compare(we_jtext(a), we_jtext(b)), operator);
    }
    if (we_jis_sequence(a) && a.kind == b.kind)
        return order_lists(run, a.list, b.list, operator);
    if (a.kind == WE_J_BIG || b.kind == WE_J_BIG)
        we_jfail(run, "an integer beyond 64 bits in a comparison, which is not supported");
    else
        we_jfail(run, "'%s' not supported between instances of '%s' and '%s'", operator, we_jtype_name(a), we_jtype_name(b));
    return -1;
}

/* ---- membership ---- */

static int contains_text(struct we_jrun *run, struct we_jvalue container, struct we_jvalue item)
{
    if (item.kind != WE_J_STRING) {
        we_jfail(run, "'in <string>' requires string as left operand, not %s", we_jtype_name(item));
        return -1;
    }
    if (!we_jcharge_bytes(run, container.length))
        return -1;
    size_t at;
    return we_jsearch(run, we_jtext(container), we_jtext(item), 0, &at) ? at != SIZE_MAX : -1;
}

static int contains_number(const struct we_jrange *range, struct we_jvalue item)
{
    int64_t integer;
    if (item.kind == WE_J_FLOAT ? !we_jdouble_to_int(item.number, &integer) : !we_jis_int(item))
        return 0;
    if (item.kind != WE_J_FLOAT)
        integer = we_jas_int(item);
    if (range->count == 0 || (range->step > 0 ? integer < range->start || integer >= range->stop
                                              : integer > range->start || integer <= range->stop))
        return 0;
    __int128 distance = (__int128)integer - range->start;
    return distance % range->step == 0;
}

int we_jcontains(struct we_jrun *run, struct we_jvalue container, struct we_jvalue item)
{
    if (item.kind == WE_J_FAILED)
        return -1;
    struct we_jvalue ignored;
    if (container.kind == WE_J_STRING)
        return contains_text(run, container, item);
    if (container.kind == WE_J_DICT)
        return we_jdict_get(run, container.dict, item, &ignored);
    if (container.kind == WE_J_RANGE)
        return contains_number(container.range, item);
    if (container.kind == WE_J_VIEW && container.view->which == WE_J_KEYS)
        return we_jdict_get(run, container.view->dict, item, &ignored);
    if (container.kind != WE_J_FAILED && !we_jis_iterable(container)) {
        we_jfail(run, "argument of type '%s' is not iterable", we_jtype_name(container));
        return -1;
    }
    struct we_jiter iter;
    struct we_jvalue value;
    int more = we_jiter_start(run, container, &iter) ? 1 : -1;
    while (more == 1 && (more = we_jiter_next(run, &iter, &value)) == 1) {
        int equal = we_jidentical(value, item) ? 1 : we_jequal(run, value, item);
        if (equal != 0)
            return equal;
    }
    return more;
}
