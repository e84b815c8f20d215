/* Hugging Face's checkpoints hold each expert of a mixture by itself, MLX's models all of them in one tensor:
 * X.experts.N.gate_proj.weight (also w1, w2 and w3, for gate, down and up) become X.switch_mlp.gate_proj.weight. */
#include "convert/directory.h"

#include <stdio.h>

static const char mark[] = ".experts.";

/* The number of the expert, and where the names before and after it lie; false if there is none. */
static bool split_name(struct we_str name, struct we_str *before, uint32_t *number, struct we_str *after)
{
    size_t at = we_str_find(name, we_str_c(mark), 0), digit = at + sizeof mark - 1, end = digit;
    if (at == SIZE_MAX || !(we_str_ends_with(name, we_str_c(".weight")) || we_str_ends_with(name, we_str_c(".bias"))))
        return false;
    for (*number = 0; end < name.length && name.data[end] >= '0' && name.data[end] <= '9' && end < digit + 6; end++)
        *number = *number * 10 + (uint32_t)(name.data[end] - '0');
    if (end == digit || end >= name.length || name.data[end] != '.')
        return false;
    *before = we_str(name.data, at);
    *after = we_str(name.data + end + 1, name.length - end - 1);
    return true;
}

static struct we_str stacked_name(struct we_arena *arena, struct we_str before, struct we_str after)
{
    static const char *const names[][2] = {{"w1.", "gate_proj."}, {"w2.", "down_proj."}, {"w3.", "up_proj."}};
    char text[512];
    const char *module = "";
    for (size_t i = 0; i < 3; i++)
        if (we_str_starts_with(after, we_str_c(names[i][0]))) {
            module = names[i][1];
            after = we_str(after.data + 3, after.length - 3);
            break;
        }
    int n = snprintf(text, sizeof text, "%.*s.switch_mlp.%s%.*s", WE_STR_ARG(before), module, WE_STR_ARG(after));
    char *copy = n > 0 && (size_t)n < sizeof text ? we_arena_copy(arena, we_str(text, (size_t)n)) : NULL;
    return we_str_c(copy);
}

/* The last ones first: the tensors are sorted, so those of a layer stand together. */
static struct we_stack *find_stack(const struct we_checkpoint *c, struct we_str name)
{
    for (size_t i = c->num_stacks; i-- > 0;)
        if (we_str_equal(c->stacks[i].name, name))
            return &c->stacks[i];
    return NULL;
}

const struct we_stack *we_checkpoint_stack(const struct we_checkpoint *checkpoint, struct we_str name)
{
    return find_stack(checkpoint, name);
}

/* Counts the pieces (fill false), then takes them. */
static we_status go_through(struct we_checkpoint *c, bool fill, struct we_arena *arena, struct we_error *error)
{
    for (size_t i = 0; i < we_safetensors_count(c->set); i++) {
        const struct we_tensor *t = we_safetensors_at(c->set, i);
        struct we_str before, after;
        uint32_t number;
        if (!split_name(t->name, &before, &number, &after))
            continue;
        struct we_str name = stacked_name(arena, before, after);
        if (name.data == NULL)
            return we_error_memory(error, "the names of tensors");
        struct we_stack *stack = find_stack(c, name);
        if (stack == NULL) {
            stack = &c->stacks[c->num_stacks++];
            stack->name = name;
        }
        if (!fill) {
            stack->count++;
            continue;
        }
        if (stack->pieces == NULL)
            stack->pieces = we_arena_array(arena, stack->count, sizeof *stack->pieces);
        if (stack->pieces == NULL)
            return we_error_memory(error, "the list of experts");
        if (number >= stack->count || stack->pieces[number])
            return we_error_set(error, WE_INVALID_FORMAT,
                                "%s: tensor '%.*s' is one of %u experts, but their numbers are not 0 to %u", t->file,
                                WE_STR_ARG(t->name), stack->count, stack->count - 1);
        stack->pieces[number] = t;
    }
    return WE_OK;
}

static we_status stack_up(const struct we_stack *stack, struct we_tensor *out, struct we_error *error)
{
    const struct we_tensor *first = stack->pieces[0];
    *out = *first;
    out->name = stack->name;
    out->num_dims = first->num_dims + 1;
    out->size = first->size * stack->count;
    if (out->num_dims > WE_MAX_DIMS)
        return we_error_set(error, WE_UNSUPPORTED, "%s: tensor '%.*s' has too many dimensions", first->file,
                            WE_STR_ARG(first->name));
    out->shape[0] = stack->count;
    for (uint32_t d = 0; d < first->num_dims; d++)
        out->shape[d + 1] = first->shape[d];
    for (uint32_t k = 1; k < stack->count; k++) {
        const struct we_tensor *piece = stack->pieces[k];
        char a[128], b[128];
        if (piece->dtype != first->dtype || piece->num_dims != first->num_dims ||
            memcmp(piece->shape, first->shape, sizeof piece->shape) != 0)
            return we_error_set(error, WE_INVALID_FORMAT, "%s: tensor '%.*s' is %s %s, but that of the first expert %s %s",
                                piece->file, WE_STR_ARG(piece->name), we_dtype_name(piece->dtype),
                                we_tensor_shape_text(piece, a), we_dtype_name(first->dtype), we_tensor_shape_text(first, b));
    }
    return WE_OK;
}

we_status we_checkpoint_stack_experts(struct we_checkpoint *c, struct we_arena *arena, struct we_error *error)
{
    size_t count = we_safetensors_count(c->set), kept = 0;
    struct we_str before, after;
    uint32_t number;
    struct we_tensor *tensors = we_arena_array(arena, count, sizeof *tensors);
    c->stacks = we_arena_array(arena, count, sizeof *c->stacks);
    if (tensors == NULL || c->stacks == NULL)
        return we_error_memory(error, "the list of tensors");
    we_status status = go_through(c, false, arena, error);
    if (status == WE_OK)
        status = go_through(c, true, arena, error);
    for (size_t i = 0; i < count && status == WE_OK; i++)
        if (!split_name(we_safetensors_at(c->set, i)->name, &before, &number, &after))
            tensors[kept++] = *we_safetensors_at(c->set, i);
    for (size_t i = 0; i < c->num_stacks && status == WE_OK; i++)
        status = stack_up(&c->stacks[i], &tensors[kept++], error);
    return status == WE_OK ? we_safetensors_view(tensors, kept, &c->view, error) : status;
}
