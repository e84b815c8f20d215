/* JSON (RFC 8259): a pull reader for large files, a tree for small ones, and the pieces of a writer.
 * The reader also accepts the words Infinity, -Infinity and NaN, which Python writes into config files. Strings must be
 * UTF-8; a message counts columns in characters. */
#ifndef WE_BASE_JSON_H
#define WE_BASE_JSON_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

enum we_json_kind { WE_JSON_NULL, WE_JSON_BOOL, WE_JSON_NUMBER, WE_JSON_STRING, WE_JSON_ARRAY, WE_JSON_OBJECT, WE_JSON_END };

/* ---- pull reader ---- */

enum { WE_JSON_MAX_DEPTH = 256 };

struct we_json_reader {
    struct we_str text;
    size_t at;
    const char *name;          /* of the file, for messages; may be NULL */
    struct we_buf scratch;     /* an unescaped string, valid until the next one is read */
    struct we_error *error;
    we_status status;          /* sticky: after an error every call fails at once */
    uint32_t depth;
    uint8_t first[WE_JSON_MAX_DEPTH]; /* no element yet, for each open container */
};

/* `text` is borrowed. Release with we_json_reader_free. */
void we_json_reader_init(struct we_json_reader *reader, struct we_str text, const char *name, struct we_error *error);
void we_json_reader_free(struct we_json_reader *reader);

/* The kind of the value that comes next; WE_JSON_END after an error or at the end of the text. */
enum we_json_kind we_json_peek(struct we_json_reader *reader);

/* Each reads one value of its kind; false (and an error that says what was expected and found) if it is another. */
bool we_json_read_null(struct we_json_reader *reader);
bool we_json_read_bool(struct we_json_reader *reader, bool *value);
bool we_json_read_double(struct we_json_reader *reader, double *value);
bool we_json_read_u32(struct we_json_reader *reader, uint32_t *value);
bool we_json_read_u64(struct we_json_reader *reader, uint64_t *value);
/* The number as it is written. */
bool we_json_read_number_text(struct we_json_reader *reader, struct we_str *text);
/* Unescaped; points into the text when there was nothing to unescape, else into the reader: copy it to keep it.
 * Lone surrogates become U+FFFD. */
bool we_json_read_string(struct we_json_reader *reader, struct we_str *value);
bool we_json_skip(struct we_json_reader *reader); /* any value */

/* Containers: enter, then `next` until it is false; the value after each true `next` must be read or skipped. */
bool we_json_enter_object(struct we_json_reader *reader);
bool we_json_next_key(struct we_json_reader *reader, struct we_str *key);
bool we_json_enter_array(struct we_json_reader *reader);
bool we_json_next_element(struct we_json_reader *reader);

/* After the outermost value: an error unless only white space is left. Returns the reader's status. */
we_status we_json_finish(struct we_json_reader *reader);

/* Fails the reader with a message that names file, line and column. */
we_status we_json_fail(struct we_json_reader *reader, const char *format, ...) WE_PRINTF(2, 3);

/* ---- tree ---- */

struct we_json {
    enum we_json_kind kind;
    bool boolean;
    bool is_integer;           /* the number has no fraction and no exponent and fits in int64 */
    double number;
    int64_t integer;
    struct we_str string;      /* also the text of a number */
    struct we_json *items;     /* (count): elements, or values of an object in the order of the text */
    struct we_str *keys;       /* (count): of an object */
    size_t count;
};

/* Parses the whole of `text` into `arena` (strings are copied). A key that occurs twice keeps its last value. */
we_status we_json_parse(struct we_str text, const char *name, struct we_arena *arena, struct we_json **tree,
                        struct we_error *error);

/* The value of `key`, or NULL if there is none or `object` is NULL or no object. */
const struct we_json *we_json_get(const struct we_json *object, const char *key);
const char *we_json_kind_name(enum we_json_kind kind);

/* ---- writing ---- */

/* A quoted string. ascii: everything else as \uXXXX. Bytes that are no UTF-8 become U+FFFD. */
bool we_json_write_string(struct we_buf *out, struct we_str text, bool ascii);
/* The shortest form that reads back as the same double; NaN and infinities as null. */
bool we_json_write_double(struct we_buf *out, double value);

#endif
