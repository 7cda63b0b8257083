// SPDX-License-Identifier: MIT
/* cluster_carry: a command on its way to the bridge that has its unit.
 * Uses: nothing else.
 * Not: take commands from the broker.
 *
 * Without an answer of the registry a command is not sent anywhere: after a few seconds it is rejected. Only a command that the registry may
 * have waits until the registry says so, or it would end twice. */
#include "bridge/cluster/cluster_private.h"

#include <stdlib.h>

#define CARRIED_MOST 20000
/* Of those that wait until claims are complete, so many are asked for in a millisecond. */
#define WAITING_A_MS 2

static const char away[] = "the registry is away: nobody knows which bridge has the unit; try again later";

static void acknowledge(struct cluster *c, struct carried *m)
{
	c->router.waiting -= m->waits;
	m->waits = false;
}

static void forget(struct cluster *c, struct carried *m)
{
	acknowledge(c, m);
	HASH_DEL(c->carried, m);
	free(m->bytes);
	free(m);
}

static struct carried *find(const struct cluster *c, const char *id)
{
	struct carried *m = NULL;
	HASH_FIND_STR(c->carried, id, m);
	return m;
}

bool carry_has(const struct cluster *c, const char *id)
{
	return find(c, id) != NULL;
}

static void refuse(struct cluster *c, struct carried *m, const char *ticket, const char *reason)
{
	downlink_end(c->parts.downlink, &m->message, ticket, DOWNLINK_REFUSED, reason, cluster_now(c));
	forget(c, m);
}

/* Seconds that are left of its life; below 0: it has no end. */
static int64_t expiry_s(const struct cluster *c, const struct carried *m)
{
	int64_t left = m->message.expiry_s - (cluster_now(c).steady_ms - m->since_ms) / 1000;
	return m->message.expiry_s < 0 ? -1 : left > 0 ? left : 0;
}

static void on_unanswered(struct cluster *c, struct carried *m)
{
	char why[200];
	const char *error = registry_error(c->registry);
	m->maybe = true;
	if (*error == '\0')
		return; /* once more, later */
	snprintf(why, sizeof(why), "the registry refuses the command: %s", error);
	refuse(c, m, m->id, why);
}

/* Nobody else ends it, and the registry does not have it. */
static const char *refusal(const struct carried *m, struct span word)
{
	if (span_is(word, "unknown"))
		return away;
	bool again = m->message.mid != 0 && (m->waits || m->comes_again); /* the broker delivers it again */
	if (span_is(word, "stale") && !again)
		return "another bridge takes the commands now; try again";
	return NULL;
}

/* Is anything said that settles it? */
static bool is_settled(struct span word)
{
	static const char *const words[] = {"sent", "again", "dup", "gone", "stale", "nobody"};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (span_is(word, words[i]))
			return true;
	return false;
}

static void on_routed(void *ctx, const struct redisReply *reply, int64_t number, const char *id)
{
	struct cluster *c = ctx;
	struct carried *m = find(c, id);
	struct span word = registry_text(reply, 0);
	(void)number;
	if (m == NULL)
		return;
	m->asked = false;
	if (reply == NULL) {
		on_unanswered(c, m);
		return;
	}
	const char *reason = refusal(m, word);
	if (reason != NULL) {
		refuse(c, m, "", reason);
		return;
	}
	if (span_is(word, "wait")) {
		acknowledge(c, m);
		m->due_ms = cluster_now(c).steady_ms + HASH_COUNT(c->carried) / WAITING_A_MS;
	}
	if (!is_settled(word)) /* wait, or what is not understood: once more, later */
		return;
	if (span_is(word, "stale") && m->waits)
		c->router.step_down = true; /* the next router gets it from the broker */
	m->message.expiry_s = expiry_s(c, m);
	if (span_is(word, "nobody"))
		command_take(c, &m->message, id);
	forget(c, m);
}

/* What a repetition is recognised by: its packet identifier, or, where it has a name of its own, all of it; 0: it is never repeated. */
static void repetition_key(const struct carried *m, const char *sum, char out[TICKET_MAX + 1])
{
	const struct route_message *r = &m->message;
	if (r->mid != 0 && route_is_named(r))
		snprintf(out, TICKET_MAX + 1, "=%s", sum);
	else
		snprintf(out, TICKET_MAX + 1, "%u", r->mid);
}

