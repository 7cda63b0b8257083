// SPDX-License-Identifier: MIT
/* conn_world: what stands around the conns in their tests: sockets, the clock, an owner that takes what it is told to take.
 * May use: conn_private.h. May not: be part of the program. */
#ifndef T2M_CONN_WORLD_H
#define T2M_CONN_WORLD_H

#include "harness.h"

#include "bridge/peers/conn_private.h"

#include <errno.h>
#include <stdlib.h>

#define PEERS 16

/* What each conn keeps for its owner. */
struct mine {
	uint64_t inputs, ends;
};

static struct {
	struct config config;
	struct stats stats;
	struct ev_loop *loop;
	struct sources *sources;
	struct conns *conns;
	int64_t now_ms;
	/* the sockets: what arrives, what left */
	struct {
		char in[4096];
		size_t in_len;
		bool closed, watched;
	} socket[PEERS];
	int sockets;
	char wire[1024];
	unsigned refused[STAT_COUNT];
	/* the owner: takes so many bytes, and says this */
	size_t takes;
	enum input_end end;
	bool expects;
	bool names; /* a unit, with each input */
	struct conn *last;
	char seen[4096]; /* the last input */
	int32_t quiet_ms;
	unsigned inputs, datagrams, ends;
	char rest[64];
	const char *reason;
} world;

/* --- what stands around the conns --- */

struct moment conns_now(const struct conns *c)
{
	(void)c;
	return (struct moment){TEST_NOW_MS + world.now_ms, world.now_ms};
}

void conn_refused(struct conn *conn, enum counter reason)
{
	(void)conn;
	world.refused[reason]++;
}

bool conn_take_line(const struct conn *conn)
{
	(void)conn;
	return false;
}

bool conn_open_socket(
	struct conn *conn, struct tls_server *tls, void (*on_io)(struct ev_loop *loop, ev_io *io, int events))
{
	assert_null(tls);
	ev_io_init(&conn->io, on_io, conn->peer.fd, EV_READ);
	conn->io.data = conn;
	world.socket[conn->peer.fd].watched = true;
	return true;
}

void conn_close_socket(struct conn *conn)
{
	(void)conn;
}

ssize_t conn_receive_plain(struct conn *conn, void *to, size_t size, bool look)
{
	char *in = world.socket[conn->peer.fd].in;
	size_t *len = &world.socket[conn->peer.fd].in_len, n = size < *len ? size : *len;
	if (n == 0) {
		errno = EAGAIN;
		return world.socket[conn->peer.fd].closed ? 0 : -1;
	}
	memcpy(to, in, n);
	if (!look)
		memmove(in, in + n, *len -= n);
	return (ssize_t)n;
}

ssize_t conn_receive(struct conn *conn, void *to, size_t size)
{
	return conn_receive_plain(conn, to, size, false);
}

enum sent conn_send(struct conn *conn, const uint8_t *bytes, size_t len, size_t *gone)
{
	(void)conn;
	strncat(world.wire, (const char *)bytes, len);
	*gone = len;
	return SENT_ALL;
}

bool conn_kernel_holds(const struct conn *conn)
{
	(void)conn;
	return false;
}

void conn_listen(struct conn *conn, bool writable)
{
	(void)writable;
	world.socket[conn->peer.fd].watched = conn->stalled.line == NULL && !conn_owes_much(conn);
}

void conn_listen_tls(struct conn *conn)
{
	assert_null(conn->tls);
}

void conn_ignore(struct conn *conn)
{
	if (!conn->udp)
		world.socket[conn->peer.fd].watched = false;
}

static bool expects_units(const void *ctx)
{
	(void)ctx;
	return world.expects;
}

static void datagram(void *ctx, struct conn *conn, struct span bytes)
{
	(void)ctx;
	(void)bytes;
	assert_true(conn_is_udp(conn));
	world.datagrams++;
}

