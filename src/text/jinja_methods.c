/* Finding methods, and those of everything but strings. */
#include "text/jinja_methods.h"

#include <math.h>

/* ---- dictionaries ---- */

static struct we_jvalue dict_get(struct we_jrun *run, struct we_jvalue *a)
{
    struct we_jvalue value;
    int known = we_jdict_get(run, a[0].dict, a[1], &value);
    if (known == 0)
        return a[2].kind == WE_J_MISSING ? we_jnone() : a[2];
    return known < 0 ? we_jfailed() : value;
}

static struct we_jvalue view(struct we_jrun *run, struct we_jvalue dict, enum we_jview_kind which)
{
    struct we_jvalue value = we_jkind_value(WE_J_VIEW);
    value.view = we_jalloc(run, 1, sizeof *value.view);
    if (value.view == NULL)
        return we_jfailed();
    *value.view = (struct we_jview){.dict = dict.dict, .which = which};
    return value;
}

static struct we_jvalue dict_keys(struct we_jrun *run, struct we_jvalue *a)
{
    return view(run, a[0], WE_J_KEYS);
}

static struct we_jvalue dict_values(struct we_jrun *run, struct we_jvalue *a)
{
    return view(run, a[0], WE_J_VALUES);
}

static struct we_jvalue dict_items(struct we_jrun *run, struct we_jvalue *a)
{
    return view(run, a[0], WE_J_ITEMS);
}

static struct we_jvalue dict_copy(struct we_jrun *run, struct we_jvalue *a)
{
    struct we_jvalue copy = we_jdict(run, WE_J_DICT);
    for (size_t i = 0; copy.kind != WE_J_FAILED && i < a[0].dict->count; i++)
        if (!we_jdict_put(run, copy.dict, a[0].dict->entries[i].key, a[0].dict->entries[i].value))
            return we_jfailed();
    return copy;
}

static struct we_jvalue dict_fromkeys(struct we_jrun *run, struct we_jvalue *a)
{
    struct we_jvalue dict = we_jdict(run, WE_J_DICT), key;
    struct we_jiter iter;
    if (dict.kind == WE_J_FAILED || !we_jiter_start(run, a[1], &iter))
        return we_jfailed();
    int more;
    while ((more = we_jiter_next(run, &iter, &key)) == 1)
        if (!we_jdict_put(run, dict.dict, key, a[2].kind == WE_J_MISSING ? we_jnone() : a[2]))
            return we_jfailed();
    return more < 0 ? we_jfailed() : dict;
}

static const struct we_jcallable dict_methods[] = {
    {"copy", 1, 1, {0}, dict_copy, NULL},
    {"fromkeys", 2, 3, {0}, dict_fromkeys, NULL},
    {"get", 2, 3, {0}, dict_get, NULL},
    {"items", 1, 1, {0}, dict_items, NULL},
    {"keys", 1, 1, {0}, dict_keys, NULL},
    {"values", 1, 1, {0}, dict_values, NULL},
    {0},
};

/* ---- lists and other sequences ---- */

static struct we_jvalue sequence_count(struct we_jrun *run, struct we_jvalue *a)
{
    struct we_jiter iter;
    struct we_jvalue item;
    int64_t count = 0;
    if (!we_jiter_start(run, a[0], &iter))
        return we_jfailed();
    int more;
    while ((more = we_jiter_next(run, &iter, &item)) == 1) {
        int equal = we_jequal(run, item, a[1]);
        if (equal < 0)
            return we_jfailed();
        count += equal;
    }
    return more < 0 ? we_jfailed() : we_jint(count);
}

static struct we_jvalue sequence_index(struct we_jrun *run, struct we_jvalue *a)
{
    int64_t start, stop, length;
    size_t count;
    if (!we_jlength(run, a[0], &count) || !we_jarg_int(run, a[2], 0, &start) || !we_jarg_int(run, a[3], INT64_MAX, &stop))
        return we_jfailed();
    length = (int64_t)count;
    start = start < 0 ? (start < -length ? 0 : start + length) : start;
    stop = stop < 0 ? (stop < -length ? 0 : stop + length) : stop;
    struct we_jiter iter;
    struct we_jvalue item;
    if (!we_jiter_start(run, a[0], &iter))
        return we_jfailed();
    for (int64_t i = 0; i < length && i < stop; i++) {
        if (we_jiter_next(run, &iter, &item) != 1)
            return we_jfailed();
        int equal = i < start ? 0 : we_jequal(run, item, a[1]);
        if (equal != 0)
            return equal < 0 ? we_jfailed() : we_jint(i);
    }
    return we_jfail(run, "the value is not in the %s", we_jtype_name(a[0]));
}

static struct we_jvalue list_copy(struct we_jrun *run, struct we_jvalue *a)
{
    return we_jto_list(run, a[0], WE_J_LIST);
}

static const struct we_jcallable list_methods[] = {
    {"count", 2, 2, {0}, sequence_count, NULL},
    {"index", 2, 4, {0}, sequence_index, NULL},
    {"copy", 1, 1, {0}, list_copy, NULL}, /* of lists only */
    {0},
};

/* ---- numbers ---- */

static struct we_jvalue int_bits(struct we_jrun *run, struct we_jvalue *a)
{
    (void)run;
    int64_t value = we_jas_int(a[0]);
    uint64_t size = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    return we_jint(size ? 64 - __builtin_clzll(size) : 0);
}

