/* Which variable each name means. Jinja decides this when it compiles a template: a scope first looks at all names
 * that its statements mention, then gives each a variable, which is filled when the scope is entered: from the context, from
 * the variable of an outer scope, or with nothing. Doing the same here gives the same answers in all odd cases, such
 * as a variable that is set in one branch only, or a macro that reads what is set after it. */
#include "text/jinja_run.h"

struct function {
    struct function *outer;
    struct we_jcode *code;
    uint32_t depth;
};

struct entry { /* a name that has a variable in some scope */
    const struct scope *scope;
    const struct function *function;
    struct entry *shadowed, *next;
    struct we_jload load;
};

struct scope {
    struct scope *outer;
    struct entry *entries;
    size_t count;
    bool toplevel;
};

enum special { LOOP, CALLER, KWARGS, VARARGS, SELF, SUPER, NUM_SPECIAL };

struct resolver {
    struct we_jreader *reader;
    struct entry **current; /* (names): the innermost entry of each name */
    struct scope *scope;
    struct function *function;
    uint32_t special[NUM_SPECIAL];
    uint32_t fors;     /* around the node */
    uint32_t branches; /* `if` branches around the node, while a scope looks at its names */
    bool soft;         /* in a branch: an unknown filter is an error only if it is used */
};

/* ---- entries ---- */

static struct entry *own_entry(const struct resolver *r, uint32_t name)
{
    struct entry *entry = r->current[name];
    return entry && entry->scope == r->scope ? entry : NULL;
}

static struct entry *define(struct resolver *r, uint32_t name, enum we_jload_kind kind)
{
    struct entry *entry = own_entry(r, name);
    if (entry) {
        entry->load.kind = kind;
        return entry;
    }
    entry = we_jread_alloc(r->reader, 1, sizeof *entry);
    if (entry == NULL)
        return NULL;
    const struct entry *outer = r->current[name];
    *entry = (struct entry){.scope = r->scope, .function = r->function, .shadowed = r->current[name], .next = r->scope->entries};
    entry->load = (struct we_jload){.kind = kind, .slot = r->function->code->slots++, .name = name};
    if (kind == WE_J_LOAD_ALIAS) {
        entry->load.depth = r->function->depth - outer->function->depth;
        entry->load.outer_slot = outer->load.slot;
    }
    r->current[name] = r->scope->entries = entry;
    r->scope->count++;
    return entry;
}

static bool see_load(struct resolver *r, uint32_t name)
{
    return r->current[name] || define(r, name, WE_J_LOAD_RESOLVE);
}

static bool see_store(struct resolver *r, uint32_t name)
{
    return own_entry(r, name) ||
           define(r, name, r->current[name] ? WE_J_LOAD_ALIAS : r->branches ? WE_J_LOAD_RESOLVE : WE_J_LOAD_NOTHING);
}

static bool see_parameter(struct resolver *r, uint32_t name, uint32_t *slot)
{
    struct entry *entry = define(r, name, WE_J_LOAD_PARAMETER);
    if (entry && slot)
        *slot = entry->load.slot;
    return entry != NULL;
}

static void push_scope(struct resolver *r, struct scope *scope)
{
    *scope = (struct scope){.outer = r->scope};
    r->scope = scope;
}

/* Leaves the scope and keeps what its entering will do. */
static bool pop_scope(struct resolver *r, struct we_jscope *result)
{
    struct scope *scope = r->scope;
    result->loads = we_jread_alloc(r->reader, scope->count, sizeof *result->loads);
    result->count = scope->count;
    size_t at = scope->count;
    for (struct entry *entry = scope->entries; entry; entry = entry->next) {
        if (result->loads)
            result->loads[--at] = entry->load;
        r->current[entry->load.name] = entry->shadowed;
    }
    r->scope = scope->outer;
    return result->loads != NULL;
}

/* ---- looking at the names of a scope; what inner scopes hold is not looked at ---- */

static bool see(struct resolver *r, const struct we_jnode *node);

