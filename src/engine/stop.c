#include "engine/stop.h"

void we_stop_init(struct we_stop *stop, const char *const *strings, size_t count)
{
    *stop = (struct we_stop){.strings = strings, .count = count};
}

void we_stop_free(struct we_stop *stop)
{
    we_buf_free(&stop->held);
}

/* Length of the longest end of `text` that begins `string` without completing it. */
static size_t partial_match(struct we_str text, struct we_str string)
{
    size_t n = string.length - 1 < text.length ? string.length - 1 : text.length;
    while (n && !we_str_ends_with(text, we_str(string.data, n)))
        n--;
    return n;
}

bool we_stop_add(struct we_stop *stop, struct we_str text, struct we_str *ready)
{
    we_buf_append(&stop->held, text);
    struct we_str held = we_buf_str(&stop->held);
    size_t first = SIZE_MAX, keep = 0;
    for (size_t i = 0; i < stop->count; i++) {
        struct we_str string = we_str_c(stop->strings[i]);
        if (string.length == 0)
            continue;
        size_t at = we_str_find(held, string, 0);
        first = at < first ? at : first;
        size_t partial = partial_match(held, string);
        keep = partial > keep ? partial : keep;
    }
    *ready = we_str(held.data, first != SIZE_MAX ? first : held.length - keep);
    return first != SIZE_MAX;
}

void we_stop_consume(struct we_stop *stop, size_t length)
{
    if (length == 0)
        return;
    memmove(stop->held.data, stop->held.data + length, stop->held.length - length);
    stop->held.length -= length;
    stop->held.data[stop->held.length] = '\0';
}
