// SPDX-License-Identifier: MIT
/* session_private: what the session files share; nobody else includes it. Each of them calls only those below it:
 * Uses: bridge/base.
 *
 *   session_input      bytes -> frames -> records of the unit that speaks
 *   session_arrival    a unit comes on line, takes over, is trusted
 *   session_admission  may it? Answers only
 *   session            what all of them have in common: the units file, on line and off line, what is to be told
 *   session_recall     what outlives the process: as a note, and back
 *   session_roster     ident -> session, on line or remembered; who has been gone longest */
#ifndef T2M_SESSION_PRIVATE_H
#define T2M_SESSION_PRIVATE_H

#include "bridge/units/assembly.h"
#include "bridge/base/log.h"
#include "bridge/units/session.h"

#include <utlist.h>

/* Off-line sessions by who they are: strangers go first, units of the units file are in no list and stay. */
enum gone { GONE_STRANGERS = 0, GONE_TRUSTED, GONE_KINDS };

struct gone_list {
	struct session *head; /* the one that has been gone longest */
	size_t count;
};

/* Why a unit went off line before this process: the same text is kept once. */
struct reason {
	struct reason *next;
	char text[];
};

/* What is spoken on one connection, which keeps it: conn_owner(). */
struct talk {
	struct codec_stream stream;
	struct session *sessions; /* units that speak here */
	bool told;                /* that a frame was rejected */
	bool named;               /* that it speaks a foreign protocol */
	bool turned_away;         /* that a unit is not admitted */
};

/* A name in topics that its unit does not have any more: what is retained there is still to be cleared. */
struct old_name {
	struct old_name *next;
	char ident[CODEC_IDENT_MAX + 1], name[61];
};

/* A unit of which it was told that it is not admitted: the same unit comes again and again. */
struct refusal {
	char ident[CODEC_IDENT_MAX + 1];
	int64_t told_ms; /* steady time */
};
#define REFUSALS 64

struct sessions {
	struct session *by_ident; /* hash: units on line, and remembered ones */
	struct gone_list gone[GONE_KINDS];
	size_t online, memory_most;
	size_t trusted; /* of those that are not in the units file */
	size_t due;     /* sessions of which a listener is still to tell */
	struct old_name *old_names;
	struct reason *reasons;
	int64_t expect_until_ms; /* awaited units may come back until then, steady time; 0: none is awaited */
	int64_t expect_since_ms; /* the same begin, Unix time */
	struct session *walk;    /* where sessions_catch_up goes on; NULL: at the beginning */
	struct bucket udp_arrivals, udp_trusted;
	struct bucket told;        /* of strangers, whether they are on line */
	struct log_limit lines[2]; /* of strangers that go off line, and that come on line */
	uint64_t number;
	const struct config *config;
	const struct units *units;
	bool reject_unknown;
	struct events events;
	unsigned
		cluster; /* the bit of the listener that knows which bridge has a unit; 0: this bridge is alone */
	size_t session_bytes; /* of struct session and what listeners remember */
	struct stats *stats;
	struct telemetry scratch;
	struct assembly *assembly; /* of messages in several frames */
	unsigned incomplete;       /* of them, since the last line */
	struct log_limit incomplete_lines;
	struct refusal refusals[REFUSALS];
	size_t next_refusal; /* the oldest of them */
	/* of the session_input at hand */
	struct conn *conn;
	struct talk *talk; /* its */
	struct moment now;
	struct span frame; /* the one being decoded */
	struct {
		size_t at, len;
	} answer[ASSEMBLY_PARTS_MAX + 1]; /* frames that answer it: conn_answered() */
	size_t answers;
	struct session *fresh; /* the unit that came with this frame */
	struct session *guest; /* the unit of the frame, when it stays with another connection */
	uint8_t guest_priv[sizeof(((struct codec_unit *)0)->priv)]; /* what its codec knew of it before */
	int64_t records;                                            /* of this frame */
	bool later; /* its unit came too soon, or its address had its share: the frame is to be given once more */
};

