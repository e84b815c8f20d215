/* What the tokenizer asks of a character, answered as the `tokenizers` package does. */
#ifndef WE_TEXT_UNICODE_H
#define WE_TEXT_UNICODE_H

#include "base/buf.h"

#include <utf8proc.h>

utf8proc_category_t we_unicode_category(uint32_t c); /* of Unicode 16 */
bool we_unicode_is_space(uint32_t c);                /* White_Space */
bool we_unicode_is_word(uint32_t c);                 /* \w of UTS 18 */
bool we_unicode_is_numeric(uint32_t c);
bool we_unicode_is_punctuation(uint32_t c);
bool we_unicode_is_mark(uint32_t c);
bool we_unicode_is_nonspacing(uint32_t c); /* marks that BertNormalizer takes for accents */
bool we_unicode_is_other(uint32_t c);      /* controls, formats and private characters */
/* Lower case, without regard to what stands around: 1 or 2 characters. */
size_t we_unicode_lower(uint32_t c, uint32_t lower[2]);

/* Calls `visit` with each range of characters that a library with the data of Unicode 14 does not know. */
typedef bool we_unicode_visit(void *context, uint32_t first, uint32_t last, utf8proc_category_t category);
bool we_unicode_each_added(we_unicode_visit *visit, void *context);

enum we_unicode_form { WE_NFC, WE_NFD, WE_NFKC, WE_NFKD };

/* Appends the normalised form of valid UTF-8; linear in its length. False: memory is out. */
bool we_unicode_normalize(enum we_unicode_form form, struct we_str text, struct we_buf *out);

/* Where the grapheme cluster ends that begins at `at` in valid UTF-8; exact where it is not over five bytes long, of which
 * longer ones may be given as several of one character each. (graphemes.c) */
size_t we_unicode_grapheme_end(struct we_str text, size_t at);

/* Appends text with every byte sequence that is no UTF-8 replaced by U+FFFD: one for each longest prefix of a
 * character, as Python's errors='replace' and Unicode's chapter 3.9 do. */
bool we_unicode_repair(struct we_str text, struct we_buf *out);

/* The next character of valid UTF-8; moves *at past it. */
static inline uint32_t we_unicode_next(struct we_str s, size_t *at)
{
    const unsigned char *p = (const unsigned char *)s.data + *at;
    if (p[0] < 0x80) {
        *at += 1;
        return p[0];
    }
    if (p[0] < 0xE0) {
        *at += 2;
        return (uint32_t)(p[0] & 0x1F) << 6 | (p[1] & 0x3F);
    }
    if (p[0] < 0xF0) {
        *at += 3;
        return (uint32_t)(p[0] & 0x0F) << 12 | (uint32_t)(p[1] & 0x3F) << 6 | (p[2] & 0x3F);
    }
    *at += 4;
    return (uint32_t)(p[0] & 0x07) << 18 | (uint32_t)(p[1] & 0x3F) << 12 | (uint32_t)(p[2] & 0x3F) << 6 | (p[3] & 0x3F);
}

/* Bytes of the character that begins with `lead`, in valid UTF-8. */
static inline size_t we_unicode_length(unsigned char lead)
{
    return lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

#endif
