/* The phases of attention: new keys and values go into their pages, then every query meets the pages that it sees.
 * Keys lie as (KV head, head_dim, position), values as (KV head, position, v_head_dim) in a page.
 *
 * A piece of work is a span, a KV head and some of the queries that share it; a query is a row and one of the group of
 * heads of that KV head, in this order. */
#include "backend/cpu/executor.h"

#include <math.h>

enum {
    PIECE_QUERIES = 8 * WE_CPU_ATTEND_ROWS,
    FUSED_ROWS = 8,  /* spans of up to so many rows write their keys and values within the piece */
    ROWS_AT_ONCE = 8 /* rows of keys and values that a worker takes otherwise */
};

static uint32_t group_size(const struct we_attention *a)
{
    return a->num_attention_heads / a->num_key_value_heads;
}

static uint32_t pieces_of(const struct we_cpu_worker *w, const struct we_attention *a, const struct we_cpu_span *s)
{
    uint32_t first;
    return (we_cpu_query_rows(w, s, &first) * group_size(a) + PIECE_QUERIES - 1) / PIECE_QUERIES;
}

/* Whether one piece for each KV head of every span does everything, keys and values included. */
static bool is_fused(const struct we_cpu_worker *w, const struct we_attention *a)
{
    const struct we_executor *e = w->executor;
    for (uint32_t i = 0; i < e->num_spans; i++)
        if (e->spans[i].num_rows > FUSED_ROWS || pieces_of(w, a, &e->spans[i]) > 1)
            return false;
    return true;
}

static const float *angles_of(const struct we_executor *e, uint32_t rope, uint32_t row)
{
    return e->angles + ((size_t)rope * e->options.max_rows + row) * 2 * e->plan.max_pairs;
}

static uint8_t *page_at(const struct we_executor *e, const struct we_cpu_block *b, const struct we_cpu_span *s,
                        uint32_t position)
{
    we_page page = s->page_tables[b->group][position / WE_PAGE_POSITIONS];
    return e->pages[b->group] + page * e->options.layout->groups[b->group].page_values * e->kv_size;
}

static void norm_and_turn(struct we_cpu_worker *w, const struct we_cpu_block *b, const struct we_norm *norm, uint32_t row,
                          float scale, float *head)
{
    const struct we_attention *a = b->block->op.attention;
    const float *angles = angles_of(w->executor, b->rope, row);
    if (norm->kind != WE_NORM_NONE)
        w->kernels->norm(norm, head, head);
    w->kernels->rope(head, a->head_dim, angles, angles + w->executor->plan.max_pairs, a->rope.rotary_dim / 2,
                     a->rope.interleaved, scale);
}

/* Row `row` of the batch, one KV head. */
static void write_head(struct we_cpu_worker *w, const struct we_cpu_block *b, const struct we_cpu_span *s, uint32_t row,
                       uint32_t head)
{
    struct we_executor *e = w->executor;
    const struct we_attention *a = b->block->op.attention;
    const uint32_t position = s->position + (row - s->first_row), slot = position % WE_PAGE_POSITIONS;
    uint8_t *page = page_at(e, b, s, position);
    float *k = e->k + row * e->plan.k.stride + (size_t)head * a->head_dim;
    const float *v = e->v + row * e->plan.v.stride + (size_t)head * a->v_head_dim;
    norm_and_turn(w, b, &a->k_norm, row, 1.0f, k);
    const size_t k_at = b->k_offset + (size_t)head * a->head_dim * WE_PAGE_POSITIONS + slot;
    const size_t v_at = b->v_offset + ((size_t)head * WE_PAGE_POSITIONS + slot) * a->v_head_dim;
    if (e->kv_dtype == WE_BF16) {
        uint16_t *to = (uint16_t *)page;
        for (uint32_t d = 0; d < a->head_dim; d++)
            to[k_at + (size_t)d * WE_PAGE_POSITIONS] = we_bf16_from_f32(k[d]);
        for (uint32_t d = 0; d < a->v_head_dim; d++)
            to[v_at + d] = we_bf16_from_f32(v[d]);
        return;
    }
    float *to = (float *)page;
    for (uint32_t d = 0; d < a->head_dim; d++)
        to[k_at + (size_t)d * WE_PAGE_POSITIONS] = k[d];
    memcpy(to + v_at, v, a->v_head_dim * sizeof *v);
}

