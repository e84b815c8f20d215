/* Which quantisation a module has: the block, overrides, shapes, and where they contradict each other. */
#include "test_files.h"

#include "format/quantization.h"

static struct we_arena arena;
static struct we_error error;

static we_status parse(const char *json, struct we_quantization *quantization)
{
    struct we_json *tree;
    assert_int_equal(we_json_parse(we_str_c(json), "config.json", &arena, &tree, NULL), WE_OK);
    struct we_config config = {tree, "config.json"};
    return we_quantization_parse(&config, quantization, &error);
}

static int free_arena(void **state)
{
    (void)state;
    we_arena_free(&arena);
    return 0;
}

static void test_blocks(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        we_status status;
        const char *message; /* or NULL: mode, bits, group */
        struct we_quant quant;
    } cases[] = {
        {"{}", WE_OK, NULL, {WE_QUANT_NONE, 0, 0}},
        {"{\"quantization\": null}", WE_OK, NULL, {WE_QUANT_NONE, 0, 0}},
        {"{\"quantization\": false, \"quantization_config\": null}", WE_OK, NULL, {WE_QUANT_NONE, 0, 0}},
        {"{\"quantization\": {\"group_size\": 32, \"bits\": 8}}", WE_OK, NULL, {WE_QUANT_AFFINE, 8, 32}},
        {"{\"quantization\": {\"bits\": 3}}", WE_OK, NULL, {WE_QUANT_AFFINE, 3, 64}},
        {"{\"quantization\": {\"mode\": \"mxfp4\"}}", WE_OK, NULL, {WE_QUANT_MXFP4, 4, 32}},
        {"{\"quantization\": {\"mode\": \"nvfp4\", \"group_size\": 16, \"bits\": 4}}", WE_OK, NULL, {WE_QUANT_NVFP4, 4, 16}},
        {"{\"quantization_config\": {\"group_size\": 64, \"bits\": 4}}", WE_OK, NULL, {WE_QUANT_AFFINE, 4, 64}},
        {"{\"quantization\": {\"group_size\": 64, \"bits\": 4}, \"quantization_config\": {\"quant_method\": \"awq\"}}",
         WE_OK,
         NULL,
         {WE_QUANT_AFFINE, 4, 64}},
        {"{\"quantization\": {\"mode\": \"q9\"}}", WE_UNSUPPORTED, "\"q9\"", {0}},
        {"{\"quantization\": {\"bits\": 7}}", WE_UNSUPPORTED, "affine, 7 bits, group size 64", {0}},
        {"{\"quantization\": {\"mode\": \"mxfp8\", \"bits\": 4}}", WE_UNSUPPORTED, "mxfp8, 4 bits", {0}},
        {"{\"quantization\": {\"group_size\": 0}}", WE_UNSUPPORTED, "group size 0", {0}},
        {"{\"quantization\": {\"bits\": \"4\"}}", WE_INVALID_FORMAT, "\"bits\" is \"4\"", {0}},
        {"{\"quantization\": {\"mode\": 4}}", WE_INVALID_FORMAT, "\"mode\" is 4", {0}},
        {"{\"quantization\": [4]}", WE_INVALID_FORMAT, "an array", {0}},
        {"{\"quantization\": true}", WE_INVALID_FORMAT, "a boolean", {0}},
        {"{\"quantization_config\": {\"quant_method\": \"awq\", \"bits\": 4, \"group_size\": 128}}",
         WE_UNSUPPORTED,
         "\"awq\"",
         {0}},
        {"{\"quantization_config\": {\"quant_method\": \"gptq\"}}", WE_UNSUPPORTED, "\"gptq\"", {0}},
        {"{\"quantization_config\": {\"quant_method\": \"bitnet\"}}", WE_UNSUPPORTED, "\"bitnet\"", {0}},
        {"{\"quantization_config\": {\"quant_method\": \"compressed-tensors\"}}",
         WE_UNSUPPORTED,
         "\"compressed-tensors\", whose files",
         {0}},
        {"{\"quantization_config\": {\"quant_method\": \"compressed-tensors\", \"format\": \"pack-quantized\"}}",
         WE_UNSUPPORTED,
         "\"compressed-tensors\", format pack-quantized",
         {0}},
        {"{\"quantization_config\": {\"quant_method\": \"awq\"}}", WE_UNSUPPORTED, "mlx_lm.convert makes one", {0}},
        {"{\"quantization_config\": {\"quant_method\": \"modelopt\"}}", WE_UNSUPPORTED, "--q-mode nvfp4", {0}},
        {"{\"quantization_config\": {\"quant_method\": \"affine\"}}", WE_UNSUPPORTED, "\"affine\"", {0}},
        {"{\"quantization_config\": {\"quant_method\": \"mxfp4\", \"modules_to_not_convert\": [\"lm_head\"]}}",
         WE_OK,
         NULL,
         {WE_QUANT_MXFP4, 4, 32}},
        {"{\"quantization_config\": {\"quant_method\": \"mxfp8\"}}", WE_OK, NULL, {WE_QUANT_MXFP8, 8, 32}},
        {"{\"quantization_config\": {\"quant_method\": \"bitsandbytes\", \"load_in_4bit\": true, \"bnb_4bit_quant_type\": "
         "\"nf4\"}}",
         WE_UNSUPPORTED,
         "\"bitsandbytes\", whose files",
         {0}},
        {"{\"quantization_config\": {\"quant_method\": \"compressed-tensors\", \"format\": \"float-quantized\", \"bits\": 8, "
         "\"group_size\": 32}}",
         WE_UNSUPPORTED,
         "\"compressed-tensors\", format float-quantized",
         {0}},
        {"{\"quantization_config\": {\"quant_method\": \"gptq\", \"bits\": 4, \"group_size\": 128, \"desc_act\": true}}",
         WE_UNSUPPORTED,
         "no g_idx",
         {0}},
        {"{\"quantization_config\": {\"quant_method\": \"fbgemm_fp8\"}}", WE_UNSUPPORTED, "\"fbgemm_fp8\"", {0}},
        {"{\"quantization_config\": {\"quant_method\": \"hqq\"}}", WE_UNSUPPORTED, "\"hqq\"", {0}},
        {"{\"quantization_config\": {\"quant_method\": \"quanto\"}}", WE_UNSUPPORTED, "\"quanto\"", {0}},
        {"{\"quantization_config\": {\"quant_method\": 4}}", WE_UNSUPPORTED, "\"unknown\"", {0}},
        {"{\"quantization_config\": {\"load_in_4bit\": true}}", WE_UNSUPPORTED, "\"unknown\"", {0}},
        {"{\"text_config\": {\"quantization_config\": {\"quant_method\": \"bitnet\"}}}", WE_UNSUPPORTED, "\"bitnet\"", {0}},
        {"{\"quantization_config\": {\"quant_method\": \"fp8\", \"weight_block_size\": [128, 128]}}", WE_OK, NULL, {0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct we_quantization q;
        error.message[0] = '\0';
        we_status status = parse(cases[i].json, &q);
        if (status != cases[i].status || (cases[i].message && strstr(error.message, cases[i].message) == NULL))
            fail_msg("%s\n%d: %s", cases[i].json, status, error.message);
        if (status == WE_OK) {
            assert_int_equal(q.present, cases[i].quant.mode != WE_QUANT_NONE);
            assert_memory_equal(&q.defaults, &cases[i].quant, sizeof q.defaults);
        }
    }
}

/* A module of 4 rows and 128 columns, with `words` packed columns and `groups` scales. */
struct shapes {
    uint64_t words, groups; /* groups 0: no scales */
    enum we_dtype scale_dtype;
    bool no_biases;
};

static we_status ask(const char *json, const struct shapes *shapes, uint32_t in, struct we_quant *quant)
{
    struct we_quantization q;
    assert_int_equal(parse(json, &q), WE_OK);
    struct we_tensor weight = {we_str_c("m.weight"), WE_U32, 2, {4, shapes->words}, "", 0, "model.safetensors"};
    struct we_tensor scales = {we_str_c("m.scales"), shapes->scale_dtype, 2, {4, shapes->groups}, "", 0, "model.safetensors"};
    error.message[0] = '\0';
    bool biases = shapes->scale_dtype != WE_U8 && !shapes->no_biases;
    return we_quantization_for(&q, "m", &weight, shapes->groups ? &scales : NULL, shapes->groups && biases ? &scales : NULL, in,
                               quant, &error);
}

static void test_modules(void **state)
{
    (void)state;
#define TOP "{\"quantization\": {\"group_size\": 32, \"bits\": 8"
    static const struct {
        const char *json;
        struct shapes shapes;
        uint32_t in;
        we_status status;
        const char *message;
        struct we_quant quant;
    } cases[] = {
        /* no entry: as the shapes say, whatever the top level has */
        {TOP "}}", {16, 2, WE_BF16}, 128, WE_OK, NULL, {WE_QUANT_AFFINE, 4, 64}},
        {TOP "}}", {32, 4, WE_F16}, 128, WE_OK, NULL, {WE_QUANT_AFFINE, 8, 32}},
        {TOP "}}", {12, 1, WE_F32}, 128, WE_OK, NULL, {WE_QUANT_AFFINE, 3, 128}},
        {TOP "}}", {20, 4, WE_F32}, 128, WE_OK, NULL, {WE_QUANT_AFFINE, 5, 32}},
        {TOP "}}", {16, 4, WE_U8}, 128, WE_OK, NULL, {WE_QUANT_MXFP4, 4, 32}},
        {TOP "}}", {32, 4, WE_U8}, 128, WE_OK, NULL, {WE_QUANT_MXFP8, 8, 32}},
        {TOP "}}", {16, 8, WE_U8}, 128, WE_OK, NULL, {WE_QUANT_NVFP4, 4, 16}},
        {TOP "}}", {128, 0, WE_BF16}, 128, WE_OK, NULL, {WE_QUANT_NONE, 0, 0}},
        {"{}", {128, 0, WE_BF16}, 128, WE_OK, NULL, {WE_QUANT_NONE, 0, 0}},
        /* an entry: its missing keys are its mode's defaults, not the top level's */
        {TOP ", \"m\": {\"bits\": 4}}}", {16, 2, WE_BF16}, 128, WE_OK, NULL, {WE_QUANT_AFFINE, 4, 64}},
        {TOP ", \"m\": {\"bits\": 4}}}", {16, 4, WE_BF16}, 128, WE_INVALID_FORMAT, "affine, 4 bits, group size 64", {0}},
        {TOP ", \"m\": {\"group_size\": 32}}}", {16, 4, WE_BF16}, 128, WE_OK, NULL, {WE_QUANT_AFFINE, 4, 32}},
        {TOP ", \"m\": {\"mode\": \"mxfp8\"}}}", {32, 4, WE_U8}, 128, WE_OK, NULL, {WE_QUANT_MXFP8, 8, 32}},
        {TOP ", \"m\": {\"mode\": \"nvfp4\"}}}", {16, 8, WE_U8}, 128, WE_OK, NULL, {WE_QUANT_NVFP4, 4, 16}},
        {TOP ", \"m\": true}}", {32, 4, WE_BF16}, 128, WE_OK, NULL, {WE_QUANT_AFFINE, 8, 32}},
        {TOP ", \"m\": true}}", {16, 2, WE_BF16}, 128, WE_INVALID_FORMAT, "8 bits, group size 32", {0}},
        {TOP ", \"m\": false}}", {128, 0, WE_BF16}, 128, WE_OK, NULL, {WE_QUANT_NONE, 0, 0}},
        {TOP ", \"m\": false}}", {16, 2, WE_BF16}, 128, WE_INVALID_FORMAT, "m is not quantised, but model.safetensors", {0}},
        {TOP ", \"m\": {\"bits\": 4}}}", {128, 0, WE_BF16}, 128, WE_INVALID_FORMAT, "hold no m.scales", {0}},
        {TOP ", \"m\": {\"bits\": 4}}}", {16, 2, WE_U8}, 128, WE_INVALID_FORMAT, "(U8)", {0}},
        {TOP ", \"m\": {\"bits\": 7}}}",
         {28, 2, WE_BF16},
         128,
         WE_UNSUPPORTED,
         "config.json: m: a quantisation of affine, 7",
         {0}},
        {TOP ", \"m\": {\"mode\": \"int8\"}}}", {16, 2, WE_BF16}, 128, WE_UNSUPPORTED, "int8", {0}},
        {TOP ", \"m\": 4}}", {16, 2, WE_BF16}, 128, WE_INVALID_FORMAT, "the quantisation of m is a number", {0}},
        {TOP ", \"other\": {\"bits\": 2}}}", {16, 2, WE_BF16}, 128, WE_OK, NULL, {WE_QUANT_AFFINE, 4, 64}},
        /* shapes that no format has */
        {TOP "}}", {17, 2, WE_BF16}, 128, WE_INVALID_FORMAT, "[4, 17]", {0}},
        {TOP "}}", {28, 2, WE_BF16}, 128, WE_INVALID_FORMAT, "m has a quantisation and 128 columns", {0}},
        {TOP "}}", {16, 3, WE_BF16}, 128, WE_INVALID_FORMAT, "[4, 3]", {0}},
        {TOP "}}", {16, 2, WE_BF16}, 96, WE_INVALID_FORMAT, "96 columns", {0}},
        {TOP "}}", {16, 2, WE_BF16}, 0, WE_INVALID_FORMAT, "0 columns", {0}},
        {TOP "}}", {1ull << 60, 2, WE_BF16}, 128, WE_INVALID_FORMAT, "128 columns", {0}},
        {TOP "}}", {16, 2, WE_BF16, true}, 128, WE_INVALID_FORMAT, "hold no m.biases", {0}},
        {"{}", {16, 2, WE_BF16}, 128, WE_INVALID_FORMAT, "has no \"quantization\"", {0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct we_quant quant;
        we_status status = ask(cases[i].json, &cases[i].shapes, cases[i].in, &quant);
        if (status != cases[i].status || (cases[i].message && strstr(error.message, cases[i].message) == NULL))
            fail_msg("case %zu: %s\n%d: %s", i, cases[i].json, status, error.message);
        if (status == WE_OK)
            assert_memory_equal(&quant, &cases[i].quant, sizeof quant);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_blocks, free_arena),
        cmocka_unit_test_teardown(test_modules, free_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
