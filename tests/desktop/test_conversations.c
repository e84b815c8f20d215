/* The store of conversations: the list, the tree of messages, replies that stream, search, import and export, and files that
 * are not what they should be. */
#include "store_support.h"

#include "base/json.h"

#include <inttypes.h>
#include <time.h>

/* ---- the list ---- */

static void test_list(void **state)
{
    (void)state;
    struct we_conversations *store = open_store(database);
    struct stat st;
    assert_int_equal(stat(database, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_string_equal(list_of(store), "");
    int64_t a = new_conversation(store, "a"), b = new_conversation(store, "b"), c = new_conversation(store, NULL);
    add(store, b, 0, "user", "later");
    ok(we_sql_run(&store->sql, &error, "UPDATE conversations SET updated = id", ""));
    assert_string_equal(list_of(store), ";b;a;");
    add(store, a, 0, "user", "the newest");
    assert_string_equal(list_of(store), "a;;b;");

    ok(we_conversations_suggest_title(
        store, c, "## **What** is\n\n`x` in a sentence that is much longer than a title ought to be?", &error));
    assert_string_equal(list_of(store), "a;What is x in a sentence that is much longer than a title\xE2\x80\xA6;b;");
    ok(we_conversations_suggest_title(store, b, "not this", &error));
    ok(we_conversations_rename(store, c, " \t c\n d\xC2\xA0\xFF ", &error));
    assert_string_equal(list_of(store), "a;c d \xEF\xBF\xBD;b;");
    ok(we_conversations_rename(store, c, "", &error));
    ok(we_conversations_suggest_title(store, c, "again", &error));
    assert_string_equal(list_of(store), "a;again;b;");

    ok(we_conversations_remove(store, c, &error));
    assert_string_equal(list_of(store), "a;b;");
    assert_int_equal(we_conversations_remove(store, c, &error), WE_NOT_FOUND);
    assert_int_equal(we_conversations_rename(store, c, "x", &error), WE_NOT_FOUND);
    ok(we_conversations_restore(store, c, &error));
    assert_string_equal(list_of(store), "a;again;b;");
    struct rows rows = {0};
    ok(we_conversations_list(store, 1, 1, collect_row, &rows, &error));
    assert_string_equal(rows.text, "again;");
    size_t count;
    ok(we_conversations_remove(store, c, &error));
    ok(we_conversations_count(store, &count, &error));
    assert_int_equal(count, 2);
    we_conversations_close(store);

    store = open_store(database);
    assert_string_equal(list_of(store), "a;b;");
    assert_int_equal(we_conversations_restore(store, c, &error), WE_NOT_FOUND);
    assert_int_equal(new_conversation(store, "d"), c + 1); /* an id is never used twice */
    we_conversations_close(store);
}

static void test_titles_are_cut_at_characters(void **state)
{
    (void)state;
    struct we_conversations *store = open_store(NULL);
    int64_t id = new_conversation(store, NULL);
    char text[1024], expected[512] = "";
    text[0] = '\0';
    for (int i = 0; i < 300; i++)
        strcat(text, "\xC3\xA4");
    ok(we_conversations_rename(store, id, text, &error));
    for (int i = 0; i < 200; i++)
        strcat(expected, "\xC3\xA4");
    strcat(expected, ";");
    assert_string_equal(list_of(store), expected);
    ok(we_conversations_rename(store, id, "", &error));
    ok(we_conversations_suggest_title(store, id, text, &error));
    expected[120] = '\0';
    strcat(expected, "\xE2\x80\xA6;");
    assert_string_equal(list_of(store), expected);
    we_conversations_close(store);
}

static void test_system_model_draft_notes(void **state)
{
    (void)state;
    struct we_arena arena = {0};
    struct we_conversation *c;
    const char *text;
    struct we_conversations *store = open_store(database);
    int64_t id;
    ok(we_conversations_new(store, "Be brief.", "org/name", &id, &error));
    ok(we_conversations_set_draft(store, id, "half a qu", &error));
    ok(we_conversations_set_draft(store, 0, "a new one", &error));
    ok(we_conversations_note(store, "selected", "7", &error));
    ok(we_conversations_note(store, "store", "not the store's own", &error));
    we_conversations_close(store);

    store = open_store(database);
    assert_string_not_equal(store->id, "not the store's own");
    ok(we_conversations_load(store, id, &arena, &c, &error));
    assert_string_equal(c->system, "Be brief.");
    assert_string_equal(c->model, "org/name");
    assert_string_equal(c->draft, "half a qu");
    assert_int_equal(c->num_messages, 0);
    assert_true(c->created > 1700000000000 && c->updated >= c->created);
    ok(we_conversations_draft(store, id, &arena, &text, &error));
    assert_string_equal(text, "half a qu");
    ok(we_conversations_draft(store, 0, &arena, &text, &error));
    assert_string_equal(text, "a new one");
    ok(we_conversations_set_draft(store, 0, "", &error));
    ok(we_conversations_draft(store, 0, &arena, &text, &error));
    assert_string_equal(text, "");
    ok(we_conversations_noted(store, "selected", &arena, &text, &error));
    assert_string_equal(text, "7");
    ok(we_conversations_note(store, "selected", NULL, &error));
    ok(we_conversations_noted(store, "selected", &arena, &text, &error));
    assert_null(text);
    ok(we_conversations_set_system(store, id, NULL, &error));
    ok(we_conversations_set_model(store, id, "other", &error));
    ok(we_conversations_load(store, id, &arena, &c, &error));
    assert_null(c->system);
    assert_string_equal(c->model, "other");
    assert_int_equal(we_conversations_draft(store, 99, &arena, &text, &error), WE_NOT_FOUND);
    assert_int_equal(we_conversations_load(store, 99, &arena, &c, &error), WE_NOT_FOUND);
    we_arena_free(&arena);
    we_conversations_close(store);
}

/* ---- the tree ---- */

static void test_tree(void **state)
{
    (void)state;
    struct we_conversations *store = open_store(NULL);
    int64_t c = new_conversation(store, "t"), other = new_conversation(store, "o");
    int64_t q = add(store, c, 0, "user", "q"), r1 = add(store, c, q, "assistant", "r1");
    int64_t q2 = add(store, c, r1, "user", "q2");
    add(store, c, q2, "assistant", "s");
    assert_string_equal(path_of(store, c), "user:q|assistant:r1|user:q2|assistant:s");

    int64_t r2 = add(store, c, q, "assistant", "r2"); /* made again */
    assert_string_equal(path_of(store, c), "user:q|assistant:r2 [2/2]");
    ok(we_conversations_show(store, r2, 0, &error));
    assert_string_equal(path_of(store, c), "user:q|assistant:r1 [1/2]|user:q2|assistant:s");

    int64_t e = add(store, c, 0, "user", "edited"); /* the first message, edited */
    assert_string_equal(path_of(store, c), "user:edited [2/2]");
    ok(we_conversations_show_message(store, r2, &error));
    assert_string_equal(path_of(store, c), "user:q [1/2]|assistant:r2 [2/2]");
    assert_int_equal(we_conversations_show(store, r2, 2, &error), WE_NOT_FOUND);
    assert_int_equal(we_conversations_show(store, 999, 0, &error), WE_NOT_FOUND);

    int64_t id;
    assert_int_equal(we_conversations_add(store, other, q, "user", we_str_c("x"), &id, &error), WE_NOT_FOUND);
    assert_int_equal(we_conversations_add(store, 77, 0, "user", we_str_c("x"), &id, &error), WE_NOT_FOUND);

    ok(we_conversations_remove_message(store, r2, &error));
    assert_string_equal(path_of(store, c), "user:q [1/2]|assistant:r1|user:q2|assistant:s");
    ok(we_conversations_remove_message(store, r1, &error));
    assert_string_equal(path_of(store, c), "user:q [1/2]");
    ok(we_conversations_remove_message(store, q, &error));
    assert_string_equal(path_of(store, c), "user:edited");
    ok(we_conversations_remove_message(store, e, &error));
    assert_string_equal(path_of(store, c), "");
    int64_t left;
    ok(we_sql_number(&store->sql, &left, &error, "SELECT count(*) FROM messages", ""));
    assert_int_equal(left, 0);
    we_conversations_close(store);
}

static void test_a_long_conversation(void **state)
{
    (void)state;
    struct we_conversations *store = open_store(database);
    struct we_arena arena = {0};
    struct we_conversation *loaded;
    int64_t c = new_conversation(store, "t"), at = 0, first = 0;
    for (int i = 0; i < 3000; i++) {
        at = add(store, c, at, i % 2 ? "assistant" : "user", "x");
        first = first ? first : at;
    }
    ok(we_conversations_load(store, c, &arena, &loaded, &error));
    assert_int_equal(loaded->num_messages, 3000);
    ok(we_conversations_remove_message(store, first, &error));
    assert_string_equal(path_of(store, c), "");
    for (int i = 0; i < 3000; i++)
        at = add(store, c, i ? at : 0, i % 2 ? "assistant" : "user", "y");
    ok(we_conversations_remove(store, c, &error));
    size_t count;
    ok(we_conversations_purge(store, 0, &count, &error));
    assert_int_equal(count, 1);
    we_arena_free(&arena);
    we_conversations_close(store);
}

static void test_text_is_cleaned(void **state)
{
    (void)state;
    struct we_conversations *store = open_store(NULL);
    int64_t c = new_conversation(store, "t"), id;
    ok(we_conversations_add(store, c, 0, "user", we_str("a\0b\xFF\xC3", 5), &id, &error));
    assert_string_equal(path_of(store, c), "user:a\xEF\xBF\xBD"
                                           "b\xEF\xBF\xBD\xEF\xBF\xBD");
    we_conversations_close(store);
}

static void check_request(struct we_conversations *store, int64_t c, int64_t message, const char *expected)
{
    struct we_buf json = {0};
    ok(we_conversations_request(store, c, message, &json, &error));
    assert_string_equal(json.data, expected);
    we_buf_free(&json);
}

static int64_t add_reply(struct we_conversations *store, int64_t c, int64_t parent, const char *text,
                         enum we_message_state ends)
{
    struct we_reply *reply;
    ok(we_reply_begin(store, c, parent, "m", &reply, &error));
    ok(we_reply_append(reply, text, strlen(text), &error));
    int64_t id = we_reply_message(reply);
    ok(we_reply_finish(reply, ends, NULL, NULL, &error));
    return id;
}

static void test_request(void **state)
{
    (void)state;
    struct we_conversations *store = open_store(NULL);
    struct we_buf json = {0};
    int64_t c, other = new_conversation(store, "o"), stray = add(store, other, 0, "user", "x");
    ok(we_conversations_new(store, "Be \"brief\".", NULL, &c, &error));
    check_request(store, c, 0, "{\"messages\": [{\"role\": \"system\", \"content\": \"Be \\\"brief\\\".\"}]}");
    int64_t q = add(store, c, 0, "user", "q\n"), failed = add_reply(store, c, q, "half", WE_MESSAGE_FAILED);
    int64_t q2 = add(store, c, failed, "user", "again"), r = add_reply(store, c, q2, "yes", WE_MESSAGE_STOPPED);
    add_reply(store, c, q2, "", WE_MESSAGE_WHOLE);
    ok(we_conversations_set_system(store, c, NULL, &error));
    /* A reply that failed is not part of it, and the two questions are one. */
    check_request(store, c, 0, "{\"messages\": [{\"role\": \"user\", \"content\": \"q\\n\\n\\nagain\"}]}");
    check_request(store, c, r,
                  "{\"messages\": [{\"role\": \"user\", \"content\": \"q\\n\\n\\nagain\"}, {\"role\": \"assistant\", "
                  "\"content\": \"yes\"}]}");
    check_request(store, c, q, "{\"messages\": [{\"role\": \"user\", \"content\": \"q\\n\"}]}");
    assert_int_equal(we_conversations_request(store, c, stray, &json, &error), WE_NOT_FOUND);
    we_buf_free(&json);
    we_conversations_close(store);
}

/* ---- replies ---- */

static size_t count_journals(void)
{
    struct we_arena arena = {0};
    char **names, path[128];
    size_t count, journals = 0;
    snprintf(path, sizeof path, "%s/data", folder);
    ok(we_list_directory(path, &arena, &names, &count, &error));
    for (size_t i = 0; i < count; i++)
        journals += strstr(names[i], "-reply-") != NULL;
    we_arena_free(&arena);
    return journals;
}

static void test_reply(void **state)
{
    (void)state;
    const struct we_figures figures = {12, 4, 34, 0.5, 2.25, 0.625};
    struct we_arena arena = {0};
    struct we_conversation *loaded;
    struct we_reply *reply;
    struct we_conversations *store = open_store(database);
    int64_t c = new_conversation(store, "t"), q = add(store, c, 0, "user", "q");
    ok(we_reply_begin(store, c, q, "org/name", &reply, &error));
    assert_int_equal(count_journals(), 1);
    ok(we_conversations_load(store, c, &arena, &loaded, &error));
    assert_int_equal(loaded->messages[1].state, WE_MESSAGE_STREAMING);
    assert_string_equal(loaded->model, "org/name");
    ok(we_reply_append(reply, "Hel", 3, &error));
    ok(we_reply_append(reply, "lo", 2, &error));
    ok(we_reply_finish(reply, WE_MESSAGE_CUT, &figures, "too long", &error));
    we_conversations_close(store);
    assert_int_equal(count_journals(), 0);

    store = open_store(database);
    ok(we_conversations_load(store, c, &arena, &loaded, &error));
    const struct we_message *m = &loaded->messages[1];
    assert_string_equal(m->text, "Hello");
    assert_string_equal(m->model, "org/name");
    assert_string_equal(m->problem, "too long");
    assert_int_equal(m->state, WE_MESSAGE_CUT);
    assert_int_equal(m->figures.prompt_tokens, figures.prompt_tokens);
    assert_int_equal(m->figures.cached_tokens, figures.cached_tokens);
    assert_int_equal(m->figures.generation_tokens, figures.generation_tokens);
    assert_true(m->figures.prompt_seconds == figures.prompt_seconds);
    assert_true(m->figures.generation_seconds == figures.generation_seconds);
    assert_true(m->figures.time_to_first_token == figures.time_to_first_token);
    /* Of a reply that was removed while it streamed, nothing is left. */
    ok(we_reply_begin(store, c, q, NULL, &reply, &error));
    ok(we_conversations_remove_message(store, we_reply_message(reply), &error));
    ok(we_reply_append(reply, "x", 1, &error));
    ok(we_reply_finish(reply, WE_MESSAGE_WHOLE, NULL, NULL, &error));
    assert_string_equal(path_of(store, c), "user:q|assistant:Hello");
    assert_int_equal(we_reply_begin(store, c, 999, NULL, &reply, &error), WE_NOT_FOUND);
    assert_int_equal(we_reply_begin(store, 999, 0, NULL, &reply, &error), WE_NOT_FOUND);
    we_conversations_close(store);
    assert_int_equal(count_journals(), 0);
    we_arena_free(&arena);
}

static void test_reply_that_was_left(void **state)
{
    (void)state;
    struct we_reply *reply;
    struct we_conversations *store = open_store(database);
    int64_t c = new_conversation(store, "t"), q = add(store, c, 0, "user", "q");
    ok(we_reply_begin(store, c, q, "org/name with spaces", &reply, &error));
    ok(we_reply_append(reply, "He said\nsome \xC3\xA4 \xE2\x82", 18, &error)); /* the last character is not whole */
    we_reply_leave(reply);
    we_conversations_close(store);
    assert_int_equal(count_journals(), 1);
    store = open_store(database);
    assert_string_equal(path_of(store, c), "user:q|assistant:He said\nsome \xC3\xA4 ");
    assert_int_equal(count_journals(), 0);
    struct rows rows = {0};
    ok(we_conversations_search(store, "he said", 0, collect_row, &rows, &error));
    assert_int_equal(rows.count, 1);
    we_conversations_close(store);
}

/* A journal whose row did not reach the disk before the machine stopped is put where it belongs; one whose row was deleted is
 * not. */
static void test_journals_without_rows(void **state)
{
    (void)state;
    char path[256];
    struct we_buf text = {0};
    struct we_conversations *store = open_store(database);
    int64_t c = new_conversation(store, "t"), q = add(store, c, 0, "user", "q"), gone = add(store, c, q, "assistant", "r");
    ok(we_conversations_remove_message(store, gone, &error));
    const struct {
        int64_t conversation, message, parent;
        const char *store, *text;
    } journals[] = {{c, gone, q, store->id, "deleted"},
                    {c, gone + 1, q, store->id, "lost"},
                    {c + 5, gone + 2, 0, store->id, "lost with its conversation"},
                    {c, gone + 3, q, "0123456789abcdef0123456789abcdef", "of another store"}};
    for (size_t i = 0; i < 4; i++) {
        we_buf_clear(&text);
        we_buf_printf(&text, "WEREPLY1 %s %" PRId64 " %" PRId64 " %" PRId64 " 1700000000000 \n%s", journals[i].store,
                      journals[i].conversation, journals[i].message, journals[i].parent, journals[i].text);
        snprintf(path, sizeof path, "%s-reply-%zu", database, i);
        ok(we_file_write(path, we_buf_str(&text), &error));
    }
    snprintf(path, sizeof path, "%s-reply-broken", database);
    ok(we_file_write(path, we_str_c("WEREPLY1 nonsense"), &error));
    we_conversations_close(store);
    store = open_store(database);
    assert_string_equal(path_of(store, c), "user:q|assistant:lost");
    struct rows rows = {0};
    ok(we_conversations_search(store, "conversation", 0, collect_row, &rows, &error));
    assert_int_equal(rows.count, 1);
    assert_string_equal(path_of(store, rows.first), "assistant:lost with its conversation");
    assert_int_equal(count_journals(), 2); /* what is not understood stays */
    we_buf_free(&text);
    we_conversations_close(store);
}

/* ---- search ---- */

static void test_search(void **state)
{
    (void)state;
    const struct {
        const char *query, *found;
    } table[] = {
        {"quick", "fox{The \2quick\3 brown fox};"},
        {"QUICK fox", "fox{The \2quick\3 brown \2fox\3};"},
        {"row", "fox{The quick b\2row\3n fox};"},
        {"fo", "fox{The quick brown \2fo\3x};"},
        {"quick fo", "fox{The \2quick\3 brown \2fo\3x};"},
        {"quick dog", ""},
        {"\xC3\xBC"
         "ber",
         "German{\2\xC3\x9C"
         "ber\3 allen Gipfeln};"},
        {"\xE5\xA4\xA9\xE6\xB0\x94", "Chinese{\xE4\xBB\x8A\xE5\xA4\xA9\2\xE5\xA4\xA9\xE6\xB0\x94\3\xE5\xA5\xBD};"},
        {"100%", "marks{\x31\x30\x30\x25};"},
        {"%", "marks{100\2%\3 a_b \"c\" (d* OR NEAR};"},
        {"a_b", "marks{};"},
        {"b_c", ""},
        {"\"c\" (d*", "marks{};"},
        {"OR NEAR", "marks{};"},
        {"NEAR/2", ""},
        {"chin", "Chinese{};"},
        {"branch", "fox{an older \2branch\3};"},
        {"secret", ""},
        {"removed", ""},
        {"changed", ""},
    };
    struct we_conversations *store = open_store(database);
    int64_t fox = new_conversation(store, "fox"), q = add(store, fox, 0, "user", "The quick brown fox");
    add(store, fox, q, "assistant", "an older branch");
    add(store, fox, q, "assistant", "the shown one");
    add(store, new_conversation(store, "German"), 0, "user",
        "\xC3\x9C"
        "ber allen Gipfeln");
    add(store, new_conversation(store, "Chinese"), 0, "user", "\xE4\xBB\x8A\xE5\xA4\xA9\xE5\xA4\xA9\xE6\xB0\x94\xE5\xA5\xBD");
    add(store, new_conversation(store, "marks"), 0, "user", "100% a_b \"c\" (d* OR NEAR");
    int64_t gone = new_conversation(store, "gone");
    add(store, gone, 0, "user", "a secret");
    ok(we_conversations_remove(store, gone, &error));
    ok(we_conversations_remove_message(store, add(store, fox, 0, "user", "a removed message"), &error));
    ok(we_conversations_show_message(store, q, &error));
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct rows rows = {0};
        ok(we_conversations_search(store, table[i].query, 0, collect_row, &rows, &error));
        /* Where the table has no marks, any excerpt will do, as long as it has some. */
        const char *open = strchr(table[i].found, '{');
        if (open == NULL || strchr(table[i].found, 2)) {
            if (strcmp(rows.text, table[i].found) != 0)
                fail_msg("%s: %s", table[i].query, rows.text);
        } else {
            assert_int_equal(rows.count, 1);
            assert_int_equal(strncmp(rows.text, table[i].found, (size_t)(open - table[i].found)), 0);
            assert_true(rows.first_message == 0 || strchr(rows.text, 2));
        }
    }
    struct rows rows = {0};
    ok(we_conversations_search(store, "  ", 2, collect_row, &rows, &error));
    assert_int_equal(rows.count, 2); /* nothing to look for: the list */
    rows = (struct rows){0};
    ok(we_conversations_search(store, "branch", 0, collect_row, &rows, &error));
    ok(we_conversations_show_message(store, rows.first_message, &error));
    assert_string_equal(path_of(store, fox), "user:The quick brown fox|assistant:an older branch [1/2]");
    we_conversations_close(store);
}

static void test_excerpts(void **state)
{
    (void)state;
    struct we_conversations *store = open_store(database);
    struct we_buf text = {0};
    for (int i = 0; i < 50; i++)
        we_buf_append_c(&text, "w\xC3\xA4rter ");
    we_buf_append_c(&text, "\n the Q7 \t and ");
    for (int i = 0; i < 50; i++)
        we_buf_append_c(&text, "m\xC3\xB6re ");
    add(store, new_conversation(store, "t"), 0, "user", text.data);
    const char *const queries[] = {"q7", "the q7", "AND"};
    for (size_t i = 0; i < 3; i++) {
        struct rows rows = {0};
        ok(we_conversations_search(store, queries[i], 0, collect_row, &rows, &error));
        assert_int_equal(rows.count, 1);
        assert_true(strlen(rows.text) < 250);
        assert_int_equal(we_utf8_valid_prefix(we_str_c(rows.text)), strlen(rows.text));
        assert_non_null(strstr(rows.text, i == 2 ? "\2and\3" : "\2Q7\3"));
        assert_non_null(strstr(rows.text, "\xE2\x80\xA6"));
        assert_null(strpbrk(rows.text, "\n\t"));
    }
    we_buf_free(&text);
    we_conversations_close(store);
}

/* ---- files ---- */

static void test_path(void **state)
{
    (void)state;
    char *path, *old = getenv("XDG_DATA_HOME"), *kept = old ? strdup(old) : NULL;
    ok(we_conversations_path("/data", &path, &error));
    assert_string_equal(path, "/data/conversations.db");
    free(path);
    setenv("XDG_DATA_HOME", "/xdg", 1);
    ok(we_conversations_path(NULL, &path, &error));
    assert_string_equal(path, "/xdg/whisperengine/conversations.db");
    free(path);
    if (kept)
        setenv("XDG_DATA_HOME", kept, 1);
    else
        unsetenv("XDG_DATA_HOME");
    free(kept);
}

static void test_older_schema(void **state)
{
    (void)state;
    struct we_sql sql;
    char directory[128];
    snprintf(directory, sizeof directory, "%s/data", folder);
    ok(we_make_directories(directory, &error));
    ok(we_sql_open(&sql, database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &error));
    ok(we_schema_migrate_to(&sql, 1, &error));
    ok(we_sql_script(&sql,
                     "INSERT INTO conversations (id, title, created, updated) VALUES (3, 'old', 1, 2);"
                     "INSERT INTO messages (id, conversation, parent, shown, role, text, created, state)"
                     " VALUES (9, 3, 0, 1, 'user', 'from before there was an index', 1, 0)",
                     &error));
    we_sql_close(&sql);
    struct we_conversations *store = open_store(database);
    struct rows rows = {0};
    assert_string_equal(path_of(store, 3), "user:from before there was an index");
    ok(we_conversations_search(store, "index", 0, collect_row, &rows, &error));
    assert_int_equal(rows.first_message, 9);
    int64_t version;
    ok(we_sql_number(&store->sql, &version, &error, "PRAGMA user_version", ""));
    assert_int_equal(version, we_schema_version());
    ok(we_conversations_check(store, &error));
    we_conversations_close(store);
}

static void read_file(const char *path, struct we_buf *bytes)
{
    we_buf_clear(bytes);
    ok(we_file_read(path, 0, bytes, &error));
}

/* The file is refused with this status, and not a byte of it is changed. */
static void check_refused(we_status expected, const char *words)
{
    struct we_buf before = {0}, after = {0};
    struct we_conversations *store;
    read_file(database, &before);
    assert_int_equal(we_conversations_open(database, &store, &error), expected);
    assert_null(store);
    if (strstr(error.message, words) == NULL || strstr(error.message, database) == NULL)
        fail_msg("%s", error.message);
    read_file(database, &after);
    assert_true(we_str_equal(we_buf_str(&before), we_buf_str(&after)));
    we_buf_free(&before);
    we_buf_free(&after);
}

static void test_refused_files(void **state)
{
    (void)state;
    struct we_sql sql;
    char directory[128], *aside;
    struct we_buf bytes = {0};
    snprintf(directory, sizeof directory, "%s/data", folder);
    ok(we_make_directories(directory, &error));
    /* of another program */
    ok(we_sql_open(&sql, database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &error));
    ok(we_sql_script(&sql, "CREATE TABLE theirs (x)", &error));
    we_sql_close(&sql);
    check_refused(WE_INVALID_FORMAT, "of another program");
    ok(we_conversations_set_aside(database, &aside, &error));
    assert_false(we_path_exists(database));
    assert_true(we_path_exists(aside));
    free(aside);
    /* no database */
    ok(we_file_write(database,
                     we_str_c("some text that is longer than the header of a database, which has one hundred bytes, "
                              "so that nothing is missing but the sense of it"),
                     &error));
    check_refused(WE_INVALID_FORMAT, "damaged");
    ok(we_conversations_set_aside(database, &aside, &error));
    free(aside);
    /* newer */
    struct we_conversations *store = open_store(database);
    int64_t c = new_conversation(store, "kept");
    add(store, c, 0, "user", "kept");
    ok(we_sql_script(&store->sql, "PRAGMA user_version = 3", &error));
    we_conversations_close(store);
    check_refused(WE_UNSUPPORTED, "newer version");
    /* ours by name, but not by its tables */
    ok(we_sql_open(&sql, database, SQLITE_OPEN_READWRITE, &error));
    ok(we_sql_script(&sql, "PRAGMA user_version = 2; DROP TABLE messages", &error));
    we_sql_close(&sql);
    check_refused(WE_INVALID_FORMAT, "has not the tables");
    unlink(database);
    /* damaged within */
    store = open_store(database);
    c = new_conversation(store, "kept");
    for (int i = 0; i < 200; i++)
        add(store, c, 0, "user", "some text that fills pages");
    we_conversations_close(store);
    read_file(database, &bytes);
    memset(bytes.data + 100, 0x5A, 4096);
    FILE *file = fopen(database, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes.data, 1, bytes.length, file), bytes.length);
    fclose(file);
    check_refused(WE_INVALID_FORMAT, "damaged");
    /* a folder */
    unlink(database);
    ok(we_make_directories(database, &error));
    assert_int_equal(we_conversations_open(database, &store, &error), WE_IO_ERROR);
    we_buf_free(&bytes);
}

