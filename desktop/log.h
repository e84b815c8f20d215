/* What the program and its libraries say while it runs: the last lines are kept in memory, for the page that shows them. Any
 * thread may call any of these. */
#ifndef WE_DESKTOP_LOG_H
#define WE_DESKTOP_LOG_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

enum we_log_level { WE_LOG_DEBUG, WE_LOG_INFO, WE_LOG_WARNING, WE_LOG_ERROR, WE_LOG_CRITICAL, WE_NUM_LOG_LEVELS };

enum { WE_LOG_LINES = 5000, WE_LOG_LONGEST = 4096 /* bytes of a line */ };

struct we_log_line {
    uint64_t number; /* from 1 */
    gint64 time;     /* microseconds since 1970 */
    enum we_log_level level;
    char *source; /* "engine", "GTK" */
    char *text;   /* UTF-8 */
};

/* "info": as the setting log_level has them. */
const char *we_log_level_name(enum we_log_level level);
/* The level of that name, in any case; WE_LOG_INFO for another one. */
enum we_log_level we_log_level_of(const char *name);

/* What is below is not kept; at first WE_LOG_INFO. */
void we_log_set_level(enum we_log_level level);
void we_log(enum we_log_level level, const char *source, const char *format, ...) G_GNUC_PRINTF(3, 4);

/* For g_log_set_writer_func, which the program's main calls, once: what GLib and GTK say is kept, too. Warnings and worse are
 * also written to standard error, as ever. */
GLogWriterOutput we_log_writer(GLogLevelFlags level, const GLogField *fields, gsize count, gpointer data);

/* Calls `visit` for the lines after `number` that are still kept, the oldest first; returns the number of the last one. The
 * lines are borrowed, and nothing may be logged in between. */
uint64_t we_log_since(uint64_t number, void (*visit)(void *context, const struct we_log_line *line), void *context);
/* Forgets all lines. */
void we_log_clear(void);

/* "2026-11-26 14:22:14.123  WARNING  GTK  text"; the caller's (g_free). */
char *we_log_line_text(const struct we_log_line *line);

#endif
