/* The CPU back-end: load, batches, pages. A batch runs within submit, on the caller's thread and the pool's. */
#include "backend/cpu/executor.h"

#include "base/system.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- memory ---- */

/* Counts bytes, or allocates them: load and estimate go through the same list of buffers. */
struct sink {
    bool allocate, failed;
    uint64_t bytes;
    void **list;
};

enum { HEADER = 64, ROUTER_ROWS = 8 };

static uint64_t times(uint64_t a, uint64_t b)
{
    return b && a > UINT64_MAX / 2 / b ? UINT64_MAX / 2 : a * b;
}

/* (count) elements of `size`, zeroed, aligned to HEADER. Large ones cost nothing until they are touched. */
static void *take(struct sink *sink, uint64_t count, uint64_t size)
{
    uint64_t bytes = times(count, size) + 2 * HEADER;
    sink->bytes = sink->bytes > UINT64_MAX / 2 - bytes ? UINT64_MAX / 2 : sink->bytes + bytes;
    if (!sink->allocate || sink->failed)
        return NULL;
    void *block = bytes <= SIZE_MAX / 2 ? calloc(1, (size_t)bytes) : NULL;
    if (block == NULL) {
        sink->failed = true;
        return NULL;
    }
    *(void **)block = *sink->list; /* the blocks are a list, through their first bytes */
    *sink->list = block;
    return (void *)(((uintptr_t)block + sizeof(void *) + HEADER - 1) & ~(uintptr_t)(HEADER - 1));
}

/* Buffers for `rows` rows in the forms that one or the other table wants: those of each set begin with a block of their own. */
static void take_packed(struct we_executor *e, struct sink *sink, const bool (*forms)[WE_CPU_FORM_COUNT],
                        const bool (*more)[WE_CPU_FORM_COUNT], uint64_t rows, uint32_t width, struct we_cpu_packed *packed)
{
    for (int f = 0; f < WE_CPU_FORM_COUNT; f++) {
        const struct we_cpu_form_kernels *kernels = &e->kernels->forms[f];
        if (forms[0][f] || forms[1][f] || (more && (more[0][f] || more[1][f])))
            packed->x[f] = take(sink, rows + WE_CPU_MOST_SETS * (kernels->block_rows - 1), kernels->row_bytes(width));
    }
}

static void take_scratch(struct we_executor *e, struct sink *sink)
{
    const struct we_cpu_plan *plan = &e->plan;
    struct we_cpu_scratch *all = take(sink, e->threads, sizeof *e->scratch);
    e->scratch = all;
    for (uint32_t i = 0; i < e->threads; i++) {
        struct we_cpu_scratch s = {
            .panel = take(sink, WE_CPU_PANEL_BYTES, 1),
            .normed = take(sink, times(WE_CPU_MOST_BLOCK_ROWS, plan->normed.stride), sizeof(float)),
            .piece = {take(sink, WE_CPU_PIECE_VALUES, sizeof(float)), take(sink, WE_CPU_PIECE_VALUES, sizeof(float))},
            .scores = take(sink, (uint64_t)WE_CPU_ATTEND_ROWS * WE_CPU_CHUNK, sizeof(float)),
            .chunk_out = take(sink, times(WE_CPU_ATTEND_ROWS, plan->max_v_head_dim), sizeof(float)),
            .state_out = take(sink, times(WE_CPU_PIECE_QUERIES, plan->max_v_head_dim), sizeof(float)),
            .turned = take(sink, times(WE_CPU_PIECE_QUERIES, plan->max_head_dim), sizeof(float)),
        };
        if (plan->layer_inputs.width)
            s.layer_row = take(sink, plan->layer_inputs.stride, sizeof(float));
        if (plan->max_latent_dim) {
            struct we_cpu_packed heads = {0};
            s.latents =
                take(sink, times(e->kv_dtype == WE_F32 ? WE_CPU_CHUNK : WE_CPU_PAIRS_CHUNK, plan->max_latent_dim), e->kv_size);
            take_packed(e, sink, plan->head_forms, NULL, WE_CPU_HEAD_TOKENS, plan->max_head_in, &heads);
            memcpy(s.head_x, heads.x, sizeof s.head_x);
        }
        if (plan->most_experts) {
            const uint64_t rows = ROUTER_ROWS;
            const uint64_t bytes = e->kernels->forms[WE_CPU_FORM_F32].row_bytes(plan->hidden.width);
            const uint64_t other = e->kernels->forms[WE_CPU_FORM_F32_NIBBLES].row_bytes(plan->hidden.width);
            s.router = take(sink, times(rows, plan->most_experts), sizeof(float));
            s.rank = take(sink, plan->most_experts, sizeof(float));
            s.router_x = take(sink, rows, bytes > other ? bytes : other);
        }
        if (plan->num_loras)
            s.lora = take(sink, WE_CPU_PIECE_TOKENS * WE_CPU_LORA_RANK, sizeof(float));
        if (e->tiles) {
            s.tiles = take(sink, WE_CPU_TILES, e->tile_state_bytes);
            s.tile_work = take(sink, e->kernels->tile_work_bytes(plan->max_head_dim, plan->max_v_head_dim), 1);
        }
        take_packed(e, sink, plan->hidden_forms, plan->inner_forms, WE_CPU_PRIVATE_ROWS,
                    plan->inner_in > plan->hidden.width ? plan->inner_in : plan->hidden.width, &s.x);
        take_packed(e, sink, plan->hidden_forms, NULL, WE_CPU_PRIVATE_ROWS, plan->hidden.width, &s.kept_x);
        if (all)
            all[i] = s;
    }
}

