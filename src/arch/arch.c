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

static we_status find_family(const struct we_arch_source *source, const struct we_family **family, struct we_error *error)
{
    struct we_str model_type;
    we_status status = we_config_require_string(&source->config, "model_type", &model_type, error);
    if (status != WE_OK)
        return status;
    *family = we_families;
    while ((*family)->model_type && !we_str_equal_c(model_type, (*family)->model_type))
        (*family)++;
    return (*family)->model_type ? WE_OK : unknown_type(source, model_type, error);
}

/* `bindings` are the caller's, to be released with free_bindings. */
static we_status describe(const struct we_arch_source *source, const struct we_family *family, struct we_bindings *bindings,
                          struct we_decoder *decoder, struct we_error *error)
{
    struct we_arch_source bound = *source;
    bound.bindings = bindings;
    *decoder = (struct we_decoder){.model_type = family->model_type, .fingerprint = fingerprint(source->weights)};
    return family->describe(&bound, decoder, error);
}

static void free_bindings(struct we_bindings *bindings)
{
    free(bindings->tensors);
    free(bindings->linears);
}

we_status we_arch_describe(const struct we_arch_source *source, struct we_decoder *decoder, struct we_error *error)
{
    const struct we_family *family;
    struct we_bindings bindings = {0};
    *decoder = (struct we_decoder){0};
    we_status status = find_family(source, &family, error);
    if (status == WE_OK)
        status = describe(source, family, &bindings, decoder, error);
    free_bindings(&bindings);
    return status;
}

/* All that was bound, each once; `list` has room for all tensors that there are. */
static void list_tensors(const struct we_safetensors *weights, const struct we_bindings *bindings,
                         struct we_model_tensors *tensors)
{
    struct we_model_tensor *list = tensors->list;
    const struct we_tensor *first = we_safetensors_at(weights, 0);
    for (size_t i = 0; i < bindings->count; i++)
        list[bindings->tensors[i] - first].tensor = bindings->tensors[i];
    for (size_t i = 0; i < bindings->num_linears; i++)
        list[bindings->linears[i].tensor - first] = bindings->linears[i];
    for (size_t i = 0; i < bindings->num_linears; i++) {
        const struct we_model_tensor *linear = &bindings->linears[i];
        if (linear->scales)
            list[linear->scales - first].tensor = NULL;
        if (linear->biases)
            list[linear->biases - first].tensor = NULL;
    }
    for (size_t i = 0; i < we_safetensors_count(weights); i++)
        if (list[i].tensor)
            list[tensors->count++] = list[i];
}

we_status we_arch_tensors(const struct we_arch_source *source, struct we_model_tensors *tensors, struct we_error *error)
{
    const struct we_family *family;
    struct we_bindings bindings = {0};
    struct we_decoder decoder;
    *tensors = (struct we_model_tensors){0};
    we_status status = find_family(source, &family, error);
    if (status == WE_OK)
        status = describe(source, family, &bindings, &decoder, error);
    if (status == WE_OK) {
        tensors->num_layers = decoder.num_layers;
        tensors->quant_predicate = family->quant_predicate;
        tensors->keeps_dtype = family->keeps_dtype;
        tensors->list = we_arena_array(source->arena, we_safetensors_count(source->weights), sizeof *tensors->list);
        if (tensors->list)
            list_tensors(source->weights, &bindings, tensors);
        else
            status = we_error_memory(error, "the list of tensors");
    }
    free_bindings(&bindings);
    return status;
}
