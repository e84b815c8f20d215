/* The parser of statements, and what makes a template of its text. */
#include "text/jinja_parser.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- errors and memory ---- */

static bool fail(struct we_jreader *reader, we_status status, uint32_t line, uint32_t column, const char *format, va_list args)
{
    if (reader->status != WE_OK)
        return false;
    char message[700];
    vsnprintf(message, sizeof message, format, args);
    reader->status = we_error_set(reader->error, status, "%s: line %u, column %u: %s", reader->jinja->name, line, column, message);
    return false;
}

bool we_jread_fail(struct we_jreader *reader, uint32_t line, uint32_t column, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fail(reader, WE_TEMPLATE_ERROR, line, column, format, args);
    va_end(args);
    return false;
}

bool we_jread_unsupported(struct we_jreader *reader, uint32_t line, uint32_t column, const char *format, ...)
{
    char what[400];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    if (reader->status == WE_OK)
        reader->status = we_error_set(reader->error, WE_UNSUPPORTED, "%s: line %u, column %u: %s is not supported in chat templates",
                                      reader->jinja->name, line, column, what);
    return false;
}

bool we_jread_memory(struct we_jreader *reader)
{
    if (reader->status == WE_OK)
        reader->status = we_error_memory(reader->error, "a chat template");
    return false;
}

void *we_jread_alloc(struct we_jreader *reader, size_t count, size_t size)
{
    void *data = we_arena_array(&reader->jinja->arena, count, size);
    const size_t used = reader->jinja->arena.used;
    if (data == NULL && reader->status == WE_OK &&
        (count > WE_JINJA_TREE_MEMORY / size || count * size > WE_JINJA_TREE_MEMORY - used))
        reader->status =
            we_error_set(reader->error, WE_UNSUPPORTED, "%s: a template that takes more than %d MB once it is read",
                         reader->jinja->name, WE_JINJA_TREE_MEMORY / 1000000);
    else if (data == NULL)
        we_jread_memory(reader);
    return data;
}

/* ---- names ---- */

static bool grow_names(struct we_jreader *reader)
{
    struct we_jinja *jinja = reader->jinja;
    size_t capacity = reader->names_capacity ? 2 * reader->names_capacity : 64;
    struct we_str *names = we_jread_alloc(reader, capacity, sizeof *names);
    uint32_t *table = we_jread_alloc(reader, 2 * capacity, sizeof *table);
    if (names == NULL || table == NULL)
        return false;
    for (size_t i = 0; i < jinja->num_names; i++) {
        names[i] = jinja->names[i];
        size_t at = (size_t)we_str_hash(names[i], (uint64_t)(uintptr_t)reader) & (2 * capacity - 1);
        while (table[at])
            at = (at + 1) & (2 * capacity - 1);
        table[at] = (uint32_t)i + 1;
    }
    jinja->names = names;
    reader->name_table = table;
    reader->name_table_size = 2 * capacity;
    reader->names_capacity = capacity;
    return true;
}

bool we_jintern(struct we_jreader *reader, struct we_str text, uint32_t *number)
{
    struct we_jinja *jinja = reader->jinja;
    if (jinja->num_names == reader->names_capacity && !grow_names(reader))
        return false;
    size_t mask = reader->name_table_size - 1, at = (size_t)we_str_hash(text, (uint64_t)(uintptr_t)reader) & mask;
    for (; reader->name_table[at]; at = (at + 1) & mask) {
        *number = reader->name_table[at] - 1;
        if (we_str_equal(jinja->names[*number], text))
            return true;
    }
    *number = (uint32_t)jinja->num_names;
    jinja->names[jinja->num_names++] = text;
    reader->name_table[at] = *number + 1;
    return true;
}

/* ---- bodies ---- */

static struct we_jnode *parse_statement(struct we_jreader *reader);

/* The names that end a body: up to three. */
struct ends {
    const char *names[4];
};

static bool at_end_tag(const struct we_jreader *reader, const struct ends *ends)
{
    for (int i = 0; ends && ends->names[i]; i++)
        if (we_jat_name(reader, ends->names[i]))
            return true;
    return false;
}

