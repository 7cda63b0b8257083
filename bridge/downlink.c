/* downlink: see downlink.h. */
#include "downlink.h"

#include "log.h"
#include "request.h"
#include "topic.h"

#include <stdlib.h>
#include <utlist.h>

#define FRAME_MAX 2200
#define WAITING_MAX 100000 /* for all units together */

enum stage { STAGE_HELD = 0, STAGE_QUEUED, STAGE_SENT };

struct waiting;

/* A unit for which requests wait, the oldest first. */
struct addressee {
	char ident[CODEC_IDENT_MAX + 1];
	struct waiting *waiting;
	int64_t count;
	UT_hash_handle hh;
};

/* A request that has not ended. */
struct waiting {
	struct addressee *addressee; /* NULL: it does not wait */
	struct waiting *prev, *next;
	UT_hash_handle hh; /* by number */
	enum stage stage;
	uint64_t number;
	int64_t since_ms, sent_ms, until_ms; /* until: expiry of the hold, then of the wait for the answer */
	int64_t timeout_ms;
	char ident[CODEC_IDENT_MAX + 1], topic[61]; /* topic: the unit's name there */
	struct request request;
	struct command_token token;
	uint8_t *frame, *response_topic, *correlation;
	size_t frame_len, response_topic_len, correlation_len;
};

struct downlink {
	const struct config *config;
	struct sessions *sessions;
	struct uplink *uplink;
	struct stats *stats;
	struct waiting *waiting;      /* hash by number, in the order of arrival */
	struct addressee *addressees; /* hash by ident */
	uint64_t number;
};

/* What is told of a request. */
struct outcome {
	const char *status, *reason;
	const struct command_reply *reply;
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

static void free_waiting(struct waiting *w)
{
	request_free(&w->request);
	free(w->frame);
	free(w->response_topic);
	free(w->correlation);
	free(w);
}

/* --- who waits for what --- */

static struct addressee *addressee_of(const struct downlink *d, const char *ident)
{
	struct addressee *a = NULL;
	HASH_FIND_STR(d->addressees, ident, a);
	return a;
}

/* The requests that wait for this unit; NULL: none. */
static struct waiting *waiting_for(const struct downlink *d, const char *ident)
{
	struct addressee *a = addressee_of(d, ident);
	return a != NULL ? a->waiting : NULL;
}

/* False: no memory. */
static bool join(struct downlink *d, struct waiting *w)
{
	struct addressee *a = addressee_of(d, w->ident);
	if (a == NULL) {
		a = calloc(1, sizeof(*a));
		if (a == NULL)
			return false;
		memcpy(a->ident, w->ident, sizeof(a->ident));
		HASH_ADD_STR(d->addressees, ident, a);
	}
	w->addressee = a;
	w->number = ++d->number;
	a->count++;
	DL_APPEND(a->waiting, w);
	HASH_ADD(hh, d->waiting, number, sizeof(w->number), w);
	return true;
}

static void leave(struct downlink *d, struct waiting *w)
{
	struct addressee *a = w->addressee;
	DL_DELETE(a->waiting, w);
	HASH_DEL(d->waiting, w);
	if (--a->count > 0)
		return;
	HASH_DEL(d->addressees, a);
	free(a);
}

void downlink_free(struct downlink *d)
{
	struct waiting *w, *next;
	HASH_ITER(hh, d->waiting, w, next) {
		leave(d, w);
		free_waiting(w);
	}
	free(d);
}

/* --- telling --- */

static bool is_text(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] == 0x7e || s.ptr[i] > 0x7e ||
			(s.ptr[i] < 0x20 && s.ptr[i] != '\r' && s.ptr[i] != '\n'))
			return false;
	return true;
}

/* A text frame as text, a binary one as hex. */
static void emit_frame(struct emitter *e, const char *key, struct span frame)
{
	uint8_t hex[2 * FRAME_MAX];
	struct writer w = writer_of(hex, sizeof(hex));
	if (!is_text(frame))
		writer_hex(&w, frame);
	emit_pair_text(e, key, is_text(frame) ? frame : writer_span(&w));
}

static const char *command_name(const struct waiting *w)
{
	return w->request.name[0] != '\0' ? w->request.name : w->token.word;
}

