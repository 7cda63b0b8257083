/* uplink: see uplink.h. */
#include "uplink.h"

#include "log.h"
#include "owntracks.h"

#include <stdlib.h>

#define FUTURE_MS (24 * 3600 * 1000LL) /* a date further ahead than this is none */
#define UNKNOWN_EVERY_MS 1000
#define UNKNOWN_BYTES 64

struct uplink {
	const struct config *config;
	struct outbox *outbox;
	struct stats *stats;
	const struct emit_format *format;
	enum content content;
	int64_t unknown_from_ms;
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
	u->content = config->publish.format == 0 ? CONTENT_JSON : CONTENT_MSGPACK;
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
	if (w->full) {
		log_error("a message for %s is larger than %zu bytes and is lost", log_bytes(m->topic).text,
			sizeof(u->payload));
		return false;
	}
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
	bool ok = outbox_put(u->outbox, &m) != 0;
	if (response_topic.len == 0)
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

/* Is this the unit's newest position? Remembered over restarts, so that an old report never takes its place. */
static bool is_newest(struct uplink *u, struct session *session, const struct telemetry *t)
{
	if (telemetry_has(t, TM_TIMESTAMP_VALID)) /* undated: not if it says that it is old */
		return telemetry_number(t, TM_BUFFERED) == 0;
	int64_t when = telemetry_number(t, TM_TIMESTAMP), before;
	if (session->newest_ms == 0 && outbox_recall(u->outbox, span_text(session->unit.ident), &before))
		session->newest_ms = before;
	if (when < session->newest_ms)
		return false;
	session->newest_ms = when;
	return true;
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
	m.retain = retain;
	if (retain && !telemetry_has(t, TM_TIMESTAMP_VALID)) {
		m.memory_key = span_text(session->unit.ident);
		m.memory_value = session->newest_ms;
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

bool uplink_record(
	void *ctx, struct session *session, const struct conn *conn, struct telemetry *t, int64_t now_ms)
{
	struct uplink *u = ctx;
	char peer[CONN_PEER_MAX];
	conn_peer(conn, peer);
	complete(u, session, t, peer, now_ms);
	bool position = telemetry_has(t, TM_LATITUDE);
	bool retain = position && u->config->publish.retain && is_newest(u, session, t);
	if (!put_record(u, session, t, position ? "position" : "telemetry", retain))
		return false;
	stats_add(u->stats, STAT_RECORDS, 1);
	if (*u->config->owntracks.topic && owntracks_can(t) && !put_owntracks(u, session, t, now_ms))
		return false;
	if (telemetry_raise(t, session->alarms)) {
		stats_add(u->stats, STAT_ALARMS, 1);
		return put_record(u, session, t, "alarm", false);
	}
	return true;
}

/* --- what is not a record --- */

static void put_status(
	struct uplink *u, const struct session *session, bool online, const char *reason, int64_t since_ms)
{
	char peer[CONN_PEER_MAX];
	struct topic topic = topic_unit(u->config->publish.prefix, session_topic(session), "status");
	struct writer w = writer_of(u->payload, sizeof(u->payload));
	struct emitter e = emitter_of(&emit_json, &w);
	emit_map(&e, online ? 7 : 6);
	emit_pair_text(&e, "state", span_text(online ? "online" : "offline"));
	emit_key(&e, "since");
	emit_fixed(&e, since_ms, 3);
	emit_pair_text(&e, "instance", span_text(u->config->publish.instance));
	emit_pair_integer(&e, "session", (int64_t)session->number);
	emit_pair_text(&e, "protocol", span_text(session->codec->name));
	if (online) {
		conn_peer(session->conn, peer);
		emit_pair_text(&e, "transport", span_text(conn_transport(session->conn)));
		emit_pair_text(&e, "peer", span_text(peer));
	} else {
		emit_pair_text(&e, "reason", span_text(reason));
	}
	emit_end(&e);
	struct outbox_message m = message_of(u, &topic, session->unit.ident, writer_span(&w), since_ms);
	m.retain = true;
	put(u, &m, &w);
}

void uplink_online(void *ctx, struct session *session, int64_t now_ms)
{
	char peer[CONN_PEER_MAX];
	conn_peer(session->conn, peer);
	log_info("unit %s on line: %s over %s from %s", session->unit.ident, session->codec->name,
		conn_transport(session->conn), peer);
	put_status(ctx, session, true, NULL, now_ms);
}

void uplink_offline(void *ctx, struct session *session, const char *reason, int64_t now_ms)
{
	put_status(ctx, session, false, reason, now_ms);
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

void uplink_unknown(void *ctx, const struct conn *conn, struct span head)
{
	struct uplink *u = ctx;
	char peer[CONN_PEER_MAX];
	int64_t now_ms = conn->stream.link.now_ms;
	if (now_ms < u->unknown_from_ms)
		return;
	u->unknown_from_ms = now_ms + UNKNOWN_EVERY_MS;
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
	struct outbox_message m = message_of(u, &topic, "", writer_span(&w), now_ms);
	put(u, &m, &w);
}
