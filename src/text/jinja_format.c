/* printf-style formatting ("%s" % x) and str.format. */
#include "text/jinja_methods.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST_PRECISION = 1000, MOST_WIDTH = 1 << 24 };

/* What a number or text is to look like. */
struct spec {
    struct we_str fill;
    char align, sign, type, grouping; /* '\0': not given */
    bool alternate, zero;
    int64_t width, precision; /* precision -1: not given */
};

/* ---- numbers ---- */

/* Digits with a separator between groups of three (four for other bases), and zeros before them up to `width`. */
static bool write_grouped(struct we_jrun *run, const char *digits, size_t count, char separator, size_t group, size_t width)
{
    size_t zeros = 0;
    if (separator) {
        while (count + zeros + (count + zeros - 1) / group < width)
            zeros++;
    } else if (width > count) {
        zeros = width - count;
    }
    if (!we_jcharge(run, zeros))
        return false;
    for (size_t i = 0; i < zeros + count; i++) {
        size_t left = zeros + count - i;
        char c = i < zeros ? '0' : digits[i - zeros];
        if ((separator && i > 0 && left % group == 0 && !we_jwrite(run, we_str(&separator, 1))) || !we_jwrite(run, we_str(&c, 1)))
            return false;
    }
    return true;
}

/* prefix (sign, 0x), whole digits, and what follows them, in the field that `spec` asks for. */
static struct we_jvalue lay_out(struct we_jrun *run, const struct spec *spec, const char *prefix, const char *digits, size_t count,
                                struct we_str tail, size_t group)
{
    size_t begin = we_jtext_begin(run), before = strlen(prefix) + tail.length;
    bool fill_inside = spec->align == '=' || (spec->zero && spec->align == '\0');
    bool zeros = fill_inside && (spec->align == '\0' || we_str_equal_c(spec->fill, "0"));
    size_t width = zeros && (size_t)spec->width > before ? (size_t)spec->width - before : 0;
    if (fill_inside && !zeros) {
        size_t all = before + count + (spec->grouping ? (count - 1) / group : 0);
        size_t fill = (size_t)spec->width > all ? (size_t)spec->width - all : 0;
        if (!we_jwrite_c(run, prefix) || !we_jwrite_repeat(run, spec->fill, fill))
            return we_jfailed();
    } else if (!we_jwrite_c(run, prefix)) {
        return we_jfailed();
    }
    if (!write_grouped(run, digits, count, spec->grouping, group, width) || !we_jwrite(run, tail))
        return we_jfailed();
    struct we_jvalue text = we_jtext_end(run, begin);
    if (text.kind == WE_J_FAILED || fill_inside)
        return text;
    enum we_jside side = spec->align == '<' ? WE_J_PAD_RIGHT : WE_J_PAD_LEFT;
    if (spec->align == '^') { /* the odd one goes to the right */
        size_t length = we_jcharacters(we_jtext(text)), left = (size_t)spec->width > length ? ((size_t)spec->width - length) / 2 : 0;
        text = we_jpad(run, text, (int64_t)(length + left), spec->fill, WE_J_PAD_LEFT);
        side = WE_J_PAD_RIGHT;
    }
    return text.kind == WE_J_FAILED ? text : we_jpad(run, text, spec->width, spec->fill, side);
}

static struct we_jvalue format_int(struct we_jrun *run, int64_t value, const struct spec *spec, bool percent_style)
{
    char digits[72], prefix[8];
    size_t at = sizeof digits, n = 0;
    uint64_t size = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    char type = spec->type ? spec->type : 'd';
    unsigned base = type == 'b' ? 2 : type == 'o' ? 8 : type == 'x' || type == 'X' ? 16 : 10;
    do {
        digits[--at] = (type == 'X' ? "0123456789ABCDEF" : "0123456789abcdef")[size % base];
        size /= base;
    } while (size);
    if (value < 0)
        prefix[n++] = '-';
    else if (spec->sign == '+' || spec->sign == ' ')
        prefix[n++] = spec->sign;
    if (spec->alternate && base != 10) {
        prefix[n++] = '0';
        prefix[n++] = type;
    }
    prefix[n] = '\0';
    const char *text = digits + at;
    size_t count = sizeof digits - at;
    char *longer = NULL;
    if (percent_style && spec->precision > (int64_t)count) { /* "%.5d": at least so many digits */
        size_t wanted = (size_t)spec->precision;
        longer = we_jalloc(run, wanted, 1);
        if (longer == NULL)
            return we_jfailed();
        memset(longer, '0', wanted - count);
        memcpy(longer + wanted - count, text, count);
        text = longer;
        count = wanted;
    }
    return lay_out(run, spec, prefix, text, count, we_str("", 0), base == 10 ? 3 : 4);
}

