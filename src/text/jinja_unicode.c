/* What Python's str knows about characters. The categories and simple mappings are utf8proc's. */
#include "text/jinja_run.h"
#include "text/jinja_unicode_tables.h"

#include <utf8proc.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool in_ranges(const struct we_jcode_range *ranges, size_t count, uint32_t c)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (c > ranges[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && c >= ranges[low].first;
}

static int category(uint32_t c)
{
    return utf8proc_category((utf8proc_int32_t)c);
}

static bool is_letter(int category)
{
    return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

bool we_jis_space(uint32_t c)
{
    if (c < 0x80)
        return c == ' ' || (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x1F);
    return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
           c == 0x202F || c == 0x205F || c == 0x3000;
}

bool we_jis_printable(uint32_t c)
{
    if (c < 0x7F)
        return c >= 0x20;
    switch (category(c)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS:
        return false;
    default:
        return true;
    }
}

bool we_jis_word(uint32_t c)
{
    if (c < 0x80)
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    int kind = category(c); /* also the marks and connectors that identifiers may have */
    return is_letter(kind) || (kind >= UTF8PROC_CATEGORY_MN && kind <= UTF8PROC_CATEGORY_NO) || kind == UTF8PROC_CATEGORY_PC;
}

bool we_jis_class(uint32_t c, enum we_jclass class)
{
    int kind = category(c);
    bool number = kind >= UTF8PROC_CATEGORY_ND && kind <= UTF8PROC_CATEGORY_NO;
    switch (class) {
    case WE_J_ALPHA:
        return is_letter(kind);
    case WE_J_ALNUM:
        return is_letter(kind) || number;
    case WE_J_DECIMAL:
        return kind == UTF8PROC_CATEGORY_ND;
    case WE_J_DIGIT:
        return kind == UTF8PROC_CATEGORY_ND || in_ranges(digits, COUNT(digits), c);
    case WE_J_NUMERIC:
        return number || in_ranges(numerals, COUNT(numerals), c);
    }
    return false;
}

bool we_jis_upper(uint32_t c)
{
    return category(c) == UTF8PROC_CATEGORY_LU || in_ranges(other_upper, COUNT(other_upper), c);
}

bool we_jis_lower(uint32_t c)
{
    return category(c) == UTF8PROC_CATEGORY_LL || in_ranges(other_lower, COUNT(other_lower), c);
}

bool we_jis_title(uint32_t c)
{
    return category(c) == UTF8PROC_CATEGORY_LT;
}

static bool is_cased(uint32_t c)
{
    return we_jis_upper(c) || we_jis_lower(c) || we_jis_title(c);
}

/* Unicode's property Case_Ignorable. */
static bool is_case_ignorable(uint32_t c)
{
    static const uint16_t punctuation[] = {0x27, 0x2E, 0x3A, 0xB7, 0x387, 0x55F, 0x5F4, 0x2018, 0x2019,
                                           0x2024, 0x2027, 0xFE13, 0xFE52, 0xFE55, 0xFF07, 0xFF0E, 0xFF1A};
    for (size_t i = 0; i < COUNT(punctuation); i++)
        if (punctuation[i] == c)
            return true;
    int kind = category(c);
    return kind == UTF8PROC_CATEGORY_MN || kind == UTF8PROC_CATEGORY_ME || kind == UTF8PROC_CATEGORY_CF ||
           kind == UTF8PROC_CATEGORY_LM || kind == UTF8PROC_CATEGORY_SK;
}

size_t we_jcharacters(struct we_str text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.length; i++)
        count += ((unsigned char)text.data[i] & 0xC0) != 0x80;
    return count;
}

size_t we_joffset(struct we_str text, size_t index)
{
    size_t at = 0;
    while (at < text.length && index > 0) {
        at++;
        while (at < text.length && ((unsigned char)text.data[at] & 0xC0) == 0x80)
            at++;
        index--;
    }
    return at;
}

uint32_t we_jchar_at(struct we_str text, size_t at, size_t *size)
{
    uint32_t c = 0xFFFD;
    *size = we_utf8_decode(we_str(text.data + at, text.length - at), &c);
    if (*size == 0)
        *size = 1;
    return c;
}

/* The character that ends at `end` > 0. */
static uint32_t char_before(struct we_str text, size_t end, size_t *size)
{
    size_t at = end - 1;
    while (at > 0 && ((unsigned char)text.data[at] & 0xC0) == 0x80)
        at--;
    *size = end - at;
    size_t decoded;
    return we_jchar_at(text, at, &decoded);
}

