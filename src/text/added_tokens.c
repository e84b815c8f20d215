#include "text/tokenizer_parts.h"
#include "text/unicode.h"

#include <stdlib.h>

/* ---- reading ---- */

struct flags {
    struct we_buf content;
    bool single_word, lstrip, rstrip, normalized, special, has_content, has_normalized;
};

static bool read_token(struct we_json_reader *json, struct flags *token)
{
    struct we_str key, text;
    struct we_buf content = token->content;
    we_buf_clear(&content);
    *token = (struct flags){.content = content};
    bool ok = we_json_enter_object(json);
    while (ok && we_json_next_key(json, &key)) {
        bool *flag = we_str_equal_c(key, "single_word")  ? &token->single_word
                     : we_str_equal_c(key, "lstrip")     ? &token->lstrip
                     : we_str_equal_c(key, "rstrip")     ? &token->rstrip
                     : we_str_equal_c(key, "normalized") ? &token->normalized
                     : we_str_equal_c(key, "special")    ? &token->special
                                                         : NULL;
        token->has_normalized = token->has_normalized || flag == &token->normalized;
        if (flag) {
            ok = we_json_read_bool(json, flag);
        } else if (we_str_equal_c(key, "content")) {
            ok = we_json_read_string(json, &text);
            token->has_content = true;
            we_buf_clear(&token->content);
            if (ok && we_utf8_valid_prefix(text) != text.length)
                ok = we_json_fail(json, "an added token that is no UTF-8") == WE_OK;
            if (ok && !we_buf_append(&token->content, text))
                json->status = we_error_memory(json->error, "an added token");
        } else {
            ok = we_json_skip(json); /* also "id": a token's id is the vocabulary's, else the next free one */
        }
    }
    if (!token->has_normalized)
        token->normalized = !token->special;
    if (ok && json->status == WE_OK && !token->has_content)
        we_json_fail(json, "an added token without \"content\"");
    return json->status == WE_OK;
}

static bool same_token(const struct we_added_token *a, const struct flags *b)
{
    return we_str_equal(a->content, we_buf_str(&b->content)) && a->single_word == b->single_word && a->lstrip == b->lstrip &&
           a->rstrip == b->rstrip && a->normalized == b->normalized && a->special == b->special;
}

/* What is read and where it goes. */
struct loading {
    struct we_parts_reader *parts;
    const struct we_vocab *vocab;
    const struct we_normalizer *normalizer;
    struct we_added_tokens *added;
    size_t capacity;
    uint32_t next_id;
    size_t *buckets;         /* (bucket_count): index + 1 of the first token with that hash, or 0 */
    size_t *chain;           /* (capacity): the next one */
    size_t bucket_count;
};

static we_status memory_out(struct loading *l)
{
    return we_error_memory(l->parts->error, "the added tokens");
}

static size_t bucket_of(const struct loading *l, struct we_str content)
{
    return (size_t)we_str_hash(content, l->vocab->seed) & (l->bucket_count - 1);
}

static size_t find_index(const struct loading *l, struct we_str content)
{
    if (l->bucket_count == 0)
        return SIZE_MAX;
    size_t i = l->buckets[bucket_of(l, content)];
    while (i && !we_str_equal(l->added->data[i - 1].content, content))
        i = l->chain[i - 1];
    return i ? i - 1 : SIZE_MAX;
}

static void link_token(struct loading *l, size_t index)
{
    size_t *bucket = &l->buckets[bucket_of(l, l->added->data[index].content)];
    l->chain[index] = *bucket;
    *bucket = index + 1;
}