static void write_rows(struct we_cpu_worker *w, const struct we_cpu_block *b)
{
    struct we_executor *e = w->executor;
    for (;;) {
        uint32_t first = we_cpu_take(w) * ROWS_AT_ONCE;
        if (first >= e->rows.count)
            return;
        for (uint32_t row = first; row < first + ROWS_AT_ONCE && row < e->rows.count; row++)
            for (uint32_t head = 0; head < b->block->op.attention->num_key_value_heads; head++)
                write_head(w, b, &e->spans[e->row_span[row]], row, head);
    }
}

/* Up to WE_CPU_ATTEND_ROWS queries, over all chunks in order. */
struct queries {
    uint32_t count;
    const float *q[WE_CPU_ATTEND_ROWS];
    uint32_t first[WE_CPU_ATTEND_ROWS], last[WE_CPU_ATTEND_ROWS]; /* positions seen: [first, last) */
    float max[WE_CPU_ATTEND_ROWS], sum[WE_CPU_ATTEND_ROWS];
};

static void attend_chunk(struct we_cpu_worker *w, const struct we_cpu_block *b, const struct we_cpu_span *s, uint32_t head,
                         struct queries *queries, uint32_t begin)
{
    const struct we_attention *a = b->block->op.attention;
    struct we_cpu_attend attend = {.head_dim = a->head_dim,
                                   .v_head_dim = a->v_head_dim,
                                   .scores = w->scratch->scores,
                                   .out = w->scratch->chunk_out,
                                   .dtype = w->executor->kv_dtype};
    uint32_t which[WE_CPU_ATTEND_ROWS], first = UINT32_MAX, last = 0;
    for (uint32_t i = 0; i < queries->count; i++) {
        uint32_t from = queries->first[i] > begin ? queries->first[i] : begin;
        uint32_t to = queries->last[i] < begin + WE_CPU_CHUNK ? queries->last[i] : begin + WE_CPU_CHUNK;
        if (from >= to)
            continue;
        uint32_t r = attend.num_rows++;
        which[r] = i;
        attend.q[r] = queries->q[i];
        attend.first[r] = from - begin;
        attend.last[r] = to - begin;
        first = from < first ? from : first;
        last = to > last ? to : last;
    }
    if (attend.num_rows == 0)
        return;
    for (uint32_t p = first / WE_PAGE_POSITIONS; p <= (last - 1) / WE_PAGE_POSITIONS; p++) {
        const uint8_t *page = page_at(w->executor, b, s, p * WE_PAGE_POSITIONS);
        const size_t size = w->executor->kv_size;
        attend.k[p % WE_CPU_CHUNK_PAGES] = page + (b->k_offset + (size_t)head * a->head_dim * WE_PAGE_POSITIONS) * size;
        attend.v[p % WE_CPU_CHUNK_PAGES] = page + (b->v_offset + (size_t)head * a->v_head_dim * WE_PAGE_POSITIONS) * size;
    }
    w->kernels->attend(&attend);
    for (uint32_t r = 0; r < attend.num_rows; r++)
        w->kernels->merge(&queries->max[which[r]], &queries->sum[which[r]],
                          w->scratch->state_out + (size_t)which[r] * a->v_head_dim, attend.max[r], attend.sum[r],
                          attend.out + (size_t)r * a->v_head_dim, a->v_head_dim);
}

