/* The compiled form of a tokenizer gives what the tokenizer gives; a broken, foreign or hostile one is refused or does no harm;
 * and the cache that keeps it. */
#include "support.h"

#include "base/cache.h"
#include "base/fs.h"
#include "text/compiled.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* The compiled form of a golden tokenizer, in a block of its exact size, as the cache reads it. */
static void *compile(const struct we_json *golden, size_t *size, struct we_content_hash *hash, struct we_tokenizer **tokenizer)
{
    struct we_buf json = golden_json(golden), rest = {0}, out = {0};
    struct we_arena arena = {0};
    struct we_error error;
    struct we_json *tree;
    *hash = we_content_hash(we_buf_str(&json));
    *tokenizer = golden_tokenizer(golden);
    assert_int_equal(we_json_parse(we_buf_str(&json), "golden", &arena, &tree, &error), WE_OK);
    /* A tokenizer.json whose model is another one is a good rest: it is not looked at. */
    assert_true(we_compiled_write(&(*tokenizer)->model, we_buf_str(&json), hash, &out));
    *size = out.length;
    void *block = malloc(*size);
    assert_non_null(block);
    memcpy(block, out.data, *size);
    we_buf_free(&json);
    we_buf_free(&rest);
    we_buf_free(&out);
    we_arena_free(&arena);
    return block;
}

static void check_same(const struct we_tokenizer *a, const struct we_tokenizer *b, const struct we_json *golden)
{
    struct we_error error;
    struct we_buf text = {0}, decoded[2] = {{0}, {0}};
    const struct we_json *list = we_json_get(golden, "encode");
    assert_int_equal(we_tokenizer_vocab_size(a), we_tokenizer_vocab_size(b));
    for (size_t i = 0; i < list->count; i++) {
        struct we_ids ids[2] = {{0}, {0}};
        we_buf_clear(&text);
        golden_text(we_json_get(&list->items[i], "text"), &text);
        we_buf_clear(&decoded[0]);
        we_buf_clear(&decoded[1]);
        for (int k = 0; k < 2; k++) {
            assert_int_equal(we_tokenizer_encode(k ? b : a, we_buf_str(&text), true, &ids[k], &error), WE_OK);
            assert_int_equal(we_tokenizer_decode(k ? b : a, ids[0].data, ids[0].count, false, &decoded[k], &error), WE_OK);
        }
        assert_int_equal(ids[0].count, ids[1].count);
        if (ids[0].count)
            assert_memory_equal(ids[0].data, ids[1].data, ids[0].count * sizeof *ids[0].data);
        assert_true(we_str_equal(we_buf_str(&decoded[0]), we_buf_str(&decoded[1])));
        we_ids_free(&ids[0]);
        we_ids_free(&ids[1]);
    }
    we_buf_free(&text);
    we_buf_free(&decoded[0]);
    we_buf_free(&decoded[1]);
}

static void test_same(void **state)
{
    (void)state;
    const struct we_json *cases = golden_cases();
    for (size_t i = 0; i < cases->count; i++) {
        struct we_content_hash hash;
        struct we_tokenizer *parsed;
        size_t size;
        void *block = compile(&cases->items[i], &size, &hash, &parsed);
        struct we_tokenizer *compiled = we_tokenizer_from_compiled(block, size, &hash, "compiled");
        if (compiled == NULL)
            fail_msg("%.*s: refused", WE_STR_ARG(we_json_get(&cases->items[i], "name")->string));
        check_same(parsed, compiled, &cases->items[i]);
        we_tokenizer_close(compiled);
        we_tokenizer_close(parsed);
    }
}

static void *copy_of(const void *block, size_t size)
{
    void *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, block, size);
    return copy;
}

