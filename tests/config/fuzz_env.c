/* Any bytes as a .env file: an error or entries that are consistent, in bounded time and memory. */
#include "config/env.h"

#include <stdlib.h>

static const char *lookup(void *context, const char *name)
{
    (void)context;
    return name[0] == 'H' ? "value" : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct we_env env;
    struct we_error error = {0};
    we_status status = we_env_parse(we_str((const char *)data, size), ".env", lookup, NULL, &env, &error);
    if (status != WE_OK && (error.message[0] == '\0' || env.count))
        abort();
    for (size_t i = 0; i < env.count; i++) {
        const struct we_env_entry *last = we_env_get(&env, env.entries[i].name);
        if (env.entries[i].from > env.entries[i].to || env.entries[i].to > size)
            abort();
        if (last == NULL || last < &env.entries[i] || strlen(last->value) > WE_ENV_MAX_VALUE || last->line == 0)
            abort();
    }
    for (size_t i = 0; i < env.num_problems; i++)
        if (env.problems[i].line == 0 || env.problems[i].what[0] == '\0')
            abort();
    we_env_free(&env);
    return 0;
}
