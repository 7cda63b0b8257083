// SPDX-License-Identifier: MIT
/* mqtt_link: a client of libmosquitto as the configuration wants it, and the attempt to connect it, in a thread.
 * Uses: bridge/base, bridge/settings; <mosquitto.h>, <mqtt_protocol.h>.
 * Not: publish, know the outbox or who owns the connection. */
#ifndef T2M_MQTT_LINK_H
#define T2M_MQTT_LINK_H

#include "bridge/base/tls.h"
#include "bridge/settings/config.h"

#include <mosquitto.h>
#if LIBMOSQUITTO_VERSION_NUMBER < 2001000 /* from 2.1 on, mosquitto.h has it, and warns of this one */
#include <mqtt_protocol.h>
#endif

#define MQTT_PACKET_MOST (1 << 20) /* bytes: the largest packet that the broker may send */

struct ev_loop;

/* One client of the library, for one connection. The library's callbacks get it as their context. */
struct link {
	void *owner;
	struct mosquitto *client;
	struct tls_client *tls; /* NULL: plain */
	char said[200];         /* the last error that the library logged */
};

void link_free(struct link *link); /* may be NULL */
/* Why the certificate was refused, the broker's or ours; if that is not the reason: `why`. Valid as long as the link and `why`. */
const char *link_reason(const struct link *link, const char *why);

/* One attempt to connect. While it runs, the client is the thread's alone. */
struct attempt;

struct attempt_ops {
	/* The client is new: sets its will and its callbacks. */
	void (*prepare)(void *owner, struct mosquitto *client);
	/* The attempt has ended and is freed; the link is the owner's now. `rc`: what the library returned; `error`: errno. */
	void (*ended)(void *owner, struct link *link, int rc, int error);
};

/* `resume`: the session that the broker keeps goes on, if there is one; else it begins anew. `ops` is a constant; both functions are called on the loop, `prepare` before this returns. NULL: it cannot begin; if TLS is the reason,
 * the log has it. */
struct attempt *attempt_start(struct ev_loop *loop, const struct config *config, const struct attempt_ops *ops,
	bool resume, void *owner);
/* `ended` is not called any more. NULL: does nothing. */
void attempt_abandon(struct attempt *attempt);

#endif
