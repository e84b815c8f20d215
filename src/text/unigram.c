/* Unigram: of all ways to cut a word into pieces the one with the greatest sum of scores. (T. Kudo, "Subword
 * Regularization", 2018.) A character that no piece covers alone is unknown; unknown ones side by side are one piece. */
#include "text/tokenizer_parts.h"
#include "text/unicode.h"

#include <stdlib.h>

static bool reserve_nodes(struct we_model_work *work, size_t n)
{
    if (n <= work->node_capacity)
        return true;
    size_t capacity = n + n / 2 + 64;
    struct we_unigram_node *nodes = malloc(capacity * sizeof *nodes);
    if (nodes == NULL)
        return false;
    free(work->nodes);
    work->nodes = nodes;
    work->node_capacity = capacity;
    return true;
}

/* Whether the way is better than the one known; then it takes its place. */
static bool offer(struct we_unigram_node *node, double score, size_t start, uint32_t id)
{
    bool better = node->start == WE_NO_ID || score > node->score;
    if (better)
        *node = (struct we_unigram_node){score, (uint32_t)start, id};
    return better;
}

/* The best way to each place of the word, from left to right. */
static we_status find_ways(const struct we_token_model *model, struct we_unigram_node *nodes, struct we_str word,
                           struct we_error *error)
{
    for (size_t i = 0; i <= word.length; i++)
        nodes[i] = (struct we_unigram_node){0, WE_NO_ID, WE_NO_ID};
    for (size_t at = 0, length; at < word.length; at += length) {
        const double here = nodes[at].score;
        bool alone = false; /* a piece covers this character and no more */
        uint32_t node = 0;
        length = we_unicode_length((unsigned char)word.data[at]);
        for (size_t end = at; end < word.length;) {
            const struct we_trie_edge *edge = we_trie_step(&model->trie, node, (unsigned char)word.data[end++]);
            if (edge == NULL)
                break;
            node = edge->node;
            if (edge->id != WE_NO_ID) {
                offer(&nodes[end], here + model->unigram.scores[edge->id], at, edge->id);
                alone = alone || end == at + length;
            }
        }
        /* Without an unknown token it is an error that this way is the best to there, even if the best of all avoids it. */
        if (!alone && offer(&nodes[at + length], here + model->unigram.unk_score, at, model->unk_id) &&
            model->unk_id == WE_NO_ID)
            return we_model_no_unk(model, error);
    }
    return WE_OK;
}

/* The ids of one piece, from the last to the first, behind those that are there. */
static void put_piece(const struct we_token_model *model, struct we_str piece, uint32_t *symbols, size_t *n)
{
    uint32_t id = we_vocab_find(&model->vocab, piece);
    if (id == WE_NO_ID && model->byte_fallback) {
        size_t i = piece.length;
        while (i > 0 && model->byte_tokens[(unsigned char)piece.data[i - 1]] != WE_NO_ID)
            i--;
        if (i == 0) {
            for (i = piece.length; i > 0; i--)
                symbols[(*n)++] = model->byte_tokens[(unsigned char)piece.data[i - 1]];
            return;
        }
    }
    symbols[(*n)++] = id != WE_NO_ID ? id : model->unk_id;
}

we_status we_unigram_encode(const struct we_token_model *model, struct we_model_work *work, struct we_str word, size_t *count,
                            struct we_error *error)
{
    *count = 0;
    if (!reserve_nodes(work, word.length + 1) || !we_model_work_reserve(work, word.length))
        return we_error_memory(error, "encoding a text");
    we_status status = find_ways(model, work->nodes, word, error);
    if (status != WE_OK)
        return status;
    size_t n = 0;
    for (size_t end = word.length; end > 0;) {
        size_t start = work->nodes[end].start;
        uint32_t id = work->nodes[end].id;
        if (id != model->unk_id) {
            work->symbols[n++] = id;
        } else {
            while (start > 0 && work->nodes[start].id == model->unk_id)
                start = work->nodes[start].start;
            put_piece(model, we_str(word.data + start, end - start), work->symbols, &n);
        }
        end = start;
    }
    for (size_t i = 0; i < n / 2; i++) {
        uint32_t id = work->symbols[i];
        work->symbols[i] = work->symbols[n - 1 - i];
        work->symbols[n - 1 - i] = id;
    }
    *count = n;
    return WE_OK;
}