static void test_set_aside(void **state)
{
    (void)state;
    struct we_reply *reply;
    char *first, *second, path[256];
    struct we_conversations *store = open_store(database);
    int64_t c = new_conversation(store, "t");
    ok(we_reply_begin(store, c, 0, NULL, &reply, &error));
    ok(we_reply_append(reply, "kept", 4, &error));
    we_reply_leave(reply);
    we_conversations_close(store);
    snprintf(path, sizeof path, "%s-wal", database);
    ok(we_file_write(path, we_str_c("w"), &error));
    ok(we_conversations_set_aside(database, &first, &error));
    assert_false(we_path_exists(path));
    snprintf(path, sizeof path, "%s-wal", first);
    assert_true(we_path_exists(path));
    store = open_store(database);
    assert_string_equal(list_of(store), "");
    we_conversations_close(store);
    ok(we_conversations_set_aside(database, &second, &error));
    assert_string_not_equal(first, second);
    assert_true(we_path_exists(first) && we_path_exists(second));
    assert_int_equal(we_conversations_set_aside(database, &(char *){NULL}, &error), WE_NOT_FOUND);
    /* What was set aside is whole: its journal went with it. */
    unlink(path);
    store = open_store(first);
    assert_string_equal(path_of(store, c), "assistant:kept");
    we_conversations_close(store);
    free(first);
    free(second);
}

