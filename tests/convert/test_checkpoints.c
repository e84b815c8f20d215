/* Checkpoints converted with every format, recipe and type: each byte of each tensor and each value of config.json is what
 * mlx-lm's convert makes of them (make_checkpoint_goldens.py). The weights are made here, by the rule of that script. */
#include "support.h"

#include "base/json.h"
#include "format/safetensors.h"

#include <math.h>

static struct we_arena golden_arena;
static const struct we_json *goldens;

static int open_goldens(void **state)
{
    (void)state;
    goldens = read_json(&golden_arena, TEST_DATA, "checkpoint_goldens.json");
    return 0;
}

static int close_goldens(void **state)
{
    (void)state;
    we_arena_free(&golden_arena);
    return 0;
}

/* ---- sources ---- */

static uint64_t number_state;

static float next_number(void)
{
    number_state = number_state * 6364136223846793005u + 1442695040888963407u;
    uint64_t top = number_state >> 33;
    return ldexpf((float)((int)(top & 0xFFFF) - 32768), top >> 28 ? -20 : -26);
}

static unsigned char next_byte(void)
{
    number_state = number_state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned char)(96 + (number_state >> 33) % 40);
}

/* Of float8, but those that are no number. */
static unsigned char next_code(void)
{
    number_state = number_state * 6364136223846793005u + 1442695040888963407u;
    uint64_t code = (number_state >> 33) % 254;
    return (unsigned char)(code + (code > 126));
}

static void text_of(struct we_str s, char out[200])
{
    snprintf(out, 200, "%.*s", (int)s.length, s.data);
}

static void write_source(size_t number, const char *directory)
{
    const struct we_json *source = &we_json_get(goldens, "sources")->items[number], *tensors = we_json_get(source, "tensors");
    char path[500], name[200];
    struct we_safetensors_writer *writer;
    struct we_error error;
    assert_int_equal(we_make_directories(directory, NULL), WE_OK);
    snprintf(path, sizeof path, "%s/config.json", directory);
    assert_int_equal(we_file_write(path, we_json_get(source, "config")->string, NULL), WE_OK);
    snprintf(path, sizeof path, "%s/model.safetensors", directory);
    assert_int_equal(we_safetensors_writer_new(path, &writer, &error), WE_OK);
    for (size_t i = 0; i < tensors->count; i++) {
        const struct we_json *t = tensors->items[i].items, *dims = &t[2];
        uint64_t shape[WE_MAX_DIMS] = {0};
        for (size_t d = 0; d < dims->count; d++)
            shape[d] = (uint64_t)dims->items[d].integer;
        text_of(t[0].string, name);
        assert_int_equal(
            we_safetensors_writer_declare(writer, name, we_dtype_from_name(t[1].string), (uint32_t)dims->count, shape, &error),
            WE_OK);
    }
    assert_int_equal(we_safetensors_writer_begin(writer, NULL, &error), WE_OK);
    number_state = number;
    for (size_t i = 0; i < tensors->count; i++) {
        const struct we_json *t = tensors->items[i].items, *dims = &t[2];
        enum we_dtype dtype = we_dtype_from_name(t[1].string);
        size_t count = 1;
        for (size_t d = 0; d < dims->count; d++)
            count *= (size_t)dims->items[d].integer;
        unsigned char *data = malloc(count * 4);
        assert_non_null(data);
        for (size_t k = 0; k < count; k++)
            if (dtype == WE_U8 || dtype == WE_F8_E4M3)
                data[k] = dtype == WE_U8 ? next_byte() : next_code();
            else
                we_store_float(data, dtype, k, next_number());
        assert_int_equal(we_safetensors_writer_write(writer, data, count * we_dtype_size(dtype), &error), WE_OK);
        free(data);
    }
    assert_int_equal(we_safetensors_writer_commit(writer, &error), WE_OK);
    we_safetensors_writer_free(writer);
}

/* ---- conversions ---- */

