/* Attributes, items and slices, as the sandboxed environment gives them. */
#include "text/jinja_methods.h"
#include "text/jinja_run.h"

static int found(struct we_jvalue *value, struct we_jvalue result)
{
    *value = result;
    return result.kind == WE_J_FAILED ? -1 : 1;
}

static int undefined_attribute(struct we_jrun *run, struct we_jvalue object, struct we_str name, bool unsafe, struct we_jvalue *value)
{
    *value = we_jundefined(run, NULL, object, we_jstring(name));
    if (value->kind == WE_J_FAILED)
        return -1;
    value->undefined->unsafe = unsafe;
    return 1;
}

static int macro_attribute(struct we_jrun *run, const struct we_jmacro *macro, struct we_str name, struct we_jvalue *value)
{
    const struct we_jmacro_node *node = macro->node->macro.macro;
    if (we_str_equal_c(name, "name"))
        return found(value, node->target ? we_jstring(node->target->name.text) : we_jnone());
    if (we_str_equal_c(name, "catch_kwargs"))
        return found(value, we_jbool(node->kwargs_slot != WE_J_NO_SLOT));
    if (we_str_equal_c(name, "catch_varargs"))
        return found(value, we_jbool(node->varargs_slot != WE_J_NO_SLOT));
    if (we_str_equal_c(name, "caller"))
        return found(value, we_jbool(node->caller_slot != WE_J_NO_SLOT));
    if (we_str_equal_c(name, "explicit_caller"))
        return found(value, we_jbool(node->explicit_caller));
    if (!we_str_equal_c(name, "arguments"))
        return 0;
    struct we_jvalue names = we_jlist(run, WE_J_TUPLE, node->num_parameters);
    const struct we_jnode *parameter = node->parameters;
    for (size_t i = 0; names.kind != WE_J_FAILED && i < node->num_parameters; i++, parameter = parameter->next)
        names.list->items[i] = we_jstring(parameter->name.text);
    return found(value, names);
}

static int number_attribute(struct we_jvalue object, struct we_str name, struct we_jvalue *value)
{
    bool integer = we_jis_int(object);
    if (we_str_equal_c(name, "real") || (integer && we_str_equal_c(name, "numerator")))
        return found(value, integer ? we_jint(we_jas_int(object)) : object);
    if (we_str_equal_c(name, "imag"))
        return found(value, integer ? we_jint(0) : we_jfloat(0));
    if (integer && we_str_equal_c(name, "denominator"))
        return found(value, we_jint(1));
    return 0;
}

static int range_attribute(const struct we_jrange *range, struct we_str name, struct we_jvalue *value)
{
    if (we_str_equal_c(name, "start"))
        return found(value, we_jint(range->start));
    if (we_str_equal_c(name, "stop"))
        return found(value, we_jint(range->stop));
    return we_str_equal_c(name, "step") ? found(value, we_jint(range->step)) : 0;
}

/* Values that are no methods. */
static int data_attribute(struct we_jrun *run, struct we_jvalue object, struct we_str name, struct we_jvalue *value)
{
    switch (object.kind) {
    case WE_J_NAMESPACE: {
        const struct we_jvalue *known = we_jdict_find(run, object.dict, name);
        return known ? found(value, *known) : 0;
    }
    case WE_J_LOOP:
        return we_jloop_attribute(run, object.loop, name, value);
    case WE_J_MACRO:
        return macro_attribute(run, object.macro, name, value);
    case WE_J_BOOL:
    case WE_J_INT:
    case WE_J_FLOAT:
        return number_attribute(object, name, value);
    case WE_J_RANGE:
        return range_attribute(object.range, name, value);
    case WE_J_TUPLE:
        if (object.flags & WE_J_GROUP && we_str_equal_c(name, "grouper"))
            return found(value, object.list->items[0]);
        if (object.flags & WE_J_GROUP && we_str_equal_c(name, "list"))
            return found(value, object.list->items[1]);
        return 0;
    case WE_J_CYCLER:
        if (we_str_equal_c(name, "current"))
            return found(value, object.cycler->items.items[object.cycler->position]);
        if (!we_str_equal_c(name, "items"))
            return we_str_equal_c(name, "pos") ? found(value, we_jint((int64_t)object.cycler->position)) : 0;
        *value = we_jlist(run, WE_J_TUPLE, 0);
        if (value->kind != WE_J_FAILED)
            *value->list = object.cycler->items;
        return found(value, *value);
    case WE_J_JOINER:
        if (we_str_equal_c(name, "sep"))
            return found(value, object.joiner->separator);
        return we_str_equal_c(name, "used") ? found(value, we_jbool(object.joiner->used)) : 0;
    default:
        return 0;
    }
}