/* For the chunks of all positions that a sequence can have. */
static uint64_t partials_of(const struct we_executor *e)
{
    const uint32_t chunk = e->kv_dtype == WE_F32 ? WE_CPU_CHUNK : WE_CPU_PAIRS_CHUNK;
    uint64_t most = 0;
    for (uint32_t i = 0; i < e->plan.num_blocks; i++) {
        const struct we_cpu_block *b = &e->plan.blocks[i];
        const struct we_attention *a = b->attention;
        if (a == NULL)
            continue;
        const uint64_t chunks = times(e->options.num_pages[b->group], WE_PAGE_POSITIONS) / chunk + 2;
        const uint64_t floats = times(chunks, a->num_attention_heads * we_cpu_partial_floats(a));
        most = floats > most ? floats : most;
    }
    return times(most, WE_CPU_SPLIT_QUERIES);
}

static void take_moe(struct we_executor *e, struct sink *sink)
{
    const struct we_cpu_plan *plan = &e->plan;
    struct we_cpu_moe *m = &e->moe;
    const uint64_t rows = e->options.max_rows, slots = times(rows, plan->most_top_k);
    const uint64_t groups = WE_CPU_MOST_SETS * (uint64_t)plan->most_experts;
    const uint64_t packed = slots + (WE_CPU_MOST_BLOCK_ROWS - 1) * (slots < groups ? slots : groups);
    m->chosen = take(sink, slots, sizeof *m->chosen);
    m->slots = take(sink, slots, sizeof *m->slots);
    m->slot_rows = take(sink, slots, sizeof *m->slot_rows);
    m->weights = take(sink, slots, sizeof *m->weights);
    m->shared_weights = take(sink, rows, sizeof *m->shared_weights);
    m->counts = take(sink, plan->most_experts, sizeof *m->counts);
    m->groups = take(sink, groups, sizeof *m->groups);
    m->ups = take(sink, groups + WE_CPU_MOST_SETS, sizeof *m->ups);
    m->downs = take(sink, groups + WE_CPU_MOST_SETS, sizeof *m->downs);
    take_packed(e, sink, plan->expert_forms, NULL, packed, plan->expert_stream.width, &m->x);
    take_packed(e, sink, plan->expert_inner_forms, NULL, packed, plan->expert_inner.width, &m->inner_x);
    m->inner = take(sink, times(slots, plan->expert_inner.stride), sizeof(float));
    m->out = take(sink, times(slots, plan->expert_stream.stride), sizeof(float));
    m->latent = take(sink, plan->latent.width ? times(rows, plan->latent.stride) : 0, sizeof(float));
}

