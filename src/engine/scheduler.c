#include "engine/scheduler.h"

#include "base/system.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum {
    CANCEL_POLL_MS = 50, /* how often a thread that waits for another one looks at `cancel` */
};

struct we_sequence {
    struct we_sequence *next;       /* in the queue of the scheduler, oldest first */
    uint32_t *tokens;               /* (num_tokens) prompt and reply; room for `limit` */
    uint32_t num_tokens, prompt_length;
    uint32_t limit;                 /* most tokens, prompt included */
    uint32_t computed;              /* positions whose keys and values are in the pages */
    uint32_t reserved_pages;        /* 0: waiting to be admitted */
    enum we_rope_mode rope_mode;
    struct we_page_table table;
    struct we_sampler *sampler;
    const uint32_t *end_tokens;
    size_t num_end_tokens;
    uint32_t cached;
    uint32_t told;                  /* positions of the prompt that an event has told of, plus 1; 0: none was sent */
    double prompt_end;
    uint32_t queue[WE_QUEUE_LENGTH], queue_first, queue_count;
    bool finished;                  /* nothing more will be computed */
    enum we_finish_reason finish_reason;
    we_status status;               /* and error: why it failed */
    struct we_error error;
    uint32_t batch_rows;            /* of the batch under way */
    bool batch_samples;
};

struct we_scheduler {
    struct we_scheduler_options options;
    struct we_kv_cache cache;
    pthread_mutex_t mutex;          /* guards what follows, and the sequences' queues and links */
    pthread_cond_t changed;
    bool driving;                   /* a thread has the executor, the cache and the sequences' other members */
    struct we_sequence *sequences;
    uint32_t reserved_pages, num_running;
    uint64_t fingerprint;
    uint32_t *tokens;               /* (max_rows) of the batch */
    struct we_span *spans;          /* (max_sequences) */
    const we_page **page_tables;    /* (max_sequences, num_groups) */
    struct we_sequence **members;   /* (max_sequences): whose the spans are */
};

