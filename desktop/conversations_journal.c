/* Replies that stream: each is appended to a file beside the database, DATABASE-reply-STORE-MESSAGE, until it is whole and the
 * database is on the disk. The file is locked while its process lives. It begins with a line WEREPLY1 STORE CONVERSATION
 * MESSAGE PARENT CREATED MODEL and all that follows is the text. */
#include "conversations_store.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

enum { LONGEST_HEADER = 4096 };

struct we_reply {
    struct we_reply *next; /* in store->replies, under keeper_lock */
    struct we_conversations *store;
    int64_t conversation, message;
    char *path, *model;
    pthread_mutex_t lock; /* of what follows */
    int fd;               /* -1: no journal */
    struct we_buf text;
    size_t written; /* bytes of the text that are in the journal */
    off_t header;   /* bytes before the text */
    bool told, unsynced;
};

struct we_ended_journal {
    struct we_ended_journal *next;
    char *path;
    int fd; /* keeps it locked */
};

/* ---- the file ---- */

static bool write_at(int fd, const char *data, size_t size, off_t at)
{
    while (size) {
        ssize_t n = pwrite(fd, data, size, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            errno = n < 0 ? errno : ENOSPC;
            return false;
        }
        data += n;
        size -= (size_t)n;
        at += n;
    }
    return true;
}

