/* conn_life: how connections and UDP peers begin and end, and who is refused.
 * May use: libev, session, proxy. May not: parse frames, know MQTT. */
#include "bridge/peers/conn_private.h"

#include "bridge/base/log.h"
#include "bridge/peers/proxy.h"
#include "bridge/units/session.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

void conn_refused(struct conn *conn, enum counter reason)
{
	struct conns *c = conn->conns;
	source_refused(c->sources, conn->source, &conn->peer.addr, conn->udp, reason, clock_steady_ms());
}

bool conn_take_line(const struct conn *conn)
{
	return source_take_line(conn->conns->sources, conn->source, conn->udp, clock_steady_ms());
}

/* --- birth --- */

static bool source_full(const struct conns *c, const struct source *source, bool udp)
{
	int64_t most = c->config->listen.max_connections_per_address;
	return most > 0 && source->side[udp].connections >= most;
}

/* NULL: refused. `checked`: this address counts; else it is only a proxy's. */
static struct conn *conn_new(struct conns *c, int fd, const union address *peer, bool udp, bool checked)
{
	struct source *source = source_find(c->sources, peer);
	bool full = checked && source_full(c, source, udp);
	bool place = !full && conns_has_place(c, udp ? sources_udp(c->sources) : source);
	struct conn *conn = place ? calloc(1, sizeof(*conn)) : NULL;
	if (conn == NULL) {
		source_refused(c->sources, source, peer, udp,
			full ? STAT_REFUSED_PER_ADDRESS : STAT_REFUSED_CONNECTIONS, clock_steady_ms());
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

static void set_socket(const struct conns *c, int fd)
{
	int one = 1, idle = (int)(c->config->listen.keepalive / 1000), third = idle / 3 > 0 ? idle / 3 : 1;
	unsigned timeout = (unsigned)c->config->listen.user_timeout;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (idle > 0) {
		setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
		setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
		setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &third, sizeof(third));
	}
	if (timeout > 0)
		setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof(timeout));
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
			clock_steady_ms());
	else
		conn = conn_new(c, fd, peer, false, !proxied);
	if (conn == NULL) {
		close(fd);
		return;
	}
	conn->header_due = proxied;
	ev_io_init(&conn->io, conn_on_io, fd, EV_READ);
	conn->io.data = conn;
	set_socket(c, fd);
	if (tls != NULL && (conn->tls = tls_accept(tls, fd)) == NULL) {
		conn_close(conn, "no memory for TLS");
		return;
	}
	ev_io_start(c->loop, &conn->io);
	conn_settle(conn);
	conns_trim_fresh(c);
}

bool conn_header(struct conn *conn)
{
	struct conns *c = conn->conns;
	uint8_t *buf = c->input;
	size_t kept = conn->in_len, len = 0;
	if (kept > 0)
		memcpy(buf, conn->in, kept);
	/* only looked at: what comes behind the header may be TLS */
	ssize_t n = recv(conn->peer.fd, buf + kept, PROXY_HEADER_MAX + 1 - kept, MSG_PEEK | MSG_DONTWAIT);
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
	recv(conn->peer.fd, buf + kept, take, MSG_DONTWAIT);
	conn_keep(conn, buf, status == PROXY_OK ? 0 : kept + take);
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

/* Over UDP no more may be answered than this: whoever forges an address gets no more than was sent. */
static void add_credit(struct conn *conn, size_t bytes)
{
	size_t credit = conn->credit + bytes;
	conn->credit = credit < UINT16_MAX ? (uint32_t)credit : UINT16_MAX;
}

void conn_whole(struct conn *conn, size_t bytes)
{
	if (conn->udp)
		add_credit(conn, 2 * bytes);
}

bool conns_datagram(struct conns *c, int fd, const union address *peer, struct span bytes)
{
	struct conn *conn = NULL, probe = {.peer = {.fd = fd, .addr = *peer}};
	HASH_FIND(hh, c->udp, &probe.peer, sizeof(probe.peer), conn);
	stats_add(c->stats, STAT_BYTES_IN, bytes.len);
	if (conn == NULL) {
		conn = conn_new(c, fd, peer, true, true);
		if (conn == NULL)
			return true;
		HASH_ADD(hh, c->udp, peer, sizeof(conn->peer), conn);
		conn->hashed = true;
		conn_settle(conn);
		conns_trim_fresh(c);
	}
	if (conn->leaving != NULL)
		return true;
	if (conn->in_len > 0 && conn->in_len + bytes.len > (size_t)c->config->limits.input)
		return true;
	conn->ended = false;
	add_credit(conn, bytes.len);
	if (conn->in_len == 0)
		codec_begin_datagram(&conn->stream, bytes);
	if (conn->in_len > 0) /* left behind by a full outbox */
		memcpy(c->input, conn->in, conn->in_len);
	if (bytes.len > 0)
		memcpy(c->input + conn->in_len, bytes.ptr, bytes.len);
	conn_take(conn, conn->in_len + bytes.len, CODEC_QUIET_FINAL);
	return !conns_stalled(c);
}

/* --- death --- */

static void stop_reading(struct conn *conn)
{
	struct conns *c = conn->conns;
	LEAVE(conn, quiet);
	LEAVE(conn, stalled);
	if (!conn->udp)
		ev_io_stop(c->loop, &conn->io);
	else if (conn->hashed)
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

static void end(struct conn *conn)
{
	struct conns *c = conn->conns;
	LEAVE(conn, idle);
	conn_forget(conn, NULL);
	session_conn_ended(c->sessions, conn, conn->leaving, conns_now(c));
	source_release(c->sources, conn->source, conn->udp);
	if (conn->tls != NULL)
		tls_link_free(conn->tls);
	if (!conn->udp)
		close(conn->peer.fd);
	conn_keep(conn, NULL, 0);
	conn_free_output(conn);
	free(conn);
	stats_set(c->stats, STAT_CONNECTIONS, --c->count);
}

/* What the peer has sent and nobody has read yet. */
static void drain(struct conn *conn)
{
	struct conns *c = conn->conns;
	ssize_t n = 1;
	for (int i = 0; i < 16 && n > 0 && !conn->udp && conn->stalled.line == NULL; i++) {
		if (conn->in_len > 0)
			memcpy(c->input, conn->in, conn->in_len);
		n = conn_receive(conn, c->input + conn->in_len, CONN_INPUT - conn->in_len);
		conn->ended = n <= 0;
		conn_feed(conn, conn->in_len + (n > 0 ? (size_t)n : 0), 0);
	}
	LEAVE(conn, quiet);
	LEAVE(conn, stalled);
	conn_keep(conn, NULL, 0); /* too much, or cut: it comes again */
}

void conns_reap(struct conns *c)
{
	while (c->speaking != NULL) {
		struct conn *conn = c->speaking;
		drain(conn);
		if (conn->leaving != NULL)
			continue;
		JOIN(conn, idle, &c->drained);
		conn_want_work(conn); /* what it is owed leaves, then conns_flush closes it */
	}
	while (c->leaving != NULL)
		end(c->leaving);
}
