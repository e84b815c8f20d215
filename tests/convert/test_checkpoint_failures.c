/* Checkpoints that cannot be converted, rules that make no sense, and a system that fails: each says why, and none leaves half
 * a model behind. What is beside the weights comes along. */
#include "support.h"

#include "failing_memory.h"

#include "base/system.h"
#include "format/safetensors.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* Syncing takes long on some disks and is not what these tests are about. */
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    (void)fd;
    return 0;
}

static const char config[] =
    "{\"model_type\": \"llama\", \"hidden_size\": 64, \"intermediate_size\": 96, \"num_attention_heads\": 2,"
    " \"num_hidden_layers\": 1, \"vocab_size\": 300, \"rms_norm_eps\": 1e-5, \"tie_word_embeddings\": true,"
    " \"head_dim\": 16}";

static const struct {
    const char *name;
    uint64_t rows, in; /* in 0: a vector */
} tensors[] = {
    {"model.embed_tokens.weight", 300, 64},
    {"model.norm.weight", 64, 0},
    {"model.layers.0.input_layernorm.weight", 64, 0},
    {"model.layers.0.post_attention_layernorm.weight", 64, 0},
    {"model.layers.0.self_attn.q_proj.weight", 32, 64},
    {"model.layers.0.self_attn.k_proj.weight", 32, 64},
    {"model.layers.0.self_attn.v_proj.weight", 32, 64},
    {"model.layers.0.self_attn.o_proj.weight", 64, 32},
    {"model.layers.0.mlp.gate_proj.weight", 96, 64},
    {"model.layers.0.mlp.up_proj.weight", 96, 64},
    {"model.layers.0.mlp.down_proj.weight", 64, 96},
};
enum { NUM_TENSORS = sizeof tensors / sizeof *tensors };

/* A file in "source", whose values are all `value`. */
static void write_weights(const char *name, size_t first, size_t end, float value)
{
    struct we_safetensors_writer *writer;
    assert_int_equal(we_safetensors_writer_new(in_folder(name), &writer, NULL), WE_OK);
    for (size_t i = first; i < end; i++) {
        uint64_t shape[2] = {tensors[i].rows, tensors[i].in};
        assert_int_equal(we_safetensors_writer_declare(writer, tensors[i].name, WE_F32, tensors[i].in ? 2 : 1, shape, NULL),
                         WE_OK);
    }
    assert_int_equal(we_safetensors_writer_begin(writer, NULL, NULL), WE_OK);
    for (size_t i = first; i < end; i++)
        for (uint64_t k = 0; k < tensors[i].rows * (tensors[i].in ? tensors[i].in : 1); k++) {
            float v = k % 3 ? value : -value / 2;
            assert_int_equal(we_safetensors_writer_write(writer, &v, 4, NULL), WE_OK);
        }
    assert_int_equal(we_safetensors_writer_commit(writer, NULL), WE_OK);
    we_safetensors_writer_free(writer);
}

static int make_source(void **state)
{
    if (make_folder(state) != 0 || mkdir(in_folder("source"), 0777) != 0)
        return -1;
    put_text("source/config.json", config);
    write_weights("source/model.safetensors", 0, NUM_TENSORS, 0.75f);
    return 0;
}

/* Converts, which must fail so; nothing may be left but the source. */
static void refuse(const struct we_convert_options *options, we_status expected, const char *needle)
{
    struct we_error error = {0};
    size_t before = count_names();
    assert_message(we_convert(in_folder("source"), in_folder("out"), options, &error), &error, expected, needle);
    assert_int_equal(count_names(), before);
}

