/* The --json forms: one value on one line, printed at the end or not at all. */
#ifndef WE_CLI_JSON_LINE_H
#define WE_CLI_JSON_LINE_H

#include "base/buf.h"

/* Members with their separators; key is NULL in an array. Starts as {0}. */
struct we_json_line {
    struct we_buf buf;
    bool more; /* a separator comes before the next member */
};
void we_json_open(struct we_json_line *line, const char *key, char bracket);
void we_json_close(struct we_json_line *line, char bracket);
void we_json_text(struct we_json_line *line, const char *key, const char *text); /* NULL: null */
void we_json_str(struct we_json_line *line, const char *key, struct we_str text);
void we_json_integer(struct we_json_line *line, const char *key, uint64_t number);
void we_json_number(struct we_json_line *line, const char *key, double number);
void we_json_bool(struct we_json_line *line, const char *key, bool value);
/* Prints it with a newline, all at once, and frees it; false: out of memory, and nothing was printed. */
bool we_json_print(struct we_json_line *line);

#endif
