/* parts: see parts.h. */
#include "parts.h"

#include "log.h"
#include "topic.h"

static int64_t now_ms(const struct bridge *b)
{
	return (int64_t)(ev_now(b->loop) * 1000);
}

static void on_message(void *ctx, const struct mqtt_message *m)
{
	struct bridge *b = ctx;
	const struct downlink_request request = {
		m->topic, m->payload, m->retain, m->response_topic, m->correlation, m->expiry_s};
	downlink_message(b->downlink, &request, now_ms(b));
}

static bool on_room(void *ctx)
{
	return uplink_room(((struct bridge *)ctx)->uplink);
}

static bool on_record(
	void *ctx, struct session *session, const struct conn *conn, struct telemetry *t, int64_t now)
{
	return uplink_record(((struct bridge *)ctx)->uplink, session, conn, t, now);
}

static void on_reply(void *ctx, struct session *session, const struct command_reply *reply, int64_t now)
{
	downlink_reply(((struct bridge *)ctx)->downlink, session, reply, now);
}

static void on_online(void *ctx, struct session *session, int64_t now)
{
	uplink_online(((struct bridge *)ctx)->uplink, session, now);
}

static void on_ready(void *ctx, struct session *session, int64_t now)
{
	downlink_online(((struct bridge *)ctx)->downlink, session, now);
}

static void on_offline(void *ctx, struct session *session, const char *reason, int64_t now)
{
	struct bridge *b = ctx;
	uplink_offline(b->uplink, session, reason, now);
	downlink_offline(b->downlink, session, reason, now);
}

static void on_frame(void *ctx, const struct session *session, bool in, struct span frame, const char *error)
{
	uplink_frame(((struct bridge *)ctx)->uplink, session, in, frame, error);
}

static void on_unknown(void *ctx, const struct conn *conn, struct span head)
{
	uplink_unknown(((struct bridge *)ctx)->uplink, conn, head);
}

bool parts_read_units(struct bridge *b)
{
	struct units *fresh = units_open(b->config.units.file, stderr), *old = b->units;
	if (fresh == NULL)
		return false;
	units_use(fresh, &b->codec_options);
	sessions_use_units(b->sessions, fresh, b->config.units.unknown == 1);
	b->units = fresh;
	if (old != NULL)
		units_free(old);
	return true;
}

bool parts_open(struct bridge *b, char *why, size_t size)
{
	const struct config *c = &b->config;
	snprintf(why, size, "no memory");
	const struct outbox_options outbox = {c->outbox.path, (size_t)c->outbox.size,
		(enum outbox_sync)c->outbox.sync, c->outbox.sync_interval};
	b->outbox = outbox_open(&outbox, why, size);
	b->sessions = sessions_open(&b->codec_options, (size_t)c->listen.max_connections, &b->stats);
	if (b->outbox == NULL || b->sessions == NULL)
		return false;
	snprintf(why, size, "the units file has faults");
	if (!parts_read_units(b))
		return false;
	snprintf(why, size, "no memory");
	b->uplink = uplink_open(c, b->outbox, &b->stats);
	b->conns = conns_open(b->loop, c, b->sessions, &b->stats);
	b->downlink = downlink_open(c, b->sessions, b->uplink, &b->stats);
	if (b->uplink == NULL || b->conns == NULL || b->downlink == NULL)
		return false;
	const struct session_ops ops = {
		b, on_room, on_record, on_reply, on_online, on_ready, on_offline, on_frame, on_unknown};
	sessions_set_ops(b->sessions, &ops);
	sessions_set_max_parts(b->sessions, (unsigned)c->jt808.max_packets);
	struct topic commands = topic_unit(c->publish.prefix, "+", "cmd");
	struct topic status = topic_bridge(c->publish.prefix, c->publish.instance, "status");
	const struct mqtt_ops mqtt_ops = {b, on_message};
	b->mqtt = mqtt_open(b->loop, c, &mqtt_ops, c->commands.enabled ? commands.text : NULL, status.text,
		b->outbox, &b->stats);
	if (b->mqtt == NULL)
		return false;
	b->listeners = listeners_open(b->loop, c, b->conns, why, size);
	return b->listeners != NULL;
}

void parts_close(struct bridge *b)
{
	if (b->listeners != NULL)
		listeners_stop(b->listeners);
	if (b->conns != NULL)
		conns_free(b->conns);
	if (b->listeners != NULL)
		listeners_free(b->listeners);
	if (b->mqtt != NULL)
		mqtt_free(b->mqtt);
	if (b->downlink != NULL)
		downlink_free(b->downlink);
	if (b->uplink != NULL)
		uplink_free(b->uplink);
	if (b->sessions != NULL)
		sessions_free(b->sessions);
	if (b->units != NULL)
		units_free(b->units);
	if (b->outbox != NULL)
		outbox_close(b->outbox);
}