static void test_sources(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to;
        we_status status;
        const char *message;
    } changes[] = {
        {"\"llama\"", "\"gpt9\"", WE_UNSUPPORTED, "model_type 'gpt9' is not implemented; the nearest is"},
        {"\"vocab_size\": 300", "\"vocab_size\": 301", WE_INVALID_FORMAT, "model.embed_tokens.weight has the shape [300, 64]"},
        {"\"num_hidden_layers\": 1", "\"num_hidden_layers\": 2", WE_INVALID_FORMAT, "lack the tensor model.layers.1."},
        {"1e-5", "1e-5, \"quantization_config\": {\"quant_method\": \"gptq\"}", WE_UNSUPPORTED, "gptq"},
        {"{\"model", "[\"model", WE_INVALID_FORMAT, "config.json"},
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        struct we_buf text = {0};
        const char *at = strstr(config, changes[i].from);
        assert_non_null(at);
        we_buf_append(&text, we_str(config, (size_t)(at - config)));
        we_buf_append_c(&text, changes[i].to);
        we_buf_append_c(&text, at + strlen(changes[i].from));
        put_text("source/config.json", text.data);
        we_buf_free(&text);
        refuse(NULL, changes[i].status, changes[i].message);
    }
    put_text("source/config.json", config);
    struct we_error error;
    assert_message(we_convert(in_folder("source/model.safetensors"), in_folder("out"), NULL, &error), &error,
                   WE_INVALID_ARGUMENT, "weights alone are no model");
    assert_int_equal(truncate(in_folder("source/model.safetensors"), 20000), 0);
    refuse(NULL, WE_INVALID_FORMAT, "model.safetensors");
    assert_int_equal(unlink(in_folder("source/model.safetensors")), 0);
    refuse(NULL, WE_NOT_FOUND, "it holds no weights");
    put_text("source/pytorch_model.bin", "");
    refuse(NULL, WE_UNSUPPORTED, "its weights (pytorch_model.bin) are in PyTorch's format");
    assert_int_equal(unlink(in_folder("source/config.json")), 0);
    put_text("source/a-Q4_0.gguf", "");
    refuse(NULL, WE_INVALID_ARGUMENT, "it holds GGUF files; name the one to convert");
}

static void write_experts(uint32_t first, uint32_t second, uint64_t second_rows)
{
    struct we_safetensors_writer *writer;
    const uint32_t numbers[2] = {first, second};
    const uint64_t rows[2] = {2, second_rows};
    assert_int_equal(we_safetensors_writer_new(in_folder("source/model-experts.safetensors"), &writer, NULL), WE_OK);
    for (int i = 0; i < 2; i++) {
        char name[100];
        snprintf(name, sizeof name, "model.layers.0.mlp.experts.%u.up_proj.weight", numbers[i]);
        uint64_t shape[2] = {rows[i], 4};
        assert_int_equal(we_safetensors_writer_declare(writer, name, WE_U8, 2, shape, NULL), WE_OK);
    }
    assert_int_equal(we_safetensors_writer_begin(writer, NULL, NULL), WE_OK);
    assert_int_equal(we_safetensors_writer_write(writer, "0123456789abcdefghijklmnop", (rows[0] + rows[1]) * 4, NULL), WE_OK);
    assert_int_equal(we_safetensors_writer_commit(writer, NULL), WE_OK);
    we_safetensors_writer_free(writer);
}

/* A weight of float8, (2, 4), and, if it has dimensions, what should scale it. */
static void write_float8(const char *name, enum we_dtype dtype, uint32_t num_dims)
{
    struct we_safetensors_writer *writer;
    const uint64_t shape[2] = {2, 4}, factors[2] = {2, 1};
    assert_int_equal(we_safetensors_writer_new(in_folder("source/model-float8.safetensors"), &writer, NULL), WE_OK);
    assert_int_equal(we_safetensors_writer_declare(writer, "x.weight", WE_F8_E4M3, 2, shape, NULL), WE_OK);
    assert_int_equal(we_safetensors_writer_declare(writer, name, dtype, num_dims, factors, NULL), WE_OK);
    assert_int_equal(we_safetensors_writer_begin(writer, NULL, NULL), WE_OK);
    const size_t size = 8 + we_dtype_size(dtype) * (num_dims ? 2 : 1);
    assert_int_equal(we_safetensors_writer_write(writer, "0123456789abcdefghijklmnop", size, NULL), WE_OK);
    assert_int_equal(we_safetensors_writer_commit(writer, NULL), WE_OK);
    we_safetensors_writer_free(writer);
}

static void test_float8(void **state)
{
    (void)state;
    write_float8("x.weight_scale", WE_F32, 0);
    refuse(NULL, WE_UNSUPPORTED, "tensor 'x.weight' is F8_E4M3, and there is no 'x.weight_scale_inv' to scale it");
    write_float8("x.weight_scale_inv", WE_F32, 2);
    refuse(NULL, WE_UNSUPPORTED, "'x.weight' is F8_E4M3 [2, 4], and its factors are F32 [2, 1]; one factor, or one for each");
    write_float8("x.weight_scale_inv", WE_U8, 0);
    refuse(NULL, WE_UNSUPPORTED, "its factors are U8 []");
    write_float8("x.weight_scale_inv", WE_F16, 0); /* well, but none of this model's */
    refuse(NULL, WE_INVALID_FORMAT, "tensor x.weight is not one that");
}

