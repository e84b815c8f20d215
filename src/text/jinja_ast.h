/* The tree of a template: made by the parser, its names resolved by jinja_scope.c, read by the evaluator. */
#ifndef WE_TEXT_JINJA_AST_H
#define WE_TEXT_JINJA_AST_H

#include "text/jinja_value.h"

enum we_jnode_kind {
    /* expressions */
    WE_J_TEXT_NODE, /* template text outside of tags */
    WE_J_CONST,
    WE_J_NAME,
    WE_J_NS_REFERENCE, /* ns.attribute as a target */
    WE_J_TUPLE_NODE,
    WE_J_LIST_NODE,
    WE_J_DICT_NODE, /* items: key, value, key, value, ... */
    WE_J_BINARY,
    WE_J_NEGATE,
    WE_J_PLUS,
    WE_J_NOT,
    WE_J_AND,
    WE_J_OR,
    WE_J_CONCAT,
    WE_J_COMPARE,
    WE_J_OPERAND, /* of a comparison: operator and right side */
    WE_J_CONDITION,
    WE_J_ATTRIBUTE,
    WE_J_ITEM,
    WE_J_SLICE,
    WE_J_CALL,
    WE_J_FILTER,
    WE_J_TEST,
    WE_J_NAMED, /* name=value in a call */
    /* statements */
    WE_J_OUTPUT,
    WE_J_FOR,
    WE_J_IF,
    WE_J_SET,
    WE_J_SET_BLOCK,
    WE_J_WITH,
    WE_J_MACRO_NODE,
    WE_J_CALL_BLOCK,
    WE_J_FILTER_BLOCK,
    WE_J_BLOCK_NODE,
    WE_J_SCOPE_NODE,
    WE_J_BREAK_NODE,
    WE_J_CONTINUE_NODE,
    WE_J_LOADER /* include, import, extends: there is nothing that they could load */
};

enum we_joperator {
    WE_J_ADD,
    WE_J_SUB,
    WE_J_MUL,
    WE_J_DIV,
    WE_J_FLOORDIV,
    WE_J_MOD,
    WE_J_POW,
    WE_J_EQ,
    WE_J_NE,
    WE_J_LT,
    WE_J_LE,
    WE_J_GT,
    WE_J_GE,
    WE_J_IN,
    WE_J_NOT_IN
};

enum { WE_J_NO_SLOT = UINT32_MAX, WE_J_MAX_HEIGHT = 200 /* of the tree */ };

enum we_jcontext { WE_J_LOAD, WE_J_STORE, WE_J_PARAMETER };

struct we_jnode;

/* A function of the generated program, in Jinja's terms: its activations have `slots` variables. */
struct we_jcode {
    uint32_t slots;
};

/* What happens to a scope's variables when it is entered. */
enum we_jload_kind { WE_J_LOAD_PARAMETER, WE_J_LOAD_RESOLVE, WE_J_LOAD_ALIAS, WE_J_LOAD_NOTHING };
struct we_jload {
    enum we_jload_kind kind;
    uint32_t slot, name;        /* RESOLVE: from the context */
    uint32_t depth, outer_slot; /* ALIAS: slot of the frame `depth` further out */
};
struct we_jscope {
    struct we_jload *loads;
    size_t count;
};

struct we_jcall_node {
    struct we_jnode *items; /* positional */
    struct we_jnode *named; /* NAMED */
    struct we_jnode *star, *star_star;
    uint32_t count, num_named;
};

struct we_jfor_node {
    struct we_jnode *target, *iterable, *test, *body, *otherwise;
    bool recursive, extended;
    uint32_t loop_slot;
    struct we_jscope body_scope, else_scope;
    struct we_jcode code; /* if recursive: the loop is a function */
    struct we_jnode *test_target; /* the same target among the variables of the test, which is a function */
    struct we_jscope test_scope;
    struct we_jcode test_code;
};

struct we_jmacro_node {
    struct we_jnode *target;     /* NAME; NULL for the body of a call block */
    struct we_jnode *parameters; /* NAME */
    struct we_jnode *defaults;   /* for the last of them */
    uint32_t num_parameters, num_defaults;
    struct we_jnode *body;
    bool explicit_caller;
    uint32_t caller_slot, kwargs_slot, varargs_slot; /* WE_J_NO_SLOT: the body does not ask for it */
    struct we_jscope scope;
    struct we_jcode code;
};

struct we_jblock {
    struct we_str name;
    struct we_jnode *body;
    uint32_t self_slot, super_slot;
    struct we_jscope scope;
    struct we_jcode code;
    struct we_jblock *next;
};

