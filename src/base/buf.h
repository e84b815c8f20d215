/* A growing string of bytes. It has a limit, and once an append failed it stays failed: callers append freely and
 * look at `failed` once, at the end. */
#ifndef WE_BASE_BUF_H
#define WE_BASE_BUF_H

#include "base/error.h"
#include "base/str.h"

struct we_buf {
    char *data;      /* terminated by a NUL that length does not count, once anything was appended */
    size_t length, capacity;
    size_t limit;    /* most bytes; 0: no limit */
    bool failed;
};

void we_buf_free(struct we_buf *buf); /* and makes it empty again */
static inline void we_buf_clear(struct we_buf *buf)
{
    buf->length = 0;
    if (buf->data)
        buf->data[0] = '\0';
}
static inline struct we_str we_buf_str(const struct we_buf *buf)
{
    return we_str(buf->data ? buf->data : "", buf->length);
}
bool we_buf_reserve(struct we_buf *buf, size_t more);
bool we_buf_append(struct we_buf *buf, struct we_str text);
bool we_buf_append_c(struct we_buf *buf, const char *text);
bool we_buf_append_byte(struct we_buf *buf, char byte);
bool we_buf_append_utf8(struct we_buf *buf, uint32_t code_point);
bool we_buf_printf(struct we_buf *buf, const char *format, ...) WE_PRINTF(2, 3);

/* The terminated string, now the caller's (free); NULL if the buffer failed. The buffer is empty afterwards. */
char *we_buf_take(struct we_buf *buf);

#endif
