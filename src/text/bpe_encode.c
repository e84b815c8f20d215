/* Byte-pair encoding of words: the pair with the lowest rank is merged first, of equal ones the leftmost. Short words
 * by looking at all pairs each time, long ones with a heap; words that were seen before in this text from a cache. */
#include "text/tokenizer_parts.h"
#include "text/unicode.h"

#include <stdlib.h>

enum {
    SHORT_WORD = 40,         /* symbols */
    CACHED_WORD = 64,        /* bytes */
    CUT_WORD = 16,           /* bytes up to which a word is not cut */
    FIRST_SLOTS = 512,
    MOST_SLOTS = 1 << 18
};

struct cache_slot {
    const char *word;        /* NULL: empty */
    uint32_t length, hash;
    uint32_t first, count;   /* of its ids in `known` */
};

struct we_bpe_work {
    uint32_t *symbols;       /* (3 * capacity): ids, then, for long words, the places of the neighbours */
    size_t capacity;
    uint64_t *heap;          /* rank and place of a pair */
    size_t heap_count, heap_capacity;
    struct we_buf mapped;    /* a word in the byte-level alphabet */
    struct cache_slot *slots;
    size_t slot_count, used;
    struct we_ids known;
};

struct we_bpe_work *we_bpe_work_new(void)
{
    return calloc(1, sizeof(struct we_bpe_work));
}

void we_bpe_work_free(struct we_bpe_work *work)
{
    if (work == NULL)
        return;
    free(work->symbols);
    free(work->heap);
    free(work->slots);
    we_buf_free(&work->mapped);
    we_ids_free(&work->known);
    free(work);
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

static bool heap_push(struct we_bpe_work *work, uint64_t key)
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

static uint64_t heap_pop(struct we_bpe_work *work)
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

static bool push_pair(const struct we_bpe *bpe, struct we_bpe_work *work, uint32_t at, uint32_t left, uint32_t right)
{
    const struct we_merge *merge = we_bpe_merge(bpe, left, right);
    return merge == NULL || heap_push(work, (uint64_t)merge->rank << 32 | at);
}

/* Symbols are a linked list; one that was merged into its left neighbour has WE_NO_ID. SIZE_MAX: memory is out. */
static size_t merge_long(const struct we_bpe *bpe, struct we_bpe_work *work, size_t n)
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

static bool reserve_symbols(struct we_bpe_work *work, size_t n)
{
    if (n <= work->capacity)
        return true;
    size_t capacity = n + n / 2 + 64;
    uint32_t *symbols = malloc(3 * capacity * sizeof *symbols);
    if (symbols == NULL)
        return false;
    free(work->symbols);
    work->symbols = symbols;
    work->capacity = capacity;
    return true;
}

/* The ids of the bytes <0x..> of a character; false if one of them is missing. */
static bool put_bytes(const struct we_bpe *bpe, struct we_str character, uint32_t *symbols, size_t *n)
{
    for (size_t i = 0; i < character.length; i++) {
        uint32_t id = bpe->byte_tokens[(unsigned char)character.data[i]];
        if (id == WE_NO_ID)
            return false;
        symbols[*n + i] = id;
    }
    *n += character.length;
    return true;
}

static uint32_t character_id(const struct we_bpe *bpe, struct we_str character)
{
    unsigned char lead = (unsigned char)character.data[0];
    return lead < 0x80 ? bpe->ascii_ids[lead] : we_vocab_find(&bpe->vocab, character);
}

/* One symbol for each character. An unknown one is its bytes, else the unknown token, else nothing; the unknown token
 * waits until a known character comes, and so stands behind bytes that came meanwhile. */
static we_status put_characters(const struct we_bpe *bpe, struct we_str text, uint32_t *symbols, size_t *n,
                                struct we_error *error)
{
    bool waiting = false;
    for (size_t i = 0; i < text.length;) {
        size_t length = we_unicode_length((unsigned char)text.data[i]);
        struct we_str character = we_str(text.data + i, length);
        i += length;
        uint32_t id = character_id(bpe, character);
        if (id != WE_NO_ID) {
            if (waiting)
                symbols[(*n)++] = bpe->unk_id;
            waiting = false;
            symbols[(*n)++] = id;
        } else if (!(bpe->byte_fallback && put_bytes(bpe, character, symbols, n)) && bpe->has_unk) {
            if (bpe->unk_id == WE_NO_ID)
                return we_error_set(error, WE_INVALID_FORMAT, "the tokenizer's unknown token \"%.*s\" is not in its vocabulary",
                                    WE_STR_ARG(bpe->unk_token));
            if (waiting && !bpe->fuse_unk)
                symbols[(*n)++] = bpe->unk_id;
            waiting = true;
        }
    }
    if (waiting)
        symbols[(*n)++] = bpe->unk_id;
    return WE_OK;
}

/* The ids of a word, in work->symbols. */
static we_status encode_new(const struct we_bpe *bpe, struct we_bpe_work *work, struct we_str word, bool byte_level,
                            size_t *count, struct we_error *error)
{
    struct we_str text = word;
    *count = 0;
    if (byte_level && (bpe->ignore_merges || !bpe->byte_ids_complete)) {
        we_buf_clear(&work->mapped);
        if (!we_byte_level_append(&work->mapped, word))
            return we_error_memory(error, "encoding a text");
        text = we_buf_str(&work->mapped);
    }
    if (!reserve_symbols(work, text.length))
        return we_error_memory(error, "encoding a text");
    uint32_t whole = bpe->ignore_merges ? we_vocab_find(&bpe->vocab, text) : WE_NO_ID;
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
        we_status status = put_characters(bpe, text, work->symbols, &n, error);
        if (status != WE_OK)
            return status;
    }
    *count = n <= SHORT_WORD ? merge_short(bpe, work->symbols, n) : merge_long(bpe, work, n);
    return *count == SIZE_MAX ? we_error_memory(error, "encoding a text") : WE_OK;
}

