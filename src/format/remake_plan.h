/* What is known while it is decided how tensors are to be remade: for remake.c and remake_values.c only. */
#ifndef WE_FORMAT_REMAKE_PLAN_H
#define WE_FORMAT_REMAKE_PLAN_H

#include "format/remake.h"

struct we_remake_planner {
    const struct we_safetensors *files;
    const struct we_config *config;
    struct we_str model_type;
    struct we_arena *arena;
    struct we_remake *remake;
    struct we_tensor *tensors; /* (count): those that stand as they are, under their new names */
    size_t count;
    bool changed;
    bool with_data; /* what has to be computed at once is; else its data must not be read */
    bool raw; /* of the families with states: the checkpoint is in the form that it was trained in */
    struct we_error *error;
};

we_status we_remake_add(struct we_remake_planner *planner, const struct we_remade *remade);

/* ---- remake_values.c ---- */

/* Sizes of latent attention. */
struct we_remake_heads {
    uint32_t heads, nope, value, latent;
};

/* remake_heads.c: tensors[index] is a kv_b_proj.weight of packed values; its scales and biases are among the tensors. */
we_status we_remake_quantised_heads(struct we_remake_planner *planner, size_t index, const struct we_remake_heads *heads);
/* Whether it is the factors of a float8 tensor, which vanish with it. */
bool we_remake_is_factor(const struct we_safetensors *files, struct we_str name);
/* Tensors of float8 become bfloat16. */
we_status we_remake_float8(struct we_remake_planner *planner);
/* kv_b_proj of latent attention becomes embed_q and unembed_out. */
we_status we_remake_latent(struct we_remake_planner *planner);

#endif
