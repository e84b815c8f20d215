/* GGUF files: one written by the `gguf` package, and hostile ones. */
#include "test_files.h"

#include "format/gguf.h"

static void put(struct we_buf *b, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        we_buf_append_byte(b, (char)(value >> 8 * i));
}

static void put_str(struct we_buf *b, const char *text)
{
    put(b, strlen(text), 8);
    we_buf_append_c(b, text);
}

static void put_header(struct we_buf *b, uint64_t tensors, uint64_t values)
{
    we_buf_append_c(b, "GGUF");
    put(b, 3, 4);
    put(b, tensors, 8);
    put(b, values, 8);
}

static void put_tensor(struct we_buf *b, const char *name, uint32_t dims, const uint64_t *shape, uint32_t type, uint64_t offset)
{
    put_str(b, name);
    put(b, dims, 4);
    for (uint32_t i = 0; i < dims && i < 8; i++)
        put(b, shape[i], 8);
    put(b, type, 4);
    put(b, offset, 8);
}

static void put_data(struct we_buf *b, size_t size)
{
    while (b->length % 32)
        we_buf_append_byte(b, 0);
    for (size_t i = 0; i < size; i++)
        we_buf_append_byte(b, (char)i);
}

/* Parses a copy of its own size, so that reads past the end are found. */
static we_status parse(const struct we_buf *b, struct we_gguf **gguf, unsigned char **copy, struct we_error *error)
{
    *copy = malloc(b->length ? b->length : 1);
    assert_non_null(*copy);
    if (b->length)
        memcpy(*copy, b->data, b->length);
    return we_gguf_parse(*copy, b->length, "x.gguf", gguf, error);
}

static void expect(struct we_buf *b, we_status expected, const char *message)
{
    struct we_gguf *gguf;
    struct we_error error = {0};
    unsigned char *copy;
    we_status status = parse(b, &gguf, &copy, &error);
    if (status != expected || (message && strstr(error.message, message) == NULL))
        fail_msg("%d: %s, where '%s' was expected", status, error.message, message ? message : "success");
    if (status != WE_OK) {
        assert_null(gguf);
        assert_non_null(strstr(error.message, "x.gguf"));
    }
    we_gguf_close(gguf);
    free(copy);
    we_buf_free(b);
}

