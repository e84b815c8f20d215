/* The table of filters, and those that choose and map the items of a sequence. */
#include "text/jinja_filters.h"

#include "text/jinja_methods.h"

static const struct we_jcallable *in_table(const struct we_jcallable *table, struct we_str name)
{
    for (; table->name; table++)
        if (we_str_equal_c(name, table->name))
            return table;
    return NULL;
}

const struct we_jcallable *we_jfind_filter(struct we_str name)
{
    const struct we_jcallable *const tables[] = {we_jfilters_value, we_jfilters_text, we_jfilters_sequence, we_jfilters_order};
    const struct we_jcallable *found = NULL;
    for (size_t i = 0; found == NULL && i < sizeof tables / sizeof tables[0]; i++)
        found = in_table(tables[i], name);
    return found;
}

bool we_jfilter_is_known(struct we_str name)
{
    static const char *const unsupported[] = {"pprint", "random", "striptags", "urlize", "wordwrap"};
    for (size_t i = 0; i < sizeof unsupported / sizeof unsupported[0]; i++)
        if (we_str_equal_c(name, unsupported[i]))
            return true;
    return false;
}

/* ---- attributes of items ---- */

static struct we_jvalue attribute_part(struct we_str part)
{
    int64_t index;
    for (size_t i = 0; i < part.length; i++)
        if (part.data[i] < '0' || part.data[i] > '9')
            return we_jstring(part);
    return we_jparse_int(part, 10, &index) == 1 ? we_jint(index) : we_jstring(part);
}

bool we_jgetter_init(struct we_jrun *run, struct we_jgetter *getter, struct we_jvalue attribute)
{
    struct we_jcollect parts = {0};
    *getter = (struct we_jgetter){0};
    if (!we_jgiven(attribute))
        return true;
    if (attribute.kind != WE_J_STRING)
        return we_jcollect_add(run, &parts, attribute) && (getter->parts = parts.list, true);
    struct we_str text = we_jtext(attribute);
    for (;;) {
        size_t dot = we_str_find(text, we_str_c("."), 0);
        struct we_str part = we_str(text.data, dot == SIZE_MAX ? text.length : dot);
        if (!we_jcollect_add(run, &parts, attribute_part(part)))
            return false;
        if (dot == SIZE_MAX)
            break;
        text = we_str(text.data + dot + 1, text.length - dot - 1);
    }
    getter->parts = parts.list;
    return true;
}

struct we_jvalue we_jgetter_get(struct we_jrun *run, const struct we_jgetter *getter, struct we_jvalue item)
{
    for (size_t i = 0; i < getter->parts.count; i++) {
        item = we_jget_item(run, item, getter->parts.items[i]);
        if (item.kind == WE_J_UNDEFINED && we_jgiven(getter->missing))
            item = getter->missing;
    }
    if (getter->ignore_case && item.kind == WE_J_STRING)
        item = we_jchange_case(run, item, WE_J_LOWER);
    return item;
}

/* ---- map, select, reject ---- */

/* What such a filter does with each item. Its arguments are looked at when the first item is wanted, as in Jinja. */
struct pick {
    struct we_jargs args;      /* without the sequence */
    struct we_jvalue sequence;
    bool ready, map, attribute, reject;
    struct we_jgetter getter;
    const struct we_jcallable *callable; /* filter or test; NULL: the item itself, or its truth */
    struct we_jargs rest;      /* for the callable */
    struct we_jiter iter;
};

static bool find_callable(struct we_jrun *run, struct pick *pick, size_t at)
{
    struct we_jvalue name = pick->args.values[at];
    const char *what = pick->map ? "filter" : "test";
    pick->rest = pick->args;
    pick->rest.values += at + 1;
    pick->rest.count -= at + 1;
    if (name.kind == WE_J_STRING)
        pick->callable = pick->map ? we_jfind_filter(we_jtext(name)) : we_jfind_test(we_jtext(name));
    if (pick->callable == NULL && name.kind == WE_J_STRING)
        we_jfail(run, "no %s named '%.*s'", what, WE_STR_ARG(we_jtext(name)));
    else if (pick->callable == NULL)
        we_jfail(run, "a %s of type '%s' (did you forget to quote its name?)", what, we_jtype_name(name));
    return pick->callable != NULL;
}

