/* A rendering from the outside: its limits, its text, its errors. */
#include "text/jinja_run.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

/* ---- failing ---- */

static struct we_jvalue fail(struct we_jrun *run, we_status status, const char *format, va_list args)
{
    if (run->status != WE_OK)
        return we_jfailed();
    char message[1000];
    vsnprintf(message, sizeof message, format, args);
    if (run->at)
        run->status = we_error_set(run->error, status, "%s: line %u, column %u: %s", run->jinja->name, run->at->line,
                                   run->at->column, message);
    else
        run->status = we_error_set(run->error, status, "%s: %s", run->jinja->name, message);
    return we_jfailed();
}

struct we_jvalue we_jfail(struct we_jrun *run, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct we_jvalue result = fail(run, WE_TEMPLATE_ERROR, format, args);
    va_end(args);
    return result;
}

struct we_jvalue we_jfail_status(struct we_jrun *run, we_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct we_jvalue result = fail(run, status, format, args);
    va_end(args);
    return result;
}

struct we_jvalue we_jfail_undefined(struct we_jrun *run, struct we_jvalue undefined)
{
    size_t begin = we_jtext_begin(run);
    const struct we_jnode *at = run->at;
    if (!we_jprint_undefined_message(run, undefined.undefined))
        return we_jfailed();
    run->at = at;
    struct we_str message = we_str(run->text->data + begin, run->text->length - begin);
    struct we_jvalue result = we_jfail(run, "%.*s", (int)(message.length > 600 ? 600 : message.length), message.data);
    we_jtext_drop(run, begin);
    return result;
}

bool we_jout_of_steps(struct we_jrun *run)
{
    run->steps = 0;
    we_jfail(run, "the template takes too long: it was stopped after the number of steps that is allowed");
    return false;
}

bool we_jtoo_deep(struct we_jrun *run)
{
    we_jfail(run, "the template nests too deeply (maximum recursion depth exceeded)");
    return false;
}

void we_jmemory_spent(struct we_jrun *run)
{
    we_jfail_status(run, WE_OUT_OF_MEMORY, "the template needs more than the %zu MB of memory that its values may take",
                    run->memory / 1000000);
}

/* ---- text ---- */

static bool too_much_text(struct we_jrun *run)
{
    we_jmemory_spent(run);
    return false;
}

bool we_jwrite(struct we_jrun *run, struct we_str text)
{
    struct we_buf *buf = run->text;
    if (run->status != WE_OK || !we_jcharge_bytes(run, text.length))
        return false;
    if (text.length >= buf->capacity - buf->length || buf->capacity == 0) {
        /* Growing holds the old and the new text for a moment; what the arena may take shrinks with it. */
        size_t need = buf->length + text.length + 1, grown = need + need / 2;
        if (run->arena.used > run->memory || need > run->memory || grown + buf->capacity > run->memory - run->arena.used)
            return too_much_text(run);
        if (!we_buf_reserve(buf, text.length))
            return too_much_text(run);
        run->arena.limit = run->memory > buf->capacity ? run->memory - buf->capacity : 1;
    }
    return we_buf_append(buf, text) || too_much_text(run);
}

bool we_jwrite_repeat(struct we_jrun *run, struct we_str text, size_t times)
{
    size_t total;
    if (text.length == 0 || times == 0)
        return true;
    if (__builtin_mul_overflow(text.length, times, &total) || total > run->memory)
        return too_much_text(run);
    for (size_t i = 0; i < times; i++)
        if (!we_jwrite(run, text))
            return false;
    return true;
}

struct we_jvalue we_jtext_end(struct we_jrun *run, size_t begin)
{
    if (run->status != WE_OK)
        return we_jfailed();
    struct we_buf *buf = run->text;
    struct we_jvalue value = we_jcopy(run, we_str(buf->data ? buf->data + begin : "", buf->length - begin));
    we_jtext_drop(run, begin);
    return value;
}

void we_jtext_drop(struct we_jrun *run, size_t begin)
{
    run->text->length = begin;
    if (run->text->data)
        run->text->data[begin] = '\0';
}

/* ---- rendering ---- */

/* The variables of the request that the template names, over the globals. */
static bool fill_context(struct we_jrun *run, const struct we_json *variables)
{
    const struct we_jinja *jinja = run->jinja;
    run->context = we_jalloc(run, jinja->num_names, sizeof *run->context);
    struct we_jvalue places = we_jdict(run, WE_J_DICT);
    if (run->context == NULL || places.kind == WE_J_FAILED)
        return false;
    for (size_t i = 0; variables && variables->kind == WE_JSON_OBJECT && i < variables->count; i++)
        if (!we_jdict_put(run, places.dict, we_jstring(variables->keys[i]), we_jint((int64_t)i)))
            return false;
    for (size_t i = 0; i < jinja->num_names; i++) {
        const struct we_jvalue *place = we_jdict_find(run, places.dict, jinja->names[i]);
        run->context[i] = place ? we_jfrom_json(run, &variables->items[place->integer]) : we_jglobal(jinja->names[i]);
        if (run->context[i].kind == WE_J_FAILED)
            return false;
    }
    return true;
}

static bool render(struct we_jrun *run, const struct we_json *variables)
{
    const struct we_jinja *jinja = run->jinja;
    run->stack = we_jalloc(run, WE_J_STACK, sizeof *run->stack);
    if (run->stack == NULL || !fill_context(run, variables))
        return false;
    struct we_jframe *frame = we_jframe_new(run, &jinja->code, NULL);
    if (frame == NULL)
        return false;
    if (jinja->self_slot != WE_J_NO_SLOT)
        frame->slots[jinja->self_slot] = we_jkind_value(WE_J_SELF);
    we_jscope_enter(run, frame, &jinja->scope);
    return we_jexec(run, frame, jinja->body) != WE_J_STOP;
}

we_status we_jinja_render(const struct we_jinja *jinja, const struct we_json *variables, const struct we_jinja_limits *limits,
                          struct we_buf *out, struct we_error *error)
{
    struct we_jrun run = {.jinja = jinja, .error = error, .text = out, .memory = WE_JINJA_MEMORY, .steps = WE_JINJA_STEPS};
    if (limits && limits->memory)
        run.memory = limits->memory < UINT32_MAX / 2 ? limits->memory : UINT32_MAX / 2;
    run.memory -= jinja->arena.used < run.memory ? jinja->arena.used : run.memory - 1;
    if (limits && limits->steps)
        run.steps = limits->steps;
    uint64_t steps = run.steps;
    run.now = limits && limits->now ? limits->now : (int64_t)time(NULL);
    run.arena.limit = run.memory;
    size_t before = out->length;
    if (!render(&run, variables)) {
        if (run.status == WE_OK)
            we_jfail(&run, "the template failed");
        we_jtext_drop(&run, before);
    } else if (out->failed) {
        run.status = we_error_memory(error, "the text of a chat template");
    }
    if (limits && limits->use)
        *limits->use =
            (struct we_jinja_use){.steps = steps - run.steps, .memory = jinja->arena.used + run.arena.used + out->capacity};
    we_arena_free(&run.arena);
    return run.status;
}
