/* session: one unit on its connection: recognise, frame, decode; ident -> session.
 * May use: codec, conn's few calls. May not: know MQTT, the disk, the clock (the moment is an argument).
 *
 * The newest session of an ident wins, within limits: see session_admission.c. Several units may share one connection. What is
 * remembered of a unit (newest position, alarms) outlives its connection, for a bounded number of units.
 *
 * A unit is trusted when it is in the units file, when few others are remembered yet, or when it has behaved like a unit: several
 * reports over minutes. Only trusted units leave anything that lasts: retained topics, Home Assistant's devices, a place in the
 * memory of units, connections to a platform. All others are served and acknowledged alike. */
#ifndef T2M_SESSION_H
#define T2M_SESSION_H

#include "codecs/codec.h"
#include "bridge/peers/conn.h"
#include "bridge/base/stats.h"
#include "bridge/units/units.h"

/* What is still to be told of a unit, for want of room when it was due. */
enum { SESSION_DUE_STATUS = 1, SESSION_DUE_DISCOVERY = 2 };

struct session {
	struct codec_unit unit;
	struct conn *conn;            /* NULL: off line */
	struct session *next_here;    /* units that share the connection */
	const struct codec *codec;    /* the one it spoke last; NULL: it has not spoken since the start */
	const struct unit_info *info; /* from the units file; NULL: nothing is known beforehand */
	uint64_t number;              /* counts sessions since the start */
	int64_t since_ms;             /* on line or off line since, Unix time */
	const char *reason;           /* why it is off line; a literal */
	int64_t newest_ms;            /* time of the newest dated position, Unix time; 0: none is known */
	int64_t taken_ms;             /* the last takeover, steady time; 0: none yet */
	int64_t first_ms,
		counted_ms; /* until it is trusted: its first report, and the last that counted; steady time */
	struct bucket frames;
	uint32_t in_positions, in_telemetry; /* what Home Assistant was told of: see homeassistant.c */
	uint64_t alarms[TM_WORDS];           /* as the last record that carried them had them */
	bool trusted;
	uint8_t reports;             /* until it is trusted: so many that counted */
	uint8_t due;                 /* SESSION_DUE_... */
	struct session *prev, *next; /* off-line ones, the longest first */
	UT_hash_handle hh;
};

/* Upward calls; parts.c fills them in. Those that return a bool: false when there is no room for what is to be told; a trusted
 * unit's status is then told later. */
struct session_ops {
	void *ctx;
	/* Is there room for what one frame gives? */
	bool (*room)(void *ctx);
	/* And may this address take it? Each may fill a part of the room at most while others need it. */
	bool (*share)(void *ctx, const struct conn *conn);
	/* One frame is about to give so many records: is there room for all of them? */
	enum codec_room (*batch)(void *ctx, size_t records);
	/* `conn`: where it came from; may be one that the unit has left since. */
	bool (*record)(
		void *ctx, struct session *session, struct conn *conn, struct telemetry *t, struct moment now);
	void (*reply)(void *ctx, struct session *session, const struct command_reply *reply, struct moment now);
	/* On line or off line as the session says. */
	bool (*status)(void *ctx, struct session *session, struct moment now);
	/* After the frame with which it came: commands can be sent now. */
	void (*ready)(void *ctx, struct session *session, struct moment now);
	void (*offline)(void *ctx, struct session *session, const char *reason, struct moment now);
	/* It is forgotten: what is retained of it is cleared. Only trusted ones. */
	bool (*forgotten)(void *ctx, struct session *session, struct moment now);
	/* No unit has this name in topics any more, or another one has: what is retained there is cleared, in order with what this
	 * unit says. */
	bool (*cleared)(void *ctx, const char *ident, const char *name, struct moment now);
	/* Tells Home Assistant of it. */
	bool (*discovery)(void *ctx, struct session *session, struct moment now);
	/* Every frame, for those who want to see it; session may be NULL, error is NULL when it is fine. */
	void (*frame)(void *ctx, const struct session *session, bool in, struct span frame, const char *error);
	/* A connection that nobody recognised ends. */
	void (*unknown)(void *ctx, const struct conn *conn, struct span head, struct moment now);
};

struct sessions;

/* All may change meanwhile. `memory_most`: so many units can be remembered over restarts. */
struct sessions *sessions_open(const struct config *config, size_t memory_most, struct stats *stats);
/* A unit that was remembered when the process ended: before the first session_input. `newest_ms` and `heard_ms`: Unix time of its
 * newest position and of its last word, 0: not known. */
void sessions_remember(struct sessions *sessions, struct span ident, int64_t newest_ms, int64_t heard_ms);
/* Closes the connections of units that are not in this file; with the next conns_reap they are off line. */
void sessions_close_strangers(struct sessions *sessions, const struct units *units);
/* Who is admitted from now on, and with which options; again after a reload. */
void sessions_use_units(struct sessions *sessions, const struct units *units, bool reject_unknown);
void sessions_set_ops(struct sessions *sessions, const struct session_ops *ops);
void sessions_free(struct sessions *sessions);

/* Why session_input stopped: all is used up but for what waits for more; the outbox is full; too fast. */
enum input_end { INPUT_DONE = 0, INPUT_NO_ROOM, INPUT_TOO_FAST };

/* Works on the bytes at hand; returns how many are used up. Frees no conn and no session. */
size_t session_input(struct sessions *sessions, struct conn *conn, struct span bytes, int32_t quiet_ms,
	struct moment now, enum input_end *end);

/* The connection ends: all its units are off line. Some may be forgotten. Only at the top of a turn. */
void session_conn_ended(struct sessions *sessions, struct conn *conn, const char *reason, struct moment now);

/* Time passes: units that have been away for too long are forgotten, what was not logged is told in one line. */
void sessions_tick(struct sessions *sessions, struct moment now);
/* Marks what is to be told of every trusted unit that is on line or in the units file. */
void sessions_tell_again(struct sessions *sessions, unsigned due);
/* What is to be told of this unit later: `due` is all that is. */
void session_set_due(struct sessions *sessions, struct session *session, unsigned due);
/* Tells what is due, of a few hundred units at most. True: there is more, and room for it. `last`: there will be no later time, so
 * it may take the room that is kept for what is no record. */
bool sessions_catch_up(struct sessions *sessions, bool last, struct moment now);

/* Calls `each` for every unit, on line or remembered. It may not add or forget any. */
void sessions_each(struct sessions *sessions, void (*each)(void *ctx, struct session *session), void *ctx);
/* The unit on line with this ident, or NULL. */
struct session *session_find(struct sessions *sessions, struct span ident);
/* Are there units that always have a place, those of the units file? */
bool sessions_expect_units(const struct sessions *sessions);

/* The ident that a name in topics stands for: its own, or the one in the units file. */
struct span session_ident(const struct sessions *sessions, struct span name);
/* And back. */
const char *session_topic(const struct session *session);

/* The protocol that this unit spoke last, on line or remembered; NULL when it is not known. */
const struct codec *session_codec(struct sessions *sessions, struct span ident);

/* Writes the bytes of a checked command; false: it does not fit. */
bool session_encode(struct sessions *sessions, struct session *session, const struct command *command,
	struct writer *out, struct command_token *token, int64_t now_ms);
/* Queues them on the unit's connection; `sent` as for conn_command. */
bool session_send(struct sessions *sessions, struct session *session, struct span frame, conn_sent *sent,
	void *ctx, uint64_t id);
/* What was queued for this unit under this id and has not gone does not go; `sent` is not called. */
void session_take_back(struct sessions *sessions, struct span ident, uint64_t id);

#endif
