/* The parser's tools, and the smallest expressions: names, literals, tuples, targets of assignments. */
#include "text/jinja_parser.h"

#include <stdarg.h>
#include <stdio.h>

/* ---- tokens ---- */

void we_jdescribe(const struct we_jtoken *token, char *out, size_t size)
{
    static const char *const names[] = {
        "end of template", "template data / text", "begin of print statement", "end of print statement",
        "begin of statement block", "end of statement block", "name", "string", "integer", "float", "+", "-", "/", "//", "*", "%",
        "**", "~", "[", "]", "(", ")", "{", "}", "==", "!=", ">", ">=", "<", "<=", "=", ".", ":", "|", ",", ";"};
    if (token->type == WE_J_T_NAME)
        snprintf(out, size, "%.*s", WE_STR_ARG(we_jtext(token->value)));
    else
        snprintf(out, size, "%s", names[token->type]);
}

bool we_jfail_at(struct we_jreader *reader, const struct we_jtoken *token, const char *format, ...)
{
    char message[600];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return we_jread_fail(reader, token->line, token->column, "%s", message);
}

struct we_jtoken *we_jexpect(struct we_jreader *reader, enum we_jtoken_type type)
{
    struct we_jtoken *token = we_jcurrent(reader), wanted = {.type = (uint8_t)type, .value = we_jstring_c("name")};
    if (token->type == type)
        return we_jadvance(reader);
    char expected[256], found[256];
    we_jdescribe(&wanted, expected, sizeof expected);
    we_jdescribe(token, found, sizeof found);
    if (token->type == WE_J_T_EOF)
        we_jfail_at(reader, token, "unexpected end of template, expected '%s'", expected);
    else
        we_jfail_at(reader, token, "expected token '%s', got '%s'", expected, found);
    return NULL;
}

bool we_jexpect_name(struct we_jreader *reader, const char *name)
{
    if (we_jskip_name(reader, name))
        return true;
    char found[256];
    we_jdescribe(we_jcurrent(reader), found, sizeof found);
    return we_jfail_at(reader, we_jcurrent(reader), "expected token '%s', got '%s'", name, found);
}

/* ---- nodes ---- */

struct we_jnode *we_jnode_new(struct we_jreader *reader, enum we_jnode_kind kind, const struct we_jtoken *at)
{
    struct we_jnode *node = we_jread_alloc(reader, 1, sizeof *node);
    if (node)
        *node = (struct we_jnode){.kind = (uint8_t)kind, .height = 1, .line = at->line, .column = at->column};
    return node;
}

bool we_jabove(struct we_jreader *reader, struct we_jnode *node, uint16_t height)
{
    if (height >= WE_J_MAX_HEIGHT)
        return we_jread_fail(reader, node->line, node->column, "the template nests too deeply (over %d levels)", WE_J_MAX_HEIGHT);
    if (node->height <= height)
        node->height = height + 1;
    return true;
}

bool we_jnest(struct we_jreader *reader)
{
    if (reader->nesting >= WE_J_MAX_HEIGHT)
        return we_jfail_at(reader, we_jcurrent(reader), "the template nests too deeply (over %d levels)", WE_J_MAX_HEIGHT);
    reader->nesting++;
    return true;
}

struct we_jnode *we_junary(struct we_jreader *reader, enum we_jnode_kind kind, const struct we_jtoken *at,
                              struct we_jnode *operand)
{
    struct we_jnode *node = operand ? we_jnode_new(reader, kind, at) : NULL;
    if (node == NULL || !we_jabove(reader, node, operand->height))
        return NULL;
    node->binary.left = operand;
    return node;
}

struct we_jnode *we_jbinary_node(struct we_jreader *reader, enum we_jnode_kind kind, const struct we_jtoken *at,
                               struct we_jnode *left, struct we_jnode *right)
{
    struct we_jnode *node = right ? we_junary(reader, kind, at, left) : NULL;
    if (node == NULL || !we_jabove(reader, node, right->height))
        return NULL;
    node->binary.right = right;
    return node;
}

