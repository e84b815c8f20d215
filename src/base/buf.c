#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void we_buf_free(struct we_buf *buf)
{
    free(buf->data);
    *buf = (struct we_buf){.limit = buf->limit};
}

bool we_buf_reserve(struct we_buf *buf, size_t more)
{
    if (buf->failed)
        return false;
    size_t limit = buf->limit ? buf->limit : SIZE_MAX / 4;
    if (more > limit || buf->length > limit - more) {
        buf->failed = true;
        return false;
    }
    size_t need = buf->length + more + 1;
    if (need <= buf->capacity)
        return true;
    size_t capacity = buf->capacity ? buf->capacity : 64;
    while (capacity < need)
        capacity += capacity / 2;
    char *data = realloc(buf->data, capacity);
    if (data == NULL) {
        buf->failed = true;
        return false;
    }
    buf->data = data;
    buf->capacity = capacity;
    return true;
}

bool we_buf_append(struct we_buf *buf, struct we_str text)
{
    if (!we_buf_reserve(buf, text.length))
        return false;
    if (text.length)
        memcpy(buf->data + buf->length, text.data, text.length);
    buf->length += text.length;
    buf->data[buf->length] = '\0';
    return true;
}

bool we_buf_append_c(struct we_buf *buf, const char *text)
{
    return we_buf_append(buf, we_str_c(text));
}

bool we_buf_append_byte(struct we_buf *buf, char byte)
{
    return we_buf_append(buf, we_str(&byte, 1));
}

bool we_buf_append_utf8(struct we_buf *buf, uint32_t code_point)
{
    char bytes[4];
    return we_buf_append(buf, we_str(bytes, we_utf8_encode(code_point, bytes)));
}

bool we_buf_printf(struct we_buf *buf, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    bool ok = n >= 0 && we_buf_reserve(buf, (size_t)n);
    if (ok) {
        vsnprintf(buf->data + buf->length, (size_t)n + 1, format, again);
        buf->length += (size_t)n;
    } else {
        buf->failed = true;
    }
    va_end(again);
    va_end(args);
    return ok;
}

char *we_buf_take(struct we_buf *buf)
{
    if (!we_buf_reserve(buf, 0)) {
        we_buf_free(buf);
        return NULL;
    }
    buf->data[buf->length] = '\0';
    char *data = buf->data;
    *buf = (struct we_buf){.limit = buf->limit};
    return data;
}