static void take_buffers(struct we_executor *e, struct sink *sink)
{
    const struct we_load_options *o = &e->options;
    const struct we_cpu_plan *plan = &e->plan;
    const uint64_t rows = o->max_rows, kept = o->max_logit_rows;
    e->stream = take(sink, times(rows, plan->hidden.stride), sizeof(float));
    e->kept_stream = take(sink, times(kept, plan->hidden.stride), sizeof(float));
    take_packed(e, sink, plan->hidden_forms, NULL, rows, plan->hidden.width, &e->x);
    take_packed(e, sink, plan->hidden_forms, NULL, kept, plan->hidden.width, &e->kept_x);
    take_packed(e, sink, plan->inner_forms, NULL, rows, plan->inner_in, &e->inner_x);
    const uint64_t mixed = (uint64_t)plan->q.stride + plan->k.stride + plan->v.stride;
    e->q = e->up = take(sink, times(rows, mixed > plan->up.stride ? mixed : plan->up.stride), sizeof(float));
    if (e->q) {
        e->k = e->q + rows * plan->q.stride;
        e->v = e->k + rows * plan->k.stride;
    }
    e->inner = take(sink, times(rows, plan->inner.stride), sizeof(float));
    e->gate = take(sink, plan->gate.width ? times(rows, plan->gate.stride) : 0, sizeof(float));
    e->slots = take(sink, times(o->num_slots, plan->slot_floats), sizeof(float));
    for (uint32_t i = 0; i < plan->num_blocks; i++) {
        struct we_cpu_recurrence *r = &plan->blocks[i].recurrence;
        if (r->num_constants)
            r->constants = take(sink, r->num_constants, sizeof(float));
    }
    e->latent_q = take(sink, plan->latent_q.width ? times(rows, plan->latent_q.stride) : 0, sizeof(float));
    e->layer_inputs = take(sink, plan->layer_inputs.width ? times(rows, plan->layer_inputs.stride) : 0, sizeof(float));
    e->num_partials = partials_of(e);
    e->partials = take(sink, e->num_partials, sizeof(float));
    e->block_out = take(sink, plan->has_sums ? times(rows, plan->hidden.stride) : 0, sizeof(float));
    e->step_sum = take(sink, plan->has_sums ? times(rows, plan->hidden.stride) : 0, sizeof(float));
    e->angles = take(sink, times(times(rows, plan->num_ropes), 2 * (uint64_t)plan->max_pairs), sizeof(float));
    e->logits = take(sink, times(kept, o->decoder->vocab_size), sizeof(float));
    e->spans = take(sink, o->max_spans, sizeof *e->spans);
    e->shares = take(sink, WE_CPU_CURSORS * e->threads, sizeof *e->shares);
    e->tokens = take(sink, rows, sizeof *e->tokens);
    e->row_span = take(sink, rows, sizeof *e->row_span);
    e->kept = take(sink, kept, sizeof *e->kept);
    take_scratch(e, sink);
    if (plan->most_experts)
        take_moe(e, sink);
    uint8_t **pages = take(sink, o->layout->num_groups, sizeof *e->pages);
    e->pages = pages;
    for (uint32_t g = 0; g < o->layout->num_groups; g++) {
        uint8_t *group = take(sink, times(o->num_pages[g], o->layout->groups[g].page_values), e->kv_size);
        if (pages)
            pages[g] = group;
    }
}

/* ---- load ---- */

static uint32_t threads_of(const struct we_load_options *options)
{
    return options->threads ? options->threads : we_processor_count();
}

static bool probe(const struct we_load_options *options, struct we_device_info *info)
{
    const struct we_cpu_kernels *kernels = we_cpu_kernels_select(options ? options->isa : NULL, NULL);
    uint32_t threads = options ? threads_of(options) : we_processor_count();
    snprintf(info->name, sizeof info->name, "cpu (%s, %u thread%s)", kernels ? kernels->name : "unknown instruction set",
             threads, threads == 1 ? "" : "s");
    info->memory_available = we_memory_available();
    return true;
}

