#include "convert/convert.h"

#include "base/fs.h"

#include <stdio.h>

/* What is converted, from file to plan; released by free_source. */
struct source {
    struct we_arena arena;
    struct we_gguf *gguf;
    struct we_gguf_config config;
    struct we_gguf_plan plan;
    struct we_gguf_vocab vocab;
    bool has_vocab;
};

static void free_source(struct source *s)
{
    we_gguf_close(s->gguf);
    we_arena_free(&s->arena);
}

static we_status open_source(struct source *s, const char *path, const struct we_convert_options *options,
                             struct we_error *error)
{
    we_status status = we_gguf_open(path, &s->gguf, error);
    if (status == WE_OK)
        status = we_gguf_config_read(s->gguf, path, &s->config, error);
    s->has_vocab = status == WE_OK && we_gguf_has_vocab(s->gguf);
    if (s->has_vocab)
        status = we_gguf_vocab_read(s->gguf, path, &s->arena, &s->vocab, error);
    if (s->has_vocab && status == WE_OK && s->vocab.count > s->config.vocab_size)
        status = we_error_set(error, WE_INVALID_FORMAT, "%s: it has %u tokens, but 'token_embd.weight' only %u rows", path,
                              s->vocab.count, s->config.vocab_size);
    if (status == WE_OK)
        status = we_gguf_plan_make(s->gguf, &s->config, options, &s->arena, &s->plan, error);
    return status;
}

/* Writes what `out` holds, and empties it. */
static we_status write_text(struct source *s, const char *directory, const char *name, struct we_buf *out,
                            struct we_error *error)
{
    char *path = we_path_join(&s->arena, directory, name);
    we_status status = path ? we_file_write(path, we_buf_str(out), error) : we_error_memory(error, name);
    we_buf_clear(out);
    return status;
}

static we_status write_texts(struct source *s, const char *directory, struct we_buf *out, struct we_error *error)
{
    const struct we_gguf_vocab *vocab = s->has_vocab ? &s->vocab : NULL;
    we_status status = we_gguf_write_config(&s->config, &s->plan, vocab, out, error);
    if (status == WE_OK)
        status = write_text(s, directory, "config.json", out, error);
    if (vocab == NULL || status != WE_OK)
        return status;
    status = we_gguf_write_generation_config(s->gguf, vocab, out, error);
    if (status == WE_OK)
        status = write_text(s, directory, "generation_config.json", out, error);
    if (status == WE_OK)
        status = we_gguf_write_tokenizer(s->gguf, vocab, out, error);
    if (status == WE_OK)
        status = write_text(s, directory, "tokenizer.json", out, error);
    if (status == WE_OK)
        status = we_gguf_write_tokenizer_config(s->gguf, vocab, s->config.context_length, out, error);
    if (status == WE_OK)
        status = write_text(s, directory, "tokenizer_config.json", out, error);
    return status;
}

/* What the user may want to know of the result. */
static void tell(const struct source *s, const struct we_weights *weights, const struct we_convert_options *options)
{
    char note[256];
    uint64_t values = 0;
    we_gguf_plan_note(&s->plan, options, note);
    for (size_t i = 0; i < weights->count; i++)
        values += weights->list[i].rows * weights->list[i].in;
    if (options->quantize && values)
        snprintf(note, sizeof note, "%.3f bits per weight", 8.0 * (double)we_weights_bytes(weights) / (double)values);
    if (note[0] && options->on_note)
        options->on_note(options->context, note);
}

static we_status write_directory(struct source *s, const char *destination, uint64_t shard_bytes,
                                 const struct we_convert_options *options, struct we_error *error)
{
    struct we_output output;
    struct we_buf out = {0};
    struct we_weights weights;
    we_status status = we_gguf_weights(s->gguf, &s->plan, &s->arena, &weights, error);
    if (status == WE_OK)
        status = we_output_begin(&output, destination, error);
    if (status != WE_OK)
        return status;
    /* and what the tokenizer and all else that is small may take */
    status = we_output_check_space(&output, we_weights_bytes(&weights) + (64 << 20), error);
    if (status == WE_OK)
        status = write_texts(s, output.temporary, &out, error);
    we_buf_free(&out);
    if (status == WE_OK)
        status = we_weights_write(&weights, output.temporary, shard_bytes, options, error);
    if (status == WE_OK)
        status = we_output_commit(&output, error);
    if (status == WE_OK)
        tell(s, &weights, options);
    we_output_abort(&output);
    return status;
}

we_status we_convert_gguf(const char *source, const char *destination, uint64_t shard_bytes,
                          const struct we_convert_options *options, struct we_error *error)
{
    static const struct we_convert_options none;
    struct source s = {0};
    options = options ? options : &none;
    we_status status = open_source(&s, source, options, error);
    if (status == WE_OK)
        status = write_directory(&s, destination, shard_bytes, options, error);
    free_source(&s);
    return status;
}