/* ---- deleting for good ---- */

static bool file_has(const char *path, const char *text)
{
    struct we_buf bytes = {0};
    if (we_file_read(path, 0, &bytes, NULL) != WE_OK)
        return false;
    bool has = we_str_find(we_buf_str(&bytes), we_str_c(text), 0) != SIZE_MAX;
    we_buf_free(&bytes);
    return has;
}

static void test_purge_and_compact(void **state)
{
    (void)state;
    char log[160];
    size_t count;
    struct we_conversations *store = open_store(database);
    snprintf(log, sizeof log, "%s-wal", database);
    int64_t old = new_conversation(store, "old"), new = new_conversation(store, "new"),
            removed = new_conversation(store, "removed");
    add(store, old, 0, "user", "xylophone zanzibar");
    add(store, new, 0, "user", "harpsichord");
    add(store, removed, 0, "user", "glockenspiel");
    ok(we_sql_run(&store->sql, &error, "UPDATE conversations SET updated = 1000 WHERE title = 'old'", ""));
    ok(we_conversations_remove(store, removed, &error));
    ok(we_conversations_purge(store, 2000, &count, &error));
    assert_int_equal(count, 1);
    ok(we_conversations_restore(store, removed, &error));
    assert_string_equal(list_of(store), "removed;new;");
    ok(we_conversations_remove(store, removed, &error));
    ok(we_conversations_purge(store, 0, &count, &error));
    assert_int_equal(count, 1);
    ok(we_conversations_compact(store, &error));
    assert_true(file_has(database, "harpsichord") && !file_has(log, "xylophone"));
    assert_false(file_has(database, "xylophone") || file_has(database, "glockenspiel"));
    ok(we_conversations_check(store, &error));
    ok(we_conversations_clear(store, &error));
    assert_string_equal(list_of(store), "");
    ok(we_conversations_compact(store, &error));
    assert_false(file_has(database, "harpsichord"));
    new_conversation(store, "goes on");
    we_conversations_close(store);
}