/* All but memory and threads. */
static we_status prepare(const struct we_load_options *options, struct we_executor *e, struct we_error *error)
{
    enum { MOST = 1 << 20 };
    *e = (struct we_executor){.options = *options, .threads = threads_of(options)};
    we_cpu_team_init(&e->team, e->threads);
    e->kernels = we_cpu_kernels_select(options->isa, error);
    if (e->kernels == NULL)
        return error && error->status != WE_OK ? error->status : WE_UNSUPPORTED;
    if (options->layout->dtype != WE_F32 && options->layout->dtype != WE_BF16)
        return we_error_set(error, WE_UNSUPPORTED, "a KV cache of type %s; the CPU back-end has F32 and BF16",
                            we_dtype_name(options->layout->dtype));
    e->kv_dtype = options->layout->dtype;
    e->kv_size = we_dtype_size(e->kv_dtype);
    if (options->max_rows == 0 || options->max_rows > MOST || options->max_spans == 0 || options->max_spans > MOST ||
        options->max_logit_rows > options->max_rows || e->threads > 1024)
        return we_error_set(error, WE_INVALID_ARGUMENT,
                            "an executor for %u rows, %u sequences, %u rows of logits and %u threads; from 1 to %d rows and "
                            "sequences, no more rows of logits than rows, and at most 1024 threads were expected",
                            options->max_rows, options->max_spans, options->max_logit_rows, e->threads, (int)MOST);
    we_status status = we_cpu_plan_make(options, e->kernels, &e->plan, error);
    e->tiles = e->kernels->tile_begin && e->kv_dtype == WE_BF16 && options->precision == WE_PRECISION_FAST;
    if (status == WE_OK && e->tiles)
        e->tile_state_bytes = e->kernels->tile_state_bytes(e->plan.max_head_dim, e->plan.max_v_head_dim);
    return status;
}

static we_status estimate(const struct we_load_options *options, uint64_t *bytes, struct we_error *error)
{
    struct we_executor e;
    we_status status = prepare(options, &e, error);
    if (status != WE_OK)
        return status;
    struct sink sink = {0};
    take_buffers(&e, &sink);
    uint64_t plan = e.plan.num_blocks * sizeof *e.plan.blocks + e.plan.num_steps * sizeof *e.plan.steps;
    *bytes = sink.bytes + sizeof e + plan + e.threads * (uint64_t)(64 * 1024);
    we_cpu_plan_free(&e.plan);
    return WE_OK;
}

static void unload(struct we_executor *e)
{
    if (e == NULL)
        return;
    we_pool_free(e->pool);
    we_cpu_residence_close(&e->residence);
    for (void *block = e->allocations, *next; block; block = next) {
        next = *(void **)block;
        free(block);
    }
    we_cpu_plan_free(&e->plan);
    free(e);
}

static we_status load(const struct we_load_options *options, struct we_executor **executor, struct we_error *error)
{
    *executor = NULL;
    struct we_executor *e = aligned_alloc(64, (sizeof *e + 63) & ~(size_t)63);
    if (e == NULL)
        return we_error_memory(error, "the executor");
    we_status status = prepare(options, e, error);
    if (status != WE_OK) {
        free(e);
        return status;
    }
    struct sink sink = {.allocate = true, .list = &e->allocations};
    take_buffers(e, &sink);
    if (sink.failed)
        status =
            we_error_set(error, WE_OUT_OF_MEMORY,
                         "out of memory for the KV cache and buffers, %llu MB in all; a shorter context or fewer sequences "
                         "need less",
                         (unsigned long long)(sink.bytes / 1000000));
    else
        status = we_pool_new(e->threads, &e->pool, error);
    if (status != WE_OK) {
        unload(e);
        return status;
    }
    for (uint32_t i = 0; i < e->plan.num_blocks; i++)
        if (e->plan.blocks[i].recurrence.num_constants)
            we_cpu_recurrence_prepare(&e->plan.blocks[i]);
    we_cpu_residence_open(&e->plan, options, &e->residence);
    *executor = e;
    return WE_OK;
}

/* ---- batches ---- */

/* Seconds of a batch in which weights are brought in: twice what the last one took, up to what no one minds for a token. Less
 * would be no kinder: until they are in, each token takes half as long again. */
static double settling(const struct we_executor *e)
{
    const double least = 0.002, share = 2, most = 0.25, seconds = e->batch_seconds * share;
    return seconds < least ? least : seconds > most ? most : seconds;
}

static we_status check_pages(const struct we_executor *e, const struct we_span *s, uint32_t index, struct we_error *error)
{
    const struct we_kv_layout *layout = e->options.layout;
    for (uint32_t g = 0; g < layout->num_groups; g++) {
        uint32_t window = layout->groups[g].window;
        uint32_t seen = window && s->position + 1 > window ? s->position + 1 - window : 0;
        if (s->page_tables == NULL || s->page_tables[g] == NULL)
            return we_error_set(error, WE_INVALID_ARGUMENT, "span %u has no page table for group %u", index, g);
        for (uint32_t p = seen / WE_PAGE_POSITIONS; p <= (s->position + s->num_rows - 1) / WE_PAGE_POSITIONS; p++)
            if (s->page_tables[g][p] >= e->options.num_pages[g])
                return we_error_set(error, WE_INVALID_ARGUMENT, "span %u has no page for positions %u to %u in group %u", index,
                                    p * WE_PAGE_POSITIONS, p * WE_PAGE_POSITIONS + WE_PAGE_POSITIONS - 1, g);
    }
    return WE_OK;
}

