/* What is put around the ids of a text. The template for pairs of texts is not used. */
#include "text/tokenizer_parts.h"

static const char where[] = "post_processor TemplateProcessing";

static we_status read_special(struct we_parts_reader *reader, const struct we_json *object, const struct we_json *piece,
                              struct we_post_item *item)
{
    struct we_str name;
    we_status status = we_parts_string(reader, piece, where, "id", &name);
    if (status != WE_OK)
        return status;
    const struct we_json *tokens = we_json_get(object, "special_tokens"), *token = NULL;
    for (size_t i = 0; tokens && tokens->kind == WE_JSON_OBJECT && i < tokens->count; i++)
        if (we_str_equal(tokens->keys[i], name))
            token = &tokens->items[i];
    const struct we_json *ids = we_json_get(token, "ids");
    if (ids == NULL || ids->kind != WE_JSON_ARRAY)
        return we_parts_fail(reader, WE_INVALID_FORMAT, where, "special_tokens has no \"ids\" for \"%.*s\"", WE_STR_ARG(name));
    item->ids = we_arena_array(reader->arena, ids->count, sizeof *item->ids);
    if (item->ids == NULL)
        return we_error_memory(reader->error, "the tokenizer");
    for (size_t i = 0; i < ids->count; i++) {
        if (!ids->items[i].is_integer || ids->items[i].integer < 0 || ids->items[i].integer >= WE_NO_ID)
            return we_parts_fail(reader, WE_INVALID_FORMAT, where, "an id of \"%.*s\" is no token id", WE_STR_ARG(name));
        item->ids[i] = (uint32_t)ids->items[i].integer;
    }
    item->count = ids->count;
    return WE_OK;
}

static we_status read_piece(struct we_parts_reader *reader, const struct we_json *object, const struct we_json *piece,
                            struct we_post_item *item)
{
    const struct we_json *special = we_json_get(piece, "SpecialToken"), *sequence = we_json_get(piece, "Sequence");
    if (special)
        return read_special(reader, object, special, item);
    struct we_str id = {0};
    if (sequence == NULL)
        return we_parts_fail(reader, WE_INVALID_FORMAT, where, "a piece is neither SpecialToken nor Sequence");
    item->sequence = true;
    we_status status = we_parts_string(reader, sequence, where, "id", &id);
    if (status == WE_OK && !we_str_equal_c(id, "A"))
        status = we_parts_fail(reader, WE_INVALID_FORMAT, where, "\"single\" uses the sequence \"%.*s\", where there is only \"A\"",
                               WE_STR_ARG(id));
    return status;
}

static we_status read_template(struct we_parts_reader *reader, const struct we_json *object, struct we_post_processor *post)
{
    const struct we_json *single = we_json_get(object, "single");
    if (single == NULL || single->kind != WE_JSON_ARRAY)
        return we_parts_fail(reader, WE_INVALID_FORMAT, where, "\"single\" is %s, where an array was expected",
                             single ? we_json_kind_name(single->kind) : "missing");
    if (post->given)
        return we_parts_fail(reader, WE_UNSUPPORTED, where, "more than one template");
    post->items = we_arena_array(reader->arena, single->count, sizeof *post->items);
    if (post->items == NULL)
        return we_error_memory(reader->error, "the tokenizer");
    post->given = true;
    post->count = single->count;
    we_status status = WE_OK;
    for (size_t i = 0; i < single->count && status == WE_OK; i++)
        status = read_piece(reader, object, &single->items[i], &post->items[i]);
    return status;
}

/* ["token", id] */
static we_status read_pair(struct we_parts_reader *reader, const struct we_json *object, const char *which, const char *key,
                           struct we_post_item *item)
{
    const struct we_json *pair = we_json_get(object, key);
    if (pair == NULL || pair->kind != WE_JSON_ARRAY || pair->count != 2 || pair->items[0].kind != WE_JSON_STRING ||
        !pair->items[1].is_integer || pair->items[1].integer < 0 || pair->items[1].integer >= WE_NO_ID)
        return we_parts_fail(reader, WE_INVALID_FORMAT, which, "\"%s\" is no token and its id", key);
    item->ids = we_arena_array(reader->arena, 1, sizeof *item->ids);
    if (item->ids == NULL)
        return we_error_memory(reader->error, "the tokenizer");
    item->ids[0] = (uint32_t)pair->items[1].integer;
    item->count = 1;
    return WE_OK;
}

/* BertProcessing and RobertaProcessing: "cls" before the text, "sep" after it. */
static we_status read_around(struct we_parts_reader *reader, const struct we_json *object, const char *which,
                             struct we_post_processor *post)
{
    if (post->given)
        return we_parts_fail(reader, WE_UNSUPPORTED, which, "more than one template");
    post->items = we_arena_array(reader->arena, 3, sizeof *post->items);
    if (post->items == NULL)
        return we_error_memory(reader->error, "the tokenizer");
    post->given = post->items[1].sequence = true;
    post->count = 3;
    we_status status = read_pair(reader, object, which, "cls", &post->items[0]);
    return status == WE_OK ? read_pair(reader, object, which, "sep", &post->items[2]) : status;
}

static we_status read_step(struct we_parts_reader *reader, const struct we_json *object, struct we_str type, void *part)
{
    if (we_str_equal_c(type, "ByteLevel")) /* it only moves offsets, which we do not give */
        return WE_OK;
    if (we_str_equal_c(type, "TemplateProcessing"))
        return read_template(reader, object, part);
    if (we_str_equal_c(type, "BertProcessing"))
        return read_around(reader, object, "post_processor BertProcessing", part);
    if (we_str_equal_c(type, "RobertaProcessing"))
        return read_around(reader, object, "post_processor RobertaProcessing", part);
    return we_parts_unknown(reader, "post_processor", type);
}

we_status we_post_processor_read(struct we_parts_reader *reader, const struct we_json *json, struct we_post_processor *post)
{
    if (json == NULL || json->kind == WE_JSON_NULL)
        return WE_OK;
    return we_parts_each(reader, json, "post_processor", "processors", read_step, post);
}