/* ---- export and import ---- */

static int64_t make_rich(struct we_conversations *store)
{
    const struct we_figures figures = {12, 4, 34, 0.5, 2.25, 0.625};
    struct we_reply *reply;
    int64_t c;
    ok(we_conversations_new(store, "Be brief.\n\nBe kind.", NULL, &c, &error));
    ok(we_conversations_rename(store, c, "A *title*", &error));
    int64_t q = add(store, c, 0, "user", "Q \"1\"\n");
    ok(we_reply_begin(store, c, q, "org/a_model", &reply, &error));
    ok(we_reply_append(reply, "- one\n- two", 11, &error));
    ok(we_reply_finish(reply, WE_MESSAGE_STOPPED, &figures, NULL, &error));
    ok(we_reply_begin(store, c, q, "org/b", &reply, &error));
    int64_t shown = we_reply_message(reply);
    ok(we_reply_append(reply, "three", 5, &error));
    ok(we_reply_finish(reply, WE_MESSAGE_FAILED, NULL, "no memory", &error));
    add(store, c, shown, "user", "\xF0\x9F\x98\x80");
    add(store, c, 0, "user", "another beginning");
    ok(we_conversations_show_message(store, shown, &error));
    ok(we_sql_run(&store->sql, &error, "UPDATE conversations SET created = 1700000000123, updated = 1700000001000", ""));
    ok(we_sql_run(&store->sql, &error, "UPDATE messages SET created = 1700000000000", ""));
    return c;
}

