#include "format/gguf.h"

/* Reads all that the file says: every text of the arrays, and the ends of each tensor. */
static unsigned touch(const struct we_gguf *gguf)
{
    unsigned sum = 0;
    uint32_t number;
    struct we_str text;
    const void *cursor = NULL;
    const struct we_gguf_value *list = we_gguf_find(gguf, "list");
    while (list && we_gguf_next_string(list, &cursor, &text))
        sum += text.length ? (unsigned char)text.data[text.length - 1] : 0;
    sum += we_gguf_u32(gguf, "u64", &number) ? number : 0;
    for (size_t i = 0; i < we_gguf_tensor_count(gguf); i++) {
        const struct we_gguf_tensor *t = we_gguf_tensor_at(gguf, i);
        const unsigned char *p = t->data;
        sum += t->size ? p[0] + p[t->size - 1] : 0u;
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct we_gguf *gguf;
    struct we_error error;
    if (we_gguf_parse(data, size, "fuzz", &gguf, &error) == WE_OK) {
        volatile unsigned sum = touch(gguf);
        (void)sum;
    }
    we_gguf_close(gguf);
    return 0;
}
