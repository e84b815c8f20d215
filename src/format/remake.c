#include "format/remake_plan.h"

#include "format/safetensors_set.h"

#include <stdio.h>
#include <stdlib.h>

enum { LONGEST_NAME = 300, ALIGNMENT = 64 };

const struct we_remade *we_remake_find(const struct we_remake *remake, struct we_str name)
{
    /* The last ones first: tensors are sorted, so those of a layer stand together. */
    for (size_t i = remake->count; i-- > 0;)
        if (we_str_equal(remake->list[i].name, name))
            return &remake->list[i];
    return NULL;
}

uint64_t we_remade_rows(const struct we_remade *r, uint64_t first, uint64_t count, const unsigned char **data)
{
    const uint64_t at = first % r->piece_rows, in_block = at % r->block;
    const uint64_t left = r->block == r->stride ? r->piece_rows - at : r->block - in_block;
    *data = (const unsigned char *)r->pieces[first / r->piece_rows]->data +
            (at / r->block * r->stride + r->first + in_block) * r->row_bytes;
    return count < left ? count : left;
}

/* ---- building ---- */

static bool is(const struct we_remake_planner *p, const char *model_type)
{
    return we_str_equal_c(p->model_type, model_type);
}

/* BEFORE and AFTER, joined, in the arena. */
static we_status make_name(struct we_remake_planner *p, struct we_str before, const char *after, struct we_str *name)
{
    char text[LONGEST_NAME];
    int n = snprintf(text, sizeof text, "%.*s%s", (int)before.length, before.data, after);
    if (n < 0 || (size_t)n >= sizeof text)
        return we_error_set(p->error, WE_UNSUPPORTED, "the name of the tensor '%.*s' is too long", WE_STR_ARG(before));
    *name = we_str_c(we_arena_copy(p->arena, we_str(text, (size_t)n)));
    return name->data ? WE_OK : we_error_memory(p->error, "the names of tensors");
}

we_status we_remake_add(struct we_remake_planner *p, const struct we_remade *remade)
{
    struct we_remake *r = p->remake;
    if (r->count == r->capacity) {
        size_t capacity = r->capacity ? r->capacity * 2 : 64;
        struct we_remade *more = we_arena_array(p->arena, capacity, sizeof *more);
        if (more == NULL)
            return we_error_memory(p->error, "the list of tensors");
        if (r->count)
            memcpy(more, r->list, r->count * sizeof *more);
        r->list = more;
        r->capacity = capacity;
    }
    r->list[r->count++] = *remade;
    return WE_OK;
}

static we_status rename_tensor(struct we_remake_planner *p, const struct we_tensor *t, struct we_str before, const char *after)
{
    p->changed = true;
    p->tensors[p->count] = *t;
    return make_name(p, before, after, &p->tensors[p->count++].name);
}

/* ---- experts by themselves: X.experts.N.gate_proj.weight (also w1, w2 and w3, for gate, down and up) become
 * X.switch_mlp.gate_proj.weight ---- */

static const char mark[] = ".experts.";

/* The number of the expert, and where the names before and after it lie; false if there is none. */
static bool split_name(struct we_str name, struct we_str *before, uint32_t *number, struct we_str *after)
{
    static const char *const ends[] = {".weight", ".bias", ".scales", ".biases"};
    size_t at = we_str_find(name, we_str_c(mark), 0), digit = at + sizeof mark - 1, end = digit;
    bool known = false;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        known = known || we_str_ends_with(name, we_str_c(ends[i]));
    if (at == SIZE_MAX || !known)
        return false;
    for (*number = 0; end < name.length && name.data[end] >= '0' && name.data[end] <= '9' && end < digit + 6; end++)
        *number = *number * 10 + (uint32_t)(name.data[end] - '0');
    if (end == digit || end >= name.length || name.data[end] != '.')
        return false;
    *before = we_str(name.data, at);
    *after = we_str(name.data + end + 1, name.length - end - 1);
    return true;
}

