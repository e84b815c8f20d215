/* Byte-pair encoding of words: the pair with the lowest rank is merged first, of equal ones the leftmost. Short words
 * by looking at all pairs each time, long ones with a heap. */
#include "text/tokenizer_parts.h"
#include "text/unicode.h"

#include <stdlib.h>

enum { SHORT_WORD = 40 /* symbols */ };

/* ---- merging ---- */

static size_t merge_short(const struct we_bpe *bpe, uint32_t *ids, size_t n)
{
    uint32_t ranks[SHORT_WORD], results[SHORT_WORD];
    for (size_t i = 0; i + 1 < n; i++) {
        const struct we_merge *merge = we_bpe_merge(bpe, ids[i], ids[i + 1]);
        ranks[i] = merge ? merge->rank : WE_NO_ID;
        results[i] = merge ? merge->result : 0;
    }
    while (n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++)
            if (ranks[i] < ranks[best])
                best = i;
        if (ranks[best] == WE_NO_ID)
            break;
        ids[best] = results[best];
        n--;
        for (size_t i = best + 1; i < n; i++) {
            ids[i] = ids[i + 1];
            ranks[i - 1] = ranks[i];
            results[i - 1] = results[i];
        }
        for (size_t i = best ? best - 1 : 0; i <= best && i + 1 < n; i++) {
            const struct we_merge *merge = we_bpe_merge(bpe, ids[i], ids[i + 1]);
            ranks[i] = merge ? merge->rank : WE_NO_ID;
            results[i] = merge ? merge->result : 0;
        }
    }
    return n;
}

static bool heap_push(struct we_model_work *work, uint64_t key)
{
    if (work->heap_count == work->heap_capacity) {
        size_t capacity = work->heap_capacity ? 2 * work->heap_capacity : 256;
        uint64_t *heap = realloc(work->heap, capacity * sizeof *heap);
        if (heap == NULL)
            return false;
        work->heap = heap;
        work->heap_capacity = capacity;
    }
    size_t i = work->heap_count++;
    while (i > 0 && work->heap[(i - 1) / 4] > key) {
        work->heap[i] = work->heap[(i - 1) / 4];
        i = (i - 1) / 4;
    }
    work->heap[i] = key;
    return true;
}

static uint64_t heap_pop(struct we_model_work *work)
{
    uint64_t *heap = work->heap, top = heap[0];
    size_t n = --work->heap_count, i = 0;
    uint64_t key = heap[n];
    for (;;) {
        size_t child = 4 * i + 1, least = child;
        if (child >= n)
            break;
        for (size_t k = child + 1; k < child + 4 && k < n; k++)
            if (heap[k] < heap[least])
                least = k;
        if (heap[least] >= key)
            break;
        heap[i] = heap[least];
        i = least;
    }
    heap[i] = key;
    return top;
}

static bool push_pair(const struct we_bpe *bpe, struct we_model_work *work, uint32_t at, uint32_t left, uint32_t right)
{
    const struct we_merge *merge = we_bpe_merge(bpe, left, right);
    return merge == NULL || heap_push(work, (uint64_t)merge->rank << 32 | at);
}

/* Symbols are a linked list; one that was merged into its left neighbour has WE_NO_ID. SIZE_MAX: memory is out. */
static size_t merge_long(const struct we_bpe *bpe, struct we_model_work *work, size_t n)
{
    uint32_t *ids = work->symbols, *before = ids + work->capacity, *after = before + work->capacity;
    const uint32_t end = (uint32_t)n;
    work->heap_count = 0;
    for (uint32_t i = 0; i < end; i++) {
        before[i] = i - 1; /* of the first: WE_NO_ID */
        after[i] = i + 1;
        if (i + 1 < end && !push_pair(bpe, work, i, ids[i], ids[i + 1]))
            return SIZE_MAX;
    }
    while (work->heap_count) {
        uint64_t key = heap_pop(work);
        uint32_t at = (uint32_t)key, next = after[at];
        if (ids[at] == WE_NO_ID || next == end)
            continue;
        const struct we_merge *merge = we_bpe_merge(bpe, ids[at], ids[next]);
        if (merge == NULL || merge->rank != key >> 32)
            continue; /* the pair that was meant is gone */
        ids[at] = merge->result;
        ids[next] = WE_NO_ID;
        after[at] = after[next];
        if (after[at] != end)
            before[after[at]] = at;
        if ((before[at] != WE_NO_ID && !push_pair(bpe, work, before[at], ids[before[at]], ids[at])) ||
            (after[at] != end && !push_pair(bpe, work, at, ids[at], ids[after[at]])))
            return SIZE_MAX;
    }
    size_t count = 0;
    for (uint32_t i = 0; i < end; i = after[i])
        ids[count++] = ids[i];
    return count;
}

