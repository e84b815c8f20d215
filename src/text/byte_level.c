/* The byte-level alphabet of GPT-2: a visible character for each byte. Printable Latin-1 stands for itself, the other
 * bytes for the characters from U+0100 on, in their order. */
#include "text/tokenizer_parts.h"
#include "text/unicode.h"

/* Bytes 0x00-0x20 are U+0100-0x120, 0x7F-0xA0 are U+0121-0x142, 0xAD is U+0143. */
#define SELF(b) ((b) >= 0x21 && (b) <= 0x7E) || ((b) >= 0xA1 && (b) != 0xAD)
#define CHARACTER(b) (uint16_t)(SELF(b) ? (b) : (b) <= 0x20 ? 0x100 + (b) : (b) <= 0xA0 ? 0x121 + (b)-0x7F : 0x143)
#define ROW(b) CHARACTER((b)), CHARACTER((b) + 1), CHARACTER((b) + 2), CHARACTER((b) + 3), CHARACTER((b) + 4), \
    CHARACTER((b) + 5), CHARACTER((b) + 6), CHARACTER((b) + 7)
#define ROWS(b) ROW(b), ROW((b) + 8), ROW((b) + 16), ROW((b) + 24)

const uint16_t we_byte_characters[256] = {ROWS(0), ROWS(32), ROWS(64), ROWS(96), ROWS(128), ROWS(160), ROWS(192), ROWS(224)};

int we_byte_of_character(uint32_t c)
{
    if (c < 0x100)
        return SELF(c) ? (int)c : -1;
    return c <= 0x120 ? (int)(c - 0x100) : c <= 0x142 ? (int)(c - 0x121 + 0x7F) : c == 0x143 ? 0xAD : -1;
}

bool we_byte_level_append(struct we_buf *out, struct we_str bytes)
{
    if (bytes.length > SIZE_MAX / 2 || !we_buf_reserve(out, 2 * bytes.length))
        return false;
    for (size_t i = 0; i < bytes.length; i++) {
        uint32_t c = we_byte_characters[(unsigned char)bytes.data[i]];
        if (c >= 0x80) {
            out->data[out->length++] = (char)(0xC0 | c >> 6);
            c = 0x80 | (c & 0x3F);
        }
        out->data[out->length++] = (char)c;
    }
    out->data[out->length] = '\0';
    return true;
}

bool we_byte_level_decode(struct we_str token, struct we_buf *out)
{
    size_t start = out->length;
    for (size_t i = 0; i < token.length;) {
        int byte = we_byte_of_character(we_unicode_next(token, &i));
        if (byte < 0) {
            out->length = start;
            return false;
        }
        we_buf_append_byte(out, (char)byte);
    }
    return true;
}