static we_status check_slots(const struct we_executor *e, const struct we_span *s, uint32_t index, struct we_error *error)
{
    const uint32_t slots = e->options.num_slots;
    if (e->plan.slot_floats == 0)
        return WE_OK;
    if ((s->position && s->state_in >= slots) || s->state_out >= slots)
        return we_error_set(error, WE_INVALID_ARGUMENT, "span %u has its state in slot %u and will have it in %u; there are %u",
                            index, s->state_in, s->state_out, slots);
    if (s->save_rows > s->num_rows || (s->save_rows && (s->save_slot >= slots || s->save_slot == s->state_out ||
                                                        (s->position && s->save_slot == s->state_in))))
        return we_error_set(error, WE_INVALID_ARGUMENT,
                            "span %u has %u rows, and is to save its state after %u in slot %u of %u", index, s->num_rows,
                            s->save_rows, s->save_slot, slots);
    return WE_OK;
}

static we_status check_span(const struct we_executor *e, const struct we_span *s, uint32_t index, uint32_t first_row,
                            uint32_t num_rows, struct we_error *error)
{
    if (s->first_row != first_row || s->num_rows == 0 || s->num_rows > num_rows - first_row || s->num_logit_rows > s->num_rows)
        return we_error_set(error, WE_INVALID_ARGUMENT,
                            "span %u has rows %u to %u and %u rows of logits, in a batch of %u rows", index, s->first_row,
                            s->first_row + s->num_rows, s->num_logit_rows, num_rows);
    if (s->position > UINT32_MAX - WE_PAGE_POSITIONS - s->num_rows || (unsigned)s->rope_mode > WE_ROPE_LONG ||
        (unsigned)s->phase > WE_PHASE_DECODE)
        return we_error_set(error, WE_INVALID_ARGUMENT, "span %u has position %u, rope mode %d, phase %d", index, s->position,
                            (int)s->rope_mode, (int)s->phase);
    we_status status = check_slots(e, s, index, error);
    return status == WE_OK ? check_pages(e, s, index, error) : status;
}

/* Appends `count` rows: to the set of their phase, or, in exact mode, where both are computed alike, to the one set. */
static bool add_rows(const struct we_executor *e, struct we_cpu_rows *rows, enum we_phase phase, uint32_t count)
{
    struct we_cpu_set *set = rows->num_sets ? &rows->sets[rows->num_sets - 1] : NULL;
    if (set == NULL || (set->phase != phase && e->options.precision == WE_PRECISION_FAST)) {
        if (rows->num_sets == WE_CPU_MOST_SETS)
            return false;
        set = &rows->sets[rows->num_sets++];
        *set = (struct we_cpu_set){phase, rows->count, 0};
    }
    set->count += count;
    rows->count += count;
    return true;
}

/* Copies the batch, checking it. */
static we_status accept(struct we_executor *e, const struct we_batch *batch, struct we_error *error)
{
    const struct we_load_options *o = &e->options;
    if (batch->num_rows == 0 || batch->num_rows > o->max_rows || batch->num_spans == 0 || batch->num_spans > o->max_spans)
        return we_error_set(error, WE_INVALID_ARGUMENT,
                            "a batch of %u rows and %u spans; the executor takes 1 to %u and 1 to %u", batch->num_rows,
                            batch->num_spans, o->max_rows, o->max_spans);
    e->rows = e->kept_rows = (struct we_cpu_rows){0};
    for (uint32_t i = 0; i < batch->num_spans; i++) {
        const struct we_span *s = &batch->spans[i];
        const uint32_t row = e->rows.count, kept = e->kept_rows.count;
        we_status status = check_span(e, s, i, row, batch->num_rows, error);
        if (status != WE_OK)
            return status;
        if (s->num_logit_rows > o->max_logit_rows - kept)
            return we_error_set(error, WE_INVALID_ARGUMENT, "a batch that asks for more than %u rows of logits",
                                o->max_logit_rows);
        e->spans[i] =
            (struct we_cpu_span){s->page_tables, s->first_row, s->num_rows, s->position,  kept,         s->num_logit_rows,
                                 s->rope_mode,   s->phase,     s->state_in, s->state_out, s->save_slot, s->save_rows};
        if (!add_rows(e, &e->rows, s->phase, s->num_rows) ||
            (s->num_logit_rows && !add_rows(e, &e->kept_rows, s->phase, s->num_logit_rows)))
            return we_error_set(error, WE_INVALID_ARGUMENT, "span %u: spans of one phase must follow each other", i);
        for (uint32_t r = row; r < e->rows.count; r++)
            e->row_span[r] = i;
        for (uint32_t r = 0; r < s->num_logit_rows; r++)
            e->kept[kept + r] = e->rows.count - s->num_logit_rows + r;
    }
    if (e->rows.count != batch->num_rows)
        return we_error_set(error, WE_INVALID_ARGUMENT, "a batch of %u rows whose spans have %u", batch->num_rows,
                            e->rows.count);
    for (uint32_t i = 0; i < batch->num_rows; i++)
        if (batch->tokens[i] >= o->decoder->vocab_size)
            return we_error_set(error, WE_INVALID_ARGUMENT, "token id %u; the model has ids 0 to %u", batch->tokens[i],
                                o->decoder->vocab_size - 1);
    memcpy(e->tokens, batch->tokens, batch->num_rows * sizeof *e->tokens);
    e->num_spans = batch->num_spans;
    return WE_OK;
}

