#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int64_t clock_now;

/* In place of the C library's. */
time_t time(time_t *result)
{
    if (result)
        *result = (time_t)clock_now;
    return (time_t)clock_now;
}

void set_clock(int64_t now)
{
    clock_now = now;
    setenv("TZ", "UTC", 1);
    tzset();
}

int golden_read(void **state, const char *name)
{
    struct we_buf text = {0};
    struct we_error error;
    char path[1000];
    struct golden *golden = calloc(1, sizeof *golden);
    snprintf(path, sizeof path, "%s/%s", TEST_DATA, name);
    bool fine = golden && we_file_read(path, 0, &text, &error) == WE_OK &&
                we_json_parse(we_buf_str(&text), name, &golden->arena, &golden->tree, &error) == WE_OK;
    if (golden && !fine)
        print_error("%s\n", error.message);
    we_buf_free(&text);
    *state = golden;
    return fine ? 0 : -1;
}

int golden_free(void **state)
{
    struct golden *golden = *state;
    we_arena_free(&golden->arena);
    free(golden);
    return 0;
}

const struct we_json *golden_get(const struct we_json *object, const char *key)
{
    const struct we_json *value = we_json_get(object, key);
    assert_non_null(value);
    return value;
}

void print_difference(const char *what, struct we_str expected, struct we_str found)
{
    size_t same = 0, from;
    while (same < expected.length && same < found.length && expected.data[same] == found.data[same])
        same++;
    from = same > 60 ? same - 60 : 0;
    print_error("%s\n  at byte %zu of %zu expected ...%.*s\n  of %zu found ...%.*s\n", what, same, expected.length,
                (int)(expected.length - from > 160 ? 160 : expected.length - from), expected.data + from, found.length,
                (int)(found.length - from > 160 ? 160 : found.length - from), found.data + from);
}
