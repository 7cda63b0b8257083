// SPDX-License-Identifier: MIT
/* alarms: which alarms a record raises: those that what is known of the unit does not have, by date and not by arrival.
 * Uses: bridge/base, codecs/record.
 * Not: know units or topics.
 *
 * Reports come in two runs: those that are the newest when they come, and stored ones that are older. Each run raises an alarm once
 * while it lasts, and a stored report raises none that lasts now. */
#ifndef T2M_ALARMS_H
#define T2M_ALARMS_H

#include "codecs/record/telemetry.h"

/* What is known of a unit. All zero: nothing. */
struct alarms {
	uint64_t now[TM_WORDS];    /* booleans, as the newest records have them */
	uint64_t stored[TM_WORDS]; /* and as the last stored ones had them */
	int64_t newest_ms;         /* the date of the newest record that carries alarms */
	int64_t until_ms; /* the stored run ends with a record that is newer: what was known as it began */
};

/* Sets record->alarms to those that are new. True: there are some. */
bool alarms_raise(struct alarms *alarms, struct telemetry *record, int64_t date_ms);
/* What another bridge of the cluster knows of the unit, which had it before. `theirs_wins`: of equal dates, theirs is newer. */
void alarms_join(struct alarms *alarms, const struct alarms *theirs, bool theirs_wins);

/* Do both have the same alarms? Then there is nothing to keep. */
bool alarms_are_same(const struct alarms *a, const struct alarms *b);

/* What is kept, and what was kept. An alarm that the table does not have any more is passed over. */
void alarms_save(const struct alarms *alarms, struct writer *out);
void alarms_recall(struct alarms *alarms, struct reader *in);

#endif
