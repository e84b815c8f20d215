#include "base/json.h"

#include "base/system.h"

#include <errno.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

const char *we_json_kind_name(enum we_json_kind kind)
{
    static const char *const names[] = {"null", "a boolean", "a number", "a string", "an array", "an object", "the end"};
    return names[kind];
}

static const struct we_str byte_order_mark = {"\xEF\xBB\xBF", 3}; /* some editors write it before the text */

void we_json_reader_init(struct we_json_reader *r, struct we_str text, const char *name, struct we_error *error)
{
    *r = (struct we_json_reader){.text = text, .name = name, .error = error};
    if (we_str_starts_with(text, byte_order_mark))
        r->at = byte_order_mark.length;
}

void we_json_reader_free(struct we_json_reader *r)
{
    we_buf_free(&r->scratch);
}

we_status we_json_fail(struct we_json_reader *r, const char *format, ...)
{
    if (r->status != WE_OK)
        return r->status;
    size_t line = 1, column = 1;
    for (size_t i = we_str_starts_with(r->text, byte_order_mark) ? 3 : 0; i < r->at && i < r->text.length; i++) {
        if (r->text.data[i] == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)r->text.data[i] & 0xC0) != 0x80) {
            column++;
        }
    }
    char message[512];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    r->status = we_error_set(r->error, WE_INVALID_FORMAT, "%s%sline %zu, column %zu: %s", r->name ? r->name : "",
                             r->name ? ": " : "", line, column, message);
    return r->status;
}

static inline void skip_space(struct we_json_reader *r)
{
    const char *p = r->text.data;
    size_t i = r->at, n = r->text.length;
    while (i < n && (p[i] == ' ' || p[i] == '\n' || p[i] == '\r' || p[i] == '\t'))
        i++;
    r->at = i;
}

static inline int next_byte(struct we_json_reader *r)
{
    return r->at < r->text.length ? (unsigned char)r->text.data[r->at] : -1;
}

enum we_json_kind we_json_peek(struct we_json_reader *r)
{
    if (r->status != WE_OK)
        return WE_JSON_END;
    skip_space(r);
    int c = next_byte(r);
    if (c < 0)
        return WE_JSON_END;
    switch (c) {
    case 'n':
        return WE_JSON_NULL;
    case 't':
    case 'f':
        return WE_JSON_BOOL;
    case '"':
        return WE_JSON_STRING;
    case '[':
        return WE_JSON_ARRAY;
    case '{':
        return WE_JSON_OBJECT;
    default:
        if (c == '-' || (c >= '0' && c <= '9') || c == 'I' || c == 'N')
            return WE_JSON_NUMBER;
        we_json_fail(r, c < 0x20 || c > 0x7E ? "a value was expected, not the byte 0x%02X" : "a value was expected, not '%c'", c);
        return WE_JSON_END;
    }
}

static bool expect(struct we_json_reader *r, enum we_json_kind kind)
{
    enum we_json_kind found = we_json_peek(r);
    if (found == kind)
        return true;
    we_json_fail(r, "%s was expected, not %s", we_json_kind_name(kind), we_json_kind_name(found));
    return false;
}

static bool read_word(struct we_json_reader *r, const char *word)
{
    size_t n = strlen(word);
    if (!we_str_starts_with(we_str(r->text.data + r->at, r->text.length - r->at), we_str(word, n))) {
        we_json_fail(r, "'%s' was expected", word);
        return false;
    }
    r->at += n;
    return true;
}

bool we_json_read_null(struct we_json_reader *r)
{
    return expect(r, WE_JSON_NULL) && read_word(r, "null");
}

bool we_json_read_bool(struct we_json_reader *r, bool *value)
{
    if (!expect(r, WE_JSON_BOOL))
        return false;
    *value = next_byte(r) == 't';
    return read_word(r, *value ? "true" : "false");
}

