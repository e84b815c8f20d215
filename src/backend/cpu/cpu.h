/* Inside the CPU back-end: what the executor and the kernels agree on.
 *
 * A form is a way to compute products: how activations are packed, and the arithmetic that meets them. Precision and phase
 * choose it, never the number of rows or of threads, so every number is computed by one fixed expression: a product of a
 * matrix row and an activation adds its terms in one order, attention combines chunks of WE_CPU_CHUNK positions in order.
 * Paths for one token and for many differ in how often they load a weight, never in a bit of the result. Exact mode has
 * float32 in both phases. Sets of instructions differ from each other in rounding. */
#ifndef WE_BACKEND_CPU_CPU_H
#define WE_BACKEND_CPU_CPU_H

#include "backend/backend.h"

enum {
    WE_CPU_BLOCK = 1024, /* inputs whose products are added in lanes before the lanes are added */
    WE_CPU_CHUNK = 512,  /* positions of attention with one maximum; a multiple of WE_PAGE_POSITIONS */
    WE_CPU_CHUNK_PAGES = WE_CPU_CHUNK / WE_PAGE_POSITIONS,
    WE_CPU_ALIGN = 64,                       /* activations are padded with zeros to a multiple of so many */
    WE_CPU_PANEL_ROWS = 32,                  /* rows of weights that are unpacked at a time */
    WE_CPU_PANEL_STRIDE = WE_CPU_BLOCK + 16, /* not a power of two, so that rows do not share cache sets */
    WE_CPU_PIECE_ROWS = 128,                 /* most rows of weights and tokens of one piece of a product */
    WE_CPU_PIECE_TOKENS = 512,
    WE_CPU_PANEL_BYTES = 384 * 1024, /* scratch memory of a product */
    WE_CPU_MOST_BLOCK_ROWS = 16,
    WE_CPU_LORA_RANK = 64,      /* rows of an adapter's A that are multiplied at a time */
    WE_CPU_ATTEND_ROWS = 8,     /* most queries that share a pass over keys and values; */
    WE_CPU_ATTEND_F32_ROWS = 6, /* of float32 */
    WE_CPU_PAIRS_CHUNK = 256,   /* as WE_CPU_CHUNK, for bfloat16: shorter, so that several threads share a context */
    WE_CPU_PAIRS_CHUNK_PAGES = WE_CPU_PAIRS_CHUNK / WE_PAGE_POSITIONS,
    WE_CPU_TILE_QUERIES = 32,                  /* queries of an attend_tile */
    WE_CPU_TILE_LANES = 16,                    /* positions, and columns of values, side by side in a page of bfloat16 */
    WE_CPU_MOST_TAPS = WE_CPU_MOST_BLOCK_ROWS, /* positions of a short convolution */
    WE_CPU_STATE_COLUMNS = 32,                 /* values of a head's state that lie side by side in a slot */
    WE_CPU_MOST_EXPERT_GROUPS = 256,           /* of a router; */
    WE_CPU_MOST_EXPERTS = 1 << 16,
    WE_CPU_MAX_DIRECT = 4,     /* most tokens of a product that leaves weights packed */
    WE_CPU_MAX_WIDTH = 1 << 24 /* rows or inputs of a matrix; keeps sizes far from overflow */
};

enum we_cpu_format {
    WE_CPU_F32 = 0,
    WE_CPU_F16,
    WE_CPU_BF16,
    WE_CPU_NIBBLES, /* affine, 4 bits */
    WE_CPU_BYTES,   /* affine, 8 bits */
    WE_CPU_BITS,    /* affine, any other width */
    WE_CPU_E2M1,    /* mxfp4, nvfp4 */
    WE_CPU_E4M3,    /* mxfp8 */
    WE_CPU_FORMAT_COUNT
};

/* Whether its kernels read blocks of nibbles, in their order. */
static inline bool we_cpu_has_nibbles(enum we_cpu_format format)
{
    return format == WE_CPU_NIBBLES || format == WE_CPU_E2M1;
}

/* Activations as products read them. The weights stay packed; where their values are not in natural order once unpacked,
 * the activations are brought into theirs. */
enum we_cpu_form {
    WE_CPU_FORM_F32 = 0,       /* float32 */
    WE_CPU_FORM_F32_NIBBLES,   /* float32 in the order of the kernels for nibbles */
    WE_CPU_FORM_INT16,         /* 16-bit integers, with a scale for each 128 */
    WE_CPU_FORM_INT16_NIBBLES, /* the same, in the order of 4-bit weights */
    WE_CPU_FORM_PLANES_BYTES,  /* integers of two bytes, high and low ones apart, in the order of 6 and 5 bits; */
    WE_CPU_FORM_PLANES_NIBBLES, /* of e2m1, */
    WE_CPU_FORM_PLANES_THREES, /* of 3, */
    WE_CPU_FORM_PLANES_CRUMBS, /* of 2 */
    WE_CPU_FORM_STRIP_BYTES,   /* the same for strips, of 8 bits, */
    WE_CPU_FORM_STRIP_NIBBLES, /* and of 4 */
    WE_CPU_FORM_BF16,          /* tiles of bfloat16 for many rows */
    WE_CPU_FORM_COUNT
};