static we_status stacked_name(struct we_remake_planner *p, struct we_str before, struct we_str after, struct we_str *name)
{
    static const char *const names[][2] = {
        {"w1.", "gate_proj."}, {"w2.", "down_proj."}, {"w3.", "up_proj."}, {"up_proj.", "fc1."}, {"down_proj.", "fc2."}};
    char text[LONGEST_NAME];
    const char *module = "";
    for (size_t i = 0; i < (is(p, "nemotron_h") ? 5 : 3); i++)
        if (we_str_starts_with(after, we_str_c(names[i][0]))) {
            module = names[i][1];
            after = we_str(after.data + strlen(names[i][0]), after.length - strlen(names[i][0]));
            break;
        }
    int n = snprintf(text, sizeof text, ".%s.%s%.*s", is(p, "dots1") ? "experts" : "switch_mlp", module, (int)after.length,
                     after.data);
    if (n < 0 || (size_t)n >= sizeof text)
        return we_error_set(p->error, WE_UNSUPPORTED, "the name of the tensor '%.*s' is too long", WE_STR_ARG(before));
    return make_name(p, before, text, name);
}

/* Counts the pieces of each (fill false), then takes them. */
static we_status stack_tensor(struct we_remake_planner *p, const struct we_tensor *t, struct we_str before, uint32_t number,
                              struct we_str after, bool fill)
{
    struct we_str name;
    we_status status = stacked_name(p, before, after, &name);
    if (status != WE_OK)
        return status;
    struct we_remade *r = (struct we_remade *)we_remake_find(p->remake, name);
    p->changed = true;
    if (!fill && r == NULL)
        return we_remake_add(p, &(struct we_remade){.name = name, .count = 1});
    if (!fill) {
        r->count++;
        return WE_OK;
    }
    if (r->pieces == NULL)
        r->pieces = we_arena_array(p->arena, r->count, sizeof *r->pieces);
    if (r->pieces == NULL)
        return we_error_memory(p->error, "the list of experts");
    if (number >= r->count || r->pieces[number])
        return we_error_set(p->error, WE_INVALID_FORMAT,
                            "%s: tensor '%.*s' is one of %u experts, but their numbers are not 0 to %u", t->file,
                            WE_STR_ARG(t->name), r->count, r->count - 1);
    r->pieces[number] = t;
    return WE_OK;
}

static we_status finish_stack(struct we_remake_planner *p, struct we_remade *r)
{
    const struct we_tensor *first = r->pieces[0];
    struct we_tensor *out = &p->tensors[p->count++];
    *out = *first;
    out->name = r->name;
    out->num_dims = first->num_dims + 1;
    out->size = first->size * r->count;
    if (out->num_dims > WE_MAX_DIMS || first->num_dims == 0)
        return we_error_set(p->error, WE_UNSUPPORTED, "%s: tensor '%.*s' has too many dimensions, or none", first->file,
                            WE_STR_ARG(first->name));
    out->shape[0] = r->count;
    r->piece_rows = 1;
    for (uint32_t d = 0; d < first->num_dims; d++) {
        out->shape[d + 1] = first->shape[d];
        r->piece_rows *= d + 1 < first->num_dims ? first->shape[d] : 1;
    }
    r->block = r->stride = r->piece_rows;
    r->row_bytes = r->piece_rows ? first->size / r->piece_rows : 0;
    if (r->row_bytes == 0)
        return we_error_set(p->error, WE_INVALID_FORMAT, "%s: tensor '%.*s' is empty", first->file, WE_STR_ARG(first->name));
    for (uint32_t k = 1; k < r->count; k++) {
        const struct we_tensor *piece = r->pieces[k];
        char a[128], b[128];
        if (piece->dtype != first->dtype || piece->num_dims != first->num_dims ||
            memcmp(piece->shape, first->shape, sizeof piece->shape) != 0)
            return we_error_set(p->error, WE_INVALID_FORMAT, "%s: tensor '%.*s' is %s %s, but that of the first expert %s %s",
                                piece->file, WE_STR_ARG(piece->name), we_dtype_name(piece->dtype),
                                we_tensor_shape_text(piece, a), we_dtype_name(first->dtype), we_tensor_shape_text(first, b));
    }
    return WE_OK;
}

/* ---- two projections in one tensor (experts, 2 * rows, in) ---- */

enum halves { ONE_AFTER_THE_OTHER, IN_TURN };

