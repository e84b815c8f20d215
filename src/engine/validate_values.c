/* Whether the values of the weights are finite. Of quantised ones the scales and biases decide: the packed values are integers,
 * or floats of four bits, of which each is finite. */
#include "engine/validate.h"

#include <math.h>

enum { MOST_TOLD = 10 };

/* A value whose exponent has all bits set is infinite or no number. Eight bytes are looked at together: adding one at the
 * lowest bit of the exponent carries into the sign's place where that was all ones, and nowhere else. */
struct pattern {
    uint64_t exponent, one, carry;
};

static const struct pattern f32 = {0x7F8000007F800000, 0x0080000000800000, 0x8000000080000000},
                            f16 = {0x7C007C007C007C00, 0x0400040004000400, 0x8000800080008000},
                            bf16 = {0x7F807F807F807F80, 0x0080008000800080, 0x8000800080008000},
                            e4m3 = {0x7F7F7F7F7F7F7F7F, 0x0101010101010101, 0x8080808080808080}; /* no infinity: all bits */

/* *any: some bit is set in some value (but for the sign). */
static bool all_finite(const struct we_tensor *tensor, const struct pattern *p, bool *any)
{
    const char *data = tensor->data;
    uint64_t bad = 0, seen = 0, word = 0;
    size_t i = 0;
    for (; i + 8 <= tensor->size; i += 8) {
        memcpy(&word, data + i, 8);
        bad |= (word & p->exponent) + p->one;
        seen |= word & ~p->carry;
    }
    word = 0;
    memcpy(&word, data + i, tensor->size - i);
    bad |= (word & p->exponent) + p->one;
    seen |= word & ~p->carry;
    *any = seen != 0;
    return (bad & p->carry) == 0;
}

/* Powers of two (E8M0), of which the last one is more than a float holds. */
static bool all_finite_powers(const struct we_tensor *tensor)
{
    const unsigned char *data = tensor->data;
    bool bad = false;
    for (uint64_t i = 0; i < tensor->size; i++)
        bad |= data[i] == 0xFF;
    return !bad;
}

static void tell_bad(struct we_validator *v, const struct we_tensor *tensor)
{
    uint64_t count = we_tensor_count(tensor), bad = 0, first = 0;
    const bool floats = we_dtype_is_float(tensor->dtype);
    for (uint64_t i = 0; floats && i < count; i++)
        if (!isfinite((double)we_load_float(tensor->data, tensor->dtype, i)) && bad++ == 0)
            first = i;
    if (!floats)
        we_check(v, WE_CHECK_FAILED, "values", v->again,
                 "%s: tensor %.*s: some of its values are not a number; the file is damaged", tensor->file,
                 WE_STR_ARG(tensor->name));
    else
        we_check(
            v, WE_CHECK_FAILED, "values", v->again,
            "%s: tensor %.*s: %llu of its %llu values are not finite (the first is number %llu, %g): the file is damaged, or "
            "the model was converted to a type that is too narrow for it",
            tensor->file, WE_STR_ARG(tensor->name), (unsigned long long)bad, (unsigned long long)count,
            (unsigned long long)first, (double)we_load_float(tensor->data, tensor->dtype, first));
}

/* What a part of a module holds: its weights, scales or biases. */
/* part: what it is, or a piece of: the weight itself, or something beside it. */
static bool is_finite(const struct we_tensor *tensor, const struct we_tensor *part, const struct we_model_tensor *of, bool *any)
{
    *any = true;
    if (tensor->dtype == WE_F32 || tensor->dtype == WE_F16 || tensor->dtype == WE_BF16)
        return all_finite(tensor, tensor->dtype == WE_F32 ? &f32 : tensor->dtype == WE_F16 ? &f16 : &bf16, any);
    if (of->quant.mode == WE_QUANT_NVFP4 || (of->quant.mode == WE_QUANT_MXFP8 && part == of->tensor))
        return all_finite(tensor, &e4m3, any);
    return of->quant.mode == WE_QUANT_NONE || part == of->tensor || all_finite_powers(tensor);
}

static void check_values(struct we_validator *v, const struct we_tensor *tensor, const struct we_tensor *part,
                         const struct we_model_tensor *of, size_t *wrong, size_t *empty)
{
    bool any;
    if (tensor->size == 0)
        return;
    if (!is_finite(tensor, part, of, &any) && (*wrong)++ < MOST_TOLD)
        tell_bad(v, tensor);
    if (!any && of->linear && part != of->biases && (*empty)++ < MOST_TOLD)
        we_check(v, WE_CHECK_WARNING, "values", v->again,
                 "%s: tensor %.*s is all zeros; a copy that was cut short leaves such holes", tensor->file,
                 WE_STR_ARG(tensor->name));
}

/* As it lies in the files: a tensor, or the pieces of one. */
static void check_part(struct we_validator *v, const struct we_tensor *part, const struct we_remade *remade,
                       const struct we_model_tensor *of, size_t *wrong, size_t *empty, uint64_t *bytes)
{
    const uint32_t count = remade ? remade->count : 1;
    for (uint32_t i = 0; i < count && !v->stopped; i++) {
        const struct we_tensor *piece = remade ? remade->pieces[i] : part;
        check_values(v, piece, part, of, wrong, empty);
        *bytes += piece->size;
        we_safetensors_release(v->weights, piece->data, piece->size);
    }
}

bool we_validate_values(struct we_validator *v, const struct we_model_tensors *tensors, const struct we_remake *remake)
{
    size_t wrong = 0, empty = 0;
    uint64_t bytes = 0;
    char text[24];
    for (size_t i = 0; i < tensors->count && !v->stopped; i++) {
        const struct we_model_tensor *t = &tensors->list[i];
        const struct we_tensor *parts[] = {t->tensor, t->scales, t->biases};
        const bool integers = t->linear && t->quant.mode != WE_QUANT_NONE && t->quant.mode != WE_QUANT_MXFP8;
        for (size_t p = integers ? 1 : 0; p < 3; p++)
            if (parts[p])
                check_part(v, parts[p], we_remake_find(remake, parts[p]->name), t, &wrong, &empty, &bytes);
    }
    if (wrong > MOST_TOLD)
        we_check(v, WE_CHECK_FAILED, "values", v->again, "%zu more tensors have values that are not finite", wrong - MOST_TOLD);
    if (wrong == 0)
        we_check(v, WE_CHECK_PASSED, "values", NULL, "all floating-point values are finite (%s were read)",
                 we_bytes_text(bytes, text));
    return wrong == 0;
}
