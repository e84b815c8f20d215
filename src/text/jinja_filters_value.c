/* Filters of single values: default, length, numbers. */
#include "text/jinja_filters.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static struct we_jvalue filter_default(struct we_jrun *run, struct we_jvalue *a)
{
    int boolean = we_jflag(run, a[2]), truth = boolean == 1 ? we_jtruth(run, a[0]) : 1;
    if (boolean < 0 || truth < 0)
        return we_jfailed();
    if (a[0].kind != WE_J_UNDEFINED && truth)
        return a[0];
    return a[1].kind == WE_J_MISSING ? we_jstring_c("") : a[1];
}

static struct we_jvalue filter_length(struct we_jrun *run, struct we_jvalue *a)
{
    size_t length;
    return we_jlength(run, a[0], &length) ? we_jint((int64_t)length) : we_jfailed();
}

static struct we_jvalue filter_attr(struct we_jrun *run, struct we_jvalue *a)
{
    struct we_jvalue value;
    if (a[0].kind == WE_J_UNDEFINED)
        return we_jfail_undefined(run, a[0]);
    if (!we_jarg_string(run, "the attribute's name", a[1]))
        return we_jfailed();
    int known = we_jfind_attribute(run, a[0], we_jtext(a[1]), &value);
    return known == 0 ? we_jundefined(run, NULL, a[0], a[1]) : known < 0 ? we_jfailed() : value;
}

static struct we_jvalue filter_abs(struct we_jrun *run, struct we_jvalue *a)
{
    if (a[0].kind == WE_J_FLOAT)
        return we_jfloat(fabs(a[0].number));
    if (!we_jis_int(a[0]))
        return we_jfail(run, "bad operand type for abs(): '%s'", we_jtype_name(a[0]));
    return we_jas_int(a[0]) < 0 ? we_jnegate(run, a[0], true) : we_jint(we_jas_int(a[0]));
}

/* ---- int and float ---- */

static struct we_jvalue from_float(struct we_jrun *run, double value, struct we_jvalue otherwise)
{
    int64_t integer;
    if (!isfinite(value))
        return otherwise;
    if (!we_jdouble_to_int(trunc(value), &integer))
        return we_jfail(run, "an integer beyond 64 bits, which is not supported");
    return we_jint(integer);
}

static struct we_jvalue filter_int(struct we_jrun *run, struct we_jvalue *a)
{
    struct we_jvalue otherwise = a[1].kind == WE_J_MISSING ? we_jint(0) : a[1];
    int64_t base, integer;
    double number;
    if (!we_jarg_int(run, a[2], 10, &base))
        return we_jfailed();
    switch (a[0].kind) {
    case WE_J_BOOL:
    case WE_J_INT:
        return we_jint(we_jas_int(a[0]));
    case WE_J_BIG:
        return a[0];
    case WE_J_FLOAT:
        if (isinf(a[0].number))
            return we_jfail(run, "cannot convert float infinity to integer");
        return from_float(run, a[0].number, otherwise);
    case WE_J_UNDEFINED:
        return we_jfail_undefined(run, a[0]);
    case WE_J_STRING: {
        int known = base == 0 || (base >= 2 && base <= 36) ? we_jparse_int(we_jtext(a[0]), (int)base, &integer) : 0;
        if (known < 0)
            return we_jfail(run, "an integer beyond 64 bits, which is not supported");
        if (known)
            return we_jint(integer);
        known = we_jparse_float(run, we_jtext(a[0]), &number);
        return known < 0 ? we_jfailed() : known ? from_float(run, number, otherwise) : otherwise;
    }
    default:
        return otherwise;
    }
}

static struct we_jvalue filter_float(struct we_jrun *run, struct we_jvalue *a)
{
    struct we_jvalue otherwise = a[1].kind == WE_J_MISSING ? we_jfloat(0) : a[1];
    double number;
    if (we_jis_number(a[0]))
        return we_jfloat(we_jas_double(a[0]));
    if (a[0].kind == WE_J_UNDEFINED)
        return we_jfail_undefined(run, a[0]);
    if (a[0].kind == WE_J_STRING || a[0].kind == WE_J_BIG) {
        int known = we_jparse_float(run, we_jtext(a[0]), &number);
        return known < 0 ? we_jfailed() : known ? we_jfloat(number) : otherwise;
    }
    return otherwise;
}

/* ---- round ---- */

/* Half to even, on the exact decimal value. */
static double round_float(double value, int64_t digits)
{
    char text[WE_J_FLOAT_TEXT * 2];
    if (!isfinite(value) || value == 0 || digits > 323)
        return value;
    if (digits >= 0) {
        if (digits > 22 + 1 && fabs(value) > 0x1p53)
            return value;
        int n = we_jprint_double(text, sizeof text, "%.*f", (int)digits, value);
        return n > 0 && (size_t)n < sizeof text ? we_jparse_double(text) : value;
    }
    if (digits < -308)
        return copysign(0, value);
    double unit = pow(10, (double)-digits), scaled = value / unit, whole = round(scaled);
    if (fabs(scaled - whole) == 0.5)
        whole = 2 * round(scaled / 2);
    return whole * unit;
}

