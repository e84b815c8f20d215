/* Tokenizers of every kind and option against what the `tokenizers` package makes of the same texts and ids
 * (make_goldens.py), at once and as a stream. */
#include "support.h"

#include <stdlib.h>

static size_t wrong;

static void show(const char *what, const struct we_json *golden, struct we_str of, struct we_str found, struct we_str expected)
{
    if (wrong++ < 20)
        print_error("%.*s: %s of \"%.*s\"\n  found    %.*s\n  expected %.*s\n", WE_STR_ARG(we_json_get(golden, "name")->string),
                    what, WE_STR_ARG(of), WE_STR_ARG(found), WE_STR_ARG(expected));
}

static void print_ids(struct we_buf *out, const struct we_ids *ids)
{
    for (size_t i = 0; i < ids->count; i++)
        we_buf_printf(out, "%s%u", i ? " " : "", ids->data[i]);
}

static void check_ids(const char *what, const struct we_json *golden, struct we_str text, const struct we_ids *found,
                      const struct we_ids *expected)
{
    if (found->count == expected->count &&
        (found->count == 0 || memcmp(found->data, expected->data, found->count * sizeof *found->data) == 0))
        return;
    struct we_buf a = {0}, b = {0};
    print_ids(&a, found);
    print_ids(&b, expected);
    show(what, golden, text, we_buf_str(&a), we_buf_str(&b));
    we_buf_free(&a);
    we_buf_free(&b);
}

static void check_text(const char *what, const struct we_json *golden, const struct we_ids *ids, struct we_str found,
                       struct we_str expected)
{
    if (we_str_equal(found, expected))
        return;
    struct we_buf of = {0};
    print_ids(&of, ids);
    show(what, golden, we_buf_str(&of), found, expected);
    we_buf_free(&of);
}

/* ---- encoding ---- */

/* Ids are appended: what was in the list stays. */
static void check_encoding(const struct we_tokenizer *tokenizer, const struct we_json *golden, struct we_str text, bool special,
                           const struct we_ids *expected)
{
    struct we_error error;
    struct we_ids ids = {0};
    char *exact = malloc(text.length ? text.length : 1);
    assert_non_null(exact);
    if (text.length)
        memcpy(exact, text.data, text.length);
    for (int turn = 0; turn < 2; turn++)
        if (we_tokenizer_encode(tokenizer, we_str(exact, text.length), special, &ids, &error) != WE_OK)
            fail_msg("%s", error.message);
    assert_int_equal(ids.count % 2, 0);
    for (int turn = 0; turn < 2; turn++) {
        struct we_ids half = {ids.data + (turn ? ids.count / 2 : 0), ids.count / 2, 0};
        check_ids(special ? "ids with special tokens" : "ids", golden, text, &half, expected);
    }
    free(exact);
    we_ids_free(&ids);
}

/* ---- decoding ---- */

static void decode(const struct we_tokenizer *tokenizer, const uint32_t *ids, size_t count, bool skip, struct we_buf *text)
{
    struct we_error error;
    we_buf_clear(text);
    we_buf_append_c(text, "#"); /* what is there stays */
    if (we_tokenizer_decode(tokenizer, ids, count, skip, text, &error) != WE_OK)
        fail_msg("%s", error.message);
    assert_int_equal(text->data[0], '#');
}

/* The stream of the first `count` ids: each piece is whole characters, and together they are what decoding gives. */
static void stream(const struct we_tokenizer *tokenizer, const uint32_t *ids, size_t count, bool skip, struct we_buf *text)
{
    struct we_error error;
    struct we_detokenizer *detokenizer;
    struct we_str piece;
    we_buf_clear(text);
    assert_int_equal(we_detokenizer_new(tokenizer, skip, &detokenizer, &error), WE_OK);
    for (size_t i = 0; i <= count; i++) {
        we_status status = i < count ? we_detokenizer_add(detokenizer, ids[i], &piece, &error)
                                     : we_detokenizer_finish(detokenizer, &piece, &error);
        if (status != WE_OK)
            fail_msg("%s", error.message);
        if (we_utf8_valid_prefix(piece) != piece.length)
            fail_msg("half a character after %zu of %zu tokens", i + 1, count);
        we_buf_append(text, piece);
    }
    we_detokenizer_free(detokenizer);
}

/* Decoding at once, and as a stream that ends after each of the ids. */
static void check_decoding(const struct we_tokenizer *tokenizer, const struct we_json *golden, const struct we_ids *ids,
                           bool skip, struct we_str expected)
{
    struct we_buf whole = {0}, streamed = {0};
    decode(tokenizer, ids->data, ids->count, skip, &whole);
    check_text(skip ? "text without special tokens" : "text", golden, ids, we_str(whole.data + 1, whole.length - 1), expected);
    for (size_t count = ids->count > 40 ? ids->count - 40 : 0; count <= ids->count; count++) {
        decode(tokenizer, ids->data, count, skip, &whole);
        stream(tokenizer, ids->data, count, skip, &streamed);
        struct we_ids part = {ids->data, count, 0};
        check_text("stream", golden, &part, we_buf_str(&streamed), we_str(whole.data + 1, whole.length - 1));
    }
    we_buf_free(&whole);
    we_buf_free(&streamed);
}

