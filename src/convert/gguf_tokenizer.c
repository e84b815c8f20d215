/* tokenizer.json and tokenizer_config.json of a GGUF's vocabulary, in the form in which Hugging Face publishes them. */
#include "convert/convert.h"

#include "base/json.h"

#include <math.h>
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
    const struct we_gguf_value *map = we_gguf_find(gguf, "tokenizer.ggml.precompiled_charsmap");
    if (map && (map->type != WE_GGUF_ARRAY || (map->element_type != WE_GGUF_U8 && map->element_type != WE_GGUF_I8) ||
                map->count > 1u << 26))
        return we_error_set(error, WE_INVALID_FORMAT, "%s: tokenizer.ggml.precompiled_charsmap is no array of bytes", v->path);
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
    /* What vocabularies of the kind have unless the file says otherwise. */
    static const struct {
        uint32_t unk, bos, eos, pad;
    } usual[] = {
        [WE_VOCAB_PIECES] = {0, 1, 2, UINT32_MAX},
        [WE_VOCAB_BYTES] = {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX},
        [WE_VOCAB_GEMMA4] = {3, 2, 1, 0},
        [WE_VOCAB_UNIGRAM] = {2, UINT32_MAX, 1, 0},
        [WE_VOCAB_WORD_PIECE] = {100, 101, 102, 0},
    };
    v->unk = usual[v->kind].unk;
    v->bos = usual[v->kind].bos;
    v->eos = usual[v->kind].eos;
    v->pad = usual[v->kind].pad;
    if (v->kind == WE_VOCAB_WORD_PIECE) { /* where what stands around a text has names of its own */
        we_status named = read_id(gguf, v, "tokenizer.ggml.cls_token_id", &v->bos, error);
        if (named == WE_OK)
            named = read_id(gguf, v, "tokenizer.ggml.seperator_token_id", &v->eos, error);
        if (named != WE_OK)
            return named;
    }
    we_status status = read_id(gguf, v, "tokenizer.ggml.bos_token_id", &v->bos, error);
    if (status == WE_OK)
        status = read_id(gguf, v, "tokenizer.ggml.eos_token_id", &v->eos, error);
    if (status == WE_OK)
        status = read_id(gguf, v, "tokenizer.ggml.unknown_token_id", &v->unk, error);
    if (status == WE_OK)
        status = read_id(gguf, v, "tokenizer.ggml.padding_token_id", &v->pad, error);
    return status;
}

we_status we_gguf_vocab_read(const struct we_gguf *gguf, const char *path, struct we_arena *arena, struct we_gguf_vocab *v,
                             struct we_error *error)
{
    *v = (struct we_gguf_vocab){.path = path, .pre = we_str_c("default")};
    struct we_str model = we_str_c("none"), architecture;
    we_gguf_string(gguf, "tokenizer.ggml.model", &model);
    we_gguf_string(gguf, "tokenizer.ggml.pre", &v->pre);
    static const char *const kinds[] = {"llama", "gpt2", "gemma4", "t5", "bert"};
    size_t kind = 0;
    while (kind < sizeof kinds / sizeof *kinds && !we_str_equal_c(model, kinds[kind]))
        kind++;
    if (kind == sizeof kinds / sizeof *kinds)
        return we_error_set(error, WE_UNSUPPORTED,
                            "%s: a tokenizer of the kind '%.*s' cannot be converted; gpt2, llama, gemma4, t5 and bert can", path,
                            WE_STR_ARG(model));
    v->kind = (enum we_gguf_vocab_kind)kind;
    const struct we_gguf_pre_tokenizer *pre = v->kind == WE_VOCAB_BYTES ? we_gguf_pre_tokenizer_find(v->pre) : NULL;
    if (v->kind == WE_VOCAB_BYTES && pre == NULL)
        return we_error_set(error, WE_UNSUPPORTED,
                            "%s: the pre-tokenizer '%.*s' is not known (gpt-2, llama-bpe, qwen2, deepseek-v3, gpt-4o, tekken and "
                            "others are); convert the model from safetensors",
                            path, WE_STR_ARG(v->pre));
    v->phi3 = v->kind == WE_VOCAB_PIECES && we_gguf_string(gguf, "general.architecture", &architecture) &&
              we_str_equal_c(architecture, "phi3");
    we_status status = read_tokens(gguf, arena, v, error);
    if (status == WE_OK)
        status = read_ids(gguf, v, error);
    v->space_prefix = v->kind == WE_VOCAB_PIECES || v->kind == WE_VOCAB_UNIGRAM;
    v->add_bos = pre ? pre->flags & WE_PRE_ADD_BOS : v->kind != WE_VOCAB_UNIGRAM;
    v->add_eos = v->kind == WE_VOCAB_UNIGRAM || v->kind == WE_VOCAB_WORD_PIECE;
    we_gguf_bool(gguf, "tokenizer.ggml.add_space_prefix", &v->space_prefix);
    we_gguf_bool(gguf, "tokenizer.ggml.add_bos_token", &v->add_bos);
    we_gguf_bool(gguf, "tokenizer.ggml.add_eos_token", &v->add_eos);
    v->add_bos = v->add_bos && v->bos != UINT32_MAX;
    v->add_eos = v->add_eos && v->eos != UINT32_MAX;
    return status;
}