static bool prepare_map(struct we_jrun *run, struct pick *pick)
{
    struct we_jvalue attribute = we_jkind_value(WE_J_MISSING), missing = attribute;
    const struct we_str *unknown = NULL;
    for (size_t i = 0; i < pick->args.num_named; i++) {
        if (we_str_equal_c(pick->args.names[i], "attribute"))
            attribute = pick->args.named[i];
        else if (we_str_equal_c(pick->args.names[i], "default"))
            missing = pick->args.named[i];
        else
            unknown = &pick->args.names[i];
    }
    if (pick->args.count || attribute.kind == WE_J_MISSING) {
        if (pick->args.count == 0) {
            we_jfail(run, "map requires a filter argument");
            return false;
        }
        return find_callable(run, pick, 0);
    }
    if (unknown) {
        we_jfail(run, "Unexpected keyword argument '%.*s'", WE_STR_ARG(*unknown));
        return false;
    }
    if (!we_jgetter_init(run, &pick->getter, attribute))
        return false;
    pick->getter.missing = missing;
    return true;
}

static bool prepare_pick(struct we_jrun *run, struct pick *pick)
{
    if (pick->map)
        return prepare_map(run, pick);
    if (pick->attribute) {
        if (pick->args.count == 0) {
            we_jfail(run, "Missing parameter for attribute name");
            return false;
        }
        if (!we_jgetter_init(run, &pick->getter, pick->args.values[0]))
            return false;
    }
    return pick->args.count <= pick->attribute || find_callable(run, pick, pick->attribute);
}

static int next_pick(struct we_jrun *run, struct we_jiter *iter, struct we_jvalue *value)
{
    struct pick *pick = iter->state;
    if (!pick->ready) {
        int truth = we_jtruth(run, pick->sequence);
        if (truth != 1)
            return truth;
        if (!prepare_pick(run, pick) || !we_jiter_start(run, pick->sequence, &pick->iter))
            return -1;
        pick->ready = true;
    }
    for (;;) {
        struct we_jvalue item;
        int more = we_jiter_next(run, &pick->iter, &item);
        if (more != 1)
            return more;
        struct we_jvalue seen = we_jgetter_get(run, &pick->getter, item);
        if (seen.kind != WE_J_FAILED && pick->callable)
            seen = we_jcall_callable(run, pick->callable, seen, &pick->rest);
        *value = pick->map ? seen : item;
        int truth = pick->map ? seen.kind == WE_J_FAILED ? -1 : 1 : we_jtruth(run, seen);
        if (truth < 0)
            return -1;
        if (pick->map || truth != pick->reject)
            return 1;
    }
}

static struct we_jvalue pick(struct we_jrun *run, const struct we_jargs *args, struct pick how)
{
    struct pick *state = we_jalloc(run, 1, sizeof *state);
    struct we_jvalue *values = we_jalloc(run, args->count + args->num_named, sizeof *values);
    if (state == NULL || values == NULL)
        return we_jfailed();
    /* The arguments outlive the call. */
    memcpy(values, args->values, args->count * sizeof *values);
    if (args->num_named)
        memcpy(values + args->count, args->named, args->num_named * sizeof *values);
    *state = how;
    state->args = (struct we_jargs){.values = values + 1, .count = args->count - 1, .names = args->names,
                                    .named = values + args->count, .num_named = args->num_named};
    state->sequence = args->values[0];
    return we_jgenerator(run, we_jkind_value(WE_J_MISSING), next_pick, state);
}

static struct we_jvalue filter_map(struct we_jrun *run, const struct we_jargs *args)
{
    return pick(run, args, (struct pick){.map = true});
}

