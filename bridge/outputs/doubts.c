// SPDX-License-Identifier: MIT
/* doubts: see doubts.h. */
#include "bridge/outputs/doubts.h"

#include "bridge/base/log.h"
#include "codecs/record/calendar.h"

#include <stdlib.h>

#define DAY_MS (24 * 3600 * 1000LL)
#define AGAIN_MS DAY_MS /* that the date is off is told again after so long */
#define WITHOUT 3       /* records without a position, after which that is told */

static void tell_date(struct doubts *d, const struct session *session, const struct conn *conn, int64_t date_ms,
	struct moment now)
{
	int64_t off = now.unix_ms - date_ms;
	struct calendar c = calendar_of(date_ms > 0 ? date_ms / 1000 : 0);
	if ((d->date_told_ms != 0 && now.steady_ms - d->date_told_ms < AGAIN_MS) || !conn_take_line(conn))
		return;
	d->date_told_ms = now.steady_ms;
	log_info("unit %s dates its records %04d-%02d-%02d %02d:%02d UTC, %.1f days %s: %s; see "
		 "records.misdated",
		session->unit.ident, c.year, c.month, c.day, c.hour, c.minute,
		(double)(off > 0 ? off : -off) / (double)DAY_MS, off > 0 ? "behind" : "ahead",
		off > 0 ? "its clock is wrong until it has a GPS fix, or it sends stored records without "
			  "saying so"
			: "its clock is wrong");
}

static void look_at_date(struct doubts *d, const struct session *session, const struct conn *conn,
	const struct telemetry *t, int64_t date_ms, struct stats *stats, struct moment now)
{
	bool live = telemetry_number(t, TM_BUFFERED) == 0;
	bool behind = live && now.unix_ms - date_ms > DAY_MS, ahead = date_ms - now.unix_ms > DAY_MS;
	if (!behind && !ahead)
		return;
	stats_add(stats, STAT_MISDATED, 1);
	tell_date(d, session, conn, date_ms, now);
}

/* Heartbeats and cells only: the unit is heard, and appears nowhere on a map. */
static void look_for_position(
	struct doubts *d, const struct session *session, const struct conn *conn, const struct telemetry *t)
{
	bool valid = !telemetry_has(t, TM_POSITION_VALID) || telemetry_number(t, TM_POSITION_VALID) != 0;
	d->found |= telemetry_has(t, TM_LATITUDE) && valid;
	if (d->found || (d->without < WITHOUT && ++d->without < WITHOUT) || !conn_take_line(conn))
		return;
	d->found = true;
	log_info("unit %s is heard, but its first %d records have no valid position: it has no GPS fix yet, or "
		 "sends "
		 "heartbeats only; what it sends is in its telemetry and position topics",
		session->unit.ident, WITHOUT);
}

void doubts_look(struct doubts *d, const struct session *session, const struct conn *conn,
	const struct telemetry *t, int64_t date_ms, struct stats *stats, struct moment now)
{
	look_at_date(d, session, conn, t, date_ms, stats, now);
	look_for_position(d, session, conn, t);
}
