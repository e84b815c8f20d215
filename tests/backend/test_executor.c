/* The CPU executor on small random networks: against float64, and bit for bit against itself in every other way to run
 * the same tokens. */
#include "backend/backend.h"
#include "backend/cpu/executor.h"

#include "cases.h"
#include "machine.h"
#include "network.h"
#include "random.h"
#include "shapes.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct we_cpu_kernels *isas[WE_CPU_MAX_ISAS];
static uint32_t num_isas;

/* ---- numbers ---- */

static void random_tokens(const struct test_network *n, uint32_t *tokens, uint32_t count, uint64_t seed)
{
    for (uint32_t i = 0; i < count; i++)
        tokens[i] = random_u32(&seed) % n->decoder.vocab_size;
}

static int compare_numbers(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Of all numbers together; in fast precision that of the middle row, since a router that rounding tips over to another expert
 * changes its row altogether. */
static double relative_error(const float *found, const double *expected, uint32_t rows, uint32_t width)
{
    double *ratios = malloc(rows * sizeof *ratios), all_errors = 0, all_squares = 0;
    for (uint32_t r = 0; r < rows; r++) {
        double errors = 0, squares = 0;
        for (size_t j = (size_t)r * width; j < (size_t)(r + 1) * width; j++) {
            errors += (found[j] - expected[j]) * (found[j] - expected[j]);
            squares += expected[j] * expected[j];
        }
        ratios[r] = isfinite(errors) ? sqrt(errors / squares) : INFINITY;
        all_errors += errors;
        all_squares += squares;
    }
    qsort(ratios, rows, sizeof *ratios, compare_numbers);
    const double middle = ratios[rows / 2];
    free(ratios);
    return precision == WE_PRECISION_FAST && isfinite(all_errors) ? middle : sqrt(all_errors / all_squares);
}

/* ---- tests ---- */

static void test_logits(void **state)
{
    (void)state;
    enum { COUNT = 150 };
    for (int i = 0; i < NUM_SHAPES; i++) {
        if (!next_case())
            continue;
        struct test_network n;
        test_network_make(&n, &shapes[i], 10 + (uint64_t)i);
        uint32_t tokens[COUNT], vocab = n.decoder.vocab_size;
        random_tokens(&n, tokens, COUNT, 5);
        double *expected = malloc(sizeof *expected * COUNT * vocab);
        for (uint32_t k = 0; k < num_isas; k++)
            for (enum we_rope_mode mode = WE_ROPE_SHORT; mode <= WE_ROPE_LONG; mode++) {
                test_network_logits(&n, tokens, COUNT, mode, expected);
                struct machine m;
                struct sequence s;
                machine_open(&m, &n, isas[k]->name, 2, 1);
                sequence_open(&m, &s, COUNT);
                const float *found = run_mode(&m, &(struct part){&s, tokens, COUNT, COUNT, WE_PHASE_PREFILL}, 1, mode);
                double error = relative_error(found, expected, COUNT, vocab);
                if (!(error <= (precision == WE_PRECISION_FAST ? 2e-2 : 2e-6)))
                    fail_msg("network %d, %s: relative error %g", i, isas[k]->name, error);
                machine_close(&m);
            }
        free(expected);
        test_network_free(&n);
    }
}

/* The best instruction set goes through every shape, each of the others through a third of them: what is tested from here
 * on is the order of work, in which sets differ little. Returns the first one tested from `isa` on, or num_isas. */
static uint32_t next_isa(int shape, uint32_t isa)
{
    while (isa > 0 && isa < num_isas && ((uint32_t)shape + isa) % 3)
        isa++;
    return isa;
}

/* One network for each test below. */
struct fixture {
    int shape;
    struct test_network network;
    uint32_t tokens[1200], count;
    float *expected[2][WE_CPU_MAX_ISAS]; /* by phase */
};

static void fixture_make(struct fixture *f, int shape, uint32_t count)
{
    memset(f->expected, 0, sizeof f->expected);
    test_network_make(&f->network, &shapes[shape], 20 + (uint64_t)shape);
    f->shape = shape;
    f->count = count;
    random_tokens(&f->network, f->tokens, count, 7);
    for (enum we_phase phase = WE_PHASE_PREFILL; phase <= WE_PHASE_DECODE; phase++)
        for (uint32_t i = next_isa(shape, 0); i < num_isas; i = next_isa(shape, i + 1))
            f->expected[phase][i] = baseline(&f->network, isas[i]->name, f->tokens, count, phase);
    for (uint32_t i = 0; precision == WE_PRECISION_EXACT && i < num_isas; i = next_isa(shape, i + 1))
        assert_rows(&f->network, f->expected[WE_PHASE_DECODE][i], f->expected[WE_PHASE_PREFILL][i], 0, count,
                    "both phases are one");
}

static void fixture_free(struct fixture *f)
{
    for (uint32_t i = 0; i < num_isas; i++)
        free(f->expected[0][i]), free(f->expected[1][i]);
    test_network_free(&f->network);
}

/* Pieces of a sequence one after the other; `sizes` is ended by 0 and its last one repeats. */
static void check_pieces(struct fixture *f, uint32_t isa, uint32_t threads, const uint32_t *sizes, enum we_phase phase,
                         uint64_t seed, const char *what)
{
    struct machine m;
    struct sequence s;
    machine_open(&m, &f->network, isas[isa]->name, threads, seed);
    sequence_open(&m, &s, f->count);
    for (uint32_t at = 0; at < f->count;) {
        uint32_t count = *sizes < f->count - at ? *sizes : f->count - at;
        const float *logits = run(&m, &(struct part){&s, f->tokens + at, count, count, phase}, 1);
        assert_rows(&f->network, logits, f->expected[phase][isa], at, count, what);
        at += count;
        sizes += sizes[1] ? 1 : 0;
    }
    machine_close(&m);
}

static void test_same_in_pieces(void **state)
{
    (void)state;
    static const uint32_t all[] = {1200, 0}, pages[] = {64, 0}, mixed[] = {128, 64, 320, 64, 0}, odd[] = {1, 70, 3, 5, 130, 0};
    static const uint32_t single[] = {1, 0}, pairs[] = {100, 2, 0}, fives[] = {64, 5, 0};
    for (int shape = 0; shape < NUM_SHAPES; shape++) {
        if (!next_case())
            continue;
        struct fixture f;
        fixture_make(&f, shape, 300);
        for (uint32_t i = next_isa(f.shape, 0); i < num_isas; i = next_isa(f.shape, i + 1)) {
            check_pieces(&f, i, 2, all, WE_PHASE_PREFILL, 3, "two threads, pages shuffled");
            check_pieces(&f, i, 3, all, WE_PHASE_PREFILL, 4, "three threads");
            check_pieces(&f, i, 2, pages, WE_PHASE_PREFILL, 5, "chunks of a page");
            check_pieces(&f, i, 3, mixed, WE_PHASE_PREFILL, 6, "chunks of pages");
            check_pieces(&f, i, 1, odd, WE_PHASE_PREFILL, 7, "chunks of any size");
            check_pieces(&f, i, 2, single, WE_PHASE_DECODE, 8, "token by token");
            check_pieces(&f, i, 3, pairs, WE_PHASE_DECODE, 9, "two rows a step");
            check_pieces(&f, i, 2, fives, WE_PHASE_DECODE, 10, "five rows a step");
        }
        fixture_free(&f);
    }
}

/* Longer than two chunks of attention. */
static void test_long(void **state)
{
    (void)state;
    static const uint32_t pages[] = {576, 64, 0}, most[] = {1090, 1, 0};
    struct fixture f;
    fixture_make(&f, 0, 1100);
    double *expected = malloc(sizeof *expected * 1100 * f.network.decoder.vocab_size), errors = 0, squares = 0;
    test_network_logits(&f.network, f.tokens, 1100, WE_ROPE_SHORT, expected);
    for (size_t i = 0; i < (size_t)1100 * f.network.decoder.vocab_size; i++) {
        errors += (f.expected[0][0][i] - expected[i]) * (f.expected[0][0][i] - expected[i]);
        squares += expected[i] * expected[i];
    }
    assert_true(sqrt(errors / squares) <= (precision == WE_PRECISION_FAST ? 2e-2 : 2e-6));
    free(expected);
    for (uint32_t i = next_isa(f.shape, 0); i < num_isas; i = next_isa(f.shape, i + 1)) {
        check_pieces(&f, i, 2, pages, WE_PHASE_PREFILL, 3, "long, in chunks");
        check_pieces(&f, i, 3, most, WE_PHASE_DECODE, 3, "long, token by token at the end");
    }
    fixture_free(&f);
}

/* Only the last row's logits: the others do not go through the last layer. */
static void test_pruned(void **state)
{
    (void)state;
    for (int shape = 0; shape < NUM_SHAPES; shape++) {
        if (!next_case())
            continue;
        struct fixture f;
        fixture_make(&f, shape, 150);
        for (uint32_t i = next_isa(f.shape, 0); i < num_isas; i = next_isa(f.shape, i + 1))
            for (uint32_t rows = 0; rows <= 7; rows++) {
                struct machine m;
                struct sequence s, t;
                machine_open(&m, &f.network, isas[i]->name, 2, 3 + rows);
                sequence_open(&m, &s, f.count);
                sequence_open(&m, &t, f.count);
                struct part parts[] = {{&s, f.tokens, 128, rows, WE_PHASE_PREFILL}, {&t, f.tokens, 3, rows > 3 ? 3 : rows, WE_PHASE_PREFILL}};
                const float *logits = run(&m, parts, 2);
                assert_rows(&f.network, logits, f.expected[WE_PHASE_PREFILL][i], 128 - rows, rows, "last rows");
                assert_rows(&f.network, logits + (size_t)rows * f.network.decoder.vocab_size, f.expected[WE_PHASE_PREFILL][i],
                            3 - (rows > 3 ? 3 : rows), rows > 3 ? 3 : rows, "last rows of the second");
                logits = run(&m, &(struct part){&s, f.tokens + 128, 22, 1, WE_PHASE_PREFILL}, 1);
                assert_rows(&f.network, logits, f.expected[WE_PHASE_PREFILL][i], 149, 1, "after rows without logits");
                machine_close(&m);
            }
        fixture_free(&f);
    }
}

/* Decode and prefill of others in the same batch. */
static const uint32_t mixed_steps[] = {64, 1, 1, 63, 1};
enum { MIXED_STEPS = sizeof mixed_steps / sizeof *mixed_steps, MIXED = 130 };

static enum we_phase mixed_phase(int step)
{
    return mixed_steps[step] == 1 ? WE_PHASE_DECODE : WE_PHASE_PREFILL;
}

/* Those steps alone, by one thread. */
static float *mixed_alone(struct test_network *n, const char *isa, const uint32_t *tokens)
{
    struct machine m;
    struct sequence s;
    const size_t row = n->decoder.vocab_size * sizeof(float);
    float *logits = malloc(MIXED * row);
    machine_open(&m, n, isa, 1, 0);
    sequence_open(&m, &s, MIXED);
    for (int step = 0; step < MIXED_STEPS; step++) {
        const uint32_t at = s.length, count = mixed_steps[step];
        memcpy((uint8_t *)logits + at * row, run(&m, &(struct part){&s, tokens + at, count, count, mixed_phase(step)}, 1),
               count * row);
    }
    machine_close(&m);
    return logits;
}

static void check_company(struct fixture *f, const char *isa, const float *expected, uint32_t company, const uint32_t *other)
{
    struct machine m;
    struct sequence s, o[MAX_SPANS];
    machine_open(&m, &f->network, isa, 2, 3 + company);
    sequence_open(&m, &s, f->count);
    for (uint32_t j = 0; j < company; j++)
        sequence_open(&m, &o[j], 200);
    for (int step = 0; step < MIXED_STEPS; step++) {
        struct part parts[MAX_SPANS];
        const enum we_phase others = step % 2 ? WE_PHASE_PREFILL : WE_PHASE_DECODE;
        const uint32_t at = s.length, count = mixed_steps[step];
        uint32_t place = (uint32_t)step % (company + 1), before = 0;
        if (precision == WE_PRECISION_FAST && others != mixed_phase(step)) /* spans of a phase stand together */
            place = step % 3 ? company : 0;
        for (uint32_t j = 0, k = 0; j <= company; j++)
            if (j == place)
                parts[j] = (struct part){&s, f->tokens + at, count, count, mixed_phase(step)};
            else
                parts[j] = (struct part){&o[k], other + k, 1 + (k * 7 + (uint32_t)step) % 40, k % 2, others}, k++;
        for (uint32_t j = 0; j < place; j++)
            before += parts[j].logit_rows;
        const float *logits = run(&m, parts, company + 1) + (size_t)before * f->network.decoder.vocab_size;
        assert_rows(&f->network, logits, expected, at, count, "in company");
    }
    machine_close(&m);
}

static void test_company(void **state)
{
    (void)state;
    for (int shape = 0; shape < NUM_SHAPES; shape++) {
        if (!next_case())
            continue;
        struct fixture f;
        fixture_make(&f, shape, MIXED);
        uint32_t other[400];
        random_tokens(&f.network, other, 400, 99);
        for (uint32_t i = next_isa(f.shape, 0); i < num_isas; i = next_isa(f.shape, i + 1)) {
            float *expected = mixed_alone(&f.network, isas[i]->name, f.tokens);
            for (uint32_t company = 1; company < MAX_SPANS; company += 3)
                check_company(&f, isas[i]->name, expected, company, other);
            free(expected);
        }
        fixture_free(&f);
    }
}

static void test_roll_back(void **state)
{
    (void)state;
    for (int shape = 0; shape < NUM_SHAPES; shape++) {
        if (!next_case())
            continue;
        struct fixture f;
        fixture_make(&f, shape, 150);
        uint32_t other[100];
        random_tokens(&f.network, other, 100, 98);
        for (uint32_t i = next_isa(f.shape, 0); i < num_isas; i = next_isa(f.shape, i + 1)) {
            struct machine m;
            struct sequence s;
            machine_open(&m, &f.network, isas[i]->name, 2, 3);
            sequence_open(&m, &s, 200);
            run(&m, &(struct part){&s, f.tokens, 90, 1, WE_PHASE_PREFILL}, 1);
            const we_slot slot = s.slot; /* states are not rolled back: the one at 90 is kept */
            s.next_slot = 0;
            run(&m, &(struct part){&s, other, 100, 1, WE_PHASE_PREFILL}, 1);
            s.length = 90;
            s.slot = slot;
            const float *logits = run(&m, &(struct part){&s, f.tokens + 90, 60, 60, WE_PHASE_PREFILL}, 1);
            assert_rows(&f.network, logits, f.expected[WE_PHASE_PREFILL][i], 90, 60, "rolled back");
            machine_close(&m);
        }
        fixture_free(&f);
    }
}

/* States saved on the way, after any number of rows, and taken up by others; the batch that takes one up leaves it as it was.
 */
static void test_saved_states(void **state)
{
    (void)state;
    enum { COUNT = 150 };
    static const uint32_t cuts[] = {1, 2, 63, 64, 100};
    for (int shape = DELTA_SHAPE; shape < NUM_SHAPES; shape++) {
        struct fixture f;
        fixture_make(&f, shape, COUNT);
        const size_t vocab = f.network.decoder.vocab_size;
        for (uint32_t i = next_isa(f.shape, 0); i < num_isas; i = next_isa(f.shape, i + 1))
            for (size_t c = 0; c < sizeof cuts / sizeof *cuts; c++) {
                struct machine m;
                struct sequence s, t, u;
                const uint32_t cut = cuts[c], rest = COUNT - cut;
                const enum we_phase phase = c % 2 ? WE_PHASE_DECODE : WE_PHASE_PREFILL;
                machine_open(&m, &f.network, isas[i]->name, 2, 3);
                sequence_open(&m, &s, COUNT);
                run(&m, &(struct part){&s, f.tokens, cut, 0, phase, cut, 0}, 1);
                t = u = s; /* t goes on from what was saved at the end, u from what s saves on its way */
                t.slot = 0, t.next_slot = 1;
                const float *logits = run(&m, &(struct part){&s, f.tokens + cut, rest, rest, phase, rest / 2, 2}, 1);
                assert_rows(&f.network, logits, f.expected[phase][i], cut, rest, "while states are saved");
                logits = run(&m, &(struct part){&t, f.tokens + cut, rest, rest, phase}, 1);
                assert_rows(&f.network, logits, f.expected[phase][i], cut, rest, "from a saved state");
                u.length = cut + rest / 2, u.slot = 2, u.next_slot = 3;
                logits = run(&m, &(struct part){&u, f.tokens + u.length, COUNT - u.length, 1, phase}, 1);
                assert_memory_equal(logits, f.expected[phase][i] + (COUNT - 1) * vocab, vocab * sizeof *logits);
                t.length = cut, t.slot = 0, t.next_slot = 1;
                logits = run(&m, &(struct part){&t, f.tokens + cut, rest, rest, phase}, 1);
                assert_rows(&f.network, logits, f.expected[phase][i], cut, rest, "from it once more");
                machine_close(&m);
            }
        fixture_free(&f);
    }
}

static void test_wrong_slots(void **state)
{
    (void)state;
    struct test_network n;
    test_network_make(&n, &shapes[DELTA_SHAPE], 1);
    struct machine m;
    struct sequence s;
    machine_open(&m, &n, NULL, 2, 0);
    sequence_open(&m, &s, 64);
    const uint32_t tokens[3] = {1, 2, 3};
    const struct we_span good = {.num_rows = 3, .page_tables = s.tables, .state_in = WE_NO_SLOT, .state_out = 4};
    const struct we_span spans[] = {{.state_out = MAX_SLOTS},
                                    {.position = 3, .state_in = WE_NO_SLOT, .state_out = 4},
                                    {.state_out = 4, .save_rows = 4, .save_slot = 5},
                                    {.state_out = 4, .save_rows = 2, .save_slot = 4},
                                    {.state_out = 4, .save_rows = 2, .save_slot = MAX_SLOTS},
                                    {.position = 3, .state_in = 5, .state_out = 4, .save_rows = 2, .save_slot = 5}};
    struct we_error error;
    uint64_t ticket;
    struct we_batch_result result;
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
        struct we_span span = spans[i];
        span.num_rows = 3, span.page_tables = s.tables;
        error = (struct we_error){0};
        assert_int_equal(we_backend_cpu.submit(m.executor, &(struct we_batch){tokens, 3, &span, 1}, &ticket, &error),
                         WE_INVALID_ARGUMENT);
        assert_non_null(strstr(error.message, "slot"));
    }
    assert_int_equal(we_backend_cpu.submit(m.executor, &(struct we_batch){tokens, 3, &good, 1}, &ticket, &error), WE_OK);
    assert_true(we_backend_cpu.poll(m.executor, &result));
    machine_close(&m);
    test_network_free(&n);
}

