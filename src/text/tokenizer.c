#include "text/tokenizer_parts.h"

#include "base/cache.h"
#include "base/fs.h"
#include "text/compiled.h"
#include "text/unicode.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    LEAST_COMPILED = 1 << 20, /* bytes of a tokenizer.json from which on its compiled form is kept */
    MAX_COMPILED = 1 << 30,   /* bytes of that */
    MOST_COMPILED = 16        /* how many are kept */
};

/* ---- reading ---- */

/* Where the small parts stand in the text: some need others, which may come later. SIZE_MAX: there is none. */
enum part { ADDED_TOKENS, NORMALIZER, PRE_TOKENIZER, POST_PROCESSOR, DECODER, PARTS };
struct places {
    size_t at[PARTS], end[PARTS];
};

static const char *const part_names[] = {"added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder"};

/* Reads the model, which is most of the text, and finds the other parts. `model` NULL: it was read elsewhere. */
static we_status read_model(struct we_parts_reader *parts, struct we_json_reader *json, struct we_token_model *model,
                            struct places *places)
{
    struct we_str key;
    for (size_t i = 0; i < PARTS; i++)
        places->at[i] = SIZE_MAX;
    bool has_model = false, ok = we_json_enter_object(json);
    while (ok && we_json_next_key(json, &key)) {
        if (model && we_str_equal_c(key, "model")) {
            ok = has_model ? we_json_fail(json, "a second \"model\"") == WE_OK
                           : we_token_model_read(parts, json, model) == WE_OK;
            has_model = true;
            continue;
        }
        size_t part = 0;
        while (part < PARTS && !we_str_equal_c(key, part_names[part]))
            part++;
        we_json_peek(json);
        size_t at = json->at;
        ok = we_json_skip(json);
        if (part < PARTS) {
            places->at[part] = at;
            places->end[part] = json->at;
        }
    }
    if (we_json_finish(json) == WE_OK && model && !has_model)
        we_json_fail(json, "there is no \"model\"");
    return json->status;
}

/* The tree of a part; *tree NULL if there is none. */
static we_status read_part(struct we_json_reader *json, struct we_arena *arena, size_t place, const struct we_json **tree)
{
    *tree = NULL;
    if (place == SIZE_MAX)
        return WE_OK;
    json->at = place;
    if (!we_json_skip(json))
        return json->status;
    struct we_json *parsed;
    we_status status =
        we_json_parse(we_str(json->text.data + place, json->at - place), json->name, arena, &parsed, json->error);
    *tree = parsed;
    return status;
}

static we_status read_small_parts(struct we_parts_reader *parts, struct we_json_reader *json, const struct places *places,
                                  struct we_tokenizer *tokenizer)
{
    struct we_arena arena = {0}; /* of the trees; what stays of them is copied by the parts */
    const struct we_json *tree;
    we_status status = read_part(json, parts->arena, places->at[NORMALIZER], &tree);
    if (status == WE_OK)
        status = we_normalizer_read(parts, tree, &tokenizer->normalizer);
    if (status == WE_OK)
        status = read_part(json, parts->arena, places->at[PRE_TOKENIZER], &tree);
    if (status == WE_OK)
        status = we_pre_tokenizer_read(parts, tree, &tokenizer->pre_tokenizer);
    if (status == WE_OK)
        status = read_part(json, &arena, places->at[POST_PROCESSOR], &tree);
    if (status == WE_OK)
        status = we_post_processor_read(parts, tree, &tokenizer->post_processor);
    if (status == WE_OK)
        status = read_part(json, parts->arena, places->at[DECODER], &tree);
    if (status == WE_OK)
        status = we_token_decoder_read(parts, tree, &tokenizer->decoder);
    we_arena_free(&arena);
    return status;
}

static we_status index_ids(struct we_tokenizer *tokenizer, struct we_error *error)
{
    const struct we_added_tokens *added = &tokenizer->added;
    tokenizer->vocab_size =
        tokenizer->model.vocab.limit > added->contents.limit ? tokenizer->model.vocab.limit : added->contents.limit;
    tokenizer->added_by_id = calloc((size_t)tokenizer->vocab_size + 1, sizeof *tokenizer->added_by_id);
    if (tokenizer->added_by_id == NULL)
        return we_error_memory(error, "the tokenizer");
    for (size_t i = 0; i < added->count; i++)
        tokenizer->added_by_id[added->data[i].id] = (uint32_t)i + 1;
    return WE_OK;
}

/* Everything but the model. */
static we_status read_rest(struct we_parts_reader *parts, struct we_json_reader *json, const struct places *places,
                           struct we_tokenizer *tokenizer)
{
    we_status status = read_small_parts(parts, json, places, tokenizer);
    if (status == WE_OK) {
        json->at = places->at[ADDED_TOKENS];
        status = we_added_tokens_read(parts, places->at[ADDED_TOKENS] == SIZE_MAX ? NULL : json, &tokenizer->model.vocab,
                                      tokenizer->normalizer, &tokenizer->added);
    }
    return status == WE_OK ? index_ids(tokenizer, parts->error) : status;
}

