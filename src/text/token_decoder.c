/* From tokens to text: a chain of steps, each of which takes tokens and gives tokens. ByteLevel and Fuse make one
 * token of all; from there on it comes in fragments, of whole characters, and ends when everything does. Each step
 * gives on what no later input can change. So decoding at once and as a stream are the same. */
#include "text/tokenizer_parts.h"
#include "text/unicode.h"

#include <stdlib.h>

enum step_kind { BYTE_LEVEL, REPLACE, BYTE_FALLBACK, FUSE, STRIP, METASPACE, WORD_PIECE, BPE_DECODER, CTC, JOIN };

struct step {
    enum step_kind kind;
    struct step *next;
    struct we_str literal; /* REPLACE, if there is no regex; STRIP, METASPACE: one character; WORD_PIECE: the prefix;
                              BPE_DECODER: the suffix; CTC: the padding */
    struct we_str content; /* REPLACE: the new text; CTC: what stands between words */
    struct we_regex *regex;
    size_t start, stop;    /* STRIP: the most characters taken away */
    bool prefixed;         /* METASPACE: the first token loses its marks */
    bool cleanup;          /* WORD_PIECE, CTC */
};

struct we_token_decoder {
    struct step *first, **end;
    size_t count;
};

/* ---- reading ---- */

static we_status read_character(struct we_parts_reader *reader, const struct we_json *object, const char *where,
                                const char *key, struct we_str *character)
{
    we_status status = we_parts_string(reader, object, where, key, character);
    if (status == WE_OK &&
        (character->length == 0 || character->length != we_unicode_length((unsigned char)character->data[0])))
        status = we_parts_fail(reader, WE_INVALID_FORMAT, where, "\"%s\" is not one character", key);
    return status;
}

static we_status read_strip(struct we_parts_reader *reader, const struct we_json *object, struct step *step)
{
    const char *where = "decoder Strip";
    we_status status = read_character(reader, object, where, "content", &step->literal);
    if (status == WE_OK)
        status = we_parts_size(reader, object, where, "start", &step->start);
    return status == WE_OK ? we_parts_size(reader, object, where, "stop", &step->stop) : status;
}

static we_status read_metaspace(struct we_parts_reader *reader, const struct we_json *object, struct step *step)
{
    const char *where = "decoder Metaspace";
    we_status status = read_character(reader, object, where, "replacement", &step->literal);
    step->prefixed = true;
    if (status == WE_OK)
        status = we_parts_bool(reader, object, where, "add_prefix_space", false, &step->prefixed);
    if (status != WE_OK || we_json_get(object, "prepend_scheme") == NULL)
        return status;
    struct we_str scheme;
    status = we_parts_string(reader, object, where, "prepend_scheme", &scheme);
    bool never = status == WE_OK && we_str_equal_c(scheme, "never");
    if (status == WE_OK && !never && !we_str_equal_c(scheme, "always") && !we_str_equal_c(scheme, "first"))
        return we_parts_fail(reader, WE_UNSUPPORTED, where, "the prepend_scheme \"%.*s\"", WE_STR_ARG(scheme));
    if (status == WE_OK && !step->prefixed && !never)
        return we_parts_fail(reader, WE_INVALID_FORMAT, where, "add_prefix_space is false, but prepend_scheme is \"%.*s\"",
                             WE_STR_ARG(scheme));
    step->prefixed = !never;
    return status;
}

static we_status read_word_piece(struct we_parts_reader *reader, const struct we_json *object, struct step *step)
{
    we_status status = we_parts_string(reader, object, "decoder WordPiece", "prefix", &step->literal);
    return status == WE_OK ? we_parts_bool(reader, object, "decoder WordPiece", "cleanup", true, &step->cleanup) : status;
}

static we_status read_ctc(struct we_parts_reader *reader, const struct we_json *object, struct step *step)
{
    we_status status = we_parts_string(reader, object, "decoder CTC", "pad_token", &step->literal);
    if (status == WE_OK)
        status = we_parts_string(reader, object, "decoder CTC", "word_delimiter_token", &step->content);
    return status == WE_OK ? we_parts_bool(reader, object, "decoder CTC", "cleanup", true, &step->cleanup) : status;
}

