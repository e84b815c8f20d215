/* bench: how fast a model runs here, and how near to the memory's limit. */
#include "bench.h"

#include "input.h"
#include "layout.h"
#include "progress.h"
#include "terminal.h"

#include "base/fs.h"

#include <stdio.h>
#include <stdlib.h>

static const struct we_option options[] = {
    {"--prompt-tokens", "-p", "N,...",
     "lengths of prompts, and so the contexts at which decode begins (512,128,2048; with -b 512)"},
    {"--generation-tokens", "-n", "N", "steps of decode, which begin at each of these contexts (128)"},
    {"--batch-size", "-b", "N", "sequences that run side by side, each with a prompt of its own (1)"},
    {"--repeats", "-r", "N", "how often (3)"},
    {"--no-cold", NULL, NULL,
     "leave out the start with nothing of the model in memory, which drops its files from the system's page cache"},
    {"--no-bandwidth", NULL, NULL, "leave out how fast memory is read, which takes seconds and up to 2 GB"},
    {"--compare", NULL, "FILE", "show the change since the run whose --json this file is", WE_VALUE_FILE},
    {"--svg", NULL, "FILE", "also write a plot: decode against context, prefill against length", WE_VALUE_FILE},
    {"--json", NULL, NULL, "print one JSON object"},
    {"--csv", NULL, NULL, "print CSV"},
    {"--markdown", NULL, NULL, "print Markdown"},
};

enum { MOST_REPEATS = 1000, BANDWIDTH_REPEATS = 3 };

struct samples { /* (repeats) of each */
    double *prefill, *decode, *first_token;
};

struct bench {
    const struct we_args *args;
    struct we_bench_options options; /* of one repeat */
    uint32_t repeats;
    uint32_t lengths[WE_BENCH_MOST_LENGTHS]; /* (num_lengths), ascending */
    uint32_t num_lengths;
    double *memory; /* that of the samples */
    struct samples samples[WE_BENCH_MOST_LENGTHS];
    double *starts[2]; /* (repeats): load, first token */
    struct we_bench_report report;
    const char *step; /* what is measured now */
    char label[96];
    unsigned done, total;
};

/* ---- progress ---- */

static void begin_step(struct bench *b, const char *what, uint32_t tokens)
{
    we_spinner_stop();
    int used = snprintf(b->label, sizeof b->label, "%u of %u: %s", ++b->done, b->total, what);
    if (tokens)
        snprintf(b->label + used, sizeof b->label - (size_t)used, " %u", tokens);
    we_spinner_start(b->label);
}

/* ---- measuring ---- */

/* Half way through the decode, the cache of the prompt and half of the reply is read for each token; the weights once for
 * all sequences. */
static double bytes_of_a_token(const struct we_bench_report *report, uint32_t tokens)
{
    double context = tokens + report->steps / 2.0;
    return (double)report->token_bytes / report->sequences + context * (double)report->kv_position_bytes;
}

/* The longest prompts first, since what they lack is told before any time is spent; one repeat of all lengths after the other,
 * so that a machine whose speed drifts serves all alike. */
static we_status measure_rates(struct bench *b, struct we_model *model, struct we_error *error)
{
    we_status status = WE_OK;
    for (uint32_t repeat = 0; repeat < b->repeats; repeat++)
        for (uint32_t i = b->num_lengths; i-- > 0 && status == WE_OK;) {
            struct we_bench_run run;
            b->options.prompt_tokens = b->lengths[i];
            b->options.no_warm_up = repeat > 0;
            begin_step(b, "prompt and decode at", b->lengths[i]);
            status = we_bench(model, &b->options, &run, error);
            b->samples[i].prefill[repeat] = run.prefill_tps;
            b->samples[i].decode[repeat] = run.decode_tps;
            b->samples[i].first_token[repeat] = run.time_to_first_token;
        }
    b->report.peak_memory = we_peak_memory();
    return status;
}

/* What is said of the model must outlive it: a model that is open keeps its files in memory. */
static bool keep_facts(struct bench *b, const struct we_model *model)
{
    const struct we_model_info *info = we_model_info(model);
    struct we_bench_report *r = &b->report;
    r->model = we_arena_copy(&r->arena, we_str_c(info->path));
    r->device = we_arena_copy(&r->arena, we_str_c(info->device));
    r->weight_bytes = info->weight_bytes;
    r->token_bytes = info->token_bytes;
    r->kv_position_bytes = info->kv_position_bytes;
    return r->model && r->device;
}

