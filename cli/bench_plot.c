/* bench --svg: rates against lengths, legible on a light and on a dark ground. */
#include "bench.h"

#include "input.h"

#include "client/models.h"

#include <math.h>
#include <stdio.h>

enum { WIDTH = 760, HEAD = 76, PANEL = 300, LEFT = 84, RIGHT = 28, TOP = 52, BOTTOM = 52, MOST_TICKS = 10, LEAST_GAP = 44 };

struct point {
    double x, y, spread;
};

struct series {
    const char *label, *class;
    struct point points[WE_BENCH_MOST_LENGTHS];
    size_t count;
};

struct panel {
    struct we_buf *out;
    double top;        /* of the panel in the picture */
    double low, high;  /* tokens, of all series */
    bool logarithmic;  /* the axis of tokens */
    double most, step; /* of the axis of rates */
};

/* ---- text ---- */

/* What XML 1.0 does not know is left out. */
static void append_escaped(struct we_buf *out, const char *text)
{
    struct we_str rest = we_str_c(text);
    while (rest.length) {
        uint32_t c;
        size_t n = we_utf8_decode(rest, &c);
        if (n == 0 || c < 0x20 || c == 0xFFFE || c == 0xFFFF)
            we_buf_append_byte(out, '?');
        else if (c == '&' || c == '<' || c == '>' || c == '"')
            we_buf_printf(out, "&#%u;", (unsigned)c);
        else
            we_buf_append(out, we_str(rest.data, n));
        n = n ? n : 1;
        rest = we_str(rest.data + n, rest.length - n);
    }
}

static void append_text(struct we_buf *out, double x, double y, const char *class, const char *anchor, const char *text)
{
    we_buf_printf(out, "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\" text-anchor=\"%s\">", x, y, class, anchor);
    append_escaped(out, text);
    we_buf_append_c(out, "</text>\n");
}

/* ---- the scales ---- */

static double x_of(const struct panel *p, double tokens)
{
    const double width = WIDTH - LEFT - RIGHT, margin = 24;
    if (p->high <= p->low)
        return LEFT + width / 2;
    double share = p->logarithmic ? log(tokens / p->low) / log(p->high / p->low) : (tokens - p->low) / (p->high - p->low);
    return LEFT + margin + share * (width - 2 * margin);
}

static double y_of(const struct panel *p, double rate)
{
    return p->top + PANEL - BOTTOM - rate / p->most * (PANEL - TOP - BOTTOM);
}

/* 1, 2 or 5 times a power of ten, so that about five steps reach the largest value. */
static void choose_rates(struct panel *p, double largest)
{
    double rough = largest > 0 ? largest / 5 : 1, power = pow(10, floor(log10(rough))), digit = rough / power;
    p->step = (digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10) * power;
    p->most = ceil(largest * 1.04 / p->step) * p->step;
    p->most = p->most > 0 ? p->most : p->step;
}

static void choose_scales(struct panel *p, const struct series *series, size_t count)
{
    double largest = 0;
    p->low = INFINITY;
    p->high = 0;
    for (size_t s = 0; s < count; s++)
        for (size_t i = 0; i < series[s].count; i++) {
            const struct point *at = &series[s].points[i];
            p->low = fmin(p->low, at->x);
            p->high = fmax(p->high, at->x);
            largest = fmax(largest, at->y + at->spread);
        }
    p->logarithmic = p->low > 0 && p->high / p->low > 4;
    choose_rates(p, largest);
}

/* ---- drawing ---- */

static void draw_rates(const struct panel *p)
{
    char text[32];
    for (int i = 0; i * p->step <= p->most * 1.001 && i <= MOST_TICKS; i++) {
        double y = y_of(p, i * p->step);
        we_buf_printf(p->out, "<line class=\"%s\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>\n", i ? "grid" : "axis", LEFT,
                      WIDTH - RIGHT, y, y);
        snprintf(text, sizeof text, "%.*f", p->step < 0.1 ? 2 : p->step < 1 ? 1 : 0, i * p->step);
        append_text(p->out, LEFT - 8, y + 4, "tick", "end", text);
    }
}

