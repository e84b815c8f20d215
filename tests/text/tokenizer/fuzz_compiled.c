/* Compiled tokenizers with wrong bytes. A count; as many times a place (4 bytes), and a byte for it; a tokenizer.json, a NUL
 * byte and a text: of what loads, the compiled form is changed, sealed again, and used, if it is taken. */
#include "text/compiled.h"

#include <stdlib.h>

static void use(const struct we_tokenizer *tokenizer, struct we_str text)
{
    struct we_error error;
    struct we_ids ids = {0};
    struct we_buf decoded = {0};
    if (we_tokenizer_encode(tokenizer, text, true, &ids, &error) == WE_OK)
        we_tokenizer_decode(tokenizer, ids.data, ids.count, false, &decoded, &error);
    for (size_t i = 0; i < ids.count; i++)
        (void)we_tokenizer_token(tokenizer, ids.data[i]);
    we_ids_free(&ids);
    we_buf_free(&decoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct we_error error;
    struct we_tokenizer *tokenizer = NULL;
    struct we_buf out = {0};
    size_t changes = size ? data[0] % 16 : 0, head = 1 + 5 * changes;
    if (size < head)
        return 0;
    const uint8_t *json = data + head, *nul = memchr(json, 0, size - head);
    size_t length = nul ? (size_t)(nul - json) : size - head;
    struct we_str source = we_str((const char *)json, length);
    struct we_str text = nul ? we_str((const char *)nul + 1, size - head - length - 1) : we_str("", 0);
    struct we_content_hash hash = we_content_hash(source);
    if (we_tokenizer_parse(source, "fuzz", &tokenizer, &error) == WE_OK &&
        we_compiled_write(&tokenizer->model, source, &hash, &out)) {
        char *block = malloc(out.length);
        if (block == NULL)
            abort();
        memcpy(block, out.data, out.length);
        for (size_t i = 0; i < changes; i++) {
            const uint8_t *change = data + 1 + 5 * i;
            size_t place = (size_t)change[0] | (size_t)change[1] << 8 | (size_t)change[2] << 16 | (size_t)change[3] << 24;
            block[place % out.length] = (char)change[4];
        }
        we_compiled_seal(block, out.length);
        we_tokenizer_close(tokenizer);
        tokenizer = we_tokenizer_from_compiled(block, out.length, &hash, "fuzz");
        if (tokenizer)
            use(tokenizer, text);
        else if (changes == 0)
            abort(); /* what was not changed is taken */
    }
    we_tokenizer_close(tokenizer);
    we_buf_free(&out);
    return 0;
}
