/* The program: one instance, its actions and keys, and what every window and page needs. */
#ifndef WE_DESKTOP_APPLICATION_H
#define WE_DESKTOP_APPLICATION_H

#include "configuration.h"
#include "conversations.h"
#include "engine.h"

#include <adwaita.h>

#define WE_APPLICATION_ID "org.whisperengine.WhisperEngine"

#define WE_TYPE_APPLICATION (we_application_get_type())
G_DECLARE_FINAL_TYPE(WeApplication, we_application, WE, APPLICATION, AdwApplication)

WeApplication *we_application_new(void);

/* Borrowed, for the life of the application. */
WeEngine *we_application_engine(WeApplication *application);
struct we_conversations *we_application_store(WeApplication *application);
/* Borrowed, until it is read again. */
struct we_configuration *we_application_configuration(WeApplication *application);

#endif
