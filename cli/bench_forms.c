/* The forms of a benchmark's report: a table, JSON, CSV, Markdown. */
#include "bench.h"

#include "input.h"
#include "layout.h"
#include "terminal.h"

#include "base/json.h"
#include "client/models.h"
#include <stdio.h>

enum { LABEL = 9, CELL = 64 };

/* ---- numbers for people ---- */

/* The unit that suits a value, and what to multiply with. */
static const char *scale_of(enum we_bench_unit unit, double value, double *factor)
{
    static const char *const bytes[] = {"B", "kB", "MB", "GB", "TB"}, *const rates[] = {"B/s", "kB/s", "MB/s", "GB/s", "TB/s"};
    *factor = 1;
    if (unit == WE_BENCH_SECONDS) {
        *factor = value < 0.9995 ? 1000 : 1;
        return *factor > 1 ? "ms" : "s";
    }
    if (unit == WE_BENCH_TOKENS_PER_SECOND)
        return "tokens/s";
    size_t step = 0;
    for (; step < 4 && value * *factor >= 999.5; step++)
        *factor /= 1000;
    return unit == WE_BENCH_BYTES ? bytes[step] : rates[step];
}

/* "345.1 ± 3.0": four digits of the mean. */
static char *value_text(const struct we_bench_value *value, double factor, char out[CELL])
{
    double mean = value->mean * factor;
    int decimals = mean >= 999.95 ? 0 : mean >= 99.995 ? 1 : mean >= 9.9995 ? 2 : 3;
    int used = snprintf(out, CELL, "%.*f", decimals, mean);
    if (value->repeats > 1 && used > 0)
        snprintf(out + used, CELL - (size_t)used, " ± %.*f", decimals, value->deviation * factor);
    return out;
}

static char *change_text(const struct we_bench_line *line, char out[CELL])
{
    snprintf(out, CELL, "%s", "");
    if (line->verdict != WE_BENCH_ALONE && line->before.mean > 0)
        snprintf(out, CELL, "%+.1f %%", 100 * we_bench_change(line));
    return out;
}

static char *share_text(const struct we_bench_line *line, char out[CELL])
{
    snprintf(out, CELL, "%s", "");
    if (line->share > 0)
        snprintf(out, CELL, "%.1f %%", 100 * line->share);
    return out;
}

/* ---- rows that the table and Markdown share ---- */

enum { COLUMNS = 7 };
struct row {
    char cells[COLUMNS][CELL];
};

static size_t headings(const struct we_bench_report *report, const char *out[COLUMNS])
{
    static const char *const alone[] = {"measurement", "mean", "unit", "of the bandwidth"}, *const compared[] = {
                                                                                                "measurement",     "now",
                                                                                                "before",          "unit",
                                                                                                "change",          "verdict",
                                                                                                "of the bandwidth"};
    size_t count = report->earlier ? 7 : 4;
    memcpy(out, report->earlier ? compared : alone, count * sizeof *out);
    return count;
}

static void make_row(const struct we_bench_report *report, const struct we_bench_line *line, struct row *row)
{
    double factor;
    size_t c = 0;
    const char *unit = scale_of(line->unit, line->value.mean, &factor);
    we_bench_label(line, row->cells[c++], CELL);
    value_text(&line->value, factor, row->cells[c++]);
    snprintf(row->cells[c++], CELL, "%s", unit);
    if (report->earlier) {
        change_text(line, row->cells[c++]);
        snprintf(row->cells[c++], CELL, "%s", we_bench_verdict_text(line));
        row->cells[c][0] = '\0';
        if (line->verdict != WE_BENCH_ALONE)
            value_text(&line->before, factor, row->cells[c]);
        c++;
    }
    share_text(line, row->cells[c]);
}

static bool has_unknown(const struct we_bench_report *report)
{
    for (size_t i = 0; i < report->lines.count; i++)
        if (report->lines.list[i].verdict == WE_BENCH_UNKNOWN)
            return true;
    return false;
}

/* ---- what the numbers are of ---- */

typedef void fact_fn(const char *label, const char *value);

static void tell_facts(const struct we_bench_report *report, fact_fn *tell)
{
    char text[512], bytes[32];
    tell("model", we_model_short_name(report->model));
    snprintf(text, sizeof text, "%s, %s", report->device, report->precision);
    tell("device", text);
    if (report->sequences > 1) {
        snprintf(text, sizeof text, "%u sequences, rates of all together", report->sequences);
        tell("batch", text);
    }
    int used = snprintf(text, sizeof text, "%u repeat%s", report->repeats, report->repeats == 1 ? "" : "s");
    if (report->steps)
        snprintf(text + used, sizeof text - (size_t)used, ", %u steps of decode in each; a step reads %s of weights",
                 report->steps, we_format_bytes(report->token_bytes, bytes, sizeof bytes));
    tell("runs", text);
    if (report->cold_note)
        tell("cold", report->cold_note);
}

