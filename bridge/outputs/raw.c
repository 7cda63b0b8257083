// SPDX-License-Identifier: MIT
/* raw: see raw.h. */
#include "bridge/outputs/raw.h"

#include "bridge/base/log.h"
#include "bridge/outputs/raw_asked.h"

#include <stdlib.h>

#define UNKNOWN_A_MINUTE 60 /* published, of all addresses; of each, as many as conn_take_line allows */
#define UNKNOWN_BYTES 64
#define HINT_MAX 800
#define REQUESTS_A_MINUTE 600
#define LINES_A_MINUTE 30 /* about requests */
#define REQUEST_MAX 20

struct raw {
	const struct config *config;
	struct publish *publish;
	struct sessions *sessions;
	struct unit_listener listener;
	struct log_limit unknown, requests, lines, ignored;
	struct raw_asked asked;
};

/* --- frames --- */

static enum publish_raw mode_of(const struct raw *r, const struct session *session, struct moment now)
{
	int64_t general = r->config->publish.raw;
	if (session == NULL)
		return (enum publish_raw)general;
	if (raw_asked_has(&r->asked, session->unit.ident, now.steady_ms))
		return PUBLISH_RAW_YES;
	bool own = session->info != NULL && session->info->raw != UNIT_RAW_GENERAL;
	return (enum publish_raw)(own ? session->info->raw : general);
}

static void on_frame(void *ctx, const struct session *session, bool in, struct span frame, const char *error,
	struct moment now)
{
	struct raw *r = ctx;
	enum publish_raw mode = mode_of(r, session, now);
	if (mode == PUBLISH_RAW_NO || (mode == PUBLISH_RAW_ERRORS && error == NULL))
		return;
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

/* --- strangers --- */

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

/* --- requests --- */

/* NULL: it is a duration, in ms. Else why not, in `why`. */
static const char *read_request(const struct route_message *m, int64_t *out, char *why, size_t size)
{
	static const struct option_row row = {.type = OPTION_DURATION, .max = CONFIG_HOUR};
	char text[REQUEST_MAX + 1], shown[80];
	*out = 0;
	if (m->retained)
		return "a retained request is never obeyed; publish it without the retain flag";
	span_copy(m->payload, text, sizeof(text));
	if (strlen(text) == m->payload.len && option_parse(&row, text, out))
		return NULL;
	option_allowed(&row, shown, sizeof(shown));
	snprintf(why, size, "%s is not allowed; allowed: %s (0 ends it)",
		log_bytes(span_part(m->payload, 0, m->payload.len < 60 ? m->payload.len : 60)).text, shown);
	return why;
}

static void log_request(struct raw *r, const char *ident, int64_t for_ms, const char *fault, struct moment now)
{
	if (!log_limit_take(&r->lines, LINES_A_MINUTE, now.steady_ms))
		return;
	if (fault != NULL)
		log_warning("raw/set for unit %s is refused: %s", ident, fault);
	else if (for_ms > 0)
		log_notice("the frames of unit %s are published for %.0f s", ident, (double)for_ms / 1000);
	else
		log_notice("the frames of unit %s are published as the configuration says", ident);
}

/* Whoever asked learns what became of it; `fault` NULL: it is obeyed. */
static void answer(struct raw *r, struct span ident, struct span name, int64_t for_ms, const char *fault,
	struct moment now)
{
	char ident_text[CODEC_IDENT_MAX + 1], name_text[61];
	span_copy(ident, ident_text, sizeof(ident_text));
	span_copy(name, name_text, sizeof(name_text));
	log_request(r, ident_text, for_ms, fault, now);
	struct topic topic = topic_unit(r->config->publish.prefix, name_text, "raw");
	struct writer w = publish_writer(r->publish);
	struct emitter e = emitter_of(&emit_json, &w);
	emit_map(&e, 3);
	emit_pair_text(&e, "direction", span_text("none"));
	if (fault != NULL)
		emit_pair_text(&e, "error", span_text(fault));
	else
		emit_pair_integer(&e, "until", for_ms > 0 ? (now.unix_ms + for_ms) / 1000 : 0);
	emit_pair_text(&e, "instance", span_text(r->config->publish.instance));
	emit_end(&e);
	struct outbox_message m = publish_message(r->publish, ident_text, &topic, now.unix_ms);
	publish_put(r->publish, &m, &w, NULL, now);
}

void raw_message(void *ctx, const struct route_message *m, struct moment now)
{
	struct raw *r = ctx;
	struct span name;
	char why[400];
	int64_t for_ms;
	if (!topic_parse_unit(r->config->publish.prefix, m->topic, "raw/set", &name) ||
		(m->retained && m->payload.len == 0)) /* somebody clears a retained one */
		return;
	struct span ident = session_ident(r->sessions, name);
	if (!log_limit_take(&r->requests, REQUESTS_A_MINUTE, now.steady_ms)) {
		if (log_limit_take(&r->ignored, 1, now.steady_ms))
			log_warning("more than %d requests on raw/set in a minute: the others are ignored",
				REQUESTS_A_MINUTE);
		return;
	}
	if (!topic_ident_ok(ident)) {
		if (log_limit_take(&r->lines, LINES_A_MINUTE, now.steady_ms))
			log_warning("request on %s ignored: the ident must be 1 to 20 letters or digits",
				log_bytes(m->topic).text);
		return;
	}
	const char *fault = read_request(m, &for_ms, why, sizeof(why));
	if (fault == NULL && !raw_asked_set(&r->asked, ident, now.steady_ms + for_ms, now.steady_ms)) {
		snprintf(why, sizeof(why), "%d units are asked for already; 0 ends one", RAW_ASKED_MOST);
		fault = why;
	}
	answer(r, ident, name, for_ms, fault, now);
}

/* --- */

struct raw *raw_open(const struct config *config, struct publish *publish, struct sessions *sessions)
{
	struct raw *r = calloc(1, sizeof(*r));
	if (r == NULL)
		return NULL;
	r->config = config;
	r->publish = publish;
	r->sessions = sessions;
	r->listener = (struct unit_listener){.ctx = r, .frame = on_frame, .unknown = on_unknown};
	return r;
}

void raw_free(struct raw *r)
{
	raw_asked_free(&r->asked);
	free(r);
}

const struct unit_listener *raw_listener(struct raw *r)
{
	return &r->listener;
}
