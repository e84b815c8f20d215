/* The questions that a tokenizer answers about its tokens, opening a directory, and real vocabularies where they are there. */
#include "support.h"

#include "text/unicode.h"

#include "base/fs.h"
#include "convert/convert.h"
#include "text/tokenizer_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void test_tokens(void **state)
{
    (void)state;
    static const char json[] =
        "{\"added_tokens\":[{\"content\":\"<s>\",\"special\":true},{\"content\":\"b\",\"special\":false},{\"content\":\"new\"},"
        "{\"content\":\"\",\"special\":true}],\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":7,\"a\":3},"
        "\"merges\":[]}}";
    struct we_error error;
    struct we_tokenizer *tokenizer;
    assert_int_equal(parse_exact(we_str_c(json), &tokenizer, &error), WE_OK);
    /* Three tokens (one stands there twice, and keeps its last id), so the new ones are 3 and 4, as the package counts. */
    assert_int_equal(we_tokenizer_vocab_size(tokenizer), 8);
    assert_int_equal(we_tokenizer_token_id(tokenizer, we_str_c("a")), 3);
    assert_int_equal(we_tokenizer_token_id(tokenizer, we_str_c("b")), 1);
    assert_int_equal(we_tokenizer_token_id(tokenizer, we_str_c("ab")), 7);
    assert_int_equal(we_tokenizer_token_id(tokenizer, we_str_c("<s>")), 3);
    assert_int_equal(we_tokenizer_token_id(tokenizer, we_str_c("new")), 4);
    assert_int_equal(we_tokenizer_token_id(tokenizer, we_str_c("")), UINT32_MAX);
    assert_int_equal(we_tokenizer_token_id(tokenizer, we_str_c("c")), UINT32_MAX);
    assert_true(we_str_equal_c(we_tokenizer_token(tokenizer, 3), "<s>"));
    assert_true(we_str_equal_c(we_tokenizer_token(tokenizer, 1), "b"));
    assert_int_equal(we_tokenizer_token(tokenizer, 0).length, 0);
    assert_int_equal(we_tokenizer_token(tokenizer, 2).length, 0);
    assert_int_equal(we_tokenizer_token(tokenizer, 8).length, 0);
    assert_int_equal(we_tokenizer_token(tokenizer, UINT32_MAX).length, 0);
    assert_true(we_tokenizer_is_special(tokenizer, 3));
    assert_false(we_tokenizer_is_special(tokenizer, 1));
    assert_false(we_tokenizer_is_special(tokenizer, 4));
    assert_false(we_tokenizer_is_special(tokenizer, 7));
    assert_false(we_tokenizer_is_special(tokenizer, UINT32_MAX));
    we_tokenizer_close(tokenizer);
}

static void test_open(void **state)
{
    (void)state;
    struct we_error error;
    struct we_tokenizer *tokenizer;
    struct we_arena arena = {0};
    char directory[] = "/tmp/we_tokenizer_XXXXXX";
    assert_non_null(mkdtemp(directory));
    assert_int_equal(we_tokenizer_open(directory, &tokenizer, &error), WE_NOT_FOUND);
    assert_null(tokenizer);
    assert_non_null(strstr(error.message, directory));
    char *path = we_path_join(&arena, directory, "tokenizer.json");
    struct we_buf json = golden_json(golden_case("llama-2"));
    assert_int_equal(we_file_write(path, we_buf_str(&json), &error), WE_OK);
    if (we_tokenizer_open(directory, &tokenizer, &error) != WE_OK)
        fail_msg("%s", error.message);
    assert_int_equal(we_tokenizer_token_id(tokenizer, we_str_c("<0x41>")), 3 + 0x41);
    we_tokenizer_close(tokenizer);
    assert_int_equal(we_file_write(path, we_str("", 0), &error), WE_OK); /* an empty file cannot be mapped */
    assert_int_equal(we_tokenizer_open(directory, &tokenizer, &error), WE_INVALID_FORMAT);
    assert_non_null(strstr(error.message, path));
    we_buf_free(&json);
    unlink(path);
    rmdir(directory);
    we_arena_free(&arena);
}

/* ---- real vocabularies ---- */

/* The tokenizer of a GGUF file, by way of the tokenizer.json that it becomes. */
static struct we_tokenizer *open_gguf(const char *path)
{
    struct we_error error;
    struct we_arena arena = {0};
    struct we_gguf *gguf = NULL;
    struct we_gguf_vocab vocab;
    struct we_buf json = {0};
    struct we_tokenizer *tokenizer = NULL;
    if (we_gguf_open(path, &gguf, &error) != WE_OK || we_gguf_vocab_read(gguf, path, &arena, &vocab, &error) != WE_OK ||
        we_gguf_write_tokenizer(gguf, &vocab, &json, &error) != WE_OK ||
        we_tokenizer_parse(we_buf_str(&json), path, &tokenizer, &error) != WE_OK)
        fail_msg("%s", error.message);
    we_buf_free(&json);
    we_gguf_close(gguf);
    we_arena_free(&arena);
    return tokenizer;
}

