/* logits: what the network says after given ids. */
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
    {"--ids", NULL, "IDS", "the token ids, a JSON list; - reads it from standard input"},
    {"--out", "-o", "FILE", "write the logits after each id to this safetensors file", WE_VALUE_FILE},
    {"--top", NULL, "N", "without --out: how many of the most likely next tokens to print (10)"},
    {"--json", NULL, NULL, "without --out: print them as a JSON list"},
};

struct candidate {
    uint32_t id;
    float logit;
};

struct last_row {
    size_t index; /* of the row that is wanted */
    uint32_t vocab, count, room;
    struct candidate *best; /* (room), the highest first, of equal ones the lower id */
    double log_sum;
};

static bool keep_last_row(void *context, size_t index, const float *logits)
{
    struct last_row *row = context;
    if (index != row->index)
        return true;
    float max = logits[0];
    for (uint32_t i = 1; i < row->vocab; i++)
        max = logits[i] > max ? logits[i] : max;
    double sum = 0;
    for (uint32_t i = 0; i < row->vocab; i++) {
        sum += exp((double)logits[i] - max);
        if (row->count == row->room && !(logits[i] > row->best[row->count - 1].logit))
            continue;
        uint32_t at = row->count < row->room ? row->count++ : row->count - 1;
        for (; at > 0 && logits[i] > row->best[at - 1].logit; at--)
            row->best[at] = row->best[at - 1];
        row->best[at] = (struct candidate){i, logits[i]};
    }
    row->log_sum = max + log(sum);
    return true;
}

/* Control characters and line breaks of a token would spoil the table. */
static void make_visible(struct we_buf *out, const char *text, size_t length)
{
    struct we_str rest = we_str(text, length);
    we_buf_append_byte(out, '"');
    while (rest.length) {
        uint32_t c = 0;
        size_t n = we_utf8_decode(rest, &c);
        if (n == 0 || c < 0x20 || (c >= 0x7F && c < 0xA0))
            we_buf_printf(out, c == '\n' ? "\\n" : "\\x%02X", (unsigned)(unsigned char)rest.data[0]);
        else
            we_buf_append(out, we_str(rest.data, n));
        n = n ? n : 1;
        rest = we_str(rest.data + n, rest.length - n);
    }
    we_buf_append_byte(out, '"');
}

static bool print_table(const struct last_row *row, char *const *texts, const size_t *lengths)
{
    struct we_table table = {.columns = 4, .right = {true, true, true}};
    we_table_add(&table, (const char *[]){"ID", "LOGIT", "PROBABILITY", "TEXT"});
    for (uint32_t i = 0; i < row->count; i++) {
        char id[16], logit[32], probability[32];
        struct we_buf text = {0};
        snprintf(id, sizeof id, "%u", row->best[i].id);
        snprintf(logit, sizeof logit, "%.4f", (double)row->best[i].logit);
        snprintf(probability, sizeof probability, "%.2f %%", 100 * exp((double)row->best[i].logit - row->log_sum));
        if (texts[i])
            make_visible(&text, texts[i], lengths[i]);
        we_table_add(&table, (const char *[]){id, logit, probability, texts[i] && !text.failed ? text.data : ""});
        we_buf_free(&text);
    }
    bool ok = we_table_print(&table);
    we_table_free(&table);
    return ok;
}

static bool print_json(const struct last_row *row, char *const *texts, const size_t *lengths)
{
    struct we_json_line out = {0};
    we_json_open(&out, NULL, '[');
    for (uint32_t i = 0; i < row->count; i++) {
        we_json_open(&out, NULL, '{');
        we_json_integer(&out, "id", row->best[i].id);
        we_json_number(&out, "logit", (double)row->best[i].logit);
        we_json_number(&out, "logprob", (double)row->best[i].logit - row->log_sum);
        if (texts[i])
            we_json_str(&out, "text", we_str(texts[i], lengths[i]));
        else
            we_json_text(&out, "text", NULL);
        we_json_close(&out, '}');
    }
    we_json_close(&out, ']');
    return we_json_print(&out);
}

static int print_best(const struct we_args *args, struct we_model *model, const uint32_t *ids, size_t count, uint32_t top)
{
    struct we_error error;
    uint32_t vocab = we_model_info(model)->vocab_size;
    struct last_row row = {.index = count - 1, .vocab = vocab, .room = top < vocab ? top : vocab};
    row.best = calloc(row.room, sizeof *row.best);
    char **texts = calloc(row.room, sizeof *texts);
    size_t *lengths = calloc(row.room, sizeof *lengths);
    we_status work = row.best && texts && lengths ? we_logits(model, ids, count, keep_last_row, &row, &error)
                                                  : we_error_memory(&error, "the most likely tokens");
    we_spinner_stop();
    for (uint32_t i = 0; work == WE_OK && i < row.count && we_model_info(model)->has_tokenizer; i++)
        work = we_detokenize(we_model_info(model)->path, &row.best[i].id, 1, &texts[i], &lengths[i], &error);
    if (work == WE_OK && !(we_args_has(args, "--json") ? print_json : print_table)(&row, texts, lengths))
        work = we_error_memory(&error, "the most likely tokens");
    for (uint32_t i = 0; texts && i < row.room; i++)
        free(texts[i]);
    free(texts);
    free(lengths);
    free(row.best);
    return work == WE_OK ? WE_EXIT_OK : we_fail(args->command, &error);
}

static int run_command(const struct we_args *args)
{
    struct we_model *model = NULL;
    struct we_error error;
    uint32_t *ids = NULL, top;
    size_t count = 0;
    const char *out = we_args_text(args, "--out");
    if (!we_args_has(args, "--ids"))
        return we_usage_error(args->command, "--ids is missing: a JSON list of token ids, as --ids '[1, 2, 3]'");
    if (out && (we_args_has(args, "--top") || we_args_has(args, "--json")))
        return we_usage_error(args->command, "--top and --json print the most likely tokens, which --out leaves out");
    if (!we_args_u32(args, "--top", 1, 1000, 10, &top))
        return WE_EXIT_USAGE;
    int status = we_read_ids(args, "--ids", &ids, &count);
    if (status == WE_EXIT_OK)
        status = we_open_model(args, true, &model);
    if (status == WE_EXIT_OK) {
        we_spinner_start("reading the ids");
        if (out == NULL)
            status = print_best(args, model, ids, count, top);
        else if (we_logits_write(model, ids, count, out, &error) != WE_OK)
            status = we_fail(args->command, &error);
        we_spinner_stop();
    }
    we_model_close(model);
    free(ids);
    return status;
}

const struct we_command we_command_logits = {
    .name = "logits",
    .summary = "the logits after given token ids",
    .synopsis = "[-m MODEL] --ids IDS [--out FILE.safetensors]",
    .options = options,
    .num_options = sizeof options / sizeof *options,
    .settings = WE_TAKES_STORE | WE_TAKES_DEVICE,
    .details = "With --out: one float32 tensor \"logits\" of shape [ids, vocab], whose row i is what follows ids[0..i]. Without it: the most "
               "likely tokens after the last id.\n"
               "Precision is exact unless --precision says otherwise.",
    .examples = "whisperengine logits -m ORG/NAME --ids '[1, 2, 3]' --out logits.safetensors\n"
                "printf 'The capital of France is' | whisperengine tokenize --json | whisperengine logits --ids -",
    .run = run_command,
};
