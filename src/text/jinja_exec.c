/* Executes statements. */
#include "text/jinja_run.h"

/* ---- variables ---- */

struct we_jframe *we_jframe_new(struct we_jrun *run, const struct we_jcode *code, struct we_jframe *outer)
{
    struct we_jframe *frame = we_jalloc(run, 1, sizeof *frame + code->slots * sizeof frame->slots[0]);
    if (frame)
        frame->outer = outer; /* and the slots are MISSING */
    return frame;
}

void we_jscope_enter(struct we_jrun *run, struct we_jframe *frame, const struct we_jscope *scope)
{
    for (size_t i = 0; i < scope->count; i++) {
        const struct we_jload *load = &scope->loads[i];
        const struct we_jframe *outer = frame;
        switch (load->kind) {
        case WE_J_LOAD_PARAMETER:
            break;
        case WE_J_LOAD_RESOLVE:
            frame->slots[load->slot] = run->context[load->name];
            break;
        case WE_J_LOAD_ALIAS:
            for (uint32_t depth = load->depth; depth; depth--)
                outer = outer->outer;
            frame->slots[load->slot] = outer->slots[load->outer_slot];
            break;
        case WE_J_LOAD_NOTHING:
            frame->slots[load->slot] = we_jkind_value(WE_J_MISSING);
        }
    }
}

void we_jscope_leave(struct we_jframe *frame, const struct we_jscope *scope)
{
    for (size_t i = 0; i < scope->count; i++)
        frame->slots[scope->loads[i].slot] = we_jkind_value(WE_J_MISSING);
}

static struct we_jvalue *variable(struct we_jframe *frame, const struct we_jnode *name)
{
    for (uint32_t depth = name->name.depth; depth; depth--)
        frame = frame->outer;
    return &frame->slots[name->name.slot];
}

static bool assign_attribute(struct we_jrun *run, struct we_jframe *frame, const struct we_jnode *target, struct we_jvalue value)
{
    struct we_jvalue namespace = *variable(frame, target);
    run->at = target;
    if (namespace.kind != WE_J_NAMESPACE) {
        we_jfail(run, "cannot assign attribute on non-namespace object");
        return false;
    }
    if (target->name.attribute.data[0] == '_') {
        we_jfail(run, "underscore-prefixed attributes cannot be stored on a namespace, but got '%.*s'",
                 WE_STR_ARG(target->name.attribute));
        return false;
    }
    return we_jdict_put(run, namespace.dict, we_jstring(target->name.attribute), value);
}

static bool unpack(struct we_jrun *run, struct we_jframe *frame, const struct we_jnode *target, struct we_jvalue value)
{
    struct we_jiter iter;
    struct we_jvalue item;
    size_t expected = 0, got = 0;
    int more = 1;
    for (const struct we_jnode *part = target->items; part; part = part->next)
        expected++;
    if (value.kind != WE_J_FAILED && !we_jis_iterable(value)) {
        we_jfail(run, "cannot unpack non-iterable %s object", we_jtype_name(value));
        return false;
    }
    struct we_jvalue items = we_jlist(run, WE_J_LIST, expected);
    if (items.kind == WE_J_FAILED || !we_jiter_start(run, value, &iter))
        return false;
    while (got < expected && (more = we_jiter_next(run, &iter, &item)) == 1)
        items.list->items[got++] = item;
    if (more == 0)
        we_jfail(run, "not enough values to unpack (expected %zu, got %zu)", expected, got);
    else if (more == 1 && (more = we_jiter_next(run, &iter, &item)) == 1)
        we_jfail(run, "too many values to unpack (expected %zu)", expected);
    if (run->status != WE_OK)
        return false;
    size_t i = 0;
    for (const struct we_jnode *part = target->items; part; part = part->next)
        if (!we_jassign(run, frame, part, items.list->items[i++]))
            return false;
    return true;
}

bool we_jassign(struct we_jrun *run, struct we_jframe *frame, const struct we_jnode *target, struct we_jvalue value)
{
    if (value.kind == WE_J_FAILED)
        return false;
    if (target->kind == WE_J_TUPLE_NODE) {
        run->at = target;
        return unpack(run, frame, target, value);
    }
    if (target->kind == WE_J_NS_REFERENCE)
        return assign_attribute(run, frame, target, value);
    *variable(frame, target) = value;
    if (target->name.exported)
        run->context[target->name.name] = value;
    return true;
}

