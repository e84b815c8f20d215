#include "convert/predicate.h"

#include "base/fs.h"

#include <stdio.h>

enum { MAX_RULES = 16 << 20 };

static const struct {
    const char *name;
    uint32_t low, high;
} recipes[] = {{"mixed_2_6", 2, 6}, {"mixed_3_4", 3, 4}, {"mixed_3_6", 3, 6}, {"mixed_4_6", 4, 6}};

static we_status no_such_format(struct we_quant quant, const char *where, struct we_error *error)
{
    return we_error_set(
        error, WE_INVALID_ARGUMENT,
        "%s: a quantisation of %s, %u bits, group size %u does not exist: affine has 2, 3, 4, 5, 6 or 8 bits and "
        "groups of 32, 64 or 128, mxfp4 4 bits and groups of 32, mxfp8 8 and 32, nvfp4 4 and 16",
        where, we_quant_mode_name(quant.mode), quant.bits, quant.group_size);
}

/* The number of the layer stands where the first name with "down_proj" has its first number. */
static we_status find_layers(struct we_predicate *p, const struct we_model_tensors *tensors, const char *recipe,
                             struct we_error *error)
{
    p->num_layers = tensors->num_layers;
    for (size_t i = 0; i < tensors->count; i++) {
        struct we_str name = tensors->list[i].tensor->name;
        if (we_str_find(name, we_str_c("down_proj"), 0) == SIZE_MAX)
            continue;
        bool number = true, begins = true;
        for (size_t k = 0; k <= name.length; k++) {
            if (k < name.length && name.data[k] != '.') {
                number = number && name.data[k] >= '0' && name.data[k] <= '9';
                begins = false;
                continue;
            }
            if (number && !begins)
                return WE_OK;
            p->layer_at++;
            number = begins = true;
        }
        p->layer_at = UINT32_MAX;
        return WE_OK;
    }
    return we_error_set(error, WE_UNSUPPORTED,
                        "the recipe %s is for models with a down_proj in each layer, and this one has none", recipe);
}

/* Keys, values and their types; the formats themselves when they are used, since a mode fills what is missing. */
static we_status check_rules(const struct we_json *rules, const char *where, struct we_error *error)
{
    if (rules->kind != WE_JSON_OBJECT)
        return we_error_set(error, WE_INVALID_FORMAT, "%s: an object of modules was expected, not %s", where,
                            we_json_kind_name(rules->kind));
    for (size_t i = 0; i < rules->count; i++) {
        const struct we_json *rule = &rules->items[i];
        if (rule->kind == WE_JSON_BOOL)
            continue;
        if (rule->kind != WE_JSON_OBJECT)
            return we_error_set(
                error, WE_INVALID_FORMAT,
                "%s: '%.*s' is %s; true, false or an object with \"bits\", \"group_size\" or \"mode\" was expected", where,
                WE_STR_ARG(rules->keys[i]), we_json_kind_name(rule->kind));
        for (size_t k = 0; k < rule->count; k++) {
            bool mode = we_str_equal_c(rule->keys[k], "mode"),
                 number = we_str_equal_c(rule->keys[k], "bits") || we_str_equal_c(rule->keys[k], "group_size");
            const struct we_json *value = &rule->items[k];
            if ((mode && value->kind == WE_JSON_STRING) || (number && value->is_integer && value->integer > 0))
                continue;
            return we_error_set(error, WE_INVALID_FORMAT,
                                mode ? "%s: the %.*s of '%.*s' is no text"
                                : number
                                    ? "%s: the %.*s of '%.*s' is no whole number over 0"
                                    : "%s: the key '%.*s' of '%.*s' is not known; \"bits\", \"group_size\" and \"mode\" are",
                                where, WE_STR_ARG(rule->keys[k]), WE_STR_ARG(rules->keys[i]));
        }
    }
    return WE_OK;
}

