/* The tree of messages of a conversation, and the path through it that is shown. */
#include "conversations_store.h"

#include "base/json.h"

#include <inttypes.h>
#include <stdlib.h>

char *we_copy_column(sqlite3_stmt *statement, int column, struct we_arena *arena)
{
    struct we_str text = we_sql_text(statement, column);
    return text.data ? we_arena_copy(arena, text) : NULL;
}

static bool copy_optional(sqlite3_stmt *statement, int column, struct we_arena *arena, const char **copy)
{
    *copy = we_copy_column(statement, column, arena);
    return *copy || sqlite3_column_type(statement, column) == SQLITE_NULL;
}

bool we_read_message_columns(sqlite3_stmt *s, int first, struct we_arena *arena, struct we_message *message)
{
    int64_t state = sqlite3_column_int64(s, first);
    message->state = state >= 0 && state < WE_NUM_MESSAGE_STATES ? (enum we_message_state)state : WE_MESSAGE_WHOLE;
    message->figures = (struct we_figures){
        .prompt_tokens = (uint32_t)sqlite3_column_int64(s, first + 3),
        .cached_tokens = (uint32_t)sqlite3_column_int64(s, first + 4),
        .generation_tokens = (uint32_t)sqlite3_column_int64(s, first + 5),
        .prompt_seconds = sqlite3_column_double(s, first + 6),
        .generation_seconds = sqlite3_column_double(s, first + 7),
        .time_to_first_token = sqlite3_column_double(s, first + 8),
    };
    return copy_optional(s, first + 1, arena, &message->model) && copy_optional(s, first + 2, arena, &message->problem);
}

/* ---- the path ---- */

struct node {
    int64_t id, parent;
    bool shown;
};

static int by_parent(const void *a, const void *b)
{
    const struct node *x = a, *y = b;
    if (x->parent != y->parent)
        return x->parent < y->parent ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

struct tree {
    struct node *nodes; /* (count), sorted by parent, then by id */
    size_t count;
};

static we_status read_tree(struct we_sql *sql, int64_t conversation, struct we_arena *arena, struct tree *tree,
                           struct we_error *error)
{
    sqlite3_stmt *statement;
    int64_t count = 0;
    bool found = true;
    tree->count = 0;
    we_status status =
        we_sql_number(sql, &count, error, "SELECT count(*) FROM messages WHERE conversation = ?", "i", conversation);
    if (status != WE_OK)
        return status;
    tree->nodes = we_arena_array(arena, (size_t)count, sizeof *tree->nodes);
    if (tree->nodes == NULL)
        return we_error_memory(error, "a conversation");
    status = we_sql_query(sql, &statement, error, "SELECT id, parent, shown FROM messages WHERE conversation = ? LIMIT ?", "ii",
                          conversation, count);
    while (status == WE_OK && found) {
        status = we_sql_step(sql, statement, &found, error);
        if (found)
            tree->nodes[tree->count++] = (struct node){.id = sqlite3_column_int64(statement, 0),
                                                       .parent = sqlite3_column_int64(statement, 1),
                                                       .shown = sqlite3_column_int64(statement, 2) != 0};
    }
    if (status == WE_OK)
        qsort(tree->nodes, tree->count, sizeof *tree->nodes, by_parent);
    return status;
}

/* The children of `parent`: nodes [*first, *first + n). */
static size_t children(const struct tree *tree, int64_t parent, size_t *first)
{
    size_t low = 0, high = tree->count, n = 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (tree->nodes[middle].parent < parent)
            low = middle + 1;
        else
            high = middle;
    }
    *first = low;
    while (low + n < tree->count && tree->nodes[low + n].parent == parent)
        n++;
    return n;
}

/* The child that is shown: `*which` of n; NULL: there is none. Children are younger than their parents: that ends every walk.
 */