static we_status wrong_form(struct we_remake_planner *p, const struct we_tensor *t, const char *expected)
{
    char shape[128];
    return we_error_set(p->error, WE_INVALID_FORMAT, "%s: tensor '%.*s' is %s %s, where %s was expected", t->file,
                        WE_STR_ARG(t->name), we_dtype_name(t->dtype), we_tensor_shape_text(t, shape), expected);
}

/* `t` has the form of the new tensors already, but for its second dimension, which is twice theirs. */
static we_status split_tensor(struct we_remake_planner *p, const struct we_tensor *original, const struct we_tensor *t,
                              enum halves halves, struct we_str before, const char *const after[2])
{
    if (t->num_dims != 3 || t->shape[1] % 2 || t->shape[0] == 0 || t->shape[1] == 0 || t->shape[2] == 0)
        return wrong_form(p, original, "(experts, twice the rows, columns)");
    const uint64_t rows = t->shape[1] / 2;
    p->changed = true;
    for (uint32_t half = 0; half < 2; half++) {
        struct we_tensor *out = &p->tensors[p->count++];
        *out = *t;
        out->shape[1] = rows;
        out->size = t->size / 2;
        we_status status = make_name(p, before, after[half], &out->name);
        struct we_remade r = {.name = out->name,
                              .count = 1,
                              .pieces = we_arena_array(p->arena, 1, sizeof *r.pieces),
                              .piece_rows = t->shape[0] * rows,
                              .row_bytes = t->size / (t->shape[0] * t->shape[1]),
                              .block = halves == IN_TURN ? 1 : rows,
                              .stride = halves == IN_TURN ? 2 : 2 * rows,
                              .first = halves == IN_TURN ? half : half * rows};
        if (r.pieces == NULL)
            return we_error_memory(p->error, "the list of tensors");
        r.pieces[0] = original;
        if (status == WE_OK)
            status = we_remake_add(p, &r);
        if (status != WE_OK)
            return status;
    }
    return WE_OK;
}

/* Biases (experts, 2 * rows) of projections whose rows stand in turn: few bytes, so they are copied. */
static we_status split_biases(struct we_remake_planner *p, const struct we_tensor *t, struct we_str before)
{
    static const char *const after[2] = {"gate_proj.bias", "up_proj.bias"};
    const size_t size = we_dtype_size(t->dtype), count = t->size / (2 * size + !size);
    if (t->num_dims != 2 || t->shape[1] % 2 || !we_dtype_is_float(t->dtype))
        return wrong_form(p, t, "(experts, twice the rows) of floats");
    p->changed = true;
    for (uint32_t half = 0; half < 2; half++) {
        struct we_tensor *out = &p->tensors[p->count++];
        unsigned char *data = we_arena_array(p->arena, count + 1, size);
        *out = *t;
        out->shape[1] = t->shape[1] / 2;
        out->size = t->size / 2;
        out->data = data;
        we_status status = data ? make_name(p, before, after[half], &out->name) : we_error_memory(p->error, "biases");
        if (status != WE_OK)
            return status;
        for (size_t i = 0; i < count; i++)
            memcpy(data + i * size, (const unsigned char *)t->data + (2 * i + half) * size, size);
    }
    return WE_OK;
}

/* ---- gpt_oss: gate_up_proj_blocks (experts, rows, groups, 16) of bytes, _scales (experts, rows, groups), _bias ---- */

static bool cut_end(struct we_str name, const char *end, struct we_str *before)
{
    *before = we_str(name.data, name.length - (we_str_ends_with(name, we_str_c(end)) ? strlen(end) : 0));
    return before->length != name.length;
}

static we_status pack_blocks(struct we_remake_planner *p, const struct we_tensor *t, struct we_tensor *packed)
{
    if (t->dtype != WE_U8 || t->num_dims != 4 || t->shape[3] != 16)
        return wrong_form(p, t, "U8 (experts, rows, groups, 16)");
    *packed = *t;
    packed->dtype = WE_U32;
    packed->num_dims = 3;
    packed->shape[2] = t->shape[2] * 4;
    packed->shape[3] = 0;
    return WE_OK;
}

