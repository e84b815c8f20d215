/* Memory: what the model needs at the context that is configured, and what there is. */
#include "engine/validate.h"

#include "engine/memory.h"

#include "base/system.h"

/* The largest context, of round size, that fits. 0: not even a small one does. */
static uint32_t fitting_context(const struct we_memory_plan *plan, uint64_t position_bytes, uint64_t available)
{
    uint64_t fixed = plan->weight_bytes + plan->scratch_bytes;
    uint64_t positions = available > fixed && position_bytes ? (available - fixed) / position_bytes : 0;
    return positions < 512 ? 0 : positions > UINT32_MAX ? UINT32_MAX : (uint32_t)(positions / 512 * 512);
}

static void too_much(struct we_validator *v, const struct we_error *error, const struct we_memory_plan *plan,
                     uint64_t position_bytes)
{
    uint64_t available = we_memory_available();
    if (v->model.memory_limit && (available == 0 || v->model.memory_limit < available))
        available = v->model.memory_limit;
    uint32_t context = fitting_context(plan, position_bytes, available);
    const char *hint = "whisperengine list";
    if (context)
        hint = we_validator_text(v, "whisperengine run -m %s --context %u -p Hello", we_shell_word(v, v->path), context);
    we_check_error(v, WE_CHECK_FAILED, "memory", hint, error);
}

bool we_validate_memory(struct we_validator *v)
{
    struct we_kv_layout layout;
    struct we_device_info device;
    struct we_error error;
    struct we_memory_plan plan;
    const struct we_backend *backend;
    v->group = "memory";
    enum we_precision precision = v->model.precision ? v->model.precision : WE_PRECISION_EXACT;
    we_status status =
        we_kv_layout_derive(&v->decoder, precision == WE_PRECISION_FAST ? WE_BF16 : WE_F32, &v->arena, &layout, &error);
    struct we_load_options load = we_default_load_options(&v->decoder, &layout);
    load.max_spans = 1;
    load.threads = v->model.threads;
    load.isa = v->model.isa;
    load.precision = precision;
    if (status == WE_OK)
        status = we_backend_select(v->model.device, &load, &backend, &device, &error);
    if (status != WE_OK) {
        we_check_error(v, WE_CHECK_FAILED, "memory", "whisperengine validate --device cpu", &error);
        return false;
    }
    const uint64_t position_bytes = we_kv_position_bytes(&layout);
    status = we_memory_plan(v->path, we_safetensors_bytes(v->weights), v->model.max_context, v->model.memory_limit, backend,
                            &load, &plan, &error);
    if (status == WE_OUT_OF_MEMORY) {
        too_much(v, &error, &plan, position_bytes);
        return false;
    }
    if (status != WE_OK) {
        we_check_error(v, WE_CHECK_FAILED, "memory", status == WE_UNSUPPORTED ? "whisperengine list" : v->again, &error);
        return false;
    }
    char need[24], weights[24], kv[24], scratch[24], there[24];
    const uint64_t available = we_memory_available();
    const bool shortened = !v->model.max_context && plan.context_length < v->decoder.context_length;
    we_check(v, shortened ? WE_CHECK_WARNING : WE_CHECK_PASSED, "memory",
             shortened ? we_validator_text(v, "whisperengine show %s", we_shell_word(v, v->path)) : NULL,
             "%s for %u positions: weights %s, KV cache %s, scratch %s; %s can be used%s",
             we_bytes_text(plan.weight_bytes + plan.scratch_bytes + plan.kv_bytes, need), plan.context_length,
             we_bytes_text(plan.weight_bytes, weights), we_bytes_text(plan.kv_bytes, kv),
             we_bytes_text(plan.scratch_bytes, scratch), available ? we_bytes_text(available, there) : "how much",
             shortened ? we_validator_text(v, "\nthe model was made for %u positions, for which there is no room",
                                           v->decoder.context_length)
                       : "");
    return true;
}
