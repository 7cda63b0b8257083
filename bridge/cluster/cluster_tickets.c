// SPDX-License-Identifier: MIT
/* cluster_tickets: a command ends once: the registry is asked before an end is told, and asked again until it answers.
 * Uses: nothing else.
 * Not: know units. */
#include "bridge/cluster/cluster_private.h"

#include <stdlib.h>

static struct ticket *find(struct cluster *c, int64_t number)
{
	struct ticket *t = NULL;
	uint64_t key = (uint64_t)number;
	HASH_FIND(hh, c->tickets, &key, sizeof(key), t);
	return t;
}

static void forget(struct cluster *c, struct ticket *t)
{
	HASH_DEL(c->tickets, t);
	free(t);
}

static void ask(struct cluster *c, struct ticket *t);

static void on_finished(void *ctx, const struct redisReply *reply, int64_t number, const char *subject)
{
	struct cluster *c = ctx;
	struct ticket *t = find(c, number);
	if (t == NULL || strcmp(t->id, subject) != 0)
		return;
	t->asked = false;
	if (reply == NULL || reply->type != REDIS_REPLY_INTEGER)
		return; /* once more, later */
	if (cluster_now(c).steady_ms - t->asked_ms > c->parts.config->cluster.lease / 2) {
		ask(c, t); /* this process stood still: another one may have told the end meanwhile */
		return;
	}
	char id[TICKET_MAX + 1];
	bool counts = reply->integer != 0;
	uint64_t first = outbox_next_seqnum(c->parts.outbox);
	snprintf(id, sizeof(id), "%s", t->id);
	forget(c, t);
	bool told = downlink_finished(c->parts.downlink, (uint64_t)number, counts);
	if (counts && told)
		ends_told(c, id, first);
	if (counts && !told) { /* the registry has it: it is told when there is room */
		command_let_go(c, id);
		c->untold = true;
	}
}

static void on_held(void *ctx, const struct redisReply *reply, int64_t number, const char *subject)
{
	struct cluster *c = ctx;
	struct ticket *t = find(c, number);
	if (t == NULL || strcmp(t->id, subject) != 0)
		return;
	t->asked = false;
	if (reply == NULL)
		return;
	struct span word = registry_text(reply, 0);
	enum downlink_hold hold = DOWNLINK_ELSEWHERE;
	if (span_is(word, "held"))
		hold = DOWNLINK_HELD;
	else if (span_is(word, "crowded"))
		hold = DOWNLINK_CROWDED;
	else if (span_is(word, "same"))
		hold = DOWNLINK_SAME_ID;
	if (hold == DOWNLINK_HELD || hold == DOWNLINK_ELSEWHERE)
		command_let_go(c, t->id);
	forget(c, t);
	downlink_held(c->parts.downlink, (uint64_t)number, hold, cluster_now(c));
}

static void ask(struct cluster *c, struct ticket *t)
{
	char ms[24], most[24];
	if (!c->joined || t->asked)
		return;
	const struct span argv[] = {span_text(c->me), span_text(t->id), cluster_number(t->hold_ms, ms),
		cluster_number(c->parts.config->commands.max_held_per_unit, most), span_text(t->own_id)};
	struct downlink_ending end = {.reply = span_of(NULL, 0)};
	downlink_ending(c->parts.downlink, t->number, &end);
	const struct span finish[] = {argv[0], argv[1], end.reply, end.response_topic, end.correlation};
	t->asked_ms = cluster_now(c).steady_ms;
	t->asked = t->hold_ms < 0
			   ? cluster_call(c, SCRIPT_FINISH, 5, finish, on_finished, (int64_t)t->number, t->id)
			   : cluster_call(c, SCRIPT_HOLD, 5, argv, on_held, (int64_t)t->number, t->id);
}

static void add(struct cluster *c, uint64_t number, const char *id, const char *own_id, int64_t hold_ms)
{
	struct ticket *t = find(c, (int64_t)number);
	if (t == NULL && (t = calloc(1, sizeof(*t))) != NULL) {
		t->number = number;
		HASH_ADD(hh, c->tickets, number, sizeof(t->number), t);
	}
	if (t == NULL) {
		log_error("no memory to end a command");
		return;
	}
	snprintf(t->id, sizeof(t->id), "%s", id);
	snprintf(t->own_id, sizeof(t->own_id), "%s", own_id);
	t->hold_ms = hold_ms;
	t->asked = false;
	ask(c, t);
}

static void finish(void *ctx, uint64_t number, const char *id)
{
	add(ctx, number, id, "", -1);
}

static void hold(void *ctx, uint64_t number, const char *id, const char *own_id, int64_t hold_ms)
{
	add(ctx, number, id, own_id, hold_ms);
}

void tickets_open(struct cluster *c)
{
	const struct downlink_registry registry = {c, finish, hold};
	downlink_use_registry(c->parts.downlink, &registry);
}

void tickets_ask(struct cluster *c)
{
	struct ticket *t, *next;
	HASH_ITER(hh, c->tickets, t, next)
		ask(c, t);
}

void tickets_free(struct cluster *c)
{
	struct ticket *t, *next;
	HASH_ITER(hh, c->tickets, t, next)
		forget(c, t);
}
