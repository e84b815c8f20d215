/* One small model of every family in the table, against float32 mlx-lm: logits in both precisions, greedy tokens. */
#include "support.h"

#include "arch/arch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct checked_rows {
    const struct golden *golden;
    const struct golden_case *c;
    size_t seen;
    double errors[8];
};

static bool check_row(void *context, size_t index, const float *logits)
{
    struct checked_rows *rows = context;
    const size_t vocab = rows->golden->vocab_size;
    if (rows->seen < rows->c->num_rows && rows->c->rows[rows->seen] == index) {
        rows->errors[rows->seen] = relative_rms(logits, rows->c->logits + rows->seen * vocab, vocab);
        rows->seen++;
    }
    return true;
}

static int compare_numbers(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static struct we_model *open_in(const char *name, enum we_precision precision, const char *isa, enum we_rope_compat compat)
{
    struct we_model_options options;
    we_model_options_init(&options);
    options.precision = precision;
    options.isa = isa;
    options.rope_compat = compat;
    return open_model(model_path(name), &options);
}

/* The greatest error of a row in exact precision. In the fast one, that of the middle row: a router that rounding tips over to
 * another expert changes its row altogether. */
static double error_of(const char *name, const struct golden *golden, enum we_precision precision, const char *isa)
{
    const struct golden_case *c = &golden->cases[0];
    struct we_model *model = open_in(name, precision, isa, c->compat);
    struct checked_rows rows = {.golden = golden, .c = c};
    struct we_error error;
    assert_true(c->num_rows <= sizeof rows.errors / sizeof *rows.errors);
    if (we_logits(model, c->ids, c->num_ids, check_row, &rows, &error) != WE_OK)
        fail_msg("%s: %s", name, error.message);
    assert_int_equal(rows.seen, c->num_rows);
    qsort(rows.errors, rows.seen, sizeof *rows.errors, compare_numbers);
    we_model_close(model);
    return rows.errors[precision == WE_PRECISION_FAST ? rows.seen / 2 : rows.seen - 1];
}

static void check_family(const char *name)
{
    struct golden golden;
    golden_open(name, &golden);
    const double exact = error_of(name, &golden, WE_PRECISION_EXACT, NULL);
    const double generic = error_of(name, &golden, WE_PRECISION_EXACT, "generic");
    const double fast = error_of(name, &golden, WE_PRECISION_FAST, NULL);
    if (!(exact <= 2e-5 && generic <= 2e-5 && fast <= 6e-2))
        fail_msg("%s: the logits differ from mlx-lm's by %.2e, %.2e (generic) and %.2e (fast)", name, exact, generic, fast);
    const struct golden_case *c = &golden.cases[0];
    struct we_model *model = open_in(name, WE_PRECISION_EXACT, NULL, c->compat);
    struct we_request request = greedy_request(model, c->ids, c->num_ids, (uint32_t)c->greedy.count);
    struct we_result result = generate(model, &request);
    assert_reply(name, &result, &c->greedy);
    we_result_clear(&result);
    we_model_close(model);
    golden_close(&golden);
}

static bool has_model(const struct we_model_type *type)
{
    char directory[96], config[1024];
    snprintf(directory, sizeof directory, "family-%s", type->name);
    snprintf(config, sizeof config, "%s/config.json", model_path(directory));
    FILE *file = fopen(config, "r");
    if (file)
        fclose(file);
    return file != NULL;
}

/* A type without a model of its own must be another name of a family that has one. */
static bool has_other_name(const struct we_model_type *type)
{
    for (const struct we_model_type *other = we_model_types; other->name; other++)
        if (other != type && other->family == type->family && (!other->text_part || other->text_part == type->text_part) &&
            has_model(other))
            return true;
    return false;
}

static void test_every_family(void **state)
{
    (void)state;
    size_t count = 0;
    for (const struct we_model_type *type = we_model_types; type->name; type++) {
        if (has_model(type)) {
            char name[96];
            snprintf(name, sizeof name, "family-%s", type->name);
            check_family(name);
            count++;
        } else if (!has_other_name(type)) {
            fail_msg("%s: no model; tests/models/make_family_models.py makes one", type->name);
        }
    }
    print_message("%zu families\n", count);
    assert_true(count >= 40);
}

/* kv_b_proj, quantised: as mlx-lm had latent attention before, and still reads it. */
static void test_old_form(void **state)
{
    (void)state;
    check_family("old-deepseek_v3");
}

/* The table is sorted, and each name stands once. */
static void test_names_sorted(void **state)
{
    (void)state;
    for (const struct we_model_type *type = we_model_types; type[1].name; type++)
        assert_true(strcmp(type[0].name, type[1].name) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_family),
        cmocka_unit_test(test_old_form),
        cmocka_unit_test(test_names_sorted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
