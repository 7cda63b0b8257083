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
	if (!joined(d, w) || !settling_note(w, o, now)) {
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

void downlink_finished(struct downlink *d, uint64_t number, bool counts)
{
	struct waiting *w = settling(d, number);
	if (w != NULL)
		downlink_tell_end(d, w, counts ? &w->settling->outcome : NULL, w->settling->at);
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
	const struct waiting *w, *next;
	HASH_ITER(hh, d->waiting.all, w, next)
		if (strcmp(w->ticket, ticket) == 0)
			return true;
	return false;
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
	d->cluster = &cluster;
}
