/* The state of one rendering, and what the parts of the evaluator offer each other. */
#ifndef WE_TEXT_JINJA_RUN_H
#define WE_TEXT_JINJA_RUN_H

#include "text/jinja_ast.h"
#include "text/jinja_value.h"

enum {
    WE_J_MAX_DEPTH = 900,  /* evaluations inside each other; each takes a few hundred bytes of stack */
    WE_J_STACK = 4096,     /* arguments of calls that are being evaluated */
    WE_J_MAX_RANGE = 100000 /* the sandbox's limit */
};

/* The variables of one activation of the template, a macro, a block, ... `outer` is that of the code around it. */
struct we_jframe {
    struct we_jframe *outer;
    struct we_jvalue slots[];
};

/* Some last strings that were made by concatenation: the next one may grow in place. */
struct we_jtail {
    char *data;
    size_t used, capacity;
};

struct we_jrun {
    const struct we_jinja *jinja;
    struct we_arena arena;
    size_t memory;          /* limit for arena and text together */
    uint64_t steps;         /* that are left */
    uint32_t depth;
    struct we_buf *text;    /* the output; what is being captured stands at its end */
    struct we_jvalue *stack; /* (WE_J_STACK) */
    size_t stack_used;
    struct we_jvalue *context; /* (number of names): variables of the request, globals, top-level assignments */
    struct we_jtail tails[4];
    unsigned next_tail;
    int64_t now;
    const struct we_jnode *at; /* what is being evaluated, for messages */
    struct we_error *error;
    we_status status;
};

/* ---- failing, limits ---- */

/* Sets the error, with the place in the template, unless there is one already. Returns a FAILED value. */
struct we_jvalue we_jfail(struct we_jrun *run, const char *format, ...) WE_PRINTF(2, 3);
struct we_jvalue we_jfail_status(struct we_jrun *run, we_status status, const char *format, ...) WE_PRINTF(3, 4);
/* The message of an undefined value that was used. */
struct we_jvalue we_jfail_undefined(struct we_jrun *run, struct we_jvalue undefined);
bool we_jout_of_steps(struct we_jrun *run);
bool we_jtoo_deep(struct we_jrun *run);
void we_jmemory_spent(struct we_jrun *run);

/* Counts work; false when there has been too much. */
static inline bool we_jcharge(struct we_jrun *run, size_t steps)
{
    if (run->steps <= steps)
        return we_jout_of_steps(run);
    run->steps -= steps;
    return true;
}
static inline bool we_jcharge_bytes(struct we_jrun *run, size_t bytes)
{
    return we_jcharge(run, bytes / 32 + 1);
}
/* The same where each character is looked at by itself. */
static inline bool we_jcharge_characters(struct we_jrun *run, struct we_str text)
{
    return we_jcharge(run, text.length / 4 + 1);
}
/* Around whatever may nest without end. */
static inline bool we_jenter(struct we_jrun *run)
{
    if (run->depth >= WE_J_MAX_DEPTH)
        return we_jtoo_deep(run);
    run->depth++;
    return true;
}
static inline void we_jleave(struct we_jrun *run)
{
    run->depth--;
}

/* ---- text: the output, and strings that are put together ---- */

bool we_jwrite(struct we_jrun *run, struct we_str text);
static inline bool we_jwrite_c(struct we_jrun *run, const char *text)
{
    return we_jwrite(run, we_str_c(text));
}
bool we_jwrite_repeat(struct we_jrun *run, struct we_str text, size_t times);
static inline size_t we_jtext_begin(const struct we_jrun *run)
{
    return run->text->length;
}
/* What was written since `begin`, as a string; it is taken away from the text. */
struct we_jvalue we_jtext_end(struct we_jrun *run, size_t begin);
void we_jtext_drop(struct we_jrun *run, size_t begin);

/* ---- iteration ---- */

struct we_jiter {
    int (*next)(struct we_jrun *run, struct we_jiter *iter, struct we_jvalue *value);
    struct we_jvalue source;
    size_t at;
    struct we_jiter *from;
    void *state;
    const char *type; /* its name in messages */
    bool running, done;
};
/* Begins to iterate; an iterator goes on where it is. */
bool we_jiter_start(struct we_jrun *run, struct we_jvalue value, struct we_jiter *iter);
/* 1: *value is set; 0: the end; -1: failed. */
int we_jiter_next(struct we_jrun *run, struct we_jiter *iter, struct we_jvalue *value);
bool we_jis_iterable(struct we_jvalue value);
/* A generator value: `next` with `state` over what `source` gives (MISSING: it has no source). */
struct we_jvalue we_jgenerator(struct we_jrun *run, struct we_jvalue source,
                               int (*next)(struct we_jrun *, struct we_jiter *, struct we_jvalue *), void *state);
