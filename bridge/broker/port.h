// SPDX-License-Identifier: MIT
/* port: what listens behind a port that does not answer as a broker of MQTT.
 * Uses: bridge/base, codecs/record.
 * Not: know the library or the connection. */
#ifndef T2M_PORT_H
#define T2M_PORT_H

#include "bridge/base/address.h"
#include "codecs/record/bytes.h"

struct port_kind {
	const char *what; /* "an SSH server" */
	const char *cure; /* what to set */
};

/* By the first bytes that it sent. NULL: they may be a broker's, or nobody knows them. */
const struct port_kind *port_kind(struct span head);
/* The one that speaks TLS. */
const struct port_kind *port_of_tls(void);
/* Can a broker of MQTT have begun so? */
bool port_may_be_mqtt(struct span head);

/* Greets it as TLS does. Does it answer with TLS? Waits at most so many seconds for the connection, and again for
 * the answer: not for the loop's thread. */
bool port_speaks_tls(const union address *address, double seconds);

#endif
