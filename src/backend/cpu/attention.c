/* The phases of attention: new keys and values go into their pages, then every query meets the pages that it sees.
 *
 * A query is a row and one of the group of heads of a KV head, in this order. A piece of work is a span, a KV head and some
 * of the queries that share it. Each query combines chunks of positions in order; pages of bfloat16 have shorter chunks.
 * Where there are fewer pieces than workers would need, each chunk becomes a piece of its own, and a further phase combines
 * them: in the same order, so that it changes no bit. */
#include "backend/cpu/executor.h"

#include <math.h>

enum {
    PIECE_QUERIES = WE_CPU_PIECE_QUERIES,
    MOST_GROUPS = PIECE_QUERIES / WE_CPU_ATTEND_F32_ROWS, /* of queries that share a pass over keys and values, in a piece */
    FUSED_ROWS = 8 /* spans of up to so many rows write their keys and values within the piece */
};

/* ---- what a span has to do ---- */

/* A span in one block, as all workers see it. */
struct job {
    const struct we_cpu_block *block;
    const struct we_attention *a;
    const struct we_cpu_span *span;
    uint32_t group;                   /* heads that share a KV head */
    uint32_t queries;                 /* for each KV head */
    uint32_t skipped;                 /* rows that are not computed */
    uint32_t first_row;               /* of those that are, in q and `inner` */
    size_t q_stride;                  /* of the buffer of queries */
    bool tiles;                       /* by tiles of queries */
    uint32_t chunk;                   /* positions in a chunk */
    uint32_t first_chunk, num_chunks; /* that its queries see */
    uint32_t query_pieces;            /* for each KV head */
};

struct plan {
    bool fused; /* pieces write keys and values themselves */
    bool split; /* every chunk is a piece */
};

/* Whose values are part of the keys: its pages hold keys only. */
static bool is_latent(const struct we_cpu_block *b)
{
    return b->block->kind == WE_BLOCK_LATENT_ATTENTION;
}

static uint32_t ceil_div(uint32_t a, uint32_t b)
{
    return (a + b - 1) / b;
}

static uint32_t first_seen(const struct we_attention *a, uint32_t position)
{
    return a->mask == WE_MASK_SLIDING && position + 1 > a->window ? position + 1 - a->window : 0;
}

static struct job job_of(const struct we_cpu_worker *w, const struct we_cpu_block *b, uint32_t span)
{
    const struct we_executor *e = w->executor;
    const struct we_attention *a = b->attention;
    const struct we_cpu_span *s = &e->spans[span];
    struct job j = {.block = b, .a = a, .span = s, .group = a->num_attention_heads / a->num_key_value_heads};
    const uint32_t rows = we_cpu_query_rows(w, s, &j.first_row);
    j.q_stride = is_latent(b) ? e->plan.latent_q.stride : e->plan.q.stride;
    j.skipped = s->num_rows - rows;
    j.queries = rows * j.group;
    j.tiles = e->tiles && s->phase == WE_PHASE_PREFILL;
    j.chunk = e->kv_dtype == WE_F32 ? WE_CPU_CHUNK : WE_CPU_PAIRS_CHUNK;
    if (rows) {
        j.first_chunk = first_seen(a, s->position + j.skipped) / j.chunk;
        j.num_chunks = (s->position + s->num_rows - 1) / j.chunk - j.first_chunk + 1;
    }
    j.query_pieces = ceil_div(j.queries, j.tiles ? WE_CPU_TILES * WE_CPU_TILE_QUERIES : PIECE_QUERIES);
    return j;
}

static size_t partials_of(const struct job *j)
{
    return j->tiles ? 0 : (size_t)j->a->num_key_value_heads * j->queries * j->num_chunks;
}

/* Few rows need no phase of their own to write keys and values. Chunks are split where whole pieces would leave workers
 * without work for longer than a barrier lasts. */
