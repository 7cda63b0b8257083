/* conn: see conn.h. Input and the lines in which conns wait; birth and death are in conn_life.c, who has a place in
 * conn_limits.c, what goes out in conn_out.c. */
#include "bridge/peers/conn_private.h"

#include "bridge/base/log.h"
#include "bridge/units/session.h"

#include <errno.h>
#include <stdlib.h>

#define UNKNOWN_MAX 1024 /* a connection that gives no start within so many bytes is none of ours */
#define FULL_LINES 6     /* a minute, that the outbox is full */
#define SLOW_MS 100      /* a connection that is too fast is not read for so long */

struct moment conns_now(struct conns *conns)
{
	return clock_moment(ev_now(conns->loop));
}

/* --- lines --- */

void conn_want_work(struct conn *conn)
{
	if (conn->work.line == NULL && conn->leaving == NULL)
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

uint8_t *conns_buffer(struct conns *c, uint8_t *old, uint32_t *cap, size_t len, size_t need)
{
	uint32_t size = SPARE_BYTES;
	while (size < need)
		size *= 2;
	uint8_t *fresh = NULL;
	if (size == SPARE_BYTES && c->spares != NULL) {
		fresh = (uint8_t *)c->spares;
		LL_DELETE(c->spares, c->spares);
		c->spare_count--;
	} else {
		fresh = malloc(size);
	}
	if (fresh == NULL)
		return NULL;
	if (len > 0)
		memcpy(fresh, old, len);
	conns_buffer_done(c, old, *cap);
	*cap = size;
	return fresh;
}

void conns_buffer_done(struct conns *c, uint8_t *buffer, uint32_t cap)
{
	if (cap != SPARE_BYTES || c->spare_count == SPARES_MOST) {
		free(buffer);
		return;
	}
	struct spare *spare = (struct spare *)(void *)buffer;
	LL_PREPEND(c->spares, spare);
	c->spare_count++;
}

void conn_keep(struct conn *conn, const uint8_t *bytes, size_t len)
{
	struct conns *c = conn->conns;
	c->kept -= conn->in_cap;
	if (len == 0) {
		conns_buffer_done(c, conn->in, conn->in_cap);
		conn->in = NULL;
		conn->in_cap = 0;
	} else if (len > conn->in_cap) {
		uint8_t *bigger = conns_buffer(c, conn->in, &conn->in_cap, 0, len);
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
	if (!conn->udp)
		ev_io_stop(c->loop, &conn->io);
	if (!conns_stalled(c))
		c->told_full = log_limit_take(&c->full_lines, FULL_LINES, clock_steady_ms());
	if (!conns_stalled(c) && c->told_full)
		log_warning("the outbox is full: reading from units pauses");
	JOIN(conn, stalled, &c->stalled);
}

/* Too fast: not read for a moment. Datagrams are lost, and come again. */
static void slow_down(struct conn *conn)
{
	struct conns *c = conn->conns;
	if (conn->udp) {
		conn_keep(conn, NULL, 0);
		return;
	}
	ev_io_stop(c->loop, &conn->io);
	JOIN(conn, stalled, &c->slowed);
	if (!ev_is_active(&c->slow_timer))
		ev_timer_again(c->loop, &c->slow_timer);
}

/* Works on the first `len` bytes of the shared buffer. */
void conn_feed(struct conn *conn, size_t len, int32_t quiet_ms)
{
	struct conns *c = conn->conns;
	enum input_end end = INPUT_DONE;
	if (conn->ended && !conn->udp)
		quiet_ms = CODEC_QUIET_FINAL;
	size_t used = session_input(c->sessions, conn, span_of(c->input, len), quiet_ms, conns_now(c), &end);
	conn_keep(conn, c->input + used, len - used);
	LEAVE(conn, quiet);
	if (conn->leaving != NULL)
		return;
	if (end == INPUT_NO_ROOM)
		stall(conn);
	else if (end == INPUT_TOO_FAST)
		slow_down(conn);
	else if (conn->in_len > 0 && quiet_ms < CODEC_QUIET_SHORT_MS)
		wait_for_quiet(conn, &c->quiet_short);
	else if (conn->in_len > 0 && quiet_ms < CODEC_QUIET_LONG_MS)
		wait_for_quiet(conn, &c->quiet_long);
}

/* After feed: is there a reason to end? */
static void judge(struct conn *conn)
{
	if (conn->stalled.line != NULL || conn->leaving != NULL)
		return;
	if (conn->stream.codec == NULL && (conn->in_len > UNKNOWN_MAX || (conn->udp && conn->in_len > 0))) {
		conn_refused(conn, STAT_REFUSED_UNKNOWN_PROTOCOL);
		conn_close(conn, "unknown protocol");
		return;
	}
	conn->ended |= conn->udp && conn->sessions == NULL;
	if (conn->ended && conn->out_len == 0)
		conn_close(conn, conn->udp ? "not identified" : "closed by the unit");
}

void conn_take(struct conn *conn, size_t len, int32_t quiet_ms)
{
	conn_feed(conn, len, quiet_ms);
	conn_touch(conn);
	judge(conn);
}

bool conn_take_again(struct conn *conn, int32_t quiet_ms)
{
	size_t len = conn->in_len;
	if (len > 0)
		memcpy(conn->conns->input, conn->in, len);
	conn_feed(conn, len, quiet_ms);
	bool stalled = conn->stalled.line != NULL;
	judge(conn);
	return !stalled;
}

void conn_touch(struct conn *conn)
{
	struct conns *c = conn->conns;
	if (conn->sessions == NULL || conn_is_going(conn))
		return;
	JOIN(conn, idle, !conn->udp ? &c->idle_tcp : conn->known > 0 ? &c->idle_udp_known : &c->idle_udp);
}

bool conn_is_going(const struct conn *conn)
{
	return conn->leaving != NULL || conn->last_words != NULL;
}

bool conn_spoke_within(const struct conn *conn, int64_t ms)
{
	return conn->idle.line != NULL && clock_steady_ms() - conn->idle.since_ms < ms;
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

void conn_read(struct conn *conn)
{
	struct conns *c = conn->conns;
	if (conn->header_due && !conn_header(conn))
		return;
	size_t most = (size_t)c->config->limits.input, left = CONN_INPUT - conn->in_len;
	if (c->kept > WAITING_MOST) /* many wait with much: from now on each with little */
		most = SPARE_BYTES;
	if (conn->in_len > 0)
		memcpy(c->input, conn->in, conn->in_len);
	ssize_t n = conn_receive(conn, c->input + conn->in_len, left < most ? left : most);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		if (n < 0 && conn->tls != NULL && conn->stream.codec == NULL)
			conn_refused(conn, STAT_REFUSED_TLS);
		conn->ended = true;
		ev_io_stop(c->loop, &conn->io);
		conn_take_again(conn, CODEC_QUIET_FINAL);
		return;
	}
	stats_add(c->stats, STAT_BYTES_IN, (uint64_t)n);
	if (conn->tls != NULL && tls_pending(conn->tls))
		ev_feed_event(c->loop, &conn->io, EV_READ);
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
	bool may_read = !conn->ended && conn->stalled.line == NULL && conn->leaving == NULL;
	if (may_read && ((events & EV_READ) || conn->tls != NULL)) /* a TLS handshake may wait for writing */
		conn_read(conn);
}

void conn_listen(struct conn *conn, bool writable)
{
	ev_io_stop(conn->conns->loop, &conn->io);
	if (conn->leaving != NULL)
		return;
	bool readable = !conn->ended && conn->stalled.line == NULL && conn->last_words == NULL;
	int events = (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0);
	ev_io_set(&conn->io, conn->peer.fd, events);
	if (events != 0)
		ev_io_start(conn->conns->loop, &conn->io);
	if (readable && conn->tls != NULL && tls_pending(conn->tls))
		ev_feed_event(conn->conns->loop, &conn->io, EV_READ);
}

/* --- timers --- */

static void close_idle(struct conns *c, struct conn **line, int64_t timeout_ms, const char *reason)
{
	int64_t now = clock_steady_ms();
	while (*line != NULL && now - (*line)->idle.since_ms >= timeout_ms) {
		struct conn *conn = *line;
		if (conn->stalled.line != NULL) { /* it has spoken, and waits for us */
			JOIN(conn, idle, line);
			continue;
		}
		if (line == &c->idle_fresh)
			conn_refused(conn, STAT_REFUSED_NO_FRAME);
		conn_close(conn, reason);
	}
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	struct conns *c = timer->data;
	sources_tick(c->sources, clock_steady_ms());
	close_idle(c, &c->idle_fresh, c->config->listen.first_frame_timeout, "no frame in time");
	close_idle(c, &c->idle_tcp, c->config->listen.idle_timeout, "silent for too long");
	close_idle(c, &c->idle_udp, c->config->listen.udp_timeout, "silent for too long");
	close_idle(c, &c->idle_udp_known, c->config->listen.udp_timeout, "silent for too long");
}

static void quiet_line(struct conn **line, int32_t quiet_ms)
{
	int64_t now = clock_steady_ms();
	while (*line != NULL && now - (*line)->quiet.since_ms >= quiet_ms)
		conn_take_again(*line, quiet_ms);
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

/* Those that were too fast may go on. */
static void on_slow(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)events;
	struct conns *c = timer->data;
	int64_t now = clock_steady_ms();
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

/* --- all of them --- */

struct conns *conns_open(struct ev_loop *loop, const struct config *config, struct sessions *sessions,
	struct sources *sources, struct stats *stats)
{
	struct conns *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return NULL;
	c->loop = loop;
	c->config = config;
	c->sessions = sessions;
	c->sources = sources;
	c->stats = stats;
	ev_timer_init(&c->slow_timer, on_slow, 0., SLOW_MS / 1000.0);
	ev_timer_init(&c->tick, on_tick, 1., 1.);
	ev_timer_init(&c->quiet_timer, on_quiet, 1., 0.);
	c->tick.data = c->quiet_timer.data = c->slow_timer.data = c;
	ev_timer_start(loop, &c->tick);
	conns_out_open(c);
	return c;
}

void conns_close_all(struct conns *c, const char *reason)
{
	struct conn **lines[] = {
		&c->idle_fresh, &c->idle_tcp, &c->idle_udp, &c->idle_udp_known, &c->speaking, &c->drained};
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		while (*lines[i] != NULL)
			conn_close(*lines[i], reason);
	conns_reap(c);
}

void conns_free(struct conns *c)
{
	conns_close_all(c, "stopped");
	ev_timer_stop(c->loop, &c->tick);
	ev_timer_stop(c->loop, &c->quiet_timer);
	ev_timer_stop(c->loop, &c->slow_timer);
	conns_out_close(c);
	while (c->spares != NULL) {
		struct spare *spare = c->spares;
		LL_DELETE(c->spares, spare);
		free(spare);
	}
	free(c);
}

void conns_resume(struct conns *c)
{
	while (c->stalled != NULL) {
		struct conn *conn = c->stalled;
		LEAVE(conn, stalled);
		if (!conn->udp)
			conn_listen(conn, conn->out_len > 0);
		conn_touch(conn);
		conn_take_again(conn, conn->udp ? CODEC_QUIET_FINAL : 0);
		if (conn->stalled.line ==
			&c->stalled) /* full again; one that is only too fast does not hold up others */
			return;
	}
	if (c->told_full)
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
	address_port_text(&conn->peer.addr, buf);
}

const char *conn_transport(const struct conn *conn)
{
	return conn->udp ? "udp" : "tcp";
}
