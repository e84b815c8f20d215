/* What .env and the environment say, as it was at one moment: it does not change, and threads share it. */
#ifndef WE_DESKTOP_CONFIGURATION_H
#define WE_DESKTOP_CONFIGURATION_H

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

#endif
