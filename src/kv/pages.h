/* Page numbers of one group, and who uses them. The executor owns what is in a page. */
#ifndef WE_KV_PAGES_H
#define WE_KV_PAGES_H

#include "kv/layout.h"

struct we_pages {
    uint32_t num_pages, num_free;
    we_page *free_pages;   /* (num_free): a stack, so that warm pages are used again first */
    uint32_t *references;  /* (num_pages) */
};

we_status we_pages_init(struct we_pages *pages, uint32_t num_pages, struct we_error *error);
void we_pages_free(struct we_pages *pages);

/* A page with one reference; WE_NO_PAGE if none is free. */
we_page we_pages_take(struct we_pages *pages);
void we_pages_retain(struct we_pages *pages, we_page page);
/* Gives a reference back; the last one frees the page. WE_NO_PAGE is fine. */
void we_pages_release(struct we_pages *pages, we_page page);

#endif
