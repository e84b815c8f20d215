/* The filters, by subject: each table ends with a row without a name. */
#ifndef WE_TEXT_JINJA_FILTERS_H
#define WE_TEXT_JINJA_FILTERS_H

#include "text/jinja_run.h"

extern const struct we_jcallable we_jfilters_sequence[], we_jfilters_order[], we_jfilters_text[], we_jfilters_value[];

struct we_jvalue we_jfilter_tojson(struct we_jrun *run, struct we_jvalue *a);

/* "a.b.0" of an item, as the filters with an `attribute` take it; none: the item itself. */
struct we_jgetter {
    struct we_jlist parts;
    struct we_jvalue missing; /* in place of what is undefined; MISSING or None: nothing */
    bool ignore_case;
};
bool we_jgetter_init(struct we_jrun *run, struct we_jgetter *getter, struct we_jvalue attribute);
struct we_jvalue we_jgetter_get(struct we_jrun *run, const struct we_jgetter *getter, struct we_jvalue item);

/* The `reverse` of a sort, which Python takes as an integer. */
static inline int we_jreverse(struct we_jrun *run, struct we_jvalue value)
{
    int64_t number;
    return we_jarg_int(run, value, 0, &number) ? number != 0 : -1;
}
/* Whether an optional argument is true: 1, 0 or -1. */
static inline int we_jflag(struct we_jrun *run, struct we_jvalue value)
{
    return value.kind == WE_J_MISSING ? 0 : we_jtruth(run, value);
}
static inline bool we_jgiven(struct we_jvalue value)
{
    return value.kind != WE_J_MISSING && value.kind != WE_J_NONE;
}

#endif
