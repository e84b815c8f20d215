/* Asks a server of OpenAI's API for its models, beside the main loop, and tells in the window of `widget` what it answers. */
#ifndef WE_DESKTOP_ENDPOINT_TEST_H
#define WE_DESKTOP_ENDPOINT_TEST_H

#include "configuration.h"

#include <adwaita.h>

void we_endpoint_test(GtkWidget *widget, struct we_configuration *configuration, const char *address);

#endif
