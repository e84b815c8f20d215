/* The terminal, and the one way to standard output: what is written there is the product, and a pipe that its reader
 * closed ends the program quietly. */
#ifndef WE_CLI_TERMINAL_H
#define WE_CLI_TERMINAL_H

#include "base/buf.h"
#include "base/error.h"

#include <unistd.h>

/* To be called first: locale, closed standard descriptors, SIGPIPE. */
void we_terminal_open(void);

bool we_terminal_is(int fd);         /* a terminal */
bool we_terminal_can_draw(int fd);   /* one that knows escape sequences */
unsigned we_terminal_width(int fd);  /* columns; 80 if it is none */
bool we_terminal_utf8(void);         /* the locale of the environment is UTF-8 */

enum we_style { WE_STYLE_NONE, WE_STYLE_BOLD, WE_STYLE_DIM, WE_STYLE_ERROR, WE_STYLE_PROMPT, WE_STYLE_GOOD, WE_STYLE_WARNING };

/* The escape sequence that begins a style (NONE ends them), or "": where NO_COLOR is set or `fd` is no terminal. */
const char *we_terminal_style(int fd, enum we_style style);

/* Columns that a text takes. */
size_t we_text_width(struct we_str text);

/* ---- standard output ---- */

/* Buffered. After an error everything is dropped, and false returned. */
bool we_out(const char *data, size_t length);
bool we_out_c(const char *text);
bool we_out_printf(const char *format, ...) WE_PRINTF(1, 2);
bool we_out_flush(void);

/* The text of a model as it streams: flushed, and on a terminal without the control characters that could command it. */
bool we_out_stream(const char *text, size_t length);

/* Flushes, and gives the exit status: `status`; or 0, quietly, if the reader closed the pipe; or 1 with a message. */
int we_out_finish(int status);

#endif
