/* conn_out: what goes out to units: answers after storing, commands alone in their segment.
 * May use: libev, conn. May not: parse, know MQTT. */
#include "bridge/peers/conn_private.h"

#include "bridge/base/log.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#define ECHO_EVERY_MS 5000

enum sent { SENT_ALL, SENT_LATER, SENT_NEVER };

/* Over UDP a server that answers with what it got would answer this one for ever. A unit's heartbeats are further apart. A peer
 * that gets no unit goes and comes with each datagram: what is remembered of it is not in its conn. */
static bool is_reflected(struct conn *conn, bool echo)
{
	int64_t now = clock_steady_ms();
	if (!conn->udp || !echo)
		return false;
	int64_t *by_peer = &conn->conns->echo_from_ms[hash_bytes(&conn->peer, sizeof(conn->peer)) % ECHOES];
	if (now < (conn->echo_from_ms > 0 ? conn->echo_from_ms : *by_peer))
		return true;
	conn->echo_from_ms = *by_peer = now + ECHO_EVERY_MS;
	return false;
}

void conn_answer(struct conn *conn, struct span frame, bool echo)
{
	size_t need = frame.len + (conn->udp ? 2 : 0);
	if (conn->leaving != NULL || is_reflected(conn, echo))
		return;
	if (conn->udp && frame.len > conn->credit) { /* whoever forges an address gets no more than was sent */
		conn_refused(conn, STAT_REFUSED_UDP_ANSWER);
		return;
	}
	struct conns *c = conn->conns;
	size_t most = c->owed < WAITING_MOST ? (size_t)c->config->limits.output : SPARE_BYTES;
	if (frame.len > UINT16_MAX || conn->out_len + need > most) {
		conn_refused(conn, STAT_REFUSED_OUTPUT); /* not acknowledged: the unit sends again */
		return;
	}
	if (conn->out_len + need > conn->out_cap) {
		uint32_t before = conn->out_cap;
		uint8_t *bigger =
			conns_buffer(c, conn->out, &conn->out_cap, conn->out_len, conn->out_len + need);
		if (bigger == NULL)
			return; /* not acknowledged: the unit sends again */
		conn->out = bigger;
		c->owed += conn->out_cap - before;
	}
	struct writer w = writer_of(conn->out + conn->out_len, need);
	if (conn->udp)
		writer_u16(&w, (uint16_t)frame.len);
	writer_span_put(&w, frame);
	conn->out_len += (uint32_t)need;
	conn->credit -= conn->udp ? (uint32_t)frame.len : 0;
	conn->answers++;
	conn_want_work(conn);
}

bool conn_command(
	struct conn *conn, struct session *session, struct span frame, conn_sent *sent, void *ctx, uint64_t id)
{
	struct outgoing *o = malloc(sizeof(*o) + frame.len);
	if (o == NULL)
		return false;
	*o = (struct outgoing){.session = session, .sent = sent, .ctx = ctx, .id = id, .len = frame.len};
	memcpy(o->bytes, frame.ptr, frame.len);
	LL_APPEND(conn->commands, o);
	conn_want_work(conn);
	return true;
}

/* It does not go. What TLS has begun cannot be undone: no other bytes may follow, so the connection has to end. */
static void drop_command(struct conn *conn, struct outgoing *o)
{
	o->ended = true;
	if (o->begun) {
		conn_want_work(conn);
		return;
	}
	LL_DELETE(conn->commands, o);
	free(o);
}

static void command_ends(struct conn *conn, struct outgoing *o, bool ok)
{
	if (!o->ended)
		o->sent(o->ctx, o->id, ok, conns_now(conn->conns));
	o->begun &= !ok;
	drop_command(conn, o);
}

void conn_take_back(struct conn *conn, uint64_t id)
{
	struct outgoing *o, *next;
	LL_FOREACH_SAFE(conn->commands, o, next)
		if (o->id == id && !o->ended)
			drop_command(conn, o);
}

void conn_forget(struct conn *conn, struct session *session)
{
	struct outgoing *o, *next;
	LL_FOREACH_SAFE(conn->commands, o, next) {
		if (session != NULL && o->session != session)
			continue;
		o->begun &= session != NULL; /* else the connection ends with it */
		command_ends(conn, o, false);
	}
}

