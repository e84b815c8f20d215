#include "engine/memory.h"

#include "base/str.h"
#include "base/system.h"

#include <stdlib.h>

enum { LEAST_SLOTS = 2, SLOTS_SHARE = 4 }; /* for one sequence and for logits; no more of what is left than a quarter */
enum { SMALLEST_CONTEXT = 512 }; /* positions that a model must have room for, unless its own context is shorter */

static uint64_t pages_for(uint64_t positions)
{
    return (positions + WE_PAGE_POSITIONS - 1) / WE_PAGE_POSITIONS;
}

static we_status too_large(const char *path, const struct we_memory_plan *plan, uint64_t kv_bytes, uint32_t positions,
                           uint64_t available, bool limited, struct we_error *error)
{
    uint64_t need = plan->weight_bytes + plan->scratch_bytes + kv_bytes;
    char all[24], weights[24], kv[24], scratch[24], there[24];
    return we_error_set(
        error, WE_OUT_OF_MEMORY,
        "%s: not enough memory: %s are needed (weights %s, KV cache for %u positions %s, scratch %s), but %s %s; %s", path,
        we_bytes_text(need, all), we_bytes_text(plan->weight_bytes, weights), positions, we_bytes_text(kv_bytes, kv),
        we_bytes_text(plan->scratch_bytes, scratch), limited ? "the limit (MLX_MEMORY_LIMIT) is" : "there are only",
        we_bytes_text(available, there),
        limited ? "raise it, or use a smaller context or model" : "close other programs, or use a smaller context or model");
}

struct we_load_options we_default_load_options(const struct we_decoder *decoder, const struct we_kv_layout *layout)
{
    return (struct we_load_options){
        .decoder = decoder,
        .layout = layout,
        .num_slots = layout->slot_values ? LEAST_SLOTS : 0,
        .max_rows = WE_MAX_ROWS,
        .max_spans = WE_DEFAULT_SEQUENCES,
        .max_logit_rows = WE_MAX_LOGIT_ROWS,
        .precision = WE_PRECISION_EXACT,
    };
}

we_status we_memory_scratch(const struct we_backend *backend, struct we_load_options *load, uint64_t *bytes,
                            struct we_error *error)
{
    uint32_t *none = calloc(load->layout->num_groups + 1, sizeof *none);
    if (none == NULL)
        return we_error_memory(error, "the plan of memory");
    load->num_pages = none;
    we_status status = backend->estimate(load, bytes, error);
    load->num_pages = NULL;
    free(none);
    return status;
}

/* Slots for all sequences, and as many again for states that are kept, if there is room. */
static we_status plan_slots(const struct we_backend *backend, struct we_load_options *load, uint64_t available,
                            struct we_memory_plan *plan, struct we_error *error)
{
    load->num_slots = 0;
    we_status status = we_memory_scratch(backend, load, &plan->scratch_bytes, error);
    if (status != WE_OK || load->layout->slot_values == 0)
        return status;
    const uint64_t fixed = plan->weight_bytes + plan->scratch_bytes;
    const uint64_t room = available > fixed ? (available - fixed) / SLOTS_SHARE / we_kv_slot_bytes(load->layout) : 0;
    const uint64_t slots = 2 * (uint64_t)load->max_spans + 1;
    load->num_slots = plan->num_slots = (uint32_t)(room < LEAST_SLOTS ? LEAST_SLOTS : room < slots ? room : slots);
    return we_memory_scratch(backend, load, &plan->scratch_bytes, error);
}

we_status we_memory_plan(const char *path, uint64_t weight_bytes, uint32_t requested_context, uint64_t memory_limit,
                         const struct we_backend *backend, struct we_load_options *load, struct we_memory_plan *plan,
                         struct we_error *error)
{
    *plan = (struct we_memory_plan){.weight_bytes = weight_bytes};
    uint64_t position_bytes = we_kv_position_bytes(load->layout), page_bytes = position_bytes * WE_PAGE_POSITIONS;
    uint64_t available = we_memory_available();
    bool limited = memory_limit && (available == 0 || memory_limit < available);
    if (limited)
        available = memory_limit;
    if (available == 0)
        available = UINT64_MAX / 2; /* not known: the system will tell */
    we_status status = plan_slots(backend, load, available, plan, error);
    if (status != WE_OK)
        return status;
    uint64_t context = load->decoder->context_length ? load->decoder->context_length : WE_UNKNOWN_CONTEXT;
    uint64_t least = requested_context ? requested_context : context < SMALLEST_CONTEXT ? context : SMALLEST_CONTEXT;
    uint64_t fixed = weight_bytes + plan->scratch_bytes;
    if (fixed > available || pages_for(least) * page_bytes > available - fixed)
        return too_large(path, plan, pages_for(least) * page_bytes, (uint32_t)least, available, limited, error);
    uint64_t fitting = page_bytes ? (available - fixed) / page_bytes : UINT32_MAX;
    if (requested_context)
        context = requested_context;
    else if (pages_for(context) > fitting)
        context = fitting * WE_PAGE_POSITIONS;
    uint64_t pages = pages_for(context) * load->max_spans;
    pages = pages < fitting ? pages : fitting;
    plan->num_pages = pages < UINT32_MAX / 2 ? (uint32_t)pages : UINT32_MAX / 2;
    plan->context_length = (uint32_t)context;
    plan->kv_bytes = plan->num_pages * page_bytes;
    return WE_OK;
}
