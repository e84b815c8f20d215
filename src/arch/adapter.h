/* Adapters as mlx-lm's `lora` writes them: a directory with adapters.safetensors and adapter_config.json. Those of LoRA and
 * DoRA are put beside the layers of a model; one of full fine-tuning has tensors in place of the model's. */
#ifndef WE_ARCH_ADAPTER_H
#define WE_ARCH_ADAPTER_H

#include "arch/decoder.h"
#include "base/arena.h"
#include "base/error.h"
#include "format/safetensors.h"

/* Before the model is described: where the adapter is one of full fine-tuning, its tensors replace those of the model. */
we_status we_adapter_replace(const char *directory, struct we_arena *arena, struct we_safetensors **weights,
                             struct we_error *error);

/* Puts the adapter's low-rank products beside the linear layers of a decoder that it was trained for; those of routers become
 * part of their weights. Of full fine-tuning nothing is left to do. What it needs is copied to the arena; *bytes tells how
 * much. Errors: WE_NOT_FOUND, WE_UNSUPPORTED (a fine_tune_type, or a layer that can have none), WE_INVALID_FORMAT (it is for
 * another model, or damaged). */
we_status we_adapter_apply(const char *directory, struct we_arena *arena, struct we_decoder *decoder, uint64_t *bytes,
                           struct we_error *error);

#endif
