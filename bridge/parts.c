// SPDX-License-Identifier: MIT
/* parts: see parts.h. */
#include "bridge/parts_outbox.h"

#include "bridge/base/log.h"
#include "bridge/base/tls.h"
#include "bridge/check.h"
#include "bridge/drain.h"
#include "bridge/outbox/wishes.h"
#include "bridge/base/topic.h"

#define CATCH_UP_BELOW 1000
#define INFO_AFTER 60. /* seconds of a connection */
#define WISHES_MS 1000
#define WISHES_MOST 100   /* at a time */
#define STATE_BELOW 10000 /* messages wait: else states wait, too */
#define CATCH_UP_MS 10    /* between two turns that tell what is due */
#define LAST_SYNC_MS 5000 /* at most, when the bridge stops: units are not acknowledged then, and send again */
#define CATCH_UP_AT_STOP 1000 /* times a few hundred units */

struct moment parts_now(const struct bridge *b)
{
	return clock_moment(ev_now(b->loop));
}

static void on_remembered(void *ctx, struct span ident, int64_t value, int64_t heard_ms)
{
	sessions_remember(((struct bridge *)ctx)->sessions, ident, value, heard_ms);
}

/* What an earlier run kept. */
static void on_note(void *ctx, struct span name, struct span value)
{
	struct bridge *b = ctx;
	bool of_a_unit = !span_is(span_part(name, 0, 1), "#");
	if (of_a_unit && !sessions_recall(b->sessions, name, value))
		b->unread++;
	else if (!of_a_unit && b->state != NULL)
		state_recall_table(b->state, name, value);
}

/* Units that an earlier run knew. */
static void recall_units(struct bridge *b)
{
	outbox_remembered(b->outbox, on_remembered, b);
	notebook_read(publish_notebook(b->publish), on_note, b);
	if (b->state != NULL)
		state_recalled(b->state);
	if (b->unread > 0)
		log_warning("what was kept of %u units cannot be read; it is learnt anew", b->unread);
}

void parts_use_config(struct bridge *b)
{
	log_open((enum log_level)b->config.log.level);
}

static void use_units(struct bridge *b, struct units *fresh)
{
	struct units *old = b->units;
	units_use(fresh, b->config.codecs);
	bool reject = b->config.units.unknown == UNITS_UNKNOWN_REJECT;
	if (old != NULL && reject) { /* off line under the names that they had */
		sessions_close_strangers(b->sessions, fresh);
		conns_reap(b->conns);
	}
	sessions_use_units(b->sessions, fresh, reject);
	b->units = fresh;
	if (old == NULL)
		return;
	if (b->homeassistant != NULL)
		homeassistant_reload(b->homeassistant);
	units_free(old);
}

bool parts_reload(struct bridge *b)
{
	char why[TLS_WHY_MAX];
	struct config fresh;
	struct units *units = NULL;
	bool ok = config_init(&fresh) && config_load(&fresh, b->path, stderr) == 0 &&
		  check_reload(&fresh, stderr) == 0;
	if (!ok)
		log_error("reload: the configuration has faults; nothing is changed");
	if (ok && (units = units_open(b->config.units.file, stderr)) == NULL) {
		log_error("reload: the units file has faults; nothing is changed, the units stay as they were");
		ok = false;
	}
	if (ok && b->listeners != NULL && !listeners_reload(b->listeners, why, sizeof(why))) {
		log_error("reload: [listen] tls: %s; nothing is changed", why);
		ok = false;
	}
	if (ok && b->web != NULL && !web_reload(b->web, why, sizeof(why))) {
		log_error("reload: %s; nothing is changed", why);
		ok = false;
	}
	if (ok) {
		config_apply(&b->config, &fresh);
		parts_use_config(b);
		records_reload(b->records);
		use_units(b, units);
		b->info_due = true;
		log_notice("reloaded");
	} else if (units != NULL) {
		units_free(units);
	}
	config_free(&fresh);
	return ok;
}

