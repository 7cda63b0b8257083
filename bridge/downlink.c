/* downlink: see downlink.h. */
#include "downlink.h"

#include "log.h"
#include "topic.h"

#include <stdlib.h>
#include <utlist.h>

#define PER_UNIT_MAX 8
#define FRAME_MAX 2048

/* A command on its way to the unit. */
struct waiting {
	struct waiting *prev, *next;
	uint64_t id;
	int64_t since_ms;
	char ident[CODEC_IDENT_MAX + 1];
	struct command_token token;
	size_t frame_len;
	uint8_t frame[];
};

struct downlink {
	const struct config *config;
	struct sessions *sessions;
	struct uplink *uplink;
	struct stats *stats;
	struct waiting *waiting;
	uint64_t id;
	int64_t now_ms;
};

struct downlink *downlink_open(
	const struct config *config, struct sessions *sessions, struct uplink *uplink, struct stats *stats)
{
	struct downlink *d = calloc(1, sizeof(*d));
	if (d == NULL)
		return NULL;
	d->config = config;
	d->sessions = sessions;
	d->uplink = uplink;
	d->stats = stats;
	return d;
}

void downlink_free(struct downlink *d)
{
	struct waiting *w, *next;
	DL_FOREACH_SAFE(d->waiting, w, next)
	free(w);
	free(d);
}

struct answer {
	const char *status, *reason;
	const char *ident, *word;
	struct span frame;
	int64_t elapsed_ms; /* -1: none */
};

/* Publishes what became of a command, and logs it. */
static void answer(struct downlink *d, const struct answer *a)
{
	uint8_t buf[16 * 1024];
	struct writer w = writer_of(buf, sizeof(buf));
	struct emitter e = emitter_of(&emit_json, &w);
	unsigned pairs = 3;
	pairs += *a->word != '\0' ? 1u : 0u;
	pairs += a->frame.len > 0 ? 1u : 0u;
	pairs += a->reason != NULL ? 1u : 0u;
	pairs += a->elapsed_ms >= 0 ? 1u : 0u;
	emit_map(&e, pairs);
	emit_pair_text(&e, "ident", span_text(a->ident));
	emit_pair_text(&e, "status", span_text(a->status));
	if (*a->word != '\0')
		emit_pair_text(&e, "command", span_text(a->word));
	if (a->frame.len > 0)
		emit_pair_text(&e, "frame", a->frame);
	if (a->reason != NULL)
		emit_pair_text(&e, "reason", span_text(a->reason));
	if (a->elapsed_ms >= 0) {
		emit_key(&e, "elapsed");
		emit_fixed(&e, a->elapsed_ms, 3);
	}
	emit_key(&e, "server.timestamp");
	emit_fixed(&e, d->now_ms, 3);
	emit_end(&e);
	if (w.full || !uplink_document(d->uplink, a->ident, "cmd/reply", writer_span(&w)))
		log_error("the reply to a command for unit %s is lost: no room", a->ident);
	log_notice("command for unit %s: %s %s%s%s", a->ident, log_bytes(a->frame).text, a->status,
		a->reason ? ": " : "", a->reason ? a->reason : "");
}

static void reject(struct downlink *d, const char *ident, const char *reason)
{
	struct answer a = {
		.status = "rejected", .reason = reason, .ident = ident, .word = "", .elapsed_ms = -1};
	stats_add(d->stats, STAT_COMMANDS_REJECTED, 1);
	answer(d, &a);
}

static unsigned waiting_for(const struct downlink *d, const char *ident)
{
	unsigned n = 0;
	const struct waiting *w;
	DL_FOREACH(d->waiting, w)
	n += strcmp(w->ident, ident) == 0;
	return n;
}

/* The bytes have gone, or never will. */
static void on_sent(void *ctx, uint64_t id, bool ok, int64_t now_ms)
{
	struct downlink *d = ctx;
	d->now_ms = now_ms;
	struct waiting *w;
	DL_SEARCH_SCALAR(d->waiting, w, id, id);
	if (w == NULL)
		return;
	struct answer a = {
		.status = ok ? "sent" : "offline",
		.reason = ok ? NULL : "the unit's connection ended before the command was sent",
		.ident = w->ident,
		.word = w->token.word,
		.frame = span_of(w->frame, w->frame_len),
		.elapsed_ms = -1,
	};
	stats_add(d->stats, ok ? STAT_COMMANDS_SENT : STAT_COMMANDS_OFFLINE, 1);
	answer(d, &a);
	DL_DELETE(d->waiting, w);
	free(w);
}

static void send_command(struct downlink *d, const char *ident, const struct command *command)
{
	struct session *session = session_find(d->sessions, span_text(ident));
	struct answer offline = {.status = "offline",
		.reason = "the unit is not connected",
		.ident = ident,
		.word = "",
		.elapsed_ms = -1};
	if (session == NULL) {
		stats_add(d->stats, STAT_COMMANDS_OFFLINE, 1);
		answer(d, &offline);
		return;
	}
	const char *why = command_check(command, session->codec->max_command);
	if (why == NULL && waiting_for(d, ident) >= PER_UNIT_MAX)
		why = "too many commands are waiting for this unit";
	struct waiting *w = why == NULL ? calloc(1, sizeof(*w) + FRAME_MAX) : NULL;
	if (why == NULL && w == NULL)
		why = "no memory";
	if (why != NULL) {
		reject(d, ident, why);
		return;
	}
	w->id = ++d->id;
	w->since_ms = d->now_ms;
	strcpy(w->ident, ident);
	DL_APPEND(d->waiting, w);
	struct writer out = writer_of(w->frame, FRAME_MAX);
	bool ok = session_command(d->sessions, session, command, &out, &w->token, on_sent, d, w->id, d->now_ms);
	w->frame_len = out.len;
	if (ok)
		return;
	DL_DELETE(d->waiting, w);
	free(w);
	reject(d, ident, "command too long for this protocol");
}

void downlink_message(struct downlink *d, struct span topic, struct span payload, bool retained, int64_t now_ms)
{
	struct span span;
	char ident[CODEC_IDENT_MAX + 1] = "";
	if (!topic_parse_command(d->config->publish.prefix, topic, &span)) {
		log_notice("command on %s ignored: the ident must be 1 to 20 letters or digits",
			log_bytes(topic).text);
		return;
	}
	memcpy(ident, span.ptr, span.len);
	d->now_ms = now_ms;
	stats_add(d->stats, STAT_COMMANDS, 1);
	struct command command = {.text = payload};
	const char *why = command_check(&command, FRAME_MAX);
	if (retained)
		why = "a retained command is never executed; publish it without the retain flag";
	if (why != NULL)
		reject(d, ident, why);
	else
		send_command(d, ident, &command);
}
