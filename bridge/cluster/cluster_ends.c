// SPDX-License-Identifier: MIT
/* cluster_ends: the registry keeps the end of a command until it is safe here: so a bridge that is killed in between leaves no command without an end.
 * Uses: bridge/base.
 * Not: decide what the end is.
 *
 * An end is safe when the outbox says so, or, where the outbox has no store, when the broker has it. A mark beside the outbox, stored with the end,
 * says so to the next run. */
#include "bridge/cluster/cluster_private.h"

#include "bridge/base/topic.h"

#include <stdlib.h>

#define AT_ONCE 200
#define TOPIC_MOST 300
#define MARK "end-"

/* --- the mark --- */

static struct span mark_of(const char *id, char key[32])
{
	uint64_t sum = sum_bytes(SUM_OF_NOTHING, span_text(id));
	snprintf(key, 32, MARK "%016llx", (unsigned long long)sum);
	return span_text(key);
}

static bool keep_mark(struct cluster *c, const char *id, bool on)
{
	char key[32];
	return outbox_keep(c->parts.outbox, KEEP_COMMANDS, mark_of(id, key), span_text(on ? "1" : ""));
}

void ends_read_mark(struct cluster *c, struct span key)
{
	struct mark *m = NULL;
	if (!span_is(span_part(key, 0, sizeof(MARK) - 1), MARK) || key.len >= sizeof(m->key) ||
		(m = calloc(1, sizeof(*m))) == NULL)
		return;
	span_copy(key, m->key, sizeof(m->key));
	HASH_ADD_STR(c->marks, key, m);
}

/* Did an earlier run store it? */
static bool is_marked(const struct cluster *c, const char *id)
{
	char key[32];
	struct mark *m = NULL;
	mark_of(id, key);
	HASH_FIND_STR(c->marks, key, m);
	return m != NULL;
}

/* --- told here --- */

static struct told *find(const struct cluster *c, const char *id)
{
	struct told *t = NULL;
	HASH_FIND_STR(c->told, id, t);
	return t;
}

void ends_told(struct cluster *c, const char *id, uint64_t first)
{
	struct told *t = find(c, id);
	uint64_t next = outbox_next_seqnum(c->parts.outbox);
	if (t == NULL && (t = calloc(1, sizeof(*t))) == NULL)
		return; /* it stays in the registry, and is told once more by the next run */
	if (*t->id == '\0') {
		snprintf(t->id, sizeof(t->id), "%s", id);
		HASH_ADD_STR(c->told, id, t);
	}
	t->first = first;
	t->last = next > first ? next - 1 : 0;
	if (t->last != 0 && !is_marked(c, id))
		keep_mark(c, id, true);
}

static void on_confirmed(void *ctx, const struct redisReply *reply, int64_t number, const char *subject)
{
	struct cluster *c = ctx;
	struct told *t = find(c, subject);
	(void)number;
	if (t == NULL)
		return;
	t->asked = false;
	if (reply == NULL)
		return; /* once more, later */
	keep_mark(c, subject, false);
	HASH_DEL(c->told, t);
	free(t);
}

static bool is_safe(const struct cluster *c, const struct told *t)
{
	char topic[TOPIC_MOST];
	if (t->last == 0)
		return true;
	if (outbox_keeps(c->parts.outbox))
		return t->last <= outbox_safe_seqnum(c->parts.outbox);
	return !outbox_topic(c->parts.outbox, t->first, topic, sizeof(topic)) &&
	       !outbox_topic(c->parts.outbox, t->last, topic, sizeof(topic));
}

void ends_turn(struct cluster *c)
{
	struct told *t, *next;
	unsigned left = AT_ONCE;
	HASH_ITER(hh, c->told, t, next) {
		const struct span argv[] = {span_text(c->me), span_text(t->id)};
		if (!c->joined || left-- == 0)
			return;
		if (!t->asked && is_safe(c, t))
			t->asked = cluster_call(c, SCRIPT_CONFIRM, 2, argv, on_confirmed, 0, t->id);
	}
}

/* --- told for another bridge, or for an earlier run --- */

/* What left() in scripts.c says of a command: kept(), state, fate, reply, response topic, correlation data. */
enum { LEFT_KEPT = 0, LEFT_STATE, LEFT_FATE, LEFT_REPLY, LEFT_RESPONSE, LEFT_CORRELATION, LEFT_WORDS };

static void tell(struct cluster *c, const struct redisReply *left, const char *ident, const char *id)
{
	const struct downlink_ending end = {registry_text(left, LEFT_REPLY), registry_text(left, LEFT_RESPONSE),
		registry_text(left, LEFT_CORRELATION)};
	uint64_t first = outbox_next_seqnum(c->parts.outbox);
	bool known = is_marked(c, id) || end.reply.len == 0 || end.reply.len > OUTCOME_MOST ||
		     end.response_topic.len > TOPIC_MOST;
	if (!known && !downlink_tell_for(c->parts.downlink, ident, &end, cluster_now(c))) {
		c->untold = true;
		return;
	}
	if (!known)
		log_notice("command for unit %s: its end, which another run had noted, is told", ident);
	ends_told(c, id, first);
}

static void end_left(struct cluster *c, const struct redisReply *left, const char *gone, bool again)
{
	struct route_message m;
	char ident[CODEC_IDENT_MAX + 1], id[TICKET_MAX + 1];
	struct moment now = cluster_now(c);
	struct span fate = registry_text(left, LEFT_FATE);
	if (left->elements != LEFT_WORDS || !cluster_read_kept(registry_item(left, LEFT_KEPT), &m, ident, id) ||
		!topic_ident_ok(span_text(ident)) || downlink_has(c->parts.downlink, id) || carry_has(c, id) ||
		find(c, id) != NULL || command_was_had(c, id))
		return;
	if (span_is(registry_text(left, LEFT_STATE), "wait"))
		carry_on(c, &m, ident, id);
	else if (span_is(registry_text(left, LEFT_STATE), "ending"))
		tell(c, left, ident, id);
	else if (span_is(fate, "expired"))
		downlink_end(c->parts.downlink, &m, id, DOWNLINK_EXPIRED, "the unit did not come in time", now);
	else if (again && fate.len == 0)
		command_take(c, &m, id); /* the answer to its taking was lost */
	else
		downlink_end(c->parts.downlink, &m, id, DOWNLINK_GONE, gone, now);
}

void ends_left(struct cluster *c, const struct redisReply *list, const char *gone, bool again)
{
	for (size_t i = 0; list != NULL && list->type == REDIS_REPLY_ARRAY && i < list->elements; i++)
		if (list->element[i]->type == REDIS_REPLY_ARRAY)
			end_left(c, list->element[i], gone, again);
}

void ends_free(struct cluster *c)
{
	struct told *t, *next;
	struct mark *m, *after;
	HASH_ITER(hh, c->told, t, next) {
		HASH_DEL(c->told, t);
		free(t);
	}
	HASH_ITER(hh, c->marks, m, after) {
		HASH_DEL(c->marks, m);
		free(m);
	}
}
