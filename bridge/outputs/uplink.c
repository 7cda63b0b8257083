/* uplink: see uplink.h. */
#include "bridge/outputs/uplink.h"

#include "bridge/base/log.h"
#include "codecs/formats/owntracks.h"

#include <stdlib.h>

#define FUTURE_MS (24 * 3600 * 1000LL) /* a date further ahead than this is none */
#define ALONE_MS (10 * 60 * 1000LL)
#define RECORD_BYTES 4096 /* of messages that one record of a batch gives, at most */
#define UNKNOWN_EVERY_MS 1000
#define UNKNOWN_BYTES 64

struct uplink {
	const struct config *config;
	struct outbox *outbox;
	struct stats *stats;
	const struct emit_format *format;
	enum content content;
	int64_t unknown_from_ms; /* steady time */
	struct log_limit lost;
	uint64_t epoch;       /* of the accounts by address: a new one while little waits */
	uint8_t last_key[16]; /* of the address that put something in last */
	bool counting;        /* there was one */
	int64_t others_ms;    /* when another one had; steady time, 0: never */
	uint8_t payload[128 * 1024];
};

struct uplink *uplink_open(const struct config *config, struct outbox *outbox, struct stats *stats)
{
	struct uplink *u = calloc(1, sizeof(*u));
	if (u == NULL)
		return NULL;
	u->config = config;
	u->outbox = outbox;
	u->stats = stats;
	u->epoch = 1;
	u->content = config->publish.format == PUBLISH_JSON ? CONTENT_JSON : CONTENT_MSGPACK;
	u->format = u->content == CONTENT_JSON ? &emit_json : &emit_msgpack;
	return u;
}

void uplink_free(struct uplink *u)
{
	free(u);
}

bool uplink_room(void *ctx)
{
	return outbox_room(((struct uplink *)ctx)->outbox);
}

/* Records of one frame are stored all or not at all: else a unit would send it again, and its first ones would be stored again, for
 * ever. */
enum codec_room uplink_batch(void *ctx, size_t records)
{
	struct uplink *u = ctx;
	size_t bytes = records * RECORD_BYTES, most = (size_t)u->config->outbox.size / 2;
	if (bytes > most)
		return CODEC_ROOM_NEVER;
	return outbox_fits(u->outbox, bytes) ? CODEC_ROOM_YES : CODEC_ROOM_NOT_NOW;
}

/* --- what an address may fill --- */

static uint64_t stored_of(const struct uplink *u, const struct source *source)
{
	return source->stored_epoch == u->epoch ? source->stored : 0;
}

/* Has nobody else put anything in for a while? */
static bool is_alone(const struct uplink *u, const struct source *account)
{
	return memcmp(u->last_key, account->key, sizeof(u->last_key)) == 0 &&
	       (u->others_ms == 0 || clock_steady_ms() - u->others_ms > ALONE_MS);
}

/* All may fill three quarters. Of the rest, an address may have put in half as much as is free, unless it is alone: so a hundred
 * that want it all leave a place to the others. Units of the units file are exempt. */
bool uplink_share(void *ctx, const struct conn *conn)
{
	struct uplink *u = ctx;
	size_t size = (size_t)u->config->outbox.size, used = outbox_bytes(u->outbox);
	if (used < size / 4 * 3 || conn->known > 0)
		return true;
	const struct source *account = conn_account(conn);
	return stored_of(u, account) < (used < size ? (size - used) / 2 : 0) || is_alone(u, account);
}

static void count_stored(struct uplink *u, struct conn *conn, size_t before, int64_t now_ms)
{
	struct source *account = conn_account(conn);
	size_t now = outbox_bytes(u->outbox);
	if (memcmp(u->last_key, account->key, sizeof(u->last_key)) != 0) {
		u->others_ms = u->counting ? now_ms : 0;
		u->counting = true;
		memcpy(u->last_key, account->key, sizeof(u->last_key));
	}
	if (now < (size_t)u->config->outbox.size /
			  16) { /* little waits: whatever was put in has left, or nearly */
		u->epoch++;
		return;
	}
	account->stored = stored_of(u, account) + (now > before ? now - before : 0);
	account->stored_epoch = u->epoch;
}

/* --- messages --- */

