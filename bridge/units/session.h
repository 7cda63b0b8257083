// SPDX-License-Identifier: MIT
/* session: one unit on its connection: recognise, frame, decode; ident -> session.
 * Uses: bridge/base, bridge/peers, bridge/settings, codecs.
 * Not: know MQTT, the disk, the clock (the moment is an argument).
 *
 * The newest session of an ident wins, within limits: see session_arrival.c. Several units may share one connection. What is
 * remembered of a unit outlives its connection, for a bounded number of units. What units do is told to listeners: see events.h.
 *
 * A unit is trusted when it is in the units file, when few others are remembered yet, or when it has behaved like a unit: several
 * reports over minutes. Only trusted units leave anything that lasts: retained topics, Home Assistant's devices, a place in the
 * memory of units, connections to a platform. All others are served and acknowledged alike. */
#ifndef T2M_SESSION_H
#define T2M_SESSION_H

#include "codecs/codec.h"
#include "bridge/base/hash.h"
#include "bridge/peers/conn.h"
#include "bridge/peers/source.h"
#include "bridge/settings/config.h"
#include "bridge/base/stats.h"
#include "bridge/units/events.h"
#include "bridge/units/units.h"

struct session {
	struct codec_unit unit;
	struct conn *conn;            /* NULL: off line */
	struct session *next_here;    /* units that share the connection */
	const struct codec *codec;    /* the one it spoke last; NULL: it has not spoken since the start */
	const struct unit_info *info; /* from the units file; NULL: nothing is known beforehand */
	uint64_t number;              /* counts sessions since the start */
	int64_t since_ms;             /* on line or off line since, Unix time */
	const char *reason;           /* why it is off line; a literal */
	int64_t taken_ms;             /* the last takeover, steady time; 0: none yet */
	int64_t first_ms,
		counted_ms; /* until it is trusted: its first report, and the last that counted; steady time */
	struct bucket frames;
	char *was; /* its name in topics when the process ended, until the units file is read; NULL: its ident */
	bool trusted;
	bool elsewhere; /* another bridge of the cluster has it, or may have it: nothing lasting is told of it */
	bool recalled;  /* what is known of it is from before the start */
	bool awaited;   /* it was on line when the process ended, and may come back: see sessions_recall */
	uint8_t reports;             /* until it is trusted: so many that counted */
	uint16_t due;                /* listeners that have still to tell of it: see events.h */
	struct session *prev, *next; /* off-line ones, the longest first */
	UT_hash_handle hh;
	/* behind it: what listeners remember of it, see sessions_reserve */
};

/* As far as is known: an awaited unit counts as on line. */
static inline bool session_is_online(const struct session *session)
{
	return session->conn != NULL || session->awaited;
}

/* Is it on line over UDP? */
bool session_has_datagrams(const struct session *session);

struct sessions;

/* All may change meanwhile. `memory_most`: so many units can be remembered over restarts. */
struct sessions *sessions_open(const struct config *config, size_t memory_most, struct stats *stats);
/* Registers a listener: before the first unit. It is kept, not copied, and must outlive the sessions. To be called again when its
 * members have changed. False: there are too many. */
bool sessions_listen(struct sessions *sessions, const struct unit_listener *listener);
/* This listener, which is registered, is told of the presence of units that are elsewhere, too. */
void sessions_use_cluster(struct sessions *sessions, const struct unit_listener *listener);
/* Room for a listener in every session, aligned for 64-bit numbers and zero at first: before the first unit. Its place, for
 * session_memory. */
size_t sessions_reserve(struct sessions *sessions, size_t bytes);
static inline void *session_memory(struct session *session, size_t place)
{
	return (char *)session + place;
}
/* A unit that was remembered when the process ended: before the first input. `value`: the number that was remembered with
 * it, for the listeners. `heard_ms`: Unix time of its last word, 0: not known. */
void sessions_remember(struct sessions *sessions, struct span ident, int64_t value, int64_t heard_ms);
/* What is known of a unit, as a note: see base/note.h. */
void sessions_save(struct sessions *sessions, struct session *session, struct writer *note, struct moment now);
/* And back, after all that sessions_remember is told: before the first input. A unit that is not known yet is remembered by it. One that
 * was on line when the process ended is awaited. False: it is no such note. */
