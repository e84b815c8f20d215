/* The parser of expressions: Jinja's grammar, which is not quite Python's. */
#include "text/jinja_parser.h"

/* ---- calls, filters, tests ---- */

/* One argument: *x, **x, name=x or x. */
static bool parse_argument(struct we_jreader *reader, struct we_jcall_node *call, struct we_jchain *items, struct we_jchain *named)
{
    const struct we_jtoken *token = we_jcurrent(reader);
    bool star = token->type == WE_J_T_MUL, star_star = token->type == WE_J_T_POW;
    bool by_name = token->type == WE_J_T_NAME && we_jlook(reader)->type == WE_J_T_ASSIGN;
    bool misplaced = call->star_star || ((star || !(star_star || by_name)) && call->star) || (!star && !star_star && !by_name && named->count);
    if (misplaced)
        return we_jfail_at(reader, token, "invalid syntax for function call expression");
    if (star || star_star)
        we_jadvance(reader);
    if (by_name)
        reader->at += 2;
    struct we_jnode *value = we_jparse_expression(reader, true);
    if (value == NULL)
        return false;
    if (star || star_star) {
        *(star ? &call->star : &call->star_star) = value;
        return true;
    }
    if (!by_name) {
        we_jchain_add(items, value);
        return true;
    }
    struct we_jnode *node = we_jnode_new(reader, WE_J_NAMED, token);
    if (node == NULL || !we_jabove(reader, node, value->height))
        return false;
    node->named.name = we_jtext(token->value);
    node->named.value = value;
    for (const struct we_jnode *other = named->first; other; other = other->next)
        if (we_str_equal(other->named.name, node->named.name))
            return we_jfail_at(reader, token, "keyword argument repeated: %.*s", WE_STR_ARG(node->named.name));
    if (named->count >= 255)
        return we_jfail_at(reader, token, "more than 255 keyword arguments");
    we_jchain_add(named, node);
    return true;
}

static struct we_jcall_node *parse_arguments(struct we_jreader *reader, uint16_t *height)
{
    struct we_jcall_node *call = we_jread_alloc(reader, 1, sizeof *call);
    struct we_jchain items, named;
    we_jchain_init(&items);
    we_jchain_init(&named);
    if (call == NULL || !we_jexpect(reader, WE_J_T_LPAREN))
        return NULL;
    for (bool first = true; !we_jat(reader, WE_J_T_RPAREN); first = false) {
        if (!first && !we_jexpect(reader, WE_J_T_COMMA))
            return NULL;
        if (we_jat(reader, WE_J_T_RPAREN) && !first)
            break;
        if (!parse_argument(reader, call, &items, &named))
            return NULL;
    }
    we_jadvance(reader);
    call->items = items.first;
    call->named = named.first;
    call->count = items.count;
    call->num_named = named.count;
    *height = items.height > named.height ? items.height : named.height;
    if (we_jheight(call->star) > *height)
        *height = we_jheight(call->star);
    if (we_jheight(call->star_star) > *height)
        *height = we_jheight(call->star_star);
    return call;
}

static struct we_jnode *call_node(struct we_jreader *reader, enum we_jnode_kind kind, const struct we_jtoken *at,
                                  struct we_jnode *object, struct we_jcall_node *args, uint16_t height)
{
    struct we_jnode *node = args ? we_jnode_new(reader, kind, at) : NULL;
    if (node == NULL || !we_jabove(reader, node, height) || !we_jabove(reader, node, we_jheight(object)))
        return NULL;
    node->call.object = object;
    node->call.args = args;
    return node;
}

static struct we_jnode *parse_call(struct we_jreader *reader, struct we_jnode *object)
{
    const struct we_jtoken *at = we_jcurrent(reader);
    uint16_t height = 0;
    struct we_jcall_node *args = parse_arguments(reader, &height);
    return call_node(reader, WE_J_CALL, at, object, args, height);
}

