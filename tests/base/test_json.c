/* The JSON reader against Python's on json_goldens.txt (or the file that is the first argument), its messages and limits, the
 * pull reader, and what is written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/json.h"

#include "failing_memory.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>

static const char *goldens_path = TEST_DATA "/json_goldens.txt";

/* ---- the goldens ---- */

static int digit(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

static void from_hex(struct we_str hex, struct we_buf *out)
{
    we_buf_clear(out);
    for (size_t i = 0; i + 1 < hex.length; i += 2)
        we_buf_append_byte(out, (char)(digit(hex.data[i]) << 4 | digit(hex.data[i + 1])));
}

static void append_hex(struct we_buf *out, struct we_str text)
{
    for (size_t i = 0; i < text.length; i++)
        we_buf_printf(out, "%02x", (unsigned char)text.data[i]);
}

static void append_form(struct we_buf *out, const struct we_json *value)
{
    uint64_t bits;
    switch (value->kind) {
    case WE_JSON_NULL:
        we_buf_append_byte(out, 'n');
        return;
    case WE_JSON_BOOL:
        we_buf_append_byte(out, value->boolean ? 't' : 'f');
        return;
    case WE_JSON_NUMBER:
        memcpy(&bits, &value->number, 8);
        if (value->is_integer)
            we_buf_printf(out, "i%lld", (long long)value->integer);
        else if (isnan(value->number))
            we_buf_append_c(out, "dnan");
        else
            we_buf_printf(out, "d%016llx", (unsigned long long)bits);
        return;
    case WE_JSON_STRING:
        we_buf_append_byte(out, 's');
        append_hex(out, value->string);
        return;
    case WE_JSON_ARRAY:
    case WE_JSON_OBJECT:
        we_buf_append_byte(out, value->kind == WE_JSON_ARRAY ? '[' : '{');
        for (size_t i = 0; i < value->count; i++) {
            we_buf_append_c(out, i ? " " : "");
            if (value->kind == WE_JSON_OBJECT) {
                we_buf_append_byte(out, 's');
                append_hex(out, value->keys[i]);
                we_buf_append_byte(out, '=');
            }
            append_form(out, &value->items[i]);
        }
        we_buf_append_byte(out, value->kind == WE_JSON_ARRAY ? ']' : '}');
        return;
    case WE_JSON_END:
        break;
    }
    fail_msg("a value of no kind");
}

/* One document: the tree against the expected form, and skipping it must find the same fault or none. */
static void check_document(size_t line, struct we_str document, struct we_str expected)
{
    struct we_arena arena = {0};
    struct we_buf form = {0};
    struct we_error error = {0};
    struct we_json *tree;
    struct we_json_reader reader;
    /* On the heap without a byte to spare, so that AddressSanitizer sees a read behind the end. */
    char *copy = malloc(document.length ? document.length : 1);
    assert_non_null(copy);
    memcpy(copy, document.data, document.length);
    document.data = copy;
    we_status status = we_json_parse(document, NULL, &arena, &tree, &error);
    if (status == WE_OK)
        append_form(&form, tree);
    else
        we_buf_append_c(&form, "error");
    assert_false(form.failed);
    if (!we_str_equal(we_buf_str(&form), expected))
        fail_msg("line %zu: '%.*s' gives %s, where %.*s was expected (%s)", line, WE_STR_ARG(document), form.data,
                 WE_STR_ARG(expected), status == WE_OK ? "" : error.message);
    struct we_error skip_error = {0};
    we_json_reader_init(&reader, document, NULL, &skip_error);
    we_json_skip(&reader);
    if (we_json_finish(&reader) != status || (status != WE_OK && strcmp(error.message, skip_error.message) != 0))
        fail_msg("line %zu: '%.*s': skipping gives status %d (%s), the tree %d (%s)", line, WE_STR_ARG(document), reader.status,
                 skip_error.message, status, error.message);
    if (status != WE_OK && (status != WE_INVALID_FORMAT || strncmp(error.message, "line ", 5) != 0))
        fail_msg("line %zu: status %d: %s", line, status, error.message);
    we_json_reader_free(&reader);
    we_buf_free(&form);
    we_arena_free(&arena);
    free(copy);
}

static void test_goldens(void **state)
{
    (void)state;
    struct we_buf text = {0}, document = {0};
    struct we_error error;
    if (we_file_read(goldens_path, 0, &text, &error) != WE_OK)
        fail_msg("%s", error.message);
    size_t line = 0, at = 0;
    for (; at < text.length; line++) {
        size_t end = we_str_find(we_buf_str(&text), we_str_c("\n"), at),
               space = we_str_find(we_buf_str(&text), we_str_c(" "), at);
        assert_true(space < end && end < text.length);
        from_hex(we_str(text.data + at, space - at), &document);
        check_document(line + 1, we_str(document.data ? document.data : "", document.length),
                       we_str(text.data + space + 1, end - space - 1));
        at = end + 1;
    }
    assert_true(line >= 400);
    we_buf_free(&text);
    we_buf_free(&document);
}

/* Numbers do not depend on the locale of the program. */
static void test_locale(void **state)
{
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE"};
    bool set = false;
    for (size_t i = 0; i < sizeof names / sizeof *names && !set; i++)
        set = setlocale(LC_NUMERIC, names[i]) != NULL;
    if (set)
        test_goldens(state);
    setlocale(LC_NUMERIC, "C");
    if (!set)
        skip();
}

/* ---- messages ---- */

static void test_positions(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "f.json: line 1, column 1: a value was expected, not the end of the text"},
        {"{\n  \"a\": tru\n}", "f.json: line 2, column 8: 'true' was expected"},
        {"[1,\n2\n3]", "f.json: line 3, column 1: ',' or ']' was expected"},
        {"{\"a\":1 \"b\"}", "f.json: line 1, column 8: ',' or '}' was expected"},
        {"{\"a\" 1}", "f.json: line 1, column 6: ':' was expected after a key"},
        {"{1:2}", "f.json: line 1, column 2: a string was expected, not a number"},
        {"[\"\xC3\xA4\xE2\x82\xAC\", x]", "f.json: line 1, column 8: a value was expected, not 'x'"},
        {"[\"\xC3\xA4\", \"b\xFF\"]", "f.json: line 1, column 9: the byte 0xFF, which is not valid UTF-8 here"},
        {"\xEF\xBB\xBF[x]", "f.json: line 1, column 2: a value was expected, not 'x'"},
        {"[\x01]", "f.json: line 1, column 2: a value was expected, not the byte 0x01"},
        {"[\"a\\q\"]", "f.json: line 1, column 4: a malformed escape in a string"},
        {"\"a\tb\"", "f.json: line 1, column 3: the control character 0x09 in a string, where an escape belongs"},
        {"\"abc", "f.json: line 1, column 5: a string that does not end"},
        {"[1] 2", "f.json: line 1, column 5: text after the end of the JSON value"},
        {"[01]", "f.json: line 1, column 4: a malformed number"},
        {"[1.]", "f.json: line 1, column 4: a malformed number"},
        {"-NaN", "f.json: line 1, column 2: a malformed number"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct we_arena arena = {0};
        struct we_error error = {0};
        struct we_json *tree;
        assert_int_equal(we_json_parse(we_str_c(cases[i].text), "f.json", &arena, &tree, &error), WE_INVALID_FORMAT);
        assert_string_equal(error.message, cases[i].message);
        we_arena_free(&arena);
    }
}

