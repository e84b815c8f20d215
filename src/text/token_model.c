/* Reading the object "model" of a tokenizer.json, of whichever kind. */
#include "text/tokenizer_parts.h"
#include "text/unicode.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    MAX_ID = (1 << 24) - 1, /* tables are as long as the highest id */
    MAX_CHARACTERS = 100    /* of a word of WordPiece */
};
static const double unk_penalty = 10; /* below the least score of Unigram */

void we_token_model_free(struct we_token_model *model)
{
    if (model->block) { /* of a compiled form */
        free(model->block);
    } else {
        we_vocab_free(&model->vocab);
        we_trie_free(&model->trie);
        free(model->bpe.merges);
        free(model->bpe.junctions);
        free(model->unigram.scores);
    }
    *model = (struct we_token_model){0};
}

void we_token_model_find_fixed_ids(struct we_token_model *model)
{
    char text[8];
    for (unsigned b = 0; b < 256; b++) {
        snprintf(text, sizeof text, "<0x%02X>", b);
        model->byte_tokens[b] = we_vocab_find(&model->vocab, we_str(text, 6));
    }
    if (model->kind == WE_MODEL_BPE)
        we_bpe_find_fixed_ids(model);
}

/* What is known of the object while it is read. */
struct reading {
    struct we_parts_reader *parts;
    struct we_json_reader *json;
    struct we_token_model *model;
    bool has_type, has_vocab, has_scores, has_merges, merges_read, has_max_characters;
    size_t merges_at; /* where "merges" stands */
    struct we_str prefix;
    uint32_t unk_index; /* "unk_id" */
    size_t score_capacity;
};

static bool out_of_memory(struct reading *r)
{
    if (r->json->status == WE_OK)
        r->json->status = we_error_memory(r->json->error, "the tokenizer's vocabulary");
    return false;
}

static bool fail(struct reading *r, const char *what)
{
    we_json_fail(r->json, "%s", what);
    return false;
}

static bool refuse(struct reading *r, const char *what)
{
    if (r->json->status == WE_OK)
        r->json->status = we_error_set(r->json->error, WE_UNSUPPORTED, "%s: model: %s", r->json->name, what);
    return false;
}

/* ---- vocabulary ---- */

static bool add_token(struct reading *r, struct we_str token, uint32_t id)
{
    if (we_utf8_valid_prefix(token) != token.length)
        return fail(r, "a token that is no UTF-8");
    return we_vocab_add(&r->model->vocab, token, id, r->json->text.length - r->json->at) || out_of_memory(r);
}

/* {"token": id, ...} */
static bool read_object(struct reading *r)
{
    struct we_vocab *vocab = &r->model->vocab;
    struct we_str token;
    uint32_t id;
    if (!we_json_enter_object(r->json))
        return false;
    while (we_json_next_key(r->json, &token)) {
        /* The id comes after the token, whose text the reader may then have given up: keep it first. */
        if (!add_token(r, token, 0) || !we_json_read_u32(r->json, &id))
            return false;
        if (id > MAX_ID) {
            we_json_fail(r->json, "the id %u of a token; the highest supported is %d", id, (int)MAX_ID);
            return false;
        }
        vocab->entries[vocab->count - 1].id = id;
        if (id >= vocab->limit)
            vocab->limit = id + 1;
    }
    return r->json->status == WE_OK;
}

/* 10 to the power of 0 to 308, the nearest double. */
static double power_of_ten(long exponent)
{
    char text[24];
    snprintf(text, sizeof text, "1e%ld", exponent);
    return strtod(text, NULL);
}

static bool put_score(struct reading *r, double score)
{
    struct we_unigram *unigram = &r->model->unigram;
    size_t count = r->model->vocab.count;
    if (count > r->score_capacity) {
        size_t capacity = 2 * count + 1024;
        double *scores = realloc(unigram->scores, capacity * sizeof *scores);
        if (scores == NULL)
            return out_of_memory(r);
        unigram->scores = scores;
        r->score_capacity = capacity;
    }
    unigram->scores[count - 1] = score;
    return true;
}