/* "name" or "name.name", as one text. */
static bool dotted_name(struct we_jreader *reader, struct we_str *name)
{
    const struct we_jtoken *token = we_jexpect(reader, WE_J_T_NAME);
    if (token == NULL)
        return false;
    *name = we_jtext(token->value);
    while (we_jskip(reader, WE_J_T_DOT)) {
        const struct we_jtoken *more = we_jexpect(reader, WE_J_T_NAME);
        char *joined = more ? we_jread_alloc(reader, name->length + more->value.length + 2, 1) : NULL;
        if (joined == NULL)
            return false;
        memcpy(joined, name->data, name->length);
        joined[name->length] = '.';
        memcpy(joined + name->length + 1, more->value.text, more->value.length);
        *name = we_str(joined, name->length + 1 + more->value.length);
        if (name->length > 1000)
            return we_jfail_at(reader, more, "a name that is too long");
    }
    return true;
}

struct we_jnode *we_jparse_filters(struct we_jreader *reader, struct we_jnode *object, bool inline_start)
{
    while (inline_start || we_jskip(reader, WE_J_T_PIPE)) {
        const struct we_jtoken *at = we_jcurrent(reader);
        struct we_str name;
        if (!dotted_name(reader, &name))
            return NULL;
        uint16_t height = 0;
        struct we_jcall_node *args = we_jat(reader, WE_J_T_LPAREN) ? parse_arguments(reader, &height)
                                                                   : we_jread_alloc(reader, 1, sizeof *args);
        object = call_node(reader, WE_J_FILTER, at, object, args, height);
        if (object == NULL)
            return NULL;
        object->call.name = name;
        object->call.callable = we_jfind_filter(name);
        inline_start = false;
    }
    return object;
}

static struct we_jnode *parse_postfix(struct we_jreader *reader, struct we_jnode *node);

/* The one argument that a test may have without parentheses. */
static struct we_jcall_node *parse_test_argument(struct we_jreader *reader, uint16_t *height)
{
    struct we_jcall_node *args = we_jread_alloc(reader, 1, sizeof *args);
    enum we_jtoken_type type = we_jcurrent(reader)->type;
    bool begins = type == WE_J_T_NAME || type == WE_J_T_STRING || type == WE_J_T_INTEGER || type == WE_J_T_FLOAT ||
                  type == WE_J_T_LBRACKET || type == WE_J_T_LBRACE;
    if (!begins || we_jat_name(reader, "else") || we_jat_name(reader, "or") || we_jat_name(reader, "and"))
        return args;
    if (we_jat_name(reader, "is")) {
        we_jfail_at(reader, we_jcurrent(reader), "You cannot chain multiple tests with is");
        return NULL;
    }
    struct we_jnode *argument = we_jparse_primary(reader, false);
    argument = argument ? parse_postfix(reader, argument) : NULL;
    if (argument == NULL || args == NULL)
        return NULL;
    args->items = argument;
    args->count = 1;
    *height = argument->height;
    return args;
}

static struct we_jnode *parse_test(struct we_jreader *reader, struct we_jnode *object)
{
    const struct we_jtoken *at = we_jadvance(reader); /* is */
    bool negated = we_jskip_name(reader, "not");
    struct we_str name;
    if (!dotted_name(reader, &name))
        return NULL;
    uint16_t height = 0;
    struct we_jcall_node *args = we_jat(reader, WE_J_T_LPAREN) ? parse_arguments(reader, &height) : parse_test_argument(reader, &height);
    struct we_jnode *node = call_node(reader, WE_J_TEST, at, object, args, height);
    if (node == NULL)
        return NULL;
    node->call.name = name;
    node->call.callable = we_jfind_test(name);
    return negated ? we_junary(reader, WE_J_NOT, at, node) : node;
}

/* ---- subscripts ---- */

