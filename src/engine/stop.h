/* Stop strings in text that streams: text that may be the beginning of one is held back until that is decided. */
#ifndef WE_ENGINE_STOP_H
#define WE_ENGINE_STOP_H

#include "base/buf.h"

struct we_stop {
    const char *const *strings; /* (count), none empty */
    size_t count;
    struct we_buf held;
};

void we_stop_init(struct we_stop *stop, const char *const *strings, size_t count);
void we_stop_free(struct we_stop *stop);

/* Appends `text` to what is held. *ready is what can be told (a view of `held`): after using it, call we_stop_consume with
 * its length. Returns true when a stop string was found: *ready then ends where it begins, and nothing more will come. */
bool we_stop_add(struct we_stop *stop, struct we_str text, struct we_str *ready);
void we_stop_consume(struct we_stop *stop, size_t length);

#endif
