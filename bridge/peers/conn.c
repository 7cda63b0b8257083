// SPDX-License-Identifier: MIT
/* conn: see conn.h. One peer: bytes that nobody has used yet, its PROXY header, its end. All of them are in conn_all.c, who has a
 * place in conn_limits.c, what goes out in conn_out.c. */
#include "bridge/peers/conn_private.h"
#include "bridge/peers/proxy.h"
#include "bridge/peers/source.h"

#include <errno.h>
#include <stdlib.h>

#define UNKNOWN_MAX 1024 /* a connection that gives no start within so many bytes is none of ours */
#define FULL_LINES 6     /* a minute, that the outbox is full */

void conn_touch(struct conn *conn)
{
	struct conns *c = conn->conns;
	if (conn->units == 0 || conn_is_going(conn))
		return;
	JOIN(conn, idle, !conn->udp ? &c->idle_tcp : conn->known > 0 ? &c->idle_udp_known : &c->idle_udp);
}

/* --- its end --- */

static void stop_reading(struct conn *conn)
{
	struct conns *c = conn->conns;
	LEAVE(conn, quiet);
	LEAVE(conn, stalled);
	conn_ignore(conn);
	if (conn->hashed)
		HASH_DEL(c->udp, conn);
	conn->hashed = false;
}

void conn_close(struct conn *conn, const char *reason)
{
	if (conn->leaving != NULL)
		return;
	stop_reading(conn);
	LEAVE(conn, work);
	conn_leave_accounts(conn);
	conn->leaving = reason;
	JOIN(conn, idle, &conn->conns->leaving);
}

void conn_close_after_last_words(struct conn *conn, const char *reason)
{
	if (conn->leaving != NULL || conn->last_words != NULL)
		return;
	stop_reading(conn);
	conn_leave_accounts(conn);
	conn->last_words = reason;
	JOIN(conn, idle, &conn->conns->speaking);
}

/* --- input --- */

static void wait_for_quiet(struct conn *conn, struct conn **line)
{
	struct conns *c = conn->conns;
	JOIN(conn, quiet, line);
	if (!ev_is_active(&c->quiet_timer)) {
		ev_timer_set(&c->quiet_timer, c->ops.quiet_short_ms / 1000.0, 0.);
		ev_timer_start(c->loop, &c->quiet_timer);
	}
}

/* What is not used up yet; `bytes` may be the conn's own. */
static void keep(struct conn *conn, const uint8_t *bytes, size_t len)
{
	struct conns *c = conn->conns;
	c->kept -= conn->in_cap;
	if (len == 0) {
		buffer_done(&c->buffers, conn->in, conn->in_cap);
		conn->in = NULL;
		conn->in_cap = 0;
	} else if (len > conn->in_cap) {
		uint8_t *bigger = buffer_grow(&c->buffers, conn->in, &conn->in_cap, 0, len);
		if (bigger == NULL) { /* lose these bytes rather than the process */
			if (conn_take_line(conn))
				log_error("no memory for the input of a connection");
			c->kept += conn->in_cap;
			conn->in_len = 0;
			return;
		}
		conn->in = bigger;
	}
	c->kept += conn->in_cap;
	if (len > 0)
		memmove(conn->in, bytes, len);
	conn->in_len = (uint32_t)len;
}

static void stall(struct conn *conn)
{
	struct conns *c = conn->conns;
	conn_ignore(conn);
	if (c->stalled == NULL)
		c->told_full = log_limit_take(&c->full_lines, FULL_LINES, conns_now(c).steady_ms);
	if (c->stalled == NULL && c->told_full)
		log_warning("the outbox is full: reading from units pauses");
	JOIN(conn, stalled, &c->stalled);
}