/* A score as the package reads it: its first digits as one whole number, times or by a power of ten. That may be off by a
 * bit from the nearest double, and decides between ways to cut a word whose sums are equal but for rounding. */
static bool read_score(struct reading *r, double *score)
{
    struct we_str text;
    uint64_t digits = 0;
    long exponent = 0;
    bool behind_point = false, full = false;
    size_t i = 0;
    if (!we_json_read_number_text(r->json, &text))
        return false;
    i += text.length && text.data[0] == '-';
    for (; i < text.length && (text.data[i] == '.' || (text.data[i] >= '0' && text.data[i] <= '9')); i++) {
        uint64_t digit = (uint64_t)(text.data[i] - '0');
        if (text.data[i] == '.') {
            behind_point = true;
            continue;
        }
        full = full || digits > (UINT64_MAX - digit) / 10;
        digits = full ? digits : digits * 10 + digit;
        exponent += (full && !behind_point) - (!full && behind_point);
    }
    if (i < text.length && (text.data[i] == 'e' || text.data[i] == 'E')) {
        bool minus = text.data[++i] == '-';
        long value = 0;
        for (i += minus || text.data[i] == '+'; i < text.length; i++)
            value = value < 100000 ? value * 10 + (text.data[i] - '0') : value;
        exponent += minus ? -value : value;
    }
    if (text.data[text.length - 1] == 'y' || text.data[text.length - 1] == 'N')
        return fail(r, "a score that is no number"); /* but Infinity or NaN */
    double x = (double)digits;
    for (; exponent < -308 && x != 0; exponent += 308)
        x /= 1e308;
    if (x != 0)
        x = exponent > 308 ? HUGE_VAL : exponent >= 0 ? x * power_of_ten(exponent) : x / power_of_ten(-exponent);
    if (!isfinite(x))
        return fail(r, "a score that is too large");
    *score = text.length && text.data[0] == '-' ? -x : x;
    return true;
}

/* [["token", score], ...]: the id is the place in the list. */
static bool read_list(struct reading *r)
{
    struct we_vocab *vocab = &r->model->vocab;
    struct we_json_reader *json = r->json;
    struct we_str token;
    double score;
    if (!we_json_enter_array(json))
        return false;
    while (we_json_next_element(json)) {
        if (vocab->count > MAX_ID)
            return fail(r, "more tokens than are supported");
        bool ok = we_json_enter_array(json) && (we_json_next_element(json) || fail(r, "a token without a text")) &&
                  we_json_read_string(json, &token) && add_token(r, token, (uint32_t)vocab->count) &&
                  (we_json_next_element(json) || fail(r, "a token without a score")) && read_score(r, &score) &&
                  put_score(r, score);
        if (ok && we_json_next_element(json))
            return fail(r, "a token with more than a text and a score");
        if (!ok || json->status != WE_OK)
            return false;
    }
    r->has_scores = true;
    return json->status == WE_OK;
}

static bool read_vocab(struct reading *r)
{
    we_vocab_free(&r->model->vocab); /* a second "vocab" replaces the first */
    r->has_scores = false;
    bool ok = we_json_peek(r->json) == WE_JSON_ARRAY ? read_list(r) : read_object(r);
    if (ok && !we_vocab_finish(&r->model->vocab))
        ok = out_of_memory(r);
    r->has_vocab = ok;
    return ok;
}

/* ---- the other members ---- */

/* A text that stays; null and an empty one are the same. */
static bool read_text(struct reading *r, struct we_str *text, bool *given)
{
    struct we_str read;
    if (we_json_peek(r->json) == WE_JSON_NULL)
        return we_json_read_null(r->json);
    if (!we_json_read_string(r->json, &read))
        return false;
    if (we_utf8_valid_prefix(read) != read.length)
        return fail(r, "a text that is no UTF-8");
    char *copy = we_arena_copy(r->parts->arena, read);
    if (copy == NULL)
        return out_of_memory(r);
    *text = we_str(copy, read.length);
    if (given)
        *given = true;
    return true;
}

