// SPDX-License-Identifier: MIT
/* records: see records.h. */
#include "bridge/outputs/records.h"

#include "bridge/outputs/alarms.h"
#include "bridge/outputs/asked.h"
#include "bridge/outputs/dated.h"
#include "bridge/outputs/doubts.h"
#include "bridge/base/note.h"

#include <stdlib.h>

#define ALARMS_LETTER 'a' /* of their part of a note */
#define DAY_MS (24 * 3600 * 1000LL)
#define FUTURE_MS DAY_MS /* a date further ahead than this is none */
#define GPS_WEEKS_MS                                                                                           \
	(1024 * 7 *                                                                                            \
		DAY_MS) /* nor one that is as old as this, for GPS counts weeks up to here and begins anew */
#define GPS_WEEKS_APART_MS (2 * DAY_MS) /* give or take these */

struct records {
	const struct config *config;
	struct publish *publish;
	struct stats *stats;
	struct sessions *sessions;
	size_t place;  /* in each session: struct alarms, what is known of the unit */
	size_t doubts; /* struct doubts */
	size_t waits;  /* in a cluster: struct asked_unit *, NULL: no alarm waits */
	struct asked asked;
	records_changed *changed; /* NULL: this bridge is alone */
	void *changed_ctx;
	struct unit_listener listener, alarm_listener;
	char peer[CONN_PEER_MAX]; /* of the record at hand, which points to it */
};

/* Can a unit have sent it now, or stored it and sent it later? Its clock may have been reset. */
static bool is_usable(int64_t date_ms, int64_t now_ms)
{
	int64_t weeks_ms = date_ms - (now_ms - GPS_WEEKS_MS);
	bool rolled_over = weeks_ms >= -GPS_WEEKS_APART_MS && weeks_ms <= GPS_WEEKS_APART_MS;
	return date_ms >= CLOCK_SET_MS && date_ms <= now_ms + FUTURE_MS && !rolled_over;
}

static void complete(struct records *r, const struct session *session, const struct conn *conn,
	struct telemetry *t, int64_t now_ms)
{
	conn_peer(conn, r->peer);
	telemetry_set_text(t, TM_PROTOCOL_ID, span_text(session->codec->name));
	telemetry_set_text(t, TM_PEER, span_text(r->peer));
	telemetry_set(t, TM_CHANNEL_ID, r->config->publish.channel_id);
	unit_describe(session->info, t);
	telemetry_set(t, TM_SERVER_TIMESTAMP, now_ms);
	telemetry_set(t, TM_SERVER_SEQNUM, (int64_t)publish_next_seqnum(r->publish));
	if (*r->config->cluster.registry)
		telemetry_set_text(t, TM_SERVER_INSTANCE, span_text(r->config->publish.instance));
	if (telemetry_has(t, TM_TIMESTAMP) && is_usable(telemetry_number(t, TM_TIMESTAMP), now_ms))
		return;
	telemetry_set(t, TM_TIMESTAMP, now_ms);
	telemetry_set(t, TM_TIMESTAMP_VALID, false);
}

/* Is this the unit's newest position? Without a date: not if it says that it is old. */
static bool is_newest(const struct telemetry *t, int64_t newest_ms)
{
	return is_undated(t) ? telemetry_number(t, TM_BUFFERED) == 0
			     : telemetry_number(t, TM_TIMESTAMP) >= newest_ms;
}

/* The time of the newest position, with this one. */
static int64_t newest_with(const struct telemetry *t, int64_t newest_ms, int64_t now_ms)
{
	int64_t date_ms = date_of(t, now_ms);
	return !is_undated(t) && date_ms > newest_ms ? date_ms : newest_ms;
}

/* `newest_ms` NULL: it is not retained. */
static bool put(struct records *r, const struct session *session, const struct conn *conn,
	const struct telemetry *t, const char *leaf, const int64_t *newest_ms, struct moment now)
{
	struct topic topic = topic_unit(r->config->publish.prefix, session_topic(session), leaf);
	struct outbox_message m = publish_message(r->publish, session->unit.ident, &topic, now.unix_ms);
	struct writer w = publish_record(r->publish, t, &m);
	m.retain_if_newest = newest_ms != NULL;
	if (newest_ms != NULL)
		publish_retain(&m, session, *newest_ms);
	return publish_put(r->publish, &m, &w, conn, now);
}

