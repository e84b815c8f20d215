/* All steps of a conversion but the files: metadata, vocabulary, plan, every row of every tensor, every text, which must be
 * JSON. */
#include "convert/convert.h"

#include "base/json.h"

#include <stdlib.h>

static void convert_rows(const struct we_gguf_weight *w)
{
    struct we_weight weight = {.rows = w->rows, .in = w->in, .quant = w->quant, .dtype = w->dtype};
    size_t row = we_weight_row_bytes(&weight), scale_row = we_weight_scale_row_bytes(&weight),
           bias_row = we_weight_bias_row_bytes(&weight);
    unsigned char *out = malloc(row ? row : 1), *scales = malloc(scale_row + !scale_row),
                  *biases = malloc(bias_row + !bias_row);
    for (uint32_t i = 0; out && scales && biases && i < w->rows; i++) /* not a byte to spare */
        we_gguf_make_row(w, we_gguf_source_row(w, i), out, scales, biases);
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
    static const struct we_convert_options other[4] = {
        {0}, {.dequantize = true}, {.quantize = true, .q_bits = 3, .q_group_size = 32}, {.quantize = true, .q_mode = "nvfp4"}};
    /* One way for each file, or two: all of them would take too long. */
    for (size_t k = we_gguf_tensor_count(gguf) + config.vocab_size; k != SIZE_MAX; k = k % 4 ? 0 : SIZE_MAX) {
        if (we_gguf_plan_make(gguf, &config, &other[k % 4], arena, &plan, &error) != WE_OK)
            return;
        for (size_t i = 0; i < plan.count; i++)
            convert_rows(&plan.weights[i]);
    }
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
