/* session: see session.h. All units, on line and remembered; who comes is in session_admission.c, what they say in
 * session_input.c. */
#include "bridge/units/session_private.h"

#include "bridge/base/log.h"
#include "bridge/base/topic.h"

#include <stdlib.h>

#define STRANGERS_MOST 20000 /* off line and not trusted */
#define LINES_A_MINUTE 6     /* of strangers that come and go */
#define AT_ONCE 200          /* units in one go, of which is told what is due, or which are forgotten */
#define CROWDED_MS                                                                                             \
	(24 * 3600 * 1000LL)         /* when all places are taken, who has been away for so long gives one up */
#define YEAR_2010_MS 1262304000000LL /* a clock that says less has not been set yet */

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
	return s;
}

void sessions_set_ops(struct sessions *s, const struct session_ops *ops)
{
	s->ops = *ops;
}

struct session *sessions_find(struct sessions *s, struct span ident)
{
	struct session *session = NULL;
	HASH_FIND(hh, s->by_ident, ident.ptr, (unsigned)ident.len, session);
	return session;
}

struct session *session_find(struct sessions *s, struct span ident)
{
	struct session *session = sessions_find(s, ident);
	return session != NULL && session->conn != NULL ? session : NULL;
}

void sessions_each(struct sessions *s, void (*each)(void *ctx, struct session *session), void *ctx)
{
	struct session *session, *next;
	HASH_ITER(hh, s->by_ident, session, next)
		each(ctx, session);
}

struct session *sessions_add(struct sessions *s, struct span ident)
{
	struct session *session = calloc(1, sizeof(*session));
	if (session == NULL)
		return NULL;
	memcpy(session->unit.ident, ident.ptr, ident.len);
	HASH_ADD(hh, s->by_ident, unit.ident, (unsigned)ident.len, session);
	return session;
}

bool sessions_admit(const struct sessions *s, const struct unit_info *info)
{
	return info != NULL || !s->reject_unknown;
}

bool sessions_expect_units(const struct sessions *s)
{
	return units_any(s->units);
}

struct span session_ident(const struct sessions *s, struct span name)
{
	const struct unit_info *info = units_find_topic(s->units, name);
	return info != NULL ? span_text(info->ident) : name;
}

const char *session_topic(const struct session *session)
{
	return session->info != NULL && *session->info->topic ? session->info->topic : session->unit.ident;
}

const struct codec *session_codec(struct sessions *s, struct span ident)
{
	struct session *session = sessions_find(s, ident);
	return session != NULL ? session->codec : NULL;
}

/* --- those that are gone --- */

/* NULL: in none. */
static struct gone_list *list_of(struct sessions *s, const struct session *session)
{
	if (session->info != NULL)
		return NULL;
	return &s->gone[session->trusted ? GONE_TRUSTED : GONE_STRANGERS];
}

static void join_gone(struct sessions *s, struct session *session)
{
	struct gone_list *list = list_of(s, session);
	if (list == NULL)
		return;
	DL_APPEND(list->head, session);
	list->count++;
}

void sessions_come_back(struct sessions *s, struct session *session)
{
	struct gone_list *list = list_of(s, session);
	if (list == NULL || session->prev == NULL)
		return;
	DL_DELETE(list->head, session);
	list->count--;
	session->prev = session->next = NULL;
}

static void forget(struct sessions *s, struct session *session)
{
	if (session->conn == NULL)
		sessions_come_back(s, session);
	if (s->walk == session)
		s->walk = session->hh.next;
	s->due -= session->due != 0;
	s->trusted -= session->trusted && session->info == NULL;
	HASH_DEL(s->by_ident, session);
	free(session);
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
		forget(s, session);
	while (s->old_names != NULL)
		drop_old_name(s);
	assembly_free(s->assembly);
	free(s);
}

static int by_age(const struct session *a, const struct session *b)
{
	return (a->since_ms > b->since_ms) - (a->since_ms < b->since_ms);
}

void sessions_remember(struct sessions *s, struct span ident, int64_t newest_ms, int64_t heard_ms)
{
	struct session *session =
		topic_ident_ok(ident) && sessions_find(s, ident) == NULL ? sessions_add(s, ident) : NULL;
	if (session == NULL)
		return;
	session->newest_ms = newest_ms;
	session->since_ms = heard_ms;
	session->reason = "not heard since the bridge has started";
	session->trusted = true;
	s->trusted++;
	join_gone(s, session);
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
		session_set_due(s, session, session->due | SESSION_DUE_STATUS | SESSION_DUE_DISCOVERY);
	else if (session->conn != NULL)
		session_set_due(s, session, session->due | SESSION_DUE_STATUS);
	else
		session_set_due(s, session, 0);
}

/* The file has changed: what it says of this unit, and what follows. `again`: there was one before. */
static void inform(struct sessions *s, struct session *session, bool again)
{
	char name[sizeof(session->info->topic)];
	bool before = session->info != NULL, told = again && session->trusted;
	snprintf(name, sizeof(name), "%s", session_topic(session));
	if (session->conn == NULL)
		sessions_come_back(s, session);
	session_inform(s, session);
	bool known = session->info != NULL;
	session->trusted |= known;
	if (known && !before && again) /* nothing may be retained of it yet */
		session_set_due(s, session, session->due | SESSION_DUE_STATUS);
	s->trusted += session->trusted && !known;
	if (session->conn == NULL)
		join_gone(s, session);
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
	for (size_t kind = 0; kind < GONE_KINDS; kind++)
		DL_SORT(s->gone[kind].head, by_age);
}

/* --- on line, off line --- */