/* ---- cache ---- */

static struct cache_slot *find_cached(struct we_bpe_work *work, struct we_str word, uint32_t hash)
{
    for (size_t i = hash & (work->slot_count - 1);; i = (i + 1) & (work->slot_count - 1)) {
        struct cache_slot *slot = &work->slots[i];
        if (slot->word == NULL ||
            (slot->hash == hash && slot->length == word.length && memcmp(slot->word, word.data, word.length) == 0))
            return slot;
    }
}

/* More slots when they are half full, up to a limit. False: there is no room for another word. */
static bool grow_cache(struct we_bpe_work *work)
{
    if (2 * work->used < work->slot_count)
        return true;
    size_t count = work->slot_count ? 4 * work->slot_count : FIRST_SLOTS;
    struct cache_slot *slots = count <= MOST_SLOTS ? calloc(count, sizeof *slots) : NULL;
    if (slots == NULL)
        return false;
    struct cache_slot *old = work->slots;
    size_t old_count = work->slot_count;
    work->slots = slots;
    work->slot_count = count;
    for (size_t i = 0; i < old_count; i++)
        if (old[i].word)
            *find_cached(work, we_str(old[i].word, old[i].length), old[i].hash) = old[i];
    free(old);
    return true;
}

static we_status encode_word(const struct we_bpe *bpe, struct we_bpe_work *work, struct we_str word, bool byte_level,
                             struct we_ids *ids, struct we_error *error)
{
    bool room = word.length <= CACHED_WORD && grow_cache(work);
    uint32_t hash = 0;
    if (word.length <= CACHED_WORD && work->slots) {
        uint64_t h = we_str_hash(word, bpe->vocab.seed);
        hash = (uint32_t)(h ^ h >> 32);
        const struct cache_slot *slot = find_cached(work, word, hash);
        if (slot->word) {
            bool ok = slot->count == 0 || we_ids_append(ids, work->known.data + slot->first, slot->count);
            return ok ? WE_OK : we_error_memory(error, "encoding a text");
        }
    }
    size_t count;
    we_status status = encode_new(bpe, work, word, byte_level, &count, error);
    if (status != WE_OK)
        return status;
    if (!we_ids_append(ids, work->symbols, count))
        return we_error_memory(error, "encoding a text");
    size_t first = work->known.count;
    if (room && first + count <= UINT32_MAX && we_ids_append(&work->known, work->symbols, count)) {
        *find_cached(work, word, hash) =
            (struct cache_slot){word.data, (uint32_t)word.length, hash, (uint32_t)first, (uint32_t)count};
        work->used++;
    }
    return WE_OK;
}

/* Bytes of `text` up to the first place where no merge can join: two known characters that no merge has side by side. */
static size_t cut(const struct we_bpe *bpe, struct we_str text)
{
    size_t i = 0;
    uint32_t before = we_unicode_next(text, &i);
    size_t before_at = 0;
    while (i < text.length) {
        size_t next = i;
        uint32_t c = we_unicode_next(text, &next);
        if (!we_bpe_may_join(bpe, before, c) && character_id(bpe, we_str(text.data + before_at, i - before_at)) != WE_NO_ID &&
            character_id(bpe, we_str(text.data + i, next - i)) != WE_NO_ID)
            return i;
        before = c;
        before_at = i;
        i = next;
    }
    return text.length;
}

we_status we_bpe_encode(const struct we_bpe *bpe, struct we_bpe_work *work, struct we_str piece, bool byte_level,
                        struct we_ids *ids, struct we_error *error)
{
    if (piece.length <= CUT_WORD || byte_level || bpe->junctions == NULL || bpe->ignore_merges)
        return piece.length ? encode_word(bpe, work, piece, byte_level, ids, error) : WE_OK;
    we_status status = WE_OK;
    while (piece.length && status == WE_OK) {
        size_t n = cut(bpe, piece);
        status = encode_word(bpe, work, we_str(piece.data, n), false, ids, error);
        piece = we_str(piece.data + n, piece.length - n);
    }
    return status;
}