static struct we_jnode *parse_output(struct we_jreader *reader)
{
    const struct we_jtoken *at = we_jcurrent(reader);
    struct we_jchain parts;
    we_jchain_init(&parts);
    while (we_jat(reader, WE_J_T_DATA) || we_jat(reader, WE_J_T_VARIABLE_BEGIN)) {
        const struct we_jtoken *token = we_jadvance(reader);
        struct we_jnode *part;
        if (token->type == WE_J_T_DATA) {
            part = we_jconstant(reader, token, token->value);
            if (part)
                part->kind = WE_J_TEXT_NODE;
        } else {
            part = we_jparse_tuple(reader, false, true, false, false);
            if (part && !we_jexpect(reader, WE_J_T_VARIABLE_END))
                return NULL;
        }
        if (part == NULL)
            return NULL;
        we_jchain_add(&parts, part);
    }
    return we_jlisted(reader, WE_J_OUTPUT, at, &parts);
}

static bool unknown_tag(struct we_jreader *reader, const struct ends *ends)
{
    char wanted[120] = "", found[256];
    for (int i = 0; ends && ends->names[i]; i++) {
        size_t used = strlen(wanted);
        snprintf(wanted + used, sizeof wanted - used, "%s'%s'", i ? " or " : "", ends->names[i]);
    }
    const struct we_jtoken *token = we_jcurrent(reader);
    const char *innermost = reader->num_tags ? reader->tags[reader->num_tags - 1] : NULL;
    we_jdescribe(token, found, sizeof found);
    return we_jfail_at(reader, token, "%s%s%s%s%s%s%s%s", token->type == WE_J_T_EOF ? "unexpected end of template" : "unknown tag '",
                       token->type == WE_J_T_EOF ? "" : found, token->type == WE_J_T_EOF ? "" : "'",
                       wanted[0] ? "; expected " : "", wanted, innermost ? ", to close '" : "", innermost ? innermost : "",
                       innermost ? "'" : "");
}

/* Up to one of the end tags, whose name is the current token then; or to the end of the template. */
static bool parse_body(struct we_jreader *reader, const struct ends *ends, struct we_jchain *body)
{
    we_jchain_init(body);
    while (!we_jat(reader, WE_J_T_EOF)) {
        struct we_jnode *node;
        if (we_jskip(reader, WE_J_T_BLOCK_BEGIN)) {
            if (at_end_tag(reader, ends))
                return true;
            if (!we_jat(reader, WE_J_T_NAME))
                return we_jfail_at(reader, we_jcurrent(reader), "tag name expected");
            size_t before = reader->at;
            node = parse_statement(reader);
            if (node == NULL && reader->status == WE_OK && reader->at == before)
                return unknown_tag(reader, ends);
            if (node == NULL || !we_jexpect(reader, WE_J_T_BLOCK_END))
                return false;
        } else {
            node = parse_output(reader);
        }
        if (node == NULL)
            return false;
        we_jchain_add(body, node);
    }
    return ends == NULL || unknown_tag(reader, ends);
}

/* A statement's body: from the end of its own tag. `height` of `node` grows to be above it. */
static bool parse_statements(struct we_jreader *reader, struct we_jnode *node, const struct ends *ends, struct we_jnode **body)
{
    struct we_jchain chain;
    we_jskip(reader, WE_J_T_COLON);
    if (!we_jexpect(reader, WE_J_T_BLOCK_END) || !we_jnest(reader))
        return false;
    bool fine = parse_body(reader, ends, &chain) && we_jabove(reader, node, chain.height);
    reader->nesting--;
    *body = fine ? chain.first : NULL;
    return fine;
}

/* With one end tag, which is passed. */
static bool parse_block_body(struct we_jreader *reader, struct we_jnode *node, const char *end, struct we_jnode **body)
{
    struct ends ends = {{end, NULL}};
    return parse_statements(reader, node, &ends, body) && we_jadvance(reader);
}

/* ---- statements: each is called with its name as the current token ---- */

