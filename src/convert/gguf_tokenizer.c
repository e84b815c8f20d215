/* tokenizer.json and tokenizer_config.json of a GGUF's vocabulary, in the form in which Hugging Face publishes them. */
#include "convert/convert.h"

#include "base/json.h"

#include <stdlib.h>

/* ---- reading ---- */

bool we_gguf_has_vocab(const struct we_gguf *gguf)
{
    struct we_str model;
    return we_gguf_string(gguf, "tokenizer.ggml.model", &model) && !we_str_equal_c(model, "none") &&
           !we_str_equal_c(model, "no_vocab");
}

enum we_gguf_token_type we_gguf_token_type(const struct we_gguf_vocab *vocab, uint32_t id)
{
    if (vocab->types == NULL)
        return WE_TOKEN_NORMAL;
    const unsigned char *p = vocab->types + (size_t)id * 4;
    return p[1] || p[2] || p[3] ? WE_TOKEN_NORMAL : (enum we_gguf_token_type)p[0];
}

static we_status read_tokens(const struct we_gguf *gguf, struct we_arena *arena, struct we_gguf_vocab *v,
                             struct we_error *error)
{
    const struct we_gguf_value *tokens = we_gguf_find(gguf, "tokenizer.ggml.tokens");
    const struct we_gguf_value *types = we_gguf_find(gguf, "tokenizer.ggml.token_type");
    if (tokens == NULL || tokens->type != WE_GGUF_ARRAY || tokens->element_type != WE_GGUF_STRING || tokens->count == 0 ||
        tokens->count > 1u << 26)
        return we_error_set(error, WE_INVALID_FORMAT, "%s: tokenizer.ggml.tokens is no array of texts", v->path);
    if (types && (types->type != WE_GGUF_ARRAY || (types->element_type != WE_GGUF_I32 && types->element_type != WE_GGUF_U32) ||
                  types->count != tokens->count))
        return we_error_set(error, WE_INVALID_FORMAT,
                            "%s: tokenizer.ggml.token_type is no array with an integer for each of the %llu tokens", v->path,
                            (unsigned long long)tokens->count);
    v->count = (uint32_t)tokens->count;
    v->types = types ? types->data : NULL;
    v->tokens = we_arena_array(arena, v->count, sizeof *v->tokens);
    if (v->tokens == NULL)
        return we_error_memory(error, "the vocabulary");
    const void *cursor = NULL;
    for (uint32_t i = 0; we_gguf_next_string(tokens, &cursor, &v->tokens[i]); i++) {
        if (we_utf8_valid_prefix(v->tokens[i]) != v->tokens[i].length)
            return we_error_set(error, WE_INVALID_FORMAT, "%s: token %u is no valid UTF-8", v->path, i);
        if (i + 1 == v->count)
            break;
    }
    return WE_OK;
}

static we_status read_id(const struct we_gguf *gguf, const struct we_gguf_vocab *v, const char *key, uint32_t *id,
                         struct we_error *error)
{
    uint32_t found;
    if (we_gguf_find(gguf, key) == NULL) {
        if (*id >= v->count)
            *id = UINT32_MAX;
        return WE_OK;
    }
    if (!we_gguf_u32(gguf, key, &found))
        return we_error_set(error, WE_INVALID_FORMAT, "%s: %s is no token id", v->path, key);
    if (found != UINT32_MAX && found >= v->count)
        return we_error_set(error, WE_INVALID_FORMAT, "%s: %s is %u, but there are %u tokens", v->path, key, found, v->count);
    *id = found;
    return WE_OK;
}