static struct we_jvalue filter_select(struct we_jrun *run, const struct we_jargs *args)
{
    return pick(run, args, (struct pick){0});
}

static struct we_jvalue filter_reject(struct we_jrun *run, const struct we_jargs *args)
{
    return pick(run, args, (struct pick){.reject = true});
}

static struct we_jvalue filter_selectattr(struct we_jrun *run, const struct we_jargs *args)
{
    return pick(run, args, (struct pick){.attribute = true});
}

static struct we_jvalue filter_rejectattr(struct we_jrun *run, const struct we_jargs *args)
{
    return pick(run, args, (struct pick){.attribute = true, .reject = true});
}

/* ---- other generators ---- */

static int next_of_items(struct we_jrun *run, struct we_jiter *iter, struct we_jvalue *value)
{
    if (iter->source.kind == WE_J_UNDEFINED)
        return 0;
    if (iter->source.kind != WE_J_DICT) {
        we_jfail(run, "Can only get item pairs from a mapping.");
        return -1;
    }
    const struct we_jdict *dict = iter->source.dict;
    if (iter->at >= dict->count)
        return 0;
    *value = we_jpair(run, dict->entries[iter->at].key, dict->entries[iter->at].value);
    iter->at++;
    return value->kind == WE_J_FAILED ? -1 : 1;
}

static struct we_jvalue filter_items(struct we_jrun *run, struct we_jvalue *a)
{
    struct we_jvalue generator = we_jgenerator(run, we_jkind_value(WE_J_MISSING), next_of_items, NULL);
    if (generator.kind != WE_J_FAILED)
        generator.iterator->source = a[0];
    return generator;
}

struct cut { /* batch and slice */
    struct we_jvalue count, fill;
    struct we_jiter iter;
    struct we_jvalue all; /* slice: the whole sequence; MISSING before the first */
    bool ready;
};

/* `missing` more of the fill, if there is one. */
static bool fill_up(struct we_jrun *run, struct we_jcollect *part, const struct cut *cut, int64_t missing)
{
    if (!we_jgiven(cut->fill))
        return true;
    for (; missing > 0; missing--)
        if (!we_jcollect_add(run, part, cut->fill))
            return false;
    return true;
}

static int next_batch(struct we_jrun *run, struct we_jiter *iter, struct we_jvalue *value)
{
    struct cut *cut = iter->state;
    struct we_jcollect part = {0};
    struct we_jvalue item;
    if (!cut->ready && !we_jiter_start(run, iter->source, &cut->iter))
        return -1;
    cut->ready = true;
    if (cut->all.kind != WE_J_MISSING) { /* an item that did not fit into the batch before */
        if (!we_jcollect_add(run, &part, cut->all))
            return -1;
        cut->all = we_jkind_value(WE_J_MISSING);
    }
    int more;
    while ((more = we_jiter_next(run, &cut->iter, &item)) == 1) {
        int full = we_jequal(run, we_jint((int64_t)part.list.count), cut->count);
        if (full == 1) {
            cut->all = item;
            break;
        }
        if (full < 0 || !we_jcollect_add(run, &part, item))
            return -1;
    }
    if (more < 0 || (more == 0 && part.list.count == 0))
        return more;
    if (more == 0 && we_jgiven(cut->fill)) {
        int64_t wanted;
        if (!we_jarg_int(run, cut->count, 0, &wanted) || !fill_up(run, &part, cut, wanted - (int64_t)part.list.count))
            return -1;
    }
    *value = we_jcollect_end(run, &part, WE_J_LIST);
    return value->kind == WE_J_FAILED ? -1 : 1;
}

