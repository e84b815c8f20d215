#include "text/tokenizer_parts.h"

#include <stdlib.h>

struct we_detokenizer {
    const struct we_tokenizer *tokenizer;
    struct we_token_stream *stream;
    struct we_buf text;
    bool skip_special;
};

we_status we_detokenizer_new(const struct we_tokenizer *tokenizer, bool skip_special, struct we_detokenizer **out,
                             struct we_error *error)
{
    *out = NULL;
    struct we_detokenizer *detokenizer = calloc(1, sizeof *detokenizer);
    if (detokenizer == NULL)
        return we_error_memory(error, "decoding tokens");
    detokenizer->tokenizer = tokenizer;
    detokenizer->skip_special = skip_special;
    we_status status = we_token_stream_new(tokenizer->decoder, &detokenizer->text, &detokenizer->stream, error);
    if (status != WE_OK) {
        we_detokenizer_free(detokenizer);
        return status;
    }
    *out = detokenizer;
    return WE_OK;
}

void we_detokenizer_free(struct we_detokenizer *detokenizer)
{
    if (detokenizer == NULL)
        return;
    we_token_stream_free(detokenizer->stream);
    we_buf_free(&detokenizer->text);
    free(detokenizer);
}

we_status we_detokenizer_add(struct we_detokenizer *detokenizer, uint32_t id, struct we_str *text, struct we_error *error)
{
    bool skipped;
    we_status status = WE_OK;
    struct we_str token = we_tokenizer_text_of(detokenizer->tokenizer, id, &skipped);
    we_buf_clear(&detokenizer->text);
    if (token.data && !(skipped && detokenizer->skip_special))
        status = we_token_stream_add(detokenizer->stream, token, error);
    *text = we_buf_str(&detokenizer->text);
    return status;
}

we_status we_detokenizer_finish(struct we_detokenizer *detokenizer, struct we_str *text, struct we_error *error)
{
    we_buf_clear(&detokenizer->text);
    we_status status = we_token_stream_finish(detokenizer->stream, error);
    *text = we_buf_str(&detokenizer->text);
    return status;
}
