/* raw: see raw.h. */
#include "bridge/outputs/raw.h"

#include "bridge/base/log.h"

#include <stdlib.h>

#define UNKNOWN_EVERY_MS 1000
#define UNKNOWN_BYTES 64

struct raw {
	const struct config *config;
	struct publish *publish;
	struct unit_listener listener;
	int64_t unknown_from_ms; /* the next one is told from then on; steady time */
};

static void on_frame(void *ctx, const struct session *session, bool in, struct span frame, const char *error,
	struct moment now)
{
	struct raw *r = ctx;
	const char *ident = session ? session->unit.ident : "unknown";
	const char *name = session ? session_topic(session) : ident;
	struct topic topic = topic_unit(r->config->publish.prefix, name, "raw");
	uint8_t hex[4608];
	struct writer h = writer_of(hex, sizeof(hex)), w = publish_writer(r->publish);
	struct emitter e = emitter_of(&emit_json, &w);
	writer_hex(&h, frame);
	emit_map(&e, error ? 4 : 3);
	emit_pair_text(&e, "direction", span_text(in ? "in" : "out"));
	emit_pair_text(&e, "hex", writer_span(&h));
	emit_pair_text(&e, "text", frame);
	if (error != NULL)
		emit_pair_text(&e, "error", span_text(error));
	emit_end(&e);
	struct outbox_message m = publish_message(r->publish, ident, &topic, now.unix_ms);
	publish_put(r->publish, &m, &w, NULL, now);
}

static void on_unknown(void *ctx, const struct conn *conn, struct span head, struct moment now)
{
	struct raw *r = ctx;
	char peer[CONN_PEER_MAX];
	if (now.steady_ms < r->unknown_from_ms)
		return;
	r->unknown_from_ms = now.steady_ms + UNKNOWN_EVERY_MS;
	conn_peer(conn, peer);
	if (head.len > UNKNOWN_BYTES)
		head.len = UNKNOWN_BYTES;
	log_notice("%s over %s speaks no known protocol: %s", peer, conn_transport(conn), log_bytes(head).text);
	if (!r->config->publish.unknown)
		return;
	struct topic topic = topic_bridge(r->config->publish.prefix, r->config->publish.instance, "unknown");
	uint8_t hex[2 * UNKNOWN_BYTES];
	struct writer h = writer_of(hex, sizeof(hex)), w = publish_writer(r->publish);
	struct emitter e = emitter_of(&emit_json, &w);
	writer_hex(&h, head);
	emit_map(&e, 4);
	emit_pair_text(&e, "peer", span_text(peer));
	emit_pair_text(&e, "transport", span_text(conn_transport(conn)));
	emit_pair_text(&e, "hex", writer_span(&h));
	emit_pair_text(&e, "text", head);
	emit_end(&e);
	struct outbox_message m = publish_message(r->publish, "", &topic, now.unix_ms);
	publish_put(r->publish, &m, &w, NULL, now);
}

struct raw *raw_open(const struct config *config, struct publish *publish)
{
	struct raw *r = calloc(1, sizeof(*r));
	if (r == NULL)
		return NULL;
	r->config = config;
	r->publish = publish;
	r->listener = (struct unit_listener){.ctx = r, .unknown = on_unknown};
	raw_use_config(r);
	return r;
}

void raw_free(struct raw *r)
{
	free(r);
}

const struct unit_listener *raw_listener(struct raw *r)
{
	return &r->listener;
}

void raw_use_config(struct raw *r)
{
	r->listener.frame = r->config->publish.raw ? on_frame : NULL;
}