struct we_jnode *we_jlisted(struct we_jreader *reader, enum we_jnode_kind kind, const struct we_jtoken *at,
                               const struct we_jchain *chain)
{
    struct we_jnode *node = we_jnode_new(reader, kind, at);
    if (node == NULL || !we_jabove(reader, node, chain->height))
        return NULL;
    node->items = chain->first;
    return node;
}

struct we_jnode *we_jconstant(struct we_jreader *reader, const struct we_jtoken *at, struct we_jvalue value)
{
    struct we_jnode *node = we_jnode_new(reader, WE_J_CONST, at);
    if (node)
        node->value = value;
    return node;
}

static struct we_jnode *name_node(struct we_jreader *reader, enum we_jnode_kind kind, const struct we_jtoken *at)
{
    struct we_jnode *node = we_jnode_new(reader, kind, at);
    if (node == NULL || !we_jintern(reader, we_jtext(at->value), &node->name.name))
        return NULL;
    node->name.text = we_jtext(at->value);
    return node;
}

/* ---- primaries ---- */

static struct we_jnode *parse_list(struct we_jreader *reader)
{
    const struct we_jtoken *at = we_jadvance(reader);
    struct we_jchain items;
    we_jchain_init(&items);
    while (!we_jat(reader, WE_J_T_RBRACKET)) {
        if (items.count && !we_jexpect(reader, WE_J_T_COMMA))
            return NULL;
        if (we_jat(reader, WE_J_T_RBRACKET))
            break;
        struct we_jnode *item = we_jparse_expression(reader, true);
        if (item == NULL)
            return NULL;
        we_jchain_add(&items, item);
    }
    we_jadvance(reader);
    return we_jlisted(reader, WE_J_LIST_NODE, at, &items);
}

static struct we_jnode *parse_dict(struct we_jreader *reader)
{
    const struct we_jtoken *at = we_jadvance(reader);
    struct we_jchain items;
    we_jchain_init(&items);
    while (!we_jat(reader, WE_J_T_RBRACE)) {
        if (items.count && !we_jexpect(reader, WE_J_T_COMMA))
            return NULL;
        if (we_jat(reader, WE_J_T_RBRACE))
            break;
        struct we_jnode *key = we_jparse_expression(reader, true);
        struct we_jnode *value = key && we_jexpect(reader, WE_J_T_COLON) ? we_jparse_expression(reader, true) : NULL;
        if (value == NULL)
            return NULL;
        we_jchain_add(&items, key);
        we_jchain_add(&items, value);
    }
    we_jadvance(reader);
    return we_jlisted(reader, WE_J_DICT_NODE, at, &items);
}

static struct we_jnode *parse_name(struct we_jreader *reader, bool namespaces)
{
    const struct we_jtoken *token = we_jadvance(reader);
    struct we_str text = we_jtext(token->value);
    if (we_str_equal_c(text, "true") || we_str_equal_c(text, "True"))
        return we_jconstant(reader, token, we_jbool(true));
    if (we_str_equal_c(text, "false") || we_str_equal_c(text, "False"))
        return we_jconstant(reader, token, we_jbool(false));
    if (we_str_equal_c(text, "none") || we_str_equal_c(text, "None"))
        return we_jconstant(reader, token, we_jnone());
    if (!namespaces || !we_jskip(reader, WE_J_T_DOT))
        return name_node(reader, WE_J_NAME, token);
    const struct we_jtoken *attribute = we_jexpect(reader, WE_J_T_NAME);
    struct we_jnode *node = attribute ? name_node(reader, WE_J_NS_REFERENCE, token) : NULL;
    if (node)
        node->name.attribute = we_jtext(attribute->value);
    return node;
}

/* Strings that follow each other are one. */
static struct we_jnode *parse_string(struct we_jreader *reader)
{
    const struct we_jtoken *token = we_jadvance(reader);
    size_t total = token->value.length, from = reader->at;
    while (we_jat(reader, WE_J_T_STRING))
        total += we_jadvance(reader)->value.length;
    if (reader->at == from)
        return we_jconstant(reader, token, token->value);
    char *text = we_jread_alloc(reader, total + 1, 1);
    if (text == NULL)
        return NULL;
    size_t n = token->value.length;
    memcpy(text, token->value.text, n);
    for (size_t i = from; i < reader->at; i++) {
        memcpy(text + n, reader->tokens[i].value.text, reader->tokens[i].value.length);
        n += reader->tokens[i].value.length;
    }
    return we_jconstant(reader, token, we_jstring(we_str(text, total)));
}