/* A we_linear that was checked, with what the kernels need of it at hand. */
struct we_cpu_matrix {
    const struct we_linear *linear; /* NULL: absent */
    enum we_cpu_format format;
    size_t row_bytes;         /* of data */
    size_t group_row_bytes;   /* of scales, and of biases where the mode has them */
    uint32_t group_shift;     /* log2 of group_size */
    const uint8_t *strips;    /* all rows in strips (strips.h); NULL: as the file has them */
    enum we_cpu_form form[2]; /* by phase: how it is multiplied */
    const struct we_cpu_matrix *lora_a; /* of an adapter: its A; or NULL */
    const struct we_linear *lora_rows;  /* and by what view the rows of its B are found, wherever the weights are brought */
};

struct we_cpu_form_kernels {
    uint32_t piece_rows;   /* of weights in a piece of the work, if there are enough */
    uint32_t piece_tokens; /* most tokens in a piece */
    uint32_t unit_rows;    /* pieces begin at a multiple of so many rows */
    uint32_t block_rows;   /* rows that are packed together, at most WE_CPU_MOST_BLOCK_ROWS; 0: this set lacks the form */
    /* Bytes of one row of `width` values; a block takes block_rows times as many. A multiple of 64. */
    size_t (*row_bytes)(uint32_t width);
    /* Packs a block; num_rows <= block_rows, the rows that are missing become 0. out: aligned to 64. */
    void (*pack)(const float *const *rows, uint32_t num_rows, uint32_t width, void *out);
    /* out[t * out_stride + i] = row (first + i) of the view . activation t + bias, for i < count, t < tokens.
     * panel: scratch of WE_CPU_PANEL_BYTES. x: blocks, of row_bytes(in) for each row. */
    void (*multiply)(const struct we_cpu_matrix *matrix, uint32_t first, uint32_t count, const void *x, size_t row_bytes,
                     uint32_t tokens, float *out, size_t out_stride, void *panel);
};

/* Attention of a few queries, which share a KV head, over one chunk of positions. In a page, keys and values lie as
 *   float32:  keys (head_dim, WE_PAGE_POSITIONS), values (WE_PAGE_POSITIONS, v_head_dim);
 *   bfloat16: in pairs, as dot products of pairs read them: keys (position / 16, head_dim / 2, position % 16, 2), values
 *             (column / 16, position / 2, column % 16, 2), where the last block of columns may be narrower. */
struct we_cpu_attend {
    const float *q[WE_CPU_ATTEND_ROWS]; /* (head_dim), already scaled */
    uint32_t num_rows;
    uint32_t first[WE_CPU_ATTEND_ROWS]; /* a row sees the chunk's positions [first, last) */
    uint32_t last[WE_CPU_ATTEND_ROWS];
    const void *k[WE_CPU_CHUNK_PAGES], *v[WE_CPU_CHUNK_PAGES]; /* only pages that a row sees */
    uint32_t head_dim, v_head_dim;
    float softcap;                                          /* of the scores; 0: none */
    float *scores;                                          /* scratch (num_rows, WE_CPU_CHUNK) */
    float max[WE_CPU_ATTEND_ROWS], sum[WE_CPU_ATTEND_ROWS]; /* out: the greatest score; sum of e^(score - max) */
    float *out;                                             /* out (num_rows, v_head_dim): sum of e^(score - max) * v */
};

/* Attention of many queries, which share a KV head, by products of bfloat16 pairs: begin, then the chunks of
 * WE_CPU_PAIRS_CHUNK positions in order, then end. Several of them may take turns at each chunk. */
struct we_cpu_attend_tile {
    const float *q[WE_CPU_TILE_QUERIES]; /* (head_dim); read by begin */
    float scale;                         /* of q */
    float softcap;                       /* of the scores; 0: none */
    bool has_sinks;
    float sink[WE_CPU_TILE_QUERIES]; /* read by begin: a score to which no value belongs */
    uint32_t num_rows, head_dim, v_head_dim;
    uint32_t first[WE_CPU_TILE_QUERIES], last[WE_CPU_TILE_QUERIES]; /* a row sees positions [first, last) */
    uint32_t valid_first, valid_last;                               /* other positions may hold anything, NaN included */
    uint8_t *state;                                                 /* tile_state_bytes, aligned to 64; */
    uint8_t *work;                                                  /* tile_work_bytes, likewise, between calls anyone's */
};

