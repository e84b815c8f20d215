/* Calls: of functions, methods, macros. And the functions that every template has. */
#include "text/jinja_run.h"

#include <locale.h>
#include <stdio.h>
#include <time.h>

/* ---- arguments ---- */

bool we_jarg_int(struct we_jrun *run, struct we_jvalue value, int64_t missing, int64_t *result)
{
    *result = missing;
    if (value.kind == WE_J_MISSING)
        return true;
    if (value.kind == WE_J_UNDEFINED)
        we_jfail_undefined(run, value);
    else if (!we_jis_int(value))
        we_jfail(run, "'%s' object cannot be interpreted as an integer", we_jtype_name(value));
    else
        *result = we_jas_int(value);
    return we_jis_int(value);
}

bool we_jarg_string(struct we_jrun *run, const char *what, struct we_jvalue value)
{
    if (value.kind == WE_J_STRING)
        return true;
    if (value.kind != WE_J_FAILED)
        we_jfail(run, "%s must be str, not %s", what, we_jtype_name(value));
    return false;
}

static struct we_jvalue call_bound(struct we_jrun *run, const struct we_jcallable *callable, struct we_jvalue self,
                                   const struct we_jargs *args)
{
    struct we_jvalue values[WE_J_MAX_PARAMETERS] = {0};
    size_t given = self.kind != WE_J_MISSING;
    if (args->count + given > callable->most)
        return we_jfail(run, "%s() takes at most %zu arguments (%zu given)", callable->name, callable->most - given, args->count);
    if (given)
        values[0] = self;
    for (size_t i = 0; i < args->count; i++)
        values[given + i] = args->values[i];
    for (size_t i = 0; i < args->num_named; i++) {
        size_t place = 0;
        while (place < callable->most &&
               (callable->parameters[place] == NULL || !we_str_equal_c(args->names[i], callable->parameters[place])))
            place++;
        if (place == callable->most)
            return we_jfail(run, "%s() got an unexpected keyword argument '%.*s'", callable->name, WE_STR_ARG(args->names[i]));
        if (values[place].kind != WE_J_MISSING)
            return we_jfail(run, "%s() got multiple values for argument '%s'", callable->name, callable->parameters[place]);
        values[place] = args->named[i];
    }
    for (size_t i = 0; i < callable->least; i++)
        if (values[i].kind == WE_J_MISSING)
            return we_jfail(run, "%s() is missing a required argument", callable->name);
    return callable->bound(run, values);
}

struct we_jvalue we_jcall_callable(struct we_jrun *run, const struct we_jcallable *callable, struct we_jvalue self,
                                   const struct we_jargs *args)
{
    if (!we_jcharge(run, 2))
        return we_jfailed();
    if (callable->bound)
        return call_bound(run, callable, self, args);
    if (self.kind == WE_J_MISSING)
        return callable->raw(run, args);
    struct we_jargs all = *args;
    all.values = we_jalloc(run, args->count + 1, sizeof *all.values);
    if (all.values == NULL)
        return we_jfailed();
    all.values[0] = self;
    if (args->count)
        memcpy(all.values + 1, args->values, args->count * sizeof *all.values);
    all.count++;
    return callable->raw(run, &all);
}

/* ---- macros ---- */

/* Takes an argument by name, if there is one that nobody has taken yet. */
static struct we_jvalue take_named(const struct we_jargs *args, bool *taken, struct we_str name)
{
    for (size_t i = 0; i < args->num_named; i++) {
        if (taken[i] || !we_str_equal(args->names[i], name))
            continue;
        taken[i] = true;
        return args->named[i];
    }
    return we_jkind_value(WE_J_MISSING);
}

