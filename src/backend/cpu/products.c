/* Products of matrices and activations, cut into pieces that the workers take one after the other. How they are cut
 * changes no result: a piece computes each of its numbers as any other piece would. */
#include "backend/cpu/executor.h"
#include "backend/cpu/strips.h"

enum {
    PIECE_BYTES = 256 * 1024, /* of packed weights, where they are read straight from memory */
    PIECES_PER_WORKER = 4,    /* at least, so that a slow worker holds the others up little */
    AHEAD_BYTES = 512 * 1024, /* at most so many before a phase begins: they must stay in the second cache, */
    AHEAD_STEP = 512          /* as many at a time */
};

struct cut {
    uint32_t tokens, token_pieces;
    uint32_t units, row_pieces; /* a unit has unit_rows rows */
    uint32_t unit_rows;
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
    wanted = least(wanted, all_rows * cut.token_pieces / (we_cpu_workers(w) * PIECES_PER_WORKER));
    wanted = least(wanted, WE_CPU_PIECE_VALUES / least(tokens, cut.tokens));
    cut.unit_rows = kernels->unit_rows; /* fewer leave a panel half empty */
    cut.units = ceil_div(rows, cut.unit_rows);
    cut.row_pieces = ceil_div(cut.units, wanted < cut.unit_rows ? 1 : wanted / cut.unit_rows);
    const uint32_t even = ceil_div(cut.row_pieces, we_cpu_workers(w)) * we_cpu_workers(w); /* as many for each worker */
    cut.row_pieces = least(even, cut.units);
    return cut;
}

/* The first row of a piece; of the piece after the last: the number of rows. */
static uint32_t first_row(const struct cut *cut, uint32_t rows, uint32_t piece)
{
    return least((uint32_t)((uint64_t)cut->units * piece / cut->row_pieces) * cut->unit_rows, rows);
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
        if (p->lora_x)
            we_cpu_lora_add(w, p->matrix, p->phase, p->lora_x, p->first + first, rows, token, tokens, out + first,
                            p->out_stride);
        return;
    }
    multiply(w, p->matrix, p->form, p->x, p->first + first, rows, token, tokens, s->piece[0], rows);
    if (p->lora_x)
        we_cpu_lora_add(w, p->matrix, p->phase, p->lora_x, p->first + first, rows, token, tokens, s->piece[0], rows);
    if (p->epilogue == WE_CPU_ADD) {
        for (uint32_t t = 0; t < tokens; t++)
            kernels->add_scaled(out + t * p->out_stride + first, p->multiplier, s->piece[0] + t * rows, rows);
        return;
    }
    if (p->second)
        multiply(w, p->second, p->second_form, p->second_x, p->second_first + first, rows, token, tokens, s->piece[1], rows);
    if (p->second && p->second_lora_x)
        we_cpu_lora_add(w, p->second, p->phase, p->second_lora_x, p->second_first + first, rows, token, tokens, s->piece[1],
                        rows);
    for (uint32_t t = 0; t < tokens; t++)
        kernels->activate(p->feed_forward, s->piece[0] + t * rows, p->second ? s->piece[1] + t * rows : NULL, rows,
                          out + t * p->out_stride + first);
}

/* Products one after another, each in pieces; a walk over them looks for pieces in ascending order. */
struct work {
    const struct we_cpu_product *products;
    uint32_t count, all_rows, pieces;
};
struct place {
    uint32_t product, begin; /* its first piece */
    struct cut cut;
};

static uint32_t pieces_of(const struct cut *cut)
{
    return cut->row_pieces * cut->token_pieces;
}

static struct cut cut_of(const struct we_cpu_worker *w, const struct work *work, uint32_t product)
{
    const struct we_cpu_product *p = &work->products[product];
    return p->num_rows ? cut_product(w, p, work->all_rows) : (struct cut){0};
}

static struct work work_of(const struct we_cpu_worker *w, const struct we_cpu_product *products, uint32_t count)
{
    struct work work = {.products = products, .count = count};
    for (uint32_t p = 0; p < count; p++)
        work.all_rows += products[p].num_rows ? products[p].matrix->linear->rows : 0;
    for (uint32_t p = 0; p < count; p++) {
        const struct cut cut = cut_of(w, &work, p);
        work.pieces += pieces_of(&cut);
    }
    return work;
}

