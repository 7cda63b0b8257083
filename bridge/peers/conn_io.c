// SPDX-License-Identifier: MIT
/* conn_io: one peer's socket, plain or TLS, TCP or UDP: receive, send, watch. And the rest of the world of this folder: its clock, and
 * the account of refusals.
 * Uses: nothing else.
 * Not: know queues, or why something is sent. */
#include "bridge/peers/conn_private.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct moment conns_now(const struct conns *conns)
{
	return clock_moment(ev_now(conns->loop));
}

/* --- who it is --- */

void conn_refused(struct conn *conn, enum counter reason)
{
	struct conns *c = conn->conns;
	source_refused(c->sources, conn->source, &conn->peer.addr, conn->udp, reason, conns_now(c).steady_ms);
}

bool conn_take_line(const struct conn *conn)
{
	const struct conns *c = conn->conns;
	return source_take_line(c->sources, conn->source, conn->udp, conns_now(c).steady_ms);
}

/* --- the socket --- */

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

bool conn_open_socket(
	struct conn *conn, struct tls_server *tls, void (*on_io)(struct ev_loop *loop, ev_io *io, int events))
{
	ev_io_init(&conn->io, on_io, conn->peer.fd, EV_READ);
	conn->io.data = conn;
	set_socket(conn->conns, conn->peer.fd);
	if (tls != NULL && (conn->tls = tls_accept(tls, conn->peer.fd)) == NULL)
		return false;
	ev_io_start(conn->conns->loop, &conn->io);
	return true;
}

void conn_close_socket(struct conn *conn)
{
	if (conn->tls != NULL)
		tls_link_free(conn->tls);
	if (!conn->udp)
		close(conn->peer.fd);
}

ssize_t conn_receive(struct conn *conn, void *to, size_t size)
{
	if (conn->tls == NULL)
		return recv(conn->peer.fd, to, size, MSG_DONTWAIT);
	ssize_t n = tls_read(conn->tls, to, size);
	if (n < 0 && errno == EAGAIN && tls_wants_write(conn->tls))
		conn_listen(conn, true);
	return n;
}

ssize_t conn_receive_plain(struct conn *conn, void *to, size_t size, bool look)
{
	return recv(conn->peer.fd, to, size, MSG_DONTWAIT | (look ? MSG_PEEK : 0));
}

enum sent conn_send(struct conn *conn, const uint8_t *bytes, size_t len, size_t *gone)
{
	ssize_t n;
	const union address *a = conn->way != NULL ? conn->way : &conn->peer.addr;
	if (conn->udp)
		n = sendto(conn->peer.fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT, &a->any, address_length(a));
	else if (conn->tls != NULL)
		n = tls_write(conn->tls, bytes, len);
	else
		n = send(conn->peer.fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	*gone = n > 0 ? (size_t)n : 0;
	stats_add(conn->conns->stats, STAT_BYTES_OUT, *gone);
	if (n == (ssize_t)len)
		return SENT_ALL;
	if (n >= 0 || errno == EAGAIN || errno == EINTR || errno == ENOBUFS)
		return SENT_LATER;
	return conn->udp ? SENT_ALL : SENT_NEVER; /* a datagram may get lost */
}

bool conn_kernel_holds(const struct conn *conn)
{
	int unsent = 0;
	return !conn->udp && ioctl(conn->peer.fd, SIOCOUTQNSD, &unsent) == 0 && unsent > 0;
}

void conn_listen(struct conn *conn, bool writable)
{
	ev_io_stop(conn->conns->loop, &conn->io);
	if (conn->leaving != NULL)
		return;
	bool readable =
		!conn->ended && conn->stalled.line == NULL && conn->last_words == NULL && !conn_owes_much(conn);
	int events = (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0);
	ev_io_set(&conn->io, conn->peer.fd, events);
	if (events != 0)
		ev_io_start(conn->conns->loop, &conn->io);
	if (readable)
		conn_listen_tls(conn);
}

void conn_listen_tls(struct conn *conn)
{
	if (conn->tls != NULL && tls_pending(conn->tls))
		ev_feed_event(conn->conns->loop, &conn->io, EV_READ);
}

void conn_ignore(struct conn *conn)
{
	if (!conn->udp)
		ev_io_stop(conn->conns->loop, &conn->io);
}
