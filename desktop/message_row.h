/* One message of a conversation, with what can be done with it. A reply may still be coming.
 *
 * Signals: "regenerate"; "resend" (const char *text): an edited message; "show-sibling" (guint index). */
#ifndef WE_DESKTOP_MESSAGE_ROW_H
#define WE_DESKTOP_MESSAGE_ROW_H

#include "conversations.h"

#include <adwaita.h>

#define WE_TYPE_MESSAGE_ROW (we_message_row_get_type())
G_DECLARE_FINAL_TYPE(WeMessageRow, we_message_row, WE, MESSAGE_ROW, GtkWidget)

/* How messages look, from the settings. */
struct we_message_look {
    bool markdown, timestamps;
};

GtkWidget *we_message_row_new(const struct we_message *message, const struct we_message_look *look);
int64_t we_message_row_id(WeMessageRow *row);

/* State, figures, siblings and, unless the reply streams, the text. */
void we_message_row_update(WeMessageRow *row, const struct we_message *message);
/* More of a reply. */
void we_message_row_append(WeMessageRow *row, const char *text, size_t length);
/* The prompt is being read. */
void we_message_row_set_reading(WeMessageRow *row, uint32_t read, uint32_t total);
/* While a reply is made nowhere can another one be begun. */
void we_message_row_set_busy(WeMessageRow *row, gboolean busy);

#endif