static struct outbox_message message_of(const struct uplink *u, const struct topic *topic, const char *ident,
	struct span payload, int64_t now_ms)
{
	return (struct outbox_message){
		.topic = span_of(topic->text, topic->len),
		.payload = payload,
		.order = outbox_order(u->outbox, span_text(ident)),
		.put_ms = now_ms,
	};
}

static bool put(struct uplink *u, struct outbox_message *m, const struct writer *w)
{
	if (w->full && log_limit_take(&u->lost, 6, clock_steady_ms()))
		log_error("a message for %s is larger than %zu bytes and is lost", log_bytes(m->topic).text,
			sizeof(u->payload));
	if (w->full)
		return false;
	m->payload = writer_span(w);
	return outbox_put(u->outbox, m) != 0;
}

bool uplink_publish(struct uplink *u, const char *ident, const struct topic *topic, struct span payload,
	bool retain, int64_t now_ms)
{
	struct outbox_message m = message_of(u, topic, ident, payload, now_ms);
	m.retain = retain;
	return outbox_put(u->outbox, &m) != 0;
}

bool uplink_reply(struct uplink *u, const char *ident, const char *name, struct span json,
	struct span response_topic, struct span correlation, int64_t now_ms)
{
	struct topic topic = topic_unit(u->config->publish.prefix, name, "cmd/reply");
	struct outbox_message m = message_of(u, &topic, ident, json, now_ms);
	bool own = span_is(response_topic, topic.text); /* one message is enough */
	if (own)
		m.correlation = correlation;
	bool ok = outbox_put(u->outbox, &m) != 0;
	if (own || response_topic.len == 0)
		return ok;
	m.topic = response_topic;
	m.correlation = correlation;
	return outbox_put(u->outbox, &m) != 0 && ok;
}

/* --- records --- */

static void complete(
	struct uplink *u, const struct session *session, struct telemetry *t, const char *peer, int64_t now_ms)
{
	telemetry_set_text(t, TM_PROTOCOL_ID, span_text(session->codec->name));
	telemetry_set_text(t, TM_PEER, span_text(peer));
	telemetry_set(t, TM_CHANNEL_ID, u->config->publish.channel_id);
	const struct unit_info *info = session->info;
	if (info != NULL && info->id >= 0)
		telemetry_set(t, TM_DEVICE_ID, info->id);
	if (info != NULL) {
		telemetry_set_text(t, TM_DEVICE_NAME, span_text(info->name));
		telemetry_set_text(t, TM_DEVICE_TYPE_ID, span_text(info->type));
	}
	telemetry_set(t, TM_SERVER_TIMESTAMP, now_ms);
	telemetry_set(t, TM_SERVER_SEQNUM, (int64_t)outbox_next_seqnum(u->outbox));
	if (telemetry_has(t, TM_TIMESTAMP) && telemetry_number(t, TM_TIMESTAMP) <= now_ms + FUTURE_MS)
		return;
	telemetry_set(t, TM_TIMESTAMP, now_ms);
	telemetry_set(t, TM_TIMESTAMP_VALID, false);
}

/* Is this the unit's newest position? Remembered over restarts, so that an old report never takes its place. One that is dated ahead
 * is taken as of now: a wrong clock must not hold back what follows. */
static bool is_newest(struct session *session, const struct telemetry *t, int64_t now_ms)
{
	if (telemetry_has(t, TM_TIMESTAMP_VALID)) /* undated: not if it says that it is old */
		return telemetry_number(t, TM_BUFFERED) == 0;
	int64_t when = telemetry_number(t, TM_TIMESTAMP);
	if (when < session->newest_ms)
		return false;
	int64_t taken_as = when < now_ms ? when : now_ms;
	if (taken_as > session->newest_ms)
		session->newest_ms = taken_as;
	return true;
}

/* What is retained of a unit is remembered with its message, in one transaction: so it can be cleared when the unit is forgotten. */
static void remember(struct outbox_message *m, const struct session *session)
{
	m->retain = true;
	m->memory_key = span_text(session->unit.ident);
	m->memory_value = session->newest_ms;
}