static struct we_jnode *parse_set(struct we_jreader *reader)
{
    const struct we_jtoken *at = we_jadvance(reader);
    struct we_jnode *target = we_jparse_target(reader, true);
    if (target == NULL)
        return NULL;
    struct we_jnode *node;
    if (we_jskip(reader, WE_J_T_ASSIGN)) {
        struct we_jnode *value = we_jparse_tuple(reader, false, true, false, false);
        node = value ? we_jnode_new(reader, WE_J_SET, at) : NULL;
        if (node == NULL || !we_jabove(reader, node, value->height) || !we_jabove(reader, node, target->height))
            return NULL;
        node->set.target = target;
        node->set.value = value;
        return node;
    }
    struct we_jnode *filter = we_jparse_filters(reader, NULL, false);
    node = reader->status == WE_OK ? we_jnode_new(reader, WE_J_SET_BLOCK, at) : NULL;
    if (node == NULL || !we_jabove(reader, node, we_jheight(filter)) || !we_jabove(reader, node, target->height))
        return NULL;
    node->capture.target = target;
    node->capture.filter = filter;
    return parse_block_body(reader, node, "endset", &node->capture.body) ? node : NULL;
}

static struct we_jnode *parse_for(struct we_jreader *reader)
{
    const struct we_jtoken *at = we_jadvance(reader);
    struct we_jnode *node = we_jnode_new(reader, WE_J_FOR, at);
    struct we_jfor_node *loop = we_jread_alloc(reader, 1, sizeof *loop);
    if (node == NULL || loop == NULL)
        return NULL;
    node->loop = loop;
    loop->target = we_jparse_target(reader, false);
    if (loop->target == NULL || !we_jexpect_name(reader, "in"))
        return NULL;
    loop->iterable = we_jparse_tuple(reader, false, false, false, false);
    if (loop->iterable == NULL)
        return NULL;
    if (we_jskip_name(reader, "if") && (loop->test = we_jparse_expression(reader, true)) == NULL)
        return NULL;
    loop->recursive = we_jskip_name(reader, "recursive");
    if (!we_jabove(reader, node, loop->iterable->height) || !we_jabove(reader, node, we_jheight(loop->test)) ||
        !we_jabove(reader, node, loop->target->height))
        return NULL;
    static const struct ends ends = {{"endfor", "else", NULL}};
    uint32_t loops = reader->loops;
    reader->loops++;
    if (!parse_statements(reader, node, &ends, &loop->body))
        return NULL;
    reader->loops = loop->recursive ? 0 : loops; /* what follows is outside of the loop, in its function */
    bool otherwise = we_jtoken_is_name(we_jadvance(reader), "else");
    bool fine = !otherwise || parse_block_body(reader, node, "endfor", &loop->otherwise);
    reader->loops = loops;
    return fine ? node : NULL;
}

static struct we_jnode *parse_if(struct we_jreader *reader)
{
    static const struct ends ends = {{"elif", "else", "endif", NULL}};
    struct we_jnode *first = NULL;
    struct we_jchain branches;
    we_jchain_init(&branches);
    for (;;) {
        const struct we_jtoken *at = we_jadvance(reader); /* if, elif */
        struct we_jnode *node = we_jnode_new(reader, WE_J_IF, at);
        if (node == NULL)
            return NULL;
        node->branch.test = we_jparse_tuple(reader, false, false, false, false);
        if (node->branch.test == NULL || !we_jabove(reader, node, node->branch.test->height) ||
            !parse_statements(reader, node, &ends, &node->branch.body))
            return NULL;
        if (first)
            we_jchain_add(&branches, node);
        else
            first = node;
        if (!we_jat_name(reader, "elif"))
            break;
    }
    bool otherwise = we_jtoken_is_name(we_jadvance(reader), "else");
    if (otherwise && !parse_block_body(reader, first, "endif", &first->branch.otherwise))
        return NULL;
    first->branch.branches = branches.first;
    return we_jabove(reader, first, branches.height) ? first : NULL;
}

static struct we_jnode *parse_with(struct we_jreader *reader)
{
    struct we_jnode *node = we_jnode_new(reader, WE_J_WITH, we_jadvance(reader));
    struct we_jchain targets, values;
    we_jchain_init(&targets);
    we_jchain_init(&values);
    while (node && !we_jat(reader, WE_J_T_BLOCK_END)) {
        if (targets.count && !we_jexpect(reader, WE_J_T_COMMA))
            return NULL;
        struct we_jnode *target = we_jparse_target(reader, false);
        struct we_jnode *value = target && we_jexpect(reader, WE_J_T_ASSIGN) ? we_jparse_expression(reader, true) : NULL;
        if (value == NULL)
            return NULL;
        we_jchain_add(&targets, target);
        we_jchain_add(&values, value);
    }
    if (node == NULL || !we_jabove(reader, node, targets.height) || !we_jabove(reader, node, values.height))
        return NULL;
    node->with.targets = targets.first;
    node->with.values = values.first;
    return parse_block_body(reader, node, "endwith", &node->with.body) ? node : NULL;
}