struct we_jnode {
    uint8_t kind;  /* enum we_jnode_kind */
    uint8_t op;    /* enum we_joperator, enum we_jcontext */
    uint16_t height;
    uint32_t line, column;
    struct we_jnode *next; /* in a list of nodes */
    union {
        struct we_jvalue value; /* TEXT_NODE, CONST */
        struct {
            struct we_str text;
            struct we_str attribute; /* NS_REFERENCE */
            uint32_t name;           /* its number in the template */
            uint32_t depth, slot;    /* in the frame `depth` further out */
            bool exported;           /* an assignment at the top level, which macros see */
        } name;
        struct {
            struct we_jnode *left, *right;
        } binary; /* also AND, OR; the others with one operand use left */
        struct we_jnode *items; /* TUPLE, LIST, DICT, CONCAT, OUTPUT */
        struct {
            struct we_jnode *left, *operands;
        } compare;
        struct {
            struct we_jnode *test, *then, *otherwise;
        } condition;
        struct {
            struct we_jnode *object;
            struct we_str name;
        } attribute;
        struct {
            struct we_jnode *object, *key;
        } item;
        struct {
            struct we_jnode *start, *stop, *step;
        } slice;
        struct {
            struct we_jnode *object; /* NULL: the text of the block around a filter */
            struct we_str name;      /* of a filter or test */
            const struct we_jcallable *callable;
            struct we_jcall_node *args;
        } call; /* CALL, FILTER, TEST */
        struct {
            struct we_str name;
            struct we_jnode *value;
        } named;
        struct we_jfor_node *loop;
        struct {
            struct we_jnode *test, *body;
            struct we_jnode *branches; /* IF: the elif branches */
            struct we_jnode *otherwise;
        } branch;
        struct {
            struct we_jnode *target, *value;
        } set;
        struct {
            struct we_jnode *target, *filter, *body;
            struct we_jscope *scope;
        } capture; /* SET_BLOCK, FILTER_BLOCK */
        struct {
            struct we_jnode *targets, *values, *body;
            struct we_jscope *scope;
        } with; /* also SCOPE_NODE */
        struct {
            struct we_jmacro_node *macro;
            struct we_jnode *call; /* CALL_BLOCK; NULL for `generation` */
        } macro;
        struct we_jblock *block;
        struct {
            struct we_jnode *names; /* NAME: what an import would set */
            struct we_jnode *template_name;
        } loader;
    };
};

struct we_jinja {
    struct we_arena arena;
    const char *name;
    struct we_str *names; /* (num_names) */
    size_t num_names;
    struct we_jnode *body;
    struct we_jscope scope;
    struct we_jcode code;
    uint32_t self_slot;
    struct we_jblock *blocks;
};

/* ---- from text to tree ---- */

enum we_jtoken_type {
    WE_J_T_EOF,
    WE_J_T_DATA,
    WE_J_T_VARIABLE_BEGIN,
    WE_J_T_VARIABLE_END,
    WE_J_T_BLOCK_BEGIN,
    WE_J_T_BLOCK_END,
    WE_J_T_NAME,
    WE_J_T_STRING,
    WE_J_T_INTEGER,
    WE_J_T_FLOAT,
    WE_J_T_ADD,
    WE_J_T_SUB,
    WE_J_T_DIV,
    WE_J_T_FLOORDIV,
    WE_J_T_MUL,
    WE_J_T_MOD,
    WE_J_T_POW,
    WE_J_T_TILDE,
    WE_J_T_LBRACKET,
    WE_J_T_RBRACKET,
    WE_J_T_LPAREN,
    WE_J_T_RPAREN,
    WE_J_T_LBRACE,
    WE_J_T_RBRACE,
    WE_J_T_EQ,
    WE_J_T_NE,
    WE_J_T_GT,
    WE_J_T_GE,
    WE_J_T_LT,
    WE_J_T_LE,
    WE_J_T_ASSIGN,
    WE_J_T_DOT,
    WE_J_T_COLON,
    WE_J_T_PIPE,
    WE_J_T_COMMA,
    WE_J_T_SEMICOLON
};

struct we_jtoken {
    uint8_t type;
    uint32_t line, column;
    struct we_jvalue value; /* DATA, NAME, STRING: a string; INTEGER, FLOAT: the number */
};

/* While a template is read. */
struct we_jreader {
    struct we_jinja *jinja;
    struct we_error *error;
    we_status status;
    struct we_jtoken *tokens; /* (count), the last one is EOF; the reader's */
    size_t count, at;
    uint32_t nesting;    /* of the parser's own calls */
    uint32_t loops;      /* around the statement, in the same function */
    const char *tags[WE_J_MAX_HEIGHT]; /* open statements, for messages */
    uint32_t num_tags;
    uint32_t *name_table; /* (name_table_size): 0 or 1 + number of a name */
    size_t name_table_size, names_capacity;
};

/* Sets the error unless there is one; always false. */
bool we_jread_fail(struct we_jreader *reader, uint32_t line, uint32_t column, const char *format, ...) WE_PRINTF(4, 5);
bool we_jread_unsupported(struct we_jreader *reader, uint32_t line, uint32_t column, const char *format, ...) WE_PRINTF(4, 5);
bool we_jread_memory(struct we_jreader *reader);
void *we_jread_alloc(struct we_jreader *reader, size_t count, size_t size);

bool we_jlex(struct we_jreader *reader, struct we_str source);
/* The number of a name; false when memory is out. */
bool we_jintern(struct we_jreader *reader, struct we_str text, uint32_t *number);
bool we_jparse_template(struct we_jreader *reader);
bool we_jresolve(struct we_jreader *reader);

#endif
