/* Reading exported conversations: the file is from anywhere, so all of it is checked before any of it is kept. */
#include "conversations_store.h"

#include "base/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

struct list {
    void *items; /* in the arena */
    size_t count, room;
};

/* Room for one more item, zeroed; NULL when memory is out. */
static void *grow(struct list *list, size_t size, struct we_arena *arena)
{
    if (list->count == list->room) {
        size_t room = list->room ? list->room * 2 : 8;
        void *items = we_arena_array(arena, room, size);
        if (items == NULL)
            return NULL;
        if (list->count)
            memcpy(items, list->items, list->count * size);
        list->items = items;
        list->room = room;
    }
    return (char *)list->items + list->count++ * size;
}

struct parser {
    struct we_json_reader reader;
    struct we_arena *arena;
};

static bool out_of_memory(struct parser *p)
{
    p->reader.status = we_error_memory(p->reader.error, "an import");
    return false;
}

/* ---- values ---- */

static bool read_text(struct parser *p, const char *what, struct we_str *text)
{
    struct we_json_reader *r = &p->reader;
    struct we_str value;
    enum we_json_kind kind = we_json_peek(r);
    if (kind != WE_JSON_STRING) {
        if (r->status == WE_OK)
            we_json_fail(r, "\"%s\" is to be a text, not %s%s", what, we_json_kind_name(kind),
                         kind == WE_JSON_ARRAY ? "; messages that consist of parts or pictures cannot be imported" : "");
        return false;
    }
    if (!we_json_read_string(r, &value))
        return false;
    if (value.length > WE_LONGEST_TEXT) {
        we_json_fail(r, "\"%s\" has %zu bytes; at most %d can be kept", what, value.length, (int)WE_LONGEST_TEXT);
        return false;
    }
    text->data = we_arena_copy(p->arena, value);
    text->length = value.length;
    return text->data ? true : out_of_memory(p);
}

/* A text or null. */
static bool read_optional_text(struct parser *p, const char *what, struct we_str *text, bool *has)
{
    *has = we_json_peek(&p->reader) != WE_JSON_NULL;
    return *has ? read_text(p, what, text) : we_json_read_null(&p->reader);
}

static bool read_optional_c(struct parser *p, const char *what, const char **text)
{
    struct we_str value = {0};
    bool has;
    if (!read_optional_text(p, what, &value, &has))
        return false;
    *text = has ? value.data : NULL;
    return true;
}

static bool digits(const char **at, int count, int *value)
{
    *value = 0;
    for (; count; count--, (*at)++) {
        if (**at < '0' || **at > '9')
            return false;
        *value = *value * 10 + (**at - '0');
    }
    return true;
}

/* "2026-11-26T14:22:14.123Z", as exports have it. */
static bool parse_time(const char *at, int64_t *ms)
{
    static const int month_days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year, month, day, hour, minute, second, fraction = 0;
    if (!digits(&at, 4, &year) || *at++ != '-' || !digits(&at, 2, &month) || *at++ != '-' || !digits(&at, 2, &day) ||
        *at++ != 'T' || !digits(&at, 2, &hour) || *at++ != ':' || !digits(&at, 2, &minute) || *at++ != ':' ||
        !digits(&at, 2, &second))
        return false;
    if (*at == '.' && (at++, !digits(&at, 3, &fraction)))
        return false;
    if (strcmp(at, "Z") != 0 || year < 1970 || month < 1 || month > 12 || day < 1 || day > month_days[month - 1] || hour > 23 ||
        minute > 59 || second > 60)
        return false;
    /* Days since 1970 by the proleptic Gregorian calendar, the year taken to begin in March. */
    int64_t y = month > 2 ? year : year - 1, day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t days = y * 365 + y / 4 - y / 100 + y / 400 + day_of_year - 719468;
    *ms = ((days * 24 + hour) * 60 + minute) * 60000 + second * 1000 + fraction;
    return true;
}

static bool read_time(struct parser *p, const char *what, int64_t *ms)
{
    struct we_str value = {0};
    bool has;
    if (!read_optional_text(p, what, &value, &has))
        return false;
    if (has && !parse_time(value.data, ms)) {
        we_json_fail(&p->reader, "\"%s\" is to be a time like 2026-11-26T14:22:14.123Z, not \"%.*s\"", what, WE_STR_ARG(value));
        return false;
    }
    return true;
}