static unsigned one_if(bool there)
{
	return there ? 1 : 0;
}

static void tell(struct downlink *d, const struct waiting *w, struct outcome o, int64_t now_ms)
{
	uint8_t buf[24 * 1024];
	struct writer out = writer_of(buf, sizeof(buf));
	struct emitter e = emitter_of(&emit_json, &out);
	bool id = w->request.id[0] != '\0', name = *command_name(w) != '\0', frame = w->frame_len > 0;
	bool result = o.reply != NULL && o.reply->result.len > 0, elapsed = o.reply != NULL;
	emit_map(&e, 3 + one_if(id) + one_if(name) + one_if(frame) + one_if(o.reason != NULL) +
			     one_if(o.reply != NULL) + one_if(result) + one_if(elapsed));
	emit_pair_text(&e, "ident", span_text(w->ident));
	if (id)
		emit_pair_text(&e, "id", span_text(w->request.id));
	emit_pair_text(&e, "status", span_text(o.status));
	if (name)
		emit_pair_text(&e, "command", span_text(command_name(w)));
	if (frame)
		emit_frame(&e, "frame", span_of(w->frame, w->frame_len));
	if (o.reply != NULL)
		emit_frame(&e, "reply", o.reply->frame);
	if (result)
		emit_pair_text(&e, "result", o.reply->result);
	if (o.reason != NULL)
		emit_pair_text(&e, "reason", span_text(o.reason));
	if (elapsed) {
		emit_key(&e, "elapsed");
		emit_fixed(&e, now_ms - w->sent_ms, 3);
	}
	emit_key(&e, "server.timestamp");
	emit_fixed(&e, now_ms, 3);
	emit_end(&e);
	struct span response = span_of(w->response_topic, w->response_topic_len);
	struct span correlation = span_of(w->correlation, w->correlation_len);
	if (out.full ||
		!uplink_reply(d->uplink, w->ident, w->topic, writer_span(&out), response, correlation, now_ms))
		log_error("the reply to a command for unit %s is lost: no room", w->ident);
	log_notice("command for unit %s: %s %s: %s%s%s", w->ident, command_name(w),
		log_bytes(span_of(w->frame, w->frame_len)).text, o.status, o.reason ? ": " : "",
		o.reason ? o.reason : "");
}

static void count(struct downlink *d, const char *status)
{
	static const struct {
		const char *status;
		enum counter counter;
	} rows[] = {{"sent", STAT_COMMANDS_SENT}, {"offline", STAT_COMMANDS_OFFLINE},
		{"rejected", STAT_COMMANDS_REJECTED}, {"answered", STAT_COMMANDS_ANSWERED},
		{"timeout", STAT_COMMANDS_TIMEOUT}, {"expired", STAT_COMMANDS_EXPIRED}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].status, status) == 0)
			stats_add(d->stats, rows[i].counter, 1);
}

static void ends(struct downlink *d, struct waiting *w, struct outcome o, int64_t now_ms)
{
	count(d, o.status);
	tell(d, w, o, now_ms);
	if (w->addressee != NULL)
		leave(d, w);
	free_waiting(w);
}

/* --- sending --- */

static struct waiting *find(struct downlink *d, uint64_t number)
{
	struct waiting *w = NULL;
	HASH_FIND(hh, d->waiting, &number, sizeof(number), w);
	return w;
}

/* conn_sent: the bytes have gone, or never will. */
static void on_sent(void *ctx, uint64_t number, bool ok, struct moment now)
{
	int64_t now_ms = now.unix_ms;
	struct downlink *d = ctx;
	struct waiting *w = find(d, number);
	if (w == NULL)
		return;
	if (!ok) {
		ends(d, w,
			(struct outcome){
				"offline", "the unit's connection ended before the command was sent", NULL},
			now_ms);
		return;
	}
	w->stage = STAGE_SENT;
	w->sent_ms = now_ms;
	w->until_ms = now_ms + w->timeout_ms;
	count(d, "sent");
	tell(d, w, (struct outcome){"sent", NULL, NULL}, now_ms);
}