static struct plan make_plan(const struct we_cpu_worker *w, const struct we_cpu_block *b)
{
    const struct we_executor *e = w->executor;
    struct plan plan = {.fused = !b->attention->shares_kv};
    uint64_t pieces = 0, chunks = 0, most_chunks = 0, partials = 0;
    bool tiles = false;
    for (uint32_t i = 0; i < e->num_spans; i++) {
        const struct job j = job_of(w, b, i);
        const uint64_t count = (uint64_t)j.query_pieces * j.a->num_key_value_heads;
        plan.fused = plan.fused && j.span->num_rows <= FUSED_ROWS && j.query_pieces <= 1;
        tiles = tiles || j.tiles;
        pieces += count;
        chunks += count * j.num_chunks;
        most_chunks = j.num_chunks > most_chunks ? j.num_chunks : most_chunks;
        partials += partials_of(&j);
    }
    const uint32_t workers = we_cpu_workers(w);
    const uint64_t whole = (pieces + workers - 1) / workers * most_chunks, fair = chunks / workers + 1;
    plan.split = !tiles && 8 * whole > 9 * fair && partials * we_cpu_partial_floats(b->attention) <= e->num_partials;
    return plan;
}

/* ---- pages ---- */

static const float *angles_of(const struct we_executor *e, uint32_t rope, uint32_t row)
{
    return e->angles + ((size_t)rope * e->options.max_rows + row) * 2 * e->plan.max_pairs;
}

/* Where the keys and the values of a KV head begin in the page of a position. */
struct place {
    uint8_t *k, *v;
};

static struct place place_of(const struct we_executor *e, const struct job *j, uint32_t head, uint32_t position)
{
    const struct we_cpu_block *b = j->block;
    we_page page = j->span->page_tables[b->group][position / WE_PAGE_POSITIONS];
    uint8_t *p = e->pages[b->group] + page * e->options.layout->groups[b->group].page_values * e->kv_size;
    return (struct place){p + (b->k_offset + (size_t)head * j->a->head_dim * WE_PAGE_POSITIONS) * e->kv_size,
                          p + (b->v_offset + (size_t)head * j->a->v_head_dim * WE_PAGE_POSITIONS) * e->kv_size};
}

/* The pages of positions [first, last), at their places in the chunk. */
static void find_pages(struct we_cpu_worker *w, const struct job *j, uint32_t head, uint32_t first, uint32_t last,
                       const void **k, const void **v)
{
    const struct we_executor *e = w->executor;
    const uint32_t pages = j->chunk / WE_PAGE_POSITIONS;
    for (uint32_t p = first / WE_PAGE_POSITIONS; p <= (last - 1) / WE_PAGE_POSITIONS; p++) {
        struct place place = place_of(e, j, head, p * WE_PAGE_POSITIONS);
        k[p % pages] = place.k;
        v[p % pages] = place.v;
    }
    if (is_latent(j->block))
        we_cpu_latent_values(w, j->block, j->span, first / WE_PAGE_POSITIONS, (last - 1) / WE_PAGE_POSITIONS, pages, k, v);
}

/* `index`: of the head, among those of queries or of keys. A norm over all heads together was applied before. */
static void norm_and_turn(struct we_cpu_worker *w, const struct job *j, const struct we_norm *norm, uint32_t index,
                          uint32_t row, float scale, float *head)
{
    const struct we_attention *a = j->a;
    const float *angles = angles_of(w->executor, j->block->rope, row);
    const bool normed = norm->kind != WE_NORM_NONE && norm->width == a->head_dim;
    const struct we_norm own = we_norm_part(norm, index);
    if (normed && !a->norm_after_rope)
        w->kernels->norm(&own, head, head);
    w->kernels->rope(head, a->head_dim, angles, angles + w->executor->plan.max_pairs, a->rope.rotary_dim / 2,
                     a->rope.interleaved, normed && a->norm_after_rope ? 1.0f : scale);
    if (normed && a->norm_after_rope) {
        w->kernels->norm(&own, head, head);
        w->kernels->rope(head, a->head_dim, NULL, NULL, 0, false, scale);
    }
}

/* A value, and the key as it is before its norm and rope. */
static void make_value(struct we_cpu_worker *w, const struct we_cpu_block *b, const float *key, float *value)
{
    const struct we_attention *a = b->attention;
    if (b->v.linear == NULL)
        memcpy(value, key, a->v_head_dim * sizeof *value);
    if (a->v_norm.kind != WE_NORM_NONE)
        w->kernels->norm(&a->v_norm, value, value);
}

