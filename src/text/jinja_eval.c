/* Evaluates expressions. */
#include "text/jinja_run.h"

static struct we_jvalue *slot_of(struct we_jframe *frame, uint32_t depth, uint32_t slot)
{
    for (; depth; depth--)
        frame = frame->outer;
    return &frame->slots[slot];
}

static struct we_jvalue eval_name(struct we_jrun *run, struct we_jframe *frame, const struct we_jnode *node)
{
    const struct we_jvalue *value = slot_of(frame, node->name.depth, node->name.slot);
    if (value->kind != WE_J_MISSING)
        return *value;
    run->at = node;
    return we_jundefined_name(run, node->name.text);
}

static struct we_jvalue eval_items(struct we_jrun *run, struct we_jframe *frame, const struct we_jnode *node)
{
    size_t count = 0, i = 0;
    for (const struct we_jnode *item = node->items; item; item = item->next)
        count++;
    struct we_jvalue list = we_jlist(run, node->kind == WE_J_LIST_NODE ? WE_J_LIST : WE_J_TUPLE, count);
    for (const struct we_jnode *item = node->items; list.kind != WE_J_FAILED && item; item = item->next) {
        struct we_jvalue value = we_jeval(run, frame, item);
        if (value.kind == WE_J_FAILED)
            return value;
        list.list->items[i++] = value;
    }
    return list;
}

static struct we_jvalue eval_dict(struct we_jrun *run, struct we_jframe *frame, const struct we_jnode *node)
{
    struct we_jvalue dict = we_jdict(run, WE_J_DICT);
    for (const struct we_jnode *key = node->items; dict.kind != WE_J_FAILED && key; key = key->next->next) {
        struct we_jvalue name = we_jeval(run, frame, key), value = we_jfailed();
        if (name.kind != WE_J_FAILED)
            value = we_jeval(run, frame, key->next);
        run->at = node;
        if (value.kind == WE_J_FAILED || !we_jdict_put(run, dict.dict, name, value))
            return we_jfailed();
    }
    return dict;
}

static struct we_jvalue eval_binary(struct we_jrun *run, struct we_jframe *frame, const struct we_jnode *node)
{
    struct we_jvalue left = we_jeval(run, frame, node->binary.left);
    if (left.kind == WE_J_FAILED)
        return left;
    struct we_jvalue right = we_jeval(run, frame, node->binary.right);
    run->at = node;
    return we_jbinary(run, (enum we_joperator)node->op, left, right);
}

static struct we_jvalue eval_logic(struct we_jrun *run, struct we_jframe *frame, const struct we_jnode *node)
{
    struct we_jvalue left = we_jeval(run, frame, node->binary.left);
    int truth = we_jtruth(run, left);
    if (truth < 0)
        return we_jfailed();
    if (node->kind == WE_J_NOT)
        return we_jbool(!truth);
    return truth == (node->kind == WE_J_OR) ? left : we_jeval(run, frame, node->binary.right);
}

static struct we_jvalue eval_compare(struct we_jrun *run, struct we_jframe *frame, const struct we_jnode *node)
{
    struct we_jvalue left = we_jeval(run, frame, node->compare.left);
    for (const struct we_jnode *operand = node->compare.operands; operand; operand = operand->next) {
        struct we_jvalue right = left.kind == WE_J_FAILED ? left : we_jeval(run, frame, operand->binary.left);
        if (right.kind == WE_J_FAILED)
            return right;
        run->at = operand;
        int result = we_jcompare(run, (enum we_joperator)operand->op, left, right);
        if (result != 1)
            return result < 0 ? we_jfailed() : we_jbool(false);
        left = right;
    }
    return we_jbool(true);
}

