// SPDX-License-Identifier: MIT
/* publish: see publish.h. */
#include "bridge/outputs/publish.h"

#include "bridge/base/log.h"

#include <stdlib.h>

#define ALONE_MS (10 * 60 * 1000LL)
#define RECORD_BYTES 4096 /* of messages that one record of a batch gives, at most */

struct publish {
	const struct config *config;
	struct outbox *outbox;
	struct notebook *notebook;
	size_t place; /* in each session: int64_t, the time of its newest position */
	struct unit_listener listener;
	enum content content; /* of records */
	struct telemetry_keys keys;
	struct log_limit lost;
	publish_asks *asks; /* NULL: this bridge is alone */
	void *asks_ctx;
	uint64_t epoch;       /* of the accounts by address: a new one while little waits */
	uint8_t last_key[16]; /* of the address that put something in last */
	bool counting;        /* there was one */
	int64_t others_ms;    /* when another one had; steady time, 0: never */
	uint8_t payload[128 * 1024];
};

/* --- what an address may fill --- */

static uint64_t stored_of(const struct publish *p, const struct source *source)
{
	return source->stored_epoch == p->epoch ? source->stored : 0;
}

/* Has nobody else put anything in for a while? */
static bool is_alone(const struct publish *p, const struct source *account, int64_t now_ms)
{
	return memcmp(p->last_key, account->key, sizeof(p->last_key)) == 0 &&
	       (p->others_ms == 0 || now_ms - p->others_ms > ALONE_MS);
}

/* All may fill three quarters. Of the rest, an address may have put in half as much as is free, unless it is alone: so a hundred
 * that want it all leave a place to the others. Units of the units file are exempt. */
static bool has_share(void *ctx, const struct conn *conn, struct moment now)
{
	struct publish *p = ctx;
	size_t size = (size_t)p->config->outbox.size, used = outbox_bytes(p->outbox);
	if (used < size / 4 * 3 || conn_is_known(conn))
		return true;
	const struct source *account = conn_account(conn);
	return stored_of(p, account) < (used < size ? (size - used) / 2 : 0) ||
	       is_alone(p, account, now.steady_ms);
}

/* The outbox held so many bytes before this address put something in. */
static void count_stored(struct publish *p, const struct conn *conn, size_t before, int64_t now_ms)
{
	struct source *account = conn_account(conn);
	size_t used = outbox_bytes(p->outbox);
	if (memcmp(p->last_key, account->key, sizeof(p->last_key)) != 0) {
		p->others_ms = p->counting ? now_ms : 0;
		p->counting = true;
		memcpy(p->last_key, account->key, sizeof(p->last_key));
	}
	if (used < (size_t)p->config->outbox.size /
			   16) { /* little waits: whatever was put in has left, or nearly */
		p->epoch++;
		return;
	}
	account->stored = stored_of(p, account) + (used > before ? used - before : 0);
	account->stored_epoch = p->epoch;
}

/* --- room --- */

static bool has_room(void *ctx)
{
	return outbox_room(((struct publish *)ctx)->outbox);
}

/* Records of one frame are stored all or not at all: else a unit would send it again, and its first ones would be stored again, for
 * ever. */
static enum codec_room has_room_for(void *ctx, size_t records)
{
	struct publish *p = ctx;
	size_t bytes = records * RECORD_BYTES, most = (size_t)p->config->outbox.size / 2;
	if (bytes > most)
		return CODEC_ROOM_NEVER;
	return outbox_fits(p->outbox, bytes) ? CODEC_ROOM_YES : CODEC_ROOM_NOT_NOW;
}

/* --- messages --- */

struct outbox_message publish_message(
	const struct publish *p, const char *ident, const struct topic *topic, int64_t now_ms)
{
	return (struct outbox_message){
		.topic = span_of(topic->text, topic->len),
		.order = outbox_order(p->outbox, span_text(ident)),
		.put_ms = now_ms,
	};
}

uint64_t publish_next_seqnum(const struct publish *p)
{
	return outbox_next_seqnum(p->outbox);
}

struct writer publish_writer(struct publish *p)
{
	return writer_of(p->payload, sizeof(p->payload));
}

struct writer publish_record(struct publish *p, const struct telemetry *record, struct outbox_message *m)
{
	struct writer w = publish_writer(p);
	telemetry_emit(record, &p->keys, &w);
	m->content = p->content;
	return w;
}