/* The keys and values of a KV head at positions [first, last) of the span, which lie in one page. */
static void write_page(struct we_cpu_worker *w, const struct job *j, uint32_t head, uint32_t first, uint32_t last)
{
    struct we_executor *e = w->executor;
    const struct we_attention *a = j->a;
    const uint32_t v_dim = is_latent(j->block) ? 0 : a->v_head_dim;
    const uint32_t begin = j->span->first_row + (first - j->span->position), slot = first % WE_PAGE_POSITIONS;
    float *k = e->k + begin * e->plan.k.stride + (size_t)head * a->head_dim;
    float *v = e->v + begin * e->plan.v.stride + (size_t)head * v_dim;
    const struct place place = place_of(e, j, head, first);
    for (uint32_t i = 0; i < last - first && v_dim; i++)
        make_value(w, j->block, k + i * e->plan.k.stride, v + i * e->plan.v.stride);
    for (uint32_t i = 0; i < last - first; i++)
        norm_and_turn(w, j, &a->k_norm, head, begin + i, 1.0f, k + i * e->plan.k.stride);
    if (e->kv_dtype == WE_BF16) {
        w->kernels->keep_pairs(&(struct we_cpu_keep){k, v, e->plan.k.stride, e->plan.v.stride, slot, last - first, a->head_dim,
                                                     v_dim, place.k, place.v});
        return;
    }
    for (uint32_t i = 0; i < last - first; i++) {
        for (uint32_t d = 0; d < a->head_dim; d++)
            ((float *)place.k)[(size_t)d * WE_PAGE_POSITIONS + slot + i] = k[i * e->plan.k.stride + d];
        if (v_dim)
            memcpy((float *)place.v + (size_t)(slot + i) * v_dim, v + i * e->plan.v.stride, v_dim * sizeof *v);
    }
}

/* Of them, those in positions [begin, end). */
static void write_rows(struct we_cpu_worker *w, const struct job *j, uint32_t head, uint32_t begin, uint32_t end)
{
    const uint32_t last = j->span->position + j->span->num_rows < end ? j->span->position + j->span->num_rows : end;
    uint32_t first = j->span->position > begin ? j->span->position : begin;
    while (first < last) {
        uint32_t next = (first / WE_PAGE_POSITIONS + 1) * WE_PAGE_POSITIONS;
        next = next < last ? next : last;
        write_page(w, j, head, first, next);
        first = next;
    }
}

/* A phase of its own; a piece is a page of one KV head. */
static void write_all(struct we_cpu_worker *w, const struct we_cpu_block *b)
{
    const struct we_executor *e = w->executor;
    const uint32_t heads = b->attention->num_key_value_heads;
    uint32_t begin = 0, i = 0;
    for (uint32_t piece = we_cpu_take(w);; piece = we_cpu_take(w)) {
        uint32_t pieces = 0, page = 0;
        for (; i < e->num_spans; i++, begin += pieces) {
            const struct we_cpu_span *s = &e->spans[i];
            page = s->position / WE_PAGE_POSITIONS;
            pieces = ((s->position + s->num_rows - 1) / WE_PAGE_POSITIONS - page + 1) * heads;
            if (piece - begin < pieces)
                break;
        }
        if (i == e->num_spans)
            return;
        const struct job j = job_of(w, b, i);
        const uint32_t at = (page + (piece - begin) / heads) * WE_PAGE_POSITIONS;
        write_rows(w, &j, (piece - begin) % heads, at, at + WE_PAGE_POSITIONS);
    }
}

/* ---- queries ---- */

struct query {
    uint32_t row;         /* of the batch */
    uint32_t head;        /* of all heads */
    size_t q, out;        /* places in q and `inner` */
    uint32_t first, last; /* positions seen: [first, last) */
};

static struct query query_of(const struct we_executor *e, const struct job *j, uint32_t head, uint32_t index)
{
    const uint32_t row = index / j->group, query_head = head * j->group + index % j->group;
    const uint32_t position = j->span->position + j->skipped + row;
    return (struct query){.row = j->span->first_row + j->skipped + row,
                          .head = query_head,
                          .q = (j->first_row + row) * j->q_stride + (size_t)query_head * j->a->head_dim,
                          .out = (j->first_row + row) * e->plan.inner.stride + (size_t)query_head * j->a->v_head_dim,
                          .first = first_seen(j->a, position),
                          .last = position + 1};
}

