/* A .env file: NAME=VALUE lines as people know them from shells and from dotenv.
 *
 *     # a comment                      export NAME=value        spaces around = are allowed
 *     A=plain value  # a comment       B="two\nlines, ${A}"     C='as it is, ${A}'
 *     D=${A:-used when A is not set or empty}
 *
 * Quoted values may span lines. In double quotes \n \r \t \" \\ \$ are escapes, in single quotes \' and \\. Plain and
 * double-quoted values expand ${NAME}: from the process environment, else from the lines above, else to nothing.
 * A lone NAME is allowed and ignored. The last of several lines with one name counts.
 *
 * Such files belong to several programs, and not each reads what another one can: a line that is none of the above is passed
 * over, and remembered as a problem. */
#ifndef WE_CONFIG_ENV_H
#define WE_CONFIG_ENV_H

#include "base/arena.h"
#include "base/error.h"

enum { WE_ENV_MAX_FILE = 1 << 18, WE_ENV_MAX_VALUE = 1 << 16, WE_ENV_MAX_ENTRIES = 1024, WE_ENV_MAX_PROBLEMS = 64 };
/* bytes, bytes, and entries: more is an error */

struct we_env_entry {
    const char *name, *value; /* terminated, without NULs inside */
    uint32_t line;            /* where it begins, from 1 */
    size_t from, to;          /* the bytes of the text that are its value, quotes included */
};

/* A line that could not be read. */
struct we_env_problem {
    const char *name; /* that the line begins with, or "" */
    const char *what; /* is wrong */
    uint32_t line;
};

/* Starts as {0}. Everything lives in the arena. */
struct we_env {
    const char *path;             /* as it was given */
    struct we_env_entry *entries; /* (count), in the order of the file */
    size_t count;
    struct we_env_problem *problems; /* (num_problems), the first WE_ENV_MAX_PROBLEMS */
    size_t num_problems;
    struct we_arena arena;
};

/* The value of a variable of the process, or NULL; getenv fits. */
typedef const char *we_env_lookup(void *context, const char *name);

/* Reads a file. WE_NOT_FOUND if there is none; WE_INVALID_FORMAT says file and line ("PATH:LINE: ..."): it is over a limit, has
 * NUL bytes, or has lines of which none could be read. `lookup` may be NULL. On an error *env is empty. Release with
 * we_env_free. */
we_status we_env_read(const char *path, we_env_lookup *lookup, void *context, struct we_env *env, struct we_error *error);
/* The same from bytes; `path` is for messages. */
we_status we_env_parse(struct we_str text, const char *path, we_env_lookup *lookup, void *context, struct we_env *env,
                       struct we_error *error);
void we_env_free(struct we_env *env);

/* WE_INVALID_FORMAT with "PATH:LINE: what is wrong". */
we_status we_env_problem_error(const struct we_env *env, const struct we_env_problem *problem, struct we_error *error);
/* The last entry of that name, or NULL. */
const struct we_env_entry *we_env_get(const struct we_env *env, const char *name);

#endif
