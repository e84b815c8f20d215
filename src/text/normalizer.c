#include "text/tokenizer_parts.h"
#include "text/unicode.h"

#include <stdlib.h>

enum step_kind { FORM, LOWERCASE, STRIP, STRIP_ACCENTS, REPLACE, PREPEND, BYTE_LEVEL };

struct step {
    enum step_kind kind;
    struct step *next;
    enum we_unicode_form form;
    bool left, right;           /* STRIP */
    struct we_str text;         /* REPLACE: the new text; PREPEND */
    struct we_str literal;      /* REPLACE: what is replaced, */
    struct we_regex *regex;     /* or, if not NULL, by this */
};

struct we_normalizer {
    struct step *first, **end;
};

/* ---- reading ---- */

static we_status read_replace(struct we_parts_reader *reader, const struct we_json *object, struct step *step)
{
    we_status status = we_parts_string(reader, object, "normalizer Replace", "content", &step->text);
    if (status == WE_OK)
        status = we_parts_pattern(reader, object, "normalizer Replace", &step->literal, &step->regex);
    return status;
}

static we_status read_strip(struct we_parts_reader *reader, const struct we_json *object, struct step *step)
{
    we_status status = we_parts_bool(reader, object, "normalizer Strip", "strip_left", true, &step->left);
    return status == WE_OK ? we_parts_bool(reader, object, "normalizer Strip", "strip_right", true, &step->right) : status;
}

static we_status read_step(struct we_parts_reader *reader, const struct we_json *object, struct we_str type, void *part)
{
    static const struct {
        const char *type;
        enum step_kind kind;
        enum we_unicode_form form;
    } kinds[] = {
        {"NFC", FORM, WE_NFC},         {"NFD", FORM, WE_NFD},   {"NFKC", FORM, WE_NFKC}, {"NFKD", FORM, WE_NFKD},
        {"Lowercase", LOWERCASE, 0},   {"Strip", STRIP, 0},     {"StripAccents", STRIP_ACCENTS, 0},
        {"Replace", REPLACE, 0},       {"Prepend", PREPEND, 0}, {"ByteLevel", BYTE_LEVEL, 0},
    };
    struct we_normalizer *normalizer = part;
    size_t k = 0;
    while (k < sizeof kinds / sizeof kinds[0] && !we_str_equal_c(type, kinds[k].type))
        k++;
    if (k == sizeof kinds / sizeof kinds[0])
        return we_parts_unknown(reader, "normalizer", type);
    struct step *step = we_arena_alloc(reader->arena, sizeof *step);
    if (step == NULL)
        return we_error_memory(reader->error, "the tokenizer");
    step->kind = kinds[k].kind;
    step->form = kinds[k].form;
    *normalizer->end = step;
    normalizer->end = &step->next;
    switch (step->kind) {
    case STRIP:
        return read_strip(reader, object, step);
    case REPLACE:
        return read_replace(reader, object, step);
    case PREPEND:
        return we_parts_string(reader, object, "normalizer Prepend", "prepend", &step->text);
    default:
        return WE_OK;
    }
}

we_status we_normalizer_read(struct we_parts_reader *reader, const struct we_json *json, struct we_normalizer **out)
{
    *out = NULL;
    if (json == NULL || json->kind == WE_JSON_NULL)
        return WE_OK;
    struct we_normalizer *normalizer = we_arena_alloc(reader->arena, sizeof *normalizer);
    if (normalizer == NULL)
        return we_error_memory(reader->error, "the tokenizer");
    normalizer->end = &normalizer->first;
    *out = normalizer;
    return we_parts_each(reader, json, "normalizer", "normalizers", read_step, normalizer);
}

void we_normalizer_free(struct we_normalizer *normalizer)
{
    for (struct step *step = normalizer ? normalizer->first : NULL; step; step = step->next)
        we_regex_free(step->regex);
}

/* ---- the steps ---- */

/* Rounds an offset in `text` up to the end of a character. */
static size_t whole_characters(struct we_str text, size_t at)
{
    while (at < text.length && ((unsigned char)text.data[at] & 0xC0) == 0x80)
        at++;
    return at < text.length ? at : text.length;
}

static bool apply_form(const struct step *step, struct we_str text, size_t *zero, struct we_buf *out)
{
    size_t start = out->length;
    if (!we_unicode_normalize(step->form, text, out))
        return false;
    if (*zero) {
        struct we_buf head = {0};
        bool ok = we_unicode_normalize(step->form, we_str(text.data, *zero), &head);
        *zero = whole_characters(we_str(out->data + start, out->length - start), head.length);
        we_buf_free(&head);
        return ok;
    }
    return true;
}

