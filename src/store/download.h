/* Files of the Hub, over several connections. Each goes into a part file whose name holds the expected hash, grows from its
 * start to its end, and gets its final name only when size and hash are right. */
#ifndef WE_STORE_DOWNLOAD_H
#define WE_STORE_DOWNLOAD_H

#include "store/hub.h"

struct we_download {
    const struct we_hub_file *file;
    const char *url, *part, *target;
    bool postponed; /* the part stays a part when it is verified: the caller renames it */
};

struct we_download_plan {
    const struct we_http *http;
    const char *name;              /* of the model, for messages */
    struct we_download *downloads; /* (count) */
    size_t count;
    uint32_t connections;
    uint64_t chunk; /* bytes of one request; 0: 16 MiB */
    /* A file is verified (and in its place, unless postponed). May be NULL. */
    we_status (*on_done)(void *context, const struct we_download *download, struct we_error *error);
    /* Bytes of all files that are there, often. False: stop. */
    bool (*on_bytes)(void *context, uint64_t done);
    void *context;
};

/* WE_OK: all files are verified. On an error (WE_CANCELLED among them) the parts stay, for the next time. */
we_status we_download_all(const struct we_download_plan *plan, uint64_t *fetched, struct we_error *error);

/* Renames a verified part to its place, and syncs the folder. */
we_status we_download_place(const struct we_download *download, struct we_error *error);

#endif
