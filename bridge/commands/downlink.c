/* downlink: see downlink.h. */
#include "bridge/commands/downlink.h"

#include "bridge/commands/allowed.h"
#include "bridge/base/log.h"
#include "bridge/commands/outcome.h"
#include "bridge/commands/request.h"
#include "bridge/base/topic.h"

#include <stdlib.h>
#include <utlist.h>

#define FRAME_MAX 2200
#define WAITING_MAX 100000 /* requests of all units together, and what they take */
#define WAITING_BYTES_MAX (128 << 20)
#define NEVER INT64_MAX

enum request_stage { STAGE_NEW = 0, STAGE_HELD, STAGE_QUEUED, STAGE_SENT };

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
	struct addressee *addressee; /* NULL: the request does not wait */
	struct waiting *prev, *next;
	UT_hash_handle hh; /* by number */
	enum request_stage stage;
	uint64_t number;
	int64_t sent_ms;  /* steady time */
	int64_t until_ms; /* its stage ends then, unless something happens before; steady time */
	int64_t timeout_ms;
	char ident[CODEC_IDENT_MAX + 1], topic[61]; /* topic: the unit's name in topics */
	struct request request;
	struct command_token token;
	uint8_t *frame, *response_topic, *correlation;
	size_t frame_len, response_topic_len, correlation_len, bytes;
};

struct downlink {
	const struct config *config;
	struct sessions *sessions;
	struct unit_listener listener;
	struct outcomes outcomes;
	struct waiting *waiting;      /* hash by number, in the order of arrival */
	struct addressee *addressees; /* hash by ident */
	uint64_t number;
	size_t bytes;   /* memory of all requests that wait; about */
	int64_t due_ms; /* no stage ends before this; steady time */
	struct log_limit no_ident;
};

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
static bool join_waiting(struct downlink *d, struct waiting *w)
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
	w->until_ms = NEVER;
	d->bytes += w->bytes;
	a->count++;
	DL_APPEND(a->waiting, w);
	HASH_ADD(hh, d->waiting, number, sizeof(w->number), w);
	return true;
}

static void leave_waiting(struct downlink *d, struct waiting *w)
{
	struct addressee *a = w->addressee;
	DL_DELETE(a->waiting, w);
	HASH_DEL(d->waiting, w);
	d->bytes -= w->bytes;
	if (--a->count > 0)
		return;
	HASH_DEL(d->addressees, a);
	free(a);
}

void downlink_free(struct downlink *d)
{
	struct waiting *w, *next;
	HASH_ITER(hh, d->waiting, w, next) {
		leave_waiting(d, w);
		free_waiting(w);
	}
	free(d);
}

/* The request enters this stage, which ends at `until_ms` unless something happens before. */
static void wait_until(struct downlink *d, struct waiting *w, enum request_stage stage, int64_t until_ms)
{
	w->stage = stage;
	w->until_ms = until_ms;
	d->due_ms = until_ms < d->due_ms ? until_ms : d->due_ms;
}

/* --- telling --- */

static void tell(struct downlink *d, const struct waiting *w, struct outcome o, struct moment now)
{
	bool named = w->request.name[0] != '\0';
	const struct outcome_subject subject = {
		.ident = w->ident,
		.topic = w->topic,
		.id = w->request.id,
		.name = named ? w->request.name : w->token.word,
		.named = named,
		.frame = span_of(w->frame, w->frame_len),
		.response_topic = span_of(w->response_topic, w->response_topic_len),
		.correlation = span_of(w->correlation, w->correlation_len),
		.sent_ms = w->sent_ms,
		.fresh = w->stage == STAGE_NEW,
	};
	outcome_tell(&d->outcomes, &subject, o, now);
}

static void ends(struct downlink *d, struct waiting *w, struct outcome o, struct moment now)
{
	tell(d, w, o, now);
	if (w->addressee != NULL)
		leave_waiting(d, w);
	free_waiting(w);
}

