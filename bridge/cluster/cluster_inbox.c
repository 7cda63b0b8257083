// SPDX-License-Identifier: MIT
/* cluster_inbox: what others tell this instance: a command for a unit that it has, a unit that has moved. Read over a connection of its own, where
 * the registry answers when there is something.
 * Uses: nothing else.
 * Not: know MQTT. */
#include "bridge/cluster/cluster_private.h"

#define WAIT_MS "2000"
#define PATIENCE 6.0 /* seconds: longer than WAIT_MS */
#define AT_ONCE "200"

static void ask(struct cluster *c);

static void on_taken(void *ctx, const struct redisReply *reply, int64_t number, const char *subject)
{
	struct cluster *c = ctx;
	struct route_message m;
	char ident[CODEC_IDENT_MAX + 1], id[TICKET_MAX + 1];
	(void)number;
	(void)subject;
	if (!cluster_read_kept(reply, &m, ident, id) || downlink_has(c->parts.downlink, id) ||
		command_was_had(c, id))
		return;
	if (session_find(c->parts.sessions, span_text(ident)) == NULL && carry_message(c, &m, ident, id, false))
		return;
	command_take(c, &m, id);
}

static void forget_entry(struct cluster *c, struct span entry)
{
	const struct span argv[] = {span_text("XDEL"), span_text(c->inbox.key), entry};
	registry_call(c->registry, 3, argv, NULL, NULL, 0, "");
}

/* [entry, [word, word, …]] */
static void on_entry(struct cluster *c, const struct redisReply *entry)
{
	const struct redisReply *words = registry_item(entry, 1);
	struct span number = registry_text(entry, 0), kind = registry_text(words, 0),
		    what = registry_text(words, 1);
	if (number.len == 0 || number.len >= sizeof(c->inbox.last))
		return;
	span_copy(number, c->inbox.last, sizeof(c->inbox.last));
	if (span_is(kind, "cmd")) {
		const struct span argv[] = {span_text(c->me), what, number};
		cluster_call(c, SCRIPT_TAKE, 3, argv, on_taken, 0, "");
		return;
	}
	if (span_is(kind, "moved"))
		claims_moved(c, what, registry_number(words, 3), registry_text(words, 5));
	if (span_is(kind, "answer"))
		answers_read(c, words);
	if (span_is(kind, "note"))
		notes_late(c, what, registry_number(words, 3), registry_text(words, 5));
	forget_entry(c, number);
}

/* [[key, [entry, …]]], or nothing after a while. */
static void on_read(void *ctx, const struct redisReply *reply, int64_t number, const char *subject)
{
	struct cluster *c = ctx;
	const struct redisReply *entries = registry_item(registry_item(reply, 0), 1);
	(void)number;
	(void)subject;
	c->inbox.asked = false;
	if (reply == NULL || !c->joined)
		return;
	if (c->inbox.outdated) { /* it was read from behind what is to be read once more */
		c->inbox.outdated = false;
		ask(c);
		return;
	}
	for (size_t i = 0; entries != NULL && i < entries->elements; i++)
		on_entry(c, entries->element[i]);
	if (entries != NULL || reply->type == REDIS_REPLY_NIL)
		ask(c); /* else, what is not understood: at the next tick */
}

static void ask(struct cluster *c)
{
	struct inbox *in = &c->inbox;
	const struct span argv[] = {span_text("XREAD"), span_text("COUNT"), span_text(AT_ONCE),
		span_text("BLOCK"), span_text(WAIT_MS), span_text("STREAMS"), span_text(in->key),
		span_text(in->last)};
	if (!in->asked && c->joined)
		in->asked = registry_call(in->registry, 8, argv, on_read, c, 0, "");
}

void inbox_tick(struct cluster *c)
{
	ask(c); /* the registry may have answered with an error */
}

/* Entries that were read and not taken, because a connection broke, are read once more. */
void inbox_rewind(struct cluster *c)
{
	static const char beginning[] = "0";
	c->inbox.outdated |= c->inbox.asked && strcmp(c->inbox.last, beginning) != 0;
	snprintf(c->inbox.last, sizeof(c->inbox.last), "%s", beginning);
	ask(c);
}

void inbox_follow(struct cluster *c)
{
	const char *here = registry_server(c->inbox.registry);
	if (*here != '\0' && strcmp(here, registry_server(c->registry)) != 0)
		registry_leave(c->inbox.registry, "the claims are elsewhere");
}

static void on_up(void *ctx)
{
	inbox_rewind(ctx);
}

static void on_down(void *ctx)
{
	struct cluster *c = ctx;
	c->inbox.asked = c->inbox.outdated = false;
}

bool inbox_open(struct cluster *c)
{
	const struct config *config = c->parts.config;
	const struct registry_options options = cluster_registry(c, "inbox", PATIENCE);
	const struct registry_ops ops = {c, on_up, on_down};
	snprintf(c->inbox.key, sizeof(c->inbox.key), "%s:inbox:%s", config->cluster.name, c->me);
	snprintf(c->inbox.last, sizeof(c->inbox.last), "0");
	c->inbox.registry = registry_open(c->parts.loop, &options, &ops);
	if (c->inbox.registry != NULL)
		registry_start(c->inbox.registry);
	return c->inbox.registry != NULL;
}

void inbox_free(struct cluster *c)
{
	if (c->inbox.registry != NULL)
		registry_free(c->inbox.registry);
}
