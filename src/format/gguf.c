/* The format: magic, version, numbers of tensors and of metadata entries; the metadata; the descriptions of the tensors;
 * padding to the alignment; the data. All numbers are little-endian, and stand at any byte. */
#include "format/gguf.h"

#include "base/fs.h"

#include <limits.h>
#include <stdlib.h>

enum { MAX_NESTING = 4, MAX_DIMS = 4 };

struct we_gguf {
    struct we_file_map map;       /* when opened from a file */
    char *name;                   /* the path, for messages */
    struct we_gguf_value *values; /* (num_values), sorted by key */
    size_t num_values;
    struct we_gguf_tensor *tensors;        /* (num_tensors), in the order of the file */
    const struct we_gguf_tensor **by_name; /* (num_tensors), sorted */
    size_t num_tensors;
};

/* ---- types ---- */

static const struct {
    uint32_t type;
    const char *name;
    uint32_t block, bytes; /* elements and bytes of a block */
} ggml_types[] = {
    {0, "F32", 1, 4},        {1, "F16", 1, 2},         {2, "Q4_0", 32, 18},    {3, "Q4_1", 32, 20},    {6, "Q5_0", 32, 22},
    {7, "Q5_1", 32, 24},     {8, "Q8_0", 32, 34},      {9, "Q8_1", 32, 36},    {10, "Q2_K", 256, 84},  {11, "Q3_K", 256, 110},
    {12, "Q4_K", 256, 144},  {13, "Q5_K", 256, 176},   {14, "Q6_K", 256, 210}, {15, "Q8_K", 256, 292}, {16, "IQ2_XXS", 256, 66},
    {17, "IQ2_XS", 256, 74}, {18, "IQ3_XXS", 256, 98}, {19, "IQ1_S", 256, 50}, {20, "IQ4_NL", 32, 18}, {21, "IQ3_S", 256, 110},
    {22, "IQ2_S", 256, 82},  {23, "IQ4_XS", 256, 136}, {24, "I8", 1, 1},       {25, "I16", 1, 2},      {26, "I32", 1, 4},
    {27, "I64", 1, 8},       {28, "F64", 1, 8},        {29, "IQ1_M", 256, 56}, {30, "BF16", 1, 2},     {34, "TQ1_0", 256, 54},
    {35, "TQ2_0", 256, 66},  {39, "MXFP4", 32, 17},    {40, "NVFP4", 64, 36},
};

static size_t find_type(uint32_t type)
{
    for (size_t i = 0; i < sizeof ggml_types / sizeof *ggml_types; i++)
        if (ggml_types[i].type == type)
            return i;
    return SIZE_MAX;
}

const char *we_ggml_type_name(uint32_t type)
{
    size_t index = find_type(type);
    return index == SIZE_MAX ? NULL : ggml_types[index].name;
}

/* Bytes of a scalar; 0 for strings, arrays and unknown types. */
static size_t scalar_size(uint32_t type)
{
    static const uint8_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return type < sizeof sizes ? sizes[type] : 0;
}

/* ---- reading ---- */

struct cursor {
    const unsigned char *data;
    size_t size, at;
    const char *name;
    struct we_error *error;
};

static we_status cut_short(const struct cursor *c, const char *what)
{
    return we_error_set(c->error, WE_INVALID_FORMAT,
                        "%s: the file ends at byte %zu, in the middle of %s: it is cut short or damaged; fetch it again",
                        c->name, c->size, what);
}

static uint64_t little_endian(const unsigned char *p, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = bytes; i > 0; i--)
        value = value << 8 | p[i - 1];
    return value;
}

static we_status read_number(struct cursor *c, size_t bytes, uint64_t *value, const char *what)
{
    if (c->size - c->at < bytes)
        return cut_short(c, what);
    *value = little_endian(c->data + c->at, bytes);
    c->at += bytes;
    return WE_OK;
}

static we_status read_u32(struct cursor *c, uint32_t *value, const char *what)
{
    uint64_t wide = 0;
    we_status status = read_number(c, 4, &wide, what);
    *value = (uint32_t)wide;
    return status;
}

static we_status read_string(struct cursor *c, struct we_str *text, const char *what)
{
    uint64_t length = 0;
    we_status status = read_number(c, 8, &length, what);
    if (status != WE_OK)
        return status;
    if (length > c->size - c->at)
        return cut_short(c, what);
    *text = we_str((const char *)c->data + c->at, (size_t)length);
    c->at += (size_t)length;
    return WE_OK;
}