static void test_depth(void **state)
{
    (void)state;
    for (int object = 0; object < 2; object++)
        for (int depth = WE_JSON_MAX_DEPTH; depth <= WE_JSON_MAX_DEPTH + 1; depth++) {
            struct we_buf text = {0};
            for (int i = 0; i < depth; i++)
                we_buf_append_c(&text, object ? "{\"a\":" : "[");
            we_buf_append_c(&text, "1");
            for (int i = 0; i < depth; i++)
                we_buf_append_byte(&text, object ? '}' : ']');
            struct we_arena arena = {0};
            struct we_json *tree;
            struct we_json_reader reader;
            struct we_error error = {0};
            we_status expected = depth <= WE_JSON_MAX_DEPTH ? WE_OK : WE_INVALID_FORMAT;
            assert_int_equal(we_json_parse(we_buf_str(&text), NULL, &arena, &tree, &error), expected);
            we_json_reader_init(&reader, we_buf_str(&text), NULL, &error);
            assert_int_equal(we_json_skip(&reader), expected == WE_OK);
            assert_int_equal(we_json_finish(&reader), expected);
            if (expected != WE_OK)
                assert_non_null(strstr(error.message, "more than 256 values inside each other"));
            we_json_reader_free(&reader);
            we_arena_free(&arena);
            we_buf_free(&text);
        }
}

/* ---- the pull reader ---- */

