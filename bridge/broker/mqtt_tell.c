// SPDX-License-Identifier: MIT
/* mqtt_tell: what the broker refuses, for people: one line a minute in the log, and a sentence for /healthz.
 * Uses: bridge/base.
 * Not: change what happens. */
#include "bridge/broker/mqtt_private.h"

#include "bridge/base/reason.h"

#define TOLD_EVERY 60.0

/* 4211 as 4,211 */
static const char *thousands(uint64_t n, char out[32])
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n), o = 0;
	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			out[o++] = ',';
		out[o++] = digits[i];
	}
	out[o] = '\0';
	return out;
}

/* One sentence: the topic, the reason, how many messages wait, and what the ACL should allow: all topics of the bridge. */
static void describe_refused(const struct mqtt *m, char *out, size_t size)
{
	const struct complaint *c = &m->complaint;
	char why[80], cure[240], all[140], n[32];
	snprintf(all, sizeof(all), "%s/#", m->config->publish.prefix);
	reason_text(c->refused_code, why, sizeof(why));
	reason_cure(reason_find(c->refused_code)->publish_cure, mqtt_user(m), all, cure, sizeof(cure));
	snprintf(out, size, "the broker does not take %s: %s: %s messages wait%s%s", c->refused_topic, why,
		thousands(outbox_held(m->outbox), n), *cure ? "; " : "", cure);
}

static void tell_refused(struct mqtt *m)
{
	struct complaint *c = &m->complaint;
	char text[sizeof(m->trouble)];
	size_t held = outbox_held(m->outbox);
	stats_set(m->stats, STAT_WAITING, held);
	if (held == 0 && c->waiting && m->connected) {
		c->waiting = false;
		log_notice("the broker takes all messages again");
	}
	if (held == 0 || c->refused_code == 0 || ev_now(m->loop) < c->refused_from)
		return;
	describe_refused(m, text, sizeof(text));
	log_warning("%s", text);
	c->refused_from = ev_now(m->loop) + TOLD_EVERY;
	c->waiting = true;
}

static void tell_aside(struct mqtt *m)
{
	struct complaint *c = &m->complaint;
	char why[80], cure[240], n[32];
	if (c->aside == 0 || ev_now(m->loop) < c->aside_from)
		return;
	reason_text(c->aside_code, why, sizeof(why));
	reason_cure(reason_find(c->aside_code)->publish_cure, mqtt_user(m), c->aside_topic, cure, sizeof(cure));
	log_error("%s message%s that the broker cannot take set aside, the last one for %s: %s; "
		  "tracker2mqtt --outbox-status shows them%s%s",
		thousands(c->aside, n), c->aside == 1 ? "" : "s", c->aside_topic, why, *cure ? "; " : "", cure);
	c->aside = 0;
	c->aside_from = ev_now(m->loop) + TOLD_EVERY;
}

const char *mqtt_trouble(struct mqtt *m)
{
	size_t refused = m->routes.refused_count;
	if (m->complaint.refused_code != 0 && outbox_held(m->outbox) > 0)
		describe_refused(m, m->trouble, sizeof(m->trouble));
	else if (mqtt_connected(m) && !m->qos1 && m->config->mqtt.qos == 1)
		snprintf(m->trouble, sizeof(m->trouble),
			"the broker takes QoS 0 only: messages wait; [mqtt] qos = 0 sends them without "
			"guarantee");
	else if (refused > 0)
		snprintf(m->trouble, sizeof(m->trouble), "the broker refuses %zu subscription%s", refused,
			refused == 1 ? "" : "s");
	else
		return NULL;
	return m->trouble;
}

static void add(char *out, size_t size, const char *format, const char *text, const char *more)
{
	size_t n = strlen(out);
	if (n + 1 < size)
		snprintf(out + n, size - n, format, text, more);
}

const char *mqtt_remark(struct mqtt *m)
{
	char why[80];
	const size_t size = sizeof(m->remark);
	m->remark[0] = '\0';
	if (m->hosts.count > 1 && mqtt_connected(m))
		add(m->remark, size, "broker %s%s\n", m->host, "");
	if (!mqtt_connected(m))
		return m->remark;
	for (const struct mqtt_route *r = m->routes.by_filter; r != NULL; r = r->by_filter.next) {
		reason_text(r->refused, why, sizeof(why));
		if (r->refused != 0)
			add(m->remark, size, "the subscription to %s is refused: %s\n", r->filter, why);
		else if (r->state == ROUTE_GRANTED && m->qos1 && (r->humble || mqtt_is_humble(m)))
			add(m->remark, size, "the subscription to %s has QoS 0 only%s\n", r->filter, "");
	}
	return m->remark;
}

void tell_tick(struct mqtt *m)
{
	tell_refused(m);
	tell_aside(m);
}