static void test_experts(void **state)
{
    (void)state;
    write_experts(0, 2, 2);
    refuse(NULL, WE_INVALID_FORMAT, "is one of 2 experts, but their numbers are not 0 to 1");
    write_experts(1, 0, 3);
    refuse(NULL, WE_INVALID_FORMAT, "is U8 [2, 4], but that of the first expert U8 [3, 4]");
    write_experts(0, 1, 2); /* well, but none of this model's */
    refuse(NULL, WE_INVALID_FORMAT, "tensor model.layers.0.mlp.switch_mlp.up_proj.weight is not one that");
}

static void test_options(void **state)
{
    (void)state;
    static const struct {
        struct we_convert_options options;
        const char *message;
    } cases[] = {
        {{.quantize = true, .dequantize = true}, "quantised or dequantised, not both"},
        {{.dtype = "int8"}, "the type 'int8' is not known"},
        {{.quantize = true, .q_mode = "gptq"}, "the quantisation mode 'gptq' is not known"},
        {{.quantize = true, .q_bits = 7}, "affine, 7 bits, group size 64 does not exist"},
        {{.quantize = true, .q_group_size = 48}, "group size 48 does not exist"},
        {{.quantize = true, .q_mode = "mxfp4", .q_bits = 8}, "mxfp4, 8 bits, group size 32 does not exist"},
        {{.quantize = true, .q_mode = "nvfp4", .quant_predicate = "mixed_2_6"}, "the recipe mixed_2_6 is for the mode affine"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refuse(&cases[i].options, WE_INVALID_ARGUMENT, cases[i].message);
    write_weights("source/model.safetensors", 0, NUM_TENSORS, 1e6f);
    refuse(&(struct we_convert_options){.dtype = "float16"}, WE_UNSUPPORTED, "has values that F16 cannot hold");
    refuse(&(struct we_convert_options){.dtype = "float16", .quantize = true}, WE_UNSUPPORTED,
           "has values that F16 cannot hold");
}

static void test_rules(void **state)
{
    (void)state;
    static const struct {
        const char *rules;
        we_status status;
        const char *message;
    } cases[] = {
        {"[]", WE_INVALID_FORMAT, "an object of modules was expected, not an array"},
        {"{\"a\": 4}", WE_INVALID_FORMAT, "'a' is a number; true, false or an object"},
        {"{\"a\": {\"bit\": 4}}", WE_INVALID_FORMAT, "the key 'bit' of 'a' is not known"},
        {"{\"a\": {\"bits\": \"4\"}}", WE_INVALID_FORMAT, "the bits of 'a' is no whole number"},
        {"{\"a\": {\"group_size\": -32}}", WE_INVALID_FORMAT, "the group_size of 'a' is no whole number"},
        {"{\"a\": {\"mode\": 1}}", WE_INVALID_FORMAT, "the mode of 'a' is no text"},
        {"{\"*\": {\"mode\": \"q4\"}}", WE_INVALID_FORMAT, "the quantisation mode 'q4' of model.embed_tokens"},
        {"{\"*\": {\"bits\": 99999999999}}", WE_INVALID_ARGUMENT, "does not exist"},
        {"{\"*q_proj\": {\"group_size\": 128}}", WE_INVALID_ARGUMENT, "groups of 128 do not divide the 64 columns"},
        {"{\"a\"", WE_INVALID_FORMAT, "rules.json"},
    };
    char path[400];
    struct we_convert_options options = {.quantize = true, .quant_predicate = path};
    snprintf(path, sizeof path, "%s", in_folder("rules.json"));
    refuse(&options, WE_NOT_FOUND, "is neither a recipe (mixed_2_6");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_text("rules.json", cases[i].rules);
        refuse(&options, cases[i].status, cases[i].message);
    }
}

static void assert_file(const char *name, const char *expected)
{
    struct we_buf text = {0};
    struct we_error error;
    if (we_file_read(in_folder(name), 0, &text, &error) != WE_OK)
        fail_msg("%s", error.message);
    assert_string_equal(text.data, expected);
    we_buf_free(&text);
}

static void test_other_files(void **state)
{
    (void)state;
    static const char *const kept[] = {"tokenizer.json",  "tokenizer_config.json", "chat_template.jinja",    "merges.txt",
                                       "tokenizer.model", "modeling_x.py",         "generation_config.json", "LICENSE",
                                       "x.tiktoken"};
    static const char *const left[] = {"README.md", "pytorch_model.bin", ".hidden.json", "model.safetensors.index.json.bak"};
    char name[100];
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        snprintf(name, sizeof name, "source/%s", kept[i]);
        put_text(name, kept[i]);
    }
    for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
        snprintf(name, sizeof name, "source/%s", left[i]);
        put_text(name, left[i]);
    }
    assert_int_equal(mkdir(in_folder("source/additional_chat_templates"), 0777), 0);
    assert_int_equal(mkdir(in_folder("source/original"), 0777), 0);
    put_text("source/additional_chat_templates/tool_use.jinja", "tools");
    struct we_error error;
    assert_int_equal(we_convert(in_folder("source"), in_folder("out"), NULL, &error), WE_OK);
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        snprintf(name, sizeof name, "out/%s", kept[i]);
        assert_file(name, kept[i]);
    }
    assert_file("out/additional_chat_templates/tool_use.jinja", "tools");
    struct we_arena arena = {0};
    char **names;
    size_t count;
    assert_int_equal(we_list_directory(in_folder("out"), &arena, &names, &count, NULL), WE_OK);
    assert_int_equal(count, sizeof kept / sizeof *kept + 4); /* config, weights, index, templates */
    we_arena_free(&arena);
}

