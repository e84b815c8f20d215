/* Grapheme clusters (Unicode's annex 29), as far as the normalizer Precompiled tells them apart. */
#include "text/grapheme_tables.h"
#include "text/unicode.h"

static unsigned kind_of(uint32_t c)
{
    size_t low = 0, high = sizeof graphemes / sizeof graphemes[0];
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (c < graphemes[middle].first)
            high = middle;
        else if (c > graphemes[middle].last)
            low = middle + 1;
        else
            return graphemes[middle].kind;
    }
    return 0;
}

/* Hangul: leading, vowel, trailing, and syllables without and with a trailing one. */
enum hangul { NONE, L, V, T, LV, LVT };

static enum hangul hangul_of(uint32_t c)
{
    if (c < 0x1100 || c > 0xD7FB)
        return NONE;
    if (c >= 0xAC00 && c <= 0xD7A3)
        return (c - 0xAC00) % 28 ? LVT : LV;
    if (c <= 0x115F || (c >= 0xA960 && c <= 0xA97C))
        return L;
    if (c <= 0x11A7 || (c >= 0xD7B0 && c <= 0xD7C6))
        return c < 0x1200 || c >= 0xD7B0 ? V : NONE;
    return c <= 0x11FF || c >= 0xD7CB ? T : NONE;
}

static bool joins_hangul(uint32_t before, uint32_t c)
{
    enum hangul a = hangul_of(before), b = hangul_of(c);
    if (a == L)
        return b == L || b == V || b == LV || b == LVT;
    if (a == V || a == LV)
        return b == V || b == T;
    return (a == T || a == LVT) && b == T;
}

size_t we_unicode_grapheme_end(struct we_str text, size_t at)
{
    uint32_t before = we_unicode_next(text, &at);
    if (before < 0x80 && at < text.length && (unsigned char)text.data[at] < 0x80)
        return at + (before == '\r' && text.data[at] == '\n');
    unsigned kind = kind_of(before);
    bool picture = kind & PICTURE;                     /* and nothing but EXTENDS since */
    bool consonant = kind & CONSONANT, linked = false; /* and nothing but LINKER and PASSING since; one of them LINKER */
    while (at < text.length && !(kind & CONTROL)) {
        size_t next = at;
        uint32_t c = we_unicode_next(text, &next);
        unsigned k = kind_of(c);
        bool joins = k & EXTENDS || (kind & PREPENDS && !(k & CONTROL)) || (picture && before == 0x200D && k & PICTURE) ||
                     (linked && k & CONSONANT) || joins_hangul(before, c);
        if (!joins)
            break;
        picture = k & PICTURE || (picture && k & EXTENDS);
        linked = consonant && (k & LINKER || (linked && k & PASSING));
        consonant = k & CONSONANT || (consonant && k & (LINKER | PASSING));
        before = c;
        kind = k;
        at = next;
    }
    return at;
}