/* Digits of a finite number of at least 0 in the way of `type`, as Python's; in the arena. NULL: failed. */
static char *float_digits(struct we_jrun *run, double value, const struct spec *spec, char type, bool plain)
{
    size_t room = 500 + (size_t)(spec->precision > 0 ? spec->precision : 0);
    char *text = we_jalloc(run, room, 1);
    if (text == NULL)
        return NULL;
    int precision = spec->precision < 0 ? 6 : (int)spec->precision;
    char kind = (char)(type | 32);
    if (plain && spec->precision < 0) {
        we_jfloat_repr(value, text);
    } else if (kind == 'g' || plain) {
        we_jprint_double(text, room, spec->alternate ? "%#.*g" : "%.*g", precision ? precision : 1, value);
        if (plain && strchr(text, 'e') == NULL && strchr(text, '.') == NULL) {
            /* str() of a float always looks like one; and its exponent begins one digit earlier */
            if (strlen(text) >= (size_t)(precision ? precision : 1))
                we_jprint_double(text, room, "%.*e", precision > 1 ? precision - 1 : 0, value);
            else
                strcat(text, ".0");
            char *e = strchr(text, 'e');
            char *dot = strchr(text, '.');
            if (e && dot && dot < e) { /* without the zeros at the end */
                char *end = e;
                while (end[-1] == '0')
                    end--;
                if (end[-1] == '.')
                    end--;
                memmove(end, e, strlen(e) + 1);
            }
        }
    } else {
        const char *format = kind == 'e' ? (spec->alternate ? "%#.*e" : "%.*e") : spec->alternate ? "%#.*f" : "%.*f";
        we_jprint_double(text, room, format, precision, value);
    }
    if (type >= 'A' && type <= 'Z')
        for (char *p = text; *p; p++)
            *p = *p == 'e' ? 'E' : *p;
    return text;
}

static struct we_jvalue format_float(struct we_jrun *run, double value, const struct spec *spec)
{
    bool negative = signbit(value) && !isnan(value), upper = spec->type >= 'A' && spec->type <= 'Z';
    char prefix[2] = {negative ? '-' : spec->sign == '+' || spec->sign == ' ' ? spec->sign : '\0', '\0'};
    if (spec->precision > MOST_PRECISION)
        return we_jfail(run, "a precision above %d, which is not supported", MOST_PRECISION);
    if (!isfinite(value)) {
        struct spec plain = *spec;
        plain.grouping = '\0';
        const char *text = isnan(value) ? (upper ? "NAN" : "nan") : upper ? "INF" : "inf";
        return lay_out(run, &plain, prefix, text, 3, we_str_c(spec->type == '%' ? "%" : ""), 3);
    }
    double shown = fabs(spec->type == '%' ? value * 100 : value);
    char type = spec->type == '%' || spec->type == '\0' ? 'f' : spec->type;
    char *text = float_digits(run, shown, spec, type, spec->type == '\0');
    if (text == NULL)
        return we_jfailed();
    size_t whole = strspn(text, "0123456789"), length = strlen(text);
    if (spec->type == '%' && length + 1 < 500 + (size_t)(spec->precision > 0 ? spec->precision : 0))
        text[length++] = '%';
    return lay_out(run, spec, prefix, text, whole, we_str(text + whole, length - whole), 3);
}