static struct we_jvalue eval_concat(struct we_jrun *run, struct we_jframe *frame, const struct we_jnode *node)
{
    struct we_jvalue result = we_jstring(we_str("", 0));
    for (const struct we_jnode *part = node->items; part; part = part->next) {
        struct we_jvalue value = we_jeval(run, frame, part);
        run->at = node;
        value = value.kind == WE_J_FAILED ? value : we_jto_string(run, value);
        if (value.kind == WE_J_FAILED)
            return value;
        result = we_jconcat(run, we_jtext(result), we_jtext(value));
        if (result.kind == WE_J_FAILED)
            return result;
    }
    return result;
}

static struct we_jvalue eval_condition(struct we_jrun *run, struct we_jframe *frame, const struct we_jnode *node)
{
    int truth = we_jtruth(run, we_jeval(run, frame, node->condition.test));
    if (truth < 0)
        return we_jfailed();
    if (truth)
        return we_jeval(run, frame, node->condition.then);
    if (node->condition.otherwise)
        return we_jeval(run, frame, node->condition.otherwise);
    return we_jundefined(run, "the inline if-expression on line % evaluated to false and no else section was defined.",
                         we_jkind_value(WE_J_MISSING), we_jint(node->line));
}

static struct we_jvalue eval_attribute(struct we_jrun *run, struct we_jframe *frame, const struct we_jnode *node)
{
    struct we_jvalue object = we_jeval(run, frame, node->attribute.object);
    run->at = node;
    return we_jget_attribute(run, object, node->attribute.name);
}

static struct we_jvalue eval_optional(struct we_jrun *run, struct we_jframe *frame, const struct we_jnode *node)
{
    return node ? we_jeval(run, frame, node) : we_jkind_value(WE_J_MISSING);
}

static struct we_jvalue eval_item(struct we_jrun *run, struct we_jframe *frame, const struct we_jnode *node)
{
    struct we_jvalue object = we_jeval(run, frame, node->item.object);
    const struct we_jnode *key = node->item.key;
    if (object.kind == WE_J_FAILED)
        return object;
    if (key->kind != WE_J_SLICE) {
        struct we_jvalue value = we_jeval(run, frame, key);
        run->at = node;
        return we_jget_item(run, object, value);
    }
    struct we_jvalue start = eval_optional(run, frame, key->slice.start);
    struct we_jvalue stop = start.kind == WE_J_FAILED ? start : eval_optional(run, frame, key->slice.stop);
    struct we_jvalue step = stop.kind == WE_J_FAILED ? stop : eval_optional(run, frame, key->slice.step);
    run->at = node;
    return step.kind == WE_J_FAILED ? step : we_jslice(run, object, start, stop, step);
}

/* ---- calls ---- */

/* Room for `count` values that lives until the caller sets run->stack_used back. */
static struct we_jvalue *push_values(struct we_jrun *run, size_t count)
{
    if (count > WE_J_STACK - run->stack_used) {
        we_jtoo_deep(run);
        return NULL;
    }
    struct we_jvalue *values = run->stack + run->stack_used;
    run->stack_used += count;
    return values;
}

/* *x: the positional arguments in a new list, with those of x behind them. */
static bool add_star(struct we_jrun *run, struct we_jargs *args, struct we_jvalue star)
{
    struct we_jvalue more = we_jto_list(run, star, WE_J_LIST);
    struct we_jvalue *all = more.kind == WE_J_FAILED ? NULL : we_jalloc(run, args->count + more.list->count, sizeof *all);
    if (all == NULL)
        return false;
    if (args->count)
        memcpy(all, args->values, args->count * sizeof *all);
    if (more.list->count)
        memcpy(all + args->count, more.list->items, more.list->count * sizeof *all);
    args->values = all;
    args->count += more.list->count;
    return true;
}

