/* Filters that sort, group and sum up. */
#include "text/jinja_filters.h"

/* Sorts `items` by `keys`, both (count), stably; with room for as many of each. */
struct sort {
    struct we_jrun *run;
    struct we_jvalue *items, *keys, *spare_items, *spare_keys;
    bool reverse;
};

/* Whether the later key b must stand before a: 1, 0 or -1. */
static int goes_first(const struct sort *sort, struct we_jvalue b, struct we_jvalue a)
{
    return sort->reverse ? we_jorder(sort->run, a, b, "<") : we_jorder(sort->run, b, a, "<");
}

static bool merge_sort(const struct sort *sort, size_t start, size_t end)
{
    if (end - start < 2)
        return true;
    size_t middle = start + (end - start) / 2;
    if (!merge_sort(sort, start, middle) || !merge_sort(sort, middle, end) || !we_jcharge(sort->run, end - start))
        return false;
    size_t a = start, b = middle;
    for (size_t i = start; i < end; i++) {
        int take_b = a == middle ? 1 : b == end ? 0 : goes_first(sort, sort->keys[b], sort->keys[a]);
        if (take_b < 0)
            return false;
        size_t from = take_b ? b++ : a++;
        sort->spare_items[i] = sort->items[from];
        sort->spare_keys[i] = sort->keys[from];
    }
    memcpy(sort->items + start, sort->spare_items + start, (end - start) * sizeof *sort->items);
    memcpy(sort->keys + start, sort->spare_keys + start, (end - start) * sizeof *sort->keys);
    return true;
}

/* Sorts a list in place. `keys`: (count), sorted along. */
static bool sort_list(struct we_jrun *run, struct we_jlist *list, struct we_jvalue *keys, bool reverse)
{
    struct sort sort = {.run = run, .items = list->items, .keys = keys, .reverse = reverse};
    sort.spare_items = we_jalloc(run, list->count, sizeof *sort.spare_items);
    sort.spare_keys = we_jalloc(run, list->count, sizeof *sort.spare_keys);
    return sort.spare_items && sort.spare_keys && merge_sort(&sort, 0, list->count);
}

/* One getter for each of the attributes "a,b.c". */
static bool init_getters(struct we_jrun *run, struct we_jvalue attribute, bool ignore_case, struct we_jgetter **getters, size_t *count)
{
    *count = 1;
    for (size_t i = 0; attribute.kind == WE_J_STRING && i < attribute.length; i++)
        *count += attribute.text[i] == ',';
    *getters = we_jalloc(run, *count, sizeof **getters);
    if (*getters == NULL)
        return false;
    struct we_str rest = attribute.kind == WE_J_STRING ? we_jtext(attribute) : we_str("", 0);
    for (size_t i = 0; i < *count; i++) {
        size_t comma = we_str_find(rest, we_str_c(","), 0);
        struct we_str part = we_str(rest.data, comma == SIZE_MAX ? rest.length : comma);
        if (!we_jgetter_init(run, &(*getters)[i], attribute.kind == WE_J_STRING ? we_jstring(part) : attribute))
            return false;
        (*getters)[i].ignore_case = ignore_case;
        if (comma != SIZE_MAX)
            rest = we_str(rest.data + comma + 1, rest.length - comma - 1);
    }
    return true;
}

static struct we_jvalue filter_sort(struct we_jrun *run, struct we_jvalue *a)
{
    int reverse = we_jreverse(run, a[1]), case_sensitive = we_jflag(run, a[2]);
    struct we_jgetter *getters;
    size_t count;
    if (reverse < 0 || case_sensitive < 0 || !init_getters(run, a[3], !case_sensitive, &getters, &count))
        return we_jfailed();
    struct we_jvalue list = we_jto_list(run, a[0], WE_J_LIST);
    struct we_jvalue *keys = list.kind == WE_J_FAILED ? NULL : we_jalloc(run, list.list->count, sizeof *keys);
    for (size_t i = 0; keys && i < list.list->count; i++) {
        keys[i] = we_jlist(run, WE_J_LIST, count);
        for (size_t j = 0; keys[i].kind != WE_J_FAILED && j < count; j++)
            keys[i].list->items[j] = we_jgetter_get(run, &getters[j], list.list->items[i]);
        if (run->status != WE_OK)
            return we_jfailed();
    }
    return keys && sort_list(run, list.list, keys, reverse) ? list : we_jfailed();
}

static struct we_jvalue filter_dictsort(struct we_jrun *run, struct we_jvalue *a)
{
    int case_sensitive = we_jflag(run, a[1]), reverse = we_jreverse(run, a[3]);
    bool by_value = a[2].kind == WE_J_STRING && we_str_equal_c(we_jtext(a[2]), "value");
    if (case_sensitive < 0 || reverse < 0)
        return we_jfailed();
    if (a[2].kind != WE_J_MISSING && !by_value && (a[2].kind != WE_J_STRING || !we_str_equal_c(we_jtext(a[2]), "key")))
        return we_jfail(run, "You can only sort by either \"key\" or \"value\"");
    if (a[0].kind == WE_J_UNDEFINED)
        return we_jfail_undefined(run, a[0]);
    if (a[0].kind != WE_J_DICT)
        return we_jfail(run, "'%s' object has no attribute 'items'", we_jtype_name(a[0]));
    const struct we_jdict *dict = a[0].dict;
    struct we_jvalue list = we_jlist(run, WE_J_LIST, dict->count);
    struct we_jvalue *keys = we_jalloc(run, dict->count, sizeof *keys);
    struct we_jgetter getter = {.ignore_case = !case_sensitive};
    for (size_t i = 0; list.kind != WE_J_FAILED && keys && i < dict->count; i++) {
        list.list->items[i] = we_jpair(run, dict->entries[i].key, dict->entries[i].value);
        keys[i] = we_jgetter_get(run, &getter, by_value ? dict->entries[i].value : dict->entries[i].key);
        if (run->status != WE_OK)
            return we_jfailed();
    }
    return list.kind != WE_J_FAILED && keys && sort_list(run, list.list, keys, reverse) ? list : we_jfailed();
}