static struct we_jvalue format_text(struct we_jrun *run, struct we_jvalue value, const struct spec *spec)
{
    struct we_str text = we_jtext(value);
    if (spec->precision >= 0)
        text.length = we_joffset(text, (size_t)spec->precision);
    struct spec plain = *spec;
    plain.align = spec->align ? spec->align : '<';
    size_t length = we_jcharacters(text), fill = (size_t)spec->width > length ? (size_t)spec->width - length : 0;
    size_t left = plain.align == '>' ? fill : plain.align == '^' ? fill / 2 : 0;
    size_t begin = we_jtext_begin(run);
    if (!we_jwrite_repeat(run, spec->fill, left) || !we_jwrite(run, text) || !we_jwrite_repeat(run, spec->fill, fill - left))
        return we_jfailed();
    return we_jtext_end(run, begin);
}

/* ---- the format language of str.format ---- */

static bool take(struct we_str *text, char c)
{
    if (text->length == 0 || text->data[0] != c)
        return false;
    *text = we_str(text->data + 1, text->length - 1);
    return true;
}

static char take_one_of(struct we_str *text, const char *set)
{
    char c = text->length ? text->data[0] : '\0';
    return c && strchr(set, c) && take(text, c) ? c : '\0';
}

static bool take_number(struct we_jrun *run, struct we_str *text, int64_t *value)
{
    bool any = false;
    int64_t number = 0;
    while (text->length && text->data[0] >= '0' && text->data[0] <= '9') {
        number = number * 10 + (text->data[0] - '0');
        take(text, text->data[0]);
        any = true;
        if (number > MOST_WIDTH) {
            we_jfail(run, "a width or precision in a format that is too large");
            return false;
        }
    }
    if (any)
        *value = number;
    return true;
}

static bool parse_spec(struct we_jrun *run, struct we_str text, struct spec *spec)
{
    *spec = (struct spec){.fill = we_str_c(" "), .precision = -1};
    size_t size = 0;
    if (text.length)
        we_jchar_at(text, 0, &size);
    if (text.length > size && size && text.data[size] && strchr("<>=^", text.data[size])) {
        spec->fill = we_str(text.data, size);
        spec->align = text.data[size];
        text = we_str(text.data + size + 1, text.length - size - 1);
    } else {
        spec->align = take_one_of(&text, "<>=^");
    }
    spec->sign = take_one_of(&text, "+- ");
    spec->alternate = take(&text, '#');
    if (take(&text, '0') && spec->align == '\0') {
        spec->zero = true;
        spec->fill = we_str_c("0");
    }
    if (!take_number(run, &text, &spec->width))
        return false;
    spec->grouping = take_one_of(&text, ",_");
    if (take(&text, '.')) {
        if (!take_number(run, &text, &spec->precision))
            return false;
        if (spec->precision < 0) {
            we_jfail(run, "Format specifier missing precision");
            return false;
        }
    }
    if (text.length == 1)
        spec->type = text.data[0];
    if (text.length > 1) {
        we_jfail(run, "Invalid format specifier");
        return false;
    }
    return true;
}

static struct we_jvalue bad_code(struct we_jrun *run, char type, struct we_jvalue value)
{
    return we_jfail(run, "Unknown format code '%c' for object of type '%s'", type, we_jtype_name(value));
}

