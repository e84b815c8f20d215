#ifndef WE_DESKTOP_WINDOW_H
#define WE_DESKTOP_WINDOW_H

#include "application.h"
#include "chat_view.h"

#define WE_TYPE_WINDOW (we_window_get_type())
G_DECLARE_FINAL_TYPE(WeWindow, we_window, WE, WINDOW, AdwApplicationWindow)

WeWindow *we_window_new(WeApplication *application);
WeChatView *we_window_chat(WeWindow *window);
/* The settings are others. */
void we_window_configure(WeWindow *window, struct we_configuration *configuration);
/* Before the store is closed: puts there what is to be remembered. */
void we_window_shut_down(WeWindow *window);

#endif