static bool see_all(struct resolver *r, const struct we_jnode *first)
{
    for (; first; first = first->next)
        if (!see(r, first))
            return false;
    return true;
}

static bool see_call(struct resolver *r, const struct we_jnode *node)
{
    const struct we_jcall_node *args = node->call.args;
    return see(r, node->call.object) && see_all(r, args->items) && see_all(r, args->named) && see(r, args->star) &&
           see(r, args->star_star);
}

static bool see_if(struct resolver *r, const struct we_jnode *node)
{
    if (!see(r, node->branch.test))
        return false;
    r->branches++;
    bool fine = see_all(r, node->branch.body) && see_all(r, node->branch.branches) && see_all(r, node->branch.otherwise);
    r->branches--;
    return fine;
}

static bool see_name(struct resolver *r, const struct we_jnode *node)
{
    if (node->kind == WE_J_NS_REFERENCE || node->op == WE_J_LOAD)
        return see_load(r, node->name.name);
    return node->op == WE_J_STORE ? see_store(r, node->name.name) : see_parameter(r, node->name.name, NULL);
}

static bool see(struct resolver *r, const struct we_jnode *node)
{
    if (node == NULL)
        return true;
    switch (node->kind) {
    case WE_J_NAME:
    case WE_J_NS_REFERENCE:
        return see_name(r, node);
    case WE_J_TUPLE_NODE:
    case WE_J_LIST_NODE:
    case WE_J_DICT_NODE:
    case WE_J_CONCAT:
    case WE_J_OUTPUT:
        return see_all(r, node->items);
    case WE_J_BINARY:
    case WE_J_AND:
    case WE_J_OR:
    case WE_J_NEGATE:
    case WE_J_PLUS:
    case WE_J_NOT:
    case WE_J_OPERAND:
        return see(r, node->binary.left) && see(r, node->binary.right);
    case WE_J_COMPARE:
        return see(r, node->compare.left) && see_all(r, node->compare.operands);
    case WE_J_CONDITION:
        return see(r, node->condition.test) && see(r, node->condition.then) && see(r, node->condition.otherwise);
    case WE_J_ATTRIBUTE:
        return see(r, node->attribute.object);
    case WE_J_ITEM:
        return see(r, node->item.object) && see(r, node->item.key);
    case WE_J_SLICE:
        return see(r, node->slice.start) && see(r, node->slice.stop) && see(r, node->slice.step);
    case WE_J_CALL:
    case WE_J_FILTER:
    case WE_J_TEST:
        return see_call(r, node);
    case WE_J_NAMED:
        return see(r, node->named.value);
    case WE_J_IF:
        return see_if(r, node);
    case WE_J_SET:
        return see(r, node->set.value) && see(r, node->set.target);
    case WE_J_SET_BLOCK:
        return see(r, node->capture.target);
    case WE_J_FILTER_BLOCK:
        return see(r, node->capture.filter);
    case WE_J_FOR:
        return see(r, node->loop->iterable);
    case WE_J_WITH:
        return see_all(r, node->with.values);
    case WE_J_MACRO_NODE:
        return see(r, node->macro.macro->target);
    case WE_J_CALL_BLOCK:
        return see(r, node->macro.call);
    case WE_J_LOADER:
        return see(r, node->loader.template_name) && see_all(r, node->loader.names);
    default:
        return true;
    }
}

/* The names of a loop's target, as its parameters. */
static bool see_target(struct resolver *r, const struct we_jnode *target)
{
    if (target->kind != WE_J_TUPLE_NODE)
        return see_parameter(r, target->name.name, NULL);
    for (const struct we_jnode *item = target->items; item; item = item->next)
        if (!see_target(r, item))
            return false;
    return true;
}

/* ---- special names that a body reads without having set them ---- */

struct search {
    const struct resolver *r;
    bool wanted[NUM_SPECIAL], found[NUM_SPECIAL];
};

static void search(struct search *s, const struct we_jnode *node);

static void search_all(struct search *s, const struct we_jnode *first)
{
    for (; first; first = first->next)
        search(s, first);
}