/* Queries [begin, begin + count) of a span and KV head. */
static void attend(struct we_cpu_worker *w, const struct we_cpu_block *b, const struct we_cpu_span *s, uint32_t head,
                   uint32_t begin, uint32_t count, float *q)
{
    struct we_executor *e = w->executor;
    const struct we_attention *a = b->block->op.attention;
    uint32_t q_first, q_rows = we_cpu_query_rows(w, s, &q_first);
    const uint32_t group = group_size(a), skipped = s->num_rows - q_rows;
    struct queries queries = {.count = count};
    uint32_t first = UINT32_MAX, last = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = (begin + i) / group, query_head = head * group + (begin + i) % group;
        uint32_t position = s->position + skipped + row;
        float *qi = q + (q_first + row) * e->plan.q.stride + (size_t)query_head * a->head_dim;
        norm_and_turn(w, b, &a->q_norm, s->first_row + skipped + row, a->scale, qi);
        queries.q[i] = qi;
        queries.last[i] = position + 1;
        queries.first[i] = a->mask == WE_MASK_SLIDING && queries.last[i] > a->window ? queries.last[i] - a->window : 0;
        queries.max[i] = -INFINITY;
        first = queries.first[i] < first ? queries.first[i] : first;
        last = queries.last[i] > last ? queries.last[i] : last;
    }
    float *state = w->scratch->state_out;
    memset(state, 0, (size_t)count * a->v_head_dim * sizeof *state);
    for (uint32_t chunk = first / WE_CPU_CHUNK; chunk <= (last - 1) / WE_CPU_CHUNK; chunk++)
        attend_chunk(w, b, s, head, &queries, chunk * WE_CPU_CHUNK);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = (begin + i) / group, query_head = head * group + (begin + i) % group;
        float *out = state + (size_t)i * a->v_head_dim;
        for (uint32_t d = 0; d < a->v_head_dim; d++)
            out[d] /= queries.sum[i];
        memcpy(e->inner + (q_first + row) * e->plan.inner.stride + (size_t)query_head * a->v_head_dim, out,
               a->v_head_dim * sizeof *out);
    }
}

static void attend_piece(struct we_cpu_worker *w, const struct we_cpu_block *b, const struct we_cpu_span *s, uint32_t head,
                         uint32_t piece, float *q)
{
    uint32_t first, all = we_cpu_query_rows(w, s, &first) * group_size(b->block->op.attention);
    uint32_t end = (piece + 1) * PIECE_QUERIES < all ? (piece + 1) * PIECE_QUERIES : all;
    for (uint32_t i = piece * PIECE_QUERIES; i < end; i += WE_CPU_ATTEND_ROWS)
        attend(w, b, s, head, i, end - i < WE_CPU_ATTEND_ROWS ? end - i : WE_CPU_ATTEND_ROWS, q);
}

void we_cpu_attention(struct we_cpu_worker *w, const struct we_cpu_block *b, float *q)
{
    struct we_executor *e = w->executor;
    const struct we_attention *a = b->block->op.attention;
    const bool fused = is_fused(w, a);
    if (!fused) {
        write_rows(w, b);
        we_cpu_end_phase(w);
    }
    uint32_t begin = 0, i = 0;
    for (uint32_t piece = we_cpu_take(w);; piece = we_cpu_take(w)) {
        uint32_t pieces = 0;
        for (; i < e->num_spans; i++, begin += pieces) {
            pieces = (fused ? 1 : pieces_of(w, a, &e->spans[i])) * a->num_key_value_heads;
            if (piece - begin < pieces)
                break;
        }
        if (i == e->num_spans)
            return;
        const struct we_cpu_span *s = &e->spans[i];
        /* The last queries see most: they go first, so that no worker is left alone with them at the end. */
        uint32_t back = pieces - 1 - (piece - begin), head = back % a->num_key_value_heads;
        if (fused)
            for (uint32_t row = s->first_row; row < s->first_row + s->num_rows; row++)
                write_head(w, b, s, row, head);
        attend_piece(w, b, s, head, back / a->num_key_value_heads, q);
    }
}
