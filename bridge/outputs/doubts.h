// SPDX-License-Identifier: MIT
/* doubts: what a unit's records let people doubt: a date that is off, no position at all. Told once, in words.
 * Uses: bridge/base, bridge/units, codecs/record.
 * Not: change a record or hold it back. */
#ifndef T2M_DOUBTS_H
#define T2M_DOUBTS_H

#include "bridge/units/session.h"

/* What was told of one unit; all zero at first. */
struct doubts {
	int64_t date_told_ms; /* steady time; 0: not yet */
	uint8_t without;      /* records without a valid position since the start, up to a few */
	bool found;           /* it has had a valid position, or it was told that there is none */
};

/* Looks at a record of this unit that has been stored. `date_ms`: the date that the unit gave it; without one, now. */
void doubts_look(struct doubts *doubts, const struct session *session, const struct conn *conn,
	const struct telemetry *t, int64_t date_ms, struct stats *stats, struct moment now);

#endif
