/* What the two halves of the parser share. Functions that make nodes return NULL after a failure. */
#ifndef WE_TEXT_JINJA_PARSER_H
#define WE_TEXT_JINJA_PARSER_H

#include "text/jinja_run.h"

/* A list of nodes that grows at its end. */
struct we_jchain {
    struct we_jnode *first, **end;
    uint32_t count;
    uint16_t height;
};

static inline struct we_jtoken *we_jcurrent(const struct we_jreader *reader)
{
    return &reader->tokens[reader->at];
}
static inline struct we_jtoken *we_jlook(const struct we_jreader *reader)
{
    return &reader->tokens[reader->at + (reader->at + 1 < reader->count)];
}
static inline struct we_jtoken *we_jadvance(struct we_jreader *reader)
{
    struct we_jtoken *token = we_jcurrent(reader);
    reader->at += reader->at + 1 < reader->count;
    return token;
}
static inline bool we_jat(const struct we_jreader *reader, enum we_jtoken_type type)
{
    return we_jcurrent(reader)->type == type;
}
static inline bool we_jtoken_is_name(const struct we_jtoken *token, const char *name)
{
    return token->type == WE_J_T_NAME && we_str_equal_c(we_jtext(token->value), name);
}
static inline bool we_jat_name(const struct we_jreader *reader, const char *name)
{
    return we_jtoken_is_name(we_jcurrent(reader), name);
}
static inline bool we_jskip(struct we_jreader *reader, enum we_jtoken_type type)
{
    return we_jat(reader, type) && we_jadvance(reader);
}
static inline bool we_jskip_name(struct we_jreader *reader, const char *name)
{
    return we_jat_name(reader, name) && we_jadvance(reader);
}
/* The token if it is of that type, moving on; else fails and gives NULL. */
struct we_jtoken *we_jexpect(struct we_jreader *reader, enum we_jtoken_type type);
bool we_jexpect_name(struct we_jreader *reader, const char *name);
bool we_jfail_at(struct we_jreader *reader, const struct we_jtoken *token, const char *format, ...) WE_PRINTF(3, 4);
void we_jdescribe(const struct we_jtoken *token, char *out, size_t size);

struct we_jnode *we_jnode_new(struct we_jreader *reader, enum we_jnode_kind kind, const struct we_jtoken *at);
/* Sets the height above that of a child (NULL is fine); false when the tree has become too high. */
bool we_jabove(struct we_jreader *reader, struct we_jnode *node, uint16_t height);
struct we_jnode *we_junary(struct we_jreader *reader, enum we_jnode_kind kind, const struct we_jtoken *at,
                           struct we_jnode *operand);
struct we_jnode *we_jbinary_node(struct we_jreader *reader, enum we_jnode_kind kind, const struct we_jtoken *at,
                                 struct we_jnode *left, struct we_jnode *right);
struct we_jnode *we_jconstant(struct we_jreader *reader, const struct we_jtoken *at, struct we_jvalue value);
static inline uint16_t we_jheight(const struct we_jnode *node)
{
    return node ? node->height : 0;
}
static inline void we_jchain_init(struct we_jchain *chain)
{
    *chain = (struct we_jchain){0};
    chain->end = &chain->first;
}
static inline void we_jchain_add(struct we_jchain *chain, struct we_jnode *node)
{
    *chain->end = node;
    chain->end = &node->next;
    chain->count++;
    if (node->height > chain->height)
        chain->height = node->height;
}
struct we_jnode *we_jlisted(struct we_jreader *reader, enum we_jnode_kind kind, const struct we_jtoken *at,
                            const struct we_jchain *chain);
/* Recursion of the parser itself. */
bool we_jnest(struct we_jreader *reader);

struct we_jnode *we_jparse_primary(struct we_jreader *reader, bool namespaces);
struct we_jnode *we_jparse_expression(struct we_jreader *reader, bool with_condition);
/* A tuple or one expression. `simple`: names and literals only; `namespaces`: ns.attribute too (targets).
 * `explicit`: in parentheses, so that it may be empty. As in Jinja, a name never ends it: "for a, in b" is an error. */
struct we_jnode *we_jparse_tuple(struct we_jreader *reader, bool simple, bool with_condition, bool explicit, bool namespaces);
struct we_jnode *we_jparse_target(struct we_jreader *reader, bool namespaces);
struct we_jnode *we_jparse_name_target(struct we_jreader *reader);
/* Filters after `object` (NULL: the text of a block); `inline_start`: without a pipe before the first. */
struct we_jnode *we_jparse_filters(struct we_jreader *reader, struct we_jnode *object, bool inline_start);

#endif