/* The newest is remembered over restarts, so that an old report never takes its place. */
static bool put_retained(struct records *r, struct session *session, const struct conn *conn,
	const struct telemetry *t, int64_t newest_ms, struct moment now)
{
	newest_ms = newest_with(t, newest_ms, now.unix_ms);
	if (!put(r, session, conn, t, "position", &newest_ms, now))
		return false;
	publish_note_newest(r->publish, session, newest_ms);
	return true;
}

static bool put_somewhere(struct records *r, struct session *session, const struct conn *conn,
	const struct telemetry *t, struct moment now)
{
	bool position = telemetry_has(t, TM_LATITUDE);
	int64_t newest_ms = publish_newest_ms(r->publish, session);
	if (position && r->config->publish.retain && session->trusted && is_newest(t, newest_ms))
		return put_retained(r, session, conn, t, newest_ms, now);
	return put(r, session, conn, t, position ? "position" : "telemetry", NULL, now);
}

static bool on_record(
	void *ctx, struct session *session, const struct conn *conn, struct telemetry *t, struct moment now)
{
	struct records *r = ctx;
	int64_t date_ms = telemetry_has(t, TM_TIMESTAMP) ? telemetry_number(t, TM_TIMESTAMP) : now.unix_ms;
	complete(r, session, conn, t, now.unix_ms);
	if (!put_somewhere(r, session, conn, t, now))
		return false;
	doubts_look(session_memory(session, r->doubts), session, conn, t, date_ms, r->stats, now);
	return true;
}

/* --- alarms of a unit that another bridge of the cluster may have raised --- */

static struct asked_unit **waits(const struct records *r, struct session *session)
{
	return session_memory(session, r->waits);
}

static bool ask(struct records *r, struct session *session, const struct conn *conn, struct telemetry *t,
	struct moment now)
{
	struct asked_unit **place = waits(r, session);
	if (*place == NULL && (*place = calloc(1, sizeof(**place))) == NULL)
		return false;
	if (!asked_record(&r->asked, *place, session, conn, t, now))
		return false;
	stats_add(r->stats, STAT_RECORDS, 1);
	return true;
}

/* `part`: of the note of another bridge. `theirs_wins`: see alarms_join. */
static void learn(struct records *r, struct session *session, struct span part, bool theirs_wins)
{
	struct alarms theirs;
	struct reader in = reader_of(part);
	alarms_recall(&theirs, &in);
	alarms_join(session_memory(session, r->place), &theirs, theirs_wins);
}

void records_learn(struct records *r, struct session *session, bool stale, struct span note)
{
	struct alarms *known = session_memory(session, r->place);
	if (stale)
		*known = (struct alarms){0};
	learn(r, session, note_part(note, ALARMS_LETTER), true);
}

bool records_answer(struct records *r, struct session *session, struct moment now)
{
	struct alarms *known = session_memory(session, r->place), before = *known;
	struct asked_unit **place = waits(r, session);
	if (*place != NULL)
		asked_answer(&r->asked, *place, known, now);
	free(*place);
	*place = NULL;
	bool changed = !alarms_are_same(known, &before);
	if (changed)
		notebook_change(publish_notebook(r->publish), session, true, now);
	return changed;
}

void records_turn(struct records *r, struct moment now)
{
	asked_turn(&r->asked, now);
}

void records_use_cluster(struct records *r, records_changed *changed, void *ctx)
{
	r->changed = changed;
	r->changed_ctx = ctx;
	r->waits = sessions_reserve(r->sessions, sizeof(struct asked_unit *));
}

/* The alarms of this record that are new. They count as raised once the record that raises them is stored. */
static bool on_alarm(
	void *ctx, struct session *session, const struct conn *conn, struct telemetry *t, struct moment now)
{
	struct records *r = ctx;
	struct alarms *known = session_memory(session, r->place), alarms = *known;
	if (r->changed != NULL && publish_is_asking(r->publish, session))
		return ask(r, session, conn, t, now);
	if (alarms_raise(&alarms, t, date_of(t, now.unix_ms))) {
		if (!put(r, session, conn, t, "alarm", NULL, now))
			return false;
		stats_add(r->stats, STAT_ALARMS, 1);
	}
	bool changed = !alarms_are_same(known, &alarms);
	*known = alarms;
	if (changed)
		notebook_change(publish_notebook(r->publish), session, true, now);
	if (changed && r->changed != NULL)
		r->changed(r->changed_ctx, session);
	stats_add(r->stats, STAT_RECORDS, 1);
	return true;
}

