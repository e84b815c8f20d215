/* Search in titles and messages. */
#include "conversations_store.h"

#include "base/arena.h"

enum {
    MOST_WORDS = 16,
    INDEXED_CHARACTERS = 3, /* shorter words are not in the index */
    EXCERPT_BEFORE = 30,    /* bytes, about */
    EXCERPT_LENGTH = 120
};

struct words {
    struct we_str word[MOST_WORDS];
    bool indexed[MOST_WORDS];
    size_t count, num_indexed;
};

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static size_t count_characters(struct we_str text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.length; i++)
        n += ((unsigned char)text.data[i] & 0xC0) != 0x80;
    return n;
}

static void split(struct we_str query, struct words *words)
{
    *words = (struct words){0};
    for (size_t i = 0; i < query.length && words->count < MOST_WORDS;) {
        while (i < query.length && is_space(query.data[i]))
            i++;
        size_t from = i;
        while (i < query.length && !is_space(query.data[i]))
            i++;
        if (i == from)
            break;
        struct we_str word = we_str(query.data + from, i - from);
        bool indexed = count_characters(word) >= INDEXED_CHARACTERS;
        words->word[words->count] = word;
        words->indexed[words->count++] = indexed;
        words->num_indexed += indexed;
    }
}

/* '%...%' for LIKE, and "..." for MATCH: what the person typed is never part of the pattern's language. */
static char *like_pattern(struct we_arena *arena, struct we_str word)
{
    char *pattern = we_arena_alloc(arena, word.length * 2 + 3), *at = pattern;
    if (pattern == NULL)
        return NULL;
    *at++ = '%';
    for (size_t i = 0; i < word.length; i++) {
        if (strchr("%_\\", word.data[i]))
            *at++ = '\\';
        *at++ = word.data[i];
    }
    *at++ = '%';
    *at = '\0';
    return pattern;
}

static void match_pattern(struct we_buf *out, const struct words *words)
{
    for (size_t i = 0; i < words->count; i++) {
        if (!words->indexed[i])
            continue;
        we_buf_append_c(out, out->length ? " \"" : "\"");
        for (size_t j = 0; j < words->word[i].length; j++) {
            if (words->word[i].data[j] == '"')
                we_buf_append_byte(out, '"');
            we_buf_append_byte(out, words->word[i].data[j]);
        }
        we_buf_append_byte(out, '"');
    }
}

/* ?1: the limit, ?2: what MATCH is given, ?3...: the words for LIKE. */
static void write_query(struct we_buf *out, const struct words *words)
{
    we_buf_append_c(out, "WITH hits (conversation, message) AS (SELECT m.conversation, max(m.id) FROM ");
    we_buf_append_c(out, words->num_indexed ? "found f JOIN messages m ON m.id = f.rowid WHERE f.text MATCH ?2"
                                            : "messages m WHERE 1");
    for (size_t i = 0; i < words->count; i++)
        if (!words->indexed[i])
            we_buf_printf(out, " AND m.text LIKE ?%zu ESCAPE '\\'", i + 3);
    we_buf_append_c(out, " GROUP BY m.conversation UNION ALL SELECT id, 0 FROM conversations WHERE removed = 0");
    for (size_t i = 0; i < words->count; i++)
        we_buf_printf(out, " AND title LIKE ?%zu ESCAPE '\\'", i + 3);
    we_buf_append_c(out, ") SELECT c.id, c.created, c.updated, c.title, c.model, max(h.message) FROM hits h "
                         "JOIN conversations c ON c.id = h.conversation WHERE c.removed = 0 GROUP BY c.id "
                         "ORDER BY c.updated DESC, c.id DESC LIMIT ?1");
}

/* ---- excerpts ---- */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* Length of the word that stands at text[at], 0 if none does. */
static size_t word_at(struct we_str text, size_t at, const struct words *words)
{
    size_t longest = 0;
    for (size_t w = 0; w < words->count; w++) {
        struct we_str word = words->word[w];
        size_t i = 0;
        while (i < word.length && at + i < text.length && lower(text.data[at + i]) == lower(word.data[i]))
            i++;
        if (i == word.length && i > longest)
            longest = i;
    }
    return longest;
}

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xC0) == 0x80;
}

/* Around the first word that was found. White space becomes a space. */
static void write_excerpt(struct we_str text, const struct words *words, struct we_buf *out)
{
    size_t hit = 0;
    while (hit < text.length && !word_at(text, hit, words))
        hit++;
    if (hit == text.length)
        hit = 0; /* found by rules of case that this does not know: the beginning will do */
    size_t from = hit > EXCERPT_BEFORE ? hit - EXCERPT_BEFORE : 0, to = from + EXCERPT_LENGTH;
    while (from && from < hit && !is_space(text.data[from - 1]))
        from++;
    while (from && is_continuation(text.data[from]))
        from--;
    to = to < text.length ? to : text.length;
    while (to < text.length && is_continuation(text.data[to]))
        to++;
    if (from)
        we_buf_append_c(out, "\xE2\x80\xA6");
    for (size_t i = from; i < to;) {
        size_t n = word_at(text, i, words);
        if (n) {
            we_buf_append_byte(out, 2);
            we_buf_append(out, we_str(text.data + i, n));
            we_buf_append_byte(out, 3);
            i += n;
            continue;
        }
        unsigned char c = (unsigned char)text.data[i++];
        if (c <= ' ') {
            if (out->length == 0 || out->data[out->length - 1] != ' ')
                we_buf_append_byte(out, ' ');
        } else {
            we_buf_append_byte(out, (char)c);
        }
    }
    if (to < text.length)
        we_buf_append_c(out, "\xE2\x80\xA6");
}

