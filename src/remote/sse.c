#include "remote/sse.h"

void we_sse_free(struct we_sse *sse)
{
    we_buf_free(&sse->line);
    we_buf_free(&sse->data);
    *sse = (struct we_sse){0};
}

static bool dispatch(struct we_sse *sse, we_sse_fn *on_event, void *context)
{
    if (!sse->has_data)
        return true;
    sse->has_data = false;
    bool go_on = on_event(context, we_buf_str(&sse->data));
    we_buf_clear(&sse->data);
    return go_on;
}

/* A whole line: an empty one ends the event; only "data" fields matter here, comments keep the connection alive. */
static bool end_line(struct we_sse *sse, we_sse_fn *on_event, void *context)
{
    struct we_str line = we_buf_str(&sse->line);
    if (!sse->begun && we_str_starts_with(line, we_str_c("\xEF\xBB\xBF")))
        line = we_str(line.data + 3, line.length - 3);
    sse->begun = true;
    if (line.length == 0) {
        we_buf_clear(&sse->line);
        return dispatch(sse, on_event, context);
    }
    bool alone = we_str_equal_c(line, "data");
    if (alone || we_str_starts_with(line, we_str_c("data:"))) {
        struct we_str value = alone ? we_str("", 0) : we_str(line.data + 5, line.length - 5);
        if (value.length && value.data[0] == ' ')
            value = we_str(value.data + 1, value.length - 1);
        if (sse->has_data)
            we_buf_append_byte(&sse->data, '\n');
        we_buf_append(&sse->data, value);
        sse->has_data = true;
    }
    we_buf_clear(&sse->line);
    return true;
}

enum we_sse_outcome we_sse_feed(struct we_sse *sse, struct we_str bytes, we_sse_fn *on_event, void *context)
{
    sse->line.limit = sse->data.limit = WE_SSE_MAX_EVENT;
    for (size_t at = 0; at < bytes.length;) {
        char c = bytes.data[at];
        if (c == '\n' && sse->after_return) {
            sse->after_return = false;
            at++;
            continue;
        }
        sse->after_return = false;
        size_t end = at;
        while (end < bytes.length && bytes.data[end] != '\n' && bytes.data[end] != '\r')
            end++;
        if (!we_buf_append(&sse->line, we_str(bytes.data + at, end - at)))
            return WE_SSE_TOO_LONG;
        if (end == bytes.length)
            return WE_SSE_GOES_ON;
        sse->after_return = bytes.data[end] == '\r';
        at = end + 1;
        if (!end_line(sse, on_event, context))
            return WE_SSE_STOPPED;
        if (sse->data.failed)
            return WE_SSE_TOO_LONG;
    }
    return WE_SSE_GOES_ON;
}

enum we_sse_outcome we_sse_finish(struct we_sse *sse, we_sse_fn *on_event, void *context)
{
    struct we_str rest = we_buf_str(&sse->line);
    if (we_str_equal_c(rest, "data: [DONE]") || we_str_equal_c(rest, "data:[DONE]"))
        end_line(sse, on_event, context);
    return dispatch(sse, on_event, context) ? WE_SSE_GOES_ON : WE_SSE_STOPPED;
}
