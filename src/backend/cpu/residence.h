/* Weights brought from the file's mapping into memory of large pages, in the order and the layout in which the kernels read
 * them: a quarter more of the memory's bandwidth than the small pages of a file cache give (docs/cpu.md). It goes on between
 * batches, a little with each, so that no answer waits for it; no number depends on how far it has come. */
#ifndef WE_BACKEND_CPU_RESIDENCE_H
#define WE_BACKEND_CPU_RESIDENCE_H

#include "backend/cpu/plan.h"

struct we_cpu_home { /* of a matrix */
    struct we_cpu_matrix *matrix;
    struct we_linear linear; /* what takes the place of matrix->linear, unless the matrix is brought into strips */
    uint8_t *place;
    uint32_t first_piece, rows; /* rows in a piece of the work */
};

struct we_cpu_residence {
    struct we_cpu_home *homes; /* (count) */
    uint32_t count, num_pieces, settled; /* pieces */
    const struct we_cpu_kernels *kernels;
    bool release;              /* the pages that the weights come from */
    uint8_t *memory;
    size_t bytes;
    double deadline;           /* of this batch's share, by we_clock */
};

/* Nothing is brought in (and that is no error) where the kernels gain nothing, or memory is scarce. */
void we_cpu_residence_open(struct we_cpu_plan *plan, const struct we_load_options *options, struct we_cpu_residence *residence);
void we_cpu_residence_close(struct we_cpu_residence *residence);

static inline bool we_cpu_all_settled(const struct we_cpu_residence *r)
{
    return r->settled == r->num_pieces;
}

/* Piece `piece`, by one worker. */
void we_cpu_settle(const struct we_cpu_residence *residence, uint32_t piece);
/* Pieces [settled, settled + count) are done, and no kernel runs: whole matrices move. */
void we_cpu_settled(struct we_cpu_residence *residence, uint32_t count);

#endif
