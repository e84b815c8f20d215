#include "layout.h"

#include "terminal.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- numbers ---- */

static char *format_scaled(double value, const char *const *units, size_t num_units, char *out, size_t size)
{
    size_t unit = 0;
    while (value >= 999.5 && unit + 1 < num_units) {
        value /= 1000;
        unit++;
    }
    int decimals = unit == 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
    snprintf(out, size, "%.*f%s%s", decimals, value, *units[unit] ? " " : "", units[unit]);
    return out;
}

char *we_format_bytes(uint64_t bytes, char *out, size_t size)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    return format_scaled((double)bytes, units, 6, out, size);
}

char *we_format_count(uint64_t count, char *out, size_t size)
{
    static const char *const units[] = {"", "k", "M", "B", "T"};
    return format_scaled((double)count, units, 5, out, size);
}

char *we_format_grouped(uint64_t number, char *out, size_t size)
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
    size_t used = 0;
    for (int i = 0; i < length && used + 2 < size; i++) {
        if (i > 0 && (length - i) % 3 == 0 && length > 4)
            out[used++] = ' ';
        out[used++] = digits[i];
    }
    out[used] = '\0';
    return out;
}

char *we_format_age(int64_t seconds, char *out, size_t size)
{
    static const struct {
        int64_t length;
        const char *name;
    } units[] = {{31557600, "year"}, {2629800, "month"}, {604800, "week"}, {86400, "day"}, {3600, "hour"}, {60, "minute"}};
    snprintf(out, size, "%s", seconds < 0 ? "-" : "just now");
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (seconds >= units[i].length) {
            long long n = seconds / units[i].length;
            snprintf(out, size, "%lld %s%s ago", n, units[i].name, n == 1 ? "" : "s");
            break;
        }
    return out;
}

void we_make_printable(struct we_buf *text)
{
    for (size_t i = 0; i < text->length; i++)
        if ((unsigned char)text->data[i] < 0x20 || text->data[i] == 0x7F)
            text->data[i] = '?';
}

/* ---- tables ---- */

void we_table_add(struct we_table *table, const char *const *cells)
{
    if (table->failed)
        return;
    if (table->rows == table->capacity) {
        size_t capacity = table->capacity ? table->capacity * 2 : 16;
        char **more = realloc(table->cells, capacity * table->columns * sizeof *more);
        if (more == NULL) {
            table->failed = true;
            return;
        }
        table->cells = more;
        table->capacity = capacity;
    }
    for (size_t c = 0; c < table->columns; c++) {
        char *copy = we_arena_copy(&table->arena, we_str_c(cells[c]));
        table->cells[table->rows * table->columns + c] = copy;
        table->failed = table->failed || copy == NULL;
    }
    if (!table->failed)
        table->rows++;
}

/* The longest beginning of `text` that takes at most `columns`. */
static size_t prefix_of_width(const char *text, size_t columns)
{
    size_t length = strlen(text), used = 0;
    while (used < length) {
        uint32_t ignored;
        size_t n = we_utf8_decode(we_str(text + used, length - used), &ignored);
        n = n ? n : 1;
        if (we_text_width(we_str(text, used + n)) > columns)
            break;
        used += n;
    }
    return used;
}

static void print_cell(const char *text, size_t width, bool right, bool last)
{
    size_t columns = we_text_width(we_str_c(text));
    size_t shown = strlen(text);
    if (columns > width) {
        shown = prefix_of_width(text, width - 1);
        columns = we_text_width(we_str(text, shown)) + 1;
    }
    size_t padding = width > columns ? width - columns : 0;
    if (right)
        we_out_printf("%*s", (int)padding, "");
    we_out(text, shown);
    if (shown < strlen(text))
        we_out_c(we_terminal_utf8() ? "…" : "~");
    if (!right && !last)
        we_out_printf("%*s", (int)padding, "");
}