static we_status remake_gpt_oss(struct we_remake_planner *p, const struct we_tensor *t, bool *done)
{
    static const char *const weights[2] = {"gate_proj.weight", "up_proj.weight"}, *const scales[2] = {"gate_proj.scales",
                                                                                                      "up_proj.scales"};
    struct we_tensor packed;
    struct we_str before;
    we_status status;
    *done = true;
    if (cut_end(t->name, "gate_up_proj_blocks", &before)) {
        status = pack_blocks(p, t, &packed);
        return status == WE_OK ? split_tensor(p, t, &packed, IN_TURN, before, weights) : status;
    }
    if (cut_end(t->name, "gate_up_proj_scales", &before))
        return split_tensor(p, t, t, IN_TURN, before, scales);
    if (cut_end(t->name, "gate_up_proj_bias", &before))
        return split_biases(p, t, before);
    if (cut_end(t->name, "down_proj_blocks", &before)) {
        status = pack_blocks(p, t, &packed);
        return status == WE_OK ? rename_tensor(p, &packed, before, "down_proj.weight") : status;
    }
    if (cut_end(t->name, "down_proj_scales", &before))
        return rename_tensor(p, t, before, "down_proj.scales");
    if (cut_end(t->name, "down_proj_bias", &before))
        return rename_tensor(p, t, before, "down_proj.bias");
    *done = false;
    return WE_OK;
}

/* ---- other families ---- */

static we_status remake_granitemoe(struct we_remake_planner *p, const struct we_tensor *t, bool *done)
{
    static const char *const halves[2] = {"switch_mlp.gate_proj.weight", "switch_mlp.up_proj.weight"};
    struct we_str before;
    *done = true;
    if (cut_end(t->name, "input_linear.weight", &before) && we_str_ends_with(before, we_str_c("block_sparse_moe.")))
        return split_tensor(p, t, t, ONE_AFTER_THE_OTHER, before, halves);
    if (cut_end(t->name, "output_linear.weight", &before) && we_str_ends_with(before, we_str_c("block_sparse_moe.")))
        return rename_tensor(p, t, before, "switch_mlp.down_proj.weight");
    *done = false;
    return WE_OK;
}

/* A convolution of each value by itself, (values, 1, taps): of that form (values, taps, 1) has the same bytes. */
static bool is_raw_conv(const struct we_tensor *t, const char *end)
{
    return we_str_ends_with(t->name, we_str_c(end)) && t->num_dims == 3 && t->shape[1] == 1 && t->shape[2] > 1;
}

static we_status turn_conv(struct we_remake_planner *p, const struct we_tensor *t, struct we_str before, const char *after)
{
    struct we_tensor turned = *t;
    turned.shape[1] = t->shape[2];
    turned.shape[2] = 1;
    return rename_tensor(p, &turned, before, after);
}

static we_status remake_lfm2(struct we_remake_planner *p, const struct we_tensor *t, bool *done)
{
    static const char *const names[][2] = {
        {"w1.weight", "gate_proj.weight"}, {"w2.weight", "down_proj.weight"}, {"w3.weight", "up_proj.weight"}};
    struct we_str before;
    *done = true;
    if (is_raw_conv(t, "conv.weight"))
        return turn_conv(p, t, t->name, "");
    for (size_t i = 0; i < 3 && is(p, "lfm2_moe"); i++)
        if (cut_end(t->name, names[i][0], &before))
            return rename_tensor(p, t, before, names[i][1]);
    *done = false;
    return WE_OK;
}

static we_status remake_bailing(struct we_remake_planner *p, const struct we_tensor *t, bool *done)
{
    struct we_str before;
    *done = true;
    if (cut_end(t->name, "mlp.gate.weight", &before))
        return rename_tensor(p, t, before, "mlp.gate.gate_proj.weight");
    if (cut_end(t->name, "mlp.gate.bias", &before))
        return rename_tensor(p, t, before, "mlp.gate.gate_proj.bias");
    *done = false;
    return WE_OK;
}

