/* The methods of strings, lists, dictionaries, ... */
#ifndef WE_TEXT_JINJA_METHODS_H
#define WE_TEXT_JINJA_METHODS_H

#include "text/jinja_run.h"

/* The method of that name, or NULL; *unsafe: there is one, but the sandbox forbids it. */
const struct we_jcallable *we_jmethod_named(struct we_jvalue object, struct we_str name, bool *unsafe);
/* Of strings: each table ends with a row without a name. */
extern const struct we_jcallable we_jstring_search_methods[], we_jstring_split_methods[], we_jstring_change_methods[];

/* What filters share with methods. */

/* Byte offset of `needle` at or after `from`, or the last one; SIZE_MAX if it is not there. False: failed. */
bool we_jsearch(struct we_jrun *run, struct we_str text, struct we_str needle, size_t from, size_t *at);
bool we_jsearch_last(struct we_jrun *run, struct we_str text, struct we_str needle, size_t *at);
enum we_jside { WE_J_PAD_LEFT, WE_J_PAD_RIGHT, WE_J_PAD_BOTH }; /* where the fill goes */
struct we_jvalue we_jstrip(struct we_jrun *run, struct we_jvalue string, struct we_jvalue characters, bool left, bool right);
struct we_jvalue we_jchange_case(struct we_jrun *run, struct we_jvalue string, enum we_jcase to);
struct we_jvalue we_jreplace(struct we_jrun *run, struct we_jvalue string, struct we_str old, struct we_str new, int64_t count);
struct we_jvalue we_jsplit_lines(struct we_jrun *run, struct we_jvalue string, bool keep_ends);
struct we_jvalue we_jpad(struct we_jrun *run, struct we_jvalue string, int64_t width, struct we_str fill, enum we_jside side);
bool we_jis_all_case(struct we_str text, bool upper);

#endif
