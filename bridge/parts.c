/* parts: see parts.h. */
#include "parts.h"

#include "log.h"
#include "topic.h"

static void on_message(void *ctx, const struct mqtt_message *m)
{
	struct bridge *b = ctx;
	downlink_message(b->downlink, m->topic, m->payload, m->retain, (int64_t)(ev_now(b->loop) * 1000));
}

static void on_reply(void *ctx, struct session *session, const struct command_reply *reply, int64_t now_ms)
{
	(void)ctx;
	(void)now_ms;
	log_info("unit %s answers %s", session->unit.ident, log_bytes(reply->frame).text);
}

bool parts_open(struct bridge *b, char *why, size_t size)
{
	const struct config *c = &b->config;
	snprintf(why, size, "no memory");
	b->outbox = outbox_open((size_t)c->outbox.size, why, size);
	b->sessions = sessions_open(&b->codec_options, (size_t)c->listen.max_connections, &b->stats);
	if (b->outbox == NULL || b->sessions == NULL)
		return false;
	b->uplink = uplink_open(c, b->outbox, &b->stats);
	b->conns = conns_open(b->loop, c, b->sessions, &b->stats);
	b->downlink = downlink_open(c, b->sessions, b->uplink, &b->stats);
	if (b->uplink == NULL || b->conns == NULL || b->downlink == NULL)
		return false;
	const struct session_ops ops = {b->uplink, uplink_room, uplink_record, on_reply, uplink_online,
		uplink_offline, uplink_frame, uplink_unknown};
	sessions_set_ops(b->sessions, &ops);
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
	if (b->outbox != NULL)
		outbox_close(b->outbox);
}
