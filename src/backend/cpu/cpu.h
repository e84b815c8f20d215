/* Inside the CPU back-end: what the executor and the kernels agree on.
 *
 * One arithmetic. In exact mode every number is computed by one fixed expression, whatever the phase, the number of rows
 * or of threads: a product of a matrix row and an activation adds W lanes over blocks of WE_CPU_BLOCK inputs, attention
 * combines chunks of WE_CPU_CHUNK positions in order. Paths for one token and for many differ in how often they load a
 * weight, never in a bit of the result. Sets of instructions differ from each other in rounding. */
#ifndef WE_BACKEND_CPU_CPU_H
#define WE_BACKEND_CPU_CPU_H

#include "arch/decoder.h"
#include "kv/layout.h"

enum {
    WE_CPU_BLOCK = 1024,     /* inputs whose products are added in lanes before the lanes are added */
    WE_CPU_CHUNK = 512,      /* positions of attention with one maximum; a multiple of WE_PAGE_POSITIONS */
    WE_CPU_CHUNK_PAGES = WE_CPU_CHUNK / WE_PAGE_POSITIONS,
    WE_CPU_ALIGN = 64,       /* activations are padded with zeros to a multiple of so many */
    WE_CPU_PANEL_ROWS = 32,  /* rows of weights that are unpacked at a time */
    WE_CPU_PANEL_STRIDE = WE_CPU_BLOCK + 16, /* not a power of two, so that rows do not share cache sets */
    WE_CPU_ATTEND_ROWS = 6,  /* queries that share a pass over keys and values */
    WE_CPU_MAX_DIRECT = 4,   /* most tokens of a product that leaves weights packed */
    WE_CPU_MAX_WIDTH = 1 << 24 /* rows or inputs of a matrix; keeps sizes far from overflow */
};

enum we_cpu_format {
    WE_CPU_F32 = 0,
    WE_CPU_F16,
    WE_CPU_BF16,
    WE_CPU_NIBBLES, /* affine, 4 bits */
    WE_CPU_BYTES,   /* affine, 8 bits */
    WE_CPU_BITS,    /* affine, any other width */
    WE_CPU_FORMAT_COUNT
};

/* A we_linear that was checked, with what the kernels need of it at hand. */
struct we_cpu_matrix {
    const struct we_linear *linear; /* NULL: absent */
    enum we_cpu_format format;
    size_t row_bytes;               /* of data */
    size_t group_row_bytes;         /* of scales, and of biases */
    uint32_t group_shift;           /* log2 of group_size */
};

/* Activations of one matrix: natural order, or that of the kernels for nibbles. */
enum we_cpu_order { WE_CPU_NATURAL = 0, WE_CPU_NIBBLE_ORDER, WE_CPU_ORDER_COUNT };
static inline enum we_cpu_order we_cpu_matrix_order(const struct we_cpu_matrix *matrix)
{
    return matrix->format == WE_CPU_NIBBLES ? WE_CPU_NIBBLE_ORDER : WE_CPU_NATURAL;
}

/* Attention of a few queries, which share a KV head, over one chunk of positions. */
struct we_cpu_attend {
    const float *q[WE_CPU_ATTEND_ROWS];             /* (head_dim), already scaled */
    uint32_t num_rows;
    uint32_t first[WE_CPU_ATTEND_ROWS];             /* a row sees the chunk's positions [first, last) */
    uint32_t last[WE_CPU_ATTEND_ROWS];
    const float *k[WE_CPU_CHUNK_PAGES];             /* (head_dim, WE_PAGE_POSITIONS); only pages that a row sees */
    const float *v[WE_CPU_CHUNK_PAGES];             /* (WE_PAGE_POSITIONS, v_head_dim) */
    uint32_t head_dim, v_head_dim;
    float *scores;                                  /* scratch (WE_CPU_ATTEND_ROWS, WE_CPU_CHUNK) */
    float max[WE_CPU_ATTEND_ROWS], sum[WE_CPU_ATTEND_ROWS]; /* out: the greatest score; sum of e^(score - max) */
    float *out;                                     /* out (num_rows, v_head_dim): sum of e^(score - max) * v */
};

struct we_cpu_kernels {
    const char *name;
    const uint8_t *nibble_order;  /* (64): value i of each 64 stands at nibble_order[i] */
    uint32_t max_direct;          /* up to so many tokens, `multiply` does not use a panel */

    /* out[t * out_stride + i] = row (first + i) of the view . x[t * x_stride...] + bias, for i < count, t < tokens.
     * x is in the matrix's order and padded with zeros to WE_CPU_ALIGN. panel: scratch (WE_CPU_PANEL_ROWS + 1,
     * WE_CPU_PANEL_STRIDE). */
    void (*multiply)(const struct we_cpu_matrix *matrix, uint32_t first, uint32_t count, const float *x, size_t x_stride,
                     uint32_t tokens, float *out, size_t out_stride, float *panel);
    /* A row of a matrix as floats, in natural order. */
    void (*unpack_row)(const struct we_cpu_matrix *matrix, uint32_t row, float *out);
    /* (width), normalised together; out may be x. */
    void (*norm)(const struct we_norm *norm, const float *x, float *out);
    /* Turns the first 2 * pairs values of x; cos and sin (pairs). Then scales all `width` by `scale`. */
    void (*rope)(float *x, uint32_t width, const float *cosine, const float *sine, uint32_t pairs, bool interleaved,
                 float scale);
    /* out = activation(gate) * up; out may be either. */
    void (*activate)(enum we_activation activation, const float *gate, const float *up, uint32_t count, float *out);
    /* y += a * x */
    void (*add_scaled)(float *y, float a, const float *x, uint32_t count);

    void (*attend)(struct we_cpu_attend *attend);
    /* Combines a chunk's (max, sum, out) into the state of all chunks before it; both (width). */
    void (*merge)(float *max, float *sum, float *out, float chunk_max, float chunk_sum, const float *chunk_out,
                  uint32_t width);
};

/* The best set that this processor has, or the one named; NULL (and an error) if the processor or this build lacks it. */
const struct we_cpu_kernels *we_cpu_kernels_select(const char *isa, struct we_error *error);
enum { WE_CPU_MAX_ISAS = 8 };
/* All that this processor can run, best first; returns how many. */
uint32_t we_cpu_kernels_list(const struct we_cpu_kernels *list[WE_CPU_MAX_ISAS]);

/* matrix.c: WE_UNSUPPORTED names a format without kernels. A linear without data gives a matrix without linear. */
we_status we_cpu_matrix_init(struct we_cpu_matrix *matrix, const struct we_linear *linear, struct we_error *error);

#endif
