/* The pre-tokenizers of byte-level BPE, which GGUF files name. What each name stands for is what the tokenizer.json of the
 * first model with it has. */
#include "convert/convert.h"

#include "base/json.h"

/* Contractions in either case; words that may begin with one other character. */
#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define WORD CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
#define SYMBOLS " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
#define SPACES "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
/* Words whose letters are first upper, then lower case. */
#define UPPER "\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}"
#define LOWER "\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}"
#define BEFORE "[^\\r\\n\\p{L}\\p{N}]?"
#define CASED(not_han, behind)                                                                                                 \
    BEFORE "[" UPPER not_han "]*[" LOWER not_han "]+" behind "|" BEFORE "[" UPPER not_han "]+[" LOWER not_han "]*" behind
#define ASCII_PUNCTUATION "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~]"
#define KANJI_KANA "[\xE4\xB8\x80-\xE9\xBE\xA5\xE3\x81\x80-\xE3\x82\x9F\xE3\x82\xA0-\xE3\x83\xBF]+"
#define LATIN_BLOCKS ASCII_PUNCTUATION "[A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"

static const char gpt2[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)";
static const char threes[] = WORD "|\\p{N}{1,3}|" SYMBOLS "|" SPACES;
static const char ones[] = WORD "|\\p{N}|" SYMBOLS "|" SPACES;
static const char o200k[] = CASED("", CONTRACTIONS "?") "|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" SPACES;
static const char latin[] = LATIN_BLOCKS "| ?[\\p{P}\\p{S}]+[\\r\\n]*|" SPACES;
static const char bloom[] = " ?[^(\\s|.,!?\xE2\x80\xA6\xE3\x80\x82\xEF\xBC\x8C\xE3\x80\x81\xE0\xA5\xA4\xDB\x94\xD8\x8C)]+";
static const char digits3[] = "\\p{N}{1,3}";

#define DIGITS WE_PRE_DIGITS
#define WHOLE WE_PRE_WHOLE_WORDS
#define NFC WE_PRE_NFC
#define BOS WE_PRE_ADD_BOS

