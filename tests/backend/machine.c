#include "machine.h"

#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum we_precision precision;

void machine_open(struct machine *m, struct test_network *network, const char *isa, uint32_t threads, uint64_t seed)
{
    *m = (struct machine){.network = network, .num_pages = {MAX_PAGES, MAX_PAGES}, .seed = seed};
    struct we_error error = {0};
    assert_int_equal(we_kv_layout_derive(&network->decoder, precision == WE_PRECISION_FAST ? WE_BF16 : WE_F32,
                                         &m->arena, &m->layout, &error), WE_OK);
    struct we_load_options options = {.decoder = &network->decoder,
                                      .layout = &m->layout,
                                      .num_pages = m->num_pages,
                                      .num_slots = MAX_SLOTS,
                                      .max_rows = 1200,
                                      .max_spans = MAX_SPANS,
                                      .max_logit_rows = 1200,
                                      .threads = threads,
                                      .isa = isa,
                                      .precision = precision,
                                      .no_repack = threads % 2}; /* which changes no bit */
    if (we_backend_cpu.load(&options, &m->executor, &error) != WE_OK)
        fail_msg("%s", error.message);
    for (uint32_t i = 0; i < MAX_PAGES; i++)
        m->order[i] = i;
    for (uint32_t i = MAX_PAGES - 1; seed && i > 0; i--) {
        uint32_t j = random_u32(&m->seed) % (i + 1);
        we_page swap = m->order[i];
        m->order[i] = m->order[j], m->order[j] = swap;
    }
    for (uint32_t g = 0; seed && g < m->layout.num_groups; g++)
        memset(m->executor->pages[g], 0xFF, MAX_PAGES * we_kv_page_bytes(&m->layout, g)); /* NaN */
    if (seed)
        memset(m->executor->slots, 0xFF, MAX_SLOTS * m->executor->plan.slot_floats * sizeof(float));
}

void machine_close(struct machine *m)
{
    we_backend_cpu.unload(m->executor);
    we_arena_free(&m->arena);
}

void sequence_open(struct machine *m, struct sequence *s, uint32_t positions)
{
    assert_true(m->used_slots < MAX_SLOTS);
    s->length = 0;
    s->slot = s->next_slot = MAX_SLOTS - 1 - m->used_slots++;
    for (uint32_t g = 0; g < 2; g++) {
        for (uint32_t i = 0; i < MAX_PAGES; i++)
            s->pages[g][i] = WE_NO_PAGE;
        s->tables[g] = s->pages[g];
    }
    for (uint32_t i = 0; i * WE_PAGE_POSITIONS < positions; i++, m->used++) {
        assert_true(m->used < MAX_PAGES);
        s->pages[0][i] = m->order[m->used];
        s->pages[1][i] = m->order[MAX_PAGES - 1 - m->used]; /* groups count their pages each for itself */
    }
}

const float *run_mode(struct machine *m, const struct part *parts, uint32_t count, enum we_rope_mode mode)
{
    uint32_t tokens[2000], rows = 0, kept = 0;
    struct we_span spans[MAX_SPANS];
    for (uint32_t i = 0; i < count; i++) {
        spans[i] = (struct we_span){.first_row = rows,
                                    .num_rows = parts[i].count,
                                    .position = parts[i].sequence->length,
                                    .page_tables = parts[i].sequence->tables,
                                    .phase = parts[i].phase,
                                    .rope_mode = mode,
                                    .num_logit_rows = parts[i].logit_rows,
                                    .state_in = parts[i].sequence->slot,
                                    .state_out = parts[i].sequence->next_slot,
                                    .save_rows = parts[i].save_rows,
                                    .save_slot = parts[i].save_slot};
        memcpy(tokens + rows, parts[i].tokens, parts[i].count * sizeof *tokens);
        parts[i].sequence->length += parts[i].count;
        parts[i].sequence->slot = parts[i].sequence->next_slot;
        rows += parts[i].count;
        kept += parts[i].logit_rows;
    }
    struct we_batch batch = {tokens, rows, spans, count};
    struct we_error error = {0};
    uint64_t ticket = 0;
    struct we_cpu_team *team = &m->executor->team; /* which changes no bit either */
    team->active = team->kept = 1 + random_u32(&m->seed) % team->most;
    if (we_backend_cpu.submit(m->executor, &batch, &ticket, &error) != WE_OK)
        fail_msg("%s", error.message);
    struct we_batch_result result;
    assert_true(we_backend_cpu.poll(m->executor, &result));
    assert_int_equal(result.num_logit_rows, kept);
    assert_true(result.ticket == ticket && result.status == WE_OK);
    return result.logits;
}

const float *run(struct machine *m, const struct part *parts, uint32_t count)
{
    return run_mode(m, parts, count, WE_ROPE_SHORT);
}

float *baseline(struct test_network *n, const char *isa, const uint32_t *tokens, uint32_t count, enum we_phase phase)
{
    struct machine m;
    struct sequence s;
    machine_open(&m, n, isa, 1, 0);
    sequence_open(&m, &s, count);
    const size_t row = n->decoder.vocab_size * sizeof(float);
    const uint32_t step = phase == WE_PHASE_PREFILL ? count : 1;
    float *logits = malloc(count * row);
    for (uint32_t i = 0; i < count; i += step)
        memcpy((uint8_t *)logits + i * row, run(&m, &(struct part){&s, tokens + i, step, step, phase}, 1), step * row);
    machine_close(&m);
    return logits;
}

void assert_rows(const struct test_network *n, const float *found, const float *expected, uint32_t first, uint32_t count,
                        const char *what)
{
    size_t vocab = n->decoder.vocab_size;
    for (uint32_t i = 0; i < count; i++)
        if (memcmp(found + i * vocab, expected + (first + i) * vocab, vocab * sizeof *found) != 0)
            fail_msg("%s: position %u differs (%.9g, not %.9g)", what, first + i, found[i * vocab],
                     expected[(first + i) * vocab]);
}