static we_status open_journal(struct we_reply *reply, int64_t parent, int64_t created, struct we_error *error)
{
    struct we_buf header = {0};
    we_status status = WE_OK;
    we_buf_printf(&header, "WEREPLY1 %s %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %.1000s\n", reply->store->id,
                  reply->conversation, reply->message, parent, created, reply->model ? reply->model : "");
    if (header.failed) {
        status = we_error_memory(error, "a journal");
        goto done;
    }
    for (size_t i = 0; i + 1 < header.length; i++)
        if (header.data[i] == '\n')
            header.data[i] = ' ';
    reply->header = (off_t)header.length;
    reply->fd = open(reply->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (reply->fd < 0 || flock(reply->fd, LOCK_EX | LOCK_NB) != 0 || !write_at(reply->fd, header.data, header.length, 0))
        status = we_error_errno(error, WE_IO_ERROR, errno, "%s: the journal of the reply cannot be written", reply->path);
done:
    we_buf_free(&header);
    return status;
}

static void free_reply(struct we_reply *reply)
{
    if (reply->fd >= 0)
        close(reply->fd);
    pthread_mutex_destroy(&reply->lock);
    we_buf_free(&reply->text);
    free(reply->path);
    free(reply->model);
    free(reply);
}

static void unlist(struct we_reply *reply)
{
    struct we_conversations *store = reply->store;
    pthread_mutex_lock(&store->keeper_lock);
    for (struct we_reply **at = &store->replies; *at; at = &(*at)->next)
        if (*at == reply) {
            *at = reply->next;
            break;
        }
    pthread_mutex_unlock(&store->keeper_lock);
}

/* ---- a reply ---- */

static we_status insert_reply(struct we_reply *reply, int64_t parent, int64_t created, struct we_error *error)
{
    struct we_sql *sql = &reply->store->sql;
    struct we_new_message new = {.conversation = reply->conversation,
                                 .parent = parent,
                                 .created = created,
                                 .role = we_str_c("assistant"),
                                 .text = we_str("", 0),
                                 .state = WE_MESSAGE_STREAMING,
                                 .model = reply->model};
    pthread_mutex_lock(&reply->store->lock);
    we_status status = we_sql_begin(sql, error);
    if (status == WE_OK) {
        status = we_message_insert(sql, &new, &reply->message, error);
        if (status == WE_OK)
            status = we_message_show(sql, reply->conversation, parent, reply->message, error);
        if (status == WE_OK)
            status = we_sql_run(sql, error, "UPDATE conversations SET updated = ?, model = ? WHERE id = ?", "iti", created,
                                reply->model, reply->conversation);
        if (status == WE_OK && reply->store->path) {
            struct we_buf path = {0};
            we_buf_printf(&path, "%s-reply-%.8s-%" PRId64, reply->store->path, reply->store->id, reply->message);
            reply->path = we_buf_take(&path);
            status = reply->path ? open_journal(reply, parent, created, error) : we_error_memory(error, "a path");
        }
        status = we_sql_end(sql, status, error);
        if (status != WE_OK && reply->fd >= 0)
            unlink(reply->path);
    }
    pthread_mutex_unlock(&reply->store->lock);
    return status;
}

we_status we_reply_begin(struct we_conversations *store, int64_t conversation, int64_t parent, const char *model,
                         struct we_reply **out, struct we_error *error)
{
    *out = NULL;
    struct we_reply *reply = calloc(1, sizeof *reply);
    if (reply == NULL)
        return we_error_memory(error, "a reply");
    reply->store = store;
    reply->conversation = conversation;
    reply->fd = -1;
    pthread_mutex_init(&reply->lock, NULL);
    reply->model = model ? strdup(model) : NULL;
    we_status status =
        model && !reply->model ? we_error_memory(error, "a reply") : insert_reply(reply, parent, we_now_ms(), error);
    if (status != WE_OK) {
        free_reply(reply);
        return status;
    }
    pthread_mutex_lock(&store->keeper_lock);
    reply->next = store->replies;
    store->replies = reply;
    pthread_mutex_unlock(&store->keeper_lock);
    we_conversations_touch(store);
    *out = reply;
    return WE_OK;
}

int64_t we_reply_message(const struct we_reply *reply)
{
    return reply->message;
}

we_status we_reply_append(struct we_reply *reply, const char *text, size_t length, struct we_error *error)
{
    we_status status = WE_OK;
    pthread_mutex_lock(&reply->lock);
    if (!we_buf_append(&reply->text, we_str(text, length))) {
        status = we_error_memory(error, "a reply");
    } else if (reply->fd >= 0) {
        /* What failed before is tried again, since there may be room by now. */
        if (write_at(reply->fd, reply->text.data + reply->written, reply->text.length - reply->written,
                     reply->header + (off_t)reply->written)) {
            reply->written = reply->text.length;
            reply->unsynced = true;
        } else if (!reply->told) {
            status = we_error_errno(error, WE_IO_ERROR, errno,
                                    "%s: the reply is not safe from a crash until it is whole, since its journal cannot be "
                                    "written",
                                    reply->path);
            reply->told = true;
        }
    }
    pthread_mutex_unlock(&reply->lock);
    we_conversations_touch(reply->store);
    return status;
}

static we_status store_reply(struct we_reply *reply, enum we_message_state state, const struct we_figures *figures,
                             const char *problem, struct we_error *error)
{
    const struct we_figures none = {0}, *f = figures ? figures : &none;
    struct we_sql *sql = &reply->store->sql;
    struct we_buf scratch = {0};
    struct we_str text;
    we_status status = we_clean_text(we_buf_str(&reply->text), &scratch, &text, error);
    if (status == WE_OK) {
        pthread_mutex_lock(&reply->store->lock);
        status = we_sql_begin(sql, error);
        if (status == WE_OK) {
            /* It may have been removed meanwhile: then there is nothing to change. */
            status = we_sql_run(sql, error,
                                "UPDATE messages SET text = ?, state = ?, problem = ?, prompt_tokens = ?, cached_tokens = ?, "
                                "generation_tokens = ?, prompt_seconds = ?, generation_seconds = ?, time_to_first_token = ? "
                                "WHERE id = ?",
                                "sitiiidddi", text, (int64_t)state, problem, (int64_t)f->prompt_tokens,
                                (int64_t)f->cached_tokens, (int64_t)f->generation_tokens, f->prompt_seconds,
                                f->generation_seconds, f->time_to_first_token, reply->message);
            if (status == WE_OK)
                status = we_sql_run(sql, error, "UPDATE conversations SET updated = ? WHERE id = ?", "ii", we_now_ms(),
                                    reply->conversation);
            status = we_sql_end(sql, status, error);
        }
        pthread_mutex_unlock(&reply->store->lock);
    }
    we_buf_free(&scratch);
    return status;
}

we_status we_reply_finish(struct we_reply *reply, enum we_message_state state, const struct we_figures *figures,
                          const char *problem, struct we_error *error)
{
    struct we_conversations *store = reply->store;
    struct we_ended_journal *ended = reply->fd >= 0 ? malloc(sizeof *ended) : NULL;
    if (reply->fd >= 0 && ended == NULL)
        return we_error_memory(error, "a reply");
    we_status status = store_reply(reply, state, figures, problem, error);
    if (status != WE_OK) {
        free(ended);
        return status;
    }
    unlist(reply);
    if (ended) {
        *ended = (struct we_ended_journal){.path = reply->path, .fd = reply->fd};
        reply->path = NULL;
        reply->fd = -1;
        pthread_mutex_lock(&store->keeper_lock);
        ended->next = store->journals;
        store->journals = ended;
        pthread_mutex_unlock(&store->keeper_lock);
    }
    we_conversations_touch(store);
    free_reply(reply);
    return WE_OK;
}

void we_reply_leave(struct we_reply *reply)
{
    if (reply == NULL)
        return;
    unlist(reply);
    free_reply(reply);
}

/* ---- the keeper's part ---- */

void we_journals_sync(struct we_conversations *store)
{
    enum { MOST = 16 };
    int fds[MOST], count = 0;
    pthread_mutex_lock(&store->keeper_lock);
    for (struct we_reply *reply = store->replies; reply && count < MOST; reply = reply->next) {
        pthread_mutex_lock(&reply->lock);
        if (reply->unsynced && (fds[count] = fcntl(reply->fd, F_DUPFD_CLOEXEC, 0)) >= 0) {
            reply->unsynced = false;
            count++;
        }
        pthread_mutex_unlock(&reply->lock);
    }
    pthread_mutex_unlock(&store->keeper_lock);
    while (count) {
        /* A journal that does not reach the disk is as good as before against a crash of the process. */
        (void)fsync(fds[--count]);
        close(fds[count]);
    }
}

struct we_ended_journal *we_journals_take_ended(struct we_conversations *store)
{
    pthread_mutex_lock(&store->keeper_lock);
    struct we_ended_journal *list = store->journals;
    store->journals = NULL;
    pthread_mutex_unlock(&store->keeper_lock);
    return list;
}

void we_journals_remove_ended(struct we_conversations *store, struct we_ended_journal *list, bool on_disk)
{
    while (list) {
        struct we_ended_journal *next = list->next;
        if (!on_disk && store->has_keeper) {
            pthread_mutex_lock(&store->keeper_lock);
            list->next = store->journals;
            store->journals = list;
            pthread_mutex_unlock(&store->keeper_lock);
        } else {
            if (on_disk)
                unlink(list->path);
            close(list->fd);
            free(list->path);
            free(list);
        }
        list = next;
    }
}

/* ---- after a crash ---- */

struct header {
    char store[33];
    int64_t conversation, message, parent, created;
    char model[1024];
    size_t length; /* of the line, its end included */
};

static bool parse_header(struct we_str text, struct header *header)
{
    const char *end = memchr(text.data, '\n', text.length < LONGEST_HEADER ? text.length : LONGEST_HEADER);
    char line[LONGEST_HEADER + 1];
    int model = 0;
    if (end == NULL)
        return false;
    header->length = (size_t)(end - text.data) + 1;
    memcpy(line, text.data, header->length - 1);
    line[header->length - 1] = '\0';
    if (sscanf(line, "WEREPLY1 %32[0-9a-f] %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64 "%n", header->store,
               &header->conversation, &header->message, &header->parent, &header->created, &model) != 5 ||
        line[model] != ' ')
        return false;
    snprintf(header->model, sizeof header->model, "%.1000s", line + model + 1);
    return header->conversation > 0 && header->message > 0 && header->parent >= 0;
}

/* Was there ever a row of this id? If not, it did not reach the disk before the machine stopped; else it was deleted. */
static we_status was_lost(struct we_sql *sql, const char *table, int64_t id, bool *lost, struct we_error *error)
{
    int64_t newest = 0;
    we_status status = we_sql_number(sql, &newest, error, "SELECT seq FROM sqlite_sequence WHERE name = ?", "t", table);
    *lost = id > newest;
    return status == WE_NOT_FOUND ? WE_OK : status;
}

static we_status insert_lost(struct we_sql *sql, const struct header *header, struct we_str text, struct we_error *error)
{
    bool lost = false, lost_conversation = false;
    int64_t conversation = header->conversation, found;
    we_status status = was_lost(sql, "messages", header->message, &lost, error);
    if (status == WE_OK)
        status = was_lost(sql, "conversations", header->conversation, &lost_conversation, error);
    if (status != WE_OK || !lost)
        return status;
    if (lost_conversation) {
        status = we_sql_run(sql, error, "INSERT INTO conversations (title, created, updated) VALUES ('', ?1, ?1)", "i",
                            header->created);
        conversation = sqlite3_last_insert_rowid(sql->db);
    } else {
        status = we_sql_number(sql, &found, error, "SELECT id FROM conversations WHERE id = ?", "i", conversation);
        if (status == WE_NOT_FOUND)
            return WE_OK;
    }
    struct we_new_message new = {.conversation = conversation,
                                 .created = header->created,
                                 .role = we_str_c("assistant"),
                                 .text = text,
                                 .state = WE_MESSAGE_INTERRUPTED,
                                 .model = header->model[0] ? header->model : NULL};
    if (status == WE_OK) {
        status = we_sql_number(sql, &new.parent, error, "SELECT id FROM messages WHERE id = ? AND conversation = ?", "ii",
                               header->parent, conversation);
        if (status == WE_NOT_FOUND)
            status = WE_OK;
    }
    int64_t id;
    if (status == WE_OK)
        status = we_message_insert(sql, &new, &id, error);
    if (status == WE_OK)
        status = we_message_show(sql, conversation, new.parent, id, error);
    return status;
}

static we_status put_in_place(struct we_sql *sql, const struct header *header, struct we_str text, struct we_error *error)
{
    int64_t state = 0;
    we_status status = we_sql_number(sql, &state, error, "SELECT state FROM messages WHERE id = ? AND conversation = ?", "ii",
                                     header->message, header->conversation);
    if (status == WE_NOT_FOUND)
        return insert_lost(sql, header, text, error);
    if (status == WE_OK && state == WE_MESSAGE_STREAMING)
        status = we_sql_run(sql, error, "UPDATE messages SET text = ?, state = ? WHERE id = ?", "sii", text,
                            (int64_t)WE_MESSAGE_INTERRUPTED, header->message);
    return status;
}

/* *remove: what it held is in the database now. *living: the message, if a living process writes it. */
static we_status recover_one(struct we_conversations *store, const char *path, bool *remove, int64_t *living,
                             struct we_error *error)
{
    struct we_buf text = {0}, scratch = {0};
    struct header header;
    we_status status = WE_OK;
    *remove = false;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return WE_OK; /* it stays for another time */
    bool free_to_take = flock(fd, LOCK_EX | LOCK_NB) == 0;
    /* What cannot be read is no reason to keep the person from all the rest: it stays where it is. */
    bool readable = we_file_read(path, (size_t)WE_LONGEST_TEXT + LONGEST_HEADER, &text, NULL) == WE_OK &&
                    parse_header(we_buf_str(&text), &header) && strcmp(header.store, store->id) == 0;
    if (readable && !free_to_take)
        *living = header.message;
    if (readable && free_to_take) {
        struct we_str body = we_str(text.data + header.length, text.length - header.length), clean;
        body.length -= we_utf8_incomplete_suffix(body);
        status = we_clean_text(body, &scratch, &clean, error);
        if (status == WE_OK)
            status = put_in_place(&store->sql, &header, clean, error);
        *remove = status == WE_OK;
    }
    close(fd);
    we_buf_free(&text);
    we_buf_free(&scratch);
    return status;
}

we_status we_journals_recover(struct we_conversations *store, struct we_error *error)
{
    struct we_arena arena = {0};
    const char *base = we_path_base(store->path);
    size_t count = 0, num_done = 0, prefix = strlen(base) + strlen("-reply-");
    char **names, **done = NULL, *pattern = NULL;
    struct we_buf text = {0};
    we_buf_append(&text, we_str(store->path, (size_t)(base - store->path)));
    we_buf_append_byte(&text, '.');
    we_status status =
        text.failed ? we_error_memory(error, "a path") : we_list_directory(text.data, &arena, &names, &count, error);
    if (status != WE_OK)
        goto done;
    we_buf_clear(&text);
    we_buf_printf(&text, "%s-reply-", base);
    pattern = we_buf_take(&text);
    done = we_arena_array(&arena, count, sizeof *done);
    if (pattern == NULL || done == NULL) {
        status = we_error_memory(error, "a path");
        goto done;
    }
    status = we_sql_begin(&store->sql, error);
    if (status != WE_OK)
        goto done;
    /* Replies whose journal is gone, too; those that another process writes are put back. */
    status = we_sql_run(&store->sql, error, "CREATE TEMP TABLE IF NOT EXISTS living (id INTEGER PRIMARY KEY)", "");
    for (size_t i = 0; i < count && status == WE_OK; i++) {
        if (strncmp(names[i], pattern, prefix) != 0)
            continue;
        bool remove;
        int64_t living = 0;
        char *path = we_arena_alloc(&arena, strlen(store->path) + strlen(names[i]) + 1);
        if (path == NULL) {
            status = we_error_memory(error, "a path");
            break;
        }
        sprintf(path, "%.*s%s", (int)(base - store->path), store->path, names[i]);
        status = recover_one(store, path, &remove, &living, error);
        if (remove)
            done[num_done++] = path;
        if (status == WE_OK && living)
            status = we_sql_run(&store->sql, error, "INSERT OR IGNORE INTO living VALUES (?)", "i", living);
    }
    if (status == WE_OK)
        status = we_sql_run(&store->sql, error,
                            "UPDATE messages SET state = 5 WHERE state = 1 AND id NOT IN (SELECT id FROM living)", "");
    if (status == WE_OK)
        status = we_sql_run(&store->sql, error, "DELETE FROM living", "");
    status = we_sql_end(&store->sql, status, error);
    /* They are removed when that is on the disk; if it cannot get there now, they are found again the next time. */
    if (status == WE_OK && num_done &&
        sqlite3_wal_checkpoint_v2(store->sql.db, NULL, SQLITE_CHECKPOINT_FULL, NULL, NULL) == SQLITE_OK)
        while (num_done)
            unlink(done[--num_done]);
done:
    free(pattern);
    we_buf_free(&text);
    we_arena_free(&arena);
    return status;
}
