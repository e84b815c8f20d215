/* Every allocation fails once: reading a tokenizer, encoding, decoding, a stream, a regular expression. What is expected is
 * WE_OUT_OF_MEMORY, or success where memory only makes something faster; never a crash, and (under AddressSanitizer) never
 * a leak. Where PCRE2 is linked statically, its allocations fail as well. */
#include "support.h"

#include "failing_memory.h"
#include "text/compiled.h"
#include "text/regex.h"
#include "text/tokenizer_parts.h"

static struct we_buf json;
static const char text[] =
    "the <s>there <a>, ab 12345 caf\xC3\xA9 cafe\xCC\x81 \xE4\xBD\xA0\xE5\xA5\xBD \xF0\x9F\x98\x80 \xFF\xE4\xBD the the"
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/* True if there was no error; any other than missing memory fails the test. */
static bool passed(we_status status, const struct we_error *error)
{
    if (status == WE_OK)
        return true;
    memory_countdown = -1;
    if (status != WE_OUT_OF_MEMORY || error->status != status || error->message[0] == '\0')
        fail_msg("status %d (%d): %s", status, error->status, error->message);
    memory_countdown = -1;
    return false;
}

static bool use_stream(const struct we_tokenizer *tokenizer, const struct we_ids *ids)
{
    struct we_error error = {0};
    struct we_detokenizer *detokenizer;
    struct we_str piece;
    we_status status = we_detokenizer_new(tokenizer, false, &detokenizer, &error);
    for (size_t i = 0; i < ids->count && status == WE_OK; i++)
        status = we_detokenizer_add(detokenizer, ids->data[i], &piece, &error);
    if (status == WE_OK)
        status = we_detokenizer_finish(detokenizer, &piece, &error);
    we_detokenizer_free(detokenizer);
    return passed(status, &error);
}

/* After a failure the list and the text are as they were. */
static bool use_tokenizer(void)
{
    struct we_error error = {0};
    struct we_tokenizer *tokenizer;
    struct we_ids ids = {0};
    struct we_buf out = {0};
    bool ok = passed(we_tokenizer_parse(we_buf_str(&json), "x", &tokenizer, &error), &error);
    for (int turn = 0; turn < 2 && ok; turn++) {
        size_t count = ids.count;
        ok = passed(we_tokenizer_encode(tokenizer, we_str(text, sizeof text - 1), true, &ids, &error), &error);
        assert_true(ok ? ids.count > count : ids.count == count);
    }
    if (ok)
        ok = passed(we_tokenizer_decode(tokenizer, ids.data, ids.count, false, &out, &error), &error);
    if (ok)
        ok = use_stream(tokenizer, &ids);
    we_ids_free(&ids);
    we_buf_free(&out);
    we_tokenizer_close(tokenizer);
    return ok;
}

static void test_tokenizers(void **state)
{
    (void)state;
    static const char *const names[] = {"gpt-2",
                                        "llama-3",
                                        "qwen-2",
                                        "smollm2",
                                        "llama-2",
                                        "mistral",
                                        "added normalized",
                                        "normalizer NFKD",
                                        "normalizer Replace regex",
                                        "normalizer ByteLevel",
                                        "pre_tokenizer ByteLevel before others",
                                        "pre_tokenizer Split Contiguous False",
                                        "model byte_fallback with missing bytes",
                                        "decoder none",
                                        "decoder Replace regex of all",
                                        "decoder Strip of all",
                                        "decoder ByteLevel of one",
                                        "decoder ByteFallback of one",
                                        "bert",
                                        "t5",
                                        "xlm-r",
                                        "clip",
                                        "model WordLevel",
                                        "decoder WordPiece with cleanup",
                                        "decoder BPEDecoder",
                                        "decoder CTC"};
    long total = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        json = golden_json(golden_case(names[i]));
        long survived = survive_failures(use_tokenizer);
        if (survived < 40)
            fail_msg("%s: %ld failures", names[i], survived);
        total += survived;
        we_buf_free(&json);
    }
    print_message("%ld failures\n", total);
}

