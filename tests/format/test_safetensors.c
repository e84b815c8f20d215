/* Files that are as they should be, hostile ones, directories with and without an index, and the writer. */
#include "test_files.h"

#include "base/system.h"
#include "format/safetensors.h"

#include <signal.h>
#include <sys/resource.h>

#define T(type, shape, begin, end) "{\"dtype\":\"" type "\",\"shape\":[" shape "],\"data_offsets\":[" #begin "," #end "]}"

static void test_written_by_mlx(void **state)
{
    (void)state;
    struct we_safetensors *set;
    assert_int_equal(we_safetensors_open_file(TEST_DATA "/mlx.safetensors", &set, NULL), WE_OK);
    assert_int_equal(we_safetensors_count(set), 7);
    static const struct {
        const char *name;
        enum we_dtype dtype;
        uint32_t dims;
        uint64_t size;
    } expected[] = {{"bf16", WE_BF16, 2, 12},     {"empty", WE_F32, 2, 0},  {"f16", WE_F16, 2, 12}, {"f32", WE_F32, 2, 24},
                    {"quote \"x\"", WE_U8, 1, 2}, {"scalar", WE_I32, 0, 4}, {"u32", WE_U32, 1, 12}};
    uint64_t bytes = 0;
    for (size_t i = 0; i < 7; i++) {
        const struct we_tensor *t = we_safetensors_at(set, i);
        assert_true(we_str_equal_c(t->name, expected[i].name));
        assert_int_equal(t->dtype, expected[i].dtype);
        assert_int_equal(t->num_dims, expected[i].dims);
        assert_int_equal(t->size, expected[i].size);
        assert_ptr_equal(we_safetensors_find(set, we_str_c(expected[i].name)), t);
        bytes += t->size;
        if (t->num_dims == 2 && t->size)
            for (size_t k = 0; k < 6; k++)
                assert_true(we_load_float(t->data, t->dtype, k) == (float)k);
    }
    uint32_t last;
    memcpy(&last, (const char *)we_safetensors_find(set, we_str_c("u32"))->data + 8, 4);
    assert_int_equal(last, 0xFFFFFFFF);
    assert_int_equal(we_safetensors_bytes(set), bytes);
    assert_null(we_safetensors_at(set, 7));
    assert_null(we_safetensors_find(set, we_str_c("none")));
    assert_null(we_safetensors_find(set, we_str_c("")));
    we_safetensors_close(set);
    we_safetensors_close(NULL);
}

