/* The system's memory of files: what a measurement of a cold start has to empty first. */
#ifndef WE_BASE_PAGE_CACHE_H
#define WE_BASE_PAGE_CACHE_H

#include "base/error.h"

#include <stdint.h>

/* Asks the system to forget the pages of a file, which no right but that to read it is needed for, and looks what it has
 * forgotten: it keeps pages that a process has mapped, and file systems that live in memory keep all. WE_UNSUPPORTED: this
 * system has no way to ask, or none to look. */
we_status we_page_cache_drop(const char *path, uint64_t *kept_bytes, uint64_t *file_bytes, struct we_error *error);

#endif
