// SPDX-License-Identifier: MIT
/* mqtt_routes: filters, their handlers, and the subscriptions for them.
 * Uses: bridge/base.
 * Not: connect, publish.
 *
 * A filter without wildcards is found by its topic; only those with wildcards are compared one by one, so a message costs the
 * same however many routes without wildcards there are. */
#include "bridge/broker/mqtt_private.h"

#include "bridge/base/reason.h"

#include <stdlib.h>
#include <utlist.h>

#define AGAIN_SECONDS 300.
#define ASKED_MOST 256 /* subscriptions that the broker has not answered yet, at once */
#define TOLD_MOST 20   /* refusals in the log, per minute */
#define FILTER_MOST 65535

/* --- states --- */

static struct mqtt_route **list_of(struct routes *all, enum route_state state)
{
	switch (state) {
	case ROUTE_DUE:
		return &all->due;
	case ROUTE_ASKED:
		return &all->asked;
	case ROUTE_REFUSED:
		return &all->refused;
	case ROUTE_GRANTED:
		break;
	}
	return NULL;
}

static void leave_state(struct routes *all, struct mqtt_route *r)
{
	struct mqtt_route **list = list_of(all, r->state);
	if (list != NULL)
		DL_DELETE(*list, r);
	all->asked_count -= r->state == ROUTE_ASKED;
}

static void enter_state(struct routes *all, struct mqtt_route *r, enum route_state state)
{
	struct mqtt_route **list = list_of(all, state);
	r->state = state;
	if (list != NULL)
		DL_APPEND(*list, r);
	all->asked_count += state == ROUTE_ASKED;
}

static void set_state(struct routes *all, struct mqtt_route *r, enum route_state state)
{
	leave_state(all, r);
	enter_state(all, r, state);
}

static void set_refused(struct routes *all, struct mqtt_route *r, int code)
{
	all->refused_count += (code != 0) - (size_t)(r->refused != 0);
	r->refused = code;
}

static void forget_mid(struct routes *all, struct mqtt_route *r)
{
	if (r->mid != 0)
		HASH_DELETE(by_mid, all->by_mid, r);
	r->mid = 0;
}

static void note_mid(struct routes *all, struct mqtt_route *r, int mid)
{
	struct mqtt_route *old = NULL;
	HASH_FIND(by_mid, all->by_mid, &mid, sizeof(mid), old);
	if (old != NULL) /* never answered, and all identifiers were used since */
		forget_mid(all, old);
	forget_mid(all, r);
	r->mid = mid;
	HASH_ADD(by_mid, all->by_mid, mid, sizeof(r->mid), r);
}

/* --- subscribing --- */

/* Tells a refusal, once for each reason. */
static void tell_refused(struct mqtt *m, struct mqtt_route *r, int code)
{
	struct routes *all = &m->routes;
	int64_t now_ms = clock_steady_ms();
	char why[80];
	if (r->told == code)
		return;
	r->told = code;
	reason_text(code, why, sizeof(why));
	uint64_t rest = log_limit_rest(&all->told, now_ms);
	if (rest > 0)
		log_warning("the broker refused %llu more subscriptions", (unsigned long long)rest);
	if (log_limit_take(&all->told, TOLD_MOST, now_ms))
		log_error("the broker refuses the subscription to %s: %s; allow %s to read it in the "
			  "broker's ACL; without it, %s",
			r->filter, why, mqtt_user(m), r->without);
}

/* Can the QoS be the reason? Whoever is not allowed to read a topic, is not at QoS 0 either. */
static bool may_be_qos(int code)
{
	return code == REASON_UNSPECIFIED || code == REASON_ITS_OWN || code == REASON_QUOTA ||
	       code == REASON_NO_QOS;
}

/* A filter that is refused at QoS 1 may be due again, at QoS 0. */
static void not_granted(struct mqtt *m, struct mqtt_route *r, int code)
{
	struct routes *all = &m->routes;
	bool first = !r->humble;
	set_refused(all, r, code);
	if (first) {
		tell_refused(m, r, code);
		stats_add(m->stats, STAT_NOT_SUBSCRIBED, 1);
	}
	r->humble = first && may_be_qos(code);
	if (r->humble) {
		set_state(all, r, ROUTE_DUE);
		return;
	}
	r->again = ev_now(m->loop) + AGAIN_SECONDS;
	set_state(all, r, ROUTE_REFUSED);
}

