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

/* Values of the state of a block that keeps it in a slot; 0: it does not. */
static uint64_t slot_values(const struct we_block *block)
{
    if (block->kind == WE_BLOCK_GATED_DELTA) {
        const struct we_gated_delta *g = block->op.gated_delta;
        const uint64_t keys = (uint64_t)g->num_key_heads * g->key_head_dim,
                       values = (uint64_t)g->num_value_heads * g->value_head_dim;
        return (g->conv_length - 1) * (2 * keys + values) + values * g->key_head_dim;
    }
    if (block->kind == WE_BLOCK_MAMBA2) {
        const struct we_mamba2 *m = block->op.mamba2;
        const uint64_t values = (uint64_t)m->num_heads * m->head_dim, keys = (uint64_t)m->num_groups * m->state_size;
        return (m->conv_length - 1) * (2 * keys + values) + values * m->state_size;
    }
    return 0;
}

/* Whether the entry is another block's. */
static bool shares(const struct we_block *block)
{
    return block->kind == WE_BLOCK_ATTENTION && block->op.attention->shares_kv;
}

static void add_entry(const struct we_decoder *decoder, const struct we_block *block, struct we_kv_group *groups,
                      uint32_t *num_groups, struct we_kv_entry *entry)
{
    uint32_t window = 0;
    *entry = (struct we_kv_entry){0};
    if (block->kind == WE_BLOCK_SHORT_CONV) {
        window = block->op.short_conv->length;
        entry->k_width = decoder->hidden_size;
    } else if (block->kind == WE_BLOCK_LATENT_ATTENTION) {
        const struct we_latent_attention *attention = block->op.latent_attention;
        entry->k_width = attention->rope_head_dim + attention->latent_dim;
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
    struct we_kv_group *groups = we_arena_array(arena, decoder->num_states + 1, sizeof *groups);
    if (entries == NULL || groups == NULL)
        return we_error_memory(error, "the layout of the KV cache");
    uint32_t num_groups = 0;
    uint64_t in_slots = 0;
    for (uint32_t l = 0; l < decoder->num_layers; l++) {
        for (uint32_t s = 0; s < decoder->layers[l].num_steps; s++) {
            const struct we_step *step = &decoder->layers[l].steps[s];
            for (uint32_t b = 0; b < step->num_blocks; b++) {
                const struct we_block *block = &step->blocks[b];
                if (block->kind == WE_BLOCK_GATED_DELTA || block->kind == WE_BLOCK_MAMBA2)
                    entries[block->state] = (struct we_kv_entry){.group = WE_NO_GROUP}, in_slots += slot_values(block);
                else if (block->state != WE_NO_STATE && !shares(block))
                    add_entry(decoder, block, groups, &num_groups, &entries[block->state]);
            }
        }
    }
    if (num_groups == 0) /* pages of nothing still count positions, for the index of prefixes */
        group_of(groups, &num_groups, 0);
    *layout = (struct we_kv_layout){groups, num_groups, entries, decoder->num_states, dtype, in_slots};
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

uint64_t we_kv_slot_bytes(const struct we_kv_layout *layout)
{
    return layout->slot_values * sizeof(float);
}