static void test_pull(void **state)
{
    (void)state;
    const char *text =
        " {\"u32\": 4294967295, \"u64\": 18446744073709551615, \"d\": [0.5, -0, NaN], \"t\": true, \"z\": null,\n"
        "\"s\": \"a\\n\\u0000b\", \"plain\": \"xyz\", \"n\": -1.50e3, \"skip\": [{\"a\": []}, \"\\u00e9\"], \"e\": {}}";
    struct we_error error = {0};
    struct we_json_reader r;
    struct we_str key, value;
    uint32_t u32;
    uint64_t u64;
    double d;
    bool flag = false;
    we_json_reader_init(&r, we_str_c(text), "t", &error);
    assert_int_equal(we_json_peek(&r), WE_JSON_OBJECT);
    assert_true(we_json_enter_object(&r));
    assert_true(we_json_next_key(&r, &key) && we_str_equal_c(key, "u32") && we_json_peek(&r) == WE_JSON_NUMBER);
    assert_true(we_json_read_u32(&r, &u32) && u32 == UINT32_MAX);
    assert_true(we_json_next_key(&r, &key) && we_str_equal_c(key, "u64"));
    assert_true(we_json_read_u64(&r, &u64) && u64 == UINT64_MAX);
    assert_true(we_json_next_key(&r, &key) && we_str_equal_c(key, "d") && we_json_enter_array(&r));
    assert_true(we_json_next_element(&r) && we_json_read_double(&r, &d) && d == 0.5);
    assert_true(we_json_next_element(&r) && we_json_read_double(&r, &d) && d == 0 && signbit(d));
    assert_true(we_json_next_element(&r) && we_json_read_double(&r, &d) && isnan(d));
    assert_false(we_json_next_element(&r));
    assert_true(we_json_next_key(&r, &key) && we_json_peek(&r) == WE_JSON_BOOL && we_json_read_bool(&r, &flag) && flag);
    assert_true(we_json_next_key(&r, &key) && we_json_peek(&r) == WE_JSON_NULL && we_json_read_null(&r));
    assert_true(we_json_next_key(&r, &key) && we_json_read_string(&r, &value) && we_str_equal(value, we_str("a\n\0b", 4)));
    assert_true(we_json_next_key(&r, &key) && we_json_read_string(&r, &value) && we_str_equal_c(value, "xyz"));
    assert_true(value.data > text && value.data < text + strlen(text)); /* nothing was copied */
    assert_true(we_json_next_key(&r, &key) && we_json_read_number_text(&r, &value) && we_str_equal_c(value, "-1.50e3"));
    assert_true(we_json_next_key(&r, &key) && we_str_equal_c(key, "skip") && we_json_skip(&r));
    assert_true(we_json_next_key(&r, &key) && we_str_equal_c(key, "e") && we_json_enter_object(&r));
    assert_false(we_json_next_key(&r, &key));
    assert_false(we_json_next_key(&r, &key));
    assert_int_equal(we_json_peek(&r), WE_JSON_END);
    assert_int_equal(we_json_finish(&r), WE_OK);
    we_json_reader_free(&r);
}

static void test_wrong_kinds(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
        int call;
    } cases[] = {
        {"4294967296", "a number below 2^32 was expected, not 4294967296", 0},
        {"-1", "a non-negative integer below 2^64 was expected, not -1", 0},
        {"1.0", "a non-negative integer below 2^64 was expected, not 1.0", 0},
        {"\"1\"", "a number was expected, not a string", 0},
        {"18446744073709551616", "a non-negative integer below 2^64 was expected, not 18446744073709551616", 1},
        {"NaN", "a non-negative integer below 2^64 was expected, not NaN", 1},
        {"[]", "a number was expected, not an array", 2},
        {"1", "a string was expected, not a number", 3},
        {"null", "a boolean was expected, not null", 4},
        {"false", "null was expected, not a boolean", 5},
        {"{}", "an array was expected, not an object", 6},
        {"", "an object was expected, not the end", 7},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct we_error error = {0};
        struct we_json_reader r;
        struct we_str text;
        uint32_t u32;
        uint64_t u64;
        double d;
        bool flag;
        we_json_reader_init(&r, we_str_c(cases[i].text), NULL, &error);
        bool results[] = {
            cases[i].call == 0 && we_json_read_u32(&r, &u32),   cases[i].call == 1 && we_json_read_u64(&r, &u64),
            cases[i].call == 2 && we_json_read_double(&r, &d),  cases[i].call == 3 && we_json_read_string(&r, &text),
            cases[i].call == 4 && we_json_read_bool(&r, &flag), cases[i].call == 5 && we_json_read_null(&r),
            cases[i].call == 6 && we_json_enter_array(&r),      cases[i].call == 7 && we_json_enter_object(&r)};
        for (size_t c = 0; c < sizeof results / sizeof *results; c++)
            assert_false(results[c]);
        char expected[160];
        snprintf(expected, sizeof expected, "line 1, column 1: %s", cases[i].message);
        assert_string_equal(error.message, expected);
        /* The first error stays, whatever is called then. */
        assert_int_equal(we_json_peek(&r), WE_JSON_END);
        assert_false(we_json_skip(&r) || we_json_read_u32(&r, &u32) || we_json_next_element(&r) || we_json_read_null(&r));
        assert_int_equal(we_json_fail(&r, "another one"), WE_INVALID_FORMAT);
        assert_int_equal(we_json_finish(&r), WE_INVALID_FORMAT);
        assert_string_equal(error.message, expected);
        we_json_reader_free(&r);
    }
}

