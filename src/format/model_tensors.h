/* What a family of models says of a checkpoint, for those who rewrite it: which tensors the model consists of, which of them
 * are weights of linear layers and embeddings, and what they are quantised with. */
#ifndef WE_FORMAT_MODEL_TENSORS_H
#define WE_FORMAT_MODEL_TENSORS_H

#include "tensor/quant.h"
#include "tensor/tensor.h"

struct we_model_tensor {
    const struct we_tensor *tensor;          /* "MODULE.weight", a norm, a bias, ... */
    bool linear;                             /* a linear layer or an embedding: what may be quantised */
    uint64_t in;                             /* linear: its columns, unpacked */
    struct we_quant quant;                   /* linear: mode NONE if it is plain */
    const struct we_tensor *scales, *biases; /* of a quantised one, which are not listed by themselves */
};

/* What mlx-lm's class of a model in parts writes into text_config, and so into the config of what is converted. */
struct we_text_member {
    const char *key;
    const char *value; /* JSON, where text_config has no such key */
    bool from_outer;   /* the member of the outer config, or `value`, also in place of the one that is there */
};

struct we_model_tensors {
    struct we_model_tensor *list; /* (count) */
    size_t count;
    uint32_t num_layers;
    /* How the family wants to be quantised, as the text of a JSON object (convert/predicate.h); NULL: all alike. */
    const char *quant_predicate;
    /* Ends of the names of tensors that keep their type when the others are cast, separated by blanks; NULL: none. */
    const char *keeps_dtype;
    const struct we_text_member *text_members; /* ended by a NULL key; NULL: none */
};

#endif
