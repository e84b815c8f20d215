/* What an adapter adds to a product: B (A x), and of DoRA the factors of the rows. A's product is computed anew for each piece
 * of rows, since it is short; so it needs no phase of its own. */
#include "backend/cpu/executor.h"

const uint8_t *we_cpu_lora_x(const struct we_cpu_worker *w, const struct we_cpu_matrix *matrix,
                             const struct we_cpu_packed *packed, enum we_phase phase, const struct we_cpu_set *set,
                             uint32_t place, uint32_t width)
{
    if (matrix == NULL || matrix->lora_a == NULL)
        return NULL;
    const enum we_cpu_form form = matrix->lora_a->form[phase];
    const struct we_cpu_form_kernels *kernels = &w->kernels->forms[form];
    if (set)
        place = we_cpu_place(set, kernels->block_rows);
    return packed->x[form] + place * kernels->row_bytes(width);
}

/* out += B z, for a part of the rank: columns [begin, begin + count). */
static void add_part(const struct we_linear *view, const float *z, uint32_t begin, uint32_t count, uint32_t first,
                     uint32_t rows, uint32_t tokens, float *out, size_t out_stride)
{
    const struct we_lora *lora = view->lora;
    for (uint32_t i = 0; i < rows; i++) {
        const float *b = lora->b + we_linear_tensor_row(view, first + i) * lora->rank + begin;
        for (uint32_t t = 0; t < tokens; t++) {
            float sum = 0;
            for (uint32_t r = 0; r < count; r++)
                sum += b[r] * z[(size_t)t * count + r];
            out[t * out_stride + i] += sum;
        }
    }
}

void we_cpu_lora_add(struct we_cpu_worker *w, const struct we_cpu_matrix *matrix, enum we_phase phase, const uint8_t *x,
                     uint32_t first, uint32_t rows, uint32_t token, uint32_t tokens, float *out, size_t out_stride)
{
    const struct we_linear *linear = matrix->linear, *view = matrix->lora_rows;
    const struct we_lora *lora = view->lora;
    const struct we_cpu_matrix *a = matrix->lora_a;
    const struct we_cpu_form_kernels *kernels = &w->kernels->forms[a->form[phase]];
    const size_t row_bytes = kernels->row_bytes(linear->in);
    const uint32_t expert = view->count ? first / view->next : 0;
    for (uint32_t begin = 0; begin < lora->rank; begin += WE_CPU_LORA_RANK) {
        const uint32_t left = lora->rank - begin, count = left < WE_CPU_LORA_RANK ? left : WE_CPU_LORA_RANK;
        kernels->multiply(a, expert * lora->rank + begin, count, x + token * row_bytes, row_bytes, tokens, w->scratch->lora,
                          count, w->scratch->panel);
        add_part(view, w->scratch->lora, begin, count, first, rows, tokens, out, out_stride);
    }
    for (uint32_t i = 0; lora->row_scales && i < rows; i++) {
        const float scale = lora->row_scales[we_linear_tensor_row(view, first + i)];
        const size_t row = we_linear_tensor_row(linear, first + i);
        const float bias = linear->bias.data ? we_load_float(linear->bias.data, linear->bias.dtype, row) : 0.0f;
        for (uint32_t t = 0; t < tokens; t++)
            out[t * out_stride + i] = scale * (out[t * out_stride + i] - bias) + bias;
    }
}

void we_cpu_lora_embed(const struct we_linear *embedding, uint32_t token, float *x)
{
    const struct we_lora *lora = embedding->lora;
    const size_t row = we_linear_tensor_row(embedding, token);
    const float *a = lora->a.data, *b = lora->b + row * lora->rank;
    for (uint32_t r = 0; r < lora->rank; r++)
        for (uint32_t i = 0; i < embedding->in; i++)
            x[i] += b[r] * a[(size_t)r * embedding->in + i];
    for (uint32_t i = 0; lora->row_scales && i < embedding->in; i++)
        x[i] *= lora->row_scales[row];
}