/* Checks against the unit's protocol and queues; ends the request when it is not to be. */
static void send_now(struct downlink *d, struct waiting *w, struct session *session, int64_t now_ms)
{
	char why[1200];
	const char *fault = request_resolve(&w->request, session->codec, why, sizeof(why));
	if (fault != NULL) {
		ends(d, w, (struct outcome){"rejected", fault, NULL}, now_ms);
		return;
	}
	uint8_t frame[FRAME_MAX];
	struct writer out = writer_of(frame, sizeof(frame));
	if (!session_encode(d->sessions, session, &w->request.command, &out, &w->token, now_ms) ||
		(w->frame = malloc(out.len)) == NULL) {
		ends(d, w, (struct outcome){"rejected", "command too long for this protocol", NULL}, now_ms);
		return;
	}
	memcpy(w->frame, frame, out.len);
	w->frame_len = out.len;
	w->stage = STAGE_QUEUED;
	w->until_ms = INT64_MAX; /* ends by on_sent in any case */
	if (!session_send(d->sessions, session, writer_span(&out), on_sent, d, w->number))
		ends(d, w, (struct outcome){"rejected", "no memory", NULL}, now_ms);
}

static int64_t hold_of(const struct downlink *d, const struct waiting *w, int64_t expiry_s)
{
	int64_t hold = w->request.hold_ms >= 0 ? w->request.hold_ms : d->config->commands.hold;
	return expiry_s >= 0 && expiry_s * 1000 < hold ? expiry_s * 1000 : hold;
}

static void hold(struct downlink *d, struct waiting *w, int64_t hold_ms, int64_t now_ms)
{
	char why[1200];
	const struct codec *codec = session_codec(d->sessions, span_text(w->ident));
	const char *fault = codec != NULL ? request_resolve(&w->request, codec, why, sizeof(why)) : NULL;
	if (fault != NULL) {
		ends(d, w, (struct outcome){"rejected", fault, NULL}, now_ms);
	} else if (hold_ms <= 0) {
		ends(d, w, (struct outcome){"offline", "the unit is not connected", NULL}, now_ms);
	} else {
		w->stage = STAGE_HELD;
		w->until_ms = now_ms + hold_ms;
		tell(d, w, (struct outcome){"held", NULL, NULL}, now_ms);
	}
}

/* --- a request --- */

/* Is it on the comma-separated list? An empty list allows all. */
static bool is_allowed(const char *list, struct span name)
{
	for (const char *p = list; *p != '\0';) {
		size_t n = strcspn(p, ",");
		struct span item = span_of(p, n);
		while (item.len > 0 && item.ptr[0] == ' ')
			item = span_after(item, 1);
		while (item.len > 0 && item.ptr[item.len - 1] == ' ')
			item.len--;
		if (item.len == name.len && item.len > 0 && memcmp(item.ptr, name.ptr, name.len) == 0)
			return true;
		p += n + (p[n] == ',');
	}
	return *list == '\0';
}

static struct span name_of(const struct request *r)
{
	if (r->name[0] != '\0')
		return span_text(r->name);
	const uint8_t *comma = memchr(r->command.text.ptr, ',', r->command.text.len);
	return span_of(
		r->command.text.ptr, comma ? (size_t)(comma - r->command.text.ptr) : r->command.text.len);
}

/* Why may it not wait beside the others? */
static const char *crowded(const struct downlink *d, const struct waiting *new)
{
	const struct addressee *a = addressee_of(d, new->ident);
	const struct waiting *w;
	DL_FOREACH(waiting_for(d, new->ident), w)
		if (new->request.id[0] != '\0' && strcmp(w->request.id, new->request.id) == 0)
			return "a request with this id is waiting already";
	if (a != NULL && a->count >= d->config->commands.max_held_per_unit)
		return "too many commands are waiting for this unit (max_held_per_unit)";
	return HASH_COUNT(d->waiting) >= WAITING_MAX ? "too many commands are waiting" : NULL;
}

static bool copy(struct span from, uint8_t **to, size_t *len)
{
	*len = from.len;
	*to = from.len > 0 ? malloc(from.len) : NULL;
	if (*to != NULL)
		memcpy(*to, from.ptr, from.len);
	return from.len == 0 || *to != NULL;
}