struct we_jvalue we_jreversed(struct we_jrun *run, struct we_jvalue value); /* FAILED without an error: not reversible */
struct we_jvalue we_jto_list(struct we_jrun *run, struct we_jvalue value, enum we_jkind kind); /* a new LIST or TUPLE */

/* ---- operators (jinja_operators.c, jinja_subscript.c, jinja_format.c) ---- */

struct we_jvalue we_jbinary(struct we_jrun *run, enum we_joperator operator, struct we_jvalue a, struct we_jvalue b);
struct we_jvalue we_jnegate(struct we_jrun *run, struct we_jvalue a, bool negative);
int we_jcompare(struct we_jrun *run, enum we_joperator operator, struct we_jvalue a, struct we_jvalue b);
struct we_jvalue we_jconcat(struct we_jrun *run, struct we_str a, struct we_str b);
struct we_jvalue we_jescape(struct we_jrun *run, struct we_jvalue value); /* HTML; markup stays what it is */
struct we_jvalue we_jget_attribute(struct we_jrun *run, struct we_jvalue object, struct we_str name);
struct we_jvalue we_jget_item(struct we_jrun *run, struct we_jvalue object, struct we_jvalue key);
struct we_jvalue we_jslice(struct we_jrun *run, struct we_jvalue object, struct we_jvalue start, struct we_jvalue stop,
                           struct we_jvalue step);
/* What Python's getattr finds on the object itself: 1, 0, or -1. Ignores what the sandbox forbids. */
int we_jfind_attribute(struct we_jrun *run, struct we_jvalue object, struct we_str name, struct we_jvalue *value);
/* A method that may be called, or NULL. */
const struct we_jcallable *we_jfind_method(struct we_jvalue object, struct we_str name);
struct we_jvalue we_jformat_percent(struct we_jrun *run, struct we_jvalue format, struct we_jvalue arguments);
struct we_jvalue we_jformat_braces(struct we_jrun *run, struct we_jvalue format, const struct we_jargs *args);
struct we_jvalue we_jformat_value(struct we_jrun *run, struct we_jvalue value, struct we_str spec);

/* ---- calls (jinja_call.c) ---- */

struct we_jvalue we_jcall(struct we_jrun *run, struct we_jvalue callee, const struct we_jargs *args);
/* With the object before the arguments, unless it is MISSING. */
struct we_jvalue we_jcall_callable(struct we_jrun *run, const struct we_jcallable *callable, struct we_jvalue self,
                                   const struct we_jargs *args);
const struct we_jcallable *we_jfind_filter(struct we_str name);
const struct we_jcallable *we_jfind_test(struct we_str name);
bool we_jfilter_is_known(struct we_str name); /* one of Jinja's that is not supported */
struct we_jvalue we_jglobal(struct we_str name); /* MISSING if there is none */
/* dict(*args, **kwargs) into a dictionary. */
bool we_jdict_fill(struct we_jrun *run, struct we_jdict *dict, const struct we_jargs *args);
/* An argument as an integer; MISSING gives the default. */
bool we_jarg_int(struct we_jrun *run, struct we_jvalue value, int64_t missing, int64_t *result);
bool we_jarg_string(struct we_jrun *run, const char *what, struct we_jvalue value);

/* ---- the evaluator ---- */

