#include "base/error.h"

#include <stdio.h>
#include <string.h>

/* A message cut in the middle of a UTF-8 character would print as garbage. */
static void trim_partial_character(char *text)
{
    size_t n = strlen(text), back = 0;
    while (back < n && back < 4 && ((unsigned char)text[n - 1 - back] & 0xC0) == 0x80)
        back++;
    if (back == n || back == 4)
        return;
    unsigned char lead = (unsigned char)text[n - 1 - back];
    size_t need = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : lead >= 0xC0 ? 1 : 0;
    if (need > back)
        text[n - 1 - back] = '\0';
}

static void format_message(struct we_error *error, const char *format, va_list args)
{
    int n = vsnprintf(error->message, sizeof error->message, format, args);
    if (n < 0)
        error->message[0] = '\0';
    else if ((size_t)n >= sizeof error->message)
        trim_partial_character(error->message);
}

we_status we_error_set(struct we_error *error, we_status status, const char *format, ...)
{
    if (error == NULL)
        return status;
    error->status = status;
    va_list args;
    va_start(args, format);
    format_message(error, format, args);
    va_end(args);
    return status;
}

we_status we_error_errno(struct we_error *error, we_status status, int errnum, const char *format, ...)
{
    if (error == NULL)
        return status;
    error->status = status;
    va_list args;
    va_start(args, format);
    format_message(error, format, args);
    va_end(args);
    char reason[128] = "unknown error";
#if defined(__GLIBC__) && defined(_GNU_SOURCE)
    const char *text = strerror_r(errnum, reason, sizeof reason);
#else
    const char *text = strerror_r(errnum, reason, sizeof reason) == 0 ? reason : "unknown error";
#endif
    size_t used = strlen(error->message);
    snprintf(error->message + used, sizeof error->message - used, ": %s", text);
    return status;
}

we_status we_error_prefix(struct we_error *error, const char *format, ...)
{
    if (error == NULL)
        return WE_INVALID_ARGUMENT; /* the caller holds the real status */
    char old[sizeof error->message];
    memcpy(old, error->message, sizeof old);
    va_list args;
    va_start(args, format);
    format_message(error, format, args);
    va_end(args);
    size_t used = strlen(error->message);
    int n = snprintf(error->message + used, sizeof error->message - used, ": %s", old);
    if (n >= 0 && (size_t)n >= sizeof error->message - used)
        trim_partial_character(error->message);
    return error->status;
}

we_status we_error_memory(struct we_error *error, const char *what)
{
    return we_error_set(error, WE_OUT_OF_MEMORY, "out of memory for %s", what);
}
