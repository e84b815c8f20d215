#include "text/tokenizer_parts.h"
#include "text/unicode.h"

#include <stdlib.h>

enum step_kind {
    FORM,
    LOWERCASE,
    STRIP,
    STRIP_ACCENTS,
    REPLACE,
    PREPEND,
    BYTE_LEVEL,
    NMT,
    PRECOMPILED,
    BERT,
    CLEAN,
    SPACE_HAN,
    STRIP_NONSPACING /* the last three are the parts of BertNormalizer */
};

struct step {
    enum step_kind kind;
    struct step *next;
    enum we_unicode_form form;
    bool left, right;           /* STRIP */
    struct we_str text;         /* REPLACE: the new text; PREPEND */
    struct we_str literal;      /* REPLACE: what is replaced, */
    struct we_regex *regex;     /* or, if not NULL, by this */
    const struct we_charsmap *map; /* PRECOMPILED */
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

static struct step *add_step(struct we_parts_reader *reader, struct we_normalizer *normalizer, enum step_kind kind)
{
    struct step *step = we_arena_alloc(reader->arena, sizeof *step);
    if (step == NULL) {
        we_error_memory(reader->error, "the tokenizer");
        return NULL;
    }
    step->kind = kind;
    *normalizer->end = step;
    normalizer->end = &step->next;
    return step;
}

/* It is a sequence of others, each of which may be off. */
static we_status read_bert(struct we_parts_reader *reader, const struct we_json *object, struct we_normalizer *normalizer)
{
    const char *where = "normalizer BertNormalizer";
    bool clean = true, han = true, lower = true;
    we_status status = we_parts_bool(reader, object, where, "clean_text", true, &clean);
    if (status == WE_OK)
        status = we_parts_bool(reader, object, where, "handle_chinese_chars", true, &han);
    if (status == WE_OK)
        status = we_parts_bool(reader, object, where, "lowercase", true, &lower);
    bool accents = lower; /* unless it is said */
    if (status == WE_OK)
        status = we_parts_bool(reader, object, where, "strip_accents", false, &accents);
    if (status != WE_OK)
        return status;
    struct step *form = NULL;
    if ((clean && !add_step(reader, normalizer, CLEAN)) || (han && !add_step(reader, normalizer, SPACE_HAN)) ||
        (accents && !((form = add_step(reader, normalizer, FORM)) && add_step(reader, normalizer, STRIP_NONSPACING))) ||
        (lower && !add_step(reader, normalizer, LOWERCASE)))
        return WE_OUT_OF_MEMORY;
    if (form)
        form->form = WE_NFD;
    return WE_OK;
}

static we_status read_step(struct we_parts_reader *reader, const struct we_json *object, struct we_str type, void *part)
{
    static const struct {
        const char *type;
        enum step_kind kind;
        enum we_unicode_form form;
    } kinds[] = {
        {"NFC", FORM, WE_NFC},
        {"NFD", FORM, WE_NFD},
        {"NFKC", FORM, WE_NFKC},
        {"NFKD", FORM, WE_NFKD},
        {"Lowercase", LOWERCASE, 0},
        {"Strip", STRIP, 0},
        {"StripAccents", STRIP_ACCENTS, 0},
        {"Replace", REPLACE, 0},
        {"Prepend", PREPEND, 0},
        {"ByteLevel", BYTE_LEVEL, 0},
        {"BertNormalizer", BERT, 0},
        {"Nmt", NMT, 0},
        {"Precompiled", PRECOMPILED, 0},
    };
    struct we_normalizer *normalizer = part;
    size_t k = 0;
    while (k < sizeof kinds / sizeof kinds[0] && !we_str_equal_c(type, kinds[k].type))
        k++;
    if (k == sizeof kinds / sizeof kinds[0])
        return we_parts_unknown(reader, "normalizer", type);
    if (kinds[k].kind == BERT)
        return read_bert(reader, object, normalizer);
    struct step *step = add_step(reader, normalizer, kinds[k].kind);
    if (step == NULL)
        return WE_OUT_OF_MEMORY;
    step->form = kinds[k].form;
    switch (step->kind) {
    case STRIP:
        return read_strip(reader, object, step);
    case REPLACE:
        return read_replace(reader, object, step);
    case PREPEND:
        return we_parts_string(reader, object, "normalizer Prepend", "prepend", &step->text);
    case PRECOMPILED:
        return we_charsmap_read(reader, object, &step->map);
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

/* What a character becomes. */
#define NOTHING UINT32_MAX
static uint32_t without_marks(uint32_t c)
{
    return we_unicode_is_mark(c) ? NOTHING : c;
}

static uint32_t without_nonspacing(uint32_t c)
{
    return we_unicode_is_nonspacing(c) ? NOTHING : c;
}

static uint32_t clean(uint32_t c)
{
    if (we_unicode_is_space(c))
        return c != '\v' && c != '\f' && c != 0x85 ? ' ' : NOTHING;
    return c == 0xFFFD || we_unicode_is_other(c) ? NOTHING : c;
}

static uint32_t clean_nmt(uint32_t c)
{
    if ((c >= 1 && c <= 8) || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F)
        return NOTHING;
    return c == 9 || c == 0x0A || c == 0x0C || c == 0x0D || c == 0x1680 || (c >= 0x200B && c <= 0x200F) || c == 0x2028 ||
                   c == 0x2029 || c == 0x2581 || c == 0xFEFF || c == 0xFFFD
               ? ' '
               : c;
}

static void apply_map(uint32_t (*becomes)(uint32_t), struct we_str text, size_t *zero, struct we_buf *out)
{
    size_t start = out->length, old_zero = *zero;
    for (size_t i = 0; i < text.length;) {
        size_t at = i;
        uint32_t c = we_unicode_next(text, &i), new = becomes(c);
        if (new == c)
            we_buf_append(out, we_str(text.data + at, i - at));
        else if (new != NOTHING)
            we_buf_append_utf8(out, new);
        if (i == old_zero)
            *zero = out->length - start;
    }
}

static bool is_han(uint32_t c)
{
    return c >= 0x3400 &&
           (c <= 0x4DBF || (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x20000 && c <= 0x2A6DF) ||
            (c >= 0x2A700 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) || (c >= 0x2F800 && c <= 0x2FA1F));
}

/* A space on both sides of each ideograph. */
static void apply_space_han(struct we_str text, size_t *zero, struct we_buf *out)
{
    size_t start = out->length, old_zero = *zero;
    for (size_t i = 0; i < text.length;) {
        size_t at = i;
        bool han = is_han(we_unicode_next(text, &i));
        if (han)
            we_buf_append_byte(out, ' ');
        we_buf_append(out, we_str(text.data + at, i - at));
        if (han)
            we_buf_append_byte(out, ' ');
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
        apply_map(without_marks, text, zero, out);
        break;
    case STRIP_NONSPACING:
        apply_map(without_nonspacing, text, zero, out);
        break;
    case CLEAN:
        apply_map(clean, text, zero, out);
        break;
    case NMT:
        apply_map(clean_nmt, text, zero, out);
        break;
    case SPACE_HAN:
        apply_space_han(text, zero, out);
        break;
    case PRECOMPILED:
        we_charsmap_apply(step->map, text, zero, out);
        break;
    case BERT: /* never a step */
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
