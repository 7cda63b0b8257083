// SPDX-License-Identifier: MIT
/* cluster_router: one bridge of the fleet takes the commands from the broker and ends what bridges had that are gone.
 * Uses: bridge/base, bridge/commands.
 * Not: send units anything.
 *
 * It has a connection of its own to the broker, whose session outlives it: the next router goes on with the same session. A command is
 * acknowledged to the broker when the registry has it. */
#include "bridge/cluster/cluster_private.h"

#include "bridge/base/topic.h"
#include "bridge/commands/request.h"

#include <stdlib.h>

#define SWEEP_MS 500
#define SESSION_LEAST (3600 * 1000LL)

/* --- commands --- */

/* On a new one, what was not acknowledged on the one before comes again. */
static void look_at_connection(struct cluster *c)
{
	struct router *r = &c->router;
	uint64_t connects = r->stats->count[STAT_MQTT_CONNECTS];
	if (r->connects == connects)
		return;
	r->connects = connects;
	snprintf(r->mark, sizeof(r->mark), "%s-%llu", c->boot, (unsigned long long)connects);
	if (mqtt_resumed(r->mqtt))
		carry_drop(c);
}

static void on_message(void *ctx, const struct route_message *r, struct moment now)
{
	struct cluster *c = ctx;
	struct span name = span_of(NULL, 0);
	char ident[CODEC_IDENT_MAX + 1], id[TICKET_MAX + 1];
	bool parsed = topic_parse_unit(c->parts.config->publish.prefix, r->topic, "cmd", &name);
	struct span whose = parsed ? session_ident(c->parts.sessions, name) : name;
	bool clears = r->retained && r->payload.len == 0;
	if (clears || !parsed || !topic_ident_ok(whose) || r->payload.len > REQUEST_MAX) {
		downlink_message(c->parts.downlink, r, now); /* no unit gets it, whoever has it */
		return;
	}
	look_at_connection(c);
	span_copy(whose, ident, sizeof(ident));
	snprintf(id, sizeof(id), "%s-%llu", c->boot, (unsigned long long)++c->next_id);
	if (!carry_message(c, r, ident, id, true))
		downlink_end(c->parts.downlink, r, "", DOWNLINK_REFUSED, "too many commands at a time", now);
}

/* --- what gone bridges had --- */

static void take_each(struct cluster *c, const struct redisReply *list)
{
	struct route_message m;
	char ident[CODEC_IDENT_MAX + 1], id[TICKET_MAX + 1];
	for (size_t i = 0; list != NULL && i < list->elements; i++)
		if (cluster_read_kept(list->element[i], &m, ident, id))
			command_take(c, &m, id);
}

static void on_expired(void *ctx, const struct redisReply *reply, int64_t number, const char *subject)
{
	(void)number;
	(void)subject;
	if (reply != NULL && reply->type == REDIS_REPLY_ARRAY)
		ends_left(ctx, reply, "the unit did not come in time", false);
}

/* Not through the outbox: what waits there could be told when it is true no more. */
static void tell_bridge_gone(struct cluster *c, const char *instance)
{
	struct topic topic = topic_bridge(c->parts.config->publish.prefix, instance, "status");
	mqtt_publish_now(c->mqtt, topic.text, span_text("offline"), true);
}

static void on_buried(void *ctx, const struct redisReply *reply, int64_t number, const char *subject)
{
	struct cluster *c = ctx;
	char instance[61], reason[160];
	struct span name = registry_text(reply, 0);
	(void)number;
	(void)subject;
	if (reply != NULL && name.len == 0)
		c->router.buried[0] = '\0'; /* it may come back, and go once more */
	if (name.len == 0 || name.len >= sizeof(instance))
		return;
	span_copy(name, instance, sizeof(instance));
	snprintf(reason, sizeof(reason), "instance %s is gone; whether the unit got the command is not known",
		instance);
	ends_left(c, registry_item(reply, 1), reason, false);
	take_each(c, registry_item(reply, 2));
	if (strcmp(c->router.buried, instance) == 0)
		return;
	snprintf(c->router.buried, sizeof(c->router.buried), "%s", instance);
	log_warning("cluster: instance %s is gone: its units are off line unless they come to another one",
		instance);
	tell_bridge_gone(c, instance);
}

/* False: it is not sent now. */
static bool tell_gone(struct cluster *c, const char *ident, struct span had, bool restart, bool retain)
{
	char instance[61], reason[120];
	struct topic topic = topic_unit(
		c->parts.config->publish.prefix, session_topic_of(c->parts.sessions, ident), "status");
	span_copy(had, instance, sizeof(instance));
	snprintf(reason, sizeof(reason), "%s %s%s",
		restart ? "did not come back after a restart of instance" : "instance", instance,
		restart ? "" : " is gone");
	const struct status_gone gone = {instance, reason};
	mqtt_publish_now(c->mqtt, topic.text, status_of_gone(c->parts.status, &gone, cluster_now(c)), retain);
	return mqtt_connected(c->mqtt);
}