static const struct {
    const char *header;
    uint64_t claimed; /* length of the header; 0: the true one */
    size_t data;
    we_status status;
    const char *message;
} files[] = {
    /* fine */
    {"{}", 0, 0, WE_OK, NULL},
    {"{\"a\":" T("F32", "2", 0, 8) "}", 0, 8, WE_OK, NULL},
    {"{\"a\":" T("F32", "2", 0, 8) "}   ", 0, 8, WE_OK, NULL},
    {"{\"__metadata__\":{\"format\":\"pt\"},\"a\":" T("U8", "", 0, 1) "}", 0, 1, WE_OK, NULL},
    {"{\"a\":" T("U8", "4", 4, 8) ",\"b\":" T("U8", "4", 0, 4) "}", 0, 8, WE_OK, NULL},
    {"{\"a\":" T("U8", "2", 4, 6) ",\"b\":" T("U8", "2", 0, 2) "}", 0, 20, WE_OK, NULL}, /* holes */
    {"{\"a\":" T("F32", "0, 18446744073709551615", 0, 0) ",\"b\":" T("U8", "2", 0, 2) "}", 0, 2, WE_OK, NULL},
    {"{\"a\":{\"shape\":[1],\"more\":[{}],\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", 0, 1, WE_OK, NULL},
    /* the header */
    {"", 0, 0, WE_INVALID_FORMAT, "its header is no JSON object"},
    {"{}", 3, 0, WE_INVALID_FORMAT, "cut short"},
    {"{}", 1u << 30, 0, WE_INVALID_FORMAT, "claims 1073741824 bytes"},
    {"{}", UINT64_MAX, 0, WE_INVALID_FORMAT, "more than the 100000000"},
    {"[]", 0, 0, WE_INVALID_FORMAT, "its header is no JSON object"},
    {"{", 0, 0, WE_INVALID_FORMAT, "(header): line 1"},
    {"{\"a\":1}", 0, 0, WE_INVALID_FORMAT, "an object was expected"},
    {"{} x", 0, 0, WE_INVALID_FORMAT, "after the end"},
    /* a tensor */
    {"{\"a\":{}}", 0, 0, WE_INVALID_FORMAT, "'a': its dtype is missing"},
    {"{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", 0, 1, WE_INVALID_FORMAT, "shape is missing"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 0, 1, WE_INVALID_FORMAT, "data_offsets are missing"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0]}}", 0, 1, WE_INVALID_FORMAT, "where 2 were expected"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1,2]}}", 0, 9, WE_INVALID_FORMAT, "3 numbers"},
    {"{\"a\":" T("F4", "2", 0, 1) "}", 0, 1, WE_UNSUPPORTED, "'a' has the type 'F4'"},
    {"{\"a\":" T("F32", "2", 0, 8) "}", 0, 7, WE_INVALID_FORMAT, "ends at byte 8 of the data, but the file has only 7"},
    {"{\"a\":" T("F32", "2", 8, 16) "}", 0, 8, WE_INVALID_FORMAT, "cut short or damaged"},
    {"{\"a\":" T("F32", "2", 18446744073709551608, 18446744073709551615) "}", 0, 8, WE_INVALID_FORMAT, "cut short"},
    {"{\"a\":" T("F32", "2", 8, 0) "}", 0, 8, WE_INVALID_FORMAT, "ends before it begins"},
    {"{\"a\":" T("F32", "2", 0, 4) "}", 0, 8, WE_INVALID_FORMAT, "shape [2] needs 8 bytes, but its offsets span 4"},
    {"{\"a\":" T("F32", "4294967296, 4294967296", 0, 0) "}", 0, 0, WE_INVALID_FORMAT, "overflows"},
    {"{\"a\":" T("F32", "4611686018427387904", 0, 0) "}", 0, 0, WE_INVALID_FORMAT, "overflows"},
    {"{\"a\":" T("U8", "1,1,1,1,1,1,1,1,1", 0, 1) "}", 0, 1, WE_UNSUPPORTED, "more than 8 dimensions"},
    {"{\"a\":" T("U8", "-1", 0, 1) "}", 0, 1, WE_INVALID_FORMAT, "non-negative integer"},
    {"{\"a\":" T("U8", "1.5", 0, 1) "}", 0, 1, WE_INVALID_FORMAT, "non-negative integer"},
    {"{\"a\":" T("U8", "18446744073709551616", 0, 1) "}", 0, 1, WE_INVALID_FORMAT, "below 2^64"},
    /* two tensors */
    {"{\"a\":" T("U8", "4", 0, 4) ",\"b\":" T("U8", "4", 3, 7) "}", 0, 8, WE_INVALID_FORMAT, "'a' and 'b' overlap"},
    {"{\"b\":" T("U8", "4", 4, 8) ",\"a\":" T("U8", "8", 0, 8) "}", 0, 8, WE_INVALID_FORMAT, "'a' and 'b' overlap"},
    {"{\"a\":" T("U8", "8", 0, 8) ",\"e\":" T("U8", "0", 4, 4) ",\"b\":" T("U8", "1", 7, 8) "}", 0, 8, WE_INVALID_FORMAT,
     "overlap"},
    {"{\"a\":" T("U8", "1", 0, 1) ",\"b\":" T("U8", "1", 0, 1) "}", 0, 1, WE_INVALID_FORMAT, "overlap"},
    {"{\"a\":" T("U8", "1", 0, 1) ",\"a\":" T("U8", "1", 1, 2) "}", 0, 2, WE_INVALID_FORMAT, "'a' occurs twice"},
    {"{\"a\":" T("U8", "1", 0, 1) ",\"\\u0061\":" T("U8", "1", 1, 2) "}", 0, 2, WE_INVALID_FORMAT, "'a' occurs twice"},
};

/* Any of the texts that '|' sets apart. */
static bool message_has(const char *message, const char *texts)
{
    while (*texts) {
        size_t n = strcspn(texts, "|");
        if (we_str_find(we_str_c(message), we_str(texts, n), 0) != SIZE_MAX)
            return true;
        texts += n + (texts[n] == '|');
    }
    return false;
}

