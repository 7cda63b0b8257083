// SPDX-License-Identifier: MIT
/* cluster_gate: what may be told of a unit: its status by the bridge that has it alone; what another bridge has meanwhile is not retained.
 * Uses: nothing else.
 * Not: ask the registry. */
#include "bridge/cluster/cluster_private.h"

/* May it have gone elsewhere without this bridge being told? Not if it has come since. */
static bool is_unsure(const struct cluster *c, const struct unit_claim *u)
{
	return c->unsure && !(u->state == CLAIM_ASKED && u->since_ms >= c->unsure_ms);
}

static bool begin(void *ctx, struct session *session)
{
	struct cluster *c = ctx;
	struct unit_claim *u = claim_of(c, session);
	bool may = false;
	switch ((enum claim_state)u->state) {
	case CLAIM_MINE:
	case CLAIM_RELEASED:
		may = !is_unsure(c, u);
		break;
	case CLAIM_ASKED: /* without a registry the newest connection is the best that is known */
		may = u->alone = cluster_is_away(c) && !is_unsure(c, u);
		break;
	case CLAIM_NONE:
	case CLAIM_RELEASING:
	case CLAIM_LOST:
		break;
	}
	u->untold = !may;
	return may;
}

/* Without the registry a number of the same kind: it grows with time. */
static int64_t number(void *ctx, const struct session *session)
{
	const struct cluster *c = ctx;
	const struct unit_claim *u = claim_of(c, (struct session *)(uintptr_t)session);
	int64_t now_ms = cluster_now(c).unix_ms;
	return u->number != 0 ? u->number : now_ms > u->past ? now_ms : u->past + 1;
}

void gate_tell(struct cluster *c, struct session *session)
{
	session_tell_later(c->parts.sessions, session, status_listener(c->parts.status));
}

static void tell_untold(void *ctx, struct session *session)
{
	struct cluster *c = ctx;
	if (claim_of(c, session)->untold)
		gate_tell(c, session);
}

void gate_release(struct cluster *c)
{
	sessions_each(c->parts.sessions, tell_untold, c);
}

/* <prefix>/<name>/<leaf>; false: it is another topic. */
static bool split(const struct cluster *c, struct span topic, struct span *name, struct span *leaf)
{
	const char *prefix = c->parts.config->publish.prefix;
	size_t len = strlen(prefix);
	if (topic.len <= len + 1 || memcmp(topic.ptr, prefix, len) != 0 || topic.ptr[len] != '/')
		return false;
	struct span rest = span_after(topic, len + 1);
	const uint8_t *slash = memchr(rest.ptr, '/', rest.len);
	if (slash == NULL)
		return false;
	*name = span_of(rest.ptr, (size_t)(slash - rest.ptr));
	*leaf = span_after(rest, name->len + 1);
	return true;
}

enum mqtt_pass gate_message(void *ctx, const struct outbox_message *m)
{
	struct cluster *c = ctx;
	struct span name, leaf;
	if (!m->retain || !split(c, m->topic, &name, &leaf))
		return MQTT_PASS_RETAINED;
	struct session *session = session_known(c->parts.sessions, session_ident(c->parts.sessions, name));
	bool position = span_is(leaf, "position") && m->payload.len > 0;
	if (session == NULL || (!position && !span_is(leaf, "status") && !span_is(leaf, "state")))
		return MQTT_PASS_RETAINED;
	struct unit_claim *u = claim_of(c, session);
	bool older = position && m->retain_if_newest &&
		     m->memory_value < publish_newest_ms(c->parts.publish, session);
	if (position && (u->unsettled || older))
		return MQTT_PASS_PLAIN;
	bool unknown = u->state == CLAIM_NONE || (u->state == CLAIM_RELEASING && session->elsewhere);
	if (u->state != CLAIM_LOST && !is_unsure(c, u) && !unknown)
		return MQTT_PASS_RETAINED;
	if (position)
		return MQTT_PASS_PLAIN;
	u->untold = true; /* it is told when this bridge has it, after all */
	return MQTT_PASS_NEVER;
}

void gate_open(struct cluster *c)
{
	const struct status_gate gate = {c, begin, number};
	status_use_gate(c->parts.status, &gate);
}
