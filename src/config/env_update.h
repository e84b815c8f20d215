/* Changing a .env file on the disk. */
#ifndef WE_CONFIG_ENV_UPDATE_H
#define WE_CONFIG_ENV_UPDATE_H

#include "config/env_rewrite.h"

struct we_env_updated {
    char *file;   /* that was written: behind links */
    char *backup; /* what it was before; NULL: there was no file */
    bool changed; /* false: everything was so already, and nothing was written */
};

/* Applies the changes to `path`. First the old bytes go to "FILE.backup", then the new ones take the name in one step, with the
 * permissions and the owner that the file had; a file that is new is for its owner alone. A link stays a link. Two updates at
 * the same time both count, and so does what an editor saves meanwhile. On an error the file is as it was. Release *done with
 * we_env_updated_clear. */
we_status we_env_update(const char *path, const struct we_env_change *changes, size_t count, struct we_env_updated *done,
                        struct we_error *error);
void we_env_updated_clear(struct we_env_updated *done);

#endif