static bool read_seconds(struct parser *p, const char *what, double *value)
{
    if (!we_json_read_double(&p->reader, value))
        return false;
    if (!isfinite(*value) || *value < 0) {
        we_json_fail(&p->reader, "\"%s\" is to be a number of seconds", what);
        return false;
    }
    return true;
}

/* ---- a message ---- */

static bool read_role(struct parser *p, const char **role)
{
    static const char *const roles[] = {"user", "assistant", "system", "tool"};
    struct we_str value;
    if (!read_text(p, "role", &value))
        return false;
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
        if (we_str_equal_c(value, roles[i])) {
            *role = roles[i];
            return true;
        }
    we_json_fail(&p->reader, "a message is of \"user\", \"assistant\", \"system\" or \"tool\", not of \"%.*s\"",
                 WE_STR_ARG(value));
    return false;
}

static bool read_state(struct parser *p, enum we_message_state *state)
{
    struct we_str value;
    if (!read_text(p, "state", &value))
        return false;
    for (int i = 0; i < WE_NUM_MESSAGE_STATES; i++)
        if (i != WE_MESSAGE_STREAMING && we_str_equal_c(value, we_message_state_name((enum we_message_state)i))) {
            *state = (enum we_message_state)i;
            return true;
        }
    we_json_fail(&p->reader, "there is no state \"%.*s\" of a message", WE_STR_ARG(value));
    return false;
}

static bool read_id(struct parser *p, const char *what, int64_t *id)
{
    uint64_t value;
    if (!we_json_read_u64(&p->reader, &value))
        return false;
    if (value == 0 || value > INT64_MAX) {
        we_json_fail(&p->reader, "\"%s\" is to be a number from 1 on", what);
        return false;
    }
    *id = (int64_t)value;
    return true;
}

struct raw_message {
    struct we_imported_message m;
    bool has_parent; /* the file says which */
};

static bool read_message_key(struct parser *p, struct we_str key, struct raw_message *raw)
{
    struct we_json_reader *r = &p->reader;
    struct we_message *m = &raw->m.message;
    struct we_figures *f = &m->figures;
    struct we_str text;
    if (we_str_equal_c(key, "id"))
        return read_id(p, "id", &m->id);
    if (we_str_equal_c(key, "parent")) {
        raw->has_parent = true;
        m->parent = 0;
        return we_json_peek(r) == WE_JSON_NULL ? we_json_read_null(r) : read_id(p, "parent", &m->parent);
    }
    if (we_str_equal_c(key, "role"))
        return read_role(p, &m->role);
    if (we_str_equal_c(key, "content")) {
        if (!read_text(p, "content", &text))
            return false;
        m->text = text.data;
        m->length = text.length;
        return true;
    }
    if (we_str_equal_c(key, "shown"))
        return we_json_read_bool(r, &raw->m.shown);
    if (we_str_equal_c(key, "created"))
        return read_time(p, "created", &m->created);
    if (we_str_equal_c(key, "state"))
        return read_state(p, &m->state);
    if (we_str_equal_c(key, "model"))
        return read_optional_c(p, "model", &m->model);
    if (we_str_equal_c(key, "problem"))
        return read_optional_c(p, "problem", &m->problem);
    if (we_str_equal_c(key, "prompt_tokens"))
        return we_json_read_u32(r, &f->prompt_tokens);
    if (we_str_equal_c(key, "cached_tokens"))
        return we_json_read_u32(r, &f->cached_tokens);
    if (we_str_equal_c(key, "generation_tokens"))
        return we_json_read_u32(r, &f->generation_tokens);
    if (we_str_equal_c(key, "prompt_seconds"))
        return read_seconds(p, "prompt_seconds", &f->prompt_seconds);
    if (we_str_equal_c(key, "generation_seconds"))
        return read_seconds(p, "generation_seconds", &f->generation_seconds);
    if (we_str_equal_c(key, "time_to_first_token"))
        return read_seconds(p, "time_to_first_token", &f->time_to_first_token);
    return we_json_skip(r);
}

/* A key may be a view of the reader's scratch memory, which reading a value uses again. */
static bool next_key(struct parser *p, struct we_str *key)
{
    if (!we_json_next_key(&p->reader, key))
        return false;
    key->data = we_arena_copy(p->arena, *key);
    return key->data ? true : out_of_memory(p);
}