static void save_alarms(void *ctx, struct session *session, struct writer *out)
{
	alarms_save(session_memory(session, ((struct records *)ctx)->place), out);
}

/* The newest position is remembered with each record, the alarms when they change. */
static void recall_alarms(void *ctx, struct session *session, struct span part)
{
	struct records *r = ctx;
	struct alarms *known = session_memory(session, r->place);
	struct reader in = reader_of(part);
	alarms_recall(known, &in);
	int64_t newest_ms = publish_newest_ms(r->publish, session);
	if (known->newest_ms < newest_ms)
		known->newest_ms = newest_ms;
}

/* It knows of the unit what came later than what this bridge knows. */
static void join_alarms(void *ctx, struct session *session, struct span part, struct moment now)
{
	(void)now;
	learn(ctx, session, part, false);
}

static bool on_forgotten(void *ctx, struct session *session, struct moment now)
{
	struct records *r = ctx;
	if (!publish_clear(r->publish, session->unit.ident, session_topic(session), "position", false, now))
		return false;
	*(struct alarms *)session_memory(session, r->place) = (struct alarms){0};
	publish_note_newest(r->publish, session, 0);
	return true;
}

/* --- no longer retained --- */

static bool left_behind(const struct records *r, struct session *session)
{
	return !r->config->publish.retain && publish_newest_ms(r->publish, session) != 0;
}

/* With retain switched off, an old one would stay. */
static bool tell(void *ctx, struct session *session, struct moment now)
{
	struct records *r = ctx;
	if (!left_behind(r, session))
		return true;
	struct topic topic = topic_unit(r->config->publish.prefix, session_topic(session), "position");
	struct outbox_message m = publish_message(r->publish, session->unit.ident, &topic, now.unix_ms);
	publish_retain(&m, session, 0); /* once */
	if (!publish_put(r->publish, &m, NULL, NULL, now))
		return false;
	publish_note_newest(r->publish, session, 0);
	return true;
}

static void tell_later(void *ctx, struct session *session)
{
	struct records *r = ctx;
	if (left_behind(r, session))
		session_tell_later(r->sessions, session, &r->listener);
}

static void on_remembered(void *ctx, struct session *session, int64_t value)
{
	(void)value; /* publish has noted it */
	tell_later(ctx, session);
}

void records_reload(struct records *r)
{
	sessions_each(r->sessions, tell_later, r);
}

/* --- */

static bool on_cleared(void *ctx, const char *ident, const char *name, struct moment now)
{
	return publish_clear(((struct records *)ctx)->publish, ident, name, "position", false, now);
}

struct records *records_open(
	const struct config *config, struct publish *publish, struct sessions *sessions, struct stats *stats)
{
	struct records *r = calloc(1, sizeof(*r));
	if (r == NULL)
		return NULL;
	r->config = config;
	r->publish = publish;
	r->stats = stats;
	r->sessions = sessions;
	r->place = sessions_reserve(sessions, sizeof(struct alarms));
	r->doubts = sessions_reserve(sessions, sizeof(struct doubts));
	r->listener = (struct unit_listener){.ctx = r,
		.record = on_record,
		.tell = tell,
		.remembered = on_remembered,
		.forgotten = on_forgotten,
		.cleared = on_cleared};
	r->alarm_listener = (struct unit_listener){.ctx = r,
		.record = on_alarm,
		.letter = ALARMS_LETTER,
		.save = save_alarms,
		.recall = recall_alarms,
		.join = join_alarms};
	r->asked = (struct asked){.config = config, .publish = publish, .stats = stats};
	asked_restore(&r->asked);
	return r;
}

void records_free(struct records *r)
{
	asked_free(&r->asked);
	free(r);
}

const struct unit_listener *records_listener(struct records *r)
{
	return &r->listener;
}

const struct unit_listener *records_alarm_listener(struct records *r)
{
	return &r->alarm_listener;
}