void downlink_message(struct downlink *d, const struct downlink_request *r, int64_t now_ms)
{
	struct span name = span_of(NULL, 0), ident;
	char why[600];
	bool parsed = topic_parse_command(d->config->publish.prefix, r->topic, &name);
	ident = parsed ? session_ident(d->sessions, name) : name;
	if (!parsed || !topic_ident_ok(ident)) {
		log_notice("command on %s ignored: the ident must be 1 to 20 letters or digits",
			log_bytes(r->topic).text);
		return;
	}
	struct waiting *w = calloc(1, sizeof(*w));
	if (w == NULL)
		return;
	stats_add(d->stats, STAT_COMMANDS, 1);
	memcpy(w->ident, ident.ptr, ident.len);
	memcpy(w->topic, name.ptr, name.len);
	w->since_ms = now_ms;
	const char *fault = request_parse(&w->request, r->payload, why, sizeof(why));
	if (!copy(r->response_topic, &w->response_topic, &w->response_topic_len) ||
		!copy(r->correlation, &w->correlation, &w->correlation_len))
		fault = "no memory";
	if (r->retained)
		fault = "a retained command is never executed; publish it without the retain flag";
	if (fault == NULL && !is_allowed(d->config->commands.allow, name_of(&w->request)))
		fault = "this command is not on the allow list of the configuration";
	if (fault == NULL)
		fault = crowded(d, w);
	if (fault == NULL && !join(d, w))
		fault = "no memory";
	if (fault != NULL) {
		ends(d, w, (struct outcome){"rejected", fault, NULL}, now_ms);
		return;
	}
	w->timeout_ms = w->request.timeout_ms > 0 ? w->request.timeout_ms : d->config->commands.timeout;
	struct session *session = session_find(d->sessions, ident);
	if (session != NULL)
		send_now(d, w, session, now_ms);
	else
		hold(d, w, hold_of(d, w, r->expiry_s), now_ms);
}

/* --- what happens meanwhile --- */

void downlink_online(struct downlink *d, struct session *session, int64_t now_ms)
{
	struct waiting *w, *next;
	DL_FOREACH_SAFE(waiting_for(d, session->unit.ident), w, next) {
		if (w->stage == STAGE_HELD && w->until_ms > now_ms)
			send_now(d, w, session, now_ms);
		else if (w->stage == STAGE_SENT) /* it went to the connection before this one */
			ends(d, w,
				(struct outcome){"offline",
					"the unit came back on a new connection before it answered", NULL},
				now_ms);
	}
}

void downlink_offline(struct downlink *d, struct session *session, const char *reason, int64_t now_ms)
{
	struct waiting *w, *next;
	char why[200];
	snprintf(why, sizeof(why), "sent, but the unit went off line before it answered: %s", reason);
	DL_FOREACH_SAFE(waiting_for(d, session->unit.ident), w, next)
		if (w->stage == STAGE_SENT)
			ends(d, w, (struct outcome){"offline", why, NULL}, now_ms);
}

void downlink_reply(
	struct downlink *d, struct session *session, const struct command_reply *reply, int64_t now_ms)
{
	struct waiting *w, *best = NULL;
	int sure = 0;
	DL_FOREACH(waiting_for(d, session->unit.ident), w) {
		if (w->stage != STAGE_SENT)
			continue;
		int match = command_matches(&w->token, &reply->token);
		if (match > sure) { /* the oldest of the surest */
			sure = match;
			best = w;
		}
	}
	if (best != NULL)
		ends(d, best, (struct outcome){"answered", NULL, reply}, now_ms);
}

void downlink_tick(struct downlink *d, int64_t now_ms)
{
	struct waiting *w, *next;
	HASH_ITER(hh, d->waiting, w, next) {
		if (w->until_ms > now_ms)
			continue;
		if (w->stage == STAGE_HELD)
			ends(d, w, (struct outcome){"expired", "the unit did not come in time", NULL}, now_ms);
		else if (w->stage == STAGE_SENT)
			ends(d, w, (struct outcome){"timeout", "the unit did not answer in time", NULL},
				now_ms);
	}
}

void downlink_stop(struct downlink *d, int64_t now_ms)
{
	while (d->waiting != NULL)
		ends(d, d->waiting, (struct outcome){"offline", "the bridge stops", NULL}, now_ms);
}