void parts_refresh_stats(void *ctx)
{
	struct bridge *b = ctx;
	stats_set(&b->stats, STAT_UPTIME, (uint64_t)(clock_steady_ms() - b->started_ms) / 1000);
	stats_set(&b->stats, STAT_PENDING, outbox_count(b->outbox));
	stats_set(&b->stats, STAT_PENDING_BYTES, outbox_bytes(b->outbox));
	stats_set(&b->stats, STAT_STALLED, conns_stalled(b->conns) || !outbox_room(b->outbox));
}

static const char *trouble(void *ctx)
{
	struct bridge *b = ctx;
	double away = mqtt_away_seconds(b->mqtt);
	if (!outbox_room(b->outbox))
		return "the outbox is full: reading from units pauses";
	if (b->drains)
		return drain_trouble(b);
	const char *cluster = b->cluster != NULL ? cluster_trouble(b->cluster) : NULL;
	if (away * 1000 < (double)b->config.metrics.offline_limit)
		return cluster != NULL ? cluster : mqtt_trouble(b->mqtt);
	snprintf(b->trouble, sizeof(b->trouble), "the broker has been away for %.0f s", away);
	return b->trouble;
}

static const char *remark(void *ctx)
{
	struct bridge *b = ctx;
	return mqtt_remark(b->mqtt);
}

/* The page and the metrics, at one address or at two. */
static bool open_http(struct bridge *b, char *why, size_t size)
{
	const struct config *c = &b->config;
	const struct metrics_ops ops = {b, parts_refresh_stats, trouble, remark};
	struct web_more more = {.tables = info_tables};
	const union address *metrics = &c->metrics.listen.item[0];
	snprintf(why, size, "no memory for the metrics");
	if (c->metrics.listen.count > 0 && (b->metrics = metrics_open(&b->stats, &ops)) == NULL)
		return false;
	if (b->metrics != NULL && endpoints_have(&c->web.listen, metrics)) {
		more.ctx = b->metrics;
		more.route = metrics_route;
	} else if (b->metrics != NULL) {
		const struct http_options options = {.listen = *metrics,
			.places = 12,
			.places_of_address = 4,
			.quiet_seconds = 3,
			.answer_ms = 5000};
		b->http = http_open(b->loop, &options, why, size);
		if (b->http == NULL || !metrics_route(b->metrics, b->http))
			return false;
	}
	if (c->web.listen.count > 0)
		b->web = web_open(b->loop, c, &b->stats, &more, why, size);
	return c->web.listen.count == 0 || b->web != NULL;
}

static bool open_mqtt(struct bridge *b)
{
	const struct config *c = &b->config;
	struct topic commands = topic_unit(c->publish.prefix, "+", "cmd");
	struct topic raw = topic_unit(c->publish.prefix, "+", "raw/set");
	struct topic status = topic_bridge(c->publish.prefix, c->publish.instance, "status");
	b->mqtt = mqtt_open(b->loop, c, status.text, b->outbox, &b->stats);
	if (b->mqtt == NULL)
		return false;
	if (b->cluster != NULL)
		cluster_use_mqtt(b->cluster, b->mqtt);
	if (c->commands.enabled && b->cluster == NULL &&
		!mqtt_route(b->mqtt, commands.text, downlink_message, b->downlink, "no command arrives"))
		return false;
	if (c->commands.enabled &&
		!mqtt_route(b->mqtt, raw.text, raw_message, b->raw, "nobody can ask for a unit's frames"))
		return false;
	struct topic drain = topic_bridge(c->publish.prefix, c->publish.instance, "drain");
	if (c->commands.enabled &&
		!mqtt_route(b->mqtt, drain.text, drain_message, b, "nobody can drain this bridge"))
		return false;
	return !c->homeassistant.discovery ||
	       mqtt_route(b->mqtt, homeassistant_birth_topic(c).text, homeassistant_birth, b->homeassistant,
		       "Home Assistant's start is missed");
}

/* What units do is told in this order: first to who says whether there is room; then the status, which is the first that is told
 * again and the last that is cleared; then a record, what others make of it, its alarm. */
