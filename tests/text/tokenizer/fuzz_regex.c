/* A pattern, a NUL byte, and a text: what compiles is looked for in the text, and ends. */
#include "text/regex.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct we_error error;
    struct we_regex *regex;
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    size_t length = nul ? (size_t)(nul - data) : size;
    struct we_str text = nul ? we_str((const char *)nul + 1, size - length - 1) : we_str("", 0);
    text.length = we_utf8_valid_prefix(text);
    if (we_regex_compile(we_str((const char *)data, length), &regex, &error) == WE_OK) {
        struct we_regex_state state = {0};
        struct we_regex_scan scan;
        bool found = true;
        size_t start, end, last = 0;
        we_regex_scan_begin(&scan, regex, &state, text);
        while (found && we_regex_scan_next(&scan, &found, &start, &end, &error) == WE_OK && found) {
            if (start < last || end < start || end > text.length)
                abort();
            last = end;
        }
        we_regex_state_free(&state);
    }
    we_regex_free(regex);
    return 0;
}
