/* What every back-end must do (src/backend/backend.h), tried on the tiny models with each back-end that there is: results
 * depend neither on how a prompt is cut at pages, nor on the company in a batch, the order of rows, the numbers of the
 * pages, what lay in them before, or the number of threads. */
#include "support.h"

#include "arch/arch.h"
#include "backend/backend.h"

#include <stdio.h>
#include <stdlib.h>

enum { NUM_PAGES = 24, MAX_ROWS = 512, MAX_SPANS = 4, MAX_LOGIT_ROWS = 192, MAX_GROUPS = 4, NUM_SLOTS = 256 };

/* A model loaded straight into an executor. */
struct rig {
    struct we_arena arena;
    struct we_safetensors *weights;
    struct we_decoder decoder;
    struct we_kv_layout layout;
    const struct we_backend *backend;
    struct we_executor *executor;
    enum we_precision precision;
    uint32_t num_pages[MAX_GROUPS];
    struct golden golden;
    uint32_t ids[MAX_ROWS]; /* a prompt of 150, made of the golden one */
};

static void load_rig(struct rig *rig, const struct we_backend *backend, const char *name, const char *isa, uint32_t threads,
                     enum we_precision precision)
{
    *rig = (struct rig){.backend = backend, .precision = precision};
    struct we_error error = {0};
    struct we_config config;
    struct we_arch_source source = {.arena = &rig->arena};
    we_status status = we_config_open(model_path(name), &rig->arena, &config, &error);
    if (status == WE_OK)
        status = we_quantization_parse(&config, &source.quantization, &error);
    if (status == WE_OK)
        status = we_safetensors_open(model_path(name), &rig->weights, &error);
    source.config = config;
    source.weights = rig->weights;
    if (status == WE_OK)
        status = we_arch_describe(&source, &rig->decoder, &error);
    if (status == WE_OK)
        status = we_kv_layout_derive(&rig->decoder, precision == WE_PRECISION_FAST ? WE_BF16 : WE_F32, &rig->arena,
                                     &rig->layout, &error);
    if (status != WE_OK)
        fail_msg("%s", error.message);
    for (uint32_t g = 0; g < MAX_GROUPS; g++)
        rig->num_pages[g] = NUM_PAGES;
    assert_true(rig->layout.num_groups <= MAX_GROUPS);
    struct we_load_options options = {.decoder = &rig->decoder,
                                      .layout = &rig->layout,
                                      .num_pages = rig->num_pages,
                                      .num_slots = NUM_SLOTS,
                                      .max_rows = MAX_ROWS,
                                      .max_spans = MAX_SPANS,
                                      .max_logit_rows = MAX_LOGIT_ROWS,
                                      .threads = threads,
                                      .isa = isa,
                                      .precision = precision};
    if (backend->load(&options, &rig->executor, &error) != WE_OK)
        fail_msg("%s", error.message);
    golden_open(name, &rig->golden);
    const struct golden_case *c = &rig->golden.cases[0];
    for (uint32_t i = 0; i < MAX_ROWS; i++)
        rig->ids[i] = c->ids[i % c->num_ids];
}

static void unload_rig(struct rig *rig)
{
    rig->backend->unload(rig->executor);
    we_safetensors_close(rig->weights);
    we_arena_free(&rig->arena);
    golden_close(&rig->golden);
}

/* A sequence's page tables: the same numbers in all groups. */
struct tables {
    we_page pages[MAX_GROUPS][NUM_PAGES];
    const we_page *groups[MAX_GROUPS];
};

/* Page i of the sequence is page (first + i * step) % NUM_PAGES. */
static void make_tables(struct tables *tables, uint32_t first, uint32_t step)
{
    for (uint32_t g = 0; g < MAX_GROUPS; g++) {
        for (uint32_t i = 0; i < NUM_PAGES; i++)
            tables->pages[g][i] = (first + i * step) % NUM_PAGES;
        tables->groups[g] = tables->pages[g];
    }
}

static struct we_span make_span(const struct tables *tables, uint32_t position, uint32_t rows, enum we_phase phase,
                                uint32_t logit_rows)
{
    return (struct we_span){
        .position = position, .num_rows = rows, .page_tables = tables->groups, .phase = phase, .num_logit_rows = logit_rows};
}

