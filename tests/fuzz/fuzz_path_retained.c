// SPDX-License-Identifier: MIT
/* fuzz_path_retained: what the broker holds of units: the truth, and only of trusted ones; and who is trusted.
 * May use: session_private.h, for reading. */
#include "fuzz_path.h"

#include "bridge/peers/conn_private.h"
#include "bridge/units/session_private.h"

#include <stdlib.h>

#define TOPICS 1024
#define AT_ONCE 50           /* units are trusted from the first */
#define REPORTS 4            /* others after so many */
#define OVER_MS (120 * 1000) /* in such a time at least */

enum kind { KIND_STATUS = 0, KIND_POSITION, KIND_STATE, KIND_DISCOVERY };
enum said { SAID_NOTHING = 0, SAID_ONLINE, SAID_OFFLINE };

/* A retained topic. */
struct retained {
	char topic[160];
	enum kind kind;
	enum said said; /* of a position or a device: NOTHING or something */
	bool lost;      /* a later one found no room */
};

/* What was seen of a unit. */
struct unit_seen {
	char ident[CODEC_IDENT_MAX + 1];
	int64_t first_ms, taken_ms; /* its first record; its last takeover; steady, 0: none yet */
	unsigned records;
	bool trusted;
	UT_hash_handle hh;
};

static struct retained topics[TOPICS];
static size_t topic_count;
static struct unit_seen *units;
static unsigned inside; /* session_input is at work */

void retained_reset(void)
{
	struct unit_seen *u, *next;
	topic_count = 0;
	inside = 0;
	HASH_ITER(hh, units, u, next) {
		HASH_DEL(units, u);
		free(u);
	}
}

static struct unit_seen *seen_of(const char *ident)
{
	struct unit_seen *u = NULL;
	HASH_FIND_STR(units, ident, u);
	if (u != NULL)
		return u;
	u = calloc(1, sizeof(*u));
	if (u == NULL)
		abort();
	strcpy(u->ident, ident);
	HASH_ADD_STR(units, ident, u);
	return u;
}

/* --- who is trusted --- */

void check_unit(const struct session *session)
{
	const struct sessions *s = world.bridge.sessions;
	struct unit_seen *u = seen_of(session->unit.ident);
	int64_t now = clocks_steady_ms();
	bool known = session->info != NULL, first = s->trusted <= AT_ONCE;
	bool behaved = u->records >= REPORTS && now - u->first_ms >= OVER_MS;
	if (session->trusted && !u->trusted)
		must("trusted", known || first || behaved,
			"unit %s is trusted after %u records, beside %zu others", u->ident, u->records,
			s->trusted);
	u->trusted = session->trusted;
}

bool __real_events_record(const struct events *events, struct session *session, const struct conn *conn,
	struct telemetry *t, struct moment now);
bool __wrap_events_record(const struct events *events, struct session *session, const struct conn *conn,
	struct telemetry *t, struct moment now);
bool __wrap_events_record(const struct events *events, struct session *session, const struct conn *conn,
	struct telemetry *t, struct moment now)
{
	struct unit_seen *u = seen_of(session->unit.ident);
	bool taken = __real_events_record(events, session, conn, t, now);
	if (taken && u->records++ == 0)
		u->first_ms = now.steady_ms;
	return taken;
}

/* All that was known of the unit is gone. */
bool __real_events_forgotten(const struct events *events, struct session *session, struct moment now);
bool __wrap_events_forgotten(const struct events *events, struct session *session, struct moment now);
bool __wrap_events_forgotten(const struct events *events, struct session *session, struct moment now)
{
	struct unit_seen *u = seen_of(session->unit.ident);
	bool told = __real_events_forgotten(events, session, now);
	if (told) {
		u->taken_ms = u->first_ms = 0;
		u->records = 0;
		u->trusted = false;
	}
	return told;
}

/* --- who takes a unit over --- */

void __real_conn_forget(struct conn *conn, const void *whose);
void __wrap_conn_forget(struct conn *conn, const void *whose);
void __wrap_conn_forget(struct conn *conn, const void *whose)
{
	const struct conn *fresh = world.bridge.sessions->conn;
	int64_t now = clocks_steady_ms();
	const struct session *session = whose;
	if (!conn_is_going(conn)) {
		struct unit_seen *u = seen_of(session->unit.ident);
		bool connects = conn->udp && !fresh->udp;
		must("takeover-often", connects || u->taken_ms == 0 || now - u->taken_ms >= 1000,
			"unit %s is taken over %lld ms after the last time", u->ident,
			(long long)(now - u->taken_ms));
		must("takeover-udp", !fresh->udp || conn->udp || now - conn->idle.since_ms >= 300000,
			"a datagram takes unit %s from a connection that spoke %lld ms ago", u->ident,
			(long long)(now - conn->idle.since_ms));
		u->taken_ms = now;
	}
	__real_conn_forget(conn, whose);
}

/* --- nothing ends inside --- */

static struct conn_ops asked; /* the sessions' */

static size_t watch_input(void *ctx, struct conn *conn, struct span bytes, int32_t quiet_ms, struct moment now,
	enum input_end *end)
{
	inside++;
	size_t used = asked.input(ctx, conn, bytes, quiet_ms, now, end);
	inside--;
	must("input-used", used <= bytes.len, "%zu of %zu bytes are used up", used, bytes.len);
	return used;
}

static void watch_ended(void *ctx, struct conn *conn, const char *reason, struct span rest, struct moment now)
{
	must("ends-inside", inside == 0, "a connection ends while the input of another is worked on: %s",
		reason);
	must("ends-commands", conn->commands == NULL, "a connection ends before its commands: %s", reason);
	asked.ended(ctx, conn, reason, rest, now);
}

