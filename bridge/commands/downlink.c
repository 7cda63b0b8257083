// SPDX-License-Identifier: MIT
/* downlink: see downlink.h. */
#include "bridge/commands/downlink_private.h"

#include "bridge/commands/allowed.h"
#include "bridge/base/log.h"
#include "bridge/base/topic.h"

#include <stdlib.h>
#include <utlist.h>

#define FRAME_MAX 2200
#define WAITING_MAX 100000 /* requests of all units together, and what they take */
#define WAITING_BYTES_MAX (128 << 20)
#define NEVER INT64_MAX
#define SERIAL_TRIES 2048 /* more than may wait for a unit, and than have ended lately */

void downlink_free(struct downlink *d)
{
	struct waiting *w, *next;
	HASH_ITER(hh, d->waiting.all, w, next) {
		waiting_leave(&d->waiting, w);
		waiting_free(w);
	}
	free(d);
}

/* --- stages --- */

/* Writes the request as it is now into the store. False: there is no room for it. */
static bool keep_request(struct downlink *d, struct waiting *w, struct moment now)
{
	uint8_t key[WAITING_KEY], value[WAITING_PACKED_MAX];
	struct writer out = writer_of(value, sizeof(value));
	if (d->outbox == NULL || !outbox_keeps(d->outbox))
		return true;
	waiting_key(w, key);
	waiting_pack(w, now, &out);
	if (out.full || !outbox_keep(d->outbox, KEEP_COMMANDS, span_of(key, sizeof(key)), writer_span(&out)))
		return false;
	w->kept = true;
	return true;
}

static void forget_request(struct downlink *d, const struct waiting *w)
{
	uint8_t key[WAITING_KEY];
	waiting_key(w, key);
	outbox_keep(d->outbox, KEEP_COMMANDS, span_of(key, sizeof(key)), span_of(NULL, 0));
}

/* The request enters this stage, which ends at `until_ms` unless something happens before. */
static void wait_until(struct downlink *d, struct waiting *w, enum request_stage stage, int64_t until_ms)
{
	w->stage = stage;
	w->until_ms = until_ms;
	d->due_ms = until_ms < d->due_ms ? until_ms : d->due_ms;
}

/* --- telling --- */

struct outcome_subject downlink_subject(const struct waiting *w, struct outcome o, struct moment now)
{
	bool named = w->request.name[0] != '\0';
	return (struct outcome_subject){
		.ident = w->ident,
		.topic = w->topic,
		.id = w->request.id,
		.name = named ? w->request.name : w->token.word,
		.named = named,
		.frame = w->frame,
		.response_topic = w->response_topic,
		.correlation = w->correlation,
		.sent_ms = w->sent_ms,
		.answered_ms = o.reply != NULL && o.reply->receipt ? w->receipt_ms : now.steady_ms,
		.fresh = w->stage == STAGE_NEW,
	};
}

bool downlink_tell(struct downlink *d, const struct waiting *w, struct outcome o, struct moment now)
{
	const struct outcome_subject subject = downlink_subject(w, o, now);
	return outcome_tell(&d->outcomes, &subject, o, now);
}

bool downlink_tell_end(struct downlink *d, struct waiting *w, const struct outcome *o, struct moment now)
{
	bool told = o == NULL || downlink_tell(d, w, *o, now);
	if (w->kept)
		forget_request(d, w);
	if (w->stage == STAGE_SENT)
		ended_note(&d->ended, w->ident, &w->token);
	if (w->addressee != NULL)
		waiting_leave(&d->waiting, w);
	waiting_free(w);
	return told;
}

/* Its end is stored in one transaction with its being forgotten: so a request has one end, whenever the process is killed. */
static void ends(struct downlink *d, struct waiting *w, struct outcome o, struct moment now)
{
	if (w->ticket[0] != '\0' && d->cluster != NULL)
		d->cluster->settle(d, w, &o, now);
	else
		downlink_tell_end(d, w, &o, now);
}

/* Nothing better comes: where the unit has sent a receipt, that is its answer. */
void downlink_ends_with(struct downlink *d, struct waiting *w, enum outcome_status status, const char *reason,
	struct moment now)
{
	const struct command_reply receipt = {
		.frame = w->receipt, .result = w->receipt_result, .receipt = true};
	if (w->receipt.len > 0)
		ends(d, w, (struct outcome){.status = OUTCOME_ANSWERED, .reply = &receipt}, now);
	else
		ends(d, w, (struct outcome){.status = status, .reason = reason, .quotes = w->request.quotes},
			now);
}

/* --- sending --- */