/* A body that is a function of its own: loops outside do not count there. */
static bool parse_function_body(struct we_jreader *reader, struct we_jnode *node, const char *end, struct we_jnode **body)
{
    uint32_t loops = reader->loops;
    reader->loops = 0;
    bool fine = parse_block_body(reader, node, end, body);
    reader->loops = loops;
    return fine;
}

static bool parse_signature(struct we_jreader *reader, struct we_jnode *node, struct we_jmacro_node *macro)
{
    struct we_jchain parameters, defaults;
    we_jchain_init(&parameters);
    we_jchain_init(&defaults);
    if (!we_jexpect(reader, WE_J_T_LPAREN))
        return false;
    while (!we_jat(reader, WE_J_T_RPAREN)) {
        if (parameters.count && !we_jexpect(reader, WE_J_T_COMMA))
            return false;
        const struct we_jtoken *at = we_jcurrent(reader);
        struct we_jnode *parameter = we_jparse_name_target(reader);
        if (parameter == NULL)
            return false;
        parameter->op = WE_J_PARAMETER;
        for (const struct we_jnode *other = parameters.first; other; other = other->next)
            if (other->name.name == parameter->name.name)
                return we_jfail_at(reader, at, "duplicate argument '%.*s'", WE_STR_ARG(parameter->name.text));
        if (we_jskip(reader, WE_J_T_ASSIGN)) {
            struct we_jnode *value = we_jparse_expression(reader, true);
            if (value == NULL)
                return false;
            we_jchain_add(&defaults, value);
        } else if (defaults.count) {
            return we_jfail_at(reader, at, "non-default argument follows default argument");
        }
        if (parameters.count >= 255)
            return we_jfail_at(reader, at, "more than 255 parameters");
        we_jchain_add(&parameters, parameter);
    }
    we_jadvance(reader);
    macro->parameters = parameters.first;
    macro->num_parameters = parameters.count;
    macro->defaults = defaults.first;
    macro->num_defaults = defaults.count;
    return we_jabove(reader, node, defaults.height);
}

static struct we_jnode *macro_node(struct we_jreader *reader, enum we_jnode_kind kind)
{
    struct we_jnode *node = we_jnode_new(reader, kind, we_jadvance(reader));
    struct we_jmacro_node *macro = we_jread_alloc(reader, 1, sizeof *macro);
    if (node == NULL || macro == NULL)
        return NULL;
    macro->caller_slot = macro->kwargs_slot = macro->varargs_slot = WE_J_NO_SLOT;
    node->macro.macro = macro;
    return node;
}

static struct we_jnode *parse_macro(struct we_jreader *reader)
{
    struct we_jnode *node = macro_node(reader, WE_J_MACRO_NODE);
    if (node == NULL)
        return NULL;
    struct we_jmacro_node *macro = node->macro.macro;
    macro->target = we_jparse_name_target(reader);
    if (macro->target == NULL || !parse_signature(reader, node, macro))
        return NULL;
    return parse_function_body(reader, node, "endmacro", &macro->body) ? node : NULL;
}

static struct we_jnode *parse_call_block(struct we_jreader *reader)
{
    struct we_jnode *node = macro_node(reader, WE_J_CALL_BLOCK);
    if (node == NULL || (we_jat(reader, WE_J_T_LPAREN) && !parse_signature(reader, node, node->macro.macro)))
        return NULL;
    const struct we_jtoken *at = we_jcurrent(reader);
    struct we_jnode *call = we_jparse_expression(reader, true);
    if (call == NULL)
        return NULL;
    if (call->kind != WE_J_CALL) {
        we_jfail_at(reader, at, "expected call");
        return NULL;
    }
    node->macro.call = call;
    if (!we_jabove(reader, node, call->height) || !parse_function_body(reader, node, "endcall", &node->macro.macro->body))
        return NULL;
    return node;
}

