/* The list of conversations, which can be searched.
 *
 * Signals: "chosen" (gint64 conversation, gint64 message): one is to be shown; message 0: at its end. "failed" (const char
 * *text). Menus and keys of its rows activate the actions rename-chat, export-markdown, export-json and delete-chat of the
 * window, with the id of the conversation. */
#ifndef WE_DESKTOP_SIDEBAR_H
#define WE_DESKTOP_SIDEBAR_H

#include "conversations.h"

#include <adwaita.h>

#define WE_TYPE_SIDEBAR (we_sidebar_get_type())
G_DECLARE_FINAL_TYPE(WeSidebar, we_sidebar, WE, SIDEBAR, GtkWidget)

/* The store is borrowed, and outlives the list. */
GtkWidget *we_sidebar_new(struct we_conversations *store);
/* Reads the list, or what is searched for, again. */
void we_sidebar_refresh(WeSidebar *sidebar);
/* Marks the conversation that is shown, and the one that is being answered; 0: none. */
void we_sidebar_select(WeSidebar *sidebar, int64_t shown, int64_t answering);
/* Opens the search, or ends it. */
void we_sidebar_set_searching(WeSidebar *sidebar, gboolean searching);
GtkWidget *we_sidebar_search_bar(WeSidebar *sidebar);
/* Waits for a search that is under way: before the store is closed. */
void we_sidebar_shut_down(WeSidebar *sidebar);

/* The menu of a conversation. */
GMenuModel *we_conversation_menu(int64_t id);

#endif