/* False: the library refuses, because the connection is broken or there is no memory. */
static bool ask(struct mqtt *m, struct mqtt_route *r)
{
	int mid = 0;
	/* retained as published: so that a retained command can be told from others */
	bool qos1 = m->qos1 && !r->humble && !mqtt_is_humble(m);
	int rc = mosquitto_subscribe_v5(
		m->client, &mid, r->filter, qos1, MQTT_SUB_OPT_RETAIN_AS_PUBLISHED, NULL);
	r->asked_at = ev_now(m->loop);
	if (rc == MOSQ_ERR_OVERSIZE_PACKET)
		not_granted(m, r, REASON_TOO_LARGE);
	if (rc != MOSQ_ERR_SUCCESS)
		return rc == MOSQ_ERR_OVERSIZE_PACKET;
	m->last_mid = (uint16_t)mid;
	note_mid(&m->routes, r, mid);
	return true;
}

void routes_subscribe(struct mqtt *m)
{
	struct routes *all = &m->routes;
	struct mqtt_route *r;
	while ((r = all->due) != NULL && mqtt_connected(m) && !mqtt_left_out(m, STAGE_SUBSCRIBE) &&
		all->asked_count < ASKED_MOST && !mqtt_mid_is_taken(m) && ask(m, r))
		if (r->state == ROUTE_DUE)
			set_state(all, r, ROUTE_ASKED);
}

void routes_answered(struct mqtt *m, int mid, int code)
{
	struct routes *all = &m->routes;
	struct mqtt_route *r = NULL;
	HASH_FIND(by_mid, all->by_mid, &mid, sizeof(mid), r);
	if (r == NULL)
		return;
	forget_mid(all, r);
	if (code >= 0x80) {
		not_granted(m, r, code);
	} else {
		if (r->refused != 0)
			log_notice("the broker grants the subscription to %s now%s", r->filter,
				r->humble ? ", at QoS 0: what is published there while the bridge is away does "
					    "not arrive"
					  : "");
		if (!r->humble)
			r->told = 0;
		set_refused(all, r, 0);
		set_state(all, r, ROUTE_GRANTED);
	}
	routes_subscribe(m);
}

void routes_tick(struct mqtt *m)
{
	struct routes *all = &m->routes;
	ev_tstamp now = ev_now(m->loop);
	double limit = (double)m->config->mqtt.ack_timeout / 1000.0;
	while (all->asked != NULL && now - all->asked->asked_at > limit)
		not_granted(m, all->asked, REASON_SILENT); /* a late answer still counts: its mid stays */
	while (all->refused != NULL && now >= all->refused->again && !mqtt_mid_is_taken(m)) {
		struct mqtt_route *r = all->refused;
		r->again = now + AGAIN_SECONDS;
		set_state(all, r, ROUTE_REFUSED); /* to the end of the list */
		if (!ask(m, r))
			break;
	}
	routes_subscribe(m);
}

bool routes_settled(const struct mqtt *m)
{
	return m->routes.due == NULL && m->routes.asked == NULL;
}

void routes_reset(struct mqtt *m)
{
	struct routes *all = &m->routes;
	struct mqtt_route *r, *next;
	HASH_ITER(by_filter, all->by_filter, r, next) {
		forget_mid(all, r);
		r->humble = false;
		set_state(all, r, ROUTE_DUE);
	}
}

/* --- routes --- */

static struct mqtt_route *find(const struct routes *all, const char *filter)
{
	struct mqtt_route *r = NULL;
	HASH_FIND(by_filter, all->by_filter, filter, strlen(filter), r);
	return r;
}

/* The library subscribes to every filter that passes here: one that it refused would hold up the filters behind it. */
static bool is_allowed(const char *filter)
{
	static const char shared[] = "$share/";
	size_t len = strlen(filter);
	return len > 0 && len <= FILTER_MOST && strncmp(filter, shared, sizeof(shared) - 1) != 0 &&
	       mosquitto_sub_topic_check(filter) == MOSQ_ERR_SUCCESS &&
	       mosquitto_validate_utf8(filter, (int)len) == MOSQ_ERR_SUCCESS;
}