/* ---- tokenizer.json ---- */

/* WordPiece's tokens stand in GGUF with a mark where a word begins, where others have a prefix where none does. */
static void write_token(struct we_buf *out, const struct we_gguf_vocab *v, uint32_t id)
{
    struct we_str token = v->tokens[id], mark = we_str_c("\xE2\x96\x81");
    struct we_buf text = {0};
    if (v->kind != WE_VOCAB_WORD_PIECE || (we_str_starts_with(token, we_str_c("[")) && we_str_ends_with(token, we_str_c("]")))) {
        we_json_write_string(out, token, false);
    } else if (we_str_starts_with(token, mark)) {
        we_json_write_string(out, we_str(token.data + mark.length, token.length - mark.length), false);
    } else {
        we_buf_append_c(&text, "##");
        we_buf_append(&text, token);
        we_json_write_string(out, we_buf_str(&text), false);
        out->failed = out->failed || text.failed;
    }
    we_buf_free(&text);
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

static void write_base64(struct we_buf *out, const unsigned char *data, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size && !out->failed; i += 3) {
        size_t n = size - i < 3 ? size - i : 3;
        unsigned bits = (unsigned)data[i] << 16 | (n > 1 ? (unsigned)data[i + 1] << 8 : 0) | (n > 2 ? data[i + 2] : 0);
        char text[4] = {digits[bits >> 18], digits[bits >> 12 & 63], digits[bits >> 6 & 63], digits[bits & 63]};
        for (size_t k = n + 1; k < 4; k++)
            text[k] = '=';
        we_buf_append(out, we_str(text, 4));
    }
}

static void write_metaspace(struct we_buf *out, const struct we_gguf_vocab *v)
{
    we_buf_printf(out, "{\"type\": \"Metaspace\", \"replacement\": \"\xE2\x96\x81\", \"prepend_scheme\": \"%s\", \"split\": true},\n",
                  v->space_prefix ? "always" : "never");
}

/* As Hugging Face converts a Unigram model of SentencePiece. */
static void write_unigram_splitting(const struct we_gguf *gguf, struct we_buf *out, const struct we_gguf_vocab *v)
{
    bool fewer_spaces = true;
    const struct we_gguf_value *map = we_gguf_find(gguf, "tokenizer.ggml.precompiled_charsmap");
    we_gguf_bool(gguf, "tokenizer.ggml.remove_extra_whitespaces", &fewer_spaces);
    we_buf_append_c(out, "  \"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [");
    if (map && map->count) {
        we_buf_append_c(out, "{\"type\": \"Precompiled\", \"precompiled_charsmap\": \"");
        write_base64(out, map->data, (size_t)map->count);
        we_buf_append_c(out, fewer_spaces ? "\"}, " : "\"}");
    }
    if (fewer_spaces)
        we_buf_append_c(out, "{\"type\": \"Strip\", \"strip_left\": false, \"strip_right\": true}, {\"type\": \"Replace\", "
                             "\"pattern\": {\"Regex\": \" {2,}\"}, \"content\": \"\xE2\x96\x81\"}");
    we_buf_printf(out, "]},\n  \"pre_tokenizer\": ");
    write_metaspace(out, v);
}

