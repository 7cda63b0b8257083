// SPDX-License-Identifier: MIT
/* cluster_claims: a unit that comes on line is claimed, one that goes is released; who has lost one closes its connection.
 * Uses: bridge/base.
 * Not: hold up records.
 *
 * One claim of a unit in a second at most, however often it comes and goes. */
#include "bridge/cluster/cluster_private.h"

#include "bridge/base/topic.h"

#include <stdlib.h>

#define APART_MS 1000
#define FOUND_MS 1000
#define CALLS_MOST 2000 /* claims under way */
#define SWEEP_AFTER_MS 1000

/* --- what is due --- */

void claims_add(struct cluster *c, const char *ident, int64_t due_ms, bool again)
{
	bool fresh;
	struct todo *t = todo_of(&c->todo, ident, &fresh);
	if (t == NULL)
		return;
	t->due_ms = !fresh && t->due_ms < due_ms ? t->due_ms : due_ms;
	t->again = again && (fresh || t->again);
}

/* --- answers --- */

/* "moved to b", which lasts as long as the process: there are as many as bridges. */
static const char *moved_to(struct cluster *c, struct span to)
{
	char text[100];
	struct reason_text *r = c->reasons;
	snprintf(text, sizeof(text), "moved to %.*s", (int)(to.len < 60 ? to.len : 60), (const char *)to.ptr);
	while (r != NULL && strcmp(r->text, text) != 0)
		r = r->next;
	if (r != NULL)
		return r->text;
	if ((r = malloc(sizeof(*r) + strlen(text) + 1)) == NULL)
		return "moved to another bridge";
	memcpy(r->text, text, strlen(text) + 1);
	r->next = c->reasons;
	c->reasons = r;
	return r->text;
}

static void lose(struct cluster *c, struct session *session, struct span to)
{
	struct unit_claim *u = claim_of(c, session);
	if (u->state != CLAIM_MINE)
		notes_learn(c, session, u->lost, span_of(NULL, 0), 0);
	notes_settle(c, session);
	notes_send(c, session);
	u->state = CLAIM_LOST;
	u->session = 0;
	u->lost = true;
	if (session_has_datagrams(session)) /* its answer may come there */
		downlink_answers_elsewhere(c->parts.downlink, session->unit.ident);
	session->elsewhere = true;
	session_depart(c->parts.sessions, session, moved_to(c, to), cluster_now(c));
}

/* It is the session that was asked for. */
static struct session *session_asked(struct cluster *c, const char *ident, int64_t number)
{
	struct session *session = session_known(c->parts.sessions, span_text(ident));
	return session != NULL && claim_of(c, session)->session == (uint64_t)number ? session : NULL;
}

static void on_claim(void *ctx, const struct redisReply *reply, int64_t number, const char *ident)
{
	struct cluster *c = ctx;
	struct session *session = session_asked(c, ident, number);
	if (session == NULL || session->conn == NULL)
		return;
	struct unit_claim *u = claim_of(c, session);
	if (span_is(registry_text(reply, 0), "lost")) {
		lose(c, session, registry_text(reply, 2));
		return;
	}
	if (!span_is(registry_text(reply, 0),
		    "mine")) { /* nobody knows; an error, which is in the log; nonsense */
		notes_asked(c, u);
		return;
	}
	u->state = CLAIM_MINE;
	u->alone = false;
	u->number = registry_number(reply, 1);
	if (u->number < u->moved) {
		lose(c, session, span_text("another bridge"));
		return;
	}
	session->elsewhere = false;
	bool elsewhere = registry_text(reply, 2).len > 0;
	notes_learn(c, session, (u->lost || elsewhere) && !u->late, registry_text(reply, 4),
		registry_number(reply, 3));
	if (registry_number(reply, 6) != 0 && !u->late)
		notes_wait(c, session);
	else
		notes_settle(c, session);
	if (elsewhere)
		u->came_ms = cluster_now(c).steady_ms;
	u->lost = false;
	u->knows = true;
	if (registry_number(reply, 5) == 0)
		notes_write(c, session);
	gate_tell(c, session);
	if (elsewhere) /* what the bridge before had on its way to the broker may arrive after this one's */
		claims_add(c, ident, cluster_now(c).steady_ms + c->parts.config->cluster.lease / 3, true);
}

