/* Speed against what this machine can do: the bytes that decode reads a second, and the memory's bandwidth. */
#include "engine/validate.h"

#include "base/system.h"

#include <stdio.h>

/* Of the bandwidth: below it something else than memory holds decode up. */
static const double ENOUGH = 0.3;

static uint32_t within(double value, uint32_t least, uint32_t most)
{
    return value < least ? least : value > most ? most : (uint32_t)value;
}

void we_validate_speed(struct we_validator *v)
{
    const struct we_model_info *info = we_model_info(v->opened);
    struct we_bench_options options = {.repeats = 1};
    struct we_bench_run run;
    struct we_error error;
    double bandwidth = 0;
    v->group = "speed";
    we_step(v, "measuring");
    options.prompt_tokens = within(v->prefill_tps / 2, 16, 256);
    options.generated_tokens = within(v->decode_tps / 2, 8, 64);
    if (options.prompt_tokens + options.generated_tokens + 1 > info->context_length) {
        we_check(v, WE_CHECK_SKIPPED, "decode", NULL, "the context of %u positions is too small to measure it",
                 info->context_length);
        return;
    }
    we_status status = we_bench(v->opened, &options, &run, &error);
    if (status == WE_OK && !v->stopped)
        status = we_measure_bandwidth(v->model.threads, &bandwidth, &error);
    if (status != WE_OK) {
        we_check_error(v, WE_CHECK_FAILED, "decode",
                       we_validator_text(v, "whisperengine bench -m %s", we_shell_word(v, v->path)), &error);
        return;
    }
    const double token =
        (double)info->token_bytes + (double)info->kv_position_bytes * (options.prompt_tokens + options.generated_tokens / 2.0);
    const double read = token * run.decode_tps, share = read / bandwidth;
    char reads[24], limit[24];
    /* A small model is read out of the caches, and its steps are too short to tell anything. */
    const uint64_t cache = we_cache_bytes();
    const bool small = token < 32e6 || (cache && token < (double)cache);
    const bool slow = share < ENOUGH && !small;
    we_check(v, slow ? WE_CHECK_WARNING : WE_CHECK_PASSED, "decode",
             slow ? we_validator_text(v, "whisperengine bench -m %s", we_shell_word(v, v->path)) : NULL,
             "%.1f tokens/s, which reads %s/s: %.0f %% of the %s/s that this machine's memory gives%s", run.decode_tps,
             we_bytes_text((uint64_t)read, reads), 100 * share, we_bytes_text((uint64_t)bandwidth, limit),
             slow ? "\nis it busy with something else? bench measures longer" : "");
    const double parameters = (double)info->num_parameters;
    const bool reversed = run.prefill_tps < run.decode_tps && !small;
    we_check(v, reversed ? WE_CHECK_WARNING : WE_CHECK_PASSED, "prefill",
             reversed ? we_validator_text(v, "whisperengine bench -m %s", we_shell_word(v, v->path)) : NULL,
             "%.1f tokens/s over %u tokens, about %.3g GFLOP/s%s", run.prefill_tps, options.prompt_tokens,
             2e-9 * parameters * run.prefill_tps,
             reversed ? "\na prompt is read slower than a reply is written, which is the wrong way round" : "");
}
