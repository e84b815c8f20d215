/* What a benchmark has measured, as lines; and the forms in which they come out. */
#ifndef WE_CLI_BENCH_H
#define WE_CLI_BENCH_H

#include "args.h"

#include "base/arena.h"
#include "base/buf.h"
#include "json_line.h"

enum we_bench_unit { WE_BENCH_SECONDS, WE_BENCH_TOKENS_PER_SECOND, WE_BENCH_BYTES, WE_BENCH_BYTES_PER_SECOND };

/* How a line stands against one of an earlier run. */
enum we_bench_verdict {
    WE_BENCH_ALONE = 0, /* there was no such line */
    WE_BENCH_NOISE,
    WE_BENCH_BETTER,
    WE_BENCH_WORSE,
    WE_BENCH_UNKNOWN /* measured once, then or now: nothing is known of its spread */
};

struct we_bench_value {
    double mean, deviation; /* of the sample; 0 with one repeat */
    uint32_t repeats;
};

struct we_bench_line {
    const char *name; /* "decode" */
    uint32_t tokens;  /* of the prompt, or the context; 0: it has none */
    enum we_bench_unit unit;
    struct we_bench_value value;
    double share; /* of the memory bandwidth; 0: not of interest */
    enum we_bench_verdict verdict;
    struct we_bench_value before; /* unless ALONE */
};

enum { WE_BENCH_MOST_LENGTHS = 16, WE_BENCH_MOST_LINES = 3 * WE_BENCH_MOST_LENGTHS + 8 };

struct we_bench_lines {
    struct we_bench_line list[WE_BENCH_MOST_LINES];
    size_t count;
};

struct we_bench_report {
    struct we_arena arena; /* of what is read from an earlier run */
    char *model, *device;  /* path; "cpu (avx512, 2 threads)" */
    const char *precision;
    uint32_t sequences, steps, repeats;
    uint32_t first_length; /* the one that the members of the JSON object beside the list are of */
    uint64_t weight_bytes, token_bytes, kv_position_bytes, peak_memory;
    double bandwidth;
    const char *cold_note; /* why there is no cold start; NULL: there is one */
    struct we_bench_lines lines;
    const struct we_bench_report *earlier; /* or NULL */
};

/* ---- bench_lines.c ---- */

struct we_bench_value we_bench_value_of(const double *samples, uint32_t count);
void we_bench_add(struct we_bench_report *report, const char *name, uint32_t tokens, enum we_bench_unit unit,
                  struct we_bench_value value, double share);
const struct we_bench_line *we_bench_find(const struct we_bench_report *report, const char *name, uint32_t tokens);
/* "decode at 512". Returns out. */
char *we_bench_label(const struct we_bench_line *line, char *out, size_t size);
/* "tokens/s", as programs read it. */
const char *we_bench_unit_name(enum we_bench_unit unit);

/* ---- bench_forms.c: each prints the whole report; false: out of memory ---- */

bool we_bench_print_table(const struct we_bench_report *report);
bool we_bench_print_json(const struct we_bench_report *report);
bool we_bench_print_csv(const struct we_bench_report *report);
bool we_bench_print_markdown(const struct we_bench_report *report);

/* ---- bench_compare.c ---- */

/* Reads what --json has printed, or an earlier version of this command. Release with we_bench_report_clear. */
we_status we_bench_read(const char *path, struct we_bench_report *report, struct we_error *error);
void we_bench_report_clear(struct we_bench_report *report);
/* Fills verdict and before of each line. */
void we_bench_compare(struct we_bench_report *report, const struct we_bench_report *earlier);
/* How much more (0.1: ten in a hundred) it is than before. */
double we_bench_change(const struct we_bench_line *line);
const char *we_bench_verdict_text(const struct we_bench_line *line);

/* ---- bench_plot.c ---- */

/* Rate of decode against context, and of prefill against length, as SVG. */
void we_bench_plot(const struct we_bench_report *report, struct we_buf *out);

#endif