/* A full page that two sequences share, a copy of a page that is not full, and pages that a window has left behind. */
static void test_pages(void **state)
{
    (void)state;
    struct fixture f;
    fixture_make(&f, 1, 200); /* window 20 in group 1 */
    for (uint32_t i = next_isa(f.shape, 0); i < num_isas; i = next_isa(f.shape, i + 1)) {
        struct machine m;
        struct sequence s, t;
        machine_open(&m, &f.network, isas[i]->name, 2, 3);
        assert_int_equal(m.layout.num_groups, 2);
        sequence_open(&m, &s, 200);
        sequence_open(&m, &t, 200);
        run(&m, &(struct part){&s, f.tokens, 100, 0, WE_PHASE_PREFILL}, 1);
        struct we_error error;
        for (uint32_t g = 0; g < 2; g++) {
            assert_int_equal(we_backend_cpu.copy_page(m.executor, g, s.pages[g][1], t.pages[g][1], &error), WE_OK);
            t.pages[g][0] = s.pages[g][0];
        }
        uint32_t windowed = m.layout.groups[0].window ? 0 : 1;
        s.pages[windowed][0] = t.pages[windowed][0] = WE_NO_PAGE; /* positions to 63; 100 - 20 + 1 is the first seen */
        t.length = 100;
        struct part parts[] = {{&s, f.tokens + 100, 60, 60, WE_PHASE_PREFILL}, {&t, f.tokens + 100, 60, 60, WE_PHASE_PREFILL}};
        const float *logits = run(&m, parts, 2);
        assert_rows(&f.network, logits, f.expected[WE_PHASE_PREFILL][i], 100, 60, "first of two with a common page");
        assert_rows(&f.network, logits + 60 * (size_t)f.network.decoder.vocab_size, f.expected[WE_PHASE_PREFILL][i], 100, 60, "second of two");
        machine_close(&m);
    }
    fixture_free(&f);
}

