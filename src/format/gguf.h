/* GGUF files (versions 2 and 3), mapped: for conversion. Every length and offset is checked. */
#ifndef WE_FORMAT_GGUF_H
#define WE_FORMAT_GGUF_H

#include "base/error.h"
#include "base/str.h"

enum we_gguf_type { /* of a metadata value, with the numbers of the format */
                    WE_GGUF_U8 = 0,
                    WE_GGUF_I8,
                    WE_GGUF_U16,
                    WE_GGUF_I16,
                    WE_GGUF_U32,
                    WE_GGUF_I32,
                    WE_GGUF_F32,
                    WE_GGUF_BOOL,
                    WE_GGUF_STRING,
                    WE_GGUF_ARRAY,
                    WE_GGUF_U64,
                    WE_GGUF_I64,
                    WE_GGUF_F64
};

enum we_ggml_type { /* of a tensor, with the numbers of the format */
                    WE_GGML_F32 = 0,
                    WE_GGML_F16 = 1,
                    WE_GGML_Q4_0 = 2,
                    WE_GGML_Q4_1 = 3,
                    WE_GGML_Q5_0 = 6,
                    WE_GGML_Q5_1 = 7,
                    WE_GGML_Q8_0 = 8,
                    WE_GGML_Q2_K = 10,
                    WE_GGML_Q3_K = 11,
                    WE_GGML_Q4_K = 12,
                    WE_GGML_Q5_K = 13,
                    WE_GGML_Q6_K = 14,
                    WE_GGML_IQ4_NL = 20,
                    WE_GGML_IQ4_XS = 23,
                    WE_GGML_BF16 = 30,
                    WE_GGML_MXFP4 = 39,
                    WE_GGML_NVFP4 = 40
};

struct we_gguf_value {
    struct we_str key;
    enum we_gguf_type type, element_type; /* element_type: of an array */
    uint64_t count;                       /* elements of an array */
    const void *data;                     /* of a scalar or an array of scalars, at any alignment; strings: use the getters */
    size_t size;
};

struct we_gguf_tensor {
    struct we_str name;
    uint32_t type; /* enum we_ggml_type, or a number we do not know */
    uint32_t num_dims;
    uint64_t shape[4]; /* GGUF's order: shape[0] is the innermost (in), shape[1] the rows */
    const void *data;
    uint64_t size;
};

struct we_gguf; /* opaque */

we_status we_gguf_open(const char *path, struct we_gguf **gguf, struct we_error *error);
/* From memory, which must outlive it; `name` stands in messages. */
we_status we_gguf_parse(const void *data, size_t size, const char *name, struct we_gguf **gguf, struct we_error *error);
void we_gguf_close(struct we_gguf *gguf);

const struct we_gguf_value *we_gguf_find(const struct we_gguf *gguf, const char *key); /* NULL if absent */
/* false if absent or of another kind; integers of every width are accepted when they fit. */
bool we_gguf_u32(const struct we_gguf *gguf, const char *key, uint32_t *value);
bool we_gguf_float(const struct we_gguf *gguf, const char *key, float *value);
bool we_gguf_bool(const struct we_gguf *gguf, const char *key, bool *value);
bool we_gguf_string(const struct we_gguf *gguf, const char *key, struct we_str *value);
/* Walks an array of strings: *cursor starts at NULL; false at the end. */
bool we_gguf_next_string(const struct we_gguf_value *array, const void **cursor, struct we_str *value);

size_t we_gguf_tensor_count(const struct we_gguf *gguf);
const struct we_gguf_tensor *we_gguf_tensor_at(const struct we_gguf *gguf, size_t index);
const struct we_gguf_tensor *we_gguf_tensor_find(const struct we_gguf *gguf, const char *name);
/* The bytes of this tensor will not be read for now: the system may take their memory back. */
void we_gguf_release(const struct we_gguf *gguf, const struct we_gguf_tensor *tensor);
/* "Q4_1", ...; "type 99" for an unknown one is not made here: NULL. */
const char *we_ggml_type_name(uint32_t type);

#endif
