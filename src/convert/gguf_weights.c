#include "convert/convert.h"

#include <stdio.h>

/* What a weight is made from. */
struct origin {
    const struct we_gguf *gguf;
    const struct we_gguf_weight *weight;
};

static bool make_rows(const struct we_weight *weight, uint64_t first, uint64_t count, unsigned char *out, unsigned char *scales,
                      unsigned char *biases)
{
    const struct we_gguf_weight *w = ((const struct origin *)weight->from)->weight;
    size_t row = we_weight_row_bytes(weight), scale_row = we_weight_scale_row_bytes(weight),
           bias_row = we_weight_bias_row_bytes(weight);
    bool ok = true;
    for (uint64_t i = 0; i < count && ok; i++)
        ok = we_gguf_make_row(w, we_gguf_source_row(w, (uint32_t)(first + i)), out + i * row,
                              scale_row ? scales + i * scale_row : NULL, bias_row ? biases + i * bias_row : NULL);
    return ok;
}

/* Rows of the file stand in another order than those of the model: all of them go at the end. */
static void release_rows(const struct we_weight *weight, uint64_t first, uint64_t count)
{
    const struct origin *origin = weight->from;
    if (first + count == weight->rows)
        we_gguf_release(origin->gguf, origin->weight->tensor);
}

we_status we_gguf_weights(const struct we_gguf *gguf, const struct we_gguf_plan *plan, struct we_arena *arena,
                          struct we_weights *weights, struct we_error *error)
{
    static const struct we_weight_maker maker = {make_rows, release_rows};
    struct origin *origins = we_arena_array(arena, plan->count, sizeof *origins);
    *weights = (struct we_weights){we_arena_array(arena, plan->count, sizeof *weights->list), plan->count};
    if (origins == NULL || weights->list == NULL)
        return we_error_memory(error, "the list of tensors");
    for (size_t i = 0; i < plan->count; i++) {
        const struct we_gguf_weight *w = &plan->weights[i];
        char name[200];
        int length = snprintf(name, sizeof name, "%s.%s", w->module, w->suffix);
        origins[i] = (struct origin){gguf, w};
        weights->list[i] = (struct we_weight){.name = we_arena_copy(arena, we_str(name, (size_t)length)),
                                              .num_dims = w->vector ? 1 : 2,
                                              .shape = {w->rows, w->in},
                                              .rows = w->rows,
                                              .in = w->in,
                                              .quant = w->quant,
                                              .dtype = w->dtype,
                                              .maker = &maker,
                                              .from = &origins[i]};
        if (weights->list[i].name == NULL)
            return we_error_memory(error, "the names of tensors");
    }
    return WE_OK;
}
