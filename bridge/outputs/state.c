// SPDX-License-Identifier: MIT
/* state: see state.h. */
#include "bridge/outputs/state.h"

#include "bridge/outputs/dated.h"
#include "bridge/outputs/queue.h"
#include "codecs/formats/known.h"

#include <stdio.h>
#include <stdlib.h>

#define AT_ONCE 200 /* units in one turn */
#define LETTER 'k'  /* of its part of a note */

/* What is remembered of a unit. */
struct unit_state {
	uint8_t *known; /* see known.h; NULL: nothing */
	uint32_t known_len;
	bool waits;   /* it is in the queue: it was published less than an interval ago, or could not be */
	bool changed; /* since it was published */
};

/* The table of an earlier version: units that it kept name their keys by it. */
struct old_table {
	struct old_table *next;
	struct known_table table;
};

struct state {
	const struct config *config;
	struct publish *publish;
	struct sessions *sessions;
	size_t place; /* in each session: struct unit_state */
	struct unit_listener listener, place_listener;
	struct known_table table;
	struct old_table *old_tables; /* until all units have been recalled, or of other bridges */
	bool table_kept;              /* this program's own */
	struct queue queue;
	bool gate;
	uint8_t work[KNOWN_WORK_BYTES];
	struct telemetry all; /* the state at hand, as a record */
};

static struct unit_state *of(const struct state *st, struct session *session)
{
	return session_memory(session, st->place);
}

/* --- what is known --- */

static struct span known_of(const struct unit_state *u)
{
	return span_of(u->known, u->known_len);
}

/* False: nothing has changed; perhaps there is no memory. */
static bool keep(struct unit_state *u, struct span known)
{
	if (known.len == 0)
		return false;
	uint8_t *bytes = known.len == u->known_len ? u->known : realloc(u->known, known.len);
	if (bytes == NULL)
		return false;
	struct writer w = writer_of(bytes, known.len);
	writer_span_put(&w, known);
	u->known = bytes;
	u->known_len = (uint32_t)known.len;
	return true;
}

static void forget(struct unit_state *u)
{
	free(u->known);
	u->known = NULL;
	u->known_len = 0;
}

static bool merge(struct state *st, struct unit_state *u, const struct telemetry *t, struct moment now)
{
	struct writer w = writer_of(st->work, sizeof(st->work));
	return keep(u, known_merge(known_of(u), &st->table, t, date_of(t, now.unix_ms), &w));
}

static void wait(struct state *st, struct session *session, struct moment now)
{
	struct unit_state *u = of(st, session);
	if (!u->waits) /* without memory, the next record of the unit tries again */
		u->waits = queue_put(&st->queue, session, now.steady_ms + st->config->publish.state_interval);
}

/* --- publishing --- */

/* What the units file and the connection say of it now. */
static void complete(struct telemetry *t, const struct session *session)
{
	telemetry_set_text(t, TM_IDENT, span_text(session->unit.ident));
	telemetry_set_text(t, TM_STATUS, span_text(session_is_online(session) ? "online" : "offline"));
	telemetry_set(t, TM_STATUS_SINCE, session->since_ms);
	unit_describe(session->info, t);
}

static bool put(struct state *st, struct session *session, struct moment now)
{
	struct topic topic = topic_unit(st->config->publish.prefix, session_topic(session), "state");
	known_record(known_of(of(st, session)), &st->table, &st->all);
	complete(&st->all, session);
	struct outbox_message m = publish_message(st->publish, session->unit.ident, &topic, now.unix_ms);
	struct writer w = publish_record(st->publish, &st->all, &m);
	m.retain = true;
	if (!publish_put(st->publish, &m, &w, NULL, now))
		return false;
	notebook_hurry(publish_notebook(st->publish), session); /* or a kill would take it back */
	return true;
}

/* Publishes it now, or when it may. */
static void put_in_time(struct state *st, struct session *session, struct moment now)
{
	struct unit_state *u = of(st, session);
	if (!session->trusted || u->known == NULL) /* it has not said anything yet */
		return;
	u->changed = u->waits || !st->gate || publish_is_asking(st->publish, session) || !put(st, session, now);
	wait(st, session, now);
}

void state_gate(struct state *st, bool open)
{
	st->gate = open;
}

