/* A view of a tensor in a mapped file: shape and bytes, at any alignment. */
#ifndef WE_TENSOR_TENSOR_H
#define WE_TENSOR_TENSOR_H

#include "tensor/dtype.h"

enum { WE_MAX_DIMS = 8 };

struct we_tensor {
    struct we_str name;
    enum we_dtype dtype;
    uint32_t num_dims;
    uint64_t shape[WE_MAX_DIMS];
    const void *data; /* never dereference as a type: it may start at any byte */
    uint64_t size;    /* bytes */
    const char *file; /* path, for messages */
};

/* Product of the dimensions. */
uint64_t we_tensor_count(const struct we_tensor *tensor);

/* "[2, 3]" into `out`; returns out. */
const char *we_tensor_shape_text(const struct we_tensor *tensor, char out[128]);

#endif