bool we_json_read_number_text(struct we_json_reader *r, struct we_str *text)
{
    if (!expect(r, WE_JSON_NUMBER))
        return false;
    size_t start = r->at;
    if (next_byte(r) == '-')
        r->at++;
    int c = next_byte(r);
    if (c == 'I' || (c == 'N' && r->at == start)) {
        if (!read_word(r, c == 'I' ? "Infinity" : "NaN"))
            return false;
    } else {
        size_t digits = r->at;
        while ((c = next_byte(r)) >= '0' && c <= '9')
            r->at++;
        bool bad = r->at == digits || (r->text.data[digits] == '0' && r->at > digits + 1);
        if (c == '.') {
            size_t fraction = ++r->at;
            while ((c = next_byte(r)) >= '0' && c <= '9')
                r->at++;
            bad = bad || r->at == fraction;
        }
        if (c == 'e' || c == 'E') {
            r->at++;
            c = next_byte(r);
            if (c == '+' || c == '-')
                r->at++;
            size_t exponent = r->at;
            while ((c = next_byte(r)) >= '0' && c <= '9')
                r->at++;
            bad = bad || r->at == exponent;
        }
        if (bad) {
            we_json_fail(r, "a malformed number");
            return false;
        }
    }
    *text = we_str(r->text.data + start, r->at - start);
    return true;
}

/* strtod in the C locale, whatever the program has set. False if memory is out. */
static bool parse_double(struct we_str text, double *value)
{
    char stack[64], *copy = stack;
    bool negative = text.length && text.data[0] == '-';
    if (text.length > (size_t)negative && (text.data[negative] == 'I' || text.data[negative] == 'N')) {
        *value = text.data[negative] == 'N' ? (double)NAN : negative ? -(double)INFINITY : (double)INFINITY;
        return true;
    }
    if (text.length >= sizeof stack && (copy = malloc(text.length + 1)) == NULL)
        return false;
    memcpy(copy, text.data, text.length);
    copy[text.length] = '\0';
    locale_t c_locale = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    locale_t old = c_locale ? uselocale(c_locale) : (locale_t)0;
    *value = strtod(copy, NULL);
    if (c_locale) {
        uselocale(old);
        freelocale(c_locale);
    }
    if (copy != stack)
        free(copy);
    return true;
}

/* Integers of up to 18 digits, the usual case, without strtod. */
static bool parse_small_integer(struct we_str text, int64_t *value)
{
    size_t i = 0, n = text.length;
    bool negative = n && text.data[0] == '-';
    if (negative)
        i++;
    if (n - i > 18 || n == i)
        return false;
    int64_t v = 0;
    for (; i < n; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        v = v * 10 + (text.data[i] - '0');
    }
    *value = negative ? -v : v;
    return true;
}

bool we_json_read_double(struct we_json_reader *r, double *value)
{
    struct we_str text;
    if (!we_json_read_number_text(r, &text))
        return false;
    int64_t integer;
    if (parse_small_integer(text, &integer) && integer != 0) {
        *value = (double)integer;
        return true;
    }
    if (!parse_double(text, value))
        r->status = we_error_memory(r->error, "a number of a JSON file");
    return r->status == WE_OK;
}

bool we_json_read_u64(struct we_json_reader *r, uint64_t *value)
{
    struct we_str text;
    skip_space(r);
    size_t start = r->at;
    if (!we_json_read_number_text(r, &text))
        return false;
    uint64_t v = 0;
    bool ok = true;
    for (size_t i = 0; i < text.length && ok; i++) {
        unsigned digit = (unsigned char)text.data[i] - (unsigned)'0';
        ok = digit <= 9 && !__builtin_mul_overflow(v, 10u, &v) && !__builtin_add_overflow(v, digit, &v);
    }
    if (!ok) {
        r->at = start;
        we_json_fail(r, "a non-negative integer below 2^64 was expected, not %.*s", WE_STR_ARG(text));
    }
    *value = v;
    return ok;
}

bool we_json_read_u32(struct we_json_reader *r, uint32_t *value)
{
    skip_space(r);
    size_t start = r->at;
    uint64_t wide = 0;
    if (!we_json_read_u64(r, &wide))
        return false;
    if (wide > UINT32_MAX) {
        r->at = start;
        we_json_fail(r, "a number below 2^32 was expected, not %llu", (unsigned long long)wide);
        return false;
    }
    *value = (uint32_t)wide;
    return true;
}

