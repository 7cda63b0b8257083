// SPDX-License-Identifier: MIT
/* conn_out: what one peer is owed: answers after storing, commands alone in their segment, both in turns.
 * Uses: bridge/base.
 * Not: use sockets, or know what it sends. */
#include "bridge/peers/conn_private.h"

#include "bridge/base/frames.h"

#include <stdlib.h>

#define ECHO_EVERY_MS 5000

void conn_want_work(struct conn *conn)
{
	if (conn->work.line != &conn->conns->work && conn->leaving == NULL)
		JOIN(conn, work, &conn->conns->work);
}

void conn_leave_work(struct conn *conn)
{
	LEAVE(conn, work);
}

/* --- answers wait --- */

void conn_add_credit(struct conn *conn, size_t bytes)
{
	size_t credit = conn->credit + bytes;
	conn->credit = credit < UINT16_MAX ? (uint32_t)credit : UINT16_MAX;
}

void conn_whole(struct conn *conn, size_t bytes)
{
	if (conn->udp)
		conn_add_credit(conn, 2 * bytes);
}

/* Over UDP a server that answers with what it got would answer this one for ever. A unit's heartbeats are further apart. A peer
 * that gets no unit goes and comes with each datagram: what is remembered of it is not in its conn. */
static int64_t *echo_of(const struct conn *conn)
{
	return &conn->conns->echo_from_ms[hash_bytes(&conn->peer, sizeof(conn->peer)) % ECHOES];
}

static bool is_reflected(const struct conn *conn, int64_t now)
{
	return now < (conn->echo_from_ms > 0 ? conn->echo_from_ms : *echo_of(conn));
}

size_t conn_answer(struct conn *conn, struct span frame, bool echo)
{
	size_t need = conn->udp ? frames_need(frame.len) : frame.len;
	if (conn->leaving != NULL)
		return CONN_REFUSED;
	if (conn->udp && echo) {
		int64_t now = conns_now(conn->conns).steady_ms;
		if (is_reflected(conn, now))
			return CONN_REFUSED;
		conn->echo_from_ms = *echo_of(conn) = now + ECHO_EVERY_MS;
	}
	if (conn->udp && frame.len > conn->credit) { /* whoever forges an address gets no more than was sent */
		conn_refused(conn, STAT_REFUSED_UDP_ANSWER);
		return CONN_REFUSED;
	}
	struct conns *c = conn->conns;
	size_t most = c->owed < WAITING_MOST ? (size_t)c->config->limits.output : BUFFER_BYTES;
	if (frame.len > FRAMES_LONGEST || conn->out_len + need > most) {
		conn_refused(conn, STAT_REFUSED_OUTPUT); /* not acknowledged: the unit sends again */
		return CONN_REFUSED;
	}
	if (conn->out_len + need > conn->out_cap) {
		uint32_t before = conn->out_cap;
		uint8_t *bigger = buffer_grow(
			&c->buffers, conn->out, &conn->out_cap, conn->out_len, conn->out_len + need);
		if (bigger == NULL)
			return CONN_REFUSED; /* not acknowledged: the unit sends again */
		conn->out = bigger;
		c->owed += conn->out_cap - before;
	}
	if (conn->udp)
		frames_put(conn->out, conn->out_len, frame);
	else if (frame.len > 0)
		memcpy(conn->out + conn->out_len, frame.ptr, frame.len);
	conn->out_len += (uint32_t)need;
	conn->credit -= conn->udp ? (uint32_t)frame.len : 0;
	conn->answers++;
	conn_want_work(conn);
	return conn->out_len - frame.len;
}

struct span conn_answered(const struct conn *conn, size_t at, size_t len)
{
	return span_of(conn->out + at, len);
}

/* --- commands wait --- */