/* Text and images: the text part has had several prefixes, MLX's is language_model. before that of a model of text. */
static we_status remake_mistral3(struct we_remake_planner *p, const struct we_tensor *t, bool *done)
{
    static const char theirs[] = "model.language_model.", ours[] = "language_model.";
    const bool nested = we_str_starts_with(t->name, we_str_c(theirs));
    const struct we_str name = t->name;
    *done = !we_str_starts_with(name, we_str_c(ours)) && we_str_find(name, we_str_c("vision_tower"), 0) == SIZE_MAX &&
            we_str_find(name, we_str_c("multi_modal_projector"), 0) == SIZE_MAX;
    if (!*done)
        return WE_OK;
    char after[LONGEST_NAME];
    const size_t cut = nested ? sizeof theirs - 1 : 0;
    snprintf(after, sizeof after, "%s%.*s", nested ? "model." : "", (int)(name.length - cut), name.data + cut);
    return rename_tensor(p, t, we_str_c(ours), after);
}

/* Its experts hold gate and up in one tensor; of a model of text and images the names begin otherwise. */
static we_status remake_gemma4(struct we_remake_planner *p, const struct we_tensor *t, bool *done)
{
    static const char theirs[] = "model.language_model.", ours[] = "language_model.model.";
    static const char *const halves[2] = {".switch_glu.gate_proj.weight", ".switch_glu.up_proj.weight"};
    char text[LONGEST_NAME];
    struct we_str name = t->name, before;
    const bool nested = !is(p, "gemma4_text") && we_str_starts_with(name, we_str_c(theirs));
    const size_t cut = nested ? sizeof theirs - 1 : 0;
    int n = snprintf(text, sizeof text, "%s%.*s", nested ? ours : "", (int)(name.length - cut), name.data + cut);
    if (n < 0 || (size_t)n >= sizeof text)
        return we_error_set(p->error, WE_UNSUPPORTED, "the name of the tensor '%.*s' is too long", WE_STR_ARG(name));
    name = we_str(text, (size_t)n);
    *done = true;
    if (cut_end(name, ".gate_up_proj", &before) && we_str_ends_with(before, we_str_c(".experts")))
        return split_tensor(p, t, t, ONE_AFTER_THE_OTHER, before, halves);
    if (cut_end(name, ".down_proj", &before) && we_str_ends_with(before, we_str_c(".experts")))
        return rename_tensor(p, t, before, ".switch_glu.down_proj.weight");
    if (nested)
        return rename_tensor(p, t, name, "");
    *done = false;
    return WE_OK;
}

/* ---- families with states ---- */

