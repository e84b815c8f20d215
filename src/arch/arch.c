#include "arch/arch.h"
#include "arch/bind.h"
#include "arch/families.h"

#include <stdlib.h>

/* model_type -> family. Aliases are those of mlx-lm. */
const struct we_family we_families[] = {
    {"llama", we_describe_llama},
    {"mistral", we_describe_llama},
    {"phi3", we_describe_phi3},
    {NULL, NULL},
};

const char *we_block_kind_name(enum we_block_kind kind)
{
    static const char *const names[WE_BLOCK_KIND_COUNT] = {"attention", "feed-forward"};
    return names[kind];
}

static we_status unknown_type(const struct we_arch_source *source, struct we_str model_type, struct we_error *error)
{
    struct we_buf names = {0};
    for (const struct we_family *family = we_families; family->model_type; family++)
        we_buf_printf(&names, "%s%s", names.length ? ", " : "", family->model_type);
    we_status status = we_error_set(error, WE_UNSUPPORTED, "%s: model_type '%.*s' is not implemented; these are: %.*s",
                                    source->config.where, WE_STR_ARG(model_type), WE_STR_ARG(we_buf_str(&names)));
    we_buf_free(&names);
    return status;
}

/* Names, types and shapes tell models apart well enough for a cache that lives as long as the process; a size and a
 * place in the file go with each. */
static uint64_t fingerprint(const struct we_safetensors *weights)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < we_safetensors_count(weights); i++) {
        const struct we_tensor *tensor = we_safetensors_at(weights, i);
        hash = we_str_hash(tensor->name, hash);
        hash = we_str_hash(we_str((const char *)tensor->shape, sizeof tensor->shape), hash + tensor->dtype);
    }
    return hash;
}

we_status we_arch_describe(const struct we_arch_source *source, struct we_decoder *decoder, struct we_error *error)
{
    *decoder = (struct we_decoder){0};
    struct we_str model_type;
    we_status status = we_config_require_string(&source->config, "model_type", &model_type, error);
    if (status != WE_OK)
        return status;
    const struct we_family *family = we_families;
    while (family->model_type && !we_str_equal_c(model_type, family->model_type))
        family++;
    if (family->model_type == NULL)
        return unknown_type(source, model_type, error);
    struct we_bindings bindings = {0};
    struct we_arch_source bound = *source;
    bound.bindings = &bindings;
    decoder->model_type = family->model_type;
    decoder->fingerprint = fingerprint(source->weights);
    status = family->describe(&bound, decoder, error);
    free(bindings.tensors);
    return status;
}
