/* conn: see conn.h. Input and the lines in which conns wait; what goes out is in conn_out.c. */
#include "conn_private.h"

#include "log.h"
#include "session.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <netinet/tcp.h>

#define UNKNOWN_MAX 1024 /* a connection that gives no start within so many bytes is none of ours */

int64_t conns_now_ms(struct conns *conns)
{
	return (int64_t)(ev_now(conns->loop) * 1000);
}

static int64_t steady_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* --- lines --- */

#define LEAVE(conn, kind)                                                                                      \
	do {                                                                                                   \
		if ((conn)->kind.line != NULL)                                                                 \
			DL_DELETE2(*(conn)->kind.line, conn, kind.prev, kind.next);                            \
		(conn)->kind.line = NULL;                                                                      \
	} while (0)

#define JOIN(conn, kind, to)                                                                                   \
	do {                                                                                                   \
		LEAVE(conn, kind);                                                                             \
		(conn)->kind.line = (to);                                                                      \
		(conn)->kind.since_ms = steady_ms();                                                           \
		DL_APPEND2(*(conn)->kind.line, conn, kind.prev, kind.next);                                    \
	} while (0)

void conn_want_work(struct conn *conn)
{
	if (conn->work.line == NULL)
		JOIN(conn, work, &conn->conns->work);
}

void conn_leave_work(struct conn *conn)
{
	LEAVE(conn, work);
}

static void wait_for_quiet(struct conn *conn, struct conn **line)
{
	struct conns *c = conn->conns;
	JOIN(conn, quiet, line);
	if (!ev_is_active(&c->quiet_timer)) {
		ev_timer_set(&c->quiet_timer, CODEC_QUIET_SHORT_MS / 1000.0, 0.);
		ev_timer_start(c->loop, &c->quiet_timer);
	}
}

/* --- input --- */

static void keep(struct conn *conn, const uint8_t *bytes, size_t len)
{
	if (len == 0) {
		free(conn->in);
		conn->in = NULL;
		conn->in_cap = 0;
	} else if (len > conn->in_cap) {
		uint32_t cap = 64;
		while (cap < len)
			cap *= 2;
		uint8_t *bigger = realloc(conn->in, cap);
		if (bigger == NULL) { /* lose these bytes rather than the process */
			log_error("no memory for the input of a connection");
			conn->in_len = 0;
			return;
		}
		conn->in = bigger;
		conn->in_cap = cap;
	}
	if (len > 0 && bytes != conn->in)
		memmove(conn->in, bytes, len);
	conn->in_len = (uint32_t)len;
}

static void stall(struct conn *conn)
{
	struct conns *c = conn->conns;
	if (!conn->udp)
		ev_io_stop(c->loop, &conn->io);
	if (!conns_stalled(c))
		log_warning("the outbox is full: reading from units pauses");
	JOIN(conn, stalled, &c->stalled);
}

/* Works on the first `len` bytes of the shared buffer. */
static void feed(struct conn *conn, size_t len, int32_t quiet_ms)
{
	struct conns *c = conn->conns;
	bool stalled = false;
	if (conn->ended)
		quiet_ms = CODEC_QUIET_FINAL;
	size_t used =
		session_input(c->sessions, conn, span_of(c->input, len), quiet_ms, conns_now_ms(c), &stalled);
	keep(conn, c->input + used, len - used);
	LEAVE(conn, quiet);
	if (stalled)
		stall(conn);
	else if (conn->in_len > 0 && quiet_ms < CODEC_QUIET_SHORT_MS)
		wait_for_quiet(conn, &c->quiet_short);
	else if (conn->in_len > 0 && quiet_ms < CODEC_QUIET_LONG_MS)
		wait_for_quiet(conn, &c->quiet_long);
}

/* After feed: is there a reason to end? The conn may be gone when this returns. */
static void judge(struct conn *conn)
{
	if (conn->stalled.line != NULL)
		return;
	if (conn->stream.codec == NULL && conn->in_len > UNKNOWN_MAX)
		conn_close(conn, "unknown protocol");
	else if (conn->udp && conn->sessions == NULL)
		conn_close(conn, "not identified");
	else if (conn->ended && conn->out_len == 0)
		conn_close(conn, "closed by the unit");
}

/* False: stalled again. The conn may be gone when this returns. */
static bool feed_again(struct conn *conn, int32_t quiet_ms)
{
	size_t len = conn->in_len;
	if (len > 0)
		memcpy(conn->conns->input, conn->in, len);
	feed(conn, len, quiet_ms);
	bool stalled = conn->stalled.line != NULL;
	judge(conn);
	return !stalled;
}

