// SPDX-License-Identifier: MIT
/* cluster_notes: what is known of a unit moves with it: its newest date, its alarms, its state.
 * Uses: bridge/base.
 * Not: know what stands in a note.
 *
 * The bridge that has a unit writes its note into the registry: when an alarm of the unit begins or ends, when the unit goes, and while it reports: soon after it
 * has come, then once a minute, but once in some dozens of its records or ten minutes; where many report, more seldom. Who claims the unit gets the note with the answer. Who loses a unit sends a last note after it. */
#include "bridge/cluster/cluster_private.h"

#include "bridge/base/note.h"
#include "bridge/base/topic.h"

#include <stdlib.h>

#define NOTE_FIRST_MS 1000 /* so long after the unit has come, then twice as long, and so on … */
#define NOTE_DOUBLED 6     /* … so often */
/* A note costs as much as half a record: with so many of them it does not count; but it is not older than this, while the unit reports. */
#define NOTE_RECORDS 32
#define NOTE_MOST_MS (10 * 60 * 1000)
#define ALARMS_AT_ONCE 50 /* notes in a tick, beside those */
#define LATE_MS 500       /* the note that a bridge sends after a unit comes by then, or not at all */
#define DATES_MS 1000
#define AT_ONCE 25 /* in a tick */
#define BUSY 500   /* calls under way: notes wait */
#define PROMPT_MS 50

/* --- written --- */

static bool write_note(struct cluster *c, struct session *session)
{
	char claim[24], newest[24];
	struct unit_claim *u = claim_of(c, session);
	struct writer w = writer_of(c->note, sizeof(c->note));
	sessions_save(c->parts.sessions, session, &w, cluster_now(c));
	const struct span argv[] = {span_text(session->unit.ident), span_text(c->me),
		cluster_number(u->number, claim),
		cluster_number(publish_newest_ms(c->parts.publish, session), newest), writer_span(&w)};
	if (w.full)
		return true; /* never */
	if (!cluster_call(c, SCRIPT_NOTE, 5, argv, NULL, 0, ""))
		return false;
	u->noted_ms = cluster_now(c).steady_ms;
	return true;
}

static void write_later(struct cluster *c, const char *ident)
{
	bool fresh;
	todo_of(&c->notes, ident, &fresh); /* without memory the next change tries it */
}

void notes_send(struct cluster *c, struct session *session)
{
	if (c->joined)
		write_note(c, session);
}

void notes_write(struct cluster *c, struct session *session)
{
	if (!session->trusted)
		return;
	if (!c->joined || registry_pending(c->registry) > BUSY || !write_note(c, session))
		write_later(c, session->unit.ident);
}

/* Newest dates change with every record: they go together, once in a second. */
static void dates_tick(struct cluster *c, int64_t now_ms)
{
	struct writer w = writer_of(c->note, sizeof(c->note));
	if (!c->joined || now_ms - c->dates_ms < DATES_MS || registry_pending(c->registry) > BUSY)
		return;
	c->dates_ms = now_ms;
	while (c->dated > 0 && w.len + 100 < sizeof(c->note)) {
		const char *ident = c->dates[--c->dated];
		struct session *session = session_known(c->parts.sessions, span_text(ident));
		int64_t newest_ms = session != NULL ? publish_newest_ms(c->parts.publish, session) : 0;
		if (session != NULL)
			claim_of(c, session)->dated = false;
		if (newest_ms <= 0)
			continue;
		writer_text(&w, ident);
		writer_text(&w, " ");
		writer_decimal(&w, (uint64_t)newest_ms, 1);
		writer_text(&w, " ");
	}
	const struct span argv[] = {span_text(c->me), writer_span(&w)};
	if (w.len > 0)
		cluster_call(c, SCRIPT_DATES, 2, argv, NULL, 0, "");
	c->dates_ms = c->dated > 0 ? 0 : now_ms; /* the rest with the next tick */
}

