#include "tensor/dtype.h"

static const struct {
    const char *name;
    uint8_t size;
} dtypes[WE_DTYPE_COUNT] = {
    [WE_DTYPE_NONE] = {"none", 0}, [WE_F32] = {"F32", 4},   [WE_F16] = {"F16", 2},         [WE_BF16] = {"BF16", 2},
    [WE_F64] = {"F64", 8},         [WE_U8] = {"U8", 1},     [WE_I8] = {"I8", 1},           [WE_U16] = {"U16", 2},
    [WE_I16] = {"I16", 2},         [WE_U32] = {"U32", 4},   [WE_I32] = {"I32", 4},         [WE_U64] = {"U64", 8},
    [WE_I64] = {"I64", 8},         [WE_BOOL] = {"BOOL", 1}, [WE_F8_E4M3] = {"F8_E4M3", 1}, [WE_F8_E5M2] = {"F8_E5M2", 1},
    [WE_F8_E8M0] = {"F8_E8M0", 1},
};

size_t we_dtype_size(enum we_dtype dtype)
{
    return dtypes[dtype].size;
}

const char *we_dtype_name(enum we_dtype dtype)
{
    return dtypes[dtype].name;
}

enum we_dtype we_dtype_from_name(struct we_str name)
{
    for (int i = WE_F32; i < WE_DTYPE_COUNT; i++)
        if (we_str_equal_c(name, dtypes[i].name))
            return (enum we_dtype)i;
    return WE_DTYPE_NONE;
}

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

float we_f32_from_f16(uint16_t bits)
{
    uint32_t sign = (uint32_t)(bits & 0x8000) << 16, exponent = bits >> 10 & 0x1F, mantissa = bits & 0x3FF;
    if (exponent == 0) { /* zero or subnormal: mantissa units of 2^-24 */
        float value = (float)mantissa * 0x1p-24f;
        return sign ? -value : value;
    }
    if (exponent == 31)
        return float_of(sign | 0x7F800000 | mantissa << 13);
    return float_of(sign | (exponent + 112) << 23 | mantissa << 13);
}

float we_f32_from_bf16(uint16_t bits)
{
    return float_of((uint32_t)bits << 16);
}

uint16_t we_f16_from_f32(float value)
{
    uint32_t bits = bits_of(value), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7FFFFFFF;
    if (magnitude > 0x7F800000) /* NaN: keep it quiet */
        return (uint16_t)(sign | 0x7E00 | (magnitude >> 13 & 0x3FF));
    if (magnitude >= 0x477FF000) /* 65520 and more round to infinity */
        return (uint16_t)(sign | 0x7C00);
    if (magnitude < 0x38800000) { /* below 2^-14: adding 0.5 leaves units of 2^-24 in the low bits, rounded */
        uint32_t sum = bits_of(float_of(magnitude) + 0.5f);
        return (uint16_t)(sign | (sum - 0x3F000000));
    }
    magnitude += 0xFFF + (magnitude >> 13 & 1);
    return (uint16_t)(sign | (magnitude - (112u << 23)) >> 13);
}

uint16_t we_bf16_from_f32(float value)
{
    uint32_t bits = bits_of(value);
    if ((bits & 0x7FFFFFFF) > 0x7F800000)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

float we_load_float(const void *data, enum we_dtype dtype, size_t index)
{
    const unsigned char *p = data;
    if (dtype == WE_F32) {
        float value;
        memcpy(&value, p + index * 4, 4);
        return value;
    }
    uint16_t bits;
    memcpy(&bits, p + index * 2, 2);
    return dtype == WE_F16 ? we_f32_from_f16(bits) : we_f32_from_bf16(bits);
}

void we_store_float(void *data, enum we_dtype dtype, size_t index, float value)
{
    unsigned char *p = data;
    if (dtype == WE_F32) {
        memcpy(p + index * 4, &value, 4);
        return;
    }
    uint16_t bits = dtype == WE_F16 ? we_f16_from_f32(value) : we_bf16_from_f32(value);
    memcpy(p + index * 2, &bits, 2);
}

void we_floats_to_f32(const void *data, enum we_dtype dtype, size_t count, float *out)
{
    if (dtype == WE_F32) {
        if (count)
            memcpy(out, data, count * sizeof *out);
        return;
    }
    for (size_t i = 0; i < count; i++)
        out[i] = we_load_float(data, dtype, i);
}
