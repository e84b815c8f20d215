/* The precision gate of SmolLM2 against float32 mlx-lm (gate.safetensors): exact precision is the reference up to rounding,
 * and the fast one picks the same token in 99 % of positions with a mean KL divergence of at most 1e-3, through prefill and
 * through decode. Skipped (77) where the model is not: WE_TEST_MODEL, or models/mlx/HuggingFaceTB/SmolLM2-135M-Instruct-4bit
 * in the source folder.
 *
 * With arguments it prints the figures of a model, piece by piece; status 0 if it passes the gate:
 *     test_engine_gate MODEL_DIRECTORY [--precision exact|fast] [--isa NAME] [--threads N] [--phase prefill|decode]
 *                      [--positions N] [--goldens FILE | --against-exact]
 * --positions: of each piece at most. --goldens: of this model, by make_gate_goldens.py. --against-exact: the reference is the
 * model itself in exact precision, with the tokens of its own tokenizer. */
#include "gate.h"

#include "base/fs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double LEAST_AGREEMENT = 0.99, MOST_KL = 1e-3;
static const double LEAST_EXACT_AGREEMENT = 0.999, MOST_EXACT_KL = 1e-6;

/* Instrumented code takes minutes for what is seconds otherwise; whole pieces are judged in a plain build. Over so few
 * positions chance decides at 99 %. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const size_t most_positions = 40;
static const double allowance = 0.015;
#else
static const size_t most_positions = SIZE_MAX;
static const double allowance = 0;
#endif

static const char *model_directory;
static struct gate gate;

static void print_figures(const char *what, const struct gate_figures *f)
{
    printf("%-24s %5zu positions, same top-1 %.2f %%, mean KL %.3g, worst %.3g (%s, position %zu)\n", what, f->positions,
           100 * gate_agreement(f), gate_mean_kl(f), f->kl_worst, gate.pieces[f->worst_piece].name, f->worst_position);
    fflush(stdout);
}

static struct gate_figures run_all(struct we_model *model, bool decode, size_t most, bool print_each)
{
    struct gate_figures sum = {0};
    for (size_t i = 0; i < gate.num_pieces; i++) {
        struct gate_figures figures = gate_run(&gate, i, model, decode, most);
        if (print_each)
            print_figures(gate.pieces[i].name, &figures);
        gate_add(&sum, &figures);
    }
    return sum;
}

static void check(enum we_precision precision, bool decode, size_t most)
{
    struct we_model_options options;
    struct we_model *model;
    struct we_error error;
    we_model_options_init(&options);
    options.precision = precision;
    options.max_context = 1024;
    we_status status = we_model_open(model_directory, &options, &model, &error);
    if (status == WE_UNSUPPORTED && precision == WE_PRECISION_FAST) {
        print_message("skipped: %s\n", error.message);
        skip();
    }
    if (status != WE_OK)
        fail_msg("%s", error.message);
    bool exact = precision == WE_PRECISION_EXACT;
    struct gate_figures figures = run_all(model, decode, most < most_positions ? most : most_positions, false);
    we_model_close(model);
    char what[32];
    snprintf(what, sizeof what, "%s, %s", exact ? "exact" : "fast", decode ? "decode" : "prefill");
    print_figures(what, &figures);
    assert_true(gate_agreement(&figures) >= (exact ? LEAST_EXACT_AGREEMENT : LEAST_AGREEMENT - allowance));
    assert_true(gate_mean_kl(&figures) <= (exact ? MOST_EXACT_KL : MOST_KL));
}

static void test_exact_prefill(void **state)
{
    (void)state;
    check(WE_PRECISION_EXACT, false, SIZE_MAX);
}

static void test_exact_decode(void **state)
{
    (void)state;
    check(WE_PRECISION_EXACT, true, 64); /* other tests hold it against prefill, bit for bit */
}

static void test_fast_prefill(void **state)
{
    (void)state;
    check(WE_PRECISION_FAST, false, SIZE_MAX);
}

static void test_fast_decode(void **state)
{
    (void)state;
    check(WE_PRECISION_FAST, true, SIZE_MAX);
}

/* The goldens are those of the text, and there are enough of them. */
static void test_goldens(void **state)
{
    (void)state;
    struct gate own;
    gate_open(&own);
    gate_tokenize(&own, model_directory);
    assert_true(own.num_positions >= 2000);
    assert_int_equal(own.num_positions, gate.num_positions);
    for (size_t i = 0; i < own.num_pieces; i++) {
        assert_int_equal(own.pieces[i].num_tokens, gate.pieces[i].num_tokens);
        assert_memory_equal(own.pieces[i].tokens, gate.pieces[i].tokens, own.pieces[i].num_tokens * sizeof(uint32_t));
    }
    gate_close(&own);
}