enum { SHORTEST = 24 }; /* to which the first column is cut so that others can stay */

bool we_table_print(const struct we_table *table)
{
    if (table->failed)
        return false;
    size_t widths[WE_TABLE_COLUMNS] = {0}, total = 0, columns = table->columns;
    for (size_t c = 0; c < table->columns; c++) {
        for (size_t r = 0; r < table->rows; r++) {
            size_t width = we_text_width(we_str_c(table->cells[r * table->columns + c]));
            widths[c] = width > widths[c] ? width : widths[c];
        }
        total += widths[c] + (c ? 2 : 0);
    }
    size_t screen = we_terminal_width(STDOUT_FILENO);
    /* Columns that matter less go first, then the end of the first column, then the others. */
    while (we_terminal_is(STDOUT_FILENO) && total > screen && columns > 2 &&
           (columns > table->keep || widths[0] < SHORTEST || total - widths[0] + SHORTEST > screen))
        total -= widths[--columns] + 2;
    if (we_terminal_is(STDOUT_FILENO) && total > screen) {
        size_t excess = total - screen;
        widths[0] = widths[0] > excess + 12 ? widths[0] - excess : widths[0] < 12 ? widths[0] : 12;
    }
    for (size_t r = 0; r < table->rows; r++) {
        if (r == 0)
            we_out_c(we_terminal_style(STDOUT_FILENO, WE_STYLE_BOLD));
        for (size_t c = 0; c < columns; c++) {
            we_out_c(c ? "  " : "");
            print_cell(table->cells[r * table->columns + c], widths[c], table->right[c], c + 1 == columns);
        }
        if (r == 0)
            we_out_c(we_terminal_style(STDOUT_FILENO, WE_STYLE_NONE));
        we_out_c("\n");
    }
    return true;
}

void we_table_free(struct we_table *table)
{
    free(table->cells);
    we_arena_free(&table->arena);
    *table = (struct we_table){0};
}

/* ---- text ---- */

void we_fold(struct we_buf *out, const char *text, unsigned width, unsigned indent, unsigned at)
{
    size_t column = at;
    if (column < indent) {
        we_buf_printf(out, "%*s", (int)(indent - column), "");
        column = indent;
    }
    while (*text) {
        size_t word = strcspn(text, " \n");
        size_t columns = we_text_width(we_str(text, word));
        if (column > indent && column + 1 + columns > width) {
            we_buf_printf(out, "\n%*s", (int)indent, "");
            column = indent;
        } else if (column > indent && word) {
            we_buf_append_byte(out, ' ');
            column++;
        }
        we_buf_append(out, we_str(text, word));
        column += columns;
        text += word;
        if (*text == '\n') {
            we_buf_printf(out, "\n%*s", text[1] && text[1] != '\n' ? (int)indent : 0, "");
            column = indent;
        }
        text += *text ? 1 : 0;
    }
    we_buf_append_byte(out, '\n');
}

void we_print_folded(const char *text, unsigned width, unsigned indent, unsigned at)
{
    struct we_buf out = {0};
    we_fold(&out, text, width, indent, at);
    we_out(we_buf_str(&out).data, out.length);
    we_buf_free(&out);
}

void we_print_fact(unsigned width, const char *label, const char *format, ...)
{
    char value[512];
    va_list args;
    va_start(args, format);
    vsnprintf(value, sizeof value, format, args);
    va_end(args);
    we_out_printf("%s%-*s%s", we_terminal_style(STDOUT_FILENO, WE_STYLE_DIM), (int)width, label,
                  we_terminal_style(STDOUT_FILENO, WE_STYLE_NONE));
    unsigned screen = we_terminal_width(STDOUT_FILENO);
    if (we_terminal_is(STDOUT_FILENO) && width + we_text_width(we_str_c(value)) > screen)
        we_print_folded(value, screen, width, width);
    else
        we_out_printf("%s\n", value);
}
