/* Where models may be: MODELS_DIR/mlx/ORG/NAME, and snapshots in the Hugging Face cache. */
#ifndef WE_STORE_PLACES_H
#define WE_STORE_PLACES_H

#include "base/arena.h"
#include "base/error.h"

struct we_places {
    const char *mlx; /* MODELS_DIR/mlx */
    const char *hub; /* the cache of huggingface_hub; NULL: there is no home */
};

/* models_dir NULL: the default. Nothing need exist. */
we_status we_places_init(struct we_places *places, const char *models_dir, struct we_arena *arena, struct we_error *error);

/* A directory with a config.json. */
bool we_is_model_directory(const char *path);

/* Has it config.json and all the weights that its index names, and is it no unfinished download? WE_OUT_OF_MEMORY is the only
 * error. */
we_status we_model_is_complete(const char *path, struct we_arena *arena, bool *complete, struct we_error *error);

/* The snapshot in hub/FOLDER (models--ORG--NAME) that refs/main names, else the newest one; NULL if there is none with a
 * config.json. WE_OUT_OF_MEMORY is the only error. */
we_status we_hub_snapshot(const char *hub, const char *folder, struct we_arena *arena, char **path, struct we_error *error);

/* A model that is there. */
struct we_place {
    const char *name, *path;
    bool in_hub_cache;
};
/* All of them, sorted by name. Folders below MODELS_DIR/mlx that have weights or a download's record but no config.json are
 * among them. */
we_status we_places_list(const struct we_places *places, struct we_arena *arena, struct we_place **list, size_t *count,
                         struct we_error *error);

#endif
