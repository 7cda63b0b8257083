// SPDX-License-Identifier: MIT
/* asked: alarms of a unit that has come from another bridge of the cluster, while it is not known which of them that bridge has raised.
 * Uses: nothing else.
 * Not: know the cluster.
 *
 * The unit's records go on. Its alarms wait, each as a message of its own: in memory, and kept beside the outbox, so that a crash swallows none. When
 * it is known what the other bridge has raised, they are published or dropped. */
#ifndef T2M_ASKED_H
#define T2M_ASKED_H

#include "bridge/outputs/alarms.h"
#include "bridge/outputs/publish.h"

struct asked_message;

/* What the unit's records have said since it came. All zero: nothing. */
struct asked_unit {
	struct alarms own;       /* as if nothing had been known before */
	uint64_t seen[TM_WORDS]; /* what the newest records carried */
	uint64_t off[TM_WORDS];  /* what they said to be over: raised behind that, it is new */
	struct asked_message *messages;
};

/* All zero but for the first three, which live longer: nothing waits. */
struct asked {
	const struct config *config;
	struct publish *publish;
	struct stats *stats;
	uint64_t number;
	struct asked_message *late; /* to be published, as soon as there is room */
};

/* What an earlier run left is published: before the first unit. */
void asked_restore(struct asked *asked);
/* A record of the unit: its alarms that may be new wait, or are published, if they are new in any case. False: no room; nothing is noted but what
 * has been published. */
bool asked_record(struct asked *asked, struct asked_unit *unit, const struct session *session,
	const struct conn *conn, struct telemetry *record, struct moment now);
/* The answer. `known`: what the bridge before had raised; then with what the records here said. Those that it had are dropped, the others published;
 * the unit waits no more. */
void asked_answer(struct asked *asked, struct asked_unit *unit, struct alarms *known, struct moment now);
/* Publishes what had no room. */
void asked_turn(struct asked *asked, struct moment now);
void asked_free(struct asked *asked);

#endif