we_status we_scheduler_new(const struct we_scheduler_options *options, struct we_scheduler **out, struct we_error *error)
{
    *out = NULL;
    struct we_scheduler *s = calloc(1, sizeof *s);
    if (s == NULL)
        return we_error_memory(error, "the scheduler");
    s->options = *options;
    if (options->layout->slot_values && s->options.max_sequences >= options->num_slots)
        s->options.max_sequences = options->num_slots ? options->num_slots - 1 : 0; /* logits need one, too */
    uint32_t groups = options->layout->num_groups;
    s->tokens = calloc(options->max_rows, sizeof *s->tokens);
    s->spans = calloc(options->max_sequences, sizeof *s->spans);
    s->members = calloc(options->max_sequences, sizeof *s->members);
    s->page_tables = calloc((size_t)options->max_sequences * groups + 1, sizeof *s->page_tables);
    s->fingerprint = options->decoder->fingerprint;
    pthread_mutex_init(&s->mutex, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
#if !defined(__APPLE__)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
#endif
    pthread_cond_init(&s->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    we_status status = WE_OK;
    if (s->tokens == NULL || s->spans == NULL || s->members == NULL || s->page_tables == NULL)
        status = we_error_memory(error, "the scheduler");
    if (status == WE_OK)
        status = we_kv_cache_init(&s->cache, options->layout, options->num_pages, options->num_slots, error);
    if (status != WE_OK) {
        we_scheduler_free(s);
        return status;
    }
    *out = s;
    return WE_OK;
}

void we_scheduler_free(struct we_scheduler *s)
{
    if (s == NULL)
        return;
    we_kv_cache_free(&s->cache);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->mutex);
    free(s->tokens);
    free(s->spans);
    free(s->members);
    free(s->page_tables);
    free(s);
}

static uint32_t pages_for(uint32_t positions)
{
    return (uint32_t)(((uint64_t)positions + WE_PAGE_POSITIONS - 1) / WE_PAGE_POSITIONS);
}

/* Pages that any sequence may use in all: those of the group that has the fewest. */
static uint32_t total_pages(const struct we_scheduler *s)
{
    uint32_t least = UINT32_MAX;
    for (uint32_t g = 0; g < s->options.layout->num_groups; g++)
        least = s->cache.groups[g].num_pages < least ? s->cache.groups[g].num_pages : least;
    return least;
}

static enum we_rope_mode rope_mode_for(const struct we_scheduler *s, uint32_t length)
{
    uint32_t switch_length = s->options.decoder->rope_switch_length;
    return switch_length && length > switch_length ? WE_ROPE_LONG : WE_ROPE_SHORT;
}

we_status we_scheduler_add(struct we_scheduler *s, const struct we_sequence_options *options, struct we_sequence **out,
                           struct we_error *error)
{
    *out = NULL;
    uint32_t context = s->options.context_length;
    if (options->prompt_length == 0)
        return we_error_set(error, WE_INVALID_ARGUMENT, "the prompt is empty: there is nothing to continue");
    if (options->prompt_length >= context)
        return we_error_set(error, WE_CONTEXT_FULL,
                            "the prompt has %u tokens, but the context has room for %u, the reply included; shorten the prompt",
                            options->prompt_length, context);
    for (uint32_t i = 0; i < options->prompt_length; i++)
        if (options->prompt[i] >= s->options.decoder->vocab_size)
            return we_error_set(error, WE_INVALID_ARGUMENT, "token %u of the prompt is %u, but the model's vocab_size is %u", i,
                                options->prompt[i], s->options.decoder->vocab_size);
    struct we_sequence *q = calloc(1, sizeof *q);
    if (q == NULL)
        return we_error_memory(error, "a sequence");
    uint32_t room = context - options->prompt_length;
    q->limit = options->prompt_length + (options->max_tokens < room ? options->max_tokens : room);
    q->tokens = calloc(q->limit, sizeof *q->tokens);
    we_status status = q->tokens ? WE_OK : we_error_memory(error, "the tokens of a sequence");
    if (status == WE_OK)
        status = we_page_table_init(&q->table, &s->cache, pages_for(q->limit), error);
    if (status != WE_OK) {
        free(q->tokens);
        free(q);
        return status;
    }
    memcpy(q->tokens, options->prompt, options->prompt_length * sizeof *q->tokens);
    q->num_tokens = q->prompt_length = options->prompt_length;
    q->sampler = options->sampler;
    q->end_tokens = options->end_tokens;
    q->num_end_tokens = options->num_end_tokens;
    q->rope_mode = rope_mode_for(s, q->num_tokens);
    if (options->max_tokens == 0) {
        q->finished = true;
        q->finish_reason = WE_FINISH_LENGTH;
    }
    pthread_mutex_lock(&s->mutex);
    struct we_sequence **link = &s->sequences;
    while (*link)
        link = &(*link)->next;
    *link = q;
    pthread_mutex_unlock(&s->mutex);
    *out = q;
    return WE_OK;
}

/* Gives the executor, the cache and the sequences to this thread. The mutex is held. */
static void begin_driving(struct we_scheduler *s)
{
    while (s->driving)
        pthread_cond_wait(&s->changed, &s->mutex);
    s->driving = true;
}

static void end_driving(struct we_scheduler *s)
{
    s->driving = false;
    pthread_cond_broadcast(&s->changed);
}

/* Gives back what an admitted sequence holds. */
static void release(struct we_scheduler *s, struct we_sequence *q)
{
    if (q->reserved_pages == 0)
        return;
    we_page_table_clear(&q->table, &s->cache);
    s->reserved_pages -= q->reserved_pages;
    s->num_running--;
    q->reserved_pages = 0;
}

void we_scheduler_remove(struct we_scheduler *s, struct we_sequence *q)
{
    if (q == NULL)
        return;
    pthread_mutex_lock(&s->mutex);
    begin_driving(s);
    struct we_sequence **link = &s->sequences;
    while (*link != q)
        link = &(*link)->next;
    *link = q->next;
    release(s, q);
    we_page_table_free(&q->table, &s->cache);
    end_driving(s);
    pthread_mutex_unlock(&s->mutex);
    free(q->tokens);
    free(q);
}

void we_scheduler_forget(struct we_scheduler *s)
{
    pthread_mutex_lock(&s->mutex);
    begin_driving(s);
    we_kv_cache_clear(&s->cache);
    end_driving(s);
    pthread_mutex_unlock(&s->mutex);
}

uint32_t we_scheduler_room(const struct we_scheduler *s, uint32_t positions)
{
    uint32_t most = positions ? total_pages(s) / pages_for(positions) : s->options.max_sequences;
    return most < s->options.max_sequences ? most : s->options.max_sequences;
}

uint32_t we_sequence_cached(const struct we_sequence *q)
{
    return q->cached;
}

double we_sequence_prompt_end(const struct we_sequence *q)
{
    return q->prompt_end;
}

/* Sets pages apart that the tokens alone do not. */
static uint64_t cache_salt(const struct we_scheduler *s, enum we_rope_mode mode)
{
    return s->fingerprint + (uint64_t)mode;
}

/* Admits waiting sequences, oldest first, as long as the pages they may come to need are not promised to others. */
static void admit(struct we_scheduler *s)
{
    for (struct we_sequence *q = s->sequences; q; q = q->next) {
        if (q->finished || q->reserved_pages)
            continue;
        uint32_t need = pages_for(q->limit);
        if (s->num_running == s->options.max_sequences || need > total_pages(s) - s->reserved_pages)
            return;
        q->reserved_pages = need;
        s->reserved_pages += need;
        s->num_running++;
        q->cached = q->computed = we_kv_cache_match(&s->cache, cache_salt(s, q->rope_mode), q->tokens, q->num_tokens, &q->table);
    }
}

static void fail(struct we_sequence *q, we_status status, const struct we_error *error)
{
    q->status = status;
    q->error = *error;
    q->finished = true;
}

/* Adds the next rows of a sequence to the batch; false if there is no room. */
static bool add_span(struct we_scheduler *s, struct we_sequence *q, struct we_batch *batch)
{
    uint32_t left = s->options.max_rows - batch->num_rows, rows = q->num_tokens - q->computed;
    bool decode = rows == 1 && q->num_tokens > q->prompt_length;
    if (left == 0)
        return false;
    if (rows > left) {
        /* Chunks end at a page, so that where they are cut changes no result. */
        uint32_t end = (q->computed + left) / WE_PAGE_POSITIONS * WE_PAGE_POSITIONS;
        if (end <= q->computed)
            return false;
        rows = end - q->computed;
    }
    const uint32_t branch = q->table.branch_pages * WE_PAGE_POSITIONS;
    if (branch > q->computed && branch - q->computed < rows) /* others may begin like this, too: the state is kept */
        rows = branch - q->computed;
    struct we_error error;
    we_status status = we_kv_cache_extend(&s->cache, &q->table, q->computed + rows, &error);
    if (status == WE_OK)
        status = we_kv_cache_take_slot(&s->cache, &q->table, &error);
    if (status != WE_OK) {
        fail(q, status, &error);
        return true;
    }
    uint32_t i = batch->num_spans++;
    const we_page **tables = s->page_tables + (size_t)i * s->options.layout->num_groups;
    for (uint32_t g = 0; g < s->options.layout->num_groups; g++)
        tables[g] = q->table.pages[g];
    q->batch_rows = rows;
    q->batch_samples = q->computed + rows == q->num_tokens;
    s->members[i] = q;
    s->spans[i] = (struct we_span){
        .first_row = batch->num_rows,
        .num_rows = rows,
        .position = q->computed,
        .page_tables = tables,
        .phase = decode ? WE_PHASE_DECODE : WE_PHASE_PREFILL,
        .rope_mode = q->rope_mode,
        .num_logit_rows = q->batch_samples ? 1 : 0,
        .state_in = q->table.slot,
        .state_out = q->table.next_slot,
    };
    memcpy(s->tokens + batch->num_rows, q->tokens + q->computed, rows * sizeof *s->tokens);
    batch->num_rows += rows;
    return true;
}

/* Prompts that end in this batch save the state at their last page, so that another reply or the next prompt begins there. */
static void save_states(struct we_scheduler *s, struct we_batch *batch)
{
    for (uint32_t i = 0; i < batch->num_spans; i++) {
        struct we_sequence *q = s->members[i];
        const uint32_t pages = (q->num_tokens - 1) / WE_PAGE_POSITIONS, end = pages * WE_PAGE_POSITIONS;
        if (s->spans[i].phase != WE_PHASE_PREFILL || !q->batch_samples || end <= q->computed ||
            !we_kv_cache_take_save_slot(&s->cache, &q->table, pages))
            continue;
        s->spans[i].save_rows = end - q->computed;
        s->spans[i].save_slot = q->table.save_slot;
    }
}

/* The mutex is held. Decode comes first: it is short, and somebody watches it. */
static void build_batch(struct we_scheduler *s, struct we_batch *batch)
{
    *batch = (struct we_batch){.tokens = s->tokens, .spans = s->spans};
    admit(s);
    for (int prefill = 0; prefill < 2; prefill++) {
        for (struct we_sequence *q = s->sequences; q; q = q->next) {
            bool is_prefill = q->num_tokens - q->computed > 1 || q->num_tokens == q->prompt_length;
            if (q->finished || q->reserved_pages == 0 || is_prefill != (prefill == 1) || q->queue_count == WE_QUEUE_LENGTH)
                continue;
            if (!add_span(s, q, batch))
                goto done;
        }
    }
done:
    save_states(s, batch);
}

static bool is_end_token(const struct we_sequence *q, uint32_t token)
{
    for (size_t i = 0; i < q->num_end_tokens; i++)
        if (q->end_tokens[i] == token)
            return true;
    return false;
}

static void finish(struct we_sequence *q, enum we_finish_reason reason)
{
    q->finished = true;
    q->finish_reason = reason;
}

/* Appends a picked token. */
static void accept_token(struct we_scheduler *s, struct we_sequence *q, uint32_t token)
{
    if (q->num_tokens == q->prompt_length)
        q->prompt_end = we_clock();
    if (is_end_token(q, token)) {
        finish(q, WE_FINISH_STOP);
        return;
    }
    we_sampler_accept(q->sampler, token);
    q->queue[(q->queue_first + q->queue_count++) % WE_QUEUE_LENGTH] = token;
    q->tokens[q->num_tokens++] = token;
    if (q->num_tokens == q->limit) {
        finish(q, WE_FINISH_LENGTH);
    } else if (rope_mode_for(s, q->num_tokens) != q->rope_mode) {
        /* Keys below the first layer depend on the mode too, so the whole sequence is read again. */
        q->rope_mode = rope_mode_for(s, q->num_tokens);
        we_page_table_clear(&q->table, &s->cache);
        q->computed = we_kv_cache_match(&s->cache, cache_salt(s, q->rope_mode), q->tokens, q->num_tokens, &q->table);
    }
}

/* The mutex is held again. */
static void deliver(struct we_scheduler *s, const struct we_batch *batch, const struct we_batch_result *result,
                    const uint32_t *picked, const struct we_error *pick_errors)
{
    for (uint32_t i = 0; i < batch->num_spans; i++) {
        struct we_sequence *q = s->members[i];
        if (result->status != WE_OK) {
            fail(q, result->status, &result->error);
        } else {
            q->computed += q->batch_rows;
            const enum we_state_kind kind = q->num_tokens > q->prompt_length ? WE_STATE_OF_REPLY : WE_STATE_OF_PROMPT;
            we_kv_cache_index(&s->cache, cache_salt(s, q->rope_mode), q->tokens, q->computed, kind, &q->table);
            if (q->batch_samples && pick_errors[i].status != WE_OK)
                fail(q, pick_errors[i].status, &pick_errors[i]);
            else if (q->batch_samples)
                accept_token(s, q, picked[i]);
        }
        if (q->finished)
            release(s, q);
    }
}

/* One batch; *idle if there is nothing to compute. The mutex is held on entry and on return, and free while the executor
 * works. */
static we_status step(struct we_scheduler *s, bool *idle, struct we_error *error)
{
    struct we_batch batch;
    build_batch(s, &batch);
    *idle = batch.num_spans == 0;
    if (*idle)
        return WE_OK;
    pthread_mutex_unlock(&s->mutex);
    const struct we_backend *backend = s->options.backend;
    struct we_batch_result result = {0};
    uint32_t *picked = calloc(batch.num_spans, sizeof *picked);
    struct we_error *pick_errors = calloc(batch.num_spans, sizeof *pick_errors);
    uint64_t ticket;
    if (picked == NULL || pick_errors == NULL)
        result.status = we_error_memory(&result.error, "a batch");
    else
        result.status = backend->submit(s->options.executor, &batch, &ticket, &result.error);
    if (result.status == WE_OK)
        backend->poll(s->options.executor, &result);
    const float *logits = result.logits;
    for (uint32_t i = 0; result.status == WE_OK && i < batch.num_spans; i++) {
        if (!s->members[i]->batch_samples)
            continue;
        /* The executor's buffer is ours until the next submit. */
        pick_errors[i].status = we_sampler_pick(s->members[i]->sampler, (float *)logits, &picked[i], &pick_errors[i]);
        logits += s->options.decoder->vocab_size;
    }
    pthread_mutex_lock(&s->mutex);
    if (picked && pick_errors)
        deliver(s, &batch, &result, picked, pick_errors);
    free(picked);
    free(pick_errors);
    return picked && pick_errors ? WE_OK : we_error_memory(error, "a batch");
}

/* Waits for another thread to do something, a little while at a time. */
static void wait_for_change(struct we_scheduler *s)
{
    struct timespec until;
#if defined(__APPLE__)
    clock_gettime(CLOCK_REALTIME, &until);
#else
    clock_gettime(CLOCK_MONOTONIC, &until);
#endif
    until.tv_nsec += CANCEL_POLL_MS * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec++;
    }
    pthread_cond_timedwait(&s->changed, &s->mutex, &until);
}

