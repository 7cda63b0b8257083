/* parts: see parts.h. */
#include "bridge/parts.h"

#include "bridge/base/directory.h"
#include "bridge/base/log.h"
#include "bridge/outbox/store.h"
#include "bridge/base/topic.h"

/* the words of [outbox] sync and damaged are the outbox' own */
_Static_assert((int)CONFIG_SYNC_ALWAYS == (int)OUTBOX_SYNC_ALWAYS, "always");
_Static_assert((int)CONFIG_SYNC_INTERVAL == (int)OUTBOX_SYNC_INTERVAL, "interval");
_Static_assert((int)CONFIG_SYNC_NEVER == (int)OUTBOX_SYNC_NEVER, "never");
_Static_assert((int)CONFIG_DAMAGED_ASIDE == (int)OUTBOX_DAMAGED_ASIDE, "aside");
_Static_assert((int)CONFIG_DAMAGED_REFUSE == (int)OUTBOX_DAMAGED_REFUSE, "refuse");

#define CATCH_UP_BELOW 1000
#define CATCH_UP_MS 10        /* between two turns that tell what is due */
#define CATCH_UP_AT_STOP 1000 /* times a few hundred units */

struct moment parts_now(const struct bridge *b)
{
	return (struct moment){(int64_t)(ev_now(b->loop) * 1000), clock_steady_ms()};
}

void parts_message(void *ctx, const struct mqtt_message *m)
{
	struct bridge *b = ctx;
	if (b->homeassistant != NULL && span_is(m->topic, homeassistant_birth_topic(&b->config).text)) {
		if (span_is(m->payload, "online"))
			sessions_tell_again(b->sessions, SESSION_DUE_DISCOVERY);
		return;
	}
	const struct downlink_request request = {
		m->topic, m->payload, m->retain, m->response_topic, m->correlation, m->expiry_s};
	downlink_message(b->downlink, &request, parts_now(b));
}

static bool on_room(void *ctx)
{
	return uplink_room(((struct bridge *)ctx)->uplink);
}

static enum codec_room on_batch(void *ctx, size_t records)
{
	return uplink_batch(((struct bridge *)ctx)->uplink, records);
}

static bool on_share(void *ctx, const struct conn *conn)
{
	return uplink_share(((struct bridge *)ctx)->uplink, conn);
}

static bool on_record(
	void *ctx, struct session *session, struct conn *conn, struct telemetry *t, struct moment now)
{
	struct bridge *b = ctx;
	if (!uplink_record(b->uplink, session, conn, t, now))
		return false;
	if (b->homeassistant != NULL && session->trusted && homeassistant_record(session, t) &&
		!homeassistant_tell(b->homeassistant, session, now.unix_ms))
		session_set_due(b->sessions, session, session->due | SESSION_DUE_DISCOVERY);
	return true;
}

static void on_reply(void *ctx, struct session *session, const struct command_reply *reply, struct moment now)
{
	downlink_reply(((struct bridge *)ctx)->downlink, session, reply, now);
}

static bool on_status(void *ctx, struct session *session, struct moment now)
{
	return uplink_status(((struct bridge *)ctx)->uplink, session, now);
}

static void on_ready(void *ctx, struct session *session, struct moment now)
{
	downlink_online(((struct bridge *)ctx)->downlink, session, now);
}

static void on_offline(void *ctx, struct session *session, const char *reason, struct moment now)
{
	struct bridge *b = ctx;
	downlink_offline(b->downlink, session, reason, now);
	if (b->relay != NULL)
		relay_offline(b->relay, session->unit.ident);
}

static bool on_forgotten(void *ctx, struct session *session, struct moment now)
{
	struct bridge *b = ctx;
	bool gone = b->homeassistant == NULL ||
		    homeassistant_remove(b->homeassistant, session->unit.ident, now.unix_ms);
	return gone && uplink_forgotten(b->uplink, session, now);
}

static bool on_cleared(void *ctx, const char *ident, const char *name, struct moment now)
{
	return uplink_cleared(((struct bridge *)ctx)->uplink, ident, name, now);
}

static bool on_discovery(void *ctx, struct session *session, struct moment now)
{
	struct bridge *b = ctx;
	return b->homeassistant == NULL || homeassistant_tell(b->homeassistant, session, now.unix_ms);
}

static void on_frame(void *ctx, const struct session *session, bool in, struct span frame, const char *error)
{
	struct bridge *b = ctx;
	uplink_frame(b->uplink, session, in, frame, error);
	bool wanted = b->relay != NULL && in && session != NULL && session->conn != NULL && session->trusted &&
		      (session->info == NULL || session->info->relay == UNIT_RELAY_YES);
	if (wanted && session->codec->relayed)
		relay_frame(b->relay, session->unit.ident, frame);
}

/* What the maker's platform says to a unit. */
static void on_relay_reply(void *ctx, const char *ident, struct span bytes)
{
	struct session *session = session_find(((struct bridge *)ctx)->sessions, span_text(ident));
	if (session != NULL)
		conn_answer(session->conn, bytes, false);
}

