// SPDX-License-Identifier: MIT
/* conn_all: see conn_all.h. Each timeout has a list of its own, in which all wait for the same time. */
#include "bridge/peers/conn_private.h"
#include "bridge/peers/proxy.h"

#include <stdlib.h>
#include <unistd.h>

#define LAST_WORDS_MS 5000
#define SLOW_MS 100 /* a connection that is too fast is not read for so long */

/* --- how they come --- */

/* NULL: refused. `checked`: this address counts; else it is only a proxy's. */
static struct conn *conn_new(struct conns *c, int fd, const union address *peer, bool udp, bool checked)
{
	struct source *source = source_find(c->sources, peer);
	bool full = checked && source_full(c, source, udp);
	bool place = !full && conns_has_place(c, udp ? sources_udp(c->sources) : source);
	struct conn *conn = place ? calloc(1, sizeof(*conn) + c->ops.owner_size) : NULL;
	if (conn == NULL) {
		source_refused(c->sources, source, peer, udp,
			full ? STAT_REFUSED_PER_ADDRESS : STAT_REFUSED_CONNECTIONS, conns_now(c).steady_ms);
		return NULL;
	}
	conn->conns = c;
	conn->number = ++c->number;
	conn->udp = udp;
	conn->peer.fd = fd;
	conn->peer.addr = *peer;
	conn->source = source;
	source_hold(c->sources, source, udp);
	stats_set(c->stats, STAT_CONNECTIONS, ++c->count);
	stats_add(c->stats, STAT_ACCEPTED, 1);
	JOIN(conn, idle, &c->idle_fresh);
	return conn;
}

static bool is_proxy(const struct conns *c, const union address *peer)
{
	const struct networks *from = &c->config->listen.proxy_from;
	for (unsigned i = 0; i < from->count; i++)
		if (network_has(&from->item[i], peer))
			return true;
	return false;
}

void conns_accept(struct conns *c, int fd, const union address *peer, struct tls_server *tls, bool proxied)
{
	struct conn *conn = NULL;
	if (proxied && !is_proxy(c, peer))
		source_refused(c->sources, source_find(c->sources, peer), peer, false, STAT_REFUSED_PROXY_FROM,
			conns_now(c).steady_ms);
	else
		conn = conn_new(c, fd, peer, false, !proxied);
	if (conn == NULL) {
		close(fd);
		return;
	}
	conn->header_due = proxied;
	if (!conn_open_socket(conn, tls, conn_on_io)) {
		conn_close(conn, "no memory for TLS");
		return;
	}
	conn_expect_words(conn);
	conn_settle(conn);
	conns_trim_fresh(c);
}

/* Takes the header off a proxy's datagram; *peer becomes its client, if one is known. False: there is nothing behind it, or it is bad. */
static bool take_header(
	struct conns *c, int fd, const union address *from, struct span *bytes, union address *peer)
{
	size_t len = 0;
	int64_t now = conns_now(c).steady_ms;
	enum proxy_status status = proxy_parse_datagram(*bytes, &len, peer);
	if (status == PROXY_NONE) {
		ways_use(&c->ways, fd, from, peer, now);
		return true;
	}
	if (status != PROXY_OK) {
		source_refused(
			c->sources, source_find(c->sources, from), from, true, STAT_REFUSED_PROXY_HEADER, now);
		return false;
	}
	if (memcmp(peer, from, sizeof(*peer)) == 0)
		ways_forget(&c->ways, fd, from);
	else if (!ways_name(&c->ways, fd, from, peer, (size_t)c->config->listen.max_connections, now))
		return false;
	*bytes = span_of(bytes->ptr + len, bytes->len - len);
	return bytes->len > 0;
}

/* Its answers go where its last datagram came from. What came from elsewhere allows no answer there. False: no memory. */
static bool set_way(struct conn *conn, const union address *from)
{
	const union address *now = conn->way != NULL ? conn->way : &conn->peer.addr;
	if (memcmp(from, now, sizeof(*from)) == 0)
		return true;
	if (conn->way == NULL && (conn->way = malloc(sizeof(*from))) == NULL)
		return false;
	*conn->way = *from;
	conn->credit = 0;
	return true;
}

/* The conn of a datagram; NULL: it is refused. */
static struct conn *conn_of(struct conns *c, int fd, const union address *peer)
{
	struct conn *conn = NULL, probe = {.peer = {.fd = fd, .addr = *peer}};
	HASH_FIND(hh, c->udp, &probe.peer, sizeof(probe.peer), conn);
	if (conn != NULL)
		return conn;
	conn = conn_new(c, fd, peer, true, true);
	if (conn == NULL)
		return NULL;
	HASH_ADD(hh, c->udp, peer, sizeof(conn->peer), conn);
	conn->hashed = true;
	conn_settle(conn);
	conns_trim_fresh(c);
	return conn;
}