/* Too fast: not read for a moment. Datagrams are lost, and come again. */
static void slow_down(struct conn *conn)
{
	struct conns *c = conn->conns;
	if (conn->udp) {
		keep(conn, NULL, 0);
		return;
	}
	conn_ignore(conn);
	JOIN(conn, stalled, &c->slowed);
	if (!ev_is_active(&c->slow_timer))
		ev_timer_again(c->loop, &c->slow_timer);
}

/* Works on the first `len` bytes of the shared buffer: the kept ones before the new ones. */
static void feed(struct conn *conn, size_t len, int32_t quiet_ms)
{
	struct conns *c = conn->conns;
	enum input_end end = INPUT_DONE;
	if (conn->ended && !conn->udp)
		quiet_ms = CONN_QUIET_FINAL;
	c->fed = conn;
	c->fed_command = false;
	size_t used = c->ops.input(c->ops.ctx, conn, span_of(c->input, len), quiet_ms, conns_now(c), &end);
	c->fed = NULL;
	if (c->fed_command)
		conn->out_first = conn->out_len;
	conn->recognized |= used > 0 || end == INPUT_DONE || end == INPUT_TOO_FAST;
	keep(conn, c->input + used, len - used);
	LEAVE(conn, quiet);
	if (conn->leaving != NULL)
		return;
	if (end == INPUT_NO_ROOM)
		stall(conn);
	else if (end == INPUT_TOO_FAST)
		slow_down(conn);
	else if (conn->in_len > 0 && quiet_ms < c->ops.quiet_short_ms)
		wait_for_quiet(conn, &c->quiet_short);
	else if (conn->in_len > 0 && quiet_ms < c->ops.quiet_long_ms)
		wait_for_quiet(conn, &c->quiet_long);
}

/* After feed: ends it if there is a reason to. */
static void judge(struct conn *conn)
{
	if (conn->stalled.line != NULL || conn->leaving != NULL)
		return;
	if (!conn->recognized && (conn->in_len > UNKNOWN_MAX || (conn->udp && conn->in_len > 0))) {
		conn_refused(conn, STAT_REFUSED_UNKNOWN_PROTOCOL);
		conn_close(conn, "unknown protocol");
		return;
	}
	if (conn_owes_much(conn))
		conn_listen(conn, false);
	conn->ended |= conn->udp && conn->units == 0 && !conn->guest;
	if (conn->ended && conn->out_len == 0)
		conn_close(conn, conn->udp ? "not identified" : "closed by the unit");
}

void conn_take(struct conn *conn, size_t len, int32_t quiet_ms)
{
	feed(conn, len, quiet_ms);
	conn_touch(conn);
	judge(conn);
}

bool conn_take_again(struct conn *conn, int32_t quiet_ms)
{
	size_t len = conn->in_len;
	if (len > 0)
		memcpy(conn->conns->input, conn->in, len);
	feed(conn, len, quiet_ms);
	bool stalled = conn->stalled.line != NULL;
	judge(conn);
	return !stalled;
}

/* --- what arrives --- */

bool source_full(const struct conns *c, const struct source *source, bool udp)
{
	int64_t most = c->config->listen.max_connections_per_address;
	return most > 0 && source->side[udp].connections >= most;
}

/* Reads the PROXY header; false: it is not whole yet, or the conn is marked. */
static bool header(struct conn *conn)
{
	struct conns *c = conn->conns;
	uint8_t *buf = c->input;
	size_t kept = conn->in_len, len = 0;
	if (kept > 0)
		memcpy(buf, conn->in, kept);
	/* only looked at: what comes behind the header may be TLS */
	ssize_t n = conn_receive_plain(conn, buf + kept, PROXY_HEADER_MAX + 1 - kept, true);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	union address peer = conn->peer.addr;
	enum proxy_status status = n > 0 ? proxy_parse(span_of(buf, kept + (size_t)n), &len, &peer) : PROXY_BAD;
	if (status == PROXY_BAD) {
		conn_refused(conn, STAT_REFUSED_PROXY_HEADER);
		conn_close(conn, "no PROXY header");
		return false;
	}
	size_t take = status == PROXY_OK ? len - kept : (size_t)n;
	conn_receive_plain(conn, buf + kept, take, false);
	conn->spoke = true;
	keep(conn, buf, status == PROXY_OK ? 0 : kept + take);
	if (status == PROXY_MORE)
		return false;
	conn->header_due = false;
	conn_leave_accounts(conn);
	conn->peer.addr = peer;
	source_release(c->sources, conn->source, conn->udp);
	conn->source = source_find(c->sources, &peer);
	bool full = source_full(c, conn->source, conn->udp);
	source_hold(c->sources, conn->source, conn->udp);
	conn_settle(conn);
	if (full) {
		conn_refused(conn, STAT_REFUSED_PER_ADDRESS);
		conn_close(conn, "too many connections of its address");
	}
	return !full;
}