static bool put_record(struct uplink *u, const struct session *session, const struct telemetry *t,
	const char *leaf, bool retain)
{
	struct topic topic = topic_unit(u->config->publish.prefix, session_topic(session), leaf);
	struct writer w = writer_of(u->payload, sizeof(u->payload));
	struct emitter e = emitter_of(u->format, &w);
	telemetry_emit(t, &e);
	struct outbox_message m = message_of(
		u, &topic, session->unit.ident, writer_span(&w), telemetry_number(t, TM_SERVER_TIMESTAMP));
	m.content = u->content;
	if (retain) {
		remember(&m, session);
		m.retain_if_newest = true;
	}
	return put(u, &m, &w);
}

/* trackers/{ident}/x with the unit's name in topics in place of {ident}. */
static struct topic fill_topic(const char *pattern, const char *name)
{
	static const char place[] = "{ident}";
	const char *at = strstr(pattern, place);
	struct topic t;
	struct writer w = writer_of(t.text, sizeof(t.text) - 1);
	writer_bytes(&w, pattern, at != NULL ? (size_t)(at - pattern) : strlen(pattern));
	if (at != NULL) {
		writer_text(&w, name);
		writer_text(&w, at + strlen(place));
	}
	t.text[w.len] = '\0';
	t.len = w.len;
	return t;
}

/* Beside our own form; never retained: the OwnTracks Recorder ignores what is. */
static bool put_owntracks(
	struct uplink *u, const struct session *session, const struct telemetry *t, int64_t now_ms)
{
	const char *name = session_topic(session);
	struct span tid = span_text(name);
	struct topic topic = fill_topic(u->config->owntracks.topic, name);
	struct writer w = writer_of(u->payload, sizeof(u->payload));
	struct emitter e = emitter_of(&emit_json, &w);
	owntracks_emit(t, tid.len > 2 ? span_after(tid, tid.len - 2) : tid, &e);
	struct outbox_message m = message_of(u, &topic, session->unit.ident, writer_span(&w), now_ms);
	return put(u, &m, &w);
}

/* The alarms of this record that are new. They count as raised once the record that raises them is stored. */
static bool put_alarm(struct uplink *u, struct session *session, struct telemetry *t)
{
	uint64_t alarms[TM_WORDS];
	memcpy(alarms, session->alarms, sizeof(alarms));
	if (telemetry_raise(t, alarms)) {
		if (!put_record(u, session, t, "alarm", false))
			return false;
		stats_add(u->stats, STAT_ALARMS, 1);
	}
	memcpy(session->alarms, alarms, sizeof(alarms));
	return true;
}

bool uplink_record(
	void *ctx, struct session *session, struct conn *conn, struct telemetry *t, struct moment now)
{
	struct uplink *u = ctx;
	char peer[CONN_PEER_MAX];
	size_t before = outbox_bytes(u->outbox);
	conn_peer(conn, peer);
	complete(u, session, t, peer, now.unix_ms);
	bool position = telemetry_has(t, TM_LATITUDE);
	bool retain =
		position && u->config->publish.retain && session->trusted && is_newest(session, t, now.unix_ms);
	if (!put_record(u, session, t, position ? "position" : "telemetry", retain))
		return false;
	if (*u->config->owntracks.topic && owntracks_can(t) && !put_owntracks(u, session, t, now.unix_ms))
		return false;
	if (!put_alarm(u, session, t))
		return false;
	stats_add(u->stats, STAT_RECORDS, 1);
	count_stored(u, conn, before, now.steady_ms);
	return true;
}

/* --- what is not a record --- */

bool uplink_status(void *ctx, struct session *session, struct moment now)
{
	struct uplink *u = ctx;
	char peer[CONN_PEER_MAX];
	bool online = session->conn != NULL;
	struct topic topic = topic_unit(u->config->publish.prefix, session_topic(session), "status");
	struct writer w = writer_of(u->payload, sizeof(u->payload));
	struct emitter e = emitter_of(&emit_json, &w);
	emit_map(&e, (online ? 6u : 5u) + (session->codec != NULL ? 1u : 0u));
	emit_pair_text(&e, "state", span_text(online ? "online" : "offline"));
	emit_key(&e, "since");
	emit_fixed(&e, session->since_ms, 3);
	emit_pair_text(&e, "instance", span_text(u->config->publish.instance));
	emit_pair_integer(&e, "session", (int64_t)session->number);
	if (session->codec != NULL)
		emit_pair_text(&e, "protocol", span_text(session->codec->name));
	if (online) {
		conn_peer(session->conn, peer);
		emit_pair_text(&e, "transport", span_text(conn_transport(session->conn)));
		emit_pair_text(&e, "peer", span_text(peer));
	} else {
		emit_pair_text(&e, "reason", span_text(session->reason != NULL ? session->reason : ""));
	}
	emit_end(&e);
	struct outbox_message m = message_of(u, &topic, session->unit.ident, writer_span(&w), now.unix_ms);
	if (session->trusted)
		remember(&m, session);
	return put(u, &m, &w);
}

