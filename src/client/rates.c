#include "client/rates.h"

double we_prompt_rate(const struct we_result *result)
{
    uint32_t read = result->prompt_tokens - result->cached_tokens;
    return result->prompt_seconds > 0 ? read / result->prompt_seconds : 0;
}

double we_generation_rate(const struct we_result *result)
{
    /* The first token is what reading the prompt gave; the end token, which is not counted, took a step instead. */
    bool end_token = result->finish_reason == WE_FINISH_STOP;
    uint32_t steps = result->generation_tokens - (result->generation_tokens && !end_token ? 1 : 0);
    return result->generation_seconds > 0 ? steps / result->generation_seconds : 0;
}