static void test_markdown(void **state)
{
    (void)state;
    struct we_buf text = {0};
    struct we_conversations *store = open_store(database);
    int64_t c = make_rich(store);
    ok(we_conversations_export_markdown(store, c, &text, &error));
    assert_string_equal(text.data, "# A \\*title\\*\n\n2023-11-14 22:13\n\nSystem prompt:\n\n> Be brief.\n>\n> Be kind.\n\n"
                                   "## You \xC2\xB7 2023-11-14 22:13\n\nQ \"1\"\n\n"
                                   "## org/b \xC2\xB7 2023-11-14 22:13\n\nthree\n\n*(failed: no memory)*\n\n"
                                   "## You \xC2\xB7 2023-11-14 22:13\n\n\xF0\x9F\x98\x80\n");
    assert_int_equal(we_conversations_export_markdown(store, 99, &text, &error), WE_NOT_FOUND);
    we_buf_free(&text);
    we_conversations_close(store);
}

/* Ids apart, which are those of the database. */
static void strip_ids(struct we_buf *json)
{
    static const char *const keys[] = {"\"id\": ", "\"parent\": "};
    int64_t first = 0;
    struct we_buf out = {0};
    const char *at = json->data;
    while (*at) {
        bool done = false;
        for (size_t k = 0; k < 2 && !done; k++)
            if (strncmp(at, keys[k], strlen(keys[k])) == 0 && at[strlen(keys[k])] != 'n') {
                char *end;
                int64_t id = strtoll(at + strlen(keys[k]), &end, 10);
                first = first ? first : id;
                we_buf_printf(&out, "%s%d", keys[k], (int)(id - first + 1));
                at = end;
                done = true;
            }
        if (!done)
            we_buf_append_byte(&out, *at++);
    }
    we_buf_free(json);
    *json = out;
}

