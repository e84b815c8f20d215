/* What every user of the network library here needs: its start, addresses, headers. */
#ifndef WE_NET_NET_H
#define WE_NET_NET_H

#include "base/error.h"
#include "base/str.h"

/* Before anything else of the network library; any thread, any number of times. */
we_status we_net_start(struct we_error *error);

/* The server that an address leads to. */
struct we_origin {
    char scheme[16], host[256], port[8];
};
/* False: it is no http or https address. */
bool we_origin_read(const char *url, struct we_origin *origin);
bool we_origin_same(const struct we_origin *a, const struct we_origin *b);
/* This machine, by name or number. */
bool we_origin_is_loopback(const struct we_origin *origin);

/* Whether a line of a header is of that name; *value is what stands behind the colon, without blanks around it. */
bool we_header_value(const char *line, size_t length, const char *name, struct we_str *value);

#endif