static we_status read_step(struct we_parts_reader *reader, const struct we_json *object, struct we_str type, void *part)
{
    static const char *const types[] = {"ByteLevel", "Replace",   "ByteFallback", "Fuse", "Strip",
                                        "Metaspace", "WordPiece", "BPEDecoder",   "CTC"};
    struct we_token_decoder *decoder = part;
    size_t k = 0;
    while (k < sizeof types / sizeof types[0] && !we_str_equal_c(type, types[k]))
        k++;
    if (k == sizeof types / sizeof types[0])
        return we_parts_unknown(reader, "decoder", type);
    struct step *step = we_arena_alloc(reader->arena, sizeof *step);
    if (step == NULL)
        return we_error_memory(reader->error, "the tokenizer");
    step->kind = (enum step_kind)k;
    *decoder->end = step;
    decoder->end = &step->next;
    decoder->count++;
    if (step->kind == STRIP)
        return read_strip(reader, object, step);
    if (step->kind == METASPACE)
        return read_metaspace(reader, object, step);
    if (step->kind == WORD_PIECE)
        return read_word_piece(reader, object, step);
    if (step->kind == BPE_DECODER)
        return we_parts_string(reader, object, "decoder BPEDecoder", "suffix", &step->literal);
    if (step->kind == CTC)
        return read_ctc(reader, object, step);
    if (step->kind != REPLACE)
        return WE_OK;
    we_status status = we_parts_string(reader, object, "decoder Replace", "content", &step->content);
    return status == WE_OK ? we_parts_pattern(reader, object, "decoder Replace", &step->literal, &step->regex) : status;
}

we_status we_token_decoder_read(struct we_parts_reader *reader, const struct we_json *json, struct we_token_decoder **out)
{
    *out = NULL;
    if (json == NULL || json->kind == WE_JSON_NULL)
        return WE_OK;
    struct we_token_decoder *decoder = we_arena_alloc(reader->arena, sizeof *decoder);
    if (decoder == NULL)
        return we_error_memory(reader->error, "the tokenizer");
    decoder->end = &decoder->first;
    *out = decoder;
    return we_parts_each(reader, json, "decoder", "decoders", read_step, decoder);
}

void we_token_decoder_free(struct we_token_decoder *decoder)
{
    for (struct step *step = decoder ? decoder->first : NULL; step; step = step->next)
        we_regex_free(step->regex);
}

/* ---- the stream ---- */

struct stage {
    const struct step *step;
    bool fragments;       /* what comes in is one token in fragments */
    bool begun;           /* something came in; JOIN, METASPACE: a first token did */
    size_t left;          /* STRIP: characters at the start that may still go */
    struct we_buf held;   /* what later input may change */
    struct we_buf made;   /* what is given on; valid during the call */
};

struct we_token_stream {
    struct we_buf *out;
    struct we_regex_state regex;
    we_status status;
    struct we_error *error;
    size_t count;
    struct stage stages[];
};

static void give(struct we_token_stream *s, size_t i, struct we_str text);

static void check(struct we_token_stream *s, const struct we_buf *buf)
{
    if (buf->failed && s->status == WE_OK)
        s->status = we_error_memory(s->error, "decoding tokens");
}

/* Appends to `out` the characters of held + bytes; an unfinished one at the end stays held. */
static void add_bytes(struct we_token_stream *s, struct stage *stage, struct we_str bytes, struct we_buf *out)
{
    if (stage->held.length) {
        we_buf_append(&stage->held, bytes);
        check(s, &stage->held);
        bytes = we_buf_str(&stage->held);
    }
    size_t keep = we_utf8_incomplete_suffix(bytes);
    struct we_str rest = we_str(bytes.data + bytes.length - keep, keep);
    we_unicode_repair(we_str(bytes.data, bytes.length - keep), out);
    check(s, out);
    if (bytes.data == stage->held.data) {
        memmove(stage->held.data, rest.data, keep);
        stage->held.length = keep;
    } else {
        we_buf_append(&stage->held, rest);
        check(s, &stage->held);
    }
}

static void take_byte_level(struct we_token_stream *s, size_t i, struct we_str token)
{
    struct stage *stage = &s->stages[i];
    struct we_buf bytes = {0};
    if (stage->fragments) { /* whether all its characters are of the alphabet is known only at the end */
        we_buf_append(&stage->held, token);
        check(s, &stage->held);
        return;
    }
    bool mapped = we_byte_level_decode(token, &bytes);
    check(s, &bytes);
    we_buf_clear(&stage->made);
    add_bytes(s, stage, mapped ? we_buf_str(&bytes) : token, &stage->made);
    we_buf_free(&bytes);
    give(s, i + 1, we_buf_str(&stage->made));
}