static void write_word_piece_splitting(const struct we_gguf *gguf, struct we_buf *out)
{
    bool lower = true, accents;
    const char *strip = "null";
    we_gguf_bool(gguf, "tokenizer.ggml.normalizer.lowercase", &lower);
    if (we_gguf_bool(gguf, "tokenizer.ggml.normalizer.strip_accents", &accents))
        strip = accents ? "true" : "false";
    we_buf_printf(out,
                  "  \"normalizer\": {\"type\": \"BertNormalizer\", \"clean_text\": true, \"handle_chinese_chars\": true, "
                  "\"strip_accents\": %s, \"lowercase\": %s},\n  \"pre_tokenizer\": {\"type\": \"BertPreTokenizer\"},\n",
                  strip, lower ? "true" : "false");
}

static void write_splitting(const struct we_gguf *gguf, struct we_buf *out, const struct we_gguf_vocab *v)
{
    static const char replace[] =
        "{\"type\": \"Replace\", \"pattern\": {\"String\": \" \"}, \"content\": \"\xE2\x96\x81\"}";
    switch (v->kind) {
    case WE_VOCAB_PIECES:
        we_buf_append_c(out, "  \"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [");
        if (v->space_prefix)
            we_buf_append_c(out, "{\"type\": \"Prepend\", \"prepend\": \"\xE2\x96\x81\"}, ");
        we_buf_printf(out, "%s]},\n  \"pre_tokenizer\": null,\n", replace);
        break;
    case WE_VOCAB_GEMMA4:
        we_buf_printf(out,
                      "  \"normalizer\": %s,\n  \"pre_tokenizer\": {\"type\": \"Split\", \"pattern\": {\"String\": \" \"}, "
                      "\"behavior\": \"MergedWithPrevious\", \"invert\": false},\n",
                      replace);
        break;
    case WE_VOCAB_UNIGRAM:
        write_unigram_splitting(gguf, out, v);
        break;
    case WE_VOCAB_WORD_PIECE:
        write_word_piece_splitting(gguf, out);
        break;
    case WE_VOCAB_BYTES:
        we_gguf_pre_tokenizer_write(we_gguf_pre_tokenizer_find(v->pre), out);
        break;
    }
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
    switch (v->kind) {
    case WE_VOCAB_PIECES:
    case WE_VOCAB_GEMMA4:
        we_buf_append_c(out, "{\"type\": \"Sequence\", \"decoders\": [{\"type\": \"Replace\", \"pattern\": {\"String\": "
                             "\"\xE2\x96\x81\"}, \"content\": \" \"}, {\"type\": \"ByteFallback\"}, {\"type\": \"Fuse\"}");
        if (v->space_prefix)
            we_buf_append_c(out, ", {\"type\": \"Strip\", \"content\": \" \", \"start\": 1, \"stop\": 0}");
        we_buf_append_c(out, "]},\n");
        break;
    case WE_VOCAB_UNIGRAM:
        write_metaspace(out, v);
        break;
    case WE_VOCAB_WORD_PIECE:
        we_buf_append_c(out, "{\"type\": \"WordPiece\", \"prefix\": \"##\", \"cleanup\": true},\n");
        break;
    case WE_VOCAB_BYTES:
        we_buf_append_c(out, "{\"type\": \"ByteLevel\", \"add_prefix_space\": true, \"trim_offsets\": true, \"use_regex\": "
                             "true},\n");
        break;
    }
}

/* ---- models ---- */

static void write_unk_token(struct we_buf *out, const struct we_gguf_vocab *v)
{
    we_buf_append_c(out, "    \"unk_token\": ");
    if (v->kind != WE_VOCAB_BYTES && v->unk != UINT32_MAX)
        write_token(out, v, v->unk);
    else
        we_buf_append_c(out, "null");
    we_buf_append_c(out, ",\n");
}