static we_status read_rules(struct we_predicate *p, const char *text, const char *where, struct we_arena *arena,
                            struct we_error *error)
{
    struct we_buf file = {0};
    struct we_json *tree = NULL;
    we_status status = WE_OK;
    if (text == NULL)
        status = we_file_read(where, MAX_RULES, &file, error);
    if (status == WE_NOT_FOUND)
        status =
            we_error_set(error, WE_NOT_FOUND,
                         "'%s' is neither a recipe (mixed_2_6, mixed_3_4, mixed_3_6, mixed_4_6) nor a file of rules", where);
    if (status == WE_OK)
        status = we_json_parse(text ? we_str_c(text) : we_buf_str(&file), where, arena, &tree, error);
    if (status == WE_OK)
        status = check_rules(tree, where, error);
    we_buf_free(&file);
    p->where = where;
    p->rules = status == WE_OK ? tree : NULL;
    return status;
}

we_status we_predicate_init(struct we_predicate *p, const struct we_convert_options *options,
                            const struct we_model_tensors *tensors, struct we_arena *arena, struct we_error *error)
{
    *p = (struct we_predicate){0};
    enum we_quant_mode mode = WE_QUANT_AFFINE;
    if (options->q_mode && !we_quant_mode_from_name(we_str_c(options->q_mode), &mode))
        return we_error_set(error, WE_INVALID_ARGUMENT,
                            "the quantisation mode '%s' is not known; affine, mxfp4, mxfp8 and nvfp4 are", options->q_mode);
    p->quant = we_quant_defaults(mode);
    p->recipe_group_size = options->q_group_size;
    if (options->q_bits)
        p->quant.bits = options->q_bits;
    if (options->q_group_size)
        p->quant.group_size = options->q_group_size;
    if (!we_quant_valid(p->quant))
        return no_such_format(p->quant, "the options", error);
    const char *wanted = options->quant_predicate;
    if (wanted == NULL)
        return tensors->quant_predicate ? read_rules(p, tensors->quant_predicate, "the model's family", arena, error) : WE_OK;
    for (size_t i = 0; i < sizeof recipes / sizeof *recipes; i++)
        if (strcmp(wanted, recipes[i].name) == 0) {
            if (mode != WE_QUANT_AFFINE)
                return we_error_set(error, WE_INVALID_ARGUMENT, "the recipe %s is for the mode affine, not %s", wanted,
                                    we_quant_mode_name(mode));
            p->low_bits = recipes[i].low;
            p->high_bits = recipes[i].high;
            return find_layers(p, tensors, wanted, error);
        }
    return read_rules(p, NULL, wanted, arena, error);
}

/* ---- rules ---- */

/* '*' stands for any text, also none. */
static bool matches(struct we_str pattern, struct we_str text)
{
    size_t p = 0, t = 0, star = SIZE_MAX, tried = 0;
    while (t < text.length) {
        if (p < pattern.length && pattern.data[p] == '*') {
            star = p++;
            tried = t;
        } else if (p < pattern.length && pattern.data[p] == text.data[t]) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++tried;
        } else {
            return false;
        }
    }
    while (p < pattern.length && pattern.data[p] == '*')
        p++;
    return p == pattern.length;
}

static const struct we_json *find_rule(const struct we_json *rules, struct we_str module)
{
    const struct we_json *found = NULL;
    for (size_t i = 0; i < rules->count; i++) {
        if (we_str_equal(rules->keys[i], module))
            return &rules->items[i];
        if (matches(rules->keys[i], module))
            found = &rules->items[i];
    }
    return found;
}

/* {"group_size": 64, "bits": 4}, with the keys of the rule and no others, laid out for its place in config.json. */
static void write_entry(const struct we_json *rule, struct we_buf *entry)
{
    static const char *const keys[] = {"group_size", "bits", "mode"};
    const char *separator = "{\n            ";
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const struct we_json *value = we_json_get(rule, keys[i]);
        if (value == NULL)
            continue;
        we_buf_printf(entry, "%s\"%s\": ", separator, keys[i]);
        if (value->kind == WE_JSON_STRING)
            we_json_write_string(entry, value->string, true);
        else
            we_buf_append(entry, value->string);
        separator = ",\n            ";
    }
    we_buf_append_c(entry, separator[0] == '{' ? "{}" : "\n        }");
}