/* The compiled form of the model that was read, and the JSON of the rest. Where memory is out it is not kept. */
static void keep(const struct we_tokenizer *tokenizer, struct we_str text, const struct places *places, const char *cache_name,
                 const struct we_content_hash *hash)
{
    struct we_buf rest = {0}, compiled = {.limit = MAX_COMPILED};
    we_buf_append_byte(&rest, '{');
    for (size_t i = 0; i < PARTS; i++) {
        if (places->at[i] == SIZE_MAX)
            continue;
        we_buf_printf(&rest, "%s\"%s\":", rest.length > 1 ? "," : "", part_names[i]);
        we_buf_append(&rest, we_str(text.data + places->at[i], places->end[i] - places->at[i]));
    }
    we_buf_append_byte(&rest, '}');
    if (!rest.failed && we_compiled_write(&tokenizer->model, we_buf_str(&rest), hash, &compiled))
        we_cache_write(cache_name, we_buf_str(&compiled), MOST_COMPILED);
    we_buf_free(&rest);
    we_buf_free(&compiled);
}

/* cache_name NULL: no compiled form is kept. */
static we_status read_tokenizer(struct we_str text, const char *name, const char *cache_name,
                                const struct we_content_hash *hash, struct we_tokenizer *tokenizer, struct we_error *error)
{
    struct we_parts_reader parts = {&tokenizer->arena, name, error};
    struct we_json_reader json;
    struct places places;
    we_json_reader_init(&json, text, name, error);
    we_status status = read_model(&parts, &json, &tokenizer->model, &places);
    if (status == WE_OK)
        status = read_rest(&parts, &json, &places, tokenizer);
    const struct we_bpe *bpe = &tokenizer->model.bpe;
    bool dressed = bpe->prefix.length || bpe->suffix.length; /* then places in a word differ */
    if (status == WE_OK && tokenizer->model.kind == WE_MODEL_BPE && !dressed && !bpe->ignore_merges &&
        !we_pre_tokenizer_is_byte_level(tokenizer->pre_tokenizer) && !we_bpe_find_junctions(&tokenizer->model))
        status = we_error_memory(error, "the tokenizer");
    we_json_reader_free(&json);
    if (status == WE_OK && cache_name)
        keep(tokenizer, text, &places, cache_name, hash);
    return status;
}

static struct we_tokenizer *new_tokenizer(struct we_error *error)
{
    struct we_tokenizer *tokenizer = calloc(1, sizeof *tokenizer);
    if (tokenizer == NULL)
        we_error_memory(error, "the tokenizer");
    return tokenizer;
}

static we_status parse(struct we_str text, const char *name, const char *cache_name, const struct we_content_hash *hash,
                       struct we_tokenizer **out, struct we_error *error)
{
    *out = NULL;
    struct we_tokenizer *tokenizer = new_tokenizer(error);
    if (tokenizer == NULL)
        return WE_OUT_OF_MEMORY;
    we_status status = read_tokenizer(text, name ? name : "tokenizer.json", cache_name, hash, tokenizer, error);
    if (status != WE_OK) {
        we_tokenizer_close(tokenizer);
        return status;
    }
    *out = tokenizer;
    return WE_OK;
}

we_status we_tokenizer_parse(struct we_str text, const char *name, struct we_tokenizer **out, struct we_error *error)
{
    return parse(text, name, NULL, NULL, out, error);
}

struct we_tokenizer *we_tokenizer_from_compiled(void *block, size_t size, const struct we_content_hash *hash, const char *name)
{
    struct we_error error;
    struct we_str rest;
    struct places places;
    struct we_json_reader json;
    struct we_tokenizer *tokenizer = new_tokenizer(&error);
    if (tokenizer == NULL || !we_compiled_read(block, size, hash, &tokenizer->arena, &tokenizer->model, &rest)) {
        we_tokenizer_close(tokenizer);
        free(block);
        return NULL;
    }
    struct we_parts_reader parts = {&tokenizer->arena, name, &error};
    we_json_reader_init(&json, rest, name, &error);
    we_status status = read_model(&parts, &json, NULL, &places);
    if (status == WE_OK)
        status = read_rest(&parts, &json, &places, tokenizer);
    we_json_reader_free(&json);
    if (status != WE_OK) {
        we_tokenizer_close(tokenizer);
        return NULL;
    }
    return tokenizer;
}

