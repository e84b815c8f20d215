/* Numbers as text and back, as Python writes and reads them, whatever locale the program has set. */
#include "text/jinja_run.h"

#include <ctype.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

double we_jparse_double(const char *text)
{
    locale_t c_locale = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    locale_t old = c_locale ? uselocale(c_locale) : (locale_t)0;
    double value = strtod(text, NULL);
    if (c_locale) {
        uselocale(old);
        freelocale(c_locale);
    }
    return value;
}

int we_jprint_double(char *out, size_t size, const char *format, int precision, double value)
{
    locale_t c_locale = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    locale_t old = c_locale ? uselocale(c_locale) : (locale_t)0;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    int length = snprintf(out, size, format, precision, value);
#pragma GCC diagnostic pop
    if (c_locale) {
        uselocale(old);
        freelocale(c_locale);
    }
    return length;
}

/* The fewest digits that read back as `value`, as "d.ddde[+-]xx". */
static void shortest(double value, char out[40])
{
    /* Up to 15 digits survive a way through a double, unless it is a subnormal one. */
    int digits = fabs(value) < 2.3e-308 ? 1 : 15;
    for (; digits <= 17; digits++) {
        we_jprint_double(out, 40, "%.*e", digits - 1, value);
        if (we_jparse_double(out) == value)
            return;
        /* Below a power of two the neighbours are nearer: the rounded digits may lie outside while the next ones
         * further up are inside. */
        char next[40];
        memcpy(next, out, sizeof next);
        char *last = strchr(next, 'e');
        if (last && digits > 1 && last[-1] < '9') {
            last[-1]++;
            if (we_jparse_double(next) == value) {
                memcpy(out, next, sizeof next);
                return;
            }
        }
    }
}