static bool read_flag(struct we_json_reader *json, bool *flag)
{
    return we_json_peek(json) == WE_JSON_NULL ? we_json_read_null(json) : we_json_read_bool(json, flag);
}

static bool read_type(struct reading *r)
{
    static const char *const names[] = {"BPE", "Unigram", "WordPiece", "WordLevel"};
    struct we_str type;
    if (!we_json_read_string(r->json, &type))
        return false;
    r->has_type = true;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (we_str_equal_c(type, names[i])) {
            r->model->kind = (enum we_model_kind)i;
            return true;
        }
    }
    char what[160];
    snprintf(what, sizeof what, "the type \"%.*s\" is not supported (BPE, Unigram, WordPiece and WordLevel are)",
             (int)(type.length > 60 ? 60 : type.length), type.data);
    return refuse(r, what);
}

static bool read_dropout(struct reading *r)
{
    double dropout = 0;
    if (we_json_peek(r->json) == WE_JSON_NULL)
        return we_json_read_null(r->json);
    return we_json_read_double(r->json, &dropout) && (dropout == 0 || refuse(r, "dropout other than 0 is not supported"));
}

static bool read_unk_id(struct reading *r)
{
    return we_json_peek(r->json) == WE_JSON_NULL ? we_json_read_null(r->json) : we_json_read_u32(r->json, &r->unk_index);
}

static bool read_max_characters(struct reading *r)
{
    uint64_t most = 0;
    bool ok = we_json_read_u64(r->json, &most);
    r->model->word_piece.max_characters = (size_t)most;
    r->has_max_characters = ok;
    return ok;
}

static bool read_prefix(struct reading *r)
{
    struct we_str before = r->prefix;
    if (!read_text(r, &r->prefix, NULL))
        return false;
    if (!we_str_equal(before, r->prefix)) /* it tells what merges make */
        r->merges_read = false;
    r->model->bpe.prefix = r->prefix;
    return true;
}

/* Merges name tokens of the vocabulary: if that comes later, they are read again behind everything. */
static bool read_merges(struct reading *r)
{
    we_json_peek(r->json);
    r->merges_at = r->json->at;
    r->has_merges = true;
    r->merges_read = r->has_vocab && !r->has_scores;
    return r->merges_read ? we_bpe_read_merges(r->json, r->model) : we_json_skip(r->json);
}

static bool read_member(struct reading *r, struct we_str key)
{
    struct we_token_model *model = r->model;
    if (we_str_equal_c(key, "type"))
        return read_type(r);
    if (we_str_equal_c(key, "vocab"))
        return read_vocab(r);
    if (we_str_equal_c(key, "merges"))
        return read_merges(r);
    if (we_str_equal_c(key, "unk_token"))
        return read_text(r, &model->unk_token, &model->has_unk);
    if (we_str_equal_c(key, "unk_id"))
        return read_unk_id(r);
    if (we_str_equal_c(key, "dropout"))
        return read_dropout(r);
    if (we_str_equal_c(key, "continuing_subword_prefix"))
        return read_prefix(r);
    if (we_str_equal_c(key, "end_of_word_suffix"))
        return read_text(r, &model->bpe.suffix, NULL);
    if (we_str_equal_c(key, "max_input_chars_per_word"))
        return read_max_characters(r);
    if (we_str_equal_c(key, "fuse_unk"))
        return read_flag(r->json, &model->bpe.fuse_unk);
    if (we_str_equal_c(key, "byte_fallback"))
        return read_flag(r->json, &model->byte_fallback);
    if (we_str_equal_c(key, "ignore_merges"))
        return read_flag(r->json, &model->bpe.ignore_merges);
    return we_json_skip(r->json);
}

/* ---- the whole ---- */