static void read_options(const struct we_json *options, struct we_convert_options *out, char texts[3][200])
{
    static const struct {
        const char *name;
        size_t offset;
    } strings[] = {{"dtype", offsetof(struct we_convert_options, dtype)},
                   {"q-mode", offsetof(struct we_convert_options, q_mode)},
                   {"quant-predicate", offsetof(struct we_convert_options, quant_predicate)}};
    *out = (struct we_convert_options){.quantize = we_json_get(options, "quantize") != NULL,
                                       .dequantize = we_json_get(options, "dequantize") != NULL};
    for (size_t i = 0; i < 3; i++) {
        const struct we_json *value = we_json_get(options, strings[i].name);
        if (value == NULL)
            continue;
        text_of(value->string, texts[i]);
        *(const char **)((char *)out + strings[i].offset) = texts[i];
    }
    const struct we_json *bits = we_json_get(options, "q-bits"), *group_size = we_json_get(options, "q-group-size"),
                         *rules = we_json_get(options, "rules");
    out->q_bits = bits ? (uint32_t)bits->integer : 0;
    out->q_group_size = group_size ? (uint32_t)group_size->integer : 0;
    if (rules == NULL)
        return;
    struct we_buf text = {0};
    for (size_t i = 0; i < rules->count; i++) {
        const struct we_json *rule = &rules->items[i];
        we_buf_printf(&text, "%s\"%.*s\": ", i ? ", " : "{", WE_STR_ARG(rules->keys[i]));
        if (rule->kind == WE_JSON_BOOL)
            we_buf_append_c(&text, rule->boolean ? "true" : "false");
        for (size_t k = 0; k < rule->count; k++)
            we_buf_printf(&text, rule->items[k].kind == WE_JSON_STRING ? "%s\"%.*s\": \"%.*s\"%s" : "%s\"%.*s\": %.*s%s",
                          k ? ", " : "{", WE_STR_ARG(rule->keys[k]), WE_STR_ARG(rule->items[k].string),
                          k + 1 == rule->count ? "}" : "");
    }
    we_buf_append_c(&text, "}");
    assert_int_equal(we_file_write(in_folder("rules.json"), we_buf_str(&text), NULL), WE_OK);
    we_buf_free(&text);
    snprintf(texts[2], 200, "%s", in_folder("rules.json"));
    out->quant_predicate = texts[2];
}

/* Objects in any order. */
static bool same_json(const struct we_json *a, const struct we_json *b)
{
    if (a == NULL || b == NULL || a->kind != b->kind || a->count != b->count)
        return false;
    if (a->kind == WE_JSON_STRING)
        return we_str_equal(a->string, b->string);
    if (a->kind == WE_JSON_NUMBER)
        return a->number == b->number;
    if (a->kind == WE_JSON_BOOL)
        return a->boolean == b->boolean;
    for (size_t i = 0; i < a->count; i++) {
        char key[200] = "";
        if (a->kind == WE_JSON_OBJECT)
            text_of(a->keys[i], key);
        if (!same_json(&a->items[i], a->kind == WE_JSON_OBJECT ? we_json_get(b, key) : &b->items[i]))
            return false;
    }
    return true;
}

static void check_config(size_t number, const char *directory, const struct we_json *source, const struct we_json *golden)
{
    struct we_arena arena = {0};
    struct we_json *old = NULL;
    assert_int_equal(we_json_parse(we_json_get(source, "config")->string, "source", &arena, &old, NULL), WE_OK);
    const struct we_json *found = read_json(&arena, directory, "config.json"), *changed = we_json_get(golden, "changed");
    assert_int_equal(found->count, we_json_get(golden, "keys")->integer);
    for (size_t i = 0; i < found->count; i++) {
        char key[200];
        text_of(found->keys[i], key);
        if (i && we_str_compare(found->keys[i - 1], found->keys[i]) >= 0)
            fail_msg("case %zu: %s is not sorted", number, key);
        const struct we_json *expected = we_json_get(changed, key);
        if (!same_json(&found->items[i], expected ? expected : we_json_get(old, key)))
            fail_msg("case %zu: %s differs in config.json", number, key);
    }
    we_arena_free(&arena);
}

static void check_tensors(size_t number, const char *directory, const struct we_json *golden)
{
    struct we_safetensors *set;
    struct we_error error;
    uint32_t crc = 0;
    uint64_t bytes = 0;
    if (we_safetensors_open(directory, &set, &error) != WE_OK)
        fail_msg("case %zu: %s", number, error.message);
    for (size_t i = 0; i < we_safetensors_count(set); i++) {
        const struct we_tensor *t = we_safetensors_at(set, i);
        struct we_buf head = {0};
        we_buf_append(&head, t->name);
        we_buf_append_c(&head, we_dtype_name(t->dtype));
        we_buf_append_byte(&head, '[');
        for (uint32_t d = 0; d < t->num_dims; d++)
            we_buf_printf(&head, "%s%llu", d ? "," : "", (unsigned long long)t->shape[d]);
        we_buf_append_byte(&head, ']');
        crc = crc32_more(crc, head.data, head.length);
        crc = crc32_more(crc, t->data, t->size);
        bytes += t->size;
        we_buf_free(&head);
    }
    assert_int_equal(we_safetensors_count(set), we_json_get(golden, "count")->integer);
    if (crc != (uint32_t)we_json_get(golden, "tensors")->integer)
        fail_msg("case %zu (%s): the tensors are not those of mlx-lm", number, directory);
    we_safetensors_close(set);
    struct we_arena arena = {0};
    const struct we_json *index = read_json(&arena, directory, "model.safetensors.index.json");
    assert_int_equal(we_json_get(we_json_get(index, "metadata"), "total_size")->integer, bytes);
    we_arena_free(&arena);
}