we_status we_scheduler_next(struct we_scheduler *s, struct we_sequence *q, const atomic_bool *cancel,
                            struct we_sequence_event *event, struct we_error *error)
{
    *event = (struct we_sequence_event){0};
    we_status status = WE_OK;
    pthread_mutex_lock(&s->mutex);
    for (;;) {
        if (cancel && atomic_load(cancel)) {
            *event = (struct we_sequence_event){.finished = true, .finish_reason = WE_FINISH_CANCELLED};
            break;
        }
        if (q->queue_count) {
            event->token = q->queue[q->queue_first];
            q->queue_first = (q->queue_first + 1) % WE_QUEUE_LENGTH;
            if (q->queue_count-- == WE_QUEUE_LENGTH)
                pthread_cond_broadcast(&s->changed);
            break;
        }
        if (q->finished) {
            *event = (struct we_sequence_event){.finished = true, .finish_reason = q->finish_reason};
            status = q->status;
            if (status != WE_OK && error)
                *error = q->error;
            break;
        }
        if (!s->driving)
            admit(s);
        if (q->num_tokens == q->prompt_length && q->reserved_pages && q->told <= q->computed) {
            q->told = q->computed + 1;
            *event = (struct we_sequence_event){.reading = true, .read = q->computed};
            break;
        }
        if (s->driving) {
            wait_for_change(s);
            continue;
        }
        bool idle;
        s->driving = true;
        status = step(s, &idle, error);
        end_driving(s);
        if (status != WE_OK)
            break;
        if (idle && !q->finished) /* the others' readers are behind, and this sequence waits for their pages */
            wait_for_change(s);
    }
    pthread_mutex_unlock(&s->mutex);
    return status;
}