static bool fill_kwargs(struct we_jrun *run, struct we_jframe *frame, const struct we_jmacro_node *macro, const struct we_jargs *args,
                        const bool *taken)
{
    struct we_jvalue rest = macro->kwargs_slot != WE_J_NO_SLOT ? we_jdict(run, WE_J_DICT) : we_jnone();
    if (rest.kind == WE_J_FAILED)
        return false;
    for (size_t i = 0; i < args->num_named; i++) {
        if (taken[i])
            continue;
        if (rest.kind == WE_J_DICT && we_jdict_put(run, rest.dict, we_jstring(args->names[i]), args->named[i]))
            continue;
        struct we_str name = macro->target ? macro->target->name.text : we_str_c("caller");
        if (we_str_equal_c(args->names[i], "caller"))
            we_jfail(run, "macro '%.*s' was invoked with two values for the special caller argument", WE_STR_ARG(name));
        else
            we_jfail(run, "macro '%.*s' takes no keyword argument '%.*s'", WE_STR_ARG(name), WE_STR_ARG(args->names[i]));
        return false;
    }
    if (rest.kind == WE_J_DICT)
        frame->slots[macro->kwargs_slot] = rest;
    return true;
}

static bool fill_varargs(struct we_jrun *run, struct we_jframe *frame, const struct we_jmacro_node *macro, const struct we_jargs *args)
{
    size_t extra = args->count > macro->num_parameters ? args->count - macro->num_parameters : 0;
    if (macro->varargs_slot == WE_J_NO_SLOT) {
        struct we_str name = macro->target ? macro->target->name.text : we_str_c("caller");
        if (extra)
            we_jfail(run, "macro '%.*s' takes not more than %u argument(s)", WE_STR_ARG(name), macro->num_parameters);
        return extra == 0;
    }
    struct we_jvalue rest = we_jlist(run, WE_J_TUPLE, extra);
    if (rest.kind == WE_J_FAILED)
        return false;
    if (extra)
        memcpy(rest.list->items, args->values + macro->num_parameters, extra * sizeof *rest.list->items);
    frame->slots[macro->varargs_slot] = rest;
    return true;
}

static bool fill_parameters(struct we_jrun *run, struct we_jframe *frame, const struct we_jmacro_node *macro, const struct we_jargs *args)
{
    bool *taken = we_jalloc(run, args->num_named, sizeof *taken);
    if (taken == NULL)
        return false;
    size_t i = 0;
    for (const struct we_jnode *parameter = macro->parameters; parameter; parameter = parameter->next, i++)
        frame->slots[parameter->name.slot] = i < args->count ? args->values[i] : take_named(args, taken, parameter->name.text);
    if (macro->caller_slot != WE_J_NO_SLOT) {
        struct we_jvalue caller = take_named(args, taken, we_str_c("caller"));
        if (caller.kind == WE_J_MISSING || caller.kind == WE_J_NONE)
            caller = we_jundefined(run, "No caller defined", we_jkind_value(WE_J_MISSING), we_jstring_c("caller"));
        if (caller.kind == WE_J_FAILED)
            return false;
        frame->slots[macro->caller_slot] = caller;
    }
    return fill_kwargs(run, frame, macro, args, taken) && fill_varargs(run, frame, macro, args);
}

static bool fill_defaults(struct we_jrun *run, struct we_jframe *frame, const struct we_jmacro_node *macro)
{
    const struct we_jnode *value = macro->defaults;
    size_t i = 0, first = macro->num_parameters - macro->num_defaults;
    for (const struct we_jnode *parameter = macro->parameters; parameter; parameter = parameter->next, i++) {
        struct we_jvalue *slot = &frame->slots[parameter->name.slot];
        if (slot->kind == WE_J_MISSING)
            *slot = i >= first ? we_jeval(run, frame, value)
                               : we_jundefined(run, "parameter % was not provided", we_jkind_value(WE_J_MISSING),
                                               we_jstring(parameter->name.text));
        if (slot->kind == WE_J_FAILED)
            return false;
        if (i >= first)
            value = value->next;
    }
    return true;
}

