#include "client/fallback.h"

#include "base/arena.h"
#include "base/buf.h"
#include "config/profiles.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double PATIENCE = 2; /* seconds: they are on this machine, or not at all */

static const struct {
    const char *name;
    enum we_setting_id address;
} chain[] = {{"LM Studio", WE_SETTING_LM_STUDIO_URL}, {"Ollama", WE_SETTING_OLLAMA_URL}};
enum { NUM_CHAIN = sizeof chain / sizeof *chain };

bool we_may_fall_back(const struct we_settings *settings, const char *name)
{
    enum we_source source = we_settings_source(settings, WE_SETTING_MODEL);
    return we_settings_integer(settings, WE_SETTING_FALLBACK) &&
           (source == WE_SOURCE_FILE || source == WE_SOURCE_ENVIRONMENT) && !we_is_address(name);
}

size_t we_fallback_count(void)
{
    return NUM_CHAIN;
}

const char *we_fallback_name(size_t index)
{
    return chain[index].name;
}

const char *we_fallback_address(const struct we_settings *settings, size_t index)
{
    return we_settings_text(settings, chain[index].address);
}

struct choice {
    struct we_arena arena;
    const char *name;
};

/* The first that can chat: these programs list their models for search among the others. */
static bool choose(void *context, const char *name)
{
    struct choice *choice = context;
    if (strstr(name, "embed"))
        return true;
    choice->name = we_arena_copy(&choice->arena, we_str_c(name));
    return false;
}

bool we_fallback_open(const struct we_settings *settings, size_t index, const struct we_model_options *given,
                      struct we_model **model)
{
    const char *address = we_fallback_address(settings, index);
    struct we_model_options options = *given;
    struct choice choice = {.name = NULL};
    struct we_error ignored;
    bool named = strchr(address, '#') != NULL, ok;
    options.connection_timeout = options.connection_timeout > 0 ? fmin(options.connection_timeout, PATIENCE) : PATIENCE;
    we_settings_endpoint_options(settings, address, &options);
    options.remote_model = NULL;
    ok = named || (we_endpoint_models(address, &options, choose, &choice, &ignored) == WE_OK && choice.name);
    options.remote_model = choice.name;
    ok = ok && we_model_open(address, &options, model, &ignored) == WE_OK;
    we_arena_free(&choice.arena);
    return ok;
}

bool we_fall_back(const struct we_settings *settings, const struct we_model_options *options, struct we_model **model,
                  const char **who, struct we_error *error)
{
    size_t used = strlen(error->message);
    for (size_t i = 0; i < NUM_CHAIN; i++)
        if (we_fallback_open(settings, i, options, model)) {
            *who = chain[i].name;
            return true;
        }
    struct we_buf first = {0}, second = {0};
    we_show_address(we_fallback_address(settings, 0), &first);
    we_show_address(we_fallback_address(settings, 1), &second);
    if (!first.failed && !second.failed)
        snprintf(error->message + used, sizeof error->message - used,
                 "\nneither LM Studio (%.100s) nor Ollama (%.100s) can answer in its place", first.data, second.data);
    we_buf_free(&first);
    we_buf_free(&second);
    return false;
}
