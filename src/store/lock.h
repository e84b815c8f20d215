/* One process at a time works on a model's directory. */
#ifndef WE_STORE_LOCK_H
#define WE_STORE_LOCK_H

#include "base/arena.h"
#include "base/error.h"

struct we_lock {
    int fd; /* -1: not held */
    char *path;
};

/* Waits while another process holds it. on_wait is called when the waiting begins; go_on often: false stops (WE_CANCELLED).
 * Either may be NULL. The folder of `path` must be there. */
we_status we_lock_take(struct we_lock *lock, const char *path, void (*on_wait)(void *), bool (*go_on)(void *), void *context,
                       struct we_error *error);
void we_lock_release(struct we_lock *lock); /* and removes the file; does nothing if it is not held */

/* The lock of a model: mlx/ORG/.NAME.lock. NULL: out of memory. */
char *we_model_lock_path(const char *mlx, const char *name, struct we_arena *arena);

#endif
