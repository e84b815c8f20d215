/* A conversation on the terminal: what its commands work on. */
#ifndef WE_CLI_CHAT_H
#define WE_CLI_CHAT_H

#include "args.h"
#include "editor.h"

#include <whisperengine_tools.h>

struct we_chat {
    const struct we_args *args;
    struct we_model *model;
    struct we_session *session;
    struct we_editor *editor;
    struct we_request request;
    bool interactive; /* a person types; else each line of standard input is a message */
    bool verbose;     /* rates after each reply */
    bool quit;
    bool failed; /* something did not work: the exit status when nobody sat there to see it */

    /* what /stats tells */
    uint32_t replies;
    uint64_t generated_tokens;
    double generation_seconds;
    struct we_result last;  /* numbers of the last reply; its text and tokens are NULL */
    uint32_t regenerations; /* since the last message */
};

/* Sends a message and prints the reply as it comes. If there is no reply, the conversation is as before, and it says why. */
void we_chat_send(struct we_chat *chat, const char *text);

/* Takes the last message and its reply back, and sends the message again. */
void we_chat_regenerate(struct we_chat *chat);

/* Opens another model, with which the conversation goes on; if that fails, the present one stays. */
bool we_chat_open_model(struct we_chat *chat, const char *name);

/* A remark on standard error, dim. */
void we_chat_note(const char *format, ...) WE_PRINTF(1, 2);

/* ---- chat_commands.c ---- */

/* Carries out a line that is a command ("/save FILE"); false: it is none. */
bool we_chat_command(struct we_chat *chat, const char *line);

/* Completes commands, names of models, and files. */
size_t we_chat_complete(void *context, const char *line, struct we_arena *arena, char ***list, size_t *count);

/* ---- chat_model.c ---- */

/* A command that failed: says why. */
void we_chat_report(struct we_chat *chat, const struct we_error *error);

/* /model: NULL tells which model it is and which there are; "#NAME" is one of the endpoint that answers now. */
void we_chat_model(struct we_chat *chat, const char *argument);

/* Calls `visit` for each model of that endpoint; there must be one. */
we_status we_chat_endpoint_models(const struct we_chat *chat, we_name_fn *visit, void *context, struct we_error *error);

/* ---- chat_history.c ---- */

/* Takes the last message and its reply out of the conversation. *user is the message, the caller's (free); *json the whole
 * conversation as it was, the caller's too. WE_NOT_FOUND: it does not end in a message and its reply. */
we_status we_chat_take_last(struct we_session *session, char **user, char **json, struct we_error *error);

/* How many messages there are, without the system message; *system is that one or NULL, the caller's (free). */
we_status we_chat_look(struct we_session *session, size_t *count, char **system, struct we_error *error);

/* The conversation to a file, all or nothing, and back. A file that is there and holds no conversation is not overwritten. */
we_status we_chat_save(struct we_session *session, const char *path, struct we_error *error);
we_status we_chat_load(struct we_session *session, const char *path, struct we_error *error);

#endif
