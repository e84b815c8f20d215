/* Splits a template into tokens, with trim_blocks and lstrip_blocks on. */
#include "text/jinja_run.h"

#include <stdlib.h>

struct lexer {
    struct we_jreader *reader;
    const char *text; /* newlines are \n, no newline at the end */
    size_t length, at;
    size_t mark; /* line and column are those of this offset */
    uint32_t line, column;
    bool line_starting; /* the last thing read ended with a newline */
    char *closers;      /* (num_closers): brackets that are open inside a tag */
    size_t num_closers;
    struct we_jtoken *tokens;
    size_t count, capacity;
};

static struct we_str rest(const struct lexer *lexer, size_t from)
{
    return we_str(lexer->text + from, lexer->length - from);
}

/* Moves the line and column forward to `offset`; offsets only grow, so that this is linear in all. */
static void move_mark(struct lexer *lexer, size_t offset)
{
    for (; lexer->mark < offset; lexer->mark++) {
        unsigned char c = (unsigned char)lexer->text[lexer->mark];
        if (c == '\n') {
            lexer->line++;
            lexer->column = 1;
        } else if ((c & 0xC0) != 0x80) {
            lexer->column++;
        }
    }
}

static bool fail_here(struct lexer *lexer, const char *message)
{
    move_mark(lexer, lexer->at);
    return we_jread_fail(lexer->reader, lexer->line, lexer->column, "%s", message);
}

static bool add_token(struct lexer *lexer, enum we_jtoken_type type, size_t start, struct we_jvalue value)
{
    if (lexer->count == lexer->capacity) {
        size_t capacity = lexer->capacity + lexer->capacity / 2 + 256;
        struct we_jtoken *tokens = realloc(lexer->tokens, capacity * sizeof *tokens);
        if (tokens == NULL)
            return we_jread_memory(lexer->reader);
        lexer->tokens = tokens;
        lexer->capacity = capacity;
    }
    move_mark(lexer, start);
    lexer->tokens[lexer->count++] =
        (struct we_jtoken){.type = (uint8_t)type, .line = lexer->line, .column = lexer->column, .value = value};
    return true;
}

static size_t skip_space(const struct lexer *lexer, size_t at)
{
    while (at < lexer->length) {
        size_t size;
        if (!we_jis_space(we_jchar_at(we_str(lexer->text, lexer->length), at, &size)))
            break;
        at += size;
    }
    return at;
}

static bool looking_at(const struct lexer *lexer, size_t at, const char *text)
{
    return we_str_starts_with(rest(lexer, at), we_str_c(text));
}

/* ---- text between tags ---- */

/* `text` as it is left by the tag after it: "-" takes all white space before the tag, and unless there is a "+", white
 * space between the beginning of a line and a block or comment goes (lstrip_blocks). */
static struct we_str strip_before_tag(const struct lexer *lexer, struct we_str text, char sign, bool variable)
{
    if (sign == '-')
        return we_jstrip_space(text, false, true);
    if (sign == '+' || variable)
        return text;
    size_t line = text.length;
    while (line > 0 && text.data[line - 1] != '\n')
        line--;
    if ((line > 0 || lexer->line_starting) && we_jstrip_space(we_str(text.data + line, text.length - line), true, false).length == 0)
        text.length = line;
    return text;
}

static bool add_data(struct lexer *lexer, size_t start, struct we_str text)
{
    return text.length == 0 || add_token(lexer, WE_J_T_DATA, start, we_jstring(text));
}

static char sign_at(const struct lexer *lexer, size_t at)
{
    return at < lexer->length && (lexer->text[at] == '-' || lexer->text[at] == '+') ? lexer->text[at] : '\0';
}

/* The end of a block or comment whose closing characters stand at `at` ("%}" or "#}" with an optional sign): the offset
 * after what belongs to it, or 0 if there is none. */
static size_t block_end_at(const struct lexer *lexer, size_t at, const char *close)
{
    char sign = sign_at(lexer, at);
    size_t end = at + (sign != '\0');
    if (!looking_at(lexer, end, close))
        return 0;
    end += 2;
    if (sign == '-')
        return skip_space(lexer, end);
    if (sign == '\0' && end < lexer->length && lexer->text[end] == '\n')
        end++; /* trim_blocks */
    return end;
}