/* What is cut short, of another content or version, or has a wrong byte anywhere, is refused. */
static void test_refused(void **state)
{
    (void)state;
    struct we_content_hash hash, other;
    struct we_tokenizer *tokenizer;
    size_t size;
    char *block = compile(golden_case("t5"), &size, &hash, &tokenizer);
    we_tokenizer_close(tokenizer);
    for (size_t n = 0; n < size; n += n < 600 ? 1 : 997)
        assert_null(we_tokenizer_from_compiled(copy_of(block, n), n, &hash, "x"));
    for (size_t i = 0; i < size; i += i < 600 ? 1 : 211) {
        char *changed = copy_of(block, size);
        changed[i] ^= 0x10;
        if (we_tokenizer_from_compiled(changed, size, &hash, "x"))
            fail_msg("a wrong byte %zu is not seen", i);
    }
    other = hash;
    other.words[1]++;
    assert_null(we_tokenizer_from_compiled(copy_of(block, size), size, &other, "x"));
    other = hash;
    other.size++;
    assert_null(we_tokenizer_from_compiled(copy_of(block, size), size, &other, "x"));
    free(block);
}

/* With a checksum that is right, numbers that are wrong do no harm: the sanitizers watch. */
static void test_hostile(void **state)
{
    (void)state;
    static const char *const names[] = {"t5", "bert", "clip", "mistral", "gpt-2", "model WordLevel"};
    static const uint32_t values[] = {0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0xFFFF, 0x80808080};
    size_t loaded = 0, tried = 0;
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
        struct we_content_hash hash;
        struct we_tokenizer *tokenizer;
        size_t size;
        char *block = compile(golden_case(names[k]), &size, &hash, &tokenizer);
        we_tokenizer_close(tokenizer);
        for (size_t i = 0; i + 4 <= size; i += i < 600 ? 4 : 4 * (41 + i % 7), tried++) {
            char *changed = copy_of(block, size);
            memcpy(changed + i, &values[(i / 4 + i / 600) % 6], 4);
            we_compiled_seal(changed, size);
            tokenizer = we_tokenizer_from_compiled(changed, size, &hash, "x");
            if (tokenizer) {
                struct we_error error;
                struct we_ids ids = {0};
                struct we_buf text = {0};
                loaded++;
                if (we_tokenizer_encode(tokenizer, we_str_c("Hello, the there \xE4\xBD\xA0 <s> 12 \xC3\xA9 unaffable"), true,
                                        &ids, &error) == WE_OK)
                    we_tokenizer_decode(tokenizer, ids.data, ids.count, false, &text, &error);
                we_ids_free(&ids);
                we_buf_free(&text);
            }
            we_tokenizer_close(tokenizer);
        }
        free(block);
    }
    print_message("%zu of %zu with a wrong number load\n", loaded, tried);
    assert_true(loaded > 100 && loaded < tried);
}

/* ---- the cache ---- */

static char folder[] = "/tmp/we_compiled_XXXXXX";

static void in_folder(char out[1000], const char *name)
{
    snprintf(out, 1000, "%s/%s", folder, name);
}

/* A tokenizer.json that is large enough to be kept; `first`: its first token. */
static void write_large(const char *first)
{
    struct we_error error;
    struct we_buf json = {0};
    char path[1000];
    in_folder(path, "model/tokenizer.json");
    we_buf_printf(&json, "{\"added_tokens\":[{\"content\":\"<s>\",\"special\":true}],\"model\":{\"type\":\"WordLevel\","
                         "\"unk_token\":\"?\",\"vocab\":{\"?\":0,\"%s\":1", first);
    for (unsigned i = 2; json.length < (1 << 20) + 10; i++)
        we_buf_printf(&json, ",\"token-number-%u-of-many-more-than-these\":%u", i, i);
    we_buf_append_c(&json, "}}}");
    assert_int_equal(we_file_write(path, we_buf_str(&json), &error), WE_OK);
    we_buf_free(&json);
}

static struct we_str first_token(char out[32])
{
    struct we_error error;
    struct we_tokenizer *tokenizer;
    char path[1000];
    in_folder(path, "model");
    if (we_tokenizer_open(path, &tokenizer, &error) != WE_OK)
        fail_msg("%s", error.message);
    struct we_str token = we_tokenizer_token(tokenizer, 1);
    assert_true(token.length < 32);
    memcpy(out, token.data, token.length);
    assert_true(we_tokenizer_is_special(tokenizer, we_tokenizer_token_id(tokenizer, we_str_c("<s>"))));
    we_tokenizer_close(tokenizer);
    return we_str(out, token.length);
}

