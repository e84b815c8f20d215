/* perplexity: how well a model foretells a text, and what a quantisation of it has cost. */
#include "args.h"
#include "input.h"
#include "interrupt.h"
#include "json_line.h"
#include "layout.h"
#include "progress.h"
#include "terminal.h"

#include "base/fs.h"
#include "base/system.h"
#include "client/models.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct we_option options[] = {
    {"--against", NULL, "MODEL", "also read the text with this model, and tell what the other one loses to it", WE_VALUE_MODEL},
    {"--sequence-length", NULL, "N", "tokens that are read at a time, each time from nothing (512)"},
    {"--num-samples", NULL, "N", "how many such windows (all that the text fills)"},
    {"--json", NULL, NULL, "print one JSON object"},
};

enum { LABEL = 12 };

struct reading {
    struct we_model *model;
    struct we_perplexity result;
    double seconds;
};

/* The model against the other: of the same tokens, so the differences say more than the two perplexities. */
struct cost {
    double ratio, standard_error; /* of the perplexities */
    double same_top;              /* share of the tokens for which both hold the same one most likely */
};

static bool show_progress(void *context, uint64_t done, uint64_t total)
{
    we_progress_update(context, done, total);
    return !we_interrupted();
}

static void remember(void)
{
}

static we_status read_text(const struct we_args *args, struct we_buf *text, struct we_error *error)
{
    const char *name = args->operands[0];
    return strcmp(name, "-") == 0 ? we_read_input(text, error) : we_file_read(name, 0, text, error);
}

static we_status read_with(struct reading *r, const uint32_t *ids, size_t count, struct we_perplexity_options wanted,
                           const char *label, struct we_error *error)
{
    struct we_progress progress;
    we_progress_start(&progress, label);
    progress.unit = "tokens";
    wanted.on_progress = show_progress;
    wanted.context = &progress;
    double started = we_clock();
    we_interrupt_handle(remember);
    we_status status = we_perplexity(r->model, ids, count, &wanted, &r->result, error);
    we_interrupt_handle(NULL);
    r->seconds = we_clock() - started;
    we_progress_end(&progress);
    return status;
}

static struct cost cost_of(const struct we_perplexity *a, const struct we_perplexity *b)
{
    double mean = a->loss - b->loss, deviation = 0;
    size_t same = 0, n = a->num_tokens;
    for (size_t i = 0; i < n; i++) {
        double distance = a->scores[i].loss - b->scores[i].loss - mean;
        deviation += distance * distance;
        same += a->scores[i].top == b->scores[i].top;
    }
    deviation = n > 1 ? sqrt(deviation / (double)(n - 1)) : 0;
    return (struct cost){exp(mean), exp(mean) * deviation / sqrt((double)n), (double)same / (double)n};
}

static void print_facts(const struct we_args *args, const struct reading *r, const struct reading *other)
{
    char tokens[32];
    const struct we_perplexity *p = &r->result;
    we_print_fact(LABEL, "model", "%s", we_model_short_name(we_model_info(r->model)->path));
    we_print_fact(LABEL, "text", "%s, %zu windows of %zu tokens, %s of them foretold", args->operands[0], p->num_windows,
                  p->window, we_format_grouped(p->num_tokens, tokens, sizeof tokens));
    we_print_fact(LABEL, "perplexity", "%.4f ± %.4f", p->perplexity, p->standard_error);
    we_print_fact(LABEL, "rate", "%.0f tokens/s", (double)p->num_tokens / r->seconds);
    if (other == NULL)
        return;
    struct cost cost = cost_of(p, &other->result);
    we_print_fact(LABEL, "against", "%s", we_model_short_name(we_model_info(other->model)->path));
    we_print_fact(LABEL, "", "%.4f ± %.4f", other->result.perplexity, other->result.standard_error);
    we_print_fact(LABEL, "cost", "%+.2f ± %.2f %% perplexity; the likeliest token is the same %.1f %% of the time",
                  100 * (cost.ratio - 1), 100 * cost.standard_error, 100 * cost.same_top);
}

static void add_reading(struct we_json_line *out, const struct reading *r)
{
    const struct we_perplexity *p = &r->result;
    we_json_text(out, "model", we_model_info(r->model)->path);
    we_json_number(out, "perplexity", p->perplexity);
    we_json_number(out, "standard_error", p->standard_error);
    we_json_number(out, "loss", p->loss);
    we_json_integer(out, "tokens", p->num_tokens);
    we_json_integer(out, "windows", p->num_windows);
    we_json_integer(out, "sequence_length", p->window);
    we_json_number(out, "tps", (double)p->num_tokens / r->seconds);
}

static bool print_json(const struct reading *r, const struct reading *other)
{
    struct we_json_line out = {0};
    we_json_open(&out, NULL, '{');
    add_reading(&out, r);
    if (other) {
        struct cost cost = cost_of(&r->result, &other->result);
        we_json_open(&out, "against", '{');
        add_reading(&out, other);
        we_json_close(&out, '}');
        we_json_number(&out, "ratio", cost.ratio);
        we_json_number(&out, "ratio_standard_error", cost.standard_error);
        we_json_number(&out, "same_top", cost.same_top);
    }
    we_json_close(&out, '}');
    return we_json_print(&out);
}