static void moved_to(struct lexer *lexer, size_t end)
{
    lexer->line_starting = end > lexer->at ? lexer->text[end - 1] == '\n' : lexer->line_starting;
    lexer->at = end;
}

static bool lex_comment(struct lexer *lexer, size_t start)
{
    if (start >= lexer->length) /* at the very end of a template Jinja does not mind */
        return true;
    for (size_t at = start;; at++) {
        at = we_str_find(we_str(lexer->text, lexer->length), we_str_c("#}"), at);
        if (at == SIZE_MAX)
            return fail_here(lexer, "a comment '{#' that does not end");
        size_t signed_at = at > start && sign_at(lexer, at - 1) ? at - 1 : at;
        moved_to(lexer, block_end_at(lexer, signed_at, "#}"));
        return true;
    }
}

/* After "{%" and its sign: whether this is "raw -%}" or the like. *end: the offset after it. */
static bool raw_begin(const struct lexer *lexer, size_t at, const char *word, bool begin, size_t *end)
{
    at = skip_space(lexer, at);
    if (!looking_at(lexer, at, word))
        return false;
    at = skip_space(lexer, at + strlen(word));
    if (!begin)
        return (*end = block_end_at(lexer, at, "%}")) != 0;
    bool strip = looking_at(lexer, at, "-%}");
    if (!strip && !looking_at(lexer, at, "%}"))
        return false;
    *end = strip ? skip_space(lexer, at + 3) : at + 2;
    return true;
}

/* From the text after a raw tag to the end of its end tag. */
static bool lex_raw(struct lexer *lexer)
{
    size_t start = lexer->at;
    if (start >= lexer->length)
        return true;
    for (size_t at = start;; at += 2) {
        at = we_str_find(we_str(lexer->text, lexer->length), we_str_c("{%"), at);
        if (at == SIZE_MAX)
            return fail_here(lexer, "a raw block that does not end");
        char sign = sign_at(lexer, at + 2);
        size_t end;
        if (!raw_begin(lexer, at + 2 + (sign != '\0'), "endraw", false, &end))
            continue;
        struct we_str data = strip_before_tag(lexer, we_str(lexer->text + start, at - start), sign, false);
        if (!add_data(lexer, start, data))
            return false;
        moved_to(lexer, end);
        return true;
    }
}

/* ---- inside tags ---- */

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static int byte_at(const struct lexer *lexer, size_t at)
{
    return at < lexer->length ? (unsigned char)lexer->text[at] : -1;
}

/* (digits _)* digits */
static size_t skip_digits(const struct lexer *lexer, size_t at)
{
    while (is_digit(byte_at(lexer, at)) ||
           (byte_at(lexer, at) == '_' && is_digit(byte_at(lexer, at + 1)) && at > 0 && is_digit(byte_at(lexer, at - 1))))
        at++;
    return at;
}

/* The end of a float at `at`, or `at`. */
static size_t float_end(const struct lexer *lexer, size_t at)
{
    if (at > 0 && lexer->text[at - 1] == '.')
        return at;
    size_t end = skip_digits(lexer, at);
    if (end == at)
        return at;
    bool fraction = byte_at(lexer, end) == '.' && is_digit(byte_at(lexer, end + 1));
    if (fraction)
        end = skip_digits(lexer, end + 1);
    size_t exponent = end;
    if ((byte_at(lexer, end) | 32) == 'e') {
        exponent++;
        if (byte_at(lexer, exponent) == '+' || byte_at(lexer, exponent) == '-')
            exponent++;
        if (is_digit(byte_at(lexer, exponent)))
            return skip_digits(lexer, exponent);
    }
    return fraction ? end : at;
}

static bool is_base_digit(int c, int base)
{
    int digit = is_digit(c) ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : 99;
    return digit < base;
}

static size_t integer_end(const struct lexer *lexer, size_t at)
{
    int first = byte_at(lexer, at), letter = byte_at(lexer, at + 1) | 32;
    int base = first != '0' ? 10 : letter == 'b' ? 2 : letter == 'o' ? 8 : letter == 'x' ? 16 : 0;
    if (!is_digit(first))
        return at;
    size_t end = at + (base == 2 || base == 8 || base == 16 ? 2 : 1);
    size_t digits = end;
    for (;;) {
        size_t next = end + (byte_at(lexer, end) == '_');
        if (!is_base_digit(byte_at(lexer, next), base == 0 ? 1 : base))
            break;
        end = next + 1;
    }
    return base != 10 && base != 0 && end == digits ? at + 1 : end; /* "0x" alone is a zero and a name */
}