/* The query, normed and turned, in place `slot` of the worker's scratch. */
static const float *turned(struct we_cpu_worker *w, const struct job *j, const struct query *query, const float *q,
                           uint32_t slot)
{
    float *to = w->scratch->turned + (size_t)slot * w->executor->plan.max_head_dim;
    const struct we_attention *a = j->a;
    float scale = a->scale;
    if (a->q_growth != 0.0f) {
        const uint32_t periods = (query->last - 1) / a->q_period; /* last - 1 is the query's own position */
        scale *= 1.0f + a->q_growth * logf(1.0f + (float)periods);
    }
    memcpy(to, q + query->q, a->head_dim * sizeof *to);
    norm_and_turn(w, j, &a->q_norm, query->head, query->row, scale, to);
    return to;
}

/* What a query begins with: nothing, or its head's sink, a score without a value. */
static void begin_query(const struct we_attention *a, const struct query *query, float *max, float *sum)
{
    *max = a->sinks.data ? we_load_float(a->sinks.data, a->sinks.dtype, query->head) : -INFINITY;
    *sum = a->sinks.data ? 1.0f : 0.0f;
}

static void finish(const struct we_executor *e, const struct query *query, const float *state, float sum, uint32_t width)
{
    float *out = e->inner + query->out;
    for (uint32_t d = 0; d < width; d++)
        out[d] = state[d] / sum;
}

/* Up to WE_CPU_ATTEND_ROWS queries, from index `begin` on. */
struct queries {
    uint32_t begin, count;
    struct query query[WE_CPU_ATTEND_ROWS];
    const float *q[WE_CPU_ATTEND_ROWS];
    float max[WE_CPU_ATTEND_ROWS], sum[WE_CPU_ATTEND_ROWS];
    float *state; /* (count, v_head_dim) */
};

static float *partial_of(const struct we_executor *e, const struct job *j, size_t base, uint32_t head, uint32_t query,
                         uint32_t chunk)
{
    size_t index = base + ((size_t)head * j->queries + query) * j->num_chunks + (chunk - j->first_chunk);
    return e->partials + index * we_cpu_partial_floats(j->a);
}

