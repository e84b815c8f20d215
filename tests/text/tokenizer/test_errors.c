/* Broken, unknown and hostile tokenizer.json files: each ends in an error that says what is wrong, or in a tokenizer. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>

#define VOCAB "\"vocab\":{\"a\":0,\"b\":1,\"ab\":2}"
#define MERGES "\"merges\":[\"a b\"]"
#define MODEL "\"model\":{\"type\":\"BPE\"," VOCAB "," MERGES "}"
#define WITH(part) "{" part "," MODEL "}"
#define BPE(rest) "{\"model\":{\"type\":\"BPE\"," rest "}}"
#define PRECOMPILED(map) WITH("\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"" map "\"}")
#define UNIGRAM(vocab) "{\"model\":{\"type\":\"Unigram\",\"vocab\":" vocab "}}"
#define WORD_PIECE(rest) "{\"model\":{\"type\":\"WordPiece\"," rest "}}"
#define TEMPLATE(rest) WITH("\"post_processor\":{\"type\":\"TemplateProcessing\"," rest "}")

static const struct {
    const char *json;
    we_status status;
    const char *message; /* stands in the error's */
} cases[] = {
    /* what loads, so that the rest says something */
    {"{" MODEL "}", WE_OK, ""},
    {WITH("\"added_tokens\":[],\"normalizer\":null,\"pre_tokenizer\":null,\"post_processor\":null,\"decoder\":null"), WE_OK,
     ""},
    {BPE(MERGES "," VOCAB), WE_OK, ""}, /* in any order */
    {"{\"model\":{" VOCAB "," MERGES "}}", WE_OK, ""},
    {BPE(VOCAB ",\"merges\":[]"), WE_OK, ""},
    {BPE("\"vocab\":{},\"merges\":[]"), WE_OK, ""},
    {WITH("\"something\":{\"else\":[1,2]}"), WE_OK, ""},
    {BPE("\"vocab\":{\"a\":16777215},\"merges\":[]"), WE_OK, ""},

    /* no JSON, or no tokenizer */
    {"", WE_INVALID_FORMAT, "line 1"},
    {" ", WE_INVALID_FORMAT, "line 1"},
    {"null", WE_INVALID_FORMAT, "an object was expected"},
    {"[]", WE_INVALID_FORMAT, "an object was expected"},
    {"{}", WE_INVALID_FORMAT, "there is no \"model\""},
    {"{" MODEL "} x", WE_INVALID_FORMAT, "line 1"},
    {"{" MODEL "," MODEL "}", WE_INVALID_FORMAT, "a second \"model\""},
    {"{" MODEL ",}", WE_INVALID_FORMAT, "line 1"},
    {"{\"model\":null}", WE_INVALID_FORMAT, "an object was expected"},
    {"{\"model\":[]}", WE_INVALID_FORMAT, "an object was expected"},

    /* models */
    {"{\"model\":{}}", WE_INVALID_FORMAT, "no \"type\""},
    {"{\"model\":{\"type\":7," VOCAB "," MERGES "}}", WE_INVALID_FORMAT, "a string was expected"},
    {"{\"model\":{\"type\":\"Trigram\"," VOCAB "}}", WE_UNSUPPORTED,
     "\"Trigram\" is not supported (BPE, Unigram, WordPiece and WordLevel are)"},
    {UNIGRAM("[[\"a\",0]]"), WE_OK, ""},
    {UNIGRAM("[]"), WE_OK, ""},
    {UNIGRAM("[[\"a\",-1.5],[\"b\",0]],\"unk_id\":1,\"byte_fallback\":true"), WE_OK, ""},
    {UNIGRAM("{\"a\":0}"), WE_INVALID_FORMAT, "is an object, where a list was expected"},
    {UNIGRAM("[\"a\"]"), WE_INVALID_FORMAT, "an array was expected"},
    {UNIGRAM("[[]]"), WE_INVALID_FORMAT, "a token without a text"},
    {UNIGRAM("[[\"a\"]]"), WE_INVALID_FORMAT, "a token without a score"},
    {UNIGRAM("[[\"a\",0,1]]"), WE_INVALID_FORMAT, "more than a text and a score"},
    {UNIGRAM("[[1,0]]"), WE_INVALID_FORMAT, "a string was expected"},
    {UNIGRAM("[[\"a\",\"b\"]]"), WE_INVALID_FORMAT, "number was expected"},
    {UNIGRAM("[[\"\\uD800\",0]]"), WE_OK, ""},
    {UNIGRAM("[[\"a\",0]],\"unk_id\":1"), WE_INVALID_FORMAT, "\"unk_id\" of the model is no index"},
    {UNIGRAM("[[\"a\",0]],\"unk_id\":-1"), WE_INVALID_FORMAT, "line 1"},
    {UNIGRAM("[[\"a\",0]],\"byte_fallback\":1"), WE_INVALID_FORMAT, "a boolean was expected"},
    {"{\"model\":{\"type\":\"Unigram\"}}", WE_INVALID_FORMAT, "no \"vocab\""},
    {"{\"model\":{\"vocab\":[[\"a\",0]]}}", WE_OK, ""},
    {WORD_PIECE(VOCAB ",\"unk_token\":\"a\",\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":100"), WE_OK, ""},
    {WORD_PIECE(VOCAB), WE_OK, ""},
    {WORD_PIECE("\"vocab\":[[\"a\",0]]"), WE_INVALID_FORMAT, "is a list, where an object was expected"},
    {WORD_PIECE(VOCAB ",\"max_input_chars_per_word\":-1"), WE_INVALID_FORMAT, "line 1"},
    {WORD_PIECE(VOCAB ",\"max_input_chars_per_word\":\"x\""), WE_INVALID_FORMAT, "was expected"},
    {WORD_PIECE(VOCAB ",\"continuing_subword_prefix\":[]"), WE_INVALID_FORMAT, "a string was expected"},
    {WORD_PIECE("\"unk_token\":\"a\""), WE_INVALID_FORMAT, "no \"vocab\""},
    {"{\"model\":{\"type\":\"WordLevel\"," VOCAB ",\"unk_token\":\"a\"}}", WE_OK, ""},
    {"{\"model\":{\"type\":\"WordLevel\",\"vocab\":[[\"a\",0]]}}", WE_INVALID_FORMAT, "is a list, where an object"},
    {"{\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"a\"}}", WE_INVALID_FORMAT, "no \"vocab\""},
    {"{\"model\":{\"type\":\"\"," VOCAB "," MERGES "}}", WE_UNSUPPORTED, "\"\" is not supported"},
    {BPE(VOCAB), WE_INVALID_FORMAT, "no \"merges\""},
    {BPE(MERGES), WE_INVALID_FORMAT, "no \"vocab\""},
    {BPE("\"vocab\":[\"a\"]," MERGES), WE_INVALID_FORMAT, "an array was expected"},
    {BPE("\"vocab\":[[\"a\",0]]," MERGES), WE_INVALID_FORMAT, "is a list, where an object was expected"},
    {BPE(VOCAB "," MERGES ",\"dropout\":0.1"), WE_UNSUPPORTED, "dropout"},
    {BPE(VOCAB "," MERGES ",\"dropout\":\"x\""), WE_INVALID_FORMAT, "number was expected"},
    {BPE(VOCAB "," MERGES ",\"continuing_subword_prefix\":\"\",\"end_of_word_suffix\":\"</w>\""), WE_OK, ""},
    {BPE("\"continuing_subword_prefix\":\"b\"," VOCAB ",\"merges\":[\"a bb\"]"), WE_INVALID_FORMAT,
     "the token \"bb\" is not in"},
    {BPE("\"continuing_subword_prefix\":\"b\",\"vocab\":{\"a\":0,\"bb\":1,\"ab\":2},\"merges\":[\"a bb\"]"), WE_OK, ""},
    {BPE("\"vocab\":{\"a\":0,\"bb\":1,\"ab\":2,\"abb\":3},\"merges\":[\"a bb\"],\"continuing_subword_prefix\":\"b\""), WE_OK,
     ""},
    {BPE("\"vocab\":{\"a\":0,\"bb\":1,\"abb\":2},\"merges\":[\"a bb\"],\"continuing_subword_prefix\":\"b\""), WE_INVALID_FORMAT,
     "the token \"ab\" is not in"},
    {BPE(VOCAB "," MERGES ",\"continuing_subword_prefix\":\"##\""), WE_INVALID_FORMAT, "shorter than the prefix"},
    {BPE("\"continuing_subword_prefix\":\"##\"," VOCAB "," MERGES), WE_INVALID_FORMAT, "shorter than the prefix"},
    {BPE(VOCAB "," MERGES ",\"end_of_word_suffix\":1"), WE_INVALID_FORMAT, "a string was expected"},
    {BPE(VOCAB "," MERGES ",\"unk_token\":1"), WE_INVALID_FORMAT, "a string was expected"},
    {BPE(VOCAB "," MERGES ",\"fuse_unk\":1"), WE_INVALID_FORMAT, "a boolean was expected"},
    {BPE(VOCAB "," MERGES ",\"byte_fallback\":\"yes\""), WE_INVALID_FORMAT, "a boolean was expected"},
    {BPE(VOCAB "," MERGES ",\"ignore_merges\":[]"), WE_INVALID_FORMAT, "a boolean was expected"},

    /* ids */
    {BPE("\"vocab\":{\"a\":-1},\"merges\":[]"), WE_INVALID_FORMAT, "line 1"},
    {BPE("\"vocab\":{\"a\":1.5},\"merges\":[]"), WE_INVALID_FORMAT, "line 1"},
    {BPE("\"vocab\":{\"a\":\"0\"},\"merges\":[]"), WE_INVALID_FORMAT, "was expected"},
    {BPE("\"vocab\":{\"a\":null},\"merges\":[]"), WE_INVALID_FORMAT, "was expected"},
    {BPE("\"vocab\":{\"a\":16777216},\"merges\":[]"), WE_INVALID_FORMAT,
     "the id 16777216 of a token; the highest supported is 16777215"},
    {BPE("\"vocab\":{\"a\":4294967295},\"merges\":[]"), WE_INVALID_FORMAT, "the highest supported"},
    {BPE("\"vocab\":{\"a\":4294967296},\"merges\":[]"), WE_INVALID_FORMAT, "line 1"},
    {BPE("\"vocab\":{\"a\":99999999999999999999999},\"merges\":[]"), WE_INVALID_FORMAT, "line 1"},
    {BPE("\"vocab\":{\"\xC3\x28\":0},\"merges\":[]"), WE_INVALID_FORMAT, "UTF-8"},

    /* merges */
    {BPE(VOCAB ",\"merges\":null"), WE_INVALID_FORMAT, "an array was expected"},
    {BPE(VOCAB ",\"merges\":{}"), WE_INVALID_FORMAT, "an array was expected"},
    {BPE(VOCAB ",\"merges\":[1]"), WE_INVALID_FORMAT, "a string was expected"},
    {BPE(VOCAB ",\"merges\":[\"ab\"]"), WE_INVALID_FORMAT, "merge 0 is \"ab\", where two tokens"},
    {BPE(VOCAB ",\"merges\":[\"a b\",\"a b b\"]"), WE_INVALID_FORMAT, "merge 1 is \"a b b\", where two tokens"},
    {BPE(VOCAB ",\"merges\":[\"\"]"), WE_INVALID_FORMAT, "where two tokens"},
    {BPE(VOCAB ",\"merges\":[[\"a\"]]"), WE_INVALID_FORMAT, "merge 0 has 1 parts"},
    {BPE(VOCAB ",\"merges\":[[]]"), WE_INVALID_FORMAT, "merge 0 has 0 parts"},
    {BPE(VOCAB ",\"merges\":[[\"a\",\"b\",\"a\"]]"), WE_INVALID_FORMAT, "merge 0 has 3 parts"},
    {BPE(VOCAB ",\"merges\":[[\"a\",1]]"), WE_INVALID_FORMAT, "a string was expected"},
    {BPE(VOCAB ",\"merges\":[\"a x\"]"), WE_INVALID_FORMAT, "merge 0: the token \"x\" is not in the vocabulary"},
    {BPE(VOCAB ",\"merges\":[\"x b\"]"), WE_INVALID_FORMAT, "merge 0: the token \"x\" is not in the vocabulary"},
    {BPE(VOCAB ",\"merges\":[\"a b\",[\"b\",\"a\"]]"), WE_INVALID_FORMAT, "merge 1: the token \"ba\" is not in the vocabulary"},
    {BPE("\"merges\":[\"a x\"]," VOCAB), WE_INVALID_FORMAT, "the token \"x\" is not in the vocabulary"},

    /* added tokens */
    {WITH("\"added_tokens\":{}"), WE_INVALID_FORMAT, "an array was expected"},
    {WITH("\"added_tokens\":[\"a\"]"), WE_INVALID_FORMAT, "an object was expected"},
    {WITH("\"added_tokens\":[{\"id\":0}]"), WE_INVALID_FORMAT, "an added token without \"content\""},
    {WITH("\"added_tokens\":[{\"content\":1}]"), WE_INVALID_FORMAT, "a string was expected"},
    {WITH("\"added_tokens\":[{\"content\":\"a\",\"lstrip\":\"no\"}]"), WE_INVALID_FORMAT, "a boolean was expected"},
    {WITH("\"added_tokens\":[{\"content\":\"\xFF\"}]"), WE_INVALID_FORMAT, "UTF-8"},

    /* components that are not known, by name */
    {WITH("\"normalizer\":{\"type\":\"Slugify\"}"), WE_UNSUPPORTED, "normalizer: the type \"Slugify\" is not supported"},
    {WITH("\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"},{\"type\":\"Nfz\"}]}"), WE_UNSUPPORTED,
     "\"Nfz\""},
    {WITH("\"pre_tokenizer\":{\"type\":\"UnicodeScripts\"}"), WE_UNSUPPORTED,
     "pre_tokenizer: the type \"UnicodeScripts\" is not supported"},
    {WITH("\"post_processor\":{\"type\":\"PairProcessing\"}"), WE_UNSUPPORTED,
     "post_processor: the type \"PairProcessing\" is not supported"},
    {WITH("\"decoder\":{\"type\":\"WordMaker\"}"), WE_UNSUPPORTED, "decoder: the type \"WordMaker\" is not supported"},

    /* components that say too little or the wrong thing */
    {WITH("\"normalizer\":7"), WE_INVALID_FORMAT, "normalizer: a number, where an object was expected"},
    {WITH("\"normalizer\":[]"), WE_INVALID_FORMAT, "normalizer: an array, where an object was expected"},
    {WITH("\"normalizer\":{}"), WE_INVALID_FORMAT, "\"type\" is missing"},
    {WITH("\"normalizer\":{\"type\":1}"), WE_INVALID_FORMAT, "\"type\" is a number"},
    {WITH("\"normalizer\":{\"type\":\"Sequence\"}"), WE_INVALID_FORMAT, "\"normalizers\" is missing"},
    {WITH("\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":{}}"), WE_INVALID_FORMAT, "\"normalizers\" is an object"},
    {WITH("\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[1]}"), WE_INVALID_FORMAT, "an object was expected"},
    {WITH("\"normalizer\":{\"type\":\"Strip\"}"), WE_INVALID_FORMAT, "\"strip_left\" is missing"},
    {WITH("\"normalizer\":{\"type\":\"Strip\",\"strip_left\":1,\"strip_right\":true}"), WE_INVALID_FORMAT,
     "\"strip_left\" is a number"},
    {WITH("\"normalizer\":{\"type\":\"Prepend\"}"), WE_INVALID_FORMAT, "\"prepend\" is missing"},
    {WITH("\"normalizer\":{\"type\":\"Prepend\",\"prepend\":\"\xED\xA0\x80\"}"), WE_INVALID_FORMAT, "UTF-8"},
    {WITH("\"normalizer\":{\"type\":\"Replace\",\"content\":\"a\"}"), WE_INVALID_FORMAT, "\"pattern\" is missing"},
    {WITH("\"normalizer\":{\"type\":\"Replace\",\"pattern\":\"a\",\"content\":\"a\"}"), WE_INVALID_FORMAT,
     "\"pattern\" is a string"},
    {WITH("\"normalizer\":{\"type\":\"Replace\",\"pattern\":{},\"content\":\"a\"}"), WE_INVALID_FORMAT, "\"pattern\""},
    {WITH("\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"Text\":\"a\"},\"content\":\"a\"}"), WE_INVALID_FORMAT,
     "\"Regex\" is missing"},
    {WITH("\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"String\":1},\"content\":\"a\"}"), WE_INVALID_FORMAT,
     "\"String\" is a number"},
    {WITH("\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"(\"},\"content\":\"a\"}"), WE_INVALID_FORMAT,
     "normalizer Replace: the regular expression \"(\""},
    {WITH("\"normalizer\":{\"type\":\"BertNormalizer\"}"), WE_INVALID_FORMAT, "\"clean_text\" is missing"},
    {WITH("\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,\"lowercase\":true,"
          "\"strip_accents\":1}"),
     WE_INVALID_FORMAT, "\"strip_accents\" is a number"},
    {WITH("\"normalizer\":{\"type\":\"Precompiled\"}"), WE_INVALID_FORMAT, "\"precompiled_charsmap\" is missing"},
    {PRECOMPILED("AA=A"), WE_INVALID_FORMAT, "is no base64"},
    {PRECOMPILED("AAA"), WE_INVALID_FORMAT, "is no base64"},
    {PRECOMPILED("A A="), WE_INVALID_FORMAT, "is no base64"},
    {PRECOMPILED(""), WE_INVALID_FORMAT, "is shorter than it says"},
    {PRECOMPILED("AAAAAA=="), WE_INVALID_FORMAT, "is shorter than it says"},
    {PRECOMPILED("CAAAAAAAAAA="), WE_INVALID_FORMAT, "is shorter than it says"},
    {PRECOMPILED("BAAAAAAAAAA="), WE_OK, ""},
    {PRECOMPILED("BAAAAAAAAAD/"), WE_INVALID_FORMAT, "texts that are no UTF-8"},
    {WITH("\"pre_tokenizer\":{\"type\":\"CharDelimiterSplit\",\"delimiter\":\"ab\"}"), WE_INVALID_FORMAT,
     "\"delimiter\" is not one character"},
    {WITH("\"pre_tokenizer\":{\"type\":\"FixedLength\",\"length\":-1}"), WE_INVALID_FORMAT, "a whole number was expected"},
    {WITH("\"post_processor\":{\"type\":\"BertProcessing\",\"cls\":[\"a\",0]}"), WE_INVALID_FORMAT,
     "\"sep\" is no token and its id"},
    {WITH("\"post_processor\":{\"type\":\"RobertaProcessing\",\"sep\":[\"a\",0],\"cls\":[\"a\",-1]}"), WE_INVALID_FORMAT,
     "\"cls\" is no token and its id"},
    {WITH("\"decoder\":{\"type\":\"WordPiece\",\"prefix\":\"##\"}"), WE_INVALID_FORMAT, "\"cleanup\" is missing"},
    {WITH("\"decoder\":{\"type\":\"BPEDecoder\"}"), WE_INVALID_FORMAT, "\"suffix\" is missing"},
    {WITH("\"decoder\":{\"type\":\"CTC\",\"pad_token\":\"a\",\"cleanup\":true}"), WE_INVALID_FORMAT,
     "\"word_delimiter_token\" is missing"},
    {WITH("\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(?<n>a)\\\\k<n>\"},\"behavior\":\"Isolated\","
          "\"invert\":false}"),
     WE_UNSUPPORTED, "pre_tokenizer Split"},
    {WITH("\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"String\":\"a\"},\"behavior\":\"Isolate\",\"invert\":false}"),
     WE_UNSUPPORTED, "the behavior \"Isolate\""},
    {WITH("\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"String\":\"a\"},\"invert\":false}"), WE_INVALID_FORMAT,
     "\"behavior\" is missing"},
    {WITH("\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"String\":\"a\"},\"behavior\":\"Isolated\"}"), WE_INVALID_FORMAT,
     "\"invert\" is missing"},
    {WITH("\"pre_tokenizer\":{\"type\":\"ByteLevel\"}"), WE_INVALID_FORMAT, "\"add_prefix_space\" is missing"},
    {WITH("\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":1}"), WE_INVALID_FORMAT,
     "\"use_regex\" is a number"},
    {WITH("\"pre_tokenizer\":{\"type\":\"Digits\"}"), WE_INVALID_FORMAT, "\"individual_digits\" is missing"},
    {WITH("\"pre_tokenizer\":{\"type\":\"Metaspace\"}"), WE_INVALID_FORMAT, "\"replacement\" is missing"},
    {WITH("\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"\"}"), WE_INVALID_FORMAT, "is not one character"},
    {WITH("\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"ab\"}"), WE_INVALID_FORMAT, "is not one character"},
    {WITH("\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"_\",\"prepend_scheme\":\"last\"}"), WE_UNSUPPORTED,
     "the prepend_scheme \"last\""},
    {WITH("\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"_\",\"prepend_scheme\":\"first\",\"add_prefix_space\":"
          "false}"),
     WE_INVALID_FORMAT, "add_prefix_space is false"},
    {WITH("\"pre_tokenizer\":{\"type\":\"Punctuation\",\"behavior\":\"x\"}"), WE_UNSUPPORTED, "the behavior \"x\""},
    {WITH("\"decoder\":{\"type\":\"Strip\",\"content\":\"ab\",\"start\":0,\"stop\":0}"), WE_INVALID_FORMAT,
     "is not one character"},
    {WITH("\"decoder\":{\"type\":\"Strip\",\"content\":\"a\",\"start\":-1,\"stop\":0}"), WE_INVALID_FORMAT,
     "a whole number was expected"},
    {WITH("\"decoder\":{\"type\":\"Strip\",\"content\":\"a\",\"start\":1.5,\"stop\":0}"), WE_INVALID_FORMAT,
     "a whole number was expected"},
    {WITH("\"decoder\":{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"}}"), WE_INVALID_FORMAT, "\"content\" is missing"},
    {WITH("\"decoder\":{\"type\":\"Metaspace\",\"replacement\":\"_\",\"prepend_scheme\":\"last\"}"), WE_UNSUPPORTED,
     "the prepend_scheme \"last\""},
    {WITH(
         "\"decoder\":{\"type\":\"Metaspace\",\"replacement\":\"_\",\"prepend_scheme\":\"always\",\"add_prefix_space\":false}"),
     WE_INVALID_FORMAT, "add_prefix_space is false"},

    /* templates */
    {TEMPLATE("\"single\":1"), WE_INVALID_FORMAT, "\"single\" is a number"},
    {TEMPLATE("\"pair\":[]"), WE_INVALID_FORMAT, "\"single\" is missing"},
    {TEMPLATE("\"single\":[{}]"), WE_INVALID_FORMAT, "neither SpecialToken nor Sequence"},
    {TEMPLATE("\"single\":[{\"Sequence\":{\"id\":\"B\",\"type_id\":0}}]"), WE_INVALID_FORMAT, "the sequence \"B\""},
    {TEMPLATE("\"single\":[{\"SpecialToken\":{\"id\":\"x\",\"type_id\":0}}]"), WE_INVALID_FORMAT, "has no \"ids\" for \"x\""},
    {TEMPLATE("\"single\":[{\"SpecialToken\":{\"type_id\":0}}]"), WE_INVALID_FORMAT, "\"id\" is missing"},
    {TEMPLATE("\"single\":[{\"SpecialToken\":{\"id\":\"x\"}}],\"special_tokens\":{\"x\":{\"ids\":[-1]}}"), WE_INVALID_FORMAT,
     "is no token id"},
    {TEMPLATE("\"single\":[{\"SpecialToken\":{\"id\":\"x\"}}],\"special_tokens\":{\"x\":{\"ids\":[4294967295]}}"),
     WE_INVALID_FORMAT, "is no token id"},
    {TEMPLATE("\"single\":[{\"SpecialToken\":{\"id\":\"x\"}}],\"special_tokens\":{\"x\":{\"ids\":[\"a\"]}}"), WE_INVALID_FORMAT,
     "is no token id"},
    {WITH("\"post_processor\":{\"type\":\"Sequence\",\"processors\":[{\"type\":\"TemplateProcessing\",\"single\":[]},{\"type\":"
          "\"TemplateProcessing\",\"single\":[]}]}"),
     WE_UNSUPPORTED, "more than one template"},
};

static void expect(struct we_str json, we_status expected, const char *message)
{
    struct we_error error = {0};
    struct we_tokenizer *tokenizer;
    we_status status = parse_exact(json, &tokenizer, &error);
    if (status != expected || (status != WE_OK && (strstr(error.message, message) == NULL || error.status != status ||
                                                   strncmp(error.message, "tokenizer.json: ", 16) != 0)))
        fail_msg("%.*s\n  status %d, expected %d: %s", WE_STR_ARG(json), status, expected,
                 status == WE_OK ? "" : error.message);
    assert_int_equal(tokenizer == NULL, status != WE_OK);
    we_tokenizer_close(tokenizer);
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect(we_str_c(cases[i].json), cases[i].status, cases[i].message);
    struct we_tokenizer *tokenizer; /* nobody needs to ask why */
    assert_int_equal(we_tokenizer_parse(we_str_c("{}"), NULL, &tokenizer, NULL), WE_INVALID_FORMAT);
    we_tokenizer_close(NULL);
}

/* What remains of a file after any byte is no tokenizer. */
static void test_truncated(void **state)
{
    (void)state;
    static const char *const names[] = {"llama-3", "llama-2"};
    for (size_t k = 0; k < 2; k++) {
        struct we_buf json = golden_json(golden_case(names[k]));
        for (size_t n = 0; n < json.length; n += n < 3000 || n + 3000 > json.length ? 1 : 7)
            expect(we_str(json.data, n), WE_INVALID_FORMAT, "line 1");
        we_buf_free(&json);
    }
}

/* Loads if it can, and then encodes and decodes; whatever the answer, it must be one of these. */
static bool try_json(struct we_str json)
{
    struct we_error error = {0};
    struct we_tokenizer *tokenizer;
    we_status status = parse_exact(json, &tokenizer, &error);
    if (status != WE_OK && status != WE_INVALID_FORMAT && status != WE_UNSUPPORTED)
        fail_msg("status %d: %s", status, error.message);
    if (status == WE_OK) {
        struct we_ids ids = {0};
        struct we_buf text = {0};
        if (we_tokenizer_encode(tokenizer, we_str_c("ab the <s> \xC3\xA9 12"), true, &ids, &error) == WE_OK)
            we_tokenizer_decode(tokenizer, ids.data, ids.count, false, &text, &error);
        we_ids_free(&ids);
        we_buf_free(&text);
    }
    we_tokenizer_close(tokenizer);
    return status == WE_OK;
}

/* A file in which one byte is another. */
static void test_changed_bytes(void **state)
{
    (void)state;
    static const char *const names[] = {"llama-3", "mistral", "added normalized", "decoder Sequence"};
    static const char bytes[] = "\"{}[]:,0-x\\\0\xFF\xC3";
    size_t loaded = 0, tried = 0;
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
        struct we_buf json = golden_json(golden_case(names[k]));
        for (size_t i = 0; i < json.length; i += 13, tried++) {
            char kept = json.data[i];
            json.data[i] = bytes[(i + i / 13) % (sizeof bytes - 1)];
            loaded += try_json(we_buf_str(&json));
            json.data[i] = kept;
        }
        we_buf_free(&json);
    }
    print_message("%zu of %zu changed files load\n", loaded, tried);
    assert_true(loaded > 0 && loaded < tried);
}

/* ---- wrong values in any place ---- */

static size_t count_values(const struct we_json *value)
{
    size_t n = 1;
    for (size_t i = 0; i < value->count; i++)
        n += count_values(&value->items[i]);
    return n;
}

/* The value, in which the one that comes after *left others is `instead`. */
static void write_value(struct we_buf *out, const struct we_json *value, size_t *left, const char *instead)
{
    if ((*left)-- == 0) {
        we_buf_append_c(out, instead);
        return;
    }
    switch (value->kind) {
    case WE_JSON_STRING:
        we_json_write_string(out, value->string, false);
        break;
    case WE_JSON_NUMBER:
        we_buf_printf(out, "%lld", (long long)value->integer);
        break;
    case WE_JSON_BOOL:
        we_buf_append_c(out, value->boolean ? "true" : "false");
        break;
    case WE_JSON_ARRAY:
    case WE_JSON_OBJECT:
        we_buf_append_byte(out, value->kind == WE_JSON_ARRAY ? '[' : '{');
        for (size_t i = 0; i < value->count; i++) {
            we_buf_append_c(out, i ? "," : "");
            if (value->kind == WE_JSON_OBJECT) {
                we_json_write_string(out, value->keys[i], false);
                we_buf_append_c(out, ":");
            }
            write_value(out, &value->items[i], left, instead);
        }
        we_buf_append_byte(out, value->kind == WE_JSON_ARRAY ? ']' : '}');
        break;
    default:
        we_buf_append_c(out, "null");
    }
}

/* Every value of a file, one after the other, becomes one of every other type. */
static void test_wrong_types(void **state)
{
    (void)state;
    static const char *const values[] = {"null",
                                         "true",
                                         "-1",
                                         "1",
                                         "4294967296",
                                         "1.5",
                                         "1e999",
                                         "\"\"",
                                         "\"x\"",
                                         "[]",
                                         "{}",
                                         "[1]",
                                         "{\"type\":\"NFC\"}",
                                         "[\"a\",\"b\"]",
                                         "[[\"a\",\"b\"]]",
                                         "NaN",
                                         "{\"a\":{\"a\":{}}}"};
    static const char json[] = WITH(
        "\"added_tokens\":[{\"id\":0,\"content\":\"<s>\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,"
        "\"normalized\":false,\"special\":true}],\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"},"
        "{\"type\":\"Strip\",\"strip_left\":true,\"strip_right\":false},{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},"
        "\"content\":\"b\"},{\"type\":\"Prepend\",\"prepend\":\"x\"}]},\"pre_tokenizer\":{\"type\":\"Sequence\","
        "\"pretokenizers\":"
        "[{\"type\":\"Split\",\"pattern\":{\"Regex\":\"a+\"},\"behavior\":\"Isolated\",\"invert\":false},{\"type\":\"Digits\","
        "\"individual_digits\":true},{\"type\":\"Punctuation\",\"behavior\":\"Removed\"},{\"type\":\"Metaspace\","
        "\"replacement\":"
        "\"_\",\"prepend_scheme\":\"first\",\"split\":true},{\"type\":\"ByteLevel\",\"add_prefix_space\":false}]},"
        "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<s>\",\"type_id\":0}},"
        "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"special_tokens\":{\"<s>\":{\"id\":\"<s>\",\"ids\":[0]}}},\"decoder\":"
        "{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"ByteLevel\"},{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},"
        "\"content\":\"b\"},{\"type\":\"Strip\",\"content\":\" "
        "\",\"start\":1,\"stop\":0},{\"type\":\"Metaspace\",\"replacement\":"
        "\"_\",\"prepend_scheme\":\"first\"}]}");
    struct we_error error;
    struct we_arena arena = {0};
    struct we_json *tree;
    struct we_buf text = {0};
    size_t loaded = 0, tried = 0;
    expect(we_str_c(json), WE_OK, "");
    assert_int_equal(we_json_parse(we_str_c(json), NULL, &arena, &tree, &error), WE_OK);
    for (size_t k = 0; k < sizeof values / sizeof values[0]; k++) {
        for (size_t place = 0; place < count_values(tree); place++, tried++) {
            size_t left = place;
            we_buf_clear(&text);
            write_value(&text, tree, &left, values[k]);
            loaded += try_json(we_buf_str(&text));
        }
    }
    print_message("%zu of %zu files with a wrong value load\n", loaded, tried);
    assert_true(tried > 1500 && loaded < tried / 3);
    we_buf_free(&text);
    we_arena_free(&arena);
}

