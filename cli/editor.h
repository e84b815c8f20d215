/* Lines that a person types: edited, with history, where standard input is a terminal; else as they come. */
#ifndef WE_CLI_EDITOR_H
#define WE_CLI_EDITOR_H

#include "base/arena.h"
#include "base/buf.h"

struct we_editor; /* opaque */

/* Puts words that may follow into `list`; `line` is what stands left of the cursor. Returns where in `line` the word begins that they replace. */
typedef size_t we_complete_fn(void *context, const char *line, struct we_arena *arena, char ***list, size_t *count);

/* `history`: a file, created when needed; NULL: none. */
we_status we_editor_open(const char *history, we_complete_fn *complete, void *context, struct we_editor **editor,
                         struct we_error *error);
void we_editor_close(struct we_editor *editor);

/* Typed by a person at a terminal, not read from a file or a pipe. */
bool we_editor_interactive(const struct we_editor *editor);

enum we_line { WE_LINE_READ, WE_LINE_END, WE_LINE_INTERRUPTED, WE_LINE_FAILED };

/* Reads one message into `line`, without the final newline. A paste of several lines is one message; so are lines that end in a
 * backslash, and ones broken with Alt-Enter. INTERRUPTED: Ctrl-C; `line` is
 * empty if nothing had been typed. */
enum we_line we_editor_read(struct we_editor *editor, struct we_buf *line);

/* What a handler of Ctrl-C calls, after an editor was opened: a read that waits looks at we_interrupted(). Async-signal-safe. */
void we_editor_wake(void);

#endif
