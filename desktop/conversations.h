/* The conversations of the desktop application, kept in a SQLite database.
 *
 * A conversation is a tree of messages. Siblings are what stands in one place: the replies that were made again, the
 * texts that were edited and sent again. One of them is shown, and the path from the first message along the shown ones
 * is the conversation that a person sees and the model is given.
 *
 *     we_conversations_path(data_dir, &path, &error);
 *     switch (we_conversations_open(path, &store, &error)) {
 *     case WE_INVALID_FORMAT: damaged, or no database of ours. With the user's consent: we_conversations_set_aside(path, ...)
 *     case WE_UNSUPPORTED:    a newer version wrote it
 *     case WE_IO_ERROR:       rights, disk, or in use by another program
 *     }
 * In the three cases the file is as it was. we_conversations_open(NULL, ...) gives a store in memory that works alike, for a
 * person who keeps nothing.
 *
 * Threads: every function may be called from any thread; each locks the store for its own time. Those of the first
 * part take well under a millisecond, or as long as what they read is large; they write to the system's cache and wait for no
 * disk, so the main loop may call them. The keeper, a thread of the store, brings what was written to the disk, within a second
 * or so. Those of the last part ("long work") may take seconds and belong into a thread of their own, during which the others
 * go on; so does we_conversations_search when the store is large. A call waits for another process that writes
 * for a quarter of a second, and then fails with WE_IO_ERROR.
 *
 * Streaming: we_reply_begin and we_reply_finish are called by the main loop; we_reply_append by the thread that generates,
 * before it hands the text to the window. So what was shown has been journalled, in a file beside the database: one short
 * append to the system's cache for each piece, which the keeper syncs to the disk twice a second at most. If the process dies,
 * all of it is there when the store is opened again; if the machine does, all but the last second.
 *
 * A failed call changes nothing. Errors say what to do; WE_INVALID_FORMAT from any call means that the database is damaged.
 * Text is UTF-8 (bytes that are not become U+FFFD, and so does NUL). Times are milliseconds since 1970. */
#ifndef WE_DESKTOP_CONVERSATIONS_H
#define WE_DESKTOP_CONVERSATIONS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

struct we_conversations; /* opaque: the store */

enum we_message_state {
    WE_MESSAGE_WHOLE = 0,
    WE_MESSAGE_STREAMING,   /* a reply that is being generated, by this process or another one */
    WE_MESSAGE_STOPPED,     /* by the person */
    WE_MESSAGE_CUT,         /* at the limit of tokens */
    WE_MESSAGE_FAILED,      /* its `problem` says why */
    WE_MESSAGE_INTERRUPTED, /* the program ended in the middle of it */
    WE_NUM_MESSAGE_STATES
};

/* What a reply took; all zero: not known. */
struct we_figures {
    uint32_t prompt_tokens, cached_tokens, generation_tokens;
    double prompt_seconds, generation_seconds, time_to_first_token;
};

struct we_message {
    int64_t id, parent; /* parent 0: none, it is a first message */
    const char *role;   /* "user", "assistant", "system", "tool" */
    const char *text;   /* (length), terminated; of a reply that streams: what it had when it began, "" */
    size_t length;
    int64_t created;
    enum we_message_state state;
    const char *model;   /* of a reply; or NULL */
    const char *problem; /* or NULL */
    struct we_figures figures;
    uint32_t sibling, num_siblings; /* this one is the sibling-th (from 0) of as many that stand in its place */
};

struct we_conversation {
    int64_t id;
    const char *title;  /* "" until it has one */
    bool has_own_title; /* the person gave it; we_conversations_suggest_title leaves it alone */
    const char *system; /* the system prompt; NULL: none */
    const char *model;  /* that it was last used with; or NULL */
    const char *draft;  /* text that was not sent; "" for none */
    int64_t created, updated;
    const struct we_message *messages; /* (num_messages): the path that is shown */
    size_t num_messages;
};

/* ---- opening ---- */

/* DATA_DIR/conversations.db; data_dir NULL: XDG_DATA_HOME/whisperengine. *path is the caller's (free). */
we_status we_conversations_path(const char *data_dir, char **path, struct we_error *error);

