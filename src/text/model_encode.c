/* A piece of text to ids, by whichever model; words that were seen before in this text come from a cache. */
#include "text/tokenizer_parts.h"

#include <stdlib.h>

enum {
    CACHED_WORD = 64, /* bytes */
    CUT_WORD = 16,    /* bytes up to which a word is not cut */
    FIRST_SLOTS = 512,
    MOST_SLOTS = 1 << 18
};

struct we_word_slot {
    const char *word; /* NULL: empty */
    uint32_t length, hash;
    uint32_t first, count; /* of its ids in `known` */
};

void we_model_work_free(struct we_model_work *work)
{
    free(work->symbols);
    free(work->heap);
    free(work->nodes);
    free(work->slots);
    we_buf_free(&work->mapped);
    we_ids_free(&work->known);
}

bool we_model_work_reserve(struct we_model_work *work, size_t n)
{
    if (n <= work->capacity)
        return true;
    size_t capacity = n <= SIZE_MAX / 32 ? n + n / 2 + 64 : 0;
    uint32_t *symbols = capacity ? malloc(3 * capacity * sizeof *symbols) : NULL;
    if (symbols == NULL)
        return false;
    free(work->symbols);
    work->symbols = symbols;
    work->capacity = capacity;
    return true;
}

void we_ids_free(struct we_ids *ids)
{
    free(ids->data);
    *ids = (struct we_ids){0};
}

bool we_ids_append(struct we_ids *ids, const uint32_t *data, size_t count)
{
    if (count > ids->capacity - ids->count) {
        size_t capacity = ids->capacity + ids->capacity / 2 + count + 32;
        uint32_t *grown = capacity <= SIZE_MAX / sizeof *grown ? realloc(ids->data, capacity * sizeof *grown) : NULL;
        if (grown == NULL)
            return false;
        ids->data = grown;
        ids->capacity = capacity;
    }
    if (count)
        memcpy(ids->data + ids->count, data, count * sizeof *data);
    ids->count += count;
    return true;
}

/* ---- one word ---- */

we_status we_model_no_unk(const struct we_token_model *model, struct we_error *error)
{
    if (!model->has_unk)
        return we_error_set(error, WE_INVALID_FORMAT,
                            "the text has what is not in the tokenizer's vocabulary, which names no "
                            "unknown token");
    return we_error_set(error, WE_INVALID_FORMAT, "the tokenizer's unknown token \"%.*s\" is not in its vocabulary",
                        WE_STR_ARG(model->unk_token));
}

static we_status encode_level(const struct we_token_model *model, struct we_model_work *work, struct we_str word, size_t *count,
                              struct we_error *error)
{
    uint32_t id = we_vocab_find(&model->vocab, word);
    if (id == WE_NO_ID)
        id = model->unk_id;
    if (id == WE_NO_ID)
        return we_model_no_unk(model, error);
    if (!we_model_work_reserve(work, 1))
        return we_error_memory(error, "encoding a text");
    work->symbols[0] = id;
    *count = 1;
    return WE_OK;
}

/* The ids of a word, in work->symbols. */
static we_status encode_new(const struct we_token_model *model, struct we_model_work *work, struct we_str word, bool byte_level,
                            size_t *count, struct we_error *error)
{
    switch (model->kind) {
    case WE_MODEL_UNIGRAM:
        return we_unigram_encode(model, work, word, count, error);
    case WE_MODEL_WORD_PIECE:
        return we_word_piece_encode(model, work, word, count, error);
    case WE_MODEL_WORD_LEVEL:
        return encode_level(model, work, word, count, error);
    case WE_MODEL_BPE:
        break;
    }
    return we_bpe_encode(model, work, word, byte_level, count, error);
}

/* ---- cache ---- */

static struct we_word_slot *find_cached(struct we_model_work *work, struct we_str word, uint32_t hash)
{
    for (size_t i = hash & (work->slot_count - 1);; i = (i + 1) & (work->slot_count - 1)) {
        struct we_word_slot *slot = &work->slots[i];
        if (slot->word == NULL ||
            (slot->hash == hash && slot->length == word.length && memcmp(slot->word, word.data, word.length) == 0))
            return slot;
    }
}

/* More slots when they are half full, up to a limit. False: there is no room for another word. */
static bool grow_cache(struct we_model_work *work)
{
    if (2 * work->used < work->slot_count)
        return true;
    size_t count = work->slot_count ? 4 * work->slot_count : FIRST_SLOTS;
    struct we_word_slot *slots = count <= MOST_SLOTS ? calloc(count, sizeof *slots) : NULL;
    if (slots == NULL)
        return false;
    struct we_word_slot *old = work->slots;
    size_t old_count = work->slot_count;
    work->slots = slots;
    work->slot_count = count;
    for (size_t i = 0; i < old_count; i++)
        if (old[i].word)
            *find_cached(work, we_str(old[i].word, old[i].length), old[i].hash) = old[i];
    free(old);
    return true;
}

static we_status encode_word(const struct we_token_model *model, struct we_model_work *work, struct we_str word,
                             bool byte_level, struct we_ids *ids, struct we_error *error)
{
    bool room = word.length <= CACHED_WORD && grow_cache(work);
    uint32_t hash = 0;
    if (word.length <= CACHED_WORD && work->slots) {
        uint64_t h = we_str_hash(word, model->vocab.seed);
        hash = (uint32_t)(h ^ h >> 32);
        const struct we_word_slot *slot = find_cached(work, word, hash);
        if (slot->word) {
            bool ok = slot->count == 0 || we_ids_append(ids, work->known.data + slot->first, slot->count);
            return ok ? WE_OK : we_error_memory(error, "encoding a text");
        }
    }
    size_t count;
    we_status status = encode_new(model, work, word, byte_level, &count, error);
    if (status != WE_OK)
        return status;
    if (!we_ids_append(ids, work->symbols, count))
        return we_error_memory(error, "encoding a text");
    size_t first = work->known.count;
    if (room && first + count <= UINT32_MAX && we_ids_append(&work->known, work->symbols, count)) {
        *find_cached(work, word, hash) =
            (struct we_word_slot){word.data, (uint32_t)word.length, hash, (uint32_t)first, (uint32_t)count};
        work->used++;
    }
    return WE_OK;
}

we_status we_model_encode(const struct we_token_model *model, struct we_model_work *work, struct we_str piece, bool byte_level,
                          struct we_ids *ids, struct we_error *error)
{
    if (piece.length <= CUT_WORD || byte_level || model->bpe.junctions == NULL)
        return piece.length ? encode_word(model, work, piece, byte_level, ids, error) : WE_OK;
    we_status status = WE_OK;
    while (piece.length && status == WE_OK) {
        size_t n = we_bpe_cut(model, piece);
        status = encode_word(model, work, we_str(piece.data, n), false, ids, error);
        piece = we_str(piece.data + n, piece.length - n);
    }
    return status;
}
