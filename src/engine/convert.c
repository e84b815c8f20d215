/* Conversion, with what the families of models know of their tensors. */
#include "arch/arch.h"
#include "base/fs.h"
#include "convert/convert.h"
#include "convert/directory.h"

static we_status list_tensors(const struct we_checkpoint *checkpoint, struct we_arena *arena, struct we_model_tensors *tensors,
                              struct we_error *error)
{
    struct we_arch_source source = {.shapes_only = true,
                                    .config = checkpoint->config,
                                    .quantization = checkpoint->quantization,
                                    .weights = checkpoint->view,
                                    .arena = arena};
    return we_arch_tensors(&source, tensors, error);
}

we_status we_convert(const char *source, const char *destination, const struct we_convert_options *options,
                     struct we_error *error)
{
    const uint64_t shard_bytes = (uint64_t)5 << 30;
    if (!we_path_exists(source))
        return we_error_set(error, WE_NOT_FOUND, "%s: there is no such file or directory", source);
    if (we_path_is_directory(source))
        return we_convert_directory(source, destination, shard_bytes, list_tensors, options, error);
    if (we_str_ends_with(we_str_c(source), we_str_c(".safetensors")))
        return we_error_set(error, WE_INVALID_ARGUMENT,
                            "%s: weights alone are no model; name the directory that holds them and config.json", source);
    return we_convert_gguf(source, destination, shard_bytes, options, error);
}
