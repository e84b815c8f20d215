/* A folder for each test, and short forms of calls that must succeed. */
#ifndef WE_TESTS_DESKTOP_STORE_SUPPORT_H
#define WE_TESTS_DESKTOP_STORE_SUPPORT_H

#include "conversations_store.h"

#include "base/fs.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* after those that it needs */
#include <cmocka.h>

static struct we_error error;
static char folder[64], database[128];

static inline int make_folder(void **state)
{
    (void)state;
    /* Where nothing waits for a disk, if there is such a place: thousands of databases are made. */
    snprintf(folder, sizeof folder, "%s/we-desktop-XXXXXX", access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(database, sizeof database, "%s/data/conversations.db", folder);
    return 0;
}

static inline int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

static inline int remove_folder(void **state)
{
    (void)state;
    return nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static inline void ok(we_status status)
{
    if (status != WE_OK)
        fail_msg("status %d: %s", status, error.message);
}

static inline struct we_conversations *open_store(const char *path)
{
    struct we_conversations *store = NULL;
    ok(we_conversations_open(path, &store, &error));
    assert_non_null(store);
    return store;
}

static inline int64_t add(struct we_conversations *store, int64_t conversation, int64_t parent, const char *role,
                          const char *text)
{
    int64_t id = 0;
    ok(we_conversations_add(store, conversation, parent, role, we_str_c(text), &id, &error));
    assert_true(id > 0);
    return id;
}

static inline int64_t new_conversation(struct we_conversations *store, const char *title)
{
    int64_t id = 0;
    ok(we_conversations_new(store, NULL, NULL, &id, &error));
    if (title)
        ok(we_conversations_rename(store, id, title, &error));
    return id;
}

/* The path that is shown, as "user:Hello|assistant:Hi [2/3]". */
static inline const char *path_of(struct we_conversations *store, int64_t id)
{
    static char text[4096];
    struct we_arena arena = {0};
    struct we_conversation *c;
    size_t n = 0;
    text[0] = '\0';
    ok(we_conversations_load(store, id, &arena, &c, &error));
    for (size_t i = 0; i < c->num_messages && n < sizeof text; i++) {
        const struct we_message *m = &c->messages[i];
        assert_int_equal(strlen(m->text), m->length);
        assert_int_equal(m->parent, i ? c->messages[i - 1].id : 0);
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s:%s", i ? "|" : "", m->role, m->text);
        if (m->num_siblings > 1 && n < sizeof text)
            n += (size_t)snprintf(text + n, sizeof text - n, " [%u/%u]", m->sibling + 1, m->num_siblings);
    }
    we_arena_free(&arena);
    return text;
}

struct rows {
    char text[8192]; /* "TITLE{EXCERPT};..." */
    size_t count;
    int64_t first, first_message;
};

static inline bool collect_row(void *context, const struct we_conversation_row *row)
{
    struct rows *rows = context;
    size_t n = strlen(rows->text);
    if (rows->count++ == 0) {
        rows->first = row->id;
        rows->first_message = row->message;
    }
    if (row->excerpt)
        snprintf(rows->text + n, sizeof rows->text - n, "%s{%s};", row->title, row->excerpt);
    else
        snprintf(rows->text + n, sizeof rows->text - n, "%s;", row->title);
    return true;
}

static inline const char *list_of(struct we_conversations *store)
{
    static struct rows rows;
    rows = (struct rows){0};
    ok(we_conversations_list(store, 0, 0, collect_row, &rows, &error));
    return rows.text;
}

#endif