static void test_json_there_and_back(void **state)
{
    (void)state;
    struct we_buf before = {0}, after = {0};
    struct we_import result;
    struct we_conversations *store = open_store(database), *other = open_store(NULL);
    make_rich(store);
    new_conversation(store, "empty");
    ok(we_conversations_remove(store, new_conversation(store, "removed"), &error));
    ok(we_conversations_export_json(store, NULL, 0, &before, &error));
    assert_null(strstr(before.data, "removed"));
    add(other, new_conversation(other, "was there"), 0, "user", "x");
    ok(we_conversations_import(other, we_buf_str(&before), "f.json", NULL, NULL, &result, &error));
    assert_int_equal(result.num_conversations, 2);
    assert_int_equal(result.num_messages, 5);
    int64_t ids[] = {result.newest - 1, result.newest};
    assert_string_equal(path_of(other, ids[0]), "user:Q \"1\"\n [1/2]|assistant:three [2/2]|user:\xF0\x9F\x98\x80");
    ok(we_conversations_export_json(other, ids, 2, &after, &error));
    strip_ids(&before);
    strip_ids(&after);
    assert_string_equal(before.data, after.data);
    int64_t missing = 99;
    assert_int_equal(we_conversations_export_json(other, &missing, 1, &after, &error), WE_NOT_FOUND);
    we_buf_free(&before);
    we_buf_free(&after);
    we_conversations_close(store);
    we_conversations_close(other);
}