static void note_kept(struct we_bench_report *r, const struct we_bench_start *start)
{
    char kept[32], all[32], text[256];
    snprintf(text, sizeof text,
             "not measured: %s of the model's %s stayed in memory, which was to forget them (another program uses them, or "
             "the file system lives in memory)",
             we_format_bytes(start->kept_bytes, kept, sizeof kept), we_format_bytes(start->file_bytes, all, sizeof all));
    r->cold_note = we_arena_copy(&r->arena, we_str_c(text));
    r->cold_note = r->cold_note ? r->cold_note : "not measured";
}

/* Starts that are hot, or cold: *count of them were measured. */
static we_status measure_starts(struct bench *b, bool cold, uint32_t *count, struct we_error *error)
{
    struct we_model_options opening;
    we_options_of_model(b->args, b->report.model, false, b->options.sequences, &opening);
    for (*count = 0; *count < b->repeats; (*count)++) {
        struct we_bench_start start;
        begin_step(b, cold ? "start, cold" : "start, hot", 0);
        we_status status = we_bench_start(b->report.model, &opening, cold, &start, error);
        if (status == WE_UNSUPPORTED && cold) {
            b->report.cold_note = "not measured: this system has no call that drops a file from memory";
            return WE_OK;
        }
        if (status != WE_OK)
            return status;
        if (cold && start.kept_bytes > start.file_bytes / 100) {
            note_kept(&b->report, &start);
            *count = 0;
            return WE_OK;
        }
        b->starts[0][*count] = start.load_seconds;
        b->starts[1][*count] = start.first_token_seconds;
    }
    return WE_OK;
}

static we_status add_starts(struct bench *b, bool cold, struct we_error *error)
{
    uint32_t count;
    we_status status = measure_starts(b, cold, &count, error);
    if (status != WE_OK || count == 0)
        return status;
    we_bench_add(&b->report, cold ? "load_cold" : "load_hot", 0, WE_BENCH_SECONDS, we_bench_value_of(b->starts[0], count), 0);
    we_bench_add(&b->report, cold ? "start_cold" : "start_hot", 0, WE_BENCH_SECONDS, we_bench_value_of(b->starts[1], count), 0);
    return WE_OK;
}

static uint32_t bandwidth_repeats(const struct bench *b)
{
    if (we_args_has(b->args, "--no-bandwidth"))
        return 0;
    return b->repeats < BANDWIDTH_REPEATS ? b->repeats : BANDWIDTH_REPEATS;
}

static we_status measure_memory(struct bench *b, struct we_bench_value *bandwidth, struct we_error *error)
{
    double rates[BANDWIDTH_REPEATS];
    uint32_t count = bandwidth_repeats(b);
    we_status status = WE_OK;
    for (uint32_t i = 0; i < count && status == WE_OK; i++) {
        begin_step(b, "memory", 0);
        status = we_measure_bandwidth((uint32_t)we_settings_integer(b->args->settings, WE_SETTING_THREADS), &rates[i], error);
    }
    if (status != WE_OK || count == 0)
        return status;
    *bandwidth = we_bench_value_of(rates, count);
    b->report.bandwidth = bandwidth->mean;
    return WE_OK;
}

static void add_rates(struct bench *b, const struct we_bench_value *bandwidth)
{
    struct we_bench_report *r = &b->report;
    for (uint32_t i = 0; i < b->num_lengths; i++)
        we_bench_add(r, "first_token", b->lengths[i], WE_BENCH_SECONDS,
                     we_bench_value_of(b->samples[i].first_token, b->repeats), 0);
    for (uint32_t i = 0; i < b->num_lengths; i++)
        we_bench_add(r, "prefill", b->lengths[i], WE_BENCH_TOKENS_PER_SECOND,
                     we_bench_value_of(b->samples[i].prefill, b->repeats), 0);
    for (uint32_t i = 0; i < b->num_lengths && r->steps; i++) {
        struct we_bench_value decode = we_bench_value_of(b->samples[i].decode, b->repeats);
        double share = r->bandwidth > 0 ? bytes_of_a_token(r, b->lengths[i]) * decode.mean / r->bandwidth : 0;
        we_bench_add(r, "decode", b->lengths[i], WE_BENCH_TOKENS_PER_SECOND, decode, share);
    }
    we_bench_add(r, "peak_memory", 0, WE_BENCH_BYTES, (struct we_bench_value){(double)r->peak_memory, 0, 1}, 0);
    if (bandwidth->repeats)
        we_bench_add(r, "read_bandwidth", 0, WE_BENCH_BYTES_PER_SECOND, *bandwidth, 0);
}