static bool note_is_due(const struct unit_claim *u, int64_t now_ms)
{
	int64_t age_ms = now_ms - u->noted_ms;
	if (u->noted_ms == 0 || age_ms > NOTE_MOST_MS)
		return true;
	return age_ms > NOTE_FIRST_MS << u->notes && (u->notes < NOTE_DOUBLED || u->records >= NOTE_RECORDS);
}

static bool on_record(
	void *ctx, struct session *session, const struct conn *conn, struct telemetry *t, struct moment now)
{
	struct cluster *c = ctx;
	struct unit_claim *u = claim_of(c, session);
	(void)conn;
	(void)t;
	if (u->state != CLAIM_MINE || !session->trusted)
		return true;
	if (!u->dated && c->dated < DATES_MOST) {
		u->dated = true;
		memcpy(c->dates[c->dated++], session->unit.ident, sizeof(c->dates[0]));
	}
	u->records++;
	if (note_is_due(u, now.steady_ms)) {
		if (u->notes < NOTE_DOUBLED)
			u->notes++;
		u->noted_ms = now.steady_ms;
		u->records = 0;
		write_later(c, session->unit.ident); /* with this record */
	}
	return true;
}

static void alarms_changed(void *ctx, struct session *session)
{
	struct cluster *c = ctx;
	struct unit_claim *u = claim_of(c, session);
	if (u->state != CLAIM_MINE || !session->trusted)
		return;
	if (c->alarm_notes++ < ALARMS_AT_ONCE)
		notes_write(c, session);
	else
		write_later(c, session->unit.ident);
}

/* --- read --- */

static bool asks(void *ctx, const struct session *session)
{
	const struct unit_claim *u = claim_of(ctx, (struct session *)(uintptr_t)session);
	return u->unsettled || u->state == CLAIM_RELEASING;
}

void notes_ask(struct cluster *c, struct unit_claim *u)
{
	if (!u->unsettled || u->fresh)
		return;
	u->fresh = true;
	if (c->fresh++ == 0)
		c->fresh_ms = clock_steady_ms();
}

void notes_asked(struct cluster *c, struct unit_claim *u)
{
	c->fresh -= u->fresh;
	u->fresh = false;
}

bool notes_pause(void *ctx)
{
	const struct cluster *c = ctx;
	return c->fresh > 0 && clock_steady_ms() - c->fresh_ms < PROMPT_MS;
}

static void join(struct cluster *c, struct session *session, struct span note, int64_t newest_ms)
{
	struct moment now = cluster_now(c);
	bool ok = note.len > 0 && sessions_join(c->parts.sessions, session, note, now);
	int64_t most = now.unix_ms; /* what is dated ahead counts as of now */
	newest_ms = newest_ms < most ? newest_ms : most;
	if (ok && newest_ms > publish_newest_ms(c->parts.publish, session))
		publish_note_newest(c->parts.publish, session, newest_ms);
}

void notes_learn(struct cluster *c, struct session *session, bool stale, struct span note, int64_t newest_ms)
{
	if (claim_of(c, session)->unsettled)
		records_learn(c->parts.records, session, stale, note);
	join(c, session, note, newest_ms);
}

void notes_settle(struct cluster *c, struct session *session)
{
	struct unit_claim *u = claim_of(c, session);
	notes_asked(c, u);
	if (!u->unsettled)
		return;
	u->unsettled = false;
	if (records_answer(c->parts.records, session, cluster_now(c)) && u->state == CLAIM_MINE)
		notes_write(c, session);
	if (session->conn == NULL)
		return;
	if (c->parts.state != NULL)
		session_tell_later(c->parts.sessions, session, state_listener(c->parts.state));
	if (c->parts.homeassistant != NULL)
		session_tell_later(c->parts.sessions, session, homeassistant_listener(c->parts.homeassistant));
}

void notes_wait(struct cluster *c, struct session *session)
{
	bool fresh;
	struct todo *t = todo_of(&c->late, session->unit.ident, &fresh);
	if (t != NULL)
		t->due_ms = cluster_now(c).steady_ms + LATE_MS;
	else
		notes_settle(c, session);
}