static void ends_with(struct downlink *d, struct waiting *w, enum outcome_status status, const char *reason,
	struct moment now)
{
	ends(d, w, (struct outcome){.status = status, .reason = reason, .quotes = w->request.quotes}, now);
}

/* --- sending --- */

static struct waiting *waiting_numbered(struct downlink *d, uint64_t number)
{
	struct waiting *w = NULL;
	HASH_FIND(hh, d->waiting, &number, sizeof(number), w);
	return w;
}

/* conn_sent: the bytes of a command were sent, or (`ok` false) never will be. */
static void on_sent(void *ctx, uint64_t number, bool ok, struct moment now)
{
	struct downlink *d = ctx;
	struct waiting *w = waiting_numbered(d, number);
	if (w == NULL)
		return;
	if (!ok) {
		ends_with(
			d, w, OUTCOME_OFFLINE, "the unit's connection ended before the command was sent", now);
		return;
	}
	w->sent_ms = now.steady_ms;
	wait_until(d, w, STAGE_SENT, now.steady_ms + w->timeout_ms);
	tell(d, w, (struct outcome){.status = OUTCOME_SENT}, now);
}

/* Checks the request against the unit's protocol, and queues its command. Ends the request when that is not possible. */
static void send_now(struct downlink *d, struct waiting *w, struct session *session, struct moment now)
{
	char why[1200];
	const char *fault = request_resolve(&w->request, session->codec, why, sizeof(why));
	if (fault != NULL) {
		ends_with(d, w, OUTCOME_REJECTED, fault, now);
		return;
	}
	uint8_t frame[FRAME_MAX];
	struct writer out = writer_of(frame, sizeof(frame));
	if (!session_encode(d->sessions, session, &w->request.command, &out, &w->token, now.unix_ms) ||
		(w->frame = malloc(out.len)) == NULL) {
		ends_with(d, w, OUTCOME_REJECTED, "command too long for this protocol", now);
		return;
	}
	memcpy(w->frame, frame, out.len);
	w->frame_len = out.len;
	w->bytes += out.len;
	d->bytes += out.len;
	wait_until(d, w, STAGE_QUEUED, now.steady_ms + w->timeout_ms);
	if (!session_send(d->sessions, session, writer_span(&out), on_sent, d, w->number, now))
		ends_with(d, w, OUTCOME_REJECTED, "no memory", now);
}

static int64_t hold_of(const struct downlink *d, const struct waiting *w, int64_t expiry_s)
{
	int64_t hold = w->request.hold_ms >= 0 ? w->request.hold_ms : d->config->commands.hold;
	return expiry_s >= 0 && expiry_s * 1000 < hold ? expiry_s * 1000 : hold;
}

static void hold_request(struct downlink *d, struct waiting *w, int64_t hold_ms, struct moment now)
{
	char why[1200];
	const struct codec *codec = session_codec(d->sessions, span_text(w->ident));
	const char *fault = codec != NULL ? request_resolve(&w->request, codec, why, sizeof(why)) : NULL;
	if (fault != NULL) {
		ends_with(d, w, OUTCOME_REJECTED, fault, now);
	} else if (hold_ms <= 0) {
		ends_with(d, w, OUTCOME_OFFLINE, "the unit is not connected", now);
	} else if (!outcome_room(&d->outcomes, now)) {
		ends_with(d, w, OUTCOME_REJECTED, "too many commands at a time", now);
	} else {
		tell(d, w, (struct outcome){.status = OUTCOME_HELD}, now);
		wait_until(d, w, STAGE_HELD, now.steady_ms + hold_ms);
	}
}

/* --- a request --- */