/* ---- loops ---- */

struct tested { /* the items of a loop that pass its test */
    const struct we_jfor_node *loop;
    struct we_jframe *frame;
};

/* What a target holds: of a tuple, a new tuple. */
static struct we_jvalue target_value(struct we_jrun *run, struct we_jframe *frame, const struct we_jnode *target)
{
    if (target->kind != WE_J_TUPLE_NODE)
        return *variable(frame, target);
    struct we_jcollect parts = {0};
    for (const struct we_jnode *part = target->items; part; part = part->next) {
        struct we_jvalue value = target_value(run, frame, part);
        if (value.kind == WE_J_FAILED || !we_jcollect_add(run, &parts, value))
            return we_jfailed();
    }
    return we_jcollect_end(run, &parts, WE_J_TUPLE);
}

static int next_tested(struct we_jrun *run, struct we_jiter *iter, struct we_jvalue *value)
{
    const struct tested *tested = iter->state;
    for (;;) {
        int more = we_jiter_next(run, iter->from, value);
        if (more != 1)
            return more;
        if (!we_jassign(run, tested->frame, tested->loop->test_target, *value))
            return -1;
        int truth = we_jtruth(run, we_jeval(run, tested->frame, tested->loop->test));
        if (truth < 0)
            return -1;
        if (truth) {
            *value = target_value(run, tested->frame, tested->loop->test_target);
            return value->kind == WE_J_FAILED ? -1 : 1;
        }
    }
}

static struct we_jvalue only_tested(struct we_jrun *run, const struct we_jfor_node *loop, struct we_jframe *outer,
                                    struct we_jvalue iterable)
{
    struct tested *tested = we_jalloc(run, 1, sizeof *tested);
    if (tested == NULL || (tested->frame = we_jframe_new(run, &loop->test_code, outer)) == NULL)
        return we_jfailed();
    tested->loop = loop;
    we_jscope_enter(run, tested->frame, &loop->test_scope);
    return we_jgenerator(run, iterable, next_tested, tested);
}

/* The next item of a loop whose `loop` variable is used; it may have been looked at already. */
static int next_of_loop(struct we_jrun *run, struct we_jloop *loop, struct we_jvalue *value)
{
    int more = 1;
    if (loop->after.kind != WE_J_MISSING) {
        *value = loop->after;
        loop->after = we_jkind_value(WE_J_MISSING);
    } else {
        more = we_jiter_next(run, &loop->iter, value);
    }
    if (more != 1)
        return more;
    loop->index0++;
    loop->before = loop->current;
    loop->current = *value;
    return 1;
}

static enum we_jflow run_loop(struct we_jrun *run, struct we_jframe *frame, const struct we_jfor_node *node, struct we_jloop *loop,
                              struct we_jiter *iter, bool *completed)
{
    struct we_jvalue item;
    for (;;) {
        int more = loop ? next_of_loop(run, loop, &item) : we_jiter_next(run, iter, &item);
        if (more != 1)
            return more < 0 ? WE_J_STOP : WE_J_NEXT;
        if (!we_jcharge(run, 1 + node->body_scope.count / 4) || !we_jassign(run, frame, node->target, item))
            return WE_J_STOP;
        if (loop) {
            frame->slots[node->loop_slot] = we_jkind_value(WE_J_LOOP);
            frame->slots[node->loop_slot].loop = loop;
        }
        we_jscope_enter(run, frame, &node->body_scope);
        enum we_jflow flow = we_jexec(run, frame, node->body);
        if (flow == WE_J_STOP)
            return flow;
        if (flow == WE_J_BREAK)
            return WE_J_NEXT;
        *completed = *completed || flow == WE_J_NEXT; /* `continue` does not count, as in Jinja */
    }
}