/* The model is measured, then closed: it may not be open while starts are. The buffer that bandwidth is measured with comes
 * last, since it is not the model's memory. */
static int measure(struct bench *b, struct we_model **model)
{
    struct we_error error;
    struct we_bench_value bandwidth = {0};
    we_status status = WE_OK;
    if (!keep_facts(b, *model))
        return we_fail_text(b->args->command, "out of memory for the measurements");
    b->total = b->repeats * (b->num_lengths + (we_args_has(b->args, "--no-cold") ? 1 : 2)) + bandwidth_repeats(b);
    status = measure_rates(b, *model, &error);
    we_model_close(*model);
    *model = NULL;
    if (status == WE_OK)
        status = add_starts(b, false, &error);
    if (status == WE_OK && !we_args_has(b->args, "--no-cold"))
        status = add_starts(b, true, &error);
    if (status == WE_OK)
        status = measure_memory(b, &bandwidth, &error);
    we_spinner_stop();
    if (status != WE_OK)
        return we_fail(b->args->command, &error);
    add_rates(b, &bandwidth);
    return WE_EXIT_OK;
}

/* ---- the command line ---- */

static int compare_lengths(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* "128,512": in ascending order, each once; the first one is remembered. */
static bool parse_lengths(const struct we_args *args, struct bench *b)
{
    const char *text = we_args_text(args, "--prompt-tokens");
    text = text ? text : b->options.sequences > 1 ? "512" : "512,128,2048";
    for (const char *p = text; b->num_lengths < WE_BENCH_MOST_LENGTHS; p++) {
        size_t digits = strspn(p, "0123456789");
        unsigned long length = digits && digits < 9 ? strtoul(p, NULL, 10) : 0;
        if (length < 1 || length > 1u << 24 || (p[digits] && p[digits] != ','))
            break;
        b->lengths[b->num_lengths++] = (uint32_t)length;
        p += digits;
        if (*p == '\0') {
            b->report.first_length = b->lengths[0];
            qsort(b->lengths, b->num_lengths, sizeof *b->lengths, compare_lengths);
            uint32_t kept = 0;
            for (uint32_t i = 0; i < b->num_lengths; i++)
                if (i == 0 || b->lengths[i] != b->lengths[kept - 1])
                    b->lengths[kept++] = b->lengths[i];
            b->num_lengths = kept;
            return true;
        }
    }
    we_usage_error(args->command,
                   "--prompt-tokens takes a whole number from 1 to %u, or up to %u of them with commas between, not '%s'",
                   1u << 24, (unsigned)WE_BENCH_MOST_LENGTHS, text);
    return false;
}

/* The default lengths that the context has no room for are left out; those that a user gave are refused. */
static void fit_default_lengths(const struct we_args *args, struct bench *b, const struct we_model *model)
{
    if (we_args_has(args, "--prompt-tokens"))
        return;
    while (b->num_lengths > 1 &&
           (uint64_t)b->lengths[b->num_lengths - 1] + b->options.generated_tokens + 1 > we_model_info(model)->context_length)
        b->num_lengths--;
    if (b->report.first_length > b->lengths[b->num_lengths - 1])
        b->report.first_length = b->lengths[b->num_lengths - 1];
}

static bool parse(const struct we_args *args, struct bench *b)
{
    if (!we_args_u32(args, "--generation-tokens", 0, 1u << 24, 128, &b->options.generated_tokens) ||
        !we_args_u32(args, "--batch-size", 1, 64, 1, &b->options.sequences) ||
        !we_args_u32(args, "--repeats", 1, MOST_REPEATS, 3, &b->repeats) || !parse_lengths(args, b))
        return false;
    if (we_args_has(args, "--json") + we_args_has(args, "--csv") + we_args_has(args, "--markdown") > 1) {
        we_usage_error(args->command, "--json, --csv and --markdown exclude each other");
        return false;
    }
    b->options.repeats = 1;
    b->report.precision = we_settings_text(args->settings, WE_SETTING_PRECISION);
    b->report.sequences = b->options.sequences;
    b->report.steps = b->options.generated_tokens;
    b->report.repeats = b->repeats;
    return true;
}

static bool allocate(struct bench *b)
{
    double *next = b->memory = calloc((size_t)b->repeats * (3 * b->num_lengths + 2), sizeof *b->memory);
    if (next == NULL)
        return false;
    for (uint32_t i = 0; i < b->num_lengths; i++, next += 3 * b->repeats)
        b->samples[i] = (struct samples){next, next + b->repeats, next + 2 * b->repeats};
    b->starts[0] = next;
    b->starts[1] = next + b->repeats;
    return true;
}

static int write_plot(const struct bench *b, const char *path)
{
    struct we_error error;
    struct we_buf out = {0};
    we_bench_plot(&b->report, &out);
    we_status status = out.failed ? we_error_memory(&error, "the plot") : we_file_write(path, we_buf_str(&out), &error);
    we_buf_free(&out);
    return status == WE_OK ? WE_EXIT_OK : we_fail(b->args->command, &error);
}

static int print(const struct bench *b)
{
    const struct we_args *args = b->args;
    bool ok = we_args_has(args, "--json")       ? we_bench_print_json(&b->report)
              : we_args_has(args, "--csv")      ? we_bench_print_csv(&b->report)
              : we_args_has(args, "--markdown") ? we_bench_print_markdown(&b->report)
                                                : we_bench_print_table(&b->report);
    if (!ok)
        return we_fail_text(args->command, "out of memory for the report");
    const char *svg = we_args_text(args, "--svg");
    return svg ? write_plot(b, svg) : WE_EXIT_OK;
}

static int run_command(const struct we_args *args)
{
    struct bench b = {.args = args};
    struct we_bench_report earlier = {0};
    struct we_model *model = NULL;
    struct we_error error;
    if (!parse(args, &b))
        return WE_EXIT_USAGE;
    int status = WE_EXIT_OK;
    const char *compare = we_args_text(args, "--compare");
    if (compare && we_bench_read(compare, &earlier, &error) != WE_OK) /* before minutes are spent */
        status = we_fail(args->command, &error);
    if (status == WE_EXIT_OK)
        status = we_open_model_for(args, false, b.options.sequences, &model);
    if (status == WE_EXIT_OK) {
        fit_default_lengths(args, &b, model);
        status = allocate(&b) ? measure(&b, &model) : we_fail_text(args->command, "out of memory for the measurements");
    }
    if (status == WE_EXIT_OK) {
        if (compare)
            we_bench_compare(&b.report, &earlier);
        status = print(&b);
    }
    free(b.memory);
    we_model_close(model);
    we_bench_report_clear(&earlier);
    we_bench_report_clear(&b.report);
    return status;
}

const struct we_command we_command_bench = {
    .name = "bench",
    .summary = "load, prefill and decode rates, memory, share of the bandwidth",
    .synopsis = "[-m MODEL] [-p N,...] [-n N] [-r N] [--compare FILE]",
    .options = options,
    .num_options = sizeof options / sizeof *options,
    .settings = WE_TAKES_STORE | WE_TAKES_DEVICE,
    .details = "Runs random ids, greedily: a prompt of each length, then steps of decode that begin at its end. Means over the "
               "repeats, with the "
               "deviation of the sample; those of a batch are of all its sequences together. The bandwidth is measured in the "
               "same run, with the "
               "same threads: the share is what decode reads (weights, and the KV cache half way through) against it.\n\n"
               "A start is from the opening of the model to the first token after one id: hot with the model's files in "
               "memory, cold with none of "
               "them.\n\n"
               "With --compare a change counts as noise unless it is more than 1 % (of memory: 3 %) and more than chance makes "
               "of this spread "
               "in one of a hundred "
               "measurements (Welch's t-test).",
    .examples = "whisperengine bench -m ORG/NAME\n"
                "whisperengine bench -m ORG/NAME -p 128,1024,4096 -r 5 --json > before.json\n"
                "whisperengine bench -m ORG/NAME -p 128,1024,4096 -r 5 --compare before.json\n"
                "whisperengine bench -m ORG/NAME --svg bench.svg --markdown",
    .run = run_command,
};