static we_status read_ids(const struct we_gguf *gguf, struct we_gguf_vocab *v, struct we_error *error)
{
    /* What SentencePiece vocabularies have unless the file says otherwise. */
    v->unk = v->spm ? 0 : UINT32_MAX;
    v->bos = v->spm ? 1 : UINT32_MAX;
    v->eos = v->spm ? 2 : UINT32_MAX;
    v->pad = UINT32_MAX;
    we_status status = read_id(gguf, v, "tokenizer.ggml.bos_token_id", &v->bos, error);
    if (status == WE_OK)
        status = read_id(gguf, v, "tokenizer.ggml.eos_token_id", &v->eos, error);
    if (status == WE_OK)
        status = read_id(gguf, v, "tokenizer.ggml.unknown_token_id", &v->unk, error);
    if (status == WE_OK)
        status = read_id(gguf, v, "tokenizer.ggml.padding_token_id", &v->pad, error);
    return status;
}

/* ---- pre-tokenizers of byte-level BPE ---- */

static const char gpt2_split[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)";
static const char llama3_split[] = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|"
                                   " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
static const char qwen2_split[] = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|"
                                  " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

static const struct pre_tokenizer {
    const char *name;
    bool digits;           /* each digit by itself, before */
    const char *splits[4]; /* regexes applied one after the other; none: ByteLevel's own */
    bool ignore_merges, nfc, add_bos;
} pre_tokenizers[] = {
    {"gpt-2", false, {NULL}, false, false, false},
    {"smollm", true, {NULL}, false, false, false},
    {"llama-bpe", false, {llama3_split}, true, false, true},
    {"qwen2", false, {qwen2_split}, false, true, false},
    /* What files without a name get from the programs that made them. */
    {"default", false, {"[\\p{P}\\$\\+<=>\\^~\\|]+", gpt2_split, "\\p{N}+", "[0-9][0-9][0-9]"}, false, false, false},
};

static const struct pre_tokenizer *find_pre(struct we_str name)
{
    for (size_t i = 0; i < sizeof pre_tokenizers / sizeof *pre_tokenizers; i++)
        if (we_str_equal_c(name, pre_tokenizers[i].name))
            return &pre_tokenizers[i];
    return NULL;
}

we_status we_gguf_vocab_read(const struct we_gguf *gguf, const char *path, struct we_arena *arena, struct we_gguf_vocab *v,
                             struct we_error *error)
{
    *v = (struct we_gguf_vocab){.path = path, .pre = we_str_c("default")};
    struct we_str model = we_str_c("none"), architecture;
    we_gguf_string(gguf, "tokenizer.ggml.model", &model);
    we_gguf_string(gguf, "tokenizer.ggml.pre", &v->pre);
    v->spm = we_str_equal_c(model, "llama");
    if (!v->spm && !we_str_equal_c(model, "gpt2"))
        return we_error_set(error, WE_UNSUPPORTED, "%s: a tokenizer of the kind '%.*s' cannot be converted; gpt2 and llama can",
                            path, WE_STR_ARG(model));
    const struct pre_tokenizer *pre = v->spm ? NULL : find_pre(v->pre);
    if (!v->spm && pre == NULL)
        return we_error_set(error, WE_UNSUPPORTED,
                            "%s: the pre-tokenizer '%.*s' is not known; gpt-2, smollm, llama-bpe, qwen2 and default are", path,
                            WE_STR_ARG(v->pre));
    v->phi3 = v->spm && we_gguf_string(gguf, "general.architecture", &architecture) && we_str_equal_c(architecture, "phi3");
    we_status status = read_tokens(gguf, arena, v, error);
    if (status == WE_OK)
        status = read_ids(gguf, v, error);
    v->space_prefix = v->spm;
    v->add_bos = v->spm || pre->add_bos;
    we_gguf_bool(gguf, "tokenizer.ggml.add_space_prefix", &v->space_prefix);
    we_gguf_bool(gguf, "tokenizer.ggml.add_bos_token", &v->add_bos);
    we_gguf_bool(gguf, "tokenizer.ggml.add_eos_token", &v->add_eos);
    v->add_bos = v->add_bos && v->bos != UINT32_MAX;
    v->add_eos = v->add_eos && v->eos != UINT32_MAX;
    return status;
}

