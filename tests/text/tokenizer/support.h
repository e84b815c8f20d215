/* What the tests of the tokenizer share: the golden file and its tokenizers. */
#ifndef WE_TESTS_TOKENIZER_SUPPORT_H
#define WE_TESTS_TOKENIZER_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"
#include "text/tokenizer.h"

/* A file of TEST_DATA, parsed; lives until the program ends. Fails the test if there is none. */
const struct we_json *golden_file(const char *name);
/* goldens.json: all cases, and the one with a name. */
const struct we_json *golden_cases(void);
const struct we_json *golden_case(const char *name);

/* The tokenizer.json of a case: its "json", with the parts that "@NAME" names put in. Free with we_buf_free. */
struct we_buf golden_json(const struct we_json *golden);
struct we_tokenizer *golden_tokenizer(const struct we_json *golden);

/* A text of a case: a string, or {"hex": ...}; appended to `bytes`. */
void golden_text(const struct we_json *text, struct we_buf *bytes);
void golden_ids(const struct we_json *list, struct we_ids *ids);

/* Parses a copy of its exact size, so that reads past the end are found. */
we_status parse_exact(struct we_str json, struct we_tokenizer **tokenizer, struct we_error *error);

#endif
