/* The tokenizer behind a pipe, for compare_with_tokenizers.py: many tokenizers and texts in one process.
 * A request is a letter, the length of what follows (uint32, little-endian) and that; a reply is a status (one byte, 0: OK;
 * 255: a stream gave half a character), a length and the bytes: the answer, or the message of an error.
 *   L json    loads a tokenizer
 *   E e text  its ids (uint32), with and without special tokens
 *   D d ids   their text, with and without special tokens; S s: the same as a stream
 *   T text    seconds (a double) that encoding it took, the least of five times; O directory: the same of opening it
 *   G path    the tokenizer.json that a GGUF file's vocabulary becomes
 *   R         a pattern and a text (each a length and bytes): where the matches stand, two uint32 for each */
#include "base/system.h"
#include "convert/convert.h"
#include "text/regex.h"
#include "text/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>

enum { HALF_CHARACTER = 255 };

static bool reply(unsigned status, struct we_str bytes)
{
    uint32_t length = (uint32_t)bytes.length;
    unsigned char head[5] = {(unsigned char)status, length & 0xFF, length >> 8 & 0xFF, length >> 16 & 0xFF, length >> 24};
    return fwrite(head, 1, sizeof head, stdout) == sizeof head &&
           (length == 0 || fwrite(bytes.data, 1, length, stdout) == length) && fflush(stdout) == 0;
}

static bool reply_status(we_status status, struct we_str bytes, const struct we_error *error)
{
    return status == WE_OK ? reply(0, bytes) : reply((unsigned)status, we_str_c(error->message));
}