static void on_unknown(void *ctx, const struct conn *conn, struct span head, struct moment now)
{
	uplink_unknown(((struct bridge *)ctx)->uplink, conn, head, now);
}

static void on_remembered(void *ctx, struct span ident, int64_t newest_ms, int64_t heard_ms)
{
	sessions_remember(((struct bridge *)ctx)->sessions, ident, newest_ms, heard_ms);
}

void parts_use_config(struct bridge *b)
{
	log_open((enum log_level)b->config.log.level);
}

static void on_gone(void *ctx, const char *ident)
{
	struct bridge *b = ctx;
	homeassistant_remove(b->homeassistant, ident, parts_now(b).unix_ms);
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
		units_gone(old, fresh, on_gone, b);
	units_free(old);
}

/* Can what is to be kept on disk be kept there? */
static unsigned check_places(const struct config *c, FILE *errors)
{
	char where[DIRECTORY_PATH_MAX];
	unsigned faults = 0;
	for (struct option_at at = {0}; option_next(&at);) {
		const struct option_row *row = at.row;
		bool directory = at.codec == NULL && (row->flags & OPTION_DIRECTORY);
		const char *path =
			directory ? *(char *const *)(const void *)((const char *)c + row->offset) : "";
		const char *fault = *path ? directory_fault(path, where) : NULL;
		if (fault != NULL)
			faults += fprintf(errors,
					  "[%s] %s = %s cannot be made: %s: %s; allowed: a directory that this "
					  "user may "
					  "make and write\n",
					  at.section, row->key, path, where, fault) > 0;
	}
	return faults;
}

unsigned parts_check(const struct config *c, bool places, FILE *errors)
{
	char why[TLS_WHY_MAX];
	unsigned faults = places ? check_places(c, errors) : 0;
	if (*c->outbox.path && !store_fits((uint64_t)c->outbox.size))
		faults += fprintf(errors,
				  "[outbox] size = %lldM: this process has no address space for it (32 bit, or "
				  "a limit "
				  "of the system); set a smaller one\n",
				  (long long)(c->outbox.size >> 20)) > 0;
	struct units *units = units_open(c->units.file, errors);
	if (units != NULL)
		units_free(units);
	else
		faults++;
	if (c->listen.tls.count > 0 && *c->listen.tls_cert_file && *c->listen.tls_key_file) {
		struct tls_server *server =
			tls_server_open(c->listen.tls_cert_file, c->listen.tls_key_file, why);
		if (server != NULL)
			tls_server_free(server);
		else
			log_fault(errors, "[listen] tls: %s", why);
		faults += server == NULL ? 1 : 0;
	}
	const struct tls_client_options options = {
		c->mqtt.tls_ca_file, c->mqtt.tls_cert_file, c->mqtt.tls_key_file, c->mqtt.host};
	struct tls_client *client = c->mqtt.tls ? tls_client_open(&options, why) : NULL;
	if (client != NULL)
		tls_client_free(client);
	else if (c->mqtt.tls)
		log_fault(errors, "[mqtt] tls: %s", why);
	return faults + (c->mqtt.tls && client == NULL ? 1 : 0);
}