static const struct node *shown_child(const struct tree *tree, int64_t parent, size_t *which, size_t *n)
{
    size_t first;
    *n = children(tree, parent, &first);
    if (*n == 0)
        return NULL;
    *which = *n - 1;
    for (size_t i = 0; i < *n; i++)
        if (tree->nodes[first + i].shown)
            *which = i;
    const struct node *node = &tree->nodes[first + *which];
    return node->id > parent ? node : NULL;
}

static we_status read_message(struct we_sql *sql, struct we_arena *arena, struct we_message *message, struct we_error *error)
{
    sqlite3_stmt *s;
    bool found = false;
    we_status status = we_sql_query(sql, &s, error,
                                    "SELECT role, text, created, state, model, problem, prompt_tokens, cached_tokens, "
                                    "generation_tokens, prompt_seconds, generation_seconds, time_to_first_token "
                                    "FROM messages WHERE id = ?",
                                    "i", message->id);
    if (status == WE_OK)
        status = we_sql_step(sql, s, &found, error);
    if (status != WE_OK)
        return status;
    if (!found)
        return we_error_set(error, WE_NOT_FOUND, "there is no message %" PRId64, message->id);
    message->role = we_copy_column(s, 0, arena);
    message->text = we_copy_column(s, 1, arena);
    message->length = we_sql_text(s, 1).length;
    message->created = sqlite3_column_int64(s, 2);
    if (!we_read_message_columns(s, 3, arena, message) || !message->role || !message->text)
        status = we_error_memory(error, "a message");
    sqlite3_reset(s);
    return status;
}

static we_status read_path(struct we_sql *sql, struct we_conversation *conversation, struct we_arena *arena,
                           struct we_error *error)
{
    struct tree tree;
    size_t which, n, length = 0;
    we_status status = read_tree(sql, conversation->id, arena, &tree, error);
    if (status != WE_OK)
        return status;
    for (const struct node *at = shown_child(&tree, 0, &which, &n); at; at = shown_child(&tree, at->id, &which, &n))
        length++;
    struct we_message *messages = we_arena_array(arena, length, sizeof *messages);
    if (messages == NULL)
        return we_error_memory(error, "a conversation");
    const struct node *at = shown_child(&tree, 0, &which, &n);
    for (size_t i = 0; i < length && status == WE_OK; i++) {
        messages[i].id = at->id;
        messages[i].parent = at->parent;
        messages[i].sibling = (uint32_t)which;
        messages[i].num_siblings = (uint32_t)n;
        status = read_message(sql, arena, &messages[i], error);
        at = shown_child(&tree, at->id, &which, &n);
    }
    conversation->messages = messages;
    conversation->num_messages = length;
    return status;
}

we_status we_load_conversation(struct we_sql *sql, int64_t id, struct we_arena *arena, struct we_conversation **out,
                               struct we_error *error)
{
    sqlite3_stmt *s;
    bool found = false;
    struct we_conversation *conversation = we_arena_alloc(arena, sizeof *conversation);
    if (conversation == NULL)
        return we_error_memory(error, "a conversation");
    we_status status = we_sql_query(sql, &s, error,
                                    "SELECT title, own_title, system, model, draft, created, updated FROM conversations "
                                    "WHERE id = ? AND removed = 0",
                                    "i", id);
    if (status == WE_OK)
        status = we_sql_step(sql, s, &found, error);
    if (status != WE_OK)
        return status;
    if (!found)
        return we_no_conversation(id, error);
    conversation->id = id;
    conversation->title = we_copy_column(s, 0, arena);
    conversation->has_own_title = sqlite3_column_int64(s, 1) != 0;
    conversation->draft = we_copy_column(s, 4, arena);
    conversation->created = sqlite3_column_int64(s, 5);
    conversation->updated = sqlite3_column_int64(s, 6);
    if (!copy_optional(s, 2, arena, &conversation->system) || !copy_optional(s, 3, arena, &conversation->model) ||
        !conversation->title || !conversation->draft)
        status = we_error_memory(error, "a conversation");
    sqlite3_reset(s);
    if (status == WE_OK)
        status = read_path(sql, conversation, arena, error);
    *out = conversation;
    return status;
}