void session_leave_conn(struct session *session)
{
	struct conn *conn = session->conn;
	LL_DELETE2(conn->sessions, session, next_here);
	conn_unit_left(conn, session->info != NULL);
	if (conn->stream.link.unit == &session->unit)
		conn->stream.link.unit = NULL;
	session->conn = NULL;
}

bool sessions_take_line(struct sessions *s, const struct session *session, bool online)
{
	return session->trusted || log_limit_take(&s->lines[online], LINES_A_MINUTE, s->now.steady_ms);
}

/* Of strangers only some at once: what others have to say must not wait until it was told of all that come or go in one moment.
 * The rest has it due, and goes when the broker has taken what waits. */
void sessions_tell_status(struct sessions *s, struct session *session)
{
	int64_t now = s->now.steady_ms;
	bool waits = !session->trusted && bucket_empty(&s->told, AT_ONCE, BUCKET_SECOND, now);
	if (!session->trusted && !waits)
		bucket_spend(&s->told, 1, BUCKET_SECOND, now);
	bool told = !waits && s->ops.status(s->ops.ctx, session, s->now);
	unsigned others = session->due & ~(unsigned)SESSION_DUE_STATUS;
	session_set_due(s, session, told ? others : others | SESSION_DUE_STATUS);
}

static void now_offline(struct sessions *s, struct session *session, const char *reason, const char *peer)
{
	if (sessions_take_line(s, session, false))
		log_info("unit %s off line: %s (%s)", session->unit.ident, reason, peer);
	stats_set(s->stats, STAT_UNITS, --s->online);
	session->since_ms = s->now.unix_ms;
	session->reason = reason;
	join_gone(s, session);
	sessions_tell_status(s, session);
	s->ops.offline(s->ops.ctx, session, reason, s->now);
	if (s->gone[GONE_STRANGERS].count > STRANGERS_MOST)
		forget(s, s->gone[GONE_STRANGERS].head);
}

void session_conn_ended(struct sessions *s, struct conn *conn, const char *reason, struct moment now)
{
	char peer[CONN_PEER_MAX];
	conn_peer(conn, peer);
	s->now = now;
	if (conn->stream.codec == NULL && conn->in_len > 0) {
		stats_add(s->stats, STAT_UNKNOWN, 1);
		s->ops.unknown(s->ops.ctx, conn, span_of(conn->in, conn->in_len), now);
	}
	while (conn->sessions != NULL) {
		struct session *session = conn->sessions;
		session_leave_conn(session);
		now_offline(s, session, reason, peer);
	}
}

/* --- time passes --- */

static size_t memory_most(const struct sessions *s)
{
	size_t wanted = (size_t)s->config->units.remembered;
	return wanted < s->memory_most ? wanted : s->memory_most;
}

bool sessions_remember_more(const struct sessions *s)
{
	return s->trusted < memory_most(s);
}

/* The one that has been gone longest, if it is to go; NULL: none is. */
static struct session *outdated(struct sessions *s, struct moment now)
{
	struct session *oldest = s->gone[GONE_TRUSTED].head;
	if (oldest == NULL)
		return NULL;
	if (oldest->since_ms < YEAR_2010_MS || oldest->since_ms > now.unix_ms)
		oldest->since_ms = now.unix_ms; /* one of the two clocks was wrong: it counts from now */
	int64_t away = now.unix_ms - oldest->since_ms;
	size_t most = memory_most(s);
	bool go = away > s->config->units.remember || s->trusted > most ||
		  (s->trusted == most && away > CROWDED_MS);
	return go ? oldest : NULL;
}

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

void sessions_tick(struct sessions *s, struct moment now)
{
	struct session *session;
	tell_untold(s, now);
	tidy_parts(s, now);
	for (unsigned n = 0; n < AT_ONCE && (session = outdated(s, now)) != NULL; n++) {
		if (!s->ops.room(s->ops.ctx) || !s->ops.forgotten(s->ops.ctx, session, now))
			return; /* later */
		forget(s, session);
	}
}

/* --- what is to be told --- */

void session_set_due(struct sessions *s, struct session *session, unsigned due)
{
	s->due += session->due == 0 && due != 0;
	s->due -= session->due != 0 && due == 0;
	session->due = (uint8_t)due;
}

void sessions_tell_again(struct sessions *s, unsigned due)
{
	struct session *session, *next;
	HASH_ITER(hh, s->by_ident, session, next)
		if (session->trusted && (session->conn != NULL || session->info != NULL))
			session_set_due(s, session, session->due | due);
}

static bool catch_up(struct sessions *s, struct session *session, struct moment now)
{
	if ((session->due & SESSION_DUE_STATUS) && !s->ops.status(s->ops.ctx, session, now))
		return false;
	session_set_due(s, session, session->due & ~(unsigned)SESSION_DUE_STATUS);
	if ((session->due & SESSION_DUE_DISCOVERY) && !s->ops.discovery(s->ops.ctx, session, now))
		return false;
	session_set_due(s, session, 0);
	return true;
}

static bool may_tell(struct sessions *s, bool last)
{
	return last || s->ops.room(s->ops.ctx);
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
		if (!may_tell(s, last) || !s->ops.cleared(s->ops.ctx, ident, o->name, now))
			return false;
		if (owner != NULL && owner->trusted && (owner->conn != NULL || owner->info != NULL))
			session_set_due(s, owner, owner->due | SESSION_DUE_STATUS);
		drop_old_name(s);
	}
	return s->old_names == NULL;
}

bool sessions_catch_up(struct sessions *s, bool last, struct moment now)
{
	unsigned left = AT_ONCE;
	if (!clear_names(s, last, now))
		return !last && s->ops.room(s->ops.ctx);
	for (unsigned seen = 0; s->due > 0 && left > 0 && seen < 20 * AT_ONCE; seen++) {
		struct session *session = s->walk != NULL ? s->walk : s->by_ident;
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
