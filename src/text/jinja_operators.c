/* Arithmetic, concatenation and comparison. */
#include "text/jinja_run.h"

#include <math.h>

static const char *symbol(enum we_joperator operator)
{
    static const char *const symbols[] = {"+", "-", "*", "/", "//", "%", "** or pow()", "==", "!=", "<", "<=", ">", ">="};
    return symbols[operator];
}

/* ---- strings ---- */

struct we_jvalue we_jconcat(struct we_jrun *run, struct we_str a, struct we_str b)
{
    enum { GROWING = 256 };
    if (a.length == 0 || b.length == 0)
        return we_jstring(a.length ? a : b);
    size_t total = a.length + b.length;
    if (!we_jcharge_bytes(run, b.length))
        return we_jfailed();
    for (size_t i = 0; total >= GROWING && i < 4; i++) {
        struct we_jtail *tail = &run->tails[i];
        /* Nothing else has been written behind a: what a points to does not change. */
        if (tail->data && a.data >= tail->data && a.data + a.length == tail->data + tail->used &&
            tail->capacity - tail->used >= b.length) {
            memcpy(tail->data + tail->used, b.data, b.length);
            tail->used += b.length;
            return we_jstring(we_str(a.data, total));
        }
    }
    size_t capacity = total >= GROWING ? 2 * total : total;
    char *data = we_jalloc(run, capacity, 1);
    if (data == NULL)
        return we_jfailed();
    memcpy(data, a.data, a.length);
    memcpy(data + a.length, b.data, b.length);
    if (total >= GROWING)
        run->tails[run->next_tail++ % 4] = (struct we_jtail){.data = data, .used = total, .capacity = capacity};
    return we_jstring(we_str(data, total));
}

struct we_jvalue we_jescape(struct we_jrun *run, struct we_jvalue value)
{
    if (value.kind == WE_J_STRING && value.flags & WE_J_MARKUP)
        return value;
    value = we_jto_string(run, value);
    if (value.kind == WE_J_FAILED)
        return value;
    size_t begin = we_jtext_begin(run), plain = 0;
    struct we_str text = we_jtext(value);
    bool fine = we_jcharge_bytes(run, text.length);
    for (size_t i = 0; fine && i < text.length; i++) {
        const char *entity = text.data[i] == '&'    ? "&amp;"
                             : text.data[i] == '<'  ? "&lt;"
                             : text.data[i] == '>'  ? "&gt;"
                             : text.data[i] == '\'' ? "&#39;"
                             : text.data[i] == '"'  ? "&#34;"
                                                    : NULL;
        if (entity == NULL)
            continue;
        fine = we_jwrite(run, we_str(text.data + plain, i - plain)) && we_jwrite_c(run, entity);
        plain = i + 1;
    }
    if (plain == 0)
        return fine ? we_jmarkup(value) : we_jfailed();
    fine = fine && we_jwrite(run, we_str(text.data + plain, text.length - plain));
    return fine ? we_jmarkup(we_jtext_end(run, begin)) : we_jfailed();
}

static struct we_jvalue add_strings(struct we_jrun *run, struct we_jvalue a, struct we_jvalue b)
{
    bool markup = (a.flags | b.flags) & WE_J_MARKUP;
    if (markup) {
        a = we_jescape(run, a);
        b = we_jescape(run, b);
        if (a.kind == WE_J_FAILED || b.kind == WE_J_FAILED)
            return we_jfailed();
    }
    struct we_jvalue sum = we_jconcat(run, we_jtext(a), we_jtext(b));
    return markup ? we_jmarkup(sum) : sum;
}

static struct we_jvalue add_lists(struct we_jrun *run, struct we_jvalue a, struct we_jvalue b)
{
    struct we_jvalue sum = we_jlist(run, a.kind, a.list->count + b.list->count);
    if (sum.kind == WE_J_FAILED)
        return sum;
    if (a.list->count)
        memcpy(sum.list->items, a.list->items, a.list->count * sizeof *sum.list->items);
    if (b.list->count)
        memcpy(sum.list->items + a.list->count, b.list->items, b.list->count * sizeof *sum.list->items);
    return sum;
}