/* conn_sent: the bytes of a command were sent, or (`ok` false) never will be. */
static void on_sent(void *ctx, uint64_t number, bool ok, struct moment now)
{
	struct downlink *d = ctx;
	struct waiting *w = waiting_numbered(&d->waiting, number);
	if (w == NULL)
		return;
	if (!ok) {
		downlink_ends_with(
			d, w, OUTCOME_OFFLINE, "the unit's connection ended before the command was sent", now);
		return;
	}
	w->sent_ms = now.steady_ms;
	wait_until(d, w, STAGE_SENT, now.steady_ms + w->timeout_ms);
	downlink_tell(d, w, (struct outcome){.status = OUTCOME_SENT}, now);
	keep_request(d, w, now); /* without room, what was kept when it was queued stays */
}

/* Has another command of this unit that is under way, or has ended lately, the same serial number? A codec counts anew on each
 * connection, and an answer must belong to one command. */
static bool serial_taken(const struct downlink *d, const struct waiting *new)
{
	const struct waiting *w;
	DL_FOREACH(waiting_for(&d->waiting, new->ident), w)
		if (w != new && w->token.serial >= 0 && w->token.serial == new->token.serial)
			return true;
	return new->token.serial >= 0 && ended_has(&d->ended, new->ident, &new->token);
}

/* False: it does not fit, or there is no memory. */
static bool encode(struct downlink *d, struct waiting *w, struct session *session, struct moment now)
{
	uint8_t frame[FRAME_MAX];
	struct writer out;
	unsigned tries = 0;
	do {
		out = writer_of(frame, sizeof(frame));
		if (!session_encode(d->sessions, session, &w->request.command, &out, &w->token, now.unix_ms))
			return false;
	} while (serial_taken(d, w) && ++tries < SERIAL_TRIES);
	d->waiting.bytes -= w->bytes;
	bool ok = waiting_own(w, &w->frame, writer_span(&out));
	d->waiting.bytes += w->bytes;
	return ok;
}

static const char no_room_to_keep[] = "no room to keep the command (an eighth of [outbox] size)";

/* Checks the request against the unit's protocol, and queues its command. Ends the request when that is not possible. */
static void send_now(struct downlink *d, struct waiting *w, struct session *session, struct moment now)
{
	char why[1200];
	const char *fault = request_resolve(&w->request, session->codec, why, sizeof(why));
	if (fault != NULL) {
		downlink_ends_with(d, w, OUTCOME_REJECTED, fault, now);
		return;
	}
	if (!encode(d, w, session, now)) {
		downlink_ends_with(d, w, OUTCOME_REJECTED, "command too long for this protocol", now);
		return;
	}
	w->sent_ms = now.steady_ms; /* not before */
	wait_until(d, w, STAGE_QUEUED, now.steady_ms + w->timeout_ms);
	/* before its bytes leave the store knows that they may have left: so it is never sent twice */
	if (!keep_request(d, w, now))
		downlink_ends_with(d, w, OUTCOME_REJECTED, no_room_to_keep, now);
	else if (!session_send(d->sessions, session, w->frame, on_sent, d, w->number, now))
		downlink_ends_with(d, w, OUTCOME_REJECTED, "no memory", now);
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
		downlink_ends_with(d, w, OUTCOME_REJECTED, fault, now);
	} else if (hold_ms <= 0) {
		downlink_ends_with(d, w, OUTCOME_OFFLINE, "the unit is not connected", now);
	} else if (!outcome_room(&d->outcomes, now)) {
		downlink_ends_with(d, w, OUTCOME_REJECTED, "too many commands at a time", now);
	} else if (w->ticket[0] != '\0' && d->cluster != NULL) {
		d->cluster->hold(d, w, hold_ms, now);
	} else {
		enum request_stage before = w->stage;
		wait_until(d, w, STAGE_HELD, now.steady_ms + hold_ms);
		bool kept = keep_request(d, w, now);
		w->stage = before;
		if (!kept) {
			downlink_ends_with(d, w, OUTCOME_REJECTED, no_room_to_keep, now);
			return;
		}
		downlink_tell(d, w, (struct outcome){.status = OUTCOME_HELD}, now);
		w->stage = STAGE_HELD;
	}
}

/* --- a request --- */

/* Why may this request not wait beside the others? NULL: it may. */
static const char *crowded(const struct downlink *d, const struct waiting *new)
{
	const struct addressee *a = waiting_addressee(&d->waiting, new->ident);
	const struct waiting *w;
	DL_FOREACH(waiting_for(&d->waiting, new->ident), w)
		if (new->request.id[0] != '\0' && strcmp(w->request.id, new->request.id) == 0)
			return "a request with this id is waiting already";
	if (a != NULL && a->count >= d->config->commands.max_held_per_unit)
		return "too many commands are waiting for this unit (max_held_per_unit)";
	bool full =
		HASH_COUNT(d->waiting.all) >= WAITING_MAX || d->waiting.bytes + new->bytes > WAITING_BYTES_MAX;
	return full ? "too many commands are waiting" : NULL;
}