/* ---- stopped ---- */

static int convert_with_limit(void)
{
    struct rlimit limit = {50000, 50000};
    struct we_error error = {0};
    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        return 1;
    if (we_convert(in_folder("source"), in_folder("out"), NULL, &error) != WE_IO_ERROR ||
        strstr(error.message, "writing failed: File too large") == NULL)
        return 2;
    return count_names() == 1 ? 0 : 3;
}

static void test_stopped(void **state)
{
    (void)state;
    assert_int_equal(mkdir(in_folder("source/additional_chat_templates"), 0777), 0);
    put_text("source/additional_chat_templates/tool_use.jinja", "tools");
    struct we_convert_options options = {.on_progress = stop_half_way, .quantize = true};
    refuse(&options, WE_CANCELLED, "cancelled");
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        options.on_progress = kill_half_way;
        we_convert(in_folder("source"), in_folder("out"), &options, NULL);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_true(!we_path_exists(in_folder("out")) && we_path_is_directory(in_folder(".out.part/additional_chat_templates")));
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(convert_with_limit());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    options.on_progress = NULL;
    assert_int_equal(we_convert(in_folder("source"), in_folder("out"), &options, NULL), WE_OK);
    assert_int_equal(count_names(), 2);
}

/* ---- memory ---- */

static struct we_convert_options memory_options;

static bool convert_once(void)
{
    struct we_error error = {0};
    char command[200];
    we_status status = we_convert(in_folder("source"), in_folder("out"), &memory_options, &error);
    if (status != WE_OK && (status != WE_OUT_OF_MEMORY || error.status != status))
        fail_msg("status %d (%d): %s", status, error.status, error.message);
    bool met = memory_countdown == -1;
    memory_countdown = met ? -1 : 1 << 30; /* the checks may allocate */
    assert_int_equal(we_path_exists(in_folder("out")), status == WE_OK);
    assert_false(we_path_exists(in_folder(".out.part")));
    snprintf(command, sizeof command, "rm -rf %s/out", test_folder);
    assert_true(status != WE_OK || system(command) == 0);
    memory_countdown = met ? -1 : 0;
    return status == WE_OK;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    char rules[400];
    put_text("rules.json", "{\"*q_proj\": {\"bits\": 3, \"mode\": \"affine\"}, \"lm_head\": false}");
    put_text("source/generation_config.json", "{\"eos_token_id\": [1, 2]}");
    snprintf(rules, sizeof rules, "%s", in_folder("rules.json"));
    memory_options = (struct we_convert_options){.quantize = true, .quant_predicate = rules};
    long survived = survive_failures(convert_once);
    if (survived < 60)
        fail_msg("%ld failures", survived);
}

int main(void)
{
#define with_source(test) cmocka_unit_test_setup_teardown(test, make_source, remove_folder)
    const struct CMUnitTest tests[] = {
        with_source(test_sources), with_source(test_options), with_source(test_rules),   with_source(test_other_files),
        with_source(test_experts), with_source(test_float8),  with_source(test_stopped), with_source(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