/* The figures themselves, by hand: four ids, of which the reference keeps two and a rest. Needs no model. */
static void test_figures(void **state)
{
    (void)state;
    struct gate_row row = {.top = {2, 0}, .p = {0.5, 0.25}, .rest = 0.25};
    const float same[4] = {0, -1, logf(2), logf(1 - expf(-1))};
    struct gate_figures figures = {0};
    gate_judge(&row, same, 4, &figures);
    assert_int_equal(figures.agree, 1);
    assert_true(figures.kl_sum < 1e-6);
    const float flat[4] = {3, 3, 3, 3}; /* q = 1/4, 1/4 and a rest of 1/2; the lowest id is the likeliest */
    gate_judge(&row, flat, 4, &figures);
    assert_int_equal(figures.agree, 1);
    assert_true(fabs(figures.kl_sum - (0.5 * log(2) + 0.25 * log(0.5))) < 1e-6);
    assert_int_equal(figures.worst_position, 1);
    const float broken[4] = {0, NAN, 9, 0};
    gate_judge(&row, broken, 4, &figures);
    assert_int_equal(figures.agree, 1);
    assert_true(isinf(gate_mean_kl(&figures)) && figures.worst_position == 2 && figures.positions == 3);
    const float certain[4] = {0, 0, 1000, 0}; /* the ids that we call impossible */
    figures = (struct gate_figures){0};
    gate_judge(&row, certain, 4, &figures);
    assert_true(figures.agree == 1 && isfinite(figures.kl_sum) && figures.kl_sum > 10);
}

/* ---- with arguments ---- */

struct arguments {
    const char *model, *goldens;
    struct we_model_options options;
    size_t positions;
    int phase; /* -1: both; or of enum: 0 prefill, 1 decode */
    bool against_exact;
};

static bool parse(int argc, char **argv, struct arguments *a)
{
    *a = (struct arguments){.goldens = TEST_DATA "/gate.safetensors", .positions = SIZE_MAX, .phase = -1};
    we_model_options_init(&a->options);
    a->options.max_context = 4096;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--against-exact") == 0) {
            a->against_exact = true;
            continue;
        }
        if (argv[i][0] != '-') {
            a->model = argv[i];
            continue;
        }
        if (strcmp(argv[i], "--precision") == 0 && (strcmp(value, "exact") == 0 || strcmp(value, "fast") == 0))
            a->options.precision = *value == 'e' ? WE_PRECISION_EXACT : WE_PRECISION_FAST;
        else if (strcmp(argv[i], "--phase") == 0 && (strcmp(value, "prefill") == 0 || strcmp(value, "decode") == 0))
            a->phase = *value == 'd';
        else if (strcmp(argv[i], "--isa") == 0 && *value)
            a->options.isa = value;
        else if (strcmp(argv[i], "--threads") == 0 && atoi(value) > 0)
            a->options.threads = (uint32_t)atoi(value);
        else if (strcmp(argv[i], "--positions") == 0 && atoi(value) > 0)
            a->positions = (size_t)atoi(value);
        else if (strcmp(argv[i], "--goldens") == 0 && *value)
            a->goldens = value;
        else
            return false;
        i++;
    }
    return a->model != NULL;
}

static struct arguments arguments;

static void print_model(void **state)
{
    (void)state;
    const struct arguments *a = &arguments;
    if (a->against_exact) {
        struct we_model_options options = a->options;
        options.precision = WE_PRECISION_EXACT;
        options.isa = NULL;
        struct we_model *exact = open_model(a->model, &options);
        gate_tokenize(&gate, a->model);
        gate_make_reference(&gate, exact);
        we_model_close(exact);
    } else {
        gate_read_goldens(&gate, a->goldens);
    }
    struct we_model *model = open_model(a->model, &a->options);
    bool passes = true;
    for (int decode = 0; decode < 2; decode++) {
        if (a->phase >= 0 && a->phase != decode)
            continue;
        printf("%s: %s, %s, %s\n", a->model, we_model_info(model)->device,
               a->options.precision == WE_PRECISION_FAST ? "fast" : "exact", decode ? "decode" : "prefill");
        struct gate_figures figures = run_all(model, decode, a->positions, true);
        print_figures("all", &figures);
        passes = passes && gate_agreement(&figures) >= LEAST_AGREEMENT && gate_mean_kl(&figures) <= MOST_KL;
    }
    we_model_close(model);
    printf("%s the gate: top-1 at least %.0f %%, mean KL at most %g\n", passes ? "passes" : "FAILS", 100 * LEAST_AGREEMENT,
           MOST_KL);
    assert_true(passes);
}

int main(int argc, char **argv)
{
    gate_open(&gate);
    int failed;
    if (argc > 1) {
        if (!parse(argc, argv, &arguments)) {
            fprintf(stderr,
                    "usage: %s MODEL_DIRECTORY [--precision exact|fast] [--isa NAME] [--threads N] [--phase prefill|decode] "
                    "[--positions N] [--goldens FILE | --against-exact]\n",
                    argv[0]);
            return 2;
        }
        const struct CMUnitTest tests[] = {cmocka_unit_test(print_model)};
        failed = cmocka_run_group_tests(tests, NULL, NULL);
    } else {
        const char *path = getenv("WE_TEST_MODEL");
        if (path == NULL || *path == '\0')
            path = SOURCE_ROOT "/models/mlx/HuggingFaceTB/SmolLM2-135M-Instruct-4bit";
        if (!we_path_is_directory(path)) {
            fprintf(stderr, "skipped: there is no %s; `make run` makes it\n", path);
            gate_close(&gate);
            return 77;
        }
        model_directory = path;
        gate_read_goldens(&gate, TEST_DATA "/gate.safetensors");
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_figures),       cmocka_unit_test(test_goldens),
                                           cmocka_unit_test(test_exact_prefill), cmocka_unit_test(test_exact_decode),
                                           cmocka_unit_test(test_fast_prefill),  cmocka_unit_test(test_fast_decode)};
        failed = cmocka_run_group_tests(tests, NULL, NULL);
    }
    gate_close(&gate);
    return failed;
}
