/* What is wrong with a configuration, line by line, and how it is put right. */
#ifndef WE_CONFIG_PROBLEMS_H
#define WE_CONFIG_PROBLEMS_H

#include "base/arena.h"
#include "config/env.h"
#include "config/settings.h"

/* Whether a setting reads this variable. */
bool we_is_setting_variable(const char *name);
/* The .env file as it was read; path NULL: there is none. */
const struct we_env *we_settings_env(const struct we_settings *settings);

struct we_setting_problem {
    bool harmless;          /* nothing goes wrong here: the line is another program's, or has no effect */
    const char *text;       /* ".env:3: MLX_TEMPERATURE is ..., but ... was expected" */
    const char *correction; /* a command that puts it right; NULL: none is known */
};

/* Everything that flags do not override, in the order of the file, then of the environment: lines that cannot be read, wrong
 * values (also those that a stronger layer hides), names that are nearly ours, names that stand twice. In the arena;
 * WE_OUT_OF_MEMORY is the only error. */
we_status we_settings_problems(const struct we_settings *settings, struct we_arena *arena, struct we_setting_problem **list,
                               size_t *count, struct we_error *error);

/* What a wrong value was probably meant to be, else the default, else NULL. In the arena. */
const char *we_setting_correct(const struct we_setting *row, const char *wrong, struct we_arena *arena);

#endif
