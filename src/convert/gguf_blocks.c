/* Rows of a GGUF file to rows of the model: exactly where MLX has a format with the same values, through floats else. */
#include "convert/convert.h"

#include "convert/gguf_decode.h"
#include "tensor/quantize.h"

#include <math.h>

enum { PIECE = WE_GGUF_LARGEST_BLOCK }; /* values at a time: whole blocks, and whole groups of every size */

enum we_dtype we_gguf_float_type(uint32_t type)
{
    return type == WE_GGML_F32 ? WE_F32 : type == WE_GGML_F16 ? WE_F16 : WE_BF16;
}

size_t we_gguf_row_bytes(const struct we_gguf_weight *w)
{
    const struct we_gguf_format *format = we_gguf_format(w->tensor->type);
    return format ? (size_t)w->in / format->values * format->bytes
                  : (size_t)w->in * we_dtype_size(we_gguf_float_type(w->tensor->type));
}

const unsigned char *we_gguf_source_row(const struct we_gguf_weight *w, uint32_t row)
{
    if (w->permuted_heads) { /* dimension pairs (i, i + half) of a head stand next to each other in the file */
        uint32_t size = w->rows / w->permuted_heads, half = size / 2, head = row / size, at = row % size;
        row = head * size + (at % half) * 2 + at / half;
    }
    return (const unsigned char *)w->tensor->data + row * we_gguf_row_bytes(w);
}

/* Whether a value that is finite stays so. */
static bool stays_finite(const void *data, enum we_dtype dtype, size_t index, float value)
{
    return !isfinite(value) || isfinite(we_load_float(data, dtype, index));
}

/* The same values in MLX's form. */
static bool copy_blocks(const struct we_gguf_weight *w, const struct we_gguf_format *format, const unsigned char *source,
                        unsigned char *packed, unsigned char *scales, unsigned char *biases)
{
    const struct we_quantizer *quantizer = w->quantizer;
    bool ok = true;
    struct we_gguf_block block;
    uint32_t groups = format->values / format->group;
    for (uint32_t b = 0; b < w->in / format->values; b++, source += format->bytes) {
        we_gguf_decode(format->type, source, &block);
        quantizer->pack(block.numbers, w->quant.bits, format->values, packed + (size_t)b * format->values / 8 * w->quant.bits);
        if (w->quant.mode != WE_QUANT_AFFINE) {
            memcpy(scales + b * groups, block.codes, groups);
            continue;
        }
        for (uint32_t g = 0; g < groups; g++) {
            size_t at = (size_t)b * groups + g;
            we_store_float(scales, w->dtype, at, block.scales[g]);
            we_store_float(biases, w->dtype, at, block.biases[g]);
            ok = ok && stays_finite(scales, w->dtype, at, block.scales[g]) &&
                 stays_finite(biases, w->dtype, at, block.biases[g]);
        }
    }
    return ok;
}

/* Values [at, at + count) of a row as float32: whole blocks. */
static void decode_piece(const struct we_gguf_weight *w, const struct we_gguf_format *format, const unsigned char *source,
                         uint32_t at, uint32_t count, float *out)
{
    struct we_gguf_block block;
    if (format == NULL) {
        enum we_dtype type = we_gguf_float_type(w->tensor->type);
        we_floats_to_f32(source + (size_t)at * we_dtype_size(type), type, count, out);
        return;
    }
    source += (size_t)at / format->values * format->bytes;
    for (uint32_t done = 0; done < count; done += format->values, source += format->bytes, out += format->values) {
        we_gguf_decode(format->type, source, &block);
        if (format->quant.mode == WE_QUANT_AFFINE) {
            for (uint32_t i = 0; i < format->values; i++)
                out[i] = block.scales[i / format->group] * (float)block.numbers[i] + block.biases[i / format->group];
        } else {
            unsigned char packed[PIECE / 2];
            w->quantizer->pack(block.numbers, 4, format->values, packed);
            we_dequantize_row(format->quant, packed, block.codes, NULL, WE_U8, format->values, out);
        }
        for (uint32_t i = 0; i < format->values; i++)
            out[i] += 0.0f; /* no -0, whatever the sign of a scale is */
    }
}

static bool through_floats(const struct we_gguf_weight *w, const struct we_gguf_format *format, const unsigned char *source,
                           unsigned char *out, unsigned char *scales, unsigned char *biases)
{
    const struct we_quantizer *quantizer = w->quantizer;
    bool affine = w->quant.mode == WE_QUANT_AFFINE, ok = true;
    size_t size = we_dtype_size(w->dtype);
    for (uint32_t at = 0; at < w->in; at += PIECE) {
        float values[PIECE];
        unsigned char cast[PIECE * 4];
        uint32_t count = w->in - at < PIECE ? w->in - at : PIECE;
        decode_piece(w, format, source, at, count, values);
        ok = quantizer->cast(values, WE_F32, count, w->quant.mode == WE_QUANT_NONE ? out + at * size : cast, w->dtype) && ok;
        if (w->quant.mode == WE_QUANT_NONE)
            continue;
        size_t group = at / w->quant.group_size * (affine ? size : 1);
        quantizer->quantize(w->quant, cast, w->dtype, w->dtype, count, out + (size_t)at / 8 * w->quant.bits, scales + group,
                            affine ? biases + group : NULL);
    }
    return ok;
}