/* "decoded" and "skipped" of a case; where there is no "decoded" it is `text`. */
static void check_both(const struct we_tokenizer *tokenizer, const struct we_json *golden, const struct we_json *one,
                       const struct we_ids *ids, struct we_str text)
{
    const struct we_json *decoded = we_json_get(one, "decoded"), *skipped = we_json_get(one, "skipped");
    if (decoded)
        text = decoded->string;
    check_decoding(tokenizer, golden, ids, false, text);
    check_decoding(tokenizer, golden, ids, true, skipped ? skipped->string : text);
}

/* ---- the cases ---- */

static void check_case(const struct we_json *golden, size_t *encoded, size_t *decoded)
{
    struct we_tokenizer *tokenizer = golden_tokenizer(golden);
    struct we_ids ids = {0};
    struct we_buf text = {0}, repaired = {0};
    const struct we_json *list = we_json_get(golden, "encode");
    for (size_t i = 0; i < list->count; i++, ++*encoded) {
        const struct we_json *one = &list->items[i], *special = we_json_get(one, "special");
        we_buf_clear(&text);
        golden_text(we_json_get(one, "text"), &text);
        golden_ids(we_json_get(one, "ids"), &ids);
        check_encoding(tokenizer, golden, we_buf_str(&text), false, &ids);
        if (special)
            golden_ids(special, &ids);
        check_encoding(tokenizer, golden, we_buf_str(&text), true, &ids);
        if (we_json_get(one, "text")->kind == WE_JSON_STRING || we_json_get(one, "decoded")) {
            check_both(tokenizer, golden, one, &ids, we_buf_str(&text));
            ++*decoded;
        }
    }
    list = we_json_get(golden, "decode");
    for (size_t i = 0; i < list->count; i++, ++*decoded) {
        golden_ids(we_json_get(&list->items[i], "ids"), &ids);
        check_both(tokenizer, golden, &list->items[i], &ids, we_str("", 0));
    }
    we_buf_free(&text);
    we_buf_free(&repaired);
    we_ids_free(&ids);
    we_tokenizer_close(tokenizer);
}

static void test_goldens(void **state)
{
    (void)state;
    size_t encoded = 0, decoded = 0;
    const struct we_json *cases = golden_cases();
    for (size_t i = 0; i < cases->count; i++)
        check_case(&cases->items[i], &encoded, &decoded);
    print_message("%zu tokenizers, %zu texts, %zu lists of ids\n", cases->count, encoded, decoded);
    assert_true(encoded > 800 && decoded > 800);
    assert_int_equal(wrong, 0);
}

/* The stream gives what it can as soon as it can: it does not simply wait for the end. */
static void test_no_delay(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
        size_t most; /* tokens whose text may be held back */
    } cases[] = {
        {"gpt-2", "Hello world, hello there", 0},   {"smollm2", "Hello 12345 world", 0},
        {"llama-2", "Hello world, hello there", 0}, {"mistral", "Hello world, hello there", 0},
        {"gpt-2", "\xF0\x9F\x98\x80!", 3},          {"llama-2", "\xF0\x9F\x98\x80!", 4},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        struct we_error error;
        struct we_tokenizer *tokenizer = golden_tokenizer(golden_case(cases[k].name));
        struct we_ids ids = {0};
        struct we_detokenizer *detokenizer;
        struct we_str piece;
        size_t silent = 0;
        assert_int_equal(we_tokenizer_encode(tokenizer, we_str_c(cases[k].text), false, &ids, &error), WE_OK);
        assert_true(ids.count > 4);
        assert_int_equal(we_detokenizer_new(tokenizer, true, &detokenizer, &error), WE_OK);
        for (size_t i = 0; i < ids.count; i++) {
            assert_int_equal(we_detokenizer_add(detokenizer, ids.data[i], &piece, &error), WE_OK);
            /* SentencePiece's first token may be the mark alone, which decoding takes away. */
            silent +=
                piece.length == 0 && !(i == 0 && we_str_equal_c(we_tokenizer_token(tokenizer, ids.data[0]), "\xE2\x96\x81"));
        }
        if (silent > cases[k].most)
            fail_msg("%s: \"%s\": %zu tokens gave nothing at once", cases[k].name, cases[k].text, silent);
        assert_int_equal(we_detokenizer_finish(detokenizer, &piece, &error), WE_OK);
        assert_int_equal(piece.length, 0);
        we_detokenizer_free(detokenizer);
        we_ids_free(&ids);
        we_tokenizer_close(tokenizer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_goldens), cmocka_unit_test(test_no_delay)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