/* A batch, and what tells how many workers the next one gets. */
static void walk_observed(void *context, uint32_t worker)
{
    struct we_executor *e = context;
    we_cpu_walk(e, worker);
    e->scratch[worker].interruptions = we_thread_interruptions();
}

static void walk_on_team(struct we_executor *e)
{
    const uint32_t workers = e->team.active;
    uint64_t before = 0, after = 0;
    for (uint32_t i = 0; i < workers; i++)
        before += e->scratch[i].interruptions;
    const double begin = we_clock();
    const bool settled = we_cpu_all_settled(&e->residence);
    we_pool_run_on(e->pool, workers, walk_observed, e);
    for (uint32_t i = 0; i < workers; i++)
        after += e->scratch[i].interruptions;
    if (settled)
        we_cpu_team_observe(&e->team, e->rows.count, we_clock() - begin, (uint32_t)(after - before));
}

static we_status submit(struct we_executor *e, const struct we_batch *batch, uint64_t *ticket, struct we_error *error)
{
    if (e->pending)
        return we_error_set(error, WE_INVALID_ARGUMENT, "a batch is under way: poll it before the next");
    we_status status = accept(e, batch, error);
    if (status != WE_OK)
        return status;
    for (int i = 0; i < WE_CPU_CURSORS; i++)
        atomic_store_explicit(&e->cursors[i].value, 0, memory_order_relaxed);
    for (uint32_t i = 0; i < WE_CPU_CURSORS * e->threads; i++)
        atomic_store_explicit(&e->shares[i].value, 0, memory_order_relaxed);
    const double begin = we_clock();
    e->residence.deadline = begin + settling(e);
    walk_on_team(e);
    e->batch_seconds = we_clock() - begin;
    e->pending = true;
    e->ticket++;
    if (ticket)
        *ticket = e->ticket;
    return WE_OK;
}

static bool poll(struct we_executor *e, struct we_batch_result *result)
{
    if (!e->pending)
        return false;
    e->pending = false;
    *result = (struct we_batch_result){
        .logits = e->logits, .num_logit_rows = e->kept_rows.count, .ticket = e->ticket, .status = WE_OK};
    return true;
}

static we_status copy_page(struct we_executor *e, uint32_t group, we_page from, we_page to, struct we_error *error)
{
    const struct we_kv_layout *layout = e->options.layout;
    if (group >= layout->num_groups || from >= e->options.num_pages[group] || to >= e->options.num_pages[group])
        return we_error_set(error, WE_INVALID_ARGUMENT, "a copy of page %u to page %u of group %u: there is none", from, to,
                            group);
    size_t values = layout->groups[group].page_values;
    if (from != to)
        memcpy(e->pages[group] + to * values * e->kv_size, e->pages[group] + from * values * e->kv_size, values * e->kv_size);
    return WE_OK;
}

const struct we_backend we_backend_cpu = {
    .name = "cpu",
    .probe = probe,
    .estimate = estimate,
    .load = load,
    .submit = submit,
    .poll = poll,
    .copy_page = copy_page,
    .unload = unload,
};