struct we_jframe *we_jmacro_frame(struct we_jrun *run, const struct we_jmacro_node *macro, struct we_jframe *outer,
                                  const struct we_jargs *args)
{
    struct we_jframe *frame = we_jframe_new(run, &macro->code, outer);
    if (frame == NULL || !fill_parameters(run, frame, macro, args))
        return NULL;
    we_jscope_enter(run, frame, &macro->scope);
    return fill_defaults(run, frame, macro) ? frame : NULL;
}

struct we_jvalue we_jcall_macro(struct we_jrun *run, struct we_jmacro *macro, const struct we_jargs *args)
{
    if (!we_jenter(run))
        return we_jfailed();
    const struct we_jmacro_node *node = macro->node->macro.macro;
    struct we_jframe *frame = we_jmacro_frame(run, node, macro->outer, args);
    enum we_jflow flow;
    if (frame == NULL)
        return we_jfailed();
    struct we_jvalue text = we_jcapture(run, frame, node->body, &flow);
    we_jleave(run);
    return text;
}

static struct we_jvalue call_block(struct we_jrun *run, const struct we_jblock *block, const struct we_jargs *args)
{
    size_t begin = we_jtext_begin(run);
    if (args->count || args->num_named)
        return we_jfail(run, "a block takes no arguments");
    return we_jexec_block(run, block) ? we_jtext_end(run, begin) : we_jfailed();
}

struct we_jvalue we_jcall(struct we_jrun *run, struct we_jvalue callee, const struct we_jargs *args)
{
    switch (callee.kind) {
    case WE_J_METHOD:
        return we_jcall_callable(run, callee.method->callable, callee.method->self, args);
    case WE_J_FUNCTION:
        return we_jcall_callable(run, callee.function, we_jkind_value(WE_J_MISSING), args);
    case WE_J_MACRO:
        return we_jcall_macro(run, callee.macro, args);
    case WE_J_LOOP:
        return we_jloop_recurse(run, callee.loop, args);
    case WE_J_BLOCK:
        return call_block(run, callee.block, args);
    case WE_J_JOINER: {
        if (args->count || args->num_named)
            return we_jfail(run, "a joiner takes no arguments when it is called");
        struct we_jvalue text = callee.joiner->used ? callee.joiner->separator : we_jstring_c("");
        callee.joiner->used = true;
        return text;
    }
    case WE_J_UNDEFINED:
        return we_jfail_undefined(run, callee);
    case WE_J_FAILED:
        return callee;
    default:
        return we_jfail(run, "'%s' object is not callable", we_jtype_name(callee));
    }
}

/* ---- global functions ---- */

static struct we_jvalue function_range(struct we_jrun *run, struct we_jvalue *a)
{
    int64_t first, second, step;
    if (!we_jarg_int(run, a[0], 0, &first) || !we_jarg_int(run, a[1], 0, &second) || !we_jarg_int(run, a[2], 1, &step))
        return we_jfailed();
    int64_t start = a[1].kind == WE_J_MISSING ? 0 : first, stop = a[1].kind == WE_J_MISSING ? first : second;
    if (step == 0)
        return we_jfail(run, "range() arg 3 must not be zero");
    __int128 distance = step > 0 ? (__int128)stop - start : (__int128)start - stop, stride = step > 0 ? step : -(__int128)step;
    __int128 count = distance > 0 ? (distance - 1) / stride + 1 : 0;
    if (count > WE_J_MAX_RANGE)
        return we_jfail(run, "Range too big. The sandbox blocks ranges larger than %d.", WE_J_MAX_RANGE);
    struct we_jvalue value = we_jkind_value(WE_J_RANGE);
    value.range = we_jalloc(run, 1, sizeof *value.range);
    if (value.range == NULL)
        return we_jfailed();
    *value.range = (struct we_jrange){.start = start, .stop = stop, .step = step, .count = (size_t)count};
    return value;
}