static void search_name(struct search *s, const struct we_jnode *node)
{
    for (int i = 0; i < NUM_SPECIAL; i++) {
        if (!s->wanted[i] || s->r->special[i] != node->name.name)
            continue;
        if (node->op == WE_J_LOAD)
            s->found[i] = true;
        else
            s->wanted[i] = false;
    }
}

static void search_macro(struct search *s, const struct we_jmacro_node *macro)
{
    search_all(s, macro->parameters);
    search_all(s, macro->defaults);
    search_all(s, macro->body);
}

static void search(struct search *s, const struct we_jnode *node)
{
    if (node == NULL)
        return;
    switch (node->kind) {
    case WE_J_NAME:
        search_name(s, node);
        break;
    case WE_J_TUPLE_NODE:
    case WE_J_LIST_NODE:
    case WE_J_DICT_NODE:
    case WE_J_CONCAT:
    case WE_J_OUTPUT:
        search_all(s, node->items);
        break;
    case WE_J_BINARY:
    case WE_J_AND:
    case WE_J_OR:
    case WE_J_NEGATE:
    case WE_J_PLUS:
    case WE_J_NOT:
    case WE_J_OPERAND:
    case WE_J_SET: /* the target comes first here too */
        search(s, node->binary.left);
        search(s, node->binary.right);
        break;
    case WE_J_COMPARE:
        search(s, node->compare.left);
        search_all(s, node->compare.operands);
        break;
    case WE_J_CONDITION:
        search(s, node->condition.test);
        search(s, node->condition.then);
        search(s, node->condition.otherwise);
        break;
    case WE_J_ATTRIBUTE:
        search(s, node->attribute.object);
        break;
    case WE_J_ITEM:
        search(s, node->item.object);
        search(s, node->item.key);
        break;
    case WE_J_SLICE:
        search(s, node->slice.start);
        search(s, node->slice.stop);
        search(s, node->slice.step);
        break;
    case WE_J_CALL:
    case WE_J_FILTER:
    case WE_J_TEST:
        search(s, node->call.object);
        search_all(s, node->call.args->items);
        search_all(s, node->call.args->named);
        search(s, node->call.args->star);
        search(s, node->call.args->star_star);
        break;
    case WE_J_NAMED:
        search(s, node->named.value);
        break;
    case WE_J_IF:
        search(s, node->branch.test);
        search_all(s, node->branch.body);
        search_all(s, node->branch.branches);
        search_all(s, node->branch.otherwise);
        break;
    case WE_J_SET_BLOCK:
    case WE_J_FILTER_BLOCK:
        search(s, node->capture.target);
        search(s, node->capture.filter);
        search_all(s, node->capture.body);
        break;
    case WE_J_FOR:
        search(s, node->loop->target);
        search(s, node->loop->iterable);
        search_all(s, node->loop->body);
        search_all(s, node->loop->otherwise);
        search(s, node->loop->test);
        break;
    case WE_J_WITH:
    case WE_J_SCOPE_NODE:
        search_all(s, node->with.targets);
        search_all(s, node->with.values);
        search_all(s, node->with.body);
        break;
    case WE_J_MACRO_NODE:
    case WE_J_CALL_BLOCK:
        search(s, node->macro.call);
        search_macro(s, node->macro.macro);
        break;
    case WE_J_LOADER:
        search(s, node->loader.template_name);
        break;
    default:
        break;
    }
}

static bool reads(const struct resolver *r, const struct we_jnode *body, enum special name)
{
    struct search s = {.r = r};
    s.wanted[name] = true;
    search_all(&s, body);
    return s.found[name];
}

/* ---- giving names their variables ---- */

static bool resolve(struct resolver *r, struct we_jnode *node);

static bool resolve_all(struct resolver *r, struct we_jnode *first)
{
    for (; first; first = first->next)
        if (!resolve(r, first))
            return false;
    return true;
}

/* A body in a scope of its own. */
static bool resolve_inner(struct resolver *r, struct we_jnode *body)
{
    bool soft = r->soft;
    r->soft = false;
    bool fine = resolve_all(r, body);
    r->soft = soft;
    return fine;
}

