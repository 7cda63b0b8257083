// SPDX-License-Identifier: MIT
/* ways: UDP through a proxy: for whom each port of the proxy speaks.
 * Uses: bridge/base.
 * Not: know conns, or what a header is.
 *
 * A proxy sends its header in the first datagram of a client, from a port that it keeps for this client; the later datagrams from that
 * port have none. Times are those of the steady clock. */
#ifndef T2M_WAYS_H
#define T2M_WAYS_H

#include "bridge/base/address.h"

struct way;

/* All zero at first. */
struct ways {
	struct way *by_key; /* hash */
	struct way *oldest; /* list: by the last use */
	size_t count;
};

/* What comes to this socket from this address of the proxy is the client's from now on. Beyond `most`, the one that was used longest ago
 * is forgotten. False: no memory. */
bool ways_name(struct ways *ways, int fd, const union address *proxy, const union address *client, size_t most,
	int64_t now_ms);
/* The proxy has said that it speaks for nobody. */
void ways_forget(struct ways *ways, int fd, const union address *proxy);
/* A datagram without a header: whose is it? Counts as a use. False: nobody was named, and *client stays as it was. */
bool ways_use(struct ways *ways, int fd, const union address *proxy, union address *client, int64_t now_ms);
/* Forgets those that were last used before this time. */
void ways_expire(struct ways *ways, int64_t before_ms);
void ways_free(struct ways *ways);

#endif