static we_status skip_value(struct cursor *c, uint32_t type, int depth);

/* The elements of an array, whose type and count have been read. */
static we_status skip_elements(struct cursor *c, uint32_t type, uint64_t count, int depth)
{
    size_t size = scalar_size(type);
    if (size) {
        if (count > (c->size - c->at) / size)
            return cut_short(c, "an array of its metadata");
        c->at += (size_t)count * size;
        return WE_OK;
    }
    for (uint64_t i = 0; i < count; i++) { /* each takes at least 8 bytes, or the loop ends */
        we_status status = skip_value(c, type, depth);
        if (status != WE_OK)
            return status;
    }
    return WE_OK;
}

static we_status skip_value(struct cursor *c, uint32_t type, int depth)
{
    struct we_str text;
    uint64_t count = 0;
    uint32_t element;
    if (type == WE_GGUF_STRING)
        return read_string(c, &text, "a text of its metadata");
    if (type != WE_GGUF_ARRAY)
        return scalar_size(type)
                   ? skip_elements(c, type, 1, depth)
                   : we_error_set(c->error, WE_INVALID_FORMAT,
                                  "%s: a value of its metadata has the type %u, which is not known", c->name, type);
    if (depth == MAX_NESTING)
        return we_error_set(c->error, WE_INVALID_FORMAT, "%s: more than %d arrays inside each other in its metadata", c->name,
                            MAX_NESTING);
    we_status status = read_u32(c, &element, "an array of its metadata");
    if (status == WE_OK)
        status = read_number(c, 8, &count, "an array of its metadata");
    return status == WE_OK ? skip_elements(c, element, count, depth + 1) : status;
}

static we_status read_value(struct cursor *c, struct we_gguf_value *value)
{
    uint32_t type, element = 0;
    uint64_t count = 0;
    we_status status = read_string(c, &value->key, "a key of its metadata");
    if (status == WE_OK)
        status = read_u32(c, &type, "its metadata");
    if (status != WE_OK)
        return status;
    size_t start = c->at;
    if (type == WE_GGUF_ARRAY) {
        status = read_u32(c, &element, "an array of its metadata");
        if (status == WE_OK)
            status = read_number(c, 8, &count, "an array of its metadata");
        start = c->at;
        if (status == WE_OK)
            status = skip_elements(c, element, count, 1);
    } else {
        status = skip_value(c, type, 0);
    }
    value->type = (enum we_gguf_type)type;
    value->element_type = (enum we_gguf_type)element;
    value->count = count;
    value->data = c->data + start;
    value->size = c->at - start;
    return status;
}

static we_status bad_tensor(const struct cursor *c, const struct we_gguf_tensor *tensor, const char *what)
{
    return we_error_set(c->error, WE_INVALID_FORMAT, "%s: tensor '%.*s': %s", c->name, WE_STR_ARG(tensor->name), what);
}

/* `offset`: from the beginning of the data, kept in size until that is known. */
static we_status read_tensor(struct cursor *c, struct we_gguf_tensor *tensor)
{
    static const char what[] = "the list of tensors";
    we_status status = read_string(c, &tensor->name, what);
    if (status == WE_OK)
        status = read_u32(c, &tensor->num_dims, what);
    if (status == WE_OK && (tensor->num_dims == 0 || tensor->num_dims > MAX_DIMS))
        return we_error_set(c->error, WE_INVALID_FORMAT, "%s: tensor '%.*s' has %u dimensions, where 1 to %d were expected",
                            c->name, WE_STR_ARG(tensor->name), tensor->num_dims, MAX_DIMS);
    for (int i = 0; i < MAX_DIMS; i++)
        tensor->shape[i] = 1;
    for (uint32_t i = 0; i < tensor->num_dims && status == WE_OK; i++)
        status = read_number(c, 8, &tensor->shape[i], what);
    if (status == WE_OK)
        status = read_u32(c, &tensor->type, what);
    if (status == WE_OK)
        status = read_number(c, 8, &tensor->size, what);
    return status;
}