static void test_plain_import(void **state)
{
    (void)state;
    struct we_import result;
    struct we_arena arena = {0};
    struct we_conversation *c;
    struct we_conversations *store = open_store(NULL);
    ok(we_conversations_import(
        store,
        we_str_c("\xEF\xBB\xBF{\"messages\": [{\"role\": \"system\", \"content\": \"S\"}, {\"role\": \"user\", "
                 "\"content\": \"q\"}, {\"role\": \"assistant\", \"content\": \"r\\u0000\"}]}"),
        "f.json", NULL, NULL, &result, &error));
    assert_int_equal(result.num_conversations, 1);
    assert_string_equal(path_of(store, result.newest), "user:q|assistant:r\xEF\xBF\xBD");
    ok(we_conversations_load(store, result.newest, &arena, &c, &error));
    assert_string_equal(c->system, "S");
    ok(we_conversations_import(store, we_str_c("{\"conversations\": []}"), "f.json", NULL, NULL, &result, &error));
    assert_int_equal(result.newest, 0);
    we_arena_free(&arena);
    we_conversations_close(store);
}

static void test_imports_refused(void **state)
{
    (void)state;
#define M(fields) "{\"messages\": [{" fields "}]}"
#define UQ "\"role\": \"user\", \"content\": \"q\""
    const struct {
        const char *text, *message;
    } table[] = {
        {"", "f.json"},
        {"[{\"mapping\": {}}]", "exports of other programs cannot be imported"},
        {"{\"title\": \"x\"}", "neither \"conversations\" nor \"messages\""},
        {"{\"format\": \"other\"}", "format \"other\""},
        {"{\"format\": 3}", "\"format\" is to be a text"},
        {"{\"version\": 2, \"conversations\": []}", "version 2"},
        {"{\"conversations\": [], \"messages\": []}", "only one of"},
        {"{\"conversations\": [{\"title\": \"x\"}]}", "has no \"messages\""},
        {"{\"conversations\": [{\"messages\": [], \"messages\": []}]}", "twice"},
        {"{\"conversations\": {}}", "f.json: line 1"},
        {M("\"role\": \"user\""), "no \"content\""},
        {M("\"content\": \"x\""), "no \"role\""},
        {M("\"role\": \"wizard\", \"content\": \"x\""), "not of \"wizard\""},
        {M("\"role\": \"user\", \"content\": [{\"type\": \"text\"}]"), "parts or pictures"},
        {M(UQ ", \"parent\": 7"), "the parent of a message, 7"},
        {M(UQ ", \"id\": 1, \"parent\": 1"), "the parent of a message, 1"},
        {M(UQ ", \"id\": 1}, {" UQ ", \"id\": 1"), "two messages"},
        {M(UQ ", \"id\": 0"), "a number from 1 on"},
        {M(UQ ", \"created\": \"yesterday\""), "a time like"},
        {M(UQ ", \"created\": \"2026-13-01T00:00:00Z\""), "a time like"},
        {M(UQ ", \"created\": 5"), "\"created\" is to be a text"},
        {M(UQ ", \"state\": \"streaming\""), "no state \"streaming\""},
        {M(UQ ", \"prompt_seconds\": -1"), "a number of seconds"},
        {M(UQ ", \"prompt_tokens\": 1.5"), "f.json: line 1"},
        {M(UQ ", \"shown\": 1"), "f.json: line 1"},
        {M(UQ) "x", "f.json: line 1"},
        {"{\"messages\": [{\"role\": \"user\", \"content\": \"\xFF\"}]}", "f.json: line 1"},
    };
    struct we_import result;
    struct we_conversations *store = open_store(NULL);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        error.message[0] = '\0';
        we_status status = we_conversations_import(store, we_str_c(table[i].text), "f.json", NULL, NULL, &result, &error);
        if (status != WE_INVALID_FORMAT || strstr(error.message, table[i].message) == NULL)
            fail_msg("%s: %d %s", table[i].text, status, error.message);
    }
    assert_string_equal(list_of(store), "");
    we_conversations_close(store);
}

static bool stop_soon(void *context, size_t done, size_t total)
{
    size_t *calls = context;
    assert_true(done <= total);
    return ++*calls < 3;
}

static void write_many(struct we_buf *json, int conversations);