struct conns *__real_conns_open(struct ev_loop *loop, const struct config *config, const struct conn_ops *ops,
	struct sources *sources, struct stats *stats);
struct conns *__wrap_conns_open(struct ev_loop *loop, const struct config *config, const struct conn_ops *ops,
	struct sources *sources, struct stats *stats);
struct conns *__wrap_conns_open(struct ev_loop *loop, const struct config *config, const struct conn_ops *ops,
	struct sources *sources, struct stats *stats)
{
	struct conn_ops watched = *ops;
	asked = *ops;
	watched.input = watch_input;
	watched.ended = watch_ended;
	return __real_conns_open(loop, config, &watched, sources, stats);
}

/* --- what is put --- */

static bool has(struct span s, const char *text)
{
	return memmem(s.ptr, s.len, text, strlen(text)) != NULL;
}

static struct retained *retained_of(struct span topic, bool make)
{
	for (size_t i = 0; i < topic_count; i++)
		if (span_is(topic, topics[i].topic))
			return &topics[i];
	if (!make || topic_count == TOPICS || topic.len >= sizeof(topics[0].topic))
		return NULL;
	struct retained *r = &topics[topic_count++];
	memset(r, 0, sizeof(*r));
	memcpy(r->topic, topic.ptr, topic.len);
	return r;
}

/* Takes the text before and behind away; false: it is not there. */
static bool strip(struct span *s, const char *before, const char *behind)
{
	size_t b = strlen(before), e = strlen(behind);
	if (s->len < b + e || memcmp(s->ptr, before, b) != 0 || memcmp(s->ptr + s->len - e, behind, e) != 0)
		return false;
	*s = span_of(s->ptr + b, s->len - b - e);
	return true;
}

/* False: it is not of a unit. `name`: its own in this topic. */
static bool kind_of(struct span topic, enum kind *kind, struct span *name)
{
	*name = topic;
	*kind = KIND_STATUS;
	if (strip(name, "trackers/", "/status"))
		return true;
	*kind = KIND_POSITION;
	if (strip(name, "trackers/", "/position"))
		return true;
	*kind = KIND_STATE;
	if (strip(name, "trackers/", "/state"))
		return true;
	*kind = KIND_DISCOVERY;
	return strip(name, "homeassistant/device/tracker2mqtt_", "/config");
}

/* Whose topic this is now; NULL: nobody's. */
static const struct session *owner_of(enum kind kind, struct span name)
{
	const struct session *session, *next;
	HASH_ITER(hh, world.bridge.sessions->by_ident, session, next)
		if (span_is(name, kind == KIND_DISCOVERY ? session->unit.ident : session_topic(session)))
			return session;
	return NULL;
}

void check_retained(const struct outbox_message *m, bool taken)
{
	enum kind kind;
	struct span name;
	bool of_unit = kind_of(m->topic, &kind, &name);
	if (!m->retain)
		return;
	must("retained", of_unit, "%.*s is retained", (int)m->topic.len, (const char *)m->topic.ptr);
	const struct session *owner = owner_of(kind, name);
	must("retained-stranger", m->payload.len == 0 || (owner != NULL && owner->trusted),
		"%.*s is retained, and its unit is not trusted", (int)m->topic.len, (const char *)m->topic.ptr);
	must("retained-memory",
		m->payload.len == 0 || kind == KIND_DISCOVERY || kind == KIND_STATE || m->memory_key.len > 0,
		"%.*s is retained, and nothing will clear it", (int)m->topic.len, (const char *)m->topic.ptr);
	struct retained *r = retained_of(m->topic, true);
	if (r == NULL)
		return;
	r->kind = kind;
	r->lost = !taken;
	if (taken)
		r->said = m->payload.len == 0              ? SAID_NOTHING
			  : has(m->payload, "\"offline\"") ? SAID_OFFLINE
							   : SAID_ONLINE;
}

/* --- the truth --- */

/* Of a unit that has been here, or is in the units file. */
static void see_truth(const struct session *session, bool stopped)
{
	struct topic topic = topic_unit(world.bridge.config.publish.prefix, session_topic(session), "status");
	const struct retained *r = retained_of(span_of(topic.text, topic.len), false);
	enum said said = r != NULL ? r->said : SAID_NOTHING;
	if (stopped && r != NULL && r->lost)
		return; /* there was no room, and no later time */
	if (!session->trusted)
		must("retained-stranger", said == SAID_NOTHING, "%s: its unit is not trusted", topic.text);
	else if (session->conn != NULL)
		must("status", said == SAID_ONLINE, "%s: the unit is on line, and that is not said",
			topic.text);
	else
		must("status-stale", said == SAID_OFFLINE || (said == SAID_NOTHING && session->info == NULL),
			"%s: the unit is off line, and that is not said", topic.text);
}

void check_statuses(bool stopped)
{
	const struct session *session, *next;
	HASH_ITER(hh, world.bridge.sessions->by_ident, session, next)
		see_truth(session, stopped);
	for (size_t i = 0; i < topic_count; i++) {
		enum kind kind;
		struct span name;
		bool nothing = topics[i].said == SAID_NOTHING || (stopped && topics[i].lost);
		kind_of(span_text(topics[i].topic), &kind, &name);
		must("retained-left", nothing || owner_of(kind, name) != NULL,
			"%s is retained of a unit that is not known", topics[i].topic);
	}
}