static bool grow(struct loading *l)
{
    if (l->added->count < l->capacity)
        return true;
    size_t capacity = l->capacity ? 2 * l->capacity : 64;
    struct we_added_token *data = realloc(l->added->data, capacity * sizeof *data);
    if (data)
        l->added->data = data;
    size_t *chain = realloc(l->chain, capacity * sizeof *chain);
    if (chain)
        l->chain = chain;
    size_t *buckets = calloc(capacity, sizeof *buckets);
    if (data == NULL || chain == NULL || buckets == NULL) {
        free(buckets);
        return false;
    }
    free(l->buckets);
    l->buckets = buckets;
    l->bucket_count = l->capacity = capacity;
    for (size_t i = 0; i < l->added->count; i++)
        link_token(l, i);
    return true;
}

/* What is looked for in normalised text, and what decoding gives. `before`: the token that this one replaces, or NULL;
 * if that was normalised, decoding still gives its form. */
static we_status find_pattern(struct loading *l, struct we_added_token *token, const struct we_added_token *before)
{
    token->pattern = token->content;
    token->decoded = before ? before->decoded : token->content;
    if (!token->normalized || l->normalizer == NULL)
        return WE_OK;
    struct we_regex_state regex = {0};
    struct we_normalizer_work work = {.regex = &regex, .buffers = {{.limit = WE_MAX_TEXT}, {.limit = WE_MAX_TEXT}}};
    struct we_buf out = {.limit = WE_MAX_TEXT};
    size_t zero = 0;
    we_status status = we_normalizer_apply(l->normalizer, &work, token->content, &zero, &out, l->parts->error);
    if (status == WE_OK) {
        char *copy = we_arena_copy(l->parts->arena, we_buf_str(&out));
        token->pattern = token->decoded = we_str(copy, out.length);
        status = copy ? WE_OK : memory_out(l);
    }
    we_buf_free(&out);
    we_buf_free(&work.buffers[0]);
    we_buf_free(&work.buffers[1]);
    we_regex_state_free(&regex);
    return status;
}

static we_status add_token(struct loading *l, const struct flags *read)
{
    struct we_str content = we_buf_str(&read->content);
    size_t index = find_index(l, content);
    if (content.length == 0 || (index != SIZE_MAX && same_token(&l->added->data[index], read)))
        return WE_OK;
    struct we_added_token token = {.single_word = read->single_word, .lstrip = read->lstrip, .rstrip = read->rstrip,
                                   .normalized = read->normalized, .special = read->special};
    bool is_new = index == SIZE_MAX;
    if (is_new) {
        char *copy = we_arena_copy(l->parts->arena, content);
        if (copy == NULL || !grow(l))
            return memory_out(l);
        token.content = we_str(copy, content.length);
        token.id = we_vocab_find(l->vocab, content);
        if (token.id == WE_NO_ID)
            token.id = l->next_id++;
        index = l->added->count;
    } else {
        token.content = l->added->data[index].content;
        token.id = l->added->data[index].id;
    }
    /* For now: whether the content is special. Once it is, it stays so. */
    token.skipped = read->special || (!is_new && l->added->data[index].skipped);
    we_status status = find_pattern(l, &token, is_new ? NULL : &l->added->data[index]);
    if (status != WE_OK)
        return status;
    l->added->data[index] = token;
    if (is_new) {
        l->added->count++;
        link_token(l, index);
    }
    return WE_OK;
}

/* ---- matching ---- */

static int compare_patterns(const struct we_added_token *tokens, uint32_t a, uint32_t b)
{
    int order = we_str_compare(tokens[a].pattern, tokens[b].pattern);
    return order ? order : a < b ? -1 : a > b;
}

/* Merge sort, since qsort gives no context to its comparison. */
static bool sort_indices(const struct we_added_token *tokens, uint32_t *order, size_t n)
{
    uint32_t *other = malloc((n ? n : 1) * sizeof *other);
    if (other == NULL)
        return false;
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t start = 0; start < n; start += 2 * width) {
            size_t middle = start + width < n ? start + width : n, end = start + 2 * width < n ? start + 2 * width : n;
            size_t i = start, j = middle;
            for (size_t k = start; k < end; k++)
                other[k] = j >= end || (i < middle && compare_patterns(tokens, order[i], order[j]) <= 0) ? order[i++] : order[j++];
        }
        memcpy(order, other, n * sizeof *order);
    }
    free(other);
    return true;
}