/* --- session_roster.c --- */

/* On line or remembered; NULL: neither. */
struct session *sessions_find(const struct sessions *s, struct span ident);
/* NULL: no memory. */
struct session *sessions_add(struct sessions *s, struct span ident);
/* It is off line, or what decides in which list it stands has changed: the last of those that are gone. */
void sessions_go(struct sessions *s, struct session *session);
/* It comes on line, or what decides in which list it stands is about to change: no longer among those that are gone. */
void sessions_come_back(struct sessions *s, struct session *session);
/* After many have joined: the one that has been gone longest is the first again. */
void sessions_sort_gone(struct sessions *s);
/* Listeners that are to tell of this unit later: `due` is all of them. */
void session_set_due(struct sessions *s, struct session *session, unsigned due);
/* Frees it; it is off line, or all are freed. */
void sessions_forget(struct sessions *s, struct session *session);
/* The trusted one that has been gone longest, if it is to be forgotten; NULL: none is. When the clock was wrong as it went, it counts
 * as gone from now on. */
struct session *sessions_outdated(struct sessions *s, struct moment now);
/* Is there a place in the memory of units for one more that is not in the units file? */
bool sessions_remember_more(const struct sessions *s);

/* --- session.c --- */

/* Takes the session from its connection, which keeps no pointer to it. */
void session_leave_conn(struct session *session);
/* What the units file says of it. */
void session_inform(struct sessions *s, struct session *session);
/* The options that this codec reads when the unit speaks: those of session->codec, but for the frame of a guest. */
void session_use_options(struct sessions *s, struct session *session, const struct codec *codec);
/* One line about a stranger that comes or goes: not too many of them. */
bool sessions_take_line(struct sessions *s, const struct session *session, bool online);
/* Listeners are told, now or later, whether it is on line. */
void sessions_tell_presence(struct sessions *s, struct session *session);

/* The connection ends (conn_ops): all its units are off line. Some may be forgotten. */
void session_conn_ended(
	void *sessions, struct conn *conn, const char *reason, struct span rest, struct moment now);
/* Are there units that always have a place, those of the units file? (conn_ops) */
bool sessions_expect_units(const void *sessions);

/* --- session_recall.c --- */

/* Awaited units that have not come back in time are off line. */
void sessions_expect_no_more(struct sessions *s, struct moment now);
void sessions_drop_reasons(struct sessions *s);

/* --- session_admission.c: questions of the connection at hand; they change nothing. STAT_COUNT: nothing is against it --- */

/* May it speak for one more unit, this one? */
enum counter session_admission(const struct sessions *s, struct span ident);
/* Why session_admission does not admit it, and what to do: a clause for people. */
struct why {
	char text[700];
};
struct why session_why_not(const struct sessions *s, struct span ident);
/* May one more that is new come on line in this second, from this address or, over UDP, where addresses can be forged, from all of
 * them? */
enum counter session_arrivals(const struct sessions *s);
/* May its address give one more frame, or has it had its share? Units of the units file are exempt. */
enum counter session_share(const struct sessions *s);

/* It names a unit that is on line on another connection. */
enum claim {
	CLAIM_TAKES_OVER = 0, /* from now on it is this one's */
	CLAIM_LAST_WORDS,     /* it stays there: this connection is an old one */
	CLAIM_TOO_SOON        /* it stays there: see session_admission.c */
};
enum claim session_claim(const struct sessions *s, const struct session *session);
/* Has it been taken over by another address only a moment ago? */
bool session_is_flapping(const struct sessions *s, const struct session *session);

/* --- session_arrival.c --- */

/* codec_sink.identify. */
struct codec_unit *session_identify(void *ctx, struct span ident);
/* A record of it has been stored: has it behaved like a unit by now? Then it is trusted. */
void session_consider_trust(struct sessions *s, struct session *session);

#endif