int64_t state_turn(struct state *st, bool last, struct moment now)
{
	const struct queued *q = queue_first(&st->queue);
	for (unsigned n = 0; q != NULL && (last || n < AT_ONCE); n++, q = queue_first(&st->queue)) {
		struct session *session = q->session;
		struct unit_state *u = session != NULL ? of(st, session) : NULL;
		bool changed = u != NULL && u->changed;
		if (!last && q->due_ms > now.steady_ms)
			return q->due_ms - now.steady_ms;
		changed = changed && !session->elsewhere;
		bool later = changed && publish_is_asking(st->publish, session);
		if (changed && !later && (!st->gate || !put(st, session, now)))
			return -1; /* no room: another turn tries again */
		queue_drop_first(&st->queue);
		if (u == NULL)
			continue;
		u->waits = false;
		u->changed = later;
		if (changed && !last)
			wait(st, session, now);
	}
	return q != NULL ? 0 : -1;
}

/* --- what units do --- */

static bool on_record(
	void *ctx, struct session *session, const struct conn *conn, struct telemetry *t, struct moment now)
{
	struct state *st = ctx;
	(void)conn;
	if (!session->trusted || !merge(st, of(st, session), t, now))
		return true;
	notebook_change(publish_notebook(st->publish), session, false, now);
	put_in_time(st, session, now);
	return true;
}

static bool tell(void *ctx, struct session *session, struct moment now)
{
	put_in_time(ctx, session, now);
	return true; /* or it is in the queue */
}

static bool on_cleared(void *ctx, const char *ident, const char *name, struct moment now)
{
	return publish_clear(((struct state *)ctx)->publish, ident, name, "state", false, now);
}

static bool is_left(struct span part)
{
	return part.len > 0; /* of what is known, the state is published */
}

static bool clear_left(
	const struct config *config, struct publish *publish, const struct session *session, struct moment now)
{
	(void)config;
	return publish_clear(publish, session->unit.ident, session_topic(session), "state", false, now);
}

const struct leftover_kind state_leftover = {LETTER, is_left, clear_left};

static bool on_forgotten(void *ctx, struct session *session, struct moment now)
{
	struct state *st = ctx;
	if (!on_cleared(ctx, session->unit.ident, session_topic(session), now))
		return false;
	if (of(st, session)->waits)
		queue_leave(&st->queue, session);
	forget(of(st, session));
	of(st, session)->waits = of(st, session)->changed = false;
	return true;
}

/* --- the position, which a broker has lost --- */

static bool tell_place(void *ctx, struct session *session, struct moment now)
{
	struct state *st = ctx;
	struct telemetry *t = &st->all;
	int64_t newest_ms = publish_newest_ms(st->publish, session);
	/* one that is not from a fix may have been newer */
	if (!st->config->publish.retain || !session->trusted || newest_ms == 0 ||
		!known_place(known_of(of(st, session)), &st->table, t) ||
		telemetry_number(t, TM_TIMESTAMP) < newest_ms)
		return true;
	telemetry_set_text(t, TM_IDENT, span_text(session->unit.ident));
	if (session->codec != NULL)
		telemetry_set_text(t, TM_PROTOCOL_ID, span_text(session->codec->name));
	telemetry_set(t, TM_CHANNEL_ID, st->config->publish.channel_id);
	if (!telemetry_has(t, TM_SERVER_SEQNUM))
		telemetry_set(t, TM_SERVER_SEQNUM, (int64_t)publish_next_seqnum(st->publish));
	unit_describe(session->info, t);
	struct topic topic = topic_unit(st->config->publish.prefix, session_topic(session), "position");
	struct outbox_message m = publish_message(st->publish, session->unit.ident, &topic, now.unix_ms);
	struct writer w = publish_record(st->publish, t, &m);
	m.retain_if_newest = true;
	publish_retain(&m, session, newest_ms);
	return publish_put(st->publish, &m, &w, NULL, now);
}

static void tell_place_later(void *ctx, struct session *session)
{
	struct state *st = ctx;
	if (of(st, session)->known != NULL)
		session_tell_later(st->sessions, session, &st->place_listener);
}

void state_tell_places(struct state *st)
{
	sessions_each(st->sessions, tell_place_later, st);
}

/* --- kept --- */

#define TABLE_NAME "#table-"

static void save(void *ctx, struct session *session, struct writer *out)
{
	struct state *st = ctx;
	struct span known = known_of(of(st, session));
	if (known.len == 0)
		return;
	writer_u32(out, st->table.key);
	writer_span_put(out, known);
}

static const struct known_table *find_table(const struct state *st, uint32_t key)
{
	if (key == st->table.key)
		return &st->table;
	for (const struct old_table *o = st->old_tables; o != NULL; o = o->next)
		if (o->table.key == key)
			return &o->table;
	return NULL;
}

