/* From a model's config and weights to its description. */
#ifndef WE_ARCH_ARCH_H
#define WE_ARCH_ARCH_H

#include "arch/decoder.h"
#include "base/arena.h"
#include "format/model_config.h"
#include "format/model_tensors.h"
#include "format/quantization.h"
#include "format/safetensors.h"

struct we_bindings;

/* What a family's file reads from. */
struct we_arch_source {
    struct we_config config;
    struct we_quantization quantization;
    const struct we_safetensors *weights;
    struct we_arena *arena;
    enum we_rope_compat rope_compat;
    bool shapes_only;             /* it will not run: weights that would be made of others at load are not */
    const char *prefix;           /* before the names of all modules; NULL: none. Set by we_arch_describe */
    struct we_bindings *bindings; /* set by we_arch_describe */
};

/* Describes the model by the family that its model_type names. Errors: an unknown model_type (lists the known ones),
 * a config value that is not implemented, a missing tensor, a shape that contradicts the config (names both). */
we_status we_arch_describe(const struct we_arch_source *source, struct we_decoder *decoder, struct we_error *error);

/* The same, but what is wanted is the list of the tensors that the model consists of (in the arena). */
we_status we_arch_tensors(const struct we_arch_source *source, struct we_model_tensors *tensors, struct we_error *error);

/* One row of the table of families. */
struct we_family;
struct we_keys;
struct we_model_type {
    const char *name; /* model_type */
    const struct we_family *family;
    /* For the text part of a model of several kinds of input, whose config is the object text_config: the family, and
     * *keys its defaults, as the outer config changes them; NULL after an error. Absent: the config itself is the family's. */
    const struct we_family *(*text_part)(const struct we_config *outer, const struct we_config *text, struct we_keys *keys,
                                         struct we_error *error);
    const struct we_text_member *text_members; /* for those who convert: see struct we_model_tensors */
};
/* Sorted by name; ended by a NULL name. */
extern const struct we_model_type we_model_types[];

#endif