we_status we_conversations_load(struct we_conversations *store, int64_t id, struct we_arena *arena,
                                struct we_conversation **conversation, struct we_error *error)
{
    pthread_mutex_lock(&store->lock);
    we_status status = we_load_conversation(&store->sql, id, arena, conversation, error);
    pthread_mutex_unlock(&store->lock);
    return status;
}

/* ---- changes ---- */

we_status we_message_show(struct we_sql *sql, int64_t conversation, int64_t parent, int64_t message, struct we_error *error)
{
    return we_sql_run(sql, error, "UPDATE messages SET shown = (id = ?) WHERE conversation = ? AND parent = ?", "iii", message,
                      conversation, parent);
}

we_status we_message_insert(struct we_sql *sql, const struct we_new_message *m, int64_t *id, struct we_error *error)
{
    const struct we_figures none = {0}, *f = m->figures ? m->figures : &none;
    int64_t found;
    we_status status =
        we_sql_number(sql, &found, error, "SELECT 1 FROM conversations WHERE id = ? AND removed <= 0", "i", m->conversation);
    if (status == WE_NOT_FOUND)
        return we_no_conversation(m->conversation, error);
    if (status == WE_OK && m->parent) {
        status = we_sql_number(sql, &found, error, "SELECT 1 FROM messages WHERE id = ? AND conversation = ?", "ii", m->parent,
                               m->conversation);
        if (status == WE_NOT_FOUND)
            return we_error_set(error, WE_NOT_FOUND, "there is no message %" PRId64 " in this conversation", m->parent);
    }
    if (status == WE_OK)
        status = we_sql_run(sql, error,
                            "INSERT INTO messages (conversation, parent, shown, role, text, created, state, model, problem, "
                            "prompt_tokens, cached_tokens, generation_tokens, prompt_seconds, generation_seconds, "
                            "time_to_first_token) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                            "iiissiittiiiddd", m->conversation, m->parent, (int64_t)!m->hidden, m->role, m->text, m->created,
                            (int64_t)m->state, m->model, m->problem, (int64_t)f->prompt_tokens, (int64_t)f->cached_tokens,
                            (int64_t)f->generation_tokens, f->prompt_seconds, f->generation_seconds, f->time_to_first_token);
    if (status == WE_OK)
        *id = sqlite3_last_insert_rowid(sql->db);
    return status;
}

we_status we_conversations_add(struct we_conversations *store, int64_t conversation, int64_t parent, const char *role,
                               struct we_str text, int64_t *message, struct we_error *error)
{
    struct we_buf scratch = {0};
    struct we_new_message new = {
        .conversation = conversation, .parent = parent, .created = we_now_ms(), .role = we_str_c(role)};
    we_status status = we_clean_text(text, &scratch, &new.text, error);
    if (status == WE_OK) {
        pthread_mutex_lock(&store->lock);
        status = we_sql_begin(&store->sql, error);
        if (status == WE_OK) {
            status = we_message_insert(&store->sql, &new, message, error);
            if (status == WE_OK)
                status = we_message_show(&store->sql, conversation, parent, *message, error);
            if (status == WE_OK)
                status = we_sql_run(&store->sql, error, "UPDATE conversations SET updated = ? WHERE id = ?", "ii", new.created,
                                    conversation);
            status = we_sql_end(&store->sql, status, error);
        }
        pthread_mutex_unlock(&store->lock);
        we_conversations_touch(store);
    }
    we_buf_free(&scratch);
    return status;
}

