/* bench --compare: an earlier run, and what of the change since it is more than noise. */
#include "bench.h"

#include "base/fs.h"
#include "base/json.h"

#include <math.h>

/* ---- the earlier run ---- */

/* Sizes a benchmark has been made with; a file may hold anything. */
static uint32_t whole(const struct we_json *object, const char *key)
{
    const struct we_json *value = we_json_get(object, key);
    return value && value->is_integer && value->integer > 0 && value->integer <= UINT32_MAX ? (uint32_t)value->integer : 0;
}

static bool number(const struct we_json *object, const char *key, double *out)
{
    const struct we_json *value = we_json_get(object, key);
    bool is = value && value->kind == WE_JSON_NUMBER && isfinite(value->number) && value->number >= 0;
    *out = is ? value->number : 0;
    return is;
}

static char *text(struct we_bench_report *report, const struct we_json *object, const char *key)
{
    const struct we_json *value = we_json_get(object, key);
    return we_arena_copy(&report->arena, value && value->kind == WE_JSON_STRING ? value->string : we_str_c(""));
}

static we_status read_measurement(const char *path, const struct we_json *item, struct we_bench_report *report,
                                  struct we_error *error)
{
    struct we_bench_value value = {.repeats = whole(item, "repeats")};
    const char *name = text(report, item, "measurement");
    if (name == NULL)
        return we_error_memory(error, "an earlier benchmark");
    if (!number(item, "mean", &value.mean) || !number(item, "deviation", &value.deviation) || value.repeats == 0)
        return we_error_set(error, WE_INVALID_FORMAT, "%s: a measurement ('%s') lacks its mean, deviation or repeats", path,
                            name);
    we_bench_add(report, name, whole(item, "tokens"), WE_BENCH_SECONDS, value, 0);
    return WE_OK;
}

/* The single members that the object had before it had a list. */
static void read_members(const struct we_json *json, struct we_bench_report *report)
{
    static const struct {
        const char *name, *key, *deviation;
        bool has_length, once;
    } members[] = {
        {"load_hot", "load_seconds", NULL, false, true},
        {"prefill", "prefill_tps", "prefill_tps_deviation", true, false},
        {"decode", "decode_tps", "decode_tps_deviation", true, false},
        {"peak_memory", "peak_memory_bytes", NULL, false, true},
        {"read_bandwidth", "read_bandwidth", NULL, false, true},
    };
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        struct we_bench_value value = {.repeats = members[i].once ? 1 : report->repeats};
        if (!number(json, members[i].key, &value.mean))
            continue;
        if (members[i].deviation)
            number(json, members[i].deviation, &value.deviation);
        we_bench_add(report, members[i].name, members[i].has_length ? report->first_length : 0, WE_BENCH_SECONDS, value, 0);
    }
}

static we_status read_report(const char *path, const struct we_json *json, struct we_bench_report *report,
                             struct we_error *error)
{
    double rate;
    const struct we_json *list = we_json_get(json, "measurements");
    if (!number(json, "prefill_tps", &rate) || (list && list->kind != WE_JSON_ARRAY))
        return we_error_set(error, WE_INVALID_FORMAT, "%s: this is not what 'whisperengine bench --json' has printed", path);
    report->model = text(report, json, "model");
    report->device = text(report, json, "device");
    report->precision = text(report, json, "precision");
    if (report->model == NULL || report->device == NULL || report->precision == NULL)
        return we_error_memory(error, "an earlier benchmark");
    report->sequences = whole(json, "batch_size");
    report->steps = whole(json, "generation_tokens");
    report->repeats = whole(json, "repeats");
    report->first_length = whole(json, "prompt_tokens");
    if (list == NULL)
        read_members(json, report);
    we_status status = WE_OK;
    for (size_t i = 0; list && i < list->count && status == WE_OK; i++)
        status = read_measurement(path, &list->items[i], report, error);
    return status;
}