static void apply_lowercase(struct we_str text, size_t *zero, struct we_buf *out)
{
    size_t start = out->length, old_zero = *zero;
    for (size_t i = 0; i < text.length;) {
        uint32_t lower[2];
        size_t n = we_unicode_lower(we_unicode_next(text, &i), lower);
        for (size_t k = 0; k < n; k++)
            we_buf_append_utf8(out, lower[k]);
        if (i == old_zero)
            *zero = out->length - start;
    }
}

static void apply_strip(const struct step *step, struct we_str text, size_t *zero, struct we_buf *out)
{
    size_t start = 0, end = text.length;
    while (step->left && start < end) {
        size_t next = start;
        if (!we_unicode_is_space(we_unicode_next(text, &next)))
            break;
        start = next;
    }
    while (step->right && end > start) {
        size_t at = end - 1;
        while (((unsigned char)text.data[at] & 0xC0) == 0x80)
            at--;
        size_t next = at;
        if (!we_unicode_is_space(we_unicode_next(text, &next)))
            break;
        end = at;
    }
    *zero = *zero > start ? *zero - start : 0;
    *zero = *zero < end - start ? *zero : end - start;
    we_buf_append(out, we_str(text.data + start, end - start));
}

static void apply_strip_accents(struct we_str text, size_t *zero, struct we_buf *out)
{
    size_t start = out->length, old_zero = *zero;
    for (size_t i = 0; i < text.length;) {
        size_t at = i;
        if (!we_unicode_is_mark(we_unicode_next(text, &i)))
            we_buf_append(out, we_str(text.data + at, i - at));
        if (i == old_zero)
            *zero = out->length - start;
    }
}

/* Copies text up to `to`, and keeps account of what comes from the first character. */
static void copy_between(struct we_str text, size_t from, size_t to, size_t old_zero, size_t *zero, struct we_buf *out)
{
    we_buf_append(out, we_str(text.data + from, to - from));
    if (from < old_zero)
        *zero += (to < old_zero ? to : old_zero) - from;
}

static we_status apply_replace(const struct step *step, struct we_regex_state *regex, struct we_str text, size_t *zero,
                               struct we_buf *out, struct we_error *error)
{
    size_t last = 0, old_zero = *zero, start = 0, end = 0;
    struct we_regex_scan scan;
    if (step->regex)
        we_regex_scan_begin(&scan, step->regex, regex, text);
    *zero = 0;
    while (!out->failed && text.length) {
        bool found;
        if (step->regex) {
            we_status status = we_regex_scan_next(&scan, &found, &start, &end, error);
            if (status != WE_OK)
                return status;
        } else {
            start = we_str_find(text, step->literal, last);
            found = start != SIZE_MAX;
            end = start + step->literal.length;
        }
        if (!found)
            break;
        copy_between(text, last, start, old_zero, zero, out);
        we_buf_append(out, step->text);
        if (end <= old_zero) /* the new text stands where the last character of the old one did */
            *zero += step->text.length;
        last = end;
    }
    copy_between(text, last, text.length, old_zero, zero, out);
    return WE_OK;
}

static we_status apply_step(const struct step *step, struct we_regex_state *regex, struct we_str text, size_t *zero,
                            struct we_buf *out, struct we_error *error)
{
    switch (step->kind) {
    case FORM:
        if (!apply_form(step, text, zero, out))
            out->failed = true;
        break;
    case LOWERCASE:
        apply_lowercase(text, zero, out);
        break;
    case STRIP:
        apply_strip(step, text, zero, out);
        break;
    case STRIP_ACCENTS:
        apply_strip_accents(text, zero, out);
        break;
    case REPLACE:
        return apply_replace(step, regex, text, zero, out, error);
    case PREPEND:
        if (text.length) {
            we_buf_append(out, step->text);
            *zero += *zero ? step->text.length : 0;
        }
        we_buf_append(out, text);
        break;
    case BYTE_LEVEL: {
        size_t start = out->length, head = *zero;
        we_byte_level_append(out, we_str(text.data, head));
        *zero = out->length - start;
        we_byte_level_append(out, we_str(text.data + head, text.length - head));
        break;
    }
    }
    return WE_OK;
}

we_status we_normalizer_apply(const struct we_normalizer *normalizer, struct we_normalizer_work *work, struct we_str text,
                              size_t *zero, struct we_buf *out, struct we_error *error)
{
    if (normalizer == NULL || normalizer->first == NULL)
        return we_buf_append(out, text) ? WE_OK : we_error_memory(error, "a normalised text");
    size_t turn = 0;
    for (const struct step *step = normalizer->first; step; step = step->next, turn ^= 1) {
        struct we_buf *to = step->next ? &work->buffers[turn] : out;
        if (step->next)
            we_buf_clear(to);
        we_status status = apply_step(step, work->regex, text, zero, to, error);
        if (status != WE_OK)
            return status;
        if (to->failed)
            return we_error_memory(error, "a normalised text");
        text = we_buf_str(to);
    }
    return WE_OK;
}
