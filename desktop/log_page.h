/* The page of the log: what was said while the program runs, by level and search, to be copied and saved. */
#ifndef WE_DESKTOP_LOG_PAGE_H
#define WE_DESKTOP_LOG_PAGE_H

#include "log.h"

#include <adwaita.h>

#define WE_TYPE_LOG_PAGE (we_log_page_get_type())
G_DECLARE_FINAL_TYPE(WeLogPage, we_log_page, WE, LOG_PAGE, GtkWidget)

GtkWidget *we_log_page_new(void);
/* What Ctrl+F does on this page. */
void we_log_page_focus_search(WeLogPage *page);
/* Lines that the filters let through, as text; the caller's (g_free). only_selected: those that are selected, if any is. */
char *we_log_page_text(WeLogPage *page, gboolean only_selected);
guint we_log_page_shown(WeLogPage *page);
/* Takes in what was said by now, which otherwise happens a few times a second while the page is shown. */
void we_log_page_refresh(WeLogPage *page);

#endif
