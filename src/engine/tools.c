/* The inner steps of <whisperengine_tools.h>. */
#include "engine/model.h"
#include "engine/remote_model.h"

#include "base/fs.h"

#include <stdlib.h>
#include <whisperengine_tools.h>

we_status we_tokenize(const char *path, const char *text, size_t length, bool add_special, uint32_t **ids, size_t *count,
                      struct we_error *error)
{
    struct we_tokenizer *tokenizer;
    struct we_ids out = {0};
    we_status status = we_tokenizer_open(path, &tokenizer, error);
    if (status != WE_OK)
        return status;
    status = we_tokenizer_encode(tokenizer, we_str(text, length), add_special, &out, error);
    we_tokenizer_close(tokenizer);
    if (status != WE_OK) {
        we_ids_free(&out);
        return status;
    }
    *ids = out.data;
    *count = out.count;
    return WE_OK;
}

/* Hands a buffer's text to the caller. */
static we_status take_text(struct we_buf *buf, we_status status, char **text, size_t *length, struct we_error *error)
{
    *length = buf->length;
    *text = status == WE_OK ? we_buf_take(buf) : NULL;
    we_buf_free(buf);
    return status == WE_OK && *text == NULL ? we_error_memory(error, "a text") : status;
}

we_status we_detokenize(const char *path, const uint32_t *ids, size_t count, char **text, size_t *length,
                        struct we_error *error)
{
    struct we_tokenizer *tokenizer;
    struct we_buf out = {0};
    we_status status = we_tokenizer_open(path, &tokenizer, error);
    if (status != WE_OK)
        return status;
    status = we_tokenizer_decode(tokenizer, ids, count, false, &out, error);
    we_tokenizer_close(tokenizer);
    return take_text(&out, status, text, length, error);
}

we_status we_render(const char *path, const char *template_file, const char *request, char **text, size_t *length,
                    struct we_error *error)
{
    struct we_chat_template *chat_template = NULL;
    struct we_buf source = {0}, out = {0};
    we_status status;
    if (template_file) {
        status = we_file_read(template_file, 16u << 20, &source, error);
        if (status == WE_OK)
            status = we_chat_template_parse(we_buf_str(&source), template_file, path, &chat_template, error);
    } else {
        status = we_chat_template_open(path, &chat_template, error);
    }
    if (status == WE_OK)
        status = we_chat_template_render(chat_template, we_str_c(request), &out, error);
    we_chat_template_close(chat_template);
    we_buf_free(&source);
    return take_text(&out, status, text, length, error);
}

static we_status logits_of(struct we_model *model, enum we_phase phase, const uint32_t *ids, size_t count, we_logits_fn *on_row,
                           void *context, struct we_error *error)
{
    we_status status = we_model_require_local(model, "asking for logits", error);
    if (status != WE_OK)
        return status;
    if (count == 0 || count > UINT32_MAX)
        return we_error_set(error, WE_INVALID_ARGUMENT, "%zu ids were given, where at least one was expected", count);
    return we_scheduler_logits(model->scheduler, phase, ids, (uint32_t)count, on_row, context, error);
}

we_status we_logits(struct we_model *model, const uint32_t *ids, size_t count, we_logits_fn *on_row, void *context,
                    struct we_error *error)
{
    return logits_of(model, WE_PHASE_PREFILL, ids, count, on_row, context, error);
}

we_status we_logits_decode(struct we_model *model, const uint32_t *ids, size_t count, we_logits_fn *on_row, void *context,
                           struct we_error *error)
{
    return logits_of(model, WE_PHASE_DECODE, ids, count, on_row, context, error);
}

struct logits_file {
    struct we_safetensors_writer *writer;
    size_t row_bytes;
    we_status status;
    struct we_error *error;
};

static bool write_row(void *context, size_t index, const float *logits)
{
    (void)index;
    struct logits_file *file = context;
    file->status = we_safetensors_writer_write(file->writer, logits, file->row_bytes, file->error);
    return file->status == WE_OK;
}

we_status we_logits_write(struct we_model *model, const uint32_t *ids, size_t count, const char *path, struct we_error *error)
{
    struct logits_file file = {.row_bytes = model->decoder.vocab_size * sizeof(float), .error = error};
    uint64_t shape[2] = {count, model->decoder.vocab_size};
    we_status status = we_model_require_local(model, "asking for logits", error);
    if (status == WE_OK)
        status = we_safetensors_writer_new(path, &file.writer, error);
    if (status == WE_OK)
        status = we_safetensors_writer_declare(file.writer, "logits", WE_F32, 2, shape, error);
    if (status == WE_OK)
        status = we_safetensors_writer_begin(file.writer, NULL, error);
    struct we_error stopped; /* a failed write has told its own reason */
    if (status == WE_OK) {
        status = we_logits(model, ids, count, write_row, &file, &stopped);
        if (file.status != WE_OK)
            status = file.status;
        else if (status != WE_OK && error)
            *error = stopped;
    }
    if (status == WE_OK)
        status = we_safetensors_writer_commit(file.writer, error);
    we_safetensors_writer_free(file.writer);
    return status;
}
