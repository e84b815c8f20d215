#include "convert/directory.h"

#include "base/fs.h"
#include "convert/convert.h"

#include <stdio.h>

/* What says of a directory that it is no such model, in words that tell what it is. */
static we_status explain(const char *source, we_status status, struct we_error *error)
{
    struct we_arena arena = {0};
    char **names;
    size_t count = 0;
    if (status != WE_NOT_FOUND || we_list_directory(source, &arena, &names, &count, NULL) != WE_OK)
        count = 0;
    for (size_t i = 0; i < count && status == WE_NOT_FOUND; i++) {
        struct we_str name = we_str_c(names[i]);
        if (we_str_ends_with(name, we_str_c(".gguf")))
            status = we_error_set(error, WE_INVALID_ARGUMENT, "%s: it holds GGUF files; name the one to convert, e.g. %s/%s",
                                  source, source, names[i]);
        else if (we_str_ends_with(name, we_str_c(".bin")) || we_str_ends_with(name, we_str_c(".pth")))
            status = we_error_set(
                error, WE_UNSUPPORTED,
                "%s: its weights (%s) are in PyTorch's format; a checkpoint in safetensors was expected, which most "
                "models have too",
                source, names[i]);
    }
    we_arena_free(&arena);
    return status;
}

static we_status open_checkpoint(const char *source, we_list_tensors *list_tensors, struct we_arena *arena,
                                 struct we_checkpoint *c, struct we_error *error)
{
    *c = (struct we_checkpoint){.path = source};
    we_status status = we_config_open(source, arena, &c->config, error);
    if (status == WE_OK)
        status = we_quantization_parse(&c->config, &c->quantization, error);
    if (status == WE_OK)
        status = we_safetensors_open(source, &c->set, error);
    status = explain(source, status, error);
    if (status == WE_OK)
        status = we_remake_plan(c->set, &c->config, true, arena, &c->remake, error);
    if (status == WE_OK)
        we_remake_config(&c->config);
    c->view = c->remake.view ? c->remake.view : c->set;
    if (status == WE_OK)
        status = we_checkpoint_norm_head(c, arena, error);
    return status == WE_OK ? list_tensors(c, arena, &c->tensors, error) : status;
}

static we_status write_config(const struct we_checkpoint *c, const struct we_new_model *model, const char *directory,
                              struct we_arena *arena, struct we_error *error)
{
    struct we_config generation;
    struct we_buf out = {0};
    if (we_config_open_file(c->path, "generation_config.json", arena, &generation, NULL) != WE_OK)
        generation.json = NULL; /* absent, or broken: mlx-lm passes it over */
    char *path = we_path_join(arena, directory, "config.json");
    we_status status = path ? WE_OK : we_error_memory(error, "config.json");
    if (status == WE_OK)
        status = we_checkpoint_write_config(c, generation.json, model, &out, error);
    if (status == WE_OK)
        status = we_file_write(path, we_buf_str(&out), error);
    we_buf_free(&out);
    return status;
}

static we_status write_directory(const struct we_checkpoint *c, const struct we_new_model *model, const char *destination,
                                 uint64_t shard_bytes, const struct we_convert_options *options, struct we_arena *arena,
                                 struct we_error *error)
{
    struct we_output output;
    we_status status = we_output_begin(&output, destination, error);
    if (status != WE_OK)
        return status;
    status = we_output_check_space(&output, we_weights_bytes(&model->weights) + (64 << 20), error);
    if (status == WE_OK)
        status = we_checkpoint_copy_files(c->path, output.temporary, error);
    if (status == WE_OK)
        status = write_config(c, model, output.temporary, arena, error);
    if (status == WE_OK)
        status = we_weights_write(&model->weights, output.temporary, shard_bytes, options, error);
    if (status == WE_OK)
        status = we_output_commit(&output, error);
    we_output_abort(&output);
    return status;
}

we_status we_convert_directory(const char *source, const char *destination, uint64_t shard_bytes, we_list_tensors *list_tensors,
                               const struct we_convert_options *options, struct we_error *error)
{
    static const struct we_convert_options none;
    struct we_arena arena = {0};
    struct we_checkpoint checkpoint = {0};
    struct we_new_model model = {0};
    options = options ? options : &none;
    we_status status = WE_OK;
    if (options->quantize && options->dequantize)
        status = we_error_set(error, WE_INVALID_ARGUMENT, "a model is quantised or dequantised, not both");
    if (status == WE_OK)
        status = open_checkpoint(source, list_tensors, &arena, &checkpoint, error);
    if (status == WE_OK)
        status = we_checkpoint_plan(&checkpoint, options, &arena, &model, error);
    if (status == WE_OK)
        status = write_directory(&checkpoint, &model, destination, shard_bytes, options, &arena, error);
    if (status == WE_OK && options->on_note && options->quantize) {
        char text[64];
        snprintf(text, sizeof text, "%.3f bits per weight", model.bits_per_weight);
        options->on_note(options->context, text);
    }
    we_buf_free(&model.entries);
    we_safetensors_close(checkpoint.remake.view);
    we_safetensors_close(checkpoint.set);
    we_arena_free(&arena);
    return status;
}