we_status we_bench_read(const char *path, struct we_bench_report *report, struct we_error *error)
{
    enum { LIMIT = 1 << 20 };
    struct we_buf data = {0};
    struct we_json *json = NULL;
    *report = (struct we_bench_report){0};
    we_status status = we_file_read(path, LIMIT, &data, error);
    if (status == WE_OK)
        status = we_json_parse(we_buf_str(&data), path, &report->arena, &json, error);
    if (status == WE_OK)
        status = read_report(path, json, report, error);
    we_buf_free(&data);
    return status;
}

void we_bench_report_clear(struct we_bench_report *report)
{
    we_arena_free(&report->arena);
    *report = (struct we_bench_report){0};
}

/* ---- the verdict ---- */

/* Less than this share is noise whatever the repeats say: two starts of the program differ by as much. */
static const double least_change = 0.01, least_change_of_memory = 0.03;

/* Student's t that chance stays below in 99 of 100 cases, on both sides, for so many degrees of freedom. */
static double critical_t(double freedom)
{
    static const struct {
        double freedom, t;
    } table[] = {{1, 63.66}, {2, 9.925},  {3, 5.841},  {4, 4.604},  {5, 4.032},  {6, 3.707},  {7, 3.499}, {8, 3.355},
                 {9, 3.250}, {10, 3.169}, {12, 3.055}, {15, 2.947}, {20, 2.845}, {30, 2.750}, {60, 2.660}};
    double t = table[0].t;
    for (size_t i = 0; i < sizeof table / sizeof *table && table[i].freedom <= freedom; i++)
        t = table[i].t;
    return t;
}

/* Welch's test: two means whose spreads may differ. */
static bool is_more_than_chance(const struct we_bench_value *a, const struct we_bench_value *b)
{
    double va = a->deviation * a->deviation / a->repeats, vb = b->deviation * b->deviation / b->repeats;
    if (va + vb <= 0)
        return true;
    double freedom = (va + vb) * (va + vb) / (va * va / (a->repeats - 1) + vb * vb / (b->repeats - 1));
    return fabs(a->mean - b->mean) > critical_t(freedom) * sqrt(va + vb);
}

static enum we_bench_verdict judge(const struct we_bench_line *line)
{
    const double difference = line->value.mean - line->before.mean;
    const bool repeatable = strcmp(line->name, "peak_memory") == 0; /* hardly differs from run to run */
    const double least = repeatable ? least_change_of_memory : least_change;
    if (difference == 0 || fabs(difference) < least * line->before.mean)
        return WE_BENCH_NOISE;
    if (!repeatable && (line->value.repeats < 2 || line->before.repeats < 2))
        return WE_BENCH_UNKNOWN;
    if (!repeatable && !is_more_than_chance(&line->value, &line->before))
        return WE_BENCH_NOISE;
    const bool more_is_better = line->unit == WE_BENCH_TOKENS_PER_SECOND || line->unit == WE_BENCH_BYTES_PER_SECOND;
    return (difference > 0) == more_is_better ? WE_BENCH_BETTER : WE_BENCH_WORSE;
}

void we_bench_compare(struct we_bench_report *report, const struct we_bench_report *earlier)
{
    report->earlier = earlier;
    for (size_t i = 0; i < report->lines.count; i++) {
        struct we_bench_line *line = &report->lines.list[i];
        const struct we_bench_line *before = we_bench_find(earlier, line->name, line->tokens);
        if (before == NULL)
            continue;
        line->before = before->value;
        line->verdict = judge(line);
    }
}

double we_bench_change(const struct we_bench_line *line)
{
    return line->before.mean > 0 ? line->value.mean / line->before.mean - 1 : 0;
}

const char *we_bench_verdict_text(const struct we_bench_line *line)
{
    const bool memory = line->unit == WE_BENCH_BYTES;
    switch (line->verdict) {
    case WE_BENCH_NOISE:
        return "noise";
    case WE_BENCH_BETTER:
        return memory ? "less" : "faster";
    case WE_BENCH_WORSE:
        return memory ? "more" : "slower";
    case WE_BENCH_UNKNOWN:
        return "unknown"; /* one repeat */
    default:
        return "new";
    }
}