/* In what the earlier run was another one. */
static void tell_differences(const struct we_bench_report *report, fact_fn *tell)
{
    const struct we_bench_report *e = report->earlier;
    char text[512];
    if (e == NULL)
        return;
    if (strcmp(we_model_short_name(e->model), we_model_short_name(report->model)) != 0)
        tell("before", we_model_short_name(e->model));
    if (strcmp(e->device, report->device) != 0 || strcmp(e->precision, report->precision) != 0) {
        snprintf(text, sizeof text, "%s, %s", e->device, e->precision);
        tell("before", text);
    }
    if (e->sequences != report->sequences || e->steps != report->steps) {
        snprintf(text, sizeof text, "%u sequence%s, %u steps of decode", e->sequences, e->sequences == 1 ? "" : "s", e->steps);
        tell("before", text);
    }
    if (has_unknown(report))
        tell("unknown", "measured once, now or before: what one repeat differs by chance is not known");
}

static void print_fact(const char *label, const char *value)
{
    we_print_fact(LABEL, label, "%s", value);
}

bool we_bench_print_table(const struct we_bench_report *report)
{
    const char *cells[COLUMNS];
    struct we_table table = {.columns = headings(report, cells)};
    tell_facts(report, print_fact);
    tell_differences(report, print_fact);
    we_out_c("\n");
    for (size_t c = 0; c < table.columns; c++)
        table.right[c] = c == 1 || (report->earlier && (c == 3 || c == 5)) || c + 1 == table.columns;
    we_table_add(&table, cells);
    for (size_t i = 0; i < report->lines.count; i++) {
        struct row row;
        make_row(report, &report->lines.list[i], &row);
        for (size_t c = 0; c < table.columns; c++)
            cells[c] = row.cells[c];
        we_table_add(&table, cells);
    }
    bool ok = we_table_print(&table);
    we_table_free(&table);
    return ok;
}

/* ---- Markdown ---- */

/* Names of models may hold anything. */
static void print_escaped(const char *text)
{
    for (; *text; text++)
        we_out_printf(strchr("|\\*_`<", *text) ? "\\%c" : "%c", (unsigned char)*text < 0x20 ? ' ' : *text);
}

static void print_item(const char *label, const char *value)
{
    we_out_printf("- %s: ", label);
    print_escaped(value);
    we_out_c("\n");
}

bool we_bench_print_markdown(const struct we_bench_report *report)
{
    const char *cells[COLUMNS];
    size_t columns = headings(report, cells);
    tell_facts(report, print_item);
    tell_differences(report, print_item);
    we_out_c("\n|");
    for (size_t c = 0; c < columns; c++)
        we_out_printf(" %s |", cells[c]);
    we_out_c("\n|");
    for (size_t c = 0; c < columns; c++)
        we_out_c(c == 1 || (report->earlier && (c == 3 || c == 5)) || c + 1 == columns ? " ---: |" : " --- |");
    we_out_c("\n");
    for (size_t i = 0; i < report->lines.count; i++) {
        struct row row;
        make_row(report, &report->lines.list[i], &row);
        we_out_c("|");
        for (size_t c = 0; c < columns; c++)
            we_out_printf(row.cells[c][0] ? " %s |" : "%s |", row.cells[c]);
        we_out_c("\n");
    }
    return true;
}

/* ---- CSV (RFC 4180) ---- */

static void print_field(const char *text)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        we_out_c(text);
        return;
    }
    we_out_c("\"");
    for (; *text; text++)
        we_out_printf(*text == '"' ? "\"\"" : "%c", *text);
    we_out_c("\"");
}

static void print_number(struct we_buf *scratch, double number)
{
    we_buf_clear(scratch);
    we_json_write_double(scratch, number);
    we_out(we_buf_str(scratch).data, scratch->length);
}

