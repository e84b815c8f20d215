/* Conversations to files and back, in a thread beside the main loop. */
#ifndef WE_DESKTOP_CONVERSATION_FILES_H
#define WE_DESKTOP_CONVERSATION_FILES_H

#include "conversations.h"

#include <adwaita.h>

enum we_export_format { WE_EXPORT_MARKDOWN, WE_EXPORT_JSON };

/* Told in the main loop when it is done: `text` says what was done, or, if the status is not WE_OK, what is wrong.
 * conversation: of an import, the one to show; 0: none. */
typedef void we_files_fn(gpointer context, we_status status, const char *text, int64_t conversation);

/* id 0: all of them, which only JSON can hold. */
void we_conversation_export(struct we_conversations *store, int64_t id, enum we_export_format format, const char *path,
                            we_files_fn *done, gpointer context);
void we_conversation_import(struct we_conversations *store, const char *path, we_files_fn *done, gpointer context);
/* The same after asking for the file; nothing happens if the person names none. `title` becomes the file's name. */
void we_conversation_ask_export(GtkWindow *parent, struct we_conversations *store, int64_t id, const char *title,
                                enum we_export_format format, we_files_fn *done, gpointer context);
void we_conversation_ask_import(GtkWindow *parent, struct we_conversations *store, we_files_fn *done, gpointer context);

/* Waits for what is under way: before the store is closed. */
void we_conversation_files_finish(void);

#endif