/* The state after p positions lies in slot p, for whatever sequence was there last: what these tests go back to. */
static void set_slots(struct we_span *span)
{
    const uint32_t end = span->position + span->num_rows;
    assert_true(end < NUM_SLOTS);
    span->state_in = span->position;
    span->state_out = end;
    span->save_rows = span->position % WE_PAGE_POSITIONS == 0 && span->num_rows > WE_PAGE_POSITIONS ? WE_PAGE_POSITIONS : 0;
    span->save_slot = span->position + WE_PAGE_POSITIONS;
}

/* Runs spans whose rows are `tokens`, one after the other; the logits go to `logits` (may be NULL). */
static void run_batch(struct rig *rig, const uint32_t *tokens, struct we_span *spans, uint32_t num_spans, float *logits)
{
    struct we_batch batch = {.tokens = tokens, .spans = spans, .num_spans = num_spans};
    uint32_t logit_rows = 0;
    for (uint32_t i = 0; i < num_spans; i++) {
        set_slots(&spans[i]);
        spans[i].first_row = batch.num_rows;
        batch.num_rows += spans[i].num_rows;
        logit_rows += spans[i].num_logit_rows;
    }
    struct we_error error;
    uint64_t ticket;
    if (rig->backend->submit(rig->executor, &batch, &ticket, &error) != WE_OK)
        fail_msg("%s", error.message);
    struct we_batch_result result;
    assert_true(rig->backend->poll(rig->executor, &result));
    if (result.status != WE_OK)
        fail_msg("%s", result.error.message);
    assert_int_equal(result.num_logit_rows, logit_rows);
    assert_true(result.ticket == ticket);
    if (logits && logit_rows)
        memcpy(logits, result.logits, (size_t)logit_rows * rig->decoder.vocab_size * sizeof(float));
    assert_false(rig->backend->poll(rig->executor, &result));
}

/* Prefills ids [from, to); the logits of all these rows. */
static void prefill(struct rig *rig, const struct tables *tables, const uint32_t *ids, uint32_t from, uint32_t to,
                    float *logits)
{
    struct we_span span = make_span(tables, from, to - from, WE_PHASE_PREFILL, logits ? to - from : 0);
    run_batch(rig, ids + from, &span, 1, logits);
}

static void decode(struct rig *rig, const struct tables *tables, const uint32_t *ids, uint32_t from, uint32_t to, float *logits)
{
    for (uint32_t i = from; i < to; i++) {
        struct we_span span = make_span(tables, i, 1, WE_PHASE_DECODE, 1);
        run_batch(rig, ids + i, &span, 1, logits + (size_t)(i - from) * rig->decoder.vocab_size);
    }
}

static float *rows_of(const struct rig *rig, uint32_t rows)
{
    float *logits = calloc((size_t)rows * rig->decoder.vocab_size, sizeof *logits);
    assert_non_null(logits);
    return logits;
}

/* Bit for bit. */
static void assert_same(const struct rig *rig, const char *name, const char *what, const float *found, const float *expected,
                        uint32_t rows)
{
    uint32_t vocab = rig->decoder.vocab_size;
    for (uint32_t r = 0; r < rows; r++)
        for (uint32_t v = 0; v < vocab; v++)
            if (memcmp(&found[(size_t)r * vocab + v], &expected[(size_t)r * vocab + v], sizeof(float)) != 0)
                fail_msg("%s: %s: row %u, logit %u is %.9g, where %.9g was expected", name, what, r, v,
                         (double)found[(size_t)r * vocab + v], (double)expected[(size_t)r * vocab + v]);
}

/* ---- the checks; each gets a fresh executor ---- */

static void check_chunks(struct rig *rig, const char *name)
{
    float *whole = rows_of(rig, 150), *cut = rows_of(rig, 150);
    size_t vocab = rig->decoder.vocab_size;
    struct tables tables;
    make_tables(&tables, 0, 1);
    prefill(rig, &tables, rig->ids, 0, 150, whole);
    make_tables(&tables, 5, 7);
    prefill(rig, &tables, rig->ids, 0, 64, cut);
    prefill(rig, &tables, rig->ids, 64, 128, cut + 64 * vocab);
    prefill(rig, &tables, rig->ids, 128, 150, cut + 128 * vocab);
    assert_same(rig, name, "chunks of a page", cut, whole, 150);
    make_tables(&tables, 3, 1);
    prefill(rig, &tables, rig->ids, 0, 128, cut);
    prefill(rig, &tables, rig->ids, 128, 150, cut + 128 * vocab);
    assert_same(rig, name, "chunks of two pages", cut, whole, 150);
    /* Fewer rows of logits must not change them. */
    struct we_span span = make_span(&tables, 0, 150, WE_PHASE_PREFILL, 3);
    run_batch(rig, rig->ids, &span, 1, cut);
    assert_same(rig, name, "logits of the last three rows", cut, whole + 147 * vocab, 3);
    free(whole);
    free(cut);
}