struct we_str we_jstrip_space(struct we_str text, bool left, bool right)
{
    size_t start = 0, end = text.length, size;
    while (left && start < end && we_jis_space(we_jchar_at(text, start, &size)))
        start += size;
    while (right && end > start && we_jis_space(char_before(text, end, &size)))
        end -= size;
    return we_str(text.data + start, end - start);
}

/* ---- case ---- */

static bool write_char(struct we_jrun *run, uint32_t c)
{
    char bytes[4];
    return we_jwrite(run, we_str(bytes, we_utf8_encode(c, bytes)));
}

static bool write_special(struct we_jrun *run, uint32_t c, bool title, bool *found)
{
    size_t low = 0, high = COUNT(special_casing);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (special_casing[middle].c < c)
            low = middle + 1;
        else
            high = middle;
    }
    *found = low < COUNT(special_casing) && special_casing[low].c == c;
    if (!*found)
        return true;
    const uint16_t *units = title ? special_casing[low].title : special_casing[low].upper;
    bool fine = true;
    for (size_t i = 0; i < 3 && units[i]; i++)
        fine = fine && write_char(run, units[i]);
    return fine;
}

static bool write_upper(struct we_jrun *run, uint32_t c, bool title)
{
    if (c < 0x80)
        return write_char(run, c >= 'a' && c <= 'z' ? c - 32 : c);
    bool found;
    if (!write_special(run, c, title, &found) || found)
        return found;
    utf8proc_int32_t wide = (utf8proc_int32_t)c;
    return write_char(run, (uint32_t)(title ? utf8proc_totitle(wide) : utf8proc_toupper(wide)));
}

/* Whether the capital sigma at `at` ends its word, so that its lower case is another letter. */
static bool is_final_sigma(struct we_str text, size_t at, size_t after)
{
    size_t size;
    uint32_t c = 0;
    bool found = false;
    while (at > 0 && !found) {
        c = char_before(text, at, &size);
        at -= size;
        found = !is_case_ignorable(c);
    }
    if (!found || !is_cased(c))
        return false;
    found = false;
    while (after < text.length && !found) {
        c = we_jchar_at(text, after, &size);
        after += size;
        found = !is_case_ignorable(c);
    }
    return !found || !is_cased(c);
}

static bool write_lower(struct we_jrun *run, struct we_str text, size_t at, uint32_t c, size_t size)
{
    if (c < 0x80)
        return write_char(run, c >= 'A' && c <= 'Z' ? c + 32 : c);
    if (c == 0x130)
        return write_char(run, 'i') && write_char(run, 0x307);
    if (c == 0x3A3)
        return write_char(run, is_final_sigma(text, at, at + size) ? 0x3C2 : 0x3C3);
    return write_char(run, (uint32_t)utf8proc_tolower((utf8proc_int32_t)c));
}

static bool write_folded(struct we_jrun *run, uint32_t c)
{
    utf8proc_int32_t folded[8];
    utf8proc_ssize_t count = utf8proc_decompose_char((utf8proc_int32_t)c, folded, 8, UTF8PROC_CASEFOLD, NULL);
    if (count <= 0 || count > 8)
        return write_char(run, c);
    bool fine = true;
    for (utf8proc_ssize_t i = 0; i < count; i++)
        fine = fine && write_char(run, (uint32_t)folded[i]);
    return fine;
}

bool we_jwrite_case(struct we_jrun *run, struct we_str text, enum we_jcase to)
{
    bool in_word = false, fine = we_jcharge_bytes(run, 4 * text.length);
    for (size_t at = 0, size; fine && at < text.length; at += size) {
        uint32_t c = we_jchar_at(text, at, &size);
        bool upper = to == WE_J_UPPER || (to == WE_J_SWAP && we_jis_lower(c));
        bool title = (to == WE_J_TITLE && !in_word) || (to == WE_J_CAPITALIZE && at == 0);
        if (to == WE_J_FOLD)
            fine = write_folded(run, c);
        else if (upper || title)
            fine = write_upper(run, c, title);
        else if (to != WE_J_SWAP || we_jis_upper(c))
            fine = write_lower(run, text, at, c, size);
        else
            fine = write_char(run, c);
        if (to == WE_J_TITLE)
            in_word = is_cased(c);
    }
    return fine;
}