bool conns_datagram(struct conns *c, int fd, const union address *from, struct span bytes, bool proxied)
{
	union address peer = *from;
	stats_add(c->stats, STAT_BYTES_IN, bytes.len);
	if (proxied && is_proxy(c, from) && !take_header(c, fd, from, &bytes, &peer))
		return true;
	struct conn *conn = conn_of(c, fd, &peer);
	if (conn == NULL || conn->leaving != NULL || !set_way(conn, from))
		return true;
	if (conn->in_len > 0 && conn->in_len + bytes.len > (size_t)c->config->limits.input)
		return true;
	conn->ended = false;
	conn_add_credit(conn, bytes.len);
	if (conn->in_len == 0)
		c->ops.datagram(c->ops.ctx, conn, bytes);
	if (conn->in_len > 0) /* left behind by a full outbox */
		memcpy(c->input, conn->in, conn->in_len);
	if (bytes.len > 0)
		memcpy(c->input + conn->in_len, bytes.ptr, bytes.len);
	conn_take(conn, conn->in_len + bytes.len, CONN_QUIET_FINAL);
	return c->stalled == NULL;
}

/* --- once per turn --- */

void conns_reap(struct conns *c)
{
	while (c->speaking != NULL) {
		struct conn *conn = c->speaking;
		conn_drain(conn);
		if (conn->leaving != NULL)
			continue;
		JOIN(conn, idle, &c->drained);
		conn_want_work(conn); /* what it is owed leaves, then conns_flush closes it */
	}
	while (c->leaving != NULL)
		conn_end(c->leaving);
}

void conns_flushed(struct conns *c, uint64_t begun, uint64_t safe)
{
	bool ended = c->sealed != 0 && c->sealed == safe, begins = begun != 0 && begun != c->sealed;
	struct conn **const lines[] = {&c->work, &c->owing}, *conn, *next;
	for (size_t i = 0; (ended || begins) && i < 2; i++)
		DL_FOREACH_SAFE2(*lines[i], conn, next, work.next) {
			if (ended)
				conn_unseal(conn);
			if (begins)
				conn_seal(conn);
			if (conn->out_safe > 0)
				conn_want_work(conn);
		}
	c->sealed = begun;
}

/* What it is owed has left, or may not leave before the disk has it. */
static void rest(struct conns *c, struct conn *conn)
{
	conn_leave_work(conn);
	if (conn->out_len > conn->out_safe)
		JOIN(conn, work, &c->owing);
	else if (conn->ended && conn->out_len == 0)
		conn_close(conn, conn->udp ? "not identified" : "closed by the unit");
}

void conns_flush(struct conns *c, bool stored)
{
	struct conn *conn, *next;
	int64_t now = conns_now(c).steady_ms, due = 0;
	while (stored && c->owing != NULL)
		conn_want_work(c->owing);
	DL_FOREACH_SAFE2(c->work, conn, next, work.next) {
		int64_t again = conn_work(conn, stored, now);
		bool owes = conn->out_len > conn->out_safe, waits = owes && c->sealed != 0; /* for the disk */
		if (owes && conn->out_safe == 0 && conn_owes_only_answers(conn) && again > 0)
			again = 0;
		if (conn->idle.line == &c->drained && (!waits || again < 0)) {
			conn_close(conn, conn->last_words);
		} else if (again < 0) {
			conn_leave_work(conn);
			conn_close_after_last_words(conn, "connection broken");
		} else if (again > 0) {
			due = due == 0 || again < due ? again : due;
		} else {
			rest(c, conn);
		}
	}
	if (c->leaving != NULL || c->speaking != NULL)
		due = now + 1; /* they go at the top of the next turn */
	ev_timer_stop(c->loop, &c->pace);
	if (due > 0) {
		ev_timer_set(&c->pace, (double)(due > now ? due - now : 1) / 1000.0, 0.);
		ev_timer_start(c->loop, &c->pace);
	}
}

void conns_resume(struct conns *c)
{
	while (c->stalled != NULL) {
		struct conn *conn = c->stalled;
		LEAVE(conn, stalled);
		if (!conn->udp)
			conn_listen(conn, conn->out_len > 0);
		conn_touch(conn);
		conn_take_again(conn, conn->udp ? CONN_QUIET_FINAL : 0);
		if (conn->stalled.line ==
			&c->stalled) /* full again; one that is only too fast does not hold up others */
			return;
	}
	if (c->told_full)
		log_notice("the outbox has room again: reading from units goes on");
}

/* --- timers --- */

