// SPDX-License-Identifier: MIT
/* raw: see raw.h. */
#include "bridge/outputs/raw.h"

#include "bridge/base/log.h"

#include <stdlib.h>

#define UNKNOWN_A_MINUTE 60 /* published, of all addresses; of each, as many as conn_take_line allows */
#define UNKNOWN_BYTES 64
#define HINT_MAX 800

struct raw {
	const struct config *config;
	struct publish *publish;
	struct unit_listener listener;
	struct log_limit unknown;
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

/* The protocols that the bridge speaks, for who has to choose one in his tracker. */
static void put_spoken(struct writer *w)
{
	writer_text(w, "; spoken here:");
	for (const struct codec *const *c = codecs; *c != NULL; c++) {
		writer_text(w, c == codecs ? " " : ", ");
		writer_text(w, (*c)->name);
	}
}

/* What that means and what to do; empty: nobody knows. */
static void put_hint(struct writer *w, const struct stranger *stranger)
{
	if (stranger->why != NULL)
		writer_text(w, stranger->why);
	else if (stranger->looks_like != NULL)
		writer_text(w, stranger->looks_like->words);
	if (stranger->looks_like != NULL && stranger->looks_like->tracker)
		put_spoken(w);
}

static void log_stranger(const struct conn *conn, const struct stranger *stranger, struct span hint)
{
	char peer[CONN_PEER_MAX];
	const char *over = conn_transport(conn);
	const struct log_frame bytes = log_frame(stranger->head);
	conn_peer(conn, peer);
	if (stranger->ident != NULL)
		log_notice("unit %s (%s) %.*s (%s over %s)", stranger->ident, stranger->protocol, (int)hint.len,
			(const char *)hint.ptr, peer, over);
	else if (stranger->looks_like != NULL)
		log_notice("%s over %s looks like %s: %.*s: %s", peer, over, stranger->looks_like->name,
			(int)hint.len, (const char *)hint.ptr, bytes.text);
	else
		log_notice("%s over %s speaks no known protocol: %s", peer, over, bytes.text);
}

static void put_stranger(
	struct writer *w, const struct conn *conn, const struct stranger *stranger, struct span hint)
{
	char peer[CONN_PEER_MAX];
	uint8_t hex[2 * UNKNOWN_BYTES];
	struct writer h = writer_of(hex, sizeof(hex));
	struct emitter e = emitter_of(&emit_json, w);
	unsigned pairs = 4u + (hint.len > 0) + (stranger->looks_like != NULL);
	struct span head = span_part(
		stranger->head, 0, stranger->head.len < UNKNOWN_BYTES ? stranger->head.len : UNKNOWN_BYTES);
	conn_peer(conn, peer);
	writer_hex(&h, head);
	emit_map(&e, pairs + (stranger->ident != NULL ? 3 : 0));
	emit_pair_text(&e, "peer", span_text(peer));
	emit_pair_text(&e, "transport", span_text(conn_transport(conn)));
	emit_pair_text(&e, "hex", writer_span(&h));
	emit_pair_text(&e, "text", head);
	if (stranger->looks_like != NULL)
		emit_pair_text(&e, "looks.like", span_text(stranger->looks_like->name));
	if (stranger->ident != NULL) {
		emit_pair_text(&e, "ident", span_text(stranger->ident));
		emit_pair_text(&e, "protocol", span_text(stranger->protocol));
		emit_pair_text(&e, "reason", span_text(stat_reason(STAT_REFUSED_NOT_ADMITTED)));
	}
	if (hint.len > 0)
		emit_pair_text(&e, "hint", hint);
	emit_end(&e);
}

static void on_unknown(void *ctx, const struct conn *conn, const struct stranger *stranger, struct moment now)
{
	struct raw *r = ctx;
	char text[HINT_MAX];
	struct writer hint = writer_of(text, sizeof(text));
	if (!conn_take_line(conn))
		return;
	put_hint(&hint, stranger);
	log_stranger(conn, stranger, writer_span(&hint));
	if (!r->config->publish.unknown || !log_limit_take(&r->unknown, UNKNOWN_A_MINUTE, now.steady_ms))
		return;
	struct topic topic = topic_bridge(r->config->publish.prefix, r->config->publish.instance, "unknown");
	struct writer w = publish_writer(r->publish);
	put_stranger(&w, conn, stranger, writer_span(&hint));
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