static bool resolve_name(struct resolver *r, struct we_jnode *node)
{
    bool store = node->kind == WE_J_NAME && node->op == WE_J_STORE;
    if (store && r->fors && node->name.name == r->special[LOOP])
        return we_jread_fail(r->reader, node->line, node->column, "cannot assign to the special variable 'loop' inside of a for loop");
    if (!see_load(r, node->name.name)) /* nothing new, but for the filter of a set block */
        return false;
    const struct entry *entry = r->current[node->name.name];
    node->name.depth = r->function->depth - entry->function->depth;
    node->name.slot = entry->load.slot;
    node->name.exported = store && r->scope->toplevel;
    return true;
}

static bool resolve_call(struct resolver *r, struct we_jnode *node)
{
    struct we_jcall_node *args = node->call.args;
    const char *what = node->kind == WE_J_FILTER ? "filter" : "test";
    if (node->kind != WE_J_CALL && node->call.callable == NULL && !r->soft) {
        if (node->kind == WE_J_FILTER && we_jfilter_is_known(node->call.name))
            return we_jread_unsupported(r->reader, node->line, node->column, "the filter '%.*s'", WE_STR_ARG(node->call.name));
        return we_jread_fail(r->reader, node->line, node->column, "no %s named '%.*s'", what, WE_STR_ARG(node->call.name));
    }
    return resolve(r, node->call.object) && resolve_all(r, args->items) && resolve_all(r, args->named) && resolve(r, args->star) &&
           resolve(r, args->star_star);
}

static bool resolve_soft(struct resolver *r, struct we_jnode *a, struct we_jnode *b, struct we_jnode *c)
{
    bool soft = r->soft;
    r->soft = true;
    bool fine = resolve_all(r, a) && resolve_all(r, b) && resolve_all(r, c);
    r->soft = soft;
    return fine;
}

static void enter_function(struct resolver *r, struct function *function, struct we_jcode *code)
{
    *function = (struct function){.outer = r->function, .code = code, .depth = r->function ? r->function->depth + 1 : 0};
    r->function = function;
}

/* A copy of a loop's target, for the function of its test. */
static struct we_jnode *copy_target(struct resolver *r, const struct we_jnode *target)
{
    struct we_jnode *copy = we_jread_alloc(r->reader, 1, sizeof *copy);
    if (copy == NULL)
        return NULL;
    *copy = *target;
    copy->next = NULL;
    if (target->kind != WE_J_TUPLE_NODE)
        return copy;
    struct we_jnode **end = &copy->items;
    *end = NULL;
    for (const struct we_jnode *item = target->items; item; item = item->next, end = &(*end)->next)
        if ((*end = copy_target(r, item)) == NULL)
            return NULL;
    return copy;
}

static bool resolve_loop_test(struct resolver *r, struct we_jfor_node *loop)
{
    struct function function;
    struct scope scope;
    loop->test_target = copy_target(r, loop->target);
    if (loop->test_target == NULL)
        return false;
    enter_function(r, &function, &loop->test_code);
    push_scope(r, &scope);
    bool fine = see_target(r, loop->test_target) && see(r, loop->test) && resolve(r, loop->test_target) && resolve_inner(r, loop->test);
    fine = pop_scope(r, &loop->test_scope) && fine;
    r->function = function.outer;
    return fine;
}

static bool resolve_for(struct resolver *r, struct we_jnode *node)
{
    struct we_jfor_node *loop = node->loop;
    struct function function;
    struct scope scope;
    if (!resolve(r, loop->iterable))
        return false;
    r->fors++;
    bool fine = loop->test == NULL || resolve_loop_test(r, loop);
    if (loop->recursive)
        enter_function(r, &function, &loop->code);
    loop->extended = loop->recursive || reads(r, loop->body, LOOP);
    push_scope(r, &scope);
    fine = fine && (!loop->extended || see_parameter(r, r->special[LOOP], &loop->loop_slot)) && see_target(r, loop->target) &&
           see_all(r, loop->body) && resolve(r, loop->target) && resolve_inner(r, loop->body);
    fine = pop_scope(r, &loop->body_scope) && fine;
    push_scope(r, &scope);
    fine = fine && see_all(r, loop->otherwise) && resolve_inner(r, loop->otherwise);
    fine = pop_scope(r, &loop->else_scope) && fine;
    if (loop->recursive)
        r->function = function.outer;
    r->fors--;
    return fine;
}