/* One chunk of we_scheduler_logits. */
static we_status logits_chunk(struct we_scheduler *s, enum we_phase phase, const uint32_t *ids, uint32_t rows, uint32_t position,
                              enum we_rope_mode mode, struct we_page_table *table, struct we_batch_result *result,
                              struct we_error *error)
{
    we_status status = we_kv_cache_extend(&s->cache, table, position + rows, error);
    if (status == WE_OK)
        status = we_kv_cache_take_slot(&s->cache, table, error);
    if (status != WE_OK)
        return status;
    for (uint32_t g = 0; g < s->options.layout->num_groups; g++)
        s->page_tables[g] = table->pages[g];
    s->spans[0] = (struct we_span){
        .num_rows = rows,
        .position = position,
        .page_tables = s->page_tables,
        .phase = phase,
        .rope_mode = mode,
        .num_logit_rows = rows,
        .state_in = table->slot,
        .state_out = table->next_slot,
    };
    struct we_batch batch = {.tokens = ids + position, .num_rows = rows, .spans = s->spans, .num_spans = 1};
    uint64_t ticket;
    status = s->options.backend->submit(s->options.executor, &batch, &ticket, error);
    if (status != WE_OK)
        return status;
    s->options.backend->poll(s->options.executor, result);
    we_kv_cache_commit_state(&s->cache, table);
    if (result->status != WE_OK && error)
        *error = result->error;
    return result->status;
}