/* Files of old have no type: their members tell it. */
static bool find_kind(struct reading *r)
{
    struct we_token_model *model = r->model;
    if (r->has_type)
        return true;
    if (r->has_vocab && r->has_scores)
        model->kind = WE_MODEL_UNIGRAM;
    else if (r->has_vocab && r->has_merges)
        model->kind = WE_MODEL_BPE;
    else if (r->has_vocab && r->has_max_characters)
        model->kind = WE_MODEL_WORD_PIECE;
    else
        return fail(r, "the model has no \"type\"; BPE is supported, as are Unigram, WordPiece and WordLevel");
    return true;
}

static bool finish_bpe(struct reading *r)
{
    if (!r->has_merges)
        return fail(r, "the model has no \"merges\"");
    if (!r->merges_read) {
        size_t end = r->json->at;
        r->json->at = r->merges_at;
        if (!we_bpe_read_merges(r->json, r->model))
            return false;
        r->json->at = end;
    }
    return true;
}

static bool finish_unigram(struct reading *r)
{
    struct we_token_model *model = r->model;
    double least = 0;
    model->has_unk = r->unk_index != WE_NO_ID;
    if (model->has_unk && r->unk_index >= model->vocab.count)
        return fail(r, "the \"unk_id\" of the model is no index of its vocabulary");
    for (size_t i = 0; i < model->vocab.count; i++)
        model->vocab.by_id[i] = (uint32_t)i + 1; /* also of a token that occurs again */
    model->vocab.size = model->vocab.count;
    for (size_t i = 0; i < model->vocab.count; i++)
        if (i == 0 || model->unigram.scores[i] < least)
            least = model->unigram.scores[i];
    model->unigram.unk_score = least - unk_penalty;
    model->unk_id = r->unk_index;
    r->json->status = we_trie_build(&model->trie, &model->vocab, r->json->error);
    return r->json->status == WE_OK;
}

static bool finish_word_piece(struct reading *r)
{
    struct we_token_model *model = r->model;
    struct we_word_piece *pieces = &model->word_piece;
    r->json->status = we_trie_build(&model->trie, &model->vocab, r->json->error);
    if (r->json->status != WE_OK)
        return false;
    pieces->has_inside = r->prefix.length > 0;
    pieces->inside = 0;
    for (size_t i = 0; i < r->prefix.length && pieces->inside != WE_NO_ID; i++) {
        const struct we_trie_edge *edge = we_trie_step(&model->trie, pieces->inside, (unsigned char)r->prefix.data[i]);
        pieces->inside = edge ? edge->node : WE_NO_ID;
    }
    return true;
}

static bool finish(struct reading *r)
{
    struct we_token_model *model = r->model;
    if (!find_kind(r))
        return false;
    if (!r->has_vocab)
        return fail(r, "the model has no \"vocab\"");
    if (r->has_scores != (model->kind == WE_MODEL_UNIGRAM))
        return fail(r, r->has_scores ? "the \"vocab\" of the model is a list, where an object was expected"
                                     : "the \"vocab\" of the model is an object, where a list was expected");
    we_token_model_find_fixed_ids(model);
    if (model->kind != WE_MODEL_UNIGRAM)
        model->unk_id = model->has_unk ? we_vocab_find(&model->vocab, model->unk_token) : WE_NO_ID;
    switch (model->kind) {
    case WE_MODEL_UNIGRAM:
        return finish_unigram(r);
    case WE_MODEL_WORD_PIECE:
        return finish_word_piece(r);
    case WE_MODEL_WORD_LEVEL:
        return true;
    case WE_MODEL_BPE:
        break;
    }
    return finish_bpe(r);
}

we_status we_token_model_read(struct we_parts_reader *parts, struct we_json_reader *json, struct we_token_model *model)
{
    struct reading r = {.parts = parts, .json = json, .model = model, .merges_at = SIZE_MAX, .unk_index = WE_NO_ID};
    struct we_str key;
    model->word_piece.max_characters = MAX_CHARACTERS;
    bool ok = we_json_enter_object(json);
    while (ok && we_json_next_key(json, &key))
        ok = read_member(&r, key);
    if (ok && json->status == WE_OK)
        finish(&r);
    return json->status;
}