static void touch(struct conn *conn)
{
	struct conns *c = conn->conns;
	if (conn->sessions != NULL)
		JOIN(conn, idle, conn->udp ? &c->idle_udp : &c->idle_tcp);
}

static void on_readable(struct conn *conn)
{
	struct conns *c = conn->conns;
	if (conn->in_len > 0)
		memcpy(c->input, conn->in, conn->in_len);
	ssize_t n = recv(conn->peer.fd, c->input + conn->in_len, CONN_INPUT - conn->in_len, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		conn->ended = true;
		ev_io_stop(c->loop, &conn->io);
		feed_again(conn, CODEC_QUIET_FINAL);
		return;
	}
	stats_add(c->stats, STAT_BYTES_IN, (uint64_t)n);
	feed(conn, conn->in_len + (size_t)n, 0);
	touch(conn);
	judge(conn);
}

static void on_io(struct ev_loop *loop, ev_io *io, int events)
{
	(void)loop;
	struct conn *conn = io->data;
	if (events & EV_WRITE) {
		conn_listen(conn, false);
		conn_want_work(conn);
	}
	if (events & EV_READ)
		on_readable(conn);
}

void conn_listen(struct conn *conn, bool writable)
{
	ev_io_stop(conn->conns->loop, &conn->io);
	bool readable = !conn->ended && conn->stalled.line == NULL;
	int events = (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0);
	ev_io_set(&conn->io, conn->peer.fd, events);
	if (events != 0)
		ev_io_start(conn->conns->loop, &conn->io);
}

/* --- birth and death --- */

static struct conn *conn_new(struct conns *c, int fd, const union address *peer, bool udp)
{
	struct conn *conn =
		conns_count(c) < (size_t)c->config->listen.max_connections ? calloc(1, sizeof(*conn)) : NULL;
	if (conn == NULL) {
		stats_add(c->stats, STAT_CONN_REFUSED, 1);
		return NULL;
	}
	conn->conns = c;
	conn->number = ++c->number;
	conn->udp = udp;
	conn->peer.fd = fd;
	conn->peer.addr = *peer;
	stats_set(c->stats, STAT_CONNECTIONS, ++c->count);
	stats_add(c->stats, STAT_ACCEPTED, 1);
	JOIN(conn, idle, &c->idle_fresh);
	return conn;
}