static struct we_jvalue int_bit_count(struct we_jrun *run, struct we_jvalue *a)
{
    (void)run;
    int64_t value = we_jas_int(a[0]);
    return we_jint(__builtin_popcountll(value < 0 ? 0 - (uint64_t)value : (uint64_t)value));
}

static struct we_jvalue conjugate(struct we_jrun *run, struct we_jvalue *a)
{
    (void)run;
    return a[0].kind == WE_J_BOOL ? we_jint(a[0].boolean) : a[0];
}

static struct we_jvalue int_ratio(struct we_jrun *run, struct we_jvalue *a)
{
    return we_jpair(run, we_jint(we_jas_int(a[0])), we_jint(1));
}

static struct we_jvalue float_is_integer(struct we_jrun *run, struct we_jvalue *a)
{
    (void)run;
    return we_jbool(isfinite(a[0].number) && a[0].number == floor(a[0].number));
}

static const struct we_jcallable int_methods[] = {
    {"as_integer_ratio", 1, 1, {0}, int_ratio, NULL},
    {"bit_count", 1, 1, {0}, int_bit_count, NULL},
    {"bit_length", 1, 1, {0}, int_bits, NULL},
    {"conjugate", 1, 1, {0}, conjugate, NULL},
    {0},
};

static const struct we_jcallable float_methods[] = {
    {"conjugate", 1, 1, {0}, conjugate, NULL},
    {"is_integer", 1, 1, {0}, float_is_integer, NULL},
    {0},
};

/* ---- loops and cyclers ---- */

static struct we_jvalue loop_cycle(struct we_jrun *run, const struct we_jargs *args)
{
    if (args->count < 2)
        return we_jfail(run, "no items for cycling given");
    return args->values[1 + (size_t)args->values[0].loop->index0 % (args->count - 1)];
}

static struct we_jvalue loop_changed(struct we_jrun *run, const struct we_jargs *args)
{
    struct we_jloop *loop = args->values[0].loop;
    struct we_jvalue value = we_jlist(run, WE_J_TUPLE, args->count - 1);
    if (value.kind == WE_J_FAILED)
        return value;
    if (args->count > 1)
        memcpy(value.list->items, args->values + 1, (args->count - 1) * sizeof *value.list->items);
    int equal = loop->changed.kind == WE_J_MISSING ? 0 : we_jequal(run, loop->changed, value);
    if (equal < 0)
        return we_jfailed();
    loop->changed = value;
    return we_jbool(!equal);
}

static const struct we_jcallable loop_methods[] = {
    {"changed", 1, 1, {0}, NULL, loop_changed},
    {"cycle", 1, 1, {0}, NULL, loop_cycle},
    {0},
};

static struct we_jvalue cycler_next(struct we_jrun *run, struct we_jvalue *a)
{
    (void)run;
    struct we_jcycler *cycler = a[0].cycler;
    struct we_jvalue value = cycler->items.items[cycler->position];
    cycler->position = (cycler->position + 1) % cycler->items.count;
    return value;
}

static struct we_jvalue cycler_reset(struct we_jrun *run, struct we_jvalue *a)
{
    (void)run;
    a[0].cycler->position = 0;
    return we_jnone();
}

static const struct we_jcallable cycler_methods[] = {
    {"next", 1, 1, {0}, cycler_next, NULL},
    {"reset", 1, 1, {0}, cycler_reset, NULL},
    {0},
};

/* ---- finding them ---- */

static const struct we_jcallable *in_table(const struct we_jcallable *table, struct we_str name)
{
    for (; table->name; table++)
        if (table->name[0] == name.data[0] && we_str_equal_c(name, table->name))
            return table;
    return NULL;
}

static bool is_one_of(const char *const *names, struct we_str name)
{
    for (; *names; names++)
        if ((*names)[0] == name.data[0] && we_str_equal_c(name, *names))
            return true;
    return false;
}

static const struct we_jcallable *string_method(struct we_str name)
{
    const struct we_jcallable *method = in_table(we_jstring_split_methods, name);
    if (method == NULL)
        method = in_table(we_jstring_search_methods, name);
    return method ? method : in_table(we_jstring_change_methods, name);
}

const struct we_jcallable *we_jmethod_named(struct we_jvalue object, struct we_str name, bool *unsafe)
{
    static const char *const list_changes[] = {"append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove", NULL};
    static const char *const dict_changes[] = {"clear", "pop", "popitem", "setdefault", "update", NULL};
    *unsafe = false;
    if (name.length == 0)
        return NULL;
    switch (object.kind) {
    case WE_J_STRING:
        return string_method(name);
    case WE_J_DICT:
        *unsafe = is_one_of(dict_changes, name);
        return in_table(dict_methods, name);
    case WE_J_LIST:
        *unsafe = is_one_of(list_changes, name);
        return in_table(list_methods, name);
    case WE_J_TUPLE:
    case WE_J_RANGE: {
        const struct we_jcallable *method = in_table(list_methods, name);
        return method && method->bound == list_copy ? NULL : method;
    }
    case WE_J_BOOL:
    case WE_J_INT:
        return in_table(int_methods, name);
    case WE_J_FLOAT:
        return in_table(float_methods, name);
    case WE_J_LOOP:
        return in_table(loop_methods, name);
    case WE_J_CYCLER:
        return in_table(cycler_methods, name);
    case WE_J_FUNCTION: {
        const struct we_jcallable *method = in_table(dict_methods, name);
        return strcmp(object.function->name, "dict") == 0 && method && method->bound == dict_fromkeys ? method : NULL;
    }
    default:
        return NULL;
    }
}
