// SPDX-License-Identifier: MIT
/* status: see status.h. */
#include "bridge/outputs/status.h"

#include <stdlib.h>

struct status {
	const struct config *config;
	struct publish *publish;
	struct unit_listener listener;
	struct status_gate gate; /* begin NULL: this bridge is alone */
};

static void emit_status(const struct status *st, const struct session *session, struct emitter *e)
{
	char peer[CONN_PEER_MAX];
	bool online = session->conn != NULL;
	emit_map(e, (online ? 6u : 5u) + (session->codec != NULL ? 1u : 0u));
	emit_pair_text(e, "state", span_text(online ? "online" : "offline"));
	emit_key(e, "since");
	emit_fixed(e, session->since_ms, 3);
	emit_pair_text(e, "instance", span_text(st->config->publish.instance));
	emit_pair_integer(e, "session",
		st->gate.begin != NULL ? st->gate.number(st->gate.ctx, session) : (int64_t)session->number);
	if (session->codec != NULL)
		emit_pair_text(e, "protocol", span_text(session->codec->name));
	if (online) {
		conn_peer(session->conn, peer);
		emit_pair_text(e, "transport", span_text(conn_transport(session->conn)));
		emit_pair_text(e, "peer", span_text(peer));
	} else {
		emit_pair_text(e, "reason", span_text(session->reason != NULL ? session->reason : ""));
	}
	emit_end(e);
}

static bool tell(void *ctx, struct session *session, struct moment now)
{
	struct status *st = ctx;
	if (session->awaited || (st->gate.begin != NULL && !st->gate.begin(st->gate.ctx, session)))
		return true; /* what was told before holds until it is known better */
	struct topic topic = topic_unit(st->config->publish.prefix, session_topic(session), "status");
	struct writer w = publish_writer(st->publish);
	struct emitter e = emitter_of(&emit_json, &w);
	emit_status(st, session, &e);
	struct outbox_message m = publish_message(st->publish, session->unit.ident, &topic, now.unix_ms);
	if (session->trusted)
		publish_retain(&m, session, publish_newest_ms(st->publish, session));
	return publish_put(st->publish, &m, &w, NULL, now);
}

struct span status_of_gone(struct status *st, const struct status_gone *gone, struct moment now)
{
	struct writer w = publish_writer(st->publish);
	struct emitter e = emitter_of(&emit_json, &w);
	emit_map(&e, 4);
	emit_pair_text(&e, "state", span_text("offline"));
	emit_key(&e, "since");
	emit_fixed(&e, now.unix_ms, 3);
	emit_pair_text(&e, "instance", span_text(gone->instance));
	emit_pair_text(&e, "reason", span_text(gone->reason));
	emit_end(&e);
	return writer_span(&w);
}

void status_use_gate(struct status *st, const struct status_gate *gate)
{
	st->gate = *gate;
}

/* The last that is told, for it is registered before all others that retain. */
static bool on_forgotten(void *ctx, struct session *session, struct moment now)
{
	struct status *st = ctx;
	return publish_clear(st->publish, session->unit.ident, session_topic(session), "status", true, now);
}

static bool on_cleared(void *ctx, const char *ident, const char *name, struct moment now)
{
	return publish_clear(((struct status *)ctx)->publish, ident, name, "status", false, now);
}

struct status *status_open(const struct config *config, struct publish *publish)
{
	struct status *st = calloc(1, sizeof(*st));
	if (st == NULL)
		return NULL;
	st->config = config;
	st->publish = publish;
	st->listener = (struct unit_listener){
		.ctx = st,
		.tell = tell,
		.tells_presence = true,
		.tells_again = true,
		.forgotten = on_forgotten,
		.cleared = on_cleared,
	};
	return st;
}

void status_free(struct status *st)
{
	free(st);
}

const struct unit_listener *status_listener(struct status *st)
{
	return &st->listener;
}
