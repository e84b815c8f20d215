/* Products of matrices and activations, cut into pieces that the workers take one after the other. How they are cut
 * changes no result: a piece computes each of its numbers as any other piece would. */
#include "backend/cpu/executor.h"

enum {
    PIECE_BYTES = 256 * 1024, /* of packed weights, where they are read straight from memory */
    PIECES_PER_WORKER = 4    /* at least, so that a slow worker holds the others up little */
};

struct cut {
    uint32_t rows, tokens;   /* in a piece */
    uint32_t row_pieces, token_pieces;
};

static uint32_t ceil_div(uint32_t a, uint32_t b)
{
    return (a + b - 1) / b;
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static struct cut cut_product(const struct we_cpu_worker *w, const struct we_cpu_product *p, uint32_t all_rows)
{
    const struct we_cpu_form_kernels *kernels = &w->kernels->forms[p->form];
    const uint32_t rows = p->matrix->linear->rows, tokens = p->num_rows, block = kernels->block_rows;
    struct cut cut = {.tokens = kernels->piece_tokens};
    if (p->second)
        cut.tokens = least(cut.tokens, w->kernels->forms[p->second_form].piece_tokens);
    cut.token_pieces = ceil_div(tokens, cut.tokens);
    cut.tokens = ceil_div(ceil_div(tokens, cut.token_pieces), WE_CPU_MOST_BLOCK_ROWS) * WE_CPU_MOST_BLOCK_ROWS;
    uint32_t wanted = kernels->piece_rows;
    if (tokens < WE_CPU_PANEL_ROWS && block == 1) {
        size_t bytes = p->matrix->row_bytes + (p->matrix->linear->biases ? 2 : 1) * p->matrix->group_row_bytes;
        wanted = (uint32_t)(PIECE_BYTES / bytes);
    }
    wanted = least(wanted, all_rows * cut.token_pieces / (w->executor->threads * PIECES_PER_WORKER));
    wanted = least(wanted, WE_CPU_PIECE_VALUES / least(tokens, cut.tokens));
    const uint32_t unit = kernels->unit_rows; /* fewer leave a panel half empty */
    cut.rows = wanted < unit ? unit : wanted / unit * unit;
    cut.row_pieces = ceil_div(rows, cut.rows);
    return cut;
}

static void multiply(struct we_cpu_worker *w, const struct we_cpu_matrix *matrix, enum we_cpu_form form, const uint8_t *x,
                     uint32_t first, uint32_t rows, uint32_t token, uint32_t tokens, float *out, size_t out_stride)
{
    const struct we_cpu_form_kernels *kernels = &w->kernels->forms[form];
    const size_t row_bytes = kernels->row_bytes(matrix->linear->in);
    kernels->multiply(matrix, first, rows, x + token * row_bytes, row_bytes, tokens, out, out_stride, w->scratch->panel);
}

static void piece_of(struct we_cpu_worker *w, const struct we_cpu_product *p, uint32_t first, uint32_t rows, uint32_t token,
                     uint32_t tokens)
{
    const struct we_cpu_kernels *kernels = w->kernels;
    struct we_cpu_scratch *s = w->scratch;
    float *out = p->out + token * p->out_stride;
    if (p->epilogue == WE_CPU_STORE) {
        multiply(w, p->matrix, p->form, p->x, p->first + first, rows, token, tokens, out + first, p->out_stride);
        return;
    }
    multiply(w, p->matrix, p->form, p->x, p->first + first, rows, token, tokens, s->piece[0], rows);
    if (p->epilogue == WE_CPU_ADD) {
        for (uint32_t t = 0; t < tokens; t++)
            kernels->add_scaled(out + t * p->out_stride + first, p->multiplier, s->piece[0] + t * rows, rows);
        return;
    }
    if (p->second)
        multiply(w, p->second, p->second_form, p->second_x, p->second_first + first, rows, token, tokens, s->piece[1], rows);
    for (uint32_t t = 0; t < tokens; t++)
        kernels->activate(p->feed_forward, s->piece[0] + t * rows, p->second ? s->piece[1] + t * rows : NULL, rows,
                          out + t * p->out_stride + first);
}

void we_cpu_products(struct we_cpu_worker *w, const struct we_cpu_product *products, uint32_t count)
{
    struct cut cut = {0};
    uint32_t all_rows = 0, begin = 0, i = 0;
    for (uint32_t p = 0; p < count; p++)
        all_rows += products[p].num_rows ? products[p].matrix->linear->rows : 0;
    bool known = false; /* the cut of product i */
    for (uint32_t piece = we_cpu_take(w);; piece = we_cpu_take(w)) {
        for (; i < count; i++, known = false) {
            if (!known)
                cut = products[i].num_rows ? cut_product(w, &products[i], all_rows) : (struct cut){0};
            known = true;
            if (piece - begin < cut.row_pieces * cut.token_pieces)
                break;
            begin += cut.row_pieces * cut.token_pieces;
        }
        if (i == count)
            return;
        const struct we_cpu_product *p = &products[i];
        uint32_t first = (piece - begin) % cut.row_pieces * cut.rows;
        uint32_t token = (piece - begin) / cut.row_pieces * cut.tokens;
        uint32_t rows = p->matrix->linear->rows - first, tokens = p->num_rows - token;
        piece_of(w, p, first, rows < cut.rows ? rows : cut.rows, token, least(tokens, cut.tokens));
    }
}
