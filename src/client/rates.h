/* What a reply cost, as rates. */
#ifndef WE_CLIENT_RATES_H
#define WE_CLIENT_RATES_H

#include <whisperengine.h>

/* Tokens a second; 0 if nothing was measured. */
double we_prompt_rate(const struct we_result *result);
double we_generation_rate(const struct we_result *result);

#endif
