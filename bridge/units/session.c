// SPDX-License-Identifier: MIT
/* session: see session.h. What the units file says, who goes off line, what is still to be told. Who comes is in session_arrival.c,
 * what units say in session_input.c, where they are found in session_roster.c. */
#include "bridge/units/session_private.h"

#include "bridge/base/log.h"
#include "bridge/base/topic.h"

#include <stdlib.h>

#define STRANGERS_MOST 20000 /* off line and not trusted */
#define LINES_A_MINUTE 6     /* of strangers that come and go */
#define AT_ONCE 200          /* units in one go, of which is told what is due, or which are forgotten */

struct sessions *sessions_open(const struct config *config, size_t memory_most, struct stats *stats)
{
	struct sessions *s = calloc(1, sizeof(*s));
	if (s == NULL || (s->assembly = assembly_open(ASSEMBLY_BYTES)) == NULL) {
		free(s);
		return NULL;
	}
	s->config = config;
	s->memory_most = memory_most;
	s->stats = stats;
	s->session_bytes = sizeof(struct session);
	return s;
}

void sessions_use_cluster(struct sessions *s, const struct unit_listener *listener)
{
	s->cluster = events_bit(&s->events, listener);
}

bool sessions_listen(struct sessions *s, const struct unit_listener *listener)
{
	return events_listen(&s->events, listener);
}

size_t sessions_reserve(struct sessions *s, size_t bytes)
{
	size_t place = s->session_bytes;
	s->session_bytes += (bytes + 7) & ~(size_t)7;
	return place;
}

bool sessions_expect_units(const void *sessions)
{
	return units_any(((const struct sessions *)sessions)->units);
}

struct span session_ident(const struct sessions *s, struct span name)
{
	const struct unit_info *info = units_find_topic(s->units, name);
	if (info == NULL)
		return name;
	/* the section may have zeros in front that the unit's codec leaves out */
	struct span ident = span_text(info->ident), rest = span_text(unit_rest(info));
	return sessions_find(s, ident) == NULL && sessions_find(s, rest) != NULL ? rest : ident;
}

const char *session_topic(const struct session *session)
{
	return session->info != NULL && *session->info->topic ? session->info->topic : session->unit.ident;
}

const char *session_topic_of(const struct sessions *s, const char *ident)
{
	const struct unit_info *info = units_find(s->units, span_text(ident));
	return info != NULL && *info->topic ? info->topic : ident;
}

static void drop_old_name(struct sessions *s)
{
	struct old_name *o = s->old_names;
	LL_DELETE(s->old_names, o);
	free(o);
}

void sessions_free(struct sessions *s)
{
	struct session *session, *next;
	HASH_ITER(hh, s->by_ident, session, next)
		sessions_forget(s, session);
	while (s->old_names != NULL)
		drop_old_name(s);
	sessions_drop_reasons(s);
	assembly_free(s->assembly);
	free(s);
}

/* --- the units file --- */

void session_inform(struct sessions *s, struct session *session)
{
	session->info = units_find(s->units, span_text(session->unit.ident));
	session_use_options(s, session, session->codec);
}

void session_use_options(struct sessions *s, struct session *session, const struct codec *codec)
{
	const struct unit_info *info = session->info;
	const void *own = info != NULL && codec != NULL ? unit_options(info, codec) : NULL;
	bool general = own == NULL && codec != NULL;
	session->unit.options = general ? codec_settings_of(s->config->codecs, codec) : own;
}

/* It has another name in topics: the old ones are cleared, then the new ones are told. */
static void renamed(struct sessions *s, struct session *session, const char *before)
{
	struct old_name *o = calloc(1, sizeof(*o));
	if (o == NULL) {
		log_error("no memory to clear what is retained under %s", before);
		return;
	}
	snprintf(o->ident, sizeof(o->ident), "%s", session->unit.ident);
	snprintf(o->name, sizeof(o->name), "%s", before);
	LL_PREPEND(s->old_names, o);
	if (session->info != NULL)
		session_set_due(s, session, session->due | s->events.hears[EVENT_TELL]);
	else if (session->conn != NULL)
		session_set_due(s, session, session->due | s->events.presence);
	else
		session_set_due(s, session, 0);
}

/* The file has changed: what it says of this unit, and what follows. `again`: there was one before, in this run of the bridge. */
static void inform(struct sessions *s, struct session *session, bool again)
{
	char name[sizeof(session->info->topic)];
	bool before = session->info != NULL, told = session->trusted && (again || session->recalled);
	snprintf(name, sizeof(name), "%s", session->was != NULL ? session->was : session_topic(session));
	free(session->was);
	session->was = NULL;
	if (session->conn == NULL)
		sessions_come_back(s, session);
	session_inform(s, session);
	bool known = session->info != NULL;
	session->trusted |= known;
	if (known && !before && again) /* nothing may be retained of it yet */
		session_set_due(s, session, session->due | s->events.presence);
	s->trusted += session->trusted && !known;
	if (session->conn == NULL)
		sessions_go(s, session);
	else if (known != before)
		conn_unit_changes(session->conn, known);
	if (told && strcmp(name, session_topic(session)) != 0)
		renamed(s, session, name);
}

