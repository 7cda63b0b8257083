// SPDX-License-Identifier: MIT
/* conn_all: all connections and UDP peers: how they come, when they are looked at again, how all end.
 * Uses: bridge/settings.
 * Not: know what the bytes of a peer mean (conn_ops). */
#ifndef T2M_CONN_ALL_H
#define T2M_CONN_ALL_H

#include "bridge/peers/conn.h"
#include "bridge/peers/source.h"
#include "bridge/settings/config.h"

struct ev_loop;
struct tls_server;

/* `ops` is copied; its ctx and all others outlast the conns. NULL: no memory. */
struct conns *conns_open(struct ev_loop *loop, const struct config *config, const struct conn_ops *ops,
	struct sources *sources, struct stats *stats);
/* Closes all, each with this reason, at once: not from inside a call of this room, nor of one of the conn_ops. */
void conns_close_all(struct conns *conns, const char *reason);
/* Closes so many of them, with this reason: they go with the next conns_reap. How many it has closed. */
size_t conns_close_some(struct conns *conns, size_t count, const char *reason);
void conns_free(struct conns *conns);

/* A new TCP connection; takes the descriptor over, also when it refuses. `tls`: NULL for a plain one. `proxied`: it comes
 * through a proxy, and a PROXY header says from whom. */
void conns_accept(struct conns *conns, int fd, const union address *peer, struct tls_server *tls, bool proxied);
/* A datagram. false: not now (the owner has no room), do not read on. `proxied`: one from a proxy may begin with a PROXY header; that
 * holds for those behind it from the same port, too. */
bool conns_datagram(struct conns *conns, int fd, const union address *from, struct span bytes, bool proxied);

/* Those that are marked go; of those whose unit speaks elsewhere, what has arrived is taken. At the top of the turn. */
void conns_reap(struct conns *conns);
/* Flushes of the outbox are numbered. `begun` is under way: what is answered so far is safe when it has ended (0: none is that). `safe` is the
 * last that has ended well. Before conns_flush. */
void conns_flushed(struct conns *conns, uint64_t begun, uint64_t safe);
/* Sends what is owed; of the answers those that are safe, or all when all is `stored`. Once per turn of the loop. */
void conns_flush(struct conns *conns, bool stored);
/* The owner has room again: takes up what was left. */
void conns_resume(struct conns *conns);
/* Does one wait for the owner to have room? */
bool conns_stalled(const struct conns *conns);
size_t conns_count(const struct conns *conns);

#endif