static bool read_message(struct parser *p, struct list *messages)
{
    struct raw_message *raw = grow(messages, sizeof *raw, p->arena);
    struct we_str key;
    if (raw == NULL)
        return out_of_memory(p);
    if (!we_json_enter_object(&p->reader))
        return false;
    while (next_key(p, &key))
        if (!read_message_key(p, key, raw))
            return false;
    if (p->reader.status != WE_OK)
        return false;
    if (!raw->m.message.role || !raw->m.message.text) {
        we_json_fail(&p->reader, "a message has no \"%s\"", raw->m.message.role ? "content" : "role");
        return false;
    }
    return true;
}

/* ---- the tree ---- */

struct place {
    int64_t id;
    size_t index;
};

static int by_id(const void *a, const void *b)
{
    int64_t x = ((const struct place *)a)->id, y = ((const struct place *)b)->id;
    return x < y ? -1 : x > y;
}

/* Ids of the file become indices; a message without a parent follows the one before it. */
static bool link_messages(struct parser *p, struct raw_message *raw, size_t count)
{
    struct place *places = we_arena_array(p->arena, count, sizeof *places);
    size_t n = 0;
    if (places == NULL)
        return out_of_memory(p);
    for (size_t i = 0; i < count; i++)
        if (raw[i].m.message.id)
            places[n++] = (struct place){raw[i].m.message.id, i};
    qsort(places, n, sizeof *places, by_id);
    for (size_t i = 1; i < n; i++)
        if (places[i].id == places[i - 1].id) {
            we_json_fail(&p->reader, "two messages of this conversation have the id %" PRId64, places[i].id);
            return false;
        }
    for (size_t i = 0; i < count; i++) {
        struct we_message *m = &raw[i].m.message;
        if (!raw[i].has_parent) {
            m->parent = (int64_t)i;
            continue;
        }
        if (m->parent == 0)
            continue;
        const struct place wanted = {m->parent, 0}, *place = bsearch(&wanted, places, n, sizeof *places, by_id);
        if (place == NULL || place->index >= i) {
            we_json_fail(&p->reader, "the parent of a message, %" PRId64 ", does not stand before it", m->parent);
            return false;
        }
        m->parent = (int64_t)place->index + 1;
    }
    return true;
}

/* Of the messages with one parent one is shown: the last that says so, or else the last. */
static bool choose_shown(struct parser *p, struct raw_message *raw, size_t count)
{
    struct {
        size_t last;
        bool said;
    } *chosen = we_arena_array(p->arena, count + 1, sizeof *chosen);
    if (chosen == NULL)
        return out_of_memory(p);
    for (size_t i = 0; i < count; i++) {
        size_t parent = (size_t)raw[i].m.message.parent;
        if (raw[i].m.shown || !chosen[parent].said) {
            chosen[parent].last = i;
            chosen[parent].said |= raw[i].m.shown;
        }
    }
    for (size_t i = 0; i < count; i++)
        raw[i].m.shown = chosen[raw[i].m.message.parent].last == i;
    return true;
}

static bool read_messages(struct parser *p, struct we_imported *conversation)
{
    struct list list = {0};
    if (conversation->messages) {
        we_json_fail(&p->reader, "\"messages\" stands here twice");
        return false;
    }
    if (!we_json_enter_array(&p->reader))
        return false;
    while (we_json_next_element(&p->reader))
        if (!read_message(p, &list))
            return false;
    struct raw_message *raw = list.items;
    if (p->reader.status != WE_OK || !link_messages(p, raw, list.count) || !choose_shown(p, raw, list.count))
        return false;
    conversation->messages = we_arena_array(p->arena, list.count, sizeof *conversation->messages);
    if (conversation->messages == NULL)
        return out_of_memory(p);
    for (size_t i = 0; i < list.count; i++)
        conversation->messages[i] = raw[i].m;
    conversation->num_messages = list.count;
    return true;
}

/* ---- conversations ---- */

static bool read_conversation(struct parser *p, struct list *conversations)
{
    struct we_imported *c = grow(conversations, sizeof *c, p->arena);
    struct we_str key;
    bool has;
    if (c == NULL)
        return out_of_memory(p);
    if (!we_json_enter_object(&p->reader))
        return false;
    while (next_key(p, &key)) {
        bool read = we_str_equal_c(key, "title")       ? read_optional_text(p, "title", &c->title, &has)
                    : we_str_equal_c(key, "own_title") ? we_json_read_bool(&p->reader, &c->has_own_title)
                    : we_str_equal_c(key, "system")    ? read_optional_text(p, "system", &c->system, &c->has_system)
                    : we_str_equal_c(key, "model")     ? read_optional_text(p, "model", &c->model, &c->has_model)
                    : we_str_equal_c(key, "created")   ? read_time(p, "created", &c->created)
                    : we_str_equal_c(key, "updated")   ? read_time(p, "updated", &c->updated)
                    : we_str_equal_c(key, "messages")  ? read_messages(p, c)
                                                       : we_json_skip(&p->reader);
        if (!read)
            return false;
    }
    if (p->reader.status == WE_OK && c->messages == NULL)
        we_json_fail(&p->reader, "a conversation has no \"messages\"");
    return p->reader.status == WE_OK;
}