static size_t input(void *ctx, struct conn *conn, struct span bytes, int32_t quiet_ms, struct moment now,
	enum input_end *end)
{
	struct mine *mine = conn_owner(conn);
	(void)ctx;
	assert_int_equal(now.steady_ms, world.now_ms);
	assert_true(bytes.len < sizeof(world.seen));
	if (bytes.len > 0)
		snprintf(world.seen, sizeof(world.seen), "%.*s", (int)bytes.len, (const char *)bytes.ptr);
	world.quiet_ms = quiet_ms;
	world.inputs++;
	world.last = conn;
	if (world.names)
		conn_unit_came(conn, false);
	mine->inputs++;
	*end = world.end;
	return bytes.len < world.takes ? bytes.len : world.takes;
}

static void ended(void *ctx, struct conn *conn, const char *reason, struct span rest, struct moment now)
{
	struct mine *mine = conn_owner(conn);
	(void)ctx;
	(void)now;
	assert_int_equal(mine->ends++, 0);
	snprintf(world.rest, sizeof(world.rest), "%.*s", (int)rest.len, (const char *)rest.ptr);
	world.reason = reason;
	world.ends++;
}

static int set_up(void **state)
{
	static const struct conn_ops ops = {
		NULL, sizeof(struct mine), 300, 3000, expects_units, datagram, input, ended};
	(void)state;
	memset(&world, 0, sizeof(world));
	config_init(&world.config);
	log_open(LOG_LEVEL_ERROR);
	world.now_ms = 1000000;
	world.takes = SIZE_MAX;
	world.loop = ev_loop_new(EVFLAG_AUTO);
	world.sources = sources_open(&world.stats);
	world.conns = conns_open(world.loop, &world.config, &ops, world.sources, &world.stats);
	assert_non_null(world.conns);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	size_t left = conns_count(world.conns), before = world.ends;
	conns_close_all(world.conns, "stopped");
	assert_int_equal(world.ends, before + left);
	assert_int_equal(world.conns->kept + world.conns->owed, 0);
	conns_free(world.conns);
	sources_free(world.sources);
	ev_loop_destroy(world.loop);
	config_free(&world.config);
	return 0;
}

/* --- what peers do --- */

static union address address_of(unsigned host, unsigned port)
{
	char text[ADDRESS_TEXT_MAX];
	union address a;
	snprintf(text, sizeof(text), "192.0.2.%u:%u", host, port);
	assert_true(address_parse(text, &a));
	return a;
}

/* NULL: refused. */
static struct conn *connects(unsigned host, bool proxied)
{
	size_t before = conns_count(world.conns);
	union address a = address_of(host, 1000 + (unsigned)world.sockets);
	assert_true(world.sockets < PEERS);
	conns_accept(world.conns, world.sockets++, &a, NULL, proxied);
	return conns_count(world.conns) > before ? world.conns->idle_fresh->idle.prev : NULL;
}

static inline void reads(struct conn *conn)
{
	conn->io.cb(world.loop, &conn->io, EV_READ);
}

static inline void says(struct conn *conn, const char *text)
{
	size_t *len = &world.socket[conn->peer.fd].in_len;
	memcpy(world.socket[conn->peer.fd].in + *len, text, strlen(text));
	*len += strlen(text);
	reads(conn);
}

static inline bool tells(unsigned host, unsigned port, const char *text)
{
	union address a = address_of(host, port);
	return conns_datagram(world.conns, PEERS - 1, &a, span_text(text), false);
}

/* The same to a listener behind a proxy. */
static inline bool hands_on(unsigned host, unsigned port, struct span bytes)
{
	union address a = address_of(host, port);
	return conns_datagram(world.conns, PEERS - 1, &a, bytes, true);
}

/* So much time passes; then this timer is due. */
static inline void passes(int64_t ms, ev_timer *timer)
{
	world.now_ms += ms;
	timer->cb(world.loop, timer, EV_TIMER);
}

static inline void turns(void)
{
	conns_reap(world.conns);
	conns_flush(world.conns, true);
}

#endif
