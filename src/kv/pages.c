#include "kv/pages.h"

#include <assert.h>
#include <stdlib.h>

we_status we_pages_init(struct we_pages *pages, uint32_t num_pages, struct we_error *error)
{
    *pages = (struct we_pages){.num_pages = num_pages, .num_free = num_pages};
    pages->free_pages = calloc(num_pages ? num_pages : 1, sizeof *pages->free_pages);
    pages->references = calloc(num_pages ? num_pages : 1, sizeof *pages->references);
    if (pages->free_pages == NULL || pages->references == NULL) {
        we_pages_free(pages);
        return we_error_memory(error, "the KV cache's table of pages");
    }
    for (uint32_t i = 0; i < num_pages; i++)
        pages->free_pages[i] = num_pages - 1 - i;
    return WE_OK;
}

void we_pages_free(struct we_pages *pages)
{
    free(pages->free_pages);
    free(pages->references);
    *pages = (struct we_pages){0};
}

we_page we_pages_take(struct we_pages *pages)
{
    if (pages->num_free == 0)
        return WE_NO_PAGE;
    we_page page = pages->free_pages[--pages->num_free];
    pages->references[page] = 1;
    return page;
}

void we_pages_retain(struct we_pages *pages, we_page page)
{
    assert(page < pages->num_pages && pages->references[page] > 0);
    pages->references[page]++;
}

void we_pages_release(struct we_pages *pages, we_page page)
{
    if (page == WE_NO_PAGE)
        return;
    assert(page < pages->num_pages && pages->references[page] > 0);
    if (--pages->references[page] == 0)
        pages->free_pages[pages->num_free++] = page;
}