/* Makes the file and its folder if there is none, brings an older schema up to date, and puts in place what was journalled of
 * replies that a process began and did not end. path NULL: in memory. Conversations that were removed are gone for good. */
we_status we_conversations_open(const char *path, struct we_conversations **store, struct we_error *error);
/* Brings everything to the disk. No reply may be open, nor any call running. */
void we_conversations_close(struct we_conversations *store);

/* Renames a database that cannot be read, and what lies beside it, so that a new one can be begun; *aside, the caller's (free),
 * is its new name. Nothing is deleted, and no file that is there is written over. It must not be open. */
we_status we_conversations_set_aside(const char *path, char **aside, struct we_error *error);

/* ---- the list ---- */

struct we_conversation_row {
    int64_t id, created, updated;
    const char *title;
    const char *model;   /* or NULL */
    const char *excerpt; /* of a search: a part of the message that was found, "" if it was the title; else NULL */
    int64_t message;     /* of a search: that message, which need not be on the path that is shown; 0: the title */
};
/* Borrowed for the time of the call, during which the store must not be used. Return false to stop. */
typedef bool we_conversation_fn(void *context, const struct we_conversation_row *row);

/* The newest first: `limit` of them (0: all) after the first `offset`. */
we_status we_conversations_list(struct we_conversations *store, size_t offset, size_t limit, we_conversation_fn *visit,
                                void *context, struct we_error *error);
we_status we_conversations_count(struct we_conversations *store, size_t *count, struct we_error *error);

/* Those whose title or messages, shown or not, have each word of `query` (in any case, also within words), the newest first.
 * The words of an excerpt that were found stand between the bytes 2 and 3. A quick index finds words of three characters and
 * more; for shorter ones every text is read. WE_CANCELLED: by we_conversations_stop_search, which another thread calls. */
we_status we_conversations_search(struct we_conversations *store, const char *query, size_t limit, we_conversation_fn *visit,
                                  void *context, struct we_error *error);
void we_conversations_stop_search(struct we_conversations *store);

/* ---- one conversation ---- */

/* system, model: NULL for none. */
we_status we_conversations_new(struct we_conversations *store, const char *system, const char *model, int64_t *id,
                               struct we_error *error);
/* *conversation lives in the arena. WE_NOT_FOUND: there is none, or it was removed. */
we_status we_conversations_load(struct we_conversations *store, int64_t id, struct we_arena *arena,
                                struct we_conversation **conversation, struct we_error *error);

/* "" takes the title away, and another may be suggested. A title is one line of at most 200 characters: what is too long is
 * cut. */
we_status we_conversations_rename(struct we_conversations *store, int64_t id, const char *title, struct we_error *error);
/* A title made of this text (a first question: Markdown is left out, and it is cut at a word), unless the person gave one. */
we_status we_conversations_suggest_title(struct we_conversations *store, int64_t id, const char *text, struct we_error *error);
we_status we_conversations_set_system(struct we_conversations *store, int64_t id, const char *system, struct we_error *error);
we_status we_conversations_set_model(struct we_conversations *store, int64_t id, const char *model, struct we_error *error);
/* Does not make the conversation newer. id 0: the draft of a conversation that is not begun yet. */
we_status we_conversations_set_draft(struct we_conversations *store, int64_t id, const char *text, struct we_error *error);
we_status we_conversations_draft(struct we_conversations *store, int64_t id, struct we_arena *arena, const char **text,
                                 struct we_error *error);

/* Removed ones are in no list; restore brings them back, until the store is opened again or they are purged. */
we_status we_conversations_remove(struct we_conversations *store, int64_t id, struct we_error *error);
we_status we_conversations_restore(struct we_conversations *store, int64_t id, struct we_error *error);

/* ---- messages ---- */

/* A new message after `parent` (0: a first one), which is shown from now on in place of its siblings.
 * Edit and send again: the same parent as the edited one. WE_NOT_FOUND: no such conversation or parent. */