/* The index knows more of upper and lower case than a comparison of bytes. */
static we_status read_excerpt(struct we_sql *sql, const struct words *words, const char *match, int64_t message,
                              struct we_buf *out, struct we_error *error)
{
    sqlite3_stmt *s;
    bool found = false;
    we_buf_clear(out);
    we_buf_append_c(out, "");
    if (message == 0)
        return WE_OK;
    bool by_index = words->num_indexed == words->count;
    we_status status =
        by_index ? we_sql_query(
                       sql, &s, error,
                       "SELECT snippet(found, 0, char(2), char(3), char(8230), 60) FROM found WHERE text MATCH ? AND rowid = ?",
                       "ti", match, message)
                 : we_sql_query(sql, &s, error, "SELECT text FROM messages WHERE id = ?", "i", message);
    if (status == WE_OK)
        status = we_sql_step(sql, s, &found, error);
    if (found) {
        struct we_str text = we_sql_text(s, 0);
        if (by_index) {
            for (size_t i = 0; i < text.length; i++)
                we_buf_append_byte(out, is_space(text.data[i]) ? ' ' : text.data[i]);
        } else {
            write_excerpt(text, words, out);
        }
        sqlite3_reset(s);
        if (text.data == NULL || out->failed)
            status = we_error_memory(error, "an excerpt");
    }
    return status;
}

/* ---- the search ---- */

static we_status search(struct we_sql *sql, const struct words *words, size_t limit, we_conversation_fn *visit, void *context,
                        struct we_error *error)
{
    struct we_arena arena = {0};
    struct we_buf text = {0}, match = {0}, excerpt = {0};
    sqlite3_stmt *s = NULL;
    we_status status = WE_OK;
    match_pattern(&match, words);
    write_query(&text, words);
    if (text.failed || match.failed) {
        status = we_error_memory(error, "a search");
        goto done;
    }
    int code = sqlite3_prepare_v2(sql->db, text.data, -1, &s, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_bind_int64(s, 1, limit ? (int64_t)limit : -1);
    if (code == SQLITE_OK && words->num_indexed)
        code = sqlite3_bind_text(s, 2, match.data, -1, SQLITE_STATIC);
    for (size_t i = 0; i < words->count && code == SQLITE_OK; i++) {
        char *pattern = like_pattern(&arena, words->word[i]);
        code = pattern ? sqlite3_bind_text(s, (int)i + 3, pattern, -1, SQLITE_STATIC) : SQLITE_NOMEM;
    }
    if (code != SQLITE_OK) {
        status = we_sql_fail(sql, code, error);
        goto done;
    }
    while ((code = sqlite3_step(s)) == SQLITE_ROW) {
        struct we_conversation_row row = {
            .id = sqlite3_column_int64(s, 0),
            .created = sqlite3_column_int64(s, 1),
            .updated = sqlite3_column_int64(s, 2),
            .title = (const char *)sqlite3_column_text(s, 3),
            .model = (const char *)sqlite3_column_text(s, 4),
            .message = sqlite3_column_int64(s, 5),
        };
        status =
            row.title ? read_excerpt(sql, words, match.data, row.message, &excerpt, error) : we_error_memory(error, "a search");
        if (status != WE_OK)
            goto done;
        row.excerpt = excerpt.data;
        if (!visit(context, &row))
            goto done;
    }
    status = we_sql_fail(sql, code, error);
done:
    sqlite3_finalize(s);
    we_buf_free(&text);
    we_buf_free(&match);
    we_buf_free(&excerpt);
    we_arena_free(&arena);
    return status;
}

we_status we_conversations_search(struct we_conversations *store, const char *query, size_t limit, we_conversation_fn *visit,
                                  void *context, struct we_error *error)
{
    struct we_buf scratch = {0};
    struct we_str text;
    struct words words;
    we_status status = we_clean_text(we_str_c(query), &scratch, &text, error);
    if (status == WE_OK)
        split(text, &words);
    if (status == WE_OK && words.count == 0) {
        status = we_conversations_list(store, 0, limit, visit, context, error);
    } else if (status == WE_OK) {
        pthread_mutex_t *lock = store->path ? &store->search_lock : &store->lock;
        pthread_mutex_lock(lock);
        status = search(store->path ? &store->search : &store->sql, &words, limit, visit, context, error);
        pthread_mutex_unlock(lock);
    }
    we_buf_free(&scratch);
    return status;
}

void we_conversations_stop_search(struct we_conversations *store)
{
    /* In memory the connection is that of all calls, and a search there is short. */
    if (store->path)
        sqlite3_interrupt(store->search.db);
}
