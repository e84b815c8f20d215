/* Strings, UTF-8, buffers, arenas and error messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

#include "failing_memory.h"

#include <errno.h>
#include <stdio.h>

#define S(literal) we_str(literal, sizeof literal - 1)

/* ---- strings ---- */

static void test_compare(void **state)
{
    (void)state;
    static const struct {
        struct we_str a, b;
        int order;
    } cases[] = {
        {{"", 0}, {"", 0}, 0},    {{NULL, 0}, {"", 0}, 0},        {{"a", 1}, {"", 0}, 1},
        {{"a", 1}, {"b", 1}, -1}, {{"a\0b", 3}, {"a\0c", 3}, -1}, {{"a\0b", 3}, {"a\0b", 3}, 0},
        {{"ab", 2}, {"a", 1}, 1}, {{"\xFF", 1}, {"a", 1}, 1},     {{"ab", 2}, {"b", 1}, -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(we_str_compare(cases[i].a, cases[i].b), cases[i].order);
        assert_int_equal(we_str_compare(cases[i].b, cases[i].a), -cases[i].order);
        assert_int_equal(we_str_equal(cases[i].a, cases[i].b), cases[i].order == 0);
        assert_int_equal(we_str_hash(cases[i].a, 7) == we_str_hash(cases[i].b, 7), cases[i].order == 0);
    }
    assert_true(we_str_equal_c(S("abc"), "abc") && !we_str_equal_c(S("abc"), "ab"));
    assert_int_equal(we_str_c(NULL).length, 0);
    assert_true(we_str_starts_with(S("abc"), S("ab")) && we_str_starts_with(S("abc"), S("")) &&
                !we_str_starts_with(S("a"), S("ab")));
    assert_true(we_str_ends_with(S("abc"), S("bc")) && we_str_ends_with(S("abc"), S("")) && !we_str_ends_with(S("c"), S("bc")));
    assert_false(we_str_starts_with(S("abc"), S("b")) || we_str_ends_with(S("abc"), S("b")));
}

static void test_find(void **state)
{
    (void)state;
    static const struct {
        const char *text, *needle;
        size_t from, found;
    } cases[] = {
        {"hello", "l", 0, 2},
        {"hello", "l", 3, 3},
        {"hello", "l", 4, SIZE_MAX},
        {"hello", "lo", 0, 3},
        {"hello", "", 2, 2},
        {"hello", "", 5, 5},
        {"hello", "", 6, SIZE_MAX},
        {"hello", "hello!", 0, SIZE_MAX},
        {"hello", "hello", 0, 0},
        {"hello", "hello", 1, SIZE_MAX},
        {"", "", 0, 0},
        {"", "a", 0, SIZE_MAX},
        {"aaab", "aab", 0, 1},
        {"ababac", "abac", 0, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(we_str_find(we_str_c(cases[i].text), we_str_c(cases[i].needle), cases[i].from), cases[i].found);
    assert_int_equal(we_str_find(S("a\0b\0c"), S("\0c"), 0), 3);
}

/* The hash may not change: files of caches may hold it. Different texts and seeds give different ones. */
static void test_hash(void **state)
{
    (void)state;
    char text[64] = {0};
    uint64_t seen[65 * 2];
    size_t count = 0;
    for (size_t length = 0; length <= 64; length++)
        for (uint64_t seed = 0; seed < 2; seed++)
            seen[count++] = we_str_hash(we_str(text, length), seed);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            assert_true(seen[i] != seen[j]);
    /* A seed that nobody knows: no block of 8 bytes stands for all others. */
    char blocks[32] = {0};
    for (size_t at = 0; at < 24; at += 8) {
        static const uint64_t constants[] = {0xD6E8FEB86659FD93u, 0x9E3779B97F4A7C15u};
        for (int c = 0; c < 2; c++) {
            memset(blocks, 0, sizeof blocks);
            for (int i = 0; i < 8; i++)
                blocks[at + (size_t)i] = (char)(constants[c] >> 8 * i);
            uint64_t before = we_str_hash(we_str(blocks, 32), 12345);
            blocks[at >= 8 ? 0 : 8] ^= 1;
            assert_true(we_str_hash(we_str(blocks, 32), 12345) != before);
        }
    }
    /* Every bit of every byte matters. */
    for (size_t bit = 0; bit < 37 * 8; bit++) {
        uint64_t before = we_str_hash(we_str(text, 37), 0);
        text[bit / 8] ^= (char)(1 << bit % 8);
        assert_true(we_str_hash(we_str(text, 37), 0) != before);
        text[bit / 8] ^= (char)(1 << bit % 8);
    }
    assert_true(we_str_hash(S("whisper"), 0) == 0x1c016ddc304ccc5du);
}

static void test_distance(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        size_t edits;
    } cases[] = {
        {"", "", 0},         {"abc", "", 3},           {"abc", "abc", 0},
        {"abc", "ABC", 0},   {"abc", "abd", 1},        {"abc", "acb", 1},
        {"abc", "ab", 1},    {"abc", "xabc", 1},       {"kitten", "sitting", 3},
        {"ca", "abc", 3},    {"4bit", "4bit-4bit", 5}, {"abcdef", "badcfe", 3},
        {"flaw", "lawn", 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(we_str_distance(we_str_c(cases[i].a), we_str_c(cases[i].b)), cases[i].edits);
        assert_int_equal(we_str_distance(we_str_c(cases[i].b), we_str_c(cases[i].a)), cases[i].edits);
    }
    char longest[256];
    memset(longest, 'a', sizeof longest);
    assert_int_equal(we_str_distance(we_str(longest, 255), we_str(longest, 254)), 1);
    assert_int_equal(we_str_distance(we_str(longest, 256), we_str(longest, 1)), SIZE_MAX);
    assert_int_equal(we_str_distance(we_str(longest, 1), we_str(longest, 256)), SIZE_MAX);
}

static void test_bytes_text(void **state)
{
    (void)state;
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {
        {0, "0 B"},
        {1, "1 B"},
        {999, "999 B"},
        {1000, "1.00 kB"},
        {12345, "12.3 kB"},
        {999499, "999 kB"},
        {999500, "1.00 MB"},
        {93400000, "93.4 MB"},
        {1250000000, "1.25 GB"},
        {34359738368, "34.4 GB"},
        {9994999999, "9.99 GB"},
        {9995000000, "10.0 GB"},
        {99949999999, "99.9 GB"},
        {99950000000, "100 GB"},
        {UINT64_MAX, "18.4 EB"},
    };
    char text[24];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(we_bytes_text(cases[i].bytes, text), cases[i].text);
}

/* ---- UTF-8 ---- */

/* Every code point, there and back; surrogates may not be read. */
static void test_utf8_all(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 0x10FFFF; c++) {
        char bytes[4];
        size_t n = we_utf8_encode(c, bytes);
        uint32_t back = UINT32_MAX;
        size_t read = we_utf8_decode(we_str(bytes, n), &back);
        bool surrogate = c >= 0xD800 && c <= 0xDFFF;
        if (n != (c < 0x80      ? 1u
                  : c < 0x800   ? 2u
                  : c < 0x10000 ? 3u
                                : 4u) ||
            read != (surrogate ? 0 : n) || (!surrogate && back != c))
            fail_msg("U+%04X: %zu bytes, read %zu: U+%04X", c, n, read, back);
        for (size_t cut = 1; cut < n; cut++) {
            if (we_utf8_decode(we_str(bytes, cut), &back) != 0)
                fail_msg("U+%04X is read from %zu bytes", c, cut);
            if (we_utf8_incomplete_suffix(we_str(bytes, cut)) != (surrogate && cut == 2 ? 0 : cut))
                fail_msg("U+%04X: %zu bytes are not seen as the beginning of one", c, cut);
        }
        if (we_utf8_incomplete_suffix(we_str(bytes, n)) != 0 && !surrogate)
            fail_msg("U+%04X is seen as incomplete", c);
    }
}

static void test_utf8_invalid(void **state)
{
    (void)state;
    static const struct {
        struct we_str text;
        size_t valid, incomplete;
    } cases[] = {
        {{"", 0}, 0, 0},
        {{"abc", 3}, 3, 0},
        {{"a\x80", 2}, 1, 0},
        {{"\xC0\x80", 2}, 0, 0},
        {{"\xC1\xBF", 2}, 0, 0},
        {{"\xE0\x80\x80", 3}, 0, 0},
        {{"\xE0\x9F", 2}, 0, 0},
        {{"\xED\xA0\x80", 3}, 0, 0},
        {{"\xED\xA0", 2}, 0, 0},
        {{"\xF0\x80\x80\x80", 4}, 0, 0},
        {{"\xF0\x8F", 2}, 0, 0},
        {{"\xF4\x90\x80\x80", 4}, 0, 0},
        {{"\xF4\x90", 2}, 0, 0},
        {{"\xF5\x80", 2}, 0, 0},
        {{"\xFF", 1}, 0, 0},
        {{"\xFE\xFF", 2}, 0, 0},
        {{"a\xC3", 2}, 1, 1},
        {{"a\xE2\x82", 3}, 1, 2},
        {{"a\xF0\x9F\x98", 4}, 1, 3},
        {{"\x80\x80\x80\x80", 4}, 0, 0},
        {{"\xC3\xA4\xC3", 3}, 2, 1},
        {{"\xC3(", 2}, 0, 0},
        {{"\xF0\x9F(", 3}, 0, 0},
        {{"x\xF8\x80\x80", 4}, 1, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(we_utf8_valid_prefix(cases[i].text), cases[i].valid);
        assert_int_equal(we_utf8_incomplete_suffix(cases[i].text), cases[i].incomplete);
    }
}

/* ---- buffers ---- */

static void test_buf(void **state)
{
    (void)state;
    struct we_buf buf = {0};
    assert_true(we_str_equal_c(we_buf_str(&buf), ""));
    we_buf_clear(&buf);
    assert_true(we_buf_append(&buf, S("a\0b")) && we_buf_append_c(&buf, "cd") && we_buf_append_byte(&buf, 'e') &&
                we_buf_append_utf8(&buf, 0x20AC) && we_buf_printf(&buf, "%d-%s", 42, "x") &&
                we_buf_append(&buf, we_str(NULL, 0)));
    assert_true(we_str_equal(we_buf_str(&buf), S("a\0bcde\xE2\x82\xAC"
                                                 "42-x")));
    assert_int_equal(buf.data[buf.length], '\0');
    we_buf_clear(&buf);
    assert_true(buf.length == 0 && buf.data[0] == '\0');
    for (int i = 0; i < 100000; i++)
        assert_true(we_buf_append_byte(&buf, (char)i));
    for (int i = 0; i < 100000; i++)
        assert_true(buf.data[i] == (char)i);
    char *taken = we_buf_take(&buf);
    assert_true(buf.data == NULL && buf.length == 0 && buf.capacity == 0);
    free(taken);
    taken = we_buf_take(&buf); /* of an empty one: an empty string */
    assert_string_equal(taken, "");
    free(taken);
    we_buf_free(&buf);
}

static void test_buf_limit(void **state)
{
    (void)state;
    struct we_buf buf = {.limit = 5};
    assert_true(we_buf_append_c(&buf, "abcde"));
    assert_true(we_buf_append_c(&buf, ""));
    assert_false(we_buf_append_c(&buf, "f"));
    assert_true(buf.failed && we_str_equal_c(we_buf_str(&buf), "abcde"));
    /* What failed stays failed, even if it would fit now. */
    we_buf_clear(&buf);
    assert_false(we_buf_append_c(&buf, "x") || we_buf_append_utf8(&buf, 'x') || we_buf_printf(&buf, "x") ||
                 we_buf_reserve(&buf, 0));
    assert_null(we_buf_take(&buf));
    assert_true(!buf.failed && buf.limit == 5 && buf.data == NULL); /* taken: empty, and as new */
    assert_false(we_buf_printf(&buf, "%s", "abcdef"));
    we_buf_free(&buf);
    assert_true(!buf.failed && buf.limit == 5);
    assert_false(we_buf_reserve(&buf, SIZE_MAX));
    we_buf_free(&buf);
    struct we_buf huge = {0};
    assert_false(we_buf_reserve(&huge, SIZE_MAX - 1));
    we_buf_free(&huge);
}

static bool fill_buf(void)
{
    struct we_buf buf = {0};
    for (int i = 0; i < 1000; i++)
        we_buf_printf(&buf, "%d ", i);
    bool ok = !buf.failed;
    char *text = we_buf_take(&buf);
    if ((text != NULL) != ok)
        fail_msg("failed: %d, but the text is %s", !ok, text ? "there" : "gone");
    if (text)
        assert_true(strlen(text) == 3890 && we_str_ends_with(we_str_c(text), S("7 998 999 ")));
    free(text);
    return ok;
}

static void test_buf_memory(void **state)
{
    (void)state;
    assert_true(survive_failures(fill_buf) >= 8);
}

/* ---- arenas ---- */

static void test_arena(void **state)
{
    (void)state;
    struct we_arena arena = {0};
    unsigned char *blocks[2000];
    size_t sizes[2000];
    for (size_t i = 0; i < 2000; i++) {
        sizes[i] = i % 7 == 6 ? 20000 + i : i % 100;
        blocks[i] = we_arena_alloc(&arena, sizes[i]);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
        for (size_t b = 0; b < sizes[i]; b++)
            assert_int_equal(blocks[i][b], 0);
        memset(blocks[i], (int)(i & 0xFF), sizes[i]);
    }
    for (size_t i = 0; i < 2000; i++) /* no two overlap */
        for (size_t b = 0; b < sizes[i]; b++)
            assert_int_equal(blocks[i][b], i & 0xFF);
    assert_true(we_arena_alloc(&arena, 0) != we_arena_alloc(&arena, 0));
    char *copy = we_arena_copy(&arena, S("a\0b"));
    assert_memory_equal(copy, "a\0b", 4);
    assert_string_equal(we_arena_copy(&arena, we_str(NULL, 0)), "");
    assert_null(we_arena_array(&arena, SIZE_MAX / 2, 3));
    assert_null(we_arena_alloc(&arena, SIZE_MAX));
    assert_null(we_arena_alloc(&arena, SIZE_MAX / 2 + 1));
    assert_null(we_arena_copy(&arena, we_str("x", SIZE_MAX)));
    assert_non_null(we_arena_array(&arena, 0, 8));
    we_arena_free(&arena);
    assert_int_equal(arena.used, 0);
    assert_non_null(we_arena_alloc(&arena, 10)); /* it can be used again */
    we_arena_free(&arena);
    we_arena_free(&arena);
}

static void test_arena_limit(void **state)
{
    (void)state;
    struct we_arena arena = {.limit = 1000};
    size_t count = 0;
    while (we_arena_alloc(&arena, 10))
        count++;
    assert_int_equal(count, 1000 / 16);
    assert_true(arena.used <= arena.limit);
    assert_null(we_arena_alloc(&arena, 1001));
    we_arena_free(&arena);
    assert_null(we_arena_alloc(&arena, 1001));
    assert_non_null(we_arena_alloc(&arena, 990));
    we_arena_free(&arena);
}

static bool fill_arena(void)
{
    struct we_arena arena = {0};
    bool ok = true;
    for (int i = 0; i < 20 && ok; i++)
        ok = we_arena_alloc(&arena, (size_t)i * 7000) != NULL;
    we_arena_free(&arena);
    return ok;
}

static void test_arena_memory(void **state)
{
    (void)state;
    assert_true(survive_failures(fill_arena) >= 15);
}

/* ---- errors ---- */

static void test_error(void **state)
{
    (void)state;
    struct we_error error = {0};
    assert_int_equal(we_error_set(&error, WE_NOT_FOUND, "no %s in %d places", "model", 3), WE_NOT_FOUND);
    assert_int_equal(error.status, WE_NOT_FOUND);
    assert_string_equal(error.message, "no model in 3 places");
    assert_int_equal(we_error_prefix(&error, "file %s", "a.json"), WE_NOT_FOUND);
    assert_string_equal(error.message, "file a.json: no model in 3 places");
    assert_int_equal(we_error_errno(&error, WE_IO_ERROR, ENOSPC, "%s", "/x"), WE_IO_ERROR);
    assert_string_equal(error.message, "/x: No space left on device");
    assert_int_equal(we_error_memory(&error, "a test"), WE_OUT_OF_MEMORY);
    assert_string_equal(error.message, "out of memory for a test");
    /* Nobody may want to know. */
    assert_int_equal(we_error_set(NULL, WE_IO_ERROR, "x"), WE_IO_ERROR);
    assert_int_equal(we_error_errno(NULL, WE_IO_ERROR, ENOENT, "x"), WE_IO_ERROR);
    assert_int_equal(we_error_memory(NULL, "x"), WE_OUT_OF_MEMORY);
    assert_true(we_error_prefix(NULL, "x") != WE_OK);
}

/* Messages are cut between characters, at whatever byte the room ends. */
static void test_long_error(void **state)
{
    (void)state;
    struct we_error error;
    for (size_t lead = 0; lead < 8; lead++)
        for (int kind = 0; kind < 3; kind++) {
            static const char *const characters[] = {"\xC3\xA4", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};
            struct we_buf text = {0};
            for (size_t i = 0; i < lead; i++)
                we_buf_append_byte(&text, 'a');
            while (text.length < 2 * sizeof error.message)
                we_buf_append_c(&text, characters[kind]);
            we_error_set(&error, WE_IO_ERROR, "%s", text.data);
            size_t length = strlen(error.message);
            assert_true(length < sizeof error.message && length >= sizeof error.message - 4);
            assert_int_equal(we_utf8_valid_prefix(we_str_c(error.message)), length);
            we_error_set(&error, WE_IO_ERROR, "the end");
            we_error_prefix(&error, "%s", text.data);
            assert_int_equal(we_utf8_valid_prefix(we_str_c(error.message)), strlen(error.message));
            we_error_set(&error, WE_IO_ERROR, "%.*s", (int)(sizeof error.message - 20), text.data);
            we_error_prefix(&error, "a prefix that pushes the end out");
            assert_int_equal(we_utf8_valid_prefix(we_str_c(error.message)), strlen(error.message));
            we_error_errno(&error, WE_IO_ERROR, ENOENT, "%s", text.data);
            assert_int_equal(we_utf8_valid_prefix(we_str_c(error.message)), strlen(error.message));
            we_buf_free(&text);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compare),      cmocka_unit_test(test_find),       cmocka_unit_test(test_hash),
        cmocka_unit_test(test_distance),     cmocka_unit_test(test_bytes_text), cmocka_unit_test(test_utf8_all),
        cmocka_unit_test(test_utf8_invalid), cmocka_unit_test(test_buf),        cmocka_unit_test(test_buf_limit),
        cmocka_unit_test(test_buf_memory),   cmocka_unit_test(test_arena),      cmocka_unit_test(test_arena_limit),
        cmocka_unit_test(test_arena_memory), cmocka_unit_test(test_error),      cmocka_unit_test(test_long_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
