/* Profiles: who answers the chat. `mlx` is a model on this machine, `local` LM Studio, `ollama` Ollama, and `remote` any other
 * endpoint of OpenAI's API. The profile is what LLM_CHAT_API_URL says; the other names remember what each profile had. */
#ifndef WE_CONFIG_PROFILES_H
#define WE_CONFIG_PROFILES_H

#include "base/arena.h"
#include "config/env_rewrite.h"
#include "config/settings.h"

enum we_profile { WE_PROFILE_MLX, WE_PROFILE_LOCAL, WE_PROFILE_OLLAMA, WE_PROFILE_REMOTE, WE_NUM_PROFILES };

const char *we_profile_name(enum we_profile profile);                /* "mlx" */
bool we_profile_by_name(const char *name, enum we_profile *profile); /* false: there is none of that name */

/* Whether a text is an http(s) address. */
bool we_is_address(const char *text);
/* "ADDRESS#NAME": the address without slashes at its end, and the name of a model there, empty if there is none. */
void we_address_split(const char *text, struct we_str *address, struct we_str *name);
/* Whether two addresses lead to the same scheme, host and port. */
bool we_address_same_server(const char *a, const char *b);

/* The profile that a model's name belongs to. */
enum we_profile we_profile_of(const struct we_settings *settings, const char *model);

/* What `use PROFILE` would switch to, in the arena: ORG/NAME or a path, or "ADDRESS#NAME"; NULL: nothing is known. */
const char *we_profile_model(const struct we_settings *settings, enum we_profile profile, struct we_arena *arena);

enum { WE_PROFILE_MOST_CHANGES = 8 };
/* The changes of .env that switch to `model` and remember what was there, in the arena. False: memory is out. */
bool we_profile_changes(const struct we_settings *settings, const char *model, struct we_arena *arena,
                        struct we_env_change changes[WE_PROFILE_MOST_CHANGES], size_t *count);

#endif
