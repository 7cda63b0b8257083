// SPDX-License-Identifier: MIT
/* session_admission: may this unit, this connection, this frame, now? Answers with the reason against it; session_arrival.c acts.
 * Uses: nothing else.
 * Not: change anything, look at frames.
 *
 * Two connections may name the same unit: the newer one gets it, but at most once a second whatever they speak, for one of them
 * may lie. A datagram, whose sender proves nothing, never gets a unit that has spoken over TCP within TCP_KEEPS_MS, and who connects
 * gets it from a UDP peer at any time. The record of the one that does not get it is taken and acknowledged all the same. */
#include "bridge/units/session_private.h"

#define TAKEOVER_EVERY_MS 1000
#define FLAPPING_MS 60000 /* taken over again by another address within this time */
#define TCP_KEEPS_MS (5 * 60 * 1000LL)

/* --- one more unit, one more frame --- */

/* An ident that is the name of another unit in topics would speak in that one's place. */
static bool is_name_of_another(const struct sessions *s, struct span ident)
{
	const struct unit_info *owner = units_find_topic(s->units, ident);
	if (owner == NULL || span_is(ident, owner->ident))
		return false;
	/* the section's ident itself is spoken for by another unit */
	return !unit_is(owner, ident) || sessions_find(s, span_text(owner->ident)) != NULL;
}

/* The number of units that were never given one: there may be several, and they would be one unit here. */
static bool is_nobody(struct span ident)
{
	return span_is(ident, "0");
}

enum counter session_admission(const struct sessions *s, struct span ident)
{
	bool stranger = units_find(s->units, ident) == NULL;
	if ((stranger && (s->reject_unknown || is_nobody(ident))) || is_name_of_another(s, ident))
		return STAT_REFUSED_NOT_ADMITTED;
	return conn_units(s->conn) >= s->config->limits.units_per_connection ? STAT_REFUSED_UNITS_PER_CONNECTION
									     : STAT_COUNT;
}

enum counter session_arrivals(const struct sessions *s)
{
	const struct config *c = s->config;
	int64_t now = s->now.steady_ms;
	bool udp = conn_is_udp(s->conn);
	const struct bucket *arrivals = &conn_source(s->conn)->side[udp].arrivals;
	if (bucket_empty(arrivals, c->limits.arrivals_per_address, BUCKET_SECOND, now))
		return STAT_REFUSED_ARRIVALS_PER_ADDRESS;
	if (udp && bucket_empty(&s->udp_arrivals, c->limits.udp_arrivals, BUCKET_SECOND, now))
		return STAT_REFUSED_UDP_ARRIVALS;
	return STAT_COUNT;
}

enum counter session_share(const struct sessions *s)
{
	const struct bucket *frames = &conn_source(s->conn)->side[conn_is_udp(s->conn)].frames;
	if (conn_is_known(s->conn))
		return STAT_COUNT;
	if (bucket_empty(frames, s->config->limits.frames_per_address, BUCKET_SECOND, s->now.steady_ms))
		return STAT_REFUSED_FRAMES_PER_ADDRESS;
	return events_share(&s->events, s->conn, s->now) ? STAT_COUNT : STAT_REFUSED_OUTBOX_SHARE;
}

struct why session_why_not(const struct sessions *s, struct span ident)
{
	struct why why;
	const char *file =
		*s->config->units.file ? s->config->units.file : "the units file ([units] file names none)";
	const struct unit_info *owner = units_find_topic(s->units, ident);
	if (owner != NULL)
		snprintf(why.text, sizeof(why.text),
			"has the name that unit %s has in topics: change one of them in %s", owner->ident,
			file);
	else if (is_nobody(ident))
		snprintf(why.text, sizeof(why.text),
			"was never given a number: set its ID by SMS, or add [0] to %s", file);
	else
		snprintf(why.text, sizeof(why.text), "is not in %s and [units] unknown = reject: add [%.*s]",
			file, (int)ident.len, (const char *)ident.ptr);
	return why;
}

/* --- two that name the same unit --- */

static bool is_within(int64_t since_ms, int64_t now_ms, int64_t ms)
{
	return since_ms > 0 && now_ms - since_ms < ms;
}

enum claim session_claim(const struct sessions *s, const struct session *session)
{
	const struct conn *old = session->conn;
	bool udp = conn_is_udp(s->conn), old_udp = conn_is_udp(old);
	if (conn_has_last_words(s->conn))
		return CLAIM_LAST_WORDS;
	if (old_udp && !udp) /* who connects proves more than any datagram */
		return CLAIM_TAKES_OVER;
	bool soon = is_within(session->taken_ms, s->now.steady_ms, TAKEOVER_EVERY_MS);
	bool keeps = udp && !old_udp && conn_spoke_within(old, TCP_KEEPS_MS);
	return soon || keeps ? CLAIM_TOO_SOON : CLAIM_TAKES_OVER;
}

bool session_is_flapping(const struct sessions *s, const struct session *session)
{
	return is_within(session->taken_ms, s->now.steady_ms, FLAPPING_MS) &&
	       conn_source(s->conn) != conn_source(session->conn);
}