void sessions_close_strangers(struct sessions *s, const struct units *units)
{
	struct session *session, *next;
	HASH_ITER(hh, s->by_ident, session, next) {
		if (session->conn == NULL || units_find(units, span_text(session->unit.ident)) != NULL)
			continue;
		if (sessions_take_line(s, session, false))
			log_notice("unit %s is no longer admitted", session->unit.ident);
		conn_close(session->conn, "no longer admitted");
	}
}

void sessions_use_units(struct sessions *s, const struct units *units, bool reject_unknown)
{
	struct session *session, *next;
	bool again = s->units != NULL;
	s->units = units;
	s->reject_unknown = reject_unknown;
	s->trusted = 0;
	HASH_ITER(hh, s->by_ident, session, next)
		inform(s, session, again);
	sessions_sort_gone(s);
}

/* --- on line, off line --- */

void session_leave_conn(struct session *session)
{
	struct conn *conn = session->conn;
	struct talk *talk = conn_owner(conn);
	LL_DELETE2(talk->sessions, session, next_here);
	conn_unit_left(conn, session->info != NULL);
	if (talk->stream.link.unit == &session->unit)
		talk->stream.link.unit = NULL;
	session->conn = NULL;
}

bool sessions_take_line(struct sessions *s, const struct session *session, bool online)
{
	return session->trusted || log_limit_take(&s->lines[online], LINES_A_MINUTE, s->now.steady_ms);
}

/* Of strangers only some at once: what others have to say must not wait until it was told of all that come or go in one moment.
 * The rest has it due, and goes when the broker has taken what waits. */
void sessions_tell_presence(struct sessions *s, struct session *session)
{
	unsigned presence = s->events.presence;
	int64_t now = s->now.steady_ms;
	if (session->elsewhere && session->conn == NULL)
		presence &= s->cluster;
	bool waits = !session->trusted && bucket_empty(&s->told, AT_ONCE, BUCKET_SECOND, now);
	if (!session->trusted && !waits)
		bucket_spend(&s->told, 1, BUCKET_SECOND, now);
	unsigned untold = waits ? presence : events_tell(&s->events, presence, session, s->now);
	session_set_due(s, session, (session->due & ~presence) | untold);
}

static void now_offline(struct sessions *s, struct session *session, const char *reason, const char *peer)
{
	if (sessions_take_line(s, session, false))
		log_info("unit %s off line: %s (%s)", session->unit.ident, reason, peer);
	stats_set(s->stats, STAT_UNITS, --s->online);
	session->since_ms = s->now.unix_ms;
	session->reason = reason;
	sessions_go(s, session);
	sessions_tell_presence(s, session);
	events_offline(&s->events, session, reason, s->now);
	if (s->gone[GONE_STRANGERS].count > STRANGERS_MOST)
		sessions_forget(s, s->gone[GONE_STRANGERS].head);
}

void session_conn_ended(
	void *sessions, struct conn *conn, const char *reason, struct span rest, struct moment now)
{
	struct sessions *s = sessions;
	struct talk *talk = conn_owner(conn);
	char peer[CONN_PEER_MAX];
	conn_peer(conn, peer);
	s->now = now;
	if (talk->stream.codec == NULL && rest.len > 0) {
		stats_add(s->stats, STAT_UNKNOWN, 1);
		if (!talk->named)
			events_unknown(&s->events, conn, &(struct stranger){.head = rest}, now);
	}
	while (talk->sessions != NULL) {
		struct session *session = talk->sessions;
		session_leave_conn(session);
		now_offline(s, session, reason, peer);
	}
}

void session_depart(struct sessions *s, struct session *session, const char *reason, struct moment now)
{
	struct conn *conn = session->conn;
	char peer[CONN_PEER_MAX];
	if (conn == NULL)
		return;
	const struct talk *talk = conn_owner(conn);
	if (talk->sessions == session && session->next_here == NULL) {
		conn_close(conn, reason);
		return;
	}
	s->now = now;
	conn_peer(conn, peer);
	session_leave_conn(session);
	conn_forget(conn, session);
	now_offline(s, session, reason, peer);
}

bool session_has_datagrams(const struct session *session)
{
	return session->conn != NULL && conn_is_udp(session->conn);
}

/* --- time passes --- */

static void tell_untold(struct sessions *s, struct moment now)
{
	uint64_t went = log_limit_rest(&s->lines[false], now.steady_ms);
	uint64_t came = log_limit_rest(&s->lines[true], now.steady_ms);
	if (went + came > 0)
		log_info("of units that are new here, %llu more came on line and %llu more went off line in "
			 "the last minute",
			(unsigned long long)came, (unsigned long long)went);
}