bool mqtt_route(struct mqtt *m, const char *filter, route_handler *handler, void *ctx, const char *without)
{
	struct routes *all = &m->routes;
	if (!is_allowed(filter) || find(all, filter) != NULL)
		return false;
	struct mqtt_route *r = calloc(1, sizeof(*r));
	if (r == NULL || (r->filter = strdup(filter)) == NULL) {
		free(r);
		return false;
	}
	r->wild = strpbrk(filter, "+#") != NULL;
	r->handler = handler;
	r->ctx = ctx;
	r->without = without;
	r->number = ++all->number;
	HASH_ADD_KEYPTR(by_filter, all->by_filter, r->filter, strlen(r->filter), r);
	if (r->wild)
		DL_APPEND2(all->wild, r, before, behind);
	enter_state(all, r, ROUTE_DUE);
	routes_subscribe(m);
	return true;
}

static void free_route(struct routes *all, struct mqtt_route *r)
{
	if (r->wild)
		DL_DELETE2(all->wild, r, before, behind);
	free(r->filter);
	free(r);
}

/* While a message is being handled, the route stays in its list, because routes_deliver walks it; it is freed afterwards. */
static void remove_route(struct routes *all, struct mqtt_route *r)
{
	forget_mid(all, r);
	set_refused(all, r, 0);
	leave_state(all, r);
	HASH_DELETE(by_filter, all->by_filter, r);
	r->handler = NULL;
	if (all->delivering)
		LL_PREPEND(all->removed, r);
	else
		free_route(all, r);
}

void routes_add_stale(struct mqtt *m, struct span filter)
{
	struct stale *s = filter.len > 0 ? malloc(sizeof(*s) + filter.len + 1) : NULL;
	if (s == NULL)
		return;
	s->mid = 0;
	memcpy(s->filter, filter.ptr, filter.len);
	s->filter[filter.len] = '\0';
	s->next = m->resume.stale;
	m->resume.stale = s;
}

bool routes_have(const struct mqtt *m, const char *filter)
{
	return find(&m->routes, filter) != NULL;
}

int routes_unsubscribe(struct mqtt *m, const char *filter)
{
	int mid = 0;
	if (mosquitto_unsubscribe_v5(m->client, &mid, filter, NULL) != MOSQ_ERR_SUCCESS)
		return 0;
	m->last_mid = (uint16_t)mid;
	return mid;
}

bool mqtt_unroute(struct mqtt *m, const char *filter)
{
	struct mqtt_route *r = find(&m->routes, filter);
	if (r == NULL)
		return false;
	if (mqtt_connected(m) && (r->state == ROUTE_GRANTED || r->mid != 0))
		routes_unsubscribe(m, filter);
	else if (!mqtt_connected(m) && m->config->mqtt.session > 0)
		routes_add_stale(m, span_text(filter));
	remove_route(&m->routes, r);
	routes_subscribe(m); /* another one may have waited until this one was answered */
	return true;
}

void routes_free(struct mqtt *m)
{
	struct mqtt_route *r, *next;
	HASH_ITER(by_filter, m->routes.by_filter, r, next)
		remove_route(&m->routes, r);
}

/* --- messages --- */

static void give(
	const struct mqtt_route *r, uint64_t newest, const struct route_message *message, struct moment now)
{
	if (r->handler != NULL && r->number <= newest)
		r->handler(r->ctx, message, now);
}

void routes_deliver(struct mqtt *m, const char *topic, const struct route_message *message)
{
	struct routes *all = &m->routes;
	const struct moment now = clock_moment(ev_now(m->loop));
	uint64_t newest = all->number;
	struct mqtt_route *r = find(all, topic), *next;
	bool matches;
	all->delivering = true;
	if (r != NULL && !r->wild)
		give(r, newest, message, now);
	DL_FOREACH2(all->wild, r, behind)
	if (mosquitto_topic_matches_sub(r->filter, topic, &matches) == MOSQ_ERR_SUCCESS && matches)
		give(r, newest, message, now);
	all->delivering = false;
	LL_FOREACH_SAFE(all->removed, r, next)
		free_route(all, r);
	all->removed = NULL;
}