static void recall(void *ctx, struct session *session, struct span part)
{
	struct state *st = ctx;
	struct reader r = reader_of(part);
	const struct known_table *table = find_table(st, reader_u32(&r));
	struct span kept = reader_take(&r, reader_left(&r));
	struct writer w = writer_of(st->work, KNOWN_BYTES_MOST);
	if (table != NULL && known_load(kept, &st->table, table, &w))
		keep(of(st, session), writer_span(&w));
}

/* One group at a time, for each needs the room of all. */
static void join(void *ctx, struct session *session, struct span part, struct moment now)
{
	struct state *st = ctx;
	struct unit_state *u = of(st, session), here = *u;
	uint8_t ours[KNOWN_BYTES_MOST];
	struct span mine = span_of(ours, here.known_len);
	if (here.known_len > sizeof(ours) || !session->trusted)
		return;
	if (here.known_len > 0)
		memcpy(ours, here.known, here.known_len);
	recall(ctx, session, part);
	for (size_t at = 0; at < mine.len;) {
		struct writer w = writer_of(st->work, sizeof(st->work));
		keep(u, known_join(known_of(u), &st->table, mine, &at, &st->all, &w));
	}
	if (u->known_len == mine.len && memcmp(u->known, ours, mine.len) == 0)
		return;
	notebook_change(publish_notebook(st->publish), session, false, now);
	put_in_time(st, session, now);
}

uint32_t state_table(const struct state *st, struct writer *text)
{
	known_table_save(text);
	return st->table.key;
}

/* False: it is known already, or is none. `own`: it is this program's own. */
static bool learn_table(struct state *st, struct span text, bool *own)
{
	struct old_table *o = calloc(1, sizeof(*o));
	bool ok = o != NULL && known_table_load(&o->table, text);
	*own = ok && o->table.key == st->table.key;
	if (!ok || find_table(st, o->table.key) != NULL) {
		free(o);
		return false;
	}
	o->next = st->old_tables;
	st->old_tables = o;
	return true;
}

bool state_learn_table(struct state *st, struct span text)
{
	bool own;
	return learn_table(st, text, &own);
}

void state_recall_table(struct state *st, struct span name, struct span value)
{
	bool own;
	if (!span_is(span_part(name, 0, sizeof(TABLE_NAME) - 1), TABLE_NAME))
		return;
	learn_table(st, value, &own);
	st->table_kept |= own;
}

static void forget_tables(struct state *st)
{
	while (st->old_tables != NULL) {
		struct old_table *o = st->old_tables;
		st->old_tables = o->next;
		free(o);
	}
}

void state_recalled(struct state *st)
{
	char name[32];
	uint8_t text[STATE_TABLE_MOST];
	struct writer w = writer_of(text, sizeof(text));
	forget_tables(st);
	snprintf(name, sizeof(name), TABLE_NAME "%08x", (unsigned)st->table.key);
	known_table_save(&w);
	if (!st->table_kept)
		st->table_kept = notebook_keep(publish_notebook(st->publish), name, writer_span(&w));
}

/* --- */

bool state_is_wanted(const struct config *config)
{
	return config->publish.state == PUBLISH_STATE_YES ||
	       (config->publish.state == PUBLISH_STATE_AUTO &&
		       (config->homeassistant.discovery || config->web.listen.count > 0));
}

struct state *state_open(const struct config *config, struct publish *publish, struct sessions *sessions)
{
	struct state *st = calloc(1, sizeof(*st));
	if (st == NULL)
		return NULL;
	st->config = config;
	st->publish = publish;
	st->sessions = sessions;
	st->place = sessions_reserve(sessions, sizeof(struct unit_state));
	known_table_own(&st->table);
	st->listener = (struct unit_listener){
		.ctx = st,
		.record = on_record,
		.tell = tell,
		.tells_presence = true,
		.tells_again = true,
		.letter = LETTER,
		.save = save,
		.recall = recall,
		.join = join,
		.forgotten = on_forgotten,
		.cleared = on_cleared,
	};
	st->place_listener = (struct unit_listener){.ctx = st, .tell = tell_place};
	return st;
}

static void free_known(void *ctx, struct session *session)
{
	forget(of(ctx, session));
}

void state_free(struct state *st)
{
	sessions_each(st->sessions, free_known, st);
	forget_tables(st);
	queue_free(&st->queue);
	free(st);
}

const struct unit_listener *state_listener(struct state *st)
{
	return &st->listener;
}

const struct unit_listener *state_place_listener(struct state *st)
{
	return &st->place_listener;
}
