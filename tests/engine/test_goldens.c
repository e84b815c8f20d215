/* Every tiny model against float32 mlx-lm: logits on every instruction set, greedy tokens, seeded samples. */
#include "support.h"

#include "base/system.h"

#include <stdio.h>

struct checked_rows {
    const struct golden *golden;
    const struct golden_case *c;
    const char *what;
    size_t seen; /* rows of the golden file */
    size_t calls;
    double worst;
};

static bool check_row(void *context, size_t index, const float *logits)
{
    struct checked_rows *rows = context;
    assert_int_equal(index, rows->calls++);
    if (rows->seen == rows->c->num_rows || rows->c->rows[rows->seen] != index)
        return true;
    size_t vocab = rows->golden->vocab_size;
    double error = relative_rms(logits, rows->c->logits + rows->seen * vocab, vocab);
    if (error > 1e-5)
        fail_msg("%s, row %zu: the logits differ from mlx-lm's by %.2e (relative RMS)", rows->what, index, error);
    rows->worst = error > rows->worst ? error : rows->worst;
    rows->seen++;
    return true;
}

/* Worst error over all models; -1 if the processor lacks the instruction set. */
static double check_logits(const char *isa, uint32_t threads)
{
    double worst = 0;
    for (const char *const *name = model_names; *name; name++) {
        struct golden golden;
        golden_open(*name, &golden);
        for (size_t i = 0; i < golden.num_cases; i++) {
            const struct golden_case *c = &golden.cases[i];
            struct we_model_options options;
            we_model_options_init(&options);
            options.isa = isa;
            options.threads = threads;
            options.precision = WE_PRECISION_EXACT;
            options.rope_compat = c->compat;
            struct we_model *model;
            struct we_error error;
            we_status status = we_model_open(model_path(*name), &options, &model, &error);
            if (status == WE_UNSUPPORTED && strcmp(isa, "generic") != 0) {
                golden_close(&golden);
                return -1;
            }
            if (status != WE_OK)
                fail_msg("%s", error.message);
            assert_int_equal(we_model_info(model)->vocab_size, golden.vocab_size);
            if (strstr(we_model_info(model)->device, isa) == NULL)
                fail_msg("the device is '%s', where %s was expected", we_model_info(model)->device, isa);
            char what[256];
            snprintf(what, sizeof what, "%s (%s), %s", *name, isa, c->name);
            struct checked_rows rows = {.golden = &golden, .c = c, .what = what};
            if (we_logits(model, c->ids, c->num_ids, check_row, &rows, &error) != WE_OK)
                fail_msg("%s: %s", what, error.message);
            assert_int_equal(rows.seen, c->num_rows);
            assert_int_equal(rows.calls, c->num_ids);
            worst = rows.worst > worst ? rows.worst : worst;
            we_model_close(model);
        }
        golden_close(&golden);
    }
    print_message("%s: the worst row differs by %.2e\n", isa, worst);
    return worst;
}

static void test_logits_generic(void **state)
{
    (void)state;
    assert_true(check_logits("generic", 1) >= 0);
}

static void test_logits_avx2(void **state)
{
    (void)state;
    struct we_cpu_features features;
    we_cpu_features(&features);
    double worst = check_logits("avx2", 2);
    if (worst < 0 && !(features.avx2 && features.fma && features.f16c))
        skip();
    assert_true(worst >= 0);
}

static void test_logits_avx512(void **state)
{
    (void)state;
    struct we_cpu_features features;
    we_cpu_features(&features);
    double worst = check_logits("avx512", 3);
    if (worst < 0 && !(features.avx512f && features.avx512bw && features.avx512vl && features.avx512dq && features.avx512vnni))
        skip();
    assert_true(worst >= 0);
}

/* Greedy replies and samples of all models, with the best instruction set. */
static void test_replies(void **state)
{
    (void)state;
    size_t compared = 0, expected = 0, samples = 0;
    for (const char *const *name = model_names; *name; name++) {
        struct golden golden;
        golden_open(*name, &golden);
        for (size_t i = 0; i < golden.num_cases; i++) {
            const struct golden_case *c = &golden.cases[i];
            struct we_model_options options;
            we_model_options_init(&options);
            options.rope_compat = c->compat;
            struct we_model *model = open_model(model_path(*name), &options);
            char what[256];
            snprintf(what, sizeof what, "%s, %s", *name, c->name);
            uint32_t asked = (uint32_t)c->greedy.count + (c->greedy.stopped ? 5 : 0);
            struct we_request request = greedy_request(model, c->ids, c->num_ids, asked);
            struct we_result result = generate(model, &request);
            compared += assert_reply(what, &result, &c->greedy);
            expected += c->greedy.count;
            assert_int_equal(result.prompt_tokens, c->num_ids);
            we_result_clear(&result);
            for (size_t k = 0; c->samples && k < c->samples->count; k++, samples++) {
                const struct we_json *sample = &c->samples->items[k];
                struct golden_reply golden_sample = golden_reply_from_json(sample, &golden.arena);
                sampling_from_json(sample, &golden.arena, &request.sampling);
                request.max_tokens = (uint32_t)we_json_get(sample, "max_tokens")->integer;
                result = generate(model, &request);
                snprintf(what, sizeof what, "%s, %s, sample %zu", *name, c->name, k);
                assert_reply(what, &result, &golden_sample);
                we_result_clear(&result);
            }
            we_model_close(model);
        }
        golden_close(&golden);
    }
    print_message("%zu of %zu greedy tokens and %zu samples compared\n", compared, expected, samples);
    assert_true(compared * 100 >= expected * 95);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logits_generic),
        cmocka_unit_test(test_logits_avx2),
        cmocka_unit_test(test_logits_avx512),
        cmocka_unit_test(test_replies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