/* Token by token: each row as in prefill, within 1e-6. The two arithmetics of the fast precision differ more, and these
 * networks of random weights enlarge what differs: all rows together are judged there, the gate judges real ones. */
static void check_decode(struct rig *rig, const char *name)
{
    float *whole = rows_of(rig, 150), *steps = rows_of(rig, 150);
    size_t vocab = rig->decoder.vocab_size;
    struct tables tables;
    make_tables(&tables, 0, 1);
    prefill(rig, &tables, rig->ids, 0, 150, whole);
    make_tables(&tables, 4, 1);
    decode(rig, &tables, rig->ids, 0, 150, steps);
    for (uint32_t r = 0; r < 150; r++) {
        double error = relative_rms(steps + r * vocab, whole + r * vocab, vocab);
        if (rig->precision == WE_PRECISION_EXACT && error > 1e-6)
            fail_msg("%s: row %u, decoded, differs from prefill by %.2e (relative RMS)", name, r, error);
    }
    double error = relative_rms(steps, whole, 150 * vocab);
    if (error > 5e-2)
        fail_msg("%s: decode differs from prefill by %.2e (relative RMS)", name, error);
    /* Four decode rows at once are four single ones, bit for bit. */
    float *four = rows_of(rig, 4);
    struct we_span span = make_span(&tables, 100, 4, WE_PHASE_DECODE, 4);
    run_batch(rig, rig->ids + 100, &span, 1, four);
    assert_same(rig, name, "four decode rows at once", four, steps + 100 * vocab, 4);
    free(four);
    free(whole);
    free(steps);
}

/* Three sequences together, a prompt and two that decode, as each alone; in another order too. */
static void check_company(struct rig *rig, const char *name)
{
    size_t vocab = rig->decoder.vocab_size;
    float *alone = rows_of(rig, 72), *together = rows_of(rig, 72);
    struct tables a, b, c;
    const uint32_t *ids_a = rig->ids, *ids_b = rig->ids + 17, *ids_c = rig->ids + 31;
    make_tables(&a, 0, 3);
    make_tables(&b, 1, 3);
    make_tables(&c, 2, 3);
    prefill(rig, &a, ids_a, 0, 70, alone);
    prefill(rig, &b, ids_b, 0, 33, NULL);
    prefill(rig, &c, ids_c, 0, 129, NULL);
    decode(rig, &b, ids_b, 33, 34, alone + 70 * vocab);
    decode(rig, &c, ids_c, 129, 130, alone + 71 * vocab);
    for (int order = 0; order < 2; order++) {
        uint32_t tokens[72];
        struct we_span spans[3], prompt = make_span(&a, 0, 70, WE_PHASE_PREFILL, 70);
        make_tables(&a, 0, 3);
        uint32_t prompt_at = order ? 2 : 0, row = 0;
        for (uint32_t i = 0; i < 3; i++) {
            if (i == prompt_at) {
                spans[i] = prompt;
                memcpy(tokens + row, ids_a, 70 * sizeof *tokens);
                row += 70;
            } else if (i == (order ? 1 : 1)) {
                spans[i] = make_span(&b, 33, 1, WE_PHASE_DECODE, 1);
                tokens[row++] = ids_b[33];
            } else {
                spans[i] = make_span(&c, 129, 1, WE_PHASE_DECODE, 1);
                tokens[row++] = ids_c[129];
            }
        }
        run_batch(rig, tokens, spans, 3, together);
        if (order == 0) {
            assert_same(rig, name, "a prompt in company", together, alone, 70);
            assert_same(rig, name, "decode in company", together + 70 * vocab, alone + 70 * vocab, 2);
        } else {
            assert_same(rig, name, "a prompt in company, last", together + 2 * vocab, alone, 70);
            assert_same(rig, name, "decode in company, second", together + vocab, alone + 70 * vocab, 1);
            assert_same(rig, name, "decode in company, first", together, alone + 71 * vocab, 1);
        }
    }
    free(alone);
    free(together);
}