/* Pairs of an iterable, into a dictionary. */
static bool put_pairs(struct we_jrun *run, struct we_jdict *dict, struct we_jvalue pairs)
{
    struct we_jiter iter;
    struct we_jvalue item;
    size_t count = 0;
    if (!we_jiter_start(run, pairs, &iter))
        return false;
    int more;
    while ((more = we_jiter_next(run, &iter, &item)) == 1) {
        struct we_jvalue pair = we_jto_list(run, item, WE_J_LIST);
        if (pair.kind == WE_J_FAILED)
            return false;
        if (pair.list->count != 2) {
            we_jfail(run, "dictionary update sequence element #%zu has length %zu; 2 is required", count, pair.list->count);
            return false;
        }
        if (!we_jdict_put(run, dict, pair.list->items[0], pair.list->items[1]))
            return false;
        count++;
    }
    return more == 0;
}

bool we_jdict_fill(struct we_jrun *run, struct we_jdict *dict, const struct we_jargs *args)
{
    if (args->count > 1) {
        we_jfail(run, "dict expected at most 1 argument, got %zu", args->count);
        return false;
    }
    struct we_jvalue from = args->count ? args->values[0] : we_jnone();
    if (from.kind == WE_J_UNDEFINED) {
        we_jfail_undefined(run, from);
        return false;
    }
    if (from.kind == WE_J_DICT) {
        for (size_t i = 0; i < from.dict->count; i++)
            if (!we_jdict_put(run, dict, from.dict->entries[i].key, from.dict->entries[i].value))
                return false;
    } else if (args->count && !put_pairs(run, dict, from)) {
        return false;
    }
    for (size_t i = 0; i < args->num_named; i++)
        if (!we_jdict_put(run, dict, we_jstring(args->names[i]), args->named[i]))
            return false;
    return true;
}

static struct we_jvalue function_dict(struct we_jrun *run, const struct we_jargs *args)
{
    struct we_jvalue dict = we_jdict(run, WE_J_DICT);
    return dict.kind != WE_J_FAILED && we_jdict_fill(run, dict.dict, args) ? dict : we_jfailed();
}

static struct we_jvalue function_namespace(struct we_jrun *run, const struct we_jargs *args)
{
    struct we_jvalue namespace = we_jdict(run, WE_J_NAMESPACE);
    if (namespace.kind == WE_J_FAILED || !we_jdict_fill(run, namespace.dict, args))
        return we_jfailed();
    for (size_t i = 0; i < namespace.dict->count; i++) {
        struct we_jvalue name = namespace.dict->entries[i].key;
        if (name.kind == WE_J_STRING && name.length && name.text[0] == '_')
            return we_jfail(run, "underscore-prefixed attributes cannot be stored on a namespace, but got '%.*s'",
                            WE_STR_ARG(we_jtext(name)));
    }
    return namespace;
}

static struct we_jvalue function_cycler(struct we_jrun *run, const struct we_jargs *args)
{
    struct we_jvalue value = we_jkind_value(WE_J_CYCLER);
    if (args->num_named)
        return we_jfail(run, "cycler() takes no keyword arguments");
    if (args->count == 0)
        return we_jfail(run, "at least one item has to be provided");
    value.cycler = we_jalloc(run, 1, sizeof *value.cycler);
    struct we_jvalue *items = we_jalloc(run, args->count, sizeof *items);
    if (value.cycler == NULL || items == NULL)
        return we_jfailed();
    memcpy(items, args->values, args->count * sizeof *items);
    value.cycler->items = (struct we_jlist){.count = args->count, .items = items};
    return value;
}

static struct we_jvalue function_joiner(struct we_jrun *run, struct we_jvalue *a)
{
    struct we_jvalue value = we_jkind_value(WE_J_JOINER);
    value.joiner = we_jalloc(run, 1, sizeof *value.joiner);
    if (value.joiner == NULL)
        return we_jfailed();
    value.joiner->separator = a[0].kind == WE_J_MISSING ? we_jstring_c(", ") : a[0];
    return value;
}

