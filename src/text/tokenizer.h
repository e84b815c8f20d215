/* tokenizer.json: text to token ids and back, exactly as the `tokenizers` package does it. A tokenizer is immutable
 * and may be shared by threads. */
#ifndef WE_TEXT_TOKENIZER_H
#define WE_TEXT_TOKENIZER_H

#include "base/buf.h"
#include "base/error.h"

struct we_tokenizer; /* opaque */

struct we_ids {
    uint32_t *data;
    size_t count, capacity;
};
void we_ids_free(struct we_ids *ids);

/* Reads DIRECTORY/tokenizer.json. Of a large one the compiled form is kept in the cache folder (base/cache.h), which makes the
 * next time much faster. WE_NOT_FOUND if there is none; WE_UNSUPPORTED names a component that is not known. */
we_status we_tokenizer_open(const char *directory, struct we_tokenizer **tokenizer, struct we_error *error);
/* From the text of a tokenizer.json; `name` stands in messages. */
we_status we_tokenizer_parse(struct we_str json, const char *name, struct we_tokenizer **tokenizer, struct we_error *error);
void we_tokenizer_close(struct we_tokenizer *tokenizer);

/* Appends the ids of `text`, any bytes (those that are no UTF-8 count as U+FFFD). add_special: the post-processor
 * adds what it adds (BOS, ...). Added tokens that stand in the text are recognised either way. */
we_status we_tokenizer_encode(const struct we_tokenizer *tokenizer, struct we_str text, bool add_special, struct we_ids *ids,
                              struct we_error *error);

/* Appends the text of ids, through the decoder; unknown ids are passed over, as `tokenizers` does. */
we_status we_tokenizer_decode(const struct we_tokenizer *tokenizer, const uint32_t *ids, size_t count, bool skip_special,
                              struct we_buf *text, struct we_error *error);

uint32_t we_tokenizer_vocab_size(const struct we_tokenizer *tokenizer); /* highest id + 1, added tokens included */
/* UINT32_MAX if there is no such token. */
uint32_t we_tokenizer_token_id(const struct we_tokenizer *tokenizer, struct we_str token);
/* The token as it stands in the file; length 0 if there is none. */
struct we_str we_tokenizer_token(const struct we_tokenizer *tokenizer, uint32_t id);
bool we_tokenizer_is_special(const struct we_tokenizer *tokenizer, uint32_t id);

/* ---- text as it streams ---- */

struct we_detokenizer; /* opaque; of one sequence */

/* Never gives half a character, and in the end the same bytes as decoding all at once. */
we_status we_detokenizer_new(const struct we_tokenizer *tokenizer, bool skip_special, struct we_detokenizer **detokenizer,
                             struct we_error *error);
void we_detokenizer_free(struct we_detokenizer *detokenizer);
/* Adds a token; *text is what can be told now (may be empty), valid until the next call. */
we_status we_detokenizer_add(struct we_detokenizer *detokenizer, uint32_t id, struct we_str *text, struct we_error *error);
/* What was held back. */
we_status we_detokenizer_finish(struct we_detokenizer *detokenizer, struct we_str *text, struct we_error *error);

#endif
