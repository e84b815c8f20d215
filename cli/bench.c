/* bench: how fast a model runs here, and how near to the memory's limit. */
#include "args.h"
#include "input.h"
#include "json_line.h"
#include "layout.h"
#include "progress.h"
#include "terminal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const struct we_option options[] = {
    {"--prompt-tokens", "-p", "N", "tokens of the prompt (512)"},
    {"--generation-tokens", "-n", "N", "steps of decode, which begin at that context (128)"},
    {"--batch-size", "-b", "N", "sequences that run side by side, each with a prompt of its own (1)"},
    {"--repeats", "-r", "N", "how often (3)"},
    {"--json", NULL, NULL, "print one JSON object"},
};

enum { LABEL = 14 };

struct spread {
    double mean, deviation; /* of the sample; 0 with one repeat */
};

struct bench {
    struct we_bench_options options;
    struct we_bench_run *runs;
    struct spread prefill, decode, first_token;
    double bandwidth, fraction;
    uint64_t peak_memory;
    const char *precision;
};

static struct spread spread_of(const struct we_bench_run *runs, uint32_t count, size_t offset)
{
    struct spread s = {0};
    for (uint32_t i = 0; i < count; i++)
        s.mean += *(const double *)((const char *)&runs[i] + offset) / count;
    for (uint32_t i = 0; i < count; i++) {
        double distance = *(const double *)((const char *)&runs[i] + offset) - s.mean;
        s.deviation += distance * distance;
    }
    s.deviation = count > 1 ? sqrt(s.deviation / (count - 1)) : 0;
    return s;
}

/* Half way through the decode, the cache of the prompt and half of the reply is read for each token; the weights once for
 * all sequences. */
static double bytes_of_a_token(const struct bench *bench, const struct we_model_info *info)
{
    double context = bench->options.prompt_tokens + bench->options.generated_tokens / 2.0;
    return (double)info->token_bytes / bench->options.sequences + context * (double)info->kv_position_bytes;
}

static void summarise(struct bench *bench, const struct we_model_info *info)
{
    uint32_t repeats = bench->options.repeats;
    bench->prefill = spread_of(bench->runs, repeats, offsetof(struct we_bench_run, prefill_tps));
    bench->decode = spread_of(bench->runs, repeats, offsetof(struct we_bench_run, decode_tps));
    bench->first_token = spread_of(bench->runs, repeats, offsetof(struct we_bench_run, time_to_first_token));
    bench->fraction = bench->bandwidth > 0 ? bytes_of_a_token(bench, info) * bench->decode.mean / bench->bandwidth : 0;
}

static bool print_json(const struct bench *bench, const struct we_model_info *info)
{
    struct we_json_line out = {0};
    we_json_open(&out, NULL, '{');
    we_json_text(&out, "model", info->path);
    we_json_text(&out, "device", info->device);
    we_json_text(&out, "precision", bench->precision);
    we_json_integer(&out, "prompt_tokens", bench->options.prompt_tokens);
    we_json_integer(&out, "generation_tokens", bench->options.generated_tokens);
    we_json_integer(&out, "batch_size", bench->options.sequences);
    we_json_integer(&out, "repeats", bench->options.repeats);
    we_json_number(&out, "load_seconds", info->load_seconds);
    we_json_number(&out, "time_to_first_token", bench->first_token.mean);
    we_json_number(&out, "prefill_tps", bench->prefill.mean);
    we_json_number(&out, "prefill_tps_deviation", bench->prefill.deviation);
    we_json_number(&out, "decode_tps", bench->decode.mean);
    we_json_number(&out, "decode_tps_deviation", bench->decode.deviation);
    we_json_integer(&out, "weight_bytes", info->weight_bytes);
    we_json_integer(&out, "token_bytes", info->token_bytes);
    we_json_integer(&out, "kv_position_bytes", info->kv_position_bytes);
    we_json_integer(&out, "peak_memory_bytes", bench->peak_memory);
    we_json_number(&out, "read_bandwidth", bench->bandwidth);
    we_json_number(&out, "bandwidth_fraction", bench->fraction);
    we_json_close(&out, '}');
    return we_json_print(&out);
}

