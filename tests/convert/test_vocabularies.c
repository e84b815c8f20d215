/* Vocabularies of GGUF files of each kind (compare_gguf_vocabularies.py): the tokenizer.json that they become gives the ids
 * of the tokenizers that they were taken from. Files with a wrong value, or none, are refused. */
#include "base/fs.h"
#include "base/json.h"
#include "convert/convert.h"
#include "text/tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

static we_status open_vocabulary(const char *name, struct we_str bytes, struct we_tokenizer **tokenizer, struct we_error *error)
{
    struct we_arena arena = {0};
    struct we_gguf *gguf = NULL;
    struct we_gguf_vocab vocab;
    struct we_buf json = {0};
    *tokenizer = NULL;
    we_status status = we_gguf_parse(bytes.data, bytes.length, name, &gguf, error);
    if (status == WE_OK)
        status = we_gguf_vocab_read(gguf, name, &arena, &vocab, error);
    if (status == WE_OK)
        status = we_gguf_write_tokenizer(gguf, &vocab, &json, error);
    if (status == WE_OK)
        status = we_tokenizer_parse(we_buf_str(&json), name, tokenizer, error);
    we_buf_free(&json);
    we_gguf_close(gguf);
    we_arena_free(&arena);
    return status;
}

static void read_file(struct we_str name, struct we_buf *bytes)
{
    struct we_error error;
    char path[1000];
    snprintf(path, sizeof path, TEST_DATA "/vocabularies/%.*s.gguf", (int)name.length, name.data);
    if (we_file_read(path, 0, bytes, &error) != WE_OK)
        fail_msg("%s", error.message);
}

static const struct we_json *goldens(struct we_arena *arena)
{
    struct we_error error;
    struct we_buf text = {0};
    struct we_json *tree = NULL;
    if (we_file_read(TEST_DATA "/vocabularies.json", 0, &text, &error) != WE_OK ||
        we_json_parse(we_buf_str(&text), "vocabularies.json", arena, &tree, &error) != WE_OK)
        fail_msg("%s", error.message);
    we_buf_free(&text);
    return tree;
}

static void check_ids(const char *name, const struct we_tokenizer *tokenizer, struct we_str text,
                      const struct we_json *expected)
{
    struct we_error error;
    struct we_ids ids = {0};
    if (we_tokenizer_encode(tokenizer, text, true, &ids, &error) != WE_OK)
        fail_msg("%s: %s", name, error.message);
    bool same = ids.count == expected->count;
    for (size_t i = 0; same && i < ids.count; i++)
        same = ids.data[i] == (uint32_t)expected->items[i].integer;
    if (!same)
        fail_msg("%s: other ids of \"%.*s\"", name, WE_STR_ARG(text));
    we_ids_free(&ids);
}

static void test_ids(void **state)
{
    (void)state;
    struct we_arena arena = {0};
    const struct we_json *tree = goldens(&arena), *texts = we_json_get(tree, "texts"), *ids = we_json_get(tree, "ids");
    assert_true(ids->count >= 6 && texts->count >= 20);
    for (size_t i = 0; i < ids->count; i++) {
        struct we_error error;
        struct we_tokenizer *tokenizer;
        struct we_buf bytes = {0};
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)ids->keys[i].length, ids->keys[i].data);
        read_file(ids->keys[i], &bytes);
        if (open_vocabulary(name, we_buf_str(&bytes), &tokenizer, &error) != WE_OK)
            fail_msg("%s", error.message);
        for (size_t k = 0; k < texts->count; k++)
            check_ids(name, tokenizer, texts->items[k].string, &ids->items[i].items[k]);
        we_tokenizer_close(tokenizer);
        we_buf_free(&bytes);
    }
    we_arena_free(&arena);
}

/* A key, or a value, by another name of the same length. */
static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *file, *from, *to;
        we_status status;
        const char *message;
    } cases[] = {
        {"t5", "tokenizer.ggml.scores", "tokenizer.ggml.scored", WE_INVALID_FORMAT, "tokenizer.ggml.scores is no array"},
        {"t5", "tokenizer.ggml.precompiled_charsmap", "tokenizer.ggml.precompiled_charsmat", WE_OK, ""},
        {"tekken", "tekken", "tekkon", WE_UNSUPPORTED, "the pre-tokenizer 'tekkon' is not known"},
        {"gemma4", "gemma4", "gemma5", WE_UNSUPPORTED, "of the kind 'gemma5' cannot be converted"},
        {"gemma4", "tokenizer.ggml.merges", "tokenizer.ggml.merged", WE_INVALID_FORMAT, "tokenizer.ggml.merges is no array"},
        {"bert", "tokenizer.ggml.tokens", "tokenizer.ggml.tokans", WE_INVALID_FORMAT, "tokenizer.ggml.tokens is no array"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct we_error error = {0};
        struct we_tokenizer *tokenizer;
        struct we_buf bytes = {0};
        read_file(we_str_c(cases[i].file), &bytes);
        size_t at = we_str_find(we_buf_str(&bytes), we_str_c(cases[i].from), 0);
        assert_true(at != SIZE_MAX);
        memcpy(bytes.data + at, cases[i].to, strlen(cases[i].to));
        we_status status = open_vocabulary(cases[i].file, we_buf_str(&bytes), &tokenizer, &error);
        if (status != cases[i].status || (status != WE_OK && strstr(error.message, cases[i].message) == NULL))
            fail_msg("%s: status %d, \"%s\"", cases[i].to, status, error.message);
        we_tokenizer_close(tokenizer);
        we_buf_free(&bytes);
    }
}

/* Every name in the table makes a tokenizer that loads. */
static void test_names(void **state)
{
    (void)state;
    static const char *const names[] = {
        "gpt-2",  "llama-bpe", "qwen2",      "qwen35",     "deepseek-v3", "deepseek-coder", "falcon",   "smollm", "mpt",
        "gpt-4o", "tekken",    "kimi-k2",    "bailingmoe", "seed-coder",  "bloom",          "viking",   "glm4",   "superbpe",
        "laguna", "tiny_aya",  "exaone-moe", "minicpm5",   "olmo",        "spark2_5",       "ufakzeka", "default"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct we_error error;
        struct we_tokenizer *tokenizer;
        struct we_ids ids = {0};
        struct we_buf json = {0};
        const struct we_gguf_pre_tokenizer *pre = we_gguf_pre_tokenizer_find(we_str_c(names[i]));
        assert_non_null(pre);
        we_buf_append_c(&json, "{");
        we_gguf_pre_tokenizer_write(pre, &json);
        we_buf_append_c(&json, "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"1\":1},\"merges\":[]}}");
        if (we_tokenizer_parse(we_buf_str(&json), names[i], &tokenizer, &error) != WE_OK ||
            we_tokenizer_encode(tokenizer, we_str_c("a1a don't A\n 11"), true, &ids, &error) != WE_OK)
            fail_msg("%s: %s", names[i], error.message);
        assert_true(ids.count >= 5);
        we_ids_free(&ids);
        we_tokenizer_close(tokenizer);
        we_buf_free(&json);
    }
    assert_null(we_gguf_pre_tokenizer_find(we_str_c("gpt-2 ")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ids), cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
