/* Reading a BPE model's merges. (R. Sennrich et al., "Neural Machine Translation of Rare Words with
 * Subword Units", 2016.) */
#include "text/tokenizer_parts.h"
#include "text/unicode.h"

#include <stdlib.h>

static void out_of_memory(struct we_json_reader *json)
{
    if (json->status == WE_OK)
        json->status = we_error_memory(json->error, "the tokenizer's vocabulary");
}

/* ---- merges ---- */

static size_t merge_hash(uint32_t left, uint32_t right)
{
    uint64_t h = ((uint64_t)left << 32 | right) * 0x9E3779B97F4A7C15u;
    return (size_t)(h ^ h >> 32);
}

const struct we_merge *we_bpe_merge(const struct we_bpe *bpe, uint32_t left, uint32_t right)
{
    if (bpe->merges == NULL)
        return NULL;
    for (size_t i = merge_hash(left, right) & bpe->merge_mask;; i = (i + 1) & bpe->merge_mask) {
        const struct we_merge *merge = &bpe->merges[i];
        if (merge->left == left && merge->right == right && merge->rank != WE_NO_ID)
            return merge;
        if (merge->rank == WE_NO_ID)
            return NULL;
    }
}

/* The merges as they are read, before the table is sized. */
struct merge_list {
    struct we_merge *data;
    size_t count, capacity;
    struct we_buf joined; /* left and right, one behind the other */
};

static bool fail_token(struct we_json_reader *json, size_t rank, struct we_str token)
{
    we_json_fail(json, "merge %zu: the token \"%.*s\" is not in the vocabulary", rank, WE_STR_ARG(token));
    return false;
}

/* The parts of a merge, "a b" or ["a", "b"], into list->joined; *cut is where the second begins. False without an
 * error: the line is a comment. */
static bool read_parts(struct we_json_reader *json, struct merge_list *list, size_t *cut)
{
    struct we_str text;
    we_buf_clear(&list->joined);
    if (we_json_peek(json) == WE_JSON_ARRAY) {
        int parts = 0;
        if (!we_json_enter_array(json))
            return false;
        while (we_json_next_element(json)) {
            if (!we_json_read_string(json, &text))
                return false;
            if (parts++ == 1)
                *cut = list->joined.length;
            we_buf_append(&list->joined, text);
        }
        if (parts != 2)
            we_json_fail(json, "merge %zu has %d parts, where 2 were expected", list->count, parts);
    } else {
        if (!we_json_read_string(json, &text) || we_str_starts_with(text, we_str_c("#version")))
            return false;
        const char *space = memchr(text.data, ' ', text.length);
        *cut = space ? (size_t)(space - text.data) : text.length;
        struct we_str right = space ? we_str(space + 1, text.length - *cut - 1) : we_str("", 0);
        if (space == NULL || memchr(right.data, ' ', right.length)) {
            we_json_fail(json, "merge %zu is \"%.*s\", where two tokens with a space between were expected", list->count,
                         WE_STR_ARG(text));
            return false;
        }
        we_buf_append(&list->joined, we_str(text.data, *cut));
        we_buf_append(&list->joined, right);
    }
    if (list->joined.failed)
        out_of_memory(json);
    return json->status == WE_OK;
}

static bool read_merge(struct we_json_reader *json, const struct we_token_model *model, struct merge_list *list)
{
    const struct we_vocab *vocab = &model->vocab;
    const size_t prefix = model->bpe.prefix.length;
    size_t cut = 0;
    if (!read_parts(json, list, &cut))
        return json->status == WE_OK;
    struct we_str whole = we_buf_str(&list->joined);
    struct we_str left = we_str(whole.data, cut), right = we_str(whole.data + cut, whole.length - cut);
    struct we_merge merge = {we_vocab_find(vocab, left), we_vocab_find(vocab, right), (uint32_t)list->count, WE_NO_ID};
    if (merge.left == WE_NO_ID)
        return fail_token(json, list->count, left);
    if (merge.right == WE_NO_ID)
        return fail_token(json, list->count, right);
    if (prefix) { /* the second part loses it */
        if (right.length < prefix) {
            we_json_fail(json, "merge %zu: the token \"%.*s\" is shorter than the prefix of subwords", list->count,
                         WE_STR_ARG(right));
            return false;
        }
        memmove(list->joined.data + cut, list->joined.data + cut + prefix, right.length - prefix);
        whole.length -= prefix;
    }
    merge.result = we_vocab_find(vocab, whole);
    if (merge.result == WE_NO_ID)
        return fail_token(json, list->count, whole);
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 1024;
        struct we_merge *data = realloc(list->data, capacity * sizeof *data);
        if (data == NULL) {
            out_of_memory(json);
            return false;
        }
        list->data = data;
        list->capacity = capacity;
    }
    list->data[list->count++] = merge;
    return true;
}