static void write_vocab(struct we_buf *out, const struct we_gguf_vocab *v)
{
    we_buf_append_c(out, "    \"vocab\": {");
    for (uint32_t id = 0; id < v->count; id++) {
        we_buf_append_c(out, id ? ",\n      " : "\n      ");
        write_token(out, v, id);
        we_buf_printf(out, ": %u", id);
    }
    we_buf_append_c(out, "\n    }");
}

static we_status write_bpe(const struct we_gguf *gguf, const struct we_gguf_vocab *v, struct we_buf *out, struct we_error *error)
{
    const char *pieces = v->kind == WE_VOCAB_BYTES ? "false" : "true";
    bool whole = v->kind == WE_VOCAB_BYTES && we_gguf_pre_tokenizer_find(v->pre)->flags & WE_PRE_WHOLE_WORDS;
    we_buf_append_c(out, "    \"type\": \"BPE\",\n    \"dropout\": null,\n");
    write_unk_token(out, v);
    we_buf_printf(out,
                  "    \"continuing_subword_prefix\": null,\n    \"end_of_word_suffix\": null,\n    \"fuse_unk\": %s,\n"
                  "    \"byte_fallback\": %s,\n    \"ignore_merges\": %s,\n",
                  pieces, pieces, whole ? "true" : "false");
    write_vocab(out, v);
    we_buf_append_c(out, ",\n    \"merges\": ");
    return we_gguf_write_merges(gguf, v, out, error);
}

static we_status write_unigram(const struct we_gguf *gguf, const struct we_gguf_vocab *v, struct we_buf *out,
                               struct we_error *error)
{
    const struct we_gguf_value *scores = we_gguf_find(gguf, "tokenizer.ggml.scores");
    bool bytes = false;
    if (scores == NULL || scores->type != WE_GGUF_ARRAY || scores->element_type != WE_GGUF_F32 || scores->count != v->count)
        return we_error_set(error, WE_INVALID_FORMAT,
                            "%s: tokenizer.ggml.scores is no array with a number for each of the %u tokens", v->path, v->count);
    for (uint32_t id = 0; id < v->count; id++)
        bytes = bytes || we_gguf_token_type(v, id) == WE_TOKEN_BYTE;
    we_buf_append_c(out, "    \"type\": \"Unigram\",\n    \"unk_id\": ");
    if (v->unk == UINT32_MAX)
        we_buf_append_c(out, "null");
    else
        we_buf_printf(out, "%u", v->unk);
    we_buf_append_c(out, ",\n    \"vocab\": [");
    for (uint32_t id = 0; id < v->count; id++) {
        double score = (double)we_load_float(scores->data, WE_F32, id);
        if (!isfinite(score))
            return we_error_set(error, WE_INVALID_FORMAT, "%s: the score of token %u is no finite number", v->path, id);
        we_buf_append_c(out, id ? ",\n      [" : "\n      [");
        write_token(out, v, id);
        we_buf_append_c(out, ", ");
        we_json_write_double(out, score);
        we_buf_append_byte(out, ']');
    }
    we_buf_printf(out, "\n    ],\n    \"byte_fallback\": %s", bytes ? "true" : "false");
    return WE_OK;
}

static we_status write_word_piece(const struct we_gguf_vocab *v, struct we_buf *out)
{
    we_buf_append_c(out, "    \"type\": \"WordPiece\",\n");
    write_unk_token(out, v);
    we_buf_append_c(out, "    \"continuing_subword_prefix\": \"##\",\n    \"max_input_chars_per_word\": 100,\n");
    write_vocab(out, v);
    return WE_OK;
}

we_status we_gguf_write_tokenizer(const struct we_gguf *gguf, const struct we_gguf_vocab *v, struct we_buf *out,
                                  struct we_error *error)
{
    we_buf_append_c(out, "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n");
    write_added_tokens(out, v);
    write_splitting(gguf, out, v);
    write_post_processor(out, v);
    write_decoder(out, v);
    we_buf_append_c(out, "  \"model\": {\n");
    we_status status = v->kind == WE_VOCAB_UNIGRAM      ? write_unigram(gguf, v, out, error)
                       : v->kind == WE_VOCAB_WORD_PIECE ? write_word_piece(v, out)
                                                        : write_bpe(gguf, v, out, error);
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
