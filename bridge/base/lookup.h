/* lookup: the address of a host and port, found without holding up the loop.
 * May use: libev, the system's resolver in a thread. May not: connect. */
#ifndef T2M_LOOKUP_H
#define T2M_LOOKUP_H

#include "bridge/base/address.h"

#include <ev.h>

struct lookup;

/* `server`: host:port, IPv6 in brackets. Begins at once. NULL: no memory, or it is not host:port. */
struct lookup *lookup_open(struct ev_loop *loop, const char *server);
void lookup_free(struct lookup *lookup);
/* False: there is no answer yet. An answer is looked up anew after a while. */
bool lookup_address(struct lookup *lookup, union address *out);
/* Is this host:port? */
bool lookup_allowed(const char *server);

#endif
