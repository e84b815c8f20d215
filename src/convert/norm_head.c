/* Ling's models (bailing_moe) with norm_head: the columns of the head are divided by their lengths. A quantised head cannot be
 * any more, so a conversion does it, in the order and the float32 of mlx-lm. */
#include "convert/directory.h"

#include "tensor/dtype.h"

#include <math.h>

static bool is_true(const struct we_json *config, const char *key)
{
    const struct we_json *value = we_json_get(config, key);
    return value && value->kind == WE_JSON_BOOL && value->boolean;
}

we_status we_checkpoint_norm_head(struct we_checkpoint *c, struct we_arena *arena, struct we_error *error)
{
    const struct we_json *config = c->config.json, *type = we_json_get(config, "model_type");
    if (type == NULL || !we_str_equal_c(type->string, "bailing_moe") || !is_true(config, "norm_head") ||
        is_true(config, "tie_word_embeddings"))
        return WE_OK;
    /* The view and the set are this conversion's own. */
    struct we_tensor *head = (struct we_tensor *)we_safetensors_find(c->view, we_str_c("lm_head.weight"));
    if (head == NULL || head->num_dims != 2 || !we_dtype_is_float(head->dtype) || head->shape[1] == 0)
        return WE_OK;
    const size_t in = (size_t)head->shape[1], rows = (size_t)head->shape[0], size = we_dtype_size(head->dtype);
    unsigned char *data = we_arena_array(arena, rows * in + 1, size);
    float *lengths = we_arena_array(arena, in, sizeof *lengths), *row = we_arena_array(arena, in, sizeof *row);
    if (data == NULL || lengths == NULL || row == NULL)
        return we_error_memory(error, "the normed head");
    memset(lengths, 0, in * sizeof *lengths);
    for (size_t r = 0; r < rows; r++) {
        we_floats_to_f32((const unsigned char *)head->data + r * in * size, head->dtype, (uint32_t)in, row);
        for (size_t i = 0; i < in; i++)
            lengths[i] += row[i] * row[i];
    }
    for (size_t i = 0; i < in; i++)
        lengths[i] = sqrtf(lengths[i]) + 1e-7f;
    for (size_t r = 0; r < rows; r++) {
        we_floats_to_f32((const unsigned char *)head->data + r * in * size, head->dtype, (uint32_t)in, row);
        for (size_t i = 0; i < in; i++)
            we_store_float(data + r * in * size, head->dtype, i, row[i] / lengths[i]);
    }
    we_safetensors_release(c->set, head->data, head->size);
    head->data = data;
    return WE_OK;
}