size_t we_jfloat_repr(double value, char out[WE_J_FLOAT_TEXT])
{
    if (!isfinite(value))
        return (size_t)snprintf(out, WE_J_FLOAT_TEXT, "%s", isnan(value) ? "nan" : value < 0 ? "-inf" : "inf");
    char text[40], digits[40];
    shortest(value, text);
    size_t count = 0, i = 0;
    bool negative = text[0] == '-';
    for (i = negative; text[i] && text[i] != 'e'; i++)
        if (text[i] != '.')
            digits[count++] = text[i];
    int exponent = text[i] == 'e' ? atoi(text + i + 1) : 0;
    while (count > 1 && digits[count - 1] == '0')
        count--;
    size_t n = 0;
    if (negative)
        out[n++] = '-';
    if (exponent < -4 || exponent >= 16) {
        out[n++] = digits[0];
        if (count > 1)
            out[n++] = '.';
        memcpy(out + n, digits + 1, count - 1);
        n += count - 1;
        return n + (size_t)snprintf(out + n, WE_J_FLOAT_TEXT - n, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
    }
    if (exponent < 0) {
        out[n++] = '0';
        out[n++] = '.';
        for (int zero = exponent + 1; zero < 0; zero++)
            out[n++] = '0';
        memcpy(out + n, digits, count);
        n += count;
    } else {
        for (size_t at = 0; at <= (size_t)exponent || at < count; at++) {
            if (at == (size_t)exponent + 1)
                out[n++] = '.';
            out[n++] = at < count ? digits[at] : '0';
        }
        if (count <= (size_t)exponent + 1) {
            out[n++] = '.';
            out[n++] = '0';
        }
    }
    out[n] = '\0';
    return n;
}

/* The value of a digit of any script, and its size in bytes; they come in rows of ten, from 0 to 9. -1: it is none. */
static int decimal_at(struct we_str text, size_t at, size_t *size)
{
    uint32_t c = we_jchar_at(text, at, size), zero = c;
    if (!we_jis_class(c, WE_J_DECIMAL))
        return -1;
    while (we_jis_class(zero - 1, WE_J_DECIMAL))
        zero--;
    return (int)((c - zero) % 10);
}

static int digit_value(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'z' ? (c | 32) - 'a' + 10 : 99;
}

int we_jparse_int(struct we_str text, int base, int64_t *value)
{
    text = we_jstrip_space(text, true, true);
    size_t i = 0;
    bool negative = text.length && text.data[0] == '-';
    if (text.length && (text.data[0] == '-' || text.data[0] == '+'))
        i++;
    bool prefixed = false;
    if (text.length >= i + 2 && text.data[i] == '0') {
        char letter = (char)(text.data[i + 1] | 32);
        int named = letter == 'b' ? 2 : letter == 'o' ? 8 : letter == 'x' ? 16 : 0;
        if (named && (base == 0 || base == named)) {
            base = named;
            prefixed = true;
            i += 2;
        }
    }
    bool zero_only = base == 0 && i < text.length && text.data[i] == '0'; /* 0, 00, but not 07 */
    if (base == 0)
        base = 10;
    bool digit_before = false, any = false, fits = true;
    int64_t result = 0;
    for (; i < text.length; i++) {
        if (text.data[i] == '_') {
            if (!digit_before && !(prefixed && !any))
                return 0;
            digit_before = prefixed = false;
            continue;
        }
        size_t size = 1;
        int digit = (unsigned char)text.data[i] < 0x80 ? digit_value(text.data[i]) : decimal_at(text, i, &size);
        i += size - 1;
        if (digit < 0 || digit >= base || (zero_only && digit != 0))
            return 0;
        fits = fits && !__builtin_mul_overflow(result, (int64_t)base, &result) &&
               !(negative ? __builtin_sub_overflow(result, (int64_t)digit, &result)
                          : __builtin_add_overflow(result, (int64_t)digit, &result));
        digit_before = any = true;
    }
    if (!digit_before)
        return 0;
    *value = result;
    return fits ? 1 : -1;
}

int we_jparse_float(struct we_jrun *run, struct we_str text, double *value)
{
    text = we_jstrip_space(text, true, true);
    if (text.length == 0)
        return 0;
    char stack[128], *copy = text.length < sizeof stack ? stack : we_jalloc(run, text.length + 1, 1);
    if (copy == NULL)
        return -1;
    size_t n = 0, i = 0, digits = 0;
    bool fine = true;
    if (text.data[0] == '+' || text.data[0] == '-')
        copy[n++] = text.data[i++];
    size_t word = n;
    for (; fine && i < text.length; i++) {
        char c = text.data[i];
        if ((unsigned char)c >= 0x80) {
            size_t size;
            int value_of_digit = decimal_at(text, i, &size);
            i += size - 1;
            c = (char)(value_of_digit < 0 ? '?' : '0' + value_of_digit);
        }
        bool digit = c >= '0' && c <= '9';
        digits += digit;
        if (c == '_') /* between digits only */
            fine = i > 0 && i + 1 < text.length && isdigit((unsigned char)text.data[i - 1]) && isdigit((unsigned char)text.data[i + 1]);
        else
            copy[n++] = (char)((c >= 'A' && c <= 'Z') ? c | 32 : c);
        fine = fine && (digit || strchr("+-._einfatyINFATYE", c) != NULL) && c != '\0';
    }
    copy[n] = '\0';
    const char *name = copy + word;
    bool named = strcmp(name, "inf") == 0 || strcmp(name, "infinity") == 0 || strcmp(name, "nan") == 0;
    if (fine && named)
        *value = name[0] == 'n' ? (double)NAN : copy[0] == '-' ? -INFINITY : INFINITY;
    else if (fine && digits > 0 && strspn(name, "0123456789.e+-") == strlen(name)) {
        /* the grammar: digits [. digits] [e [sign] digits], with at least one digit before the exponent */
        size_t at = strspn(name, "0123456789"), mantissa = at;
        if (name[at] == '.') {
            size_t fraction = strspn(name + at + 1, "0123456789");
            mantissa += fraction;
            at += 1 + fraction;
        }
        if (name[at] == 'e' && mantissa) {
            at++;
            at += name[at] == '+' || name[at] == '-';
            size_t exponent = strspn(name + at, "0123456789");
            fine = exponent > 0;
            at += exponent;
        }
        fine = fine && mantissa > 0 && name[at] == '\0';
        if (fine)
            *value = we_jparse_double(copy);
    } else {
        fine = false;
    }
    return fine;
}

bool we_jdouble_to_int(double value, int64_t *integer)
{
    if (!(value >= -0x1p63 && value < 0x1p63))
        return false;
    *integer = (int64_t)value;
    return (double)*integer == value;
}
