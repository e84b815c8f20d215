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
                if (block->kind != WE_BLOCK_ATTENTION)
                    continue;
                const struct we_attention *attention = block->op.attention;
                uint32_t window = attention->mask == WE_MASK_SLIDING ? attention->window : 0;
                uint32_t g = group_of(groups, &num_groups, window);
                entries[block->state] = (struct we_kv_entry){
                    .group = g,
                    .index = groups[g].num_entries++,
                    .k_width = attention->num_key_value_heads * attention->head_dim,
                    .v_width = attention->num_key_value_heads * attention->v_head_dim,
                };
                groups[g].page_values += (uint64_t)WE_PAGE_POSITIONS * (entries[block->state].k_width + entries[block->state].v_width);
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