static int hex4(const char *p)
{
    int v = 0;
    for (int i = 0; i < 4; i++) {
        int c = (unsigned char)p[i], d = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (d < 0)
            return -1;
        v = v << 4 | d;
    }
    return v;
}

/* After a backslash at text[at]: appends what the escape means and moves past it. */
static bool read_escape(struct we_json_reader *r)
{
    const char *p = r->text.data;
    size_t left = r->text.length - r->at;
    char c = left > 1 ? p[r->at + 1] : '\0';
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *found = c ? strchr(from, c) : NULL;
    if (found) {
        r->at += 2;
        return we_buf_append_byte(&r->scratch, to[found - from]);
    }
    int unit = c == 'u' && left >= 6 ? hex4(p + r->at + 2) : -1;
    if (unit < 0) {
        we_json_fail(r, "a malformed escape in a string");
        return false;
    }
    r->at += 6;
    uint32_t code_point = (uint32_t)unit;
    if (unit >= 0xD800 && unit <= 0xDFFF) {
        code_point = 0xFFFD;
        left -= 6;
        int low = unit < 0xDC00 && left >= 6 && p[r->at] == '\\' && p[r->at + 1] == 'u' ? hex4(p + r->at + 2) : -1;
        if (low >= 0xDC00 && low <= 0xDFFF) {
            code_point = 0x10000 + (((uint32_t)unit & 0x3FF) << 10 | ((uint32_t)low & 0x3FF));
            r->at += 6;
        }
    }
    return we_buf_append_utf8(&r->scratch, code_point);
}

/* Offset of the first byte at or after `i` that ends a plain run: a quote, a backslash or a control character. The run is
 * ASCII unless *high has a bit of 0x80 afterwards. */
static size_t plain_run_end(const char *p, size_t i, size_t n, uint64_t *high)
{
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    while (i + 8 <= n) {
        uint64_t v;
        memcpy(&v, p + i, 8);
        uint64_t quote = v ^ ones * '"', slash = v ^ ones * '\\';
        if (((((quote - ones) & ~quote) | ((slash - ones) & ~slash) | ((v - ones * 0x20) & ~v)) & highs) != 0)
            break;
        *high |= v & highs;
        i += 8;
    }
    while (i < n && p[i] != '"' && p[i] != '\\' && (unsigned char)p[i] >= 0x20)
        *high |= (unsigned char)p[i++] & 0x80u;
    return i;
}

/* The plain run at `start`, which must be UTF-8. */
static bool read_run(struct we_json_reader *r, size_t start, size_t *end)
{
    uint64_t high = 0;
    *end = plain_run_end(r->text.data, start, r->text.length, &high);
    if (high == 0)
        return true;
    size_t valid = we_utf8_valid_prefix(we_str(r->text.data + start, *end - start));
    if (valid == *end - start)
        return true;
    r->at = start + valid;
    we_json_fail(r, "the byte 0x%02X, which is not valid UTF-8 here", (unsigned char)r->text.data[r->at]);
    return false;
}

bool we_json_read_string(struct we_json_reader *r, struct we_str *value)
{
    if (!expect(r, WE_JSON_STRING))
        return false;
    const char *p = r->text.data;
    size_t n = r->text.length, start = r->at + 1, end;
    if (!read_run(r, start, &end))
        return false;
    if (end < n && p[end] == '"') {
        *value = we_str(p + start, end - start);
        r->at = end + 1;
        return true;
    }
    we_buf_clear(&r->scratch);
    r->at = start;
    for (;;) {
        if (!read_run(r, r->at, &end))
            return false;
        we_buf_append(&r->scratch, we_str(p + r->at, end - r->at));
        r->at = end;
        if (end >= n) {
            we_json_fail(r, "a string that does not end");
            return false;
        }
        if (p[end] == '"')
            break;
        if ((unsigned char)p[end] < 0x20) {
            we_json_fail(r, "the control character 0x%02X in a string, where an escape belongs", (unsigned char)p[end]);
            return false;
        }
        if (!read_escape(r))
            break;
    }
    if (r->scratch.failed) {
        if (r->status == WE_OK)
            r->status = we_error_memory(r->error, "a string of a JSON file");
        return false;
    }
    if (r->status != WE_OK)
        return false;
    r->at++;
    *value = we_buf_str(&r->scratch);
    return true;
}

