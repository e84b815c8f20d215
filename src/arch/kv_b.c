/* kv_b_proj, (heads * (nope + value), latent), in its two parts: latent attention reads what makes keys the other way round. */
#include "arch/family.h"

#include "tensor/quantize.h"

/* Row `at` of kv_b_proj as floats of a type: its own, or float32 where it is quantised. */
static const char *read_row(const struct we_linear *kv_b, size_t at, float *row)
{
    const struct we_quant quant = {kv_b->mode, kv_b->bits, kv_b->group_size};
    if (kv_b->mode == WE_QUANT_NONE)
        return (const char *)kv_b->data + at * kv_b->in * we_dtype_size(kv_b->dtype);
    const size_t groups = at * we_quant_row_groups(quant, kv_b->in) * (kv_b->biases ? we_dtype_size(kv_b->dtype) : 1);
    we_dequantize_row(quant, (const char *)kv_b->data + at * we_quant_row_bytes(quant, kv_b->in),
                      (const char *)kv_b->scales + groups, kv_b->biases ? (const char *)kv_b->biases + groups : NULL,
                      kv_b->dtype, kv_b->in, row);
    return (const char *)row;
}

void we_build_kv_b(struct we_build *b, const char *module, struct we_latent_attention *a)
{
    const uint32_t heads = a->num_attention_heads, nope = a->nope_head_dim, latent = a->latent_dim;
    const uint32_t both = nope + a->v_head_dim;
    struct we_linear kv_b = {0};
    we_build_linear(b, module, heads * both, latent, false, &kv_b);
    if (b->status != WE_OK)
        return;
    const enum we_dtype dtype = kv_b.mode == WE_QUANT_NONE ? kv_b.dtype : WE_F32;
    const size_t size = we_dtype_size(dtype);
    a->unembed_out = kv_b;
    a->unembed_out.first = nope;
    a->unembed_out.rows = a->v_head_dim;
    a->unembed_out.count = heads;
    a->unembed_out.next = both;
    a->embed_q = (struct we_linear){
        .data = kv_b.data, .dtype = dtype, .rows = latent, .in = nope, .count = heads, .next = latent, .name = kv_b.name};
    if (b->source->shapes_only)
        return;
    char *keys = we_arena_array(b->source->arena, (size_t)heads * latent, nope * size);
    float *row = we_arena_array(b->source->arena, latent, sizeof *row);
    if (keys == NULL || row == NULL) {
        b->status = we_error_memory(b->error, "the parts of kv_b_proj");
        return;
    }
    a->embed_q.data = keys;
    for (size_t i = 0; i < (size_t)heads * nope; i++) {
        const char *from = read_row(&kv_b, i / nope * both + i % nope, row);
        for (size_t k = 0; k < latent; k++)
            memcpy(keys + ((i / nope * latent + k) * nope + i % nope) * size, from + k * size, size);
    }
}