/* transformers' own tag: a call block whose text is kept as it is. */
static struct we_jnode *parse_generation(struct we_jreader *reader)
{
    struct we_jnode *node = macro_node(reader, WE_J_CALL_BLOCK);
    return node && parse_function_body(reader, node, "endgeneration", &node->macro.macro->body) ? node : NULL;
}

static struct we_jnode *parse_filter_block(struct we_jreader *reader)
{
    struct we_jnode *node = we_jnode_new(reader, WE_J_FILTER_BLOCK, we_jadvance(reader));
    struct we_jnode *filter = node ? we_jparse_filters(reader, NULL, true) : NULL;
    if (filter == NULL || !we_jabove(reader, node, filter->height))
        return NULL;
    node->capture.filter = filter;
    return parse_block_body(reader, node, "endfilter", &node->capture.body) ? node : NULL;
}

static struct we_jnode *parse_print(struct we_jreader *reader)
{
    const struct we_jtoken *at = we_jadvance(reader);
    struct we_jchain parts;
    we_jchain_init(&parts);
    while (!we_jat(reader, WE_J_T_BLOCK_END)) {
        if (parts.count && !we_jexpect(reader, WE_J_T_COMMA))
            return NULL;
        struct we_jnode *part = we_jparse_expression(reader, true);
        if (part == NULL)
            return NULL;
        we_jchain_add(&parts, part);
    }
    return we_jlisted(reader, WE_J_OUTPUT, at, &parts);
}

static struct we_jnode *parse_block(struct we_jreader *reader)
{
    struct we_jnode *node = we_jnode_new(reader, WE_J_BLOCK_NODE, we_jadvance(reader));
    const struct we_jtoken *name = node ? we_jexpect(reader, WE_J_T_NAME) : NULL;
    struct we_jblock *block = name ? we_jread_alloc(reader, 1, sizeof *block) : NULL;
    if (block == NULL)
        return NULL;
    block->name = we_jtext(name->value);
    block->self_slot = block->super_slot = WE_J_NO_SLOT;
    node->block = block;
    if (we_jat_name(reader, "scoped") || we_jat_name(reader, "required")) {
        const struct we_jtoken *at = we_jcurrent(reader);
        we_jread_unsupported(reader, at->line, at->column, "'%.*s' of a block", WE_STR_ARG(we_jtext(at->value)));
        return NULL;
    }
    struct we_jblock **end = &reader->jinja->blocks;
    for (size_t count = 0; *end; end = &(*end)->next, count++) {
        if (count >= 255) {
            we_jfail_at(reader, name, "more than 255 blocks");
            return NULL;
        }
        if (we_str_equal((*end)->name, block->name)) {
            we_jfail_at(reader, name, "block '%.*s' defined twice", WE_STR_ARG(block->name));
            return NULL;
        }
    }
    *end = block;
    if (!parse_function_body(reader, node, "endblock", &block->body))
        return NULL;
    if (we_jat(reader, WE_J_T_NAME) && we_str_equal(we_jtext(we_jcurrent(reader)->value), block->name))
        we_jadvance(reader);
    return node;
}

static struct we_jnode *parse_autoescape(struct we_jreader *reader)
{
    const struct we_jtoken *at = we_jadvance(reader);
    struct we_jnode *node = we_jnode_new(reader, WE_J_SCOPE_NODE, at);
    struct we_jnode *value = node ? we_jparse_expression(reader, true) : NULL;
    if (value == NULL)
        return NULL;
    if (value->kind != WE_J_CONST || value->value.kind != WE_J_BOOL || value->value.boolean) {
        we_jread_unsupported(reader, at->line, at->column, "autoescape other than false");
        return NULL;
    }
    return parse_block_body(reader, node, "endautoescape", &node->with.body) ? node : NULL;
}

static struct we_jnode *parse_loop_control(struct we_jreader *reader)
{
    const struct we_jtoken *at = we_jadvance(reader);
    bool stops = we_jtoken_is_name(at, "break");
    if (reader->loops == 0) {
        we_jfail_at(reader, at, "'%s' outside of a loop", stops ? "break" : "continue");
        return NULL;
    }
    return we_jnode_new(reader, stops ? WE_J_BREAK_NODE : WE_J_CONTINUE_NODE, at);
}

