/* Latent attention, in the form in which all heads share one key and one value: what lies around attention.c.
 *
 * A page holds the keys, (rope, latent), once. The values are its latents, which the kernels of attention want in another
 * order: a worker that comes to a chunk turns them into its own memory, and meets them with all queries of its piece. */
#include "backend/cpu/executor.h"

enum { ROWS_AT_ONCE = 8, LANES = WE_CPU_TILE_LANES, PIECES_PER_WORKER = 2 };

/* ---- products of every head with a matrix of its own ---- */

struct head_products {
    const struct we_cpu_matrix *matrix;
    const float *from; /* (rows, stride): `in` values for each head, `step` apart */
    size_t from_stride;
    uint32_t from_step, heads;
    float *out; /* likewise */
    size_t out_stride;
    uint32_t out_step;
};

/* How one head's product is cut: it changes no number. */
struct cut {
    uint32_t rows, row_pieces, tokens, token_pieces;
};

static uint32_t ceil_div(uint32_t a, uint32_t b)
{
    return (a + b - 1) / b;
}

static struct cut cut_of(const struct we_cpu_worker *w, const struct head_products *p, const struct we_cpu_set *set)
{
    const struct we_cpu_form_kernels *kernels = &w->kernels->forms[p->matrix->form[set->phase]];
    struct cut cut = {.tokens = kernels->piece_tokens < WE_CPU_HEAD_TOKENS ? kernels->piece_tokens : WE_CPU_HEAD_TOKENS};
    cut.token_pieces = ceil_div(set->count, cut.tokens);
    const uint32_t rows = p->matrix->linear->rows, unit = kernels->unit_rows;
    const uint32_t parts = ceil_div(we_cpu_workers(w) * PIECES_PER_WORKER, p->heads * cut.token_pieces);
    cut.rows = ceil_div(ceil_div(rows, parts), unit) * unit;
    cut.row_pieces = ceil_div(rows, cut.rows);
    return cut;
}

static void multiply_head(struct we_cpu_worker *w, const struct head_products *p, const struct we_cpu_set *set, uint32_t head,
                          uint32_t token, uint32_t tokens, uint32_t first, uint32_t rows)
{
    const struct we_linear *l = p->matrix->linear;
    const enum we_cpu_form form = p->matrix->form[set->phase];
    const struct we_cpu_form_kernels *kernels = &w->kernels->forms[form];
    const size_t row_bytes = kernels->row_bytes(l->in), at = set->first + token;
    uint8_t *x = w->scratch->head_x[form];
    for (uint32_t i = 0; i < tokens; i += kernels->block_rows) {
        const float *from[WE_CPU_MOST_BLOCK_ROWS];
        const uint32_t count = tokens - i < kernels->block_rows ? tokens - i : kernels->block_rows;
        for (uint32_t r = 0; r < count; r++)
            from[r] = p->from + (at + i + r) * p->from_stride + (size_t)head * p->from_step;
        kernels->pack(from, count, l->in, x + i * row_bytes);
    }
    kernels->multiply(p->matrix, head * l->next + first, rows, x, row_bytes, tokens,
                      p->out + at * p->out_stride + (size_t)head * p->out_step + first, p->out_stride, w->scratch->panel);
}

/* The pieces of a phase from `begin` on; `piece` is the one that this worker has. */
static void multiply_heads(struct we_cpu_worker *w, const struct head_products *p, uint32_t begin, uint32_t piece)
{
    for (uint32_t s = 0; s < w->rows->num_sets; s++) {
        const struct we_cpu_set *set = &w->rows->sets[s];
        const struct cut cut = cut_of(w, p, set);
        const uint32_t each = cut.row_pieces * cut.token_pieces, pieces = each * p->heads;
        for (; piece - begin < pieces; piece = we_cpu_take(w)) {
            const uint32_t head = (piece - begin) / each, part = (piece - begin) % each;
            const uint32_t first = part % cut.row_pieces * cut.rows, token = part / cut.row_pieces * cut.tokens;
            const uint32_t rows = p->matrix->linear->rows - first, tokens = set->count - token;
            multiply_head(w, p, set, head, token, tokens < cut.tokens ? tokens : cut.tokens, first,
                          rows < cut.rows ? rows : cut.rows);
        }
        begin += pieces;
    }
}

/* ---- queries and outputs ---- */

/* The rope parts of a row's queries, to their places before the latents. */
static void copy_rope_parts(const struct we_executor *e, const struct we_latent_attention *a, uint32_t row)
{
    const uint32_t nope = a->nope_head_dim, rope = a->rope_head_dim;
    const float *q = e->q + row * e->plan.q.stride;
    float *out = e->latent_q + row * e->plan.latent_q.stride;
    for (uint32_t h = 0; h < a->num_attention_heads; h++)
        memcpy(out + (size_t)h * (rope + a->latent_dim), q + (size_t)h * (nope + rope) + nope, rope * sizeof *q);
}

