/* Making values, and dictionaries. */
#include "text/jinja_run.h"

void *we_jalloc(struct we_jrun *run, size_t count, size_t size)
{
    if (run->status != WE_OK)
        return NULL;
    size_t bytes = 0;
    void *data = NULL;
    if (!__builtin_mul_overflow(count, size, &bytes) && we_jcharge_bytes(run, bytes))
        data = we_arena_alloc(&run->arena, bytes);
    if (data == NULL)
        we_jmemory_spent(run);
    return data;
}

struct we_jvalue we_jcopy(struct we_jrun *run, struct we_str text)
{
    if (text.length == 0)
        return we_jstring(we_str("", 0));
    char *copy = we_jalloc(run, text.length, 1);
    if (copy == NULL)
        return we_jfailed();
    memcpy(copy, text.data, text.length);
    return we_jstring(we_str(copy, text.length));
}

struct we_jvalue we_jlist(struct we_jrun *run, enum we_jkind kind, size_t count)
{
    struct we_jvalue value = we_jkind_value(kind);
    value.list = we_jalloc(run, 1, sizeof *value.list);
    if (value.list == NULL)
        return we_jfailed();
    value.list->items = count ? we_jalloc(run, count, sizeof *value.list->items) : NULL;
    if (count && value.list->items == NULL)
        return we_jfailed();
    value.list->count = count;
    return value;
}

struct we_jvalue we_jpair(struct we_jrun *run, struct we_jvalue a, struct we_jvalue b)
{
    struct we_jvalue pair = we_jlist(run, WE_J_TUPLE, 2);
    if (pair.kind != WE_J_FAILED) {
        pair.list->items[0] = a;
        pair.list->items[1] = b;
    }
    return pair;
}

struct we_jvalue we_jdict(struct we_jrun *run, enum we_jkind kind)
{
    struct we_jvalue value = we_jkind_value(kind);
    value.dict = we_jalloc(run, 1, sizeof *value.dict);
    return value.dict ? value : we_jfailed();
}

struct we_jvalue we_jundefined(struct we_jrun *run, const char *hint, struct we_jvalue object, struct we_jvalue name)
{
    struct we_jvalue value = we_jkind_value(WE_J_UNDEFINED);
    value.undefined = we_jalloc(run, 1, sizeof *value.undefined);
    if (value.undefined == NULL)
        return we_jfailed();
    *value.undefined = (struct we_jundefined){.hint = hint, .object = object, .name = name};
    return value;
}

struct we_jvalue we_jundefined_name(struct we_jrun *run, struct we_str name)
{
    return we_jundefined(run, NULL, we_jkind_value(WE_J_MISSING), we_jstring(name));
}

struct we_jvalue we_jbind_method(struct we_jrun *run, struct we_jvalue self, const struct we_jcallable *callable)
{
    struct we_jvalue value = we_jkind_value(WE_J_METHOD);
    value.method = we_jalloc(run, 1, sizeof *value.method);
    if (value.method == NULL)
        return we_jfailed();
    *value.method = (struct we_jbound){.self = self, .callable = callable};
    return value;
}

bool we_jcollect_add(struct we_jrun *run, struct we_jcollect *collect, struct we_jvalue value)
{
    if (collect->list.count == collect->capacity) {
        size_t capacity = collect->capacity ? 2 * collect->capacity : 8;
        struct we_jvalue *items = we_jalloc(run, capacity, sizeof *items);
        if (items == NULL)
            return false;
        if (collect->list.count)
            memcpy(items, collect->list.items, collect->list.count * sizeof *items);
        collect->list.items = items;
        collect->capacity = capacity;
    }
    collect->list.items[collect->list.count++] = value;
    return true;
}

struct we_jvalue we_jcollect_end(struct we_jrun *run, struct we_jcollect *collect, enum we_jkind kind)
{
    struct we_jvalue value = we_jlist(run, kind, 0);
    if (value.kind != WE_J_FAILED)
        *value.list = collect->list;
    return value;
}

/* ---- from JSON ---- */

