#include "text/tokenizer_parts.h"

#include <stdlib.h>

enum { MOST_NODES = 1 << 24 }; /* of which an edge's key has room for the number */

void we_trie_free(struct we_trie *trie)
{
    free(trie->edges);
    *trie = (struct we_trie){0};
}

static struct we_trie_edge *find_edge(const struct we_trie *trie, uint32_t key)
{
    size_t i = we_trie_hash(key) & trie->mask;
    while (trie->edges[i].node && trie->edges[i].key != key)
        i = (i + 1) & trie->mask;
    return &trie->edges[i];
}

static bool grow(struct we_trie *trie)
{
    struct we_trie wider = {.mask = trie->edges ? 2 * trie->mask + 1 : 1023, .node_count = trie->node_count};
    wider.edges = calloc(wider.mask + 1, sizeof *wider.edges);
    if (wider.edges == NULL)
        return false;
    for (size_t i = 0; trie->edges && i <= trie->mask; i++)
        if (trie->edges[i].node)
            *find_edge(&wider, trie->edges[i].key) = trie->edges[i];
    free(trie->edges);
    *trie = wider;
    return true;
}

static we_status add_token(struct we_trie *trie, struct we_str token, uint32_t id, struct we_error *error)
{
    struct we_trie_edge *edge = NULL;
    uint32_t node = 0;
    for (size_t i = 0; i < token.length; i++) {
        if (2 * (size_t)trie->node_count > trie->mask && !grow(trie))
            return we_error_memory(error, "the tokenizer");
        uint32_t key = node << 8 | (unsigned char)token.data[i];
        edge = find_edge(trie, key);
        if (edge->node == 0) {
            if (trie->node_count == MOST_NODES)
                return we_error_set(error, WE_UNSUPPORTED, "the tokenizer's vocabulary is too large");
            *edge = (struct we_trie_edge){key, trie->node_count++, WE_NO_ID};
        }
        node = edge->node;
    }
    if (edge)
        edge->id = id;
    return WE_OK;
}

we_status we_trie_build(struct we_trie *trie, const struct we_vocab *vocab, struct we_error *error)
{
    we_trie_free(trie);
    trie->node_count = 1;
    if (!grow(trie))
        return we_error_memory(error, "the tokenizer");
    we_status status = WE_OK;
    for (size_t i = 0; i < vocab->count && status == WE_OK; i++)
        status = add_token(trie, we_str(vocab->text + vocab->entries[i].offset, vocab->entries[i].length), vocab->entries[i].id,
                           error);
    return status;
}
