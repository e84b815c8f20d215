#include "text/tokenizer_parts.h"

#include <stdlib.h>

void we_pieces_free(struct we_pieces *pieces)
{
    free(pieces->data);
    we_buf_free(&pieces->buffer);
    *pieces = (struct we_pieces){0};
}

bool we_pieces_add(struct we_pieces *pieces, size_t start, size_t length, size_t zero, uint32_t id)
{
    if (length == 0 && id == WE_NO_ID)
        return true;
    if (pieces->count == pieces->capacity) {
        size_t capacity = pieces->capacity + pieces->capacity / 2 + 64;
        struct we_piece *data = realloc(pieces->data, capacity * sizeof *data);
        if (data == NULL)
            return false;
        pieces->data = data;
        pieces->capacity = capacity;
    }
    pieces->data[pieces->count++] =
        (struct we_piece){(uint32_t)start, (uint32_t)length, (uint32_t)(zero < length ? zero : length), id};
    return true;
}