static void test_written_by_package(void **state)
{
    (void)state;
    struct we_gguf *g;
    assert_int_equal(we_gguf_open(TEST_DATA "/package.gguf", &g, NULL), WE_OK);
    struct we_str text;
    uint32_t number = 0;
    float real = 0;
    bool flag = false;
    assert_true(we_gguf_string(g, "general.architecture", &text) && we_str_equal_c(text, "test"));
    static const struct {
        const char *key;
        uint32_t value;
    } numbers[] = {{"u8", 200},          {"i8", 100}, {"u16", 60000}, {"i16", 30000},
                   {"u32", 4000000000u}, {"i32", 7},  {"u64", 9},     {"i64", 5}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        assert_true(we_gguf_u32(g, numbers[i].key, &number));
        assert_int_equal(number, numbers[i].value);
    }
    static const char *const none[] = {"minus", "minus64", "large", "f32", "flag", "text", "list", "absent"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_false(we_gguf_u32(g, none[i], &number));
    assert_true(we_gguf_float(g, "f32", &real) && real == 0.5f);
    assert_true(we_gguf_float(g, "f64", &real) && real == 0.25f);
    assert_false(we_gguf_float(g, "u8", &real));
    assert_true(we_gguf_bool(g, "flag", &flag) && flag);
    assert_false(we_gguf_bool(g, "u8", &flag));
    assert_false(we_gguf_string(g, "u8", &text));
    const struct we_gguf_value *list = we_gguf_find(g, "list");
    assert_int_equal(list->type, WE_GGUF_ARRAY);
    assert_int_equal(list->element_type, WE_GGUF_STRING);
    assert_int_equal(list->count, 3);
    static const char *const texts[] = {"one", "", "dr\xC3\xBC\xC3\xBC"};
    const void *cursor = NULL;
    for (int i = 0; i < 3; i++)
        assert_true(we_gguf_next_string(list, &cursor, &text) && we_str_equal_c(text, texts[i]));
    assert_false(we_gguf_next_string(list, &cursor, &text));
    cursor = NULL;
    assert_false(we_gguf_next_string(we_gguf_find(g, "ints"), &cursor, &text));
    assert_int_equal(we_gguf_find(g, "ints")->count, 4);

    assert_int_equal(we_gguf_tensor_count(g), 3);
    const struct we_gguf_tensor *t = we_gguf_tensor_find(g, "matrix");
    assert_ptr_equal(t, we_gguf_tensor_at(g, 1));
    assert_int_equal(t->num_dims, 2);
    assert_int_equal(t->shape[0], 3);
    assert_int_equal(t->shape[1], 2);
    assert_int_equal(t->type, WE_GGML_F32);
    float last;
    memcpy(&last, (const char *)t->data + 20, 4);
    assert_true(last == 5);
    t = we_gguf_tensor_find(g, "quantised");
    assert_int_equal(t->type, WE_GGML_Q8_0);
    assert_int_equal(t->size, 34 * 2 * 2);
    we_gguf_release(g, t); /* only a hint: the bytes are still there */
    assert_int_equal(((const unsigned char *)t->data)[2], 127);
    assert_null(we_gguf_tensor_find(g, "none"));
    assert_null(we_gguf_tensor_at(g, 3));
    we_gguf_close(g);
    we_gguf_close(NULL);
    assert_int_equal(we_gguf_open(TEST_DATA "/none.gguf", &g, NULL), WE_NOT_FOUND);
}

static void test_type_names(void **state)
{
    (void)state;
    assert_string_equal(we_ggml_type_name(WE_GGML_Q4_1), "Q4_1");
    assert_string_equal(we_ggml_type_name(WE_GGML_BF16), "BF16");
    assert_null(we_ggml_type_name(4));
    assert_null(we_ggml_type_name(999));
}

static void test_every_cut(void **state)
{
    (void)state;
    struct we_buf file = {0};
    assert_int_equal(we_file_read(TEST_DATA "/package.gguf", 0, &file, NULL), WE_OK);
    size_t size = file.length;
    for (size_t cut = 0; cut < size; cut++) {
        struct we_gguf *g;
        unsigned char *copy;
        struct we_error error;
        file.length = cut;
        we_status status = parse(&file, &g, &copy, &error);
        /* only the padding after the last tensor may be missing */
        assert_true(status == WE_INVALID_FORMAT || (status == WE_OK && size - cut < 32));
        we_gguf_close(g);
        free(copy);
    }
    we_buf_free(&file);
}

static void test_header(void **state)
{
    (void)state;
    struct we_buf b = {0};
    expect(&b, WE_INVALID_FORMAT, "no GGUF file");
    we_buf_append_c(&b, "GGML and more than that");
    expect(&b, WE_INVALID_FORMAT, "no GGUF file");
    static const struct {
        uint32_t version;
        const char *message;
    } versions[] = {{1, "GGUF version 1"}, {4, "GGUF version 4"}, {0x03000000, "GGUF version 3 (big-endian)"}};
    for (int i = 0; i < 3; i++) {
        we_buf_append_c(&b, "GGUF");
        put(&b, versions[i].version, 4);
        put(&b, 0, 8);
        put(&b, 0, 8);
        expect(&b, WE_UNSUPPORTED, versions[i].message);
    }
    put_header(&b, 0, 0);
    expect(&b, WE_OK, NULL);
    put_header(&b, UINT64_MAX, 0);
    expect(&b, WE_INVALID_FORMAT, "the list of tensors");
    put_header(&b, 0, UINT64_MAX);
    expect(&b, WE_INVALID_FORMAT, "its metadata");
    put_header(&b, 1ull << 40, 0);
    put_data(&b, 1000);
    expect(&b, WE_INVALID_FORMAT, "the list of tensors");
}

static void test_metadata(void **state)
{
    (void)state;
    struct we_buf b = {0};
    put_header(&b, 0, 1); /* a key longer than the file */
    put(&b, UINT64_MAX, 8);
    put_data(&b, 64);
    expect(&b, WE_INVALID_FORMAT, "a key");
    static const struct {
        uint32_t type;
        const char *message;
    } types[] = {{13, "type 13"}, {0xFFFFFFFF, "type 4294967295"}};
    for (int i = 0; i < 2; i++) {
        put_header(&b, 0, 1);
        put_str(&b, "k");
        put(&b, types[i].type, 4);
        put_data(&b, 64);
        expect(&b, WE_INVALID_FORMAT, types[i].message);
    }
    static const struct {
        uint32_t element;
        uint64_t count;
    } arrays[] = {
        {WE_GGUF_U32, UINT64_MAX / 4}, {WE_GGUF_U32, UINT64_MAX}, {WE_GGUF_STRING, 1ull << 60}, {WE_GGUF_U8, 65}, {99, 1}};
    for (int i = 0; i < 5; i++) {
        put_header(&b, 0, 1);
        put_str(&b, "k");
        put(&b, WE_GGUF_ARRAY, 4);
        put(&b, arrays[i].element, 4);
        put(&b, arrays[i].count, 8);
        for (int k = 0; k < 64; k++)
            we_buf_append_byte(&b, 0);
        expect(&b, WE_INVALID_FORMAT, NULL);
    }
    put_header(&b, 0, 1); /* an array in an array in an array … */
    put_str(&b, "k");
    put(&b, WE_GGUF_ARRAY, 4);
    for (int i = 0; i < 1000; i++) {
        put(&b, WE_GGUF_ARRAY, 4);
        put(&b, 1, 8);
    }
    expect(&b, WE_INVALID_FORMAT, "inside each other");
    put_header(&b, 0, 2);
    for (int i = 0; i < 2; i++) {
        put_str(&b, "k");
        put(&b, WE_GGUF_U8, 4);
        put(&b, 1, 1);
    }
    expect(&b, WE_INVALID_FORMAT, "'k' occurs twice");
}

static void test_tensors(void **state)
{
    (void)state;
    static const struct {
        uint32_t dims;
        uint64_t shape[4];
        uint32_t type;
        uint64_t offset;
        size_t data;
        we_status status;
        const char *message;
    } cases[] = {
        {1, {8}, WE_GGML_F32, 0, 32, WE_OK, NULL},
        {2, {8, 2}, WE_GGML_F32, 32, 96, WE_OK, NULL},
        {1, {8}, 999, 0, 0, WE_OK, NULL}, /* a type we do not know: its user refuses it by name */
        {1, {8}, WE_GGML_F32, 0, 31, WE_INVALID_FORMAT, "needs 32 bytes at byte 0 of the data, but the file has only 31"},
        {1, {8}, WE_GGML_F32, 32, 63, WE_INVALID_FORMAT, "cut short"},
        {1, {8}, WE_GGML_F32, 64, 32, WE_INVALID_FORMAT, "cut short"},
        {1, {8}, WE_GGML_F32, UINT64_MAX - 31, 32, WE_INVALID_FORMAT, "cut short"},
        {1, {8}, WE_GGML_F32, 4, 64, WE_INVALID_FORMAT, "not aligned"},
        {0, {0}, WE_GGML_F32, 0, 32, WE_INVALID_FORMAT, "0 dimensions"},
        {5, {1, 1, 1, 1}, WE_GGML_F32, 0, 32, WE_INVALID_FORMAT, "5 dimensions"},
        {2, {1ull << 32, 1ull << 32}, WE_GGML_F32, 0, 32, WE_INVALID_FORMAT, "overflows"},
        {2, {UINT64_MAX, 2}, WE_GGML_F32, 0, 32, WE_INVALID_FORMAT, "overflows"},
        {1, {UINT64_MAX}, WE_GGML_F32, 0, 32, WE_INVALID_FORMAT, "overflows"},
        {1, {1ull << 62}, WE_GGML_F32, 0, 32, WE_INVALID_FORMAT, "overflows"},
        {2, {1ull << 31, 1ull << 31}, 28 /* F64 */, 0, 32, WE_INVALID_FORMAT, "overflows"},
        {1, {40}, WE_GGML_Q4_0, 0, 64, WE_INVALID_FORMAT, "no multiple of Q4_0's 32"},
        {2, {32, 2}, WE_GGML_Q4_0, 0, 35, WE_INVALID_FORMAT, "needs 36 bytes"},
        {2, {32, 2}, WE_GGML_Q4_0, 0, 36, WE_OK, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct we_buf b = {0};
        put_header(&b, 1, 0);
        put_tensor(&b, "t", cases[i].dims, cases[i].shape, cases[i].type, cases[i].offset);
        put_data(&b, cases[i].data);
        expect(&b, cases[i].status, cases[i].message);
    }
}

static void test_two_tensors(void **state)
{
    (void)state;
    const uint64_t shape[] = {16};
    struct we_buf b = {0};
    put_header(&b, 2, 0);
    put_tensor(&b, "t", 1, shape, WE_GGML_F32, 0);
    put_tensor(&b, "u", 1, shape, WE_GGML_F32, 32);
    put_data(&b, 128);
    expect(&b, WE_INVALID_FORMAT, "'t' and 'u' overlap");
    put_header(&b, 2, 0);
    put_tensor(&b, "t", 1, shape, WE_GGML_F32, 64);
    put_tensor(&b, "t", 1, shape, WE_GGML_F32, 0);
    put_data(&b, 128);
    expect(&b, WE_INVALID_FORMAT, "occurs twice");
    static const uint32_t alignments[] = {0, 3, 1u << 21};
    for (int i = 0; i < 3; i++) {
        put_header(&b, 0, 1);
        put_str(&b, "general.alignment");
        put(&b, WE_GGUF_U32, 4);
        put(&b, alignments[i], 4);
        expect(&b, WE_INVALID_FORMAT, "no power of two");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_written_by_package), cmocka_unit_test(test_type_names),
        cmocka_unit_test(test_every_cut),          cmocka_unit_test(test_header),
        cmocka_unit_test(test_metadata),           cmocka_unit_test(test_tensors),
        cmocka_unit_test(test_two_tensors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
