/* The parts of `validate`: each hands its checks to we_validation_tell. */
#ifndef WE_CLI_VALIDATE_H
#define WE_CLI_VALIDATE_H

#include "args.h"
#include "json_line.h"

#include <whisperengine_tools.h>

#include "base/arena.h"

struct we_validation {
    const struct we_args *args;
    bool as_json;
    struct we_json_line json;
    const char *group;                     /* that is being told */
    const char *step;                      /* what is going on, for the terminal */
    uint32_t counts[WE_CHECK_SKIPPED + 1]; /* by mark */
    struct we_arena arena;
};

/* A we_check_fn: prints or keeps a check. */
bool we_validation_tell(void *context, const struct we_check *check);
void we_validation_step(void *context, const char *what);
/* A check with a formatted text. hint may be NULL. */
void we_validation_check(struct we_validation *v, const char *group, enum we_check_mark mark, const char *name,
                         const char *hint, const char *format, ...) WE_PRINTF(6, 7);
/* A formatted text in the arena; never NULL. */
const char *we_validation_text(struct we_validation *v, const char *format, ...) WE_PRINTF(2, 3);

/* .env, the environment, and what they name. */
void we_validate_configuration(struct we_validation *v);
/* A reply from whoever is configured, `name`, as `run` would ask for it; then those who stand in for a model that fails. */
void we_validate_pipeline(struct we_validation *v, const char *name);

#endif
