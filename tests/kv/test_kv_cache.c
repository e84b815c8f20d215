/* Pages and their index: random sequences against a plain model of what must hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kv/prefix.h"

enum { P = WE_PAGE_POSITIONS };

static const struct we_kv_group groups[2] = {{.window = 0, .num_entries = 1, .page_values = 64},
                                             {.window = 100, .num_entries = 1, .page_values = 64}};
static const struct we_kv_layout layout = {.groups = groups, .num_groups = 2, .dtype = WE_F32};

static uint64_t random_state = 1;

static uint32_t random_below(uint32_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % n;
}

static void open_cache(struct we_kv_cache *cache, uint32_t pages)
{
    uint32_t num_pages[2] = {pages, pages};
    assert_int_equal(we_kv_cache_init(cache, &layout, num_pages, 0, NULL), WE_OK);
}

static void fill(uint32_t *tokens, uint32_t n, uint32_t seed)
{
    for (uint32_t i = 0; i < n; i++)
        tokens[i] = seed * 1000 + i % 7;
}

static void shares_a_beginning(void **state)
{
    (void)state;
    struct we_kv_cache cache;
    struct we_page_table a, b;
    uint32_t tokens[4 * P];
    open_cache(&cache, 8);
    fill(tokens, 4 * P, 1);
    assert_int_equal(we_page_table_init(&a, &cache, 8, NULL), WE_OK);
    assert_int_equal(we_page_table_init(&b, &cache, 8, NULL), WE_OK);
    assert_int_equal(we_kv_cache_match(&cache, 0, tokens, 4 * P, &a), 0);
    assert_int_equal(we_kv_cache_extend(&cache, &a, 3 * P + 1, NULL), WE_OK);
    assert_int_equal(a.num_pages, 4);
    we_kv_cache_index(&cache, 0, tokens, 3 * P + 1, WE_STATE_OF_PROMPT, &a);
    assert_int_equal(cache.num_nodes, 3);

    /* At most num_tokens - 1 positions, in whole pages. */
    assert_int_equal(we_kv_cache_match(&cache, 0, tokens, 3 * P, &b), 2 * P);
    assert_int_equal(b.pages[0][1], a.pages[0][1]);
    assert_int_equal(b.pages[1][0], a.pages[1][0]);
    we_page_table_clear(&b, &cache);
    assert_int_equal(we_kv_cache_match(&cache, 0, tokens, 3 * P + 1, &b), 3 * P);
    we_page_table_clear(&b, &cache);

    /* Another salt, and another token on the second page. */
    assert_int_equal(we_kv_cache_match(&cache, 1, tokens, 4 * P, &b), 0);
    tokens[P + 5]++;
    assert_int_equal(we_kv_cache_match(&cache, 0, tokens, 4 * P, &b), P);
    we_page_table_free(&a, &cache);
    we_page_table_free(&b, &cache);
    we_kv_cache_free(&cache);
}

static void evicts_the_longest_unused(void **state)
{
    (void)state;
    struct we_kv_cache cache;
    struct we_page_table table;
    uint32_t one[2 * P + 1], two[2 * P + 1], three[3 * P];
    open_cache(&cache, 5);
    fill(one, 2 * P + 1, 1);
    fill(two, 2 * P + 1, 2);
    fill(three, 3 * P, 3);
    assert_int_equal(we_page_table_init(&table, &cache, 5, NULL), WE_OK);
    uint32_t *const sequences[] = {one, two};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(we_kv_cache_extend(&cache, &table, 2 * P, NULL), WE_OK);
        we_kv_cache_index(&cache, 0, sequences[i], 2 * P, WE_STATE_OF_PROMPT, &table);
        we_page_table_clear(&table, &cache);
    }
    assert_int_equal(we_kv_cache_match(&cache, 0, one, 2 * P + 1, &table), 2 * P); /* `one` is now the younger */
    we_page_table_clear(&table, &cache);
    /* Three pages: the free one, and both of `two`; the leaf goes before its parent. */
    assert_int_equal(we_kv_cache_extend(&cache, &table, 3 * P, NULL), WE_OK);
    we_kv_cache_index(&cache, 0, three, 3 * P, WE_STATE_OF_PROMPT, &table);
    we_page_table_clear(&table, &cache);
    assert_int_equal(we_kv_cache_match(&cache, 0, two, 2 * P + 1, &table), 0);
    assert_int_equal(we_kv_cache_match(&cache, 0, one, 2 * P + 1, &table), 2 * P);
    we_page_table_free(&table, &cache);
    we_kv_cache_free(&cache);
}