bool we_gguf_make_row(const struct we_gguf_weight *w, const unsigned char *source, unsigned char *out, unsigned char *scales,
                      unsigned char *biases)
{
    const struct we_gguf_format *format = we_gguf_format(w->tensor->type);
    if (format && w->exact)
        return copy_blocks(w, format, source, out, scales, biases);
    if (format == NULL && w->quant.mode == WE_QUANT_NONE)
        return w->quantizer->cast(source, we_gguf_float_type(w->tensor->type), w->in, out, w->dtype);
    return through_floats(w, format, source, out, scales, biases);
}

/* ---- which types hold all values ---- */

static bool same(float a, float b)
{
    return a == b || (isnan(a) && isnan(b));
}

static void note_value(float value, bool *f16, bool *bf16)
{
    *f16 = *f16 && same(we_f32_from_f16(we_f16_from_f32(value)), value);
    *bf16 = *bf16 && same(we_f32_from_bf16(we_bf16_from_f32(value)), value);
}

/* Scales and biases that are float16 in the file, or the scale times a power of two: the same digits, with an exponent that may
 * be too large. */
static bool is_simple(const struct we_gguf_weight *w, uint32_t *grows)
{
    uint32_t type = w->tensor->type;
    *grows = type == WE_GGML_Q4_0 ? 3 : type == WE_GGML_Q5_0 ? 4 : 7;
    return w->exact && (type == WE_GGML_Q4_0 || type == WE_GGML_Q5_0 || type == WE_GGML_Q8_0 || type == WE_GGML_IQ4_NL);
}

static void look_at_scales(const struct we_gguf_weight *w, const struct we_gguf_format *format, const unsigned char *source,
                           bool *f16)
{
    struct we_gguf_block block;
    uint32_t grows;
    bool simple = is_simple(w, &grows), bf16 = false;
    for (uint32_t b = 0; b < w->in / format->values && *f16; b++, source += format->bytes) {
        uint32_t exponent = source[1] >> 2 & 31;
        if (simple) {
            *f16 = exponent == 31 || exponent + grows < 31;
            continue;
        }
        we_gguf_decode(format->type, source, &block);
        for (uint32_t g = 0; g < format->values / format->group; g++) {
            note_value(block.scales[g], f16, &bf16);
            note_value(block.biases[g], f16, &bf16);
        }
    }
}

/* What is quantised again is rounded in any case: it must only not be too large. */
static void look_at_values(const struct we_gguf_weight *w, const struct we_gguf_format *format, const unsigned char *source,
                           bool *f16, bool *bf16)
{
    for (uint32_t at = 0; at < w->in && (*f16 || *bf16); at += PIECE) {
        float values[PIECE];
        uint32_t count = w->in - at < PIECE ? w->in - at : PIECE;
        decode_piece(w, format, source, at, count, values);
        for (uint32_t i = 0; i < count; i++)
            if (w->quant.mode == WE_QUANT_NONE)
                note_value(values[i], f16, bf16);
            else
                *f16 = *f16 && !(fabsf(values[i]) >= 65504 && isfinite(values[i]));
    }
}

void we_gguf_exactness(const struct we_gguf_weight *w, bool *f16, bool *bf16)
{
    const struct we_gguf_format *format = we_gguf_format(w->tensor->type);
    uint32_t type = w->tensor->type;
    *f16 = true;
    /* A float16 that came from elsewhere is rarely a bfloat16: not worth a look. */
    *bf16 = format ? w->exact && w->quant.mode != WE_QUANT_AFFINE : w->quant.mode == WE_QUANT_NONE && type != WE_GGML_F16;
    if (*bf16 && format)
        return; /* its scales are bytes */
    if ((format == NULL && type == WE_GGML_F16) || (w->exact && (type == WE_GGML_Q4_1 || type == WE_GGML_Q5_1)))
        return; /* float16 in the file */
    size_t row_bytes = we_gguf_row_bytes(w);
    bool look = true; /* bfloat16 holds what is bfloat16 already */
    for (uint32_t row = 0; row < w->rows && look; row++, look = *f16 || (*bf16 && type == WE_GGML_F32)) {
        const unsigned char *source = (const unsigned char *)w->tensor->data + row * row_bytes;
        if (w->exact)
            look_at_scales(w, format, source, f16);
        else
            look_at_values(w, format, source, f16, bf16);
    }
}
