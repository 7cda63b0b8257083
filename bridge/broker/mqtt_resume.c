// SPDX-License-Identifier: MIT
/* mqtt_resume: the session that the broker keeps while the bridge is away: its subscriptions, and messages that it delivers again.
 * Uses: nothing else.
 * Not: connect, subscribe.
 *
 * A session is resumed only when the bridge knows which filters the broker has in it: else it begins anew. Filters that are not wanted
 * any more are unsubscribed.
 *
 * A message of QoS 1 is acknowledged when what became of it is stored. So one whose acknowledgement did not arrive comes again on the
 * next connection, with the same packet identifier, and is not handled twice. An acknowledgement has arrived when the broker has answered
 * something that was sent behind it.
 *
 * Some brokers number anew what they deliver again, or deliver again for a while what was acknowledged: a cluster one of whose nodes has died.
 * A request that has a name of its own is recognised there as well. */
#include "bridge/broker/mqtt_private.h"

#include <stdlib.h>

static const char SESSION_KEY[] = "session";
#define WHOSE_MOST 1200  /* bytes that name a session: client id, host, port */
#define KEPT_MOST 16384u /* bytes of the name and the filters; with more of them the session is never resumed */
#define DELIVERY_KEY 3
#define AGAIN_SECONDS 10  /* a broker that numbers as before delivers again at the beginning of a connection */
#define NAMED_SECONDS 120 /* so old it may be when it comes again under another number */

/* --- the filters that the broker's session has --- */

static void whose_session(const struct mqtt *m, char *out, size_t size)
{
	const struct config *c = m->config;
	snprintf(out, size, "%s %s %s %d", c->mqtt.client_id, c->publish.instance, c->mqtt.host,
		(int)c->mqtt.port);
}

static bool wants_session(const struct mqtt *m)
{
	return m->config->mqtt.session > 0;
}

/* Notes the filters that the session may have from now on: those of the routes, and those that are still to be unsubscribed. */
static void keep_filters(struct mqtt *m)
{
	uint8_t buf[KEPT_MOST];
	char whose[WHOSE_MOST];
	struct writer w = writer_of(buf, sizeof(buf));
	whose_session(m, whose, sizeof(whose));
	writer_text(&w, whose);
	writer_u8(&w, '\0');
	for (struct mqtt_route *r = m->routes.by_filter; r != NULL; r = r->by_filter.next) {
		writer_text(&w, r->filter);
		writer_u8(&w, '\0');
	}
	for (struct stale *s = m->resume.stale; s != NULL; s = s->next) {
		writer_text(&w, s->filter);
		writer_u8(&w, '\0');
	}
	m->resume.noted = m->routes.number;
	m->resume.known =
		!w.full && outbox_keep(m->outbox, KEEP_COMMANDS, span_text(SESSION_KEY), writer_span(&w));
}

bool resume_filters_changed(struct mqtt *m)
{
	if (!m->resume.known || m->resume.noted == m->routes.number)
		return false;
	keep_filters(m);
	return true;
}

static struct span take_text(struct span *from)
{
	const uint8_t *end = from->len > 0 ? memchr(from->ptr, '\0', from->len) : NULL;
	struct span text = span_of(from->ptr, end != NULL ? (size_t)(end - from->ptr) : 0);
	*from = end != NULL ? span_after(*from, text.len + 1) : span_of(NULL, 0);
	return text;
}

static void take_filters(struct mqtt *m, struct span value)
{
	char whose[WHOSE_MOST];
	whose_session(m, whose, sizeof(whose));
	m->resume.known = span_is(take_text(&value), whose);
	while (m->resume.known && value.len > 0)
		routes_add_stale(m, take_text(&value));
}

/* Those that are wanted, after all, are not stale. */
static void drop_wanted(struct mqtt *m)
{
	for (struct stale **at = &m->resume.stale; *at != NULL;) {
		struct stale *s = *at;
		if (!routes_have(m, s->filter)) {
			at = &s->next;
			continue;
		}
		*at = s->next;
		free(s);
	}
}

static void drop_stale(struct mqtt *m)
{
	while (m->resume.stale != NULL) {
		struct stale *s = m->resume.stale;
		m->resume.stale = s->next;
		free(s);
	}
}

/* --- deliveries --- */

static void delivery_key(unsigned slot, uint8_t out[DELIVERY_KEY])
{
	out[0] = 'd';
	out[1] = (uint8_t)(slot >> 8);
	out[2] = (uint8_t)slot;
}

/* Its acknowledgement has arrived. */
static void close_delivery(struct mqtt *m, unsigned slot)
{
	uint8_t key[DELIVERY_KEY];
	if (!m->resume.delivery[slot].open)
		return;
	m->resume.delivery[slot].open = false;
	m->resume.open--;
	delivery_key(slot, key);
	outbox_keep(m->outbox, KEEP_COMMANDS, span_of(key, sizeof(key)), span_of(NULL, 0));
}

static void note_delivery(struct mqtt *m, unsigned slot, const struct delivery *d)
{
	struct resume *u = &m->resume;
	u->open += !u->delivery[slot].open;
	u->delivery[slot] = *d;
	u->delivery[slot].open = true;
	u->delivery[slot].at = ev_now(m->loop);
}