static void tells_when_all_pages_are_used(void **state)
{
    (void)state;
    struct we_kv_cache cache;
    struct we_page_table a, b;
    struct we_error error;
    open_cache(&cache, 3);
    assert_int_equal(we_page_table_init(&a, &cache, 3, NULL), WE_OK);
    assert_int_equal(we_page_table_init(&b, &cache, 3, NULL), WE_OK);
    assert_int_equal(we_kv_cache_extend(&cache, &a, 2 * P, NULL), WE_OK);
    assert_int_equal(we_kv_cache_extend(&cache, &b, 2 * P, &error), WE_OUT_OF_MEMORY);
    assert_int_equal(b.num_pages, 1);
    we_page_table_clear(&a, &cache);
    assert_int_equal(we_kv_cache_extend(&cache, &b, 3 * P, NULL), WE_OK);
    we_page_table_free(&a, &cache);
    we_page_table_free(&b, &cache);
    assert_int_equal(cache.groups[0].num_free, 3);
    assert_int_equal(cache.groups[1].num_free, 3);
    we_kv_cache_free(&cache);
}

/* What is in each page, as an executor would write it: a matched page must hold what its tokens wrote. */
static void random_sequences_find_their_own_contents(void **state)
{
    (void)state;
    enum { PAGES = 24, SEQUENCES = 4, LONGEST = 6 };
    struct we_kv_cache cache;
    struct we_page_table tables[SEQUENCES];
    uint32_t tokens[SEQUENCES][LONGEST * P], lengths[SEQUENCES] = {0}, content[2][PAGES][P];
    open_cache(&cache, PAGES);
    for (int s = 0; s < SEQUENCES; s++)
        assert_int_equal(we_page_table_init(&tables[s], &cache, LONGEST, NULL), WE_OK);
    uint64_t hits = 0;
    for (int round = 0; round < 20000; round++) {
        uint32_t s = random_below(SEQUENCES);
        if (lengths[s] == 0) {
            /* Few different pages, so that beginnings often agree. */
            uint32_t n = 1 + random_below(LONGEST * P - 1);
            for (uint32_t i = 0; i < n; i += P) {
                uint32_t kind = random_below(3);
                for (uint32_t j = i; j < i + P && j < n; j++)
                    tokens[s][j] = kind * 100 + j % 5;
            }
            uint32_t cached = we_kv_cache_match(&cache, s % 2, tokens[s], n, &tables[s]);
            assert_true(cached < n && cached % P == 0);
            hits += cached;
            for (uint32_t p = 0; p < cached; p++)
                for (int g = 0; g < 2; g++)
                    assert_int_equal(content[g][tables[s].pages[g][p / P]][p % P], tokens[s][p] + 10000 * (s % 2));
            assert_int_equal(we_kv_cache_extend(&cache, &tables[s], n, NULL), WE_OK);
            for (uint32_t p = cached; p < n; p++)
                for (int g = 0; g < 2; g++)
                    content[g][tables[s].pages[g][p / P]][p % P] = tokens[s][p] + 10000 * (s % 2);
            lengths[s] = n;
            we_kv_cache_index(&cache, s % 2, tokens[s], n, WE_STATE_OF_PROMPT, &tables[s]);
        } else {
            for (uint32_t p = 0; p < lengths[s]; p++) /* nobody wrote into them */
                assert_int_equal(content[0][tables[s].pages[0][p / P]][p % P], tokens[s][p] + 10000 * (s % 2));
            we_page_table_clear(&tables[s], &cache);
            lengths[s] = 0;
        }
    }
    assert_true(hits > 0);
    for (int s = 0; s < SEQUENCES; s++)
        we_page_table_free(&tables[s], &cache);
    we_kv_cache_clear(&cache);
    assert_int_equal(cache.num_nodes, 0);
    assert_int_equal(cache.groups[0].num_free, PAGES);
    assert_int_equal(cache.groups[1].num_free, PAGES);
    we_kv_cache_free(&cache);
}

/* ---- states in slots ---- */

static const struct we_kv_layout with_states = {.groups = groups, .num_groups = 1, .dtype = WE_F32, .slot_values = 10};

