/* The text of a message: Markdown for replies, plain for what a person wrote. */
#ifndef WE_DESKTOP_MESSAGE_BODY_H
#define WE_DESKTOP_MESSAGE_BODY_H

#include <adwaita.h>
#include <stdbool.h>

GtkWidget *we_message_body_new(bool markdown);
void we_message_body_set_text(GtkWidget *body, const char *text, size_t length);
void we_message_body_append(GtkWidget *body, const char *text, size_t length);
/* No more will be appended. */
void we_message_body_finish(GtkWidget *body);

#endif
