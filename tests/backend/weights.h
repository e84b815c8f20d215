/* Random matrices in every format, for tests: the packed bytes, at any alignment, and the same weights as doubles. */
#ifndef TESTS_BACKEND_WEIGHTS_H
#define TESTS_BACKEND_WEIGHTS_H

#include "arch/decoder.h"

#include <stdbool.h>

struct test_format {
    enum we_quant_mode mode;
    uint32_t bits, group_size;
    enum we_dtype dtype;
};

struct test_weights {
    struct we_linear linear;   /* all rows, contiguous; make views by changing first, rows, block, stride */
    double *values;            /* (rows, in) */
    void *blocks[4];
};

/* `offset`: bytes by which data, scales and biases miss their alignment. Each lies in a block of its own of exactly the
 * size it needs, so that a read past it is found. scale: about the deviation of a weight. */
void test_weights_make(struct test_weights *w, struct test_format format, uint32_t rows, uint32_t in, uint32_t offset,
                       bool bias, double scale, uint64_t *seed);
void test_weights_free(struct test_weights *w);

/* The bias of a tensor row; 0 without one. */
double test_weights_bias(const struct test_weights *w, size_t row);

/* Random floats of a type in a block of their own. */
void *test_floats_make(enum we_dtype dtype, uint32_t count, uint32_t offset, double center, double deviation, uint64_t *seed,
                       void **block);

#endif