static void test_import_stopped(void **state)
{
    (void)state;
    struct we_buf json = {0};
    struct we_import result;
    size_t calls = 0;
    struct we_conversations *store = open_store(database);
    write_many(&json, 1000);
    assert_int_equal(we_conversations_import(store, we_buf_str(&json), "f.json", stop_soon, &calls, &result, &error),
                     WE_CANCELLED);
    assert_int_equal(calls, 3);
    int64_t left;
    ok(we_sql_number(&store->sql, &left, &error, "SELECT count(*) FROM messages", ""));
    assert_int_equal(left, 0);
    we_buf_free(&json);
    we_conversations_close(store);
}

static void test_times(void **state)
{
    (void)state;
    static const char *const times[] = {"1970-01-01T00:00:00.000Z", "2000-02-29T23:59:59.999Z", "2024-03-01T00:00:00.500Z",
                                        "2100-02-28T12:00:00.001Z", "9999-12-31T23:59:59.000Z"};
    struct we_import result;
    struct we_conversations *store = open_store(NULL);
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        struct we_buf json = {0};
        we_buf_printf(&json, "{\"conversations\": [{\"updated\": \"%s\", \"messages\": []}]}", times[i]);
        ok(we_conversations_import(store, we_buf_str(&json), "f.json", NULL, NULL, &result, &error));
        we_buf_clear(&json);
        ok(we_conversations_export_json(store, &result.newest, 1, &json, &error));
        if (i > 0 && strstr(json.data, times[i]) == NULL)
            fail_msg("%s: %s", times[i], json.data);
        we_buf_free(&json);
    }
    we_conversations_close(store);
}

/* ---- many ---- */

static void write_many(struct we_buf *json, int conversations)
{
    we_buf_append_c(json, "{\"conversations\": [");
    for (int i = 0; i < conversations; i++)
        we_buf_printf(
            json,
            "%s{\"title\": \"Conversation %d\", \"updated\": \"2026-01-%02dT%02d:%02d:00Z\", \"messages\": ["
            "{\"role\": \"user\", \"content\": \"Question number %d about topic%d, asked with a few more words\"}, "
            "{\"role\": \"assistant\", \"content\": \"An answer that explains it in a sentence of its own, code word w%dw\"}]}",
            i ? ", " : "", i, i % 28 + 1, i % 24, i % 60, i, i % 100, i);
    we_buf_append_c(json, "]}");
}

static int count_steps(void *context)
{
    ++*(size_t *)context;
    return 0;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Work is counted in steps of SQLite's machine, which are the same on every computer; times are printed. */
static void test_many_conversations(void **state)
{
    (void)state;
    enum { COUNT = 10000 };
    struct we_buf json = {0};
    struct we_import result;
    struct rows rows = {0};
    size_t steps = 0;
    struct we_conversations *store = open_store(database);
    write_many(&json, COUNT);
    double at = seconds();
    ok(we_conversations_import(store, we_buf_str(&json), "many.json", NULL, NULL, &result, &error));
    print_message("import of %d conversations: %.2f s\n", COUNT, seconds() - at);
    assert_int_equal(result.num_conversations, COUNT);
    assert_int_equal(result.num_messages, 2 * COUNT);
    we_conversations_close(store);

    at = seconds();
    store = open_store(database);
    print_message("open: %.1f ms\n", (seconds() - at) * 1e3);
    sqlite3_progress_handler(store->sql.db, 1, count_steps, &steps);
    sqlite3_progress_handler(store->search.db, 1, count_steps, &steps);

    at = seconds();
    ok(we_conversations_list(store, 0, 100, collect_row, &rows, &error));
    print_message("the first 100 of the list: %.2f ms, %zu steps\n", (seconds() - at) * 1e3, steps);
    assert_int_equal(rows.count, 100);
    assert_true(steps < 100 * 20 + 100);

    rows.text[0] = '\0';
    rows.count = 0;
    at = seconds();
    ok(we_conversations_list(store, 0, 0, collect_row, &rows, &error));
    print_message("the whole list: %.2f ms\n", (seconds() - at) * 1e3);
    assert_int_equal(rows.count, COUNT);

    steps = 0;
    rows = (struct rows){0};
    at = seconds();
    ok(we_conversations_search(store, "w4321w", 20, collect_row, &rows, &error));
    print_message("a search that finds one: %.2f ms, %zu steps\n", (seconds() - at) * 1e3, steps);
    assert_int_equal(rows.count, 1);

    rows = (struct rows){0};
    at = seconds();
    ok(we_conversations_search(store, "answer", 20, collect_row, &rows, &error));
    print_message("a search that finds all, the first 20: %.2f ms\n", (seconds() - at) * 1e3);
    assert_int_equal(rows.count, 20);

    steps = 0;
    at = seconds();
    int64_t id = new_conversation(store, "one more");
    add(store, id, add(store, id, 0, "user", "q"), "assistant", "r");
    ok(we_conversations_remove(store, id, &error));
    print_message("a conversation of two messages, added and removed: %.2f ms, %zu steps\n", (seconds() - at) * 1e3, steps);
    assert_true(steps < 2000);
    ok(we_conversations_check(store, &error));
    sqlite3_progress_handler(store->sql.db, 0, NULL, NULL);
    sqlite3_progress_handler(store->search.db, 0, NULL, NULL);
    we_buf_free(&json);
    we_conversations_close(store);
}

int main(void)
{
    setenv("TZ", "UTC", 1);
#define T(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        T(test_list),
        T(test_titles_are_cut_at_characters),
        T(test_system_model_draft_notes),
        T(test_tree),
        T(test_a_long_conversation),
        T(test_text_is_cleaned),
        T(test_request),
        T(test_reply),
        T(test_reply_that_was_left),
        T(test_journals_without_rows),
        T(test_search),
        T(test_excerpts),
        T(test_path),
        T(test_older_schema),
        T(test_refused_files),
        T(test_set_aside),
        T(test_purge_and_compact),
        T(test_markdown),
        T(test_json_there_and_back),
        T(test_plain_import),
        T(test_imports_refused),
        T(test_import_stopped),
        T(test_times),
        T(test_many_conversations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
