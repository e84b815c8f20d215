#include "kv/layout.h"

/* The group of a window, made if there is none yet. */
static uint32_t group_of(struct we_kv_group *groups, uint32_t *num_groups, uint32_t window)
{
    for (uint32_t i = 0; i < *num_groups; i++)
        if (groups[i].window == window)
            return i;
    groups[*num_groups] = (struct we_kv_group){.window = window};
    return (*num_groups)++;
}

static void add_entry(const struct we_decoder *decoder, const struct we_block *block, struct we_kv_group *groups,
                      uint32_t *num_groups, struct we_kv_entry *entry)
{
    uint32_t window = 0;
    *entry = (struct we_kv_entry){0};
    if (block->kind == WE_BLOCK_SHORT_CONV) {
        window = block->op.short_conv->length;
        entry->k_width = decoder->hidden_size;
    } else {
        const struct we_attention *attention = block->op.attention;
        window = attention->mask == WE_MASK_SLIDING ? attention->window : 0;
        entry->k_width = attention->num_key_value_heads * attention->head_dim;
        entry->v_width = attention->num_key_value_heads * attention->v_head_dim;
    }
    entry->group = group_of(groups, num_groups, window);
    entry->index = groups[entry->group].num_entries++;
    groups[entry->group].page_values += (uint64_t)WE_PAGE_POSITIONS * (entry->k_width + entry->v_width);
}

we_status we_kv_layout_derive(const struct we_decoder *decoder, enum we_dtype dtype, struct we_arena *arena,
                              struct we_kv_layout *layout, struct we_error *error)
{
    struct we_kv_entry *entries = we_arena_array(arena, decoder->num_states, sizeof *entries);
    struct we_kv_group *groups = we_arena_array(arena, decoder->num_states, sizeof *groups);
    if (entries == NULL || groups == NULL)
        return we_error_memory(error, "the layout of the KV cache");
    uint32_t num_groups = 0;
    for (uint32_t l = 0; l < decoder->num_layers; l++) {
        for (uint32_t s = 0; s < decoder->layers[l].num_steps; s++) {
            const struct we_step *step = &decoder->layers[l].steps[s];
            for (uint32_t b = 0; b < step->num_blocks; b++) {
                const struct we_block *block = &step->blocks[b];
                if (block->state != WE_NO_STATE)
                    add_entry(decoder, block, groups, &num_groups, &entries[block->state]);
            }
        }
    }
    *layout = (struct we_kv_layout){groups, num_groups, entries, decoder->num_states, dtype};
    return WE_OK;
}

uint64_t we_kv_page_bytes(const struct we_kv_layout *layout, uint32_t group)
{
    return layout->groups[group].page_values * we_dtype_size(layout->dtype);
}

uint64_t we_kv_position_bytes(const struct we_kv_layout *layout)
{
    uint64_t bytes = 0;
    for (uint32_t g = 0; g < layout->num_groups; g++)
        bytes += we_kv_page_bytes(layout, g) / WE_PAGE_POSITIONS;
    return bytes;
}