static void end_byte_level(struct we_token_stream *s, struct stage *stage)
{
    we_buf_clear(&stage->made);
    if (stage->fragments) {
        struct we_buf bytes = {0};
        bool mapped = we_byte_level_decode(we_buf_str(&stage->held), &bytes);
        check(s, &bytes);
        we_unicode_repair(mapped ? we_buf_str(&bytes) : we_buf_str(&stage->held), &stage->made);
        we_buf_free(&bytes);
    } else {
        we_unicode_repair(we_buf_str(&stage->held), &stage->made);
    }
    check(s, &stage->made);
}

/* Replaces in a whole token by a regular expression. */
static void replace_by_regex(struct we_token_stream *s, struct stage *stage, struct we_str token)
{
    struct we_regex_scan scan;
    size_t last = 0, start, end;
    we_buf_clear(&stage->made);
    we_regex_scan_begin(&scan, stage->step->regex, &s->regex, token);
    for (bool found = token.length > 0; found && s->status == WE_OK;) {
        s->status = we_regex_scan_next(&scan, &found, &start, &end, s->error);
        if (s->status != WE_OK || !found)
            break;
        we_buf_append(&stage->made, we_str(token.data + last, start - last));
        we_buf_append(&stage->made, stage->step->content);
        last = end;
    }
    we_buf_append(&stage->made, we_str(token.data + last, token.length - last));
    check(s, &stage->made);
}

/* Replaces a literal; returns where the part begins that was not looked at or may be the beginning of a match. */
static size_t replace_literal(struct we_token_stream *s, struct stage *stage, struct we_str text, bool whole)
{
    struct we_str literal = stage->step->literal;
    size_t last = 0, at;
    we_buf_clear(&stage->made);
    while ((at = we_str_find(text, literal, last)) != SIZE_MAX) {
        we_buf_append(&stage->made, we_str(text.data + last, at - last));
        we_buf_append(&stage->made, stage->step->content);
        last = at + literal.length;
    }
    size_t end = text.length;
    for (size_t n = literal.length - 1; !whole && n > 0 && end == text.length; n--)
        if (n <= text.length - last && memcmp(text.data + text.length - n, literal.data, n) == 0)
            end = text.length - n;
    we_buf_append(&stage->made, we_str(text.data + last, end - last));
    check(s, &stage->made);
    return end;
}

static void take_replace(struct we_token_stream *s, size_t i, struct we_str text)
{
    struct stage *stage = &s->stages[i];
    if (!stage->fragments) {
        if (stage->step->regex)
            replace_by_regex(s, stage, text);
        else
            replace_literal(s, stage, text, true);
        give(s, i + 1, we_buf_str(&stage->made));
        return;
    }
    we_buf_append(&stage->held, text);
    check(s, &stage->held);
    if (stage->step->regex || s->status != WE_OK) /* any later text may change what it matches */
        return;
    size_t end = replace_literal(s, stage, we_buf_str(&stage->held), false);
    memmove(stage->held.data, stage->held.data + end, stage->held.length - end);
    stage->held.length -= end;
    give(s, i + 1, we_buf_str(&stage->made));
}

/* The byte that a token <0xHH> means, or -1. */
static int byte_of_token(struct we_str token)
{
    if (token.length != 6 || memcmp(token.data, "<0x", 3) != 0 || token.data[5] != '>')
        return -1;
    int value = 0;
    for (int i = 3; i < 5; i++) {
        int c = (unsigned char)token.data[i], low = c | 0x20;
        if (i == 3 && c == '+')
            continue; /* as Rust reads numbers */
        if (!(c >= '0' && c <= '9') && !(low >= 'a' && low <= 'f'))
            return -1;
        value = value << 4 | (c <= '9' ? c - '0' : low - 'a' + 10);
    }
    return value;
}