bool sessions_recall(struct sessions *sessions, struct span ident, struct span note);
/* What another bridge of the cluster wrote of this unit is joined with what is known here. False: it is no such note. */
bool sessions_join(struct sessions *sessions, struct session *session, struct span note, struct moment now);
/* What a note says of the unit itself, for people. Its spans point into the note. False: it is no such note. */
struct unit_note {
	bool online;
	int64_t since_ms, heard_ms, number;
	struct span name; /* in topics; empty: its ident */
	struct span codec, reason;
};
bool session_note_read(struct span note, struct unit_note *out);
/* All have been recalled. Units of which it is not known whether they were on line are awaited, too. Those that have not come back within
 * [units] return from now on are off line. What is known of the others is told again. */
void sessions_expect(struct sessions *sessions, struct moment now);
/* The broker may have lost what it retains: all that is retained of trusted units is told again, soon. */
void sessions_tell_all_again(struct sessions *sessions);
/* Forgets what is known of this unit and clears what is retained of it, as if it had been away for [units] remember; also what an
 * earlier run left of a unit that is not known. One that is on line is known again from then on. False: no room, try again later. */
bool sessions_forget_unit(struct sessions *sessions, struct span ident, struct moment now);
/* Closes the connections of units that are not in this file; with the next conns_reap they are off line. */
void sessions_close_strangers(struct sessions *sessions, const struct units *units);
/* Who is admitted from now on, and with which options; again after a reload. */
void sessions_use_units(struct sessions *sessions, const struct units *units, bool reject_unknown);
void sessions_free(struct sessions *sessions);

/* What the sessions do with the conns that they own: conns_open. */
struct conn_ops sessions_conn_ops(struct sessions *sessions);

/* Time passes: units that have been away for too long are forgotten, what was not logged is told in one line. */
void sessions_tick(struct sessions *sessions, struct moment now);
/* This listener is to tell again, soon, of this unit. */
void session_tell_later(
	struct sessions *sessions, struct session *session, const struct unit_listener *listener);
/* Tells what is due, of a few hundred units at most. True: there is more, and room for it. `last`: there will be no later time, so
 * it may take the room that is kept for what is no record. */
bool sessions_catch_up(struct sessions *sessions, bool last, struct moment now);

/* Calls `each` for every unit, on line or remembered. It may not add or forget any. */
void sessions_each(struct sessions *sessions, void (*each)(void *ctx, struct session *session), void *ctx);
/* The unit with this ident, on line or remembered; NULL: neither. */
struct session *session_known(struct sessions *sessions, struct span ident);
/* The unit speaks to another bridge now: it is off line here. Alone on its connection: that is closed. `reason`: a literal. Not from a listener. */
void session_depart(struct sessions *sessions, struct session *session, const char *reason, struct moment now);
/* The unit on line with this ident, or NULL. */
struct session *session_find(struct sessions *sessions, struct span ident);
/* The ident that a name in topics stands for: its own, or the one in the units file. */
struct span session_ident(const struct sessions *sessions, struct span name);
/* And back. */
const char *session_topic(const struct session *session);
/* The same for a unit that may not be known. Valid until the units file is read again, or as long as `ident`. */
const char *session_topic_of(const struct sessions *sessions, const char *ident);

/* The protocol that this unit spoke last, on line or remembered; NULL when it is not known. */
const struct codec *session_codec(struct sessions *sessions, struct span ident);

/* Writes the bytes of a checked command; false: it does not fit. */
bool session_encode(struct sessions *sessions, struct session *session, const struct command *command,
	struct writer *out, struct command_token *token, int64_t now_ms);
/* Queues them on the unit's connection; `sent` as for conn_command. */
bool session_send(struct sessions *sessions, struct session *session, struct span frame, conn_sent *sent,
	void *ctx, uint64_t id, struct moment now);
/* What was queued for this unit under this id and has not gone does not go; `sent` is not called. */
void session_take_back(struct sessions *sessions, struct span ident, uint64_t id);

#endif