/* Clears what is retained under this name. `memory_key`: the unit that is forgotten with it; empty: none is. */
static bool clear(
	struct uplink *u, const char *ident, const char *name, struct span memory_key, struct moment now)
{
	static const char *const leaves[] = {"position", "status"};
	for (size_t i = 0; i < 2; i++) {
		struct topic topic = topic_unit(u->config->publish.prefix, name, leaves[i]);
		struct outbox_message m = message_of(u, &topic, ident, span_of(NULL, 0), now.unix_ms);
		m.retain = true;
		m.memory_key = memory_key;
		m.memory_value = MESSAGE_FORGET;
		if (outbox_put(u->outbox, &m) == 0)
			return false;
	}
	return true;
}

bool uplink_forgotten(void *ctx, struct session *session, struct moment now)
{
	const char *ident = session->unit.ident;
	return clear(ctx, ident, session_topic(session), span_text(ident), now);
}

bool uplink_cleared(void *ctx, const char *ident, const char *name, struct moment now)
{
	return clear(ctx, ident, name, span_of(NULL, 0), now);
}

void uplink_frame(void *ctx, const struct session *session, bool in, struct span frame, const char *error)
{
	struct uplink *u = ctx;
	if (!u->config->publish.raw)
		return;
	const char *ident = session ? session->unit.ident : "unknown";
	const char *name = session ? session_topic(session) : ident;
	struct topic topic = topic_unit(u->config->publish.prefix, name, "raw");
	uint8_t hex[4608];
	struct writer h = writer_of(hex, sizeof(hex)), w = writer_of(u->payload, sizeof(u->payload));
	struct emitter e = emitter_of(&emit_json, &w);
	writer_hex(&h, frame);
	emit_map(&e, error ? 4 : 3);
	emit_pair_text(&e, "direction", span_text(in ? "in" : "out"));
	emit_pair_text(&e, "hex", writer_span(&h));
	emit_pair_text(&e, "text", frame);
	if (error != NULL)
		emit_pair_text(&e, "error", span_text(error));
	emit_end(&e);
	struct outbox_message m = message_of(u, &topic, ident, writer_span(&w), 0);
	put(u, &m, &w);
}

void uplink_unknown(void *ctx, const struct conn *conn, struct span head, struct moment now)
{
	struct uplink *u = ctx;
	char peer[CONN_PEER_MAX];
	if (now.steady_ms < u->unknown_from_ms)
		return;
	u->unknown_from_ms = now.steady_ms + UNKNOWN_EVERY_MS;
	conn_peer(conn, peer);
	if (head.len > UNKNOWN_BYTES)
		head.len = UNKNOWN_BYTES;
	log_notice("%s over %s speaks no known protocol: %s", peer, conn_transport(conn), log_bytes(head).text);
	if (!u->config->publish.unknown)
		return;
	struct topic topic = topic_bridge(u->config->publish.prefix, u->config->publish.instance, "unknown");
	uint8_t hex[2 * UNKNOWN_BYTES];
	struct writer h = writer_of(hex, sizeof(hex)), w = writer_of(u->payload, sizeof(u->payload));
	struct emitter e = emitter_of(&emit_json, &w);
	writer_hex(&h, head);
	emit_map(&e, 4);
	emit_pair_text(&e, "peer", span_text(peer));
	emit_pair_text(&e, "transport", span_text(conn_transport(conn)));
	emit_pair_text(&e, "hex", writer_span(&h));
	emit_pair_text(&e, "text", head);
	emit_end(&e);
	struct outbox_message m = message_of(u, &topic, "", writer_span(&w), now.unix_ms);
	put(u, &m, &w);
}
