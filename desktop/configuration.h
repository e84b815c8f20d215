/* What .env and the environment say, as it was at one moment: it does not change, and threads share it. */
#ifndef WE_DESKTOP_CONFIGURATION_H
#define WE_DESKTOP_CONFIGURATION_H

#include "config/env_rewrite.h"
#include "config/settings.h"

#include <glib.h>

struct we_configuration {
    gatomicrefcount references;
    struct we_settings *settings;
    struct we_error problem; /* why .env was left out, or which of its values is wrong; status WE_OK: all is well */
};

/* Reads .env (file NULL: where we_settings_open looks). What is wrong in it is told by `problem`, and counts as not set.
 * NULL: out of memory, as *error says. */
struct we_configuration *we_configuration_open(const char *file, struct we_error *error);
struct we_configuration *we_configuration_ref(struct we_configuration *configuration);
void we_configuration_unref(struct we_configuration *configuration); /* NULL is fine */

/* Told in the main loop: a new reference of what .env says now, or why it could not be written (then configuration is NULL). */
typedef void we_configuration_fn(gpointer context, struct we_configuration *configuration, const struct we_error *error);

/* Changes .env in a thread beside the main loop, keeping what it was before as .env.backup. Changes come in the order of the
 * calls. Texts are copied. */
void we_configuration_change(struct we_configuration *configuration, const struct we_env_change *changes, size_t count,
                             we_configuration_fn *done, gpointer context);
/* The same, so that `model` is the configured one, as `whisperengine use` has it. A model on this machine, found at `path`
 * (else NULL), is named in the way that lasts. */
void we_configuration_use_model(struct we_configuration *configuration, const char *model, const char *path,
                                we_configuration_fn *done, gpointer context);
/* Waits for changes that are under way. */
void we_configuration_finish(void);

#endif