static bool enter(struct we_json_reader *r, enum we_json_kind kind)
{
    if (!expect(r, kind))
        return false;
    if (r->depth >= WE_JSON_MAX_DEPTH) {
        we_json_fail(r, "more than %d values inside each other", WE_JSON_MAX_DEPTH);
        return false;
    }
    r->at++;
    r->first[r->depth++] = 1;
    return true;
}

bool we_json_enter_object(struct we_json_reader *r)
{
    return enter(r, WE_JSON_OBJECT);
}

bool we_json_enter_array(struct we_json_reader *r)
{
    return enter(r, WE_JSON_ARRAY);
}

/* Steps over the comma before an element; false at the closing bracket or on an error. */
static bool next_item(struct we_json_reader *r, char close)
{
    if (r->status != WE_OK || r->depth == 0)
        return false;
    skip_space(r);
    int c = next_byte(r);
    if (c == close) {
        r->at++;
        r->depth--;
        return false;
    }
    if (r->first[r->depth - 1]) {
        r->first[r->depth - 1] = 0;
        return true;
    }
    if (c != ',') {
        we_json_fail(r, "',' or '%c' was expected", close);
        return false;
    }
    r->at++;
    return true;
}

bool we_json_next_key(struct we_json_reader *r, struct we_str *key)
{
    if (!next_item(r, '}') || !we_json_read_string(r, key))
        return false;
    skip_space(r);
    if (next_byte(r) != ':') {
        we_json_fail(r, "':' was expected after a key");
        return false;
    }
    r->at++;
    return true;
}

bool we_json_next_element(struct we_json_reader *r)
{
    return next_item(r, ']');
}

bool we_json_skip(struct we_json_reader *r)
{
    struct we_str ignored;
    bool flag;
    uint32_t base = r->depth;
    uint8_t is_object[WE_JSON_MAX_DEPTH];
    for (;;) {
        enum we_json_kind kind = we_json_peek(r);
        bool ok = false;
        switch (kind) {
        case WE_JSON_NULL:
            ok = we_json_read_null(r);
            break;
        case WE_JSON_BOOL:
            ok = we_json_read_bool(r, &flag);
            break;
        case WE_JSON_NUMBER:
            ok = we_json_read_number_text(r, &ignored);
            break;
        case WE_JSON_STRING:
            ok = we_json_read_string(r, &ignored);
            break;
        case WE_JSON_ARRAY:
        case WE_JSON_OBJECT:
            ok = enter(r, kind);
            if (ok)
                is_object[r->depth - 1] = kind == WE_JSON_OBJECT;
            break;
        case WE_JSON_END:
            we_json_fail(r, "a value was expected, not the end of the text");
        }
        if (!ok)
            return false;
        while (r->depth > base) {
            if (is_object[r->depth - 1] ? we_json_next_key(r, &ignored) : we_json_next_element(r))
                break;
            if (r->status != WE_OK)
                return false;
        }
        if (r->depth == base)
            return true;
    }
}

we_status we_json_finish(struct we_json_reader *r)
{
    if (r->status == WE_OK) {
        skip_space(r);
        if (r->at < r->text.length)
            we_json_fail(r, "text after the end of the JSON value");
    }
    return r->status;
}

/* ---- tree ---- */

struct builder {
    struct we_json_reader reader;
    struct we_arena *arena;
};

static bool keep_string(struct builder *b, struct we_str text, struct we_str *kept)
{
    char *copy = we_arena_copy(b->arena, text);
    *kept = we_str(copy, text.length);
    if (copy == NULL && b->reader.status == WE_OK)
        b->reader.status = we_error_memory(b->reader.error, "a JSON value");
    return copy != NULL;
}

