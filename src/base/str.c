#include "base/str.h"

#include <ctype.h>
#include <stdio.h>

size_t we_str_find(struct we_str s, struct we_str needle, size_t from)
{
    if (from > s.length || needle.length > s.length - from)
        return SIZE_MAX;
    if (needle.length == 0)
        return from;
    const char *at = s.data + from, *end = s.data + s.length - needle.length + 1;
    while (at < end) {
        at = memchr(at, needle.data[0], (size_t)(end - at));
        if (at == NULL)
            return SIZE_MAX;
        if (memcmp(at, needle.data, needle.length) == 0)
            return (size_t)(at - s.data);
        at++;
    }
    return SIZE_MAX;
}

int we_str_compare(struct we_str a, struct we_str b)
{
    size_t n = a.length < b.length ? a.length : b.length;
    int order = n ? memcmp(a.data, b.data, n) : 0;
    if (order != 0)
        return order < 0 ? -1 : 1;
    return a.length == b.length ? 0 : a.length < b.length ? -1 : 1;
}

static uint64_t mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t load_le(const char *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v |= (uint64_t)(unsigned char)p[i] << (8 * i);
    return v;
}

/* Of 8 bytes; compilers make one instruction of what is written out. */
static uint64_t load8_le(const char *s)
{
    const unsigned char *p = (const unsigned char *)s;
    return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24 | (uint64_t)p[4] << 32 |
           (uint64_t)p[5] << 40 | (uint64_t)p[6] << 48 | (uint64_t)p[7] << 56;
}

uint64_t we_str_hash(struct we_str s, uint64_t seed)
{
    const uint64_t k0 = 0x9E3779B97F4A7C15u, k1 = 0xD6E8FEB86659FD93u;
    /* The text meets only values that the seed hides: a factor that it could make 0 would wipe out what came before. */
    const uint64_t hidden = mix(seed ^ k1, k0);
    uint64_t h = hidden ^ k0 ^ s.length;
    size_t i = 0;
    for (; i + 16 <= s.length; i += 16)
        h = mix(load8_le(s.data + i) ^ k0 ^ h, load8_le(s.data + i + 8) ^ k1 ^ hidden);
    if (i + 8 <= s.length) {
        h = mix(load8_le(s.data + i) ^ k0 ^ h, k1);
        i += 8;
    }
    if (i < s.length)
        h = mix(load_le(s.data + i, s.length - i) ^ k1 ^ h, k0);
    return mix(h, k1);
}

size_t we_utf8_decode(struct we_str s, uint32_t *code_point)
{
    if (s.length == 0)
        return 0;
    const unsigned char *p = (const unsigned char *)s.data;
    if (p[0] < 0x80) {
        *code_point = p[0];
        return 1;
    }
    size_t n = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
    if (p[0] < 0xC2 || p[0] > 0xF4 || s.length < n)
        return 0;
    uint32_t c = p[0] & (0xFFu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3F);
    }
    if ((n == 3 && (c < 0x800 || (c >= 0xD800 && c <= 0xDFFF))) || (n == 4 && (c < 0x10000 || c > 0x10FFFF)))
        return 0;
    *code_point = c;
    return n;
}

size_t we_utf8_encode(uint32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3F));
    out[2] = (char)(0x80 | (c >> 6 & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

size_t we_utf8_valid_prefix(struct we_str s)
{
    size_t i = 0;
    while (i < s.length) {
        uint32_t c;
        size_t n = we_utf8_decode(we_str(s.data + i, s.length - i), &c);
        if (n == 0)
            break;
        i += n;
    }
    return i;
}

size_t we_utf8_incomplete_suffix(struct we_str s)
{
    for (size_t back = 1; back <= 3 && back <= s.length; back++) {
        const unsigned char *p = (const unsigned char *)s.data + s.length - back;
        if ((*p & 0xC0) == 0x80)
            continue;
        size_t need = *p >= 0xF0 && *p <= 0xF4 ? 4 : *p >= 0xE0 && *p < 0xF0 ? 3 : *p >= 0xC2 && *p < 0xE0 ? 2 : 1;
        if (need <= back)
            return 0;
        /* The second byte of some leads has a narrower range; outside of it nothing can complete them. */
        if (back >= 2 && ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F) || (p[0] == 0xF0 && p[1] < 0x90) ||
                          (p[0] == 0xF4 && p[1] > 0x8F)))
            return 0;
        return back;
    }
    return 0;
}

char *we_bytes_text(uint64_t bytes, char out[24])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 999.5 && unit + 1 < sizeof units / sizeof *units) {
        value /= 1000;
        unit++;
    }
    snprintf(out, 24, "%.*f %s", unit == 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2, value, units[unit]);
    return out;
}

size_t we_str_distance(struct we_str a, struct we_str b)
{
    enum { LIMIT = 255 };
    if (a.length > LIMIT || b.length > LIMIT)
        return SIZE_MAX;
    uint16_t rows[3][LIMIT + 1]; /* the last three rows of the table of prefixes */
    for (size_t j = 0; j <= b.length; j++)
        rows[0][j] = (uint16_t)j;
    for (size_t i = 1; i <= a.length; i++) {
        uint16_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
        row[0] = (uint16_t)i;
        for (size_t j = 1; j <= b.length; j++) {
            int x = tolower((unsigned char)a.data[i - 1]), y = tolower((unsigned char)b.data[j - 1]);
            uint16_t best = (uint16_t)(above[j - 1] + (x != y));
            if (above[j] + 1 < best)
                best = (uint16_t)(above[j] + 1);
            if (row[j - 1] + 1 < best)
                best = (uint16_t)(row[j - 1] + 1);
            if (i > 1 && j > 1 && x == tolower((unsigned char)b.data[j - 2]) &&
                y == tolower((unsigned char)a.data[i - 2]) && above2[j - 2] + 1 < best)
                best = (uint16_t)(above2[j - 2] + 1);
            row[j] = best;
        }
    }
    return rows[a.length % 3][b.length];
}
