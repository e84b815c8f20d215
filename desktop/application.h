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

/* Writes .env, reads it again, and applies it: the signal "configured" tells that the configuration is another one. done is
 * told NULL, or what is wrong. */
typedef void we_settings_changed_fn(gpointer context, const struct we_error *error);
void we_application_change_settings(WeApplication *application, const struct we_env_change *changes, size_t count,
                                    we_settings_changed_fn *done, gpointer context);
/* Loads a model, with which conversations go on, and makes it the configured one. path: where it is on this machine; NULL: it
 * is an address. */
void we_application_use_model(WeApplication *application, const char *model, const char *path);

#endif