/* A mark for each length, its number where there is room for it. */
static void draw_lengths(const struct panel *p, const struct series *series, size_t count)
{
    double bottom = p->top + PANEL - BOTTOM, used[3 * WE_BENCH_MOST_LENGTHS];
    size_t num_used = 0;
    for (size_t s = 0; s < count; s++)
        for (size_t i = 0; i < series[s].count; i++) {
            double x = x_of(p, series[s].points[i].x);
            bool free_place = true;
            for (size_t u = 0; u < num_used; u++)
                free_place = free_place && fabs(used[u] - x) >= LEAST_GAP;
            we_buf_printf(p->out, "<line class=\"axis\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>\n", x, x, bottom,
                          bottom + 5);
            if (!free_place)
                continue;
            char text[32];
            used[num_used++] = x;
            snprintf(text, sizeof text, "%.0f", series[s].points[i].x);
            append_text(p->out, x, bottom + 18, "tick", "middle", text);
        }
}

static void draw_series(const struct panel *p, const struct series *s, bool with_values)
{
    we_buf_printf(p->out, "<polyline class=\"line %s\" points=\"", s->class);
    for (size_t i = 0; i < s->count; i++)
        we_buf_printf(p->out, "%s%.1f,%.1f", i ? " " : "", x_of(p, s->points[i].x), y_of(p, s->points[i].y));
    we_buf_append_c(p->out, "\"/>\n");
    for (size_t i = 0; i < s->count && strcmp(s->class, "limit") != 0; i++) {
        const struct point *at = &s->points[i];
        double x = x_of(p, at->x), low = y_of(p, fmax(at->y - at->spread, 0)), high = y_of(p, at->y + at->spread);
        if (low - high > 1)
            we_buf_printf(p->out, "<path class=\"bar %s\" d=\"M%.1f %.1fH%.1fM%.1f %.1fV%.1fM%.1f %.1fH%.1f\"/>\n", s->class,
                          x - 4, high, x + 4, x, high, low, x - 4, low, x + 4);
        we_buf_printf(p->out, "<circle class=\"dot %s\" cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\"/>\n", s->class, x, y_of(p, at->y));
        char text[32];
        snprintf(text, sizeof text, "%.*f", at->y < 9.95 ? 2 : at->y < 99.5 ? 1 : 0, at->y);
        if (with_values)
            append_text(p->out, x, fmax(high, p->top + TOP - 4) + (high - 8 < p->top + TOP - 12 ? 22 : -8), "value", "middle",
                        text);
    }
}

/* From the right end of the panel's title to the left. */
static void draw_legend(const struct panel *p, const struct series *series, size_t count)
{
    double x = WIDTH - RIGHT, y = p->top + 24;
    for (size_t s = count; s-- > 0;) {
        append_text(p->out, x, y + 4, "tick", "end", series[s].label);
        x -= 6.3 * (double)strlen(series[s].label) + 14;
        we_buf_printf(p->out, "<line class=\"line %s\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>\n", series[s].class,
                      x - 24, x, y, y);
        x -= 40;
    }
}

static void draw_panel(struct we_buf *out, double top, const char *title, const char *axis, const struct series *series,
                       size_t count)
{
    struct panel p = {.out = out, .top = top};
    choose_scales(&p, series, count);
    append_text(out, LEFT, top + 28, "title", "start", title);
    if (count > 1)
        draw_legend(&p, series, count);
    draw_rates(&p);
    draw_lengths(&p, series, count);
    for (size_t s = count; s-- > 0;)
        draw_series(&p, &series[s], s == 0);
    append_text(out, LEFT + (WIDTH - LEFT - RIGHT) / 2.0, top + PANEL - 12, "label", "middle", axis);
    double middle = top + TOP + (PANEL - TOP - BOTTOM) / 2.0;
    we_buf_printf(out,
                  "<text class=\"label\" text-anchor=\"middle\" transform=\"translate(22 %.1f) rotate(-90)\">tokens/s</text>\n",
                  middle);
}

/* ---- what is drawn ---- */

static struct series collect(const struct we_bench_report *report, const char *name, const char *label, const char *class)
{
    struct series s = {.label = label, .class = class};
    for (size_t i = 0; i < report->lines.count && s.count < WE_BENCH_MOST_LENGTHS; i++) {
        const struct we_bench_line *line = &report->lines.list[i];
        if (strcmp(line->name, name) == 0 && line->tokens)
            s.points[s.count++] = (struct point){line->tokens, line->value.mean, line->value.deviation};
    }
    return s;
}

