#include "config/parse.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *skip_blanks(const char *text)
{
    return text + strspn(text, " \t\r\n");
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool parse_integer(const char **text, uint64_t *value)
{
    const char *p = *text;
    uint64_t sum = 0;
    if (!is_digit(*p))
        return false;
    for (; is_digit(*p); p++) {
        uint64_t digit = (uint64_t)(*p - '0');
        if (sum > (UINT64_MAX - digit) / 10)
            return false;
        sum = sum * 10 + digit;
    }
    *text = p;
    *value = sum;
    return true;
}

/* [+-]digits[.digits][e[+-]digits], with a point in every locale. */
static bool parse_number(const char **text, double *value)
{
    char copy[64];
    const char *p = *text;
    size_t n = 0, digits = 0, point = SIZE_MAX;
    while (n + 8 < sizeof copy) {
        char c = p[n];
        bool sign = (c == '+' || c == '-') && (n == 0 || p[n - 1] == 'e' || p[n - 1] == 'E');
        bool exponent = (c == 'e' || c == 'E') && digits;
        if (!is_digit(c) && !sign && !exponent && !(c == '.' && point == SIZE_MAX))
            break;
        digits += is_digit(c);
        if (c == '.')
            point = n;
        copy[n++] = c;
    }
    copy[n] = '\0';
    const char *local = localeconv()->decimal_point;
    if (point != SIZE_MAX && strlen(local) == 1)
        copy[point] = local[0];
    char *end;
    double number = strtod(copy, &end);
    if (digits == 0 || end != copy + n || !isfinite(number))
        return false;
    *text = p + n;
    *value = number;
    return true;
}

/* "8G", "1.5 GiB", "2000000000". */
static bool parse_bytes(const char **text, uint64_t *value)
{
    const char *p = *text;
    double number;
    if (*p == '-' || !parse_number(&p, &number))
        return false;
    p = skip_blanks(p);
    static const char units[] = "kmgt", upper[] = "KMGT";
    for (int i = 0; i < 4; i++)
        if (*p && (*p == units[i] || *p == upper[i])) {
            number = ldexp(number, 10 * (i + 1));
            p++;
            if ((*p == 'i' || *p == 'I') && (p[1] == 'B' || p[1] == 'b'))
                p++;
            break;
        }
    if (*p == 'B' || *p == 'b')
        p++;
    if (number >= 0x1p63)
        return false;
    *value = (uint64_t)number;
    *text = p;
    return true;
}

static bool parse_choice(const char *choices, const char *text, uint64_t *index)
{
    size_t n = strlen(text);
    *index = 0;
    for (const char *p = choices; n; p++) {
        size_t length = strcspn(p, "|");
        if (length == n && strncasecmp(p, text, n) == 0)
            return true;
        p += length;
        if (*p == '\0')
            break;
        ++*index;
    }
    return false;
}

static bool parse_switch(const char *text, uint64_t *value)
{
    static const char *const words[2][4] = {{"0", "false", "no", "off"}, {"1", "true", "yes", "on"}};
    for (unsigned on = 0; on < 2; on++)
        for (size_t i = 0; i < 4; i++)
            if (strcasecmp(text, words[on][i]) == 0) {
                *value = on;
                return true;
            }
    return false;
}

bool we_setting_parse(const struct we_setting *row, const char *text, struct we_parsed *parsed)
{
    *parsed = (struct we_parsed){0};
    if (row->type == WE_SETTING_TEXT)
        return true;
    if (row->type == WE_SETTING_PATH)
        return text[0] != '\0';
    if (row->type == WE_SETTING_CHOICE)
        return parse_choice(row->choices, text, &parsed->integer);
    if (row->type == WE_SETTING_SWITCH)
        return parse_switch(text, &parsed->integer);
    const char *p = skip_blanks(text);
    bool ok = row->type == WE_SETTING_INTEGER ? parse_integer(&p, &parsed->integer)
              : row->type == WE_SETTING_BYTES ? parse_bytes(&p, &parsed->integer)
                                              : parse_number(&p, &parsed->number);
    if (!ok || *skip_blanks(p) != '\0')
        return false;
    if (row->type != WE_SETTING_NUMBER)
        parsed->number = (double)parsed->integer;
    return row->max <= row->min || (parsed->number >= row->min && parsed->number <= row->max);
}

void we_setting_expected(const struct we_setting *row, char *text, size_t size)
{
    if (row->type == WE_SETTING_CHOICE)
        snprintf(text, size, "one of %s", row->choices);
    else if (row->type == WE_SETTING_BYTES)
        snprintf(text, size, "a number of bytes, as 8G or 500M,");
    else if (row->type == WE_SETTING_PATH)
        snprintf(text, size, "a path");
    else if (row->type == WE_SETTING_TEXT)
        snprintf(text, size, "a text");
    else if (row->type == WE_SETTING_SWITCH)
        snprintf(text, size, "1, true, yes, on, 0, false, no or off");
    else if (row->max > row->min)
        snprintf(text, size, "%s from %.10g to %.10g", row->type == WE_SETTING_INTEGER ? "a whole number" : "a number",
                 row->min, row->max);
    else
        snprintf(text, size, "a whole number");
}
