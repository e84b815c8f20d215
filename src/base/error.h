#ifndef WE_BASE_ERROR_H
#define WE_BASE_ERROR_H

#include <whisperengine.h>

#include <stdarg.h>

#define WE_PRINTF(string, first) __attribute__((format(printf, string, first)))

/* Fills *error (NULL is fine), truncating at a character, and returns `status`. */
we_status we_error_set(struct we_error *error, we_status status, const char *format, ...) WE_PRINTF(3, 4);

/* The same, with ": " and the text of `errnum` (errno) after the message. */
we_status we_error_errno(struct we_error *error, we_status status, int errnum, const char *format, ...) WE_PRINTF(4, 5);

/* "PREFIX: " before the message that *error holds; returns its status. */
we_status we_error_prefix(struct we_error *error, const char *format, ...) WE_PRINTF(2, 3);

/* WE_OUT_OF_MEMORY, naming what was to be allocated. */
we_status we_error_memory(struct we_error *error, const char *what);

#endif
