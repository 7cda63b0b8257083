/* session: one unit on its connection: recognise, frame, decode; ident -> session.
 * May use: codec, conn's few calls. May not: know MQTT, the disk, the clock (`now_ms` is an argument).
 *
 * The newest session of an ident wins. Several units may share one connection. What is remembered of a unit
 * (newest position, alarms) outlives its connection, for a bounded number of units. */
#ifndef T2M_SESSION_H
#define T2M_SESSION_H

#include "codec.h"
#include "conn.h"
#include "stats.h"
#include "units.h"

struct session {
	struct codec_unit unit;
	struct conn *conn;         /* NULL: off line */
	struct session *next_here; /* units that share the connection */
	const struct codec *codec;
	const struct unit_info *info; /* from the units file; NULL: nothing is known beforehand */
	uint64_t number;              /* counts sessions since the start */
	int64_t since_ms;
	int64_t newest_ms; /* time of the newest dated position */
	int64_t taken_ms;  /* the last takeover; 0: none yet */
	struct bucket frames;
	uint32_t in_positions, in_telemetry; /* what Home Assistant was told of: see homeassistant.c */
	uint64_t alarms[TM_WORDS];           /* as the last record that carried them had them */
	struct session *prev, *next;         /* off-line ones, the longest first */
	UT_hash_handle hh;
};

/* Upward calls; main fills them in. */
struct session_ops {
	void *ctx;
	/* Is there room for what one frame gives? */
	bool (*room)(void *ctx);
	/* `conn`: where it came from; may be one that the unit has left since. */
	bool (*record)(void *ctx, struct session *session, const struct conn *conn, struct telemetry *t,
		int64_t now_ms);
	void (*reply)(void *ctx, struct session *session, const struct command_reply *reply, int64_t now_ms);
	void (*online)(void *ctx, struct session *session, int64_t now_ms);
	/* After the frame with which it came: commands can be sent now. */
	void (*ready)(void *ctx, struct session *session, int64_t now_ms);
	void (*offline)(void *ctx, struct session *session, const char *reason, int64_t now_ms);
	/* Every frame, for those who want to see it; session may be NULL, error is NULL when it is fine. */
	void (*frame)(void *ctx, const struct session *session, bool in, struct span frame, const char *error);
	/* A connection that nobody recognised ends. */
	void (*unknown)(void *ctx, const struct conn *conn, struct span head);
};

struct sessions;

/* Both may change meanwhile. */
struct sessions *sessions_open(
	const struct codec_options *options, const struct config *config, struct stats *stats);
/* Who is admitted, and with which options; again after a reload: units that are no longer admitted are closed. */
void sessions_use_units(struct sessions *sessions, const struct units *units, bool reject_unknown);
void sessions_set_ops(struct sessions *sessions, const struct session_ops *ops);
void sessions_free(struct sessions *sessions);

/* Why session_input stopped: all is used up but for what waits for more; the outbox is full; too fast. */
enum input_end { INPUT_DONE = 0, INPUT_NO_ROOM, INPUT_TOO_FAST };

/* Works on the bytes at hand; returns how many are used up. */
size_t session_input(struct sessions *sessions, struct conn *conn, struct span bytes, int32_t quiet_ms,
	int64_t now_ms, enum input_end *end);

/* Once a second or so: gives up messages that stay incomplete. */
void sessions_tick(struct sessions *sessions);

/* The connection ends: all its units are off line. */
void session_conn_ended(struct sessions *sessions, struct conn *conn, const char *reason, int64_t now_ms);

/* Calls `each` for every unit, on line or remembered. */
void sessions_each(struct sessions *sessions, void (*each)(void *ctx, struct session *session), void *ctx);

/* The unit on line with this ident, or NULL. */
struct session *session_find(struct sessions *sessions, struct span ident);

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

#endif