/* An index, or a slice. */
static struct we_jnode *parse_subscribed(struct we_jreader *reader)
{
    const struct we_jtoken *at = we_jcurrent(reader);
    struct we_jnode *parts[3] = {NULL, NULL, NULL};
    if (!we_jskip(reader, WE_J_T_COLON)) {
        parts[0] = we_jparse_expression(reader, true);
        if (parts[0] == NULL || !we_jskip(reader, WE_J_T_COLON))
            return parts[0];
    }
    for (int i = 1; i < 3; i++) {
        if (i == 2 && !we_jskip(reader, WE_J_T_COLON))
            break;
        if (we_jat(reader, WE_J_T_COLON) && i == 1)
            continue;
        if (we_jat(reader, WE_J_T_RBRACKET) || we_jat(reader, WE_J_T_COMMA))
            continue;
        parts[i] = we_jparse_expression(reader, true);
        if (parts[i] == NULL)
            return NULL;
    }
    struct we_jnode *node = we_jnode_new(reader, WE_J_SLICE, at);
    for (int i = 0; node && i < 3; i++)
        if (!we_jabove(reader, node, we_jheight(parts[i])))
            return NULL;
    if (node) {
        node->slice.start = parts[0];
        node->slice.stop = parts[1];
        node->slice.step = parts[2];
    }
    return node;
}

static struct we_jnode *item_node(struct we_jreader *reader, const struct we_jtoken *at, struct we_jnode *object, struct we_jnode *key)
{
    struct we_jnode *node = key ? we_jnode_new(reader, WE_J_ITEM, at) : NULL;
    if (node == NULL || !we_jabove(reader, node, object->height) || !we_jabove(reader, node, key->height))
        return NULL;
    node->item.object = object;
    node->item.key = key;
    return node;
}

static struct we_jnode *parse_dot(struct we_jreader *reader, struct we_jnode *object)
{
    const struct we_jtoken *at = we_jadvance(reader), *name = we_jadvance(reader);
    if (name->type == WE_J_T_INTEGER)
        return item_node(reader, at, object, we_jconstant(reader, name, name->value));
    if (name->type != WE_J_T_NAME) {
        we_jfail_at(reader, name, "expected name or number");
        return NULL;
    }
    struct we_jnode *node = we_jnode_new(reader, WE_J_ATTRIBUTE, at);
    if (node == NULL || !we_jabove(reader, node, object->height))
        return NULL;
    node->attribute.object = object;
    node->attribute.name = we_jtext(name->value);
    return node;
}

static struct we_jnode *parse_brackets(struct we_jreader *reader, struct we_jnode *object)
{
    const struct we_jtoken *at = we_jadvance(reader);
    struct we_jchain keys;
    we_jchain_init(&keys);
    while (!we_jat(reader, WE_J_T_RBRACKET)) {
        if (keys.count && !we_jexpect(reader, WE_J_T_COMMA))
            return NULL;
        struct we_jnode *key = parse_subscribed(reader);
        if (key == NULL)
            return NULL;
        if (key->kind == WE_J_SLICE && (keys.count || we_jat(reader, WE_J_T_COMMA))) {
            we_jfail_at(reader, at, "a slice among several indices");
            return NULL;
        }
        we_jchain_add(&keys, key);
    }
    we_jadvance(reader);
    struct we_jnode *key = keys.count == 1 ? keys.first : we_jlisted(reader, WE_J_TUPLE_NODE, at, &keys);
    return item_node(reader, at, object, key);
}

static struct we_jnode *parse_postfix(struct we_jreader *reader, struct we_jnode *node)
{
    for (;;) {
        if (node == NULL)
            return NULL;
        if (we_jat(reader, WE_J_T_DOT))
            node = parse_dot(reader, node);
        else if (we_jat(reader, WE_J_T_LBRACKET))
            node = parse_brackets(reader, node);
        else if (we_jat(reader, WE_J_T_LPAREN))
            node = parse_call(reader, node);
        else
            return node;
    }
}

static struct we_jnode *parse_filters_and_tests(struct we_jreader *reader, struct we_jnode *node)
{
    for (;;) {
        if (node == NULL)
            return NULL;
        if (we_jat(reader, WE_J_T_PIPE))
            node = we_jparse_filters(reader, node, false);
        else if (we_jat_name(reader, "is"))
            node = parse_test(reader, node);
        else if (we_jat(reader, WE_J_T_LPAREN))
            node = parse_call(reader, node);
        else
            return node;
    }
}

