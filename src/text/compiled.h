/* The compiled form of a large tokenizer.json: its model as tables that need only be read, and the rest of it as JSON. It is
 * kept in the cache folder, under the hash of the file that it was made of. It belongs to one machine: numbers are in the
 * machine's order. What is read is checked as the work of a stranger: it may give wrong tokens, never a crash. */
#ifndef WE_TEXT_COMPILED_H
#define WE_TEXT_COMPILED_H

#include "text/tokenizer_parts.h"

struct we_content_hash {
    uint64_t words[2];
    uint64_t size;
};
struct we_content_hash we_content_hash(struct we_str text);

/* Appends the compiled form; `rest`: the JSON of everything but the model. False: memory is out, or it is over 4 GiB. */
bool we_compiled_write(const struct we_token_model *model, struct we_str rest, const struct we_content_hash *hash,
                       struct we_buf *out);

/* Fills the model, whose arrays lie in `block` (malloc'ed, then the model's) afterwards; texts are copied to the arena, *rest
 * lies in the block. False: it is not whole, of another version, of other content, or wrong; the block is still the caller's.
 */
bool we_compiled_read(void *block, size_t size, const struct we_content_hash *hash, struct we_arena *arena,
                      struct we_token_model *model, struct we_str *rest);
/* A tokenizer from the compiled form, which is its own (or freed) from now on; NULL as above, and where memory is out. `name`
 * stands in messages. (tokenizer.c) */
struct we_tokenizer *we_tokenizer_from_compiled(void *block, size_t size, const struct we_content_hash *hash, const char *name);
/* Makes the checksum right again, for tests that change bytes. */
void we_compiled_seal(void *block, size_t size);

#endif
