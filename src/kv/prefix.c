#include "kv/prefix.h"

#include <assert.h>
#include <stdlib.h>

struct we_prefix_node {
    struct we_prefix_node *next;   /* in the chain of the table */
    struct we_prefix_node *parent; /* NULL: the first page of a sequence */
    uint64_t hash, salt, last_used;
    uint32_t num_children;
    uint32_t num_tables;           /* page tables whose `last` this is */
    uint32_t tokens[WE_PAGE_POSITIONS];
    we_page pages[];               /* (num_groups): the index holds a reference to each */
};

static uint64_t node_hash(const struct we_prefix_node *parent, uint64_t salt, const uint32_t *tokens)
{
    uint64_t seed = parent ? parent->hash : salt;
    return we_str_hash(we_str((const char *)tokens, WE_PAGE_POSITIONS * sizeof *tokens), seed);
}

static struct we_prefix_node *find_node(const struct we_kv_cache *cache, const struct we_prefix_node *parent, uint64_t salt,
                                        const uint32_t *tokens)
{
    uint64_t hash = node_hash(parent, salt, tokens);
    struct we_prefix_node *node = cache->table[hash & (cache->table_size - 1)];
    while (node && (node->hash != hash || node->parent != parent || node->salt != salt ||
                    memcmp(node->tokens, tokens, sizeof node->tokens) != 0))
        node = node->next;
    return node;
}

static void set_last(struct we_page_table *table, struct we_prefix_node *node)
{
    if (table->last)
        table->last->num_tables--;
    table->last = node;
    if (node)
        node->num_tables++;
}

we_status we_kv_cache_init(struct we_kv_cache *cache, const struct we_kv_layout *layout, const uint32_t *num_pages,
                           struct we_error *error)
{
    *cache = (struct we_kv_cache){.num_groups = layout->num_groups};
    uint32_t most = 1;
    cache->groups = calloc(layout->num_groups ? layout->num_groups : 1, sizeof *cache->groups);
    we_status status = cache->groups ? WE_OK : we_error_memory(error, "the KV cache");
    for (uint32_t g = 0; status == WE_OK && g < layout->num_groups; g++) {
        status = we_pages_init(&cache->groups[g], num_pages[g], error);
        most = num_pages[g] > most ? num_pages[g] : most;
    }
    cache->table_size = 64;
    while (cache->table_size < most && cache->table_size < 1u << 30)
        cache->table_size *= 2;
    if (status == WE_OK && (cache->table = calloc(cache->table_size, sizeof *cache->table)) == NULL)
        status = we_error_memory(error, "the KV cache's index");
    if (status != WE_OK)
        we_kv_cache_free(cache);
    return status;
}

static void remove_node(struct we_kv_cache *cache, struct we_prefix_node *node)
{
    struct we_prefix_node **link = &cache->table[node->hash & (cache->table_size - 1)];
    while (*link != node)
        link = &(*link)->next;
    *link = node->next;
    if (node->parent)
        node->parent->num_children--;
    for (uint32_t g = 0; g < cache->num_groups; g++)
        we_pages_release(&cache->groups[g], node->pages[g]);
    free(node);
    cache->num_nodes--;
}

/* A node that nothing builds on and no sequence uses may go. */
static bool is_idle(const struct we_kv_cache *cache, const struct we_prefix_node *node)
{
    if (node->num_children || node->num_tables)
        return false;
    for (uint32_t g = 0; g < cache->num_groups; g++)
        if (cache->groups[g].references[node->pages[g]] != 1)
            return false;
    return true;
}

static bool evict_oldest(struct we_kv_cache *cache)
{
    struct we_prefix_node *oldest = NULL;
    for (uint32_t i = 0; i < cache->table_size; i++)
        for (struct we_prefix_node *node = cache->table[i]; node; node = node->next)
            if (is_idle(cache, node) && (oldest == NULL || node->last_used < oldest->last_used))
                oldest = node;
    if (oldest)
        remove_node(cache, oldest);
    return oldest != NULL;
}

void we_kv_cache_clear(struct we_kv_cache *cache)
{
    while (cache->num_nodes && evict_oldest(cache))
        continue;
}

void we_kv_cache_free(struct we_kv_cache *cache)
{
    for (uint32_t i = 0; cache->table && i < cache->table_size; i++) {
        struct we_prefix_node *node = cache->table[i];
        while (node) {
            struct we_prefix_node *next = node->next;
            free(node);
            node = next;
        }
    }
    for (uint32_t g = 0; cache->groups && g < cache->num_groups; g++)
        we_pages_free(&cache->groups[g]);
    free(cache->groups);
    free(cache->table);
    *cache = (struct we_kv_cache){0};
}