we_status we_scheduler_logits(struct we_scheduler *s, enum we_phase phase, const uint32_t *ids, uint32_t count,
                              we_scheduler_logits_fn *on_row, void *context, struct we_error *error)
{
    if (count > s->options.context_length)
        return we_error_set(error, WE_CONTEXT_FULL, "%u ids were given, but the context has room for %u", count,
                            s->options.context_length);
    for (uint32_t i = 0; i < count; i++)
        if (ids[i] >= s->options.decoder->vocab_size)
            return we_error_set(error, WE_INVALID_ARGUMENT, "id %u is %u, but the model's vocab_size is %u", i, ids[i],
                                s->options.decoder->vocab_size);
    struct we_page_table table;
    we_status status = we_page_table_init(&table, &s->cache, pages_for(count), error);
    if (status != WE_OK)
        return status;
    pthread_mutex_lock(&s->mutex);
    begin_driving(s);
    pthread_mutex_unlock(&s->mutex);
    uint32_t most = s->options.max_logit_rows < s->options.max_rows ? s->options.max_logit_rows : s->options.max_rows;
    most = phase == WE_PHASE_DECODE ? 1 : most;
    enum we_rope_mode mode = rope_mode_for(s, count);
    bool go_on = true;
    for (uint32_t position = 0; status == WE_OK && go_on && position < count;) {
        uint32_t rows = count - position < most ? count - position : most;
        struct we_batch_result result;
        status = logits_chunk(s, phase, ids, rows, position, mode, &table, &result, error);
        for (uint32_t i = 0; status == WE_OK && go_on && i < rows; i++)
            go_on = on_row(context, position + i, result.logits + (size_t)i * s->options.decoder->vocab_size);
        position += rows;
    }
    pthread_mutex_lock(&s->mutex);
    we_page_table_free(&table, &s->cache);
    end_driving(s);
    pthread_mutex_unlock(&s->mutex);
    return status == WE_OK && !go_on ? we_error_set(error, WE_CANCELLED, "stopped by the caller") : status;
}
