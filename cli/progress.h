/* Progress, on standard error if that is a terminal. */
#ifndef WE_CLI_PROGRESS_H
#define WE_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* A turning sign with a label, drawn by a thread of its own once 0.3 seconds have passed; one at a time. Stopping
 * removes it, and is fine when none is there. */
void we_spinner_start(const char *label);
void we_spinner_stop(void);

/* A bar, drawn at most ten times a second. done and total are bytes, or what `unit` says. */
struct we_progress {
    const char *label;
    const char *unit;      /* "tokens"; NULL: bytes. Set it after the start */
    double started, drawn;
    bool visible;
    bool with_rate;        /* also bytes a second and the time that is left; set it after the start */
    double seen_at, rate;  /* of the last measurement */
    uint64_t seen;
};
void we_progress_start(struct we_progress *progress, const char *label);
void we_progress_update(struct we_progress *progress, uint64_t done, uint64_t total);
void we_progress_end(struct we_progress *progress); /* removes it */

#endif