static void test_as_mlx_lm(void **state)
{
    (void)state;
    const struct we_json *cases = we_json_get(goldens, "cases"), *sources = we_json_get(goldens, "sources");
    assert_true(cases->count >= 70);
    for (size_t i = 0; i < sources->count; i++) {
        char name[200];
        text_of(sources->keys[i], name);
        write_source(i, in_folder(name));
    }
    for (size_t i = 0; i < cases->count; i++) {
        const struct we_json *golden = &cases->items[i], *steps = we_json_get(golden, "steps");
        char from[400], to[400], name[200];
        text_of(we_json_get(golden, "source")->string, name);
        const struct we_json *source = we_json_get(sources, name);
        snprintf(from, sizeof from, "%s", in_folder(name));
        for (size_t k = 0; k < steps->count; k++) {
            struct we_convert_options options;
            struct we_error error;
            char texts[3][200];
            read_options(&steps->items[k], &options, texts);
            snprintf(name, sizeof name, "out-%zu-%zu", i, k);
            snprintf(to, sizeof to, "%s", in_folder(name));
            if (we_convert(from, to, &options, &error) != WE_OK)
                fail_msg("case %zu: %s", i, error.message);
            memcpy(from, to, sizeof from);
        }
        check_tensors(i, to, golden);
        check_config(i, to, source, golden);
    }
}

struct logits {
    float *values; /* (count) */
    size_t count, capacity, row;
};

static bool keep_logits(void *context, size_t index, const float *logits)
{
    struct logits *l = context;
    (void)index;
    assert_true(l->count + l->row <= l->capacity);
    memcpy(l->values + l->count, logits, l->row * sizeof *logits);
    l->count += l->row;
    return true;
}

static struct logits run_model(const char *directory)
{
    static const uint32_t ids[] = {1, 5, 3, 8, 2};
    struct we_model *model;
    struct we_error error;
    struct we_model_options options;
    we_model_options_init(&options);
    options.precision = WE_PRECISION_EXACT;
    if (we_model_open(directory, &options, &model, &error) != WE_OK)
        fail_msg("%s: %s", directory, error.message);
    struct logits out = {.row = we_model_info(model)->vocab_size};
    out.capacity = 5 * out.row;
    out.values = calloc(out.capacity, sizeof *out.values);
    assert_int_equal(we_logits(model, ids, 5, keep_logits, &out, &error), WE_OK);
    assert_int_equal(out.count, out.capacity);
    we_model_close(model);
    return out;
}

/* Of the checks of what is in the files. The rest of the model is not there. */
static bool on_check(void *context, const struct we_check *check)
{
    size_t *passed = context;
    const bool counts = strcmp(check->name, "config") == 0 || strcmp(check->name, "values") == 0;
    if (counts && check->mark == WE_CHECK_FAILED)
        fail_msg("%s: %s", check->name, check->text);
    *passed += counts && check->mark == WE_CHECK_PASSED;
    return strcmp(check->name, "values") != 0;
}

/* A checkpoint whose tensors have another form than MLX's runs as it is, as the model does that is made of it, and is valid. */
static void test_run_as_they_are(void **state)
{
    (void)state;
    static const char *const names[] = {"mixtral",     "gpt_oss",     "granitemoe", "lfm2_moe",
                                        "bailing_moe", "dots1",       "mistral3",   "helium",
                                        "gemma4",      "deepseek_v2", "kimi_k25",   "deepseek_v3-float8"};
    const struct we_json *sources = we_json_get(goldens, "sources");
    size_t found = 0;
    for (size_t i = 0; i < sources->count; i++)
        for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
            char name[200], from[400], to[410];
            text_of(sources->keys[i], name);
            if (strcmp(name, names[n]) != 0)
                continue;
            snprintf(from, sizeof from, "%s", in_folder(name));
            snprintf(to, sizeof to, "%s-made", from);
            write_source(i, from);
            struct we_convert_options options = {0};
            struct we_error error;
            if (we_convert(from, to, &options, &error) != WE_OK)
                fail_msg("%s: %s", name, error.message);
            struct logits raw = run_model(from), made = run_model(to);
            assert_int_equal(raw.count, made.count);
            bool differs = false, moves = false;
            for (size_t k = 0; k < raw.count; k++) {
                assert_true(isfinite(raw.values[k]));
                differs = differs || raw.values[k] != made.values[k];
                moves = moves || raw.values[k] != raw.values[0];
            }
            if (differs || !moves)
                fail_msg("%s: the logits are not those of the converted model, or all alike", name);
            struct we_model_summary *summary;
            assert_int_equal(we_model_summary_open(from, &summary, &error), WE_OK);
            assert_true(we_model_summary_facts(summary)->num_parameters > 1000);
            we_model_summary_close(summary);
            size_t passed = 0;
            const struct we_validate_options validate = {.no_speed = true, .on_check = on_check, .context = &passed};
            (void)we_validate_model(from, &validate, &error);
            assert_int_equal(passed, 2);
            free(raw.values);
            free(made.values);
            found++;
        }
    assert_int_equal(found, sizeof names / sizeof *names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {in_new_folder(test_as_mlx_lm), in_new_folder(test_run_as_they_are)};
    return cmocka_run_group_tests(tests, open_goldens, close_goldens);
}