static bool read_value(struct builder *b, struct we_json *value);

/* The keys of an object by hash, so that an object of very many is no trap. */
struct key_index {
    uint32_t *slots; /* (size): position + 1, or 0 */
    size_t size;     /* a power of two, or 0 */
    uint64_t seed;
};

static void index_key(struct key_index *index, struct we_str key, size_t position)
{
    size_t at = (size_t)we_str_hash(key, index->seed) & (index->size - 1);
    while (index->slots[at])
        at = (at + 1) & (index->size - 1);
    index->slots[at] = (uint32_t)position + 1;
}

static bool grow_index(struct key_index *index, const struct we_str *keys, size_t count)
{
    size_t size = index->size ? index->size * 2 : 128;
    uint32_t *slots = count < UINT32_MAX / 4 ? calloc(size, sizeof *slots) : NULL;
    if (slots == NULL)
        return false;
    free(index->slots);
    *index = (struct key_index){slots, size, index->size ? index->seed : we_random_u64()};
    for (size_t i = 0; i < count; i++)
        index_key(index, keys[i], i);
    return true;
}

/* The position of `key`, or `count` if it is new. */
static size_t find_key(const struct key_index *index, const struct we_str *keys, size_t count, struct we_str key)
{
    if (index->size == 0) {
        for (size_t i = 0; i < count; i++)
            if (we_str_equal(keys[i], key))
                return i;
        return count;
    }
    for (size_t at = (size_t)we_str_hash(key, index->seed) & (index->size - 1); index->slots[at];
         at = (at + 1) & (index->size - 1))
        if (we_str_equal(keys[index->slots[at] - 1], key))
            return index->slots[at] - 1;
    return count;
}

/* Elements are collected on the heap, since their number is known only at the end, then moved to the arena. */
static bool read_container(struct builder *b, struct we_json *value)
{
    struct we_json_reader *r = &b->reader;
    bool object = value->kind == WE_JSON_OBJECT;
    struct we_json *items = NULL;
    struct we_str *keys = NULL, key;
    struct key_index known = {0};
    size_t count = 0, capacity = 0;
    bool ok = object ? we_json_enter_object(r) : we_json_enter_array(r);
    while (ok && (object ? we_json_next_key(r, &key) : we_json_next_element(r))) {
        size_t index = object ? find_key(&known, keys, count, key) : count;
        if (index == capacity) {
            capacity = capacity ? capacity * 2 : 8;
            struct we_json *more = realloc(items, capacity * sizeof *items);
            items = more ? more : items;
            struct we_str *more_keys = more && object ? realloc(keys, capacity * sizeof *keys) : keys;
            if (more == NULL || (object && more_keys == NULL)) {
                r->status = we_error_memory(r->error, "a JSON value");
                break;
            }
            keys = more_keys;
        }
        if (object && index == count && !keep_string(b, key, &keys[index]))
            break;
        if (object && index == count && count >= 32) {
            if (count * 2 >= known.size && !grow_index(&known, keys, count)) {
                r->status = we_error_memory(r->error, "a JSON value");
                break;
            }
            index_key(&known, keys[index], index);
        }
        ok = read_value(b, &items[index]);
        if (index == count)
            count++;
    }
    ok = ok && r->status == WE_OK;
    if (ok) {
        value->count = count;
        value->items = we_arena_array(b->arena, count, sizeof *items);
        value->keys = object ? we_arena_array(b->arena, count, sizeof *keys) : NULL;
        if (value->items == NULL || (object && value->keys == NULL)) {
            r->status = we_error_memory(r->error, "a JSON value");
            ok = false;
        } else if (count) {
            memcpy(value->items, items, count * sizeof *items);
            if (object)
                memcpy(value->keys, keys, count * sizeof *keys);
        }
    }
    free(items);
    free(keys);
    free(known.slots);
    return ok;
}

