// SPDX-License-Identifier: MIT
/* conn: one peer, TCP or UDP alike: what it sent and nobody has used yet, what it is owed, when it goes.
 * Uses: bridge/base, codecs/record.
 * Not: know what the bytes mean, nor whose they are: that is the owner's (struct conn_ops).
 *
 * Nothing that happens while the bytes of one peer are worked on frees a conn: who is to go is marked, is no longer
 * read or written, and goes in conns_reap, at the top of the turn.
 *
 * Answers leave only through conns_flush, once per turn of the loop, after the outbox has stored
 * what they answer. A command leaves alone, with `commands.gap` of silence before and after it.
 *
 * Units are only counted here, for the limits: how many speak on a connection, and how many of them the units file knows. */
#ifndef T2M_CONN_H
#define T2M_CONN_H

#include "bridge/base/address.h"
#include "bridge/base/clock.h"
#include "bridge/base/stats.h"
#include "codecs/record/bytes.h"

struct conns;
struct conn;
struct source;

#define CONN_PEER_MAX ADDRESS_TEXT_MAX
#define CONN_QUIET_FINAL INT32_MAX /* nothing follows: the datagram, or the connection, ends here */

/* Why the owner stopped. DONE: all is used up but for what waits for more. UNKNOWN: the same, and it cannot tell yet what is spoken
 * here: a connection that stays so for long is closed, a datagram is dropped. NO_ROOM: the peer is not read until conns_resume.
 * TOO_FAST: it is not read for a moment; of a datagram, the rest is lost. */
enum input_end { INPUT_DONE = 0, INPUT_UNKNOWN, INPUT_NO_ROOM, INPUT_TOO_FAST };

/* Who owns what is spoken: its calls, all of them set. None may call conns_...; those that begin with conn_ may be called for any
 * conn, also for others than the one at hand. */
struct conn_ops {
	void *ctx;
	size_t owner_size; /* bytes that each conn keeps for its owner, all zero at first: conn_owner() */
	/* After such a silence input is called again, with what it has left. Both are more than 0. */
	int32_t quiet_short_ms, quiet_long_ms;
	/* Are units expected that always have a place? Then a connection is accepted although no place is free. Changes nothing. */
	bool (*expects_units)(const void *ctx);
	/* A datagram came, and of those before it nothing is left. Its input follows at once. */
	void (*datagram)(void *ctx, struct conn *conn, struct span bytes);
	/* Works on the bytes that nobody has used yet, the oldest first; returns how many are used up. `quiet_ms`: so long nothing came
	 * behind them. The bytes are valid until it returns. It may be called with none at all. */
	size_t (*input)(void *ctx, struct conn *conn, struct span bytes, int32_t quiet_ms, struct moment now,
		enum input_end *end);
	/* The conn ends: exactly once, from conns_reap or conns_close_all, never inside input. What was queued has ended before it
	 * (conn_sent). `reason` is what conn_close was given, a literal. `rest`: what input has left. It is freed behind this call. */
	void (*ended)(void *ctx, struct conn *conn, const char *reason, struct span rest, struct moment now);
};

/* Called exactly once: the bytes have gone (ok), or never will. */
typedef void conn_sent(void *ctx, uint64_t id, bool ok, struct moment now);

/* --- what its owner sees of it --- */

/* The owner's bytes, aligned for any number or pointer; as long as the conn. */
void *conn_owner(struct conn *conn);
bool conn_is_udp(const struct conn *conn);
/* "tcp" or "udp". */
const char *conn_transport(const struct conn *conn);
/* Address and port as text. */
void conn_peer(const struct conn *conn, char buf[CONN_PEER_MAX]);
/* Its address; one that a PROXY header names is known before the first input. */
struct source *conn_source(const struct conn *conn);
/* The account of the address, or that of all strangers over UDP. */
struct source *conn_account(const struct conn *conn);
/* So many units speak here. */
uint32_t conn_units(const struct conn *conn);
/* Is one of them in the units file? Then no stranger takes its place. */
bool conn_is_known(const struct conn *conn);
/* It has been marked by conn_close: nothing more is read or sent. */
bool conn_is_closed(const struct conn *conn);
/* It goes after its last words: conn_close_after_last_words. */
bool conn_has_last_words(const struct conn *conn);
/* One of these two. */
bool conn_is_going(const struct conn *conn);
/* Has it said something within this time? */
bool conn_spoke_within(const struct conn *conn, int64_t ms);

/* --- what goes out --- */

#define CONN_REFUSED SIZE_MAX

/* Queues an answer; returns where it stands among what is owed. CONN_REFUSED: it is not (that was counted), so the unit sends again.
 * `echo`: the answer is byte for byte what came; over UDP, two servers would go on for ever. */
size_t conn_answer(struct conn *conn, struct span frame, bool echo);
/* The `len` bytes of an answer that conn_answer has put there, in this call of input. Valid until the next conn_answer. */
struct span conn_answered(const struct conn *conn, size_t at, size_t len);
/* Queues a command of `whose`, which is only compared. `sent` NULL: nobody wants to know. false: no memory, and `sent` is not called. */
bool conn_command(
	struct conn *conn, const void *whose, struct span frame, conn_sent *sent, void *ctx, uint64_t id);
/* What conn_command queued under this id and has not gone does not go; `sent` is not called. */
void conn_take_back(struct conn *conn, uint64_t id);
/* All commands of `whose` that wait end as not sent. */
void conn_forget(struct conn *conn, const void *whose);
/* A whole frame of so many bytes was understood: over UDP, the peer may be answered with three times as much. */
void conn_whole(struct conn *conn, size_t bytes);

/* --- when it goes --- */

/* Marks it: nothing more is read or sent, and it goes in the next conns_reap. `reason` is a literal. */
void conn_close(struct conn *conn, const char *reason);
/* The same, after what has arrived is taken and its answers have left. */
void conn_close_after_last_words(struct conn *conn, const char *reason);

/* --- limits --- */

/* One unit more, or less, speaks here; `known`: one of the units file. */
void conn_unit_came(struct conn *conn, bool known);
void conn_unit_left(struct conn *conn, bool known);
/* A reload has made one of its units known, or a stranger. */
void conn_unit_changes(struct conn *conn, bool known);
/* A stranger's unit wants to come on line here. Are there places for it, of which there are `limits.units`, and for its connection,
 * of which there are `listen.max_connections`? STAT_COUNT: yes. When all are taken, another connection may give way (it is marked):
 * one of the address that has clearly more than this one's, or else the UDP peer that has been silent longest. */
enum counter conn_take_places(struct conn *conn);
/* Over UDP a peer without a unit is forgotten behind its datagram. This one has named a unit that is on line elsewhere, and what it said
 * counts for its next datagrams: it stays among those that have not named a unit, as long as these may. */
void conn_keep_guest(struct conn *conn);
/* Counts, and logs now and then, what is refused to this peer. */
void conn_refused(struct conn *conn, enum counter reason);
/* May one more line about this peer be logged? A few a minute; it counts as one. */
bool conn_take_line(const struct conn *conn);

#endif