/* Finds the bytes of a tensor. Of a type that we do not know only the beginning can be told. */
static we_status place_tensor(const struct cursor *c, struct we_gguf_tensor *tensor, size_t data_start, uint64_t alignment)
{
    uint64_t offset = tensor->size, available = c->size > data_start ? c->size - data_start : 0;
    uint64_t elements = 1;
    bool overflow = false;
    for (uint32_t i = 0; i < tensor->num_dims; i++)
        overflow = tensor->shape[i] > INT64_MAX || __builtin_mul_overflow(elements, tensor->shape[i], &elements) || overflow;
    if (overflow || elements > INT64_MAX)
        return bad_tensor(c, tensor, "the product of its shape overflows 63 bits");
    tensor->size = 0;
    size_t type = find_type(tensor->type);
    if (type != SIZE_MAX) {
        if (tensor->shape[0] % ggml_types[type].block != 0)
            return we_error_set(
                c->error, WE_INVALID_FORMAT, "%s: tensor '%.*s': rows of %llu elements are no multiple of %s's %u", c->name,
                WE_STR_ARG(tensor->name), (unsigned long long)tensor->shape[0], ggml_types[type].name, ggml_types[type].block);
        if (__builtin_mul_overflow(elements / ggml_types[type].block, (uint64_t)ggml_types[type].bytes, &tensor->size))
            return bad_tensor(c, tensor, "its size overflows 64 bits");
    }
    if (offset % alignment != 0)
        return bad_tensor(c, tensor, "its data is not aligned as the file says; the file is damaged");
    if (offset > available || tensor->size > available - offset)
        return we_error_set(
            c->error, WE_INVALID_FORMAT,
            "%s: tensor '%.*s' needs %llu bytes at byte %llu of the data, but the file has only %llu bytes of data: "
            "it is cut short or damaged; fetch it again",
            c->name, WE_STR_ARG(tensor->name), (unsigned long long)tensor->size, (unsigned long long)offset,
            (unsigned long long)available);
    tensor->data = available ? c->data + data_start + offset : c->data + c->size;
    return WE_OK;
}

/* ---- sorting, for look-ups and checks ---- */

static int compare_keys(const void *a, const void *b)
{
    return we_str_compare(((const struct we_gguf_value *)a)->key, ((const struct we_gguf_value *)b)->key);
}

static int compare_names(const void *a, const void *b)
{
    return we_str_compare((*(const struct we_gguf_tensor *const *)a)->name, (*(const struct we_gguf_tensor *const *)b)->name);
}

static int compare_places(const void *a, const void *b)
{
    const struct we_gguf_tensor *x = *(const struct we_gguf_tensor *const *)a, *y = *(const struct we_gguf_tensor *const *)b;
    if (x->data != y->data)
        return (uintptr_t)x->data < (uintptr_t)y->data ? -1 : 1;
    return x->size < y->size ? -1 : x->size > y->size;
}

static we_status sort_tensors(struct we_gguf *gguf, const struct cursor *c)
{
    const struct we_gguf_tensor **t = gguf->by_name, *last = NULL;
    for (size_t i = 0; i < gguf->num_tensors; i++)
        t[i] = &gguf->tensors[i];
    if (gguf->num_tensors)
        qsort(t, gguf->num_tensors, sizeof *t, compare_places);
    for (size_t i = 0; i < gguf->num_tensors; i++) {
        if (last && t[i]->size && (uintptr_t)t[i]->data - (uintptr_t)last->data < last->size)
            return we_error_set(c->error, WE_INVALID_FORMAT, "%s: the data of the tensors '%.*s' and '%.*s' overlap", c->name,
                                WE_STR_ARG(last->name), WE_STR_ARG(t[i]->name));
        if (t[i]->size)
            last = t[i];
    }
    if (gguf->num_tensors)
        qsort(t, gguf->num_tensors, sizeof *t, compare_names);
    for (size_t i = 1; i < gguf->num_tensors; i++)
        if (we_str_equal(t[i - 1]->name, t[i]->name))
            return bad_tensor(c, t[i], "the name occurs twice");
    return WE_OK;
}

/* ---- the whole file ---- */