static void test_hostile(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        size_t size;
        unsigned char *file = make_safetensors(files[i].header, files[i].claimed, files[i].data, &size);
        struct we_error error = {0}, again = {0};
        we_status status = we_safetensors_check(file, size, &error);
        if (status != files[i].status || (files[i].message && !message_has(error.message, files[i].message)))
            fail_msg("%s\n%d: %s", files[i].header, status, error.message);
        put_file("x.safetensors", file, size);
        struct we_safetensors *set;
        assert_int_equal(we_safetensors_open_file(in_folder("x.safetensors"), &set, &again), status);
        if (status != WE_OK) { /* the message names the file */
            assert_null(set);
            assert_non_null(strstr(again.message, "x.safetensors"));
        }
        we_safetensors_close(set);
        free(file);
    }
}

/* However a good file is cut, it is refused or (when only padding is lost) read. */
static void test_every_cut(void **state)
{
    (void)state;
    size_t size;
    unsigned char *file = make_safetensors("{\"a\":" T("F32", "2", 0, 8) ",\"b\":" T("F16", "2,2", 8, 16) "}", 0, 16, &size);
    for (size_t cut = 0; cut < size; cut++) {
        unsigned char *copy = malloc(cut ? cut : 1); /* of its own size, so that reads past it are found */
        assert_non_null(copy);
        memcpy(copy, file, cut);
        struct we_error error = {0};
        assert_int_equal(we_safetensors_check(copy, cut, &error), WE_INVALID_FORMAT);
        free(copy);
    }
    assert_int_equal(we_safetensors_check(file, size, NULL), WE_OK);
    free(file);
}

static void expect_open(we_status expected, const char *message)
{
    struct we_safetensors *set;
    struct we_error error = {0};
    we_status status = we_safetensors_open(test_folder, &set, &error);
    if (status != expected || (message && !message_has(error.message, message)))
        fail_msg("%d: %s, where '%s' was expected", status, error.message, message ? message : "success");
    we_safetensors_close(set);
}

static void test_directory(void **state)
{
    (void)state;
    expect_open(WE_NOT_FOUND, "holds no weights");
    put_safetensors("adapters.safetensors", "{\"x\":" T("U8", "1", 0, 1) "}", 1);
    expect_open(WE_NOT_FOUND, "holds no weights");
    put_safetensors("weights.safetensors", "{\"w\":" T("U8", "1", 0, 1) "}", 1);
    struct we_safetensors *set;
    assert_int_equal(we_safetensors_open(test_folder, &set, NULL), WE_OK);
    assert_int_equal(we_safetensors_count(set), 1);
    we_safetensors_close(set);
    put_safetensors("model-1.safetensors", "{\"b\":" T("U8", "1", 0, 1) "}", 1);
    put_safetensors("model-2.safetensors", "{\"a\":" T("U8", "1", 0, 1) "}", 1);
    assert_int_equal(we_safetensors_open(test_folder, &set, NULL), WE_OK);
    assert_int_equal(we_safetensors_count(set), 2); /* model*.safetensors, and not the other one */
    assert_true(we_str_equal_c(we_safetensors_at(set, 0)->name, "a"));
    assert_non_null(strstr(we_safetensors_at(set, 0)->file, "model-2.safetensors"));
    we_safetensors_close(set);
    put_safetensors("model-2.safetensors", "{\"b\":" T("U8", "1", 0, 1) "}", 1);
    expect_open(WE_INVALID_FORMAT, "'b' occurs in both");
}