static void close_idle(struct conns *c, struct conn **line, int64_t timeout_ms, const char *reason)
{
	int64_t now = conns_now(c).steady_ms;
	while (*line != NULL && now - (*line)->idle.since_ms >= timeout_ms) {
		struct conn *conn = *line;
		if (conn->stalled.line != NULL) { /* it has spoken, and waits for us */
			JOIN(conn, idle, line);
			continue;
		}
		if (line == &c->idle_fresh && !conn->udp)
			conn_tell_no_frame(conn);
		if (line == &c->idle_fresh && !conn->guest)
			conn_refused(conn, STAT_REFUSED_NO_FRAME);
		conn_close(conn, reason);
	}
}

/* Their answers have waited long enough for the disk: who is not acknowledged sends again. */
static void end_last_words(struct conns *c)
{
	int64_t now = conns_now(c).steady_ms;
	while (c->drained != NULL && now - c->drained->idle.since_ms >= LAST_WORDS_MS)
		conn_close(c->drained, c->drained->last_words);
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	struct conns *c = timer->data;
	sources_tick(c->sources, conns_now(c).steady_ms);
	conns_tell_silent(c);
	end_last_words(c);
	close_idle(c, &c->idle_fresh, c->config->listen.first_frame_timeout, "no frame in time");
	close_idle(c, &c->idle_tcp, c->config->listen.idle_timeout, "silent for too long");
	close_idle(c, &c->idle_udp, c->config->listen.udp_timeout, "silent for too long");
	close_idle(c, &c->idle_udp_known, c->config->listen.udp_timeout, "silent for too long");
	ways_expire(&c->ways, conns_now(c).steady_ms - c->config->listen.udp_timeout);
}

static void quiet_line(struct conns *c, struct conn **line, int32_t quiet_ms)
{
	int64_t now = conns_now(c).steady_ms;
	while (*line != NULL && now - (*line)->quiet.since_ms >= quiet_ms)
		conn_take_again(*line, quiet_ms);
}

static void on_quiet(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)events;
	struct conns *c = timer->data;
	quiet_line(c, &c->quiet_short, c->ops.quiet_short_ms);
	quiet_line(c, &c->quiet_long, c->ops.quiet_long_ms);
	if (c->quiet_short == NULL && c->quiet_long == NULL)
		return;
	ev_timer_set(timer, c->ops.quiet_short_ms / 4000.0, 0.);
	ev_timer_start(loop, timer);
}

/* Those that were too fast may go on. */
static void on_slow(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)events;
	struct conns *c = timer->data;
	int64_t now = conns_now(c).steady_ms;
	while (c->slowed != NULL && now - c->slowed->stalled.since_ms >= SLOW_MS) {
		struct conn *conn = c->slowed;
		LEAVE(conn, stalled);
		conn_listen(conn, conn->out_len > 0);
		conn_touch(conn); /* more of it may wait in the kernel */
		conn_take_again(conn, 0);
	}
	if (c->slowed == NULL)
		ev_timer_stop(loop, timer);
}

static void on_pace(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)timer;
	(void)events; /* it only wakes the loop: conns_flush follows */
}

/* --- all of them --- */

struct conns *conns_open(struct ev_loop *loop, const struct config *config, const struct conn_ops *ops,
	struct sources *sources, struct stats *stats)
{
	struct conns *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return NULL;
	c->loop = loop;
	c->config = config;
	c->ops = *ops;
	c->sources = sources;
	c->stats = stats;
	c->opened_ms = conns_now(c).steady_ms;
	ev_timer_init(&c->slow_timer, on_slow, 0., SLOW_MS / 1000.0);
	ev_timer_init(&c->tick, on_tick, 1., 1.);
	ev_timer_init(&c->quiet_timer, on_quiet, 1., 0.);
	ev_timer_init(&c->pace, on_pace, 1., 0.);
	c->tick.data = c->quiet_timer.data = c->slow_timer.data = c;
	ev_timer_start(loop, &c->tick);
	return c;
}

size_t conns_close_some(struct conns *c, size_t count, const char *reason)
{
	struct conn **lines[] = {
		&c->idle_fresh, &c->idle_tcp, &c->idle_udp, &c->idle_udp_known, &c->speaking, &c->drained};
	size_t closed = 0;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		for (; *lines[i] != NULL && closed < count; closed++)
			conn_close(*lines[i], reason);
	return closed;
}

void conns_close_all(struct conns *c, const char *reason)
{
	conns_close_some(c, SIZE_MAX, reason);
	conns_reap(c);
}

void conns_free(struct conns *c)
{
	conns_close_all(c, "stopped");
	ev_timer_stop(c->loop, &c->tick);
	ev_timer_stop(c->loop, &c->quiet_timer);
	ev_timer_stop(c->loop, &c->slow_timer);
	ev_timer_stop(c->loop, &c->pace);
	buffers_free(&c->buffers);
	ways_free(&c->ways);
	free(c);
}

bool conns_stalled(const struct conns *c)
{
	return c->stalled != NULL;
}

size_t conns_count(const struct conns *c)
{
	return c->count;
}