static we_status read_values(struct we_gguf *gguf, struct cursor *c, uint64_t count)
{
    if (count > (c->size - c->at) / 13) /* an empty key, its type and a byte */
        return cut_short(c, "its metadata");
    gguf->values = calloc(count ? (size_t)count : 1, sizeof *gguf->values);
    if (gguf->values == NULL)
        return we_error_memory(c->error, c->name);
    for (; gguf->num_values < count; gguf->num_values++) {
        we_status status = read_value(c, &gguf->values[gguf->num_values]);
        if (status != WE_OK)
            return status;
    }
    if (count)
        qsort(gguf->values, gguf->num_values, sizeof *gguf->values, compare_keys);
    for (size_t i = 1; i < gguf->num_values; i++)
        if (we_str_equal(gguf->values[i - 1].key, gguf->values[i].key))
            return we_error_set(c->error, WE_INVALID_FORMAT, "%s: the key '%.*s' occurs twice", c->name,
                                WE_STR_ARG(gguf->values[i].key));
    return WE_OK;
}

static we_status read_tensors(struct we_gguf *gguf, struct cursor *c, uint64_t count)
{
    if (count > (c->size - c->at) / 32) /* an empty name, one dimension, type and offset */
        return cut_short(c, "the list of tensors");
    gguf->tensors = calloc(count ? (size_t)count : 1, sizeof *gguf->tensors);
    gguf->by_name = calloc(count ? (size_t)count : 1, sizeof *gguf->by_name);
    if (gguf->tensors == NULL || gguf->by_name == NULL)
        return we_error_memory(c->error, c->name);
    for (; gguf->num_tensors < count; gguf->num_tensors++) {
        we_status status = read_tensor(c, &gguf->tensors[gguf->num_tensors]);
        if (status != WE_OK)
            return status;
    }
    uint32_t alignment = 32;
    if (we_gguf_find(gguf, "general.alignment") && (!we_gguf_u32(gguf, "general.alignment", &alignment) || alignment == 0 ||
                                                    (alignment & (alignment - 1)) != 0 || alignment > 1u << 20))
        return we_error_set(c->error, WE_INVALID_FORMAT, "%s: general.alignment is no power of two up to 1 MiB", c->name);
    size_t data_start = (c->at + alignment - 1) & ~((size_t)alignment - 1);
    for (size_t i = 0; i < gguf->num_tensors; i++) {
        we_status status = place_tensor(c, &gguf->tensors[i], data_start, alignment);
        if (status != WE_OK)
            return status;
    }
    return sort_tensors(gguf, c);
}

static we_status read_all(struct we_gguf *gguf, struct cursor *c)
{
    uint32_t version;
    uint64_t num_tensors = 0, num_values = 0;
    if (c->size < 4 || memcmp(c->data, "GGUF", 4) != 0)
        return we_error_set(c->error, WE_INVALID_FORMAT, "%s: this is no GGUF file", c->name);
    c->at = 4;
    we_status status = read_u32(c, &version, "its header");
    if (status != WE_OK)
        return status;
    if (version != 2 && version != 3)
        return we_error_set(c->error, WE_UNSUPPORTED, "%s: GGUF version %u%s; versions 2 and 3, little-endian, can be read",
                            c->name, (version & 0xFFFF) == 0 ? __builtin_bswap32(version) : version,
                            (version & 0xFFFF) == 0 ? " (big-endian)" : "");
    status = read_number(c, 8, &num_tensors, "its header");
    if (status == WE_OK)
        status = read_number(c, 8, &num_values, "its header");
    if (status == WE_OK)
        status = read_values(gguf, c, num_values);
    return status == WE_OK ? read_tensors(gguf, c, num_tensors) : status;
}

static we_status finish(struct we_gguf *g, const void *data, size_t size, struct we_gguf **gguf, struct we_error *error)
{
    struct cursor c = {data, size, 0, g->name, error};
    we_status status = read_all(g, &c);
    if (status == WE_OK)
        *gguf = g;
    else
        we_gguf_close(g);
    return status;
}

static struct we_gguf *new_gguf(const char *name)
{
    struct we_gguf *g = calloc(1, sizeof *g);
    if (g && (g->name = strdup(name)) == NULL) {
        free(g);
        g = NULL;
    }
    return g;
}

we_status we_gguf_parse(const void *data, size_t size, const char *name, struct we_gguf **gguf, struct we_error *error)
{
    *gguf = NULL;
    struct we_gguf *g = new_gguf(name);
    return g ? finish(g, data, size, gguf, error) : we_error_memory(error, name);
}

we_status we_gguf_open(const char *path, struct we_gguf **gguf, struct we_error *error)
{
    *gguf = NULL;
    struct we_gguf *g = new_gguf(path);
    if (g == NULL)
        return we_error_memory(error, path);
    we_status status = we_file_map(path, &g->map, error);
    if (status != WE_OK) {
        we_gguf_close(g);
        return status;
    }
    return finish(g, g->map.data, g->map.size, gguf, error);
}

