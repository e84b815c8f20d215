#include "text/compiled.h"

#include <stdlib.h>

enum {
    VERSION = 1,
    ORDER = 0x01020304,
    ALIGNMENT = 16,
    MAX_LIMIT = 1 << 24 /* of ids */
};
static const char magic[8] = {'W', 'E', 't', 'o', 'k', 'e', 'n', 's'};

enum section { TEXT, ENTRIES, BY_ID, SLOTS, MERGES, JUNCTIONS, SCORES, EDGES, UNK_TOKEN, PREFIX, SUFFIX, REST, SECTIONS };

struct header {
    char magic[8];
    uint32_t version, order;
    uint64_t checksum; /* of all that follows it */
    uint64_t hash[2], source_size, size;
    uint64_t seed;
    uint64_t merge_count, max_characters;
    double unk_score;
    uint32_t kind, limit, vocab_size, unk_id, node_count, inside;
    uint8_t byte_fallback, has_unk, fuse_unk, ignore_merges, has_inside, unused[3];
    struct {
        uint64_t start, size; /* bytes */
    } sections[SECTIONS];
};

/* Bytes of an element, by which a section of another build's layout is known, too. */
static const uint8_t element_size[SECTIONS] = {
    1,
    sizeof(struct we_vocab_entry),
    4,
    sizeof(struct we_vocab_slot),
    sizeof(struct we_merge),
    8,
    8,
    sizeof(struct we_trie_edge),
    1,
    1,
    1,
    1,
};

/* ---- hash ---- */

