// SPDX-License-Identifier: MIT
/* mqtt_link: a client of libmosquitto as the configuration wants it, and the attempt to connect it, in a thread.
 * Uses: bridge/base, bridge/settings; <mosquitto.h>, <mqtt_protocol.h>.
 * Not: publish, know the outbox or who owns the connection. */
#ifndef T2M_MQTT_LINK_H
#define T2M_MQTT_LINK_H

#include "bridge/base/address.h"
#include "bridge/base/hosts.h"
#include "bridge/base/tls.h"
#include "bridge/settings/config.h"

#include <mosquitto.h>
#if LIBMOSQUITTO_VERSION_NUMBER < 2001000 /* from 2.1 on, mosquitto.h has it, and warns of this one */
#include <mqtt_protocol.h>
#endif

#define MQTT_PACKET_MOST (1 << 20) /* bytes: the largest packet that the broker may send */

struct ev_loop;

#define LINK_HEAD_MAX 64

/* What an attempt is made for. */
struct target {
	struct host host;
	int version; /* of MQTT: 5, or 4 for 3.1.1 */
	bool resume; /* the session that the broker keeps goes on, if there is one; else it begins anew */
};

/* One client of the library, for one connection. The library's callbacks get it as their context. */
struct link {
	void *owner;
	struct mosquitto *client;
	int version;
	struct tls_client *tls;      /* NULL: plain */
	char said[200];              /* the last error that the library logged */
	bool reached;                /* there was a connection to somebody */
	union address peer;          /* all zero: not known */
	uint8_t head[LINK_HEAD_MAX]; /* the first bytes that came, without TLS */
	size_t head_len;
};

void link_free(struct link *link); /* may be NULL */
/* Why the certificate was refused, the broker's or ours; if that is not the reason: `why`. Valid as long as the link and `why`. */
const char *link_reason(const struct link *link, const char *why);
/* Before the library reads: looks at what has come, until something has. */
void link_look(struct link *link);
/* The first bytes that came, of TLS or plain. `link` may be NULL. */
struct span link_head(const struct link *link);
/* After the library has read: has TLS more for it, which was read from the socket already? The socket does not become readable for that. */
bool link_has_unread(const struct link *link);
/* Does what a call returned, and errno, mean that the other side has closed a connection that stood? */
bool link_is_closed(int rc, int error);
/* Can a broker of MQTT have sent them? True also while there are none, and where TLS is spoken. */
bool link_may_be_mqtt(const struct link *link);
/* Was a CONNECT of MQTT 5 answered with a CONNACK of 3.1.1? */
bool link_speaks_3(const struct link *link);

/* One attempt to connect. While it runs, the client is the thread's alone. */
struct attempt;

struct attempt_ops {
	/* The client is new: sets its will and its callbacks. */
	void (*prepare)(void *owner, struct mosquitto *client);
	/* The attempt has ended and is freed; the link is the owner's now. `rc`: what the library returned; `error`: errno. */
	void (*ended)(void *owner, struct link *link, int rc, int error);
};

/* `target` is copied. `ops` is a constant; both functions are called on the loop, `prepare` before this returns. NULL: it cannot begin;
 * mqtt_check says whether TLS is the reason. */
struct attempt *attempt_start(struct ev_loop *loop, const struct config *config, const struct target *target,
	const struct attempt_ops *ops, void *owner);
/* `ended` is not called any more. NULL: does nothing. */
void attempt_abandon(struct attempt *attempt);

#endif