static struct we_jvalue repeat(struct we_jrun *run, struct we_jvalue value, int64_t times)
{
    size_t n = times > 0 ? (size_t)times : 0;
    if (value.kind == WE_J_STRING) {
        size_t begin = we_jtext_begin(run);
        if (!we_jwrite_repeat(run, we_jtext(value), n))
            return we_jfailed();
        struct we_jvalue text = we_jtext_end(run, begin);
        return value.flags & WE_J_MARKUP ? we_jmarkup(text) : text;
    }
    size_t total;
    if (__builtin_mul_overflow(value.list->count, n, &total))
        total = SIZE_MAX / sizeof(struct we_jvalue);
    struct we_jvalue result = we_jlist(run, value.kind, total);
    for (size_t i = 0; result.kind != WE_J_FAILED && i < total; i++)
        result.list->items[i] = value.list->items[i % value.list->count];
    return result;
}

/* ---- numbers ---- */

static struct we_jvalue too_large(struct we_jrun *run)
{
    return we_jfail(run, "the result is an integer beyond 64 bits, which is not supported");
}

static struct we_jvalue power_int(struct we_jrun *run, int64_t base, int64_t exponent)
{
    if (exponent < 0)
        return base == 0 ? we_jfail(run, "0.0 cannot be raised to a negative power")
                         : we_jfloat(pow((double)base, (double)exponent));
    int64_t result = 1;
    while (exponent) {
        if ((exponent & 1) && __builtin_mul_overflow(result, base, &result))
            return too_large(run);
        exponent >>= 1;
        if (exponent && __builtin_mul_overflow(base, base, &base))
            return too_large(run);
    }
    return we_jint(result);
}

static struct we_jvalue divide_int(struct we_jrun *run, enum we_joperator operator, int64_t a, int64_t b)
{
    if (b == 0)
        return we_jfail(run, operator == WE_J_DIV ? "division by zero" : "integer division or modulo by zero");
    if (operator == WE_J_DIV)
        return we_jfloat((double)((long double)a / (long double)b));
    if (b == -1)
        return operator == WE_J_MOD ? we_jint(0) : a == INT64_MIN ? too_large(run) : we_jint(-a);
    int64_t quotient = a / b, remainder = a % b;
    if (remainder != 0 && (remainder < 0) != (b < 0)) {
        quotient--;
        remainder += b;
    }
    return we_jint(operator == WE_J_MOD ? remainder : quotient);
}

static struct we_jvalue integers(struct we_jrun *run, enum we_joperator operator, int64_t a, int64_t b)
{
    int64_t result;
    bool overflow;
    switch (operator) {
    case WE_J_ADD:
        overflow = __builtin_add_overflow(a, b, &result);
        break;
    case WE_J_SUB:
        overflow = __builtin_sub_overflow(a, b, &result);
        break;
    case WE_J_MUL:
        overflow = __builtin_mul_overflow(a, b, &result);
        break;
    case WE_J_POW:
        return power_int(run, a, b);
    default:
        return divide_int(run, operator, a, b);
    }
    return overflow ? too_large(run) : we_jint(result);
}

static struct we_jvalue power_float(struct we_jrun *run, double a, double b)
{
    if (a == 0 && b < 0)
        return we_jfail(run, "0.0 cannot be raised to a negative power");
    if (a < 0 && isfinite(a) && isfinite(b) && b != floor(b))
        return we_jfail(run, "a fractional power of a negative number, which is not supported");
    double result = pow(a, b);
    if (isinf(result) && isfinite(a) && isfinite(b))
        return we_jfail(run, "numerical result out of range");
    return we_jfloat(result);
}

static struct we_jvalue divide_float(struct we_jrun *run, enum we_joperator operator, double a, double b)
{
    if (b == 0)
        return we_jfail(run, operator == WE_J_DIV        ? "float division by zero"
                             : operator == WE_J_FLOORDIV ? "float floor division by zero"
                                                         : "float modulo");
    if (operator == WE_J_DIV)
        return we_jfloat(a / b);
    double remainder = fmod(a, b), quotient = (a - remainder) / b;
    if (remainder == 0) {
        remainder = copysign(0, b);
    } else if ((b < 0) != (remainder < 0)) {
        remainder += b;
        quotient -= 1;
    }
    if (operator == WE_J_MOD)
        return we_jfloat(remainder);
    if (quotient == 0)
        return we_jfloat(copysign(0, a / b));
    double whole = floor(quotient);
    return we_jfloat(quotient - whole > 0.5 ? whole + 1 : whole);
}