static void on_release(void *ctx, const struct redisReply *reply, int64_t number, const char *ident)
{
	struct cluster *c = ctx;
	struct session *session = reply != NULL ? session_asked(c, ident, number) : NULL;
	if (session == NULL || session->conn != NULL)
		return;
	struct unit_claim *u = claim_of(c, session);
	if (u->state != CLAIM_RELEASING)
		return;
	bool mine = reply->type == REDIS_REPLY_INTEGER && reply->integer > 0;
	u->state = mine ? CLAIM_RELEASED : CLAIM_LOST;
	if (mine)
		u->number = reply->integer;
	session->elsewhere = !mine;
	if (mine)
		gate_tell(c, session);
}

/* --- calls --- */

static bool claim(struct cluster *c, struct session *session)
{
	char age[24], number[24];
	struct unit_claim *u = claim_of(c, session);
	int64_t now_ms = cluster_now(c).steady_ms;
	const struct span argv[] = {span_text(session->unit.ident), span_text(c->me),
		cluster_number(now_ms - u->since_ms, age), cluster_number(u->number, number),
		span_text(session->trusted ? "1" : "0"), span_text(u->knows && !u->lost ? "0" : "1")};
	if (!cluster_call(c, SCRIPT_CLAIM, 6, argv, on_claim, (int64_t)u->session, session->unit.ident))
		return false;
	u->asked_ms = now_ms;
	notes_ask(c, u);
	u->told_trusted = session->trusted;
	return true;
}

static bool release(struct cluster *c, struct session *session)
{
	char number[24];
	const struct unit_claim *u = claim_of(c, session);
	const struct span argv[] = {span_text(session->unit.ident), span_text(c->me),
		cluster_number(u->number, number), span_text(u->alone ? "1" : "0")};
	return cluster_call(c, SCRIPT_RELEASE, 4, argv, on_release, 0, session->unit.ident);
}

/* False: not now. */
static bool ask(struct cluster *c, struct session *session)
{
	const struct unit_claim *u = claim_of(c, session);
	if (session->awaited || u->state == CLAIM_LOST)
		return true;
	if (session->conn != NULL)
		return claim(c, session);
	return u->state != CLAIM_RELEASING || release(c, session);
}

/* --- events --- */

/* When the unit came. What is found just after this process stood still came meanwhile: by what is known, at its beginning. */
static int64_t since_ms(const struct cluster *c, struct moment now)
{
	return c->still_ms != 0 && now.steady_ms - c->still_until_ms < FOUND_MS ? c->still_ms : now.steady_ms;
}

static void comes(struct cluster *c, struct session *session, struct moment now)
{
	struct unit_claim *u = claim_of(c, session);
	int64_t due_ms = u->asked_ms != 0 ? u->asked_ms + APART_MS : now.steady_ms;
	u->session = session->number;
	u->state = CLAIM_ASKED;
	u->past = u->number > u->past ? u->number : u->past;
	u->number = 0;
	u->since_ms = since_ms(c, now);
	u->unsettled = true;
	u->late = u->alone = false;
	u->notes = 0;
	session->elsewhere = false;
	if (cluster_is_away(c)) {
		notes_learn(c, session, u->lost, span_of(NULL, 0), 0);
		notes_settle(c, session);
	}
	if (due_ms > now.steady_ms || !c->joined || registry_pending(c->registry) > CALLS_MOST ||
		!claim(c, session))
		claims_add(c, session->unit.ident, due_ms, false);
}

static void goes(struct cluster *c, struct session *session, struct moment now)
{
	struct unit_claim *u = claim_of(c, session);
	if (u->state == CLAIM_LOST || u->state == CLAIM_RELEASING || u->state == CLAIM_RELEASED)
		return;
	if (u->state == CLAIM_MINE)
		notes_write(c, session);
	u->state = CLAIM_RELEASING;
	u->session = 0;
	if (!c->joined || !release(c, session))
		claims_add(c, session->unit.ident, now.steady_ms, false);
}

