/* Which quantisation each module of a model has: the "quantization" block of config.json with its overrides. */
#ifndef WE_FORMAT_QUANTIZATION_H
#define WE_FORMAT_QUANTIZATION_H

#include "format/model_config.h"
#include "tensor/quant.h"
#include "tensor/tensor.h"

struct we_quantization {
    bool present;
    struct we_quant defaults;
    const struct we_json *block; /* the overrides are looked up in it */
    const char *where;
};

/* Reads the block. A `quantization_config` of another scheme (awq, gptq, compressed-tensors, ...) is refused by name, with what
 * to do; one whose method is a mode of MLX (mxfp4, mxfp8, nvfp4) is taken. */
we_status we_quantization_parse(const struct we_config *config, struct we_quantization *quantization, struct we_error *error);

/* What `module` ("model.layers.0.self_attn.q_proj") uses, given its tensors: `scales` may be NULL. An entry of its own
 * decides, its missing keys being the mode's defaults; else it is quantised when it has scales, with bits and group
 * as the shapes say ("in" columns). The shapes contradicting an entry is an error that names both. */
we_status we_quantization_for(const struct we_quantization *quantization, const char *module, const struct we_tensor *weight,
                              const struct we_tensor *scales, const struct we_tensor *biases, uint32_t in,
                              struct we_quant *quant, struct we_error *error);

#endif
