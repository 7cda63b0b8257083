// SPDX-License-Identifier: MIT
/* dated: which date a record counts with, where the newest is sought.
 * Uses: codecs/record.
 * Not: change the record. */
#ifndef T2M_DATED_H
#define T2M_DATED_H

#include "codecs/record/telemetry.h"

/* Its date is the server's: it had no usable one of its own. */
static inline bool is_undated(const struct telemetry *t)
{
	return telemetry_has(t, TM_TIMESTAMP_VALID);
}

/* Unix time, of a complete record. One that is dated ahead counts as of now: a wrong clock must not hold back what follows. One
 * without a date counts as of now, too; but when it says that it was stored, it counts as older than all: 0. */
static inline int64_t date_of(const struct telemetry *t, int64_t now_ms)
{
	int64_t when = telemetry_number(t, TM_TIMESTAMP);
	if (is_undated(t))
		return telemetry_number(t, TM_BUFFERED) != 0 ? 0 : now_ms;
	return when < now_ms ? when : now_ms;
}

#endif
