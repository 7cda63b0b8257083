// SPDX-License-Identifier: MIT
/* cluster_carry: a command on its way to the bridge that has its unit.
 * Uses: nothing else.
 * Not: take commands from the broker.
 *
 * Without an answer of the registry a command is not sent anywhere: after a few seconds it is rejected, and what the registry may have of it
 * is removed as soon as it is back. */
#include "bridge/cluster/cluster_private.h"

#include <stdlib.h>

#define DROPS_MOST 10000
#define CARRIED_MOST 20000

static const char away[] = "the registry is away: nobody knows which bridge has the unit; try again later";
static const char away_maybe[] = "the registry is away; whether the unit got the command is not known";

static void forget(struct cluster *c, struct carried *m)
{
	c->router.from_broker -= m->from_broker;
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

static void on_routed(void *ctx, const struct redisReply *reply, int64_t number, const char *id)
{
	struct cluster *c = ctx;
	struct carried *m = find(c, id);
	(void)number;
	if (m == NULL)
		return;
	m->asked = false;
	if (reply == NULL) {
		m->maybe = true;
		return; /* once more, later */
	}
	struct span word = registry_text(reply, 0);
	if (span_is(word, "wait"))
		return;
	if (span_is(word, "stale"))
		c->router.step_down = true; /* the next router gets it from the broker */
	else if (span_is(word, "nobody") && !downlink_has(c->parts.downlink, id))
		downlink_take(c->parts.downlink, &m->message, id, cluster_now(c));
	forget(c, m);
}

static bool route(struct cluster *c, struct carried *m)
{
	char mid[24], sum[24], expiry[24];
	bool expires = m->message.expiry_s >= 0;
	const struct route_message *r = &m->message;
	const struct router *router = &c->router;
	snprintf(sum, sizeof(sum), "%016llx", (unsigned long long)route_sum(r));
	bool again =
		router->mqtt != NULL && mqtt_resumed(router->mqtt) && mqtt_connected_seconds(router->mqtt) < 30;
	const struct span argv[] = {span_text(c->me), span_text(c->run), span_text(m->id), span_text(m->ident),
		cluster_number(r->mid, mid), span_text(router->mark), span_text(sum),
		span_text(again ? "1" : "0"), span_text("topic"), r->topic, span_text("payload"), r->payload,
		span_text("retained"), span_text(r->retained ? "1" : "0"), span_text("response"),
		r->response_topic, span_text("correlation"), r->correlation, span_text("responds"),
		span_text(r->response_topic.ptr != NULL ? "1" : "0"), span_text("expiry"),
		cluster_number(r->expiry_s, expiry)};
	return cluster_call(c, SCRIPT_ROUTE, expires ? 22 : 20, argv, on_routed, 0, m->id);
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
	m->from_broker = from_broker;
	c->router.from_broker += from_broker;
	HASH_ADD_STR(c->carried, id, m);
	ask(c, m);
	return true;
}

static void drop_later(struct cluster *c, const char *id)
{
	if (c->drops == NULL)
		c->drops = calloc(DROPS_MOST, sizeof(*c->drops));
	if (c->drops != NULL && c->drops_count < DROPS_MOST)
		snprintf(c->drops[c->drops_count++], sizeof(*c->drops), "%s", id);
}

/* What the registry may have of commands that were answered without it. */
static void drop_now(struct cluster *c)
{
	while (c->joined && c->drops_count > 0) {
		const struct span argv[] = {span_text(c->drops[c->drops_count - 1])};
		if (!cluster_call(c, SCRIPT_DROP, 1, argv, NULL, 0, ""))
			return;
		c->drops_count--;
	}
}

void carry_drop(struct cluster *c)
{
	struct carried *m, *next;
	HASH_ITER(hh, c->carried, m, next)
		if (m->from_broker)
			forget(c, m);
}

void carry_tick(struct cluster *c)
{
	struct carried *m, *next;
	struct moment now = cluster_now(c);
	drop_now(c);
	HASH_ITER(hh, c->carried, m, next) {
		bool known = c->router.mqtt != NULL && mqtt_connected(c->router.mqtt);
		bool late = known && cluster_is_away(c);
		ask(c, m);
		if (m->asked || !late || !m->from_broker)
			continue;
		if (m->maybe)
			drop_later(c, m->id);
		downlink_end(c->parts.downlink, &m->message, "", DOWNLINK_REFUSED, m->maybe ? away_maybe : away,
			now);
		forget(c, m);
	}
}

void carry_free(struct cluster *c)
{
	struct carried *m, *next;
	HASH_ITER(hh, c->carried, m, next)
		forget(c, m);
	free(c->drops);
}
