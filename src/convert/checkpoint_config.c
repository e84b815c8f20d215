#include "convert/directory.h"

#include <math.h>
#include <stdlib.h>

static void write_value(struct we_buf *out, const struct we_json *value, uint32_t depth);

static void new_line(struct we_buf *out, uint32_t depth)
{
    we_buf_append_byte(out, '\n');
    for (uint32_t i = 0; i < depth; i++)
        we_buf_append_c(out, "    ");
}

/* A number as Python writes what it has read: whole numbers as they are, others as the shortest that reads back. What is not
 * finite is tagged, since JSON has no word for it. */
static void write_number(struct we_buf *out, const struct we_json *value)
{
    bool whole = value->string.length > 0;
    for (size_t i = 0; i < value->string.length; i++)
        whole = whole && (value->string.data[i] == '-' || (value->string.data[i] >= '0' && value->string.data[i] <= '9'));
    if (whole) {
        we_buf_append(out, value->string);
        return;
    }
    if (!isfinite(value->number)) {
        we_buf_printf(out, "{\"__float__\": \"%s\"}",
                      isnan(value->number) ? "NaN"
                      : value->number > 0  ? "Infinity"
                                           : "-Infinity");
        return;
    }
    size_t start = out->length;
    we_json_write_double(out, value->number);
    if (!out->failed && strpbrk(out->data + start, ".e") == NULL)
        we_buf_append_c(out, ".0");
}

static void write_children(struct we_buf *out, const struct we_json *value, uint32_t depth)
{
    bool object = value->kind == WE_JSON_OBJECT;
    we_buf_append_byte(out, object ? '{' : '[');
    for (size_t i = 0; i < value->count; i++) {
        we_buf_append_c(out, i ? "," : "");
        new_line(out, depth + 1);
        if (object) {
            we_json_write_string(out, value->keys[i], true);
            we_buf_append_c(out, ": ");
        }
        write_value(out, &value->items[i], depth + 1);
    }
    if (value->count)
        new_line(out, depth);
    we_buf_append_byte(out, object ? '}' : ']');
}

static void write_value(struct we_buf *out, const struct we_json *value, uint32_t depth)
{
    switch (value->kind) {
    case WE_JSON_BOOL:
        we_buf_append_c(out, value->boolean ? "true" : "false");
        break;
    case WE_JSON_NUMBER:
        write_number(out, value);
        break;
    case WE_JSON_STRING:
        we_json_write_string(out, value->string, true);
        break;
    case WE_JSON_ARRAY:
    case WE_JSON_OBJECT:
        write_children(out, value, depth);
        break;
    default:
        we_buf_append_c(out, "null");
    }
}

static const struct we_text_member *find_member(const struct we_text_member *members, struct we_str key)
{
    for (; members && members->key; members++)
        if (we_str_equal_c(key, members->key))
            return members;
    return NULL;
}

static void write_text_member(struct we_buf *out, const struct we_checkpoint *c, const struct we_text_member *member)
{
    const struct we_json *outer = member->from_outer ? we_json_get(c->config.json, member->key) : NULL;
    if (outer)
        write_value(out, outer, 2);
    else
        we_buf_append_c(out, member->value);
}

/* text_config, with what mlx-lm's class of the model writes into it: new members at its end. */
static void write_text_config(struct we_buf *out, const struct we_checkpoint *c, const struct we_json *text)
{
    const struct we_text_member *members = c->tensors.text_members;
    we_buf_append_byte(out, '{');
    size_t count = 0;
    for (size_t i = 0; i < text->count; i++) {
        const struct we_text_member *member = find_member(members, text->keys[i]);
        we_buf_append_c(out, count++ ? ",\n        " : "\n        ");
        we_json_write_string(out, text->keys[i], true);
        we_buf_append_c(out, ": ");
        if (member && member->from_outer)
            write_text_member(out, c, member);
        else
            write_value(out, &text->items[i], 2);
    }
    for (; members && members->key; members++) {
        if (we_json_get(text, members->key))
            continue;
        we_buf_append_c(out, count++ ? ",\n        " : "\n        ");
        we_json_write_string(out, we_str_c(members->key), true);
        we_buf_append_c(out, ": ");
        write_text_member(out, c, members);
    }
    we_buf_append_c(out, count ? "\n    }" : "}");
}

