// SPDX-License-Identifier: MIT
/* lookup: the addresses of a host and port, asked of the system's resolver without stopping the loop.
 * Uses: <ev.h>.
 * Not: connect. */
#ifndef T2M_LOOKUP_H
#define T2M_LOOKUP_H

#include "bridge/base/address.h"

#include <ev.h>

struct lookup;

/* `server`: host:port, IPv6 in brackets; it is copied. The first question is asked at once. NULL: no memory, or it is not host:port. */
struct lookup *lookup_open(struct ev_loop *loop, const char *server);
/* Does not wait for the resolver. */
void lookup_free(struct lookup *lookup);
/* Copies the address that is to be tried to *out: of those that the resolver told last, the first one that has not failed. False: none is
 * known yet. Asks the resolver again when no question is open, and none is known or the last question is a minute old. */
bool lookup_address(struct lookup *lookup, union address *out);
/* Nobody answers at this address, which lookup_address told: the next one is to be tried, behind the last one the first one. */
void lookup_failed(struct lookup *lookup, const union address *address);
/* How many addresses are known. */
unsigned lookup_count(const struct lookup *lookup);
/* Is this host:port, as lookup_open accepts it? */
bool lookup_allowed(const char *server);

#endif
