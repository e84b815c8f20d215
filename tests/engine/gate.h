/* The precision gate: how far a model's predictions over a text are from those of float32. */
#ifndef WE_TESTS_ENGINE_GATE_H
#define WE_TESTS_ENGINE_GATE_H

#include "support.h"

enum { GATE_TOP = 64 };

/* What the reference predicts at a position. */
struct gate_row {
    uint32_t top[GATE_TOP]; /* the likeliest next ids, the likeliest first */
    double p[GATE_TOP];     /* their probabilities */
    double rest;            /* that of all others together; all of them add to 1 */
};

struct gate_piece {
    const char *name;
    struct we_str text;
    const uint32_t *tokens; /* (num_tokens) */
    struct gate_row *rows;  /* (num_tokens): row i is what follows tokens[0..i]; NULL: no reference yet */
    size_t num_tokens;
};

struct gate {
    struct we_arena arena;
    struct gate_piece *pieces;
    size_t num_pieces, num_positions;
};

/* Over some positions. `kl` is of the reference's top ids and the rest as one: at most that over all ids. */
struct gate_figures {
    size_t positions, agree; /* agree: our likeliest id is the reference's */
    double kl_sum, kl_worst; /* natural logarithm */
    size_t worst_piece, worst_position;
};

/* The pieces of gate_text.txt, without tokens. Fails the test if it cannot, like what follows. */
void gate_open(struct gate *gate);
void gate_close(struct gate *gate);
/* Tokens and rows of a file that make_gate_goldens.py made. */
void gate_read_goldens(struct gate *gate, const char *path);
/* Tokens by the model's own tokenizer; rows by its own logits: with an exact one, for a model that mlx-lm is too slow for. */
void gate_tokenize(struct gate *gate, const char *model_directory);
void gate_make_reference(struct gate *gate, struct we_model *model);

/* Adds a position to the figures. */
void gate_judge(const struct gate_row *row, const float *logits, uint32_t vocab_size, struct gate_figures *figures);
void gate_add(struct gate_figures *sum, const struct gate_figures *figures);
double gate_agreement(const struct gate_figures *figures);
double gate_mean_kl(const struct gate_figures *figures);

/* Judges the first `most` positions of a piece, computed by prefill or in steps of decode. */
struct gate_figures gate_run(const struct gate *gate, size_t piece, struct we_model *model, bool decode, size_t most);

#endif