/* Why is the request rejected, whatever its unit? NULL: it is not. `why`: room for the reason. */
static const char *fault_of(
	const struct downlink *d, struct waiting *w, const struct route_message *r, char *why, size_t size)
{
	const char *fault = request_parse(&w->request, r->payload, why, size);
	w->bytes = sizeof(*w) + w->request.bytes;
	if (r->retained)
		return "a retained command is never executed; publish it without the retain flag";
	if (fault == NULL && !allowed_command(d->config, &w->request))
		fault = "this command is not on the allow list of the configuration";
	if (fault != NULL)
		return fault;
	return crowded(d, w);
}

void downlink_message(void *ctx, const struct route_message *r, struct moment now)
{
	downlink_take(ctx, r, "", now);
}

void downlink_take(struct downlink *d, const struct route_message *r, const char *ticket, struct moment now)
{
	struct span name = span_of(NULL, 0), ident;
	char why[600], nowhere[600];
	if (r->retained && r->payload.len == 0) /* somebody clears a retained command: that is no request */
		return;
	bool parsed = topic_parse_unit(d->config->publish.prefix, r->topic, "cmd", &name);
	ident = parsed ? session_ident(d->sessions, name) : name;
	if (!parsed || !topic_ident_ok(ident)) {
		if (log_limit_take(&d->no_ident, 3, now.steady_ms))
			log_notice("command on %s ignored: the ident must be 1 to 20 letters or digits",
				log_bytes(r->topic).text);
		return;
	}
	struct waiting *w = waiting_new(ident, name);
	if (w == NULL)
		return;
	snprintf(w->ticket, sizeof(w->ticket), "%s", ticket);
	stats_add(d->outcomes.stats, STAT_COMMANDS, 1);
	const char *fault = fault_of(d, w, r, why, sizeof(why));
	const char *no_response = allowed_response(
		d->config, r->response_topic, r->correlation, w->topic, w->ident, nowhere, sizeof(nowhere));
	if (no_response != NULL) {
		w->request.quotes &= fault != NULL;
		fault = fault != NULL ? fault : no_response;
	} else if (!waiting_own(w, &w->response_topic, r->response_topic) ||
		   !waiting_own(w, &w->correlation, r->correlation)) {
		fault = "no memory";
	}
	if (fault == NULL && (!waiting_own(w, &w->payload, r->payload) || !waiting_join(&d->waiting, w)))
		fault = "no memory";
	if (fault != NULL) {
		downlink_ends_with(d, w, OUTCOME_REJECTED, fault, now);
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
	DL_FOREACH_SAFE(waiting_for(&d->waiting, session->unit.ident), w, next) {
		if (w->stage == STAGE_HELD && w->until_ms > now.steady_ms)
			send_now(d, w, session, now);
		else if (w->stage == STAGE_SENT && !w->restored &&
			 !w->elsewhere) /* on the connection before this one */
			downlink_ends_with(d, w, OUTCOME_OFFLINE,
				"the unit came back on a new connection before it answered", now);
	}
}

static void on_offline(void *ctx, struct session *session, const char *reason, struct moment now)
{
	struct downlink *d = ctx;
	struct waiting *w, *next;
	char why[200];
	snprintf(why, sizeof(why), "sent, but the unit went off line before it answered: %s", reason);
	DL_FOREACH_SAFE(waiting_for(&d->waiting, session->unit.ident), w, next)
		if (w->stage == STAGE_SENT && !w->restored && !w->elsewhere && !(d->stopping && w->kept))
			downlink_ends_with(d, w, OUTCOME_OFFLINE, why, now);
}

/* The answer proper may still come, until the request ends. A receipt that comes twice is the first one. */
static void note_receipt(
	struct downlink *d, struct waiting *w, const struct command_reply *reply, struct moment now)
{
	if (w->receipt.len > 0)
		return;
	d->waiting.bytes -= w->bytes;
	w->receipt_ms = now.steady_ms;
	if (waiting_own(w, &w->receipt, reply->frame))
		waiting_own(w, &w->receipt_result, reply->result);
	d->waiting.bytes += w->bytes;
	keep_request(d, w, now); /* without room, what was kept before stays */
}

/* False: no request here waits for it. */
static bool answered(
	struct downlink *d, const char *ident, const struct command_reply *reply, struct moment now)
{
	struct waiting *w, *best = NULL;
	int sure = 0;
	DL_FOREACH(waiting_for(&d->waiting, ident), w) {
		if (w->stage != STAGE_SENT)
			continue;
		int match = command_matches(&w->token, &reply->token);
		if (match > sure) { /* of those that fit best, the oldest */
			sure = match;
			best = w;
		}
	}
	if (best == NULL || (sure < 2 && ended_has(&d->ended, ident, &reply->token)))
		return false;
	if (reply->receipt)
		note_receipt(d, best, reply, now);
	else
		ends(d, best, (struct outcome){.status = OUTCOME_ANSWERED, .reply = reply}, now);
	return true;
}

static void on_reply(void *ctx, struct session *session, const struct command_reply *reply, struct moment now)
{
	struct downlink *d = ctx;
	if (!answered(d, session->unit.ident, reply, now) && d->answer != NULL)
		d->answer(d->answer_ctx, session, reply);
}

void downlink_answered(
	struct downlink *d, struct span ident, const struct command_reply *reply, struct moment now)
{
	char name[CODEC_IDENT_MAX + 1];
	span_copy(ident, name, sizeof(name));
	answered(d, name, reply, now);
}

static void overdue(struct downlink *d, struct waiting *w, struct moment now)
{
	switch (w->stage) {
	case STAGE_NEW:
	case STAGE_SETTLING:
		return;
	case STAGE_HELD:
		downlink_ends_with(d, w, OUTCOME_EXPIRED, "the unit did not come in time", now);
		return;
	case STAGE_QUEUED:
		session_take_back(d->sessions, span_text(w->ident), w->number);
		downlink_ends_with(
			d, w, OUTCOME_TIMEOUT, "not sent in time: the unit does not read what it is sent", now);
		return;
	case STAGE_SENT:
		downlink_ends_with(d, w, OUTCOME_TIMEOUT,
			w->restored ? "the unit did not answer in time; the bridge was started anew meanwhile"
				    : "the unit did not answer in time",
			now);
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
	HASH_ITER(hh, d->waiting.all, w, next) {
		if (w->until_ms <= now.steady_ms)
			overdue(d, w, now);
		else if (w->until_ms < d->due_ms)
			d->due_ms = w->until_ms;
	}
}

void downlink_stop(struct downlink *d, struct moment now)
{
	struct waiting *w, *next;
	d->stopping = true;
	HASH_ITER(hh, d->waiting.all, w, next)
		if (!w->kept && w->stage != STAGE_SETTLING)
			downlink_ends_with(d, w, OUTCOME_OFFLINE, "the bridge stops", now);
}

/* --- open --- */

/* Why may this request, which the run before kept, not go on? NULL: it may. */
static const char *no_longer_allowed(const struct downlink *d, struct waiting *w)
{
	char why[600];
	if (allowed_response(
		    d->config, w->response_topic, w->correlation, w->topic, w->ident, why, sizeof(why)) != NULL)
		w->response_topic.len = 0;
	if (w->stage != STAGE_HELD)
		return NULL;
	if (!d->config->commands.enabled)
		return "commands are switched off now";
	return allowed_command(d->config, &w->request) ? NULL : "this command is no longer on the allow list";
}

static void restore(void *ctx, struct span key, struct span value)
{
	struct downlink *d = ctx;
	uint64_t number;
	struct waiting *w = waiting_unpack(key, value, d->restored_at, &number);
	if (w == NULL)
		return;
	d->waiting.number = number - 1;
	if (!waiting_join(&d->waiting, w))
		waiting_free(w);
	else
		wait_until(d, w, w->stage, w->until_ms);
}

void downlink_restore(struct downlink *d, struct moment now)
{
	struct waiting *w, *next;
	d->restored_at = now;
	outbox_kept(d->outbox, KEEP_COMMANDS, restore, d);
	HASH_ITER(hh, d->waiting.all, w, next) {
		const char *fault = no_longer_allowed(d, w);
		if (fault != NULL)
			downlink_ends_with(d, w, OUTCOME_REJECTED, fault, now);
	}
	if (d->waiting.all != NULL)
		log_notice("%u commands from before wait on", HASH_COUNT(d->waiting.all));
}

struct downlink *downlink_open(const struct config *config, struct sessions *sessions, struct publish *publish,
	struct outbox *outbox, struct stats *stats)
{
	struct downlink *d = calloc(1, sizeof(*d));
	if (d == NULL)
		return NULL;
	d->config = config;
	d->sessions = sessions;
	d->outbox = outbox;
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