/* FILE.inp holds texts with a line between, FILE.out the ids of each in a line. Returns how many there are. */
static size_t check_vocabulary(const char *directory, const char *name)
{
    static const char between[] = "\n__ggml_vocab_test__\n";
    struct we_arena arena = {0};
    struct we_error error;
    struct we_buf texts = {0}, ids = {0};
    char path[1024];
    size_t count = 0, at = 0, line = 0;
    snprintf(path, sizeof path, "%s/%s.inp", directory, name);
    if (we_file_read(path, 0, &texts, &error) != WE_OK)
        fail_msg("%s", error.message);
    snprintf(path, sizeof path, "%s/%s.out", directory, name);
    if (we_file_read(path, 0, &ids, &error) != WE_OK)
        fail_msg("%s", error.message);
    snprintf(path, sizeof path, "%s/%s", directory, name);
    struct we_tokenizer *tokenizer = open_gguf(path);
    for (bool more = true; more; count++) {
        size_t end = we_str_find(we_buf_str(&texts), we_str_c(between), at);
        more = end != SIZE_MAX;
        struct we_str text = we_str(texts.data + at, (more ? end : texts.length) - at);
        struct we_ids found = {0};
        struct we_buf shown = {0};
        if (we_tokenizer_encode(tokenizer, text, false, &found, &error) != WE_OK)
            fail_msg("%s", error.message);
        for (size_t i = 0; i < found.count; i++)
            we_buf_printf(&shown, " %u", found.data[i]);
        size_t line_end = we_str_find(we_buf_str(&ids), we_str_c("\n"), line);
        assert_true(line <= ids.length);
        line_end = line_end == SIZE_MAX ? ids.length : line_end;
        struct we_str expected = we_str(ids.data + line, line_end - line);
        while (expected.length && expected.data[expected.length - 1] == ' ')
            expected.length--;
        if (!we_str_equal(we_buf_str(&shown), expected))
            fail_msg("%s: \"%.*s\"\n  found    %.*s\n  expected %.*s", name, WE_STR_ARG(text), WE_STR_ARG(we_buf_str(&shown)),
                     WE_STR_ARG(expected));
        line = line_end + 1;
        at = end + sizeof between - 1;
        we_buf_free(&shown);
        we_ids_free(&found);
    }
    we_tokenizer_close(tokenizer);
    we_buf_free(&texts);
    we_buf_free(&ids);
    we_arena_free(&arena);
    return count;
}

static void test_vocabularies(void **state)
{
    (void)state;
    const char *directory = getenv("WE_TEST_VOCABULARIES");
    struct we_arena arena = {0};
    struct we_error error;
    char **names;
    size_t count, found = 0, texts = 0;
    if (directory == NULL || !we_path_is_directory(directory)) {
        print_message(
            "skipped: WE_TEST_VOCABULARIES names no directory with llama.cpp's vocabularies (FILE.gguf, .inp, .out)\n");
        skip();
    }
    assert_int_equal(we_list_directory(directory, &arena, &names, &count, &error), WE_OK);
    for (size_t i = 0; i < count; i++) {
        if (!we_str_ends_with(we_str_c(names[i]), we_str_c(".gguf")))
            continue;
        texts += check_vocabulary(directory, names[i]);
        found++;
    }
    we_arena_free(&arena);
    print_message("%zu vocabularies, %zu texts\n", found, texts);
    assert_true(found > 0);
}

/* U+0000 is a control like its neighbours: nothing joins it, neither from before nor from behind. */
static void test_grapheme_of_nul(void **state)
{
    (void)state;
    assert_int_equal(we_unicode_grapheme_end(we_str("\xD8\x80\0", 3), 0), 2); /* U+0600 joins what follows */
    assert_int_equal(we_unicode_grapheme_end(we_str("\xD8\x80"
                                                    "a",
                                                    3),
                                             0),
                     3);
    assert_int_equal(we_unicode_grapheme_end(we_str("\0\xCC\x80", 3), 0), 1); /* U+0300 joins what precedes */
    assert_int_equal(we_unicode_grapheme_end(we_str("a\xCC\x80", 3), 0), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_grapheme_of_nul), cmocka_unit_test(test_tokens),
                                       cmocka_unit_test(test_open), cmocka_unit_test(test_vocabularies)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
