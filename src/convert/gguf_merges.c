/* The merges of a BPE tokenizer. Byte-level vocabularies bring theirs; of SentencePiece's only the scores of the pieces
 * are known: every way to cut a piece into two others is a merge, in the order of the scores (the greatest first). */
#include "convert/convert.h"

#include "base/json.h"
#include "base/system.h"

#include <math.h>
#include <stdlib.h>

enum { MAX_PIECE = 1024 }; /* bytes; longer normal pieces are refused, since each cut is looked up */

/* ---- tokens by text ---- */

struct token_table {
    const struct we_gguf_vocab *vocab;
    uint32_t *slots; /* (size): id + 1, or 0 */
    size_t size;     /* a power of two */
    uint64_t seed;
};

static uint32_t find_token(const struct token_table *t, struct we_str text)
{
    size_t at = (size_t)we_str_hash(text, t->seed) & (t->size - 1);
    while (t->slots[at]) {
        if (we_str_equal(t->vocab->tokens[t->slots[at] - 1], text))
            return t->slots[at] - 1;
        at = (at + 1) & (t->size - 1);
    }
    return UINT32_MAX;
}

static we_status fill_table(struct token_table *t, struct we_error *error)
{
    const struct we_gguf_vocab *v = t->vocab;
    t->seed = we_random_u64();
    t->size = 16;
    while (t->size < (size_t)v->count * 2)
        t->size *= 2;
    t->slots = calloc(t->size, sizeof *t->slots);
    if (t->slots == NULL)
        return we_error_memory(error, "the vocabulary");
    for (uint32_t id = 0; id < v->count; id++) {
        size_t at = (size_t)we_str_hash(v->tokens[id], t->seed) & (t->size - 1);
        for (; t->slots[at]; at = (at + 1) & (t->size - 1))
            if (we_str_equal(v->tokens[t->slots[at] - 1], v->tokens[id]))
                return we_error_set(error, WE_INVALID_FORMAT, "%s: the tokens %u and %u are both '%.*s'", v->path,
                                    t->slots[at] - 1, id, WE_STR_ARG(v->tokens[id]));
        t->slots[at] = id + 1;
    }
    return WE_OK;
}

static void write_pair(struct we_buf *out, bool first, struct we_str left, struct we_str right)
{
    we_buf_append_c(out, first ? "\n      [" : ",\n      [");
    we_json_write_string(out, left, false);
    we_buf_append_c(out, ", ");
    we_json_write_string(out, right, false);
    we_buf_append_byte(out, ']');
}

/* ---- merges of the file ---- */

static we_status write_own_merges(const struct we_gguf *gguf, const struct token_table *t, struct we_buf *out,
                                  struct we_error *error)
{
    const char *path = t->vocab->path;
    const struct we_gguf_value *merges = we_gguf_find(gguf, "tokenizer.ggml.merges");
    if (merges == NULL || merges->type != WE_GGUF_ARRAY || (merges->element_type != WE_GGUF_STRING && merges->count))
        return we_error_set(error, WE_INVALID_FORMAT, "%s: tokenizer.ggml.merges is no array of texts", path);
    const void *cursor = NULL;
    struct we_str merge;
    char joined[2 * MAX_PIECE];
    for (uint64_t i = 0; we_gguf_next_string(merges, &cursor, &merge); i++) {
        size_t space = merge.length > 1 ? we_str_find(merge, we_str_c(" "), 1) : SIZE_MAX;
        if (space == SIZE_MAX || space + 1 == merge.length || merge.length > sizeof joined)
            return we_error_set(error, WE_INVALID_FORMAT, "%s: merge %llu ('%.*s') is no pair of tokens", path,
                                (unsigned long long)i, WE_STR_ARG(merge));
        struct we_str left = we_str(merge.data, space), right = we_str(merge.data + space + 1, merge.length - space - 1);
        memcpy(joined, left.data, left.length);
        memcpy(joined + left.length, right.data, right.length);
        if (find_token(t, left) == UINT32_MAX || find_token(t, right) == UINT32_MAX ||
            find_token(t, we_str(joined, left.length + right.length)) == UINT32_MAX)
            return we_error_set(error, WE_INVALID_FORMAT,
                                "%s: merge %llu ('%.*s') names or makes a token that is not in the vocabulary", path,
                                (unsigned long long)i, WE_STR_ARG(merge));
        write_pair(out, i == 0, left, right);
    }
    return WE_OK;
}

/* ---- merges from scores ---- */

struct merge {
    uint32_t left, right, token;
    uint32_t left_length, right_length; /* characters */
    float score;
};

struct merge_list {
    struct merge *items;
    size_t count, capacity;
};