/* caller, kwargs and varargs are parameters of a macro whose body reads them. */
static bool see_special_parameters(struct resolver *r, struct we_jnode *node)
{
    struct we_jmacro_node *macro = node->macro.macro;
    struct search s = {.r = r, .wanted = {[CALLER] = true, [KWARGS] = true, [VARARGS] = true}};
    search_all(&s, macro->body);
    bool named[NUM_SPECIAL] = {false};
    uint32_t place = 0;
    for (const struct we_jnode *parameter = macro->parameters; parameter; parameter = parameter->next, place++) {
        for (int i = CALLER; i <= VARARGS; i++)
            named[i] = named[i] || parameter->name.name == r->special[i];
        bool no_default = place < macro->num_parameters - macro->num_defaults;
        if (s.found[CALLER] && parameter->name.name == r->special[CALLER] && no_default)
            return we_jread_fail(r->reader, node->line, node->column,
                                 "the special \"caller\" argument of a macro must be omitted or be given a default");
    }
    macro->explicit_caller = named[CALLER];
    return (!s.found[CALLER] || named[CALLER] || see_parameter(r, r->special[CALLER], &macro->caller_slot)) &&
           (!s.found[KWARGS] || named[KWARGS] || see_parameter(r, r->special[KWARGS], &macro->kwargs_slot)) &&
           (!s.found[VARARGS] || named[VARARGS] || see_parameter(r, r->special[VARARGS], &macro->varargs_slot));
}

static bool resolve_macro(struct resolver *r, struct we_jnode *node)
{
    struct we_jmacro_node *macro = node->macro.macro;
    struct function function;
    struct scope scope;
    enter_function(r, &function, &macro->code);
    push_scope(r, &scope);
    bool fine = see_all(r, macro->parameters) && see_all(r, macro->defaults) && see_all(r, macro->body) &&
                see_special_parameters(r, node) && resolve_all(r, macro->parameters) && resolve_inner(r, macro->defaults) &&
                resolve_inner(r, macro->body);
    fine = pop_scope(r, &macro->scope) && fine;
    r->function = function.outer;
    return fine && resolve(r, macro->target) && resolve(r, node->macro.call);
}

static bool resolve_capture(struct resolver *r, struct we_jnode *node)
{
    struct scope scope;
    node->capture.scope = we_jread_alloc(r->reader, 1, sizeof *node->capture.scope);
    if (node->capture.scope == NULL)
        return false;
    push_scope(r, &scope);
    bool fine = see_all(r, node->capture.body) && see(r, node->capture.filter) && resolve_inner(r, node->capture.body) &&
                resolve_inner(r, node->capture.filter);
    fine = pop_scope(r, node->capture.scope) && fine;
    return fine && resolve(r, node->capture.target);
}

static bool resolve_with(struct resolver *r, struct we_jnode *node)
{
    struct scope scope;
    node->with.scope = we_jread_alloc(r->reader, 1, sizeof *node->with.scope);
    if (node->with.scope == NULL || !resolve_all(r, node->with.values))
        return false;
    push_scope(r, &scope);
    bool fine = true;
    for (struct we_jnode *target = node->with.targets; fine && target; target = target->next)
        fine = see_target(r, target);
    fine = fine && see_all(r, node->with.body);
    for (struct we_jnode *target = node->with.targets; fine && target; target = target->next)
        fine = resolve(r, target);
    fine = fine && resolve_inner(r, node->with.body);
    return pop_scope(r, node->with.scope) && fine;
}

