// SPDX-License-Identifier: MIT
/* hostname: whether a text can be the name or the address of a host.
 * Uses: codecs/record.
 * Not: resolve names. */
#ifndef T2M_HOSTNAME_H
#define T2M_HOSTNAME_H

#include "codecs/record/bytes.h"

#include <stdbool.h>

/* What is wrong with a name or a numeric address, which stands without port and brackets; NULL: nothing. A sentence that goes on
 * behind the name: "is no IPv4 address: …". */
const char *hostname_fault(struct span name);
/* Is it this machine itself: localhost, or an address of the loopback interface? */
bool hostname_is_loopback(struct span name);

/* The parts of host:port, as they stand in the text. `host` is without brackets. */
struct host_port {
	struct span host;
	unsigned port; /* 0: the text has none */
};
/* Reads a host with or without a port, IPv6 in brackets where a port stands behind it. NULL, or what is wrong, as hostname_fault. */
const char *host_port_fault(struct span text, struct host_port *out);

#endif
