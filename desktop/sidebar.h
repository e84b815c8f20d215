/* The list of conversations.
 *
 * Signal "chosen" (gint64 conversation, gint64 message): one is to be shown; message 0: at its end. */
#ifndef WE_DESKTOP_SIDEBAR_H
#define WE_DESKTOP_SIDEBAR_H

#include "conversations.h"

#include <adwaita.h>

#define WE_TYPE_SIDEBAR (we_sidebar_get_type())
G_DECLARE_FINAL_TYPE(WeSidebar, we_sidebar, WE, SIDEBAR, GtkWidget)

/* The store is borrowed, and outlives the list. */
GtkWidget *we_sidebar_new(struct we_conversations *store);
/* Reads the list again. */
void we_sidebar_refresh(WeSidebar *sidebar);
/* Marks the conversation that is shown, and the one that is being answered; 0: none. */
void we_sidebar_select(WeSidebar *sidebar, int64_t shown, int64_t answering);

#endif