/* ---- from text to symbols ---- */

/* The ids of the bytes <0x..> of a character; false if one of them is missing. */
static bool put_bytes(const struct we_token_model *model, struct we_str character, uint32_t *symbols, size_t *n)
{
    for (size_t i = 0; i < character.length; i++) {
        uint32_t id = model->byte_tokens[(unsigned char)character.data[i]];
        if (id == WE_NO_ID)
            return false;
        symbols[*n + i] = id;
    }
    *n += character.length;
    return true;
}

/* One symbol for each character. An unknown one is its bytes, else the unknown token, else nothing; the unknown token
 * waits until a known character comes, and so stands behind bytes that came meanwhile. */
static we_status put_characters(const struct we_token_model *model, struct we_model_work *work, struct we_str text, size_t *n,
                                struct we_error *error)
{
    const struct we_bpe *bpe = &model->bpe;
    const bool plain = bpe->prefix.length == 0 && bpe->suffix.length == 0;
    uint32_t *symbols = work->symbols;
    struct we_buf dressed = {0}; /* a character with its prefix and suffix */
    bool waiting = false;
    we_status status = WE_OK;
    for (size_t i = 0, length; i < text.length && status == WE_OK; i += length) {
        unsigned char lead = (unsigned char)text.data[i];
        length = we_unicode_length(lead);
        struct we_str character = we_str(text.data + i, length);
        if (!plain) {
            we_buf_clear(&dressed);
            we_buf_append(&dressed, i ? bpe->prefix : we_str("", 0));
            we_buf_append(&dressed, character);
            we_buf_append(&dressed, i + length == text.length ? bpe->suffix : we_str("", 0));
            if (dressed.failed) {
                status = we_error_memory(error, "encoding a text");
                break;
            }
            character = we_buf_str(&dressed);
        }
        uint32_t id = plain && lead < 0x80 ? bpe->ascii_ids[lead] : we_vocab_find(&model->vocab, character);
        if (id != WE_NO_ID) {
            if (waiting)
                symbols[(*n)++] = model->unk_id;
            waiting = false;
            symbols[(*n)++] = id;
        } else if (!(model->byte_fallback && put_bytes(model, character, symbols, n)) && model->has_unk) {
            if (model->unk_id == WE_NO_ID)
                status = we_model_no_unk(model, error);
            if (waiting && !bpe->fuse_unk)
                symbols[(*n)++] = model->unk_id;
            waiting = true;
        }
    }
    if (waiting)
        symbols[(*n)++] = model->unk_id;
    we_buf_free(&dressed);
    return status;
}

/* The most symbols that a word of so many bytes may begin as: where bytes stand for unknown characters, those of prefixes
 * count, too. SIZE_MAX: no one has memory for that. */
static size_t most_symbols(const struct we_token_model *model, size_t length)
{
    size_t most, prefixes = model->byte_fallback ? model->bpe.prefix.length : 0;
    if (__builtin_mul_overflow(length, prefixes + 1, &most) || most > SIZE_MAX - model->bpe.suffix.length)
        return SIZE_MAX;
    return most + model->bpe.suffix.length;
}

we_status we_bpe_encode(const struct we_token_model *model, struct we_model_work *work, struct we_str word, bool byte_level,
                        size_t *count, struct we_error *error)
{
    const struct we_bpe *bpe = &model->bpe;
    struct we_str text = word;
    *count = 0;
    if (byte_level && (bpe->ignore_merges || !bpe->byte_ids_complete)) {
        we_buf_clear(&work->mapped);
        if (!we_byte_level_append(&work->mapped, word))
            return we_error_memory(error, "encoding a text");
        text = we_buf_str(&work->mapped);
    }
    if (!we_model_work_reserve(work, most_symbols(model, text.length)))
        return we_error_memory(error, "encoding a text");
    uint32_t whole = bpe->ignore_merges ? we_vocab_find(&model->vocab, text) : WE_NO_ID;
    if (whole != WE_NO_ID) {
        work->symbols[0] = whole;
        *count = 1;
        return WE_OK;
    }
    size_t n = 0;
    if (byte_level && bpe->byte_ids_complete) {
        for (; n < word.length; n++)
            work->symbols[n] = bpe->byte_ids[(unsigned char)word.data[n]];
    } else {
        we_status status = put_characters(model, work, text, &n, error);
        if (status != WE_OK)
            return status;
    }
    *count = n <= SHORT_WORD ? merge_short(bpe, work->symbols, n) : merge_long(bpe, work, n);
    return *count == SIZE_MAX ? we_error_memory(error, "encoding a text") : WE_OK;
}