static void open_states(struct we_kv_cache *cache, uint32_t pages, uint32_t slots)
{
    assert_int_equal(we_kv_cache_init(cache, &with_states, &pages, slots, NULL), WE_OK);
}

/* What a state is made of: the tokens so far, in order. */
static uint64_t state_of(const uint32_t *tokens, uint32_t n)
{
    uint64_t state = 0;
    for (uint32_t i = 0; i < n; i++)
        state = state * 31 + tokens[i] + 1;
    return state;
}

/* A batch of one sequence, up to `end`, which saves its state after `save` pages (0: it does not). */
static void run(struct we_kv_cache *cache, struct we_page_table *table, const uint32_t *tokens, uint32_t end, uint32_t save,
                enum we_state_kind kind)
{
    assert_int_equal(we_kv_cache_extend(cache, table, end, NULL), WE_OK);
    assert_int_equal(we_kv_cache_take_slot(cache, table, NULL), WE_OK);
    if (save)
        assert_true(we_kv_cache_take_save_slot(cache, table, save));
    we_kv_cache_index(cache, 0, tokens, end, kind, table);
}

static void keeps_some_states(void **state)
{
    (void)state;
    struct we_kv_cache cache;
    struct we_page_table a, b;
    uint32_t tokens[10 * P], others[10 * P];
    open_states(&cache, 40, 8);
    fill(tokens, 10 * P, 1);
    fill(others, 10 * P, 1);
    fill(others + 3 * P, 7 * P, 2);
    assert_int_equal(we_page_table_init(&a, &cache, 10, NULL), WE_OK);
    assert_int_equal(we_page_table_init(&b, &cache, 10, NULL), WE_OK);
    run(&cache, &a, tokens, 2 * P, 0, WE_STATE_OF_PROMPT);
    run(&cache, &a, tokens, 4 * P, 0, WE_STATE_OF_PROMPT);
    run(&cache, &a, tokens, 6 * P + 9, 6, WE_STATE_OF_PROMPT);
    /* Pages of all, states of the last chunk and of the end of the prompt. */
    assert_int_equal(we_kv_cache_match(&cache, 0, tokens, 10 * P, &b), 6 * P);
    we_page_table_clear(&b, &cache);
    assert_int_equal(we_kv_cache_match(&cache, 0, tokens, 6 * P, &b), 4 * P);
    we_page_table_clear(&b, &cache);
    assert_int_equal(we_kv_cache_match(&cache, 0, tokens, 4 * P, &b), 0);
    assert_int_equal(b.branch_pages, 3);
    we_page_table_clear(&b, &cache);
    /* The reply goes on: its latest state, and still those of the prompt. */
    run(&cache, &a, tokens, 7 * P, 0, WE_STATE_OF_REPLY);
    run(&cache, &a, tokens, 7 * P + 1, 0, WE_STATE_OF_REPLY);
    run(&cache, &a, tokens, 8 * P, 0, WE_STATE_OF_REPLY);
    assert_int_equal(we_kv_cache_match(&cache, 0, tokens, 8 * P, &b), 6 * P);
    we_page_table_clear(&b, &cache);
    assert_int_equal(we_kv_cache_match(&cache, 0, tokens, 9 * P, &b), 8 * P);
    assert_int_equal(b.slot, a.slot);
    we_page_table_clear(&b, &cache);
    /* Another prompt leaves the first one after three pages: there its state stays, also when it goes on. */
    assert_int_equal(we_kv_cache_match(&cache, 0, others, 9 * P, &b), 0);
    assert_int_equal(b.branch_pages, 3);
    run(&cache, &b, others, 3 * P, 0, WE_STATE_OF_PROMPT);
    run(&cache, &b, others, 5 * P, 0, WE_STATE_OF_PROMPT);
    run(&cache, &b, others, 7 * P, 0, WE_STATE_OF_PROMPT);
    we_page_table_clear(&b, &cache);
    assert_int_equal(we_kv_cache_match(&cache, 0, others, 5 * P, &b), 3 * P);
    we_page_table_clear(&b, &cache);
    assert_int_equal(we_kv_cache_match(&cache, 0, tokens, 5 * P, &b), 4 * P);
    we_page_table_free(&a, &cache);
    we_page_table_free(&b, &cache);
    we_kv_cache_clear(&cache);
    assert_int_equal(cache.slots.num_free, 8);
    we_kv_cache_free(&cache);
}

