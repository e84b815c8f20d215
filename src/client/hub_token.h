/* The token of an account of the Hub. */
#ifndef WE_CLIENT_HUB_TOKEN_H
#define WE_CLIENT_HUB_TOKEN_H

#include "config/settings.h"

/* That of the settings, else the one that the Hub's own tools have saved; the caller's (free), NULL: none. A .env file that
 * someone else wrote may name any endpoint: only a token that stands in it too is sent there. */
char *we_hub_token(const struct we_settings *settings);

#endif