/* {"messages": [...]} alone: what the engine is given. Its system message is the system prompt. */
static bool read_plain(struct parser *p, struct list *conversations)
{
    struct we_imported *c = grow(conversations, sizeof *c, p->arena);
    if (c == NULL)
        return out_of_memory(p);
    if (!read_messages(p, c))
        return false;
    if (c->num_messages && strcmp(c->messages[0].message.role, "system") == 0 && c->messages[0].message.parent == 0) {
        bool only_one_follows = true;
        for (size_t i = 1; i < c->num_messages; i++)
            only_one_follows &= c->messages[i].message.parent != 0;
        if (only_one_follows) {
            c->system = we_str(c->messages[0].message.text, c->messages[0].message.length);
            c->has_system = true;
            c->messages++;
            c->num_messages--;
            for (size_t i = 0; i < c->num_messages; i++)
                c->messages[i].message.parent--;
        }
    }
    return true;
}

static bool read_format(struct parser *p)
{
    struct we_str value;
    if (!read_text(p, "format", &value))
        return false;
    if (we_str_equal_c(value, "whisperengine-conversations"))
        return true;
    we_json_fail(&p->reader, "this is a file of the format \"%.*s\", not conversations that WhisperEngine exported",
                 WE_STR_ARG(value));
    return false;
}

static bool read_version(struct parser *p)
{
    uint32_t version;
    if (!we_json_read_u32(&p->reader, &version))
        return false;
    if (version == 1)
        return true;
    we_json_fail(&p->reader, "this export is of version %" PRIu32 "; this program reads version 1: import it with a newer one",
                 version);
    return false;
}

static bool read_conversations(struct parser *p, struct list *conversations)
{
    if (!we_json_enter_array(&p->reader))
        return false;
    while (we_json_next_element(&p->reader))
        if (!read_conversation(p, conversations))
            return false;
    return p->reader.status == WE_OK;
}

static void read_file(struct parser *p, struct list *conversations)
{
    struct we_json_reader *r = &p->reader;
    struct we_str key;
    bool found = false;
    enum we_json_kind kind = we_json_peek(r);
    if (kind != WE_JSON_OBJECT) {
        if (r->status == WE_OK)
            we_json_fail(
                r,
                "an object with \"conversations\" or \"messages\" was expected, not %s; exports of other programs cannot be "
                "imported",
                we_json_kind_name(kind));
        return;
    }
    if (!we_json_enter_object(r))
        return;
    while (next_key(p, &key)) {
        bool is_export = we_str_equal_c(key, "conversations"), is_plain = we_str_equal_c(key, "messages");
        if ((is_export || is_plain) && found) {
            we_json_fail(r, "only one of \"conversations\" and \"messages\" is to stand here, once");
            return;
        }
        found |= is_export || is_plain;
        bool read = is_export                        ? read_conversations(p, conversations)
                    : is_plain                       ? read_plain(p, conversations)
                    : we_str_equal_c(key, "format")  ? read_format(p)
                    : we_str_equal_c(key, "version") ? read_version(p)
                                                     : we_json_skip(r);
        if (!read)
            return;
    }
    if (r->status == WE_OK && !found)
        we_json_fail(r, "there is neither \"conversations\" nor \"messages\": this is no export of WhisperEngine");
}

we_status we_import_parse(struct we_str text, const char *name, struct we_arena *arena, struct we_imported **conversations,
                          size_t *count, struct we_error *error)
{
    struct parser p = {.arena = arena};
    struct list list = {0};
    /* Some programs begin a text with a byte order mark. */
    if (we_str_starts_with(text, we_str_c("\xEF\xBB\xBF")))
        text = we_str(text.data + 3, text.length - 3);
    we_json_reader_init(&p.reader, text, name, error);
    read_file(&p, &list);
    we_status status = we_json_finish(&p.reader);
    we_json_reader_free(&p.reader);
    *conversations = list.items;
    *count = status == WE_OK ? list.count : 0;
    return status;
}
