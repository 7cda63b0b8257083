/* session_private: what session.c, session_admission.c and session_input.c share; nobody else includes it. */
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

/* A name in topics that its unit does not have any more: what is retained there is still to be cleared. */
struct old_name {
	struct old_name *next;
	char ident[CODEC_IDENT_MAX + 1], name[61];
};

struct sessions {
	struct session *by_ident; /* hash: units on line, and remembered ones */
	struct gone_list gone[GONE_KINDS];
	size_t online, memory_most;
	size_t trusted; /* of those that are not in the units file */
	size_t due;     /* sessions of which something is to be told */
	struct old_name *old_names;
	struct session *walk; /* where sessions_catch_up goes on; NULL: at the beginning */
	struct bucket udp_arrivals, udp_trusted;
	struct bucket told;        /* of strangers, whether they are on line */
	struct log_limit lines[2]; /* of strangers that go off line, and that come on line */
	uint64_t number;
	const struct config *config;
	const struct units *units;
	bool reject_unknown;
	struct session_ops ops;
	struct stats *stats;
	struct telemetry scratch;
	struct assembly *assembly; /* of messages in several frames */
	unsigned incomplete;       /* of them, since the last line */
	struct log_limit incomplete_lines;
	/* of the session_input at hand */
	struct conn *conn;
	struct moment now;
	struct span frame;                                    /* the one being decoded */
	size_t owed_before;                                   /* bytes that the connection was owed before it */
	uint16_t answers, answer_len[ASSEMBLY_PARTS_MAX + 1]; /* frames that answer it */
	struct session *fresh;                                /* the unit that came with this frame */
	struct session *guest; /* the unit of the frame, when it stays with another connection */
	uint8_t guest_priv[sizeof(((struct codec_unit *)0)->priv)]; /* what its codec knew of it before */
	int64_t records;                                            /* of this frame */
	bool later; /* its unit came too soon, or its address had its share: the frame is to be given once more */
};

/* On line or remembered; NULL: neither. */
struct session *sessions_find(struct sessions *s, struct span ident);
struct session *sessions_add(struct sessions *s, struct span ident);
/* It comes on line: no longer among those that are gone. */
void sessions_come_back(struct sessions *s, struct session *session);
/* Takes the session from its connection, which keeps no pointer to it. */
void session_leave_conn(struct session *session);
/* What the units file says of it. */
void session_inform(struct sessions *s, struct session *session);
/* The options that this codec reads when the unit speaks: those that belong to session->codec, but for the frame of a guest. */
void session_use_options(struct sessions *s, struct session *session, const struct codec *codec);
bool sessions_admit(const struct sessions *s, const struct unit_info *info);
/* One line about a stranger that comes or goes: not too many of them. */
bool sessions_take_line(struct sessions *s, const struct session *session, bool online);
/* Publishes whether it is on line, or has it due. */
void sessions_tell_status(struct sessions *s, struct session *session);
/* Is there a place in the memory of units for one more that is not in the units file? */
bool sessions_remember_more(const struct sessions *s);

/* Has the address of the connection at hand had its share? STAT_COUNT: not yet, or a unit of the units file speaks there. */
enum counter sessions_share(struct sessions *s);

/* codec_sink.identify. */
struct codec_unit *session_identify(void *ctx, struct span ident);
/* A record of it has been stored: has it behaved like a unit by now? */
void session_consider_trust(struct sessions *s, struct session *session);

#endif