/* Pages that held another sequence; rolling back; pages that a window has left behind; copies of pages. */
static void check_pages(struct rig *rig, const char *name)
{
    size_t vocab = rig->decoder.vocab_size;
    float *fresh = rows_of(rig, 150), *used = rows_of(rig, 150);
    struct tables tables;
    make_tables(&tables, 0, 1);
    prefill(rig, &tables, rig->ids, 0, 150, fresh);
    /* Another sequence over the whole pool, then again. */
    prefill(rig, &tables, rig->ids + 50, 0, 192, NULL);
    make_tables(&tables, 2, 23);
    prefill(rig, &tables, rig->ids, 0, 150, used);
    assert_same(rig, name, "in used pages", used, fresh, 150);
    /* Roll back to 64 from 150, go on otherwise, roll back again. */
    prefill(rig, &tables, rig->ids + 9, 64, 140, NULL);
    prefill(rig, &tables, rig->ids, 64, 150, used);
    assert_same(rig, name, "after rolling back", used, fresh + 64 * vocab, 86);
    /* The windows' pages that no row sees any more may be gone. */
    struct tables holes;
    make_tables(&holes, 2, 23);
    for (uint32_t g = 0; g < rig->layout.num_groups; g++) {
        uint32_t window = rig->layout.groups[g].window;
        for (uint32_t p = 0; window && 64 * (p + 1) + window <= 128 + 1; p++)
            holes.pages[g][p] = WE_NO_PAGE;
    }
    prefill(rig, &holes, rig->ids, 128, 150, used);
    assert_same(rig, name, "without the pages that the window left", used, fresh + 128 * vocab, 22);
    /* A copy of the pages is as good as the pages. */
    struct tables copies;
    make_tables(&copies, 10, 1);
    struct we_error error;
    for (uint32_t g = 0; g < rig->layout.num_groups; g++)
        for (uint32_t p = 0; p < 2; p++)
            if (rig->backend->copy_page(rig->executor, g, tables.pages[g][p], copies.pages[g][p], &error) != WE_OK)
                fail_msg("%s", error.message);
    prefill(rig, &copies, rig->ids, 128, 150, used);
    assert_same(rig, name, "on copies of the pages", used, fresh + 128 * vocab, 22);
    free(fresh);
    free(used);
}

typedef void check_fn(struct rig *rig, const char *name);

static const char *const isas[] = {"generic", NULL}; /* NULL: the best one */

static const enum we_precision precisions[] = {WE_PRECISION_EXACT, WE_PRECISION_FAST};
enum { NUM_PRECISIONS = sizeof precisions / sizeof *precisions };

static void each_model(check_fn *check)
{
    for (size_t b = 0; we_backends[b]; b++)
        for (size_t i = 0; i < sizeof isas / sizeof *isas; i++)
            for (const char *const *name = model_names; *name; name++)
                for (size_t p = 0; p < NUM_PRECISIONS; p++) {
                    struct rig rig;
                    load_rig(&rig, we_backends[b], *name, isas[i], 1 + (uint32_t)i, precisions[p]);
                    check(&rig, *name);
                    unload_rig(&rig);
                }
}

static void test_chunks(void **state)
{
    (void)state;
    each_model(check_chunks);
}

static void test_decode(void **state)
{
    (void)state;
    each_model(check_decode);
}

static void test_company(void **state)
{
    (void)state;
    each_model(check_company);
}

static void test_pages(void **state)
{
    (void)state;
    each_model(check_pages);
}

static void check_threads(const struct we_backend *backend, const char *name, enum we_precision precision)
{
    float *expected = NULL;
    for (uint32_t threads = 1; threads <= 5; threads += 2) {
        struct rig rig;
        struct tables tables;
        load_rig(&rig, backend, name, NULL, threads, precision);
        float *found = rows_of(&rig, 160);
        make_tables(&tables, 0, 1);
        prefill(&rig, &tables, rig.ids, 0, 150, found);
        decode(&rig, &tables, rig.ids, 150, 160, found + (size_t)150 * rig.decoder.vocab_size);
        if (expected)
            assert_same(&rig, name, "with more threads", found, expected, 160);
        else
            expected = rows_of(&rig, 160);
        memcpy(expected, found, (size_t)160 * rig.decoder.vocab_size * sizeof *expected);
        free(found);
        unload_rig(&rig);
    }
    free(expected);
}

static void test_threads(void **state)
{
    (void)state;
    for (size_t b = 0; we_backends[b]; b++)
        for (const char *const *name = model_names; *name; name++)
            for (size_t p = 0; p < NUM_PRECISIONS; p++)
                check_threads(we_backends[b], *name, precisions[p]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chunks), cmocka_unit_test(test_decode),  cmocka_unit_test(test_company),
        cmocka_unit_test(test_pages),  cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