/* Strings of a request may hold bytes that are no UTF-8; each becomes U+FFFD, so that all else can rely on it. */
static struct we_jvalue clean_string(struct we_jrun *run, struct we_str text)
{
    size_t valid = we_utf8_valid_prefix(text);
    if (valid == text.length)
        return we_jstring(text);
    size_t begin = we_jtext_begin(run);
    while (text.length) {
        we_jwrite(run, we_str(text.data, valid));
        if (valid == text.length)
            break;
        we_jwrite_c(run, "\xEF\xBF\xBD");
        text = we_str(text.data + valid + 1, text.length - valid - 1);
        valid = we_utf8_valid_prefix(text);
    }
    return we_jtext_end(run, begin);
}

static struct we_jvalue number_from_json(const struct we_json *json)
{
    if (json->is_integer)
        return we_jint(json->integer);
    struct we_str text = json->string;
    for (size_t i = 0; i < text.length; i++)
        if ((text.data[i] < '0' || text.data[i] > '9') && text.data[i] != '-')
            return we_jfloat(json->number);
    if (text.length == 0)
        return we_jfloat(json->number);
    return (struct we_jvalue){.kind = WE_J_BIG, .length = (uint32_t)text.length, .text = text.data};
}

static struct we_jvalue container_from_json(struct we_jrun *run, const struct we_json *json)
{
    bool object = json->kind == WE_JSON_OBJECT;
    struct we_jvalue value = object ? we_jdict(run, WE_J_DICT) : we_jlist(run, WE_J_LIST, json->count);
    if (value.kind == WE_J_FAILED || !we_jenter(run))
        return we_jfailed();
    for (size_t i = 0; i < json->count; i++) {
        struct we_jvalue item = we_jfrom_json(run, &json->items[i]);
        struct we_jvalue key = object ? clean_string(run, json->keys[i]) : item;
        if (item.kind == WE_J_FAILED || key.kind == WE_J_FAILED || (object && !we_jdict_put(run, value.dict, key, item)))
            return we_jfailed();
        if (!object)
            value.list->items[i] = item;
    }
    we_jleave(run);
    return value;
}

struct we_jvalue we_jfrom_json(struct we_jrun *run, const struct we_json *json)
{
    switch (json->kind) {
    case WE_JSON_BOOL:
        return we_jbool(json->boolean);
    case WE_JSON_NUMBER:
        return number_from_json(json);
    case WE_JSON_STRING:
        return clean_string(run, json->string);
    case WE_JSON_ARRAY:
    case WE_JSON_OBJECT:
        return container_from_json(run, json);
    default:
        return we_jnone();
    }
}

/* ---- dictionaries ---- */

enum { SMALL_DICT = 8 };

static uint64_t mix(uint64_t h)
{
    h ^= h >> 32;
    h *= 0xD6E8FEB86659FD93u;
    return h ^ h >> 29;
}

static bool hash_tuple(struct we_jrun *run, const struct we_jlist *list, uint64_t *hash)
{
    *hash = 0x9E3779B97F4A7C15u;
    if (!we_jenter(run))
        return false;
    for (size_t i = 0; i < list->count; i++) {
        uint64_t item;
        if (!we_jcharge(run, 1) || !we_jhash(run, list->items[i], &item))
            return false;
        *hash = mix(*hash * 31 + item);
    }
    we_jleave(run);
    return true;
}

bool we_jhash(struct we_jrun *run, struct we_jvalue value, uint64_t *hash)
{
    int64_t integer;
    switch (value.kind) {
    case WE_J_BOOL:
    case WE_J_INT:
        *hash = mix((uint64_t)we_jas_int(value));
        return true;
    case WE_J_FLOAT: /* equal to an integer, so with its hash */
        if (!we_jdouble_to_int(value.number, &integer))
            memcpy(&integer, &value.number, sizeof integer);
        *hash = mix((uint64_t)integer);
        return true;
    case WE_J_STRING:
        *hash = we_str_hash(we_jtext(value), (uint64_t)(uintptr_t)run);
        return we_jcharge_bytes(run, value.length);
    case WE_J_BIG:
        *hash = we_str_hash(we_jtext(value), 1);
        return true;
    case WE_J_TUPLE:
        return hash_tuple(run, value.list, hash);
    case WE_J_LIST:
    case WE_J_DICT:
    case WE_J_VIEW:
        we_jfail(run, "unhashable type: '%s'", we_jtype_name(value));
        return false;
    case WE_J_FAILED:
        return false;
    default:
        *hash = value.kind;
        return true;
    }
}

static void index_insert(struct we_jdict *dict, size_t entry)
{
    size_t mask = dict->index_size - 1, at = (size_t)dict->entries[entry].hash & mask;
    while (dict->index[at])
        at = (at + 1) & mask;
    dict->index[at] = (uint32_t)entry + 1;
}

