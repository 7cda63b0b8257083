// SPDX-License-Identifier: MIT
/* downlink_cluster: a request that the registry of the cluster knows has the end that the registry allows, and no second one.
 * Uses: bridge/base.
 * Not: know the registry: it is asked through struct downlink_registry. */
#include "bridge/commands/downlink_private.h"

#include "bridge/base/topic.h"
#include "bridge/commands/allowed.h"

#include <utlist.h>

static bool joined(struct downlink *d, struct waiting *w)
{
	return w->addressee != NULL || waiting_join(&d->waiting, w);
}

static void settle(struct downlink *d, struct waiting *w, const struct outcome *o, struct moment now)
{
	uint8_t text[OUTCOME_WRITTEN_MOST];
	struct writer out = writer_of(text, sizeof(text));
	struct outcome end = *o;
	const struct outcome_subject subject = downlink_subject(w, end, now);
	if (outcome_write(&d->outcomes, &subject, end, now, &out))
		end.written = writer_span(&out);
	if (!joined(d, w) || !settling_note(w, &end, now)) {
		log_error("no memory for the end of a command for unit %s", w->ident);
		downlink_tell_end(d, w, NULL, now);
		return;
	}
	w->until_ms = INT64_MAX;
	d->registry.finish(d->registry.ctx, w->number, w->ticket);
}

static void hold_elsewhere(struct downlink *d, struct waiting *w, int64_t hold_ms, struct moment now)
{
	const struct outcome held = {.status = OUTCOME_HELD};
	if (!settling_note(w, &held, now)) {
		downlink_ends_with(d, w, OUTCOME_REJECTED, "no memory", now);
		return;
	}
	w->until_ms = INT64_MAX;
	d->registry.hold(d->registry.ctx, w->number, w->ticket, w->request.id, hold_ms);
}

static struct waiting *settling(struct downlink *d, uint64_t number)
{
	struct waiting *w = waiting_numbered(&d->waiting, number);
	if (w == NULL || w->stage != STAGE_SETTLING)
		return NULL;
	w->stage = w->settling->before;
	return w;
}

bool downlink_ending(const struct downlink *d, uint64_t number, struct downlink_ending *out)
{
	const struct waiting *w = waiting_numbered(&d->waiting, number);
	if (w == NULL || w->stage != STAGE_SETTLING)
		return false;
	*out = (struct downlink_ending){w->settling->outcome.written, w->response_topic, w->correlation};
	return true;
}

bool downlink_finished(struct downlink *d, uint64_t number, bool counts)
{
	struct waiting *w = settling(d, number);
	return w == NULL || downlink_tell_end(d, w, counts ? &w->settling->outcome : NULL, w->settling->at);
}

bool downlink_tell_for(
	struct downlink *d, const char *ident, const struct downlink_ending *end, struct moment now)
{
	return publish_reply(d->outcomes.publish, ident, session_topic_of(d->sessions, ident), end->reply,
		end->response_topic, end->correlation, now.unix_ms);
}

void downlink_held(struct downlink *d, uint64_t number, enum downlink_hold hold, struct moment now)
{
	struct waiting *w = settling(d, number);
	if (w == NULL)
		return;
	switch (hold) {
	case DOWNLINK_HELD:
		downlink_tell_end(d, w, &w->settling->outcome, w->settling->at);
		return;
	case DOWNLINK_ELSEWHERE:
		downlink_tell_end(d, w, NULL, now);
		return;
	case DOWNLINK_CROWDED:
		downlink_ends_with(d, w, OUTCOME_REJECTED,
			"too many commands are waiting for this unit (max_held_per_unit)", now);
		return;
	case DOWNLINK_SAME_ID:
		downlink_ends_with(d, w, OUTCOME_REJECTED, "a request with this id is waiting already", now);
		return;
	}
}

void downlink_end(struct downlink *d, const struct route_message *r, const char *ticket, enum downlink_why why,
	const char *reason, struct moment now)
{
	static const enum outcome_status statuses[] = {
		[DOWNLINK_REFUSED] = OUTCOME_REJECTED,
		[DOWNLINK_GONE] = OUTCOME_OFFLINE,
		[DOWNLINK_EXPIRED] = OUTCOME_EXPIRED,
	};
	struct span name = span_of(NULL, 0);
	char text[600];
	bool parsed = topic_parse_unit(d->config->publish.prefix, r->topic, "cmd", &name);
	struct span ident = parsed ? session_ident(d->sessions, name) : name;
	struct waiting *w = parsed && topic_ident_ok(ident) ? waiting_new(ident, name) : NULL;
	if (w == NULL)
		return;
	snprintf(w->ticket, sizeof(w->ticket), "%s", ticket);
	request_parse(&w->request, r->payload, text, sizeof(text));
	if (allowed_response(d->config, r->response_topic, r->correlation, w->topic, w->ident, text,
		    sizeof(text)) == NULL) {
		waiting_own(w, &w->response_topic, r->response_topic);
		waiting_own(w, &w->correlation, r->correlation);
	}
	downlink_ends_with(d, w, statuses[why], reason, now);
}

void downlink_answers_elsewhere(struct downlink *d, const char *ident)
{
	struct waiting *w;
	DL_FOREACH(waiting_for(&d->waiting, ident), w)
		w->elsewhere |= w->stage == STAGE_SENT;
}

void downlink_use_answers(struct downlink *d, downlink_answer *answer, void *ctx)
{
	d->answer = answer;
	d->answer_ctx = ctx;
}

bool downlink_has(const struct downlink *d, const char *ticket)
{
	return waiting_ticket(&d->waiting, ticket) != NULL;
}

void downlink_take_back(struct downlink *d, const char *reason, struct moment now)
{
	struct waiting *w, *next;
	HASH_ITER(hh, d->waiting.all, w, next) {
		if (w->stage != STAGE_QUEUED)
			continue;
		session_take_back(d->sessions, span_text(w->ident), w->number);
		downlink_ends_with(d, w, OUTCOME_OFFLINE, reason, now);
	}
}

void downlink_use_registry(struct downlink *d, const struct downlink_registry *registry)
{
	static const struct downlink_cluster cluster = {settle, hold_elsewhere};
	d->registry = *registry;
	d->outcomes.instance = d->config->publish.instance;
	d->cluster = &cluster;
}