static int next_slice(struct we_jrun *run, struct we_jiter *iter, struct we_jvalue *value)
{
    struct cut *cut = iter->state;
    int64_t slices;
    if (!we_jarg_int(run, cut->count, 0, &slices))
        return -1;
    if (slices == 0) {
        we_jfail(run, "integer division or modulo by zero");
        return -1;
    }
    if (cut->all.kind == WE_J_MISSING)
        cut->all = we_jto_list(run, iter->source, WE_J_LIST);
    if (cut->all.kind == WE_J_FAILED)
        return -1;
    if (slices < 0 || iter->at >= (uint64_t)slices)
        return 0;
    size_t length = cut->all.list->count, each = length / (size_t)slices, extra = length % (size_t)slices;
    size_t number = iter->at++, start = number * each + (number < extra ? number : extra);
    struct we_jcollect part = {0};
    for (size_t i = start; i < start + each + (number < extra); i++)
        if (!we_jcollect_add(run, &part, cut->all.list->items[i]))
            return -1;
    if (number >= extra && !fill_up(run, &part, cut, 1))
        return -1;
    *value = we_jcollect_end(run, &part, WE_J_LIST);
    return value->kind == WE_J_FAILED ? -1 : 1;
}

static struct we_jvalue cut(struct we_jrun *run, const struct we_jvalue *a,
                            int (*next)(struct we_jrun *, struct we_jiter *, struct we_jvalue *))
{
    struct cut *state = we_jalloc(run, 1, sizeof *state);
    struct we_jvalue generator = state ? we_jgenerator(run, we_jkind_value(WE_J_MISSING), next, state) : we_jfailed();
    if (generator.kind == WE_J_FAILED)
        return generator;
    generator.iterator->source = a[0];
    state->count = a[1];
    state->fill = a[2];
    return generator;
}

static struct we_jvalue filter_batch(struct we_jrun *run, struct we_jvalue *a)
{
    return cut(run, a, next_batch);
}

static struct we_jvalue filter_slice(struct we_jrun *run, struct we_jvalue *a)
{
    return cut(run, a, next_slice);
}

struct unique {
    struct we_jgetter getter;
    struct we_jvalue seen;
};

static int next_unique(struct we_jrun *run, struct we_jiter *iter, struct we_jvalue *value)
{
    struct unique *unique = iter->state;
    for (;;) {
        struct we_jvalue ignored;
        int more = we_jiter_next(run, iter->from, value);
        if (more != 1)
            return more;
        struct we_jvalue key = we_jgetter_get(run, &unique->getter, *value);
        int known = key.kind == WE_J_FAILED ? -1 : we_jdict_get(run, unique->seen.dict, key, &ignored);
        if (known < 0 || (known == 0 && !we_jdict_put(run, unique->seen.dict, key, we_jnone())))
            return -1;
        if (known == 0)
            return 1;
    }
}

static struct we_jvalue filter_unique(struct we_jrun *run, struct we_jvalue *a)
{
    struct unique *unique = we_jalloc(run, 1, sizeof *unique);
    int case_sensitive = we_jflag(run, a[1]);
    if (unique == NULL || case_sensitive < 0 || !we_jgetter_init(run, &unique->getter, a[2]))
        return we_jfailed();
    unique->getter.ignore_case = !case_sensitive;
    unique->seen = we_jdict(run, WE_J_DICT);
    return unique->seen.kind == WE_J_FAILED ? we_jfailed() : we_jgenerator(run, a[0], next_unique, unique);
}

/* ---- first, last, list, reverse ---- */

static struct we_jvalue nothing_there(struct we_jrun *run, const char *hint)
{
    return we_jundefined(run, hint, we_jkind_value(WE_J_MISSING), we_jnone());
}

static struct we_jvalue filter_first(struct we_jrun *run, struct we_jvalue *a)
{
    struct we_jiter iter;
    struct we_jvalue value;
    if (!we_jiter_start(run, a[0], &iter))
        return we_jfailed();
    int more = we_jiter_next(run, &iter, &value);
    return more == 1 ? value : more < 0 ? we_jfailed() : nothing_there(run, "No first item, sequence was empty.");
}