static struct we_jvalue round_int(struct we_jrun *run, int64_t value, int64_t digits)
{
    if (digits >= 0)
        return we_jint(value);
    if (digits < -18)
        return digits == -19 && (value > 5000000000000000000 || value < -5000000000000000000)
                   ? we_jfail(run, "an integer beyond 64 bits, which is not supported")
                   : we_jint(0);
    int64_t unit = 1;
    for (; digits; digits++)
        unit *= 10;
    int64_t rest = value % unit, result = value - rest, twice = rest < 0 ? -rest : rest;
    bool up = twice > unit - twice || (twice == unit - twice && (result / unit) % 2 != 0);
    if (up && __builtin_add_overflow(result, rest < 0 ? -unit : unit, &result))
        return we_jfail(run, "an integer beyond 64 bits, which is not supported");
    return we_jint(result);
}

static struct we_jvalue filter_round(struct we_jrun *run, struct we_jvalue *a)
{
    int64_t digits;
    struct we_str method = a[2].kind == WE_J_STRING ? we_jtext(a[2]) : we_str_c(a[2].kind == WE_J_MISSING ? "common" : "");
    bool ceiling = we_str_equal_c(method, "ceil");
    if (!ceiling && !we_str_equal_c(method, "common") && !we_str_equal_c(method, "floor"))
        return we_jfail(run, "method must be common, ceil or floor");
    if (!we_jarg_int(run, a[1], 0, &digits))
        return we_jfailed();
    if (!we_jis_number(a[0]))
        return a[0].kind == WE_J_UNDEFINED ? we_jfail_undefined(run, a[0])
                                           : we_jfail(run, "type %s doesn't define __round__ method", we_jtype_name(a[0]));
    if (we_str_equal_c(method, "common"))
        return a[0].kind == WE_J_FLOAT ? we_jfloat(round_float(a[0].number, digits)) : round_int(run, we_jas_int(a[0]), digits);
    if (digits > 300 || digits < -300)
        return we_jfail(run, "a precision of %lld, which is not supported", (long long)digits);
    double unit = pow(10, (double)digits), scaled = we_jas_double(a[0]) * unit;
    if (!isfinite(scaled))
        return we_jfail(run, "cannot convert float %s to integer", isnan(scaled) ? "NaN" : "infinity");
    return we_jfloat((ceiling ? ceil(scaled) : floor(scaled)) / unit);
}

static struct we_jvalue filter_filesizeformat(struct we_jrun *run, struct we_jvalue *a)
{
    static const char letters[] = "kMGTPEZY";
    struct we_jvalue as_float[2] = {a[0], we_jnone()};
    struct we_jvalue size = filter_float(run, as_float);
    int binary = we_jflag(run, a[1]);
    if (size.kind == WE_J_FAILED || binary < 0)
        return we_jfailed();
    if (size.kind != WE_J_FLOAT)
        return we_jfail(run, "could not convert a value of type '%s' to float", we_jtype_name(a[0]));
    char text[WE_J_FLOAT_TEXT + 16];
    double base = binary ? 1024 : 1000, unit = base;
    if (size.number == 1)
        return we_jstring_c("1 Byte");
    if (size.number < base || !isfinite(size.number)) {
        if (!isfinite(size.number))
            return we_jfail(run, "cannot convert float infinity or NaN to integer");
        snprintf(text, sizeof text, "%.0f Bytes", trunc(size.number));
        return we_jcopy(run, we_str_c(text));
    }
    size_t i = 0;
    for (unit = base * base; i < 7 && size.number >= unit; i++)
        unit *= base;
    int n = we_jprint_double(text, sizeof text, "%.*f", 1, base * size.number / unit);
    snprintf(text + n, sizeof text - (size_t)n, " %c%sB", binary && i == 0 ? 'K' : letters[i], binary ? "i" : "");
    return we_jcopy(run, we_str_c(text));
}

const struct we_jcallable we_jfilters_value[] = {
    {"tojson", 1, 5, {0, "ensure_ascii", "indent", "separators", "sort_keys"}, we_jfilter_tojson, NULL},
    {"length", 1, 1, {0}, filter_length, NULL},
    {"count", 1, 1, {0}, filter_length, NULL},
    {"default", 1, 3, {0, "default_value", "boolean"}, filter_default, NULL},
    {"d", 1, 3, {0, "default_value", "boolean"}, filter_default, NULL},
    {"attr", 2, 2, {0, "name"}, filter_attr, NULL},
    {"abs", 1, 1, {0}, filter_abs, NULL},
    {"int", 1, 3, {0, "default", "base"}, filter_int, NULL},
    {"float", 1, 2, {0, "default"}, filter_float, NULL},
    {"round", 1, 3, {0, "precision", "method"}, filter_round, NULL},
    {"filesizeformat", 1, 2, {0, "binary"}, filter_filesizeformat, NULL},
    {0},
};
