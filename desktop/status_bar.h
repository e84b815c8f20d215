/* The line at the bottom of the window: the model and its state, and how busy the machine is. */
#ifndef WE_DESKTOP_STATUS_BAR_H
#define WE_DESKTOP_STATUS_BAR_H

#include "engine.h"
#include "monitor.h"

#include <adwaita.h>

#define WE_TYPE_STATUS_BAR (we_status_bar_get_type())
G_DECLARE_FINAL_TYPE(WeStatusBar, we_status_bar, WE, STATUS_BAR, GtkWidget)

GtkWidget *we_status_bar_new(WeEngine *engine);
/* Every 2 seconds. */
void we_status_bar_update(WeStatusBar *bar, const struct we_reading *reading);

#endif