/* ident, instance, is it trusted, why: in turns. Not through the outbox either. */
static void on_gone(void *ctx, const struct redisReply *reply, int64_t number, const char *subject)
{
	struct cluster *c = ctx;
	struct router *r = &c->router;
	(void)number;
	(void)subject;
	for (size_t i = 0; reply != NULL && reply->type == REDIS_REPLY_ARRAY && i + 3 < reply->elements;
		i += 4) {
		struct span unit = registry_text(reply, i), had = registry_text(reply, i + 1);
		if (!topic_ident_ok(unit) || had.len > 60 || r->told_count == TOLD_MOST)
			continue;
		span_copy(unit, r->told[r->told_count], sizeof(r->told[0]));
		if (tell_gone(c, r->told[r->told_count], had, registry_text(reply, i + 3).len > 0,
			    registry_number(reply, i + 2) != 0))
			r->told_count++;
	}
	r->told_at = mqtt_connected_seconds(c->mqtt);
}

/* What was told counts when the connection on which it was told is still good; else it is told once more. */
static void note_told(struct cluster *c)
{
	struct router *r = &c->router;
	bool good = mqtt_connected(c->mqtt) && mqtt_connected_seconds(c->mqtt) >= r->told_at;
	for (unsigned i = 0; good && i < r->told_count; i++) {
		const struct span argv[] = {span_text(c->me), span_text(r->told[i])};
		cluster_call(c, SCRIPT_TOLD, 2, argv, NULL, 0, "");
	}
	r->told_count = 0;
}

/* --- the router's connection to the broker --- */

static void begin(struct cluster *c)
{
	struct router *r = &c->router;
	struct topic commands = topic_unit(c->parts.config->publish.prefix, "+", "cmd");
	r->config = *c->parts.config;
	r->config.mqtt.client_id = r->client_id;
	if (r->config.mqtt.session < SESSION_LEAST)
		r->config.mqtt.session = SESSION_LEAST;
	r->mqtt = mqtt_open(c->parts.loop, &r->config, NULL, r->outbox, r->stats);
	if (r->mqtt == NULL)
		return;
	mqtt_route(r->mqtt, commands.text, on_message, c, "no command arrives");
	mqtt_assume_session(r->mqtt);
	mqtt_start(r->mqtt);
	r->buried[0] = '\0';
	log_notice("cluster: this instance takes the commands of the fleet");
}

static void end(struct cluster *c)
{
	struct router *r = &c->router;
	if (r->mqtt == NULL)
		return;
	if (r->waiting == 0 && !r->step_down)
		mqtt_kick(r->mqtt); /* what is acknowledged is not delivered again */
	mqtt_abandon(r->mqtt);
	r->mqtt = NULL;
	log_notice("cluster: this instance takes commands no more");
}

void router_use(struct cluster *c, bool mine)
{
	c->router.mine = mine;
	if (mine && c->router.mqtt == NULL && !c->router.step_down)
		begin(c);
}

void router_tick(struct cluster *c)
{
	struct router *r = &c->router;
	const struct span argv[] = {span_text(c->me), span_text(c->run)};
	int64_t now_ms = cluster_now(c).steady_ms;
	/* without the registry it cannot know whether another one has taken over: it does not connect anew */
	if (r->mqtt != NULL && !c->joined && !mqtt_connected(r->mqtt) && mqtt_away_seconds(r->mqtt) > 0)
		r->step_down = cluster_is_away(c);
	if (r->mqtt == NULL || c->mqtt == NULL || !c->joined || !r->mine || now_ms - r->swept_ms < SWEEP_MS)
		return;
	r->swept_ms = now_ms;
	cluster_call(c, SCRIPT_EXPIRE, 2, argv, on_expired, 0, "");
	note_told(c);
	if (!mqtt_connected(c->mqtt))
		return;
	cluster_call(c, SCRIPT_BURY, 2, argv, on_buried, 0, "");
	cluster_call(c, SCRIPT_GONE, 2, argv, on_gone, 0, "");
}

void router_turn(struct cluster *c)
{
	struct router *r = &c->router;
	if (r->mqtt != NULL && (r->step_down || (!r->mine && c->joined) || c->stopping)) {
		end(c);
		carry_drop(c);
	}
	r->step_down = false;
	if (r->mqtt != NULL && r->waiting == 0 && mqtt_stirs(r->mqtt))
		mqtt_kick(r->mqtt);
}

bool router_open(struct cluster *c)
{
	struct router *r = &c->router;
	const struct outbox_options options = {"", 1 << 20, OUTBOX_SYNC_NEVER, 1000, OUTBOX_DAMAGED_ASIDE};
	char why[200];
	snprintf(r->client_id, sizeof(r->client_id), "%s-commands", c->parts.config->cluster.name);
	r->stats = calloc(1, sizeof(*r->stats));
	r->outbox = outbox_open(&options, why, sizeof(why));
	return r->stats != NULL && r->outbox != NULL;
}

void router_free(struct cluster *c)
{
	end(c);
	if (c->router.outbox != NULL)
		outbox_close(c->router.outbox);
	free(c->router.stats);
}