static bool tell(void *ctx, struct session *session, struct moment now)
{
	struct cluster *c = ctx;
	const struct unit_claim *u = claim_of(c, session);
	if (session->awaited)
		return true;
	if (session->conn == NULL)
		goes(c, session, now);
	else if (u->session != session->number)
		comes(c, session, now);
	else if (u->told_trusted != session->trusted)
		claims_add(c, session->unit.ident, now.steady_ms, false);
	return true;
}

void claims_moved(struct cluster *c, struct span ident, int64_t number, struct span to)
{
	struct session *session = session_known(c->parts.sessions, ident);
	if (session == NULL)
		return;
	struct unit_claim *u = claim_of(c, session);
	if (u->state == CLAIM_ASKED) /* it may have come back since: the answer says which claim is newer */
		u->moved = number;
	if (u->state == CLAIM_ASKED || number <= u->number)
		return;
	lose(c, session, to);
}

static void make_up(void *ctx, struct session *session)
{
	struct cluster *c = ctx;
	const struct unit_claim *u = claim_of(c, session);
	bool due = session->conn != NULL ? u->state != CLAIM_LOST
					 : u->state == CLAIM_RELEASING && !session->awaited;
	if (due)
		claims_add(c, session->unit.ident, 0, false);
}

void claims_make_up(struct cluster *c)
{
	sessions_each(c->parts.sessions, make_up, c);
}

static bool still_asked(const struct cluster *c, const struct session *session)
{
	const struct unit_claim *u = session_memory((struct session *)(uintptr_t)session, c->place);
	return session->conn != NULL || u->state == CLAIM_RELEASING;
}

/* --- units that an earlier run had, and of which this one knows nothing --- */

static void on_units(void *ctx, const struct redisReply *reply, int64_t number, const char *subject)
{
	struct cluster *c = ctx;
	(void)number;
	(void)subject;
	c->swept = reply != NULL;
	for (size_t i = 0; reply != NULL && reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++) {
		struct span name = registry_text(reply, i);
		const struct span argv[] = {span_text(c->me), name};
		if (topic_ident_ok(name) && session_known(c->parts.sessions, name) == NULL)
			cluster_call(c, SCRIPT_SWEEP, 2, argv, NULL, 0, "");
	}
}

/* Those that have not come back within [units] return. */
static void sweep(struct cluster *c, int64_t now_ms)
{
	char key[120];
	if (c->swept || now_ms - c->began_ms < c->parts.config->units.comes_back + SWEEP_AFTER_MS)
		return;
	snprintf(key, sizeof(key), "%s:units:%s", c->parts.config->cluster.name, c->me);
	const struct span argv[] = {span_text("SMEMBERS"), span_text(key)};
	c->swept = registry_call(c->registry, 2, argv, on_units, c, 0, "");
}

void claims_tick(struct cluster *c)
{
	struct todo *t, *next;
	int64_t now_ms = cluster_now(c).steady_ms;
	if (!c->joined)
		return;
	sweep(c, now_ms);
	HASH_ITER(hh, c->todo, t, next) {
		if (t->due_ms > now_ms)
			continue;
		if (registry_pending(c->registry) > CALLS_MOST)
			return;
		struct session *session = session_known(c->parts.sessions, span_text(t->ident));
		if (session != NULL && t->again)
			gate_tell(c, session);
		else if (session != NULL && still_asked(c, session) && !ask(c, session))
			return;
		todo_drop(&c->todo, t);
	}
}

static void note_recalled(void *ctx, struct session *session)
{
	struct cluster *c = ctx;
	struct unit_claim *u = claim_of(c, session);
	session->elsewhere = true;
	if (session->awaited)
		return;
	u->state = CLAIM_RELEASING; /* was it this bridge's last? */
	claims_add(c, session->unit.ident, 0, false);
}

void cluster_recalled(struct cluster *c)
{
	sessions_each(c->parts.sessions, note_recalled, c);
}

void claims_open(struct cluster *c)
{
	c->place = sessions_reserve(c->parts.sessions, sizeof(struct unit_claim));
	c->listener = (struct unit_listener){.ctx = c, .tell = tell, .tells_presence = true};
}

void claims_free(struct cluster *c)
{
	todo_free(&c->todo);
	while (c->reasons != NULL) {
		struct reason_text *r = c->reasons;
		c->reasons = r->next;
		free(r);
	}
}