static void print_table(const struct bench *bench, const struct we_model_info *info)
{
    const char *plus_minus = "±";
    char bytes[32], bandwidth[32], token[32];
    we_print_fact(LABEL, "model", "%s", we_model_short_name(info->path));
    we_print_fact(LABEL, "device", "%s, %s", info->device, bench->precision);
    we_print_fact(LABEL, "load", "%.3f s", info->load_seconds);
    we_print_fact(LABEL, "first token", "%.3f %s %.3f s", bench->first_token.mean, plus_minus, bench->first_token.deviation);
    if (bench->options.sequences > 1)
        we_print_fact(LABEL, "batch", "%u sequences, rates of all together", bench->options.sequences);
    we_print_fact(LABEL, "prefill", "%.1f %s %.1f tokens/s (%u tokens)", bench->prefill.mean, plus_minus, bench->prefill.deviation,
                  bench->options.prompt_tokens);
    if (bench->options.generated_tokens)
        we_print_fact(LABEL, "decode", "%.1f %s %.1f tokens/s (%u tokens after %u)", bench->decode.mean, plus_minus,
                      bench->decode.deviation, bench->options.generated_tokens, bench->options.prompt_tokens);
    we_print_fact(LABEL, "peak memory", "%s", we_format_bytes(bench->peak_memory, bytes, sizeof bytes));
    if (bench->options.generated_tokens)
        we_print_fact(LABEL, "bandwidth", "%.1f %% of the %s/s that this machine reads (%s for a token)", 100 * bench->fraction,
                      we_format_bytes((uint64_t)bench->bandwidth, bandwidth, sizeof bandwidth),
                      we_format_bytes((uint64_t)bytes_of_a_token(bench, info), token, sizeof token));
}

static int measure(const struct we_args *args, struct we_model *model, struct bench *bench)
{
    struct we_error error;
    we_spinner_start("measuring");
    we_status status = we_bench(model, &bench->options, bench->runs, &error);
    bench->peak_memory = we_peak_memory(); /* the buffer that bandwidth is measured with is not the model's */
    if (status == WE_OK)
        status = we_measure_bandwidth((uint32_t)we_settings_integer(args->settings, WE_SETTING_THREADS), &bench->bandwidth, &error);
    we_spinner_stop();
    if (status != WE_OK)
        return we_fail(args->command, &error);
    summarise(bench, we_model_info(model));
    if (!we_args_has(args, "--json"))
        print_table(bench, we_model_info(model));
    else if (!print_json(bench, we_model_info(model)))
        return we_fail_text(args->command, "out of memory for the JSON object");
    return WE_EXIT_OK;
}

static int run_command(const struct we_args *args)
{
    struct we_model *model = NULL;
    struct bench bench = {.precision = we_settings_text(args->settings, WE_SETTING_PRECISION)};
    if (!we_args_u32(args, "--prompt-tokens", 1, 1u << 24, 512, &bench.options.prompt_tokens) ||
        !we_args_u32(args, "--generation-tokens", 0, 1u << 24, 128, &bench.options.generated_tokens) ||
        !we_args_u32(args, "--batch-size", 1, 64, 1, &bench.options.sequences) ||
        !we_args_u32(args, "--repeats", 1, 1000, 3, &bench.options.repeats))
        return WE_EXIT_USAGE;
    int status = we_open_model_for(args, false, bench.options.sequences, &model);
    if (status == WE_EXIT_OK) {
        bench.runs = calloc(bench.options.repeats, sizeof *bench.runs);
        status = bench.runs ? measure(args, model, &bench) : we_fail_text(args->command, "out of memory for the measurements");
    }
    free(bench.runs);
    we_model_close(model);
    return status;
}

const struct we_command we_command_bench = {
    .name = "bench",
    .summary = "load, prefill and decode rates, memory, share of the bandwidth",
    .synopsis = "[-m MODEL] [-p N] [-n N] [-b N] [-r N] [--json]",
    .options = options,
    .num_options = sizeof options / sizeof *options,
    .settings = WE_TAKES_STORE | WE_TAKES_DEVICE,
    .details = "Runs random ids, greedily: a prompt, then steps of decode that begin at its end. Rates are means over the repeats, with the "
               "deviation of the sample, and those of a batch are of all its sequences together. The bandwidth is measured in the same run, with the same threads: the share is what decode "
               "reads (weights, and the KV cache half way through) against it.",
    .examples = "whisperengine bench -m ORG/NAME\n"
                "whisperengine bench -m ORG/NAME -p 2048 -n 256 -r 5 --json",
    .run = run_command,
};
