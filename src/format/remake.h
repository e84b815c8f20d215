/* Checkpoints hold some tensors in another form than MLX's models: experts by themselves or two projections in one tensor,
 * other names, another order of dimensions. What mlx-lm's models do with them when they load (`sanitize`) is said here as data:
 * which tensors there will be, and where in the files their rows lie. */
#ifndef WE_FORMAT_REMAKE_H
#define WE_FORMAT_REMAKE_H

#include "base/arena.h"
#include "format/model_config.h"
#include "format/safetensors.h"
#include "tensor/quantize.h"

/* A tensor whose rows do not stand one after the other in the files. */
struct we_remade {
    struct we_str name;
    const struct we_tensor **pieces; /* (count), alike in type and shape */
    uint32_t count;
    uint64_t piece_rows, row_bytes; /* rows that each piece gives; a row is the last dimension */
    uint64_t block, stride, first;  /* of a piece: `block` rows from `first` on, of every `stride` */

    /* What follows is of those whose values are computed (we_remade_is_made). */
    const struct we_tensor **scales;    /* (count), of float8 pieces: one factor, or one for each block; or NULL */
    uint32_t block_rows, block_columns; /* of a block */
    uint32_t turned;                    /* rows and columns are exchanged: as many rows of a piece as there are columns; else 0 */
    const struct we_quantizer *quantizer;
};

struct we_remake {
    struct we_safetensors *view; /* as MLX has them; of a remade tensor `data` is only that of its first piece. Close it */
    struct we_remade *list;      /* (count), in the arena */
    size_t count, capacity;
};

/* Empty (view NULL) where nothing is to be changed. with_data: what has to be computed is, into the arena; else the data of
 * such tensors must not be read. */
we_status we_remake_plan(const struct we_safetensors *files, const struct we_config *config, bool with_data,
                         struct we_arena *arena, struct we_remake *remake, struct we_error *error);
/* What mlx-lm's class of the model changes in the config itself as it loads, in place. */
void we_remake_config(struct we_config *config);
/* NULL for a tensor that stands as it is. */
const struct we_remade *we_remake_find(const struct we_remake *remake, struct we_str name);
/* Rows from `first` on that lie in one piece: their number, 1 to `count`, and where they are. */
uint64_t we_remade_rows(const struct we_remade *remade, uint64_t first, uint64_t count, const unsigned char **data);

static inline bool we_remade_is_made(const struct we_remade *remade)
{
    return remade->scales || remade->turned;
}
/* (count) values of a row, from `column` on, of the type that the view says. */
void we_remade_values(const struct we_remade *remade, uint64_t row, uint64_t column, uint64_t count, void *out);

/* The weights of a directory as MLX has them, with the data: what is remade is copied into memory. Without `copy` its data must
 * not be read: for those who only look at the shapes. */
we_status we_weights_open(const char *directory, const struct we_config *config, bool copy, struct we_safetensors **weights,
                          struct we_error *error);

#endif