static struct we_jvalue group(struct we_jrun *run, struct we_jvalue key, struct we_jcollect *members)
{
    struct we_jvalue list = we_jcollect_end(run, members, WE_J_LIST);
    struct we_jvalue pair = list.kind == WE_J_FAILED || key.kind == WE_J_FAILED ? we_jfailed() : we_jpair(run, key, list);
    if (pair.kind != WE_J_FAILED)
        pair.flags |= WE_J_GROUP;
    return pair;
}

static struct we_jvalue filter_groupby(struct we_jrun *run, struct we_jvalue *a)
{
    struct we_jgetter getter;
    int case_sensitive = we_jflag(run, a[3]);
    if (case_sensitive < 0 || !we_jgetter_init(run, &getter, a[1]))
        return we_jfailed();
    getter.missing = a[2];
    getter.ignore_case = !case_sensitive;
    struct we_jvalue list = we_jto_list(run, a[0], WE_J_LIST);
    struct we_jvalue *keys = list.kind == WE_J_FAILED ? NULL : we_jalloc(run, list.list->count, sizeof *keys);
    for (size_t i = 0; keys && i < list.list->count; i++)
        if ((keys[i] = we_jgetter_get(run, &getter, list.list->items[i])).kind == WE_J_FAILED)
            return we_jfailed();
    if (keys == NULL || !sort_list(run, list.list, keys, false))
        return we_jfailed();
    struct we_jcollect groups = {0}, members = {0};
    getter.ignore_case = false;
    for (size_t i = 0, first = 0; i < list.list->count; i++) {
        if (!we_jcollect_add(run, &members, list.list->items[i]))
            return we_jfailed();
        int same = i + 1 < list.list->count ? we_jequal(run, keys[first], keys[i + 1]) : 0;
        if (same < 0)
            return we_jfailed();
        if (same)
            continue;
        struct we_jvalue key = case_sensitive ? keys[first] : we_jgetter_get(run, &getter, list.list->items[first]);
        struct we_jvalue pair = group(run, key, &members);
        if (pair.kind == WE_J_FAILED || !we_jcollect_add(run, &groups, pair))
            return we_jfailed();
        members = (struct we_jcollect){0};
        first = i + 1;
    }
    return we_jcollect_end(run, &groups, WE_J_LIST);
}

static struct we_jvalue extreme(struct we_jrun *run, const struct we_jvalue *a, const char *operator)
{
    struct we_jgetter getter;
    struct we_jiter iter;
    struct we_jvalue best, best_key = we_jkind_value(WE_J_MISSING), item;
    int case_sensitive = we_jflag(run, a[1]);
    if (case_sensitive < 0 || !we_jgetter_init(run, &getter, a[2]) || !we_jiter_start(run, a[0], &iter))
        return we_jfailed();
    getter.ignore_case = !case_sensitive;
    int more;
    while ((more = we_jiter_next(run, &iter, &item)) == 1) {
        struct we_jvalue key = we_jgetter_get(run, &getter, item);
        if (key.kind == WE_J_FAILED)
            return key;
        int better = best_key.kind == WE_J_MISSING ? 1 : we_jorder(run, key, best_key, operator);
        if (better < 0)
            return we_jfailed();
        if (better) {
            best = item;
            best_key = key;
        }
    }
    if (more < 0)
        return we_jfailed();
    if (best_key.kind == WE_J_MISSING)
        return we_jundefined(run, "No aggregated item, sequence was empty.", we_jkind_value(WE_J_MISSING), we_jnone());
    return best;
}

static struct we_jvalue filter_min(struct we_jrun *run, struct we_jvalue *a)
{
    return extreme(run, a, "<");
}

static struct we_jvalue filter_max(struct we_jrun *run, struct we_jvalue *a)
{
    return extreme(run, a, ">");
}

static struct we_jvalue filter_sum(struct we_jrun *run, struct we_jvalue *a)
{
    struct we_jgetter getter;
    struct we_jiter iter;
    struct we_jvalue sum = a[2].kind == WE_J_MISSING ? we_jint(0) : a[2], item;
    if (!we_jgetter_init(run, &getter, a[1]) || !we_jiter_start(run, a[0], &iter))
        return we_jfailed();
    if (sum.kind == WE_J_STRING)
        return we_jfail(run, "sum() can't sum strings [use ''.join(seq) instead]");
    int more;
    while ((more = we_jiter_next(run, &iter, &item)) == 1) {
        sum = we_jbinary(run, WE_J_ADD, sum, we_jgetter_get(run, &getter, item));
        if (sum.kind == WE_J_FAILED)
            return sum;
    }
    return more < 0 ? we_jfailed() : sum;
}

const struct we_jcallable we_jfilters_order[] = {
    {"sort", 1, 4, {0, "reverse", "case_sensitive", "attribute"}, filter_sort, NULL},
    {"dictsort", 1, 4, {0, "case_sensitive", "by", "reverse"}, filter_dictsort, NULL},
    {"groupby", 2, 4, {0, "attribute", "default", "case_sensitive"}, filter_groupby, NULL},
    {"min", 1, 3, {0, "case_sensitive", "attribute"}, filter_min, NULL},
    {"max", 1, 3, {0, "case_sensitive", "attribute"}, filter_max, NULL},
    {"sum", 1, 3, {0, "attribute", "start"}, filter_sum, NULL},
    {0},
};