/* Sequences that come, go on in batches of several, and leave, with hardly more slots than sequences: nobody lacks one, and
 * every state is that of its tokens. */
static void random_sequences_find_their_own_states(void **state)
{
    (void)state;
    enum { SEQUENCES = 4, LONGEST = 6, PAGES = 40 };
    for (uint32_t slots = SEQUENCES + 1; slots <= 3 * SEQUENCES; slots += 3) {
        struct we_kv_cache cache;
        struct we_page_table tables[SEQUENCES];
        uint32_t tokens[SEQUENCES][LONGEST * P], lengths[SEQUENCES] = {0}, done[SEQUENCES] = {0}, ends[SEQUENCES];
        uint64_t content[3 * SEQUENCES], hits = 0;
        open_states(&cache, PAGES, slots);
        for (int s = 0; s < SEQUENCES; s++)
            assert_int_equal(we_page_table_init(&tables[s], &cache, LONGEST, NULL), WE_OK);
        for (int round = 0; round < 4000; round++) {
            for (int s = 0; s < SEQUENCES; s++) {
                ends[s] = 0;
                if (lengths[s] && (done[s] == lengths[s] || random_below(20) == 0)) {
                    we_page_table_clear(&tables[s], &cache);
                    lengths[s] = 0;
                } else if (lengths[s] == 0 && random_below(3) == 0) {
                    lengths[s] = 1 + random_below(LONGEST * P - 1);
                    for (uint32_t i = 0; i < lengths[s]; i++)
                        tokens[s][i] = i % P ? 7 : random_below(3);
                    done[s] = we_kv_cache_match(&cache, 0, tokens[s], lengths[s], &tables[s]);
                    assert_true(done[s] < lengths[s] && done[s] % P == 0 && (done[s] > 0) == (tables[s].slot != WE_NO_SLOT));
                    if (done[s])
                        assert_true(content[tables[s].slot] == state_of(tokens[s], done[s]));
                    hits += done[s] > 0;
                } else if (lengths[s] && random_below(3)) {
                    const uint32_t left = lengths[s] - done[s];
                    ends[s] = random_below(2) ? done[s] + 1 + random_below(left) : done[s] + 1;
                    assert_int_equal(we_kv_cache_extend(&cache, &tables[s], ends[s], NULL), WE_OK);
                    assert_int_equal(we_kv_cache_take_slot(&cache, &tables[s], NULL), WE_OK);
                }
            }
            for (int s = 0; s < SEQUENCES; s++) /* best as it can be */
                if (ends[s] / P * P > done[s] && random_below(2))
                    we_kv_cache_take_save_slot(&cache, &tables[s], ends[s] / P);
            for (int s = 0; s < SEQUENCES; s++)
                if (ends[s]) {
                    if (done[s])
                        assert_true(content[tables[s].slot] == state_of(tokens[s], done[s]));
                    if (tables[s].save_slot != WE_NO_SLOT) {
                        assert_true(tables[s].save_slot != tables[s].slot && tables[s].save_slot != tables[s].next_slot);
                        content[tables[s].save_slot] = state_of(tokens[s], ends[s] / P * P);
                    }
                    content[tables[s].next_slot] = state_of(tokens[s], ends[s]);
                }
            for (int s = 0; s < SEQUENCES; s++)
                if (ends[s] && random_below(50) == 0) { /* its batch failed */
                    we_page_table_clear(&tables[s], &cache);
                    lengths[s] = 0;
                } else if (ends[s]) {
                    we_kv_cache_index(&cache, 0, tokens[s], ends[s], random_below(2) ? WE_STATE_OF_PROMPT : WE_STATE_OF_REPLY,
                                      &tables[s]);
                    done[s] = ends[s];
                }
        }
        assert_true(hits > 100);
        for (int s = 0; s < SEQUENCES; s++)
            we_page_table_free(&tables[s], &cache);
        we_kv_cache_clear(&cache);
        assert_int_equal(cache.slots.num_free, slots);
        assert_int_equal(cache.groups[0].num_free, PAGES);
        we_kv_cache_free(&cache);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_a_beginning),
        cmocka_unit_test(evicts_the_longest_unused),
        cmocka_unit_test(tells_when_all_pages_are_used),
        cmocka_unit_test(random_sequences_find_their_own_contents),
        cmocka_unit_test(keeps_some_states),
        cmocka_unit_test(random_sequences_find_their_own_states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
