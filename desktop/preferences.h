/* The window of preferences: a row for each setting of the table, under the page of its group. A change goes into .env at once.
 */
#ifndef WE_DESKTOP_PREFERENCES_H
#define WE_DESKTOP_PREFERENCES_H

#include "application.h"

#define WE_TYPE_PREFERENCES (we_preferences_get_type())
G_DECLARE_FINAL_TYPE(WePreferences, we_preferences, WE, PREFERENCES, AdwPreferencesWindow)

GtkWidget *we_preferences_new(WeApplication *application);

#endif
