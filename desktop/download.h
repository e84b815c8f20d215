/* One download or verification of a model, in a thread, with a row that shows it. */
#ifndef WE_DESKTOP_DOWNLOAD_H
#define WE_DESKTOP_DOWNLOAD_H

#include "configuration.h"

#include <adwaita.h>
#include <stdbool.h>

#define WE_TYPE_DOWNLOAD (we_download_get_type())
G_DECLARE_FINAL_TYPE(WeDownload, we_download, WE, DOWNLOAD, GtkListBoxRow)

/* check: verify what is there, and repair it. Signals: "changed": something on the disk is another; "over": the row is of no
 * more use. */
GtkWidget *we_download_new(struct we_configuration *configuration, const char *name, bool check);
const char *we_download_name(WeDownload *download);
void we_download_start(WeDownload *download);
/* What was fetched is kept. */
void we_download_pause(WeDownload *download);
/* Stops it, and removes what was fetched of a model that was not there before. */
void we_download_cancel(WeDownload *download);

#endif
