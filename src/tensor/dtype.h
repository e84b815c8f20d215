#ifndef WE_TENSOR_DTYPE_H
#define WE_TENSOR_DTYPE_H

#include "base/str.h"

enum we_dtype {
    WE_DTYPE_NONE = 0,
    WE_F32, WE_F16, WE_BF16, WE_F64,
    WE_U8, WE_I8, WE_U16, WE_I16, WE_U32, WE_I32, WE_U64, WE_I64, WE_BOOL,
    WE_F8_E4M3, WE_F8_E5M2, WE_F8_E8M0,
    WE_DTYPE_COUNT
};

/* Bytes of one element. */
size_t we_dtype_size(enum we_dtype dtype);
/* The name that safetensors uses: "F32", "BF16", ... */
const char *we_dtype_name(enum we_dtype dtype);
/* WE_DTYPE_NONE for an unknown name. */
enum we_dtype we_dtype_from_name(struct we_str name);
static inline bool we_dtype_is_float(enum we_dtype dtype)
{
    return dtype == WE_F32 || dtype == WE_F16 || dtype == WE_BF16;
}

float we_f32_from_f16(uint16_t bits);
float we_f32_from_bf16(uint16_t bits);
uint16_t we_f16_from_f32(float value);  /* round to nearest, ties to even; NaN stays NaN */
uint16_t we_bf16_from_f32(float value); /* the same */

/* Reads element `index` of an array of F32, F16 or BF16 at any alignment. */
float we_load_float(const void *data, enum we_dtype dtype, size_t index);
/* Writes it, rounded. */
void we_store_float(void *data, enum we_dtype dtype, size_t index, float value);
/* (count) elements to float32. */
void we_floats_to_f32(const void *data, enum we_dtype dtype, size_t count, float *out);

#endif