/* A note that does not come: its bridge stands still. */
static void wait_no_more(struct cluster *c, int64_t now_ms)
{
	struct todo *t, *next;
	HASH_ITER(hh, c->late, t, next) {
		struct session *session = session_known(c->parts.sessions, span_text(t->ident));
		if (session != NULL && claim_of(c, session)->unsettled && t->due_ms > now_ms)
			continue;
		if (session != NULL && claim_of(c, session)->state == CLAIM_MINE)
			notes_settle(c, session);
		todo_drop(&c->late, t);
	}
}

void notes_late(struct cluster *c, struct span ident, int64_t newest_ms, struct span note)
{
	struct session *session = topic_ident_ok(ident) ? session_known(c->parts.sessions, ident) : NULL;
	if (session == NULL || claim_of(c, session)->state == CLAIM_LOST)
		return;
	notes_learn(c, session, false, note, newest_ms);
	claim_of(c, session)->late =
		claim_of(c, session)->state == CLAIM_ASKED; /* it was faster than the answer */
	if (claim_of(c, session)->state == CLAIM_MINE)
		notes_settle(c, session);
	notes_write(c, session);
}

static void settle_alone(void *ctx, struct session *session)
{
	struct cluster *c = ctx;
	const struct unit_claim *u = claim_of(c, session);
	if (u->unsettled && u->state != CLAIM_MINE)
		notes_learn(c, session, u->lost, span_of(NULL, 0), 0);
	notes_settle(c, session);
}

void notes_settle_alone(struct cluster *c)
{
	sessions_each(c->parts.sessions, settle_alone, c);
}

static void on_offline(void *ctx, struct session *session, const char *reason, struct moment now)
{
	(void)reason;
	(void)now;
	settle_alone(ctx, session);
}

/* --- time passes --- */

void notes_tick(struct cluster *c)
{
	struct todo *t, *next;
	wait_no_more(c, cluster_now(c).steady_ms);
	dates_tick(c, cluster_now(c).steady_ms);
	c->alarm_notes = 0;
	unsigned left = c->stopping ? HASH_COUNT(c->notes) : AT_ONCE;
	HASH_ITER(hh, c->notes, t, next) {
		struct session *session = session_known(c->parts.sessions, span_text(t->ident));
		if (!c->joined || left-- == 0 || registry_pending(c->registry) > BUSY)
			return;
		if (session != NULL && session->trusted && claim_of(c, session)->state != CLAIM_LOST &&
			!write_note(c, session))
			return;
		todo_drop(&c->notes, t);
	}
}

/* --- tables: bridges of different versions name keys differently --- */

static void on_tables(void *ctx, const struct redisReply *reply, int64_t number, const char *subject)
{
	struct cluster *c = ctx;
	(void)number;
	(void)subject;
	c->tables_asked = false;
	if (reply == NULL || reply->type != REDIS_REPLY_ARRAY)
		return;
	c->tables = (int64_t)reply->elements;
	for (size_t i = 0; i < reply->elements && i < TABLES_MOST; i++)
		state_learn_table(c->parts.state, registry_text(reply, i));
}

void notes_use_tables(struct cluster *c, int64_t count)
{
	uint8_t text[STATE_TABLE_MOST];
	char key[16];
	struct writer w = writer_of(text, sizeof(text));
	if (c->parts.state == NULL || c->tables_asked || (count > 0 && count == c->tables))
		return;
	snprintf(key, sizeof(key), "%08x", (unsigned)state_table(c->parts.state, &w));
	const struct span argv[] = {span_text(key), writer_span(&w)};
	c->tables_asked = !w.full && cluster_call(c, SCRIPT_TABLES, 2, argv, on_tables, 0, "");
}

/* --- */

bool notes_open(struct cluster *c)
{
	publish_use_cluster(c->parts.publish, asks, c);
	records_use_cluster(c->parts.records, alarms_changed, c);
	c->listener.record = on_record;
	c->listener.offline = on_offline;
	c->dates = calloc(DATES_MOST, sizeof(*c->dates));
	return c->dates != NULL;
}

void notes_free(struct cluster *c)
{
	free(c->dates);
	todo_free(&c->notes);
	todo_free(&c->late);
}