/* Norms whose weights are learned around 0; MLX's are around 1. */
static bool is_centred_norm(struct we_str name)
{
    static const char *const ends[] = {".input_layernorm.weight", ".post_attention_layernorm.weight", "model.norm.weight",
                                       ".q_norm.weight", ".k_norm.weight"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (we_str_ends_with(name, we_str_c(ends[i])))
            return true;
    return false;
}

static we_status add_one(struct we_remake_planner *p, const struct we_tensor *t, struct we_str before, const char *after)
{
    struct we_tensor shifted = *t;
    const size_t size = we_dtype_size(t->dtype);
    unsigned char *data = we_arena_array(p->arena, t->shape[0] + 1, size);
    if (data == NULL)
        return we_error_memory(p->error, "norms");
    for (uint64_t i = 0; i < t->shape[0]; i++)
        we_store_float(data, t->dtype, i, we_load_float(t->data, t->dtype, i) + 1);
    shifted.data = data;
    return rename_tensor(p, &shifted, before, after);
}

/* Convolutions and norms; `before` and `after` make the name. */
static we_status remake_delta(struct we_remake_planner *p, const struct we_tensor *t, struct we_str before, const char *after,
                              bool *done)
{
    *done = true;
    if (is_raw_conv(t, "conv1d.weight"))
        return turn_conv(p, t, before, after);
    if (p->raw && is_centred_norm(t->name) && t->num_dims == 1 && we_dtype_is_float(t->dtype))
        return add_one(p, t, before, after);
    *done = false;
    return WE_OK;
}

static we_status remake_qwen3_next(struct we_remake_planner *p, const struct we_tensor *t, bool *done)
{
    *done = false;
    return p->raw ? remake_delta(p, t, t->name, "", done) : WE_OK;
}

/* Its experts hold gate and up in one tensor, and its names begin otherwise. */
static we_status remake_qwen3_5(struct we_remake_planner *p, const struct we_tensor *t, bool *done)
{
    static const char theirs[] = "model.language_model.", ours[] = "language_model.";
    static const char *const halves[2] = {"switch_mlp.gate_proj.weight", "switch_mlp.up_proj.weight"};
    char text[LONGEST_NAME];
    struct we_str name = t->name, before;
    const bool nested = we_str_starts_with(name, we_str_c(theirs)), same = we_str_starts_with(name, we_str_c(ours));
    const size_t cut = nested ? sizeof theirs - 1 : same ? sizeof ours - 1 : 0;
    int n = snprintf(text, sizeof text, "%s%s%.*s", ours, nested ? "model." : "", (int)(name.length - cut), name.data + cut);
    if (n < 0 || (size_t)n >= sizeof text)
        return we_error_set(p->error, WE_UNSUPPORTED, "the name of the tensor '%.*s' is too long", WE_STR_ARG(name));
    name = we_str(text, (size_t)n);
    if (cut_end(name, "experts.gate_up_proj", &before) && is(p, "qwen3_5_moe"))
        return *done = true, split_tensor(p, t, t, ONE_AFTER_THE_OTHER, before, halves);
    if (cut_end(name, "experts.down_proj", &before) && is(p, "qwen3_5_moe"))
        return *done = true, rename_tensor(p, t, before, "switch_mlp.down_proj.weight");
    we_status status = remake_delta(p, t, name, "", done);
    if (status == WE_OK && !*done && !same)
        return *done = true, rename_tensor(p, t, name, "");
    return status;
}

static we_status remake_nemotron_h(struct we_remake_planner *p, const struct we_tensor *t, bool *done)
{
    *done = is_raw_conv(t, "conv1d.weight");
    return *done ? turn_conv(p, t, t->name, "") : WE_OK;
}

/* The rows of the first half, then those of the second, of (2 * rows, columns). */
static we_status split_rows(struct we_remake_planner *p, const struct we_tensor *t, struct we_str before,
                            const char *const after[2])
{
    if (t->num_dims != 2 || t->shape[0] % 2)
        return wrong_form(p, t, "(twice the rows, columns)");
    for (uint32_t half = 0; half < 2; half++) {
        struct we_tensor part = *t;
        part.shape[0] = t->shape[0] / 2;
        part.size = t->size / 2;
        part.data = (const unsigned char *)t->data + half * part.size;
        we_status status = rename_tensor(p, &part, before, after[half]);
        if (status != WE_OK)
            return status;
    }
    return WE_OK;
}

/* Without experts its feed-forward is what stands under shared_mlp. */
static we_status remake_granitemoehybrid(struct we_remake_planner *p, const struct we_tensor *t, bool *done)
{
    static const char *const halves[2] = {"mlp.gate_proj.weight", "mlp.up_proj.weight"};
    struct we_str before;
    *done = true;
    if (is_raw_conv(t, "conv1d.weight"))
        return turn_conv(p, t, t->name, "");
    if (p->raw && cut_end(t->name, "shared_mlp.input_linear.weight", &before))
        return split_rows(p, t, before, halves);
    if (p->raw && cut_end(t->name, "shared_mlp.output_linear.weight", &before))
        return rename_tensor(p, t, before, "mlp.down_proj.weight");
    return remake_granitemoe(p, t, done);
}

/* What their classes look at: whether experts stand by themselves, whether a convolution has the other form, whether there are
 * experts. */
static bool is_raw(const struct we_remake_planner *p, const struct we_config *config)
{
    uint32_t experts = 0;
    if (is(p, "granitemoehybrid"))
        return we_config_u32(config, "num_local_experts", &experts, NULL) == WE_OK && experts == 0;
    const char *end = is(p, "qwen3_next") ? ".mlp.experts.0.up_proj.weight" : "conv1d.weight";
    for (size_t i = 0; i < we_safetensors_count(p->files); i++) {
        const struct we_tensor *t = we_safetensors_at(p->files, i);
        if (we_str_ends_with(t->name, we_str_c(end)) &&
            (is(p, "qwen3_next") ? we_str_starts_with(t->name, we_str_c("model.layers."))
                                 : t->num_dims == 3 && t->shape[2] != 1))
            return true;
    }
    return false;
}

/* Tensors of layers that predict further tokens, and of images: their experts are not put together. */
static bool is_dropped(const struct we_remake_planner *p, struct we_str name)
{
    const bool qwen = is(p, "qwen3_5") || is(p, "qwen3_5_moe") || (is(p, "qwen3_next") && p->raw);
    if (is(p, "nemotron_h"))
        return we_str_starts_with(name, we_str_c("mtp."));
    return qwen && (we_str_find(name, we_str_c("mtp."), 0) != SIZE_MAX ||
                    (!is(p, "qwen3_next") && (we_str_starts_with(name, we_str_c("vision_tower")) ||
                                              we_str_starts_with(name, we_str_c("model.visual")))));
}

typedef we_status remake_fn(struct we_remake_planner *p, const struct we_tensor *t, bool *done);

static const struct {
    const char *model_type;
    remake_fn *remake;
} families[] = {
    {"gemma4", remake_gemma4},       {"gemma4_text", remake_gemma4},    {"gemma4_unified", remake_gemma4},
    {"gpt_oss", remake_gpt_oss},     {"granitemoe", remake_granitemoe}, {"lfm2", remake_lfm2},
    {"lfm2_moe", remake_lfm2},       {"bailing_moe", remake_bailing},   {"mistral3", remake_mistral3},
    {"llava", remake_mistral3},      {"qwen3_next", remake_qwen3_next}, {"qwen3_5", remake_qwen3_5},
    {"qwen3_5_moe", remake_qwen3_5}, {"nemotron_h", remake_nemotron_h}, {"granitemoehybrid", remake_granitemoehybrid}};

/* ---- all tensors ---- */

static we_status go_through(struct we_remake_planner *p, remake_fn *remake, bool fill)
{
    struct we_str before, after;
    uint32_t number;
    we_status status = WE_OK;
    for (size_t i = 0; i < we_safetensors_count(p->files) && status == WE_OK; i++) {
        const struct we_tensor *t = we_safetensors_at(p->files, i);
        bool done = false;
        if (is_dropped(p, t->name) || we_remake_is_factor(p->files, t->name)) {
            p->changed = true;
            continue;
        }
        if (split_name(t->name, &before, &number, &after)) {
            status = stack_tensor(p, t, before, number, after, fill);
            continue;
        }
        if (!fill)
            continue;
        if (remake)
            status = remake(p, t, &done);
        if (status == WE_OK && !done)
            p->tensors[p->count++] = *t;
    }
    return status;
}

we_status we_remake_plan(const struct we_safetensors *files, const struct we_config *config, bool with_data,
                         struct we_arena *arena, struct we_remake *remake, struct we_error *error)
{
    *remake = (struct we_remake){0};
    struct we_remake_planner p = {
        .files = files, .config = config, .arena = arena, .remake = remake, .with_data = with_data, .error = error};
    const struct we_json *type = we_json_get(config->json, "model_type");
    p.model_type = type && type->kind == WE_JSON_STRING ? type->string : we_str_c("");
    remake_fn *family = NULL;
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        family = is(&p, families[i].model_type) ? families[i].remake : family;
    p.raw = is_raw(&p, config);
    p.tensors = we_arena_array(arena, 2 * we_safetensors_count(files) + 1, sizeof *p.tensors);
    if (p.tensors == NULL)
        return we_error_memory(error, "the list of tensors");
    we_status status = go_through(&p, family, false);
    const size_t stacks = remake->count;
    if (status == WE_OK)
        status = go_through(&p, family, true);
    for (size_t i = 0; i < stacks && status == WE_OK; i++)
        status = finish_stack(&p, &remake->list[i]);
    if (status == WE_OK)
        status = we_remake_float8(&p);
    if (status == WE_OK)
        status = we_remake_latent(&p);
    return status == WE_OK && p.changed ? we_safetensors_view(p.tensors, p.count, &remake->view, error) : status;
}

/* qwen3_5 calls rope_type by its other name, and puts it last. */
void we_remake_config(struct we_config *config)
{
    const struct we_json *type = we_json_get(config->json, "model_type"), *text = we_json_get(config->json, "text_config");
    struct we_json *rope = (struct we_json *)we_json_get(text ? text : config->json, "rope_parameters");
    const struct we_json *rope_type = we_json_get(rope, "rope_type");
    if (type == NULL || type->kind != WE_JSON_STRING || rope_type == NULL || we_json_get(rope, "type") ||
        !(we_str_equal_c(type->string, "qwen3_5") || we_str_equal_c(type->string, "qwen3_5_moe")))
        return;
    const struct we_json value = *rope_type;
    const size_t at = (size_t)(rope_type - rope->items), after = rope->count - at - 1;
    memmove(rope->items + at, rope->items + at + 1, after * sizeof *rope->items);
    memmove(rope->keys + at, rope->keys + at + 1, after * sizeof *rope->keys);
    rope->items[rope->count - 1] = value;
    rope->keys[rope->count - 1] = we_str_c("type");
}

/* ---- with the data ---- */

static size_t padded(uint64_t bytes)
{
    return (size_t)(bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static void copy_rows(const struct we_remade *r, const struct we_tensor *tensor, unsigned char *to)
{
    const uint64_t columns = tensor->num_dims ? tensor->shape[tensor->num_dims - 1] : 1;
    const uint64_t rows = columns ? tensor->size / we_dtype_size(tensor->dtype) / columns : 0;
    const unsigned char *data;
    for (uint64_t at = 0, n; at < rows; at += n) {
        n = 1;
        if (we_remade_is_made(r)) {
            we_remade_values(r, at, 0, columns, to);
            to += columns * we_dtype_size(tensor->dtype);
        } else {
            n = we_remade_rows(r, at, rows - at, &data);
            memcpy(to, data, (size_t)(n * r->row_bytes));
            to += n * r->row_bytes;
        }
    }
}

/* Into one piece of memory that the view owns. */
static we_status copy_remade(const struct we_remake *remake, struct we_safetensors *view, struct we_error *error)
{
    uint64_t bytes = ALIGNMENT;
    for (size_t i = 0; i < remake->count; i++) {
        const struct we_tensor *tensor = we_safetensors_find(view, remake->list[i].name);
        bytes += tensor ? padded(tensor->size) : 0;
    }
    if (bytes > SIZE_MAX || (view->made = malloc((size_t)bytes)) == NULL)
        return we_error_set(error, WE_OUT_OF_MEMORY,
                            "weights of the model have another form in its files, and %.1f GB of memory to put them so are "
                            "missing; 'whisperengine convert' makes a model that needs no such memory",
                            (double)bytes / 1e9);
    unsigned char *to = view->made;
    to += (ALIGNMENT - (uintptr_t)to % ALIGNMENT) % ALIGNMENT;
    for (size_t i = 0; i < remake->count; i++) {
        struct we_tensor *tensor = (struct we_tensor *)we_safetensors_find(view, remake->list[i].name);
        if (tensor == NULL) /* it was made into others */
            continue;
        tensor->data = to;
        copy_rows(&remake->list[i], tensor, to);
        to += padded(tensor->size);
    }
    return WE_OK;
}

we_status we_weights_open(const char *directory, const struct we_config *config, bool copy, struct we_safetensors **weights,
                          struct we_error *error)
{
    struct we_safetensors *files = NULL;
    struct we_arena arena = {0};
    struct we_remake remake;
    *weights = NULL;
    we_status status = we_safetensors_open(directory, &files, error);
    if (status == WE_OK)
        status = we_remake_plan(files, config, copy, &arena, &remake, error);
    if (status != WE_OK || remake.view == NULL) {
        we_arena_free(&arena);
        if (status != WE_OK)
            we_safetensors_close(files);
        else
            *weights = files;
        return status;
    }
    if (copy && remake.count)
        status = copy_remade(&remake, remake.view, error);
    remake.view->below = files;
    remake.view->arena = arena; /* of the names, and of what was copied */
    if (status != WE_OK)
        we_safetensors_close(remake.view);
    else
        *weights = remake.view;
    return status;
}