/* What cannot be compiled, or taken from a compiled form, is simply not: there is no error to report. */
static bool use_compiled(void)
{
    struct we_error error = {0};
    struct we_tokenizer *tokenizer;
    struct we_buf out = {0};
    struct we_content_hash hash = we_content_hash(we_buf_str(&json));
    bool ok = passed(we_tokenizer_parse(we_buf_str(&json), "x", &tokenizer, &error), &error);
    ok = ok && we_compiled_write(&tokenizer->model, we_buf_str(&json), &hash, &out);
    we_tokenizer_close(tokenizer);
    if (ok) {
        size_t size = out.length;
        tokenizer = we_tokenizer_from_compiled(we_buf_take(&out), size, &hash, "x");
        ok = tokenizer != NULL;
        we_tokenizer_close(tokenizer);
    }
    we_buf_free(&out);
    return ok;
}

static void test_compiled(void **state)
{
    (void)state;
    static const char *const names[] = {"mistral", "t5", "bert"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        json = golden_json(golden_case(names[i]));
        assert_true(survive_failures(use_compiled) > 10);
        we_buf_free(&json);
    }
}

static bool use_directory(void)
{
    struct we_error error = {0};
    struct we_tokenizer *tokenizer;
    we_status status = we_tokenizer_open("/no/such/directory", &tokenizer, &error);
    assert_null(tokenizer);
    return status == WE_NOT_FOUND || passed(status, &error);
}

static void test_open(void **state)
{
    (void)state;
    assert_true(survive_failures(use_directory) > 0);
}

static bool use_regex(void)
{
    struct we_error error = {0};
    struct we_regex *regex;
    struct we_regex_state work = {0};
    struct we_regex_scan scan;
    bool found = true;
    size_t start, end, count = 0;
    bool ok = passed(
        we_regex_compile(we_str_c("(?i:'s|'t)|[^\\r\\n\\p{L}&&[\\p{Han}\\w]]?\\p{L}+|[[:alpha:]\\d]{1,3}|\\bx(?=y)|\\s+"),
                         &regex, &error),
        &error);
    if (ok)
        we_regex_scan_begin(&scan, regex, &work, we_str(text, strlen("the <s>there <a>, ab 12345 ")));
    while (ok && found) {
        ok = passed(we_regex_scan_next(&scan, &found, &start, &end, &error), &error);
        count += found;
    }
    assert_true(!ok || count > 10);
    we_regex_free(regex);
    we_regex_state_free(&work);
    return ok;
}

static void test_regex(void **state)
{
    (void)state;
    long survived = survive_failures(use_regex);
    print_message("%ld failures\n", survived);
    assert_true(survived > 5);
}

/* Many steps, each of which makes the text longer, fill any memory: that is an error like any other. */
static void test_growth(void **state)
{
    (void)state;
    struct we_error error;
    struct we_tokenizer *tokenizer;
    struct we_ids ids = {0};
    struct we_buf growing = {0};
    we_buf_append_c(&growing, "{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[");
    for (int i = 0; i < 80; i++)
        we_buf_append_c(&growing, "{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":\"aaaaaaaa\"},");
    we_buf_append_c(&growing, "{\"type\":\"NFC\"}]},\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1},\"merges\":[]}}");
    assert_int_equal(parse_exact(we_buf_str(&growing), &tokenizer, &error), WE_OK);
    memory_most = 4 << 20;
    we_status status = we_tokenizer_encode(tokenizer, we_str_c("a"), true, &ids, &error);
    memory_most = SIZE_MAX;
    assert_int_equal(status, WE_OUT_OF_MEMORY);
    assert_int_equal(error.status, WE_OUT_OF_MEMORY);
    assert_int_equal(ids.count, 0);
    assert_int_equal(we_tokenizer_encode(tokenizer, we_str_c("b"), true, &ids, &error), WE_OK); /* nothing stayed broken */
    assert_int_equal(ids.count, 1);
    we_tokenizer_close(tokenizer);
    we_ids_free(&ids);
    we_buf_free(&growing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tokenizers), cmocka_unit_test(test_compiled), cmocka_unit_test(test_open),
                                       cmocka_unit_test(test_regex), cmocka_unit_test(test_growth)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