we_status we_page_table_init(struct we_page_table *table, const struct we_kv_cache *cache, uint32_t capacity,
                             struct we_error *error)
{
    *table = (struct we_page_table){.capacity = capacity};
    size_t groups = cache->num_groups ? cache->num_groups : 1, room = capacity ? capacity : 1;
    table->pages = calloc(groups, sizeof *table->pages);
    we_page *all = calloc(groups * room, sizeof *all);
    if (table->pages == NULL || all == NULL) {
        free(table->pages);
        free(all);
        *table = (struct we_page_table){0};
        return we_error_memory(error, "the page table of a sequence");
    }
    for (size_t g = 0; g < groups; g++)
        table->pages[g] = all + g * room;
    return WE_OK;
}

void we_page_table_clear(struct we_page_table *table, struct we_kv_cache *cache)
{
    if (table->pages == NULL)
        return;
    for (uint32_t g = 0; g < cache->num_groups; g++)
        for (uint32_t i = 0; i < table->num_pages; i++)
            we_pages_release(&cache->groups[g], table->pages[g][i]);
    set_last(table, NULL);
    table->num_pages = table->num_indexed = 0;
}

void we_page_table_free(struct we_page_table *table, struct we_kv_cache *cache)
{
    if (table->pages == NULL)
        return;
    we_page_table_clear(table, cache);
    free(table->pages[0]);
    free(table->pages);
    *table = (struct we_page_table){0};
}

uint32_t we_kv_cache_match(struct we_kv_cache *cache, uint64_t salt, const uint32_t *tokens, uint32_t num_tokens,
                           struct we_page_table *table)
{
    assert(table->num_pages == 0);
    uint32_t most = num_tokens ? (num_tokens - 1) / WE_PAGE_POSITIONS : 0;
    cache->clock++;
    while (table->num_pages < most && table->num_pages < table->capacity) {
        uint32_t i = table->num_pages;
        struct we_prefix_node *node = find_node(cache, table->last, salt, tokens + (size_t)i * WE_PAGE_POSITIONS);
        if (node == NULL)
            break;
        node->last_used = cache->clock;
        for (uint32_t g = 0; g < cache->num_groups; g++) {
            table->pages[g][i] = node->pages[g];
            we_pages_retain(&cache->groups[g], node->pages[g]);
        }
        set_last(table, node);
        table->num_indexed = ++table->num_pages;
    }
    return table->num_pages * WE_PAGE_POSITIONS;
}

we_status we_kv_cache_extend(struct we_kv_cache *cache, struct we_page_table *table, uint32_t length, struct we_error *error)
{
    uint32_t need = (uint32_t)(((uint64_t)length + WE_PAGE_POSITIONS - 1) / WE_PAGE_POSITIONS);
    assert(need <= table->capacity);
    while (table->num_pages < need) {
        for (uint32_t g = 0; g < cache->num_groups; g++) {
            we_page page;
            while ((page = we_pages_take(&cache->groups[g])) == WE_NO_PAGE && evict_oldest(cache))
                continue;
            if (page == WE_NO_PAGE) {
                while (g-- > 0)
                    we_pages_release(&cache->groups[g], table->pages[g][table->num_pages]);
                return we_error_set(error, WE_OUT_OF_MEMORY, "the KV cache is full: every one of its pages is in use");
            }
            table->pages[g][table->num_pages] = page;
        }
        table->num_pages++;
    }
    return WE_OK;
}

void we_kv_cache_index(struct we_kv_cache *cache, uint64_t salt, const uint32_t *tokens, uint32_t committed,
                       struct we_page_table *table)
{
    cache->clock++;
    while (table->num_indexed < committed / WE_PAGE_POSITIONS) {
        uint32_t i = table->num_indexed;
        const uint32_t *page_tokens = tokens + (size_t)i * WE_PAGE_POSITIONS;
        struct we_prefix_node *node = find_node(cache, table->last, salt, page_tokens);
        if (node == NULL) {
            node = calloc(1, sizeof *node + cache->num_groups * sizeof *node->pages);
            if (node == NULL)
                return;
            node->parent = table->last;
            node->salt = salt;
            node->hash = node_hash(table->last, salt, page_tokens);
            memcpy(node->tokens, page_tokens, sizeof node->tokens);
            for (uint32_t g = 0; g < cache->num_groups; g++) {
                node->pages[g] = table->pages[g][i];
                we_pages_retain(&cache->groups[g], node->pages[g]);
            }
            struct we_prefix_node **link = &cache->table[node->hash & (cache->table_size - 1)];
            node->next = *link;
            *link = node;
            cache->num_nodes++;
            if (node->parent)
                node->parent->num_children++;
        }
        node->last_used = cache->clock;
        set_last(table, node);
        table->num_indexed++;
    }
}
