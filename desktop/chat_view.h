/* The page of a conversation: its messages, and the composer below them.
 *
 * Signal "conversation-changed": another conversation is shown, or it has another title, or was used. */
#ifndef WE_DESKTOP_CHAT_VIEW_H
#define WE_DESKTOP_CHAT_VIEW_H

#include "conversations.h"
#include "engine.h"

#include <adwaita.h>

#define WE_TYPE_CHAT_VIEW (we_chat_view_get_type())
G_DECLARE_FINAL_TYPE(WeChatView, we_chat_view, WE, CHAT_VIEW, GtkWidget)

/* The store is borrowed, and outlives the view. */
GtkWidget *we_chat_view_new(struct we_conversations *store, WeEngine *engine);
void we_chat_view_configure(WeChatView *view, struct we_configuration *configuration);

/* id 0: one that is begun with its first message. */
void we_chat_view_open(WeChatView *view, int64_t id);
/* The same, and scrolls to a message, on whichever branch it is. */
void we_chat_view_open_at(WeChatView *view, int64_t id, int64_t message);
/* The conversation was changed in the store. */
void we_chat_view_refresh(WeChatView *view);
int64_t we_chat_view_conversation(WeChatView *view);
const char *we_chat_view_title(WeChatView *view); /* "" before it has one */
/* The conversation that is being answered, which need not be the one that is shown; 0: none. */
int64_t we_chat_view_answering(WeChatView *view);

/* FALSE: there is no reply to stop. */
gboolean we_chat_view_stop(WeChatView *view);
void we_chat_view_focus_composer(WeChatView *view);
/* Before the store is closed: puts the draft there. A reply that the engine has not ended is left to its journal. */
void we_chat_view_shut_down(WeChatView *view);

#endif