static uint32_t number_at(const char *p)
{
    const unsigned char *b = (const unsigned char *)p;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static bool encode(const struct we_tokenizer *tokenizer, struct we_str text, bool special)
{
    struct we_error error;
    struct we_ids ids = {0};
    we_status status = we_tokenizer_encode(tokenizer, text, special, &ids, &error);
    bool ok = reply_status(status, we_str((const char *)ids.data, ids.count * 4), &error);
    we_ids_free(&ids);
    return ok;
}

static bool decode(const struct we_tokenizer *tokenizer, struct we_str data, bool skip)
{
    struct we_error error;
    struct we_buf text = {0};
    uint32_t *ids = malloc(data.length + 1);
    for (size_t i = 0; i < data.length / 4; i++)
        ids[i] = number_at(data.data + 4 * i);
    we_status status = we_tokenizer_decode(tokenizer, ids, data.length / 4, skip, &text, &error);
    bool ok = reply_status(status, we_buf_str(&text), &error);
    we_buf_free(&text);
    free(ids);
    return ok;
}

static bool stream(const struct we_tokenizer *tokenizer, struct we_str data, bool skip)
{
    struct we_error error;
    struct we_buf text = {0};
    struct we_detokenizer *detokenizer;
    struct we_str piece;
    bool whole = true;
    we_status status = we_detokenizer_new(tokenizer, skip, &detokenizer, &error);
    for (size_t i = 0; i < data.length / 4 && status == WE_OK; i++) {
        status = we_detokenizer_add(detokenizer, number_at(data.data + 4 * i), &piece, &error);
        if (status == WE_OK) {
            whole = whole && we_utf8_valid_prefix(piece) == piece.length;
            we_buf_append(&text, piece);
        }
    }
    if (status == WE_OK)
        status = we_detokenizer_finish(detokenizer, &piece, &error);
    if (status == WE_OK)
        we_buf_append(&text, piece);
    bool ok = whole ? reply_status(status, we_buf_str(&text), &error) : reply(HALF_CHARACTER, we_buf_str(&text));
    we_detokenizer_free(detokenizer);
    we_buf_free(&text);
    return ok;
}

static bool match(struct we_str data)
{
    struct we_error error;
    struct we_regex *regex = NULL;
    struct we_regex_state state = {0};
    struct we_regex_scan scan;
    struct we_buf spans = {0};
    uint32_t length = data.length >= 4 ? number_at(data.data) : 0;
    if (data.length < 8 || length > data.length - 8)
        return false;
    struct we_str pattern = we_str(data.data + 4, length);
    struct we_str text = we_str(data.data + 8 + length, data.length - 8 - length);
    we_status status = we_regex_compile(pattern, &regex, &error);
    if (status == WE_OK) {
        bool found = true;
        size_t start, end;
        we_regex_scan_begin(&scan, regex, &state, text);
        while (status == WE_OK && found) {
            status = we_regex_scan_next(&scan, &found, &start, &end, &error);
            uint32_t span[2] = {(uint32_t)start, (uint32_t)end};
            if (status == WE_OK && found)
                we_buf_append(&spans, we_str((const char *)span, sizeof span));
        }
    }
    bool ok = reply_status(status, we_buf_str(&spans), &error);
    we_buf_free(&spans);
    we_regex_free(regex);
    we_regex_state_free(&state);
    return ok;
}

static bool convert(struct we_str path)
{
    struct we_error error;
    struct we_arena arena = {0};
    struct we_gguf *gguf = NULL;
    struct we_gguf_vocab vocab;
    struct we_buf json = {0};
    const char *name = we_arena_copy(&arena, path);
    we_status status = name ? we_gguf_open(name, &gguf, &error) : we_error_memory(&error, "a path");
    if (status == WE_OK)
        status = we_gguf_vocab_read(gguf, name, &arena, &vocab, &error);
    if (status == WE_OK)
        status = we_gguf_write_tokenizer(gguf, &vocab, &json, &error);
    bool ok = reply_status(status, we_buf_str(&json), &error);
    we_buf_free(&json);
    we_gguf_close(gguf);
    we_arena_free(&arena);
    return ok;
}

/* Of five times the least; one that fails ends it. */
static bool measure(const struct we_tokenizer *tokenizer, struct we_str data)
{
    struct we_error error;
    we_status status = WE_OK;
    double least = 1e9;
    struct we_arena arena = {0};
    const char *directory = tokenizer ? NULL : we_arena_copy(&arena, data);
    for (int i = 0; i < 5 && status == WE_OK; i++) {
        struct we_ids ids = {0};
        struct we_tokenizer *opened = NULL;
        double start = we_clock();
        status = tokenizer ? we_tokenizer_encode(tokenizer, data, true, &ids, &error)
                           : we_tokenizer_open(directory, &opened, &error);
        double seconds = we_clock() - start;
        least = seconds < least ? seconds : least;
        we_ids_free(&ids);
        we_tokenizer_close(opened);
    }
    we_arena_free(&arena);
    return reply_status(status, we_str((const char *)&least, sizeof least), &error);
}

static bool answer(int what, struct we_str data, struct we_tokenizer **tokenizer)
{
    struct we_error error;
    switch (what) {
    case 'L':
        we_tokenizer_close(*tokenizer);
        return reply_status(we_tokenizer_parse(data, "tokenizer.json", tokenizer, &error), we_str("", 0), &error);
    case 'E':
    case 'e':
        return *tokenizer && encode(*tokenizer, data, what == 'E');
    case 'D':
    case 'd':
        return *tokenizer && decode(*tokenizer, data, what == 'd');
    case 'S':
    case 's':
        return *tokenizer && stream(*tokenizer, data, what == 's');
    case 'T':
        return *tokenizer && measure(*tokenizer, data);
    case 'O':
        return measure(NULL, data);
    case 'G':
        return convert(data);
    case 'R':
        return match(data);
    default:
        return false;
    }
}

int main(void)
{
    struct we_tokenizer *tokenizer = NULL;
    char head[5], *data = NULL;
    bool ok = true;
    while (ok && fread(head, 1, sizeof head, stdin) == sizeof head) {
        uint32_t length = number_at(head + 1);
        free(data);
        data = malloc((size_t)length + 1); /* of its exact size, so that a sanitizer sees what is read behind it */
        ok = data && fread(data, 1, length, stdin) == length;
        if (ok) {
            char *exact = length ? realloc(data, length) : data;
            data = exact ? exact : data;
            ok = answer((unsigned char)head[0], we_str(data, length), &tokenizer);
        }
    }
    free(data);
    we_tokenizer_close(tokenizer);
    return ok ? 0 : 1;
}