static struct we_jvalue floats(struct we_jrun *run, enum we_joperator operator, double a, double b)
{
    switch (operator) {
    case WE_J_ADD:
        return we_jfloat(a + b);
    case WE_J_SUB:
        return we_jfloat(a - b);
    case WE_J_MUL:
        return we_jfloat(a * b);
    case WE_J_POW:
        return power_float(run, a, b);
    default:
        return divide_float(run, operator, a, b);
    }
}

static struct we_jvalue wrong_operands(struct we_jrun *run, enum we_joperator operator, struct we_jvalue a, struct we_jvalue b)
{
    if (a.kind == WE_J_UNDEFINED || b.kind == WE_J_UNDEFINED)
        return we_jfail_undefined(run, a.kind == WE_J_UNDEFINED ? a : b);
    if (a.kind == WE_J_BIG || b.kind == WE_J_BIG)
        return we_jfail(run, "an integer beyond 64 bits as an operand, which is not supported");
    if (operator == WE_J_ADD && (a.kind == WE_J_STRING || we_jis_sequence(a)))
        return we_jfail(run, "can only concatenate %s (not \"%s\") to %s", we_jtype_name(a), we_jtype_name(b), we_jtype_name(a));
    return we_jfail(run, "unsupported operand type(s) for %s: '%s' and '%s'", symbol(operator), we_jtype_name(a), we_jtype_name(b));
}

struct we_jvalue we_jbinary(struct we_jrun *run, enum we_joperator operator, struct we_jvalue a, struct we_jvalue b)
{
    if (a.kind == WE_J_FAILED || b.kind == WE_J_FAILED)
        return we_jfailed();
    if (we_jis_number(a) && we_jis_number(b)) {
        if (a.kind == WE_J_FLOAT || b.kind == WE_J_FLOAT)
            return floats(run, operator, we_jas_double(a), we_jas_double(b));
        return integers(run, operator, we_jas_int(a), we_jas_int(b));
    }
    bool sequence = a.kind == WE_J_STRING || we_jis_sequence(a);
    if (operator == WE_J_ADD && sequence && a.kind == b.kind)
        return a.kind == WE_J_STRING ? add_strings(run, a, b) : add_lists(run, a, b);
    if (operator == WE_J_MUL && sequence && we_jis_int(b))
        return repeat(run, a, we_jas_int(b));
    if (operator == WE_J_MUL && we_jis_int(a) && (b.kind == WE_J_STRING || we_jis_sequence(b)))
        return repeat(run, b, we_jas_int(a));
    if (operator == WE_J_MOD && a.kind == WE_J_STRING)
        return we_jformat_percent(run, a, b);
    return wrong_operands(run, operator, a, b);
}

struct we_jvalue we_jnegate(struct we_jrun *run, struct we_jvalue a, bool negative)
{
    if (we_jis_int(a)) {
        int64_t value = we_jas_int(a);
        if (negative && value == INT64_MIN)
            return too_large(run);
        return we_jint(negative ? -value : value);
    }
    if (a.kind == WE_J_FLOAT)
        return we_jfloat(negative ? -a.number : a.number);
    if (a.kind == WE_J_FAILED)
        return a;
    if (a.kind == WE_J_UNDEFINED)
        return we_jfail_undefined(run, a);
    return we_jfail(run, "bad operand type for unary %s: '%s'", negative ? "-" : "+", we_jtype_name(a));
}

int we_jcompare(struct we_jrun *run, enum we_joperator operator, struct we_jvalue a, struct we_jvalue b)
{
    int result;
    switch (operator) {
    case WE_J_EQ:
        return we_jequal(run, a, b);
    case WE_J_NE:
        result = we_jequal(run, a, b);
        return result < 0 ? -1 : !result;
    case WE_J_IN:
        return we_jcontains(run, b, a);
    case WE_J_NOT_IN:
        result = we_jcontains(run, b, a);
        return result < 0 ? -1 : !result;
    default:
        return we_jorder(run, a, b, symbol(operator));
    }
}
