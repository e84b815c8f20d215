#include "text/tokenizer_parts.h"
#include "text/unicode.h"

#include <stdlib.h>

enum step_kind {
    SPLIT,
    BYTE_LEVEL,
    DIGITS,
    METASPACE,
    WHITESPACE,
    WHITESPACE_SPLIT,
    PUNCTUATION,
    BERT,
    DELIMITER,
    FIXED_LENGTH
};
enum behavior { REMOVED, ISOLATED, MERGED_WITH_PREVIOUS, MERGED_WITH_NEXT, CONTIGUOUS };
enum prepend_scheme { ALWAYS, FIRST, NEVER };

struct step {
    enum step_kind kind;
    struct step *next;
    enum behavior behavior;
    bool invert;
    bool add_prefix_space;      /* BYTE_LEVEL */
    struct we_regex *regex;     /* SPLIT, BYTE_LEVEL with use_regex */
    struct we_str literal;      /* SPLIT without a regex; METASPACE: the replacement, one character */
    enum prepend_scheme scheme; /* METASPACE */
    bool split;                 /* METASPACE */
    size_t length;              /* FIXED_LENGTH: characters */
};

struct we_pre_tokenizer {
    struct step *first, *last, **end;
};

/* ---- reading ---- */

static we_status read_behavior(struct we_parts_reader *reader, const struct we_json *object, const char *where, bool required,
                               enum behavior *behavior)
{
    static const char *const names[] = {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"};
    if (!required && we_json_get(object, "behavior") == NULL)
        return WE_OK;
    struct we_str name;
    we_status status = we_parts_string(reader, object, where, "behavior", &name);
    for (size_t i = 0; status == WE_OK && i < sizeof names / sizeof names[0]; i++) {
        if (we_str_equal_c(name, names[i])) {
            *behavior = (enum behavior)i;
            return WE_OK;
        }
    }
    return status != WE_OK ? status : we_parts_fail(reader, WE_UNSUPPORTED, where, "the behavior \"%.*s\"", WE_STR_ARG(name));
}

static we_status read_split(struct we_parts_reader *reader, const struct we_json *object, struct step *step)
{
    const char *where = "pre_tokenizer Split";
    we_status status = read_behavior(reader, object, where, true, &step->behavior);
    if (status == WE_OK)
        status = we_parts_bool(reader, object, where, "invert", true, &step->invert);
    return status == WE_OK ? we_parts_pattern(reader, object, where, &step->literal, &step->regex) : status;
}

static we_status read_byte_level(struct we_parts_reader *reader, const struct we_json *object, struct step *step)
{
    const char *where = "pre_tokenizer ByteLevel", *gpt2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+"
                                                           "|\\s+(?!\\S)|\\s+";
    bool use_regex = true;
    we_status status = we_parts_bool(reader, object, where, "add_prefix_space", true, &step->add_prefix_space);
    if (status == WE_OK)
        status = we_parts_bool(reader, object, where, "use_regex", false, &use_regex);
    step->behavior = ISOLATED;
    return status == WE_OK && use_regex ? we_regex_compile(we_str_c(gpt2), &step->regex, reader->error) : status;
}

/* Files of old have add_prefix_space where newer ones have prepend_scheme. */
static we_status read_metaspace(struct we_parts_reader *reader, const struct we_json *object, struct step *step)
{
    const char *where = "pre_tokenizer Metaspace";
    bool add_prefix_space = true;
    step->split = true;
    step->behavior = MERGED_WITH_NEXT;
    we_status status = we_parts_string(reader, object, where, "replacement", &step->literal);
    if (status == WE_OK)
        status = we_parts_bool(reader, object, where, "split", false, &step->split);
    if (status == WE_OK)
        status = we_parts_bool(reader, object, where, "add_prefix_space", false, &add_prefix_space);
    if (status != WE_OK)
        return status;
    if (step->literal.length == 0 || step->literal.length != we_unicode_length((unsigned char)step->literal.data[0]))
        return we_parts_fail(reader, WE_INVALID_FORMAT, where, "\"replacement\" is not one character");
    step->scheme = add_prefix_space ? ALWAYS : NEVER;
    if (we_json_get(object, "prepend_scheme") == NULL)
        return WE_OK;
    struct we_str scheme;
    status = we_parts_string(reader, object, where, "prepend_scheme", &scheme);
    if (status != WE_OK)
        return status;
    if (!we_str_equal_c(scheme, "always") && !we_str_equal_c(scheme, "first") && !we_str_equal_c(scheme, "never"))
        return we_parts_fail(reader, WE_UNSUPPORTED, where, "the prepend_scheme \"%.*s\"", WE_STR_ARG(scheme));
    step->scheme = scheme.data[0] == 'a' ? ALWAYS : scheme.data[0] == 'f' ? FIRST : NEVER;
    if (!add_prefix_space && step->scheme != NEVER)
        return we_parts_fail(reader, WE_INVALID_FORMAT, where, "add_prefix_space is false, but prepend_scheme is \"%.*s\"",
                             WE_STR_ARG(scheme));
    return WE_OK;
}

static we_status read_digits(struct we_parts_reader *reader, const struct we_json *object, struct step *step)
{
    bool individual = false;
    we_status status = we_parts_bool(reader, object, "pre_tokenizer Digits", "individual_digits", true, &individual);
    step->behavior = individual ? ISOLATED : CONTIGUOUS;
    return status;
}

/* A split at one character, which goes away. */
static we_status read_delimiter(struct we_parts_reader *reader, const struct we_json *object, struct step *step)
{
    const char *where = "pre_tokenizer CharDelimiterSplit";
    step->kind = SPLIT;
    step->behavior = REMOVED;
    we_status status = we_parts_string(reader, object, where, "delimiter", &step->literal);
    if (status == WE_OK &&
        (step->literal.length == 0 || step->literal.length != we_unicode_length((unsigned char)step->literal.data[0])))
        status = we_parts_fail(reader, WE_INVALID_FORMAT, where, "\"delimiter\" is not one character");
    return status;
}

static struct step *add_step(struct we_parts_reader *reader, struct we_pre_tokenizer *pre, enum step_kind kind)
{
    struct step *step = we_arena_alloc(reader->arena, sizeof *step);
    if (step == NULL) {
        we_error_memory(reader->error, "the tokenizer");
        return NULL;
    }
    step->kind = kind;
    *pre->end = pre->last = step;
    pre->end = &step->next;
    return step;
}

static we_status read_step(struct we_parts_reader *reader, const struct we_json *object, struct we_str type, void *part)
{
    static const struct {
        const char *type;
        enum step_kind kind;
    } kinds[] = {
        {"Split", SPLIT},
        {"ByteLevel", BYTE_LEVEL},
        {"Digits", DIGITS},
        {"Metaspace", METASPACE},
        {"Whitespace", WHITESPACE},
        {"WhitespaceSplit", WHITESPACE_SPLIT},
        {"Punctuation", PUNCTUATION},
        {"BertPreTokenizer", BERT},
        {"CharDelimiterSplit", DELIMITER},
        {"FixedLength", FIXED_LENGTH},
    };
    struct we_pre_tokenizer *pre = part;
    size_t k = 0;
    while (k < sizeof kinds / sizeof kinds[0] && !we_str_equal_c(type, kinds[k].type))
        k++;
    if (k == sizeof kinds / sizeof kinds[0])
        return we_parts_unknown(reader, "pre_tokenizer", type);
    struct step *step = add_step(reader, pre, kinds[k].kind);
    if (step == NULL)
        return WE_OUT_OF_MEMORY;
    switch (step->kind) {
    case SPLIT:
        return read_split(reader, object, step);
    case BYTE_LEVEL:
        return read_byte_level(reader, object, step);
    case DIGITS:
        return read_digits(reader, object, step);
    case METASPACE:
        return read_metaspace(reader, object, step);
    case PUNCTUATION:
        step->behavior = ISOLATED;
        return read_behavior(reader, object, "pre_tokenizer Punctuation", false, &step->behavior);
    case BERT: /* words at spaces, then punctuation by itself */
        step->kind = WHITESPACE_SPLIT;
        step->behavior = REMOVED;
        step = add_step(reader, pre, PUNCTUATION);
        if (step == NULL)
            return WE_OUT_OF_MEMORY;
        step->behavior = ISOLATED;
        return WE_OK;
    case DELIMITER:
        return read_delimiter(reader, object, step);
    case FIXED_LENGTH:
        step->length = 5;
        return we_json_get(object, "length")
                   ? we_parts_size(reader, object, "pre_tokenizer FixedLength", "length", &step->length)
                   : WE_OK;
    default: /* what is found is a word, and the rest is left out */
        step->behavior = REMOVED;
        step->invert = step->kind == WHITESPACE;
        return WE_OK;
    }
}

we_status we_pre_tokenizer_read(struct we_parts_reader *reader, const struct we_json *json, struct we_pre_tokenizer **out)
{
    *out = NULL;
    if (json == NULL || json->kind == WE_JSON_NULL)
        return WE_OK;
    struct we_pre_tokenizer *pre = we_arena_alloc(reader->arena, sizeof *pre);
    if (pre == NULL)
        return we_error_memory(reader->error, "the tokenizer");
    pre->end = &pre->first;
    *out = pre;
    return we_parts_each(reader, json, "pre_tokenizer", "pretokenizers", read_step, pre);
}

void we_pre_tokenizer_free(struct we_pre_tokenizer *pre)
{
    for (struct step *step = pre ? pre->first : NULL; step; step = step->next)
        we_regex_free(step->regex);
}

bool we_pre_tokenizer_is_byte_level(const struct we_pre_tokenizer *pre)
{
    return pre && pre->last && pre->last->kind == BYTE_LEVEL;
}

/* ---- cutting one piece ---- */

/* Takes the segments of a piece, matches and what stands between them, from left to right, and makes pieces of them as
 * the behavior says. Segments follow each other without gaps. */
struct cutter {
    struct we_pieces *out;
    size_t base;               /* of the piece in the text */
    size_t zero;               /* of the piece */
    enum behavior behavior;
    bool invert;
    bool held, before;         /* a piece is held back: from..to; whether the segment before was a match */
    size_t from, to;
    bool failed;
};

static void put_piece(struct cutter *c, size_t from, size_t to)
{
    if (!we_pieces_add(c->out, c->base + from, to - from, c->zero > from ? c->zero - from : 0, WE_NO_ID))
        c->failed = true;
}

static void flush(struct cutter *c)
{
    if (c->held)
        put_piece(c, c->from, c->to);
    c->held = false;
}

static void hold(struct cutter *c, size_t from, size_t to)
{
    flush(c);
    c->held = true;
    c->from = from;
    c->to = to;
}

static void put_segment(struct cutter *c, size_t from, size_t to, bool match)
{
    match = match != c->invert;
    bool joins = false; /* what is held back */
    switch (c->behavior) {
    case REMOVED:
        if (!match)
            put_piece(c, from, to);
        return;
    case ISOLATED:
        put_piece(c, from, to);
        return;
    case CONTIGUOUS:
        joins = match == c->before;
        break;
    case MERGED_WITH_PREVIOUS:
        joins = match && !c->before;
        break;
    case MERGED_WITH_NEXT:
        joins = !match && c->before;
        break;
    }
    if (joins && c->held)
        c->to = to;
    else
        hold(c, from, to);
    c->before = match;
}

static we_status cut_by_regex(struct cutter *c, const struct step *step, struct we_regex_state *regex, struct we_str text,
                              struct we_error *error)
{
    struct we_regex_scan scan;
    we_regex_scan_begin(&scan, step->regex, regex, text);
    size_t last = 0, start, end;
    for (bool found = true; found && !c->failed;) {
        we_status status = we_regex_scan_next(&scan, &found, &start, &end, error);
        if (status != WE_OK)
            return status;
        if (found) {
            if (last != start)
                put_segment(c, last, start, false);
            put_segment(c, start, end, true);
            last = end;
        }
    }
    if (last != text.length)
        put_segment(c, last, text.length, false);
    return WE_OK;
}

static void cut_by_literal(struct cutter *c, struct we_str literal, struct we_str text)
{
    size_t last = 0;
    for (size_t at; !c->failed && (at = we_str_find(text, literal, last)) != SIZE_MAX; last = at + literal.length) {
        if (last != at)
            put_segment(c, last, at, false);
        put_segment(c, at, at + literal.length, true);
    }
    if (last != text.length)
        put_segment(c, last, text.length, false);
}

/* Every character of the kind is a match of its own. */
static void cut_by_character(struct cutter *c, bool (*is)(uint32_t), struct we_str text)
{
    size_t last = 0;
    for (size_t i = 0; i < text.length && !c->failed;) {
        size_t at = i;
        if (!is(we_unicode_next(text, &i)))
            continue;
        if (last != at)
            put_segment(c, last, at, false);
        put_segment(c, at, i, true);
        last = i;
    }
    if (last != text.length)
        put_segment(c, last, text.length, false);
}

/* \w+|[^\w\s]+ */
static void cut_by_words(struct cutter *c, struct we_str text)
{
    size_t last = 0;
    for (size_t i = 0; i < text.length && !c->failed;) {
        size_t at = i;
        uint32_t first = we_unicode_next(text, &i);
        bool word = we_unicode_is_word(first);
        if (!word && we_unicode_is_space(first))
            continue;
        while (i < text.length) {
            size_t next = i;
            uint32_t k = we_unicode_next(text, &next);
            if (we_unicode_is_word(k) != word || (!word && we_unicode_is_space(k)))
                break;
            i = next;
        }
        if (last != at)
            put_segment(c, last, at, false);
        put_segment(c, at, i, true);
        last = i;
    }
    if (last != text.length)
        put_segment(c, last, text.length, false);
}

static void cut_by_length(struct cutter *c, size_t length, struct we_str text)
{
    size_t last = 0, count = 0;
    for (size_t i = 0; i < text.length && !c->failed;) {
        i += we_unicode_length((unsigned char)text.data[i]);
        if (++count == length || i == text.length) {
            put_piece(c, last, i);
            last = i;
            count = 0;
        }
    }
}

static we_status cut_piece(const struct step *step, struct we_regex_state *regex, struct we_pieces *out, struct we_str text,
                           size_t base, size_t zero, struct we_error *error)
{
    struct cutter c = {.out = out, .base = base, .zero = zero, .behavior = step->behavior, .invert = step->invert};
    we_status status = WE_OK;
    if (text.length == 0)
        return WE_OK;
    switch (step->kind) {
    case SPLIT:
    case BYTE_LEVEL:
        if (step->regex)
            status = cut_by_regex(&c, step, regex, text, error);
        else if (step->kind == SPLIT)
            cut_by_literal(&c, step->literal, text);
        else
            put_piece(&c, 0, text.length);
        break;
    case METASPACE:
        if (step->split)
            cut_by_literal(&c, step->literal, text);
        else
            put_piece(&c, 0, text.length);
        break;
    case DIGITS:
        cut_by_character(&c, we_unicode_is_numeric, text);
        break;
    case PUNCTUATION:
        cut_by_character(&c, we_unicode_is_punctuation, text);
        break;
    case WHITESPACE_SPLIT:
        cut_by_character(&c, we_unicode_is_space, text);
        break;
    case WHITESPACE:
        cut_by_words(&c, text);
        break;
    case FIXED_LENGTH:
        cut_by_length(&c, step->length, text);
        break;
    case BERT: /* never a step, nor the next */
    case DELIMITER:
        break;
    }
    flush(&c);
    return status == WE_OK && c.failed ? we_error_memory(error, "the pieces of a text") : status;
}

/* ---- steps ---- */

/* Appends the piece with spaces replaced and perhaps one before; *zero changes with it. */
static void put_metaspace(const struct step *step, struct we_str text, size_t *zero, struct we_buf *out)
{
    size_t start = out->length, old_zero = *zero;
    struct we_str mark = step->literal;
    bool marked = text.data[0] == ' ' || we_str_starts_with(text, mark);
    *zero = 0;
    if (!marked && (step->scheme == ALWAYS || (step->scheme == FIRST && old_zero > 0)))
        we_buf_append(out, mark);
    for (size_t i = 0; i < text.length;) {
        const char *space = memchr(text.data + i, ' ', text.length - i);
        size_t end = space ? (size_t)(space - text.data) : text.length;
        if (i < old_zero)
            *zero = out->length - start + (end < old_zero ? end : old_zero) - i;
        we_buf_append(out, we_str(text.data + i, end - i));
        i = end;
        if (space) {
            we_buf_append(out, mark);
            i++;
            if (i <= old_zero)
                *zero = out->length - start;
        }
    }
}

/* Pieces in a text of its own, changed as Metaspace and ByteLevel's prefix do; the changed text goes to `out`. */
static void change_text(const struct step *step, struct we_str text, size_t *zero, struct we_buf *out)
{
    if (step->kind == METASPACE) {
        put_metaspace(step, text, zero, out);
        return;
    }
    if (text.data[0] != ' ') {
        we_buf_append_byte(out, ' ');
        *zero += *zero > 0;
    }
    we_buf_append(out, text);
}

static we_status apply_step(const struct step *step, struct we_regex_state *regex, struct we_pieces *in, struct we_pieces *out,
                            struct we_error *error)
{
    bool changes = step->kind == METASPACE || (step->kind == BYTE_LEVEL && step->add_prefix_space);
    out->buffer.limit = WE_MAX_TEXT;
    for (size_t i = 0; i < in->count; i++) {
        const struct we_piece *piece = &in->data[i];
        struct we_str text = we_str(in->text.data + piece->start, piece->length);
        size_t base = piece->start, zero = piece->zero;
        if (piece->id != WE_NO_ID) {
            if (!we_pieces_add(out, piece->start, piece->length, zero, piece->id))
                return we_error_memory(error, "the pieces of a text");
            continue;
        }
        if (changes) {
            base = out->buffer.length;
            change_text(step, text, &zero, &out->buffer);
            if (out->buffer.failed)
                return we_error_memory(error, "the pieces of a text");
            text = we_str(out->buffer.data + base, out->buffer.length - base);
        }
        we_status status = cut_piece(step, regex, out, text, base, zero, error);
        if (status != WE_OK)
            return status;
    }
    if (changes) {
        out->text = we_buf_str(&out->buffer);
    } else { /* the text goes over with its owner */
        we_buf_free(&out->buffer);
        out->buffer = in->buffer;
        out->text = in->text;
        in->buffer = (struct we_buf){0};
    }
    return WE_OK;
}

/* Writes the text as its byte-level characters, for steps that come after ByteLevel. */
static we_status spell_bytes(struct we_pieces *pieces, struct we_error *error)
{
    struct we_buf text = {.limit = WE_MAX_TEXT};
    for (size_t i = 0; i < pieces->count; i++) {
        struct we_piece *piece = &pieces->data[i];
        if (piece->id != WE_NO_ID)
            continue;
        size_t start = text.length, zero = piece->zero;
        const char *from = pieces->text.data + piece->start;
        we_byte_level_append(&text, we_str(from, zero));
        zero = text.length - start;
        we_byte_level_append(&text, we_str(from + piece->zero, piece->length - piece->zero));
        *piece = (struct we_piece){(uint32_t)start, (uint32_t)(text.length - start), (uint32_t)zero, WE_NO_ID};
    }
    if (text.failed) {
        we_buf_free(&text);
        return we_error_memory(error, "the pieces of a text");
    }
    we_buf_free(&pieces->buffer);
    pieces->buffer = text;
    pieces->text = we_buf_str(&text);
    return WE_OK;
}

we_status we_pre_tokenizer_apply(const struct we_pre_tokenizer *pre, struct we_regex_state *regex, bool spell,
                                 struct we_pieces *pieces, struct we_error *error)
{
    we_status status = WE_OK;
    for (const struct step *step = pre ? pre->first : NULL; step && status == WE_OK; step = step->next) {
        struct we_pieces out = {0};
        status = apply_step(step, regex, pieces, &out, error);
        we_pieces_free(pieces);
        *pieces = out;
        if (status == WE_OK && step->kind == BYTE_LEVEL) {
            pieces->byte_level = step->next == NULL && !spell;
            if (!pieces->byte_level)
                status = spell_bytes(pieces, error);
        }
    }
    return status;
}