/* Where a message stands. */
static we_status find_place(struct we_sql *sql, int64_t message, int64_t *conversation, int64_t *parent, struct we_error *error)
{
    sqlite3_stmt *s;
    bool found = false;
    we_status status =
        we_sql_query(sql, &s, error,
                     "SELECT m.conversation, m.parent FROM messages m JOIN conversations c ON c.id = m.conversation "
                     "WHERE m.id = ? AND c.removed = 0",
                     "i", message);
    if (status == WE_OK)
        status = we_sql_step(sql, s, &found, error);
    if (status == WE_OK && !found)
        return we_error_set(error, WE_NOT_FOUND, "there is no message %" PRId64, message);
    if (found) {
        *conversation = sqlite3_column_int64(s, 0);
        *parent = sqlite3_column_int64(s, 1);
        sqlite3_reset(s);
    }
    return status;
}

static we_status show_sibling(struct we_sql *sql, int64_t message, uint32_t sibling, struct we_error *error)
{
    int64_t conversation, parent, id = 0;
    we_status status = find_place(sql, message, &conversation, &parent, error);
    if (status == WE_OK)
        status = we_sql_number(sql, &id, error,
                               "SELECT id FROM messages WHERE conversation = ? AND parent = ? ORDER BY id LIMIT 1 OFFSET ?",
                               "iii", conversation, parent, (int64_t)sibling);
    if (status == WE_NOT_FOUND && id == 0)
        return we_error_set(error, WE_NOT_FOUND, "message %" PRId64 " has no sibling %" PRIu32, message, sibling);
    return status == WE_OK ? we_message_show(sql, conversation, parent, id, error) : status;
}

static we_status show_message(struct we_sql *sql, int64_t message, struct we_error *error)
{
    we_status status = WE_OK;
    while (message && status == WE_OK) {
        int64_t conversation, parent;
        status = find_place(sql, message, &conversation, &parent, error);
        if (status == WE_OK)
            status = we_message_show(sql, conversation, parent, message, error);
        if (status == WE_OK)
            message = parent < message ? parent : 0;
    }
    return status;
}

/* The youngest sibling that is left is shown. */
static we_status remove_message(struct we_sql *sql, int64_t message, struct we_error *error)
{
    int64_t conversation, parent, left = 0, was_shown = 0;
    we_status status = find_place(sql, message, &conversation, &parent, error);
    if (status == WE_OK)
        status = we_sql_number(sql, &was_shown, error, "SELECT shown FROM messages WHERE id = ?", "i", message);
    if (status == WE_OK)
        status = we_sql_run(sql, error,
                            "WITH RECURSIVE below (id) AS (VALUES (?1) UNION SELECT m.id FROM messages m JOIN below b "
                            "ON m.parent = b.id WHERE m.conversation = ?2) DELETE FROM messages WHERE id IN below",
                            "ii", message, conversation);
    if (status == WE_OK && was_shown) {
        status = we_sql_number(sql, &left, error, "SELECT max(id) FROM messages WHERE conversation = ? AND parent = ?", "ii",
                               conversation, parent);
        if (status == WE_OK && left)
            status = we_message_show(sql, conversation, parent, left, error);
    }
    return status;
}

enum change { SHOW_SIBLING, SHOW_MESSAGE, REMOVE_MESSAGE };

static we_status change_tree(struct we_conversations *store, enum change change, int64_t message, uint32_t sibling,
                             struct we_error *error)
{
    struct we_sql *sql = &store->sql;
    pthread_mutex_lock(&store->lock);
    we_status status = we_sql_begin(sql, error);
    if (status == WE_OK) {
        status = change == SHOW_SIBLING   ? show_sibling(sql, message, sibling, error)
                 : change == SHOW_MESSAGE ? show_message(sql, message, error)
                                          : remove_message(sql, message, error);
        status = we_sql_end(sql, status, error);
    }
    pthread_mutex_unlock(&store->lock);
    we_conversations_touch(store);
    return status;
}

we_status we_conversations_show(struct we_conversations *store, int64_t message, uint32_t sibling, struct we_error *error)
{
    return change_tree(store, SHOW_SIBLING, message, sibling, error);
}

we_status we_conversations_show_message(struct we_conversations *store, int64_t message, struct we_error *error)
{
    return change_tree(store, SHOW_MESSAGE, message, 0, error);
}