static void print_csv_line(const struct we_bench_report *report, const struct we_bench_line *line, struct we_buf *scratch)
{
    const char *const texts[] = {report->model, report->device, report->precision};
    for (size_t i = 0; i < 3; i++) {
        print_field(texts[i]);
        we_out_c(",");
    }
    we_out_printf("%u,%s,", report->sequences, line->name);
    if (line->tokens)
        we_out_printf("%u", line->tokens);
    we_out_printf(",%s,", we_bench_unit_name(line->unit));
    print_number(scratch, line->value.mean);
    we_out_c(",");
    print_number(scratch, line->value.deviation);
    we_out_printf(",%u,", line->value.repeats);
    if (line->share > 0)
        print_number(scratch, line->share);
    if (report->earlier && line->verdict != WE_BENCH_ALONE) {
        we_out_c(",");
        print_number(scratch, line->before.mean);
        we_out_c(",");
        print_number(scratch, line->before.deviation);
        we_out_printf(",%u,%s", line->before.repeats, we_bench_verdict_text(line));
    } else if (report->earlier) {
        we_out_printf(",,,,%s", we_bench_verdict_text(line));
    }
    we_out_c("\n");
}

bool we_bench_print_csv(const struct we_bench_report *report)
{
    struct we_buf scratch = {0};
    we_out_printf("model,device,precision,batch_size,measurement,tokens,unit,mean,deviation,repeats,bandwidth_fraction%s\n",
                  report->earlier ? ",before,before_deviation,before_repeats,verdict" : "");
    for (size_t i = 0; i < report->lines.count; i++)
        print_csv_line(report, &report->lines.list[i], &scratch);
    bool ok = !scratch.failed;
    we_buf_free(&scratch);
    return ok;
}

/* ---- JSON ---- */

static void add_measurement(struct we_json_line *out, const struct we_bench_line *line, bool compared)
{
    we_json_open(out, NULL, '{');
    we_json_text(out, "measurement", line->name);
    if (line->tokens)
        we_json_integer(out, "tokens", line->tokens);
    we_json_text(out, "unit", we_bench_unit_name(line->unit));
    we_json_number(out, "mean", line->value.mean);
    we_json_number(out, "deviation", line->value.deviation);
    we_json_integer(out, "repeats", line->value.repeats);
    if (line->share > 0)
        we_json_number(out, "bandwidth_fraction", line->share);
    if (compared && line->verdict != WE_BENCH_ALONE) {
        we_json_number(out, "before", line->before.mean);
        we_json_number(out, "before_deviation", line->before.deviation);
        we_json_integer(out, "before_repeats", line->before.repeats);
        we_json_number(out, "change", we_bench_change(line));
    }
    if (compared)
        we_json_text(out, "verdict", we_bench_verdict_text(line));
    we_json_close(out, '}');
}

/* Of the first length; 0 where nothing was decoded. */
static struct we_bench_line first_of(const struct we_bench_report *report, const char *name, uint32_t tokens)
{
    const struct we_bench_line *line = we_bench_find(report, name, tokens);
    return line ? *line : (struct we_bench_line){0};
}

bool we_bench_print_json(const struct we_bench_report *report)
{
    struct we_json_line out = {0};
    const uint32_t length = report->first_length;
    const struct we_bench_line prefill = first_of(report, "prefill", length), decode = first_of(report, "decode", length);
    we_json_open(&out, NULL, '{');
    we_json_text(&out, "model", report->model);
    we_json_text(&out, "device", report->device);
    we_json_text(&out, "precision", report->precision);
    we_json_integer(&out, "prompt_tokens", length);
    we_json_integer(&out, "generation_tokens", report->steps);
    we_json_integer(&out, "batch_size", report->sequences);
    we_json_integer(&out, "repeats", report->repeats);
    we_json_number(&out, "load_seconds", first_of(report, "load_hot", 0).value.mean);
    we_json_number(&out, "time_to_first_token", first_of(report, "first_token", length).value.mean);
    we_json_number(&out, "prefill_tps", prefill.value.mean);
    we_json_number(&out, "prefill_tps_deviation", prefill.value.deviation);
    we_json_number(&out, "decode_tps", decode.value.mean);
    we_json_number(&out, "decode_tps_deviation", decode.value.deviation);
    we_json_integer(&out, "weight_bytes", report->weight_bytes);
    we_json_integer(&out, "token_bytes", report->token_bytes);
    we_json_integer(&out, "kv_position_bytes", report->kv_position_bytes);
    we_json_integer(&out, "peak_memory_bytes", report->peak_memory);
    we_json_number(&out, "read_bandwidth", report->bandwidth);
    we_json_number(&out, "bandwidth_fraction", decode.share);
    we_json_text(&out, "cold_note", report->cold_note);
    we_json_open(&out, "measurements", '[');
    for (size_t i = 0; i < report->lines.count; i++)
        add_measurement(&out, &report->lines.list[i], report->earlier != NULL);
    we_json_close(&out, ']');
    we_json_close(&out, '}');
    return we_json_print(&out);
}