static void take_delivery(struct mqtt *m, struct span key, struct span value)
{
	struct reader r = reader_of(value);
	unsigned slot = (unsigned)key.ptr[1] << 8 | key.ptr[2];
	if (slot >= RESUME_DELIVERIES || value.len != 10)
		return;
	struct delivery d = {.mid = reader_u16(&r)};
	d.sum = reader_u64(&r);
	note_delivery(m, slot, &d);
	if (m->resume.next <= slot)
		m->resume.next = slot + 1;
}

/* Has this message come on an earlier connection? `renumbered`: perhaps under another number. NULL: no. */
static struct delivery *find_delivery(struct mqtt *m, int mid, uint64_t sum, bool renumbered)
{
	for (unsigned i = 0; i < RESUME_DELIVERIES; i++) {
		struct delivery *d = &m->resume.delivery[i];
		if (d->mid == 0 || d->sum != sum || d->connection == m->resume.connection)
			continue;
		if ((d->open && d->mid == mid) || (renumbered && ev_now(m->loop) - d->at < NAMED_SECONDS))
			return d;
	}
	return NULL;
}

bool resume_again(struct mqtt *m, int mid, const struct route_message *message)
{
	struct resume *u = &m->resume;
	uint8_t key[DELIVERY_KEY], value[10];
	struct writer w = writer_of(value, sizeof(value));
	if (mid == 0 || !wants_session(m) || u->shared) /* QoS 0, or nothing ever comes again, or it may */
		return false;
	uint64_t sum = route_sum(message);
	bool renumbered = mqtt_may_repeat(m) && route_is_named(message);
	struct delivery *d = u->present ? find_delivery(m, mid, sum, renumbered) : NULL;
	if (d != NULL && d->open && d->mid == mid) {
		d->connection = u->connection;
		d->number = ++u->received;
	}
	if (d != NULL)
		return true;
	unsigned slot = u->next++ % RESUME_DELIVERIES;
	const struct delivery fresh = {
		.mid = (uint16_t)mid, .sum = sum, .connection = u->connection, .number = ++u->received};
	note_delivery(m, slot, &fresh);
	delivery_key(slot, key);
	writer_u16(&w, (uint16_t)mid);
	writer_u64(&w, sum);
	outbox_keep(m->outbox, KEEP_COMMANDS, span_of(key, sizeof(key)), writer_span(&w));
	return false;
}

void resume_sent(struct mqtt *m, int mid)
{
	struct resume *u = &m->resume;
	if (u->open == 0 || u->barrier != 0 || m->config->mqtt.qos == 0)
		return;
	u->barrier = mid;
	u->barrier_covers = u->received;
}

void resume_answered(struct mqtt *m, int mid)
{
	struct resume *u = &m->resume;
	if (u->barrier == 0 || u->barrier != mid)
		return;
	u->barrier = 0;
	bool long_ago = ev_now(m->loop) - m->connected_at > AGAIN_SECONDS;
	for (unsigned i = 0; i < RESUME_DELIVERIES; i++) {
		bool here = u->delivery[i].connection == u->connection;
		if (here ? u->delivery[i].number <= u->barrier_covers : long_ago)
			close_delivery(m, i);
	}
}

/* --- connections --- */

static void take_kept(void *ctx, struct span key, struct span value)
{
	struct mqtt *m = ctx;
	if (span_is(key, SESSION_KEY))
		take_filters(m, value);
	else if (key.len == DELIVERY_KEY && key.ptr[0] == 'd')
		take_delivery(m, key, value);
}

void resume_open(struct mqtt *m)
{
	outbox_kept(m->outbox, KEEP_COMMANDS, take_kept, m);
}

void resume_close(struct mqtt *m)
{
	drop_stale(m);
}

bool resume_wanted(struct mqtt *m)
{
	return m->resume.known && wants_session(m) && !(m->resume.apart & 1u << m->at);
}

void resume_connected(struct mqtt *m, bool present)
{
	struct resume *u = &m->resume;
	u->present = present;
	if (!present)
		u->apart |= u->seen;
	u->apart &= ~(1u << m->at);
	u->seen |= 1u << m->at;
	u->connection++;
	u->barrier = 0;
	for (unsigned i = 0; !present && i < RESUME_DELIVERIES; i++) {
		close_delivery(m, i);
		u->delivery[i].mid = 0;
	}
	drop_wanted(m);
	if (!present)
		drop_stale(m);
	for (struct stale *s = u->stale; s != NULL; s = s->next)
		s->mid = routes_unsubscribe(m, s->filter);
	keep_filters(m); /* before a SUBSCRIBE leaves */
}

void resume_unsubscribed(struct mqtt *m, int mid)
{
	for (struct stale **at = &m->resume.stale; *at != NULL; at = &(*at)->next) {
		struct stale *s = *at;
		if (s->mid != mid)
			continue;
		*at = s->next;
		log_notice("the broker's session had a subscription to %s from before; it is ended", s->filter);
		free(s);
		keep_filters(m);
		return;
	}
}