static uint64_t mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t load(const char *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

/* Four lanes side by side, so that it is as fast as memory; 128 bits. */
struct we_content_hash we_content_hash(struct we_str text)
{
    static const uint64_t keys[4] = {0x9E3779B97F4A7C15u, 0xD6E8FEB86659FD93u, 0xA0761D6478BD642Fu, 0xE7037ED1A0B428DBu};
    uint64_t lanes[4] = {keys[3] ^ text.length, keys[2], keys[1], keys[0]};
    char tail[64] = {0};
    for (size_t i = 0; i < text.length; i += 64) {
        const char *p = text.data + i;
        if (text.length - i < 64) {
            memcpy(tail, p, text.length - i);
            p = tail;
        }
        for (int k = 0; k < 4; k++) /* each 8 bytes also reach the next lane, so that no product of 0 makes them vanish */
            lanes[k] = mix(load(p + 16 * k) ^ keys[k], load(p + 16 * k + 8) ^ lanes[k]) + load(p + 16 * ((k + 1) & 3)) +
                       ((lanes[k] << 23) | (lanes[k] >> 41));
    }
    uint64_t a = mix(lanes[0] ^ keys[1], lanes[1] ^ keys[2]), b = mix(lanes[2] ^ keys[3], lanes[3] ^ keys[0]);
    return (struct we_content_hash){{mix(a ^ keys[0], b ^ keys[1]) ^ lanes[0], mix(b ^ keys[2], a ^ keys[3]) ^ lanes[2]},
                                    text.length};
}

static uint64_t checksum(const void *block, size_t size)
{
    size_t from = offsetof(struct header, checksum) + sizeof(uint64_t);
    return we_content_hash(we_str((const char *)block + from, size - from)).words[0];
}

void we_compiled_seal(void *block, size_t size)
{
    if (size < sizeof(struct header))
        return;
    uint64_t sum = checksum(block, size);
    memcpy((char *)block + offsetof(struct header, checksum), &sum, sizeof sum);
}

/* ---- writing ---- */

static void put_section(struct we_buf *out, struct header *header, enum section section, const void *data, size_t count)
{
    static const char zeros[ALIGNMENT] = {0};
    we_buf_append(out, we_str(zeros, (ALIGNMENT - out->length % ALIGNMENT) % ALIGNMENT));
    header->sections[section].start = out->length;
    header->sections[section].size = (uint64_t)count * element_size[section];
    if (count)
        we_buf_append(out, we_str(data, count * element_size[section]));
}

bool we_compiled_write(const struct we_token_model *model, struct we_str rest, const struct we_content_hash *hash,
                       struct we_buf *out)
{
    const struct we_vocab *vocab = &model->vocab;
    const struct we_bpe *bpe = &model->bpe;
    struct header header;
    memset(&header, 0, sizeof header); /* the padding, too */
    memcpy(header.magic, magic, sizeof magic);
    header.version = VERSION;
    header.order = ORDER;
    memcpy(header.hash, hash->words, sizeof header.hash);
    header.source_size = hash->size;
    header.seed = vocab->seed;
    header.merge_count = bpe->merge_count;
    header.max_characters = model->word_piece.max_characters;
    header.unk_score = model->unigram.unk_score;
    header.kind = model->kind;
    header.limit = vocab->limit;
    header.vocab_size = (uint32_t)vocab->size;
    header.unk_id = model->unk_id;
    header.node_count = model->trie.node_count;
    header.inside = model->word_piece.inside;
    header.byte_fallback = model->byte_fallback;
    header.has_unk = model->has_unk;
    header.fuse_unk = bpe->fuse_unk;
    header.ignore_merges = bpe->ignore_merges;
    header.has_inside = model->word_piece.has_inside;
    size_t start = out->length;
    if (start % ALIGNMENT)
        return false;
    we_buf_append(out, we_str((const char *)&header, sizeof header));
    put_section(out, &header, TEXT, vocab->text, vocab->text_length);
    put_section(out, &header, ENTRIES, vocab->entries, vocab->count);
    put_section(out, &header, BY_ID, vocab->by_id, vocab->limit);
    put_section(out, &header, SLOTS, vocab->slots, vocab->mask + 1);
    put_section(out, &header, MERGES, bpe->merges, bpe->merges ? bpe->merge_mask + 1 : 0);
    put_section(out, &header, JUNCTIONS, bpe->junctions, bpe->junctions ? (bpe->junction_mask + 1) / 64 : 0);
    put_section(out, &header, SCORES, model->unigram.scores, model->unigram.scores ? vocab->count : 0);
    put_section(out, &header, EDGES, model->trie.edges, model->trie.edges ? model->trie.mask + 1 : 0);
    put_section(out, &header, UNK_TOKEN, model->unk_token.data, model->unk_token.length);
    put_section(out, &header, PREFIX, bpe->prefix.data, bpe->prefix.length);
    put_section(out, &header, SUFFIX, bpe->suffix.data, bpe->suffix.length);
    put_section(out, &header, REST, rest.data, rest.length);
    if (out->failed)
        return false;
    header.size = out->length - start;
    memcpy(out->data + start, &header, sizeof header);
    we_compiled_seal(out->data + start, out->length - start);
    return true;
}

/* ---- reading ---- */

struct reading {
    const struct header *header;
    char *block;
    struct we_token_model *model;
};

static void *section_at(const struct reading *r, enum section section, size_t *count)
{
    *count = (size_t)r->header->sections[section].size / element_size[section];
    return r->block + r->header->sections[section].start;
}

static bool check_header(const struct header *h, size_t size, const struct we_content_hash *hash)
{
    if (memcmp(h->magic, magic, sizeof magic) != 0 || h->version != VERSION || h->order != ORDER || h->size != size ||
        memcmp(h->hash, hash->words, sizeof h->hash) != 0 || h->source_size != hash->size || checksum(h, size) != h->checksum)
        return false;
    for (int i = 0; i < SECTIONS; i++)
        if (h->sections[i].start > size || h->sections[i].size > size - h->sections[i].start ||
            h->sections[i].start % ALIGNMENT || h->sections[i].size % element_size[i])
            return false;
    return h->kind <= WE_MODEL_WORD_LEVEL && h->limit <= MAX_LIMIT && (h->unk_id == WE_NO_ID || h->unk_id < h->limit) &&
           h->byte_fallback <= 1 && h->has_unk <= 1 && h->fuse_unk <= 1 && h->ignore_merges <= 1 && h->has_inside <= 1;
}

static bool is_power_of_two(size_t n)
{
    return n && (n & (n - 1)) == 0;
}

static bool begins_character(const struct we_vocab *vocab, size_t at)
{
    return at == vocab->text_length || ((unsigned char)vocab->text[at] & 0xC0) != 0x80;
}

static bool read_vocab(struct reading *r)
{
    struct we_vocab *vocab = &r->model->vocab;
    size_t ids, slots, empty = 0;
    vocab->text = section_at(r, TEXT, &vocab->text_length);
    vocab->entries = section_at(r, ENTRIES, &vocab->count);
    vocab->by_id = section_at(r, BY_ID, &ids);
    vocab->slots = section_at(r, SLOTS, &slots);
    vocab->size = r->header->vocab_size;
    vocab->limit = r->header->limit;
    vocab->seed = r->header->seed;
    vocab->mask = slots - 1;
    if (ids != vocab->limit || !is_power_of_two(slots) || vocab->size > vocab->count || vocab->text_length > UINT32_MAX ||
        we_utf8_valid_prefix(we_str(vocab->text, vocab->text_length)) != vocab->text_length)
        return false;
    for (size_t i = 0; i < vocab->count; i++) {
        const struct we_vocab_entry *entry = &vocab->entries[i];
        if (entry->offset > vocab->text_length || entry->length > vocab->text_length - entry->offset ||
            entry->id >= vocab->limit || !begins_character(vocab, entry->offset) ||
            !begins_character(vocab, (size_t)entry->offset + entry->length))
            return false;
    }
    for (size_t i = 0; i < ids; i++)
        if (vocab->by_id[i] > vocab->count)
            return false;
    for (size_t i = 0; i < slots; i++) {
        empty += vocab->slots[i].entry == 0;
        if (vocab->slots[i].entry > vocab->count)
            return false;
    }
    return empty > 0; /* where searching ends */
}

static bool read_merges(struct reading *r)
{
    struct we_bpe *bpe = &r->model->bpe;
    const uint32_t limit = r->header->limit;
    size_t slots, words, empty = 0;
    bpe->merges = section_at(r, MERGES, &slots);
    bpe->junctions = section_at(r, JUNCTIONS, &words);
    if (!is_power_of_two(slots) || (words && !is_power_of_two(words)))
        return false;
    for (size_t i = 0; i < slots; i++) {
        const struct we_merge *merge = &bpe->merges[i];
        if (merge->rank == WE_NO_ID)
            empty++;
        else if (merge->left >= limit || merge->right >= limit || merge->result >= limit)
            return false;
    }
    bpe->merge_mask = slots - 1;
    bpe->merge_count = (size_t)r->header->merge_count;
    bpe->junction_mask = 64 * words - 1;
    if (words == 0)
        bpe->junctions = NULL;
    return empty > 0;
}

static bool read_trie(struct reading *r)
{
    struct we_trie *trie = &r->model->trie;
    size_t slots, empty = 0;
    /* Of Unigram an id is an index of the scores. */
    const size_t limit = r->model->kind == WE_MODEL_UNIGRAM ? r->model->vocab.count : r->model->vocab.limit;
    trie->edges = section_at(r, EDGES, &slots);
    trie->mask = slots - 1;
    trie->node_count = r->header->node_count;
    if (!is_power_of_two(slots))
        return false;
    for (size_t i = 0; i < slots; i++) {
        empty += trie->edges[i].node == 0;
        if (trie->edges[i].id != WE_NO_ID && trie->edges[i].id >= limit)
            return false;
    }
    return empty > 0;
}

static bool read_kind(struct reading *r)
{
    struct we_token_model *model = r->model;
    size_t scores;
    switch (model->kind) {
    case WE_MODEL_BPE:
        return read_merges(r);
    case WE_MODEL_UNIGRAM:
        model->unigram.scores = section_at(r, SCORES, &scores);
        model->unigram.unk_score = r->header->unk_score;
        return scores == model->vocab.count && read_trie(r);
    case WE_MODEL_WORD_PIECE:
        model->word_piece.inside = r->header->inside;
        model->word_piece.has_inside = r->header->has_inside;
        model->word_piece.max_characters = (size_t)r->header->max_characters;
        return read_trie(r);
    case WE_MODEL_WORD_LEVEL:
        break;
    }
    return true;
}

/* False also where memory is out: the file itself is then read, and says so. */
static bool read_text(struct reading *r, enum section section, struct we_arena *arena, struct we_str *text)
{
    size_t length;
    const char *data = section_at(r, section, &length);
    const char *copy = we_arena_copy(arena, we_str(data, length));
    *text = we_str(copy, length);
    return copy && we_utf8_valid_prefix(*text) == length;
}

bool we_compiled_read(void *block, size_t size, const struct we_content_hash *hash, struct we_arena *arena,
                      struct we_token_model *model, struct we_str *rest)
{
    struct reading r = {block, block, model};
    *model = (struct we_token_model){0};
    if (size < sizeof *r.header || !check_header(r.header, size, hash))
        return false;
    model->kind = (enum we_model_kind)r.header->kind;
    model->byte_fallback = r.header->byte_fallback;
    model->has_unk = r.header->has_unk;
    model->unk_id = r.header->unk_id;
    model->bpe.fuse_unk = r.header->fuse_unk;
    model->bpe.ignore_merges = r.header->ignore_merges;
    if (!read_text(&r, UNK_TOKEN, arena, &model->unk_token) || !read_text(&r, PREFIX, arena, &model->bpe.prefix) ||
        !read_text(&r, SUFFIX, arena, &model->bpe.suffix) || !read_vocab(&r) || !read_kind(&r)) {
        *model = (struct we_token_model){0};
        return false;
    }
    size_t length;
    rest->data = section_at(&r, REST, &length);
    rest->length = length;
    we_token_model_find_fixed_ids(model);
    model->block = block;
    return true;
}