we_status we_tokenizer_open(const char *directory, struct we_tokenizer **out, struct we_error *error)
{
    *out = NULL;
    struct we_arena arena = {0};
    struct we_file_map map;
    char *path = we_path_join(&arena, directory, "tokenizer.json");
    we_status status = path ? we_file_map(path, &map, error) : we_error_memory(error, "a path");
    if (status == WE_OK) {
        struct we_str text = we_str(map.data, map.size);
        if (map.size < LEAST_COMPILED) {
            status = we_tokenizer_parse(text, path, out, error);
        } else {
            char name[64];
            void *block;
            size_t size;
            struct we_content_hash hash = we_content_hash(text);
            snprintf(name, sizeof name, "tokenizer-%016llx%016llx", (unsigned long long)hash.words[0],
                     (unsigned long long)hash.words[1]);
            if (we_cache_read(name, MAX_COMPILED, &block, &size))
                *out = we_tokenizer_from_compiled(block, size, &hash, path);
            if (*out == NULL)
                status = parse(text, path, name, &hash, out, error);
        }
        we_file_unmap(&map);
    }
    we_arena_free(&arena);
    return status;
}

void we_tokenizer_close(struct we_tokenizer *tokenizer)
{
    if (tokenizer == NULL)
        return;
    we_token_model_free(&tokenizer->model);
    we_normalizer_free(tokenizer->normalizer);
    we_pre_tokenizer_free(tokenizer->pre_tokenizer);
    we_token_decoder_free(tokenizer->decoder);
    we_added_tokens_free(&tokenizer->added);
    free(tokenizer->added_by_id);
    we_arena_free(&tokenizer->arena);
    free(tokenizer);
}

/* ---- encoding ---- */

/* The text of pieces, normalised where it is no added token already, and cut at the added tokens that are looked for
 * after that. */
static we_status normalize_pieces(const struct we_tokenizer *tokenizer, struct we_regex_state *regex, struct we_pieces *pieces,
                                  struct we_error *error)
{
    if (tokenizer->normalizer == NULL && tokenizer->added.normalized.count == 0)
        return WE_OK;
    struct we_normalizer_work work = {.regex = regex, .buffers = {{.limit = WE_MAX_TEXT}, {.limit = WE_MAX_TEXT}}};
    struct we_pieces out = {.buffer = {.limit = WE_MAX_TEXT}};
    we_status status = WE_OK;
    for (size_t i = 0; i < pieces->count && status == WE_OK; i++) {
        const struct we_piece *piece = &pieces->data[i];
        size_t base = out.buffer.length, zero = piece->zero;
        bool ok = true;
        if (piece->id == WE_NO_ID) {
            status = we_normalizer_apply(tokenizer->normalizer, &work, we_str(pieces->text.data + piece->start, piece->length),
                                         &zero, &out.buffer, error);
            ok = status != WE_OK ||
                 we_added_tokens_split(&tokenizer->added, &tokenizer->added.normalized,
                                       we_str(out.buffer.data + base, out.buffer.length - base), base, zero, &out);
        } else {
            ok = we_pieces_add(&out, base, 0, 0, piece->id);
        }
        if (!ok)
            status = we_error_memory(error, "the pieces of a text");
    }
    we_buf_free(&work.buffers[0]);
    we_buf_free(&work.buffers[1]);
    we_pieces_free(pieces);
    out.text = we_buf_str(&out.buffer);
    *pieces = out;
    return status;
}

static we_status encode_pieces(const struct we_tokenizer *tokenizer, const struct we_pieces *pieces, struct we_ids *ids,
                               struct we_error *error)
{
    struct we_model_work work = {0};
    we_status status = WE_OK;
    for (size_t i = 0; i < pieces->count && status == WE_OK; i++) {
        const struct we_piece *piece = &pieces->data[i];
        if (piece->id == WE_NO_ID)
            status = we_model_encode(&tokenizer->model, &work, we_str(pieces->text.data + piece->start, piece->length),
                                     pieces->byte_level, ids, error);
        else if (!we_ids_append(ids, &piece->id, 1))
            status = we_error_memory(error, "encoding a text");
    }
    we_model_work_free(&work);
    return status;
}

/* The ids of valid UTF-8, with nothing around. */
static we_status encode_text(const struct we_tokenizer *tokenizer, struct we_str text, struct we_ids *ids, struct we_error *error)
{
    struct we_regex_state regex = {0};
    struct we_pieces pieces = {.text = text};
    size_t zero = text.length ? we_unicode_length((unsigned char)text.data[0]) : 0;
    we_status status = WE_OK;
    if (!we_added_tokens_split(&tokenizer->added, &tokenizer->added.raw, text, 0, zero, &pieces))
        status = we_error_memory(error, "the pieces of a text");
    if (status == WE_OK)
        status = normalize_pieces(tokenizer, &regex, &pieces, error);
    if (status == WE_OK)
        status =
            we_pre_tokenizer_apply(tokenizer->pre_tokenizer, &regex, tokenizer->model.kind != WE_MODEL_BPE, &pieces, error);
    if (status == WE_OK)
        status = encode_pieces(tokenizer, &pieces, ids, error);
    we_pieces_free(&pieces);
    we_regex_state_free(&regex);
    return status;
}

