/* Which formats of weights have kernels, and what those need to know of a matrix. */
#include "backend/cpu/strips.h"

static const char *name_of(const struct we_linear *linear)
{
    return linear->name ? linear->name : "a matrix without a name";
}

static we_status init_plain(struct we_cpu_matrix *m, struct we_error *error)
{
    const struct we_linear *l = m->linear;
    if (!we_dtype_is_float(l->dtype))
        return we_error_set(error, WE_UNSUPPORTED, "%s: weights of type %s; the CPU back-end computes with F32, F16 and BF16",
                            name_of(l), we_dtype_name(l->dtype));
    m->format = l->dtype == WE_F32 ? WE_CPU_F32 : l->dtype == WE_F16 ? WE_CPU_F16 : WE_CPU_BF16;
    m->row_bytes = (size_t)l->in * (l->dtype == WE_F32 ? 4 : 2);
    return WE_OK;
}

static we_status init_affine(struct we_cpu_matrix *m, struct we_error *error)
{
    const struct we_linear *l = m->linear;
    bool bits = (l->bits >= 2 && l->bits <= 6) || l->bits == 8;
    bool group = l->group_size == 32 || l->group_size == 64 || l->group_size == 128;
    if (!bits || !group)
        return we_error_set(
            error, WE_UNSUPPORTED,
            "%s: affine quantisation with %u bits in groups of %u; there are 2, 3, 4, 5, 6 and 8 bits in groups "
            "of 32, 64 and 128",
            name_of(l), l->bits, l->group_size);
    if (!we_dtype_is_float(l->dtype))
        return we_error_set(error, WE_UNSUPPORTED, "%s: scales of type %s; the CPU back-end computes with F32, F16 and BF16",
                            name_of(l), we_dtype_name(l->dtype));
    if (l->in % l->group_size != 0 || l->scales == NULL || l->biases == NULL)
        return we_error_set(error, WE_INVALID_FORMAT, "%s: %u inputs in groups of %u need scales and biases for whole groups",
                            name_of(l), l->in, l->group_size);
    m->format = l->bits == 4 ? WE_CPU_NIBBLES : l->bits == 8 ? WE_CPU_BYTES : WE_CPU_BITS;
    m->row_bytes = (size_t)l->in / 8 * l->bits;
    m->group_shift = l->group_size == 32 ? 5 : l->group_size == 64 ? 6 : 7;
    m->group_row_bytes = (size_t)(l->in >> m->group_shift) * (l->dtype == WE_F32 ? 4 : 2);
    return WE_OK;
}

/* mxfp4, mxfp8, nvfp4: small floats, with a byte for the scale of each group. */
static we_status init_small_floats(struct we_cpu_matrix *m, struct we_error *error)
{
    const struct we_linear *l = m->linear;
    const struct we_quant quant = {l->mode, l->bits, l->group_size};
    if (!we_quant_valid(quant))
        return we_error_set(error, WE_UNSUPPORTED, "%s: there is no %s with %u bits in groups of %u", name_of(l),
                            we_quant_mode_name(l->mode), l->bits, l->group_size);
    if (l->in % l->group_size != 0 || l->in % 8 != 0 || l->scales == NULL || l->dtype != WE_U8)
        return we_error_set(error, WE_INVALID_FORMAT, "%s: %u inputs in groups of %u need scales of type U8 for whole groups",
                            name_of(l), l->in, l->group_size);
    m->format = l->bits == 4 ? WE_CPU_E2M1 : WE_CPU_E4M3;
    m->row_bytes = we_quant_row_bytes(quant, l->in);
    m->group_shift = l->group_size == 16 ? 4 : 5;
    m->group_row_bytes = we_quant_row_groups(quant, l->in);
    return WE_OK;
}

we_status we_cpu_matrix_init(struct we_cpu_matrix *m, const struct we_linear *linear, struct we_error *error)
{
    *m = (struct we_cpu_matrix){0};
    if (linear->data == NULL)
        return WE_OK;
    m->linear = linear;
    if (linear->in == 0 || linear->rows == 0 || linear->in > WE_CPU_MAX_WIDTH || linear->rows > WE_CPU_MAX_WIDTH)
        return we_error_set(error, WE_INVALID_FORMAT, "%s: a matrix of %u x %u; each must be from 1 to %u", name_of(linear),
                            linear->rows, linear->in, (unsigned)WE_CPU_MAX_WIDTH);
    if (linear->bias.data && !we_dtype_is_float(linear->bias.dtype))
        return we_error_set(error, WE_UNSUPPORTED, "%s: a bias of type %s; the CPU back-end computes with F32, F16 and BF16",
                            name_of(linear), we_dtype_name(linear->bias.dtype));
    switch (linear->mode) {
    case WE_QUANT_NONE:
        return init_plain(m, error);
    case WE_QUANT_AFFINE:
        return init_affine(m, error);
    case WE_QUANT_MXFP4:
    case WE_QUANT_MXFP8:
    case WE_QUANT_NVFP4:
        return init_small_floats(m, error);
    default:
        return we_error_set(error, WE_UNSUPPORTED, "%s: the CPU back-end has no kernels for quantisation %d", name_of(linear),
                            (int)linear->mode);
    }
}

/* For decode in fast precision: by integers of two bytes, the best that the set has. */
static enum we_cpu_form integer_form(const struct we_cpu_kernels *kernels, const struct we_cpu_matrix *matrix)
{
    static const enum we_cpu_form planes[9] = {[2] = WE_CPU_FORM_PLANES_CRUMBS,  [3] = WE_CPU_FORM_PLANES_THREES,
                                               [4] = WE_CPU_FORM_PLANES_NIBBLES, [5] = WE_CPU_FORM_PLANES_BYTES,
                                               [6] = WE_CPU_FORM_PLANES_BYTES,   [8] = WE_CPU_FORM_PLANES_BYTES};
    if (matrix->linear->mode == WE_QUANT_NONE || matrix->format == WE_CPU_E4M3)
        return WE_CPU_FORM_F32;
    if (kernels->strip_rows && we_cpu_has_strips(matrix))
        return matrix->format == WE_CPU_NIBBLES ? WE_CPU_FORM_STRIP_NIBBLES : WE_CPU_FORM_STRIP_BYTES;
    if (kernels->forms[planes[matrix->linear->bits]].block_rows)
        return planes[matrix->linear->bits];
    if (matrix->format == WE_CPU_E2M1 || (matrix->format == WE_CPU_BITS && !kernels->int16_bits))
        return WE_CPU_FORM_F32;
    return matrix->format == WE_CPU_NIBBLES ? WE_CPU_FORM_INT16_NIBBLES : WE_CPU_FORM_INT16;
}

enum we_cpu_form we_cpu_form_of(const struct we_cpu_kernels *kernels, const struct we_cpu_matrix *matrix,
                                enum we_precision precision, enum we_phase phase)
{
    const bool nibbles = we_cpu_has_nibbles(matrix->format);
    const enum we_cpu_form exact = nibbles ? WE_CPU_FORM_F32_NIBBLES : WE_CPU_FORM_F32;
    enum we_cpu_form wanted = exact;
    if (precision == WE_PRECISION_FAST && phase == WE_PHASE_PREFILL)
        wanted = WE_CPU_FORM_BF16;
    else if (precision == WE_PRECISION_FAST)
        wanted = integer_form(kernels, matrix);
    return wanted == WE_CPU_FORM_F32 || kernels->forms[wanted].block_rows == 0 ? exact : wanted;
}
