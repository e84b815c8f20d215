/* The windows beside the main one: the character prompt, the models and the log. What the engine does is written into the log.
 */
#ifndef WE_DESKTOP_TOOL_WINDOWS_H
#define WE_DESKTOP_TOOL_WINDOWS_H

#include "application.h"

/* The actions win.character, win.models and win.log. */
void we_tool_windows_add(GtkApplicationWindow *window, WeApplication *application);
/* One that is open, "character", "models" or "log"; NULL: it was never shown. */
GtkWindow *we_tool_windows_get(GtkApplicationWindow *window, const char *name);

#endif
