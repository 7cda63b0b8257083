/* outcome: what became of a command -> cmd/reply, the response topic, a counter, the log.
 * May use: publish, stats, log. May not: know units, MQTT, the clock.
 *
 * Each end of a command is one line at level notice: unit, command, what became of it. Nothing that the command carries
 * stands there (it may be a password); the frame does at level debug. When there are too many of a kind, one line a
 * minute says how many more there were. */
#ifndef T2M_OUTCOME_H
#define T2M_OUTCOME_H

#include "bridge/base/clock.h"
#include "bridge/base/log.h"
#include "bridge/outputs/publish.h"

/* The first two are no ends. */
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
	const char *reason;                /* NULL: none is needed */
	bool quotes;                       /* the reason holds words of the request: not for the log */
	const struct command_reply *reply; /* of ANSWERED */
};

/* Of whom it is told. */
struct outcome_subject {
	const char *ident, *topic; /* topic: the unit's name there */
	const char *id, *name;     /* "": there is none */
	bool named;                /* it is the name of a command, not the first word of a text */
	struct span frame, response_topic, correlation;
	int64_t sent_ms; /* by the steady clock */
	bool fresh;      /* nothing was told of it before */
};

struct outcomes {
	struct publish *publish;
	struct stats *stats;
	struct log_limit lines[OUTCOME_COUNT], lost, untold;
	int64_t flood_since_ms; /* requests that no unit on line has taken, in the seconds since then */
	unsigned flood;
};

/* Is there a reply for one more request that no unit on line takes? False: too many came at a time. */
bool outcome_room(const struct outcomes *outcomes, struct moment now);
void outcome_tell(struct outcomes *outcomes, const struct outcome_subject *subject, struct outcome outcome,
	struct moment now);
/* Now and then: the lines for what was left out. */
void outcome_tick(struct outcomes *outcomes, struct moment now);

#endif