/* Why may this request not wait beside the others? NULL: it may. */
static const char *crowded(const struct downlink *d, const struct waiting *new)
{
	const struct addressee *a = addressee_of(d, new->ident);
	const struct waiting *w;
	DL_FOREACH(waiting_for(d, new->ident), w)
		if (new->request.id[0] != '\0' && strcmp(w->request.id, new->request.id) == 0)
			return "a request with this id is waiting already";
	if (a != NULL && a->count >= d->config->commands.max_held_per_unit)
		return "too many commands are waiting for this unit (max_held_per_unit)";
	bool full = HASH_COUNT(d->waiting) >= WAITING_MAX || d->bytes + new->bytes > WAITING_BYTES_MAX;
	return full ? "too many commands are waiting" : NULL;
}

static bool copy_span(struct span from, uint8_t **to, size_t *len)
{
	*len = from.len;
	*to = from.len > 0 ? malloc(from.len) : NULL;
	if (*to != NULL)
		memcpy(*to, from.ptr, from.len);
	return from.len == 0 || *to != NULL;
}

/* Why is the request rejected, whatever its unit? NULL: it is not. `why`: room for the reason. */
static const char *fault_of(
	const struct downlink *d, struct waiting *w, const struct route_message *r, char *why, size_t size)
{
	const char *fault = request_parse(&w->request, r->payload, why, size);
	w->bytes = sizeof(*w) + w->request.bytes + r->response_topic.len + r->correlation.len;
	if (r->retained)
		return "a retained command is never executed; publish it without the retain flag";
	if (fault == NULL && !allowed_command(d->config, &w->request))
		fault = "this command is not on the allow list of the configuration";
	if (fault != NULL)
		return fault;
	return crowded(d, w);
}

static struct waiting *new_waiting(struct span ident, struct span name)
{
	struct waiting *w = calloc(1, sizeof(*w));
	if (w == NULL)
		return NULL;
	memcpy(w->ident, ident.ptr, ident.len);
	memcpy(w->topic, name.ptr, name.len);
	return w;
}

void downlink_message(void *ctx, const struct route_message *r, struct moment now)
{
	struct downlink *d = ctx;
	struct span name = span_of(NULL, 0), ident;
	char why[600], nowhere[600];
	if (r->retained && r->payload.len == 0) /* somebody clears a retained command: that is no request */
		return;
	bool parsed = topic_parse_command(d->config->publish.prefix, r->topic, &name);
	ident = parsed ? session_ident(d->sessions, name) : name;
	if (!parsed || !topic_ident_ok(ident)) {
		if (log_limit_take(&d->no_ident, 3, now.steady_ms))
			log_notice("command on %s ignored: the ident must be 1 to 20 letters or digits",
				log_bytes(r->topic).text);
		return;
	}
	struct waiting *w = new_waiting(ident, name);
	if (w == NULL)
		return;
	stats_add(d->outcomes.stats, STAT_COMMANDS, 1);
	const char *fault = fault_of(d, w, r, why, sizeof(why));
	const char *no_response = allowed_response(
		d->config, r->response_topic, r->correlation, w->topic, w->ident, nowhere, sizeof(nowhere));
	if (no_response != NULL) {
		w->request.quotes &= fault != NULL;
		fault = fault != NULL ? fault : no_response;
	} else if (!copy_span(r->response_topic, &w->response_topic, &w->response_topic_len) ||
		   !copy_span(r->correlation, &w->correlation, &w->correlation_len)) {
		fault = "no memory";
	}
	if (fault == NULL && !join_waiting(d, w))
		fault = "no memory";
	if (fault != NULL) {
		ends_with(d, w, OUTCOME_REJECTED, fault, now);
		return;
	}
	w->timeout_ms = w->request.timeout_ms > 0 ? w->request.timeout_ms : d->config->commands.timeout;
	struct session *session = session_find(d->sessions, ident);
	if (session != NULL)
		send_now(d, w, session, now);
	else
		hold_request(d, w, hold_of(d, w, r->expiry_s), now);
}

/* --- what happens meanwhile --- */