/* The bytes that were held: a text if they are one, else a U+FFFD for each. */
static void end_bytes(struct we_token_stream *s, size_t i)
{
    struct stage *stage = &s->stages[i];
    struct we_str bytes = we_buf_str(&stage->held);
    if (bytes.length && we_utf8_valid_prefix(bytes) == bytes.length)
        give(s, i + 1, bytes);
    else
        for (size_t k = 0; k < bytes.length; k++)
            give(s, i + 1, we_str_c("\xEF\xBF\xBD"));
    we_buf_clear(&stage->held);
}

static void take_byte_fallback(struct we_token_stream *s, size_t i, struct we_str text)
{
    struct stage *stage = &s->stages[i];
    if (!stage->fragments) {
        int byte = byte_of_token(text);
        if (byte >= 0) {
            we_buf_append_byte(&stage->held, (char)byte);
            check(s, &stage->held);
        } else {
            end_bytes(s, i);
            give(s, i + 1, text);
        }
    } else if (stage->begun) {
        give(s, i + 1, text);
    } else { /* one token, which is a byte only if it has six characters */
        we_buf_append(&stage->held, text);
        check(s, &stage->held);
        stage->begun = stage->held.length > 6;
        if (stage->begun)
            give(s, i + 1, we_buf_str(&stage->held));
    }
}

static void end_byte_fallback(struct we_token_stream *s, size_t i)
{
    struct stage *stage = &s->stages[i];
    if (!stage->fragments) {
        end_bytes(s, i);
        return;
    }
    int byte = stage->begun ? -1 : byte_of_token(we_buf_str(&stage->held));
    char character = (char)byte;
    if (byte >= 0)
        give(s, i + 1, byte < 0x80 ? we_str(&character, 1) : we_str_c("\xEF\xBF\xBD"));
    else if (!stage->begun)
        give(s, i + 1, we_buf_str(&stage->held));
}

/* Bytes of up to `most` characters `c` at the beginning, or the end, of a text. */
static size_t run_at_start(struct we_str text, struct we_str c, size_t most)
{
    size_t n = 0;
    while (most-- > 0 && we_str_starts_with(we_str(text.data + n, text.length - n), c))
        n += c.length;
    return n;
}

static size_t run_at_end(struct we_str text, struct we_str c, size_t most)
{
    size_t n = 0;
    while (most-- > 0 && we_str_ends_with(we_str(text.data, text.length - n), c))
        n += c.length;
    return n;
}

static void take_strip(struct we_token_stream *s, size_t i, struct we_str text)
{
    struct stage *stage = &s->stages[i];
    const struct step *step = stage->step;
    if (!stage->fragments) {
        size_t start = run_at_start(text, step->literal, step->start);
        text = we_str(text.data + start, text.length - start);
        give(s, i + 1, we_str(text.data, text.length - run_at_end(text, step->literal, step->stop)));
        return;
    }
    if (!stage->begun)
        stage->left = step->start;
    stage->begun = true;
    size_t start = run_at_start(text, step->literal, stage->left);
    stage->left = start == text.length ? stage->left - start / step->literal.length : 0;
    text = we_str(text.data + start, text.length - start);
    if (step->stop == 0) {
        give(s, i + 1, text);
        return;
    }
    we_buf_append(&stage->held, text);
    check(s, &stage->held);
    struct we_str all = we_buf_str(&stage->held);
    size_t keep = run_at_end(all, step->literal, step->stop);
    we_buf_clear(&stage->made);
    we_buf_append(&stage->made, we_str(all.data, all.length - keep));
    check(s, &stage->made);
    if (keep)
        memmove(stage->held.data, stage->held.data + all.length - keep, keep);
    stage->held.length = keep;
    give(s, i + 1, we_buf_str(&stage->made));
}

static void take_metaspace(struct we_token_stream *s, size_t i, struct we_str text)
{
    struct stage *stage = &s->stages[i];
    struct we_str mark = stage->step->literal;
    bool drop = stage->step->prefixed && (!stage->begun || stage->fragments);
    stage->begun = true;
    we_buf_clear(&stage->made);
    size_t last = 0, at;
    while ((at = we_str_find(text, mark, last)) != SIZE_MAX) {
        we_buf_append(&stage->made, we_str(text.data + last, at - last));
        if (!drop)
            we_buf_append_byte(&stage->made, ' ');
        last = at + mark.length;
    }
    we_buf_append(&stage->made, we_str(text.data + last, text.length - last));
    check(s, &stage->made);
    give(s, i + 1, we_buf_str(&stage->made));
}