void conns_accept(struct conns *c, int fd, const union address *peer)
{
	int one = 1;
	struct conn *conn = conn_new(c, fd, peer, false);
	if (conn == NULL) {
		close(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	ev_io_init(&conn->io, on_io, fd, EV_READ);
	conn->io.data = conn;
	ev_io_start(c->loop, &conn->io);
}

bool conns_datagram(struct conns *c, int fd, const union address *peer, struct span bytes)
{
	struct conn *conn = NULL, probe = {.peer = {.fd = fd, .addr = *peer}};
	HASH_FIND(hh, c->udp, &probe.peer, sizeof(probe.peer), conn);
	stats_add(c->stats, STAT_BYTES_IN, bytes.len);
	if (conn == NULL) {
		conn = conn_new(c, fd, peer, true);
		if (conn == NULL)
			return true;
		HASH_ADD(hh, c->udp, peer, sizeof(conn->peer), conn);
	}
	if (conn->in_len + bytes.len > CONN_INPUT)
		return true;
	if (conn->in_len > 0) /* left behind by a full outbox */
		memcpy(c->input, conn->in, conn->in_len);
	if (bytes.len > 0)
		memcpy(c->input + conn->in_len, bytes.ptr, bytes.len);
	feed(conn, conn->in_len + bytes.len, CODEC_QUIET_FINAL);
	touch(conn);
	judge(conn);
	return !conns_stalled(c);
}

void conn_close(struct conn *conn, const char *reason)
{
	struct conns *c = conn->conns;
	LEAVE(conn, idle);
	LEAVE(conn, quiet);
	LEAVE(conn, work);
	LEAVE(conn, stalled);
	conn_forget(conn, NULL);
	session_conn_ended(c->sessions, conn, reason, conns_now_ms(c));
	if (conn->udp) {
		HASH_DEL(c->udp, conn);
	} else {
		ev_io_stop(c->loop, &conn->io);
		close(conn->peer.fd);
	}
	free(conn->in);
	free(conn->out);
	free(conn);
	stats_set(c->stats, STAT_CONNECTIONS, --c->count);
}

void conn_supersede(struct conn *conn)
{
	conn->superseded = true;
	conn_want_work(conn);
}

void conn_drain(struct conn *conn, const char *reason)
{
	struct conns *c = conn->conns;
	ssize_t n = 1;
	for (int i = 0; i < 16 && n > 0 && !conn->udp && conn->stalled.line == NULL; i++) {
		if (conn->in_len > 0)
			memcpy(c->input, conn->in, conn->in_len);
		n = recv(conn->peer.fd, c->input + conn->in_len, CONN_INPUT - conn->in_len, MSG_DONTWAIT);
		conn->ended = n <= 0;
		feed(conn, conn->in_len + (n > 0 ? (size_t)n : 0), 0);
	}
	conn_close(conn, reason);
}

void conn_identified(struct conn *conn)
{
	if (conn->idle.line == &conn->conns->idle_fresh)
		touch(conn);
}

/* --- timers --- */

static void close_idle(struct conn **line, int64_t timeout_ms, const char *reason)
{
	int64_t now = steady_ms();
	while (*line != NULL && now - (*line)->idle.since_ms >= timeout_ms)
		conn_close(*line, reason);
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	struct conns *c = timer->data;
	close_idle(&c->idle_fresh, c->config->listen.first_frame_timeout, "no frame in time");
	close_idle(&c->idle_tcp, c->config->listen.idle_timeout, "silent for too long");
	close_idle(&c->idle_udp, c->config->listen.udp_timeout, "silent for too long");
}

static void quiet_line(struct conn **line, int32_t quiet_ms)
{
	int64_t now = steady_ms();
	while (*line != NULL && now - (*line)->quiet.since_ms >= quiet_ms)
		feed_again(*line, quiet_ms);
}

static void on_quiet(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)events;
	struct conns *c = timer->data;
	quiet_line(&c->quiet_short, CODEC_QUIET_SHORT_MS);
	quiet_line(&c->quiet_long, CODEC_QUIET_LONG_MS);
	if (c->quiet_short == NULL && c->quiet_long == NULL)
		return;
	ev_timer_set(timer, CODEC_QUIET_SHORT_MS / 4000.0, 0.);
	ev_timer_start(loop, timer);
}

/* --- all of them --- */

struct conns *conns_open(
	struct ev_loop *loop, const struct config *config, struct sessions *sessions, struct stats *stats)
{
	struct conns *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return NULL;
	c->loop = loop;
	c->config = config;
	c->sessions = sessions;
	c->stats = stats;
	ev_timer_init(&c->tick, on_tick, 1., 1.);
	ev_timer_init(&c->quiet_timer, on_quiet, 1., 0.);
	c->tick.data = c->quiet_timer.data = c;
	ev_timer_start(loop, &c->tick);
	conns_out_open(c);
	return c;
}

void conns_close_all(struct conns *c, const char *reason)
{
	struct conn **lines[] = {&c->idle_fresh, &c->idle_tcp, &c->idle_udp};
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		while (*lines[i] != NULL)
			conn_close(*lines[i], reason);
}

void conns_free(struct conns *c)
{
	conns_close_all(c, "stopped");
	ev_timer_stop(c->loop, &c->tick);
	ev_timer_stop(c->loop, &c->quiet_timer);
	conns_out_close(c);
	free(c);
}

void conns_resume(struct conns *c)
{
	while (c->stalled != NULL) {
		struct conn *conn = c->stalled;
		LEAVE(conn, stalled);
		if (!conn->udp)
			conn_listen(conn, conn->out_len > 0);
		if (!feed_again(conn, conn->udp ? CODEC_QUIET_FINAL : 0))
			return; /* full again */
	}
	log_notice("the outbox has room again: reading from units goes on");
}

bool conns_stalled(const struct conns *c)
{
	return c->stalled != NULL;
}

size_t conns_count(const struct conns *c)
{
	return c->count;
}

void conn_peer(const struct conn *conn, char buf[CONN_PEER_MAX])
{
	char host[INET6_ADDRSTRLEN] = "";
	const union address *a = &conn->peer.addr;
	bool six = a->any.sa_family == AF_INET6;
	inet_ntop(
		a->any.sa_family, six ? (const void *)&a->in6.sin6_addr : &a->in4.sin_addr, host, sizeof(host));
	unsigned port = ntohs(six ? a->in6.sin6_port : a->in4.sin_port);
	snprintf(buf, CONN_PEER_MAX, six ? "[%s]:%u" : "%s:%u", host, port);
}

const char *conn_transport(const struct conn *conn)
{
	return conn->udp ? "udp" : "tcp";
}