/* A pair that occurs twice keeps its last rank. */
static bool build_table(struct we_bpe *bpe, const struct merge_list *list)
{
    size_t slots = 16;
    while (slots < 2 * list->count)
        slots *= 2;
    struct we_merge *table = malloc(slots * sizeof *table);
    if (table == NULL)
        return false;
    for (size_t i = 0; i < slots; i++)
        table[i].rank = WE_NO_ID;
    for (size_t k = 0; k < list->count; k++) {
        size_t i = merge_hash(list->data[k].left, list->data[k].right) & (slots - 1);
        while (table[i].rank != WE_NO_ID && (table[i].left != list->data[k].left || table[i].right != list->data[k].right))
            i = (i + 1) & (slots - 1);
        table[i] = list->data[k];
    }
    free(bpe->merges);
    bpe->merges = table;
    bpe->merge_mask = slots - 1;
    bpe->merge_count = list->count;
    return true;
}

bool we_bpe_read_merges(struct we_json_reader *json, struct we_token_model *model)
{
    struct merge_list list = {0};
    bool ok = we_json_enter_array(json);
    while (ok && we_json_next_element(json))
        ok = read_merge(json, model, &list);
    ok = ok && json->status == WE_OK;
    if (ok && !build_table(&model->bpe, &list)) {
        out_of_memory(json);
        ok = false;
    }
    free(list.data);
    we_buf_free(&list.joined);
    return ok;
}

void we_bpe_find_fixed_ids(struct we_token_model *model)
{
    struct we_bpe *bpe = &model->bpe;
    bool plain = bpe->prefix.length == 0 && bpe->suffix.length == 0;
    char text[4];
    bpe->byte_ids_complete = plain;
    for (unsigned b = 0; b < 256; b++) {
        size_t n = we_utf8_encode(we_byte_characters[b], text);
        bpe->byte_ids[b] = we_vocab_find(&model->vocab, we_str(text, n));
        bpe->byte_ids_complete = bpe->byte_ids_complete && bpe->byte_ids[b] != WE_NO_ID;
    }
    for (unsigned c = 0; c < 128; c++) {
        text[0] = (char)c;
        bpe->ascii_ids[c] = we_vocab_find(&model->vocab, we_str(text, 1));
    }
}

/* ---- junctions ---- */

static size_t junction_hash(uint32_t left, uint32_t right)
{
    uint64_t h = ((uint64_t)left << 21 | right) * 0x9E3779B97F4A7C15u;
    return (size_t)(h >> 32);
}

bool we_bpe_find_junctions(struct we_token_model *model)
{
    struct we_bpe *bpe = &model->bpe;
    size_t bits = 1 << 14;
    while (bits < 8 * bpe->merge_count && bits < 1 << 21)
        bits *= 2;
    bpe->junctions = calloc(bits / 64, sizeof *bpe->junctions);
    if (bpe->junctions == NULL)
        return false;
    bpe->junction_mask = bits - 1;
    for (size_t i = 0; bpe->merges && i <= bpe->merge_mask; i++) {
        if (bpe->merges[i].rank == WE_NO_ID)
            continue;
        struct we_str left = we_vocab_token(&model->vocab, bpe->merges[i].left);
        struct we_str right = we_vocab_token(&model->vocab, bpe->merges[i].right);
        if (left.length == 0 || right.length == 0)
            continue; /* an empty token never stands in a word */
        size_t at = left.length - 1, start = 0;
        while (at > 0 && ((unsigned char)left.data[at] & 0xC0) == 0x80)
            at--;
        uint32_t last = we_unicode_next(left, &at);
        size_t bit = junction_hash(last, we_unicode_next(right, &start)) & bpe->junction_mask;
        bpe->junctions[bit / 64] |= (uint64_t)1 << (bit % 64);
    }
    return true;
}

static bool may_join(const struct we_bpe *bpe, uint32_t left, uint32_t right)
{
    size_t bit = junction_hash(left, right) & bpe->junction_mask;
    return bpe->junctions[bit / 64] >> (bit % 64) & 1;
}

static bool is_known(const struct we_token_model *model, struct we_str character)
{
    unsigned char lead = (unsigned char)character.data[0];
    return (lead < 0x80 ? model->bpe.ascii_ids[lead] : we_vocab_find(&model->vocab, character)) != WE_NO_ID;
}

/* Such a place is between two known characters that no merge has side by side. */
size_t we_bpe_cut(const struct we_token_model *model, struct we_str text)
{
    size_t i = 0;
    uint32_t before = we_unicode_next(text, &i);
    size_t before_at = 0;
    while (i < text.length) {
        size_t next = i;
        uint32_t c = we_unicode_next(text, &next);
        if (!may_join(&model->bpe, before, c) && is_known(model, we_str(text.data + before_at, i - before_at)) &&
            is_known(model, we_str(text.data + i, next - i)))
            return i;
        before = c;
        before_at = i;
        i = next;
    }
    return text.length;
}
