/* Small things that many widgets are made of. */
#ifndef WE_DESKTOP_WIDGETS_H
#define WE_DESKTOP_WIDGETS_H

#include <adwaita.h>
#include <stdbool.h>

/* The name that a screen reader says. */
void we_name(gpointer widget, const char *name);
/* A button with an icon, flat unless it is in a header bar; `name` is its tooltip and what a screen reader says. */
GtkWidget *we_icon_button(const char *icon, const char *name);
/* The same for a menu, which is borrowed. */
GtkWidget *we_menu_button(const char *icon, const char *name, GMenuModel *menu);
/* A label of running text, which wraps, begins at the left, and can be selected. */
GtkWidget *we_text_label(const char *text);
/* "14:32" today, "Mon 14:32" within a week, else "12 May 2026, 14:32"; the caller's (g_free). milliseconds: since 1970. */
char *we_time_text(gint64 milliseconds);
/* The day alone: "Today", "Yesterday", "Last 7 days", "May 2026". */
char *we_day_text(gint64 milliseconds);
/* A message box with one button: what happened, and what to do. */
void we_tell(GtkWidget *parent, const char *heading, const char *text);

#endif