static void test_wrong_batches(void **state)
{
    (void)state;
    struct test_network n;
    test_network_make(&n, &shapes[0], 1);
    struct machine m;
    struct sequence s;
    machine_open(&m, &n, NULL, 2, 0);
    sequence_open(&m, &s, 64);
    uint32_t tokens[65] = {1, 2, 3};
    const struct we_span good = {.num_rows = 3, .page_tables = s.tables, .num_logit_rows = 1};
    struct we_error error;
    uint64_t ticket;
    struct we_batch_result result;
    assert_false(we_backend_cpu.poll(m.executor, &result));
#define REFUSED(rows, changes) \
    do { \
        struct we_span span = good; \
        changes; \
        error = (struct we_error){0}; \
        assert_int_equal(we_backend_cpu.submit(m.executor, &(struct we_batch){tokens, rows, &span, 1}, &ticket, &error), \
                         WE_INVALID_ARGUMENT); \
        assert_int_equal(error.status, WE_INVALID_ARGUMENT); \
        assert_true(error.message[0] != '\0'); \
    } while (0)
    REFUSED(0, span.num_rows = 0);
    REFUSED(4, (void)span);
    REFUSED(2, (void)span);
    REFUSED(3, span.first_row = 1);
    REFUSED(3, span.num_logit_rows = 4);
    REFUSED(3, span.position = 62);          /* beyond the pages it has */
    REFUSED(3, span.position = UINT32_MAX - 1);
    REFUSED(3, span.page_tables = NULL);
    REFUSED(3, span.rope_mode = 2);
    REFUSED(3, tokens[1] = n.decoder.vocab_size);
    tokens[1] = 2;
    struct we_batch batch = {tokens, 3, &good, 1};
    assert_int_equal(we_backend_cpu.submit(m.executor, &batch, &ticket, &error), WE_OK);
    assert_int_equal(we_backend_cpu.submit(m.executor, &batch, &ticket, &error), WE_INVALID_ARGUMENT);
    assert_true(we_backend_cpu.poll(m.executor, &result));
    assert_false(we_backend_cpu.poll(m.executor, &result));
    assert_int_equal(we_backend_cpu.copy_page(m.executor, 0, 0, MAX_PAGES, &error), WE_INVALID_ARGUMENT);
    assert_int_equal(we_backend_cpu.copy_page(m.executor, 7, 0, 1, &error), WE_INVALID_ARGUMENT);
    machine_close(&m);
    test_network_free(&n);
}