/* ---- operators, from the tightest ---- */

static struct we_jnode *parse_unary(struct we_jreader *reader, bool with_filter)
{
    const struct we_jtoken *at = we_jcurrent(reader);
    if (!we_jnest(reader))
        return NULL;
    struct we_jnode *node;
    if (we_jskip(reader, WE_J_T_SUB))
        node = we_junary(reader, WE_J_NEGATE, at, parse_unary(reader, false));
    else if (we_jskip(reader, WE_J_T_ADD))
        node = we_junary(reader, WE_J_PLUS, at, parse_unary(reader, false));
    else
        node = we_jparse_primary(reader, false);
    node = parse_postfix(reader, node);
    reader->nesting--;
    return with_filter ? parse_filters_and_tests(reader, node) : node;
}

static struct we_jnode *operation(struct we_jreader *reader, const struct we_jtoken *at, enum we_joperator operator,
                                  struct we_jnode *left, struct we_jnode *right)
{
    struct we_jnode *node = we_jbinary_node(reader, WE_J_BINARY, at, left, right);
    if (node)
        node->op = (uint8_t)operator;
    return node;
}

static struct we_jnode *parse_power(struct we_jreader *reader)
{
    struct we_jnode *left = parse_unary(reader, true);
    const struct we_jtoken *at = we_jcurrent(reader);
    while (left && we_jskip(reader, WE_J_T_POW)) {
        left = operation(reader, at, WE_J_POW, left, parse_unary(reader, true));
        at = we_jcurrent(reader);
    }
    return left;
}

static struct we_jnode *parse_product(struct we_jreader *reader)
{
    struct we_jnode *left = parse_power(reader);
    while (left) {
        const struct we_jtoken *at = we_jcurrent(reader);
        enum we_joperator operator;
        switch (at->type) {
        case WE_J_T_MUL:
            operator= WE_J_MUL;
            break;
        case WE_J_T_DIV:
            operator= WE_J_DIV;
            break;
        case WE_J_T_FLOORDIV:
            operator= WE_J_FLOORDIV;
            break;
        case WE_J_T_MOD:
            operator= WE_J_MOD;
            break;
        default:
            return left;
        }
        we_jadvance(reader);
        left = operation(reader, at, operator, left, parse_power(reader));
    }
    return left;
}

static struct we_jnode *parse_concat(struct we_jreader *reader)
{
    const struct we_jtoken *at = we_jcurrent(reader);
    struct we_jnode *part = parse_product(reader);
    if (part == NULL || !we_jat(reader, WE_J_T_TILDE))
        return part;
    struct we_jchain parts;
    we_jchain_init(&parts);
    we_jchain_add(&parts, part);
    while (we_jskip(reader, WE_J_T_TILDE)) {
        part = parse_product(reader);
        if (part == NULL)
            return NULL;
        we_jchain_add(&parts, part);
    }
    return we_jlisted(reader, WE_J_CONCAT, at, &parts);
}

static struct we_jnode *parse_sum(struct we_jreader *reader)
{
    struct we_jnode *left = parse_concat(reader);
    while (left && (we_jat(reader, WE_J_T_ADD) || we_jat(reader, WE_J_T_SUB))) {
        const struct we_jtoken *at = we_jadvance(reader);
        left = operation(reader, at, at->type == WE_J_T_ADD ? WE_J_ADD : WE_J_SUB, left, parse_concat(reader));
    }
    return left;
}