static void test_index(void **state)
{
    (void)state;
    static const struct {
        const char *index;
        we_status status;
        const char *message;
    } cases[] = {
        {"{\"metadata\":{},\"weight_map\":{\"a\":\"s1.safetensors\",\"b\":\"s2.safetensors\",\"c\":\"s1.safetensors\"}}", WE_OK,
         NULL},
        {"{\"weight_map\":{\"a\":\"s1.safetensors\"}}", WE_OK, NULL},
        {"{\"weight_map\":{\"\\u0061\":\"s\\u0031.safetensors\"}}", WE_OK, NULL},
        {"{\"weight_map\":{\"a\":\"s3.safetensors\"}}", WE_INVALID_FORMAT, "names the file s3.safetensors, which is missing"},
        {"{\"weight_map\":{\"a\":\"s1.safetensors\",\"b\":\"s1.safetensors\"}}", WE_INVALID_FORMAT,
         "s1.safetensors holds the tensor 'b', but it does not"},
        {"{\"weight_map\":{\"a\":\"s2.safetensors\",\"c\":\"s1.safetensors\"}}", WE_INVALID_FORMAT,
         "s2.safetensors holds the tensor 'a'"},
        {"{\"weight_map\":{\"a\":\"../s1.safetensors\"}}", WE_INVALID_FORMAT, "no name of a file beside it"},
        {"{\"weight_map\":{\"a\":\"/etc/passwd\"}}", WE_INVALID_FORMAT, "no name of a file beside it"},
        {"{\"weight_map\":{\"a\":\"..\"}}", WE_INVALID_FORMAT, "no name of a file beside it"},
        {"{\"weight_map\":{\"a\":\"\"}}", WE_INVALID_FORMAT, "no name of a file beside it"},
        {"{\"weight_map\":{\"a\":\"s1\\u0000.safetensors\"}}", WE_INVALID_FORMAT, "no name of a file beside it"},
        {"{\"weight_map\":{\"a\":\".\"}}", WE_INVALID_FORMAT, "a directory"},
        {"{\"weight_map\":{\"a\":1}}", WE_INVALID_FORMAT, "a string was expected"},
        {"{\"weight_map\":{}}", WE_INVALID_FORMAT, "no \"weight_map\""},
        {"{}", WE_INVALID_FORMAT, "no \"weight_map\""},
        {"[1]", WE_INVALID_FORMAT, "an object was expected"},
        {"", WE_INVALID_FORMAT, "index.json"},
    };
    put_safetensors("s1.safetensors", "{\"a\":" T("U8", "1", 0, 1) ",\"c\":" T("U8", "1", 1, 2) "}", 2);
    put_safetensors("s2.safetensors", "{\"b\":" T("U8", "1", 0, 1) "}", 1);
    put_safetensors("model.safetensors", "{\"unused\":" T("U8", "1", 0, 1) "}", 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_text("model.safetensors.index.json", cases[i].index);
        expect_open(cases[i].status, cases[i].message);
    }
}

static void test_not_weights(void **state)
{
    (void)state;
    struct we_safetensors *set;
    struct we_error error;
    assert_int_equal(we_safetensors_open_file(in_folder("none"), &set, &error), WE_NOT_FOUND);
    assert_int_equal(we_safetensors_open(in_folder("none"), &set, &error), WE_NOT_FOUND);
    put_text("empty.safetensors", "");
    assert_int_equal(we_safetensors_open_file(in_folder("empty.safetensors"), &set, &error), WE_INVALID_FORMAT);
    put_text("pointer.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n");
    assert_int_equal(we_safetensors_open_file(in_folder("pointer.safetensors"), &set, &error), WE_INVALID_FORMAT);
    assert_non_null(strstr(error.message, "git lfs pull"));
    assert_int_equal(we_safetensors_open_file(test_folder, &set, &error), WE_INVALID_FORMAT);
}

static void test_many(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    struct we_buf header = {0};
    for (int i = 0; i < COUNT; i++)
        we_buf_printf(
            &header,
            "%s\"model.layers.%d.self_attn.q_proj.weight\":{\"dtype\":\"BF16\",\"shape\":[1,2],\"data_offsets\":[%d,%d]}",
            i ? "," : "{", (i * 7919) % COUNT, i * 4, i * 4 + 4);
    we_buf_append_c(&header, "}");
    put_safetensors("model.safetensors", header.data, COUNT * 4);
    we_buf_free(&header);
    struct we_safetensors *set;
    double start = we_clock();
    assert_int_equal(we_safetensors_open(test_folder, &set, NULL), WE_OK);
    double seconds = we_clock() - start;
    assert_int_equal(we_safetensors_count(set), COUNT);
    we_safetensors_close(set);
    print_message("%.2f ms for a thousand tensors\n", seconds * 1e6 / COUNT);
    assert_true(seconds < 4); /* a quadratic step would take longer, even under a sanitizer */
}

