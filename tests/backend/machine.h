/* An executor of the CPU back-end, its pages, and sequences in them. */
#ifndef WE_TESTS_BACKEND_MACHINE_H
#define WE_TESTS_BACKEND_MACHINE_H

#include "backend/backend.h"
#include "backend/cpu/executor.h"
#include "base/arena.h"

#include "network.h"

enum { MAX_PAGES = 64, MAX_SPANS = 12, MAX_SLOTS = 24 };

extern enum we_precision precision; /* of the machines that are opened */

struct machine {
    struct test_network *network;
    struct we_arena arena;
    struct we_kv_layout layout;
    uint32_t num_pages[4];
    struct we_executor *executor;
    uint32_t used, used_slots; /* pages and slots handed out */
    uint64_t seed;
    we_page order[MAX_PAGES];
};

struct sequence {
    we_page pages[2][MAX_PAGES];
    const we_page *tables[2];
    uint32_t length;
    we_slot slot, next_slot; /* of its state: now, and after the next batch */
};

struct part {
    struct sequence *sequence;
    const uint32_t *tokens;
    uint32_t count, logit_rows;
    enum we_phase phase;
    uint32_t save_rows; /* 0: none */
    we_slot save_slot;
};

/* Pages are given out in the order that `seed` shuffles, and hold NaN before; 0: in ascending order, zeroed. */
void machine_open(struct machine *m, struct test_network *network, const char *isa, uint32_t threads, uint64_t seed);
void machine_close(struct machine *m);

/* Pages for `positions` positions. */
void sequence_open(struct machine *m, struct sequence *s, uint32_t positions);

/* Runs parts of sequences as one batch; they grow by it. Returns the rows of logits. */
const float *run_mode(struct machine *m, const struct part *parts, uint32_t count, enum we_rope_mode mode);
const float *run(struct machine *m, const struct part *parts, uint32_t count);

/* All logits of a sequence by one thread: in prefill at once, in decode row by row. */
float *baseline(struct test_network *n, const char *isa, const uint32_t *tokens, uint32_t count, enum we_phase phase);

/* The rows found are those expected from `first` on, to the bit. */
void assert_rows(const struct test_network *n, const float *found, const float *expected, uint32_t first, uint32_t count,
                 const char *what);

#endif
