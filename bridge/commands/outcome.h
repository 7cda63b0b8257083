// SPDX-License-Identifier: MIT
/* outcome: what became of a command goes to cmd/reply, the response topic, a counter and the log.
 * Uses: bridge/base, bridge/outputs.
 * Not: know units, MQTT, the clock.
 *
 * Each end of a command is one line of the log at level notice: unit, command, what became of it. That line has nothing that
 * the command carries, which may be a password; a line at level debug has the frame. When there are too many ends of a kind,
 * one line a minute says how many more there were. */
#ifndef T2M_OUTCOME_H
#define T2M_OUTCOME_H

#include "bridge/base/clock.h"
#include "bridge/base/log.h"
#include "bridge/outputs/publish.h"

/* What became of a command: HELD and SENT are stages of it, the others are ends. */
enum outcome_status {
	OUTCOME_HELD = 0,
	OUTCOME_SENT,
	OUTCOME_ANSWERED,
	OUTCOME_TIMEOUT,
	OUTCOME_OFFLINE,
	OUTCOME_EXPIRED,
	OUTCOME_REJECTED,
	/* must stay last */
	OUTCOME_COUNT
};

struct outcome {
	enum outcome_status status;
	const char *reason;                /* NULL: none is needed; used during outcome_tell only */
	bool quotes;                       /* the reason quotes the request: it is not logged */
	const struct command_reply *reply; /* with OUTCOME_ANSWERED; used during outcome_tell only */
	struct span written;               /* by outcome_write; empty: it is not written yet */
};

/* The command of which it is told; used during outcome_tell only. */
struct outcome_subject {
	const char *ident, *topic; /* topic: the unit's name in topics */
	const char *id, *name;     /* of the request, of the command; "": there is none */
	bool named;                /* `name` is the name of a command, not the first word of a text */
	struct span frame, response_topic, correlation;
	int64_t sent_ms, answered_ms; /* steady time; answered_ms: with OUTCOME_ANSWERED */
	bool fresh;                   /* nothing was told of this command before */
};

/* All zero but for the first three, which are kept and must live longer. */
struct outcomes {
	struct publish *publish;
	struct stats *stats;
	const char *instance; /* which the replies name; NULL: this bridge is alone */
	uint64_t seqnum;      /* of the reply that was written last, where there is an instance */
	struct log_limit lines[OUTCOME_COUNT], lost, untold;
	int64_t flood_since_ms; /* the seconds at hand began then; steady time */
	unsigned flood;         /* requests in them for which no unit was online, or that were rejected */
};

/* May one more request that no unit takes now get a reply? False: too many came at a time. */
bool outcome_room(const struct outcomes *outcomes, struct moment now);
/* The reply, as outcome_tell publishes it. False: it is too long. */
bool outcome_write(struct outcomes *outcomes, const struct outcome_subject *subject, struct outcome outcome,
	struct moment now, struct writer *out);
#define OUTCOME_WRITTEN_MOST (24 << 10)
/* Publishes, counts and logs what became of a command. A reply for which the outbox has no room is lost, and that is logged: false. */
bool outcome_tell(struct outcomes *outcomes, const struct outcome_subject *subject, struct outcome outcome,
	struct moment now);
/* At least once a minute: writes the lines that say how many were left out of the log. */
void outcome_tick(struct outcomes *outcomes, struct moment now);

#endif