static void test_get(void **state)
{
    (void)state;
    struct we_arena arena = {0};
    struct we_json *tree;
    assert_int_equal(we_json_parse(we_str_c("{\"a\": 1, \"b\": [2], \"a\": 3}"), NULL, &arena, &tree, NULL), WE_OK);
    assert_int_equal(tree->count, 2);
    assert_int_equal(we_json_get(tree, "a")->integer, 3);
    assert_null(we_json_get(tree, "c"));
    assert_null(we_json_get(we_json_get(tree, "b"), "a"));
    assert_null(we_json_get(NULL, "a"));
    we_arena_free(&arena);
}

/* Half a million keys, each of them twice: no time that grows with the square of their number. */
static void test_many_keys(void **state)
{
    (void)state;
    enum { KEYS = 250000 };
    struct we_buf text = {0};
    we_buf_append_byte(&text, '{');
    for (int i = 0; i < 2 * KEYS; i++)
        we_buf_printf(&text, "%s\"key %d\": %d", i ? "," : "", i % KEYS, i);
    we_buf_append_byte(&text, '}');
    struct we_arena arena = {0};
    struct we_json *tree;
    assert_int_equal(we_json_parse(we_buf_str(&text), NULL, &arena, &tree, NULL), WE_OK);
    assert_int_equal(tree->count, KEYS);
    for (int i = 0; i < KEYS; i += 997)
        assert_int_equal(tree->items[i].integer, KEYS + i);
    we_arena_free(&arena);
    we_buf_free(&text);
}

/* ---- memory ---- */

static const char *const memory_text =
    "{\"a\": [1, \"x\\ty\", 0.1234567890123456789012345678901234567890123456789012345678901234567890123, {\"b\": null}],"
    "\"k00\":0,\"k01\":0,\"k02\":0,\"k03\":0,\"k04\":0,\"k05\":0,\"k06\":0,\"k07\":0,\"k08\":0,\"k09\":0,\"k10\":0,\"k11\":0,"
    "\"k12\":0,\"k13\":0,\"k14\":0,\"k15\":0,\"k16\":0,\"k17\":0,\"k18\":0,\"k19\":0,\"k20\":0,\"k21\":0,\"k22\":0,\"k23\":0,"
    "\"k24\":0,\"k25\":0,\"k26\":0,\"k27\":0,\"k28\":0,\"k29\":0,\"k30\":0,\"k31\":0,\"k32\":0,\"k33\":0,\"k34\":0,\"k35\":7}";

static bool parse_once(void)
{
    struct we_arena arena = {0};
    struct we_json *tree;
    struct we_error error = {0};
    we_status status = we_json_parse(we_str_c(memory_text), NULL, &arena, &tree, &error);
    if (status == WE_OK && we_json_get(tree, "k35")->integer != 7)
        fail_msg("a wrong tree");
    if (status != WE_OK && (status != WE_OUT_OF_MEMORY || error.status != status || error.message[0] == '\0'))
        fail_msg("status %d (%d): %s", status, error.status, error.message);
    we_arena_free(&arena);
    return status == WE_OK;
}

static bool pull_once(void)
{
    struct we_json_reader r;
    struct we_error error = {0};
    double d = 0;
    struct we_str text;
    we_json_reader_init(&r, we_str_c("[0.1234567890123456789012345678901234567890123456789012345678901234567890123, \"\\n\"]"),
                        NULL, &error);
    bool ok = we_json_enter_array(&r) && we_json_next_element(&r) && we_json_read_double(&r, &d) && we_json_next_element(&r) &&
              we_json_read_string(&r, &text) && !we_json_next_element(&r);
    we_status status = we_json_finish(&r);
    if (ok != (status == WE_OK) || (ok && (d != 0.12345678901234567890 || text.length != 1)) ||
        (!ok && (status != WE_OUT_OF_MEMORY || error.status != status)))
        fail_msg("%d, status %d, %g: %s", ok, status, d, error.message);
    we_json_reader_free(&r);
    return ok;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    assert_true(survive_failures(parse_once) >= 10);
    assert_true(survive_failures(pull_once) >= 2);
    struct we_arena arena = {.limit = 100};
    struct we_json *tree;
    struct we_error error;
    assert_int_equal(we_json_parse(we_str_c(memory_text), NULL, &arena, &tree, &error), WE_OUT_OF_MEMORY);
    we_arena_free(&arena);
}

