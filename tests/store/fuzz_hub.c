#include "store/hub.h"

#include <stdlib.h>

/* Whatever the answer says: no name may lead out of the directory, and each file has a hash. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct we_arena arena = {0};
    struct we_hub_listing listing;
    struct we_error error;
    if (we_hub_parse_listing(we_str((const char *)data, size), "fuzz", &arena, &listing, &error) == WE_OK) {
        if (listing.count == 0 || !we_is_hash(listing.commit, WE_GIT_HEX))
            abort();
        for (size_t i = 0; i < listing.count; i++) {
            const struct we_hub_file *f = &listing.files[i];
            const char *slash = strchr(f->path, '/');
            if (f->path[0] == '/' || f->path[0] == '.' || strstr(f->path, "..") == f->path || strstr(f->path, "/..") ||
                (slash && strchr(slash + 1, '/')) || !we_is_hash(f->identity.hex, strlen(f->identity.hex)))
                abort();
        }
    }
    we_arena_free(&arena);
    return 0;
}
