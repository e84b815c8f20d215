/* Iteration. Generators are lazy, as Jinja's are: a template can see when their work is done. */
#include "text/jinja_run.h"

static int next_item(struct we_jrun *run, struct we_jiter *iter, struct we_jvalue *value)
{
    (void)run;
    if (iter->at >= iter->source.list->count)
        return 0;
    *value = iter->source.list->items[iter->at++];
    return 1;
}

static int next_item_back(struct we_jrun *run, struct we_jiter *iter, struct we_jvalue *value)
{
    (void)run;
    if (iter->at == 0)
        return 0;
    *value = iter->source.list->items[--iter->at];
    return 1;
}

static int next_character(struct we_jrun *run, struct we_jiter *iter, struct we_jvalue *value)
{
    (void)run;
    struct we_str text = we_jtext(iter->source);
    if (iter->at >= text.length)
        return 0;
    size_t size;
    we_jchar_at(text, iter->at, &size);
    *value = we_jstring(we_str(text.data + iter->at, size)); /* not markup, even of one */
    iter->at += size;
    return 1;
}

static int next_number(struct we_jrun *run, struct we_jiter *iter, struct we_jvalue *value)
{
    (void)run;
    const struct we_jrange *range = iter->source.range;
    if (iter->at >= range->count)
        return 0;
    *value = we_jint((int64_t)((uint64_t)range->start + (uint64_t)iter->at++ * (uint64_t)range->step));
    return 1;
}

static int entry_value(struct we_jrun *run, const struct we_jentry *entry, enum we_jview_kind which, struct we_jvalue *value)
{
    *value = which == WE_J_KEYS ? entry->key : which == WE_J_VALUES ? entry->value : we_jpair(run, entry->key, entry->value);
    return value->kind == WE_J_FAILED ? -1 : 1;
}

static int next_entry(struct we_jrun *run, struct we_jiter *iter, struct we_jvalue *value)
{
    bool view = iter->source.kind == WE_J_VIEW;
    const struct we_jdict *dict = view ? iter->source.view->dict : iter->source.dict;
    if (iter->at >= dict->count)
        return 0;
    return entry_value(run, &dict->entries[iter->at++], view ? iter->source.view->which : WE_J_KEYS, value);
}

static int next_entry_back(struct we_jrun *run, struct we_jiter *iter, struct we_jvalue *value)
{
    bool view = iter->source.kind == WE_J_VIEW;
    const struct we_jdict *dict = view ? iter->source.view->dict : iter->source.dict;
    if (iter->at == 0)
        return 0;
    return entry_value(run, &dict->entries[--iter->at], view ? iter->source.view->which : WE_J_KEYS, value);
}

static int next_number_back(struct we_jrun *run, struct we_jiter *iter, struct we_jvalue *value)
{
    (void)run;
    const struct we_jrange *range = iter->source.range;
    if (iter->at == 0)
        return 0;
    *value = we_jint((int64_t)((uint64_t)range->start + (uint64_t)--iter->at * (uint64_t)range->step));
    return 1;
}

static int next_none(struct we_jrun *run, struct we_jiter *iter, struct we_jvalue *value)
{
    (void)run, (void)iter, (void)value;
    return 0;
}

static int next_of_iterator(struct we_jrun *run, struct we_jiter *iter, struct we_jvalue *value)
{
    return we_jiter_next(run, iter->from, value);
}

bool we_jis_iterable(struct we_jvalue value)
{
    return value.kind == WE_J_ITERATOR || (we_jhas_length(value) && value.kind != WE_J_LOOP);
}

bool we_jiter_start(struct we_jrun *run, struct we_jvalue value, struct we_jiter *iter)
{
    *iter = (struct we_jiter){.source = value, .type = "iterator"};
    switch (value.kind) {
    case WE_J_LIST:
    case WE_J_TUPLE:
        iter->next = next_item;
        return true;
    case WE_J_STRING:
        iter->next = next_character;
        return true;
    case WE_J_RANGE:
        iter->next = next_number;
        return true;
    case WE_J_DICT:
    case WE_J_VIEW:
        iter->next = next_entry;
        return true;
    case WE_J_UNDEFINED:
        iter->next = next_none;
        return true;
    case WE_J_ITERATOR:
        iter->next = next_of_iterator;
        iter->from = value.iterator;
        return true;
    case WE_J_FAILED:
        return false;
    default:
        we_jfail(run, "'%s' object is not iterable", we_jtype_name(value));
        return false;
    }
}

int we_jiter_next(struct we_jrun *run, struct we_jiter *iter, struct we_jvalue *value)
{
    if (iter->done)
        return 0;
    if (iter->running) {
        we_jfail(run, "generator already executing");
        return -1;
    }
    if (!we_jcharge(run, 1) || !we_jenter(run)) /* generators of generators nest */
        return -1;
    iter->running = true;
    int more = iter->next(run, iter, value);
    iter->running = false;
    we_jleave(run);
    iter->done = more != 1;
    return more;
}

struct we_jvalue we_jgenerator(struct we_jrun *run, struct we_jvalue source,
                               int (*next)(struct we_jrun *, struct we_jiter *, struct we_jvalue *), void *state)
{
    struct we_jvalue value = we_jkind_value(WE_J_ITERATOR);
    value.iterator = we_jalloc(run, 2, sizeof *value.iterator);
    if (value.iterator == NULL)
        return we_jfailed();
    struct we_jiter *from = source.kind == WE_J_MISSING ? NULL : value.iterator + 1;
    if (from && !we_jiter_start(run, source, from))
        return we_jfailed();
    *value.iterator = (struct we_jiter){.next = next, .source = source, .from = from, .state = state, .type = "generator"};
    return value;
}

struct we_jvalue we_jreversed(struct we_jrun *run, struct we_jvalue value)
{
    struct we_jvalue result = we_jgenerator(run, we_jkind_value(WE_J_MISSING), next_none, NULL);
    if (result.kind == WE_J_FAILED)
        return result;
    struct we_jiter *iter = result.iterator;
    iter->source = value;
    switch (value.kind) {
    case WE_J_LIST:
    case WE_J_TUPLE:
        iter->next = next_item_back;
        iter->at = value.list->count;
        iter->type = value.kind == WE_J_LIST ? "list_reverseiterator" : "reversed";
        return result;
    case WE_J_DICT:
    case WE_J_VIEW:
        iter->next = next_entry_back;
        iter->at = value.kind == WE_J_VIEW ? value.view->dict->count : value.dict->count;
        iter->type = value.kind == WE_J_DICT                ? "dict_reversekeyiterator"
                     : value.view->which == WE_J_KEYS       ? "dict_reversekeyiterator"
                     : value.view->which == WE_J_VALUES     ? "dict_reversevalueiterator"
                                                            : "dict_reverseitemiterator";
        return result;
    case WE_J_RANGE:
        iter->next = next_number_back;
        iter->at = value.range->count;
        iter->type = "range_iterator";
        return result;
    default:
        return we_jfailed();
    }
}

struct we_jvalue we_jto_list(struct we_jrun *run, struct we_jvalue value, enum we_jkind kind)
{
    struct we_jcollect collect = {0};
    struct we_jiter iter;
    struct we_jvalue item;
    if (!we_jiter_start(run, value, &iter))
        return we_jfailed();
    int more;
    while ((more = we_jiter_next(run, &iter, &item)) == 1)
        if (!we_jcollect_add(run, &collect, item))
            return we_jfailed();
    return more < 0 ? we_jfailed() : we_jcollect_end(run, &collect, kind);
}
