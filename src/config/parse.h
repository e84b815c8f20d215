/* What the text of a setting means. Independent of the locale. */
#ifndef WE_CONFIG_PARSE_H
#define WE_CONFIG_PARSE_H

#include "config/settings.h"

struct we_parsed {
    uint64_t integer; /* integers and bytes; of a choice: which one, from 0 */
    double number;    /* numbers; also integers */
};

/* False if `text` is no value of this setting. */
bool we_setting_parse(const struct we_setting *row, const char *text, struct we_parsed *parsed);

/* "a number from 0 to 1": what is expected. */
void we_setting_expected(const struct we_setting *row, char *text, size_t size);

#endif