/* ---- sizes and depth ---- */

static void test_depth(void **state)
{
    (void)state;
    static const struct {
        const char *head, *open, *core, *close, *tail;
    } nests[] = {
        {"{\"normalizer\":", "{\"type\":\"Sequence\",\"normalizers\":[", "{\"type\":\"NFC\"}", "]}", "," MODEL "}"},
        {"{\"pre_tokenizer\":", "{\"type\":\"Sequence\",\"pretokenizers\":[", "{\"type\":\"Whitespace\"}", "]}", "," MODEL "}"},
        {"{\"decoder\":", "{\"type\":\"Sequence\",\"decoders\":[", "{\"type\":\"Fuse\"}", "]}", "," MODEL "}"},
        {"{\"other\":", "[", "", "]", "," MODEL "}"},
        {"{\"model\":{\"type\":\"BPE\",\"other\":", "{\"a\":", "1", "}", "," VOCAB "," MERGES "}}"},
    };
    for (size_t k = 0; k < sizeof nests / sizeof nests[0]; k++) {
        for (size_t depth = 1; depth < 200000; depth *= 100) {
            struct we_buf json = {0};
            we_buf_append_c(&json, nests[k].head);
            for (size_t i = 0; i < depth; i++)
                we_buf_append_c(&json, nests[k].open);
            we_buf_append_c(&json, nests[k].core);
            for (size_t i = 0; i < depth; i++)
                we_buf_append_c(&json, nests[k].close);
            we_buf_append_c(&json, nests[k].tail);
            expect(we_buf_str(&json), depth <= 100 ? WE_OK : WE_INVALID_FORMAT, "line 1");
            we_buf_free(&json);
        }
    }
}