static bool route(struct cluster *c, struct carried *m)
{
	char key[TICKET_MAX + 1], sum[24], expiry[24];
	const struct route_message *r = &m->message;
	snprintf(sum, sizeof(sum), "%016llx", (unsigned long long)route_sum(r));
	repetition_key(m, sum, key);
	const struct span argv[] = {span_text(c->me), span_text(c->run), span_text(m->id), span_text(m->ident),
		span_text(key), span_text(m->mark), span_text(sum),
		span_text(m->late    ? "2"
			  : m->maybe ? "1"
				     : "0"),
		span_text("topic"), r->topic, span_text("payload"), r->payload, span_text("retained"),
		span_text(r->retained ? "1" : "0"), span_text("response"), r->response_topic,
		span_text("correlation"), r->correlation, span_text("responds"),
		span_text(r->response_topic.ptr != NULL ? "1" : "0"), span_text("expiry"),
		cluster_number(expiry_s(c, m), expiry)};
	return cluster_call(c, SCRIPT_ROUTE, r->expiry_s >= 0 ? 22 : 20, argv, on_routed, 0, m->id);
}

static void ask(struct cluster *c, struct carried *m)
{
	const struct span argv[] = {span_text(c->me), span_text(m->id)};
	if (!c->joined || m->asked)
		return;
	m->asked = m->from_broker ? route(c, m) : cluster_call(c, SCRIPT_PASS, 2, argv, on_routed, 0, m->id);
}

static struct span copy(char **to, struct span from)
{
	char *at = *to;
	if (from.len > 0)
		memcpy(at, from.ptr, from.len);
	*to += from.len;
	return span_of(
		from.ptr != NULL ? at : NULL, from.len); /* an empty response topic is not the same as none */
}

bool carry_message(
	struct cluster *c, const struct route_message *r, const char *ident, const char *id, bool from_broker)
{
	struct carried *m = HASH_COUNT(c->carried) < CARRIED_MOST ? calloc(1, sizeof(*m)) : NULL;
	size_t len = r->topic.len + r->payload.len + r->response_topic.len + r->correlation.len;
	if (m == NULL || (m->bytes = malloc(len + 1)) == NULL) {
		free(m);
		return false;
	}
	char *to = m->bytes;
	snprintf(m->id, sizeof(m->id), "%s", id);
	snprintf(m->ident, sizeof(m->ident), "%s", ident);
	m->message = *r;
	m->message.topic = copy(&to, r->topic);
	m->message.payload = copy(&to, r->payload);
	m->message.response_topic = copy(&to, r->response_topic);
	m->message.correlation = copy(&to, r->correlation);
	m->since_ms = cluster_now(c).steady_ms;
	snprintf(m->mark, sizeof(m->mark), "%s", c->router.mark);
	m->from_broker = m->waits = from_broker;
	m->maybe = from_broker && r->mid != 0 && mqtt_may_repeat(c->router.mqtt);
	c->router.waiting += from_broker;
	HASH_ADD_STR(c->carried, id, m);
	ask(c, m);
	return true;
}

void carry_on(struct cluster *c, const struct route_message *r, const char *ident, const char *id)
{
	struct carried *m = carry_message(c, r, ident, id, true) ? find(c, id) : NULL;
	if (m == NULL)
		return;
	m->maybe = true;
	acknowledge(c, m);
}

void carry_drop(struct cluster *c)
{
	struct carried *m, *next;
	HASH_ITER(hh, c->carried, m, next) {
		if (!m->waits || m->message.mid == 0) /* nobody delivers that again */
			continue;
		if (!m->asked && !m->maybe) {
			forget(c, m);
			continue;
		}
		acknowledge(c, m); /* what the registry has of it is seen to the end */
		m->maybe = m->comes_again = true;
	}
}

static void give_up(struct cluster *c, struct carried *m)
{
	if (!m->maybe) {
		refuse(c, m, "", away);
		return;
	}
	m->late = true;
	acknowledge(c, m);
}

void carry_tick(struct cluster *c)
{
	struct carried *m, *next;
	int64_t now_ms = cluster_now(c).steady_ms;
	bool known = c->router.mqtt != NULL && mqtt_connected(c->router.mqtt);
	bool gives_up = known && cluster_is_away(c);
	HASH_ITER(hh, c->carried, m, next) {
		if (gives_up && m->waits)
			give_up(c, m);
		else if (m->due_ms <= now_ms)
			ask(c, m);
	}
}

void carry_free(struct cluster *c)
{
	struct carried *m, *next;
	HASH_ITER(hh, c->carried, m, next)
		forget(c, m);
}
