// SPDX-License-Identifier: MIT
/* downlink_world: what stands around downlink in its tests: one unit, its queue, the broker's side, the clock.
 * May use: downlink, session.h. May not: be part of the program. */
#ifndef T2M_DOWNLINK_WORLD_H
#define T2M_DOWNLINK_WORLD_H

#include "harness.h"

#include "bridge/commands/downlink.h"
#include "bridge/base/log.h"

#include <stdlib.h>

#define IDENT "9170503816"
#define TOPIC "trackers/" IDENT "/cmd"
#define DAY (24 * 3600 * 1000LL)

/* --- what stands around downlink --- */

struct sessions {
	struct session unit;
	bool here;
};

struct told {
	char json[6000], response[300];
	size_t correlation;
};

static struct sessions world;
static struct config config;
static struct stats stats;
static struct downlink *downlink;
static struct told last;
static unsigned replies, on_wire, queue_len;
static uint64_t queue[64];
static conn_sent *queue_sent;
static struct moment now;
static bool no_room; /* in the outbox */

struct span session_ident(const struct sessions *s, struct span name)
{
	(void)s;
	return name;
}

struct session *session_find(struct sessions *s, struct span ident)
{
	return s->here && span_is(ident, IDENT) ? &s->unit : NULL;
}

const struct codec *session_codec(struct sessions *s, struct span ident)
{
	return span_is(ident, IDENT) ? s->unit.codec : NULL;
}

bool session_encode(struct sessions *s, struct session *session, const struct command *command,
	struct writer *out, struct command_token *token, int64_t now_ms)
{
	struct codec_link link = {.now_ms = now_ms, .unit = &session->unit};
	(void)s;
	return session->codec->encode(&link, command, out, token) == CODEC_OK;
}

bool session_send(struct sessions *s, struct session *session, struct span frame, conn_sent *sent, void *ctx,
	uint64_t id, struct moment at)
{
	(void)at;
	(void)s;
	(void)session;
	(void)frame;
	assert_ptr_equal(ctx, downlink);
	assert_true(queue_len < 64);
	queue[queue_len++] = id;
	queue_sent = sent;
	return true;
}

void session_take_back(struct sessions *s, struct span ident, uint64_t id)
{
	(void)s;
	assert_true(span_is(ident, IDENT));
	for (unsigned i = 0; i < queue_len; i++)
		if (queue[i] == id)
			queue[i] = queue[--queue_len];
}

uint64_t publish_next_seqnum(const struct publish *p)
{
	(void)p;
	return replies + 1;
}

bool publish_reply(struct publish *p, const char *ident, const char *name, struct span json,
	struct span response, struct span correlation, int64_t now_ms)
{
	(void)p;
	(void)ident;
	(void)name;
	assert_int_equal(now_ms, now.unix_ms);
	if (no_room)
		return false;
	snprintf(last.json, sizeof(last.json), "%.*s", (int)json.len, (const char *)json.ptr);
	snprintf(last.response, sizeof(last.response), "%.*s", (int)response.len, (const char *)response.ptr);
	last.correlation = correlation.len;
	replies++;
	return true;
}

/* The unit reads: all that is queued goes. */
static void unit_reads(void)
{
	while (queue_len > 0) {
		on_wire++;
		queue_sent(downlink, queue[--queue_len], true, now);
	}
}

/* --- helpers --- */

static int set_up(void **state)
{
	(void)state;
	memset(&world, 0, sizeof(world));
	memset(&stats, 0, sizeof(stats));
	config_init(&config);
	strcpy(world.unit.unit.ident, IDENT);
	world.unit.codec = codec_find(span_text("h02"));
	downlink = downlink_open(&config, &world, NULL, NULL, &stats);
	replies = on_wire = queue_len = 0;
	no_room = false;
	now = (struct moment){1800000000000, 5000000};
	log_open(LOG_LEVEL_ERROR);
	return downlink == NULL;
}

static int tear_down(void **state)
{
	(void)state;
	downlink_free(downlink);
	config_free(&config);
	return 0;
}

static struct route_message request_of(const char *payload)
{
	return (struct route_message){.topic = span_text(TOPIC), .payload = span_text(payload), .expiry_s = -1};
}

static void ask(const char *payload)
{
	const struct route_message r = request_of(payload);
	downlink_message(downlink, &r, now);
}

static void pass(int64_t ms)
{
	now.unix_ms += ms;
	now.steady_ms += ms;
	downlink_tick(downlink, now);
}

static bool last_is(const char *status)
{
	char part[60];
	snprintf(part, sizeof(part), "\"status\":\"%s\"", status);
	return strstr(last.json, part) != NULL;
}

#endif