/* The rows of some positions on their way into a page of bfloat16: consecutive slots, in one page. */
struct we_cpu_keep {
    const float *k, *v; /* (count, stride), of one KV head */
    size_t k_stride, v_stride;
    uint32_t slot, count, head_dim, v_head_dim;
    void *page_k, *page_v;
};

/* The recurrence of one head over some rows, WE_CPU_STATE_COLUMNS of its values or fewer. state (keys, WE_CPU_STATE_COLUMNS):
 *   delta = rate (v - decay k state) if it corrects, else rate v;  state = decay state + k' delta;  out = q state + skip v */
struct we_cpu_recur {
    const float *q, *k, *v; /* of the first row: (keys), (keys), (columns) */
    size_t stride;          /* from row to row of all three */
    const float *rate, *decay;
    size_t rate_stride;
    float skip;
    uint32_t rows, keys, columns;
    bool corrects;
    float *state;
    float *out; /* (columns) of the first row */
    size_t out_stride;
};

struct we_cpu_kernels {
    const char *name;
    struct we_cpu_form_kernels forms[WE_CPU_FORM_COUNT];
    bool int16_bits; /* INT16 takes weights of any width, not only of 4 and 8 bits */

    /* Strips of quantised weights; strip_rows 0: none. Groups [group, group + groups) of rows [first, first + strip_rows). */
    uint32_t strip_rows;
    void (*make_strip)(const struct we_cpu_matrix *matrix, uint32_t first, uint32_t group, uint32_t groups, uint8_t *out);

    /* A row of a matrix as floats, in natural order. */
    void (*unpack_row)(const struct we_cpu_matrix *matrix, uint32_t row, float *out);
    /* (width), normalised together; out may be x. */
    void (*norm)(const struct we_norm *norm, const float *x, float *out);
    /* Turns the first 2 * pairs values of x; cos and sin (pairs). Then scales all `width` by `scale`. */
    void (*rope)(float *x, uint32_t width, const float *cosine, const float *sine, uint32_t pairs, bool interleaved,
                 float scale);
    /* out = activation(gate) * up, as the feed-forward has it; no up: 1. out may be either. */
    void (*activate)(const struct we_feed_forward *f, const float *gate, const float *up, uint32_t count, float *out);
    /* x = cap * tanh(x / cap) */
    void (*softcap)(float cap, uint32_t count, float *x);
    /* y += a * x */
    void (*add_scaled)(float *y, float a, const float *x, uint32_t count);
    /* out = silu(bias + sum of taps[t] * rows[t]), each of `count` values by itself; a row may be NULL, for zeros; bias too.
     * taps: (length, stride) */
    void (*convolve)(const float *const *rows, const float *taps, size_t stride, uint32_t length, const float *bias,
                     uint32_t count, float *out);
    void (*recur)(const struct we_cpu_recur *recur);

    /* float32 pages, and those of bfloat16 */
    void (*attend)(struct we_cpu_attend *attend);
    void (*attend_pairs)(struct we_cpu_attend *attend);
    void (*keep_pairs)(const struct we_cpu_keep *keep);
    /* Combines a chunk's (max, sum, out) into the state of all chunks before it; both (width). */
    void (*merge)(float *max, float *sum, float *out, float chunk_max, float chunk_sum, const float *chunk_out, uint32_t width);

    /* All NULL where this set lacks products of bfloat16 pairs. k, v: the pages of the chunk that begins at `begin`; only
     * those that a row sees are read. out: (v_head_dim) for each row. */
    size_t (*tile_state_bytes)(uint32_t head_dim, uint32_t v_head_dim);
    size_t (*tile_work_bytes)(uint32_t head_dim, uint32_t v_head_dim);
    void (*tile_begin)(const struct we_cpu_attend_tile *tile);
    void (*tile_chunk)(const struct we_cpu_attend_tile *tile, uint32_t begin, const void *const *k, const void *const *v);
    void (*tile_end)(const struct we_cpu_attend_tile *tile, float *const *out);
};

/* The best set that this processor has, or the one named; NULL (and an error) if the processor or this build lacks it. */
const struct we_cpu_kernels *we_cpu_kernels_select(const char *isa, struct we_error *error);
enum { WE_CPU_MAX_ISAS = 8 };
/* All that this processor can run, best first; returns how many. */
uint32_t we_cpu_kernels_list(const struct we_cpu_kernels *list[WE_CPU_MAX_ISAS]);

/* The form in which a matrix is multiplied. */
enum we_cpu_form we_cpu_form_of(const struct we_cpu_kernels *kernels, const struct we_cpu_matrix *matrix,
                                enum we_precision precision, enum we_phase phase);

/* matrix.c: WE_UNSUPPORTED names a format without kernels. A linear without data gives a matrix without linear. */
we_status we_cpu_matrix_init(struct we_cpu_matrix *matrix, const struct we_linear *linear, struct we_error *error);

#endif