int we_jfind_attribute(struct we_jrun *run, struct we_jvalue object, struct we_str name, struct we_jvalue *value)
{
    int known = data_attribute(run, object, name, value);
    if (known != 0)
        return known;
    bool unsafe = false;
    const struct we_jcallable *method = we_jmethod_named(object, name, &unsafe);
    if (method == NULL)
        return unsafe ? undefined_attribute(run, object, name, true, value) : 0;
    return found(value, we_jbind_method(run, object, method));
}

const struct we_jcallable *we_jfind_method(struct we_jvalue object, struct we_str name)
{
    bool unsafe;
    return we_jmethod_named(object, name, &unsafe);
}

/* ---- items ---- */

/* An index of a sequence, counted from the end if it is negative; SIZE_MAX if it is outside. */
static size_t index_in(struct we_jvalue key, size_t count)
{
    int64_t index = we_jas_int(key);
    if (index < 0)
        index += (int64_t)count;
    return index >= 0 && (uint64_t)index < count ? (size_t)index : SIZE_MAX;
}

static int character(struct we_jrun *run, struct we_jvalue object, struct we_jvalue key, struct we_jvalue *value)
{
    struct we_str text = we_jtext(object);
    int64_t index = we_jas_int(key);
    if (!we_jcharge_bytes(run, text.length))
        return -1;
    size_t place = index < 0 ? index_in(key, we_jcharacters(text)) : (size_t)index;
    size_t at = place == SIZE_MAX ? text.length : we_joffset(text, place), size;
    if (at >= text.length)
        return 0;
    we_jchar_at(text, at, &size);
    return found(value, we_jpart(object, we_str(text.data + at, size)));
}

static struct we_jvalue block_named(struct we_jrun *run, struct we_str name)
{
    struct we_jvalue value = we_jkind_value(WE_J_BLOCK);
    for (value.block = run->jinja->blocks; value.block; value.block = value.block->next)
        if (we_str_equal(value.block->name, name))
            return value;
    return we_jkind_value(WE_J_MISSING);
}

/* object[key] itself: 1, 0 when Python raises TypeError or LookupError, or -1. */
static int item(struct we_jrun *run, struct we_jvalue object, struct we_jvalue key, struct we_jvalue *value)
{
    switch (object.kind) {
    case WE_J_UNDEFINED:
        we_jfail_undefined(run, object);
        return -1;
    case WE_J_DICT:
        if (key.kind == WE_J_LIST || key.kind == WE_J_DICT || key.kind == WE_J_VIEW)
            return 0;
        return we_jdict_get(run, object.dict, key, value);
    case WE_J_LIST:
    case WE_J_TUPLE: {
        size_t index = we_jis_int(key) ? index_in(key, object.list->count) : SIZE_MAX;
        return index == SIZE_MAX ? 0 : found(value, object.list->items[index]);
    }
    case WE_J_STRING:
        return we_jis_int(key) ? character(run, object, key, value) : 0;
    case WE_J_RANGE: {
        size_t index = we_jis_int(key) ? index_in(key, object.range->count) : SIZE_MAX;
        return index == SIZE_MAX ? 0 : found(value, we_jint(object.range->start + (int64_t)index * object.range->step));
    }
    case WE_J_SELF:
        *value = key.kind == WE_J_STRING ? block_named(run, we_jtext(key)) : we_jkind_value(WE_J_MISSING);
        return value->kind != WE_J_MISSING;
    default:
        return 0;
    }
}

struct we_jvalue we_jget_item(struct we_jrun *run, struct we_jvalue object, struct we_jvalue key)
{
    struct we_jvalue value;
    if (object.kind == WE_J_FAILED || key.kind == WE_J_FAILED)
        return we_jfailed();
    int known = item(run, object, key, &value);
    if (known == 0 && key.kind == WE_J_STRING)
        known = we_jfind_attribute(run, object, we_jtext(key), &value);
    if (known == 0)
        return we_jundefined(run, NULL, object, key);
    return known < 0 ? we_jfailed() : value;
}

struct we_jvalue we_jget_attribute(struct we_jrun *run, struct we_jvalue object, struct we_str name)
{
    struct we_jvalue value;
    if (object.kind == WE_J_FAILED)
        return object;
    if (object.kind == WE_J_UNDEFINED)
        return we_jfail_undefined(run, object);
    int known = we_jfind_attribute(run, object, name, &value);
    if (known == 0)
        known = item(run, object, we_jstring(name), &value);
    if (known == 0)
        known = undefined_attribute(run, object, name, false, &value);
    return known < 0 ? we_jfailed() : value;
}

/* ---- slices ---- */

/* A bound of a slice, moved into what a sequence of `count` has. */
static int64_t bound(struct we_jvalue value, int64_t missing, int64_t count, int64_t low, int64_t high)
{
    if (value.kind == WE_J_NONE || value.kind == WE_J_MISSING)
        return missing;
    int64_t index = we_jas_int(value);
    if (index < 0)
        index = index < -count ? low : index + count;
    return index < low ? low : index > high ? high : index;
}