bool conn_command(
	struct conn *conn, const void *whose, struct span frame, conn_sent *sent, void *ctx, uint64_t id)
{
	struct outgoing *o = malloc(sizeof(*o) + frame.len);
	if (o == NULL)
		return false;
	*o = (struct outgoing){.whose = whose, .sent = sent, .ctx = ctx, .id = id, .len = frame.len};
	memcpy(o->bytes, frame.ptr, frame.len);
	LL_APPEND(conn->commands, o);
	conn->conns->fed_command |= conn->conns->fed == conn;
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
	if (!o->ended && o->sent != NULL)
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

void conn_forget(struct conn *conn, const void *whose)
{
	struct outgoing *o, *next;
	LL_FOREACH_SAFE(conn->commands, o, next)
		if (o->whose == whose)
			command_ends(conn, o, false);
}

void conn_drop_commands(struct conn *conn)
{
	struct outgoing *o, *next;
	LL_FOREACH_SAFE(conn->commands, o, next) {
		o->begun = false; /* the connection ends with it */
		command_ends(conn, o, false);
	}
}

/* --- what goes --- */

void conn_free_output(struct conn *conn)
{
	conn->conns->owed -= conn->out_cap;
	buffer_done(&conn->conns->buffers, conn->out, conn->out_cap);
	conn->out = NULL;
	conn->out_cap = 0;
}

void conn_make_safe(struct conn *conn)
{
	conn_seal(conn);
	conn_unseal(conn);
}

void conn_seal(struct conn *conn)
{
	conn->out_sealed = conn->out_len;
	conn->answers_sealed = conn->answers;
}

void conn_unseal(struct conn *conn)
{
	bool much = conn_owes_much(conn);
	conn->out_safe = conn->out_sealed;
	conn->answers_safe = conn->answers_sealed;
	if (much && !conn_owes_much(conn))
		conn_listen(conn, false);
}

static void drop_out(struct conn *conn, size_t n)
{
	conn->out_len -= (uint32_t)n;
	conn->out_safe -= (uint32_t)n;
	conn->out_sealed -= (uint32_t)n;
	conn->out_first -= conn->out_first < n ? conn->out_first : (uint32_t)n;
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
		sent = conn_send(conn, conn->out, conn->out_safe, &gone);
		at = gone;
	}
	while (conn->udp && at < conn->out_safe && sent == SENT_ALL) {
		struct span frame = frames_first(conn->out + at);
		sent = conn_send(conn, frame.ptr, frame.len, &gone);
		at += sent == SENT_ALL ? frames_need(frame.len) : 0;
	}
	if (at > 0)
		drop_out(conn, at);
	if (conn->out_safe == 0) {
		stats_add(conn->conns->stats, STAT_ACKS, conn->answers_safe);
		conn->answers -= conn->answers_safe;
		conn->answers_sealed -= conn->answers_safe;
		conn->answers_safe = 0;
	}
	return sent;
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
	enum sent sent = conn_send(conn, o->bytes, o->len, &gone);
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

/* Answers and commands take turns, so that neither a talkative unit nor a row of commands starves the other. */
int64_t conn_work(struct conn *conn, bool stored, int64_t now)
{
	int64_t gap = conn->conns->config->commands.gap;
	if (stored)
		conn_make_safe(conn);
	bool commands_turn = conn->commands != NULL && conn->answered_last && !conn->partial;
	if (conn->out_safe > 0 && now >= conn->answers_from_ms && !commands_turn) {
		if (!flush_answers(conn, now, gap))
			return -1;
		if (conn->out_safe > 0 && !conn->udp) /* on_io goes on when there is room */
			return 0;
		commands_turn = conn->commands != NULL;
	}
	if (conn->out_safe > 0 ? !commands_turn : conn_owes_only_answers(conn))
		return later(conn->answers_from_ms, now);
	if (conn->commands == NULL)
		return 0;
	if (now < conn->commands_from_ms || conn_kernel_holds(conn))
		return later(conn->commands_from_ms, now);
	if (!flush_command(conn, now, gap))
		return -1;
	return conn->commands != NULL || conn->out_len > 0 ? later(conn->commands_from_ms, now) : 0;
}