static bool comparison(struct we_jreader *reader, enum we_joperator *operator)
{
    static const uint8_t tokens[] = {WE_J_T_EQ, WE_J_T_NE, WE_J_T_LT, WE_J_T_LE, WE_J_T_GT, WE_J_T_GE};
    for (unsigned i = 0; i < sizeof tokens; i++) {
        if (we_jskip(reader, (enum we_jtoken_type)tokens[i])) {
            *operator= (enum we_joperator)(WE_J_EQ + i);
            return true;
        }
    }
    if (we_jskip_name(reader, "in")) {
        *operator= WE_J_IN;
        return true;
    }
    if (!we_jat_name(reader, "not") || !we_jtoken_is_name(we_jlook(reader), "in"))
        return false;
    reader->at += 2;
    *operator= WE_J_NOT_IN;
    return true;
}

static struct we_jnode *parse_comparison(struct we_jreader *reader)
{
    struct we_jnode *left = parse_sum(reader);
    struct we_jchain operands;
    we_jchain_init(&operands);
    for (;;) {
        const struct we_jtoken *at = we_jcurrent(reader);
        enum we_joperator operator;
        if (left == NULL || !comparison(reader, &operator))
            break;
        struct we_jnode *operand = we_junary(reader, WE_J_OPERAND, at, parse_sum(reader));
        if (operand == NULL)
            return NULL;
        operand->op = (uint8_t)operator;
        we_jchain_add(&operands, operand);
    }
    if (left == NULL || operands.count == 0)
        return left;
    const struct we_jtoken at = {.line = operands.first->line, .column = operands.first->column};
    struct we_jnode *node = we_jnode_new(reader, WE_J_COMPARE, &at);
    if (node == NULL || !we_jabove(reader, node, operands.height) || !we_jabove(reader, node, left->height))
        return NULL;
    node->compare.left = left;
    node->compare.operands = operands.first;
    return node;
}

static struct we_jnode *parse_not(struct we_jreader *reader)
{
    const struct we_jtoken *at = we_jcurrent(reader);
    if (!we_jskip_name(reader, "not"))
        return parse_comparison(reader);
    if (!we_jnest(reader))
        return NULL;
    struct we_jnode *node = we_junary(reader, WE_J_NOT, at, parse_not(reader));
    reader->nesting--;
    return node;
}

static struct we_jnode *parse_and(struct we_jreader *reader)
{
    struct we_jnode *left = parse_not(reader);
    const struct we_jtoken *at = we_jcurrent(reader);
    while (left && we_jskip_name(reader, "and")) {
        left = we_jbinary_node(reader, WE_J_AND, at, left, parse_not(reader));
        at = we_jcurrent(reader);
    }
    return left;
}

static struct we_jnode *parse_or(struct we_jreader *reader)
{
    struct we_jnode *left = parse_and(reader);
    const struct we_jtoken *at = we_jcurrent(reader);
    while (left && we_jskip_name(reader, "or")) {
        left = we_jbinary_node(reader, WE_J_OR, at, left, parse_and(reader));
        at = we_jcurrent(reader);
    }
    return left;
}

static struct we_jnode *parse_condition(struct we_jreader *reader)
{
    struct we_jnode *then = parse_or(reader);
    const struct we_jtoken *at = we_jcurrent(reader);
    while (then && we_jskip_name(reader, "if")) {
        struct we_jnode *test = parse_or(reader), *otherwise = NULL;
        if (test && we_jskip_name(reader, "else")) {
            if (!we_jnest(reader))
                return NULL;
            otherwise = parse_condition(reader);
            reader->nesting--;
            if (otherwise == NULL)
                return NULL;
        }
        struct we_jnode *node = test ? we_jnode_new(reader, WE_J_CONDITION, at) : NULL;
        if (node == NULL || !we_jabove(reader, node, test->height) || !we_jabove(reader, node, then->height) ||
            !we_jabove(reader, node, we_jheight(otherwise)))
            return NULL;
        node->condition.test = test;
        node->condition.then = then;
        node->condition.otherwise = otherwise;
        then = node;
        at = we_jcurrent(reader);
    }
    return then;
}

struct we_jnode *we_jparse_expression(struct we_jreader *reader, bool with_condition)
{
    if (!we_jnest(reader))
        return NULL;
    struct we_jnode *node = with_condition ? parse_condition(reader) : parse_or(reader);
    reader->nesting--;
    return node;
}
