/* The page of the models on this computer: downloads from the Hub with progress, pause and resume; verification; removal. The
 * library does the work, as it does for pull, list and remove: what was fetched before a pause, an error or the end of the
 * program is used the next time. */
#ifndef WE_DESKTOP_MODELS_PAGE_H
#define WE_DESKTOP_MODELS_PAGE_H

#include "application.h"

#define WE_TYPE_MODELS_PAGE (we_models_page_get_type())
G_DECLARE_FINAL_TYPE(WeModelsPage, we_models_page, WE, MODELS_PAGE, GtkWidget)

GtkWidget *we_models_page_new(WeApplication *application);
/* Begins, or goes on with, a download of ORG/NAME. */
void we_models_page_download(WeModelsPage *page, const char *name);
/* Looks at the disk again. */
void we_models_page_refresh(WeModelsPage *page);

#endif