/* ---- tokenizer.json ---- */

static void write_token(struct we_buf *out, const struct we_gguf_vocab *v, uint32_t id)
{
    we_json_write_string(out, v->tokens[id], false);
}

static bool is_added(const struct we_gguf_vocab *v, uint32_t id)
{
    enum we_gguf_token_type type = we_gguf_token_type(v, id);
    return type == WE_TOKEN_CONTROL || type == WE_TOKEN_USER_DEFINED || type == WE_TOKEN_UNKNOWN;
}

/* Phi-3's template puts a line feed after these, which its tokenizer takes away again. */
static bool strips_right(const struct we_gguf_vocab *v, uint32_t id)
{
    struct we_str text = v->tokens[id];
    if (!v->phi3 || we_str_equal_c(text, "<|endoftext|>"))
        return false;
    return we_str_equal_c(text, "</s>") || (we_str_starts_with(text, we_str_c("<|")) && we_str_ends_with(text, we_str_c("|>")));
}

/* The flags that tokenizer.json and tokenizer_config.json share. */
static void write_flags(struct we_buf *out, const struct we_gguf_vocab *v, uint32_t id)
{
    we_buf_append_c(out, "\"content\": ");
    write_token(out, v, id);
    we_buf_printf(out, ", \"single_word\": false, \"lstrip\": false, \"rstrip\": %s, \"normalized\": false, \"special\": %s}",
                  strips_right(v, id) ? "true" : "false",
                  we_gguf_token_type(v, id) == WE_TOKEN_USER_DEFINED ? "false" : "true");
}

static void write_added_tokens(struct we_buf *out, const struct we_gguf_vocab *v)
{
    bool first = true;
    we_buf_append_c(out, "  \"added_tokens\": [");
    for (uint32_t id = 0; id < v->count; id++) {
        if (!is_added(v, id))
            continue;
        we_buf_printf(out, "%s\n    {\"id\": %u, ", first ? "" : ",", id);
        write_flags(out, v, id);
        first = false;
    }
    we_buf_append_c(out, "\n  ],\n");
}

static const char byte_level[] =
    "{\"type\": \"ByteLevel\", \"add_prefix_space\": %s, \"trim_offsets\": true, \"use_regex\": %s}";

static void write_splitting(struct we_buf *out, const struct we_gguf_vocab *v)
{
    if (v->spm) {
        we_buf_append_c(out, "  \"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [");
        if (v->space_prefix)
            we_buf_append_c(out, "{\"type\": \"Prepend\", \"prepend\": \"\xE2\x96\x81\"}, ");
        we_buf_append_c(out, "{\"type\": \"Replace\", \"pattern\": {\"String\": \" \"}, \"content\": \"\xE2\x96\x81\"}]},\n"
                             "  \"pre_tokenizer\": null,\n");
        return;
    }
    const struct pre_tokenizer *pre = find_pre(v->pre);
    bool sequence = pre->digits || pre->splits[0];
    we_buf_printf(out, "  \"normalizer\": %s,\n  \"pre_tokenizer\": ", pre->nfc ? "{\"type\": \"NFC\"}" : "null");
    if (sequence)
        we_buf_append_c(out, "{\"type\": \"Sequence\", \"pretokenizers\": [");
    if (pre->digits)
        we_buf_append_c(out, "{\"type\": \"Digits\", \"individual_digits\": true}, ");
    for (int i = 0; i < 4 && pre->splits[i]; i++) {
        we_buf_append_c(out, "{\"type\": \"Split\", \"pattern\": {\"Regex\": ");
        we_json_write_string(out, we_str_c(pre->splits[i]), false);
        we_buf_append_c(out, "}, \"behavior\": \"Isolated\", \"invert\": false}, ");
    }
    we_buf_printf(out, byte_level, "false", pre->splits[0] ? "false" : "true");
    we_buf_append_c(out, sequence ? "]},\n" : ",\n");
}

