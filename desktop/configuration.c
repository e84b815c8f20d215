#include "configuration.h"

struct we_configuration *we_configuration_open(const char *file, struct we_error *error)
{
    struct we_configuration *configuration = g_new0(struct we_configuration, 1);
    g_atomic_ref_count_init(&configuration->references);
    if (we_settings_open_anyway(file, &configuration->settings, &configuration->problem, error) != WE_OK) {
        g_free(configuration);
        return NULL;
    }
    if (configuration->problem.status == WE_OK)
        we_settings_check(configuration->settings, &configuration->problem);
    return configuration;
}

struct we_configuration *we_configuration_ref(struct we_configuration *configuration)
{
    g_atomic_ref_count_inc(&configuration->references);
    return configuration;
}

void we_configuration_unref(struct we_configuration *configuration)
{
    if (configuration == NULL || !g_atomic_ref_count_dec(&configuration->references))
        return;
    we_settings_free(configuration->settings);
    g_free(configuration);
}