/* The order of Hugging Face's conversion: score, then the length of the left part, then of the right one, all falling; what
 * is still equal keeps the order of the pieces, and of the parts' ids. */
static int compare_merges(const void *a, const void *b)
{
    const struct merge *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    if (x->left_length != y->left_length)
        return x->left_length > y->left_length ? -1 : 1;
    if (x->right_length != y->right_length)
        return x->right_length > y->right_length ? -1 : 1;
    if (x->token != y->token)
        return x->token < y->token ? -1 : 1;
    if (x->left != y->left)
        return x->left < y->left ? -1 : 1;
    return x->right < y->right ? -1 : x->right > y->right;
}

static bool add_merge(struct merge_list *list, struct merge merge)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 4096;
        struct merge *more = realloc(list->items, capacity * sizeof *more);
        if (more == NULL)
            return false;
        list->items = more;
        list->capacity = capacity;
    }
    list->items[list->count++] = merge;
    return true;
}

static uint32_t count_characters(struct we_str text)
{
    uint32_t count = 0;
    for (size_t i = 0; i < text.length; i++)
        count += ((unsigned char)text.data[i] & 0xC0) != 0x80;
    return count;
}

/* Special tokens are never made by merging, nor merged; nor are bytes, which stand for what has no piece. */
static uint32_t find_normal(const struct token_table *t, struct we_str text)
{
    uint32_t id = find_token(t, text);
    return id != UINT32_MAX && we_gguf_token_type(t->vocab, id) == WE_TOKEN_NORMAL ? id : UINT32_MAX;
}

static we_status cut_piece(const struct token_table *t, uint32_t id, float score, struct merge_list *list,
                           struct we_error *error)
{
    struct we_str text = t->vocab->tokens[id];
    if (text.length > MAX_PIECE)
        return we_error_set(error, WE_UNSUPPORTED, "%s: token %u has %zu bytes; up to %d can be converted", t->vocab->path, id,
                            text.length, MAX_PIECE);
    uint32_t characters = count_characters(text), before = 0;
    for (size_t at = 1; at < text.length; at++) {
        if (((unsigned char)text.data[at] & 0xC0) == 0x80)
            continue;
        before++;
        uint32_t left = find_normal(t, we_str(text.data, at));
        uint32_t right = left == UINT32_MAX ? UINT32_MAX : find_normal(t, we_str(text.data + at, text.length - at));
        if (right != UINT32_MAX && !add_merge(list, (struct merge){left, right, id, before, characters - before, score}))
            return we_error_memory(error, "the merges");
    }
    return WE_OK;
}

static we_status write_made_merges(const struct we_gguf *gguf, const struct token_table *t, struct we_buf *out,
                                   struct we_error *error)
{
    const struct we_gguf_vocab *v = t->vocab;
    const struct we_gguf_value *scores = we_gguf_find(gguf, "tokenizer.ggml.scores");
    if (scores == NULL || scores->type != WE_GGUF_ARRAY || scores->element_type != WE_GGUF_F32 || scores->count != v->count)
        return we_error_set(error, WE_INVALID_FORMAT,
                            "%s: tokenizer.ggml.scores is no array with a number for each of the %u tokens", v->path, v->count);
    struct merge_list list = {0};
    we_status status = WE_OK;
    for (uint32_t id = 0; id < v->count && status == WE_OK; id++) {
        float score = we_load_float(scores->data, WE_F32, id);
        if (isnan(score))
            status = we_error_set(error, WE_INVALID_FORMAT, "%s: the score of token %u is no number", v->path, id);
        else if (we_gguf_token_type(v, id) == WE_TOKEN_NORMAL)
            status = cut_piece(t, id, score, &list, error);
    }
    if (status == WE_OK && list.count)
        qsort(list.items, list.count, sizeof *list.items, compare_merges);
    for (size_t i = 0; i < list.count && status == WE_OK; i++)
        write_pair(out, i == 0, v->tokens[list.items[i].left], v->tokens[list.items[i].right]);
    free(list.items);
    return status;
}

we_status we_gguf_write_merges(const struct we_gguf *gguf, const struct we_gguf_vocab *vocab, struct we_buf *out,
                               struct we_error *error)
{
    struct token_table table = {.vocab = vocab};
    we_buf_append_byte(out, '[');
    we_status status = fill_table(&table, error);
    if (status == WE_OK)
        status = vocab->kind == WE_VOCAB_PIECES ? write_made_merges(gguf, &table, out, error) : write_own_merges(gguf, &table, out, error);
    free(table.slots);
    we_buf_append_c(out, "\n    ]");
    return status == WE_OK && out->failed ? we_error_memory(error, "the merges") : status;
}
