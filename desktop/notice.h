/* A strip at the top of a page that says what is wrong, in words, with what can be done about it. */
#ifndef WE_DESKTOP_NOTICE_H
#define WE_DESKTOP_NOTICE_H

#include <adwaita.h>

#define WE_TYPE_NOTICE (we_notice_get_type())
G_DECLARE_FINAL_TYPE(WeNotice, we_notice, WE, NOTICE, GtkWidget)

GtkWidget *we_notice_new(void);
/* heading: a few words, or NULL. button: what it says, with the name of the action that it carries out; NULL: none. It can
 * always be closed. */
void we_notice_show(WeNotice *notice, const char *heading, const char *text, const char *button, const char *action);
void we_notice_hide(WeNotice *notice);

#endif