void we_gguf_close(struct we_gguf *gguf)
{
    if (gguf == NULL)
        return;
    we_file_unmap(&gguf->map);
    free(gguf->values);
    free(gguf->tensors);
    free(gguf->by_name);
    free(gguf->name);
    free(gguf);
}

void we_gguf_release(const struct we_gguf *gguf, const struct we_gguf_tensor *tensor)
{
    we_file_map_release(&gguf->map, tensor->data, tensor->size);
}

/* ---- values ---- */

const struct we_gguf_value *we_gguf_find(const struct we_gguf *gguf, const char *key)
{
    struct we_gguf_value wanted = {.key = we_str_c(key)};
    return gguf->num_values ? bsearch(&wanted, gguf->values, gguf->num_values, sizeof wanted, compare_keys) : NULL;
}

/* An integer of any width, as 64 bits; false if it is none or negative. */
static bool unsigned_value(const struct we_gguf_value *value, uint64_t *out)
{
    bool is_signed =
        value->type == WE_GGUF_I8 || value->type == WE_GGUF_I16 || value->type == WE_GGUF_I32 || value->type == WE_GGUF_I64;
    if (!is_signed && value->type != WE_GGUF_U8 && value->type != WE_GGUF_U16 && value->type != WE_GGUF_U32 &&
        value->type != WE_GGUF_U64)
        return false;
    *out = little_endian(value->data, value->size);
    return !is_signed || (*out >> (8 * value->size - 1)) == 0;
}

bool we_gguf_u32(const struct we_gguf *gguf, const char *key, uint32_t *value)
{
    const struct we_gguf_value *found = we_gguf_find(gguf, key);
    uint64_t wide;
    if (found == NULL || !unsigned_value(found, &wide) || wide > UINT32_MAX)
        return false;
    *value = (uint32_t)wide;
    return true;
}

bool we_gguf_float(const struct we_gguf *gguf, const char *key, float *value)
{
    const struct we_gguf_value *found = we_gguf_find(gguf, key);
    if (found && found->type == WE_GGUF_F32) {
        memcpy(value, found->data, 4);
        return true;
    }
    if (found && found->type == WE_GGUF_F64) {
        double wide;
        memcpy(&wide, found->data, 8);
        *value = (float)wide;
        return true;
    }
    return false;
}

bool we_gguf_bool(const struct we_gguf *gguf, const char *key, bool *value)
{
    const struct we_gguf_value *found = we_gguf_find(gguf, key);
    if (found == NULL || found->type != WE_GGUF_BOOL)
        return false;
    *value = *(const unsigned char *)found->data != 0;
    return true;
}

bool we_gguf_string(const struct we_gguf *gguf, const char *key, struct we_str *value)
{
    const struct we_gguf_value *found = we_gguf_find(gguf, key);
    if (found == NULL || found->type != WE_GGUF_STRING)
        return false;
    *value = we_str((const char *)found->data + 8, found->size - 8);
    return true;
}

bool we_gguf_next_string(const struct we_gguf_value *array, const void **cursor, struct we_str *value)
{
    if (array->type != WE_GGUF_ARRAY || array->element_type != WE_GGUF_STRING)
        return false;
    const unsigned char *start = array->data, *p = *cursor ? *cursor : start;
    if (p >= start + array->size)
        return false;
    size_t length = (size_t)little_endian(p, 8); /* checked when the file was read */
    *value = we_str((const char *)p + 8, length);
    *cursor = p + 8 + length;
    return true;
}

/* ---- tensors ---- */

size_t we_gguf_tensor_count(const struct we_gguf *gguf)
{
    return gguf->num_tensors;
}

const struct we_gguf_tensor *we_gguf_tensor_at(const struct we_gguf *gguf, size_t index)
{
    return index < gguf->num_tensors ? &gguf->tensors[index] : NULL;
}

const struct we_gguf_tensor *we_gguf_tensor_find(const struct we_gguf *gguf, const char *name)
{
    struct we_gguf_tensor wanted = {.name = we_str_c(name)};
    const struct we_gguf_tensor *key = &wanted, **found = NULL;
    if (gguf->num_tensors)
        found = bsearch(&key, gguf->by_name, gguf->num_tensors, sizeof key, compare_names);
    return found ? *found : NULL;
}