static const struct we_gguf_pre_tokenizer table[] = {
    {"gpt-2", 0, {NULL}},
    {"phi-2", 0, {NULL}},
    {"jina-es", 0, {NULL}},
    {"jina-de", 0, {NULL}},
    {"jina-v2-es", 0, {NULL}},
    {"jina-v2-de", 0, {NULL}},
    {"gigachat", 0, {NULL}},
    {"a.x-4.0", 0, {NULL}},
    {"mellum", 0, {NULL}},
    {"exaone4", 0, {NULL}},
    {"jais", 0, {NULL}},
    {"trillion", 0, {NULL}},
    {"granite-docling", 0, {NULL}},
    {"mpt", NFC, {NULL}},
    {"olmo", NFC, {NULL}},
    {"modern-bert", NFC, {NULL}},
    {"smollm", DIGITS, {NULL}},
    {"starcoder", DIGITS, {NULL}},
    {"refact", DIGITS, {NULL}},
    {"codeshell", DIGITS, {NULL}},
    {"exaone", DIGITS, {NULL}},
    {"minerva-7b", DIGITS, {NULL}},
    {"mellum2", DIGITS, {NULL}},
    {"command-r", DIGITS | NFC, {NULL}},
    {"llama-bpe", WHOLE | BOS, {threes}},
    {"llama3", WHOLE | BOS, {threes}},
    {"llama-v3", WHOLE | BOS, {threes}},
    {"falcon3", WHOLE | BOS, {threes}},
    {"falcon-h1", WHOLE | BOS, {threes}},
    {"pixtral", WHOLE | BOS, {threes}},
    {"midm-2.0", WHOLE | BOS, {threes}},
    {"lfm2", WHOLE | BOS, {threes}},
    {"dbrx", 0, {threes}},
    {"smaug-bpe", 0, {threes}},
    {"glm4", 0, {threes}},
    {"chatglm-bpe", 0, {threes}},
    {"qwen2", NFC, {ones}},
    {"deepseek-r1-qwen", NFC, {ones}},
    {"megrez", NFC, {ones}},
    {"stablelm2", NFC, {ones}},
    {"hunyuan", 0, {ones}},
    {"solar-open", 0, {ones}},
    {"grok-2", 0, {ones}},
    {"laguna", 0, {"[^\\n]+|[\\n]+", ones}},
    {"qwen35", NFC, {CONTRACTIONS "|" BEFORE "[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" SPACES}},
    {"ufakzeka", NFC, {BEFORE "\\p{L}+|\\p{N}|" SYMBOLS "|" SPACES}},
    {"minicpm5", WHOLE, {digits3, WORD "|\\p{N}+|" SYMBOLS "|" SPACES}},
    {"seed-coder", 0, {WORD "|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|" SPACES}},
    {"bailingmoe",
     0,
     {"'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]"
      "|\\s+(?!\\S)|\\s+"}},
    {"exaone-moe",
     0,
     {CONTRACTIONS "|" BEFORE "(?:\\p{L}\\p{M}*(?: \\p{L}\\p{M}*)*)+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?"
                   "|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"}},
    {"tekken", WHOLE | BOS, {CASED("", "") "|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" SPACES}},
    {"gpt-4o", 0, {o200k}},
    {"llama4", 0, {o200k}},
    {"kanana2", 0, {o200k}},
    {"minimax-m2", 0, {o200k}},
    {"tiny_aya", 0, {"\\d{1,3}(?=(?:\\d{3})*\\b)", o200k}},
    {"cohere2moe", 0, {"\\d{1,3}(?=(?:\\d{3})*\\b)", o200k}},
    {"kimi-k2", 0, {"[\\p{Han}]+|" CASED("&&[^\\p{Han}]", CONTRACTIONS "?") "|\\p{N}{1,3}|" SYMBOLS "|" SPACES}},
    {"deepseek-v3", 0, {digits3, KANJI_KANA, latin}},
    {"hunyuan-dense", 0, {digits3, KANJI_KANA, latin}},
    {"joyai-llm", 0, {digits3, KANJI_KANA, latin}},
    {"hy_v4", 0, {digits3, KANJI_KANA, latin}},
    {"spark2_5", DIGITS, {digits3, KANJI_KANA, LATIN_BLOCKS "| ?[\\p{P}\\p{S}]+|[\\r\\n]|\\s+(?!\\S)|\\s+"}},
    {"deepseek-coder",
     DIGITS,
     {"[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+",
      "[\xE4\xB8\x80-\xE9\xBE\xA5\xE0\xA0\x80-\xE4\xB8\x80\xEA\xB0\x80-\xED\x9F\xBF]+"}},
    {"falcon", 0, {"[\\p{P}\\$\\+<=>\\^~\\|`]+", gpt2, "[0-9][0-9][0-9]"}},
    {"superbpe", 0, {"\\p{N}+", "(?=(\\d{3})+(?!\\d))"}},
    {"bloom", 0, {bloom}},
    {"poro-chat", 0, {bloom}},
    {"gpt3-finnish", 0, {bloom}},
    {"viking", DIGITS, {bloom}},
    /* What files without a name get from the programs that made them. */
    {"default", 0, {"[\\p{P}\\$\\+<=>\\^~\\|]+", gpt2, "\\p{N}+", "[0-9][0-9][0-9]"}},
};

const struct we_gguf_pre_tokenizer *we_gguf_pre_tokenizer_find(struct we_str name)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (we_str_equal_c(name, table[i].name))
            return &table[i];
    return NULL;
}

void we_gguf_pre_tokenizer_write(const struct we_gguf_pre_tokenizer *pre, struct we_buf *out)
{
    bool sequence = pre->flags & DIGITS || pre->splits[0];
    we_buf_printf(out, "  \"normalizer\": %s,\n  \"pre_tokenizer\": ", pre->flags & NFC ? "{\"type\": \"NFC\"}" : "null");
    if (sequence)
        we_buf_append_c(out, "{\"type\": \"Sequence\", \"pretokenizers\": [");
    if (pre->flags & DIGITS && pre->splits[0] == NULL)
        we_buf_append_c(out, "{\"type\": \"Digits\", \"individual_digits\": true}, ");
    for (int i = 0; i < 4 && pre->splits[i]; i++) {
        we_buf_append_c(out, "{\"type\": \"Split\", \"pattern\": {\"Regex\": ");
        we_json_write_string(out, we_str_c(pre->splits[i]), false);
        we_buf_append_c(out, "}, \"behavior\": \"Isolated\", \"invert\": false}, ");
    }
    if (pre->flags & DIGITS && pre->splits[0])
        we_buf_append_c(out, "{\"type\": \"Digits\", \"individual_digits\": true}, ");
    we_buf_printf(out, "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true, \"use_regex\": %s}%s,\n",
                  pre->splits[0] ? "false" : "true", sequence ? "]}" : "");
}