void we_cpu_latent_queries(struct we_cpu_worker *w, const struct we_cpu_block *b)
{
    struct we_executor *e = w->executor;
    const struct we_latent_attention *a = b->block->op.latent_attention;
    const uint32_t before = ceil_div(e->rows.count, ROWS_AT_ONCE);
    uint32_t piece;
    while ((piece = we_cpu_take(w)) < before)
        for (uint32_t row = piece * ROWS_AT_ONCE; row < (piece + 1) * ROWS_AT_ONCE && row < e->rows.count; row++) {
            float *latent = e->k + row * e->plan.k.stride + a->rope_head_dim;
            if (a->latent_norm.kind != WE_NORM_NONE)
                w->kernels->norm(&a->latent_norm, latent, latent);
            if (row < w->rows->count)
                copy_rope_parts(e, a, row);
        }
    const struct head_products p = {.matrix = &b->embed_q,
                                    .heads = a->num_attention_heads,
                                    .from = e->q,
                                    .from_stride = e->plan.q.stride,
                                    .from_step = a->nope_head_dim + a->rope_head_dim,
                                    .out = e->latent_q + a->rope_head_dim,
                                    .out_stride = e->plan.latent_q.stride,
                                    .out_step = a->rope_head_dim + a->latent_dim};
    multiply_heads(w, &p, before, piece);
}

void we_cpu_latent_outputs(struct we_cpu_worker *w, const struct we_cpu_block *b)
{
    struct we_executor *e = w->executor;
    const struct we_latent_attention *a = b->block->op.latent_attention;
    const struct head_products p = {.matrix = &b->unembed_out,
                                    .heads = a->num_attention_heads,
                                    .from = e->inner,
                                    .from_stride = e->plan.inner.stride,
                                    .from_step = a->latent_dim,
                                    .out = e->q,
                                    .out_stride = e->plan.q.stride,
                                    .out_step = a->v_head_dim};
    multiply_heads(w, &p, 0, we_cpu_take(w));
}

/* ---- values from keys ---- */

/* keys (rope + latent, WE_PAGE_POSITIONS) -> values (WE_PAGE_POSITIONS, latent) */
static void turn_floats(const struct we_latent_attention *a, const float *keys, float *values)
{
    const uint32_t width = a->latent_dim;
    keys += (size_t)a->rope_head_dim * WE_PAGE_POSITIONS;
    for (uint32_t d = 0; d < width; d += LANES)
        for (uint32_t p = 0; p < WE_PAGE_POSITIONS; p++)
            for (uint32_t i = d; i < width && i < d + LANES; i++)
                values[(size_t)p * width + i] = keys[(size_t)i * WE_PAGE_POSITIONS + p];
}

/* keys (position / 16, value / 2, position % 16, 2) -> values (column / 16, position / 2, column % 16, 2) */
static void turn_pairs(const struct we_latent_attention *a, const uint32_t *keys, uint32_t *values)
{
    const uint32_t all = (a->rope_head_dim + a->latent_dim) / 2, width = a->latent_dim;
    for (uint32_t c = 0; c < width; c += LANES) {
        const uint32_t wide = width - c < LANES ? width - c : LANES;
        uint32_t *to = values + (size_t)c * (WE_PAGE_POSITIONS / 2);
        for (uint32_t tile = 0; tile < WE_PAGE_POSITIONS / LANES; tile++, to += LANES / 2 * wide) {
            const uint32_t *from = keys + ((size_t)tile * all + (a->rope_head_dim + c) / 2) * LANES;
            for (uint32_t i = 0; i < wide / 2; i++, from += LANES)
                for (uint32_t q = 0; q < LANES / 2; q++) {
                    const uint32_t even = from[2 * q], odd = from[2 * q + 1];
                    to[q * wide + 2 * i] = (even & 0xFFFF) | odd << 16;
                    to[q * wide + 2 * i + 1] = even >> 16 | (odd & 0xFFFF0000);
                }
        }
    }
}

void we_cpu_latent_values(struct we_cpu_worker *w, const struct we_cpu_block *b, const struct we_cpu_span *span,
                          uint32_t first_page, uint32_t last_page, uint32_t chunk_pages, const void *const *k, const void **v)
{
    const struct we_executor *e = w->executor;
    const struct we_latent_attention *a = b->block->op.latent_attention;
    const size_t bytes = (size_t)WE_PAGE_POSITIONS * a->latent_dim * e->kv_size;
    struct we_cpu_held *held = &w->held;
    const bool there = held->span == span && held->first_page <= first_page && held->last_page >= last_page;
    for (uint32_t p = first_page; p <= last_page; p++) {
        uint8_t *to = w->scratch->latents + p % chunk_pages * bytes;
        if (!there && e->kv_dtype == WE_F32)
            turn_floats(a, k[p % chunk_pages], (float *)(void *)to);
        else if (!there)
            turn_pairs(a, k[p % chunk_pages], (uint32_t *)(void *)to);
        v[p % chunk_pages] = to;
    }
    if (!there)
        *held = (struct we_cpu_held){span, first_page, last_page};
}