/* One send: a segment, or a datagram. */
static enum sent send_bytes(struct conn *conn, const uint8_t *bytes, size_t len, size_t *gone)
{
	ssize_t n;
	const union address *a = &conn->peer.addr;
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

void conn_free_output(struct conn *conn)
{
	conn->conns->owed -= conn->out_cap;
	conns_buffer_done(conn->conns, conn->out, conn->out_cap);
	conn->out = NULL;
	conn->out_cap = 0;
}

static void drop_out(struct conn *conn, size_t n)
{
	conn->out_len -= (uint32_t)n;
	conn->out_safe -= (uint32_t)n;
	if (conn->out_len > 0) {
		memmove(conn->out, conn->out + n, conn->out_len);
		return;
	}
	conn_free_output(conn);
}

static enum sent send_answers(struct conn *conn)
{
	enum sent sent = SENT_ALL;
	size_t gone = 0, at = 0;
	if (!conn->udp && conn->out_safe > 0) {
		sent = send_bytes(conn, conn->out, conn->out_safe, &gone);
		at = gone;
	}
	while (conn->udp && at < conn->out_safe && sent == SENT_ALL) {
		size_t len = (size_t)conn->out[at] << 8 | conn->out[at + 1];
		sent = send_bytes(conn, conn->out + at + 2, len, &gone);
		at += sent == SENT_ALL ? 2 + len : 0;
	}
	if (at > 0)
		drop_out(conn, at);
	if (conn->out_safe == 0) {
		stats_add(conn->conns->stats, STAT_ACKS, conn->answers_safe);
		conn->answers -= conn->answers_safe;
		conn->answers_safe = 0;
	}
	return sent;
}

/* Does the kernel still hold bytes that a command would share a segment with? */
static bool kernel_holds(const struct conn *conn)
{
	int unsent = 0;
	return !conn->udp && ioctl(conn->peer.fd, SIOCOUTQNSD, &unsent) == 0 && unsent > 0;
}

/* Sends the answers that may go; false: the connection is broken. */
static bool flush_answers(struct conn *conn, int64_t now, int64_t gap)
{
	uint32_t before = conn->out_len;
	enum sent sent = send_answers(conn);
	conn->partial = !conn->udp && sent == SENT_LATER &&
			(conn->partial || conn->out_len < before || conn->tls != NULL);
	conn->commands_from_ms = now + gap;
	conn->answered_last = true;
	if (sent == SENT_LATER && !conn->udp)
		conn_listen(conn, true);
	return sent != SENT_NEVER;
}

/* The oldest command, alone; false: the connection is broken. */
static bool flush_command(struct conn *conn, int64_t now, int64_t gap)
{
	size_t gone;
	struct outgoing *o = conn->commands;
	if (o->ended)
		return false;
	enum sent sent = send_bytes(conn, o->bytes, o->len, &gone);
	if (sent == SENT_LATER && gone == 0) {
		o->begun = conn->tls != NULL;
		conn->commands_from_ms = now + 10;
		conn->answered_last = true; /* TLS may hold half of it: nothing may come between */
		return true;
	}
	if (sent != SENT_ALL) /* half a command in a full socket */
		return false;
	conn->answers_from_ms = conn->commands_from_ms = now + gap;
	conn->answered_last = false;
	command_ends(conn, o, true);
	return true;
}

static int64_t later(int64_t when, int64_t now)
{
	return when > now ? when : now + 10;
}

/* When should the conn be looked at again? 0: not by itself; -1: it is broken. Answers and commands take turns, so that
 * neither a talkative unit nor a row of commands starves the other. */
static int64_t work(struct conn *conn, bool stored, int64_t now)
{
	int64_t gap = conn->conns->config->commands.gap;
	if (stored) {
		conn->out_safe = conn->out_len;
		conn->answers_safe = conn->answers;
	}
	bool commands_turn = conn->commands != NULL && conn->answered_last && !conn->partial;
	if (conn->out_safe > 0 && now >= conn->answers_from_ms && !commands_turn) {
		if (!flush_answers(conn, now, gap))
			return -1;
		if (conn->out_safe > 0 && !conn->udp) /* on_io goes on when there is room */
			return 0;
		commands_turn = conn->commands != NULL;
	}
	if (conn->out_len > 0 && !commands_turn)
		return later(conn->answers_from_ms, now);
	if (conn->commands == NULL)
		return 0;
	if (now < conn->commands_from_ms || kernel_holds(conn))
		return later(conn->commands_from_ms, now);
	if (!flush_command(conn, now, gap))
		return -1;
	return conn->commands != NULL || conn->out_len > 0 ? later(conn->commands_from_ms, now) : 0;
}

void conns_flush(struct conns *c, bool stored)
{
	struct conn *conn, *next;
	int64_t now = clock_steady_ms(), due = 0;
	DL_FOREACH_SAFE2(c->work, conn, next, work.next) {
		int64_t again = work(conn, stored, now);
		if (conn->idle.line == &c->drained) {
			conn_close(conn, conn->last_words);
		} else if (again < 0) {
			conn_leave_work(conn);
			conn_close_after_last_words(conn, "connection broken");
		} else if (again > 0) {
			due = due == 0 || again < due ? again : due;
		} else {
			conn_leave_work(conn);
			if (conn->ended && conn->out_len == 0)
				conn_close(conn, conn->udp ? "not identified" : "closed by the unit");
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

static void on_pace(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)timer;
	(void)events; /* it only wakes the loop: conns_flush follows */
}

void conns_out_open(struct conns *c)
{
	ev_timer_init(&c->pace, on_pace, 1., 0.);
}

void conns_out_close(struct conns *c)
{
	ev_timer_stop(c->loop, &c->pace);
}