/* Messages in several frames of which the rest did not come. */
static void tidy_parts(struct sessions *s, struct moment now)
{
	unsigned incomplete = assembly_tidy(s->assembly, now.steady_ms);
	s->stats->rejected[CODEC_FRAGMENT] += incomplete;
	s->incomplete += incomplete;
	if (s->incomplete == 0 || !log_limit_take(&s->incomplete_lines, 1, now.steady_ms))
		return;
	log_info("messages in several frames that stayed incomplete and were not acknowledged: %u",
		s->incomplete);
	s->incomplete = 0;
}

/* Over the unit's own connection, if that is over TCP and the parts came from its address: nobody else makes the bridge send something. */
static bool ask_parts(
	void *sessions, const char *ident, const uint8_t *address, const struct codec_parts *missing)
{
	struct sessions *s = sessions;
	struct session *session = session_find(s, span_text(ident));
	uint8_t frame[2 * 2 * ASSEMBLY_PARTS_MAX + 100];
	struct writer out = writer_of(frame, sizeof(frame));
	if (session == NULL || session->codec->ask_parts == NULL || conn_is_udp(session->conn) ||
		memcmp(conn_account(session->conn)->key, address, 16) != 0)
		return false;
	struct codec_link link = {.now_ms = s->now.unix_ms, .unit = &session->unit};
	session->codec->ask_parts(&link, missing, &out);
	if (out.full || !conn_command(session->conn, session, writer_span(&out), NULL, NULL, 0))
		return false;
	events_frame(&s->events, session, false, writer_span(&out), NULL, s->now);
	return true;
}

void sessions_tick(struct sessions *s, struct moment now)
{
	struct session *session;
	s->now = now;
	tell_untold(s, now);
	tidy_parts(s, now);
	assembly_ask_late(s->assembly, ask_parts, s, now.steady_ms);
	sessions_expect_no_more(s, now);
	for (unsigned n = 0; n < AT_ONCE && (session = sessions_outdated(s, now)) != NULL; n++) {
		bool tells = !session->elsewhere;
		if (tells && (!events_room(&s->events) || !events_forgotten(&s->events, session, now)))
			return; /* later */
		sessions_forget(s, session);
	}
}

bool sessions_forget_unit(struct sessions *s, struct span ident, struct moment now)
{
	struct session *session = sessions_find(s, ident);
	if (!events_room(&s->events))
		return false;
	if (session == NULL && (session = sessions_add(s, ident)) != NULL)
		session_inform(s, session);
	if (session == NULL || !events_forgotten(&s->events, session, now))
		return false;
	if (session->conn != NULL)
		session_set_due(s, session, session->due | s->events.presence);
	else
		sessions_forget(s, session);
	return true;
}

/* --- what is to be told --- */

void session_tell_later(struct sessions *s, struct session *session, const struct unit_listener *listener)
{
	session_set_due(s, session, session->due | events_bit(&s->events, listener));
}

static bool catch_up(struct sessions *s, struct session *session, struct moment now)
{
	session_set_due(s, session, events_tell(&s->events, session->due, session, now));
	return session->due == 0;
}

static bool may_tell(const struct sessions *s, bool last)
{
	return last || events_room(&s->events);
}

/* Clears what is retained under names that their units do not have any more. False: no room, or there are more. */
static bool clear_names(struct sessions *s, bool last, struct moment now)
{
	for (unsigned n = 0; s->old_names != NULL && (last || n < AT_ONCE); n++) {
		struct old_name *o = s->old_names;
		struct session *owner = sessions_find(s, session_ident(s, span_text(o->name)));
		if (owner != NULL && strcmp(session_topic(owner), o->name) != 0)
			owner = NULL;
		const char *ident = owner != NULL ? owner->unit.ident : o->ident;
		if (!may_tell(s, last) || !events_cleared(&s->events, ident, o->name, now))
			return false;
		if (owner != NULL && owner->trusted && (owner->conn != NULL || owner->info != NULL))
			session_set_due(s, owner, owner->due | s->events.presence);
		drop_old_name(s);
	}
	return s->old_names == NULL;
}

bool sessions_catch_up(struct sessions *s, bool last, struct moment now)
{
	unsigned left = AT_ONCE;
	if (!clear_names(s, last, now))
		return !last && events_room(&s->events);
	for (unsigned seen = 0; s->due > 0 && left > 0 && seen < 20 * AT_ONCE; seen++) {
		struct session *session = s->walk != NULL ? s->walk : s->by_ident;
		if (session->elsewhere)
			session_set_due(s, session, session->due & s->cluster);
		if (last && !session->trusted) /* of strangers nothing lasts */
			session_set_due(s, session, 0);
		bool due = session->due != 0;
		if (due && (!may_tell(s, last) || !catch_up(s, session, now)))
			return false; /* no room: another turn tries again */
		left -= due;
		s->walk = session->hh.next;
	}
	return s->due > 0;
}