/* What stands around a text, and around the second one of a pair. */
static void write_template(struct we_buf *out, const struct we_gguf_vocab *v, char sequence, int type_id)
{
    if (v->add_bos) {
        we_buf_append_c(out, "{\"SpecialToken\": {\"id\": ");
        write_token(out, v, v->bos);
        we_buf_printf(out, ", \"type_id\": %d}}, ", type_id);
    }
    we_buf_printf(out, "{\"Sequence\": {\"id\": \"%c\", \"type_id\": %d}}", sequence, type_id);
    if (v->add_eos) {
        we_buf_append_c(out, ", {\"SpecialToken\": {\"id\": ");
        write_token(out, v, v->eos);
        we_buf_printf(out, ", \"type_id\": %d}}", type_id);
    }
}

static void write_special(struct we_buf *out, const struct we_gguf_vocab *v, uint32_t id)
{
    write_token(out, v, id);
    we_buf_append_c(out, ": {\"id\": ");
    write_token(out, v, id);
    we_buf_printf(out, ", \"ids\": [%u], \"tokens\": [", id);
    write_token(out, v, id);
    we_buf_append_c(out, "]}");
}

static void write_post_processor(struct we_buf *out, const struct we_gguf_vocab *v)
{
    we_buf_append_c(out, "  \"post_processor\": ");
    if (!v->add_bos && !v->add_eos) {
        we_buf_append_c(out, "null,\n");
        return;
    }
    we_buf_append_c(out, "{\"type\": \"TemplateProcessing\", \"single\": [");
    write_template(out, v, 'A', 0);
    we_buf_append_c(out, "], \"pair\": [");
    write_template(out, v, 'A', 0);
    we_buf_append_c(out, ", ");
    write_template(out, v, 'B', 1);
    we_buf_append_c(out, "], \"special_tokens\": {");
    if (v->add_bos)
        write_special(out, v, v->bos);
    if (v->add_eos && !(v->add_bos && v->eos == v->bos)) {
        we_buf_append_c(out, v->add_bos ? ", " : "");
        write_special(out, v, v->eos);
    }
    we_buf_append_c(out, "}},\n");
}

static void write_decoder(struct we_buf *out, const struct we_gguf_vocab *v)
{
    we_buf_append_c(out, "  \"decoder\": ");
    if (v->spm) {
        we_buf_append_c(out, "{\"type\": \"Sequence\", \"decoders\": [{\"type\": \"Replace\", \"pattern\": {\"String\": "
                             "\"\xE2\x96\x81\"}, \"content\": \" \"}, {\"type\": \"ByteFallback\"}, {\"type\": \"Fuse\"}");
        if (v->space_prefix)
            we_buf_append_c(out, ", {\"type\": \"Strip\", \"content\": \" \", \"start\": 1, \"stop\": 0}");
        we_buf_append_c(out, "]},\n");
        return;
    }
    we_buf_printf(out, byte_level, "true", "true");
    we_buf_append_c(out, ",\n");
}

we_status we_gguf_write_tokenizer(const struct we_gguf *gguf, const struct we_gguf_vocab *v, struct we_buf *out,
                                  struct we_error *error)
{
    we_buf_append_c(out, "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n");
    write_added_tokens(out, v);
    write_splitting(out, v);
    write_post_processor(out, v);
    write_decoder(out, v);
    we_buf_append_c(out, "  \"model\": {\n    \"type\": \"BPE\",\n    \"dropout\": null,\n    \"unk_token\": ");
    if (v->spm && v->unk != UINT32_MAX)
        write_token(out, v, v->unk);
    else
        we_buf_append_c(out, "null");
    const char *spm = v->spm ? "true" : "false";
    we_buf_printf(out,
                  ",\n    \"continuing_subword_prefix\": null,\n    \"end_of_word_suffix\": null,\n    \"fuse_unk\": %s,\n"
                  "    \"byte_fallback\": %s,\n    \"ignore_merges\": %s,\n    \"vocab\": {",
                  spm, spm, !v->spm && find_pre(v->pre)->ignore_merges ? "true" : "false");
    for (uint32_t id = 0; id < v->count; id++) {
        we_buf_append_c(out, id ? ",\n      " : "\n      ");
        write_token(out, v, id);
        we_buf_printf(out, ": %u", id);
    }
    we_buf_append_c(out, "\n    },\n    \"merges\": ");
    we_status status = we_gguf_write_merges(gguf, v, out, error);
    we_buf_append_c(out, "\n  }\n}\n");
    return status == WE_OK && out->failed ? we_error_memory(error, "tokenizer.json") : status;
}