static void on_ready(void *ctx, struct session *session, struct moment now)
{
	struct downlink *d = ctx;
	struct waiting *w, *next;
	DL_FOREACH_SAFE(waiting_for(d, session->unit.ident), w, next) {
		if (w->stage == STAGE_HELD && w->until_ms > now.steady_ms)
			send_now(d, w, session, now);
		else if (w->stage == STAGE_SENT) /* it was sent on the connection before this one */
			ends_with(d, w, OUTCOME_OFFLINE,
				"the unit came back on a new connection before it answered", now);
	}
}

static void on_offline(void *ctx, struct session *session, const char *reason, struct moment now)
{
	struct downlink *d = ctx;
	struct waiting *w, *next;
	char why[200];
	snprintf(why, sizeof(why), "sent, but the unit went off line before it answered: %s", reason);
	DL_FOREACH_SAFE(waiting_for(d, session->unit.ident), w, next)
		if (w->stage == STAGE_SENT)
			ends_with(d, w, OUTCOME_OFFLINE, why, now);
}

static void on_reply(void *ctx, struct session *session, const struct command_reply *reply, struct moment now)
{
	struct downlink *d = ctx;
	struct waiting *w, *best = NULL;
	int sure = 0;
	DL_FOREACH(waiting_for(d, session->unit.ident), w) {
		if (w->stage != STAGE_SENT)
			continue;
		int match = command_matches(&w->token, &reply->token);
		if (match > sure) { /* of those that fit best, the oldest */
			sure = match;
			best = w;
		}
	}
	if (best != NULL)
		ends(d, best, (struct outcome){.status = OUTCOME_ANSWERED, .reply = reply}, now);
}

static void overdue(struct downlink *d, struct waiting *w, struct moment now)
{
	switch (w->stage) {
	case STAGE_NEW:
		return;
	case STAGE_HELD:
		ends_with(d, w, OUTCOME_EXPIRED, "the unit did not come in time", now);
		return;
	case STAGE_QUEUED:
		session_take_back(d->sessions, span_text(w->ident), w->number);
		ends_with(
			d, w, OUTCOME_TIMEOUT, "not sent in time: the unit does not read what it is sent", now);
		return;
	case STAGE_SENT:
		ends_with(d, w, OUTCOME_TIMEOUT, "the unit did not answer in time", now);
		return;
	}
}

void downlink_tick(struct downlink *d, struct moment now)
{
	struct waiting *w, *next;
	outcome_tick(&d->outcomes, now);
	uint64_t more = log_limit_rest(&d->no_ident, now.steady_ms);
	if (more > 0)
		log_notice("and %llu more commands for no possible ident were ignored in the last minute",
			(unsigned long long)more);
	if (now.steady_ms < d->due_ms)
		return;
	d->due_ms = NEVER;
	HASH_ITER(hh, d->waiting, w, next) {
		if (w->until_ms <= now.steady_ms)
			overdue(d, w, now);
		else if (w->until_ms < d->due_ms)
			d->due_ms = w->until_ms;
	}
}

void downlink_stop(struct downlink *d, struct moment now)
{
	while (d->waiting != NULL)
		ends_with(d, d->waiting, OUTCOME_OFFLINE, "the bridge stops", now);
}

struct downlink *downlink_open(
	const struct config *config, struct sessions *sessions, struct publish *publish, struct stats *stats)
{
	struct downlink *d = calloc(1, sizeof(*d));
	if (d == NULL)
		return NULL;
	d->config = config;
	d->sessions = sessions;
	d->outcomes = (struct outcomes){.publish = publish, .stats = stats};
	d->due_ms = NEVER;
	d->listener =
		(struct unit_listener){.ctx = d, .reply = on_reply, .ready = on_ready, .offline = on_offline};
	return d;
}

const struct unit_listener *downlink_listener(struct downlink *d)
{
	return &d->listener;
}
