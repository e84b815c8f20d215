/* Values of one rendering, with Python's meaning of them. Everything lives in the rendering's arena and is released
 * with it. All strings are valid UTF-8. A function that fails returns a value of kind WE_J_FAILED (or false, or -1)
 * after it has set the rendering's error; callers pass that on at once. */
#ifndef WE_TEXT_JINJA_VALUE_H
#define WE_TEXT_JINJA_VALUE_H

#include "text/jinja.h"

enum we_jkind {
    WE_J_MISSING, /* a variable that has no value, an argument that was not given */
    WE_J_FAILED,
    WE_J_UNDEFINED,
    WE_J_NONE,
    WE_J_BOOL,
    WE_J_INT,
    WE_J_BIG,   /* an integer beyond int64, as its decimal text: it can be printed and compared for equality */
    WE_J_FLOAT,
    WE_J_STRING,
    WE_J_LIST,
    WE_J_TUPLE,
    WE_J_DICT,
    WE_J_RANGE,
    WE_J_VIEW,  /* dict.keys(), values(), items() */
    WE_J_ITERATOR,
    WE_J_NAMESPACE,
    WE_J_MACRO,
    WE_J_LOOP,
    WE_J_CYCLER,
    WE_J_JOINER,
    WE_J_METHOD, /* bound to its object */
    WE_J_FUNCTION,
    WE_J_SELF,  /* the blocks of the template */
    WE_J_BLOCK
};

enum { WE_J_MARKUP = 1, /* a string that `safe` or `escape` made */ WE_J_GROUP = 2 /* a tuple that `groupby` made */ };

struct we_jrun;
struct we_jlist;
struct we_jdict;
struct we_jrange;
struct we_jview;
struct we_jiter;
struct we_jundefined;
struct we_jmacro;
struct we_jloop;
struct we_jcycler;
struct we_jjoiner;
struct we_jbound;
struct we_jcallable;
struct we_jblock;

struct we_jvalue {
    uint8_t kind, flags;
    uint32_t length; /* bytes of a string or of a big integer */
    union {
        bool boolean;
        int64_t integer;
        double number;
        const char *text;
        struct we_jlist *list; /* also of a tuple */
        struct we_jdict *dict; /* also of a namespace */
        struct we_jrange *range;
        struct we_jview *view;
        struct we_jiter *iterator;
        struct we_jundefined *undefined; /* may be NULL: nothing is known about it */
        struct we_jmacro *macro;
        struct we_jloop *loop;
        struct we_jcycler *cycler;
        struct we_jjoiner *joiner;
        struct we_jbound *method;
        const struct we_jcallable *function;
        const struct we_jblock *block;
    };
};

struct we_jlist {
    size_t count;
    struct we_jvalue *items;
};
struct we_jentry {
    struct we_jvalue key, value;
    uint64_t hash;
};
struct we_jdict { /* in the order of insertion */
    size_t count, capacity;
    struct we_jentry *entries;
    uint32_t *index; /* (index_size): 0 or 1 + a place in entries; NULL while the dict is small */
    size_t index_size;
};
struct we_jrange {
    int64_t start, stop, step;
    size_t count;
};
enum we_jview_kind { WE_J_KEYS, WE_J_VALUES, WE_J_ITEMS };
struct we_jview {
    struct we_jdict *dict;
    enum we_jview_kind which;
};
struct we_jundefined { /* what a message about it needs */
    const char *hint;  /* the message, with % for the name; NULL: the usual one */
    struct we_jvalue object, name; /* object: MISSING for a variable */
    bool unsafe;
};
struct we_jcycler {
    struct we_jlist items;
    size_t position;
};
struct we_jjoiner {
    struct we_jvalue separator;
    bool used;
};
struct we_jbound {
    struct we_jvalue self;
    const struct we_jcallable *callable;
};

/* What was given to a call. */
struct we_jargs {
    struct we_jvalue *values; /* (count) */
    size_t count;
    const struct we_str *names; /* (num_named) */
    struct we_jvalue *named;    /* (num_named) */
    size_t num_named;
};

/* Functions, methods, filters and tests. One of `bound` and `raw` is set: `bound` gets one value for each parameter,
 * MISSING where none was given; `raw` gets what the call gave. Of methods, filters and tests the first parameter
 * is the object. */
enum { WE_J_MAX_PARAMETERS = 8 };
struct we_jcallable {
    const char *name;
    uint8_t least, most;
    const char *parameters[WE_J_MAX_PARAMETERS]; /* NULL: cannot be given by name */
    struct we_jvalue (*bound)(struct we_jrun *run, struct we_jvalue *arguments);
    struct we_jvalue (*raw)(struct we_jrun *run, const struct we_jargs *args);
};

/* ---- making values ---- */

static inline struct we_jvalue we_jkind_value(enum we_jkind kind)
{
    return (struct we_jvalue){.kind = (uint8_t)kind};
}
static inline struct we_jvalue we_jfailed(void)
{
    return we_jkind_value(WE_J_FAILED);
}
static inline struct we_jvalue we_jnone(void)
{
    return we_jkind_value(WE_J_NONE);
}
static inline struct we_jvalue we_jbool(bool value)
{
    return (struct we_jvalue){.kind = WE_J_BOOL, .boolean = value};
}
static inline struct we_jvalue we_jint(int64_t value)
{
    return (struct we_jvalue){.kind = WE_J_INT, .integer = value};
}
static inline struct we_jvalue we_jfloat(double value)
{
    return (struct we_jvalue){.kind = WE_J_FLOAT, .number = value};
}
/* A string that points to `text`, which must live as long as the rendering. Strings are below 4 GiB: every
 * source of them is limited to less. */
