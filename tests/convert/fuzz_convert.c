/* All steps of a conversion but the files: metadata, vocabulary, plan, every row of every tensor, every text, which must be
 * JSON. */
#include "convert/convert.h"

#include "base/json.h"

#include <stdlib.h>

static void convert_rows(const struct we_gguf_weight *w)
{
    bool quantised = w->quant.mode != WE_QUANT_NONE;
    size_t element = we_dtype_size(w->dtype), row = quantised ? we_quant_row_bytes(w->quant, w->in) : w->in * element;
    size_t groups = quantised ? we_quant_row_groups(w->quant, w->in) * element : 1;
    unsigned char *out = malloc(row ? row : 1), *scales = malloc(groups), *biases = malloc(groups); /* not a byte to spare */
    for (uint32_t i = 0; out && scales && biases && i < w->rows; i++) {
        const unsigned char *source = we_gguf_source_row(w, i);
        if (quantised)
            we_gguf_convert_blocks(w, source, out, scales, biases);
        else
            we_gguf_convert_floats(w, source, out);
    }
    free(out);
    free(scales);
    free(biases);
}

static void check_json(struct we_buf *out, struct we_arena *arena)
{
    struct we_json *tree;
    struct we_error error;
    if (out->failed || we_json_parse(we_buf_str(out), "written", arena, &tree, &error) != WE_OK)
        abort();
    we_buf_clear(out);
}

static void convert(const struct we_gguf *gguf, struct we_arena *arena, struct we_buf *out)
{
    struct we_error error;
    struct we_gguf_config config;
    struct we_gguf_vocab vocab;
    struct we_gguf_plan plan;
    if (we_gguf_config_read(gguf, "fuzz", &config, &error) != WE_OK)
        return;
    bool has_vocab = we_gguf_has_vocab(gguf);
    if (has_vocab && we_gguf_vocab_read(gguf, "fuzz", arena, &vocab, &error) != WE_OK)
        return;
    if (we_gguf_plan_make(gguf, &config, NULL, arena, &plan, &error) != WE_OK)
        return;
    for (size_t i = 0; i < plan.count; i++)
        convert_rows(&plan.weights[i]);
    if (we_gguf_write_config(&config, &plan, has_vocab ? &vocab : NULL, out, &error) == WE_OK)
        check_json(out, arena);
    if (!has_vocab)
        return;
    if (we_gguf_write_generation_config(gguf, &vocab, out, &error) == WE_OK)
        check_json(out, arena);
    if (we_gguf_write_tokenizer_config(gguf, &vocab, config.context_length, out, &error) == WE_OK)
        check_json(out, arena);
    if (we_gguf_write_tokenizer(gguf, &vocab, out, &error) == WE_OK)
        check_json(out, arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct we_gguf *gguf;
    struct we_error error;
    struct we_arena arena = {0};
    struct we_buf out = {0};
    if (we_gguf_parse(data, size, "fuzz", &gguf, &error) == WE_OK)
        convert(gguf, &arena, &out);
    we_gguf_close(gguf);
    we_buf_free(&out);
    we_arena_free(&arena);
    return 0;
}