we_status we_conversations_add(struct we_conversations *store, int64_t conversation, int64_t parent, const char *role,
                               struct we_str text, int64_t *message, struct we_error *error);
/* Shows the sibling-th of those that stand in the place of `message`. */
we_status we_conversations_show(struct we_conversations *store, int64_t message, uint32_t sibling, struct we_error *error);
/* Shows this one, whichever branch it is on: what was found by a search. */
we_status we_conversations_show_message(struct we_conversations *store, int64_t message, struct we_error *error);
/* Removes a message and all that follow it, on all branches, for good; a sibling is shown in its place. */
we_status we_conversations_remove_message(struct we_conversations *store, int64_t message, struct we_error *error);
/* The conversation up to `message`, along its parents, as the engine takes it: {"messages": [...]}, the system prompt included.
 * Replies that failed are left out, and so are empty ones. message 0: the whole path that is shown. */
we_status we_conversations_request(struct we_conversations *store, int64_t conversation, int64_t message, struct we_buf *json,
                                   struct we_error *error);

/* ---- replies that stream ---- */

struct we_reply; /* opaque */

/* Adds an empty reply after `parent`, shown in place of its siblings. */
we_status we_reply_begin(struct we_conversations *store, int64_t conversation, int64_t parent, const char *model,
                         struct we_reply **reply, struct we_error *error);
int64_t we_reply_message(const struct we_reply *reply);
/* From one thread. If the journal cannot be written (the disk is full), the error is told once, the text is kept in memory, and
 * later pieces give WE_OK: the reply can go on. */
we_status we_reply_append(struct we_reply *reply, const char *text, size_t length, struct we_error *error);
/* Puts the reply into the database and frees it. figures and problem may be NULL. If that fails, the reply is as before: try
 * again when there is room, or leave it. */
we_status we_reply_finish(struct we_reply *reply, enum we_message_state state, const struct we_figures *figures,
                          const char *problem, struct we_error *error);
/* Frees a reply without ending it: what was journalled is put in place when the store is opened the next time. */
void we_reply_leave(struct we_reply *reply);

/* ---- small things that the window remembers ---- */

/* value NULL removes it. *value is in the arena, NULL if there is none. */
we_status we_conversations_note(struct we_conversations *store, const char *key, const char *value, struct we_error *error);
we_status we_conversations_noted(struct we_conversations *store, const char *key, struct we_arena *arena, const char **value,
                                 struct we_error *error);

/* ---- long work ---- */

/* The path that is shown, as a document. */
we_status we_conversations_export_markdown(struct we_conversations *store, int64_t id, struct we_buf *out,
                                           struct we_error *error);
/* With all branches: these, or (ids NULL) all. we_conversations_import gives back the same. */
we_status we_conversations_export_json(struct we_conversations *store, const int64_t *ids, size_t count, struct we_buf *out,
                                       struct we_error *error);
/* Adds the conversations of an export, or one of {"messages": [{"role", "content"}, ...]}, as `chat` saves them: all of them
 * or, with an error, none. `name` is that of the file, for messages. WE_INVALID_FORMAT says where the text is wrong.
 * on_progress may be NULL; return false to stop (WE_CANCELLED). */
struct we_import {
    size_t num_conversations, num_messages;
    int64_t newest; /* the one to show; 0: the file had none */
};
we_status we_conversations_import(struct we_conversations *store, struct we_str text, const char *name,
                                  bool (*on_progress)(void *context, size_t done, size_t total), void *context,
                                  struct we_import *result, struct we_error *error);

/* Deletes for good those that were not used since `before`; 0: those that were removed, only. */
we_status we_conversations_purge(struct we_conversations *store, int64_t before, size_t *count, struct we_error *error);
/* Deletes all, notes and drafts included. */
we_status we_conversations_clear(struct we_conversations *store, struct we_error *error);
/* Leaves no trace of what was deleted in the files, and makes them as small as can be. */
we_status we_conversations_compact(struct we_conversations *store, struct we_error *error);
/* Reads the whole database; WE_INVALID_FORMAT says what is damaged. */
we_status we_conversations_check(struct we_conversations *store, struct we_error *error);

#endif
