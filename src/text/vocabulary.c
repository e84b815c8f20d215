#include "base/system.h"
#include "text/tokenizer_parts.h"

#include <stdlib.h>

void we_vocab_free(struct we_vocab *vocab)
{
    free(vocab->text);
    free(vocab->entries);
    free(vocab->by_id);
    free(vocab->slots);
    *vocab = (struct we_vocab){0};
}

bool we_vocab_add(struct we_vocab *vocab, struct we_str token, uint32_t id, size_t expected)
{
    if (token.length > UINT32_MAX - vocab->text_length)
        return false;
    if (token.length > vocab->text_capacity - vocab->text_length) {
        /* Pages that are never written cost nothing, so the first guess may be generous. */
        size_t capacity = vocab->text_capacity + vocab->text_capacity / 2 + token.length + (vocab->text ? 4096 : expected);
        char *text = realloc(vocab->text, capacity);
        if (text == NULL)
            return false;
        vocab->text = text;
        vocab->text_capacity = capacity;
    }
    if (vocab->count == vocab->capacity) {
        size_t capacity = vocab->capacity ? 2 * vocab->capacity : 1024;
        struct we_vocab_entry *entries = realloc(vocab->entries, capacity * sizeof *entries);
        if (entries == NULL)
            return false;
        vocab->entries = entries;
        vocab->capacity = capacity;
    }
    if (token.length)
        memcpy(vocab->text + vocab->text_length, token.data, token.length);
    vocab->entries[vocab->count++] =
        (struct we_vocab_entry){(uint32_t)vocab->text_length, (uint32_t)token.length, id};
    vocab->text_length += token.length;
    if (id >= vocab->limit)
        vocab->limit = id + 1;
    return true;
}

static struct we_vocab_slot *find_slot(const struct we_vocab *vocab, struct we_str token, uint32_t hash)
{
    for (size_t i = hash & vocab->mask;; i = (i + 1) & vocab->mask) {
        struct we_vocab_slot *slot = &vocab->slots[i];
        if (slot->entry == 0)
            return slot;
        const struct we_vocab_entry *entry = &vocab->entries[slot->entry - 1];
        if (slot->hash == hash && entry->length == token.length &&
            (token.length == 0 || memcmp(vocab->text + entry->offset, token.data, token.length) == 0))
            return slot;
    }
}

static uint32_t hash_of(const struct we_vocab *vocab, struct we_str token)
{
    uint64_t h = we_str_hash(token, vocab->seed);
    return (uint32_t)(h ^ h >> 32);
}

bool we_vocab_finish(struct we_vocab *vocab)
{
    char *fitting = vocab->text_length ? realloc(vocab->text, vocab->text_length) : NULL;
    if (fitting) {
        vocab->text = fitting;
        vocab->text_capacity = vocab->text_length;
    }
    size_t slots = 16;
    while (slots < 2 * vocab->count)
        slots *= 2;
    vocab->seed = we_random_u64();
    vocab->mask = slots - 1;
    vocab->slots = calloc(slots, sizeof *vocab->slots);
    vocab->by_id = calloc(vocab->limit ? vocab->limit : 1, sizeof *vocab->by_id);
    if (vocab->slots == NULL || vocab->by_id == NULL)
        return false;
    for (size_t i = 0; i < vocab->count; i++) {
        struct we_str token = we_str(vocab->text + vocab->entries[i].offset, vocab->entries[i].length);
        uint32_t hash = hash_of(vocab, token);
        struct we_vocab_slot *slot = find_slot(vocab, token, hash);
        if (slot->entry) {
            uint32_t *before = &vocab->by_id[vocab->entries[slot->entry - 1].id];
            *before = *before == slot->entry ? 0 : *before;
        } else {
            vocab->size++;
        }
        *slot = (struct we_vocab_slot){hash, (uint32_t)i + 1};
        vocab->by_id[vocab->entries[i].id] = (uint32_t)i + 1;
    }
    return true;
}

uint32_t we_vocab_find(const struct we_vocab *vocab, struct we_str token)
{
    if (vocab->slots == NULL)
        return WE_NO_ID;
    const struct we_vocab_slot *slot = find_slot(vocab, token, hash_of(vocab, token));
    return slot->entry ? vocab->entries[slot->entry - 1].id : WE_NO_ID;
}

struct we_str we_vocab_token(const struct we_vocab *vocab, uint32_t id)
{
    if (id >= vocab->limit || vocab->by_id == NULL || vocab->by_id[id] == 0)
        return (struct we_str){0};
    const struct we_vocab_entry *entry = &vocab->entries[vocab->by_id[id] - 1];
    return we_str(entry->length ? vocab->text + entry->offset : "", entry->length);
}