static void test_too_long(void **state)
{
    (void)state;
    struct we_error error;
    struct we_tokenizer *tokenizer;
    struct we_ids ids = {0};
    char byte = 'a';
    assert_int_equal(parse_exact(we_str_c("{" MODEL "}"), &tokenizer, &error), WE_OK);
    assert_int_equal(we_tokenizer_encode(tokenizer, we_str(&byte, ((size_t)1 << 30) + 1), true, &ids, &error),
                     WE_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "at most 1073741824"));
    we_tokenizer_close(tokenizer);
}

/* An unknown token that is not in the vocabulary is an error only when it is needed. */
static void test_missing_unk(void **state)
{
    (void)state;
    struct we_error error;
    struct we_tokenizer *tokenizer;
    struct we_ids ids = {0};
    assert_int_equal(parse_exact(we_str_c(BPE(VOCAB "," MERGES ",\"unk_token\":\"<unk>\"")), &tokenizer, &error), WE_OK);
    assert_int_equal(we_tokenizer_encode(tokenizer, we_str_c("ab"), true, &ids, &error), WE_OK);
    assert_int_equal(ids.count, 1);
    assert_int_equal(we_tokenizer_encode(tokenizer, we_str_c("abc"), true, &ids, &error), WE_INVALID_FORMAT);
    assert_non_null(strstr(error.message, "\"<unk>\" is not in its vocabulary"));
    assert_int_equal(ids.count, 1); /* as before the call */
    we_ids_free(&ids);
    we_tokenizer_close(tokenizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),       cmocka_unit_test(test_truncated), cmocka_unit_test(test_changed_bytes),
        cmocka_unit_test(test_wrong_types), cmocka_unit_test(test_depth),     cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_missing_unk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
