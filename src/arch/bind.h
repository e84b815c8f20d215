/* Binding a description's weights to the tensors of the files, with every shape checked against the config. */
#ifndef WE_ARCH_BIND_H
#define WE_ARCH_BIND_H

#include "arch/arch.h"

/* The tensors that the description uses, so that those it does not use can be named, and what is known of them. */
struct we_bindings {
    const struct we_tensor **tensors;
    size_t count, capacity;
    struct we_model_tensor *linears; /* those that are weights of linear layers and embeddings */
    size_t num_linears, linears_capacity;
};

/* A linear layer, module.weight (rows, in), plain or quantised, and module.bias (rows) if `bias`. With a count, those of
 * so many experts: (count, rows, in) and (count, rows). */
we_status we_bind_linear(const struct we_arch_source *source, const char *module, uint32_t count, uint32_t rows, uint32_t in,
                         bool bias, struct we_linear *linear, struct we_error *error);

/* The same for floats (rows, in) that are never quantised, without a bias. */
we_status we_bind_array(const struct we_arch_source *source, const char *module, uint32_t rows, uint32_t in,
                        struct we_linear *linear, struct we_error *error);

/* module.suffix (length), or with a count (count, length). */
we_status we_bind_vector(const struct we_arch_source *source, const char *module, const char *suffix, uint32_t count,
                         uint32_t length, struct we_vector *vector, struct we_error *error);
/* module.weight of a convolution of each value by itself: (count, length, 1). */
we_status we_bind_taps(const struct we_arch_source *source, const char *module, uint32_t count, uint32_t length,
                       struct we_vector *vector, struct we_error *error);
/* Whether there is a tensor of this name. */
bool we_bind_exists(const struct we_arch_source *source, const char *module, const char *suffix);

/* Rows [first, first + rows) of a fused projection. */
struct we_linear we_linear_view(const struct we_linear *fused, uint32_t first, uint32_t rows);

/* A formatted name in the arena; NULL when memory is out. */
const char *we_bind_name(const struct we_arch_source *source, const char *format, ...) WE_PRINTF(2, 3);

/* Fails for a tensor that nothing uses and that is not passed over, which means that the weights are of another model than
 * the config. */
we_status we_bind_check_unused(const struct we_arch_source *source, bool (*is_passed_over)(const void *, struct we_str),
                               const void *context, struct we_error *error);

/* ---- rope (rope.c) ---- */

struct we_rope_config {
    uint32_t rotary_dim;
    bool interleaved;
    uint32_t max_position_embeddings;          /* for longrope and dynamic; 0: absent */
    uint32_t original_max_position_embeddings; /* for longrope, unless rope_scaling has its own; 0: absent */
    float default_theta;                       /* where the config has no rope_theta; 0: 10000 */
    float theta;                               /* in place of the config's; 0: the config's */
    bool parameters_only;                      /* only rope_parameters is read, unless it is null or {} */
    bool unscaled;                             /* the family has no scaling: only the base is read */
    bool longrope_mscales;                     /* short_mscale and long_mscale of the scaling count */
    const char *type;                          /* what it is computed as, whatever the config says; NULL: as it says */
    float partial_rotary_factor;               /* of proportional, where the config has none; 0: 1 */
    const char *layer_type; /* where rope_parameters has an object for each type of layer; NULL: it has not */
};
/* Reduces rope_theta and rope_scaling (or rope_parameters) of the config to tables. Types: default, mrope (for text the
 * same), linear, dynamic, llama3, yarn, longrope (su), proportional. *switch_length is set for longrope as
 * we_decoder.rope_switch_length; it stays as it is for the others. Other types are refused by name. */
we_status we_rope_build(const struct we_arch_source *source, const struct we_rope_config *config, struct we_rope *rope,
                        uint32_t *switch_length, struct we_error *error);

#endif