enum we_jflow { WE_J_NEXT, WE_J_BREAK, WE_J_CONTINUE, WE_J_STOP /* failed */ };
struct we_jvalue we_jeval(struct we_jrun *run, struct we_jframe *frame, const struct we_jnode *node);
/* A filter over a block's text; a call with a caller. */
struct we_jvalue we_jeval_filter(struct we_jrun *run, struct we_jframe *frame, const struct we_jnode *node, struct we_jvalue text);
struct we_jvalue we_jeval_call(struct we_jrun *run, struct we_jframe *frame, const struct we_jnode *node, struct we_jvalue caller);
enum we_jflow we_jexec(struct we_jrun *run, struct we_jframe *frame, const struct we_jnode *first);
/* The text of a body, as a string. *flow is NEXT, BREAK or CONTINUE unless it failed. */
struct we_jvalue we_jcapture(struct we_jrun *run, struct we_jframe *frame, const struct we_jnode *body, enum we_jflow *flow);
bool we_jexec_block(struct we_jrun *run, const struct we_jblock *block); /* writes its text */
struct we_jframe *we_jframe_new(struct we_jrun *run, const struct we_jcode *code, struct we_jframe *outer);
void we_jscope_enter(struct we_jrun *run, struct we_jframe *frame, const struct we_jscope *scope);
void we_jscope_leave(struct we_jframe *frame, const struct we_jscope *scope);
bool we_jassign(struct we_jrun *run, struct we_jframe *frame, const struct we_jnode *target, struct we_jvalue value);

struct we_jmacro {
    const struct we_jnode *node; /* MACRO or CALL_BLOCK */
    struct we_jframe *outer;
};
/* The variables of a call, its arguments among them; NULL: failed. */
struct we_jframe *we_jmacro_frame(struct we_jrun *run, const struct we_jmacro_node *macro, struct we_jframe *outer,
                                  const struct we_jargs *args);
struct we_jvalue we_jcall_macro(struct we_jrun *run, struct we_jmacro *macro, const struct we_jargs *args);

struct we_jloop {
    const struct we_jnode *node;
    struct we_jframe *outer; /* of the code around the loop: for recursion */
    struct we_jvalue iterable;
    struct we_jiter iter;
    int64_t index0;
    struct we_jvalue before, current, after, changed; /* MISSING: none */
    int64_t length;                                  /* -1: not known yet */
    int64_t depth0;
};
bool we_jloop_length(struct we_jrun *run, struct we_jloop *loop, size_t *length);
int we_jloop_attribute(struct we_jrun *run, struct we_jloop *loop, struct we_str name, struct we_jvalue *value);
struct we_jvalue we_jloop_recurse(struct we_jrun *run, struct we_jloop *loop, const struct we_jargs *args);
/* Runs a FOR node over `iterable`, writing its text. */
enum we_jflow we_jexec_for(struct we_jrun *run, struct we_jframe *frame, const struct we_jnode *node,
                           struct we_jvalue iterable, struct we_jframe *outer, int64_t depth0);

/* ---- numbers (jinja_number.c) ---- */

enum { WE_J_FLOAT_TEXT = 400 };
/* repr() of a float; returns its length. */
size_t we_jfloat_repr(double value, char out[WE_J_FLOAT_TEXT]);
double we_jparse_double(const char *text); /* in the C locale; `text` is terminated */
/* snprintf with one double, in the C locale; the length, as snprintf gives it. */
int we_jprint_double(char *out, size_t size, const char *format, int precision, double value);
/* Python's int(text, base) and float(text): 1, 0 when the text is no number, -1 when an integer is too large, or failed. */
int we_jparse_int(struct we_str text, int base, int64_t *value);
int we_jparse_float(struct we_jrun *run, struct we_str text, double *value);
/* A double that is an integer below 2^63 in size. */
bool we_jdouble_to_int(double value, int64_t *integer);

/* ---- characters (jinja_unicode.c) ---- */

bool we_jis_space(uint32_t c);
bool we_jis_printable(uint32_t c);
bool we_jis_word(uint32_t c);
enum we_jclass { WE_J_ALPHA, WE_J_ALNUM, WE_J_DECIMAL, WE_J_DIGIT, WE_J_NUMERIC };
bool we_jis_class(uint32_t c, enum we_jclass class);
bool we_jis_upper(uint32_t c);
bool we_jis_lower(uint32_t c);
bool we_jis_title(uint32_t c);
enum we_jcase { WE_J_UPPER, WE_J_LOWER, WE_J_TITLE, WE_J_CAPITALIZE, WE_J_SWAP, WE_J_FOLD };
/* Writes the text in another case. */
bool we_jwrite_case(struct we_jrun *run, struct we_str text, enum we_jcase to);
size_t we_jcharacters(struct we_str text); /* how many */
/* Byte offset of character `index`; the length of the text if there are not as many. */
size_t we_joffset(struct we_str text, size_t index);
/* The character at a byte offset. */
uint32_t we_jchar_at(struct we_str text, size_t at, size_t *size);
struct we_str we_jstrip_space(struct we_str text, bool left, bool right);

#endif
