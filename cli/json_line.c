#include "json_line.h"

#include "interrupt.h"
#include "terminal.h"

#include "base/json.h"

static void begin_member(struct we_json_line *line, const char *key)
{
    if (line->more)
        we_buf_append_c(&line->buf, ", ");
    line->more = true;
    if (key) {
        we_json_write_string(&line->buf, we_str_c(key), false);
        we_buf_append_c(&line->buf, ": ");
    }
}

void we_json_open(struct we_json_line *line, const char *key, char bracket)
{
    begin_member(line, key);
    we_buf_append_byte(&line->buf, bracket);
    line->more = false;
}

void we_json_close(struct we_json_line *line, char bracket)
{
    we_buf_append_byte(&line->buf, bracket);
    line->more = true;
}

void we_json_text(struct we_json_line *line, const char *key, const char *text)
{
    if (text) {
        we_json_str(line, key, we_str_c(text));
        return;
    }
    begin_member(line, key);
    we_buf_append_c(&line->buf, "null");
}

void we_json_str(struct we_json_line *line, const char *key, struct we_str text)
{
    begin_member(line, key);
    we_json_write_string(&line->buf, text, false);
}

void we_json_integer(struct we_json_line *line, const char *key, uint64_t number)
{
    begin_member(line, key);
    we_buf_printf(&line->buf, "%llu", (unsigned long long)number);
}

void we_json_number(struct we_json_line *line, const char *key, double number)
{
    begin_member(line, key);
    we_json_write_double(&line->buf, number);
}

void we_json_bool(struct we_json_line *line, const char *key, bool value)
{
    begin_member(line, key);
    we_buf_append_c(&line->buf, value ? "true" : "false");
}

/* Ctrl-C waits until the value is written: a half one is worse than none. */
static void finish_first(void)
{
}

bool we_json_print(struct we_json_line *line)
{
    we_buf_append_byte(&line->buf, '\n');
    bool ok = !line->buf.failed;
    if (ok) {
        we_interrupt_handle(finish_first);
        we_out(line->buf.data, line->buf.length);
        we_out_flush();
        we_interrupt_handle(NULL);
    }
    we_buf_free(&line->buf);
    return ok;
}
