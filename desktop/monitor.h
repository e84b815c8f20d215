/* Reads how busy the machine is, every 2 seconds, in a thread of its own: files of the system can be slow. */
#ifndef WE_DESKTOP_MONITOR_H
#define WE_DESKTOP_MONITOR_H

#include "base/vitals.h"

#include <glib.h>

struct we_monitor; /* opaque */

struct we_reading {
    struct we_vitals vitals;
    double processors; /* share that was busy since the last reading, 0 to 1; below 0: not known */
    double own;        /* processors that this process kept busy since then */
};

/* Called in the main loop. */
typedef void we_monitor_fn(gpointer context, const struct we_reading *reading);

struct we_monitor *we_monitor_new(we_monitor_fn *on_reading, gpointer context);
void we_monitor_free(struct we_monitor *monitor); /* on_reading is not called any more */

#endif