static we_status put_template(const struct we_tokenizer *tokenizer, struct we_str text, bool add_special, struct we_ids *ids,
                              struct we_error *error)
{
    const struct we_post_processor *post = &tokenizer->post_processor;
    if (!post->given)
        return encode_text(tokenizer, text, ids, error);
    we_status status = WE_OK;
    for (size_t i = 0; i < post->count && status == WE_OK; i++) {
        if (post->items[i].sequence)
            status = encode_text(tokenizer, text, ids, error);
        else if (add_special && !we_ids_append(ids, post->items[i].ids, post->items[i].count))
            status = we_error_memory(error, "encoding a text");
    }
    return status;
}

we_status we_tokenizer_encode(const struct we_tokenizer *tokenizer, struct we_str text, bool add_special, struct we_ids *ids,
                              struct we_error *error)
{
    size_t count = ids->count;
    struct we_buf repaired = {.limit = WE_MAX_TEXT};
    if (text.length > WE_MAX_TEXT)
        return we_error_set(error, WE_INVALID_ARGUMENT, "a text of %zu bytes; the tokenizer takes at most %d", text.length,
                            (int)WE_MAX_TEXT);
    if (text.length == 0)
        text = we_str("", 0);
    if (we_utf8_valid_prefix(text) != text.length) {
        if (!we_unicode_repair(text, &repaired)) {
            we_buf_free(&repaired);
            return we_error_memory(error, "encoding a text");
        }
        text = we_buf_str(&repaired);
    }
    we_status status = put_template(tokenizer, text, add_special, ids, error);
    if (status != WE_OK)
        ids->count = count;
    we_buf_free(&repaired);
    return status;
}

/* ---- tokens ---- */

static const struct we_added_token *added_token(const struct we_tokenizer *tokenizer, uint32_t id)
{
    if (id >= tokenizer->vocab_size || tokenizer->added_by_id[id] == 0)
        return NULL;
    return &tokenizer->added.data[tokenizer->added_by_id[id] - 1];
}

struct we_str we_tokenizer_text_of(const struct we_tokenizer *tokenizer, uint32_t id, bool *skipped)
{
    const struct we_added_token *token = added_token(tokenizer, id);
    *skipped = token && token->skipped;
    if (token)
        return token->decoded;
    struct we_str text = we_vocab_token(&tokenizer->model.vocab, id);
    /* The pieces of Unigram may repeat, and an added token has the id of the last: an earlier one is as special. */
    if (tokenizer->model.kind == WE_MODEL_UNIGRAM && text.data) {
        uint32_t last = we_vocab_find(&tokenizer->added.contents, text);
        token = last != WE_NO_ID ? added_token(tokenizer, last) : NULL;
        *skipped = token && token->special;
    }
    return text;
}

uint32_t we_tokenizer_vocab_size(const struct we_tokenizer *tokenizer)
{
    return tokenizer->vocab_size;
}

uint32_t we_tokenizer_token_id(const struct we_tokenizer *tokenizer, struct we_str token)
{
    uint32_t id = we_vocab_find(&tokenizer->added.contents, token);
    return id != WE_NO_ID ? id : we_vocab_find(&tokenizer->model.vocab, token);
}

struct we_str we_tokenizer_token(const struct we_tokenizer *tokenizer, uint32_t id)
{
    const struct we_added_token *token = added_token(tokenizer, id);
    return token ? token->content : we_vocab_token(&tokenizer->model.vocab, id);
}

bool we_tokenizer_is_special(const struct we_tokenizer *tokenizer, uint32_t id)
{
    const struct we_added_token *token = added_token(tokenizer, id);
    return token && token->special;
}

we_status we_tokenizer_decode(const struct we_tokenizer *tokenizer, const uint32_t *ids, size_t count, bool skip_special,
                              struct we_buf *text, struct we_error *error)
{
    struct we_token_stream *stream;
    size_t length = text->length;
    we_status status = we_token_stream_new(tokenizer->decoder, text, &stream, error);
    for (size_t i = 0; i < count && status == WE_OK; i++) {
        bool skipped;
        struct we_str token = we_tokenizer_text_of(tokenizer, ids[i], &skipped);
        if (token.data && !(skip_special && skipped))
            status = we_token_stream_add(stream, token, error);
    }
    if (status == WE_OK)
        status = we_token_stream_finish(stream, error);
    if (status != WE_OK && !text->failed)
        text->length = length;
    we_token_stream_free(stream);
    return status;
}