/* The digits without underscores, terminated, in the arena. */
static char *plain_digits(struct lexer *lexer, size_t start, size_t end)
{
    char *copy = we_jread_alloc(lexer->reader, end - start + 1, 1);
    for (size_t i = start, n = 0; copy && i < end; i++)
        if (lexer->text[i] != '_')
            copy[n++] = lexer->text[i];
    return copy;
}

static bool lex_number(struct lexer *lexer)
{
    size_t start = lexer->at, end = float_end(lexer, start);
    bool is_float = end > start;
    if (!is_float)
        end = integer_end(lexer, start);
    char *digits = plain_digits(lexer, start, end);
    if (digits == NULL)
        return false;
    struct we_jvalue value;
    if (is_float) {
        value = we_jfloat(we_jparse_double(digits));
    } else {
        int64_t integer = 0;
        int known = we_jparse_int(we_str_c(digits), 0, &integer);
        if (known < 0 && (digits[0] == '0' || strlen(digits) > 4300))
            return fail_here(lexer, "an integer beyond 64 bits, which is not supported");
        value = we_jint(integer);
        if (known < 0)
            value = (struct we_jvalue){.kind = WE_J_BIG, .length = (uint32_t)strlen(digits), .text = digits};
    }
    if (!add_token(lexer, is_float ? WE_J_T_FLOAT : WE_J_T_INTEGER, start, value))
        return false;
    moved_to(lexer, end);
    return true;
}