static bool build_matcher(const struct we_added_tokens *added, bool normalized, struct we_matcher *matcher)
{
    size_t n = 0;
    matcher->empty = NULL;
    matcher->order = malloc((added->count ? added->count : 1) * sizeof *matcher->order);
    if (matcher->order == NULL)
        return false;
    for (size_t i = 0; i < added->count; i++) {
        const struct we_added_token *token = &added->data[i];
        if (token->normalized == normalized && token->pattern.length)
            matcher->order[n++] = (uint32_t)i;
        else if (token->normalized == normalized && matcher->empty == NULL)
            matcher->empty = token;
    }
    if (!sort_indices(added->data, matcher->order, n))
        return false;
    size_t kept = 0; /* of equal patterns the first token of the file */
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || !we_str_equal(added->data[matcher->order[i]].pattern, added->data[matcher->order[kept - 1]].pattern))
            matcher->order[kept++] = matcher->order[i];
    matcher->count = (uint32_t)kept;
    uint32_t at = 0;
    for (unsigned byte = 0; byte <= 256; byte++) {
        while (byte < 256 && at < kept && (unsigned char)added->data[matcher->order[at]].pattern.data[0] < byte)
            at++;
        matcher->first[byte] = byte < 256 ? at : (uint32_t)kept;
    }
    return true;
}