we_status we_conversations_remove_message(struct we_conversations *store, int64_t message, struct we_error *error)
{
    return change_tree(store, REMOVE_MESSAGE, message, 0, error);
}

/* ---- what the engine is given ---- */

/* The messages from the first one to `last`, in the arena. */
static we_status read_line(struct we_sql *sql, int64_t conversation, int64_t last, struct we_arena *arena,
                           struct we_message **messages, size_t *count, struct we_error *error)
{
    int64_t place, parent;
    size_t depth = 0;
    we_status status = WE_OK;
    for (int64_t at = last; at && status == WE_OK; at = parent < at ? parent : 0) {
        status = find_place(sql, at, &place, &parent, error);
        if (status == WE_OK && place != conversation)
            status = we_error_set(error, WE_NOT_FOUND, "there is no message %" PRId64 " in this conversation", at);
        depth++;
    }
    if (status != WE_OK)
        return status;
    *messages = we_arena_array(arena, depth, sizeof **messages);
    *count = depth;
    if (*messages == NULL)
        return we_error_memory(error, "a conversation");
    for (int64_t at = last; depth && status == WE_OK; at = parent) {
        (*messages)[--depth].id = at;
        status = find_place(sql, at, &place, &parent, error);
        if (status == WE_OK)
            status = read_message(sql, arena, &(*messages)[depth], error);
    }
    return status;
}

static void write_message(struct we_buf *json, bool first, struct we_str role, struct we_str text)
{
    we_buf_append_c(json, first ? "{\"role\": " : ", {\"role\": ");
    we_json_write_string(json, role, false);
    we_buf_append_c(json, ", \"content\": ");
    we_json_write_string(json, text, false);
    we_buf_append_byte(json, '}');
}

/* Templates want user and assistant to take turns: what follows from one side is joined. */
static we_status write_request(const char *system, const struct we_message *messages, size_t count, struct we_buf *json,
                               struct we_error *error)
{
    struct we_buf text = {0};
    const char *role = NULL;
    bool first = true;
    we_buf_append_c(json, "{\"messages\": [");
    if (system && system[0]) {
        write_message(json, first, we_str_c("system"), we_str_c(system));
        first = false;
    }
    for (size_t i = 0; i < count; i++) {
        const struct we_message *m = &messages[i];
        bool is_reply = strcmp(m->role, "assistant") == 0;
        if (m->length == 0 || (is_reply && m->state == WE_MESSAGE_FAILED))
            continue;
        if (role && strcmp(role, m->role) != 0) {
            write_message(json, first, we_str_c(role), we_buf_str(&text));
            first = false;
            we_buf_clear(&text);
        }
        if (text.length)
            we_buf_append_c(&text, "\n\n");
        we_buf_append(&text, we_str(m->text, m->length));
        role = m->role;
    }
    if (role)
        write_message(json, first, we_str_c(role), we_buf_str(&text));
    we_buf_append_c(json, "]}");
    bool failed = json->failed || text.failed;
    we_buf_free(&text);
    return failed ? we_error_memory(error, "a conversation") : WE_OK;
}

we_status we_conversations_request(struct we_conversations *store, int64_t id, int64_t message, struct we_buf *json,
                                   struct we_error *error)
{
    struct we_arena arena = {0};
    struct we_conversation *conversation = NULL;
    struct we_message *line = NULL;
    size_t count = 0;
    pthread_mutex_lock(&store->lock);
    we_status status = we_load_conversation(&store->sql, id, &arena, &conversation, error);
    if (status == WE_OK && message)
        status = read_line(&store->sql, id, message, &arena, &line, &count, error);
    pthread_mutex_unlock(&store->lock);
    if (status == WE_OK)
        status = message ? write_request(conversation->system, line, count, json, error)
                         : write_request(conversation->system, conversation->messages, conversation->num_messages, json, error);
    we_arena_free(&arena);
    return status;
}