/* ---- writing ---- */

static void test_write_string(void **state)
{
    (void)state;
    static const struct {
        struct we_str text;
        const char *plain, *ascii;
    } cases[] = {
        {{"", 0}, "\"\"", "\"\""},
        {{"abc /", 5}, "\"abc /\"", "\"abc /\""},
        {{"\"\\\b\f\n\r\t", 7}, "\"\\\"\\\\\\b\\f\\n\\r\\t\"", "\"\\\"\\\\\\b\\f\\n\\r\\t\""},
        {{"\0\x01\x1F\x7F", 4}, "\"\\u0000\\u0001\\u001f\x7F\"", "\"\\u0000\\u0001\\u001f\x7F\""},
        {{"12345678h\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80 end", 22},
         "\"12345678h\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80 end\"",
         "\"12345678h\\u00e4\\u20ac\\ud83d\\ude00 end\""},
        {{"a\xFF\xC3(\xE2\x82", 6},
         "\"a\xEF\xBF\xBD\xEF\xBF\xBD(\xEF\xBF\xBD\xEF\xBF\xBD\"",
         "\"a\\ufffd\\ufffd(\\ufffd\\ufffd\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int ascii = 0; ascii < 2; ascii++) {
            struct we_buf out = {0};
            assert_true(we_json_write_string(&out, cases[i].text, ascii));
            assert_string_equal(out.data, ascii ? cases[i].ascii : cases[i].plain);
            we_buf_free(&out);
        }
    struct we_buf small = {.limit = 4};
    assert_false(we_json_write_string(&small, we_str_c("abcd"), false));
    we_buf_free(&small);
}

/* Every byte and every boundary of the encoding, there and back. */
static void test_round_trip(void **state)
{
    (void)state;
    static const uint32_t points[] = {0, 0x1F, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFD, 0xFFFF, 0x10000, 0x10FFFF};
    struct we_buf text = {0};
    for (uint32_t c = 0; c < 128; c++)
        we_buf_append_byte(&text, (char)c);
    for (size_t i = 0; i < sizeof points / sizeof *points; i++)
        we_buf_append_utf8(&text, points[i]);
    for (int ascii = 0; ascii < 2; ascii++) {
        struct we_buf out = {0};
        struct we_json_reader r;
        struct we_str back;
        we_json_write_string(&out, we_buf_str(&text), ascii);
        we_json_reader_init(&r, we_buf_str(&out), NULL, NULL);
        assert_true(we_json_read_string(&r, &back));
        assert_int_equal(we_json_finish(&r), WE_OK);
        assert_true(we_str_equal(back, we_buf_str(&text)));
        we_json_reader_free(&r);
        we_buf_free(&out);
    }
    we_buf_free(&text);
}

static void test_write_double(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0, "0"},          {-0.0, "-0"},       {1, "1"},      {0.1, "0.1"},       {1.0 / 3, "0.3333333333333333"},
                 {1e300, "1e+300"}, {5e-324, "5e-324"}, {NAN, "null"}, {INFINITY, "null"}, {-INFINITY, "null"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct we_buf out = {0};
        assert_true(we_json_write_double(&out, cases[i].value));
        assert_string_equal(out.data, cases[i].text);
        we_buf_free(&out);
    }
    uint64_t bits = 88172645463325252u;
    for (int i = 0; i < 20000; i++) {
        bits ^= bits << 13, bits ^= bits >> 7, bits ^= bits << 17;
        double value, back;
        memcpy(&value, &bits, 8);
        if (!isfinite(value))
            continue;
        struct we_buf out = {0};
        struct we_json_reader r;
        assert_true(we_json_write_double(&out, value));
        we_json_reader_init(&r, we_buf_str(&out), NULL, NULL);
        assert_true(we_json_read_double(&r, &back));
        assert_memory_equal(&value, &back, 8);
        we_buf_free(&out);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1)
        goldens_path = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goldens),      cmocka_unit_test(test_locale),     cmocka_unit_test(test_positions),
        cmocka_unit_test(test_depth),        cmocka_unit_test(test_pull),       cmocka_unit_test(test_wrong_kinds),
        cmocka_unit_test(test_get),          cmocka_unit_test(test_many_keys),  cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_write_string), cmocka_unit_test(test_round_trip), cmocka_unit_test(test_write_double),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
