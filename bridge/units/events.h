// SPDX-License-Identifier: MIT
/* events: what units do, and who wants to hear it.
 * Uses: bridge/base, codecs.
 * Not: know sessions from inside, or any listener.
 *
 * Outputs and commands are listeners. Each fills in the members that it wants to hear; NULL: it is not interested. Listeners are told
 * in the order of registering; what ends (forgotten, cleared) goes in the opposite order, so that who came first has the last
 * word. A listener may not register another one, and may not close connections, while it is told something. */
#ifndef T2M_EVENTS_H
#define T2M_EVENTS_H

#include "bridge/base/clock.h"
#include "codecs/codec.h"
#include "codecs/foreign.h"

struct conn;
struct session;

/* A peer of which no unit comes on line, and why. */
struct stranger {
	struct span head;                 /* its first bytes, or the frame with which a unit is not admitted */
	const struct foreign *looks_like; /* what it speaks, as far as its first bytes tell; NULL: unknown */
	const char *ident, *protocol;     /* the unit that is not admitted; NULL: none was named */
	const char *why;                  /* and why, a clause with what to do; NULL: none was named */
};

struct unit_listener {
	void *ctx;

	/* Asked before a frame is taken; a listener that has no objection leaves them out. */
	/* Is there room for what one frame gives? */
	bool (*room)(void *ctx);
	/* And may the address of this connection take it? Each address may fill a part of the room while others need it. */
	bool (*share)(void *ctx, const struct conn *conn, struct moment now);
	/* One frame is about to give so many records: is there room for all of them? */
	enum codec_room (*batch)(void *ctx, size_t records);

	/* A record. False: it is not stored; listeners behind this one do not hear of it, and the unit is not acknowledged and
	 * sends it again. `conn`: where it came from; may be one that the unit has left since. A listener may add fields to `t`:
	 * those behind it see them, so a text that it adds must last until all have been told. */
	bool (*record)(void *ctx, struct session *session, const struct conn *conn, struct telemetry *t,
		struct moment now);
	/* The unit answers a command. */
	void (*reply)(void *ctx, struct session *session, const struct command_reply *reply, struct moment now);
	/* After the frame with which the unit came on line: commands can be sent now. */
	void (*ready)(void *ctx, struct session *session, struct moment now);
	/* `reason`: a literal. */
	void (*offline)(void *ctx, struct session *session, const char *reason, struct moment now);
	/* Every frame, in or out; session may be NULL, error is NULL when the frame is fine. */
	void (*frame)(void *ctx, const struct session *session, bool in, struct span frame, const char *error,
		struct moment now);
	/* A connection speaks a foreign protocol, as soon as that is known; or one that nobody knows ends; or a unit is not admitted. */
	void (*unknown)(void *ctx, const struct conn *conn, const struct stranger *stranger, struct moment now);

	/* Publishes what this listener says of a unit, as the session is now. False: no room; it is called again later. Called
	 * when the unit's name in topics has changed, after session_tell_later, with `tells_again` when the broker may have lost it, and with `tells_presence`
	 * each time the unit comes on line, goes off line, or is trusted. */
	bool (*tell)(void *ctx, struct session *session, struct moment now);
	bool tells_presence;

	/* Is what it tells retained by the broker? Then it is told again when the broker may have lost it. */
	bool tells_again;

	/* What this listener knows of a unit and is to outlive the process: it writes that as its part of the unit's note, under its
	 * letter. At the start, after `remembered`, it is given back what it wrote; `part` is valid during the call, may come from
	 * another version of the program, and is empty when the note has none. */
	char letter; /* 0: none; 's' is the sessions' own */
	void (*save)(void *ctx, struct session *session, struct writer *out);
	void (*recall)(void *ctx, struct session *session, struct span part);
	/* What another bridge of the cluster wrote so, which had the unit: it is joined with what is known here. NULL: nothing of it is taken over. Nothing
	 * is told but what has changed by it. */
	void (*join)(void *ctx, struct session *session, struct span part, struct moment now);

	/* At the start: a unit that was remembered when the process ended, and the number that was remembered with it. */
	void (*remembered)(void *ctx, struct session *session, int64_t value);
	/* A trusted unit is forgotten: what is retained of it is cleared, and what is remembered of it is as at first, for the unit may
	 * be on line. False: no room; all listeners are told again later. */
	bool (*forgotten)(void *ctx, struct session *session, struct moment now);
	/* No unit has this name in topics any more, or another one has: what is retained there is cleared, in order with what the
	 * unit `ident` says. False: no room; all listeners are told again later. */
	bool (*cleared)(void *ctx, const char *ident, const char *name, struct moment now);
};

#define EVENTS_LISTENERS_MOST 16 /* a bit of struct session's `due` for each */

enum event {
	EVENT_ROOM = 0,
	EVENT_SHARE,
	EVENT_BATCH,
	EVENT_RECORD,
	EVENT_REPLY,
	EVENT_READY,
	EVENT_OFFLINE,
	EVENT_FRAME,
	EVENT_UNKNOWN,
	EVENT_NOTE,
	EVENT_REMEMBERED,
	EVENT_TELL,
	/* must stay last */
	EVENT_COUNT
};

/* Who listens; all zero: nobody. A set of listeners is written as bits, bit i for listener i. */
struct events {
	const struct unit_listener *listener[EVENTS_LISTENERS_MOST];
	unsigned count;
	uint16_t hears[EVENT_COUNT]; /* those that are interested: nobody else costs anything */
	uint16_t presence;           /* those that tell of presence */
	uint16_t again;              /* those that tell again */
};

/* `listener` is kept, not copied: it must outlive `events`. To be called again when its members have changed. False: there are too
 * many. */
bool events_listen(struct events *events, const struct unit_listener *listener);
/* The bit of this listener; 0: it is not registered. */
unsigned events_bit(const struct events *events, const struct unit_listener *listener);

/* Each tells, or asks, all listeners; see unit_listener. */
bool events_room(const struct events *events);
bool events_share(const struct events *events, const struct conn *conn, struct moment now);
enum codec_room events_batch(const struct events *events, size_t records);
bool events_record(const struct events *events, struct session *session, const struct conn *conn,
	struct telemetry *t, struct moment now);
void events_reply(const struct events *events, struct session *session, const struct command_reply *reply,
	struct moment now);
void events_ready(const struct events *events, struct session *session, struct moment now);
void events_offline(
	const struct events *events, struct session *session, const char *reason, struct moment now);
void events_frame(const struct events *events, const struct session *session, bool in, struct span frame,
	const char *error, struct moment now);
void events_unknown(const struct events *events, const struct conn *conn, const struct stranger *stranger,
	struct moment now);
/* All parts of the unit's note, and back. */
void events_save(const struct events *events, struct session *session, struct writer *out);
void events_recall(const struct events *events, struct session *session, struct span kept);
void events_join(const struct events *events, struct session *session, struct span kept, struct moment now);
void events_remembered(const struct events *events, struct session *session, int64_t value);
bool events_forgotten(const struct events *events, struct session *session, struct moment now);
bool events_cleared(const struct events *events, const char *ident, const char *name, struct moment now);
/* Calls `tell` of these listeners, up to the first that finds no room. Those that have not told: 0: all have. */
unsigned events_tell(const struct events *events, unsigned who, struct session *session, struct moment now);

#endif