static struct we_jvalue function_lipsum(struct we_jrun *run, const struct we_jargs *args)
{
    (void)args;
    return we_jfail(run, "lipsum() is not supported");
}

static struct we_jvalue function_raise(struct we_jrun *run, struct we_jvalue *a)
{
    const struct we_jnode *at = run->at;
    struct we_jvalue message = we_jto_string(run, a[0]);
    run->at = at;
    if (message.kind == WE_J_FAILED)
        return message;
    return we_jfail(run, "%.*s", (int)(message.length < 900 ? message.length : 900), message.text);
}

/* One directive of a time format: from '%' to its letter. */
static size_t directive_length(struct we_str format)
{
    size_t n = 1;
    while (n < format.length && format.data[n] && strchr("-_0^#123456789EO:", format.data[n]) && n < 12)
        n++;
    if (n >= format.length)
        return n;
    size_t size;
    we_jchar_at(format, n, &size);
    return n + size;
}

static bool write_time(struct we_jrun *run, struct we_str directive, const struct tm *now)
{
    char format[32], text[512];
    char letter = directive.data[directive.length - 1];
    if (letter == 'f' || letter == 'z' || letter == 'Z') /* a time without fraction and zone */
        return we_jwrite_c(run, letter == 'f' ? "000000" : "");
    if (directive.length >= sizeof format)
        return we_jwrite(run, directive);
    memcpy(format, directive.data, directive.length);
    format[directive.length] = '\0';
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    locale_t old = c_locale ? uselocale(c_locale) : (locale_t)0;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    size_t n = strftime(text, sizeof text, format, now);
#pragma GCC diagnostic pop
    if (c_locale) {
        uselocale(old);
        freelocale(c_locale);
    }
    return we_jwrite(run, we_str(text, we_utf8_valid_prefix(we_str(text, n))));
}

static struct we_jvalue function_strftime_now(struct we_jrun *run, struct we_jvalue *a)
{
    time_t seconds = (time_t)run->now;
    struct tm now;
    if (!we_jarg_string(run, "the time format", a[0]))
        return we_jfailed();
    if (localtime_r(&seconds, &now) == NULL)
        return we_jfail(run, "the time cannot be told");
    struct we_str format = we_jtext(a[0]);
    size_t begin = we_jtext_begin(run);
    for (size_t i = 0; i < format.length;) {
        const char *percent = memchr(format.data + i, '%', format.length - i);
        size_t plain = percent ? (size_t)(percent - format.data) : format.length;
        if (!we_jwrite(run, we_str(format.data + i, plain - i)))
            return we_jfailed();
        i = plain;
        if (percent) {
            size_t n = directive_length(we_str(percent, format.length - plain));
            if (!we_jcharge(run, 64) || !write_time(run, we_str(percent, n), &now))
                return we_jfailed();
            i += n;
        }
    }
    return we_jtext_end(run, begin);
}

struct we_jvalue we_jglobal(struct we_str name)
{
    static const struct we_jcallable functions[] = {
        {"range", 1, 3, {0}, function_range, NULL},
        {"dict", 0, 0, {0}, NULL, function_dict},
        {"namespace", 0, 0, {0}, NULL, function_namespace},
        {"cycler", 0, 0, {0}, NULL, function_cycler},
        {"joiner", 0, 1, {"sep"}, function_joiner, NULL},
        {"lipsum", 0, 0, {0}, NULL, function_lipsum},
        {"raise_exception", 1, 1, {"message"}, function_raise, NULL},
        {"strftime_now", 1, 1, {"format"}, function_strftime_now, NULL},
    };
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        if (!we_str_equal_c(name, functions[i].name))
            continue;
        struct we_jvalue value = we_jkind_value(WE_J_FUNCTION);
        value.function = &functions[i];
        return value;
    }
    return we_jkind_value(WE_J_MISSING);
}