/* The block with the new entries: that of the model as it was, or a new one; also where the old one is not MLX's own, but names
 * the method that a mode of MLX's is. */
static void write_quantization(struct we_buf *out, const struct we_json *old, struct we_quant quant,
                               const struct we_new_model *model)
{
    if (old && we_json_get(old, "group_size")) {
        we_buf_append_byte(out, '{');
        for (size_t i = 0; i < old->count; i++) {
            we_buf_append_c(out, i ? ",\n        " : "\n        ");
            we_json_write_string(out, old->keys[i], true);
            we_buf_append_c(out, ": ");
            write_value(out, &old->items[i], 2);
        }
    } else {
        we_buf_printf(out, "{\n        \"group_size\": %u,\n        \"bits\": %u,\n        \"mode\": \"%s\"", quant.group_size,
                      quant.bits, we_quant_mode_name(quant.mode));
    }
    we_buf_append(out, we_buf_str(&model->entries));
    out->failed = out->failed || model->entries.failed;
    we_buf_append_c(out, "\n    }");
}

struct member {
    struct we_str key;
    const struct we_json *value; /* NULL: the quantisation */
};

static int compare_members(const void *a, const void *b)
{
    return we_str_compare(((const struct member *)a)->key, ((const struct member *)b)->key);
}

/* 0, "", [] and the like leave the config's own end tokens. */
static bool says_something(const struct we_json *value)
{
    if (value == NULL || value->kind == WE_JSON_NULL)
        return false;
    if (value->kind == WE_JSON_NUMBER)
        return value->number != 0;
    if (value->kind == WE_JSON_BOOL)
        return value->boolean;
    return value->kind == WE_JSON_STRING ? value->string.length > 0 : value->count > 0;
}

we_status we_checkpoint_write_config(const struct we_checkpoint *c, const struct we_json *generation_config,
                                     const struct we_new_model *model, struct we_buf *out, struct we_error *error)
{
    const struct we_json *config = c->config.json, *ends = we_json_get(generation_config, "eos_token_id");
    struct member *members = calloc(config->count + 3, sizeof *members);
    if (members == NULL)
        return we_error_memory(error, "config.json");
    size_t count = 0;
    bool has_quantization = c->quantization.present && !model->dequantise;
    for (size_t i = 0; i < config->count; i++) {
        struct we_str key = config->keys[i];
        if (we_str_equal_c(key, "_name_or_path") || we_str_equal_c(key, "vision_config") ||
            we_str_equal_c(key, "quantization") || we_str_equal_c(key, "quantization_config") ||
            (we_str_equal_c(key, "eos_token_id") && says_something(ends)))
            continue;
        members[count++] = (struct member){key, &config->items[i]};
    }
    if (says_something(ends))
        members[count++] = (struct member){we_str_c("eos_token_id"), ends};
    if (has_quantization || model->quantise) {
        members[count++] = (struct member){we_str_c("quantization"), NULL};
        members[count++] = (struct member){we_str_c("quantization_config"), NULL};
    }
    qsort(members, count, sizeof *members, compare_members);
    we_buf_append_byte(out, '{');
    for (size_t i = 0; i < count; i++) {
        we_buf_append_c(out, i ? ",\n    " : "\n    ");
        we_json_write_string(out, members[i].key, true);
        we_buf_append_c(out, ": ");
        if (members[i].value && we_str_equal_c(members[i].key, "text_config") && members[i].value->kind == WE_JSON_OBJECT)
            write_text_config(out, c, members[i].value);
        else if (members[i].value)
            write_value(out, members[i].value, 1);
        else
            write_quantization(out, has_quantization ? c->quantization.block : NULL,
                               has_quantization ? c->quantization.defaults : model->quant, model);
    }
    we_buf_append_c(out, count ? "\n}" : "}");
    free(members);
    return out->failed ? we_error_memory(error, "config.json") : WE_OK;
}
