/* state: see state.h. */
#include "bridge/outputs/state.h"

#include "bridge/outputs/dated.h"
#include "codecs/formats/known.h"

#include <stdlib.h>

#define AT_ONCE 200 /* units in one turn */

/* What is remembered of a unit. */
struct unit_state {
	uint8_t *known; /* see known.h; NULL: nothing */
	uint32_t known_len;
	bool waits;   /* it is in the queue: it was published less than an interval ago, or could not be */
	bool changed; /* since it was published */
};

/* Units whose next time is to come, the first first: the interval is the same for all. */
struct queue {
	struct entry {
		struct session *session; /* NULL: forgotten meanwhile */
		int64_t due_ms;          /* steady time */
	} * entry;
	size_t head, count, room;
};

struct state {
	const struct config *config;
	struct publish *publish;
	struct sessions *sessions;
	size_t place; /* in each session: struct unit_state */
	struct unit_listener listener;
	enum content content;
	struct telemetry_keys keys;
	struct known_table table;
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

/* --- the queue --- */

static bool queue_grow(struct queue *q)
{
	size_t room = q->room > 0 ? q->room * 2 : 64;
	struct entry *entry = malloc(room * sizeof(*entry));
	if (entry == NULL)
		return false;
	for (size_t i = 0; i < q->count; i++)
		entry[i] = q->entry[(q->head + i) % q->room];
	free(q->entry);
	*q = (struct queue){.entry = entry, .count = q->count, .room = room};
	return true;
}

static void wait(struct state *st, struct session *session, struct moment now)
{
	struct queue *q = &st->queue;
	struct unit_state *u = of(st, session);
	if (u->waits || (q->count == q->room && !queue_grow(q)))
		return; /* without memory, the next record of the unit tries again */
	u->waits = true;
	q->entry[(q->head + q->count++) % q->room] =
		(struct entry){session, now.steady_ms + st->config->publish.state_interval};
}

static void leave_queue(struct state *st, struct session *session)
{
	struct queue *q = &st->queue;
	for (size_t i = 0; i < q->count && of(st, session)->waits; i++) {
		struct entry *e = &q->entry[(q->head + i) % q->room];
		if (e->session != session)
			continue;
		e->session = NULL;
		of(st, session)->waits = false;
	}
}

/* --- publishing --- */

/* What the units file and the connection say of it now. */
static void complete(struct telemetry *t, const struct session *session)
{
	const struct unit_info *info = session->info;
	telemetry_set_text(t, TM_IDENT, span_text(session->unit.ident));
	telemetry_set_text(t, TM_STATUS, span_text(session_is_online(session) ? "online" : "offline"));
	telemetry_set(t, TM_STATUS_SINCE, session->since_ms);
	if (info != NULL && info->id >= 0)
		telemetry_set(t, TM_DEVICE_ID, info->id);
	if (info != NULL) {
		telemetry_set_text(t, TM_DEVICE_NAME, span_text(info->name));
		telemetry_set_text(t, TM_DEVICE_TYPE_ID, span_text(info->type));
	}
}

static bool put(struct state *st, struct session *session, struct moment now)
{
	struct topic topic = topic_unit(st->config->publish.prefix, session_topic(session), "state");
	struct writer w = publish_writer(st->publish);
	known_record(known_of(of(st, session)), &st->table, &st->all);
	complete(&st->all, session);
	telemetry_emit(&st->all, &st->keys, &w);
	struct outbox_message m = publish_message(st->publish, session->unit.ident, &topic, now.unix_ms);
	m.content = st->content;
	m.retain = true;
	return publish_put(st->publish, &m, &w, NULL, now);
}

/* Publishes it now, or when it may. */
static void put_in_time(struct state *st, struct session *session, struct moment now)
{
	struct unit_state *u = of(st, session);
	if (!session->trusted || u->known == NULL) /* it has not said anything yet */
		return;
	u->changed = u->waits || !st->gate || !put(st, session, now);
	wait(st, session, now);
}

void state_gate(struct state *st, bool open)
{
	st->gate = open;
}

int64_t state_turn(struct state *st, bool last, struct moment now)
{
	struct queue *q = &st->queue;
	for (unsigned n = 0; q->count > 0 && (last || n < AT_ONCE); n++) {
		struct entry *e = &q->entry[q->head];
		struct session *session = e->session;
		struct unit_state *u = session != NULL ? of(st, session) : NULL;
		bool changed = u != NULL && u->changed;
		if (!last && e->due_ms > now.steady_ms)
			return e->due_ms - now.steady_ms;
		if (changed && (!st->gate || !put(st, session, now)))
			return -1; /* no room: another turn tries again */
		q->head = (q->head + 1) % q->room;
		q->count--;
		if (u == NULL)
			continue;
		u->waits = u->changed = false;
		if (changed && !last)
			wait(st, session, now);
	}
	return q->count > 0 ? 0 : -1;
}

/* --- what units do --- */

static bool on_record(
	void *ctx, struct session *session, const struct conn *conn, struct telemetry *t, struct moment now)
{
	struct state *st = ctx;
	(void)conn;
	if (session->trusted && merge(st, of(st, session), t, now))
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

static bool on_forgotten(void *ctx, struct session *session, struct moment now)
{
	struct state *st = ctx;
	if (!on_cleared(ctx, session->unit.ident, session_topic(session), now))
		return false;
	leave_queue(st, session);
	forget(of(st, session));
	return true;
}

/* --- */

bool state_is_wanted(const struct config *config)
{
	return config->publish.state == PUBLISH_STATE_YES ||
	       (config->publish.state == PUBLISH_STATE_AUTO && config->homeassistant.discovery);
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
	st->content = config->publish.format == PUBLISH_JSON ? CONTENT_JSON : CONTENT_MSGPACK;
	telemetry_keys_make(&st->keys, st->content == CONTENT_JSON ? &emit_json : &emit_msgpack);
	known_table_own(&st->table);
	st->listener = (struct unit_listener){
		.ctx = st,
		.record = on_record,
		.tell = tell,
		.tells_presence = true,
		.forgotten = on_forgotten,
		.cleared = on_cleared,
	};
	return st;
}

static void free_known(void *ctx, struct session *session)
{
	forget(of(ctx, session));
}

void state_free(struct state *st)
{
	sessions_each(st->sessions, free_known, st);
	free(st->queue.entry);
	free(st);
}

const struct unit_listener *state_listener(struct state *st)
{
	return &st->listener;
}
