/* A tokenizer.json, a NUL byte, and a text: what loads encodes the text and decodes the ids, at once and as a stream. */
#include "base/buf.h"
#include "text/tokenizer.h"

#include <stdlib.h>

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_stream(const struct we_tokenizer *tokenizer, const struct we_ids *ids, bool skip, const struct we_buf *whole)
{
    struct we_error error;
    struct we_detokenizer *detokenizer;
    struct we_buf streamed = {0};
    struct we_str piece;
    require(we_detokenizer_new(tokenizer, skip, &detokenizer, &error) == WE_OK);
    for (size_t i = 0; i <= ids->count; i++) {
        we_status status = i < ids->count ? we_detokenizer_add(detokenizer, ids->data[i], &piece, &error)
                                          : we_detokenizer_finish(detokenizer, &piece, &error);
        require(status == WE_OK && we_utf8_valid_prefix(piece) == piece.length);
        we_buf_append(&streamed, piece);
    }
    require(we_str_equal(we_buf_str(&streamed), we_buf_str(whole)));
    we_detokenizer_free(detokenizer);
    we_buf_free(&streamed);
}

static void use(const struct we_tokenizer *tokenizer, struct we_str text)
{
    struct we_error error;
    struct we_ids ids = {0};
    struct we_buf whole = {0};
    require(we_tokenizer_vocab_size(tokenizer) <= 1 << 25);
    we_status status = we_tokenizer_encode(tokenizer, text, true, &ids, &error);
    require(status == WE_OK || error.message[0] != '\0');
    for (int skip = 0; skip < 2 && status == WE_OK; skip++) {
        we_buf_clear(&whole);
        status = we_tokenizer_decode(tokenizer, ids.data, ids.count, skip, &whole, &error);
        if (status == WE_OK) /* it fails only where a regular expression meets its limit */
            check_stream(tokenizer, &ids, skip, &whole);
    }
    we_ids_free(&ids);
    we_buf_free(&whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct we_error error;
    struct we_tokenizer *tokenizer;
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    size_t length = nul ? (size_t)(nul - data) : size;
    struct we_str text = nul ? we_str((const char *)nul + 1, size - length - 1) : we_str("", 0);
    if (we_tokenizer_parse(we_str((const char *)data, length), "fuzz", &tokenizer, &error) == WE_OK)
        use(tokenizer, text);
    we_tokenizer_close(tokenizer);
    return 0;
}