static bool add_star_star(struct we_jrun *run, struct we_jargs *args, struct we_jvalue star)
{
    if (star.kind != WE_J_DICT) {
        if (star.kind == WE_J_UNDEFINED)
            we_jfail_undefined(run, star);
        else if (star.kind != WE_J_FAILED)
            we_jfail(run, "argument after ** must be a mapping, not %s", we_jtype_name(star));
        return false;
    }
    size_t total = args->num_named + star.dict->count;
    struct we_str *names = we_jalloc(run, total, sizeof *names);
    struct we_jvalue *named = we_jalloc(run, total, sizeof *named);
    if (names == NULL || named == NULL)
        return false;
    for (size_t i = 0; i < args->num_named; i++) {
        names[i] = args->names[i];
        named[i] = args->named[i];
    }
    for (size_t i = 0; i < star.dict->count; i++) {
        const struct we_jentry *entry = &star.dict->entries[i];
        if (entry->key.kind != WE_J_STRING) {
            we_jfail(run, "keywords must be strings");
            return false;
        }
        for (size_t j = 0; j < args->num_named; j++) {
            if (we_str_equal(names[j], we_jtext(entry->key))) {
                we_jfail(run, "got multiple values for keyword argument '%.*s'", WE_STR_ARG(names[j]));
                return false;
            }
        }
        names[args->num_named + i] = we_jtext(entry->key);
        named[args->num_named + i] = entry->value;
    }
    args->names = names;
    args->named = named;
    args->num_named = total;
    return true;
}

/* The arguments of a call, with `caller` as a last one by name unless it is MISSING. */
static bool eval_arguments(struct we_jrun *run, struct we_jframe *frame, const struct we_jcall_node *call, struct we_jvalue caller,
                           struct we_jargs *args)
{
    size_t extra = caller.kind != WE_J_MISSING, n = 0;
    struct we_jvalue *values = push_values(run, call->count + call->num_named + extra);
    if (values == NULL)
        return false;
    *args = (struct we_jargs){.values = values, .count = call->count, .named = values + call->count};
    args->num_named = call->num_named + extra;
    for (const struct we_jnode *item = call->items; item; item = item->next)
        if ((values[n++] = we_jeval(run, frame, item)).kind == WE_J_FAILED)
            return false;
    if (args->num_named) {
        struct we_str *names = we_jalloc(run, args->num_named, sizeof *names);
        if (names == NULL)
            return false;
        n = 0;
        for (const struct we_jnode *item = call->named; item; item = item->next) {
            names[n] = item->named.name;
            if ((args->named[n++] = we_jeval(run, frame, item->named.value)).kind == WE_J_FAILED)
                return false;
        }
        if (extra) {
            names[n] = we_str_c("caller");
            args->named[n] = caller;
        }
        args->names = names;
    }
    return (call->star == NULL || add_star(run, args, we_jeval(run, frame, call->star))) &&
           (call->star_star == NULL || add_star_star(run, args, we_jeval(run, frame, call->star_star)));
}

/* A method is called without making a bound method first. */
static struct we_jvalue eval_callee(struct we_jrun *run, struct we_jframe *frame, const struct we_jnode *callee,
                                    const struct we_jcallable **method)
{
    *method = NULL;
    if (callee->kind != WE_J_ATTRIBUTE)
        return we_jeval(run, frame, callee);
    struct we_jvalue object = we_jeval(run, frame, callee->attribute.object);
    run->at = callee;
    bool plain = object.kind == WE_J_STRING || object.kind == WE_J_DICT || object.kind == WE_J_LIST;
    *method = plain ? we_jfind_method(object, callee->attribute.name) : NULL;
    return *method ? object : we_jget_attribute(run, object, callee->attribute.name);
}

static struct we_jvalue eval_call(struct we_jrun *run, struct we_jframe *frame, const struct we_jnode *node, struct we_jvalue caller)
{
    const struct we_jcallable *method;
    struct we_jargs args;
    size_t stack = run->stack_used;
    struct we_jvalue callee = eval_callee(run, frame, node->call.object, &method), result = we_jfailed();
    if (callee.kind != WE_J_FAILED && eval_arguments(run, frame, node->call.args, caller, &args)) {
        run->at = node;
        result = method ? we_jcall_callable(run, method, callee, &args) : we_jcall(run, callee, &args);
    }
    run->stack_used = stack;
    return result;
}

