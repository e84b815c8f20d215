/* WordPiece: the longest token that the word begins with, then the longest inner token that the rest begins with, and so
 * on; a word that this does not cover is unknown. (M. Schuster and K. Nakajima, "Japanese and Korean Voice Search", 2012.) */
#include "text/tokenizer_parts.h"
#include "text/unicode.h"

/* Where the longest token ends that text has at `start`, beginning in a node of the trie; `start` if there is none. */
static size_t longest(const struct we_trie *trie, uint32_t node, struct we_str text, size_t start, uint32_t *id)
{
    size_t found = start;
    for (size_t end = start; end < text.length;) {
        const struct we_trie_edge *edge = we_trie_step(trie, node, (unsigned char)text.data[end++]);
        if (edge == NULL)
            break;
        node = edge->node;
        if (edge->id != WE_NO_ID) {
            found = end;
            *id = edge->id;
        }
    }
    return found;
}

static bool is_longer(struct we_str word, size_t characters)
{
    if (word.length <= characters)
        return false;
    size_t count = 0;
    for (size_t i = 0; i < word.length; i++)
        count += ((unsigned char)word.data[i] & 0xC0) != 0x80;
    return count > characters;
}

we_status we_word_piece_encode(const struct we_token_model *model, struct we_model_work *work, struct we_str word,
                               size_t *count, struct we_error *error)
{
    const struct we_word_piece *pieces = &model->word_piece;
    size_t n = 0, at = is_longer(word, pieces->max_characters) ? SIZE_MAX : 0;
    if (!we_model_work_reserve(work, word.length))
        return we_error_memory(error, "encoding a text");
    while (at < word.length) {
        uint32_t node = at && pieces->has_inside ? pieces->inside : 0;
        size_t end = node == WE_NO_ID ? at : longest(&model->trie, node, word, at, &work->symbols[n]);
        at = end > at ? end : SIZE_MAX;
        n++;
    }
    if (at == SIZE_MAX) {
        if (model->unk_id == WE_NO_ID)
            return we_model_no_unk(model, error);
        work->symbols[0] = model->unk_id;
        n = 1;
    }
    *count = n;
    return WE_OK;
}