static void test_writer(void **state)
{
    (void)state;
    static const char *const metadata[] = {"format", "mlx", NULL};
    const uint64_t shape[] = {2, 3}, none[] = {0};
    float values[6] = {1, 2, 3, 4, 5, 6};
    struct we_safetensors_writer *writer;
    struct we_safetensors *set;
    struct we_error error;
    const char *path = in_folder("out.safetensors");
    assert_int_equal(we_safetensors_writer_new(path, &writer, NULL), WE_OK);
    assert_int_equal(we_safetensors_writer_declare(writer, "b \"\xC3\xA4\"", WE_F32, 2, shape, NULL), WE_OK);
    assert_int_equal(we_safetensors_writer_declare(writer, "empty", WE_F16, 1, none, NULL), WE_OK);
    assert_int_equal(we_safetensors_writer_declare(writer, "a", WE_U8, 1, shape, NULL), WE_OK);
    assert_int_equal(we_safetensors_writer_write(writer, values, 4, &error), WE_INVALID_ARGUMENT); /* before begin */
    assert_int_equal(we_safetensors_writer_begin(writer, metadata, NULL), WE_OK);
    assert_int_equal(we_safetensors_writer_write(writer, values, 10, NULL), WE_OK); /* in pieces of any size */
    assert_int_equal(we_safetensors_writer_write(writer, (char *)values + 10, 14, NULL), WE_OK);
    assert_int_equal(we_safetensors_writer_commit(writer, &error), WE_INVALID_ARGUMENT); /* two bytes are missing */
    assert_int_equal(we_safetensors_writer_write(writer, "xyz", 3, &error), WE_INVALID_ARGUMENT);
    assert_int_equal(we_safetensors_writer_write(writer, "xy", 2, NULL), WE_OK);
    assert_false(we_path_exists(path)); /* not before the commit */
    assert_int_equal(we_safetensors_writer_commit(writer, NULL), WE_OK);
    we_safetensors_writer_free(writer);

    assert_int_equal(we_safetensors_open_file(path, &set, NULL), WE_OK);
    const struct we_tensor *t = we_safetensors_find(set, we_str_c("b \"\xC3\xA4\""));
    assert_non_null(t);
    assert_memory_equal(t->data, values, sizeof values);
    assert_int_equal((uintptr_t)t->data % 8, 0); /* the header is padded */
    t = we_safetensors_find(set, we_str_c("a"));
    assert_memory_equal(t->data, "xy", 2);
    assert_int_equal(we_safetensors_find(set, we_str_c("empty"))->size, 0);
    we_safetensors_close(set);
}

static void test_writer_gives_up(void **state)
{
    (void)state;
    const uint64_t shape[] = {1 << 20}, huge[] = {UINT64_MAX, 2};
    struct we_safetensors_writer *writer;
    struct we_error error;
    assert_int_equal(we_safetensors_writer_new(in_folder("x.safetensors"), &writer, NULL), WE_OK);
    assert_int_equal(we_safetensors_writer_declare(writer, "a", WE_U8, 2, huge, &error), WE_INVALID_ARGUMENT);
    assert_int_equal(we_safetensors_writer_declare(writer, "a", WE_DTYPE_NONE, 1, shape, &error), WE_INVALID_ARGUMENT);
    assert_int_equal(we_safetensors_writer_declare(writer, "a", WE_U8, 1, shape, NULL), WE_OK);
    assert_int_equal(we_safetensors_writer_begin(writer, NULL, NULL), WE_OK);
    struct rlimit old, small = {.rlim_cur = 64 << 10}; /* the disk is full, as it were */
    getrlimit(RLIMIT_FSIZE, &old);
    small.rlim_max = old.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    char *data = calloc(1, 1 << 20);
    assert_int_equal(we_safetensors_writer_write(writer, data, 1 << 20, &error), WE_IO_ERROR);
    setrlimit(RLIMIT_FSIZE, &old);
    free(data);
    we_safetensors_writer_free(writer);
    struct we_arena arena = {0};
    char **names;
    size_t count;
    assert_int_equal(we_list_directory(test_folder, &arena, &names, &count, NULL), WE_OK);
    assert_int_equal(count, 0); /* nothing is left behind */
    we_arena_free(&arena);
    assert_int_equal(we_safetensors_writer_new(in_folder("no/such/folder"), &writer, NULL), WE_OK);
    assert_int_equal(we_safetensors_writer_begin(writer, NULL, &error), WE_IO_ERROR);
    we_safetensors_writer_free(writer);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_written_by_mlx),
        IN_FOLDER(test_hostile),
        cmocka_unit_test(test_every_cut),
        IN_FOLDER(test_directory),
        IN_FOLDER(test_index),
        IN_FOLDER(test_not_weights),
        IN_FOLDER(test_many),
        IN_FOLDER(test_writer),
        IN_FOLDER(test_writer_gives_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
