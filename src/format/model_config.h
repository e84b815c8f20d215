/* config.json and generation_config.json of a model: values with the types that a family expects. */
#ifndef WE_FORMAT_MODEL_CONFIG_H
#define WE_FORMAT_MODEL_CONFIG_H

#include "base/arena.h"
#include "base/error.h"
#include "base/json.h"

/* A JSON object and where it stands, for messages. */
struct we_config {
    const struct we_json *json; /* an object */
    const char *where;          /* "models/x/config.json", or "... rope_scaling" for an inner object */
};

/* Reads DIRECTORY/config.json into the arena. WE_NOT_FOUND says that this is no model directory. */
we_status we_config_open(const char *directory, struct we_arena *arena, struct we_config *config, struct we_error *error);
/* The same for another file of the directory; WE_NOT_FOUND if it is absent. */
we_status we_config_open_file(const char *directory, const char *name, struct we_arena *arena, struct we_config *config,
                              struct we_error *error);

/* Getters. The value stays as it was (the caller's default) when the key is absent or null; a value of another type
 * or out of range is an error that names the file, the key, what was expected and what was found. */
we_status we_config_u32(const struct we_config *config, const char *key, uint32_t *value, struct we_error *error);
we_status we_config_float(const struct we_config *config, const char *key, float *value, struct we_error *error);
we_status we_config_bool(const struct we_config *config, const char *key, bool *value, struct we_error *error);
we_status we_config_string(const struct we_config *config, const char *key, struct we_str *value, struct we_error *error);
/* The inner object; json is NULL if it is absent or null. `where` of the result is in the arena. */
we_status we_config_object(const struct we_config *config, const char *key, struct we_arena *arena, struct we_config *object,
                           struct we_error *error);
/* An array of numbers into the arena; *values is NULL if it is absent. */
we_status we_config_floats(const struct we_config *config, const char *key, struct we_arena *arena, const float **values,
                           uint32_t *count, struct we_error *error);
/* A number or an array of numbers, e.g. eos_token_id. */
we_status we_config_u32s(const struct we_config *config, const char *key, struct we_arena *arena, const uint32_t **values,
                         uint32_t *count, struct we_error *error);

/* The same for keys that must be there. */
we_status we_config_require_u32(const struct we_config *config, const char *key, uint32_t *value, struct we_error *error);
we_status we_config_require_float(const struct we_config *config, const char *key, float *value, struct we_error *error);
we_status we_config_require_string(const struct we_config *config, const char *key, struct we_str *value,
                                   struct we_error *error);

#endif