/* The queries' chunk that begins at `begin`: into their state, or (split) into their places among the partial results. */
static void attend_chunk(struct we_cpu_worker *w, const struct job *j, uint32_t head, struct queries *queries, uint32_t begin,
                         bool split, size_t base)
{
    const struct we_executor *e = w->executor;
    const struct we_attention *a = j->a;
    struct we_cpu_attend attend = {.head_dim = a->head_dim,
                                   .v_head_dim = a->v_head_dim,
                                   .softcap = a->logit_softcapping,
                                   .scores = w->scratch->scores,
                                   .out = w->scratch->chunk_out};
    uint32_t which[WE_CPU_ATTEND_ROWS], first = UINT32_MAX, last = 0;
    for (uint32_t i = 0; i < queries->count; i++) {
        const struct query *query = &queries->query[i];
        uint32_t from = query->first > begin ? query->first : begin;
        uint32_t to = query->last < begin + j->chunk ? query->last : begin + j->chunk;
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
    find_pages(w, j, head, first, last, attend.k, attend.v);
    (e->kv_dtype == WE_F32 ? w->kernels->attend : w->kernels->attend_pairs)(&attend);
    for (uint32_t r = 0; r < attend.num_rows; r++) {
        const uint32_t i = which[r];
        const float *out = attend.out + (size_t)r * a->v_head_dim;
        if (split) {
            float *partial = partial_of(e, j, base, head, queries->begin + i, begin / j->chunk);
            memcpy(partial, out, a->v_head_dim * sizeof *out);
            partial[a->v_head_dim] = attend.max[r];
            partial[a->v_head_dim + 1] = attend.sum[r];
        } else {
            w->kernels->merge(&queries->max[i], &queries->sum[i], queries->state + (size_t)i * a->v_head_dim, attend.max[r],
                              attend.sum[r], out, a->v_head_dim);
        }
    }
}

/* Queries [begin, begin + count); the first of them is number `slot` of the piece. */
static void prepare(struct we_cpu_worker *w, const struct job *j, uint32_t head, uint32_t begin, uint32_t count, uint32_t slot,
                    const float *q, struct queries *queries)
{
    queries->begin = begin;
    queries->count = count;
    queries->state = w->scratch->state_out + (size_t)slot * j->a->v_head_dim;
    memset(queries->state, 0, (size_t)count * j->a->v_head_dim * sizeof *queries->state);
    for (uint32_t i = 0; i < count; i++) {
        queries->query[i] = query_of(w->executor, j, head, begin + i);
        queries->q[i] = turned(w, j, &queries->query[i], q, slot + i);
        begin_query(j->a, &queries->query[i], &queries->max[i], &queries->sum[i]);
    }
}

/* The queries of a piece over chunk `only`, or (UINT32_MAX) over all: each chunk is met by all of them while it is near. */
static void attend_piece(struct we_cpu_worker *w, const struct job *j, uint32_t head, uint32_t piece, uint32_t only,
                         size_t base, const float *q)
{
    const uint32_t rows = w->executor->kv_dtype == WE_F32 ? WE_CPU_ATTEND_F32_ROWS : WE_CPU_ATTEND_ROWS;
    const uint32_t begin = piece * PIECE_QUERIES;
    const uint32_t end = begin + PIECE_QUERIES < j->queries ? begin + PIECE_QUERIES : j->queries;
    struct queries groups[MOST_GROUPS];
    uint32_t count = 0;
    for (uint32_t i = begin; i < end; i += rows)
        prepare(w, j, head, i, end - i < rows ? end - i : rows, i - begin, q, &groups[count++]);
    if (count == 0)
        return;
    if (only != UINT32_MAX) {
        for (uint32_t g = 0; g < count; g++)
            attend_chunk(w, j, head, &groups[g], only * j->chunk, true, base);
        return;
    }
    const uint32_t first = groups[0].query[0].first, last = groups[count - 1].query[groups[count - 1].count - 1].last;
    for (uint32_t chunk = first / j->chunk; chunk <= (last - 1) / j->chunk; chunk++)
        for (uint32_t g = 0; g < count; g++)
            attend_chunk(w, j, head, &groups[g], chunk * j->chunk, false, 0);
    for (uint32_t g = 0; g < count; g++)
        for (uint32_t i = 0; i < groups[g].count; i++)
            finish(w->executor, &groups[g].query[i], groups[g].state + (size_t)i * j->a->v_head_dim, groups[g].sum[i],
                   j->a->v_head_dim);
}

/* ---- tiles of queries ---- */

/* They take turns at each chunk, which stays in the cache meanwhile. */
static void attend_tiles(struct we_cpu_worker *w, const struct job *j, uint32_t head, uint32_t piece, const float *q)
{
    const struct we_executor *e = w->executor;
    struct we_cpu_attend_tile tiles[WE_CPU_TILES];
    struct query queries[WE_CPU_TILES][WE_CPU_TILE_QUERIES];
    uint32_t first = UINT32_MAX, last = 0, count = 0;
    for (uint32_t at = piece * WE_CPU_TILES * WE_CPU_TILE_QUERIES; count < WE_CPU_TILES && at < j->queries; count++) {
        struct we_cpu_attend_tile *t = &tiles[count];
        *t = (struct we_cpu_attend_tile){.scale = 1.0f,
                                         .softcap = j->a->logit_softcapping,
                                         .has_sinks = j->a->sinks.data != NULL,
                                         .head_dim = j->a->head_dim,
                                         .v_head_dim = j->a->v_head_dim,
                                         .valid_first = first_seen(j->a, j->span->position),
                                         .valid_last = j->span->position + j->span->num_rows,
                                         .state = w->scratch->tiles + count * e->tile_state_bytes,
                                         .work = w->scratch->tile_work};
        for (; t->num_rows < WE_CPU_TILE_QUERIES && at < j->queries; t->num_rows++, at++) {
            struct query *query = &queries[count][t->num_rows];
            *query = query_of(e, j, head, at);
            t->q[t->num_rows] = turned(w, j, query, q, t->num_rows);
            float one;
            begin_query(j->a, query, &t->sink[t->num_rows], &one);
            t->first[t->num_rows] = query->first;
            t->last[t->num_rows] = query->last;
            first = query->first < first ? query->first : first;
            last = query->last > last ? query->last : last;
        }
        w->kernels->tile_begin(t);
    }
    for (uint32_t begin = first / j->chunk * j->chunk; begin < last; begin += j->chunk) {
        const void *k[WE_CPU_PAIRS_CHUNK_PAGES], *v[WE_CPU_PAIRS_CHUNK_PAGES];
        find_pages(w, j, head, first > begin ? first : begin, last < begin + j->chunk ? last : begin + j->chunk, k, v);
        for (uint32_t i = 0; i < count; i++)
            w->kernels->tile_chunk(&tiles[i], begin, k, v);
    }
    for (uint32_t i = 0; i < count; i++) {
        float *out[WE_CPU_TILE_QUERIES];
        for (uint32_t r = 0; r < tiles[i].num_rows; r++)
            out[r] = e->inner + queries[i][r].out;
        w->kernels->tile_end(&tiles[i], out);
    }
}

/* ---- all pieces ---- */

/* One query's chunks that were split, in order. */
static void combine(struct we_cpu_worker *w, const struct job *j, size_t base, uint32_t head, uint32_t index)
{
    const struct we_executor *e = w->executor;
    const uint32_t width = j->a->v_head_dim;
    const struct query query = query_of(e, j, head, index);
    float max, sum, *state = w->scratch->state_out;
    begin_query(j->a, &query, &max, &sum);
    memset(state, 0, width * sizeof *state);
    for (uint32_t chunk = query.first / j->chunk; chunk <= (query.last - 1) / j->chunk; chunk++) {
        const float *partial = partial_of(e, j, base, head, index, chunk);
        w->kernels->merge(&max, &sum, state, partial[width], partial[width + 1], partial, width);
    }
    finish(e, &query, state, sum, width);
}

static void combine_all(struct we_cpu_worker *w, const struct we_cpu_block *b)
{
    const struct we_executor *e = w->executor;
    uint32_t begin = 0;
    size_t base = 0;
    uint32_t piece = we_cpu_take(w);
    for (uint32_t i = 0; i < e->num_spans; i++) {
        const struct job j = job_of(w, b, i);
        const uint32_t pieces = j.a->num_key_value_heads;
        for (; piece - begin < pieces; piece = we_cpu_take(w))
            for (uint32_t query = 0; query < j.queries; query++)
                combine(w, &j, base, piece - begin, query);
        begin += pieces;
        base += partials_of(&j);
    }
}

void we_cpu_attention(struct we_cpu_worker *w, const struct we_cpu_block *b, const float *q)
{
    struct we_executor *e = w->executor;
    const uint32_t heads = b->attention->num_key_value_heads;
    const struct plan plan = make_plan(w, b);
    w->held = (struct we_cpu_held){0};
    if (!plan.fused && !b->attention->shares_kv) {
        write_all(w, b);
        we_cpu_end_phase(w);
    }
    uint32_t begin = 0;
    size_t base = 0;
    uint32_t piece = we_cpu_take(w);
    for (uint32_t i = 0; i < e->num_spans; i++) {
        const struct job j = job_of(w, b, i);
        /* Where no query is computed, a piece may still have rows to write. */
        const uint32_t chunks = plan.split && j.num_chunks ? j.num_chunks : 1;
        const uint32_t pieces = (plan.fused && j.query_pieces == 0 ? 1 : j.query_pieces) * chunks * heads;
        for (; piece - begin < pieces; piece = we_cpu_take(w)) {
            /* The last queries see most: they go first, so that no worker is left alone with them at the end. */
            const uint32_t back = pieces - 1 - (piece - begin), head = back % heads, part = back / heads;
            const uint32_t only = plan.split && j.num_chunks ? j.first_chunk + part % chunks : UINT32_MAX;
            if (plan.fused && only == UINT32_MAX)
                write_rows(w, &j, head, 0, UINT32_MAX);
            else if (plan.fused) /* the first one takes the rows that no query sees, too */
                write_rows(w, &j, head, only == j.first_chunk ? 0 : only * j.chunk, (only + 1) * j.chunk);
            if (j.tiles)
                attend_tiles(w, &j, head, part, q);
            else
                attend_piece(w, &j, head, part / chunks, only, base, q);
        }
        begin += pieces;
        base += partials_of(&j);
    }
    if (plan.split) {
        we_cpu_end_phase(w);
        combine_all(w, b);
    }
}