struct we_jnode *we_jparse_primary(struct we_jreader *reader, bool namespaces)
{
    const struct we_jtoken *token = we_jcurrent(reader);
    struct we_jnode *node;
    char found[256];
    switch (token->type) {
    case WE_J_T_NAME:
        return parse_name(reader, namespaces);
    case WE_J_T_STRING:
        return parse_string(reader);
    case WE_J_T_INTEGER:
    case WE_J_T_FLOAT:
        we_jadvance(reader);
        return we_jconstant(reader, token, token->value);
    case WE_J_T_LPAREN:
        we_jadvance(reader);
        node = we_jparse_tuple(reader, false, true, true, false);
        return node && we_jexpect(reader, WE_J_T_RPAREN) ? node : NULL;
    case WE_J_T_LBRACKET:
        return parse_list(reader);
    case WE_J_T_LBRACE:
        return parse_dict(reader);
    default:
        we_jdescribe(token, found, sizeof found);
        we_jfail_at(reader, token, "unexpected '%s'", found);
        return NULL;
    }
}

static bool at_tuple_end(const struct we_jreader *reader)
{
    return we_jat(reader, WE_J_T_VARIABLE_END) || we_jat(reader, WE_J_T_BLOCK_END) || we_jat(reader, WE_J_T_RPAREN);
}

struct we_jnode *we_jparse_tuple(struct we_jreader *reader, bool simple, bool with_condition, bool explicit, bool namespaces)
{
    const struct we_jtoken *at = we_jcurrent(reader);
    struct we_jchain items;
    we_jchain_init(&items);
    bool tuple = false;
    for (;;) {
        if (items.count && !we_jexpect(reader, WE_J_T_COMMA))
            return NULL;
        if (at_tuple_end(reader))
            break;
        struct we_jnode *item = NULL;
        if (!simple) {
            item = we_jparse_expression(reader, with_condition);
        } else if (we_jnest(reader)) {
            item = we_jparse_primary(reader, namespaces);
            reader->nesting--;
        }
        if (item == NULL)
            return NULL;
        we_jchain_add(&items, item);
        if (!we_jat(reader, WE_J_T_COMMA))
            break;
        tuple = true;
    }
    if (!tuple && items.count)
        return items.first;
    if (!tuple && !explicit) {
        char found[256];
        we_jdescribe(we_jcurrent(reader), found, sizeof found);
        we_jfail_at(reader, we_jcurrent(reader), "expected an expression, got '%s'", found);
        return NULL;
    }
    return we_jlisted(reader, WE_J_TUPLE_NODE, at, &items);
}

/* ---- targets of assignments ---- */

static bool make_target(struct we_jreader *reader, struct we_jnode *node)
{
    if (node->kind == WE_J_NAME || node->kind == WE_J_NS_REFERENCE) {
        node->op = WE_J_STORE;
        return true;
    }
    if (node->kind != WE_J_TUPLE_NODE)
        return we_jread_fail(reader, node->line, node->column, "cannot assign to this expression");
    for (struct we_jnode *item = node->items; item; item = item->next)
        if (!make_target(reader, item))
            return false;
    return true;
}

struct we_jnode *we_jparse_target(struct we_jreader *reader, bool namespaces)
{
    struct we_jnode *target = we_jparse_tuple(reader, true, true, false, namespaces);
    return target && make_target(reader, target) ? target : NULL;
}

struct we_jnode *we_jparse_name_target(struct we_jreader *reader)
{
    static const char *const reserved[] = {"true", "false", "none", "True", "False", "None"};
    const struct we_jtoken *token = we_jexpect(reader, WE_J_T_NAME);
    for (size_t i = 0; token && i < sizeof reserved / sizeof reserved[0]; i++) {
        if (!we_jtoken_is_name(token, reserved[i]))
            continue;
        we_jfail_at(reader, token, "cannot assign to '%s'", reserved[i]);
        return NULL;
    }
    struct we_jnode *node = token ? name_node(reader, WE_J_NAME, token) : NULL;
    if (node)
        node->op = WE_J_STORE;
    return node;
}
