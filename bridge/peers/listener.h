// SPDX-License-Identifier: MIT
/* listener: TCP and TLS accept, UDP receive; hands over to conns.
 * Uses: bridge/base, bridge/settings; <ev.h>.
 * Not: know codecs, MQTT. */
#ifndef T2M_LISTENER_H
#define T2M_LISTENER_H

#include "bridge/settings/config.h"
#include "bridge/peers/conn_all.h"

#include <ev.h>

struct listeners;

/* Binds every configured address. NULL: `why` says which one and what is wrong. */
struct listeners *listeners_open(
	struct ev_loop *loop, const struct config *config, struct conns *conns, char *why, size_t size);
/* Reads certificate and key again, for new connections. False: `why`, and the old ones stay. */
bool listeners_reload(struct listeners *listeners, char *why, size_t size);
/* No more connections and datagrams; the sockets stay open for what is still to be sent. */
void listeners_stop(struct listeners *listeners);
/* New connections are refused, so that a balancer or a unit tries another bridge at once. Datagrams are read no more. For good. */
void listeners_refuse(struct listeners *listeners);
/* After conns_resume: datagrams are read again. */
void listeners_resume(struct listeners *listeners);
void listeners_free(struct listeners *listeners);

#endif
