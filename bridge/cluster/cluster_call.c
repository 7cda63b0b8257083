// SPDX-License-Identifier: MIT
/* cluster_call: one call of a script, and what it says of a command.
 * Uses: nothing else.
 * Not: know what the scripts are for. */
#include "bridge/cluster/cluster_private.h"

#include <stdlib.h>

struct registry_options cluster_registry(const struct cluster *c, const char *what, double patience)
{
	const struct config *config = c->parts.config;
	struct registry_options o = {.addresses = config->cluster.registry,
		.username = config->cluster.username,
		.password = config->cluster.password,
		.tls_ca_file = config->cluster.tls_ca_file,
		.what = what,
		.patience = patience};
	if (c->sentinel != NULL)
		o.finder = sentinel_finder(c->sentinel);
	return o;
}

struct moment cluster_now(const struct cluster *c)
{
	return clock_moment(ev_now(c->parts.loop));
}

bool cluster_is_away(const struct cluster *c)
{
	return !c->joined && cluster_now(c).steady_ms - c->away_since_ms > CLUSTER_AWAY_MS;
}

struct span cluster_number(int64_t n, char buf[24])
{
	struct writer w = writer_of((uint8_t *)buf, 24);
	if (n < 0)
		writer_u8(&w, '-');
	writer_decimal(&w, n < 0 ? 0 - (uint64_t)n : (uint64_t)n, 1);
	return writer_span(&w);
}

bool cluster_call(struct cluster *c, enum script script, unsigned argc, const struct span *argv,
	registry_answer *answer, int64_t number, const char *subject)
{
	struct span words[REGISTRY_ARGUMENTS_MOST];
	char settle[24];
	words[0] = span_text("EVAL");
	words[1] = span_text(script_text(script));
	words[2] = span_text("0");
	words[3] = span_text(c->parts.config->cluster.name);
	words[4] = cluster_number(c->parts.config->cluster.lease + 500, settle);
	if (argc + 5 > REGISTRY_ARGUMENTS_MOST)
		return false;
	memcpy(words + 5, argv, argc * sizeof(*argv));
	return registry_call(c->registry, argc + 5, words, answer, c, number, subject);
}

bool cluster_read_kept(const struct redisReply *reply, struct route_message *out,
	char ident[CODEC_IDENT_MAX + 1], char id[TICKET_MAX + 1])
{
	if (reply == NULL || reply->type != REDIS_REPLY_ARRAY || reply->elements != CLUSTER_KEPT)
		return false;
	struct span name = registry_text(reply, 0), number = registry_text(reply, 9);
	if (name.len == 0 || name.len > CODEC_IDENT_MAX || number.len == 0 || number.len > TICKET_MAX)
		return false;
	span_copy(name, ident, CODEC_IDENT_MAX + 1);
	span_copy(number, id, TICKET_MAX + 1);
	int64_t expiry_s = registry_text(reply, 6).len > 0 ? registry_number(reply, 6) : -1;
	int64_t passed_s = (registry_number(reply, 10) - registry_number(reply, 7)) / 1000;
	struct span response = registry_text(reply, 4);
	if (registry_number(reply, 8) == 0)
		response = span_of(NULL, 0);
	if (expiry_s >= 0)
		expiry_s = passed_s < expiry_s ? expiry_s - passed_s : 0;
	*out = (struct route_message){
		.topic = registry_text(reply, 1),
		.payload = registry_text(reply, 2),
		.retained = registry_number(reply, 3) != 0,
		.response_topic = response,
		.correlation = registry_text(reply, 5),
		.expiry_s = expiry_s,
	};
	return true;
}
