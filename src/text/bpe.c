/* Reading a BPE model: its vocabulary and merges. (R. Sennrich et al., "Neural Machine Translation of Rare Words with
 * Subword Units", 2016.) */
#include "text/tokenizer_parts.h"
#include "text/unicode.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_ID = (1 << 24) - 1 }; /* tables are as long as the highest id */

void we_bpe_free(struct we_bpe *bpe)
{
    we_vocab_free(&bpe->vocab);
    free(bpe->merges);
    free(bpe->junctions);
    bpe->merges = NULL;
    bpe->junctions = NULL;
}

static void out_of_memory(struct we_json_reader *json)
{
    if (json->status == WE_OK)
        json->status = we_error_memory(json->error, "the tokenizer's vocabulary");
}

static bool read_vocab(struct we_json_reader *json, struct we_vocab *vocab)
{
    struct we_str token;
    we_vocab_free(vocab); /* a second "vocab" replaces the first */
    if (!we_json_enter_object(json))
        return false;
    while (we_json_next_key(json, &token)) {
        if (we_utf8_valid_prefix(token) != token.length) {
            we_json_fail(json, "a token that is no UTF-8");
            return false;
        }
        /* The id comes after the token, whose text the reader may then have given up: keep it first. */
        if (!we_vocab_add(vocab, token, 0, json->text.length - json->at)) {
            out_of_memory(json);
            return false;
        }
        uint32_t id;
        if (!we_json_read_u32(json, &id))
            return false;
        if (id > MAX_ID) {
            we_json_fail(json, "the id %u of a token; the highest supported is %d", id, (int)MAX_ID);
            return false;
        }
        vocab->entries[vocab->count - 1].id = id;
        if (id >= vocab->limit)
            vocab->limit = id + 1;
    }
    if (json->status == WE_OK && !we_vocab_finish(vocab))
        out_of_memory(json);
    return json->status == WE_OK;
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

static bool read_merge(struct we_json_reader *json, const struct we_vocab *vocab, struct merge_list *list)
{
    size_t cut = 0;
    if (!read_parts(json, list, &cut))
        return json->status == WE_OK;
    struct we_str whole = we_buf_str(&list->joined);
    struct we_str left = we_str(whole.data, cut), right = we_str(whole.data + cut, whole.length - cut);
    struct we_merge merge = {we_vocab_find(vocab, left), we_vocab_find(vocab, right), (uint32_t)list->count,
                             we_vocab_find(vocab, whole)};
    if (merge.left == WE_NO_ID)
        return fail_token(json, list->count, left);
    if (merge.right == WE_NO_ID)
        return fail_token(json, list->count, right);
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

static bool read_merges(struct we_json_reader *json, struct we_bpe *bpe)
{
    struct merge_list list = {0};
    bool ok = we_json_enter_array(json);
    while (ok && we_json_next_element(json))
        ok = read_merge(json, &bpe->vocab, &list);
    ok = ok && json->status == WE_OK;
    if (ok && !build_table(bpe, &list)) {
        out_of_memory(json);
        ok = false;
    }
    free(list.data);
    we_buf_free(&list.joined);
    return ok;
}

/* ---- the object ---- */

static bool refuse(struct we_json_reader *json, const char *what)
{
    if (json->status == WE_OK)
        json->status = we_error_set(json->error, WE_UNSUPPORTED, "%s: model: %s", json->name, what);
    return false;
}

/* null and an empty string mean the same. */
static bool read_absent(struct we_json_reader *json, const char *what)
{
    struct we_str text;
    if (we_json_peek(json) == WE_JSON_NULL)
        return we_json_read_null(json);
    if (!we_json_read_string(json, &text))
        return false;
    return text.length == 0 || refuse(json, what);
}

static bool read_flag(struct we_json_reader *json, bool *flag)
{
    return we_json_peek(json) == WE_JSON_NULL ? we_json_read_null(json) : we_json_read_bool(json, flag);
}

static bool read_type(struct we_json_reader *json, bool *given)
{
    struct we_str type;
    if (!we_json_read_string(json, &type))
        return false;
    *given = true;
    if (we_str_equal_c(type, "BPE"))
        return true;
    char what[128];
    snprintf(what, sizeof what, "the type \"%.*s\" is not supported (BPE is)", (int)(type.length > 60 ? 60 : type.length), type.data);
    return refuse(json, what);
}

static bool read_unk_token(struct we_parts_reader *parts, struct we_json_reader *json, struct we_bpe *bpe)
{
    struct we_str token;
    if (we_json_peek(json) == WE_JSON_NULL)
        return we_json_read_null(json);
    if (!we_json_read_string(json, &token))
        return false;
    char *copy = we_arena_copy(parts->arena, token);
    if (copy == NULL) {
        out_of_memory(json);
        return false;
    }
    bpe->unk_token = we_str(copy, token.length);
    bpe->has_unk = true;
    return true;
}

static bool read_dropout(struct we_json_reader *json)
{
    double dropout = 0;
    if (we_json_peek(json) == WE_JSON_NULL)
        return we_json_read_null(json);
    return we_json_read_double(json, &dropout) && (dropout == 0 || refuse(json, "dropout other than 0 is not supported"));
}

/* The ids that encoding asks for again and again. */
static void find_fixed_ids(struct we_bpe *bpe)
{
    char text[8];
    bpe->unk_id = bpe->has_unk ? we_vocab_find(&bpe->vocab, bpe->unk_token) : WE_NO_ID;
    bpe->byte_ids_complete = true;
    for (unsigned b = 0; b < 256; b++) {
        snprintf(text, sizeof text, "<0x%02X>", b);
        bpe->byte_tokens[b] = we_vocab_find(&bpe->vocab, we_str(text, 6));
        size_t n = we_utf8_encode(we_byte_characters[b], text);
        bpe->byte_ids[b] = we_vocab_find(&bpe->vocab, we_str(text, n));
        bpe->byte_ids_complete = bpe->byte_ids_complete && bpe->byte_ids[b] != WE_NO_ID;
    }
    for (unsigned c = 0; c < 128; c++) {
        text[0] = (char)c;
        bpe->ascii_ids[c] = we_vocab_find(&bpe->vocab, we_str(text, 1));
    }
}

we_status we_bpe_read(struct we_parts_reader *parts, struct we_json_reader *json, struct we_bpe *bpe)
{
    struct we_str key;
    size_t merges_at = SIZE_MAX; /* where "merges" stands, if it came before "vocab" */
    bool typed = false, has_vocab = false, has_merges = false, ok = we_json_enter_object(json);
    while (ok && we_json_next_key(json, &key)) {
        if (we_str_equal_c(key, "type")) {
            ok = read_type(json, &typed);
        } else if (we_str_equal_c(key, "vocab") && we_json_peek(json) == WE_JSON_OBJECT) {
            ok = has_vocab = read_vocab(json, &bpe->vocab);
        } else if (we_str_equal_c(key, "merges")) {
            we_json_peek(json);
            merges_at = has_vocab ? SIZE_MAX : json->at;
            ok = has_vocab ? read_merges(json, bpe) : we_json_skip(json);
            has_merges = true;
        } else if (we_str_equal_c(key, "unk_token")) {
            ok = read_unk_token(parts, json, bpe);
        } else if (we_str_equal_c(key, "dropout")) {
            ok = read_dropout(json);
        } else if (we_str_equal_c(key, "continuing_subword_prefix")) {
            ok = read_absent(json, "a continuing_subword_prefix is not supported");
        } else if (we_str_equal_c(key, "end_of_word_suffix")) {
            ok = read_absent(json, "an end_of_word_suffix is not supported");
        } else if (we_str_equal_c(key, "fuse_unk")) {
            ok = read_flag(json, &bpe->fuse_unk);
        } else if (we_str_equal_c(key, "byte_fallback")) {
            ok = read_flag(json, &bpe->byte_fallback);
        } else if (we_str_equal_c(key, "ignore_merges")) {
            ok = read_flag(json, &bpe->ignore_merges);
        } else {
            ok = we_json_skip(json);
        }
    }
    /* Files of old have no type: vocabulary and merges make it BPE. */
    if (json->status == WE_OK && !typed && (!has_vocab || !has_merges))
        we_json_fail(json, "the model has no \"type\"; BPE is supported");
    if (json->status == WE_OK && (!has_vocab || !has_merges))
        we_json_fail(json, "the model has no \"%s\"", has_vocab ? "merges" : "vocab");
    if (json->status == WE_OK && merges_at != SIZE_MAX) {
        size_t end = json->at;
        json->at = merges_at;
        read_merges(json, bpe);
        json->at = end;
    }
    if (json->status == WE_OK)
        find_fixed_ids(bpe);
    return json->status;
}

/* ---- junctions ---- */

static size_t junction_hash(uint32_t left, uint32_t right)
{
    uint64_t h = ((uint64_t)left << 21 | right) * 0x9E3779B97F4A7C15u;
    return (size_t)(h >> 32);
}

bool we_bpe_may_join(const struct we_bpe *bpe, uint32_t left, uint32_t right)
{
    size_t bit = junction_hash(left, right) & bpe->junction_mask;
    return bpe->junctions[bit / 64] >> (bit % 64) & 1;
}

bool we_bpe_find_junctions(struct we_bpe *bpe)
{
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
        struct we_str left = we_vocab_token(&bpe->vocab, bpe->merges[i].left);
        struct we_str right = we_vocab_token(&bpe->vocab, bpe->merges[i].right);
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