enum we_jflow we_jexec_for(struct we_jrun *run, struct we_jframe *frame, const struct we_jnode *node, struct we_jvalue iterable,
                           struct we_jframe *outer, int64_t depth0)
{
    const struct we_jfor_node *data = node->loop;
    struct we_jloop *loop = NULL;
    struct we_jiter plain, *iter = &plain;
    run->at = node;
    if (data->test)
        iterable = only_tested(run, data, outer, iterable);
    if (iterable.kind == WE_J_FAILED)
        return WE_J_STOP;
    if (data->extended) {
        loop = we_jalloc(run, 1, sizeof *loop);
        if (loop == NULL)
            return WE_J_STOP;
        *loop = (struct we_jloop){.node = node, .outer = outer, .iterable = iterable, .index0 = -1, .length = -1, .depth0 = depth0};
        iter = &loop->iter;
    }
    bool completed = false;
    if (!we_jiter_start(run, iterable, iter))
        return WE_J_STOP;
    enum we_jflow flow = run_loop(run, frame, data, loop, iter, &completed);
    if (flow == WE_J_STOP)
        return flow;
    we_jscope_leave(frame, &data->body_scope);
    if (completed || data->otherwise == NULL)
        return WE_J_NEXT;
    we_jscope_enter(run, frame, &data->else_scope);
    flow = we_jexec(run, frame, data->otherwise);
    we_jscope_leave(frame, &data->else_scope);
    return flow;
}

bool we_jloop_length(struct we_jrun *run, struct we_jloop *loop, size_t *length)
{
    if (loop->length < 0 && we_jhas_length(loop->iterable)) {
        if (!we_jlength(run, loop->iterable, length))
            return false;
        loop->length = (int64_t)*length;
    } else if (loop->length < 0) { /* take what is left to see how much it is */
        struct we_jcollect rest = {0};
        struct we_jvalue item;
        int more;
        while ((more = we_jiter_next(run, &loop->iter, &item)) == 1)
            if (!we_jcollect_add(run, &rest, item))
                return false;
        struct we_jvalue list = more < 0 ? we_jfailed() : we_jcollect_end(run, &rest, WE_J_LIST);
        if (!we_jiter_start(run, list, &loop->iter))
            return false;
        loop->length = (int64_t)rest.list.count + loop->index0 + 1 + (loop->after.kind != WE_J_MISSING);
    }
    *length = loop->length > 0 ? (size_t)loop->length : 0;
    return true;
}

/* Whether there is a next item: 1, 0 or -1. */
static int look_ahead(struct we_jrun *run, struct we_jloop *loop)
{
    if (loop->after.kind != WE_J_MISSING)
        return 1;
    int more = we_jiter_next(run, &loop->iter, &loop->after);
    if (more != 1)
        loop->after = we_jkind_value(WE_J_MISSING);
    return more;
}

static struct we_jvalue loop_item(struct we_jrun *run, struct we_jloop *loop, bool next)
{
    int there = next ? look_ahead(run, loop) : loop->index0 > 0;
    if (there < 0)
        return we_jfailed();
    if (!there)
        return we_jundefined(run, next ? "there is no next item" : "there is no previous item", we_jkind_value(WE_J_MISSING), we_jnone());
    return next ? loop->after : loop->before;
}

int we_jloop_attribute(struct we_jrun *run, struct we_jloop *loop, struct we_str name, struct we_jvalue *value)
{
    static const char *const names[] = {"index0", "index", "first", "last", "length", "revindex0",
                                        "revindex", "depth0", "depth", "previtem", "nextitem"};
    size_t which = 0, count = sizeof names / sizeof names[0], length = 0;
    while (which < count && !we_str_equal_c(name, names[which]))
        which++;
    if (which >= 4 && which <= 6 && !we_jloop_length(run, loop, &length))
        return -1;
    int more;
    switch (which) {
    case 0:
    case 1:
        *value = we_jint(loop->index0 + (which == 1));
        return 1;
    case 2:
        *value = we_jbool(loop->index0 == 0);
        return 1;
    case 3:
        more = look_ahead(run, loop);
        *value = we_jbool(more == 0);
        return more < 0 ? -1 : 1;
    case 4:
        *value = we_jint((int64_t)length);
        return 1;
    case 5:
    case 6:
        *value = we_jint((int64_t)length - loop->index0 - (which == 5));
        return 1;
    case 7:
    case 8:
        *value = we_jint(loop->depth0 + (which == 8));
        return 1;
    case 9:
    case 10:
        *value = loop_item(run, loop, which == 10);
        return value->kind == WE_J_FAILED ? -1 : 1;
    default:
        return 0;
    }
}

