#include "bench.h"

#include <math.h>
#include <stdio.h>

struct we_bench_value we_bench_value_of(const double *samples, uint32_t count)
{
    struct we_bench_value v = {.repeats = count};
    for (uint32_t i = 0; i < count; i++)
        v.mean += samples[i] / count;
    for (uint32_t i = 0; i < count; i++)
        v.deviation += (samples[i] - v.mean) * (samples[i] - v.mean);
    v.deviation = count > 1 ? sqrt(v.deviation / (count - 1)) : 0;
    return v;
}

void we_bench_add(struct we_bench_report *report, const char *name, uint32_t tokens, enum we_bench_unit unit,
                  struct we_bench_value value, double share)
{
    if (report->lines.count < WE_BENCH_MOST_LINES)
        report->lines.list[report->lines.count++] =
            (struct we_bench_line){.name = name, .tokens = tokens, .unit = unit, .value = value, .share = share};
}

const struct we_bench_line *we_bench_find(const struct we_bench_report *report, const char *name, uint32_t tokens)
{
    for (size_t i = 0; i < report->lines.count; i++)
        if (report->lines.list[i].tokens == tokens && strcmp(report->lines.list[i].name, name) == 0)
            return &report->lines.list[i];
    return NULL;
}

char *we_bench_label(const struct we_bench_line *line, char *out, size_t size)
{
    static const struct {
        const char *name, *label;
    } labels[] = {
        {"load_hot", "load, hot"},           {"start_hot", "first token, hot"},       {"load_cold", "load, cold"},
        {"start_cold", "first token, cold"}, {"first_token", "first token after %u"}, {"prefill", "prefill of %u"},
        {"decode", "decode at %u"},          {"peak_memory", "peak memory"},          {"read_bandwidth", "memory read"},
    };
    snprintf(out, size, "%s", line->name);
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++)
        if (strcmp(labels[i].name, line->name) == 0)
            snprintf(out, size, labels[i].label, line->tokens);
    return out;
}

const char *we_bench_unit_name(enum we_bench_unit unit)
{
    static const char *const names[] = {"s", "tokens/s", "B", "B/s"};
    return names[unit];
}
