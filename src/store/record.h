/* What a download left beside a model's files: which revision they are of, and which of them are verified. It is there from the
 * beginning, so a directory whose record does not say "complete" is an unfinished download. */
#ifndef WE_STORE_RECORD_H
#define WE_STORE_RECORD_H

#include "store/hub.h"

#define WE_RECORD_NAME ".whisperengine-download.json"

struct we_record {
    const char *name;     /* "ORG/NAME"; NULL: there is no record, or none that can be read */
    const char *revision; /* that was asked for, or "" */
    char commit[WE_GIT_HEX + 1];
    bool complete;
    struct we_hub_file *files; /* (count): those that were verified in their place */
    size_t count;
    const char **replaced; /* (num_replaced): that a download put here, and another one replaces or removes */
    size_t num_replaced;
};

/* Reads it; one that is absent or broken is empty. WE_OUT_OF_MEMORY is the only error. */
we_status we_record_read(const char *folder, struct we_arena *arena, struct we_record *record, struct we_error *error);
we_status we_record_write(const char *folder, const struct we_record *record, struct we_error *error);

const struct we_hub_file *we_record_find(const struct we_record *record, const char *path);
/* Did a download put this file here? */
bool we_record_owns(const struct we_record *record, const char *path);

/* Is the folder a download that did not end? */
bool we_is_unfinished(const char *folder);

/* Complete, and every file of it is there with its size? */
bool we_record_holds(const struct we_record *record, const char *folder);

#endif