static struct we_jvalue filter_last(struct we_jrun *run, struct we_jvalue *a)
{
    struct we_jvalue value;
    if (a[0].kind == WE_J_STRING) {
        value = we_jget_item(run, a[0], we_jint(-1));
        return value.kind == WE_J_UNDEFINED ? nothing_there(run, "No last item, sequence was empty.") : value;
    }
    if (a[0].kind == WE_J_UNDEFINED)
        return nothing_there(run, "No last item, sequence was empty.");
    struct we_jvalue reversed = we_jreversed(run, a[0]);
    if (reversed.kind == WE_J_FAILED)
        return we_jfail(run, "'%s' object is not reversible", we_jtype_name(a[0]));
    int more = we_jiter_next(run, reversed.iterator, &value);
    return more == 1 ? value : more < 0 ? we_jfailed() : nothing_there(run, "No last item, sequence was empty.");
}

static struct we_jvalue filter_list(struct we_jrun *run, struct we_jvalue *a)
{
    return we_jto_list(run, a[0], WE_J_LIST);
}

static struct we_jvalue filter_reverse(struct we_jrun *run, struct we_jvalue *a)
{
    if (a[0].kind == WE_J_STRING)
        return we_jslice(run, a[0], we_jnone(), we_jnone(), we_jint(-1));
    struct we_jvalue value = we_jreversed(run, a[0]);
    if (value.kind != WE_J_FAILED || run->status != WE_OK)
        return value;
    if (!we_jis_iterable(a[0]))
        return we_jfail(run, "argument must be iterable");
    value = we_jto_list(run, a[0], WE_J_LIST);
    for (size_t i = 0, j = value.kind == WE_J_FAILED ? 0 : value.list->count; i + 1 < j; i++) {
        struct we_jvalue swap = value.list->items[i];
        value.list->items[i] = value.list->items[--j];
        value.list->items[j] = swap;
    }
    return value;
}

static struct we_jvalue filter_join(struct we_jrun *run, struct we_jvalue *a)
{
    struct we_jgetter getter;
    struct we_jiter iter;
    struct we_jvalue item, separator = a[1].kind == WE_J_MISSING ? we_jstring_c("") : we_jto_string(run, a[1]);
    if (separator.kind == WE_J_FAILED || !we_jgetter_init(run, &getter, a[2]) || !we_jiter_start(run, a[0], &iter))
        return we_jfailed();
    size_t begin = we_jtext_begin(run);
    bool first = true;
    int more;
    while ((more = we_jiter_next(run, &iter, &item)) == 1) {
        item = we_jgetter_get(run, &getter, item);
        if (item.kind == WE_J_FAILED || (!first && !we_jwrite(run, we_jtext(separator))) || !we_jprint(run, item))
            return we_jfailed();
        first = false;
    }
    return more < 0 ? we_jfailed() : we_jtext_end(run, begin);
}

const struct we_jcallable we_jfilters_sequence[] = {
    {"join", 1, 3, {0, "d", "attribute"}, filter_join, NULL},
    {"map", 1, 1, {0}, NULL, filter_map},
    {"select", 1, 1, {0}, NULL, filter_select},
    {"reject", 1, 1, {0}, NULL, filter_reject},
    {"selectattr", 1, 1, {0}, NULL, filter_selectattr},
    {"rejectattr", 1, 1, {0}, NULL, filter_rejectattr},
    {"items", 1, 1, {0}, filter_items, NULL},
    {"batch", 2, 3, {0, "linecount", "fill_with"}, filter_batch, NULL},
    {"slice", 2, 3, {0, "slices", "fill_with"}, filter_slice, NULL},
    {"unique", 1, 3, {0, "case_sensitive", "attribute"}, filter_unique, NULL},
    {"first", 1, 1, {0}, filter_first, NULL},
    {"last", 1, 1, {0}, filter_last, NULL},
    {"list", 1, 1, {0}, filter_list, NULL},
    {"reverse", 1, 1, {0}, filter_reverse, NULL},
    {0},
};