static void test_wrong_options(void **state)
{
    (void)state;
    struct test_network n;
    test_network_make(&n, &shapes[0], 1);
    struct we_arena arena = {0};
    struct we_kv_layout layout;
    struct we_error error;
    assert_int_equal(we_kv_layout_derive(&n.decoder, WE_F32, &arena, &layout, &error), WE_OK);
    uint32_t pages[2] = {4, 4};
    const struct we_load_options good = {.decoder = &n.decoder, .layout = &layout, .num_pages = pages, .max_rows = 8,
                                         .max_spans = 2, .max_logit_rows = 8, .threads = 1};
    uint64_t bytes;
    struct we_executor *executor;
#define REFUSED_OPTIONS(expected, changes) \
    do { \
        struct we_load_options options = good; \
        struct we_kv_layout other = layout; \
        options.layout = &other; \
        changes; \
        assert_int_equal(we_backend_cpu.estimate(&options, &bytes, &error), expected); \
        assert_int_equal(we_backend_cpu.load(&options, &executor, &error), expected); \
        assert_null(executor); \
        assert_int_equal(error.status, expected); \
    } while (0)
    REFUSED_OPTIONS(WE_INVALID_ARGUMENT, options.isa = "pdp11");
    REFUSED_OPTIONS(WE_UNSUPPORTED, other.dtype = WE_F16);
    REFUSED_OPTIONS(WE_INVALID_ARGUMENT, options.max_rows = 0);
    REFUSED_OPTIONS(WE_INVALID_ARGUMENT, options.max_logit_rows = 9);
    REFUSED_OPTIONS(WE_INVALID_ARGUMENT, options.threads = 5000);
    struct we_decoder decoder = n.decoder;
    REFUSED_OPTIONS(WE_UNSUPPORTED, decoder.lm_head.mode = WE_QUANT_NVFP4; options.decoder = &decoder);
    decoder = n.decoder;
    REFUSED_OPTIONS(WE_INVALID_FORMAT, decoder.lm_head.rows--; options.decoder = &decoder);

    uint32_t many[2] = {1u << 31, 1u << 31};
    struct we_load_options options = good;
    options.num_pages = many;
    assert_int_equal(we_backend_cpu.estimate(&options, &bytes, &error), WE_OK);
    assert_true(bytes > (uint64_t)1 << 40);
    assert_int_equal(we_backend_cpu.estimate(&good, &bytes, &error), WE_OK);
    assert_true(bytes > 4 * we_kv_page_bytes(&layout, 0) && bytes < 100u << 20);
    struct we_device_info info;
    assert_true(we_backend_cpu.probe(&good, &info));
    assert_non_null(strstr(info.name, "1 thread"));
    we_arena_free(&arena);
    test_network_free(&n);
}

static int exact(void **state)
{
    (void)state;
    precision = WE_PRECISION_EXACT;
    return 0;
}

static int fast(void **state)
{
    (void)state;
    precision = WE_PRECISION_FAST;
    return 0;
}

#define BOTH(test) {#test ", exact", test, exact, NULL, NULL}, {#test ", fast", test, fast, NULL, NULL}

int main(void)
{
    num_isas = we_cpu_kernels_list(isas);
    const struct CMUnitTest tests[] = {
        BOTH(test_logits),
        BOTH(test_same_in_pieces),
        BOTH(test_long),
        BOTH(test_pruned),
        BOTH(test_company),
        BOTH(test_roll_back),
        BOTH(test_saved_states),
        cmocka_unit_test_setup(test_wrong_slots, exact),
        BOTH(test_pages),
        cmocka_unit_test_setup(test_wrong_batches, exact),
        cmocka_unit_test_setup(test_wrong_options, exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