/* What the memory's bandwidth would allow; left out where it is so far above that it would press the rest down. */
static struct series collect_limit(const struct we_bench_report *report)
{
    struct series s = {.label = "limit of the memory", .class = "limit"};
    for (size_t i = 0; i < report->lines.count && s.count < WE_BENCH_MOST_LENGTHS; i++) {
        const struct we_bench_line *line = &report->lines.list[i];
        if (strcmp(line->name, "decode") == 0 && line->share > 0.25)
            s.points[s.count++] = (struct point){line->tokens, line->value.mean / line->share, 0};
    }
    return s;
}

static size_t collect_all(const struct we_bench_report *report, const char *name, struct series out[3])
{
    size_t count = 0;
    out[count++] = collect(report, name, report->earlier ? "now" : "measured", "now");
    if (report->earlier) {
        out[count] = collect(report->earlier, name, "before", "before");
        count += out[count].count > 0;
    }
    if (strcmp(name, "decode") == 0) {
        out[count] = collect_limit(report);
        count += out[count].count > 0;
    }
    return out[0].count ? count : 0;
}

static const char style[] =
    "<style>\n"
    "text { font-family: system-ui, sans-serif; fill: var(--ink) }\n"
    ".head { font-size: 18px; font-weight: 600 } .title { font-size: 15px; font-weight: 600 } .label { font-size: 13px }\n"
    ".tick, .note { font-size: 12px; fill: var(--faint) } .value { font-size: 12px; paint-order: stroke; stroke: "
    "var(--ground); stroke-width: 4px }\n"
    ".ground { fill: var(--ground) } .grid { stroke: var(--grid) } .axis { stroke: var(--faint) }\n"
    ".line { fill: none; stroke-width: 2 } .bar { fill: none; stroke-width: 1.5 }\n"
    ".line.now, .bar.now { stroke: var(--now) } .dot.now { fill: var(--now) }\n"
    ".line.before, .bar.before { stroke: var(--before) } .dot.before { fill: var(--before) }\n"
    ".line.limit { stroke: var(--limit); stroke-dasharray: 6 5 }\n"
    "svg { --ground: #ffffff; --ink: #1c2128; --faint: #57606a; --grid: #dde2e7; --now: #0550ae; --before: #8a939c; --limit: "
    "#bc4c00 }\n"
    "@media (prefers-color-scheme: dark) {\n"
    "  svg { --ground: #0f141a; --ink: #e8edf2; --faint: #a0a9b2; --grid: #2f363d; --now: #6cb6ff; --before: #7d8690; --limit: "
    "#f69d50 }\n"
    "}\n"
    "</style>\n";

void we_bench_plot(const struct we_bench_report *report, struct we_buf *out)
{
    struct series decode[3], prefill[3];
    size_t num_decode = collect_all(report, "decode", decode), num_prefill = collect_all(report, "prefill", prefill);
    int height = HEAD + (num_decode ? PANEL : 0) + PANEL;
    char text[256];
    we_buf_printf(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" role=\"img\">\n<title>",
        WIDTH, height, WIDTH, height);
    append_escaped(out, we_model_short_name(report->model));
    we_buf_append_c(out, "</title>\n");
    we_buf_append_c(out, style);
    we_buf_printf(out, "<rect class=\"ground\" width=\"%d\" height=\"%d\"/>\n", WIDTH, height);
    append_text(out, 24, 36, "head", "start", we_model_short_name(report->model));
    int used = snprintf(text, sizeof text, "%s, %s", report->device, report->precision);
    if (report->sequences > 1 && used < (int)sizeof text)
        used += snprintf(text + used, sizeof text - (size_t)used, "; %u sequences together", report->sequences);
    if (report->repeats > 1 && used < (int)sizeof text)
        snprintf(text + used, sizeof text - (size_t)used, "; mean of %u repeats, bars: deviation", report->repeats);
    append_text(out, 24, 60, "note", "start", text);
    if (num_decode)
        draw_panel(out, HEAD, "Decode", "tokens in the context", decode, num_decode);
    if (num_prefill)
        draw_panel(out, HEAD + (num_decode ? PANEL : 0), "Prefill", "tokens of the prompt", prefill, num_prefill);
    we_buf_append_c(out, "</svg>\n");
}