/* In a text each place of `what` becomes `by`, one after the other from the left; the new text is where the old one was. */
static void replace_all(struct we_token_stream *s, struct we_buf *text, struct we_str what, struct we_str by)
{
    size_t last = 0, at = we_str_find(we_buf_str(text), what, 0);
    if (at == SIZE_MAX)
        return;
    struct we_buf out = {0};
    if (what.length == 0) { /* before each character, and behind the last */
        for (size_t i = 0; i < text->length; i = last) {
            last = i + we_unicode_length((unsigned char)text->data[i]);
            we_buf_append(&out, by);
            we_buf_append(&out, we_str(text->data + i, last - i));
        }
        we_buf_append(&out, by);
    } else {
        for (; at != SIZE_MAX; at = we_str_find(we_buf_str(text), what, last)) {
            we_buf_append(&out, we_str(text->data + last, at - last));
            we_buf_append(&out, by);
            last = at + what.length;
        }
        we_buf_append(&out, we_str(text->data + last, text->length - last));
    }
    check(s, &out);
    we_buf_free(text);
    *text = out;
}

/* What tokenizing put apart comes together again: spaces before punctuation and in English contractions go. */
static void clean_up(struct we_token_stream *s, struct we_buf *text)
{
    static const char *const pairs[][2] = {
        {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},    {" n't", "n't"},
        {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        replace_all(s, text, we_str_c(pairs[i][0]), we_str_c(pairs[i][1]));
}

/* A whole token; of fragments it is known only at the end, if it is cleaned up. */
static void take_word_piece(struct we_token_stream *s, size_t i, struct we_str text)
{
    struct stage *stage = &s->stages[i];
    const struct step *step = stage->step;
    if (stage->fragments) {
        we_buf_append(&stage->held, step->cleanup ? text : we_str("", 0));
        check(s, &stage->held);
        if (!step->cleanup)
            give(s, i + 1, text);
        return;
    }
    we_buf_clear(&stage->made);
    if (stage->begun && we_str_starts_with(text, step->literal))
        text = we_str(text.data + step->literal.length, text.length - step->literal.length);
    else if (stage->begun)
        we_buf_append_byte(&stage->made, ' ');
    we_buf_append(&stage->made, text);
    check(s, &stage->made);
    stage->begun = true;
    if (step->cleanup && s->status == WE_OK)
        clean_up(s, &stage->made);
    give(s, i + 1, we_buf_str(&stage->made));
}

/* The last token ends without a space, and which one that is, is known only at the end. */
static void take_bpe(struct we_token_stream *s, size_t i, struct we_str text)
{
    struct stage *stage = &s->stages[i];
    if (!stage->fragments && stage->begun && s->status == WE_OK) {
        we_buf_clear(&stage->made);
        we_buf_append(&stage->made, we_buf_str(&stage->held));
        check(s, &stage->made);
        replace_all(s, &stage->made, stage->step->literal, we_str_c(" "));
        we_buf_clear(&stage->held);
        give(s, i + 1, we_buf_str(&stage->made));
    }
    stage->begun = true;
    we_buf_append(&stage->held, text);
    check(s, &stage->held);
}

static void end_bpe(struct we_token_stream *s, size_t i)
{
    struct stage *stage = &s->stages[i];
    if (!stage->begun)
        return;
    replace_all(s, &stage->held, stage->step->literal, we_str("", 0));
    give(s, i + 1, we_buf_str(&stage->held));
}

/* A token of CTC that is not the one before. */
static void give_ctc(struct we_token_stream *s, size_t i, struct we_str text)
{
    struct stage *stage = &s->stages[i];
    const struct step *step = stage->step;
    we_buf_clear(&stage->made);
    we_buf_append(&stage->made, text);
    check(s, &stage->made);
    if (s->status != WE_OK)
        return;
    replace_all(s, &stage->made, step->literal, we_str("", 0));
    if (step->cleanup) {
        clean_up(s, &stage->made);
        replace_all(s, &stage->made, step->content, we_str_c(" "));
    }
    if (stage->made.length)
        give(s, i + 1, we_buf_str(&stage->made));
}

static void take_ctc(struct we_token_stream *s, size_t i, struct we_str text)
{
    struct stage *stage = &s->stages[i];
    if (!stage->fragments) {
        if (stage->begun && we_str_equal(text, we_buf_str(&stage->held)))
            return;
        we_buf_clear(&stage->held);
    }
    stage->begun = true;
    we_buf_append(&stage->held, text);
    check(s, &stage->held);
    if (!stage->fragments)
        give_ctc(s, i, text);
}

/* Gives a token, or a fragment of one, to stage i. */
static void give(struct we_token_stream *s, size_t i, struct we_str text)
{
    if (s->status != WE_OK)
        return;
    if (i == s->count) {
        we_buf_append(s->out, text);
        check(s, s->out);
        return;
    }
    struct stage *stage = &s->stages[i];
    if (stage->fragments && text.length == 0)
        return;
    switch (stage->step->kind) {
    case BYTE_LEVEL:
        take_byte_level(s, i, text);
        break;
    case REPLACE:
        take_replace(s, i, text);
        break;
    case BYTE_FALLBACK:
        take_byte_fallback(s, i, text);
        break;
    case FUSE:
        give(s, i + 1, text);
        break;
    case STRIP:
        take_strip(s, i, text);
        break;
    case METASPACE:
        take_metaspace(s, i, text);
        break;
    case WORD_PIECE:
        take_word_piece(s, i, text);
        break;
    case BPE_DECODER:
        take_bpe(s, i, text);
        break;
    case CTC:
        take_ctc(s, i, text);
        break;
    case JOIN:
        if (stage->begun)
            give(s, i + 1, we_str_c(" "));
        stage->begun = true;
        give(s, i + 1, text);
        break;
    }
}

/* Tells stage i that nothing more comes. */
static void end_stage(struct we_token_stream *s, size_t i)
{
    struct stage *stage = &s->stages[i];
    switch (stage->step->kind) {
    case BYTE_LEVEL:
        end_byte_level(s, stage);
        give(s, i + 1, we_buf_str(&stage->made));
        break;
    case REPLACE:
        if (stage->fragments && stage->step->regex) {
            replace_by_regex(s, stage, we_buf_str(&stage->held));
            give(s, i + 1, we_buf_str(&stage->made));
        } else if (stage->fragments) { /* else nothing is held, and an empty token is a token */
            give(s, i + 1, we_buf_str(&stage->held));
        }
        break;
    case BYTE_FALLBACK:
        end_byte_fallback(s, i);
        break;
    case WORD_PIECE:
        if (stage->fragments && stage->step->cleanup) {
            clean_up(s, &stage->held);
            give(s, i + 1, we_buf_str(&stage->held));
        }
        break;
    case BPE_DECODER:
        end_bpe(s, i);
        break;
    case CTC:
        if (stage->fragments && stage->begun)
            give_ctc(s, i, we_buf_str(&stage->held));
        break;
    default: /* what STRIP held goes away */
        break;
    }
}

we_status we_token_stream_new(const struct we_token_decoder *decoder, struct we_buf *out, struct we_token_stream **stream,
                              struct we_error *error)
{
    static const struct step join = {.kind = JOIN};
    size_t count = decoder ? decoder->count : 1;
    struct we_token_stream *s = calloc(1, sizeof *s + count * sizeof s->stages[0]);
    *stream = s;
    if (s == NULL)
        return we_error_memory(error, "decoding tokens");
    s->out = out;
    s->count = count;
    bool fragments = false;
    const struct step *step = decoder ? decoder->first : &join;
    for (size_t i = 0; i < count; i++, step = step->next) {
        s->stages[i].step = step;
        s->stages[i].fragments = fragments;
        fragments = fragments || step->kind == BYTE_LEVEL || step->kind == FUSE;
    }
    return WE_OK;
}

void we_token_stream_free(struct we_token_stream *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->count; i++) {
        we_buf_free(&s->stages[i].held);
        we_buf_free(&s->stages[i].made);
    }
    we_regex_state_free(&s->regex);
    free(s);
}

we_status we_token_stream_add(struct we_token_stream *s, struct we_str token, struct we_error *error)
{
    s->error = error;
    give(s, 0, token);
    return s->status;
}

we_status we_token_stream_finish(struct we_token_stream *s, struct we_error *error)
{
    s->error = error;
    for (size_t i = 0; i < s->count && s->status == WE_OK; i++)
        end_stage(s, i);
    return s->status;
}
