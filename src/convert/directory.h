/* The steps of making an MLX model directory of another directory: a Hugging Face checkpoint in safetensors, or an MLX model
 * that is to be quantised, dequantised, or of another type. */
#ifndef WE_CONVERT_DIRECTORY_H
#define WE_CONVERT_DIRECTORY_H

#include "convert/predicate.h"
#include "convert/weights.h"
#include "format/model_config.h"
#include "format/quantization.h"
#include "format/remake.h"
#include "format/safetensors.h"

/* What is read. */
struct we_checkpoint {
    const char *path;
    struct we_config config;
    struct we_quantization quantization;
    struct we_safetensors *set;        /* the files */
    struct we_remake remake;           /* what has another form in MLX */
    const struct we_safetensors *view; /* the tensors as MLX has them: remake's, or the set itself */
    struct we_model_tensors tensors;
};

/* Fills checkpoint->tensors, in the arena: what the families of models know. It must refuse a model it does not know. */
typedef we_status we_list_tensors(const struct we_checkpoint *checkpoint, struct we_arena *arena,
                                  struct we_model_tensors *tensors, struct we_error *error);

/* we_convert of the public header, for a directory. */
we_status we_convert_directory(const char *source, const char *destination, uint64_t shard_bytes, we_list_tensors *list_tensors,
                               const struct we_convert_options *options, struct we_error *error);

/* ---- norm_head.c ---- */

/* The head of a model whose family norms it: a copy in the arena takes its place. Nothing is done for others. */
we_status we_checkpoint_norm_head(struct we_checkpoint *checkpoint, struct we_arena *arena, struct we_error *error);

/* ---- checkpoint.c: which weights there will be ---- */

struct we_new_model {
    struct we_weights weights;
    bool quantise, dequantise;
    struct we_quant quant; /* quantise: of most modules */
    struct we_buf entries; /* ", "MODULE": {...}" for each module with an entry of its own in config.json */
    double bits_per_weight;
};

/* In the arena, which must outlive it; release `entries` with we_buf_free. */
we_status we_checkpoint_plan(const struct we_checkpoint *checkpoint, const struct we_convert_options *options,
                             struct we_arena *arena, struct we_new_model *model, struct we_error *error);

/* ---- checkpoint_config.c ---- */

/* Appends config.json as mlx-lm writes it: sorted, the end tokens of generation_config.json (an object or NULL), the new
 * quantisation. */
we_status we_checkpoint_write_config(const struct we_checkpoint *checkpoint, const struct we_json *generation_config,
                                     const struct we_new_model *model, struct we_buf *out, struct we_error *error);

/* ---- checkpoint_files.c ---- */

/* Copies what belongs to a model beside its weights and its config: the tokenizer, the chat templates, the defaults of
 * generation, code, licences. */
we_status we_checkpoint_copy_files(const char *source, const char *directory, struct we_error *error);

#endif