/* loop(items) inside of a recursive loop: its text over these items. */
struct we_jvalue we_jloop_recurse(struct we_jrun *run, struct we_jloop *loop, const struct we_jargs *args)
{
    if (!loop->node->loop->recursive)
        return we_jfail(run, "The loop must have the 'recursive' marker to be called recursively.");
    if (args->count != 1 || args->num_named)
        return we_jfail(run, "a loop takes one argument when it is called");
    struct we_jframe *frame = we_jframe_new(run, &loop->node->loop->code, loop->outer);
    if (frame == NULL || !we_jenter(run))
        return we_jfailed();
    size_t begin = we_jtext_begin(run);
    enum we_jflow flow = we_jexec_for(run, frame, loop->node, args->values[0], loop->outer, loop->depth0 + 1);
    we_jleave(run);
    return flow == WE_J_STOP ? we_jfailed() : we_jtext_end(run, begin);
}

static enum we_jflow exec_for(struct we_jrun *run, struct we_jframe *frame, const struct we_jnode *node)
{
    struct we_jvalue iterable = we_jeval(run, frame, node->loop->iterable);
    if (iterable.kind == WE_J_FAILED)
        return WE_J_STOP;
    struct we_jframe *inner = node->loop->recursive ? we_jframe_new(run, &node->loop->code, frame) : frame;
    return inner ? we_jexec_for(run, inner, node, iterable, frame, 0) : WE_J_STOP;
}

/* ---- the other statements ---- */

static enum we_jflow done(bool fine)
{
    return fine ? WE_J_NEXT : WE_J_STOP;
}

static enum we_jflow exec_output(struct we_jrun *run, struct we_jframe *frame, const struct we_jnode *node)
{
    for (const struct we_jnode *part = node->items; part; part = part->next) {
        struct we_jvalue value = we_jeval(run, frame, part);
        run->at = part;
        if (value.kind == WE_J_FAILED || !we_jprint(run, value))
            return WE_J_STOP;
    }
    return WE_J_NEXT;
}

static enum we_jflow exec_if(struct we_jrun *run, struct we_jframe *frame, const struct we_jnode *node)
{
    const struct we_jnode *branch = node;
    do {
        int truth = we_jtruth(run, we_jeval(run, frame, branch->branch.test));
        if (truth < 0)
            return WE_J_STOP;
        if (truth)
            return we_jexec(run, frame, branch->branch.body);
        branch = branch == node ? node->branch.branches : branch->next;
    } while (branch);
    return we_jexec(run, frame, node->branch.otherwise);
}

struct we_jvalue we_jcapture(struct we_jrun *run, struct we_jframe *frame, const struct we_jnode *body, enum we_jflow *flow)
{
    size_t begin = we_jtext_begin(run);
    *flow = we_jexec(run, frame, body);
    if (*flow == WE_J_NEXT)
        return we_jtext_end(run, begin);
    we_jtext_drop(run, begin);
    return we_jfailed();
}

static enum we_jflow exec_capture(struct we_jrun *run, struct we_jframe *frame, const struct we_jnode *node)
{
    enum we_jflow flow;
    we_jscope_enter(run, frame, node->capture.scope);
    struct we_jvalue text = we_jcapture(run, frame, node->capture.body, &flow);
    if (flow == WE_J_NEXT && node->capture.filter)
        text = we_jeval_filter(run, frame, node->capture.filter, text);
    if (flow != WE_J_NEXT)
        return flow; /* a break out of the block: its text is gone */
    if (text.kind == WE_J_FAILED)
        return WE_J_STOP;
    bool fine = node->kind == WE_J_SET_BLOCK ? we_jassign(run, frame, node->capture.target, text) : we_jprint(run, text);
    we_jscope_leave(frame, node->capture.scope);
    return done(fine);
}