static struct we_jvalue format_number(struct we_jrun *run, struct we_jvalue value, const struct spec *spec)
{
    bool as_float = value.kind == WE_J_FLOAT ? !spec->type || strchr("eEfFgGn%", spec->type)
                                             : spec->type && strchr("eEfFgG%", spec->type);
    if (as_float) {
        struct spec real = *spec;
        real.type = spec->type == 'n' ? 'g' : spec->type;
        return format_float(run, we_jas_double(value), &real);
    }
    if (value.kind == WE_J_FLOAT)
        return bad_code(run, spec->type, value);
    if (spec->precision >= 0)
        return we_jfail(run, "Precision not allowed in integer format specifier");
    if (spec->type == 'c') {
        char bytes[4];
        int64_t c = we_jas_int(value);
        if (c < 0 || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
            return we_jfail(run, "%%c arg not in range(0x110000)");
        return format_text(run, we_jcopy(run, we_str(bytes, we_utf8_encode((uint32_t)c, bytes))), spec);
    }
    if (spec->type && !strchr("bdnoxX", spec->type))
        return bad_code(run, spec->type, value);
    if (spec->grouping == ',' && spec->type && spec->type != 'd')
        return we_jfail(run, "Cannot specify ',' with '%c'.", spec->type);
    return format_int(run, we_jas_int(value), spec, false);
}

struct we_jvalue we_jformat_value(struct we_jrun *run, struct we_jvalue value, struct we_str text)
{
    struct spec spec;
    if (text.length == 0)
        return we_jto_string(run, value);
    if (!parse_spec(run, text, &spec))
        return we_jfailed();
    if (value.kind == WE_J_BOOL && !spec.type) { /* str() of it, but in the field of a number */
        spec.type = '\0';
        return format_int(run, value.boolean, &spec, false);
    }
    if (we_jis_number(value))
        return format_number(run, value, &spec);
    if (value.kind != WE_J_STRING)
        return we_jfail(run, "unsupported format string passed to %s.__format__", we_jtype_name(value));
    if (spec.type && spec.type != 's')
        return bad_code(run, spec.type, value);
    if (spec.sign || spec.alternate || spec.grouping || spec.align == '=')
        return we_jfail(run, "a sign, '#', ',' or '=' is not allowed in the format of a string");
    return format_text(run, value, &spec);
}

static bool as_index(struct we_str text, int64_t *index)
{
    for (size_t i = 0; i < text.length; i++)
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
    return we_jparse_int(text, 10, index) == 1;
}

struct braces {
    struct we_jrun *run;
    const struct we_jargs *args;
    int64_t next; /* automatic number; -1 once one was given */
    unsigned depth;
    bool escapes; /* the format is markup: what is put into it is escaped */
};

/* The value of "name", "0", "" with ".attribute" and "[key]" behind it. */
static struct we_jvalue field_value(struct braces *braces, struct we_str field)
{
    struct we_jrun *run = braces->run;
    size_t end = 0;
    while (end < field.length && field.data[end] != '.' && field.data[end] != '[')
        end++;
    struct we_str first = we_str(field.data, end);
    struct we_jvalue value = we_jkind_value(WE_J_MISSING);
    int64_t index;
    bool number = as_index(first, &index);
    if (first.length == 0 || number) {
        if (first.length == 0 ? braces->next < 0 : braces->next > 0)
            return we_jfail(run, "cannot switch between automatic field numbering and manual field specification");
        index = number ? index : braces->next++;
        braces->next = number ? -1 : braces->next;
        if ((uint64_t)index >= braces->args->count)
            return we_jfail(run, "Replacement index %" PRId64 " out of range for positional args tuple", index);
        value = braces->args->values[index];
    } else {
        for (size_t i = 0; i < braces->args->num_named; i++)
            if (we_str_equal(braces->args->names[i], first))
                value = braces->args->named[i];
        if (value.kind == WE_J_MISSING)
            return we_jfail(run, "the format names '%.*s', which was not given", WE_STR_ARG(first));
    }
    while (end < field.length && value.kind != WE_J_FAILED) {
        bool attribute = field.data[end] == '.';
        size_t start = ++end;
        while (end < field.length && (attribute ? field.data[end] != '.' && field.data[end] != '[' : field.data[end] != ']'))
            end++;
        struct we_str name = we_str(field.data + start, end - start);
        if (name.length == 0 || (!attribute && end == field.length))
            return we_jfail(run, "Empty attribute in format string");
        bool is_index = !attribute && as_index(name, &index);
        value = attribute ? we_jget_attribute(run, value, name) : we_jget_item(run, value, is_index ? we_jint(index) : we_jstring(name));
        end += !attribute;
        if (!attribute && end < field.length && field.data[end] != '.' && field.data[end] != '[')
            return we_jfail(run, "Only '.' or '[' may follow ']' in format field specifier");
    }
    return value;
}

static bool write_braces(struct braces *braces, struct we_str format);

/* What is between a pair of braces. */
static bool write_field(struct braces *braces, struct we_str text)
{
    struct we_jrun *run = braces->run;
    size_t end = 0, nested = 0;
    while (end < text.length && (nested || (text.data[end] != '!' && text.data[end] != ':'))) {
        nested += text.data[end] == '[';
        nested -= text.data[end] == ']' && nested;
        end++;
    }
    struct we_jvalue value = field_value(braces, we_str(text.data, end));
    char conversion = '\0';
    if (end < text.length && text.data[end] == '!') {
        conversion = end + 1 < text.length ? text.data[end + 1] : '?';
        end += 2;
        if (end < text.length ? text.data[end] != ':' : end > text.length) {
            we_jfail(run, "expected ':' after conversion specifier");
            return false;
        }
    }
    if (value.kind == WE_J_FAILED)
        return false;
    if (conversion == 's') {
        value = we_jto_string(run, value);
    } else if (conversion == 'r') {
        size_t begin = we_jtext_begin(run);
        value = we_jprint_repr(run, value) ? we_jtext_end(run, begin) : we_jfailed();
    } else if (conversion) {
        we_jfail(run, "Unknown conversion specifier '%c', or one that is not supported", conversion);
        return false;
    }
    size_t begin = we_jtext_begin(run);
    if (end < text.length && !write_braces(braces, we_str(text.data + end + 1, text.length - end - 1)))
        return false;
    struct we_jvalue spec = we_jtext_end(run, begin);
    if (spec.kind == WE_J_FAILED || value.kind == WE_J_FAILED)
        return false;
    bool markup = braces->escapes && value.kind == WE_J_STRING && value.flags & WE_J_MARKUP;
    if (markup && spec.length) {
        we_jfail(run, "Unsupported format specification for Markup.");
        return false;
    }
    struct we_jvalue result = markup ? value : we_jformat_value(run, value, we_jtext(spec));
    if (braces->escapes && result.kind != WE_J_FAILED)
        result = we_jescape(run, result);
    return result.kind != WE_J_FAILED && we_jwrite(run, we_jtext(result));
}

static bool write_braces(struct braces *braces, struct we_str format)
{
    struct we_jrun *run = braces->run;
    if (braces->depth >= 2) {
        we_jfail(run, "Max string recursion exceeded");
        return false;
    }
    braces->depth++;
    bool fine = we_jcharge_bytes(run, format.length);
    for (size_t i = 0; fine && i < format.length; i++) {
        char c = format.data[i];
        bool doubled = i + 1 < format.length && format.data[i + 1] == c;
        if ((c == '{' || c == '}') && doubled) {
            fine = we_jwrite(run, we_str(&c, 1));
            i++;
        } else if (c == '}') {
            we_jfail(run, "Single '}' encountered in format string");
            fine = false;
        } else if (c == '{') {
            size_t start = ++i, open = 1;
            for (; i < format.length; i++) {
                open += format.data[i] == '{';
                open -= format.data[i] == '}';
                if (open == 0)
                    break;
            }
            if (i >= format.length) {
                we_jfail(run, "expected '}' before end of string");
                return false;
            }
            fine = write_field(braces, we_str(format.data + start, i - start));
        } else {
            fine = we_jwrite(run, we_str(&c, 1));
        }
    }
    braces->depth--;
    return fine;
}

struct we_jvalue we_jformat_braces(struct we_jrun *run, struct we_jvalue format, const struct we_jargs *args)
{
    struct braces braces = {.run = run, .args = args, .escapes = format.flags & WE_J_MARKUP};
    size_t begin = we_jtext_begin(run);
    if (!write_braces(&braces, we_jtext(format)))
        return we_jfailed();
    struct we_jvalue text = we_jtext_end(run, begin);
    return braces.escapes ? we_jmarkup(text) : text;
}

/* ---- "%s" % x ---- */

struct percent {
    struct we_jrun *run;
    struct we_jvalue arguments;
    size_t next;
    bool markup;
};

static struct we_jvalue next_argument(struct percent *percent)
{
    bool tuple = percent->arguments.kind == WE_J_TUPLE;
    size_t count = tuple ? percent->arguments.list->count : 1;
    if (percent->next >= count)
        return we_jfail(percent->run, "not enough arguments for format string");
    size_t at = percent->next++;
    return tuple ? percent->arguments.list->items[at] : percent->arguments;
}

static bool percent_size(struct percent *percent, struct we_str *text, int64_t *value)
{
    if (!take(text, '*'))
        return take_number(percent->run, text, value);
    struct we_jvalue given = next_argument(percent);
    if (given.kind != WE_J_FAILED && !we_jis_int(given))
        we_jfail(percent->run, "* wants int");
    if (given.kind == WE_J_FAILED || !we_jis_int(given))
        return false;
    *value = we_jas_int(given);
    if (*value > MOST_WIDTH || *value < -MOST_WIDTH) {
        we_jfail(percent->run, "a width or precision in a format that is too large");
        return false;
    }
    return true;
}

static struct we_jvalue convert_text(struct percent *percent, struct we_jvalue value, char type)
{
    struct we_jrun *run = percent->run;
    if (type == 's')
        return percent->markup ? we_jescape(run, value) : we_jto_string(run, value);
    if (type == 'a')
        return we_jfail(run, "%%a in a format, which is not supported");
    size_t begin = we_jtext_begin(run);
    value = we_jprint_repr(run, value) ? we_jtext_end(run, begin) : we_jfailed();
    return percent->markup ? we_jescape(run, value) : value;
}

static struct we_jvalue convert(struct percent *percent, struct we_jvalue value, struct spec *spec)
{
    struct we_jrun *run = percent->run;
    char type = spec->type;
    if (strchr("sra", type)) {
        value = convert_text(percent, value, type);
        spec->align = spec->align ? spec->align : '>';
        spec->fill = we_str_c(" ");
        return value.kind == WE_J_FAILED ? value : format_text(run, value, spec);
    }
    if (type == 'c') {
        char bytes[4];
        bool code = we_jis_int(value) && we_jas_int(value) >= 0 && we_jas_int(value) <= 0x10FFFF &&
                    !(we_jas_int(value) >= 0xD800 && we_jas_int(value) <= 0xDFFF);
        if (!code && (value.kind != WE_J_STRING || we_jcharacters(we_jtext(value)) != 1))
            return we_jfail(run, "%%c requires int or char");
        if (code)
            value = we_jcopy(run, we_str(bytes, we_utf8_encode((uint32_t)we_jas_int(value), bytes)));
        spec->precision = -1;
        spec->align = spec->align ? spec->align : '>';
        return value.kind == WE_J_FAILED ? value : format_text(run, value, spec);
    }
    if (value.kind == WE_J_UNDEFINED)
        return we_jfail_undefined(run, value);
    if (!we_jis_number(value))
        return strchr("diu", type) ? we_jfail(run, "%%%c format: a real number is required, not %s", type, we_jtype_name(value))
               : strchr("oxX", type) ? we_jfail(run, "%%%c format: an integer is required, not %s", type, we_jtype_name(value))
                                     : we_jfail(run, "must be real number, not %s", we_jtype_name(value));
    if (strchr("eEfFgG", type)) {
        spec->precision = spec->precision < 0 ? 6 : spec->precision;
        return format_float(run, we_jas_double(value), spec);
    }
    int64_t integer = value.kind == WE_J_FLOAT ? 0 : we_jas_int(value);
    if (value.kind == WE_J_FLOAT && (strchr("oxX", type) || !we_jdouble_to_int(trunc(value.number), &integer)))
        return we_jfail(run, "%%%c format: an integer is required, not float", type);
    spec->type = strchr("diu", type) ? 'd' : type;
    return format_int(run, integer, spec, true);
}

/* A conversion after '%'; moves past it. */
static bool write_conversion(struct percent *percent, struct we_str *text)
{
    struct we_jrun *run = percent->run;
    struct spec spec = {.fill = we_str_c(" "), .precision = -1};
    struct we_jvalue value = we_jkind_value(WE_J_MISSING);
    if (take(text, '(')) {
        size_t end = 0, open = 1;
        for (; end < text->length; end++) {
            open += text->data[end] == '(';
            open -= text->data[end] == ')';
            if (open == 0)
                break;
        }
        if (end >= text->length || percent->arguments.kind != WE_J_DICT) {
            we_jfail(run, end >= text->length ? "incomplete format key" : "format requires a mapping");
            return false;
        }
        struct we_jvalue key = we_jstring(we_str(text->data, end));
        int known = we_jdict_get(run, percent->arguments.dict, key, &value);
        if (known != 1) {
            we_jfail(run, "the format names '%.*s', which was not given", WE_STR_ARG(we_jtext(key)));
            return false;
        }
        *text = we_str(text->data + end + 1, text->length - end - 1);
    }
    bool left = false, zero = false;
    for (char flag; (flag = take_one_of(text, "-+ #0")) != '\0';) {
        left = left || flag == '-';
        zero = zero || flag == '0';
        spec.alternate = spec.alternate || flag == '#';
        if (flag == '+' || (flag == ' ' && spec.sign == '\0'))
            spec.sign = flag;
    }
    if (!percent_size(percent, text, &spec.width))
        return false;
    if (take(text, '.')) {
        spec.precision = 0;
        if (!percent_size(percent, text, &spec.precision))
            return false;
        spec.precision = spec.precision < 0 ? 0 : spec.precision;
    }
    left = left || spec.width < 0;
    spec.width = spec.width < 0 ? -spec.width : spec.width;
    spec.align = left ? '<' : '\0';
    spec.zero = zero && !left;
    take_one_of(text, "hlL");
    spec.type = text->length ? text->data[0] : '\0';
    if (spec.type == '%' && take(text, '%'))
        return we_jwrite_c(run, "%");
    if (spec.type == '\0' || !strchr("diouxXeEfFgGcrsa", spec.type)) {
        if (text->length)
            we_jfail(run, "unsupported format character '%c'", spec.type);
        else
            we_jfail(run, "incomplete format");
        return false;
    }
    take(text, spec.type);
    if (value.kind == WE_J_MISSING)
        value = next_argument(percent);
    value = value.kind == WE_J_FAILED ? value : convert(percent, value, &spec);
    return value.kind != WE_J_FAILED && we_jwrite(run, we_jtext(value));
}

struct we_jvalue we_jformat_percent(struct we_jrun *run, struct we_jvalue format, struct we_jvalue arguments)
{
    if (arguments.kind == WE_J_FAILED)
        return arguments;
    struct percent percent = {.run = run, .arguments = arguments, .markup = format.flags & WE_J_MARKUP};
    struct we_str text = we_jtext(format);
    size_t begin = we_jtext_begin(run);
    while (text.length) {
        const char *at = memchr(text.data, '%', text.length);
        size_t plain = at ? (size_t)(at - text.data) : text.length;
        if (!we_jwrite(run, we_str(text.data, plain)))
            return we_jfailed();
        text = we_str(text.data + plain, text.length - plain);
        if (text.length && (!take(&text, '%') || !write_conversion(&percent, &text)))
            return we_jfailed();
    }
    bool mapping = arguments.kind == WE_J_DICT || arguments.kind == WE_J_LIST || arguments.kind == WE_J_RANGE ||
                   arguments.kind == WE_J_UNDEFINED;
    if (arguments.kind == WE_J_TUPLE ? percent.next < arguments.list->count : percent.next == 0 && !mapping)
        return we_jfail(run, "not all arguments converted during string formatting");
    struct we_jvalue result = we_jtext_end(run, begin);
    return percent.markup ? we_jmarkup(result) : result;
}