/* A filter or a test. `text`: what the filter of a block gets. */
static struct we_jvalue eval_filter(struct we_jrun *run, struct we_jframe *frame, const struct we_jnode *node, struct we_jvalue text)
{
    struct we_jargs args;
    size_t stack = run->stack_used;
    struct we_jvalue object = text, result = we_jfailed();
    if (node->call.object)
        object = node->kind == WE_J_FILTER && text.kind != WE_J_MISSING && node->call.object->kind == WE_J_FILTER
                     ? eval_filter(run, frame, node->call.object, text)
                     : we_jeval(run, frame, node->call.object);
    if (object.kind != WE_J_FAILED && eval_arguments(run, frame, node->call.args, we_jkind_value(WE_J_MISSING), &args)) {
        run->at = node;
        if (node->call.callable)
            result = we_jcall_callable(run, node->call.callable, object, &args);
        else
            we_jfail(run, "no %s named '%.*s'%s", node->kind == WE_J_FILTER ? "filter" : "test", WE_STR_ARG(node->call.name),
                     we_jfilter_is_known(node->call.name) ? " is supported" : "");
    }
    run->stack_used = stack;
    return result;
}

struct we_jvalue we_jeval_filter(struct we_jrun *run, struct we_jframe *frame, const struct we_jnode *node, struct we_jvalue text)
{
    if (!we_jenter(run))
        return we_jfailed();
    struct we_jvalue result = eval_filter(run, frame, node, text);
    we_jleave(run);
    return result;
}

struct we_jvalue we_jeval_call(struct we_jrun *run, struct we_jframe *frame, const struct we_jnode *node, struct we_jvalue caller)
{
    if (!we_jenter(run))
        return we_jfailed();
    struct we_jvalue result = eval_call(run, frame, node, caller);
    we_jleave(run);
    return result;
}

static struct we_jvalue eval_inner(struct we_jrun *run, struct we_jframe *frame, const struct we_jnode *node)
{
    switch (node->kind) {
    case WE_J_TUPLE_NODE:
    case WE_J_LIST_NODE:
        return eval_items(run, frame, node);
    case WE_J_DICT_NODE:
        return eval_dict(run, frame, node);
    case WE_J_BINARY:
        return eval_binary(run, frame, node);
    case WE_J_NEGATE:
    case WE_J_PLUS: {
        struct we_jvalue value = we_jeval(run, frame, node->binary.left);
        run->at = node;
        return we_jnegate(run, value, node->kind == WE_J_NEGATE);
    }
    case WE_J_NOT:
    case WE_J_AND:
    case WE_J_OR:
        return eval_logic(run, frame, node);
    case WE_J_CONCAT:
        return eval_concat(run, frame, node);
    case WE_J_COMPARE:
        return eval_compare(run, frame, node);
    case WE_J_CONDITION:
        return eval_condition(run, frame, node);
    case WE_J_ATTRIBUTE:
        return eval_attribute(run, frame, node);
    case WE_J_ITEM:
        return eval_item(run, frame, node);
    case WE_J_CALL:
        return eval_call(run, frame, node, we_jkind_value(WE_J_MISSING));
    case WE_J_FILTER:
    case WE_J_TEST:
        return eval_filter(run, frame, node, we_jkind_value(WE_J_MISSING));
    default:
        return we_jfail(run, "this is no expression"); /* the parser never lets one through */
    }
}

struct we_jvalue we_jeval(struct we_jrun *run, struct we_jframe *frame, const struct we_jnode *node)
{
    if (!we_jcharge(run, 1))
        return we_jfailed();
    if (node->kind == WE_J_CONST || node->kind == WE_J_TEXT_NODE)
        return node->value;
    if (node->kind == WE_J_NAME)
        return eval_name(run, frame, node);
    if (!we_jenter(run))
        return we_jfailed();
    struct we_jvalue value = eval_inner(run, frame, node);
    we_jleave(run);
    return value;
}