/* The first index in order[low..high) whose pattern has a byte of at least `byte` at `depth`; all have that many. */
static uint32_t lower_bound(const struct we_added_tokens *added, const struct we_matcher *matcher, uint32_t low, uint32_t high,
                            size_t depth, unsigned byte)
{
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if ((unsigned char)added->data[matcher->order[middle]].pattern.data[depth] < byte)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The token with the longest pattern that `text` begins with, or NULL. */
static const struct we_added_token *longest_match(const struct we_added_tokens *added, const struct we_matcher *matcher,
                                                  struct we_str text)
{
    const struct we_added_token *found = NULL;
    unsigned lead = (unsigned char)text.data[0];
    uint32_t low = matcher->first[lead], high = matcher->first[lead + 1];
    for (size_t depth = 1; low < high; depth++) {
        const struct we_added_token *token = &added->data[matcher->order[low]];
        if (token->pattern.length == depth) { /* the shortest of those that share what was read */
            found = token;
            low++;
        }
        if (depth == text.length)
            break;
        unsigned byte = (unsigned char)text.data[depth];
        low = lower_bound(added, matcher, low, high, depth, byte);
        high = lower_bound(added, matcher, low, high, depth, byte + 1);
    }
    return found;
}

static bool word_before(struct we_str text, size_t at)
{
    if (at == 0)
        return false;
    size_t start = at - 1;
    while (start > 0 && ((unsigned char)text.data[start] & 0xC0) == 0x80)
        start--;
    return we_unicode_is_word(we_unicode_next(text, &start));
}

static size_t spaces_before(struct we_str text, size_t at)
{
    while (at > 0) {
        size_t start = at - 1;
        while (start > 0 && ((unsigned char)text.data[start] & 0xC0) == 0x80)
            start--;
        size_t next = start;
        if (!we_unicode_is_space(we_unicode_next(text, &next)))
            break;
        at = start;
    }
    return at;
}

static size_t spaces_after(struct we_str text, size_t at)
{
    while (at < text.length) {
        size_t next = at;
        if (!we_unicode_is_space(we_unicode_next(text, &next)))
            break;
        at = next;
    }
    return at;
}

bool we_added_tokens_split(const struct we_added_tokens *added, const struct we_matcher *matcher, struct we_str text,
                           size_t base, size_t zero, struct we_pieces *pieces)
{
    size_t last = 0;           /* up to here the text is in pieces */
    size_t behind = SIZE_MAX;  /* the end of the last match, where an empty one does not count */
    bool any = text.length && (matcher->count || matcher->empty);
    for (size_t i = 0; any && i <= text.length;) {
        unsigned lead = i < text.length ? (unsigned char)text.data[i] : 0;
        const struct we_added_token *token = NULL;
        if (i < text.length && matcher->first[lead] < matcher->first[lead + 1])
            token = longest_match(added, matcher, we_str(text.data + i, text.length - i));
        if (token == NULL && (lead & 0xC0) != 0x80 && i != behind)
            token = matcher->empty;
        if (token == NULL) {
            i++;
            continue;
        }
        size_t start = i, end = i + token->pattern.length;
        behind = end;
        i = end + (token == matcher->empty);
        if (token->single_word) {
            size_t next = end;
            if (word_before(text, start) || (end < text.length && we_unicode_is_word(we_unicode_next(text, &next))))
                continue;
        }
        if (token->lstrip) {
            start = spaces_before(text, start);
            start = start > last ? start : last;
        }
        if (token->rstrip)
            end = spaces_after(text, end);
        if (last < start && !we_pieces_add(pieces, base + last, start - last, zero > last ? zero - last : 0, WE_NO_ID))
            return false;
        /* One whose text an earlier token has eaten as spaces is no more. */
        if (start < end && !we_pieces_add(pieces, base + start, end - start, 0, token->id))
            return false;
        last = end;
    }
    return last >= text.length ||
           we_pieces_add(pieces, base + last, text.length - last, zero > last ? zero - last : 0, WE_NO_ID);
}

/* ---- the whole ---- */

/* Ids are final now: of tokens that came to share one, the last stays; who is skipped is decided by the text. */
static bool settle(struct we_added_tokens *added, struct loading *l)
{
    for (size_t i = 0; i < added->count; i++)
        if (!we_vocab_add(&added->contents, added->data[i].content, added->data[i].id, 0))
            return false;
    if (!we_vocab_finish(&added->contents))
        return false;
    bool *skipped = malloc(added->count + 1);
    if (skipped == NULL)
        return false;
    for (size_t i = 0; i < added->count; i++) {
        size_t named = find_index(l, added->data[i].decoded);
        skipped[i] = named != SIZE_MAX && added->data[named].skipped;
    }
    size_t kept = 0;
    for (size_t i = 0; i < added->count; i++) {
        added->data[i].special = added->data[i].skipped;
        added->data[i].skipped = skipped[i];
        struct we_str last = we_vocab_token(&added->contents, added->data[i].id);
        if (we_str_equal(last, added->data[i].content))
            added->data[kept++] = added->data[i];
    }
    added->count = kept;
    free(skipped);
    return true;
}

we_status we_added_tokens_read(struct we_parts_reader *parts, struct we_json_reader *json, const struct we_vocab *vocab,
                               const struct we_normalizer *normalizer, struct we_added_tokens *added)
{
    struct loading l = {.parts = parts, .vocab = vocab, .normalizer = normalizer, .added = added};
    struct flags token = {0};
    l.next_id = (uint32_t)vocab->size;
    we_status status = WE_OK;
    if (json) {
        bool ok = we_json_enter_array(json);
        while (ok && status == WE_OK && we_json_next_element(json)) {
            ok = read_token(json, &token);
            status = ok ? add_token(&l, &token) : json->status;
        }
        if (status == WE_OK)
            status = json->status;
    }
    if (status == WE_OK && (!settle(added, &l) || !build_matcher(added, false, &added->raw) ||
                            !build_matcher(added, true, &added->normalized)))
        status = memory_out(&l);
    we_buf_free(&token.content);
    free(l.buckets);
    free(l.chain);
    return status;
}

void we_added_tokens_free(struct we_added_tokens *added)
{
    free(added->data);
    we_vocab_free(&added->contents);
    free(added->raw.order);
    free(added->normalized.order);
    *added = (struct we_added_tokens){0};
}