static enum we_jflow exec_with(struct we_jrun *run, struct we_jframe *frame, const struct we_jnode *node)
{
    we_jscope_enter(run, frame, node->with.scope);
    const struct we_jnode *value = node->with.values;
    for (const struct we_jnode *target = node->with.targets; target; target = target->next, value = value->next)
        if (!we_jassign(run, frame, target, we_jeval(run, frame, value)))
            return WE_J_STOP;
    enum we_jflow flow = we_jexec(run, frame, node->with.body);
    if (flow != WE_J_STOP)
        we_jscope_leave(frame, node->with.scope);
    return flow;
}

static struct we_jvalue macro_value(struct we_jrun *run, struct we_jframe *frame, const struct we_jnode *node)
{
    struct we_jvalue value = we_jkind_value(WE_J_MACRO);
    value.macro = we_jalloc(run, 1, sizeof *value.macro);
    if (value.macro == NULL)
        return we_jfailed();
    *value.macro = (struct we_jmacro){.node = node, .outer = frame};
    return value;
}

static enum we_jflow exec_call_block(struct we_jrun *run, struct we_jframe *frame, const struct we_jnode *node)
{
    if (node->macro.call == NULL) { /* generation */
        struct we_jframe *inner = we_jmacro_frame(run, node->macro.macro, frame, &(struct we_jargs){0});
        return inner ? we_jexec(run, inner, node->macro.macro->body) : WE_J_STOP;
    }
    struct we_jvalue caller = macro_value(run, frame, node);
    struct we_jvalue text = caller.kind == WE_J_FAILED ? caller : we_jeval_call(run, frame, node->macro.call, caller);
    return done(text.kind != WE_J_FAILED && we_jprint(run, text));
}

bool we_jexec_block(struct we_jrun *run, const struct we_jblock *block)
{
    struct we_jframe *frame = we_jframe_new(run, &block->code, NULL);
    if (frame == NULL || !we_jenter(run))
        return false;
    if (block->self_slot != WE_J_NO_SLOT)
        frame->slots[block->self_slot] = we_jkind_value(WE_J_SELF);
    if (block->super_slot != WE_J_NO_SLOT)
        frame->slots[block->super_slot] =
            we_jundefined(run, "there is no parent block called %.", we_jkind_value(WE_J_MISSING), we_jstring(block->name));
    we_jscope_enter(run, frame, &block->scope);
    enum we_jflow flow = we_jexec(run, frame, block->body);
    we_jleave(run);
    return flow != WE_J_STOP;
}

static enum we_jflow exec_inner(struct we_jrun *run, struct we_jframe *frame, const struct we_jnode *node)
{
    switch (node->kind) {
    case WE_J_OUTPUT:
        return exec_output(run, frame, node);
    case WE_J_IF:
        return exec_if(run, frame, node);
    case WE_J_SET:
        return done(we_jassign(run, frame, node->set.target, we_jeval(run, frame, node->set.value)));
    case WE_J_FOR:
        return exec_for(run, frame, node);
    case WE_J_SET_BLOCK:
    case WE_J_FILTER_BLOCK:
        return exec_capture(run, frame, node);
    case WE_J_WITH:
    case WE_J_SCOPE_NODE:
        return exec_with(run, frame, node);
    case WE_J_MACRO_NODE:
        return done(we_jassign(run, frame, node->macro.macro->target, macro_value(run, frame, node)));
    case WE_J_CALL_BLOCK:
        return exec_call_block(run, frame, node);
    case WE_J_BLOCK_NODE:
        return done(we_jexec_block(run, node->block));
    case WE_J_BREAK_NODE:
        return WE_J_BREAK;
    case WE_J_CONTINUE_NODE:
        return WE_J_CONTINUE;
    default:
        run->at = node;
        we_jfail(run, "a chat template cannot include, import or extend another template: there is nothing to load");
        return WE_J_STOP;
    }
}

enum we_jflow we_jexec(struct we_jrun *run, struct we_jframe *frame, const struct we_jnode *first)
{
    if (!we_jenter(run))
        return WE_J_STOP;
    enum we_jflow flow = WE_J_NEXT;
    for (; first && flow == WE_J_NEXT; first = first->next) {
        if (!we_jcharge(run, 1))
            return WE_J_STOP;
        flow = exec_inner(run, frame, first);
    }
    we_jleave(run);
    return flow;
}
