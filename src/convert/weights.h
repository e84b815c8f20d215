/* The weights of a new model: what each is to become, and the safetensors files that hold them. */
#ifndef WE_CONVERT_WEIGHTS_H
#define WE_CONVERT_WEIGHTS_H

#include "base/error.h"
#include "tensor/quant.h"
#include "tensor/tensor.h"

#include <whisperengine_tools.h>

struct we_weight;

/* How rows of a weight are made. Called by many threads, each with rows of its own. */
struct we_weight_maker {
    /* Rows [first, first + count): packed (or plain) to `out`, and, if it is quantised, scales and biases, each with the rows
     * one after the other. False: a value was finite, and is not in the new type. */
    bool (*make)(const struct we_weight *weight, uint64_t first, uint64_t count, unsigned char *out, unsigned char *scales,
                 unsigned char *biases);
    /* The rows are made, and what they were made from will not be read again. */
    void (*release)(const struct we_weight *weight, uint64_t first, uint64_t count);
};

struct we_weight {
    const char *name; /* "model.layers.0.self_attn.q_proj.weight"; if it is quantised, it ends so */
    uint32_t num_dims;
    uint64_t shape[WE_MAX_DIMS]; /* as numbers, before they are packed */
    uint64_t rows, in;           /* rows * in values; what is quantised has `in` columns */
    struct we_quant quant;       /* mode NONE: plain */
    enum we_dtype dtype;         /* of plain values, or of scales and biases */
    const struct we_weight_maker *maker;
    const void *from; /* the maker's */
};

struct we_weights {
    struct we_weight *list; /* (count), in the order in which they are written */
    size_t count;
};

/* Bytes of a row of the weight, of its scales and of its biases; 0 for what there is not. */
uint64_t we_weight_row_bytes(const struct we_weight *weight);
uint64_t we_weight_scale_row_bytes(const struct we_weight *weight);
uint64_t we_weight_bias_row_bytes(const struct we_weight *weight);
/* Bytes of all that a weight becomes. */
uint64_t we_weight_bytes(const struct we_weight *weight);
uint64_t we_weights_bytes(const struct we_weights *weights);

/* Writes the shards and their index into `directory`. A shard takes at most shard_bytes, if a weight fits. */
we_status we_weights_write(const struct we_weights *weights, const char *directory, uint64_t shard_bytes,
                           const struct we_convert_options *options, struct we_error *error);

#endif
