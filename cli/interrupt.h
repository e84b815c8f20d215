/* Ctrl-C. */
#ifndef WE_CLI_INTERRUPT_H
#define WE_CLI_INTERRUPT_H

#include <stdbool.h>

/* To be called first: Ctrl-C ends the program at once, with exit status 130. */
void we_interrupt_open(void);

/* From now on Ctrl-C calls `stop`, which must be async-signal-safe, and the program goes on; while it has not reacted,
 * a third Ctrl-C ends it. NULL: as at the start. */
void we_interrupt_handle(void (*stop)(void));

/* Whether Ctrl-C came since the last we_interrupt_handle or we_interrupt_clear. */
bool we_interrupted(void);
void we_interrupt_clear(void);

/* Where the terminal's Ctrl-C goes to a whole group of processes (make, a script) of which this is a member, puts this
 * process alone in the foreground: a Ctrl-C that stops a reply must not end the others. Undone by we_foreground_leave and
 * when Ctrl-C ends the program. */
void we_foreground_enter(void);
void we_foreground_leave(void);

#endif