static bool listen_to_units(struct bridge *b)
{
	struct sessions *s = b->sessions;
	bool ok = sessions_listen(s, publish_listener(b->publish)) &&
		  sessions_listen(s, notebook_listener(publish_notebook(b->publish))) &&
		  (b->cluster == NULL || sessions_listen(s, cluster_listener(b->cluster))) &&
		  sessions_listen(s, status_listener(b->status)) &&
		  sessions_listen(s, records_listener(b->records));
	if (b->owntracks != NULL)
		ok &= sessions_listen(s, owntracks_listener(b->owntracks));
	ok &= sessions_listen(s, records_alarm_listener(b->records));
	ok &= sessions_listen(s, b->state != NULL ? state_listener(b->state) : leftover_listener(b->no_state));
	if (b->state != NULL)
		ok &= sessions_listen(s, state_place_listener(b->state));
	ok &= sessions_listen(s, b->homeassistant != NULL ? homeassistant_listener(b->homeassistant)
							  : leftover_listener(b->no_homeassistant));
	return ok && sessions_listen(s, raw_listener(b->raw)) &&
	       sessions_listen(s, downlink_listener(b->downlink));
}

static bool open_outputs(struct bridge *b)
{
	const struct config *c = &b->config;
	b->publish = publish_open(c, b->outbox, b->sessions);
	if (b->publish == NULL)
		return false;
	b->status = status_open(c, b->publish);
	b->records = records_open(c, b->publish, b->sessions, &b->stats);
	b->raw = raw_open(c, b->publish, b->sessions);
	b->downlink = downlink_open(c, b->sessions, b->publish, b->outbox, &b->stats);
	if (b->status == NULL || b->records == NULL || b->raw == NULL || b->downlink == NULL)
		return false;
	if (state_is_wanted(c))
		b->state = state_open(c, b->publish, b->sessions);
	else
		b->no_state = leftover_open(c, b->publish, b->sessions, &state_leftover);
	if (c->homeassistant.discovery)
		b->homeassistant = homeassistant_open(c, b->publish, b->sessions);
	else
		b->no_homeassistant = leftover_open(c, b->publish, b->sessions, &homeassistant_leftover);
	if ((b->state == NULL && b->no_state == NULL) ||
		(b->homeassistant == NULL && b->no_homeassistant == NULL))
		return false;
	if (*c->owntracks.topic && (b->owntracks = owntracks_open(c, b->publish)) == NULL)
		return false;
	const struct cluster_parts cluster = {b->loop, c, b->sessions, b->outbox, b->publish, b->status,
		b->records, b->state, b->homeassistant, b->downlink};
	if (*c->cluster.registry && (b->cluster = cluster_open(&cluster)) == NULL)
		return false;
	if (!listen_to_units(b))
		return false;
	if (b->cluster != NULL)
		sessions_use_cluster(b->sessions, cluster_listener(b->cluster));
	return true;
}

bool parts_open_inside(struct bridge *b, char *why, size_t size)
{
	const struct config *c = &b->config;
	snprintf(why, size, "no memory");
	if (!parts_outbox_open(b, why, size))
		return false;
	snprintf(why, size, "no memory");
	b->sources = sources_open(&b->stats);
	b->sessions = sessions_open(c, outbox_memory_most(b->outbox), &b->stats);
	if (b->sources == NULL || b->sessions == NULL)
		return false;
	if (!open_outputs(b))
		return false;
	recall_units(b);
	if (b->cluster != NULL)
		cluster_recalled(b->cluster);
	snprintf(why, size, "the units file has faults");
	struct units *units = units_open(c->units.file, stderr);
	if (units == NULL)
		return false;
	use_units(b, units);
	sessions_expect(b->sessions, parts_now(b));
	downlink_restore(b->downlink, parts_now(b));
	snprintf(why, size, "no memory");
	const struct conn_ops conn_ops = sessions_conn_ops(b->sessions);
	b->conns = conns_open(b->loop, c, &conn_ops, b->sources, &b->stats);
	return b->conns != NULL;
}