static int hex_value(int c)
{
    return is_digit(c) ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* An escape of a string literal, Python's rules; `at` is behind the backslash. Returns the offset after it, 0 on failure. */
static size_t read_escape(struct lexer *lexer, size_t at, struct we_buf *out)
{
    static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
    int c = byte_at(lexer, at);
    if (c == '\n')
        return at + 1;
    const char *simple = c > 0 ? strchr(from, c) : NULL;
    if (simple) {
        we_buf_append_byte(out, to[simple - from]);
        return at + 1;
    }
    uint32_t code = 0;
    if (c >= '0' && c <= '7') {
        size_t end = at;
        while (end < at + 3 && byte_at(lexer, end) >= '0' && byte_at(lexer, end) <= '7')
            code = code * 8 + (uint32_t)(byte_at(lexer, end++) - '0');
        we_buf_append_utf8(out, code);
        return end;
    }
    size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    for (size_t i = 0; i < digits; i++) {
        int digit = hex_value(byte_at(lexer, at + 1 + i));
        if (digit < 0) {
            fail_here(lexer, "a truncated escape in a string");
            return 0;
        }
        code = code << 4 | (uint32_t)digit;
    }
    if (digits) {
        if (code > 0x10FFFF) {
            fail_here(lexer, "an escape in a string that is no Unicode character");
            return 0;
        }
        we_buf_append_utf8(out, code >= 0xD800 && code <= 0xDFFF ? 0xFFFD : code);
        return at + 1 + digits;
    }
    if (c == 'N') {
        move_mark(lexer, lexer->at);
        we_jread_unsupported(lexer->reader, lexer->line, lexer->column, "the escape \\N{...} in a string");
        return 0;
    }
    we_buf_append_byte(out, '\\'); /* unknown escapes stay */
    if (c < 0x80)
        return at;
    size_t size; /* a quirk of Jinja: it goes through escapes of its own, which the backslash then disarms */
    uint32_t wide = we_jchar_at(we_str(lexer->text, lexer->length), at, &size);
    we_buf_printf(out, wide < 0x100 ? "x%02x" : wide < 0x10000 ? "u%04x" : "U%08x", wide);
    return at + size;
}

static bool unescape(struct lexer *lexer, size_t start, size_t end, struct we_jvalue *value)
{
    struct we_buf buf = {0};
    for (size_t at = start; at < end;) {
        if (lexer->text[at] != '\\') {
            we_buf_append_byte(&buf, lexer->text[at++]);
            continue;
        }
        at = read_escape(lexer, at + 1, &buf);
        if (at == 0) {
            we_buf_free(&buf);
            return false;
        }
    }
    char *copy = buf.failed ? NULL : we_arena_copy(&lexer->reader->jinja->arena, we_buf_str(&buf));
    *value = we_jstring(we_str(copy ? copy : "", buf.length));
    we_buf_free(&buf);
    return copy != NULL || we_jread_memory(lexer->reader);
}

static bool lex_string(struct lexer *lexer)
{
    size_t start = lexer->at, end = start + 1;
    char quote = lexer->text[start];
    bool escapes = false;
    while (end < lexer->length && lexer->text[end] != quote) {
        if (lexer->text[end] == '\\') {
            escapes = true;
            end++;
        }
        end++;
    }
    if (end >= lexer->length)
        return fail_here(lexer, "a string that does not end");
    struct we_jvalue value = we_jstring(we_str(lexer->text + start + 1, end - start - 1));
    if (escapes && !unescape(lexer, start + 1, end, &value))
        return false;
    if (!add_token(lexer, WE_J_T_STRING, start, value))
        return false;
    moved_to(lexer, end + 1);
    return true;
}

static bool lex_name(struct lexer *lexer)
{
    size_t start = lexer->at, end = start;
    while (end < lexer->length) {
        size_t size;
        if (!we_jis_word(we_jchar_at(we_str(lexer->text, lexer->length), end, &size)))
            break;
        end += size;
    }
    if (!add_token(lexer, WE_J_T_NAME, start, we_jstring(we_str(lexer->text + start, end - start))))
        return false;
    moved_to(lexer, end);
    return true;
}

static bool lex_operator(struct lexer *lexer)
{
    static const struct {
        char text[3];
        uint8_t type;
    } operators[] = {
        {"//", WE_J_T_FLOORDIV}, {"**", WE_J_T_POW}, {"==", WE_J_T_EQ}, {"!=", WE_J_T_NE}, {">=", WE_J_T_GE},
        {"<=", WE_J_T_LE}, {"+", WE_J_T_ADD}, {"-", WE_J_T_SUB}, {"/", WE_J_T_DIV}, {"*", WE_J_T_MUL},
        {"%", WE_J_T_MOD}, {"~", WE_J_T_TILDE}, {"[", WE_J_T_LBRACKET}, {"]", WE_J_T_RBRACKET}, {"(", WE_J_T_LPAREN},
        {")", WE_J_T_RPAREN}, {"{", WE_J_T_LBRACE}, {"}", WE_J_T_RBRACE}, {">", WE_J_T_GT}, {"<", WE_J_T_LT},
        {"=", WE_J_T_ASSIGN}, {".", WE_J_T_DOT}, {":", WE_J_T_COLON}, {"|", WE_J_T_PIPE}, {",", WE_J_T_COMMA},
        {";", WE_J_T_SEMICOLON},
    };
    size_t i = 0, n = sizeof operators / sizeof operators[0];
    while (i < n && !looking_at(lexer, lexer->at, operators[i].text))
        i++;
    move_mark(lexer, lexer->at);
    if (i == n) {
        size_t size;
        we_jchar_at(we_str(lexer->text, lexer->length), lexer->at, &size);
        return we_jread_fail(lexer->reader, lexer->line, lexer->column, "unexpected character '%.*s'", (int)size,
                             lexer->text + lexer->at);
    }
    char c = operators[i].text[0];
    if (c == '{' || c == '(' || c == '[') {
        lexer->closers[lexer->num_closers++] = c == '{' ? '}' : c == '(' ? ')' : ']';
    } else if (c == '}' || c == ')' || c == ']') {
        if (lexer->num_closers == 0)
            return we_jread_fail(lexer->reader, lexer->line, lexer->column, "unexpected '%c'", c);
        char expected = lexer->closers[--lexer->num_closers];
        if (expected != c)
            return we_jread_fail(lexer->reader, lexer->line, lexer->column, "unexpected '%c', expected '%c'", c, expected);
    }
    if (!add_token(lexer, operators[i].type, lexer->at, we_jnone()))
        return false;
    moved_to(lexer, lexer->at + strlen(operators[i].text));
    return true;
}

/* The end of the tag if it stands here: the offset after it, or 0. */
static size_t tag_end(const struct lexer *lexer, bool block)
{
    if (lexer->num_closers)
        return 0; /* inside brackets these are operators */
    if (block)
        return block_end_at(lexer, lexer->at, "%}");
    bool strip = looking_at(lexer, lexer->at, "-}}");
    if (!strip && !looking_at(lexer, lexer->at, "}}"))
        return 0;
    return strip ? skip_space(lexer, lexer->at + 3) : lexer->at + 2;
}

/* From behind the beginning of a tag to behind its end. */
static bool lex_tag(struct lexer *lexer, bool block)
{
    for (;;) {
        size_t end = tag_end(lexer, block);
        if (end) {
            if (!add_token(lexer, block ? WE_J_T_BLOCK_END : WE_J_T_VARIABLE_END, lexer->at, we_jnone()))
                return false;
            moved_to(lexer, end);
            return true;
        }
        end = skip_space(lexer, lexer->at);
        if (end > lexer->at) {
            moved_to(lexer, end);
            continue;
        }
        if (lexer->at >= lexer->length)
            return true; /* the parser says what is missing */
        size_t size;
        uint32_t c = we_jchar_at(we_str(lexer->text, lexer->length), lexer->at, &size);
        bool fine = is_digit((int)c) ? lex_number(lexer) : c == '"' || c == '\'' ? lex_string(lexer)
                                                      : we_jis_word(c)          ? lex_name(lexer)
                                                                                : lex_operator(lexer);
        if (!fine)
            return false;
    }
}

/* Text up to the next tag, and the tag. */
static bool lex_piece(struct lexer *lexer)
{
    size_t start = lexer->at, at = start;
    for (;; at++) {
        at = we_str_find(we_str(lexer->text, lexer->length), we_str_c("{"), at);
        if (at == SIZE_MAX) { /* the rest is text */
            if (!add_data(lexer, start, rest(lexer, start)))
                return false;
            lexer->at = lexer->length;
            return true;
        }
        int c = byte_at(lexer, at + 1);
        if (c == '%' || c == '{' || c == '#')
            break;
    }
    char kind = lexer->text[at + 1], sign = sign_at(lexer, at + 2);
    struct we_str data = strip_before_tag(lexer, we_str(lexer->text + start, at - start), sign, kind == '{');
    if (!add_data(lexer, start, data))
        return false;
    size_t inside = at + 2 + (sign != '\0'), raw_end;
    lexer->at = at;
    if (kind == '%' && raw_begin(lexer, inside, "raw", true, &raw_end)) {
        moved_to(lexer, raw_end);
        return lex_raw(lexer);
    }
    if (kind == '#') {
        move_mark(lexer, at);
        lexer->at = inside;
        return lex_comment(lexer, inside);
    }
    if (!add_token(lexer, kind == '%' ? WE_J_T_BLOCK_BEGIN : WE_J_T_VARIABLE_BEGIN, at, we_jnone()))
        return false;
    moved_to(lexer, inside);
    return lex_tag(lexer, kind == '%');
}

/* A copy with \n for every kind of newline, and without one at the end. */
static bool normalize_newlines(struct we_jreader *reader, struct we_str source, struct lexer *lexer)
{
    char *copy = we_jread_alloc(reader, source.length + 1, 1);
    if (copy == NULL)
        return false;
    size_t n = 0;
    for (size_t i = 0; i < source.length; i++) {
        bool pair = source.data[i] == '\r' && i + 1 < source.length && source.data[i + 1] == '\n';
        copy[n++] = source.data[i] == '\r' ? '\n' : source.data[i];
        i += pair;
    }
    if (n && copy[n - 1] == '\n')
        n--;
    lexer->text = copy;
    lexer->length = n;
    return true;
}

bool we_jlex(struct we_jreader *reader, struct we_str source)
{
    struct lexer lexer = {.reader = reader, .line = 1, .column = 1, .line_starting = true};
    if (!normalize_newlines(reader, source, &lexer))
        return false;
    size_t valid = we_utf8_valid_prefix(we_str(lexer.text, lexer.length));
    if (valid < lexer.length) {
        lexer.at = valid;
        return fail_here(&lexer, "bytes that are no UTF-8");
    }
    lexer.closers = we_jread_alloc(reader, lexer.length + 1, 1);
    if (lexer.closers == NULL)
        return false;
    bool fine = true;
    while (fine && lexer.at < lexer.length)
        fine = lex_piece(&lexer);
    fine = fine && add_token(&lexer, WE_J_T_EOF, lexer.length, we_jnone());
    reader->tokens = lexer.tokens;
    reader->count = lexer.count;
    return fine;
}