static we_status tokenize(const struct we_model *model, const struct we_buf *text, uint32_t **ids, size_t *count,
                          struct we_error *error)
{
    return we_tokenize(we_model_info(model)->path, text->data ? text->data : "", text->length, true, ids, count, error);
}

/* An endpoint tells no probabilities of a given text. */
static we_status check_local(const struct we_model *model, struct we_error *error)
{
    const char *path = we_model_info(model)->path;
    if (strncmp(path, "http://", 7) != 0 && strncmp(path, "https://", 8) != 0)
        return WE_OK;
    return we_error_set(error, WE_UNSUPPORTED, "%s: a perplexity needs a model on this machine", path);
}

/* Perplexities are of tokens: those of two models can be compared if the text is the same tokens for both. */
static we_status check_same_ids(const struct we_model *model, const struct we_buf *text, const uint32_t *ids, size_t count,
                                struct we_error *error)
{
    uint32_t *others = NULL;
    size_t num_others = 0;
    we_status status = tokenize(model, text, &others, &num_others, error);
    if (status == WE_OK && (num_others != count || (count && memcmp(ids, others, count * sizeof *ids) != 0)))
        status = we_error_set(error, WE_INVALID_ARGUMENT,
                              "%s makes other tokens of the text than the model does: their perplexities cannot be compared",
                              we_model_info(model)->path);
    free(others);
    return status;
}

static int report(const struct we_args *args, const struct reading *r, const struct reading *other)
{
    if (!we_args_has(args, "--json"))
        print_facts(args, r, other);
    else if (!print_json(r, other))
        return we_fail_text(args->command, "out of memory for the JSON object");
    return WE_EXIT_OK;
}

static int run_command(const struct we_args *args)
{
    struct we_perplexity_options wanted = {0};
    struct reading reading = {0}, other = {0};
    struct we_error error;
    struct we_buf text = {0};
    uint32_t *ids = NULL;
    size_t count = 0;
    const char *against = we_args_text(args, "--against");
    if (!we_args_u32(args, "--sequence-length", 2, 1u << 24, 0, &wanted.window) ||
        !we_args_u32(args, "--num-samples", 1, 1u << 30, 0, &wanted.max_windows))
        return WE_EXIT_USAGE;
    we_status work = read_text(args, &text, &error);
    int status = work == WE_OK ? we_open_model(args, true, &reading.model) : we_fail(args->command, &error);
    if (status == WE_EXIT_OK && against)
        status = we_open_named_model(args, against, true, &other.model);
    if (status == WE_EXIT_OK) {
        work = check_local(reading.model, &error);
        if (work == WE_OK && against)
            work = check_local(other.model, &error);
        if (work == WE_OK)
            work = tokenize(reading.model, &text, &ids, &count, &error);
        if (work == WE_OK && against)
            work = check_same_ids(other.model, &text, ids, count, &error);
        if (work == WE_OK && count < 2)
            work = we_error_set(&error, WE_INVALID_ARGUMENT, "%s: it holds %zu tokens, where at least two are needed",
                                args->operands[0], count);
        if (work == WE_OK)
            work = read_with(&reading, ids, count, wanted, "reading", &error);
        if (work == WE_OK && against)
            work = read_with(&other, ids, count, wanted, "reading with the other", &error);
        status = work == WE_OK ? report(args, &reading, against ? &other : NULL) : we_fail(args->command, &error);
    }
    we_perplexity_clear(&reading.result);
    we_perplexity_clear(&other.result);
    we_model_close(reading.model);
    we_model_close(other.model);
    free(ids);
    we_buf_free(&text);
    return status;
}

const struct we_command we_command_perplexity = {
    .name = "perplexity",
    .summary = "how well a model foretells a text, and what quantising it has cost",
    .synopsis = "[-m MODEL] FILE [--against MODEL]",
    .min_operands = 1,
    .max_operands = 1,
    .operand_kind = WE_VALUE_FILE,
    .options = options,
    .num_options = sizeof options / sizeof *options,
    .settings = WE_TAKES_STORE | WE_TAKES_DEVICE,
    .details =
        "The text (- is standard input) is cut into windows, each of which is read from nothing; what is left at the end is "
        "passed "
        "over. The perplexity is the exponential of the mean of minus the logarithm of the probability that the model gave "
        "to each token but the first of a window, as mlx-lm's perplexity has it; lower is better. After ± stands the standard "
        "error.\n"
        "--against names the model before it was quantised, or another one with the same tokenizer: both read the same tokens, "
        "so a small difference shows where the two perplexities alone would not tell.\n"
        "Precision is exact unless --precision says otherwise.",
    .examples = "whisperengine perplexity -m ORG/NAME-4bit book.txt\n"
                "whisperengine perplexity -m ORG/NAME-4bit book.txt --against ORG/NAME --num-samples 20",
    .run = run_command,
};