static struct we_jvalue slice_string(struct we_jrun *run, struct we_jvalue object, int64_t start, int64_t count, int64_t step)
{
    struct we_str text = we_jtext(object);
    if (!we_jcharge_bytes(run, text.length))
        return we_jfailed();
    if (step == 1) {
        size_t from = we_joffset(text, (size_t)start);
        struct we_str tail = we_str(text.data + from, text.length - from);
        return we_jpart(object, we_str(tail.data, we_joffset(tail, (size_t)count)));
    }
    size_t characters = we_jcharacters(text), at = 0;
    uint32_t *offsets = we_jalloc(run, characters + 1, sizeof *offsets);
    if (offsets == NULL)
        return we_jfailed();
    for (size_t i = 0, size; i < characters; i++, at += size) {
        offsets[i] = (uint32_t)at;
        we_jchar_at(text, at, &size);
    }
    offsets[characters] = object.length;
    size_t begin = we_jtext_begin(run);
    for (int64_t i = 0; i < count; i++) {
        size_t place = (size_t)(start + i * step);
        if (!we_jwrite(run, we_str(text.data + offsets[place], offsets[place + 1] - offsets[place])))
            return we_jfailed();
    }
    struct we_jvalue result = we_jtext_end(run, begin);
    return object.flags & WE_J_MARKUP ? we_jmarkup(result) : result;
}

static struct we_jvalue slice_range(struct we_jrun *run, const struct we_jrange *range, int64_t start, int64_t stop, int64_t count,
                                    int64_t step)
{
    struct we_jvalue value = we_jkind_value(WE_J_RANGE);
    value.range = we_jalloc(run, 1, sizeof *value.range);
    if (value.range == NULL)
        return we_jfailed();
    __int128 wide_start = (__int128)range->start + (__int128)start * range->step, wide_step = (__int128)range->step * step;
    __int128 wide_stop = (__int128)range->start + (__int128)stop * range->step;
    if (wide_step > INT64_MAX || wide_step < INT64_MIN || wide_stop > INT64_MAX || wide_stop < INT64_MIN ||
        wide_start > INT64_MAX || wide_start < INT64_MIN)
        return we_jfail(run, "a range beyond 64 bits, which is not supported");
    *value.range = (struct we_jrange){
        .start = (int64_t)wide_start, .stop = (int64_t)wide_stop, .step = (int64_t)wide_step, .count = (size_t)count};
    return value;
}

static bool slice_index(struct we_jrun *run, struct we_jvalue value)
{
    if (value.kind == WE_J_MISSING || value.kind == WE_J_NONE || we_jis_int(value))
        return true;
    if (value.kind != WE_J_FAILED)
        we_jfail(run, "slice indices must be integers or None or have an __index__ method");
    return false;
}

struct we_jvalue we_jslice(struct we_jrun *run, struct we_jvalue object, struct we_jvalue start, struct we_jvalue stop,
                           struct we_jvalue step)
{
    if (object.kind == WE_J_FAILED)
        return object;
    if (object.kind == WE_J_UNDEFINED)
        return we_jfail_undefined(run, object);
    if (object.kind == WE_J_DICT)
        return we_jfail(run, "unhashable type: 'slice'");
    if (object.kind != WE_J_STRING && object.kind != WE_J_RANGE && !we_jis_sequence(object))
        return we_jfail(run, "'%s' object is not subscriptable", we_jtype_name(object));
    if (!slice_index(run, start) || !slice_index(run, stop) || !slice_index(run, step))
        return we_jfailed();
    int64_t by = step.kind == WE_J_MISSING || step.kind == WE_J_NONE ? 1 : we_jas_int(step);
    if (by == 0)
        return we_jfail(run, "slice step cannot be zero");
    if (by == INT64_MIN)
        by = -INT64_MAX;
    size_t length;
    if (!we_jlength(run, object, &length))
        return we_jfailed();
    int64_t n = (int64_t)length, low = by < 0 ? -1 : 0, high = by < 0 ? n - 1 : n;
    int64_t first = bound(start, by < 0 ? high : 0, n, low, high), last = bound(stop, by < 0 ? low : high, n, low, high);
    int64_t count = by > 0 ? (last > first ? (last - first - 1) / by + 1 : 0) : (first > last ? (first - last - 1) / -by + 1 : 0);
    if (object.kind == WE_J_STRING)
        return slice_string(run, object, first, count, by);
    if (object.kind == WE_J_RANGE)
        return slice_range(run, object.range, first, last, count, by);
    struct we_jvalue result = we_jlist(run, object.kind, (size_t)count);
    for (int64_t i = 0; result.kind != WE_J_FAILED && i < count; i++)
        result.list->items[i] = object.list->items[first + i * by];
    return result;
}