/* A worker's share of the pieces: neighbours, so that what memory is asked for in advance is the worker's own. */
static uint32_t share_begin(const struct we_cpu_worker *w, const struct work *work, uint32_t worker)
{
    return (uint32_t)((uint64_t)work->pieces * worker / we_cpu_workers(w));
}

static struct place first_place(const struct we_cpu_worker *w, const struct work *work)
{
    return (struct place){.cut = cut_of(w, work, 0)};
}

/* piece: one that there is, not before the place's. */
static void go_to(const struct we_cpu_worker *w, const struct work *work, uint32_t piece, struct place *place)
{
    while (piece - place->begin >= pieces_of(&place->cut)) {
        place->begin += pieces_of(&place->cut);
        place->cut = cut_of(w, work, ++place->product);
    }
}

static void compute(struct we_cpu_worker *w, const struct work *work, const struct place *place, uint32_t piece)
{
    const struct we_cpu_product *p = &work->products[place->product];
    const struct cut *cut = &place->cut;
    const uint32_t rows = p->matrix->linear->rows, i = (piece - place->begin) % cut->row_pieces;
    const uint32_t first = first_row(cut, rows, i), token = (piece - place->begin) / cut->row_pieces * cut->tokens;
    piece_of(w, p, first, first_row(cut, rows, i + 1) - first, token, least(p->num_rows - token, cut->tokens));
}

void we_cpu_products(struct we_cpu_worker *w, const struct we_cpu_product *products, uint32_t count)
{
    const struct we_executor *e = w->executor;
    const struct work work = work_of(w, products, count);
    struct we_cpu_cursor *shares = e->shares + (size_t)(w->phase % WE_CPU_CURSORS) * e->threads;
    /* First the worker's own share, then what others have not begun. */
    for (uint32_t i = 0; i < we_cpu_workers(w); i++) {
        const uint32_t worker = (w->index + i) % we_cpu_workers(w);
        const uint32_t begin = share_begin(w, &work, worker), pieces = share_begin(w, &work, worker + 1) - begin;
        if (atomic_load_explicit(&shares[worker].value, memory_order_relaxed) >= pieces)
            continue;
        struct place place = first_place(w, &work);
        for (uint32_t n; (n = atomic_fetch_add_explicit(&shares[worker].value, 1, memory_order_relaxed)) < pieces;) {
            go_to(w, &work, begin + n, &place);
            compute(w, &work, &place, begin + n);
        }
    }
}

/* ---- before products ---- */

static void prefetch(const uint8_t *p, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 64)
        __builtin_prefetch(p + i, 0, 2);
}

/* Where a worker's share begins, and how many bytes the product has from there on. */
static const uint8_t *first_weights(const struct we_cpu_worker *w, const struct work *work, size_t *bytes)
{
    const uint32_t begin = share_begin(w, work, w->index);
    *bytes = 0;
    if (begin == share_begin(w, work, w->index + 1))
        return NULL;
    struct place place = first_place(w, work);
    go_to(w, work, begin, &place);
    const struct we_cpu_matrix *m = work->products[place.product].matrix;
    const uint32_t first = first_row(&place.cut, m->linear->rows, (begin - place.begin) % place.cut.row_pieces);
    const size_t rows = m->linear->rows - first;
    if (m->strips) {
        const size_t strip_bytes = we_cpu_strip_bytes(m, w->kernels->strip_rows);
        *bytes = rows / w->kernels->strip_rows * strip_bytes;
        return m->strips + first / w->kernels->strip_rows * strip_bytes;
    }
    *bytes = rows * m->row_bytes;
    return (const uint8_t *)m->linear->data + first * m->row_bytes;
}

void we_cpu_end_phase_before(struct we_cpu_worker *w, const struct we_cpu_product *products, uint32_t count)
{
    struct we_pool *pool = w->executor->pool;
    const uint32_t ticket = we_cpu_arrive(w);
    if (!we_pool_all_arrived(pool, ticket)) {
        const struct work work = work_of(w, products, count);
        size_t bytes;
        const uint8_t *p = first_weights(w, &work, &bytes);
        bytes = bytes < AHEAD_BYTES ? bytes : AHEAD_BYTES;
        for (size_t i = 0; i + AHEAD_STEP <= bytes && !we_pool_all_arrived(pool, ticket); i += AHEAD_STEP)
            prefetch(p + i, AHEAD_STEP);
    }
    we_cpu_leave(w, ticket);
}