void we_predicate_write_entry(struct we_buf *entry, const char *group_size, uint32_t bits, const char *mode)
{
    we_buf_printf(entry,
                  "{\n            \"group_size\": %s,\n            \"bits\": %u,\n            \"mode\": \"%s\"\n        }",
                  group_size, bits, mode);
}

static we_status apply_rule(const struct we_predicate *p, const struct we_json *rule, const char *module,
                            struct we_quant *quant, struct we_buf *entry, struct we_error *error)
{
    *quant = p->quant;
    if (rule == NULL || (rule->kind == WE_JSON_BOOL && rule->boolean))
        return WE_OK;
    if (rule->kind == WE_JSON_BOOL) {
        *quant = (struct we_quant){WE_QUANT_NONE, 0, 0};
        return WE_OK;
    }
    const struct we_json *mode_name = we_json_get(rule, "mode"), *bits = we_json_get(rule, "bits"),
                         *group_size = we_json_get(rule, "group_size");
    enum we_quant_mode mode = WE_QUANT_AFFINE;
    if (mode_name && !we_quant_mode_from_name(mode_name->string, &mode))
        return we_error_set(error, WE_INVALID_FORMAT,
                            "%s: the quantisation mode '%.*s' of %s is not known; affine, mxfp4, mxfp8 and nvfp4 are", p->where,
                            WE_STR_ARG(mode_name->string), module);
    *quant = we_quant_defaults(mode);
    if (bits)
        quant->bits = bits->integer < 100 ? (uint32_t)bits->integer : 100;
    if (group_size)
        quant->group_size = group_size->integer < 1000 ? (uint32_t)group_size->integer : 1000;
    if (!we_quant_valid(*quant))
        return no_such_format(*quant, p->where, error);
    write_entry(rule, entry);
    return WE_OK;
}

/* ---- recipes ---- */

/* The number of a module's layer; 0 if its name has none there. A number too large counts as the last layer does. */
static uint32_t layer_of(const struct we_predicate *p, const char *module)
{
    for (uint32_t part = 0; part < p->layer_at; part++) {
        module = strchr(module, '.');
        if (module == NULL)
            return 0;
        module++;
    }
    uint32_t layer = 0;
    for (; *module >= '0' && *module <= '9'; module++)
        layer = layer < 100000 ? layer * 10 + (uint32_t)(*module - '0') : layer;
    return layer;
}

/* The values, the outputs of the blocks and the head get more bits, in the first and last eighth of the layers and in every
 * third between (the head always). */
static void apply_recipe(const struct we_predicate *p, const char *module, struct we_quant *quant, struct we_buf *entry)
{
    uint32_t layer = layer_of(p, module), eighth = p->num_layers / 8;
    bool more = layer < eighth || layer >= 7 * p->num_layers / 8 || (layer - eighth) % 3 == 2;
    bool important =
        strstr(module, "v_proj") || strstr(module, "v_a_proj") || strstr(module, "v_b_proj") || strstr(module, "down_proj");
    *quant = p->quant;
    quant->bits = (important && more) || strstr(module, "lm_head") ? p->high_bits : p->low_bits;
    char group_size[16] = "null"; /* which mlx-lm writes too: the mode's default */
    if (p->recipe_group_size)
        snprintf(group_size, sizeof group_size, "%u", p->recipe_group_size);
    we_predicate_write_entry(entry, group_size, quant->bits, "affine");
}

we_status we_predicate_for(const struct we_predicate *p, const char *module, uint64_t in, struct we_quant *quant,
                           struct we_buf *entry, struct we_error *error)
{
    *quant = (struct we_quant){WE_QUANT_NONE, 0, 0};
    if (in == 0 || in % p->quant.group_size != 0)
        return WE_OK;
    we_status status = WE_OK;
    if (p->low_bits)
        apply_recipe(p, module, quant, entry);
    else
        status = apply_rule(p, p->rules ? find_rule(p->rules, we_str_c(module)) : NULL, module, quant, entry, error);
    if (status == WE_OK && quant->mode != WE_QUANT_NONE && in % quant->group_size != 0)
        return we_error_set(error, WE_INVALID_ARGUMENT, "%s: groups of %u do not divide the %llu columns of %s", p->where,
                            quant->group_size, (unsigned long long)in, module);
    return status;
}