static void expect_first(const char *expected)
{
    char text[32];
    struct we_str found = first_token(text);
    if (!we_str_equal_c(found, expected))
        fail_msg("the first token is \"%.*s\", where \"%s\" was expected", WE_STR_ARG(found), expected);
}

static size_t cached(struct we_arena *arena, char ***names)
{
    char path[1000];
    size_t count = 0;
    in_folder(path, "cache/whisperengine");
    we_list_directory(path, arena, names, &count, NULL);
    return count;
}

/* Puts another first token of the same length into the one file of the cache: who gives it has read that file. */
static void mark_cache(const char *from, const char *to, mode_t mode, bool seal)
{
    struct we_arena arena = {0};
    struct we_error error;
    struct we_buf data = {0};
    char **names, path[1000], name[500];
    assert_int_equal(cached(&arena, &names), 1);
    snprintf(name, sizeof name, "cache/whisperengine/%.200s", names[0]);
    in_folder(path, name);
    assert_int_equal(we_file_read(path, 0, &data, &error), WE_OK);
    size_t at = we_str_find(we_buf_str(&data), we_str_c(from), 0);
    assert_true(at != SIZE_MAX);
    memcpy(data.data + at, to, strlen(to));
    if (seal)
        we_compiled_seal(data.data, data.length);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(we_file_write(path, we_buf_str(&data), &error), WE_OK);
    assert_int_equal(chmod(path, mode), 0);
    we_buf_free(&data);
    we_arena_free(&arena);
}

static void test_cache(void **state)
{
    (void)state;
    struct we_arena arena = {0};
    char path[1000], **names;
    assert_non_null(mkdtemp(folder));
    in_folder(path, "cache");
    assert_int_equal(setenv("XDG_CACHE_HOME", path, 1), 0);
    in_folder(path, "model");
    assert_int_equal(mkdir(path, 0700), 0);

    write_large("one");
    expect_first("one");
    assert_int_equal(cached(&arena, &names), 1);
    expect_first("one");
    mark_cache("one", "eno", 0600, true);
    expect_first("eno"); /* so it is read */
    mark_cache("eno", "two", 0620, true);
    expect_first("one"); /* others could have written it; it is replaced */
    mark_cache("one", "two", 0600, false);
    expect_first("one"); /* the checksum is wrong; it is replaced */
    mark_cache("one", "eno", 0600, true);
    expect_first("eno");
    write_large("new");
    expect_first("new"); /* of other content */
    assert_int_equal(cached(&arena, &names), 2);

    for (int i = 0; i < 20; i++) { /* no more than 16 are kept, and of other kinds all */
        char token[16];
        snprintf(token, sizeof token, "n%d", i);
        write_large(token);
        expect_first(token);
    }
    assert_int_equal(cached(&arena, &names), 16);
    we_cache_write("other-1", we_str_c("x"), 2);
    we_cache_write("other-2", we_str_c("x"), 2);
    we_cache_write("other-3", we_str_c("x"), 2);
    assert_int_equal(cached(&arena, &names), 18);
    for (size_t i = 0; i < 18; i++) {
        char name[600];
        snprintf(name, sizeof name, "cache/whisperengine/%.200s", names[i]);
        in_folder(path, name);
        assert_int_equal(unlink(path), 0);
    }

    /* Where it cannot be written, or is no folder, all works without. */
    in_folder(path, "cache/whisperengine");
    assert_int_equal(rmdir(path), 0);
    we_error_set(NULL, WE_OK, " ");
    assert_int_equal(we_file_write(path, we_str_c("a file"), NULL), WE_OK);
    expect_first("n19");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("nowhere/at/all", path), 0);
    expect_first("n19");
    assert_int_equal(unlink(path), 0);
    in_folder(path, "cache");
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(setenv("XDG_CACHE_HOME", "/dev/null", 1), 0);
    expect_first("n19");
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    expect_first("n19");
    in_folder(path, "model/tokenizer.json");
    unlink(path);
    in_folder(path, "model");
    rmdir(path);
    assert_int_equal(rmdir(folder), 0);
    we_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same), cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_hostile), cmocka_unit_test(test_cache)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