bool parts_reload(struct bridge *b)
{
	char why[TLS_WHY_MAX];
	struct config fresh;
	struct units *units = NULL;
	config_init(&fresh);
	bool ok = config_load(&fresh, b->path, stderr) == 0;
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
	if (ok) {
		config_apply(&b->config, &fresh);
		parts_use_config(b);
		use_units(b, units);
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
	if (away * 1000 < (double)b->config.metrics.offline_limit)
		return mqtt_trouble(b->mqtt);
	snprintf(b->trouble, sizeof(b->trouble), "the broker has been away for %.0f s", away);
	return b->trouble;
}

static bool open_metrics(struct bridge *b, char *why, size_t size)
{
	const struct metrics_ops ops = {b, parts_refresh_stats, trouble};
	if (b->config.metrics.listen.count == 0)
		return true;
	b->metrics = metrics_open(b->loop, &b->config.metrics.listen.item[0], &b->stats, &ops, why, size);
	return b->metrics != NULL;
}

static bool open_mqtt(struct bridge *b)
{
	const struct config *c = &b->config;
	struct topic commands = topic_unit(c->publish.prefix, "+", "cmd");
	struct topic status = topic_bridge(c->publish.prefix, c->publish.instance, "status");
	struct topic birth = homeassistant_birth_topic(c);
	const char *subscribe[3] = {NULL};
	const struct mqtt_ops ops = {b, parts_message};
	size_t n = 0;
	if (c->commands.enabled)
		subscribe[n++] = commands.text;
	if (c->homeassistant.discovery)
		subscribe[n++] = birth.text;
	b->mqtt = mqtt_open(b->loop, c, &ops, subscribe, status.text, b->outbox, &b->stats);
	return b->mqtt != NULL;
}

bool parts_open_inside(struct bridge *b, char *why, size_t size)
{
	const struct config *c = &b->config;
	snprintf(why, size, "no memory");
	const struct outbox_options outbox = {c->outbox.path, (size_t)c->outbox.size,
		(enum outbox_sync)c->outbox.sync, c->outbox.sync_interval,
		(enum outbox_damaged)c->outbox.damaged};
	b->outbox = outbox_open(&outbox, why, size);
	if (b->outbox == NULL)
		return false;
	snprintf(why, size, "no memory");
	b->sources = sources_open(&b->stats);
	b->sessions = sessions_open(c, outbox_memory_most(b->outbox), &b->stats);
	if (b->sources == NULL || b->sessions == NULL)
		return false;
	outbox_remembered(b->outbox, on_remembered, b);
	snprintf(why, size, "the units file has faults");
	struct units *units = units_open(c->units.file, stderr);
	if (units == NULL)
		return false;
	use_units(b, units);
	snprintf(why, size, "no memory");
	b->uplink = uplink_open(c, b->outbox, &b->stats);
	b->conns = conns_open(b->loop, c, b->sessions, b->sources, &b->stats);
	b->downlink = downlink_open(c, b->sessions, b->uplink, &b->stats);
	if (b->uplink == NULL || b->conns == NULL || b->downlink == NULL)
		return false;
	if (c->homeassistant.discovery && (b->homeassistant = homeassistant_open(c, b->uplink)) == NULL)
		return false;
	const struct session_ops ops = {
		.ctx = b,
		.room = on_room,
		.batch = on_batch,
		.share = on_share,
		.record = on_record,
		.reply = on_reply,
		.status = on_status,
		.ready = on_ready,
		.offline = on_offline,
		.forgotten = on_forgotten,
		.cleared = on_cleared,
		.discovery = on_discovery,
		.frame = on_frame,
		.unknown = on_unknown,
	};
	sessions_set_ops(b->sessions, &ops);
	return true;
}

bool parts_open(struct bridge *b, char *why, size_t size)
{
	const struct config *c = &b->config;
	if (!parts_open_inside(b, why, size))
		return false;
	const struct relay_ops relay_ops = {b, on_relay_reply};
	if (*c->relay.server && (b->relay = relay_open(b->loop, c, &b->stats, &relay_ops)) == NULL)
		return false;
	if (!open_mqtt(b) || !open_metrics(b, why, size))
		return false;
	b->listeners = listeners_open(b->loop, c, b->conns, why, size);
	return b->listeners != NULL;
}

int64_t parts_turn(struct bridge *b)
{
	conns_reap(b->conns);
	/* never more at a time than the broker takes soon */
	bool more =
		outbox_count(b->outbox) < CATCH_UP_BELOW && sessions_catch_up(b->sessions, false, parts_now(b));
	if (conns_stalled(b->conns) && outbox_room(b->outbox) && !b->stopping) {
		conns_resume(b->conns);
		if (b->listeners != NULL)
			listeners_resume(b->listeners);
	}
	bool stored = outbox_sync(b->outbox);
	conns_flush(b->conns, stored);
	return more ? CATCH_UP_MS : outbox_flush_in_ms(b->outbox);
}

void parts_tick(struct bridge *b)
{
	downlink_tick(b->downlink, parts_now(b));
	sessions_tick(b->sessions, parts_now(b));
}

void parts_stop(struct bridge *b)
{
	b->stopping = true;
	if (b->listeners != NULL)
		listeners_stop(b->listeners);
	conns_reap(b->conns);
	conns_flush(b->conns, outbox_sync(b->outbox));
	downlink_stop(b->downlink, parts_now(b));
	conns_close_all(b->conns, "the bridge stops");
	for (unsigned i = 0; i < CATCH_UP_AT_STOP && sessions_catch_up(b->sessions, true, parts_now(b)); i++)
		;
}

void parts_close(struct bridge *b)
{
	if (b->listeners != NULL)
		listeners_stop(b->listeners);
	if (b->conns != NULL)
		conns_free(b->conns);
	if (b->listeners != NULL)
		listeners_free(b->listeners);
	if (b->metrics != NULL)
		metrics_free(b->metrics);
	if (b->relay != NULL)
		relay_free(b->relay);
	if (b->mqtt != NULL)
		mqtt_free(b->mqtt);
	if (b->homeassistant != NULL)
		homeassistant_free(b->homeassistant);
	if (b->downlink != NULL)
		downlink_free(b->downlink);
	if (b->uplink != NULL)
		uplink_free(b->uplink);
	if (b->sessions != NULL)
		sessions_free(b->sessions);
	if (b->sources != NULL)
		sources_free(b->sources);
	if (b->units != NULL)
		units_free(b->units);
	if (b->outbox != NULL)
		outbox_close(b->outbox);
}