/* Reads from a TCP connection what there is. */
static void read_some(struct conn *conn)
{
	struct conns *c = conn->conns;
	if (conn->header_due && !header(conn))
		return;
	size_t most = (size_t)c->config->limits.input, left = CONN_INPUT - conn->in_len;
	if (c->kept > WAITING_MOST) /* many wait with much: from now on each with little */
		most = BUFFER_BYTES;
	if (conn->in_len > 0)
		memcpy(c->input, conn->in, conn->in_len);
	ssize_t n = conn_receive(conn, c->input + conn->in_len, left < most ? left : most);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		if (n < 0 && conn->tls != NULL && !conn->recognized)
			conn_refused(conn, STAT_REFUSED_TLS);
		else if (!conn->spoke)
			conn_tell_wordless(conn);
		conn->ended = true;
		conn_ignore(conn);
		conn_take_again(conn, CONN_QUIET_FINAL);
		return;
	}
	conn->spoke = true;
	stats_add(c->stats, STAT_BYTES_IN, (uint64_t)n);
	conn_listen_tls(conn);
	conn_take(conn, conn->in_len + (size_t)n, 0);
}

void conn_on_io(struct ev_loop *loop, ev_io *io, int events)
{
	(void)loop;
	struct conn *conn = io->data;
	if (events & EV_WRITE) {
		conn_listen(conn, false);
		conn_want_work(conn);
	}
	if (conn_owes_much(conn)) { /* it is listened to again when that has left */
		conn_listen(conn, false);
		return;
	}
	bool may_read = !conn->ended && conn->stalled.line == NULL && conn->leaving == NULL;
	if (may_read && ((events & EV_READ) || conn->tls != NULL)) /* a TLS handshake may wait for writing */
		read_some(conn);
}

/* --- its last words --- */

void conn_drain(struct conn *conn)
{
	struct conns *c = conn->conns;
	ssize_t n = 1;
	for (int i = 0; i < 16 && n > 0 && !conn->udp && conn->stalled.line == NULL; i++) {
		if (conn->in_len > 0)
			memcpy(c->input, conn->in, conn->in_len);
		n = conn_receive(conn, c->input + conn->in_len, CONN_INPUT - conn->in_len);
		conn->ended = n <= 0;
		feed(conn, conn->in_len + (n > 0 ? (size_t)n : 0), 0);
	}
	LEAVE(conn, quiet);
	LEAVE(conn, stalled);
	keep(conn, NULL, 0); /* too much, or cut: it comes again */
}

void conn_end(struct conn *conn)
{
	struct conns *c = conn->conns;
	LEAVE(conn, idle);
	conn_drop_commands(conn);
	c->ops.ended(c->ops.ctx, conn, conn->leaving, span_of(conn->in, conn->in_len), conns_now(c));
	source_release(c->sources, conn->source, conn->udp);
	conn_close_socket(conn);
	keep(conn, NULL, 0);
	conn_free_output(conn);
	free(conn->way);
	free(conn);
	stats_set(c->stats, STAT_CONNECTIONS, --c->count);
}