/* include, import, from, extends: fine to write, but there is nothing to load. */
static struct we_jnode *parse_loader(struct we_jreader *reader)
{
    const struct we_jtoken *at = we_jadvance(reader);
    struct we_jnode *node = we_jnode_new(reader, WE_J_LOADER, at);
    struct we_jchain names;
    we_jchain_init(&names);
    node = node && (node->loader.template_name = we_jparse_expression(reader, true)) ? node : NULL;
    if (node == NULL || !we_jabove(reader, node, node->loader.template_name->height))
        return NULL;
    if (we_jtoken_is_name(at, "import")) {
        struct we_jnode *name = we_jexpect_name(reader, "as") ? we_jparse_name_target(reader) : NULL;
        if (name == NULL)
            return NULL;
        we_jchain_add(&names, name);
    } else if (we_jtoken_is_name(at, "from")) {
        if (!we_jexpect_name(reader, "import"))
            return NULL;
        do {
            struct we_jnode *name = we_jparse_name_target(reader);
            if (name && we_jskip_name(reader, "as"))
                name = we_jparse_name_target(reader);
            if (name == NULL)
                return NULL;
            we_jchain_add(&names, name);
        } while (we_jskip(reader, WE_J_T_COMMA));
    }
    node->loader.names = names.first;
    while (we_jat_name(reader, "ignore") || we_jat_name(reader, "missing") || we_jat_name(reader, "with") ||
           we_jat_name(reader, "without") || we_jat_name(reader, "context"))
        we_jadvance(reader);
    return node;
}

static struct we_jnode *parse_statement(struct we_jreader *reader)
{
    static const struct {
        const char *name;
        struct we_jnode *(*parse)(struct we_jreader *reader);
    } statements[] = {
        {"if", parse_if}, {"for", parse_for}, {"set", parse_set}, {"macro", parse_macro}, {"call", parse_call_block},
        {"filter", parse_filter_block}, {"with", parse_with}, {"print", parse_print}, {"block", parse_block},
        {"autoescape", parse_autoescape}, {"break", parse_loop_control}, {"continue", parse_loop_control},
        {"generation", parse_generation}, {"include", parse_loader}, {"import", parse_loader}, {"from", parse_loader},
        {"extends", parse_loader},
    };
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
        if (!we_jat_name(reader, statements[i].name))
            continue;
        bool named = reader->num_tags < WE_J_MAX_HEIGHT;
        if (named)
            reader->tags[reader->num_tags++] = statements[i].name;
        struct we_jnode *node = statements[i].parse(reader);
        if (node && named)
            reader->num_tags--; /* after a failure they say where */
        return node;
    }
    return NULL;
}

bool we_jparse_template(struct we_jreader *reader)
{
    struct we_jchain body;
    if (!parse_body(reader, NULL, &body))
        return false;
    reader->jinja->body = body.first;
    return true;
}

/* ---- the template as a whole ---- */

we_status we_jinja_parse(struct we_str source, const char *name, struct we_jinja **jinja, struct we_error *error)
{
    *jinja = NULL;
    struct we_jreader *reader = calloc(1, sizeof *reader);
    struct we_jinja *result = calloc(1, sizeof *result);
    if (reader == NULL || result == NULL) {
        free(reader);
        free(result);
        return we_error_memory(error, "a chat template");
    }
    reader->jinja = result;
    reader->error = error;
    result->arena.limit = WE_JINJA_TREE_MEMORY;
    result->self_slot = WE_J_NO_SLOT;
    result->name = we_arena_copy(&result->arena, we_str_c(name ? name : "template"));
    if (result->name == NULL)
        we_jread_memory(reader);
    else if (source.length > WE_JINJA_MOST_SOURCE)
        reader->status = we_error_set(error, WE_UNSUPPORTED, "%s: a template of %zu bytes; at most %d are supported",
                                      result->name, source.length, WE_JINJA_MOST_SOURCE);
    else if (we_jlex(reader, source) && we_jparse_template(reader))
        we_jresolve(reader);
    we_status status = reader->status;
    free(reader->tokens);
    free(reader);
    if (status != WE_OK)
        we_jinja_free(result);
    else
        *jinja = result;
    return status;
}

void we_jinja_free(struct we_jinja *jinja)
{
    if (jinja == NULL)
        return;
    we_arena_free(&jinja->arena);
    free(jinja);
}