static bool read_value(struct builder *b, struct we_json *value)
{
    struct we_json_reader *r = &b->reader;
    struct we_str text;
    *value = (struct we_json){.kind = we_json_peek(r)};
    switch (value->kind) {
    case WE_JSON_NULL:
        return we_json_read_null(r);
    case WE_JSON_BOOL:
        return we_json_read_bool(r, &value->boolean);
    case WE_JSON_NUMBER:
        if (!we_json_read_number_text(r, &text) || !keep_string(b, text, &value->string))
            return false;
        value->is_integer = parse_small_integer(text, &value->integer);
        if (!value->is_integer && text.length <= 20 && strcspn(value->string.data, ".eEIN") == text.length) {
            errno = 0;
            value->integer = strtoll(value->string.data, NULL, 10);
            value->is_integer = errno == 0;
        }
        if (value->is_integer && value->integer != 0)
            value->number = (double)value->integer;
        else if (!parse_double(text, &value->number))
            r->status = we_error_memory(r->error, "a JSON value");
        return r->status == WE_OK;
    case WE_JSON_STRING:
        return we_json_read_string(r, &text) && keep_string(b, text, &value->string);
    case WE_JSON_ARRAY:
    case WE_JSON_OBJECT:
        return read_container(b, value);
    case WE_JSON_END:
        break;
    }
    we_json_fail(r, "a value was expected, not the end of the text");
    return false;
}

we_status we_json_parse(struct we_str text, const char *name, struct we_arena *arena, struct we_json **tree,
                        struct we_error *error)
{
    struct builder b = {.arena = arena};
    we_json_reader_init(&b.reader, text, name, error);
    *tree = we_arena_alloc(arena, sizeof **tree);
    we_status status = *tree ? WE_OK : we_error_memory(error, "a JSON value");
    if (status == WE_OK) {
        read_value(&b, *tree);
        status = we_json_finish(&b.reader);
    }
    we_json_reader_free(&b.reader);
    return status;
}

const struct we_json *we_json_get(const struct we_json *object, const char *key)
{
    if (object == NULL || object->kind != WE_JSON_OBJECT)
        return NULL;
    for (size_t i = 0; i < object->count; i++)
        if (we_str_equal_c(object->keys[i], key))
            return &object->items[i];
    return NULL;
}

/* ---- writing ---- */

bool we_json_write_string(struct we_buf *out, struct we_str text, bool ascii)
{
    we_buf_append_byte(out, '"');
    size_t i = 0;
    while (i < text.length) {
        uint64_t high = 0;
        size_t end = plain_run_end(text.data, i, text.length, &high), run = high ? i : end;
        while (run < end && ((unsigned char)text.data[run] < 0x80))
            run++;
        we_buf_append(out, we_str(text.data + i, run - i));
        i = run;
        if (i >= text.length)
            break;
        uint32_t c = 0xFFFD;
        size_t n = we_utf8_decode(we_str(text.data + i, text.length - i), &c);
        i += n ? n : 1;
        static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
        const char *found = c && c < 0x80 ? strchr(from, (int)c) : NULL;
        if (found)
            we_buf_printf(out, "\\%c", to[found - from]);
        else if (c < 0x20 || (ascii && c > 0x7F && c < 0x10000))
            we_buf_printf(out, "\\u%04x", c);
        else if (ascii && c >= 0x10000)
            we_buf_printf(out, "\\u%04x\\u%04x", 0xD800 + ((c - 0x10000) >> 10), 0xDC00 + ((c - 0x10000) & 0x3FF));
        else
            we_buf_append_utf8(out, c);
    }
    return we_buf_append_byte(out, '"');
}

bool we_json_write_double(struct we_buf *out, double value)
{
    if (!isfinite(value))
        return we_buf_append_c(out, "null");
    char text[40];
    /* 15 digits always keep apart what has no more of them, but numbers this small have fewer. */
    for (int digits = fabs(value) < DBL_MIN ? 1 : 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        for (char *p = text; *p; p++) /* a locale's decimal comma */
            if (*p == ',')
                *p = '.';
        double back;
        if (parse_double(we_str_c(text), &back) && back == value)
            break;
    }
    return we_buf_append_c(out, text);
}
