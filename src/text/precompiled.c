/* The normalizer Precompiled: SentencePiece's map of characters. It is a trie of byte strings (a double array) and the
 * texts that they become, one behind the other with a NUL after each. Of a grapheme cluster of up to five bytes that begins
 * with a string of the map, the whole becomes the text of the shortest one; else each of its characters is looked up. */
#include "text/tokenizer_parts.h"
#include "text/unicode.h"

enum { SHORT_GRAPHEME = 5 /* bytes */ };

struct we_charsmap {
    const unsigned char *units; /* (unit_count), 32 bits each, little-endian */
    size_t unit_count;
    struct we_str texts; /* ends with a NUL */
};

/* ---- reading ---- */

static int base64_value(unsigned char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    return c >= '0' && c <= '9' ? c - '0' + 52 : c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* False: the text is no base64. */
static bool decode_base64(struct we_str text, unsigned char *out, size_t *length)
{
    unsigned bits = 0, count = 0;
    *length = 0;
    if (text.length % 4)
        return false;
    for (size_t i = 0; i < text.length; i++) {
        int value = base64_value((unsigned char)text.data[i]);
        if (value < 0) /* only the end may be padded, by one or two */
            return text.data[i] == '=' && i + 2 >= text.length && text.data[text.length - 1] == '=';
        bits = bits << 6 | (unsigned)value;
        count += 6;
        if (count >= 8) {
            count -= 8;
            out[(*length)++] = (unsigned char)(bits >> count);
        }
    }
    return true;
}

static uint32_t unit_at(const struct we_charsmap *map, size_t i)
{
    const unsigned char *p = map->units + 4 * i;
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

we_status we_charsmap_read(struct we_parts_reader *reader, const struct we_json *object, const struct we_charsmap **out)
{
    const char *where = "normalizer Precompiled";
    struct we_str text;
    we_status status = we_parts_string(reader, object, where, "precompiled_charsmap", &text);
    if (status != WE_OK)
        return status;
    struct we_charsmap *map = we_arena_alloc(reader->arena, sizeof *map);
    unsigned char *bytes = we_arena_alloc(reader->arena, text.length / 4 * 3 + 4);
    if (map == NULL || bytes == NULL)
        return we_error_memory(reader->error, "the tokenizer");
    size_t length;
    if (!decode_base64(text, bytes, &length))
        return we_parts_fail(reader, WE_INVALID_FORMAT, where, "\"precompiled_charsmap\" is no base64");
    map->units = bytes;
    size_t size = length >= 4 ? unit_at(map, 0) : SIZE_MAX;
    if (length < 4 || size > length - 4 || size < 4)
        return we_parts_fail(reader, WE_INVALID_FORMAT, where, "\"precompiled_charsmap\" is shorter than it says");
    map->units = bytes + 4;
    map->unit_count = size / 4;
    bytes[length] = 0; /* where a text may lack its NUL */
    map->texts = we_str((const char *)bytes + 4 + size, length - 4 - size + 1);
    if (we_utf8_valid_prefix(map->texts) != map->texts.length)
        return we_parts_fail(reader, WE_INVALID_FORMAT, where, "\"precompiled_charsmap\" has texts that are no UTF-8");
    *out = map;
    return WE_OK;
}

/* ---- looking up ---- */

static size_t offset_of(uint32_t unit)
{
    return (size_t)(unit >> 10) << ((unit & 1u << 9) >> 6);
}

/* What a text becomes that begins with a string of the map; false if it begins with none. */
static bool look_up(const struct we_charsmap *map, struct we_str text, struct we_str *becomes)
{
    size_t at = offset_of(unit_at(map, 0));
    for (size_t i = 0; i < text.length && text.data[i]; i++) {
        at ^= (unsigned char)text.data[i];
        if (at >= map->unit_count)
            return false;
        uint32_t unit = unit_at(map, at);
        if ((unit & 0x800000FFu) != (unsigned char)text.data[i])
            return false;
        at ^= offset_of(unit);
        if (unit >> 8 & 1) {
            size_t start = at < map->unit_count ? unit_at(map, at) & 0x7FFFFFFFu : SIZE_MAX;
            if (start >= map->texts.length || ((unsigned char)map->texts.data[start] & 0xC0) == 0x80)
                return false;
            *becomes = we_str_c(map->texts.data + start);
            return true;
        }
    }
    return false;
}

/* ---- the step ---- */

/* What was written and which characters of the text it stands for, counted as the package does: a new text stands for as many
 * characters as the old one had, and where it is longer, its last characters stand for none. */
struct writing {
    struct we_buf *out;
    uint32_t last; /* the character that is not written yet, as what follows may change what it stands for */
    bool has_last;
    ptrdiff_t extra; /* of it: 1 if it stands for none, else minus the characters beyond one */
    size_t taken;    /* characters of the text that stand behind what was written */
    size_t first;    /* how many characters are the first of the input */
    size_t zero;     /* bytes written that come from these */
    bool modified;
};

static void flush(struct writing *w)
{
    if (!w->has_last)
        return;
    size_t stands = w->extra > 0 ? (w->taken ? w->taken - 1 : 0) : w->taken, before = w->out->length;
    we_buf_append_utf8(w->out, w->last);
    if (stands < w->first)
        w->zero += w->out->length - before;
    w->taken += (size_t)(1 - w->extra);
    w->has_last = false;
}

static void put(struct writing *w, uint32_t c, ptrdiff_t extra)
{
    flush(w);
    w->last = c;
    w->extra = extra;
    w->has_last = true;
}

static size_t count_characters(struct we_str text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.length; i++)
        n += ((unsigned char)text.data[i] & 0xC0) != 0x80;
    return n;
}

static bool put_mapped(struct writing *w, const struct we_charsmap *map, struct we_str old)
{
    struct we_str text;
    if (!look_up(map, old, &text))
        return false;
    ptrdiff_t old_count = (ptrdiff_t)count_characters(old), new_count = (ptrdiff_t)count_characters(text), n = 0;
    for (size_t i = 0; i < text.length; n++)
        put(w, we_unicode_next(text, &i), n >= old_count ? 1 : 0);
    if (new_count < old_count && w->has_last)
        w->extra += new_count - old_count;
    w->modified = true;
    return true;
}

bool we_charsmap_apply(const struct we_charsmap *map, struct we_str text, size_t *zero, struct we_buf *out)
{
    struct writing w = {.out = out, .first = count_characters(we_str(text.data, *zero))};
    size_t start = out->length;
    for (size_t at = 0; at < text.length && !out->failed;) {
        size_t end = we_unicode_grapheme_end(text, at);
        if (end - at > SHORT_GRAPHEME || !put_mapped(&w, map, we_str(text.data + at, end - at))) {
            for (size_t i = at; i < end;) {
                size_t next = i;
                uint32_t c = we_unicode_next(text, &next);
                if (!put_mapped(&w, map, we_str(text.data + i, next - i)))
                    put(&w, c, 0);
                i = next;
            }
        }
        at = end;
    }
    flush(&w);
    if (w.modified)
        *zero = w.zero;
    *zero = *zero < out->length - start ? *zero : out->length - start;
    return !out->failed;
}