/* ---- tokenizer_config.json ---- */

static void write_named_token(struct we_buf *out, const struct we_gguf_vocab *v, const char *key, uint32_t id)
{
    we_buf_printf(out, "  \"%s\": ", key);
    if (id == UINT32_MAX)
        we_buf_append_c(out, "null");
    else
        write_token(out, v, id);
    we_buf_append_c(out, ",\n");
}

/* One template, or a list if the file names more. */
static void write_chat_template(const struct we_gguf *gguf, struct we_buf *out)
{
    struct we_str text, name;
    const struct we_gguf_value *names = we_gguf_find(gguf, "tokenizer.chat_templates");
    if (!we_gguf_string(gguf, "tokenizer.chat_template", &text))
        return;
    we_buf_append_c(out, "  \"chat_template\": ");
    if (names == NULL) {
        we_json_write_string(out, text, false);
        we_buf_append_c(out, ",\n");
        return;
    }
    we_buf_append_c(out, "[{\"name\": \"default\", \"template\": ");
    we_json_write_string(out, text, false);
    const void *cursor = NULL;
    while (we_gguf_next_string(names, &cursor, &name)) {
        char key[160];
        struct we_buf full = {.limit = sizeof key};
        we_buf_append_c(&full, "tokenizer.chat_template.");
        if (we_buf_append(&full, name) && we_gguf_string(gguf, full.data, &text)) {
            we_buf_append_c(out, "}, {\"name\": ");
            we_json_write_string(out, name, false);
            we_buf_append_c(out, ", \"template\": ");
            we_json_write_string(out, text, false);
        }
        we_buf_free(&full);
    }
    we_buf_append_c(out, "}],\n");
}

we_status we_gguf_write_tokenizer_config(const struct we_gguf *gguf, const struct we_gguf_vocab *v, uint32_t context_length,
                                         struct we_buf *out, struct we_error *error)
{
    bool first = true;
    we_buf_append_c(out, "{\n  \"added_tokens_decoder\": {");
    for (uint32_t id = 0; id < v->count; id++) {
        if (!is_added(v, id))
            continue;
        we_buf_printf(out, "%s\n    \"%u\": {", first ? "" : ",", id);
        write_flags(out, v, id);
        first = false;
    }
    we_buf_append_c(out, "\n  },\n");
    write_named_token(out, v, "bos_token", v->bos);
    write_chat_template(gguf, out);
    we_buf_append_c(out, "  \"clean_up_tokenization_spaces\": false,\n");
    write_named_token(out, v, "eos_token", v->eos);
    we_buf_printf(out, "  \"model_max_length\": %u,\n", context_length);
    write_named_token(out, v, "pad_token", v->pad);
    we_buf_append_c(out, "  \"tokenizer_class\": \"PreTrainedTokenizerFast\",\n  \"unk_token\": ");
    if (v->unk == UINT32_MAX)
        we_buf_append_c(out, "null");
    else
        write_token(out, v, v->unk);
    we_buf_append_c(out, "\n}\n");
    return out->failed ? we_error_memory(error, "tokenizer_config.json") : WE_OK;
}