static inline struct we_jvalue we_jstring(struct we_str text)
{
    return (struct we_jvalue){.kind = WE_J_STRING, .length = (uint32_t)text.length, .text = text.data ? text.data : ""};
}
static inline struct we_jvalue we_jstring_c(const char *text)
{
    return we_jstring(we_str_c(text));
}
/* A part of a string's text: keeps its flags. */
static inline struct we_jvalue we_jpart(struct we_jvalue of, struct we_str text)
{
    struct we_jvalue part = we_jstring(text);
    part.flags = of.flags & WE_J_MARKUP;
    return part;
}
static inline struct we_jvalue we_jmarkup(struct we_jvalue string)
{
    if (string.kind == WE_J_STRING)
        string.flags |= WE_J_MARKUP;
    return string;
}
static inline struct we_str we_jtext(struct we_jvalue string)
{
    return we_str(string.text, string.length);
}
static inline bool we_jis_number(struct we_jvalue v) /* as Python's operators see it: a bool is 0 or 1 */
{
    return v.kind == WE_J_INT || v.kind == WE_J_BOOL || v.kind == WE_J_FLOAT;
}
static inline bool we_jis_int(struct we_jvalue v)
{
    return v.kind == WE_J_INT || v.kind == WE_J_BOOL;
}
static inline int64_t we_jas_int(struct we_jvalue v)
{
    return v.kind == WE_J_BOOL ? v.boolean : v.integer;
}
static inline double we_jas_double(struct we_jvalue v)
{
    return v.kind == WE_J_FLOAT ? v.number : (double)we_jas_int(v);
}
static inline bool we_jis_sequence(struct we_jvalue v)
{
    return v.kind == WE_J_LIST || v.kind == WE_J_TUPLE;
}

void *we_jalloc(struct we_jrun *run, size_t count, size_t size); /* zeroed; NULL after a failure */
struct we_jvalue we_jcopy(struct we_jrun *run, struct we_str text);
/* A list or a tuple of `count` values (all MISSING, to be filled). */
struct we_jvalue we_jlist(struct we_jrun *run, enum we_jkind kind, size_t count);
struct we_jvalue we_jpair(struct we_jrun *run, struct we_jvalue a, struct we_jvalue b); /* a tuple */
struct we_jvalue we_jdict(struct we_jrun *run, enum we_jkind kind);                     /* DICT or NAMESPACE, empty */
struct we_jvalue we_jundefined(struct we_jrun *run, const char *hint, struct we_jvalue object, struct we_jvalue name);
struct we_jvalue we_jundefined_name(struct we_jrun *run, struct we_str name);
struct we_jvalue we_jbind_method(struct we_jrun *run, struct we_jvalue self, const struct we_jcallable *callable);
/* From JSON. */
struct we_jvalue we_jfrom_json(struct we_jrun *run, const struct we_json *json);

/* A list that grows while it is filled. */
struct we_jcollect {
    struct we_jlist list;
    size_t capacity;
};
bool we_jcollect_add(struct we_jrun *run, struct we_jcollect *collect, struct we_jvalue value);
struct we_jvalue we_jcollect_end(struct we_jrun *run, struct we_jcollect *collect, enum we_jkind kind);

/* ---- dictionaries ---- */

bool we_jhash(struct we_jrun *run, struct we_jvalue value, uint64_t *hash); /* fails for what cannot be a key */
/* 1: *value is set; 0: no such key; -1: failed (a key that cannot be one). */
int we_jdict_get(struct we_jrun *run, const struct we_jdict *dict, struct we_jvalue key, struct we_jvalue *value);
/* With a string as the key; NULL if it is not there. */
const struct we_jvalue *we_jdict_find(struct we_jrun *run, const struct we_jdict *dict, struct we_str key);
bool we_jdict_put(struct we_jrun *run, struct we_jdict *dict, struct we_jvalue key, struct we_jvalue value);

/* ---- what Python's built-in operations do ---- */

const char *we_jtype_name(struct we_jvalue value);
int we_jtruth(struct we_jrun *run, struct we_jvalue value);                      /* 1, 0, or -1 */
int we_jequal(struct we_jrun *run, struct we_jvalue a, struct we_jvalue b);      /* 1, 0, or -1 */
bool we_jidentical(struct we_jvalue a, struct we_jvalue b);                      /* `is` */
/* "<", ">", "<=" or ">=": 1, 0, or -1. */
int we_jorder(struct we_jrun *run, struct we_jvalue a, struct we_jvalue b, const char *operator);
int we_jcontains(struct we_jrun *run, struct we_jvalue container, struct we_jvalue item); /* 1, 0, or -1 */
bool we_jlength(struct we_jrun *run, struct we_jvalue value, size_t *length);
bool we_jhas_length(struct we_jvalue value);

/* str() and repr(), appended to the rendering's text. */
bool we_jprint(struct we_jrun *run, struct we_jvalue value);
bool we_jprint_repr(struct we_jrun *run, struct we_jvalue value);
struct we_jvalue we_jto_string(struct we_jrun *run, struct we_jvalue value);   /* str(): never markup */
struct we_jvalue we_jsoft_string(struct we_jrun *run, struct we_jvalue value); /* a string stays what it is */
bool we_jprint_undefined_message(struct we_jrun *run, const struct we_jundefined *undefined);

#endif