static bool resolve(struct resolver *r, struct we_jnode *node)
{
    if (node == NULL)
        return true;
    switch (node->kind) {
    case WE_J_NAME:
    case WE_J_NS_REFERENCE:
        return resolve_name(r, node);
    case WE_J_TUPLE_NODE:
    case WE_J_LIST_NODE:
    case WE_J_DICT_NODE:
    case WE_J_CONCAT:
    case WE_J_OUTPUT:
        return resolve_all(r, node->items);
    case WE_J_BINARY:
    case WE_J_AND:
    case WE_J_OR:
    case WE_J_NEGATE:
    case WE_J_PLUS:
    case WE_J_NOT:
    case WE_J_OPERAND:
    case WE_J_SET:
        return resolve(r, node->binary.left) && resolve(r, node->binary.right);
    case WE_J_COMPARE:
        return resolve(r, node->compare.left) && resolve_all(r, node->compare.operands);
    case WE_J_CONDITION:
        return resolve_soft(r, node->condition.test, node->condition.then, node->condition.otherwise);
    case WE_J_ATTRIBUTE:
        return resolve(r, node->attribute.object);
    case WE_J_ITEM:
        return resolve(r, node->item.object) && resolve(r, node->item.key);
    case WE_J_SLICE:
        return resolve(r, node->slice.start) && resolve(r, node->slice.stop) && resolve(r, node->slice.step);
    case WE_J_CALL:
    case WE_J_FILTER:
    case WE_J_TEST:
        return resolve_call(r, node);
    case WE_J_NAMED:
        return resolve(r, node->named.value);
    case WE_J_IF:
        return resolve_soft(r, node->branch.test, NULL, NULL) &&
               resolve_soft(r, node->branch.body, node->branch.branches, node->branch.otherwise);
    case WE_J_FOR:
        return resolve_for(r, node);
    case WE_J_SET_BLOCK:
    case WE_J_FILTER_BLOCK:
        return resolve_capture(r, node);
    case WE_J_WITH:
    case WE_J_SCOPE_NODE:
        return resolve_with(r, node);
    case WE_J_MACRO_NODE:
    case WE_J_CALL_BLOCK:
        return resolve_macro(r, node);
    case WE_J_LOADER:
        return resolve(r, node->loader.template_name) && resolve_all(r, node->loader.names);
    default:
        return true;
    }
}

static bool resolve_block(struct resolver *r, struct we_jblock *block)
{
    struct function function;
    struct scope scope;
    r->function = NULL;
    enter_function(r, &function, &block->code);
    push_scope(r, &scope);
    bool fine = (!reads(r, block->body, SELF) || see_parameter(r, r->special[SELF], &block->self_slot)) &&
                (!reads(r, block->body, SUPER) || see_parameter(r, r->special[SUPER], &block->super_slot)) &&
                see_all(r, block->body) && resolve_inner(r, block->body);
    return pop_scope(r, &block->scope) && fine;
}

bool we_jresolve(struct we_jreader *reader)
{
    static const char *const names[NUM_SPECIAL] = {"loop", "caller", "kwargs", "varargs", "self", "super"};
    struct we_jinja *jinja = reader->jinja;
    struct resolver r = {.reader = reader};
    for (int i = 0; i < NUM_SPECIAL; i++)
        if (!we_jintern(reader, we_str_c(names[i]), &r.special[i]))
            return false;
    r.current = we_jread_alloc(reader, jinja->num_names, sizeof *r.current);
    if (r.current == NULL)
        return false;
    struct function function;
    struct scope scope;
    enter_function(&r, &function, &jinja->code);
    push_scope(&r, &scope);
    scope.toplevel = true;
    bool fine = (!reads(&r, jinja->body, SELF) || see_parameter(&r, r.special[SELF], &jinja->self_slot)) &&
                see_all(&r, jinja->body) && resolve_all(&r, jinja->body);
    fine = pop_scope(&r, &jinja->scope) && fine;
    for (struct we_jblock *block = jinja->blocks; fine && block; block = block->next)
        fine = resolve_block(&r, block);
    return fine;
}