bool publish_put(struct publish *p, struct outbox_message *m, const struct writer *payload,
	const struct conn *from, struct moment now)
{
	bool full = payload != NULL && payload->full;
	size_t before = outbox_bytes(p->outbox);
	if (full && log_limit_take(&p->lost, 6, now.steady_ms))
		log_error("a message for %s is larger than %zu bytes and is lost", log_bytes(m->topic).text,
			sizeof(p->payload));
	if (full)
		return false;
	m->payload = payload != NULL ? writer_span(payload) : span_of(NULL, 0);
	if (outbox_put(p->outbox, m) == 0)
		return false;
	if (from != NULL)
		count_stored(p, from, before, now.steady_ms);
	return true;
}

bool publish_reply(struct publish *p, const char *ident, const char *name, struct span json,
	struct span response_topic, struct span correlation, int64_t now_ms)
{
	struct topic topic = topic_unit(p->config->publish.prefix, name, "cmd/reply");
	struct outbox_message m = publish_message(p, ident, &topic, now_ms);
	bool own = span_is(response_topic, topic.text); /* one message is enough */
	m.payload = json;
	if (own)
		m.correlation = correlation;
	bool ok = outbox_put(p->outbox, &m) != 0;
	if (own || response_topic.len == 0)
		return ok;
	m.topic = response_topic;
	m.correlation = correlation;
	return outbox_put(p->outbox, &m) != 0 && ok;
}

void publish_use_cluster(struct publish *p, publish_asks *asks, void *ctx)
{
	p->asks = asks;
	p->asks_ctx = ctx;
}

bool publish_is_asking(const struct publish *p, const struct session *session)
{
	return p->asks != NULL && p->asks(p->asks_ctx, session);
}

bool publish_keep(struct publish *p, struct span key, struct span value)
{
	return outbox_keep(p->outbox, KEEP_COMMANDS, key, value);
}

void publish_kept(struct publish *p, void (*each)(void *ctx, struct span key, struct span value), void *ctx)
{
	outbox_kept(p->outbox, KEEP_COMMANDS, each, ctx);
}

/* --- what is retained of a unit --- */

static void on_remembered(void *ctx, struct session *session, int64_t value)
{
	publish_note_newest(ctx, session, value);
}

int64_t publish_newest_ms(const struct publish *p, struct session *session)
{
	return *(int64_t *)session_memory(session, p->place);
}

void publish_note_newest(struct publish *p, struct session *session, int64_t newest_ms)
{
	*(int64_t *)session_memory(session, p->place) = newest_ms;
}

void publish_retain(struct outbox_message *m, const struct session *session, int64_t newest_ms)
{
	m->retain = true;
	m->memory_key = span_text(session->unit.ident);
	m->memory_value = newest_ms;
}

bool publish_clear(struct publish *p, const char *ident, const char *name, const char *leaf, bool forget,
	struct moment now)
{
	struct topic topic = topic_unit(p->config->publish.prefix, name, leaf);
	struct outbox_message m = publish_message(p, ident, &topic, now.unix_ms);
	m.retain = true;
	if (forget) {
		m.memory_key = span_text(ident);
		m.memory_value = MESSAGE_FORGET;
	}
	return publish_put(p, &m, NULL, NULL, now);
}

/* --- */

struct publish *publish_open(const struct config *config, struct outbox *outbox, struct sessions *sessions)
{
	struct publish *p = calloc(1, sizeof(*p));
	if (p == NULL || (p->notebook = notebook_open(config, outbox, sessions)) == NULL) {
		free(p);
		return NULL;
	}
	p->config = config;
	p->outbox = outbox;
	p->content = config->publish.format == PUBLISH_JSON ? CONTENT_JSON : CONTENT_MSGPACK;
	static const enum telemetry_custom customs[] = {
		[PUBLISH_CUSTOM_ACTIVE] = CUSTOM_ACTIVE,
		[PUBLISH_CUSTOM_ALL] = CUSTOM_ALL,
		[PUBLISH_CUSTOM_NONE] = CUSTOM_NONE,
	};
	telemetry_keys_make(&p->keys, p->content == CONTENT_JSON ? &emit_json : &emit_msgpack,
		customs[config->publish.custom]);
	p->epoch = 1;
	p->place = sessions_reserve(sessions, sizeof(int64_t));
	p->listener = (struct unit_listener){
		.ctx = p,
		.room = has_room,
		.share = has_share,
		.batch = has_room_for,
		.remembered = on_remembered,
	};
	return p;
}

void publish_free(struct publish *p)
{
	notebook_free(p->notebook);
	free(p);
}

struct notebook *publish_notebook(struct publish *p)
{
	return p->notebook;
}

const struct unit_listener *publish_listener(struct publish *p)
{
	return &p->listener;
}
