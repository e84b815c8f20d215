/* Conversions that cannot be done, are stopped, or meet a system that fails: each says why, and none leaves half a model. */
#if defined(__linux__)
#define _GNU_SOURCE
#endif
#include "support.h"

#include "failing_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#if defined(__linux__)
#include <sched.h>
#endif

/* Injected: syncing takes long on some disks and is not what these tests are about, unless it is to fail. */
static bool sync_fails, rename_fails;

int __real_rename(const char *from, const char *to);
int __wrap_fsync(int fd);
int __wrap_rename(const char *from, const char *to);

int __wrap_fsync(int fd)
{
    (void)fd;
    errno = EIO;
    return sync_fails ? -1 : 0;
}

int __wrap_rename(const char *from, const char *to)
{
    errno = EACCES;
    return rename_fails ? -1 : __real_rename(from, to);
}

static void read_model(const char *name, struct we_buf *data)
{
    struct we_error error;
    if (we_file_read(model_file(name), 0, data, &error) != WE_OK)
        fail_msg("%s", error.message);
}

static void put(const char *name, const void *data, size_t size)
{
    FILE *file = fopen(in_folder(name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* Converts the changed bytes, which must fail so; nothing may be left but the source. */
static void refuse(const struct we_buf *data, we_status expected, const char *needle)
{
    struct we_error error = {0};
    put("source.gguf", data->data, data->length);
    assert_message(we_convert(in_folder("source.gguf"), in_folder("out"), NULL, &error), &error, expected, needle);
    assert_non_null(strstr(error.message, "source.gguf"));
    assert_int_equal(count_names(), 1);
}

/* ---- hostile files ---- */

/* Where the value of a metadata key begins: after the key and the four bytes of its type. */
static size_t value_at(const struct we_buf *data, const char *key)
{
    size_t at = we_str_find(we_buf_str(data), we_str_c(key), 0);
    if (at == SIZE_MAX)
        fail_msg("there is no %s", key);
    return at + strlen(key) + 4;
}

/* Where the description of a tensor goes on after its name: dimensions, shape, type, offset. */
static size_t tensor_at(const struct we_buf *data, const char *name)
{
    return value_at(data, name) - 4;
}

static void set_u32(struct we_buf *data, size_t at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        data->data[at + (size_t)i] = (char)(value >> 8 * i);
}

static void test_metadata(void **state)
{
    (void)state;
    static const struct {
        const char *model, *key;
        uint32_t value;
        we_status status;
        const char *message;
    } cases[] = {
        {"llama-q4_1", "llama.block_count", 3, WE_INVALID_FORMAT, "it lacks the tensor 'blk.2.attn_norm.weight'"},
        {"llama-q4_1", "llama.block_count", 1, WE_UNSUPPORTED, "has no place in a llama model"},
        {"llama-q4_1", "llama.block_count", 0, WE_INVALID_FORMAT, "llama.block_count is 0"},
        {"llama-q4_1", "llama.block_count", UINT32_MAX, WE_INVALID_FORMAT, "llama.block_count is 4294967295"},
        {"llama-q4_1", "llama.block_count", 1 << 27, WE_INVALID_FORMAT, "it lacks the tensor 'blk.2.attn_norm.weight'"},
        {"phi3-f16", "phi3.embedding_length", 64, WE_INVALID_FORMAT, "where the metadata calls for 40 x 64"},
        {"llama-q4_1", "llama.feed_forward_length", 96, WE_INVALID_FORMAT, "where the metadata calls for 96 x 32"},
        {"llama-q4_1", "llama.attention.head_count", 8, WE_INVALID_FORMAT,
         "heads of 4 dimensions, of which 8 rotate, make no sense"},
        {"llama-q5_1", "llama.attention.head_count", 3, WE_UNSUPPORTED, "of which 8 of 10 dimensions rotate"},
        {"llama-q5_1", "llama.attention.head_count_kv", 3, WE_INVALID_FORMAT, "4 attention heads cannot share 3 heads of keys"},
        {"llama-q5_1", "llama.attention.head_count_kv", 0, WE_INVALID_FORMAT, "cannot share 0 heads"},
        {"llama-q5_1", "llama.attention.layer_norm_rms_epsilon", 0, WE_INVALID_FORMAT, "must be greater than 0"},
        {"llama-q5_1", "llama.attention.layer_norm_rms_epsilon", 0x7FC00000, WE_INVALID_FORMAT, "is no finite number"},
        {"llama-q5_1", "llama.rope.freq_base", 0xFF800000, WE_INVALID_FORMAT, "llama.rope.freq_base is no finite number"},
        {"llama-q5_1", "llama.rope.scaling.factor", 0, WE_UNSUPPORTED, "rope scaling of type 'yarn', factor 0"},
        {"llama-q5_1", "llama.rope.dimension_count", 4, WE_UNSUPPORTED, "of which 4 of 8 dimensions rotate"},
        {"llama-q5_1", "llama.rope.dimension_count", 7, WE_INVALID_FORMAT, "make no sense"},
        {"phi3-q4_0", "phi3.rope.scaling.attn_factor", 0x40000000, WE_UNSUPPORTED, "attn_factor of 2 (not "},
        {"phi3-q4_0", "phi3.rope.scaling.original_context_length", 0, WE_INVALID_FORMAT, "original_context_length is 0"},
        {"phi3-q4_0", "tokenizer.ggml.bos_token_id", 5000, WE_INVALID_FORMAT, "bos_token_id is 5000, but there are"},
        {"llama-q4_0", "general.architecture", 0, WE_INVALID_FORMAT, ""}, /* a text whose length is cut to 0 */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct we_buf data = {0};
        read_model(cases[i].model, &data);
        set_u32(&data, value_at(&data, cases[i].key), cases[i].value);
        refuse(&data, cases[i].status, cases[i].message);
        we_buf_free(&data);
    }
}

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *model, *from, *to; /* of the same length */
        we_status status;
        const char *message;
    } cases[] = {
        {"llama-q5_1", "llama", "gemma", WE_UNSUPPORTED,
         "the architecture 'gemma' cannot be converted from GGUF; llama and phi3 can"},
        {"llama-q4_0", "smollm", "smallm", WE_UNSUPPORTED, "the pre-tokenizer 'smallm' is not known"},
        {"phi3-q4_0", "tokenizer.ggml.scores", "tokenizer.ggml.scored", WE_INVALID_FORMAT, "tokenizer.ggml.scores is no array"},
        {"phi3-q4_0", "tokenizer.ggml.tokens", "tokenizer.ggml.tokenz", WE_INVALID_FORMAT, "tokenizer.ggml.tokens is no array"},
        {"llama-q4_0", "tokenizer.ggml.merges", "tokenizer.ggml.merged", WE_INVALID_FORMAT,
         "tokenizer.ggml.merges is no array"},
        {"llama-q5_1", "token_embd.weight", "token_embx.weight", WE_INVALID_FORMAT, "no tensor 'token_embd.weight'"},
        {"llama-q5_1", "blk.0.ffn_up.weight", "blk.0.ffn_xp.weight", WE_INVALID_FORMAT,
         "it lacks the tensor 'blk.0.ffn_up.weight'"},
        {"phi3-q4_0", "rope_factors_long", "rope_factors_lang", WE_INVALID_FORMAT,
         "of the long and short rope factors one is missing"},
        {"llama-q8_0", "blk.0.attn_q.bias", "blk.0.attn_x.bias", WE_UNSUPPORTED, "biases on the output only"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct we_buf data = {0};
        read_model(cases[i].model, &data);
        size_t at = we_str_find(we_buf_str(&data), we_str_c(cases[i].from), 0);
        assert_true(at != SIZE_MAX && strlen(cases[i].from) == strlen(cases[i].to));
        memcpy(data.data + at, cases[i].to, strlen(cases[i].to));
        refuse(&data, cases[i].status, cases[i].message);
        we_buf_free(&data);
    }
}

static void test_tensors(void **state)
{
    (void)state;
    static const struct {
        const char *model, *name;
        size_t offset; /* in the description: 0 dimensions, 4 and 12 the shape, 20 the type, 24 where it begins */
        uint32_t value;
        we_status status;
        const char *message;
    } cases[] = {
        {"llama-q4_1", "blk.0.ffn_up.weight", 0, 5, WE_INVALID_FORMAT, "dimensions"},
        {"llama-q4_1", "blk.0.ffn_up.weight", 4, 33, WE_INVALID_FORMAT, "blk.0.ffn_up.weight"},
        {"llama-q4_1", "blk.0.ffn_up.weight", 4, 0, WE_INVALID_FORMAT, "blk.0.ffn_up.weight"},
        {"llama-q4_1", "blk.0.ffn_up.weight", 8, 0x80000000, WE_INVALID_FORMAT, "blk.0.ffn_up.weight"},
        {"llama-q4_1", "blk.0.ffn_up.weight", 12, 65, WE_INVALID_FORMAT, "blk.0.ffn_up.weight"},
        {"llama-q4_1", "blk.0.ffn_up.weight", 12, 32, WE_INVALID_FORMAT, "where the metadata calls for 64 x 32"},
        {"llama-q4_1", "blk.0.ffn_up.weight", 20, 9999, WE_UNSUPPORTED, "has the type 9999"},
        {"llama-k", "blk.0.attn_q.weight", 20, 16, WE_UNSUPPORTED, "has the type IQ2_XXS; F32, F16, BF16, Q4_0"},
        {"llama-q4_1", "blk.0.ffn_up.weight", 24, 7, WE_INVALID_FORMAT, "blk.0.ffn_up.weight"},
        {"llama-q4_1", "blk.0.ffn_up.weight", 24, 1 << 30, WE_INVALID_FORMAT, "blk.0.ffn_up.weight"},
        {"llama-q4_1", "blk.0.ffn_up.weight", 28, 0xFFFFFFFF, WE_INVALID_FORMAT, "blk.0.ffn_up.weight"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct we_buf data = {0};
        read_model(cases[i].model, &data);
        set_u32(&data, tensor_at(&data, cases[i].name) + cases[i].offset, cases[i].value);
        refuse(&data, cases[i].status, cases[i].message);
        we_buf_free(&data);
    }
}

/* Cut at every length of its head, and at many of its data: an error that names the file, nothing left. */
static void test_truncated(void **state)
{
    (void)state;
    struct we_buf data = {0};
    read_model("llama-q5_1", &data);
    size_t whole = data.length, tried = 0;
    for (size_t length = 0; length < whole; length += length < 3000 ? 1 : 61, tried++) {
        data.length = length;
        refuse(&data, WE_INVALID_FORMAT, "");
    }
    assert_true(tried > 3000);
    data.length = whole;
    put("source.gguf", data.data, data.length);
    assert_int_equal(we_convert(in_folder("source.gguf"), in_folder("out"), NULL, NULL), WE_OK);
    we_buf_free(&data);
}

/* Random damage: a model or an error, never anything else. */
static void test_damaged(void **state)
{
    (void)state;
    static const char *const models[] = {"llama-q4_0", "phi3-q4_0", "llama-k"};
    uint64_t random = 12345;
    size_t errors = 0;
    for (int i = 0; i < 600; i++) {
        struct we_buf data = {0};
        read_model(models[i % 3], &data);
        for (int change = 0; change < 1 + i % 4; change++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            size_t at = (size_t)(random >> 33) % (i % 2 ? data.length : 2500);
            data.data[at] = random >> 60 < 8 ? (char)(random >> 20) : (char)(data.data[at] ^ 1 << (random >> 20 & 7));
        }
        put("source.gguf", data.data, data.length);
        struct we_error error = {0};
        we_status status = we_convert(in_folder("source.gguf"), in_folder("out"), NULL, &error);
        errors += status != WE_OK;
        if (status != WE_OK && (error.status != status || error.message[0] == '\0'))
            fail_msg("status %d (%d): %s", status, error.status, error.message);
        assert_int_equal(count_names(), status == WE_OK ? 2 : 1);
        char command[200];
        snprintf(command, sizeof command, "rm -rf %s/out", test_folder);
        assert_true(status != WE_OK || system(command) == 0);
        we_buf_free(&data);
    }
    assert_true(errors > 50 && errors < 600);
}

/* ---- the source and the destination ---- */

static void test_paths(void **state)
{
    (void)state;
    struct we_error error;
    const char *source = model_file("llama-q5_1");
    assert_message(we_convert(in_folder("absent.gguf"), in_folder("out"), NULL, &error), &error, WE_NOT_FOUND,
                   "there is no such file");
    assert_message(we_convert(test_folder, in_folder("out"), NULL, &error), &error, WE_NOT_FOUND, "it has no config.json");
    put("x.safetensors", "", 0);
    assert_message(we_convert(in_folder("x.safetensors"), in_folder("out"), NULL, &error), &error, WE_INVALID_ARGUMENT,
                   "name the directory that holds them");
    put("text.gguf", "hello", 5);
    assert_message(we_convert(in_folder("text.gguf"), in_folder("out"), NULL, &error), &error, WE_INVALID_FORMAT, "text.gguf");
    put("empty.gguf", "", 0);
    assert_message(we_convert(in_folder("empty.gguf"), in_folder("out"), NULL, &error), &error, WE_INVALID_FORMAT,
                   "empty.gguf");
    assert_int_equal(count_names(), 3);

    assert_int_equal(mkdir(in_folder("there"), 0777), 0);
    assert_int_equal(symlink("nowhere", in_folder("dangling")), 0);
    put("file", "keep", 4);
    static const char *const taken[] = {"there", "there/", "dangling", "file"};
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        assert_message(we_convert(source, in_folder(taken[i]), NULL, &error), &error, WE_INVALID_ARGUMENT,
                       "it exists already; remove it, or choose another name");
    assert_int_equal(we_path_size(in_folder("file")), 4);
    static const char *const senseless[] = {"", "/", ".", "..", "a/.."};
    for (size_t i = 0; i < sizeof senseless / sizeof *senseless; i++)
        if (we_convert(source, senseless[i], NULL, &error) != WE_INVALID_ARGUMENT)
            fail_msg("'%s': %s", senseless[i], error.message);
    assert_message(we_convert(source, in_folder("file/out"), NULL, &error), &error, WE_IO_ERROR,
                   "file: the folder cannot be made");
    assert_int_equal(count_names(), 6);

    /* Parents are made; a slash at the end does not matter; the source may be a link. */
    assert_int_equal(symlink(source, in_folder("link.gguf")), 0);
    assert_int_equal(we_convert(in_folder("link.gguf"), in_folder("a/b/out/"), NULL, &error), WE_OK);
    assert_true(we_path_exists(in_folder("a/b/out/config.json")) && !we_path_exists(in_folder("a/b/.out.part")));
}

/* ---- interrupted ---- */

static bool convert_again(void *context, uint64_t done, uint64_t total)
{
    (void)done, (void)total;
    struct we_error error;
    assert_message(we_convert(model_file("llama-f32"), in_folder("out"), NULL, &error), &error, WE_IO_ERROR,
                   "another conversion is writing it at this moment");
    *(int *)context = 1;
    return true;
}

static void test_stopped(void **state)
{
    (void)state;
    struct we_error error;
    struct we_convert_options options = {.on_progress = stop_half_way};
    assert_message(we_convert(model_file("llama-f32"), in_folder("out"), &options, &error), &error, WE_CANCELLED, "cancelled");
    assert_int_equal(count_names(), 0);

    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        options.on_progress = kill_half_way;
        we_convert(model_file("llama-f32"), in_folder("out"), &options, NULL);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_true(!we_path_exists(in_folder("out")) && we_path_is_directory(in_folder(".out.part")));

    /* The next one takes what was left away; while it runs, another one of the same name is refused. */
    int asked = 0;
    options = (struct we_convert_options){.on_progress = convert_again, .context = &asked};
    assert_int_equal(we_convert(model_file("llama-f32"), in_folder("out"), &options, &error), WE_OK);
    assert_true(asked && count_names() == 1 && we_path_exists(in_folder("out/model.safetensors")));
}

/* ---- a system that fails ---- */

static void test_injected(void **state)
{
    (void)state;
    struct we_error error;
    sync_fails = true;
    we_status status = we_convert(model_file("llama-q5_1"), in_folder("out"), NULL, &error);
    sync_fails = false;
    assert_message(status, &error, WE_IO_ERROR, "syncing failed");
    rename_fails = true;
    status = we_convert(model_file("llama-q5_1"), in_folder("out"), NULL, &error);
    rename_fails = false;
    assert_message(status, &error, WE_IO_ERROR, "cannot be renamed");
    assert_int_equal(count_names(), 0);
}

static int convert_with_limit(void)
{
    struct rlimit limit = {20000, 20000};
    struct we_error error = {0};
    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        return 1;
    if (we_convert(model_file("llama-f32"), in_folder("out"), NULL, &error) != WE_IO_ERROR ||
        strstr(error.message, "writing failed: File too large") == NULL)
        return 2;
    return count_names() == 0 ? 0 : 3;
}

enum { NO_TMPFS = 77 };

/* A file system of 200 kB, or NO_TMPFS where we may not mount one. */
static int convert_to_small_disk(void)
{
#if defined(__linux__)
    struct we_error error = {0};
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", test_folder, "tmpfs", 0, "size=200k") != 0)
        return NO_TMPFS;
    if (we_convert(model_file("llama-f32"), in_folder("out"), NULL, &error) != WE_IO_ERROR ||
        strstr(error.message, "67.2 MB are needed, but only 205 kB are free on the disk") == NULL)
        return 2;
    return count_names() == 0 ? 0 : 3;
#else
    return NO_TMPFS;
#endif
}

static int in_child(int (*work)(void))
{
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(work());
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_size_limit(void **state)
{
    (void)state;
    assert_int_equal(in_child(convert_with_limit), 0);
}

static void test_small_disk(void **state)
{
    (void)state;
    int result = in_child(convert_to_small_disk);
    if (result == NO_TMPFS) {
        print_message("no file system can be mounted here\n");
        skip();
    }
    assert_int_equal(result, 0);
}

/* ---- memory ---- */

static const char *memory_model;

static bool convert_once(void)
{
    struct we_error error = {0};
    char command[200];
    we_status status = we_convert(memory_model, in_folder("out"), NULL, &error);
    if (status != WE_OK && (status != WE_OUT_OF_MEMORY || error.status != status))
        fail_msg("status %d (%d): %s", status, error.status, error.message);
    memory_countdown = memory_countdown == -1 ? -1 : 1 << 30; /* the checks may allocate */
    bool met = memory_countdown == -1;
    assert_int_equal(count_names(), status == WE_OK);
    snprintf(command, sizeof command, "rm -rf %s/out", test_folder);
    assert_true(status != WE_OK || system(command) == 0);
    memory_countdown = met ? -1 : 0;
    return status == WE_OK;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    static const char *const models[] = {"llama-q4_0", "phi3-q4_0", "llama-mixed"};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        memory_model = model_file(models[i]);
        long survived = survive_failures(convert_once);
        if (survived < 60)
            fail_msg("%s: %ld failures", models[i], survived);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_new_folder(test_metadata),   in_new_folder(test_names),         in_new_folder(test_tensors),
        in_new_folder(test_truncated),  in_new_folder(test_damaged),       in_new_folder(test_paths),
        in_new_folder(test_stopped),    in_new_folder(test_injected),      in_new_folder(test_size_limit),
        in_new_folder(test_small_disk), in_new_folder(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
