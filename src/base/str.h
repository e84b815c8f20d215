/* Strings as {pointer, length}: not terminated, may hold NUL bytes, never owned. */
#ifndef WE_BASE_STR_H
#define WE_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct we_str {
    const char *data;
    size_t length;
};

/* For printf's "%.*s": WE_STR_ARG(s). Long strings are cut, since they end in messages. */
#define WE_STR_ARG(s) (int)((s).length > 200 ? 200 : (s).length), (s).data

static inline struct we_str we_str(const char *data, size_t length)
{
    return (struct we_str){data, length};
}

static inline struct we_str we_str_c(const char *text)
{
    return (struct we_str){text, text ? strlen(text) : 0};
}

static inline bool we_str_equal(struct we_str a, struct we_str b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

static inline bool we_str_equal_c(struct we_str a, const char *b)
{
    return we_str_equal(a, we_str_c(b));
}

static inline bool we_str_starts_with(struct we_str s, struct we_str prefix)
{
    return s.length >= prefix.length && (prefix.length == 0 || memcmp(s.data, prefix.data, prefix.length) == 0);
}

static inline bool we_str_ends_with(struct we_str s, struct we_str suffix)
{
    return s.length >= suffix.length &&
           (suffix.length == 0 || memcmp(s.data + s.length - suffix.length, suffix.data, suffix.length) == 0);
}

/* Byte offset of `needle` in `s` at or after `from`, or SIZE_MAX. An empty needle is found at once. */
size_t we_str_find(struct we_str s, struct we_str needle, size_t from);

/* -1, 0 or 1, by bytes. */
int we_str_compare(struct we_str a, struct we_str b);

/* 64-bit hash; the same on every machine. `seed` sets hash tables apart, so that no input can aim at collisions. */
uint64_t we_str_hash(struct we_str s, uint64_t seed);

/* Decodes one UTF-8 character at s[0]. Returns its length in bytes, 0 if s is empty or the bytes are no valid
 * UTF-8 (overlong forms and surrogates are invalid). */
size_t we_utf8_decode(struct we_str s, uint32_t *code_point);

/* Encodes a code point (at most 0x10FFFF); returns the number of bytes, 1 to 4. */
size_t we_utf8_encode(uint32_t code_point, char out[4]);

/* Length of the longest prefix of s that is valid UTF-8. */
size_t we_utf8_valid_prefix(struct we_str s);

/* Bytes at the end of s that begin a UTF-8 character which later bytes may complete: 0 to 3. */
size_t we_utf8_incomplete_suffix(struct we_str s);

/* "1.25 GB", "93.4 MB", "512 B": powers of 1000, three digits; for messages. Returns out. */
char *we_bytes_text(uint64_t bytes, char out[24]);

/* Number of edits (insert, delete, replace, swap neighbours) that turn a into b; for suggestions. Case is ignored.
 * Strings over 255 bytes give SIZE_MAX. */
size_t we_str_distance(struct we_str a, struct we_str b);

#endif