bool parts_open(struct bridge *b, char *why, size_t size)
{
	const struct config *c = &b->config;
	if (!parts_open_inside(b, why, size) || (b->cluster != NULL && !cluster_begin(b->cluster, why, size)))
		return false;
	if (*c->relay.server && ((b->relay = relay_open(b->loop, c, b->sessions, &b->stats)) == NULL ||
					!sessions_listen(b->sessions, relay_listener(b->relay))))
		return false;
	drain_open(b);
	if (!open_mqtt(b) || !open_http(b, why, size))
		return false;
	b->listeners = listeners_open(b->loop, c, b->conns, why, size);
	return b->listeners != NULL;
}

/* The sooner of two times; -1 is never. */
static int64_t sooner(int64_t a, int64_t b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

/* In how many ms states are due. */
static int64_t tell_states(struct bridge *b, bool last, struct moment now)
{
	if (b->state == NULL)
		return -1;
	state_gate(
		b->state, b->mqtt != NULL && mqtt_connected(b->mqtt) && outbox_count(b->outbox) < STATE_BELOW);
	return state_turn(b->state, last, now);
}

/* The broker may have lost what it retained. What was told before the first connection still waits. Positions are no state but
 * events, so they are told again only where the broker has lost the session as well, and not on each connect. */
static void tell_after_connect(struct bridge *b)
{
	uint64_t connects = b->stats.count[STAT_MQTT_CONNECTS];
	if (connects == b->connects)
		return;
	if (b->connects > 0)
		sessions_tell_all_again(b->sessions);
	if (b->state != NULL && b->mqtt != NULL && !mqtt_resumed(b->mqtt))
		state_tell_places(b->state);
	b->info_due = true;
	b->connects = connects;
}

/* Beside the outbox, as the counters: no record waits for it. It comes behind all that units have said, and
 * never to a broker that says it is too large. A broker of MQTT 3.1.1 cannot say so and may close the connection at it: a good connection is
 * waited for. */
static void tell_info(struct bridge *b)
{
	if (!b->info_due || b->mqtt == NULL || !mqtt_connected(b->mqtt) ||
		outbox_count(b->outbox) > outbox_held(b->outbox))
		return;
	if (mqtt_version(b->mqtt) != 5 && mqtt_connected_seconds(b->mqtt) < INFO_AFTER)
		return;
	b->info_due = false;
	if (!mqtt_takes(b->mqtt, INFO_MOST))
		return;
	struct topic topic = topic_bridge(b->config.publish.prefix, b->config.publish.instance, "info");
	struct writer w = publish_writer(b->publish);
	info_write(&b->config, &w);
	mqtt_publish_now(b->mqtt, topic.text, writer_span(&w), true);
}

int64_t parts_turn(struct bridge *b)
{
	struct moment now = parts_now(b);
	conns_reap(b->conns);
	tell_after_connect(b);
	tell_info(b);
	if (b->web != NULL && b->mqtt != NULL)
		web_use_broker(b->web, mqtt_host_number(b->mqtt));
	/* never more at a time than the broker takes soon */
	bool more = outbox_count(b->outbox) < CATCH_UP_BELOW && sessions_catch_up(b->sessions, false, now);
	if (conns_stalled(b->conns) && outbox_room(b->outbox) && !b->stopping) {
		conns_resume(b->conns);
		if (b->listeners != NULL)
			listeners_resume(b->listeners);
	}
	records_turn(b->records, now);
	int64_t states_ms = tell_states(b, false, now);
	notebook_turn(publish_notebook(b->publish), false, now);
	bool safe = outbox_sync(b->outbox);
	struct outbox_flushes flushes = outbox_flushes(b->outbox);
	conns_flushed(b->conns, flushes.begun, flushes.safe);
	conns_flush(b->conns, safe);
	if (b->cluster != NULL)
		cluster_turn(b->cluster);
	return sooner(more ? CATCH_UP_MS : outbox_flush_in_ms(b->outbox), states_ms);
}

int64_t parts_collect_us(struct bridge *b)
{
	const struct load load = {
		stats_arrived(&b->stats), outbox_next_seqnum(b->outbox), b->stats.count[STAT_PUBLISHED]};
	return collect_next(&b->collect, load, b->config.outbox.collect * 1000);
}

/* Units that people want to be forgotten: once in a second is enough. */
static void fulfil_wishes(struct bridge *b, struct moment now)
{
	char ident[WISH_MAX];
	const char *path = b->config.outbox.path;
	if (*path == '\0' || now.steady_ms < b->wishes_ms)
		return;
	b->wishes_ms = now.steady_ms + WISHES_MS;
	for (unsigned n = 0; n < WISHES_MOST && wish_find(path, ident); n++) {
		bool ok = topic_ident_ok(span_text(ident));
		if (ok && !sessions_forget_unit(b->sessions, span_text(ident), now))
			return; /* no room: the wish stays */
		if (ok)
			log_notice("unit %s is forgotten, as it was wished", ident);
		if (!wish_done(path, ident)) {
			log_warning("a wish to forget unit %s cannot be removed from %s", ident, path);
			b->wishes_ms = INT64_MAX;
			return; /* it would be found again */
		}
	}
}

bool parts_are_done(const struct bridge *b)
{
	bool through = outbox_count(b->outbox) <= outbox_held(b->outbox); /* what the broker refuses may wait */
	bool told = b->cluster == NULL || cluster_is_idle(b->cluster);
	return parts_are_usurped(b) || (b->stopping && told && (through || !mqtt_connected(b->mqtt)));
}

bool parts_are_usurped(const struct bridge *b)
{
	return b->cluster != NULL && cluster_is_usurped(b->cluster);
}

void parts_tick(struct bridge *b)
{
	struct moment now = parts_now(b);
	drain_tick(b);
	fulfil_wishes(b, now);
	downlink_tick(b->downlink, now);
	sessions_tick(b->sessions, now);
}

void parts_stop(struct bridge *b)
{
	b->stopping = true;
	if (b->listeners != NULL)
		listeners_stop(b->listeners);
	conns_reap(b->conns);
	conns_flush(b->conns, outbox_sync_within(b->outbox, LAST_SYNC_MS));
	downlink_stop(b->downlink, parts_now(b));
	conns_close_all(b->conns, "the bridge stops");
	if (b->cluster != NULL)
		cluster_stop(b->cluster);
	for (unsigned i = 0; i < CATCH_UP_AT_STOP && sessions_catch_up(b->sessions, true, parts_now(b)); i++)
		;
	tell_states(b, true, parts_now(b));
	notebook_turn(publish_notebook(b->publish), true, parts_now(b));
}

void parts_close(struct bridge *b)
{
	if (b->listeners != NULL)
		listeners_stop(b->listeners);
	if (b->conns != NULL)
		conns_free(b->conns);
	if (b->listeners != NULL)
		listeners_free(b->listeners);
	if (b->web != NULL)
		web_free(b->web);
	if (b->http != NULL)
		http_free(b->http);
	if (b->metrics != NULL)
		metrics_free(b->metrics);
	if (b->relay != NULL)
		relay_free(b->relay);
	bool usurped = parts_are_usurped(b);
	if (b->cluster != NULL)
		cluster_free(b->cluster);
	if (b->mqtt != NULL && usurped) /* its name, and its status, are another's */
		mqtt_abandon(b->mqtt);
	else if (b->mqtt != NULL)
		mqtt_free(b->mqtt);
	if (b->homeassistant != NULL)
		homeassistant_free(b->homeassistant);
	if (b->no_homeassistant != NULL)
		leftover_free(b->no_homeassistant);
	if (b->state != NULL)
		state_free(b->state);
	if (b->no_state != NULL)
		leftover_free(b->no_state);
	if (b->owntracks != NULL)
		owntracks_free(b->owntracks);
	if (b->downlink != NULL)
		downlink_free(b->downlink);
	if (b->raw != NULL)
		raw_free(b->raw);
	if (b->records != NULL)
		records_free(b->records);
	if (b->status != NULL)
		status_free(b->status);
	if (b->publish != NULL)
		publish_free(b->publish);
	if (b->sessions != NULL)
		sessions_free(b->sessions);
	if (b->sources != NULL)
		sources_free(b->sources);
	if (b->units != NULL)
		units_free(b->units);
	parts_outbox_close(b);
}