static bool same_string(struct we_jvalue a, struct we_jvalue b)
{
    return a.length == b.length && (a.text == b.text || memcmp(a.text, b.text, a.length) == 0);
}

/* The place of `key` in the entries; SIZE_MAX if it is not there. False: failed. */
static bool dict_place(struct we_jrun *run, const struct we_jdict *dict, struct we_jvalue key, uint64_t hash, size_t *place)
{
    size_t mask = dict->index_size - 1, at = dict->index ? (size_t)hash & mask : 0;
    for (size_t probe = 0; probe < (dict->index ? dict->index_size : dict->count); probe++, at = dict->index ? (at + 1) & mask : at + 1) {
        if (dict->index && dict->index[at] == 0)
            break;
        size_t entry = dict->index ? dict->index[at] - 1 : at;
        const struct we_jentry *found = &dict->entries[entry];
        if (found->hash != hash) {
            if (probe % 16 == 15 && !we_jcharge(run, 1)) /* keys may have been chosen to meet */
                return false;
            continue;
        }
        int equal = key.kind == WE_J_STRING && found->key.kind == WE_J_STRING ? same_string(key, found->key)
                                                                              : we_jequal(run, key, found->key);
        if (equal < 0)
            return false;
        if (equal) {
            *place = entry;
            return true;
        }
        if (!we_jcharge(run, 1))
            return false;
    }
    *place = SIZE_MAX;
    return true;
}

int we_jdict_get(struct we_jrun *run, const struct we_jdict *dict, struct we_jvalue key, struct we_jvalue *value)
{
    if (key.kind == WE_J_STRING && dict->index == NULL) {
        const struct we_jvalue *found = we_jdict_find(run, dict, we_jtext(key));
        if (found)
            *value = *found;
        return found != NULL;
    }
    uint64_t hash;
    size_t place;
    if (!we_jhash(run, key, &hash) || !dict_place(run, dict, key, hash, &place))
        return -1;
    if (place == SIZE_MAX)
        return 0;
    *value = dict->entries[place].value;
    return 1;
}

const struct we_jvalue *we_jdict_find(struct we_jrun *run, const struct we_jdict *dict, struct we_str key)
{
    if (dict->index == NULL) {
        for (size_t i = 0; i < dict->count; i++) {
            struct we_jvalue found = dict->entries[i].key;
            if (found.kind == WE_J_STRING && found.length == key.length && memcmp(found.text, key.data, key.length) == 0)
                return &dict->entries[i].value;
        }
        return NULL;
    }
    struct we_jvalue value = we_jstring(key);
    uint64_t hash;
    size_t place;
    if (!we_jhash(run, value, &hash) || !dict_place(run, dict, value, hash, &place) || place == SIZE_MAX)
        return NULL;
    return &dict->entries[place].value;
}

static bool dict_grow(struct we_jrun *run, struct we_jdict *dict)
{
    size_t capacity = dict->capacity ? 2 * dict->capacity : 4;
    struct we_jentry *entries = we_jalloc(run, capacity, sizeof *entries);
    if (entries == NULL)
        return false;
    if (dict->count)
        memcpy(entries, dict->entries, dict->count * sizeof *entries);
    dict->entries = entries;
    dict->capacity = capacity;
    if (capacity <= SMALL_DICT)
        return true;
    dict->index = we_jalloc(run, 2 * capacity, sizeof *dict->index);
    if (dict->index == NULL)
        return false;
    dict->index_size = 2 * capacity;
    for (size_t i = 0; i < dict->count; i++)
        index_insert(dict, i);
    return true;
}

bool we_jdict_put(struct we_jrun *run, struct we_jdict *dict, struct we_jvalue key, struct we_jvalue value)
{
    uint64_t hash;
    size_t place;
    if (!we_jhash(run, key, &hash) || !dict_place(run, dict, key, hash, &place))
        return false;
    if (place != SIZE_MAX) {
        dict->entries[place].value = value;
        return true;
    }
    if (dict->count == dict->capacity && !dict_grow(run, dict))
        return false;
    dict->entries[dict->count] = (struct we_jentry){.key = key, .value = value, .hash = hash};
    if (dict->index)
        index_insert(dict, dict->count);
    dict->count++;
    return true;
}
